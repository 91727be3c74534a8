/* Locks: each peer in turn holds a flock and a lock of fcntl, all others try without waiting; then
 * it closes its files, and the next one tries again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "err.h"
#include "peer.h"
#include "sys.h"

#include "banned.h"

static const char flock_name[] = "flock";
static const char fcntl_name[] = "fcntl";

typedef int (*lock_fn)(int fd);

static int take_flock(int fd) {
  return hf_sys->flock(fd, LOCK_EX | LOCK_NB);
}

static int take_fcntl(int fd) {
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  return hf_sys->setlk(fd, &whole);
}

/* Opens the file and tries: the result, *ret_fd and errno in *ret_errno. */
static char try_lock(const hf_peer_run *run, const char *name, lock_fn lock, int *ret_fd,
                     int64_t *ret_errno) {
  *ret_fd = hf_sys_openat(run->session_fd, name, O_RDWR | O_CREAT, 0666);
  int failed = *ret_fd >= 0 ? lock(*ret_fd) : -1;
  if (failed == 0)
    return HF_PEER_GRANTED;
  /* fcntl may answer either where somebody else has it */
  if (*ret_fd >= 0 && (errno == EWOULDBLOCK || errno == EACCES))
    return HF_PEER_REFUSED;
  *ret_errno = errno;
  return HF_PEER_NO_LOCK;
}

/* The same, and closes it again. */
static char try_once(const hf_peer_run *run, const char *name, lock_fn lock) {
  int64_t why = 0;
  hf_autofd int fd = -1;
  return try_lock(run, name, lock, &fd, &why);
}

typedef struct held {
  int flock_fd;
  int fcntl_fd;
} held;

/* "1 1": which of the two it could get. Nobody has them now: a refusal is an older lock that was
 * not given back. */
static int hold(hf_peer_run *run, held *mine, hf_error *reterr) {
  hf_peer_report *own = hf_peer_own(run);
  char text[8];
  char one = try_lock(run, flock_name, take_flock, &mine->flock_fd, &own->flock_errno);
  char two = try_lock(run, fcntl_name, take_fcntl, &mine->fcntl_fd, &own->fcntl_errno);
  if (one == HF_PEER_REFUSED)
    own->flock_freed[run->self] = one;
  if (two == HF_PEER_REFUSED)
    own->fcntl_freed[run->self] = two;
  (void)snprintf(text, sizeof text, "%d %d", one == HF_PEER_GRANTED, two == HF_PEER_GRANTED);
  return hf_peer_say(run, "hold", text, reterr);
}

/* One round: member `holder` holds. A try where it could not hold tells nothing. */
static int try_against(hf_peer_run *run, size_t holder, hf_error *reterr) {
  hf_peer_report *own = hf_peer_own(run);
  int status = hf_peer_hear_one(run, holder, "hold", HF_PEER_STEP_US, reterr);
  if (status != HF_OK)
    return status;
  const char *text = hf_peer_mail_text(&run->members[holder].mail);
  if (text[0] == '1')
    own->flock_held[holder] = try_once(run, flock_name, take_flock);
  if (text[0] != '\0' && text[1] == ' ' && text[2] == '1')
    own->fcntl_held[holder] = try_once(run, fcntl_name, take_fcntl);
  return HF_OK;
}

static void try_freed(hf_peer_run *run, size_t holder) {
  hf_peer_report *own = hf_peer_own(run);
  if (own->flock_held[holder] != HF_PEER_NOT_TRIED)
    own->flock_freed[holder] = try_once(run, flock_name, take_flock);
  if (own->fcntl_held[holder] != HF_PEER_NOT_TRIED)
    own->fcntl_freed[holder] = try_once(run, fcntl_name, take_fcntl);
}

static int one_round(hf_peer_run *run, size_t holder, hf_error *reterr) {
  held mine = {-1, -1};
  int status = run->self == holder ? hold(run, &mine, reterr) : try_against(run, holder, reterr);
  if (status == HF_OK)
    status = hf_peer_meet_at(run, "tried", "", reterr);
  hf_fd_cleanup(&mine.flock_fd);
  hf_fd_cleanup(&mine.fcntl_fd);
  if (status == HF_OK)
    status = hf_peer_meet_at(run, "freed", "", reterr);
  if (status == HF_OK && run->self == (holder + 1) % run->count)
    try_freed(run, holder);
  return status == HF_OK ? hf_peer_meet_at(run, "round", "", reterr) : status;
}

int hf_peer_locks(hf_peer_run *run, hf_error *reterr) {
  hf_peer_report *own = hf_peer_own(run);
  char *rows[] = {own->flock_held, own->flock_freed, own->fcntl_held, own->fcntl_freed};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    memset(rows[i], HF_PEER_NOT_TRIED, run->count);
    rows[i][run->count] = '\0';
  }
  int status = HF_OK;
  for (size_t holder = 0; holder < run->count && status == HF_OK; holder++)
    status = one_round(run, holder, reterr);
  return status;
}
