"""What is done to the nodes, the network and the servers. Each fault ends by itself."""
import time

import nfs_server
from nfs_node import Failed
from nfs_world import LEASE_MS, SLOW

DENSE = 0.4  # of the range from which a length of time is chosen
LONG_PAUSES, LONG_PAUSES_DENSE = 0.25, 0.08


def a_while(world, shortest, longest):
    """Dense: nearer to the shortest."""
    time.sleep(world.random.uniform(shortest, shortest + (longest - shortest) * (DENSE if world.options.dense else 1)))


def longer_than_the_lease(world):
    a_while(world, 1.3 * LEASE_MS * SLOW / 1000, 2.2 * LEASE_MS * SLOW / 1000)


def node_killed(world):
    """The power of a node fails; it boots again."""
    node = world.any_node()
    node.kill()
    a_while(world, 0.0, 1.0)
    world.reboot(node)


def node_paused(world):
    """For longer than the lease of its lock; one time in four (dense: in twelve) for longer than that of its NFS
    state, too."""
    node = world.any_node()
    node.pause()
    try:
        if world.random.random() < (LONG_PAUSES_DENSE if world.options.dense else LONG_PAUSES):
            a_while(world, 1.1 * nfs_server.LEASE_SECONDS, 1.3 * nfs_server.LEASE_SECONDS)
        else:
            longer_than_the_lease(world)
    finally:
        node.resume()


def _stop_holder(world):
    """(node, name) of a driver that has stopped itself between its verified lock and its link."""
    node = world.any_node()
    name = world.random.choice(world.writer_names(node))
    node.ask("kill", name=name)
    node.hear(world.start_writer(node, name, f"after-acquire:{world.random.randint(1, 10)}"))
    # it reads all of the log first, and comes to its lock for a few times; no longer than any may take to come back
    if not node.ask("wait_stopped", name=name, seconds=world.come_back_s, patience=2 * world.come_back_s)["stopped"]:
        raise Failed(f"driver {name} does not come to its lock")
    return node, name


def holder_stopped(world):
    """It goes on when its lease has long run out, and others have had the lock."""
    node, name = _stop_holder(world)
    longer_than_the_lease(world)
    node.ask("continue", name=name)


def holder_killed(world):
    node, name = _stop_holder(world)
    node.ask("kill", name=name)
    node.hear(world.start_writer(node, name))


def _cut(world, names):
    node = world.any_node()
    for name in names:
        world.network.cut(name, node.number)
    try:
        a_while(world, 0.5, 4.0)
    finally:
        for name in names:
            world.network.heal(name, node.number)


def cut_redis(world):
    _cut(world, ["redis"])


def cut_nfs(world):
    _cut(world, ["nfs"])


def cut_both(world):
    _cut(world, ["nfs", "redis"])


def redis_restarted(world):
    world.redis.restart_empty(world.random.uniform(0.0, 1.0))


def redis_flushed(world):
    world.redis.say("FLUSHALL")
    a_while(world, 0.0, 0.5)


def nfs_restarted(world):
    """Its answers get lost shortly before: it has done what it was asked, nobody knows, and all ask again."""
    world.network.mute("nfs")
    try:
        a_while(world, 0.05, 0.3)
        world.server.kill()
    finally:
        world.network.unmute("nfs")
    a_while(world, 0.0, 1.0)
    world.server.start()


def clock_set(world):
    """Days off for a while, then set right."""
    node, seconds = world.any_node(), world.random.choice((-1, 1)) * world.random.uniform(1, 5) * 86400
    node.ask("set_clock", seconds=seconds)
    try:
        a_while(world, 0.5, 3.0)
    finally:
        node.ask("set_clock", seconds=-seconds)


def disk_full(world):
    world.server.fill()
    try:
        a_while(world, 0.5, 2.0)
    finally:
        world.server.free()


FAULTS = {
    "node-killed": node_killed,
    "node-paused": node_paused,
    "holder-stopped": holder_stopped,
    "holder-killed": holder_killed,
    "cut-redis": cut_redis,
    "cut-nfs": cut_nfs,
    "cut-both": cut_both,
    "redis-restarted": redis_restarted,
    "redis-flushed": redis_flushed,
    "nfs-restarted": nfs_restarted,
    "clock-set": clock_set,
    "disk-full": disk_full,
}


# A planted bug, and the run in which it is to be found: (faults, export, seconds).
PLANTS = {
    "LOOK_EARLY": ("none", "plain", 10),
    "LOOK_BY_FOLDER": ("none", "coarse", 20),
    "ACK_BEFORE_MARK": ("none", "plain", 10),
    "RENAME_OVERWRITES": ("holder-stopped", "plain", 15),
    "UNVERIFIED_OVERWRITE": ("holder-stopped", "plain", 15),
    "EEXIST_IS_SUCCESS": ("holder-stopped", "plain", 15),
    "SEQ_FROM_COUNTER": ("holder-killed,redis-flushed", "plain", 15),
    "DEDUPE_BY_RUN": ("none", "plain", 10),
    "PREV_BY_TIME": ("clock-set", "plain", 20),
    "REPRINT_DOCUMENT": ("none", "plain", 5),
    "MARK_BY_PAGES": ("none", "plain", 20),
}
PLANTS_SHORT = ("LOOK_EARLY", "RENAME_OVERWRITES", "DEDUPE_BY_RUN")


def nemesis(world, names, until):
    """The faults in rounds, each round in an order of its own, until the time is up; at least one round of one."""
    waiting = []
    while names and (time.monotonic() < until or not world.done):
        if not waiting:
            waiting = list(names)
            world.random.shuffle(waiting)
        a_while(world, 0.1, 1.0)
        name = waiting.pop()
        world.hurt(name, FAULTS[name])
    while time.monotonic() < until:
        time.sleep(0.1)
