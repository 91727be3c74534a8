#!/usr/bin/env python3
"""docs/asking/baseline.md: its examples are run, in their order, word for word."""

import os
import re
import subprocess

from support import DONE, HOLDFAST, TREE, Case, main


def commands():
    with open(os.path.join(TREE, "docs", "asking", "baseline.md"), encoding="utf-8") as page:
        return re.findall(r"(?m)^    (.+)$", page.read())


class Page(Case):
    def test_the_examples(self):
        lines = commands()
        self.assertEqual(len(lines), 13)
        os.mkdir(self.path("bin"))
        os.symlink(HOLDFAST, self.path("bin", "holdfast"))
        env = {**self.env, "PATH": self.path("bin") + ":" + self.env["PATH"], "HOLDFAST_STORE": self.store}
        script = "set -e -o pipefail\n" + "\n".join(f"{line}\necho --" for line in lines)
        ran = subprocess.run(["bash", "-c", script], cwd=self.folder, env=env, capture_output=True, timeout=120,
                             check=False)
        self.assertEqual(ran.returncode, DONE, ran)
        printed = ran.stdout.decode().split("--\n")
        self.assertEqual(printed[0], "1\n2\n3\n4\n5\n6\n")
        self.assertIn("seq 3, run night-3\nmetric    /metrics/auc = 0.90, goal max\n", printed[1])
        self.assertIn("yes: nothing comparable was saved since", printed[2])
        self.assertIn('"value":0.90,', printed[3])
        self.assertTrue(printed[4].startswith("passed: "))
        self.assertTrue(printed[5].startswith("worse: "))
        self.assertEqual(printed[6], "")
        self.assertEqual(printed[7], "8\n")
        self.assertTrue(printed[8].startswith("passed: "))
        self.assertIn("seq 8, run night-7", printed[9])
        self.assertIn("the one in the paper", printed[10])
        self.assertIn("none from here on", printed[11])
        self.assertEqual([line.split()[1] for line in printed[12].splitlines()[1:]],
                         ["establish", "update", "set", "clear"])


if __name__ == "__main__":
    main()
