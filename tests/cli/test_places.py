"""Bad places: what cannot be read or written, what is not what it seems, and a full disk."""

import contextlib
import json
import os
import shutil
import subprocess
import unittest

from support import DONE, FAILED, Case, as_other_user, every_file, main

KEY = ("--run-id", "r", "--stage", "s")


class Stores(Case):
    mode = "publish"

    def test_a_store_that_is_a_file(self):
        path = self.write("file", "hello")
        for args in (("head",), ("save", *KEY, "-"), ("list",), ("verify",)):
            result = self.run_any(*args, store=path, input="{}")
            self.assertEqual(result.status, FAILED, result)
            self.assertIn(path, result.err)
            self.assertEqual(result.out, "", result)
        with open(path, encoding="utf-8") as f:
            self.assertEqual(f.read(), "hello")

    def test_a_folder_of_the_store_is_gone(self):
        for name in ("log", "tile", "blob", "stage"):
            folder = os.path.join(self.store, name)
            os.rename(folder, self.path("kept"))
            for put in ("nothing", "a file"):
                with self.subTest(folder=name, put=put):
                    if put == "a file":
                        self.write(folder, "mine")
                    says = [folder, "holdfast verify tells"]
                    self.run_bad(FAILED, "save", *KEY, "-", input="{}", says=says)
                    if name != "stage":  # which only writers need
                        self.run_bad(FAILED, "head", says=says)
                    self.assertEqual(self.run_any("verify").status, FAILED)
            os.unlink(folder)
            os.rename(self.path("kept"), folder)
        self.assertStoreIntact()

    def test_an_unreadable_store(self):
        self.use_program_copy()
        self.save("r", "s", {"a": 1})
        os.chmod(self.store, 0)
        self.addCleanup(os.chmod, self.store, 0o700)
        for args in (("head",), ("save", *KEY, "-"), ("list",), ("get", "--seq", "1"), ("verify",)):
            result = self.run_any(*args, input="{}", **as_other_user())
            self.assertEqual(result.status, FAILED, f"{args} {result}")
            self.assertIn("Permission denied", result.err)

    def test_an_unreadable_record(self):
        self.use_program_copy()
        self.save("r", "s", {"a": 1})
        self.save("r", "s", {"a": 2})
        record = os.path.join(self.store, "log", "%020d.json" % 2)
        os.chmod(record, 0)
        for args in (("get", "--seq", "2"), ("list",)):
            result = self.run_any(*args, **as_other_user())
            self.assertEqual(result.status, FAILED, f"{args} {result}")
            self.assertIn("Permission denied", result.err)

    def test_a_read_only_store_can_be_read(self):
        self.use_program_copy()
        self.save("r", "s", {"a": 1})
        self.save("r2", "s", {"a": 2}, "--group", "g")
        for place, folders, files in os.walk(self.store):
            for name in folders + files:
                path = os.path.join(place, name)
                os.chmod(path, 0o555 if os.path.isdir(path) else 0o444)
        os.chmod(self.store, 0o555)
        before = every_file(self.store)
        user = as_other_user()
        self.assertEqual(self.run_ok("head", **user).out, "2\n")
        self.assertEqual(len(self.run_ok("--json", "list", **user).jsonl), 2)
        self.assertEqual(self.run_ok("get", *KEY, **user).json, {"a": 1})
        self.assertEqual(self.run_ok("export", "--format", "csv", **user).err, "")
        self.run_ok("verify", "--deep", **user)
        self.run_ok("lock", "status", **user)
        result = self.run_any("save", *KEY, "-", input='{"a":3}', **user)
        self.assertEqual((result.status, result.out), (FAILED, ""), result)
        self.assertIn("Permission denied", result.err.splitlines()[-1])
        self.assertEqual(every_file(self.store), before)
        for place, folders, _ in os.walk(self.store):
            for name in folders:
                os.chmod(os.path.join(place, name), 0o755)
        os.chmod(self.store, 0o755)

    def test_a_folder_that_cannot_be_written(self):
        self.use_program_copy()
        folder = self.path("closed")
        os.mkdir(folder, 0o555)
        user = as_other_user()
        store = os.path.join(folder, "store")
        result = self.run_bad(FAILED, "init", store, store=None, **user)
        self.assertIn("Permission denied", result.err)
        for form in ("csv", "sqlite", "parquet"):
            out = os.path.join(folder, "x")
            result = self.run_bad(FAILED, "export", "--format", form, "--out", out, **user)
            self.assertIn("Permission denied", result.err)
        self.assertEqual(os.listdir(folder), [])


class Links(Case):
    """A symbolic link inside a store is refused, and what it points to is left alone."""

    mode = "publish"

    def setUp(self):
        super().setUp()
        for i in range(1, 4):
            self.save(f"run{i}", "s", {"i": i})
        self.outside = self.path("outside")
        os.mkdir(self.outside)
        self.target = self.write("outside/target", '{"secret":1}')
        os.chmod(self.target, 0o600)

    def untouched(self):
        return every_file(self.outside)

    def replace_by_link(self, name, target):
        path = os.path.join(self.store, name)
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.exists(path):
            os.unlink(path)
        os.symlink(target, path)

    def test_a_record(self):
        before = self.untouched()
        self.replace_by_link("log/%020d.json" % 2, self.target)
        result = self.run_bad(FAILED, "get", "--seq", "2")
        self.assertIn("symbolic link", result.err)
        result = self.run_any("list")
        self.assertEqual(result.status, FAILED)
        self.assertNotIn("secret", result.out + result.err)
        self.assertEqual(self.run_any("save", *KEY, "-", input='{"x":1}').status, FAILED)
        self.assertEqual(self.run_any("verify").status, FAILED)
        self.assertEqual(self.untouched(), before)

    def test_the_next_record(self):
        before = self.untouched()
        os.symlink(self.target, os.path.join(self.store, "log", "%020d.json" % 4))
        result = self.run_any("save", *KEY, "-", input='{"x":1}')
        self.assertEqual(result.status, FAILED, result)
        self.assertIn("symbolic link", result.err)
        self.assertEqual(self.run_any("verify").status, FAILED)
        self.assertEqual(self.untouched(), before)

    def test_a_dangling_next_record(self):
        os.symlink(self.path("nowhere"), os.path.join(self.store, "log", "%020d.json" % 4))
        result = self.run_any("save", *KEY, "-", input='{"x":1}')
        self.assertEqual(result.status, FAILED, result)
        self.assertFalse(os.path.exists(self.path("nowhere")))

    def test_folders_marks_and_the_lock(self):
        for name in ("stage", "log", "log/mark", "lock", "tile", "holdfast.json"):
            with self.subTest(name=name):
                kept = self.path("kept")
                shutil.copytree(self.store, kept, symlinks=True)
                target = self.outside if name in ("stage", "log", "tile") else self.target
                before = self.untouched()
                self.replace_by_link(name, target)
                result = self.run_any("save", *KEY, "-", input='{"x":1}')
                self.assertEqual(result.status, FAILED, f"{name}: {result}")
                self.assertEqual(result.out, "")
                self.assertEqual(self.untouched(), before)
                shutil.rmtree(self.store)
                os.rename(kept, self.store)
        self.assertEqual(self.save("r", "s", {"x": 1}), 4)

    def test_a_folder_of_blobs(self):
        self.save("big", "s", {"x": "y" * 70000})
        blobs = os.path.join(self.store, "blob")
        (folder,) = os.listdir(blobs)
        elsewhere = os.path.join(self.outside, "blobs")
        os.rename(os.path.join(blobs, folder), elsewhere)
        before = self.untouched()
        os.symlink(elsewhere, os.path.join(blobs, folder))
        self.run_bad(FAILED, "get", "--seq", "4")
        self.run_bad(FAILED, "save", *KEY, "-", input='{"x":"' + "y" * 70000 + '"}')
        self.assertEqual(self.run_any("verify").status, FAILED)
        self.assertEqual(self.untouched(), before)

    def test_a_staged_file(self):
        before = self.untouched()
        planted = os.path.join(self.store, "stage", "01JGX2M8Q6T4ZV0C9K7W3R5YHB")
        os.symlink(self.target, planted)
        self.run_any("save", *KEY, "--id", os.path.basename(planted), "-", input='{"x":1}')
        self.run_any("verify", "--repair")
        self.assertEqual(self.untouched(), before)
        self.assertNotIn("secret", self.run_any("list", "--all-records").out)


class Streams(Case):
    def test_stdout_full(self):
        self.save("r", "s", {"a": 1})
        for args in (
            ("head",), ("list",), ("--json", "list"), ("get", "--seq", "1"), ("help",),
            ("version",), ("export", "--format", "jsonl"), ("lock", "status"), ("help", "--man"),
        ):
            with open("/dev/full", "wb") as full:
                result = self.run_any(*args, stdout=full)
            self.assertEqual(result.status, FAILED, f"{args}: {result}")
            self.assertOneError(result, ["standard output", "No space left"])

    def test_stdout_full_after_a_save(self):
        with open("/dev/full", "wb") as full:
            result = self.run_any("save", *KEY, "-", input="{}", stdout=full)
        self.assertEqual(result.status, FAILED)
        self.assertOneError(result, ["standard output", "saved", "seq 1"])
        self.assertEqual(self.head(), 1)

    def test_a_reader_that_goes_away(self):
        text = "".join('{"run_id":"r%d","stage":"s","doc":{}}\n' % i for i in range(2000))
        self.run_ok("save", "--batch", "-", input=text)
        for args in (("list",), ("--json", "list"), ("export", "--format", "jsonl")):
            process = self.popen(*args)
            process.stdout.read(10)
            process.stdout.close()
            err = process.stderr.read()
            process.stderr.close()
            process.stdin.close()
            self.assertEqual(process.wait(60), FAILED, args)
            self.assertIn(b"Broken pipe", err)

    def shell(self, line):
        self.use_program_copy()
        return subprocess.run(
            ["sh", "-c", line], cwd=self.folder, capture_output=True, timeout=60,
            env={**self.env, "H": self.program, "HOLDFAST_STORE": self.store}, check=False,
        )

    def test_stdin_closed(self):
        done = self.shell('"$H" save --run-id r --stage s - <&-')
        self.assertEqual(done.returncode, FAILED, done)
        self.assertIn(b"standard input", done.stderr)
        done = self.shell('"$H" save --batch - <&-')
        self.assertEqual(done.returncode, FAILED, done)
        self.assertEqual(self.head(), 0)
        path = self.write("d.json", '{"a":1}')
        done = self.shell(f'"$H" save --run-id r --stage s {path} <&-')
        self.assertEqual((done.returncode, done.stdout), (DONE, b"1\n"))

    def test_stdout_closed(self):
        done = self.shell("echo '{}' | \"$H\" save --run-id r --stage s - >&-")
        self.assertEqual(done.returncode, FAILED, done)
        self.assertIn(b"saved, as seq 1", done.stderr)
        done = self.shell('"$H" list >&-')
        self.assertEqual(done.returncode, FAILED, done)

    def test_all_closed(self):
        path = self.write("d.json", '{"a":1}')
        before = every_file(self.store)["holdfast.json"]
        done = self.shell(f'"$H" save --run-id r --stage s {path} <&- >&- 2>&-')
        self.assertEqual(done.returncode, FAILED, done)
        done = self.shell('"$H" --verbose list --bad <&- 2>&-')
        self.assertEqual((done.returncode, done.stdout), (2, b""))
        self.assertEqual(self.head(), 1)
        self.assertEqual(every_file(self.store)["holdfast.json"], before)
        self.assertStoreIntact()

    def test_standard_input_is_a_folder(self):
        fd = os.open(self.folder, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        process = self.popen("save", *KEY, "-", stdin=fd)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, FAILED)
        self.assertIn(b"directory", err)


class FullDisk(Case):
    """A small ext4 in a file, mounted by a loop device."""

    make_store = False

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skip("mounting needs root")
        image = self.path("disk.img")
        with open(image, "wb") as f:
            f.truncate(8 * 1024 * 1024)
        self.disk = self.path("disk")
        os.mkdir(self.disk)
        for command in (
            ["mkfs.ext4", "-q", "-F", "-m", "0", "-N", "512", image],
            ["mount", "-o", "loop", image, self.disk],
        ):
            try:
                done = subprocess.run(command, capture_output=True, timeout=60, check=False)
            except FileNotFoundError:
                self.skip(f"{command[0]} is not there")
            if done.returncode != 0:
                self.skip(f"{' '.join(command[:2])}: {done.stderr.decode().strip()}")
        self.addCleanup(self.umount)
        self.store = os.path.join(self.disk, "store")
        self.run_ok("init", self.store, "--locker", "flock", "--force", store=None)

    def umount(self):
        subprocess.run(["umount", self.disk], check=True, timeout=60)

    def skip(self, reason):
        print(f"skipped, no loop mount here: {reason}")
        raise unittest.SkipTest(reason)

    def test_saves_until_it_is_full(self):
        saved = {}
        failures = 0
        size = 40000
        for i in range(1000):
            doc = '{"i":%d,"x":"%s"}' % (i, "y" * size)
            result = self.run_any("save", "--run-id", f"r{i}", "--stage", "s", "-", input=doc)
            if result.status == DONE:
                saved[int(result.out)] = doc
                continue
            self.assertEqual(result.status, FAILED, result)
            self.assertOneError(result, "No space left on device")
            self.assertEqual(result.out, "")
            failures += 1
            size //= 4  # fill what is left with smaller ones
            if size < 10:
                break
        self.assertGreater(failures, 3)
        self.assertGreater(len(saved), 20)
        self.assertEqual(sorted(saved), list(range(1, len(saved) + 1)))
        self.assertEqual(self.head(), len(saved))
        for seq, doc in saved.items():
            self.assertEqual(self.run_ok("get", "--seq", str(seq)).out, doc + "\n")
        result = self.run_any("verify", "--deep")
        self.assertEqual(result.status, DONE, result)
        self.assertEqual(os.listdir(os.path.join(self.store, "stage")), [])
        print(f"full disk: {len(saved)} saves, {failures} refused, each with status 1")

    def fill_by_batches(self, size):
        """Batches of documents of so many bytes until there is no room: what the last one answered."""
        saved = 0
        for i in range(60):
            lines = "".join('{"run_id":"r%d.%d","stage":"s","doc":{"i":%d,"x":"%s"}}\n' % (i, n, n, "y" * size)
                            for n in range(300))
            result = self.run_any("--json", "save", "--batch", "-", input=lines)
            answers = [json.loads(line) for line in result.out.splitlines()]
            self.assertEqual([one["seq"] for one in answers], list(range(saved + 1, saved + len(answers) + 1)))
            saved += len(answers)
            self.assertEqual(self.head(), saved)
            if result.status != DONE:
                break
        self.assertGreater(saved, 300)
        return result

    def check_refused(self, size):
        result = self.fill_by_batches(size)
        self.assertEqual(result.status, FAILED, result)
        errors = [line for line in result.err.splitlines() if "warning: " not in line]  # of packing
        self.assertEqual(len(errors), 1, result)
        self.assertIn("No space left on device", errors[0])
        self.assertEqual(self.run_any("verify", "--deep").status, DONE)

    def test_large_batches_until_it_is_full(self):
        """A line that had no room is refused, not unknown: nobody need ask what became of it."""
        self.check_refused(1700)

    def test_batches_until_it_is_full(self):
        self.check_refused(500)

    def fill(self):
        with open(os.path.join(self.disk, "filler"), "wb", buffering=0) as f:
            try:
                while f.write(b"\0" * 4096):
                    pass
            except OSError:
                pass

    def test_what_writers_count_needs_no_room(self):
        """In journal mode there is room for the record; none for its writer's figures, which nobody misses then."""
        counts = os.path.join(self.store, "stats")
        self.save("r0", "s", {})
        for name in os.listdir(counts):
            os.unlink(os.path.join(counts, name))
        os.sync()  # only then its room can be given to others
        self.fill()
        last = os.path.join(self.disk, "last")
        os.mkdir(last)
        for i in range(64):  # the last blocks, which one large file does not get
            with open(os.path.join(last, str(i)), "wb", buffering=0) as f, contextlib.suppress(OSError):
                f.write(b"x")
        result = self.run_ok("save", "--run-id", "r1", "--stage", "s", "-", input="{}")
        self.assertEqual((result.out, result.err), ("2\n", ""))
        self.assertEqual(self.run_ok("stats", "--json").json["writers"]["hosts"], [])
        os.unlink(os.path.join(self.disk, "filler"))
        os.sync()
        self.save("r2", "s", {})
        self.assertEqual(self.run_ok("stats", "--json").json["writers"]["total"]["saves"], 1)
        self.assertStoreIntact()

    def test_an_export_to_a_full_disk_leaves_nothing(self):
        self.save("r", "s", {"x": "y" * 60000})
        self.fill()
        out = os.path.join(self.disk, "out")
        for form in ("jsonl", "sqlite", "parquet"):
            result = self.run_bad(FAILED, "export", "--format", form, "--out", out, says=[out])
            self.assertRegex(result.err, "No space left|is full")
            self.assertEqual(sorted(os.listdir(self.disk)), ["filler", "lost+found", "store"])


if __name__ == "__main__":
    main()
