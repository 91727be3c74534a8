#!/usr/bin/env python3
"""What runs on a node for `nfs --asking` beside the drivers: the program itself, as people and jobs call it.

    asking_node.py at-once SPEC     each of SPEC's commands as a process of its own, all at one instant
    asking_node.py loop SPEC        SPEC's commands, one after the other, until SIGTERM

SPEC is a file of JSON on the machine's own filesystem, and so is what is written down: with O_DSYNC, so that the death
of this kernel takes nothing back that a process had said.
"""
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

DURABLE = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_DSYNC
AT_ONCE_FDS = (10, 11)  # as in at_once.c
POLL_SECONDS = 0.01
SEQ_NOW = re.compile(r"^(\d+)\n$")
is_over = False


def write_line(out, what):
    os.write(out, json.dumps(what).encode() + b"\n")


# ---- at once ----

def become(argv, env, pipes, path):
    """In a child: the command, which waits (at_once.c) for the instant. It writes to a file of its own."""
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{path}.{name}", DURABLE, 0o644), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, pipe in zip(AT_ONCE_FDS, pipes):
        os.dup2(pipe, number)
    os.execve(argv[0], argv, env)


def wait_for_instant(folder, ready, count):
    """All are there; that is told, and the instant, by this node's clock, comes as the file `go`."""
    there = 0
    while there < count:
        there += len(os.read(ready, count))
    os.close(os.open(os.path.join(folder, "ready"), DURABLE, 0o644))
    while True:
        try:
            with open(os.path.join(folder, "go"), encoding="utf-8") as file:
                moment_ns = int(file.read())
            break
        except FileNotFoundError:
            time.sleep(POLL_SECONDS)
    time.sleep(max(0.0, (moment_ns - time.monotonic_ns()) / 1e9))
    return moment_ns


def at_once(spec):
    """{"commands": [argv], "env", "waits": at_once.c's library, "folder": for N.out, N.err and statuses}"""
    env = {**os.environ, **spec["env"], "LD_PRELOAD": spec["waits"]}
    numbers, ready, go = {}, os.pipe(), os.pipe()
    for number, argv in enumerate(spec["commands"]):
        child = os.fork()
        if child == 0:
            try:
                become(argv, env, (ready[1], go[0]), os.path.join(spec["folder"], str(number)))
            finally:
                os._exit(127)
        numbers[child] = number
    out = os.open(os.path.join(spec["folder"], "statuses"), DURABLE, 0o644)
    moment_ns = wait_for_instant(spec["folder"], ready[0], len(numbers))
    os.close(go[1])
    while numbers:
        child, status = os.wait()
        write_line(out, {"number": numbers.pop(child), "status": os.waitstatus_to_exitcode(status),
                         "behind_ns": time.monotonic_ns() - moment_ns})


# ---- again and again ----

class Loop:
    """{"rounds": [[argv]], "env", "seed", "pause_s": [from, to], "killed": share, "kill_after_s": [from, to], "out"}

    A round is chosen at random, its commands run one after the other. {seq} in a word stands for a seq that there may
    be. Killed: so many of all commands are, by SIGKILL, somewhere."""

    def __init__(self, spec):
        self.spec, self.random, self.head = spec, random.Random(spec["seed"]), 1
        self.out = os.open(spec["out"], DURABLE, 0o644)

    def words(self, argv):
        return [word.replace("{seq}", str(self.random.randint(1, self.head))) for word in argv]

    def run(self, argv):
        spec, began_ns = self.spec, time.monotonic_ns()
        write_line(self.out, {"argv": argv, "began_ns": began_ns})
        with subprocess.Popen(argv, env={**os.environ, **spec["env"]}, stdin=subprocess.DEVNULL, text=True,
                              errors="replace", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            patience = None
            if self.random.random() < spec["killed"]:
                patience = self.random.uniform(*spec["kill_after_s"])
            try:
                texts = process.communicate(timeout=patience)
            except subprocess.TimeoutExpired:
                process.kill()
                texts = process.communicate()
        write_line(self.out, {"argv": argv, "began_ns": began_ns, "ended_ns": time.monotonic_ns(),
                              "status": process.returncode, "out": texts[0], "err": texts[1]})
        told = SEQ_NOW.match(texts[0])
        if told and "head" in argv:
            self.head = max(self.head, int(told.group(1)))

    def work(self):
        while not is_over:
            for argv in self.random.choice(self.spec["rounds"]):
                if not is_over:
                    self.run(self.words(argv))
                    time.sleep(self.random.uniform(*self.spec["pause_s"]))


def end(_number, _frame):
    global is_over  # pylint: disable=global-statement
    is_over = True


def main():
    what, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        spec = json.load(file)
    if what == "at-once":
        at_once(spec)
        return
    signal.signal(signal.SIGTERM, end)
    Loop(spec).work()


if __name__ == "__main__":
    main()
