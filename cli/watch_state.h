/* How far a watch has come, in a file that outlives it.
 *
 * A line of JSON of a fixed length, {"holdfast_watch":1,"store":"UUID","seq":N}, made whole
 * (outfile.h) and then written in place: seq N and everything before it is done. A killed process
 * leaves what was written last; a power loss may leave an older line, of a second before: what
 * follows it is then done again. While it is open it is locked (flock), so that two watches do not
 * share it. */
#ifndef HF_CLI_WATCH_STATE_H
#define HF_CLI_WATCH_STATE_H

#include "cli.h"

typedef struct hf_cli_watch_state {
  const char *path; /* NULL: there is none, and all of this does nothing */
  int fd;           /* -1: not made yet */
  char uuid[HF_UUID_CHARS + 1];
  uint64_t seq;
  int64_t synced_ms;
  int is_synced;
} hf_cli_watch_state;

/* Opens the file of --state, if that is given and the file is there: then *ret_found is 1, and
 * state->seq is what it tells. Answers an exit status, as the following. The caller closes it. */
int hf_cli_watch_state_open(hf_cli *cli, hf_cli_watch_state *state, int *ret_found);

/* Makes it, durably, where it was not there. */
int hf_cli_watch_state_make(hf_cli *cli, hf_cli_watch_state *state, uint64_t seq);

/* Up to seq everything is done. */
int hf_cli_watch_state_put(hf_cli *cli, hf_cli_watch_state *state, uint64_t seq);

/* Makes it durable, unless it is or was a moment ago; with `now` in any case. */
int hf_cli_watch_state_sync(hf_cli *cli, hf_cli_watch_state *state, int now);

void hf_cli_watch_state_close(hf_cli_watch_state *state);

#endif
