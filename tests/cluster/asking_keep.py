"""Part `keep` of nfs --asking: gc on two nodes at once, and who hides snapshots and shows them again, while drivers
save and read on all nodes, gcs are killed and nodes lose their power. What should stay is there, what went is told."""
import concurrent.futures
import hashlib
import json
import os
import subprocess
import sys
import time
from collections import namedtuple

import nfs_faults
import storelog
from asking_program import PLANTED, RUN_SECONDS
from nfs_node import Failed
from world import HERE, HOLDFAST

TILE_RECORDS = 256
KEEP_LAST = 6
STAGE = "held"  # what is hidden, shown and made a baseline; no driver saves there
GROUPS, BASE = 20, "base"  # groups of KEEP_LAST snapshots each, and one with many
FAULTS = ("gc-stopped", "gc-node-killed", "nfs-restarted", "cut-both")
PLACES = ("gc-planned", "gc-planned", "gc-dropped", "gc-staged")  # where a gc is stopped (HF_PAUSE)
GC_NODES, READING = 2, 2  # nodes with a gc; the place of the one that reads by the program
KILLED, KILL_AFTER_S = 0.3, (0.02, 1.2)  # of the gcs so many, and when
FINE = {"gc": (0, 4, 5), "retire": (0, 3, 5, 6), "baseline": (0, 3, 5, 6), "head": (0,), "get": (0, 3),
        "prev": (0, 3), "diff": (0, 3), "list": (0,), "groups": (0,)}  # exit statuses
ASKED, ASKED_SHORT = 8, 2  # questions of each kind at the end

Kept = namedtuple("Kept", "retires baselines")  # [(seq, of, is_retired)], [(seq, of)]


# ---- what gc may drop ----

def class_of(record):
    """What --keep-last counts by."""
    return (record.group,) + record.key[1:] if record.group is not None else (None,) + record.key


def retired_as_of(kept, seq, head):
    states = [is_retired for at, of, is_retired in kept.retires if of == seq and at <= head]
    return bool(states and states[-1])


def judge_drops(log, kept, keep_last):
    """[violations] of each drop: as of the record that says so, was it not one of the last of its class, and named by
    no baseline? What comes behind the look of gc and before its record can keep it (it is judged there)."""
    bad, classes = [], {}
    for record in log.records:
        if record.is_save:
            classes.setdefault(class_of(record), []).append(record)
    for record in log.records:
        if not record.is_save or not record.dropped:
            continue
        drop = record.dropped
        later = [one for one in classes[class_of(record)] if record.seq < one.seq < drop and
                 not 0 < one.dropped < drop and not retired_as_of(kept, one.seq, drop)]
        if not retired_as_of(kept, record.seq, drop) and len(later) < keep_last:
            bad.append(f"{record} was dropped by seq {drop}, and was one of the last {keep_last} of its class: behind "
                       f"it are {[one.seq for one in later]}; hidden and shown: "
                       f"{[(at, is_retired) for at, of, is_retired in kept.retires if of == record.seq]}")
        named = [at for at, of in kept.baselines if of == record.seq and at < drop]
        if named:
            bad.append(f"{record} was dropped by seq {drop}, and is a baseline since seq {named[0]}")
    return bad


def judge_rest(log, kept, keep_last, head):
    """[violations]: what a gc that nobody disturbed has left, as of the head that it saw, is all to be kept."""
    bad, behind, named = [], {}, {of for _, of in kept.baselines}
    for record in reversed(log.records):
        if not record.is_save or record.dropped or record.seq > head:
            continue
        is_hidden, rank = retired_as_of(kept, record.seq, head), behind.get(class_of(record), 0)
        behind[class_of(record)] = rank + (not is_hidden)
        if (is_hidden or rank >= keep_last) and record.seq not in named and \
                record.seq <= head // TILE_RECORDS * TILE_RECORDS:
            bad.append(f"{record} is still there, and {rank} of its class are behind it")
    return bad


# ---- what the program said ----

def judge_said(log, run):
    """[violations] of one run of the program: {"argv", "status", "out", "err"}"""
    words = [word for word in run["argv"][3:] if word != "--json"]
    what, status = words[0], run["status"]
    story = f"holdfast {' '.join(words)}: status {status}: {run['err'].strip()[-300:]}"
    if status == -9:
        return []
    if status not in FINE[what] or "damage" in run["err"]:
        return [story]
    record = log.at(int(words[2])) if what == "get" else None
    if record is None or not record.is_save:
        return []
    if status == 3:
        return [] if record.dropped and "dropped by gc" in run["err"] else [f"{story}; in the store: {record}"]
    sha = hashlib.sha256(run["out"].rstrip("\n").encode()).hexdigest()
    return [] if sha == record.sha else [f"{story}: the document's sha256 is {sha[:16]}; in the store: {record}"]


class Keep:
    """On a world's present store."""

    def __init__(self, world, program, found):
        self.world, self.program, self.found = world, program, found
        self.outs = []  # of the loops
        self.stopped = 0

    def prepare(self):
        """A full tile, of what will be hidden and of what can go at once; then the drivers."""
        path = os.path.join(self.world.folder, f"held-{self.world.store_name}")
        with open(path, "w", encoding="utf-8") as file:
            for number in range(TILE_RECORDS):
                group = f"held-{number % GROUPS}" if number < KEEP_LAST * GROUPS else BASE
                file.write(json.dumps({"run_id": f"held_{number}", "stage": STAGE, "group": group,
                                       "doc": {"label": f"held/{number}"}}) + "\n")
        self.program.run(self.world.nodes[0], "save", "--batch", path)
        self.world.others = [STAGE]
        self.world.start()
        self.world.helpers = [self.start_loops]
        for node in self.world.nodes:
            self.start_loops(node)

    # ---- loops ----

    def start_loops(self, node):
        place = self.world.nodes.index(node)
        if place < GC_NODES:
            self.loop(node, "gc", [[self.gc()]], (0.0, 0.5), KILLED)
            held = [seq for seq in range(1, KEEP_LAST * GROUPS + 1) if seq % GC_NODES == place]
            self.loop(node, "retire", [[self.retire(seq), self.retire(seq, "--undo")] for seq in held], (0.0, 0.4))
        if place == 1:
            base = KEEP_LAST * GROUPS
            self.loop(node, "baseline", [[self.program.words("baseline", "set", base + number, "--reason", "x")]
                                         for number in range(1, KEEP_LAST + 1)], (0.5, 2.0))
        if place == min(READING, len(self.world.nodes) - 1):
            words = self.program.words
            self.loop(node, "reads", [
                [words("head"), words("get", "--seq", "{seq}"), words("get", "--seq", "{seq}")],
                [words("prev", "--seq", "{seq}")], [words("diff", "{seq}", "{seq}", "--force")],
                [words("list", "--reverse", "--limit", "5", "--format", "jsonl"), words("groups", "--format", "jsonl")],
            ], (0.0, 0.1))

    def gc(self):
        return self.program.words("--json", "gc", "--keep-last", KEEP_LAST, "--keep-baselines")

    def retire(self, seq, *undo):
        return self.program.words("retire", seq, *(undo or ("--reason", "x")))

    def loop(self, node, name, rounds, pause_s, killed=0.0):
        path = os.path.join(node.folder, f"{name}-{self.world.store_name}")
        self.outs.append(f"{path}.out")
        with open(f"{path}.spec", "w", encoding="utf-8") as file:
            json.dump({"rounds": rounds, "env": self.program.env, "pause_s": pause_s, "killed": killed,
                       "kill_after_s": KILL_AFTER_S, "out": f"{path}.out",
                       "seed": f"{self.world.options.seed} {node.hostname} {name}"}, file)
        node.ask("start", name=name, errors=self.world.errors, env={},
                 argv=[sys.executable, os.path.join(HERE, "asking_node.py"), "loop", f"{path}.spec"])

    # ---- faults, with the signature of nfs_faults ----

    def stop_gc(self, world):
        """A gc stops itself at one of its steps; what it is about to drop is shown again on another node meanwhile.
        Then it goes on, or is killed."""
        node = world.nodes[world.random.randrange(GC_NODES)]
        other = world.nodes[world.nodes.index(node) - 1]
        seqs = world.random.sample(range(1, KEEP_LAST * GROUPS + 1), 2)
        for seq in seqs:
            self.program.run(other, "retire", seq, "--reason", "y", statuses=FINE["retire"])
        env = {**self.program.env, "HF_PAUSE": f"{world.random.choice(PLACES)}:1"}
        path = os.path.join(node.folder, f"stopped-{world.store_name}")
        node.ask("start", name="stopped", errors=path, env=env,
                 argv=["sh", "-c", 'exec "$@" >/dev/null', "sh", PLANTED, *self.gc()[1:]])
        is_stopped = node.ask("wait_stopped", name="stopped", seconds=20, patience=60)["stopped"]
        for seq in seqs:
            self.program.run(other, "retire", seq, "--undo", statuses=FINE["retire"])
        self.stopped += is_stopped
        if is_stopped and world.random.random() < 0.7:
            node.ask("continue", name="stopped")
            node.ask("wait", names=["stopped"], seconds=RUN_SECONDS, patience=2 * RUN_SECONDS)
        node.ask("kill", name="stopped")
        said = node.ask("read", path=path)["text"]
        if "damage" in said:
            self.found.violations.append(f"a gc that had stopped for a while on {node}: {said[-300:]}")

    @staticmethod
    def kill_gc_node(world):
        """The power of a node goes on which gcs and retires are at work; it boots again."""
        node = world.nodes[world.random.randrange(GC_NODES)]
        nfs_faults.a_while(world, 0.0, 1.0)
        node.kill()
        nfs_faults.a_while(world, 0.0, 1.0)
        world.reboot(node)

    def hurt(self, name):
        own = {"gc-stopped": self.stop_gc, "gc-node-killed": self.kill_gc_node}
        self.world.hurt(name, own.get(name) or nfs_faults.FAULTS[name])

    # ---- the end ----

    def runs(self):
        """Of all loops: those that came to an end, and how many lost their node."""
        ended, begun = [], 0
        for path in filter(os.path.exists, self.outs):  # the node may have died before a loop began
            with open(path, encoding="utf-8") as file:
                lines = [json.loads(line) for line in file if line.endswith("\n")]
            begun += sum("status" not in line for line in lines)
            ended += [line for line in lines if "status" in line]
        return ended, begun - len(ended)

    def last_gc(self, node):
        """By a node that had none: all is shown again, and what is due goes. The head that it saw."""
        rows = self.program.lines(node, "list", "--retired", "--all-revisions", "--stage", STAGE, "--format", "jsonl")
        for row in rows:
            if row["retired"]:
                self.program.run(node, "retire", row["seq"], "--undo")
        return json.loads(self.program.run(node, *self.gc()[3:]))["head"]

    def kept(self, log):
        """What the records say that hide, show and name."""
        def whole(record):
            done = subprocess.run([HOLDFAST, "--store", self.world.exported_store, "get", "--seq", str(record.seq),
                                   "--meta"], capture_output=True, check=True)
            return json.loads(done.stdout)
        with concurrent.futures.ThreadPoolExecutor(storelog.READERS) as pool:
            ops = list(pool.map(whole, [one for one in log.records if one.op in ("retire", "baseline")]))
        return Kept([(one["seq"], one["of"], not one.get("undo")) for one in ops if one["op"] == "retire"],
                    [(one["seq"], one["of"]) for one in ops if one["op"] == "baseline"])

    def ask(self, node, log):
        """diff, prev, get and list on another node than those of gc, against the log."""
        random, bad = self.world.random, []
        saves = [record for record in log.records if record.is_save]
        asked = ASKED_SHORT if self.world.options.short else ASKED
        for record in random.sample(saves, min(asked, len(saves))):
            before = log.at(log.prev(record.seq))
            done = node.ask("run", argv=self.program.words("prev", "--seq", record.seq, "--meta"),
                            env=self.program.env)
            told = json.loads(done["out"])["seq"] if done["status"] == 0 else None
            if told != (before.seq if before and not before.dropped else None) or done["status"] not in (0, 3):
                bad.append(f"prev of seq {record.seq} is {before}: status {done['status']}: {told}, {done['err']}")
            done = node.ask("run", argv=self.program.words("diff", "--prev", record.seq, "--format", "json"),
                            env=self.program.env)
            can = before is not None and not before.dropped and not record.dropped
            if done["status"] != (0 if can else 3):
                bad.append(f"diff --prev {record.seq}, before it {before}: status {done['status']}: {done['err']}")
            group = record.group
            told = [row["seq"] for row in self.program.lines(node, "list", "--group", group, "--format", "jsonl",
                                                             "--where", f"seq <= {record.seq}")]
            due = [one.seq for one in saves if one.group == group and one.seq <= record.seq and
                   log.current(one.key, log.head) == one.seq]
            if told != due:
                bad.append(f"list of group {group} up to seq {record.seq}: {told[-9:]}, and it is {due[-9:]}")
            self.found.count("answers of prev, diff and list at the end", 3)
        return bad

    def views(self):
        """The list of all records, as each node sees it."""
        argv = self.program.words("list", "--all-records", "--format", "jsonl")
        waiting = [(node, node.tell("run", argv=argv, env=self.program.env, seconds=RUN_SECONDS))
                   for node in self.world.nodes]
        answers = [node.hear(number, 2 * RUN_SECONDS) for node, number in waiting]
        if any(answer["status"] != 0 for answer in answers):
            self.found.violations.append(f"list: {[answer['err'] for answer in answers]}")
        return [answer["out"] for answer in answers]

    def finish(self):
        world, found, node = self.world, self.found, self.world.nodes[-1]
        world.finish()
        world.at_work.clear()
        head = self.last_gc(node)
        verified = json.loads(self.program.run(node, "--json", "verify", "--deep", statuses=(0, 1)))
        found.violations += [f"verify on {node}: {one}" for one in verified["findings"] if one.get("damage", True)]
        views = self.views()
        if any(view != views[0] for view in views):
            found.violations.append("list --all-records is not the same on all nodes")
        log = storelog.Log([json.loads(line) for line in views[0].splitlines()], world.others)
        kept = self.kept(log)
        found.violations += judge_drops(log, kept, KEEP_LAST)
        found.violations += judge_rest(log, kept, KEEP_LAST, head)
        found.violations += self.ask(node, log)
        self.count(log, kept)
        world.allow = sorted({*world.allow, "HF_EDROPPED"} - {"HF_EIO"})  # no disk is full here; a server comes back
        judged = world.check(world.options.saves)
        found.texts.append(judged.stdout.strip() + judged.stderr)
        if judged.returncode == 1 and "VIOLATION" in judged.stdout:
            found.violations.append("of the drivers' histories: see above")
        elif judged.returncode != 0:
            raise Failed(f"the checker: {judged.stdout[-600:]}{judged.stderr[-600:]}")

    def count(self, log, kept):
        found, (ended, lost) = self.found, self.runs()
        for run in ended:
            found.violations += judge_said(log, run)
        for name in ("gc", "retire", "baseline"):
            its = [run for run in ended if name in run["argv"]]
            found.count(f"runs of {name}", len(its))
            found.count(f"runs of {name} that were killed", sum(run["status"] == -9 for run in its))
        found.count("gcs that were stopped at a step", self.stopped)
        found.count("runs that lost their node", lost)
        found.count("reads by the program", sum(run["argv"][3] in ("get", "prev", "diff", "list", "groups", "head")
                                                for run in ended))
        found.count("documents dropped", sum(record.dropped > 0 for record in log.records))
        found.count("records that drop", sum(record.op == "drop" for record in log.records))
        found.count("times hidden or shown", len(kept.retires))
        found.count("baselines named", len(kept.baselines))


def work(world, program, seconds, names, found):
    """Faults in rounds until the time is up; at least two."""
    keep, waiting, done = Keep(world, program, found), [], 0
    keep.prepare()
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until or done < (1 if world.plant else 2):
            if not waiting:
                waiting = list(names or FAULTS)
                world.random.shuffle(waiting)
            nfs_faults.a_while(world, 0.3, 1.5)
            keep.hurt(waiting.pop())
            done += 1
    except Failed:
        if not world.plant:
            raise
    keep.finish()
    for what, least in (("documents dropped", 50), ("runs of gc", 3), ("times hidden or shown", 4),
                        ("reads by the program", 5)):
        found.need(what, least)
