"""The compose project of a test: its images, its containers, and the demonstration that is its default command."""
import hashlib
import json
import os
import re
import time

from docker_engine import EngineFailed, compose_command
from world import TREE, Failed

BUILD_SECONDS = 1200
UP_SECONDS = 180
DEMO_SECONDS = 180
IMAGES_FOLDER = os.path.join(TREE, "build", "compose", "images")
NODE_IMAGE, DRIVER_IMAGE = "holdfast-node", "holdfast-cluster-node"
# What the images are built from: when it changes they are built anew.
SOURCES = ("CMakeLists.txt", "CMakePresets.json", "Dockerfile", ".dockerignore", "scripts/install-packages", "cmake",
           "include", "core", "lockers", "cli", "packaging", "tests/CMakeLists.txt", "tests/cluster", "tests/testlib")
CHECKER = ("check.py", "histories.py", "order.py", "rules.py", "storelog.py")  # the rest of tests/cluster is C
SEQ_LINE = re.compile(r"^seq (\d+)  (\S+)$", re.M)
END_LINE = re.compile(r"^(\S+): the log has (\d+) records, seq 1 to (\d+) without a gap$", re.M)


def fingerprint(words):
    """Of all that goes into the images."""
    digest = hashlib.sha256(" ".join(words).encode())
    for source in SOURCES:
        place = os.path.join(TREE, source)
        files = [place] if os.path.isfile(place) else sorted(
            os.path.join(folder, name) for folder, _, names in os.walk(place) for name in names
            if name in CHECKER or "." not in name and source != "tests/cluster" or
            name.endswith((".c", ".h", ".lua", ".in", ".txt", ".cmake", "Dockerfile")))
        for path in files:
            digest.update(path.encode())
            with open(path, "rb") as file:
                digest.update(file.read())
    return digest.hexdigest()[:16]


class Images:
    """The images of the nodes, in the engine; `environment` is what docker-compose.yml wants to be told."""

    def __init__(self, engine, with_debian):
        self.engine = engine
        self.environment = {"HOLDFAST_NODE": f"{NODE_IMAGE}:{os.getpid()}",
                            "HOLDFAST_CLUSTER_NODE": f"{DRIVER_IMAGE}:{os.getpid()}"}
        if with_debian:
            made = engine.run(os.path.join(TREE, "tests", "cluster", "images"), timeout=3 * BUILD_SECONDS)
            self.environment.update(line.split("=", 1) for line in made.stdout.split())
        self._build()

    def _build(self):
        names = [self.environment["HOLDFAST_NODE"], self.environment["HOLDFAST_CLUSTER_NODE"]]
        bases = [value for name, value in sorted(self.environment.items()) if value not in names]
        kept = os.path.join(IMAGES_FOLDER, f"nodes-{fingerprint(bases)}.tar")
        if self.engine.is_own and os.path.exists(kept):
            self.engine.docker("load", "-i", kept, timeout=BUILD_SECONDS)
            for name in names:
                self.engine.docker("tag", name.split(":")[0] + ":kept", name)
            return
        base = [word for name in ("DEBIAN", "DEBIAN_SLIM") if f"HOLDFAST_{name}" in self.environment
                for word in ("--build-arg", f"{name}={self.environment['HOLDFAST_' + name]}")]
        base += ["--network", "none"] if self.engine.is_own else []
        self.engine.docker("build", *base, "--target", "node", "--tag", names[0], TREE, timeout=BUILD_SECONDS)
        self.engine.docker("build", *base, "--build-arg", f"NODE={names[0]}", "--tag", names[1], "--file",
                           os.path.join(TREE, "tests", "cluster", "Dockerfile"), TREE, timeout=BUILD_SECONDS)
        if self.engine.is_own:
            self._keep(names, kept)

    def _keep(self, names, kept):
        """The engine forgets all; the next one loads them."""
        for old in os.listdir(IMAGES_FOLDER):
            if old.startswith("nodes-"):
                os.unlink(os.path.join(IMAGES_FOLDER, old))
        for name in names:
            self.engine.docker("tag", name, name.split(":")[0] + ":kept")
        self.engine.docker("save", "-o", kept + ".part", *(name.split(":")[0] + ":kept" for name in names),
                           timeout=BUILD_SECONDS)
        os.rename(kept + ".part", kept)

    def remove(self):
        """From an engine that is not the test's own."""
        if not self.engine.is_own:
            self.engine.docker("rmi", "--force", self.environment["HOLDFAST_NODE"],
                               self.environment["HOLDFAST_CLUSTER_NODE"], check=False)
            self.engine.docker("image", "prune", "--force", "--filter", "label=holdfast.stage=build", check=False)


class Project:
    """One run of docker-compose.yml: up in `with`, and gone behind it."""

    def __init__(self, images, name, nodes, service="node", folder=None):
        self.engine = images.engine
        self.name, self.nodes, self.service, self.folder = f"holdfast{os.getpid()}{name}", nodes, service, folder
        self.environment = {**images.environment, "HOLDFAST_CLUSTER_FOLDER": folder or "",
                            "COMPOSE_PROJECT_NAME": self.name}
        self.files = ["docker-compose.yml"] + (["tests/cluster/compose.yml"] if folder else [])

    def compose(self, *words, **more):
        files = [word for file in self.files for word in ("--file", os.path.join(TREE, file))]
        return self.engine.run(*compose_command(), "--profile", "sentinel", *files, *words, **self.environment, **more)

    def __enter__(self):
        try:
            self.compose("up", "--detach", "--no-build", "--scale", f"{self.service}={self.nodes}", self.service,
                         timeout=UP_SECONDS)
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *what):
        self.down()

    def down(self):
        for container in self.engine.docker("ps", "--quiet", "--filter", "status=paused", "--filter",
                                            f"label=com.docker.compose.project={self.name}").stdout.split():
            self.engine.docker("unpause", container, check=False)
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "1", timeout=UP_SECONDS)

    def containers(self, service=None):
        """Their names, in order."""
        names = self.engine.docker("ps", "--all", "--format", "{{.Names}}", "--filter",
                                   f"label=com.docker.compose.project={self.name}", "--filter",
                                   f"label=com.docker.compose.service={service or self.service}").stdout.split()
        return sorted(names, key=lambda name: int(re.search(r"\d+$", name).group()))

    @property
    def network(self):
        return f"{self.name}_nodes"

    def health(self, container):
        state = json.loads(self.engine.docker("inspect", container).stdout)[0]["State"]
        return state["Health"]["Status"] if state["Running"] else "ended"


# ---- the demonstration ----

def judge_demo(logs, saves):
    """What is wrong with what the nodes printed; `saves`: how many there must be. An empty list: nothing."""
    wrong, first = [], None
    for name, text in sorted(logs.items()):
        rows = [(int(seq), run) for seq, run in SEQ_LINE.findall(text)]
        end = END_LINE.search(text)
        if [seq for seq, _ in rows] != list(range(1, saves + 1)):
            wrong.append(f"{name} printed the seqs {[seq for seq, _ in rows]}, not 1 to {saves}")
        if not end or int(end.group(2)) != saves:
            wrong.append(f"{name} does not say that {saves} records are dense")
        if len({run for _, run in rows}) != len(rows):
            wrong.append(f"{name} printed a run twice")
        first = first or rows
        if rows != first:
            wrong.append(f"{name} printed another sequence than {sorted(logs)[0]}")
    return wrong if logs else ["nobody printed anything"]


def run_demo(images, nodes, service, saves_each=10):
    """`docker compose up SERVICE`, as users do it. A text that tells what it showed."""
    began = time.monotonic()
    with Project(images, "demo", nodes, service) as project:
        containers = project.containers()
        deadline = time.monotonic() + DEMO_SECONDS
        logs = {}
        while len(logs) < nodes:
            if time.monotonic() > deadline:
                raise Failed(f"demo, {service}: only {len(logs)} of {nodes} nodes have printed the log: "
                             f"{project.engine.docker('logs', containers[0]).stdout[-400:]}")
            time.sleep(0.5)
            for name in containers:
                text = project.engine.docker("logs", name).stdout
                if END_LINE.search(text):
                    logs[name] = text
        wrong = judge_demo(logs, nodes * saves_each)
        while not wrong and any(project.health(name) != "healthy" for name in containers):
            if time.monotonic() > deadline:
                wrong.append(f"the nodes are {[project.health(name) for name in containers]}, not healthy")
            time.sleep(0.5)
    if wrong:
        raise Failed(f"demo, {service}: " + "; ".join(wrong))
    return (f"demo, {service}: {nodes} nodes saved {nodes * saves_each} runs at once, and each printed the same "
            f"sequence, seq 1 to {nodes * saves_each} ({time.monotonic() - began:.0f} s)")


__all__ = ["EngineFailed", "Images", "Project", "judge_demo", "run_demo"]
