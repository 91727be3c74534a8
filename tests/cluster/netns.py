"""Hosts on one machine: network namespaces on one bridge, which a test makes and removes. Root only."""
import os
import shutil
import subprocess

NET = "10.203.0"


def missing():
    """Why there can be no namespaces here, or None."""
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    if shutil.which("ip") is None:
        return "there is no program ip (package iproute2)"
    probe = f"hf{os.getpid()}probe"
    done = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return "ip netns add: " + done.stderr.strip()
    subprocess.run(["ip", "netns", "del", probe], capture_output=True, check=False)
    return None


def run(*words, check=True):
    return subprocess.run(words, check=check, capture_output=True, text=True)


class Network:
    """Namespaces of these names, host number i with the address NET.(i + 1), on a bridge in a namespace of its own."""

    def __init__(self, names):
        self.prefix = f"hf{os.getpid()}"
        self.names = list(names)
        self.made = []

    def __enter__(self):
        try:
            self.make()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *what):
        self.remove()

    def space(self, name):
        return f"{self.prefix}{name}"

    def address(self, name):
        return f"{NET}.{self.names.index(name) + 1}"

    def add(self, name):
        run("ip", "netns", "add", self.space(name))
        self.made.append(name)
        run("ip", "-n", self.space(name), "link", "set", "lo", "up")

    def make(self):
        self.add("hub")
        run("ip", "-n", self.space("hub"), "link", "add", "br0", "type", "bridge")
        run("ip", "-n", self.space("hub"), "link", "set", "br0", "up")
        for number, name in enumerate(self.names):
            self.add(name)
            run("ip", "-n", self.space("hub"), "link", "add", f"to{number}", "type", "veth", "peer", "name", "eth0",
                "netns", self.space(name))
            run("ip", "-n", self.space("hub"), "link", "set", f"to{number}", "master", "br0", "up")
            run("ip", "-n", self.space(name), "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
            run("ip", "-n", self.space(name), "link", "set", "eth0", "up")

    def remove(self):
        for name in reversed(self.made):
            run("ip", "netns", "del", self.space(name), check=False)
        self.made = []

    def cut(self, name):
        """Unplugs a host."""
        run("ip", "-n", self.space("hub"), "link", "set", f"to{self.names.index(name)}", "nomaster")

    def heal(self, name):
        run("ip", "-n", self.space("hub"), "link", "set", f"to{self.names.index(name)}", "master", "br0")

    def inside(self, name):
        """What a command must begin with to run there (it keeps its pid)."""
        return ["ip", "netns", "exec", self.space(name)]
