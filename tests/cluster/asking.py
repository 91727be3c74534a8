"""nfs --asking: what issues promise for asking the record, shown across hosts: baselines that many establish at once,
watches, gc and retire. Each part has a store of its own for each locker."""
import json
import time

import asking_establish
import asking_keep
import asking_watch
from asking_program import Found, Program

# part -> what works, and its share of the time
PARTS = {"establish": (asking_establish.work, 0.25), "watch": (asking_watch.work, 0.35),
         "keep": (asking_keep.work, 0.4)}

# A planted bug, and the run in which it is to be found: (part, faults, seconds). None: those of the part.
PLANTS = {
    "BASELINE_JUDGED_BEFORE": ("establish", None, 5),
    "WATCH_DOUBLES": ("watch", ("remounted",), 5),
    "GC_PLAN_UNJUDGED": ("keep", ("gc-stopped",), 20),
    "TRUST_OFFSET": ("keep", ("nfs-restarted",), 20),
}
PLANTS_SHORT = ("BASELINE_JUDGED_BEFORE", "WATCH_DOUBLES", "GC_PLAN_UNJUDGED")
VIOLATIONS_MAX = 6
SECONDS, SECONDS_SHORT = 160, 25
FAULTS = dict.fromkeys((*asking_watch.FAULTS, *asking_keep.FAULTS))


def with_plant(options, plant):
    """The options of a run with this bug ("": none)."""
    part, faults, seconds = PLANTS.get(plant, (options.asking, None, SECONDS))
    options.plant, options.asking = plant, part
    options.asking_parts = [name for name in PARTS if name in part.split(",") or part == "all"]
    options.asking_faults = options.faults.split(",") if options.faults not in (None, "all", "none") else faults
    options.faults, options.export = ",".join(options.asking_faults or ["all"]), options.export or "plain"
    options.seconds = options.seconds or (SECONDS_SHORT if options.short and not plant else seconds)
    is_one = plant or options.short  # one of each, if not others are asked for
    lockers = [options.locker] if options.locker not in (None, "both") else ["redis"] if is_one else ["redis", "none"]
    options.lockers, options.locker = lockers, "both" if len(lockers) > 1 else lockers[0]
    options.nfs = "4.1" if is_one and options.nfs == "both" else options.nfs
    return options


def _told(title, found, seconds):
    counts = ", ".join(f"{count} {what}" for what, count in found.counts.items() if count)
    lines = [f"{title}, {seconds:.0f} s: {counts}", *found.texts]
    lines += [f"VIOLATION {text}" for text in found.violations[:VIOLATIONS_MAX]]
    if len(found.violations) > VIOLATIONS_MAX:
        lines.append(f"{len(found.violations)} violations")
    return "\n".join(lines)


def work(world, seconds, options):
    """(status, what there is to say): 0 all held, 1 violations; Failed where a part has shown nothing. What was said
    by then stands in world.told."""
    counts, violations, began_all = {}, 0, time.monotonic()
    parts = options.asking_parts
    whole = sum(PARTS[part][1] for part in parts) * len(options.lockers)
    for locker in options.lockers:
        for part in parts:
            began, found = time.monotonic(), Found()
            run, share = PARTS[part]
            world.make_store(f"{part}-{locker}", locker)
            run(world, Program(world), seconds * share / whole, options.asking_faults, found)
            found.violations += world.damage()
            world.told.append(_told(f"{part}, locker {locker}", found, time.monotonic() - began))
            violations += len(found.violations)
            for what, count in found.counts.items():
                counts[f"{part}: {what}"] = counts.get(f"{part}: {what}", 0) + count
    world.worked_s = time.monotonic() - began_all
    with open(world.counts_path, "w", encoding="utf-8") as file:
        json.dump({**counts, "violations": violations}, file)
    return 1 if violations else 0, "\n".join([*world.told, world.faults_done()])
