/* Leaving the lobby: what this peer made, and what killed ones left. Ages are told by the
 * filesystem's own times: those of one's own mail and of theirs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "file.h"
#include "id.h"
#include "peer.h"
#include "scratch.h"
#include "sys.h"

#include "banned.h"

enum { LEFTOVER_S_MIN = 60, SILENT_S_MIN = 5 };

typedef struct sweep {
  const hf_peer_run *run;
  int dirfd;
  int64_t now_s;
} sweep;

static int64_t modified_s(int dirfd, const char *name) {
  struct stat st;
  return hf_sys_fstatat(dirfd, name, &st) == 0 ? (int64_t)st.st_mtim.tv_sec : -1;
}

/* Whoever lives writes to its mail: its folder is as old as that. */
static int64_t age_s(const sweep *job, const char *name) {
  char owner[HF_ID_CHARS + 1];
  (void)snprintf(owner, sizeof owner, "%.*s", HF_ID_CHARS, name);
  int64_t at_s = modified_s(job->dirfd, owner);
  if (at_s < 0)
    at_s = modified_s(job->dirfd, name);
  return at_s < 0 || job->now_s < 0 ? 0 : job->now_s - at_s;
}

static int sweep_name(void *context, const char *name, hf_error *reterr) {
  const sweep *job = context;
  const hf_peer_options *options = job->run->options;
  hf_id id;
  char text[512];
  (void)reterr;
  if (strlen(name) < HF_ID_CHARS || hf_id_parse(name, HF_ID_CHARS, &id) != 0)
    return HF_OK;
  int64_t age = age_s(job, name);
  if (age > LEFTOVER_S_MIN)
    (void)hf_scratch_remove(job->dirfd, name, NULL);
  else if (age > SILENT_S_MIN && options->log != NULL) {
    (void)snprintf(text, sizeof text,
                   "%.300s/" HF_PEER_LOBBY "/%.40s: of a peer that was killed, or stands still, "
                   "%lld s ago; a later run removes it",
                   job->run->path, name, (long long)age);
    options->log(options->log_context, HF_LOG_WARNING, text);
  }
  return HF_OK;
}

/* A listing may pass over names while others are removed: whoever is the last comes here again. */
void hf_peer_leave(hf_peer_run *run) {
  char name[HF_ID_CHARS + 8];
  if (run->lobby_fd < 0)
    return;
  hf_fd_cleanup(&run->session_fd);
  sweep job = {.run = run, .dirfd = run->lobby_fd, .now_s = modified_s(run->lobby_fd, run->id)};
  (void)hf_dir_each(run->lobby_fd, HF_PEER_LOBBY, sweep_name, &job, NULL);
  (void)snprintf(name, sizeof name, "%s.d", run->id);
  (void)hf_scratch_remove(run->lobby_fd, name, NULL);
  (void)snprintf(name, sizeof name, "%s.new", run->id);
  (void)hf_sys_unlink(run->lobby_fd, name, 0);
  if (run->id[0] != '\0')
    (void)hf_sys_unlink(run->lobby_fd, run->id, 0);
  hf_fd_cleanup(&run->lobby_fd);
  (void)hf_sys_unlink(run->root_fd, HF_PEER_LOBBY, AT_REMOVEDIR); /* others may be in it */
}
