"""What changed between two snapshots."""

import json
import os
import re
import subprocess
import unicodedata

from diff_model import apply_patch, meaning, read
from support import (
    CONFLICT, DIFFERS, DONE, FAILED, HOLDFAST, NOT_FOUND, TREE, USAGE, Case, as_other_user, every_file, main,
)  # fmt: skip

A = {
    "run_id": "one",
    "timestamp": "2026-01-01T00:00:00Z",
    "inputs": {"features": ["rsi_14", "mom_20"], "date_start": "2020-01-02", "data_path": "/d/1"},
    "process": {"seed": 42, "learning_rate": 0.1, "duration_s": 17.5},
    "outputs": {"metrics": {"auc": 0.71, "logloss": 0.25, "ic": 0.1}},
}
B = {
    "run_id": "two",
    "timestamp": "2026-01-02T00:00:00Z",
    "inputs": {"features": ["vol_60", "mom_20", "rsi_14"], "date_start": "2020-01-02", "data_path": "/d/2"},
    "process": {"seed": 43, "learning_rate": 0.10, "duration_s": 18.5},
    "outputs": {"metrics": {"auc": 0.74, "logloss": 0.2, "ic": 0.1000001}},
}
TEXT = """--- seq 1  one  final
+++ seq 2  two  final

inputs
  critical  + /inputs/features/0  "vol_60"

process
  major     ~ /process/seed        42 -> 43  +1  +2.38 %
  none      ~ /process/duration_s  17.5 -> 18.5  +1  +5.71 %

outputs
  minor     ~ /outputs/metrics/auc      0.71 -> 0.74  +0.03  +4.23 %
  minor     ~ /outputs/metrics/logloss  0.25 -> 0.2  -0.05  -20 %

5 changes: 1 critical, 1 major, 2 minor, 1 none
Not shown: 3 left out, 1 within the tolerance (--all shows them)
"""


def columns(line):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in line)


class Base(Case):
    def put(self, run_id, doc, *args, group="g"):
        where = ("--group", group) if group is not None else ()
        return self.save(run_id, "final", doc, "--timestamp", "", *where, *args)

    def two(self, a=None, b=None):
        self.put("one", A if a is None else a)
        self.put("two", B if b is None else b)


class Text(Base):
    def test_what_changed(self):
        self.two()
        self.assertEqual(self.run_ok("diff", "1", "2").out, TEXT)
        self.assertEqual(self.run_ok("diff", "one:final", "two:final").out, TEXT)
        self.assertEqual(self.run_ok("diff", "--prev", "2").out, TEXT)
        self.assertEqual(self.run_ok("diff", "two:final", "--prev").out, TEXT)

    def test_all(self):
        self.two()
        out = self.run_ok("diff", "1", "2", "--all").out
        self.assertIn('  left out  ~ /inputs/data_path   "/d/1" -> "/d/2"\n', out)
        self.assertIn('  same      = /inputs/date_start  "2020-01-02"\n', out)
        self.assertIn("  close     ~ /outputs/metrics/ic       0.1 -> 0.1000001  +1e-7  +0.0001 %\n", out)
        self.assertIn("  same      = /process/learning_rate  0.1\n", out)
        self.assertIn("5 changes: 1 critical, 1 major, 2 minor, 1 none\n", out)
        self.assertNotIn("Not shown", out)

    def test_identical(self):
        self.two('{"a":1e2,"b":"\\u0041"}', '{"b":"A","a":100}')
        result = self.run_ok("diff", "1", "2", "--fail-on", "minor")
        self.assertEqual(result.out, "--- seq 1  one  final\n+++ seq 2  two  final\n\nThe documents are identical.\n")

    def test_nothing_that_counts(self):
        self.two({"run_id": "one", "x": 0.1}, {"run_id": "two", "x": 0.1000001})
        out = self.run_ok("diff", "1", "2").out
        self.assertIn("\nNothing differs that counts.\nNot shown: 1 left out, 1 within the tolerance", out)

    def test_it_fits_80_columns_and_json_is_not_cut(self):
        long = "x" * 300
        a = {"inputs": {"note": "begin " + long + " end", long: 1, "n": {"a" * 56: 1.5}}, "list": list(range(200))}
        b = {"inputs": {"note": "BEGIN " + long + " END", long: 2, "n": {"a" * 56: 2.5}}, "list": "日本語" * 100}
        b["inputs"]["ctrl\n\x1b[31m"] = "a\tb\x1b[0m\u202e"
        b["big"] = 10**300 + 1
        a["big"] = 1
        self.two(a, json.dumps(b, ensure_ascii=False))
        out = self.run_ok("diff", "1", "2").out
        self.assertLessEqual(max(columns(line) for line in out.splitlines()), 80)
        self.assertNotIn("\x1b", out)
        self.assertRegex(out, r'"begin x+…x+ end" -> "BEGIN x+…x+ END"\n')
        self.assertIn('"日本語', out)
        self.assertIn(f"/inputs/n/{'a' * 56}\n              1.5 -> 2.5  +1  +66.7 %\n", out)
        self.assertIn(r'+ /inputs/ctrl\n\x1b[31m  "a\tb\u001b[0m\u202e"', out)
        found = self.run_ok("diff", "1", "2", "--format", "json").json["differences"]
        found = {change["pointer"]: change for change in found}
        self.assertEqual(found["/inputs/note"]["old"], a["inputs"]["note"])
        self.assertEqual(found["/list"]["new"], b["list"])
        self.assertEqual((found["/big"]["new"], found["/big"]["delta"]), (10**300 + 1, 1e300))

    def test_what_differs_is_not_cut_out(self):
        text = "the beginning " * 20 + "it {} here" + " and the end" * 20
        self.two({"a": text.format("is"), "b": 1}, {"a": text.format("was"), "b": 1})
        line = self.run_ok("diff", "1", "2").lines[5]
        self.assertRegex(line, r"^ {14}….*it is .* -> ….*it was")
        self.assertLessEqual(len(line), 80)

    def test_a_full_disk_is_told(self):
        self.two()
        with open("/dev/full", "wb") as full:
            process = self.popen("diff", "1", "2", stdout=full)
            _, err = process.communicate()
        self.assertEqual(process.returncode, FAILED)
        self.assertIn(b"standard output", err)

    def test_it_changes_nothing(self):
        self.two()
        os.chmod(self.store, 0o755)
        before = every_file(self.store)
        self.use_program_copy()
        for args in (("1", "2"), ("--prev", "2"), ("1", "2", "--format", "patch")):
            self.run_ok("diff", *args, **as_other_user())
        self.assertEqual(every_file(self.store), before)


class Json(Base):
    def test_members(self):
        self.two()
        for option in (("--json",), ("--format", "json"), ("--json", "--format", "json")):
            found = self.run_ok("diff", "1", "2", *option).json
        self.assertEqual(
            list(found),
            "a b comparable reason severity identical changes by_severity by_section close left_out "
            "differences".split(),
        )
        self.assertEqual((found["a"]["seq"], found["b"]["run_id"], found["a"]["group"]), (1, "two", "g"))
        self.assertEqual((found["comparable"], found["reason"], found["identical"]), (True, None, False))
        self.assertEqual((found["severity"], found["changes"]), ("critical", 5))
        self.assertEqual(found["by_severity"], {"critical": 1, "major": 1, "minor": 2, "none": 1})
        self.assertEqual(found["by_section"], {"inputs": 1, "process": 2, "outputs": 2, "other": 0})
        self.assertEqual((found["close"], found["left_out"]), (1, 3))
        auc = next(change for change in found["differences"] if change["pointer"].endswith("auc"))
        self.assertEqual((auc["kind"], auc["section"], auc["severity"]), ("changed", "outputs", "minor"))
        self.assertEqual((auc["old"], auc["new"], auc["delta"]), (0.71, 0.74, 0.03))
        self.assertAlmostEqual(auc["percent"], 3 / 0.71)

    def test_numbers_keep_their_texts(self):
        self.two('{"x":9007199254740993,"y":1e400,"z":0.10}', '{"x":9007199254740992,"y":1e401,"z":0.20}')
        out = self.run_ok("diff", "1", "2", "--json").out
        self.assertIn('"old":9007199254740993,"new":9007199254740992,"delta":-1', out)
        self.assertIn('"old":1e400,"new":1e401,"delta":9e+400', out)
        self.assertIn('"old":0.10,"new":0.20,"delta":0.1', out)

    def test_patch(self):
        self.two()
        patch = read(self.run_ok("diff", "1", "2", "--format", "patch").out)
        a, b = (self.run_ok("get", "--seq", seq).out for seq in "12")
        self.assertEqual(meaning(apply_patch(read(a), patch), True), meaning(read(b), True))
        self.assertIn("/run_id", [op["path"] for op in patch])  # whatever the rules leave out
        self.assertEqual(read(self.run_ok("diff", "1", "1", "--force", "--format", "patch", "--quiet").out or "[]"), [])


class Which(Base):
    def test_run_ids_with_colons_and_dims(self):
        self.put("2025-12-12T10:11:00Z", {"x": 1})
        self.put("exp/α: 5", {"x": 2}, "--dim", "target=a:b")
        self.put("exp/α: 6", {"x": 3}, "--dim", "target=a:b")
        found = self.run_ok("diff", "exp/α: 5:final", "exp/α: 6:final", "--dim", "target=a:b", "--json").json
        self.assertEqual((found["a"]["seq"], found["b"]["seq"]), (2, 3))
        self.run_bad(NOT_FOUND, "diff", "exp/α: 5:final", "3", says="without dims (--dim names them)")
        self.run_bad(NOT_FOUND, "diff", "1", "no:final", says='no snapshot of run "no", stage "final"')
        found = self.run_ok("diff", "2025-12-12T10:11:00Z:final", "2", "--force", "--quiet")
        self.assertEqual((found.out, found.err), ("", ""))

    def test_wrong_use(self):
        self.two()
        for args, says in (
            ((), "which snapshots? give two"),
            (("1",), "which snapshots? give two"),
            (("--prev",), "give one, a seq or RUN:STAGE"),
            (("--prev", "1", "2"), "--prev takes one"),
            (("--rules", "1"), "one argument too many"),
            (("1", "nonsense"), "is neither a seq nor RUN:STAGE"),
            (("1", ":final"), "is neither a seq nor RUN:STAGE"),
            (("1", "run:"), "is neither a seq nor RUN:STAGE"),
            (("1", ""), "is neither a seq nor RUN:STAGE"),
            (("1", "99999999999999999999"), "too large"),
            (("1", "2", "--format", "yaml"), "text, json or patch"),
            (("1", "2", "--fail-on", "none"), "critical"),
            (("1", "2", "--json", "--format", "text"), "exclude each other"),
            (("1", "2", "--dim", "a=b"), "belongs to a RUN:STAGE"),
        ):
            result = self.run_any("diff", *args)
            self.assertEqual((result.status, result.out), (USAGE, ""), (args, result))
            self.assertIn("holdfast: diff: ", result.err)

    def test_what_is_not_there(self):
        self.two()
        self.run_bad(NOT_FOUND, "diff", "1", "3", says="there is no seq 3")
        self.run_bad(NOT_FOUND, "diff", "0", "1", says="there is no seq 0")
        self.run_bad(NOT_FOUND, "diff", "--prev", "1", says="no previous comparable snapshot")
        self.put("three", {"x": 1}, group=None)
        self.run_bad(NOT_FOUND, "diff", "--prev", "3", says="it has no group")

    def test_a_record_that_is_no_snapshot(self):
        self.two()
        self.run_ok("locker", "set", "none", "--force")
        result = self.run_any("diff", "1", "3")
        self.assertEqual(result.status, NOT_FOUND, result)
        self.assertIn("seq 3 is no snapshot", result.err)
        self.assertEqual(self.run_any("diff", "--prev", "3").status, NOT_FOUND)


class Comparable(Base):
    def test_reasons(self):
        group = {"dataset": "d1", "n": 5}
        self.save("one", "a", {"comparison_group": group})
        self.save("one", "a", {"comparison_group": group, "x": 1})
        self.save("two", "b", {"comparison_group": group})
        self.save("three", "a", {"comparison_group": {**group, "n": 6}})
        self.save("four", "a", {"comparison_group": group}, "--dim", "view=v")
        self.save("five", "a", {})
        for b, reason in (
            (2, 'both are of run "one"'),
            (3, 'the stages differ: "a" and "b"'),
            (4, "in /comparison_group: n 5 and 6"),
            (5, 'the dims differ: view none and "v"'),
            (6, "and none"),
        ):
            says = (f"seq 1 and seq {b} are not comparable", reason, "--force")
            self.run_bad(CONFLICT, "diff", "1", str(b), says=says)
            self.run_bad(CONFLICT, "diff", "1", str(b), "--json", "--fail-on", "minor", says=says)
            quiet = self.run_any("--quiet", "diff", "1", str(b))
            self.assertEqual((quiet.status, quiet.out, quiet.err), (CONFLICT, "", ""))
            forced = self.run_ok("diff", "1", str(b), "--force", "--format", "json")
            self.assertIn("warning: ", forced.err)
            self.assertIn(reason, forced.err)
            self.assertEqual(forced.json["comparable"], False)
            self.assertIn(reason, forced.json["reason"])

    def test_fail_on(self):
        self.put("zero", {"metrics": {"auc": 1}, "seed": 1, "target": 1, "elapsed_s": 1})
        self.put("none", {"metrics": {"auc": 1}, "seed": 1, "target": 1, "elapsed_s": 2})
        self.put("minor", {"metrics": {"auc": 2}, "seed": 1, "target": 1, "elapsed_s": 2})
        self.put("major", {"metrics": {"auc": 2}, "seed": 2, "target": 1, "elapsed_s": 2})
        self.put("critical", {"metrics": {"auc": 2}, "seed": 2, "target": 2, "elapsed_s": 2})
        names = ["none", "minor", "major", "critical"]
        for b, severity in enumerate(names, 2):
            self.assertEqual(self.run_ok("diff", "1", str(b), "--json").json["severity"], severity)
            for limit in names[1:]:
                wanted = DIFFERS if names.index(severity) >= names.index(limit) else DONE
                loud = self.run_any("diff", "1", str(b), "--fail-on", limit)
                self.assertEqual((loud.status, loud.err), (wanted, ""))
                self.assertIn("change", loud.out)
                for quiet in (("--quiet", "diff"), ("diff", "-q"), ("--quiet", "--json", "diff")):
                    result = self.run_any(*quiet, "1", str(b), "--fail-on", limit)
                    self.assertEqual((result.status, result.out, result.err), (wanted, "", ""))


class RulesOfTheConfiguration(Base):
    def config(self, compare):
        return self.write("config.json", json.dumps({"compare": compare}))

    def test_they_count(self):
        self.two()
        config = self.config(
            {
                "keep": ["/run_id"],
                "leave_out": ["/inputs", "duration_s"],
                "tolerances": [{"pattern": "auc", "tolerance": 0.05}],
                "severity": [{"pattern": "seed", "severity": "critical"}],
            }
        )
        found = self.run_ok("--config", config, "diff", "1", "2", "--json").json
        told = {change["pointer"]: change["severity"] for change in found["differences"]}
        self.assertEqual(told, {"/process/seed": "critical", "/outputs/metrics/logloss": "minor", "/run_id": "major"})

    def test_a_wrong_one_is_told(self):
        self.two()
        config = self.config({"leave_out": ["a/b"]})
        self.run_bad(USAGE, "--config", config, "diff", "1", "2", says=(config, "compare.leave_out[0]", '"a/b"'))
        config = self.config({"ignore": []})
        self.run_bad(USAGE, "--config", config, "head", says="there is no setting compare.ignore")

    def test_rules(self):
        config = self.config({"sets": ["/mine"]})
        found = self.run_ok("--config", config, "diff", "--rules", store=None).json
        self.assertEqual(found["sets"][0], "/mine")
        self.assertIn("run_id", found["leave_out"])
        again = self.run_ok("--config", self.config(found), "diff", "--rules", store=None).json
        self.assertEqual(again, found)


class Terminal(Base):
    def shown(self, *args, columns=80, **env):
        import fcntl, pty, struct, termios  # noqa: E401

        try:
            master, slave = pty.openpty()
        except OSError as error:  # a chroot without devpts
            self.skipTest(f"no terminal can be made here: {error}")
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.env.pop("NO_COLOR", None)
        process = self.popen(*args, stdout=slave, stderr=subprocess.PIPE, env={"TERM": "xterm", **env})
        os.close(slave)
        out = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            out += piece
        process.communicate()
        os.close(master)
        self.assertEqual(process.returncode, DONE)
        return out.decode().replace("\r\n", "\n")

    def test_colour_and_arrows(self):
        self.two()
        out = self.shown("diff", "1", "2")
        self.assertIn("\033[1;31mcritical\033[0m", out)
        self.assertIn("\033[32m+\033[0m /inputs/features/0", out)
        self.assertIn("▲ +0.03  +4.23 %", out)
        self.assertIn("▼ -0.05  -20 %", out)
        plain = re.sub("\033\\[[0-9;]*m", "", out)
        self.assertEqual(re.sub("[▲▼] ", "", plain), TEXT)
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            self.assertEqual(self.shown("diff", "1", "2", **env), plain)
        self.assertEqual(self.shown("diff", "1", "2", NO_COLOR=""), out)  # empty: not set

    def test_width(self):
        long = "x" * 500
        self.two({"inputs": {"note": long + "1"}}, {"inputs": {"note": long + "2"}})
        for width in (40, 60, 80, 200):
            out = re.sub("\033\\[[0-9;]*m", "", self.shown("diff", "1", "2", columns=width))
            self.assertLessEqual(max(columns(line) for line in out.splitlines()), width)
        self.assertGreater(max(columns(line) for line in out.splitlines()), 150)


def page():
    with open(os.path.join(TREE, "docs", "asking", "diff.md"), encoding="utf-8") as file:
        return file.read()


def page_examples():
    """(command, expected) of each block of lines that are set in by four blanks."""
    text = page().split("# What changed: `holdfast diff`")[1]
    text = re.split(r"(?m)^#+ (?!In scripts|How values|The rules)", text)[0]
    for block in re.findall(r"(?m)(?:^    .*\n|^\n(?=    ))+", text):
        lines = [line[4:] for line in block.strip("\n").split("\n")]
        at = [i for i, line in enumerate(lines) if line.startswith("$ ")]
        for i, begin in enumerate(at):
            end = at[i + 1] if i + 1 < len(at) else len(lines)
            yield lines[begin][2:], "\n".join(lines[begin + 1 : end]) + "\n"


class Page(Base):
    """The page for users: its examples are run, its tables compared with the program."""

    def test_examples(self):
        os.mkdir(self.path("bin"))
        os.symlink(HOLDFAST, self.path("bin", "holdfast"))
        env = {**self.env, "PATH": self.path("bin") + ":" + self.env["PATH"], "HOLDFAST_STORE": self.store}
        ran = 0
        for command, expected in page_examples():
            document = re.fullmatch(r"holdfast get --seq ([12])", command)
            if document:
                day = ("monday", "tuesday")[int(document[1]) - 1]
                self.save(day, "TRAINING", expected, "--timestamp", f"2026-01-0{4 + int(document[1])}T08:00:00Z")
            if command == "cat compare.json":
                self.write("compare.json", expected)
            done = subprocess.run(
                ["bash", "-c", command], cwd=self.folder, env=env, capture_output=True, timeout=60, check=False
            )
            self.assertEqual(done.stdout.decode(), expected, command)
            self.assertEqual(done.stderr, b"", command)
            ran += 1
        self.assertGreaterEqual(ran, 8)

    def test_every_built_in_rule_is_there(self):
        rules = self.run_ok("diff", "--rules", store=None).json
        rows = dict(re.findall(r"(?m)^\| (left out|sets)[^|]*\| (.*) \|$", page()))
        self.assertEqual(re.findall("`([^`]+)`", rows["left out"]), rules["leave_out"])
        self.assertEqual(re.findall("`([^`]+)`", rows["sets"]), rules["sets"])
        told = [
            {"pattern": pattern, "severity": severity}
            for severity, patterns in re.findall(r"(?m)^\| (none|minor|major|critical) \|[^|]*\| (.*) \|$", page())
            for pattern in re.findall("`([^`]+)`", patterns)
        ]
        self.assertEqual(told, rules["severity"])


if __name__ == "__main__":
    main()
