"""Stores whose locker is redis, by the command line: a real server on a free port of the loopback."""

import os
import shutil
import signal
import socket
import subprocess
import time
import unittest

from support import LOCK, USAGE, Case, main

PASSWORD = "correct-horse"


def server_program():
    """Debian's redis-tools bring the server under another name; it looks at argv[0]."""
    for path in (os.environ.get("HF_TEST_REDIS_SERVER"), shutil.which("redis-server"), "/usr/bin/redis-check-rdb"):
        if path and os.access(path, os.X_OK):
            return path
    return None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One redis-server, ended by its pid."""

    def __init__(self, folder, *options):
        self.port = free_port()
        self.options = options
        self.folder = folder
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", self.folder, "--save", "",
             *self.options], executable=server_program(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(500):
            try:
                self.say("PING")
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("redis-server does not answer")

    def say(self, *words):
        """One command, its reply as it comes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as link:
            text = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
            link.sendall(f"*{len(words)}\r\n{text}".encode())
            return link.recv(65536).decode()

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@unittest.skipIf(server_program() is None, "there is no redis-server")
class Redis(Case):
    make_store = False
    server_options = ()
    credentials = ""

    def setUp(self):
        super().setUp()
        self.server = Server(self.folder, *self.server_options)
        self.addCleanup(self.server.kill)
        self.env["HOLDFAST_REDIS_URL"] = f"redis://{self.credentials}127.0.0.1:{self.server.port}/0"
        self.run_ok("init", self.store, "--locker", "redis", "--force", store=None)

    def key(self, what):
        with open(os.path.join(self.store, "holdfast.json"), encoding="utf-8") as manifest:
            text = manifest.read()
        return "holdfast:{%s}:%s:lock" % (text.split('"uuid":"')[1][:36], what)


class Saves(Redis):
    def test_saves_and_reads(self):
        self.assertEqual([self.save(f"r{i}", "s", {"i": i}) for i in range(3)], [1, 2, 3])
        self.server.kill()
        self.assertEqual(self.head(), 3)  # readers take no lock
        self.assertEqual(self.run_ok("get", "--seq", "2").out.strip(), '{"i":1}')
        self.run_ok("verify", "--deep")

    def test_a_server_that_is_away(self):
        self.save("r", "s", {})
        self.server.kill()
        began = time.monotonic()
        result = self.run_bad(LOCK, "save", "--run-id", "q", "--stage", "s", "--timeout", "700ms", "-", input="{}",
                              says=["cannot reach Redis", f"redis://127.0.0.1:{self.server.port}", "nothing was saved"])
        self.assertLess(time.monotonic() - began, 6)
        self.assertNotIn("pass", result.err)
        self.assertEqual(self.head(), 1)
        self.server.start()  # empty: the counter begins anew
        result = self.run_ok("save", "--run-id", "q", "--stage", "s", "-", input="{}")
        self.assertEqual(result.out, "2\n")
        self.assertEqual(result.err.count("warning"), 1, result)
        self.assertIn("the storage says 2", result.err)
        self.assertEqual(self.run_ok("save", "--run-id", "p", "--stage", "s", "-", input="{}").err, "")

    def test_a_server_that_forgot(self):
        for i in range(3):
            self.save(f"r{i}", "s", {})
            self.assertEqual(self.server.say("FLUSHALL"), "+OK\r\n")
        result = self.run_ok("save", "--run-id", "q", "--stage", "s", "-", input="{}")
        self.assertEqual(result.out, "4\n")
        self.assertEqual(result.err.count("warning"), 1, result)
        self.assertEqual(self.server.say("HGET", self.key("stats"), "counter_repairs"), "$1\r\n1\r\n")
        self.assertEqual(self.server.say("GET", self.key("seq")), "$1\r\n4\r\n")

    def test_a_server_that_waits_again(self):
        """It is stopped while a save waits for it."""
        self.save("r", "s", {})
        self.server.process.send_signal(signal.SIGSTOP)
        save = self.popen("save", "--run-id", "q", "--stage", "s", "--timeout", "60s", "-")
        save.stdin.write(b"{}")
        save.stdin.close()
        save.stdin = None
        time.sleep(1)
        self.assertIsNone(save.poll())
        self.server.process.send_signal(signal.SIGCONT)
        out, err = save.communicate(timeout=60)
        self.assertEqual((save.returncode, out), (0, b"2\n"), err)

    def test_no_url(self):
        self.save("r", "s", {})
        del self.env["HOLDFAST_REDIS_URL"]
        self.run_bad(USAGE, "save", "--run-id", "q", "--stage", "s", "-", input="{}",
                     says=["HOLDFAST_REDIS_URL", "lockers"])
        self.run_bad(USAGE, "init", self.path("new"), "--locker", "redis", store=None, says="HOLDFAST_REDIS_URL")
        self.assertEqual(self.head(), 1)


class Lock(Redis):
    def hold(self):
        """A save that is stopped between the lock and the link is hard to time; a lock by hand is not."""
        key = self.key("lock")
        self.server.say("HSET", key, "owner", "somebody", "token", "7", "hint", "1", "since", "1770000000000",
                        "info", "4711|host7|01M83ET0RCPX3X3QT93EBVCJXK|import")
        self.server.say("PEXPIRE", key, "60000")

    def test_status_and_break(self):
        self.assertEqual(self.run_ok("lock", "status").out, "free\n")
        self.hold()
        out = self.run_ok("lock", "status").out
        for text in ("pid 4711 on host7 (import)", "attempt 01M83ET0RCPX3X3QT93EBVCJXK", "until 20"):
            self.assertIn(text, out)
        status = self.run_ok("--json", "lock", "status").json
        self.assertEqual((status["locker"], status["held"], status["host"], status["pid"], status["token"],
                          status["attempt"]), ("redis", True, "host7", 4711, 7, "01M83ET0RCPX3X3QT93EBVCJXK"))
        self.run_bad(LOCK, "save", "--run-id", "q", "--stage", "s", "--timeout", "300ms", "-", input="{}",
                     says=["pid 4711 on host7 (import)"])
        self.run_bad(USAGE, "lock", "break", says="--yes")
        self.assertEqual(self.run_ok("lock", "break", "--yes").out, "broken\n")
        self.assertEqual(self.run_ok("lock", "status").out, "free\n")
        self.assertEqual(self.save("q", "s", {}), 1)

    def test_status_of_a_server_that_is_away(self):
        self.server.kill()
        self.run_bad(LOCK, "lock", "status", says="cannot reach Redis")


class Secrets(Redis):
    server_options = ("--requirepass", PASSWORD)
    credentials = f":{PASSWORD}@"

    def test_nowhere_to_be_seen(self):
        self.save("r", "s", {})
        with open(os.path.join(self.store, "holdfast.json"), encoding="utf-8") as manifest:
            self.assertNotIn(PASSWORD, manifest.read())
        texts = [self.run_ok(*args).out for args in (("doctor",), ("--json", "doctor"), ("lock", "status"),
                                                      ("--verbose", "list"))]
        self.env["HOLDFAST_REDIS_URL"] = f"redis://:wrong-{PASSWORD}@127.0.0.1:{self.server.port}/0"
        texts.append(self.run_bad(LOCK, "save", "--run-id", "q", "--stage", "s", "-", input="{}",
                                  says=["user or password are wrong", "nothing was saved"]).err)
        self.server.kill()
        texts.append(self.run_bad(LOCK, "save", "--run-id", "q", "--stage", "s", "--timeout", "100ms", "-",
                                  input="{}").err)
        for text in texts:
            self.assertNotIn(PASSWORD, text)

    def test_a_file_that_others_can_read(self):
        secret = self.write("secret", PASSWORD + "\n")
        os.chmod(secret, 0o644)
        config = self.write("config.json", '{"lockers":{"redis":{"url":"redis://127.0.0.1:%d","password_file":"%s"}}}'
                            % (self.server.port, secret))
        del self.env["HOLDFAST_REDIS_URL"]
        self.env["HOLDFAST_CONFIG"] = config
        self.run_bad(USAGE, "save", "--run-id", "q", "--stage", "s", "-", input="{}", says="chmod 600")
        os.chmod(secret, 0o600)
        self.assertEqual(self.save("q", "s", {}), 1)


class Doctor(Redis):
    def check(self, name):
        checks = self.run_ok("--json", "doctor").json["checks"]
        return [(one["verdict"], one["text"]) for one in checks if one["name"] == name][0]

    def test_what_it_says_of_redis(self):
        for name in ("redis-version", "redis-persistence", "redis-maxmemory", "redis-replicas", "redis-latency",
                     "redis-clock", "locker"):
            self.assertEqual(self.check(name)[0], "good", name)
        self.server.say("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        self.server.say("CONFIG", "SET", "maxmemory", "100mb")
        verdict, text = self.check("redis-maxmemory")
        self.assertEqual(verdict, "caution")
        self.assertIn("noeviction", text)
        self.server.say("REPLICAOF", "127.0.0.1", "1")
        result = self.run_any("doctor")
        self.assertEqual(result.status, 1)
        self.assertIn("read-only replica", result.out)


if __name__ == "__main__":
    main()
