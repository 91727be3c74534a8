"""list and history: what they choose, and their three formats."""

import csv
import io
import json
import os
import unicodedata

from support import FAILED, NOT_FOUND, Case, main

MEMBERS = (
    "seq op id run_id stage dims group ts at host pid sha256 size current legacy_seq legacy_clock retired dropped"
).split()


class Choice(Case):
    def setUp(self):
        super().setUp()
        self.save("a", "s", {"n": 1}, "--group", "g")
        self.save("b", "s", {"n": 2}, "--group", "g", "--dim", "t=x", "--dim", "u=y")
        self.save("a", "s", {"n": 3}, "--group", "h")
        self.save("a", "z", {"n": 4})
        self.save("b", "s", {"n": 5}, "--dim", "t=x")

    def seqs(self, *args):
        return [record["seq"] for record in self.records(*args)]

    def test_current_revisions_in_seq_order(self):
        self.assertEqual(self.seqs(), [2, 3, 4, 5])
        self.assertEqual(self.seqs("--reverse"), [5, 4, 3, 2])
        self.assertEqual(self.seqs("--all-revisions"), [1, 2, 3, 4, 5])
        self.assertEqual(self.seqs("--all-revisions", "--reverse"), [5, 4, 3, 2, 1])

    def test_filters(self):
        self.assertEqual(self.seqs("--run-id", "a"), [3, 4])
        self.assertEqual(self.seqs("--run-id", "a", "--all-revisions"), [1, 3, 4])
        self.assertEqual(self.seqs("--stage", "z"), [4])
        self.assertEqual(self.seqs("--group", "g"), [2])
        self.assertEqual(self.seqs("--group", "g", "--all-revisions"), [1, 2])
        self.assertEqual(self.seqs("--dim", "t=x"), [2, 5])
        self.assertEqual(self.seqs("--dim", "u=y", "--dim", "t=x"), [2])
        self.assertEqual(self.seqs("--dim", "t=y"), [])
        self.assertEqual(self.seqs("--run-id", "nobody"), [])

    def test_ranges(self):
        self.assertEqual(self.seqs("--since", "4"), [4, 5])
        self.assertEqual(self.seqs("--until", "2"), [1, 2])
        self.assertEqual(self.seqs("--since", "2", "--until", "3"), [2, 3])
        self.assertEqual(self.seqs("--limit", "2"), [2, 3])
        self.assertEqual(self.seqs("--limit", "2", "--reverse"), [5, 4])
        self.assertEqual(self.seqs("--limit", "0"), [])
        self.assertEqual(self.seqs("--until", "0"), [])
        self.assertEqual(self.seqs("--since", "99"), [])
        self.assertEqual(self.seqs("--since", "18446744073709551615"), [])

    def test_other_records(self):
        ended = "01JGX2M8Q6T4ZV0C9K7W3R5YHB"
        self.run_any("resolve", ended)
        self.assertEqual(self.seqs("--all-revisions"), [1, 2, 3, 4, 5])
        records = self.records("--all-records")
        self.assertEqual([r["op"] for r in records], ["save"] * 5 + ["end"])
        self.assertEqual(records[-1]["run_id"], None)
        self.assertIn("end", self.run_ok("list", "--all-records").lines[-1].split())
        self.run_bad(NOT_FOUND, "get", "--seq", "6", says='"end"')
        meta = self.run_ok("get", "--seq", "6", "--meta").json
        self.assertEqual((meta["seq"], meta["op"]), (6, "end"))
        self.assertIn(ended, json.dumps(meta))

    def test_history(self):
        def history(*args):
            return [r["seq"] for r in self.run_ok("--json", "history", *args).jsonl]

        self.assertEqual(history("--run-id", "a", "--stage", "s"), [1, 3])
        key = ("--run-id", "b", "--stage", "s", "--dim", "t=x")
        self.assertEqual(history(*key), [5])
        self.assertEqual(history(*key, "--dim", "u=y"), [2])
        for form in ("table", "csv", "jsonl"):
            self.run_bad(NOT_FOUND, "history", "--run-id", "b", "--stage", "s", "--format", form,
                         says='there is no snapshot of run "b", stage "s"')
        lines = self.run_ok("history", "--run-id", "a", "--stage", "s").lines
        self.assertEqual([line.split()[-1] for line in lines], ["current", "no", "yes"])


class Formats(Case):
    ODD = (
        "plain", "wide 日本語 run", "combining e\u0301", "emoji 😀", 'quote " and , comma',
        " blanks ", "C1 \x85 and bidi \u202e end", "back\\slash", "ελληνικά:/ x",
    )

    def setUp(self):
        super().setUp()
        for run_id in self.ODD:
            self.save(run_id, "s,t", {"a": 1}, "--dim", "d,e=f=g", "--dim", 'q="x"')

    def test_jsonl(self):
        text = self.run_ok("list", "--format", "jsonl").out_bytes
        self.assertEqual(text, self.run_ok("--json", "list").out_bytes)
        records = [json.loads(line) for line in text.split(b"\n")[:-1]]
        self.assertEqual([r["run_id"] for r in records], list(self.ODD))
        for record in records:
            self.assertEqual(list(record), MEMBERS)
            self.assertEqual(record["dims"], {"d,e": "f=g", "q": '"x"'})
            self.assertIs(record["current"], True)

    def test_csv(self):
        text = self.run_ok("list", "--format", "csv").out_bytes
        self.assertEqual(text.count(b"\r\n"), len(self.ODD) + 1)
        self.assertNotIn(b"\n", text.replace(b"\r\n", b""))
        rows = list(csv.reader(io.StringIO(text.decode(), newline=""), strict=True))
        self.assertEqual(rows[0], MEMBERS[:14])
        self.assertEqual([row[3] for row in rows[1:]], list(self.ODD))
        for row in rows[1:]:
            self.assertEqual(len(row), len(rows[0]))
            self.assertEqual(row[4], "s,t")
            self.assertEqual(json.loads(row[5]), {"d,e": "f=g", "q": '"x"'})
            self.assertEqual(row[6], "")

    @staticmethod
    def columns(text):
        wide = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
        return wide - sum(1 for c in text if unicodedata.combining(c))

    def test_table(self):
        text = self.run_ok("list").out
        for bad in ("\x85", "\u202e", "\x1b"):
            self.assertNotIn(bad, text)
        lines = text.split("\n")[:-1]
        self.assertEqual(len(lines), len(self.ODD) + 1)
        self.assertEqual(lines[0].split(), "seq run_id stage dims group ts at".split())
        at = self.columns(lines[0][: lines[0].index("stage")])
        for line in lines[1:]:
            self.assertFalse(line.endswith(" "))
            before, _, _ = line.partition("s,t")
            self.assertEqual(self.columns(before), at, line)

    def test_long_tables(self):
        text = "".join(
            '{"run_id":"%s","stage":"s","doc":{"i":%d}}\n' % ("r" * (i % 7 + 1) + str(i), i)
            for i in range(1000)
        )
        self.run_ok("save", "--batch", "-", input=text)
        lines = self.run_ok("list").lines
        self.assertEqual(len(lines), 1 + len(self.ODD) + 1000)
        self.assertEqual(
            [int(line.split()[0]) for line in lines[1:]], list(range(1, 1001 + len(self.ODD)))
        )

    def test_an_empty_store(self):
        empty = self.path("empty")
        self.run_ok("init", empty, "--locker", "flock", "--force", store=None)
        heading = "seq  run_id  stage  dims  group  ts  at\n"
        self.assertEqual(self.run_ok("list", store=empty).out, heading)
        self.assertEqual(self.run_ok("--json", "list", store=empty).out, "")
        self.assertEqual(len(self.run_ok("list", "--format", "csv", store=empty).lines), 1)

    def test_groups(self):
        self.save("g1", "s", {"comparison_group": {"b": 1, "a": [1.0]}})
        self.save("g2", "s", {"comparison_group": {"a": [1], "b": 1.0}})
        self.save("g3", "s", {}, "--group", "a long group with words, none of them a digest")
        one, two, three = self.records("--since", str(len(self.ODD) + 1))
        self.assertEqual(one["group"], two["group"])
        self.assertRegex(one["group"], "^[0-9a-f]{64}$")
        table = self.run_ok("list", "--since", str(len(self.ODD) + 1)).out
        self.assertIn(one["group"][:12], table)
        self.assertNotIn(one["group"][:13], table)
        self.assertIn("a long group wi…", table)


class Damage(Case):
    mode = "publish"

    def test_a_damaged_record_is_told_and_the_list_goes_on(self):
        for i in range(1, 6):
            self.save(f"run{i}", "s", {"i": i})
        log = os.path.join(self.store, "log", "%020d.json" % 3)
        with open(log, "rb+") as f:
            content = f.read()
            at = content.index(b'"run3"') + 2
            f.seek(at)
            f.write(bytes([content[at] ^ 0x10]))
        for args in (("--json", "list"), ("list", "--format", "csv"), ("list",)):
            result = self.run_any(*args, "--quiet")
            self.assertEqual(result.status, FAILED, result)
            self.assertOneError(result, ["warning", "3"])
            self.assertEqual([n for n in range(1, 6) if f"run{n}" in result.out], [1, 2, 4, 5])
        self.run_bad(FAILED, "get", "--seq", "3")
        self.assertEqual(self.run_ok("get", "--seq", "4").json, {"i": 4})
        self.assertEqual(self.head(), 5)
        save = ("save", "--run-id", "run6", "--stage", "s", "-")
        self.run_bad(FAILED, *save, input="{}", says="verify --repair")


if __name__ == "__main__":
    main()
