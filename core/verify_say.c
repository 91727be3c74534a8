#include "verify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "err.h"
#include "repair.h"
#include "sys.h"

#include "banned.h"

enum {
  TEXT_BYTES = 1024,
  AGAIN_LOCAL_MS = 500, /* in all, for second looks */
  AGAIN_SHARED_MS = 1000,
  AGAIN_BASE_US = 2000,
  AGAIN_CAP_US = 200000,
  SEQS_FIRST = 256,
};

void hf_verify_say(hf_verify_work *work, unsigned how, const char *kind, uint64_t seq,
                   const char *path, const char *format, ...) {
  char text[TEXT_BYTES];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args);
  va_end(args);
  hf_finding finding = {.kind = kind,
                        .seq = seq,
                        .path = path,
                        .text = text,
                        .damage = (how & HF_SAY_DAMAGE) != 0,
                        .repaired = (how & HF_SAY_REPAIRED) != 0};
  if (finding.damage)
    work->report->damaged++;
  else
    work->report->remarks++;
  if (finding.damage && finding.repaired)
    work->report->repaired++;
  if (work->options->finding != NULL)
    work->options->finding(work->options->finding_context, &finding);
}

int hf_verify_tick(hf_verify_work *work, const char *what, uint64_t done, uint64_t total,
                   hf_error *reterr) {
  if (work->options->progress == NULL ||
      work->options->progress(work->options->progress_context, what, done, total) == 0)
    return HF_OK;
  return hf_err(reterr, HF_ECANCELLED, work->path, "stopped before the end: %llu of %llu %s",
                (unsigned long long)done, (unsigned long long)total, what);
}

int hf_verify_wait(hf_verify_work *work, unsigned attempt) {
  if (work->repair != NULL && !work->shared)
    return 0;
  if (!work->again_begun) {
    work->again_begun = 1;
    work->again_until_ms = hf_deadline_ms(work->shared ? AGAIN_SHARED_MS : AGAIN_LOCAL_MS);
  }
  return hf_backoff_sleep(attempt, AGAIN_BASE_US, AGAIN_CAP_US, work->again_until_ms) == 0;
}

/* Of "000/0.jsonl" the folder: a symbolic link there would be followed. */
static int is_below_folder(int dirfd, const char *name) {
  struct stat st;
  char folder[HF_VERIFY_PATH_BYTES];
  const char *slash = strrchr(name, '/');
  if (slash == NULL)
    return 1;
  (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - name), name);
  return hf_sys_fstatat(dirfd, folder, &st) != 0 || S_ISDIR(st.st_mode);
}

int hf_verify_name(int dirfd, const char *name, const char *folder, uint64_t *ret_bytes,
                   int64_t *ret_mtime_s, hf_error *reterr) {
  struct stat st;
  if (!is_below_folder(dirfd, name))
    return HF_NAME_ABSENT;
  if (hf_sys_fstatat(dirfd, name, &st) != 0) {
    if (errno == ENOENT || errno == ENOTDIR)
      return HF_NAME_ABSENT;
    int status = hf_err_sys(reterr, HF_EIO, errno, name, "cannot examine");
    hf_err_place_below(reterr, folder);
    return status;
  }
  if (ret_bytes != NULL)
    *ret_bytes = (uint64_t)st.st_size;
  if (ret_mtime_s != NULL)
    *ret_mtime_s = (int64_t)st.st_mtim.tv_sec;
  if (S_ISREG(st.st_mode))
    return HF_NAME_FILE;
  if (S_ISDIR(st.st_mode))
    return HF_NAME_FOLDER;
  return S_ISLNK(st.st_mode) ? HF_NAME_LINK : HF_NAME_OTHER;
}

const char *hf_verify_name_text(hf_kind_of_name is) {
  switch (is) {
  case HF_NAME_ABSENT:
    return "nothing";
  case HF_NAME_FILE:
    return "a file";
  case HF_NAME_FOLDER:
    return "a folder";
  case HF_NAME_LINK:
    return "a symbolic link (it is never followed)";
  case HF_NAME_OTHER:
    return "a FIFO, a socket or a device";
  }
  return "something";
}

int hf_verify_foreign(hf_verify_work *work, int dirfd, const char *folder, const char *name,
                      uint64_t seq, const char *what, hf_error *reterr) {
  char path[HF_VERIFY_PATH_BYTES];
  char kept[HF_VERIFY_PATH_BYTES] = "";
  (void)snprintf(path, sizeof path, "%s%s%s", folder, folder[0] != '\0' ? "/" : "", name);
  if (work->repair == NULL) {
    hf_verify_say(work, HF_SAY_DAMAGE, "foreign", seq, path,
                  "%s; it is not the store's. Move it away, or let verify --repair move it to "
                  "quarantine/",
                  what);
    return HF_OK;
  }
  int status = hf_repair_move(work, dirfd, folder, name, kept, reterr);
  if (status != HF_OK)
    return status;
  hf_verify_say(work, HF_SAY_DAMAGE | HF_SAY_REPAIRED, "foreign", seq, path,
                "%s; it was not the store's and is now %s", what, kept);
  return HF_OK;
}

/* ---- lists of numbers ---- */

int hf_seqs_add(hf_seqs *seqs, uint64_t seq, hf_error *reterr) {
  if (seqs->count == seqs->allocated) {
    size_t allocated = seqs->allocated == 0 ? SEQS_FIRST : seqs->allocated * 2;
    uint64_t *at = realloc(seqs->at, allocated * sizeof *at);
    if (at == NULL)
      return hf_err_nomem(reterr);
    seqs->at = at;
    seqs->allocated = allocated;
  }
  seqs->at[seqs->count++] = seq;
  return HF_OK;
}

static int compare(const void *a, const void *b) {
  uint64_t left = *(const uint64_t *)a;
  uint64_t right = *(const uint64_t *)b;
  return (left > right) - (left < right);
}

void hf_seqs_sort(hf_seqs *seqs) {
  if (seqs->count > 1)
    qsort(seqs->at, seqs->count, sizeof seqs->at[0], compare);
  size_t kept = 0; /* a listing may show a name twice while names come and go */
  for (size_t i = 0; i < seqs->count; i++)
    if (kept == 0 || seqs->at[kept - 1] != seqs->at[i])
      seqs->at[kept++] = seqs->at[i];
  seqs->count = kept;
}

void hf_seqs_remove(hf_seqs *seqs, size_t index) {
  seqs->count--;
  memmove(&seqs->at[index], &seqs->at[index + 1], (seqs->count - index) * sizeof seqs->at[0]);
}

void hf_seqs_free(hf_seqs *seqs) {
  free(seqs->at);
  memset(seqs, 0, sizeof *seqs);
}

size_t hf_seqs_find(const hf_seqs *seqs, uint64_t seq) {
  size_t low = 0;
  size_t high = seqs->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (seqs->at[middle] < seq)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

int hf_seqs_has(const hf_seqs *seqs, uint64_t seq) {
  size_t i = hf_seqs_find(seqs, seq);
  return i < seqs->count && seqs->at[i] == seq;
}
