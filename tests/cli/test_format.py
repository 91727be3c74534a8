#!/usr/bin/env python3
"""docs/FORMAT.md says how to read a store without Holdfast: its script is run, and must say what the program says."""

import json
import os
import re
import subprocess
import sys
import unittest

from support import TREE, Case


def scripts():
    with open(os.path.join(TREE, "docs", "FORMAT.md"), encoding="utf-8") as page:
        return re.findall(r"```python\n(.*?)```", page.read(), re.S)


class Format(Case):
    def test_a_store_is_read_without_the_program(self):
        batch = "".join(
            json.dumps({"run_id": f"run {i}", "stage": "S", "doc": {"n": i}}) + "\n" for i in range(300)
        )
        self.run_ok("save", "--batch", "-", input=batch.encode())
        large = json.dumps({"text": "x" * 100000}).encode()
        self.run_ok("save", "--run-id", "large", "--stage", "S", "-", input=large)
        self.run_ok("save", "--run-id", "run 7", "--stage", "S", "-", input=b'{"n":"again"}')
        ran = subprocess.run(
            [sys.executable, "-c", scripts()[0], self.store], stdout=subprocess.PIPE, check=True, timeout=60
        )
        want = []
        for line in self.run_ok("export", "--format", "jsonl").out.splitlines():
            record = json.loads(line)
            want.append(f"{record['seq']} {record['run_id']} S {json.dumps(record['doc'])[:60]}")
        self.assertEqual(len(want), 302)
        self.assertEqual(ran.stdout.decode().splitlines(), want)

    def test_a_line_is_checked_without_the_program(self):
        self.save("r", "S", {"n": "Genoa"})
        check = "for line in records.values():\n    print(is_whole(line), is_whole(line.replace(b'noa', b'nua')))\n"
        ran = subprocess.run([sys.executable, "-c", "\n".join([*scripts(), check]), self.store],
                             stdout=subprocess.PIPE, check=True, timeout=60)
        self.assertEqual(ran.stdout.decode().splitlines()[1:], ["True False"])


if __name__ == "__main__":
    unittest.main()
