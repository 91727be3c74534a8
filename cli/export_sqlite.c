/* Snapshots as an SQLite database: tables `snapshots`, `meta`, `stages` and `columns`, and for each
 * stage a view with its name that has a column for each scalar value of its documents.
 *
 * The views stand on tables of their own (values_1 ...), not on json_extract over `doc`: that turns
 * 1e400 into infinity and long integers into rounded ones, takes the first of two members with one
 * name, and parses the whole document each time.
 *
 * The file is made by one process in one go, and counts as nothing until it was renamed: so neither
 * a journal nor flushes in between. */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "errors.h"
#include "export_job.h"
#include "progress.h"

enum { SIGNAL_LOOK_STEPS = 10000 };

typedef struct writing {
  hf_cli_export_job *job;
  hf_cli_plan *plan;
  sqlite3 *db;
  sqlite3_stmt *snapshot;
  sqlite3_stmt **values; /* of each sheet; NULL: not yet */
  hf_cli_bytes scratch;
  size_t sheet;       /* of the snapshot that is being written */
  sqlite3_stmt *leaf; /* the row of its values */
  int failed;         /* an SQLite code, within a document */
} writing;

/* ---- errors, statements ---- */

static int told(const writing *on, int rc) {
  const char *out = on->job->cli->args.out;
  if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW)
    return HF_CLI_DONE;
  if (rc == SQLITE_INTERRUPT)
    return hf_cli_failed(on->job->cli, on->job->cli->store_path, "stopped by a signal");
  if (rc == SQLITE_NOMEM)
    return hf_cli_no_memory(on->job->cli);
  if (rc == SQLITE_TOOBIG)
    return hf_cli_failed(on->job->cli, out, "a document is too long for SQLite");
  int number = on->db != NULL ? sqlite3_system_errno(on->db) : 0;
  return hf_cli_failed(on->job->cli, out, "cannot be written: %s%s%s",
                       on->db != NULL ? sqlite3_errmsg(on->db) : sqlite3_errstr(rc),
                       number != 0 ? ": " : "", number != 0 ? strerror(number) : "");
}

static int run(const writing *on, const char *sql) {
  return told(on, sqlite3_exec(on->db, sql, NULL, NULL, NULL));
}

/* Runs what was put together, and empties it. */
static int run_bytes(const writing *on, hf_cli_bytes *sql) {
  const char *text = hf_cli_bytes_string(sql);
  int status = text != NULL ? run(on, text) : hf_cli_no_memory(on->job->cli);
  sql->used = 0;
  return status;
}

static int prepare(const writing *on, const char *sql, sqlite3_stmt **ret) {
  return told(on, sqlite3_prepare_v3(on->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL));
}

static int step(const writing *on, sqlite3_stmt *statement) {
  int rc = sqlite3_step(statement);
  int reset = sqlite3_reset(statement);
  int status = told(on, rc != SQLITE_DONE ? rc : reset);
  (void)sqlite3_clear_bindings(statement);
  return status;
}

static int bind_text(sqlite3_stmt *to, int at, const char *text) {
  return text == NULL ? sqlite3_bind_null(to, at)
                      : sqlite3_bind_text64(to, at, text, strlen(text), SQLITE_STATIC, SQLITE_UTF8);
}

/* A name in quotation marks, those within it doubled. */
static void add_name(hf_cli_bytes *sql, const char *name) {
  hf_cli_bytes_text(sql, "\"");
  for (const char *c = name; *c != '\0'; c++) {
    if (*c == '"')
      hf_cli_bytes_text(sql, "\"");
    hf_cli_bytes_add(sql, c, 1);
  }
  hf_cli_bytes_text(sql, "\"");
}

static void add_table(hf_cli_bytes *sql, size_t sheet) {
  char name[40];
  (void)snprintf(name, sizeof name, "values_%zu", sheet + 1);
  hf_cli_bytes_text(sql, name);
}

/* ---- the schema ---- */

static const char schema[] =
    "CREATE TABLE snapshots(seq INTEGER PRIMARY KEY, run_id TEXT NOT NULL, stage TEXT NOT NULL,"
    " dims TEXT NOT NULL, \"group\" TEXT, ts TEXT, at TEXT, host TEXT, pid INTEGER, id TEXT,"
    " sha256 TEXT, size INTEGER, current INTEGER NOT NULL, doc TEXT);"
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE stages(stage TEXT PRIMARY KEY, \"view\" TEXT NOT NULL,"
    " snapshots INTEGER NOT NULL, pointers INTEGER NOT NULL);"
    "CREATE TABLE columns(\"view\" TEXT NOT NULL, \"column\" TEXT NOT NULL, pointer TEXT NOT NULL,"
    " type TEXT NOT NULL, snapshots INTEGER NOT NULL, PRIMARY KEY(\"view\", \"column\"))"
    " WITHOUT ROWID;";

static const char indexes[] = "CREATE INDEX snapshots_run_id ON snapshots(run_id, stage);"
                              "CREATE INDEX snapshots_stage ON snapshots(stage, current);"
                              "CREATE INDEX snapshots_group ON snapshots(\"group\", stage);";

/* Names that a view cannot have, beside values_N. */
static const char *const taken[] = {
    "snapshots",       "meta",           "stages", "columns", "snapshots_run_id",
    "snapshots_stage", "snapshots_group"};

static const char *type_name(const hf_cli_plan_leaf *leaf) {
  switch (leaf->type) {
  case HF_CLI_CELL_BOOLEAN:
    return "BOOLEAN";
  case HF_CLI_CELL_INTEGER:
    return "INTEGER";
  case HF_CLI_CELL_REAL:
    return "REAL";
  case HF_CLI_CELL_NULL:
  case HF_CLI_CELL_TEXT:
    break;
  }
  return leaf->is_mixed ? "MIXED" : "TEXT";
}

/* Without a type SQLite converts nothing: "007" stays a text beside numbers. */
static const char *declared_type(const hf_cli_plan_leaf *leaf) {
  return leaf->is_mixed ? "" : type_name(leaf);
}

static int make_values_table(writing *on, size_t sheet, hf_cli_bytes *sql) {
  const hf_cli_plan_sheet *of = hf_cli_plan_sheet_at(on->plan, sheet);
  hf_cli_bytes_text(sql, "CREATE TABLE ");
  add_table(sql, sheet);
  hf_cli_bytes_text(sql, "(seq INTEGER PRIMARY KEY");
  for (size_t i = 0; i < of->columns_count; i++) {
    const hf_cli_plan_leaf *leaf = hf_cli_plan_leaf_at(on->plan, of->columns[i]);
    hf_cli_bytes_text(sql, ", ");
    add_name(sql, leaf->name);
    hf_cli_bytes_text(sql, " ");
    hf_cli_bytes_text(sql, declared_type(leaf));
  }
  hf_cli_bytes_text(sql, ")");
  return run_bytes(on, sql);
}

static int make_view(writing *on, size_t sheet, const char *view, hf_cli_bytes *sql) {
  const hf_cli_plan_sheet *of = hf_cli_plan_sheet_at(on->plan, sheet);
  hf_cli_bytes_text(sql, "CREATE VIEW ");
  add_name(sql, view);
  hf_cli_bytes_text(sql, " AS SELECT s.seq, s.run_id, s.dims, s.\"group\", s.ts, s.at, s.current");
  for (size_t i = 0; i < of->columns_count; i++) {
    hf_cli_bytes_text(sql, ", v.");
    add_name(sql, hf_cli_plan_leaf_at(on->plan, of->columns[i])->name);
  }
  hf_cli_bytes_text(sql, " FROM ");
  add_table(sql, sheet);
  hf_cli_bytes_text(sql, " AS v JOIN snapshots AS s ON s.seq = v.seq");
  return run_bytes(on, sql);
}

static int make_insert(writing *on, size_t sheet, hf_cli_bytes *sql) {
  const hf_cli_plan_sheet *of = hf_cli_plan_sheet_at(on->plan, sheet);
  hf_cli_bytes_text(sql, "INSERT INTO ");
  add_table(sql, sheet);
  hf_cli_bytes_text(sql, " VALUES(?");
  for (size_t i = 0; i < of->columns_count; i++)
    hf_cli_bytes_text(sql, ",?");
  hf_cli_bytes_text(sql, ")");
  const char *text = hf_cli_bytes_string(sql);
  sql->used = 0;
  return text != NULL ? prepare(on, text, &on->values[sheet]) : hf_cli_no_memory(on->job->cli);
}

/* Is the name free, as SQLite compares names? And not one of its own. */
static int name_free(const writing *on, char *const *views, size_t count, const char *name) {
  if (name[0] == '\0' || strncasecmp(name, "sqlite_", 7) == 0)
    return 0;
  if (strncasecmp(name, "values_", 7) == 0 && name[7] != '\0' &&
      name[7 + strspn(name + 7, "0123456789")] == '\0')
    return 0;
  for (size_t i = 0; i < HF_CLI_COUNT(taken); i++)
    if (strcasecmp(name, taken[i]) == 0)
      return 0;
  for (size_t i = 0; i < count; i++)
    if (strcasecmp(name, views[i]) == 0)
      return 0;
  /* a stage that comes later and has this very name goes before one that only borrows it */
  for (size_t i = count + 1; i < hf_cli_plan_sheets_count(on->plan); i++)
    if (strcmp(name, hf_cli_plan_sheet_at(on->plan, i)->stage) == 0)
      return 0;
  return 1;
}

/* The stage's own name; where that is taken "NAME (2)" ...; sqlite_NAME becomes "stage
 * sqlite_NAME".
 */
static char *view_name(const writing *on, char *const *views, size_t sheet) {
  const char *stage = hf_cli_plan_sheet_at(on->plan, sheet)->stage;
  const char *before = strncasecmp(stage, "sqlite_", 7) == 0 ? "stage " : "";
  size_t bytes = strlen(stage) + 40;
  char *name = malloc(bytes);
  if (name == NULL)
    return NULL;
  (void)snprintf(name, bytes, "%s%s", before, stage);
  for (size_t i = 2; !name_free(on, views, sheet, name); i++)
    (void)snprintf(name, bytes, "%s%s (%zu)", before, stage, i);
  return name;
}

static int tell_sheet(writing *on, size_t sheet, const char *view) {
  const hf_cli_plan_sheet *of = hf_cli_plan_sheet_at(on->plan, sheet);
  sqlite3_stmt *statement = NULL;
  int status = prepare(on, "INSERT INTO stages VALUES(?,?,?,?)", &statement);
  if (status == HF_CLI_DONE) {
    (void)bind_text(statement, 1, of->stage);
    (void)bind_text(statement, 2, view);
    (void)sqlite3_bind_int64(statement, 3, (sqlite3_int64)of->rows);
    (void)sqlite3_bind_int64(statement, 4, (sqlite3_int64)of->leaves);
    status = step(on, statement);
  }
  (void)sqlite3_finalize(statement);
  statement = NULL;
  if (status == HF_CLI_DONE)
    status = prepare(on, "INSERT INTO columns VALUES(?,?,?,?,?)", &statement);
  for (size_t i = 0; status == HF_CLI_DONE && i < of->columns_count; i++) {
    const hf_cli_plan_leaf *leaf = hf_cli_plan_leaf_at(on->plan, of->columns[i]);
    (void)bind_text(statement, 1, view);
    (void)bind_text(statement, 2, leaf->name);
    (void)bind_text(statement, 3, leaf->pointer);
    (void)bind_text(statement, 4, type_name(leaf));
    (void)sqlite3_bind_int64(statement, 5, (sqlite3_int64)leaf->count);
    status = step(on, statement);
  }
  (void)sqlite3_finalize(statement);
  return status;
}

static int make_sheets(writing *on) {
  size_t count = hf_cli_plan_sheets_count(on->plan);
  char **views = calloc(count + 1, sizeof *views);
  hf_cli_bytes sql = {0};
  int status = HF_CLI_DONE;
  on->values = calloc(count + 1, sizeof(sqlite3_stmt *));
  if (views == NULL || on->values == NULL)
    status = hf_cli_no_memory(on->job->cli);
  for (size_t i = 0; status == HF_CLI_DONE && i < count; i++) {
    views[i] = view_name(on, views, i);
    status = views[i] != NULL ? make_values_table(on, i, &sql) : hf_cli_no_memory(on->job->cli);
    if (status == HF_CLI_DONE)
      status = make_view(on, i, views[i], &sql);
    if (status == HF_CLI_DONE)
      status = tell_sheet(on, i, views[i]);
    if (status == HF_CLI_DONE)
      status = make_insert(on, i, &sql);
  }
  for (size_t i = 0; views != NULL && i < count; i++)
    free(views[i]);
  free(views);
  hf_cli_bytes_free(&sql);
  return status;
}

/* ---- rows ---- */

static int bind_leaf(sqlite3_stmt *to, int at, const hf_cli_cell *cell) {
  switch (cell->type) {
  case HF_CLI_CELL_NULL:
    return SQLITE_OK;
  case HF_CLI_CELL_BOOLEAN:
  case HF_CLI_CELL_INTEGER:
    return sqlite3_bind_int64(to, at, cell->integer);
  case HF_CLI_CELL_REAL:
    return sqlite3_bind_double(to, at, cell->real);
  case HF_CLI_CELL_TEXT:
    break;
  }
  /* in the scratch, which the next leaf overwrites */
  return sqlite3_bind_text64(to, at, cell->text, cell->text_bytes, SQLITE_TRANSIENT, SQLITE_UTF8);
}

/* In a column of several types each number is what it is by itself; true and false are texts. */
static hf_cli_cell_type cell_type(const hf_cli_plan_leaf *column, const hf_leaf *leaf) {
  if (!column->is_mixed || leaf->type != HF_LEAF_NUMBER)
    return column->type;
  return hf_cli_leaf_cell_type(leaf);
}

static int put_leaf(void *context, const hf_leaf *leaf) {
  writing *on = context;
  const hf_cli_plan_leaf *of = hf_cli_plan_find(on->plan, on->sheet, leaf);
  hf_cli_cell cell;
  if (of == NULL)
    return 0;
  if (hf_cli_leaf_cell(leaf, cell_type(of, leaf), &on->scratch, &cell) != 0)
    on->failed = SQLITE_NOMEM;
  else
    on->failed = bind_leaf(on->leaf, (int)of->column + 2, &cell);
  return on->failed != SQLITE_OK;
}

static int put_values(writing *on, const hf_record *record) {
  on->sheet = hf_cli_plan_sheet_of(on->plan, record->stage != NULL ? record->stage : "");
  if (on->sheet == SIZE_MAX)
    return HF_CLI_DONE;
  on->leaf = on->values[on->sheet];
  on->failed = sqlite3_bind_int64(on->leaf, 1, (sqlite3_int64)record->seq);
  if (record->doc != NULL &&
      hf_json_leaves(record->doc, record->doc_bytes, put_leaf, on, NULL) != HF_OK &&
      on->failed == SQLITE_OK)
    on->failed = SQLITE_NOMEM;
  return on->failed != SQLITE_OK ? told(on, on->failed) : step(on, on->leaf);
}

static int put_record(void *context, const hf_record *record) {
  writing *on = context;
  sqlite3_stmt *to = on->snapshot;
  const char *dims = hf_cli_export_dims(record, &on->scratch);
  if (dims == NULL)
    return hf_cli_no_memory(on->job->cli);
  int rc = sqlite3_bind_int64(to, 1, (sqlite3_int64)record->seq);
  const char *const texts[] = {record->run_id, record->stage, dims,        record->group,
                               record->ts,     record->at,    record->host};
  for (size_t i = 0; rc == SQLITE_OK && i < HF_CLI_COUNT(texts); i++)
    rc = bind_text(to, (int)i + 2, texts[i]);
  if (rc == SQLITE_OK)
    rc = sqlite3_bind_int64(to, 9, record->pid);
  if (rc == SQLITE_OK)
    rc = bind_text(to, 10, record->id);
  if (rc == SQLITE_OK)
    rc = bind_text(to, 11, record->sha256);
  if (rc == SQLITE_OK)
    rc = sqlite3_bind_int64(to, 12, (sqlite3_int64)record->size);
  if (rc == SQLITE_OK)
    rc = sqlite3_bind_int(to, 13, record->is_current != 0);
  if (rc == SQLITE_OK && record->doc != NULL)
    rc = sqlite3_bind_text64(to, 14, record->doc, record->doc_bytes, SQLITE_STATIC, SQLITE_UTF8);
  if (rc != SQLITE_OK)
    return told(on, rc);
  on->job->dropped += record->doc == NULL;
  on->job->count++;
  int status = step(on, to);
  return status == HF_CLI_DONE ? put_values(on, record) : status;
}

/* ---- the whole ---- */

static int put_meta(writing *on) {
  char at[24];
  char when[40] = "";
  time_t now = time(NULL);
  struct tm parts;
  hf_info info;
  hf_error err = HF_ERROR_INIT;
  if (hf_store_info(on->job->cli->store, &info, &err) != HF_OK)
    return hf_cli_library_error(on->job->cli, NULL, &err);
  (void)snprintf(at, sizeof at, "%" PRIu64, on->job->at);
  if (gmtime_r(&now, &parts) != NULL)
    (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts);
  const char *const pairs[][2] = {
      {"store", info.uuid}, {"at", at}, {"holdfast", HF_VERSION}, {"exported", when}};
  sqlite3_stmt *statement = NULL;
  int status = prepare(on, "INSERT INTO meta VALUES(?,?)", &statement);
  for (size_t i = 0; status == HF_CLI_DONE && i < HF_CLI_COUNT(pairs); i++) {
    (void)bind_text(statement, 1, pairs[i][0]);
    (void)bind_text(statement, 2, pairs[i][1]);
    status = step(on, statement);
  }
  (void)sqlite3_finalize(statement);
  return status;
}

static int signalled(void *context) {
  (void)context;
  return hf_cli_signalled();
}

static int begin(writing *on, const char *path) {
  int rc = sqlite3_open_v2(path, &on->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
  if (rc != SQLITE_OK)
    return told(on, rc);
  int status = run(on, "PRAGMA page_size=16384; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
                       "PRAGMA locking_mode=EXCLUSIVE; PRAGMA cache_size=-16000; BEGIN");
  if (status == HF_CLI_DONE)
    status = run(on, schema);
  if (status == HF_CLI_DONE)
    status = make_sheets(on);
  if (status == HF_CLI_DONE)
    status =
        prepare(on, "INSERT INTO snapshots VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)", &on->snapshot);
  return status;
}

static int end(writing *on) {
  sqlite3_progress_handler(on->db, SIGNAL_LOOK_STEPS, signalled, NULL);
  int status = put_meta(on);
  if (status == HF_CLI_DONE)
    status = run(on, indexes);
  return status == HF_CLI_DONE ? run(on, "COMMIT") : status;
}

static int finish(writing *on, int status) {
  (void)sqlite3_finalize(on->snapshot);
  for (size_t i = 0; on->values != NULL && i < hf_cli_plan_sheets_count(on->plan); i++)
    (void)sqlite3_finalize(on->values[i]);
  int rc = sqlite3_close(on->db);
  if (status == HF_CLI_DONE && rc != SQLITE_OK) {
    on->db = NULL;
    status = told(on, rc);
  }
  free(on->values);
  hf_cli_plan_free(&on->plan);
  hf_cli_bytes_free(&on->scratch);
  return status;
}

int hf_cli_has_sqlite(void) {
  return 1;
}

int hf_cli_export_sqlite(hf_cli_export_job *job, const char *path) {
  writing on = {.job = job};
  int status = hf_cli_export_plan(job, 1, 1, &on.plan);
  if (status == HF_CLI_DONE)
    status = begin(&on, path);
  if (status == HF_CLI_DONE)
    status = hf_cli_export_walk(job, "records written", put_record, &on);
  if (status == HF_CLI_DONE)
    status = end(&on);
  return finish(&on, status);
}
