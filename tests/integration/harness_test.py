"""The tests' own tools: what they could get wrong would hide what Larder gets wrong."""

from support.lab import on_backends
from support.resp import Framer, decode

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


@on_backends()
def test_starts_on(lab, backend):
    larder = lab.larder(backend)
    with larder.connect(protocol=3) as client:
        assert client.call("SET", "k", "v") == b"+OK\r\n"
        assert client.call("GET", "k") == b"$1\r\nv\r\n"
