#!/usr/bin/env python3
"""Checks histories of drivers against the store that they worked on.

    check.py --store DIR --program HOLDFAST [--min-saves N] [--min-reads N] [--allow STATUS,...] [--counts FILE]
             [--others STAGE]... HISTORY...

Checked: no acknowledged save is lost or doubled (I1, I3); documents are what was sent (I2, I8); real-time order (I4);
errors mean not saved, ever, and unknown answers are settled one way only (I6); reads are fresh, and monotonic across
processes (I7); prev is what a brute-force model says; if-absent and if-seq are linearizable per key. What gc has
dropped is gone for all from the record on that says so, and not before. Times are those
of CLOCK_MONOTONIC, which all namespaces of a machine share; histories of several machines say how far their clocks are
apart, and their intervals are widened by the error.

Prints what was checked, in numbers, and for a violation the shortest story. Exit status: 0 nothing is broken, 1 a
violation, 2 cannot be judged, 3 less was checked than --min-saves and --min-reads ask for.
"""
import argparse
import json
import sys
import time

from histories import INFINITY, Unreadable, read_histories
from order import check_order
from rules import Checked, attribute, check_answers, check_store
from storelog import Log, name_key, read_store, verify_store

EXPECTED = ("HF_OK", "HF_ECONFLICT", "HF_EENDED", "HF_ENOTFOUND")
LATE = ("HF_ELOCK", "HF_EBACKEND", "HF_EUNSURE", "HF_ECANCELLED")
VIOLATIONS_MAX = 5


def judge(processes, ops, rows, allowed=EXPECTED + LATE, others=()):
    """Checked, with all violations."""
    checked, log = Checked(), Log(rows, others)
    checked.count("processes", len(processes))
    check_answers(log, ops, allowed, checked)
    attribute(log, processes, ops, checked)
    check_store(log, checked)
    if not any(violation.rule == "I1" and "missing" in violation.text for violation in checked.violations):
        check_order(log, ops, checked)
    return checked


# ---- stories ----

def _what(op):
    if op.items:
        asked = ", ".join(name_key(item.key) + (f" if-{item.condition}" if item.condition != "always" else "") +
                          (f" id {item.given_id}" if item.given_id else "") for item in op.items)
    elif "run" in op.call:
        asked = name_key(op.key) + (f" group {op.call['group']}" if op.call["group"] else "")
    else:
        asked = " ".join(f"{name} {value}" for name, value in op.call.items()
                         if name not in ("event", "t", "n", "op"))
    if not op.answer:
        return f"{op.kind} {asked}: no answer"
    if op.items:
        told = ", ".join(f"{item.status} seq {item.seq}" + (" new" if item.created else "") +
                         (f" id {item.id}" if item.id else "") for item in op.items)
    elif op.status != "HF_OK":
        told = f"{op.status} {op.answer.get('message', '')[:120]}"
    elif "rows" in op.answer:
        told = f"{[row['seq'] for row in op.answer['rows']]}"
    elif "got" in op.answer:
        told = f"seq {op.answer['seq']}" if op.answer["got"] else "none"
    else:
        told = f"{op.answer['seq']}"
    return f"{op.kind} {asked}: {told}"


def story(violation, origin):
    lines = [f"VIOLATION {violation.rule}: {violation.text}"]
    ops = violation.ops + [record.maker for record in violation.records if record.maker]
    for op in sorted({id(op): op for op in ops}.values(), key=lambda op: op.began):
        until = "..." if op.ended == INFINITY else f"{(op.ended - origin) / 1e9:.6f}"
        lines.append(f"    {(op.began - origin) / 1e9:.6f} to {until} s, {op.process}, operation {op.number}: "
                     f"{_what(op)}")
    lines += [f"    in the store: {record}" for record in dict.fromkeys(violation.records)]
    return "\n".join(lines)


def summary(checked, seconds):
    counts = checked.counts
    lines = [f"checked {counts['answers']} answers of {counts['processes']} processes and {counts['records']} records "
             f"({counts['snapshots']} snapshots) in {seconds:.1f} s:",
             f"  saves: {counts['acknowledged']} acknowledged, {counts['found']} found, {counts['refused']} refused, "
             f"{counts['unknown']} unknown ({counts['unknown, and saved']} of them saved), "
             f"{counts['resolved']} resolves",
             f"  in time: {counts['placed in time']} answers; reads: " +
             ", ".join(f"{counts[name]} {name.replace('_', ' ')}"
                       for name in ("heads", "gets", "get_seqs", "prevs", "prev_seqs", "lists", "historys")),
             "  answers: " + ", ".join(f"{count} {name[7:]}" for name, count in sorted(counts.items())
                                       if name.startswith("answer "))]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--store", required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--min-saves", type=int, default=1)
    parser.add_argument("--min-reads", type=int, default=0)
    parser.add_argument("--allow", default=",".join(LATE))
    parser.add_argument("--others", action="append", default=[], metavar="STAGE",
                        help="snapshots of this stage were saved by others than the drivers")
    parser.add_argument("--counts", help="what was checked, and how many violations there are, as JSON into this file")
    parser.add_argument("histories", nargs="+")
    options = parser.parse_args()
    began = time.monotonic()
    try:
        processes, ops = read_histories(options.histories)
        damage = verify_store(options.program, options.store)
    except (Unreadable, OSError) as error:
        print(f"check: {error}", file=sys.stderr)
        return 2
    try:
        rows = read_store(options.program, options.store)
    except (Unreadable, ValueError) as error:
        print("\n    ".join([f"VIOLATION store: it cannot be read: {error}"] + damage[:VIOLATIONS_MAX]))
        return 1
    checked = judge(processes, ops, rows, EXPECTED + tuple(options.allow.split(",")), options.others)
    for text in damage:
        checked.fail("verify", text)
    if options.counts:
        with open(options.counts, "w", encoding="utf-8") as file:
            json.dump({**checked.counts, "violations": len(checked.violations)}, file)
    print(summary(checked, time.monotonic() - began))
    origin = min((op.began for op in ops), default=0)
    for violation in checked.violations[:VIOLATIONS_MAX]:
        print(story(violation, origin))
    if checked.violations:
        print(f"{len(checked.violations)} violations")
        return 1
    if checked.counts["acknowledged"] < options.min_saves or checked.counts["reads"] < options.min_reads or not ops:
        print(f"check: only {checked.counts['acknowledged']} acknowledged saves and {checked.counts['reads']} reads: "
              f"that shows nothing (--min-saves {options.min_saves}, --min-reads {options.min_reads})")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
