"""A node of the NFS harness: a user-mode Linux kernel with an NFS client, a page cache and a clock of its own."""
import os
import shlex

from nfs_server import CLOCK_PORT
from uml_node import BOOT_SECONDS, Failed, UmlNode

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
"""


class Node(UmlNode):
    """Node `number` of a cluster, boot after boot."""

    def __init__(self, network, folder, number, options):
        super().__init__(folder, number)
        self.network, self.options = network, options
        self.mount = os.path.join(folder, "mount")
        self.offset_ns = self.error_ns = 0
        os.makedirs(self.mount, exist_ok=True)

    def init_text(self):
        return INIT.format(
            hostname=self.hostname, nfs_address=self.network.node_address("nfs", self.number),
            redis_address=self.network.node_address("redis", self.number), options=self.options,
            server=self.network.address("nfs"), mount=shlex.quote(self.mount), modprobe=shlex.quote(self.modprobe))

    def devices(self):
        return [f"vec{i}:transport=tap,ifname={self.network.tap(name, self.number)},gro=1"
                for i, name in enumerate(("nfs", "redis"))]  # without gro=1 large frames are dropped

    def boot(self):
        self.begin_boot()
        self.finish_boot()

    def finish_boot(self):
        measured = self.ask("clock", address=self.network.address("nfs"), port=CLOCK_PORT, patience=BOOT_SECONDS)
        self.offset_ns, self.error_ns = measured["offset_ns"], measured["error_ns"]
        if self.error_ns > CLOCK_ERROR_NS_MAX:
            raise Failed(f"{self}: its clock cannot be compared: {self.error_ns} ns")

    def check_clock(self):
        """The clock's offset is what it was when the node booted."""
        measured = self.ask("clock", address=self.network.address("nfs"), port=CLOCK_PORT)
        apart = abs(measured["offset_ns"] - self.offset_ns)
        if apart > measured["error_ns"] + self.error_ns:
            raise Failed(f"{self}: its clock has drifted by {apart} ns")
