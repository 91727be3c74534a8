#!/usr/bin/env python3
"""What a history of 1,000 to 1,000,000 snapshots costs: saves, prev by an open handle and by a new process, batches;
and how far packing stays behind one who saves one by one, as fast as it goes."""

import os
import statistics
import subprocess
import sys

import benchlib

SIZES = [1000, 10000, 100000]
MILLION = 1000000
MODE = "journal"
PROCESS_RUNS = 15
ROUNDS = 5
BATCH_SIZES = [10000, 100000]
SINGLY = [("journal", 1), ("publish", 1), ("journal", 8), ("publish", 8)]  # mode, processes
SINGLY_SIZE = 10000
TILE_RECORDS = 256
MIB = 1024


def history(bench, size):
    """bench_history's figures and its store, on which `holdfast prev` is asked as a process of its own."""
    line = bench.lines([bench.program("bench_history"), "--dir", bench.scratch, "--mode", MODE, "--keep", size])[0]
    asked = size + 250  # one of those that it saved last, whose group has an older one at every size
    process = bench.lines([bench.program("process_cost"), "--runs", PROCESS_RUNS, bench.holdfast, "--store",
                           line["store"], "prev", "--run-id", f"run_{asked:08d}", "--stage", "train"])[0]
    return {**line, "process_ms": process["median_ms"], "process_kib": process["resident_kib"]}


def again(bench, lines, rounds):
    """Asks and saves in each store in turn, so that all sizes meet the same disk."""
    for line in lines:
        line["save_rounds"], line["prev_rounds"] = [], []
    for _ in range(rounds):
        for line in lines:
            once = bench.lines([bench.program("bench_history"), "--again", line["store"], line["size"]])[0]
            line["save_rounds"].append(once["save_us"])
            line["prev_rounds"].append(once["prev_us"])
    for line in lines:
        line["save_us"] = statistics.median(line["save_rounds"])
        line["prev_us"] = statistics.median(line["prev_rounds"])
        line.pop("store")


def batch(bench, size):
    """`holdfast save --batch` of a file of so many lines into a new store. No store is removed before the end: where
    ext4 has no journal it passes over inodes that were freed within the last minutes, one by one, so that right behind
    the removal of a large store each new file takes 0.2 to 1 ms (perf: recently_deleted below ext4_create)."""
    source, store = (os.path.join(bench.scratch, name) for name in ("lines.jsonl", f"batch-{size}"))
    with open(source, "wb") as out:
        subprocess.run([bench.program("batch_lines"), str(size)], stdout=out, check=True)
    subprocess.run([bench.holdfast, "init", store, "--locker", "flock"], check=True,
                            stdout=subprocess.DEVNULL)
    subprocess.run([bench.holdfast, "--store", store, "locker", "set", "flock", "--mode", MODE], check=True,
                            stdout=subprocess.DEVNULL)
    os.sync()
    process = bench.lines([bench.program("process_cost"), "--private", bench.holdfast, "--store", store, "save",
                           "--batch", source])[0]
    head = int(subprocess.run([bench.holdfast, "--store", store, "head"], check=True,
                                       stdout=subprocess.PIPE).stdout)
    if head not in (size, size + 1):  # one more where the mode was set by a record
        sys.exit(f"bench: a batch of {size} left {head} records")
    megabytes = os.path.getsize(source) / 1e6
    os.remove(source)
    seconds = process["median_ms"] / 1e3
    return {"size": size, "records_per_s": size / seconds, "megabytes_per_s": megabytes / seconds,
            "resident_kib": process["resident_kib"], "private_kib": process["private_kib"]}


def singly(bench, mode, processes):
    """A history that was saved one by one, packed by itself meanwhile. Its store stays until the end, as those of
    batches do, and for the same reason."""
    return bench.lines([bench.program("bench_singly"), "--dir", bench.scratch, "--mode", mode, "--processes", processes,
                        "--keep", 2000 if bench.args.quick else SINGLY_SIZE])[0]


def measure(bench):
    more = [MILLION] if bench.args.million else []
    results = {"history": [], "batch": [], "singly": []}
    for size in ([1000, 10000] if bench.args.quick else SIZES) + more:
        benchlib.say(f"a history of {size:,}")
        results["history"].append(history(bench, size))
    benchlib.say("saves and prev in all of them, in turn")
    again(bench, results["history"], 1 if bench.args.quick else ROUNDS)
    for size in ([1000, 10000] if bench.args.quick else BATCH_SIZES) + more:
        benchlib.say(f"a batch of {size:,}")
        results["batch"].append(batch(bench, size))
    for mode, processes in SINGLY:  # last: freed names make new files slower for a while, on some filesystems
        benchlib.say(f"saved one by one, {mode} mode, processes: {processes}")
        results["singly"].append(singly(bench, mode, processes))
    return results


def paired(above, below, name):
    return statistics.median(a / b for a, b in zip(above[name], below[name]))


def bars_of_singly(results):
    return [benchlib.bar("saved one by one: not packed after the end, in tiles, at most",
                         max(each["unpacked"] for each in results["singly"]) / TILE_RECORDS, "<=", 3),
            benchlib.bar("the same: full tiles not packed meanwhile, at most",
                         max(each["lag_tiles_max"] for each in results["singly"]), "<=", 16),
            benchlib.bar("the same: open and get the newest record, a new process, ms",
                         max(each["open_and_get_ms"] for each in results["singly"]), "<=", 10)]


def bars(results):
    at = {each["size"]: each for each in results["history"]}
    batches = {each["size"]: each for each in results["batch"]}
    if MILLION not in at:
        return bars_of_singly(results)
    few, many = at[1000], at[MILLION]
    return [
        benchlib.bar("save at 1,000,000, times that at 1,000", paired(many, few, "save_rounds"), "<=", 1.25),
        benchlib.bar("prev at 1,000,000, open handle, us", many["prev_us"], "<=", 20),
        benchlib.bar("prev at 1,000,000, times that at 1,000", paired(many, few, "prev_rounds"), "<=", 4),
        benchlib.bar("`holdfast prev` at 1,000,000, a new process, ms", many["process_ms"], "<=", 10),
        benchlib.bar("the same: its memory at most, MiB", many["process_kib"] / MIB, "<", 32),
        benchlib.bar("a batch of 1,000,000, records/s", batches[MILLION]["records_per_s"], ">=", 100000),
        # what is mapped is indexes that it looks into: clean pages, which the kernel takes back
        benchlib.bar("the same: its private memory, times that of 100,000",
                     batches[MILLION]["private_kib"] / batches[100000]["private_kib"], "<=", 1.1),
        *bars_of_singly(results),
    ]


def show(results):
    benchlib.table(["records", "save, open handle, us", "prev, open handle, us", "`holdfast prev`, ms",
                    "its memory, MiB", "batches, records/s", "pack, s"],
                   [[f"{h['size']:,}", f"{h['save_us']:.0f}", f"{h['prev_us']:.1f}", f"{h['process_ms']:.1f}",
                     f"{h['process_kib'] / MIB:.1f}", f"{h['batch_per_s']:,.0f}", f"{h['pack_s']:.1f}"]
                    for h in results["history"]])
    benchlib.table(["`holdfast save --batch FILE`, lines", "records/s", "MB/s", "private memory, MiB",
                    "with mapped files"],
                   [[f"{b['size']:,}", f"{b['records_per_s']:,.0f}", f"{b['megabytes_per_s']:.0f}",
                     f"{b['private_kib'] / MIB:.1f}", f"{b['resident_kib'] / MIB:.1f}"] for b in results["batch"]])
    benchlib.table(["saved one by one", "records", "saves/s", "p50 us", "p99 us", "longest ms", "full tiles unpacked",
                    "records unpacked after", "close, ms", "open and get, ms"],
                   [[f"{s['mode']}:p{s['processes']}", f"{s['size']:,}", f"{s['saves_per_s']:.0f}",
                     f"{s['p50_us']:.0f}", f"{s['p99_us']:.0f}", f"{s['max_us'] / 1000:.0f}",
                     str(s["lag_tiles_max"]), str(s["unpacked"]), f"{s['close_ms']:.0f}",
                     f"{s['open_and_get_ms']:.1f}"] for s in results["singly"]])


if __name__ == "__main__":
    benchlib.main(__doc__, {"scale": sys.modules[__name__]})
