#!/usr/bin/env python3
"""What `list --where` costs beside `export --format jsonl | jq`: the same question, in the same rounds."""

import os
import shutil
import statistics
import subprocess
import sys
import time

import benchlib

SNAPSHOTS = 100000
QUICK_SNAPSHOTS = 5000
ROUNDS = 5
WHERE = "/outputs/metrics/auc > 0.5{:05d}"
SELECT = "select(.doc.outputs.metrics.auc > 0.5{:05d}) | .seq"
MATCHING = 100  # the documents' values rise with their number


def store_of(bench, count):
    """A store with so many snapshots of 2 KB."""
    source, store = (os.path.join(bench.scratch, name) for name in ("lines.jsonl", "store"))
    with open(source, "wb") as out:
        subprocess.run([bench.program("batch_lines"), str(count)], stdout=out, check=True)
    subprocess.run([bench.holdfast, "init", store, "--locker", "flock"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([bench.holdfast, "--store", store, "save", "--batch", source], check=True,
                   stdout=subprocess.DEVNULL)
    os.unlink(source)
    return store


def timed(command):
    """(seconds, seconds of processor time, lines printed)"""
    before, begin = os.times(), time.monotonic()
    done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, timeout=benchlib.STEP_SECONDS_MAX, check=True)
    seconds, after = time.monotonic() - begin, os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, processor, done.stdout.split()


def ways(bench, store, count):
    """What is compared: each prints the seqs that match, one a line."""
    bound = count - MATCHING - 1
    holdfast = f"'{bench.holdfast}' --store '{store}'"
    listed = f"{holdfast} list --format jsonl --columns seq --where '{WHERE.format(bound)}' | tr -dc '0-9\\n'"
    exported = f"{holdfast} export --format jsonl"
    return {"list --where": listed, "export | jq": f"{exported} | jq -c '{SELECT.format(bound)}'",
            "export > /dev/null": f"{exported} >/dev/null"}


def measure(bench):
    count = QUICK_SNAPSHOTS if bench.args.quick else SNAPSHOTS
    if shutil.which("jq") is None:
        sys.exit("bench: list_where needs jq: scripts/install-packages bench")
    store = store_of(bench, count)
    lines = {name: {"rates": [], "seconds": [], "processor_s": []} for name in ways(bench, store, count)}
    for _ in range(1 if bench.args.quick else ROUNDS):
        found = {}
        for name, command in ways(bench, store, count).items():
            seconds, processor, found[name] = timed(command)
            lines[name]["seconds"].append(seconds)
            lines[name]["processor_s"].append(processor)
            lines[name]["rates"].append(count / seconds)
        if len(found["list --where"]) != MATCHING or found["list --where"] != found["export | jq"]:
            sys.exit("bench: list --where and jq found different snapshots")
    shutil.rmtree(store)
    return {"snapshots": count, "lines": lines}


def bars(results):
    lines = results["lines"]
    return [benchlib.bar(f"list --where over {results['snapshots']:,} snapshots, times the rate of export | jq",
                         benchlib.paired(lines["list --where"], lines["export | jq"]), ">=", 5)]


def show(results):
    rows = []
    for name, line in results["lines"].items():
        seconds = sorted(line["seconds"])
        rows.append([name, f"{statistics.median(seconds):.2f}", f"{seconds[0]:.2f} .. {seconds[-1]:.2f}",
                     f"{statistics.median(line['processor_s']):.2f}",
                     f"{results['snapshots'] / statistics.median(seconds):,.0f}",
                     f"{benchlib.paired(line, results['lines']['export | jq']):.2f}"])
    benchlib.table([f"{MATCHING} of {results['snapshots']:,} snapshots of 2 KB", "s, median", "rounds", "CPU s",
                    "snapshots/s", "of jq's rate"], rows)


if __name__ == "__main__":
    benchlib.main(__doc__, {"list_where": sys.modules[__name__]})
