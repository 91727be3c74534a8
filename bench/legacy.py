#!/usr/bin/env python3
"""Saves of the older program's method beside Holdfast's and SQLite's, with a history before."""

import os
import sys

import benchlib

INDENT = ["--indent", "2"]  # as all real indexes are (tests/data/legacy)
CASES = ["publish:p1", "journal:p1", "sqlite:p1"]
# entries, the older method's saves, Holdfast's saves, rounds
SIZES = [(0, 100, 400, 3), (1000, 10, 400, 3), (10000, 2, 400, 3)]
LARGE = (100000, 2, 400, 1)
SECONDS_MAX = 4


def older(bench, entries, saves, extra):
    return bench.lines([sys.executable, os.path.join(benchlib.HERE, "legacy_method.py"), "--json", "--dir",
                        bench.scratch, "--entries", entries, "--saves", saves, "--seconds-max", SECONDS_MAX,
                        *extra])[0]


def at_size(bench, entries, older_saves, saves, rounds):
    """The older method, Holdfast and SQLite in turn, so that they meet the same disk."""
    compact = singly = entries < LARGE[0]  # a large history is made by batches, and the older index once
    lines = {name: [] for name in ("older", *(["older_compact"] if compact else []), *CASES)}
    for _ in range(rounds):
        lines["older"].append(older(bench, entries, older_saves, INDENT))
        ours = bench.save(CASES, saves, 1, ["--history", entries, "--time-max-ms", 3000,
                                            *(["--singly"] if singly else [])], env=bench.counted())
        for case in CASES:
            lines[case].append(ours[case])
        if compact:
            lines["older_compact"].append(older(bench, entries, older_saves, []))
    middle = {"entries": entries}
    for name, each in lines.items():
        rates = [line["saves_per_s"] for line in each]
        each.sort(key=lambda line: line["saves_per_s"])
        middle[name] = {**each[(len(each) - 1) // 2], "rates": rates}
    return middle


def measure(bench):
    if bench.args.quick:
        sizes = [(0, 2, 50, 1), (1000, 2, 50, 1), (10000, 2, 50, 1)]
    else:
        sizes = SIZES + ([LARGE] if bench.args.million else [])
    results = []
    for entries, older_saves, saves, rounds in sizes:
        benchlib.say(f"the older method, Holdfast and SQLite with {entries:,} entries before")
        results.append(at_size(bench, entries, older_saves, saves, rounds))
    return results


def bars(results):
    at = {each["entries"]: each for each in results}
    return [
        benchlib.bar("journal, times the older method at 10,000 entries",
                     benchlib.paired(at[10000]["journal:p1"], at[10000]["older"]), ">=", 2000),
        benchlib.bar("publish, times the older method at 1,000 entries",
                     benchlib.paired(at[1000]["publish:p1"], at[1000]["older"]), ">=", 100),
    ]


def show(results):
    benchlib.table(["entries before", "older method/s", "it compact/s", "SQLite/s", "publish/s", "journal/s",
                    "journal : older", "older save, ms", "older prev, ms", "journal's open and save, ms"],
                   [[f"{h['entries']:,}", f"{h['older']['saves_per_s']:.2f}",
                     f"{h['older_compact']['saves_per_s']:.2f}" if "older_compact" in h else "-",
                     f"{h['sqlite:p1']['saves_per_s']:.0f}",
                     f"{h['publish:p1']['saves_per_s']:.0f}", f"{h['journal:p1']['saves_per_s']:.0f}",
                     f"{benchlib.paired(h['journal:p1'], h['older']):.0f}",
                     f"{1000 / h['older']['saves_per_s']:.1f}", f"{h['older']['prev_ms']:.1f}",
                     f"{h['journal:p1']['open_ms'] + h['journal:p1']['p50_us'] / 1000:.1f}"] for h in results])


if __name__ == "__main__":
    benchlib.main(__doc__, {"legacy": sys.modules[__name__]})
