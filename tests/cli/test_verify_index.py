"""verify --repair and the indexes: it makes them as pack would, whatever has happened to index/."""

import os
import re
import shutil

from support import DONE, FAILED, main
from test_pack import TILE, Filled

TILES = 18  # a merge, and two files behind it
NAMES = ["0/16.idx", "0/17.idx", "1/0.idx", "mark"]


class Indexes(Filled):
    def setUp(self):
        super().setUp()
        self.index = os.path.join(self.store, "index")
        self.fill(TILES * TILE + 7)
        self.assertEqual(self.run_ok("--json", "pack").json["indexed"], TILES)
        self.good = self.files()
        self.assertEqual(sorted(self.good), NAMES)
        self.before = self.answers()

    def files(self):
        found = {}
        for folder, _, names in os.walk(self.index):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as f:
                    found[os.path.relpath(path, self.index)] = f.read()
        return found

    def answers(self):
        seqs = (1, TILE + 1, TILES * TILE, TILES * TILE + 7)
        return self.run_ok("--json", "list", "--all-revisions").out, [
            self.run_ok("get", "--run-id", f"r{seq}", "--stage", "S", "--meta").out for seq in seqs
        ], [self.run_any("prev", "--seq", str(seq)).out for seq in seqs]

    def path_of(self, name):
        return os.path.join(self.index, name)

    def flip(self, name, at):
        with open(self.path_of(name), "r+b") as f:
            f.seek(at)
            byte = f.read(1)
            f.seek(at)
            f.write(bytes([byte[0] ^ 0x10]))

    def check(self, damaged, says):
        """What verify says; then --repair makes what pack makes; then nothing is wrong."""
        here = self.files()
        seen = self.run_any("verify")
        self.assertEqual(seen.status, FAILED if damaged else DONE, seen)
        self.assertRegex(seen.out, says)
        self.assertEqual(self.files(), here)  # it only looks
        self.assertEqual(self.answers(), self.before)
        repaired = self.run_any("verify", "--repair")
        self.assertEqual(repaired.status, FAILED if damaged else DONE, repaired)
        for line in repaired.lines:
            self.assertIn(": (repaired) ", line)
        self.assertEqual(self.files(), self.good)
        again = self.run_ok("verify", "--deep")
        self.assertEqual(again.out, "")
        self.assertEqual(self.run_ok("--json", "pack").json["indexed"], 0)
        self.assertEqual(self.answers(), self.before)
        return repaired

    def test_the_folder_is_gone(self):
        shutil.rmtree(self.index)
        repaired = self.check(False, "^missing index: .* verify --repair makes it anew, and its indexes\n$")
        self.assertEqual(repaired.lines, ["missing index: (repaired) the folder is gone; it was made anew",
                                          f"index index: (repaired) {TILES} tiles had no index; it was made"])

    def test_all_files_are_gone(self):
        for name in NAMES:
            os.unlink(self.path_of(name))
        says = rf"^index index: {TILES} of {TILES} tiles have no index: .* verify --repair does\n$"
        repaired = self.check(False, says)
        self.assertEqual(repaired.lines, [f"index index: (repaired) {TILES} tiles had no index; it was made"])

    def test_one_file_is_gone(self):
        for name in NAMES[:3]:
            with self.subTest(name=name):
                os.unlink(self.path_of(name))
                repaired = self.check(True, "^index index/?.*: .*verify --repair makes all indexes anew\n$")
                self.assertEqual(len(repaired.lines), 1)
                self.assertRegex(repaired.out, rf"All indexes were removed, and made anew, of {TILES} tiles$")

    def test_one_file_is_damaged(self):
        for name in NAMES[:3]:
            size = len(self.good[name])
            for at in (20, size // 2):
                with self.subTest(name=name, at=at):
                    self.flip(name, at)
                    self.check(True, "^index ")

    def test_one_file_is_cut_short(self):
        for size in (0, 10, 5000):
            os.truncate(self.path_of("1/0.idx"), size)
            self.check(True, "^index ")

    def test_the_mark_is_shorter_or_gone(self):
        os.truncate(self.path_of("mark"), 16)
        repaired = self.check(False, rf"^index index: 2 of {TILES} tiles have no index")
        self.assertEqual(repaired.lines, ["index index: (repaired) 2 tiles had no index; it was made"])
        os.unlink(self.path_of("mark"))
        self.check(False, rf"^index index: {TILES} of {TILES}")

    def test_something_else_stands_there(self):
        os.unlink(self.path_of("mark"))
        os.mkdir(self.path_of("mark"))
        self.check(True, "^foreign index/mark: a folder; ")
        shutil.rmtree(self.path_of("1"))
        with open(self.path_of("1"), "wb") as f:
            f.write(b"nothing of ours")
        self.check(True, "^index ")
        shutil.rmtree(self.index)
        with open(self.index, "wb") as f:
            f.write(b"nothing of ours")
        self.assertEqual(self.run_any("verify").status, FAILED)
        self.assertEqual(self.run_any("verify", "--repair").status, FAILED)
        self.assertEqual(self.files(), self.good)

    def test_json(self):
        os.unlink(self.path_of("mark"))
        report = self.run_ok("--json", "verify", "--repair").json
        said = [(f["kind"], f["damage"], f["repaired"]) for f in report["findings"]]
        self.assertEqual(said, [("index", False, True)])
        self.assertEqual((report["damaged"], report["remarks"], report["complete"]), (0, 1, True))

    def test_a_lost_record_and_the_indexes(self):
        """The tile is written anew first; the indexes are those of the new one."""
        with open(os.path.join(self.store, "tile", "000", "3.jsonl"), "r+b") as f:
            f.seek(200)
            f.write(b"\0")
        repaired = self.run_any("verify", "--repair")
        self.assertEqual(repaired.status, FAILED, repaired)
        self.assertEqual(len(re.findall(": \\(repaired\\) ", repaired.out)), len(repaired.lines), repaired)
        self.assertEqual(sorted(self.files()), NAMES)
        self.assertNotEqual(self.files()["1/0.idx"], self.good["1/0.idx"])
        repaired_index = self.files()
        self.assertStoreIntact()
        shutil.rmtree(self.index)
        os.mkdir(self.index)
        self.run_ok("pack")
        self.assertEqual(self.files(), repaired_index)


class IndexesInJournalMode(Indexes):
    mode = "journal"


del Filled

if __name__ == "__main__":
    main()
