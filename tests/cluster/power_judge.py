"""Judges what a power loss has left of a store: an image of the disk, mounted on a node, against the operations that
were called and answered before."""
import json
import os
import shlex
from collections import Counter
from random import Random

from histories import REFUSALS
from power_node import DISK_BYTES, type_of
from storelog import Log, name_key
from world import BUILD

LOOK = os.environ.get("HF_LOOK") or os.path.join(BUILD, "tests", "cluster", "cluster_look")
PREVS = 3  # asked for at each point, beside that of the last record

# On the node. The kernel makes /dev/dm-0 by itself.
SCRIPT = """out={out}; mount={mount}
step() {{ name=$1; shift; "$@" >$out/$name 2>&1; echo "$name $?" >>$out/statuses; }}
step snapshot dmsetup create image --noudevsync --table "0 {sectors} snapshot /dev/ubdb /dev/ubdc N 8"
[ {filesystem} != ext4-nojournal ] || step fsck e2fsck -fy /dev/dm-0
step mount mount -t {type} /dev/dm-0 $mount
mountpoint -q $mount && step look {look} $mount/store {seed} {prevs} {goes_on} {retry}
mountpoint -q $mount && step umount umount $mount
step remove dmsetup remove --noudevsync image
"""


class Image:
    """What the node has said of a mounted image: the statuses of its steps, and the events of look.c."""

    def __init__(self, folder):
        self.folder = folder
        self.statuses = {name: int(status) for name, status in
                         (line.split() for line in self.text("statuses").splitlines())}
        self.events = [json.loads(line) for line in self.text("look").splitlines() if line.startswith("{")]
        self.is_whole = bool(self.events) and self.events[-1]["event"] == "end"
        lists = [place for place, event in enumerate(self.events) if event["event"] == "list"]
        self.rows = self._rows(self.events[:lists[0]]) if lists else []
        self.rows_after = self._rows(self.events[lists[0]:]) if len(lists) > 1 else []

    def text(self, name):
        try:
            with open(os.path.join(self.folder, name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def all(self, name):
        return [event for event in self.events if event["event"] == name]

    def one(self, name):
        found = self.all(name)
        return found[0] if found else {"status": "none"}

    def before_work(self):
        """The events of the look at what was left."""
        places = [place for place, event in enumerate(self.events) if event["event"] == "opened"]
        return self.events[:places[1]] if len(places) > 1 else self.events

    @staticmethod
    def _rows(events):
        rows = [event for event in events if event["event"] == "record"]
        for row in rows:
            row["dims"] = {"view": row["view"]} if row["view"] else {}
        return rows

    def shape(self, head, tile_records):
        """What is going on in the store, by its files."""
        sizes = {event["path"]: event["bytes"] for event in self.all("file")}
        tiles = {int(os.path.basename(name)[:-6]) for name in sizes if name.endswith(".jsonl")}
        parts = {int(os.path.basename(name)[:-5]) for name in sizes if name.endswith(".part")}
        packed = tile_records * sizes.get("tile/mark", 0)
        loose = [int(name[4:24]) for name in sizes if name.startswith("log/") and name.endswith(".json")]
        return {"packing": any(tile_records * tile >= packed for tile in tiles) or any(seq <= packed for seq in loose),
                "full part": any(head >= tile_records * (part + 1) for part in parts),
                "part and loose": bool(parts) and any(seq > packed for seq in loose)}


def look(node, folder, seed, prevs, goes_on, retry):
    """Mounts the image that the node's disk is now."""
    os.makedirs(folder)
    node.run(SCRIPT.format(out=shlex.quote(folder), mount=shlex.quote(node.mount), look=shlex.quote(LOOK),
                           sectors=DISK_BYTES // 512, filesystem=node.filesystem, type=type_of(node.filesystem),
                           seed=seed, prevs=",".join(map(str, sorted(prevs))) or "1", goes_on=int(goes_on),
                           retry=retry or "-"))
    node.empty_scratch()
    return Image(folder)


class Judge:
    """What a run's operations promise, at any point."""

    def __init__(self, run):
        self.ops, self.tile_records, self.keep_last = run.ops, run.tile_records, run.keep_last
        self.counts = Counter()
        self.violations = []

    def begun(self, end):
        return [op for op in self.ops if op.called < end]

    def answered(self, end):
        return [op for op in self.ops if op.answered < end]

    @staticmethod
    def highest(ops):
        return max((item.seq for op in ops for item in op.items if item.status == "HF_OK"), default=0)

    def questions(self, point):
        """(seqs whose prev is asked for, the number of an id whose save is tried again or None)."""
        random = Random(str(point))
        highest = self.highest(self.answered(point.end))
        prevs = {highest, *(1 + random.randrange(highest) for _ in range(PREVS))} if highest else set()
        begun = [item for op in self.begun(point.end) for item in op.items if item.given_id]
        open_ = [item for item in begun if item.op.answered >= point.end]
        retry = random.choice(open_ or begun) if begun else None
        return prevs, retry.key[0].split("_")[1] if retry else None

    def judge(self, point, image):
        """[violations] of the image at that point, as texts."""
        answered = self.answered(point.end)
        self.counts["points"] += 1
        for name in ("snapshot", "fsck", "mount"):
            if image.statuses.get(name, 0) > (1 if name == "fsck" else 0):
                return [f"the filesystem: {name}: {image.text(name)[-400:]}"]
        if image.one("list").get("status") != "HF_OK" or not image.is_whole:
            return [f"the store cannot be read: {image.text('look')[-600:]}", *self._check_verify(image, "verify")]
        bad = []
        if [row["seq"] for row in image.rows] != list(range(1, len(image.rows) + 1)):
            return [f"I1: the seqs are not dense: {[row['seq'] for row in image.rows][:400]}"]
        log = Log(image.rows)
        self._check_kept(log, answered, bad)
        self._check_shown(log, answered, bad)
        self._check_asked(log, self.begun(point.end), bad)
        self._check_prevs(log, image, bad)
        bad += self._check_verify(image, "verify")
        if image.all("goes-on") or image.all("retried"):
            self._check_goes_on(log, image, bad)
        self._count(log, answered, image)
        return bad

    def _count(self, log, answered, image):
        saved = sum(1 for op in answered for item in op.items if item.status == "HF_OK" and item.created)
        self.counts["points after acknowledgements"] += saved > 0
        self.counts["acknowledged saves looked for"] += saved
        self.counts["points with records beyond"] += log.head > self.highest(answered)
        for name, is_so in image.shape(log.head, self.tile_records).items():
            self.counts[name] += is_so

    def _has_document(self, log, record, sha):
        """It is there, or gc has dropped it, and may have: so many later ones of its group, or key, are there."""
        if record.dropped and record.doc_sha is None and self.keep_last:
            later = [seq for seq, _ in log.classes.get((record.group,) + record.key[1:], ())] \
                if record.group is not None else log.revisions[record.key]
            self.counts["dropped documents"] += 1
            return record.sha == sha and (record.seq == 1 or sum(seq > record.seq for seq in later) >= self.keep_last)
        return record.sha == record.doc_sha == sha

    def _check_kept(self, log, answered, bad):
        """Every acknowledged save is there, as it was sent, at its seq; what was refused is not."""
        for op in answered:
            for item in op.items:
                record = log.at(item.seq)
                if item.status == "HF_OK":
                    if record is None or (record.id, record.key) != (item.id, item.key) or \
                            not self._has_document(log, record, item.sha):
                        bad.append(f"I3: lost: {op.process}, operation {op.number}: {name_key(item.key)} was "
                                   f"acknowledged with seq {item.seq}, id {item.id}, sha {item.sha[:12]}; the head is "
                                   f"{log.head}, and there stands: {record}")
                elif item.status in REFUSALS and item.id and item.id in log.by_id and not item.given_id:
                    bad.append(f"I6: {op.process}, operation {op.number}: {item.status}, and it is saved: "
                               f"{log.by_id[item.id]}")
            if op.kind == "set_mode" and op.status == "HF_OK" and op.answer["seq"]:
                record = log.at(op.answer["seq"])
                if record is None or record.op != "mode":
                    bad.append(f"I3: lost: {op.process}, operation {op.number}: a change of mode at seq "
                               f"{op.answer['seq']}; the head is {log.head}, and there stands: {record}")

    def _check_shown(self, log, answered, bad):
        """What a reader was shown stays; what was settled, too."""
        for op in answered:
            if op.status != "HF_OK" or op.items or op.kind == "set_mode":
                continue
            if op.kind == "resolve" and not op.answer["got"]:
                if op.call["id"] in log.by_id:
                    bad.append(f"I6: {op.process}, operation {op.number}: {op.call['id']} was ended, and it is saved")
                continue
            shown = op.answer.get("rows", [op.answer] if op.answer.get("got", op.kind == "head") else [])
            for row in shown:
                self.counts["shown records looked for"] += 1
                record = log.at(row["seq"]) if row["seq"] else None
                if row["seq"] and (record is None or record.id != row.get("id", record.id) or
                                   (row.get("sha") and record.is_save and
                                    not self._has_document(log, record, row["sha"]))):
                    bad.append(f"I3: {op.process}, operation {op.number}, {op.kind}: seq {row['seq']} was shown, id "
                               f"{row.get('id')}; the head is {log.head}, and there stands: {record}")

    def _check_asked(self, log, begun, bad):
        """Every record was asked for, and none more often than that; one id stands once."""
        asked = Counter((item.key, item.sha) for op in begun for item in op.items
                        if item.status not in REFUSALS and item.created != 0)
        saved = Counter((record.key, record.sha) for record in log.records if record.is_save)
        for (key, sha), count in saved.items():
            if count > asked[key, sha]:
                bad.append(f"doubled, or never sent: {name_key(key)}, sha {sha[:12]}: {count} times, asked for "
                           f"{asked[key, sha]} times")
        if len(log.by_id) != log.head:
            bad.append(f"I1: {log.head} records have {len(log.by_id)} ids")

    def _check_prevs(self, log, image, bad):
        for told in image.before_work():
            record = log.at(told["of"]) if told["event"] == "prev" else None
            if record is None or not record.is_save:
                continue
            self.counts["prevs"] += 1
            before = log.at(log.prev(record.seq))
            if told["status"] == "HF_EDROPPED" and before is not None and before.dropped:
                continue
            if told["status"] != "HF_OK" or told["seq"] != log.prev(record.seq):
                bad.append(f"prev of seq {record.seq} is {log.prev(record.seq)}: {told}")

    def _check_verify(self, image, name):
        """Nothing that it finds is damage: a power loss leaves a store as sound as a killed writer does."""
        events = image.before_work() if name == "verify" else image.events[len(image.before_work()):]
        last = max((place for place, event in enumerate(events) if event["event"] == name), default=0)
        told = events[last] if events else {}
        if told.get("event") != name or told["status"] != "HF_OK":
            return [f"{name}: {told}"]
        first = max((place for place, event in enumerate(events[:last]) if event["event"] != "finding"), default=-1)
        damage = [event for event in events[first + 1:last] if event["damage"]]
        if name == "verify":
            self.counts["points with remarks"] += told["remarks"] > 0
        return [f"{name}: {finding['kind']}: {finding['path']}, seq {finding['seq']}: {finding['text']}"
                for finding in damage]

    def _check_goes_on(self, log, image, bad):
        """Saves go through in both modes, get the next seqs, and change nothing that was there; a save that is tried
        again makes nothing twice."""
        self.counts["points at which work went on"] += 1
        for told in image.all("retried"):
            known = next((record for record in log.records if record.id == told["id"]), None)
            self.counts["saves tried again"] += told["status"] == "HF_OK"
            if told["status"] not in ("HF_OK", "HF_EENDED") or \
                    (known and (told["seq"], told["created"]) != (known.seq, 0)):
                bad.append(f"after the power loss: a save that is tried again: {told}; there stood: {known}")
        head, saved = image.one("goes-on").get("head"), image.all("saved")
        if head is None or [(told["status"], told["seq"]) for told in saved] != \
                [("HF_OK", head + place) for place in range(1, 6)]:
            bad.append(f"after the power loss: the head was {head}, and five records are due: {saved}")
            return
        after = Log(image.rows_after)
        if [record.id for record in after.records[:log.head]] != [record.id for record in log.records] or \
                after.head != head + 5 or head not in (log.head, log.head + 1) or len(after.by_id) != after.head:
            bad.append(f"after the power loss: {after.head} records, {head + 5} are due, or others than before: "
                       f"{[str(record) for record in after.records[log.head:]]}")
            return
        for told in image.events[len(image.before_work()):]:
            if told["event"] == "prev" and told["status"] != "HF_EDROPPED" and told["seq"] != after.prev(told["of"]):
                bad.append(f"after the power loss: prev of seq {told['of']} is {after.prev(told['of'])}: {told}")
        bad += self._check_verify(image, "verify-after")
