#!/usr/bin/env python3
"""System calls of a save by one process, by strace -c: what more saves have more of, so that opening and closing do not
count. Packing is off."""

import os
import subprocess
import sys

import benchlib

PEERS = ["journal", "publish", "sqlite", "lmdb"]
FEW = 200
MORE = 1200
SHOWN = 20
NOT_OF_A_SAVE = ("clock_nanosleep", "waitid", "wait4", "total")  # bench_save's own waiting
FLUSHES = ("fsync", "fdatasync")


def calls(bench, peer, saves):
    """{name: how often}"""
    report = os.path.join(bench.scratch, "strace")
    command = bench.save_command([f"{peer}:p1"], saves, 1, ["--config", bench.no_packing, "--time-max-ms", 600000])
    done = subprocess.run(["strace", "-f", "-c", "-U", "calls,name", "-o", report, *command],
                          stdout=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        sys.exit(f"bench: strace of {peer} failed with status {done.returncode}")
    found = {}
    with open(report, encoding="utf-8") as lines:
        for line in lines:
            words = line.split()
            if len(words) == 2 and words[0].isdigit():
                found[words[1]] = found.get(words[1], 0) + int(words[0])
    return found


def measure(bench):
    few, more = (20, 120) if bench.args.quick else (FEW, MORE)
    results = {}
    for peer in PEERS:
        benchlib.say(f"system calls of {peer}")
        before, after = calls(bench, peer, few), calls(bench, peer, more)
        results[peer] = {name: (after[name] - before.get(name, 0)) / (more - few) for name in after
                         if name not in NOT_OF_A_SAVE}
    return results


def bars(_):
    return []


def show(results):
    names = sorted({name for each in results.values() for name in each},
                   key=lambda name: -max(each.get(name, 0) for each in results.values()))
    rows = [[name, *(f"{each[name]:.2f}" if each.get(name, 0) >= 0.005 else "" for each in results.values())]
            for name in names[:SHOWN] if max(each.get(name, 0) for each in results.values()) >= 0.005]
    rows.append(["all", *(f"{sum(each.values()):.1f}" for each in results.values())])
    rows.append(["of them fsync and fdatasync",
                 *(f"{sum(each.get(name, 0) for name in FLUSHES):.2f}" for each in results.values())])
    benchlib.table(["system calls of a save", *results], rows)
    print("LMDB's second flush is one of its pwrite64, by a descriptor that was opened with O_DSYNC.\n")


if __name__ == "__main__":
    benchlib.main(__doc__, {"syscalls": sys.modules[__name__]})
