"""Real time: is there an instant within each call at which its answer was true?

The log gives the order of all writes; the state after seq h is "head h". An answer is true as of some heads: a get
that showed seq 7 of a key whose next revision is seq 12 as of 7 ... 11. Going through calls and answers by time,
`floor` is the highest head that anybody is known to have seen: an acknowledged save, or what a reader was shown. What
begins later must be true at floor or above (I4, I7: fresh, and monotonic across processes); the lowest such head
becomes the floor of what follows, which is exact, for only lower bounds follow from it. And nobody sees what had not
begun when he was answered."""
import bisect

from storelog import after, name_key

INFINITY = float("inf")


class Untrue(Exception):
    """No head at or above the floor makes the answer true: (rule, text, seqs of the story)."""


def _same(log, answer, seq):
    record = log.at(seq)
    if not record or record.id != answer["id"] or ("sha" in answer and answer["sha"] != record.sha):
        raise Untrue("I2", f"seq {seq} was shown as another record (id {answer['id']}) than the one that stands "
                           "there", [seq])


def _as_current(log, key, seq, floor):
    """The lowest head at which the key's current revision is seq (0: there is none)."""
    seqs = log.revisions.get(key, [])
    if seq and (not seqs or log.at(seq) is None or log.at(seq).key != key):
        raise Untrue("I2", f"seq {seq} was named as a revision of {name_key(key)}, and is none", [seq])
    behind = after(seqs, seq)
    if floor >= behind:
        raise Untrue("I7", f"{name_key(key)} was answered from {f'seq {seq}' if seq else 'before its first revision'}, "
                           f"and seq {behind} of it was there", [seq, behind])
    return max(floor, seq)


def _head(_log, op, floor):
    if op.answer["seq"] < floor:
        raise Untrue("I7", f"the head was answered as {op.answer['seq']}, and seq {floor} was there", [floor])
    return op.answer["seq"]


def _get(log, op, floor):
    if not op.answer["got"]:
        return _as_current(log, op.key, 0, floor)
    _same(log, op.answer, op.answer["seq"])
    _not_gone(log, op.answer, floor)
    return _as_current(log, op.key, op.answer["seq"], floor)


def _not_gone(log, answer, floor):
    """Its document was shown: nobody knew yet that gc has dropped it."""
    record = log.at(answer["seq"]) if answer.get("sha") else None
    if record and 0 < record.dropped <= floor:
        raise Untrue("I7", f"the document of seq {record.seq} was shown, and seq {record.dropped} had dropped it",
                     [record.seq, record.dropped])


def _lowest_gone(seqs, is_gone, floor):
    """The lowest head at which the current one of these revisions is one that was dropped; None: at no head. (It may
    have been dropped while the answer was looked for: who finds a document gone reads on, to say by which record.)"""
    place = max(bisect.bisect_right(seqs, floor) - 1, 0)
    return next((max(floor, seq) for seq in seqs[place:] if is_gone(seq)), None)


def _gone(log, op, floor):
    """The answer was that gc has dropped the document."""
    if op.kind == "get_seq":
        record = log.at(op.call["of"])
        head = max(floor, record.dropped) if record and record.dropped else None
    elif op.kind == "prev_seq":
        record = log.at(op.call["of"])
        before = log.at(log.prev(record.seq)) if record and record.is_save else None
        head = max(floor, record.seq) if before and before.dropped else None
        if record and record.key and record.key[1] in log.others:
            return floor
    elif op.kind == "prev" and op.call["group"] is not None:
        seqs = [seq for seq, _ in log.classes.get((op.call["group"],) + op.key[1:], ())]
        head = _lowest_gone(seqs, lambda seq: log.at(seq).dropped, floor)
    elif op.kind in ("get", "prev"):
        at = (lambda seq: seq) if op.kind == "get" else log.prev
        head = _lowest_gone(log.revisions.get(op.key, []),
                            lambda seq: log.at(at(seq)).dropped if at(seq) else 0, floor)
    else:
        head = None
    if head is None:
        raise Untrue("gc", f"{op.kind} was answered with a document that gc has dropped, and it has not",
                     [op.call.get("of")])
    return head


def _get_seq(log, op, floor):
    seq = op.call["of"]
    if not op.answer["got"]:
        if seq <= floor:
            raise Untrue("I7", f"seq {seq} was answered as not there, and it was", [seq])
        return floor
    if op.answer["seq"] != seq:
        raise Untrue("I2", f"asked for seq {seq}, it showed {op.answer['seq']}", [seq])
    _same(log, op.answer, seq)
    _not_gone(log, op.answer, floor)
    return max(floor, seq)


def _prev_is(log, op, seq):
    """Is this answer what the model says for seq?"""
    model = log.prev(seq)
    if (op.answer["seq"] if op.answer["got"] else 0) != model:
        return False
    if model:
        _same(log, op.answer, model)
    return True


def _prev_seq(log, op, floor):
    seq = op.call["of"]
    record = log.at(seq)
    if record and record.is_save and record.key[1] in log.others:
        return max(floor, seq)  # they hide and show snapshots
    if op.status == "HF_ENOTFOUND":
        if record and record.is_save and seq <= floor:
            raise Untrue("prev", f"seq {seq} was answered as no snapshot", [seq])
        return floor
    if not record or not record.is_save or not _prev_is(log, op, seq):
        raise Untrue("prev", f"the previous of seq {seq} was answered as "
                             f"{op.answer['seq'] if op.answer['got'] else 'none'}, and it is "
                             f"{(log.prev(seq) or 'none') if record and record.is_save else 'no snapshot'}",
                     [seq, log.prev(seq) if record and record.is_save else None])
    return max(floor, seq)


def _prev(log, op, floor):
    if op.call["group"] is not None:  # of a key that has no revision: the latest of the class
        seqs = [seq for seq, _ in log.classes.get((op.call["group"],) + op.key[1:], ())]
        shown = op.answer["seq"] if op.status == "HF_OK" and op.answer["got"] else 0
        if shown and shown not in seqs:
            raise Untrue("prev", f"seq {shown} was answered as comparable, and it is not", [shown])
        if floor >= after(seqs, shown):
            raise Untrue("I7", f"the previous was answered as {shown or 'none'}, and seq {after(seqs, shown)} was "
                               "there", [shown, after(seqs, shown)])
        return max(floor, shown)
    seqs = log.revisions.get(op.key, [])
    if op.status == "HF_ENOTFOUND":
        return _as_current(log, op.key, 0, floor)
    place = max(bisect.bisect_right(seqs, floor) - 1, 0)
    for seq in seqs[place:]:
        if _prev_is(log, op, seq):
            return max(floor, seq)
    raise Untrue("prev", f"the previous of {name_key(op.key)} was answered as "
                         f"{op.answer['seq'] if op.answer['got'] else 'none'}, which it never was from seq {floor} on",
                 [log.current(op.key, floor), op.answer.get("seq")])


def _list(log, op, floor):
    rows = [row["seq"] for row in op.answer["rows"]]
    is_all = bool(op.call["all"])
    seqs = range(1, log.head + 1) if is_all else log.snapshots
    shown = rows[0] if rows else 0
    behind = after(seqs, shown)
    if floor >= behind:
        raise Untrue("I7", f"a list began with {shown or 'nothing'}, and seq {behind} was there", [shown, behind])
    if rows != log.latest(shown, op.call["limit"], is_all):
        raise Untrue("list", f"a list of {op.call['limit']} as of seq {shown} had {rows}, not "
                             f"{log.latest(shown, op.call['limit'], is_all)}", rows[:2])
    for row in op.answer["rows"]:
        _same(log, row, row["seq"])
    return max(floor, shown)


def _history(log, op, floor):
    rows = [row["seq"] for row in op.answer["rows"]]
    if rows != log.revisions.get(op.key, [])[:len(rows)]:
        raise Untrue("list", f"the history of {name_key(op.key)} was {rows}, not "
                             f"{log.revisions.get(op.key, [])[:len(rows)]}", rows[:2])
    for row in op.answer["rows"]:
        _same(log, row, row["seq"])
    return _as_current(log, op.key, rows[-1] if rows else 0, floor)


def _resolve(log, op, floor):
    ident = op.call["id"]
    record = log.by_id.get(ident) if op.answer["got"] else log.ended.get(ident)
    return max(floor, record.seq) if record else floor


READS = {"head": _head, "get": _get, "get_seq": _get_seq, "prev_seq": _prev_seq, "prev": _prev, "list": _list,
         "history": _history, "resolve": _resolve}


def _created(log, item, floor):
    """A save that made a record: its condition held right before it."""
    if item.seq <= floor:
        raise Untrue("I4", f"a save that began after seq {floor} was there got seq {item.seq}", [floor, item.seq])
    before = log.current(item.key, item.seq - 1)
    if item.condition == "absent" and before:
        raise Untrue("if-absent", f"a save that was to be the first of {name_key(item.key)} made seq {item.seq}, and "
                                  f"seq {before} is before it", [before, item.seq])
    if item.condition == "seq" and before != item.if_seq:
        raise Untrue("if-seq", f"a save that was to replace seq {item.if_seq} of {name_key(item.key)} "
                               f"replaced {before}",
                     [before, item.seq])
    return item.seq


def _conflict(log, item, floor):
    """A condition that did not hold: the answer names the revision that stood there."""
    if item.condition == "always" or (item.condition == "absent" and item.seq == 0) or \
            (item.condition == "seq" and item.seq == item.if_seq):
        raise Untrue("if-" + item.condition, f"a conflict with seq {item.seq} is none", [item.seq])
    head = _as_current(log, item.key, item.seq, floor)
    record = log.at(item.seq)
    if record and not record.dropped and (record.sha, record.group) == (item.sha, item.group):
        raise Untrue("if-" + item.condition, f"a conflict with seq {item.seq}, which holds the same document",
                     [item.seq])
    return head


def _item(log, item, floor):
    """The lowest head at which the item's answer is true."""
    if item.status == "HF_OK" and item.created:
        return _created(log, item, floor)
    if item.status == "HF_OK" and item.given_id:
        return max(floor, item.seq)
    if item.status == "HF_OK":
        record = log.at(item.seq)
        if record and 0 < record.dropped <= floor:
            raise Untrue("I3", f"a save was answered with seq {item.seq}, whose document seq {record.dropped} had "
                               "dropped: it is nowhere", [item.seq, record.dropped])
        return _as_current(log, item.key, item.seq, floor)
    if item.status == "HF_ECONFLICT":
        return _conflict(log, item, floor)
    if item.status == "HF_EENDED" and item.attempt in log.ended:
        return max(floor, log.ended[item.attempt].seq)
    if item.record and item.record <= floor:  # unknown, and saved
        raise Untrue("I4", f"a save that began after seq {floor} was there got seq {item.record}",
                     [floor, item.record])
    return floor


def _heads(log, op, floor):
    """The heads that an op's answers need."""
    if op.kind in READS:
        if op.status == "HF_EDROPPED":
            return [_gone(log, op, floor)]
        if op.status not in ("HF_OK", "HF_ENOTFOUND"):
            return []
        return [READS[op.kind](log, op, floor)]
    return [_item(log, item, floor) for item in op.items]


def _check_batch(op, checked):
    seqs = [item.seq for item in op.items if item.status == "HF_OK" and item.created]
    if seqs != sorted(set(seqs)):
        checked.fail("I1", f"the saves of a batch got {seqs}", (op,))


class _Future:
    """Which records had not begun at a time?"""

    def __init__(self, log):
        records = sorted((record for record in log.records if record.began >= 0), key=lambda record: record.began)
        self.times = [record.began for record in records]
        self.lowest = [None] * len(records)
        for place in range(len(records) - 1, -1, -1):
            behind = self.lowest[place + 1] if place + 1 < len(records) else None
            self.lowest[place] = records[place] if behind is None or records[place].seq < behind.seq else behind

    def lowest_begun_after(self, time):
        place = bisect.bisect_right(self.times, time)
        return self.lowest[place] if place < len(self.lowest) else None


def check_order(log, ops, checked):
    """All answers, by time. A save without an answer is judged like one with an unknown answer."""
    events = sorted([(op.began, 0, place) for place, op in enumerate(ops)] +
                    [(op.ended, 1, place) for place, op in enumerate(ops)])
    future = _Future(log)
    floor, witness = 0, None
    floors = [(0, None)] * len(ops)
    for _, is_answer, place in events:
        op = ops[place]
        if not is_answer:
            floors[place] = (floor, witness)
            continue
        low, shown_by = floors[place]
        try:
            heads = _heads(log, op, low)
        except Untrue as untrue:
            rule, text, seqs = untrue.args
            records = [log.at(seq) if seq != INFINITY else None for seq in dict.fromkeys(seqs)]
            checked.fail(rule, text, [shown_by] + [record.maker for record in records if record] + [op], records)
            continue
        checked.count("placed in time", len(heads))
        checked.count("reads" if op.kind in READS else "saves", bool(op.answer))
        if op.answer:
            checked.count(f"{op.kind}s" if op.kind in READS else f"calls of {op.kind}")
        if op.kind == "batch" and op.answer:
            _check_batch(op, checked)
        head = max(heads, default=0)
        if op.answer and head > log.head:
            checked.fail("I3", f"seq {head} was shown, and the head is {log.head}", (op,))
            continue
        unborn = future.lowest_begun_after(op.ended)
        if op.answer and unborn and head >= unborn.seq:
            checked.fail("I4", f"seq {head} was acknowledged or shown, and the save that got seq {unborn.seq} "
                               "began only after that", (op, unborn.maker), (log.at(head), unborn))
            continue
        if op.answer and head > floor:
            floor, witness = head, op
