#!/usr/bin/env python3
"""What a history of 1,000 to 1,000,000 snapshots costs: saves, prev by an open handle and by a new process, batches."""

import os
import shutil
import subprocess
import sys

import benchlib

SIZES = [1000, 10000, 100000]
MILLION = 1000000
MODE = "journal"
PROCESS_RUNS = 15
BATCH_SIZES = [10000, 100000]
MIB = 1024


def history(bench, size):
    """bench_history's figures, then `holdfast prev` as a process of its own on its store."""
    line = bench.lines([bench.program("bench_history"), "--dir", bench.scratch, "--mode", MODE, "--keep", size])[0]
    asked = size + 250  # one of those that it saved last, whose group has an older one at every size
    process = bench.lines([bench.program("process_cost"), "--runs", PROCESS_RUNS, bench.holdfast, "--store",
                           line["store"], "prev", "--run-id", f"run_{asked:08d}", "--stage", "train"])[0]
    shutil.rmtree(line.pop("store"))
    return {**line, "process_ms": process["median_ms"], "process_kib": process["resident_kib"]}


def batch(bench, size):
    """`holdfast save --batch` of a file of so many lines into a new store."""
    source, store = (os.path.join(bench.scratch, name) for name in ("lines.jsonl", "batch"))
    with open(source, "wb") as out:
        subprocess.run([bench.program("batch_lines"), str(size)], stdout=out, check=True)
    subprocess.run([bench.holdfast, "init", store, "--locker", "flock"], check=True,
                            stdout=subprocess.DEVNULL)
    subprocess.run([bench.holdfast, "--store", store, "locker", "set", "flock", "--mode", MODE], check=True,
                            stdout=subprocess.DEVNULL)
    os.sync()
    process = bench.lines([bench.program("process_cost"), bench.holdfast, "--store", store, "save", "--batch",
                           source])[0]
    head = int(subprocess.run([bench.holdfast, "--store", store, "head"], check=True,
                                       stdout=subprocess.PIPE).stdout)
    if head not in (size, size + 1):  # one more where the mode was set by a record
        sys.exit(f"bench: a batch of {size} left {head} records")
    megabytes = os.path.getsize(source) / 1e6
    os.remove(source)
    shutil.rmtree(store)
    seconds = process["median_ms"] / 1e3
    return {"size": size, "records_per_s": size / seconds, "megabytes_per_s": megabytes / seconds,
            "resident_kib": process["resident_kib"]}


def measure(bench):
    more = [MILLION] if bench.args.million else []
    results = {"history": [], "batch": []}
    for size in ([1000, 10000] if bench.args.quick else SIZES) + more:
        benchlib.say(f"a history of {size:,}")
        results["history"].append(history(bench, size))
    for size in ([1000, 10000] if bench.args.quick else BATCH_SIZES) + more:
        benchlib.say(f"a batch of {size:,}")
        results["batch"].append(batch(bench, size))
    return results


def bars(results):
    at = {each["size"]: each for each in results["history"]}
    batches = {each["size"]: each for each in results["batch"]}
    if MILLION not in at:
        return []
    few, many = at[1000], at[MILLION]
    return [
        benchlib.bar("save at 1,000,000, times that at 1,000", many["save_us"] / few["save_us"], "<=", 1.25),
        benchlib.bar("prev at 1,000,000, open handle, us", many["prev_us"], "<=", 20),
        benchlib.bar("prev at 1,000,000, times that at 1,000", many["prev_us"] / few["prev_us"], "<=", 4),
        benchlib.bar("`holdfast prev` at 1,000,000, a new process, ms", many["process_ms"], "<=", 10),
        benchlib.bar("the same: its memory at most, MiB", many["process_kib"] / MIB, "<", 32),
        benchlib.bar("a batch of 1,000,000, records/s", batches[MILLION]["records_per_s"], ">=", 100000),
        benchlib.bar("the same: its memory, times that of 100,000",
                     batches[MILLION]["resident_kib"] / batches[100000]["resident_kib"], "<=", 1.1),
    ]


def show(results):
    benchlib.table(["records", "save, open handle, us", "prev, open handle, us", "`holdfast prev`, ms",
                    "its memory, MiB", "batches, records/s", "pack, s"],
                   [[f"{h['size']:,}", f"{h['save_us']:.0f}", f"{h['prev_us']:.1f}", f"{h['process_ms']:.1f}",
                     f"{h['process_kib'] / MIB:.1f}", f"{h['batch_per_s']:,.0f}", f"{h['pack_s']:.1f}"]
                    for h in results["history"]])
    benchlib.table(["`holdfast save --batch FILE`, lines", "records/s", "MB/s", "memory, MiB"],
                   [[f"{b['size']:,}", f"{b['records_per_s']:,.0f}", f"{b['megabytes_per_s']:.0f}",
                     f"{b['resident_kib'] / MIB:.1f}"] for b in results["batch"]])


if __name__ == "__main__":
    benchlib.main(__doc__, {"scale": sys.modules[__name__]})
