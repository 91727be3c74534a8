/* The older form of an index, with a note by which an import gets back what was exported.
 *
 * An entry is the document with its members in their order, where run_id, stage, timestamp and
 * snapshot_seq say what the record says: those that are missing are added at the end, those that
 * say something else are replaced (of a member that stands twice, the last). The last member,
 * "holdfast", is a note of what was done:
 *
 *     "holdfast":{"export":1,"group":"...","ts":"...","dims":{...},"added":["stage"],
 *                 "was":{"run_id":"<its text>"},"by_clock":true,"sha256":"<of the document>"}
 *
 * The older program passes over it. Keys are RUN:STAGE, with ":NAME=VALUE" for each dim; where
 * that is taken, with "#SEQ" at the end. */
#ifndef HF_CORE_EXPORT_INDEX_H
#define HF_CORE_EXPORT_INDEX_H

#include <holdfast/admin.h>

#include "buf.h"
#include "map.h"

#define HF_EXPORT_NOTE "holdfast"
enum { HF_EXPORT_NOTE_VERSION = 1 };

/* Appends "key":{entry}. keys: those that were used already. */
int hf_export_index_entry(const hf_record *record, hf_map *keys, hf_buf *out, hf_error *reterr);

/* Appends a line of CSV with its CR LF; record NULL: the head line. */
int hf_export_csv_line(const hf_record *record, hf_buf *out, hf_error *reterr);

#endif
