/* LMDB as a careful user would set it up for the same job: every commit flushed (its default), the
 * documents by number, the key unique, the question "which comparable run came before" answered by
 * an index; all three changed in one transaction. */
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lmdb.h>

enum { KEY_BYTES_MAX = 500, TABLES = 3 };

/* Enough for a million documents; LMDB maps it, and uses what it needs. */
static const size_t map_bytes = (size_t)8 << 30;

typedef struct environment {
  MDB_env *env;
  MDB_dbi snapshots; /* number -> document */
  MDB_dbi keys;      /* run, stage, target, view -> number */
  MDB_dbi groups;    /* group, stage, target, view, number -> nothing */
} environment;

static int failed(const char *what, int result, char *error) {
  (void)snprintf(error, HF_BENCH_TEXT_BYTES_MAX, "lmdb: %s: %.300s", what, mdb_strerror(result));
  return -1;
}

static void lmdb_close(void **state) {
  environment *e = *state;
  if (e != NULL) {
    mdb_env_close(e->env);
    free(e);
  }
  *state = NULL;
}

static int open_tables(environment *e, unsigned flags) {
  MDB_txn *txn = NULL;
  int result = mdb_txn_begin(e->env, NULL, flags == 0 ? MDB_RDONLY : 0, &txn);
  if (result != 0) {
    return result;
  }
  result = mdb_dbi_open(txn, "snapshots", flags | MDB_INTEGERKEY, &e->snapshots);
  if (result == 0) {
    result = mdb_dbi_open(txn, "keys", flags, &e->keys);
  }
  if (result == 0) {
    result = mdb_dbi_open(txn, "groups", flags, &e->groups);
  }
  if (result != 0) {
    mdb_txn_abort(txn);
    return result;
  }
  return mdb_txn_commit(txn);
}

static int connect(const char *folder, unsigned flags, void **ret_state, char *error) {
  environment *e = calloc(1, sizeof *e);
  void *state = e;
  if (e == NULL) {
    return failed("open", MDB_PANIC, error);
  }
  int result = mdb_env_create(&e->env);
  if (result == 0) {
    result = mdb_env_set_mapsize(e->env, map_bytes);
  }
  if (result == 0) {
    result = mdb_env_set_maxdbs(e->env, TABLES);
  }
  if (result == 0) {
    result = mdb_env_open(e->env, folder, 0, 0666);
  }
  if (result == 0) {
    result = open_tables(e, flags);
  }
  if (result != 0) {
    lmdb_close(&state);
    return failed("open", result, error);
  }
  *ret_state = e;
  return 0;
}

static int lmdb_open(const char *folder, void **ret_state, char *error) {
  return connect(folder, 0, ret_state, error);
}

/* The texts, each with its end. */
static MDB_val join(char *to, const char *const *texts, size_t count) {
  size_t used = 0;
  for (size_t i = 0; i < count; i++) {
    size_t bytes = strlen(texts[i]) + 1;
    if (used + bytes > KEY_BYTES_MAX - sizeof(size_t)) {
      break;
    }
    memcpy(to + used, texts[i], bytes);
    used += bytes;
  }
  return (MDB_val){used, to};
}

static int last_number(MDB_txn *txn, const environment *e, size_t *ret_number) {
  MDB_cursor *cursor = NULL;
  MDB_val key;
  MDB_val data;
  int result = mdb_cursor_open(txn, e->snapshots, &cursor);
  if (result != 0) {
    return result;
  }
  result = mdb_cursor_get(cursor, &key, &data, MDB_LAST);
  *ret_number = 0;
  if (result == 0) {
    memcpy(ret_number, key.mv_data, sizeof *ret_number);
  }
  mdb_cursor_close(cursor);
  return result == MDB_NOTFOUND ? 0 : result;
}

static int put(MDB_txn *txn, const environment *e, const hf_bench_document *d) {
  char text[KEY_BYTES_MAX];
  const char *key_texts[] = {d->run_id, d->stage, d->target, d->view};
  const char *group_texts[] = {d->group, d->stage, d->target, d->view};
  size_t number = 0;
  int result = last_number(txn, e, &number);
  number++;
  MDB_val number_val = {sizeof number, &number};
  MDB_val document = {d->text_bytes, (void *)(size_t)d->text};
  if (result == 0) {
    result = mdb_put(txn, e->snapshots, &number_val, &document, MDB_APPEND);
  }
  if (result == 0) {
    MDB_val key = join(text, key_texts, 4);
    result = mdb_put(txn, e->keys, &key, &number_val, MDB_NOOVERWRITE);
  }
  if (result == 0) {
    MDB_val key = join(text, group_texts, 4);
    MDB_val nothing = {0, NULL};
    for (size_t i = 0; i < sizeof number; i++) {
      text[key.mv_size + i] = (char)(number >> (8 * (sizeof number - 1 - i)));
    }
    key.mv_size += sizeof number;
    result = mdb_put(txn, e->groups, &key, &nothing, 0);
  }
  return result;
}

static int lmdb_save(void *state, const hf_bench_document *document, char *error) {
  const environment *e = state;
  MDB_txn *txn = NULL;
  int result = mdb_txn_begin(e->env, NULL, 0, &txn);
  if (result != 0) {
    return failed("begin", result, error);
  }
  result = put(txn, e, document);
  if (result != 0) {
    mdb_txn_abort(txn);
    return failed("put", result, error);
  }
  result = mdb_txn_commit(txn);
  return result == 0 ? 0 : failed("commit", result, error);
}

static int fill(const environment *e, uint64_t history, char *error) {
  MDB_txn *txn = NULL;
  int result = mdb_txn_begin(e->env, NULL, 0, &txn);
  hf_bench_document document;
  for (uint64_t i = 0; i < history && result == 0; i++) {
    hf_bench_document_make(i, &document);
    result = put(txn, e, &document);
  }
  if (result == 0) {
    result = mdb_txn_commit(txn);
  }
  return result == 0 ? 0 : failed("fill", result, error);
}

static int lmdb_prepare(const char *folder, uint64_t history, int singly, char *error) {
  (void)singly; /* it leaves the same tables */
  void *state = NULL;
  int result = connect(folder, MDB_CREATE, &state, error);
  if (result == 0 && history > 0) {
    result = fill(state, history, error);
  }
  lmdb_close(&state);
  return result;
}

static int lmdb_count(const char *folder, uint64_t *ret_count, char *error) {
  void *state = NULL;
  MDB_txn *txn = NULL;
  MDB_stat stat;
  if (connect(folder, 0, &state, error) != 0) {
    return -1;
  }
  const environment *e = state;
  int result = mdb_txn_begin(e->env, NULL, MDB_RDONLY, &txn);
  if (result == 0) {
    result = mdb_stat(txn, e->snapshots, &stat);
    *ret_count = stat.ms_entries;
    mdb_txn_abort(txn);
  }
  lmdb_close(&state);
  return result == 0 ? 0 : failed("count", result, error);
}

const hf_bench_peer hf_bench_lmdb = {
    .name = "lmdb",
    .one_handle = 1,
    .prepare = lmdb_prepare,
    .open = lmdb_open,
    .close = lmdb_close,
    .save = lmdb_save,
    .count = lmdb_count,
};
