#!/usr/bin/env python3
"""Plants each bug of core/base/plant.h and checks that the test which is there for it fails.

    planted.py FOLDER [NAME...]      FOLDER: where the programs fault_* are; NAME: only these bugs

A bug is caught where its test ends with status 1 and a line that says which check failed, and where the same test
passes without the bug. A crash, a time limit or a wrong option catches nothing.
"""
import os
import re
import subprocess
import sys

SECONDS_MAX = 400
HERE = os.path.dirname(os.path.abspath(__file__))

# A test of the command line, with the program that has the planted bugs. What it says is wrong is one of these lines.
CLI = ["/bin/sh", "-c", 'HOLDFAST=$HOLDFAST_PLANTED; export HOLDFAST; out=$(python3 "$@" 2>&1) && exit; echo "$out"; '
       'echo "$out" | sed -n "s/^AssertionError/FAILED: &/p"; exit 1', "cli"]
RETIRE = [*CLI, os.path.join(HERE, "..", "cli", "test_retire.py")]
UNREAD = [*CLI, os.path.join(HERE, "..", "cli", "test_unread.py")]

# bug -> the test that must catch it
TESTS = {
    "NO_FILE_FSYNC": ["fault_powerloss", "--mode", "local-flock"],
    "NO_FOLDER_FSYNC": ["fault_powerloss", "--mode", "local-flock"],
    "MARK_EARLY": ["fault_powerloss", "--mode", "shared-none"],
    "EEXIST_IS_ANOTHERS": ["fault_shared", "--case", "lost-reply"],
    "TRUST_LINK": ["fault_shared", "--case", "ignored-existing"],
    "COUNT_ANY_TRY": ["fault_shared", "--case", "count-of-another"],
    "LOOK_THEN_UNLINK": ["fault_shared", "--case", "committed-meanwhile"],
    "IGNORE_TILE": ["fault_shared", "--case", "packed-away"],
    "TILE_NOT_PREFERRED": ["fault_pack", "--case", "hidden"],
    "FREE_BEFORE_TILE_DURABLE": ["fault_powerloss", "--mode", "local-pack"],
    "KEEP_TRIED": ["fault_shared", "--case", "own-lines"],
    "FREE_WITHOUT_COMPARE": ["fault_pack", "--case", "differs"],
    "JOURNAL_MARK_EARLY": ["fault_powerloss", "--mode", "local-journal"],
    "JOURNAL_TORN_TAIL": ["fault_powerloss", "--mode", "local-journal"],
    "JOURNAL_SHOW_UNPROVEN": ["fault_powerloss", "--mode", "local-journal"],
    "JOURNAL_NEXT_TILE_EARLY": ["fault_powerloss", "--mode", "journal-edge"],
    "JOURNAL_LENGTH_UNPROVEN": ["fault_powerloss", "--mode", "journal-cut"],
    "JOURNAL_CUTS_MARKED": ["fault_short_write"],
    "JOURNAL_READS_TO_CHANGE": ["fault_journal", "--case", "back"],
    "JOURNAL_TELLS_UNMARKED": ["fault_journal", "--case", "back"],
    "JOURNAL_TOLD_MEANWHILE": ["fault_journal", "--case", "back"],
    "JOURNAL_APPENDS_BLINDLY": ["fault_journal_held", "--case", "moved"],
    "JOURNAL_PROVES_LATER": ["fault_journal_held", "--case", "unproven"],
    "JOURNAL_TELLS_AT_EDGE": ["fault_journal_held", "--case", "edge"],
    "VERIFY_COUNTS_COPIES": ["fault_powerloss", "--mode", "journal-failed"],
    "PACK_STAGES_COPIES": ["fault_journal_held", "--case", "copies"],
    "END_BY_LINK": ["fault_journal_held", "--case", "ender"],
    "MOVED_ASKED_LATE": ["fault_journal_held", "--case", "back"],
    "FREE_PART_UNSECURED": ["fault_journal_held", "--case", "freed"],
    "REPAIR_HELD_PART": ["fault_repaired", "--case", "held"],
    "PART_REPLACED": ["fault_repaired", "--case", "shifted"],
    "REPAIR_MARKS_UNPROVEN": ["fault_repaired", "--case", "marks"],
    "JOURNAL_SHOWS_DAMAGED_TAIL": ["fault_repaired", "--case", "damaged"],
    "MARK_REPLACED": ["fault_repaired", "--case", "new_mark"],
    "JOURNAL_BEHIND_LOOSE": ["fault_powerloss", "--mode", "journal-left"],
    "JOURNAL_READS_COPIES": ["fault_powerloss", "--mode", "journal-back"],
    "VERIFY_READS_COPIES": ["fault_powerloss", "--mode", "journal-back"],
    "JOURNAL_NAME_EARLY": ["fault_powerloss", "--mode", "journal-edge"],
    "ROWS_UNCHECKED": ["fault_shared", "--case", "torn-row"],
    "BELIEVE_LOOSE": ["fault_shared", "--case", "name-used-again"],
    "WRITE_ANY_MARK": ["fault_shared", "--case", "mark-replaced"],
    "IGNORE_END": ["fault_shared", "--case", "ended"],
    "RENAME_OVERWRITES": ["fault_shared", "--case", "overtaken"],
    "IGNORE_DEADLINE": ["fault_locker_deadline"],
    "REPRINT_DOCUMENT": ["fault_storm", "--locker", "flock", "--seed", "2", "--seeds", "1", "--saves", "400"],
    "IGNORE_MODE": ["fault_mode", "--case", "behind"],
    "RELEASE_ANY": ["fault_redis_locker", "--case", "stranger"],
    "RENEW_LOST": ["fault_redis_locker", "--case", "renewal"],
    "DEAD_WAITER": ["fault_redis_locker", "--case", "dead-waiter"],
    "EEXIST_IS_SUCCESS": ["fault_storm", "--locker", "none", "--seed", "3", "--seeds", "1", "--saves", "400"],
    "LOST_REPLY_IS_FAILURE": ["fault_shared", "--case", "late-eio"],
    "SEQ_FROM_COUNTER": ["fault_redis_locker", "--case", "counter"],
    "PEER_LAST_LOOK": ["fault_peer", "--case", "replaces"],
    "PEER_TRUST_ANSWERS": ["fault_peer", "--case", "both-win"],
    "PEER_IGNORE_MARKS": ["fault_peer", "--case", "old-lengths"],
    "PEER_IGNORE_FAR": ["fault_peer", "--case", "local-flock"],
    "PEER_TRUST_NAMES": ["fault_peer", "--case", "one-host"],
    "PEER_ONE_HOST_IS_ALL": ["fault_peer", "--case", "one-host"],
    "PEER_IGNORE_LOCAL": ["fault_peer", "--case", "local"],
    "INIT_IGNORES_PEERS": ["fault_peer", "--case", "init-asks"],
    "MANIFEST_DROPS_MEMBERS": ["fault_peer", "--case", "into-manifest"],
    "JOURNAL_SETTLES_OTHERS": ["fault_journal", "--case", "told"],
    "JOURNAL_FLUSH_CLOSES": ["fault_journal", "--case", "failed"],
    "JOURNAL_MARK_UNLOCKED": ["fault_journal", "--case", "mark"],
    "INDEX_HIT_UNCHECKED": ["fault_index", "--case", "collide"],
    "JUDGE_HIT_UNCHECKED": ["fault_index", "--case", "collide"],
    "WALK_BEYOND": [*CLI, os.path.join(HERE, "..", "cli", "test_export.py"), "AsOfOneSeq"],
    "WALK_HIT_UNCHECKED": ["fault_index", "--case", "collide"],
    "WINDOW_UNCHECKED": ["fault_list", "--case", "flipped"],
    "COMPARE_AS_DOUBLES": ["fault_list", "--case", "numbers"],
    "PREV_HIT_UNCHECKED": ["fault_index", "--case", "collide"],
    "CURRENT_BY_ONE_HASH": ["fault_index", "--case", "collide"],
    "INDEX_MERGE_DROPS_NEWEST": ["fault_index", "--case", "merge"],
    "INDEX_OVER_GAP": ["fault_index", "--case", "gap"],
    "INDEX_WALK_OVER_GAP": ["fault_index", "--case", "unreadable"],
    "WATCH_LOOKS_FIRST": ["fault_watch", "--case", "between"],
    "WATCH_DOUBLES": ["fault_watch", "--case", "away"],
    "WATCH_KEEPS_OLD": ["fault_watch", "--case", "moved"],
    "WATCH_SHOWS_UNPROVEN": ["fault_watch", "--case", "unproven"],
    "VIEW_LOST": ["fault_index", "--case", "anew"],
    "INDEX_MARK_OVER_GAP": ["fault_index", "--case", "forgotten"],
    "INDEX_FORGET_ONCE": ["fault_index", "--case", "forgotten"],
    "INDEX_MARK_BLIND": ["fault_index", "--case", "forgotten"],
    "BASELINE_JUDGED_BEFORE": ["fault_baseline", "--case", "between"],
    "BASELINE_STALE_CHOICE": ["fault_baseline", "--case", "between"],
    "BASELINE_OLD_REVISION": ["fault_baseline", "--case", "revisions"],
    "BASELINE_AS_DOUBLE": ["fault_baseline", "--case", "exact"],
    "BASELINE_HIT_UNCHECKED": ["fault_baseline", "--case", "collide"],
    "BASELINE_OWN": ["fault_baseline", "--case", "own"],
    "TILE_MAP_UNASKED": ["fault_index", "--case", "mapped"],
    "INDEX_STALE_FINAL": ["fault_index", "--case", "replaced"],
    "TILE_ABSENT_FINAL": ["fault_index", "--case", "replaced"],
    "INDEX_NOT_DURABLE": ["fault_powerloss", "--mode", "local-pack"],
    "DIFF_HASH_UNCHECKED": ["fault_diff", "--case", "collide"],
    "DIFF_BY_DOUBLES": ["fault_diff", "--case", "decimals"],
    "PATCH_FORWARD": ["fault_diff", "--case", "lists"],
    "GC_NO_RECORD": ["fault_gc", "--case", "told"],
    "GC_PLAN_UNJUDGED": ["fault_gc", "--case", "judged"],
    "GC_BLOB_NOT_PUT_BACK": ["fault_gc", "--case", "blob"],
    "GC_BEHIND_MY_BACK": ["fault_gc", "--case", "meanwhile"],
    "GC_TILE_NOT_KEPT": ["fault_gc", "--case", "absent"],
    "GC_TILE_NOT_DURABLE": ["fault_powerloss", "--mode", "local-gc"],
    "DEDUPE_BY_DROPPED": ["fault_gc", "--case", "dedupe"],
    "TRUST_OFFSET": ["fault_gc", "--case", "moved"],
    "RETIRE_STAYS": [*RETIRE, "Retire.test_undo"],
    "RETIRE_NOT_AS_OF": [*RETIRE, "Retire.test_what_it_hides"],
    "UNREAD_UNTOLD": [*UNREAD, "UnreadJournal.test_what_is_passed_over"],
    "PREV_RETIRED": [*RETIRE, "RetirePublish.test_what_it_hides"],
    "JUDGE_BY_RETIRED": [*RETIRE, "Retire.test_saves_after_it"],
    "TALLY_UNLOCKED": ["fault_tally", "--case", "between"],
    "TALLY_TWICE": ["fault_tally", "--case", "again"],
    "TALLY_UNCHECKED": ["fault_tally", "--case", "flipped"],
    "SEQ_FROM_CLOCK": ["fault_storm", "--locker", "flock", "--seed", "2", "--seeds", "1", "--saves", "400"],
}
# Without a hook at the right instant these must be caught, too: by the storm, by a writer that is stopped.
STORM = {
    "IGNORE_TILE": ["fault_pack", "--case", "paused"],
    "JOURNAL_SHOW_UNPROVEN": ["fault_pack", "--case", "paused"],
    "RENAME_OVERWRITES": ["fault_storm", "--locker", "none", "--seed", "3", "--seeds", "1", "--saves", "2000"],
}
# What shows only between hosts, or in answers that the programs here do not ask for: tests/cluster has tests that plant
# it (nfs --plant all, faults.py --plant BUG).
CLUSTER = ("LOOK_EARLY", "LOOK_BY_FOLDER", "ACK_BEFORE_MARK", "UNVERIFIED_OVERWRITE", "DEDUPE_BY_RUN", "PREV_BY_TIME",
           "MARK_BY_PAGES")
FAILED = re.compile(r"^(FAILED: .*|THE DEADLINE IS IGNORED)$", re.MULTILINE)


def known_bugs():
    """The names in plant.h, so that none is left without a test."""
    with open(os.path.join(HERE, "..", "..", "core", "base", "plant.h"), encoding="utf-8") as file:
        listed = file.read().split("#define HF_PLANT_LIST(X)", 1)[1].split("typedef enum", 1)[0]
        names = re.findall(r"^  X\((\w+),", listed, re.MULTILINE)
    return [name for name in names if name != "NONE"]


def run(folder, command, bug):
    """The exit status (None: it took too long) and what was printed."""
    environment = dict(os.environ)
    environment.pop("HF_PLANT", None)
    if bug:
        environment["HF_PLANT"] = bug
    try:
        done = subprocess.run([os.path.join(folder, command[0])] + command[1:], env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired:
        return None, "it took longer than %d seconds" % SECONDS_MAX
    return done.returncode, done.stdout


def shown(command):
    return " ".join(command[len(CLI) - 1:] if command[:len(CLI)] == CLI else command)


def main():
    folder, only = sys.argv[1], sys.argv[2:]
    rows = [(bug, command) for table in (TESTS, STORM) for bug, command in table.items() if not only or bug in only]
    missing = [name for name in known_bugs() if name not in TESTS and name not in CLUSTER] if not only else []
    for name in missing:
        print(f"NOT TESTED: {name}")
    failures = len(missing)
    sound = {}
    for bug, command in rows:
        key = tuple(command)
        if key not in sound:
            sound[key] = run(folder, command, None)
        status, text = sound[key]
        if status != 0:
            print(f"{bug:20} {shown(command)}: FAILS WITHOUT THE BUG ({status}): {text.strip()[-400:]}")
            failures += 1
            continue
        status, text = run(folder, command, bug)
        reason = FAILED.search(text)
        if status == 1 and reason:
            print(f"{bug:20} {shown(command):60} caught: {reason.group(0)[:200]}")
        else:
            print(f"{bug:20} {shown(command):60} NOT CAUGHT (status {status}): {text.strip()[-400:]}")
            failures += 1
        sys.stdout.flush()
    print(f"{len(rows)} planted bugs, {failures} not caught")
    return 1 if failures or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
