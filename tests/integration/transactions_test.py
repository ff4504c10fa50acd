"""MULTI, EXEC, DISCARD and WATCH through Larder answer as Redis does, and L1 knows what they wrote."""

import threading

from cluster_test import migrate
from support.lab import on_backends
from support.resp import decode, encode, wait_until
from support.servers import key_slot

QUEUED, OK = b"+QUEUED\r\n", b"+OK\r\n"
EXECABORT = b"-EXECABORT Transaction discarded because of previous errors.\r\n"
OF_OTHER_TYPES = ("LPUSH", "LRANGE", "BLPOP", "EVAL")
CROSSSLOT = b"-CROSSSLOT Keys in request don't hash to the same slot\r\n"

# One connection each; every line is sent in one piece and one by one.
SEQUENCES = """
EXEC|DISCARD|EXEC a|MULTI a
MULTI|EXEC|MULTI|DISCARD|EXEC
MULTI|SET a 1|INCR a|LPUSH a x|GET a|EXEC|GET a
MULTI|MULTI|WATCH a|PING|EXEC|PING
MULTI|SET a|PING|EXEC|PING
MULTI|GET|SET a 9|EXEC|GET a
MULTI|EXEC a|PING|EXEC
MULTI|SHUTDOWN|EXEC|PING
MULTI|RESET|EXEC|GET a
MULTI|SET b x|PING|ECHO hi|CLIENT GETNAME|GET b|CLIENT SETNAME me|CLIENT GETNAME|EXEC|CLIENT GETNAME
MULTI|PING|PING a b|EXEC|MULTI|CLIENT SETNAME x|EXEC|PING
MULTI|SELECT 3|SET only three|SELECT 99|GET only|EXEC|GET only|SELECT 0|GET only
MULTI|SELECT 3|GET|EXEC|GET only
MULTI|BLPOP empty 0|BLMOVE empty b LEFT RIGHT 0|WAIT 0 0|EXEC|SET after 1|GET after
MULTI|LPUSH l 1 2 3|LRANGE l 0 -1|HSET h f v|HGETALL h|ZADD z 1.5 m|ZRANGE z 0 -1 WITHSCORES|EXEC
MULTI|EVAL return(redis.call('SET','s','1')) 1 s|EXEC|GET s|MULTI|FLUSHALL|DBSIZE|EXEC|GET s
SET k 1|MULTI|GET k|SET k 2|GET k|EXEC|GET k|MULTI|SET k 3|DISCARD|GET k
CLIENT REPLY SKIP|MULTI|SET r 1|EXEC|CLIENT REPLY OFF|MULTI|GET r|PING|EXEC|CLIENT REPLY ON|GET r
MULTI|GET k|CLIENT REPLY OFF|PING|GET k|EXEC|PING|CLIENT REPLY ON|GET k
MULTI|HELLO|UNWATCH|HELLO 4|AUTH a b c d|EXEC|PING
MULTI|QUIT|EXEC
"""


def sequences():
    return [[command.split() for command in line.split("|")] for line in SEQUENCES.strip().splitlines()]


def silent(commands):
    return any(command[:2] == ["CLIENT", "REPLY"] for command in commands)


def without_ids(reply):
    """HELLO tells a client number, which differs."""
    position = reply.find(b"$2\r\nid\r\n:")
    return reply if position < 0 else reply[:position] + reply[reply.find(b"\r\n", position + 9):]


def stream_of(server, protocol, commands):
    """All that the server says to commands sent in one piece."""
    with server.connect(protocol) as client:
        client.send_bytes(b"".join(map(encode, [*commands, ["QUIT"]])))
        return without_ids(client.read_to_end())


def one_by_one(server, protocol, commands):
    replies = []
    with server.connect(protocol) as client:
        for command in commands:
            replies.append(without_ids(client.call(*command)))
            if command == ["QUIT"]:
                break
    return replies


def test_transactions_answer_like_redis(lab):
    for options in ((), ("--l1-memory", "0")):
        oracle = lab.redis()
        larder = lab.larder("redis", options=options)
        for protocol in (2, 3):
            for commands in sequences():
                assert stream_of(larder, protocol, commands) == stream_of(oracle, protocol, commands), commands
                if not silent(commands):
                    assert one_by_one(larder, protocol, commands) == one_by_one(oracle, protocol, commands), commands
        larder.stop()


@on_backends("memory", "postgres")
def test_transactions_of_strings_answer_like_redis(lab, backend):
    oracle = lab.redis()
    larder = lab.larder(backend)
    for protocol in (2, 3):
        for commands in sequences():
            if any(command[0] in OF_OTHER_TYPES for command in commands):
                continue
            assert stream_of(larder, protocol, commands) == stream_of(oracle, protocol, commands), commands
            if not silent(commands):
                assert one_by_one(larder, protocol, commands) == one_by_one(oracle, protocol, commands), commands


@on_backends()
def test_many_pipelined_transactions(lab, backend):
    """As client libraries send them: MULTI to EXEC in one write, many ahead of the replies."""
    larder = lab.larder(backend)
    count = 400
    with larder.connect() as client, larder.connect() as other:
        for n in range(count):
            for command in (("MULTI",), ("INCR", "n"), ("SET", f"k{n}", n), ("GET", f"k{n}"), ("EXEC",), ("GET", "n")):
                client.send(*command)
        for n in range(count):
            assert [client.read() for _ in range(4)] == [OK, QUEUED, QUEUED, QUEUED]
            assert client.read() == b"*3\r\n:%d\r\n+OK\r\n$%d\r\n%d\r\n" % (n + 1, len(str(n)), n)
            assert client.read() == b"$%d\r\n%d\r\n" % (len(str(n + 1)), n + 1)
        assert other.value("GET", "n") == b"%d" % count


@on_backends()
def test_a_transaction_is_void_in_l1(lab, backend):
    """After EXEC was answered nobody behind the same Larder reads what was before; the load runs on other workers."""
    larder = lab.larder(backend, workers=2)
    stop, wrong = threading.Event(), []

    def read(keys):
        last = dict.fromkeys(keys, 0)
        with larder.connect() as client:
            while not stop.is_set():
                for key in keys:
                    value = int(client.value("GET", key) or 0)
                    if value < last[key]:
                        wrong.append((key, value, last[key]))
                    last[key] = value

    readers = [threading.Thread(target=read, args=(["a", "b"],)) for _ in range(3)]
    for reader in readers:
        reader.start()
    with larder.connect() as writer, larder.connect() as checker:
        for n in range(1, 1500):
            replies = writer.pipeline([("MULTI",), ("SET", "a", n), ("INCR", "b"), ("EXEC",)])
            assert replies[-1] == b"*2\r\n+OK\r\n:%d\r\n" % n
            assert checker.value("MGET", "a", "b") == [b"%d" % n, b"%d" % n]
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong, wrong[:5]
    with larder.connect() as client:
        assert int(client.value("INFO", "tiers").split(b"l1_hits:")[1].split(b"\r\n")[0]) > 500


def pair_of_larders(lab, backend):
    """Two that share what is behind them; on memory one of two workers."""
    behind = lab.behind(backend)
    larders = [lab.larder(backend, behind, workers=2) for _ in range(1 if behind is None else 2)]
    return behind, larders * (2 // len(larders))


@on_backends()
def test_nobody_sees_half_a_transaction(lab, backend):
    _, larders = pair_of_larders(lab, backend)
    stop, torn = threading.Event(), []

    def read(larder):
        with larder.connect() as client:
            while not stop.is_set():
                a, b = decode(client.pipeline([("MULTI",), ("GET", "a"), ("GET", "b"), ("EXEC",)])[-1])
                if a != b:
                    torn.append((a, b))

    def write(larder, number):
        with larder.connect() as client:
            for n in range(300):
                value = f"{number}:{n}"
                replies = client.pipeline([("MULTI",), ("SET", "a", value), ("GET", "a"), ("SET", "b", value), ("EXEC",)])
                assert decode(replies[-1]) == [b"OK", value.encode(), b"OK"], replies

    readers = [threading.Thread(target=read, args=(larder,)) for larder in larders]
    writers = [threading.Thread(target=write, args=(larder, n)) for n, larder in enumerate(larders * 2)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert not torn, torn[:5]


@on_backends()
def test_watch_loses_no_update(lab, backend):
    """Counters that are read, increased by the client and written back, also by somebody who knows nothing of Larder."""
    behind, larders = pair_of_larders(lab, backend)
    done = []

    def count(larder):
        succeeded = 0
        with larder.connect() as client:
            while succeeded < 60:
                client.call("WATCH", "n")
                value = int(client.value("GET", "n") or 0)
                replies = client.pipeline([("MULTI",), ("SET", "n", value + 1), ("EXEC",)])
                assert replies[-1] in (b"*1\r\n+OK\r\n", b"*-1\r\n"), replies
                succeeded += replies[-1] != b"*-1\r\n"
        done.append(succeeded)

    with larders[0].connect() as client:
        client.call("SET", "n", 0)
    threads = [threading.Thread(target=count, args=(larder,)) for larder in larders * 2]
    for thread in threads:
        thread.start()
    beside = 0
    while any(thread.is_alive() for thread in threads):
        if backend == "postgres":
            behind.psql("update larder.kv set v = (convert_from(v, 'UTF8')::int + 1)::text::bytea where k = 'n'")
        else:
            with larders[-1].connect() as client:
                client.call("INCR", "n")
        beside += 1
    for thread in threads:
        thread.join()
    with larders[0].connect() as client:
        assert int(client.value("GET", "n")) == sum(done) + beside == 60 * len(threads) + beside


@on_backends("memory", "postgres")
def test_what_touches_a_watched_key(lab, backend):
    larder = lab.larder(backend)
    with larder.connect() as client, larder.connect() as other:
        def outcome(watched, *changes):
            """Whether EXEC ran; the changes are another client's."""
            client.call("WATCH", *watched)
            for change in changes:
                other.call(*change)
            replies = client.pipeline([("MULTI",), ("PING",), ("GET", "k"), ("EXEC",)])
            return replies[-1] != b"*-1\r\n"

        client.call("SET", "k", "v")
        assert outcome(["k"]) and outcome(["k", "none"])
        assert not outcome(["k"], ("SET", "k", "w"))
        assert not outcome(["k", "none"], ("SET", "none", "w"))
        assert not outcome(["none", "k"], ("DEL", "none"))
        assert not outcome(["k"], ("EXPIRE", "k", 100))
        assert outcome(["k"], ("GET", "k"), ("TTL", "k"), ("SETNX", "k", "x"), ("DEL", "none"))
        assert not outcome(["k"], ("RENAME", "k", "other"))
        assert not outcome(["k"], ("RENAME", "other", "k"))
        assert not outcome(["other", "k"], ("FLUSHDB",), ("SET", "k", "v"))
        other.call("SET", "k", "v", "PX", 40)
        client.call("WATCH", "k")
        wait_until(lambda: other.value("EXISTS", "k") == 0, 5, "the key to expire")
        assert client.pipeline([("MULTI",), ("PING",), ("EXEC",)])[-1] == b"*-1\r\n"
        assert outcome(["k"]), "what had expired before is not touched by that"
        client.pipeline([("WATCH", "k"), ("UNWATCH",)])
        other.call("SET", "k", "x")
        assert client.pipeline([("MULTI",), ("GET", "k"), ("EXEC",)])[-1] == b"*1\r\n$1\r\nx\r\n"
        client.pipeline([("WATCH", "k"), ("SET", "k", "mine")])
        assert client.pipeline([("MULTI",), ("GET", "k"), ("EXEC",)])[-1] == b"*-1\r\n"


@on_backends("memory", "postgres")
def test_large_transactions(lab, backend):
    larder = lab.larder(backend, options=("--l1-memory", "200mb"))
    many, large = 3000, "x" * 3_000_000
    with larder.connect() as client:
        replies = client.pipeline([("MULTI",), *(("INCR", f"k{n % 700}") for n in range(many)), ("EXEC",)])
        assert decode(replies[-1]) == [n // 700 + 1 for n in range(many)]
        client.pipeline([("MULTI",), *(("SET", f"l{n}", large) for n in range(6)), ("EXEC",)])
        replies = client.pipeline([("MULTI",), *(("APPEND", f"l{n}", "y") for n in range(6)), ("GET", "l5"), ("EXEC",)])
        assert decode(replies[-1]) == [len(large) + 1] * 6 + [large.encode() + b"y"]


def test_memory_is_full_when_a_transaction_runs(lab):
    """As in Redis: said when a command is queued, or by EXEC if it was filled later; what needs no memory is run."""
    full = b"OOM command not allowed when used memory > 'maxmemory'."
    larder = lab.larder("memory", options=("--l1-memory", "4mb"))
    with larder.connect() as client, larder.connect() as other:
        other.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
        client.pipeline([("MULTI",), ("SET", "a", 1), ("GET", "a")])
        wait_until(lambda: other.call("APPEND", "big", "x" * 400_000).startswith(b"-OOM"), 10, "memory to be full")
        assert client.call("EXEC") == b"-EXECABORT Transaction discarded because of: " + full + b"\r\n"
        replies = client.pipeline([("MULTI",), ("SET", "a", 1), ("EXEC",), ("MULTI",), ("GET", "a"), ("DEL", "big"), ("EXEC",)])
        assert replies[1:3] == [b"-" + full + b"\r\n", EXECABORT] and decode(replies[-1]) == [None, 1]


def test_a_database_that_dies_in_a_transaction(lab):
    """All of it or nothing, and an error that says so."""
    postgres = lab.postgres()
    larder = lab.larder("postgres", postgres)
    with larder.connect() as client:
        client.call("SET", "a", 0)
        client.call("WATCH", "a")
        postgres.crash()
        postgres.start()
        wait_until(lambda: client.call("SET", "b", 0) == OK, 20, "the database to be back")
        # The crash has emptied the table: what was watched is no longer there.
        assert client.pipeline([("MULTI",), ("SET", "a", 1), ("EXEC",)])[-1] == b"*-1\r\n"
        postgres.psql("alter table larder.kv add constraint small check (length(v) < 10)")
        refused = client.pipeline([("MULTI",), ("SET", "a", 1), ("SET", "b", "x" * 10), ("EXEC",), ("MGET", "a", "b")])
        assert refused[-2].startswith(b"-ERR the database refused: "), refused
        assert decode(refused[-1]) == [None, b"0"]
        in_parts = client.pipeline([("MULTI",), ("DBSIZE",), ("SET", "a", "x" * 10), ("EXEC",), ("PING",)])
        assert in_parts[-2].startswith(b"-ERR the database refused: "), in_parts
        postgres.crash()
        assert client.pipeline([("MULTI",), ("SET", "a", 1), ("EXEC",)])[-1].startswith(b"-ERR the database")
        assert client.pipeline([("MULTI",), ("DBSIZE",), ("EXEC",)])[-1].startswith(b"-ERR the database")
        assert client.pipeline([("MULTI",), ("PING",), ("DBSIZE",), ("EXEC",)])[-1].startswith(b"-ERR the database")
        assert client.pipeline([("WATCH", "a"), ("MULTI",), ("PING",), ("EXEC",)])[0].startswith(b"-ERR the database")
        postgres.start()


@on_backends("memory", "postgres")
def test_a_transaction_about_all_keys(lab, backend):
    """On memory it is as atomic as any; on PostgreSQL others may see it between its parts."""
    larder = lab.larder(backend, workers=2)
    stop, seen = threading.Event(), set()

    def look():
        with larder.connect() as client:
            while not stop.is_set():
                seen.add(tuple(decode(client.pipeline([("MULTI",), ("DBSIZE",), ("TAGCOUNT", "t"), ("EXEC",)])[-1])))

    looker = threading.Thread(target=look)
    looker.start()
    with larder.connect() as client:
        for _ in range(200):
            replies = client.pipeline([("MULTI",), ("SET", "a", 1, "TAGS", 1, "t"), ("SET", "b", 1, "TAGS", 1, "t:u"), ("DBSIZE",),
                                       ("PING",), ("KEYS", "a"), ("EXEC",), ("GET", "a")])
            assert decode(replies[-2]) == [b"OK", b"OK", 2, b"PONG", [b"a"]] and replies[-1] == b"$1\r\n1\r\n"
            replies = client.pipeline([("MULTI",), ("TAGINVALIDATE", "t"), ("DBSIZE",), ("SET", "c", 1), ("SWAPDB", 0, 1),
                                       ("DBSIZE",), ("SWAPDB", 0, 1), ("FLUSHALL",), ("EXEC",), ("GET", "a"), ("GET", "c")])
            assert decode(replies[-3]) == [2, 0, b"OK", b"OK", 0, b"OK", b"OK"] and replies[-2:] == [b"$-1\r\n"] * 2
            replies = client.pipeline([("MULTI",), ("SELECT", 2), ("SET", "a", 2), ("DBSIZE",), ("FLUSHDB",), ("SELECT", 99),
                                       ("EXISTS", "a"), ("EXEC",), ("EXISTS", "a"), ("SELECT", 0)])
            assert replies[-3] == b"*6\r\n+OK\r\n+OK\r\n:1\r\n+OK\r\n-ERR DB index is out of range\r\n:0\r\n", replies
        stop.set()
        looker.join()
        client.pipeline([("SET", "a", 1), ("WATCH", "a"), ("SET", "a", 2)])
        assert client.pipeline([("MULTI",), ("FLUSHALL",), ("EXEC",), ("GET", "a")])[-2:] == [b"*-1\r\n", b"$1\r\n2\r\n"]
    assert backend == "postgres" or seen <= {(0, 0), (2, 2)}, seen


def test_an_error_of_redis_while_it_queues(lab):
    """What Larder cannot know before EXEC is EXEC's answer."""
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    with larder.connect() as client, redis.connect() as direct:
        assert direct.value("CONFIG", "SET", "maxmemory", "1mb") == b"OK"
        assert client.pipeline([("MULTI",), ("SET", "a", 1), ("EXEC",)])[2].startswith(b"-EXECABORT")
        assert direct.value("CONFIG", "SET", "maxmemory", "0") == b"OK"
        assert direct.value("ACL", "SETUSER", "default", "-multi") == b"OK"
        assert client.pipeline([("MULTI",), ("GET", "a"), ("EXEC",)])[2].startswith(b"-NOPERM")
        assert direct.value("ACL", "SETUSER", "default", "+multi") == b"OK"
        assert client.pipeline([("MULTI",), ("NOSUCH", "a"), ("SET", "a", 2), ("EXEC",)])[3].startswith(b"-EXECABORT")
        assert client.pipeline([("MULTI",), ("SET", "a", 1), ("EXEC",)])[2] == b"*1\r\n+OK\r\n"
        assert client.value("GET", "a") == b"1"


def refuse_multi(direct, user):
    direct.value("ACL", "SETUSER", user, "-multi")


def test_no_command_runs_outside_of_a_refused_transaction(lab):
    """Whoever may not run MULTI runs nothing, and others whose requests share the connection do not notice."""
    redis = lab.redis()
    direct = lab.closing(redis.connect())
    direct.value("ACL", "SETUSER", "ann", "on", ">p", "~*", "+@all")
    for options, login in (((), False), ((), True), (("--l1-memory", "0"), False)):
        larder = lab.larder("redis", redis, options=options, workers=1)
        client, other, watcher = (lab.closing(larder.connect()) for _ in range(3))
        for one in (client, other, watcher):
            assert not login or one.call("AUTH", "ann", "p") == OK
        user = "ann" if login else "default"
        direct.value("SET", "a", "untouched")
        block = [("MULTI",), ("SET", "a", 1), ("GET", "a"), ("EXEC",), ("GET", "a")]
        noperm = b"-NOPERM this user has no permissions to run the 'multi' command\r\n"
        for warm_up in (False, True):  # before and after a transaction has gone well on the connection
            assert watcher.call("WATCH", "unchanged") == OK
            refuse_multi(direct, user)
            for _ in range(3):
                for _ in range(20):
                    other.send("GET", "a")
                assert client.pipeline(block)[3:] == [noperm, b"$9\r\nuntouched\r\n"]
                assert [other.read() for _ in range(20)] == [b"$9\r\nuntouched\r\n"] * 20
            assert watcher.pipeline([("MULTI",), ("SET", "a", 2), ("EXEC",)])[2] == noperm
            direct.value("ACL", "SETUSER", user, "+multi")
            for _ in range(3):
                assert client.pipeline([("MULTI",), ("GET", "a"), ("EXEC",)])[2] == b"*1\r\n$9\r\nuntouched\r\n"
        # EXEC and DISCARD forbidden: the connection is no worse for it.
        direct.value("ACL", "SETUSER", user, "-exec", "-discard")
        assert client.pipeline(block)[3:] == [
            b"-EXECABORT Transaction discarded because of: NOPERM this user has no permissions to run the 'exec' "
            b"command\r\n", b"$9\r\nuntouched\r\n"]
        assert client.pipeline([("MULTI",), ("SET", "a", 1), ("DISCARD",), ("GET", "a")])[2:] == [
            OK, b"$9\r\nuntouched\r\n"]
        direct.value("ACL", "SETUSER", user, "+exec", "+discard")
        larder.stop()


def test_transactions_without_the_right_to_wait(lab):
    """They take another way, in which the client's requests keep their order too."""
    redis = lab.redis()
    direct = lab.closing(redis.connect())
    direct.value("ACL", "SETUSER", "ann", "on", ">p", "~*", "+@read", "+@write", "+@transaction")
    larder = lab.larder("redis", redis)
    for protocol in (2, 3):
        with larder.connect(protocol) as client:
            assert client.call("AUTH", "ann", "p") == OK
            for n in range(50):
                replies = client.pipeline([("SET", "n", n), ("MULTI",), ("INCR", "n"), ("GET", "n"), ("EXEC",), ("GET", "n"),
                                           ("MULTI",), ("SET", "n"), ("EXEC",)])
                value = b"$%d\r\n%d\r\n" % (len(str(n + 1)), n + 1)
                assert replies[4:6] == [b"*2\r\n:%d\r\n" % (n + 1) + value, value]
            refuse_multi(direct, "ann")
            assert client.pipeline([("MULTI",), ("SET", "n", "x"), ("EXEC",)])[2].startswith(b"-NOPERM")
            assert client.value("GET", "n") == b"50"
            direct.value("ACL", "SETUSER", "ann", "+multi")
            assert decode(client.pipeline([("MULTI",), ("GET", "n"), ("EXEC",)])[2]) == [b"50"]


def test_a_queue_that_grows_too_large(lab):
    larder = lab.larder("redis", config={"server.client_query_buffer_limit": "1mb"})
    with larder.connect() as client:
        assert client.call("MULTI") == OK
        try:
            for _ in range(40):
                client.call("SET", "k", b"x" * 50_000)
            raise AssertionError("the queue has no limit")
        except ConnectionError:
            pass
    with larder.connect() as client:
        assert client.call("PING") == b"+PONG\r\n"


def test_what_client_list_says(lab):
    larder = lab.larder("redis")
    with larder.connect() as client, larder.connect() as other:
        number = client.value("CLIENT", "ID")

        def mine():
            line = other.value("CLIENT", "LIST", "ID", number).decode()
            return dict(field.split("=", 1) for field in line.split())

        assert mine()["multi"] == "-1" and mine()["flags"] == "N"
        client.pipeline([("MULTI",), ("GET", "a"), ("PING",)])
        assert mine()["multi"] == "2" and mine()["flags"] == "x" and int(mine()["multi-mem"]) > 0
        assert client.call("DISCARD") == OK
        assert mine()["multi"] == "-1"


def test_transactions_in_a_cluster(lab):
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster)
    with larder.connect() as client, larder.connect(3) as other:
        for n in range(30):  # on every node
            tag = b"{%d}" % n
            commands = [("MULTI",), ("SET", tag + b"a", n), ("INCR", tag + b"a"), ("MGET", tag + b"a", tag + b"no"),
                        ("PING",), ("EXEC",)]
            end = b"*4\r\n+OK\r\n:%d\r\n*2\r\n$%d\r\n%d\r\n" % (n + 1, len(str(n + 1)), n + 1)
            assert client.pipeline(commands)[-1] == end + b"$-1\r\n+PONG\r\n"
            assert other.value("GET", tag + b"a") == b"%d" % (n + 1)
            assert other.pipeline(commands)[-1] == end + b"_\r\n+PONG\r\n"
        assert client.pipeline([("MULTI",), ("SET", "a", 1), ("SET", "b", 1), ("EXEC",)])[-1] == CROSSSLOT
        # Only what was queued before the first error counts.
        one_slot, two_slots = [("SET", "a", 1), ("GET", "a")], [("SET", "a", 1), ("SET", "b", 1)]
        for bad in (("GET",), ("NOSUCH", "c"), ("MGET", "a", "b")):
            for before, behind, end in ((two_slots, [], CROSSSLOT), (one_slot, two_slots, EXECABORT), ([], two_slots, EXECABORT)):
                assert client.pipeline([("MULTI",), *before, bad, *behind, ("EXEC",)])[-1] == end, (before, bad, behind)
        assert client.pipeline([("MULTI",), ("SELECT", 1), ("EXEC",)])[-1] == (
            b"*1\r\n-ERR SELECT is not allowed in cluster mode\r\n")
        assert client.value("GET", "a") is None and client.call("EXEC") == b"-ERR EXEC without MULTI\r\n"


def test_what_cannot_be_queued_is_told_at_once(lab):
    """As Redis does it: the error stands where QUEUED would, and EXEC runs nothing."""
    for behind in (lab.redis(), lab.redis_cluster(replicas=False)):
        larder = lab.larder("redis", behind)
        oracle = behind if behind.name == "redis-server" else behind.nodes[0]
        is_cluster = oracle is not behind
        refused = [("NOSUCH", "a", "b"), ("nosuch",), ("RESTORE-ASKING", "a"), ("GETEX",), ("MGET",)]
        if is_cluster:
            refused += [("MGET", "a", "b"), ("DEL", "a", "b"), ("RENAME", "a", "b"), ("ZUNIONSTORE", "a", 1, "b")]
        with larder.connect() as client, oracle.connect() as direct:
            wait_until(lambda: client.call("GET", "a") == b"$-1\r\n", 10, "the commands to be known")
            for command in refused:
                expected = direct.pipeline([("MULTI",), command, ("EXEC",)])
                assert client.pipeline([("MULTI",), command, ("SET", "a", 1), ("EXEC",)]) == [
                    *expected[:2], QUEUED, expected[2]], command
            for name in ("DBSIZE", "FLUSHALL", "KEYS *", "SCAN 0", "RANDOMKEY", "SCRIPT FLUSH"):
                queued, end = client.pipeline([("MULTI",), name.split(), ("EXEC",)])[1:]
                if is_cluster:
                    assert b"would reach one node of the cluster only" in queued and end.startswith(b"-EXECABORT"), name
                else:
                    assert queued == QUEUED and end.startswith(b"*1\r\n"), name
            assert client.value("GET", "a") is None
        larder.stop()


def test_transactions_follow_a_slot_that_moves(lab):
    """MOVED, ASK and TRYAGAIN while commands are queued: the whole block is sent again where it belongs."""
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster)
    source, target = cluster.owner("{t}"), next(node for node in cluster.nodes if node is not cluster.owner("{t}"))
    keys = [f"{{t}}{n}" for n in range(6)]
    done = []

    def transact(client, names):
        done.append(client.pipeline([("MULTI",), *(("INCR", name) for name in names), ("GET", names[0]), ("EXEC",)]))
        return decode(done[-1][-1])

    with larder.connect() as client, larder.connect() as waiting:
        def half_way():
            """Keys 0 to 2 are there, the others still here; new ones are made there."""
            for name in keys:
                assert transact(client, [name]) == [3, b"3"], done[-1]
            waiting.pipeline([("MULTI",), *(("INCR", name) for name in keys)])
            waiting.send("EXEC")

        for _ in range(2):
            transact(client, keys)
        migrate(cluster, key_slot("{t}"), source, target, half_way)
        assert decode(waiting.read()) == [4] * 6
        assert transact(client, keys) == [5] * 6 + [b"5"]
        assert client.value("MGET", *keys) == [b"5"] * 6
    info = larder.info("tiers")
    assert int(info["cluster_ask"]) > 0, info  # whether MOVED or the next look at the topology came first is chance


def test_a_watched_slot_moves(lab):
    """What becomes of the key where it is now its WATCH does not see: EXEC runs nothing, as if it had changed."""
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster, workers=1)
    source = cluster.owner("{t}")
    target, elsewhere = (node for node in cluster.nodes if node is not source)
    other_key = next(f"{n}" for n in range(1000) if cluster.owner(f"{n}") is elsewhere)
    with larder.connect() as client, larder.connect() as again, larder.connect() as other:
        assert client.call("SET", "{t}k", "old") == OK
        assert client.call("WATCH", "{t}k") == OK and again.call("WATCH", "{t}k") == OK
        assert again.pipeline([("WATCH", other_key), ("MULTI",), ("SET", other_key, 1), ("EXEC",)]) == [
            b"-CROSSSLOT Keys in request don't hash to the same slot as those that are watched\r\n", OK, QUEUED,
            b"-CROSSSLOT Keys in request don't hash to the same slot as those that are watched\r\n"]
        assert again.call("WATCH", "{t}k") == OK
        migrate(cluster, key_slot("{t}"), source, target)
        assert other.call("SET", "{t}k", "other's") == OK  # Larder knows of the move
        assert again.call("WATCH", "{t}k") == OK  # behind one that is void
        for one in (client, again):
            assert one.pipeline([("MULTI",), ("SET", "{t}k", "mine"), ("EXEC",)]) == [OK, QUEUED, b"*-1\r\n"]
            assert one.value("GET", "{t}k") == b"other's"
        replies = client.pipeline([("WATCH", "{t}k"), ("MULTI",), ("SET", "{t}k", "mine"), ("EXEC",)])
        assert replies == [OK, OK, QUEUED, b"*1\r\n+OK\r\n"]


def test_a_transaction_that_is_refused_at_once(lab):
    """Its node is away and no more can be kept for it: the error stands where EXEC's array would."""
    cluster = lab.redis_cluster("--cluster-require-full-coverage", "no", replicas=False)
    larder = lab.larder("redis", cluster, workers=1, config={"redis.max_in_flight": "64KB"})
    with larder.connect() as client, larder.connect() as other:
        assert client.pipeline([("SET", "k", "v"), ("GET", "k")]) == [OK, b"$1\r\nv\r\n"]
        cluster.owner("k").crash()
        wait_until(lambda: client.call("GET", "k").startswith(b"-"), 20, "the loss of the node")
        other.send("SET", "k", "v" * 100_000)
        wait_until(lambda: b"cmd=set" in client.value("CLIENT", "LIST"), 5, "what waits for the node")
        for commands in ([("GET", "k"), ("PING",)], [("GET", "k"), ("TAGCOUNT", "t")], [("GET", "k"), ("PING",), ("TAGCOUNT", "t")]):
            assert client.pipeline([("MULTI",), *commands, ("EXEC",)])[-1].startswith(b"-"), commands
        assert other.read().startswith(b"-") and larder.process.running
