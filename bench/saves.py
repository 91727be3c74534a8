#!/usr/bin/env python3
"""Saves a second by one writer and by eight, of Holdfast in both modes and of its peers."""

import sys

import benchlib

PEERS = ["publish", "journal", "sqlite", "lmdb", "sqlite-rollback", "redis", "etcd"]  # neighbours are compared
CASES = [f"{peer}:p1" for peer in PEERS] + [f"{peer}:p8" for peer in PEERS] + ["publish:t8", "journal:t8"]
ROUNDS = 5
SAVES = 1500
LIMITS = ["--time-max-ms", 2000]
COUNTED_SAVES = 500
ALONE_SAVES = 2000


def measure(bench):
    quick = bench.args.quick
    results = {"fsync": bench.fsync_cost()}
    benchlib.say("saves by 1 and 8 writers, all peers")
    results["save"] = bench.save(CASES, 100 if quick else SAVES, 1 if quick else ROUNDS, LIMITS)
    benchlib.say("flushes of a save")
    results["flushes"] = bench.save(CASES, 50 if quick else COUNTED_SAVES, 1, LIMITS, env=bench.counted())
    results["alone"] = bench.save(["publish:p1", "journal:p1"], ALONE_SAVES, 1, ["--config", bench.no_packing],
                                  env=bench.counted())
    results["fsync_after"] = bench.fsync_cost()
    return results


def bars(results):
    lines, alone = results["save"], results["alone"]
    publish, journal = alone["publish:p1"], alone["journal:p1"]
    return [
        benchlib.bar("journal, 1 process, times SQLite's rate (WAL, FULL)",
                     benchlib.paired(lines["journal:p1"], lines["sqlite:p1"]), ">=", 1.5),
        benchlib.bar("journal, 8 processes, times SQLite's rate (WAL, FULL)",
                     benchlib.paired(lines["journal:p8"], lines["sqlite:p8"]), ">=", 3),
        benchlib.bar("journal, 8 processes, times LMDB's rate",
                     benchlib.paired(lines["journal:p8"], lines["lmdb:p8"]), ">=", 2.5),
        benchlib.bar("journal, flushes of a save alone, without those that begin a tile",
                     journal["fdatasync"] / journal["saves"], "<=", 1),
        benchlib.bar("publish, 1 process, times SQLite's rate (WAL, FULL)",
                     benchlib.paired(lines["publish:p1"], lines["sqlite:p1"]), ">=", 0.4),
        benchlib.bar("publish, 8 threads on one handle, times 1 process",
                     benchlib.paired(lines["publish:t8"], lines["publish:p1"]), ">=", 2),
        benchlib.bar("publish, flushes of a save alone", publish["flushes_per_save"], "<=", 2),
        benchlib.bar("publish, links of a save alone", publish["link"] / publish["saves"], "<=", 1),
    ]


def show(results):
    benchlib.table(["cost of one flush, median of 200, us", "before", "after"],
                   [[a["what"], f"{a['median_us']:.0f}", f"{b['median_us']:.0f}"]
                    for a, b in zip(results["fsync"], results["fsync_after"])])
    flushes, sqlite = results["flushes"], results["save"]
    rows = []
    for case, r in results["save"].items():
        peer, writers = case.split(":")
        against = sqlite[f"sqlite:{writers}" if f"sqlite:{writers}" in sqlite else "sqlite:p8"]
        counted = "-" if peer == "etcd" else f"{flushes[case]['flushes_per_save']:.2f}"
        rows.append([case, f"{r['saves_per_s']:.0f}", f"{min(r['rates']):.0f} .. {max(r['rates']):.0f}",
                     f"{benchlib.paired(r, against):.2f}", f"{r['p50_us']:.0f}", f"{r['p99_us']:.0f}",
                     f"{r['max_us'] / 1000:.0f}", f"{r['user_us'] + r['system_us']:.0f}", counted])
    benchlib.table(["2 KB documents", "saves/s", "rounds", "of SQLite's", "p50 us", "p99 us", "longest ms", "CPU us",
                    "flushes/save"], rows)
    print("p: processes, t: threads on one handle (beside SQLite's eight processes). CPU: of the writers, not "
          "of the services.")
    alone = {peer: results["alone"][f"{peer}:p1"]["flushes_per_save"] for peer in ("journal", "publish")}
    print(f"A save alone, packing off: {alone['journal']:.4f} flushes in journal mode (each 256 saves a new tile is "
          f"begun, with two or three more), {alone['publish']:.4f} in publish mode.")
    for peer in ("redis", "etcd"):
        r = results["save"][f"{peer}:p1"]
        print(f"{peer}: a request that changes nothing takes {r['round_trip_us']:.0f} us there and back.")
    print()


if __name__ == "__main__":
    benchlib.main(__doc__, {"saves": sys.modules[__name__]})
