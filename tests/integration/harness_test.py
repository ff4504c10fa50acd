"""The tests' own tools: what they could get wrong would hide what Larder gets wrong."""

import multiprocessing
import time

from differential import MODES, compare
from support.lab import on_backends
from support.process import BLOCK_PORTS, free_port
from support.resp import Client, Framer, decode

REPLIES = [
    b"+OK\r\n", b"-ERR no\r\n", b":-12\r\n", b"$-1\r\n", b"$0\r\n\r\n", b"$4\r\na\r\nb\r\n", b"*-1\r\n", b"*0\r\n",
    b"*2\r\n*1\r\n:1\r\n$1\r\nx\r\n", b"_\r\n", b"#t\r\n", b",1.5\r\n", b"(123456789012345678901\r\n",
    b"%1\r\n+k\r\n*1\r\n_\r\n", b"~2\r\n:1\r\n:2\r\n", b"=6\r\ntxt:ab\r\n", b"!3\r\nERR\r\n",
    b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n", b"|1\r\n+ttl\r\n:5\r\n$1\r\nv\r\n",
]


def test_framer_cuts_replies_fed_at_every_split(_lab):
    stream = b"".join(REPLIES)
    for split in range(len(stream) + 1):
        framer, seen = Framer(), []
        for chunk in (stream[:split], stream[split:]):
            framer.feed(chunk)
            while (reply := framer.next_reply()) is not None:
                seen.append(reply)
        assert seen == REPLIES, (split, seen)


def test_decode_gives_python_values(_lab):
    assert decode(b"*3\r\n$1\r\na\r\n:5\r\n$-1\r\n") == [b"a", 5, None]
    assert decode(b"%1\r\n+k\r\n~1\r\n#f\r\n") == {b"k": [False]}


def test_processes_are_given_different_ports(_lab):
    ours = {free_port() for _ in range(BLOCK_PORTS)}
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    context.Process(target=lambda: sender.send({free_port() for _ in range(BLOCK_PORTS)})).start()
    theirs = receiver.recv()
    assert len(ours) > 50 and len(theirs) > 50 and not ours & theirs, (ours, theirs)


@on_backends()
def test_starts_on(lab, backend):
    larder = lab.larder(backend)
    with larder.connect(protocol=3) as client:
        assert client.call("SET", "k", "v") == b"+OK\r\n"
        assert client.call("GET", "k") == b"$1\r\nv\r\n"


class Forgetful:
    """A redis-server that answers APPEND one too low: what the differential test must find."""

    def __init__(self, server):
        self._server = server

    def connect(self, protocol):
        client = self._server.connect(protocol)
        read, names = client.read, []

        def send_bytes(stream, splits=()):
            names.append(b"APPEND" in stream)
            Client.send_bytes(client, stream, splits)

        client.send_bytes = send_bytes
        client.read = lambda: one_less(read()) if names[-1] else read()
        return client


def one_less(reply):
    return b":%d\r\n" % (decode(reply) - 1) if reply[:1] == b":" else reply


def test_differential_finds_a_wrong_reply_and_makes_it_small(lab):
    one_by_one = [mode for mode in MODES if not mode.pipelined]
    _, reports = compare(lab.redis(), Forgetful(lab.redis()), range(1), 80, one_by_one[:1])
    assert len(reports) == 1 and "1 step(s) are enough" in reports[0] and "'APPEND'" in reports[0], reports


def test_gate_delays_cuts_and_freezes(lab):
    gate = lab.gate(lab.redis())
    client = lab.closing(gate.connect(timeout=5))
    assert client.call("PING") == b"+PONG\r\n" and gate.connections == 1
    gate.delay(0.05)
    started = time.monotonic()
    assert client.pipeline([("SET", "k", "v" * 200_000), ("GET", "k")])[1] == b"$200000\r\n" + b"v" * 200_000 + b"\r\n"
    assert time.monotonic() - started >= 0.1
    gate.delay(0)
    gate.freeze()
    client.send("PING")
    client.set_timeout(0.1)
    assert_raises(TimeoutError, client.read)
    gate.thaw()
    client.set_timeout(5)
    assert client.read() == b"+PONG\r\n"
    gate.cut()
    assert_raises(OSError, lambda: client.call("PING"))
    gate.refuse()
    assert_raises(OSError, lambda: gate.connect(timeout=5).call("PING"))
    gate.accept()
    assert lab.closing(gate.connect()).call("PING") == b"+PONG\r\n"


def test_gate_swallows_pushes_and_nothing_else(lab):
    redis = lab.redis()
    gates = {drops: lab.gate(redis, drops_pushes=drops) for drops in (False, True)}
    for drops, gate in gates.items():
        with gate.connect(3) as client:
            expected = b"" if drops else b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
            client.pipeline([("CLIENT", "TRACKING", "ON"), ("GET", "k")])
            client.send_bytes(b"PING\r\nSET k v\r\nPING\r\n")
            received = b"".join(client.read() for _ in range(3 if drops else 4))
            assert received.replace(expected, b"") == b"+PONG\r\n+OK\r\n+PONG\r\n" and expected in received


def assert_raises(kind, call):
    try:
        call()
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")
