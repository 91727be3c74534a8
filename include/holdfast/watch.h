/* Holdfast: being told of each new snapshot, as it is committed by anyone.
 *
 *     hf_watch_begin
 *       hf_watch_next ...           one record after the other, in the order of their seqs
 *     hf_watch_end
 *
 * A watch gives every record that is wanted once, in the order of the seqs, none left out and none
 * twice, and only what is durable: the same as hf_list would tell. It takes no lock, needs only the
 * right to read, and makes no save slower.
 *
 * How soon: on a local filesystem the kernel tells of each change of log/mark (inotify), and a
 * record is given within a few milliseconds after its save was acknowledged. Where it cannot (a
 * filesystem that hosts share, or inotify's limits are reached) the mark is looked at once a second
 * (look_ms). Locally it is looked at as well, every HF_WATCH_LOOK_LOCAL_MS, for what the kernel
 * does not tell: something was mounted over the store, or a writer died before it extended the
 * mark.
 *
 * What happens to the store meanwhile. Packing, indexes, changes of mode and locker, and repairs
 * change nothing of what is given. Where the store cannot be read for a while (its server is
 * restarted, it is unmounted, its folder is moved away) hf_watch_next gives nothing, says so once
 * by the log of the store's handle (HF_LOG_WARNING), looks once a second, and goes on behind the
 * last record once the store is back, saying that, too. Another store in its place, or one whose
 * log ends before what was seen already (it was restored from a backup), is an error.
 *
 * Threads: a watch is used by one thread at a time. Any number of watches may be begun on one
 * store, each with a thread of its own. A watch has a handle of its own: the store that it was
 * begun on may be used, and closed, meanwhile; its configuration and its log's context must live as
 * long as the watch. fork(): a child gets HF_EFORKED; it may only hf_watch_end it.
 */
#ifndef HOLDFAST_WATCH_H
#define HOLDFAST_WATCH_H

#include <holdfast/holdfast.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  HF_WATCH_LOOK_MS_DEFAULT = 1000,
  HF_WATCH_LOOK_MS_MIN = 10,
  HF_WATCH_LOOK_LOCAL_MS = 5000, /* where the kernel tells of changes */
};

typedef struct hf_watch hf_watch;

typedef struct hf_watch_options {
  /* Which records, as hf_list takes them; its strings must live as long as the watch. since: the
   * lowest seq; 0: only what is committed from now on. Every revision is given: all_revisions need
   * not be set. until, limit and reverse must be 0. */
  hf_list_options which;
  /* how often the mark is looked at where the kernel does not tell, in milliseconds; 0: the
   * default; else HF_WATCH_LOOK_MS_MIN at least */
  int64_t look_ms;
} hf_watch_options;

/* Begins a watch on the store. options may be NULL: every snapshot from now on. The caller ends
 * *ret_watch. "From now on" means: what is acknowledged after hf_watch_begin has returned is given;
 * what is committed during the call may be.
 * Errors: HF_EINVAL (an option), those of hf_open and hf_list. */
HF_API int hf_watch_begin(hf_store *store, const hf_watch_options *options, hf_watch **ret_watch,
                          hf_error *reterr);

/* The next record. timeout_ms: how long to wait for one (0: only look whether there is one;
 * negative: as long as it takes). 1: *ret_record, which the caller frees. 0: the time is up, or a
 * signal was caught by this thread. Negative: HF_EDAMAGED where one record cannot be read, and not
 * by a second look either (reterr names it; the next call goes on behind it); after any other
 * (HF_EWRONGSTORE, HF_EVERSION, HF_ENOMEM, HF_EFORKED; HF_ENOTFOUND: the log ends before what was
 * seen already) the watch can only be ended. That a store cannot be read for a while is no error,
 * see above. is_current of a record: as of the moment when it was read. */
HF_API int hf_watch_next(hf_watch *watch, int64_t timeout_ms, hf_record **ret_record,
                         hf_error *reterr);

/* Up to this seq every record was given, or is not wanted: a later watch goes on with since = this
 * + 1. */
HF_API uint64_t hf_watch_position(const hf_watch *watch);

/* A descriptor that is readable (poll, epoll) when hf_watch_next may have something to give, or has
 * something to look at: then call it with a timeout of 0 until it answers 0. It is the watch's:
 * read nothing from it, and do not close it. */
HF_API int hf_watch_fd(const hf_watch *watch);

/* Ends *watch and sets it to NULL; accepts NULL and a pointer to NULL. */
HF_API void hf_watch_end(hf_watch **watch);

#ifdef __cplusplus
}
#endif
#endif
