"""A node of the NFS harness: a user-mode Linux kernel with an NFS client, a page cache and a clock of its own."""
import json
import os
import shlex
import signal
import subprocess
import sys
import time

from nfs_server import CLOCK_PORT

HERE = os.path.dirname(os.path.abspath(__file__))
BOOT_SECONDS = 60
MEMORY = "192M"
CLOCK_ERROR_NS_MAX = 20_000_000

INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /var/lib/nfs
hostname {hostname}
echo {modprobe} >/proc/sys/kernel/modprobe
{modprobe} nfsv3; {modprobe} nfsv4
ip link set lo up
ip link set vec0 up; ip addr add {nfs_address}/24 dev vec0
ip link set vec1 up; ip addr add {redis_address}/24 dev vec1
for i in 1 2 3 4 5 6 7 8 9 10; do
  mount -t nfs -o {options} {server}:/export {mount} && break
  sleep 0.5
done
mountpoint -q {mount} || exit 1
exec {python} {agent} {folder}
"""


# The modules of the nodes' kernel, which lie elsewhere than those of this machine's.
MODULES = "/usr/lib/uml/modules"
MODPROBE = """#!/bin/sh
exec modprobe -d {root} "$@"
"""


class Failed(Exception):
    """What is wrong with the run itself; a violation is the checker's."""


class Node:
    """Node `number` of a cluster, boot after boot."""

    def __init__(self, network, folder, number, options):
        self.network, self.number, self.options = network, number, options
        self.top, self.mount = folder, os.path.join(folder, "mount")
        self.boots, self.process, self.folder = 0, None, None
        self.calls, self.is_paused, self.hostname = 0, False, None
        self.offset_ns = self.error_ns = 0
        os.makedirs(self.mount, exist_ok=True)
        self.modprobe = os.path.join(folder, "modprobe")
        self._prepare_modules()

    def _prepare_modules(self):
        root = os.path.join(self.top, "modules")
        if not os.path.exists(root):
            os.makedirs(os.path.join(root, "lib"))
            os.symlink(MODULES, os.path.join(root, "lib", "modules"))
        self._write_program(self.modprobe, MODPROBE.format(root=shlex.quote(root)))

    @staticmethod
    def _write_program(path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)

    def __str__(self):
        return f"node {self.number}"

    def boot(self):
        self.begin_boot()
        self.finish_boot()

    def begin_boot(self):
        """Its name tells the boot, too: a record names its host and its pid, and pids come again."""
        self.boots += 1
        self.calls = 0
        self.hostname = f"n{self.number}b{self.boots}"
        self.folder = os.path.join(self.top, self.hostname)
        os.makedirs(self.folder)
        init = os.path.join(self.folder, "init")
        self._write_program(init, INIT.format(
            hostname=self.hostname, nfs_address=self.network.node_address("nfs", self.number),
            redis_address=self.network.node_address("redis", self.number), options=self.options,
            server=self.network.address("nfs"), mount=shlex.quote(self.mount), python=shlex.quote(sys.executable),
            modprobe=shlex.quote(self.modprobe), agent=shlex.quote(os.path.join(HERE, "nfs_agent.py")),
            folder=shlex.quote(self.folder)))
        devices = [f"vec{i}:transport=tap,ifname={self.network.tap(name, self.number)},gro=1"
                   for i, name in enumerate(("nfs", "redis"))]  # without gro=1 large frames are dropped
        with open(os.path.join(self.folder, "console"), "wb") as console:
            self.process = subprocess.Popen(
                ["linux.uml", f"mem={MEMORY}", f"uml_dir={self.top}/", f"umid=uml-{self.hostname}", "root=/dev/root",
                 "rootfstype=hostfs", "rootflags=/", "rw", f"init={init}", "con=null", "con0=fd:0,fd:1", *devices,
                 "quiet"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
                env={**os.environ, "TMPDIR": self.top})

    def finish_boot(self):
        measured = self.ask("clock", address=self.network.address("nfs"), port=CLOCK_PORT, patience=BOOT_SECONDS)
        self.offset_ns, self.error_ns = measured["offset_ns"], measured["error_ns"]
        if self.error_ns > CLOCK_ERROR_NS_MAX:
            raise Failed(f"{self}: its clock cannot be compared: {self.error_ns} ns")

    def console(self):
        with open(os.path.join(self.folder, "console"), encoding="utf-8", errors="replace") as file:
            return file.read()[-800:]

    def outside(self):
        """What this machine sees of the kernel's process and of those that it traces: where a node does not answer, it
        may be the kernel as a whole that stands still."""
        if self.process is None:
            return "no process"
        shown = subprocess.run(["ps", "-L", "-o", "pid,stat,time,wchan:24,args", "-g", str(self.process.pid)],
                               capture_output=True, text=True, check=False).stdout
        texts = [shown[:4000]]
        for name in ("status", "syscall", "stack"):
            try:
                with open(f"/proc/{self.process.pid}/{name}", encoding="utf-8") as file:
                    texts.append(f"{name}: {file.read()}")
            except OSError as error:
                texts.append(f"{name}: {error}")
        return "\n".join(texts)

    def tell(self, what, **call):
        """A command; its answer is for `hear`."""
        self.calls += 1
        path = os.path.join(self.folder, f"command-{self.calls}")
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump({"do": what, **call}, file)
        os.rename(path + ".new", path)
        return self.calls

    def hear(self, number, patience=BOOT_SECONDS):
        path = os.path.join(self.folder, f"answer-{number}")
        until = time.monotonic() + patience
        while not os.path.exists(path):
            if self.process.poll() is not None:
                raise Failed(f"{self} has ended: {self.console()}")
            if time.monotonic() > until:
                raise Failed(f"{self} has not answered for {patience} s: {self.console()}")
            time.sleep(0.01)
        with open(path, encoding="utf-8") as file:
            reply = json.load(file)
        if "error" in reply:
            raise Failed(f"{self}: {reply['error']}: {self.console()}")
        return reply

    def ask(self, what, patience=BOOT_SECONDS, **call):
        return self.hear(self.tell(what, **call), patience)

    def check_clock(self):
        """The clock's offset is what it was when the node booted."""
        measured = self.ask("clock", address=self.network.address("nfs"), port=CLOCK_PORT)
        apart = abs(measured["offset_ns"] - self.offset_ns)
        if apart > measured["error_ns"] + self.error_ns:
            raise Failed(f"{self}: its clock has drifted by {apart} ns")

    def pause(self):
        """Only the kernel's process: it traces the others, and a stop that is sent to those breaks it."""
        self.process.send_signal(signal.SIGSTOP)
        self.is_paused = True

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        self.is_paused = False

    def kill(self):
        """The power goes: all that it had not written is gone."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
            self._wait_group()
            self.process, self.is_paused = None, False

    def _wait_group(self):
        """What the kernel's process had started is ours now (the harness is the first process of its namespace)."""
        try:
            while True:
                os.waitpid(-self.process.pid, 0)
        except ChildProcessError:
            pass
