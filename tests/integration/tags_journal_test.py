"""What a Larder that was killed has not finished others do: long invalidations and those left for behind the answer."""

from support.lab import on_backends
from support.resp import decode, encode, wait_until

MANY = 100_000
TAKEN_OVER_S = 30  # a lease is 5 s; the machine may be busy
JOURNAL = "larder:tags:j"


def fill(client, count=MANY):
    for start in range(0, count, 1000):
        client.pipeline([("SET", f"many:{n}", "v", "TAGS", 2, "many", f"own:{n % 50}")
                         for n in range(start, min(start + 1000, count))])


def journal(raw):
    return decode(raw.call("ZRANGE", JOURNAL, 0, -1))


def kill_in_the_middle(larder, other, *words):
    """Kills `larder` while it deletes the keys."""
    with larder.connect(timeout=60) as client, other.connect(timeout=60) as watcher:
        for _ in range(10):
            fill(client)
            client.send(*words)
            while watcher.value("DBSIZE") == MANY:
                pass
            larder.crash()
            if watcher.value("DBSIZE") > 0:
                return
            larder.start()
            client.close()
            client = larder.connect(timeout=60)
    raise AssertionError("it was never killed in the middle")


@on_backends("redis", "cluster")
def test_another_larder_finishes_a_long_invalidation(lab, backend):
    behind = lab.behind(backend)
    larders = [lab.larder("redis", behind) for _ in range(2)]
    with larders[1].connect() as other:
        other.call("SET", "stays", "v", "TAGS", 1, "other")
        kill_in_the_middle(*larders, "TAGINVALIDATE", "many")
        wait_until(lambda: other.value("TAGCOUNT", "many") == 0, TAKEN_OVER_S, "the end of the sweep")
        assert other.value("GET", "stays") == b"v"
        tiers = larders[1].info("tiers")
        assert tiers["tags_taken_over"] == "1", tiers
        wait_until(lambda: larders[1].info("tiers")["tags_pending_invalidations"] == "0", 5, "an empty queue")
    assert "takes over an invalidation that another Larder has not finished: database 0, tags many" in larders[1].process.log()


@on_backends("redis", "cluster")
def test_what_was_left_for_later_is_done_when_larder_is_started_again(lab, backend):
    """... and is done as it was said, in its database."""
    behind = lab.behind(backend)
    larder = lab.larder("redis", behind)
    with larder.connect(timeout=60) as client:
        fill(client, 2000)
        db = 0 if backend == "cluster" else 3
        client.call("SELECT", db)
        for key, tags in (("gone", ["exact", "b"]), ("below", ["exact:x", "b"]), ("half", ["b"])):
            client.call("SET", key, "v", "TAGS", len(tags), *tags)
        words = ("TAGINVALIDATE", "exact", "b", "EXACT", "ALL", "ASYNC")
        # The first of them keeps the others waiting.
        assert client.pipeline([("SELECT", 0), ("TAGINVALIDATE", "many", "ASYNC"), ("SELECT", db), words])[1::2] == [b":0\r\n"] * 2
        larder.crash()
    larder.start()
    with larder.connect() as client:
        client.call("SELECT", db)
        wait_until(lambda: client.value("EXISTS", "gone") == 0 and client.value("TAGCOUNT", "many") == 0, TAKEN_OVER_S,
                   "the sweeps")
        assert client.value("EXISTS", "below", "half") == 2
        client.call("SELECT", 0)
        wait_until(lambda: client.value("DBSIZE") == (2 if db == 0 else 0), TAKEN_OVER_S, "the other sweep")
        assert larder.info("tiers")["tags_taken_over"] != "0", "it was done before it was killed"


def test_the_journal_has_what_is_under_way(lab):
    """... for as long as it is, and it is not shown. What somebody deletes of it comes back."""
    redis = lab.redis()
    gate = lab.gate(redis)
    larder, idle = lab.larder("redis", gate), lab.larder("redis", redis)
    with larder.connect(timeout=60) as client, idle.connect() as other, redis.connect() as raw:
        fill(client)
        gate.delay(0.02)
        client.send("TAGINVALIDATE", "many")
        wait_until(lambda: journal(raw) != [], 10, "the journal")
        [member] = journal(raw)
        assert member.endswith(b"$1\r\n0\r\n$4\r\nmany\r\n$0\r\n\r\n"), member
        assert decode(other.call("KEYS", "larder:*")) == []
        raw.call("DEL", JOURNAL)
        wait_until(lambda: journal(raw) == [member], 10, "its return")
        gate.delay(0)
        assert client.read() == b":%d\r\n" % MANY
        wait_until(lambda: raw.value("EXISTS", JOURNAL) == 0, 10, "its end")
        assert idle.info("tiers")["tags_taken_over"] == "0"


def test_what_is_done_and_comes_back_is_not_done_again(lab):
    """As when Redis runs a request late that Larder has given up."""
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    with larder.connect(timeout=60) as client, redis.connect() as raw:
        fill(client)
        assert client.value("TAGINVALIDATE", "many", "ASYNC") == 0
        [member] = journal(raw)
        wait_until(lambda: raw.value("EXISTS", JOURNAL) == 0 and client.value("TAGCOUNT", "many") == 0, 20, "the sweep")
        client.call("SET", "many:1", "new", "TAGS", 1, "many")
        raw.call("ZADD", JOURNAL, 1, member)
        wait_until(lambda: raw.value("EXISTS", JOURNAL) == 0, 20, "its end")
        tiers = larder.info("tiers")
        assert (tiers["tags_taken_over"], tiers["tags_pending_invalidations"]) == ("0", "0"), tiers
        assert client.value("GET", "many:1") == b"new"


def test_many_that_cannot_be_entered(lab):
    """Each is refused at once, and done when Redis is back."""
    redis = lab.redis()
    gate = lab.gate(redis)
    larder = lab.larder("redis", gate)
    with larder.connect() as client, redis.connect() as raw:
        client.call("SET", "k", "v", "TAGS", 1, "t")
        gate.refuse()
        replies = client.pipeline([("TAGINVALIDATE", tag, "ASYNC") for tag in ("t", *(f"t:{n}" for n in range(2000)))])
        assert all(reply.startswith(b"-ERR") for reply in replies), replies
        assert larder.info("tiers")["tags_pending_invalidations"] == "2001"
        gate.accept()
        wait_until(lambda: larder.info("tiers")["tags_pending_invalidations"] == "0", 60, "an empty queue")
        assert raw.value("EXISTS", "k") == 0
        wait_until(lambda: raw.value("EXISTS", JOURNAL) == 0, 10, "an empty journal")


def test_a_pipeline_of_those_with_async(lab):
    """They go side by side, behind what was written before them."""
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    with larder.connect() as client, redis.connect() as raw:
        writes = [("SET", f"k{n}", "v", "TAGS", 1, f"t{n % 7}") for n in range(50)]
        drops = [("TAGINVALIDATE", f"t{n % 7}", "ASYNC") for n in range(2000)]
        assert client.pipeline([*writes, *drops, ("GET", "none")]) == [b"+OK\r\n"] * 50 + [b":0\r\n"] * 2000 + [b"$-1\r\n"]
        wait_until(lambda: raw.value("EXISTS", *(f"k{n}" for n in range(50)), JOURNAL) == 0, 20, "the sweeps")


def test_who_ends_in_order_leaves_nothing_that_is_done(lab):
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    for _ in range(8):  # on all workers
        with larder.connect() as client, redis.connect() as raw:
            fill(client, 200)
            assert client.value("TAGINVALIDATE", "many", "ASYNC") == 0
            wait_until(lambda: raw.value("EXISTS", *(f"many:{n}" for n in range(200))) == 0, 20, "the sweep")
            larder.stop()
            assert raw.value("EXISTS", JOURNAL) == 0
            larder.start()


def test_what_needs_one_step_is_not_in_the_journal(lab):
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    with larder.connect() as client, redis.connect() as raw:
        raw.call("CONFIG", "RESETSTAT")
        for n in range(200):
            client.call("SET", "k", "v", "TAGS", 2, "a", "b")
            assert client.value("TAGINVALIDATE", "a", "c", "b") == 1
        # The registry of tags is a sorted set too: in each round both tags enter and leave it.
        statistics = dict(line.split(b":", 1) for line in raw.value("INFO", "commandstats").splitlines() if b":" in line)
        calls = {name: int(statistics[b"cmdstat_" + name].split(b",")[0].split(b"=")[1]) for name in (b"zadd", b"zrem")}
        assert calls == {b"zadd": 200, b"zrem": 200}, calls
        assert larder.info("tiers")["tags_sweep_steps"] == "600"


def test_a_journal_with_rubbish_in_it(lab):
    """It is removed and told once; what is right beside it is done."""
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    rubbish = ["", "x", "*1\r\n$1\r\na\r\n", "*3\r\n$1\r\na\r\n$1\r\nx\r\n$1\r\nt\r\n", "*3\r\n$1\r\na\r\n$1\r\n0\r\n$0\r\n\r\n",
               "*3\r\n$1\r\na\r\n$1\r\n0\r\n$1\r\nt\r\nmore", "*1000000\r\n", "*3\r\n$1\r\na\r\n$2\r\n-1\r\n$1\r\nt\r\n", "a 0 t\r\n"]
    with larder.connect() as client, redis.connect() as raw:
        client.call("SET", "k", "v", "TAGS", 1, "t")
        raw.call("ZADD", JOURNAL, *[word for member in rubbish for word in (1, member)])
        raw.call("ZADD", JOURNAL, 1, "*3\r\n$5\r\nother\r\n$1\r\n0\r\n$1\r\nt\r\n")
        elsewhere = encode(["other", 99, "t", ""])  # of a Larder with more databases
        raw.call("ZADD", JOURNAL, 1, elsewhere)
        wait_until(lambda: journal(raw) == [elsewhere], 20, "an empty journal")
        raw.call("DEL", JOURNAL)
        assert client.value("EXISTS", "k") == 0
        assert larder.process.log().count("something in the journal of invalidations is none") == len(rubbish)
        assert larder.info("tiers")["tags_taken_over"] == "1"
        raw.call("SET", JOURNAL, "no sorted set")
        assert client.value("SET", "k", "v", "TAGS", 1, "t") == b"OK"
        assert client.call("TAGINVALIDATE", "t", "ASYNC").startswith(b"-WRONGTYPE")
        wait_until(lambda: client.value("EXISTS", "k") == 0, 20, "the invalidation, which was repeated")
