#include "tally.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "boot.h"
#include "clock.h"
#include "file.h"
#include "handle_stats.h"
#include "id.h"
#include "json.h"
#include "plant.h"
#include "sys.h"

#include "banned.h"

enum {
  TRIES_MAX = 50, /* for the lock, when the handle is closed */
  TRY_PAUSE_NS = 5000000,
  BUSY_PAUSE_MS = 200,
  FAILED_PAUSE_MS = 60000,
  MACHINE_ID_CHARS = 32,
  ID_BYTES = 64,
};

#define NAME_SEED UINT64_C(0x7374617473) /* of hashes that are compared with each other alone */

typedef enum added { ADDED, ADD_BUSY, ADD_FAILED } added;

/* The machine's, which stays over its restarts. 1, or 0: it has none, as most containers. */
static int read_machine_id(char id[ID_BYTES]) {
  uint8_t bytes[MACHINE_ID_CHARS / 2];
#ifdef HF_TEST_PLANTS
  if (hf_test_machine() != NULL) {
    (void)snprintf(id, ID_BYTES, "%s", hf_test_machine());
    return 1;
  }
#endif
  hf_autofd int fd = hf_sys_openat(AT_FDCWD, "/etc/machine-id", O_RDONLY, 0);
  ssize_t got = fd >= 0 ? hf_sys_pread_full(fd, id, MACHINE_ID_CHARS, 0) : -1;
  if (got != MACHINE_ID_CHARS || hf_unhex(id, MACHINE_ID_CHARS, bytes) != 0)
    return 0;
  id[MACHINE_ID_CHARS] = '\0';
  return 1;
}

/* The file's name: a hash of who may write into it, and where. A machine's id alone will not do:
 * images carry one to many hosts. Without one it is the id of this boot, and then not the name:
 * containers have names of their own, a new one for each job, and one kernel, whose lock reaches
 * them all. */
static int tell_name(hf_tally_state *state) {
  char host[HF_STATS_HOST_BYTES] = "";
  char id[ID_BYTES] = "";
  char text[2 * HF_STATS_HOST_BYTES + ID_BYTES];
  if (gethostname(host, sizeof host - 1) != 0 || !hf_utf8_valid(host, strlen(host)))
    host[0] = '\0';
  int is_machine = read_machine_id(id);
  if (!is_machine && hf_boot_id(id, NULL) != HF_OK)
    return -1;
  int bytes = snprintf(text, sizeof text, "%lu\n%s\n%s", (unsigned long)geteuid(),
                       is_machine ? host : "", id);
  memcpy(state->host, host, sizeof host);
  (void)snprintf(state->name, sizeof state->name, "%016llx",
                 (unsigned long long)hf_hash64(NAME_SEED, text, (size_t)bytes));
  return 0;
}

static int open_folder(hf_store *store) {
  hf_tally_state *state = &store->tally;
  if (state->folder_fd >= 0)
    return 0;
  state->folder_fd = hf_sys_openat(store->root_fd, HF_TALLY_FOLDER, O_RDONLY | O_DIRECTORY, 0);
  if (state->folder_fd < 0 && errno == ENOENT) { /* a store from before there was one */
    (void)hf_sys_mkdir(store->root_fd, HF_TALLY_FOLDER, 0777);
    state->folder_fd = hf_sys_openat(store->root_fd, HF_TALLY_FOLDER, O_RDONLY | O_DIRECTORY, 0);
  }
  return state->folder_fd >= 0 ? 0 : -1;
}

static int count_entry(void *context, const char *name, hf_error *reterr) {
  (void)name, (void)reterr;
  ++*(unsigned *)context;
  return HF_OK;
}

static int open_file(const hf_tally_state *state) {
  unsigned files = 0;
  int fd = hf_sys_openat(state->folder_fd, state->name, O_RDWR, 0);
  if (fd >= 0 || errno != ENOENT)
    return fd;
  if (hf_dir_each(state->folder_fd, HF_TALLY_FOLDER, count_entry, &files, NULL) != HF_OK ||
      files >= HF_TALLY_FILES_MAX)
    return -1;
  return hf_sys_openat(state->folder_fd, state->name, O_RDWR | O_CREAT, 0666);
}

/* What was counted since. The longest wait is no sum. */
static hf_handle_stats since(const hf_handle_stats *now, const hf_handle_stats *before) {
  hf_handle_stats more = *now;
  hf_handle_stats less = *before;
  less.lock_wait_us_max = 0;
  hf_tally_subtract(&more, &less);
  return more;
}

/* The lock is held. */
static added add_to_file(hf_store *store, int fd) {
  hf_tally_state *state = &store->tally;
  char bytes[HF_TALLY_BYTES];
  hf_host_stats tally;
  hf_tally_is is;
  if (hf_tally_read(fd, &tally, &is) != 0 || is == HF_TALLY_WRONG || is == HF_TALLY_NEWER)
    return ADD_FAILED;
  hf_handle_stats now = hf_handle_counted(store);
  hf_handle_stats more = since(&now, &state->counted);
  tally.last_unix_us = hf_realtime_us();
  if (is == HF_TALLY_EMPTY) {
    memcpy(tally.host, state->host, sizeof tally.host);
    tally.since_unix_us = tally.last_unix_us;
  }
  tally.handles += !state->is_known;
  hf_tally_add(&tally.counted, HF_PLANTED(TALLY_TWICE) ? &now : &more);
  hf_tally_put(&tally, bytes);
  if (hf_sys_pwrite_full(fd, bytes, sizeof bytes, 0) != 0)
    return ADD_FAILED;
  state->is_known = 1;
  state->counted = now;
  return ADDED;
}

static added add(hf_store *store) {
  hf_tally_state *state = &store->tally;
  if ((state->name[0] == '\0' && tell_name(state) != 0) || open_folder(store) != 0)
    return ADD_FAILED;
  if (!HF_PLANTED(TALLY_UNLOCKED) && hf_sys_flock(state->folder_fd, LOCK_EX) != 0)
    return errno == EWOULDBLOCK ? ADD_BUSY : ADD_FAILED;
  hf_autofd int fd = open_file(state);
  added result = fd >= 0 ? add_to_file(store, fd) : ADD_FAILED;
  /* by itself: a child that was forked meanwhile has the descriptor, too. Before the close: where
   * that sends the bytes to a server, this host has them already. */
  (void)hf_sys_flock(state->folder_fd, LOCK_UN);
  return result;
}

static int has_news(const hf_store *store) {
  hf_handle_stats now = hf_handle_counted(store);
  return memcmp(&now, &store->tally.counted, sizeof now) != 0;
}

void hf_tally_note(hf_store *store) {
  hf_tally_state *state = &store->tally;
  int64_t now_us = hf_monotonic_us();
  if (state->counts_not || now_us < atomic_load(&state->due_us) ||
      atomic_flag_test_and_set(&state->busy))
    return;
  int64_t pause_ms = HF_TALLY_PAUSE_MS;
  added result = has_news(store) ? add(store) : ADDED;
  if (result != ADDED)
    pause_ms = result == ADD_BUSY ? BUSY_PAUSE_MS : FAILED_PAUSE_MS;
  atomic_store(&state->due_us, now_us + pause_ms * 1000);
  atomic_flag_clear(&state->busy);
}

void hf_tally_end(hf_store *store) {
  struct timespec pause = {0, TRY_PAUSE_NS};
  if (store->tally.counts_not || !has_news(store))
    return;
  for (int i = 0; i < TRIES_MAX && add(store) == ADD_BUSY; i++)
    (void)nanosleep(&pause, NULL);
}
