#!/usr/bin/env python3
"""holdfast report: what stands in the page, beside what the other commands say. Its looks: test_report_browser."""

import base64
import hashlib
import html.parser
import json
import os
import random
import re
import signal
import subprocess
import time
import unittest

from support import DONE, FAILED, HOLDFAST, NOT_FOUND, TREE, USAGE, Case, as_other_user, main

SEQ, RUN, TS, AT, HOST, PREV, SEVERITY, VALUES, WORSE, CHANGES, LEFT = range(11)
LEVELS = ["none", "minor", "major", "critical"]
AUC = "/outputs/metrics/auc"
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--<script>", "-->", "]]>", "&lt;b&gt;&amp;", "\"'`><img src=x onerror=alert(1)>",
    "line\u2028separator\u2029", "\u202eesrever", "\u05d0\u05d1\u05d2 rtl",
    "\U0001f600\u200d\U0001f525", "\\u003c/script>",
    "</SCRIPT >", "__proto__", "a" * 512,
]


class Page(html.parser.HTMLParser):
    """The elements of the page, and what stands in its scripts and styles, as a browser's parser finds them."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts, self.at = [], {}, None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.at = (tag, dict(attrs).get("id"))

    def handle_data(self, data):
        if self.at and self.at[0] in ("script", "style", "title"):
            self.texts[self.at] = self.texts.get(self.at, "") + data

    def handle_endtag(self, tag):
        self.at = None


class ReportCase(Case):
    def report(self, *args, status=DONE, **kwargs):
        """The page, and the data in it."""
        out = self.path("report.html")
        result = self.run_any("report", "--out", out, *args, **kwargs)
        self.assertEqual(result.status, status, result)
        with open(out, encoding="utf-8") as file:
            self.text = file.read()
        self.page = Page(self.text)
        self.data = json.loads(self.page.texts["script", "data"])
        return self.data

    def rows(self, data):
        return {row[SEQ]: (row, group) for group in data["groups"] for row in group["r"]}


class Contents(ReportCase):
    def fill(self, count, seed=6):
        rng = random.Random(seed)
        batch = []
        for i in range(count):
            doc = {
                "inputs": {"features": ["a", "b", "c"][: rng.randrange(1, 4)], "rows": 1000},
                "process": {"model": {"learning_rate": rng.choice([0.1, 0.2]), "seed": i}},
                "outputs": {"metrics": {"auc": round(rng.random(), rng.randrange(1, 6)), "loss": rng.randrange(5)}},
            }
            if rng.random() < 0.1:
                del doc["outputs"]["metrics"]["auc"]
            line = {"run_id": f"run-{rng.randrange(count // 2)}", "stage": rng.choice(["TRAIN", "EVAL"]), "doc": doc}
            if rng.random() < 0.9:
                line["group"] = rng.choice(["g1", "g2"])
            if rng.random() < 0.5:
                line["dims"] = {"view": rng.choice(["x", "y"])}
            batch.append(line)
        text = "".join(json.dumps(line) + "\n" for line in batch)
        self.run_ok("save", "--batch", "-", input=text)

    def check_row(self, row, group, data):
        """One run's row is what prev, diff, get and baseline check say."""
        seq = row[SEQ]
        prev = self.run_any("prev", "--seq", str(seq), "--meta")
        self.assertEqual(row[PREV], json.loads(prev.out)["seq"] if prev.status == DONE else 0, row)
        doc = self.run_ok("get", "--seq", str(seq)).json
        for metric, pointer in enumerate(data["pointers"][at] for at in group["m"]):
            text = row[VALUES][metric] if metric < len(row[VALUES]) else None
            asked = self.run_any("get", "--seq", str(seq), "--pointer", pointer)
            self.assertEqual(text, asked.out.strip() if asked.status == DONE else None)
        if prev.status == DONE:
            diff = self.run_ok("diff", "--prev", str(seq), "--format", "json").json
            self.assertEqual(LEVELS[row[SEVERITY]], diff["severity"])
            self.assertEqual(len(row[CHANGES]) + row[LEFT], diff["changes"])
            told = {change["pointer"] for change in diff["differences"]}
            self.assertEqual({data["pointers"][change[0]] for change in row[CHANGES]}, told)
        else:
            self.assertEqual((prev.status, row[SEVERITY], row[CHANGES]), (NOT_FOUND, -1, []))
        worse = self.run_any("baseline", "check", str(seq), "--tolerance", "0.05").status == 7 and (
            "auc" in doc["outputs"]["metrics"])
        self.assertEqual(row[WORSE], int(worse), row)

    def test_it_says_what_the_other_commands_say(self):
        self.fill(80)
        for group in ("g1", "g2"):
            self.run_any("baseline", "establish", "--group", group, "--stage", "TRAIN", "--metric", AUC, "--goal",
                         "max",
                         "--min-runs", "3")
        data = self.report("--tolerance", "0.05")
        rows = self.rows(data)
        self.assertEqual(sorted(rows), [record["seq"] for record in self.records()])
        self.assertEqual((data["runs"], data["head"], data["damaged"]), (len(rows), self.head(), 0))
        self.assertEqual(len([1 for group in data["groups"] if group["b"]]), 2)
        self.assertGreater(len([1 for row, _ in rows.values() if row[WORSE]]), 3)
        for row, group in rows.values():
            record = self.run_ok("get", "--seq", str(row[SEQ]), "--meta").json
            self.assertEqual((record["run_id"], record["stage"], record.get("group"), dict(group["d"])),
                             (row[RUN], group["s"], group["g"], record.get("dims", {})))
            self.assertEqual((row[AT], data["hosts"][row[HOST]]), (record["at"], record["host"]))
            self.check_row(row, group, data)

    def test_filters_narrow_and_leave_the_previous_runs_what_they_are(self):
        self.fill(60)
        whole = self.rows(self.report())
        for args in (["--since", "30"], ["--stage", "EVAL"], ["--group", "g1"], ["--dim", "view=x"], ["--run-id",
                                                                                                      "run-3"],
                     ["--where", "/process/model/learning_rate == 0.1"], ["--host", "nowhere"], ["--before",
                                                                                                 "1999-01-01"]):
            with self.subTest(args=args):
                rows = self.rows(self.report(*args))
                self.assertEqual(sorted(rows), [record["seq"] for record in self.records(*args)])
                self.assertEqual(self.data["filters"], [" ".join(args)])
                for seq, (row, _) in rows.items():
                    self.assertEqual([row[PREV], row[SEVERITY]], [whole[seq][0][PREV], whole[seq][0][SEVERITY]])

    def test_as_of_a_seq(self):
        self.fill(40)
        data = self.report("--until", "25")
        self.assertEqual(sorted(self.rows(data)), [record["seq"] for record in self.records("--until", "25")])
        self.assertEqual(data["head"], 25)
        self.assertEqual(self.report("--until", "0")["groups"], [])

    def test_older_revisions_where_they_are_asked_for(self):
        for auc in (0.1, 0.2):
            self.save("a", "s", {"outputs": {"metrics": {"auc": auc}}}, "--group", "g")
        self.save("b", "s", {"outputs": {"metrics": {"auc": 0.3}}}, "--group", "g")
        self.save("a", "s", {"outputs": {"metrics": {"auc": 0.4}}}, "--group", "g")
        self.assertEqual(sorted(self.rows(self.report())), [3, 4])
        rows = self.rows(self.report("--all-revisions"))
        self.assertEqual({seq: row[PREV] for seq, (row, _) in rows.items()}, {1: 0, 2: 0, 3: 2, 4: 3})

    def test_numbers_stay_what_they_are(self):
        values = ["0.10", "9007199254740993", "1e400", "-0", "1e-400", "1" * 60]
        for i, value in enumerate(values):
            self.save(f"r{i}", "s", '{"outputs": {"metrics": {"m": %s}}}' % value, "--group", "g")
        shown = [row[VALUES][0] for row in self.report()["groups"][0]["r"]]
        self.assertEqual(shown, values[:5] + [[float("1" * 60), "1" * 40 + "\u2026"]])
        self.save("r7", "s", '{"outputs": {"metrics": {"m": 9007199254740993}}}', "--group", "g")
        self.save("r8", "s", '{"outputs": {"metrics": {"m": 9007199254740992}}}', "--group", "g")
        change = self.report()["groups"][0]["r"][-1][CHANGES][0]
        self.assertEqual(change[1:3] + change[4:], ["9007199254740993", "9007199254740992", "-1"])

    def test_which_numbers_are_drawn(self):
        self.save("a", "s", {"metrics": {"b": 2}, "outputs": {"c": 3, "list": [1, 2], "text": "4", "metrics": {"a": 1}},
                             "inputs": {"n": 5}}, "--group", "g")
        self.save("b", "s", {"outputs": {"later": {"deep": 6}}}, "--group", "g")
        data = self.report()
        self.assertEqual([data["pointers"][at] for at in data["groups"][0]["m"]],
                         ["/outputs/metrics/a", "/metrics/b", "/outputs/c", "/outputs/later/deep"])
        self.assertEqual([row[VALUES] for row in data["groups"][0]["r"]], [["1", "2", "3"], [None, None, None, "6"]])
        data = self.report("--metric", "/inputs/n", "--metric", "/outputs/list/1")
        self.assertEqual([row[VALUES] for row in data["groups"][0]["r"]], [["5", "2"], []])
        self.save("c", "s", {"outputs": {"metrics": {f"m{i:02}": i for i in range(20)}}}, "--group", "many")
        many = self.report("--group", "many")["groups"][0]
        self.assertEqual((len(many["m"]), many["left"]), (16, 4))

    def test_the_baselines_metric_is_always_there(self):
        for i in range(3):
            self.save(f"r{i}", "s", {"score": i, "outputs": {"metrics": {"auc": i}}}, "--group", "g")
        self.run_ok("baseline", "establish", "--group", "g", "--stage", "s", "--metric", "/score", "--goal", "min",
                    "--min-runs", "2")
        data = self.report("--metric", AUC)
        group = data["groups"][0]
        self.assertEqual([data["pointers"][at] for at in group["m"]], ["/score", AUC])
        self.assertEqual((group["b"]["of"], group["b"]["m"], group["b"]["goal"], group["b"]["value"]), (1, 0, "min",
                                                                                                        "0"))
        self.assertEqual([row[WORSE] for row in group["r"]], [0, 1, 1])
        again = self.save("r0", "s", {"score": 9}, "--group", "g")  # a run is never its own baseline
        self.assertEqual(self.rows(self.report())[again][0][WORSE], 0)
        self.run_ok("baseline", "clear", "--group", "g", "--stage", "s")
        self.assertIsNone(self.report()["groups"][0]["b"])
        self.assertIsNotNone(self.report("--until", "4")["groups"][0]["b"])  # as of then

    def test_what_is_long_is_cut_and_the_page_says_so(self):
        long = "\u00e9" * 500
        self.save("a", "s", {"inputs": {"text": "x"}, "process": {f"p{i}": 0 for i in range(60)}}, "--group", "g")
        process = {f"p{i}": 1 for i in range(60)}
        self.save("b", "s", json.dumps({"inputs": {"text": long}, "process": process}, ensure_ascii=False), "--group",
                  "g")
        row = self.report()["groups"][0]["r"][1]
        self.assertEqual((len(row[CHANGES]), row[LEFT]), (40, 21))
        doc = {"inputs": {"text": long + "!"}, "process": process}
        self.save("c", "s", json.dumps(doc, ensure_ascii=False), "--group", "g")
        row = self.report()["groups"][0]["r"][2]
        self.assertEqual(row[CHANGES][0][1:3], [['"' + "\u00e9" * 79, 1002], ['"' + "\u00e9" * 79, 1003]])

    def test_the_gravest_changes_are_kept(self):
        self.save("a", "s", {"outputs": {"metrics": {f"m{i}": 0 for i in range(60)}}, "inputs": {"target": "x"}},
                  "--group", "g")
        self.save("b", "s", {"outputs": {"metrics": {f"m{i}": 1 for i in range(60)}}, "inputs": {"target": "y"}},
                  "--group", "g")
        row = self.report()["groups"][0]["r"][1]
        self.assertEqual(self.data["pointers"][row[CHANGES][0][0]], "/inputs/target")
        self.assertEqual((row[SEVERITY], len(row[CHANGES]), row[LEFT]), (3, 40, 21))

    def test_large_documents_are_not_all_held(self):
        count, groups = 16, 8
        for i in range(count):  # 256 MB in all, of each group two
            doc = {"outputs": {"metrics": {"m": i // groups}}, "text": "x" * 16_000_000}
            self.save(f"r{i}", "s", json.dumps(doc), "--group", f"g{i % groups}")
        out = self.path("report.html")
        process = self.popen("report", "--out", out, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stderr.close()
        self.assertEqual(process.returncode, DONE)
        if not os.environ.get("HF_TEST_SLOW"):  # sanitizers have memory of their own
            self.assertLess(usage.ru_maxrss / 1024, 180)
        rows = self.rows(self.report())
        self.assertEqual({seq: row[PREV] for seq, (row, _) in rows.items()},
                         {seq: max(0, seq - groups) for seq in range(1, count + 1)})
        self.assertEqual([row[VALUES] for row, _ in rows.values()].count(["1"]), groups)

    def test_an_empty_store(self):
        data = self.report()
        self.assertEqual((data["groups"], data["runs"], data["head"]), ([], 0, 0))

    def test_a_record_that_cannot_be_read(self):
        for i in range(3):
            self.save(f"r{i}", "s", {"outputs": {"metrics": {"m": i}}}, "--group", "g")
        part = os.path.join(self.store, "tile", "000", "0.part")
        with open(part, "rb") as file:
            text = file.read()
        with open(part, "wb") as file:
            file.write(text.replace(b'"run_id":"r1"', b'"run_id":"rX"'))
        data = self.report(status=FAILED)
        self.assertEqual((data["damaged"], sorted(self.rows(data))), (1, [1, 3]))

    def test_a_previous_run_that_cannot_be_read(self):
        self.save("r0", "s", {"outputs": {"metrics": {"m": 1}}}, "--group", "g")
        self.save("r1", "s", {"outputs": {"metrics": {"m": 1}}, "text": "x" * 100_000}, "--group", "g")
        self.save("r2", "s", {"outputs": {"metrics": {"m": 2}}}, "--group", "g")
        for place, _, names in os.walk(os.path.join(self.store, "blob")):
            for name in names:
                os.remove(os.path.join(place, name))
        row = self.rows(self.report("--run-id", "r2"))[3][0]
        self.assertEqual((row[PREV], row[SEVERITY], row[VALUES]), (None, -1, ["2"]))
        self.assertEqual((self.report(status=FAILED)["damaged"], sorted(self.rows(self.data))), (1, [1, 3]))


class Safety(ReportCase):
    def hostile(self):
        for i, name in enumerate(HOSTILE):
            short = name[:60]
            same = {"stage": name[:100], "group": name, "dims": {short: name[:200]}}
            first = {"outputs": {"metrics": {short: i, "m": i}}, "inputs": {short: name}}
            lines = [{"run_id": name, "doc": first, **same}, {"run_id": f"second {i}", "doc": {"inputs": {short: i}},
                                                              **same}]
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            self.run_ok("save", "--batch", "-", input=text)

    def test_names_are_never_markup(self):
        plain = self.report("--title", "plain")
        tags = self.page.tags
        self.hostile()
        for title in HOSTILE[:-1]:
            data = self.report("--title", title)
            self.assertEqual([tag for tag, _ in self.page.tags], [tag for tag, _ in tags])
            self.assertEqual(set(self.page.texts), {("title", None), ("style", None), ("script", "data"), ("script",
                                                                                                           None)})
        self.assertEqual(plain["groups"], [])
        self.assertEqual({row[RUN] for row,
                          _ in self.rows(data).values()} - {f"second {i}" for i in range(len(HOSTILE))},
                         set(HOSTILE))
        self.assertEqual({dict(group["d"]).popitem() for group in data["groups"]},
                         {(name[:60], name[:200]) for name in HOSTILE})
        raw = re.search(r'<script id="data"[^>]*>(.*?)</script>', self.text, re.S).group(1)
        for text in ("<", ">", "&", "\u2028", "\u2029"):
            self.assertNotIn(text, raw)

    def test_it_asks_no_network_and_runs_no_other_script(self):
        self.report()
        policy = next(attrs["content"] for tag, attrs in self.page.tags if attrs.get("http-equiv"))
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        for kind in ("script", "style"):
            digest = hashlib.sha256(self.page.texts[kind, None].encode()).digest()
            self.assertEqual(rules[f"{kind}-src"], f"'sha256-{base64.b64encode(digest).decode()}'")
        self.assertEqual((rules["default-src"], rules["base-uri"], rules["form-action"]), ("'none'",) * 3)
        for tag, attrs in self.page.tags:
            self.assertNotIn("src", attrs)
            self.assertNotIn("style", attrs)
            self.assertFalse([name for name in attrs if name.startswith("on")], attrs)
            self.assertRegex(attrs.get("href", "#"), r"^(#|data:,$)")
        script = self.page.texts["script", None].replace("http://www.w3.org/2000/svg", "")
        for word in ("http:", "https:", "//cdn", "fetch(", "XMLHttpRequest", "WebSocket", "innerHTML", "outerHTML",
                     "insertAdjacentHTML", "document.write", "eval(", "import("):
            self.assertNotIn(word, script)


class Command(ReportCase):
    def test_what_it_prints(self):
        self.save("a", "s", {}, "--group", "g")
        out = self.path("out.html")
        self.assertEqual(self.run_ok("report", "--out", out).out, "reported: 1 in 1 group\n")
        self.assertEqual(self.run_ok("--json", "report", "--out", out).json,
                         {"reported": 1, "groups": 1, "at": 1, "damaged": 0, "out": out})
        with open(out, "rb") as file:
            from_file = re.sub(rb'"made":"[^"]*"', b"", file.read())
        self.assertEqual(re.sub(rb'"made":"[^"]*"', b"", self.run_ok("report").out_bytes), from_file)
        self.assertEqual(re.sub(rb'"made":"[^"]*"', b"", self.run_ok("report", "--out", "-").out_bytes), from_file)

    def test_title(self):
        self.report()
        self.assertEqual(self.page.texts["title", None], "Runs in " + os.path.realpath(self.store))
        self.report("--title", "Nightly <runs> & more")
        self.assertEqual(self.page.texts["title", None], "Nightly <runs> & more")

    def test_wrong_use(self):
        for args, says in (
            (["--metric", "auc"], "--metric: wants a JSON Pointer"), (["--metric", "/a~2"], "--metric"),
            (["--metric", "/" + "x" * 1024], "1025 bytes"), (["--metric", "/a"] * 16, "more than 15 times"),
            (["--tolerance", "-1"], "--tolerance"), (["--tolerance", "x%"], "--tolerance"), (["--where", "/a >"],
                                                                                             "--where"),
            (["--title", "x" * 600], "--title"), (["--out", ""], "--out"), (["--after", "soon"], "--after"),
        ):
            with self.subTest(args=args):
                self.run_bad(USAGE, "report", *args, says=says)
        self.run_bad(USAGE, "--json", "report", says="--out FILE")
        self.run_bad(USAGE, "report", "operand")

    def test_where_it_cannot_be_written(self):
        self.run_bad(FAILED, "report", "--out", self.folder, says="is a folder")
        nowhere = self.path("nowhere", "x.html")
        self.run_bad(FAILED, "report", "--out", nowhere, says=[nowhere + ": ", "its folder"])
        with open("/dev/full", "wb") as full:
            result = self.run_any("report", stdout=full)
        self.assertEqual(result.status, FAILED)
        self.assertOneError(result, "No space left")
        self.run_bad(FAILED, "report", "--out", "/dev/full", says="No space left")

    @unittest.skipUnless(os.geteuid() == 0, "as root: becomes another user")
    def test_a_folder_that_may_not_be_written(self):
        self.use_program_copy()
        self.run_bad(FAILED, "report", "--out", self.path("x.html"), says="Permission denied", **as_other_user())

    def test_what_was_there_stays_until_the_new_one_is_whole(self):
        self.save("a", "s", {})
        out = self.write("old.html", "old")
        self.run_bad(USAGE, "report", "--out", out, "--tolerance", "x")
        with open(out, encoding="ascii") as file:
            self.assertEqual(file.read(), "old")
        self.run_ok("report", "--out", out)
        self.assertEqual([name for name in os.listdir(self.folder) if "old" in name], ["old.html"])

    def test_stopped_by_a_signal(self):
        lines = [{"run_id": f"r{i}", "stage": "s", "group": "g", "doc": {"outputs": {"m": i}}} for i in range(3000)]
        self.run_ok("save", "--batch", "-", input="".join(json.dumps(line) + "\n" for line in lines))
        out = self.write("old.html", "old")
        ends = set()
        for milliseconds in range(5, 300, 10):
            process = self.popen("report", "--out", out, stdin=subprocess.DEVNULL)
            time.sleep(milliseconds / 1000)
            process.terminate()
            _, err = process.communicate(timeout=60)
            ends.add(process.returncode)
            self.assertIn(process.returncode, (DONE, FAILED, -signal.SIGTERM))
            if process.returncode == FAILED:
                self.assertIn(b"stopped by a signal", err)
            if DONE not in ends:
                with open(out, encoding="ascii") as file:
                    self.assertEqual(file.read(), "old")
            self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("old")], ["old.html"])
            if ends >= {DONE, FAILED}:
                break
        self.assertIn(FAILED, ends)

    def test_no_store(self):
        self.run_bad(USAGE, "report", store=None, says="no store")
        self.run_bad(FAILED, "report", store=self.path("nothing"))


def page_commands():
    with open(os.path.join(TREE, "docs", "asking", "report.md"), encoding="utf-8") as file:
        return re.findall(r"(?m)^    (holdfast .*)$", file.read())


class Docs(ReportCase):
    def test_the_examples_run(self):
        for i in range(3):
            doc = {"inputs": {"rows": 500 + 500 * i}, "outputs": {"metrics": {"auc": 0.7 + i / 100, "loss": i}}}
            self.save(f"r{i}", "TRAINING", doc, "--group", "g")
        commands = page_commands()
        self.assertEqual(len(commands), 3)
        os.mkdir(self.path("bin"))
        os.symlink(HOLDFAST, self.path("bin", "holdfast"))
        env = {**self.env, "HOLDFAST_STORE": self.store, "PATH": self.path("bin") + ":" + os.environ["PATH"]}
        ran = subprocess.run(["bash", "-e", "-c", "\n".join(commands)], cwd=self.folder, env=env, capture_output=True,
                             text=True, timeout=60, check=False)
        self.assertEqual((ran.returncode, ran.stderr), (DONE, ""), ran)
        self.assertEqual(ran.stdout.splitlines(), ["reported: 3 in 1 group", "reported: 3 in 1 group",
                                                   "reported: 2 in 1 group"])
        with open(self.path("january.html"), encoding="utf-8") as file:
            self.assertIn("<title>Since January</title>", file.read())


if __name__ == "__main__":
    main()
