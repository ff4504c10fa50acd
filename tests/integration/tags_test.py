"""Tags: a model in Python, P4 under load, raw readers, and a PostgreSQL or a Redis that goes away."""

import itertools
import math
import random
import threading
import time

from support.lab import on_backends
from support.resp import ReplyError, decode, encode, wait_until
from tag_model import KEYS, Commands, keys_in

STEPS = 3000
LOAD_S = 4.0
BOUND_S = 1.0
CARRIED = [f"{{{n // 8}}}c{n}" for n in range(40)]  # eight a slot
WANDERING = [f"{{{n % 5}}}w{n}" for n in range(8)]
LARGE = 100_000  # bytes: what is sent in one go is received in several
BALLAST = [f"{{{n % 5}}}b{n}" for n in range(6000)]


def plain(value):
    """A decoded reply in the words of the model."""
    if isinstance(value, ReplyError):
        return value.args[0].decode()
    if isinstance(value, list):
        return [plain(element) for element in value]
    return value.decode() if isinstance(value, bytes) else value


def sorted_keys(words, reply):
    return [reply[0], sorted(reply[1])] if words[0] == "TAGKEYS" else reply


@on_backends("memory", "postgres", "redis", "cluster")
def test_random_commands_follow_a_model(lab, backend):
    larder = lab.larder(backend)
    keys = keys_in(5) if backend == "cluster" else KEYS
    for protocol in (2, 3):
        commands = Commands(random.Random(f"{lab.arguments.seed}/{protocol}"), keys)
        with larder.connect(protocol) as client:
            client.call("FLUSHALL")
            played = 0
            while played < STEPS * lab.arguments.rounds:
                batch = [commands.next() for _ in range(commands.rng.choice([1, 1, 3, 30]))]
                replies = client.pipeline([words for words, _ in batch])
                for (words, expected), reply in zip(batch, replies):
                    got = sorted_keys(words, plain(decode(reply)))
                    assert got == expected, f"step {played}: {words} answered {got}, the model says {expected}"
                played += len(batch)


@on_backends("memory", "postgres", "redis", "cluster")
def test_random_transactions_follow_a_model(lab, backend):
    """Those that name keys name such of one slot; what they do by tags concerns all slots."""
    larder = lab.larder(backend)
    keys = keys_in(5)
    for protocol in (2, 3):
        commands = Commands(random.Random(f"{lab.arguments.seed}/{protocol}"), keys)
        rng = commands.rng

        def check(batch, replies, where):
            for (words, expected), reply in zip(batch, replies, strict=True):
                got = sorted_keys(words, plain(reply))
                assert got == expected, f"{where}, {batch}: {words} answered {got}, not {expected}"

        with larder.connect(protocol) as client:
            client.call("FLUSHALL")
            for number in range(STEPS // 8 * lab.arguments.rounds):
                commands.keys = keys
                batch = [commands.make_set() for _ in range(3)]
                check(batch, map(decode, client.pipeline([words for words, _ in batch])), f"before transaction {number}")
                slot = f"{{{rng.randrange(5)}}}"
                commands.keys = [key for key in keys if key.startswith(slot)]
                make = rng.choice([commands.next, commands.next, commands.next, commands.next_keyless])
                batch = [make() for _ in range(rng.choice([1, 3, 15]))]
                if rng.randrange(4) == 0:
                    batch.insert(rng.randrange(len(batch) + 1), (["PING"], "PONG"))
                if rng.randrange(4) == 0:
                    client.call("WATCH", f"{slot}elsewhere")
                replies = client.pipeline([("MULTI",), *(words for words, _ in batch), ("EXEC",)])
                check(batch, decode(replies[-1]), f"transaction {number}")


class Writers:
    """Keep keys under the tag `t` written, renamed and copied. Every value is the number of its write.

    Invariant: numbers below floor() were answered.
    """

    def __init__(self, larders, pipelined=True):
        self.pipelined = pipelined
        self.numbers = itertools.count(1)
        self.in_flight = {}
        self.failures = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(larder, name)) for name, larder in enumerate(larders)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        wait_until(lambda: len(self.in_flight) == len(self.threads), 5, "the writers")
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def floor(self):
        return min(self.in_flight.values())

    def run(self, larder, name):
        rng = random.Random(name)
        with larder.connect() as client:
            while not self.stopping.is_set():
                # First a number that is too small, so that none is unknown to floor() between the two lines.
                self.in_flight[name] = self.in_flight.get(name, 0)
                number = next(self.numbers)
                self.in_flight[name] = number
                for reply in self.replies(client, self.commands(rng, number)):
                    if reply.startswith(b"-") and reply != b"-ERR no such key\r\n":
                        self.failures.append(reply)

    def replies(self, client, commands):
        return client.pipeline(commands) if self.pipelined else [client.call(*words) for words in commands]

    @staticmethod
    def commands(rng, number):
        first = rng.randrange(0, len(CARRIED), 8)
        key, other = rng.sample(CARRIED[first:first + 8], 2)
        value = f"{number}{' ' * (rng.randrange(8) == 0 and LARGE)}"
        return rng.sample([("SET", key, value, "TAGS", 2, f"t:{rng.randrange(9)}", "u"), ("SET", key, number, "XX"),
                           ("RENAME", key, other), ("COPY", key, other, "REPLACE"),
                           ("TAGADD", key, f"t:{rng.randrange(9)}")], 3)


class Movers(Writers):
    """Write less, and rename and copy more; other keys change nothing but their tag. So what is old stands elsewhere."""

    def __init__(self, larders):
        super().__init__(larders)
        self.threads += [threading.Thread(target=self.wander, args=(larder, len(larders) + number, key))
                         for number, (larder, key) in enumerate(zip(larders, WANDERING))]

    @staticmethod
    def commands(rng, number):
        first = rng.randrange(0, len(CARRIED), 8)
        pairs = [rng.sample(CARRIED[first:first + 8], 2) for _ in range(6)]
        moves = [rng.choice([("RENAME", *pair), ("COPY", *pair, "REPLACE")]) for pair in pairs]
        return [("SET", rng.choice(CARRIED), number, "TAGS", 2, f"t:{rng.randrange(9)}", "u"), *moves]

    def wander(self, larder, name, key):
        """At any time the key, if it is there, carries one of t:0 … t:8."""
        rng, tag = random.Random(name), 0
        self.in_flight[name] = math.inf
        with larder.connect() as client:
            while not self.stopping.is_set():
                other = (tag + rng.randrange(1, 9)) % 9
                if client.value("TAGADD", key, f"t:{other}") == 0:
                    self.in_flight[name] = self.floor()
                    self.in_flight[name] = next(self.numbers)
                    client.call("SET", key, self.in_flight[name], "TAGS", 1, f"t:{other}")
                    self.in_flight[name] = math.inf
                client.call("TAGREM", key, f"t:{tag}")
                tag = other


def values(client):
    return [int(value) for value in decode(client.call("MGET", *CARRIED, *WANDERING)) if value is not None]


def check_nothing_older(client, others, writers, invalidate=lambda client: client.value("TAGINVALIDATE", "t")):
    """One invalidation, and what is read after it."""
    floor = writers.floor()
    dropped = invalidate(client)
    answered = time.monotonic()
    assert min(values(client), default=floor) >= floor, "P4: a value from before the invalidation was read"
    for other in others:
        while min(values(other), default=floor) < floor:
            assert time.monotonic() < answered + BOUND_S, "another Larder goes on serving an invalidated value"
    return dropped


@on_backends("memory", "postgres", "redis", "cluster")
def test_nothing_written_before_is_read_after(lab, backend):
    """Values written, renamed and copied while invalidations run; where the data is shared by two Larders."""
    behind = lab.behind(backend)
    larders = [lab.larder(backend, behind)]
    if behind:
        larders.append(lab.larder(backend, behind))
    with Writers(larders * 2) as writers, larders[0].connect() as client:
        others = [lab.closing(larder.connect()) for larder in larders[1:]]
        rounds = dropped = 0
        end = time.monotonic() + LOAD_S * lab.arguments.rounds
        while time.monotonic() < end:
            dropped += check_nothing_older(client, others, writers)
            rounds += 1
    assert not writers.failures, writers.failures[:3]
    assert dropped > rounds / 2
    lab.note(f"{rounds} invalidations dropped {dropped} keys")


@on_backends("memory", "postgres", "redis", "cluster")
def test_a_long_sweep_misses_nothing(lab, backend):
    """Keys are renamed, copied, written and tagged anew where the sweep was while it is elsewhere."""
    larder = lab.larder(backend)
    fill = b"".join(map(encode, [("CLIENT", "REPLY", "OFF"),
                                 *(("SET", key, "v", "TAGS", 2, f"t:{n % 3 * 4}", "b") for n, key in enumerate(BALLAST)),
                                 ("CLIENT", "REPLY", "ON")]))
    with Movers([larder] * 2) as movers, larder.connect(timeout=30) as client:
        rounds = 0
        end = time.monotonic() + LOAD_S * lab.arguments.rounds
        while time.monotonic() < end:
            client.send_bytes(fill)
            assert client.read() == b"+OK\r\n"
            dropped = check_nothing_older(client, [], movers)
            assert dropped >= len(BALLAST) and client.value("EXISTS", *BALLAST) == 0
            rounds += 1
    assert not movers.failures, movers.failures[:3]
    if backend == "redis":
        steps = int(larder.info("tiers")["tags_sweep_steps"])
        assert steps < 60 * rounds, f"what is moved takes {steps} steps in {rounds} rounds"
    lab.note(f"{rounds} invalidations")


def test_no_fill_outlives_an_invalidation(lab):
    """L1 is filled all the while, and Redis' own word of what was dropped gets lost."""
    gate = lab.gate(lab.redis(), drops_pushes=True)
    larder = lab.larder("redis", gate)
    stopping = threading.Event()

    def read():
        with larder.connect() as client:
            while not stopping.is_set():
                client.pipeline([("GET", key) for key in CARRIED])

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        with Writers([larder] * 2) as writers, larder.connect() as client:
            rounds = dropped = 0
            end = time.monotonic() + LOAD_S * lab.arguments.rounds
            while time.monotonic() < end:
                dropped += check_nothing_older(client, [], writers)
                rounds += 1
    finally:
        stopping.set()
        for reader in readers:
            reader.join()
    assert not writers.failures, writers.failures[:3]
    assert dropped > rounds / 2
    lab.note(f"{rounds} invalidations dropped {dropped} keys, {larder.info('tiers')['l1_hits']} hits of L1")


def test_raw_readers_of_the_table_see_what_clients_see(lab):
    postgres = lab.postgres()
    larder = lab.larder("postgres", postgres)
    with larder.connect() as client:
        client.pipeline([("SET", f"k{n}", "v", "TAGS", 2, "posts", f"user:{n}") for n in range(10)])
        assert postgres.psql("select count(*) from larder.keys_by_tag where tag = 'posts'").stdout == "10\n"
        assert client.value("TAGINVALIDATE", "user:3") == 1
        assert postgres.psql("select count(*) from larder.kv where k = 'k3'").stdout == "0\n"
        assert client.value("GET", "k4") == b"v"
        postgres.psql("begin; select larder.invalidate_tag('user'); rollback")
        assert client.value("TAGCOUNT", "user") == 9
        postgres.psql("begin; create table posts (id int); select larder.invalidate_tag('user:4'); commit")
        wait_until(lambda: client.value("GET", "k4") is None, BOUND_S, "the application's invalidation")
        assert postgres.psql("select larder.invalidate_tag('posts')").stdout == "8\n"
        wait_until(lambda: client.value("EXISTS", "k5", "k6") == 0, BOUND_S, "the application's invalidation")


def test_an_invalidation_survives_a_crash_of_postgresql(lab):
    """It is an error reply at once, and done as soon as PostgreSQL is back."""
    postgres = lab.postgres()
    larder = lab.larder("postgres", postgres, config={"postgres.durability": "durable",
                                                      "postgres.command_timeout": "1s"})
    with larder.connect() as client:
        client.call("SET", "k", "v", "TAGS", "1", "t")
        client.call("SET", "l", "v", "TAGS", "1", "u")
        postgres.crash()
        assert client.call("TAGINVALIDATE", "t").startswith(b"-ERR the database is unreachable")
        assert larder.info("tiers")["tags_pending_invalidations"] == "1"
        postgres.start()
        wait_until(lambda: client.call("GET", "l") == b"$1\r\nv\r\n", 20, "PostgreSQL")
        wait_until(lambda: client.call("GET", "k") == b"$-1\r\n", 20, "the invalidation")
        wait_until(lambda: larder.info("tiers")["tags_pending_invalidations"] == "0", 5, "an empty queue")


TYPES = [("SET", "string", "v"), ("RPUSH", "list", "v"), ("SADD", "set", "v"), ("HSET", "hash", "f", "v"),
         ("ZADD", "zset", 1, "v"), ("XADD", "stream", "*", "f", "v"), ("PFADD", "log", "v")]


def left(raw):
    """The keys in Redis, other than the log of moves, which outlives a long sweep by a minute."""
    return [key for key in decode(raw.call("KEYS", "*")) if key != b"larder:tags:m"]


def test_raw_readers_of_redis_see_what_clients_see(lab):
    """Any type carries tags; what is dropped is gone from Redis itself, and nothing is left behind."""
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    with larder.connect() as client, redis.connect() as raw:
        for protocol in (2, 3):
            for words in TYPES:
                client.call(*words)
                assert client.value("TAGADD", words[1], "all", f"type:{words[1]}") == 2
            with larder.connect(protocol) as other:
                assert decode(other.call("TAGLIST", "stream")) == [b"all", b"type:stream"]
            assert raw.value("GET", "string") == b"v"
            assert client.value("TAGINVALIDATE", "type:list", "type:hash") == 2
            assert raw.value("EXISTS", "list", "hash", "string") == 1
            assert client.value("TAGINVALIDATE", "all", "type", "ALL") == len(TYPES) - 2
            assert left(raw) == []


def check_shown(client, count):
    """The keys k0, k1 … and no others are what a client sees of the database."""
    size = client.value("DBSIZE")
    assert size == count, size
    assert len(decode(client.call("KEYS", "*"))) == count
    assert all(client.value("RANDOMKEY").startswith(b"k") for _ in range(50))
    keys, cursor = [], b"0"
    while cursor != b"0" or not keys:
        cursor, found = decode(client.call("SCAN", cursor, "COUNT", 7))
        keys += found
    assert sorted(keys) == sorted(b"k%d" % n for n in range(count))


def test_the_bookkeeping_in_redis_is_not_shown(lab):
    redis = lab.redis()
    larder = lab.larder("redis", redis, config={"redis.tag_prefix": "hidden:"})
    with larder.connect() as client, redis.connect() as raw:
        client.pipeline([("SET", f"k{n}", "v", "TAGS", 2, "posts", f"user:{n}") for n in range(20)])
        assert len(decode(raw.call("KEYS", "hidden:*"))) == 23  # 21 tags, the records, the list of tags
        check_shown(client, 20)
        assert decode(client.call("KEYS", "hidden:*")) == []
        for watches in ([], [("WATCH", "k0")]):
            replies = client.pipeline([*watches, ("MULTI",), ("KEYS", "*"), ("DBSIZE",), ("PING",), ("RANDOMKEY",),
                                       ("SCAN", 0, "COUNT", 100), ("GET", "k0"), ("EXEC",)])
            keys, size, pong, one, (cursor, found), value = decode(replies[-1])
            assert sorted(keys) == sorted(found) == sorted(b"k%d" % n for n in range(20))
            assert (size, pong, cursor, value) == (20, b"PONG", b"0", b"v") and one in keys
        client.call("FLUSHDB")
        assert raw.value("DBSIZE") == 0


def test_what_expires_in_redis_loses_its_tags(lab):
    """At once for whoever writes the key again, and soon for the memory."""
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    with larder.connect() as client, redis.connect() as raw:
        client.pipeline([("SET", key, "v", "PX", 1, "TAGS", 2, "t", "u") for key in ("again", "never", "raw")])
        client.call("SET", "longer", "v", "PX", 300, "TAGS", 1, "t")
        raw.call("PERSIST", "longer")
        wait_until(lambda: raw.value("EXISTS", "again", "never", "raw") == 0, 5, "the keys' end")
        assert client.value("TAGCOUNT", "t") == 1
        assert decode(client.call("TAGLIST", "never")) == []
        assert client.call("SET", "again", "new") == b"+OK\r\n"
        assert client.value("TAGINVALIDATE", "u") == 0
        assert client.value("GET", "again") == b"new"
        time.sleep(0.4)
        assert client.value("TAGINVALIDATE", "t") == 1, "who prolongs a key's life prolongs that of its tags"
        assert raw.value("GET", "longer") is None
        client.pipeline([("SET", f"k{n}", "v", "PX", 1, "TAGS", 1, f"t:{n}") for n in range(500)])
        wait_until(lambda: raw.value("DBSIZE") == 1, 20, "the bookkeeping's end")
        wait_until(lambda: int(larder.info("tiers")["tags_pruned_orphans"]) > 0, 5, "Redis' answer to the pruner")


def test_tags_go_along_to_another_database_of_redis(lab):
    larder = lab.larder("redis")
    with larder.connect() as client:
        client.call("SET", "k", "v", "TAGS", 1, "t")
        assert client.value("COPY", "k", "copied", "DB", 3) == 1
        assert client.value("MOVE", "k", 3) == 1
        assert client.value("TAGCOUNT", "t") == 0
        client.call("SELECT", 3)
        assert client.value("TAGCOUNT", "t") == 2
        assert client.value("TAGINVALIDATE", "t") == 2
        assert client.value("DBSIZE") == 0


@on_backends("memory", "postgres", "redis", "cluster")
def test_async_in_a_transaction_is_done_at_its_place(lab, backend):
    larder = lab.larder(backend)
    with larder.connect() as client:
        client.call("SET", "{a}1", "v", "TAGS", 1, "t")
        replies = client.pipeline([("MULTI",), ("TAGINVALIDATE", "t", "ASYNC"), ("SET", "{a}2", "v", "TAGS", 1, "t"), ("EXEC",)])
        assert plain(decode(replies[-1])) == [1, "OK"]
        assert client.value("EXISTS", "{a}1", "{a}2") == 1 and client.value("TAGINVALIDATE", "t") == 1


def test_a_long_invalidation_in_memory_lets_others_on(lab):
    """... on the same worker, but for what its own client has sent behind it, which is not meant."""
    larder, keys = lab.larder("memory", workers=1), 100_000
    with larder.connect() as client, larder.connect() as other:
        for round_ in range(5):
            client.pipeline([("SET", f"k{n}", "v", "TAGS", 1, "t") for n in range(keys)])
            for words in (("TAGINVALIDATE", "t"), ("SET", "k0", "new", "TAGS", 1, "t")):
                client.send(*words)
            seen = {other.value("DBSIZE")}
            while min(seen) > 1:
                seen.add(other.value("DBSIZE"))
            assert client.read() == b":%d\r\n" % keys and client.read() == b"+OK\r\n"
            assert client.value("GET", "k0") == b"new" and client.value("TAGINVALIDATE", "t") == 1
            if [size for size in seen if 1 < size < keys]:
                return
    raise AssertionError("nobody was served while keys were deleted")


@on_backends("memory", "postgres", "redis", "cluster")
def test_wrong_words_about_tags_are_told_alike_and_not_queued(lab, backend):
    integer, syntax = b"-ERR value is not an integer or out of range\r\n", b"-ERR syntax error\r\n"
    bad_tag = b"-ERR a tag has 1 to 8 segments joined by ':', and none of them is empty\r\n"
    wrong = [*((("SET", "a", "v", "TAGS", count), integer) for count in ("abc", "+1", "01", "1.0")),
             (("SET", "a", "v", "TAGS", 33, "x"), syntax), (("SET", "a", "v", "TAGS", -1), syntax), (("SET", "a", "v", "tags"), syntax),
             (("SET", "a", "v", "TAGS", 1, "x:"), bad_tag), (("SET", "a", "v", "TAGS", 0, "FOO"), syntax),
             (("TAGADD", "a", "x::y"), bad_tag), (("TAGREM", "a", ""), bad_tag), (("TAGCOUNT", "x", "y"), syntax),
             (("TAGKEYS", "x", "COUNT", "y"), integer), (("TAGINVALIDATE", "EXACT", ""), None), (("TAGINVALIDATE", "x", ":"), bad_tag)]
    larder = lab.larder(backend)
    with larder.connect() as client:
        for words, error in wrong:
            if error is None:
                assert client.value(*words) == 0
                continue
            assert client.call(*words) == error, words
            replies = client.pipeline([("MULTI",), words, ("SET", "b", "w"), ("EXEC",)])
            assert replies[1] == error and replies[2] == b"+QUEUED\r\n" and replies[3].startswith(b"-EXECABORT"), (words, replies)
        assert client.value("EXISTS", "a") == client.value("EXISTS", "b") == 0
        # What has nothing to do with tags is Redis' business, which queues it.
        replies = client.pipeline([("MULTI",), ("SET", "a", "v", "FOO"), ("SET", "a", "TAGS"), ("EXEC",)])
        assert replies[1] == b"+QUEUED\r\n" and replies[3] == b"*2\r\n" + syntax + b"+OK\r\n"
        assert client.value("TAGCOUNT", "x", "EXACT", "exact") == 0


def test_tags_in_a_transaction_on_redis(lab):
    larder = lab.larder("redis")
    with larder.connect() as client:
        replies = client.pipeline([("MULTI",), ("SET", "k", "v", "TAGS", 2, "a", "b:c"), ("RENAME", "k", "l"),
                                   ("TAGREM", "l", "a"), ("TAGLIST", "l"), ("EXEC",)])
        assert plain(decode(replies[-1])) == ["OK", "OK", 1, ["b:c"]]
        replies = client.pipeline([("MULTI",), ("TAGINVALIDATE", "b:"), ("EXEC",)])
        assert replies[1].startswith(b"-ERR") and replies[2].startswith(b"-EXECABORT"), replies
        replies = client.pipeline([("MULTI",), ("TAGCOUNT", "b"), ("TAGINVALIDATE", "b", "ASYNC"), ("EXEC",)])
        assert plain(decode(replies[-1])) == [1, 1]
        assert client.value("EXISTS", "l") == 0


def test_an_invalidation_in_a_transaction_is_void_in_l1(lab):
    """Of this Larder and of another, in whichever database, also for what stands behind EXEC in the pipeline."""
    redis = lab.redis()
    larder, other = lab.larder("redis", redis), lab.larder("redis", redis)
    keys = [f"k{n}" for n in range(100)]
    with larder.connect() as client, larder.connect(3) as reader, other.connect() as second:
        for db in (0, 3):
            for one in (client, reader, second):
                assert one.call("SELECT", db) == b"+OK\r\n"
            for turn in range(50 * lab.arguments.rounds):
                client.pipeline([("SET", key, turn, "TAGS", 1, f"t:{key}") for key in keys])
                for one in (client, reader, second):
                    assert plain(decode(one.call("MGET", *keys))) == [str(turn)] * len(keys)
                    assert one.value("GET", "k5") == b"%d" % turn
                selects = [("SELECT", 0), ("SELECT", db)] if turn % 2 else []
                replies = client.pipeline([("MULTI",), ("SET", "own", turn), *selects, ("TAGINVALIDATE", "t"), ("EXEC",),
                                           *(("GET", key) for key in keys)])
                assert replies[-len(keys):] == [b"$-1\r\n"] * len(keys), replies
                assert reader.value("GET", "k5") is None and not any(decode(reader.call("MGET", *keys)))
                wait_until(lambda: not any(decode(second.call("MGET", *keys))), BOUND_S, "the other Larder")


def test_a_transaction_that_would_hold_redis_for_too_long(lab):
    """What is refused is not done at all; what goes beside it is."""
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    with larder.connect() as client, redis.connect() as raw:
        fill_tag(client, 3000)
        before = raw.value("DBSIZE")
        replies = client.pipeline([("MULTI",), ("SET", "k", "v"), ("TAGINVALIDATE", "many"), ("TAGCOUNT", "many"),
                                   ("TAGINVALIDATE", "own:7", "own:8"), ("EXEC",)])
        ok, many, count, few = decode(replies[-1])
        refusal = "in a transaction would hold Redis for too long, as there are too many keys: send it outside of MULTI"
        assert (plain(ok), plain(few)) == ("OK", 120)
        assert [plain(many), plain(count)] == [f"ERR '{name}' {refusal}" for name in ("taginvalidate", "tagcount")]
        assert raw.value("DBSIZE") == before + 1 - 122
        assert client.value("TAGINVALIDATE", "many") == 2880
        wait_until(lambda: left(raw) == [b"k"], 10, "the end of the bookkeeping")
        fill_tag(client, 1500)
        replies = client.pipeline([("MULTI",), ("TAGINVALIDATE", "many"), ("EXEC",)])
        assert plain(decode(replies[-1])) == [1500]
        assert left(raw) == [b"k"], left(raw)


def test_flushed_scripts_are_sent_again(lab):
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    with larder.connect() as client, redis.connect() as raw:
        for words, reply in ((("SET", "k", "v", "TAGS", 1, "t"), "OK"), (("TAGADD", "k", "u"), 1),
                             (("RENAME", "k", "l"), "OK"), (("TAGLIST", "l"), ["t", "u"]), (("TAGCOUNT", "t"), 1),
                             (("TAGINVALIDATE", "u"), 1)):
            raw.call("SCRIPT", "FLUSH", "SYNC")
            assert plain(decode(client.call(*words))) == reply, words


def test_sets_that_share_a_script_are_as_if_alone(lab):
    """Some carry a common tag, some expire; a key that comes twice has what was said of it last."""
    larder = lab.larder("redis")
    with larder.connect() as client:
        for turn in range(3):
            client.call("FLUSHALL")
            sets = [("SET", f"k{n}", f"v{n}", *(("PX", 100_000 + n) if n % 3 == turn else ()), "TAGS", 2, "t", f"u:{n // 10}")
                    for n in range(300)]
            again = [("SET", f"k{n}", "new", "EX", 1000, "TAGS", 1, "n") for n in range(0, 300, 50)]
            assert set(client.pipeline(sets + sets + again)) == {b"+OK\r\n"}
            assert client.value("TAGCOUNT", "t") == 294
            assert client.value("TAGCOUNT", "u") == 294
            assert client.value("TAGCOUNT", "u:7") == 10
            assert client.value("TAGCOUNT", "n") == 6
            assert decode(client.call("TAGLIST", "k50")) == [b"n"]
            assert client.value("GET", "k51") == b"v51"
            assert 900 < client.value("TTL", "k50") <= 1000
            ttls = [client.value("PTTL", f"k{n}") for n in range(1, 10)]
            assert all((90_000 < ttl <= 100_010) if n % 3 == turn else ttl == -1 for n, ttl in enumerate(ttls, 1))
            assert client.value("TAGINVALIDATE", "u", "n") == 300
            assert client.value("DBSIZE") == 0


def test_a_set_that_redis_refuses_takes_others_along_only_once(lab):
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    sets = [("SET", key, "v", "TAGS", 1, "t") for key in ("ok:1", "else", "ok:2")]
    with larder.connect() as client, redis.connect() as raw:
        raw.call("ACL", "SETUSER", "default", "resetkeys", "~ok:*", "~larder:tags:*")
        refused = client.pipeline(sets)
        # The last one goes again: its client waits for nothing behind it.
        assert [reply[:1] for reply in refused] == [b"-", b"-", b"+"], refused
        assert client.call("GET", "ok:1") == b"$-1\r\n"
        alone = client.pipeline(sets)
        assert [reply[:1] for reply in alone] == [b"+", b"-", b"+"], alone
        assert client.value("TAGCOUNT", "t") == 2


MANY = 20_000


def test_a_step_is_bounded_by_its_work(lab):
    """Keys with many tags, many of them named, long ones, small indexes that Redis gives in one piece: more steps."""
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    short, long = [f"many:{n}" for n in range(32)], [f"w{n:02}:" + "x" * 480 for n in range(32)]
    with larder.connect(timeout=60) as client, redis.connect() as raw:

        def steps_of(count, tags, *words):
            for start in range(0, count, 100):
                client.pipeline([("SET", f"k{n}", "v", "TAGS", len(tags), *tags)
                                 for n in range(start, min(start + 100, count))])
            before = int(larder.info("tiers")["tags_sweep_steps"])
            assert client.value(*words) == count, words[0]
            after = int(larder.info("tiers")["tags_sweep_steps"])
            if words[0] == "TAGINVALIDATE":
                wait_until(lambda: left(raw) == [], 30, "the end of the bookkeeping")
            return after - before

        assert steps_of(2000, short[:1], "TAGINVALIDATE", short[0]) <= 4
        assert steps_of(2000, short, "TAGINVALIDATE", *short, "ALL") >= 15
        assert steps_of(400, short, "TAGINVALIDATE", *short, "ALL") >= 3, "all keys of a small index in one step"
        assert steps_of(400, long, "TAGINVALIDATE", *long, "ALL") >= 15
        assert steps_of(400, long, "TAGCOUNT", "w00") >= 15
        assert steps_of(400, long, "TAGINVALIDATE", "w00", "w01", "ALL") >= 15


def test_all_walks_through_the_smallest_index(lab):
    larder = lab.larder("redis", lab.redis())
    with larder.connect(timeout=30) as client:
        fill_tag(client, 5000)
        client.call("SET", "few", "v", "TAGS", 2, "many:below", "few")

        def steps_of(count, *words):
            before = int(larder.info("tiers")["tags_sweep_steps"])
            assert client.value("TAGINVALIDATE", *words, "ALL") == count
            return int(larder.info("tiers")["tags_sweep_steps"]) - before

        assert steps_of(0, "many", "nothing") == 1
        assert steps_of(1, "many", "few") == 1
        assert steps_of(100, "many", "own:7") == 1
        assert client.value("TAGCOUNT", "many") == 4900


def test_an_invalidation_that_is_cut_off_is_completed_later(lab):
    """The way to Redis is cut in the middle of a sweep: an error, an empty L1, and the rest as soon as may be."""
    redis = lab.redis()
    gate = lab.gate(redis)
    larder = lab.larder("redis", gate)
    with larder.connect(timeout=30) as client, redis.connect() as raw:
        fill_tag(client, MANY)
        assert client.value("GET", "many:7") == b"v"
        gate.delay(0.02)
        sweep = threading.Timer(0.2, gate.refuse)
        sweep.start()
        reply = client.call("TAGINVALIDATE", "many")
        sweep.join()
        assert reply.startswith(b"-ERR"), reply
        assert 0 < raw.value("DBSIZE") < MANY, "it was not cut in the middle"
        assert not client.call("GET", "many:7").startswith(b"$1"), "L1 has forgotten nothing"
        assert larder.info("tiers")["tags_pending_invalidations"] == "1"
        gate.delay(0)
        gate.accept()
        wait_until(lambda: left(raw) == [], 30, "the rest of the sweep")
        wait_until(lambda: larder.info("tiers")["tags_pending_invalidations"] == "0", 5, "an empty queue")


def fill_tag(client, count):
    for start in range(0, count, 1000):
        client.pipeline([("SET", f"many:{n}", "v", "TAGS", 2, "many", f"own:{n % 50}")
                         for n in range(start, min(start + 1000, count))])


def test_the_progress_of_a_long_sweep_is_in_info(lab):
    redis = lab.redis()
    gate = lab.gate(redis)
    larder = lab.larder("redis", gate)
    with larder.connect(timeout=60) as client:
        for start in range(0, MANY, 1000):
            client.pipeline([("SET", f"k{n}", "v", "TAGS", 1, "a,b:\r\n") for n in range(start, start + 1000)])
        gate.delay(0.02)
        seen, whole = [], []
        client.send("TAGINVALIDATE", "a,b:\r\n")

        def is_over():
            tiers = larder.info("tiers")
            whole.append(int(tiers["tags_dropped_keys"]))
            if line := tiers.get("tags_sweep_0"):
                seen.append(dict(field.split("=", 1) for field in line.split(",")))
            return whole[-1] == MANY
        wait_until(is_over, 60, "the end of the sweep")
        assert decode(client.read()) == MANY
        gate.delay(0)
        wait_until(lambda: larder.info("tiers")["tags_running_sweeps"] == "0", 30, "the end of the clean-up")
        assert "tags_sweep_0" not in larder.info("tiers")
    drops = [one for one in seen if one["doing"] == "drop"]
    assert all(one["tags"] == "a%2Cb:%0D%0A" for one in seen), seen
    for field, ordered in ("dropped", sorted), ("looked_at", sorted), ("left", lambda them: sorted(them)[::-1]):
        numbers = [int(one[field]) for one in drops]
        assert numbers == ordered(numbers) and len(set(numbers)) > 2, (field, numbers)
    assert len(set(whole)) > 2, "tags_dropped_keys has not grown with the sweep"


def test_the_orphan_ratio_is_that_of_now(lab):
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    with larder.connect(timeout=30) as client, redis.connect() as raw:
        def ratio():
            return float(larder.info("tiers")["tags_orphan_ratio"])
        client.pipeline([("SET", f"k{n}", "v", "PX", "100", "TAGS", "1", "t") for n in range(3000)])
        wait_until(lambda: ratio() > 0, 30, "orphans")
        wait_until(lambda: left(raw) == [], 30, "the end of the orphans")
        wait_until(lambda: ratio() == 0, 30, "a ratio of 0")
        fill_tag(client, MANY)
        client.call("TAGINVALIDATE", "many", "ASYNC")

        def is_clean():
            assert ratio() == 0, "what was invalidated is no orphan"
            return left(raw) == []
        wait_until(is_clean, 30, "the sweep")


def test_where_no_key_has_tags_any_more_a_write_is_plain_again(lab):
    """Redis gets no script for it, whoever has removed the last of them; and does as soon as there are tags again."""
    redis = lab.redis()
    larders = [lab.larder("redis", redis, workers=1) for _ in range(2)]
    with larders[0].connect() as client, larders[1].connect() as other, redis.connect() as raw:

        def scripts_of_a_write(writer):
            raw.call("CONFIG", "RESETSTAT")
            writer.call("SET", "k", "v")
            found = [line for line in raw.value("INFO", "commandstats").splitlines() if line.startswith(b"cmdstat_evalsha:")]
            return len(found) > 0

        for flush in (lambda: raw.call("FLUSHALL"), lambda: client.call("TAGINVALIDATE", "t"), lambda: client.call("FLUSHDB")):
            client.call("SET", "tagged", "v", "TAGS", 1, "t")
            assert scripts_of_a_write(client)
            wait_until(lambda: scripts_of_a_write(other), 20, "the other Larder to see tags")
            flush()
            for writer in (client, other):
                wait_until(lambda: not scripts_of_a_write(writer), 20, "plain writes")


def test_redis_goes_away_before_an_invalidation(lab):
    """What is answered with an error is done when Redis is back, with its data."""
    redis = lab.redis("--appendonly", "yes", "--appendfsync", "always")
    larder = lab.larder("redis", redis)
    with larder.connect() as client:
        client.call("SET", "k", "v", "TAGS", "1", "t")
        redis.crash()
        assert client.call("TAGINVALIDATE", "t").startswith(b"-ERR")
        assert not client.call("GET", "k").startswith(b"$1")
        redis.start()
        with redis.connect() as raw:
            wait_until(lambda: raw.value("EXISTS", "k") == 0, 20, "the invalidation")
        wait_until(lambda: larder.info("tiers")["tags_pending_invalidations"] == "0", 5, "an empty queue")


def test_an_invalidation_while_redis_has_been_away_since_the_start(lab):
    redis = lab.redis("--appendonly", "yes", "--appendfsync", "always")
    with lab.larder("redis", redis).connect() as client:
        client.call("SET", "k", "v", "TAGS", 1, "t")
        client.call("SET", "l", "v", "TAGS", 1, "u")
    redis.crash()
    larder = lab.larder("redis", redis)
    with larder.connect() as client:
        for words in (("TAGINVALIDATE", "t"), ("TAGINVALIDATE", "u", "ASYNC"), ("TAGCOUNT", "t"), ("TAGINVALIDATE", ":")):
            assert client.call(*words).startswith(b"-ERR"), words
        assert larder.info("tiers")["tags_pending_invalidations"] == "2"
        redis.start()
        wait_until(lambda: larder.info("tiers")["tags_pending_invalidations"] == "0", 20, "an empty queue")
        assert client.value("EXISTS", "k", "l") == 0


def test_what_was_queued_while_redis_was_away_is_done_side_by_side(lab):
    """However long the queue is, it does not take a tick of Larder for each of its entries."""
    redis = lab.redis("--appendonly", "yes", "--appendfsync", "always")
    larder = lab.larder("redis", redis)
    count = 1000
    with larder.connect(timeout=30) as client:
        client.pipeline([("SET", f"k{n}", "v", "TAGS", "1", f"t{n}") for n in range(count)])
        redis.crash()
        replies = client.pipeline([("TAGINVALIDATE", f"t{n}") for n in range(count)])
        assert all(reply.startswith(b"-") for reply in replies)
        assert larder.info("tiers")["tags_pending_invalidations"] == str(count)
        redis.start()
        seen = set()

        def drained():
            seen.add(pending := int(larder.info("tiers")["tags_pending_invalidations"]))
            return pending == 0
        wait_until(drained, 30, "an empty queue")
        with redis.connect() as raw:
            assert left(raw) == []
        # One a tick would show nearly every length.
        assert len(seen) < count / 4, f"{len(seen)} lengths of the queue were seen"


def test_an_invalidation_behind_the_answer_comes(lab):
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    with larder.connect(timeout=30) as client, redis.connect() as raw:
        fill_tag(client, MANY)
        assert client.value("TAGINVALIDATE", "many", "ASYNC") == 0
        wait_until(lambda: left(raw) == [], 30, "the sweep")
        steps = int(larder.info("tiers")["tags_sweep_steps"])
        assert steps >= MANY / 2000, f"{MANY} keys in {steps} steps"
