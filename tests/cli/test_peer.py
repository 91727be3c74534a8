"""doctor --peer: several processes on one folder, on real mounts, and what init makes of the result."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

from support import DONE, FAILED, NOT_FOUND, USAGE, TIMEOUT_S, Case, Result, main

WAIT = ("--timeout", "60s")


class Peers(Case):
    make_store = False

    def setUp(self):
        super().setUp()
        self.place = self.path("place")
        os.mkdir(self.place)

    def start(self, *args, place=None, host=None):
        """Starts a peer; on a host of its own (another boot id, another name) where one is named."""
        words = self.command(["doctor", place or self.place, "--peer", *WAIT, *args], None)
        if host is not None:
            words = ["unshare", "-m", "-u", "sh", "-c", self.be_host(host), "sh", *words]
        return subprocess.Popen(
            words, env=self.env, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def be_host(self, host):
        boot = self.write(f"boot-{host}", f"{host}\n")
        return f'hostname {host} && mount --bind {boot} /proc/sys/kernel/random/boot_id && exec "$@"'

    def finish(self, process):
        try:
            out, err = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        return Result(process.returncode, out, err)

    def run_peers(self, *args, places=None, hosts=(None, None)):
        places = places or [self.place] * len(hosts)
        peers = [self.start(*args, place=p, host=h) for p, h in zip(places, hosts)]
        return [self.finish(peer) for peer in peers]

    def verdict(self, results):
        """The one that all of them have printed."""
        reports = []
        for result in results:
            self.assertNotEqual(result.out, "", result)
            report = result.json
            del report["path"]
            reports.append(report)
        self.assertTrue(all(report == reports[0] for report in reports), reports)
        self.assertEqual(len({result.status for result in results}), 1, results)
        return reports[0], results[0].status


class OneHost(Peers):
    def test_the_same_lines(self):
        one, two = self.run_peers()
        self.assertEqual(one.status, DONE, one)
        self.assertEqual(one.out, two.out)
        names = [line.split()[1] for line in one.lines[:-1]]
        self.assertEqual(
            names, "peers mount publish marks flock fcntl names burst clocks locker".split()
        )
        self.assertRegex(one.lines[-1], r"^(good|caution) +a store is safe here with the locker ")
        self.assertEqual(os.listdir(self.place), [])

    def test_json(self):
        report, status = self.verdict(self.run_peers("--json"))
        self.assertEqual(status, DONE)
        self.assertEqual(list(report), ["checks", "peer", "text", "verdict"])
        self.assertEqual(list(report["checks"][0]), "name verdict text value unit".split())
        peer = report["peer"]
        self.assertEqual((peer["peers"], peer["hosts"], peer["safe"]), (2, 1, True))
        self.assertEqual(peer["verdict"], report["verdict"])

    def test_three(self):
        results = self.run_peers("--peers", "3", "--json", hosts=(None, None, None))
        report, status = self.verdict(results)
        self.assertEqual((status, report["peer"]["peers"]), (DONE, 3))

    def test_wrong_use(self):
        for args, says in (
            (("--peers", "2"), "--peer"),
            (("--record",), "--peer"),
            (("--timeout", "1s"), "--peer"),
            (("--peer", "--peers", "1"), "2 to 16"),
            (("--peer", "--peers", "17"), "2 to 16"),
        ):
            self.run_bad(USAGE, "doctor", self.place, *args, store=None, says=says)

    def test_nobody_comes(self):
        result = self.run_bad(
            NOT_FOUND, "-q", "doctor", self.place, "--peer", "--timeout", "1s", store=None,
            says="1 of 2 peers",
        )
        self.assertIn("other host", result.err)
        self.assertEqual(os.listdir(self.place), [])

    def test_stopped_by_a_signal(self):
        peer = self.start("-q")
        while not os.path.exists(os.path.join(self.place, "doctor-peer")):
            self.assertIsNone(peer.poll())
        peer.send_signal(signal.SIGINT)
        result = self.finish(peer)
        self.assertEqual(result.status, FAILED, result)
        self.assertIn("stopped", result.err)
        self.assertEqual(os.listdir(self.place), [])

    def test_in_a_store(self):
        """verify calls what lies about no damage, and the result is a member of the manifest."""
        self.run_ok("init", self.store, "--locker", "flock", "--force", store=None)
        self.save("r", "s", {"a": 1})
        os.mkdir(os.path.join(self.store, "doctor-peer"))
        before = self.manifest()
        self.run_ok("verify")
        results = self.run_peers("--record", "--json", places=[self.store] * 2)
        report, status = self.verdict(results)
        self.assertEqual(status, DONE, results)
        after = self.manifest()
        self.assertEqual(after.pop("peer"), report["peer"])
        self.assertEqual({**before, "crc": 0}, {**after, "crc": 0})
        self.assertEqual(self.save("r", "s", {"a": 2}), 2)
        self.assertStoreIntact()

    def test_repair_keeps_the_record(self):
        self.run_ok("init", self.store, "--locker", "flock", "--force", store=None)
        self.run_peers("--record", places=[self.store] * 2)
        path = os.path.join(self.store, "holdfast.json")
        with open(path, "rb+") as f:
            whole = f.read()
            at = whole.index(b'"publish":"') + 12
            f.seek(at)
            f.write(bytes([whole[at] ^ 1]))
        self.assertEqual(self.run_any("verify", "--repair").status, FAILED)
        with open(path, "rb") as f:
            self.assertEqual(f.read(), whole)


@unittest.skipUnless(
    os.path.exists("/dev/fuse") and shutil.which("bindfs") and os.geteuid() == 0,
    "wants bindfs, /dev/fuse and root",
)
class Fuse(Peers):
    """Two mounts of one folder, each seen by another "host"."""

    FRESH = ("-o", "attr_timeout=0,entry_timeout=0,negative_timeout=0")
    LOCKS = ("--enable-lock-forwarding", "--multithreaded")
    HOSTS = ("alpha", "beta")

    def mount(self, *options):
        mounts = []
        for host in self.HOSTS:
            path = tempfile.mkdtemp(dir=self.folder, prefix=host)
            done = subprocess.run(
                ["bindfs", *options, self.place, path], capture_output=True, check=False
            )
            if done.returncode != 0:
                self.skipTest(f"bindfs: {done.stderr!r}")
            self.addCleanup(subprocess.run, ["umount", path], check=True)
            mounts.append(path)
        return mounts

    def examine(self, mounts, *args):
        return self.verdict(self.run_peers("--json", *args, places=mounts, hosts=self.HOSTS))

    def init(self, place, *args):
        return self.run_any("init", place, *args, store=None)

    def test_flock_reaches(self):
        mounts = self.mount(*self.FRESH, *self.LOCKS)
        refused = self.init(mounts[0], "--locker", "flock")
        self.assertEqual(refused.status, USAGE, refused)
        self.assertOneError(refused, "holdfast doctor DIR --peer --record")
        report, status = self.examine(mounts, "--record")
        self.assertEqual((status, report["peer"]["verdict"]), (DONE, "good"), report)
        self.assertEqual((report["peer"]["hosts"], report["peer"]["flock"]), (2, "hosts"), report)
        self.assertEqual(report["peer"]["locker"], "flock")
        self.assertIn("alpha", report["checks"][0]["text"])
        self.assertEqual(os.listdir(self.place), ["holdfast.peer.json"])
        info = self.init(mounts[0], "--locker", "flock", "--force", "--json")
        self.assertEqual(info.status, DONE, info)
        self.assertEqual((info.json["forced"], info.json["peer"]), (False, report["peer"]))
        self.assertNotIn("holdfast.peer.json", os.listdir(self.place))
        for number, mount in enumerate(mounts):
            self.assertEqual(self.save("r", "s", {"a": number}, store=mount), number + 1)

    def test_flock_does_not_reach(self):
        mounts = self.mount(*self.FRESH)
        report, status = self.examine(mounts, "--record")
        self.assertEqual((status, report["peer"]["verdict"]), (DONE, "caution"), report)
        self.assertEqual(report["peer"]["flock"], "not-across")
        self.assertEqual(report["peer"]["locker"], "redis")
        refused = self.init(mounts[0], "--locker", "flock")
        self.assertEqual(refused.status, USAGE, refused)
        self.assertOneError(refused, "flock does not exclude between hosts")
        self.assertEqual(self.init(mounts[0], "--locker", "none").status, DONE)

    def test_old_lengths(self):
        mounts = self.mount("-o", "attr_timeout=1,entry_timeout=1,negative_timeout=1")
        report, status = self.examine(mounts, "--record")
        self.assertEqual((status, report["verdict"]), (FAILED, "bad"), report)
        self.assertIs(report["peer"]["fresh"], False)
        self.assertIsNone(report["peer"]["locker"])
        refused = self.init(mounts[0], "--locker", "none")
        self.assertEqual(refused.status, USAGE, refused)
        self.assertOneError(refused, "no store is safe here")
        forced = self.init(mounts[0], "--locker", "none", "--force", "--json")
        self.assertEqual((forced.status, forced.json["forced"]), (DONE, True), forced)
        self.assertIn("--force", forced.err)
        with open(os.path.join(self.place, "holdfast.json"), encoding="utf-8") as f:
            self.assertIs(json.load(f)["forced"], True)

    def test_one_host_shows_nothing(self):
        mounts = self.mount(*self.FRESH, *self.LOCKS)
        report, status = self.verdict(self.run_peers("--json", "--record", places=mounts))
        self.assertEqual((status, report["verdict"]), (DONE, "caution"), report)
        self.assertIn("nothing about several hosts", report["checks"][0]["text"])
        refused = self.init(mounts[0], "--locker", "none")
        self.assertEqual(refused.status, USAGE, refused)
        self.assertOneError(refused, "of one host alone")

    def test_a_peer_is_killed(self):
        mounts = self.mount(*self.FRESH)
        victim = self.start(place=mounts[0], host="alpha")
        other = self.start("-q", "--timeout", "3s", place=mounts[1], host="beta")
        lobby = os.path.join(self.place, "doctor-peer")
        while not any("race-" in n for _, _, names in os.walk(self.place) for n in names):
            self.assertIsNone(victim.poll())
        victim.kill()
        victim.wait()
        victim.stdout.close()
        victim.stderr.close()
        result = self.finish(other)
        self.assertEqual(result.status, FAILED, result)
        self.assertOneError(result, "the peer on alpha")
        self.assertEqual(result.out, "")
        self.assertTrue(os.listdir(lobby))
        for name in os.listdir(lobby):
            os.utime(os.path.join(lobby, name), (1, 1))
        report, status = self.examine(mounts)
        self.assertEqual(status, DONE, report)
        self.assertEqual(os.listdir(self.place), [])


if __name__ == "__main__":
    main()
