"""A Docker engine for a test: the one that answers, or one of the test's own that leaves nothing behind.

Its own engine lives in new namespaces: network (its bridges and its rules of iptables are seen by nobody else), mounts,
and processes. When whoever started it ends, by whatever signal, the kernel ends the engine and all of its containers.
It has no way out to any network, so it can pull nothing.
"""
import os
import shutil
import subprocess
import time

START_SECONDS = 60
COMMAND_SECONDS = 120
STOP_SECONDS = 30
ALL_SETS = "scripts/install-packages compose"

# Process 1 of its namespace: waits for orphans, and hands SIGTERM on.
FIRST = 'trap "kill -TERM \\$engine" TERM; "$@" & engine=$!; wait; wait'


class EngineFailed(Exception):
    """The engine, or a command to it, did not do what it was asked."""


def compose_command():
    """Compose 2, docker-compose 1.29, or None."""
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True,
                                                 check=False).returncode == 0:
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else None


def answers(environment):
    try:
        return subprocess.run(["docker", "version"], env=environment, capture_output=True, check=False,
                              timeout=COMMAND_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def missing():
    """What is not there for a run, as a text, or None."""
    programs = [name for name in ("docker",) if not shutil.which(name)]
    if compose_command() is None:
        programs.append("docker-compose")
    if not programs and answers(dict(os.environ)):
        return None
    programs += [name for name in ("dockerd", "debootstrap", "iptables", "unshare", "setpriv")
                 if not shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")]
    if programs:
        return f"there is no {', no '.join(programs)}; install it by: {ALL_SETS}"
    if os.geteuid() != 0:
        return "no Docker engine answers, and only root may start one (sudo, or DOCKER_HOST)"
    return None


class Engine:
    """`folder` is where its own engine keeps everything; the caller removes it afterwards."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, "engine")
        self.environment = {**os.environ, "COMPOSE_ANSI": "never"}
        self.process = None
        self.cgroup = f"holdfast-{os.getpid()}"

    @property
    def is_own(self):
        return self.process is not None

    def __enter__(self):
        if not answers(self.environment):
            try:
                self._start()
            except BaseException:
                self._stop()
                raise
        return self

    def __exit__(self, *what):
        self._stop()

    def _start(self):
        os.makedirs(self.folder)
        host = f"unix://{self.folder}/socket"
        engine = ["dockerd", "--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/run", "--host", host,
                  "--pidfile", f"{self.folder}/pid", "--bridge", "none", "--cgroup-parent", f"/{self.cgroup}",
                  "--exec-opt", "native.cgroupdriver=cgroupfs"]
        spaces = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork",
                  "--kill-child=KILL", "--mount-proc"]
        environment = {**self.environment, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self.process = subprocess.Popen(spaces + ["bash", "-c", FIRST, "first"] + engine, env=environment,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        # its builder has no network: what it begins with is there already
        self.environment.update(DOCKER_HOST=host, DOCKER_BUILDKIT="0")
        deadline = time.monotonic() + START_SECONDS
        while not answers(self.environment):
            if self.process.poll() is not None or time.monotonic() > deadline:
                with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as log:
                    raise EngineFailed(f"dockerd does not start: {log.read()[-800:]}")
            time.sleep(0.2)

    def _stop(self):
        if self.process is None:
            return
        # unshare's only child is the first process of the namespace: with it all others end
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="utf-8") as children:
            first = [int(word) for word in children.read().split()]
        for pid in first:
            os.kill(pid, 15)
        try:
            self.process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        self._remove_cgroups()

    def _remove_cgroups(self):
        for place, folders, _ in list(os.walk("/sys/fs/cgroup", followlinks=False)):
            if self.cgroup not in folders:
                continue
            for inner, _, _ in os.walk(os.path.join(place, self.cgroup), topdown=False):
                try:
                    os.rmdir(inner)
                except OSError:
                    pass  # a process ends in it still: empty, and gone with the next boot

    def run(self, *words, check=True, timeout=COMMAND_SECONDS, **more):
        """A command that talks to the engine."""
        try:
            done = subprocess.run([str(word) for word in words], env={**self.environment, **more}, timeout=timeout,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                                  start_new_session=True)
        except subprocess.TimeoutExpired as late:
            raise EngineFailed(f"{' '.join(map(str, words))}: no end within {timeout} s") from late
        if check and done.returncode != 0:
            raise EngineFailed(f"{' '.join(map(str, words))}: status {done.returncode}: "
                               f"{(done.stderr or done.stdout).strip()[-800:]}")
        return done

    def docker(self, *words, **more):
        return self.run("docker", *words, **more)
