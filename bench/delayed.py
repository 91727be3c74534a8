#!/usr/bin/env python3
"""Saves a second where each flush takes longer, by 1, 8 and 64 writers.

A preloaded library delays fsync, fdatasync and writes through O_DSYNC descriptors of every program under test (of
Redis's server as well; etcd's is a Go program that it does not reach, so etcd is not here)."""

import sys

import benchlib

PEERS = ["publish", "journal", "sqlite", "lmdb", "redis"]
WRITERS = ["p1", "t8", "p8", "t64", "p64"]
DELAYS_US = [0, 100, 1000, 5000]
ROUNDS = 3
SAVES = 3000
LIMITS = ["--time-max-ms", 400]
BAR_DELAY_US = 1000
BAR_CASES = ["journal:p1", "journal:t64", "journal:p64", "journal:t8", "journal:p8"]
BAR_ROUNDS = 5
BAR_SAVES = 20000
BAR_LIMITS = ["--time-max-ms", 1500]


def measure(bench):
    quick = bench.args.quick
    results = {"table": []}
    for delay_us in DELAYS_US:
        benchlib.say(f"each flush {delay_us} us longer")
        lines = bench.save([f"{peer}:{writers}" for writers in WRITERS for peer in PEERS], 64 if quick else SAVES,
                           1 if quick else ROUNDS, LIMITS, env=bench.counted(delay_us))
        results["table"].append({"delay_us": delay_us, "save": lines})
    benchlib.say(f"the bars, each flush {BAR_DELAY_US} us longer")
    results["bars"] = bench.save(BAR_CASES, 300 if quick else BAR_SAVES, 1 if quick else BAR_ROUNDS, BAR_LIMITS,
                                 env=bench.counted(BAR_DELAY_US))
    return results


def bars(results):
    lines = results["bars"]
    middle = {case: sorted(line["flush_rates"])[len(line["flush_rates"]) // 2] for case, line in lines.items()}
    return [
        benchlib.bar("journal, each flush 1 ms longer: 64 threads, times 1 writer",
                     benchlib.paired(lines["journal:t64"], lines["journal:p1"]), ">=", 20),
        benchlib.bar("the same: 64 processes, times 1 writer",
                     benchlib.paired(lines["journal:p64"], lines["journal:p1"]), ">=", 20),
        benchlib.bar("the same: flushes a save, 8 threads", middle["journal:t8"], "<", 0.2),
        benchlib.bar("the same: flushes a save, 8 processes", middle["journal:p8"], "<", 0.2),
    ]


def show(results):
    for what, name, form in (("saves/s", "saves_per_s", "{:.0f}"), ("flushes/save", "flushes_per_save", "{:.2f}")):
        benchlib.table([what, "each flush longer by, us", *WRITERS],
                       [[peer, f"{each['delay_us']:,}",
                         *(form.format(each["save"][f"{peer}:{writers}"][name]) for writers in WRITERS)]
                        for peer in PEERS for each in results["table"]])
    print("p: processes, t: threads (Holdfast's and LMDB's share one handle, SQLite's and Redis's have their own).\n")


if __name__ == "__main__":
    benchlib.main(__doc__, {"delayed": sys.modules[__name__]})
