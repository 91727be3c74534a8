"""A run whose power losses are tried: drivers at work on a filesystem below which every write and flush is logged."""
import json
import os
import subprocess

import histories
from disk_log import DiskLog
from power_node import DISK_LOG, Failed, WorkNode, make_disk
from world import DRIVER, HOLDFAST

MODES = ("publish", "journal", "changing", "keeping")
# (name, threads that share a handle, of 100 operations so many reads)
DRIVERS = (("w1", 1, 30), ("w2", 1, 10), ("w3", 4, 10), ("r1", 1, 100))
READER_THINK_US = 20000
SWITCH_ONE_IN = 25  # operations of a driver, in the mode "changing"
# In the mode "keeping" a gc is at work all the time, which keeps so many of each group, and one snapshot is retired.
KEEP_LAST = 12
KEEPER = """trap 'exit 0' TERM
while :; do
  {holdfast} --store {store} gc --keep-last {keep} || exit 1
  {holdfast} --store {store} retire 1 --reason x || [ $? -eq 3 ] || exit 1  # 3: that record is no snapshot
  sleep 0.1
  {holdfast} --store {store} retire 1 --undo || [ $? -eq 3 ] || exit 1
done >/dev/null 2>&1"""
# What the filesystem itself promises, without Holdfast: does the disk get a flush for it?
DD = "dd if=/dev/zero of=control bs=4k count=1"
CONTROLS = {"fdatasync of a file that is written over": f"{DD} conv=notrunc,fdatasync",
            "fsync of a folder with a new name": "ln control control-2 && sync ."}
START, END = "at-work", "stopped"  # marks: the store is made; all drivers have ended
STOP_SECONDS = 60
KEEPING_THINK_US = 10000  # of writers, so that several gcs come between the first full tile and the end
KEPT = ("disk-before.img", "log.img", "histories", "run.json")


class Run:
    """What was recorded; `before` is the disk as it was when the log began."""

    def __init__(self, folder):
        self.folder = folder
        self.before, self.log_path = os.path.join(folder, "disk-before.img"), os.path.join(folder, "log.img")
        self.histories = os.path.join(folder, "histories")
        self.log, self.ops, self.seed, self.tile_records, self.keep_last = None, [], None, 0, 0

    def record(self, filesystem, mode, options):
        disk = os.path.join(self.folder, "disk.img")
        with open(os.path.join(self.folder, "run.json"), "w", encoding="utf-8") as file:
            json.dump({"filesystem": filesystem, "mode": mode, "seed": options.seed,
                       "tile_records": options.tile_records}, file)
        os.makedirs(self.histories)
        make_disk(filesystem, disk)
        copy_sparse(disk, self.before)
        node = WorkNode(self.folder, filesystem, disk, self.log_path, options.flush_ms)
        try:
            node.boot()
            self._work(node, mode, options)
            node.end()
        finally:
            node.kill()
        os.remove(disk)

    def _work(self, node, mode, options):
        store = os.path.join(node.mount, "store")
        first = "journal" if mode in ("journal", "keeping") else "publish"
        node.run(f"{HOLDFAST} init {store} --locker flock --mode {first}")
        self._try_controls(node)
        node.mark(START)
        writers = sum(threads for _, threads, reads in DRIVERS if reads < 100)
        for name, threads, reads in DRIVERS:
            argv = [DRIVER, "--store", store, "--history", os.path.join(self.histories, f"{name}.jsonl"),
                    "--name", name, "--seed", options.seed, "--reads", reads, "--threads", threads,
                    "--disk-log", DISK_LOG, "--seconds", options.seconds]
            argv += ["--think-us", READER_THINK_US] if reads == 100 else ["--saves", -(-options.saves // writers)]
            argv += ["--think-us", KEEPING_THINK_US] if mode == "keeping" and reads < 100 else []
            argv += ["--switch", SWITCH_ONE_IN] if mode == "changing" and reads < 100 else []
            node.ask("start", name=name, argv=[str(word) for word in argv], errors=os.path.join(self.folder, "errors"),
                     env={"HF_PLANT": options.plant} if options.plant else {})
        if mode == "keeping":
            script = KEEPER.format(holdfast=HOLDFAST, store=store, keep=KEEP_LAST)
            node.ask("start", name="keeper", argv=["sh", "-c", script],
                     errors=os.path.join(self.folder, "errors"), env={})
        node.ask("wait", names=[name for name, _, reads in DRIVERS if reads < 100],
                 seconds=options.seconds + STOP_SECONDS, patience=options.seconds + 2 * STOP_SECONDS)
        stopped = node.ask("stop", seconds=STOP_SECONDS, patience=2 * STOP_SECONDS)
        statuses = stopped["statuses"]
        node.mark(END)
        if any(status != 0 for status in statuses.values()) and not options.plant:
            raise Failed(f"drivers ended with {statuses}: {self.errors()} {stopped['waits'] or ''}")

    @staticmethod
    def _try_controls(node):
        lines = [f"cd {node.mount}", f"{DD} conv=fsync"]
        for number, command in enumerate(CONTROLS.values()):
            lines += [node.mark_command(f"c:control:{number}"), command, node.mark_command(f"a:control:{number}")]
        node.run("set -e; " + "; ".join(lines))

    def not_flushed(self):
        """The controls that no flush came for: whatever relies on them is lost with the power, Holdfast or not."""
        marks, flushes = self.log.marks, self.log.flushes()
        return [name for number, name in enumerate(CONTROLS)
                if not any(marks[f"c:control:{number}"] < flush < marks[f"a:control:{number}"] for flush in flushes)]

    def errors(self):
        try:
            with open(os.path.join(self.folder, "errors"), encoding="utf-8", errors="replace") as file:
                return file.read()[-600:]
        except FileNotFoundError:
            return ""

    def read(self):
        """The log, and the operations with the places of their marks in it."""
        with open(os.path.join(self.folder, "run.json"), encoding="utf-8") as file:
            about = json.load(file)
        self.seed, self.tile_records = about["seed"], about["tile_records"]
        self.keep_last = KEEP_LAST if about["mode"] == "keeping" else 0
        self.log = DiskLog(self.log_path)
        for name in sorted(os.listdir(self.histories)):
            process, ops = histories.read_history(os.path.join(self.histories, name))
            for op in ops:
                op.called = self.log.marks[f"c:{process.name}:{op.number}"]
                op.answered = self.log.marks[f"a:{process.name}:{op.number}"] if op.answer else histories.INFINITY
            self.ops += ops

    def keep(self, folder):
        for name in KEPT:
            subprocess.run(["cp", "-a", "--sparse=always", os.path.join(self.folder, name), folder], check=False)


def copy_sparse(source, target):
    subprocess.run(["cp", "--sparse=always", source, target], check=True)
