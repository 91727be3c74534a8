"""The examples of docs/asking: each line that begins with "$ " is run, and prints what stands below it."""

import json
import os
import re
import subprocess

from support import DIFFERS, DONE, HOLDFAST, TREE, Case, main

LINE = re.compile(r"^    (.*)$")


def sessions(path):
    """[(command, what it prints)] of a page."""
    found = []
    with open(path, encoding="utf-8") as page:
        inside = False
        for line in page:
            match = LINE.match(line.rstrip("\n"))
            if match is None:
                inside = False
            elif match[1].startswith("$ "):
                found.append((match[1][2:], []))
                inside = True
            elif inside:
                found[-1][1].append(match[1])
    return [(command, "".join(f"{line}\n" for line in lines)) for command, lines in found]


def list_page():
    return os.path.join(TREE, "docs", "asking", "list.md")


def first_page():
    with open(os.path.join(TREE, "docs", "ASKING.md"), encoding="utf-8") as page:
        return [line[4:] for line in page.read().splitlines() if line.startswith("    ")]


class Parts(Case):
    make_store = False

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("bin"))
        os.symlink(HOLDFAST, self.path("bin", "holdfast"))
        self.env["PATH"] = self.path("bin") + ":" + os.environ["PATH"]

    def run_page(self, path):
        commands = sessions(path)
        self.assertGreater(len(commands), 5, path)
        script = "".join(f"{command}\nprintf '\\001'\n" for command, _ in commands)
        ran = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self.env, capture_output=True, timeout=120, check=False
        )
        self.assertEqual((ran.returncode, ran.stderr), (DONE, b""), path)
        printed = ran.stdout.decode().split("\1")[:-1]
        for (command, wanted), got in zip(commands, printed, strict=True):
            self.assertEqual(got, wanted, f"{path}: {command}")

    def test_list(self):
        self.run_page(list_page())

    def test_the_first_page(self):
        """docs/ASKING.md: of 42 runs the last one is worse than the best."""
        commands = first_page()
        self.assertEqual(len(commands), 7)
        self.store = self.path("store")
        self.run_ok("init", self.store, "--locker", "flock", "--force", store=None)
        batch = [{"run_id": f"r{i}", "stage": "S", "group": "G", "doc": {"outputs": {"metrics": {"auc": auc}}}}
                 for i, auc in enumerate([0.69] * 39 + [0.71, 0.74, 0.70], 1)]
        self.run_ok("save", "--batch", "-", input="".join(json.dumps(line) + "\n" for line in batch))
        printed = []
        for command in commands:
            ran = subprocess.run(["bash", "-c", command], cwd=self.folder, capture_output=True, timeout=60, check=False,
                                 env={**self.env, "HOLDFAST_STORE": self.store}, text=True)
            self.assertEqual((ran.returncode, ran.stderr), (DIFFERS if "check 42" in command else DONE, ""), command)
            printed.append(ran.stdout)
        self.assertIn("/outputs/metrics/auc  0.74 -> 0.7  -0.04", printed[0])
        self.assertIn("seq 41, run r41\n", printed[1])
        self.assertTrue(printed[2].startswith("worse: seq 42 has 0.7 "), printed[2])
        self.assertEqual([line.split()[0] for line in printed[3].splitlines()], ["run_id", "r41", "r40"])
        self.assertEqual(printed[4], "reported: 42 in 1 group\n")
        self.assertRegex(printed[5], r"G +S +42 +42 +1 +42 .* 41\n")
        self.assertIn("documents would be dropped: 0 ", printed[6])


if __name__ == "__main__":
    main()
