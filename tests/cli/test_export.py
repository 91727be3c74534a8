"""export: which snapshots, as of which seq; SQLite and Parquet files that appear whole or not at all. What others read
from them: tests/export."""

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import threading
import time

from support import DONE, FAILED, HOLDFAST, NOT_FOUND, USAGE, Case, main

STREAMS = ("csv", "jsonl", "index", "parquet")
FORMATS = (*STREAMS, "sqlite")
COUNT = 3000


def lines(count, first=0):
    return "".join(
        json.dumps({"run_id": f"r{i % (count * 2 // 3)}", "stage": "train" if i % 2 else "final",
                    "doc": {"n": i, "metrics": {"auc": i / 7}, "pad": "x" * 300}}) + "\n"
        for i in range(first, first + count)
    )


class Exports(Case):
    def export(self, form, *args, out=None, **kwargs):
        out = out or self.path("out." + form)
        self.run_ok("export", "--format", form, "--out", out, *args, **kwargs)
        return self.content(form, out)

    def content(self, form, path):
        """Bytes; of SQLite the rows of every table and view, without the time of the export."""
        if form != "sqlite":
            with open(path, "rb") as file:
                return file.read()
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        names = db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
        tables = [name for kind, name, _ in names if kind != "index" and not name.startswith("sqlite_")]
        rows = {name: db.execute(f'SELECT * FROM "{name}" ORDER BY 1, 2').fetchall() for name in tables
                if name.count('"') == 0}
        rows["meta"] = [row for row in rows["meta"] if row[0] != "exported"]
        db.close()
        return names, rows

    def assertNoLeftover(self):
        self.assertEqual([name for name in os.listdir(self.folder) if name.endswith(".tmp")], [])


class AsOfOneSeq(Exports):
    def test_writers_at_work_change_nothing(self):
        self.run_ok("save", "--batch", "-", input=lines(COUNT))
        at = str(COUNT - 7)
        first = {form: self.export(form, "--at", at) for form in FORMATS}
        stop = threading.Event()

        def write(number):
            i = 0
            while not stop.is_set():
                i += 1
                self.run_ok("save", "--run-id", f"r{i % 50}", "--stage", "final", "-",
                            input=json.dumps({"n": f"text {number} {i}", "new": {str(i): i}}))

        writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
        for writer in writers:
            writer.start()
        try:
            while self.head() < COUNT + 20:
                time.sleep(0.01)
            for form in FORMATS:
                self.assertEqual(self.export(form, "--at", at), first[form], form)
            for form in ("csv", "jsonl", "index"):
                self.assertEqual(self.run_ok("export", "--format", form, "--at", at).out_bytes, first[form])
            # without --at: as of the head when it began, whole
            report = self.run_ok("--json", "export", "--format", "jsonl", "--out", self.path("now")).json
            self.assertEqual(report["exported"], report["at"])
            self.assertGreater(report["at"], COUNT)
            with open(self.path("now"), "rb") as file:
                self.assertEqual([json.loads(line)["seq"] for line in file], list(range(1, report["at"] + 1)))
        finally:
            stop.set()
            for writer in writers:
                writer.join()

    def test_current_is_as_of_then(self):
        self.save("r", "s", {"n": 1})
        self.save("r", "s", {"n": 2})
        for at, wanted in (("1", [(1, 1)]), ("2", [(1, 0), (2, 1)])):
            _, rows = self.export("sqlite", "--at", at)
            self.assertEqual([(row[0], row[12]) for row in rows["snapshots"]], wanted)
            text = self.run_ok("export", "--format", "csv", "--at", at).out
            self.assertEqual([row["seq"] for row in csv.DictReader(io.StringIO(text))], [at])
            self.assertEqual(self.run_ok("export", "--format", "csv", "--until", at).out, text)

    def test_a_seq_that_is_not_there(self):
        self.save("r", "s", {})
        for form in FORMATS:
            out = self.write("kept", "kept")
            self.run_bad(NOT_FOUND, "export", "--format", form, "--at", "2", "--out", out, says=["seq 2", "one is 1"])
            with open(out, encoding="utf-8") as file:
                self.assertEqual(file.read(), "kept")
        self.run_bad(USAGE, "export", "--format", "csv", "--at", "x")
        self.assertNoLeftover()

    def test_nothing_and_one(self):
        empty = {form: self.export(form) for form in FORMATS}
        self.assertEqual((empty["jsonl"], empty["index"]), (b"", b"{}\n"))
        self.assertEqual(empty["sqlite"][1]["snapshots"], [])
        self.save("r", "s", {"x": 1})
        for form in FORMATS:
            for args in (("--at", "0"), ("--until", "0")):
                self.assertEqual(self.export(form, *args), empty[form], form)
            self.assertNotEqual(self.export(form), empty[form], form)
        self.assertEqual(self.export("sqlite")[1]["s"][0][7:], (1,))
        result = self.run_ok("export", "--format", "sqlite", "--stage", "absent", "--out", self.path("none.db"))
        self.assertEqual(result.out, "exported: 0\n")


class Filters(Exports):
    def setUp(self):
        super().setUp()
        self.save("a", "s", {"x": 1}, "--group", "g")
        self.save("b", "s", {"x": 2}, "--dim", "t=1", "--dim", "u=2")
        self.save("a", "t", {"y": 3}, "--dim", "t=1")
        self.save("a", "s", {"x": 4}, "--group", "h")

    def test_each(self):
        for args, every, current in (
            ((), [1, 2, 3, 4], [2, 3, 4]), (("--run-id", "a"), [1, 3, 4], [3, 4]),
            (("--stage", "s"), [1, 2, 4], [2, 4]),
            (("--group", "g"), [1], []), (("--dim", "t=1"), [2, 3], [2, 3]),
            (("--dim", "t=1", "--dim", "u=2"), [2], [2]), (("--since", "3"), [3, 4], [3, 4]),
            (("--until", "2"), [1, 2], [1, 2]), (("--since", "2", "--until", "3", "--stage", "s"), [2], [2]),
        ):
            jsonl = self.run_ok("export", "--format", "jsonl", *args).jsonl
            self.assertEqual([row["seq"] for row in jsonl], every, args)
            rows = csv.DictReader(io.StringIO(self.run_ok("export", "--format", "csv", *args).out))
            self.assertEqual([int(row["seq"]) for row in rows], current, args)
            self.assertEqual(len(self.run_ok("export", "--format", "index", *args).json), len(current), args)
            self.assertEqual([row[0] for row in self.export("sqlite", *args)[1]["snapshots"]], every, args)
            told = self.run_ok("export", "--format", "parquet", "--out", self.path("p"), *args).out
            self.assertEqual(told, f"exported: {len(every)}\n")


class Files(Exports):
    def test_where_sqlite_cannot_go(self):
        self.save("r", "s", {})
        for args in ((), ("--out", "-")):
            self.run_bad(USAGE, "export", "--format", "sqlite", *args, says="--out FILE")
        self.run_bad(FAILED, "export", "--format", "sqlite", "--out", "/dev/null", says="no regular file")
        for form in ("sqlite", "parquet"):
            self.run_bad(FAILED, "export", "--format", form, "--out", self.folder, says="folder")
            self.run_bad(FAILED, "export", "--format", form, "--out", self.path("no", "such"), says="No such file")
            self.run_bad(USAGE, "export", "--format", form, "--out", "", says="empty")
        self.run_bad(USAGE, "export", "--format", "csv", "--force", says="--out FILE")
        self.assertNoLeftover()

    def test_a_build_without_sqlite(self):
        self.program = os.environ.get("HOLDFAST_NOSQLITE") or os.path.join(os.path.dirname(HOLDFAST), "tests",
                                                                           "holdfast-nosqlite")
        out = self.path("x")
        self.run_bad(USAGE, "export", "--format", "sqlite", "--out", out, says=["without SQLite", "libsqlite3-dev"])
        self.assertFalse(os.path.exists(out))
        self.run_ok("export", "--format", "parquet", "--out", out)

    def test_a_database_that_is_in_use(self):
        self.save("r", "s", {"x": 1})
        out = self.path("runs.db")
        self.export("sqlite", out=out)
        db = sqlite3.connect(out)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE mine(x)")
        db.commit()
        self.run_bad(FAILED, "export", "--format", "sqlite", "--out", out, says=[out + "-wal", "close it"])
        self.assertEqual(db.execute("SELECT count(*) FROM mine").fetchone(), (0,))
        db.close()
        _, rows = self.export("sqlite", out=out)
        self.assertNotIn("mine", rows)

    def test_parquet_through_a_pipe(self):
        self.run_ok("save", "--batch", "-", input=lines(200))
        self.assertEqual(self.run_ok("export", "--format", "parquet").out_bytes, self.export("parquet"))

    def test_a_reader_that_goes_away(self):
        self.run_ok("save", "--batch", "-", input=lines(COUNT))
        for form in STREAMS:
            process = self.popen("export", "--format", form, stdout=subprocess.PIPE)
            process.stdout.read(10)
            process.stdout.close()
            err = process.stderr.read().decode()
            process.stderr.close()
            process.stdin.close()
            if process.wait(60) == DONE:  # all of it was in the pipe
                self.assertEqual(err, "")
                continue
            self.assertEqual(process.returncode, FAILED, err)
            self.assertRegex(err, r"\Aholdfast: export: standard output: .*Broken pipe\n\Z")

    def test_stopped_and_killed(self):
        self.run_ok("save", "--batch", "-", input=lines(COUNT * 4))
        for form in ("sqlite", "parquet", "jsonl"):
            out = self.write("out", "old")
            for number in (signal.SIGINT, signal.SIGKILL):
                process = self.popen("export", "--format", form, "--out", out)
                deadline = time.monotonic() + 30
                while not any(name.endswith(".tmp") for name in os.listdir(self.folder)):
                    self.assertLess(time.monotonic(), deadline)
                    self.assertIsNone(process.poll(), "it was too quick")
                process.send_signal(number)
                _, err = process.communicate(timeout=60)
                with open(out, encoding="utf-8") as file:
                    self.assertEqual(file.read(), "old", form)
                if number == signal.SIGINT:
                    self.assertEqual(process.returncode, FAILED)
                    self.assertIn(b"stopped by a signal", err)
                    self.assertNoLeftover()
                for name in os.listdir(self.folder):
                    if name.endswith(".tmp"):
                        os.remove(self.path(name))
            self.export(form, out=out)  # and again, to its end


class Damaged(Exports):
    mode = "publish"

    def setUp(self):
        super().setUp()
        for i in range(1, 5):
            self.save(f"r{i}", "s", {"n": i})
        for seq in (2, 3):
            with open(os.path.join(self.store, "log", "%020d.json" % seq), "rb+") as file:
                file.truncate(20)

    def test_told_and_counted(self):
        for form in FORMATS:
            out = self.write("out", "old")
            says = ["2 records", "%020d.json" % 2, "--force"]
            self.run_bad(FAILED, "export", "--format", form, "--out", out, says=says)
            with open(out, encoding="utf-8") as file:
                self.assertEqual(file.read(), "old")
            self.run_bad(FAILED, "export", "--format", form, "--out", out, "--force", says=says[:2])
            content = self.content(form, out)
            if form == "sqlite":
                self.assertEqual([row[0] for row in content[1]["snapshots"]], [1, 4])
            if form == "jsonl":
                self.assertEqual([json.loads(line)["seq"] for line in content.splitlines()], [1, 4])
            self.assertNoLeftover()
        result = self.run_any("export", "--format", "jsonl")
        self.assertEqual((result.status, len(result.jsonl)), (FAILED, 2))
        self.assertOneError(result, "2 records are left out, all others are written")


if __name__ == "__main__":
    main()
