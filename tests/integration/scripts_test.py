"""Scripts called by their SHA1 on servers that do not know them (any more): Larder has seen them go by."""

import hashlib

from private_connections_test import someone_waits
from support.resp import wait_until

COUNT = "redis.call('INCR', KEYS[1]) return redis.call('GET', KEYS[1]) .. ARGV[1]"
SHA = hashlib.sha1(COUNT.encode()).hexdigest()
NOSCRIPT = b"-NOSCRIPT No matching script. Please use EVAL.\r\n"


def test_a_script_that_was_flushed_elsewhere_is_sent_again(lab):
    """... in the order of the pipeline, in both protocols, with L1 and without, whoever has loaded it."""
    redis = lab.redis()
    for options in ((), ("--l1-memory", "0")):
        larder = lab.larder("redis", redis, options=options)
        with larder.connect() as client, larder.connect(3) as other, redis.connect() as direct:
            assert client.call("EVALSHA", SHA, 1, "n", "!") == NOSCRIPT
            assert client.value("SCRIPT", "LOAD", COUNT) == SHA.encode()
            for sender in (client, other):
                direct.value("SCRIPT", "FLUSH")
                direct.value("DEL", "n")
                replies = sender.pipeline([("EVALSHA", SHA.upper(), 1, "n", "!"), ("GET", "n"), ("INCR", "n"),
                                           ("EVALSHA", SHA, 1, "n", "?"), ("EVALSHA", 40 * "0", 0), ("GET", "n")])
                assert replies == [b"$2\r\n1!\r\n", b"$1\r\n1\r\n", b":2\r\n", b"$2\r\n3?\r\n", NOSCRIPT, b"$1\r\n3\r\n"]
            direct.value("SCRIPT", "FLUSH")
            assert client.call("EVAL_RO", "return 7", 0) == b":7\r\n"
            direct.value("SCRIPT", "FLUSH")
            assert other.call("EVALSHA_RO", hashlib.sha1(b"return 7").hexdigest(), 0) == b":7\r\n"
            assert client.value("SCRIPT", "FLUSH") == b"OK"  # meant for all who know it
            assert other.call("EVALSHA", SHA, 1, "n", "!") == NOSCRIPT
            assert client.call("EVAL", "not a script", 0).startswith(b"-ERR Error compiling script")
            sha = hashlib.sha1(b"not a script").hexdigest()
            assert client.call("EVALSHA", sha, 0) == NOSCRIPT and client.call("PING") == b"+PONG\r\n"


def test_scripts_and_functions_survive_a_new_node(lab):
    """In a cluster one node has lost them; behind Sentinels the new master never had the script, but the function."""
    cluster = lab.redis_cluster(replicas=False)
    larder = lab.larder("redis", cluster)
    with larder.connect() as client:
        client.value("SCRIPT", "LOAD", COUNT)
        for node in cluster.nodes:
            with node.connect() as direct:
                direct.value("SCRIPT", "FLUSH")
        commands = [command for n in range(20) for command in (("EVALSHA", SHA, 1, f"k{n}", "!"), ("GET", f"k{n}"))]
        assert client.pipeline(commands) == 20 * [b"$2\r\n1!\r\n", b"$1\r\n1\r\n"]
    larder.stop()

    sentinels = lab.redis_sentinels()
    larder = lab.larder("redis", sentinels)
    library = "#!lua name=lib\nredis.register_function('f', function(keys) return redis.call('INCR', keys[1]) end)"
    with larder.connect() as client:
        client.value("SCRIPT", "LOAD", COUNT)
        assert client.value("FUNCTION", "LOAD", library) == b"lib" and client.value("FCALL", "f", 1, "n") == 1
        old = sentinels.master()
        wait_until(lambda: all(has_key(node, "n") for node in sentinels.nodes), 5, "the replicas")
        old.crash()
        wait_until(lambda: larder.info("tiers")["backend_state"] != "connected", 5, "Larder to notice")
        # Sentinels whose first votes are split take longer than a request waits.
        wait_until(lambda: sentinels.master() is not old, 30, "another master")
        assert client.pipeline([("FCALL", "f", 1, "n"), ("EVALSHA", SHA, 1, "n", "!"), ("GET", "n")]) == [
            b":2\r\n", b"$2\r\n3!\r\n", b"$1\r\n3\r\n"]


def has_key(node, key):
    with node.connect() as client:
        return client.value("EXISTS", key) == 1


# --- scripts that take long ---

ENDLESS = "while true do end"
LIBRARY = "#!lua name=lib\nredis.register_function('endless', function() while true do end end)"
BUSY, NOTBUSY = b"-BUSY ", b"-NOTBUSY "


def begins(client, behind, *script):
    """The client's script runs, and Redis says so to others."""
    client.send(*script)
    nodes = getattr(behind, "nodes", [behind])

    def is_busy():
        for node in nodes:
            with node.connect() as direct:
                if direct.call("PING").startswith(BUSY):
                    return True
        return False
    wait_until(is_busy, 20, "Redis to be busy")


def test_a_script_that_takes_long_is_killed(lab):
    """By anybody, however busy Redis is; others are told that it is, as by Redis itself, and then go on."""
    for behind in (lab.redis("--lua-time-limit", 100), lab.redis_cluster("--lua-time-limit", 100, replicas=False)):
        for memory in ("64mb", "0"):
            larder = lab.larder("redis", behind, workers=1, options=("--l1-memory", memory), config={"redis.private_connections": 1})
            with larder.connect() as one, larder.connect(3) as other, larder.connect() as third:
                assert third.call("FUNCTION", "LOAD", "REPLACE", LIBRARY) == b"$3\r\nlib\r\n"
                assert third.call("SET", "{t}k", "v") == b"+OK\r\n"
                for script, kill in ((("EVAL", ENDLESS, 1, "{t}"), "SCRIPT"), (("FCALL", "endless", 1, "{t}"), "FUNCTION")):
                    third.send("BLPOP", "{t}list", 0)  # it has the last connection of the pool
                    wait_until(lambda: someone_waits(behind), 5, "BLPOP to wait")
                    begins(one, behind, *script)
                    for command in (("GET", "{t}none"), ("SET", "{t}k", "w"), ("EVAL", "return 1", 1, "{t}")):
                        assert other.call(*command).startswith(BUSY), command
                    assert other.call(kill, "KILL") == b"+OK\r\n"
                    assert b"killed by user" in one.read()
                    assert other.call(kill, "KILL").startswith(NOTBUSY)
                    assert other.value("GET", "{t}k") == b"v" and one.value("EVAL", "return 1", 1, "{t}") == 1
                    assert other.call("RPUSH", "{t}list", "x") == b":1\r\n" and third.read().endswith(b"x\r\n")
            larder.stop()


def test_a_script_is_killed_past_the_circuit_breaker(lab):
    """It has opened because Redis, which is busy, has not answered for so long."""
    redis = lab.redis("--lua-time-limit", 6000)
    larder = lab.larder("redis", redis, workers=1, config={"redis.command_timeout": "4s", "redis.ping_timeout": "60s",
                                                          "redis.breaker_failures": 1})
    with larder.connect() as one, larder.connect() as other:
        assert other.value("GET", "k") is None
        one.send("EVAL", ENDLESS, 0)
        wait_until(lambda: other.call("SET", "k", "v").startswith(b"-"), 20, "the script to run, and a SET to be given up")
        assert b"circuit breaker is open" in other.call("GET", "k")
        assert other.call("SCRIPT", "KILL") == b"+OK\r\n"
        wait_until(lambda: not other.call("GET", "k").startswith(b"-"), 10, "the breaker to close")


def test_who_may_kill_scripts_redis_decides(lab):
    redis = lab.redis()
    larder = lab.larder("redis", redis)
    with redis.connect() as direct, larder.connect() as may, larder.connect() as may_not:
        direct.value("ACL", "SETUSER", "sue", "on", ">sue1", "+script|kill")
        direct.value("ACL", "SETUSER", "eve", "on", ">eve1", "+get")
        assert may.call("AUTH", "sue", "sue1") == may_not.call("AUTH", "eve", "eve1") == b"+OK\r\n"
        assert may.call("SCRIPT", "KILL").startswith(NOTBUSY)
        assert may_not.call("SCRIPT", "KILL").startswith(b"-NOPERM")
        wait_until(lambda: larder.info("tiers")["backend_private_in_use"] == "0", 5, "the connections to be closed")


def test_scripts_keep_their_place_among_other_requests(lab):
    """They travel on other connections; nothing of one client overtakes them, and L1 has nothing older."""
    increment = "return redis.call('INCR', KEYS[1])"
    for behind in (lab.redis(), lab.redis_cluster(replicas=False)):
        for memory in ("64mb", "0"):
            larder = lab.larder("redis", behind, options=("--l1-memory", memory))
            for protocol in (2, 3):
                with larder.connect(protocol) as client, larder.connect(protocol) as other:
                    client.call("DEL", "n")
                    script = ("EVAL", increment, 1, "n")
                    commands = [(("INCR", "n"), script, script, ("INCR", "n"))[n * 7 % 4] for n in range(400)]
                    assert client.pipeline(commands) == [b":%d\r\n" % n for n in range(1, 401)]
                    for n in range(401, 501):
                        assert other.value("GET", "n") == b"%d" % (n - 1)
                        assert client.pipeline([script, ("GET", "n")]) == [b":%d\r\n" % n, b"$3\r\n%d\r\n" % n]
                        assert other.value("GET", "n") == b"%d" % n
            larder.stop()
