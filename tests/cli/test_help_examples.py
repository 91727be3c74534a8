"""Every example that help and the manual page give, of every command, is run, word for word."""

import os
import re
import shutil
import signal
import subprocess

from support import COMMANDS, DONE, HOLDFAST, LEGACY, USAGE, Case, main
from test_redis import Server, server_program

THEIRS = re.compile(r"(?<= )/(?=(?:data|old|mnt/shared|var/lib/node_exporter)\b)")  # made below the scratch folder
ATTEMPT = "01JGX2M8Q6T4ZV0C9K7W3R5YHB"
LOCAL_DISK = ("holdfast init /data/runs", "holdfast init --locker flock .")  # on another one init wants --force
SECONDS = ("holdfast bench /data", "holdfast --json bench --seconds 30 /mnt/shared")  # run in less time
# What is not run, and why. A line that no help holds any more is an error.
NOT_RUN = {
    "holdfast locker set redis": None if server_program() else "there is no Redis server on this machine",
}


class Examples(Case):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("bin"))
        os.symlink(HOLDFAST, self.path("bin", "holdfast"))
        self.stand_in("mail", "exec cat >/dev/null")
        self.stand_in("produce", "exec cat result.json")
        for tool in ("column", "man"):
            if shutil.which(tool) is None:
                self.stand_in(tool, "exec cat")
        self.env.update(HOLDFAST_STORE=self.store, PATH=self.path("bin") + ":" + os.environ["PATH"], LC_ALL="C.UTF-8")
        for i in range(1, 46):
            metrics = {"auc": 0.71 + i % 7 / 1000, "loss": i}
            self.save(f"nightly-{i}", "final", {"metrics": metrics, "rate": i}, "--group", "nightly")
        for place in ("data", "mnt/shared/runs", "old", "var/lib/node_exporter"):
            os.makedirs(self.path(place))
        self.write("result.json", '{"metrics":{"auc":0.9}}')
        self.write("runs.jsonl", '{"run_id":"b1","stage":"final","doc":{}}\n{"run_id":"b2","stage":"final","doc":{}}\n')
        shutil.copytree(os.path.join(LEGACY, "4-an-index-a-run", "RESULTS"), self.path("old", "RESULTS"))
        shutil.copy(os.path.join(LEGACY, "1-run-id-keys", "snapshot_index.json"), self.path("old"))

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
        out, err = process.communicate(timeout=120)
        self.assertEqual((process.returncode, err), (DONE, ""), (line, out))
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

    def with_a_peer(self, line):
        """Two at once, as on two hosts: both print the same."""
        with self.begin(line + " --quiet") as other:
            printed = self.ends(line, self.begin(line + " --quiet"))
            self.assertEqual(self.ends(line, other), printed)
        return printed

    def run_example(self, command, line):
        run = THEIRS.sub(self.folder + "/", line)
        if line in LOCAL_DISK and self.run_any("init", self.path("probe"), store=None).status == USAGE:
            run += " --locker flock --force"
        if line in SECONDS:
            run = run.replace(" --seconds 30", "") + " --seconds 2"
        if "--peer" in line:
            return self.with_a_peer(run)
        if line == "holdfast locker set redis":
            server = Server(self.folder)
            self.addCleanup(server.kill)
            self.env["HOLDFAST_REDIS_URL"] = f"redis://127.0.0.1:{server.port}"
        if line == "holdfast init --locker flock .":
            run = "mkdir new && cd new && " + run
        if command in ("import", "verify", "bench"):
            run += " 2>&1"  # where they tell how far they are, and that nothing is wrong
        return self.watches(run) if command == "watch" else self.ends(line, self.begin(run))

    def test_every_one_runs(self):
        printed = {}
        self.run_ok("save", "--run-id", "tried", "--stage", "final", "--id", ATTEMPT, "-", input="{}")
        kept = self.path("kept")
        os.rename(self.store, kept)
        for command in COMMANDS:
            shutil.rmtree(self.store, ignore_errors=True)
            shutil.copytree(kept, self.store)  # what one command's examples change is nothing to another's
            lines = self.examples(command)
            self.assertGreater(len(lines), 0, command)
            for line in lines:
                self.assertRegex(line, rf"^(holdfast |sqlite3 |produce \| holdfast |source ).*\b({command}|runs.db)\b")
                if NOT_RUN.get(line) is None:
                    printed[line] = self.run_example(command, line)
                else:
                    printed[line] = NOT_RUN[line]
        for line in [*NOT_RUN, *LOCAL_DISK, *SECONDS]:
            self.assertIn(line, printed, "no help holds it any more")
        self.they_did_what_they_say(printed)

    def they_did_what_they_say(self, printed):
        for line in LOCAL_DISK:
            self.assertIn("uuid ", printed[line])
        self.assertEqual(printed["holdfast save --run-id nightly-3 --stage final result.json"], "47\n")
        self.assertEqual(printed["produce | holdfast save --run-id nightly-3 --stage final --if-absent -"], "47\n")
        self.assertEqual(printed["holdfast --json save --batch runs.jsonl"].count('"created":true'), 2)
        self.assertEqual(printed["holdfast get --seq 7"], '{"metrics":{"auc":0.71,"loss":7},"rate":7}\n')
        self.assertEqual(printed["holdfast get --run-id nightly-3 --stage final --pointer /metrics/loss"], "3\n")
        self.assertEqual(printed["holdfast prev --run-id nightly-3 --stage final --pointer /metrics/loss"], "2\n")
        self.assertIn("look at it", printed["holdfast diff --prev 42 --fail-on major --quiet || echo 'look at it'"])
        self.assertTrue(printed["holdfast baseline check 17 --tolerance 1%"].startswith("passed: "))
        self.assertIn("46", printed[f"holdfast resolve {ATTEMPT}"])
        self.assertNotEqual(os.path.getsize(self.path("var/lib/node_exporter/holdfast.prom")), 0)
        self.assertIn("imported: ", printed["holdfast import /old/RESULTS /old/snapshot_index.json"])
        self.assertIn('"head":0', printed["holdfast --json pack /data/runs"])
        self.assertIn("46 records intact of 46", printed["holdfast verify --deep"])
        self.assertIn("free", printed["holdfast lock status"])
        self.assertIn("a store is safe here", printed["holdfast doctor /mnt/shared/runs --peer --record"])
        self.assertRegex(printed["holdfast help --man | man -l -"], r"\AHOLDFAST\(1\)|\n\.TH HOLDFAST 1 ")


if __name__ == "__main__":
    main()
