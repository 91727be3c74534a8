"""Wrong use (status 2), the global options, the help of every command."""

import os
import re

from support import COMMANDS, DONE, FAILED, TREE, USAGE, Case, main

KEY = ("--run-id", "r", "--stage", "s")


class Help(Case):
    make_store = False

    def test_help_for_every_command(self):
        overview = self.run_ok("help", store=None).out
        for command in COMMANDS:
            by_help = self.run_ok("help", command, store=None).out
            by_option = self.run_ok(command, "--help", store=None).out
            self.assertEqual(by_help, by_option)
            self.assertIn(f"holdfast {command}", by_help)
            self.assertRegex(overview, rf"(?m)^  {command} ")
            for line in by_help.splitlines():
                self.assertFalse(line.endswith(" "), repr(line))
                self.assertLessEqual(len(line), 80)
        self.assertEqual(self.run_ok("--help", store=None).out, overview)
        self.assertEqual(self.run_ok("-h", store=None).out, overview)

    def test_help_lists_exactly_the_commands(self):
        overview = self.run_ok("help", store=None).out
        block = overview.split("Commands (", 1)[1].split("\n\n", 1)[0]
        self.assertEqual(re.findall(r"(?m)^  (\w+) ", block), COMMANDS)

    def test_each_exit_status_is_told(self):
        """By the help, and in README.md."""
        block = self.run_ok("help", store=None).out.split("Exit status:\n")[1].split("\n\n")[0]
        self.assertEqual(re.findall(r"(?m)^  (\d) ", block), list("01234567"))
        with open(os.path.join(TREE, "README.md"), encoding="utf-8") as page:
            told = page.read().split("exit status (")[1].split(")")[0]
        self.assertEqual(re.findall(r"(?:^|,\s)(\d) ", told), list("01234567"))

    def test_help_names_every_option_of_the_contract(self):
        wanted = {
            "init": "--locker",
            "save": "--run-id --stage --dim --group --timestamp --if-absent --if-seq --id "
            "--timeout --batch",
            "get": "--seq --run-id --stage --dim --at --pointer --meta",
            "prev": "--seq --run-id --stage --dim --group --meta",
            "list": "--run-id --stage --group --dim --since --until --limit --reverse "
            "--all-revisions --all-records --format",
            "history": "--run-id --stage",
            "import": "--dry-run",
            "export": "--format --out --at --run-id --stage --group --dim --since --until --force",
            "verify": "--deep --repair",
        }
        for command, options in wanted.items():
            text = self.run_ok("help", command, store=None).out
            for option in options.split() + ["--store", "--config", "--quiet", "--json"]:
                self.assertRegex(text, rf"(?m)^  (-\w, )?{option}\b", command)

    def test_help_wins_over_what_is_missing(self):
        self.run_ok("save", "--help", store=None)
        self.run_ok("import", "-h", store=None)

    def test_version(self):
        text = self.run_ok("version", store=None).out
        self.assertEqual(self.run_ok("--version", store=None).out, text)
        self.assertRegex(text, r"(?m)^holdfast \d+\.\d+\.\d+$")
        self.assertRegex(text, r"(?m)^libholdfast \d+\.\d+\.\d+$")
        self.assertRegex(text, r"(?m)^cjson \d+\.\d+\.\d+$")
        self.assertRegex(text, r"(?m)^libcrypto \S+")
        as_json = self.run_ok("--json", "version", store=None).json
        self.assertEqual(as_json["holdfast"], as_json["libholdfast"])
        self.assertIn("flock", as_json["lockers"])
        self.assertIn(f"cjson {as_json['cjson']}\n", text)

    def test_no_argument_at_all(self):
        self.run_bad(USAGE, store=None, says="see holdfast help")


class WrongUse(Case):
    def test_unknown_command(self):
        self.run_bad(USAGE, "lsit", says=["lsit", "list", "see holdfast help"])
        self.run_bad(USAGE, "frobnicate", says=["frobnicate", "see holdfast help"])

    def test_unknown_option(self):
        self.run_bad(USAGE, "save", "--runid", "r", "x", says=["--runid", "--run-id", "help save"])
        self.run_bad(USAGE, "--jsno", "head", says=["--jsno", "--json"])
        self.run_bad(USAGE, "head", "--zzzzzzzz", says="--zzzzzzzz: unknown option")
        self.run_bad(USAGE, "head", "-Z", says="-Z: unknown option")
        self.run_bad(USAGE, "head", "--deep", says="--deep: unknown option")
        self.run_bad(USAGE, "verify", "--peer", says="--peer: unknown option")
        self.run_bad(USAGE, "save", "--if", "x", says="several options")
        self.run_bad(USAGE, "list", "--reverse=1", says="takes no value")
        self.run_bad(USAGE, "list", "--limit", says="wants a value")
        self.run_bad(USAGE, "--store", store=None, says="wants a value")

    def test_operands(self):
        self.run_bad(USAGE, "save", *KEY, says="argument is missing")
        self.run_bad(USAGE, "save", *KEY, "a", "b", says="too many")
        self.run_bad(USAGE, "resolve", says="argument is missing")
        self.run_bad(USAGE, "import", says="argument is missing")
        self.run_bad(USAGE, "head", "x", says="too many")
        self.run_bad(USAGE, "lock", says="argument is missing")
        self.run_bad(USAGE, "lock", "open", says="neither status nor break")
        self.run_bad(USAGE, "lock", "status", "--yes", says="--yes")
        self.run_bad(USAGE, "help", "nothing", says="no command")

    def test_missing_and_excluding_options(self):
        self.run_bad(USAGE, "save", "--stage", "s", "-", says="--run-id: is missing")
        self.run_bad(USAGE, "save", "--run-id", "r", "-", says="--stage: is missing")
        self.run_bad(USAGE, "get", says="--seq")
        self.run_bad(USAGE, "get", "--run-id", "r", says="--stage: is missing")
        self.run_bad(USAGE, "get", "--seq", "1", *KEY, says="--seq")
        self.run_bad(USAGE, "get", "--seq", "1", "--meta", "--pointer", "/a", says="exclude")
        self.run_bad(USAGE, "prev", "--seq", "1", "--group", "g", says="--group")
        self.run_bad(USAGE, "history", "--run-id", "r", says="--stage: is missing")
        self.run_bad(USAGE, "save", *KEY, "--if-absent", "--if-seq", "1", "-", says="exclude")
        self.run_bad(USAGE, "save", "--batch", "--group", "g", "-", says="--group")
        self.run_bad(USAGE, "save", "--batch", *KEY, "-", says="--run-id")
        self.run_bad(USAGE, "export", says="--format: is missing")
        self.run_bad(USAGE, "export", "--format", "xml", says="csv|jsonl|index|sqlite|parquet")
        self.run_bad(USAGE, "--json", "export", "--format", "csv", says="--out")
        self.run_bad(USAGE, "list", "--format", "xml", says="table|jsonl|csv")
        self.run_bad(USAGE, "--json", "list", "--format", "csv", says="exclude")
        self.run_bad(USAGE, "--quiet", "--verbose", "head", says="exclude")
        self.run_bad(USAGE, "--store", "x", "init", "y", store=None, says="--store")

    def test_numbers_and_durations(self):
        for bad in ("", "-1", "+1", "1.0", "0x1", " 1", "18446744073709551616", "one"):
            self.run_bad(USAGE, "get", f"--seq={bad}", says="wants a number")
        self.run_any("get", "--seq", "18446744073709551615")
        for bad in ("", "30", "s", "1.5s", "-1s", "30 s", "30sec", "9223372036854775807m"):
            self.run_bad(USAGE, "resolve", "x", f"--timeout={bad}", says="duration")
        for good in ("0ms", "500ms", "30s", "5m", "2h"):
            self.save("r", "s", {}, "--timeout", good)

    def test_dims(self):
        self.run_bad(USAGE, "save", *KEY, "--dim", "x", "-", says="NAME=VALUE")
        self.run_bad(USAGE, "save", *KEY, "--dim", "=x", "-", says="NAME=VALUE")
        self.run_bad(USAGE, "save", *KEY, "--dim", "a=1", "--dim", "a=2", "-", says="twice")
        seq = self.save("r", "s", {}, "--dim", "a=b=c", "--dim", "empty=")
        self.assertEqual(self.records()[0]["dims"], {"a": "b=c", "empty": ""})
        self.assertEqual(seq, 1)

    def test_keys_that_are_not_allowed(self):
        for bad in ("", "a\nb", "a\tb", "a\x7fb", "a\x01"):
            self.run_bad(USAGE, "save", "--run-id", bad, "--stage", "s", "-", input="{}")
            self.run_bad(USAGE, "save", "--run-id", "r", "--stage", bad, "-", input="{}")
            self.run_bad(USAGE, "get", "--run-id", bad, "--stage", "s")
        self.run_bad(USAGE, "save", "--run-id", b"\xff", "--stage", "s", "-", input="{}")
        self.run_bad(USAGE, "save", *KEY, "--group", "a\nb", "-", input="{}")
        self.run_bad(USAGE, "save", *KEY, "--timestamp", "yesterday", "-", input="{}")
        self.run_bad(USAGE, "save", *KEY, "--id", "not-a-ulid", "-", input="{}")
        self.run_bad(USAGE, "resolve", "not-a-ulid")
        self.assertEqual(self.head(), 0)

    def test_keys_that_are_allowed(self):
        for run_id in ("a:b", "../../x", "a b", "-", "Ω/日本", "--odd", "."):
            seq = self.save(run_id, run_id, {})
            record = self.run_ok("get", "--seq", str(seq), "--meta").json
            self.assertEqual((record["run_id"], record["stage"]), (run_id, run_id))
            self.run_ok("get", f"--run-id={run_id}", f"--stage={run_id}")


class GlobalOptions(Case):
    def test_before_and_after_the_command(self):
        want = {"head": 0}
        for args in (
            ("--store", self.store, "--json", "head"),
            ("head", "--store", self.store, "--json"),
            ("--json", "head", "--store", self.store),
            ("--store=" + self.store, "head", "--json", "--quiet"),
            ("-q", "head", "--json", "--store", self.store),
        ):
            self.assertEqual(self.run_ok(*args, store=None).json, want)

    def test_options_after_operands(self):
        path = self.write("doc.json", "{}")
        self.run_ok("save", path, "--run-id", "r", "--stage", "s")
        self.run_ok("save", "--run-id", "r2", "--stage", "s", "--", path)

    def test_an_error_names_the_command_and_the_place(self):
        result = self.run_bad(FAILED, "save", *KEY, self.path("none.json"))
        self.assertTrue(
            result.err.startswith(f"holdfast: save: {self.path('none.json')}: "), result.err
        )

    def test_verbose_goes_to_stderr(self):
        result = self.run_ok("--verbose", "head")
        self.assertEqual(result.out, "0\n")

    def test_control_characters_in_an_error(self):
        result = self.run_any("get", "--run-id", "a\x1b[31mred\nnew line", "--stage", "s")
        self.assertEqual(result.status, USAGE)
        self.assertNotIn("\x1b", result.err)
        self.assertEqual(result.err.count("\n"), 1)
        missing = self.path("a\nb\x1b.json")
        result = self.run_bad(FAILED, "save", *KEY, missing)
        self.assertIn("a\\nb\\x1b.json", result.err)


class Places(Case):
    """Where the store and the configuration are looked for."""

    def test_environment(self):
        env = {"HOLDFAST_STORE": self.store}
        self.assertEqual(self.run_ok("head", store=None, env=env).out, "0\n")
        other = self.path("other")
        self.run_ok("init", other, "--locker", "flock", "--force", store=None)
        self.save("r", "s", {})
        env = {"HOLDFAST_STORE": other}
        self.assertEqual(self.run_ok("head", store=None, env=env).out, "0\n")
        self.assertEqual(self.run_ok("head", env=env).out, "1\n")  # --store wins

    def test_parent_folder(self):
        self.save("r", "s", {})
        deep = os.path.join(self.store, "log")
        self.assertEqual(self.run_ok("head", store=None, cwd=self.store).out, "1\n")
        self.assertEqual(self.run_ok("head", store=None, cwd=deep).out, "1\n")
        self.run_bad(USAGE, "head", store=None, cwd=self.home, says="no store")
        env = {"HOLDFAST_STORE": ""}  # empty is as good as unset
        self.assertEqual(self.run_ok("head", store=None, cwd=deep, env=env).out, "1\n")

    def test_no_store_there(self):
        empty = self.path("empty")
        os.mkdir(empty)
        self.run_bad(FAILED, "head", store=empty)
        self.run_bad(FAILED, "head", store=self.path("absent"))
        self.run_bad(USAGE, "--store=", "head", store=None, says="--store")

    def test_configuration(self):
        good = self.write("good.json", '{"limits":{"document_bytes_max":100}}')
        long_doc = '{"x":"' + "y" * 200 + '"}'
        save = ("save", *KEY, "-")
        self.run_bad(FAILED, "--config", good, *save, input=long_doc, says="100")
        env = {"HOLDFAST_CONFIG": good}
        self.run_bad(FAILED, *save, input=long_doc, env=env, says="100")
        home = os.path.join(self.home, ".config", "holdfast")
        os.makedirs(home)
        with open(os.path.join(home, "config.json"), "w", encoding="utf-8") as f:
            f.write('{"limits":{"document_bytes_max":101}}')
        self.run_bad(FAILED, *save, input=long_doc, says="101")
        none = self.write("none.json", "{}")
        self.run_ok("--config", none, *save, input=long_doc, env=env)  # --config wins

    def test_bad_configuration(self):
        bad = self.write("bad.json", '{"limits":{"document_byts_max":100}}')
        self.run_bad(USAGE, "--config", bad, "head", says=["bad.json", "document_byts_max"])
        bad = self.write("bad2.json", '{"limits":')
        self.run_bad(USAGE, "--config", bad, "head", says="bad2.json")
        result = self.run_any("--config", self.path("absent.json"), "head")
        self.assertIn(result.status, (FAILED, USAGE))
        self.assertOneError(result, "absent.json")
        result = self.run_any("head", env={"HOLDFAST_CONFIG": self.path("absent.json")})
        self.assertNotEqual(result.status, DONE)
        self.assertOneError(result, "absent.json")
        self.run_bad(USAGE, "--config=", "head", says="--config")


class Init(Case):
    make_store = False

    def test_prints_what_it_made(self):
        store = self.path("a", "b", "c")
        lines = self.run_ok("init", store, "--locker", "flock", "--force", store=None).lines
        self.assertRegex(lines[0], r"^uuid [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        self.assertRegex(lines[1], r"^filesystem \S+$")
        self.assertEqual(lines[2:], ["locker flock", "mode journal"])
        self.store = store
        self.assertEqual(self.manifest()["uuid"], lines[0].split()[1])
        args = ("init", self.path("j"), "--locker", "none", "--force")
        info = self.run_ok("--json", *args, store=None).json
        self.assertEqual(
            list(info), "uuid path filesystem locker mode publish created forced peer caution".split()
        )
        self.assertEqual((info["locker"], info["path"]), ("none", self.path("j")))

    def test_where(self):
        for number, (args, kwargs) in enumerate(
            (
                ((), {"store": self.path("s0")}),
                ((), {"store": None, "env": {"HOLDFAST_STORE": self.path("s1")}}),
                ((self.path("s2"),), {"store": None, "env": {"HOLDFAST_STORE": self.path("no")}}),
            )
        ):
            self.run_ok("init", "--locker", "flock", "--force", *args, **kwargs)
            self.assertTrue(os.path.exists(self.path(f"s{number}", "holdfast.json")))
        self.assertFalse(os.path.exists(self.path("no")))
        empty = self.path("empty")
        os.mkdir(empty)
        self.run_ok("init", "--locker", "flock", "--force", store=None, cwd=empty)
        self.assertTrue(os.path.exists(os.path.join(empty, "holdfast.json")))

    def test_what_is_there_stays(self):
        store = self.path("s")
        self.run_ok("init", store, "--locker", "flock", "--force", store=None)
        with open(os.path.join(store, "holdfast.json"), "rb") as f:
            before = f.read()
        self.run_bad(FAILED, "init", store, "--locker", "flock", store=None, says="already")
        with open(os.path.join(store, "holdfast.json"), "rb") as f:
            self.assertEqual(f.read(), before)
        full = self.path("full")
        os.mkdir(full)
        mine = self.write("full/mine.txt", "mine")
        self.run_bad(USAGE, "init", full, "--locker", "flock", store=None)
        self.assertEqual(os.listdir(full), ["mine.txt"])
        self.run_bad(USAGE, "init", mine, "--locker", "flock", store=None)
        self.run_bad(USAGE, "init", "", store=None)
        with open(mine, encoding="utf-8") as f:
            self.assertEqual(f.read(), "mine")

    def test_unknown_locker(self):
        result = self.run_bad(USAGE, "init", self.path("s"), "--locker", "magic", store=None)
        self.assertIn("magic; there are flock, redis, none", result.err)
        self.assertFalse(os.path.exists(self.path("s", "holdfast.json")))


if __name__ == "__main__":
    main()
