#!/usr/bin/env python3
"""Baselines by the command line: each status, each limit, odd metrics."""

import json
import os

from support import CONFLICT, DIFFERS, DONE, FAILED, NOT_FOUND, USAGE, Case, as_other_user, main

RUNS = ("--group", "g", "--stage", "final")
METRIC = ("--metric", "/m/auc", "--goal", "max")
ID = "01JGX2M8Q6T4ZV0C9K7W3R5YHB"


class Baselines(Case):
    def save_auc(self, run_id, auc, *args):
        """auc: the JSON text of the metric; None: there is none."""
        doc = "{}" if auc is None else '{"m":{"auc":%s}}' % auc
        return self.save(run_id, "final", doc, *(args or ("--group", "g")))

    def save_some(self, *values):
        return [self.save_auc(f"r{i + 1}", value) for i, value in enumerate(values)]

    def establish(self, *args):
        return self.run_ok("--json", "baseline", "establish", *RUNS, *METRIC, *args).json

    def get(self, *args):
        return self.run_ok("--json", "baseline", "get", *(args or RUNS)).json

    def history(self, *args):
        return [(one["by"], one["of"]) for one in self.run_ok("--json", "baseline", "history", *(args or RUNS)).jsonl]


class Establish(Baselines):
    def test_too_few(self):
        self.run_bad(NOT_FOUND, "baseline", "establish", *RUNS, *METRIC,
                     says=["0 of 5 comparable runs", "/m/auc", "5 more are needed"])
        self.save_some("0.5", "0.7", "null", '"0.9"', "0.6", None)
        self.save_auc("r1", "0.51")  # a revision is no further run
        self.save("r9", "final", '{"m":{"auc":0.9}}', "--group", "other")
        self.save("r9", "first", '{"m":{"auc":0.9}}', "--group", "g")
        self.save("r9", "final", '{"m":{"auc":0.9}}', "--group", "g", "--dim", "a=b")
        self.save("r8", "final", '{"m":{"auc":0.9}}')
        self.run_bad(NOT_FOUND, "baseline", "establish", *RUNS, *METRIC,
                     says=["3 of 5 comparable runs", "2 more are needed", "3 have none there"])
        result = self.run_any("--json", "baseline", "establish", *RUNS, *METRIC)
        self.assertEqual(result.status, NOT_FOUND)
        self.assertEqual(result.json, {"created": False, "of": None, "runs": 3, "passed_over": 3, "missing": 2})
        self.assertEqual(self.head(), 11)  # nothing was written
        self.run_bad(NOT_FOUND, "baseline", "get", *RUNS, says="baseline establish")
        self.run_bad(NOT_FOUND, "baseline", "history", *RUNS, says='no baseline yet of group "g", stage "final"')

    def test_the_best_becomes_it(self):
        self.save_some("0.5", "0.7", "0.70", "0.6", "7e-1")
        made = self.establish()
        self.assertEqual((made["created"], made["new"], made["of"], made["run_id"]), (True, True, 2, "r2"))
        self.assertEqual((made["by"], made["min_runs"], made["runs"], made["passed_over"]), ("establish", 5, 5, 0))
        self.assertEqual((made["seq"], made["metric"], made["goal"], made["value"]), (6, "/m/auc", "max", 0.7))
        self.save_auc("r6", "0.9")
        again = self.establish("--min-runs", "100")
        self.assertEqual((again["created"], again["of"], again["seq"], again["id"]), (False, 2, 6, made["id"]))
        self.assertEqual(self.get()["new"], False)
        self.assertEqual(self.head(), 7)
        self.assertStoreIntact()

    def test_groups_tell_it(self):
        self.save_some("0.5", "0.7", "0.6")
        self.save("r1", "first", '{"m":{"auc":1}}', "--group", "g")

        def told(*args):
            return {one["stage"]: one["baseline_seq"] for one in self.run_ok("groups", "--json", *args).jsonl}

        self.assertEqual(told(), {"final": None, "first": None})
        self.establish("--min-runs", "3")  # seq 5
        self.assertEqual(told(), {"final": 2, "first": None})
        self.run_ok("baseline", "set", "3")
        self.assertEqual(told(), {"final": 3, "first": None})
        self.assertEqual(told("--until", "5"), {"final": 2, "first": None})
        self.assertEqual(told("--until", "4"), {"final": None, "first": None})
        self.assertRegex(self.run_ok("groups").out, r"baseline\ng +final .* 3\n")
        self.assertRegex(self.run_ok("groups", "--format", "csv").out, r"\r\ng,final,.*,3\r\n")
        self.run_ok("baseline", "clear", *RUNS)
        self.assertEqual(told(), {"final": None, "first": None})

    def test_the_lowest(self):
        self.save_some("0.5", "-1.5", "-15e-1", "3")
        made = self.run_ok("--json", "baseline", "establish", *RUNS, "--metric", "/m/auc", "--goal", "min",
                           "--min-runs", "4").json
        self.assertEqual((made["of"], made["value"], made["goal"]), (2, -1.5, "min"))

    def test_another_metric(self):
        self.save_some("1")
        self.establish("--min-runs", "1")
        for metric in (("--metric", "/m/auc", "--goal", "min"), ("--metric", "/m/loss", "--goal", "max")):
            for way in ("establish", "update"):
                self.run_bad(CONFLICT, "baseline", way, *RUNS, *metric, says=["seq 2", '"/m/auc"', "goal max"])

    def test_numbers_are_exact_and_kept(self):
        values = ["9007199254740992", "9007199254740993", "1.0", "0.10", "-0"]
        self.save_some(*values)
        made = self.run_ok("--json", "baseline", "establish", *RUNS, *METRIC)
        self.assertIn('"of":2,', made.out)
        self.assertIn('"value":9007199254740993,', made.out)
        self.save_auc("r6", "1e400")
        self.save_auc("r7", "10000e396")
        self.save_auc("r8", "9e399")
        made = self.run_ok("--json", "baseline", "update", *RUNS)
        self.assertIn('"of":7,', made.out)
        self.assertIn('"value":1e400,', made.out)
        self.assertIn("1e400", self.run_ok("baseline", "get", *RUNS).out)
        self.assertIn('"value":1e400,', self.run_ok("get", "--seq", "10", "--meta").out)
        checked = self.run_any("--json", "baseline", "check", "9")
        self.assertEqual((checked.status, checked.json["result"]), (DIFFERS, "worse"))
        self.assertIn('"delta":-1e+399,', checked.out)
        self.assertStoreIntact()

    def test_odd_metrics_are_passed_over(self):
        odd = ["null", '"0.99"', "true", "[0.99]", '{"x":0.99}', "9" * 1025]
        self.save_some(*odd, None, "0.1", "9" * 1024)
        made = self.establish("--min-runs", "2")
        self.assertEqual((made["of"], made["runs"], made["passed_over"]), (9, 2, 7))
        self.assertIn("9" * 1024, self.run_ok("baseline", "get", *RUNS).out)
        self.run_bad(FAILED, "save", "--run-id", "x", "--stage", "final", "-", input='{"m":{"auc":NaN}}')

    def test_a_large_document(self):
        self.save_some("1", "2")
        self.save("big", "final", json.dumps({"pad": "x" * 100000, "m": {"auc": 3}}), "--group", "g")
        self.assertEqual(self.establish("--min-runs", "3")["of"], 3)

    def test_names_of_any_kind(self):
        group, stage, run = 'g "x" \\ ü\u202e', "été", "run:1/ü"
        self.save(run, stage, '{"a/b":{"~":1}}', "--group", group, "--dim", "z=1", "--dim", "a=\u00fc")
        runs = ("--group", group, "--stage", stage, "--dim", "a=\u00fc", "--dim", "z=1")
        metric = ("--metric", "/a~1b/~0", "--goal", "max", "--min-runs", "1", "--reason", 'warum? "so" \u202e')
        made = self.run_ok("--json", "baseline", "establish", *runs, *metric).json
        self.assertEqual((made["group"], made["stage"], made["run_id"], made["dims"]),
                         (group, stage, run, {"a": "\u00fc", "z": "1"}))
        self.assertEqual((made["metric"], made["reason"]), ("/a~1b/~0", 'warum? "so" \u202e'))
        shown = self.run_ok("baseline", "get", *runs).out
        self.assertNotIn("\u202e", shown)
        self.run_bad(NOT_FOUND, "baseline", "get", "--group", group, "--stage", stage)
        self.assertEqual(self.get("--seq", "1")["of"], 1)
        self.assertStoreIntact()

    def test_the_group_of_a_document(self):
        for i in range(5):
            self.save(f"r{i}", "final", json.dumps({"comparison_group": {"d": 1}, "auc": i}))
        made = self.run_ok("--json", "baseline", "establish", "--seq", "1", "--metric", "/auc", "--goal", "max").json
        self.assertEqual((made["of"], len(made["group"])), (5, 64))

    def test_an_id_makes_it_exactly_once(self):
        self.save_some("1", "2")
        first = self.establish("--min-runs", "2", "--id", ID)
        self.assertEqual((first["created"], first["id"]), (True, ID))
        self.run_ok("baseline", "set", "1")
        again = self.establish("--min-runs", "2", "--id", ID)
        self.assertEqual((again["created"], again["seq"], again["of"]), (False, 3, 2))
        self.assertEqual(self.run_ok("resolve", ID).out, "3\n")
        self.save("x", "s", {}, "--id", ID[:-1] + "C")
        self.run_bad(CONFLICT, "baseline", "clear", *RUNS, "--id", ID[:-1] + "C", says="no baseline")
        self.run_any("resolve", ID[:-1] + "D")
        self.run_bad(CONFLICT, "baseline", "clear", *RUNS, "--id", ID[:-1] + "D", says="ended")
        self.assertEqual(self.get()["of"], 1)


class ByHand(Baselines):
    def test_set_clear_and_history(self):
        self.save_some("1", "2", "3", "4", "5")
        made = self.run_ok("--json", "baseline", "set", "2", "--reason", "the paper").json
        self.assertEqual((made["created"], made["of"], made["metric"], made["value"], made["reason"]),
                         (True, 2, None, None, "the paper"))
        again = self.run_ok("--json", "baseline", "set", "2", "--reason", "the paper").json
        self.assertEqual((again["created"], again["seq"]), (False, 6))
        self.assertEqual(self.establish()["of"], 2)  # it is there, whoever made it
        self.run_ok("baseline", "set", "2", "--reason", "another reason")
        self.run_ok("baseline", "set", "3", *METRIC)
        made = self.run_ok("--json", "baseline", "set", "4").json  # it keeps the metric
        self.assertEqual((made["metric"], made["goal"], made["value"]), ("/m/auc", "max", 4))
        cleared = self.run_ok("--json", "baseline", "clear", *RUNS, "--reason", "new data").json
        self.assertEqual((cleared["created"], cleared["of"], cleared["by"], cleared["reason"]),
                         (True, None, "clear", "new data"))
        self.run_bad(NOT_FOUND, "baseline", "clear", *RUNS, says="no baseline to clear")
        self.run_bad(NOT_FOUND, "baseline", "get", *RUNS)
        self.run_bad(NOT_FOUND, "baseline", "update", *RUNS, says="baseline establish")
        self.assertEqual(self.establish()["of"], 5)
        self.assertEqual(self.history(), [("set", 2), ("set", 2), ("set", 3), ("set", 4), ("clear", None),
                                          ("establish", 5)])
        self.assertEqual(self.get(*RUNS, "--at", "8")["of"], 3)
        self.run_bad(NOT_FOUND, "baseline", "get", *RUNS, "--at", "10", says="as of that seq")
        self.run_bad(NOT_FOUND, "baseline", "get", *RUNS, "--at", "0", says="as of that seq")
        table = self.run_ok("baseline", "history", *RUNS).lines
        self.assertEqual(table[0].split(), ["seq", "by", "of", "run_id", "value", "at", "reason"])
        self.assertEqual(len(table), 7)
        self.assertStoreIntact()

    def test_what_cannot_be_set(self):
        self.save_some("1", "null")
        self.save("lone", "final", {})
        self.run_ok("baseline", "set", "1")
        self.run_bad(NOT_FOUND, "baseline", "set", "0", says="no seq 0")
        self.run_bad(NOT_FOUND, "baseline", "set", "99", says="the head is 4")
        self.run_bad(NOT_FOUND, "baseline", "set", "3", says="no group")
        self.run_bad(NOT_FOUND, "baseline", "set", "4", says=["no snapshot", "op baseline"])
        self.run_bad(USAGE, "baseline", "set", "2", *METRIC, says="seq 2 has no number at /m/auc")
        self.run_bad(USAGE, "baseline", "set", "x", says="no seq")

    def test_update(self):
        self.save_some("5", "1")
        self.establish("--min-runs", "1")
        self.assertEqual(self.run_ok("--json", "baseline", "update", *RUNS).json["created"], False)
        self.save_auc("r3", "5.0")  # equal is not better
        same = self.run_ok("--json", "baseline", "update", *RUNS).json
        self.assertEqual((same["created"], same["of"], same["runs"]), (False, 1, 1))
        self.save_auc("r4", "7")
        self.save_auc("r5", "6")
        made = self.run_ok("--json", "baseline", "update", *RUNS, "--reason", "better").json
        self.assertEqual((made["created"], made["of"], made["by"], made["runs"]), (True, 5, "update", 3))
        self.run_ok("baseline", "set", "2")
        made = self.run_ok("--json", "baseline", "update", *RUNS).json
        self.assertEqual((made["created"], made["of"]), (False, 2))  # none came since
        self.save_auc("r2", "1.5")  # the run itself got better
        self.assertEqual(self.run_ok("--json", "baseline", "update", *RUNS).json["of"], 9)

    def test_update_of_one_without_a_metric(self):
        self.save_some("5")
        self.run_ok("baseline", "set", "1")
        self.run_bad(NOT_FOUND, "baseline", "update", *RUNS, says="without a metric")
        self.save_auc("r2", "4")
        self.assertEqual(self.run_ok("--json", "baseline", "update", *RUNS, *METRIC).json["created"], False)
        self.save_auc("r3", "6")
        self.assertEqual(self.run_ok("--json", "baseline", "update", *RUNS, *METRIC).json["of"], 4)

    def test_a_revision_of_the_baseline(self):
        """What was chosen stays chosen; only current revisions are chosen."""
        self.save_some("5", "4")
        self.establish("--min-runs", "2")
        self.save_auc("r1", "1")
        got = self.get()
        self.assertEqual((got["of"], got["value"]), (1, 5))
        self.run_ok("baseline", "clear", *RUNS)
        self.assertEqual(self.establish("--min-runs", "2")["of"], 2)


class Check(Baselines):
    def setUp(self):
        super().setUp()
        self.save_some("0.80", "0.76", "0.9", "null", None, "0.7599999999999999999")
        self.run_ok("baseline", "set", "1", *METRIC)

    def check(self, status, *args):
        result = self.run_any("--json", "baseline", "check", *args)
        self.assertEqual(result.status, status, result)
        return result.json

    def test_each_outcome(self):
        worse = self.check(DIFFERS, "2")
        self.assertEqual((worse["result"], worse["delta"], worse["baseline_seq"]), ("worse", -0.04, 1))
        self.assertAlmostEqual(worse["percent"], -5)
        self.assertEqual(self.check(DONE, "3")["result"], "passed")
        for seq in ("4", "5"):
            missing = self.check(DIFFERS, seq)
            self.assertEqual((missing["result"], missing["value"], missing["delta"]), ("no-metric", None, None))
        result = self.run_any("baseline", "check", "2")
        self.assertEqual((result.status, result.err), (DIFFERS, ""))
        self.assertEqual(result.out, "worse: seq 2 has 0.76 at /m/auc, the baseline (seq 1, run r1) 0.80: "
                                     "-0.04 (-5.00 %)\n")
        self.assertTrue(self.run_ok("baseline", "check", "3").out.startswith("passed: seq 3 has 0.9"))

    def test_tolerances_are_exact(self):
        for tolerance, status in (("0.04", DONE), ("4e-2", DONE), ("0.0399999999999999999999", DIFFERS), ("0", DIFFERS),
                                  ("5%", DONE), ("4.9999999999999999999%", DIFFERS), ("0.5e1%", DONE), ("100%", DONE)):
            self.check(status, "2", "--tolerance", tolerance)
        self.check(DIFFERS, "6", "--tolerance", "5%")  # by 1e-19
        self.check(DONE, "6", "--tolerance", "0.0400000000000000001")
        for wrong in ("", "%", "x", "-1", "-1%", "1 %", "NaN", "1e", "01", "5%%", "1" * 65):
            self.run_bad(USAGE, "baseline", "check", "2", "--tolerance", wrong, says="tolerance")

    def test_goal_min_and_other_metrics(self):
        self.save_auc("r7", '1,"loss":0.5')
        self.save_auc("r8", '1,"loss":0.6')
        self.run_ok("baseline", "set", "8", "--metric", "/m/loss", "--goal", "min")
        self.check(DIFFERS, "9")
        self.check(DONE, "9", "--tolerance", "20%")
        self.check(DONE, "9", *METRIC)
        self.run_bad(NOT_FOUND, "baseline", "check", "9", "--metric", "/m/no", "--goal", "max",
                     says="no number at /m/no")

    def test_negative_and_zero(self):
        self.save_auc("z1", "-10")
        self.save_auc("z2", "-10.5")
        self.save_auc("z3", "0")
        self.run_ok("baseline", "set", "8", *METRIC)
        self.check(DONE, "9", "--tolerance", "5%")  # of 10, not of -10
        self.check(DIFFERS, "9", "--tolerance", "4%")
        self.run_ok("baseline", "set", "10", *METRIC)
        worse = self.check(DIFFERS, "9", "--tolerance", "50%")
        self.assertEqual((worse["delta"], worse["percent"]), (-10.5, None))

    def test_far_apart(self):
        self.save_auc("f1", "1e4000")
        self.run_ok("baseline", "set", "8", *METRIC)
        worse = self.run_any("baseline", "check", "2", "--tolerance", "99%")
        self.assertEqual(worse.status, DIFFERS, worse)
        self.check(DONE, "2", "--tolerance", "1e4001")

    def test_nothing_to_compare_with(self):
        self.run_bad(NOT_FOUND, "baseline", "check", "1", says=["never its own baseline", "since seq 7"])
        self.save_auc("r1", "0.1")
        self.run_bad(NOT_FOUND, "baseline", "check", "8", says="never its own baseline")
        self.run_bad(NOT_FOUND, "baseline", "check", "7", says="no snapshot")
        self.run_bad(NOT_FOUND, "baseline", "check", "77", says="the head is 8")
        self.run_ok("baseline", "set", "1")
        self.run_ok("baseline", "clear", *RUNS)
        self.run_ok("baseline", "set", "1")
        self.run_bad(NOT_FOUND, "baseline", "check", "2", says="without a metric")
        self.run_ok("baseline", "clear", *RUNS)
        self.run_bad(NOT_FOUND, "baseline", "check", "2", says="no baseline to compare")


class Usage(Baselines):
    make_store = False

    def test_wrong_use(self):
        for args, says in (
                ((), "an argument is missing"), (("no",), "none of get"), (("get",), "--group"),
                (("get", "--group", "g"), "--stage"),
                (("get", *RUNS, "7"), 'takes no "7"'), (("get", *RUNS, *METRIC), "--metric"),
                (("get", *RUNS, "--goal", "max"), "--goal"), (("get", *RUNS, "--reason", "x"), "--reason"),
                (("get", *RUNS, "--timeout", "1s"), "--timeout"), (("get", *RUNS, "--id", ID), "--id"),
                (("get", *RUNS, "--min-runs", "3"), "--min-runs"), (("clear", *RUNS, "--at", "3"), "--at"),
                (("history", *RUNS, "--tolerance", "3"), "--tolerance"),
                (("get", "--seq", "1", "--group", "g"), "--seq"), (("set",), "wants the seq"),
                (("set", "1", "--group", "g"), "takes a seq alone"), (("check", "1", "2"), '"2"'),
                (("establish", *RUNS), "--metric"), (("establish", *RUNS, "--metric", "/a"), "--goal"),
                (("update", *RUNS, "--goal", "max"), "--goal"), (("check", "1", "--goal", "max"), "--goal"),
                (("establish", *RUNS, "--metric", "/a", "--goal", "up"), "none of max|min"),
                (("establish", *RUNS, *METRIC, "--min-runs", "0"), "1 to 1000000"),
                (("establish", *RUNS, *METRIC, "--min-runs", "1000001"), "1 to 1000000"),
                (("set", "1", "--reason", "x" * 1025), "1024"), (("establish", *RUNS, "--metric", "/" * 1025), "1024")):
            self.run_bad(USAGE, "baseline", *args, says=says, store=None)

    def test_bad_values(self):
        self.run_ok("init", self.store, "--locker", "flock", "--force", store=None)
        self.save_some("1")
        for metric, says in (("m", "--metric: wants"), ("", "--metric: is empty"), ("/a~2", "~"), (b"/\xff", "\\xff")):
            self.run_bad(USAGE, "baseline", "establish", *RUNS, "--metric", metric, "--goal", "max", says=says)
        for tolerance in ("-1", "x", "5%%", "", "%", "1e", "0x1"):
            self.run_bad(USAGE, "baseline", "check", "1", "--tolerance", tolerance,
                         says=[f'--tolerance: "{tolerance}" is no tolerance', "0.01, or 2%"])
        for reason, says in (("", "empty"), ("a\nb", "control character"), (b"\xff", "UTF-8")):
            self.run_bad(USAGE, "baseline", "set", "1", "--reason", reason, says=says)
        self.run_bad(USAGE, "baseline", "set", "1", "--id", "x", says="ULID")
        self.run_bad(USAGE, "baseline", "get", "--group", "", "--stage", "s", says="group")
        self.run_bad(NOT_FOUND, "baseline", "get", "--seq", "9", says="there is no seq 9")
        self.assertEqual(self.head(), 1)

    def test_places(self):
        file = self.write("file", "x")
        self.assertEqual(self.run_any("baseline", "get", *RUNS, store=file).status, FAILED)
        self.assertEqual(self.run_any("baseline", "get", *RUNS, store=self.path("none")).status, FAILED)

    def test_who_may_only_read(self):
        self.run_ok("init", self.store, "--locker", "flock", "--force", store=None)
        self.save_some("1", "2")
        self.run_ok("baseline", "set", "1", *METRIC)
        self.use_program_copy()
        for folder, _, files in os.walk(self.store):
            os.chmod(folder, 0o555)
            for name in files:
                os.chmod(os.path.join(folder, name), 0o444)
        other = as_other_user()
        try:
            self.run_ok("baseline", "get", *RUNS, **other)
            self.run_ok("baseline", "check", "2", **other)
            self.run_ok("baseline", "establish", *RUNS, *METRIC, **other)  # it is there
            result = self.run_any("baseline", "clear", *RUNS, **other)
            self.assertEqual(result.status, FAILED, result)
            self.assertOneError(result, "ermission denied")
        finally:
            for folder, _, _ in os.walk(self.store):
                os.chmod(folder, 0o755)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    return crc ^ 0xFFFFFFFF


class Verify(Baselines):
    mode = "publish"

    def forge(self, seq, of):
        """A baseline record that nobody would write."""
        body = ('{"v":1,"op":"baseline","id":"01JGX2M8Q6T4ZV0C9K7W3R5Y%02d","run_id":"r1","stage":"final","group":"g",'
                '"at":"2026-01-02T03:04:05Z","host":"h","pid":1,"by":"set","of":%d' % (seq, of)).encode()
        self.write(f"store/log/{seq:020}.json", body + b',"crc":"%08x"}\n' % crc32c(body))
        with open(os.path.join(self.store, "log", "mark"), "ab") as mark:
            mark.write(b"f")

    def test_a_baseline_names_a_snapshot_before_it(self):
        self.save_some("1")
        self.run_ok("baseline", "set", "1")
        self.forge(3, 1)
        self.assertStoreIntact()
        for seq, of, says in ((4, 4, "behind its snapshot"), (5, 2, "is no snapshot"), (6, 60, "behind its snapshot")):
            self.forge(seq, of)
            result = self.run_any("verify")
            self.assertEqual(result.status, FAILED, result)
            self.assertIn(f"it names seq {of}", result.out)
            self.assertIn(says, result.out)


if __name__ == "__main__":
    main()
