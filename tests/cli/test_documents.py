"""Documents come back verbatim; every limit is accepted, one more is refused in its own words."""

import json
import os

from support import DONE, FAILED, NOT_FOUND, USAGE, Case, main

KEY = ("--run-id", "r", "--stage", "s")
MIB = 1024 * 1024


class Verbatim(Case):
    def assertKept(self, text, stripped=None):
        wanted = (text if stripped is None else stripped).encode("utf-8")
        seq = self.save("r", "s", text)
        for args in (("--seq", str(seq)), KEY):
            self.assertEqual(self.run_ok("get", *args).out_bytes, wanted + b"\n")
        return seq

    def test_numbers(self):
        for number in (
            "9007199254740993", "1e400", "-0.0", "0.10", "-0", "1E+2", "1e-400", "3e-07",
            "123456789012345678901234567890.123456789012345678901234567890", "0", "1.0",
        ):
            self.assertKept('{"x":%s}' % number)
            self.assertEqual(
                self.run_ok("get", *KEY, "--pointer", "/x").out, number + "\n", number
            )

    def test_strings(self):
        for string in (
            r"\u0000", r"\ud83d\ude00", r"\ud800", "😀", r"\/", "/", r"\"\\\b\f\n\r\t", "é",
            r"\u00E9", "\x7f", "\u2028", " two  blanks ", r"{\"not\": [1, 2]}",
        ):
            self.assertKept('{"x":"%s","y":["%s"]}' % (string, string))

    def test_members(self):
        self.assertKept('{"b":1,"a":2,"b":3}')
        self.assertEqual(self.run_ok("get", *KEY, "--pointer", "/b").out, "3\n")
        self.assertKept('{"":{"":[]},"~/":0,"x y":{}}')
        self.assertEqual(self.run_ok("get", *KEY, "--pointer", "/~0~1").out, "0\n")
        self.assertEqual(self.run_ok("get", *KEY, "--pointer", "//").out, "[]\n")
        self.assertKept("{}")

    def test_white_space_goes_and_nothing_else(self):
        self.assertKept(' {\r\n\t"a" : [ 1 , 2 ] , "b c" : " d " }\n\n', '{"a":[1,2],"b c":" d "}')

    def test_the_shape_of_meta(self):
        seq = self.assertKept('{"x":9007199254740993,"comparison_group":{"a":1}}')
        text = self.run_ok("get", "--seq", str(seq), "--meta").out
        self.assertTrue(text.startswith('{"seq":%d,' % seq), text)
        self.assertIn('"doc":{"x":9007199254740993,"comparison_group":{"a":1}}', text)
        self.assertNotIn('"crc"', text)
        record = json.loads(text)
        self.assertEqual((record["run_id"], record["stage"], record["op"]), ("r", "s", "save"))
        self.assertEqual(self.run_ok("--json", "get", "--seq", str(seq)).json["x"], 2**53 + 1)

    def test_pointer(self):
        self.save("r", "s", '{"a":{"b":[10,{"c":"x"}]},"n":null}')
        for pointer, value in (
            ("/a/b/0", "10"), ("/a/b/1", '{"c":"x"}'), ("/a/b/1/c", '"x"'), ("/n", "null"),
            ("", '{"a":{"b":[10,{"c":"x"}]},"n":null}'),
        ):
            self.assertEqual(self.run_ok("get", *KEY, "--pointer", pointer).out, value + "\n")
        for pointer in ("/z", "/a/b/2", "/a/b/-", "/a/b/01", "/n/x", "/a/b/1/c/d"):
            self.run_bad(NOT_FOUND, "get", *KEY, "--pointer", pointer, says="nothing at")
        for pointer in ("a", "/a~2", "/~"):
            self.run_bad(USAGE, "get", *KEY, "--pointer", pointer)

    def test_sizes_around_the_inline_limit(self):
        for size in (65535, 65536, 65537, 200000):
            text = '{"x":"%s"}' % ("y" * (size - 8))
            self.assertEqual(len(text), size)
            self.assertKept(text)
            record = self.run_ok("get", *KEY, "--meta").json
            self.assertEqual(record["size"], size)
            self.assertEqual(record["doc"]["x"], "y" * (size - 8))
        self.assertStoreIntact()


class BadDocuments(Case):
    def assertRefused(self, text, *says):
        self.run_bad(FAILED, "save", *KEY, "-", input=text, says=["standard input", *says])

    def tearDown(self):
        self.assertEqual(self.head(), 0)

    def test_not_json(self):
        for text, place in (
            ("{", "line 1"), ('{"a":01}', "column 6"), ('{"a":1.}', "line 1"),
            ('{"a":+1}', "column 6"), ('{"a":1,}', "line 1"), ("{'a':1}", "line 1"),
            ('{"a":1}x', "column 8"), ('{"a":1}{}', "column 8"), ('{"a":.5}', "column 6"),
            ('{"a":"\t"}', "line 1"), ('{"a":"\\x"}', "line 1"), ('{"a" 1}', "line 1"),
            ('{\n"a":1,\n"b":tru}', "line 3"), ('{"a":1/*c*/}', "line 1"), ('{"a":"b}', "line 1"),
            ("\ufeff{}", "line 1"),
        ):
            self.assertRefused(text, place)

    def test_not_an_object(self):
        for text in ("[]", "1", '"x"', "null", "true"):
            self.assertRefused(text, "line 1")

    def test_nan(self):
        for text in ("NaN", "Infinity", "-Infinity"):
            self.assertRefused('{"a":\n %s}' % text, "line 2", "NaN")

    def test_empty(self):
        for text in ("", " ", "\n\n"):
            self.assertRefused(text, "empty")

    def test_not_utf8(self):
        for broken in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"):
            self.assertRefused(b'{"a":"' + broken + b'"}', "line 1")
        self.assertRefused(b'{"a":"x\x00y"}', "line 1")

    def test_files(self):
        empty = self.write("empty.json", "")
        self.run_bad(FAILED, "save", *KEY, empty, says=[empty, "empty"])
        self.run_bad(FAILED, "save", *KEY, self.path("absent.json"), says="absent.json")
        self.run_bad(FAILED, "save", *KEY, self.folder, says="folder")
        bad = self.write("bad.json", '{\n  "a": nul\n}')
        self.run_bad(FAILED, "save", *KEY, bad, says=bad + ": line 2, column")


class Limits(Case):
    def refuse(self, *args, status=USAGE, says="limit"):
        self.run_bad(status, "save", *args, "-", input="{}", says=says)

    def keep(self, *args):
        return int(self.run_ok("save", *args, "-", input="{}").out)

    def test_run_id(self):
        self.keep("--run-id", "r" * 512, "--stage", "s")
        self.keep("--run-id", "é" * 256, "--stage", "s")
        self.refuse("--run-id", "r" * 513, "--stage", "s", says=["--run-id", "513", "512"])
        self.refuse("--run-id", "é" * 256 + "r", "--stage", "s", says=["--run-id", "513", "512"])
        self.run_bad(USAGE, "get", "--run-id", "r" * 513, "--stage", "s", says="512")
        self.run_bad(USAGE, "list", "--run-id", "r" * 513, says="512")

    def test_stage(self):
        self.keep("--run-id", "r", "--stage", "s" * 128)
        self.refuse("--run-id", "r", "--stage", "s" * 129, says=["--stage", "129", "128"])

    def test_group(self):
        self.keep(*KEY, "--group", "g" * 1024)
        self.refuse(*KEY, "--group", "g" * 1025, says=["--group", "1025", "1024"])

    def test_dims(self):
        dims = [arg for i in range(16) for arg in ("--dim", f"d{i}=v")]
        self.keep(*KEY, *dims)
        self.refuse(*KEY, *dims, "--dim", "d16=v", says=["--dim", "16"])
        self.keep(*KEY, "--dim", "n" * 64 + "=" + "v" * 256)
        self.refuse(*KEY, "--dim", "n" * 65 + "=v", says=["--dim", "65", "64"])
        self.refuse(*KEY, "--dim", "n=" + "v" * 257, says=["--dim", "257", "256"])

    def test_timestamp(self):
        self.refuse(*KEY, "--timestamp", "2" * 65, says=["--timestamp", "64"])
        for good in (
            "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456+02:00", "2026-01-02 03:04:05",
            "2026-01-02T03:04:05.123456", "2026-01-02T03:04",
        ):
            seq = self.keep("--run-id", good, "--stage", "s", "--timestamp", good)
            self.assertEqual(self.run_ok("get", "--seq", str(seq), "--meta").json["ts"], good)
        seq = self.keep("--run-id", "no time", "--stage", "s", "--timestamp", "")
        self.assertIsNone(self.records("--run-id", "no time")[0]["ts"])
        for bad in ("2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-02T25:00:00Z", "x"):
            self.refuse(*KEY, "--timestamp", bad, says="timestamp")

    def test_all_at_once(self):
        names = [f"{i:02}" + "\u20ac" * 20 for i in range(16)]
        dims = [arg for name in names for arg in ("--dim", name + "=" + "\\" * 256)]
        args = ("--run-id", '"' * 512, "--stage", "\\" * 128, "--group", '"' * 1024, *dims)
        seq = self.keep(*args)
        record = self.run_ok("get", "--seq", str(seq), "--meta").json
        self.assertEqual(record["run_id"], '"' * 512)
        self.assertEqual(len(record["dims"]), 16)
        self.assertStoreIntact()

    def test_nesting(self):
        def nested(depth):
            return '{"a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"

        self.assertEqual(self.save("r", "s", nested(512)), 1)
        self.assertEqual(self.run_ok("get", "--seq", "1").out, nested(512) + "\n")
        self.run_ok("get", "--seq", "1", "--pointer", "/a" + "/0" * 510)
        self.run_ok("get", "--seq", "1", "--meta")
        self.run_bad(FAILED, "save", *KEY, "-", input=nested(513), says="512")
        self.run_bad(FAILED, "save", *KEY, "-", input=nested(100000), says="512")
        self.assertEqual(self.head(), 1)

    def test_document_of_64_mib(self):
        def document(size):
            return b'{"x":"' + b"y" * (size - 8) + b'"}'

        limit = 64 * MIB
        path = self.write("doc.json", document(limit))
        self.run_ok("save", *KEY, path)
        out = self.run_ok("get", "--seq", "1").out_bytes
        self.assertEqual(len(out), limit + 1)
        self.assertEqual(out, document(limit) + b"\n")
        path = self.write("doc.json", document(limit) + b"\n \n")  # white space is no document
        self.assertEqual(self.run_ok("--json", "save", *KEY, path).json["created"], False)
        path = self.write("doc.json", document(limit + 1))
        self.run_bad(FAILED, "save", *KEY, path, says=["67108864", "doc.json"])
        path = self.write("doc.json", document(limit) + b"\n" * MIB + b"x")
        self.run_bad(FAILED, "save", *KEY, path, says="67108864")
        self.assertEqual(self.head(), 1)
        self.assertStoreIntact()

    def test_document_limit_of_the_configuration(self):
        config = self.write("c.json", '{"limits":{"document_bytes_max":%d}}' % 1000)
        document = '{"x":"%s"}'
        save = ("--config", config, "save", *KEY, "-")
        self.run_ok(*save, input=document % ("y" * 992))
        self.run_bad(FAILED, *save, input=document % ("y" * 993), says="1000")


class Answers(Case):
    def test_save_prints_the_seq(self):
        self.assertEqual(self.run_ok("save", *KEY, "-", input='{"a":1}').out, "1\n")
        self.assertEqual(self.run_ok("save", *KEY, "-", input='{"a":2}').out, "2\n")
        self.assertEqual(self.run_ok("save", *KEY, "-", input='{"a":2}').out, "2\n")
        self.assertEqual(self.run_ok("save", *KEY, "-", input='{"a":1}').out, "3\n")

    def test_save_json(self):
        first = self.run_ok("save", *KEY, "--json", "-", input='{"a": 1}').json
        self.assertEqual(list(first), "seq created run_id stage sha256 id".split())
        import hashlib

        self.assertEqual(first["sha256"], hashlib.sha256(b'{"a":1}').hexdigest())
        self.assertEqual((first["seq"], first["created"]), (1, True))
        self.assertEqual((first["run_id"], first["stage"]), ("r", "s"))
        self.assertRegex(first["id"], r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$")
        again = self.run_ok("save", *KEY, "--json", "-", input='{"a":1}').json
        self.assertEqual(again, {**first, "created": False})

    def test_another_group_is_another_revision(self):
        self.save("r", "s", {"a": 1}, "--group", "g1")
        self.assertEqual(self.save("r", "s", {"a": 1}, "--group", "g2"), 2)
        self.assertEqual(self.save("r", "s", {"a": 1}, "--group", "g2"), 2)

    def test_head_and_get(self):
        self.run_bad(NOT_FOUND, "get", "--seq", "1")
        self.run_bad(NOT_FOUND, "get", "--seq", "0")
        self.run_bad(NOT_FOUND, "get", *KEY)
        self.save("r", "s", {"a": 1})
        self.save("r", "other", {"a": 2})
        self.save("r", "s", {"a": 3})
        self.assertEqual(self.run_ok("head").out, "3\n")
        self.assertEqual(self.run_ok("--json", "head").json, {"head": 3})
        self.assertEqual(self.run_ok("get", *KEY).json, {"a": 3})
        self.assertEqual(self.run_ok("get", *KEY, "--at", "1").json, {"a": 1})
        self.assertEqual(self.run_ok("get", *KEY, "--at", "2").json, {"a": 1})
        self.assertEqual(self.run_ok("get", *KEY, "--at", "3").json, {"a": 3})
        self.assertEqual(self.run_ok("get", "--seq", "1").json, {"a": 1})
        self.run_bad(NOT_FOUND, "get", *KEY, "--at", "0")
        self.run_bad(NOT_FOUND, "get", "--run-id", "r", "--stage", "other", "--at", "1")
        self.run_bad(NOT_FOUND, "get", "--seq", "3", "--at", "2")
        self.run_bad(NOT_FOUND, "get", *KEY, "--dim", "a=b")
        self.run_bad(NOT_FOUND, "get", "--seq", "4")
        self.run_bad(NOT_FOUND, "get", "--seq", "18446744073709551615")

    def test_prev(self):
        for number, (run, group) in enumerate(
            (("r1", "g"), ("r2", "g"), ("r2", "h"), ("r3", "g"), ("r1", "g")), 1
        ):
            self.save(run, "s", {"n": number}, "--group", group)
        self.assertEqual(self.run_ok("prev", "--seq", "4").json, {"n": 2})
        self.assertEqual(self.run_ok("prev", "--seq", "5").json, {"n": 4})
        self.assertEqual(self.run_ok("prev", "--run-id", "r1", "--stage", "s").json, {"n": 4})
        meta = self.run_ok("prev", "--seq", "4", "--meta").json
        self.assertEqual((meta["seq"], meta["run_id"]), (2, "r2"))
        self.assertEqual(self.run_ok("prev", "--seq", "4", "--pointer", "/n").out, "2\n")
        new = ("prev", "--run-id", "new", "--stage", "s")
        self.assertEqual(self.run_ok(*new, "--group", "h").json, {"n": 3})
        self.run_bad(NOT_FOUND, *new)
        self.run_bad(NOT_FOUND, *new, "--group", "nobody's")
        self.run_bad(NOT_FOUND, *new, "--group", "g", "--dim", "a=b")
        self.run_bad(NOT_FOUND, "prev", "--seq", "1", says="no previous")
        self.run_bad(NOT_FOUND, "prev", "--seq", "99")
        self.save("lonely", "s", {"n": 6})
        self.run_bad(NOT_FOUND, "prev", "--seq", "6")  # no group: comparable with nothing

    def test_standard_input_and_files_alike(self):
        path = self.write("d.json", '{"a":1}')
        self.assertEqual(self.run_ok("save", *KEY, path).out, "1\n")
        self.assertEqual(self.run_ok("save", *KEY, "-", input='{"a":1}').out, "1\n")
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        process = self.popen("save", *KEY, fifo)
        with open(fifo, "wb") as f:
            f.write(b'{"a":2}')
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out, err), (DONE, b"2\n", b""))


if __name__ == "__main__":
    main()
