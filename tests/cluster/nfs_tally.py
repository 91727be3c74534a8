"""What several runs of the NFS harness saw, added up: a line of JSON for each run in a file, and a table of all lines.

A run that was broken is added as such, with the command that repeats it; none is left out of the table.
"""
import json

COUNTS = (("acknowledged", "acknowledged saves"), ("found", "found: the same was there"),
          ("refused", "refused: conditions, ended ids"), ("unknown", "unknown"),
          ("unknown, and saved", "of these saved"), ("resolved", "resolves"), ("reads", "reads"),
          ("placed in time", "answers placed in time"))


def add(path, run):
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(run, sort_keys=True) + "\n")


def read(paths):
    runs = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            runs += [json.loads(line) for line in file if line.strip()]
    return runs


def _row(name, cells):
    return f"| {name} | " + " | ".join(str(cell) for cell in cells) + " |"


def _faults(runs, name):
    done = [run["faults"][name] for run in runs if name in run["faults"]]
    return f"{sum(one['count'] for one in done)} ({max(one['slowest_s'] for one in done):.1f} s)" if done else "0"


def table(paths):
    """Markdown: a column for each version; of each kind of fault how many, and the longest until all were back."""
    runs = read(paths)
    versions = sorted({run["version"] for run in runs}, reverse=True)
    of = {version: [run for run in runs if run["version"] == version] for version in versions}
    sums = {version: {name: sum(run["counts"].get(name, 0) for run in of[version]) for name, _ in COUNTS}
            for version in versions}
    lines = [_row("", [f"NFSv{version}" for version in versions]), _row("---", ["---"] * len(versions)),
             _row("runs, seeds", [f"{len(of[version])}: " + _ranges({run["seed"] for run in of[version]})
                                  for version in versions]),
             _row("runs that hold", [sum(run["holds"] for run in of[version]) for version in versions]),
             _row("violations", [sum(run["violations"] for run in of[version]) for version in versions]),
             _row("minutes of work", [f"{sum(run['seconds'] for run in of[version]) / 60:.0f}"
                                      for version in versions])]
    lines += [_row(text, [f"{sums[version][name]:,}" for version in versions]) for name, text in COUNTS]
    lines.append(_row("acknowledged saves/s", [
        f"{sums[version]['acknowledged'] / max(1, sum(run['seconds'] for run in of[version])):.0f}"
        for version in versions]))
    names = sorted({name for run in runs for name in run["faults"]})
    lines.append(_row("**faults** (all drivers back, at the latest)",
                      [sum(one["count"] for run in of[version] for one in run["faults"].values())
                       for version in versions]))
    lines += [_row(name, [_faults(of[version], name) for version in versions]) for name in names]
    lines += [f"\nNot good: {run['again']}\n    {run['why']}" for run in runs if not run["holds"]]
    return "\n".join(lines)


def _ranges(numbers):
    """1-3, 7"""
    parts = []
    for number in sorted(numbers):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)
