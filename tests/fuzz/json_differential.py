#!/usr/bin/env python3
"""Random and mutated documents: the JSON code against Python's json module.

    json_differential.py DRIVER [--seconds S] [--seed N]

DRIVER is the program json_driver. For every text:
  - it accepts what Python's strict parser accepts, and refuses what that refuses;
  - what it accepts keeps every token as it was written, and loses only white space between them;
  - its canonical form is the one that this script computes by another way (whole numbers of any
    size).

Where Python's parser differs from RFC 8259 it is made strict here:
  - NaN, Infinity, -Infinity: parse_constant raises;
  - bytes: decoded as UTF-8 here (json.loads guesses UTF-16 and UTF-32, drops a byte order mark, and
    lets surrogates pass);
  - numbers: kept as texts (a long integer would be refused, a float rounded).
A difference that stays, so it is not generated: nesting beyond 512 (a limit of ours; Python's is
its stack).
"""
import argparse
import json
import random
import re
import struct
import subprocess
import sys
import time

HF_OK, HF_EDOC = 0, -4
CASES_MAX = 1_000_000

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[ \t\n\r]+|[^" \t\n\r]+', re.S)


class Number(str):
    """The text of a number."""


def refuse(text):
    raise ValueError(f"{text} is not JSON")


def parse(data):
    """The value, with objects as lists of pairs; ValueError where it is not JSON."""
    return json.loads(data.decode("utf-8"), parse_constant=refuse, parse_int=Number,
                      parse_float=Number, object_pairs_hook=lambda pairs: ("object", pairs))


def stripped(data):
    """The text without the white space between tokens."""
    return "".join(token for token in TOKEN.findall(data.decode("utf-8"))
                   if token[0] not in " \t\n\r").encode()


def canonical_number(text):
    """The number exactly, printed as ECMAScript prints numbers."""
    sign, whole, fraction, exponent = re.fullmatch(
        r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?", text).groups()
    digits = int(whole + (fraction or ""))
    power = int(exponent or 0) - len(fraction or "")
    if digits == 0:
        return "0"
    while digits % 10 == 0:
        digits, power = digits // 10, power + 1
    text = str(digits)
    point = len(text) + power
    if len(text) <= point <= 21:
        text += "0" * (point - len(text))
    elif 0 < point <= 21:
        text = text[:point] + "." + text[point:]
    elif -6 < point <= 0:
        text = "0." + "0" * -point + text
    else:
        text = text[0] + ("." + text[1:] if len(text) > 1 else "") + "e%+d" % (point - 1)
    return sign + text


SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def canonical_string(text):
    out = []
    for c in text:
        if c in SHORT:
            out.append(SHORT[c])
        elif c < " " or "\ud800" <= c <= "\udfff":
            out.append(f"\\u{ord(c):04x}")
        else:
            out.append(c)
    return '"' + "".join(out) + '"'


def canonical(value):
    if isinstance(value, Number):
        return canonical_number(value)
    if isinstance(value, str):
        return canonical_string(value)
    if isinstance(value, tuple):
        members = dict(value[1])  # the last of those with one name
        names = sorted(members, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(canonical_string(name) + ":" + canonical(members[name])
                              for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return {None: "null", True: "true", False: "false"}[value]


class Maker:
    """Texts that are JSON, texts that nearly are, and texts that are not."""

    SPACES = ["", "", "", "", " ", "\n", "\t", "\r\n", "  \n  "]
    CHARACTERS = ["a", "b", "Z", " ", "/", "'", "~", "\x7f", "\u0080", "é", "П", "€", "\ud7ff",
                  "\ue000", "\ufeff", "\uffff", "\U00010000", "😀", "\U0010ffff"]
    ESCAPES = ['\\"', "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", "\\u0000", "\\u001F",
               "\\u0041", "\\u00e9", "\\u20AC", "\\ud83d\\ude00", "\\uD800", "\\udfff", "\\ue000",
               "\\uffff", "\\ud83d\\ud83d\\ude00"]
    PIECES = [b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u", b"'", b"/", b"//", b"/*",
              b"#", b" ", b"\n", b"\x00", b"\x01", b"\x0b", b"\x0c", b"\x1f", b"\x7f", b"\x80",
              b"\xc0\x80", b"\xc3", b"\xc3\xa9", b"\xed\xa0\x80", b"\xef\xbb\xbf",
              b"\xf4\x90\x80\x80", b"\xff", b"\xe2\x80\xa8", b"\xc2\xa0", b"0", b"01", b"1.",
              b".5", b"-", b"+1", b"1e", b"1e+", b"0x1", b"1e400", b"-0", b"null", b"true",
              b"false", b"NaN", b"-Infinity", b"nul", b"True"]

    def __init__(self, seed):
        self.random = random.Random(seed)

    def space(self):
        return self.random.choice(self.SPACES)

    def digits(self, most):
        return "".join(self.random.choices("0123456789", k=self.random.randint(1, most)))

    def number(self):
        r = self.random
        text = r.choice(["", "", "-"])
        whole = r.choice("123456789")
        if r.random() < .7:
            whole += self.digits(r.choice([1, 3, 30]))
        text += r.choice(["0", "0", whole])
        if r.random() < .4:
            text += "." + r.choice(["", "", "0", "00000", "000000000"])
            text += self.digits(r.choice([1, 4, 20]))
        if r.random() < .3:
            text += r.choice("eE") + r.choice(["", "+", "-"])
            text += self.digits(r.choice([1, 2, 2, 3, 19, 25]))
        return text

    def string(self):
        r = self.random
        out = []
        for _ in range(r.choice([0, 1, 2, 5, 8, 9, 20])):
            out.append(r.choice(self.ESCAPES) if r.random() < .15 else
                       r.choice(self.CHARACTERS) if r.random() < .3 else r.choice("abcdefghij"))
        return '"' + "".join(out) + '"'

    def value(self, depth):
        r = self.random
        kind = r.random()
        if depth <= 0 or kind < .5:
            return r.choice([self.number, self.string,
                             lambda: r.choice(["null", "true", "false"])])()
        count = r.choice([0, 1, 2, 3, 6])
        if kind < .7:
            children = [self.value(depth - 1) for _ in range(count)]
            return "[" + self.joined(children) + "]"
        names = [self.string() for _ in range(count)]
        if count > 1 and r.random() < .3:
            names[-1] = names[0]
        return "{" + self.joined([name + self.space() + ":" + self.space() + self.value(depth - 1)
                                  for name in names]) + "}"

    def joined(self, texts):
        return ",".join(self.space() + text + self.space() for text in texts) or self.space()

    def document(self):
        text = self.value(self.random.choice([0, 1, 2, 4, 7]))
        return (self.space() + text + self.space()).encode()

    def mutated(self, data):
        r = self.random
        for _ in range(r.choice([1, 1, 1, 2, 5])):
            at = r.randint(0, len(data))
            to = min(len(data), at + r.choice([1, 1, 2, 8]))
            kind = r.randrange(6)
            if kind == 0:  # cut out
                data = data[:at] + data[to:]
            elif kind == 1:  # another byte
                data = data[:at] + bytes([r.randrange(256)]) + data[at + 1:]
            elif kind == 2:
                data = data[:at] + r.choice(self.PIECES) + data[at:]
            elif kind == 3:
                data = data[:at] + r.choice(self.PIECES) + data[to:]
            elif kind == 4:  # a piece twice
                data = data[:to] + data[at:to] + data[to:]
            else:  # cut short
                data = data[:at]
        return data


class Driver:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, count):
        data = self.process.stdout.read(count)
        if len(data) != count:
            raise RuntimeError(f"the driver ended with status {self.process.wait()}")
        return data

    def ask(self, data):
        self.process.stdin.write(struct.pack("<I", len(data)) + data)
        self.process.stdin.flush()
        status, = struct.unpack("<i", self.read(4))
        if status != HF_OK:
            return status, None, None
        texts = [self.read(struct.unpack("<I", self.read(4))[0]) for _ in range(2)]
        return status, texts[0], texts[1]

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


def compare(data, answer):
    """What is wrong with the answer, or None; and whether the text was accepted."""
    status, text, form = answer
    try:
        value = parse(data)
    except (ValueError, UnicodeDecodeError) as error:
        if status == HF_EDOC:
            return None, False
        return f"status {status}, Python refuses: {error}", False
    if status != HF_OK:
        return f"status {status}, Python accepts", True
    if text != stripped(data):
        return f"kept as {text!r}", True
    if parse(text) != value:
        return f"means something else: {text!r}", True
    try:
        expected = canonical(value).encode("utf-8")
    except (ValueError, OverflowError) as error:
        return f"the script cannot print it: {error}", True
    if form != expected:
        return f"canonical form {form!r}, expected {expected!r}", True
    return None, True


def ordinary(maker, depth=3):
    """A value as people save them, for json.dumps."""
    r = maker.random

    def text():
        return "".join(r.choice("abcXYZ 0189_-:/\"\\\n\téПя€") for _ in range(r.randint(0, 12)))

    kind = r.randrange(8 if depth > 0 else 5)
    if kind == 0:
        return r.choice([None, True, False])
    if kind == 1:
        return r.randint(-10**r.randint(1, 20), 10**r.randint(1, 20))
    if kind == 2:
        return r.randint(1, 10**6) * 2 + 1 + r.choice([.5, .25, .125])
    if kind <= 4:
        return text()
    if kind == 5:
        return [ordinary(maker, depth - 1) for _ in range(r.randint(0, 5))]
    return {text() if r.random() < .3 else f"name_{r.randint(0, 99)}": ordinary(maker, depth - 1)
            for _ in range(r.randint(0, 6))}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("driver")
    arguments.add_argument("--seconds", type=float, default=4)
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    sys.set_int_max_str_digits(0)

    maker, driver = Maker(options.seed), Driver(options.driver)
    counts = {"documents": 0, "mutated": 0, "accepted": 0, "refused": 0, "ordinary": 0}
    failures = 0
    end = time.monotonic() + options.seconds

    def check(data, kind):
        nonlocal failures
        wrong, accepted = compare(data, driver.ask(data))
        if kind == "documents" and not accepted:
            wrong = wrong or "this script made a text that is not JSON"
        counts[kind] += 1
        counts["accepted" if accepted else "refused"] += 1
        if wrong:
            failures += 1
            print(f"{data!r}: {wrong}")

    for _ in range(CASES_MAX):
        if time.monotonic() > end or failures > 10:
            break
        document = maker.document()
        check(document, "documents")
        for _ in range(3):
            check(maker.mutated(document), "mutated")
        value = ordinary(maker)
        form = driver.ask(json.dumps(value, indent=maker.random.choice([None, 2])).encode())[2]
        expected = json.dumps(value, sort_keys=True, separators=(",", ":"),
                              ensure_ascii=False).encode()
        counts["ordinary"] += 1
        if form != expected:
            failures += 1
            print(f"ordinary data: {form!r}, Python prints {expected!r}")
    status = driver.close()
    print(f"seed {options.seed}: " + ", ".join(f"{n} {name}" for name, n in counts.items()))
    if status != 0:
        print(f"the driver ended with status {status}")
    if counts["accepted"] < 100 or counts["refused"] < 100:
        print("too few texts for a verdict")
        failures += 1
    return 0 if failures == 0 and status == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
