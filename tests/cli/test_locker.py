"""Which locker a store has: one for all who save, and how it is changed."""

import fcntl
import json
import os
import subprocess
import threading

from support import FAILED, LOCK, USAGE, Case, main


class Show(Case):
    def test_as_it_was_made(self):
        self.assertEqual(self.run_ok("locker").out, "flock, journal mode\n")
        self.assertEqual(self.run_ok("--json", "locker", "show").json,
                         {"locker": "flock", "mode": "journal", "seq": 0, "manifest": "flock"})

    def test_the_mode_of_a_new_store(self):
        """Journal mode where its rules hold, and where nothing else was said."""
        for number, (options, mode, form) in enumerate((
                (("--locker", "flock"), "journal", 2), (("--locker", "flock", "--mode", "publish"), "publish", 1),
                (("--locker", "flock", "--mode", "journal"), "journal", 2), (("--locker", "none"), "publish", 1))):
            store = self.path(f"new{number}")
            made = self.run_ok("--json", "init", store, *options, "--force", store=None).json
            self.assertEqual(made["mode"], mode)
            self.assertEqual(self.run_ok("--json", "locker", store=store).json["mode"], mode)
            with open(os.path.join(store, "holdfast.json"), encoding="utf-8") as file:
                manifest = json.load(file)
            self.assertEqual((manifest["format"], manifest.get("mode", "publish")), (form, mode))
            self.assertEqual(os.path.exists(os.path.join(store, "tile", "boot")), mode == "journal")
        none = self.path("none")
        self.run_bad(USAGE, "init", none, "--locker", "none", "--mode", "journal", "--force", store=None,
                     says="flock alone has")
        self.run_ok("init", none, "--locker", "none", "--mode", "publish", "--force", store=None)

    def test_a_lost_manifest(self):
        """tile/boot tells that the store was made in journal mode; a mode record tells more."""
        manifest = os.path.join(self.store, "holdfast.json")
        self.save("a", "s", {"a": 1})
        os.unlink(manifest)
        self.run_any("verify", "--repair")
        self.assertEqual(self.run_ok("--json", "locker").json["mode"], "journal")
        self.assertEqual(self.save("b", "s", {"b": 1}), 2)
        self.run_ok("locker", "set", "flock", "--mode", "publish")
        os.unlink(manifest)
        self.run_any("verify", "--repair")
        self.assertEqual(self.run_ok("--json", "locker").json["mode"], "publish")
        self.assertEqual(self.save("c", "s", {"c": 1}), 4)
        self.run_ok("verify", "--deep")

    def test_wrong_use(self):
        for words, says in ((("locker", "other"), "neither show nor set"), (("locker", "set"), "give one locker"),
                            (("locker", "set", "none", "flock"), None), (("locker", "show", "x"), "takes nothing"),
                            (("locker", "--force"), "takes nothing"),
                            (("locker", "set", "bogus"), "bogus; there are flock")):
            self.run_bad(USAGE, *words, says=says)


class Set(Case):
    mode = "publish"

    def setUp(self):
        super().setUp()
        out = self.run_ok("init", self.path("other"), "--locker", "none", "--force", store=None).out
        self.filesystem = [line.split(" ", 1)[1] for line in out.splitlines() if line.startswith("filesystem")][0]

    def configure(self, locker):
        self.env["HOLDFAST_CONFIG"] = self.write("config.json", json.dumps({"filesystems": {self.filesystem: locker}}))

    def test_changes(self):
        self.save("a", "s", {"a": 1})
        self.assertEqual(self.run_ok("locker", "set", "none").out, "none, since seq 2\n")
        self.assertEqual(self.run_ok("locker", "set", "none").out, "none already\n")
        self.assertEqual(self.run_ok("--json", "locker", "set", "none").json,
                         {"locker": "none", "changed": False, "seq": 2})
        self.assertEqual(self.save("b", "s", {"b": 1}), 3)
        self.assertEqual(self.run_ok("--json", "locker", "set", "flock").json,
                         {"locker": "flock", "changed": True, "seq": 4})
        self.assertEqual(self.run_ok("--json", "locker").json,
                         {"locker": "flock", "mode": "publish", "seq": 4, "manifest": "flock"})
        records = self.run_ok("--json", "list", "--all-records").jsonl
        self.assertEqual([record["op"] for record in records], ["save", "mode", "save", "mode"])
        meta = self.run_ok("get", "--seq", "2", "--meta").json
        self.assertEqual((meta["op"], meta["locker"], meta["mode"]), ("mode", "none", "publish"))
        self.assertEqual([line["seq"] for line in self.run_ok("--json", "list").jsonl], [1, 3])
        self.run_ok("verify", "--deep")
        self.assertEqual(self.run_ok("--json", "lock", "status").json["locker"], "flock")

    def test_the_log_decides(self):
        """A manifest of before, as a crash leaves it, or a backup that was put back."""
        manifest = os.path.join(self.store, "holdfast.json")
        with open(manifest, "rb") as file:
            before = file.read()
        self.run_ok("locker", "set", "none")
        with open(manifest, "wb") as file:
            file.write(before)
        os.remove(os.path.join(self.store, "lock"))
        self.assertIn("none, since seq 1 (the manifest still says flock", self.run_ok("locker").out)
        self.assertEqual(self.save("a", "s", {}), 2)
        self.assertFalse(os.path.exists(os.path.join(self.store, "lock")))  # flock was not asked
        self.run_ok("locker", "set", "none")
        self.assertEqual(self.run_ok("locker").out, "none, since seq 1\n")

    def leave_manifest(self):
        """Sets none, and puts the manifest back: as a crash between the record and the manifest leaves it."""
        manifest = os.path.join(self.store, "holdfast.json")
        with open(manifest, "rb") as file:
            before = file.read()
        self.run_ok("locker", "set", "none")
        with open(manifest, "wb") as file:
            file.write(before)
        return manifest

    def test_verify_tells_of_a_manifest_that_was_not_told(self):
        self.leave_manifest()
        findings = self.run_ok("--json", "verify", "--deep").json["findings"]
        self.assertEqual([(f["kind"], f["seq"], f["damage"]) for f in findings], [("manifest", 1, False)], findings)
        self.assertIn("locker set none", findings[0]["text"])
        self.run_ok("locker", "set", "none")
        self.assertEqual(self.run_ok("--json", "verify").json["findings"], [])

    def test_a_lost_record(self):
        """What is left of the change then is the manifest, and it does not decide."""
        self.save("a", "s", {"a": 1})
        self.run_ok("locker", "set", "none")
        os.remove(os.path.join(self.store, "log", "%020d.json" % 2))
        self.assertEqual(self.run_any("verify", "--repair").status, FAILED)
        findings = self.run_ok("--json", "verify").json["findings"]
        self.assertEqual([f["kind"] for f in findings], ["lost", "manifest"], findings)
        self.assertIn("seq 2 gave the store the locker none", findings[1]["text"])

    def test_a_repaired_manifest_says_what_the_log_says(self):
        with open(self.leave_manifest(), "r+b") as file:
            file.write(b'{"format":1,"u')
            file.truncate()
        self.assertEqual(self.run_any("verify", "--repair").status, FAILED)  # there was damage
        manifest = self.manifest()
        self.assertEqual((manifest["locker"], manifest["locker_seq"]), ("none", 1))
        self.run_ok("verify")
        self.assertEqual(self.run_ok("locker").out, "none, since seq 1\n")

    def test_a_locker_that_the_store_has_left_is_asked_by_nobody(self):
        """The store was made with a Redis that is gone for good, and its manifest still says so."""
        self.store = self.path("of-redis")
        self.env["HOLDFAST_REDIS_URL"] = "redis://127.0.0.1:1"
        self.run_ok("init", self.store, "--locker", "redis", store=None)
        manifest = os.path.join(self.store, "holdfast.json")
        with open(manifest, "rb") as file:
            before = file.read()
        result = self.run_any("locker", "set", "none", "--timeout", "200ms")
        self.assertEqual(result.status, LOCK, result)
        forced = self.run_ok("locker", "set", "none", "--force", "--timeout", "200ms")
        self.assertEqual(forced.out, "none, since seq 1\n")
        with open(manifest, "wb") as file:
            file.write(before)
        self.run_ok("verify", "--repair", "--timeout", "200ms")
        self.assertEqual(self.save("a", "s", {}, "--timeout", "200ms"), 2)
        self.assertEqual(self.run_ok("lock", "status").out, "free\n")

    def test_doctor(self):
        self.leave_manifest()
        checks = {c["name"]: c for c in self.run_any("--json", "doctor", self.store, store=None).json["checks"]}
        self.assertIn("none: excludes nobody", checks["locker"]["text"])
        self.assertNotIn("configuration", checks)
        self.configure("flock")
        checks = {c["name"]: c for c in self.run_any("--json", "doctor", self.store, store=None).json["checks"]}
        self.assertEqual(checks["configuration"]["verdict"], "bad")
        self.assertIn("config.json says flock", checks["configuration"]["text"])

    def test_export_and_import_pass_it_over(self):
        self.save("a", "s", {"a": 1})
        self.run_ok("locker", "set", "none")
        self.save("b", "s", {"b": 1})
        index = self.write("snapshot_index.json", self.run_ok("export", "--format", "index").out)
        self.assertEqual([line["seq"] for line in self.run_ok("export", "--format", "jsonl").jsonl], [1, 3])
        other = self.path("other-store")
        self.run_ok("init", other, "--locker", "flock", store=None)
        self.run_ok("import", index, store=other)
        self.assertEqual([r["op"] for r in self.run_ok("--json", "list", "--all-records", store=other).jsonl],
                         ["save", "save"])

    def test_a_configuration_that_says_otherwise(self):
        self.save("a", "s", {})
        self.configure("none")
        result = self.run_bad(USAGE, "save", "--run-id", "b", "--stage", "s", "-", input="{}",
                              says=["locker is flock", "config.json says none", "locker set none", "Nothing was saved"])
        self.assertIn(self.filesystem, result.err)
        self.assertEqual(self.head(), 1)  # reading works
        self.run_bad(USAGE, "locker", "set", "redis",
                     says=["config.json says none", "could not save any more", "change that entry first"])
        self.assertEqual(self.run_ok("locker", "set", "none").out, "none, since seq 2\n")
        self.assertEqual(self.save("b", "s", {}), 3)
        self.configure("flock")
        self.run_bad(USAGE, "init", self.path("new"), "--locker", "none", store=None,
                     says=["config.json says flock", "--locker"])
        self.run_ok("init", self.path("new"), "--locker", "flock", store=None)
        self.run_bad(USAGE, "save", "--run-id", "c", "--stage", "s", "-", input="{}", says="locker is none")

    def test_one_that_cannot_be_reached(self):
        self.run_bad(USAGE, "locker", "set", "redis", says="HOLDFAST_REDIS_URL")
        self.env["HOLDFAST_REDIS_URL"] = "redis://127.0.0.1:1"
        result = self.run_any("locker", "set", "redis", "--timeout", "200ms")
        self.assertNotIn(result.status, (0, FAILED))
        self.assertIn("cannot reach Redis", result.err)
        self.assertEqual(self.run_ok("locker").out, "flock\n")
        self.assertEqual(self.head(), 0)

    def test_one_that_is_held_is_waited_for(self):
        """As long as the caller allows, not only as long as it may take to reach it."""
        self.run_ok("locker", "set", "none")
        with open(os.path.join(self.store, "lock"), "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            result = self.run_any("locker", "set", "flock", "--timeout", "200ms")
            self.assertEqual(result.status, LOCK, result)
            release = threading.Timer(6, fcntl.flock, (file, fcntl.LOCK_UN))
            release.start()
            self.assertEqual(self.run_ok("locker", "set", "flock", "--timeout", "60s").out, "flock, since seq 2\n")
            release.join()

    def test_with_writers_at_work(self):
        stop = threading.Event()
        failures = []
        saved = []

        def write(number):
            for i in range(1000):
                if stop.is_set():
                    return
                done = subprocess.run(self.command(["save", "--run-id", f"w{number}-{i}", "--stage", "s", "-"],
                                                   self.store), input=b"{}", env=self.env, capture_output=True,
                                      timeout=120, check=False)
                if done.returncode != 0 or done.stderr:
                    failures.append(done.stderr)
                saved.append(int(done.stdout or 0))

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        turns = (("none",), ("flock", "--mode", "journal"), ("flock", "--mode", "publish"))
        for i in range(12):
            self.run_ok("locker", "set", *turns[i % 3])
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(len(saved), len(set(saved)))
        self.assertEqual(self.head(), len(saved) + 12)
        self.run_ok("verify", "--deep")

class Journal(Case):
    """Journal mode: records are appended to tile/000/0.part. Here it begins behind a loose record."""

    mode = "publish"

    def setUp(self):
        super().setUp()
        self.save("before", "s", {"a": 0})
        self.assertEqual(self.run_ok("locker", "set", "flock", "--mode", "journal").out, "flock, since seq 2\n")
        self.part = os.path.join(self.store, "tile", "000", "0.part")

    def content(self):
        with open(self.part, "rb") as file:
            return file.read()

    def put(self, content):
        with open(self.part, "r+b") as file:
            file.write(content)

    def test_saves_and_reads(self):
        self.assertEqual([self.save(f"r{i}", "s", {"a": i}) for i in range(5)], [3, 4, 5, 6, 7])
        self.assertEqual(self.save("r3", "s", {"a": 3}), 6)
        self.assertEqual(self.run_ok("locker").out, "flock, journal mode, since seq 2\n")
        self.assertEqual(self.run_ok("--json", "locker").json["mode"], "journal")
        self.assertEqual(self.run_ok("get", "--run-id", "r4", "--stage", "s").json, {"a": 4})
        self.assertEqual([line["seq"] for line in self.run_ok("--json", "list").jsonl], [1, 3, 4, 5, 6, 7])
        self.assertEqual(sorted(os.listdir(os.path.join(self.store, "log"))),
                         ["0" * 19 + "1.json", "0" * 19 + "2.json", "mark"])
        self.run_ok("verify", "--deep")

    def test_large_and_many(self):
        large = {"text": "x" * 100000}
        self.assertEqual(self.save("large", "s", large), 3)
        lines = b"".join(b'{"run_id":"m%d","stage":"s","doc":{"i":%d}}\n' % (i, i) for i in range(600))
        self.run_ok("save", "--batch", "-", input=lines)
        self.assertEqual(self.head(), 603)
        self.assertEqual(self.run_ok("get", "--run-id", "large", "--stage", "s").json, large)
        self.assertEqual(self.run_ok("get", "--run-id", "m599", "--stage", "s").json, {"i": 599})
        self.run_ok("pack")
        self.assertFalse(os.path.exists(self.part))
        self.assertEqual(sorted(os.listdir(os.path.dirname(self.part))), ["0.jsonl", "1.jsonl", "2.part"])
        self.assertEqual(self.save("r", "s", {}), 604)
        self.run_ok("verify", "--deep")

    def test_and_back(self):
        self.save("r1", "s", {"a": 1})
        self.assertEqual(self.run_ok("locker", "set", "flock").out, "flock already\n")
        self.assertEqual(self.run_ok("locker", "set", "flock", "--mode", "publish").out, "flock, since seq 4\n")
        self.save("r2", "s", {"a": 2})
        self.assertIn("0" * 19 + "5.json", os.listdir(os.path.join(self.store, "log")))
        self.run_ok("locker", "set", "flock", "--mode", "journal")
        self.save("r3", "s", {"a": 3})
        self.run_ok("locker", "set", "none")
        self.assertEqual(self.run_ok("--json", "locker").json["mode"], "publish")
        self.assertEqual(self.save("r4", "s", {"a": 4}), 9)
        self.assertEqual([self.run_ok("get", "--run-id", f"r{i}", "--stage", "s").json["a"] for i in (1, 2, 3, 4)],
                         [1, 2, 3, 4])
        self.run_ok("verify", "--deep")

    def test_only_where_it_is_safe(self):
        self.run_bad(USAGE, "locker", "set", "none", "--mode", "journal", says="only flock has")
        self.run_bad(USAGE, "locker", "--mode", "journal", says="takes nothing")
        self.run_bad(USAGE, "locker", "set", "flock", "--mode", "other", says="other")
        self.assertEqual(self.head(), 2)

    def test_a_torn_tail(self):
        """What a writer leaves that was killed, or whose machine lost power, in the midst of an append."""
        self.save("r1", "s", {"a": 1})
        whole = self.content().rstrip(b"\0")
        self.put(whole + whole[-100:-40])
        self.assertEqual(self.head(), 3)
        self.assertIn("stand behind its last record", self.run_ok("verify").out)
        self.assertEqual(self.save("r2", "s", {"a": 2}), 4)
        self.assertNotIn("stand behind", self.run_ok("verify", "--deep").out)
        self.assertEqual(self.run_ok("get", "--run-id", "r2", "--stage", "s").json, {"a": 2})

    def test_a_damaged_record(self):
        for i in range(3):
            self.save(f"r{i}", "s", {"a": i})
        content = bytearray(self.content())
        content[content.index(b'"run_id":"r1"') + 11] ^= 1
        self.put(content)
        self.assertEqual(self.head(), 5)
        self.assertEqual(self.run_ok("get", "--run-id", "r2", "--stage", "s").json, {"a": 2})
        self.run_bad(FAILED, "get", "--seq", "4", says="seq 4 cannot be read")
        self.run_bad(FAILED, "save", "--run-id", "new", "--stage", "s", "-", input="{}", says="seq 4 is damaged")
        self.assertIn("tile/000/0.part", self.run_any("verify").out)
        self.run_any("verify", "--repair")
        self.assertEqual(self.save("new", "s", {"b": 1}), 6)
        self.assertEqual(self.run_ok("get", "--run-id", "r2", "--stage", "s").json, {"a": 2})
        self.assertEqual(self.run_ok("get", "--run-id", "new", "--stage", "s").json, {"b": 1})

    def test_it_is_gone(self):
        for i in range(3):
            self.save(f"r{i}", "s", {"a": i})
        os.remove(self.part)
        self.run_bad(FAILED, "get", "--seq", "4", says="seq 4 cannot be read")
        self.assertEqual(self.run_ok("get", "--run-id", "before", "--stage", "s").json, {"a": 0})
        self.run_any("verify", "--repair")
        self.assertEqual(self.save("new", "s", {"b": 1}), 6)
        self.assertEqual(self.run_ok("get", "--run-id", "new", "--stage", "s").json, {"b": 1})

    def test_read_only(self):
        self.save("r1", "s", {"a": 1})
        before = self.content()
        self.assertEqual(self.run_ok("list", "--format", "csv").out.count("\n"), 3)
        self.assertEqual(self.content(), before)


if __name__ == "__main__":
    main()
