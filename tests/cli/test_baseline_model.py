#!/usr/bin/env python3
"""Random stores of about 2,000 snapshots: every baseline answer is the one that a search through all records gives.

    HF_TEST_SEED=N chooses another seed
"""

import json
import os
import random
from decimal import Decimal, getcontext

from support import DONE, NOT_FOUND, DIFFERS, Case, main

getcontext().prec = 2000  # exact, whatever is subtracted
SNAPSHOTS = 2000
ROUNDS = 40
GROUPS = ("a", "b", None)
STAGES = ("train", "final")
DIMS = ({}, {"view": "x"}, {"view": "x", "attempt": "1"})
POINTER = "/m/v"
# Texts that are equal by value, apart by one in the last of many digits, far apart; and what is no number.
NUMBERS = ("0.5", "5e-1", "0.50", "9007199254740992", "9007199254740993", "1e400", "1.0E+400", "-1e400", "0", "-0",
           "1e-400", "0.1", "0.10000000000000000001", "-3", "7", "7.000")
NO_NUMBERS = ("null", '"7"', "true", "[7]", "{}")


class Snapshot:
    def __init__(self, run, stage, dims, group, text):
        self.run, self.stage, self.dims, self.group, self.text = run, stage, dims, group, text
        self.is_number = text is not None and text not in NO_NUMBERS
        self.value = Decimal(text) if self.is_number else None

    @property
    def peers(self):
        return (self.group, self.stage, tuple(sorted(self.dims.items())))

    @property
    def key(self):
        return (self.run, self.stage, tuple(sorted(self.dims.items())))

    def line(self):
        doc = '{"m":{}}' if self.text is None else '{"m":{"v":%s}}' % self.text
        members = {"run_id": self.run, "stage": self.stage, "dims": self.dims}
        if self.group is not None:
            members["group"] = self.group
        return json.dumps(members)[:-1] + ',"doc":' + doc + "}"


class Model(Case):
    """log[seq - 1]: a Snapshot, or (by, peers, of, value, goal) of a baseline record."""

    def setUp(self):
        super().setUp()
        self.seed = int(os.environ.get("HF_TEST_SEED", "20261"))
        self.random = random.Random(self.seed)
        self.log = []

    def snapshot(self):
        pick = self.random
        text = pick.choice((None,) + NO_NUMBERS) if pick.random() < 0.2 else pick.choice(NUMBERS)
        if pick.random() < 0.4:
            text = f"{pick.randint(-50, 50)}.{pick.randint(0, 99):02}"
        return Snapshot(f"r{pick.randint(0, 60)}", pick.choice(STAGES), pick.choice(DIMS), pick.choice(GROUPS), text)

    def save(self, count):  # pylint: disable=arguments-differ
        wanted = [self.snapshot() for _ in range(count)]
        result = self.run_ok("--json", "save", "--batch", "-", input="\n".join(one.line() for one in wanted))
        for one, answer in zip(wanted, result.jsonl):
            if answer["created"]:
                self.log.append(one)
            self.assertLessEqual(answer["seq"], len(self.log))

    # ---- the model ----

    def current(self, peers, since=0):
        """The comparable runs, each by its current revision: [(seq, snapshot)]."""
        last = {}
        for seq, one in enumerate(self.log, 1):
            if isinstance(one, Snapshot):
                last[one.key] = (seq, one)
        return [(seq, one) for seq, one in last.values() if one.peers == peers and seq > since]

    def best(self, peers, goal, since=0):
        numbers = [(seq, one) for seq, one in self.current(peers, since) if one.is_number]
        sign = 1 if goal == "max" else -1
        return min(numbers, key=lambda pair: (-sign * pair[1].value, pair[0])) if numbers else None

    def last(self, peers, at=None):
        """(seq, record) of the last baseline record."""
        records = self.log if at is None else self.log[:at]
        for seq in range(len(records), 0, -1):
            one = records[seq - 1]
            if not isinstance(one, Snapshot) and one[1] == peers:
                return seq, one
        return 0, None

    def in_force(self, peers, at=None):
        seq, one = self.last(peers, at)
        return (seq, one) if one is not None and one[0] != "clear" else (0, None)

    # ---- each command, and what the model says ----

    def args(self, peers):
        group, stage, dims = peers
        return ("--group", group, "--stage", stage, *(part for name, value in dims
                                                      for part in ("--dim", f"{name}={value}")))

    def run_json(self, *args):
        result = self.run_any("--json", "baseline", *args)
        return result.status, (result.json if result.out_bytes else None), result

    def made(self, record, answer):
        self.log.append(record)
        self.assertEqual((answer["created"], answer["seq"], answer["of"]), (True, len(self.log), record[2]))

    def establish(self, peers):
        goal, least = self.random.choice(("max", "min")), self.random.choice((1, 5, 20))
        status, answer, result = self.run_json("establish", *self.args(peers), "--metric", POINTER, "--goal", goal,
                                               "--min-runs", str(least))
        seq, record = self.in_force(peers)
        if record is not None:
            if record[4] not in (None, goal):
                self.assertEqual(status, 4, result)
            else:
                self.assertEqual((status, answer["created"], answer["seq"], answer["of"]),
                                 (DONE, False, seq, record[2]))
            return
        runs = self.current(peers)
        numbers = [one for _, one in runs if one.is_number]
        if len(numbers) < least:
            self.assertEqual(status, NOT_FOUND, result)
            self.assertEqual((answer["runs"], answer["passed_over"], answer["missing"]),
                             (len(numbers), len(runs) - len(numbers), least - len(numbers)))
            return
        self.assertEqual((answer["runs"], answer["passed_over"]), (len(numbers), len(runs) - len(numbers)))
        of, best = self.best(peers, goal)
        self.made(("establish", peers, of, best.text, goal), answer)
        self.assertIn(f'"value":{best.text},', result.out)

    def update(self, peers):
        status, answer, result = self.run_json("update", *self.args(peers))
        seq, record = self.in_force(peers)
        if record is None or record[4] is None:
            self.assertEqual(status, NOT_FOUND, result)
            return
        found = self.best(peers, record[4], since=seq)
        sign = 1 if record[4] == "max" else -1
        if found is None or sign * found[1].value <= sign * Decimal(record[3]):
            self.assertEqual((status, answer["created"], answer["seq"]), (DONE, False, seq))
            return
        self.made(("update", peers, found[0], found[1].text, record[4]), answer)

    def set(self, _):
        seq = self.random.randint(1, len(self.log))
        status, answer, result = self.run_json("set", str(seq))
        one = self.log[seq - 1]
        if not isinstance(one, Snapshot) or one.group is None:
            self.assertEqual(status, NOT_FOUND, result)
            return
        before_seq, before = self.in_force(one.peers)
        goal = before[4] if before is not None and one.is_number else None
        value = one.text if goal is not None else None
        if before is not None and before[0] == "set" and before[2] == seq and before[4] == goal:
            self.assertEqual((status, answer["created"], answer["seq"]), (DONE, False, before_seq))
            return
        self.made(("set", one.peers, seq, value, goal), answer)

    def clear(self, peers):
        status, answer, result = self.run_json("clear", *self.args(peers))
        if self.in_force(peers)[1] is None:
            self.assertEqual(status, NOT_FOUND, result)
        else:
            self.made(("clear", peers, None, None, None), answer)

    def get(self, peers):
        at = self.random.choice((None, self.random.randint(1, len(self.log))))
        where = () if at is None else ("--at", str(at))
        status, answer, result = self.run_json("get", *self.args(peers), *where)
        seq, record = self.in_force(peers, at)
        if record is None:
            self.assertEqual(status, NOT_FOUND, result)
            return
        since = self.log[seq:at] if at is not None else self.log[seq:]
        is_new = not any(isinstance(one, Snapshot) and one.peers == peers for one in since)
        self.assertEqual((answer["seq"], answer["of"], answer["by"], answer["new"]),
                         (seq, record[2], record[0], is_new))

    def check(self, _):
        seq, tolerance = self.random.randint(1, len(self.log)), self.random.choice((None, "1", "10%", "0.5%", "1e399"))
        status, answer, result = self.run_json("check", str(seq), *(() if tolerance is None else
                                                                   ("--tolerance", tolerance)))
        one = self.log[seq - 1]
        record = self.in_force(one.peers)[1] if isinstance(one, Snapshot) and one.group is not None else None
        if record is None or record[4] is None or self.log[record[2] - 1].run == one.run:
            self.assertEqual(status, NOT_FOUND, result)
            return
        if not one.is_number:
            self.assertEqual((status, answer["result"]), (DIFFERS, "no-metric"))
            return
        base = Decimal(record[3])
        worse = (base - one.value) * (1 if record[4] == "max" else -1)
        limit = Decimal(0)
        if tolerance is not None:
            limit = abs(base) * Decimal(tolerance[:-1]) / 100 if tolerance[-1] == "%" else Decimal(tolerance)
        self.assertEqual(status, DIFFERS if worse > 0 and worse > limit else DONE, (result, record, one.text))

    def history(self, peers):
        records = [(seq, one) for seq, one in enumerate(self.log, 1)
                   if not isinstance(one, Snapshot) and one[1] == peers]
        result = self.run_any("--json", "baseline", "history", *self.args(peers))
        self.assertEqual(result.status, DONE if records else NOT_FOUND, result)
        self.assertEqual([(one["seq"], one["by"], one["of"]) for one in result.jsonl],
                         [(seq, one[0], one[2]) for seq, one in records])

    def run_model(self):
        ways = (self.establish, self.establish, self.update, self.update, self.set, self.clear, self.get, self.get,
                self.check, self.check, self.check, self.history)
        for _ in range(ROUNDS):
            self.save(SNAPSHOTS // ROUNDS)
            for _ in range(4):
                peers = (self.random.choice(("a", "b")), self.random.choice(STAGES),
                         tuple(sorted(self.random.choice(DIMS).items())))
                way = self.random.choice(ways)
                with self.subTest(seed=self.seed, head=len(self.log), way=way.__name__, peers=peers):
                    way(peers)
        self.assertEqual(self.head(), len(self.log))
        self.assertGreater(sum(not isinstance(one, Snapshot) for one in self.log), 15)
        self.run_ok("pack")
        for group in ("a", "b"):
            for stage in STAGES:
                for dims in DIMS:
                    self.history((group, stage, tuple(sorted(dims.items()))))
        self.assertStoreIntact()

    def test_journal(self):
        self.run_model()

    def test_publish(self):
        self.seed += 1
        self.random = random.Random(self.seed)
        self.run_ok("locker", "set", "none", "--force")
        self.log.append(("mode", None, None, None, None))
        self.run_model()


if __name__ == "__main__":
    main()
