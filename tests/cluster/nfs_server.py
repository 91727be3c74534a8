"""The NFS server: nfs-ganesha, with a filesystem of its own to export. Runs in the namespaces of apart.py."""
import os
import shutil
import subprocess
import sys
import time

import nfs_clock
from nfs_net import NETS

START_SECONDS = 60
LEASE_SECONDS = 10
GRACE_SECONDS = 5
CLOCK_PORT = 7001
EXPORTS = {"plain": ["mkfs.ext4", "-q", "-F"],
           "coarse": ["mkfs.ext3", "-q", "-F", "-I", "128"]}  # file times of whole seconds
DISK_BYTES = 2 << 30
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

CONFIG = """NFS_CORE_PARAM {{ Protocols = 3,4; Enable_NLM = false; Enable_RQUOTA = false; mount_path_pseudo = true;
                  Bind_addr = {address}; }}
NFSv4 {{ Lease_Lifetime = {lease}; Grace_Period = {grace}; RecoveryRoot = "{state}"; }}
EXPORT {{ Export_Id = 77; Path = "{export}"; Pseudo = /export; Access_Type = RW; Squash = No_Root_Squash; SecType = sys;
         FSAL {{ Name = VFS; }} }}
LOG {{ Default_Log_Level = EVENT; }}
"""


def missing():
    """The programs that are not here."""
    wanted = ("ganesha.nfsd", "rpcbind", "linux.uml", "mount.nfs", "ip", "mkfs.ext3", "mkfs.ext4", "modprobe")
    return [program for program in wanted if shutil.which(program) is None]


class NfsServer:
    """Its log, its state and the disk are below `folder`; `export` is what the nodes mount."""

    def __init__(self, network, folder, kind):
        self.network, self.folder, self.kind = network, folder, kind
        self.disk = os.path.join(folder, "disk")
        self.export = os.path.join(self.disk, "export")
        self.filler = os.path.join(self.disk, "filler")
        self.log = os.path.join(folder, "ganesha.log")
        self.helpers, self.process, self.starts = [], None, 0
        try:
            self._mount()
            self._start_helpers()
            self.start()
        except BaseException:
            self.end()
            raise

    def _mount(self):
        image = os.path.join(self.folder, "disk.img")
        os.makedirs(self.disk)
        with open(image, "wb") as file:
            file.truncate(DISK_BYTES)
        subprocess.run([*EXPORTS[self.kind], image], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", image, self.disk], check=True)
        os.makedirs(self.export)

    def _start_helpers(self):
        """rpcbind, which NFSv3 needs, and the clock that the nodes compare theirs with."""
        os.makedirs("/run/rpcbind", exist_ok=True)
        os.makedirs("/run/ganesha", exist_ok=True)
        os.makedirs("/var/lib/nfs/ganesha", exist_ok=True)
        nodes = [self.network.node_address(net, node) for node in range(1, self.network.nodes + 1) for net in NETS]
        for command in (["rpcbind", "-f", "-w"],
                        [sys.executable, nfs_clock.__file__, self.network.address("nfs"), str(CLOCK_PORT), *nodes]):
            self.helpers.append(subprocess.Popen(command, **QUIET))
        deadline = time.monotonic() + START_SECONDS
        while not os.path.exists("/run/rpcbind.sock"):
            if time.monotonic() > deadline:
                raise RuntimeError("rpcbind does not start")
            time.sleep(0.02)

    def start(self):
        state = os.path.join(self.folder, "ganesha-state")
        os.makedirs(state, exist_ok=True)
        config = os.path.join(self.folder, "ganesha.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(address=self.network.address("nfs"), lease=LEASE_SECONDS, grace=GRACE_SECONDS,
                                     state=state, export=self.export))
        self.starts += 1
        self.process = subprocess.Popen(
            ["ganesha.nfsd", "-F", "-f", config, "-L", self.log, "-p", os.path.join(self.folder, "ganesha.pid")],
            **QUIET)
        deadline = time.monotonic() + START_SECONDS
        while self._initialized() < self.starts:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the NFS server does not start: {self._log()[-600:]}")
            time.sleep(0.05)

    def _log(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def _initialized(self):
        return self._log().count("NFS SERVER INITIALIZED")

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def fill(self):
        """No byte is left. (The file is outside of what is exported: the server caches that.)"""
        with open(self.filler, "wb") as file:
            room = os.statvfs(self.disk)
            size = room.f_bfree * room.f_frsize
            step = 64 << 20
            while step >= 4096:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, min(step, max(size, 4096)))
                except OSError:
                    step //= 2

    def free(self):
        if os.path.exists(self.filler):
            os.unlink(self.filler)

    def end(self):
        self.kill()
        for helper in self.helpers:
            helper.kill()
            helper.wait()
        self.helpers = []
        for _ in range(50):
            if not os.path.ismount(self.disk):
                break
            subprocess.run(["umount", self.disk], capture_output=True, check=False)
            time.sleep(0.1)
