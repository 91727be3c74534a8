/* SQLite as a careful user would set it up for the same job: write-ahead log, every commit flushed,
 * the key unique, the question "which comparable run came before" answered by an index. */
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

enum { BUSY_TIMEOUT_MS = 60000, PATH_BYTES = 4200, PRAGMA_BYTES = 64 };

typedef struct connection {
  sqlite3 *db;
  sqlite3_stmt *insert;
} connection;

const char *hf_bench_sqlite_journal = "WAL";

static const char schema[] =
    "CREATE TABLE snapshot ("
    "  seq INTEGER PRIMARY KEY,"
    "  run_id TEXT NOT NULL, stage TEXT NOT NULL, target TEXT NOT NULL, view TEXT NOT NULL,"
    "  comparison_group TEXT, ts TEXT, doc TEXT NOT NULL,"
    "  UNIQUE (run_id, stage, target, view));"
    "CREATE INDEX snapshot_group ON snapshot (comparison_group, stage, target, view, seq);";

static const char insertion[] =
    "INSERT INTO snapshot (run_id, stage, target, view, comparison_group, ts, doc) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

static int failed(const char *what, sqlite3 *db, char *error) {
  (void)snprintf(error, HF_BENCH_TEXT_BYTES_MAX, "sqlite: %s: %.300s", what, sqlite3_errmsg(db));
  return -1;
}

static void sqlite_close(void **state) {
  connection *c = *state;
  if (c) {
    (void)sqlite3_finalize(c->insert);
    (void)sqlite3_close(c->db);
    free(c);
  }
  *state = NULL;
}

static int connect(const char *folder, connection **ret_connection, char *error) {
  char path[PATH_BYTES];
  int n = snprintf(path, sizeof path, "%s/snapshots.db", folder);
  connection *c = calloc(1, sizeof *c);
  if (!c || n < 0 || (size_t)n >= sizeof path) {
    free(c);
    (void)snprintf(error, HF_BENCH_TEXT_BYTES_MAX, "sqlite: no memory, or the path is too long");
    return -1;
  }
  void *state = c;
  int result = 0;
  if (sqlite3_open(path, &c->db) != SQLITE_OK ||
      sqlite3_busy_timeout(c->db, BUSY_TIMEOUT_MS) != SQLITE_OK ||
      sqlite3_exec(c->db, "PRAGMA synchronous=FULL", NULL, NULL, NULL) != SQLITE_OK) {
    result = failed("open", c->db, error);
    sqlite_close(&state);
  }
  *ret_connection = state;
  return result;
}

static int sqlite_open(const char *folder, void **ret_state, char *error) {
  connection *c = NULL;
  if (connect(folder, &c, error) < 0) {
    return -1;
  }
  void *state = c;
  if (sqlite3_prepare_v2(c->db, insertion, -1, &c->insert, NULL) != SQLITE_OK) {
    (void)failed("prepare", c->db, error);
    sqlite_close(&state);
    return -1;
  }
  *ret_state = c;
  return 0;
}

static int sqlite_save(void *state, const hf_bench_document *d, char *error) {
  connection *c = state;
  const char *texts[] = {d->run_id, d->stage, d->target, d->view, d->group, d->timestamp};
  for (int i = 0; i < 6; i++) {
    if (sqlite3_bind_text(c->insert, i + 1, texts[i], -1, SQLITE_STATIC) != SQLITE_OK) {
      return failed("bind", c->db, error);
    }
  }
  if (sqlite3_bind_text(c->insert, 7, d->text, (int)d->text_bytes, SQLITE_STATIC) != SQLITE_OK) {
    return failed("bind", c->db, error);
  }
  /* A statement outside BEGIN is a transaction: it is durable when step answers. */
  if (sqlite3_step(c->insert) != SQLITE_DONE || sqlite3_reset(c->insert) != SQLITE_OK) {
    return failed("insert", c->db, error);
  }
  return 0;
}

static int prepare(const char *folder, const char *mode, uint64_t history, char *error) {
  connection *c = NULL;
  if (connect(folder, &c, error) < 0) {
    return -1;
  }
  void *state = c;
  int result = 0;
  char journal[PRAGMA_BYTES];
  (void)snprintf(journal, sizeof journal, "PRAGMA journal_mode=%s", mode);
  if (sqlite3_exec(c->db, journal, NULL, NULL, NULL) != SQLITE_OK ||
      sqlite3_exec(c->db, schema, NULL, NULL, NULL) != SQLITE_OK ||
      sqlite3_prepare_v2(c->db, insertion, -1, &c->insert, NULL) != SQLITE_OK ||
      sqlite3_exec(c->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) {
    result = failed("schema", c->db, error);
  }
  hf_bench_document document;
  for (uint64_t i = 0; i < history && result == 0; i++) {
    hf_bench_document_make(i, &document);
    result = sqlite_save(c, &document, error);
  }
  if (result == 0 && sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
    result = failed("commit", c->db, error);
  }
  sqlite_close(&state);
  return result;
}

static int sqlite_count(const char *folder, uint64_t *ret_count, char *error) {
  connection *c = NULL;
  if (connect(folder, &c, error) < 0) {
    return -1;
  }
  void *state = c;
  int result = 0;
  if (sqlite3_prepare_v2(c->db, "SELECT count(*) FROM snapshot", -1, &c->insert, NULL) !=
          SQLITE_OK ||
      sqlite3_step(c->insert) != SQLITE_ROW) {
    result = failed("count", c->db, error);
  } else {
    *ret_count = (uint64_t)sqlite3_column_int64(c->insert, 0);
  }
  sqlite_close(&state);
  return result;
}

static int sqlite_prepare(const char *folder, uint64_t history, int singly, char *error) {
  (void)singly; /* it leaves the same table */
  return prepare(folder, hf_bench_sqlite_journal, history, error);
}

static int rollback_prepare(const char *folder, uint64_t history, int singly, char *error) {
  (void)singly;
  return prepare(folder, "DELETE", history, error);
}

const hf_bench_peer hf_bench_sqlite = {
    .name = "sqlite",
    .one_handle = 0,
    .prepare = sqlite_prepare,
    .open = sqlite_open,
    .close = sqlite_close,
    .save = sqlite_save,
    .count = sqlite_count,
};

const hf_bench_peer hf_bench_sqlite_rollback = {
    .name = "sqlite-rollback",
    .one_handle = 0,
    .prepare = rollback_prepare,
    .open = sqlite_open,
    .close = sqlite_close,
    .save = sqlite_save,
    .count = sqlite_count,
};
