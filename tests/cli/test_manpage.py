"""The manual page in docs/ and the completion come from the table of commands."""

import os
import shutil
import subprocess
import unittest

from support import COMMANDS, TREE, Case, main

PAGE = os.path.join(TREE, "docs", "holdfast.1")


class Manual(Case):
    make_store = False

    def test_the_committed_page_is_up_to_date(self):
        with open(PAGE, encoding="utf-8") as f:
            committed = f.read()
        made = self.run_ok("help", "--man", store=None).out
        self.assertEqual(committed, made, "make it again: holdfast help --man > docs/holdfast.1")

    def test_it_has_everything(self):
        page = self.run_ok("help", "--man", store=None).out
        for command in COMMANDS:
            self.assertIn(f"\n.SS {command}\n", page)
        for name in "NAME SYNOPSIS OPTIONS COMMANDS EXIT_STATUS ENVIRONMENT FILES".split():
            self.assertIn("\n.SH " + name.replace("_", " ") + "\n", page)
        for word in ("run\\-id", "if\\-absent", "HOLDFAST_STORE", "/etc/holdfast/config.json"):
            self.assertIn(word, page)
        for line in page.splitlines():
            self.assertLess(len(line), 1000)

    def test_roff_accepts_it(self):
        tool = shutil.which("groff")
        if tool is None:
            raise unittest.SkipTest("no groff")
        done = subprocess.run(
            [tool, "-man", "-Tutf8", "-ww", "-z", PAGE],
            capture_output=True, timeout=60, check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    def completions(self, *words):
        script = self.write("completion", self.run_ok("help", "--completion", store=None).out)
        line = " ".join(f"'{w}'" for w in words)
        done = subprocess.run(
            [
                "bash", "-c",
                f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _holdfast; "
                'printf "%s\\n" "${COMPREPLY[@]}"',
            ],
            capture_output=True, timeout=60, check=True,
        )
        self.assertEqual(done.stderr, b"")
        return done.stdout.decode().split()

    def test_completion(self):
        if shutil.which("bash") is None:
            raise unittest.SkipTest("no bash")
        self.assertEqual(self.completions("holdfast", "h"), ["head", "history", "help"])
        self.assertEqual(self.completions("holdfast", "--store", "x", "sa"), ["save"])
        self.assertEqual(self.completions("holdfast", "save", "--if"), ["--if-absent", "--if-seq"])
        self.assertIn("--json", self.completions("holdfast", "list", "--"))


if __name__ == "__main__":
    main()
