#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "file.h"
#include "fs.h"
#include "probe.h"
#include "sys.h"

#include "banned.h"

enum { PROC_TEXT_BYTES = 256, LINGER_MS = 2000 };

/* ---- who this is ---- */

/* A line of /proc; "" where it cannot be read. */
static void read_line(const char *path, char *to, size_t to_bytes) {
  char text[PROC_TEXT_BYTES];
  hf_autofd int fd = hf_sys_openat(AT_FDCWD, path, O_RDONLY, 0);
  ssize_t got = fd >= 0 ? hf_sys_pread_full(fd, text, sizeof text - 1, 0) : 0;
  text[got > 0 ? got : 0] = '\0';
  text[strcspn(text, "\n")] = '\0';
  hf_peer_plain(to, to_bytes, text);
}

/* The boot id tells kernels apart: containers of one host have the same. */
static int introduce(hf_peer_run *run, hf_error *reterr) {
  run->members = calloc(run->wanted, sizeof *run->members);
  if (run->members == NULL)
    return hf_err_nomem(reterr);
  hf_peer_report *own = &run->members[0].report;
  read_line("/proc/sys/kernel/hostname", own->host, sizeof own->host);
  read_line("/proc/sys/kernel/random/boot_id", own->boot, sizeof own->boot);
  own->pid = (int64_t)getpid();
  own->is_local = run->fs.local;
  own->is_refused = hf_fs_check_mount(&run->fs, run->path, NULL) != HF_OK;
  hf_peer_plain(own->filesystem, sizeof own->filesystem, run->fs.acting_type);
  return HF_OK;
}

static int open_place(hf_peer_run *run, hf_error *reterr) {
  run->root_fd = hf_sys_open_folder(run->path);
  if (run->root_fd < 0)
    return hf_err_sys(reterr, errno == ENOTDIR ? HF_EINVAL : HF_EIO, errno, run->path,
                      "a folder, or a store, is wanted here");
  int status = hf_fs_detect(run->path, &run->fs, reterr);
  if (status != HF_OK)
    return status;
  int got = hf_manifest_read(run->root_fd, &run->manifest, reterr);
  run->is_store = got == 1;
  return got < 0 ? got : introduce(run, reterr);
}

/* ---- the steps ---- */

/* What each peer's kernel can do, and with that how all of them race. */
static int agree_on_publishing(hf_peer_run *run, hf_error *reterr) {
  hf_peer_report *own = hf_peer_own(run);
  hf_probe probe;
  char text[16];
  int status = hf_probe_between(run->session_fd, run->session_fd, &probe, reterr);
  if (status != HF_OK)
    return status;
  own->can_link = probe.can_link;
  own->can_rename = probe.can_rename;
  hf_peer_plain(own->probe, sizeof own->probe, probe.link_text);
  (void)snprintf(text, sizeof text, "%d %d", probe.can_link, probe.can_rename);
  status = hf_peer_meet_at(run, "probed", text, reterr);
  int all_link = probe.can_link;
  int all_rename = probe.can_rename;
  for (size_t i = 0; i < run->count && status == HF_OK; i++) {
    const char *said = i != run->self ? hf_peer_mail_text(&run->members[i].mail) : text;
    all_link = all_link && said[0] == '1';
    all_rename = all_rename && strlen(said) > 2 && said[2] == '1';
  }
  run->by_rename =
      run->is_store ? strcmp(run->manifest.publish, "rename") == 0 : !all_link && all_rename;
  return status;
}

static int exchange_reports(hf_peer_run *run, hf_error *reterr) {
  hf_autobuf own = {0};
  char at[HF_RFC3339_BYTES];
  hf_rfc3339_from_us(hf_realtime_us(), at);
  int status = hf_buf_printf(&own, "%s ", at) == 0 ? HF_OK : hf_err_nomem(reterr);
  if (status == HF_OK)
    status = hf_peer_report_encode(hf_peer_own(run), &own, reterr);
  if (status == HF_OK)
    status = hf_peer_meet_at(run, "report", own.data, reterr);
  for (size_t i = 0; i < run->count && status == HF_OK; i++) {
    const char *said = i == run->self ? own.data : hf_peer_mail_text(&run->members[i].mail);
    size_t stamp = strcspn(said, " ");
    const char *report = said[stamp] == ' ' ? said + stamp + 1 : "";
    if (i == 0)
      (void)snprintf(run->at, sizeof run->at, "%.*s", (int)stamp, said);
    status = hf_peer_report_decode(report, strlen(report), &run->members[i].report, reterr);
  }
  return status;
}

static int run_steps(hf_peer_run *run, hf_error *reterr) {
  int status = agree_on_publishing(run, reterr);
  if (status == HF_OK)
    status = hf_peer_race_prepare(run, reterr);
  if (status == HF_OK)
    status = hf_peer_look_prepare(run, reterr);
  if (status == HF_OK)
    status = hf_peer_meet_at(run, "ready", "", reterr);
  if (status == HF_OK)
    status = hf_peer_clocks(run, reterr);
  if (status == HF_OK)
    status = hf_peer_race(run, reterr);
  if (status == HF_OK)
    status = hf_peer_locks(run, reterr);
  if (status == HF_OK)
    status = hf_peer_look(run, reterr);
  if (status == HF_OK)
    status = hf_peer_burst(run, reterr);
  return status == HF_OK ? exchange_reports(run, reterr) : status;
}

/* All have all reports: nothing in the session's folder is needed by anybody once all say so. */
static void finish(hf_peer_run *run) {
  hf_fd_cleanup(&run->session_fd);
  (void)hf_peer_meet_at(run, "done", "", NULL);
}

/* The others get the time to read why. */
static void say_bye(hf_peer_run *run, const char *why) {
  int64_t until_ms = hf_monotonic_ms() + LINGER_MS;
  if (run->said == 0 || hf_peer_say(run, "bye", why, NULL) != HF_OK)
    return;
  while (hf_monotonic_ms() < until_ms && !hf_peer_all_left(run))
    hf_peer_sleep_us(HF_PEER_STEP_US);
}

static int work(hf_peer_run *run, hf_error *reterr) {
  hf_error why = HF_ERROR_INIT;
  int status = hf_peer_meet(run, &why);
  if (status == HF_OK) {
    status = run_steps(run, &why);
    if (status == HF_EIO)
      status = hf_peer_blame(run, status, &why);
  }
  if (status == HF_OK)
    finish(run);
  else
    say_bye(run, why.message);
  hf_peer_leave(run);
  if (status != HF_OK && reterr != NULL)
    *reterr = why;
  return status;
}

static int conclude(hf_peer_run *run, hf_peer_result *ret_result, hf_error *reterr) {
  const hf_peer_report *reports[HF_PEERS_MAX];
  hf_peer_findings found;
  for (size_t i = 0; i < run->count; i++)
    reports[i] = &run->members[i].report;
  hf_peer_judge(reports, run->count, run->by_rename, &found);
  hf_peer_tell(run, &found, NULL, ret_result);
  int status = run->options->record ? hf_peer_record(run, ret_result->json, reterr) : HF_OK;
  if (status == HF_OK) /* only then: an error is no half of an answer */
    hf_peer_tell(run, &found, run->options->check, ret_result);
  return status;
}

int hf_doctor_peer(const char *path, const hf_peer_options *options, hf_peer_result *ret_result,
                   hf_error *reterr) {
  static const hf_peer_options usual = {.timeout_ms = HF_PEER_TIMEOUT_MS_DEFAULT};
  hf_peer_run run = {.path = path,
                     .options = options != NULL ? options : &usual,
                     .silence_ms = HF_PEER_SILENCE_MS_MAX,
                     .root_fd = -1,
                     .lobby_fd = -1,
                     .session_fd = -1};
  if (path == NULL || path[0] == '\0')
    return hf_err(reterr, HF_EINVAL, NULL, "no path was given");
  run.wanted = run.options->peers != 0 ? run.options->peers : 2;
  if (run.wanted < 2 || run.wanted > HF_PEERS_MAX)
    return hf_err(reterr, HF_EINVAL, path, "2 to %d peers can take part, not %zu", HF_PEERS_MAX,
                  run.wanted);
  if (run.options->timeout_ms >= 0 && run.options->timeout_ms < run.silence_ms)
    run.silence_ms = run.options->timeout_ms;
  int status = open_place(&run, reterr);
  if (status == HF_OK)
    status = work(&run, reterr);
  if (status == HF_OK)
    status = conclude(&run, ret_result, reterr);
  for (size_t i = 0; run.members != NULL && i < run.wanted; i++)
    hf_peer_mail_free(&run.members[i].mail);
  free(run.members);
  hf_fd_cleanup(&run.root_fd);
  return status;
}
