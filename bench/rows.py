"""The rows: what is measured, against whom, and the mark it must reach. Each yields lines of the table."""

import contextlib
import resource
import time

from load import (MixedLoad, SetLoad, VALUE, cold_key, fill, pgbench, read_all, redis_benchmark, run_redis_benchmark)
from measure import Mark, compare, in_turns
from support.resp import Client
from traces import load_trace

HOT_KEYS = 10_000
COLD_KEYS = 1_000_000
STORED_KEYS = 100_000
ENTRIES = 1_000_000
IDLE_CONNECTIONS = 10_000
LIST_ELEMENTS = 600
AWAY_S = 0.00025  # each way
COLD_SHARE = 0.05
COLD_KEYS_AWAY = 300_000
TRACE_VALUE = b"x" * 1000
REDIS_ENTRY_BYTES = 1100  # with a key of the trace and such a value


def hot_get(bed):
    """GET from L1: of the memory backend, and in front of Redis."""
    redis, memory = bed.redis(), bed.larder()
    tiered = bed.larder("redis", redis)
    fill(redis, HOT_KEYS)
    fill(memory, HOT_KEYS)
    read_all(tiered, HOT_KEYS)
    for pipeline, requests, mark in ((1, 80_000, 1.0), (16, 800_000, 0.85), (64, 1_500_000, 0.7)):
        samples = in_turns(bed.rounds, {
            server: lambda server=server: redis_benchmark(server, "get", pipeline, bed.scaled(requests), HOT_KEYS)
            for server in (memory, tiered, redis)})
        for title, server in (("L1 GET, memory", memory), ("L1 GET, before redis", tiered)):
            yield cpu_line(f"{title}, pipeline {pipeline}", samples[server], samples[redis], redis, Mark(at_most=mark))
            yield rate_line(f"{title}, pipeline {pipeline}, rate", samples[server], samples[redis], redis)


def passed_get(bed):
    """GET that Redis answers: L1 is off."""
    redis = bed.redis()
    larder, nutcracker = bed.larder("redis", redis, "--l1-memory", "0"), bed.nutcracker(redis)
    fill(redis, STORED_KEYS)
    for pipeline, requests, mark in ((1, 60_000, 1.0), (16, 300_000, 0.6)):
        samples = in_turns(bed.rounds, {
            server: lambda server=server: redis_benchmark(server, "get", pipeline, bed.scaled(requests), STORED_KEYS)
            for server in (larder, nutcracker)})
        yield cpu_line(f"GET passed to redis, pipeline {pipeline}", samples[larder], samples[nutcracker], nutcracker,
                       Mark(at_most=mark))
        if pipeline == 1:
            yield rate_line("GET passed to redis, pipeline 1, rate", samples[larder], samples[nutcracker], nutcracker,
                            Mark(at_least=0.95))
    yield from passed_list(bed, redis, larder, nutcracker)


def passed_list(bed, redis, larder, nutcracker):
    """A reply of many short elements."""
    with redis.connect() as client:
        client.value("RPUSH", "list", *("xxx" for _ in range(LIST_ELEMENTS)))
    command = ["LRANGE", "list", "0", str(LIST_ELEMENTS - 1)]
    for pipeline, requests in ((1, 30_000), (16, 60_000)):
        samples = in_turns(bed.rounds, {
            server: lambda server=server: run_redis_benchmark(server, command, pipeline, bed.scaled(requests))
            for server in (larder, nutcracker)})
        yield cpu_line(f"LRANGE of {LIST_ELEMENTS} elements, passed to redis, pipeline {pipeline}", samples[larder],
                       samples[nutcracker], nutcracker, Mark(at_most=0.6))


def away(bed):
    """Redis half a millisecond away and 95 % of the GETs of hot keys: with Larder beside the client, and without."""
    redis = bed.redis()
    gate = bed.gate(redis)
    gate.delay(AWAY_S)
    larder = bed.larder("redis", gate)
    fill(redis, HOT_KEYS)
    fill(redis, COLD_KEYS_AWAY, cold_key)
    read_all(larder, HOT_KEYS)
    load = MixedLoad(bed.program("bench/mixed_load"), HOT_KEYS, COLD_SHARE)
    seconds = 1 if bed.quick else 2
    samples = in_turns(bed.rounds, {server: lambda server=server: load.sample(server, seconds)
                                    for server in (larder, gate)})
    for what, unit, of in (("requests", "requests/s", "rate"), ("p50", "µs", "p50_us"), ("p99", "µs", "p99_us")):
        ours, theirs = ([getattr(sample, of) for sample in samples[server]] for server in (larder, gate))
        yield compare(f"95 % hits, redis 0.5 ms away, {what}", unit, ours, theirs, "redis alone")


def cold_get(bed):
    """GET of keys that L1 does not hold yet: Redis has a million of them, each round starts with an empty L1."""
    redis = bed.redis()
    nutcracker = bed.nutcracker(redis)
    fill(redis, COLD_KEYS)

    def ask_fresh_larder(pipeline, requests):
        larder = bed.larder("redis", redis)
        sample = redis_benchmark(larder, "get", pipeline, requests, COLD_KEYS)
        larder.stop()
        return sample

    for pipeline, requests, mark in ((1, 60_000, 1.3), (16, 150_000, 0.9)):
        samples = in_turns(bed.rounds, {
            "larder": lambda: ask_fresh_larder(pipeline, bed.scaled(requests)),
            "nutcracker": lambda: redis_benchmark(nutcracker, "get", pipeline, bed.scaled(requests), COLD_KEYS)})
        yield cpu_line(f"GET of cold keys, pipeline {pipeline}", samples["larder"], samples["nutcracker"], nutcracker,
                       Mark(at_most=mark))


SELECT_SCRIPT = f"""\\set id random(0, {STORED_KEYS - 1})
SELECT v FROM bench_kv WHERE k = :id::text::bytea
"""
UPSERT_SCRIPT = f"""\\set id random(0, {STORED_KEYS - 1})
INSERT INTO bench_kv VALUES (:id::text::bytea, '{VALUE.decode()}') ON CONFLICT (k) DO UPDATE SET v = excluded.v
"""


def postgres(bed):
    """GET and SET on postgres with L1 off, against one-row statements of pgbench on the same cluster."""
    database = bed.postgres()
    database.psql(f"CREATE UNLOGGED TABLE bench_kv (k bytea PRIMARY KEY, v bytea); INSERT INTO bench_kv "
                  f"SELECT n::text::bytea, '{VALUE.decode()}' FROM generate_series(0, {STORED_KEYS - 1}) n;")
    larder = bed.larder("postgres", database, "--l1-memory", "0")
    fill(larder, STORED_KEYS)
    database.psql("VACUUM ANALYZE")
    for command, title, script, marks in (("get", "SELECT", SELECT_SCRIPT, (1.0, 4.0)),
                                          ("set", "upsert", UPSERT_SCRIPT, (1.3, 4.0))):
        path = bed.directory / f"{title}.sql"
        path.write_text(script)
        samples = in_turns(bed.rounds, {
            "pgbench": lambda: pgbench(database, path, seconds=1 if bed.quick else 2),
            1: lambda: redis_benchmark(larder, command, 1, bed.scaled(80_000), STORED_KEYS).rate,
            16: lambda: redis_benchmark(larder, command, 16, bed.scaled(240_000), STORED_KEYS).rate})
        for pipeline, mark in zip((1, 16), marks):
            yield compare(f"postgres {command.upper()}, pipeline {pipeline}", "requests/s", samples[pipeline],
                          samples["pgbench"], f"pgbench {title}", Mark(at_least=mark))


TAGGED_KEYS = 10_000


def tags(bed):
    """SET with two tags against a plain SET; dropping all keys of a tag against what a client of Redis does; memory."""
    backends = {"memory": None, "postgres": bed.postgres, "redis": bed.redis}
    # A Larder and a server behind it for each way: where tags are in use a plain write to Redis costs more.
    pairs = {(name, way): start_pair(bed, name, start) for name, start in backends.items() for way in ("tags", "plain")}
    for name in backends:
        loads = {way: SetLoad(bed.program("bench/set_load"), *pairs[name, way], way == "tags") for way in ("tags", "plain")}
        yield from tagged_sets(bed, name, loads)
    redis = pairs["redis", "tags"][1]
    yield tag_memory(redis, pairs["redis", "plain"][1])
    by_hand = [drop_by_hand(redis) for _ in range(bed.rounds)]
    for name in backends:
        by_tag = [drop_by_tag(pairs[name, "tags"][0]) for _ in range(bed.rounds)]
        mark = Mark(at_most=50, of="figure") if name == "postgres" else Mark(at_most=1 / 3)
        yield compare(f"dropping {TAGGED_KEYS:,} keys of a tag, {name}", "ms", by_tag, by_hand, "SSCAN and UNLINK", mark)


def start_pair(bed, name, start_behind):
    behind = start_behind() if start_behind else None
    return bed.larder(name, behind, "--l1-memory", "2gb"), behind


def tag_memory(tagged, plain):
    """What each tag of each key adds to a Redis that holds the same keys without tags."""
    used, used_plain = used_memory(tagged), used_memory(plain)
    with plain.connect() as client:
        keys = client.value("DBSIZE")
    return compare("redis memory of a (key, tag), 20-byte keys", "bytes", [(used - used_plain) / keys / 2],
                   [used_plain / keys], "a plain entry", Mark(at_most=120, of="figure"))


def tagged_sets(bed, name, loads):
    """First writes: of keys that are new. Writes again: of the same keys with the same tags, as a cache refreshes."""
    count = bed.scaled(90_000)
    samples = {}
    for round_number in range(bed.rounds):
        for what in ("first", "again"):
            for way, load in loads.items():
                samples.setdefault((what, way), []).append(load.sample(round_number * count, count))
    for what in ("first", "again"):
        yield compare(f"SET with 2 tags, {name}, {what}", "µs CPU/request", samples[what, "tags"], samples[what, "plain"],
                      "plain SET", Mark(at_most=2.5))


def drop_by_tag(larder):
    with larder.connect(timeout=60) as client:
        for start in range(0, TAGGED_KEYS, 500):
            client.pipeline([("SET", b"drop:%d" % number, VALUE, "TAGS", "2", "dropped", b"own:%d" % number)
                             for number in range(start, start + 500)])
        started = time.monotonic()
        dropped = client.value("TAGINVALIDATE", "dropped")
        took_ms = (time.monotonic() - started) * 1e3
    if dropped != TAGGED_KEYS:
        raise RuntimeError(f"TAGINVALIDATE dropped {dropped} keys")
    return took_ms


def drop_by_hand(redis):
    """What a program without Larder does: a set of keys a tag, read and unlinked in pipelines of 100."""
    with redis.connect(timeout=60) as client:
        for start in range(0, TAGGED_KEYS, 500):
            client.pipeline([command for number in range(start, start + 500)
                             for command in (("SET", b"drop:%d" % number, VALUE),
                                             ("SADD", "dropped", b"drop:%d" % number))])
        started = time.monotonic()
        cursor = None
        while cursor != b"0":
            cursor, keys = client.value("SSCAN", "dropped", cursor or b"0", "COUNT", "100")
            client.pipeline([("UNLINK", key) for key in keys])
        client.call("DEL", "dropped")
        return (time.monotonic() - started) * 1e3


def memory(bed):
    """Bytes per entry with a key of 10 and a value of 100 bytes."""
    used, resident = {}, {}
    redis, larder = bed.redis(), bed.larder("memory", None, "--l1-memory", "2gb")
    for server in (larder, redis):
        before = used_memory(server), server.process.resident_bytes()
        fill(server, ENTRIES, lambda number: b"k%09d" % number)
        used[server] = (used_memory(server) - before[0]) / ENTRIES
        resident[server] = (server.process.resident_bytes() - before[1]) / ENTRIES
    yield compare("memory of an entry, used_memory", "bytes", [used[larder]], [used[redis]], redis.name,
                  Mark(at_most=0.9))
    yield compare("memory of an entry, RSS", "bytes", [resident[larder]], [resident[redis]], redis.name)


def hit_ratio(bed):
    """The same trace and the same bytes for both, room for about a tenth and a quarter of the distinct keys."""
    trace_name, keys = load_trace()
    distinct = len(set(keys))
    for share in (10,) if bed.quick else (10, 25):
        budget = distinct * share // 100 * REDIS_ENTRY_BYTES
        larder = bed.larder("memory", None, "--l1-memory", str(budget))
        redis = bed.redis("--maxmemory-policy", "allkeys-lru")
        ratios = {}
        for server in (larder, redis):
            with server.connect(timeout=60) as client:
                if server is redis:
                    # What an empty Redis uses is not taken from its share.
                    client.value("CONFIG", "SET", "maxmemory", str(used_memory(redis) + budget))
                ratios[server] = replay(client, keys)
        yield compare(f"hit ratio, {trace_name}, {budget / 1e6:.2f} MB", "%", [ratios[larder]], [ratios[redis]],
                      "allkeys-lru", Mark(at_least=1.0, of="difference"))


def replay(client, keys):
    """Hits in percent: a key that is not there is stored, as a cache's user does."""
    hits = 0
    for key in keys:
        if client.call("GET", key) == b"$-1\r\n":
            client.call("SET", key, TRACE_VALUE)
        else:
            hits += 1
    return 100 * hits / len(keys)


def idle(bed):
    """RSS of a connection that has asked once and then says nothing."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    connections = min(IDLE_CONNECTIONS, most - 1000)
    settings = bed.directory / "idle.toml"
    settings.write_text(f"[server]\nmaxclients = {connections + 100}\n")
    redis = bed.redis("--maxclients", str(connections + 100))
    larder = bed.larder("memory", None, "--config", str(settings))
    grown = {server: resident_growth(server, connections) / connections / 1024 for server in (larder, redis)}
    yield compare(f"RSS of an idle connection, {connections:,}", "KB", [grown[larder]], [grown[redis]], redis.name,
                  Mark(at_most=8.0, of="figure"))


def resident_growth(server, connections):
    before = server.process.resident_bytes()
    with contextlib.ExitStack() as stack:
        for _ in range(connections):
            client = stack.enter_context(Client(server.address))
            client.call("PING")
        return server.process.resident_bytes() - before


def used_memory(server):
    with server.connect() as client:
        text = client.value("INFO", "memory").decode()
    return int(next(line for line in text.splitlines() if line.startswith("used_memory:")).split(":")[1])


def cpu_line(what, larder, peer, peer_server, mark):
    return compare(what, "µs CPU/request", [sample.cpu_us for sample in larder], [sample.cpu_us for sample in peer],
                   peer_server.name, mark)


def rate_line(what, larder, peer, peer_server, mark=None):
    return compare(what, "requests/s", [sample.rate for sample in larder], [sample.rate for sample in peer],
                   peer_server.name, mark)


ROWS = {"hot": hot_get, "passed": passed_get, "away": away, "cold": cold_get, "postgres": postgres, "tags": tags,
        "memory": memory, "hits": hit_ratio, "idle": idle}
