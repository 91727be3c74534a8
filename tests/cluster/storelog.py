"""The final store, read through the program: the brute-force model that all answers are compared with."""
import bisect
import concurrent.futures
import hashlib
import json
import subprocess

from histories import Unreadable

READERS = 4
DOC = b',"doc":'


class Record:
    def __init__(self, row):
        self.seq, self.op, self.id = row["seq"], row["op"], row["id"]
        self.pid, self.writer = row["pid"], (row["host"], row["pid"])
        self.sha, self.group = row["sha256"], row["group"]
        self.is_save = self.op == "save"
        self.key = (row["run_id"], row["stage"], row["dims"].get("view", "")) if self.is_save else None
        self.ends = row.get("ends")  # the attempt that it ends
        self.doc_sha = row.get("doc_sha")  # of the very bytes of the document
        # as of the head: the seqs of the records that say so; 0: none
        self.retired, self.dropped = row.get("retired") or 0, row.get("dropped") or 0
        self.began = -1  # when the call that made it began, at the earliest
        self.maker = None  # that call

    def __str__(self):
        whose = f"id {self.id}, of pid {self.pid} on {self.writer[0]}"
        if self.is_save:
            return f"seq {self.seq}: {name_key(self.key)}, group {self.group}, {whose}"
        return f"seq {self.seq}: {self.op} of {self.ends}, {whose}"


def name_key(key):
    run, stage, view = key
    return f"{run}:{stage}" + (f":view={view}" if view else "")


class Log:
    """All records in order, and what can be asked of them as of any seq."""

    def __init__(self, rows, others=()):
        self.records = [Record(row) for row in rows]
        self.others = frozenset(others)  # stages of records that no driver made
        self.head = len(self.records)
        self.by_id, self.by_sha, self.ended = {}, {}, {}
        self.revisions = {}  # key -> seqs
        self.classes = {}  # (group, stage, view) -> [(seq, run)]
        self.snapshots = [record.seq for record in self.records if record.is_save]
        for record in self.records:
            self.by_id.setdefault(record.id, record)
            if record.ends:
                self.ended.setdefault(record.ends, record)
            if not record.is_save:
                continue
            self.by_sha.setdefault(record.sha, []).append(record)
            self.revisions.setdefault(record.key, []).append(record.seq)
            if record.group is not None:
                self.classes.setdefault((record.group,) + record.key[1:], []).append((record.seq, record.key[0]))

    def at(self, seq):
        return self.records[seq - 1] if seq is not None and 1 <= seq <= self.head else None

    def current(self, key, head):
        """The seq of the key's current revision as of a head; 0: none."""
        seqs = self.revisions.get(key, ())
        place = bisect.bisect_right(seqs, head)
        return seqs[place - 1] if place else 0

    def prev(self, seq):
        """The previous comparable snapshot's seq; 0: none."""
        record = self.at(seq)
        if record.group is None:
            return 0
        rows = self.classes[(record.group,) + record.key[1:]]
        place = bisect.bisect_left(rows, (seq, "")) - 1
        while place >= 0 and (rows[place][1] == record.key[0] or self.at(rows[place][0]).retired):
            place -= 1
        return rows[place][0] if place >= 0 else 0

    def latest(self, head, limit, with_all):
        """The last `limit` records as of a head, highest first: all of them, or the current snapshots."""
        found, seq = [], head
        while seq >= 1 and len(found) < limit:
            record = self.at(seq)
            if with_all or (record.is_save and self.current(record.key, head) == seq):
                found.append(seq)
            seq -= 1
        return found


def after(seqs, seq):
    """The first of them behind seq; infinity where there is none."""
    place = bisect.bisect_right(seqs, seq)
    return seqs[place] if place < len(seqs) else float("inf")


# ---- reading ----

def _run(command, statuses=(0,)):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode not in statuses:
        raise Unreadable(f"{' '.join(command)}: status {done.returncode}: {done.stderr.decode()[-400:]}")
    return done.stdout


def read_store(program, store):
    """The rows of every record, with the checksum of each document's bytes and whom an "end" ends."""
    rows = [json.loads(line) for line in
            _run([program, "--store", store, "list", "--all-records", "--format", "jsonl"]).splitlines()]
    documents = {}
    for line in _run([program, "--store", store, "export", "--format", "jsonl"]).splitlines():
        place = line.index(DOC)  # a quotation mark inside a string has a backslash before it
        seq = json.loads(line[:place] + b"}")["seq"]
        documents[seq] = hashlib.sha256(line[place + len(DOC):-1]).hexdigest()

    def whom(row):
        return json.loads(_run([program, "--store", store, "get", "--seq", str(row["seq"]), "--meta"])).get("ends")

    enders = [row for row in rows if row["op"] == "end"]
    with concurrent.futures.ThreadPoolExecutor(READERS) as pool:
        for row, ends in zip(enders, pool.map(whom, enders)):
            row["ends"] = ends
    for row in rows:
        row["doc_sha"] = documents.get(row["seq"])
    return rows


def verify_store(program, store):
    """What verify --deep found to be damaged, as texts."""
    report = json.loads(_run([program, "--store", store, "--json", "verify", "--deep"], (0, 1)))
    return [f"{finding['kind']}: {finding.get('path')}: {finding['text']}" for finding in report["findings"]
            if finding.get("damage", True)] if report["damaged"] else []
