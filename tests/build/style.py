#!/usr/bin/env python3
"""scripts/check-style finds what it is for: one planted offence for each rule, in a tree of its own."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.environ.get("HOLDFAST_SOURCE_DIR", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
CHECKER = os.path.join(ROOT, "scripts/check-style")

GOOD_HEADER = "/* Good. */\n#ifndef HF_GOOD_H\n#define HF_GOOD_H\n\nint hf_good(int count);\n\n#endif\n"
GOOD = """/* Good. */
#include "good.h"

#include <stdio.h>

#include "banned.h"

static int twice(int count) {
  return 2 * count;
}

int hf_good(int count) {
  switch (count) {
  case 1:
    return twice(count); /* not sprintf(, not exit( */
  default:
    return 0;
  }
}
"""
HEAD = '#include "good.h"\n\n#include "banned.h"\n\n'


def function(lines):
    return HEAD + "int hf_long(int a) {\n" + "  a++;\n" * lines + "  return a;\n}\n"


# rule, file, text, the line where it must be found
PLANTED = [
    ("include", "core/a.c", '#include "only_lockers.h"\n#include "banned.h"\n', 1),
    ("include", "lockers/a.c", '#include "good.h"\n#include "banned.h"\n', 1),
    ("include", "core/a.c", '#include "../lockers/only_lockers.h"\n#include "banned.h"\n', 1),
    ("include", "cli/a.c", '#include "good.h"\n', 1),
    ("include", "core/base/a.c", '#include <cJSON.h>\n\n#include "banned.h"\n', 1),
    ("include-order", "core/a.c", '#include "banned.h"\n\n#include <stdio.h>\n', 3),
    ("include-order", "core/a.c", "#include <stdio.h>\n", 1),
    ("include-order", "core/good.c", '#include <stdio.h>\n\n#include "good.h"\n\n#include "banned.h"\n', 1),
    ("banned", "cli/a.c", "static char *f(char *a) {\n  return strcpy(a, \"b\");\n}\n", 2),
    ("banned", "tests/unit/test_a.c", "int main(void) {\n  return atoi(\"1\");\n}\n", 2),
    ("quiet", "core/a.c", HEAD + "void hf_a(void) {\n  printf(\"a\");\n}\n", 6),
    ("quiet", "lockers/a.c", '#include "banned.h"\n\nvoid hf_a(void) {\n  exit(1);\n}\n', 4),
    ("syscall", "core/a.c", HEAD + "int hf_a(void) {\n  return fsync(1);\n}\n", 6),
    ("columns", "cli/a.c", "/* " + "long " * 20 + "*/\n", 1),
    ("columns", "scripts/a.sh", "#!/bin/sh\n# " + "long " * 24 + "\n", 2),
    ("file-length", "cli/a.c", "/* a */\n" * 601, 601),
    ("function-length", "core/a.c", function(99), 5),
    ("prefix", "core/a.c", HEAD + "int good(void) {\n  return 0;\n}\n", 5),
    ("prefix", "core/a.c", HEAD + "int count = 0;\n", 5),
    ("prefix", "core/a.c", HEAD + "__attribute__((format(printf, 1, 2))) int say(char *a) {\n  return 0;\n}\n", 5),
    ("default", "cli/a.c", "static int f(int s) {\n  switch (s) {\n  case HF_OK:\n    return 0;\n  default:\n"
                           "    return 1;\n  }\n}\n", 5),
    ("unfinished", "core/a.c", HEAD + "/* TODO: this */\n", 5),
    ("unfinished", "docs/a.md", "FIXME\n", 1),
    ("machine", "scripts/a.sh", "#!/bin/sh\ncd /home/somebody/src\n", 2),
    ("white-space", "cli/a.c", "/* a */ \n", 1),
    ("white-space", "cli/a.c", "/* a */", 1),
    ("white-space", "cli/a.c", "\tint a;\n", 1),
    ("guard", "core/a.h", "int hf_a(void);\n", 1),
    ("guard", "core/a.h", "#ifndef HF_B_H\n#define HF_B_H\n#endif\n", 1),
    ("format", "core/a.c", HEAD + "int  hf_a( void ) {\n  return 0;\n}\n", 5),
]


def write(root, name, text):
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def check(root, *arguments):
    done = subprocess.run([sys.executable, CHECKER, "--root", root, *arguments],
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def main():
    failures = 0
    have_format = shutil.which("clang-format") is not None
    arguments = [] if have_format else ["--no-format"]
    with tempfile.TemporaryDirectory() as root:
        with open(os.path.join(ROOT, ".clang-format"), encoding="utf-8") as file:
            write(root, ".clang-format", file.read())
        write(root, "core/good.h", GOOD_HEADER)
        write(root, "core/good.c", GOOD)
        write(root, "core/base/banned.h", "#ifndef HF_BANNED_H\n#define HF_BANNED_H\n#endif\n")
        write(root, "lockers/only_lockers.h", "#ifndef HF_ONLY_LOCKERS_H\n#define HF_ONLY_LOCKERS_H\n#endif\n")
        status, out, err = check(root, *arguments)
        if status != 0 or not out.endswith(" 0 offences\n"):
            print(f"FAILED: the clean tree is not clean:\n{out}{err}")
            failures += 1
        found = set()
        for rule, name, text, line in PLANTED:
            if rule == "format" and not have_format:
                found.add(rule)
                continue
            path = os.path.join(root, name)
            before = open(path, encoding="utf-8").read() if os.path.exists(path) else None
            write(root, name, text)
            status, out, err = check(root, *([] if rule == "format" else ["--no-format"]))
            if status != 1 or not re.search(rf"^{re.escape(name)}:{line}: {rule}: ", out, re.M):
                print(f"FAILED: {rule} in {name}, line {line}, was not found:\n{out}{err}")
                failures += 1
            found.add(rule)
            if before is None:
                os.remove(path)
            else:
                write(root, name, before)
        rules = {line.split()[0] for line in check(root, "--rules")[1].splitlines()}
        if rules != found:
            print(f"FAILED: rules without a planted offence: {', '.join(sorted(rules - found))}")
            failures += 1
    print(f"{len(PLANTED)} planted offences, {len(rules)} rules, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
