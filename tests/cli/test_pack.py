"""pack, and packing that goes on by itself when a store is closed."""

import json
import os

from support import DONE, FAILED, USAGE, Case, as_other_user, every_file, main

TILE = 256
OFF = json.dumps({"packing": {"automatic": False}})


class Filled(Case):
    mode = "publish"

    def setUp(self):
        super().setUp()
        self.off = self.write("off.json", OFF)

    def fill(self, count, first=1, config=True):
        lines = "".join(
            json.dumps({"run_id": f"r{i}", "stage": "S", "group": "g", "doc": {"x": i}}) + "\n"
            for i in range(first, first + count)
        )
        options = ["--config", self.off] if config else []
        self.run_ok(*options, "save", "--batch", "-", input=lines)

    def tiles(self):
        return os.path.getsize(os.path.join(self.store, "tile", "mark"))

    def loose(self):
        names = os.listdir(os.path.join(self.store, "log"))
        return sorted(int(name[:20]) for name in names if name.endswith(".json"))


class Pack(Filled):
    def answers(self):
        return self.run_ok("--json", "list", "--all-revisions").out, [
            self.run_ok("get", "--seq", str(seq)).out for seq in (1, TILE, TILE + 1, self.head())
        ]

    def test_what_it_says_and_does(self):
        self.fill(2 * TILE + 30)
        before = self.answers()
        self.assertEqual(self.tiles(), 0)
        result = self.run_ok("pack")
        self.assertEqual(
            result.lines, ["packed: 2", "tiles: 2", f"head: {2 * TILE + 30}", "leftovers removed: 0", "indexed: 2"]
        )
        self.assertEqual(result.err, "")
        self.assertEqual(self.answers(), before)
        self.assertEqual(self.tiles(), 2)
        self.assertTrue(all(seq > 2 * TILE for seq in self.loose()))
        report = self.run_ok("--json", "pack").json
        self.assertEqual(report, {"packed": 0, "tiles": 2, "head": 2 * TILE + 30, "freed": 0, "indexed": 0})
        self.assertEqual(list(report), ["packed", "tiles", "head", "freed", "indexed"])
        self.assertStoreIntact()
        self.assertEqual(self.save("later", "S", {}), 2 * TILE + 31)

    def test_an_empty_store(self):
        self.assertEqual(self.run_ok("--json", "pack").json,
                         {"packed": 0, "tiles": 0, "head": 0, "freed": 0, "indexed": 0})

    def test_the_store_by_its_name(self):
        self.fill(TILE)
        self.assertEqual(self.run_ok("--json", "pack", self.store, store=None).json["packed"], 1)
        self.run_bad(USAGE, "pack", self.store, says="--store")
        self.run_bad(USAGE, "pack", self.store, self.store, store=None)
        self.run_bad(FAILED, "pack", self.path("nothing"), store=None, says="there is no store here")

    def test_what_a_killed_packer_left(self):
        self.fill(TILE)
        name = os.path.join(self.store, "log", "%020d.json" % 1)
        with open(name, "rb") as f:
            content = f.read()
        self.run_ok("pack")
        with open(name, "wb") as f:
            f.write(content)
        self.assertEqual(self.run_ok("--json", "pack").json["freed"], 1)
        self.assertEqual(self.loose(), [])

    def test_a_damaged_store_stays_as_it_is(self):
        self.fill(TILE)
        name = os.path.join(self.store, "log", "%020d.json" % 1)
        with open(name, "r+b") as f:
            f.seek(300)
            f.write(b"\0")
        before = every_file(self.store)
        self.run_bad(FAILED, "pack", says="verify --repair")
        after = every_file(self.store)
        self.assertEqual(before.keys(), after.keys())
        self.assertEqual([k for k in before if before[k][1] != after[k][1]], [])

    def test_a_store_that_may_only_be_read(self):
        self.use_program_copy()
        self.fill(TILE)
        before = every_file(self.store)
        self.run_bad(FAILED, "pack", **as_other_user())
        self.assertEqual(every_file(self.store).keys(), before.keys())


class ByItself(Filled):
    def test_the_save_that_completes_a_tile(self):
        self.fill(TILE - 1)
        self.assertEqual(self.tiles(), 0)
        self.assertEqual(self.save("last", "S", {}), TILE)
        self.assertEqual(self.tiles(), 1)
        self.assertEqual(self.loose(), [])
        self.assertStoreIntact()

    def test_others_wait_for_two(self):
        self.fill(TILE)
        self.save("a", "S", {})
        self.assertEqual(self.tiles(), 0)
        self.fill(TILE, first=1000)
        self.save("b", "S", {})
        packed = self.tiles()
        self.assertIn(packed, (1, 2))  # the second, where its thread was done before it closed
        self.save("c", "S", {})
        self.assertEqual(self.tiles(), packed)
        self.assertStoreIntact()

    def test_a_batch(self):
        self.fill(3 * TILE + 5, config=False)
        self.assertGreaterEqual(self.tiles(), 2)
        self.assertStoreIntact()

    def test_reading_packs_nothing(self):
        self.fill(3 * TILE)
        self.run_ok("head")
        self.run_ok("list")
        self.assertEqual(self.tiles(), 0)

    def test_it_never_changes_an_answer(self):
        """Something else stands where the tile belongs: told once, and the save is saved."""
        self.fill(TILE - 1)
        os.mkdir(os.path.join(self.store, "tile", "000"))
        other = os.path.join(self.store, "tile", "000", "0.jsonl")
        with open(other, "wb") as f:
            f.write(b"nothing of ours\n")
        result = self.run_any("save", "--run-id", "last", "--stage", "S", "-", input="{}")
        self.assertEqual((result.status, result.out), (DONE, f"{TILE}\n"), result)
        self.assertEqual(len(result.err.splitlines()), 1, result)
        self.assertIn("warning: ", result.err)
        self.assertIn("0.jsonl", result.err)
        quiet = self.run_ok("save", "--run-id", "one", "--stage", "S", "-", input="{}")
        self.assertEqual(quiet.err, "")
        self.run_bad(FAILED, "pack", says="differs from its loose records")
        self.assertEqual(self.tiles(), 0)
        os.unlink(other)
        self.assertEqual(self.run_ok("--json", "pack").json["packed"], 1)
        self.assertStoreIntact()


class ByItselfInJournalMode(ByItself):
    """A tile's part, once it is full, gets the tile's name."""

    mode = "journal"

    def test_it_never_changes_an_answer(self):
        self.fill(TILE - 1)
        other = os.path.join(self.store, "tile", "000", "0.jsonl")
        with open(other, "wb") as f:
            f.write(b"nothing of ours\n")
        result = self.run_any("save", "--run-id", "last", "--stage", "S", "-", input="{}")
        self.assertEqual((result.status, result.out), (DONE, f"{TILE}\n"), result)
        self.assertEqual(len(result.err.splitlines()), 1, result)
        self.assertIn("0.jsonl", result.err)
        self.run_bad(FAILED, "pack", says="0.jsonl")
        self.assertEqual(self.tiles(), 0)
        os.unlink(other)
        self.assertEqual(self.run_ok("--json", "pack").json["packed"], 1)
        self.assertStoreIntact()


class Configuration(Case):
    def test_what_may_stand_there(self):
        for text, says in (
            ('{"packing":{"automatic":1}}', "packing.automatic must be true or false, not a number"),
            ('{"packing":{"automatik":true}}', "no setting packing.automatik; is automatic meant?"),
            ('{"packing":true}', "packing must be an object"),
            ('{"packin":{}}', "is packing meant?"),
        ):
            with self.subTest(text=text):
                config = self.write("c.json", text)
                self.run_bad(USAGE, "--config", config, "head", says=says)
        for text in ('{"packing":{}}', '{"packing":{"automatic":true}}', OFF):
            self.assertEqual(self.run_ok("--config", self.write("c.json", text), "head").out, "0\n")


if __name__ == "__main__":
    main()
