"""The network of the NFS hosts: two bridges in the network namespace of this process, one to the NFS server and one to
Redis, and for each node a tap on either. So a node can lose the one and keep the other."""
from netns import run

NETS = {"nfs": "10.204.0", "redis": "10.204.1"}
SERVER_HOST = 1
NODE_HOST = 10  # node i has the address NET.(NODE_HOST + i)


class NodeNetwork:
    """Removed on exit."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.made = []

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *what):
        for name in reversed(self.made):
            run("ip", "link", "del", name, check=False)
        self.made = []

    def _make(self):
        for name in NETS:
            run("ip", "link", "add", self.bridge(name), "type", "bridge")
            self.made.append(self.bridge(name))
            # Without one of its own a bridge takes the lowest of its ports' addresses. It would have another while
            # that port is cut, nodes that are not cut would learn that one, and some would keep it for 20 to 45 s
            # behind the cut: to them the server is dead, for old and new connections.
            run("ip", "link", "set", self.bridge(name), "address", self.hardware_address(name))
            run("ip", "addr", "add", f"{self.address(name)}/24", "dev", self.bridge(name))
            run("ip", "link", "set", self.bridge(name), "up")
            for node in range(1, self.nodes + 1):
                run("ip", "tuntap", "add", self.tap(name, node), "mode", "tap")
                self.made.append(self.tap(name, node))
                run("ip", "link", "set", self.tap(name, node), "master", self.bridge(name), "up")

    @staticmethod
    def bridge(name):
        return f"br-{name}"

    @staticmethod
    def hardware_address(name):
        """The server's."""
        return f"02:00:00:00:{list(NETS).index(name):02x}:01"

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
        run("ip", "link", "set", self.tap(name, node), "nomaster")

    def heal(self, name, node):
        run("ip", "link", "set", self.tap(name, node), "master", self.bridge(name))

    def mute(self, name):
        """The server's answers get lost on their way to every node; what they ask still arrives."""
        for node in range(1, self.nodes + 1):
            run("ip", "route", "add", "blackhole", f"{self.node_address(name, node)}/32")

    def unmute(self, name):
        for node in range(1, self.nodes + 1):
            run("ip", "route", "del", "blackhole", f"{self.node_address(name, node)}/32")

    @staticmethod
    def inside(_name=""):
        """What a command must begin with to run there: nothing, for all of the harness does."""
        return []
