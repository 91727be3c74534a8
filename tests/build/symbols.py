#!/usr/bin/env python3
"""symbols.py NM SHARED STATIC CLI_OBJECT...: the shared library exports exactly what the headers mark HF_API, every
global name begins with hf_, and the program uses nothing that the shared library does not export."""
import glob
import os
import re
import subprocess
import sys


def names(nm, *arguments):
    text = subprocess.run([nm, *arguments], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in text.splitlines() if re.match(r"^([0-9a-f]+)? +[A-Zuvw] ", line)}


def main():
    nm, shared, static, *cli = sys.argv[1:]
    root = os.environ.get("HOLDFAST_SOURCE_DIR", os.path.join(os.path.dirname(__file__), "../.."))
    marked = set()
    for header in glob.glob(os.path.join(root, "include/holdfast/*.h")):
        with open(header, encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
        text = re.sub(r"^[ \t]*#(?:.*\\\n)*.*$", "", text, flags=re.M)
        marked |= set(re.findall(r"\bHF_API\b[^;(]*?\b(\w+)\s*\(", text))
    exported = names(nm, "-D", "--defined-only", shared)
    inside = names(nm, "-g", "--defined-only", static)
    used = {name for path in cli for name in names(nm, "-u", path) if name.startswith("hf_")}
    used -= names(nm, "-g", "--defined-only", *cli)

    failures = []
    if len(marked) < 10:
        failures.append(f"only {len(marked)} functions are marked HF_API: the headers were not understood")
    for text, wrong in (("marked HF_API, not exported", marked - exported),
                        ("exported, not marked HF_API", exported - marked),
                        ("exported without hf_", {n for n in exported if not n.startswith("hf_")}),
                        ("global in the static library without hf_",
                         {n for n in inside if not n.startswith("hf_")}),
                        ("used by the program, not exported", used - marked)):
        if wrong:
            failures.append(f"{text}: {', '.join(sorted(wrong))}")
    print(f"{len(marked)} marked, {len(exported)} exported, {len(inside)} in the static library, "
          f"{len(used)} used by the program")
    for failure in failures:
        print(f"FAILED: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
