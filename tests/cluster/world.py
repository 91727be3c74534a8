"""Drivers, servers and a store in network namespaces: what a scenario hurts. Every process is ended by its pid."""
import json
import os
import signal
import subprocess
import sys
import time
from random import Random

import histories
import redis_servers

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("HOLDFAST_BUILD_DIR") or os.path.join(TREE, "build", "dev")
HOLDFAST = os.environ.get("HOLDFAST") or os.path.join(BUILD, "holdfast")
DRIVER = os.environ.get("HF_DRIVER") or os.path.join(BUILD, "tests", "cluster", "cluster_driver")

NODES = ("n1", "n2", "n3", "n4")
WRITERS = 8
LEASE_MS = 600
COMMAND_MS = 400
RUN_SECONDS_MAX = 240  # takes 5 to 10; leases end early where many others use the processors
COME_BACK_SECONDS = 20  # after a fault, until there is a new record
AFTERWARDS = 100  # records, at least, behind the last fault
PLANTED_SECONDS = 8
SLOW = 4 if os.environ.get("HF_TEST_SLOW") else 1


class Failed(Exception):
    """What is wrong with the run itself; a violation is the checker's."""


class Writer:
    """A place for drivers: one after the other, should it be killed."""

    def __init__(self, world, number):
        self.world, self.number = world, number
        self.node = NODES[number % len(NODES)]
        self.config = world.config
        self.environment = {}
        self.runs = 0
        self.process = None

    def start(self):
        self.runs += 1
        name = f"w{self.number}"
        history = os.path.join(self.world.folder, f"{name}-{self.runs}.jsonl")
        self.world.histories.append(history)
        command = [DRIVER, "--store", self.world.store, "--config", self.config, "--history", history, "--name", name,
                   "--node", self.node, "--seed", self.world.seed, "--run", self.runs,
                   "--seconds", 2 * RUN_SECONDS_MAX * SLOW, "--think-us", self.world.think_us, "--timeout-ms", 30000]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("HOLDFAST", "HF_"))}
        environment.update({"HF_TEST_SHARED": "1", **self.environment})
        if self.world.plant:
            environment["HF_PLANT"] = self.world.plant
        self.process = subprocess.Popen(self.world.network.inside(self.node) + [str(word) for word in command],
                                        env=environment, stdin=subprocess.DEVNULL, stderr=self.world.errors)

    def is_stopped(self):
        """It has stopped itself (HF_PAUSE)."""
        try:
            with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] == "T"
        except (OSError, AttributeError):
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()


class World:
    """Namespaces, servers, a store, and those who work on it."""

    def __init__(self, network, folder, options):
        self.network, self.folder = network, folder
        self.seed, self.plant = options.seed, options.plant
        self.locker = options.locker
        self.saves = options.saves
        self.deadline = time.monotonic() + (PLANTED_SECONDS if self.plant else RUN_SECONDS_MAX) * SLOW
        self.think_us = 4000
        self.random = Random(options.seed)
        self.store = os.path.join(folder, "store")
        self.config = os.path.join(folder, "config.json")
        self.histories, self.servers = [], []
        self.done = 0  # faults
        self.slowest_s = 0.0  # until there was a new record after a fault
        self.counter_is_wrong = False  # at times, by the fault: somebody must be warned
        self.errors = open(os.path.join(folder, "errors"), "ab")  # pylint: disable=consider-using-with
        self.writers = []

    def server(self, port=6379, settings=(), sentinel=False, space="redis"):
        one = redis_servers.Server(self.network, space, self.folder, port, settings, sentinel)
        self.servers.append(one)
        return one

    def write_config(self, name, **options):
        path = os.path.join(self.folder, name)
        redis = {"lease_ms": LEASE_MS * SLOW, "command_timeout_ms": COMMAND_MS * SLOW,
                 "connect_timeout_ms": COMMAND_MS * SLOW, **options}
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"lockers": {"redis": redis}}, file)
        return path

    def url(self, server):
        return f"redis://{server.address}:{server.port}/0"

    def make_store(self):
        environment = {**os.environ, "HOLDFAST_CONFIG": self.config}
        done = subprocess.run([HOLDFAST, "init", self.store, "--locker", self.locker, "--force"], env=environment,
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"init: {done.stderr}")
        self.writers = [Writer(self, number) for number in range(WRITERS)]

    def start(self):
        for writer in self.writers:
            writer.start()

    def head(self):
        """The length of the mark: how many records are there for all to see."""
        return os.stat(os.path.join(self.store, "log", "mark")).st_size

    def sleep(self, seconds):
        """All writers are at work, and stay so."""
        until = time.monotonic() + seconds
        while True:
            for writer in self.writers:
                if writer.process.poll() is not None:
                    with open(os.path.join(self.folder, "errors"), encoding="utf-8", errors="replace") as file:
                        raise Failed(f"writer {writer.number} ended with {writer.process.poll()}: {file.read()[-500:]}")
            now = time.monotonic()
            if now > self.deadline:
                raise Failed(f"{self.head()} records, and the time is up")
            if now >= until:
                return
            time.sleep(min(until - now, 0.01))

    def wait_head(self, head, seconds=RUN_SECONDS_MAX):
        """Until there are so many records."""
        began = time.monotonic()
        while self.head() < head:
            self.sleep(0.01)
            if time.monotonic() - began > seconds * SLOW:
                raise Failed(f"no new record for {seconds * SLOW} s: the system has not come back")
        return time.monotonic() - began

    def hurt(self, action):
        """A fault, and the way back from it."""
        action()
        self.done += 1
        self.slowest_s = max(self.slowest_s, self.wait_head(self.head() + 1, COME_BACK_SECONDS))

    def finish(self):
        """Lets them work on behind the last fault, and ends them; none may fail. Those with a planted bug may hang or
        give up: the checker judges."""
        try:
            self.wait_head(max(self.head() + AFTERWARDS, self.saves + self.saves // 10 + AFTERWARDS))
        except Failed:
            if not self.plant:
                raise
        for writer in self.writers:
            writer.process.terminate()
        for writer in self.writers:
            try:
                status = writer.process.wait(timeout=5 if self.plant else RUN_SECONDS_MAX * SLOW)
            except subprocess.TimeoutExpired as late:
                if not self.plant:
                    raise Failed(f"writer {writer.number} does not come to an end") from late
                writer.kill()
                continue
            if status != 0 and not self.plant:
                raise Failed(f"writer {writer.number} ended with {status}")

    def check_warnings(self):
        """A counter that disagreed with the storage: somebody was warned, and once a handle at most."""
        count = 0
        for path in self.histories:
            process, _ = histories.read_history(path)
            its = [text for _, text in process.warnings if "counter" in text] if process else []
            if process and len(its) > process.opens:
                raise Failed(f"{process} was warned of the counter {len(its)} times, with {process.opens} handles")
            count += len(its)
        if count == 0:
            raise Failed("the counter was wrong, and nobody was warned")
        return count

    def check(self, saves):
        command = [sys.executable, os.path.join(HERE, "check.py"), "--store", self.store, "--program", HOLDFAST,
                   "--min-saves", saves, "--min-reads", saves // 10, *self.histories]
        environment = {**os.environ, "HOLDFAST_CONFIG": self.config}
        return subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True,
                              check=False, timeout=600)

    def end(self):
        for writer in self.writers:
            if writer.process is not None and writer.process.poll() is None:
                writer.process.send_signal(signal.SIGCONT)
                writer.kill()
        for server in self.servers:
            server.kill()
        self.errors.close()
