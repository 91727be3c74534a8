#include "publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "dropped.h"
#include "err.h"
#include "file.h"
#include "log.h"
#include "plant.h"
#include "sys.h"
#include "tile.h"

#include "banned.h"

enum read_back { BACK_ABSENT, BACK_MINE, BACK_OTHERS, BACK_CANNOT_TELL };

/* Is this line the first of ours? By all of its bytes: another attempt may carry the same id (a
 * retry with --id, two imports at once), and then it is not this file that stands there. Going on
 * from step 3 finds the id. */
static int is_my_line(const hf_staged *staged, const char *line, size_t bytes) {
  const char *end = memchr(staged->text.data, '\n', staged->text.used);
  /* packed, and its document dropped by gc, while this writer slept: mine all the same */
  return end != NULL &&
         hf_line_is_form_of(line, bytes, staged->text.data, (size_t)(end - staged->text.data));
}

/* Whose file stands under the name? By its content, the only thing that is believed everywhere. */
static enum read_back read_back(hf_store *store, const char *name, uint64_t seq,
                                const hf_staged *staged, hf_error *reterr) {
  hf_autobuf text = {0};
  int got = hf_file_read(store->log_fd, name, HF_LOG_FILE_BYTES_MAX, &text, reterr);
  if (got < 0)
    return BACK_CANNOT_TELL;
  if (got == 1)
    return text.used == staged->text.used && memcmp(text.data, staged->text.data, text.used) == 0
               ? BACK_MINE
               : BACK_OTHERS;
  int covered = hf_tile_line_at(store, seq, &text, reterr); /* packed meanwhile? */
  if (covered < 0)
    return BACK_CANNOT_TELL;
  if (covered == 0)
    return BACK_ABSENT;
  return is_my_line(staged, text.data, text.used) ? BACK_MINE : BACK_OTHERS;
}

static int link_or_rename(hf_store *store, const char *staged, const char *name) {
  if (HF_PLANTED(RENAME_OVERWRITES) || HF_PLANTED(UNVERIFIED_OVERWRITE))
    return hf_sys_rename(store->stage_fd, staged, store->log_fd, name, 0);
  if (store->rename_mode)
    return hf_sys_rename(store->stage_fd, staged, store->log_fd, name, RENAME_NOREPLACE);
  return hf_sys_link(store->stage_fd, staged, store->log_fd, name);
}

static hf_published publish_failed(hf_store *store, int sys_errno, enum read_back back,
                                   const char *name, hf_error *reterr) {
  if (back == BACK_MINE)
    return HF_PUBLISHED_MINE; /* the reply was wrong: a request was repeated */
  if (sys_errno == EEXIST) {
    if (back == BACK_OTHERS || (back == BACK_ABSENT && !store->shared))
      return HF_PUBLISHED_OTHERS;
    if (!store->shared)
      return HF_PUBLISHED_FAILED; /* somebody else's, and it cannot be read: reterr says why */
  } else if ((sys_errno == ENOENT || sys_errno == ESTALE) && back != BACK_CANNOT_TELL)
    return HF_PUBLISHED_GONE;
  (void)hf_err_sys(reterr, HF_EIO, sys_errno, name, "cannot link the record into log/");
  /* A local kernel does what it answers. EIO may come after the deed; then the name was read back.
   */
  if (!store->shared && (sys_errno != EIO || back != BACK_CANNOT_TELL))
    return HF_PUBLISHED_FAILED;
  return HF_PUBLISHED_UNKNOWN;
}

/* NFS: link has answered 0. Has the file two names now? The count comes with the reply to it, from
 * the server.
 *
 * To read the name back says less there, and costs three requests more: Linux's client gives the
 * name the file that it has asked for as soon as link is answered with 0, and opens that by its
 * handle, without another look at the name (seen on Linux 6.1.176 with NFSv3 and NFSv4.1: ACCESS,
 * OPEN, READ and CLOSE, no LOOKUP). Only of the first try: what was tried before could have got its
 * name since. */
static int has_two_names(const hf_store *store, const hf_staged *staged) {
  struct stat st;
  return store->link_tells_count && !store->rename_mode &&
         (staged->tries == 1 || HF_PLANTED(COUNT_ANY_TRY)) &&
         hf_sys_fstatat(store->stage_fd, staged->name, &st) == 0 && st.st_nlink == 2;
}

hf_published hf_publish(hf_store *store, hf_staged *staged, uint64_t seq, hf_error *reterr) {
  char name[HF_LOG_NAME_BYTES];
  hf_log_name(seq, name);
  staged->tries++;
  int failed = link_or_rename(store, staged->name, name);
  int sys_errno = errno;
  if (failed == 0 && (!store->shared || HF_PLANTED(TRUST_LINK)))
    return HF_PUBLISHED_MINE;
  if (failed != 0 && sys_errno == EEXIST && HF_PLANTED(EEXIST_IS_ANOTHERS))
    return HF_PUBLISHED_OTHERS;
  if (failed != 0 && sys_errno == EEXIST && HF_PLANTED(EEXIST_IS_SUCCESS))
    return HF_PUBLISHED_MINE;
  if (failed != 0 && sys_errno != EEXIST && HF_PLANTED(LOST_REPLY_IS_FAILURE)) {
    (void)hf_err_sys(reterr, HF_EIO, sys_errno, name, "cannot link the record into log/");
    return HF_PUBLISHED_FAILED;
  }
  if (failed == 0 && has_two_names(store, staged))
    return HF_PUBLISHED_MINE;
  enum read_back back = read_back(store, name, seq, staged, reterr);
  if (failed != 0)
    return publish_failed(store, sys_errno, back, name, reterr);
  switch (back) {
  case BACK_MINE:
    return HF_PUBLISHED_MINE;
  case BACK_OTHERS: /* the mount answered 0 although the name existed */
    return HF_PUBLISHED_OTHERS;
  case BACK_ABSENT:
    (void)hf_err(reterr, HF_EIO, name, "link answered that it is done, and the name is not there");
    return HF_PUBLISHED_UNKNOWN;
  case BACK_CANNOT_TELL:
    return HF_PUBLISHED_UNKNOWN;
  }
  return HF_PUBLISHED_UNKNOWN;
}

/* The view learns the records that were just committed; another thread may have read them already.
 */
static int append_own(hf_store *store, const hf_staged *staged, uint64_t seq, hf_error *reterr) {
  size_t offset = 0;
  if (hf_view_reserve(&store->view, staged->count) != HF_OK)
    return hf_err_nomem(reterr);
  for (size_t i = 0; i < staged->count; i++) {
    const char *start = staged->text.data + offset;
    const char *end = memchr(start, '\n', staged->text.used - offset);
    if (end == NULL)
      return hf_err(reterr, HF_EINTERNAL, NULL, "a staged line has no end");
    hf_place place = {seq, (uint32_t)offset, (uint32_t)(end - start), 0, i == 0};
    if (store->view.head == seq + i - 1 &&
        hf_view_append(&store->view, &staged->attempt[i]->line, &place) != HF_OK)
      return hf_err_nomem(reterr);
    offset += place.line_bytes + 1;
  }
  return HF_OK;
}

static int mark_own(hf_store *store, const hf_staged *staged, uint64_t seq, hf_error *reterr) {
  (void)pthread_mutex_lock(&store->view_mutex);
  int status = append_own(store, staged, seq, reterr);
  if (status == HF_OK && !HF_PLANTED(ACK_BEFORE_MARK))
    status = hf_log_extend_mark(store, reterr);
  uint64_t last = seq + staged->count - 1;
  if ((status == HF_OK || !store->shared) && store->durable_head < last)
    store->durable_head = last;
  (void)pthread_mutex_unlock(&store->view_mutex);
  return status;
}

int hf_publish_confirm(hf_store *store, const hf_staged *staged, uint64_t seq, hf_error *reterr) {
  if (HF_PLANTED(MARK_EARLY))
    (void)mark_own(store, staged, seq, NULL);
  hf_count(&store->counters.flushes, 1);
  if (!HF_PLANTED(NO_FOLDER_FSYNC) && hf_dir_fsync(store->log_fd, "log", reterr) != HF_OK)
    return HF_EUNSURE;
  hf_autobuf text = {0};
  int covered = hf_tile_line_at(store, seq, &text, reterr);
  if (covered < 0)
    return HF_EUNSURE;
  if (covered == 1 && !is_my_line(staged, text.data, text.used)) {
    char name[HF_LOG_NAME_BYTES];
    hf_log_name(seq, name);
    (void)hf_sys_unlink(store->log_fd, name, 0);
    return 0;
  }
  hf_error why = HF_ERROR_INIT;
  if (mark_own(store, staged, seq, &why) != HF_OK) {
    if (store->shared) {
      if (reterr != NULL)
        *reterr = why;
      return HF_EUNSURE;
    }
    /* A local filesystem's mark is a hint: the record is durable, and readers look beyond the mark.
     */
    hf_store_log(store, HF_LOG_WARNING, "%s: %s", why.place, why.message);
  }
  return 1;
}
