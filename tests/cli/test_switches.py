"""The switches of builds with planted bugs do what the tests that use them rely on; other builds have none."""

import json
import os
import signal
import subprocess

from support import HOLDFAST, TIMEOUT_S, TREE, Case, main

PLANTED = os.environ.get("HOLDFAST_PLANTED") or os.path.join(TREE, "build", "dev", "tests", "holdfast-planted")


class Switches(Case):
    make_store = False

    def start(self, program, *words, **switches):
        return subprocess.run([program, *words], text=True, capture_output=True, timeout=TIMEOUT_S,
                              env={**self.env, **switches}, check=False)

    def verdict(self, program, **switches):
        done = self.start(program, "--json", "doctor", self.folder, **switches)
        checks = json.loads(done.stdout)["checks"]
        return next(check["text"] for check in checks if check["name"] == "filesystem")

    def test_shared(self):
        plain, switched = self.verdict(PLANTED), self.verdict(PLANTED, HF_TEST_SHARED="1")
        self.assertIn("taken for shared", switched)
        self.assertEqual(plain.split(",")[0], switched.split(",")[0])  # the type stays what it is
        self.assertEqual(self.verdict(PLANTED, HF_TEST_SHARED="0"), plain)
        self.assertEqual(self.verdict(HOLDFAST, HF_TEST_SHARED="1"), self.verdict(HOLDFAST))

    def test_misspelt(self):
        for switch in ({"HF_TEST_SHARED": "yes"}, {"HF_PAUSE": "after-lunch:1"}, {"HF_PAUSE": "after-link:0"},
                       {"HF_PAUSE": "after-link:1x"}, {"HF_PLANT": "NO_SUCH_BUG"}):
            self.assertEqual(self.start(PLANTED, "version", **switch).returncode, 125, switch)

    def test_pause(self):
        """Between the lock and the link: nothing is there yet. Behind the link: it is there, and not marked."""
        for place, there in (("after-acquire", 0), ("after-link", 1)):
            store = self.path(place)
            self.assertEqual(self.start(PLANTED, "init", store, "--locker", "none").returncode, 0)
            with subprocess.Popen([PLANTED, "--store", store, "save", "--run-id", "r", "--stage", "s", "-"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  env={**self.env, "HF_PAUSE": f"{place}:1"}) as writer:
                writer.stdin.write('{"a":1}')
                writer.stdin.close()
                _, status = os.waitpid(writer.pid, os.WUNTRACED)
                self.assertTrue(os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGSTOP, status)
                log = os.path.join(store, "log")
                self.assertEqual(len([name for name in os.listdir(log) if name.endswith(".json")]), there)
                self.assertEqual(os.path.getsize(os.path.join(log, "mark")), 0)
                os.kill(writer.pid, signal.SIGCONT)
                self.assertEqual(writer.stdout.read().strip(), "1")
            self.assertEqual(writer.returncode, 0)


if __name__ == "__main__":
    main()
