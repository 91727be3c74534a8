#!/usr/bin/env python3
"""Random stores of about 2,000 snapshots: every baseline answer is the one that a search through all records gives,
while snapshots are retired and shown again, and gc drops documents.

    HF_TEST_SEED=N chooses another seed
"""

import json
import os
import random
from decimal import Decimal, getcontext

from support import DONE, NOT_FOUND, DIFFERS, Case, main

TILE = 256

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
        self.dropped = False
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
    """log[seq - 1]: a Snapshot, or (by, peers, of, value, goal) of a baseline record; of others by is retire, undo,
    drop or mode."""

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
        last = {one.key: (seq, one) for seq, one in self.shown()}
        for one, answer in zip(wanted, result.jsonl):
            seq, there = last.get(one.key, (0, None))
            is_there = there is not None and not there.dropped and (there.text, there.group) == (one.text, one.group)
            self.assertEqual(answer["created"], not is_there, (seq, answer))
            if answer["created"]:
                self.log.append(one)
                last[one.key] = (len(self.log), one)
            self.assertEqual(answer["seq"], last[one.key][0])

    # ---- the model ----

    def retired(self, at=None):
        """The seqs that are hidden."""
        hidden = {}
        for one in self.log[:at]:
            if not isinstance(one, Snapshot) and one[0] in ("retire", "undo"):
                hidden[one[2]] = one[0] == "retire"
        return {seq for seq, is_hidden in hidden.items() if is_hidden}

    def shown(self):
        """All snapshots that are not retired: [(seq, snapshot)]."""
        hidden = self.retired()
        return [(seq, one) for seq, one in enumerate(self.log, 1) if isinstance(one, Snapshot) and seq not in hidden]

    def current(self, peers, since=0):
        """The comparable runs, each by its current revision, those that have a document: [(seq, snapshot)]."""
        last = {one.key: (seq, one) for seq, one in self.shown()}
        return [(seq, one) for seq, one in last.values() if one.peers == peers and seq > since and not one.dropped]

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
        if not isinstance(one, Snapshot) or one.group is None or one.dropped or seq in self.retired():
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
        hidden = self.retired(at)
        since = enumerate(self.log[:at], 1)
        is_new = not any(isinstance(one, Snapshot) and one.peers == peers and other > seq and other not in hidden
                         for other, one in since)
        self.assertEqual((answer["seq"], answer["of"], answer["by"], answer["new"]),
                         (seq, record[2], record[0], is_new))

    def check(self, _):
        seq, tolerance = self.random.randint(1, len(self.log)), self.random.choice((None, "1", "10%", "0.5%", "1e399"))
        status, answer, result = self.run_json("check", str(seq), *(() if tolerance is None else
                                                                   ("--tolerance", tolerance)))
        one = self.log[seq - 1]
        record = self.in_force(one.peers)[1] if isinstance(one, Snapshot) and one.group is not None else None
        if record is None or record[4] is None or self.log[record[2] - 1].run == one.run or one.dropped:
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

    # ---- what hides and drops ----

    def retire(self, _):
        seq = self.random.choice(self.shown()[-300:])[0]
        answer = self.run_ok("--json", "retire", str(seq), "--reason", "test").json
        self.log.append(("retire", None, seq, None, None))
        self.assertEqual((answer["created"], answer["seq"]), (True, len(self.log)))

    def undo(self, _):
        hidden = sorted(self.retired())
        if hidden:
            seq = self.random.choice(hidden)
            answer = self.run_ok("--json", "retire", str(seq), "--undo").json
            self.log.append(("undo", None, seq, None, None))
            self.assertEqual((answer["created"], answer["seq"]), (True, len(self.log)))

    def retire_best(self, peers):
        found = self.best(peers, self.random.choice(("max", "min")))
        if found is not None:
            self.run_ok("retire", str(found[0]), "--reason", "test")
            self.log.append(("retire", None, found[0], None, None))

    def gc(self, _):
        keep, keep_baselines = self.random.choice((1, 5, 20, 60)), self.random.random() < 0.5
        args = ["--keep-last", str(keep)] + (["--keep-baselines"] if keep_baselines else [])
        report = self.run_ok("--json", "gc", *args).json
        kept = {one[2] for one in self.log if not isinstance(one, Snapshot) and one[4:] and one[0] in
                ("establish", "set", "update")} if keep_baselines else set()
        last = {}
        for seq, one in self.shown():
            if not one.dropped:
                last.setdefault(one.peers if one.group is not None else one.key, []).append(seq)
        for seqs in last.values():
            kept.update(seqs[-keep:])
        goes = [seq for seq in range(1, len(self.log) // TILE * TILE + 1) if isinstance(self.log[seq - 1], Snapshot)
                and seq not in kept and not self.log[seq - 1].dropped]
        for seq in goes:
            self.log[seq - 1].dropped = True
        tiles = len({(seq - 1) // TILE for seq in goes})
        self.assertEqual((report["documents"], report["records"], report["head"]), (len(goes), tiles, len(self.log)))
        self.log += [("drop", None, None, None, None)] * tiles

    def look(self):
        """What list says of all that."""
        shown = self.run_ok("list", "--all-revisions", "--retired", "--format", "jsonl", "--columns",
                            "seq,/m,retired,dropped").jsonl
        hidden = self.retired()
        for one in shown:
            snapshot = self.log[one["seq"] - 1]
            self.assertEqual(((one["/m"] is None), (one["retired"] is not None), (one["dropped"] is not None)),
                             (snapshot.dropped, one["seq"] in hidden, snapshot.dropped), one)
        self.assertEqual([one["seq"] for one in shown],
                         [seq for seq, one in enumerate(self.log, 1) if isinstance(one, Snapshot)])
        current = {one.key: seq for seq, one in self.shown()}
        self.assertEqual([one["seq"] for one in self.records()], sorted(current.values()))
        with_documents = [seq for seq in sorted(current.values()) if not self.log[seq - 1].dropped]
        self.assertEqual([one["seq"] for one in self.records("--where", "exists /m")], with_documents)

    def run_model(self):
        ways = (self.establish, self.establish, self.update, self.update, self.set, self.clear, self.get, self.get,
                self.check, self.check, self.check, self.history, self.retire, self.retire_best, self.undo, self.gc)
        for _ in range(ROUNDS):
            self.save(SNAPSHOTS // ROUNDS)
            for _ in range(6):
                peers = (self.random.choice(("a", "b")), self.random.choice(STAGES),
                         tuple(sorted(self.random.choice(DIMS).items())))
                way = self.random.choice(ways)
                with self.subTest(seed=self.seed, head=len(self.log), way=way.__name__, peers=peers):
                    way(peers)
        self.assertEqual(self.head(), len(self.log))
        self.assertGreater(sum(not isinstance(one, Snapshot) for one in self.log), 15)
        self.run_ok("pack")
        self.look()
        self.assertGreater(len(self.retired()), 3)
        self.assertTrue(any(one.dropped for _, one in self.shown()))
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
