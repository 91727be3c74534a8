"""The nodes of a compose project as a test sees them: containers in which drivers work."""
import json
import os
import subprocess
import time

from docker_engine import EngineFailed
from world import Failed

START = 'echo $$ >"/tmp/$0.pid" && exec cluster_driver "$@"'
SIGNAL = 'for name in "$@"; do kill -s "$0" "$(cat "/tmp/$name.pid")"; done'
STATE = 'cut -d ")" -f 2 "/proc/$(cat "/tmp/$0.pid")/stat"'
START_SECONDS = 20
INSIDE = "/data"  # where the nodes have the project's folder
ACKNOWLEDGED = b'"created":1'


class Driver:
    """A place for processes in a node: one after the other, should it be killed."""

    def __init__(self, node, name):
        self.node, self.name = node, name
        self.runs, self.process, self.seen = 0, None, 0
        self.history = None

    def start(self, pause=None):
        world = self.node.world
        self.runs += 1
        self.seen = 0
        self.history = os.path.join("histories", f"{self.name}-{self.runs}.jsonl")
        world.histories.append(self.history)
        words = ["docker", "exec"]
        for name, value in (("HF_PLANT", world.plant), ("HF_PAUSE", pause)):
            words += ["--env", f"{name}={value}"] if value else []
        words += [self.node.container, "sh", "-c", START, self.name, "--store", f"{INSIDE}/store", "--config",
                  f"{INSIDE}/config.json", "--history", f"{INSIDE}/{self.history}", "--name", self.name, "--node",
                  self.node.name, "--seed", world.options.seed, "--run", self.runs, "--seconds", 1000000, "--think-us",
                  world.options.think_us, "--timeout-ms", 30000]
        self.process = subprocess.Popen([str(word) for word in words], env=world.engine.environment,
                                        stdin=subprocess.DEVNULL, stdout=world.errors, stderr=world.errors,
                                        start_new_session=True)

    def mark(self):
        """From here on `has_saved` looks."""
        self.seen = self._size()

    def _size(self):
        try:
            return os.stat(os.path.join(self.node.world.folder, self.history)).st_size
        except FileNotFoundError:
            return 0

    def has_saved(self):
        """A save was acknowledged behind the mark."""
        if self._size() <= self.seen:
            return False
        with open(os.path.join(self.node.world.folder, self.history), "rb") as file:
            file.seek(self.seen)
            return ACKNOWLEDGED in file.read()

    def signal(self, name):
        self.node.execute("sh", "-c", SIGNAL, name, self.name)

    def is_stopped(self):
        """It has stopped itself (HF_PAUSE)."""
        return self.node.execute("sh", "-c", STATE, self.name, check=False).stdout.split()[:1] == ["T"]

    def wait(self, seconds):
        """Its exit status."""
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"driver {self.name} does not come to an end") from late

    def kill(self):
        self.signal("KILL")
        self.wait(START_SECONDS)


class Node:
    """A container and its drivers."""

    def __init__(self, world, container, number):
        self.world, self.container, self.name = world, container, f"n{number}"
        self.boots = 0
        self.drivers = [Driver(self, f"w{number}{each}") for each in range(world.options.writers)]

    def __str__(self):
        return self.name

    def execute(self, *words, **more):
        return self.world.engine.docker("exec", self.container, *words, **more)

    def start_drivers(self):
        """Under a host name of this boot's own: a container that starts again gives the same pids again, and records
        would not tell its processes apart."""
        self.boots += 1
        self.world.engine.docker("exec", "--user", "root", self.container, "hostname", f"{self.name}b{self.boots}")
        for driver in self.drivers:
            driver.start()

    def kill(self):
        """SIGKILL for all that runs in it."""
        self.world.engine.docker("kill", "--signal", "KILL", self.container)
        for driver in self.drivers:
            driver.wait(START_SECONDS)

    def boot(self):
        self.world.engine.docker("start", self.container)
        self.start_drivers()

    def pause(self):
        self.world.engine.docker("pause", self.container)

    def resume(self):
        self.world.engine.docker("unpause", self.container)

    def cut(self):
        self.world.engine.docker("network", "disconnect", self.world.project.network, self.container)

    def heal(self):
        self.world.engine.docker("network", "connect", self.world.project.network, self.container)


class Redis:
    """A Redis or a Sentinel of the project."""

    def __init__(self, world, service, port=6379):
        self.world, self.port, self.service = world, port, service
        self.container = world.project.containers(service)[0]
        networks = json.loads(world.engine.docker("inspect", self.container).stdout)[0]["NetworkSettings"]["Networks"]
        self.address = next(iter(networks.values()))["IPAddress"]  # one that lasts, where there are Sentinels

    def say(self, *words, **more):
        return self.world.engine.docker("exec", self.container, "redis-cli", "-p", self.port, *words, **more).stdout

    def kill(self):
        self.world.engine.docker("kill", "--signal", "KILL", self.container)

    def start(self):
        """It keeps nothing on the disk: it begins empty."""
        self.world.engine.docker("start", self.container)
        deadline = time.monotonic() + START_SECONDS
        while "PONG" not in self.say("ping", check=False):
            if time.monotonic() > deadline:
                raise EngineFailed(f"{self.service} does not come back")
            time.sleep(0.1)

    def pause(self):
        self.world.engine.docker("pause", self.container)

    def resume(self):
        self.world.engine.docker("unpause", self.container)

    def role(self):
        return (self.say("role", check=False).split() or ["none"])[0]
