"""Scripts called by their SHA1 on servers that do not know them (any more): Larder has seen them go by."""

import hashlib

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
