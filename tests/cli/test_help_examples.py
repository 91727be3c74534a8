"""The examples that help and the manual page give for questions are run, word for word."""

import os
import shutil
import signal
import subprocess

from support import DONE, HOLDFAST, Case, main

ASKING = "get prev head list groups history diff baseline watch retire gc export report stats".split()
COLLECTOR = "/var/lib/node_exporter/"  # a folder of somebody else


class Examples(Case):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("bin"))
        os.symlink(HOLDFAST, self.path("bin", "holdfast"))
        self.stand_in("mail", "exec cat >/dev/null")
        if shutil.which("column") is None:
            self.stand_in("column", "exec cat")
        self.env.update(HOLDFAST_STORE=self.store, PATH=self.path("bin") + ":" + os.environ["PATH"])
        for i in range(1, 46):
            metrics = {"auc": 0.71 + i % 7 / 1000, "loss": i}
            self.save(f"nightly-{i}", "final", {"metrics": metrics, "rate": i}, "--group", "nightly")

    def stand_in(self, name, command):
        with open(self.path("bin", name), "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n{command}\n")
        os.chmod(self.path("bin", name), 0o755)

    def examples(self, command):
        block = self.run_ok("help", command, store=None).out.split("\nExamples:\n")[1]
        return [line.strip() for line in block.strip("\n").split("\n")]

    def begin(self, line):
        return subprocess.Popen(["bash", "-o", "pipefail", "-c", line], cwd=self.folder, env=self.env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def ends(self, line, process):
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, err), (DONE, ""), line)
        return out

    def watches(self, line):
        """A watch that waits for more ends by a signal; one with --count by what it waits for."""
        with self.begin("exec " + line) as process:
            if "--state" in line:
                while not os.path.exists(self.path("mail.state")):
                    self.assertIsNone(process.poll(), line)
            elif "--count" not in line:
                self.assertIn("run_id", process.stdout.readline())
            if "--count" in line:
                self.save_until(process)
            else:
                process.send_signal(signal.SIGTERM)
            return self.ends(line, process)

    def save_until(self, process):
        """Whoever begins to watch sees what is saved from then on."""
        for rate in range(100, 1000):
            self.save("nightly-3", "final", {"rate": rate}, "--group", "nightly")
            try:
                process.wait(0.1)
                return
            except subprocess.TimeoutExpired:
                pass

    def test_they_run(self):
        printed = {}
        for command in ASKING:
            lines = self.examples(command)
            self.assertGreater(len(lines), 0)
            for line in lines:
                self.assertIn(line.split()[0], ("holdfast", "sqlite3"))
                run = line.replace(COLLECTOR, self.folder + "/")
                printed[line] = self.watches(run) if command == "watch" else self.ends(line, self.begin(run))
        self.assertEqual(printed["holdfast get --run-id nightly-3 --stage final --pointer /metrics/loss"], "3\n")
        self.assertEqual(printed["holdfast prev --run-id nightly-3 --stage final --pointer /metrics/loss"], "2\n")
        self.assertIn("look at it", printed["holdfast diff --prev 42 --fail-on major --quiet || echo 'look at it'"])
        self.assertTrue(printed["holdfast baseline check 17 --tolerance 1%"].startswith("passed: "))
        self.assertTrue(os.path.getsize(self.path("holdfast.prom")) > 0)


if __name__ == "__main__":
    main()
