"""Reads the log that dm-log-writes keeps of a disk, and replays it: the images that a power loss could leave.

The device (Linux, drivers/md/dm-log-writes.c) writes down
- a flush when it is done, and right before it, as one group, every write that was done before the flush was asked for;
- a write with FUA when it is done;
- a mark when it is made. A driver makes one right before each call and one right after each answer (disk_marks.c).

So the log's order is that in which things became durable, not that in which they were written, and a prefix of it is
what a disk that keeps nothing longer than it must would hold. That makes "acknowledged before" decidable: whatever a
save relied on, its flushes and FUA writes, was done before its answer, so it stands in the log before the answer's
mark; every prefix that has the mark must hold the save. The other way round: what a call wrote was written after its
mark, so a prefix that does not have the mark holds nothing of it.

Within a group the disk had promised nothing yet, just before the flush was done: any of its writes may be there, in
part, in any combination (`torn`).
"""
import mmap
import os
import struct
from collections import namedtuple

MAGIC, VERSION = 0x6a736677736872, 1
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
SUPER, ENTRY = struct.Struct("<QQQI"), struct.Struct("<QQQQ")
TORN_ONE_IN = 4  # writes of a group: only their first sectors were written

Entry = namedtuple("Entry", "sector count flags place text")  # place: of its data in the log; text: a mark's


class BadLog(Exception):
    """That is no log of dm-log-writes, or it has no end."""


class DiskLog:
    """The log of one disk, and where its marks are: text -> number of the entry."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        magic, version, count, self.sector_bytes = SUPER.unpack_from(self.map, 0)
        if (magic, version) != (MAGIC, VERSION):
            raise BadLog(f"{path}: magic {magic:x}, version {version}")
        self.entries, place = [], self.sector_bytes
        for _ in range(count):
            sector, sectors, flags, text_bytes = ENTRY.unpack_from(self.map, place)
            text = self.map[place + ENTRY.size:place + ENTRY.size + text_bytes].rstrip(b"\0").decode()
            place += self.sector_bytes
            self.entries.append(Entry(sector, sectors, flags, place, text))
            if not flags & DISCARD:
                place += sectors * self.sector_bytes
        self.bytes = place
        self.marks = {entry.text: number for number, entry in enumerate(self.entries) if entry.flags & MARK}
        if "dm-log-writes-end" not in self.marks:
            raise BadLog(f"{path}: {count} entries, and no end: the device was not removed")
        self.groups = self._find_groups()
        self.flush_of = {first: flush for flush, first in self.groups.items()}
        self.flush_set = set(self.flushes())

    def _find_groups(self):
        """Flush -> its group's first entry, for each that has one."""
        groups, first = {}, None
        for number, entry in enumerate(self.entries):
            if entry.flags & FLUSH:
                if first is not None:
                    groups[number] = first
                first = None
            elif entry.flags & (FUA | MARK):
                first = None
            elif first is None:
                first = number
        return groups

    def flushes(self):
        return [number for number, entry in enumerate(self.entries) if entry.flags & (FLUSH | FUA)]


class Replay:
    """An image, and how many entries of the log have been replayed onto it."""

    def __init__(self, log, image):
        self.log, self.position = log, 0
        self.fd = os.open(image, os.O_WRONLY)

    def close(self):
        os.close(self.fd)

    def _apply(self, number, sectors=None):
        """The first `sectors` sectors of a write."""
        entry = self.log.entries[number]
        size = self.log.sector_bytes
        count = (entry.count if sectors is None else sectors) * size
        if not count or entry.flags & MARK:
            return
        if entry.flags & DISCARD:
            self._write(bytes(count), entry.sector * size)
        else:
            self._write(self.log.map[entry.place:entry.place + count], entry.sector * size)

    def _write(self, data, place):
        done = 0
        while done < len(data):
            done += os.pwrite(self.fd, data[done:], place + done)

    def to(self, end):
        """The image of the first `end` entries. Never backwards."""
        assert end >= self.position
        for number in range(self.position, end):
            self._apply(number)
        self.position = end

    def torn(self, random):
        """Some of the group that begins here, on top of the prefix. Gives back what `undo` needs: the bytes that stood
        there."""
        if self.position not in self.log.flush_of:
            raise BadLog(f"no group of writes begins at entry {self.position}")
        saved, size = [], self.log.sector_bytes
        keep = random.choice((0.2, 0.5, 0.8))
        with open(f"/proc/self/fd/{self.fd}", "rb") as image:
            for number in range(self.position, self.log.flush_of[self.position]):
                entry = self.log.entries[number]
                if not entry.count or random.random() > keep:
                    continue
                sectors = random.randrange(entry.count) if random.randrange(TORN_ONE_IN) == 0 else entry.count
                image.seek(entry.sector * size)
                saved.append((entry.sector * size, image.read(sectors * size)))
                self._apply(number, sectors)
        return saved

    def undo(self, saved):
        for place, data in reversed(saved):
            self._write(data, place)
