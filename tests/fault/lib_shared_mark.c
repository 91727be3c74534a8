/* What happens to marks and to the files that they tell of, between two looks at them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib_shared.h"

#include "log_rows.h"
#include "store.h"
#include "tile.h"

/* All up to head, each as it was answered. */
static void all_must_be_read(const shared_place *place, hf_store *store, uint64_t head) {
  hf_error error = HF_ERROR_INIT;
  uint64_t seen = 0;
  fault_must(hf_head(store, &seen, &error), &error, "hf_head");
  FAULT_CHECK(seen == head, "the head is %llu, and a reader sees %llu", (unsigned long long)head,
              (unsigned long long)seen);
  for (uint64_t seq = 1; seq <= head; seq++) {
    hf_record *record = NULL;
    int got = hf_get_seq(store, seq, &record, &error);
    fault_must(got, &error, "hf_get_seq");
    FAULT_CHECK(got == 1, "seq %llu is not there", (unsigned long long)seq);
    FAULT_CHECK(strcmp(record->id, place->saves[seq - 1].id) == 0,
                "seq %llu is read as another record", (unsigned long long)seq);
    hf_record_free(&record);
  }
}

/* ---- another file has become the mark, as after a repair ---- */

static void replace_mark(const shared_place *place) {
  char path[FAULT_PATH_BYTES];
  char other[FAULT_PATH_BYTES];
  char bytes[SHARED_SAVES_MAX];
  (void)snprintf(path, sizeof path, "%.400s/log/mark", place->path);
  (void)snprintf(other, sizeof other, "%.400s/log/mark.new", place->path);
  int from = open(path, O_RDONLY | O_CLOEXEC);
  int to = open(other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  FAULT_CHECK(from >= 0 && to >= 0, "%s cannot be copied", path);
  ssize_t count = read(from, bytes, sizeof bytes);
  FAULT_CHECK(count > 0 && write(to, bytes, (size_t)count) == count && close(from) == 0 &&
                  close(to) == 0 && rename(other, path) == 0,
              "%s cannot be replaced", path);
}

static void mark_replaced(shared_place *place) {
  for (uint64_t i = 0; i < 4; i++) {
    replace_mark(place);
    uint64_t seq = shared_save_must(place, i % 2 == 0 ? place->first : place->second, 10 + i);
    all_must_be_read(place, i % 2 == 0 ? place->second : place->first, seq);
  }
}

/* ---- the kept descriptor fails once ---- */

static void fail_once(void *context, fault_call *call) {
  int *failures = context;
  if (*failures == 0 || call->kind != FAULT_PWRITE || !fault_fd_ends_in(call->fd, "/log/mark"))
    return;
  (*failures)--;
  call->skip = 1;
  call->result = -1;
  call->sys_errno = EIO;
}

static void mark_write_fails(shared_place *place) {
  for (uint64_t i = 0; i < 3; i++) {
    int failures = 1;
    shared_hook(fail_once, NULL, &failures);
    uint64_t seq = shared_save_must(place, place->first, 10 + i);
    FAULT_CHECK(failures == 0, "the mark was not written");
    shared_unhook();
    all_must_be_read(place, place->second, seq);
  }
}

/* ---- packed while another reads on from loose name to loose name ---- */

typedef struct packing {
  shared_place *place;
  const char *before; /* the name at whose open it happens */
  int done;
} packing;

static void pack_before_open(void *context, fault_call *call) {
  packing *what = context;
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  if (what->done || call->kind != FAULT_OPENAT || strcmp(call->name, what->before) != 0)
    return;
  what->done = 1;
  fault_must(fault_pack(what->place->first, &packed, &error), &error, "hf_pack");
  FAULT_CHECK(packed == 1, "%llu tiles were packed", (unsigned long long)packed);
}

static void packed_while_read(shared_place *place) {
  packing what = {.place = place, .before = "00000000000000000005.json"};
  for (uint64_t seq = 3; seq <= HF_TILE_RECORDS + 3; seq++)
    (void)shared_save_must(place, place->first, 100 + seq);
  shared_hook(pack_before_open, NULL, &what);
  all_must_be_read(place, place->second, HF_TILE_RECORDS + 3);
  FAULT_CHECK(what.done, "nothing was packed meanwhile");
}

/* The same, and a freed name is there again, with another record: as where a writer that was paused
 * for days has linked it and not looked for a tile yet. */
static void link_again_before_open(void *context, fault_call *call) {
  packing *what = context;
  char from[FAULT_PATH_BYTES];
  char to[FAULT_PATH_BYTES];
  int done = what->done;
  pack_before_open(context, call);
  if (done || !what->done)
    return;
  (void)snprintf(from, sizeof from, "%.400s/log/%020d.json", what->place->path,
                 HF_TILE_RECORDS + 1);
  (void)snprintf(to, sizeof to, "%.400s/log/%.60s", what->place->path, what->before);
  FAULT_CHECK(link(from, to) == 0, "%s cannot be linked", to);
}

static void name_used_again(shared_place *place) {
  packing what = {.place = place, .before = "00000000000000000003.json"};
  char path[FAULT_PATH_BYTES];
  for (uint64_t seq = 3; seq <= HF_TILE_RECORDS + 3; seq++)
    (void)shared_save_must(place, place->first, 100 + seq);
  shared_hook(link_again_before_open, NULL, &what);
  all_must_be_read(place, place->second, HF_TILE_RECORDS + 3);
  FAULT_CHECK(what.done, "nothing was packed meanwhile");
  (void)snprintf(path, sizeof path, "%.400s/log/%.60s", place->path, what.before);
  FAULT_CHECK(unlink(path) == 0, "%s cannot be removed", path);
}

/* ---- a row whose bytes are not those that were written ---- */

/* As where a write was torn: the key's hash is another one, the check is the old one. */
static void tear_row(const shared_place *place, uint64_t seq) {
  char path[FAULT_PATH_BYTES];
  char bytes[4] = {0x55, 0x55, 0x55, 0x55};
  (void)snprintf(path, sizeof path, "%.400s/log/" HF_ROWS_NAME, place->path);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  off_t at = (off_t)(seq - 1) * HF_LOG_ROW_BYTES + (off_t)sizeof(hf_id);
  FAULT_CHECK(fd >= 0 && pwrite(fd, bytes, sizeof bytes, at) == sizeof bytes && close(fd) == 0,
              "%s cannot be written", path);
}

static void torn_row(shared_place *place) {
  uint64_t seq = shared_save_must(place, place->first, 10);
  (void)shared_save_must(place, place->first, 11);
  hf_log_rows_end(place->first);
  if (place->with_rows)
    tear_row(place, seq);
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  /* the other one has not read it yet: the same again is nothing new */
  fault_must(shared_save_try(place, place->second, 10, NULL, &saved, &error), &error, "hf_save");
  FAULT_CHECK(!saved.created && saved.seq == seq,
              "what stands at seq %llu was saved once more, at %llu", (unsigned long long)seq,
              (unsigned long long)saved.seq);
  place->saves_count--; /* counted already */
  all_must_be_read(place, place->second, place->saves_count);
}

const shared_case shared_mark_cases[] = {
    {"mark-replaced", "another file has become the mark", SHARED_SHARED, mark_replaced},
    {"mark-write-fails", "the kept descriptor of the mark fails once", SHARED_SHARED,
     mark_write_fails},
    {"packed-while-read", "a tile is packed while another reads its loose names", SHARED_BOTH,
     packed_while_read},
    {"name-used-again", "the same, and a freed name is linked again", SHARED_BOTH, name_used_again},
    {"torn-row", "a row of log/rows is half written", SHARED_SHARED, torn_row},
    {NULL, NULL, 0, NULL},
};
