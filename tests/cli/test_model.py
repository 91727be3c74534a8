"""Random stores of 2,000 snapshots, asked and compared with a model that looks at every record (model.py).

Add a kind of questions: a row in QUESTIONS, and its ask_ method.

    HF_TEST_SEED=N tests/cli/test_model.py     another store; a failure names the seed
"""

import csv
import io
import json
import os
import random
import time

from model import (ABSENT, DIMS, GROUPS, RUNS, STAGES, TIMES, Model, Place, compare, instant, put_in_order, text_of)
from support import DONE, NOT_FOUND, Case, main

SNAPSHOTS = 2000
SECONDS = 3  # of questions of one kind, at most
QUESTIONS = {"where": 120, "sort": 40, "columns": 40, "filters": 60, "prev": 60, "groups": 15}


def flattened(value):
    """As people read it, which is what CSV has."""
    if value is ABSENT:
        return ""
    return value if isinstance(value, str) else text_of(value)


class Questions:
    """Each ask_ is a kind of questions; below for each mode."""

    seed = int(os.environ.get("HF_TEST_SEED", "20260102"))

    def setUp(self):
        super().setUp()
        self.rng = random.Random(f"{self.seed} {self.mode}")
        self.model = Model(self.rng)
        self.model.make(SNAPSHOTS)
        self.run_ok("save", "--batch", "-", input=self.model.batch())
        listed = self.records("--all-revisions")
        self.assertEqual([r["seq"] for r in listed], [r.seq for r in self.model.records])
        self.assertEqual([r["run_id"] for r in listed], [r.run_id for r in self.model.records])
        self.model.learn(listed)

    def test_questions(self):
        for kind in QUESTIONS:
            self.rng.seed(f"{self.seed} {kind}")
            with self.subTest(seed=self.seed, mode=self.mode, kind=kind):
                getattr(self, f"ask_{kind}")()

    def questions(self, kind):
        """So many, or as many as there is time for."""
        end = time.monotonic() + SECONDS
        for number in range(QUESTIONS[kind]):
            yield number
            if time.monotonic() > end:
                break

    def listed(self, *args):
        lines = self.run_ok("list", "--format", "jsonl", "--columns", "seq", *args).out.splitlines()
        return [json.loads(line)["seq"] for line in lines]

    def matching(self, expression, records):
        return [record.seq for record in records if expression.holds(record)]

    def ask_where(self):
        found = 0
        for number in self.questions("where"):
            expression = self.model.precedence() if number % 4 == 0 else self.model.expression()
            records, args = self.model.current(), []
            if number % 3 == 0:
                records, args = self.model.records, ["--all-revisions"]
            wanted = self.matching(expression, records)
            self.assertEqual(self.listed("--where", expression.text, *args), wanted, expression.text)
            found += 0 < len(wanted) < len(records)
        self.assertGreater(10 * found, number)  # many questions are not about all or nothing

    def ask_filters(self):
        for _ in self.questions("filters"):
            rng, args = self.rng, []
            until = rng.choice((None, rng.randrange(1, len(self.model.records))))
            if until is not None:
                args += ["--until", str(until)]
            records = self.model.current(until)
            if rng.random() < 0.5:
                records = [record for record in self.model.records if until is None or record.seq <= until]
                args += ["--all-revisions"]
            records, more = self.narrowed(records)
            args += more
            if rng.random() < 0.4:
                first, second = self.model.expression(2), self.model.expression(1)
                args += ["--where", first.text, "--where", second.text]
                records = [record for record in records if first.holds(record) and second.holds(record)]
            if rng.random() < 0.3:
                args, records = [*args, "--reverse"], records[::-1]
            if rng.random() < 0.3:
                args, records = [*args, "--limit", "7"], records[:7]
            self.assertEqual(self.listed(*args), [record.seq for record in records], args)

    def narrowed(self, records):
        """Some of the filters that are options."""
        rng, args = self.rng, []
        chosen = {name: value for name, value in (
            ("run-id", rng.choice(RUNS)), ("stage", rng.choice(STAGES)), ("group", rng.choice(GROUPS[1:])),
            ("dim", rng.choice([(n, v) for n, values in DIMS.items() for v in values])),
            ("host", rng.choice((self.model.records[0].host, "elsewhere"))), ("since", rng.randrange(1, 1500)),
            ("after", rng.choice(TIMES)), ("before", rng.choice(TIMES))) if rng.random() < 0.2}
        for name, value in chosen.items():
            args += [f"--{name}", "=".join(value) if name == "dim" else str(value)]
        tests = {
            "run-id": lambda r, v: r.run_id == v, "stage": lambda r, v: r.stage == v,
            "group": lambda r, v: r.group == v,
            "dim": lambda r, v: r.dims.get(v[0]) == v[1], "host": lambda r, v: r.host == v,
            "since": lambda r, v: r.seq >= v, "after": lambda r, v: instant(r.time) >= instant(v),
            "before": lambda r, v: instant(r.time) < instant(v),
        }
        return [r for r in records if all(tests[n](r, v) for n, v in chosen.items())], args

    def ask_sort(self):
        for _ in self.questions("sort"):
            rng = self.rng
            place = Place(rng.choice(("ts", "time"))) if rng.random() < 0.2 else self.model.some_place()
            descending, reverse, limit = rng.random() < 0.5, rng.random() < 0.3, rng.choice((None, 1, 10, 600))
            records = self.model.current()[:: -1 if reverse else 1]
            wanted = [record.seq for record in put_in_order(place, records, descending)][:limit]
            args = ["--sort", place.text + (":desc" if descending else "")] + (["--reverse"] if reverse else [])
            args += ["--limit", str(limit)] if limit else []
            self.assertEqual(self.listed(*args), wanted, args)

    def ask_columns(self):
        for _ in self.questions("columns"):
            chosen = [self.model.some_place() for _ in range(self.rng.randrange(1, 5))]
            places = {place.name: place for place in chosen}
            names = ",".join(place.text for place in places.values())
            args = ["list", "--columns", names, "--limit", "50", "--format"]
            records = self.model.current()[:50]
            lines = self.run_ok(*args, "jsonl").out.splitlines()
            for line, record in zip(lines, records, strict=True):
                shown = json.loads(line, parse_float=str, parse_int=str)
                self.assertEqual(list(shown), list(places))
                for name, place in places.items():
                    value = place.of(record)
                    wanted = json.loads("null" if value is ABSENT else text_of(value), parse_float=str, parse_int=str)
                    self.assertEqual(shown[name], wanted, (name, record.seq))
            text = self.run_ok(*args, "csv").out_bytes.decode()
            rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
            self.assertEqual(rows[0], list(places))
            for row, record in zip(rows[1:], records, strict=True):
                for cell, place in zip(row, places.values(), strict=True):
                    value = place.of(record)
                    if isinstance(value, (str, bool)) or value is ABSENT or value is None:
                        self.assertEqual(cell, flattened(value))
                    else:  # strings inside may be escaped in another way
                        self.assertEqual(json.loads(cell, parse_float=str, parse_int=str),
                                         json.loads(text_of(value), parse_float=str, parse_int=str))

    def ask_prev(self):
        for _ in self.questions("prev"):
            record = self.rng.choice(self.model.records)
            wanted = self.model.previous(record)
            result = self.run_any("prev", "--seq", str(record.seq), "--meta")
            self.assertEqual(result.status, DONE if wanted else NOT_FOUND, (record.seq, result))
            if wanted:
                self.assertEqual(result.json["seq"], wanted.seq)

    def ask_groups(self):
        for number in self.questions("groups"):
            records, args = self.model.records, []
            self.model.current()
            if number > 0:
                records, args = self.narrowed(records)
            if number % 2 == 1:
                expression = self.model.expression(1)
                records = [record for record in records if expression.holds(record)]
                args += ["--where", expression.text]
            wanted = [
                {"group": group[0].group, "stage": group[0].stage, "dims": group[0].dims, "count": len(group),
                 "runs": len({record.run_id for record in group}), "first_seq": group[0].seq,
                 "first_time": group[0].time, "last_seq": group[-1].seq, "last_time": group[-1].time}
                for group in self.model.groups(records)
            ]
            shown = self.run_ok("groups", "--json", *args).jsonl
            self.assertEqual([{name: line[name] for name in one} for line, one in zip(shown, wanted)], wanted, args)
            self.assertEqual(len(shown), len(wanted))


class Journal(Questions, Case):
    mode = "journal"


class Publish(Questions, Case):
    mode = "publish"


class TheModelItself(Case):
    """A model that agrees with everything would show nothing."""

    make_store = False

    def test_comparisons(self):
        one, two = Model(random.Random(1)), None
        one.make(50)
        values = [value for record in one.records for value in record.doc.value.values()]
        for value in values:
            two = value
            self.assertTrue(compare("==", value, two, False))
            self.assertFalse(compare("!=", value, two, False))
            self.assertFalse(compare("!=", value, ABSENT, False))
            self.assertFalse(compare("<", value, True, False))


if __name__ == "__main__":
    main()
