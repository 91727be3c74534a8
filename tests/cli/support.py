"""What the tests of the command line share: they run the real program on real stores."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOLDFAST = os.path.abspath(
    os.environ.get("HOLDFAST") or os.path.join(TREE, "build", "dev", "holdfast")
)
LEGACY = os.path.join(TREE, "tests", "data", "legacy")
TIMEOUT_S = 170
OTHER_UID = 65534
COMMANDS = (
    "init save get prev head list groups history diff baseline resolve watch retire gc import export "
    "report stats pack verify lock locker doctor bench version help"
).split()

DONE, FAILED, USAGE, NOT_FOUND, CONFLICT, LOCK, UNSURE, DIFFERS = range(8)


class Result:
    """How a process ended: its exit status and what it wrote."""

    def __init__(self, status, out, err):
        self.status = status
        self.out_bytes = out
        self.err = err.decode("utf-8", "surrogateescape")

    @property
    def out(self):
        return self.out_bytes.decode("utf-8")

    @property
    def lines(self):
        return self.out.splitlines()

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def jsonl(self):
        return [json.loads(line) for line in self.out_bytes.split(b"\n") if line]

    def __repr__(self):
        return f"status {self.status}, stdout {self.out_bytes[:400]!r}, stderr {self.err[:600]!r}"


class Case(unittest.TestCase):
    """A test with a scratch folder, an environment of its own, and a store in `self.store`."""

    make_store = True
    mode = "journal"  # "publish" where a test looks into log/

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="holdfast-cli-")
        os.chmod(self.folder, 0o755)
        self.addCleanup(self.remove_folder)
        self.home = self.path("home")
        os.mkdir(self.home)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("HOLDFAST", "XDG_"))}
        self.env["HOME"] = self.home
        self.store = self.path("store")
        if self.make_store:
            self.run_ok("init", self.store, "--locker", "flock", "--mode", self.mode, "--force", store=None)

    def remove_folder(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, content):
        path = self.path(name)
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    def command(self, args, store):
        where = [] if store is None else ["--store", store]
        return [getattr(self, "program", HOLDFAST), *where, *args]

    def popen(self, *args, store="", env=None, **kwargs):
        store = self.store if store == "" else store
        kwargs.setdefault("stdout", subprocess.PIPE)
        kwargs.setdefault("stderr", subprocess.PIPE)
        kwargs.setdefault("stdin", subprocess.PIPE)
        kwargs.setdefault("cwd", self.folder)
        return subprocess.Popen(
            self.command(args, store), env={**self.env, **(env or {})}, **kwargs
        )

    def run_any(self, *args, input=b"", **kwargs):
        """Runs the program to its end. store="": self.store; store=None: no --store."""
        if isinstance(input, str):
            input = input.encode("utf-8")
        process = self.popen(*args, **kwargs)
        try:
            out, err = process.communicate(input, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        result = Result(process.returncode, out or b"", err or b"")
        for sanitizer in ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:"):
            self.assertNotIn(sanitizer, result.err)
        return result

    def run_ok(self, *args, **kwargs):
        result = self.run_any(*args, **kwargs)
        self.assertEqual(result.status, DONE, f"{args}: {result}")
        return result

    def run_bad(self, status, *args, says=None, **kwargs):
        """It ends with this status, tells why in one line on stderr, and prints no result."""
        result = self.run_any(*args, **kwargs)
        self.assertEqual(result.status, status, f"{args}: {result}")
        self.assertOneError(result, says)
        self.assertEqual(result.out_bytes, b"", f"{args}: {result}")
        return result

    def assertOneError(self, result, says=None):
        lines = result.err.splitlines()
        self.assertEqual(len(lines), 1, result)
        self.assertTrue(lines[0].startswith("holdfast: "), result)
        for text in [says] if isinstance(says, str) else says or []:
            self.assertIn(text, result.err)

    def save(self, run_id, stage, doc, *args, **kwargs):
        if not isinstance(doc, (str, bytes)):
            doc = json.dumps(doc)
        result = self.run_ok(
            "save", "--run-id", run_id, "--stage", stage, *args, "-", input=doc, **kwargs
        )
        return int(result.out)

    def head(self):
        return int(self.run_ok("head").out)

    def records(self, *args):
        return self.run_ok("--json", "list", *args).jsonl

    def assertStoreIntact(self):
        result = self.run_any("verify", "--deep")
        self.assertEqual(result.status, DONE, result)

    def manifest(self):
        with open(os.path.join(self.store, "holdfast.json"), "rb") as f:
            return json.loads(f.read())

    def use_program_copy(self):
        """Other users may not be able to reach the folder that the program was built in."""
        self.program = self.path("holdfast-copy")
        shutil.copyfile(HOLDFAST, self.program)
        os.chmod(self.program, 0o755)


def as_other_user():
    """Popen arguments: rights are only checked for those who are not root."""
    if os.geteuid() != 0:
        return {}
    return {"user": OTHER_UID, "group": OTHER_UID, "extra_groups": []}


def every_file(folder):
    """Path -> (kind, content or target, mtime) of everything below a folder."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(place, name)
            stat = os.lstat(path)
            content = None
            if os.path.islink(path):
                content = os.readlink(path)
            elif os.path.isfile(path):
                with open(path, "rb") as f:
                    content = f.read()
            found[os.path.relpath(path, folder)] = (stat.st_mode, content, stat.st_mtime_ns)
    return found


def main():
    if not os.access(HOLDFAST, os.X_OK):
        sys.exit(f"{HOLDFAST} is not there; build it, or set HOLDFAST")
    unittest.main(verbosity=2)
