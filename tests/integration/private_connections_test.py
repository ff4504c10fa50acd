"""What needs a connection to Redis of its own: commands that wait, and WATCH."""

import threading
import time

from support.resp import decode, wait_until

OK, QUEUED, NIL = b"+OK\r\n", b"+QUEUED\r\n", b"*-1\r\n"

# What waits, and what another client then does; all in one slot.
WAITING = """
BLPOP {t}a {t}l 0|RPUSH {t}l x y
BRPOP {t}l 0|RPUSH {t}l x y
BLMOVE {t}l {t}m LEFT RIGHT 0|RPUSH {t}l x y
BRPOPLPUSH {t}l {t}m 0|RPUSH {t}l x y
BLMPOP 0 2 {t}a {t}l LEFT COUNT 2|RPUSH {t}l x y z
BZPOPMIN {t}z 0|ZADD {t}z 1.5 m
BZPOPMAX {t}z 0|ZADD {t}z 1.5 m 2.5 n
BZMPOP 0 1 {t}z MAX|ZADD {t}z 1.5 m 2.5 n
XREADGROUP GROUP g c BLOCK 0 STREAMS {t}s >|XADD {t}s 1-1 f v
XREAD BLOCK 0 STREAMS {t}s $|XADD {t}s 1-2 f v
BLPOP {t}l 0.05|PING
BRPOPLPUSH {t}l {t}m 0.05|PING
BZPOPMIN {t}z 0.05|PING
XREAD BLOCK 50 STREAMS {t}s $|PING
BLPOP {t}string 0|PING
BLPOP {t}l x|PING
BLMPOP 0 0 {t}l LEFT|PING
BLPOP|PING
"""


def clients_of(redis):
    """Connections to it, but for ours."""
    with redis.connect() as client:
        return len(client.value("CLIENT", "LIST").splitlines()) - 1


def private(larder):
    info = larder.info("tiers")
    return int(info["backend_private_in_use"]), int(info["backend_private_idle"])


def someone_waits(redis):
    for node in getattr(redis, "nodes", [redis]):
        with node.connect() as client:
            if b"blocked_clients:0" not in client.value("INFO", "clients"):
                return True
    return False


def waits(larder, client_id):
    def line():
        with larder.connect() as client:
            fields = dict(field.split("=", 1) for field in
                          client.value("CLIENT", "LIST", "ID", client_id).decode().split())
            return "b" in fields["flags"]
    wait_until(line, 5, "the client to wait")


def played(server, behind, protocol):
    """Replies to all of it, and what the keys hold then."""
    replies = []
    with server.connect(protocol) as client, server.connect(protocol) as other:
        for key in ("{t}l", "{t}m", "{t}z", "{t}s", "{t}a", "{t}string"):
            other.call("DEL", key)
        other.pipeline([("XADD", "{t}s", "0-1", "f", "v"), ("XGROUP", "CREATE", "{t}s", "g", "$"), ("SET", "{t}string", "x")])
        for line in WAITING.strip().splitlines():
            waiting, then = (part.split() for part in line.split("|"))
            other.call("LLEN", "{t}l"), other.call("GET", "{t}string")  # L1 has them
            client.send(*waiting)
            client.send("PING", "behind it")
            if then != ["PING"]:
                wait_until(lambda: someone_waits(behind), 5, line)
                replies.append(other.call(*then))
            replies += [client.read(), client.read()]
            replies.append(other.pipeline([("LRANGE", "{t}l", 0, -1), ("LRANGE", "{t}m", 0, -1), ("ZCARD", "{t}z"),
                                           ("LLEN", "{t}l")]))
            other.pipeline([("DEL", "{t}l"), ("DEL", "{t}m"), ("DEL", "{t}z")])
    return replies


def test_waiting_commands_answer_like_redis(lab):
    oracle = lab.redis()
    for behind in (lab.redis(), lab.redis_cluster(replicas=False)):
        larder = lab.larder("redis", behind)
        for protocol in (2, 3):
            assert played(larder, behind, protocol) == played(oracle, oracle, protocol)
        assert private(larder)[0] == 0
        larder.stop()


def test_wait_counts_replicas(lab):
    """... that have what was written before, by the same client through the shared connections."""
    redis = lab.redis()
    replica = lab.redis("--replicaof", "127.0.0.1", redis.port)
    larder = lab.larder("redis", redis)
    with larder.connect() as client, replica.connect() as there:
        wait_until(lambda: b"master_link_status:up" in there.value("INFO", "replication"), 10, "the replica")
        for n in range(20):
            client.send("SET", "k", n)
            client.send("WAIT", 1, 5000)
            assert client.read() == OK and client.read() == b":1\r\n"
            assert there.value("GET", "k") == b"%d" % n
        assert client.value("WAIT", 2, 50) == 1
        larder.stop()


def test_a_waiting_client_and_its_neighbours(lab):
    """It waits beyond every time-out; meanwhile L1 answers the others, and what it popped is void."""
    redis = lab.redis()
    larder = lab.larder("redis", redis, config={"redis.command_timeout": "300ms", "redis.ping_interval": "50ms",
                                               "redis.ping_timeout": "200ms"})
    with larder.connect() as waiting, larder.connect() as other:
        number = waiting.value("CLIENT", "ID")
        other.pipeline([("SET", "k", "v"), ("GET", "k"), ("RPUSH", "full", "x"), ("LLEN", "queue"), ("GET", "k")])
        waiting.send("BLMPOP", 0, 1, "queue", "LEFT")
        waits(larder, number)
        hits = int(larder.info("tiers")["l1_hits"])
        for _ in range(5):
            assert other.pipeline([("GET", "k")] * 100) == [b"$1\r\nv\r\n"] * 100
        assert int(larder.info("tiers")["l1_hits"]) > hits + 450
        time.sleep(1.0)  # longer than any of the time-outs
        assert other.value("RPUSH", "queue", "job") == 1
        assert decode(waiting.read()) == [b"queue", [b"job"]]
        assert other.value("LLEN", "queue") == 0 and private(larder) == (0, 1)


def test_a_waiting_client_is_unblocked(lab):
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    with larder.connect() as waiting, larder.connect() as other:
        number = waiting.value("CLIENT", "ID")
        assert other.value("CLIENT", "UNBLOCK", number) == 0
        for how, reply in ((), NIL), (("TIMEOUT",), NIL), (
                ("ERROR",), b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"):
            waiting.send("BLPOP", "queue", 0)
            waits(larder, number)
            assert wait_until(lambda: other.value("CLIENT", "UNBLOCK", number, *how), 5, "it to be unblocked") == 1
            assert waiting.read() == reply
        assert other.value("CLIENT", "UNBLOCK", number) == 0 and waiting.call("PING") == b"+PONG\r\n"


def test_clients_that_die_leave_nothing(lab):
    """Neither connections to Redis nor requests that are still waited for."""
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    with larder.connect() as client:
        client.pipeline([("GET", "k"), ("WATCH", "k"), ("UNWATCH",)])
        wait_until(lambda: private(larder) == (0, 1), 5, "the connection to be idle")
        for _ in range(6):  # both workers have the shared connections that this takes
            larder.info("tiers")
        before = clients_of(redis)
        waiting = [larder.connect() for _ in range(20)]
        for one in waiting:
            one.send("BLPOP", "queue", 0)
        watching = [larder.connect() for _ in range(20)]
        for one in watching:
            assert one.call("WATCH", "k") == OK
        wait_until(lambda: private(larder)[0] == 40, 5, "all to have their connections")
        for one in (*waiting, *watching):
            one.close()
        wait_until(lambda: private(larder)[0] == 0, 5, "their connections to be given back")
        wait_until(lambda: clients_of(redis) <= before, 5, "Redis to have no more clients than before")
        assert client.value("RPUSH", "queue", "x") == 1 and client.value("LLEN", "queue") == 1
        wait_until(lambda: larder.info("tiers")["backend_in_flight"] == "0", 5, "nothing to be waited for")


def test_the_pool_is_exhausted(lab):
    larder = lab.larder("redis", config={"redis.private_connections": 2})
    with larder.connect() as a, larder.connect() as b, larder.connect() as c:
        assert a.call("WATCH", "k") == OK and b.call("WATCH", "k") == OK
        for command in (("BLPOP", "q", 0), ("WATCH", "k")):
            assert c.call(*command).startswith(b"-ERR no upstream connection is left for "), command
        assert c.call("GET", "k") == b"$-1\r\n" and c.pipeline([("MULTI",), ("EXEC",)]) == [OK, b"*0\r\n"]
        assert a.call("UNWATCH") == OK and c.call("WATCH", "k") == OK


def test_redis_dies_under_those_who_wait(lab):
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    with larder.connect() as waiting, larder.connect() as watching:
        number = waiting.value("CLIENT", "ID")
        assert watching.pipeline([("SET", "k", 1), ("WATCH", "k"), ("GET", "k")]) == [OK, OK, b"$1\r\n1\r\n"]
        waiting.send("BLPOP", "queue", 0)
        waits(larder, number)
        redis.crash()
        assert waiting.read().startswith(b"-ERR Redis at 127.0.0.1:")
        redis.start()
        wait_until(lambda: watching.call("GET", "k") == b"$-1\r\n", 5, "Redis to be back")
        assert watching.pipeline([("MULTI",), ("SET", "k", 2), ("EXEC",)]) == [OK, QUEUED, NIL]
        assert watching.pipeline([("MULTI",), ("SET", "k", 2), ("EXEC",)]) == [OK, QUEUED, b"*1\r\n+OK\r\n"]
        assert private(larder)[0] == 0


def test_shutdown_does_not_wait_for_those_who_wait(lab):
    larder = lab.larder("redis")
    with larder.connect() as waiting, larder.connect() as watching:
        number = waiting.value("CLIENT", "ID")
        waiting.send("BLPOP", "queue", 0)
        waits(larder, number)
        assert watching.call("WATCH", "k") == OK
        started = time.monotonic()
        larder.stop()
        assert time.monotonic() - started < 3


# Steps of two clients; `=` is the other one.
WATCHED = """
WATCH {t}k|GET {t}k|MULTI|SET {t}k 2|EXEC|GET {t}k
WATCH {t}k|=SET {t}k 9|MULTI|SET {t}k 2|EXEC|GET {t}k|MULTI|SET {t}k 3|EXEC
WATCH {t}k|SET {t}k 1|MULTI|GET {t}k|EXEC
WATCH {t}k|=SET {t}k 9|UNWATCH|MULTI|GET {t}k|EXEC
WATCH {t}k|=SET {t}k 9|MULTI|DISCARD|MULTI|GET {t}k|EXEC
WATCH {t}k|=SET {t}k 9|MULTI|GET|EXEC|MULTI|GET {t}k|EXEC
WATCH {t}k|=SET {t}k 9|MULTI|UNWATCH|GET {t}k|EXEC|MULTI|EXEC
WATCH {t}k|=SET {t}k 9|MULTI|PING|EXEC|MULTI|PING|EXEC
WATCH {t}k|=SET {t}k 9|MULTI|EXEC|MULTI|EXEC
WATCH {t}k|MULTI|PING|CLIENT GETNAME|GET {t}k|EXEC
WATCH {t}k {t}l|WATCH {t}m|=DEL {t}m|MULTI|GET {t}k|EXEC
WATCH {t}k|=SET {t}other 1|MULTI|GET {t}other|EXEC
WATCH {t}k|=FLUSHALL|MULTI|GET {t}k|EXEC
WATCH {t}k|WATCH {t}k|MULTI|WATCH {t}k|EXEC
WATCH {t}k|=SET {t}k 9|RESET|MULTI|GET {t}k|EXEC
"""
def test_wait_in_a_cluster_means_every_master(lab):
    cluster = lab.redis_cluster()
    larder = lab.larder("redis", cluster)
    keys = [next(f"k{n}" for n in range(1000) if cluster.owner(f"k{n}") is master) for master in cluster.nodes[:3]]
    for protocol in (2, 3):
        with larder.connect(protocol) as client, larder.connect() as other:
            number = client.value("CLIENT", "ID")
            replies = client.pipeline([*(("SET", key, protocol) for key in keys), ("WAIT", 1, 10_000), ("GET", keys[0])])
            assert replies[3:] == [b":1\r\n", b"$1\r\n%d\r\n" % protocol]
            assert client.value("WAIT", 2, 50) == 1
            assert client.call("WAIT", "x", 0) == b"-ERR value is not an integer or out of range\r\n"
            laggard = cluster.replica_of(cluster.nodes[1]).process
            laggard.freeze()
            try:
                client.value("SET", keys[1], "late")
                assert client.value("WAIT", 1, 100) == 0
                client.send("WAIT", 1, 0)
                waits(larder, number)
                assert other.value("CLIENT", "UNBLOCK", number) == 1
                assert client.read() == b":0\r\n"
            finally:
                laggard.thaw()
            assert client.value("WAIT", 1, 10_000) == 1
    wait_until(lambda: private(larder)[0] == 0, 5, "the connections to be given back")


# One node only: databases, and the protocol changed in between.
WATCHED_ON_ONE_NODE = """
WATCH k|SELECT 2|=SET k 9|MULTI|SET k 2|EXEC|GET k|SELECT 0
WATCH k|SELECT 2|WATCH k|MULTI|SET k 2|SELECT 3|SET k 3|EXEC|GET k|SELECT 2|GET k|SELECT 0|MULTI|GET k|EXEC
WATCH k|HELLO 2|MULTI|ZRANGE z 0 -1 WITHSCORES|EXEC|HELLO 3|WATCH k|MULTI|ZRANGE z 0 -1 WITHSCORES|EXEC
"""


def watched(server, protocol, text):
    replies = []
    for line in filter(None, text.splitlines()):
        with server.connect(protocol) as client, server.connect(protocol) as other:
            other.pipeline([("SET", "{t}k", 1), ("SET", "{t}m", 1), ("SET", "k", 1), ("ZADD", "z", 1.5, "m")])
            for step in line.split("|"):
                who = other if step.startswith("=") else client
                try:
                    reply = who.call(*step.removeprefix("=").split())
                except TimeoutError as error:
                    raise TimeoutError(f"{step!r} of {line!r} in RESP{protocol}") from error
                replies.append((line, step, reply if not step.startswith("HELLO") else b""))
    return replies


def test_watch_answers_like_redis(lab):
    oracle, one = lab.redis(), lab.redis()
    for behind, text in (one, WATCHED + WATCHED_ON_ONE_NODE), (lab.redis_cluster(replicas=False), WATCHED):
        for options in ((), ("--l1-memory", "0")):
            larder = lab.larder("redis", behind, options=options)
            for protocol in (2, 3):
                for got, expected in zip(watched(larder, protocol, text), watched(oracle, protocol, text)):
                    assert got == expected, (got, expected)
            wait_until(lambda: private(larder)[0] == 0, 5, "the connections to be given back")
            larder.stop()


def test_optimistic_locking_loses_no_update(lab):
    """Clients that read, add one and write only if nobody else has written; one of them straight to Redis."""
    redis = lab.redis()
    larders = [lab.larder("redis", redis) for _ in range(2)]
    rounds, done = 60, []

    def count(server):
        with server.connect() as client:
            for _ in range(rounds):
                while True:
                    client.value("WATCH", "counter")
                    value = int(client.value("GET", "counter") or 0)
                    replies = client.pipeline([("MULTI",), ("SET", "counter", value + 1), ("EXEC",)])
                    if replies[-1] == b"*1\r\n+OK\r\n":
                        break
                    assert replies[-1] == NIL, replies
            done.append(server)

    threads = [threading.Thread(target=count, args=(server,)) for server in (*larders, *larders, redis)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with larders[0].connect() as client:
        assert len(done) == 5 and client.value("GET", "counter") == b"%d" % (5 * rounds)
