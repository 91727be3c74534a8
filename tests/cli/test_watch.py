"""watch: each snapshot once, in order, by processes that are killed, with commands, and while the store is away."""

import json
import os
import random
import signal
import subprocess
import time
import unittest

import test_redis
from support import DONE, FAILED, NOT_FOUND, TREE, USAGE, Case, as_other_user, main
from test_list import MEMBERS

PLANTED = os.environ.get("HOLDFAST_PLANTED") or os.path.join(TREE, "build", "dev", "tests", "holdfast-planted")
INTERRUPTED = 130
SOON_S = 60  # a machine that is busy; what must be quick is measured where the kernel tells (fault_watch)
WRITERS = 8


class Watching(Case):
    def watch(self, *args, **kwargs):
        return self.popen("watch", *args, **kwargs)

    def line(self, process):
        """Its next line; the test's own time limit ends a wait for nothing."""
        return process.stdout.readline().decode().rstrip("\n")

    def seqs(self, process, count):
        return [json.loads(self.line(process))["seq"] for _ in range(count)]

    def end(self, process, number=signal.SIGTERM):
        process.send_signal(number)
        out, err = process.communicate(timeout=SOON_S)
        return process.returncode, out.decode(), err.decode()

    def started(self, *args, **kwargs):
        """One that has begun: --format table prints its heading then."""
        process = self.watch(*args, **kwargs)
        self.assertIn("run_id", self.line(process))
        return process


class Prints(Watching):
    def test_what_is_committed_from_now_on(self):
        self.save("old", "s", {})
        process = self.started()
        self.save("new", "s", {}, "--group", "g")
        self.save("new", "s", {"again": 1})
        self.assertEqual([self.line(process).split()[:3] for _ in range(2)], [["2", "new", "s"], ["3", "new", "s"]])
        self.assertEqual(self.end(process), (DONE, "", ""))

    def test_since_and_filters(self):
        self.save("a", "s", {"n": 1}, "--group", "g")
        self.save("b", "t", {"n": 2}, "--dim", "x=y")
        self.save("a", "s", {"n": 3})
        for args, seqs in (((), [1, 2, 3]), (("--run-id", "a"), [1, 3]), (("--stage", "t"), [2]),
                           (("--group", "g"), [1]), (("--dim", "x=y"), [2])):
            result = self.run_ok("watch", "--since", "1", *args, "--json", "--count", str(len(seqs)))
            self.assertEqual([record["seq"] for record in result.jsonl], seqs, args)
        self.assertEqual(list(result.jsonl[0]), MEMBERS)
        for since in ("0", "1"):
            self.assertEqual(len(self.run_ok("watch", "--since", since, "--count", "3", "--json").jsonl), 3)
        self.run_any("resolve", "01JGX2M8Q6T4ZV0C9K7W3R5YHB")
        ops = self.run_ok("watch", "--since", "1", "--all-records", "--count", "4", "--format", "jsonl").jsonl
        self.assertEqual([record["op"] for record in ops], ["save"] * 3 + ["end"])

    def test_count_and_timeout(self):
        self.save("a", "s", {})
        self.assertEqual(self.run_ok("watch", "--timeout", "100ms", "--json").out, "")
        result = self.run_any("watch", "--since", "1", "--count", "2", "--timeout", "100ms", "--json")
        self.assertEqual((result.status, len(result.jsonl)), (NOT_FOUND, 1), result)
        self.assertOneError(result, "1 of 2")
        self.assertEqual(self.run_ok("watch", "--since", "1", "--count", "0", "--json").out, "")

    def test_timeout_in_a_stream(self):
        """There is always something more to print; it ends all the same."""
        lines = [json.dumps({"run_id": f"r{i}", "stage": "s", "doc": {}}) for i in range(5000)]
        self.run_ok("save", "--batch", "-", input="\n".join(lines))
        printed = len(self.run_ok("watch", "--since", "1", "--timeout", "0ms", "--json").lines)
        self.assertIn(printed, range(1, 5000))

    def test_wrong_use(self):
        for args, says in ((("--stop-on-failure",), "--exec"), (("--exec", ""), "--exec"),
                           (("--every", "1ms"), "look_ms"), (("--format", "csv"), "--format"),
                           (("--format", "table", "--json"), "--json"), (("--state", ""), "--state"),
                           (("--since", "x"), "--since"), (("operand",), "operand")):
            self.run_bad(USAGE, "watch", *args, says=says)
        self.run_bad(FAILED, "watch", store=self.path("nothing"))

    def test_signals(self):
        for number, status in ((signal.SIGINT, INTERRUPTED), (signal.SIGTERM, DONE), (signal.SIGHUP, DONE)):
            self.assertEqual(self.end(self.started(), number), (status, "", ""), number)

    def test_nobody_reads(self):
        process = self.started()
        process.stdout.close()  # it notices without anything to print
        process.wait(timeout=SOON_S)
        self.assertEqual((process.returncode, process.stderr.read()), (DONE, b""))
        process.stderr.close()
        process.stdin.close()
        for i in range(3):
            self.save(f"r{i}", "s", {})
        piped = subprocess.run(["bash", "-c", 'set -o pipefail; "$0" --store "$1" watch --since 1 --json | head -n 1',
                                self.command([], None)[0], self.store], env=self.env, capture_output=True,
                               timeout=SOON_S, check=False)
        self.assertEqual((piped.returncode, piped.stderr, json.loads(piped.stdout)["seq"]), (DONE, b"", 1), piped)

    def test_damaged(self):
        self.run_ok("init", self.path("publish"), "--locker", "flock", "--mode", "publish", "--force", store=None)
        self.store = self.path("publish")
        for i in range(3):
            self.save(f"r{i}", "s", {"n": i})
        self.write("publish/log/00000000000000000002.json", "{}\n")
        result = self.run_any("watch", "--since", "1", "--count", "2", "--json")
        self.assertEqual((result.status, [r["seq"] for r in result.jsonl]), (FAILED, [1, 3]), result)
        self.assertOneError(result, "seq 2 ")


class Exec(Watching):
    def test_what_a_command_gets(self):
        self.save("run \u00e9", "s", {"pad": "x" * 200_000, "n": 0.10}, "--dim", "a=b")
        command = 'cat >"$OUT"; echo "$HOLDFAST_SEQ|$HOLDFAST_RUN_ID|$HOLDFAST_STAGE|$HOLDFAST_STORE"'
        result = self.run_ok("watch", "--since", "1", "--count", "1", "--exec", command, env={"OUT": self.path("out")})
        self.assertEqual(result.out, f"1|run \u00e9|s|{os.path.realpath(self.store)}\n")
        with open(self.path("out"), encoding="utf-8") as out:
            self.assertEqual(out.read(), self.run_ok("get", "--seq", "1", "--meta").out)
        silent = self.run_ok("watch", "--since", "1", "--count", "1", "--exec", "exec <&-; sleep 0.1", "--json")
        self.assertEqual([r["seq"] for r in silent.jsonl], [1])  # a command need not read

    def test_a_command_that_fails(self):
        for i in range(3):
            self.save(f"r{i}", "s", {})
        command = 'echo $HOLDFAST_SEQ; [ "$HOLDFAST_SEQ" != 2 ] || exit 7'
        result = self.run_any("watch", "--since", "1", "--count", "3", "--exec", command)
        self.assertEqual((result.status, result.out), (FAILED, "1\n2\n3\n"), result)
        self.assertOneError(result, ["seq 2", "status 7"])
        state = ("--state", self.path("state"))
        for out in ("1\n2\n", "2\n"):  # it is not done, and tried again
            result = self.run_any("watch", "--since", "1", "--count", "3", *state, "--stop-on-failure", "--exec",
                                  command)
            self.assertEqual((result.status, result.out), (FAILED, out), result)
            self.assertOneError(result, ["seq 2", "status 7"])
        self.assertEqual(self.run_ok("watch", *state, "--count", "2", "--exec", "echo $HOLDFAST_SEQ").out, "2\n3\n")

    def test_ended_while_a_command_runs(self):
        self.save("r", "s", {})
        command = 'touch "$OUT"; sleep 0.5; echo $HOLDFAST_SEQ'
        process = self.watch("--since", "1", "--exec", command, env={"OUT": self.path("begun")})
        while not os.path.exists(self.path("begun")):
            time.sleep(0.01)
        self.assertEqual(self.end(process), (DONE, "1\n", ""))


class State(Watching):
    def setUp(self):
        super().setUp()
        self.state = self.path("state")
        self.args = ("--state", self.state, "--json")

    def given(self, *args):
        return [r["seq"] for r in self.run_ok("watch", *self.args, "--timeout", "100ms", *args).jsonl]

    def test_goes_on(self):
        self.save("a", "s", {})
        self.assertEqual(self.given(), [])  # from now on: where that was is kept
        self.save("b", "s", {})
        self.assertEqual(self.given("--since", "1"), [2])  # the state counts
        self.assertEqual(self.given(), [])
        self.save("c", "t", {})
        self.assertEqual(self.given("--stage", "s"), [])
        self.assertEqual(self.given(), [])  # what was not wanted was passed by
        with open(self.state, encoding="utf-8") as file:
            self.assertEqual(json.loads(file.read()), {"holdfast_watch": 1, "store": self.manifest()["uuid"], "seq": 3})

    def test_wrong_states(self):
        self.save("a", "s", {})
        self.assertEqual(self.given("--since", "1"), [1])
        with open(self.state, "rb") as file:
            good = file.read()
        for bad in (b"", good[:-1], good[:50], good + b"\n", b"\xff" * 128, good.replace(b'"seq":1}', b'"seq":x}'),
                    good.replace(b'"seq":1} ', b'"seq":01}'), b"x" * 100_000):
            self.write("state", bad)
            self.run_bad(FAILED, "watch", *self.args, "--timeout", "1s", says=["state", "does not hold the state"])
        self.write("state", good.replace(b'"seq":1} ', b'"seq":22}'))
        self.run_bad(FAILED, "watch", *self.args, says=["seq 22", "older copy"])
        self.write("state", good)
        self.run_ok("init", self.path("other"), "--locker", "flock", "--force", store=None)
        self.run_bad(FAILED, "watch", *self.args, store=self.path("other"), says="another store")
        self.run_bad(FAILED, "watch", "--state", self.folder, says="directory")
        self.run_bad(FAILED, "watch", "--state", self.path("no", "folder"), says="no/folder")
        first = self.started("--state", self.state)
        self.run_bad(FAILED, "watch", *self.args, says="another watch uses it")
        self.assertEqual(self.end(first)[0], DONE)
        self.assertEqual(self.given(), [])

    def test_a_folder_that_cannot_be_written(self):
        self.use_program_copy()
        os.mkdir(self.path("locked"), 0o555)
        self.run_bad(FAILED, "watch", "--state", self.path("locked", "state"), says="locked/state", **as_other_user())


class Storm(Watching):
    """Eight writers, some of them killed, a packer, and watchers that are killed: list is the model."""

    environment = {}
    every = ()

    def batch(self, who):
        lines = [json.dumps({"run_id": f"w{who}-{i}", "stage": "s", "doc": {"n": i}}) for i in range(120)]
        return self.write(f"batch-{who}", "\n".join(lines))

    def start_writers(self):
        words = ("save", "--batch", "--timeout", "60s")
        return [self.popen(*words, self.batch(who), env=self.environment, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL) for who in range(WRITERS)]

    def disturb(self, writers, rng):
        """Kills two of them somewhere; the others end by themselves."""
        for victim in rng.sample(writers, 2):
            time.sleep(rng.uniform(0.02, 0.2))
            victim.kill()

    def check(self, texts, wanted):
        """texts: what each of the watches after each other has written."""
        last = 0
        for text in texts:
            seqs = [json.loads(line)["seq"] for line in text.splitlines()]
            self.assertEqual(seqs, sorted(set(seqs)), "out of order, or doubled")
            if seqs:
                self.assertIn(seqs[0], [s for s in wanted if s >= last][:2], "one is missing")
                expected = [s for s in wanted if seqs[0] <= s <= seqs[-1]]
                self.assertEqual(seqs, expected)
                last = seqs[-1]
        self.assertEqual(last, wanted[-1])

    def run_storm(self):
        rng = random.Random(7)
        with open(self.path("steady"), "wb") as out:
            steady = self.watch("--since", "1", "--json", *self.every, stdout=out, env=self.environment)
        writers = self.start_writers()
        texts = []
        for number in range(6):
            with open(self.path(f"out-{number}"), "wb") as out:
                killed = self.watch("--since", "1", "--json", "--state", self.path("state"), *self.every, stdout=out,
                                    env=self.environment)
                time.sleep(rng.uniform(0.1, 0.4))
                if number == 2:
                    self.disturb(writers, rng)
                if number == 3:
                    self.run_ok("pack", env=self.environment)
                killed.kill()
                killed.communicate()
            with open(self.path(f"out-{number}"), encoding="utf-8") as text:
                texts.append(text.read())
        for writer in writers:
            writer.wait(timeout=SOON_S * 2)
        self.save("last", "s", {}, env=self.environment)
        wanted = [r["seq"] for r in self.records("--all-revisions")]
        texts.append(self.run_ok("watch", "--json", "--state", self.path("state"), "--timeout", "3s", *self.every,
                                 env=self.environment).out)
        self.check(texts, wanted)
        deadline = time.monotonic() + SOON_S
        while time.monotonic() < deadline:
            with open(self.path("steady"), encoding="utf-8") as text:
                if len(text.read().splitlines()) >= len(wanted):
                    break
            time.sleep(0.05)
        self.assertEqual(self.end_quietly(steady), DONE)
        with open(self.path("steady"), encoding="utf-8") as text:
            self.assertEqual([json.loads(line)["seq"] for line in text], wanted)

    def end_quietly(self, process):
        process.terminate()
        process.communicate(timeout=SOON_S)
        return process.returncode

    def test_journal(self):
        self.run_storm()

    def test_publish(self):
        self.run_ok("locker", "set", "flock", "--mode", "publish")
        self.run_storm()

    def test_the_mode_changes(self):
        process = self.watch("--since", "1", "--json")
        for number in range(4):
            self.save(f"r{number}", "s", {})
            self.run_ok("locker", "set", "flock", "--mode", ("publish", "journal")[number % 2])
        self.assertEqual(self.seqs(process, 4), [1, 3, 5, 7])
        self.assertEqual(self.end(process)[0], DONE)

    def test_a_repair(self):
        self.save("r0", "s", {})
        process = self.watch("--since", "1", "--json")
        self.assertEqual(self.seqs(process, 1), [1])
        os.unlink(os.path.join(self.store, "log", "mark"))
        self.run_any("verify", "--repair")
        self.save("r1", "s", {})
        self.assertEqual(self.seqs(process, 1), [2])
        status, out, _ = self.end(process)
        self.assertEqual((status, out), (DONE, ""))


@unittest.skipIf(not os.access(PLANTED, os.X_OK), "there is no build with planted bugs")
class Shared(Storm):
    """The same where the store is looked at: every filesystem is taken for one that hosts share."""

    environment = {"HF_TEST_SHARED": "1"}
    every = ("--every", "50ms")

    def setUp(self):
        super().setUp()
        self.program = PLANTED
        self.store = self.path("shared")
        self.env.update(self.environment)
        self.run_ok("init", self.store, "--locker", "flock", "--force", store=None)

    test_journal = test_the_mode_changes = None

    def test_looks_once_a_second(self):
        process = self.started()
        self.save("r", "s", {})
        began = time.monotonic()
        self.assertEqual(self.line(process).split()[0], "1")
        self.assertLess(time.monotonic() - began, SOON_S)
        self.assertEqual(self.end(process)[0], DONE)


class WithoutNotices(Watching):
    """The kernel's limit of inotify instances is reached: the store is looked at."""

    def test_it_looks(self):
        script = 'echo 0 >/proc/sys/user/max_inotify_instances || exit 77; exec "$@"'
        process = subprocess.Popen(["unshare", "-Ur", "sh", "-c", script, "sh", *self.command(
            ["--verbose", "watch", "--json", "--every", "50ms", "--since", "1"], self.store)], env=self.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        told = process.stderr.readline().decode()
        if "inotify" not in told:
            process.kill()
            process.communicate()
            raise unittest.SkipTest(f"needs a user namespace: {told}")
        for seq in range(1, 4):
            began = time.monotonic()
            self.save(f"r{seq}", "s", {})
            self.assertEqual(self.seqs(process, 1), [seq])
        self.assertLess(time.monotonic() - began, SOON_S)
        self.assertEqual(self.end(process)[0], DONE)


class Redis(test_redis.Redis):
    def test_the_server_restarts(self):
        process = self.popen("watch", "--since", "1", "--json")
        seqs = [self.save("r0", "s", {})]
        self.server.kill()
        self.server.start()
        seqs.append(self.save("r1", "s", {}))
        given = [json.loads(process.stdout.readline())["seq"] for _ in range(2)]
        self.assertEqual(given, seqs)
        process.terminate()
        process.communicate(timeout=SOON_S)
        self.assertEqual(process.returncode, DONE)


class Away(Watching):
    def test_rights_are_taken_away(self):
        """Of the folder in which the store lies: it cannot be reached by its path."""
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs two users")
        self.use_program_copy()
        os.mkdir(self.path("gate"))
        self.run_ok("init", self.path("gate", "store"), "--locker", "flock", "--force", store=None)
        self.store = self.path("gate", "store")
        self.save("r0", "s", {})
        process = self.watch("--since", "1", "--json", **as_other_user())
        self.assertEqual(self.seqs(process, 1), [1])
        os.chmod(self.path("gate"), 0o700)
        self.assertIn("waiting until", process.stderr.readline().decode())
        self.save("r1", "s", {})
        os.chmod(self.path("gate"), 0o755)
        self.assertEqual(self.seqs(process, 1), [2])
        self.assertIn("going on behind seq 1", process.stderr.readline().decode())
        self.assertEqual(self.end(process), (DONE, "", ""))

    SCRIPT = r"""
set -e
mkdir "$1/mount" "$1/away"
mount -t tmpfs none "$1/mount" && mount --make-private "$1/mount" || exit 77
h="$0 --store $1/mount/store"
"$0" init "$1/mount/store" --locker flock --force >/dev/null
$h watch --since 1 --json >"$1/out" 2>"$1/err" &
watch=$!
trap 'kill $watch' EXIT
wait_for() { i=0; while ! grep -q "$1" "$2"; do i=$((i + 1)); [ $i -lt 600 ] || exit 5; sleep 0.1; done; }
echo '{}' | $h save --run-id a --stage s - >/dev/null
wait_for '"seq":1' "$1/out"
mount --move "$1/mount" "$1/away"
wait_for 'waiting until' "$1/err"
echo '{}' | "$0" --store "$1/away/store" save --run-id b --stage s - >/dev/null
mount --move "$1/away" "$1/mount"
wait_for '"seq":2' "$1/out"
cp -a "$1/mount/store" "$1/copy"
mount -t tmpfs none "$1/mount"
cp -a "$1/copy" "$1/mount/store"
echo '{}' | $h save --run-id c --stage s - >/dev/null
wait_for '"seq":3' "$1/out"
trap - EXIT
kill $watch
wait $watch
"""

    def test_a_mount_goes_and_comes(self):
        script = self.write("script", self.SCRIPT)
        ran = subprocess.run(["unshare", "-m", "sh", "-c", f'. "{script}"', self.command([], None)[0], self.folder],
                             env=self.env, capture_output=True, timeout=SOON_S * 2, check=False)
        if ran.returncode == 77 or b"unshare failed" in ran.stderr or b"Operation not permitted" in ran.stderr:
            raise unittest.SkipTest("needs the right to mount")
        with open(self.path("err"), encoding="utf-8") as err:
            told = err.read()
        self.assertEqual(ran.returncode, DONE, (ran, told))
        with open(self.path("out"), encoding="utf-8") as out:
            self.assertEqual([json.loads(line)["seq"] for line in out], [1, 2, 3])
        self.assertEqual((told.count("waiting until"), told.count("going on behind")), (1, 1), told)


if __name__ == "__main__":
    main()
