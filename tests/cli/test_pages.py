"""Each command line of README.md, docs/ and docs/asking/ is run by a test, or stands here with the reason why not."""

import glob
import os
import re
import shutil
import subprocess

import test_baseline_docs
import test_diff
import test_export_docs
import test_gc
import test_parts
import test_parts_watch
import test_readme
import test_report
from support import COMMANDS, DONE, HOLDFAST, TREE, Case, main

# Page -> the lines that the test of that page runs, as that test finds them.
RUN = {
    "README.md": test_readme.commands,
    "docs/ASKING.md": test_parts.first_page,
    "docs/FILESYSTEMS.md": lambda: list(HERE["docs/FILESYSTEMS.md"]),
    "docs/LOCKERS.md": lambda: list(HERE["docs/LOCKERS.md"]),
    "docs/PERFORMANCE.md": lambda: list(HERE["docs/PERFORMANCE.md"]),
    "docs/asking/baseline.md": test_baseline_docs.commands,
    "docs/asking/diff.md": lambda: [command for command, _ in test_diff.page_examples()],
    "docs/asking/export.md": lambda: "".join(test_export_docs.blocks()).splitlines(),
    "docs/asking/keep.md": lambda: test_gc.page_script().splitlines(),
    "docs/asking/list.md": lambda: [command for command, _ in test_parts.sessions(test_parts.list_page())],
    "docs/asking/report.md": test_report.page_commands,
    "docs/asking/stats.md": lambda: test_parts_watch.examples("stats.md"),
    "docs/asking/watch.md": lambda: test_parts_watch.examples("watch.md"),
}

# Those that this file runs, with what stands for the folders in them.
HERE = {
    "docs/FILESYSTEMS.md": ("holdfast doctor DIR --peer --record",),
    "docs/LOCKERS.md": (
        "cp -a /data/runs /mnt/shared/runs && holdfast --store /mnt/shared/runs verify",
        "mv /data/runs /data/runs.moved",
    ),
    "docs/PERFORMANCE.md": ("holdfast bench DIR",),
}

# What no test runs as it stands: how it begins, and why not. Its programs and options must be there all the same.
NOT_RUN = (
    ("docker compose ", "needs Docker and images; tests/cluster/compose runs these containers"),
    ("scripts/quickstart", "installs packages, and builds"),
    ("scripts/install-packages ", "needs root, and installs packages; scripts/test begins with it"),
    ("scripts/test", "is what runs this test"),
    ("scripts/check-style", "is the step style of scripts/test"),
    ("cmake --preset ", "builds; the steps of scripts/test do it"),
    ("ctest --preset ", "is what runs this test"),
    ("bench/", "takes minutes and gigabytes, and wants the machine for itself"),
    ("tests/cluster/nfs", "needs root and kernels with NFS; the step cluster of scripts/test runs its short form"),
    ("tests/cluster/powerloss", "needs root and kernels; the step cluster of scripts/test runs its short form"),
    ("tests/cluster/compose", "needs Docker; the step cluster of scripts/test runs its short form"),
    ("tests/cluster/images", "needs Docker and debootstrap; tests/cluster/compose calls it"),
    ("tests/cluster/faults.py", "needs root and minutes; ctest runs it with other seeds (cluster_faults)"),
    ("build/dev/tests/fault/", "is run by ctest (fault_index, fault_journal)"),
    ("tests/model/run", "takes minutes; ctest runs each of its models in short (model_...)"),
)

# Blocks that hold no commands: how they begin.
NO_COMMANDS = {
    "docs/DEVELOPING.md": ("include/holdfast/   the public headers",),
    "docs/FILESYSTEMS.md": ('{ "filesystems"',),
    "docs/FORMAT.md": ("STORE/", '{"format":1'),
    "docs/LOCKERS.md": ('{ "filesystems"', '{ "lockers"', "holdfast: save: ", "ACL SETUSER", '{.scheme = "site"',
                        "#include <holdfast/locker.h>", "static const hf_locker_ops", "hf_locker_register"),
    "docs/asking/list.md": ("expression = ",),
    "docs/asking/stats.md": ("writers    52 handles",),
}


def pages():
    found = ["README.md", *glob.glob("docs/*.md", root_dir=TREE), *glob.glob("docs/asking/*.md", root_dir=TREE)]
    return sorted(found)


def text_of(page):
    with open(os.path.join(TREE, page), encoding="utf-8") as file:
        return file.read()


def blocks(page):
    """The lines of each block that is set in by four blanks or more, and of each ```sh."""
    text, found = text_of(page), []
    found += [block.splitlines() for block in re.findall(r"(?ms)^```sh\n(.*?)^```", text)]
    text = re.sub(r"(?ms)^```.*?^```$", "", text)
    for block in re.findall(r"(?m)(?:^ {4,}\S.*\n)+", text):
        lines = block.splitlines()
        blanks = len(lines[0]) - len(lines[0].lstrip())
        found.append([line[blanks:] if line[:blanks].isspace() else line for line in lines])
    return found


def command_lines(page):
    """Its command lines: of a block with "$ " those alone, of others all but the notes at their ends."""
    for block in blocks(page):
        if block[0].startswith(NO_COMMANDS.get(page, ())):
            continue
        if block[0].startswith("$ "):
            yield from (line[2:] for line in block if line.startswith("$ "))
        elif not any(line.startswith("$ ") for line in block):  # else what goes on below a blank line was printed
            yield from block


def without_note(line):
    return re.split(r"\s{2,}(?=#|[a-z(])", line.strip())[0]


class Pages(Case):
    make_store = False

    def test_each_line_is_run_or_told(self):
        told = set()
        for page in pages():
            run = {without_note(line) for line in RUN.get(page, list)()}
            for line in map(without_note, command_lines(page)):
                reason = next((begin for begin, _ in NOT_RUN if line.startswith(begin)), None)
                printed = page == "docs/asking/diff.md" and not line.startswith(("holdfast", "cat"))
                self.assertTrue(line in run or reason or printed or not line or line.startswith("#"),
                                f"{page}: no test runs: {line}")
                told.add(reason)
        for begin, _ in NOT_RUN:
            self.assertIn(begin, told, "no page holds it any more")

    def test_what_holds_no_commands_is_there(self):
        for page, begins in NO_COMMANDS.items():
            for begin in begins:
                self.assertTrue(any(block[0].startswith(begin) for block in blocks(page)), f"{page}: {begin}")

    def mentioned(self):
        """(page, command) of what pages say in blocks, and in the middle of a sentence."""
        for page in pages():
            inline = re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^```.*?^```$", "", text_of(page)))
            for line in [*map(without_note, command_lines(page)), *inline]:
                for command in re.split(r"\s+(?:\|\|?|&&|>)\s*|;\s+", line):
                    yield page, command

    def test_programs_and_options_are_there(self):
        """Of the tree's own scripts the file, and each option in its text; of holdfast the command, and its options."""
        scripts = commands = 0
        for page, command in self.mentioned():
            words = command.split()
            options = [word.split("=")[0] for word in words[1:] if word.startswith("--")]
            if re.match(r"(tests|scripts|bench)/[\w./-]+$", words[0]):
                path = os.path.join(TREE, words[0])
                self.assertTrue(glob.glob(path + "*"), f"{page}: {command}")
                if options:
                    scripts += 1
                    self.assertTrue(os.access(path, os.X_OK), f"{page}: {command}")
                    for option in options:
                        self.assertIn(option, self.sources(path), f"{page}: {command}")
            elif words[0] == "holdfast":
                name = next((word for word in words[1:] if word in COMMANDS), None)
                self.assertTrue(name or len(words) == 1 or words[1:] == ["COMMAND"], f"{page}: {command}")
                commands += 1
                for option in options if name else []:
                    self.assertRegex(self.help_of(name), rf"(?m)^  (-\w, )?{option}\b", f"{page}: {command}")
        self.assertGreater(scripts, 20)
        self.assertGreater(commands, 100)

    def sources(self, path):
        """The text of a script, and of those beside it, from which it may take its options."""
        text = ""
        for each in {path, *glob.glob(os.path.join(os.path.dirname(path), "*.py"))}:
            with open(each, encoding="utf-8") as file:
                text += file.read()
        return text

    def help_of(self, command):
        return self.run_ok("help", command, store=None).out


class Run(Case):
    """What stands in HERE."""

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("bin"))
        os.symlink(HOLDFAST, self.path("bin", "holdfast"))
        self.env["PATH"] = self.path("bin") + ":" + self.env["PATH"]

    def begin(self, line):
        return subprocess.Popen(["bash", "-e", "-c", line], cwd=self.folder, env=self.env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def ends(self, process):
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, DONE, (process.args, out, err))
        return out, err

    def test_two_peers(self):
        line = HERE["docs/FILESYSTEMS.md"][0].replace("DIR", self.path("place"))
        os.mkdir(self.path("place"))
        with self.begin(line) as other:
            printed = self.ends(self.begin(line))[0]
            self.assertEqual(self.ends(other)[0], printed)
        self.assertIn("a store is safe here", printed)
        self.assertTrue(os.path.exists(self.path("place", "holdfast.peer.json")))

    def test_a_store_is_moved(self):
        self.save("monday", "TRAINING", {"loss": 1})
        for place in ("data", "mnt/shared"):
            os.makedirs(self.path(place))
        shutil.move(self.store, self.path("data", "runs"))
        for line in HERE["docs/LOCKERS.md"]:
            told = self.ends(self.begin(re.sub(r" /(data|mnt)", rf" {self.folder}/\1", line)))[1]
            if "verify" in line:
                self.assertIn("1 records intact of 1", told)
        self.run_ok("head", store=self.path("mnt/shared/runs"))
        self.run_bad(1, "head", store=self.path("data/runs"))

    def test_a_bench(self):
        os.mkdir(self.path("place"))
        line = HERE["docs/PERFORMANCE.md"][0].replace("DIR", self.path("place")) + " --seconds 2"  # in less time
        self.assertIn("cost of a flush", self.ends(self.begin(line))[0])


if __name__ == "__main__":
    main()
