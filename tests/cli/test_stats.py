"""stats: its figures against a count of everything that list tells, and a strict reader of the Prometheus format."""

import json
import os
import re
import time

import test_redis
from support import FAILED, TREE, USAGE, Case, main

PLANTED = os.environ.get("HOLDFAST_PLANTED") or os.path.join(TREE, "build", "dev", "tests", "holdfast-planted")
PLACES = "log tile index blob stage quarantine stats other".split()
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)?\}})? (-?[0-9]+(?:\.[0-9]+)?)")
TYPES = {"counter", "gauge"}


def parse_prometheus(text):
    """The text exposition format 0.0.4, without what stats does not use; {name: (type, {labels: value})}. Raises
    ValueError: each family is told once, HELP, TYPE and then its samples; no sample stands twice; a counter is called
    _total and nothing else is; the last line ends."""
    if not text.endswith("\n"):
        raise ValueError("the last line does not end")
    families, name = {}, None
    for line in text[:-1].split("\n"):
        words = re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.+)", line)
        if words and words[1] == "HELP":
            name = words[2]
            if name in families:
                raise ValueError(f"{name} is told twice")
            families[name] = (None, {})
        elif words:
            if words[2] != name or families[name] != (None, {}) or words[3] not in TYPES:
                raise ValueError(line)
            if (words[3] == "counter") != name.endswith("_total"):
                raise ValueError(f"{name} is a {words[3]}")
            families[name] = (words[3], {})
        else:
            sample = SAMPLE.fullmatch(line)
            if not sample or sample[1] != name or families[name][0] is None:
                raise ValueError(line)
            labels = tuple(sorted(match[:2] for match in re.findall(LABEL, sample[2] or "")))
            if labels in families[name][1] or len(dict(labels)) != len(labels):
                raise ValueError(f"twice: {line}")
            families[name][1][labels] = float(sample[7])
    if any(not samples for _, samples in families.values()):
        raise ValueError("a family without samples")
    return families


class Stats(Case):
    def stats(self, **kwargs):
        return self.run_ok("stats", "--json", **kwargs).json

    def assertAgrees(self, stats):
        """With what list and the folder tell."""
        records = self.records("--all-records")
        snapshots = [r for r in records if r["op"] == "save"]
        ops = {op: sum(r["op"] == op for r in records) for op in {r["op"] for r in records}}
        self.assertEqual((stats["head"], stats["records"]), (len(records), ops))
        self.assertEqual(stats["snapshots"], len(snapshots))
        self.assertEqual(stats["current"], len(self.records()))
        self.assertEqual(stats["runs"], len({r["run_id"] for r in snapshots}))
        self.assertEqual(stats["groups"], len({r["group"] for r in snapshots} - {None}))
        self.assertEqual(stats["stages"], len({r["stage"] for r in snapshots}))
        self.assertEqual(stats["saves_day"], len(snapshots))
        self.assertEqual(stats["last_at"], snapshots[-1]["at"] if snapshots else None)
        sizes = {place: {"files": 0, "bytes": 0} for place in PLACES}
        for folder, _, files in os.walk(self.store):
            top = os.path.relpath(folder, self.store).split(os.sep)[0]
            for name in files:
                sizes[top if top in sizes else "other"]["files"] += 1
                sizes[top if top in sizes else "other"]["bytes"] += os.path.getsize(os.path.join(folder, name))
        self.assertEqual(stats["sizes"], sizes)
        self.assertLessEqual(stats["filesystem_free_bytes"], stats["filesystem_bytes"])

    def fill(self):
        lines = []
        for i in range(700):
            record = {"run_id": f"run \"{i // 3}\"", "stage": ("A", "B\\", "C,\"sha256\":\"")[i % 3],
                      "dims": {"sha256": "a" * 64, "size": str(i % 2)}, "doc": {"n": i}}
            if i % 4:
                record["group"] = f"g{i % 50}"
            lines.append(json.dumps(record))
        self.run_ok("save", "--batch", "-", input="\n".join(lines))
        self.save("run \"1\"", "A", {"again": 1}, "--dim", "size=1")
        self.save("large", "only large", {"pad": "x" * 100_000})
        self.run_any("resolve", "01JGX2M8Q6T4ZV0C9K7W3R5YHB")
        self.run_ok("locker", "set", "flock", "--mode", "publish")
        self.save("r" * 500, "long", {"n": 1}, "--group", "g" * 1000)


class Figures(Stats):
    def test_empty(self):
        self.assertAgrees(self.stats())
        self.assertIn("records    0\n", self.run_ok("stats").out)
        parse_prometheus(self.run_ok("stats", "--format", "prometheus").out)

    def test_in_memory_and_indexed(self):
        self.fill()
        self.assertAgrees(self.stats())
        self.run_ok("pack")
        stats = self.stats()
        self.assertAgrees(stats)
        self.assertEqual((stats["tiles"], stats["indexed"]), (2, 512))
        if os.access(PLANTED, os.X_OK):
            self.program = PLANTED
            self.assertAgrees(self.stats(env={"HF_TEST_SHARED": "1"}))

    def test_rates(self):
        """By the time of the record, whatever its id tells."""
        self.save("now", "s", {})
        self.save("given", "s", {}, "--id", "01JGX2M8Q6T4ZV0C9K7W3R5YHB")  # of January 2025
        stats = self.stats()
        self.assertEqual([stats[f"saves_{name}"] for name in ("minute", "hour", "day")], [2, 2, 2])

    def test_damaged(self):
        self.run_ok("locker", "set", "flock", "--mode", "publish")
        for i in range(3):
            self.save(f"r{i}", "s", {"n": i})
        self.write("store/log/00000000000000000003.json", "{}\n")
        stats = self.stats()
        self.assertEqual((stats["damaged"], stats["snapshots"]), (1, 2))
        self.assertEqual(stats["records"], {"mode": 1, "save": 2, "unreadable": 1})
        self.assertIn("damaged    1 records", self.run_ok("stats").out)

    def test_wrong_use(self):
        self.run_bad(USAGE, "stats", "--format", "xml", says="--format")
        self.run_bad(USAGE, "stats", "--json", "--format", "text", says="--json")
        self.run_bad(USAGE, "stats", "x", says="x")
        self.run_bad(FAILED, "stats", "--out", self.path("no", "folder"), says="no/folder")
        self.run_bad(FAILED, "stats", "--out", self.folder, says="is a folder")
        self.run_bad(USAGE, "stats", "--out", "", says="--out")

    def test_what_a_save_costs(self):
        result = self.run_ok("--verbose", "save", "--run-id", "r", "--stage", "s", "-", input="{}")
        self.assertRegex(result.err,
                         r"saved 1, unchanged 0, in 1 commits with [1-9] flushes; waited for the lock 1 times")
        result = self.run_ok("--verbose", "save", "--run-id", "r", "--stage", "s", "-", input="{}")
        self.assertIn("saved 0, unchanged 1, in 0 commits", result.err)


class Prometheus(Stats):
    def families(self, text):
        return {name: {labels: value for labels, value in samples.items()}
                for name, (_, samples) in parse_prometheus(text).items()}

    def test_agrees_with_json(self):
        self.fill()
        families = self.families(self.run_ok("stats", "--format", "prometheus").out)
        stats, uuid = self.stats(), self.manifest()["uuid"]

        def value(name, **labels):
            return families["holdfast_" + name][tuple(sorted({"store": uuid, **labels}.items()))]

        for name in ("head", "runs", "groups", "stages", "tiles"):
            self.assertEqual(value(name), stats[name])
        self.assertEqual(value("snapshots_total"), stats["snapshots"])
        self.assertEqual(value("current_snapshots"), stats["current"])
        for op, count in stats["records"].items():
            self.assertEqual(value("records_total", op=op), count)
        for place in PLACES:
            self.assertEqual(value("size_bytes", place=place), stats["sizes"][place]["bytes"])
            self.assertEqual(value("files", place=place), stats["sizes"][place]["files"])
        self.assertEqual(value("recent_snapshots", window="86400"), stats["saves_day"])
        self.assertLess(abs(value("last_snapshot_timestamp_seconds") - time.time()), 3600)

    def test_labels_are_escaped(self):
        self.store = self.path('a "store"\\ of\nus')
        self.run_ok("init", self.store, "--locker", "flock", "--force", store=None)
        families = parse_prometheus(self.run_ok("stats", "--format", "prometheus").out)
        (labels,) = families["holdfast_store_info"][1]
        shown = dict(labels)["path"].replace('\\"', '"').replace("\\\\", "\\")
        self.assertTrue(shown.endswith('a "store"\\ of\\nus'), shown)

    def test_the_file_is_replaced_as_a_whole(self):
        path = self.path("holdfast.prom")
        self.assertEqual(self.run_ok("stats", "--format", "prometheus", "--out", path).out, "")
        before = os.stat(path).st_ino
        self.save("r", "s", {})
        self.run_ok("stats", "--format", "prometheus", "--out", path)
        self.assertNotEqual(os.stat(path).st_ino, before)
        with open(path, encoding="utf-8") as file:
            self.assertIn("holdfast_records_total", parse_prometheus(file.read()))
        self.assertEqual([name for name in os.listdir(self.folder) if "prom" in name], ["holdfast.prom"])

    def test_the_reader_is_strict(self):
        good = "# HELP a_total x\n# TYPE a_total counter\na_total{b=\"c\"} 1\n"
        parse_prometheus(good)
        for bad in (good[:-1], good + good, good.replace("counter", "gauge"), good.replace("# TYPE", "# Type"),
                    good.replace('"c"', "c"), good.replace('"c"', '"c'), good.replace(" 1", " one"),
                    good.replace('"c"', '"\\x"'), good + 'a_total{b="c"} 2\n', good.replace("a_total{", "b{"),
                    good + "\n", good.split("\n", 1)[1]):
            self.assertRaises(ValueError, parse_prometheus, bad)


class Redis(test_redis.Redis):
    def test_repairs_of_the_counter(self):
        self.save("r0", "s", {})
        self.assertEqual(self.run_ok("stats", "--json").json["counter_repairs"], 0)
        self.server.say("SET", self.key("seq"), "41")
        self.run_ok("save", "--run-id", "r1", "--stage", "s", "-", input="{}")
        self.assertEqual(self.run_ok("stats", "--json").json["counter_repairs"], 1)
        self.assertIn("counter    1 repairs", self.run_ok("stats").out)
        text = self.run_ok("stats", "--format", "prometheus").out
        self.assertIn("holdfast_counter_repairs_total", parse_prometheus(text))
        self.server.kill()
        result = self.run_ok("stats", "--json")
        self.assertIsNone(result.json["counter_repairs"])
        self.assertOneError(result, "repairs of the locker's counter are not known")
        self.assertEqual(self.run_any("stats", "--quiet").err, "")


if __name__ == "__main__":
    main()
