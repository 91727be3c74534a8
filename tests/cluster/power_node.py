"""Nodes of the power-loss harness. One works on a filesystem whose disk writes a log (dm-log-writes); another one,
which has never seen that disk, mounts what power losses would have left of it. A disk is a file of this machine."""
import os
import shlex
import shutil
import subprocess

from uml_node import BOOT_SECONDS, Failed, UmlNode

DISK_BYTES = 512 << 20  # newer versions of mkfs.xfs make none of less than 300 MB
LOG_BYTES = 16 << 30  # sparse
DISK_LOG = "disklog"  # the device's name
FILESYSTEMS = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "ext4-nojournal": ["mkfs.ext4", "-q", "-F", "-O", "^has_journal"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
}
PROGRAMS = ("linux.uml", "modprobe", "dmsetup", "mkfs.ext4", "e2fsck", "mkfs.xfs", "mkfs.btrfs")

INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmpfs /run
mountpoint -q /dev || mount -t devtmpfs dev /dev
hostname {hostname}
echo {modprobe} >/proc/sys/kernel/modprobe
{modprobe} -a {modules}
"""


def missing():
    """The programs that are not here."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


def type_of(filesystem):
    return filesystem.split("-", maxsplit=1)[0]


def make_disk(filesystem, path):
    with open(path, "wb") as file:
        file.truncate(DISK_BYTES)
    done = subprocess.run([*FILESYSTEMS[filesystem], path], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(FILESYSTEMS[filesystem])}: {done.stderr}")


class PowerNode(UmlNode):
    """A node with disks: [(the device's letter, a file)]."""

    memory = "320M"

    def __init__(self, folder, number, filesystem, disks, modules):
        super().__init__(folder, number)
        self.filesystem, self.disks, self.modules = filesystem, disks, modules
        self.mount = os.path.join(folder, f"mount{number}")
        os.makedirs(self.mount, exist_ok=True)

    def init_text(self):
        return INIT.format(hostname=self.hostname, modprobe=shlex.quote(self.modprobe),
                           modules=" ".join(self.modules))

    def devices(self):
        return [f"ubd{letter}={path}" for letter, path in self.disks]

    def run(self, command, seconds=BOOT_SECONDS, statuses=(0,)):
        """A text for sh; what it printed."""
        done = self.ask("run", argv=["sh", "-c", command], seconds=seconds, patience=seconds + BOOT_SECONDS)
        if done["status"] not in statuses:
            raise Failed(f"{self}: {command}: status {done['status']}: {done['err'][-800:]}")
        return done["out"]


class WorkNode(PowerNode):
    """Works on `disk`, and its log is written to `log`. A flush takes `flush_ms` longer than this machine's memory
    needs (the kernel counts in 10 ms)."""

    def __init__(self, folder, filesystem, disk, log, flush_ms):
        super().__init__(folder, 1, filesystem, [("b", disk), ("c", log)], ["dm-mod", "dm-log-writes", "dm-delay"])
        self.flush_ms = flush_ms
        with open(log, "wb") as file:
            file.truncate(LOG_BYTES)

    def boot(self):
        self.begin_boot()
        disk, sectors = "/dev/ubdb", DISK_BYTES // 512
        if self.flush_ms:
            self.run(f"dmsetup create slow --noudevsync --table '0 {sectors} delay {disk} 0 0 {disk} 0 0 {disk} 0 "
                     f"{self.flush_ms}'")
            disk = "/dev/dm-0"
        self.run(f"dmsetup create {DISK_LOG} --noudevsync --table '0 {sectors} log-writes {disk} /dev/ubdc' && "
                 f"dmsetup mknodes && mount -t {type_of(self.filesystem)} /dev/mapper/{DISK_LOG} "
                 f"{shlex.quote(self.mount)}")

    @staticmethod
    def mark_command(text):
        return f"dmsetup message {DISK_LOG} 0 mark {text}"

    def mark(self, text):
        self.run(self.mark_command(text))

    def end(self):
        """The log is whole when its device is gone."""
        self.run(f"umount {shlex.quote(self.mount)} && dmsetup remove --noudevsync {DISK_LOG}")
        self.kill()


class JudgeNode(PowerNode):
    """Mounts images of `disk`: what is written meanwhile goes elsewhere, so that the disk can be replayed further."""

    def __init__(self, folder, filesystem, disk):
        self.scratch = os.path.join(folder, "scratch.img")
        super().__init__(folder, 2, filesystem, [("b", disk), ("c", self.scratch)], ["dm-mod", "dm-snapshot"])

    def boot(self):
        self.empty_scratch()
        self.begin_boot()
        self.run("test -b /dev/ubdb")

    def empty_scratch(self):
        """What was written to the last image takes no memory any more."""
        with open(self.scratch, "ab") as file:
            file.truncate(0)
            file.truncate(DISK_BYTES)
