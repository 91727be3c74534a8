"""Work in namespaces of its own: pids, mounts and network. Root only.

Whatever the work starts, mounts or makes in the network is gone when it is over, however it came to its end: the kernel
ends all processes of a pid namespace with its first one, and mounts and network with the last one that uses them. So a
SIGKILL, too, leaves nothing behind.
"""
import ctypes
import os
import signal
import subprocess
import sys
import traceback

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG = 1
HIDDEN = ("/run", "/var/lib/nfs")  # where servers leave what others of this machine must not meet


def _unshare(flags):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), f"unshare: {os.strerror(ctypes.get_errno())}")


def missing():
    """Why there can be no such namespaces here, or None."""
    if os.geteuid() != 0:
        return "only root may make namespaces and mounts: run it as root"
    child = os.fork()
    if child == 0:
        try:
            _unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET)
            os._exit(0)
        except OSError as error:
            os._exit(min(error.errno, 255))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return f"no namespaces can be made here: {os.strerror(status)}" if status else None


def _enter():
    """In the namespaces' first process."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _unshare(CLONE_NEWNS | CLONE_NEWNET)
    for words in (["--make-rprivate", "/"], ["-t", "proc", "proc", "/proc"],
                  *(["-t", "tmpfs", "tmpfs", place] for place in HIDDEN if os.path.isdir(place))):
        subprocess.run(["mount", *words], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def run(work):
    """Calls work() there; what it returned, or 1 where it failed. SIGINT and SIGTERM are handed on to it."""
    sys.stdout.flush()
    _unshare(CLONE_NEWPID)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _enter()
            status = work()
        except BaseException:  # pylint: disable=broad-except
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGTERM))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status if status >= 0 else 1
