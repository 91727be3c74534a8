/* The findings, as checks and in plain words. Everything here comes from the reports, so that every
 * peer prints the same. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "peer.h"

#include "banned.h"

enum { TEXT_BYTES = 1024, CLOCKS_APART_US_MAX = 2000000, LATE_BYTES = 48 };

typedef struct telling {
  const hf_peer_run *run;
  const hf_peer_findings *found;
  hf_check_fn check;
  hf_verdict worst;
} telling;

static void tell(telling *to, const char *name, hf_verdict verdict, double value, const char *unit,
                 const char *format, ...) __attribute__((format(printf, 6, 7)));

static void tell(telling *to, const char *name, hf_verdict verdict, double value, const char *unit,
                 const char *format, ...) {
  char text[TEXT_BYTES];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args);
  va_end(args);
  hf_check check = {.name = name, .verdict = verdict, .text = text, .value = value, .unit = unit};
  if (verdict > to->worst)
    to->worst = verdict;
  if (to->check != NULL)
    to->check(to->run->options->check_context, &check);
}

/* "12 ms", or ">= 5 s". */
static const char *late(int64_t ms, char text[LATE_BYTES]) {
  if (ms == HF_PEER_NOT_SEEN)
    (void)snprintf(text, LATE_BYTES, ">= %d s", HF_PEER_SEEN_MS_MAX / 1000);
  else
    (void)snprintf(text, LATE_BYTES, "%" PRId64 " ms", ms);
  return text;
}

static double late_value(int64_t ms) {
  return ms == HF_PEER_NOT_SEEN ? HF_PEER_SEEN_MS_MAX : (double)ms;
}

/* ---- the checks ---- */

static void tell_peers(telling *to) {
  const hf_peer_findings *found = to->found;
  char who[512] = "";
  size_t used = 0;
  for (size_t i = 0; i < to->run->count && used < sizeof who; i++)
    used +=
        (size_t)snprintf(who + used, sizeof who - used, "%s%s (pid %" PRId64 ")", i > 0 ? ", " : "",
                         to->run->members[i].report.host, to->run->members[i].report.pid);
  if (found->hosts > 1 && found->is_local)
    tell(to, "peers", HF_VERDICT_BAD, (double)found->hosts, "hosts",
         "%zu on %zu hosts: %s. But %s is on the list of local filesystems, on which a store "
         "believes the one kernel that it runs on",
         found->peers, found->hosts, who, to->run->members[0].report.filesystem);
  else if (found->hosts > 1)
    tell(to, "peers", HF_VERDICT_GOOD, (double)found->hosts, "hosts", "%zu on %zu hosts: %s",
         found->peers, found->hosts, who);
  else if (found->is_local)
    tell(to, "peers", HF_VERDICT_GOOD, 1, "hosts",
         "%zu on one host: %s; %s is local, so no other host sees it", found->peers, who,
         to->run->members[0].report.filesystem);
  else
    tell(to, "peers", HF_VERDICT_CAUTION, 1, "hosts",
         "%zu on one host: %s (one boot id); what follows proves nothing about several hosts: run "
         "it on two",
         found->peers, who);
}

static void tell_mount(telling *to) {
  const char *type = to->run->members[0].report.filesystem;
  if (to->found->is_refused)
    tell(to, "mount", HF_VERDICT_BAD, 0, "",
         "%s; a peer's is mounted with nocto, where no store opens: open does not ask the server",
         type);
  else
    tell(to, "mount", HF_VERDICT_GOOD, 0, "", "%s; no peer's has an option that a store refuses",
         type);
}

static void tell_publish(telling *to) {
  const hf_peer_findings *found = to->found;
  const char *call = found->by_rename ? "renameat2" : "link";
  const char *probe = "";
  for (size_t i = 0; i < to->run->count; i++)
    if (!to->run->members[i].report.can_link)
      probe = to->run->members[i].report.probe;
  if (found->publishes)
    tell(to, "publish", HF_VERDICT_GOOD, HF_PEER_RACE_NAMES, "names",
         "%s: %zu names were raced for, each got one owner, whom all agree on%s", call,
         found->agreed,
         found->lost > 0 ? "; some who won were told that they had lost: a store reads back" : "");
  else if (found->replaced > 0)
    tell(to, "publish", HF_VERDICT_BAD, HF_PEER_RACE_NAMES, "names",
         "%s: of %d names %zu changed their owner, or have another one for each peer: it replaces "
         "what exists, and saves would be lost",
         call, HF_PEER_RACE_NAMES, found->replaced);
  else if (found->absent > 0)
    tell(to, "publish", HF_VERDICT_BAD, HF_PEER_RACE_NAMES, "names",
         "%s: of %d names %zu were not there for everybody when they had been made: saves would be "
         "missed",
         call, HF_PEER_RACE_NAMES, found->absent);
  else if (found->lied > 0)
    tell(to, "publish", HF_VERDICT_BAD, HF_PEER_RACE_NAMES, "names",
         "%s: %zu times it answered \"done\" where the name is another peer's: both had won", call,
         found->lied);
  else if (found->failed_errno != 0)
    tell(to, "publish", HF_VERDICT_BAD, HF_PEER_RACE_NAMES, "names", "%s fails: %s", call,
         strerror((int)found->failed_errno));
  else
    tell(to, "publish", HF_VERDICT_BAD, HF_PEER_RACE_NAMES, "names",
         "neither link (%s) nor renameat2 without replacing can be used by all peers", probe);
}

static void tell_marks(telling *to) {
  const hf_peer_findings *found = to->found;
  if (found->marks_stale > 0)
    tell(to, "marks", HF_VERDICT_BAD, (double)found->marks_stale, "times",
         "%" PRId64 " times a file that was written and closed showed its old length to another "
         "peer that opened it afterwards: readers would miss acknowledged saves (an attribute "
         "cache: "
         "attr_timeout of FUSE, or the like)",
         found->marks_stale);
  else if (found->mark_ms == HF_PEER_NOT_SEEN)
    tell(to, "marks", HF_VERDICT_BAD, 0, "",
         "a mark's new length was not seen within %d s: readers would miss acknowledged saves",
         HF_PEER_SEEN_MS_MAX / 1000);
  else if (found->marks_checked == 0)
    tell(to, "marks", HF_VERDICT_CAUTION, 0, "",
         "a peer won every name, so that it never had to see another's length; run it again");
  else
    tell(to, "marks", HF_VERDICT_GOOD, (double)found->marks_checked, "times",
         "a length that was closed by one was seen by the others that opened it, each time "
         "(asked at least %" PRId64 " times by each)",
         found->marks_checked);
}

static void tell_lock(telling *to, const char *name, hf_peer_reach reach, hf_verdict worse) {
  switch (reach) {
  case HF_REACH_HOSTS:
    tell(to, name, HF_VERDICT_GOOD, 0, "", "excludes: tried between all peers, on %zu hosts",
         to->found->hosts);
    return;
  case HF_REACH_HOST:
    tell(to, name, HF_VERDICT_GOOD, 0, "",
         "excludes between these peers, which ran on one host; beyond it, nothing was shown");
    return;
  case HF_REACH_NOT_FAR:
    tell(to, name, worse, 0, "", "holds on one host only: granted on one while another had it");
    return;
  case HF_REACH_NOBODY:
    tell(to, name, worse, 0, "",
         "is of no use: granted to two at once on one host, or kept after its file was closed");
    return;
  case HF_REACH_NOTHING:
    tell(to, name, worse, 0, "", "is not to be had here: a free lock was refused with an error");
    return;
  }
}

static void tell_names(telling *to) {
  const hf_peer_findings *found = to->found;
  char one[LATE_BYTES], two[LATE_BYTES], three[LATE_BYTES];
  tell(to, "names", HF_VERDICT_GOOD, late_value(found->name_ms), "ms",
       "an announced name was seen after %s by looking for it again and again, %s by opening the "
       "folder before, %s by the length of a mark (a store goes by marks)",
       late(found->name_ms, one), late(found->folder_ms, two), late(found->mark_ms, three));
}

static void tell_burst(telling *to) {
  const hf_peer_findings *found = to->found;
  char one[LATE_BYTES], two[LATE_BYTES];
  tell(to, "burst", found->burst_mark > 0 ? HF_VERDICT_CAUTION : HF_VERDICT_GOOD,
       (double)found->burst_mark, "names",
       "of %" PRId64 " names 1 to 2 ms apart, %" PRId64
       " were missed once announced by opening the "
       "folder (at worst for %s), %" PRId64 " by going only for what a mark tells (%s)%s",
       found->burst_names, found->burst_folder, late(found->burst_folder_ms, one),
       found->burst_mark, late(found->burst_mark_ms, two),
       found->burst_mark > 0 ? "; a store makes a client forget by a link, and is slower for it"
                             : "");
}

static void tell_clocks(telling *to) {
  const hf_peer_findings *found = to->found;
  int64_t file_us = 0;
  for (size_t i = 0; i < to->run->count; i++) {
    int64_t ahead_us = to->run->members[i].report.file_ahead_us;
    if ((ahead_us < 0 ? -ahead_us : ahead_us) > (file_us < 0 ? -file_us : file_us))
      file_us = ahead_us;
  }
  int is_far = found->clocks_apart_us > CLOCKS_APART_US_MAX || file_us > CLOCKS_APART_US_MAX ||
               file_us < -CLOCKS_APART_US_MAX;
  tell(to, "clocks", is_far ? HF_VERDICT_CAUTION : HF_VERDICT_GOOD,
       (double)found->clocks_apart_us / 1000, "ms",
       "at most %.1f ms apart (within %.1f ms; a message there and back takes %.1f ms), and the "
       "files' times %.1f ms ahead of them at worst; no order depends on clocks%s",
       (double)found->clocks_apart_us / 1000, (double)found->clocks_within_us / 1000,
       (double)found->round_trip_us / 1000, (double)file_us / 1000,
       is_far ? ", times that are shown do: let all hosts ask an NTP server" : "");
}

/* ---- the verdict ---- */

static const char *why_locker(const hf_peer_findings *found) {
  if (found->locker == NULL)
    return "no locker makes a store safe here: see what is bad above";
  if (strcmp(found->locker, "flock") == 0)
    return found->hosts > 1
               ? "flock was shown to exclude between hosts; redis is as safe, and none as well "
                 "(nothing is lost without a lock, writers only collide)"
               : "the filesystem is local, and flock excludes within its host";
  switch (found->flock) {
  case HF_REACH_HOST:
    return "flock was not tried between hosts, so nothing is known of it: redis does not depend on "
           "the filesystem; none is as safe, and slower where many write";
  case HF_REACH_NOT_FAR:
    return "flock does not exclude between hosts here; redis does, whatever the filesystem; none "
           "is as safe, and slower where many write";
  case HF_REACH_NOBODY:
  case HF_REACH_NOTHING:
  case HF_REACH_HOSTS:
    break;
  }
  return "flock does not work here; redis does not depend on the filesystem; none is as safe, and "
         "slower where many write";
}

static void tell_locker(telling *to) {
  const hf_peer_findings *found = to->found;
  const hf_peer_run *run = to->run;
  int is_worse = run->is_store && strcmp(run->manifest.locker, "flock") == 0 &&
                 found->locker != NULL && strcmp(found->locker, "flock") != 0 && found->hosts > 1;
  hf_verdict verdict = found->locker == NULL ? HF_VERDICT_BAD
                       : is_worse            ? HF_VERDICT_CAUTION
                                             : HF_VERDICT_GOOD;
  tell(to, "locker", verdict, 0, "", "%s%s%s%s",
       found->locker != NULL ? found->locker : "none fits", ": ", why_locker(found),
       is_worse ? ". This store has flock: saves of several hosts collide and are tried again"
                : "");
}

static const char *verdict_name(hf_verdict verdict) {
  switch (verdict) {
  case HF_VERDICT_GOOD:
    return "good";
  case HF_VERDICT_CAUTION:
    return "caution";
  case HF_VERDICT_BAD:
    return "bad";
  }
  return "bad";
}

static void fill_json(const telling *to, hf_peer_result *result) {
  const hf_peer_findings *found = to->found;
  const char *quote = found->locker != NULL ? "\"" : "";
  (void)snprintf(result->json, sizeof result->json,
                 "{\"at\":\"%s\",\"peers\":%zu,\"hosts\":%zu,\"filesystem\":\"%s\","
                 "\"publish\":\"%s\",\"publish_safe\":%s,\"fresh\":%s,\"flock\":\"%s\","
                 "\"fcntl\":\"%s\",\"clocks_apart_ms\":%" PRId64
                 ",\"safe\":%s,\"locker\":%s%s%s,\"verdict\":\"%s\"}",
                 to->run->at, found->peers, found->hosts, to->run->members[0].report.filesystem,
                 found->by_rename ? "rename" : "link", found->publishes ? "true" : "false",
                 found->is_fresh ? "true" : "false", hf_peer_reach_name(found->flock),
                 hf_peer_reach_name(found->fcntl), found->clocks_apart_us / 1000,
                 found->is_safe ? "true" : "false", quote,
                 found->locker != NULL ? found->locker : "null", quote, verdict_name(to->worst));
}

void hf_peer_tell(const hf_peer_run *run, const hf_peer_findings *found, hf_check_fn check,
                  hf_peer_result *ret_result) {
  telling to = {.run = run, .found = found, .check = check, .worst = HF_VERDICT_GOOD};
  tell_peers(&to);
  tell_mount(&to);
  tell_publish(&to);
  tell_marks(&to);
  tell_lock(&to, "flock", found->flock, HF_VERDICT_CAUTION);
  tell_lock(&to, "fcntl", found->fcntl, HF_VERDICT_GOOD); /* nothing uses it */
  tell_names(&to);
  tell_burst(&to);
  tell_clocks(&to);
  tell_locker(&to);
  memset(ret_result, 0, sizeof *ret_result);
  ret_result->verdict = to.worst;
  ret_result->safe = found->is_safe;
  ret_result->peers = (unsigned)found->peers;
  ret_result->hosts = (unsigned)found->hosts;
  ret_result->locker = found->locker;
  (void)snprintf(ret_result->text, sizeof ret_result->text, "%s%s: %s",
                 found->locker == NULL ? "do not keep a store here"
                                       : "a store is safe here with the locker ",
                 found->locker != NULL ? found->locker : "", why_locker(found));
  fill_json(&to, ret_result);
}
