/* What one peer has measured, as it tells the others; and what all reports together show. */
#ifndef HF_CORE_PEER_REPORT_H
#define HF_CORE_PEER_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include <holdfast/admin.h>

#include "buf.h"

enum {
  HF_PEER_HOST_BYTES = 72,
  HF_PEER_BOOT_BYTES = 48,
  HF_PEER_RACE_NAMES = 200,
  HF_PEER_BURST_NAMES = 60,
  HF_PEER_SEEN_MS_MAX = 5000, /* so long something is waited for that is not seen */
  HF_PEER_NOT_SEEN = -1,      /* in a report: not even then */
};

/* How names were answered and what was found there: a character a name. */
enum {
  HF_PEER_WON = 'w',    /* link answered 0 */
  HF_PEER_EXISTS = 'e', /* EEXIST */
  HF_PEER_FAILED = 'x', /* something else */
  HF_PEER_NOBODY = '-', /* read back: there is no such name, or nothing that was ours */
};
/* Who was read back, or who locks: the member's index as a character. */
static inline char hf_peer_digit(size_t index) {
  return (char)(index < 10 ? '0' + (char)index : 'a' + (char)(index - 10));
}

/* A try to get a lock that member i holds (or has released): a character a member. */
enum {
  HF_PEER_GRANTED = 'g',
  HF_PEER_REFUSED = 'r',
  HF_PEER_NO_LOCK = 'x',   /* an error */
  HF_PEER_NOT_TRIED = '.', /* one's own; or who was to hold it could not get it */
};

/* X(name): whole numbers. X(name, bytes): texts without a character that JSON escapes. */
#define HF_PEER_NUMBERS(X)                                                                         \
  X(pid)                                                                                           \
  X(is_local)   /* the filesystem's type is on the list of local ones */                           \
  X(is_refused) /* no store opens on a mount with these options */                                 \
  X(can_link)   /* what the probe within this peer saw */                                          \
  X(can_rename)                                                                                    \
  X(ahead_us)        /* this wall clock minus that of the first peer */                            \
  X(ahead_within_us) /* and how far off that may be */                                             \
  X(round_trip_us)   /* of a message from the first peer and back, the median */                   \
  X(file_ahead_us)   /* the time of a file written now minus this wall clock */                    \
  X(race_errno)      /* the first error of a link that is not EEXIST */                            \
  X(marks_checked)   /* how often somebody else's mark had to show a length */                     \
  X(marks_stale)     /* and did not */                                                             \
  X(flock_errno)     /* why this peer could not get a free lock */                                 \
  X(fcntl_errno)                                                                                   \
  X(name_ms)         /* an announced name was seen so late: looked up again and again */           \
  X(folder_ms)       /* the same, with the folder opened before each look */                       \
  X(mark_ms)         /* a mark's new length */                                                     \
  X(burst_names)     /* announced by others in the burst */                                        \
  X(burst_folder)    /* of them not found at the first look, though the folder was opened */       \
  X(burst_folder_ms) /* the one that was found last was found so late */                           \
  X(burst_mark)      /* of those that a mark told of: not found at the first look ever */          \
  X(burst_mark_ms)

#define HF_PEER_TEXTS(X)                                                                           \
  X(host, HF_PEER_HOST_BYTES)                                                                      \
  X(boot, HF_PEER_BOOT_BYTES)                                                                      \
  X(filesystem, 64)                                                                                \
  X(probe, 128)                       /* what the probe says of link, for people */                \
  X(answered, HF_PEER_RACE_NAMES + 1) /* the race: what each link answered */                      \
  X(at_once, HF_PEER_RACE_NAMES + 1)  /* who was read back at once */                              \
  X(at_end, HF_PEER_RACE_NAMES + 1)   /* and when everybody was done */                            \
  X(flock_held, HF_PEERS_MAX + 1)     /* a try while member i held it */                           \
  X(flock_freed, HF_PEERS_MAX + 1)    /* and when he had closed his file */                        \
  X(fcntl_held, HF_PEERS_MAX + 1)                                                                  \
  X(fcntl_freed, HF_PEERS_MAX + 1)

typedef struct hf_peer_report {
#define HF_PEER_NUMBER_MEMBER(name) int64_t name;
#define HF_PEER_TEXT_MEMBER(name, bytes) char name[bytes];
  HF_PEER_NUMBERS(HF_PEER_NUMBER_MEMBER)
  HF_PEER_TEXTS(HF_PEER_TEXT_MEMBER)
#undef HF_PEER_NUMBER_MEMBER
#undef HF_PEER_TEXT_MEMBER
} hf_peer_report;

/* One JSON object. */
int hf_peer_report_encode(const hf_peer_report *report, hf_buf *out, hf_error *reterr);
/* 0, or HF_EVERSION: not such an object. */
int hf_peer_report_decode(const char *text, size_t bytes, hf_peer_report *ret_report,
                          hf_error *reterr);

/* Copies a text into a report's member; what JSON would escape, or is not ASCII, becomes '?'. */
void hf_peer_plain(char *to, size_t to_bytes, const char *from);

/* How far a kind of lock excludes. */
typedef enum hf_peer_reach {
  HF_REACH_NOTHING, /* there is no such lock here */
  HF_REACH_NOBODY,  /* granted to two at once, or not given back by close */
  HF_REACH_HOST,    /* all peers, and they ran on one host */
  HF_REACH_NOT_FAR, /* peers of one host, and not those of others */
  HF_REACH_HOSTS    /* all peers, on more than one host */
} hf_peer_reach;

/* "unsupported", "no", "one-host", "not-across", "hosts". */
const char *hf_peer_reach_name(hf_peer_reach reach);

typedef struct hf_peer_findings {
  size_t peers;
  size_t hosts;          /* with different boot ids */
  int is_local;          /* any of them sees a local filesystem */
  int is_refused;        /* a mount of any is */
  int can_link;          /* all of them */
  int can_rename;        /* all of them */
  int by_rename;         /* how the race was run */
  size_t agreed;         /* names with one owner, whom all read back, at once and at the end */
  size_t absent;         /* names that nobody found, or not everybody */
  size_t replaced;       /* names whose owner was another one later, or for another peer */
  size_t lied;           /* answers "done" where the name is somebody else's */
  size_t lost;           /* answers "exists" or an error where the name is one's own */
  int64_t failed_errno;  /* of answers that were neither; 0: none */
  int64_t marks_checked; /* by the peer that could check least */
  int64_t marks_stale;
  hf_peer_reach flock;
  hf_peer_reach fcntl;
  int64_t name_ms; /* the worst of all peers; HF_PEER_NOT_SEEN */
  int64_t folder_ms;
  int64_t mark_ms;
  int64_t burst_names;
  int64_t burst_folder;
  int64_t burst_folder_ms;
  int64_t burst_mark;
  int64_t burst_mark_ms;
  int64_t clocks_apart_us; /* the most that two of them are */
  int64_t clocks_within_us;
  int64_t round_trip_us;
  int publishes;      /* names were given once, and answers can be told by reading back */
  int is_fresh;       /* what was closed there could be opened here */
  int is_safe;        /* both, and one kernel is not trusted where several see the folder */
  const char *locker; /* "flock" or "redis"; NULL where no store is safe */
} hf_peer_findings;

/* What the reports of all peers show, in the order of their indexes. The same for the same reports.
 */
void hf_peer_judge(const hf_peer_report *const *reports, size_t count, int by_rename,
                   hf_peer_findings *ret_found);

#endif
