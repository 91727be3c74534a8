/* doctor --peer: several processes, on several hosts if it is to mean something, run the same
 * script on one folder and compare what each of them saw.
 *
 *     DIR/doctor-peer/             the lobby: made by whoever comes first, removed by the last
 *       <ULID>                     a peer's mail: lines that only it appends; its length only grows
 *       <ULID of the first>.d/     the session: everything that is tried lies in it
 *
 * peer_meet.c: the peers find each other by listing the lobby, and agree on who takes part: the
 * one with the lowest id of them offers, the others join, it says "go". From there on their indexes
 * (by id) fix who does what, and all run the steps of peer.c in lockstep: a step ends with a line
 * in one's own mail, and waits for that line of all others (peer_mail.c). No name is looked up that
 * may not exist yet, but where that is what is being measured: a client would remember its absence.
 *
 * Each peer's measurements are one report (peer_report.c). All have all reports at the end, and
 * the judgement (peer_judge.c) is a function of the reports alone: so each prints the same.
 *
 * A peer that is silent for too long ends the others with an error that names it. What a killed one
 * leaves is passed over at once, since its mail does not grow, and removed by a later run once it
 * is a minute old. Errors: HF_ENOTFOUND (nobody came), HF_EINVAL (the others want another number of
 * peers), HF_EVERSION (another program), HF_ECANCELLED, HF_EIO (a peer is gone, a call failed). */
#ifndef HF_CORE_PEER_H
#define HF_CORE_PEER_H

#include <stdint.h>
#include <sys/types.h>

#include <holdfast/admin.h>

#include "buf.h"
#include "manifest.h"
#include "peer_record.h"
#include "peer_report.h"

enum {
  HF_PEER_KIND_BYTES = 16,
  HF_PEER_LINE_BYTES_MAX = 16 * 1024,
  HF_PEER_SESSION_MS_MAX = 600000,
  HF_PEER_STEP_US = 10000,      /* between two looks at the others' mail */
  HF_PEER_STEP_QUICK_US = 1000, /* the same where the time of a message matters */
};

/* Somebody's mail, as far as it was read. */
typedef struct hf_peer_mail {
  char id[HF_ID_CHARS + 1];
  uint64_t offset; /* so far its bytes were taken into `unread` */
  hf_buf unread;
  size_t used; /* of unread */
  /* when it was last seen longer; at first: when it was first seen */
  int64_t grew_ms;
  int has_grown;                 /* 1: it was seen to grow, so its owner lives */
  char kind[HF_PEER_KIND_BYTES]; /* of the last line that was taken */
  hf_buf text;                   /* and what follows it */
  int64_t heard_us;              /* the wall clock when it was taken */
} hf_peer_mail;

typedef struct hf_peer_member {
  hf_peer_mail mail; /* of the others */
  hf_peer_report report;
} hf_peer_member;

typedef struct hf_peer_run {
  const char *path;
  const hf_peer_options *options;
  size_t wanted; /* so many peers */
  int64_t silence_ms;
  int64_t until_ms; /* the session has to be over */
  hf_fs fs;
  int is_store;
  hf_manifest manifest;
  int root_fd;
  int lobby_fd;
  int session_fd;
  char id[HF_ID_CHARS + 1];
  uint64_t said; /* bytes of one's own mail */
  int64_t said_ms;
  int is_leader; /* made the session's folder */
  int by_rename; /* how names are published in the race */
  char at[40];   /* the first one's time of the result */

  hf_peer_member *members; /* by id; NULL before they have met */
  size_t count;
  size_t self;
} hf_peer_run;

static inline hf_peer_report *hf_peer_own(hf_peer_run *run) {
  return &run->members[run->self].report;
}

/* ---- peer_mail.c ---- */

int64_t hf_peer_now_us(void); /* CLOCK_MONOTONIC */
void hf_peer_sleep_us(int64_t us);

/* Makes one's own mail, with its first line. */
int hf_peer_mail_begin(hf_peer_run *run, const char *kind, const char *text, hf_error *reterr);

/* Appends a line to it. text may be "". */
int hf_peer_say(hf_peer_run *run, const char *kind, const char *text, hf_error *reterr);

/* Shows that one is alive, if nothing was said for a while; asks the caller whether to stop. */
int hf_peer_tick(hf_peer_run *run, hf_error *reterr);

/* Reads what was appended to somebody's mail. 1: something was; 0: nothing; HF_ENOTFOUND: it is not
 * there any more; other negatives. */
int hf_peer_mail_look(const hf_peer_run *run, hf_peer_mail *mail, hf_error *reterr);

/* Takes its next line into kind and text. 1 or 0. */
int hf_peer_mail_take(hf_peer_mail *mail);
/* The same, but the line stays. */
int hf_peer_mail_peek(hf_peer_mail *mail);

static inline const char *hf_peer_mail_text(const hf_peer_mail *mail) {
  return mail->text.data != NULL ? mail->text.data : "";
}

void hf_peer_mail_free(hf_peer_mail *mail);

/* Waits until member `index` has said a line of this kind, its next one. */
int hf_peer_hear_one(hf_peer_run *run, size_t index, const char *kind, int64_t step_us,
                     hf_error *reterr);
/* The same of all others. */
int hf_peer_hear(hf_peer_run *run, const char *kind, int64_t step_us, hf_error *reterr);
/* Has member `index` said it already? 1 or 0, without waiting. */
int hf_peer_heard(hf_peer_run *run, size_t index, const char *kind, hf_error *reterr);
/* Says it, and waits for that of all others. */
int hf_peer_meet_at(hf_peer_run *run, const char *kind, const char *text, hf_error *reterr);

/* After a step has failed: did it fail because another peer gave up? Then its reason is the one to
 * tell. Answers the status to go on with. */
int hf_peer_blame(hf_peer_run *run, int status, hf_error *reterr);

/* HF_OK, or the error that tells that a member has given up or is silent. Leaves its lines. */
int hf_peer_check_life(hf_peer_run *run, size_t index, hf_error *reterr);

/* 1: all others have given up, too, or are gone. */
int hf_peer_all_left(hf_peer_run *run);

/* ---- peer_signal.c: signal `number` from one member to another, once ---- */

int hf_peer_signal(hf_peer_run *run, size_t to, unsigned number, hf_error *reterr);
int hf_peer_await(hf_peer_run *run, size_t from, unsigned number, hf_error *reterr);

/* ---- peer_meet.c, peer_leave.c ---- */

/* Finds the others. Writes members, count, self, is_leader, session_fd. */
int hf_peer_meet(hf_peer_run *run, hf_error *reterr);

/* Leaves: one's own mail, the session's folder (by its leader), what killed peers left longer than
 * a minute ago, the lobby if nobody else is in it. Tells the log what has to stay. */
void hf_peer_leave(hf_peer_run *run);

/* ---- peer_name.c ---- */

/* "m1", of kind 'm' and member 1. */
enum { HF_PEER_NAME_BYTES = 32 };
void hf_peer_name(char name[HF_PEER_NAME_BYTES], char kind, size_t index);

/* Makes an empty mark; makes it longer, by writing one byte at `length`; its length, looked at
 * freshly (negative: a status). */
int hf_peer_mark_make(const hf_peer_run *run, char kind, hf_error *reterr);
int hf_peer_mark_extend(const hf_peer_run *run, char kind, uint64_t length, hf_error *reterr);
int64_t hf_peer_mark_length(const hf_peer_run *run, char kind, size_t index, hf_error *reterr);

/* Makes a name in one's own folder of this kind: where it can, a link to a file that is durable, as
 * a store does. */
int hf_peer_make_name(const hf_peer_run *run, char kind, const char *name, hf_error *reterr);

/* 1: it is there. 0: it is not. */
int hf_peer_is_there(int dirfd, const char *name, hf_error *reterr);
/* The same in a member's folder, which is opened by its name before, and examined. */
int hf_peer_is_there_afresh(const hf_peer_run *run, char kind, size_t index, const char *name,
                            hf_error *reterr);

/* ---- the steps ---- */

int hf_peer_clocks(hf_peer_run *run, hf_error *reterr);
int hf_peer_race_prepare(hf_peer_run *run, hf_error *reterr);
int hf_peer_race(hf_peer_run *run, hf_error *reterr);
int hf_peer_locks(hf_peer_run *run, hf_error *reterr);
int hf_peer_look_prepare(hf_peer_run *run, hf_error *reterr);
int hf_peer_look(hf_peer_run *run, hf_error *reterr);
int hf_peer_burst(hf_peer_run *run, hf_error *reterr);

/* ---- peer_tell.c ---- */

/* The result, with its words; the findings as checks to `check` (NULL: to nobody). */
void hf_peer_tell(const hf_peer_run *run, const hf_peer_findings *found, hf_check_fn check,
                  hf_peer_result *ret_result);

/* ---- peer_record.c ---- */

/* Puts the result into the store's manifest, or into a file that hf_init takes over. */
int hf_peer_record(hf_peer_run *run, const char *json, hf_error *reterr);

#endif
