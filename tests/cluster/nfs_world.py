"""Nodes with NFS mounts, their drivers, and the servers that they need: what the faults of nfs_faults.py hurt."""
import json
import os
import subprocess
import sys
import time
from random import Random

import histories
import nfs_server
import redis_servers
from nfs_node import Failed, Node
from world import DRIVER, HERE, HOLDFAST

LEASE_MS = 1500
COMMAND_MS = 1000
COME_BACK_SECONDS = 60  # after a fault, until there is a new record
AFTERWARDS = 50  # records, at least, behind the last fault
STOP_SECONDS = 90
SLOW = 4 if os.environ.get("HF_TEST_SLOW") else 1
MOUNTS = {"4.1": "vers=4.1,proto=tcp,timeo=20", "3": "vers=3,nolock,proto=tcp,timeo=20"}


def operations(nodes):
    """What the nodes have asked the server for since they booted: name -> count."""
    total = {}
    for node in nodes:
        within = False
        for line in node.ask("read", path="/proc/self/mountstats")["text"].splitlines():
            within = within or line.strip().startswith("per-op statistics")
            words = line.split()
            if within and len(words) > 2 and words[0].endswith(":") and words[1].isdigit() and int(words[1]):
                total[words[0][:-1]] = total.get(words[0][:-1], 0) + int(words[1])
    return total


class World:
    """A cluster of one NFS version and one kind of export."""

    def __init__(self, network, folder, options, version):
        self.network, self.folder, self.options = network, folder, options
        self.random = Random(f"{options.seed} {version}")
        self.plant = options.plant
        self.histories, self.done, self.slowest_s = [], {}, {}
        self.errors = os.path.join(folder, "errors")
        self.server = self.redis = None
        self.nodes, self.runs = [], {}
        mount = MOUNTS[version] + (",noac" if options.actimeo == "noac" else "")
        self.allow = ["HF_ELOCK", "HF_EBACKEND", "HF_EUNSURE", "HF_ECANCELLED", "HF_EIO"]
        os.makedirs(os.path.join(folder, "histories"))
        try:
            self.server = nfs_server.NfsServer(network, folder, options.export)
            self.redis = redis_servers.Server(network, "redis", folder, 6379)
            self.nodes = [Node(network, folder, number, mount) for number in range(1, options.nodes + 1)]
            for node in self.nodes:
                node.begin_boot()
            for node in self.nodes:
                node.finish_boot()
            self._make_store()
        except BaseException:
            self.end()
            raise

    @property
    def store(self):
        """As the nodes see it; nobody else changes it."""
        return os.path.join(self.nodes[0].mount, "store")

    @property
    def exported_store(self):
        return os.path.join(self.server.export, "store")

    def _make_store(self):
        self.config = os.path.join(self.folder, "config.json")
        with open(self.config, "w", encoding="utf-8") as file:
            json.dump({"lockers": {"redis": {
                "url": f"redis://{self.network.address('redis')}:6379/0", "lease_ms": LEASE_MS * SLOW,
                "command_timeout_ms": COMMAND_MS * SLOW, "connect_timeout_ms": COMMAND_MS * SLOW}}}, file)
        made = self.nodes[0].ask("run", argv=[HOLDFAST, "init", self.store, "--locker", self.options.locker, "--force"],
                                 env={"HOLDFAST_CONFIG": self.config})
        if made["status"] != 0:
            raise Failed(f"init: {made['err']}")

    # ---- drivers ----

    def driver_names(self, node):
        return [f"w{node.number}{number}" for number in range(self.options.writers)]

    def start_driver(self, node, name, pause=None):
        """What `hear` takes. pause: where it is to stop itself (HF_PAUSE in core/base/plant.h)."""
        self.runs[name] = self.runs.get(name, 0) + 1
        history = os.path.join(self.folder, "histories", f"{name}-{self.runs[name]}.jsonl")
        self.histories.append(history)
        argv = [DRIVER, "--store", self.store, "--config", self.config, "--history", history, "--name", name,
                "--node", node.hostname, "--seed", self.options.seed, "--run", self.runs[name], "--seconds", 1000000,
                "--think-us", self.options.think_us, "--timeout-ms", 30000, "--durable", 1,
                "--clock-offset-ns", node.offset_ns, "--clock-error-ns", node.error_ns]
        environment = {"HF_PLANT": self.plant, "HF_PAUSE": pause}
        return node.tell("start", name=name, argv=[str(word) for word in argv], errors=self.errors,
                         env={name: value for name, value in environment.items() if value})

    def start_drivers(self, node):
        """Several on each node; all of them save, ask and list."""
        for number in [self.start_driver(node, name) for name in self.driver_names(node)]:
            node.hear(number)

    def start(self):
        for node in self.nodes:
            self.start_drivers(node)

    def reboot(self, node):
        node.boot()
        self.start_drivers(node)

    def failed_drivers(self):
        return {name: status for node in self.nodes if not node.is_paused
                for name, status in node.ask("look")["ended"].items()}

    def said(self):
        try:
            with open(self.errors, encoding="utf-8", errors="replace") as file:
                return file.read()[-600:]
        except FileNotFoundError:
            return ""

    # ---- time ----

    def head(self):
        """The length of the mark, by the server's own filesystem: how many records are there for all to see."""
        try:
            return os.stat(os.path.join(self.exported_store, "log", "mark")).st_size
        except FileNotFoundError:
            return 0

    def wait_head(self, head, seconds):
        began = time.monotonic()
        while self.head() < head:
            time.sleep(0.02)
            if time.monotonic() - began > seconds * SLOW:
                raise Failed(f"no new record for {seconds * SLOW} s: the system has not come back. {self.said()}")
        return time.monotonic() - began

    def hurt(self, name, fault):
        """A fault, which ends by itself, and the way back from it."""
        fault(self)
        took = self.wait_head(self.head() + 1, COME_BACK_SECONDS)
        self.done[name] = self.done.get(name, 0) + 1
        self.slowest_s[name] = max(self.slowest_s.get(name, 0.0), took)
        ended = {} if self.plant else self.failed_drivers()
        if ended:
            raise Failed(f"drivers have ended by themselves: {ended}: {self.said()}")

    def any_node(self):
        return self.random.choice(self.nodes)

    # ---- the end ----

    def finish(self):
        """Lets all work on behind the last fault, and ends them; none may fail."""
        try:
            self.wait_head(self.head() + AFTERWARDS, COME_BACK_SECONDS)
        except Failed:
            if not self.plant:
                raise
        waiting = [(node, node.tell("stop", seconds=5 if self.plant else STOP_SECONDS * SLOW)) for node in self.nodes]
        for node, number in waiting:
            statuses = node.hear(number, 2 * STOP_SECONDS * SLOW)["statuses"]
            if any(statuses.values()) and not self.plant:
                raise Failed(f"drivers of {node} ended with {statuses}: {self.said()}")
            node.check_clock()

    def check(self, saves):
        command = [sys.executable, os.path.join(HERE, "check.py"), "--store", self.exported_store,
                   "--program", HOLDFAST, "--min-saves", saves, "--min-reads", saves // 10,
                   "--allow", ",".join(self.allow), *self.histories]
        return subprocess.run([str(word) for word in command], env={**os.environ, "HOLDFAST_CONFIG": self.config},
                              capture_output=True, text=True, check=False, timeout=1800)

    def counts(self):
        """(acknowledged saves, reads) by the histories themselves."""
        _, ops = histories.read_histories(self.histories)
        saves = sum(1 for op in ops for item in op.items if item.status == "HF_OK" and item.created)
        return saves, sum(1 for op in ops if not op.items and op.kind != "resolve" and op.status == "HF_OK")

    def stop_nodes(self):
        for node in self.nodes:
            node.kill()

    def end(self):
        self.stop_nodes()
        if self.redis:
            self.redis.kill()
        if self.server:
            self.server.end()
