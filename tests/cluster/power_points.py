"""Chooses the places in a disk's log at which the power is lost: all flushes and FUA writes, or so many by a seed. Of
those, some are where a promise is the tightest, and half of the others where a store changes its shape."""
import bisect
from collections import namedtuple
from random import Random

from power_run import END, START

# Around the answer that tells of a full tile; packing may come a second later.
EDGE_ANSWERS_BEFORE, EDGE_ANSWERS_AFTER = 6, 40
# Entries around the first write of an index: its tile was packed just before.
PACK_BEFORE, PACK_AFTER = 150, 60
INDEX_MAGIC = b"HFINDEX1"  # core/index_format.h
WINDOWS_SHARE = 0.5
TIGHT_SHARE = 0.2
KINDS = (("ack", 0.45), ("flush", 0.25), ("torn", 0.2), ("entry", 0.1))


class Point(namedtuple("Point", "end kind seed")):
    """The first `end` entries are on the disk. torn: entry `end` is within the group of a flush, and some of that group
    are, by the seed."""

    def __str__(self):
        return f"{self.kind}@{self.end}" + (f"/{self.seed}" if self.kind == "torn" else "")

    @staticmethod
    def parse(text):
        kind, _, rest = text.partition("@")
        end, _, seed = rest.partition("/")
        return Point(int(end), kind, int(seed or 0))


def windows(run):
    """Name -> [(first entry, last entry)] in which tiles are filled or packed, or the mode is changed."""
    answers = sorted((op.answered, max(seqs)) for op in run.ops
                     for seqs in [[item.seq for item in op.items if item.status == "HF_OK"]] if seqs)
    found, edge = {"edge": [], "pack": [], "mode": []}, run.tile_records
    for place, (_, seq) in enumerate(answers):
        if seq < edge:
            continue
        found["edge"].append((answers[max(0, place - EDGE_ANSWERS_BEFORE)][0],
                              answers[min(len(answers) - 1, place + EDGE_ANSWERS_AFTER)][0]))
        edge += run.tile_records * ((seq - edge) // run.tile_records + 1)
    for number, entry in enumerate(run.log.entries):
        if entry.count and run.log.map[entry.place:entry.place + len(INDEX_MAGIC)] == INDEX_MAGIC:
            found["pack"].append((number - PACK_BEFORE, number + PACK_AFTER))
    found["mode"] = [(op.called, op.answered) for op in run.ops
                     if op.kind == "set_mode" and op.answer and op.answer.get("changed")]
    return {name: each for name, each in found.items() if each}


def tightest(run, count):
    """The answers to saves between whose call and whose answer the disk was flushed the least often: a flush that is
    missing, or comes too late, shows there first. (Without any flush nothing can have been promised.)"""
    flushes = run.log.flushes()
    found = [(bisect.bisect(flushes, op.answered) - bisect.bisect(flushes, op.called), op.answered) for op in run.ops
             if op.answer and any(item.status == "HF_OK" and item.created for item in op.items)]
    return [Point(answered + 1, "ack", 0) for _, answered in sorted(found)[:count]]


def _snap(log, kind, place, last, random):
    """The first point of this kind from a place on; None where there is none."""
    for number in range(place, last):
        entry = log.entries[number]
        if kind == "ack" and entry.text.startswith("a:"):
            return Point(number + 1, kind, 0)
        if kind == "flush" and number in log.flush_set:
            return Point(number + 1, kind, 0)
        if kind == "torn" and number in log.groups:
            return Point(log.groups[number], kind, random.randrange(1 << 16))
        if kind == "entry":
            return Point(number + 1, kind, 0)
    return None


def _random_kind(random):
    at = random.random()
    for kind, share in KINDS:
        if at < share:
            return kind
        at -= share
    return KINDS[0][0]


def choose(run, seed, count):
    """Points in the order of the log, from the instant on at which the store was made. count: None: all flushes and
    FUA writes."""
    log, random = run.log, Random(seed)
    first, last = log.marks[START], log.marks[END]
    if count is None:
        return [Point(number + 1, "flush", 0) for number in log.flushes() if first <= number < last]
    chosen, special = {str(point): point for point in tightest(run, int(TIGHT_SHARE * count))}, windows(run)
    for _ in range(20 * count):
        if len(chosen) == count:
            break
        within = (first, last)
        if special and random.random() < WINDOWS_SHARE:
            within = random.choice(special[random.choice(sorted(special))])
        begin = max(first, min(random.randrange(within[0], within[1] + 1), last - 1))
        point = _snap(log, _random_kind(random), begin, last, random)
        if point:
            chosen[str(point)] = point
    # the last instant of all: everything that was acknowledged
    chosen["last"] = Point(last + 1, "ack", 0)
    return sorted(chosen.values())
