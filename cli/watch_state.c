#include "watch_state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "errors.h"
#include "options.h"
#include "outfile.h"

enum {
  STATE_BYTES = 128, /* of the line, blanks and newline included: far below a sector's */
  SYNC_EVERY_MS = 1000,
};

static const char line_begin[] = "{\"holdfast_watch\":1,\"store\":\"";
static const char line_middle[] = "\",\"seq\":";

static int64_t now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void make_line(const hf_cli_watch_state *state, char line[STATE_BYTES]) {
  char text[STATE_BYTES];
  int bytes = snprintf(text, sizeof text, "%s%s%s%" PRIu64 "}", line_begin, state->uuid,
                       line_middle, state->seq);
  memset(line, ' ', STATE_BYTES);
  memcpy(line, text, (size_t)bytes);
  line[STATE_BYTES - 1] = '\n';
}

/* The line that make_line makes, and no other. 1 or 0. */
static int take_line(const char line[STATE_BYTES], hf_cli_watch_state *state) {
  hf_cli_watch_state told = {0};
  char digits[24] = "";
  char again[STATE_BYTES];
  const char *uuid = line + strlen(line_begin);
  const char *number = uuid + HF_UUID_CHARS + strlen(line_middle);
  memcpy(told.uuid, uuid, HF_UUID_CHARS);
  for (size_t i = 0; i + 1 < sizeof digits && number[i] >= '0' && number[i] <= '9'; i++)
    digits[i] = number[i];
  if (hf_cli_parse_number(digits, &told.seq) != 0)
    return 0;
  make_line(&told, again);
  if (memcmp(line, again, STATE_BYTES) != 0)
    return 0;
  memcpy(state->uuid, told.uuid, sizeof state->uuid);
  state->seq = told.seq;
  return 1;
}

static int cannot(const hf_cli *cli, const hf_cli_watch_state *state, const char *what) {
  return hf_cli_failed(cli, state->path, "%s: %s", what, strerror(errno));
}

/* Opens and locks it. *ret_found: 0, it is not there. */
static int open_locked(const hf_cli *cli, hf_cli_watch_state *state, int *ret_found) {
  struct stat mine;
  struct stat named;
  *ret_found = 0;
  state->fd = open(state->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (state->fd < 0)
    return errno == ENOENT ? HF_CLI_DONE : cannot(cli, state, "cannot be opened");
  if (fstat(state->fd, &mine) != 0)
    return cannot(cli, state, "cannot be examined");
  if (!S_ISREG(mine.st_mode))
    return hf_cli_failed(cli, state->path, "is no file; --state wants one, or a name for one");
  if (flock(state->fd, LOCK_EX | LOCK_NB) != 0 && errno != EWOULDBLOCK)
    return cannot(cli, state, "cannot be locked");
  if (flock(state->fd, LOCK_EX | LOCK_NB) != 0 || stat(state->path, &named) != 0 ||
      named.st_ino != mine.st_ino || named.st_dev != mine.st_dev)
    return hf_cli_failed(cli, state->path,
                         "another watch uses it; give each watch a state of its own");
  *ret_found = 1;
  return HF_CLI_DONE;
}

int hf_cli_watch_state_open(hf_cli *cli, hf_cli_watch_state *state, int *ret_found) {
  char line[STATE_BYTES + 1];
  hf_info info;
  hf_error err = HF_ERROR_INIT;
  *ret_found = 0;
  *state = (hf_cli_watch_state){.path = cli->args.state, .fd = -1};
  if (state->path == NULL)
    return HF_CLI_DONE;
  if (state->path[0] == '\0')
    return hf_cli_usage(cli, "--state", "wants a file; it is empty");
  if (hf_store_info(cli->store, &info, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  int status = open_locked(cli, state, ret_found);
  if (status != HF_CLI_DONE || !*ret_found) {
    memcpy(state->uuid, info.uuid, sizeof state->uuid);
    return status;
  }
  ssize_t got = pread(state->fd, line, sizeof line, 0);
  if (got < 0)
    return cannot(cli, state, "cannot be read");
  if (got != STATE_BYTES || !take_line(line, state))
    return hf_cli_failed(cli, state->path,
                         "does not hold the state of a watch; name another file, or remove it to "
                         "begin anew");
  if (strcmp(state->uuid, info.uuid) != 0)
    return hf_cli_failed(cli, state->path,
                         "is the state of a watch on another store, %s; this one is %s",
                         state->uuid, info.uuid);
  return HF_CLI_DONE;
}

int hf_cli_watch_state_make(hf_cli *cli, hf_cli_watch_state *state, uint64_t seq) {
  char line[STATE_BYTES];
  hf_cli_outfile file;
  int found = 0;
  if (state->path == NULL)
    return HF_CLI_DONE;
  state->seq = seq;
  make_line(state, line);
  int status = hf_cli_outfile_open(cli, state->path, &file);
  if (status == HF_CLI_DONE && fwrite(line, 1, sizeof line, file.stream) != sizeof line)
    status = cannot(cli, state, "cannot be written");
  if (status == HF_CLI_DONE)
    status = hf_cli_outfile_commit(cli, &file);
  hf_cli_outfile_close(&file);
  if (status == HF_CLI_DONE)
    status = open_locked(cli, state, &found);
  if (status == HF_CLI_DONE && !found)
    status = hf_cli_failed(cli, state->path, "was removed as soon as it was made");
  state->is_synced = 1;
  state->synced_ms = now_ms();
  return status;
}

int hf_cli_watch_state_put(hf_cli *cli, hf_cli_watch_state *state, uint64_t seq) {
  char line[STATE_BYTES];
  if (state->path == NULL || seq == state->seq)
    return HF_CLI_DONE;
  state->seq = seq;
  make_line(state, line);
  errno = ENOSPC; /* for a short write */
  if (pwrite(state->fd, line, sizeof line, 0) != (ssize_t)sizeof line)
    return cannot(cli, state, "cannot be written");
  state->is_synced = 0;
  return HF_CLI_DONE;
}

int hf_cli_watch_state_sync(hf_cli *cli, hf_cli_watch_state *state, int now) {
  if (state->path == NULL || state->is_synced ||
      (!now && now_ms() - state->synced_ms < SYNC_EVERY_MS))
    return HF_CLI_DONE;
  if (fdatasync(state->fd) != 0)
    return cannot(cli, state, "cannot be made durable");
  state->is_synced = 1;
  state->synced_ms = now_ms();
  return HF_CLI_DONE;
}

void hf_cli_watch_state_close(hf_cli_watch_state *state) {
  if (state->path != NULL && state->fd >= 0)
    (void)close(state->fd);
  state->fd = -1;
}
