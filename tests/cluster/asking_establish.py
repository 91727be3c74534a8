"""Part `establish` of nfs --asking: many processes on all nodes establish a baseline at one instant, while others save
better runs. One makes it, all others answer that one; in every second round, but not the first, a node loses its power
meanwhile."""
import json
import os
import sys
import time

from nfs_node import Failed
from world import BUILD, HERE

ESTABLISHERS = 50
RUNS = 6  # that are there before
LEAD_SECONDS = 0.2  # from the word to the instant
ROUND_SECONDS = 90
KILL_SECONDS = 3.0  # behind the instant at most
TIMEOUT = ("--timeout", "60s")
AT_ONCE = os.path.join(BUILD, "tests", "cluster", "cluster_at_once.so")
METRIC = ("--metric", "/metrics/auc", "--goal", "max")
STAGE = "final"


class Round:
    """One group, and what everybody was told of its baseline."""

    def __init__(self, number):
        self.number, self.group = number, f"cohort-{number}"
        self.asked, self.answers, self.failures = 0, [], []  # [(who, answer)], [(who, status, what it said)]
        self.slowest_s = 0.0  # behind the instant: the last answer
        self.lost, self.killed, self.later = 0, None, []  # of the node without power; what it was told afterwards


def _some(who):
    """The first of them by name."""
    return ", ".join(who[:2]) + (f" and {len(who) - 2} others" if len(who) > 2 else "")


def judge_round(one, rows, values):
    """[violations]. rows: all records of the store; values: seq -> the metric of a snapshot."""
    bad = [f"{who} was answered with status {status}: {text[-300:]}" for who, status, text in one.failures]
    made = [row for row in rows if row["op"] == "baseline" and row["group"] == one.group]
    told = {}
    for who, answer in one.answers + one.later:
        told.setdefault((answer["seq"], answer["of"], answer["id"]), []).append(who)
    if len(made) != 1:
        bad.append(f"{one.group}: the log has {len(made)} baseline records: seqs {[row['seq'] for row in made]}")
    if len(told) > 1:
        bad.append(f"{one.group}: different answers: " + "; ".join(
            f"seq {seq}, of {of}: {_some(who)}" for (seq, of, _), who in sorted(told.items())))
    makers = [who for who, answer in one.answers if answer["created"]]
    if len(makers) > 1 or (not makers and not one.lost):
        bad.append(f"{one.group}: {len(makers)} say that they have made it: {_some(makers)}")
    for seq, of, ident in told:
        if (seq, ident) not in {(row["seq"], row["id"]) for row in made}:
            bad.append(f"{one.group}: seq {seq} was answered, and that is no baseline of it")
        best = max((row["seq"] for row in rows if row["op"] == "save" and row["group"] == one.group and
                    row["seq"] < seq), key=lambda at: (values[at], -at), default=None)
        if of != best:
            bad.append(f"{one.group}: the baseline of seq {seq} is seq {of}, and the best before it is {best}")
    return bad


class Establish:
    """Works on a world's present store."""

    def __init__(self, world, program):
        self.world, self.program = world, program
        self.rounds = []

    def prepare(self, one):
        """The runs that are there, by one batch; half a round later there are better ones."""
        random, path = self.world.random, os.path.join(self.world.folder, f"runs-{one.group}-{self.world.store_name}")
        with open(path, "w", encoding="utf-8") as file:
            for number in range(RUNS):
                file.write(json.dumps({"run_id": f"{one.group}-{number}", "stage": STAGE, "group": one.group,
                                       "doc": {"metrics": {"auc": random.randint(1, 500)}}}) + "\n")
        self.program.run(self.world.any_node(), "save", "--batch", path)

    def commands(self, one, node, count):
        """Those of a node, one of whom saves a better run in the midst of it."""
        better = os.path.join(self.world.folder, f"better-{one.group}-{node.number}-{self.world.store_name}")
        with open(better, "w", encoding="utf-8") as file:
            json.dump({"metrics": {"auc": 500 + self.world.random.randint(1, 500)}}, file)
        establish = self.program.words("--json", "baseline", "establish", "--group", one.group, "--stage", STAGE,
                                       *METRIC, *TIMEOUT)
        commands = [establish] * count
        commands.insert(self.world.random.randint(0, count), self.program.words(
            "save", "--run-id", f"{one.group}-better-{node.number}", "--stage", STAGE, "--group", one.group, *TIMEOUT,
            better))
        return commands

    def begin(self, one):
        """{node: (folder, commands)}, when all of them are there and the instant is set."""
        nodes, started = self.world.nodes, {}
        for place, node in enumerate(nodes):
            count = ESTABLISHERS // len(nodes) + (place < ESTABLISHERS % len(nodes))
            folder = os.path.join(self.world.folder, f"{one.group}-{node.number}-{self.world.store_name}")
            os.makedirs(folder)
            commands = self.commands(one, node, count)
            spec = os.path.join(folder, "spec")
            with open(spec, "w", encoding="utf-8") as file:
                json.dump({"commands": commands, "folder": folder, "env": self.program.env, "waits": AT_ONCE}, file)
            one.asked += count
            started[node] = (folder, commands)
        for node, (folder, _) in started.items():
            node.ask("start", name="at-once", errors=self.world.errors, env={},
                     argv=[sys.executable, os.path.join(HERE, "asking_node.py"), "at-once",
                           os.path.join(folder, "spec")])
        self.let_go(started)
        return started

    @staticmethod
    def let_go(started):
        until = time.monotonic() + ROUND_SECONDS
        while not all(os.path.exists(os.path.join(folder, "ready")) for folder, _ in started.values()):
            if time.monotonic() > until:
                raise Failed(f"not all processes are there after {ROUND_SECONDS} s")
            time.sleep(0.02)
        moment_ns = time.monotonic_ns() + int(LEAD_SECONDS * 1e9)
        for node, (folder, _) in started.items():
            path = os.path.join(folder, "go")
            with open(f"{path}.new", "w", encoding="utf-8") as file:
                file.write(str(moment_ns - node.offset_ns))
            os.rename(f"{path}.new", path)

    def round(self, one, with_power_loss):
        self.prepare(one)
        started = self.begin(one)
        if with_power_loss:
            one.killed = self.world.any_node()
            time.sleep(LEAD_SECONDS + self.world.random.uniform(0.0, KILL_SECONDS))
            one.killed.kill()
        for node in started:
            if node is not one.killed:
                node.ask("wait", names=["at-once"], seconds=ROUND_SECONDS, patience=2 * ROUND_SECONDS)
                node.ask("kill", name="at-once")
        for node, (folder, commands) in started.items():
            self.read(one, node, folder, commands)
        if one.killed:
            one.killed.boot()
        for node in self.world.nodes:
            got = self.program.run(node, "--json", "baseline", "get", "--group", one.group, "--stage", STAGE)
            one.later.append((f"get on {node}", json.loads(got)))
        self.rounds.append(one)

    @staticmethod
    def read(one, node, folder, commands):
        """What they were told: of a node without power what stands there whole."""
        statuses = {}
        path = os.path.join(folder, "statuses")
        for line in _text(path).splitlines():
            told = json.loads(line)
            statuses[told.get("number")] = told.get("status")
            one.slowest_s = max(one.slowest_s, told.get("behind_ns", 0) / 1e9)
        for number, argv in enumerate(commands):
            out, err = (_text(os.path.join(folder, f"{number}.{name}")) for name in ("out", "err"))
            who, status = f"{node}, process {number}", statuses.get(number)
            is_whole = status is not None or (node is one.killed and out.endswith("\n"))
            if not is_whole and node is one.killed:
                one.lost += "establish" in argv
            elif status not in (0, None) or not is_whole:
                one.failures.append((who, status, err))
            elif "establish" in argv:
                one.answers.append((who, json.loads(out)))

    def judge(self, found):
        rows = self.program.rows(self.world.nodes[-1])
        values = {record["seq"]: record["doc"]["metrics"]["auc"]
                  for record in self.program.lines(self.world.nodes[0], "export", "--format", "jsonl")}
        for one in self.rounds:
            found.violations += judge_round(one, rows, values)
            found.count("rounds")
            found.count("rounds with a node without power", one.killed is not None)
            found.count("processes that establish", one.asked)
            found.count("answers", len(one.answers))
            found.count("without an answer, for their node lost its power", one.lost)
        found.texts.append(f"all had answered {max(one.slowest_s for one in self.rounds):.1f} s after the instant, at "
                           "most")
        found.need("answers", ESTABLISHERS)


def _text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def work(world, program, seconds, _names, found):
    """Rounds until the time is up: at least two, one of them with a power loss."""
    establish = Establish(world, program)
    until, number = time.monotonic() + seconds, 0
    while number < 2 or time.monotonic() < until:
        number += 1
        establish.round(Round(number), with_power_loss=number % 2 == 0 and not world.plant)
    establish.judge(found)
