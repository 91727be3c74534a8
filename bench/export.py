#!/usr/bin/env python3
"""What exports cost: seconds, the most memory that was resident, and the size of the file, of each format."""

import os
import subprocess
import sys

import benchlib

FORMATS = ("csv", "jsonl", "index", "sqlite", "parquet")
COUNT, COUNT_QUICK = 100000, 2000


def fill(bench, store, count):
    subprocess.run([bench.holdfast, "init", store, "--locker", "flock", "--force"], check=True,
                   stdout=subprocess.DEVNULL)
    with subprocess.Popen([bench.program("batch_lines"), str(count)], stdout=subprocess.PIPE) as lines:
        subprocess.run([bench.holdfast, "--store", store, "save", "--batch", "-"], stdin=lines.stdout, check=True,
                       stdout=subprocess.DEVNULL)


def cost(bench, store, name, runs):
    out = os.path.join(bench.scratch, "export." + name)
    figures = bench.lines([bench.program("process_cost"), "--runs", runs, bench.holdfast, "--store", store, "export",
                           "--format", name, "--out", out])[0]
    figures.update(format=name, bytes=os.path.getsize(out))
    os.remove(out)
    return figures


def measure(bench):
    count = COUNT_QUICK if bench.args.quick else COUNT
    store = os.path.join(bench.scratch, "export-store")
    benchlib.say(f"exports of {count:,} snapshots")
    fill(bench, store, count)
    return {"count": count, "formats": [cost(bench, store, name, 3) for name in FORMATS]}


def bars(results):
    del results
    return []


def show(results):
    benchlib.table([f"export of {results['count']:,} snapshots of 2 KB", "s", "memory, MB", "file, MB"],
                   [[row["format"], f"{row['median_ms'] / 1000:.2f}", f"{row['resident_kib'] / 1024:.0f}",
                     f"{row['bytes'] / 1e6:.1f}"] for row in results["formats"]])


if __name__ == "__main__":
    benchlib.main(__doc__, {"export": sys.modules[__name__]})
