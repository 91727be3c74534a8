"""A brute-force model of a store: random snapshots by a seed, and the answers that follow from their list alone.

    model = Model(random.Random(seed)); model.make(2000); model.batch() is what `save --batch` gets
    model.records                       every record, in the order of seq
    model.current(until), model.previous(record), model.groups()
    model.expression() and evaluate(expression, record): see expressions in include/holdfast/expr.h

Add a question: a method that answers it by looking at all records, and a test in test_model.py that asks the program.
"""

import json
from datetime import datetime, timezone
from decimal import Decimal

ABSENT = object()
RUNS = [f"run {i}" if i % 5 == 0 else f"r{i}" for i in range(60)] + ["a:b", 'q"uote', "back\\slash", "größe"]
STAGES = ("train", "final", "test set")
GROUPS = (None, "g1", "g2", 'group "three"', "g,4")
DIMS = {"view": ("cross", "long", ""), "a b": ("x", "y"), "t": ("1", "2")}
NAMES = ("n", "auc", "s", "o", "list", "a b", "a/b", "m~n", "", "0", "1", "ä", 'q"', "back\\")
NUMBERS = ("0", "-0", "0.0", "1", "1.0", "1e0", "10E-1", "0.1", "0.10", "1e-1", "0.7", "0.70000000000000001", "7e-1",
           "100", "1e2", "1E+2", "-3", "-3.5", "9007199254740992", "9007199254740993", "9007199254740993.0", "1e400",
           "1e401", "-1e400", "1e-400", "123456789012345678901234567890", "0.1000000000000000055511151231257827")
STRINGS = ("", "a", "abc", "ABC", "b", "0.7", "1", "true", "tab\there", 'quote "', "back\\slash", "ünïcode", "😀",
           "\ufffd", "final", "2026-01-02T03:04:05Z", "2026-01-02 04:00:00+01:00")
TIMES = ("2026-01-02T03:04:05Z", "2026-01-02 03:04:05", "2026-01-02T03:04:05.000001+00:00",
         "2026-01-02T04:04:05+01:00", "2026-01-01T22:04:05-05:00", "2026-01-02", "2026-01-02T03:04",
         "2025-12-31T23:59:59.999999", "2027-05-05T00:00:00Z")
MEMBERS = ("seq", "run_id", "stage", "group", "host", "size", "current", "op", "dims.view", 'dims."a b"', "dims.t")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


class Number:
    """A number as it is written."""

    def __init__(self, text):
        self.text = text
        self.value = Decimal(text)


class Object:
    """Members in their order; of a name that stands twice the last counts."""

    def __init__(self, members):
        self.members = members
        self.value = dict(members)


def text_of(value):
    """JSON, a value always in the same way; of strings every third is escaped."""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, Object):
        return "{" + ",".join(f"{text_of(n)}:{text_of(v)}" for n, v in value.members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(text_of(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=isinstance(value, str) and len(value) % 3 == 0)


def kind(value):
    for name, types in (("bool", bool), ("null", type(None)), ("string", str), ("number", Number), ("array", list),
                        ("object", Object)):
        if isinstance(value, types):
            return f"bool {value}" if name == "bool" else name
    raise TypeError(value)


def equal(a, b):
    if kind(a) != kind(b):
        return False
    if isinstance(a, Number):
        return a.value == b.value
    if isinstance(a, list):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b))
    if isinstance(a, Object):
        return a.value.keys() == b.value.keys() and all(equal(v, b.value[n]) for n, v in a.value.items())
    return a == b


def instant(text):
    """A timestamp as an instant; ABSENT where it is none. Without a zone: UTC."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return ABSENT
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time


def decide(comparison, a, b):
    return {"==": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[comparison]


def compare(comparison, a, b, as_times):
    if a is ABSENT or b is ABSENT:
        return False
    if as_times:
        times = [instant(v) if isinstance(v, str) else ABSENT for v in (a, b)]
        return comparison == "!=" if ABSENT in times else decide(comparison, *times)
    if comparison in ("==", "!="):
        return equal(a, b) == (comparison == "==")
    if kind(a) != kind(b) or kind(a) not in ("number", "string"):
        return False
    return decide(comparison, a.value, b.value) if isinstance(a, Number) else decide(comparison, a, b)


class Place:
    """A member of the envelope or a pointer, as it is written in an expression."""

    def __init__(self, text, path=None):
        self.text = text
        self.path = path  # None: a member
        self.is_time = text in ("ts", "at", "time")

    @property
    def name(self):
        """What a column is called."""
        if self.path is not None:
            return pointer_of(self.path)
        return self.text.replace('"', "")

    def of(self, record):
        return record.find(self.path) if self.path is not None else record.member(self.text)


def pointer_of(path):
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in path)


def place_of(path):
    pointer = pointer_of(path)
    plain = pointer and not set(pointer) & set(' ()<>=!,"\t')
    return Place(pointer if plain else "@" + json.dumps(pointer, ensure_ascii=False), path)


class Record:
    def __init__(self, seq, run_id, stage, dims, group, ts, doc, doc_text):
        self.seq, self.run_id, self.stage, self.dims, self.group, self.ts = seq, run_id, stage, dims, group, ts
        self.doc, self.doc_text = doc, doc_text
        self.is_current = None  # as of the question that is asked
        self.at = self.host = None  # as the store tells them

    @property
    def key(self):
        return self.run_id, self.stage, tuple(sorted(self.dims.items()))

    @property
    def comparable(self):
        """None: with nothing."""
        return None if self.group is None else (self.group, self.stage, tuple(sorted(self.dims.items())))

    @property
    def time(self):
        return self.at if self.ts is None else self.ts

    def find(self, path):
        value = self.doc
        for name in path:
            if isinstance(value, Object) and name in value.value:
                value = value.value[name]
            elif isinstance(value, list) and name.isdigit() and str(int(name)) == name and int(name) < len(value):
                value = value[int(name)]
            else:
                return ABSENT
        return value

    def member(self, text):
        if text.startswith("dims."):
            return self.dims.get(text[5:].strip('"'), ABSENT)
        if text in ("seq", "size"):
            return Number(str(self.seq if text == "seq" else len(self.doc_text.encode())))
        value = {"op": "save", "current": self.is_current}.get(text)
        if value is None:
            value = getattr(self, text)
        return ABSENT if value is None else value


class Expression:
    """text, and what it holds for."""

    def __init__(self, text, holds):
        self.text = text
        self.holds = holds


class Model:
    def __init__(self, rng):
        self.rng = rng
        self.records = []
        self.lines = []

    # ---- making ----

    def value(self, depth):
        rng = self.rng
        roll = rng.random()
        if depth > 0 and roll < 0.25:
            names = [rng.choice(NAMES) for _ in range(rng.randrange(6))]
            return Object([(name, self.value(depth - 1)) for name in names])
        if depth > 0 and roll < 0.35:
            return [self.value(depth - 1) for _ in range(rng.randrange(4))]
        if roll < 0.75:
            return Number(rng.choice(NUMBERS))
        if roll < 0.9:
            return rng.choice(STRINGS)
        return rng.choice((None, True, False))

    def document(self):
        names = self.rng.sample(NAMES, self.rng.randrange(1, 9))
        if self.rng.random() < 0.1:
            names.append(names[0])
        return Object([(name, self.value(3)) for name in names])

    def make(self, count):
        """So many lines for `save --batch`; some of them save nothing new."""
        newest = {}
        for _ in range(count):
            rng = self.rng
            dims = {name: rng.choice(values) for name, values in DIMS.items() if rng.random() < 0.2}
            ts = rng.choice((None, *TIMES))
            doc = self.document()
            record = Record(len(self.records) + 1, rng.choice(RUNS), rng.choice(STAGES), dims, rng.choice(GROUPS), ts,
                            doc, text_of(doc))
            before = newest.get(record.key)
            if before is not None and rng.random() < 0.1:  # the same again
                record.group, record.doc, record.doc_text = before.group, before.doc, before.doc_text
            group = {} if record.group is None else {"group": record.group}
            key = {"run_id": record.run_id, "stage": record.stage, "dims": dims}
            head = json.dumps({**key, **group, "timestamp": ts or ""})
            self.lines.append(f'{head[:-1]},"doc":{record.doc_text}}}\n')
            if before is None or (before.group, before.doc_text) != (record.group, record.doc_text):
                newest[record.key] = record
                self.records.append(record)

    def batch(self):
        return "".join(self.lines)

    def learn(self, listed):
        """What only the store knows: when and where each was saved."""
        for record, line in zip(self.records, listed, strict=True):
            record.at, record.host = line["at"], line["host"]

    # ---- questions ----

    def current(self, until=None):
        """Marks the current revisions, and answers with them."""
        until = len(self.records) if until is None else until
        newest = {record.key: record for record in self.records if record.seq <= until}
        for record in self.records:
            record.is_current = newest.get(record.key) is record
        return [record for record in self.records if record.is_current]

    def previous(self, record):
        for other in reversed(self.records[: record.seq - 1]):
            if record.group is not None and other.comparable == record.comparable and other.run_id != record.run_id:
                return other
        return None

    def groups(self, records):
        found = {}
        for record in records:
            if record.comparable is not None:
                found.setdefault(record.comparable, []).append(record)
        return list(found.values())

    # ---- expressions ----

    def some_place(self):
        rng = self.rng
        if rng.random() < 0.3:
            return Place(rng.choice(MEMBERS))
        record = rng.choice(self.records)
        path, value = [], record.doc
        while True:  # mostly one that is there
            if isinstance(value, Object) and value.value and (not path or rng.random() < 0.7):
                path.append(rng.choice(list(value.value)))
                value = value.value[path[-1]]
            elif isinstance(value, list) and value and rng.random() < 0.7:
                path.append(str(rng.randrange(len(value))))
                value = value[int(path[-1])]
            else:
                break
        if rng.random() < 0.1:
            path.append(rng.choice(NAMES))
        return place_of(path)

    def literal(self):
        roll = self.rng.random()
        if roll < 0.6:
            return Number(self.rng.choice(NUMBERS))
        if roll < 0.9:
            return self.rng.choice(STRINGS + STAGES + tuple(RUNS[:9]))
        return self.rng.choice((None, True, False))

    def comparison(self):
        rng = self.rng
        place = Place(rng.choice(("ts", "at", "time"))) if rng.random() < 0.1 else self.some_place()
        if rng.random() < 0.15:
            word = f"exists {place.text}" if rng.random() < 0.5 else f"{place.text} exists"
            return Expression(word, lambda record: place.of(record) is not ABSENT)
        if rng.random() < 0.25:
            other = self.some_place()
            text, get, is_time = other.text, other.of, place.is_time
        else:
            value = rng.choice(TIMES) if place.is_time else self.literal()
            text = json.dumps(value) if isinstance(value, str) else text_of(value)
            get, is_time = (lambda record: value), place.is_time
        sign = rng.choice(COMPARISONS)
        if rng.random() < 0.2:
            return Expression(f"{text} {sign} {place.text}",
                              lambda record: compare(sign, get(record), place.of(record), is_time))
        return Expression(f"{place.text} {sign} {text}",
                          lambda record: compare(sign, place.of(record), get(record), is_time))

    def expression(self, depth=3):
        rng = self.rng
        roll = rng.random()
        if depth == 0 or roll < 0.4:
            return self.comparison()
        if roll < 0.55:
            part = self.expression(depth - 1)
            return Expression(f"not ({part.text})", lambda record: not part.holds(record))
        parts = [self.expression(depth - 1) for _ in range(rng.randrange(2, 4))]
        if roll < 0.8:
            return Expression(" and ".join(f"({part.text})" for part in parts),
                              lambda record: all(part.holds(record) for part in parts))
        return Expression(" or ".join(f"({part.text})" for part in parts),
                          lambda record: any(part.holds(record) for part in parts))

    def precedence(self):
        """Three comparisons without parentheses: not before and before or."""
        a, b, c = (self.comparison() for _ in range(3))
        return Expression(f"{a.text} or not {b.text} and {c.text}",
                          lambda r: a.holds(r) or (not b.holds(r) and c.holds(r)))


def sort_key(place, record):
    """(rank, value): numbers, times, texts; None: last."""
    value = place.of(record)
    if value is ABSENT or value is None:
        return None
    if isinstance(value, Number):
        return 0, value.value
    if place.is_time and instant(value) is not ABSENT:
        return 1, instant(value)
    return 2, value if isinstance(value, str) else text_of(value)


def put_in_order(place, records, descending):
    """Stable; what is absent comes last in both directions."""
    keys = {record.seq: sort_key(place, record) for record in records}
    present = [record for record in records if keys[record.seq] is not None]
    absent = [record for record in records if keys[record.seq] is None]
    if descending:  # reversed twice, so that equal ones stay in their order
        return sorted(present[::-1], key=lambda record: keys[record.seq])[::-1] + absent
    return sorted(present, key=lambda record: keys[record.seq]) + absent
