#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/admin.h>

#include "err.h"
#include "export_index.h"
#include "store.h"

#include "banned.h"

enum { PIECE_BYTES = 64 * 1024 }; /* what is written at once, or one record if that is longer */

typedef struct writer {
  hf_export_format format;
  hf_write_fn write;
  void *write_context;
  hf_buf out;
  hf_map keys;
  uint64_t count;
  uint64_t dropped; /* whose documents are gone: left out */
} writer;

static int flush(writer *to, hf_error *reterr) {
  if (to->out.failed != 0)
    return hf_err_nomem(reterr);
  if (to->out.used == 0)
    return HF_OK;
  errno = 0;
  if (to->write(to->write_context, to->out.data, to->out.used) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, NULL,
                      "the export cannot be written after %llu snapshots",
                      (unsigned long long)to->count);
  hf_buf_clear(&to->out);
  return HF_OK;
}

static int add_record(writer *to, const hf_record *record, hf_error *reterr) {
  int status = HF_OK;
  switch (to->format) {
  case HF_EXPORT_INDEX:
    (void)hf_buf_add_text(&to->out, to->count == 0 ? "\n" : ",\n");
    status = hf_export_index_entry(record, &to->keys, &to->out, reterr);
    break;
  case HF_EXPORT_JSONL: {
    hf_autofree char *line = NULL;
    size_t bytes = 0;
    status = hf_record_json(record, &line, &bytes, reterr);
    if (status != HF_OK)
      return status;
    (void)hf_buf_add(&to->out, line, bytes);
    (void)hf_buf_add_char(&to->out, '\n');
    break;
  }
  case HF_EXPORT_CSV:
    status = hf_export_csv_line(record, &to->out, reterr);
    break;
  }
  if (status != HF_OK)
    return status;
  to->count++;
  return to->out.used >= PIECE_BYTES ? flush(to, reterr) : HF_OK;
}

static int begin(writer *to, hf_error *reterr) {
  if (to->format == HF_EXPORT_INDEX)
    (void)hf_buf_add_char(&to->out, '{');
  if (to->format == HF_EXPORT_CSV)
    return hf_export_csv_line(NULL, &to->out, reterr);
  return HF_OK;
}

static int end(writer *to, hf_error *reterr) {
  if (to->format == HF_EXPORT_INDEX)
    (void)hf_buf_add_text(&to->out, to->count == 0 ? "}\n" : "\n}\n");
  return flush(to, reterr);
}

/* Records that cannot be read are passed over: who exports from a damaged store wants what is left.
 * It is still an error, told when all else is written. */
static int write_all(hf_cursor *cursor, writer *to, const hf_export_options *options, uint64_t head,
                     hf_error *reterr) {
  hf_error first = HF_ERROR_INIT;
  uint64_t damaged = 0;
  for (;;) {
    hf_record *record = NULL;
    hf_error why = HF_ERROR_INIT;
    int got = hf_cursor_next(cursor, &record, &why);
    if (got == 0)
      break;
    if (got == HF_EDAMAGED && damaged <= head) {
      if (damaged++ == 0)
        first = why;
      continue;
    }
    if (got < 0) {
      if (reterr != NULL)
        *reterr = why;
      return got;
    }
    uint64_t seq = record->seq;
    int goes = record->dropped > 0 && to->format != HF_EXPORT_CSV;
    to->dropped += (uint64_t)goes;
    int status = goes ? HF_OK : add_record(to, record, reterr);
    hf_record_free(&record);
    if (status != HF_OK)
      return status;
    if (options->progress != NULL &&
        options->progress(options->progress_context, "records", seq, head) != 0)
      return hf_err(reterr, HF_ECANCELLED, NULL, "stopped after %llu snapshots",
                    (unsigned long long)to->count);
  }
  int status = end(to, reterr);
  if (status == HF_OK && damaged > 0)
    return hf_err(reterr, HF_EDAMAGED, first.place,
                  "%llu record%s left out, all others are written; the first: %s",
                  (unsigned long long)damaged, damaged == 1 ? " is" : "s are", first.message);
  return status;
}

static int export_all(hf_store *store, const hf_export_options *options, writer *to,
                      hf_error *reterr) {
  hf_list_options list;
  hf_cursor *cursor = NULL;
  uint64_t head = 0;
  memset(&list, 0, sizeof list);
  if (options->list != NULL)
    list = *options->list;
  int status = hf_head(store, &head, reterr);
  if (status == HF_OK)
    status = begin(to, reterr);
  if (status != HF_OK)
    return status;
  if (head == 0)
    return end(to, reterr);
  if (list.until == 0 || list.until > head)
    list.until = head;
  list.all_records = 0;
  list.all_revisions = to->format == HF_EXPORT_JSONL;
  list.retired = list.all_revisions;
  list.with_documents = to->format != HF_EXPORT_CSV;
  status = hf_list(store, &list, &cursor, reterr);
  if (status == HF_OK)
    status = write_all(cursor, to, options, list.until, reterr);
  hf_cursor_close(&cursor);
  return status;
}

int hf_export(hf_store *store, const hf_export_options *options, hf_write_fn write,
              void *write_context, uint64_t *ret_count, hf_error *reterr) {
  if (store == NULL || options == NULL || write == NULL || options->format < HF_EXPORT_INDEX ||
      options->format > HF_EXPORT_CSV)
    return hf_err(reterr, HF_EINVAL, NULL, "export needs a store, a known format and a writer");
  int status = hf_store_check(store, reterr);
  if (status != HF_OK)
    return status;
  writer to;
  memset(&to, 0, sizeof to);
  to.format = options->format;
  to.write = write;
  to.write_context = write_context;
  status = export_all(store, options, &to, reterr);
  hf_buf_free(&to.out);
  hf_map_free(&to.keys);
  if (options->ret_dropped != NULL)
    *options->ret_dropped = to.dropped;
  if (ret_count != NULL)
    *ret_count = to.count;
  return status;
}
