"""prev and diff --prev tell of a record that they pass over because it cannot be read."""

import glob
import json
import os

from support import DONE, FAILED, NOT_FOUND, Case, main

TWO_TILES = "".join(
    json.dumps({"run_id": f"t{i}", "stage": "S", "group": "h", "doc": {"text": "x" * 40, "i": i}}) + "\n"
    for i in range(1000, 1512))


class Unread(Case):
    mode = "publish"

    def setUp(self):
        super().setUp()
        for i in range(1, 7):
            self.save(f"r{i}", "S", {"text": "x" * 200, "i": i}, "--group", "g")
        self.save("other", "S", {"i": 0}, "--group", "elsewhere")

    def damage(self, *seqs):
        """A bit of each record's document is another one than was written."""
        for path in glob.glob(os.path.join(self.store, "log", "*.json")) + glob.glob(
                os.path.join(self.store, "tile", "*", "*.*")):
            with open(path, "rb+") as file:
                text = file.read()
                for seq in seqs:
                    at = text.find(b'"i":%d}' % seq)
                    if at >= 0:
                        file.seek(at - 20)
                        file.write(b"y")

    def told(self, result):
        self.assertEqual(result.status, DONE, result)
        return result.err

    def test_nothing_is_told_without_reason(self):
        self.assertEqual(self.told(self.run_any("prev", "--seq", "6")), "")
        self.damage(1)  # not between the two
        self.assertEqual(self.told(self.run_any("prev", "--seq", "6")), "")
        self.damage(6)
        self.assertEqual(self.told(self.run_any("prev", "--seq", "5")), "")

    def test_what_is_passed_over(self):
        self.damage(5)
        for command in (("prev", "--seq", "6", "--pointer", "/i"), ("prev", "--run-id", "r6", "--stage", "S"),
                        ("prev", "--run-id", "r6", "--stage", "S", "--group", "g"),
                        ("prev", "--run-id", "new", "--stage", "S", "--group", "g"), ("diff", "--prev", "6"),
                        ("diff", "--prev", "r6:S", "--format", "json"), ("prev", "--seq", "6", "--meta")):
            result = self.run_any(*command)
            new = "new" in command
            says = self.told(result)
            self.assertTrue(says.startswith(f"holdfast: {command[0]}: {self.store}: warning: seq 5 ") or new, says)
            self.assertEqual((says.count("\n"), says.count("holdfast verify")), (0, 0) if new else (1, 1), command)
            self.assertEqual(self.run_any("--quiet", *command).err, "")
        self.assertEqual(self.run_any("prev", "--seq", "6", "--pointer", "/i").out, "4\n")

    def test_get_by_key(self):
        """An older revision, or none, is never given without a word where the later one cannot be read."""
        self.save("r2", "S", {"text": "x" * 200, "i": 8}, "--group", "g")  # seq 8
        self.damage(8)
        for command in (("get", "--run-id", "r2", "--stage", "S", "--pointer", "/i"), ("diff", "1", "r2:S", "--json")):
            says = self.told(self.run_any(*command))
            self.assertIn("seq 8 cannot be read and was passed over: it may have been a later revision; ", says)
            self.assertEqual(says.count("\n"), 1)
            self.assertEqual(self.run_any("--quiet", *command).err, "")
        self.assertEqual(self.run_any("get", "--run-id", "r2", "--stage", "S", "--pointer", "/i").out, "2\n")
        for at in ("7", "2"):
            self.assertEqual(self.told(self.run_any("get", "--run-id", "r2", "--stage", "S", "--at", at)), "")
        result = self.run_any("get", "--run-id", "new", "--stage", "S")
        self.assertEqual((result.status, result.out), (NOT_FOUND, ""), result)
        self.assertIn("seq 8 cannot be read and was passed over: it may have been this one; ", result.err)

    def test_damage_that_an_index_knows_nothing_of(self):
        """No index is made of a tile with damage. Where it came since, the index names the record: an error."""
        packs_not = {"HOLDFAST_CONFIG": self.write("config.json", '{"packing":{"automatic":false}}')}
        self.run_ok("save", "--batch", "-", input=TWO_TILES, env=packs_not)
        seq = self.head() - 300
        run = self.run_ok("get", "--seq", str(seq), "--pointer", "/i", env=packs_not).out.strip()
        self.damage(int(run) - 1)
        result = self.run_any("prev", "--seq", str(seq), "--pointer", "/i", env=packs_not)
        self.assertEqual((result.status, result.out), (DONE, f"{int(run) - 2}\n"), result)
        self.assertIn(f"seq {seq - 1} cannot be read and was passed over", result.err)

    def test_damage_behind_an_index(self):
        self.run_ok("save", "--batch", "-", input=TWO_TILES)
        self.run_ok("pack")
        run = int(self.run_ok("get", "--seq", "100", "--pointer", "/i").out)
        self.damage(run - 1)
        self.run_bad(FAILED, "prev", "--seq", "100", says=["seq 99 cannot be read", "holdfast verify"])
        self.run_bad(FAILED, "diff", "--prev", "100", says=["seq 99 cannot be read", "holdfast verify"])

    def test_several(self):
        self.damage(4, 5)
        says = self.told(self.run_any("diff", "--prev", "6"))
        self.assertIn("2 records cannot be read and were passed over, the last one seq 5: ", says)
        self.damage(1, 2, 3)
        result = self.run_any("prev", "--seq", "6")
        self.assertEqual((result.status, result.out), (NOT_FOUND, ""))
        self.assertIn("5 records cannot be read", result.err)
        self.assertIn("there is no previous comparable snapshot\n", result.err)


class UnreadJournal(Unread):
    mode = "journal"
    test_several = None  # behind two damaged lines in a row of the tile that is appended to nothing is read


if __name__ == "__main__":
    main()
