"""Redis servers and Sentinels of a test, in a network namespace, told what to do by a unix socket."""
import os
import shutil
import signal
import socket
import subprocess
import time

START_SECONDS = 60


def program():
    """Debian's redis-tools bring the server under another name; it looks at argv[0]."""
    for path in (os.environ.get("HF_TEST_REDIS_SERVER"), shutil.which("redis-server"), "/usr/bin/redis-check-rdb"):
        if path and os.access(path, os.X_OK):
            return path
    return None


class Server:
    """One server. Its data are in memory, and gone when it is killed, but for what `keep` has put aside."""

    def __init__(self, network, space, folder, port, settings=(), sentinel=False):
        self.network, self.space, self.port = network, space, port
        self.address = network.address(space)
        self.folder = os.path.join(folder, f"redis-{port}")
        self.socket = os.path.join(self.folder, "socket")
        self.settings, self.sentinel = list(settings), sentinel
        self.process = None
        os.makedirs(self.folder, exist_ok=True)
        self.start()

    def start(self):
        config = os.path.join(self.folder, "redis.conf")
        lines = [f"port {self.port}", f"dir {self.folder}", f"unixsocket {self.socket}", "protected-mode no",
                 f"logfile {self.folder}/log"]
        if not self.sentinel:
            lines += ['save ""', "appendonly no", "enable-debug-command yes", "repl-diskless-sync-delay 0"]
        with open(config, "w", encoding="utf-8") as file:
            file.write("\n".join(lines + self.settings) + "\n")
        # ip keeps the pid and the name in argv[0] is lost on the way: env's --argv0 is not in every Debian
        command = self.network.inside(self.space) + [
            "bash", "-c", 'exec -a redis-server "$0" "$@"', program(), config]
        command += ["--sentinel"] if self.sentinel else []
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if self.say("PING").startswith("+PONG"):
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise RuntimeError(f"the redis-server on port {self.port} does not answer; see {self.folder}/log")

    def say(self, *words):
        """One command by the unix socket; its reply as it comes (the first 64 KiB)."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(10)
            link.connect(self.socket)
            text = "".join(f"${len(str(word))}\r\n{word}\r\n" for word in words)
            link.sendall(f"*{len(words)}\r\n{text}".encode())
            return link.recv(65536).decode()

    def number_of(self, name):
        """A figure of INFO."""
        return int(next(line for line in self.say("INFO").splitlines() if line.startswith(name + ":")).split(":")[1])

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def keep(self):
        """Writes a dump and puts it aside."""
        assert self.say("SAVE").startswith("+OK")
        shutil.copy(os.path.join(self.folder, "dump.rdb"), os.path.join(self.folder, "old.rdb"))
        os.unlink(os.path.join(self.folder, "dump.rdb"))

    def restore(self):
        """Is killed, and starts with the dump that was put aside."""
        self.kill()
        shutil.copy(os.path.join(self.folder, "old.rdb"), os.path.join(self.folder, "dump.rdb"))
        self.start()
        os.unlink(os.path.join(self.folder, "dump.rdb"))

    def restart_empty(self, pause_s=0.0):
        self.kill()
        time.sleep(pause_s)
        self.start()
