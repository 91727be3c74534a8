"""A model of `holdfast diff`, written from its description: slow, and without a thought for size.

Documents are read with their numbers as texts. Used by test_diff_model.py, and by
tests/fuzz/diff_differential.py for many more pairs."""

import decimal
import json
import random
import re

decimal.getcontext().prec = 3000
SECTIONS = ("inputs", "process", "outputs", "other")
SEVERITIES = ("none", "minor", "major", "critical")
SECTION_OF = {
    **dict.fromkeys(("inputs", "input", "data", "dataset", "features"), "inputs"),
    **dict.fromkeys(
        ("process", "config", "params", "parameters", "hyperparameters", "versions", "environment"), "process"
    ),
    **dict.fromkeys(("outputs", "output", "metrics", "results", "scores"), "outputs"),
}


class Number:
    """A number's text, and its value."""

    def __init__(self, text):
        self.text = text
        self.value = decimal.Decimal(text)

    def __repr__(self):
        return self.text


def read(text):
    return json.loads(text, parse_int=Number, parse_float=Number)


def meaning(value, spelled=False):
    """Equal for equal values, and for no others. spelled: numbers by their texts."""
    if isinstance(value, Number):
        return ("number", value.text if spelled else value.value + 0)  # -0 is 0
    if isinstance(value, dict):
        return ("object", frozenset((name, meaning(one, spelled)) for name, one in value.items()))
    if isinstance(value, list):
        return ("list", tuple(meaning(one, spelled) for one in value))
    return (type(value).__name__, value)


# ---- patterns and rules ----


def compile_pattern(pattern):
    def name(piece):
        piece = piece.replace("~1", "/").replace("~0", "~")
        return "".join("[^\0]*" if c == "*" else re.escape(c) for c in piece)

    if not pattern.startswith("/") and pattern:
        return re.compile(r"(?s)(?:.*)\0" + name(pattern))
    out = ""
    for piece in pattern.split("/")[1:]:
        out += r"(?:\0[^\0]*)*" if piece == "**" else r"\0" + name(piece)
    return re.compile(r"(?s)" + out)


class Rules:
    """What `holdfast diff --rules` prints."""

    def __init__(self, text):
        rules = json.loads(text, parse_int=Number, parse_float=Number)
        self.tolerance = rules["tolerance"].value
        self.leave_out = [(compile_pattern(p), 0) for p in rules["keep"]]
        self.can_keep = bool(self.leave_out)
        self.leave_out += [(compile_pattern(p), 1) for p in rules["leave_out"]]
        self.sets = [(compile_pattern(p), 0) for p in rules["lists"]]
        self.sets += [(compile_pattern(p), 1) for p in rules["sets"]]
        self.tolerances = [(compile_pattern(r["pattern"]), r["tolerance"].value) for r in rules["tolerances"]]
        self.severity = [(compile_pattern(r["pattern"]), r["severity"]) for r in rules["severity"]]

    @staticmethod
    def first(rules, path, otherwise):
        """Of the first rule whose pattern names the place or one above it."""
        places = ["".join("\0" + shown(name) for name in path[:i]) for i in range(len(path) + 1)]
        for pattern, answer in rules:
            if any(pattern.fullmatch(place) for place in places):
                return answer
        return otherwise


def shown(name):
    """A name as a pointer can hold it."""
    return "".join("\N{REPLACEMENT CHARACTER}" if "\ud800" <= c <= "\udfff" or c == "\0" else c for c in name)


def pointer(path):
    return "".join("/" + shown(name).replace("~", "~0").replace("/", "~1") for name in path)


# ---- comparing ----

ABSENT = object()


def align(a, b):
    """Pairs of indexes (either may be None), by the longest common subsequence."""
    a = [meaning(one) for one in a]
    b = [meaning(one) for one in b]
    begin = 0
    while begin < min(len(a), len(b)) and a[begin] == b[begin]:
        begin += 1
    end = 0
    while end < min(len(a), len(b)) - begin and a[-1 - end] == b[-1 - end]:
        end += 1
    m, n = len(a) - end, len(b) - end
    length = [[0] * (n + 1) for _ in range(m + 1)]
    for i in range(m - 1, begin - 1, -1):
        for j in range(n - 1, begin - 1, -1):
            same = a[i] == b[j]
            length[i][j] = length[i + 1][j + 1] + 1 if same else max(length[i + 1][j], length[i][j + 1])
    common = [(i, i) for i in range(begin)]
    i = j = begin
    while i < m and j < n:
        if a[i] == b[j]:
            common.append((i, j))
            i, j = i + 1, j + 1
        elif length[i + 1][j] >= length[i][j + 1]:
            i += 1
        else:
            j += 1
    common += [(m + k, n + k) for k in range(end)] + [(len(a), len(b))]
    pairs, i, j = [], 0, 0
    for x, y in common:
        while i < x or j < y:
            pairs.append((i if i < x else None, j if j < y else None))
            i, j = min(i + 1, x), min(j + 1, y)
        if x < len(a):
            pairs.append((x, y))
        i, j = x + 1, y + 1
    return pairs


class Diff:
    """changes: (kind, section, severity, pointer, old pointer or None, old, new)."""

    def __init__(self, a, b, rules):
        self.rules = rules
        self.changes = []
        self.close = self.left_out = 0
        self.compare(a, b, (), (), False)
        self.changes.sort(key=lambda change: SECTIONS.index(change[1]))  # stable
        worst = [SEVERITIES.index(change[2]) for change in self.changes]
        self.severity = SEVERITIES[max(worst, default=0)]

    def compare(self, a, b, a_path, b_path, in_list):
        path = a_path if b is ABSENT else b_path
        left_out = self.rules.first(self.rules.leave_out, path, 0)
        equal = a is not ABSENT and b is not ABSENT and meaning(a) == meaning(b)
        if equal:
            return
        if not (left_out and not self.rules.can_keep) and self.go_inside(a, b, a_path, b_path, in_list):
            return
        kind = "removed" if b is ABSENT else "added" if a is ABSENT else "changed"
        if left_out:
            self.left_out += 1
            return
        if isinstance(a, Number) and isinstance(b, Number):
            tolerance = self.rules.first(self.rules.tolerances, path, self.rules.tolerance)
            if abs(a.value - b.value) < tolerance:
                self.close += 1
                return
        severity = self.rules.first(self.rules.severity, path, "major")
        section = SECTION_OF.get(path[0], "other") if path else "other"
        old = None if a is ABSENT else pointer(a_path)
        self.changes.append((kind, section, severity, pointer(path), old, a, b))

    def go_inside(self, a, b, a_path, b_path, in_list):
        one_sided = a is ABSENT or b is ABSENT
        one = b if a is ABSENT else a
        if one_sided and (in_list or not isinstance(one, dict) or not one):
            return False
        if not one_sided and (not isinstance(a, (dict, list)) or not isinstance(b, type(a))):
            return False
        if isinstance(one, dict):
            a = {} if a is ABSENT else a
            b = {} if b is ABSENT else b
            for name in list(a) + [name for name in b if name not in a]:
                self.compare(a.get(name, ABSENT), b.get(name, ABSENT), a_path + (name,), b_path + (name,), False)
        elif self.rules.first(self.rules.sets, b_path, 0):
            for mine, other, is_a in ((a, b, True), (b, a, False)):
                seen = {meaning(value) for value in other}
                for i, value in enumerate(mine):
                    if meaning(value) in seen:
                        continue
                    seen.add(meaning(value))
                    at = (str(i),)
                    self.compare(*((value, ABSENT) if is_a else (ABSENT, value)), a_path + at, b_path + at, True)
        else:
            for i, j in align(a, b):
                self.compare(
                    ABSENT if i is None else a[i], ABSENT if j is None else b[j],
                    a_path + (str(i),), b_path + (str(j),), True,
                )  # fmt: skip
        return True

    def told(self):
        """In an order that does not depend on that of members."""
        return sorted((*change[:5], repr(change[5]), repr(change[6])) for change in self.changes)


# ---- patches ----


def apply_patch(document, patch):
    """RFC 6902, exactly; raises where it does not allow something."""
    for op in patch:
        names = [name.replace("~1", "/").replace("~0", "~") for name in op["path"].split("/")[1:]]
        if not names:
            assert op["op"] == "replace"
            document = op["value"]
            continue
        place = document
        for name in names[:-1]:
            place = place[index(name, len(place) - 1)] if isinstance(place, list) else place[name]
        last = names[-1]
        if isinstance(place, list):
            at = index(last, len(place) if op["op"] == "add" else len(place) - 1)
            if op["op"] == "add":
                place.insert(at, op["value"])
            elif op["op"] == "remove":
                del place[at]
            else:
                place[at] = op["value"]
        elif op["op"] == "remove":
            del place[last]
        else:
            assert op["op"] == "add" or last in place, op
            place[last] = op["value"]
    return document


def index(name, most):
    assert re.fullmatch(r"0|[1-9][0-9]*", name) and int(name) <= most, name
    return int(name)


# ---- documents ----

NAMES = (
    "run_id timestamp data_path features metrics auc loss cv seed learning_rate inputs process outputs "
    "selected_features leakage tags config a b c d x/y m~n é \U0001f600 target date_start "
    "warnings n_features versions duration_s"
).split() + ["", 'q"q', "tab\t", "nul\0", "lone\ud800", "*", "0", "1"]
NUMBERS = (
    "0 -0 0.0 1 1.0 1e0 10e-1 2 100 1e2 100.0 0.1 0.10 0.100001 0.1000009 0.1000001 9007199254740992 9007199254740993 "
    "1e400 1e401 -1e400 1e-400 0.5 0.5000004 0.4999996 3 4 5 123456789.123456 123456789.1234565"
).split()
STRINGS = ["", "a", "b", "x/y", "é", "\U0001f600", 'q"', "back\\slash", "line\n", "lone\udfff", "1", "null"]


def is_double(text):
    """Read and printed again by a program that has doubles it is the same number."""
    value = decimal.Decimal(text)
    return abs(value) < 1e15 and decimal.Decimal(f"{float(text):.15g}") == value


class Maker:
    """Random documents, and others that are like them, by a seed. simple: without what other programs
    read in another way: numbers that no double holds, NUL bytes, lone surrogates, members that stand twice;
    and names with ~ or /, of which cJSON_Utils 1.7.15 drops what follows "~0" or "~1"."""

    def __init__(self, seed, simple=False):
        self.random = random.Random(seed)
        self.simple = simple
        self.names = [name for name in NAMES if not simple or pointer((shown(name),)) == "/" + name]
        self.strings = [text for text in STRINGS if not simple or shown(text) == text]
        self.numbers = [text for text in NUMBERS if not simple or is_double(text)]

    def value(self, depth):
        kind = self.random.randrange(8 if depth > 0 else 5)
        if kind < 2:
            return Number(self.random.choice(self.numbers))
        if kind < 4:
            return self.random.choice(self.strings)
        if kind == 4:
            return self.random.choice((None, True, False, [], {}))
        if kind == 5:
            return [self.value(depth - 1) for _ in range(self.random.randrange(7))]
        return self.object(depth - 1)

    def object(self, depth):
        return {self.random.choice(self.names): self.value(depth) for _ in range(self.random.randrange(7))}

    def document(self):
        document = self.object(2)
        for section in self.random.sample(("inputs", "process", "outputs"), 2):
            document[section] = self.object(3)
        return document

    def changed(self, value, depth=4):
        """Much of it as it was."""
        if self.random.randrange(12) == 0:
            return self.value(depth if depth > 0 else 0)
        if isinstance(value, dict):
            items = [(name, self.changed(one, depth - 1)) for name, one in value.items() if self.random.randrange(10)]
            if self.random.randrange(4) == 0:
                items.append((self.random.choice(self.names), self.value(max(depth - 2, 0))))
            if self.random.randrange(3) == 0:
                self.random.shuffle(items)
            return dict(items)
        if isinstance(value, list):
            made = [self.changed(one, depth - 1) for one in value if self.random.randrange(8)]
            while self.random.randrange(3) == 0:
                made.insert(self.random.randrange(len(made) + 1), self.value(max(depth - 2, 0)))
            if self.random.randrange(8) == 0:
                self.random.shuffle(made)
            return made
        return value

    def changed_document(self, document):
        changed = self.changed(document)
        return changed if isinstance(changed, dict) else document

    def string(self, text):
        out = ""
        for c in text:
            if self.random.randrange(10) == 0 and c < "\ud800":
                out += f"\\u{ord(c):04x}"
            elif "\ud800" <= c <= "\udfff":
                out += f"\\u{ord(c):04X}"
            else:
                out += json.dumps(c, ensure_ascii=False)[1:-1]
        return f'"{out}"'

    def text(self, value):
        """JSON; strings in several spellings, some members twice."""
        if isinstance(value, Number):
            return value.text
        if isinstance(value, str):
            return self.string(value)
        if isinstance(value, list):
            return "[" + ",".join(self.text(one) for one in value) + "]"
        if isinstance(value, dict):
            members = []
            for name, one in value.items():
                if not self.simple and self.random.randrange(20) == 0:
                    members.append(f"{self.string(name)}:{self.random.choice(self.numbers)}")
                members.append(f"{self.string(name)}:{self.text(one)}")
            return "{" + ",".join(members) + "}"
        return json.dumps(value)
