#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "repair.h"
#include "sys.h"
#include "verify.h"

#include "banned.h"

static const char log_mark[] = "log/" HF_MARK_NAME;
static const char tile_mark[] = "tile/" HF_MARK_NAME;

/* Afresh each time: on a shared filesystem an open asks the server. HF_NAME_... or negative. */
static int look(int dirfd, const char *folder, uint64_t *ret_length, hf_error *reterr) {
  struct stat st;
  int is = hf_verify_name(dirfd, HF_MARK_NAME, folder, NULL, NULL, reterr);
  *ret_length = 0;
  if (is != HF_NAME_FILE)
    return is;
  hf_autofd int fd = hf_sys_openat(dirfd, HF_MARK_NAME, O_RDONLY, 0);
  if (fd < 0 || hf_sys_fstat(fd, &st) != 0) {
    int status = hf_err_sys(reterr, HF_EIO, errno, HF_MARK_NAME, "cannot open the mark");
    hf_err_place_below(reterr, folder);
    return status;
  }
  *ret_length = (uint64_t)st.st_size;
  return HF_NAME_FILE;
}

int hf_verify_mark_again(hf_verify_work *work, hf_error *reterr) {
  int is;
  if (work->repair == NULL || work->repair->new_mark[0] == '\0') { /* else it is being made */
    is = look(work->log_fd, "log", &work->log_mark.length, reterr);
    if (is < 0)
      return is;
    work->log_mark.window_bytes = 0;
    work->log_mark.is = (hf_kind_of_name)is;
  }
  if (work->tile_fd < 0)
    return HF_OK;
  is = look(work->tile_fd, "tile", &work->tile_mark_length, reterr);
  if (is < 0)
    return is;
  work->tile_mark_is = (hf_kind_of_name)is;
  return HF_OK;
}

/* Something else in a mark's place is not ours; then the mark is gone. */
static int move_strange(hf_verify_work *work, int dirfd, const char *folder, hf_kind_of_name is,
                        hf_error *reterr) {
  char what[128];
  if (is == HF_NAME_ABSENT || is == HF_NAME_FILE)
    return HF_OK;
  (void)snprintf(what, sizeof what, "%s stands in the place of the mark", hf_verify_name_text(is));
  return hf_verify_foreign(work, dirfd, folder, HF_MARK_NAME, 0, what, reterr);
}

int hf_verify_marks_look(hf_verify_work *work, hf_error *reterr) {
  int status = hf_verify_mark_again(work, reterr);
  if (status == HF_OK)
    status = move_strange(work, work->log_fd, "log", work->log_mark.is, reterr);
  if (status == HF_OK)
    status = move_strange(work, work->tile_fd, "tile", work->tile_mark_is, reterr);
  return status;
}

static int load_window(hf_verify_work *work, uint64_t at, hf_error *reterr) {
  hf_verify_mark *mark = &work->log_mark;
  hf_autofd int fd = hf_sys_openat(work->log_fd, HF_MARK_NAME, O_RDONLY, 0);
  mark->window_bytes = 0;
  if (fd < 0)
    return hf_err_sys(reterr, HF_EIO, errno, log_mark, "cannot open the mark");
  ssize_t got = hf_sys_pread_full(fd, mark->window, sizeof mark->window, (off_t)at);
  if (got < 0)
    return hf_err_sys(reterr, HF_EIO, errno, log_mark, "cannot read the mark");
  mark->window_at = at;
  mark->window_bytes = (size_t)got;
  return HF_OK;
}

int hf_verify_mark_byte(hf_verify_work *work, uint64_t seq, int *ret_byte, hf_error *reterr) {
  hf_verify_mark *mark = &work->log_mark;
  uint64_t at = seq - 1;
  *ret_byte = -1;
  if (at >= mark->length)
    return HF_OK;
  if (at < mark->window_at || at >= mark->window_at + mark->window_bytes) {
    int status = load_window(work, at, reterr);
    if (status != HF_OK)
      return status;
    if (mark->window_bytes == 0) /* it became shorter: somebody repairs it */
      return HF_OK;
  }
  *ret_byte = (unsigned char)mark->window[at - mark->window_at];
  return HF_OK;
}

/* ---- what is wrong with them ---- */

static void say_gone(hf_verify_work *work, unsigned how_said) {
  if (work->end == 0)
    hf_verify_say(work, HF_SAY_DAMAGE, "mark", 0, log_mark,
                  "the mark is gone, and nothing else is in the log. If the store was empty, make "
                  "an empty file here; if it was not, put log/ back from a backup");
  else
    hf_verify_say(work, how_said, "mark", 0, log_mark,
                  "the mark is gone; %s the names there are. If records behind seq %llu are lost, "
                  "nothing tells of them any more",
                  (how_said & HF_SAY_REPAIRED) != 0 ? "it was made anew from"
                                                    : "verify --repair makes it anew from",
                  (unsigned long long)work->end);
}

static unsigned how(int repaired) {
  return HF_SAY_DAMAGE | (repaired ? (unsigned)HF_SAY_REPAIRED : 0U);
}

/* The log goes on behind the mark's end. */
static int say_short(hf_verify_work *work, int repaired, hf_error *reterr) {
  hf_verify_mark *mark = &work->log_mark;
  int status = HF_OK;
  for (unsigned i = 0; work->repair == NULL && status == HF_OK && mark->length < work->end; i++) {
    if (!hf_verify_wait(work, i)) /* writers at work extend it */
      break;
    status = hf_verify_mark_again(work, reterr);
  }
  if (status != HF_OK || (work->repair == NULL && mark->length >= work->end))
    return status;
  const char *then = "it is a hint only here, and the next save extends it";
  if (repaired)
    then = "it was extended";
  else if (work->shared)
    then = "readers see no further until the next save, or verify --repair, extends it";
  int is_damage = work->shared && mark->beyond_files > HF_VERIFY_BEYOND_MAX;
  hf_verify_say(work, is_damage ? how(repaired) : how(repaired) & ~(unsigned)HF_SAY_DAMAGE, "mark",
                0, log_mark, "the mark ends before the log, whose head is seq %llu; %s",
                (unsigned long long)work->end, then);
  return HF_OK;
}

static int say_log_mark(hf_verify_work *work, hf_error *reterr) {
  hf_verify_mark *mark = &work->log_mark;
  int in_repair = work->repair != NULL;
  int repaired = in_repair && !work->log_incomplete;
  if (mark->is != HF_NAME_FILE) {
    say_gone(work, how(repaired));
    return HF_OK;
  }
  unsigned wrong = how(in_repair);
  if (!work->shared && mark->wrong == mark->wrong_zero) /* it was never made durable: a hint */
    wrong &= ~(unsigned)HF_SAY_DAMAGE;
  if (mark->wrong > 0)
    hf_verify_say(work, wrong, "mark", mark->wrong_first, log_mark,
                  "%llu bytes of the mark are not what the log's files say, the first one that of "
                  "seq %llu; %s",
                  (unsigned long long)mark->wrong, (unsigned long long)mark->wrong_first,
                  in_repair ? "they were put right" : "verify --repair puts them right");
  if (mark->tail > 0)
    hf_verify_say(work, how(repaired), "mark", 0, log_mark,
                  "behind seq %llu the mark has %llu bytes that mean nothing; %s",
                  (unsigned long long)work->end, (unsigned long long)mark->tail,
                  repaired ? "they were cut off" : "verify --repair cuts them off");
  return mark->beyond_files > 0 ? say_short(work, repaired, reterr) : HF_OK;
}

static int say_tile_mark(hf_verify_work *work, hf_error *reterr) {
  if (work->tile_fd < 0 || work->tile_made)
    return HF_OK;
  if (work->tile_mark_is != HF_NAME_FILE) {
    hf_verify_say(work, how(work->repair != NULL), "mark", 0, tile_mark, "the mark is gone; %s",
                  work->repair != NULL ? "it was made anew from the tiles there are"
                                       : "verify --repair makes it anew from the tiles there are");
    return HF_OK;
  }
  uint64_t length = work->tile_mark_length;
  if (work->repair == NULL && !work->tile_mark_too_long) { /* packers at work extend it */
    int status = HF_OK;
    for (unsigned i = 0;
         status == HF_OK && work->tile_mark_length < work->tiles_count && hf_verify_wait(work, i);
         i++)
      status = hf_verify_mark_again(work, reterr);
    if (status != HF_OK || work->tile_mark_length >= work->tiles_count)
      return status;
  } else if (length == work->tiles_count)
    return HF_OK;
  hf_verify_say(work, how(work->repair != NULL), "mark", 0, tile_mark,
                "the mark says that there are %llu full tiles, and there are %llu; %s",
                (unsigned long long)length, (unsigned long long)work->tiles_count,
                work->repair != NULL ? "it was put right" : "verify --repair puts it right");
  return HF_OK;
}

int hf_verify_marks_say(hf_verify_work *work, hf_error *reterr) {
  if (work->repair != NULL) {
    int status = hf_repair_marks_end(work, reterr);
    if (status != HF_OK)
      return status;
  }
  int status = say_tile_mark(work, reterr);
  return status == HF_OK ? say_log_mark(work, reterr) : status;
}
