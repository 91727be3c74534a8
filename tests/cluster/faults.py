#!/usr/bin/env python3
"""Writers in network namespaces on one store, through one Redis, while what they depend on is hurt.

    faults.py [--scenario NAME]... [--seed N] [--saves N] [--locker redis|flock|none] [--plant BUG] [--keep] [--list]

Eight drivers (driver.c) in four namespaces save, re-save, ask and list; the store's filesystem is taken for one that
hosts share (HF_TEST_SHARED). At the end check.py judges the histories against the store. Every process is ended by
its pid, the namespaces are removed, whatever happens.

Exit status: 0 all held; 1 something did not; 77 there can be no namespaces or no Redis here (it says why). With
--plant: 0 where the bug was found by every scenario.

Needs root. HOLDFAST and HF_DRIVER name the programs (ctest sets them).
"""
import argparse
import os
import shutil
import signal
import sys
import tempfile
import time

import netns
import redis_servers
from scenarios import SCENARIOS
from world import NODES, Failed, World

MEMORY_BYTES_MIN = 512 << 20


def hurt(world, name):
    """The scenario. With a planted bug writers may be in no state to be hurt as wanted: the checker judges."""
    try:
        SCENARIOS[name](world)
    except Failed:
        if not world.plant or not world.histories:
            raise


def scratch():
    """In memory, where there is room: no power is lost here."""
    try:
        room = os.statvfs("/dev/shm")
        return "/dev/shm" if room.f_bavail * room.f_frsize > MEMORY_BYTES_MIN else None
    except OSError:
        return None


def run_scenario(name, options):
    """1: it held, or the planted bug was found; else 0."""
    folder = tempfile.mkdtemp(prefix="holdfast-faults-", dir=scratch())
    began = time.monotonic()
    text, status = "", 2
    try:
        with netns.Network(list(NODES) + ["redis", "replica"]) as network:
            world = World(network, folder, options)
            try:
                hurt(world, name)
                world.finish()
                judged = world.check(world.saves)
                status, text = judged.returncode, judged.stdout + judged.stderr
                text += f"  came back within {world.slowest_s:.1f} s of each fault"
                if world.counter_is_wrong and not options.plant:
                    text += f"; {world.check_warnings()} warnings of the counter"
            except Failed as failed:
                status, text = 2, f"{text}FAILED: {failed}"
            finally:
                world.end()
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    good = status == 1 if options.plant else status == 0
    word = ("found" if good else "NOT FOUND") if options.plant else ("holds" if good else "BROKEN")
    print(f"== {name}, seed {options.seed}{', planted ' + options.plant if options.plant else ''}: {word}, "
          f"{world.done} faults, {time.monotonic() - began:.1f} s")
    print("   " + text.strip().replace("\n", "\n   "))
    if not good:
        print(f"   again: {sys.argv[0]} --scenario {name} --seed {options.seed} --saves {options.saves}"
              + (f" --plant {options.plant}" if options.plant else "") + " --keep")
    sys.stdout.flush()
    return good


def end_by_signal(number, frame):
    raise SystemExit(f"ended by signal {number}")


def main():
    signal.signal(signal.SIGTERM, end_by_signal)
    signal.signal(signal.SIGINT, end_by_signal)
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--scenario", action="append", choices=sorted(SCENARIOS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--saves", type=int, default=2000)
    parser.add_argument("--locker", default="redis", choices=("redis", "flock", "none"))
    parser.add_argument("--plant", default="")
    parser.add_argument("--keep", action="store_true", help="keep the folder with store and histories")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(SCENARIOS))
        return 0
    why = netns.missing() or (None if redis_servers.program() else "there is no redis-server (package redis-tools)")
    if why:
        print(f"faults: cannot run here: {why}", file=sys.stderr)
        return 77
    results = [run_scenario(name, options) for name in options.scenario or SCENARIOS]
    print(f"{sum(results)} of {len(results)} scenarios {'found the bug' if options.plant else 'held'}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
