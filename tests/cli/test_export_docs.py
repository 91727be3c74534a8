"""docs/asking/export.md: its examples are run, word for word."""

import os
import re
import subprocess

from support import DONE, HOLDFAST, TREE, Case, main

DOCUMENTS = {"monday": 0.71, "tuesday": 0.74}


def blocks():
    """The blocks of its command lines, each of which is a script."""
    with open(os.path.join(TREE, "docs", "asking", "export.md"), encoding="utf-8") as file:
        return [re.sub(r"(?m)^    ", "", block) for block in re.findall(r"(?m)(?:^    .*\n)+", file.read())]


class Examples(Case):
    def test_they_run(self):
        for run, auc in DOCUMENTS.items():
            self.save(run, "final", {"metrics": {"auc": auc}, "splits": ["a", "b"]})
            self.save(run, "train", {"loss": auc})
        commands = blocks()
        self.assertGreaterEqual(len(commands), 4)
        readers = os.path.join(TREE, "build", "readers")
        subprocess.run([os.path.join(TREE, "tests", "export", "install"), readers], check=True)
        os.symlink(os.path.join(readers, "node_modules"), self.path("node_modules"))
        os.mkdir(self.path("bin"))
        os.symlink(HOLDFAST, self.path("bin", "holdfast"))
        env = {**self.env, "HOLDFAST_STORE": self.store, "PATH": self.path("bin") + ":" + os.environ["PATH"]}
        printed = []
        for command in commands:
            ran = subprocess.run(["bash", "-e", "-c", command], cwd=self.folder, env=env, capture_output=True,
                                 timeout=60, check=False)
            self.assertEqual((ran.returncode, ran.stderr), (DONE, b""), (command, ran))
            printed.append(ran.stdout.decode())
        self.assertEqual(printed[0].split("\n")[:-1], [
            "exported: 4", "exported: 4", "exported: 4", "exported: 4", "exported: 1"])
        self.assertEqual(printed[1], "exported: 3\n")
        self.assertEqual(printed[2].split("\n")[:2], ["tuesday|0.74", "monday|0.71"])
        self.assertIn("final|/metrics/auc|REAL|2\n", printed[2])
        self.assertTrue(printed[2].endswith("monday|a\ntuesday|a\n"), printed[2])
        self.assertRegex(printed[3], r"(?s)run_id: 'monday', '/metrics/auc': 0.71.*'/metrics/auc': null")


if __name__ == "__main__":
    main()
