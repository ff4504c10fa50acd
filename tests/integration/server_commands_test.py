"""Commands about the server and its clients, of which the bytes differ between servers but the meaning must not."""

import re
import select
import time

from support.lab import on_backends
from support.resp import ReplyError, decode, encode, wait_until

FORWARDED = [
    "LPUSH l a b c", "LRANGE l 0 -1", "GET l", "INCR l", "TYPE l", "OBJECT ENCODING l", "SORT l ALPHA",
    "HSET h f 1 g 2", "HGETALL h", "HINCRBYFLOAT h f 0.5", "SADD s x", "SMEMBERS s", "SISMEMBER s x",
    "ZADD z 1.5 m 2 n", "ZRANGE z 0 -1 WITHSCORES", "ZSCORE z m", "XADD x 1-1 f v", "XRANGE x - +", "SETBIT b 7 1",
    "GET b", "BITCOUNT b", "PFADD p a", "PFCOUNT p", "GEOADD g 13.361389 38.115556 Palermo",
    "GEODIST g Palermo Palermo", ("EVAL", "return {KEYS[1], redis.call('GET', KEYS[1]), ARGV[1]}", "1", "b", "arg"),
    ("EVAL", "redis.call('SET', KEYS[1], 'by script')", "1", "b"), "GET b",
    ("EVAL", "return redis.error_reply('no')", "0"), ("SCRIPT", "LOAD", "return 1"),
    "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0", "EVALSHA ffffffffffffffffffffffffffffffffffffffff 0",
    "DUMP b", "BITFIELD b GET u8 0", "GETSET z 1", "APPEND h x", "STRLEN s", "MGET b l z",
    ("SET", "l", "now a string"), "GET l", "RENAME b c", "MGET b c", "BITOP NOT c c", "GET c", "SUNIONSTORE l s",
    "GET l", "GEORADIUS_RO g 13 38 200 km", "SORT z STORE c", "DBSIZE", "LOLWUT VERSION 1",
]
INFO_FIELDS = set(
    "redis_version redis_mode process_id tcp_port uptime_in_seconds connected_clients role used_memory maxmemory "
    "loading total_commands_processed total_connections_received keyspace_hits keyspace_misses evicted_keys expired_keys "
    "maxmemory_policy".split())

TIER_FIELDS = set("l1_entries l1_bytes l1_budget_bytes l1_hits l1_misses l1_hit_ratio l1_fills l1_evictions "
                  "l1_invalidations".split())


def fields(text):
    return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)


@on_backends()
def test_info_has_what_clients_read(lab, backend):
    larder = lab.larder(backend)
    with larder.connect() as client:
        info = fields(client.value("INFO"))
        assert not (missing := INFO_FIELDS - set(info)), f"INFO lacks {missing}"
        assert info["redis_version"].startswith("7.0.") and info["role"] == "master" and info["loading"] == "0"
        assert int(info["tcp_port"]) == larder.port
        # Beside an empty L1 the process has allocated something too.
        assert lab.sanitized or float(info["mem_fragmentation_ratio"]) < 100, info
        section = client.value("INFO", "clients")
        assert section.startswith(b"# Clients\r\n") and b"# Server" not in section
        assert client.value("INFO", "no-such-section") in (b"", b"\r\n")
        client.pipeline([("SET", "k", "v"), ("SET", "e", "v", "EX", "100")])
        keyspace = client.value("INFO", "keyspace")
        assert re.search(rb"^db0:keys=2,expires=1,avg_ttl=\d+", keyspace, re.M), keyspace


@on_backends()
def test_info_follows_the_load(lab, backend):
    larder = lab.larder(backend, config={"server.timeout": "1h"})
    with larder.connect() as client:
        info = fields(client.value("INFO"))
        if not lab.stand_in:
            assert info["config_file"] == str(larder.directory / "larder.toml")
        assert info["blocked_clients"] == "0" and int(info["used_memory_peak"]) >= int(info["used_memory"])
        assert info["used_memory_peak_human"][-1] in "BKMG"

        def rate(pings):
            client.pipeline([("PING",)] * pings)
            time.sleep(0.2)
            return int(fields(client.value("INFO", "stats"))["instantaneous_ops_per_sec"])

        wait_until(lambda: rate(1000) > 100, 20, "the rate of the commands")
        wait_until(lambda: rate(1) < 100, 20, "it to fall")
        client.value("SET", "large", b"x" * 5_000_000)
        client.value("GET", "large")
        used = int(fields(client.value("INFO", "memory"))["used_memory"])
        client.value("DEL", "large")
        memory = fields(client.value("INFO", "memory"))
        assert int(memory["used_memory_peak"]) >= used >= 4_000_000 > int(memory["used_memory_dataset"]), memory


def test_info_counts_clients_that_wait(lab):
    larder = lab.larder("redis")

    def waiting():
        return larder.info("clients")["blocked_clients"]

    with larder.connect() as served, larder.connect() as other:
        client = lab.closing(larder.connect())
        for number, one in enumerate((served, client)):
            one.send("BLPOP", "list", 0)
            wait_until(lambda: waiting() == str(number + 1), 10, "one more to wait")
        other.call("LPUSH", "list", "x")
        assert served.read() == b"*2\r\n$4\r\nlist\r\n$1\r\nx\r\n"
        wait_until(lambda: waiting() == "1", 10, "one to be served")
        client.close()
        wait_until(lambda: waiting() == "0", 10, "the other to be gone")


@on_backends()
def test_info_tells_of_the_tiers(lab, backend):
    if lab.stand_in:
        lab.skip("redis-server has no tiers")
    larder = lab.larder(backend)
    tiers = larder.info("tiers")
    assert tiers["backend"] == backend and f"--backend is {backend}" in tiers["backend_reason"], tiers
    assert not (missing := TIER_FIELDS - set(tiers)), f"INFO tiers lacks {missing}"


@on_backends("postgres", "redis")
def test_values_read_before_are_read_from_memory(lab, backend):
    behind = lab.behind(backend)
    larder = lab.larder(backend, behind)
    with larder.connect() as client:
        client.pipeline([("SET", f"k{n}", "v") for n in range(100)])
        wait_until(lambda: hits_of_a_pass(client) == 100, 10, "all reads to be answered from memory")
        behind.crash()
        wait_until(lambda: client.call("GET", "k0").startswith(b"-ERR"), 10, "L1 to be void without its backend")


def hits_of_a_pass(client):
    before = int(fields(client.value("INFO", "tiers"))["l1_hits"])
    assert client.pipeline([("GET", f"k{n}") for n in range(100)]) == [b"$1\r\nv\r\n"] * 100
    return int(fields(client.value("INFO", "tiers"))["l1_hits"]) - before


# Commands that no Redis has.
OURS = {b"larder", b"tagadd", b"tagcount", b"taginvalidate", b"tagkeys", b"taglist", b"tagrem"}


@on_backends("memory")
def test_command_tells_what_redis_tells(lab, backend):
    """Arity, flags and key positions: clients route and cluster libraries count on them."""
    oracle, larder = lab.redis(), lab.larder(backend)
    with oracle.connect(3) as theirs, larder.connect(3) as ours:
        names = sorted(name for name in ours.value("COMMAND", "LIST") if b"|" not in name)
        assert len(names) == ours.value("COMMAND", "COUNT") and len(names) >= 60
        assert len(ours.value("COMMAND")) == len(names)
        expected, got = (described(client.value("COMMAND", "INFO", *names)) for client in (theirs, ours))
        for name in sorted(set(expected) & set(got)):
            assert got[name] == expected[name], f"{name}: expected {expected[name]}, got {got[name]}"
        assert set(names) - set(expected) == OURS
        docs = ours.value("COMMAND", "DOCS", "get", "set")
        assert set(docs) == {b"get", b"set"} and docs[b"get"][b"summary"]


def in_order(entry):
    """Redis gives subcommands in the order of a table that it may be rearranging, a step with each command looked up."""
    return entry[:9] + [sorted(entry[9])]


def test_command_in_front_of_redis_knows_all_of_both(lab):
    """Redis' own entries, whatever the protocol, and Larder's for what no Redis has."""
    one, cluster = lab.redis(), lab.redis_cluster(replicas=False)
    for redis, larder in ((one, lab.larder("redis", one)), (cluster.nodes[0], lab.larder("redis", cluster))):
        for protocol in (2, 3):
            with redis.connect(protocol) as theirs, larder.connect(protocol) as ours:
                said = {client: client.value("COMMAND") for client in (theirs, ours)}
                entries = {client: {entry[0]: entry for entry in reply} for client, reply in said.items()}
                assert len(said[ours]) == len(entries[ours]) == ours.value("COMMAND", "COUNT")
                assert {entry[0] for entry in ours.value("COMMAND", "INFO")} == entries[ours].keys()
                assert entries[ours].keys() - entries[theirs].keys() == OURS
                assert all(in_order(entries[ours][name]) == in_order(entry) for name, entry in entries[theirs].items())
                assert set(ours.value("COMMAND", "LIST")) - set(theirs.value("COMMAND", "LIST")) > OURS
                assert ours.value("COMMAND", "LIST", "FILTERBY", "PATTERN", "ta*") == sorted(OURS - {b"larder"})
                info = ours.value("COMMAND", "INFO", "xread", "tagadd", "nosuch", "config|get")
                assert [entry and entry[0] for entry in info] == [b"xread", b"tagadd", None, b"config|get"]
                docs = as_map(ours.value("COMMAND", "DOCS", "tagadd", "xadd", "set", "nosuch"))
                assert docs.keys() == {b"tagadd", b"xadd", b"set"} and b"TAGS" in repr(docs[b"set"]).encode()
                assert docs[b"xadd"] == as_map(theirs.value("COMMAND", "DOCS", "xadd"))[b"xadd"]
                assert as_map(ours.value("COMMAND", "DOCS")).keys() == entries[ours].keys()
                for command in (("XREAD", "STREAMS", "a", "0"), ("SET", "k", "v"), ("NOSUCH", "k"), ("PING",), ("GET",),
                                ("EVAL", "x", "2", "a", "b")):
                    for question in ("GETKEYS", "GETKEYSANDFLAGS"):
                        assert ours.call("COMMAND", question, *command) == theirs.call("COMMAND", question, *command)
                assert ours.value("COMMAND", "GETKEYS", "TAGADD", "k", "t") == [b"k"]
                assert ours.value("COMMAND", "HELP")[0].startswith(b"COMMAND")
                replies = [client.pipeline([("MULTI",), ("COMMAND", "COUNT"), ("EXEC",), ("COMMAND", "NOSUCH")])[1:]
                           for client in (theirs, ours)]
                assert replies[0] == replies[1]


def as_map(reply):
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))


def described(entries):
    """{name: (arity, flags, first key, last key, step)}"""
    return {entry[0]: (entry[1], sorted(entry[2]), *entry[3:6]) for entry in entries if entry}


@on_backends()
def test_clients_are_listed_named_and_killed(lab, backend):
    larder = lab.larder(backend)
    with larder.connect() as client, larder.connect() as other:
        other.call("CLIENT", "SETNAME", "other")
        other.call("SELECT", "3")
        number = other.value("CLIENT", "ID")
        assert number > client.value("CLIENT", "ID")
        line = next(line for line in client.value("CLIENT", "LIST").splitlines() if b" name=other " in line)
        here = b" laddr=127.0.0.1:%d " % larder.port
        for part in (b"id=%d " % number, b" db=3 ", b" addr=127.0.0.1:", here, b" age=", b" cmd="):
            assert part in b"%b " % line, line
        assert other.value("CLIENT", "INFO").startswith(b"id=%d " % number)
        assert client.value("CLIENT", "LIST", "ID", number).count(b"\n") == 1
        assert client.value("CLIENT", "KILL", "ID", number) == 1
        assert other.read_to_end() == b""
        wait_until(lambda: b"name=other" not in client.value("CLIENT", "LIST"), 5, "the client to leave the list")
        if not lab.stand_in:
            assert client.call("CLIENT", "SETINFO", "LIB-NAME", "tests") == b"+OK\r\n"
            assert client.call("CLIENT", "NO-TOUCH", "ON") == b"+OK\r\n"
            assert b" flags=T " in client.value("CLIENT", "INFO")
            client.call("CLIENT", "NO-TOUCH", "OFF")
        for word, flags in (("on", b"e"), ("off", b"N")):
            assert client.call("CLIENT", "NO-EVICT", word) == b"+OK\r\n"
            assert b" flags=%b " % flags in client.value("CLIENT", "INFO")


def test_clients_are_listed_with_their_commands(lab):
    """Also with those that only Redis knows."""
    redis = lab.redis()
    larder = lab.larder("redis", redis)

    def commands_of(server):
        with server.connect() as client, server.connect() as other:
            number = other.value("CLIENT", "ID")

            def command():
                return re.search(rb" cmd=(\S+) ", client.value("CLIENT", "LIST", "ID", number))[1]

            shown = []
            for words in ("LPUSH l x", "HGETALL h", "GET k", "lrange l 0 -1", "LPUSH l x y", "MULTI", "RPOP l",
                          "EXEC", "CONFIG GET hz", "EVAL x 0"):
                other.call(*words.split())
                shown.append((words, command()))
            other.send("BLPOP", "empty", 0)
            wait_until(lambda: b" flags=b " in client.value("CLIENT", "LIST"), 5, "it to wait")
            return [*shown, ("blpop", command())]

    assert commands_of(larder) == commands_of(redis)


@on_backends()
def test_who_kills_itself_runs_nothing_more(lab, backend):
    larder = lab.larder(backend)
    with larder.connect() as client, larder.connect() as other:
        number = client.value("CLIENT", "ID")
        client.send_bytes(b"".join(map(encode, (("DEL", "after"), ("CLIENT", "KILL", "ID", number, "SKIPME", "no"),
                                                ("SET", "after", "1"), ("PUBLISH", "channel", "message")))))
        assert client.read_to_end() == b":0\r\n:1\r\n"
        assert other.call("GET", "after") == b"$-1\r\n"
        # With the reply of one that stays, what it has sent behind is run.
        replies = other.pipeline([("CLIENT", "KILL", "ID", number), ("SET", "after", "2"), ("GET", "after")])
        assert replies == [b":0\r\n", b"+OK\r\n", b"$1\r\n2\r\n"]


@on_backends()
def test_monitor_shows_each_command_once(lab, backend):
    """Those that have to wait for others as well."""
    larder = lab.larder(backend)
    sent = [("DBSIZE",), ("KEYS", "*"), ("SET", "a", "1"), ("DBSIZE",), ("RANDOMKEY",), ("SCAN", "0"), ("WATCH", "a"), ("MULTI",),
            ("SET", "a", "2"), ("EXEC",), ("MULTI",), ("PING",), ("GET", "a"), ("EXEC",), ("FLUSHDB",), ("GET", "a"),
            ("SET", "b", "1"), ("RENAME", "b", "c"), ("GET", "c"), ("ECHO", "that was all")]
    with larder.connect() as monitor, larder.connect() as client:
        assert monitor.call("MONITOR") == b"+OK\r\n"
        client.pipeline(sent)
        shown = []
        while not shown or shown[-1] != sent[-1]:
            shown.append(tuple(word.decode() for word in re.findall(rb'"([^"]*)"', monitor.read())))
        assert shown == sent


@on_backends()
def test_what_is_refused_is_no_call(lab, backend):
    larder = lab.larder(backend)
    with larder.connect() as client:
        client.pipeline([("CONFIG", "SET", "slowlog-log-slower-than", "0"), ("CONFIG", "RESETSTAT"), ("SLOWLOG", "RESET")])
        replies = client.pipeline([("GET",), ("GET", "a", "b"), ("GET", "k"), ("CLIENT", "FOO"), ("FOO", "bar")])
        assert [reply[:4] for reply in replies] == [b"-ERR", b"-ERR", b"$-1\r", b"-ERR", b"-ERR"]
        kept = [entry[3] for entry in client.value("SLOWLOG", "GET", "100")]
        assert kept.count([b"GET", b"k"]) == 1 and [b"GET"] not in kept and [b"GET", b"a", b"b"] not in kept, kept
        assert backend == "redis" or [b"FOO", b"bar"] not in kept, kept  # a Redis behind may have it
        stats = fields(client.value("INFO", "commandstats"))["cmdstat_get"]
        assert re.match(r"calls=1,.*,rejected_calls=2,failed_calls=0$", stats), stats


def is_answered(client, seconds):
    return bool(select.select([client], [], [], seconds)[0])


@on_backends()
def test_pause_holds_commands_back(lab, backend):
    larder = lab.larder(backend)
    with larder.connect() as client, larder.connect() as other:
        assert client.call("CLIENT", "PAUSE", "400", "WRITE") == b"+OK\r\n"
        started = time.monotonic()
        assert other.call("GET", "k") == b"$-1\r\n"
        assert time.monotonic() - started < 0.3
        assert other.call("SET", "k", "v") == b"+OK\r\n"
        assert time.monotonic() - started > 0.3
        client.call("CLIENT", "PAUSE", "60000", "WRITE")
        other.send("SET", "k", "w")
        assert client.call("CLIENT", "UNPAUSE") == other.read() == b"+OK\r\n"
        client.call("CLIENT", "PAUSE", "60000", "WRITE")
        other.send("PUBLISH", "channel", "message")
        assert not is_answered(other, 0.1)
        client.call("CLIENT", "UNPAUSE")
        assert other.read() == b":0\r\n"
        for request in (("GET", "k"), ("PING",), ("SELECT", "0"), ("INFO",), ("CONFIG", "GET", "port")):
            client.call("CLIENT", "PAUSE", "60000")
            other.send(*request)
            assert not is_answered(other, 0.05), request
            assert client.call("CLIENT", "UNPAUSE") == b"+OK\r\n"
            assert not other.read().startswith(b"-"), request


@on_backends("memory")
def test_slow_commands_are_kept(lab, backend):
    larder = lab.larder(backend)
    with larder.connect() as client:
        client.pipeline([("CONFIG", "SET", "slowlog-log-slower-than", "1000"), ("SLOWLOG", "RESET"),
                         ("DEBUG", "SLEEP", "0.02")])
        entries = client.value("SLOWLOG", "GET")
        assert client.value("SLOWLOG", "LEN") == len(entries) == 1, entries
        number, when, microseconds, args, address, _name = entries[0]
        assert number >= 0 and abs(when - time.time()) < 60 and microseconds >= 20_000
        assert args == [b"DEBUG", b"SLEEP", b"0.02"] and address.startswith(b"127.0.0.1:")
        histogram = client.value("LATENCY", "HISTOGRAM", "set")
        client.call("SET", "k", "v")
        assert client.value("LATENCY", "HISTOGRAM", "set") != histogram


@on_backends()
def test_config_is_read_and_changed(lab, backend):
    larder = lab.larder(backend)
    with larder.connect(3) as client:
        assert client.value("CONFIG", "GET", "save", "appendonly") == {b"save": b"", b"appendonly": b"no"}
        everything = client.value("CONFIG", "GET", "*")
        assert {b"maxmemory", b"maxclients", b"timeout", b"databases"} <= set(everything)
        assert set(client.value("CONFIG", "GET", "max*")) == {name for name in everything if name.startswith(b"max")}
        assert client.call("CONFIG", "SET", "timeout", "77") == b"+OK\r\n"
        assert client.value("CONFIG", "GET", "timeout") == {b"timeout": b"77"}
        assert client.call("CONFIG", "SET", "timeout", "soon").startswith(b"-ERR ")
        assert client.value("CONFIG", "GET", "timeout") == {b"timeout": b"77"}


@on_backends()
def test_one_of_idle_time_and_frequency_is_kept(lab, backend):
    """Which one depends on the eviction policy, as in Redis; the other is refused with Redis' words."""
    with lab.larder(backend).connect() as client:
        client.call("SET", "k", "v")
        replies = sorted([client.call("OBJECT", "IDLETIME", "k"), client.call("OBJECT", "FREQ", "k")])
        assert b"maxmemory policy is" in replies[0] and replies[1][:1] == b":", replies


@on_backends()
def test_time_is_the_time(lab, backend):
    larder = lab.larder(backend)
    with larder.connect() as client:
        seconds, microseconds = map(int, client.value("TIME"))
        assert abs(seconds + microseconds / 1e6 - time.time()) < 2


def test_noeviction_refuses_writes_when_full(lab):
    larder = lab.larder(config={"l1.memory": "8mb", "l1.eviction": "noeviction"})
    if lab.stand_in:
        with larder.connect() as client:
            client.pipeline([("CONFIG", "SET", "maxmemory", "8mb")])
    with larder.connect() as client:
        replies = client.pipeline([("SET", f"k{n}", "v" * 1000) for n in range(20_000)])
        assert replies[0] == b"+OK\r\n"
        assert replies[-1] == b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"
        stored = replies.count(b"+OK\r\n")
        assert client.value("DBSIZE") == stored and client.value("GET", "k0") == b"v" * 1000
        client.pipeline([("DEL", f"k{n}") for n in range(100)])
        assert client.call("SET", "again", "v") == b"+OK\r\n"


def test_eviction_keeps_the_store_within_its_memory(lab):
    larder = lab.larder(config={"l1.memory": "32mb"})
    if lab.stand_in:
        lab.skip("redis-server evicts by another rule")
    with larder.connect() as client:
        for start in range(0, 200_000, 2000):
            replies = client.pipeline([("SET", f"k{n}", "v" * 1000) for n in range(start, start + 2000)])
            assert set(replies) == {b"+OK\r\n"}
        assert 15_000 < client.value("DBSIZE") < 35_000
        assert int(fields(client.value("INFO", "stats"))["evicted_keys"]) > 100_000
    lab.note(f"{larder.process.resident_bytes() / (1 << 20):.0f} MB resident")
    assert lab.sanitized or larder.process.resident_bytes() < 64 << 20


def test_every_other_command_is_forwarded_to_redis(lab):
    """What Larder does not know itself is answered by the Redis behind it, byte for byte."""
    oracle, larder = lab.redis(), lab.larder("redis")
    for protocol in (2, 3):
        with oracle.connect(protocol) as theirs, larder.connect(protocol) as ours:
            for client in (theirs, ours):
                client.call("FLUSHALL")
            for command in FORWARDED:
                command = command.split() if isinstance(command, str) else command
                expected, got = theirs.call(*command), ours.call(*command)
                assert got == expected, f"RESP{protocol} {command}: expected {expected!r}, got {got!r}"


COLLECTIONS = (
    ("HSET", "h", "f", "1", "g", "2"), ("RPUSH", "l", "a", "b"), ("SADD", "s", "1", "2"),
    ("ZADD", "z", "1.5", "a", "2", "b"), ("SET", "t", "text"),
)
# A read, its reply in RESP3, a write past Larder, and what the read then answers.
CACHED_READS = (
    (("HGETALL", "h"), {b"f": b"1", b"g": b"2"}, ("HDEL", "h", "g"), {b"f": b"1"}),
    (("HMGET", "h", "g", "no"), [b"2", None], ("HSET", "h", "g", "3"), [b"3", None]),
    (("LRANGE", "l", "0", "-1"), [b"a", b"b"], ("LPOP", "l"), [b"b"]),
    (("SMEMBERS", "s"), [b"1", b"2"], ("SREM", "s", "1"), [b"2"]),
    (("ZSCORE", "z", "a"), 1.5, ("ZINCRBY", "z", "1", "a"), 2.5),
    (("ZRANGE", "z", "0", "-1", "WITHSCORES"), [[b"a", 1.5], [b"b", 2.0]], ("ZREM", "z", "a"), [[b"b", 2.0]]),
    (("STRLEN", "t"), 4, ("APPEND", "t", "!"), 5),
    (("TYPE", "t"), b"string", ("DEL", "t"), b"none"),
    (("EXISTS", "none"), 0, ("SET", "none", "1"), 1),
)


def as_resp2(value):
    """How Redis writes a RESP3 value for a client that speaks RESP2."""
    if isinstance(value, dict):
        return [part for pair in value.items() for part in pair]
    if isinstance(value, list) and value and isinstance(value[0], list):
        return [as_resp2(part) for pair in value for part in pair]
    return b"%.17g" % value if isinstance(value, float) else value


def test_reads_of_all_types_are_answered_from_memory(lab):
    """Once read, they cost Redis nothing until the key changes; in each protocol in its own form."""
    redis = lab.redis()
    larder = lab.larder("redis", redis, workers=1)
    with redis.connect() as direct, larder.connect(2) as old, larder.connect(3) as new:
        forms = ((old, as_resp2), (new, lambda value: value))
        for read, before, write, after in CACHED_READS:
            direct.call("FLUSHALL")
            direct.pipeline(COLLECTIONS)
            for client, form in forms:
                wait_until(lambda: client.value(*read) == form(before), 5, f"{read} to be {before}")
                hits = int(larder.info("tiers")["l1_hits"])
                assert client.value(*read) == form(before), read
                assert int(larder.info("tiers")["l1_hits"]) == hits + 1, f"{read} was not answered from memory"
            direct.call(*write)
            for client, form in forms:
                wait_until(lambda: client.value(*read) == form(after), 5, f"{read} after {write} to be {after}")


def test_prefixes_say_what_is_kept_in_memory(lab):
    rules = {"l1.deny": ["no:"], "l1.observe": ["see:"], "l1.cache": ["no:yes:"]}
    larder = lab.larder("redis", workers=1, config=rules)
    with larder.connect() as client:
        for key in ("no:1", "no:yes:1", "see:1", "other"):
            client.call("SET", key, "value")
            for _ in range(3):
                assert client.value("GET", key) == b"value"
        tiers = larder.info("tiers")
        assert tiers["l1_hits"] == "4" and tiers["l1_entries"] == "3", tiers
        assert (tiers["l1_observed_hits"], tiers["l1_observed_misses"]) == ("2", "1"), tiers


def test_what_memory_believes_ends_with_its_ttl(lab):
    larder = lab.larder("redis", workers=1, config={"l1.max_ttl": "50ms", "l1.negative_ttl": "10ms"})
    with larder.connect() as client:
        client.call("SET", "k", "v")
        for key in ("k", "none"):
            client.call("GET", key)
            misses = int(larder.info("tiers")["l1_misses"])
            time.sleep(0.06)
            client.call("GET", key)
            assert int(larder.info("tiers")["l1_misses"]) == misses + 1


@on_backends()
def test_the_hottest_keys_are_known(lab, backend):
    larder = lab.larder(backend)
    with larder.connect() as client:
        assert client.value("LARDER", "HOTKEYS") == []
        cold = [("GET", f"cold{n}") for n in range(9)]
        for _ in range(100):
            client.pipeline([("GET", "hot")] * 40 + [("SET", "warm", "1")] * 10 + cold)
        hottest = client.value("LARDER", "HOTKEYS", "COUNT", "2")
        assert [entry[0] for entry in hottest] == [b"hot", b"warm"] and hottest[0][1] == 0, hottest
        assert hottest[0][2] > hottest[1][2] > 0, hottest
        assert client.call("LARDER", "HOTKEYS", "COUNT", "0").startswith(b"-ERR")
        assert client.call("LARDER", "HOTKEYS", "COUNT") == b"-ERR syntax error\r\n"
        assert b"HOTKEYS [COUNT <count>]" in client.value("LARDER", "HELP")


def as_map(reply):
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))


def test_parameters_that_only_redis_has_are_its_own(lab):
    redis = lab.redis("--appendonly", "yes")
    larder = lab.larder("redis", redis)
    for protocol in (2, 3):
        with larder.connect(protocol) as client, redis.connect(protocol) as direct:
            assert client.call("CONFIG", "SET", "notify-keyspace-events", "KEA") == b"+OK\r\n"
            assert as_map(direct.value("CONFIG", "GET", "notify-keyspace-events")) == {
                b"notify-keyspace-events": b"AKE"}
            assert as_map(client.value("CONFIG", "GET", "notify-*", "appendonly", "port", "timeout")) == {
                b"notify-keyspace-events": b"AKE", b"appendonly": b"yes", b"port": str(larder.port).encode(), b"timeout": b"0"}
            all_of_them = as_map(client.value("CONFIG", "GET", "*"))
            assert all_of_them[b"port"] == str(larder.port).encode() and b"hash-max-listpack-entries" in all_of_them
            for request in (("CONFIG", "GET", "no-such-parameter"), ("CONFIG", "SET", "no-such-parameter", "1"),
                            ("CONFIG", "SET", "hash-max-listpack-entries", "x")):
                assert client.call(*request) == direct.call(*request), request
            assert b"two commands" in client.call("CONFIG", "SET", "timeout", "1", "list-max-listpack-size", "5")
            client.pipeline([("MULTI",), ("CONFIG", "GET", "appendonly"), ("CONFIG", "GET", "list-max-*"), ("PING",)])
            first, second, last = client.value("EXEC")
            assert as_map(first) == {b"appendonly": b"yes"} and last == b"PONG"
            assert as_map(second) == {b"list-max-listpack-size": b"-2", b"list-max-ziplist-size": b"-2"}
    redis.stop()
    with larder.connect() as client:
        assert as_map(client.value("CONFIG", "GET", "timeout", "appendonly")) == {b"timeout": b"0"}
        assert client.call("CONFIG", "GET", "appendonly").startswith(b"-ERR")


def test_every_master_of_a_cluster_gets_a_parameter(lab):
    cluster = lab.redis_cluster(replicas=False)
    with lab.larder("redis", cluster).connect() as client:
        assert client.call("CONFIG", "SET", "list-max-listpack-size", "7") == b"+OK\r\n"
        for node in cluster.nodes:
            with node.connect() as direct:
                assert direct.value("CONFIG", "GET", "list-max-listpack-size")[1] == b"7"
