/* The cases of peer.c: several processes that run hf_doctor_peer on one folder, each with a syscall
 * table that makes its mount what the case wants, and on the host that the case wants it to be. */
#ifndef FAULT_LIB_PEER_H
#define FAULT_LIB_PEER_H

#include <stddef.h>
#include <stdint.h>

#include "lib.h"
#include "sys.h"

enum { PEER_MEMBERS_MAX = 4, PEER_CHECKS_MAX = 16, PEER_TEXT_BYTES = 1100 };

/* What one member is told, and what it tells. */
typedef struct peer_member {
  int host;           /* members of one host have one boot id */
  void (*set)(void);  /* changes peer_table; NULL: nothing */
  unsigned wants;     /* peers; 0: as many as there are members */
  int64_t timeout_ms; /* 0: 20 s */
  int record;
  int start_after_ms;
} peer_member;

typedef struct peer_told {
  int status;
  hf_error error;
  hf_peer_result result;
  int64_t took_ms;
  size_t checks_count;
  struct {
    char name[32];
    hf_verdict verdict;
    char text[PEER_TEXT_BYTES];
  } checks[PEER_CHECKS_MAX];
} peer_told;

/* The table of this process: a copy of the real one, which a case changes. */
extern hf_sys_table peer_table;
extern int peer_host;      /* which this process is on */
extern int peer_keeps_fds; /* 1: the case leaves descriptors open, on purpose */

/* From now on the filesystem's type is one that nobody knows. */
void peer_be_shared(void);

/* Runs them all at once on `folder`, at most PEER_MEMBERS_MAX; what each told. A member that was
 * killed has the status 1. */
const peer_told *peer_run(const char *folder, const peer_member *members, size_t count);

/* All told the same, and this. */
void peer_expect_same(const peer_told *told, size_t count);
void peer_expect(const peer_told *told, const char *check, hf_verdict verdict, const char *words);
void peer_expect_result(const peer_told *told, int safe, const char *locker, hf_verdict verdict);

/* The folder holds no name but these (NULL: none). */
void peer_expect_empty(const char *folder, const char *but);

/* ---- mounts: for peer_member.set ---- */

void peer_mount_shared(void);
void peer_mount_replaces(void);        /* a link to a race's name replaces it */
void peer_mount_both_win(void);        /* a link to a name that exists answers 0 */
void peer_mount_does_nothing(void);    /* some links answer 0, and no name is there */
void peer_mount_no_links(void);        /* EPERM; renames are fine */
void peer_mount_rename_replaces(void); /* the same, and a rename replaces */
void peer_mount_loses_replies(void);   /* a link is done, and answers EEXIST */
void peer_mount_local_flock(void);     /* flock holds within a host */
void peer_mount_no_flock(void);        /* ENOLCK */
void peer_mount_stuck_flock(void);     /* close gives nothing back */
void peer_mount_granting_flock(void);  /* everybody gets it */
void peer_mount_old_lengths(void);     /* an attribute cache: lengths are 200 ms old */
/* a name that was absent stays it, until its folder is opened */
void peer_mount_absent_names(void);
void peer_mount_slow_names(void); /* a name that a mark told of is not there at the first look */
void peer_die_in_race(void);      /* SIGKILL */
void peer_fail_in_race(void);     /* EIO */

#endif
