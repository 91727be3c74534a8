"""bench: figures that can be, and a scratch folder that goes away however it ends."""

import glob
import os
import re
import signal
import subprocess
import time
import unittest

from support import FAILED, TIMEOUT_S, USAGE, Case, Result, as_other_user, every_file, main

SOON_S = 60
SPARSE_MIB = 24


class Bench(Case):
    def setUp(self):
        super().setUp()
        self.place = self.path("place")
        os.mkdir(self.place)

    def assertPlaceEmpty(self):
        self.assertEqual(os.listdir(self.place), [])

    def measured(self, *args, **kwargs):
        return self.run_ok("--json", "bench", "--seconds", "2", *args, store=None, **kwargs).json


class Figures(Bench):
    def test_every_figure(self):
        found = self.measured(self.place)
        self.assertPlaceEmpty()
        self.assertEqual(list(found), ["path", "filesystem", "local", "locker", "document_bytes", "seconds", "flushes",
                                       "saves", "reads", "snapshots", "limit"])
        self.assertEqual((found["path"], found["locker"], found["document_bytes"]), (self.place, "flock", 2048))
        self.assertGreater(found["seconds"], 0.5)
        self.assertEqual([each["what"] for each in found["flushes"]], ["file", "name", "page"])
        self.assertEqual([each["what"] for each in found["reads"]], ["get", "prev", "open-prev"])
        for each in found["flushes"] + found["saves"] + found["reads"]:
            self.assertGreater(each["median_us"], 0, each)
            self.assertGreaterEqual(each["p99_us"], each["median_us"], each)
        for each in found["saves"] + found["reads"]:
            self.assertGreater(each["count"], 0, each)
            self.assertGreater(each["per_s"], 0, each)
        saved = sum(each["count"] for each in found["saves"] if each["mode"] == found["saves"][0]["mode"])
        self.assertGreaterEqual(found["snapshots"], saved)  # and what was saved to count flushes
        self.assertIn(found["limit"], ("flushes", "processor"))

    def test_flushes_are_counted(self):
        found = self.measured(self.place)
        each = {(one["mode"], one["writers"], one["kind"]): one["flushes_each"] for one in found["saves"]}
        loads = [(1, "process"), (8, "thread"), (8, "process"), (1, "batch")]
        self.assertEqual([key[1:] for key in each], loads * (len(each) // len(loads)))
        if each["publish", 1, "process"] is None:
            raise unittest.SkipTest("flushes cannot be counted here")
        self.assertAlmostEqual(each["publish", 1, "process"], 2, delta=0.02)
        self.assertLess(each["publish", 8, "thread"], 1.5)
        self.assertLess(each["publish", 1, "batch"], 0.2)
        if ("journal", 1, "process") in each:  # where the filesystem is local
            self.assertGreaterEqual(each["journal", 1, "process"], 1)
            self.assertLess(each["journal", 1, "process"], 1.5)
            self.assertLess(each["journal", 8, "process"], each["publish", 8, "process"])

    def test_what_people_read(self):
        result = self.run_ok("bench", "--seconds", "1", store=None, cwd=self.place)
        self.assertPlaceEmpty()
        self.assertEqual(result.err, "")
        self.assertTrue(result.lines[0].startswith(".: "), result)
        for line in result.lines:
            self.assertLessEqual(len(line), 80, line)
        for label in ("a new file", "publish, 1 writer", "publish, 8 processes", "prev, open handle"):
            self.assertRegex(result.out, rf"(?m)^  {label} .*\d (us|ms|s) +\d\S* (us|ms|s)")
        self.assertRegex(result.out, r"publish mode: a save alone takes \S+ \w+; its two flushes by themselves \d")

    def test_a_store_nearby_is_not_touched(self):
        self.save("r", "s", {"x": 1})
        before = every_file(self.store)
        env = {"HOLDFAST_STORE": self.store}
        self.measured(self.place, env=env)
        self.assertEqual(every_file(self.store), before)
        self.assertPlaceEmpty()


class Errors(Bench):
    def bad(self, status, *args, says, **kwargs):
        self.run_bad(status, "bench", *args, store=None, says=says, **kwargs)
        self.assertPlaceEmpty()

    def test_wrong_use(self):
        self.bad(USAGE, "--seconds", "0", self.place, says="--seconds: wants 1 to")
        self.bad(USAGE, "--seconds", "4000", self.place, says="--seconds: wants 1 to")
        self.bad(USAGE, self.place, self.place, says="one argument too many")
        self.bad(USAGE, "", says="DIR: is empty")
        self.run_bad(USAGE, "bench", self.place, says="--store: bench makes a store of its own")

    def test_bad_places(self):
        nowhere = self.path("nowhere")
        self.bad(FAILED, nowhere, says=[nowhere, "No such file or directory"])
        self.assertFalse(os.path.exists(nowhere))
        self.bad(FAILED, self.write("file", "x"), says="Not a directory")
        self.bad(FAILED, "/proc", says=["/proc", "cannot make a scratch folder"])

    @unittest.skipUnless(os.geteuid() == 0, "as root: becomes another user")
    def test_a_folder_of_somebody_else(self):
        self.use_program_copy()
        os.chmod(self.place, 0o755)
        self.bad(FAILED, self.place, says=[self.place, "Permission denied"], **as_other_user())


@unittest.skipUnless(os.geteuid() == 0, "as root: mounts a small filesystem")
class FullDisk(Bench):
    def setUp(self):
        super().setUp()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SPARSE_MIB}m", "none", self.place],
                              capture_output=True, timeout=60, check=False)
        if done.returncode != 0:
            raise unittest.SkipTest(f"no mount here: {done.stderr.decode().strip()}")
        self.addCleanup(subprocess.run, ["umount", self.place], check=True, timeout=60)

    def test_it_says_so_and_leaves_nothing(self):
        self.run_bad(FAILED, "bench", "--seconds", "30", self.place, store=None, says="No space left on device")
        self.assertPlaceEmpty()


class Signals(Bench):
    def stop_by(self, number, step):
        """Sends the signal once the store of this step is there."""
        process = self.popen("bench", "--seconds", "300", self.place, store=None, start_new_session=True)
        until = time.monotonic() + SOON_S
        while not glob.glob(os.path.join(self.place, "*", step)):
            self.assertIsNone(process.poll())
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)
        process.send_signal(number)
        out, err = process.communicate(timeout=TIMEOUT_S)
        result = Result(process.returncode, out, err)
        self.assertEqual(result.status, FAILED, result)
        self.assertOneError(result, "stopped by a signal")
        self.assertEqual(result.out, "")
        self.assertPlaceEmpty()
        with self.assertRaises(ProcessLookupError):  # none of its processes is left
            os.killpg(process.pid, 0)

    def test_while_it_saves(self):
        self.stop_by(signal.SIGINT, "journal/log/mark")

    def test_while_it_flushes(self):
        self.stop_by(signal.SIGTERM, "flush-0")

    def test_its_processes_end_with_it(self):
        process = self.popen("bench", "--seconds", "300", self.place, store=None, start_new_session=True)
        until = time.monotonic() + SOON_S
        while not glob.glob(os.path.join(self.place, "*", "journal", "log", "mark")):
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)
        process.kill()
        process.communicate(timeout=TIMEOUT_S)
        while True:
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                break
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)
        self.assertEqual(len(os.listdir(self.place)), 1)
        self.assertTrue(re.match(r"holdfast-bench-", os.listdir(self.place)[0]))


if __name__ == "__main__":
    main()
