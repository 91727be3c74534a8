"""list --where, --columns, --sort, times, hosts, and groups: what they choose, and what they refuse."""

import csv
import io
import json
import os
import subprocess

from support import DONE, FAILED, USAGE, Case, main

BIG = 70 * 1024  # a document that is a blob


class Where(Case):
    def setUp(self):
        super().setUp()
        self.save("a", "s", '{"n":0.10,"o":{"x":1}}', "--group", "g", "--timestamp", "2026-01-02T03:04:05Z")
        self.save("b", "s", '{"n":2,"o":{"x":"1"},"a b":true}', "--dim", "v=x", "--timestamp", "2026-01-02T03:04:05")
        big = '{"n":3e400,"big":"' + "x" * BIG + '","z":null}'
        self.save("b", "t", big, "--timestamp", "2026-01-02T03:04:05-01:00")
        self.save("a", "s", '{"n":"0.1","o":[]}', "--group", "g", "--timestamp", "2026-01-03")

    def seqs(self, *args):
        return [line["seq"] for line in self.run_ok("list", "--format", "jsonl", "--columns", "seq", *args).jsonl]

    def where(self, *expressions):
        return self.seqs(*[word for one in expressions for word in ("--where", one)])

    def test_choice(self):
        self.assertEqual(self.where("/n == 2"), [2])
        self.assertEqual(self.where("/n > 1"), [2, 3])
        self.assertEqual(self.where("/n == 1e-1"), [])  # the revision that has it is an older one
        self.assertEqual(self.seqs("--all-revisions", "--where", "/n == 1e-1"), [1])
        self.assertEqual(self.seqs("--until", "3", "--where", "/n == 1e-1"), [1])
        self.assertEqual(self.where("/o/x == \"1\" or exists /z"), [2, 3])
        self.assertEqual(self.where("/n > 1", "stage == \"t\""), [3])
        self.assertEqual(self.where("not exists group"), [2, 3])
        self.assertEqual(self.where("current == false"), [])
        self.assertEqual(self.seqs("--all-revisions", "--where", "current == false"), [1])

    def test_it_counts_what_matches(self):
        for i in range(20):
            self.save(f"r{i}", "more", {"i": i})
        self.assertEqual(self.seqs("--where", "/i >= 10", "--limit", "3"), [15, 16, 17])
        self.assertEqual(self.seqs("--where", "/i >= 10", "--limit", "3", "--reverse"), [24, 23, 22])
        self.assertEqual(self.seqs("--where", "/i >= 10", "--since", "20", "--limit", "1"), [20])
        self.assertEqual(self.seqs("--where", "/i >= 10", "--sort", "/i:desc", "--limit", "2"), [24, 23])

    def test_other_records_have_no_values(self):
        self.run_any("resolve", "01JGX2M8Q6T4ZV0C9K7W3R5YHB")
        self.assertEqual(self.seqs("--all-records", "--where", "not exists run_id"), [5])
        self.assertEqual(self.seqs("--all-records", "--where", 'op != "save"'), [5])
        self.assertEqual(self.seqs("--all-records", "--where", "not exists /n"), [5])

    def test_a_blob_is_read_only_where_it_matters(self):
        self.assertEqual(self.where("/n > 1e399"), [3])
        blobs = os.path.join(self.store, "blob")
        for place, _, files in os.walk(blobs):
            for name in files:
                os.unlink(os.path.join(place, name))
        self.assertEqual(self.where('stage == "s" and /n == 2'), [2])  # from left to right
        self.assertEqual(self.where('stage == "t" or /n == 2'), [2, 3])
        result = self.run_any("list", "--where", "/n > 1", "--columns", "seq", "--quiet")
        self.assertEqual(result.status, FAILED, result)
        self.assertOneError(result, "warning")
        self.assertEqual(result.lines[1:], ["  2"])

    def test_times(self):
        self.assertEqual(self.seqs("--after", "2026-01-02T03:04:05Z"), [2, 3, 4])
        self.assertEqual(self.seqs("--after", "2026-01-02T03:04:05.000001Z"), [3, 4])
        self.assertEqual(self.seqs("--before", "2026-01-02T03:04:05Z"), [])
        self.assertEqual(self.seqs("--before", "2026-01-02 04:04:05+00:00"), [2])
        self.assertEqual(self.seqs("--before", "2026-01-02T05:04:06+01:00"), [2, 3])
        self.assertEqual(self.seqs("--after", "2026-01-02T04:00", "--before", "2026-01-03"), [3])
        self.assertEqual(self.where('time >= "2026-01-03"'), [4])
        self.save("now", "s", {}, "--timestamp", "")  # it has none: when it was saved
        self.assertEqual(self.seqs("--after", "2026-06-01"), [5])
        self.assertEqual(self.where("not exists ts"), [5])
        for option in ("--after", "--before"):
            for bad in ("", "yesterday", "2026-13-01", "2026-01-02T25:00", "1767322800"):
                self.run_bad(USAGE, "list", option, bad, says=[option, "timestamp"])

    def test_hosts(self):
        host = self.records()[0]["host"]
        self.assertEqual(self.seqs("--host", host), [2, 3, 4])
        self.assertEqual(self.seqs("--host", host + "x"), [])
        self.assertEqual(self.where(f"host == {json.dumps(host)}"), [2, 3, 4])

    def test_errors_point_at_their_place(self):
        for bad, column, says in (
            ("", 1, "ends"), ("/n >", 5, "ends"), ("/n = 2", 4, "=="), ("n == 2", 1, "found n"),
            ("/n == x", 7, "quotation"),
            ("(/n == 2", 9, "parenthesis"), ("/n == 2)", 8, "closes none"), ('/n == "x', 7, "closing quotation mark"),
            ("/größe == ö", 11, "found ö"), ("/n == 2\n/n", 9, "and"), ("(" * 101 + "/n", 101, "parentheses"),
            ('time > "soon"', 8, "timestamp"),
        ):
            self.run_bad(USAGE, "list", "--where", bad, says=[f"--where: column {column}: ", says])
        self.run_bad(USAGE, "list", "--where", "/n == 1", "--where", "/n", says="--where 2: column 3: ")
        self.run_bad(USAGE, "list", "--where", "/" + "x" * 70000, says="65536")
        self.run_bad(USAGE, "list", "--where", b"/\xff == 1", says="UTF-8")
        self.run_bad(USAGE, "list", *["--where", "/n == 1"] * 33, says="32")
        self.run_bad(USAGE, "groups", "--where", "/n ==", says="column 6")

    def test_errors_come_before_the_store_is_looked_for(self):
        self.run_bad(USAGE, "list", "--where", "/n ==", store=self.path("nowhere"), says="column 6")

    def test_what_is_not_a_column(self):
        for bad in ("", ",", "seq,", "seq,,run_id", "nobody", "/a b", "/a~2", "seq run_id", '"seq"', "5", "dims."):
            self.run_bad(USAGE, "list", "--columns", bad, says="--columns")
        self.run_bad(USAGE, "list", "--columns", "seq,/n,seq", says="twice")
        self.run_bad(USAGE, "list", "--columns", ",".join(f"/{i}" for i in range(33)), says="32")
        for bad in ("", ":desc", "nobody", "/a b", "seq,run_id", "seq:up"):
            self.run_bad(USAGE, "list", "--sort", bad, says="--sort")
        self.run_bad(USAGE, "list", "--sort", "seq:up", says=['--sort: ":up" is neither', ":desc"])

    def test_columns(self):
        columns = ("--columns", 'seq, /n ,@"/a b",/o,dims.v,/z')
        rows = [json.loads(line, parse_float=str) for line in self.run_ok("list", "--json", *columns).lines]
        self.assertEqual([row["/n"] for row in rows], [2, "3e400", "0.1"])
        self.assertEqual(list(rows[0]), ["seq", "/n", "/a b", "/o", "dims.v", "/z"])
        self.assertEqual(rows[0], {"seq": 2, "/n": 2, "/a b": True, "/o": {"x": "1"}, "dims.v": "x", "/z": None})
        text = self.run_ok("list", "--format", "csv", *columns).out_bytes.decode()
        table = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        self.assertEqual(table[1], ["2", "2", "true", '{"x":"1"}', "x", ""])
        self.assertEqual(table[2], ["3", "3e400", "", "", "", "null"])
        self.assertEqual(table[3], ["4", "0.1", "", "[]", "", ""])
        lines = self.run_ok("list", "--columns", 'stage,/o/x,@"/a b",/none').out.split("\n")
        self.assertEqual(lines[:3], ["stage  /o/x  /a b  /none", "s         1  true", "t"])
        history = self.run_ok("history", "--run-id", "a", "--stage", "s", "--columns", "seq,/n").lines
        self.assertEqual([line.split() for line in history], [["seq", "/n"], ["1", "0.10"], ["4", "0.1"]])

    def test_sort(self):
        self.assertEqual(self.seqs("--sort", "/n"), [2, 3, 4])  # numbers, then texts
        self.assertEqual(self.seqs("--sort", "/n:desc"), [4, 3, 2])
        self.assertEqual(self.seqs("--sort", "/z"), [2, 3, 4])  # null is as absent
        self.assertEqual(self.seqs("--sort", '@"/a b":desc'), [2, 3, 4])
        self.assertEqual(self.seqs("--sort", "time"), [2, 3, 4])
        self.assertEqual(self.seqs("--sort", "time:desc", "--limit", "1"), [4])
        self.assertEqual(self.seqs("--sort", "/none", "--reverse"), [4, 3, 2])  # equal ones stay in their order
        self.assertEqual(self.seqs("--sort", "/n", "--limit", "0"), [])

    def test_a_closed_pipe_ends_it(self):
        process = self.popen("list", "--sort", "/n", stdout=subprocess.PIPE)
        process.stdout.close()
        self.assertIn(process.wait(60), (FAILED, -13, DONE))
        process.stderr.close()
        process.stdin.close()


class Sorting(Case):
    def test_many(self):
        lines = "".join(json.dumps({"run_id": f"r{i}", "stage": "s", "doc": {"v": i * 7919 % 10007}}) + "\n"
                        for i in range(5000))
        self.run_ok("save", "--batch", "-", input=lines)
        values = sorted((i * 7919 % 10007, i + 1) for i in range(5000))
        for limit in (1, 7, 1023, 2000):
            shown = self.run_ok("list", "--json", "--columns", "/v,seq", "--sort", "/v", "--limit", str(limit)).jsonl
            self.assertEqual([(row["/v"], row["seq"]) for row in shown], values[:limit])
        shown = self.run_ok("list", "--json", "--columns", "/v,seq", "--sort", "/v:desc").jsonl
        self.assertEqual([(row["/v"], row["seq"]) for row in shown], values[::-1])


class Groups(Case):
    def setUp(self):
        super().setUp()
        day = "2026-01-0{}T00:00:00Z"
        self.save("a", "s", {"n": 1}, "--group", "g", "--timestamp", day.format(1))
        self.save("b", "s", {"n": 2}, "--group", "g", "--timestamp", day.format(2))
        self.save("a", "s", {"n": 3}, "--group", "g", "--timestamp", day.format(3))
        self.save("a", "s", {"n": 4}, "--group", "g", "--dim", "v=x")
        self.save("a", "t", {"n": 5}, "--group", "g,\"h\"")
        self.save("a", "u", {"n": 6})
        self.save("c", "t", {"n": 7, "comparison_group": {"a": 1}})

    def short(self, *args):
        return [(g["group"][:5], g["stage"], g["count"], g["runs"], g["first_seq"], g["last_seq"])
                for g in self.run_ok("groups", "--json", *args).jsonl]

    def test_choice(self):
        digest = self.records("--run-id", "c")[0]["group"]
        self.assertEqual(self.short(), [("g", "s", 3, 2, 1, 3), ("g", "s", 1, 1, 4, 4), ('g,"h"', "t", 1, 1, 5, 5),
                                        (digest[:5], "t", 1, 1, 7, 7)])
        self.assertEqual(self.short("--run-id", "a", "--group", "g"), [("g", "s", 2, 1, 1, 3), ("g", "s", 1, 1, 4, 4)])
        self.assertEqual(self.short("--dim", "v=x"), [("g", "s", 1, 1, 4, 4)])
        self.assertEqual(self.short("--until", "2"), [("g", "s", 2, 2, 1, 2)])
        self.assertEqual(self.short("--until", "0"), [])
        self.assertEqual(self.short("--where", "/n == 2"), [("g", "s", 1, 1, 2, 2)])
        self.assertEqual(self.short("--after", "2026-01-02", "--before", "2026-01-03"), [("g", "s", 1, 1, 2, 2)])
        first = self.run_ok("groups", "--json").jsonl[0]
        self.assertEqual((first["first_time"], first["last_time"]), ("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"))

    def test_formats(self):
        text = self.run_ok("groups", "--format", "csv").out_bytes.decode()
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        self.assertEqual(rows[0][:6], ["group", "stage", "dims", "count", "runs", "first_seq"])
        self.assertEqual([row[:5] for row in rows[1:4]],
                         [["g", "s", "", "3", "2"], ["g", "s", '{"v":"x"}', "1", "1"], ['g,"h"', "t", "", "1", "1"]])
        lines = self.run_ok("groups").lines
        self.assertEqual(lines[0].split(), "group stage dims count runs first last last_time baseline".split())
        self.assertEqual(lines[2].split()[:4], ["g", "s", "v=x", "1"])
        self.run_bad(USAGE, "groups", "--json", "--format", "csv")

    def test_many_groups(self):
        keys = ({"run_id": f"r{i % 70}", "stage": "m", "group": f"g{i % 1100}"} for i in range(3300))
        lines = "".join(json.dumps({**key, "doc": {"i": i}}) + "\n" for i, key in enumerate(keys))
        self.run_ok("save", "--batch", "-", input=lines)
        shown = self.run_ok("groups", "--stage", "m", "--json").jsonl
        self.assertEqual(len(shown), 1100)
        for i, group in enumerate(shown):
            self.assertEqual((group["group"], group["count"]), (f"g{i}", 3))
            self.assertEqual(group["runs"], len({(i + 1100 * k) % 70 for k in range(3)}))


if __name__ == "__main__":
    main()
