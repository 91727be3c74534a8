/* What is compared: each peer keeps the same documents in its own way. */
#ifndef HF_BENCH_PEER_H
#define HF_BENCH_PEER_H

#include <stddef.h>
#include <stdint.h>

#include "document.h"

enum { HF_BENCH_TEXT_BYTES_MAX = 512 };

/* Every function that returns int: 0, or -1 with a text for people in error. */
typedef struct hf_bench_peer {
  const char *name;
  int one_handle; /* 1: the threads of a process share one state; 0: each thread opens its own */

  /* A service of its own, on the loopback, with its data in the folder: started before prepare and
   * ended after count, by the process that starts the writers. NULL, both: the peer needs none. */
  int (*start)(const char *folder, char error[HF_BENCH_TEXT_BYTES_MAX]);
  void (*stop)(void);

  /* Makes an empty store in the folder and fills it with the documents 0 .. history-1, as fast as
   * it can. */
  int (*prepare)(const char *folder, uint64_t history, int singly,
                 char error[HF_BENCH_TEXT_BYTES_MAX]);

  /* Opens it; the caller closes *ret_state. */
  int (*open)(const char *folder, void **ret_state, char error[HF_BENCH_TEXT_BYTES_MAX]);
  void (*close)(void **state);

  /* Saves one document and returns when it is durable. Threads use it at once where one_handle. */
  int (*save)(void *state, const hf_bench_document *document, char error[HF_BENCH_TEXT_BYTES_MAX]);

  /* A request that changes nothing, there and back: what the way to the service takes. NULL: there
   * is no service. */
  int (*round_trip)(void *state, char error[HF_BENCH_TEXT_BYTES_MAX]);

  /* How many documents there are, to check that the work was done. */
  int (*count)(const char *folder, uint64_t *ret_count, char error[HF_BENCH_TEXT_BYTES_MAX]);
} hf_bench_peer;

extern const hf_bench_peer hf_bench_publish; /* Holdfast in publish mode */
extern const hf_bench_peer hf_bench_journal; /* Holdfast in journal mode */
extern const hf_bench_peer hf_bench_sqlite;  /* with a write-ahead log */
extern const hf_bench_peer hf_bench_sqlite_rollback;
extern const hf_bench_peer hf_bench_lmdb;
extern const hf_bench_peer hf_bench_redis;
extern const hf_bench_peer hf_bench_etcd;

/* Where the group comes from: 0 the caller gives it, as SQLite's caller does; 1 Holdfast makes it
 * from the document's /comparison_group, which is what it does by default. Set before the first
 * peer is used. */
extern int hf_bench_group_derived;

/* What making the documents of a history has taken, which is no part of saving them. */
extern int64_t hf_bench_making_us;

/* For a filesystem that hosts share. Set before the first peer is used. */
extern const char *hf_bench_locker;         /* of Holdfast's store; default "flock" */
extern const char *hf_bench_config;         /* Holdfast's configuration file, or NULL */
extern const char *hf_bench_sqlite_journal; /* default "WAL"; SQLite says: not over a network */

#endif
