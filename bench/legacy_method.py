#!/usr/bin/env python3
"""How the older program saved: flock on the index, read all of it, highest snapshot_seq + 1, write
the whole index to a temporary file, fsync, rename, fsync of the folder. Prints saves a second."""

import argparse
import fcntl
import json
import os
import sys
import tempfile
import time

FINGERPRINT = "5b8a8b56dada6ce7567442b4935298df7de2badd7becdcf4915a59487338ca4b"
ENTRIES_MAX = 1_000_000
GROUPS = 7
SAVES_MAX = 100_000


def digest(number):
    """64 characters that look like a SHA-256 and differ from entry to entry."""
    return f"{(number * 0x9E3779B97F4A7C15) % (1 << 256):064x}"


def entry(number):
    """One snapshot, 2 KB as compact JSON, in the shape of tests/data/legacy."""
    return {
        "run_id": f"run_{number:08d}",
        "timestamp": f"2026-01-02T03:{number // 60 % 60:02d}:{number % 60:02d}.000000+00:00",
        "stage": "TRAINING",
        "view": "CROSS_SECTIONAL",
        "target": "fwd_ret_5m",
        "symbol": None,
        "experiment_id": None,
        "attempt_id": 0,
        "fingerprint_schema_version": "1.0",
        "config_fingerprint": digest(number),
        "data_fingerprint": digest(number + 1),
        "feature_fingerprint": FINGERPRINT,
        "target_fingerprint": digest(number // 10),
        "fingerprint_sources": {"fold_assignment_hash": "hash over row_id\u2192fold_id mapping"},
        "inputs": {"n_symbols": 120, "date_start": "2020-01-02",
                   "row_id_max": 9007199254740993 + number, "learning_rate": 0.05,
                   "features": [f"factor_{i:02d}" for i in range(24)]},
        "process": {"cv": {"method": "purged_kfold", "folds": 5, "purge_minutes": 30.0},
                    "warnings": [], "versions": {"python": "3.10.12", "numpy": "1.26.4"}},
        "outputs": {"metrics": {"auc": 0.580913, "logloss": 0.797404, "ic": 2.9e-06},
                    "n_models": 8},
        "comparison_group": {
            "experiment_id": None, "dataset_signature": digest(number % GROUPS),
            "task_signature": digest(1), "routing_signature": digest(2),
            "split_signature": digest(3), "n_effective": 6000, "model_family": "xgboost",
            "feature_signature": FINGERPRINT, "train_seed": 42, "universe_sig": digest(5),
            "symbol": None},
    }


def write_index(folder, index, indent=None):
    """Replaces the index: temporary file, fsync, rename, fsync of the folder."""
    with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".tmp", delete=False,
                                     encoding="utf-8") as out:
        out.write(json.dumps(index, indent=indent))
        out.flush()
        os.fsync(out.fileno())
    os.replace(out.name, os.path.join(folder, "snapshot_index.json"))
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def save(folder, snapshot, indent=None):
    """One save; returns its snapshot_seq."""
    with open(os.path.join(folder, "snapshot_index.lock"), "a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with open(os.path.join(folder, "snapshot_index.json"), encoding="utf-8") as source:
            index = json.load(source)
        seq = max((one["snapshot_seq"] for one in index.values()), default=0) + 1
        snapshot["snapshot_seq"] = seq
        index[f"{snapshot['run_id']}:{snapshot['stage']}"] = snapshot
        write_index(folder, index, indent)
        return seq


def prev(folder, snapshot):
    """The highest lower snapshot_seq of the same group by another run, as any reader of the index finds it."""
    with open(os.path.join(folder, "snapshot_index.json"), encoding="utf-8") as source:
        index = json.load(source)
    mine = index[f"{snapshot['run_id']}:{snapshot['stage']}"]
    return max((one for one in index.values()
                if one["comparison_group"] == mine["comparison_group"] and one["stage"] == mine["stage"]
                and one["snapshot_seq"] < mine["snapshot_seq"] and one["run_id"] != mine["run_id"]),
               key=lambda one: one["snapshot_seq"], default=None)


def bounded(text, highest):
    value = int(text)
    if not 0 <= value <= highest:
        raise argparse.ArgumentTypeError(f"{value} is not between 0 and {highest}")
    return value


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", default=".",
                        help="where the scratch folder goes (default: the current one)")
    parser.add_argument("--entries", type=lambda t: bounded(t, ENTRIES_MAX), default=0,
                        help="entries that the index has before (default 0)")
    parser.add_argument("--saves", type=lambda t: bounded(t, SAVES_MAX), default=10,
                        help="default 10")
    parser.add_argument("--indent", type=lambda t: bounded(t, 8), default=None,
                        help="indent the index, as real ones are; without it Python is twice as "
                             "fast, so that is what Holdfast is compared with")
    parser.add_argument("--seconds-max", type=float, default=60,
                        help="stop after that many, done or not, but not before the second save")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    if args.saves < 1:
        parser.error("--saves: at least 1")
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-", dir=args.dir) as folder:
        index = {}
        for number in range(args.entries):
            one = entry(number)
            one["snapshot_seq"] = number + 1
            index[f"{one['run_id']}:{one['stage']}"] = one
        write_index(folder, index, args.indent)
        del index
        begin = time.monotonic()
        seconds, saves = 0.0, 0
        while saves < args.saves and (saves < 2 or seconds < args.seconds_max):
            number = args.entries + saves
            if save(folder, entry(number), args.indent) != number + 1:
                sys.exit(f"legacy_method: save {number} got another number")
            saves += 1
            seconds = time.monotonic() - begin
        begin = time.monotonic()
        found = prev(folder, entry(args.entries + saves - 1))
        prev_ms = (time.monotonic() - begin) * 1000
        groups = entry(0)["comparison_group"] == entry(GROUPS)["comparison_group"]
        if groups and args.entries + saves > GROUPS and found is None:
            sys.exit("legacy_method: there is no previous one")
    rate = saves / seconds
    if args.json:
        print(json.dumps({"case": "legacy", "entries": args.entries, "saves": saves,
                          "seconds": round(seconds, 6), "saves_per_s": round(rate, 4), "prev_ms": round(prev_ms, 3),
                          "document_bytes": len(json.dumps(entry(0)))}))
    else:
        print(f"{rate:.1f} saves/s at {args.entries} entries "
              f"({saves} saves in {seconds:.2f} s)")


if __name__ == "__main__":
    main()
