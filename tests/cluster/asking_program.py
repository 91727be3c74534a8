"""The program `holdfast` on the nodes, for nfs --asking; and what a part has found."""
import json
import os
from collections import Counter

from nfs_node import Failed
from world import BUILD, HOLDFAST

PLANTED = os.environ.get("HOLDFAST_PLANTED") or os.path.join(BUILD, "tests", "holdfast-planted")
RUN_SECONDS = 120


class Program:
    """What is called on the nodes of a world, for its present store: with a planted bug, the build that has it."""

    def __init__(self, world):
        self.world = world
        self.path = PLANTED if world.plant else HOLDFAST
        self.env = {"HOLDFAST_CONFIG": world.config, **({"HF_PLANT": world.plant} if world.plant else {})}

    def words(self, *words):
        return [self.path, "--store", self.world.store, *[str(word) for word in words]]

    def run(self, node, *words, statuses=(0,)):
        """What it printed."""
        done = node.ask("run", argv=self.words(*words), env=self.env, seconds=RUN_SECONDS, patience=2 * RUN_SECONDS)
        if done["status"] not in statuses:
            raise Failed(f"{node}: holdfast {' '.join(map(str, words))}: status {done['status']}: {done['err'][-400:]}")
        return done["out"]

    def lines(self, node, *words):
        """Of a command that prints JSON lines."""
        return [json.loads(line) for line in self.run(node, *words).splitlines()]

    def rows(self, node):
        """Every record."""
        return self.lines(node, "list", "--all-records", "--format", "jsonl")


class Found:
    """What a part has looked at, and what it found to be broken."""

    def __init__(self):
        self.counts, self.violations, self.texts = Counter(), [], []

    def count(self, what, number=1):
        self.counts[what] += number

    def need(self, what, least):
        """Less than that shows nothing."""
        if self.counts[what] < least and not self.violations:
            raise Failed(f"only {self.counts[what]} {what}: that shows nothing")
