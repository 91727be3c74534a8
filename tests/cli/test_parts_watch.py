"""docs/asking/watch.md and stats.md: their examples are run, word for word."""

import os
import re
import signal
import subprocess

from support import HOLDFAST, TREE, Case, main
from test_stats import parse_prometheus


def examples(page):
    """The indented command lines of a page."""
    with open(os.path.join(TREE, "docs", "asking", page), encoding="utf-8") as file:
        return re.findall(r"^    ((?:holdfast|echo) ?.*)$", file.read(), re.M)


class Parts(Case):
    def setUp(self):
        super().setUp()
        os.symlink(HOLDFAST, self.path("holdfast"))
        self.env.update(HOLDFAST_STORE=self.store, PATH=self.folder + ":" + os.environ["PATH"])
        for run, auc in (("monday", 0.71), ("tuesday", 0.74)):
            self.save(run, "TRAINING", {"outputs": {"auc": auc}})

    def bash(self, line, **kwargs):
        return subprocess.Popen(["bash", "-c", "exec " + line if line.startswith("holdfast") else line],
                                cwd=self.folder, env=self.env, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **kwargs)

    def run_line(self, line):
        with self.bash(line) as process:
            out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, (line, out, err))
        return out, err

    def without_note(self, line):
        return re.split(r"  +", line)[0]

    def test_watching(self):
        lines = [self.without_note(line) for line in examples("watch.md")]
        self.assertEqual(len(lines), 7)
        with self.bash(lines[0]) as process:
            self.assertIn("run_id", process.stdout.readline())
            seq = self.save("tuesday", "TRAINING", {"outputs": {"auc": 0.75}})
            self.assertEqual(process.stdout.readline().split()[0], str(seq))
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(60), 0)
        with self.bash(lines[1]) as process:
            self.assertEqual([process.stdout.readline().split()[0] for _ in range(4)], ["seq", "1", "2", "3"])
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(60), 130)
        with self.bash(lines[2] + " & p=$!; sleep 0.5; echo '{}' | holdfast save --run-id tuesday --stage S - >seq; "
                       "wait $p") as process:
            out, _ = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out.count('"run_id":"tuesday"')), (0, 1))
        self.assertEqual(self.run_line(lines[3])[0], "1: monday, TRAINING\n2: tuesday, TRAINING\n")
        self.assertEqual(self.run_line(lines[4])[0], '"auc":0.71\n')
        self.assertEqual(self.run_line(lines[5])[0], "mail about monday\nmail about tuesday\n")
        self.assertEqual(self.run_line(lines[6])[0], "mail about tuesday\n" * 2)  # those that came since
        self.assertEqual(self.run_line(lines[6])[0], "")

    def test_figures(self):
        lines = examples("stats.md")
        self.assertEqual(len(lines), 4)
        self.assertIn("snapshots  2, 2 of them current\n", self.run_line(lines[0])[0])
        self.assertIn('"snapshots":2', self.run_line(lines[1])[0])
        self.run_line(lines[2])
        with open(self.path("holdfast.prom"), encoding="utf-8") as file:
            self.assertIn("holdfast_runs", parse_prometheus(file.read()))
        out, err = self.run_line(lines[3])
        self.assertEqual(out, "3\n")
        self.assertIn("saved 1, unchanged 0, in 1 commits", err)

    def test_what_writers_counted(self):
        """The lines that the page shows, but for their numbers and names; and the samples that its tables tell of."""
        with open(os.path.join(TREE, "docs", "asking", "stats.md"), encoding="utf-8") as file:
            page = file.read()

        def shapes(text):
            lines = re.findall(r"^ *(?:writers|lock|conflicts|flushes|  [^ ]+:) .*$", text, re.M)
            return {re.sub(r"[0-9.]+", "N", re.sub(r"^ +[^ ]+: ", "  HOST: ", line)).strip().replace("hosts", "host")
                    for line in lines}

        shown = shapes("\n".join(line[4:] for line in page.splitlines() if line.startswith("    ")))
        self.assertEqual(len(shown), 5)
        self.run_any("save", "--run-id", "monday", "--stage", "TRAINING", "--if-absent", "-", input="{}")
        self.assertEqual(shapes(self.run_line("holdfast stats")[0]), shown)
        families = parse_prometheus(self.run_line("holdfast stats --format prometheus")[0])
        table = page.split("label `host`:", 1)[1].split("\n\n", 2)[1]
        names = {"holdfast_" + name for row in table.splitlines()[2:]
                 for name in re.findall(r"`(\w+)`", row.split("|")[1])}
        with_host = {name for name, (_, samples) in families.items() if any("host" in dict(key) for key in samples)}
        self.assertEqual(names, with_host)


if __name__ == "__main__":
    main()
