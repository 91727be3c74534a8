"""A compose project whose nodes share one store: what the faults of compose_faults.py hurt.

All containers of a machine share its CLOCK_MONOTONIC (nobody makes a time namespace), so that the histories of all
nodes have one order of time.
"""
import json
import os
import time
from random import Random

import histories
from compose_nodes import INSIDE, Node, Redis
from compose_project import Project
from docker_engine import EngineFailed
from world import Failed

LEASE_MS = 1500
COMMAND_MS = 1000
COME_BACK_SECONDS = 45  # after a fault, until each driver of each node has saved again
AFTERWARDS = 100  # records, at least, behind the last fault
STOP_SECONDS = 90
CHECK_SECONDS = 1800
ALLOW = ("HF_ELOCK", "HF_EBACKEND", "HF_EUNSURE", "HF_ECANCELLED")
SLOW = 4 if os.environ.get("HF_TEST_SLOW") else 1

# How the nodes of each kind of project find their Redis.
LOCKERS = {
    "redis": {"url": "redis://redis:6379/0"},
    "sentinel": {"master": "runs", "sentinels": [f"sentinel-{number}:26379" for number in (1, 2, 3)]},
}
SERVICES = {"redis": "node", "sentinel": "sentinel-node"}


class World:
    """Made in `with`; its containers are gone behind it. `folder` is new and empty."""

    def __init__(self, images, kind, folder, options):
        self.engine, self.kind, self.folder, self.options = images.engine, kind, folder, options
        self.plant = options.plant
        self.random = Random(f"{options.seed} {kind}")
        self.histories, self.nodes, self.redis, self.sentinels = [], [], {}, []
        self.done, self.slowest_s = {}, {}  # fault -> how often, how long until all had come back
        os.makedirs(os.path.join(folder, "histories"))
        for path in (folder, os.path.join(folder, "histories")):
            os.chmod(path, 0o777)  # a node's user is another one
        with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
            json.dump({"lockers": {"redis": {
                "lease_ms": LEASE_MS * SLOW, "command_timeout_ms": COMMAND_MS * SLOW,
                "connect_timeout_ms": COMMAND_MS * SLOW, **LOCKERS[kind]}}}, file)
        self.errors = open(os.path.join(folder, "errors"), "ab")  # pylint: disable=consider-using-with
        self.project = Project(images, kind, options.nodes, SERVICES[kind], folder)

    def __enter__(self):
        # pylint: disable=unnecessary-dunder-call
        self.project.__enter__()
        try:
            self._look()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *what):
        try:
            self.project.__exit__(*what)
        finally:
            for node in self.nodes:
                for driver in node.drivers:
                    if driver.process and driver.process.poll() is None:
                        driver.process.kill()
                        driver.process.wait()
            self.errors.close()

    def _look(self):
        self.nodes = [Node(self, container, number)
                      for number, container in enumerate(self.project.containers(), 1)]
        if len(self.nodes) != self.options.nodes:
            raise Failed(f"there are {len(self.nodes)} nodes, not {self.options.nodes}")
        if self.kind == "redis":
            self.redis = {"redis": Redis(self, "redis")}
        else:
            self.redis = {name: Redis(self, name) for name in ("redis-master", "redis-replica")}
            self.sentinels = [Redis(self, f"sentinel-{number}", 26379) for number in (1, 2, 3)]
        self.nodes[0].execute("holdfast", "init", f"{INSIDE}/store", "--locker", "redis", "--force")

    # ---- Redis ----

    def master(self):
        """The Redis that takes writes now, as a majority of the Sentinels says."""
        if self.kind == "redis":
            return self.redis["redis"]
        said = [each.say("sentinel", "get-master-addr-by-name", "runs", check=False).split() for each in self.sentinels]
        by_address = {each.address: name for name, each in self.redis.items()}
        names = [by_address[words[0]] for words in said if words and words[0] in by_address]
        chosen = max(sorted(set(names)), key=names.count, default=None)
        if chosen is None or names.count(chosen) < 2:
            raise Failed(f"the Sentinels do not agree on a master: {said}")
        return self.redis[chosen]

    # ---- drivers ----

    def drivers(self):
        return [driver for node in self.nodes for driver in node.drivers]

    def start(self):
        for node in self.nodes:
            node.start_drivers()
        self.wait_all("start")

    def any_node(self):
        return self.random.choice(self.nodes)

    def said(self):
        with open(os.path.join(self.folder, "errors"), encoding="utf-8", errors="replace") as file:
            return file.read()[-600:]

    def head(self):
        """The length of the mark: how many records are there for all to see."""
        return os.stat(os.path.join(self.folder, "store", "log", "mark")).st_size

    def look_after(self):
        """None of the drivers has ended by itself."""
        ended = {driver.name: driver.process.returncode for driver in self.drivers()
                 if driver.process.poll() is not None}
        if ended and not self.plant:
            raise Failed(f"drivers have ended by themselves: {ended}: {self.said()}")

    def wait_all(self, what):
        """Until each driver of each node has had a save acknowledged that it was told of from now on."""
        began = time.monotonic()
        waiting = self.drivers()
        for driver in waiting:
            driver.mark()
        while waiting:
            self.look_after()
            waiting = [driver for driver in waiting if not driver.has_saved() and driver.process.poll() is None]
            if waiting and time.monotonic() - began > COME_BACK_SECONDS * SLOW:
                raise Failed(f"{what}: no save of {', '.join(driver.name for driver in waiting)} for "
                             f"{COME_BACK_SECONDS * SLOW} s: the system has not come back. {self.said()}")
            time.sleep(0.02)
        return time.monotonic() - began

    def hurt(self, name, fault):
        """A fault, which ends by itself, and the way back from it."""
        fault(self)
        took = self.wait_all(name)
        self.done[name] = self.done.get(name, 0) + 1
        self.slowest_s[name] = max(self.slowest_s.get(name, 0.0), took)

    # ---- the end ----

    def finish(self):
        """Lets all work on behind the last fault, and ends them; none may fail. With a planted bug they may hang."""
        enough, deadline = self.head() + AFTERWARDS, time.monotonic() + COME_BACK_SECONDS * SLOW
        while self.head() < enough and time.monotonic() < deadline:
            time.sleep(0.05)
        if self.head() < enough and not self.plant:
            raise Failed(f"only {self.head()} records, and nothing hurts any more. {self.said()}")
        for node in self.nodes:
            for driver in node.drivers:
                if driver.process.poll() is None:
                    driver.signal("TERM")
        for driver in self.drivers():
            try:
                status = driver.wait(5 if self.plant else STOP_SECONDS * SLOW)
            except Failed:
                if not self.plant:
                    raise
                driver.kill()
                continue
            if status != 0 and not self.plant:
                raise Failed(f"driver {driver.name} ended with {status}: {self.said()}")

    def check(self):
        """What the checker says, in a node."""
        words = ["python3", "-B", "/usr/local/lib/holdfast-check/check.py", "--store", f"{INSIDE}/store", "--program",
                 "/usr/local/bin/holdfast", "--min-saves", self.options.saves, "--min-reads", self.options.saves // 10,
                 "--allow", ",".join(ALLOW)]
        return self.nodes[0].execute(*words, *(f"{INSIDE}/{path}" for path in self.histories), check=False,
                                     timeout=CHECK_SECONDS)

    def counts(self):
        """(acknowledged saves, reads, warnings that the counter was wrong) by the histories themselves."""
        processes, ops = histories.read_histories([os.path.join(self.folder, path) for path in self.histories])
        saves = sum(1 for op in ops for item in op.items if item.status == "HF_OK" and item.created)
        reads = sum(1 for op in ops if not op.items and op.kind != "resolve" and op.status == "HF_OK")
        return saves, reads, sum("counter" in text for process in processes for _, text in process.warnings)


__all__ = ["EngineFailed", "Failed", "World", "LEASE_MS", "SERVICES", "SLOW"]
