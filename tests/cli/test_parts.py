"""The examples of docs/asking: each line that begins with "$ " is run, and prints what stands below it."""

import glob
import os
import re
import subprocess

from support import DONE, HOLDFAST, TREE, Case, main

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
        self.run_page(os.path.join(TREE, "docs", "asking", "list.md"))

    def test_every_holdfast_command_is_run(self):
        """An example that is not run could be wrong: in blocks only what follows a $ is a command."""
        for path in glob.glob(os.path.join(TREE, "docs", "asking", "list.md")):
            with open(path, encoding="utf-8") as page:
                for line in page:
                    self.assertFalse(line.startswith("    holdfast ") or line.startswith("```"), line)


if __name__ == "__main__":
    main()
