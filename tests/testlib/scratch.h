/* What tests of stores share: a folder that goes away again, a store in it, a save in one line. */
#ifndef HF_TESTLIB_SCRATCH_H
#define HF_TESTLIB_SCRATCH_H

#include <holdfast/holdfast.h>

enum { SCRATCH_PATH_BYTES = 4096 };

typedef struct scratch {
  char folder[SCRATCH_PATH_BYTES]; /* below TMPDIR, removed by scratch_end */
  char store[SCRATCH_PATH_BYTES];  /* folder/store */
} scratch;

void scratch_begin(scratch *here);
void scratch_end(scratch *here);

/* Makes the store with this locker; aborts the test program, with words, where that fails. */
void scratch_init(const scratch *here, const char *locker);

/* The same with this mode: "publish" for tests that look into log/. */
void scratch_init_in(const scratch *here, const char *locker, const char *mode);

/* Opens it; aborts where that fails. It does not pack by itself: a test that wants it says so. */
hf_store *scratch_open(const scratch *here);

/* hf_pack; *ret_packed: the tiles that it packed. */
int scratch_pack(hf_store *store, uint64_t *ret_packed, hf_error *reterr);

/* Treats the handle as on a shared filesystem: no return value is trusted, no absent name looked
 * up. */
void scratch_assume_shared(hf_store *store);

/* Saves a document; the status, with *ret_saved and *reterr (both may be NULL). */
int scratch_save(hf_store *store, const char *run_id, const char *stage, const char *doc,
                 hf_saved *ret_saved, hf_error *reterr);

/* The same, which must succeed: the seq. */
uint64_t scratch_must_save(hf_store *store, const char *run_id, const char *stage, const char *doc);

/* "folder/name" of the store, in a static buffer. */
const char *scratch_path(const scratch *here, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Whole files: written, and read (NUL-terminated, to be freed; NULL where there is none). */
void scratch_write_file(const char *path, const char *bytes, size_t count);
char *scratch_read_file(const char *path, size_t *ret_count);

#endif
