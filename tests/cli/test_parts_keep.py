#!/usr/bin/env python3
"""Retired snapshots and dropped documents in all other commands: baselines, lists, diffs, reports, watches, exports.

A dropped document means nothing, whether its tile was written anew already or not: each case is tried with both."""

import json
import os
import shutil

from support import DIFFERS, NOT_FOUND, Case, main

RUNS = ("--group", "g", "--stage", "S")
METRIC = ("--metric", "/auc", "--goal", "max")
BLOB = 70000


class Keep:
    """Seqs 1 to 10 are runs r0 to r9 of the group g, the best first; then others, up to 256."""

    def setUp(self):
        super().setUp()
        self.secrets = [f"secret-{i}" for i in range(10)]
        lines = [self.line(f"r{i}", "g", {"auc": (99 - i) / 100, "secret": self.secrets[i],
                                          "pad": "p" * (BLOB if i in (1, 8) else 0)}) for i in range(10)]
        lines += [self.line(f"f{i}", "f", {"auc": i}) for i in range(246)]
        self.run_ok("save", "--batch", "-", input="".join(lines))
        self.run_ok("pack")

    def line(self, run, group, doc):
        return json.dumps({"run_id": run, "stage": "S", "group": group, "doc": doc}) + "\n"

    def baseline(self, *args):
        return self.run_ok("--json", "baseline", *args).json

    def establish(self):
        return self.baseline("establish", *RUNS, *METRIC, "--min-runs", "2")

    def retire(self, seq, *args):
        self.run_ok("retire", str(seq), *(args or ("--reason", "x")))

    def drop(self, written_anew, *rules):
        """Drops what no rule keeps: only by a record, as a gc leaves it that was killed, or from the tile, too."""
        kept = [os.path.join(self.store, *names) for names in (("tile", "000", "0.jsonl"), ("index",))]
        for i, path in enumerate(kept):
            (shutil.copytree if os.path.isdir(path) else shutil.copy)(path, self.path(f"before-{i}"))
        self.run_ok("gc", "--keep-last", "3", *rules)
        for i, path in enumerate(kept if not written_anew else ()):
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
            os.rename(self.path(f"before-{i}"), path)

    def both(self, *rules):
        """Twice: with the tile as it was before, and written anew by the next gc."""
        self.drop(False, *rules)
        yield "only told"
        self.run_ok("gc", "--keep-last", "3", *rules)
        yield "written anew"


class Baselines(Keep):
    def test_a_retired_run_does_not_count(self):
        self.retire(1)
        made = self.establish()
        self.assertEqual((made["of"], made["runs"], made["passed_over"]), (2, 9, 0))
        self.run_ok("baseline", "clear", *RUNS)
        self.retire(2)
        self.assertEqual((self.establish()["of"]), 3)
        self.run_ok("baseline", "clear", *RUNS)
        self.retire(1, "--undo")
        made = self.establish()
        self.assertEqual((made["of"], made["runs"]), (1, 9))
        self.assertStoreIntact()

    def test_the_revision_before_a_retired_one(self):
        self.save("r5", "S", {"auc": 0.999}, "--group", "g")
        last = self.head()
        self.retire(last)
        self.assertEqual(self.establish()["runs"], 10)
        self.assertEqual(self.baseline("get", *RUNS)["of"], 1)
        better = self.save("r5", "S", {"auc": 0.9995}, "--group", "g")
        self.assertEqual(self.baseline("update", *RUNS)["of"], better)
        self.retire(better)
        self.save("r5", "S", {"auc": 0.1}, "--group", "other")  # its current one is elsewhere
        self.run_ok("baseline", "clear", *RUNS)
        self.assertEqual(self.establish()["runs"], 9)

    def test_update_passes_over_retired_ones(self):
        self.establish()
        best = self.save("new", "S", {"auc": 1.5}, "--group", "g")
        self.retire(best)
        self.assertFalse(self.baseline("update", *RUNS)["created"])
        good = self.save("other", "S", {"auc": 1.1}, "--group", "g")
        self.assertEqual(self.baseline("update", *RUNS)["of"], good)

    def test_is_it_new(self):
        self.establish()
        self.assertTrue(self.baseline("get", *RUNS)["new"])
        seq = self.save("later", "S", {"auc": 0.2}, "--group", "g")
        self.assertFalse(self.baseline("get", *RUNS)["new"])
        self.retire(seq)
        self.assertTrue(self.baseline("get", *RUNS)["new"])

    def test_what_cannot_be_set(self):
        self.retire(10)
        for args in ((), METRIC):
            self.run_bad(NOT_FOUND, "baseline", "set", "10", *args, says=["seq 10 is retired (seq 257 says so)"])
        self.retire(10, "--undo")
        self.assertEqual(self.baseline("set", "10", *METRIC)["of"], 10)
        for _ in self.both():
            for seq in (1, 2):  # the second one is large
                for args in ((), METRIC):
                    self.run_bad(NOT_FOUND, "baseline", "set", str(seq), *args,
                                 says=[f"the document of seq {seq} was dropped by gc"])

    def test_dropped_documents_do_not_count(self):
        for _ in self.both():
            made = self.establish()
            self.assertEqual((made["of"], made["runs"], made["passed_over"]), (8, 3, 0))
            self.run_ok("baseline", "clear", *RUNS)
        self.assertStoreIntact()

    def test_checks(self):
        self.run_ok("baseline", "set", "2", *METRIC)
        for _ in self.both():
            # the number stands in the baseline's record; another one stood in the document
            self.run_ok("baseline", "check", "10", "--tolerance", "1")
            self.run_bad(NOT_FOUND, "baseline", "check", "10", "--metric", "/auc", "--goal", "min",
                         says=["the document of seq 2 was dropped by gc"])
            self.run_bad(NOT_FOUND, "baseline", "check", "3", says=["the document of seq 3 was dropped by gc"])
            self.assertEqual(self.run_any("baseline", "check", "10").status, DIFFERS)

    def test_update_of_one_without_a_metric(self):
        """Its document would be asked, and is gone: as where it has no number there."""
        self.run_ok("baseline", "set", "2")
        self.save("new", "S", {"auc": 0.5}, "--group", "g")
        self.drop(False)
        made = self.baseline("update", *RUNS, *METRIC)
        self.assertEqual((made["created"], made["of"]), (True, 258))
        self.assertStoreIntact()

    def test_update_of_one_without_a_metric_in_a_tile_written_anew(self):
        self.run_ok("baseline", "set", "2")
        self.save("new", "S", {"auc": 0.5}, "--group", "g")
        self.drop(True)
        made = self.baseline("update", *RUNS, *METRIC)
        self.assertEqual((made["created"], made["of"]), (True, 258))

    def test_gc_keeps_what_a_baseline_names(self):
        self.establish()
        self.run_ok("baseline", "set", "3")
        for way in self.both("--keep-baselines"):
            self.assertEqual(self.run_ok("get", "--seq", "1").json["secret"], self.secrets[0], way)
            self.assertEqual(self.run_ok("get", "--seq", "3").json["secret"], self.secrets[2], way)
            self.run_bad(NOT_FOUND, "get", "--seq", "2", says="dropped")
        self.assertStoreIntact()

    def test_a_baseline_outlives_its_document(self):
        self.establish()
        for way in self.both():
            self.assertEqual(self.baseline("get", *RUNS)["of"], 1, way)
            self.assertFalse(self.baseline("update", *RUNS)["created"], way)
            self.run_ok("baseline", "history", *RUNS)
        self.assertStoreIntact()


class Questions(Keep):
    def assertNoSecret(self, text, way):
        found = [secret for secret in self.secrets[:6] if f'"{secret}"' in text]
        self.assertEqual(found, [], way)

    def test_lists(self):
        self.retire(9)  # it is none of the last three then, so it goes, too
        for way in self.both():
            seqs = [r["seq"] for r in self.records("--group", "g", "--where", "exists /secret", "--retired")]
            self.assertEqual(seqs, [7, 8, 10], way)
            seqs = [r["seq"] for r in self.records("--where", "dropped exists", "--group", "g")]
            self.assertEqual(seqs, [1, 2, 3, 4, 5, 6], way)
            self.assertEqual([r["seq"] for r in self.records("--where", "retired > 0", "--retired")], [9], way)
            self.assertEqual(self.records("--where", "retired > 0"), [], way)
            out = self.run_ok("list", "--columns", "seq,/secret,retired,dropped", "--sort", "/auc", "--retired",
                              "--format", "jsonl", "--group", "g")
            self.assertNoSecret(out.out, way)
            shown = {r["seq"]: (r["retired"], r["dropped"], r["/secret"]) for r in out.jsonl}
            self.assertEqual(shown[9], (257, 258, None), way)
            self.assertEqual(shown[1], (None, 258, None), way)
            self.assertEqual(shown[10], (None, None, "secret-9"), way)
            self.assertEqual([r["seq"] for r in out.jsonl], [10, 8, 7, 1, 2, 3, 4, 5, 6, 9], way)
            for form in ("table", "csv"):
                self.assertNotIn("secret-0", self.run_ok("list", "--columns", "/secret", "--format", form).out, way)

    def test_groups(self):
        self.retire(10)
        for way in self.both():
            groups = {g["group"]: g for g in self.run_ok("--json", "groups").jsonl}
            self.assertEqual((groups["g"]["count"], groups["g"]["last_seq"]), (9, 9), way)
            only = self.run_ok("--json", "groups", "--where", "exists /secret").jsonl
            self.assertEqual([(g["group"], g["count"]) for g in only], [("g", 3)], way)

    def test_diffs(self):
        for way in self.both():
            self.run_bad(NOT_FOUND, "diff", "1", "10", says=["seq 1 was dropped by gc"])
            self.run_bad(NOT_FOUND, "diff", "10", "1", says=["seq 1 was dropped by gc"])
            self.run_bad(NOT_FOUND, "diff", "--prev", "8", says=["seq 7 was dropped by gc"])
            self.run_bad(NOT_FOUND, "diff", "r1:S", "r9:S", says=["seq 2 was dropped by gc"])
            self.run_ok("diff", "--prev", "10")
        self.retire(9)
        self.assertIn("secret-7", self.run_ok("diff", "--prev", "10").out)
        self.run_ok("diff", "9", "10")  # asked for by its seq

    def test_reports(self):
        self.retire(9)
        for way in self.both():
            out = self.path("report.html")
            self.run_ok("report", "--out", out)
            with open(out, encoding="utf-8") as page:
                text = page.read()
            self.assertNoSecret(text, way)
            self.assertNotIn("secret-8", text, way)
            self.assertIn("0.9", text, way)
            self.assertIn("gone", text, way)

    def test_watches(self):
        for way in self.both():
            out = self.run_ok("watch", "--since", "1", "--group", "g", "--count", "10", "--exec",
                              'cat >>"$HOLDFAST_STORE/../seen"; echo ran')
            self.assertEqual(out.lines.count("ran"), 10, way)
            with open(self.path("seen"), encoding="utf-8") as seen:
                lines = seen.read().splitlines()
            os.unlink(self.path("seen"))
            self.assertNoSecret("\n".join(lines), way)
            has = ["doc" in json.loads(line) for line in lines]
            self.assertEqual(has, [False] * 7 + [True] * 3, way)
            out = self.run_ok("watch", "--since", "1", "--where", "exists /secret", "--timeout", "100ms",
                              "--json", "--columns", "seq,/secret")
            self.assertEqual([r["seq"] for r in out.jsonl], [8, 9, 10], way)

    def test_stats(self):
        self.retire(9)
        for way in self.both():
            self.assertEqual(self.run_ok("--json", "stats").json["snapshots"], 256, way)
            self.run_ok("stats")

    def test_exports(self):
        self.retire(9)
        for way in self.both():
            for form in ("jsonl", "index", "csv"):
                out = self.run_ok("export", "--format", form)
                self.assertNoSecret(out.out, (way, form))
                self.assertIn("r9", out.out)
            out = self.path("out.db")
            self.run_ok("export", "--format", "sqlite", "--out", out)
            with open(out, "rb") as database:
                self.assertNotIn(b"secret-0", database.read(), way)
            out = self.path("out.parquet")
            self.run_ok("export", "--format", "parquet", "--out", out)
            with open(out, "rb") as file:
                self.assertNotIn(b"secret-0", file.read(), way)


class JournalBaselines(Baselines, Case):
    mode = "journal"


class PublishBaselines(Baselines, Case):
    mode = "publish"


class JournalQuestions(Questions, Case):
    mode = "journal"


class PublishQuestions(Questions, Case):
    mode = "publish"


if __name__ == "__main__":
    main()
