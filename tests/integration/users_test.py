"""Clients that log in as users of the Redis behind Larder: each has its own rights, and nobody else's."""

import threading
import time

from support.resp import Client, ReplyError, decode, wait_until

WRONGPASS = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
NOPERM_KEY = b"-NOPERM this user has no permissions to access one of the keys used as arguments\r\n"


def give_users(direct):
    """ann may do anything with a:*, bob may read b:*."""
    direct.value("ACL", "SETUSER", "ann", "on", ">ann1", ">ann2", "~a:*", "+@all")
    direct.value("ACL", "SETUSER", "bob", "on", ">bob1", "~b:*", "+@read", "+@connection", "+acl|whoami")


def logged_in(lab, larder, user, password, protocol=2):
    client = lab.closing(larder.connect(protocol))
    assert client.call("AUTH", user, password) == b"+OK\r\n"
    return client


def connections_of(direct, user):
    return direct.value("CLIENT", "LIST").count(b" user=%b " % user.encode())


def test_a_user_has_its_own_rights(lab):
    behind = lab.redis()
    larder = lab.larder("redis", behind)
    direct, own = lab.closing(behind.connect()), lab.closing(larder.connect())
    give_users(direct)
    ann, bob = logged_in(lab, larder, "ann", "ann1"), logged_in(lab, larder, "bob", "bob1", 3)
    assert ann.value("ACL", "WHOAMI") == b"ann" and bob.value("ACL", "WHOAMI") == b"bob"
    assert own.value("ACL", "WHOAMI") == b"default"
    assert ann.call("SET", "a:k", "v") == b"+OK\r\n" and ann.call("SET", "b:k", "v") == NOPERM_KEY
    assert own.call("SET", "b:k", "w") == b"+OK\r\n"
    assert bob.value("GET", "b:k") == b"w" and bob.call("GET", "a:k") == NOPERM_KEY
    assert bob.call("SET", "b:k", "x") == b"-NOPERM this user has no permissions to run the 'set' command\r\n"
    users = [line.split(" user=")[1].split()[0] for line in own.value("CLIENT", "LIST").decode().splitlines()]
    assert sorted(users) == ["ann", "bob", "default"]
    assert own.call("CLIENT", "KILL", "USER", "nobody") == b"-ERR No such user 'nobody'\r\n"
    for client in (ann, bob):
        assert client.call("CONFIG", "GET", "requirepass").startswith(b"-NOPERM")
    assert own.value("CLIENT", "KILL", "USER", "bob") == 1 and bob.read_to_end() == b""


# What Larder answers itself, or with Redis' help, and tells about the server.
TELLING = ("INFO", "INFO everything", "ROLE", "MEMORY STATS", "MEMORY DOCTOR", "MEMORY MALLOC-STATS", "MEMORY PURGE", "COMMAND",
           "COMMAND COUNT", "COMMAND DOCS get", "COMMAND GETKEYS GET k")


def test_the_server_is_shown_to_those_who_may_see_it(lab):
    """In transactions too; nothing of it voids L1."""
    for behind in (lab.redis(), lab.redis_cluster(replicas=False)):
        larder = lab.larder("redis", behind, workers=1)
        for node in getattr(behind, "nodes", [behind]):
            with node.connect() as direct:
                direct.value("ACL", "SETUSER", "sue", "on", ">sue1", "~*", "+@all")
                direct.value("ACL", "SETUSER", "eve", "on", ">eve1", "~*", "+get", "+multi", "+exec")
        own = lab.closing(larder.connect())
        sue, eve = logged_in(lab, larder, "sue", "sue1"), logged_in(lab, larder, "eve", "eve1", 3)
        assert own.call("SET", "k", "v") == b"+OK\r\n" and own.value("GET", "k") == b"v"  # L1 has it
        for command in map(str.split, TELLING):
            refused = eve.call(*command)
            assert refused.startswith(b"-NOPERM this user has no permissions to run the '"), (command, refused)
            for client in (own, sue):
                assert not client.call(*command).startswith(b"-"), command
            assert eve.value("GET", "k") == b"v"
            assert not isinstance(sue.pipeline([("MULTI",), command, ("EXEC",)])[2], ReplyError)
        for command in ("LATENCY LATEST", "LATENCY GRAPH x", "SLOWLOG GET", "CONFIG GET x"):
            assert sue.call(*command.split()).startswith(b"-NOPERM")
        hits = int(larder.info("tiers")["l1_hits"])
        assert own.value("GET", "k") == b"v" and int(larder.info("tiers")["l1_hits"]) == hits + 1
        assert eve.pipeline([("MULTI",), ("ROLE",), ("EXEC",)])[2].startswith((b"*1\r\n-NOPERM", b"-EXECABORT"))
        larder.stop()


def test_l1_answers_only_who_may_read(lab):
    """A key that L1 holds is no secret's way out, and what a user writes is seen by everybody."""
    behind = lab.redis()
    larder = lab.larder("redis", behind, workers=1)
    direct, own = lab.closing(behind.connect()), lab.closing(larder.connect())
    give_users(direct)
    bob, ann = logged_in(lab, larder, "bob", "bob1"), logged_in(lab, larder, "ann", "ann1")
    own.pipeline([("SET", "a:secret", "s"), ("HSET", "a:hash", "f", "s")])
    reads = [("GET", "a:secret"), ("MGET", "a:secret"), ("STRLEN", "a:secret"), ("HGETALL", "a:hash"), ("EXISTS", "a:hash")]
    for _ in range(2):
        own.pipeline(reads)
    hits = int(larder.info("tiers")["l1_hits"])
    own.pipeline(reads)
    assert int(larder.info("tiers")["l1_hits"]) == hits + len(reads)
    assert bob.pipeline(reads) == [NOPERM_KEY] * len(reads)

    fills = larder.info("tiers")["backend_fills"]
    assert ann.call("GET", "a:other") == b"$-1\r\n" and ann.pipeline(reads)[0] == b"$1\r\ns\r\n"
    after = larder.info("tiers")
    assert (after["l1_hits"], after["backend_fills"]) == (str(hits + len(reads)), fills)
    for n in range(100):
        assert ann.call("SET", "a:secret", n) == b"+OK\r\n"
        assert own.value("GET", "a:secret") == b"%d" % n


def test_a_transaction_is_one_users(lab):
    behind = lab.redis()
    larder = lab.larder("redis", behind)
    give_users(lab.closing(behind.connect()))
    refused = b"-ERR a change of the user is not supported inside of a transaction\r\n"
    own, ann = lab.closing(larder.connect()), logged_in(lab, larder, "ann", "ann1")
    for client, user in ((own, b"default"), (ann, b"ann")):
        for login in (("AUTH", "bob", "bob1"), ("HELLO", 2, "AUTH", "bob", "bob1"), ("auth", "bob", "wrong")):
            assert client.pipeline([("MULTI",), login, ("SET", "a:k", 1), ("EXEC",)])[1:] == [
                refused, b"+QUEUED\r\n", b"-EXECABORT Transaction discarded because of previous errors.\r\n"]
        assert client.value("ACL", "WHOAMI") == user and client.value("GET", "a:k") is None
    assert ann.pipeline([("MULTI",), ("AUTH", "default", "x"), ("EXEC",)])[1] == refused
    assert own.pipeline([("MULTI",), ("AUTH", "default", "x"), ("PING",), ("EXEC",)])[3] == b"*2\r\n+OK\r\n+PONG\r\n"


def test_logins_are_judged_by_redis(lab):
    behind = lab.redis()
    larder = lab.larder("redis", behind)
    direct = lab.closing(behind.connect())
    give_users(direct)
    client = lab.closing(larder.connect())
    for user, password in (("ann", "x"), ("nobody", "x"), ("ann", "")):
        assert client.call("AUTH", user, password) == WRONGPASS
        assert client.value("ACL", "WHOAMI") == b"default"
    assert client.call("HELLO", 3, "AUTH", "ann", "x") == WRONGPASS
    assert client.call("HELLO", 2, "AUTH", "ann", "ann1", "SETNAME", "me").startswith(b"*14\r\n")
    assert client.value("CLIENT", "GETNAME") == b"me" and client.value("ACL", "WHOAMI") == b"ann"
    assert client.call("AUTH", "bob", "x") == WRONGPASS and client.value("ACL", "WHOAMI") == b"ann"
    hello = decode(client.call("HELLO", 3, "AUTH", "bob", "bob1"))
    assert hello[b"proto"] == 3 and client.value("ACL", "WHOAMI") == b"bob"
    assert client.call("RESET") == b"+RESET\r\n" and client.value("ACL", "WHOAMI") == b"default"
    assert client.call("AUTH", "ann", "ann2") == b"+OK\r\n" and client.value("ACL", "WHOAMI") == b"ann"
    assert client.call("AUTH", "default", "any") == b"+OK\r\n" and client.value("ACL", "WHOAMI") == b"default"


def test_larders_own_password(lab):
    """It lets in as Larder's user; a user of Redis needs none; a Redis open to all does not open Larder."""
    behind = lab.redis()
    larder = lab.larder("redis", behind, config={"server.requirepass": "sesame"})
    give_users(lab.closing(behind.connect()))
    client = lab.closing(larder.connect())
    noauth = b"-NOAUTH Authentication required.\r\n"
    assert client.call("GET", "a:k") == noauth
    assert client.call("AUTH", "default", "any") == WRONGPASS and client.call("AUTH", "any") == WRONGPASS
    assert client.call("AUTH", "ann", "x") == WRONGPASS and client.call("GET", "a:k") == noauth
    assert client.call("AUTH", "ann", "ann1") == b"+OK\r\n" and client.call("GET", "b:k") == NOPERM_KEY
    assert client.call("RESET") == b"+RESET\r\n" and client.call("GET", "a:k") == noauth
    assert client.call("AUTH", "sesame") == b"+OK\r\n" and client.call("GET", "b:k") == b"$-1\r\n"
    assert client.value("ACL", "WHOAMI") == b"default"


def test_the_user_of_the_url_shares_l1(lab):
    behind = lab.redis()
    with behind.connect() as direct:
        direct.value("ACL", "SETUSER", "larder", "on", ">pass", "~*", "+@all")
    behind.url = behind.url.replace("://", "://larder:pass@")
    larder = lab.larder("redis", behind)
    client = logged_in(lab, larder, "larder", "pass")
    client.call("SET", "k", "v")
    client.call("GET", "k")
    hits = int(larder.info("tiers")["l1_hits"])
    assert client.call("GET", "k") == b"$1\r\nv\r\n" and int(larder.info("tiers")["l1_hits"]) == hits + 1
    assert client.value("ACL", "WHOAMI") == b"larder"


def test_renames_where_larder_may_run_no_scripts(lab):
    """No key has tags there, so Redis' own commands do."""
    forbidden = lab.redis("--rename-command", "EVAL", "")
    narrow = lab.redis()
    with narrow.connect() as direct:
        direct.call("ACL", "SETUSER", "narrow", "on", ">pw", "~app:*", "&*", "+@all")
    narrow.url = narrow.url.replace("://", "://narrow:pw@")
    for behind in (forbidden, narrow):
        larder = lab.larder("redis", behind)
        with larder.connect() as client:
            wait_until(lambda: client.call("SET", "app:1", "v") == b"+OK\r\n" and
                       client.call("RENAME", "app:1", "app:2") == b"+OK\r\n", 10, "a key to be renamed")
            assert client.call("COPY", "app:2", "app:3") == client.call("RENAMENX", "app:3", "app:4") == b":1\r\n"
            assert client.call("MOVE", "app:4", "1") == b":1\r\n"
            assert client.call("SET", "app:5", "v", "TAGS", "1", "t").startswith(b"-ERR no key can have tags here")
            client.call("MULTI")
            assert client.call("TAGADD", "app:2", "t").startswith(b"-ERR no key can have tags here")
            assert client.call("EXEC").startswith(b"-EXECABORT")


def test_l1_forgets_what_larders_user_may_no_longer_read(lab):
    behind = lab.redis()
    direct = lab.closing(behind.connect())
    direct.call("ACL", "SETUSER", "larder", "on", ">pw", "~*", "&*", "+@all")
    behind.url = behind.url.replace("://", "://larder:pw@")
    client = lab.closing(lab.larder("redis", behind).connect())
    for rule in ("resetkeys ~open:*", "-get"):
        direct.call("ACL", "SETUSER", "larder", "~*", "+@all")
        client.call("SET", "secret", "s")
        assert client.value("GET", "secret") == client.value("GET", "secret") == b"s"
        time.sleep(1.5)  # it has been seen what the user may
        direct.call("ACL", "SETUSER", "larder", *rule.split())
        wait_until(lambda: client.call("GET", "secret").startswith(b"-NOPERM"), 10, "the right to be lost")


def test_order_around_a_login(lab):
    """P1 and rights in one pipeline: what stands before AUTH is done as before it, what stands behind it as after."""
    behind = lab.redis()
    larder = lab.larder("redis", behind)
    give_users(lab.closing(behind.connect()))
    with larder.connect() as client:
        commands = [("SET", "b:k", "1"), ("AUTH", "bob", "bob1"), ("GET", "b:k"), ("SET", "b:k", "2"),
                    ("AUTH", "ann", "x"), ("GET", "b:k"), ("AUTH", "ann", "ann1"), ("SET", "a:k", "3"), ("GET", "b:k"),
                    ("AUTH", "default", ""), ("GET", "a:k"), ("SET", "b:k", "4"), ("AUTH", "bob", "bob1"),
                    ("GET", "b:k"), ("RESET",), ("GET", "a:k")]
        noperm = b"-NOPERM this user has no permissions to run the 'set' command\r\n"
        expected = [b"+OK\r\n", b"+OK\r\n", b"$1\r\n1\r\n", noperm, WRONGPASS, b"$1\r\n1\r\n", b"+OK\r\n", b"+OK\r\n",
                    NOPERM_KEY, b"+OK\r\n", b"$1\r\n3\r\n", b"+OK\r\n", b"+OK\r\n", b"$1\r\n4\r\n", b"+RESET\r\n",
                    b"$1\r\n3\r\n"]
        for _ in range(20):
            replies = client.pipeline(commands)
            assert replies == expected, list(zip(commands, replies))
        for cut in range(1, 200, 7):
            assert client.pipeline(commands, splits=(cut,)) == expected, cut


def test_connections_follow_the_users(lab):
    """Shared while they are used, closed when nobody uses them any more."""
    behind = lab.redis()
    larder = lab.larder("redis", behind, workers=1)
    direct = lab.closing(behind.connect())
    give_users(direct)
    clients = [larder.connect() for _ in range(20)]
    for client in clients:
        assert client.call("AUTH", "ann", "ann1") == b"+OK\r\n" and client.call("GET", "a:k") == b"$-1\r\n"
    wait_until(lambda: connections_of(direct, "ann") == 1, 2, "one connection of the user's")
    for client in clients:
        client.close()
    wait_until(lambda: connections_of(direct, "ann") == 0, 20, "the connection to be closed")
    ann = logged_in(lab, larder, "ann", "ann1")
    assert ann.call("GET", "a:k") == b"$-1\r\n"


def test_a_deleted_user_has_no_rights_left(lab):
    behind = lab.redis()
    larder = lab.larder("redis", behind)
    direct = lab.closing(behind.connect())
    give_users(direct)
    ann = logged_in(lab, larder, "ann", "ann1")
    ann.call("SET", "a:k", "v")
    direct.value("ACL", "DELUSER", "ann")
    refused = b"-NOAUTH Redis at 127.0.0.1:%d cannot be reached: it does not accept the user or password: WRONGPASS" % behind.port
    wait_until(lambda: ann.call("GET", "a:k").startswith(refused), 10, "the refusal")
    for _ in range(50):
        assert ann.call("GET", "a:k").startswith((refused, b"-ERR Redis at"))
    assert ann.call("AUTH", "ann", "ann1") == WRONGPASS
    assert larder.info("tiers")["backend_state"] == "connected"
    give_users(direct)
    assert ann.call("AUTH", "ann", "ann1") == b"+OK\r\n" and ann.call("GET", "a:k") == b"$1\r\nv\r\n"


def test_redis_away_is_not_a_wrong_password(lab):
    behind = lab.redis()
    larder = lab.larder("redis", behind)
    behind.crash()
    with larder.connect() as client:
        wait_until(lambda: client.call("AUTH", "ann", "ann1").startswith(b"-ERR Redis at 127.0.0.1:"), 10, "an error")
        assert client.call("PING") == b"+PONG\r\n"


def test_users_of_other_backends_do_not_exist(lab):
    for backend in ("memory", "postgres"):
        with lab.larder(backend).connect() as client:
            assert client.pipeline([("AUTH", "ann", "x"), ("PING",)]) == [WRONGPASS, b"+PONG\r\n"]


def test_users_of_a_cluster(lab):
    cluster = lab.redis_cluster(replicas=False)
    for node in cluster.nodes:
        with node.connect() as direct:
            give_users(direct)
    larder = lab.larder("redis", cluster)
    own = lab.closing(larder.connect())
    ann, bob = logged_in(lab, larder, "ann", "ann1"), logged_in(lab, larder, "bob", "bob1")
    pairs = [word for n in range(50) for word in (f"a:{n}", n)]
    assert ann.value("MSET", *pairs) == b"OK" and own.value("MGET", *pairs[::2]) == [b"%d" % n for n in range(50)]
    own.value("MGET", *pairs[::2])
    for n in range(50):
        assert bob.call("GET", f"a:{n}") == NOPERM_KEY and ann.value("GET", f"a:{n}") == b"%d" % n
    assert bob.call("MGET", *pairs[::2]) == NOPERM_KEY
    assert isinstance(decode(bob.call("SET", "b:1", "v")), ReplyError)
    for node in cluster.nodes:
        with node.connect() as direct:
            direct.value("ACL", "DELUSER", "ann")
    wait_until(lambda: ann.call("GET", "a:1").startswith(b"-NOAUTH Redis at"), 10, "the refusal")
    assert own.value("GET", "a:1") == b"1"


def test_many_users_at_once(lab):
    """Clients that change users all the time never see what is not theirs."""
    behind = lab.redis()
    larder = lab.larder("redis", behind)
    with behind.connect() as direct:
        for n in range(8):
            direct.value("ACL", "SETUSER", f"u{n}", "on", f">p{n}", f"~{n}:*", "+@all")
            direct.value("SET", f"{n}:k", n)
    failures = []
    threads = [threading.Thread(target=change_users, args=(larder, number, failures)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]


def change_users(larder, number, failures):
    with Client(larder.address, 2 + number % 2, timeout=20) as client:
        for step in range(100):
            user, other = (number + step) % 8, (number + step + 1) % 8
            replies = client.pipeline([("AUTH", f"u{user}", f"p{user}"), ("GET", f"{user}:k"), ("GET", f"{other}:k"),
                                       ("ACL", "WHOAMI")])
            expected = [b"+OK\r\n", b"$1\r\n%d\r\n" % user, NOPERM_KEY, b"$2\r\nu%d\r\n" % user]
            if replies != expected:
                failures.append((user, replies))
                return
