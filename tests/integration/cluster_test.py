"""Larder in front of a Redis Cluster: clients see one Redis, L1 stays coherent."""

import random
import threading
import time

from coherence import BOUND_S, BUSY_MS, Load, RespPath, check_settled
from differential import compare, scanned
from sequences import Generator, Step
from support.lab import demanding
from support.resp import ReplyError, decode, wait_until
from support.servers import key_slot

SEQUENCES = 4
LENGTH = 80
CROSSSLOT = b"-CROSSSLOT Keys in request don't hash to the same slot\r\n"
NOT_IN_A_CLUSTER = {b"SELECT", b"MOVE", b"SWAPDB"}
FOR_ONE_SLOT = {b"MSETNX", b"RENAME", b"RENAMENX", b"COPY", b"LCS"}
SPLIT = {b"MGET", b"MSET", b"DEL", b"UNLINK", b"EXISTS", b"TOUCH"}


class ClusterGenerator(Generator):
    """Every second sequence has all its keys in one slot; the others have no command that would need that."""

    def __init__(self, seed, connections):
        super().__init__(seed, connections)
        self._tag = b"{t}" if int(seed.split("/")[0]) % 2 else b""
        self._keys = [self._tag + key for key in self._keys]

    def key(self):
        key = super().key()
        return key if key.startswith(self._tag) else self._tag + key

    def _step(self):
        while (step := super()._step()) and not self._is_possible(step.args):
            pass
        return step

    def _is_possible(self, args):
        name = args[0].upper()
        if name in NOT_IN_A_CLUSTER or b"DB" in args or b"db" in args:
            return False
        return bool(self._tag) or name not in FOR_ONE_SLOT

    def _spoil(self, args):
        """A word put among keys might be a key of another slot."""
        return args if args[0] in FOR_ONE_SLOT | SPLIT else super()._spoil(args)


def test_commands_answer_like_one_redis(lab):
    """Random sequences with L1 and without, the keys in one slot or in many."""
    cluster, oracle = lab.redis_cluster(replicas=False), lab.redis()
    seeds = range(lab.arguments.seed, lab.arguments.seed + SEQUENCES * lab.arguments.rounds)
    for options in ((), ("--l1-memory", "0")):
        larder = lab.larder("redis", cluster, options=options)
        played, reports = compare(oracle, larder, seeds, LENGTH, generator=ClusterGenerator)
        lab.note(f"{played} commands")
        assert not reports, "\n\n".join(["replies differ", *reports])
        larder.stop()


# Other types and commands whose keys stand anywhere; all in one slot.
OTHER_COMMANDS = """
LPUSH {t}l a b c|RPOPLPUSH {t}l {t}m|LRANGE {t}l 0 -1|LMPOP 2 {t}l {t}m LEFT|SORT {t}l ALPHA STORE {t}s
SADD {t}x 1 2 3|SADD {t}y 2 3|SINTERCARD 2 {t}x {t}y|SINTERSTORE {t}z {t}x {t}y|SCARD {t}z|SDIFF {t}x {t}y
ZADD {t}za 1 a 2 b|ZADD {t}zb 5 b|ZUNIONSTORE {t}zc 2 {t}za {t}zb|ZRANGE {t}zc 0 -1|ZDIFF 2 {t}za {t}zb|ZRANGE {t}zc 0 -1 WITHSCORES
HSET {t}h f v g w|HGET {t}h f|HMGET {t}h f x|HLEN {t}h|BITOP OR {t}bd {t}b1 {t}b2|BITCOUNT {t}bd
XADD {t}st 1-1 f v|XREAD COUNT 1 STREAMS {t}st {t}st2 0 0|XGROUP CREATE {t}st g 0|XREADGROUP GROUP g c STREAMS {t}st >|XLEN {t}st
EVAL return{KEYS[1],ARGV[1]} 1 {t}k a|EVAL return(redis.call('get',KEYS[2])) 2 {t}k {t}j|GEOADD {t}g 13.3 38.1 p|GEODIST {t}g p p
PFADD {t}p a b|PFCOUNT {t}p {t}q|PFMERGE {t}r {t}p {t}q|OBJECT ENCODING {t}h|MEMORY USAGE {t}none|TYPE {t}za|RENAME {t}h {t}i
GEOSEARCHSTORE {t}gd {t}g FROMMEMBER p BYRADIUS 1 m|COPY {t}i {t}h|SMOVE {t}x {t}w 1|LCS {t}k {t}j|MSETNX {t}k 1 {t}j 2|SMISMEMBER {t}x 1 2
GET {t}h|INCR {t}k|SET|GET a b|MSET a|MSET a 1 b|NOSUCH {t}k a|SINTERCARD 5 {t}x|EVAL x|XREAD STREAMS {t}st|OBJECT FREQ|PUBLISH ch m|ECHO hi
"""


def test_other_types_answer_like_one_redis(lab):
    cluster, oracle = lab.redis_cluster(replicas=False), lab.redis()
    commands = [line.split() for part in OTHER_COMMANDS.strip().splitlines() for line in part.split("|")]
    for protocol in (2, 3):
        larder = lab.larder("redis", cluster)
        with larder.connect(protocol) as client, oracle.connect(protocol) as truth:
            assert truth.call("FLUSHALL") == client.call("FLUSHALL")
            for one_by_one in (True, False):
                send = (lambda c: [c.call(*command) for command in commands]) if one_by_one else (
                    lambda c: c.pipeline(commands))
                for command, got, expected in zip(commands, send(client), send(truth)):
                    assert got == expected, (command, got, expected)
        check_spread_commands(larder, protocol)


def check_spread_commands(larder, protocol):
    """Commands whose reply is made from those of several nodes, and those that cannot be."""
    with larder.connect(protocol) as client:
        client.call("FLUSHALL")
        for command in ("RENAME a b", "MSETNX a 1 b 2", "COPY a b", "SINTER a b", "EVAL return(1) 2 a b", "LCS a b",
                        "ZUNIONSTORE a 1 b", "XREAD STREAMS a b 0 0", "SORT a STORE b", "BITOP OR a b", "SMOVE a b c"):
            assert client.call(*command.split()) == CROSSSLOT, command
        count = 2000
        assert client.value("MSET", *(word for n in range(count) for word in (f"k{n}", n))) == b"OK"
        assert client.value("DBSIZE") == count and len(client.value("KEYS", "k1*")) == 1111
        for _ in range(2):  # the second time from L1
            assert client.value("MGET", *(f"k{n}" for n in range(count + 1))) == [
                *(b"%d" % n for n in range(count)), None]
        assert b"db0:keys=%d," % count in client.value("INFO", "keyspace")
        assert client.value("RANDOMKEY").startswith(b"k")
        cursors = []
        step = Step([b"SCAN", b"0", b"COUNT", b"100"], 0)
        reply = client.call(*step.args)
        assert scanned(step, reply, Recorder(client, cursors)) == {b"k%d" % n for n in range(count)}
        assert len(cursors) > 10 and all(int(cursor) < 2**53 for cursor in cursors)
        assert client.value("EXISTS", "k1", "k2", "k2", "no") == 3 and client.value("TOUCH", "k1", "k2") == 2
        assert client.value("DEL", "k1", "k2", "no") == 2 and client.value("UNLINK", "k3", "k4") == 2
        check_scripts(client)
        assert client.value("FLUSHDB") == b"OK" and client.value("DBSIZE") == 0 and client.value("GET", "k5") is None


class Recorder:
    """A client whose second words are noted."""

    def __init__(self, client, words):
        self._client, self._words = client, words

    def call(self, *args):
        self._words.append(args[1])
        return self._client.call(*args)


def check_scripts(client):
    sha = client.value("SCRIPT", "LOAD", "return KEYS[1]")
    for n in range(10):  # every master knows it
        assert client.value("EVALSHA", sha, 1, f"key{n}") == b"key%d" % n
    assert client.value("SCRIPT", "EXISTS", sha, "none") == [1, 0]
    library = "#!lua name=lib\nredis.register_function('f', function(keys) return keys[1] end)"
    assert client.value("FUNCTION", "LOAD", library) == b"lib"
    for n in range(10):
        assert client.value("FCALL", "f", 1, f"key{n}") == b"key%d" % n
    assert client.value("FUNCTION", "DELETE", "lib") == b"OK" and client.value("SCRIPT", "FLUSH") == b"OK"
    assert client.value("SCRIPT", "EXISTS", sha) == [0]


def test_larder_looks_like_one_node_of_a_cluster(lab):
    """... to those who ask; any one node is enough to find the cluster."""
    cluster = lab.redis_cluster(replicas=False)
    single = lab.larder("redis", cluster.nodes[1])
    named = lab.larder("redis", cluster, options=["--l1-memory", "0"])
    by_variable = lab.larder("redis", Nameless(), env={"REDIS_CLUSTER_NODES": f"localhost:{cluster.nodes[2].port}"})
    for larder in (single, named, by_variable):
        with larder.connect() as client:
            assert client.pipeline([("SET", f"k{n}", n) for n in range(50)]) == 50 * [b"+OK\r\n"]
            ((first, last, node),) = client.value("CLUSTER", "SLOTS")
            assert (first, last, node[:2]) == (0, 16383, [b"127.0.0.1", larder.port])
            assert client.value("CLUSTER", "MYID") == node[2]
            assert client.value("CLUSTER", "KEYSLOT", "{a}b") == key_slot(b"a")
            assert b"cluster_state:ok" in client.value("CLUSTER", "INFO")
            assert b"myself,master - 0 0 1 connected 0-16383" in client.value("CLUSTER", "NODES")
            assert client.value("CLUSTER", "SHARDS")[0][1] == [0, 16383]
            for name in ("REPLICAS", "SLAVES", "LINKS"):
                assert client.call("CLUSTER", name, *[node[2]] * (name != "LINKS")) == b"*0\r\n"
            assert client.value("CLUSTER", "COUNT-FAILURE-REPORTS", node[2]) == 0
            for name in ("REPLICAS", "SLAVES", "COUNT-FAILURE-REPORTS"):
                assert client.call("CLUSTER", name, "somebody") == b"-ERR Unknown node somebody\r\n"
            assert client.value("CLUSTER", "HELP")[0].startswith(b"CLUSTER <subcommand>")
            assert client.call("CLUSTER", "NOSUCH") == b"-ERR unknown subcommand 'NOSUCH'. Try CLUSTER HELP.\r\n"
            assert client.call("SELECT", 1) == b"-ERR SELECT is not allowed in cluster mode\r\n"
            assert client.call("SELECT", 0) == b"+OK\r\n"
        info = larder.info()
        assert (info["cluster_enabled"], info["redis_mode"]) == ("1", "cluster")
        assert (info["cluster_masters"], info["cluster_slots_covered"]) == ("3", "16384")


def test_clients_are_told_where_to_connect(lab):
    """Behind a load balancer the address of the socket is not theirs to use."""
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster, config={"server.cluster_announce_ip": "redis.internal", "server.cluster_announce_port": 7000})
    with larder.connect() as client:
        client.call("SET", "k", "v")  # it has found out that it is a cluster
        (_first, _last, node), = client.value("CLUSTER", "SLOTS")
        assert node[:2] == [b"redis.internal", 7000]
        assert b" redis.internal:7000@0 myself,master" in client.value("CLUSTER", "NODES")
        shard = client.value("CLUSTER", "SHARDS")[0][3][0]
        assert shard[2:8] == [b"port", 7000, b"ip", b"redis.internal", b"endpoint", b"redis.internal"]


class Nameless:
    """A server that Larder is not told of by a flag."""

    url = None


def test_no_node_at_hand_is_an_error_and_not_a_hang(lab):
    cluster = lab.redis_cluster(replicas=False)
    cluster.stop()
    larder = lab.larder("redis", cluster)
    with larder.connect() as client:
        wait_until(lambda: client.call("GET", "k").startswith(b"-ERR Redis at 127.0.0.1:"), 10, "an error")
        assert client.call("PING") == b"+PONG\r\n"


def migrate(cluster, slot, source, target, then=lambda: None):
    """Moves a slot with its keys as redis-cli --cluster reshard does; `then` runs while it is half done."""
    with source.connect() as giving, target.connect() as taking:
        ids = {node: client.value("CLUSTER", "MYID") for node, client in ((source, giving), (target, taking))}
        taking.value("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        giving.value("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        keys = giving.value("CLUSTER", "GETKEYSINSLOT", slot, 1000)
        for n, key in enumerate(keys):
            if n == len(keys) // 2:
                then()
            giving.value("MIGRATE", "127.0.0.1", target.port, key, 0, 2000)
        while keys := giving.value("CLUSTER", "GETKEYSINSLOT", slot, 100):
            giving.value("MIGRATE", "127.0.0.1", target.port, "", 0, 2000, "KEYS", *keys)
        for client in (taking, giving):
            client.value("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
    wait_until(lambda: cluster.agrees_on(slot, target), 10, f"all nodes to know of the move of slot {slot}")


def test_redirects_are_followed(lab):
    """MOVED, ASK and TRYAGAIN reach no client, and the replies keep their order."""
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster)
    source, target = cluster.nodes[0], cluster.nodes[2]
    tag = next(f"{{{n}}}" for n in range(1000) if cluster.owner(f"{n}") is source)
    keys = [f"{tag}{n}" for n in range(20)]
    half_way = []

    def in_between():
        """Half of the keys are here, half are there."""
        with larder.connect() as client:
            half_way.append(client.pipeline([("GET", key) for key in keys] + [("GET", f"{tag}none")]))
            half_way.append(client.pipeline([("APPEND", key, f"+{n}") for n in range(3) for key in keys]))
            half_way.append(client.pipeline([("GET", key) for key in keys]))
        waiting.append(lab.closing(larder.connect()))
        waiting[0].send("MGET", *keys)  # answered when all keys have arrived

    waiting = []
    check_redirected_reads(larder, cluster, source, target)
    with larder.connect() as client:
        assert client.value("MSET", *(word for n, key in enumerate(keys) for word in (key, n))) == b"OK"
        assert client.value("MGET", *keys) == [b"%d" % n for n in range(20)]
        migrate(cluster, key_slot(tag), source, target, in_between)
        assert [decode(reply) for reply in half_way[0]] == [*(b"%d" % n for n in range(20)), None]
        expected = [b"%d+0+1+2" % n for n in range(20)]
        assert [decode(reply) for reply in half_way[2]] == expected
        assert decode(waiting[0].read()) == expected
        replies = client.pipeline([command for key in keys for command in (("APPEND", key, "."), ("GET", key))])
        assert [decode(reply) for reply in replies[1::2]] == [value + b"." for value in expected]
    info = larder.info("tiers")
    assert int(info["cluster_ask"]) > 0 and int(info["cluster_moved"]) > 0, info


def check_redirected_reads(larder, cluster, source, target):
    """Reads that L1 would have kept look the same when they had to go elsewhere, in both protocols."""
    tag = next(f"{{r{n}}}" for n in range(1000) if cluster.owner(f"r{n}") is source)
    reads = [("HGETALL", f"{tag}h"), ("ZRANGE", f"{tag}z", 0, -1, "WITHSCORES"), ("HGET", f"{tag}h", "f"),
             ("SMEMBERS", f"{tag}s"), ("GET", f"{tag}none"), ("ZSCORE", f"{tag}z", "b"), ("EXISTS", f"{tag}h"),
             ("LRANGE", f"{tag}none", 0, -1), ("GET", f"{tag}h"), ("HMGET", f"{tag}h", "f", "no")]
    seen = []
    with larder.connect(2) as two, larder.connect(3) as three:
        two.pipeline([("HSET", f"{tag}h", "f", "v", "g", "w"), ("ZADD", f"{tag}z", 1.5, "a", 2, "b"),
                      ("SADD", f"{tag}s", "m"), ("DEL", f"{tag}none")])
        expected = [client.pipeline(reads) for client in (two, three)]

        def all_again():
            two.call("HDEL", f"{tag}h", "none")
            seen.append([client.pipeline(reads) for client in (two, three)])

        migrate(cluster, key_slot(tag), source, target, all_again)
        all_again()
        all_again()
    assert seen == 3 * [expected], (seen, expected)


def test_slots_move_under_load(lab):
    """P2 and P3, and no error at all: readers and writers through two Larders and directly."""
    cluster = lab.redis_cluster(replicas=False)
    larders = {name: lab.larder("redis", cluster) for name in "AB"}
    keys = [b"{k%d}" % n for n in range(12)]
    load = start_load(lab, cluster, larders, keys)
    rng = random.Random(lab.arguments.seed)
    deadline, moves = time.monotonic() + 4.0, 0
    while time.monotonic() < deadline:
        key = rng.choice(keys)
        source = cluster.owner(key)
        migrate(cluster, key_slot(key), source, rng.choice([node for node in cluster.nodes if node is not source]))
        moves += 1
    finish(lab, load, larders, cluster)
    tiers = larders["A"].info("tiers")
    lab.note(f"{moves} moves, MOVED {tiers['cluster_moved']}, ASK {tiers['cluster_ask']}")
    assert not load.errors and not load.broken, (load.errors, load.broken[:3])


def start_load(lab, cluster, larders, keys):
    load = Load(keys, lab.arguments.seed)
    for number in range(3):
        paths = [RespPath(larder, name, 2 + number % 2) for name, larder in larders.items()]
        load.add_writer(keys[number::3], [*paths, RespPath(cluster, "direct")])
    for name, larder in larders.items():
        for protocol in (2, 3):
            load.add_reader(RespPath(larder, name, protocol))
    return load


def finish(lab, load, larders, cluster):
    load.stop()
    verdict = load.history.judge()
    lab.note(str(verdict))
    assert verdict.checked > 1000, "hardly anything was read"
    assert not verdict.violations, "\n".join([f"{len(verdict.violations)} violations", *verdict.violations[:5]])
    check_settled(load.history, RespPath(cluster, "direct"), [RespPath(larder, name) for name, larder in larders.items()])


@demanding
def test_a_master_is_killed_under_load(lab):
    """The first write after the promotion, no hang, and what L1 has afterwards is what the cluster has."""
    cluster = lab.redis_cluster()
    larder = lab.larder("redis", cluster)
    keys = [b"{k%d}" % n for n in range(12)]
    load = Load(keys, lab.arguments.seed)
    for number in range(3):
        load.add_writer(keys[number::3], [RespPath(larder, "A", 2 + number % 2)])
        load.add_reader(RespPath(larder, "A", 2 + number % 2))
    for _ in range(2):
        time.sleep(0.5)
        victim = cluster.owner(keys[0])
        heir = cluster.replica_of(victim) if cluster.nodes.index(victim) < 3 else None
        if heir is None:
            break
        check_failover(lab, cluster, larder, victim, heir, keys[0])
    load.stop()
    lab.note(f"errors {dict(load.errors.most_common(4))}; slowest answer {load.slowest_s * 1000:.0f} ms")
    assert not load.broken, load.broken[:3]
    with larder.connect() as client, cluster.connect() as direct:
        for key in keys:
            wait_until(lambda: client.value("GET", key) == direct.value("GET", key), BOUND_S, f"{key} to settle")


def check_failover(lab, cluster, larder, victim, heir, key):
    writer = Writer(larder, b"%b:probe" % key)
    victim.crash()
    with heir.connect() as client:
        wait_until(lambda: client.value("CLUSTER", "NODES").count(b"myself,master"), 15, "the promotion")
    promoted = time.monotonic()
    try:
        wait_until(lambda: writer.last_success > promoted, 5, "a write")
    finally:
        writer.stop()
    took_ms = (writer.first_success_after(promoted) - promoted) * 1000
    lab.note(f"first write {took_ms:.0f} ms after the promotion")
    assert took_ms < BUSY_MS


class Writer(threading.Thread):
    """Writes one key all the time; None of its requests may hang."""

    def __init__(self, larder, key):
        super().__init__(daemon=True)
        self._larder, self._key = larder, key
        self._successes = [0.0]
        self._stopping = False
        self.start()

    @property
    def last_success(self):
        return self._successes[-1]

    def first_success_after(self, moment):
        return next(success for success in self._successes if success > moment)

    def run(self):
        with self._larder.connect() as client:
            while not self._stopping:
                if client.call("SET", self._key, "v") == b"+OK\r\n":
                    self._successes.append(time.monotonic())
                time.sleep(0.001)

    def stop(self):
        self._stopping = True
        self.join(15)
        assert not self.is_alive(), "a write hangs"


def test_a_node_that_comes_back_elsewhere_is_found(lab):
    """It has another port after its restart; the others say so in CLUSTER SLOTS."""
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster, config={"redis.command_timeout": "15s"})
    node = cluster.nodes[0]
    key = next(f"k{n}" for n in range(100) if cluster.owner(f"k{n}") is node)
    with larder.connect(timeout=20) as client:
        client.value("SET", key, "before")
        assert client.value("GET", key) == b"before"
        node.stop()
        node.move()
        node.start()
        assert client.value("SET", key, "after") == b"OK"  # waits until the cluster is whole again
        with node.connect() as direct:
            assert direct.value("GET", key) == b"after"
        assert client.value("GET", key) == b"after"
