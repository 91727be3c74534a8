"""The faults of faults.py. Each scenario prepares a world, starts it, and hurts it while the drivers work."""
import os
import signal
import struct
import time

from world import COME_BACK_SECONDS, LEASE_MS, NODES, SLOW, WRITERS, Failed

KILLS_ALONE = 5


def one_redis(world):
    server = world.server()
    world.config = world.write_config("config.json", url=world.url(server))
    world.make_store()
    return server


def again(world, least, pause_s, action, most=60):
    """The action, again and again, while they work: at least and at most so often."""
    world.start()
    while world.done < least or world.head() < world.saves:
        world.sleep(pause_s)
        if world.done < most:
            world.hurt(action)


def stopped_writers(world, places, handle):
    """Some drivers stop themselves under the lock; handle(writer) says what becomes of them."""
    one_redis(world)
    paused = world.writers[::2]
    for number, writer in enumerate(paused):
        place = places[number % len(places)]
        writer.environment["HF_PAUSE"] = f"{place}:{world.random.randrange(20, world.saves // 20 + 40)}"
    world.start()
    while world.done < len(paused):
        world.sleep(0.01)
        for writer in paused:
            if writer.is_stopped():
                world.hurt(lambda one=writer: handle(one))


def killed_holder(world):
    """Between the lock and the link (its number was taken), and between the link and the mark."""
    def kill(writer):
        writer.kill()
        writer.environment.pop("HF_PAUSE")
        writer.start()
    stopped_writers(world, ("after-acquire", "after-link"), kill)


def killed_alone(world):
    """The same, with nobody who waits meanwhile: who comes next finds a counter that is ahead of the storage."""
    one_redis(world)
    world.saves //= WRITERS
    world.writers = world.writers[:1]
    writer = world.writers[0]

    def next_one():
        at = world.random.randrange(2, 20) if world.done < KILLS_ALONE - 1 else 0
        writer.environment["HF_PAUSE"] = f"after-acquire:{at}" if at else ""
        writer.start()
    next_one()
    while world.done < KILLS_ALONE:
        world.sleep(0.01)
        if writer.is_stopped():
            writer.kill()
            world.hurt(next_one)
    world.counter_is_wrong = True  # the counter counts a record that never was: that is told as well


def stopped_holder(world):
    """For longer than its lease, between the lock and the link: when it goes on the name is another's."""
    def wait(writer):
        head = world.head()
        time.sleep(1.7 * LEASE_MS * SLOW / 1000)
        if world.locker == "redis":  # others take the lock and go on meanwhile
            world.wait_head(head + 1, COME_BACK_SECONDS)
        writer.process.send_signal(signal.SIGCONT)
    stopped_writers(world, ("after-acquire",), wait)


def killed_anywhere(world):
    one_redis(world)

    def kill():
        writer = world.random.choice(world.writers)
        writer.kill()
        writer.start()
    again(world, 6, 0.15, kill, 12)


def redis_restarted(world):
    server = one_redis(world)
    world.counter_is_wrong = True
    again(world, 3, 0.5, lambda: server.restart_empty(world.random.random() / 3), 8)


def redis_flushed(world):
    server = one_redis(world)
    world.counter_is_wrong = True
    again(world, 5, 0.2, lambda: server.say("FLUSHALL"))


def redis_paused(world):
    server = one_redis(world)

    def pause():
        server.signal(signal.SIGSTOP)
        time.sleep(1.5 * LEASE_MS * SLOW / 1000)
        server.signal(signal.SIGCONT)
    again(world, 3, 0.4, pause, 5)


def connections_killed(world):
    server = one_redis(world)

    def kill():
        for line in server.say("CLIENT", "LIST").splitlines():
            if line.startswith("id=") and world.random.random() < 0.3:
                server.say("CLIENT", "KILL", "ID", line[3:].split(" ", 1)[0])
    again(world, 10, 0.08, kill)


def namespace_cut(world):
    one_redis(world)
    nodes = list(NODES)

    def cut():
        nodes.append(nodes.pop(0))
        world.network.cut(nodes[0])
        time.sleep(2 * LEASE_MS * SLOW / 1000)
        world.network.heal(nodes[0])
    again(world, 3, 0.3, cut, 5)


def old_dump(world):
    server = one_redis(world)
    world.counter_is_wrong = True
    kept = []

    def restore():
        if not kept or world.random.random() < 0.3:
            server.keep()
            kept.append(1)
        else:
            server.restore()
    again(world, 4, 0.3, restore, 10)


def wall_clock_set(world):
    one_redis(world)
    path = os.path.join(world.folder, "clock")

    def set_clock(seconds):
        with open(path, "r+b" if os.path.exists(path) else "wb") as file:
            file.write(struct.pack("=q", seconds))
    set_clock(0)
    for writer in world.writers[::2]:
        writer.environment["HF_TEST_CLOCK"] = path
    again(world, 3, 0.4, lambda: set_clock(world.random.choice((-86400, 86400, -3600, 0))))


def two_masters(world):
    """Two servers, two groups of writers, each sure of its own: what a failover that was none leaves behind."""
    servers = [world.server(6379), world.server(6380)]
    configs = [world.write_config(f"config{i}.json", url=world.url(server)) for i, server in enumerate(servers)]
    world.config = configs[0]
    world.make_store()
    for writer in world.writers:
        writer.config = configs[writer.number % len(NODES) // 2]  # two nodes to each
    world.start()
    world.wait_head(world.saves)
    for server in servers:
        if server.number_of("total_commands_processed") < world.saves // 4:
            raise Failed(f"the server on port {server.port} was hardly asked")
    world.done = 1


def sentinel_failover(world):
    """The master dies; a replica that had fallen behind takes over. It is cut off for that, in a namespace of its own:
    one that is only stopped finds what it missed in its socket when it goes on."""
    address = world.network.address("redis")
    servers = [world.server(6379), world.server(6380, [f"replicaof {address} 6379"], space="replica")]
    watch = [f"sentinel monitor runs {address} 6379 2", "sentinel down-after-milliseconds runs 400",
             "sentinel failover-timeout runs 4000", "sentinel parallel-syncs runs 1"]
    sentinels = [world.server(26379 + i, watch, sentinel=True) for i in range(3)]
    world.config = world.write_config("config.json", master="runs",
                                      sentinels=[f"{address}:{one.port}" for one in sentinels])
    wait_for(lambda: all("slaves=1,sentinels=3" in one.say("INFO", "sentinel") for one in sentinels), 60,
             "the sentinels do not know all")
    world.make_store()
    world.counter_is_wrong = True
    world.start()
    world.wait_head(world.saves // 4)
    world.network.cut("replica")
    world.wait_head(world.head() + world.saves // 8)
    sent = servers[0].number_of("master_repl_offset")
    servers[0].kill()
    lost = sent - servers[1].number_of("master_repl_offset")
    world.hurt(lambda: world.network.heal("replica"))
    if lost <= 0:
        raise Failed("the replica had missed nothing")
    wait_for(lambda: "role:master" in servers[1].say("INFO", "replication"), 60, "nobody took over")
    servers[0].settings = [f"replicaof {servers[1].address} 6380"]
    servers[0].start()


def nothing(world):
    """No fault: what the others are compared with."""
    if world.locker == "redis":
        one_redis(world)
    else:
        world.write_config("config.json")
        world.make_store()
    world.start()


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds * SLOW
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(what)
        time.sleep(0.05)


SCENARIOS = {
    "nothing": nothing,
    "killed-holder": killed_holder,
    "killed-alone": killed_alone,
    "stopped-holder": stopped_holder,
    "killed-anywhere": killed_anywhere,
    "redis-restarted": redis_restarted,
    "redis-flushed": redis_flushed,
    "redis-paused": redis_paused,
    "connections-killed": connections_killed,
    "namespace-cut": namespace_cut,
    "old-dump": old_dump,
    "wall-clock-set": wall_clock_set,
    "two-masters": two_masters,
    "sentinel-failover": sentinel_failover,
}
