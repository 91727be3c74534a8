"""Reads the histories that drivers wrote (see driver.h): operations with the interval in which each took place."""
import json

INFINITY = float("inf")

# An answer that says for sure that nothing was saved, now and later.
REFUSALS = ("HF_ECONFLICT", "HF_ELOCK", "HF_EBACKEND", "HF_ECANCELLED", "HF_EIO", "HF_EENDED", "HF_ENOMEM",
            "HF_EINVAL", "HF_EDOC", "HF_ELIMIT", "HF_EDAMAGED", "HF_EVERSION", "HF_EUNSUPPORTED", "HF_ECONFIG",
            "HF_EINTERNAL", "HF_EFORKED")


class Unreadable(Exception):
    """A history or a store that cannot be judged."""


class Process:
    def __init__(self, begin):
        self.name, self.node, self.boot = begin["name"], begin["node"], begin["boot"]
        self.pid, self.host = begin["pid"], begin["host"]
        self.writer = (self.host, self.pid)  # what a record says of who wrote it
        self.offset_ns, self.error_ns = begin["offset_ns"], begin["error_ns"]
        self.warnings = []  # (time, message)
        self.opens = 0  # handles, one after the other
        self.is_torn = False  # its last line is cut: it was killed while it wrote

    def __str__(self):
        return f"{self.name} ({self.node or 'one node'}, pid {self.pid})"


class Op:
    """One call and its answer. Without an answer `ended` is infinite."""

    def __init__(self, process, call, began):
        self.process, self.call, self.began = process, call, began
        self.number, self.kind = call["n"], call["op"]
        self.ended, self.answer = INFINITY, None
        self.items = [Item(self, place, item) for place, item in enumerate(call.get("items", ()))]

    @property
    def status(self):
        return self.answer["status"] if self.answer else None

    @property
    def key(self):
        return (self.call["run"], self.call["stage"], self.call["view"])


class Item:
    """One save of a call. `record` is the seq of the record that it made, where one is known."""

    def __init__(self, op, place, item):
        self.op, self.place = op, place
        self.key = (item["run"], item["stage"], item["view"])
        self.group, self.sha, self.given_id = item["group"], item["sha"], item["id"]
        self.condition, self.if_seq = item["if"], item["if_seq"]
        self.status = self.seq = self.created = self.id = self.answered_sha = None
        self.record = None

    def take(self, answer):
        self.status, self.seq, self.created = answer["status"], answer["seq"], answer["created"]
        self.id, self.answered_sha = answer["id"], answer["sha"]

    @property
    def is_unknown(self):
        return self.status in (None, "HF_EUNSURE")

    @property
    def attempt(self):
        """The attempt's id, where it is known."""
        return self.given_id or (self.id if self.status not in ("HF_OK", None) or self.created else None) or None


def _lines(path):
    """The lines of a file as objects; a last line without an end is left out. Second: was there one?"""
    with open(path, "rb") as file:
        text = file.read()
    whole, _, torn = text.rpartition(b"\n")
    events = []
    for number, line in enumerate(whole.split(b"\n") if whole else (), 1):
        try:
            events.append(json.loads(line))
        except ValueError as error:
            raise Unreadable(f"{path}: line {number}: {error}") from error
    return events, bool(torn)


def read_history(path):
    """(Process, [Op]) of one file; (None, []) where the process died before its first line."""
    events, is_torn = _lines(path)
    if not events:
        return None, []
    begin = events[0]
    if begin["event"] != "begin":
        raise Unreadable(f"{path}: it begins with {begin['event']}")
    process = Process(begin)
    process.is_torn = is_torn
    ops, waiting = [], None
    for event in events[1:]:
        time = event["t"] + process.offset_ns
        if event["event"] == "call":
            if waiting:
                raise Unreadable(f"{path}: operation {waiting.number} has no answer, and another one follows")
            waiting = Op(process, event, time - process.error_ns)
            ops.append(waiting)
        elif event["event"] == "answer":
            if not waiting or waiting.number != event["n"]:
                raise Unreadable(f"{path}: the answer {event['n']} has no call")
            waiting.answer, waiting.ended = event, time + process.error_ns
            for item, answer in zip(waiting.items, event.get("items", ())):
                item.take(answer)
            waiting = None
        elif event["event"] == "open":
            process.opens += 1
        elif event["event"] == "log" and event["level"] == "warning":
            process.warnings.append((time, event["message"]))
    return process, ops


def read_histories(paths):
    """([Process], [Op]). Histories of several clocks are refused, unless they say how far these are apart."""
    processes, ops = [], []
    for path in paths:
        process, its_ops = read_history(path)
        if process:
            processes.append(process)
            ops.extend(its_ops)
    boots = {process.boot for process in processes if not process.error_ns}
    if len(boots) > 1:
        raise Unreadable("the histories are of several machines, and their clocks were not compared "
                         "(--clock-offset-ns, --clock-error-ns of the driver)")
    seen = {}
    for process in processes:
        if process.writer in seen:
            raise Unreadable(f"{process.name} and {seen[process.writer].name} have the same host and pid: a record "
                             "does not tell them apart; run it again")
        seen[process.writer] = process
    return processes, ops
