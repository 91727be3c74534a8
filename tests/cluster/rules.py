"""What the answers claim, compared with the final store: every rule that needs no order of time."""
from collections import Counter

from histories import REFUSALS
from storelog import name_key


class Violation:
    """A broken promise. ops and records: the shortest story that shows it."""

    def __init__(self, rule, text, ops=(), records=()):
        self.rule, self.text = rule, text
        self.ops, self.records = [op for op in ops if op], [record for record in records if record]


class Checked:
    """How often each thing was looked at."""

    def __init__(self):
        self.counts = Counter()
        self.violations = []

    def count(self, what, number=1):
        self.counts[what] += number

    def fail(self, rule, text, ops=(), records=()):
        self.violations.append(Violation(rule, text, ops, records))


def check_store(log, checked):
    """I1: dense, one id at one seq. I2, I8: the bytes are those of the checksum. And nothing is doubled: no record
    repeats what was its key's current revision."""
    first_of = {}
    for place, record in enumerate(log.records, 1):
        checked.count("records")
        if record.seq != place:
            checked.fail("I1", f"seq {place} is missing: {record.seq} comes next", (), (record,))
            return
        if record.id in first_of:
            checked.fail("I1", f"the id {record.id} stands at two seqs", (), (first_of[record.id], record))
        first_of[record.id] = record
        if not record.is_save:
            continue
        checked.count("snapshots")
        if record.dropped:
            checked.count("dropped documents")
        if record.doc_sha != record.sha and not (record.dropped and record.doc_sha is None):
            checked.fail("I8", f"the document at seq {record.seq} has another checksum than its record", (), (record,))
        before = log.at(log.current(record.key, record.seq - 1))
        if before and not 0 < before.dropped < record.seq and \
                (before.sha, before.group) == (record.sha, record.group):
            checked.fail("I3", f"doubled: seq {record.seq} is the same snapshot as the one before it, seq "
                               f"{before.seq}", (before.maker, record.maker), (before, record))


def _check_saved(log, item, checked):
    """An acknowledged save: it is there, at its seq, as it was sent."""
    record = log.at(item.seq)
    checked.count("acknowledged" if item.created else "found")
    if not record:
        checked.fail("I3", f"lost: a save was acknowledged with seq {item.seq}, and the head is {log.head}", (item.op,))
        return
    if record.id != item.id:
        elsewhere = log.by_id.get(item.id)
        what = f"reordered: it stands at seq {elsewhere.seq}" if elsewhere else "lost: it stands nowhere"
        checked.fail("I3" if not elsewhere else "I1",
                     f"a save was acknowledged with seq {item.seq} and id {item.id}; {what}",
                     (item.op, record.maker), (record, elsewhere))
        return
    if item.given_id and item.given_id != record.id:
        checked.fail("I6", f"a save with the id {item.given_id} was answered with the record of another",
                     (item.op,), (record,))
    if record.key != item.key or record.sha != item.sha or record.group != item.group:
        checked.fail("I2", f"a save of {name_key(item.key)}, sha256 {item.sha[:16]}, group {item.group} was "
                           f"acknowledged with seq {item.seq}, where something else stands (sha256 "
                           f"{(record.sha or '')[:16]})", (item.op, record.maker), (record,))
    elif item.answered_sha != item.sha:
        checked.fail("I8", f"the answer's sha256 is {item.answered_sha[:16]}, the document's {item.sha[:16]}",
                     (item.op,), (record,))
    if not item.created:
        return
    if record.maker:
        checked.fail("I3", f"two saves were told that they had made seq {record.seq}", (record.maker, item.op),
                     (record,))
        return
    if record.writer != item.op.process.writer:
        checked.fail("I6", f"pid {item.op.process.pid} was told that it had made seq {record.seq}, which pid "
                           f"{record.pid} wrote", (item.op,), (record,))
    record.maker, record.began, item.record = item.op, item.op.began, record.seq


def _check_refused(log, item, is_the_only, checked):
    """An error: not saved, now and later. With a given id another attempt may have been saved."""
    checked.count("refused")
    if item.status == "HF_EENDED":
        record = log.by_id.get(item.attempt)
        if record:
            checked.fail("I6", f"a save was told that its id {item.attempt} is ended, and it stands at seq "
                               f"{record.seq}", (item.op, record.maker), (record,))
        return
    record = None
    if not item.given_id:
        record = log.by_id.get(item.id) or (log.by_sha[item.sha][0] if is_the_only and item.sha in log.by_sha else None)
    if record:
        checked.fail("I6", f"a save was answered {item.status}, which says not saved, and it stands at seq "
                           f"{record.seq}", (item.op, record.maker), (record,))


def check_answers(log, ops, allowed, checked):
    shas = Counter(item.sha for op in ops for item in op.items)
    for op in ops:
        if op.answer:
            checked.count("answers")
            checked.count(f"answer {op.status}")
            if op.status not in allowed:
                checked.fail("answer", f"nobody expected {op.status} here", (op,))
        else:
            checked.count("unanswered")
        for item in op.items:
            if item.status == "HF_OK":
                _check_saved(log, item, checked)
            elif item.status in REFUSALS:
                _check_refused(log, item, shas[item.sha] == 1, checked)
            else:
                checked.count("unknown")
        if op.kind == "resolve" and op.answer and op.status == "HF_OK":
            _check_resolved(log, op, checked)


def _check_resolved(log, op, checked):
    """I6: an unknown answer is settled, one way only."""
    checked.count("resolved")
    ident, record = op.call["id"], log.by_id.get(op.call["id"])
    if op.answer["got"] == 1 and (not record or record.seq != op.answer["seq"]):
        checked.fail("I6", f"resolve said that {ident} is saved at seq {op.answer['seq']}, and it stands "
                           f"{f'at {record.seq}' if record else 'nowhere'}", (op,), (log.at(op.answer["seq"]), record))
    elif op.answer["got"] == 0 and record:
        checked.fail("I6", f"resolve said that {ident} never will be saved, and it stands at seq {record.seq}",
                     (op, record.maker), (record,))
    elif op.answer["got"] == 0 and ident not in log.ended:
        checked.fail("I6", f"resolve said that {ident} never will be saved, and no record ends it", (op,))


def attribute(log, processes, ops, checked):
    """Finds who made the records that nobody was acknowledged for: calls without an answer, or with an unknown one.
    A record that nobody can have made breaks I6 (it was refused) or came from nowhere."""
    by_writer = {process.writer: process for process in processes}
    unknown, attempts = {}, {}
    for op in ops:
        for item in op.items:
            if item.is_unknown or (item.given_id and item.record is None and item.status == "HF_OK"):
                unknown.setdefault((op.process.writer, item.key, item.sha), []).append(item)
            if item.attempt or item.is_unknown:
                attempts.setdefault(item.attempt, []).append(op)
        if op.kind == "resolve":
            attempts.setdefault(op.call["id"], []).append(op)
    for record in log.records:
        if record.maker:
            continue
        if record.is_save and record.key[1] in log.others:
            continue
        if record.is_save:
            items = [item for item in unknown.get((record.writer, record.key, record.sha), ())
                     if item.record is None and (item.attempt in (None, record.id))]
            makers = [item.op for item in items]
            if items:
                items[0].record = record.seq
                checked.count("unknown, and saved")
        elif record.op == "end":
            makers = [op for op in attempts.get(record.ends, ()) if op.process.writer == record.writer]
            makers = makers or [op for op in attempts.get(None, ()) if op.process.writer == record.writer]
        else:
            continue
        if makers:
            record.maker = min(makers, key=lambda op: op.began)
            record.began = record.maker.began
        elif record.writer not in by_writer:
            checked.fail("I6", f"seq {record.seq} is of a process without a history", (), (record,))
        else:
            checked.fail("I6", f"seq {record.seq} was made by {by_writer[record.writer]}, which has no call that could "
                               "have made it: it was refused, or made another record already", (), (record,))
