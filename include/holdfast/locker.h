/* Holdfast: lockers, for their authors.
 *
 * A locker makes writers take turns. It never decides what is committed: the storage does, by a
 * link that never replaces. So a locker may fail in any way (grant to two, grant to nobody) and no
 * acknowledged save is lost, doubled or reordered; it then only costs time.
 *
 * A backend exports one const hf_locker_ops with designated initialisers. Holdfast's own are
 * "flock" and "none"; a program adds its own with hf_locker_register before it opens a store. The
 * order of calls is
 *
 *     open  ( acquire  [verify]  [next_seq]  release )*  [describe]  [break_lock]  close
 *
 * One opened locker is used by several threads at once, each with a grant of its own: a locker that
 * excludes processes must exclude those threads from each other as well. A process that dies while
 * it holds a grant loses it: at once (flock), or when its lease ends.
 *
 * Deadlines are instants of CLOCK_MONOTONIC in milliseconds, so that a jump of the wall clock
 * changes nothing.
 */
#ifndef HOLDFAST_LOCKER_H
#define HOLDFAST_LOCKER_H

#include <stddef.h>
#include <stdint.h>

#include <holdfast/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  HF_LOCKER_NAME_BYTES_MAX = 64,   /* the name of a lock, and a scheme's */
  HF_LOCKER_SCHEMES_MAX = 16,      /* lockers that one process can register */
  HF_LOCK_HOLDER_TEXT_BYTES = 256, /* including the terminating NUL */
};

#define HF_GRANT_ENDS_NEVER INT64_MAX

/* What a locker promises. */
typedef enum hf_locker_traits {
  HF_LOCKER_EXCLUDES_PROCESSES = 1 << 0, /* threads and processes of one host take turns */
  HF_LOCKER_EXCLUDES_HOSTS = 1 << 1,     /* so do those of several hosts */
  /* a grant can end under its holder (a lease): verify before publishing */
  HF_LOCKER_GRANT_CAN_END = 1 << 2,
  HF_LOCKER_FENCES = 1 << 3 /* tokens rise with every grant, over all holders */
} hf_locker_traits;

/* An option of a locker: what may stand in lockers.<scheme> of the configuration. */
typedef enum hf_locker_option_kind {
  HF_LOCKER_OPTION_TEXT,   /* a string */
  HF_LOCKER_OPTION_NUMBER, /* a whole number, low to high */
  HF_LOCKER_OPTION_TEXTS   /* an array of strings that are not empty */
} hf_locker_option_kind;

typedef struct hf_locker_option {
  const char *name;
  hf_locker_option_kind kind;
  int64_t low;
  int64_t high;
  const char *meaning; /* of a number: "milliseconds"; of texts: what one is: "HOST:PORT" */
} hf_locker_option;

/* A lock that was granted. Owned by the caller of acquire; released exactly once. */
typedef struct hf_grant {
  uint64_t token;     /* the fencing token; 0 where the locker has none */
  int64_t ends_at_ms; /* CLOCK_MONOTONIC; HF_GRANT_ENDS_NEVER without a lease */
  /* what the backend's counter believes the next seq is: the first of `wanted`; 0: it does not
   * count */
  uint64_t seq_hint;
  void *hold; /* the backend's own; NULL when not held */
  /* set by the caller before acquire, lives until release: the attempt that wants the lock, shown
   * to those who ask who holds it; may be NULL. A backend that cannot show it leaves it alone. */
  const char *attempt;
  uint64_t wanted; /* set by the caller before acquire: how many numbers it wants; 0: one */
  /* set by the caller before acquire; may be NULL. A backend that knows that the turn comes next
   * calls it, in the thread that waits, while another still has the lock: what can be done without
   * the lock then does not lengthen the turn. It may come any number of times, or never. */
  void (*turn_is_near)(void *context);
  void *near_context;
} hf_grant;

#define HF_GRANT_INIT                                                                              \
  { 0, 0, 0, NULL, NULL, 0, NULL, NULL }

/* Who holds a lock. */
typedef struct hf_lock_holder {
  /* for people: "pid 4711 on host7 (save), since 2026-01-02T03:04:05Z" */
  char text[HF_LOCK_HOLDER_TEXT_BYTES];
  char host[HF_LOCK_HOLDER_TEXT_BYTES];
  int64_t pid;                   /* 0: unknown */
  uint64_t token;                /* 0: unknown */
  char attempt[HF_ID_CHARS + 1]; /* that it holds the lock for; "": unknown */
  int64_t since_unix_ms; /* by the clock of the holder's host, or of the backend; 0: unknown */
  int64_t until_unix_ms; /* when the lease ends; 0: it does not end by itself */
} hf_lock_holder;

/* What a locker is opened with. The strings live only during the call. */
typedef struct hf_locker_open_args {
  const char *store_path;   /* absolute; exists */
  const char *store_uuid;   /* 36 characters */
  const char *options_json; /* the object lockers.<scheme> of the configuration, or NULL */
  /* shown to those who ask who holds the lock: "save", "import" ...; may be NULL */
  const char *purpose;
} hf_locker_open_args;

/* What a backend says of itself, for `holdfast doctor`: what was looked at ("redis-clock"), how it
 * stands (0 good, 1 to be careful about, 2 bad), its figure (unit "": none), and in words what it
 * means for the store, with the figure. */
typedef void (*hf_locker_tell_fn)(void *context, const char *name, int badness, double figure,
                                  const char *unit, const char *text);

/* A backend's table. Entries are called from any thread. */
typedef struct hf_locker_ops {
  const char *scheme; /* "flock": 1 to 64 of a-z, 0-9, '-' */
  unsigned traits;    /* of hf_locker_traits */
  /* the library that it speaks to its backend by, and that one's version ("hiredis", "0.14.1"), for
   * hf_component_at; NULL: none */
  const char *library;
  const char *library_version;

  /* What may stand in lockers.<scheme>, up to an entry without a name: the configuration is checked
   * against it when it is read. NULL: check_options judges alone, or there are none. */
  const hf_locker_option *options;

  /* Checks lockers.<scheme> without reaching for the backend (options_json may be NULL: not
   * configured). HF_ECONFIG with what to put where. NULL: the locker has no options, any are an
   * error. Does not block. */
  int (*check_options)(const char *options_json, hf_error *reterr);

  /* Makes *ret_state, which close frees. Errors: HF_ECONFIG, HF_EBACKEND, HF_EIO, HF_ENOMEM. May
   * block shortly. */
  int (*open)(const hf_locker_open_args *args, void **ret_state, hf_error *reterr);

  /* Frees *state and sets it to NULL; accepts NULL and a pointer to NULL. No grant is held any
   * more. In a child of fork() (the state's process is another) it must not release what the parent
   * holds. */
  void (*close)(void **state);

  /* Waits until deadline_ms at most, without spinning. 1: granted, *ret_grant is written. 0: busy
   * until the deadline; reterr, if not NULL, gets HF_ELOCK with the holder's description. Negative:
   * HF_EBACKEND (cannot be reached), HF_EIO, HF_ENOMEM. A deadline in the past asks once. */
  int (*acquire)(void *state, const char *lock_name, int64_t deadline_ms, hf_grant *ret_grant,
                 hf_error *reterr);

  /* Is it still ours? 1 yes, 0 lost, negative: cannot tell. A lease of which a third is over is
   * renewed by it: the core asks before each link and now and then in what takes long, so that no
   * thread is needed that would surprise a program. NULL where a grant cannot end. */
  int (*verify)(void *state, const hf_grant *grant, hf_error *reterr);

  /* The grant's seq_hint was not head + 1: repairs the backend's counter toward the storage, as if
   * it had just told head + 1 to head + count. *ret_first: head + 1. 1: done; 0: the grant is lost,
   * nothing was changed; negative: cannot tell. NULL where the backend does not count. */
  int (*next_seq)(void *state, const hf_grant *grant, uint64_t head, uint64_t count,
                  uint64_t *ret_first, hf_error *reterr);

  /* Ends the grant, and tells the backend the storage's head (0: unknown). 1: it was ours until
   * now. 0: it had been lost. Negative: cannot tell. In every case grant->hold is freed and NULL
   * afterwards. Accepts a grant that is not held. */
  int (*release)(void *state, hf_grant *grant, uint64_t head, hf_error *reterr);

  /* 1: held, *ret_holder is written. 0: free. Takes no lock that another waits for. */
  int (*describe)(void *state, const char *lock_name, hf_lock_holder *ret_holder, hf_error *reterr);

  /* Takes the lock away from whoever holds it. Safe for the data: the storage decides. */
  int (*break_lock)(void *state, const char *lock_name, hf_error *reterr);

  /* Tells, by calls of tell, what of the backend's state matters to a store. HF_OK or negative.
   * NULL where there is nothing to tell. */
  int (*examine)(void *state, hf_locker_tell_fn tell, void *context, hf_error *reterr);

  /* How often the backend's counter was set to what the storage says, over all clients, as far as
   * the backend remembers. HF_OK or negative. NULL where the backend does not count. */
  int (*count_repairs)(void *state, const char *lock_name, uint64_t *ret_repairs, hf_error *reterr);
} hf_locker_ops;

/* Adds a backend of the program's own; ops must live as long as the process. Thread-safe.
 * Errors: HF_EINVAL (a member is missing, the scheme is misspelt), HF_EEXIST (the scheme is taken),
 * HF_ELIMIT. */
HF_API int hf_locker_register(const hf_locker_ops *ops, hf_error *reterr);

/* The backend of a scheme, or NULL. Thread-safe. */
HF_API const hf_locker_ops *hf_locker_find(const char *scheme);

/* The scheme number `index` (0, 1 ...) of those registered, or NULL past the last. Thread-safe. */
HF_API const char *hf_locker_scheme_at(size_t index);

#ifdef __cplusplus
}
#endif
#endif
