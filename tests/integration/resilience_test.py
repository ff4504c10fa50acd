"""What Larder does while the Redis behind it hangs, refuses or is gone."""

import signal
import threading
import time

from support.lab import demanding
from support.resp import encode, wait_until
from support.servers import key_slot, toml_text

# Time-outs short enough for a test, long enough for a loaded machine.
IMPATIENT = {"redis.command_timeout": "300ms", "redis.connect_timeout": "300ms", "redis.ping_interval": "100ms",
             "redis.ping_timeout": "250ms", "redis.breaker_failures": 3, "redis.breaker_pause": "100ms"}
WITHOUT_L1 = ("--l1-memory", "0")
# Keeps Redis from everything else for 400 ms.
BUSY = ("EVAL", "local t=redis.call('TIME') local e=t[1]*1000000+t[2]+400000 "
                "repeat t=redis.call('TIME') until t[1]*1000000+t[2]>e", 0)


def nodes_of(larder):
    """INFO nodes: by port."""
    lines = (dict(field.split("=", 1) for field in line.split(",")) for name, line in larder.info("nodes").items()
             if name.startswith("node"))
    return {int(line["address"].rsplit(":", 1)[1]): line for line in lines}


def breaker_of(larder, node):
    return nodes_of(larder)[node.port]["breaker"]


def await_breaker(larder, node, *states):
    wait_until(lambda: breaker_of(larder, node) in states, 10, f"the breaker to be {' or '.join(states)}")


def seconds_of(call):
    started = time.monotonic()
    result = call()
    return time.monotonic() - started, result


def check_fails_at_once(larder, *words):
    with larder.connect() as client:
        for _ in range(20):
            took, reply = seconds_of(lambda: client.call(*words))
            if b"its circuit breaker is open" in reply:
                assert took < 0.15, took
                return
    raise AssertionError(f"never refused by the breaker, but {reply!r}")


def test_a_node_that_hangs_is_left_alone_until_it_answers(lab):
    """SIGSTOP: its kernel still accepts connections, and nobody answers."""
    redis = lab.redis()
    larder = lab.larder("redis", redis, options=WITHOUT_L1, config=IMPATIENT, workers=1)
    clients = [lab.closing(larder.connect()) for _ in range(4)]
    assert clients[0].call("SET", "k", "v") == b"+OK\r\n"
    redis.process.freeze()
    for client in clients:
        client.send("GET", "k")
    for client in clients:
        assert b"did not answer in 300 ms" in client.read()
    await_breaker(larder, redis, "open", "half-open")
    check_fails_at_once(larder, "GET", "k")
    time.sleep(1.0)  # connections are lost and made, probes are sent: nothing of it closes the breaker
    check_fails_at_once(larder, "SET", "k", "v")
    assert larder.info("tiers")["backend_state"].startswith("down: ")
    redis.process.thaw()
    wait_until(lambda: clients[0].call("GET", "k") == b"$1\r\nv\r\n", 10, "the node to be used again")
    await_breaker(larder, redis, "closed")  # INFO is told within the next 50 ms
    node = nodes_of(larder)[redis.port]
    assert node["breaker_openings"] == "1"
    assert int(node["timeouts"]) >= 4 and larder.info("tiers")["backend_state"] == "connected"


def test_a_node_that_is_gone_is_probed_and_found_again(lab):
    redis = lab.redis()
    larder = lab.larder("redis", redis, options=WITHOUT_L1, config=IMPATIENT, workers=1)
    with larder.connect() as client:
        assert client.call("SET", "k", "v") == b"+OK\r\n"
        redis.crash()
        await_breaker(larder, redis, "open", "half-open")
        check_fails_at_once(larder, "GET", "k")
        redis.start()
        wait_until(lambda: client.call("SET", "k", "w") == b"+OK\r\n", 10, "the node to be used again")
    await_breaker(larder, redis, "closed")
    assert "circuit breaker" not in larder.process.log()  # the reason is logged, not the mechanism


def test_an_outage_of_postgres_is_logged_once(lab):
    """Larder looks for the database every two seconds at most, and says so once."""
    postgres = lab.postgres()
    larder = lab.larder("postgres", postgres)
    with larder.connect() as client:
        assert client.call("SET", "k", "v") == b"+OK\r\n"
        postgres.stop()
        wait_until(lambda: b"unreachable" in client.call("SET", "k", "v"), 10, "the outage to be noticed")
        time.sleep(1.5)  # some attempts fail
        postgres.start()
        wait_until(lambda: client.call("SET", "k", "v") == b"+OK\r\n", 20, "the database to be used again")
        wait_until(lambda: larder.info("tiers")["postgres_coherence"] == "listening", 20, "the L1 to be used again")
    log = larder.process.log()
    for line, times in (("no connection: ", 1), ("connected again", 1), ("the L1 is off: ", 1), ("listening for changes", 2)):
        assert log.count(line) == times, f"{line!r} in {log}"


def test_a_slow_command_opens_no_breaker(lab):
    """One time-out, and then answers again."""
    redis = lab.redis()
    larder = lab.larder("redis", redis, options=WITHOUT_L1, config=IMPATIENT, workers=1)
    with larder.connect() as client, redis.connect() as direct:
        # What Larder asks by itself when it has started would time out too.
        wait_until(lambda: b"cmdstat_script|load" in direct.value("INFO", "commandstats"), 10, "its scripts to be loaded")
        assert b"did not answer" in client.call(*BUSY)
        wait_until(lambda: client.call("SET", "k", "v") == b"+OK\r\n", 10, "Redis to be done")
    node = nodes_of(larder)[redis.port]
    assert (node["breaker"], node["breaker_openings"], node["timeouts"]) == ("closed", "0", "1"), node


@demanding
def test_a_frozen_node_slows_nobody_elses_keys(lab):
    """Readers and pipelining writers of the other nodes, while others ask the frozen node all the time."""
    cluster = lab.redis_cluster("--cluster-require-full-coverage", "no", replicas=False)
    larder = lab.larder("redis", cluster, options=WITHOUT_L1, workers=1,
                        config={**IMPATIENT, "redis.command_timeout": "1s"})
    frozen = cluster.nodes[0]
    theirs = [f"k{n}" for n in range(200) if key_slot(f"k{n}") >= 5462]
    frozen_key = next(f"k{n}" for n in range(200) if key_slot(f"k{n}") < 5461)
    with larder.connect() as client:
        assert client.call("SET", frozen_key, "v") == b"+OK\r\n"
        # A pipeline is one round trip however many nodes are in it, with a node at rest or without.
        calm = Prober(larder, theirs).run_for(1.0)
    victims = [Victim(larder, frozen_key) for _ in range(8)]
    frozen.process.freeze()
    try:
        troubled = Prober(larder, theirs).run_for(4.0)
    finally:
        frozen.process.thaw()
        errors = sum(victim.stop() for victim in victims)
    lab.note(f"slowest of 99 % calm {calm[0] * 1000:.1f} ms, troubled {troubled[0] * 1000:.1f} ms; "
             f"max {troubled[1] * 1000:.1f} ms; {errors} errors for the frozen node")
    assert errors >= 8, "nobody asked the frozen node"
    assert troubled[1] < 1.0, "somebody waited until the request to the frozen node had timed out"
    wait_until(lambda: breaker_of(larder, frozen) == "closed", 5, "the frozen node to be used again")


class Prober:
    """Asks for keys, one by one and in pipelines; every reply must be right."""

    def __init__(self, larder, keys):
        self._larder, self._keys = larder, keys

    def run_for(self, seconds):
        """(the time that 99 % of the round trips do not exceed, the longest one)"""
        times, deadline = [], time.monotonic() + seconds
        with self._larder.connect() as client:
            while time.monotonic() < deadline:
                took, reply = seconds_of(lambda: client.call("SET", self._keys[0], "v"))
                assert reply == b"+OK\r\n", reply
                times.append(took)
                commands = [(name, key, *value) for key in self._keys[:20]
                            for name, value in (("SET", "v"), ("GET", ()))]
                took, replies = seconds_of(lambda: client.pipeline(commands))
                assert replies == 20 * [b"+OK\r\n", b"$1\r\nv\r\n"], replies
                times.append(took)
        times.sort()
        return times[len(times) * 99 // 100], times[-1]


class Victim(threading.Thread):
    """Asks for a key of a node that does not answer, again and again."""

    def __init__(self, larder, key):
        super().__init__(daemon=True)
        self._larder, self._key = larder, key
        self._stopping, self._errors = False, 0
        self.start()

    def run(self):
        with self._larder.connect() as client:
            while not self._stopping:
                self._errors += client.call("GET", self._key).startswith(b"-")

    def stop(self):
        """The number of errors."""
        self._stopping = True
        self.join(15)
        assert not self.is_alive(), "a read hangs"
        return self._errors


def lose_unanswered(redis, larder, *commands):
    """Larder's connections are cut while Redis has these commands in its sockets and has not read them; the replies."""
    with redis.connect() as direct, larder.connect() as client:
        assert client.call("TTL", "k") == b":-1\r\n"  # there is a connection to cut
        number = client.value("CLIENT", "ID")
        direct.call("PING")  # Redis looks at the connections that had something to say last first: the kill is to be read first
        redis.process.freeze()
        try:
            direct.send("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            client.send_bytes(b"".join(map(encode, commands)))
            await_sent(larder, number)
        finally:
            redis.process.thaw()
        replies = [client.read() for _ in commands]
        assert direct.read() != b":0\r\n"
        return replies


def await_sent(larder, number):
    """... to the backend: what the client of that number has asked for."""
    with larder.connect() as observer:
        wait_until(lambda: b" oll=0 " not in observer.value("CLIENT", "LIST", "ID", number), 10, "the request to be read")
        observer.call("PING")  # what is read in one go is sent before the next


def test_a_read_whose_connection_is_lost_is_sent_again(lab):
    """Once, and a write never."""
    redis = lab.redis()
    for options in (WITHOUT_L1, ()):
        larder = lab.larder("redis", redis, options=options, workers=1)
        with larder.connect() as client:
            client.pipeline([("SET", "k", "v"), ("SET", "n", 1), ("HSET", "h", "f", "w"), ("SELECT", 3), ("SET", "k", "3")])
        reads = [("GET", "k"), ("HGETALL", "h"), ("MGET", "k", "n"), ("TTL", "k"), ("SELECT", 3), ("GET", "k")]
        assert lose_unanswered(redis, larder, *reads) == [
            b"$1\r\nv\r\n", b"*2\r\n$1\r\nf\r\n$1\r\nw\r\n", b"*2\r\n$1\r\nv\r\n$1\r\n1\r\n", b":-1\r\n", b"+OK\r\n",
            b"$1\r\n3\r\n"], options
        assert int(larder.info("tiers")["backend_sent_again"]) >= 4
        (reply,) = lose_unanswered(redis, larder, ("INCR", "n"))
        assert b"whether the write took effect is unknown" in reply, reply
        (reply,) = lose_unanswered(redis, larder, ("PUBLISH", "channel", "message"))
        assert b"was lost" in reply, reply
        # The write may have taken effect: a read before it might see it now.
        read, write, after = lose_unanswered(redis, larder, ("TTL", "n"), ("INCR", "n"), ("TTL", "n"))
        assert b"was lost" in read and b"is unknown" in write and b"was lost" in after
        with larder.connect() as client:
            assert client.value("GET", "n") == b"1"
        larder.stop()


STALE_S, BRIEF_S = 3, 2
STALE = {**IMPATIENT, "l1.stale_on_error": f"{STALE_S}s"}


def filled(lab, larder, redis):
    """A client of a Larder whose L1 knows some keys, among them one that does not exist and one that will expire."""
    client = lab.closing(larder.connect())
    with redis.connect() as direct:
        direct.pipeline([("SET", "k", "v"), ("SET", "j", "w"), ("HSET", "h", "f", "x"), ("SET", "brief", "y", "EX", BRIEF_S)])
    for _ in range(2):
        assert [client.value(*words) for words in (("GET", "k"), ("GET", "j"), ("HGET", "h", "f"), ("GET", "none"),
                                                   ("GET", "brief"))] == [b"v", b"w", b"x", None, b"y"]
    return client


def test_clients_leave_before_the_connection_that_owes_them_replies(lab):
    """Their writes time out, others take their place in memory, and only then is the connection lost."""
    redis = lab.redis()
    gate = lab.gate(redis)
    config = {"redis.command_timeout": "100ms", "redis.ping_timeout": "60s", "redis.breaker_failures": 100_000}
    larder = lab.larder("redis", gate, config=config, options=WITHOUT_L1, workers=1)
    for _ in range(5):
        clients = [larder.connect() for _ in range(30)]
        wait_until(lambda: clients[0].call("SET", "k", "v") == b"+OK\r\n", 5, "Redis to be reached")
        redis.process.freeze()
        for client in clients:
            client.send("SET", "k", "w" * 100)
        for client in clients:
            assert b"did not answer in 100 ms" in client.read()
            client.close()
        for number in range(100):
            with larder.connect() as other:
                other.call("CLIENT", "SETNAME", "x" * (10 * number + 1))
        gate.cut()
        redis.process.thaw()
    with larder.connect() as client:
        assert client.call("PING") == b"+PONG\r\n"


def test_stale_answers_while_redis_is_gone(lab):
    """Up to the limit since the loss, never past the key's own end, and none once Redis is back."""
    redis = lab.redis()
    larder = lab.larder("redis", redis, config=STALE)
    client = filled(lab, larder, redis)
    redis.crash()
    lost = time.monotonic()
    replies = client.pipeline([("GET", "k"), ("STRLEN", "k"), ("HGET", "h", "f"), ("MGET", "k", "j"), ("EXISTS", "none")])
    assert replies == [b"$1\r\nv\r\n", b":1\r\n", b"$1\r\nx\r\n", b"*2\r\n$1\r\nv\r\n$1\r\nw\r\n", b":0\r\n"], replies
    assert client.call("GET", "unknown").startswith(b"-ERR Redis at ")
    assert client.call("MGET", "k", "unknown").startswith(b"-ERR Redis at ")
    assert client.call("SET", "k", "new").startswith(b"-ERR Redis at ")
    brief, other = wait_until(lambda: (both := client.pipeline([("GET", "brief"), ("GET", "k")]))[0][:4] == b"-ERR" and both,
                              5, "the key's own end")
    assert other == b"$1\r\nv\r\n" or time.monotonic() > lost + STALE_S, (brief, other)
    wait_until(lambda: client.call("GET", "k").startswith(b"-ERR"), 5, "the limit")
    assert time.monotonic() > lost + STALE_S - 0.1
    assert stale_served(larder) >= 5
    redis.start()  # empty
    wait_until(lambda: client.call("SET", "other", "1") == b"+OK\r\n", 10, "Redis to be used again")
    for other in [client, *(lab.closing(larder.connect()) for _ in range(3))]:  # of both workers
        wait_until(lambda: not other.call("GET", "k").startswith(b"-"), 10, "Redis to be used again")
        assert [other.value("GET", key) for key in ("k", "j", "brief")] == [None, None, None]


def test_stale_answers_end_with_the_outage(lab):
    """Redis hangs, is changed by others as soon as it goes on, and goes on within the limit."""
    redis = lab.redis()
    larder = lab.larder("redis", redis, config={**STALE, "l1.stale_on_error": "1h"})
    client = filled(lab, larder, redis)
    other = lab.closing(larder.connect())
    direct = lab.closing(redis.connect())
    value = b"$1\r\nv\r\n"
    for round_number in range(3):
        served = stale_served(larder)
        redis.process.freeze()
        wait_until(lambda: [each.call("GET", "k") for each in (client, other)] == [value, value]
                   and stale_served(larder) >= served + 2, 5, "stale answers")
        direct.send("SET", "k", round_number)
        redis.process.thaw()
        assert direct.read() == b"+OK\r\n"
        changed = time.monotonic()
        value = b"$1\r\n%d\r\n" % round_number
        wait_until(lambda: client.call("GET", "k") == value, 10, "the new value")
        lab.note(f"seen {(time.monotonic() - changed) * 1000:.0f} ms after the change")
        assert other.call("GET", "k") == value  # once one worker has heard of Redis again, no other shows what is older


def stale_served(larder):
    return int(larder.info("tiers")["l1_stale_served"])


def test_nothing_stale_unless_it_is_asked_for(lab):
    redis = lab.redis()
    larder = lab.larder("redis", redis, config=IMPATIENT)
    client = filled(lab, larder, redis)
    redis.crash()
    # The client's worker may read its request before the end of the connection, which has come earlier.
    wait_until(lambda: client.call("GET", "k").startswith(b"-ERR Redis at "), 10, "the loss to be noticed")
    for words in (("HGET", "h", "f"), ("MGET", "k", "j"), ("GET", "none"), ("GET", "k")):
        assert client.call(*words).startswith(b"-ERR Redis at "), words
    assert stale_served(larder) == 0


def test_without_redis_at_start_another_backend_takes_its_place(lab):
    """If one is named, and only when nobody answers as Redis does: refused, silent, or a wrong password."""
    redis, locked = lab.redis(), lab.redis("--requirepass", "secret")
    database = lab.postgres()
    for behind, fallback, kind, why in ((redis, "memory", "memory", "refused"), (redis, "database", "postgres", "refused"),
                                        (locked, "memory", "memory", "requires a password")):
        if behind is redis and redis.process.running():
            redis.crash()
        larder = lab.larder("redis", behind, env={"DATABASE_URL": database.url},
                            config={"redis.fallback": fallback, "redis.connect_timeout": "500ms"})
        with larder.connect() as client:
            assert client.call("SET", "k", "v") == b"+OK\r\n" and client.value("GET", "k") == b"v"
        tiers = larder.info("tiers")
        assert tiers["backend"] == kind and "Redis cannot be reached" in tiers["backend_reason"], tiers
        assert why in tiers["backend_reason"], tiers["backend_reason"]
        assert larder.process.log().count(f"this Larder runs on {kind} until it is started again") == 1
        larder.stop()
    redis.start()
    larder = lab.larder("redis", redis, config={"redis.fallback": "memory"})
    assert larder.info("tiers")["backend"] == "redis"
    redis.process.freeze()
    try:
        frozen = lab.larder("redis", redis, config={"redis.fallback": "memory", "redis.connect_timeout": "300ms"})
        assert frozen.info("tiers")["backend"] == "memory"
    finally:
        redis.process.thaw()
    redis.crash()
    without = lab.larder("redis", redis)
    assert without.info("tiers")["backend"] == "redis"


@demanding
def test_clients_wait_when_redis_does_not_keep_up(lab):
    """A Redis that stops reading: what Larder holds for it is bounded, nobody is refused, nothing is lost."""
    redis = lab.redis()
    patient = {"redis.command_timeout": "60s", "redis.ping_timeout": "60s", "redis.max_in_flight": "1mb"}
    larder = lab.larder("redis", redis, options=WITHOUT_L1, config=patient, workers=1)
    clients = [lab.closing(larder.connect(timeout=60)) for _ in range(20)]
    for client in clients:
        client.call("PING")
    value = b"x" * 100_000
    before = larder.process.resident_bytes()
    redis.process.freeze()
    try:
        sent = [send_until_blocked(client, encode(("SET", f"k{number}", value)), 400)
                for number, client in enumerate(clients)]
        grown_mb = (larder.process.resident_bytes() - before) / 1e6
        with larder.connect() as bystander:
            assert bystander.call("PING") == b"+PONG\r\n"
            assert int(larder.info("tiers")["backend_in_flight"]) < 100
    finally:
        redis.process.thaw()
    lab.note(f"{sum(sent) / 10:.0f} MB sent, of which Larder holds {grown_mb:.1f} MB")
    assert sum(sent) > 200, "hardly anything was sent"
    assert lab.sanitized or grown_mb < 40, grown_mb
    for client, count in zip(clients, sent):
        assert [client.read() for _ in range(count)] == count * [b"+OK\r\n"]


def send_until_blocked(client, request, limit):
    """How many requests a client gets rid of, each tried for a moment."""
    client.set_timeout(0.05)
    sent = 0
    try:
        while sent < limit:
            client.send_bytes(request)
            sent += 1
    except TimeoutError:
        pass  # the rest of that request is never sent: it is not counted
    client.set_timeout(60)
    return sent


@demanding
def test_large_replies_for_a_client_that_does_not_read(lab):
    """Forwarded ones: Larder does not ask Redis for more than it has room for."""
    redis = lab.redis()
    larder = lab.larder("redis", redis, options=WITHOUT_L1, workers=1)
    value = b"y" * 1_000_000
    with larder.connect(timeout=60) as client:
        client.call("SET", "big", value)
        assert client.value("GET", "big") == value
        before = larder.process.resident_bytes()
        client.send_bytes(500 * encode(("GETRANGE", "big", 0, -1)))
        time.sleep(1.0)
        grown_mb = (larder.process.resident_bytes() - before) / 1e6
        lab.note(f"500 MB asked for and not read: Larder has grown by {grown_mb:.1f} MB")
        assert lab.sanitized or grown_mb < 64, grown_mb
        for _ in range(500):
            assert len(client.read()) == len(value) + 12


def test_where_the_time_of_a_slow_command_went(lab):
    """LARDER SLOWLOG; SLOWLOG GET keeps to the six fields of Redis."""
    redis = lab.redis()
    larder = lab.larder("redis", redis, workers=1, config={"server.slowlog_log_slower_than": 0})
    with larder.connect() as client:
        client.call("SET", "k", "v")
        client.call("GET", "k")
        client.call("SLOWLOG", "RESET")
        client.call("GET", "k")
        number = client.value("CLIENT", "ID")
        redis.process.freeze()
        client.send("HGET", "h", "f")
        await_sent(larder, number)
        time.sleep(0.3)
        redis.process.thaw()
        assert client.read() == b"$-1\r\n"
        entries = {entry[3][0]: entry for entry in client.value("LARDER", "SLOWLOG", "-1")}
        assert all(len(entry) == 6 for entry in client.value("SLOWLOG", "GET", "-1"))
    for entry in entries.values():
        l1, queue, upstream = entry[6][1::2]
        assert entry[6][::2] == [b"l1", b"queue", b"upstream"] and l1 + queue + upstream == entry[2], entry
    assert entries[b"GET"][6][1] == entries[b"GET"][2]  # from L1
    assert entries[b"HGET"][6][5] > 300_000 and entries[b"HGET"][6][5] > entries[b"HGET"][6][3]


def test_forwarded_commands_have_latencies_too(lab):
    """Also those without a row in Larder's table; names that somebody made up do not pile up."""
    larder = lab.larder("redis", workers=2)
    clients = [lab.closing(larder.connect()) for _ in range(2)]
    for client in clients:
        client.pipeline([("lpush", "l", "a"), ("LPUSH", "l", "b"), ("ZADD", "z", 1, "m"), ("SET", "k", "v"), ("LPUSH", "l")])
        client.pipeline([(f"made-up-{n}",) for n in range(2000)])
        assert client.call("odd:name\r\n").startswith(b"-ERR")
    stats = larder.info("commandstats")
    assert stats["cmdstat_lpush"].startswith("calls=6,") and stats["cmdstat_lpush"].endswith("failed_calls=2"), stats
    assert stats["cmdstat_set"].startswith("calls=2,") and len(stats) < 1200, len(stats)
    assert not any("odd" in name for name in stats) and int(stats["cmdstat_other"].split(",")[0].split("=")[1]) > 1000
    assert "latency_percentiles_usec_zadd" in larder.info("latencystats")
    histogram = clients[0].value("LATENCY", "HISTOGRAM", "lpush")
    assert histogram[0] == b"lpush" and histogram[1][:2] == [b"calls", 6], histogram
    clients[0].call("CONFIG", "RESETSTAT")
    assert clients[0].value("LATENCY", "HISTOGRAM", "lpush") == []
    assert nodes_of(larder)[larder.behind.port]["p99_usec"] == "0"


def test_sighup_changes_what_l1_keeps(lab):
    redis = lab.redis()
    larder = lab.larder("redis", redis, config={"l1.max_ttl": "1h"})
    clients = [lab.closing(larder.connect()) for _ in range(2)]

    def hits_of_a_read(key):
        for client in clients:
            client.pipeline(2 * [("GET", key)])
        before = int(larder.info("tiers")["l1_hits"])
        for client in clients:
            client.call("GET", key)
        return int(larder.info("tiers")["l1_hits"]) - before

    assert hits_of_a_read("secret:1") == 2
    (larder.directory / "larder.toml").write_text(toml_text({"l1.max_ttl": "1h", "l1.deny": ["secret:"],
                                                             "redis.command_timeout": "200ms"}))
    larder.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "in force now: l1.deny, redis.command_timeout" in larder.process.log(), 5, "the file to be read")
    wait_until(lambda: hits_of_a_read("secret:1") == 0, 5, "both workers to know the new rule")
    assert hits_of_a_read("open:1") == 2
    redis.process.freeze()
    assert b"did not answer in 200 ms" in clients[0].call("SET", "k", "v")
    redis.process.thaw()
