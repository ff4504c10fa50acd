"""Larder behind Sentinels: it finds the master, follows it, and leaves nothing in L1 that an old one has said."""

import contextlib
import time

from cluster_test import Writer
from coherence import BOUND_S, BUSY_MS, Load, RespPath, check_settled
from support.lab import demanding
from support.resp import wait_until
from support.servers import replication_of

KEYS = [b"key%d" % n for n in range(12)]
IMPATIENT = {"redis.ping_interval": "200ms", "redis.ping_timeout": "400ms"}
REPLICATION_S = 0.3  # more than the delay of the replicas


def test_the_master_is_found(lab):
    """... by a name, past a dead Sentinel; one that is not known is an error that says so."""
    sentinels = lab.redis_sentinels()
    sentinels.sentinels[0].process.kill()
    larder = lab.larder("redis", sentinels)
    with larder.connect() as client, sentinels.connect() as direct:
        assert client.value("SET", "k", "v") == b"OK" and direct.value("GET", "k") == b"v"
        check_databases(client, direct)
        tiers = wait_for_field(larder, "sentinel_connected", "2 of 3")
    assert tiers["backend_address"] == sentinels.url + "/0"
    assert (tiers["sentinel_master"], tiers["sentinel_switches"]) == (f"127.0.0.1:{sentinels.nodes[0].port}", "0")
    assert (tiers["backend_state"], tiers["l1_tracked"]) == ("connected", "yes")

    names = [f"Sentinel 127.0.0.1:{sentinel.port}" for sentinel in sentinels.sentinels]
    unknown = lab.larder("redis", Target(sentinels.url + "x"))
    check_error(unknown, "mymasterx", f"{names[0]}: Connection refused; {names[1]}: it knows no master of that name; "
                                      f"{names[2]}: it knows no master of that name")
    other_db = lab.larder("redis", Target(sentinels.url + "/3"))
    with other_db.connect() as client, sentinels.connect() as direct:
        assert client.value("SET", "third", "v") == b"OK" and direct.value("SELECT", 3) == b"OK"
        assert direct.value("GET", "third") == b"v"

    for sentinel in sentinels.sentinels[1:]:
        sentinel.process.kill()
    with larder.connect() as client:  # it goes on with what it knows
        wait_for_field(larder, "sentinel_connected", "0 of 3")
        assert client.value("INCR", "n") == 1
    refused = ": Connection refused; ".join(names) + ": Connection refused"
    check_error(lab.larder("redis", sentinels), "mymaster", refused)


def check_databases(client, direct):
    """Requests in several databases keep their order, though each database has a connection."""
    for n in range(50):
        replies = client.pipeline([("SELECT", 0), ("SET", "moving", n), ("SELECT", 1), ("DEL", "moving"), ("SELECT", 0),
                                   ("MOVE", "moving", 1), ("SELECT", 1), ("GET", "moving")])
        assert replies[5] == b":1\r\n" and replies[7] == b"$%d\r\n%d\r\n" % (len(str(n)), n), replies
    assert direct.value("SELECT", 1) == b"OK" and direct.value("GET", "moving") == b"49"


class Target:
    """A server that is known by its address only."""

    def __init__(self, url):
        self.url = url


def wait_for_field(larder, name, value):
    """Fields of INFO, once `name` has that value."""
    return wait_until(lambda: (fields := larder.info("tiers")).get(name) == value and fields, 10, f"{name}:{value}")


def check_error(larder, name, reasons):
    error = error_of(larder).decode()
    assert error == f"-ERR no Sentinel says where the master {name} is: {reasons}\r\n", error


def error_of(larder):
    with larder.connect() as client:
        return client.call("GET", "k")


def test_sentinels_with_a_password(lab):
    """... which is not that of the master."""
    sentinels = lab.redis_sentinels("--user", "app", "on", ">master", "~*", "+@all", password="sesame")
    url = sentinels.url.replace("://", "://app:master@")
    larder = lab.larder("redis", Target(url), config={"redis.sentinel_password": "sesame"})
    with larder.connect() as client:
        assert client.value("SET", "k", "v") == b"OK" and client.value("GET", "k") == b"v"
    with sentinels.connect() as direct:
        # A connection that is being made has a user first.
        wait_until(lambda: (listing := direct.value("CLIENT", "LIST")).count(b"name=larder") == listing.count(b"user=app") > 0,
                   10, "all of Larder's connections to be named")
    variable = lab.larder("redis", Target(url), env={"REDIS_SENTINEL_PASSWORD": "sesame"})
    with variable.connect() as client:
        assert client.value("GET", "k") == b"v"
    assert b"it requires a password, and redis.sentinel_password has none" in error_of(lab.larder("redis", Target(url)))
    wrong = lab.larder("redis", Target(url), config={"redis.sentinel_password": "wrong"})
    assert b"it does not accept the user or password: WRONGPASS" in error_of(wrong)


def test_sentinels_over_tls(lab):
    """Sentinels, master and replicas are spoken to with TLS, and a failover leads to another node with TLS."""
    certificates = lab.certificates()
    sentinels = lab.redis_sentinels(certificates=certificates)
    larder = lab.larder("redis", sentinels, config={**IMPATIENT, **certificates.upstream()})
    old = sentinels.master()
    with larder.connect() as client:
        assert client.value("SET", "k", "v") == b"OK" and client.value("GET", "k") == b"v"
        tiers = wait_for_field(larder, "sentinel_connected", "3 of 3")
        assert (tiers["backend_address"], tiers["l1_tracked"]) == (sentinels.url + "/0", "yes")
        assert sentinels.url.startswith("rediss-sentinel://")
        assert client.value("WAIT", 2, 10_000) == 2
        old.crash()
        # It waits for the new master; Sentinels whose first votes are split take longer than that.
        wait_until(lambda: client.call("SET", "after", "w") == b"+OK\r\n", 30, "a write")
        assert sentinels.master() is not old and client.value("GET", "k") == b"v"
    stranger = lab.larder("redis", sentinels, config=lab.certificates().upstream())
    wait_until(lambda: b"certificate verify failed" in error_of(stranger), 10, "the Sentinels to be refused")


@demanding
def test_a_master_is_killed_behind_sentinels(lab):
    """P1 to P3 and P5 for all that the replicas had; the first write soon after the promotion."""
    sentinels = lab.redis_sentinels()
    check_failover(lab, sentinels, lambda master: master.crash())


@demanding
def test_failover_by_hand(lab):
    """The old master still takes writes for seconds: nobody must go on there."""
    sentinels = lab.redis_sentinels()
    old = check_failover(lab, sentinels, lambda _: sentinels.fail_over())
    wait_until(lambda: b"role:slave" in replication_of(old), 30, "the old master to be a replica")


def test_a_watched_key_gets_another_master(lab):
    """EXEC answers as if it had changed, also in the moment before the connection that has watched it is gone."""
    sentinels = lab.redis_sentinels()
    larder = lab.larder("redis", sentinels, config=IMPATIENT, workers=1)
    old, replies, has_switched = sentinels.master(), set(), False
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(larder.connect()) for _ in range(9)]
        for client in clients:
            assert client.call("WATCH", "k") == b"+OK\r\n"
        sentinels.fail_over()
        while not has_switched:
            has_switched = larder.info("tiers")["sentinel_master"] != f"127.0.0.1:{old.port}"
            for client in clients[1:]:  # one after the other: nearly all of them watch at any time
                replies.add(client.pipeline([("MULTI",), ("GET", "k"), ("EXEC",), ("WATCH", "k")])[2])
        assert clients[0].pipeline([("MULTI",), ("SET", "k", 1), ("EXEC",)])[2] == b"*-1\r\n"
    refused = {reply for reply in replies if b" was lost: " in reply or b"cannot be reached" in reply}
    assert b"*-1\r\n" in replies and replies - refused <= {b"*1\r\n$-1\r\n", b"*-1\r\n"}, replies


@demanding
def test_a_master_is_frozen_behind_sentinels(lab):
    sentinels = lab.redis_sentinels()
    larder = lab.larder("redis", sentinels, config=IMPATIENT)
    with larder.connect() as client, sentinels.connect() as direct:
        direct.value("SET", "k", "old")
        assert client.value("GET", "k") == b"old"
        old = sentinels.master()
        old.process.freeze()
        waiting = [lab.closing(larder.connect()) for _ in range(8)]
        for number, reader in enumerate(waiting):
            reader.send("GETRANGE", f"none{number}", 0, -1)  # nobody has asked: it waits for the new master
        new = wait_until(lambda: next((node for node in sentinels.masters() if node is not old), None), 15, "a failover")
        promoted = time.monotonic()
        assert [reader.read() for reader in waiting] == 8 * [b"$0\r\n\r\n"]
        assert client.value("SET", "k", "new") == b"OK"
        lab.note(f"answered {(time.monotonic() - promoted) * 1000:.0f} ms after the promotion")
        old.process.thaw()
        check_old_master(lab, larder, old, new)


def says_master(node):
    """The Sentinels that tell it otherwise also cut off its clients."""
    while True:
        with contextlib.suppress(ConnectionError):
            return b"role:master" in replication_of(node)


def check_old_master(lab, larder, old, new):
    """It is back and thinks that it is the master, until the Sentinels tell it: nothing is read from it."""
    with larder.connect() as client, old.connect(timeout=30) as abandoned, new.connect() as direct:
        seen = set()
        deadline = time.monotonic() + 30
        while says_master(old):
            assert time.monotonic() < deadline, "the old master stays"
            for key in ("k", "fresh"):
                if refuses(abandoned, "SET", key, "wrong"):
                    break
                direct.value("SET", key, "right")
                wait_until(lambda: client.value("GET", key) == b"right", BOUND_S, "the new value")
                seen.add(client.value("GET", key))
            time.sleep(0.02)
        assert seen <= {b"right"}, seen
        wait_until(lambda: client.value("GET", "k") == direct.value("GET", "k"), BOUND_S, "the settled value")
    assert larder.info("tiers")["sentinel_master"] == f"127.0.0.1:{new.port}"
    lab.note(f"the old master was asked nothing; switches {larder.info('tiers')['sentinel_switches']}")


def refuses(client, *command):
    """Whether its server has become a replica: a Sentinel that makes it one closes all connections."""
    try:
        return client.call(*command) != b"+OK\r\n"
    except ConnectionError:
        return True


def check_failover(lab, sentinels, fail):
    """Makes the master fail under load; returns the old one."""
    larders = {name: lab.larder("redis", sentinels, config=IMPATIENT) for name in "AB"}
    load = start_load(lab, larders)
    time.sleep(1.0)
    old = sentinels.master()
    writer = Writer(larders["A"], b"probe")
    failed = time.monotonic()
    fail(old)
    new = wait_until(lambda: next((node for node in sentinels.masters() if node is not old), None), 20, "the promotion")
    promoted = time.monotonic()
    wait_until(lambda: writer.last_success > promoted, 5, "a write")
    took_ms = (writer.first_success_after(promoted) - promoted) * 1000
    wait_until(lambda: larders["B"].info("tiers")["sentinel_master"] == f"127.0.0.1:{new.port}", 5, "B to follow")
    switched = time.monotonic()
    load.history.doubt(failed - REPLICATION_S, switched)
    time.sleep(1.5)
    writer.stop()
    load.stop()
    lab.note(f"errors {dict(load.errors.most_common(4))}; slowest answer {load.slowest_s * 1000:.0f} ms; "
             f"down for {(promoted - failed) * 1000:.0f} ms, first write {took_ms:.0f} ms after the promotion")
    verdict = load.history.judge()
    lab.note(str(verdict))
    assert verdict.checked > 1000 and not verdict.violations, verdict.violations[:5]
    assert not load.broken, load.broken[:3]
    assert took_ms < BUSY_MS
    assert {larder.info("tiers")["sentinel_switches"] for larder in larders.values()} == {"1"}
    check_settled(load.history, RespPath(new, "direct"), [RespPath(larder, name) for name, larder in larders.items()])
    return old


def start_load(lab, larders):
    load = Load(KEYS, lab.arguments.seed)
    for number in range(3):
        load.add_writer(KEYS[number::3], [RespPath(larder, name, 2 + number % 2) for name, larder in larders.items()])
    for name, larder in larders.items():
        for protocol in (2, 3):
            load.add_reader(RespPath(larder, name, protocol))
    return load


@demanding
def test_an_old_master_comes_back_as_a_replica(lab):
    """Nothing is read from it, and after a failback it is used again."""
    sentinels = lab.redis_sentinels()
    larder = lab.larder("redis", sentinels, config=IMPATIENT)
    old = sentinels.master()
    with larder.connect() as client:
        client.value("SET", "k", "old")
        assert client.value("GET", "k") == b"old"
        old.crash()
        wait_until(lambda: client.call("SET", "k", "new") == b"+OK\r\n", 30, "a write")
        new = sentinels.master()
        assert new is not old
        old.start()
        check_old_master(lab, larder, old, new)
        wait_until(lambda: b"master_link_status:up" in replication_of(old), 15, "the old master to be a replica")
        with old.connect() as direct:
            assert "name=larder" not in direct.value("CLIENT", "LIST", "TYPE", "normal").decode()
        assert client.value("INCR", "n") == 1 and larder.info("tiers")["backend_state"] == "connected"
