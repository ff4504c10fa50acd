"""CLIENT TRACKING BCAST in front of Redis: every change is told, whoever makes it and wherever, or null in its place."""

import contextlib
import time

from cluster_test import migrate
from coherence import BOUND_S
from stale_reads import hands_over, is_whole
from support.lab import demanding
from support.resp import decode, encode, wait_until
from support.servers import key_slot
from tracking_test import EVERYTHING, OK, Keeper, Tracker, Written, check_keepers, hears_any, writers_of

def listeners(node):
    """How many connections track by BCAST there, straight at Redis."""
    with node.connect() as client:
        return sum(b" flags=tB " in line for line in client.value("CLIENT", "LIST").splitlines())


def flows(larder):
    return larder.info()["tracking_broadcasts"] == "heard"


def check_every_way(lab, behind, options):
    larder, other = (lab.larder("redis", behind, options=options) for _ in range(2))
    with Tracker(larder, "BCAST") as tracker, Tracker(larder, "BCAST", "PREFIX", "x", "PREFIX", "y:") as picky, \
            larder.connect() as here, other.connect() as elsewhere, behind.connect() as direct:
        for n, writer in enumerate((here, elsewhere, direct) * 3):
            keys = [b"%b%d" % (prefix, n) for prefix in (b"a", b"x", b"y:", b"y")]
            for key in keys:
                assert writer.call("SET", key, n) == OK
            assert EVERYTHING not in tracker.hears(*keys)
            assert set(picky.hears(keys[1], keys[2])) == {keys[1], keys[2]}
            # What is read behind that is new, whatever L1 had, and kept: nothing is told behind it.
            assert [tracker.value("GET", key) for key in keys] == [b"%d" % n] * 4
            tracker.heard()
            assert direct.call("DEL", keys[0]) == b":1\r\n"
            assert EVERYTHING not in tracker.hears(keys[0])
        assert here.call("SET", "short", "1", "PX", "50") == OK
        tracker.hears(b"short"), tracker.hears(b"short")  # and that it has expired
        elsewhere.value("FLUSHALL")
        assert EVERYTHING in hears_any(tracker, EVERYTHING) and EVERYTHING in hears_any(picky, EVERYTHING)
    larder.stop(), other.stop()


def test_one_node(lab):
    for options in ((), ("--l1-memory", "0")):
        check_every_way(lab, lab.redis(), options)


def test_sentinels(lab):
    check_every_way(lab, lab.redis_sentinels(), ())


def test_cluster(lab):
    cluster = lab.redis_cluster(replicas=False)
    for options in ((), ("--l1-memory", "0")):
        check_every_way(lab, cluster, options)


def test_reads_are_kept(lab):
    """Nothing is told right behind a reply, on whichever connection it was read."""
    redis = lab.redis()
    for options in ((), ("--l1-memory", "0")):
        larder = lab.larder("redis", redis, options=options)
        with Tracker(larder, "BCAST") as tracker:
            for command in ("GET a", "MGET a b", "GEOPOS g m", "HGETALL h", "WATCH w", "GET a", "MULTI", "GET a", "EXEC",
                            "EVAL_RO return(redis.call('GET',KEYS[1])) 1 a"):
                tracker.call(*command.split())
            assert not tracker.heard()


def test_ok_means_that_nothing_is_missed(lab):
    """Also where the client is the first one, or comes while the last one goes."""
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster)
    with cluster.connect() as direct:
        for n in range(60):
            with Tracker(larder, "BCAST") as tracker:
                keys = [b"%d-%d" % (n, m) for m in range(3)]
                for key in keys:
                    direct.call("SET", key, n)
                tracker.hears(*keys)
                if n % 3 == 0:
                    tracker.call("CLIENT", "TRACKING", "OFF")
                    time.sleep(n / 500)  # the connections may be closed, or on their way to it


def test_connections_are_there_while_they_are_needed(lab):
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster)
    assert larder.info()["tracking_broadcasts"] == "off" and not any(map(listeners, cluster.nodes))
    first, second = Tracker(larder, "BCAST"), Tracker(larder, "BCAST", "PREFIX", "x")
    assert flows(larder) and [listeners(node) for node in cluster.nodes] == [1, 1, 1]
    first.client.close()
    wait_until(lambda: larder.info()["tracking_clients"] == "1", 10, "the first client's end")
    time.sleep(0.2)  # for a mistake to show itself
    assert [listeners(node) for node in cluster.nodes] == [1, 1, 1]
    second.client.close()
    wait_until(lambda: not any(map(listeners, cluster.nodes)), 10, "the connections to be closed")
    assert larder.info()["tracking_broadcasts"] == "off"


def test_a_lost_connection_is_told(lab):
    redis = lab.redis()
    gate = lab.gate(redis)
    for options in ((), ("--l1-memory", "0")):
        larder = lab.larder("redis", gate, options=options,
                            config={"redis.ping_interval": "100ms", "redis.ping_timeout": "200ms"})
        with Tracker(larder, "BCAST") as tracker, redis.connect() as direct:
            for n in range(3):
                gate.cut()
                direct.value("SET", "a", n)
                hears_any(tracker, EVERYTHING)
                wait_until(lambda: flows(larder), 10, "Redis to be heard again")
                wait_until(lambda: tracker.value("GET", "a") == b"%d" % n, 10, "the connection to be back")
                direct.value("SET", "a", "x")
                hears_any(tracker, b"a")
            # Silent for too long: nobody knows.
            wait_until(lambda: not tracker.heard(), 10, "all to be told")
            gate.freeze()
            try:
                hears_any(tracker, EVERYTHING)
            finally:
                gate.thaw()


def kill(direct, which):
    """Ends those connections to a node, and says how many there were."""
    listed = (line.split() for line in direct.value("CLIENT", "LIST").splitlines() if which(line))
    return sum(direct.value("CLIENT", "KILL", "ID", words[0].removeprefix(b"id=")) for words in listed)


@contextlib.contextmanager
def unheard(larder, tracker, direct):
    """Larder's connection for BCAST to that node is lost, and the next one hears nothing; the others stay as they are.

    They must be there already: one that is made meanwhile would hear nothing either, and be cut at the end.
    """
    assert direct.call("ACL", "SETUSER", "default", "-client|tracking") == OK
    newest = max(int(line.split()[0].removeprefix(b"id=")) for line in direct.value("CLIENT", "LIST").splitlines())
    assert kill(direct, lambda line: b" flags=tB " in line) == 1
    hears_any(tracker, EVERYTHING)
    wait_until(lambda: not flows(larder), 10, "Larder to know that it hears nothing")
    yield
    assert direct.call("ACL", "SETUSER", "default", "+client|tracking") == OK
    wait_until(lambda: kill(direct, lambda line: int(line.split()[0].removeprefix(b"id=")) > newest), 10,
               "the connection that hears nothing")
    wait_until(lambda: flows(larder), 10, "the node to be heard again")


def test_what_was_missed_is_told_when_redis_is_heard_again(lab):
    """To whoever was told before, and has read on other connections since: they are not tracked."""
    redis = lab.redis()
    for options in ((), ("--l1-memory", "0")):
        larder = lab.larder("redis", redis, options=options, workers=1)
        with Tracker(larder, "BCAST") as tracker, redis.connect() as direct, larder.connect() as reader:
            assert reader.value("GET", "b") is None  # its connection is there
            with unheard(larder, tracker, direct):
                reader.call("GET", "a")
                direct.value("SET", "a", "1")
                tracker.heard()
            tracker.hears(EVERYTHING)
        larder.stop()


def test_a_reply_from_before_redis_was_heard_again(lab):
    """It comes later, with what has changed in between: the client is told behind it."""
    cluster = lab.redis_cluster("--cluster-require-full-coverage", "no", replicas=False)
    key, slow_key = b"a", next(b"k%d" % n for n in range(100) if cluster.owner(f"k{n}") is not cluster.owner("a"))
    owner, slow = cluster.owner(key), cluster.owner(slow_key)
    patient = {"redis.ping_timeout": "60s", "redis.command_timeout": "60s"}
    for options in ((), ("--l1-memory", "0")):
        larder = lab.larder("redis", cluster, options=options, config=patient, workers=1)
        with Tracker(larder, "BCAST") as tracker, owner.connect() as direct:
            direct.value("SET", key, "old")
            tracker.hears(key)
            assert tracker.value("GETRANGE", key, 0, -1) == b"old"  # its connections are there
            try:
                with unheard(larder, tracker, direct):
                    direct.value("CONFIG", "RESETSTAT")
                    slow.process.freeze()
                    tracker.client.send("MGET", key, slow_key)
                    wait_until(lambda: b"cmdstat_mget:" in direct.value("INFO", "commandstats"), 10, "the key to be read")
                    direct.value("SET", key, "new")
            finally:
                slow.process.thaw()
            assert decode(tracker.reply()) == [b"old", None]
            tracker.take()
            assert set(tracker.hears(key)) <= {key, EVERYTHING}
        larder.stop()


def test_swapped_databases_are_told(lab):
    redis = lab.redis()
    for options in ((), ("--l1-memory", "0")):
        with Tracker(lab.larder("redis", redis, options=options), "BCAST") as tracker, redis.connect() as direct:
            tracker.call("GET", "a")
            direct.value("SWAPDB", 0, 1)
            hears_any(tracker, EVERYTHING)


def test_while_a_node_is_lost_nothing_is_kept(lab):
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster)
    lost = cluster.nodes[2]
    key = next(f"k{n}" for n in range(100) if cluster.owner(f"k{n}") is not lost)
    with Tracker(larder, "BCAST") as tracker:
        tracker.call("GET", key)
        assert not tracker.heard()
        lost.crash()
        hears_any(tracker, EVERYTHING)
        tracker.call("GET", key)
        assert set(hears_any(tracker, key.encode())) <= {key.encode(), EVERYTHING}
        with larder.connect(timeout=20) as late:
            said = late.call("CLIENT", "TRACKING", "ON", "BCAST")
            assert said.startswith(b"-ERR BCAST is not possible now, as Larder does not hear of all changes: "), said
            assert late.call("CLIENT", "TRACKINGINFO").count(b"off") == 1
        tracker.take()
        lost.start()
        hears_any(tracker, EVERYTHING)
        wait_until(lambda: flows(larder), 10, "the node to be heard again")


def test_a_failover_is_told(lab):
    """The master is killed, and its replica takes over; then the roles change by hand."""
    cluster = lab.redis_cluster()
    larder = lab.larder("redis", cluster)
    old = cluster.nodes[0]
    new = cluster.replica_of(old)
    key = next(b"k%d" % n for n in range(100) if cluster.owner(f"k{n}") is old)
    with Tracker(larder, "BCAST") as tracker, new.connect() as direct:
        old.crash()
        hears_any(tracker, EVERYTHING)
        wait_until(lambda: direct.call("SET", key, "1") == OK, 20, "the replica to be promoted")
        wait_until(lambda: tracker.value("GET", key) == b"1", 10, "Larder to go there")
        wait_until(lambda: flows(larder), 10, "the new master to be heard")
        wait_until(lambda: not tracker.heard(), 10, "all to be told")
        direct.call("SET", key, "2")
        assert hears_any(tracker, key) == [key]
        old.start()
        wait_until(lambda: all(map(is_whole, cluster.nodes)), 20, "the cluster to be whole")
        wait_until(lambda: hands_over(old), 30, "the handover")
        hears_any(tracker, EVERYTHING)
        wait_until(lambda: cluster.agrees_on(key_slot(key), old), 20, "the roles to be changed")
        wait_until(lambda: tracker.value("GET", key) == b"2" and flows(larder), 10, "the old master to be heard again")
        wait_until(lambda: not tracker.heard(), 10, "all to be told")
        with old.connect() as client:
            client.call("SET", key, "3")
        assert hears_any(tracker, key) == [key]
        wait_until(lambda: not listeners(new), 10, "nobody to listen to the replica")


def test_a_failover_behind_sentinels_is_told(lab):
    sentinels = lab.redis_sentinels()
    larder = lab.larder("redis", sentinels)
    with Tracker(larder, "BCAST") as tracker:
        sentinels.fail_over()
        hears_any(tracker, EVERYTHING)
        wait_until(lambda: flows(larder), 10, "the new master to be heard")
        wait_until(lambda: not tracker.heard(), 10, "all to be told")
        with sentinels.connect() as direct:
            assert direct.call("SET", "a", "1") == OK
        hears_any(tracker, b"a")


def test_a_slot_that_moves(lab):
    """While it is on its way, and when it has arrived; also at a node that had no slot before."""
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster)
    source, target = cluster.nodes[0], cluster.nodes[1]
    slot = next(slot for slot in map(key_slot, map(str, range(100))) if cluster.owner(slot) is source)
    key = next(b"%d" % n for n in range(100) if key_slot(str(n)) == slot)
    with Tracker(larder, "BCAST") as tracker, cluster.connect() as direct:
        for giving, taking in ((source, target), (target, source)) * 2:
            direct.call("SET", key, "1")
            hears_any(tracker, key)
            assert tracker.value("GET", key) == b"1"

            def half_way():
                direct.call("SET", key, "2")

            migrate(cluster, slot, giving, taking, then=half_way)
            hears_any(tracker, key)
            wait_until(lambda: tracker.value("GET", key) == b"2", 5, "the slot to be found")
            tracker.heard()
            with taking.connect() as owner:
                assert owner.call("SET", key, "3") == OK
            hears_any(tracker, key)
            assert tracker.value("GET", key) == b"3"


def test_a_node_that_joins(lab):
    """It has no slot at first, so nobody listens to it; what is read there under ASK is not kept."""
    cluster = lab.redis_cluster(masters=1, replicas=False)
    larder = lab.larder("redis", cluster)
    source, target = cluster.nodes[0], cluster.add_node()
    key, slot = b"a", key_slot("a")
    with source.connect() as one, target.connect() as two:
        ids = [client.value("CLUSTER", "MYID") for client in (one, two)]
        with Tracker(larder, "BCAST") as tracker:
            assert listeners(source) == 1 and listeners(target) == 0
            two.value("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
            one.value("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
            for n in range(3):
                assert two.pipeline([("ASKING",), ("SET", key, n)])[1] == OK
                assert tracker.value("GET", key) == b"%d" % n
                assert set(hears_any(tracker, key)) == {key}
            for client in (two, one):
                client.value("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
            assert tracker.value("GET", key) == b"2"  # by MOVED
            wait_until(lambda: flows(larder) and listeners(target) == 1, 10, "the new master to be heard")
            wait_until(lambda: not tracker.heard(), 10, "all to be told")
            assert two.call("SET", key, "3") == OK
            assert hears_any(tracker, key) == [key]


def test_a_redis_that_cannot_tell(lab):
    without_resp3 = lab.redis("--rename-command", "HELLO", "")
    with lab.larder("redis", without_resp3).connect() as client:
        said = client.call("CLIENT", "TRACKING", "ON", "BCAST")
        assert b"does not speak RESP3" in said and said.startswith(b"-ERR BCAST is not possible now"), said
        assert b"off" in client.call("CLIENT", "TRACKINGINFO")
        wait_until(lambda: not listeners(without_resp3), 5, "the connection to be closed")


def give_users(behind):
    """ann may do anything with a*, bob too, but not track."""
    for server in getattr(behind, "nodes", [behind]):
        with server.connect() as direct:
            assert direct.call("ACL", "SETUSER", "ann", "on", ">ann1", "~a*", "&*", "+@all") == OK
            assert direct.call("ACL", "SETUSER", "bob", "on", ">bob1", "~a*", "&*", "+@all", "-client|tracking") == OK


def as_user(lab, server, user, protocol=3):
    client = lab.closing(server.connect(protocol, timeout=10))
    assert client.call("AUTH", user, user + "1") == OK
    return client


def test_another_user_hears_of_all_keys(lab):
    """Redis tells it the names of keys that it may not read, too."""
    for behind in (lab.redis(), lab.redis_cluster(replicas=False)):
        give_users(behind)
        for options in ((), ("--l1-memory", "0")):
            servers = [lab.larder("redis", behind, options=options)]
            if not hasattr(behind, "nodes"):
                servers.append(behind)
            for server in servers:
                with Tracker(server, tracks=False) as tracker, server.connect() as writer:
                    assert tracker.call("AUTH", "ann", "ann1") == OK
                    assert tracker.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "a", "PREFIX", "b") == OK
                    writer.call("SET", "c", "1")
                    for n in range(5):
                        assert writer.call("SET", f"a{n}", n) == writer.call("SET", f"b{n}", n) == OK
                        assert set(tracker.hears(b"a%d" % n, b"b%d" % n)) == {b"a%d" % n, b"b%d" % n}
                        assert tracker.value("GET", f"a{n}") == b"%d" % n
                        assert tracker.call("GET", f"b{n}").startswith(b"-NOPERM ")
                    assert not tracker.heard()  # so it may keep what it has read


def test_another_user_hears_in_resp2(lab):
    redis = lab.redis()
    give_users(redis)
    larder = lab.larder("redis", redis)
    client, listener = (as_user(lab, larder, "ann", 2) for _ in range(2))
    target = listener.value("CLIENT", "ID")
    listener.call("SUBSCRIBE", "__redis__:invalidate")
    assert client.call("CLIENT", "TRACKING", "ON", "BCAST", "REDIRECT", target) == OK
    with larder.connect() as writer:
        writer.call("SET", "b", "1")
    assert decode(listener.read()) == [b"message", b"__redis__:invalidate", [b"b"]]


NO_TRACKING = b"-NOPERM this user has no permissions to run the 'client|tracking' command\r\n"


def test_who_may_not_track(lab):
    """Redis' own words, in their places in a pipeline."""
    redis = lab.redis()
    give_users(redis)
    larder = lab.larder("redis", redis)
    pipeline = [("SET", "a", "1"), ("CLIENT", "TRACKING", "ON"), ("GET", "a"), ("CLIENT", "TRACKING", "ON", "BCAST"),
                ("CLIENT", "TRACKING", "ON", "REDIRECT", "99999"), ("CLIENT", "TRACKING", "OFF"), ("CLIENT", "TRACKING"),
                ("CLIENT", "TRACKING", "nix"), ("CLIENT", "REPLY", "SKIP"), ("CLIENT", "TRACKING", "ON"), ("INCR", "a"),
                ("CLIENT", "TRACKINGINFO"), ("MULTI",), ("SET", "a", "9"), ("DISCARD",), ("GET", "a")]
    for protocol in (2, 3):
        for user in ("bob", "ann"):
            said = []
            for server in (redis, larder):
                client = as_user(lab, server, user, protocol)
                client.send_bytes(b"".join(encode(command) for command in pipeline))
                replies = iter(client.read, None)
                said.append([next(reply for reply in replies if reply[:1] != b">") for _ in pipeline[2:]])
            assert said[0] == said[1], (user, next(pair for pair in zip(*said) if pair[0] != pair[1]))
            assert said[0].count(NO_TRACKING) == (5 if user == "bob" else 0)


def test_who_may_not_track_in_a_transaction(lab):
    """Nothing of it is run, as at Redis, which says so with EXEC only (docs/transactions.md)."""
    for behind in (lab.redis(), lab.redis_cluster(replicas=False)):
        give_users(behind)
        larder = lab.larder("redis", behind)
        for watches in (False, True):
            for words in ("ON", "ON BCAST", "OFF", "nix"):
                bob = as_user(lab, larder, "bob")
                if watches:
                    assert bob.call("WATCH", "a") == OK
                replies = bob.pipeline([("MULTI",), ("SET", "a", "1"), ("CLIENT", "TRACKING", *words.split()), ("EXEC",)])
                assert replies[3] == b"-EXECABORT Transaction discarded because of previous errors.\r\n", replies
                assert bob.call("GET", "a") == b"_\r\n"
                assert decode(bob.call("CLIENT", "TRACKINGINFO"))[b"flags"] == [b"off"]


def test_who_may_track_in_a_transaction(lab):
    for behind in (lab.redis(), lab.redis_cluster(replicas=False)):
        give_users(behind)
        larder = lab.larder("redis", behind)
        for watches in (False, True):
            with Tracker(larder, tracks=False) as tracker, larder.connect() as writer:
                assert tracker.call("AUTH", "ann", "ann1") == OK
                if watches:
                    assert tracker.call("WATCH", "a") == OK
                for words in ("MULTI", "SET a 1", "CLIENT TRACKING nix", "CLIENT TRACKING ON BCAST", "ECHO x", "INCR a"):
                    tracker.call(*words.split())
                assert tracker.call("EXEC") == b"*5\r\n+OK\r\n-ERR syntax error\r\n+OK\r\n$1\r\nx\r\n:2\r\n"
                tracker.take()
                writer.call("SET", "b", "1")
                tracker.hears(b"b")
                assert tracker.call("DEL", "a") == b":1\r\n"


def test_a_right_that_is_taken_away(lab):
    """Who tracks goes on, as at Redis, but cannot say anything about it any more."""
    redis = lab.redis()
    give_users(redis)
    for server in (redis, lab.larder("redis", redis)):
        with Tracker(server, tracks=False) as tracker, redis.connect() as direct:
            assert tracker.call("AUTH", "ann", "ann1") == tracker.call("CLIENT", "TRACKING", "ON", "BCAST") == OK
            assert direct.call("ACL", "SETUSER", "ann", "-client|tracking") == direct.call("SET", "b", "1") == OK
            tracker.hears(b"b")
            assert tracker.call("CLIENT", "TRACKING", "OFF") == NO_TRACKING
            assert direct.call("ACL", "SETUSER", "ann", "+client|tracking") == direct.call("SET", "b", "2") == OK
            tracker.hears(b"b")
            assert tracker.call("CLIENT", "TRACKING", "OFF") == OK
            direct.call("SET", "b", "3")
            assert not tracker.heard()


def test_a_right_that_the_client_takes_from_itself(lab):
    """In one pipeline: what stands before CLIENT TRACKING has been done."""
    redis = lab.redis()
    give_users(redis)
    for server in (redis, lab.larder("redis", redis)):
        ann = as_user(lab, server, "ann")
        take, give = ("ACL", "SETUSER", "ann", "-client|tracking"), ("ACL", "SETUSER", "ann", "+client|tracking")
        on, off = ("CLIENT", "TRACKING", "ON"), ("CLIENT", "TRACKING", "OFF")
        for _ in range(20):
            assert ann.pipeline([take, on, give, on, off, take, off, give]) == [
                OK, NO_TRACKING, OK, OK, OK, OK, NO_TRACKING, OK]


def test_a_user_that_is_deleted_hears_nothing_more(lab):
    """Redis closes its connections, and so does Larder, also those on which nothing is asked for."""
    for behind in (lab.redis(), lab.redis_cluster(replicas=False)):
        give_users(behind)
        larder = lab.larder("redis", behind)
        with Tracker(larder, "BCAST") as other, larder.connect() as writer:
            ann = as_user(lab, larder, "ann")
            assert ann.call("CLIENT", "TRACKING", "ON", "BCAST") == OK
            for node in getattr(behind, "nodes", [behind]):
                with node.connect() as direct:
                    assert direct.call("ACL", "DELUSER", "ann") == b":1\r\n"

            def is_gone():
                writer.call("SET", "b", "1")
                return b" user=ann " not in writer.value("CLIENT", "LIST")

            wait_until(is_gone, 10, "the user's client to be gone")
            ann.read_to_end()
            other.hears(b"b")


def test_clients_that_leave_while_redis_is_asked(lab):
    """Redis' answer comes when they are gone, or too late for those that wait."""
    redis = lab.redis()
    give_users(redis)
    larder = lab.larder("redis", redis, config={"redis.command_timeout": "300ms"}, workers=1)
    with larder.connect() as own:
        for options in ((), ("BCAST",), ("BCAST", "PREFIX", "a", "REDIRECT", "99999")):
            leaving, waiting = (as_user(lab, larder, "ann") for _ in range(2))
            assert leaving.call("GET", "a") == waiting.call("GET", "a") == b"_\r\n"  # its connection is there
            redis.process.freeze()
            try:
                leaving.send("CLIENT", "TRACKING", "ON", *options)
                waiting.send("CLIENT", "TRACKING", "ON", *options)
                wait_until(lambda: own.value("CLIENT", "LIST").count(b" cmd=client|tracking ") == 2, 10, "Redis to be asked")
                leaving.close()
                assert waiting.read().startswith(b"-ERR Redis at ")
            finally:
                redis.process.thaw()
            wait_until(lambda: waiting.call("GET", "a") == b"_\r\n", 10, "Redis to answer again")
            assert decode(waiting.call("CLIENT", "TRACKINGINFO"))[b"flags"] == [b"off"]
            waiting.close()


def test_another_user_goes_on_when_redis_is_back(lab):
    redis = lab.redis()
    give_users(redis)
    gate = lab.gate(redis)
    larder = lab.larder("redis", gate)
    with Tracker(larder, tracks=False) as tracker, redis.connect() as direct:
        assert tracker.call("AUTH", "ann", "ann1") == tracker.call("CLIENT", "TRACKING", "ON", "BCAST") == OK
        for n in range(3):
            gate.cut()
            hears_any(tracker, EVERYTHING)
            wait_until(lambda: flows(larder), 10, "Redis to be heard again")
            wait_until(lambda: direct.value("CLIENT", "LIST").count(b" user=ann "), 10, "the user's connection to be back")
            direct.call("SET", "b", n)
            hears_any(tracker, b"b")


def test_tags_are_not_told(lab):
    """Their bookkeeping is nobody's key."""
    for behind in (lab.redis(), lab.redis_cluster(replicas=False)):
        larder = lab.larder("redis", behind)
        with Tracker(larder, "BCAST") as tracker, larder.connect() as writer:
            for n in range(5):
                assert writer.call("SET", f"k{n}", "1", "TAGS", "1", "tag") == OK
            assert writer.value("TAGINVALIDATE", "tag") == 5
            assert writer.call("SET", "last", "1") == OK
            told = []
            wait_until(lambda: told.extend(tracker.heard()) or b"last" in told, 10, "the last key")
            assert set(told) == {b"k%d" % n for n in range(5)} | {b"last"}, told


def test_resp2_is_told_by_another_connection(lab):
    larder = lab.larder("redis")
    with larder.connect() as client, larder.connect() as listener, larder.connect() as writer:
        target = listener.value("CLIENT", "ID")
        listener.call("SUBSCRIBE", "__redis__:invalidate")
        assert client.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "a", "REDIRECT", target) == OK
        writer.call("SET", "b", "1"), writer.call("SET", "a", "1")
        assert decode(listener.read()) == [b"message", b"__redis__:invalidate", [b"a"]]


def test_in_a_transaction(lab):
    with lab.larder("redis").connect(3) as client:
        for command, reply in (("MULTI", OK), ("CLIENT TRACKING ON BCAST", b"+QUEUED\r\n"), ("SET a 1", b"+QUEUED\r\n")):
            assert client.call(*command.split()) == reply
        client.send("EXEC")
        said = [client.read()]
        while said[-1].startswith(b">"):
            said.append(client.read())
        assert said[-1] == b"*2\r\n+OK\r\n+OK\r\n", said


@demanding
def test_nothing_stale_is_kept_under_load(lab):
    redis = lab.redis()
    larders = [lab.larder("redis", redis), lab.larder("redis", redis, options=("--l1-memory", "0"))]
    check_under_load(lab, larders, [*larders, redis], lambda: time.sleep(5))


@demanding
def test_nothing_stale_is_kept_when_connections_are_cut(lab):
    redis = lab.redis()
    larder = lab.larder("redis", gate := lab.gate(redis))

    def cut():
        for _ in range(12):
            wait_until(lambda: flows(larder), 10, "Redis to be heard again")
            time.sleep(0.3)
            gate.cut()

    check_under_load(lab, [larder], [redis], cut)


@demanding
def test_nothing_stale_is_kept_while_slots_move(lab):
    cluster = lab.redis_cluster(replicas=False)
    slots = [key_slot("key%d" % n) for n in range(6)]

    def move():
        for n in range(12):
            slot = slots[n % 6]
            source = cluster.owner(slot)
            migrate(cluster, slot, source, cluster.nodes[(cluster.nodes.index(source) + 1) % 3])

    larders = [lab.larder("redis", cluster) for _ in range(2)]
    check_under_load(lab, larders, [*larders, cluster], move)


def check_under_load(lab, larders, writing, harm):
    keys = [b"key%d" % n for n in range(12)]
    written = Written(keys)
    keepers = [Keeper(larder, written, seed, "BCAST", "PREFIX", "key") for seed in range(2) for larder in larders]
    with writers_of(written, keys, writing):
        harm()
    wait_until(lambda: all(map(flows, larders)), BOUND_S + 10, "Redis to be heard again")
    check_keepers(lab, keepers, written)
