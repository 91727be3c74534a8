#!/usr/bin/env python3
"""What the parts of `nfs --asking` make of what they see, without nodes: right stories, and wrong ones."""
import hashlib
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import asking_establish  # noqa: E402  pylint: disable=wrong-import-position
import asking_keep  # noqa: E402  pylint: disable=wrong-import-position
import asking_watch  # noqa: E402  pylint: disable=wrong-import-position
from storelog import Log  # noqa: E402  pylint: disable=wrong-import-position


def row(seq, op="save", **more):
    return {"seq": seq, "op": op, "id": f"I{seq}", "host": "h", "pid": 1, "run_id": f"r{seq}", "stage": "s", "dims": {},
            "group": "g", "sha256": f"s{seq}", "retired": None, "dropped": None, **more}


class EstablishTest(unittest.TestCase):
    def setUp(self):
        self.one = asking_establish.Round(1)
        self.rows = [row(seq, group=self.one.group) for seq in (1, 2, 3)] + [row(4, "baseline", group=self.one.group)]
        self.values = {1: 5, 2: 9, 3: 9}
        self.say("a", created=True)
        self.say("b")

    def say(self, who, seq=4, of=2, created=False):
        self.one.answers.append((who, {"seq": seq, "of": of, "id": f"I{seq}", "created": created}))

    def judge(self):
        return asking_establish.judge_round(self.one, self.rows, self.values)

    def test_one(self):
        self.assertEqual(self.judge(), [])

    def test_whose_maker_lost_its_node(self):
        self.one.answers[0][1]["created"] = False
        self.assertIn("0 say that they have made it", self.judge()[0])
        self.one.lost = 1
        self.assertEqual(self.judge(), [])

    def test_two(self):
        self.rows.append(row(5, "baseline", group=self.one.group))
        self.say("c", seq=5, created=True)
        bad = "\n".join(self.judge())
        for part in ("2 baseline records", "different answers", "2 say that they have made it"):
            self.assertIn(part, bad)

    def test_a_later_get_that_says_another(self):
        self.one.later.append(("get on node 3", {"seq": 3, "of": 2, "id": "I3", "created": False}))
        self.assertIn("no baseline of it", "\n".join(self.judge()))

    def test_not_the_best(self):
        self.values[3] = 10
        self.assertIn("the best before it is 3", self.judge()[0])
        self.values[3] = 9.5
        self.rows[2], self.rows[3] = {**self.rows[3], "seq": 3}, {**self.rows[2], "seq": 4}  # saved behind it
        for _, answer in self.one.answers:
            answer.update(seq=3, id="I4")
        self.assertEqual(self.judge(), [])

    def test_a_failure(self):
        self.one.failures.append(("c", 1, "cannot"))
        self.assertIn("status 1: cannot", self.judge()[0])


def lines(*seqs):
    return "".join(f'{{"seq":{seq}}}\n' for seq in seqs)


class WatchTest(unittest.TestCase):
    def test_steady(self):
        wanted = [1, 2, 4]
        self.assertEqual(asking_watch.judge_steady("w", [1, 2, 4], wanted), [])
        for seqs, part in (([1, 2, 2, 4], "doubled [2]"), ([1, 4], "missing [2]"), ([1, 2, 3, 4], "not there [3]"),
                           ([2, 1, 4], "not in order")):
            self.assertIn(part, asking_watch.judge_steady("w", seqs, wanted)[0])

    def test_killed(self):
        wanted = [1, 2, 4, 5]
        for texts in ([lines(1, 2), lines(4, 5)], [lines(1, 2), lines(2, 4, 5)],  # what it was at, once more
                      [lines(1, 2) + '{"se', lines(4), "", lines(5)]):
            self.assertEqual(asking_watch.judge_killed("w", texts, wanted), [], texts)
        for texts in ([lines(1, 2), lines(5)], [lines(1, 2), lines(1, 2, 4, 5)], [lines(1, 2), lines(4)],
                      [lines(1, 2, 2), lines(4, 5)], [""]):
            self.assertTrue(asking_watch.judge_killed("w", texts, wanted), texts)


class KeepTest(unittest.TestCase):
    """Five snapshots of a class, of which two are kept."""

    def setUp(self):
        self.rows = [row(seq) for seq in range(1, 6)]
        self.retires, self.baselines = [], []

    def add(self, op, **more):
        self.rows.append(row(len(self.rows) + 1, op, run_id=None, stage=None, group=None, sha256=None, **more))
        return len(self.rows)

    def drop(self, *seqs):
        at = self.add("drop")
        for seq in seqs:
            self.rows[seq - 1]["dropped"] = at

    def retire(self, seq, is_retired=True):
        self.retires.append((self.add("retire"), seq, is_retired))

    def judge(self):
        return asking_keep.judge_drops(Log(self.rows), asking_keep.Kept(self.retires, self.baselines), 2)

    def test_what_may_go(self):
        self.drop(1, 2, 3)
        self.assertEqual(self.judge(), [])

    def test_one_of_the_last(self):
        self.drop(1, 4)
        self.assertIn("seq 4: ", self.judge()[0])

    def test_hidden_when_it_was_dropped(self):
        self.retire(5)
        self.drop(5)
        self.retire(5, is_retired=False)
        self.assertEqual(self.judge(), [])

    def test_shown_when_it_was_dropped(self):
        self.retire(5)
        self.retire(5, is_retired=False)
        self.drop(5)
        self.assertIn("one of the last 2", self.judge()[0])

    def test_hidden_ones_are_none_of_the_last(self):
        self.retire(5)
        self.drop(3)
        self.assertIn("seq 3: ", self.judge()[0])

    def test_neither_are_dropped_ones(self):
        self.retire(5)
        self.drop(5)
        self.retire(5, is_retired=False)
        self.drop(3)
        self.assertIn("seq 3: ", self.judge()[0])

    def test_a_baseline(self):
        self.baselines.append((self.add("baseline"), 1))
        self.drop(1)
        self.assertIn("is a baseline since seq 6", self.judge()[0])

    def test_what_is_left(self):
        self.rows = [row(seq) for seq in range(1, 300)]
        judge = lambda: asking_keep.judge_rest(Log(self.rows), asking_keep.Kept([], []), 50, 299)  # noqa: E731
        self.assertEqual(len(judge()), 249)
        self.drop(*range(1, 250))
        self.assertEqual(judge(), [])

    def test_what_was_said(self):
        sha = hashlib.sha256(b"{}").hexdigest()
        self.rows[0]["sha256"] = sha
        self.drop(2)

        def judge(*words, status=0, out="", err=""):
            return asking_keep.judge_said(Log(self.rows), {"argv": ["holdfast", "--store", "S", *words],
                                                           "status": status, "out": out, "err": err})
        self.assertEqual(judge("get", "--seq", "1", out="{}\n"), [])
        self.assertEqual(judge("get", "--seq", "2", status=3, err="dropped by gc"), [])
        self.assertEqual(judge("--json", "gc", "--keep-last", "2", status=-9), [])
        for words, more in ((("get", "--seq", "1"), {"out": "{ }\n"}),
                            (("get", "--seq", "1"), {"status": 3, "err": "dropped by gc"}),
                            (("get", "--seq", "2"), {"status": 3, "err": "there is no seq 2"}),
                            (("get", "--seq", "2"), {"status": 1, "err": "damaged"}),
                            (("list",), {"status": 1}), (("--json", "gc"), {"status": 1})):
            self.assertEqual(len(judge(*words, **more)), 1, (words, more))


if __name__ == "__main__":
    unittest.main()
