"""A node: a user-mode Linux kernel, a program of this machine, which sees this machine's files as its root, and whose
one program (uml_agent.py) does what it is told. It has a page cache, a clock, devices and mounts of its own."""
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BOOT_SECONDS = 60
TELLING = ("State", "SigQ", "SigPnd", "ShdPnd", "SigBlk")  # of a process' status, where it stands still

# The modules of the nodes' kernel, which lie elsewhere than those of this machine's.
MODULES = "/usr/lib/uml/modules"
MODPROBE = """#!/bin/sh
exec modprobe -d {root} "$@"
"""
INIT_END = """exec {python} {agent} {folder}
"""


class Failed(Exception):
    """What is wrong with the run itself; a violation is the checker's."""


class StandsStill(Failed):
    """A node does not answer, though its agent needs nothing but its own kernel: of what ran on it, it says nothing."""


class UmlNode:
    """A kernel, boot after boot; `folder` is that of the present boot. Who derives from it says in `init_text` and
    `devices` what it has."""

    memory = "192M"

    def __init__(self, folder, number):
        self.top, self.number = folder, number
        self.boots, self.process, self.folder = 0, None, None
        self.calls, self.is_paused, self.hostname = 0, False, None
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

    def init_text(self):
        """What its init does before the agent starts, a text for sh."""
        raise NotImplementedError

    def devices(self):
        """Words for the kernel's command line."""
        raise NotImplementedError

    def begin_boot(self):
        """Its name tells the boot, too: a record names its host and its pid, and pids come again."""
        self.boots += 1
        self.calls = 0
        self.hostname = f"n{self.number}b{self.boots}"
        self.folder = os.path.join(self.top, self.hostname)
        os.makedirs(self.folder)
        init = os.path.join(self.folder, "init")
        self._write_program(init, self.init_text() + INIT_END.format(
            python=shlex.quote(sys.executable), agent=shlex.quote(os.path.join(HERE, "uml_agent.py")),
            folder=shlex.quote(self.folder)))
        with open(os.path.join(self.folder, "console"), "wb") as console:
            self.process = subprocess.Popen(
                ["linux.uml", f"mem={self.memory}", f"uml_dir={self.top}/", f"umid=uml-{self.hostname}",
                 "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw", f"init={init}", "con=null",
                 "con0=fd:0,fd:1", *self.devices(), "quiet"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
                env={**os.environ, "TMPDIR": self.top})

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
                    lines = [line for line in file if name != "status" or line.startswith(TELLING)]
                    texts.append(f"{name}: {''.join(lines)}")
            except OSError as error:
                texts.append(f"{name}: {error}")
        if shutil.which("gdb"):  # where in its code it is
            try:
                texts.append(subprocess.run(["gdb", "-p", str(self.process.pid), "-batch", "-ex", "bt 40"], text=True,
                                            capture_output=True, check=False, timeout=60).stdout[-6000:])
            except subprocess.TimeoutExpired:
                texts.append("gdb: no answer within 60 s")
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
                raise StandsStill(f"{self} has not answered for {patience} s: {self.console()}\n{self.outside()}")
            time.sleep(0.01)
        with open(path, encoding="utf-8") as file:
            reply = json.load(file)
        if "error" in reply:
            raise Failed(f"{self}: {reply['error']}: {self.console()}")
        return reply

    def ask(self, what, patience=BOOT_SECONDS, **call):
        return self.hear(self.tell(what, **call), patience)

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
