/* Planted bugs: each safety test is shown to catch the bug that it is there for.
 *
 * Only a build with -DHF_TEST_PLANTS has them (the object libraries *_planted of tests/); in every
 * other build HF_PLANTED is the constant 0 and the compiler drops the branch. */
#ifndef HF_BASE_PLANT_H
#define HF_BASE_PLANT_H

#include <stdint.h>

/* X(name, what it does wrong) */
#define HF_PLANT_LIST(X)                                                                           \
  X(NONE, "no planted bug")                                                                        \
  X(NO_FILE_FSYNC, "a staged file is linked without having been fsynced")                          \
  X(NO_FOLDER_FSYNC, "acknowledged without fsync of log/")                                         \
  X(EEXIST_IS_ANOTHERS, "link's EEXIST is taken for somebody else's without reading the name")     \
  X(TRUST_LINK, "link's 0 is trusted without reading the name back")                               \
  X(COUNT_ANY_TRY, "a staged file's second name is taken for the one that was tried last")         \
  X(LOOK_THEN_UNLINK, "an attempt is ended by looking first and unlinking then")                   \
  X(RENAME_OVERWRITES, "published by a rename that replaces")                                      \
  X(IGNORE_DEADLINE, "the lock's deadline is ignored")                                             \
  X(REPRINT_DOCUMENT, "the document is parsed and printed again")                                  \
  X(SEQ_FROM_CLOCK, "the seq is taken from the clock")                                             \
  X(IGNORE_TILE, "nobody looks for a covering tile after the link")                                \
  X(BELIEVE_LOOSE, "what a loose name held is believed, without a look at tile/mark behind it")    \
  X(MARK_BY_PAGES, "log/mark is extended without O_DSYNC: NFS sends the page as it is here")       \
  X(WRITE_ANY_MARK, "the mark that is kept open is written, whichever file readers open by then")  \
  X(MARK_EARLY, "the mark is extended before fsync of log/")                                       \
  X(IGNORE_END, "an owner goes on although a record has ended its attempt")                        \
  X(IGNORE_MODE, "a writer goes on under the old locker behind a record that changed it")          \
  X(RELEASE_ANY, "the redis locker releases without comparing the owner")                          \
  X(RENEW_LOST, "the redis locker renews a lock that it has lost")                                 \
  X(DEAD_WAITER, "the redis locker gives the turn to a waiter that died")                          \
  X(EEXIST_IS_SUCCESS, "link's EEXIST is taken for success without reading the name")              \
  X(LOST_REPLY_IS_FAILURE, "link's lost reply is answered as not saved, without ending it")        \
  X(SEQ_FROM_COUNTER, "the seq is what the locker's counter says, the storage is not asked")       \
  X(LOOK_EARLY, "a reader of a shared store finds new records by trying their names")              \
  X(LOOK_BY_FOLDER, "the same, having opened the folder so that its names are fresh")              \
  X(UNVERIFIED_OVERWRITE, "the lease is not verified, and a rename that replaces publishes")       \
  X(DEDUPE_BY_RUN, "a run's current revision is taken for the same document")                      \
  X(PREV_BY_TIME, "prev is found by the times at which records were saved")                        \
  X(PEER_LAST_LOOK, "doctor --peer judges a name by the last look alone")                          \
  X(PEER_TRUST_ANSWERS, "doctor --peer passes over a link that says done of another's name")       \
  X(PEER_IGNORE_MARKS, "doctor --peer passes over lengths older than what was closed")             \
  X(PEER_IGNORE_FAR, "doctor --peer passes over a lock that two hosts have at once")               \
  X(PEER_TRUST_NAMES, "doctor --peer takes processes of one host for hosts")                       \
  X(PEER_ONE_HOST_IS_ALL, "doctor --peer takes flock within a host for flock between hosts")       \
  X(PEER_IGNORE_LOCAL, "doctor --peer lets two hosts share what is on the local list")             \
  X(INIT_IGNORES_PEERS, "init passes over a recorded result that says unsafe")                     \
  X(MANIFEST_DROPS_MEMBERS, "a changed manifest keeps only the members that it knows")             \
  X(ACK_BEFORE_MARK, "acknowledged before the mark is extended: whoever comes next does it")       \
  X(TILE_NOT_PREFERRED, "a reader takes the loose file although a tile covers it")                 \
  X(FREE_BEFORE_TILE_DURABLE,                                                                      \
    "loose names are removed before their tile and its mark are durable")                          \
  X(FREE_WITHOUT_COMPARE, "loose names are removed although the tile holds something else")        \
  X(KEEP_TRIED, "a packer believes the lines that its handle tried to link, and asks nobody")      \
  X(ROWS_UNCHECKED, "a row of log/rows is believed although its check is wrong")                   \
  X(JOURNAL_MARK_EARLY, "journal mode: the mark is extended before fdatasync")                     \
  X(JOURNAL_TORN_TAIL, "journal mode: a torn line is taken for a record")                          \
  X(JOURNAL_NEXT_TILE_EARLY, "journal mode: a tile is begun before the last one is durable")       \
  X(JOURNAL_NAME_EARLY, "journal mode: a part's name is not made durable by who did not make it")  \
  X(JOURNAL_LENGTH_UNPROVEN, "journal mode: a part becomes the tile without fsync, being marked")  \
  X(JOURNAL_CUTS_MARKED,                                                                           \
    "journal mode: lines are cut off after an error though others may mark them")                  \
  X(JOURNAL_READS_TO_CHANGE,                                                                       \
    "journal mode: who appends reads the part to the first change of mode, and cuts the rest")     \
  X(JOURNAL_TELLS_UNMARKED, "journal mode: a boot is told of though log/mark is short")            \
  X(JOURNAL_TOLD_MEANWHILE, "journal mode: a reader that sees that the boot was told of trusts "   \
                            "its earlier look at the mark")                                        \
  X(JOURNAL_APPENDS_BLINDLY,                                                                       \
    "journal mode: appended is where the view ends, though another thread has read it anew")       \
  X(JOURNAL_PROVES_LATER,                                                                          \
    "journal mode: other threads see, and flush, what was read before it was written anew")        \
  X(PACK_STAGES_COPIES, "a part with copies of loose records becomes the tile")                    \
  X(REPAIR_HELD_PART, "repair replaces a part that a writer whose lock was broken holds")          \
  X(MOVED_ASKED_LATE,                                                                              \
    "whether the mode has changed is asked of a later look than the one that gave the number")     \
  X(FREE_PART_UNSECURED, "a leftover part is freed though tile/mark may not be durable")           \
  X(JOURNAL_SHOWS_DAMAGED_TAIL, "journal mode: what stands behind damage is flushed, and shown, "  \
                                "though it was not written anew")                                  \
  X(VERIFY_COUNTS_COPIES, "verify finds a part's records by the copies before them")               \
  X(REPAIR_MARKS_UNPROVEN, "repair marks a part's lines without writing them anew")                \
  X(PART_REPLACED, "another file in a part's place is taken for the one that was read")            \
  X(MARK_REPLACED, "another log/mark is not seen")                                                 \
  X(END_BY_LINK, "an attempt is ended by a link though the store is in journal mode by then")      \
  X(JOURNAL_TELLS_AT_EDGE, "journal mode: a boot is told of at a tile's end, more behind it")      \
  X(JOURNAL_BEHIND_LOOSE,                                                                          \
    "journal mode: a record is appended behind a loose one whose name is not durable")             \
  X(JOURNAL_READS_COPIES, "journal mode: a part's copies of loose records are read as its own")    \
  X(VERIFY_READS_COPIES,                                                                           \
    "journal mode: verify takes copies of loose records in a part for its own")                    \
  X(JOURNAL_SHOW_UNPROVEN, "journal mode: readers are shown what is not durable yet")              \
  X(JOURNAL_SETTLES_OTHERS, "journal mode: a reader flushes what another handle has in flight")    \
  X(JOURNAL_FLUSH_CLOSES, "journal mode: who meets a failed flush closes the leader's descriptor") \
  X(JOURNAL_MARK_UNLOCKED, "journal mode: log/mark is opened to write without its mutex")          \
  X(INDEX_HIT_UNCHECKED, "get takes a hash's last row without comparing the record's key")         \
  X(JUDGE_HIT_UNCHECKED, "a save is judged by a hash's last row, whatever key the record has")     \
  X(WALK_HIT_UNCHECKED, "list and history take each row of a hash, whatever its record says")      \
  X(PREV_HIT_UNCHECKED, "prev takes a (group, stage, dims) row without comparing the record's")    \
  X(CURRENT_BY_ONE_HASH, "what comes later with the same hash is taken for the same key")          \
  X(INDEX_OVER_GAP, "indexes behind one that cannot be used are used all the same")                \
  X(INDEX_MARK_OVER_GAP, "index/mark is written over indexes that were forgotten meanwhile")       \
  X(INDEX_FORGET_ONCE, "who forgets the indexes does not look at index/mark again behind them")    \
  X(INDEX_MARK_BLIND, "index/mark tells of an index without a look whether it is still there")     \
  X(INDEX_WALK_OVER_GAP, "a walk that met an unreadable index goes on behind it")                  \
  X(INDEX_MERGE_DROPS_NEWEST,                                                                      \
    "a merge of indexes has the row before in a hash's last one's place")                          \
  X(BASELINE_JUDGED_BEFORE, "a baseline is judged before the lock alone")                          \
  X(BASELINE_STALE_CHOICE, "the best run is chosen from what was there before the lock")           \
  X(BASELINE_OLD_REVISION, "a run's older revisions count when a baseline is chosen")              \
  X(BASELINE_AS_DOUBLE, "metrics are compared as doubles")                                         \
  X(BASELINE_HIT_UNCHECKED, "a hash's last baseline is taken without comparing its record")        \
  X(BASELINE_OWN, "a run is checked against itself where it is the baseline")                      \
  X(TILE_MAP_UNASKED,                                                                              \
    "pages of a mapped tile are touched without a question whether they are there")                \
  X(INDEX_STALE_FINAL,                                                                             \
    "an index that a new file was put in the place of is not opened anew (NFS)")                   \
  X(TILE_ABSENT_FINAL,                                                                             \
    "a tile whose name is absent while gc puts a new file there is damage (NFS)")                  \
  X(INDEX_NOT_DURABLE, "index/mark is durable before the index is")                                \
  X(WINDOW_UNCHECKED, "list takes a line that was read ahead without checking it")                 \
  X(COMPARE_AS_DOUBLES, "list --where compares numbers as doubles")                                \
  X(VIEW_LOST, "a view that could not be read anew is left as it is, with a part of the log")      \
  X(DIFF_HASH_UNCHECKED, "diff takes values of one hash for equal")                                \
  X(DIFF_BY_DOUBLES, "diff holds the difference of two numbers against the tolerance as a double") \
  X(PATCH_FORWARD, "a patch changes a list from its beginning to its end")                         \
  X(WALK_BEYOND, "a list or an export as of one seq goes on to the head")                          \
  X(WATCH_LOOKS_FIRST, "a watch looks at the log before it asks the kernel for notices of it")     \
  X(WATCH_DOUBLES, "a watch that opens its store anew gives the last record once more")            \
  X(WATCH_KEEPS_OLD, "a watch does not see that another file stands at the path of the mark")      \
  X(WATCH_SHOWS_UNPROVEN, "a watch gives what is appended and not durable yet")                    \
  X(GC_NO_RECORD, "gc takes documents out of a tile without a record that drops them")             \
  X(GC_PLAN_UNJUDGED, "gc drops what it planned, though the log says now that it is to be kept")   \
  X(GC_BLOB_NOT_PUT_BACK, "gc removes a blob that a record names by now")                          \
  X(GC_BEHIND_MY_BACK, "a document that is gone is judged by the log as it was read before")       \
  X(GC_TILE_NOT_KEPT, "gc keeps no name of a tile while it renames over it")                       \
  X(GC_TILE_NOT_DURABLE, "gc renames a tile's new bytes over it without fsync")                    \
  X(DEDUPE_BY_DROPPED, "a save is answered by a revision whose document gc has dropped")           \
  X(TRUST_OFFSET, "a record is looked for where it stood before gc wrote its tile anew")           \
  X(RETIRE_STAYS, "what was retired once stays hidden, though a later record shows it again")      \
  X(RETIRE_NOT_AS_OF, "a snapshot that is retired now is taken for retired at any time before")    \
  X(PREV_RETIRED, "prev answers with a retired snapshot")                                          \
  X(UNREAD_UNTOLD, "get and prev pass over what cannot be read without a word")                    \
  X(JUDGE_BY_RETIRED, "a save is judged by a revision that is retired")                            \
  X(TALLY_UNCHECKED, "a file of stats/ is believed although its check is wrong")                   \
  X(TALLY_TWICE, "a handle adds what it has counted again and again")                              \
  X(TALLY_UNLOCKED, "two writers add to a file of stats/ at once")

typedef enum hf_plant {
#define HF_PLANT_ENUM(name, text) HF_PLANT_##name,
  HF_PLANT_LIST(HF_PLANT_ENUM)
#undef HF_PLANT_ENUM
} hf_plant;

/* Places at which a process can be told to stop itself, by the environment variable
 * HF_PAUSE=PLACE:N: at the N-th time that it comes there it gets a SIGSTOP of its own, so that a
 * test can continue it, or kill it, whenever it likes. X(name, text) */
#define HF_PAUSE_LIST(X)                                                                           \
  X(READ, "read")                   /* planted: the part is read, and not proven yet */            \
  X(HELD, "held")                   /* journal mode: the part is locked, read and proven */        \
  X(AFTER_ACQUIRE, "after-acquire") /* the lock is held and verified, the link comes next */       \
  X(AFTER_LINK, "after-link")       /* published; not yet durable, not yet marked */               \
  X(AFTER_APPEND, "appended")       /* the part is released; its flush and mark come next */       \
  X(GC_PLANNED, "gc-planned")       /* what gc will drop is decided, no record says so yet */      \
  X(GC_DROPPED, "gc-dropped")       /* the records say so, no tile is written anew yet */          \
  X(GC_STAGED, "gc-staged")         /* a tile's new bytes are staged, the rename comes next */     \
  X(GC_BLOBS, "gc-blobs")           /* blobs were looked at, and are taken aside next */           \
  X(GC_ASIDE, "gc-aside")           /* blobs are aside; the log is read again next */

typedef enum hf_pause {
#define HF_PAUSE_ENUM(name, text) HF_PAUSE_##name,
  HF_PAUSE_LIST(HF_PAUSE_ENUM)
#undef HF_PAUSE_ENUM
} hf_pause;

#ifdef HF_TEST_PLANTS
extern hf_plant hf_planted; /* set by a test, or by the environment variable HF_PLANT at start */
#define HF_PLANTED(name) (hf_planted == HF_PLANT_##name)
void hf_pause_here(hf_pause place);
#define HF_PAUSE_AT(name) hf_pause_here(HF_PAUSE_##name)
/* Called at each of these places, by the thread that comes there. NULL: not. */
extern void (*hf_test_at_pause)(hf_pause place);
/* HF_TEST_SHARED=1: every filesystem is taken for one that hosts share, so that what is done there
 * is tested everywhere. */
int hf_test_shared(void);
/* HF_TEST_HASH_BITS=N, or set by a test: hashes of keys, groups and ids have only so many bits, 1
 * to 64, so that many collide. All programs that use one store must have the same. */
extern unsigned hf_test_hash_bits;
uint64_t hf_test_hash(uint64_t hash);
#define HF_TEST_HASH(hash) hf_test_hash(hash)
/* HF_TEST_BOOT=NAME: the boot that this process takes for the present one. NULL: the real one. */
const char *hf_test_boot(void);
/* HF_TEST_MACHINE=NAME: the id that this process takes for the machine's. NULL: the real one. */
const char *hf_test_machine(void);
#else
#define HF_TEST_HASH(hash) (hash)
#define HF_PLANTED(name) 0
#define HF_PAUSE_AT(name) ((void)0)
#endif

#endif
