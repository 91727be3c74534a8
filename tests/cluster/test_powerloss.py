#!/usr/bin/env python3
"""The judge of power losses is judged: logs of a disk and images of a store made by hand, right and wrong ones."""
import os
import struct
import tempfile
import unittest
from collections import Counter
from random import Random
from types import SimpleNamespace

import power_points
from disk_log import DISCARD, FLUSH, FUA, MAGIC, MARK, BadLog, DiskLog, Replay
from histories import INFINITY, Op
from power_judge import Judge
from power_points import Point
from power_run import END, START

SECTOR = 512
INIT = [(MARK, START)]
STOP = [(MARK, END), (MARK, "dm-log-writes-end")]


def write_log(path, entries):
    """entries: (flags, sector, text of one sector), (flags,) or (MARK, text)."""
    with open(path, "wb") as file:
        file.write(struct.pack("<QQQI", MAGIC, 1, len(entries), SECTOR).ljust(SECTOR, b"\0"))
        for flags, *what in entries:
            text = what[0].encode() if flags & MARK else b""
            sector, data = what if len(what) == 2 else (0, b"")
            data = b"".join(each.ljust(SECTOR, b"\0") for each in data) if isinstance(data, list) else data
            count = 2 if flags & DISCARD else len(data) // SECTOR
            file.write((struct.pack("<QQQQ", sector, count, flags, len(text)) + text).ljust(SECTOR, b"\0"))
            file.write(b"" if flags & DISCARD else data)


class LogTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        self.addCleanup(self.folder.cleanup)
        self.path, self.image = (os.path.join(self.folder.name, name) for name in ("log", "image"))
        with open(self.image, "wb") as file:
            file.truncate(16 * SECTOR)

    def read(self, *entries):
        write_log(self.path, entries)
        return DiskLog(self.path)

    def sectors(self):
        with open(self.image, "rb") as file:
            data = file.read()
        return [data[place:place + SECTOR].rstrip(b"\0") for place in range(0, len(data), SECTOR)]

    def test_prefixes_are_replayed(self):
        log = self.read((0, 1, [b"a", b"b"]), (FLUSH,), (MARK, "a:w:1"), (FUA, 2, [b"c"]), (DISCARD, 1, b""), *STOP)
        self.assertEqual(log.marks["a:w:1"], 2)
        self.assertEqual(log.flushes(), [1, 3])
        replay = Replay(log, self.image)
        self.addCleanup(replay.close)
        replay.to(3)
        self.assertEqual(self.sectors()[:4], [b"", b"a", b"b", b""])
        replay.to(4)
        self.assertEqual(self.sectors()[:4], [b"", b"a", b"c", b""])
        replay.to(len(log.entries))
        self.assertEqual(self.sectors()[:4], [b"", b"", b"", b""])

    def test_a_group_is_what_one_flush_is_for(self):
        log = self.read((0, 1, [b"a"]), (FUA, 2, [b"b"]), (0, 3, [b"c"]), (0, 4, [b"d"]), (FLUSH,), (FLUSH,),
                        (0, 5, [b"e"]), (MARK, "a:w:1"), *STOP)
        self.assertEqual(log.groups, {4: 2})

    def test_torn_images_hold_some_of_a_group_and_go_on(self):
        group = [(0, 2 + 2 * number, [b"x", b"y"]) for number in range(6)]
        log = self.read((FUA, 1, [b"a"]), *group, (FLUSH,), *STOP)
        seen = Counter()
        replay = Replay(log, self.image)
        self.addCleanup(replay.close)
        replay.to(1)
        before = self.sectors()
        for seed in range(60):
            saved = replay.torn(Random(seed))
            after = self.sectors()
            self.assertEqual(after[:2], [b"", b"a"])
            seen["all"] += after[2:14] == [b"x", b"y"] * 6
            seen["none"] += after == before
            seen["half a write"] += any(pair == [b"x", b""] for pair in
                                        (after[place:place + 2] for place in range(2, 14, 2)))
            replay.undo(saved)
            self.assertEqual(self.sectors(), before)
        self.assertGreater(seen["half a write"], 5)
        self.assertLess(seen["all"] + seen["none"], 30)

    def test_a_log_without_an_end_is_refused(self):
        with self.assertRaises(BadLog):
            self.read((0, 1, [b"a"]), (FLUSH,))

    def test_points(self):
        """The tightest promise is among them, each kind is, and nothing before the start."""
        entries = [(MARK, "before"), (FLUSH,), *INIT]
        for number in range(1, 41):
            entries += [(MARK, f"c:w:{number}"), (0, 1, [b"a"]), *([(FLUSH,)] if number != 17 else []),
                        (MARK, f"a:w:{number}")]
        log = self.read(*entries, *STOP)
        ops = [an_op(log, number, number) for number in range(1, 41)]
        run = SimpleNamespace(log=log, ops=ops, tile_records=16, keep_last=0)
        points = power_points.choose(run, 1, 30)
        self.assertIn(Point(log.marks["a:w:17"] + 1, "ack", 0), points)
        self.assertEqual({point.kind for point in points}, {"ack", "flush", "torn", "entry"})
        self.assertGreater(min(point.end for point in points), log.marks[START])
        self.assertEqual(points[-1].end, log.marks[END] + 1)
        self.assertEqual(points, power_points.choose(run, 1, 30))
        self.assertEqual(len(power_points.choose(run, 1, None)), 39)
        self.assertEqual([Point.parse(str(point)) for point in points], points)


def an_op(log, number, seq, **told):
    """Operation `number` of w: a save that got that seq."""
    process = SimpleNamespace(name="w")
    item = {"run": f"r{number}", "stage": "t", "view": "", "group": None, "sha": f"sha{number}", "if": "always",
            "if_seq": 0, "id": None}
    op = Op(process, {"n": number, "op": "save", "items": [item]}, 0)
    op.answer = {"status": "HF_OK"}
    op.items[0].take({"status": "HF_OK", "seq": seq, "created": 1, "id": f"id{number}", "sha": f"sha{number}", **told})
    op.called, op.answered = (log.marks[f"{what}:w:{number}"] for what in "ca") if log else (2 * number, 2 * number + 1)
    return op


class FakeImage:
    """A store whose records are those of these saves, and what verify says of it."""

    is_whole = True

    def __init__(self, numbers, findings=(), prevs=()):
        self.statuses = {"snapshot": 0, "mount": 0}
        self.rows = [{"seq": place, "op": "save", "id": f"id{number}", "pid": 1, "host": "h", "sha256": f"sha{number}",
                      "doc_sha": f"sha{number}", "group": "g", "run_id": f"r{number}", "stage": "t", "dims": {}}
                     for place, number in enumerate(numbers, 1)]
        self.events = [*({"event": "finding", "path": "p", "seq": 0, "text": "", **finding} for finding in findings),
                       {"event": "verify", "status": "HF_OK", "remarks": 0}, {"event": "opened", "status": "HF_OK"},
                       {"event": "list", "status": "HF_OK"},
                       *({"event": "prev", "status": "HF_OK", "of": of, "seq": seq} for of, seq in prevs)]

    def one(self, name):
        return next((event for event in self.events if event["event"] == name), {})

    def all(self, name):
        return [event for event in self.events if event["event"] == name]

    def before_work(self):
        return self.events

    def text(self, _name):
        return ""

    def shape(self, _head, _tile_records):
        return {}


class JudgeTest(unittest.TestCase):
    """Three saves, of seqs 1 to 3; the third is answered at entry 7."""

    def setUp(self):
        self.ops = [an_op(None, number, number) for number in (1, 2, 3)]

    def judge(self, end, image):
        judge = Judge(SimpleNamespace(ops=self.ops, tile_records=256, keep_last=0))
        return judge.judge(Point(end, "ack", 0), image)

    def assert_bad(self, word, end, image):
        violations = self.judge(end, image)
        self.assertTrue(any(word in text for text in violations), violations)

    def test_what_is_right_is_right(self):
        self.assertEqual(self.judge(8, FakeImage([1, 2, 3], prevs=[(3, 2), (1, 0)])), [])
        self.assertEqual(self.judge(7, FakeImage([1, 2])), [])  # it was not told of the third one
        self.assertEqual(self.judge(7, FakeImage([1, 2, 3])), [])  # but it may be there
        self.assertEqual(self.judge(8, FakeImage([1, 2, 3], [{"kind": "leftover", "damage": 0}])), [])

    def test_an_acknowledged_save_is_lost(self):
        self.assert_bad("lost", 8, FakeImage([1, 2]))

    def test_another_one_stands_there(self):
        self.assert_bad("lost", 8, FakeImage([1, 3, 2]))

    def test_the_document_is_another_one(self):
        image = FakeImage([1, 2, 3])
        image.rows[1]["doc_sha"] = "other"
        self.assert_bad("lost", 8, image)

    def test_a_gap(self):
        image = FakeImage([1, 2, 3])
        image.rows[2]["seq"] = 4
        self.assert_bad("dense", 8, image)

    def test_doubled(self):
        image = FakeImage([1, 2, 3, 3])
        image.rows[3]["id"] = "another"
        self.assert_bad("doubled", 8, image)

    def test_one_id_twice(self):
        image = FakeImage([1, 2, 3, 3])
        self.assert_bad("ids", 8, image)

    def test_a_record_that_nobody_had_asked_for_yet(self):
        self.assert_bad("never sent", 6, FakeImage([1, 2, 3]))

    def test_a_refused_save_is_there(self):
        self.ops[2] = an_op(None, 3, 0, status="HF_EIO", created=0)
        self.assert_bad("I6", 8, FakeImage([1, 2, 3]))

    def test_what_was_shown_is_gone(self):
        reader = SimpleNamespace(name="r")
        op = Op(reader, {"n": 1, "op": "get", "run": "r3", "stage": "t", "view": ""}, 0)
        op.answer, op.called, op.answered = {"status": "HF_OK", "got": 1, "seq": 3, "id": "id3", "sha": "sha3"}, 5, 6
        self.ops[2].answered = INFINITY
        self.ops.append(op)
        self.assertEqual(self.judge(7, FakeImage([1, 2, 3])), [])
        self.assert_bad("shown", 7, FakeImage([1, 2]))

    def test_an_ended_attempt_is_there(self):
        op = Op(SimpleNamespace(name="r"), {"n": 1, "op": "resolve", "id": "id3"}, 0)
        op.answer, op.called, op.answered = {"status": "HF_OK", "got": 0, "seq": 0}, 5, 6
        self.ops.append(op)
        self.ops[2].answered = INFINITY
        self.assert_bad("ended", 7, FakeImage([1, 2, 3]))

    def test_prev_is_wrong(self):
        self.assert_bad("prev", 8, FakeImage([1, 2, 3], prevs=[(3, 1)]))

    def test_damage(self):
        self.assert_bad("mark", 8, FakeImage([1, 2, 3], [{"kind": "mark", "damage": 1}]))
        self.assert_bad("bit-flip", 8, FakeImage([1, 2, 3], [{"kind": "bit-flip", "damage": 1}]))

    def test_a_filesystem_that_cannot_be_mounted(self):
        image = FakeImage([1, 2, 3])
        image.statuses["mount"] = 32
        self.assert_bad("the filesystem", 8, image)


if __name__ == "__main__":
    unittest.main()
