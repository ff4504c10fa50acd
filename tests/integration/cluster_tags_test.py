"""Tags in front of a Redis Cluster: the directory of slots, moving slots, masters that die."""

import random
import threading
import time

from cluster_test import migrate
from support.lab import demanding
from support.resp import ReplyError, decode, wait_until
from support.servers import RedisCluster, key_slot
from tags_test import BOUND_S, CARRIED, Writers, check_nothing_older, check_shown


def bookkeeping(cluster):
    """The names of all keys of Larder's own on the masters, but for the logs of moves, which end by themselves."""
    names = []
    for node in cluster.nodes[:3]:
        with node.connect() as raw:
            names += [name for name in decode(raw.call("KEYS", "larder:tags:*")) if not name.endswith(b"}:m")]
    return sorted(names)


def is_directory(name):
    return name.endswith((b"}:d", b"}:s"))


def test_raw_readers_of_a_cluster_see_what_clients_see(lab):
    cluster = lab.redis_cluster(replicas=False)
    larder, other = lab.larder("redis", cluster), lab.larder("redis", cluster)
    with larder.connect() as client, other.connect(3) as second, cluster.connect() as raw:
        replies = client.pipeline([("SET", f"k{n}", "v", "TAGS", 2, "posts", f"user:{n % 10}") for n in range(500)])
        assert set(replies) == {b"+OK\r\n"}
        assert second.value("TAGCOUNT", "posts") == 500 and second.value("TAGCOUNT", "user:3") == 50
        assert second.value("TAGINVALIDATE", "user:3", "user:4") == 100
        assert raw.value("GET", "k3") is None and raw.value("GET", "k5") == b"v"
        wait_until(lambda: client.value("GET", "k3") is None, 1, "the other Larder's invalidation")
        assert client.value("TAGINVALIDATE", "posts", "user:5", "ALL") == 50
        for name, words in (("h", ("HSET", "h", "f", "v")), ("l", ("RPUSH", "l", "v"))):
            second.call(*words)
            assert second.value("TAGADD", name, "posts") == 1
        assert decode(client.call("TAGLIST", "h")) == [b"posts"]
        keys, cursor = [], b"0"
        while cursor != b"0" or not keys:
            cursor, found = decode(client.call("TAGKEYS", "posts", "CURSOR", cursor, "COUNT", 50))
            keys += found
        assert len(keys) == len(set(keys)) == 352
        assert client.value("TAGINVALIDATE", "posts") == 352
        wait_until(lambda: client.value("DBSIZE") == 0, 5, "the news of slots that another Larder has used")
        wait_until(lambda: all(map(is_directory, bookkeeping(cluster))), 5, "the end of the other bookkeeping")


def test_the_bookkeeping_in_a_cluster_is_not_shown(lab):
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster)
    with larder.connect() as client:
        sets = [("SET", f"k{n}", "v", "TAGS", 2, "posts", f"user:{n}") for n in range(20)]
        assert set(client.pipeline(sets)) == {b"+OK\r\n"}
        assert len(bookkeeping(cluster)) > 60
        check_shown(client, 20)
        # What Larder knows of the directory is forgotten with a connection.
        for node in cluster.nodes:
            with node.connect() as raw:
                raw.call("CLIENT", "KILL", "TYPE", "normal")
        wait_until(lambda: client.call("DBSIZE")[:1] == b":", 5, "new connections")
        check_shown(client, 20)
        client.call("FLUSHALL")
        left = bookkeeping(cluster)
        assert left == [], left
        assert client.call("SET", "k", "v", "TAGS", 1, "posts") == b"+OK\r\n"
        assert client.value("TAGINVALIDATE", "posts") == 1


def test_the_bookkeeping_in_a_slot_is_not_shown(lab):
    """CLUSTER COUNTKEYSINSLOT and GETKEYSINSLOT mean the keys of clients, whatever lies beside them."""
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster)
    with larder.connect() as client:
        assert client.call("SET", "{s}untagged", "v") == b"+OK\r\n"

        def keys_in(slot, most):
            return decode(client.call("CLUSTER", "GETKEYSINSLOT", slot, most))

        slot = key_slot("s")
        assert client.value("CLUSTER", "COUNTKEYSINSLOT", slot) == 1 and keys_in(slot, 5) == [b"{s}untagged"]
        tags = [f"tag{n}" for n in range(20)]
        names = {b"{s}untagged", *(b"{s}%d" % n for n in range(5))}
        for n in range(5):
            assert client.call("SET", f"{{s}}{n}", "v", "TAGS", len(tags), *tags) == b"+OK\r\n"
        assert client.value("CLUSTER", "COUNTKEYSINSLOT", slot) == 6
        for most in range(9):
            found = keys_in(slot, most)
            assert len(found) == len(set(found)) == min(most, 6) and names.issuperset(found)
        assert set(keys_in(slot, 2**63 - 1)) == names
        client.pipeline([("MULTI",), ("CLUSTER", "COUNTKEYSINSLOT", slot), ("CLUSTER", "GETKEYSINSLOT", slot, 9)])
        count, found = decode(client.call("EXEC"))
        assert count == 6 and set(found) == names
        for page in (0, *map(key_slot, tags)):  # a slot of the directory
            assert client.value("CLUSTER", "COUNTKEYSINSLOT", page) == 0 and keys_in(page, 5) == []
        with cluster.connect() as raw:
            node = raw._client(cluster.owner("s").port)
            for words in (("COUNTKEYSINSLOT", "x"), ("COUNTKEYSINSLOT", 16384), ("COUNTKEYSINSLOT", f"0{slot}"),
                          ("GETKEYSINSLOT", slot, -1), ("GETKEYSINSLOT", slot, "x"), ("GETKEYSINSLOT", -1, 1),
                          ("COUNTKEYSINSLOT", slot, 1), ("GETKEYSINSLOT", slot)):
                assert client.call("CLUSTER", *words) == node.call("CLUSTER", *words), words
        while found := keys_in(slot, 2):
            assert client.value("DEL", *found) == len(found)
        assert client.value("CLUSTER", "COUNTKEYSINSLOT", slot) == 0 and client.value("DBSIZE") == 0


def test_what_expires_in_a_cluster_loses_its_tags(lab):
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster)
    with larder.connect() as client, cluster.connect() as raw:
        client.pipeline([("SET", key, "v", "PX", 1, "TAGS", 1, "t") for key in ("again", "never")])
        wait_until(lambda: raw.value("EXISTS", "again") + raw.value("EXISTS", "never") == 0, 5, "the keys' end")
        assert client.value("TAGCOUNT", "t") == 0
        assert client.call("SET", "again", "new") == b"+OK\r\n"
        assert client.value("TAGINVALIDATE", "t") == 0 and client.value("GET", "again") == b"new"
        client.pipeline([("SET", f"k{n}", "v", "PX", 1, "TAGS", 1, f"t:{n}") for n in range(300)])
        wait_until(lambda: all(map(is_directory, bookkeeping(cluster))), 20,
                   "the bookkeeping's end")


def test_tags_in_a_transaction_in_a_cluster(lab):
    larder = lab.larder("cluster")
    with larder.connect() as client:
        for watched in (False, True):
            if watched:
                client.call("WATCH", "{s}k")
            tag = f"w{watched}"
            replies = client.pipeline([("MULTI",), ("SET", "{s}k", "v", "TAGS", 2, "a", f"{tag}:c"),
                                       ("RENAME", "{s}k", "{s}l"), ("TAGREM", "{s}l", "a"), ("TAGLIST", "{s}l"),
                                       ("EXEC",)])
            assert decode(replies[-1]) == [b"OK", b"OK", 1, [b"%b:c" % tag.encode()]], replies
            assert client.value("TAGINVALIDATE", tag) == 1


def spread(tag):
    """Writes of twenty keys, on all nodes."""
    return [("SET", f"k{n}", "old", "TAGS", 1, tag) for n in range(20)]


def transaction(client, *commands):
    return decode(client.pipeline([("MULTI",), *commands, ("EXEC",)])[-1])


def test_an_invalidation_in_a_transaction_in_a_cluster(lab):
    """At its place among the other commands: what stands before it is gone with all other slots, what stands behind stays."""
    larder = lab.larder("cluster")
    for protocol in (2, 3):
        with larder.connect(protocol) as client, larder.connect() as reader:
            for words in (("t",), ("t", "ASYNC"), ("t", "x", "EXACT"), ("t", "t:1", "ALL")):
                client.pipeline([(*command[:4], 2, "t", "t:1") for command in spread("t")])
                assert set(reader.value("MGET", *(f"k{n}" for n in range(20)))) == {b"old"}
                assert transaction(client, ("SET", "{s}before", "v", "TAGS", 2, "t", "t:1"), ("TAGCOUNT", "t"),
                                   ("TAGINVALIDATE", *words), ("PING",), ("GET", "{s}before"), ("TAGCOUNT", "t"),
                                   ("SET", "{s}behind", "v", "TAGS", 1, "t"), ("TAGCOUNT", "t"), ("TAGKEYS", "t")) == [
                    b"OK", 21, 21, b"PONG", None, 0, b"OK", 1, [b"0", [b"{s}behind"]]]
                assert set(reader.value("MGET", *(f"k{n}" for n in range(20)))) == {None}
                assert client.value("GET", "{s}behind") == b"v" and client.value("TAGINVALIDATE", "t") == 1
            client.pipeline(spread("t"))
            assert transaction(client, ("TAGCOUNT", "t"), ("TAGINVALIDATE", "t"), ("TAGKEYS", "t")) == [20, 20, [b"0", []]]
            queued, end = client.pipeline([("MULTI",), ("TAGINVALIDATE", "t:"), ("EXEC",)])[1:]
            assert queued.startswith(b"-ERR") and end.startswith(b"-EXECABORT"), (queued, end)


def test_a_user_invalidates_in_a_transaction_in_a_cluster(lab):
    """With its own rights: what it may not do is an error at its place, and is not repeated."""
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster)
    for node in cluster.nodes:
        with node.connect() as raw:
            raw.value("ACL", "SETUSER", "ann", "on", ">ann", "~*", "+@all")
            raw.value("ACL", "SETUSER", "bob", "on", ">bob", "~*", "+@all", "-unlink")
    with larder.connect() as own, larder.connect() as ann, larder.connect(3) as bob:
        for name, client in (("ann", ann), ("bob", bob)):
            assert client.call("AUTH", name, name) == b"+OK\r\n"
        own.pipeline(spread("t"))
        got, dropped, pong = transaction(bob, ("GET", "k1"), ("TAGINVALIDATE", "t"), ("PING",))
        assert (got, pong) == (b"old", b"PONG") and isinstance(dropped, ReplyError), dropped
        assert isinstance(transaction(bob, ("TAGINVALIDATE", "t"))[0], ReplyError)
        assert larder.info("tiers")["tags_pending_invalidations"] == "0" and own.value("TAGCOUNT", "t") == 20
        assert transaction(ann, ("TAGCOUNT", "t"), ("GET", "k1"), ("TAGINVALIDATE", "t")) == [20, b"old", 20]
        assert own.value("TAGCOUNT", "t") == 0


def test_tagkeys_in_a_transaction_in_a_cluster(lab):
    """Call by call, wherever the block's slot is among those that are listed."""
    larder = lab.larder("cluster")
    with larder.connect() as client:
        names = [f"k{n}" for n in range(100)] + [f"{{s}}{n}" for n in range(100)]
        client.pipeline([("SET", name, "v", "TAGS", 1, "t") for name in names])
        for own in ([], [("GET", "{s}0")], [("GET", "k7")]):
            keys, cursor = [], b"0"
            while cursor != b"0" or not keys:
                cursor, found = transaction(client, *own, ("TAGKEYS", "t", "CURSOR", cursor, "COUNT", 15))[-1]
                keys += found
            assert sorted(keys) == sorted(name.encode() for name in names)


def test_an_aborted_transaction_invalidates_nothing_in_a_cluster(lab):
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster)
    for protocol in (2, 3):
        with larder.connect(protocol) as client, cluster.connect() as raw:
            client.pipeline(spread("t"))
            for own in ([("SET", "{s}k", "v", "TAGS", 1, "t")], [], [("PING",)]):
                for watched in ("{s}k", "{s}no"):
                    client.call("WATCH", watched)
                    raw.call("SET", watched, "changed")
                    assert transaction(client, ("TAGINVALIDATE", "t"), *own, ("TAGINVALIDATE", "t")) is None
                    assert client.value("TAGCOUNT", "t") == 20
            client.call("WATCH", "{s}k", "{s}no")
            assert transaction(client, ("SET", "{s}k", "v", "TAGS", 1, "t"), ("PING",), ("TAGINVALIDATE", "t")) == [
                b"OK", b"PONG", 21]
            assert client.pipeline([("MULTI",), ("TAGINVALIDATE", "t"), ("SET", "a", 1), ("SET", "b", 1), ("EXEC",)])[-1] == (
                b"-CROSSSLOT Keys in request don't hash to the same slot\r\n")


def test_tags_of_a_watched_transaction_are_in_the_directory(lab):
    """Also where a command of Larder's own stands beside them."""
    cluster = lab.redis_cluster(replicas=False)
    larder, other = lab.larder("redis", cluster), lab.larder("redis", cluster)
    with larder.connect() as client, other.connect() as second:
        second.call("SET", "k", "v", "TAGS", 1, "t")
        wait_until(lambda: trusts(other), 20, "the comparison of the directory")
        for turn in range(10):
            key, tag = f"{{{turn}}}k", f"only:{turn}"
            client.call("WATCH", key)
            assert transaction(client, ("SET", key, "v", "TAGS", 1, tag), ("PING",)) == [b"OK", b"PONG"]
            assert trusts(other) and second.value("TAGINVALIDATE", tag) == 1


def test_a_transaction_in_a_cluster_that_would_hold_redis_for_too_long(lab):
    """What the block's own slot refuses is not done elsewhere; the number of keys in other slots does not matter."""
    larder = lab.larder("cluster")
    with larder.connect() as client:
        for name in ("{s}many", "{r}many"):
            client.pipeline([("SET", f"{name}{n}", "v", "TAGS", 1, "t") for n in range(3000)])
        many, ping, few = decode(client.pipeline([("MULTI",), ("TAGINVALIDATE", "t"), ("PING",), ("GET", "{s}many1"),
                                                  ("EXEC",)])[-1])
        assert b"would hold Redis for too long" in many.args[0] and (ping, few) == (b"PONG", b"v")
        assert client.value("TAGCOUNT", "t") == 6000
        client.pipeline([("DEL", f"{{s}}many{n}") for n in range(2000)])
        assert transaction(client, ("SET", "{s}k", "v"), ("TAGINVALIDATE", "t")) == [b"OK", 4000]


def test_a_slot_moves_under_a_transaction_with_tags(lab):
    """That of the block, and others; a client that has gone meanwhile does not take its transaction back."""
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster)
    keys = [f"{{s}}{n}" for n in range(20)]
    with larder.connect(timeout=20) as client, larder.connect() as waiting, larder.connect() as gone, cluster.connect() as raw:
        def half_way():
            waiting.pipeline([("MULTI",), ("SET", own, "new"), ("TAGINVALIDATE", "t"), ("SET", behind, "v", "TAGS", 1, "t")])
            waiting.send("EXEC")
            gone.pipeline([("MULTI",), ("TAGINVALIDATE", "u")])
            gone.send("EXEC")
            gone.close()

        for own, behind in (("{s}own", "{s}behind"), ("{r}own", "{r}behind")):
            client.pipeline([("SET", key, "v", "TAGS", 1, "t") for key in keys] + spread("t"))
            client.pipeline([("SET", f"{key}u", "v", "TAGS", 1, "u") for key in keys])
            source = cluster.owner("{s}")
            migrate(cluster, key_slot("{s}"), source, next(node for node in cluster.nodes if node is not source), half_way)
            reply = waiting.read()
            assert decode(reply) == [b"OK", 40, b"OK"], reply
            assert client.value("TAGCOUNT", "t") == 1 and raw.value("GET", keys[0]) is None
            wait_until(lambda: client.value("TAGCOUNT", "u") == 0, 10, "what the client that has gone had asked for")
            client.call("DEL", behind)
            gone = lab.closing(larder.connect())


def test_a_node_is_away_while_a_transaction_invalidates(lab):
    """Its element is an error, L1 has none of it any more, and it is done when the node is back."""
    cluster = lab.redis_cluster("--appendonly", "yes", "--appendfsync", "always", "--cluster-require-full-coverage", "no",
                                replicas=False)
    larder = lab.larder("redis", cluster, config={"redis.command_timeout": "500ms"})
    keys = [f"k{n}" for n in range(20)]
    own = next(key for key in keys if cluster_node(key) == 0)
    with larder.connect() as client:
        client.pipeline(spread("t"))
        assert set(client.value("MGET", *keys)) == {b"old"}
        cluster.nodes[1].crash()
        written, dropped, pong, left = transaction(client, ("SET", own, "new"), ("TAGINVALIDATE", "t"), ("PING",), ("GET", own))
        assert (written, pong, left) == (b"OK", b"PONG", None) and isinstance(dropped, ReplyError), dropped
        assert larder.info("tiers")["tags_pending_invalidations"] == "1"
        assert not any(client.call("GET", key).startswith(b"$3") for key in keys if cluster_node(key) == 1)
        away = next(key for key in keys if cluster_node(key) == 1)
        assert client.pipeline([("MULTI",), ("TAGINVALIDATE", "t"), ("SET", away, "new"), ("EXEC",)])[-1].startswith(b"-")
        assert larder.info("tiers")["tags_pending_invalidations"] == "1"
        cluster.nodes[1].start()
        wait_until(lambda: larder.info("tiers")["tags_pending_invalidations"] == "0", 30, "an empty queue")
        with cluster.connect() as raw:
            assert all(raw.value("GET", key) is None for key in keys)


def invalidate_beside_a_read(client):
    """In a transaction in a slot whose keys carry the tag."""
    read, dropped = transaction(client, ("GET", CARRIED[0]), ("TAGINVALIDATE", "t"))
    return dropped


def trusts(larder):
    return larder.info("tiers").get("tags_directory_trusted") == "1"


def steps(larder):
    return int(larder.info("tiers")["tags_sweep_steps"])


def test_a_sweep_visits_the_slots_of_its_tag(lab):
    """Also those that another Larder was the first to use, a moment ago, and has not lived to tell."""
    cluster = lab.redis_cluster(replicas=False)
    larder, other = lab.larder("redis", cluster), lab.larder("redis", cluster)
    with larder.connect() as client, other.connect() as second:
        client.pipeline([("SET", f"k{n}", "v", "TAGS", 2, f"user:{n % 100}:x", "posts") for n in range(1000)])
        wait_until(lambda: trusts(larder), 20, "the comparison of the directory")
        before = steps(larder)
        assert client.value("TAGINVALIDATE", "user:7") == 10
        assert client.value("TAGCOUNT", "user:8:x") == 10
        assert steps(larder) - before < 100
        second.call("SET", "mine", "v", "TAGS", 1, "user:9:y")
        other.process.kill()
        assert client.value("TAGINVALIDATE", "user:9") == 11
        assert trusts(larder) and steps(larder) - before < 200
        assert client.value("GET", "mine") is None


def test_what_the_directory_has_lost_is_not_missed(lab):
    """As a failover may lose it: nobody trusts it from then on, and soon it is whole again."""
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster)

    def lose():
        for node in cluster.nodes:
            with node.connect() as raw:
                for name in filter(is_directory, decode(raw.call("KEYS", "larder:tags:*"))):
                    raw.call("DEL", name)
                raw.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    with larder.connect() as client:
        def tag():
            assert set(client.pipeline([("SET", f"k{n}", "v", "TAGS", 1, f"user:{n}") for n in range(50)])) == {b"+OK\r\n"}

        tag()
        wait_until(lambda: trusts(larder), 20, "the comparison of the directory")
        whole = bookkeeping(cluster)
        lose()
        wait_until(lambda: not trusts(larder) or set(bookkeeping(cluster)) == set(whole), 5, "the loss to be noticed")
        assert client.value("TAGINVALIDATE", "user:3") == 1
        wait_until(lambda: trusts(larder), 20, "the comparison of the directory")
        assert client.value("TAGINVALIDATE", "user") == 49
        lose()
        wait_until(lambda: client.call("SET", "k", "v", "TAGS", 1, "user:1") == b"+OK\r\n", 5, "the connections")
        assert client.value("TAGINVALIDATE", "user") == 1


def test_slots_move_while_tags_are_used(lab):
    """P4, and no error for who waits for the answers."""
    cluster = lab.redis_cluster(replicas=False)
    larders = [lab.larder("redis", cluster) for _ in range(2)]
    rng = random.Random(lab.arguments.seed)
    stopping = threading.Event()
    moves = []

    def move():
        while not stopping.is_set():
            slot = key_slot(rng.choice(CARRIED).encode())
            source = cluster.owner(slot)
            migrate(cluster, slot, source, rng.choice([node for node in cluster.nodes if node is not source]))
            moves.append(slot)

    mover = threading.Thread(target=move)
    with Writers(larders * 2, pipelined=False) as writers, larders[0].connect(timeout=20) as client:
        other = lab.closing(larders[1].connect(timeout=20))
        mover.start()
        try:
            rounds = dropped = 0
            end = time.monotonic() + 4.0 * lab.arguments.rounds
            while time.monotonic() < end:
                dropped += check_nothing_older(client, [other], writers)
                dropped += check_nothing_older(client, [other], writers, invalidate_beside_a_read)
                rounds += 2
        finally:
            stopping.set()
            mover.join()
    assert not writers.failures, writers.failures[:3]
    lab.note(f"{len(moves)} moves, {rounds} invalidations dropped {dropped} keys")
    assert len(moves) > 3 and dropped > rounds / 2


def test_pipelined_writes_wait_for_a_slot_that_moves(lab):
    """Of different keys, in the order of their replies; of one key the later one never loses."""
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster)
    keys = [f"{{a}}{n}" for n in range(20)] + [f"k{n}" for n in range(20)]
    slot = key_slot(b"{a}")
    stopping = threading.Event()

    def move():
        while not stopping.is_set():
            source = cluster.owner(slot)
            migrate(cluster, slot, source, next(node for node in cluster.nodes if node is not source))

    mover = threading.Thread(target=move)
    with larder.connect(timeout=20) as client:
        mover.start()
        try:
            turn = refused = 0
            end = time.monotonic() + 4.0 * lab.arguments.rounds
            while time.monotonic() < end:
                turn += 1
                replies = client.pipeline([("SET", key, turn, "TAGS", 2, "t", f"u:{n}") for n, key in enumerate(keys)])
                assert set(replies) == {b"+OK\r\n"}, replies
                assert client.pipeline([("GET", key) for key in keys]) == [b"$%d\r\n%d\r\n" % (len(str(turn)), turn)] * 40
                again = client.pipeline([("SET", "{a}0", f"{turn}/{n}", *(("TAGS", 1, "t") if n % 2 == 0 else ()))
                                         for n in range(4)])
                last = next((n for n in (3, 2, 1, 0) if again[n] == b"+OK\r\n"), None)
                assert client.value("GET", "{a}0") == (b"%d" % turn if last is None else b"%d/%d" % (turn, last)), again
                refused += sum(reply.startswith(b"-TRYAGAIN") for reply in again)
        finally:
            stopping.set()
            mover.join()
        assert client.value("TAGCOUNT", "t") == 40
    lab.note(f"{turn} turns, {refused} writes refused, {larder.info('tiers')['backend_sent_again']} sent again")


def test_a_node_goes_away_before_an_invalidation(lab):
    """What is answered with an error is done when the node is back, with its data."""
    cluster = lab.redis_cluster("--appendonly", "yes", "--appendfsync", "always", replicas=False)
    larder = lab.larder("redis", cluster, config={"redis.command_timeout": "500ms"})
    keys = [f"k{n}" for n in range(20)]
    with larder.connect() as client:
        client.pipeline([("SET", key, "v", "TAGS", "1", "t") for key in keys])
        cluster.nodes[1].crash()
        assert client.call("TAGINVALIDATE", "t").startswith(b"-")
        assert larder.info("tiers")["tags_pending_invalidations"] == "1"
        assert not any(client.call("GET", key).startswith(b"$1") for key in keys if cluster_node(key) == 1)
        cluster.nodes[1].start()
        wait_until(lambda: larder.info("tiers")["tags_pending_invalidations"] == "0", 30, "an empty queue")
        with cluster.connect() as raw:
            assert all(raw.value("GET", key) is None for key in keys)


def cluster_node(key):
    """Which of three nodes has the key's slot when the cluster is new."""
    return key_slot(key.encode()) // -(-RedisCluster.SLOTS // 3)


@demanding
def test_a_master_is_killed_while_tags_are_invalidated(lab):
    """P4: what was written before an invalidation that was answered is not read again; what was not is repeated."""
    cluster = lab.redis_cluster()
    larders = [lab.larder("redis", cluster) for _ in range(2)]
    outcomes = {"done": 0, "failed": 0}
    with Writers(larders * 2) as writers, larders[0].connect(timeout=30) as client:
        other = lab.closing(larders[1].connect(timeout=30))

        def invalidate():
            floor = writers.floor()
            if sum(outcomes.values()) % 2:
                done = client.call("TAGINVALIDATE", "t").startswith(b":")
            else:
                end = transaction(client, ("GET", CARRIED[0]), ("TAGINVALIDATE", "t"))
                done = isinstance(end, list) and isinstance(end[1], int)
            outcomes["done" if done else "failed"] += 1
            if not done:
                return
            assert min(readable(client), default=floor) >= floor, "P4: a value from before the invalidation was read"
            wait_until(lambda: min(readable(other), default=floor) >= floor, BOUND_S, "the other Larder")

        def invalidate_for(seconds):
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                invalidate()

        invalidate_for(0.5)
        victim = cluster.owner(CARRIED[0].encode())
        killer = threading.Timer(0.2, victim.crash)
        killer.start()
        invalidate_for(5)
        killer.join()
        wait_until(lambda: client.call("TAGINVALIDATE", "t").startswith(b":"), 20, "the new master")
        floor = writers.floor()
        wait_until(lambda: larders[0].info("tiers")["tags_pending_invalidations"] == "0", 10, "what was left over")
        invalidate_for(0.5)
    lab.note(f"{outcomes['done']} invalidations, {outcomes['failed']} failed")


def readable(client):
    """The values of the keys that can be read at present."""
    replies = client.pipeline([("GET", key) for key in CARRIED])
    return [int(decode(reply)) for reply in replies if not reply.startswith((b"-", b"$-1", b"_"))]
