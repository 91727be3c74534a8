#!/usr/bin/env python3
"""retire: hidden snapshots, what they hide, and taking it back."""

import json
import os

from support import CONFLICT, DONE, NOT_FOUND, USAGE, Case, main

TILE = 256


class Retire(Case):
    def setUp(self):
        super().setUp()
        self.first = self.save("a", "S", {"x": 1}, "--group", "g")
        self.second = self.save("b", "S", {"x": 2}, "--group", "g")
        self.third = self.save("b", "S", {"x": 3}, "--group", "g")
        self.last = self.save("c", "S", {"x": 4}, "--group", "g")

    def retire(self, *args, **kwargs):
        return self.run_ok("--json", "retire", *map(str, args), **kwargs).json

    def seqs(self, *args):
        return [record["seq"] for record in self.records(*args)]

    def prev(self, seq):
        return self.run_ok("prev", "--seq", str(seq)).out.strip()

    def get(self, run, *args):
        return self.run_ok("get", "--run-id", run, "--stage", "S", *args).out.strip()

    def test_what_it_hides(self):
        result = self.run_ok("retire", str(self.third), "--reason", "wrong split")
        self.assertEqual(result.lines, ["seq 3 is retired, by seq 5"])
        self.assertEqual(self.seqs(), [1, 2, 4])
        self.assertEqual(self.prev(4), '{"x":2}')
        self.assertEqual(self.get("b"), '{"x":2}')
        self.assertEqual(self.get("b", "--at", "4"), '{"x":3}')  # as it was then
        self.assertEqual(self.run_ok("get", "--seq", "3").out.strip(), '{"x":3}')
        self.assertEqual(json.loads(self.run_ok("get", "--seq", "3", "--meta").out)["retired"], 5)
        shown = {record["seq"]: record.get("retired") for record in self.records("--retired")}
        self.assertEqual(shown, {1: None, 2: None, 3: 5, 4: None})
        self.assertEqual(self.seqs("--all-revisions"), [1, 2, 4])
        self.assertEqual(self.seqs("--all-records"), [1, 2, 3, 4, 5])
        self.assertIn("retired", self.run_ok("history", "--run-id", "b", "--stage", "S").out)
        self.assertStoreIntact()

    def test_undo(self):
        self.retire(2, "--reason", "x")
        self.retire(3, "--reason", "x")
        self.assertEqual(self.seqs(), [1, 4])
        self.assertEqual(self.prev(4), '{"x":1}')
        self.run_bad(NOT_FOUND, "get", "--run-id", "b", "--stage", "S", says="no snapshot")
        undone = self.retire("--run-id", "b", "--stage", "S", "--undo")
        self.assertEqual(undone, {"of": 3, "retired": False, "seq": 7, "created": True})
        self.assertEqual(self.seqs(), [1, 3, 4])
        self.assertEqual(self.retire(3, "--undo"), {"of": 3, "retired": False, "seq": 7, "created": False})
        self.assertEqual(self.retire(2, "--undo")["seq"], 8)
        self.run_bad(NOT_FOUND, "retire", "--run-id", "b", "--stage", "S", "--undo", says="no revision")
        self.assertEqual(self.seqs("--all-revisions"), [1, 2, 3, 4])

    def test_again(self):
        self.assertEqual(self.retire(1, "--reason", "x"), {"of": 1, "retired": True, "seq": 5, "created": True})
        self.assertEqual(self.retire(1, "--reason", "y"), {"of": 1, "retired": True, "seq": 5, "created": False})
        self.assertEqual(self.retire(2, "--undo"), {"of": 2, "retired": False, "seq": None, "created": False})
        self.assertEqual(self.head(), 5)
        self.assertEqual(self.run_ok("retire", "2", "--undo").out, "seq 2 was never retired\n")

    def test_saves_after_it(self):
        self.retire("--run-id", "b", "--stage", "S", "--reason", "x")
        self.assertEqual(self.save("b", "S", {"x": 2}, "--group", "g"), 2)  # it is current again
        self.assertEqual(self.save("b", "S", {"x": 3}, "--group", "g"), 6)  # not answered by the hidden one
        self.retire("--run-id", "a", "--stage", "S", "--reason", "x")
        self.assertEqual(self.save("a", "S", {"x": 1}, "--if-absent"), 8)
        self.run_bad(
            CONFLICT, "save", "--run-id", "a", "--stage", "S", "--if-seq", "1", "-", input='{"x":9}', says="seq 8"
        )
        self.assertStoreIntact()

    def test_behind_an_index(self):
        lines = "".join(
            json.dumps({"run_id": f"r{i}", "stage": "S", "group": "h", "doc": {"x": i}}) + "\n" for i in range(600)
        )
        self.run_ok("save", "--batch", "-", input=lines)
        self.retire(10, "--reason", "x")
        self.retire(300, "--reason", "x")
        self.run_ok("save", "--batch", "-", input=lines.replace(': "r', ': "s'))
        self.retire(10, "--undo")
        self.run_ok("pack")
        self.assertGreater(os.path.getsize(os.path.join(self.store, "index", "mark")), 3)
        seqs = self.seqs()
        self.assertIn(10, seqs)
        self.assertNotIn(300, seqs)
        self.assertEqual(self.prev(301), json.dumps({"x": 294}, separators=(",", ":")))
        self.assertEqual(self.save("r295", "S", {"x": 295}, "--group", "h"), self.head())
        self.assertStoreIntact()

    def test_bad_input(self):
        reason = ("--reason", "x")
        self.run_bad(USAGE, "retire", *reason, says="SEQ")
        self.run_bad(USAGE, "retire", "1", says="--reason")
        self.run_bad(USAGE, "retire", "1", "--reason", "", says="empty")
        self.run_bad(USAGE, "retire", "0", *reason, says="no seq")
        self.run_bad(USAGE, "retire", "x", *reason, says="no seq")
        self.run_bad(USAGE, "retire", "1", "--run-id", "a", "--stage", "S", *reason, says="not both")
        self.run_bad(USAGE, "retire", "--run-id", "a", *reason, says="--stage")
        self.run_bad(USAGE, "retire", "1", "--reason", "a\nb", says="control character")
        self.run_bad(USAGE, "retire", "1", "--reason", b"\xff", says="UTF-8")
        self.run_bad(USAGE, "retire", "1", "--reason", "x" * 2000)
        self.run_bad(NOT_FOUND, "retire", "99", *reason, says="head is 4")
        self.run_bad(NOT_FOUND, "retire", "--run-id", "zz", "--stage", "S", *reason, says="no such snapshot")
        self.retire(1, *reason)
        self.run_bad(NOT_FOUND, "retire", "5", *reason, says="no snapshot (op retire)")


class RetirePublish(Retire):
    mode = "publish"


if __name__ == "__main__":
    main()
