#!/usr/bin/env python3
"""10,000 snapshots with odd values, exported to Parquet and SQLite: hyparquet, DuckDB, Python's sqlite3 and the program
sqlite3 give back exactly the rows that the JSON lines of the same store hold."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "cli")]

import model  # noqa: E402
from support import TREE, Case, main  # noqa: E402

READERS = os.path.join(TREE, "build", "readers")
COUNT = 10000
BIG = 1_000_000
STAGES = ["train", "final", "Train", "snapshots", "sqlite_x", "values_1", 'a "b" \'c\'', "\U0001F680 run", "wide"]
NUMBERS = ("9007199254740993 9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 "
           "1e400 -1e400 5e-324 4.9406564584124654e-324 1e-400 0.10 100.0 1e2 1E+2 -0 -0.0 0.0e7 "
           "0.30000000000000004 0.1000000000000000055511151231257827 123456789012345678 12345678901234567.0 "
           "1.7976931348623157e308 1.7976931348623159e308 10000000000000000000000 0.000001 1e22 1e23 "
           "2.2250738585072014E-308 0.100000000000000006 1.23456789e-320 1e309").split()
TEXTS = ["", "x", "\u00e9\U0001F600", "a\0b", "007", "1e400", "line\nbreak\ttab", '"quoted"', "\u2028", "null", "0x1F",
         "mid\ufeffdle", " blank ", "a" * 3000]
RAW_TEXTS = ['"\\ud800"', '"x\\udfffy"', '"\\u0041\\/"']


def odd_document(rng, i):
    """As a text: numbers must stay as they are written."""
    name = json.dumps
    parts = [f'"n":{i}', f'"half":{i}.5', f'"tenth":{rng.random()!r}', f'"flag":{rng.choice(["true", "false"])}',
             f'"metrics":{{"auc":{rng.random():.6f},"Auc":{i},"deep":{{"er":{{"est":{rng.choice(NUMBERS)}}}}}}}',
             f'"any":{rng.choice(NUMBERS + [name(t) for t in TEXTS] + RAW_TEXTS + ["null", "true", "[1]", "{}"])}',
             f'"number":{rng.choice(NUMBERS)}', f'"text":{name(rng.choice(TEXTS), ensure_ascii=False)}',
             f'"escaped":{rng.choice(RAW_TEXTS)}', '"list":[1,{"x":2}]', '"nothing":null', '"empty":{}',
             f'"whole":{rng.choice(["1", "2.5", "300", "9007199254740992"])}',
             f'"lost":{rng.choice(["1", "2.5", "9007199254740993"])}']
    if i % 3 == 0:
        parts += [f'"":{i}', '"a/b":1', '"~":"t"', '"\u00fcber \U0001F600":2', '"q\\"uote":3', '"a b\\nc":false',
                  '"nul\\u0000":1', '"\\ud800half":1', '"' + "long" * 150 + '":1']
    if i % 7 == 0:
        parts += [f'"twice":{i}', '"twice":"last"', '"metrics":{"auc":1,"other":"later"}',
                  '"\\u0074ext":"escaped name"']
    rng.shuffle(parts)
    return "{" + ",".join(parts) + "}"


def wide_document(i):
    return "{" + ",".join(f'"w{(i * 37 + k) % 700}":{k}' for k in range(90)) + ',"always":1}'


def batch(count):
    rng = random.Random(20240607)
    lines = []
    for i in range(count):
        stage = "wide" if i % 50 == 0 else rng.choice(STAGES[:-1])
        doc = wide_document(i) if stage == "wide" else odd_document(rng, i)
        if i % (count // 16) == 10:
            doc = '{"big":"' + "\u00e9" * (BIG // 2) + f'","n":{i}}}'
        run_id = "run " + str(i % (count * 9 // 10))
        member = [f'"run_id":{json.dumps(run_id)}', f'"stage":{json.dumps(stage)}', f'"doc":{doc}']
        if i % 4 == 0:
            member.append('"group":' + json.dumps(rng.choice(["g", "a, \"b\"", "\U0001F600"])))
        if i % 5 == 0:
            member.append('"dims":' + json.dumps({"target": rng.choice(["y", "\u00e9 \"q\" \\"]), "view": ""}))
        if i % 6 == 0:
            member.append('"timestamp":""')
        lines.append("{" + ",".join(member) + "}")
    return "\n".join(lines) + "\n"


class Readers(Case):
    @classmethod
    def setUpClass(cls):
        subprocess.run([os.path.join(HERE, "install"), READERS], check=True)
        cls.lines = batch(COUNT)

    def setUp(self):
        super().setUp()
        self.run_ok("save", "--batch", "-", input=self.lines)
        self.snapshots = model.snapshots(self.run_ok("export", "--format", "jsonl").out_bytes)
        self.assertEqual(len(self.snapshots), COUNT)

    def read(self, which, path):
        done = subprocess.run(["node", os.path.join(READERS, "read.mjs"), which, path], capture_output=True,
                              timeout=150, check=False)
        self.assertEqual(done.returncode, 0, done.stderr.decode()[-2000:])
        head, *rows = done.stdout.split(b"\n")[:-1]
        return json.loads(head), [json.loads(row) for row in rows]

    def check_parquet(self, path, snapshots):
        sheet = model.Sheet(snapshots)
        for which in ("hyparquet", "duckdb"):
            head, rows = self.read(which, path)
            self.assertEqual(head["names"], model.ENVELOPE + [column.name for column in sheet.columns], which)
            types = dict(zip(head["names"], head["types"]))
            named = {"boolean": "BOOLEAN", "integer": ("INT64", "BIGINT"), "real": "DOUBLE",
                     "text": ("BYTE_ARRAY", "VARCHAR")}
            for column in sheet.columns:
                self.assertIn(types[column.name], named[column.type], column.pointer)
            self.assertEqual(head["about"]["holdfast.store"], self.manifest()["uuid"])
            self.assertEqual(head["about"]["holdfast.at"], str(COUNT))
            self.assertEqual(sum(group[0] for group in head["groups"]), len(snapshots))
            self.assertEqual((head["groups"][0][1], head["groups"][-1][2]), (snapshots[0].seq, snapshots[-1].seq))
            self.assertEqual(len(rows), len(snapshots), which)
            for snapshot, row in zip(snapshots, rows):
                envelope = row[:len(model.ENVELOPE)]
                envelope[3] = json.loads(envelope[3])
                self.assertEqual(envelope, snapshot.envelope(), which)
                wanted = [column.cell(snapshot.leaves.get(column.pointer)) for column in sheet.columns]
                self.assertEqual(row[len(model.ENVELOPE):], wanted, (which, snapshot.seq))
        return head["groups"]

    def check_all_of_parquet(self):
        path = self.path("all.parquet")
        result = self.run_ok("export", "--format", "parquet", "--out", path)
        self.assertEqual(result.out, f"exported: {COUNT}\n")
        self.assertIn("have no column of their own", result.err)
        self.assertGreater(len(self.check_parquet(path, self.snapshots)), 1, "more than one row group")
        path = self.path("one.parquet")
        for stage in ("train", "wide"):
            self.run_ok("export", "--format", "parquet", "--stage", stage, "--out", path)
            self.check_parquet(path, [snapshot for snapshot in self.snapshots if snapshot.stage == stage])

    def sqlite_envelope(self, row):
        row = list(row)
        row[3] = json.loads(row[3])
        return row

    def check_views(self, db):
        views = dict(db.execute('SELECT stage, "view" FROM stages'))
        self.assertEqual(sorted(views), sorted(STAGES))
        self.assertEqual(views, {**{stage: stage for stage in STAGES}, **self.borrowed(views)})
        for stage, view in views.items():
            sheet = model.Sheet([snapshot for snapshot in self.snapshots if snapshot.stage == stage])
            quoted = '"' + view.replace('"', '""') + '"'
            cursor = db.execute(f"SELECT * FROM {quoted} ORDER BY seq")
            names = [one[0] for one in cursor.description]
            self.assertEqual(names, ["seq", "run_id", "dims", "group", "ts", "at", "current"]
                             + [column.name for column in sheet.columns])
            rows = cursor.fetchall()
            self.assertEqual(len(rows), len(sheet.snapshots))
            for snapshot, row in zip(sheet.snapshots, rows):
                self.assertEqual((row[0], row[1], row[6]), (snapshot.seq, snapshot.record["run_id"], snapshot.current))
                wanted = [column.sqlite_cell(snapshot.leaves.get(column.pointer)) for column in sheet.columns]
                self.assertEqual([(type(value), value) for value in row[7:]],
                                 [(type(value), value) for value in wanted])
            told = db.execute('SELECT pointer, "column", snapshots FROM columns WHERE "view" = ?', [view]).fetchall()
            self.assertEqual(sorted(told), sorted((c.pointer, c.name, c.count) for c in sheet.columns))

    def borrowed(self, views):
        """The views that cannot have the name of their stage."""
        first = min((s for s in self.snapshots if s.stage in ("train", "Train")), key=lambda s: s.seq).stage
        other = "Train" if first == "train" else "train"
        return {"snapshots": "snapshots (2)", "values_1": "values_1 (2)", "sqlite_x": "stage sqlite_x",
                other: other + " (2)"}

    def check_all_of_sqlite(self):
        path = self.path("all.db")
        self.run_ok("export", "--format", "sqlite", "--out", path)
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self.assertEqual(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        meta = dict(db.execute("SELECT name, value FROM meta"))
        self.assertEqual((meta["store"], meta["at"]), (self.manifest()["uuid"], str(COUNT)))
        rows = db.execute("SELECT * FROM snapshots ORDER BY seq").fetchall()
        self.assertEqual(len(rows), COUNT)
        for snapshot, row in zip(self.snapshots, rows):
            wanted = [int(cell[1]) if isinstance(cell, list) else cell for cell in snapshot.envelope()]
            self.assertEqual(self.sqlite_envelope(row), wanted)
        self.check_views(db)
        db.close()
        asked = subprocess.run(["sqlite3", "-readonly", path, "SELECT seq, current, hex(run_id), hex(stage), hex(doc) "
                                "FROM snapshots ORDER BY seq"], capture_output=True, check=True, timeout=60)
        told = "".join("|".join([str(s.seq), str(int(s.current)), *(t.encode().hex().upper() for t in
                                 (s.record["run_id"], s.stage, s.doc_text))]) + "\n" for s in self.snapshots)
        self.assertEqual(asked.stdout.decode(), told)

    def test_every_reader(self):
        self.check_all_of_parquet()
        self.check_all_of_sqlite()


if __name__ == "__main__":
    if shutil.which("node") is None or shutil.which("sqlite3") is None:
        sys.exit("there is no node, or no sqlite3: scripts/install-packages test brings them")
    main()
