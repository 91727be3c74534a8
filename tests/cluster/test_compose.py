#!/usr/bin/env python3
"""What tests/cluster/compose makes of what it sees, without an engine."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from random import Random  # noqa: E402  pylint: disable=wrong-import-position

import compose_faults  # noqa: E402  pylint: disable=wrong-import-position
from compose_project import judge_demo  # noqa: E402  pylint: disable=wrong-import-position


def printed(node, runs, said=None):
    """What a node of the demonstration prints."""
    lines = [f"seq {seq}  {run}" for seq, run in enumerate(runs, 1)]
    count = said or len(runs)
    return "\n".join(lines + [f"{node}: the log has {count} records, seq 1 to {count} without a gap"]) + "\n"


class DemoTest(unittest.TestCase):
    def test_dense_and_the_same(self):
        runs = ["a-1", "b-1", "a-2", "b-2"]
        self.assertEqual(judge_demo({"a": printed("a", runs), "b": printed("b", runs)}, 4), [])

    def test_a_gap(self):
        text = printed("a", ["a-1", "a-2", "a-3"]).replace("seq 2  a-2\n", "")
        self.assertIn("seqs [1, 3]", judge_demo({"a": text}, 3)[0])

    def test_too_few(self):
        self.assertTrue(judge_demo({"a": printed("a", ["a-1", "a-2"])}, 3))
        self.assertTrue(judge_demo({"a": printed("a", ["a-1", "a-2", "a-3"], said=2)}, 3))
        self.assertTrue(judge_demo({}, 3))

    def test_no_verdict_of_the_node(self):
        text = printed("a", ["a-1"]).replace("seq 1 to 1 without a gap", "and is NOT dense")
        self.assertTrue(judge_demo({"a": text}, 1))

    def test_another_order(self):
        wrong = judge_demo({"a": printed("a", ["a-1", "b-1"]), "b": printed("b", ["b-1", "a-1"])}, 2)
        self.assertEqual(wrong, ["b printed another sequence than a"])

    def test_doubled(self):
        self.assertEqual(judge_demo({"a": printed("a", ["a-1", "a-1"])}, 2), ["a printed a run twice"])


class Victim:
    """A world that notes what would be done to it."""

    def __init__(self, seed):
        self.random, self.names = Random(seed), []

    def hurt(self, name, fault):
        assert compose_faults.FAULTS[name][0] is fault
        self.names.append(name)


class NemesisTest(unittest.TestCase):
    def test_each_fault_once_before_any_twice(self):
        """Also where the time is up at once."""
        names = compose_faults.of_kind(list(compose_faults.FAULTS), "sentinel")
        pause, compose_faults.a_while = compose_faults.a_while, lambda *_: None
        try:
            plans = []
            for seed in (1, 1, 2, 3):
                victim = Victim(seed)
                compose_faults.nemesis(victim, names, 0)
                plans.append(victim.names)
        finally:
            compose_faults.a_while = pause
        for plan in plans:
            self.assertEqual(sorted(plan), sorted(names))
        self.assertEqual(plans[0], plans[1])
        self.assertGreater(len({tuple(plan) for plan in plans}), 1)

    def test_plants_have_faults_that_exist(self):
        for faults, seconds in compose_faults.PLANTS.values():
            self.assertGreater(seconds, 0)
            self.assertLessEqual(set(faults.split(",")) - {"none", "all"}, set(compose_faults.FAULTS))
        self.assertLessEqual(set(compose_faults.PLANTS_SHORT), set(compose_faults.PLANTS))


if __name__ == "__main__":
    unittest.main()
