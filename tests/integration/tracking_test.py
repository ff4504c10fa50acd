"""CLIENT TRACKING: who keeps what it reads is told of every change, wherever that comes from."""

import contextlib
import random
import threading
import time

from clients_test import node
from cluster_test import migrate
from coherence import BOUND_S
from support.lab import demanding, on_backends
from support.resp import ReplyError, decode, encode, wait_until
from support.servers import key_slot

OK = b"+OK\r\n"
EVERYTHING = None  # is told to be forgotten

# What is said of CLIENT TRACKING itself; `{me}` is the client's id.
TALKS = """
CLIENT TRACKING|CLIENT TRACKING maybe|CLIENT TRACKING ON nix|CLIENT TRACKING OFF nix|CLIENT TRACKING OFF|CLIENT TRACKINGINFO|CLIENT GETREDIR
CLIENT TRACKING ON|CLIENT TRACKING ON|CLIENT TRACKINGINFO|CLIENT GETREDIR|CLIENT CACHING YES|CLIENT CACHING NO|CLIENT TRACKING OFF|CLIENT TRACKINGINFO
CLIENT TRACKING ON REDIRECT|CLIENT TRACKING ON REDIRECT x|CLIENT TRACKING ON REDIRECT 99999999|CLIENT TRACKING ON REDIRECT 0|CLIENT TRACKING ON REDIRECT -1
CLIENT TRACKING ON REDIRECT {me}|CLIENT GETREDIR|CLIENT TRACKINGINFO|CLIENT TRACKING ON|CLIENT GETREDIR|CLIENT TRACKING ON REDIRECT {me} REDIRECT {me}
CLIENT TRACKING ON REDIRECT 99999999 nix|CLIENT TRACKING ON nix REDIRECT 99999999|CLIENT TRACKING OFF REDIRECT {me}|CLIENT GETREDIR|CLIENT TRACKING nix REDIRECT {me}
CLIENT TRACKING ON OPTIN OPTOUT|CLIENT TRACKING ON OPTIN|CLIENT TRACKINGINFO|CLIENT CACHING NO|CLIENT CACHING maybe|CLIENT CACHING YES|CLIENT TRACKINGINFO|GET k|CLIENT TRACKINGINFO
CLIENT TRACKING ON OPTIN|CLIENT TRACKING ON OPTOUT|CLIENT TRACKING ON|CLIENT TRACKINGINFO|CLIENT TRACKING ON OPTOUT NOLOOP|CLIENT CACHING NO|CLIENT TRACKINGINFO|CLIENT CACHING YES
CLIENT TRACKING ON PREFIX a|CLIENT TRACKING ON PREFIX|CLIENT TRACKING ON BCAST OPTIN|CLIENT TRACKING ON|CLIENT TRACKING ON BCAST|CLIENT TRACKINGINFO
CLIENT CACHING YES|CLIENT CACHING|CLIENT GETREDIR x|CLIENT TRACKINGINFO x|CLIENT TRACKING ON NOLOOP|RESET|CLIENT TRACKINGINFO|CLIENT TRACKING ON|CLIENT TRACKING OFF
MULTI|CLIENT TRACKING ON|CLIENT TRACKINGINFO|DISCARD
"""
BROADCAST_TALKS = """
CLIENT TRACKING ON BCAST|CLIENT TRACKINGINFO|CLIENT TRACKING ON|CLIENT TRACKING ON BCAST PREFIX a|CLIENT TRACKING ON BCAST|CLIENT CACHING YES
CLIENT TRACKING ON BCAST PREFIX b PREFIX a|CLIENT TRACKINGINFO|CLIENT TRACKING ON BCAST PREFIX ab|CLIENT TRACKING ON BCAST PREFIX c NOLOOP|CLIENT TRACKINGINFO
CLIENT TRACKING ON BCAST PREFIX a PREFIX ab|CLIENT TRACKING ON BCAST PREFIX a PREFIX a|CLIENT TRACKING OFF|CLIENT TRACKING ON BCAST OPTOUT|CLIENT TRACKINGINFO
"""

# Steps of the client that tracks, and with `=` of another one; the first is about CLIENT TRACKING.
STORIES = """
ON|GET a|=SET a 1|=SET a 2|GET a|SET a 3|GET a|GET a|=DEL a|=DEL a|GET a|=SET a 4|=GET a
ON|MGET a b c|=SET b 1|=MSET a 1 c 1|STRLEN a|=APPEND a x|EXISTS a b|=DEL a b|TTL a|=SETEX a 100 x|TTL a|=PERSIST a
ON|GET a|=EXPIRE a 100|=SET a 1|GET a|=EXPIRE a 100|GET a|=GETEX a PERSIST|GET a|=GETDEL a|GET a|=SETRANGE a 0 x|GET a|=INCR n|GET n|=INCRBY n 5
ON|GET a|GET b|=SET a 1|=RENAME a b|GET a|GET b|=COPY b a|GET b|=COPY a b REPLACE|GET a|=MOVE a 1|GET a
ON|SET a 1|=SET a 2|GETSET a 3|=SET a 4|GETDEL a|=SET a 1|GETEX a|=SET a 2|SET a 5 GET|=SET a 6
ON|GET a|=FLUSHALL|GET a|=FLUSHDB|GET a|=SET a 1
ON OPTIN|GET a|=SET a 1|CLIENT CACHING YES|GET a|=SET a 2|GET a|=SET a 3|CLIENT CACHING YES|CLIENT ID|PING|GET a|=SET a 4|CLIENT CACHING YES|CLIENT GETNAME|GET a|=SET a 5
ON OPTOUT|GET a|=SET a 1|CLIENT CACHING NO|GET a|=SET a 2|GET a|=SET a 3
ON NOLOOP|GET a|SET a 1|=SET a 2|GET a|=SET a 3|GET a|INCR a|GET a|DEL a|=SET a 1|GET a|=SET a 2
ON NOLOOP|GET a|SET a 1 XX|=SET a 2|GET a|SET a 3 NX|=SET a 4|GET a|DEL a|GET a|SET a 1|GET a|=SET a 5
ON|GET a|CLIENT TRACKING OFF|=SET a 1|GET a|CLIENT TRACKING ON|GET a|=SET a 2
ON|GET a|SELECT 1|=SET a 1|GET a|=SET a 2
"""
BROADCAST_STORIES = """
ON BCAST|=SET a 1|=SET b 1|=MSET a 1 b 1|GET a|=DEL a|SET c 1|=DEL nix|=FLUSHALL|=EXPIRE a 1
ON BCAST PREFIX x PREFIX y|=SET a 1|=SET xa 1|=MSET x1 1 a 1 y1 1 x2 1|SET x1 1|=RENAME x1 y1|=FLUSHALL
ON BCAST NOLOOP PREFIX x|=SET x1 1|SET x1 2|=SET x1 3|INCR x2|DEL x2|=GET x1
"""


READS = ("GET", "MGET", "STRLEN", "EXISTS", "TTL")  # of the stories


class Tracker:
    """A client that keeps apart from the replies what it is told."""

    def __init__(self, server, *options, tracks=True):
        self.client = server.connect(3, timeout=10)
        self.told = []
        if tracks:
            assert self.call("CLIENT", "TRACKING", "ON", *options) == OK

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def call(self, *args):
        self.client.send(*args)
        return self.reply()

    def value(self, *args):
        return decode(self.call(*args))

    def reply(self):
        while (reply := self.client.read()).startswith(b">"):
            self._hear(reply)
        return reply

    def _hear(self, push):
        kind, keys = decode(push)
        assert kind == b"invalidate", push
        self.told += [EVERYTHING] if keys is None else keys

    def hears(self, *keys):
        """Waits until it has been told of all these, or of everything."""
        while EVERYTHING not in self.told and not set(keys) <= set(self.told):
            try:
                push = self.client.read()
            except TimeoutError:
                raise AssertionError(f"not told of {keys}, but of {self.told}") from None
            assert push.startswith(b">"), push
            self._hear(push)
        return self.take()

    def take(self):
        told, self.told = self.told, []
        return told

    def heard(self):
        """What it has been told, when whatever is on its way has come."""
        assert self.call("PING") == b"+PONG\r\n"
        return self.take()

    def listen(self):
        """Takes what has arrived, and waits for nothing."""
        for push in self.client.arrived():
            self._hear(push)
        return self.take()


def lines(text):
    return [line.split("|") for line in text.strip().splitlines()]


def test_replies_are_those_of_redis(lab):
    redis, larder = lab.redis(), lab.larder("memory")
    for protocol in (2, 3):
        for talk in lines(TALKS + BROADCAST_TALKS.strip()):
            if "MULTI" not in talk:  # which the memory backend has not
                compare_talks(talk, redis, larder, protocol)
    in_front = lab.larder("redis", redis)
    for protocol in (2, 3):
        for talk in lines(TALKS + BROADCAST_TALKS.strip()):
            compare_talks(talk, redis, in_front, protocol)


def compare_talks(talk, redis, larder, protocol):
    replies = []
    for server in (redis, larder):
        with server.connect(protocol) as client:
            me = str(client.value("CLIENT", "ID"))
            said = [client.call(*step.replace("{me}", me).split()) for step in talk]
            replies.append([reply.replace(b":%b\r" % me.encode(), b":me\r") for reply in said])
    assert replies[0] == replies[1], (talk, *next(pair for pair in zip(*replies) if pair[0] != pair[1]))


@on_backends()
def test_what_is_told_is_what_redis_tells(lab, backend):
    redis, larder = lab.redis(), lab.larder(backend)
    wait_until(lambda: listens(larder), 10, "the backend to be listened to")
    for story in lines(STORIES + BROADCAST_STORIES.strip()):
        # Elsewhere it may be told too much: a write that changed nothing, or is told by two connections.
        compare_stories(story, redis, larder, exactly=backend == "memory")


def compare_stories(story, redis, larder, exactly):
    servers = (redis, larder)
    with redis.connect() as one, larder.connect() as two:
        assert one.call("FLUSHALL") == two.call("FLUSHALL") == OK
    trackers = [Tracker(server, *story[0].split()[1:]) for server in servers]
    others = [server.connect() for server in servers]
    dropped = set()  # what it was told and has not read since
    for step in story[1:]:
        words = step.removeprefix("=").split()
        replies = [(other if step.startswith("=") else tracker).call(*words) for tracker, other in zip(trackers, others)]
        if "ID" not in words:
            assert replies[0] == replies[1], (story, step, replies)
        if words[0] in READS and not step.startswith("="):
            dropped -= set(map(str.encode, words))
        expected = trackers[0].heard()
        try:
            told = trackers[1].hears(*set(expected) - dropped) + trackers[1].heard()
        except AssertionError as fault:
            raise AssertionError(f"{story}, {step}: {fault}") from fault
        if not exactly and "BCAST" not in story[0]:
            dropped |= set(told) if EVERYTHING not in told else set(map(str.encode, "abcn")) | {EVERYTHING}
        if exactly:
            assert sorted(map(str, told)) == sorted(map(str, expected)), (story, step, expected, told)
    for client in (*trackers, *others):
        client.__exit__()


@on_backends("postgres", "redis")
def test_a_change_behind_larders_back_is_told(lab, backend):
    behind = lab.behind(backend)
    larder = lab.larder(backend, behind)
    other = lab.larder(backend, behind)
    tracker = Tracker(larder)
    direct = lab.closing(behind.connect()) if backend == "redis" else None

    def write(key, value):
        if direct:
            assert direct.call("SET", key, value) == OK
        else:
            behind.psql(f"INSERT INTO larder.kv (db, k, v) VALUES (0, '{key}', '{value}')"
                        " ON CONFLICT (db, k) DO UPDATE SET v = excluded.v")

    with other.connect() as elsewhere, larder.connect() as here:
        wait_until(lambda: listens(larder), 10, "the backend to be listened to")
        for value in ("1", "22", "333"):
            assert tracker.call("GET", "a")
            write("a", value)
            tracker.hears(b"a")
            assert tracker.value("GET", "a") == value.encode()
        # From L1, which another client has filled; and a key that is absent.
        here.value("GET", "b")
        assert tracker.value("GET", "b") is None
        write("b", "1")
        tracker.hears(b"b")
        tracker.value("MGET", "a", "b")
        assert elsewhere.call("SET", "b", "2") == OK
        tracker.hears(b"b")
        assert elsewhere.call("DEL", "a") == b":1\r\n"
        tracker.hears(b"a")
        tracker.value("GET", "a")
        direct.call("FLUSHALL") if direct else behind.psql("TRUNCATE larder.kv")
        tracker.hears(EVERYTHING)
        tracker.value("GET", "a")
        assert elsewhere.call("FLUSHALL") == OK
        tracker.hears(EVERYTHING)


@on_backends()
def test_expiry_is_told(lab, backend):
    larder = lab.larder(backend)
    with larder.connect() as writer:
        wait_until(lambda: listens(larder), 10, "the backend to be listened to")
        for _ in range(3):
            tracker = Tracker(larder)
            writer.value("SET", "a", "1", "PX", "150")
            assert tracker.value("GET", "a") == b"1"
            tracker.hears(b"a")
            wait_until(lambda: tracker.value("GET", "a") is None, BOUND_S, "the key to be gone")


def listens(larder):
    """Changes of what is read are heard of: nothing is told right behind the reply."""
    with Tracker(larder) as tracker:
        tracker.call("GET", "nothing"), tracker.call("PING")
        return not tracker.heard()


@on_backends()
def test_resp2_is_told_by_another_connection(lab, backend):
    larder = lab.larder(backend)
    with larder.connect() as client, larder.connect() as listener, larder.connect() as writer:
        wait_until(lambda: listens(larder), 10, "the backend to be listened to")
        assert listener.call("SUBSCRIBE", "__redis__:invalidate").startswith(b"*3")
        target = "0"
        with larder.connect() as asking:
            listing = asking.value("CLIENT", "LIST").decode()
        target = next(line for line in listing.splitlines() if " sub=1 " in line).split()[0].removeprefix("id=")
        assert client.call("CLIENT", "TRACKING", "ON", "REDIRECT", target) == OK
        assert client.call("CLIENT", "GETREDIR") == b":%b\r\n" % target.encode()
        for n in range(10):
            client.pipeline([("GET", f"k{n}") for n in range(10)])
            writer.value("SET", f"k{n}", "1")
            assert listener.read() == b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$2\r\nk%d\r\n" % n
        writer.value("FLUSHALL")
        assert listener.read() == b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n"
        listing = writer.value("CLIENT", "LIST").decode()
        assert any(" flags=t " in line and f" redir={target} " in line for line in listing.splitlines()), listing
        # The connection that is told goes away.
        client.value("GET", "k1")
        listener.close()
        wait_until(lambda: f"id={target} " not in writer.value("CLIENT", "LIST").decode(), 10, "the listener's end")
        writer.value("SET", "k1", "2")
        wait_until(lambda: b"broken_redirect" in client.call("CLIENT", "TRACKINGINFO"), 10, "the end to be noted")
        assert " flags=tR " in writer.value("CLIENT", "LIST").decode()


def test_a_broken_redirection_is_told_in_resp3(lab):
    larder = lab.larder()
    with larder.connect(3) as client, larder.connect(3) as listener, larder.connect() as writer:
        target = listener.value("CLIENT", "ID")
        assert client.call("CLIENT", "TRACKING", "ON", "REDIRECT", target) == OK
        client.call("GET", "k"), writer.call("SET", "k", "1")
        assert decode(listener.read()) == [b"invalidate", [b"k"]]
        client.call("GET", "k")
        listener.close()
        wait_until(lambda: f"id={target} " not in writer.value("CLIENT", "LIST").decode(), 10, "the listener's end")
        writer.call("SET", "k", "2")
        assert decode(client.read()) == [b"tracking-redir-broken", target]


def test_a_lost_connection_to_redis_is_told(lab):
    redis = lab.redis()
    gate = lab.gate(redis)
    larder = lab.larder("redis", gate)
    tracker, direct = Tracker(larder), lab.closing(redis.connect())
    for n in range(3):
        tracker.value("GET", "a")
        gate.cut()
        direct.value("SET", "a", n)
        tracker.hears(EVERYTHING)
        wait_until(lambda: tracker.value("GET", "a") == b"%d" % n, 5, "the connection to be back")
    # Silent for too long: nobody knows.
    impatient = lab.larder("redis", gate, config={"redis.ping_interval": "100ms", "redis.ping_timeout": "200ms"})
    with Tracker(impatient) as tracker:
        tracker.value("GET", "a")
        gate.freeze()
        try:
            tracker.hears(EVERYTHING)
        finally:
            gate.thaw()


def test_a_lost_database_is_told(lab):
    postgres = lab.postgres()
    larder = lab.larder("postgres", postgres)
    wait_until(lambda: listens(larder), 10, "PostgreSQL to be listened to")
    with Tracker(larder) as tracker:
        tracker.value("GET", "a")
        postgres.crash()
        tracker.hears(EVERYTHING)
        postgres.start()


def test_what_nobody_hears_of_is_told_at_once(lab):
    """Reads on connections that hear nothing: the client is told right behind the reply and keeps nothing."""
    redis = lab.redis()
    direct = lab.closing(redis.connect())
    direct.value("ACL", "SETUSER", "ann", "on", ">secret", "~*", "+@all")
    with Tracker(lab.larder("redis", redis, options=("--l1-memory", "0"))) as tracker:
        for command in (("GET", "a"), ("HGETALL", "a"), ("MGET", "a", "b")):
            tracker.call(*command)
            assert set(tracker.hears(b"a")) <= {b"a", b"b"}
    larder = lab.larder("redis", redis)
    with Tracker(larder) as tracker:
        tracker.call("GET", "a"), tracker.call("GEOPOS", "g", "m"), tracker.call("HGETALL", "h")
        assert not tracker.heard()
        assert tracker.call("AUTH", "ann", "secret") == OK
        tracker.call("GET", "a")
        tracker.hears(b"a")
        assert tracker.call("AUTH", "default", "") == OK
        assert tracker.call("WATCH", "w") == OK
        tracker.call("GET", "b")
        direct.value("SET", "b", "1")
        tracker.hears(b"b")
        tracker.call("UNWATCH")


def test_transactions_and_scripts_on_redis(lab):
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    direct = lab.closing(redis.connect())
    with Tracker(larder) as tracker:
        for commands in ((("MULTI",), ("GET", "a"), ("MGET", "b", "c"), ("EXEC",)),
                         (("MULTI",), ("GET", "a"), ("CLIENT", "ID"), ("GET", "b"), ("GET", "c"), ("EXEC",)),
                         (("EVAL_RO", "return redis.call('MGET', unpack(KEYS))", "3", "a", "b", "c"),)):
            for command in commands:
                tracker.call(*command)
            for key in "abc":
                direct.value("SET", key, "1")
            tracker.hears(b"a", b"b", b"c")
        tracker.call("GET", "a"), tracker.call("EVAL", "return redis.call('SET', KEYS[1], '2')", "1", "a")
        tracker.hears(b"a")


def test_a_blocked_client_is_told_at_once(lab):
    redis = lab.redis()
    with Tracker(lab.larder("redis", redis)) as tracker, redis.connect() as direct:
        for n in range(3):
            tracker.client.send("GET", "a")
            tracker.client.send("BLPOP", "queue", "0")
            tracker.client.send("GET", "a")
            assert tracker.reply().startswith(b"$" if n else b"_")
            direct.value("SET", "a", n)
            tracker.hears(b"a")  # while it waits
            direct.value("RPUSH", "queue", "x")
            assert decode(tracker.reply()) == [b"queue", b"x"] and decode(tracker.reply()) == b"%d" % n


def test_a_reply_that_waits_behind_another_one(lab):
    """It is older than the change that the client has been told of meanwhile, so the client is told once more."""
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster)
    slow = cluster.owner("slow")
    key = next(f"k{n}" for n in range(100) if cluster.owner(f"k{n}") is not slow)
    with Tracker(larder) as tracker, cluster.owner(key).connect() as direct:
        direct.value("SET", key, "1")
        assert tracker.value("GET", key) == b"1"  # L1 has it now
        slow.process.freeze()
        try:
            tracker.client.send_bytes(encode(["GET", "slow"]) + encode(["GET", key]))
            wait_until(lambda: " oll=1 " in listing_of(larder, " flags=t "), 5, "the requests to be read")
            direct.value("SET", key, "2")
            tracker.hears(key.encode())
        finally:
            slow.process.thaw()
        assert [tracker.reply(), tracker.reply()] == [b"_\r\n", b"$1\r\n1\r\n"] and not tracker.take()
        tracker.hears(key.encode())


def listing_of(larder, word):
    with larder.connect() as client:
        listing = client.value("CLIENT", "LIST").decode()
    return next(line for line in listing.splitlines() if word in line)


@on_backends()
def test_caching_is_about_one_command_of_a_pipeline(lab, backend):
    larder = lab.larder(backend)
    wait_until(lambda: listens(larder), 10, "the backend to be listened to")
    with Tracker(larder, "OPTIN") as tracker, larder.connect() as writer:
        tracker.client.pipeline([("CLIENT", "CACHING", "YES"), ("GET", "a"), ("GET", "b"), ("CLIENT", "CACHING", "YES"),
                                 ("MGET", "c", "d"), ("GET", "b")])
        writer.value("MSET", *(word for key in "abcd" for word in (key, "1")))
        tracker.hears(b"a", b"c", b"d")
        assert b"b" not in tracker.heard()


@on_backends()
def test_what_is_known_of_trackers(lab, backend):
    larder = lab.larder(backend)
    with Tracker(larder) as tracker, Tracker(larder) as other, larder.connect() as client:
        wait_until(lambda: listens(larder), 10, "the backend to be listened to")
        tracker.value("MGET", "a", "b"), other.value("GET", "a")
        info = larder.info()
        assert (info["tracking_clients"], info["tracking_total_keys"], info["tracking_total_prefixes"]) == ("2", "3", "0"), info
        assert info["tracking_total_items"] in ("3", "4")  # `nothing`, which listens() has read
        assert b" flags=t " in tracker.call("CLIENT", "INFO")
        assert tracker.call("CLIENT", "TRACKING", "OFF") == OK and other.call("RESET") == b"+RESET\r\n"
        client.value("SET", "a", "1")
        info = larder.info()
        assert (info["tracking_clients"], info["tracking_total_keys"], info["tracking_total_items"]) == ("0", "0", "0"), info
        assert other.call("PING") == b"+PONG\r\n" and not tracker.heard() + other.take()
        # A bound, above which keys are forgotten and told of.
        assert client.value("CONFIG", "GET", "tracking-table-max-keys")[1] == b"1000000"
        assert client.call("CONFIG", "SET", "tracking-table-max-keys", "10") == OK
        assert tracker.call("CLIENT", "TRACKING", "ON") == OK
        for n in range(100):
            tracker.value("GET", f"k{n}")
        told = set()
        wait_until(lambda: told.update(tracker.heard()) or len(told) >= 90, 10, "what is forgotten to be told")
        assert int(larder.info()["tracking_total_keys"]) <= 10


def test_who_does_not_read_is_told_to_forget_everything(lab):
    """What is told to a client that does not read does not pile up."""
    larder = lab.larder()
    with Tracker(larder, "BCAST") as tracker, larder.connect() as writer:
        tail = "x" * 200
        for start in range(0, 200_000, 10_000):
            writer.pipeline([("SET", f"{n}{tail}", "") for n in range(start, start + 10_000)])
        listing = writer.value("CLIENT", "LIST").decode()
        line = next(line for line in listing.splitlines() if " flags=tB " in line)
        unsent = next(int(word.removeprefix("omem=")) for word in line.split() if word.startswith("omem="))
        assert unsent < 4 << 20, line
        tracker.hears(EVERYTHING)
        writer.value("SET", "again", "")
        tracker.hears(b"again")


class Keeper(threading.Thread):
    """A client that keeps what it reads; what it believes is compared with what was answered to the writers."""

    def __init__(self, larder, written, seed, *options):
        super().__init__()
        self.tracker = Tracker(larder, *options)
        self.written, self.rng = written, random.Random(seed)
        self.kept, self.problems = {}, []
        self.uses = self.hits = 0
        self.stopping = False
        self.start()

    def drop(self, told):
        for key in told:
            self.kept.clear() if key is EVERYTHING else self.kept.pop(key, None)

    def read(self, keys):
        """A pipeline: what comes before a reply is older than it, what comes behind it is not."""
        for key in keys:
            self.tracker.client.send("GET", key)
        for key in keys:
            reply = decode(self.tracker.reply())
            self.drop(self.tracker.take())
            if not isinstance(reply, ReplyError):
                self.kept[key] = int(reply or 0)

    def run(self):
        while not self.stopping:
            certain = self.written.answered_before(time.monotonic() - BOUND_S)
            self.drop(self.tracker.listen())
            keys = self.rng.sample(list(certain), 3)
            self.uses += len(keys)
            self.hits += sum(key in self.kept for key in keys)
            self.read([key for key in keys if key not in self.kept])
            for key in keys:
                if self.kept.get(key, certain[key]) < certain[key]:
                    self.problems.append(f"{key!r} is {self.kept[key]}, long after {certain[key]} was answered")
            time.sleep(0.0005)

    def stop(self):
        self.stopping = True
        self.join()


class Written:
    """What writers were answered, and when."""

    def __init__(self, keys):
        self._history = {key: [(0.0, 0)] for key in keys}

    def add(self, key, version):
        self._history[key].append((time.monotonic(), version))

    def answered_before(self, moment):
        return {key: next(version for at, version in reversed(list(history)) if at <= moment)
                for key, history in self._history.items()}


@on_backends()
@demanding
def test_nothing_stale_is_kept_under_load(lab, backend):
    behind = lab.behind(backend)
    larders = [lab.larder(backend, behind)] + ([lab.larder(backend, behind)] if behind else [])
    keys = [b"key%d" % n for n in range(12)]
    written = Written(keys)
    wait_until(lambda: all(map(listens, larders)), 10, "the backend to be listened to")
    keepers = [Keeper(larders[0], written, seed) for seed in range(3)]
    with writers_of(written, keys, larders + ([behind] if backend == "redis" else [])):
        time.sleep(5)
    check_keepers(lab, keepers, written)


@demanding
def test_nothing_stale_is_kept_when_connections_are_cut(lab):
    redis = lab.redis()
    gate = lab.gate(redis)
    larder = lab.larder("redis", gate)
    keys = [b"key%d" % n for n in range(12)]
    written = Written(keys)
    keepers = [Keeper(larder, written, seed) for seed in range(3)]
    with writers_of(written, keys, [redis]):
        for _ in range(25):
            time.sleep(0.2)
            gate.cut()
    wait_until(lambda: listens(larder), 10, "Redis to be heard again")
    check_keepers(lab, keepers, written)


@contextlib.contextmanager
def writers_of(written, keys, servers):
    """Two threads, each with keys of its own, write higher and higher versions through all servers in turn."""
    stopping = threading.Event()

    def write(number):
        paths = [server.connect() for server in servers]
        for version in range(1, 1_000_000):
            if stopping.is_set():
                break
            for key in keys[number::2]:
                assert paths[version % len(paths)].call("SET", key, version) == OK
                written.add(key, version)
            time.sleep(0.002)
        for path in paths:
            path.close()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for writer in writers:
        writer.start()
    try:
        yield
    finally:
        stopping.set()
        for writer in writers:
            writer.join()


def check_keepers(lab, keepers, written):
    """Nothing was kept for too long, and what is kept when all is over is the last that was written."""
    last = written.answered_before(time.monotonic())
    for keeper in keepers:
        keeper.stop()
        assert not keeper.problems, keeper.problems[:3]
        wait_until(lambda: keeper.drop(keeper.tracker.listen()) or
                   all(last[key] == kept for key, kept in keeper.kept.items()), BOUND_S, "old values to be dropped")
    lab.note("; ".join(f"{keeper.hits} of {keeper.uses} answered by the client itself" for keeper in keepers))
    assert sum(keeper.hits for keeper in keepers) > 0


def test_trackers_in_front_of_a_cluster(lab):
    """Slots that move, a master that is killed, keys of many nodes."""
    cluster = lab.redis_cluster()
    larder = lab.larder("redis", cluster)
    keys = [b"key%d" % n for n in range(20)]
    with Tracker(larder) as tracker, cluster.connect() as direct:
        for key in keys:
            direct.call("SET", key, "0")
        assert tracker.value("MGET", *keys) == [b"0"] * 20 and not tracker.heard()
        for key in keys:
            direct.call("SET", key, "1")
        tracker.hears(*keys)
        assert tracker.value("MGET", *keys) == [b"1"] * 20
        source, target = cluster.owner("slot"), next(node for node in cluster.nodes[:3] if node is not cluster.owner("slot"))
        direct.call("SET", "slot", "1")
        assert tracker.value("GET", "slot") == b"1"
        tracker.take()
        migrate(cluster, key_slot("slot"), source, target)
        assert {b"slot", EVERYTHING} & set(hears_any(tracker, b"slot"))
        wait_until(lambda: tracker.value("GET", "slot") == b"1" and not tracker.heard(), 5, "the slot to be found")
        tracker.value("GET", "slot")
        with target.connect() as owner:
            owner.call("SET", "slot", "2")
        hears_any(tracker, b"slot")
        assert tracker.value("GET", "slot") == b"2"
        tracker.take()
        target.crash()
        hears_any(tracker, EVERYTHING)


def hears_any(tracker, key):
    """Waits until it is told of the key, or of everything."""
    while not {key, EVERYTHING} & set(tracker.told):
        push = tracker.client.read()
        assert push.startswith(b">"), push
        tracker._hear(push)
    return tracker.take()


def test_a_failover_behind_sentinels_is_told(lab):
    sentinels = lab.redis_sentinels()
    larder = lab.larder("redis", sentinels)
    with Tracker(larder) as tracker:
        tracker.value("GET", "a")
        sentinels.fail_over()
        tracker.hears(EVERYTHING)


def test_node_redis_keeps_what_it_reads(lab):
    for backend in ("memory", "redis"):
        larder = lab.larder(backend)
        node(lab, "node_redis_cache.mjs", larder)
