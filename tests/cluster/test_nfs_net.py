#!/usr/bin/env python3
"""The network of the NFS hosts: a cut hurts the node that it cuts, and nobody else. Root only; 77: cannot run here."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import apart  # noqa: E402  pylint: disable=wrong-import-position
from nfs_net import NETS, NodeNetwork  # noqa: E402  pylint: disable=wrong-import-position

NODES = 3
SKIPPED = 77


def shown(*words):
    return subprocess.run(["ip", "-o", *words], check=True, capture_output=True, text=True).stdout


def hardware_address(name):
    words = shown("link", "show", name).split()
    return words[words.index("link/ether") + 1]


def ports(bridge):
    return {line.split()[1].rstrip(":") for line in shown("link", "show", "master", bridge).splitlines()}


def try_cuts():
    """What is wrong, a line each. The server's hardware address must stay what the nodes have learned: the tap with the
    lowest one of a bridge is among those that are cut."""
    wrong = []
    with NodeNetwork(NODES) as network:
        for name in NETS:
            bridge, taps = network.bridge(name), {network.tap(name, node) for node in range(1, NODES + 1)}
            learned = hardware_address(bridge)
            for node in range(1, NODES + 1):
                network.cut(name, node)
                if ports(bridge) != taps - {network.tap(name, node)}:
                    wrong.append(f"{bridge}: with node {node} cut its ports are {ports(bridge)}")
                if hardware_address(bridge) != learned:
                    wrong.append(f"{bridge}: with node {node} cut, the others find {learned} no more")
                network.heal(name, node)
                if ports(bridge) != taps or hardware_address(bridge) != learned:
                    wrong.append(f"{bridge}: healed, it is {hardware_address(bridge)} with the ports {ports(bridge)}")
    print("\n".join(wrong) or f"{len(NETS) * NODES} cuts hurt nobody else")
    return 1 if wrong else 0


def main():
    why = apart.missing() or ("there is no /dev/net/tun" if not os.path.exists("/dev/net/tun") else None)
    if why:
        print(f"skipped: {why}")
        return SKIPPED
    return apart.run(try_cuts)


if __name__ == "__main__":
    sys.exit(main())
