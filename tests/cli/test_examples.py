#!/usr/bin/env python3
"""examples/slurm and examples/make do what examples/README.md says, without Slurm: a loop sets its variables."""

import os
import shutil
import signal
import subprocess
import time

from support import DONE, HOLDFAST, TREE, Case, main

EXAMPLES = os.path.join(TREE, "examples")

# Stands in for the program: what it is told in a file named after the command happens to the next call, once.
STAND_IN = """#!/bin/sh
plan="$PLANS/$1.plan"
if mv "$plan" "$plan.$$" 2>/dev/null; then
  what=$(cat "$plan.$$")
  case $what in
    saves-then-dies) "$REAL" "$@" >/dev/null; kill -9 0 ;;
    dies) kill -9 0 ;;
    saves-then-*) "$REAL" "$@" >/dev/null; exit "${what#saves-then-}" ;;
    *) exit "$what" ;;
  esac
fi
exec "$REAL" "$@"
"""


class Slurm(Case):
    def setUp(self):
        super().setUp()
        self.env["HOLDFAST_STORE"] = self.store
        self.env["REAL"] = HOLDFAST
        self.env["SAVE_ONCE_WAIT"] = "0"
        stand_in = self.write("stand-in", STAND_IN)
        os.chmod(stand_in, 0o755)
        self.env["HOLDFAST"] = stand_in

    def task(self, job, number, restarts=0, plans=None, **env):
        """Starts one task, in a process group of its own, as a node would."""
        folder = self.path(f"plans-{job}-{number}-{restarts}")
        os.mkdir(folder)
        for command, what in (plans or {}).items():
            with open(os.path.join(folder, command + ".plan"), "w", encoding="ascii") as file:
                file.write(what)
        return subprocess.Popen(
            ["bash", os.path.join(EXAMPLES, "slurm", "train.sbatch")], start_new_session=True, cwd=self.folder,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
            env={**self.env, "SLURM_ARRAY_JOB_ID": str(job), "SLURM_ARRAY_TASK_ID": str(number), "PLANS": folder,
                 "SLURM_RESTART_COUNT": str(restarts), "HOLDFAST_EXAMPLES": os.path.join(EXAMPLES, "slurm"),
                 "TMPDIR": self.folder, **env},  # what a killed task leaves goes with the test
        )

    def ends(self, process, status=DONE):
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, status, err)
        return out.decode().strip()

    def snapshots(self, job):
        return self.records("--all-revisions", "--run-id", f"job-{job}", "--stage", "TRAINING")

    def test_an_array_with_killed_and_requeued_tasks(self):
        count = 12
        plans = {3: {"save": "saves-then-dies"}, 7: {"save": "dies"}, 9: {"save": "saves-then-dies"}}
        tasks = [self.task(4711, number, plans=plans.get(number)) for number in range(count)]
        for number, task in enumerate(tasks):
            self.ends(task, -signal.SIGKILL if number in plans else DONE)
        seqs = {record["dims"]["task"]: record["seq"] for record in self.snapshots(4711)}
        self.assertEqual(len(seqs), count - 1)  # the one that died before it saved is missing
        requeued = {number: self.task(4711, number, restarts=1) for number in plans}
        for number, task in requeued.items():
            seq = int(self.ends(task))
            self.assertEqual(seqs.setdefault(str(number), seq), seq)
        found = self.snapshots(4711)
        self.assertEqual(len(found), count)
        self.assertEqual({record["dims"]["task"] for record in found}, {str(n) for n in range(count)})
        self.assertEqual(len({record["id"] for record in found}), count)
        self.assertStoreIntact()

    def test_a_task_that_is_killed_anywhere(self):
        for number in range(8):
            task = self.task(1, number)
            time.sleep(0.01 * number)
            os.killpg(task.pid, signal.SIGKILL)
            task.communicate()
            self.ends(self.task(1, number, restarts=1))
        self.assertEqual(len(self.snapshots(1)), 8)

    def test_both_incarnations_at_once(self):
        for number in range(4):
            both = [self.task(2, number, restarts) for restarts in range(2)]
            self.assertEqual(len({self.ends(task) for task in both}), 1)
        self.assertEqual(len(self.snapshots(2)), 4)

    def test_no_lock_is_tried_again(self):
        seq = self.ends(self.task(5, 0, plans={"save": "5"}))
        self.assertEqual([record["seq"] for record in self.snapshots(5)], [int(seq)])
        task = self.task(5, 1, plans={"save": "5"}, SAVE_ONCE_TRIES="1")
        self.ends(task, 5)
        self.assertEqual(len(self.snapshots(5)), 1)

    def test_an_unknown_answer_is_resolved(self):
        seq = self.ends(self.task(6, 0, plans={"save": "saves-then-6"}))
        self.assertEqual([record["seq"] for record in self.snapshots(6)], [int(seq)])
        self.assertEqual(len(self.snapshots(6)), 1)

    def test_an_attempt_that_was_ended_is_followed_by_one_with_the_next_id(self):
        first = self.ends(self.task(6, 1, plans={"save": "6"}))  # unknown, and never came: resolve ends it
        again = self.ends(self.task(6, 1, restarts=1))
        self.assertEqual(first, again)
        self.assertEqual(len(self.snapshots(6)), 1)
        self.ends(self.task(6, 2, plans={"save": "6", "resolve": "5"}))  # resolve has to be asked twice
        self.assertEqual(len(self.snapshots(6)), 2)

    def test_an_error_is_an_error(self):
        task = self.task(7, 0, plans={"save": "1"})
        self.ends(task, 1)
        self.assertEqual(self.snapshots(7), [])


class Make(Case):
    def make(self, *args, status=DONE):
        folder = self.path("make")
        if not os.path.isdir(folder):
            shutil.copytree(os.path.join(EXAMPLES, "make"), folder)
        ran = subprocess.run(
            ["make", "--no-print-directory", f"HOLDFAST={HOLDFAST}", *args], cwd=folder, capture_output=True,
            text=True, timeout=120, check=False, env={**self.env, "HOLDFAST_STORE": self.store},
        )
        self.assertEqual(ran.returncode, status, ran)
        return ran.stdout

    def test_the_pipeline(self):
        self.make("RUN=monday")
        self.assertEqual([record["stage"] for record in self.records()], ["PREPARE", "TRAINING", "EVALUATION"])
        self.make("RUN=monday")  # nothing to do again
        self.assertEqual(self.head(), 3)
        shutil.rmtree(self.path("make", "out", "monday"))
        self.make("RUN=monday")  # done again with the same result
        self.assertEqual(self.head(), 3)
        shown = self.make("RUN=tuesday", "RATE=0.2")
        self.assertIn("/process/model/learning_rate", shown)
        self.assertIn("/outputs/metrics/loss", shown)
        self.make("RUN=tuesday", "check", status=2)  # make's status: two of three runs are there
        self.make("RUN=wednesday", "RATE=0.3")
        self.make("RUN=wednesday", "check", status=2)  # it is the best: its own baseline is nothing to check by
        self.make("RUN=thursday", "RATE=0.31")
        self.make("RUN=thursday", "check")
        self.make("RUN=friday", "RATE=0.05")
        self.make("RUN=friday", "check", status=2)  # worse than the baseline
        self.make("report")
        with open(self.path("make", "out", "report.html"), encoding="utf-8") as page:
            self.assertIn("wednesday", page.read())


if __name__ == "__main__":
    main()
