#!/usr/bin/env python3
"""Tells its machine's CLOCK_MONOTONIC by UDP, for nodes that have a clock of their own.

    nfs_clock.py ADDRESS PORT [NODE-ADDRESS]...

Who asks measures: the answer was true at some instant between its sending and its receiving, so half of that time is
how far its idea of this clock may be wrong.
"""
import socket
import sys
import time

SAMPLES = 400
ANSWER_SECONDS = 0.25
NUDGE_SECONDS = 0.01
DISCARD_PORT = 9


def serve(address, port, nodes):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.bind((address, port))
        link.settimeout(NUDGE_SECONDS)
        while True:
            try:
                text, whom = link.recvfrom(64)
                link.sendto(text + b" %d" % time.monotonic_ns(), whom)
            except socket.timeout:
                for node in nodes:
                    nudge(link, node)


def nudge(link, node):
    """The driver of a user-mode Linux may leave a frame lying until the next one comes: 200 ms, by TCP's timers."""
    try:
        link.sendto(b"", (node, DISCARD_PORT))
    except OSError:
        pass  # it is not there now


def measure(address, port):
    """(offset_ns, error_ns): that clock is ours plus the offset, by the quickest of many answers. None: no answer."""
    best = None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.settimeout(ANSWER_SECONDS)
        for number in range(SAMPLES):
            began = time.monotonic_ns()
            link.sendto(b"%d" % number, (address, port))
            try:
                text = link.recv(64)
            except socket.timeout:
                if best is None and number > 40:
                    return None
                continue
            ended = time.monotonic_ns()
            asked, told = text.split()
            if int(asked) == number and (best is None or ended - began < best[2]):
                best = (int(told), (began + ended) // 2, ended - began)
    return (best[0] - best[1], (best[2] + 1) // 2) if best else None


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
