"""What writers count, as stats tells it: the sum over processes and hosts, and what happens where it cannot be kept."""

import fcntl
import glob
import json
import os
import signal
import time
import unittest

from test_stats import parse_prometheus
from support import DONE, FAILED, TREE, USAGE, Case, as_other_user, main

PLANTED = os.environ.get("HOLDFAST_PLANTED") or os.path.join(TREE, "build", "dev", "tests", "holdfast-planted")
KEY = ("--run-id", "r", "--stage", "s")
LINES = 300


class Writers(Case):
    def writers(self, **kwargs):
        return self.run_ok("stats", "--json", **kwargs).json["writers"]

    def total(self):
        return self.writers()["total"]

    def folder_of_counts(self):
        return os.path.join(self.store, "stats")

    def files(self):
        return sorted(glob.glob(os.path.join(self.store, "stats", "*")))

    def batch(self, name, count=LINES):
        return "".join(json.dumps({"run_id": f"{name}-{i}", "stage": "s", "doc": {"n": i}}) + "\n"
                       for i in range(count))

    def saves_go_on(self, name):
        """A save is done without a word, whatever is wrong with the counts."""
        result = self.run_ok("save", "--run-id", name, "--stage", "s", "-", input="{}")
        self.assertEqual(result.err, "")


class Counts(Writers):
    def test_nobody_has_saved(self):
        self.assertEqual(self.writers(), {"total": self.total(), "hosts": [], "unread": 0})
        self.assertNotIn("lock ", self.run_ok("stats").out)
        self.run_ok("list")
        self.run_ok("head")
        self.assertEqual(self.files(), [])  # readers make none

    def test_a_turn_that_was_not_granted(self):
        self.save("first", "s", {})
        with open(os.path.join(self.store, "lock"), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.run_any("save", *KEY, "-", "--timeout", "300ms", input="{}")
        total = self.total()
        self.assertEqual([total[name] for name in ("handles", "saves", "failed", "lock_failures")], [2, 1, 1, 1])
        self.assertRegex(self.run_ok("stats").out, r"1 in vain\n")

    def test_what_became_of_saves(self):
        self.save("r", "s", {"n": 1})
        self.save("r", "s", {"n": 1})
        self.run_any("save", *KEY, "--if-absent", "-", input='{"n":2}')
        total = self.total()
        self.assertEqual([total[name] for name in ("handles", "saves", "unchanged", "refused")], [3, 1, 1, 1])
        self.assertIn(": 1 saved, 1 unchanged, 1 refused\n", self.run_ok("stats").out)

    def test_a_killed_writer(self):
        process = self.popen("save", "--batch", "-")
        process.stdin.write(self.batch("killed").encode())
        process.stdin.flush()
        until = time.monotonic() + 60
        while not self.total()["saves"] and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()
        killed = self.total()
        self.assertEqual(killed["handles"], 1)
        self.assertLessEqual(killed["saves"], LINES)
        self.save("after", "s", {})
        total = self.total()
        self.assertEqual((total["handles"], total["saves"]), (2, killed["saves"] + 1))
        for name, count in killed.items():  # they only rise
            self.assertGreaterEqual(total[name], count, name)
        self.assertStoreIntact()

    def test_many_processes(self):
        processes = [self.popen("save", "--batch", "-") for _ in range(6)]
        for number, process in enumerate(processes):
            process.stdin.write(self.batch(f"p{number}", 40).encode())
            process.stdin.close()
        for process in processes:
            process.stdout.read()
            self.assertEqual(process.wait(60), DONE)
            process.stdout.close()
            process.stderr.close()
        total = self.total()
        self.assertEqual((total["handles"], total["saves"], len(self.files())), (6, 240, 1))

    def test_prometheus_agrees(self):
        self.run_ok("save", "--batch", "-", input=self.batch("p", 20))
        (host,) = self.writers()["hosts"]
        families = parse_prometheus(self.run_ok("stats", "--format", "prometheus").out)
        labels = tuple(sorted({"store": self.manifest()["uuid"], "host": host["host"]}.items()))
        names = {"writer_handles_total": "handles", "saves_total": "saves", "commits_total": "commits",
                 "unchanged_saves_total": "unchanged", "refused_saves_total": "refused",
                 "failed_saves_total": "failed", "unsure_saves_total": "unsure", "flushes_total": "flushes",
                 "conflicts_total": "conflicts", "lock_waits_total": "lock_waits",
                 "lock_failures_total": "lock_failures", "writer_counter_repairs_total": "counter_repairs"}
        for name, member in names.items():
            self.assertEqual(families["holdfast_" + name], ("counter", {labels: host[member]}))
        for name, member in (("total", "lock_wait_us"), ("longest", "lock_wait_us_max")):
            name = "lock_wait_seconds_total" if name == "total" else "lock_wait_longest_seconds"
            self.assertAlmostEqual(families["holdfast_" + name][1][labels], host[member] / 1e6)

    def test_it_is_turned_off(self):
        config = self.write("config.json", '{"stats":{"writers":false}}')
        self.run_ok("--config", config, "save", *KEY, "-", input="{}")
        self.assertEqual(self.files(), [])
        self.write("config.json", '{"stats":{"writers":true}}')
        self.run_ok("--config", config, "save", *KEY, "-", input='{"n":1}')
        self.assertEqual(self.total()["saves"], 1)
        self.write("config.json", '{"stats":{"writers":1}}')
        self.run_bad(USAGE, "--config", config, "head", says="stats.writers must be true or false, not a number")
        self.write("config.json", '{"stats":{"writer":true}}')
        self.run_bad(USAGE, "--config", config, "head", says="is writers meant?")


class Contention(Writers):
    mode = "publish"

    def test_two_processes_are_summed_up(self):
        self.save("first", "s", {})
        with open(os.path.join(self.store, "lock"), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            processes = [self.popen("save", "--run-id", name, "--stage", "s", "-") for name in "ab"]
            for process in processes:
                process.stdin.write(b"{}")
                process.stdin.close()
            stage, until = os.path.join(self.store, "stage"), time.monotonic() + 60
            while len(os.listdir(stage)) < 2 and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(0.6)  # both have staged: they wait
            fcntl.flock(lock, fcntl.LOCK_UN)
        for process in processes:
            self.assertEqual(process.wait(60), DONE)
            process.stdout.close()
            process.stderr.close()
        total = self.total()
        self.assertEqual([total[name] for name in ("handles", "saves", "commits", "lock_failures")], [3, 3, 3, 0])
        self.assertGreaterEqual(total["lock_waits"], 2)
        self.assertGreater(total["lock_wait_us"], 300_000)
        self.assertGreater(total["lock_wait_us_max"], 200_000)
        self.assertGreaterEqual(total["flushes"], 1)
        self.assertRegex(self.run_ok("stats").out, r"\nlock +[2-9] waits, [0-9]\.[0-9]{3} s in all")


@unittest.skipUnless(os.access(PLANTED, os.X_OK), "no program with switches for tests here")
class Hosts(Writers):
    def save_on(self, machine, name, count=1):
        for number in range(count):
            self.run_ok("save", "--run-id", f"{name}{number}", "--stage", "s", "-", input="{}",
                        env={"HF_TEST_MACHINE": machine})

    def test_hosts_of_one_name(self):
        self.program = PLANTED
        self.save_on("one", "a", 2)
        self.save_on("two", "b", 3)
        self.assertEqual(len(self.files()), 2)  # nobody writes into another's
        writers = self.writers()
        self.assertEqual([(host["handles"], host["saves"]) for host in writers["hosts"]], [(5, 5)])
        self.assertEqual(writers["total"]["saves"], 5)

    def test_two_hosts(self):
        self.program = PLANTED
        self.save_on("one", "a", 2)
        (first,) = self.files()
        with open(first, "rb") as file:
            content = bytearray(file.read())
        content[8:72] = b"another \"host\"".ljust(64, b"\0")
        content[252:] = crc32c(content[:252]).to_bytes(4, "little")
        with open(os.path.join(self.folder_of_counts(), "0" * 16), "wb") as file:
            file.write(content)
        self.save_on("one", "b", 1)
        writers = self.writers()
        self.assertEqual(writers["total"]["saves"], 5)
        self.assertEqual({host["host"]: host["saves"] for host in writers["hosts"]},
                         {"another \"host\"": 2, os.uname().nodename: 3})
        text = self.run_ok("stats").out
        self.assertIn("5 handles on 2 hosts: 5 saved", text)
        self.assertIn("  another \"host\": 2 saved, waited ", text)
        saves = parse_prometheus(self.run_ok("stats", "--format", "prometheus").out)["holdfast_saves_total"][1]
        self.assertEqual(sorted(saves.values()), [2, 3])

    def test_a_store_has_no_more_than_so_many(self):
        self.program = PLANTED
        for number in range(1024):
            self.write(os.path.join(self.folder_of_counts(), f"{number:016x}"), b"")
        self.save_on("one", "a", 2)
        self.assertEqual((len(self.files()), self.writers()["hosts"]), (1024, []))


class Wrong(Writers):
    def setUp(self):
        super().setUp()
        self.save("first", "s", {})
        (self.file,) = self.files()

    def test_a_file_that_does_not_check(self):
        with open(self.file, "rb") as file:
            good = file.read()
        longer = good + b"x"
        flipped = good[:100] + bytes([good[100] ^ 1]) + good[101:]
        for name, content in (("short", good[:100]), ("long", longer), ("flipped", flipped), ("text", b"hello\n"),
                              ("magic", b"HFSTATS1")):
            with self.subTest(name):
                self.write(self.file, content)
                self.saves_go_on(name)
                with open(self.file, "rb") as file:
                    self.assertEqual(file.read(), content)  # it may be somebody's
                writers = self.writers()
                self.assertEqual((writers["hosts"], writers["unread"]), ([], 1))
                self.assertIn("unread     1 in stats/: holdfast verify tells which\n", self.run_ok("stats").out)
                result = self.run_ok("verify")
                self.assertIn("does not check", result.out + result.err)
                self.run_ok("verify", "--repair")
                self.saves_go_on(f"{name} again")
                self.assertEqual(self.writers()["total"]["saves"], 1)
                self.assertEqual(self.run_ok("verify").out.count("does not check"), 0)
                os.unlink(self.file)

    def test_what_a_power_loss_leaves(self):
        for content in (b"", bytes(256)):
            self.write(self.file, content)
            self.assertEqual((self.writers()["hosts"], self.writers()["unread"]), ([], 0))
            self.run_ok("verify")
            self.saves_go_on(f"after {len(content)}")
            self.assertEqual(self.total()["saves"], 1)

    def test_a_newer_version(self):
        with open(self.file, "rb") as file:
            content = file.read().replace(b"HFSTATS1", b"HFSTATS2")
        self.write(self.file, content)
        self.saves_go_on("newer")
        self.assertEqual(self.writers()["unread"], 1)
        self.assertIn("newer version", self.run_ok("verify").out)
        self.run_ok("verify", "--repair")
        with open(self.file, "rb") as file:
            self.assertEqual(file.read(), content)

    def test_something_else_in_its_place(self):
        mine = self.write("mine", "mine")
        for what in ("folder", "link", "fifo"):
            with self.subTest(what):
                os.unlink(self.file)
                if what == "folder":
                    os.mkdir(self.file)
                elif what == "link":
                    os.symlink(mine, self.file)
                else:
                    os.mkfifo(self.file)
                self.saves_go_on(what)
                writers = self.writers()
                self.assertEqual((writers["hosts"], writers["unread"]), ([], 1))
                result = self.run_any("verify")
                self.assertEqual(result.status, FAILED)
                self.assertIn("foreign", result.out)
                self.assertIn("1 repaired", self.run_any("verify", "--repair").err)
                self.assertStoreIntact()
                self.saves_go_on(f"{what} again")
                self.assertEqual(self.total()["saves"], 1)
        with open(mine, encoding="utf-8") as file:
            self.assertEqual(file.read(), "mine")

    def test_something_else_in_the_folders_place(self):
        other = self.path("other")
        os.mkdir(other)
        for what in ("file", "link"):
            with self.subTest(what):
                os.rename(self.folder_of_counts(), self.path(f"kept-{what}"))
                if what == "file":
                    self.write(self.folder_of_counts(), "mine")
                else:
                    os.symlink(other, self.folder_of_counts())
                self.saves_go_on(what)
                self.assertEqual(self.writers()["hosts"], [])
                self.assertEqual(self.run_any("verify").status, FAILED)
                self.assertIn("1 repaired", self.run_any("verify", "--repair").err)
                self.assertStoreIntact()
                self.saves_go_on(f"{what} again")
                self.assertEqual(self.total()["saves"], 1)
        self.assertEqual(os.listdir(other), [])

    def test_a_name_that_is_not_ours(self):
        self.write(os.path.join(self.folder_of_counts(), "notes"), "mine")
        self.assertEqual(self.writers()["unread"], 0)
        result = self.run_any("verify")
        self.assertEqual((result.status, "stats/notes" in result.out), (FAILED, True), result)

    def test_a_store_without_the_folder(self):
        """One that was made before there was one, or whose folder somebody has removed."""
        os.unlink(self.file)
        os.rmdir(self.folder_of_counts())
        self.assertEqual(self.writers(), {**self.writers(), "hosts": [], "unread": 0})
        self.assertNotIn("stats", self.run_ok("verify").out)
        self.run_ok("verify", "--repair")
        self.run_ok("doctor")
        self.saves_go_on("new")
        self.assertEqual(self.total()["saves"], 1)
        self.assertStoreIntact()

    def test_it_is_removed_while_a_writer_is_at_work(self):
        process = self.popen("save", "--batch", "-")
        process.stdin.write(self.batch("w", 20).encode())
        process.stdin.flush()
        until = time.monotonic() + 60
        while self.head() < 2 and time.monotonic() < until:
            time.sleep(0.01)
        os.truncate(self.file, 10)
        os.unlink(self.file)
        out, err = process.communicate(self.batch("x", 20).encode(), timeout=60)
        self.assertEqual((process.returncode, err, len(out.splitlines())), (DONE, b"", 40))

    def test_no_right_to_write(self):
        self.use_program_copy()
        for place, folders, files in os.walk(self.store):
            for name in folders + files:
                os.chmod(os.path.join(place, name), 0o777 if name in folders else 0o666)
        os.chmod(self.store, 0o777)
        os.chmod(self.folder_of_counts(), 0o555)
        os.chmod(self.file, 0o444)
        user = as_other_user()
        result = self.run_ok("save", *KEY, "-", input="{}", **user)
        self.assertEqual(result.err, "")
        self.assertEqual(self.writers(**user)["total"]["saves"], 1)  # the first one's
        os.chmod(self.folder_of_counts(), 0o777)
        os.chmod(self.file, 0)
        self.run_ok("save", "--run-id", "r2", "--stage", "s", "-", input="{}", **user)
        if user:  # each user of a host has a file
            writers = self.writers(**user)
            self.assertEqual((writers["total"]["saves"], writers["unread"], len(self.files())), (1, 1, 2))
            self.assertEqual(self.writers()["total"]["saves"], 2)

    def test_a_folder_that_may_not_be_written(self):
        """As on a mount that is read-only: whoever asks only reads."""
        self.use_program_copy()
        os.chmod(self.file, 0o444)
        os.chmod(self.folder_of_counts(), 0o555)
        os.chmod(self.store, 0o555)
        self.addCleanup(os.chmod, self.store, 0o755)
        before = os.stat(self.file).st_mtime_ns
        self.assertEqual(self.writers(**as_other_user())["total"]["saves"], 1)
        self.assertEqual(os.stat(self.file).st_mtime_ns, before)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    return crc ^ 0xFFFFFFFF


if __name__ == "__main__":
    main()
