"""Subscriptions through Larder answer as Redis does, and end where a direct connection would end."""

import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from cluster_test import migrate
from clients_test import CLIENTS, DEBIAN_PYTHON, node, run
from private_connections_test import clients_of, private
from support.lab import demanding, on_backends
from support.resp import decode, encode, wait_until
from support.servers import free_port, key_slot

OK = b"+OK\r\n"

# Steps of a subscriber, those with `;` at once, and with `=` of a publisher; all shard channels are in one slot.
SEQUENCES = """
SUBSCRIBE a b|=PUBLISH a hi|=PUBLISH c no|GET k|PING|PING x|PING x y|UNSUBSCRIBE a|=PUBLISH a no|=PUBLISH b hi|UNSUBSCRIBE|GET k
SUBSCRIBE|PSUBSCRIBE|SSUBSCRIBE|UNSUBSCRIBE|PUNSUBSCRIBE|SUNSUBSCRIBE|UNSUBSCRIBE x y|PUNSUBSCRIBE x|SUNSUBSCRIBE {t}x {t}y|GET k
SUBSCRIBE a a|subscribe a|PSUBSCRIBE a|=PUBLISH a hi|UNSUBSCRIBE a|UNSUBSCRIBE a b|PUNSUBSCRIBE|PUNSUBSCRIBE|PING
PSUBSCRIBE a* [xy]?|=PUBLISH ab hi|=PUBLISH y1 hi|=PUBLISH z1 no|PUNSUBSCRIBE a*|=PUBLISH ab no|=PUBLISH x1 hi|SUBSCRIBE x1|UNSUBSCRIBE
SSUBSCRIBE {t}a {t}b|=SPUBLISH {t}a hi|=PUBLISH {t}a no|SUBSCRIBE {t}a|=PUBLISH {t}a hi|SUNSUBSCRIBE {t}a|=SPUBLISH {t}a no|SUNSUBSCRIBE|UNSUBSCRIBE
SSUBSCRIBE {t}a|PSUBSCRIBE {t}*|=SPUBLISH {t}a hi|UNSUBSCRIBE|SUNSUBSCRIBE {t}c|PUNSUBSCRIBE|CLIENT GETNAME|SUNSUBSCRIBE|CLIENT GETNAME
SUBSCRIBE a|PUBLISH a hi|SET k v|GET k|PUBLISH a ho|MULTI;GET k;EXEC|PSUBSCRIBE a|PUBLISH a hi|UNSUBSCRIBE|PUBLISH a hi
SSUBSCRIBE {t}a|SPUBLISH {t}a hi|PUBLISH {t}a no|SUNSUBSCRIBE|SPUBLISH {t}a no
SUBSCRIBE a|RESET|=PUBLISH a no|PING|GET k|SUBSCRIBE b|=PUBLISH b hi|=PUBLISH a no
SUBSCRIBE a|CLIENT SETNAME x|CONFIG GET nosuch|AUTH a|SELECT 0|LPUSH l x|DEL k|get k|ECHO x|UNSUBSCRIBE|CLIENT GETNAME
SUBSCRIBE a|CLIENT REPLY OFF|SUBSCRIBE b|=PUBLISH b hi|UNSUBSCRIBE b|GET k|UNSUBSCRIBE nix|CLIENT REPLY ON|GET k
CLIENT REPLY SKIP|SUBSCRIBE a|GET k|=PUBLISH a hi|UNSUBSCRIBE|GET k
MULTI;PING;EXEC|=PUBLISH a no|SUBSCRIBE a|=PUBLISH a hi|QUIT
SUBSCRIBE {empty}|=PUBLISH {empty} hi|=PUBLISH a hi|UNSUBSCRIBE {empty}
"""
SWITCHING = "SUBSCRIBE a|=PUBLISH a 1|HELLO 2|=PUBLISH a 2|GET k|PING|UNSUBSCRIBE|HELLO 3|SUBSCRIBE a|=PUBLISH a 3|GET k|PING"


def words(step):
    return step.replace("{empty}", "").split(" ")


class Publisher:
    """Publishes; in a cluster a message is everywhere before anybody goes on."""

    def __init__(self, larder, behind):
        self._client = larder.connect()
        self._nodes = getattr(behind, "nodes", ())
        self._witnesses = [node.connect() for node in self._nodes]
        for witness in self._witnesses:
            witness.call("PSUBSCRIBE", "*"), witness.call("SUBSCRIBE", "")  # which `*` does not match

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._settle()
        for client in (self._client, *self._witnesses):
            client.close()

    def _settle(self):
        """What the subscriber itself has published is everywhere too: a message from each node comes behind it."""
        for node in self._nodes:
            with node.connect() as direct:
                direct.call("PUBLISH", "everywhere", f"from {node.port}")
        for witness in self._witnesses:
            awaited = {b"from %d" % node.port for node in self._nodes}
            while awaited:
                awaited.discard(decode(witness.read())[-1])

    def publish(self, step):
        told = self._client.call(*words(step.removeprefix("=")))
        if step.startswith("=PUBLISH"):
            for witness in self._witnesses:
                witness.read()
        return told


class Listener:
    """A subscriber that is asked for a sign behind each step: all that came before it belongs to the step."""

    def __init__(self, server, protocol):
        self.client = server.connect(protocol)
        self._signs = 0

    def do(self, step):
        self.client.send_bytes(b"".join(encode(words(command)) for command in step.split(";")))
        return self.heard()

    def heard(self, at_least=0):
        """`at_least`: messages that come from another node of a cluster may come behind the sign."""
        replies = self._heard_before_sign()
        deadline = time.monotonic() + 10
        while len(replies) < at_least and replies[-1] != b"(closed)" and time.monotonic() < deadline:
            replies = replies[:-1] + self._heard_before_sign()
        return replies

    def _heard_before_sign(self):
        self._signs += 1
        sign = b"sign%d\r\n" % self._signs
        self.client.send("PING", sign[:-2])
        replies = []
        try:
            while not replies or not replies[-1].endswith(sign):
                replies.append(self.client.read())
        except ConnectionError:
            replies.append(b"(closed)")
        return replies


def without_details(step, replies):
    """What two servers may choose: the order of the channels that are left all at once, and of patterns that match."""
    if step in ("UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"):
        decoded = list(map(decode, replies))
        names = sorted(str(d[1]) for d in decoded[:-1])
        return names, [(d[0], d[2]) for d in decoded[:-1]]
    if step.startswith("="):
        return sorted(reply for reply in replies if b"sign" not in reply)
    return [b"" if b"proto" in reply or b"sign" in reply else reply for reply in replies]


def played(server, behind, protocol, steps, counts, expected=None):
    """`counts`: whether PUBLISH tells of all subscribers; in a cluster it tells of those at one node."""
    listener = Listener(server, protocol)
    transcript = []
    with listener.client, Publisher(server, behind) as publisher:
        publisher.publish("DEL k"), publisher.publish("DEL l")
        for number, step in enumerate(steps):
            if step.startswith("="):
                told = publisher.publish(step)
                replies = listener.heard(len(expected[number][1]) + 1 if expected else 0) + ([told] if counts else [])
            elif "CLIENT REPLY" in step or step == "QUIT":
                listener.client.send(*words(step))
                replies = listener.client.read_to_end() if step == "QUIT" else b""
                transcript.append((step, replies))
                continue
            else:
                replies = [reply for reply in listener.do(step) if counts or not reply.startswith(b":")]
            transcript.append((step, without_details(step, replies)))
            if replies[-1] == b"(closed)":
                break
    return transcript


def check_alike(oracle, larder, behind, protocol, steps):
    counts = not hasattr(behind, "nodes")
    expected = played(oracle, oracle, protocol, steps, counts)
    got = played(larder, behind, protocol, steps, counts, None if counts else expected)
    for theirs, ours in zip(expected, got, strict=True):
        assert ours == theirs, f"RESP{protocol} {'|'.join(steps)}:\nexpected {theirs}\ngot      {ours}"


def silent(steps):
    return any("CLIENT REPLY" in step for step in steps)


def test_subscriptions_answer_like_redis(lab):
    oracle = lab.redis()
    for behind in (lab.redis(), lab.redis_cluster(replicas=False)):
        for options in ((), ("--l1-memory", "0")):
            larder = lab.larder("redis", behind, options=options)
            for protocol in (2, 3):
                for line in SEQUENCES.strip().splitlines():
                    steps = line.split("|")
                    if silent(steps) and hasattr(behind, "nodes"):
                        continue
                    if silent(steps):
                        check_silent(oracle, larder, protocol, steps)
                    else:
                        check_alike(oracle, larder, behind, protocol, steps)
            check_alike(oracle, larder, behind, 3, SWITCHING.split("|"))
            wait_until(lambda: private(larder)[0] == 0, 5, "the connections to be given back")
            larder.stop()


def check_silent(oracle, larder, protocol, steps):
    """CLIENT REPLY silences replies, but no pushes; only the stream as a whole can be compared."""
    streams = []
    for server in (oracle, larder):
        with server.connect(protocol) as client, server.connect() as publisher:
            number = client.value("CLIENT", "ID")
            for step in steps:
                if step.startswith("="):
                    publisher.call(*words(step[1:]))
                else:
                    client.send(*words(step))
                wait_until(lambda: ran(publisher, number, step), 5, step)
            client.finish_sending()
            streams.append(client.read_to_end())
    assert streams[0] == streams[1], (steps, streams)


def ran(observer, number, step):
    """The server has begun the step, and so has ended those before it."""
    if step.startswith("="):
        return True
    line = observer.value("CLIENT", "LIST", "ID", number).decode().split()
    return f"cmd={'|'.join(step.lower().split()[:2 if step.startswith('CLIENT') else 1])}" in line


class Steps:
    """A random sequence; names are few, so that they meet."""

    NAMES = {"": ["a", "b", "ab", "\0\r\n"], "P": ["*", "a*", "[ab]", "nix?"], "S": ["{t}a", "{t}b"]}

    def __init__(self, seed, protocol):
        self._random = random.Random(seed)
        self._protocol = protocol

    def step(self):
        kind = self._random.choice(["", "", "P", "S"])
        names = self._random.choices(self.NAMES[kind], k=self._random.randint(1, 3))
        what = self._random.random()
        if what < 0.35:
            return " ".join([f"{kind}SUBSCRIBE", *names])
        if what < 0.5:
            return " ".join([f"{kind}UNSUBSCRIBE", *names])
        if what < 0.55:
            return f"{kind}UNSUBSCRIBE"
        if what < 0.85 or self._protocol == 2:
            return self._publish("=")
        return self._random.choice([self._publish(""), "GET k", "SET k v", "PING", "ECHO x"])

    def _publish(self, who):
        if self._random.random() < 0.3:
            return f"{who}SPUBLISH {self._random.choice(self.NAMES['S'])} m"
        return f"{who}PUBLISH {self._random.choice(self.NAMES[''])} m{self._random.random()}"


def test_random_sequences_answer_like_redis(lab):
    oracle = lab.redis()
    for behind in (lab.redis(), lab.redis_cluster(replicas=False)):
        larder = lab.larder("redis", behind)
        for seed in range(lab.arguments.seed, lab.arguments.seed + 4 * lab.arguments.rounds):
            for protocol in (2, 3):
                steps = Steps(f"{seed}/{protocol}", protocol)
                # A client's own message may match several patterns, in the order of a random table.
                sequence = [step for step in (steps.step() for _ in range(80)) if protocol == 2 or "*" not in step]
                if hasattr(behind, "nodes"):  # when its own messages are everywhere nobody waits for
                    sequence = [step for step in sequence if not step.startswith("PUBLISH")]
                check_alike(oracle, larder, behind, protocol, sequence)
        larder.stop()


@on_backends("memory", "postgres")
def test_without_redis_they_answer_the_same(lab, backend):
    """The subscriptions are Larder's own then, and it has no transactions."""
    oracle, larder = lab.redis(), lab.larder(backend)
    lines = [line for line in SEQUENCES.strip().splitlines() if "MULTI" not in line]
    for protocol in (2, 3):
        for line in lines:
            steps = line.replace("LPUSH l x|", "").split("|")
            if silent(steps):
                check_silent(oracle, larder, protocol, steps)
            else:
                check_alike(oracle, larder, oracle, protocol, steps)
        for seed in range(lab.arguments.seed, lab.arguments.seed + 4 * lab.arguments.rounds):
            steps = Steps(f"{seed}/{protocol}", protocol)
            sequence = [step for step in (steps.step() for _ in range(80)) if protocol == 2 or "*" not in step]
            check_alike(oracle, larder, oracle, protocol, sequence)
    check_alike(oracle, larder, oracle, 3, SWITCHING.split("|"))
    with larder.connect() as client:
        wait_until(lambda: client.value("PUBSUB", "CHANNELS") == client.value("PUBSUB", "SHARDCHANNELS") == [], 5,
                   "those that have gone to be forgotten")
        assert client.value("PUBSUB", "NUMPAT") == 0


@on_backends("memory", "postgres")
def test_subscribers_of_all_workers(lab, backend):
    larder = lab.larder(backend)
    subscribers = [lab.closing(larder.connect(2 + n % 2)) for n in range(8)]
    with larder.connect() as client:
        for n, subscriber in enumerate(subscribers):
            subscriber.pipeline([("SUBSCRIBE", "news"), ("PSUBSCRIBE", "n*"), ("SSUBSCRIBE", f"s{n}")])
        assert client.value("PUBSUB", "CHANNELS") == [b"news"] and client.value("PUBSUB", "CHANNELS", "x*") == []
        assert client.value("PUBSUB", "NUMSUB", "news", "x") == [b"news", 8, b"x", 0]
        assert client.value("PUBSUB", "NUMPAT") == 1 and client.value("PUBSUB", "SHARDNUMSUB", "s3") == [b"s3", 1]
        assert len(client.value("PUBSUB", "SHARDCHANNELS")) == 8
        assert topics_of(larder) == ("1", "1", "8")
        assert client.value("PUBLISH", "news", "x") == 16 and client.value("SPUBLISH", "s5", "y") == 1
        for subscriber in subscribers:
            assert [decode(subscriber.read())[-1] for _ in range(2)] == [b"x"] * 2
        assert decode(subscribers[5].read()) == [b"smessage", b"s5", b"y"]
        for subscriber in subscribers[:4]:
            subscriber.close()
        wait_until(lambda: topics_of(larder) == ("1", "1", "4"), 5, "those that have gone to be forgotten")
        for subscriber in subscribers[4:]:
            subscriber.pipeline([("UNSUBSCRIBE", "news"), ("PUNSUBSCRIBE", "n*")])
        assert topics_of(larder) == ("0", "0", "4")


def topics_of(larder):
    """What anybody is subscribed to, as INFO counts it."""
    stats = larder.info("stats")
    return tuple(stats[name] for name in ("pubsub_channels", "pubsub_patterns", "pubsubshard_channels"))


@on_backends()
def test_messages_keep_their_order(lab, backend):
    """... also those that come while a command that subscribes is on its way, and while others are answered."""
    larder = lab.larder(backend)
    with larder.connect(3) as subscriber, larder.connect() as publisher:
        assert decode(subscriber.call("SUBSCRIBE", "news")) == [b"subscribe", b"news", 1]
        requests, messages = [], []
        for n in range(3000):
            requests.append(("SUBSCRIBE" if n % 2 else "UNSUBSCRIBE", "other") if n % 5 == 0 else ("GET", f"k{n}"))
            messages.append(("PUBLISH", "news", n))
        subscriber.send_bytes(b"".join(map(encode, requests)))
        publisher.pipeline(messages)
        heard, answers = [], 0
        while len(heard) < len(messages) or answers < len(requests):
            reply = decode(subscriber.read())
            if isinstance(reply, list) and reply[0] == b"message":
                heard.append(int(reply[2]))
            else:
                answers += 1
                assert reply is None or reply[0].endswith(b"subscribe"), reply
        assert heard == list(range(3000))


def test_keyspace_events_arrive(lab):
    larder = lab.larder("redis", lab.redis("--notify-keyspace-events", "KEA"))
    with larder.connect() as subscriber, larder.connect() as writer:
        assert subscriber.call("PSUBSCRIBE", "__keyspace@0__:k*").startswith(b"*3\r\n$10\r\npsubscribe")
        assert writer.call("SET", "k1", "v") == OK and writer.call("DEL", "k1") == b":1\r\n"
        assert [decode(subscriber.read())[2:] for _ in range(2)] == [
            [b"__keyspace@0__:k1", b"set"], [b"__keyspace@0__:k1", b"del"]]


def test_transactions_take_no_subscription(lab):
    """Redis would push in the middle of EXEC's array."""
    larder = lab.larder("redis")
    for protocol in (2, 3):
        with larder.connect(protocol) as client:
            for command in ("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"):
                assert client.pipeline([("MULTI",), (command, "x"), ("EXEC",)]) == [
                    OK, b"-ERR Command not allowed inside a transaction\r\n",
                    b"-EXECABORT Transaction discarded because of previous errors.\r\n"]
            assert client.call("PING") == b"+PONG\r\n"


def fields_of(observer, number):
    return dict(field.split("=", 1) for field in observer.value("CLIENT", "LIST", "ID", number).decode().split())


@on_backends()
def test_clients_are_told_apart(lab, backend):
    larder = lab.larder(backend)
    with larder.connect(3) as subscriber, larder.connect() as other:
        number = subscriber.value("CLIENT", "ID")
        subscriber.pipeline([("SUBSCRIBE", "a"), ("SUBSCRIBE", "b"), ("PSUBSCRIBE", "*"), ("SSUBSCRIBE", "s")])
        told = fields_of(other, number)
        assert (told["flags"], told["sub"], told["psub"], told["ssub"]) == ("P", "2", "1", "1")
        assert other.value("CLIENT", "LIST", "TYPE", "pubsub").count(b"id=") == 1
        assert other.value("CLIENT", "LIST", "TYPE", "normal").count(b"id=") == 1
        assert other.value("PUBSUB", "NUMSUB", "a", "x") == [b"a", 1, b"x", 0] and other.value("PUBSUB", "NUMPAT") == 1
        subscriber.pipeline([("UNSUBSCRIBE", "a"), ("UNSUBSCRIBE", "b"), ("PUNSUBSCRIBE", "*"), ("SUNSUBSCRIBE", "s")])
        told = fields_of(other, number)
        assert (told["flags"], told["sub"], told["psub"], told["ssub"]) == ("N", "0", "0", "0")
        subscriber.call("SUBSCRIBE", "a")
        assert other.value("CLIENT", "KILL", "TYPE", "pubsub") == 1 and subscriber.read_to_end() == b""
        if backend == "redis":
            wait_until(lambda: private(larder)[0] == 0, 5, "its connection to be given back")


def test_subscribers_that_die_leave_nothing(lab):
    redis = lab.redis()
    larder = lab.larder("redis", redis, config={"redis.private_connections": 40})
    with larder.connect() as other:
        other.call("GET", "k")
        before = clients_of(redis)
        for _ in range(3):
            subscribers = [larder.connect(2 + n % 2) for n in range(40)]
            for subscriber in subscribers:
                assert b"subscribe" in subscriber.call("SUBSCRIBE", "news")
            assert other.value("PUBLISH", "news", "x") == 40 and private(larder)[0] == 40
            assert other.call("SUBSCRIBE", "news").startswith(b"-ERR no upstream connection is left for 'SUBSCRIBE'")
            assert other.call("UNSUBSCRIBE", "news") == b"*3\r\n$11\r\nunsubscribe\r\n$4\r\nnews\r\n:0\r\n"
            for subscriber in subscribers:
                subscriber.close()
            wait_until(lambda: private(larder)[0] == 0, 5, "their connections to be given back")
            wait_until(lambda: other.value("PUBSUB", "NUMSUB", "news") == [b"news", 0], 5, "Redis to know")
        wait_until(lambda: clients_of(redis) <= before + 2, 5, "Redis to have no more clients than before")


@demanding
@on_backends("memory", "redis")
def test_a_subscriber_that_does_not_read_is_cut_off(lab, backend):
    larder = lab.larder(backend, config={"server.pubsub_output_limit": "4mb 1mb 60s"})
    with larder.connect() as deaf, larder.connect() as listener, larder.connect() as publisher:
        deaf.call("SUBSCRIBE", "news"), listener.call("SUBSCRIBE", "news")
        number = publisher.value("CLIENT", "ID")
        message, sent = b"x" * 100_000, 0
        while publisher.value("PUBSUB", "NUMSUB", "news")[1] == 2:
            publisher.value("PUBLISH", "news", message)
            assert decode(listener.read())[2] == message
            sent += 1
            assert sent < 1000, "nobody cuts it off"
        assert len(publisher.value("CLIENT", "LIST").splitlines()) == 2 and publisher.value("CLIENT", "ID") == number
        assert larder.process.log().count("unread replies exceed the output buffer limit") == 1
        assert backend == "memory" or private(larder)[0] == 1


@on_backends("memory", "redis")
def test_confirmations_count_too(lab, backend):
    """A client that is cut off in the middle of a command that subscribes leaves nothing."""
    larder = lab.larder(backend, config={"server.pubsub_output_limit": "100kb 100kb 60s"})
    with larder.connect() as other:
        for many in (*range(80, 88), 1000):  # the limit is met before the end of the command, with it, or not at all
            with larder.connect() as greedy:
                greedy.send("SUBSCRIBE", *(f"{n}{'x' * 1200}" for n in range(many)))
                greedy.finish_sending()
                greedy.read_to_end()
            wait_until(lambda: len(other.value("CLIENT", "LIST").splitlines()) == 1, 5, "the client to be gone")
        wait_until(lambda: other.value("PUBSUB", "CHANNELS") == [], 5, "its subscriptions to be gone")
        assert backend == "memory" or private(larder)[0] == 0


def disconnected(larder):
    """How many subscribers have lost Redis, as the log tells; a worker sums them up at its next tick."""
    lines = [line for line in larder.process.log().splitlines() if "subscribers were disconnected" in line]
    return sum(int(line.split("redis: ")[1].split()[0]) for line in lines)


def test_the_connection_to_redis_is_lost(lab):
    """Messages may be missed from then on: the clients hear of it as those of Redis would."""
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    subscribers = [lab.closing(larder.connect(2 + n % 2)) for n in range(6)]
    with larder.connect() as other:
        for subscriber in subscribers:
            subscriber.call("SUBSCRIBE", "news")
        redis.crash()
        for subscriber in subscribers:
            assert subscriber.read_to_end() == b""
        assert private(larder)[0] == 0 and other.call("PING") == b"+PONG\r\n"
        # An answer, be it an error, would be final to some libraries (ioredis), and they would never hear anything again.
        late = [lab.closing(larder.connect()) for _ in range(3)]
        for words in (("SUBSCRIBE", "news"), ("PSUBSCRIBE", "n*"), ("SSUBSCRIBE", "news")):
            late[-1].send(*words), late[-1].send("PING")
            assert late.pop().read_to_end() == b""
        assert private(larder)[0] == 0
        redis.start()
        wait_until(lambda: other.call("GET", "k") == b"$-1\r\n", 5, "Redis to be back")
        assert decode(other.call("SUBSCRIBE", "news")) == [b"subscribe", b"news", 1]
        with redis.connect() as direct:
            assert direct.value("PUBLISH", "news", "back") == 1 and decode(other.read())[2] == b"back"
            wait_until(lambda: disconnected(larder) == len(subscribers), 5, "the log to tell of them")
            direct.value("CLIENT", "KILL", "TYPE", "pubsub")
        assert other.read_to_end() == b""


def test_redis_is_away_since_the_start(lab):
    """Subscribers that another Larder has lost meet one that has never seen Redis, or its Sentinels."""
    redis, nobody = lab.redis(), f"127.0.0.1:{free_port()}"
    redis.crash()
    for url in (f"redis-cluster://{nobody}", f"redis-sentinel://{nobody}/main", redis.url):
        larder = lab.larder("redis", SimpleNamespace(url=url), workers=1)
        with larder.connect() as client:
            wait_until(lambda client=client: client.call("GET", "k").startswith(b"-ERR"), 10, "the problem to be known")
            assert client.call("UNSUBSCRIBE") == b"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"
            client.send("SUBSCRIBE", "news")
            assert client.read_to_end() == b""
    redis.start()
    with larder.connect() as client:
        wait_until(lambda: client.call("GET", "k") == b"$-1\r\n", 10, "Redis to be found")
        assert decode(client.call("SUBSCRIBE", "news")) == [b"subscribe", b"news", 1]


def test_users_subscribe_with_their_own_rights(lab):
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    with redis.connect() as direct, larder.connect(3) as client:
        direct.value("ACL", "SETUSER", "ann", "on", ">ann", "resetchannels", "&a:*", "+@all")
        direct.value("ACL", "SETUSER", "bob", "on", ">bob", "resetchannels", "&b:*", "+@all")
        assert client.call("AUTH", "ann", "ann") == OK
        assert client.call("SUBSCRIBE", "a:1", "b:1").startswith(b"-NOPERM")
        assert decode(client.call("SUBSCRIBE", "a:1")) == [b"subscribe", b"a:1", 1]
        assert client.call("PUBLISH", "b:1", "x").startswith(b"-NOPERM")
        assert client.call("AUTH", "bob", "bob") == OK
        assert client.call("SUBSCRIBE", "b:1").startswith(b"-ERR this connection has subscribed as another user")
        assert client.call("PUBLISH", "a:1", "x").startswith(b"-NOPERM") and client.call("PUBLISH", "b:1", "x") == b":0\r\n"
        assert decode(client.call("UNSUBSCRIBE")) == [b"unsubscribe", b"a:1", 0]
        assert decode(client.call("SUBSCRIBE", "b:1")) == [b"subscribe", b"b:1", 1]
        direct.value("ACL", "DELUSER", "bob")
        assert client.read_to_end() == b""


def test_redis_without_resp3(lab):
    larder = lab.larder("redis", lab.redis("--rename-command", "HELLO", ""))
    with larder.connect() as client:
        for _ in range(3):
            assert client.call("SUBSCRIBE", "a", "b") == (
                b"-ERR the Redis behind Larder does not speak RESP3, which subscriptions need\r\n")
        assert client.call("GET", "k") == b"$-1\r\n" and private(larder)[0] == 0


@on_backends()
def test_shutdown_does_not_wait_for_subscribers(lab, backend):
    larder = lab.larder(backend)
    with larder.connect() as subscriber:
        subscriber.call("SUBSCRIBE", "news")
        started = time.monotonic()
        larder.stop()
        assert time.monotonic() - started < 3 and subscriber.read_to_end() == b""


# --- in front of a cluster ---


def connected(cluster, larder):
    """Every worker of Larder to every master: it prefers those that it knows to be there."""
    def counted(server):
        with server.connect() as client:
            return client.value("CLIENT", "LIST").count(b"name=larder")
    wait_until(lambda: all(counted(server) >= 2 for server in cluster.nodes[:3]), 10, "all connections")
    return larder


def tags_by_node(cluster):
    """A hash tag for each node."""
    return [next(f"{{{n}}}" for n in range(1000) if cluster.owner(f"{n}") is server) for server in cluster.nodes]


def subscribers_at(server):
    with server.connect() as client:
        return len(client.value("PUBSUB", "CHANNELS"))


def test_subscribers_are_spread_over_a_cluster(lab):
    cluster = lab.redis_cluster(replicas=False)
    larder = connected(cluster, lab.larder("redis", cluster))
    subscribers = [lab.closing(larder.connect()) for _ in range(12)]
    with larder.connect() as other:
        for n, subscriber in enumerate(subscribers):
            subscriber.call("SUBSCRIBE", "news", f"own{n}"), subscriber.read()
        assert all(subscribers_at(server) > 2 for server in cluster.nodes)
        assert sorted(other.value("PUBSUB", "CHANNELS", "own*")) == sorted(b"own%d" % n for n in range(12))
        assert sorted(other.value("PUBSUB", "CHANNELS"))[0] == b"news" and len(other.value("PUBSUB", "CHANNELS")) == 13
        assert other.value("PUBSUB", "NUMSUB", "news", "own3", "none") == [b"news", 12, b"own3", 1, b"none", 0]
        for server in cluster.nodes:
            with server.connect() as direct:
                direct.value("PUBLISH", "news", "x")
        for subscriber in subscribers:
            assert [decode(subscriber.read()) for _ in range(3)] == [[b"message", b"news", b"x"]] * 3


def test_shard_channels_of_many_nodes(lab):
    """Larder looks like one node: its client may subscribe to the channels of all slots."""
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster)
    tags = tags_by_node(cluster)
    with larder.connect(3) as client, larder.connect() as other:
        number = client.value("CLIENT", "ID")
        assert client.call("SSUBSCRIBE", *tags) == b"-CROSSSLOT Keys in request don't hash to the same slot\r\n"
        for n, tag in enumerate(tags):
            assert decode(client.call("SSUBSCRIBE", tag)) == [b"ssubscribe", tag.encode(), n + 1]
        assert private(larder)[0] == 3 and fields_of(other, number)["ssub"] == "3"
        assert decode(client.call("SUBSCRIBE", "news")) == [b"subscribe", b"news", 1] and private(larder)[0] == 3
        assert sorted(other.value("PUBSUB", "SHARDCHANNELS")) == sorted(tag.encode() for tag in tags)
        assert other.value("PUBSUB", "SHARDNUMSUB", *tags) == [word for tag in tags for word in (tag.encode(), 1)]
        for tag in tags:
            assert other.value("SPUBLISH", tag, "hi") == 1 and decode(client.read()) == [b"smessage", tag.encode(), b"hi"]
            client.send("SPUBLISH", tag, "own")  # the message comes first, as from Redis
            assert decode(client.read()) == [b"smessage", tag.encode(), b"own"] and client.read() == b":1\r\n"
        client.send("SUNSUBSCRIBE")
        left = [decode(client.read()) for _ in tags]
        assert sorted(name for _, name, _ in left) == sorted(tag.encode() for tag in tags)
        assert [count for _, _, count in left] == [2, 1, 0]
        assert client.call("SUNSUBSCRIBE") == b">3\r\n$12\r\nsunsubscribe\r\n_\r\n:0\r\n"
        assert decode(client.call("UNSUBSCRIBE")) == [b"unsubscribe", b"news", 0]
        assert private(larder)[0] == 0


def test_a_slot_moves_away_under_its_subscribers(lab):
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster)
    source, target = cluster.nodes[0], cluster.nodes[2]
    tag = tags_by_node(cluster)[0]
    with larder.connect() as subscriber, larder.connect(3) as resp3:
        for client in (subscriber, resp3):
            assert decode(client.call("SSUBSCRIBE", tag)) == [b"ssubscribe", tag.encode(), 1]
        migrate(cluster, key_slot(tag), source, target)
        for client in (subscriber, resp3):
            assert decode(client.read()) == [b"sunsubscribe", tag.encode(), 0]
        wait_until(lambda: private(larder)[0] == 0, 5, "the connections to be given back")
        for client in (subscriber, resp3):  # Larder may not know yet: it follows MOVED
            assert decode(client.call("SSUBSCRIBE", tag)) == [b"ssubscribe", tag.encode(), 1]
        with target.connect() as direct:
            assert direct.value("SPUBLISH", tag, "there") == 2
        for client in (subscriber, resp3):
            assert decode(client.read()) == [b"smessage", tag.encode(), b"there"]


@demanding
def test_a_master_of_a_cluster_dies(lab):
    """Its subscribers are disconnected, and find another node when they come back."""
    cluster = lab.redis_cluster()
    larder = connected(cluster, lab.larder("redis", cluster))
    subscribers = [larder.connect() for _ in range(6)]
    for subscriber in subscribers:
        subscriber.call("SUBSCRIBE", "news")
    victim = cluster.nodes[1]
    victim.crash()
    lost = 0
    for n, subscriber in enumerate(subscribers):
        subscriber.set_timeout(1)
        try:
            assert subscriber.read_to_end() == b""
        except TimeoutError:
            continue
        lost += 1
        subscribers[n] = larder.connect()
        assert decode(subscribers[n].call("SUBSCRIBE", "news")) == [b"subscribe", b"news", 1]
    assert lost == 2
    with cluster.nodes[0].connect() as direct:
        direct.value("PUBLISH", "news", "x")
    for subscriber in subscribers:
        assert decode(subscriber.read())[2] == b"x"
        subscriber.close()


# --- programs ---


def test_redis_py_subscribes(lab):
    program = CLIENTS / "python_redis_pubsub.py"
    for behind in (lab.redis(), lab.redis_cluster(replicas=False)):
        larder = lab.larder("redis", behind)
        assert run([DEBIAN_PYTHON, program, larder.port]) == "done\n"
        larder.stop()


def test_ioredis_subscribes_again_after_an_outage(lab):
    """It comes back while Redis is away, and takes an answer to its SUBSCRIBE for the last word, be it an error."""
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    with larder.connect() as observer, ThreadPoolExecutor(1) as threads:
        program = threads.submit(node, lab, "ioredis_outage.mjs", larder)
        wait_until(lambda: observer.value("PUBSUB", "NUMSUB", "io:out") == [b"io:out", 1], 150, "it to subscribe")
        redis.crash()
        wait_until(lambda: disconnected(larder) == 1, 10, "the loss to be noticed")
        subscribing = wait_until(lambda: re.search(rb"id=(\d+) .* cmd=subscribe ", observer.value("CLIENT", "LIST")), 10,
                                 "it to come back")[1]
        wait_until(lambda: b"id=%b " % subscribing not in observer.value("CLIENT", "LIST"), 10, "it to be turned away")
        redis.start()
        wait_until(lambda: observer.call("PUBLISH", "io:out", "end") == b":1\r\n", 30, "it to subscribe again")
        assert program.result() == "done\n"


def test_ioredis_subscribes(lab):
    for behind in (lab.redis(), lab.redis_cluster(replicas=False)):
        larder = lab.larder("redis", behind)
        assert node(lab, "ioredis_pubsub.mjs", larder) == "done\n"
        larder.stop()
