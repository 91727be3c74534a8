/* Looks at a store after a power loss (tests/cluster/powerloss), on the public interface alone, and
 * writes down what it saw: JSON, a line an event, on its standard output.
 *
 *     look STORE SEED PREVS GO_ON RETRY
 *
 * PREVS: seqs whose prev is asked for, with commas. GO_ON: 1: saves are made in the store's mode,
 * in the other one, and in the first again. RETRY: the number of an id that drivers of this seed
 * share, and whose save is tried again first; "-": none.
 *
 * A call that fails is an event, too: power_judge.py judges. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <holdfast/admin.h>

#include "driver.h"

enum { FOLDERS_OPEN_MAX = 16, RETRY_DOCUMENT_BYTES = 100, TEXT_BYTES = 64 };

static driver me = {.history_fd = STDOUT_FILENO, .options = {.name = "look", .timeout_ms = 10000}};
static size_t path_bytes; /* of the store's */

_Noreturn void driver_fail(const char *format, ...) {
  (void)fprintf(stderr, "look: failed: %s\n", format);
  exit(EXIT_FAILURE);
}

static void begin(history_line *line, const char *event, int status, const hf_error *error) {
  history_begin(line, event, history_now_ns());
  history_text(line, "status", hf_status_name(status < 0 ? status : HF_OK));
  if (status < 0) {
    history_text(line, "place", error->place);
    history_text(line, "message", error->message);
  }
}

/* ---- what is there ---- */

static int write_file(const char *path, const struct stat *status, int type, struct FTW *at) {
  history_line line;
  (void)at;
  if (type != FTW_F)
    return 0;
  history_begin(&line, "file", history_now_ns());
  history_text(&line, "path", path + path_bytes + 1);
  history_number(&line, "bytes", (uint64_t)status->st_size);
  history_write(&me, &line);
  return 0;
}

static void write_record(const hf_record *record) {
  char sha256[HF_SHA256_CHARS + 1];
  history_line line;
  const char *view = "";
  for (size_t i = 0; i < record->dims_count; i++)
    if (strcmp(record->dims[i].name, "view") == 0)
      view = record->dims[i].value;
  history_begin(&line, "record", history_now_ns());
  history_number(&line, "seq", record->seq);
  history_text(&line, "op", record->op);
  history_text(&line, "id", record->id);
  history_text(&line, "run_id", record->run_id);
  history_text(&line, "stage", record->stage);
  history_text(&line, "view", view);
  history_text(&line, "group", record->group);
  history_text(&line, "host", record->host);
  history_signed(&line, "pid", record->pid);
  history_text(&line, "sha256", record->sha256);
  if (record->doc != NULL)
    driver_sha256(record->doc, record->doc_bytes, sha256);
  history_text(&line, "doc_sha", record->doc != NULL ? sha256 : NULL);
  history_number(&line, "retired", record->retired);
  history_number(&line, "dropped", record->dropped);
  history_write(&me, &line);
}

static void list(hf_store *store) {
  hf_list_options options = {.all_records = 1, .with_documents = 1};
  hf_error error = HF_ERROR_INIT;
  hf_cursor *cursor = NULL;
  hf_record *record = NULL;
  history_line line;
  int status = hf_list(store, &options, &cursor, &error);
  while (status >= 0 && (status = hf_cursor_next(cursor, &record, &error)) == 1) {
    write_record(record);
    hf_record_free(&record);
  }
  hf_cursor_close(&cursor);
  begin(&line, "list", status, &error);
  history_write(&me, &line);
}

static void look_at_prev(hf_store *store, uint64_t seq) {
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  history_line line;
  int got = hf_prev_seq(store, seq, &record, &error);
  begin(&line, "prev", got, &error);
  history_number(&line, "of", seq);
  history_number(&line, "seq", got == 1 ? record->seq : 0);
  history_write(&me, &line);
  hf_record_free(&record);
}

static void look_at_prevs(hf_store *store, const char *seqs) {
  char *end = NULL;
  for (const char *at = seqs; *at != '\0'; at = *end == ',' ? end + 1 : end) {
    uint64_t seq = strtoull(at, &end, 10);
    if (end == at)
      driver_fail("PREVS");
    look_at_prev(store, seq);
  }
}

static void found(void *context, const hf_finding *finding) {
  history_line line;
  (void)context;
  history_begin(&line, "finding", history_now_ns());
  history_text(&line, "kind", finding->kind);
  history_text(&line, "path", finding->path);
  history_number(&line, "seq", finding->seq);
  history_text(&line, "text", finding->text);
  history_signed(&line, "damage", finding->damage);
  history_write(&me, &line);
}

static void verify(const char *path, const char *event) {
  hf_verify_options options = {.deep = 1, .finding = found};
  hf_error error = HF_ERROR_INIT;
  hf_verify_report report;
  history_line line;
  memset(&report, 0, sizeof report);
  int status = hf_verify(path, &options, &report, &error);
  begin(&line, event, status, &error);
  history_number(&line, "head", report.head);
  history_number(&line, "damaged", report.damaged);
  history_number(&line, "remarks", report.remarks);
  history_write(&me, &line);
}

/* ---- the work goes on ---- */

static void write_saved(const char *event, int status, const hf_saved *saved, hf_error *error) {
  history_line line;
  begin(&line, event, status, error);
  history_number(&line, "seq", saved->seq);
  history_signed(&line, "created", saved->created);
  history_text(&line, "id", saved->id);
  history_write(&me, &line);
}

static void save(hf_store *store, unsigned number) {
  char run_id[TEXT_BYTES];
  char doc[TEXT_BYTES];
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  memset(&saved, 0, sizeof saved);
  (void)snprintf(run_id, sizeof run_id, "after_%u", number);
  int bytes = snprintf(doc, sizeof doc, "{\"after\":%u}", number);
  hf_save_request request = {.key = {.run_id = run_id, .stage = "power"},
                             .group = "after",
                             .doc = doc,
                             .doc_bytes = (size_t)bytes};
  int status = hf_save(store, &request, me.options.timeout_ms, &saved, &error);
  write_saved("saved", status, &saved, &error);
  if (status == HF_OK)
    look_at_prev(store, saved.seq);
}

/* As save_ops.c does. */
static void retry(hf_store *store, uint64_t number) {
  char id[HF_ID_CHARS + 1];
  char label[TEXT_BYTES];
  driver_key key;
  driver_document document;
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  memset(&saved, 0, sizeof saved);
  driver_key_make("id", number, &key);
  driver_shared_id(&me, number, id);
  (void)snprintf(label, sizeof label, "id/%llu", (unsigned long long)number);
  driver_document_make(label, RETRY_DOCUMENT_BYTES, &document);
  hf_save_request request = {.key = driver_key_of(&key),
                             .group = "id",
                             .doc = document.sent,
                             .doc_bytes = document.sent_bytes,
                             .id = id};
  int status = hf_save(store, &request, me.options.timeout_ms, &saved, &error);
  write_saved("retried", status, &saved, &error);
  driver_document_free(&document);
}

static void change_mode(hf_store *store, const char *mode) {
  hf_set_locker_options options = {.timeout_ms = me.options.timeout_ms, .mode = mode};
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  memset(&saved, 0, sizeof saved);
  int status = hf_set_locker(store, "flock", &options, &saved.seq, &error);
  saved.created = status == 1;
  write_saved("saved", status, &saved, &error);
}

static void go_on(hf_store *store, const char *again) {
  hf_locker_choice choice;
  hf_error error = HF_ERROR_INIT;
  uint64_t head = 0;
  history_line line;
  if (strcmp(again, "-") != 0)
    retry(store, strtoull(again, NULL, 10));
  int status = hf_get_locker(store, &choice, &error);
  if (status == HF_OK)
    status = hf_head(store, &head, &error);
  begin(&line, "goes-on", status, &error);
  history_number(&line, "head", head);
  history_write(&me, &line);
  if (status != HF_OK)
    return;
  int is_journal = strcmp(choice.mode, "journal") == 0;
  save(store, 1);
  change_mode(store, is_journal ? "publish" : "journal");
  save(store, 2);
  change_mode(store, is_journal ? "journal" : "publish");
  save(store, 3);
}

static hf_store *open_store(const char *path) {
  hf_error error = HF_ERROR_INIT;
  hf_store *store = NULL;
  history_line line;
  int status = hf_open(path, NULL, &store, &error);
  begin(&line, "opened", status, &error);
  history_write(&me, &line);
  if (status != HF_OK)
    exit(EXIT_SUCCESS); /* that is told, and is all */
  return store;
}

int main(int argc, char **argv) {
  if (argc != 6)
    driver_fail("look STORE SEED PREVS GO_ON RETRY");
  const char *path = argv[1];
  path_bytes = strlen(path);
  me.options.seed = strtoull(argv[2], NULL, 10);
  if (nftw(path, write_file, FOLDERS_OPEN_MAX, FTW_PHYS) != 0)
    driver_fail("the store's files cannot be listed");
  verify(path, "verify");
  hf_store *store = open_store(path);
  list(store);
  look_at_prevs(store, argv[3]);
  hf_close(&store);
  if (strcmp(argv[4], "1") == 0) {
    store = open_store(path);
    go_on(store, argv[5]);
    hf_close(&store);
    store = open_store(path);
    list(store);
    hf_close(&store);
    verify(path, "verify-after");
  }
  history_line line;
  history_begin(&line, "end", history_now_ns());
  history_write(&me, &line);
  return 0;
}
