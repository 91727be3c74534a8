"""On a terminal: progress, tables that fit, and questions. Without one: none of them."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
import unicodedata

from support import DONE, FAILED, USAGE, Case, main


class Terminal(Case):
    def on_terminal(self, *args, answer=None, columns=80, stdout_too=True, stop_at=None):
        """Runs with stdin, stderr and, if asked, stdout on a terminal: status, shown, stdout."""
        try:
            master, slave = pty.openpty()
        except OSError as error:  # a chroot without devpts
            self.skipTest(f"no terminal can be made here: {error}")
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = self.popen(
            *args, stdin=slave, stderr=slave, stdout=slave if stdout_too else subprocess.PIPE
        )
        os.close(slave)
        shown = b""
        deadline = time.monotonic() + 120
        out = b""
        while time.monotonic() < deadline:
            ready, _, _ = select.select([master], [], [], 0.1)
            if ready:
                try:
                    piece = os.read(master, 65536)
                except OSError:  # the other end is closed
                    break
                if not piece:
                    break
                shown += piece
            if answer is not None and b"[y/N] " in shown:
                os.write(master, answer)
                answer = None
            if stop_at is not None and stop_at in shown:
                process.send_signal(signal.SIGINT)
                stop_at = None
        if not stdout_too:
            out = process.stdout.read()
            process.stdout.close()
        status = process.wait(60)
        os.close(master)
        return status, shown.decode("utf-8"), out.decode("utf-8")

    def big_index(self, count):
        return self.write(
            "snapshot_index.json",
            json.dumps(
                {
                    f"r{i}:S": {"run_id": f"r{i}", "stage": "S", "snapshot_seq": i}
                    for i in range(1, count + 1)
                }
            ),
        )

    def test_progress_of_an_import(self):
        path = self.big_index(20000)
        status, shown, out = self.on_terminal("import", path, stdout_too=False)
        self.assertEqual(status, DONE)
        self.assertRegex(shown, r"\r\d+( of \d+)? \w+")
        self.assertTrue(shown.endswith("\r"), repr(shown[-100:]))  # and it is taken away
        self.assertIn("imported: 20000\n", out)
        status, shown, _ = self.on_terminal("--quiet", "import", path, stdout_too=False)
        self.assertEqual((status, shown), (DONE, ""))

    def test_progress_of_an_export(self):
        self.run_ok("import", self.big_index(20000))
        for form in ("sqlite", "parquet"):
            out = self.path("out." + form)
            status, shown, _ = self.on_terminal("export", "--format", form, "--out", out, stdout_too=False)
            self.assertEqual(status, DONE)
            self.assertRegex(shown, r"\r\d+ of 20000 records looked at \(")
            self.assertRegex(shown, r"\r\d+ of 20000 records written \(")
            self.assertTrue(shown.endswith("\r"), repr(shown[-100:]))

    def test_parquet_is_nothing_for_a_terminal(self):
        status, shown, _ = self.on_terminal("export", "--format", "parquet")
        self.assertEqual(status, USAGE)
        self.assertIn("give --out FILE", shown)

    def test_no_progress_in_a_pipe(self):
        path = self.big_index(2000)
        self.assertEqual(self.run_ok("import", path).err, "")

    def test_progress_of_a_verify(self):
        self.run_ok("import", self.big_index(20000))
        status, shown, out = self.on_terminal("verify", "--deep", stdout_too=False)
        self.assertEqual((status, out), (DONE, ""))
        self.assertRegex(shown, r"\r\d+( of \d+)? \w+")

    def unindexed(self, tiles):
        """A store with so many full tiles, none of which is packed."""
        off = self.write("off.json", '{"packing":{"automatic":false}}')
        self.run_ok("--config", off, "import", self.big_index(tiles * 256 + 3))

    def test_progress_of_a_pack(self):
        self.unindexed(18)
        status, shown, out = self.on_terminal("pack", stdout_too=False)
        self.assertEqual(status, DONE)
        self.assertRegex(shown, r"\r0 of 18 tiles \(0%\)")
        self.assertRegex(shown, r"\r0 of 18 tiles indexed \(0%\)")
        self.assertTrue(shown.endswith("\r"), repr(shown[-100:]))
        self.assertIn("packed: 18\n", out)
        self.assertIn("indexed: 18\n", out)
        status, shown, _ = self.on_terminal("pack", stdout_too=False)
        self.assertEqual((status, shown), (DONE, ""))  # there was nothing to be done

    def test_a_pack_is_stopped_while_it_indexes(self):
        """As by Ctrl-C: the signal comes when the terminal shows that indexes are being made."""
        self.unindexed(40)
        self.run_ok("pack")
        name = os.path.join(self.store, "index")
        for _ in range(10):  # it may be done before the signal comes
            shutil.rmtree(name)
            os.mkdir(name)
            status, shown, _ = self.on_terminal("pack", stdout_too=False, stop_at=b" tiles indexed (")
            if status != DONE:
                break
        self.assertEqual(status, FAILED, shown)
        self.assertRegex(shown, "holdfast: pack: .*stopped")
        left = self.run_ok("--json", "pack").json["indexed"]
        self.assertGreater(left, 0)
        self.assertEqual(os.path.getsize(os.path.join(name, "mark")), 40)
        self.assertEqual(self.run_ok("verify", "--deep").out, "")

    @staticmethod
    def columns(text):
        return sum(
            0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
            for c in text
        )

    def test_a_table_fits(self):
        for run in ("short", "long" * 30, "宽" * 60, "e\u0301" * 100, "宽x" * 20):
            self.save(run, "stage-" + "x" * 40, {}, "--dim", "name=" + "v" * 100)
        for columns in (80, 100, 120):
            status, shown, _ = self.on_terminal("list", columns=columns)
            self.assertEqual(status, DONE)
            lines = shown.replace("\r\n", "\n").splitlines()
            self.assertEqual(len(lines), 6)
            for line in lines:
                self.assertLessEqual(self.columns(line), columns, line)
            self.assertIn("…", shown)
            self.assertIn("short", shown)
        wide = self.run_ok("list").out
        self.assertIn("long" * 30, wide)
        self.assertNotIn("…", wide)

    def test_runs_can_be_told_apart(self):
        """Of a table with much in it, at any width."""
        for day in range(1, 8):
            doc = {"comparison_group": {"data": "v3"}, "outputs": {"auc": day}}
            self.save(f"nightly-2026-01-0{day}", "EVALUATION", doc, "--dim", "target=forward_return_5d")
        for columns in (60, 80, 100):
            _, shown, _ = self.on_terminal("list", columns=columns)
            runs = [line.split()[1] for line in shown.splitlines()[1:]]
            self.assertEqual(len(set(runs)), 7, shown)
            self.assertNotIn("~", shown)  # one sign for what is cut
        self.assertEqual(self.on_terminal("list", columns=80)[1].splitlines()[1].split()[1], "nightly-2026-01-01")
        _, shown, _ = self.on_terminal("groups", columns=60)
        self.assertNotIn("~", shown)

    def test_times_stay_times(self):
        """A time that does not fit is told to the minute, then without its year, then as a date: never cut."""
        self.save("now", "FEATURE_SELECTION", {})
        at = self.records()[0]["ts"]
        for run, time in (("utc", "2026-01-07T09:00:59.123456Z"), ("far", "2026-01-07T09:00:00+01:00"),
                          ("none", "2026-01-07T09:00:00.5"), ("zero", "2026-01-07 09:00:00+00:00")):
            self.save(f"run-of-2026-01-07-{run}", "FEATURE_SELECTION", {}, "--group", "g" * 64, "--timestamp", time,
                      "--dim", "view=long_only")
        wanted = {
            200: [at, "2026-01-07T09:00:59.123456Z", "2026-01-07T09:00:00+01:00", "2026-01-07T09:00:00.5",
                  "2026-01-07 09:00:00+00:00"],
            100: [at[:16].replace("T", " "), "2026-01-07 09:00", "2026-01-07 09:00+01:00", "2026-01-07 09:00",
                  "2026-01-07 09:00"],
            70: [at[5:16].replace("T", " "), "01-07 09:00", "2026-01-07", "01-07 09:00", "01-07 09:00"],
            40: [at[5:10], "01-07", "01-07", "01-07", "01-07"],
        }
        for columns, times in wanted.items():
            _, shown, _ = self.on_terminal("list", columns=columns)
            heading, *rows = shown.replace("\r\n", "\n").splitlines()
            column = heading.index("time" if columns < 120 else "ts")
            end = heading.index("  at") if columns >= 120 else None
            self.assertEqual([row[column:end].strip() for row in rows], times, shown)
            self.assertLessEqual(max(map(self.columns, shown.splitlines())), columns)
        self.assertEqual(self.run_ok("list").lines[0].split(), "seq run_id stage dims group ts at".split())
        _, shown, _ = self.on_terminal("groups", columns=80)
        self.assertIn("01-07 09:00", shown)
        _, shown, _ = self.on_terminal("list", "--columns", "seq,run_id,ts,at,sha256", columns=100)
        self.assertIn("2026-01-07 09:00", shown)

    def test_every_line_fits(self):
        """Of diff, list, groups, history and baseline, whatever the names are."""
        stage, dim = "宽" * 30, "ziel=größe" + "x" * 80
        old = {"inputs": {"名前" * 40: "x" * 300, "data_path": 1, "features": ["ä" * 100]},
               "process": {"rate": 0.123456789012345678, "x" * 120: 1, "s": "宽" * 100, "n": 1e300},
               "outputs": {"metrics": {"auc": 0.7, "k" * 200: 1}, "close": 0.10000001}}
        new = {"inputs": {"名前" * 40: "x" * 299 + "y", "data_path": 2, "features": ["ä" * 99, "b"]},
               "process": {"rate": -9.87654321e-200, "x" * 120: 2e99, "s": "宽" * 99 + "窄", "n": -1e300},
               "outputs": {"metrics": {"auc": 0.9, "k" * 200: 123456789012345678}, "close": 0.10000002}}
        key = ("--group", "gruppe-" + "ü" * 200, "--dim", dim)
        self.save("run-" + "宽" * 60, stage, old, *key)
        self.save("kurz", stage, new, *key)
        self.run_ok("baseline", "establish", "--seq", "1", "--metric", "/outputs/metrics/auc", "--goal", "max",
                    "--min-runs", "2")
        self.run_ok("baseline", "set", "2", "--reason", "many words " * 20)
        asked = (["diff", "1", "2"], ["diff", "1", "2", "--all"], ["list"], ["list", "--all-records"], ["groups"],
                 ["history", "--run-id", "kurz", "--stage", stage, "--dim", dim], ["baseline", "history", "--seq", "1"],
                 ["baseline", "get", "--seq", "1"], ["baseline", "check", "1", "--tolerance", "1"])
        for columns in (60, 80, 100):
            for command in asked:
                status, shown, _ = self.on_terminal(*command, columns=columns)
                self.assertEqual(status, DONE, (command, shown))
                for line in re.sub("\033\\[[0-9;]*m", "", shown).replace("\r\n", "\n").splitlines():
                    self.assertLessEqual(self.columns(line), columns, (command, line))
                    self.assertNotIn("\ufffd", line)
        _, shown, _ = self.on_terminal(*asked[0], columns=60)
        self.assertIn("1 left out, 1 within the tolerance (--all shows\r\n  them)", shown)
        self.assertIn("1 left out, 1 within the tolerance (--all shows them)\n", self.run_ok(*asked[0]).out)

    def test_chosen_columns_fit(self):
        for i in range(3):
            metrics = {"auc": 0.123456789 + i, "loss": i}
            self.save("run-" + "x" * 60 + str(i), "stage", {"outputs": {"metrics": metrics}, "s": "宽" * 50})
        columns = "seq,run_id,/outputs/metrics/auc,/outputs/metrics/loss,/s,ts,host"
        for wide in (80, 100, 0):
            status, shown, _ = self.on_terminal("list", "--columns", columns, columns=wide)
            self.assertEqual(status, DONE)
            lines = shown.replace("\r\n", "\n").splitlines()
            self.assertEqual(len(lines), 4)
            for line in lines:
                self.assertLessEqual(self.columns(line), wide or 80, line)
            self.assertRegex(lines[0], r"…\S*auc")  # of a long pointer the end is shown
        status, shown, _ = self.on_terminal("groups")
        self.assertEqual(shown, "group  stage  dims  count  runs  first  last  last_time  baseline\r\n")

    def held(self):
        self.save("before", "s", {})
        lock = open(os.path.join(self.store, "lock"), "rb+")
        self.addCleanup(lock.close)
        fcntl.flock(lock, fcntl.LOCK_EX)

    def save_status(self):
        args = ("save", "--run-id", "r", "--stage", "s", "--timeout", "100ms", "-")
        return self.run_any(*args, input="{}").status

    def test_break_asks(self):
        self.held()
        for answer in (b"n\n", b"\n", b"\x04"):
            status, shown, _ = self.on_terminal("lock", "break", answer=answer)
            self.assertEqual(status, FAILED, shown)
            self.assertIn("held by", shown)
            self.assertIn("not broken", shown)
            self.assertEqual(self.save_status(), 5)
        status, shown, out = self.on_terminal("lock", "break", answer=b"y\n", stdout_too=False)
        self.assertEqual((status, out), (DONE, "broken\n"), shown)
        self.assertEqual(self.save_status(), DONE)

    def test_break_of_a_free_lock_asks_nothing(self):
        self.save("before", "s", {})
        status, shown, out = self.on_terminal("lock", "break", stdout_too=False)
        self.assertEqual((status, shown, out), (DONE, "", "free\n"))


if __name__ == "__main__":
    main()
