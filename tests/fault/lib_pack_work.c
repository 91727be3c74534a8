/* The processes of "killed", and what must hold at the end. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib_pack.h"
#include "lib_table.h"

enum { BYTES = 300, BATCH = 9, LIST_RECORDS = 10, WRITTEN_MAX = 20000 };

pack_shared *pack_all;
uint64_t pack_seed;
int64_t pack_pause_us;

static uint64_t steps_left; /* until this process kills itself; 0: never */

static void step(void *context, fault_call *call) {
  (void)context;
  (void)call;
  if (steps_left > 0 && --steps_left == 0)
    (void)kill(getpid(), SIGKILL);
}

static const fault_hooks fast = {.before = step, .fast_fsync = 1};

void pack_begin(void) {
  if (pack_all == NULL) {
    void *all =
        mmap(NULL, sizeof *pack_all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FAULT_CHECK(all != MAP_FAILED, "no shared memory: %s", strerror(errno));
    pack_all = all;
  }
  memset(pack_all, 0, sizeof *pack_all);
}

static void fill(hf_save_request *request, uint64_t number, char run_id[32],
                 fault_document *document) {
  fault_document_make(number, BYTES, document);
  (void)snprintf(run_id, 32, "pack %llu", (unsigned long long)number);
  memset(request, 0, sizeof *request);
  request->key = (hf_key){.run_id = run_id, .stage = "pack"};
  request->doc = document->sent;
  request->doc_bytes = document->sent_bytes;
}

static uint64_t take_numbers(uint64_t count) {
  uint64_t number = atomic_fetch_add(&pack_all->next, count);
  FAULT_CHECK(number + count < PACK_SAVES_MAX, "too many saves");
  return number;
}

static void acknowledge(uint64_t number, uint64_t seq) {
  atomic_store(&pack_all->seq_of[number], seq);
  uint64_t head = atomic_load(&pack_all->head_answered);
  while (head < seq && !atomic_compare_exchange_weak(&pack_all->head_answered, &head, seq))
    continue;
}

static void save_many(hf_store *store, unsigned count) {
  hf_save_request requests[BATCH];
  hf_saved results[BATCH];
  char run_ids[BATCH][32];
  fault_document documents[BATCH];
  hf_error error = HF_ERROR_INIT;
  uint64_t number = take_numbers(count);
  for (unsigned i = 0; i < count; i++)
    fill(&requests[i], number + i, run_ids[i], &documents[i]);
  fault_must(hf_save_batch(store, requests, count, 60000, results, &error), &error, "a save");
  for (unsigned i = 0; i < count; i++) {
    acknowledge(number + i, results[i].seq);
    fault_document_free(&documents[i]);
  }
}

uint64_t pack_save(hf_store *store) {
  uint64_t number = atomic_load(&pack_all->next);
  save_many(store, 1);
  return atomic_load(&pack_all->seq_of[number]);
}

/* Where saves are quick the rest of them is left for the rest of the time. */
static int may_save(void) {
  while (atomic_load(&pack_all->done) == 0 && atomic_load(&pack_all->next) > WRITTEN_MAX)
    fault_sleep_us(1000);
  return atomic_load(&pack_all->done) == 0;
}

void pack_write(const char *path, uint64_t number) {
  fault_random random = {pack_seed * 31 + number};
  fault_context("writer %llu", (unsigned long long)number);
  fault_table_install(&fast);
  fault_let_pack(1);
  while (atomic_load(&pack_all->done) == 0) {
    hf_store *store = fault_open(path);
    uint64_t saves = 1 + fault_below(&random, 300);
    for (uint64_t i = 0; i < saves && may_save(); i++) {
      save_many(store, fault_below(&random, 12) == 0 ? BATCH : 1);
      if (pack_pause_us > 0)
        fault_sleep_us((int64_t)fault_below(&random, (uint64_t)pack_pause_us));
    }
    hf_close(&store);
  }
  _exit(0);
}

static void look(hf_store *store, uint64_t seq) {
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  int got = hf_get_seq(store, seq, &record, &error);
  fault_must(got, &error, "hf_get_seq");
  FAULT_CHECK(got == 1 && record->seq == seq, "seq %llu is not there", (unsigned long long)seq);
  hf_record_free(&record);
}

void pack_read(const char *path) {
  fault_random random = {pack_seed * 77};
  uint64_t last = 0;
  fault_context("reader");
  while (atomic_load(&pack_all->done) == 0) {
    hf_error error = HF_ERROR_INIT;
    hf_store *store = fault_open(path);
    for (unsigned i = 0; i < 40 && atomic_load(&pack_all->done) == 0; i++) {
      uint64_t head = 0;
      uint64_t answered = atomic_load(&pack_all->head_answered);
      fault_must(hf_head(store, &head, &error), &error, "hf_head");
      FAULT_CHECK(head >= answered && head >= last,
                  "the head is %llu; it was %llu, and %llu was acknowledged",
                  (unsigned long long)head, (unsigned long long)last, (unsigned long long)answered);
      last = head;
      for (unsigned j = 0; j < LIST_RECORDS && head > 0; j++)
        look(store, 1 + fault_below(&random, head));
      atomic_fetch_add(&pack_all->reads, 1);
      fault_sleep_us((int64_t)fault_below(&random, 3000));
    }
    hf_close(&store);
  }
  _exit(0);
}

static void say_damage(void *context, const hf_finding *finding) {
  (void)context;
  if (finding->damage)
    fault_fail("verify, while others pack: %s seq %llu %s: %s", finding->kind,
               (unsigned long long)finding->seq, finding->path, finding->text);
}

void pack_verify(const char *path) {
  fault_context("verify");
  while (atomic_load(&pack_all->done) == 0) {
    hf_verify_options options = {.finding = say_damage};
    hf_verify_report report;
    hf_error error = HF_ERROR_INIT;
    fault_must(hf_verify(path, &options, &report, &error), &error, "hf_verify");
    atomic_fetch_add(&pack_all->verified, 1);
    fault_sleep_us(2000);
  }
  _exit(0);
}

void pack_pack(const char *path, uint64_t steps) {
  fault_context("packer");
  fault_table_install(&fast);
  hf_store *store = fault_open(path);
  uint64_t head = 0;
  (void)hf_head(store, &head, NULL);
  steps_left = steps;
  while (atomic_load(&pack_all->done) == 0) {
    hf_error error = HF_ERROR_INIT;
    uint64_t packed = 0;
    fault_must(fault_pack(store, &packed, &error), &error, "hf_pack");
    atomic_fetch_add(&pack_all->packs, packed);
    fault_sleep_us(200);
  }
  _exit(0);
}

uint64_t pack_check(const char *path) {
  fault_log log;
  uint64_t known = 0;
  hf_store *store = fault_open(path);
  fault_log_read(store, &log);
  for (uint64_t number = 0; number < atomic_load(&pack_all->next); number++) {
    uint64_t seq = atomic_load(&pack_all->seq_of[number]);
    const fault_record *first = NULL;
    fault_document document;
    fault_document_make(number, BYTES, &document);
    size_t count = fault_log_count_document(&log, document.stored, document.stored_bytes, &first);
    fault_document_free(&document);
    FAULT_CHECK(count == 1 || (count == 0 && seq == 0), "save %llu, seq %llu, is there %zu times",
                (unsigned long long)number, (unsigned long long)seq, count);
    FAULT_CHECK(seq == 0 || first->seq == seq, "save %llu was answered seq %llu, and is at %llu",
                (unsigned long long)number, (unsigned long long)seq,
                (unsigned long long)first->seq);
    known += count;
  }
  uint64_t head = log.count;
  uint64_t saves = 0;
  for (size_t i = 0; i < log.count; i++)
    saves += (uint64_t)log.records[i].is_save;
  FAULT_CHECK(known == saves, "%llu records hold what nobody saved",
              (unsigned long long)(saves - known));
  fault_log_free(&log);
  hf_close(&store);
  fault_verify(path);
  return head;
}
