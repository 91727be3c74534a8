"""Part `watch` of nfs --asking: a watch on each node, on a mount of its own, prints each snapshot that anybody on any
node commits, once and in order, while what the nodes need is taken away and comes back."""
import json
import os
import shlex
import time

import nfs_faults
from nfs_node import Failed

FAULTS = ("nfs-restarted", "cut-nfs", "watch-killed", "cut-both", "remounted", "cut-redis")
SECONDS_MAX = 90  # for what must have been printed by then
KILLED = "killed"  # the name of the one that is killed and started again, with --state
AFTER_LAST_SECONDS = 1.5  # a look a second


def judge_steady(who, seqs, wanted):
    """[violations] of one that was never ended."""
    if seqs == wanted:
        return []
    doubled = sorted({seq for seq in seqs if seqs.count(seq) > 1})
    missing, strange = sorted(set(wanted) - set(seqs)), sorted(set(seqs) - set(wanted))
    return [f"{who}: of {len(wanted)} snapshots it printed {len(seqs)}: doubled {doubled[:9]}, missing {missing[:9]}, "
            f"not there {strange[:9]}, {'not ' if seqs != sorted(seqs) else ''}in order"]


def judge_killed(who, texts, wanted):
    """[violations] of one that was killed and went on by its state. What it was at when it was killed may come once
    more: it was printed, and not noted yet."""
    bad, last = [], 0
    for number, text in enumerate(texts, 1):
        whole = text.rpartition("\n")[0]
        seqs = [json.loads(line)["seq"] for line in whole.split("\n")] if whole else []
        if not seqs:
            continue
        after = [seq for seq in wanted if seq > last]
        first = [last] if seqs[0] == last else []
        if seqs != (first + after)[:len(seqs)]:
            bad.append(f"{who}, start {number}: behind seq {last} it printed {seqs[:9]}, and {after[:9]} are due")
        last = max(last, seqs[-1])
    if last != (wanted or [0])[-1]:
        bad.append(f"{who}: it ended at seq {last}, and the last snapshot is {(wanted or [0])[-1]}")
    return bad


class Watch:
    """One `holdfast watch` on a node, start after start."""

    def __init__(self, world, program, node, name, more=()):
        self.world, self.program, self.node, self.name, self.more = world, program, node, f"{name}{node.number}", more
        self.mount = os.path.join(node.top, f"watch-{node.number}")
        self.paths, self.errors = [], os.path.join(node.top, f"{self.name}-{world.store_name}.err")

    def __str__(self):
        return f"watch {self.name} on {self.node}"

    def start(self):
        self.paths.append(os.path.join(self.node.top, f"{self.name}-{self.world.store_name}-{len(self.paths)}.out"))
        words = [self.program.path, "--store", os.path.join(self.mount, self.world.store_name), "watch", "--since",
                 "1", "--format", "jsonl", "--columns", "seq", *self.more]
        self.node.ask("start", name=self.name, errors=self.errors, env=self.program.env,
                      argv=["sh", "-c", f"exec {shlex.join(words)} >{shlex.quote(self.paths[-1])}"])

    def kill(self):
        self.node.ask("kill", name=self.name)

    def texts(self):
        """As the node itself sees its files."""
        return [self.node.ask("read", path=path)["text"] for path in self.paths]

    def last(self):
        texts = self.texts()
        return max((json.loads(line)["seq"] for text in texts for line in text.rpartition("\n")[0].split("\n")[-1:]
                    if line), default=0)

    def came_back(self):
        return self.node.ask("read", path=self.errors)["text"].count("can be read again")


class Watches:
    """All of a world's present store."""

    def __init__(self, world, program):
        self.world, self.program = world, program
        self.slowest_s = 0.0  # until each watch had printed what is newer than the end of a fault
        self.all = [Watch(world, program, node, "watch") for node in world.nodes]
        state = os.path.join("/run", f"{world.store_name}.state")
        self.killed = Watch(world, program, world.nodes[0], KILLED, ("--state", state))
        self.all.append(self.killed)

    def start(self):
        for node in self.world.nodes:
            mount_for_watches(self.world, node)
        for watch in self.all:
            watch.start()

    def wait(self, seq, seconds):
        """Until each has printed a snapshot of that seq or a later one."""
        began, waiting = time.monotonic(), list(self.all)
        while waiting:
            waiting = [watch for watch in waiting if watch.last() < seq]
            took = time.monotonic() - began
            if waiting and took > seconds:
                raise Failed(f"{', '.join(map(str, waiting))} printed nothing from seq {seq} on for {seconds:g} s: "
                             f"{waiting[0].node.ask('read', path=waiting[0].errors)['text'][-400:]}")
        return time.monotonic() - began

    # ---- faults, with the signature of nfs_faults ----

    def kill_one(self, world):
        """Again and again, as it prints."""
        for _ in range(3):
            time.sleep(world.random.uniform(0.2, 1.4))
            self.killed.kill()
            self.killed.start()

    def remount(self, world):
        """The mount of a node's watches goes, and comes again."""
        node = world.any_node()
        mount = shlex.quote(mount_of(node))
        _run(node, f"umount -l {mount}")
        nfs_faults.a_while(world, 0.5, 3.0)
        mount_for_watches(world, node)

    def hurt(self, name):
        own = {"watch-killed": self.kill_one, "remounted": self.remount}
        self.world.hurt(name, own.get(name) or nfs_faults.FAULTS[name])
        self.slowest_s = max(self.slowest_s, self.wait(self.world.head() + 1, SECONDS_MAX))

    # ---- the end ----

    def finish(self):
        """What each printed, when all that there is has come."""
        self.world.stop_all(SECONDS_MAX, lambda node: [*self.world.writer_names(node), f"r{node.number}"])
        self.world.at_work.clear()
        wanted = [row["seq"] for row in self.program.rows(self.world.nodes[0]) if row["op"] == "save"]
        try:
            self.wait(wanted[-1], SECONDS_MAX)
        except Failed:
            pass  # what is missing is judged
        time.sleep(AFTER_LAST_SECONDS)  # for what would come twice
        back = sum(watch.came_back() for watch in self.all)
        texts = [(watch, watch.texts()) for watch in self.all]
        self.world.stop_all(SECONDS_MAX)
        return wanted, texts, back


def mount_of(node):
    return os.path.join(node.top, f"watch-{node.number}")


def _run(node, command):
    done = node.ask("run", argv=["sh", "-c", command], seconds=SECONDS_MAX, patience=2 * SECONDS_MAX)
    if done["status"] != 0:
        raise Failed(f"{node}: {command}: {done['err']}")


def mount_for_watches(world, node):
    """Its client shares no memory with that of the drivers' mount: what writers of the node look at is no help."""
    mount = shlex.quote(mount_of(node))
    options = f"{node.options},nosharecache"
    _run(node, f"mkdir -p {mount}; mountpoint -q {mount} || "
               f"mount -t nfs -o {options} {world.network.address('nfs')}:/export {mount}")


def work(world, program, seconds, names, found):
    watches = Watches(world, program)
    watches.start()
    world.start()
    until, waiting, done = time.monotonic() + seconds, [], 0
    try:
        while time.monotonic() < until or not done:
            if not waiting:
                waiting = list(names or FAULTS)
                world.random.shuffle(waiting)
            nfs_faults.a_while(world, 0.1, 0.6)
            watches.hurt(waiting.pop())
            done += 1
    except Failed:
        if not world.plant:
            raise
    wanted, texts, back = watches.finish()
    for watch, its in texts:
        if watch is watches.killed:
            found.violations += judge_killed(str(watch), its, wanted)
        else:
            whole = its[0].rpartition("\n")[0]
            found.violations += judge_steady(
                str(watch), [json.loads(line)["seq"] for line in whole.split("\n")] if whole else [], wanted)
        found.count("starts of watches", len(its))
        found.count("lines printed", sum(text.count("\n") for text in its))
    found.count("snapshots that each must print", len(wanted))
    found.count("times that a watch said that its store was back", back)
    found.texts.append(f"each watch had printed something newer {watches.slowest_s:.1f} s after each fault, at most")
    found.need("snapshots that each must print", 20)
