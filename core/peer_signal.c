/* Signals: a folder's name that one peer gives and another waits for by trying to give it itself.
 * mkdir is answered where names are given: no cache of lengths, times or absent names has a say, as
 * it has in mail. So clocks can be compared although a client caches. A signal stays until the
 * session is over: bindfs 1.14 looks at a folder after it made it, and fails where it is gone. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "clock.h"
#include "err.h"
#include "peer.h"
#include "sys.h"

#include "banned.h"

enum { AGAIN_US = 200, LOOK_EVERY = 512 };

static void name_of(char name[HF_PEER_NAME_BYTES], size_t from, size_t to, unsigned number) {
  (void)snprintf(name, HF_PEER_NAME_BYTES, "sig-%zu-%zu-%u", from, to, number);
}

static int fail(const char *name, hf_error *reterr) {
  return hf_err_sys(reterr, HF_EIO, errno, name, "cannot make a scratch folder");
}

/* Between two tries: life is shown, and it is looked whether the other one still lives. */
static int again(hf_peer_run *run, size_t other, unsigned try, hf_error *reterr) {
  hf_peer_sleep_us(AGAIN_US);
  int status = hf_peer_tick(run, reterr);
  if (status == HF_OK && try % LOOK_EVERY == LOOK_EVERY - 1)
    status = hf_peer_check_life(run, other, reterr);
  return status;
}

int hf_peer_signal(hf_peer_run *run, size_t to, unsigned number, hf_error *reterr) {
  char name[HF_PEER_NAME_BYTES];
  name_of(name, run->self, to, number);
  for (unsigned try = 0;; try++) {
    if (hf_sys_mkdir(run->session_fd, name, 0777) == 0)
      return HF_OK;
    if (errno != EEXIST) /* the other one has just tried */
      return fail(name, reterr);
    int status = again(run, to, try, reterr);
    if (status != HF_OK)
      return status;
  }
}

int hf_peer_await(hf_peer_run *run, size_t from, unsigned number, hf_error *reterr) {
  char name[HF_PEER_NAME_BYTES];
  name_of(name, from, run->self, number);
  for (unsigned try = 0;; try++) {
    if (hf_sys_mkdir(run->session_fd, name, 0777) != 0)
      return errno == EEXIST ? HF_OK : fail(name, reterr);
    if (hf_sys_unlink(run->session_fd, name, AT_REMOVEDIR) != 0)
      return fail(name, reterr);
    int status = again(run, from, try, reterr);
    if (status != HF_OK)
      return status;
  }
}
