#!/usr/bin/env python3
"""Baselines, where many establish at once, some are killed, or the lock is held."""

import fcntl
import json
import os
import signal
import time
import unittest

from support import DONE, LOCK, NOT_FOUND, main
from test_baseline import METRIC, RUNS, Baselines
from test_redis import Server, server_program

ESTABLISHERS = 50
KILLED = 12


class Together(Baselines):
    """Many processes establish at once, some of them are killed, others save better runs meanwhile."""

    make_store = False

    def race(self):
        self.save_some("0.5", "0.7", "0.6", "0.65", "0.55")
        args = ("--json", "baseline", "establish", *RUNS, *METRIC, "--timeout", "120s")
        processes = []
        for i in range(ESTABLISHERS):
            processes.append(self.popen(*args))
            if i % 4 == 0 and i // 4 < KILLED:  # in the midst of it, at different instants
                time.sleep(0.001 * (i % 5))
                processes[i].send_signal(signal.SIGKILL)
        better = [self.popen("save", "--run-id", f"b{i}", "--stage", "final", "--group", "g", "--timeout", "120s", "-")
                  for i in range(4)]
        for i, process in enumerate(better):
            process.stdin.write(b'{"m":{"auc":0.%d}}' % (71 + i))
            process.stdin.close()
            process.stdin = None
        answers = []
        for process in processes:
            out, err = process.communicate(timeout=150)
            if process.returncode == -signal.SIGKILL:
                continue
            self.assertEqual(process.returncode, DONE, err)
            answers.append(json.loads(out))
        for process in better:
            process.communicate(timeout=150)
            self.assertEqual(process.returncode, DONE)
        self.assertGreaterEqual(len(answers), ESTABLISHERS - KILLED)
        self.assertLess(len(answers), ESTABLISHERS)
        self.assertEqual(len({(one["seq"], one["of"], one["id"]) for one in answers}), 1)
        self.assertLessEqual(sum(one["created"] for one in answers), 1)
        records = self.records("--all-records")
        made = [one for one in records if one["op"] == "baseline"]
        self.assertEqual([one["seq"] for one in made], [answers[0]["seq"]])
        self.judge(answers[0], records)
        self.assertStoreIntact()

    def judge(self, answer, records):
        """It is the best of all that stand before it."""
        best, best_seq = None, None
        for one in records:
            if one["op"] == "save" and one["seq"] < answer["seq"]:
                value = json.loads(self.run_ok("get", "--seq", str(one["seq"])).out)["m"]["auc"]
                if best is None or value > best:
                    best, best_seq = value, one["seq"]
        self.assertEqual((answer["of"], answer["value"]), (best_seq, best))

    def make(self, *args):
        self.run_ok("init", self.store, "--force", *args, store=None)
        self.race()

    def test_flock_journal(self):
        self.make("--locker", "flock", "--mode", "journal")

    def test_flock_publish(self):
        self.make("--locker", "flock", "--mode", "publish")

    def test_none(self):
        self.make("--locker", "none")

    @unittest.skipIf(server_program() is None, "there is no redis-server")
    def test_redis(self):
        server = Server(self.folder)
        self.addCleanup(server.kill)
        self.env["HOLDFAST_REDIS_URL"] = f"redis://127.0.0.1:{server.port}/0"
        self.make("--locker", "redis")


class Locked(Baselines):
    mode = "publish"

    def test_the_lock_is_held(self):
        """What needs no record is answered all the same."""
        self.save_some("1", "2", "3", "4")
        with open(os.path.join(self.store, "lock"), "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.run_bad(NOT_FOUND, "baseline", "establish", *RUNS, *METRIC)
            self.run_bad(LOCK, "baseline", "establish", *RUNS, *METRIC, "--min-runs", "4", "--timeout", "100ms",
                         says="the lock is held")
            self.run_bad(NOT_FOUND, "baseline", "get", *RUNS)


if __name__ == "__main__":
    main()
