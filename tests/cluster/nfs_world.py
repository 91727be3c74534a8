"""Nodes with NFS mounts, their drivers, and the servers that they need: what the faults of nfs_faults.py hurt."""
import json
import os
import re
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
# After a fault, until each driver on each node has saved or read again. Linux's NFSv4.1 client can let one wait in
# open() while others of its node open and close the same file (docs/TESTING.md).
COME_BACK_SECONDS = {"4.1": 120, "3": 30}
READS, READER_THINK_US = 30, 40000
REOPEN, REOPEN_DENSE = 400, 2000  # one operation in so many opens the store anew, and reads all of the log
IS_BACK = {"w": re.compile(rb'"acked":[1-9]'), "r": re.compile(rb'"event":"answer","t":\d+,"n":\d+,"status":"HF_OK"')}
AFTERWARDS = 50  # records, at least, behind the last fault
STOP_SECONDS = 90
VERIFY_SECONDS = 300
SLOW = 4 if os.environ.get("HF_TEST_SLOW") else 1
MOUNTS = {"4.1": "vers=4.1,proto=tcp,timeo=20", "3": "vers=3,nolock,proto=tcp,timeo=20"}
LOOK = """for place in /proc/[0-9]*; do
  grep -q cluster_driver $place/cmdline 2>/dev/null || continue
  tr '\\0' ' ' <$place/cmdline | sed 's/.*--name \\([^ ]*\\).*/\\1/'; echo "  $(cat $place/wchan)"
  cat $place/stack
done 2>&1; echo w >/proc/sysrq-trigger; echo m >/proc/sysrq-trigger; sleep 0.3; dmesg | tail -n 200
ss -tnoi 2>&1; cat /proc/self/mountstats | grep -A60 nfs"""


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
        self.come_back_s = COME_BACK_SECONDS[version] * SLOW
        self.histories, self.done, self.slowest_s, self.worked_s = [], {}, {}, 0.0
        self.errors, self.counts_path = os.path.join(folder, "errors"), os.path.join(folder, "counts")
        self.server = self.redis = None
        self.config = os.path.join(folder, "config.json")
        self.nodes, self.runs = [], {}
        self.at_work = {}  # driver -> the history of its present run
        self.helpers = []  # what starts beside a node's drivers, whenever it boots: called with the node
        self.store_name, self.others = "store", []  # stages of records that are not the drivers'
        self.told = []  # what parts of a run that are over have to say
        self.mount = MOUNTS[version] + (",noac" if options.actimeo == "noac" else "")
        self.allow = ["HF_ELOCK", "HF_EBACKEND", "HF_EUNSURE", "HF_ECANCELLED", "HF_EIO"]
        os.makedirs(os.path.join(folder, "histories"))

    def prepare(self):
        """Servers, nodes, and an empty store; `end` ends what of it there is."""
        self.server = nfs_server.NfsServer(self.network, self.folder, self.options.export)
        self.redis = redis_servers.Server(self.network, "redis", self.folder, 6379)
        self.nodes = [Node(self.network, self.folder, number, self.mount)
                      for number in range(1, self.options.nodes + 1)]
        for node in self.nodes:
            node.begin_boot()
        for node in self.nodes:
            node.finish_boot()
        if not self.options.asking:
            self.make_store("store", self.options.locker)

    @property
    def store(self):
        """As the nodes see it; nobody else changes it."""
        return os.path.join(self.nodes[0].mount, self.store_name)

    @property
    def exported_store(self):
        return os.path.join(self.server.export, self.store_name)

    def make_store(self, name, locker):
        """An empty one, which is the one to work on from now on; no driver is at work."""
        self.store_name, self.histories, self.at_work, self.helpers, self.others = name, [], {}, [], []
        with open(self.config, "w", encoding="utf-8") as file:
            json.dump({"lockers": {"redis": {
                "url": f"redis://{self.network.address('redis')}:6379/0", "lease_ms": LEASE_MS * SLOW,
                "command_timeout_ms": COMMAND_MS * SLOW, "connect_timeout_ms": COMMAND_MS * SLOW}}}, file)
        made = self.nodes[0].ask("run", argv=[HOLDFAST, "init", self.store, "--locker", locker, "--force"],
                                 env={"HOLDFAST_CONFIG": self.config})
        if made["status"] != 0:
            raise Failed(f"init: {made['err']}")

    # ---- drivers ----

    def start_drivers(self, node):
        """Several on each node, which save, ask and list, and one that only asks: whoever writes to a folder makes its
        node look at it afresh, so only the last sees what the node remembers."""
        waiting = [self.start_writer(node, name) for name in self.writer_names(node)]
        waiting.append(self._start_driver(node, f"r{node.number}", 100, READER_THINK_US))
        for number in waiting:
            node.hear(number)
        for start in self.helpers:
            start(node)

    def writer_names(self, node):
        return [f"w{node.number}{number}" for number in range(self.options.writers)]

    def start_writer(self, node, name, pause=""):
        """What `hear` takes. pause: where it is to stop itself (HF_PAUSE in core/base/plant.h)."""
        return self._start_driver(node, name, READS, self.options.think_us, pause)

    def _start_driver(self, node, name, reads, think_us, pause=""):
        self.runs[name] = self.runs.get(name, 0) + 1
        history = os.path.join(self.folder, "histories", f"{name}-{self.runs[name]}.jsonl")
        self.histories.append(history)
        self.at_work[name] = history
        argv = [DRIVER, "--store", self.store, "--config", self.config, "--history", history, "--name", name,
                "--node", node.hostname, "--seed", self.options.seed, "--run", self.runs[name], "--seconds", 1000000,
                "--reads", reads, "--think-us", think_us, "--timeout-ms", 30000, "--durable", 1,
                "--reopen", REOPEN_DENSE if self.options.dense else REOPEN,
                "--clock-offset-ns", node.offset_ns, "--clock-error-ns", node.error_ns]
        return node.tell("start", name=name, argv=[str(word) for word in argv], errors=self.errors,
                         env={key: value for key, value in (("HF_PLANT", self.plant), ("HF_PAUSE", pause)) if value})

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
            if time.monotonic() - began > seconds:
                raise Failed(f"no new record for {seconds:g} s. {self.said()}")

    def wait_all(self):
        """Until each driver has made a record (who only reads: has got an answer) after now."""
        began = time.monotonic()
        waiting = {name: os.path.getsize(path) if os.path.exists(path) else 0 for name, path in self.at_work.items()}
        while waiting:
            if time.monotonic() - began > self.come_back_s:
                raise Failed(f"{', '.join(sorted(waiting))} did not come back for {self.come_back_s} s. "
                             f"{self.said()}")
            time.sleep(0.02)
            for name in [name for name, size in waiting.items() if self._is_back(name, size)]:
                del waiting[name]
        return time.monotonic() - began

    def _is_back(self, name, size):
        try:
            with open(self.at_work[name], "rb") as file:
                file.seek(size)
                return bool(IS_BACK[name[0]].search(file.read()))
        except FileNotFoundError:
            return False

    def hurt(self, name, fault):
        """A fault, which ends by itself, and the way back from it."""
        fault(self)
        try:
            took = self.wait_all()
        except Failed as failed:
            if self.plant:  # they may hang or give up: the checker judges
                raise
            raise Failed(f"after {name}: {failed}") from failed
        self.done[name] = self.done.get(name, 0) + 1
        self.slowest_s[name] = max(self.slowest_s.get(name, 0.0), took)
        ended = {} if self.plant else self.failed_drivers()
        if ended:
            raise Failed(f"drivers have ended by themselves: {ended}: {self.said()}")

    def any_node(self):
        return self.random.choice(self.nodes)

    # ---- the end ----

    def finish(self):
        """Lets all work on behind the last fault, and ends them; none may fail. With a planted bug, the checker judges.
        """
        try:
            self.wait_head(self.head() + AFTERWARDS, self.come_back_s)
        except Failed:
            if not self.plant:
                raise
        self.stop_all(5 if self.plant else STOP_SECONDS * SLOW)
        for node in self.nodes:
            node.check_clock()

    def stop_all(self, seconds, names=None):
        """All that was started on the nodes, or those alone whose names `names` gives for a node."""
        waiting = [(node, node.tell("stop", seconds=seconds, names=names and names(node))) for node in self.nodes]
        for node, number in waiting:
            statuses = node.hear(number, 2 * STOP_SECONDS * SLOW)["statuses"]
            if any(status != 0 for status in statuses.values()) and not self.plant:
                raise Failed(f"drivers of {node} ended with {statuses}: {self.said()}")

    def damage(self):
        """What `verify` finds on a node: what it sees of the marks may be another thing than the server's files."""
        done = self.nodes[-1].ask("run", argv=[HOLDFAST, "--store", self.store, "--json", "verify"],
                                  env={"HOLDFAST_CONFIG": self.config}, seconds=VERIFY_SECONDS,
                                  patience=2 * VERIFY_SECONDS)
        if done["status"] not in (0, 1):
            raise Failed(f"verify on {self.nodes[-1]}: {done['err'][-400:]}")
        return [f"verify on {self.nodes[-1]}: {one['kind']}: {one.get('path')}: {one['text']}"
                for one in json.loads(done["out"])["findings"] if one.get("damage", True)]

    def check(self, saves):
        command = [sys.executable, os.path.join(HERE, "check.py"), "--store", self.exported_store, "--program",
                   HOLDFAST, "--min-saves", saves, "--min-reads", saves // 10, "--allow", ",".join(self.allow),
                   "--counts", self.counts_path, *[word for stage in self.others for word in ("--others", stage)],
                   *self.written()]
        return subprocess.run([str(word) for word in command], env={**os.environ, "HOLDFAST_CONFIG": self.config},
                              capture_output=True, text=True, check=False, timeout=1800)

    def counts(self):
        """What the checker has counted, as far as it came."""
        try:
            with open(self.counts_path, encoding="utf-8") as file:
                return json.load(file)
        except (FileNotFoundError, ValueError):
            return {}

    def look_inside(self):
        """What the processes of the nodes are waiting for, where a node still answers."""
        texts = []
        for node in self.nodes:
            try:
                texts.append(f"==== {node.hostname}\n" + node.ask("run", argv=["sh", "-c", LOOK], patience=20)["out"])
            except Failed as failed:
                texts.append(f"==== {node.hostname}\n{failed}")
        return "\n".join(texts)

    def written(self):
        """The histories that there are: who was killed before he had opened his has done nothing. (A record of a
        process without a history breaks rule I6.)"""
        return [path for path in self.histories if os.path.exists(path)]

    def acknowledged(self):
        """Saves, by the histories themselves."""
        _, ops = histories.read_histories(self.written())
        return sum(1 for op in ops for item in op.items if item.status == "HF_OK" and item.created)

    def faults_done(self):
        if not self.done:
            return "no faults"
        return (f"{sum(self.done.values())} faults: " +
                ", ".join(f"{count} {name} (back in {self.slowest_s[name]:.1f} s at most)"
                          for name, count in sorted(self.done.items())))

    def tally(self):
        return {name: {"count": count, "slowest_s": self.slowest_s[name]} for name, count in self.done.items()}

    def stop_nodes(self):
        for node in self.nodes:
            node.kill()

    def end(self):
        self.stop_nodes()
        if self.redis:
            self.redis.kill()
        if self.server:
            self.server.end()
