#!/usr/bin/env python3
"""gc: what it drops, what it keeps, what is answered then."""

import json
import os
import random
import re
import signal
import subprocess
import time

from support import DONE, FAILED, HOLDFAST, NOT_FOUND, TREE, USAGE, Case, as_other_user, main

TILE = 256
BIG = 100000


class Gc(Case):
    def fill(self, count, groups=4, first=0):
        """Run i is in group i % groups; its document says i."""
        lines = "".join(
            json.dumps({"run_id": f"r{i}", "stage": "S", "group": f"g{i % groups}", "doc": self.doc(i)}) + "\n"
            for i in range(first, first + count)
        )
        self.run_ok("save", "--batch", "-", input=lines)

    def doc(self, i):
        return {"x": i, "pad": "p" * (i % 50)}

    def gc(self, *args, **kwargs):
        return self.run_ok("--json", "gc", *args, **kwargs).json

    def get(self, seq):
        return json.loads(self.run_ok("get", "--seq", str(seq)).out)

    def dropped(self):
        return {r["seq"] for r in self.records("--all-revisions", "--retired") if r.get("dropped")}

    def tile_path(self, tile):
        return os.path.join(self.store, "tile", "000", f"{tile}.jsonl")

    def blobs(self):
        return sorted(name for _, _, names in os.walk(os.path.join(self.store, "blob")) for name in names)

    def assertStoreClean(self):
        result = self.run_ok("--json", "verify", "--deep")
        self.assertEqual([f for f in result.jsonl if "kind" in f], [], result)


class Drops(Gc):
    def test_keep_last(self):
        self.fill(600)
        envelopes = self.records()
        size = os.path.getsize(self.tile_path(0))
        dry = self.gc("--keep-last", "5", "--dry-run")
        self.assertEqual(self.dropped(), set())
        self.assertEqual(self.head(), 600)
        report = self.gc("--keep-last", "5")
        same = ("documents", "bytes", "tiles", "blobs", "blob_bytes", "leftovers", "waiting")
        self.assertEqual([dry[k] for k in same], [report[k] for k in same])
        self.assertEqual((report["documents"], report["tiles"], report["records"]), (512, 2, 2))
        self.assertEqual(report["waiting"], 600 - 512 - 20)
        self.assertLess(os.path.getsize(self.tile_path(0)), size)
        self.assertEqual(self.dropped(), set(range(1, 513)))
        # envelopes are as they were
        after = [{k: v for k, v in r.items() if k != "dropped"} for r in self.records()]
        self.assertEqual(after, [{k: v for k, v in r.items() if k != "dropped"} for r in envelopes])
        self.assertEqual([self.get(seq) for seq in (513, 600)], [self.doc(512), self.doc(599)])
        result = self.run_bad(NOT_FOUND, "get", "--seq", "7", says=["seq 7 was dropped by gc at", "seq 601 says so"])
        self.assertIn("holdfast list", result.err)
        self.run_bad(NOT_FOUND, "get", "--run-id", "r6", "--stage", "S", says="dropped by gc")
        self.run_bad(NOT_FOUND, "prev", "--seq", "100", says="dropped by gc")
        self.assertStoreClean()
        again = self.gc("--keep-last", "5")
        self.assertEqual((again["documents"], again["records"], again["head"]), (0, 0, 602))

    def test_without_rules_nothing_goes(self):
        self.fill(300)
        report = self.gc()
        self.assertEqual((report["documents"], report["records"], report["head"]), (0, 0, 300))
        self.assertEqual(self.dropped(), set())
        self.assertStoreClean()

    def test_documents_shorter_than_what_says_so(self):
        lines = [json.dumps({"run_id": f"r{i}", "stage": "S", "group": "g", "doc": {}}) for i in range(256)]
        self.run_ok("save", "--batch", "-", input="\n".join(lines))
        dry = self.gc("--keep-last", "1", "--dry-run")
        report = self.gc("--keep-last", "1")
        self.assertEqual([(one["documents"], one["bytes"]) for one in (dry, report)], [(255, 0)] * 2)
        self.assertStoreClean()

    def test_older_than(self):
        self.fill(300)
        self.assertEqual(self.gc("--older-than", "90d")["documents"], 0)
        time.sleep(0.05)
        self.fill(300, first=300)
        self.assertEqual(self.gc("--older-than", "1ms", "--keep-last", "300")["documents"], 0)
        self.assertEqual(self.gc("--older-than", "1ms")["documents"], 512)

    def test_saved_again(self):
        self.fill(256)
        self.gc("--keep-last", "1")
        self.assertEqual(self.head(), 257)
        # the document is nowhere: it must be saved
        lines = json.dumps({"run_id": "r5", "stage": "S", "group": "g1", "doc": self.doc(5)}) + "\n"
        self.run_ok("save", "--batch", "-", input=lines)
        self.assertEqual(self.head(), 258)
        self.assertEqual(json.loads(self.run_ok("get", "--run-id", "r5", "--stage", "S").out), self.doc(5))
        self.assertStoreClean()

    def test_retired_ones_are_none_of_the_last(self):
        self.fill(256, groups=1)
        self.run_ok("retire", "256", "--reason", "x")
        report = self.gc("--keep-last", "2")
        self.assertEqual(report["documents"], 254)
        self.assertEqual(self.dropped(), set(range(1, 254)) | {256})
        self.assertEqual(self.get(254), self.doc(253))
        self.run_bad(NOT_FOUND, "get", "--seq", "256", says="dropped")
        self.assertStoreClean()

    def test_export_leaves_them_out(self):
        self.fill(300)
        self.gc("--keep-last", "3")
        for form, lines in (("jsonl", 300 - 256), ("csv", 301)):
            result = self.run_ok("export", "--format", form)
            self.assertEqual(len(result.lines), lines)
            self.assertEqual("256 snapshots are left out" in result.err, form == "jsonl")
        out = self.path("out.json")
        told = self.run_ok("--json", "export", "--format", "index", "--out", out).json
        self.assertEqual((told["exported"], told["dropped"]), (44, 256))

    def test_indexes_are_made_anew(self):
        self.fill(17 * TILE, groups=1)
        self.gc("--keep-last", str(8 * TILE))
        self.assertStoreClean()
        self.assertEqual(self.get(17 * TILE), self.doc(17 * TILE - 1))
        self.gc("--keep-last", "10")
        self.fill(16 * TILE, groups=1, first=17 * TILE)
        self.run_ok("pack")
        self.assertStoreClean()
        self.assertEqual(len(self.dropped()), 17 * TILE - 10)

    def test_bad_input(self):
        self.run_bad(USAGE, "gc", "--keep-last", "0", says="from 1 on")
        self.run_bad(USAGE, "gc", "--keep-last", "x", says="--keep-last")
        self.run_bad(USAGE, "gc", "--keep-last", "-1")
        self.run_bad(USAGE, "gc", "--older-than", "0s", says="more than no time")
        self.run_bad(USAGE, "gc", "--older-than", "90", says="90d")
        self.run_bad(USAGE, "gc", "--older-than", "99999999999999999d", says="duration")
        self.run_bad(USAGE, "gc", "--keep-baselines", says="--keep-last")
        self.run_bad(USAGE, "gc", "extra")
        self.assertEqual(self.run_ok("gc", "--keep-last", "3").lines[0],
                         "documents dropped: 0 (0 B, in 0 tiles)")

    def test_a_damaged_tile(self):
        self.fill(600)
        with open(self.tile_path(0), "r+b") as f:
            f.seek(100)
            f.write(b"\x00")
        self.run_bad(FAILED, "gc", "--keep-last", "1", says="verify")
        self.assertEqual(self.head(), 600)

    def test_a_store_that_cannot_be_written(self):
        self.fill(300)
        self.run_bad(FAILED, "gc", "--keep-last", "1", says="Permission denied", **as_other_user())
        self.assertEqual(self.dropped(), set())


class DropsPublish(Drops):
    mode = "publish"


class Blobs(Gc):
    def big(self, i):
        return {"x": i, "pad": "p" * BIG}

    def test_young_ones_stay(self):
        for i in range(3):
            self.save(f"b{i}", "S", self.big(i), "--group", "g")
        self.fill(256)
        self.assertEqual(len(self.blobs()), 3)
        report = self.gc("--keep-last", "1")
        self.assertEqual((report["blobs"], report["blobs_young"]), (0, 2))
        self.assertEqual(len(self.blobs()), 3)
        self.run_bad(NOT_FOUND, "get", "--seq", "1", says="dropped")
        self.assertEqual(self.get(3), self.big(2))
        # saved again: it finds its blob there, and the record is new
        head = self.head()
        self.assertEqual(self.save("b0", "S", self.big(0), "--group", "g"), head + 1)
        self.assertEqual(self.get(head + 1), self.big(0))
        self.assertStoreClean()


class Killed(Gc):
    def test_at_any_instant(self):
        """kill -9 again and again, with a writer and a reader at work; what should stay is there, byte for byte."""
        rng = random.Random(5)
        self.fill(1500, groups=3)
        first = 1500
        for _ in range(25):
            gc = self.popen("gc", "--keep-last", str(rng.choice((30, 60, 90))))
            time.sleep(rng.random() * 0.12)
            gc.send_signal(signal.SIGKILL)
            gc.communicate()
            self.fill(20, groups=3, first=first)
            first += 20
        self.assertEqual(self.run_any("verify", "--deep").status, DONE)
        self.check(first, 30)  # each of them kept as many, and more
        self.gc("--keep-last", "30")
        self.assertStoreClean()
        self.check(first, 30)

    def check(self, count, keep):
        with_docs = {}
        for line in self.run_ok("export", "--format", "jsonl").lines:
            record = json.loads(line)
            with_docs[record["run_id"]] = record
        runs = [r["run_id"] for r in self.records()]
        self.assertEqual(sorted(runs), sorted(f"r{i}" for i in range(count)))
        for i in range(count - 3 * keep, count):
            self.assertEqual(with_docs[f"r{i}"]["doc"], self.doc(i))


def page_script():
    with open(os.path.join(TREE, "docs", "asking", "keep.md"), encoding="utf-8") as page:
        return "".join(re.findall(r"(?s)```sh\n(.*?)```", page.read()))


class Page(Case):
    """What the page for users shows is run as it stands there."""

    make_store = False

    def test_its_examples(self):
        script = page_script()
        self.assertEqual(script.count("holdfast "), 9)
        script = script.replace("holdfast init", "holdfast init --locker flock --force")
        tools = self.path("bin")
        os.mkdir(tools)
        os.symlink(HOLDFAST, os.path.join(tools, "holdfast"))
        ran = subprocess.run(
            ["bash", "-ec", script], cwd=self.folder, env={**self.env, "PATH": f"{tools}:{os.environ['PATH']}"},
            capture_output=True, timeout=120, check=False,
        )
        self.assertEqual(ran.returncode, DONE, ran)
        self.assertIn('{"auc":0.71}\n', ran.stdout.decode())
        self.assertIn("documents would be dropped: 0", ran.stdout.decode())


class KilledPublish(Killed):
    mode = "publish"


if __name__ == "__main__":
    main()
