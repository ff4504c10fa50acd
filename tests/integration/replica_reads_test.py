"""redis.read_from = "replica": replicas answer what L1 cannot, the master what they do not, and L1 stays coherent."""

import re
import threading

from support.resp import decode, wait_until
from support.servers import is_linked

CONFIG = {"redis.read_from": "replica", "redis.ping_interval": "200ms", "redis.ping_timeout": "400ms"}
KEYS = [f"key{n}" for n in range(40)]


def calls(nodes, command="get"):
    total = 0
    for node in nodes:
        with node.connect() as client:
            found = re.search(rb"cmdstat_%b:calls=(\d+)" % command.encode(), client.value("INFO", "commandstats"))
            total += int(found[1]) if found else 0
    return total


def forget_calls(nodes):
    for node in nodes:
        with node.connect() as client:
            client.value("CONFIG", "RESETSTAT")


def read_from(larder, masters, replicas, protocol=2):
    """How many GETs the masters and the replicas ran for one of each key, by two clients (of both workers).

    The keys are written before: L1 has none of them then.
    """
    with larder.connect(protocol) as one, larder.connect(protocol) as other:
        write_keys(one, len(replicas) // len(masters))
        forget_calls([*masters, *replicas])
        for client in (one, other):
            assert [client.value("GET", key) for key in KEYS] == [key.encode() for key in KEYS]
    return calls(masters), calls(replicas)


def everything_comes_from_replicas(larder, masters, replicas, protocol=2):
    expected = (0, 2 * len(KEYS))
    wait_until(lambda: read_from(larder, masters, replicas, protocol) == expected, 40, "the replicas to be read from")


def write_keys(client, copies=1):
    assert client.pipeline([("SET", key, key) for key in KEYS]) == [b"+OK\r\n"] * len(KEYS)
    assert client.value("WAIT", copies, 10_000) >= copies


def test_replicas_of_a_cluster_answer_reads(lab):
    cluster = lab.redis_cluster()
    larder = lab.larder("redis", cluster, config=CONFIG)
    masters, replicas = cluster.nodes[:3], cluster.nodes[3:]
    with larder.connect() as client, larder.connect(3) as newer:
        for protocol in (2, 3):
            everything_comes_from_replicas(larder, masters, replicas, protocol)
        fills = larder.info("tiers")["l1_fills"]
        client.pipeline([("HSET", "h", "f", "v"), ("ZADD", "z", 1.5, "m"), ("WAIT", 1, 10_000)])
        assert client.value("MGET", *KEYS) == [key.encode() for key in KEYS]
        assert newer.call("ZRANGE", "z", 0, -1, "WITHSCORES") == b"*1\r\n*2\r\n$1\r\nm\r\n,1.5\r\n"
        assert client.value("HGETALL", "h") == [b"f", b"v"] and client.value("EXISTS", *KEYS) == len(KEYS)
        assert calls(masters, "mget") == calls(masters, "exists") == calls(masters, "hgetall") == 0
        assert larder.info("tiers")["l1_fills"] == fills and int(larder.info("tiers")["backend_replica_reads"]) > 0

        # What WATCH and transactions are about, the master has.
        forget_calls(cluster.nodes)
        assert client.pipeline([("WATCH", "h"), ("GET", KEYS[0]), ("MULTI",), ("HGET", "h", "f"), ("EXEC",)])[4] == (
            b"*1\r\n$1\r\nv\r\n")
        assert (calls(masters), calls(masters, "hget")) == (1, 1)
        assert calls(replicas) == calls(replicas, "hget") == 0
        check_silent_replicas(larder, masters, replicas, client)


def check_silent_replicas(larder, masters, replicas, client):
    """Nothing is an error while they hang, or are gone; what the master then says fills L1, and is invalidated."""
    for replica in replicas:
        replica.process.freeze()
    replies = client.pipeline([("GET", key) for key in KEYS])
    assert [decode(reply) for reply in replies] == [key.encode() for key in KEYS]
    for _ in range(2):  # what was under way at a replica fills nothing
        assert client.value("GET", KEYS[0]) == KEYS[0].encode()
    for replica in replicas:
        replica.process.thaw()
    forget_calls([*masters, *replicas])
    assert client.value("GET", KEYS[0]) == KEYS[0].encode()
    assert calls([*masters, *replicas]) == 0  # a hit
    client.value("SET", KEYS[0], "new")
    wait_until(lambda: client.value("GET", KEYS[0]) == b"new", 10, "the new value")
    assert larder.info("tiers")["backend_state"] == "connected"


def test_reads_survive_the_replicas_of_a_cluster(lab):
    """They are killed under load: each read is answered with what is true."""
    cluster = lab.redis_cluster()
    larder = lab.larder("redis", cluster, config=CONFIG)
    everything_comes_from_replicas(larder, cluster.nodes[:3], cluster.nodes[3:])
    stop, wrong, done = threading.Event(), [], []

    def read():
        with larder.connect() as client:
            while not stop.is_set():
                replies = client.pipeline([("GET", key) for key in KEYS])
                wrong.extend(reply for reply, key in zip(replies, KEYS) if decode(reply) != key.encode())
                done.append(len(replies))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for replica in cluster.nodes[3:]:
        before = sum(done)
        replica.crash()
        wait_until(lambda: sum(done) > before + 5 * len(KEYS) or wrong, 20, "reads to go on")
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong, wrong[:3]
    assert larder.info("tiers")["backend_state"] == "connected"


def test_replicas_behind_sentinels_answer_reads(lab):
    sentinels = lab.redis_sentinels()
    larder = lab.larder("redis", sentinels, config=CONFIG)
    master, replicas = sentinels.nodes[0], sentinels.nodes[1:]
    with larder.connect() as client:
        everything_comes_from_replicas(larder, [master], replicas)
        sentinels.fail_over()
        wait_until(lambda: sentinels.masters() == [sentinels.nodes[1]] or sentinels.masters() == [sentinels.nodes[2]], 30,
                   "the failover")
        new = sentinels.master()
        wait_until(lambda: all(is_linked(node) for node in sentinels.nodes if node is not new), 30, "the new replicas")
        others = [node for node in sentinels.nodes if node is not new]
        everything_comes_from_replicas(larder, [new], others)
        for node in others:
            node.crash()
        for key in KEYS:
            assert client.value("GET", key) == key.encode()
        assert calls([new]) > 0
