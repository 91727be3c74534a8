"""The network of the NFS hosts: one namespace with two bridges, one to the NFS server and one to Redis, and for each
node a tap on either. So a node can lose the one and keep the other. Root only."""
import os

from netns import run

NETS = {"nfs": "10.204.0", "redis": "10.204.1"}
SERVER_HOST = 1
MTU = 9000
NODE_HOST = 10  # node i has the address NET.(NODE_HOST + i)


class NodeNetwork:
    """Removed on exit, with all that is in it."""

    def __init__(self, nodes):
        self.space = f"hf{os.getpid()}nfs"
        self.nodes = nodes

    def __enter__(self):
        run("ip", "netns", "add", self.space)
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *what):
        run("ip", "netns", "del", self.space, check=False)

    def _ip(self, *words, check=True):
        return run("ip", "-n", self.space, *words, check=check)

    def _make(self):
        self._ip("link", "set", "lo", "up")
        for name in NETS:
            self._ip("link", "add", self.bridge(name), "type", "bridge")
            self._ip("addr", "add", f"{self.address(name)}/24", "dev", self.bridge(name))
            self._ip("link", "set", self.bridge(name), "mtu", str(MTU), "gso_max_segs", "1", "up")
            for node in range(1, self.nodes + 1):
                self._ip("tuntap", "add", self.tap(name, node), "mode", "tap")
                self._ip("link", "set", self.tap(name, node), "mtu", str(MTU), "master", self.bridge(name), "up")

    @staticmethod
    def bridge(name):
        return f"br-{name}"

    @staticmethod
    def tap(name, node):
        return f"{name}{node}"

    @staticmethod
    def address(name):
        """The server's."""
        return f"{NETS[name]}.{SERVER_HOST}"

    @staticmethod
    def node_address(name, node):
        return f"{NETS[name]}.{NODE_HOST + node}"

    def cut(self, name, node):
        """Unplugs a node. (A tap that is set down breaks the node's driver.)"""
        self._ip("link", "set", self.tap(name, node), "nomaster")

    def heal(self, name, node):
        self._ip("link", "set", self.tap(name, node), "master", self.bridge(name))

    def inside(self, _name=""):
        """What a command must begin with to run there (it keeps its pid)."""
        return ["ip", "netns", "exec", self.space]
