#!/usr/bin/env python3
"""README.md is what a new user follows: its tour is run word for word."""

import os
import re
import subprocess

from support import DONE, HOLDFAST, TREE, USAGE, Case, main


class Readme(Case):
    make_store = False

    def setUp(self):
        super().setUp()
        self.clone = self.path("clone")  # as quickstart leaves it
        os.makedirs(os.path.join(self.clone, "build", "release"))
        os.symlink(HOLDFAST, os.path.join(self.clone, "build", "release", "holdfast"))
        os.symlink(os.path.join(TREE, "tests"), os.path.join(self.clone, "tests"))

    def tour(self):
        with open(os.path.join(TREE, "README.md"), encoding="utf-8") as page:
            tour = page.read().split("\n## A tour\n")[1].split("\n## ")[0]
        lines = [line[4:] for line in re.findall(r"^    holdfast.*|^    e.*", tour, re.M)]
        self.assertEqual(len(lines), 11)
        if self.run_any("init", self.path("probe"), store=None).status == USAGE:  # no local disk
            self.assertTrue(lines[1].startswith("holdfast init "))
            lines[1] = "holdfast init --locker flock --force"
            lines[10] += " || true"
        return lines

    def test_the_tour(self):
        script = "set -e -o pipefail\n" + "\n".join(f"{line}\necho --" for line in self.tour())
        ran = subprocess.run(
            ["bash", "-c", script], cwd=self.clone, env=self.env, capture_output=True, timeout=120, check=False
        )
        self.assertEqual(ran.returncode, DONE, ran)
        printed = ran.stdout.decode().split("--\n")
        self.assertIn("uuid ", printed[1])
        self.assertEqual(printed[2:4], ["1\n", "2\n"])
        self.assertRegex(printed[4], r"(?s)monday.*\n.*tuesday")
        self.assertEqual(printed[5], "0.74\n")
        self.assertIn("0.71", printed[6])
        self.assertIn("imported: 60\n", printed[7])
        self.assertIn("62 records intact of 62", ran.stderr.decode())
        self.assertIn("head: 62\n", printed[8])
        self.assertRegex(printed[10], r"\n(good|caution|bad) +.*store")


if __name__ == "__main__":
    main()
