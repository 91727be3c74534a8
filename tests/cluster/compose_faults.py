"""What is done to the containers of a compose project. Each fault ends by itself."""
import time

from compose_world import LEASE_MS, SLOW, Failed

STOP_SECONDS = 30  # until a driver has come to its lock for a few times
FAILOVER_SECONDS = 40


def a_while(world, shortest, longest):
    time.sleep(world.random.uniform(shortest, longest))


def longer_than_the_lease(world):
    a_while(world, 1.3 * LEASE_MS * SLOW / 1000, 2.2 * LEASE_MS * SLOW / 1000)


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds * SLOW
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(what)
        time.sleep(0.1)


# ---- nodes ----

def node_killed(world):
    node = world.any_node()
    node.kill()
    a_while(world, 0.0, 1.0)
    node.boot()


def node_paused(world):
    node = world.any_node()
    node.pause()
    try:
        longer_than_the_lease(world)
    finally:
        node.resume()


def node_cut(world):
    """It has the store, and no Redis, for less or more than a lease."""
    node = world.any_node()
    node.cut()
    try:
        a_while(world, 0.5, 4.0)
    finally:
        node.heal()


def _stop_holder(world):
    """A driver that has stopped itself between its verified lock and its link."""
    driver = world.random.choice(world.any_node().drivers)
    driver.kill()
    driver.start(f"after-acquire:{world.random.randint(1, 10)}")
    wait_for(driver.is_stopped, STOP_SECONDS, f"driver {driver.name} does not come to its lock")
    return driver


def holder_stopped(world):
    """It goes on when its lease has long run out, and others have had the lock."""
    driver = _stop_holder(world)
    longer_than_the_lease(world)
    driver.signal("CONT")


def holder_killed(world):
    driver = _stop_holder(world)
    driver.kill()
    driver.start()


def lone_holder_killed(world):
    """The same, while all others stand still: who comes next finds a counter that counts a record that never was."""
    chosen = world.random.choice(world.any_node().drivers)
    chosen.kill()
    others = [driver for driver in world.drivers() if driver is not chosen]
    for driver in others:
        driver.signal("STOP")
    try:
        chosen.start(f"after-acquire:{world.random.randint(2, 10)}")
        wait_for(chosen.is_stopped, STOP_SECONDS, f"driver {chosen.name} does not come to its lock")
        chosen.kill()
        chosen.start()
        wait_for(chosen.has_saved, STOP_SECONDS, f"driver {chosen.name} saves nothing, and is alone")
    finally:
        for driver in others:
            driver.signal("CONT")


# ---- Redis ----

def redis_killed(world):
    redis = world.master()
    redis.kill()
    a_while(world, 0.0, 1.0)
    redis.start()


def redis_flushed(world):
    world.master().say("flushall")
    a_while(world, 0.0, 0.5)


def redis_paused(world):
    redis = world.master()
    redis.pause()
    try:
        longer_than_the_lease(world)
    finally:
        redis.resume()


def failover(world):
    """The master dies, the replica takes over, and the old master comes back as the replica."""
    old = world.master()
    new = next(each for each in world.redis.values() if each is not old)
    wait_for(lambda: new.role() == "slave", FAILOVER_SECONDS, "there is no replica")
    old.kill()
    try:
        wait_for(lambda: new.role() == "master", FAILOVER_SECONDS, "nobody took over")
    finally:
        old.start()
    wait_for(lambda: old.role() == "slave", FAILOVER_SECONDS, "the old master did not become a replica")


def sentinel_killed(world):
    sentinel = world.random.choice(world.sentinels)
    sentinel.kill()
    a_while(world, 0.5, 2.0)
    sentinel.start()


# name -> (what is done, the kinds of project in which it is)
FAULTS = {
    "node-killed": (node_killed, ("redis", "sentinel")),
    "node-paused": (node_paused, ("redis", "sentinel")),
    "node-cut": (node_cut, ("redis",)),
    "holder-stopped": (holder_stopped, ("redis",)),
    "holder-killed": (holder_killed, ("redis",)),
    "lone-holder-killed": (lone_holder_killed, ("redis",)),
    "redis-killed": (redis_killed, ("redis",)),
    "redis-flushed": (redis_flushed, ("redis", "sentinel")),
    "redis-paused": (redis_paused, ("redis",)),
    "sentinel-failover": (failover, ("sentinel",)),
    "sentinel-killed": (sentinel_killed, ("sentinel",)),
}
# Behind these the counter is wrong, and somebody has to be warned.
FORGETS = ("redis-killed", "redis-flushed", "lone-holder-killed")

# A planted bug, and the run in which it is to be found: (faults, seconds).
PLANTS = {
    "RENAME_OVERWRITES": ("holder-stopped", 15),
    "UNVERIFIED_OVERWRITE": ("holder-stopped", 15),
    "EEXIST_IS_SUCCESS": ("holder-stopped", 15),
    "SEQ_FROM_COUNTER": ("lone-holder-killed", 20),
    "DEDUPE_BY_RUN": ("none", 10),
    "REPRINT_DOCUMENT": ("none", 5),
}
PLANTS_SHORT = ("RENAME_OVERWRITES", "SEQ_FROM_COUNTER", "DEDUPE_BY_RUN")


def of_kind(names, kind):
    return [name for name in names if kind in FAULTS[name][1]]


def nemesis(world, names, until):
    """The faults in rounds, each round in an order of its own, until the time is up; at least one whole round."""
    waiting, rounds = [], 0
    while names and (time.monotonic() < until or rounds == 0 or (rounds == 1 and waiting)):
        if not waiting:
            waiting, rounds = list(names), rounds + 1
            world.random.shuffle(waiting)
        a_while(world, 0.1, 1.0)
        name = waiting.pop()
        world.hurt(name, FAULTS[name][0])
    while time.monotonic() < until:
        world.look_after()
        time.sleep(0.1)
