"""Whatever a client sends, the connection to Redis that it shares with others is theirs as before."""

OK, QUEUED = b"+OK\r\n", b"+QUEUED\r\n"

# Everything of Redis 7.0 that changes what its connection is, or that is not answered by one reply.
STATEFUL = """
ASKING|READONLY|READWRITE|RESET|QUIT
SCRIPT DEBUG YES|SCRIPT DEBUG SYNC|script debug yes|SCRIPT DEBUG NO|SCRIPT DEBUG MAYBE
SYNC|PSYNC ? -1|REPLCONF ACK 0|REPLCONF GETACK *|REPLCONF listening-port 1|REPLCONF capa eof|REPLCONF rdb-only 1
MONITOR|SUBSCRIBE c|PSUBSCRIBE c*|SSUBSCRIBE c|UNSUBSCRIBE|PUNSUBSCRIBE|SUNSUBSCRIBE
HELLO 3|HELLO 2|HELLO 3 SETNAME x|AUTH nobody nothing|AUTH nothing|SELECT 3
MULTI|WATCH k|UNWATCH|DISCARD|EXEC
CLIENT REPLY OFF|CLIENT REPLY SKIP|CLIENT TRACKING ON|CLIENT TRACKING ON BCAST|CLIENT CACHING YES|CLIENT NO-EVICT ON
CLIENT NO-TOUCH ON|CLIENT SETNAME x|CLIENT SETINFO lib-name x|CLIENT CAPA redirect|CLIENT PAUSE 1|CLIENT UNBLOCK 1
CLIENT KILL ID 0|CLIENT KILL TYPE pubsub
WAIT 1 0|BLPOP empty 0|BRPOP empty 0|BLMOVE empty e LEFT LEFT 0|BRPOPLPUSH empty e 0|BLMPOP 0 1 empty LEFT
BZPOPMIN empty 0|BZPOPMAX empty 0|BZMPOP 0 1 empty MIN|XREAD BLOCK 0 STREAMS empty $
XREADGROUP GROUP streams c BLOCK 0 STREAMS stream >|XREADGROUP BLOCK 0 GROUP g block STREAMS stream >
DEBUG SLEEP 0|DEBUG ERROR x|FAILOVER ABORT|CLUSTER FAILOVER|CLUSTER RESET|POST|Host: x
EVAL return(redis.call('select',5)) 0|EVAL redis.setresp(3) 0|EVAL return(redis.pcall('multi')) 0
"""
REFUSED = """
ASKING|SCRIPT DEBUG YES|SCRIPT DEBUG SYNC|script debug yes|SYNC|PSYNC ? -1|REPLCONF ACK 0|REPLCONF capa eof
"""

# They end or move the server behind, take long, or delete what the neighbours have just written.
LEFT_OUT = {"shutdown", "replicaof", "slaveof", "pfselftest", "flushall", "flushdb"}


def commands_in(table):
    return [entry.split() for line in table.strip().splitlines() for entry in line.split("|")]


def neighbours_are_well(larder, redis, number):
    """Each request has its own reply, and what is written is there."""
    script = "return redis.call('SET', KEYS[1], ARGV[1])"
    with larder.connect(timeout=5) as one, larder.connect(protocol=3, timeout=5) as two:
        for client in (one, two):
            replies = client.pipeline([("SET", "well", number), ("GET", "well"), ("LLEN", "none"), ("ECHO", "e"),
                                       ("EVAL", script, 1, "script", number), ("HGETALL", "none"), ("OBJECT", "ENCODING", "well"),
                                       ("MULTI",), ("SET", "block", number), ("GET", "block"), ("EXEC",)])
            value = b"$%d\r\n%d\r\n" % (len(str(number)), number)
            nothing = b"*0\r\n" if client is one else b"%0\r\n"
            assert replies == [OK, value, b":0\r\n", b"$1\r\ne\r\n", OK, nothing, b"$3\r\nint\r\n", OK, QUEUED, QUEUED,
                               b"*2\r\n" + OK + value], replies
    with redis.connect() as direct:
        assert direct.value("MGET", "well", "script", "block") == [b"%d" % number] * 3


def sent_by_somebody(larder, *requests, protocol=2):
    client = larder.connect(protocol=protocol)
    for request in requests:
        client.send(*request)
    return client


def test_no_command_disturbs_the_neighbours(lab):
    """One worker, so that all share its connections; alone, between MULTI and EXEC, with L1 and without."""
    redis = lab.redis()
    with redis.connect() as client:
        client.pipeline([("XGROUP", "CREATE", "stream", group, "$", "MKSTREAM") for group in ("streams", "g")])
        names = [name.decode() for name in client.value("COMMAND", "LIST") if name.decode() not in LEFT_OUT]
        arities = {entry[0].decode(): entry[1] for reply in client.value("COMMAND", "INFO", *names) for entry in [reply]}
    generated = [[*name.split("|"), *["1"] * (abs(arities[name]) - name.count("|") - 1)] for name in names]
    number = 0
    for memory in ("64mb", "0"):
        larder = lab.larder("redis", redis, workers=1, options=("--l1-memory", memory))
        for command in commands_in(STATEFUL) + generated:
            number += 1
            somebody = [sent_by_somebody(larder, command, ("ECHO", "behind it")),
                        sent_by_somebody(larder, ("MULTI",), command, ("EXEC",), protocol=3)]
            try:
                neighbours_are_well(larder, redis, number)
            except Exception as fault:
                raise AssertionError(f"disturbed by {command}: {fault!r}") from fault
            for client in somebody:
                client.close()
        larder.stop()


def refuses(client, command):
    said = client.call(*command)
    assert said.startswith(b"-ERR '") and said.endswith(b"' is not available through Larder\r\n"), (command, said)


def test_what_is_between_servers_is_refused(lab):
    """Also inside of a transaction, which is then not run, and to other users."""
    for behind in (lab.redis(), lab.redis_cluster(replicas=False)):
        larder = lab.larder("redis", behind)
        for node in getattr(behind, "nodes", [behind]):
            with node.connect() as direct:
                assert direct.call("ACL", "SETUSER", "app", "on", ">secret", "allkeys", "allcommands", "allchannels") == OK
        with larder.connect() as client, larder.connect() as user:
            assert user.call("AUTH", "app", "secret") == OK
            for command in commands_in(REFUSED):
                for each in (client, user):
                    refuses(each, command)
                    assert each.call("MULTI") == OK and each.call("SET", "k", "v") == QUEUED
                    refuses(each, command)
                    assert each.call("EXEC").startswith(b"-EXECABORT")
            assert client.call("SCRIPT", "DEBUG", "NO") == user.call("SCRIPT", "DEBUG", "NO") == OK
            assert client.call("SCRIPT", "DEBUG", "MAYBE").startswith(b"-ERR ")
            assert client.value("EXISTS", "k") == 0
        larder.stop()

