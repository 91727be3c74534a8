#include "legacy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "store.h"

#include "banned.h"

void hf_legacy_index_free(hf_legacy_index *index) {
  for (size_t i = 0; i < index->files_count; i++) {
    free(index->files[i].path);
    hf_buf_free(&index->files[i].text);
  }
  for (size_t i = 0; i < index->entries_count; i++)
    hf_legacy_entry_free(&index->entries[i]);
  free(index->files);
  free(index->entries);
  free(index->order);
  free(index->by_identity);
  memset(index, 0, sizeof *index);
}

static int find_all(hf_legacy_index *index, const char *const *paths, size_t paths_count,
                    const hf_import_options *options, hf_error *reterr) {
  for (size_t i = 0; i < paths_count; i++) {
    int status = hf_legacy_find(index, paths[i], options->log, options->log_context, reterr);
    if (status != HF_OK)
      return status;
  }
  return HF_OK;
}

static int read_all(hf_legacy_index *index, const hf_import_options *options,
                    uint64_t document_bytes_max, hf_import_report *report, hf_error *reterr) {
  for (size_t i = 0; i < index->files_count; i++) {
    if (options->progress != NULL &&
        options->progress(options->progress_context, "files", i, index->files_count) != 0)
      return hf_err(reterr, HF_ECANCELLED, NULL, "stopped while reading; nothing was saved");
    int status = hf_legacy_read(index, i, document_bytes_max, reterr);
    if (status != HF_OK)
      return status;
    report->files++;
    report->read = index->entries_count;
    report->nan_to_null = index->nan_count;
  }
  return HF_OK;
}

static void warn(const hf_import_options *options, uint64_t count, const char *format_one,
                 const char *format_more) {
  char message[256];
  if (options->log == NULL || count == 0)
    return;
  (void)snprintf(message, sizeof message, "%llu %s", (unsigned long long)count,
                 count == 1 ? format_one : format_more);
  options->log(options->log_context, HF_LOG_WARNING, message);
}

static void count_and_warn(const hf_legacy_index *index, const hf_import_options *options,
                           hf_import_report *report) {
  report->doubles = index->entries_count - index->unique_count;
  for (size_t i = 0; i < index->unique_count; i++)
    report->clock_ordered += (uint64_t)index->by_identity[i]->by_clock;
  warn(options, report->clock_ordered,
       "snapshot has no older seq that orders it among the others: its place rests on clocks",
       "snapshots have no older seq that orders them among all: their order rests on clocks");
  warn(options, report->doubles, "entry is the same snapshot as another one: imported once",
       "entries are the same snapshots as others: imported once");
  warn(options, index->edited_count, "entry was changed after its export: imported as it is now",
       "entries were changed after their export: imported as they are now");
}

static int import(hf_store *store, const char *const *paths, size_t paths_count,
                  const hf_import_options *options, hf_import_report *report, hf_error *reterr) {
  hf_autolegacy index;
  memset(&index, 0, sizeof index);
  int status = find_all(&index, paths, paths_count, options, reterr);
  if (status == HF_OK)
    status = read_all(&index, options, store->document_bytes_max, report, reterr);
  if (status == HF_OK)
    status = hf_legacy_sort(&index, reterr);
  if (status == HF_OK)
    status = hf_legacy_mark_present(&index, store, reterr);
  if (status != HF_OK)
    return status;
  count_and_warn(&index, options, report);
  for (size_t i = 0; i < index.unique_count; i++)
    report->present += (uint64_t)index.by_identity[i]->is_present;
  if (options->dry_run) {
    report->imported = index.unique_count - report->present;
    return HF_OK;
  }
  return hf_legacy_save(&index, store, options, report, reterr);
}

int hf_import(hf_store *store, const char *const *paths, size_t paths_count,
              const hf_import_options *options, hf_import_report *ret_report, hf_error *reterr) {
  hf_error why = HF_ERROR_INIT;
  hf_import_report report;
  hf_import_options defaults;
  int status = HF_OK;
  memset(&report, 0, sizeof report);
  memset(&defaults, 0, sizeof defaults);
  defaults.timeout_ms = -1;
  if (store == NULL || paths == NULL || paths_count == 0)
    status = hf_err(&why, HF_EINVAL, NULL, "import needs a store and at least one path");
  else
    status = hf_store_check(store, &why);
  if (status == HF_OK)
    status =
        import(store, paths, paths_count, options != NULL ? options : &defaults, &report, &why);
  if (ret_report != NULL)
    *ret_report = report;
  if (status != HF_OK && reterr != NULL)
    *reterr = why;
  return status;
}
