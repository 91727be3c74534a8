#!/usr/bin/env python3
"""What runs on a node (uml_node.py) as its only program: does what it is told, and starts the drivers.

    uml_agent.py FOLDER      (on the machine's own filesystem, which the node sees as its root)

A command is the file FOLDER/command-N, its answer FOLDER/answer-N, JSON both, N from 1 on. Each name is new, so that
nothing that the node remembers of the machine's files can be old.
"""
import ctypes
import json
import os
import signal
import subprocess
import sys
import time

import nfs_clock

POLL_SECONDS = 0.02
drivers = {}


def do_run(call):
    done = subprocess.run(call["argv"], env={**os.environ, **call.get("env", {})}, capture_output=True, text=True,
                          timeout=call.get("seconds", 60), check=False)
    return {"status": done.returncode, "out": done.stdout, "err": done.stderr}


def do_clock(call):
    measured = nfs_clock.measure(call["address"], call["port"])
    return {"offset_ns": measured[0], "error_ns": measured[1]} if measured else {"error": "the clock does not answer"}


def do_start(call):
    with open(call["errors"], "ab") as errors:
        drivers[call["name"]] = subprocess.Popen(call["argv"], env={**os.environ, **call.get("env", {})},
                                                 stdin=subprocess.DEVNULL, stderr=errors)
    return {"pid": drivers[call["name"]].pid}


def do_look(_call):
    """The drivers that have ended, with their statuses."""
    return {"ended": {name: one.returncode for name, one in drivers.items() if one.poll() is not None}}


def do_wait(call):
    """Until these drivers have ended by themselves."""
    until = time.monotonic() + call["seconds"]
    while time.monotonic() < until and any(drivers[name].poll() is None for name in call["names"]):
        time.sleep(POLL_SECONDS)
    return {}


def do_stop(call):
    """Ends the drivers, or those with these names, after what they are doing."""
    ending = {name: drivers.pop(name) for name in call.get("names") or list(drivers) if name in drivers}
    for one in ending.values():
        if one.poll() is None:
            one.send_signal(signal.SIGTERM)
    until, statuses, waits = time.monotonic() + call["seconds"], {}, {}
    for name, one in ending.items():
        try:
            statuses[name] = one.wait(timeout=max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            waits[name] = kernel_stacks(one.pid)
            one.kill()
            statuses[name] = None
    return {"statuses": statuses, "waits": waits}


def kernel_stacks(pid):
    """Where in the node's kernel the threads of a process are."""
    texts = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stack", encoding="utf-8") as file:
            texts.append(f"{task}: {file.read()}")
    return "\n".join(texts)


def do_kill(call):
    """One driver, at once."""
    drivers[call["name"]].kill()
    drivers.pop(call["name"]).wait()
    return {}


def do_wait_stopped(call):
    """Until a driver has stopped itself (HF_PAUSE)."""
    until = time.monotonic() + call["seconds"]
    while time.monotonic() < until:
        if drivers[call["name"]].poll() is not None:
            break
        with open(f"/proc/{drivers[call['name']].pid}/stat", encoding="utf-8") as stat:
            if stat.read().rsplit(")", 1)[1].split()[0] == "T":
                return {"stopped": True}
        time.sleep(POLL_SECONDS)
    return {"stopped": False}


def do_continue(call):
    drivers[call["name"]].send_signal(signal.SIGCONT)
    return {}


def do_set_clock(call):
    time.clock_settime(time.CLOCK_REALTIME, time.time() + call["seconds"])
    return {"now": time.time()}


def do_read(call):
    with open(call["path"], encoding="utf-8", errors="replace") as file:
        return {"text": file.read()}


COMMANDS = {"run": do_run, "clock": do_clock, "start": do_start, "look": do_look, "wait": do_wait, "stop": do_stop,
            "kill": do_kill, "wait_stopped": do_wait_stopped, "continue": do_continue, "set_clock": do_set_clock,
            "read": do_read}


def answer(folder, number, call):
    try:
        reply = COMMANDS[call["do"]](call)
    except Exception as failed:  # pylint: disable=broad-except
        reply = {"error": f"{type(failed).__name__}: {failed}"}
    path = os.path.join(folder, f"answer-{number}")
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(reply, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)


def power_off():
    ctypes.CDLL(None).sync()
    with open("/proc/sysrq-trigger", "w", encoding="ascii") as file:
        file.write("o")
    time.sleep(60)


def main():
    folder, number = sys.argv[1], 1
    while True:
        path = os.path.join(folder, f"command-{number}")
        try:
            with open(path, encoding="utf-8") as file:
                call = json.load(file)
        except FileNotFoundError:
            time.sleep(POLL_SECONDS)
            continue
        if call["do"] == "off":
            power_off()
        answer(folder, number, call)
        number += 1


if __name__ == "__main__":
    main()
