#!/usr/bin/env python3
"""README.md is what a new user follows: its tour is run word for word."""

import os
import re
import subprocess

from support import DONE, HOLDFAST, TREE, USAGE, Case, main


def section(name):
    """Its command lines."""
    with open(os.path.join(TREE, "README.md"), encoding="utf-8") as page:
        text = page.read().split(f"\n## {name}\n")[1].split("\n## ")[0]
    return [line[4:] for line in re.findall(r"^    holdfast.*|^    e.*", text, re.M)]


def commands():
    return section("A tour") + section("Asking")


class Readme(Case):
    make_store = False

    def setUp(self):
        super().setUp()
        self.clone = self.path("clone")  # as quickstart leaves it
        os.makedirs(os.path.join(self.clone, "build", "release"))
        os.symlink(HOLDFAST, os.path.join(self.clone, "build", "release", "holdfast"))
        os.symlink(os.path.join(TREE, "tests"), os.path.join(self.clone, "tests"))

    def tour(self):
        lines = section("A tour")
        self.assertEqual(len(lines), 11)
        if self.run_any("init", self.path("probe"), store=None).status == USAGE:  # no local disk
            self.assertTrue(lines[1].startswith("holdfast init "))
            lines[1] = "holdfast init --locker flock --force"
            lines[10] += " || true"
        return lines

    def run_lines(self, lines):
        """What each prints, and what all say on stderr."""
        script = "set -e -o pipefail\n" + "\n".join(f"{line}\necho --" for line in lines)
        ran = subprocess.run(
            ["bash", "-c", script], cwd=self.clone, env=self.env, capture_output=True, timeout=120, check=False
        )
        self.assertEqual(ran.returncode, DONE, ran)
        return ran.stdout.decode().split("--\n"), ran.stderr.decode()

    def test_asking(self):
        """After the tour's first saves."""
        asked = section("Asking")
        self.assertEqual(len(asked), 7)
        printed, _ = self.run_lines(self.tour()[:4] + asked)
        changed, listed, established, checked, watched, reported, kept = printed[4:11]
        self.assertIn("minor     ~ /outputs/auc  0.71 -> 0.74  +0.03  +4.23 %\n", changed)
        self.assertEqual([line.split() for line in listed.splitlines()],
                         [["run_id", "/outputs/auc"], ["tuesday", "0.74"]])
        self.assertIn("seq 2, run tuesday\n", established)
        self.assertRegex(checked, r"^passed: .*-0\.03")
        self.assertEqual([line.split()[0] for line in watched.splitlines()], ["seq", "1", "2"])
        self.assertEqual(reported, "reported: 2 in 1 group\n")
        self.assertTrue(os.path.exists(os.path.join(self.clone, "runs.html")))
        self.assertIn("documents would be dropped: 0 ", kept)

    def test_the_tour(self):
        printed, told = self.run_lines(self.tour())
        self.assertIn("uuid ", printed[1])
        self.assertEqual(printed[2:4], ["1\n", "2\n"])
        self.assertRegex(printed[4], r"(?s)monday.*\n.*tuesday")
        self.assertEqual(printed[5], "0.74\n")
        self.assertIn("0.71", printed[6])
        self.assertIn("imported: 60\n", printed[7])
        self.assertIn("62 records intact of 62", told)
        self.assertIn("head: 62\n", printed[8])
        self.assertRegex(printed[10], r"\n(good|caution|bad) +.*store")


if __name__ == "__main__":
    main()
