"""What the tables of bench/ share: building, starting bench_save, ratios, bars, printing."""

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
STEP_SECONDS_MAX = 900
NO_PACKING = {"packing": {"automatic": False}}  # a packer has flushes and calls of its own
TARGETS = ["bench_save", "bench_history", "bench_singly", "batch_lines", "process_cost", "fsync_cost", "hf_flushcount",
           "holdfast"]


def say(text):
    print(text, file=sys.stderr, flush=True)


def build(folder):
    """Builds the release preset with the benchmarks in the folder."""
    preset = [] if os.path.exists(os.path.join(folder, "CMakeCache.txt")) else ["--preset", "release"]
    subprocess.run(["cmake", *preset, "-DHOLDFAST_BENCH=ON", "-S", TOP, "-B", folder], cwd=TOP, check=True,
                   stdout=subprocess.DEVNULL)
    say("building")
    subprocess.run(["cmake", "--build", folder, "--target", *TARGETS], check=True, stdout=subprocess.DEVNULL)


def mount_of(path):
    """(type, options) of the filesystem that holds path."""
    path = os.path.realpath(path)
    best = ("", "unknown", "")
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        for line in lines:
            left, right = line.rstrip("\n").split(" - ", 1)
            point = left.split()[4]
            inside = path == point or path.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best[0]):
                best = (point, right.split()[0], left.split()[5])
    return best[1], best[2]


def machine(folder):
    model = platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    kind, options = mount_of(folder)
    return {"processors": os.cpu_count(), "processor": model, "kernel": platform.release(), "filesystem": kind,
            "mount_options": options, "load_before": round(os.getloadavg()[0], 2)}


class Bench:
    """The programs, a scratch folder, and how to start what measures."""

    def __init__(self, args, scratch):
        self.args = args
        self.scratch = scratch
        self.programs = os.path.join(os.path.abspath(args.build_dir), "bench")
        self.holdfast = os.path.join(os.path.abspath(args.build_dir), "holdfast")
        self.no_packing = os.path.join(scratch, "no-packing.json")
        with open(self.no_packing, "w", encoding="utf-8") as config:
            json.dump(NO_PACKING, config)
        defaults = os.path.join(scratch, "defaults.json")  # instead of the user's configuration
        with open(defaults, "w", encoding="utf-8") as config:
            json.dump({}, config)
        for name in [name for name in os.environ if name.startswith("HOLDFAST")]:
            del os.environ[name]
        os.environ["HOLDFAST_CONFIG"] = defaults

    def program(self, name):
        return os.path.join(self.programs, name)

    def lines(self, command, env=None):
        """The JSON lines that a program prints."""
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, timeout=STEP_SECONDS_MAX,
                              check=False, env={**os.environ, **(env or {})})
        if done.returncode != 0:
            sys.exit(f"bench: {os.path.basename(command[0])} failed with status {done.returncode}")
        return [json.loads(line) for line in done.stdout.decode().splitlines()]

    def counted(self, delay_us=0):
        """The environment in which flushes are counted, of services as well, and take so much longer."""
        return {"LD_PRELOAD": self.program("libhf_flushcount.so"), "HF_FLUSH_DELAY_US": str(delay_us),
                "HF_FLUSH_COUNTS": os.path.join(self.scratch, "flushes")}

    def save_command(self, cases, saves, rounds, options=()):
        command = [self.program("bench_save"), "--dir", self.scratch, "--saves", saves, "--rounds", rounds, *options]
        for case in cases:
            command += ["--case", case]
        return [str(word) for word in command]

    def save(self, cases, saves, rounds, options=(), env=None):
        """Medians by case, with all rounds' rates in the order of the rounds."""
        lines = self.lines(self.save_command(cases, saves, rounds, options), env)
        medians = {line["case"]: line for line in lines if line["kind"] == "median"}
        for case, line in medians.items():
            rounds_of_it = [other for other in lines if other["kind"] == "round" and other["case"] == case]
            line["rates"] = [other["saves_per_s"] for other in rounds_of_it]
            line["flush_rates"] = [other["flushes_per_save"] for other in rounds_of_it
                                   if "flushes_per_save" in other]
        return medians

    def fsync_cost(self):
        return self.lines([self.program("fsync_cost"), self.scratch])


def paired(above, below):
    """The median of the rounds' ratios: the two ran one after the other, so that both met the same disk."""
    return statistics.median(a / b for a, b in zip(above["rates"], below["rates"]))


def bar(what, value, relation, wanted):
    met = {">=": value >= wanted, "<=": round(value, 2) <= wanted, "<": value < wanted}[relation]
    return {"what": what, "value": round(value, 4), "relation": relation, "bar": wanted, "met": met}


def figure(value):
    """Three digits or so."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(header, rows):
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, ["-" * w for w in widths], *rows]:
        cells = [str(cell).ljust(w) if i == 0 else str(cell).rjust(w) for i, (cell, w) in enumerate(zip(row, widths))]
        print("| " + " | ".join(cells) + " |")
    print(flush=True)


def show_bars(bars):
    table(["bar", "measured", "wanted", ""],
          [[one["what"], figure(one["value"]), f"{one['relation']} {one['bar']:,g}", "met" if one["met"] else "MISSED"]
           for one in bars])


def show_machine(m):
    print(f"{m['processors']} processors ({m['processor']}), Linux {m['kernel']}, {m['filesystem']} "
          f"({m['mount_options']}), load {m['load_before']} before\n", flush=True)


def keep(file, results):
    if file:
        with open(file, "w", encoding="utf-8") as out:
            json.dump(results, out, indent=2)
            out.write("\n")


def parser(text):
    options = argparse.ArgumentParser(description=text.split("\n\n", maxsplit=1)[0])
    options.add_argument("--dir", default=".", help="the scratch folder goes there and is removed; name a local disk "
                                                    "(default: the current folder)")
    options.add_argument("--build-dir", default=os.path.join(TOP, "build", "release"))
    options.add_argument("--no-build", action="store_true", help="take the build folder as it is")
    options.add_argument("--quick", action="store_true",
                         help="few saves and one round: shows that everything runs; the figures are worth nothing")
    options.add_argument("--million", action="store_true",
                         help="also 1,000,000 snapshots, and the older method at 100,000 (6 GB of disk)")
    options.add_argument("--json", metavar="FILE", help="write everything that was measured there")
    options.add_argument("--check", action="store_true", help="exit with status 1 when a bar is missed")
    return options


def main(text, tables):
    """Measures the tables ({name: module}), prints them, then their bars. Each module has measure(bench), show(results)
    and bars(results)."""
    args = parser(text).parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # and the scratch folder is removed
    if not args.no_build:
        build(os.path.abspath(args.build_dir))
    results = {"machine": machine(args.dir), "quick": args.quick, "bars": []}
    begin = time.monotonic()
    show_machine(results["machine"])
    scratch = tempfile.mkdtemp(prefix="holdfast-bench-", dir=os.path.abspath(args.dir))
    try:
        bench = Bench(args, scratch)
        for name, module in tables.items():
            table_begin = time.monotonic()
            results[name] = module.measure(bench)
            results["bars"] += module.bars(results[name])
            results["seconds"] = time.monotonic() - begin
            module.show(results[name])
            say(f"{name}: {time.monotonic() - table_begin:.0f} s")
            keep(args.json, results)  # what was measured stays, should a later table fail
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if results["bars"]:
        show_bars(results["bars"])
    print(f"{results['seconds']:.0f} s in all")
    if args.check and not all(one["met"] for one in results["bars"]):
        sys.exit(1)
