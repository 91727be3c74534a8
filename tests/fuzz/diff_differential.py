#!/usr/bin/env python3
"""Random pairs of documents: hf_diff and hf_diff_patch against a model.

    diff_differential.py DRIVER HOLDFAST [--cjson CJSON_APPLY] [--only-patches] [--seconds S] [--seed N]

DRIVER is the program diff_driver. For every pair:
  - the changes are those that tests/cli/diff_model.py finds, by the built-in rules or by others;
  - a number's delta is exact;
  - the patch, applied to A by the book, gives B, its number texts too; where Debian's
    python3-jsonpatch is there, by that as well, and with --cjson by cJSON_Utils (whose numbers are
    doubles: documents without others);
  - A and A, and A and the same spelled otherwise: nothing;
  - the severity does not fall when more is changed.
--only-patches: of these only what concerns the patch, and whether anything differs: for hashes that collide, by which
other elements of lists may belong together.
"""

import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
from diff_model import SEVERITIES, Diff, Maker, Number, Rules, apply_patch, meaning, read  # noqa: E402

try:
    import jsonpatch
except ImportError:
    jsonpatch = None

CONFIG = {
    "compare": {
        "keep": ["/inputs/data_path", "/process/**/timestamp"],
        "leave_out": ["/outputs/*/d", "x~1y", "/process"],
        "lists": ["/outputs/**/tags"],
        "sets": ["/inputs/a", "c"],
        "tolerance": 0.5,
        "tolerances": [
            {"pattern": "/inputs", "tolerance": 0},
            {"pattern": "auc", "tolerance": 1e-7},
        ],
        "severity": [
            {"pattern": "/inputs/**/b", "severity": "none"},
            {"pattern": "/**/d/**", "severity": "critical"},
            {"pattern": "m~0n", "severity": "critical"},
        ],
    }
}


class Differs(Exception):
    pass


def check(holds, what, *shown):
    if not holds:
        raise Differs(what + "".join(f"\n  {one}" for one in shown))


class Driver:
    def __init__(self, program, config):
        self.process = subprocess.Popen([program, *config], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, a, b):
        self.process.stdin.write(f"{a}\n{b}\n".encode())
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        check(line.endswith(b"\n"), "the driver ended", a, b)
        return read(line.decode())


def told(changes):
    """As Diff.told; and the deltas checked on the way."""
    out = []
    for kind, section, severity, pointer, old_pointer, old, new, delta, direction in changes:
        numbers = isinstance(old, Number) and isinstance(new, Number)
        check((delta is not None) == numbers, "a delta where there are two numbers", pointer)
        if numbers:
            check(delta.value == new.value - old.value, "an exact delta", old, new, delta)
            check(
                int(direction.text) == (new.value > old.value) - (new.value < old.value), "its direction", old, new
            )
        out.append((kind, section, severity, pointer, old_pointer, repr(old), repr(new)))
    return sorted(out, key=lambda change: [str(one) for one in change])


def expected(diff):
    out = [
        (kind, section, severity, pointer, old_pointer, "None" if kind == "added" else repr(a),
         "None" if kind == "removed" else repr(b))
        for kind, section, severity, pointer, old_pointer, a, b in diff.changes
    ]  # fmt: skip
    return sorted(out, key=lambda change: [str(one) for one in change])


def check_pair(driver, rules, a, b, only_patches):
    got = driver.ask(a, b)
    x, y = read(a), read(b)
    model = Diff(x, y, rules)
    if only_patches:
        check(bool(got["changes"]) >= bool(model.changes), "there are changes", a, b)
    else:
        check_changes(got, model, a, b)
    check(got["identical"] == (meaning(x) == meaning(y)), "identical", a, b)
    check(
        meaning(apply_patch(copy.deepcopy(x), got["patch"]), True) == meaning(y, True), "the patch", a, b, got["patch"]
    )
    if jsonpatch is not None:
        # It compares no numbers; its pointers are Python's strings.
        made = jsonpatch.apply_patch(copy.deepcopy(x), json.loads(json.dumps(plain(got["patch"]))), in_place=False)
        check(json.dumps(plain(made), sort_keys=True) == json.dumps(plain(y), sort_keys=True), "by jsonpatch", a, b)
    return model.severity


def check_changes(got, model, a, b):
    check(told(got["changes"]) == expected(model), "the changes", a, b, told(got["changes"]), expected(model))
    sections = [change[1] for change in got["changes"]]
    order = ["inputs", "process", "outputs", "other"]
    check(sections == sorted(sections, key=order.index), "by section", a, b)
    check(got["severity"] == model.severity, "the severity", a, b)
    check((int(got["close"].text), int(got["left_out"].text)) == (model.close, model.left_out), "the counts", a, b,
          got["close"], model.close, got["left_out"], model.left_out)  # fmt: skip


def plain(value):
    """Numbers as marked strings, so that nothing turns them into doubles."""
    if isinstance(value, Number):
        return "#" + value.text
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def run_cjson(options):
    """cJSON_Utils applies our patches."""
    maker = Maker(options.seed, simple=True)
    driver = Driver(options.driver, [])
    apply = subprocess.Popen([options.cjson], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    end = time.monotonic() + options.seconds / 4
    pairs = 0
    while time.monotonic() < end:
        document = maker.document()
        a, b = maker.text(document), maker.text(maker.changed_document(document))
        patch = json.dumps(raw(driver.ask(a, b)["patch"]))
        apply.stdin.write(f"{a}\n{patch}\n".encode())
        apply.stdin.flush()
        made = apply.stdout.readline().decode()
        check(not made.startswith("refused"), "cJSON_Utils applies the patch", a, b, patch, made)
        check(meaning(read(made)) == meaning(read(b)), "by cJSON_Utils", a, b, patch, made)
        pairs += 1
    for process in (driver.process, apply):
        process.stdin.close()
        check(process.wait() == 0, "the programs ended well")
    return pairs


def raw(value):
    if isinstance(value, Number):
        return float(value.text)
    if isinstance(value, dict):
        return {name: raw(one) for name, one in value.items()}
    return [raw(one) for one in value] if isinstance(value, list) else value


def run(options, maker, config, rules):
    driver = Driver(options.driver, config)
    end = time.monotonic() + options.seconds / 2
    pairs = 0
    while time.monotonic() < end:
        document = maker.document()
        other = maker.changed_document(document)
        a, b = maker.text(document), maker.text(other)
        severity = check_pair(driver, rules, a, b, options.only_patches)
        for one in (a, maker.text(document)):
            got = driver.ask(a, one)
            same = not got["changes"] and got["severity"] == "none"
            check(same and got["identical"] and (one != a or got["patch"] == []), "no change", a, one)
        if all(meaning(other.get(name)) == meaning(document.get(name)) or name in other for name in document):
            more = {**other, "zz_one_more": Number("1")}
            then = check_pair(driver, rules, a, maker.text(more), options.only_patches)
            check(SEVERITIES.index(then) >= SEVERITIES.index(severity), "the severity rises", a, b)
        check_pair(driver, rules, maker.text(maker.document()), b, options.only_patches)
        pairs += 3
    driver.process.stdin.close()
    check(driver.process.wait() == 0, "the driver ended well")
    return pairs


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("driver")
    parser.add_argument("holdfast")
    parser.add_argument("--cjson")
    parser.add_argument("--only-patches", action="store_true")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    maker = Maker(options.seed)
    pairs = 0
    with tempfile.TemporaryDirectory(prefix="holdfast-diff-") as folder:
        path = os.path.join(folder, "config.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(CONFIG, file)
        empty = os.path.join(folder, "empty.json")
        with open(empty, "w", encoding="utf-8") as file:
            file.write("{}")
        try:
            for config in (empty, path):
                printed = subprocess.run(
                    [options.holdfast, "--config", config, "diff", "--rules"], capture_output=True, check=True
                )
                pairs += run(options, maker, [config], Rules(printed.stdout.decode()))
            if options.cjson:
                pairs += run_cjson(options)
        except Differs as difference:
            print(f"seed {options.seed}: does not hold: {difference}")
            return 1
    print(f"{pairs} pairs, seed {options.seed}: as the model says")
    return 0


if __name__ == "__main__":
    sys.exit(main())
