/* Printing many records: as a table, JSON lines or CSV. */
#ifndef HF_CLI_RECORDS_H
#define HF_CLI_RECORDS_H

#include "cli.h"
#include "columns.h"
#include "sort.h"

/* How they are printed, by --format (or --json), --columns, --sort and --limit. */
typedef struct hf_cli_layout {
  hf_cli_cells how;
  hf_cli_columns columns;
  hf_cli_sort *sort; /* NULL: in the order of the walk */
} hf_cli_layout;

/* with_op: records that are no snapshots are among them. with_current: older revisions are among
 * them. The caller ends what *layout holds, also after an error. Answers an exit status. */
int hf_cli_layout_begin(hf_cli *cli, int with_op, int with_current, hf_cli_layout *layout);
void hf_cli_layout_end(hf_cli_layout *layout);

/* What the walk must bring along for it: documents, and all where the limit counts after sorting.
 */
void hf_cli_layout_choose(const hf_cli_layout *layout, hf_list_options *options);

/* Walks to the end (cursor NULL: there is nothing) and prints. A damaged record is a warning, and
 * HF_CLI_FAILED at the end. */
int hf_cli_print_records(hf_cli *cli, hf_cursor *cursor, hf_cli_layout *layout);

/* Records that come one by one: each is printed and flushed at once. */
typedef struct hf_cli_record_stream hf_cli_record_stream;

/* Prints the heading, where there is one. The layout, which does not sort, must live as long. The
 * caller frees *ret_stream by hf_cli_record_stream_end. Both answer an exit status. */
int hf_cli_record_stream_begin(hf_cli *cli, const hf_cli_layout *layout,
                               hf_cli_record_stream **ret_stream);
int hf_cli_record_stream_put(hf_cli_record_stream *stream, const hf_record *record);
void hf_cli_record_stream_end(hf_cli_record_stream **stream);

/* --json stands for --format jsonl. */
int hf_cli_check_format(const hf_cli *cli);
hf_cli_cells hf_cli_chosen_format(const hf_cli *cli);

#endif
