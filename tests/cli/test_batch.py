"""save --batch: a result a line, in order; a bad line stops with its number."""

import json
import os
import time

from support import DONE, FAILED, LOCK, Case, main


def line(run_id, doc, **more):
    return json.dumps({"run_id": run_id, "stage": "s", "doc": doc, **more})


class Batch(Case):
    def batch(self, text, *args, **kwargs):
        return self.run_any("save", "--batch", *args, "-", input=text, **kwargs)

    def test_results_in_order(self):
        lines = [line(f"r{i}", {"i": i}) for i in range(10)]
        result = self.batch("\n".join(lines))
        self.assertEqual((result.status, result.err), (DONE, ""))
        self.assertEqual(result.lines, [str(i) for i in range(1, 11)])
        result = self.batch("\n".join(lines[::-1]) + "\n")
        self.assertEqual(result.lines, [str(i) for i in range(10, 0, -1)])

    def test_json_results(self):
        text = "\n".join([line("a", {"x": 1}), line("a", {"x": 1}), line("b", {"x": 1})])
        first, again, other = self.batch(text, "--json").jsonl
        self.assertEqual(list(first), "seq created run_id stage sha256 id".split())
        self.assertEqual(again, {**first, "created": False})
        self.assertEqual((other["seq"], other["run_id"], other["created"]), (2, "b", True))
        for result in (first, other):
            record = self.run_ok("get", "--seq", str(result["seq"]), "--meta").json
            self.assertEqual(record["id"], result["id"])
            self.assertEqual(record["sha256"], result["sha256"])

    def test_more_than_one_commit_holds(self):
        count = 1500
        path = self.write("b.jsonl", "".join(line(f"r{i}", {"i": i}) + "\n" for i in range(count)))
        result = self.run_ok("save", "--batch", path)
        self.assertEqual(result.lines, [str(i) for i in range(1, count + 1)])
        self.assertEqual(self.head(), count)
        for seq in (1, 256, 257, 512, 513, 1024, 1500):
            self.assertEqual(self.run_ok("get", "--seq", str(seq)).json, {"i": seq - 1})
        self.assertStoreIntact()

    def test_members(self):
        text = (
            ' { "stage" : "s\\u00e9\\ud83d\\ude00\\/" , "run_id":"a\\"b\\\\c", '
            '"dims":{"t":"1","u":""},"group":"g\\u0020h","timestamp":"2026-01-02T03:04:05Z",'
            '"doc":{"x":9007199254740993, "y":[1e400,-0.0,0.10,"}{\\"\\u0000"],"x":1}} \r'
        )
        self.assertEqual(self.batch(text).out, "1\n")
        record = self.run_ok("get", "--seq", "1", "--meta").json
        self.assertEqual(record["stage"], "sé😀/")
        self.assertEqual(record["run_id"], 'a"b\\c')
        self.assertEqual(record["dims"], {"t": "1", "u": ""})
        self.assertEqual((record["group"], record["ts"]), ("g h", "2026-01-02T03:04:05Z"))
        self.assertEqual(
            self.run_ok("get", "--seq", "1").out,
            '{"x":9007199254740993,"y":[1e400,-0.0,0.10,"}{\\"\\u0000"],"x":1}\n',
        )

    def test_null_is_as_good_as_absent(self):
        text = '{"run_id":"r","stage":"s","dims":null,"group":null,"timestamp":null,"doc":{}}'
        self.assertEqual(self.batch(text).out, "1\n")
        record = self.records()[0]
        self.assertEqual((record["dims"], record["group"]), ({}, None))
        self.assertIsNotNone(record["ts"])
        self.batch('{"run_id":"r2","stage":"s","timestamp":"","doc":{}}')
        self.assertIsNone(self.records("--run-id", "r2")[0]["ts"])

    def test_empty_lines_and_nothing(self):
        self.assertEqual(self.batch("").out, "")
        self.assertEqual(self.batch("\n \r\n\n").status, DONE)
        self.assertEqual(self.batch("\n" + line("a", {}) + "\n\n" + line("b", {})).out, "1\n2\n")
        bad = self.batch("\n\n" + line("a", {}) + "\n\nx")
        self.assertEqual((bad.status, bad.out), (FAILED, "1\n"))
        self.assertOneError(bad, "line 5, column 1")

    def test_bad_lines(self):
        good = line("good", {"x": 1})
        dims17 = {f"d{i}": "" for i in range(17)}
        for number, (bad, says) in enumerate(
            (
                ("[]", "object"),
                ("{", "member's name"),
                ('{"run_id":"a","stage":"s","doc":{}', "comma"),
                ('{"run_id":"a","stage":"s","doc":{}} x', "nothing more"),
                ('{"run_id":"a","stage":"s"}', '"doc" is missing'),
                ('{"run_id":"a","doc":{}}', '"stage" is missing'),
                ('{"stage":"s","doc":{}}', '"run_id" is missing'),
                ('{"run_id":"a","stage":"s","doc":{},"extra":1}', 'unknown member "extra"'),
                ('{"run_id":"a","run_id":"b","stage":"s","doc":{}}', "twice"),
                ('{"run_id":1,"stage":"s","doc":{}}', "run_id: a string"),
                ('{"run_id":null,"stage":"s","doc":{}}', "run_id: a string"),
                ('{"run_id":"a","stage":"s","doc":[]}', "doc: an object"),
                ('{"run_id":"a","stage":"s","doc":{"a":01}}', "line 2, column 38"),
                ('{"run_id":"a","stage":"s","doc":{"a":NaN}}', "NaN"),
                ('{"run_id":"a","stage":"s","doc":{"a":"}', "ends inside"),
                ('{"run_id":"a","stage":"s","doc":{]}', "line 2, column 34"),
                ('{"run_id":"a\\u0000b","stage":"s","doc":{}}', "\\u0000"),
                ('{"run_id":"a\\ud800","stage":"s","doc":{}}', "surrogate"),
                ('{"run_id":"a\\u12g4","stage":"s","doc":{}}', "hexadecimal"),
                ('{"run_id":"a\\x","stage":"s","doc":{}}', "escape"),
                ('{"run_id":"a\tb","stage":"s","doc":{}}', "control character"),
                ('{"run_id":"a\\tb","stage":"s","doc":{}}', "control character"),
                ('{"run_id":"","stage":"s","doc":{}}', "run_id"),
                ('{"run_id":"%s","stage":"s","doc":{}}' % ("r" * 513), "513"),
                ('{"run_id":"a","stage":"%s","doc":{}}' % ("s" * 129), "129"),
                ('{"run_id":"a","stage":"s","group":"%s","doc":{}}' % ("g" * 1025), "1025"),
                ('{"run_id":"a","stage":"s","dims":{"a":"1","a":"2"},"doc":{}}', "twice"),
                ('{"run_id":"a","stage":"s","dims":{"a":1},"doc":{}}', "dims: a value: a string"),
                ('{"run_id":"a","stage":"s","dims":[],"doc":{}}', "dims: an object"),
                ('{"run_id":"a","stage":"s","dims":%s,"doc":{}}' % json.dumps(dims17), "16"),
                ('{"run_id":"a","stage":"s","timestamp":"never","doc":{}}', "timestamp"),
                ('{"run_id":"a","stage":"s","timestamp":1,"doc":{}}', "timestamp: a string"),
                ('{"run_id":"a","stage":"s","doc":{"d":%s}}' % ("[" * 512 + "]" * 512), "512"),
            )
        ):
            with self.subTest(bad=bad[:80]):
                before = self.head()
                run = f"before{number}"
                result = self.batch("\n".join([line(run, {"x": 1}), bad]))
                self.assertEqual(result.status, FAILED, result)
                self.assertOneError(result, ["standard input: line 2", says])
                self.assertEqual(result.out, f"{before + 1}\n", result)
                self.assertEqual(self.head(), before + 1)
        result = self.batch(b'{"run_id":"\xff","stage":"s","doc":{}}')
        self.assertEqual(result.status, FAILED)
        self.assertOneError(result, ["line 1", "UTF-8"])
        self.assertEqual(self.batch(good).status, DONE)

    def test_nothing_behind_a_bad_line_is_saved(self):
        for bad in (
            '{"run_id":"a","stage":"s","doc":{"a":01}}',
            "x",
            '{"run_id":"%s","stage":"s","doc":{}}' % ("r" * 513),
            '{"run_id":"a\\n","stage":"s","doc":{}}',
            '{"run_id":"a","stage":"s","group":"","doc":{}}',
            '{"run_id":"a","stage":"s","dims":{"a":"1","a":"2"},"doc":{}}',
            '{"run_id":"a","stage":"s","doc":{"d":%s}}' % ("[" * 512 + "]" * 512),
        ):
            with self.subTest(bad=bad[:60]):
                text = [line("a", {"x": 1}), bad] + [line(f"b{i}", {"x": 1}) for i in range(600)]
                result = self.batch("\n".join(text))
                self.assertEqual((result.status, result.out), (FAILED, "1\n"))
                self.assertEqual(self.head(), 1)

    def test_deep_documents(self):
        doc = '{"d":' + "[" * 511 + "]" * 511 + "}"
        self.assertEqual(self.batch('{"run_id":"a","stage":"s","doc":%s}' % doc).out, "1\n")
        self.assertEqual(self.run_ok("get", "--seq", "1").out, doc + "\n")

    def test_long_documents(self):
        config = self.write("c.json", '{"limits":{"document_bytes_max":300000}}')
        text = [line(f"r{i}", {"x": "y" * 299990}) for i in range(40)]  # more than one commit keeps
        result = self.run_ok("--config", config, "save", "--batch", "-", input="\n".join(text))
        self.assertEqual(result.lines, [str(i) for i in range(1, 41)])
        text = [line("a", {"x": "y" * 299991}), line("b", {"x": "y" * 299992})]
        result = self.run_any("--config", config, "save", "--batch", "-", input="\n".join(text))
        self.assertEqual((result.status, result.out), (FAILED, "41\n"), result)
        self.assertOneError(result, ["line 2", "300000"])
        endless = '{"run_id":"' + "x" * 600000
        result = self.run_any("--config", config, "save", "--batch", "-", input=endless)
        self.assertEqual(result.status, FAILED)
        self.assertOneError(result, ["line 1", "longer"])

    def test_what_trickles_in_is_saved_at_once(self):
        process = self.popen("save", "--batch", "-")
        try:
            for i in range(1, 4):
                process.stdin.write(line(f"r{i}", {}).encode() + b"\n")
                process.stdin.flush()
                self.assertEqual(process.stdout.readline(), b"%d\n" % i)
                self.assertEqual(self.head(), i)
            process.stdin.write(line("last", {}).encode())  # without an end of line
        finally:
            out, err = process.communicate(timeout=60)
        self.assertEqual((out, err, process.returncode), (b"4\n", b"", DONE))

    def test_many_are_told_of_before_more_is_waited_for(self):
        for count in (1024, 2048, 2500):  # whole parts: one is being saved when nothing more can be read
            first = self.head()
            process = self.popen("save", "--batch", "-")
            try:
                lines = "".join(line(f"{count} {i}", {"i": i}) + "\n" for i in range(count))
                process.stdin.write(lines.encode())
                process.stdin.flush()
                for seq in range(first + 1, first + count + 1):
                    self.assertEqual(process.stdout.readline(), b"%d\n" % seq)
                self.assertEqual(self.head(), first + count)
            finally:
                out, err = process.communicate(timeout=60)
            self.assertEqual((out, err, process.returncode), (b"", b"", DONE))

    def test_a_bad_line_far_behind(self):
        """What is read while others are saved stops it at its place, whoever judges it."""
        late = '{"run_id":"a","stage":"s","timestamp":"yesterday","doc":{}}'  # the library judges that
        for at in (1023, 2047, 2048, 2049, 4095, 4096, 4500):
            for bad in ("x", late):
                with self.subTest(at=at, bad=bad):
                    first = self.head()
                    text = [line(f"{first} {i}", {"i": i}) for i in range(6000)]
                    text[at] = bad
                    result = self.batch("\n".join(text))
                    self.assertEqual(result.status, FAILED, result)
                    self.assertOneError(result, f"line {at + 1}")
                    self.assertEqual(result.lines, [str(first + i) for i in range(1, at + 1)])
                    self.assertEqual(self.head(), first + at)

    def test_files(self):
        self.run_bad(FAILED, "save", "--batch", self.path("absent.jsonl"), says="absent.jsonl")
        self.run_bad(FAILED, "save", "--batch", self.folder, says="folder")
        path = self.write("b.jsonl", line("a", {}) + "\nx\n")
        result = self.run_any("save", "--batch", path)
        self.assertOneError(result, f"{path}: line 2, column 1")

    def test_answers_that_cannot_be_written(self):
        """What was being saved by then is finished, and counted."""
        for lines, saved in ((3000, 2048), (7000, 4096)):
            with self.subTest(lines=lines):
                first = self.head()
                text = "\n".join(line(f"{first} {i}", {"i": i}) for i in range(lines))
                with open("/dev/full", "wb") as full:
                    result = self.run_any("save", "--batch", self.write("full.jsonl", text), stdout=full)
                self.assertEqual(result.status, FAILED)
                self.assertOneError(result, ["standard output", f"{saved} lines are saved"])
                self.assertEqual(self.head(), first + saved)

    def test_what_only_the_library_judges_stops_it_too(self):
        bad = json.dumps({"run_id": "b", "stage": "s", "timestamp": "yesterday", "doc": {}})
        result = self.batch("\n".join([line("a", {}), bad, line("c", {})]))
        self.assertEqual((result.status, result.out), (FAILED, "1\n"), result)
        self.assertOneError(result, "line 2")
        self.assertEqual(self.head(), 1)

    def test_again_after_an_interruption(self):
        lines = [line(f"r{i}", {"i": i}) for i in range(2000)]
        path = self.write("b.jsonl", "\n".join(lines))
        process = self.popen("save", "--batch", path)
        deadline = time.monotonic() + 60
        while self.head() == 0 and time.monotonic() < deadline:
            pass
        process.kill()
        process.communicate()
        result = self.run_ok("save", "--batch", path)
        self.assertEqual(result.lines, [str(i) for i in range(1, 2001)])
        self.assertEqual(self.head(), 2000)

    def test_lock_held_by_another(self):
        import fcntl

        text = line("a", {})
        self.save("before", "s", {})
        with open(os.path.join(self.store, "lock"), "rb+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            result = self.batch(text, "--timeout", "200ms")
        self.assertEqual((result.status, result.out), (LOCK, ""), result)
        self.assertOneError(result, "line 1")
        self.assertEqual(self.batch(text).out, "2\n")


if __name__ == "__main__":
    main()
