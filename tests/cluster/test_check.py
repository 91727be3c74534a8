#!/usr/bin/env python3
"""The checker is checked: histories made by hand, one for each way in which a store can break a promise."""
import json
import os
import random
import tempfile
import time
import unittest

from check import EXPECTED, LATE, judge, story, summary
from histories import Unreadable, read_histories

MS = 1000000
SPEED_OPS = 100000
SPEED_SECONDS_MAX = 60


class World:
    """Histories and a store in the making. Times are milliseconds."""

    def __init__(self):
        self.events, self.rows, self.numbers = {}, [], {}

    def _add(self, process, event):
        if process not in self.events:
            pid = 100 + len(self.events)
            self.events[process] = [{"event": "begin", "t": 0, "name": process, "node": "n", "boot": "b", "host": "h",
                                     "pid": pid, "seed": 1, "offset_ns": 0, "error_ns": 0}]
        self.events[process].append(event)

    def call(self, process, began, op, ended=None, answer=None, **arguments):
        number = self.numbers[process] = self.numbers.get(process, 0) + 1
        self._add(process, {"event": "call", "t": began * MS, "n": number, "op": op, **arguments})
        if ended is not None:
            self._add(process, {"event": "answer", "t": ended * MS, "n": number, "status": "HF_OK", **answer})

    def record(self, process, ident, run="r", sha="s", group="g", op="save", **more):
        self._add(process, None)
        self.events[process].pop()
        row = {"seq": len(self.rows) + 1, "op": op, "id": ident, "host": "h",
               "pid": self.events[process][0]["pid"], "run_id": run,
               "stage": "t", "dims": {}, "group": group, "sha256": sha, "doc_sha": sha}
        self.rows.append({**row, **more})

    def save(self, process, began, ended, seq=None, ident="A", run="r", sha="s", status="HF_OK", created=1, given=None,
             condition="always", if_seq=0, group="g", **more):
        item = {"run": run, "stage": "t", "view": "", "group": group, "sha": sha, "if": condition, "if_seq": if_seq,
                "id": given}
        told = {"status": status, "seq": seq or 0, "created": created if status == "HF_OK" else 0, "id": ident,
                "sha": sha, **more}
        self.call(process, began, "save", ended, {"status": status, "items": [told]}, items=[item])

    def get(self, process, began, ended, seq, ident="A", run="r", sha="s"):
        answer = {"got": 1, "seq": seq, "id": ident, "kind": "save", "sha": sha} if seq else {"got": 0}
        self.call(process, began, "get", ended, answer, run=run, stage="t", view="", group=None)

    def gone(self, process, began, ended, seq):
        """get_seq, answered with: dropped by gc."""
        self.call(process, began, "get_seq", ended, {"status": "HF_EDROPPED"}, of=seq)

    def judge(self, others=()):
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for name, events in self.events.items():
                paths.append(os.path.join(folder, name))
                with open(paths[-1], "w", encoding="utf-8") as file:
                    file.writelines(json.dumps(event) + "\n" for event in events)
            processes, ops = read_histories(paths)
        return judge(processes, ops, self.rows, EXPECTED + LATE + ("HF_EDROPPED",), others)


def two_saves():
    """p saves A, then q saves B."""
    world = World()
    world.record("p", "A", run="r", sha="s1")
    world.record("q", "B", run="r2", sha="s2")
    world.save("p", 10, 20, 1, "A", "r", "s1")
    world.save("q", 30, 40, 2, "B", "r2", "s2")
    return world


class TestCheck(unittest.TestCase):
    def expect(self, world, rule, part):
        violations = world.judge().violations
        self.assertTrue(violations, "nothing was found")
        self.assertTrue(any(one.rule == rule and part in one.text for one in violations),
                        [(one.rule, one.text) for one in violations])
        for one in violations:
            self.assertIn(one.rule, story(one, 0))

    def expect_clean(self, world):
        checked = world.judge()
        self.assertEqual([(one.rule, one.text) for one in checked.violations], [])
        self.assertIn("checked", summary(checked, 0))
        return checked

    # ---- what is right ----

    def test_right(self):
        world = two_saves()
        world.get("p", 50, 60, 1, "A", "r", "s1")
        world.get("p", 70, 80, 0, run="nobody")
        world.call("q", 50, "head", 60, {"seq": 2})
        world.call("q", 70, "list", 80, {"rows": [{"seq": 2, "id": "B"}, {"seq": 1, "id": "A"}]}, limit=5, all=1)
        world.call("q", 90, "prev_seq", 95, {"got": 1, "seq": 1, "id": "A", "sha": "s1"}, of=2)
        world.save("q", 100, 110, 2, "B", "r2", "s2", created=0)
        checked = self.expect_clean(world)
        self.assertEqual((checked.counts["acknowledged"], checked.counts["found"], checked.counts["reads"]), (2, 1, 5))

    # ---- gc ----

    def dropped(self):
        """p saves A; another q saves B of the same class; gc drops A's document, and p saves it again."""
        world = two_saves()
        world.rows[0].update(dropped=3, doc_sha=None)
        world.record("p", "D", op="drop", run_id=None, sha256=None)
        world.call("q", 50, "head", 60, {"seq": 3})
        return world

    def test_dropped(self):
        world = self.dropped()
        world.call("q", 42, "get_seq", 48, {"got": 1, "seq": 1, "id": "A", "sha": "s1"}, of=1)
        world.gone("p", 70, 80, 1)
        world.call("p", 82, "get", 84, {"status": "HF_EDROPPED"}, run="r", stage="t", view="", group=None)
        world.call("p", 86, "prev_seq", 88, {"status": "HF_EDROPPED"}, of=2)
        world.record("p", "E", run="r", sha="s1")
        world.save("p", 90, 95, 4, "E", "r", "s1")
        self.expect_clean(world)

    def test_dropped_and_found(self):
        world = self.dropped()
        world.save("p", 90, 95, 1, "A", "r", "s1", created=0)
        self.expect(world, "I3", "had dropped: it is nowhere")

    def test_dropped_and_shown(self):
        world = self.dropped()
        world.call("p", 70, "get_seq", 80, {"got": 1, "seq": 1, "id": "A", "sha": "s1"}, of=1)
        self.expect(world, "I7", "seq 3 had dropped it")

    def test_not_dropped(self):
        world = self.dropped()
        world.gone("p", 70, 80, 2)
        self.expect(world, "gc", "and it has not")

    def test_without_a_document(self):
        world = two_saves()
        world.rows[0]["doc_sha"] = None
        self.expect(world, "I8", "another checksum")

    def test_others(self):
        world = two_saves()
        world.record("p", "C", stage="theirs")
        world.rows[2].update(stage="theirs", pid=7)
        self.expect(world, "I6", "of a process without a history")
        self.assertEqual(world.judge(["theirs"]).violations, [])

    def test_concurrent_saves_in_any_order(self):
        world = World()
        world.record("q", "B", run="r2", sha="s2")
        world.record("p", "A", run="r", sha="s1")
        world.save("p", 10, 40, 2, "A", "r", "s1")
        world.save("q", 20, 30, 1, "B", "r2", "s2")
        self.expect_clean(world)

    def test_open_call_either_way(self):
        for is_there in (True, False):
            world = World()
            if is_there:
                world.record("p", "A", sha="s1")
            world.save("p", 10, None, sha="s1")
            checked = self.expect_clean(world)
            self.assertEqual(checked.counts["unknown, and saved"], int(is_there))

    def test_torn_last_line(self):
        world = two_saves()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "p")
            text = "".join(json.dumps(event) + "\n" for event in world.events["p"])
            with open(path, "w", encoding="utf-8") as file:
                file.write(text[:-20])
            processes, ops = read_histories([path])
            self.assertTrue(processes[0].is_torn)
            self.assertIsNone(ops[0].answer)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace("answer", "ans\nwer"))
            self.assertRaises(Unreadable, read_histories, [path])

    def test_clocks_of_several_machines(self):
        world = two_saves()
        world.events["q"][0].update(boot="another")
        self.assertRaises(Unreadable, world.judge)
        # q's clock is 25 ms ahead: by its own time the save began after p's, truly before
        world = World()
        world.record("q", "B", run="r2", sha="s2")
        world.record("p", "A", run="r", sha="s1")
        world.save("p", 10, 20, 2, "A", "r", "s1")
        world.save("q", 40, 50, 1, "B", "r2", "s2")
        self.expect(world, "I4", "")
        world.events["q"][0].update(boot="another", offset_ns=-25 * MS, error_ns=1 * MS)
        self.expect_clean(world)

    # ---- saves ----

    def test_lost(self):
        world = two_saves()
        world.rows.pop()
        self.expect(world, "I3", "lost")

    def test_overwritten(self):
        world = two_saves()
        world.rows[1].update(id="C", sha256="s3", doc_sha="s3")
        self.expect(world, "I3", "lost: it stands nowhere")

    def test_reordered(self):
        world = two_saves()
        world.rows[0]["seq"], world.rows[1]["seq"] = 2, 1
        world.rows.reverse()
        self.expect(world, "I1", "reordered")

    def test_gap(self):
        world = two_saves()
        world.rows[1]["seq"] = 3
        self.expect(world, "I1", "missing")

    def test_id_twice(self):
        world = two_saves()
        world.record("q", "B", run="r3", sha="s2")
        self.expect(world, "I1", "two seqs")

    def test_doubled(self):
        world = two_saves()
        world.record("q", "C", run="r2", sha="s2")
        self.expect(world, "I3", "doubled")
        self.expect(world, "I6", "no call that could have made it")

    def test_two_made_one(self):
        world = two_saves()
        world.save("r", 50, 60, 2, "B", "r2", "s2")
        self.expect(world, "I3", "two saves were told")

    def test_another_document(self):
        world = two_saves()
        world.rows[1].update(sha256="other", doc_sha="other")
        self.expect(world, "I2", "something else stands")

    def test_document_altered(self):
        world = two_saves()
        world.rows[1].update(doc_sha="other")
        self.expect(world, "I8", "another checksum")

    def test_refused_and_saved(self):
        for status in ("HF_ELOCK", "HF_EBACKEND", "HF_EIO", "HF_ECANCELLED"):
            world = two_saves()
            world.record("p", "C", run="r3", sha="s3")
            world.save("p", 50, 60, None, "C", "r3", "s3", status=status)
            self.expect(world, "I6", "says not saved")

    def test_from_nowhere(self):
        world = two_saves()
        world.record("p", "C", run="r3", sha="s3")
        self.expect(world, "I6", "no call that could have made it")
        world.rows[2]["pid"] = 4711
        self.expect(world, "I6", "without a history")

    def test_unexpected_answer(self):
        world = two_saves()
        world.save("p", 50, 60, None, "C", "r3", "s3", status="HF_EDAMAGED")
        self.expect(world, "answer", "HF_EDAMAGED")

    def test_real_time_order(self):
        world = World()
        world.record("q", "B", run="r2", sha="s2")
        world.record("p", "A", run="r", sha="s1")
        world.save("p", 10, 20, 2, "A", "r", "s1")
        world.save("q", 30, 40, 1, "B", "r2", "s2")
        self.expect(world, "I4", "the save that got seq 1 began only after that")

    def test_real_time_order_of_a_killed_one(self):
        world = World()
        world.record("q", "B", run="r2", sha="s2")
        world.record("p", "A", run="r", sha="s1")
        world.save("p", 10, 20, 2, "A", "r", "s1")
        world.save("q", 30, None, None, None, "r2", "s2")
        self.expect(world, "I4", "seq 2")

    def test_batch_out_of_order(self):
        world = World()
        world.record("p", "B", run="r2", sha="s2")
        world.record("p", "A", run="r1", sha="s1")
        items = [{"run": f"r{i}", "stage": "t", "view": "", "group": "g", "sha": f"s{i}", "if": "always", "if_seq": 0,
                  "id": None} for i in (1, 2)]
        told = [{"status": "HF_OK", "seq": 3 - i, "created": 1, "id": " AB"[i], "sha": f"s{i}"} for i in (1, 2)]
        world.call("p", 10, "batch", 20, {"items": told}, items=items)
        self.expect(world, "I1", "batch")

    # ---- ids, unknown answers ----

    def test_same_id_twice(self):
        world = World()
        world.record("p", "X", sha="s1")
        world.save("p", 10, 20, 1, "X", sha="s1", given="X")
        world.save("q", 30, 40, 1, "X", sha="s1", given="X", created=0)
        self.expect_clean(world)
        world.save("q", 50, 60, 1, "X", sha="s1", given="Y", created=0)
        self.expect(world, "I6", "answered with the record of another")

    def test_ended_and_saved(self):
        world = two_saves()
        world.record("q", "E", op="end", ends="B", run=None)
        world.call("q", 50, "resolve", 60, {"got": 0, "seq": 0}, id="B")
        self.expect(world, "I6", "never will be saved")
        world = World()
        world.record("p", "X", sha="s1")
        world.save("p", 10, 20, 1, "X", sha="s1", given="X")
        world.save("q", 30, 40, None, "X", sha="s1", given="X", status="HF_EENDED")
        self.expect(world, "I6", "is ended")

    def test_unknown_answer_settled_both_ways(self):
        for got, is_there in ((1, False), (0, True), (0, False)):
            world = World()
            if is_there:
                world.record("p", "A", sha="s1")
            world.save("p", 10, 20, None, "A", sha="s1", status="HF_EUNSURE")
            world.call("p", 30, "resolve", 40, {"got": got, "seq": got}, id="A")
            self.expect(world, "I6", "resolve said")

    def test_unknown_answer_settled(self):
        world = World()
        world.record("p", "A", sha="s1")
        world.record("p", "E", op="end", ends="B", run=None)
        world.save("p", 10, 20, None, "A", sha="s1", status="HF_EUNSURE")
        world.call("p", 30, "resolve", 40, {"got": 1, "seq": 1}, id="A")
        world.save("p", 50, 60, None, "B", sha="s2", status="HF_EUNSURE")
        world.call("p", 70, "resolve", 80, {"got": 0, "seq": 0}, id="B")
        self.expect_clean(world)

    # ---- reads ----

    def test_stale_reads(self):
        world = two_saves()
        world.call("p", 50, "head", 60, {"seq": 1})
        self.expect(world, "I7", "the head was answered as 1")
        world = two_saves()
        world.get("p", 50, 60, 0, run="r2")
        self.expect(world, "I7", "r2:t was answered from before its first revision")
        world = two_saves()
        world.call("p", 50, "get_seq", 60, {"got": 0}, of=2)
        self.expect(world, "I7", "not there")
        world = two_saves()
        world.call("p", 50, "list", 60, {"rows": [{"seq": 1, "id": "A"}]}, limit=5, all=1)
        self.expect(world, "I7", "a list began with 1")
        world = two_saves()
        world.call("p", 50, "history", 60, {"rows": []}, run="r2", stage="t", view="", group=None)
        self.expect(world, "I7", "r2:t")

    def test_reads_go_back(self):
        """What one reader was shown, a later one must see, though nobody was acknowledged."""
        world = World()
        world.record("p", "A", sha="s1")
        world.save("p", 10, None, sha="s1")
        world.get("q", 20, 30, 1, "A", sha="s1")
        self.expect_clean(world)
        world.get("r", 40, 50, 0)
        self.expect(world, "I7", "before its first revision")

    def test_shown_as_another(self):
        world = two_saves()
        world.get("p", 50, 60, 1, "Z", sha="s1")
        self.expect(world, "I2", "shown as another record")
        world = two_saves()
        world.get("p", 50, 60, 1, "A", sha="zz")
        self.expect(world, "I2", "shown as another record")

    def test_shown_before_it_began(self):
        world = two_saves()
        world.call("r", 1, "head", 5, {"seq": 1})
        self.expect(world, "I4", "began only after that")

    def test_shown_and_gone(self):
        world = two_saves()
        world.call("r", 50, "head", 60, {"seq": 3})
        self.expect(world, "I3", "seq 3 was shown")

    def test_list_is_wrong(self):
        world = two_saves()
        world.record("p", "C", run="r", sha="s3")
        world.save("p", 50, 60, 3, "C", "r", "s3")
        rows = [{"seq": seq, "id": " ABC"[seq]} for seq in (3, 2, 1)]
        world.call("q", 70, "list", 80, {"rows": rows}, limit=5, all=1)
        world.call("q", 90, "list", 95, {"rows": rows[:2]}, limit=5, all=0)  # seq 1 is no longer current
        self.expect_clean(world)
        world.call("q", 96, "list", 97, {"rows": rows}, limit=5, all=0)
        self.expect(world, "list", "had [3, 2, 1], not [3, 2]")

    # ---- prev ----

    def test_prev(self):
        world = two_saves()
        key = {"run": "r2", "stage": "t", "view": ""}
        world.call("p", 50, "prev", 60, {"got": 1, "seq": 1, "id": "A", "sha": "s1"}, group=None, **key)
        world.call("p", 61, "prev", 62, {"got": 1, "seq": 2, "id": "B", "sha": "s2"}, group="g", run="new", stage="t",
                   view="")
        self.expect_clean(world)
        world.call("p", 70, "prev", 80, {"got": 0}, group=None, **key)
        self.expect(world, "prev", "answered as none")
        world = two_saves()
        world.call("p", 50, "prev_seq", 60, {"got": 0}, of=2)
        self.expect(world, "prev", "answered as none, and it is 1")
        world = two_saves()
        world.call("p", 50, "prev", 60, {"got": 1, "seq": 1, "id": "A", "sha": "s1"}, group="g", run="new", stage="t",
                   view="")
        self.expect(world, "I7", "the previous was answered as 1, and seq 2")

    # ---- conditions ----

    def test_if_absent(self):
        world = two_saves()
        world.record("p", "C", run="r2", sha="s3")
        world.save("p", 50, 60, 3, "C", "r2", "s3", condition="absent")
        self.expect(world, "if-absent", "seq 2 is before it")
        world = two_saves()
        world.save("p", 50, 60, 2, "C", "r2", "s3", status="HF_ECONFLICT", condition="absent")
        self.expect_clean(world)
        world.save("p", 70, 80, 0, "D", "new", "s4", status="HF_ECONFLICT", condition="absent")
        self.expect(world, "if-absent", "is none")

    def test_if_seq(self):
        world = two_saves()
        world.record("p", "C", run="r2", sha="s3")
        world.save("p", 50, 60, 3, "C", "r2", "s3", condition="seq", if_seq=2)
        world.save("p", 70, 80, 3, "D", "r2", "s4", status="HF_ECONFLICT", condition="seq", if_seq=2)
        self.expect_clean(world)
        world.save("q", 90, 95, 2, "F", "r2", "s6", status="HF_ECONFLICT", condition="seq", if_seq=1)
        self.expect(world, "I7", "seq 3 of it was there")
        world = two_saves()
        world.record("p", "C", run="r2", sha="s3")
        world.save("p", 50, 60, 3, "C", "r2", "s3", condition="seq", if_seq=1)
        self.expect(world, "if-seq", "replaced 2")

    def test_found_though_replaced(self):
        world = two_saves()
        world.record("p", "C", run="r2", sha="s3")
        world.save("p", 50, 60, 3, "C", "r2", "s3")
        world.save("q", 70, 80, 2, "B", "r2", "s2", created=0)
        self.expect(world, "I7", "r2:t was answered from seq 2")

    # ---- speed ----

    def test_speed(self):
        """10^5 operations of eight processes take seconds (of processor time: others may be at work here)."""
        rng, world, at = random.Random(1), World(), 0
        for _ in range(SPEED_OPS):
            process, at = f"p{rng.randrange(8)}", at + 1
            seq = len(world.rows)
            if rng.random() < 0.6 or seq == 0:
                run = f"r{rng.randrange(50)}" if rng.random() < 0.3 else f"own{seq}"
                world.record(process, f"I{seq}", run=run, sha=f"s{seq}")
                world.save(process, at, at, seq + 1, f"I{seq}", run, f"s{seq}")
            elif rng.random() < 0.5:
                row = rng.choice(world.rows)
                answer = {"got": 1, "seq": row["seq"], "id": row["id"], "sha": row["sha256"]}
                world.call(process, at, "get_seq", at, answer, of=row["seq"])
            else:
                rows = [{"seq": row["seq"], "id": row["id"]} for row in world.rows[:-13:-1]]
                world.call(process, at, "list", at, {"rows": rows}, limit=12, all=1)
        began = time.process_time()
        checked = self.expect_clean(world)
        seconds = time.process_time() - began
        print(f"{checked.counts['answers']} answers in {seconds:.1f} s")
        self.assertLess(seconds, SPEED_SECONDS_MAX)


if __name__ == "__main__":
    unittest.main()
