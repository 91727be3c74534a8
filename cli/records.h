/* Printing many records: as a table, JSON lines or CSV. */
#ifndef HF_CLI_RECORDS_H
#define HF_CLI_RECORDS_H

#include "cli.h"

/* Walks to the end (cursor NULL: there is nothing) and prints, as --format (or --json) says.
 * with_op: records that are no snapshots are among them. with_current: older revisions are among
 * them. A damaged record is a warning, and HF_CLI_FAILED at the end. *ret_count (may be NULL):
 * those that were printed, or found damaged. */
int hf_cli_print_records(hf_cli *cli, hf_cursor *cursor, int with_op, int with_current,
                         uint64_t *ret_count);

/* Records that come one by one: each is printed and flushed at once. */
typedef struct hf_cli_record_stream hf_cli_record_stream;

/* Prints the heading, where there is one. The caller frees *ret_stream by
 * hf_cli_record_stream_end. Answers an exit status. */
int hf_cli_record_stream_begin(hf_cli *cli, int with_op, hf_cli_record_stream **ret_stream);
void hf_cli_record_stream_put(hf_cli_record_stream *stream, const hf_record *record);
void hf_cli_record_stream_end(hf_cli_record_stream **stream);

/* --json stands for --format jsonl. */
int hf_cli_check_format(const hf_cli *cli);

#endif
