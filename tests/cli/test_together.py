"""Several processes at once: retries by --id, races of conditions, the lock, unknown outcomes."""

import fcntl
import os
import re
import shutil
import subprocess
import time
import unittest

from support import (
    CONFLICT, DONE, FAILED, LOCK, NOT_FOUND, UNSURE, USAGE, Case, Result, main,
)

KEY = ("--run-id", "r", "--stage", "s")
PROCESSES = 8
ID = "01JGX2M8Q6T4ZV0C9K7W3R5YHB"


class Together(Case):
    def all_at_once(self, commands):
        processes = [self.popen(*args) for args, _ in commands]
        for process, (_, text) in zip(processes, commands):
            process.stdin.write(text.encode())
        for process in processes:  # all of them wait for the end of their input
            process.stdin.close()
            process.stdin = None
        results = []
        for process in processes:
            out, err = process.communicate(timeout=120)
            results.append(Result(process.returncode, out, err))
        return results


class Attempts(Together):
    def test_a_retry_with_the_same_id(self):
        first = self.run_ok("--json", "save", *KEY, "--id", ID, "-", input='{"a":1}').json
        self.assertEqual((first["seq"], first["created"], first["id"]), (1, True, ID))
        self.save("r", "s", {"a": 2})
        again = self.run_ok("--json", "save", *KEY, "--id", ID, "-", input='{"a":1}').json
        self.assertEqual((again["seq"], again["created"], again["id"]), (1, False, ID))
        again = self.run_ok("save", *KEY, "--id", ID, "--if-absent", "-", input='{"a":1}')
        self.assertEqual(again.out, "1\n")
        self.assertEqual(self.head(), 2)
        self.assertEqual(self.run_ok("resolve", ID).out, "1\n")

    def test_resolve_ends_an_attempt(self):
        self.run_bad(NOT_FOUND, "resolve", ID, says=[ID, "never will be"])
        result = self.run_any("--json", "resolve", ID)
        self.assertEqual(result.status, NOT_FOUND)
        self.assertEqual(result.json, {"id": ID, "committed": False, "seq": None})
        head = self.head()
        self.run_bad(CONFLICT, "save", *KEY, "--id", ID, "-", input="{}", says=ID)
        self.assertEqual(self.head(), head)
        self.assertEqual(self.records(), [])

    def test_resolve_json(self):
        self.save("r", "s", {}, "--id", ID)
        result = self.run_ok("--json", "resolve", ID)
        self.assertEqual(result.json, {"id": ID, "committed": True, "seq": 1})

    def test_two_processes_with_the_same_id(self):
        for number in range(20):
            attempt = ID[:-2] + f"{number:02}"
            key = ("--run-id", f"r{number}", "--stage", "s")
            save = ("--json", "save", *key, "--id", attempt)
            results = self.all_at_once([((*save, "-"), '{"n":%d}' % number)] * 2)
            self.assertEqual([r.status for r in results], [DONE, DONE], results)
            answers = [r.json for r in results]
            self.assertEqual(len({(a["seq"], a["id"]) for a in answers}), 1, answers)
            self.assertEqual(sum(a["created"] for a in answers), 1, answers)
        records = self.records("--all-revisions")
        self.assertEqual(len(records), 20)
        self.assertEqual(len({r["id"] for r in records}), 20)
        self.assertStoreIntact()


class Races(Together):
    """Of those who set the same condition exactly one wins."""

    def test_if_absent(self):
        for number in range(10):
            key = ("--run-id", f"r{number}", "--stage", "s")
            results = self.all_at_once(
                [
                    (("save", *key, "--if-absent", "-"), '{"who":%d}' % who)
                    for who in range(PROCESSES)
                ]
            )
            statuses = sorted(r.status for r in results)
            self.assertEqual(statuses, [DONE] + [CONFLICT] * (PROCESSES - 1), results)
            winner = [who for who, r in enumerate(results) if r.status == DONE][0]
            self.assertEqual(self.run_ok("get", *key).json, {"who": winner})
            self.assertEqual(results[winner].out, f"{number + 1}\n")
            for result in results:
                if result.status == CONFLICT:
                    self.assertOneError(result)
                    self.assertEqual(result.out, "")
        self.assertEqual(self.head(), 10)

    def test_if_seq(self):
        seq = self.save("r", "s", {"start": 1})
        for number in range(10):
            results = self.all_at_once(
                [
                    (("save", *KEY, "--if-seq", str(seq), "-"), '{"n":%d,"who":%d}' % (number, who))
                    for who in range(PROCESSES)
                ]
            )
            statuses = sorted(r.status for r in results)
            self.assertEqual(statuses, [DONE] + [CONFLICT] * (PROCESSES - 1), results)
            winner = [who for who, r in enumerate(results) if r.status == DONE][0]
            self.assertEqual(self.run_ok("get", *KEY).json, {"n": number, "who": winner})
            seq = int(results[winner].out)
            self.assertEqual(seq, number + 2)
        self.assertEqual(len(self.run_ok("--json", "history", *KEY).jsonl), 11)

    def test_conditions_one_by_one(self):
        self.run_bad(CONFLICT, "save", *KEY, "--if-seq", "1", "-", input="{}")
        first = self.run_ok("save", *KEY, "--if-seq", "0", "-", input='{"a":1}')
        self.assertEqual(first.out, "1\n")
        self.run_bad(CONFLICT, "save", *KEY, "--if-seq", "0", "-", input='{"a":2}', says="1")
        self.run_bad(CONFLICT, "save", *KEY, "--if-absent", "-", input='{"a":2}', says="1")
        # The same document again is asked before the condition.
        for condition in (("--if-absent",), ("--if-seq", "99")):
            again = self.run_ok("save", "--json", *KEY, *condition, "-", input='{"a":1}').json
            self.assertEqual((again["seq"], again["created"]), (1, False))
        dim = (*KEY, "--dim", "a=b")
        self.assertEqual(self.run_ok("save", *dim, "--if-absent", "-", input='{"a":1}').out, "2\n")
        self.assertEqual(self.head(), 2)

    def test_many_writers(self):
        commands = [
            (("save", "--run-id", f"w{who}", "--stage", "s", "-"), '{"who":%d}' % who)
            for who in range(PROCESSES)
        ]
        seqs = []
        for number in range(10):
            results = self.all_at_once(
                [(args, text.replace("}", ',"n":%d}' % number)) for args, text in commands]
            )
            self.assertEqual({r.status for r in results}, {DONE}, results)
            seqs += [int(r.out) for r in results]
        self.assertEqual(sorted(seqs), list(range(1, 10 * PROCESSES + 1)))
        self.assertStoreIntact()


class Lock(Case):
    def setUp(self):
        super().setUp()
        self.save("before", "s", {})  # makes the lock file
        self.lock = open(os.path.join(self.store, "lock"), "rb+")
        self.addCleanup(self.lock.close)

    def test_held_by_another(self):
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        took = []
        for _ in range(3):  # a busy machine may be slow once
            start = time.monotonic()
            self.run_bad(LOCK, "save", *KEY, "--timeout", "300ms", "-", input="{}")
            took.append(time.monotonic() - start)
        self.assertGreater(min(took), 0.29)
        self.assertLess(min(took), 2)
        self.run_bad(LOCK, "save", *KEY, "--timeout", "0ms", "-", input="{}")
        self.run_bad(LOCK, "resolve", ID, "--timeout", "100ms")
        self.assertEqual(self.head(), 1)  # readers take no lock
        fcntl.flock(self.lock, fcntl.LOCK_UN)
        self.assertEqual(self.save("r", "s", {}), 2)

    def test_waits_and_goes_on(self):
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        process = self.popen("save", *KEY, "--timeout", "60s", "-")
        process.stdin.write(b"{}")
        process.stdin.close()
        process.stdin = None
        with self.assertRaises(subprocess.TimeoutExpired):
            process.wait(0.3)
        fcntl.flock(self.lock, fcntl.LOCK_UN)
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out), (DONE, b"2\n"), err)

    def test_status(self):
        self.assertEqual(self.run_ok("lock", "status").out, "free\n")
        info = self.run_ok("--json", "lock", "status").json
        self.assertEqual(
            list(info), "locker held holder host pid token attempt since until".split()
        )
        self.assertEqual((info["locker"], info["held"], info["holder"]), ("flock", False, None))
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        text = self.run_ok("lock", "status").out
        self.assertNotEqual(text, "free\n")
        info = self.run_ok("--json", "lock", "status").json
        self.assertIs(info["held"], True)
        self.assertTrue(text.startswith(info["holder"]), (text, info))

    def test_break_needs_a_terminal_or_yes(self):
        self.run_bad(USAGE, "lock", "break", says="--yes")
        self.assertEqual(self.run_ok("lock", "break", "--yes").out, "free\n")
        self.assertEqual(
            self.run_ok("--json", "lock", "break", "--yes").json, {"broken": False, "holder": None}
        )

    def test_break(self):
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.run_bad(LOCK, "save", *KEY, "--timeout", "100ms", "-", input="{}")
        self.assertEqual(self.run_ok("lock", "break", "--yes").out, "broken\n")
        self.assertEqual(self.run_ok("save", *KEY, "--timeout", "5s", "-", input="{}").out, "2\n")


SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* fsync and fdatasync of what has this end of a path fail. */
static int flush(int fd, const char *call) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, call);
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  const char *end = getenv("FAIL_FSYNC_OF");
  if (n > 0 && end != NULL) {
    path[n] = 0;
    if ((size_t)n >= strlen(end) && strcmp(path + n - strlen(end), end) == 0) {
      errno = EIO;
      return -1;
    }
  }
  return real(fd);
}
int fsync(int fd) { return flush(fd, "fsync"); }
int fdatasync(int fd) { return flush(fd, "fdatasync"); }
"""


class Unsure(Case):
    """A folder's fsync fails after the record was linked: nobody knows whether it is durable."""

    mode = "publish"
    flushed = "/store/log"

    def setUp(self):
        super().setUp()
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            raise unittest.SkipTest("no C compiler for the shim that makes fsync fail")
        source = self.write("shim.c", SHIM)
        self.shim = self.path("shim.so")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-o", self.shim, source, "-ldl"], check=True, timeout=60
        )
        options = self.env.get("ASAN_OPTIONS", "")
        self.failing = {
            "LD_PRELOAD": self.shim,
            "FAIL_FSYNC_OF": self.flushed,
            "ASAN_OPTIONS": options + ":verify_asan_link_order=0",
        }

    def unsure_id(self, result):
        self.assertEqual((result.status, result.out), (UNSURE, ""), result)
        line = result.err.splitlines()[-1]
        found = re.findall(r"holdfast --store '([^']+)' resolve ([0-9A-Z]{26})", line)
        self.assertEqual(len(found), 1, line)
        self.assertEqual(found[0][0], self.store)
        return found[0][1]

    def test_save_and_resolve(self):
        result = self.run_any("save", *KEY, "-", input='{"a":1}', env=self.failing)
        attempt = self.unsure_id(result)
        settled = self.run_any("resolve", attempt)
        self.assertEqual((settled.status, settled.out), (DONE, "1\n"), settled)
        self.assertEqual(self.run_ok("get", "--seq", "1").json, {"a": 1})
        self.assertStoreIntact()

    def test_the_id_of_the_caller(self):
        save = ("save", *KEY, "--id", ID, "-")
        result = self.run_any(*save, input='{"a":1}', env=self.failing)
        self.assertEqual(self.unsure_id(result), ID)
        self.assertEqual(self.run_ok(*save, input='{"a":1}').out, "1\n")
        self.assertEqual(self.head(), 1)

    def test_batch(self):
        text = '{"run_id":"a","stage":"s","doc":{}}\n'
        result = self.run_any("save", "--batch", "-", input=text, env=self.failing)
        attempt = self.unsure_id(result)
        self.assertIn("line 1", result.err)
        self.assertEqual(self.run_ok("resolve", attempt).out, "1\n")

    def test_the_file_itself(self):
        failing = {**self.failing, "FAIL_FSYNC_OF": ""}  # every one: nothing was published
        result = self.run_any("save", *KEY, "-", input='{"a":1}', env=failing)
        self.assertEqual((result.status, result.out), (FAILED, ""), result)
        self.assertEqual(self.head(), 0)


class UnsureInJournalMode(Unsure):
    """The part's fdatasync fails after the record was appended."""

    mode = "journal"
    flushed = "/store/tile/000/0.part"


if __name__ == "__main__":
    main()
