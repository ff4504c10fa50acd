"""What goes over one raw connection, byte for byte as redis-server 7.0 does it."""

import re

from sequences import readable
from support.lab import on_backends
from support.resp import encode

SENTINEL = b"that-was-all"


class Conversation:
    """What is sent in one piece: requests as their words, or as bytes; and masks for what may differ in the replies."""

    def __init__(self, title, *requests, masks=()):
        self.title, self.masks = title, masks
        self.stream = b"".join(request if isinstance(request, bytes) else c(*request.split()) for request in requests)


def c(*args):
    return encode(args)


def lines(*texts):
    return b"".join(b"%b\r\n" % text for text in texts)


HELLO_FIELDS = [(rb"(version\r\n\$\d+\r\n)[^\r]+", rb"\1V"), (rb"\$\d+\r\nV\r", b"V\r"), (rb"(id\r\n:)\d+", rb"\1N")]
CLIENT_ID = [(rb":\d+\r\n", b":N\r\n")]

# The connection stays open.
ANSWERED = [
    Conversation("inline", lines(b"PING", b"SET k v", b"GET k", b"get   k  ")),
    Conversation("inline with a bare newline", b"PING\nPING x\n"),
    Conversation("inline quotes",
                 lines(b'SET k "a\\x00\\n\\"b"', b"GET k", b"SET 'a b' 'it\\'s'", b"GET 'a b'", b'ECHO ""')),
    Conversation("more arguments than a subcommand takes", c("CLIENT", "PAUSE", "1", "ALL", "x"), c("slowlog", "Get", "1", "2")),
    Conversation("empty lines, *0 and *-1 are no requests", b"\r\n\r\n\n*0\r\n*-1\r\n\r\nPING\r\n"),
    Conversation("*-100 is no request", b"*-100\r\nPING\r\n"),
    Conversation("line of spaces", b"    \r\nPING\r\n"),
    Conversation("unknown command", "FOO bar baz", "foo", c("", "x"), c("x" * 200, "y" * 300)),
    Conversation("unknown command with newlines", c("a\r\nb", "c\nd")),
    Conversation("unknown command with many arguments", c("foo", *["word" * 5] * 40)),
    Conversation("wrong arity", "GET", "SET", "MGET", "MSET", "DEL", "EXISTS", "EXPIRE", "TTL", "INCR", "APPEND",
                 "ECHO", "SELECT", "TYPE", "KEYS", "SCAN", "COPY", "MOVE", "SWAPDB", "RENAME", "GETRANGE",
                 "SETRANGE", "LCS", "OBJECT", "MEMORY", "CLIENT", "CONFIG", "AUTH", "SETEX", "PSETEX",
                 "INCRBYFLOAT", "UNLINK", "TOUCH", "PERSIST", "GETEX", "GETDEL", "SUBSTR", "MSETNX", "SLOWLOG",
                 "LATENCY", "DEBUG"),
    Conversation("too many arguments", "GET a b", "DBSIZE x", "RANDOMKEY x", "TIME x", "RESET x", "PING a b",
                 "STRLEN a b", "MSET a"),
    Conversation("unknown subcommands", "CLIENT nosuch", "CONFIG nosuch", "OBJECT nosuch", "MEMORY nosuch x",
                 "COMMAND nosuch", "SLOWLOG nosuch", "LATENCY nosuch"),
    Conversation("subcommand arity", "CLIENT ID x", "CLIENT SETNAME", "CLIENT REPLY", "CONFIG GET", "CONFIG SET x",
                 "OBJECT ENCODING", "MEMORY USAGE", "COMMAND GETKEYS", "COMMAND COUNT x"),
    Conversation("ping and echo", "PING", "PING hi", c("ECHO", b"\x00\r\n"), "pInG"),
    Conversation("select", "SELECT 1", "SELECT 16", "SELECT -1", "SELECT x", "SELECT 99999999999999999999",
                 "SELECT 0"),
    Conversation("hello", "HELLO", "HELLO 2", "HELLO 3", "HELLO", "HELLO 2", masks=HELLO_FIELDS),
    Conversation("hello refused", "HELLO 1", "HELLO 4", "HELLO x", "HELLO 3 nonsense", "HELLO 3 AUTH u",
                 "HELLO 3 AUTH nobody wrong", c("HELLO", "3", "SETNAME", "a b"), "HELLO 3 SETNAME"),
    Conversation("hello with name and password", "HELLO 3 AUTH default any SETNAME me", "CLIENT GETNAME",
                 masks=HELLO_FIELDS),
    Conversation("resp3 nulls and maps", "HELLO 3", "GET none", "MGET none k", "CONFIG GET no-such-*",
                 "LCS a b IDX", "SET k v XX GET", masks=HELLO_FIELDS),
    Conversation("auth without a password set", "AUTH x", "AUTH default x", "AUTH nobody x", "AUTH a b c"),
    Conversation("reset", "HELLO 3", "SELECT 2", "CLIENT SETNAME n", "RESET", "CLIENT GETNAME", "GET none",
                 masks=HELLO_FIELDS),
    Conversation("client reply off and on", "CLIENT REPLY OFF", "PING", "SET k 1", "CLIENT REPLY ON", "GET k"),
    Conversation("client reply skip", "CLIENT REPLY SKIP", "PING", "PING seen", "CLIENT REPLY SKIP",
                 "CLIENT REPLY SKIP", "PING", c("PING", "seen too")),
    Conversation("client reply skip while off", "CLIENT REPLY OFF", "CLIENT REPLY SKIP", "PING", "CLIENT REPLY ON"),
    Conversation("client reply with an error", "CLIENT REPLY MAYBE", "CLIENT REPLY SKIP", "NOSUCH", "PING"),
    Conversation("client names", "CLIENT GETNAME", "CLIENT SETNAME me", "CLIENT GETNAME",
                 c("CLIENT", "SETNAME", "a b"), c("CLIENT", "SETNAME", ""), "CLIENT GETNAME"),
    Conversation("client id", "CLIENT ID", masks=CLIENT_ID),
    Conversation("client kill nobody", "CLIENT KILL 127.0.0.1:1", "CLIENT KILL ID 99999999", "CLIENT KILL ID x",
                 "CLIENT KILL ADDR 127.0.0.1:1", "CLIENT KILL TYPE nosuch", "CLIENT KILL nosuch x",
                 "CLIENT KILL SKIPME maybe"),
    Conversation("client pause", "CLIENT PAUSE x", "CLIENT PAUSE -1", "CLIENT PAUSE 10 NONE", "CLIENT UNPAUSE"),
    Conversation("client no-evict", "CLIENT NO-EVICT on", "CLIENT NO-EVICT off", "CLIENT NO-EVICT x"),
    Conversation("command getkeys", "COMMAND GETKEYS GET a", "COMMAND GETKEYS MSET a 1 b 2", "COMMAND GETKEYS PING",
                 "COMMAND GETKEYS NOSUCH", "COMMAND GETKEYS GET", "COMMAND GETKEYS COPY a b"),
    Conversation("command info of nothing", "COMMAND INFO nosuch"),
    Conversation("set options", "SET o 1 NX XX", "SET o 1 EX", "SET o 1 EX 0", "SET o 1 EX x", "SET o 1 EX 1 PX 1",
                 "SET o 1 KEEPTTL EX 9", "SET o 2 GET", "SET o 3 GET NX", "SET o 4 PX -5", "SET o 5 what"),
    Conversation("expire options", "SET e 1", "EXPIRE e 100 NX XX", "EXPIRE e 100 NX GT", "EXPIRE e 100 GT LT",
                 "EXPIRE e 100 ZZ", "EXPIRE e 9223372036854775807", "PEXPIRE e 9223372036854775807",
                 "EXPIREAT e -9223372036854775808", "SETEX e -1 v", "GETEX e EX 0", "GETEX e PERSIST EX 1"),
    Conversation("numbers", "SET n abc", "INCR n", "INCRBYFLOAT n 1", "SET n 9223372036854775807", "INCR n",
                 "DECRBY n -9223372036854775808", "SET n 1.5e3", "INCRBYFLOAT n 1e400", "INCRBYFLOAT n inf",
                 "INCRBYFLOAT n -200.25", "INCRBY n 1"),
    Conversation("setrange limits", "SETRANGE r -1 x", "SETRANGE r 536870912 x", "SETRANGE r 536870911 xy",
                 c("SETRANGE", "r", "0", ""), "EXISTS r", "SETRANGE r x x"),
    Conversation("object", "SET i 12345", "SET s short", c("SET", "l", "x" * 45), "OBJECT ENCODING i",
                 "OBJECT ENCODING s", "OBJECT ENCODING l", "OBJECT ENCODING none", "OBJECT IDLETIME none",
                 "OBJECT FREQ none", "OBJECT REFCOUNT s"),
    Conversation("memory usage of nothing", "MEMORY USAGE none", "MEMORY USAGE none SAMPLES x",
                 "MEMORY USAGE none nosuch 1"),
    Conversation("scan errors", "SCAN x", "SCAN 0 COUNT 0", "SCAN 0 COUNT x", "SCAN 0 nosuch", "SCAN 0 MATCH"),
    Conversation("copy and move errors", "SET m 1", "COPY m m", "COPY m x DB 99", "COPY m x DB y",
                 "COPY m x nosuch", "MOVE m 0", "MOVE m 99", "MOVE m y", "SWAPDB 0 99", "SWAPDB x 0", "SWAPDB 0 x",
                 "RENAME none m"),
    Conversation("flush errors", "FLUSHALL now", "FLUSHDB ASYNC SYNC", "FLUSHALL async", "FLUSHDB SYNC"),
    Conversation("a long pipeline", b"".join(c("SET", f"p{n}", n) + c("GET", f"p{n}") for n in range(3000))),
    Conversation("a big value", c("SET", "big", "v" * 3_000_000), "STRLEN big", "GET big", "GETRANGE big -3 -1"),
    Conversation("a bulk with an empty argument", b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n"),
    Conversation("requests of both kinds", b"PING\r\n", "PING array", b"ECHO x\r\n"),
    Conversation("config", "CONFIG GET no-such-*", "CONFIG SET no-such 1", "CONFIG RESETSTAT"),
    Conversation("slowlog", "SLOWLOG RESET", "SLOWLOG GET x", "SLOWLOG GET -2"),
    Conversation("debug sleep", "DEBUG SLEEP 0"),
    Conversation("dbsize and flush", "FLUSHALL", "SET a 1", "DBSIZE", "SELECT 3", "DBSIZE", "FLUSHDB", "SELECT 0",
                 "DBSIZE", "KEYS *"),
    Conversation("lcs", "MSET x1 ohmytext x2 mynewtext", "LCS x1 x2", "LCS x1 x2 LEN",
                 "LCS x1 x2 IDX MINMATCHLEN 4 WITHMATCHLEN", "LCS x1 x2 LEN IDX", "LCS x1 x2 MINMATCHLEN x"),
]

# The server says what is wrong, or that it is done, and closes the connection.
CLOSED = [
    Conversation("quit", "QUIT"),
    Conversation("quit in a pipeline", "SET q 1", "QUIT", "SET q 2"),
    Conversation("quit with arguments", "QUIT now"),
    Conversation("inline quit", b"QUIT\r\n"),
    Conversation("not a number of arguments", b"*x\r\n"),
    Conversation("too many arguments announced", b"*2147483648\r\n"),
    Conversation("a number of arguments too big for 64 bits", b"*99999999999999999999\r\n"),
    Conversation("no dollar", b"*1\r\nx\r\n"),
    Conversation("an integer for a bulk", b"*1\r\n:4\r\nPING\r\n"),
    Conversation("negative bulk", b"*1\r\n$-1\r\n"),
    Conversation("bulk length not a number", b"*1\r\n$x\r\n"),
    Conversation("bulk longer than proto-max-bulk-len", b"*2\r\n$3\r\nGET\r\n$536870913\r\n"),
    Conversation("huge bulk", b"*2\r\n$3\r\nGET\r\n$9223372036854775807\r\n"),
    Conversation("unbalanced quotes", b'SET k "open\r\n'),
    Conversation("text after a closing quote", b'SET k "a"b\r\n'),
    Conversation("an inline line that never ends", b"x" * 70_000),
    Conversation("a multibulk header that never ends", b"*" + b"1" * 70_000),
    Conversation("a bulk header that never ends", b"*1\r\n$" + b"1" * 70_000),
    Conversation("error after good requests", "PING", "SET k v", b"*1\r\n$-5\r\n"),
    Conversation("error in resp3", "HELLO 3", b"*1\r\nx\r\n", masks=HELLO_FIELDS),
    Conversation("http", b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET k v\r\n"),
    Conversation("http inside a pipeline", b"Host: localhost\r\nSET k v\r\n"),
    Conversation("client kill itself", "CLIENT KILL TYPE normal SKIPME no", masks=CLIENT_ID),  # and who is leaving
]

BEFORE_AUTH_CLOSED = [
    Conversation("ten arguments are the most", b"*11\r\n"),
    Conversation("a bulk of 16 KB is the most", b"*2\r\n$4\r\nAUTH\r\n$16385\r\n"),
    Conversation("quit", "QUIT"),
]

BEFORE_AUTH = [
    Conversation("everything needs it", "PING", "GET k", "NOSUCH", "SET k", "CLIENT ID", "COMMAND", "INFO",
                 "HELLO 3", "HELLO"),
    Conversation("wrong passwords", "AUTH wrong", "AUTH nobody secret", "AUTH default wrong", "GET k"),
    Conversation("password", "AUTH secret", "PING", "AUTH wrong", "PING"),
    Conversation("user and password", "AUTH default secret", "PING"),
    Conversation("hello with a password", "HELLO 3 AUTH default secret", "PING", masks=HELLO_FIELDS),
    Conversation("reset takes it away", "AUTH secret", "RESET", "PING"),
]


def heard(server, stream):
    """Bytes of all replies to `stream` on a connection of its own, up to a last command that must be answered."""
    end = c("AUTH", "secret") + c("ECHO", SENTINEL)
    with server.connect(timeout=15) as client:
        client.send_bytes(stream + end)
        received = []
        while True:
            try:
                reply = client.read()
            except OSError as problem:
                return b"".join(received) + f"({type(problem).__name__}: {problem})".encode()
            if SENTINEL in reply:
                return b"".join(received)
            received.append(reply)


def heard_until_closed(server, stream):
    with server.connect(timeout=15) as client:
        client.send_bytes(stream)
        try:
            return client.read_to_end()
        except TimeoutError:
            return b"(still open)"


def masked(received, masks):
    for pattern, replacement in masks:
        received = re.sub(pattern, replacement, received)
    return received


def first_difference(expected, got):
    at = next((n for n, (a, b) in enumerate(zip(expected, got)) if a != b), min(len(expected), len(got)))
    start = expected.rfind(b"\n", 0, at) + 1
    return f"at byte {at}\n    expected {readable(expected[start:], 300)}\n    got      {readable(got[start:], 300)}"


def compare(conversations, oracle, subject, listen):
    """Holds each conversation with both servers; one failure text for all that differ."""
    failures = []
    for talk in conversations:
        for server in (oracle, subject):
            empty(server)
        expected, got = (masked(listen(server, talk.stream), talk.masks) for server in (oracle, subject))
        if expected != got:
            failures.append(f"{talk.title}: {first_difference(expected, got)}")
    assert not failures, "\n".join([f"{len(failures)} of {len(conversations)} differ", *failures])


def empty(server):
    with server.connect() as client:
        client.pipeline([("AUTH", "secret"), ("FLUSHALL",)])


@on_backends()
def test_conversations_are_those_of_redis(lab, backend):
    compare(ANSWERED, lab.redis(), lab.larder(backend), heard)


@on_backends()
def test_protocol_errors_close_the_connection_as_redis_does(lab, backend):
    compare(CLOSED, lab.redis(), lab.larder(backend), heard_until_closed)


def test_every_byte_of_a_line_means_what_it_means_to_redis(lab):
    """In a word, before and behind it, in quotes and behind them; a zero byte is waited behind."""
    oracle, subject = lab.redis(), lab.larder()
    failures = []
    for place in (b"ECHO a%bb", b"ECHO %bb", b"ECHO a%b", b"%bECHO a", b'ECHO "a%bb"', b"ECHO 'a%bb'", b'ECHO "a"%bb', b'ECHO "a\\%b"'):
        for byte in range(256):
            line = place % bytes([byte]) + b"\r\n"
            expected, got = (answer_to_line(server, line) for server in (oracle, subject))
            if expected != got:
                failures.append(f"{line}: expected {expected}, got {got}")
    assert not failures, "\n".join([f"{len(failures)} differ", *failures[:20]])


def answer_to_line(server, line):
    with server.connect() as client:
        client.send_bytes(line)
        client.finish_sending()
        return client.read_to_end()


def test_before_authentication_little_is_allowed(lab):
    oracle, subject = lab.redis("--requirepass", "secret"), lab.larder(config={"server.requirepass": "secret"})
    compare(BEFORE_AUTH, oracle, subject, heard)
    compare(BEFORE_AUTH_CLOSED, oracle, subject, heard_until_closed)


@on_backends()
def test_who_has_ended_its_input_is_answered(lab, backend):
    """As by `printf … | nc -N`: what the second tier is still asked for, too; half a request is not waited for."""
    larder = lab.larder(backend)
    keys = [b"key%d" % number for number in range(300)]
    expected = b"".join(b":%d\r\n$%d\r\n%b!\r\n" % (len(key) + 1, len(key) + 1, key) for key in keys)
    for _ in range(10):
        with larder.connect() as client:
            client.pipeline([("SET", key, key) for key in keys])
        with larder.connect() as client:
            client.send_bytes(b"".join(encode(["APPEND", key, "!"]) + encode(["GET", key]) for key in keys) + b"*1\r\n$4\r\nPI")
            client.finish_sending()
            assert client.read_to_end() == expected
