"""What an export to a table must hold, made from the JSON lines of the same store: a second opinion, by other means."""

import decimal
import json
import re
import struct

COLUMNS_MAX = 500
POINTER_BYTES_MAX = 512
ENVELOPE = "seq run_id stage dims group ts at host pid id sha256 size current doc".split()


class Number(str):
    """A number as the text that it is."""


def members(pairs):
    """Of members with one name the last, where it stands."""
    found = {}
    for name, value in pairs:
        found.pop(name, None)
        found[name] = value
    return found


def parse(text):
    return json.loads(text, parse_int=Number, parse_float=Number, object_pairs_hook=members)


def is_integer(number):
    return re.fullmatch(r"-?\d+", number) is not None and number != "-0" and -(2**63) <= int(number) < 2**63


def is_real(number):
    """At most 17 digits, and the nearest double, printed with as many, says the same."""
    exact = decimal.Decimal(number)
    if exact.is_zero():
        return True
    count = len("".join(map(str, exact.as_tuple().digits)).strip("0"))
    nearest = float(number)
    if count > 17 or nearest in (float("inf"), float("-inf")):
        return False
    return decimal.Decimal("%.*e" % (count - 1, nearest)) == exact


def kind(value):
    if isinstance(value, Number):
        return "integer" if is_integer(value) else "real" if is_real(value) else "other"
    return {bool: "boolean", type(None): "null"}.get(type(value), "string")


def has_name(name):
    return "\0" not in name and not any(0xD800 <= ord(c) <= 0xDFFF for c in name)


def leaves(doc, pointer=""):
    for name, value in doc.items():
        if not has_name(name):
            continue
        here = pointer + "/" + name.replace("~", "~0").replace("/", "~1")
        if isinstance(value, dict):
            yield from leaves(value, here)
        elif not isinstance(value, list):
            yield here, value


def text(value):
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        return value if not any(0xD800 <= ord(c) <= 0xDFFF for c in value) else json.dumps(value)
    return json.dumps(value)


class Column:
    def __init__(self, pointer):
        self.pointer = pointer
        self.kinds = set()
        self.integers_are_real = True
        self.count = 0

    def see(self, value):
        self.count += 1
        self.kinds.add(kind(value))
        if kind(value) == "integer" and not is_real(value):
            self.integers_are_real = False

    @property
    def type(self):
        kinds = self.kinds - {"null"}
        if kinds == {"boolean"}:
            return "boolean"
        if kinds == {"integer"}:
            return "integer"
        if kinds == {"real"} or kinds == {"integer", "real"} and self.integers_are_real:
            return "real"
        return "text"

    @property
    def is_mixed(self):
        return self.type == "text" and bool(self.kinds - {"null", "string"})

    def cell(self, value):
        """As Parquet has it."""
        if value is None:
            return None
        if self.type == "boolean":
            return value
        if self.type == "integer":
            return ["i", str(int(value))]
        return real(value) if self.type == "real" else text(value)

    def sqlite_cell(self, value):
        if value is None:
            return None
        if self.type == "boolean":
            return int(value)
        if self.type == "real":
            return float(value)
        if isinstance(value, Number) and kind(value) in ("integer", "real"):
            return int(value) if kind(value) == "integer" else float(value)
        return text(value)


def real(value):
    return ["d", struct.pack(">d", float(value)).hex()]


class Snapshot:
    def __init__(self, line):
        self.record = parse(line)
        self.doc_text = line[line.index(b',"doc":') + len(b',"doc":'):-1].decode() if b',"doc":' in line else None
        self.seq = int(self.record["seq"])
        self.stage = self.record["stage"]
        self.dims = self.record.get("dims") or {}
        self.key = (self.record["run_id"], self.stage, tuple(sorted(self.dims.items())))
        self.leaves = dict(leaves(self.record["doc"]))
        self.current = False

    def envelope(self):
        """Cells, with dims taken apart."""
        r = self.record
        return [["i", str(self.seq)], r["run_id"], self.stage, self.dims, r.get("group"), r.get("ts"), r["at"],
                r["host"], ["i", r["pid"]], r["id"], r["sha256"], ["i", r["size"]], self.current, self.doc_text]


class Sheet:
    """The columns of some snapshots, in the order in which their pointers came first."""

    def __init__(self, snapshots):
        self.snapshots = snapshots
        seen = {}
        for snapshot in snapshots:
            for pointer, value in snapshot.leaves.items():
                if len(pointer.encode()) > POINTER_BYTES_MAX:
                    continue
                seen.setdefault(pointer, Column(pointer)).see(value)
        every = list(seen.values())
        best = sorted(range(len(every)), key=lambda i: (-every[i].count, i))[:COLUMNS_MAX]
        self.columns = [every[i] for i in sorted(best)]
        names = set()
        for column in self.columns:
            name, number = column.pointer, 2
            while fold(name) in names:
                name, number = f"{column.pointer} ({number})", number + 1
            column.name = name
            names.add(fold(name))


def fold(name):
    return "".join(c.lower() if c.isascii() else c for c in name)


def snapshots(jsonl):
    found = [Snapshot(line) for line in jsonl.split(b"\n") if line]
    last = {snapshot.key: snapshot for snapshot in found}
    for snapshot in last.values():
        snapshot.current = True
    return found
