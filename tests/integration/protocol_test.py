"""What goes over one raw connection, byte for byte as redis-server 7.0 does it."""

import re

from sequences import readable
from support.lab import on_backends
from support.resp import Client, decode, encode

SENTINEL = b"that-was-all"


def c(*args):
    return encode(args)


def lines(*texts):
    return b"".join(b"%b\r\n" % text for text in texts)


def repeat_error(*names):
    """Each command with no argument: wrong arity, or what it says instead."""
    return b"".join(c(name) for name in names)


HELLO_FIELDS = [(rb"(version\r\n\$\d+\r\n)[^\r]+", rb"\1V"), (rb"\$\d+\r\nV\r", b"V\r"), (rb"(id\r\n:)\d+", rb"\1N")]
CLIENT_ID = [(rb":\d+\r\n", b":N\r\n")]

# title, what is sent, masks for what may differ. The connection stays open.
ANSWERED = [
    ("inline", lines(b"PING", b"SET k v", b"GET k", b"get   k  "), []),
    ("inline with a bare newline", b"PING\nPING x\n", []),
    ("inline quotes", lines(b'SET k "a\\x00\\n\\"b"', b"GET k", b"SET 'a b' 'it\\'s'", b"GET 'a b'", b'ECHO ""'), []),
    ("empty lines, *0 and *-1 are no requests", b"\r\n\r\n\n*0\r\n*-1\r\n\r\nPING\r\n", []),
    ("*-100 is no request", b"*-100\r\nPING\r\n", []),
    ("line of spaces", b"    \r\nPING\r\n", []),
    ("unknown command", c("FOO", "bar", "baz") + c("foo") + c("", "x") + c("x" * 200, "y" * 300), []),
    ("unknown command with newlines", c("a\r\nb", "c\nd"), []),
    ("unknown command with many arguments", c("foo", *["word" * 5] * 40), []),
    ("wrong arity", repeat_error(
        "GET", "SET", "MGET", "MSET", "DEL", "EXISTS", "EXPIRE", "TTL", "INCR", "APPEND", "ECHO", "SELECT", "TYPE", "KEYS",
        "SCAN", "COPY", "MOVE", "SWAPDB", "RENAME", "GETRANGE", "SETRANGE", "LCS", "OBJECT", "MEMORY", "CLIENT", "CONFIG",
        "AUTH", "SETEX", "PSETEX", "INCRBYFLOAT", "UNLINK", "TOUCH", "PERSIST", "GETEX", "GETDEL", "SUBSTR", "MSETNX",
        "SLOWLOG", "LATENCY", "DEBUG"), []),
    ("too many arguments", c("GET", "a", "b") + c("DBSIZE", "x") + c("RANDOMKEY", "x") + c("TIME", "x") + c("RESET", "x")
     + c("PING", "a", "b") + c("STRLEN", "a", "b") + c("MSET", "a"), []),
    ("unknown subcommands", c("CLIENT", "nosuch") + c("CONFIG", "nosuch") + c("OBJECT", "nosuch") + c("MEMORY", "nosuch", "x")
     + c("COMMAND", "nosuch") + c("SLOWLOG", "nosuch") + c("LATENCY", "nosuch"), []),
    ("subcommand arity", c("CLIENT", "ID", "x") + c("CLIENT", "SETNAME") + c("CLIENT", "REPLY") + c("CONFIG", "GET")
     + c("CONFIG", "SET", "x") + c("OBJECT", "ENCODING") + c("MEMORY", "USAGE") + c("COMMAND", "GETKEYS")
     + c("COMMAND", "COUNT", "x"), []),
    ("ping and echo", c("PING") + c("PING", "hi") + c("ECHO", b"\x00\r\n") + c("pInG"), []),
    ("select", c("SELECT", "1") + c("SELECT", "16") + c("SELECT", "-1") + c("SELECT", "x") + c("SELECT", "99999999999999999999")
     + c("SELECT", "0"), []),
    ("hello", c("HELLO") + c("HELLO", "2") + c("HELLO", "3") + c("HELLO") + c("HELLO", "2"), HELLO_FIELDS),
    ("hello refused", c("HELLO", "1") + c("HELLO", "4") + c("HELLO", "x") + c("HELLO", "3", "nonsense") + c("HELLO", "3", "AUTH", "u")
     + c("HELLO", "3", "AUTH", "nobody", "wrong") + c("HELLO", "3", "SETNAME", "a b") + c("HELLO", "3", "SETNAME"), []),
    ("hello with name and password", c("HELLO", "3", "AUTH", "default", "any", "SETNAME", "me") + c("CLIENT", "GETNAME"),
     HELLO_FIELDS),
    ("resp3 nulls and maps", c("HELLO", "3") + c("GET", "none") + c("MGET", "none", "k") + c("CONFIG", "GET", "no-such-*")
     + c("LCS", "a", "b", "IDX") + c("SET", "k", "v", "XX", "GET"), HELLO_FIELDS),
    ("auth without a password set", c("AUTH", "x") + c("AUTH", "default", "x") + c("AUTH", "nobody", "x") + c("AUTH", "a", "b", "c"), []),
    ("reset", c("HELLO", "3") + c("SELECT", "2") + c("CLIENT", "SETNAME", "n") + c("RESET") + c("CLIENT", "GETNAME")
     + c("GET", "none"), HELLO_FIELDS),
    ("client reply off and on", c("CLIENT", "REPLY", "OFF") + c("PING") + c("SET", "k", "1") + c("CLIENT", "REPLY", "ON")
     + c("GET", "k"), []),
    ("client reply skip", c("CLIENT", "REPLY", "SKIP") + c("PING") + c("PING", "seen") + c("CLIENT", "REPLY", "SKIP")
     + c("CLIENT", "REPLY", "SKIP") + c("PING") + c("PING", "seen too"), []),
    ("client reply skip while off", c("CLIENT", "REPLY", "OFF") + c("CLIENT", "REPLY", "SKIP") + c("PING")
     + c("CLIENT", "REPLY", "ON"), []),
    ("client reply with an error", c("CLIENT", "REPLY", "MAYBE") + c("CLIENT", "REPLY", "SKIP") + c("NOSUCH") + c("PING"), []),
    ("client names", c("CLIENT", "GETNAME") + c("CLIENT", "SETNAME", "me") + c("CLIENT", "GETNAME") + c("CLIENT", "SETNAME", "a b")
     + c("CLIENT", "SETNAME", "") + c("CLIENT", "GETNAME"), []),
    ("client id", c("CLIENT", "ID"), CLIENT_ID),
    ("client kill nobody", c("CLIENT", "KILL", "127.0.0.1:1") + c("CLIENT", "KILL", "ID", "99999999") + c("CLIENT", "KILL", "ID", "x")
     + c("CLIENT", "KILL", "ADDR", "127.0.0.1:1") + c("CLIENT", "KILL", "TYPE", "nosuch") + c("CLIENT", "KILL", "nosuch", "x")
     + c("CLIENT", "KILL", "SKIPME", "maybe"), []),
    ("client pause", c("CLIENT", "PAUSE", "x") + c("CLIENT", "PAUSE", "-1") + c("CLIENT", "PAUSE", "10", "NONE") + c("CLIENT", "UNPAUSE"),
     []),
    ("client no-evict", c("CLIENT", "NO-EVICT", "on") + c("CLIENT", "NO-EVICT", "off") + c("CLIENT", "NO-EVICT", "x"), []),
    ("command getkeys", c("COMMAND", "GETKEYS", "GET", "a") + c("COMMAND", "GETKEYS", "MSET", "a", "1", "b", "2")
     + c("COMMAND", "GETKEYS", "PING") + c("COMMAND", "GETKEYS", "NOSUCH") + c("COMMAND", "GETKEYS", "GET")
     + c("COMMAND", "GETKEYS", "COPY", "a", "b"), []),
    ("command info of nothing", c("COMMAND", "INFO", "nosuch"), []),
    ("set options", c("SET", "o", "1", "NX", "XX") + c("SET", "o", "1", "EX") + c("SET", "o", "1", "EX", "0") + c("SET", "o", "1", "EX", "x")
     + c("SET", "o", "1", "EX", "1", "PX", "1") + c("SET", "o", "1", "KEEPTTL", "EX", "9") + c("SET", "o", "2", "GET")
     + c("SET", "o", "3", "GET", "NX") + c("SET", "o", "4", "PX", "-5") + c("SET", "o", "5", "what"), []),
    ("expire options", c("SET", "e", "1") + c("EXPIRE", "e", "100", "NX", "XX") + c("EXPIRE", "e", "100", "NX", "GT")
     + c("EXPIRE", "e", "100", "GT", "LT") + c("EXPIRE", "e", "100", "ZZ") + c("EXPIRE", "e", "9223372036854775807")
     + c("PEXPIRE", "e", "9223372036854775807") + c("EXPIREAT", "e", "-9223372036854775808") + c("SETEX", "e", "-1", "v")
     + c("GETEX", "e", "EX", "0") + c("GETEX", "e", "PERSIST", "EX", "1"), []),
    ("numbers", c("SET", "n", "abc") + c("INCR", "n") + c("INCRBYFLOAT", "n", "1") + c("SET", "n", "9223372036854775807") + c("INCR", "n")
     + c("DECRBY", "n", "-9223372036854775808") + c("SET", "n", "1.5e3") + c("INCRBYFLOAT", "n", "1e400")
     + c("INCRBYFLOAT", "n", "inf") + c("INCRBYFLOAT", "n", "-200.25") + c("INCRBY", "n", "1"), []),
    ("setrange limits", c("SETRANGE", "r", "-1", "x") + c("SETRANGE", "r", "536870912", "x") + c("SETRANGE", "r", "0", "") + c("EXISTS", "r")
     + c("SETRANGE", "r", "x", "x"), []),
    ("object", c("SET", "i", "12345") + c("SET", "s", "short") + c("SET", "l", "x" * 45) + c("OBJECT", "ENCODING", "i")
     + c("OBJECT", "ENCODING", "s") + c("OBJECT", "ENCODING", "l") + c("OBJECT", "ENCODING", "none")
     + c("OBJECT", "IDLETIME", "none") + c("OBJECT", "FREQ", "none") + c("OBJECT", "REFCOUNT", "s") + c("OBJECT", "IDLETIME", "s"), []),
    ("object freq without lfu", c("SET", "s", "x") + c("OBJECT", "FREQ", "s"), []),
    ("memory usage of nothing", c("MEMORY", "USAGE", "none") + c("MEMORY", "USAGE", "none", "SAMPLES", "x")
     + c("MEMORY", "USAGE", "none", "nosuch", "1"), []),
    ("scan errors", c("SCAN", "x") + c("SCAN", "0", "COUNT", "0") + c("SCAN", "0", "COUNT", "x") + c("SCAN", "0", "nosuch") + c("SCAN", "0", "MATCH"),
     []),
    ("copy and move errors", c("SET", "m", "1") + c("COPY", "m", "m") + c("COPY", "m", "x", "DB", "99") + c("COPY", "m", "x", "DB", "y")
     + c("COPY", "m", "x", "nosuch") + c("MOVE", "m", "0") + c("MOVE", "m", "99") + c("MOVE", "m", "y") + c("SWAPDB", "0", "99")
     + c("SWAPDB", "x", "0") + c("SWAPDB", "0", "x") + c("RENAME", "none", "m"), []),
    ("flush errors", c("FLUSHALL", "now") + c("FLUSHDB", "ASYNC", "SYNC") + c("FLUSHALL", "async") + c("FLUSHDB", "SYNC"), []),
    ("a long pipeline", b"".join(c("SET", f"p{n}", n) + c("GET", f"p{n}") for n in range(3000)), []),
    ("a big value", c("SET", "big", "v" * 3_000_000) + c("STRLEN", "big") + c("GET", "big") + c("GETRANGE", "big", "-3", "-1"), []),
    ("a bulk with an empty argument", b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", []),
    ("requests of both kinds", b"PING\r\n" + c("PING", "array") + b"ECHO x\r\n", []),
    ("config", c("CONFIG", "GET", "no-such-*") + c("CONFIG", "SET", "no-such", "1") + c("CONFIG", "RESETSTAT"), []),
    ("slowlog", c("SLOWLOG", "RESET") + c("SLOWLOG", "GET", "x") + c("SLOWLOG", "GET", "-2"), []),
    ("debug sleep", c("DEBUG", "SLEEP", "0"), []),
    ("dbsize and flush", c("FLUSHALL") + c("SET", "a", "1") + c("DBSIZE") + c("SELECT", "3") + c("DBSIZE") + c("FLUSHDB") + c("SELECT", "0")
     + c("DBSIZE") + c("KEYS", "*"), []),
    ("lcs", c("MSET", "x1", "ohmytext", "x2", "mynewtext") + c("LCS", "x1", "x2") + c("LCS", "x1", "x2", "LEN")
     + c("LCS", "x1", "x2", "IDX", "MINMATCHLEN", "4", "WITHMATCHLEN") + c("LCS", "x1", "x2", "LEN", "IDX")
     + c("LCS", "x1", "x2", "MINMATCHLEN", "x"), []),
]

# The server says what is wrong, or that it is done, and closes the connection.
CLOSED = [
    ("quit", c("QUIT")),
    ("quit in a pipeline", c("SET", "q", "1") + c("QUIT") + c("SET", "q", "2")),
    ("quit with arguments", c("QUIT", "now")),
    ("inline quit", b"QUIT\r\n"),
    ("not a number of arguments", b"*x\r\n"),
    ("too many arguments announced", b"*2147483648\r\n"),
    ("a number of arguments too big for 64 bits", b"*99999999999999999999\r\n"),
    ("no dollar", b"*1\r\nx\r\n"),
    ("an integer for a bulk", b"*1\r\n:4\r\nPING\r\n"),
    ("negative bulk", b"*1\r\n$-1\r\n"),
    ("bulk length not a number", b"*1\r\n$x\r\n"),
    ("bulk longer than proto-max-bulk-len", b"*2\r\n$3\r\nGET\r\n$536870913\r\n"),
    ("huge bulk", b"*2\r\n$3\r\nGET\r\n$9223372036854775807\r\n"),
    ("unbalanced quotes", b'SET k "open\r\n'),
    ("text after a closing quote", b'SET k "a"b\r\n'),
    ("an inline line that never ends", b"x" * 70_000),
    ("a multibulk header that never ends", b"*" + b"1" * 70_000),
    ("a bulk header that never ends", b"*1\r\n$" + b"1" * 70_000),
    ("error after good requests", c("PING") + c("SET", "k", "v") + b"*1\r\n$-5\r\n"),
    ("error in resp3", c("HELLO", "3") + b"*1\r\nx\r\n"),
    ("http", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("http post", b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("client kill itself", c("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")),
]

BEFORE_AUTH_CLOSED = [
    ("ten arguments are the most", b"*11\r\n"),
    ("a bulk of 16 KB is the most", b"*2\r\n$4\r\nAUTH\r\n$16385\r\n"),
    ("quit", c("QUIT")),
]

BEFORE_AUTH = [
    ("everything needs it", c("PING") + c("GET", "k") + c("NOSUCH") + c("SET", "k") + c("CLIENT", "ID") + c("COMMAND") + c("INFO")
     + c("HELLO", "3") + c("HELLO"), []),
    ("wrong passwords", c("AUTH", "wrong") + c("AUTH", "nobody", "secret") + c("AUTH", "default", "wrong") + c("GET", "k"), []),
    ("password", c("AUTH", "secret") + c("PING") + c("AUTH", "wrong") + c("PING"), []),
    ("user and password", c("AUTH", "default", "secret") + c("PING"), []),
    ("hello with a password", c("HELLO", "3", "AUTH", "default", "secret") + c("PING"), HELLO_FIELDS),
    ("reset takes it away", c("AUTH", "secret") + c("RESET") + c("PING"), []),
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
    for title, stream, *masks in conversations:
        for server in (oracle, subject):
            empty(server)
        expected, got = (masked(listen(server, stream), masks[0] if masks else []) for server in (oracle, subject))
        if expected != got:
            failures.append(f"{title}: {first_difference(expected, got)}")
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


def test_before_authentication_little_is_allowed(lab):
    oracle, subject = lab.redis("--requirepass", "secret"), lab.larder(config={"server.requirepass": "secret"})
    compare(BEFORE_AUTH, oracle, subject, heard)
    compare(BEFORE_AUTH_CLOSED, oracle, subject, heard_until_closed)
