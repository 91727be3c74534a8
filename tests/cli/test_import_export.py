"""import and export, on the older indexes that ship with the project."""

import csv
import io
import json
import os
import signal
import time

from support import DONE, FAILED, LEGACY, NOT_FOUND, Case, every_file, main

FOLDERS = (
    ("1-run-id-keys", 24), ("2-run-id-stage-keys", 60), ("3-mixed", 60), ("4-an-index-a-run", 25),
    ("5-odd", 3),
)
REPORT = "dry_run files read imported present doubles clock_ordered nan_to_null".split()


def index(count, first=1):
    return json.dumps(
        {
            f"r{i}:S": {"run_id": f"r{i}", "stage": "S", "snapshot_seq": i, "x": i}
            for i in range(first, first + count)
        }
    )


class Import(Case):
    def order(self):
        rows = []
        for record in self.records():
            dims = record["dims"]
            row = [record["run_id"], record["stage"]]
            if "target" in dims or "view" in dims:
                row += [dims.get("target"), dims.get("view"), dims.get("symbol")]
                row.append(int(dims.get("attempt", 0)))
            rows.append(row)
        return rows

    def test_every_folder(self):
        for name, _ in FOLDERS:
            with self.subTest(name=name):
                self.store = self.path("store-" + name)
                self.run_ok("init", self.store, "--locker", "flock", "--force", store=None)
                folder = os.path.join(LEGACY, name)
                with open(os.path.join(folder, "expected.json"), encoding="utf-8") as f:
                    expected = json.load(f)
                dry = self.run_ok("--json", "import", "--dry-run", folder).json
                self.assertEqual(self.head(), 0)
                report = self.run_ok("--json", "import", folder).json
                self.assertEqual(list(report), REPORT)
                self.assertEqual(dry, {**report, "dry_run": True})
                self.assertEqual(report["imported"], len(expected))
                self.assertEqual(self.order(), expected)
                again = self.run_ok("--json", "import", folder).json
                self.assertEqual((again["imported"], again["present"]), (0, len(expected)))
                self.assertEqual(self.head(), len(expected))
                self.assertStoreIntact()

    def test_what_it_says(self):
        result = self.run_ok("import", os.path.join(LEGACY, "5-odd"))
        self.assertEqual(
            result.lines,
            [
                "read: 4 (index files: 1)", "imported: 3", "already there: 0", "doubles: 1",
                "order taken from clocks: 0", "NaN turned into null: 3",
            ],
        )
        result = self.run_ok("import", "--dry-run", os.path.join(LEGACY, "1-run-id-keys"))
        self.assertIn("would be imported: 24", result.lines)
        self.assertIn("clocks", result.err)
        self.assertEqual(len(result.err.splitlines()), 1)
        quiet = self.run_ok("-q", "import", "--dry-run", os.path.join(LEGACY, "1-run-id-keys"))
        self.assertEqual(quiet.err, "")
        self.assertEqual(self.head(), 3)

    def test_a_file_cut_short(self):
        path = os.path.join(LEGACY, "6-cut-short", "snapshot_index.json")
        for args in ((path,), (os.path.join(LEGACY, "5-odd"), os.path.dirname(path))):
            self.run_bad(FAILED, "-q", "import", *args, says=[path + ": line "])
            self.assertEqual(self.head(), 0)

    def test_nothing_there(self):
        empty = self.path("empty")
        os.mkdir(empty)
        self.run_bad(NOT_FOUND, "import", empty)
        self.assertNotEqual(self.run_any("import", self.path("absent")).status, DONE)
        bad = self.write("snapshot_index.json", "[]")
        self.run_bad(FAILED, "import", bad, says=bad)
        self.assertEqual(self.head(), 0)

    def start_big_import(self, count):
        path = self.write("snapshot_index.json", index(count))
        process = self.popen("import", path)
        deadline = time.monotonic() + 60
        while self.head() == 0 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        return path, process

    def test_a_signal_stops_between_commits(self):
        count = 60000
        path, process = self.start_big_import(count)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, FAILED, err)
        self.assertIn(b"stopped by a signal", err)
        head = self.head()
        self.assertGreater(head, 0)
        self.assertLess(head, count)
        self.assertIn(b"imported: %d\n" % head, out)
        report = self.run_ok("--json", "import", path).json
        self.assertEqual((report["imported"], report["present"]), (count - head, head))
        self.assertEqual(self.head(), count)
        self.assertEqual(self.run_ok("get", "--seq", str(count)).json["x"], count)

    def test_killed_and_repeated(self):
        count = 20000
        path, process = self.start_big_import(count)
        process.kill()
        process.communicate()
        head = self.head()
        report = self.run_ok("--json", "import", path).json
        self.assertEqual(report["imported"] + report["present"], count)
        self.assertGreaterEqual(report["present"], head)
        self.assertEqual(self.head(), count)
        self.assertStoreIntact()


class Export(Case):
    mode = "publish"

    def setUp(self):
        super().setUp()
        self.save("a", "s", '{"n":9007199254740993,"e":1e400}', "--group", "g, with comma")
        self.save("b", "s", '{"n":2}', "--dim", "t=x", "--timestamp", "")
        self.save("a", "s", '{"n":0.10}')

    def test_jsonl(self):
        text = self.run_ok("export", "--format", "jsonl").out_bytes
        records = [json.loads(line) for line in text.split(b"\n")[:-1]]
        self.assertEqual([r["seq"] for r in records], [1, 2, 3])
        self.assertEqual(records[0]["run_id"], "a")
        self.assertIn(b'"doc":{"n":9007199254740993,"e":1e400}', text)
        self.assertEqual(self.run_ok("export", "--format", "jsonl", "--out", "-").out_bytes, text)

    def test_csv(self):
        text = self.run_ok("export", "--format", "csv").out_bytes
        rows = list(csv.DictReader(io.StringIO(text.decode(), newline=""), strict=True))
        self.assertEqual([(r["seq"], r["run_id"]) for r in rows], [("2", "b"), ("3", "a")])

    def test_index_there_and_back(self):
        for source in [self.store] + [os.path.join(LEGACY, name) for name, _ in FOLDERS]:
            with self.subTest(source=source):
                first = source
                if source != self.store:
                    first = self.path("from")
                    self.run_ok("init", first, "--locker", "flock", "--force", store=None)
                    self.run_ok("-q", "import", source, store=first)
                out = self.path("exported.json")
                self.run_ok("export", "--format", "index", "--out", out, store=first)
                second = self.path("to")
                self.run_ok("init", second, "--locker", "flock", "--force", store=None)
                self.run_ok("-q", "import", out, store=second)
                self.assertEqual(self.snapshots(first), self.snapshots(second))
                for store in ("from", "to"):
                    if os.path.exists(self.path(store)):
                        os.rename(self.path(store), self.path(store + os.path.basename(source)))

    def snapshots(self, store):
        records = self.run_ok("--json", "list", store=store).jsonl
        return [
            (
                r["run_id"], r["stage"], r["dims"], r["group"], r["ts"],
                self.run_ok("get", "--seq", str(r["seq"]), store=store).out_bytes,
            )
            for r in records
        ]

    def test_a_file_appears_whole(self):
        out = self.path("out")
        result = self.run_ok("export", "--format", "csv", "--out", out)
        self.assertEqual(result.out, "exported: 2\n")
        with open(out, "rb") as f:
            self.assertEqual(f.read(), self.run_ok("export", "--format", "csv").out_bytes)
        report = self.run_ok("--json", "export", "--format", "jsonl", "--out", out).json
        self.assertEqual(report, {"format": "jsonl", "exported": 3, "at": 3, "out": out})
        self.assertEqual(os.listdir(self.folder).count("out"), 1)
        self.assertEqual([n for n in os.listdir(self.folder) if n.endswith(".tmp")], [])

    def test_an_old_file_stays_where_the_export_fails(self):
        out = self.write("out", "old")
        log = os.path.join(self.store, "log", "%020d.json" % 2)
        with open(log, "rb+") as f:
            f.truncate(20)
        result = self.run_any("export", "--format", "jsonl", "--out", out)
        self.assertEqual(result.status, FAILED, result)
        with open(out, encoding="utf-8") as f:
            self.assertEqual(f.read(), "old")
        self.assertEqual([n for n in os.listdir(self.folder) if n.endswith(".tmp")], [])

    def test_permissions_and_links(self):
        out = self.write("out", "old")
        os.chmod(out, 0o640)
        link = self.path("link")
        os.symlink(out, link)
        self.run_ok("export", "--format", "csv", "--out", link)
        self.assertTrue(os.path.islink(link))
        self.assertEqual(os.stat(out).st_mode & 0o777, 0o640)
        self.assertGreater(os.path.getsize(out), 10)

    def test_what_is_no_file(self):
        self.run_ok("export", "--format", "csv", "--out", "/dev/null")
        self.assertFalse(os.path.isfile("/dev/null"))
        self.run_bad(FAILED, "export", "--format", "csv", "--out", self.folder, says="folder")
        absent = self.path("no", "such", "folder")
        self.run_bad(FAILED, "export", "--format", "csv", "--out", absent)
        result = self.run_bad(FAILED, "export", "--format", "csv", "--out", "/dev/full")
        self.assertIn("No space left", result.err)

    def test_nothing_in_the_store_changes(self):
        before = every_file(self.store)
        for args in (
            ("list",), ("export", "--format", "index"), ("get", "--seq", "1"),
            ("verify", "--deep"), ("lock", "status"), ("prev", "--seq", "1"),
            ("history", "--run-id", "a", "--stage", "s"),
        ):
            self.run_any(*args)
        self.assertEqual(every_file(self.store), before)


if __name__ == "__main__":
    main()
