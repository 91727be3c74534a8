#include "scratch.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <holdfast/admin.h>

#include "log_rows.h"
#include "store.h"

static void fail(const char *what, const char *place, const char *message) {
  fprintf(stderr, "scratch: %s: %s: %s\n", what, place, message);
  abort();
}

void scratch_begin(scratch *here) {
  /* What these tests show does not depend on the disk, so they do not wait for one where they need
   * not. */
  const char *base = getenv("TMPDIR");
  if (base == NULL)
    base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  (void)snprintf(here->folder, sizeof here->folder, "%s/hf-test-XXXXXX", base);
  if (mkdtemp(here->folder) == NULL)
    fail("mkdtemp", here->folder, "failed");
  (void)snprintf(here->store, sizeof here->store, "%.4000s/store", here->folder);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

void scratch_end(scratch *here) {
  if (nftw(here->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
    fail("nftw", here->folder, "cannot remove it");
}

void scratch_init(const scratch *here, const char *locker) {
  scratch_init_in(here, locker, NULL);
}

void scratch_init_in(const scratch *here, const char *locker, const char *mode) {
  hf_error error = HF_ERROR_INIT;
  hf_init_options options = {.locker = locker, .mode = mode, .force = 1};
  if (hf_init(here->store, &options, NULL, &error) != HF_OK)
    fail("hf_init", error.place, error.message);
}

hf_store *scratch_open(const scratch *here) {
  hf_error error = HF_ERROR_INIT;
  hf_store *store = NULL;
  if (hf_open(here->store, NULL, &store, &error) != HF_OK)
    fail("hf_open", error.place, error.message);
  store->packs = 0;
  return store;
}

int scratch_pack(hf_store *store, uint64_t *ret_packed, hf_error *reterr) {
  hf_pack_report report = {0};
  int status = hf_pack(store, NULL, &report, reterr);
  *ret_packed = report.packed;
  return status;
}

void scratch_assume_shared(hf_store *store) {
  store->shared = 1;
  int *kept[] = {&store->log_mark_fd, &store->tile_mark_fd, &store->log_mark_write_fd};
  for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
    if (*kept[i] >= 0)
      (void)close(*kept[i]);
    *kept[i] = -1;
  }
  hf_log_rows_open(store, 0);
}

int scratch_save(hf_store *store, const char *run_id, const char *stage, const char *doc,
                 hf_saved *ret_saved, hf_error *reterr) {
  hf_save_request request = {
      .key = {.run_id = run_id, .stage = stage}, .doc = doc, .doc_bytes = strlen(doc)};
  return hf_save(store, &request, 20000, ret_saved, reterr);
}

uint64_t scratch_must_save(hf_store *store, const char *run_id, const char *stage,
                           const char *doc) {
  hf_saved saved = {0};
  hf_error error = HF_ERROR_INIT;
  if (scratch_save(store, run_id, stage, doc, &saved, &error) != HF_OK)
    fail("hf_save", error.place, error.message);
  return saved.seq;
}

const char *scratch_path(const scratch *here, const char *format, ...) {
  static char path[2 * SCRATCH_PATH_BYTES];
  char name[SCRATCH_PATH_BYTES];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(name, sizeof name, format, args);
  va_end(args);
  (void)snprintf(path, sizeof path, "%s/%s", here->store, name);
  return path;
}

void scratch_write_file(const char *path, const char *bytes, size_t count) {
  FILE *file = fopen(path, "wb");
  if (file == NULL || fwrite(bytes, 1, count, file) != count || fclose(file) != 0)
    fail("write", path, "failed");
}

char *scratch_read_file(const char *path, size_t *ret_count) {
  FILE *file = fopen(path, "rb");
  struct stat st;
  if (file == NULL)
    return NULL;
  if (fstat(fileno(file), &st) != 0)
    fail("fstat", path, "failed");
  char *bytes = calloc(1, (size_t)st.st_size + 1);
  if (bytes == NULL || fread(bytes, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
    fail("read", path, "failed");
  (void)fclose(file);
  if (ret_count != NULL)
    *ret_count = (size_t)st.st_size;
  return bytes;
}
