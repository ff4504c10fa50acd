"""RESP2 and RESP3 as bytes: a framer, a decoder for the tests that need values, and a client that hides nothing.

A reply is kept as the exact bytes the server sent, so that two servers can be compared byte by byte.
"""

import select
import socket
import time

LINE_TYPES = b"+-:_,#("
BULK_TYPES = b"$=!"
AGGREGATE_TYPES = b"*%~>|"


def encode(args):
    """One request as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in map(to_bytes, args):
        parts.append(b"$%d\r\n%b\r\n" % (len(arg), arg))
    return b"".join(parts)


def to_bytes(arg):
    if isinstance(arg, (bytes, bytearray)):
        return bytes(arg)
    return str(arg).encode()


class Framer:
    """Cuts a stream of bytes into whole replies."""

    def __init__(self):
        self._buffer = bytearray()
        self._position = 0

    def feed(self, chunk):
        if self._position:
            del self._buffer[: self._position]
            self._position = 0
        self._buffer += chunk

    def next_reply(self):
        """The bytes of the next whole reply, or None when more input is needed."""
        end = self._end_of_reply(self._position)
        if end is None:
            return None
        reply = bytes(self._buffer[self._position : end])
        self._position = end
        return reply

    def pending(self):
        """Bytes that do not make a whole reply yet."""
        return bytes(self._buffer[self._position :])

    def _end_of_reply(self, position):
        waiting = 1  # values still to be read before the reply is whole
        while waiting:
            line_end = self._buffer.find(b"\r\n", position)
            if line_end < 0:
                return None
            kind = self._buffer[position]
            if kind in BULK_TYPES:
                length = int(self._buffer[position + 1 : line_end])
                position = line_end + 2 + (length + 2 if length >= 0 else 0)
                if position > len(self._buffer):
                    return None
            elif kind in AGGREGATE_TYPES:
                waiting += element_count(kind, int(self._buffer[position + 1 : line_end]))
                position = line_end + 2
            elif kind in LINE_TYPES:
                position = line_end + 2
            else:
                raise ValueError(f"not a reply: {bytes(self._buffer[position:line_end])!r}")
            waiting -= 1
        return position


def element_count(kind, announced):
    """How many values follow the header; an attribute is followed by the value it describes."""
    if kind == ord("%"):
        return 2 * announced
    if kind == ord("|"):
        return 2 * announced + 1
    return max(announced, 0)


class ReplyError(Exception):
    """An error reply, as a value."""

    def __eq__(self, other):
        return isinstance(other, ReplyError) and self.args == other.args

    def __hash__(self):
        return hash(self.args)


def decode(reply):
    """Python value of one reply: bytes, int, float, bool, None, list, dict (maps) or ReplyError."""
    value, rest = _decode(reply)
    assert not rest, rest
    return value


def _decode(reply):
    line, rest = reply.split(b"\r\n", 1)
    kind, text = line[:1], line[1:]
    if kind in (b"$", b"!"):
        length = int(text)
        if length < 0:
            return None, rest
        body, rest = rest[:length], rest[length + 2 :]
        return (ReplyError(body) if kind == b"!" else body), rest
    if kind == b"=":
        length = int(text)
        return rest[4:length], rest[length + 2 :]
    if kind in (b"*", b"~", b">", b"%"):
        return _decode_aggregate(kind, int(text), rest)
    return _decode_line(kind, text), rest


def _decode_aggregate(kind, count, rest):
    if count < 0:
        return None, rest
    values = []
    for _ in range(element_count(kind[0], count)):
        value, rest = _decode(rest)
        values.append(value)
    if kind == b"%":
        return dict(zip(values[::2], values[1::2])), rest
    return values, rest


def _decode_line(kind, text):
    if kind == b":":
        return int(text)
    if kind == b"-":
        return ReplyError(text)
    if kind == b"_":
        return None
    if kind == b",":
        return float(text)
    if kind == b"#":
        return text == b"t"
    return text


class Client:
    """One connection. `address` is (host, port) or the path of a Unix socket; `tls` is an ssl.SSLContext."""

    def __init__(self, address, protocol=2, timeout=30.0, tls=None):
        self.address = address
        self._framer = Framer()
        self._socket = connect(address, timeout)
        if tls:
            self._socket = tls.wrap_socket(self._socket, server_hostname=address[0])
        if protocol == 3:
            hello = self.call("HELLO", "3")
            assert hello.startswith(b"%"), hello

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._socket.close()

    def fileno(self):
        return self._socket.fileno()

    def send(self, *args):
        self.send_bytes(encode(args))

    def send_bytes(self, stream, splits=()):
        """Sends `stream` in the pieces that end at `splits`, so that a server sees requests cut anywhere."""
        start = 0
        for end in (*splits, len(stream)):
            self._socket.sendall(stream[start:end])
            start = end

    def read(self):
        """Bytes of the next reply; ConnectionError at the end of the stream, TimeoutError after the timeout."""
        while (reply := self._framer.next_reply()) is None:
            chunk = self._socket.recv(1 << 18)
            if not chunk:
                raise ConnectionError(f"connection closed by the server, unread: {self._framer.pending()!r}")
            self._framer.feed(chunk)
        return reply

    def arrived(self):
        """The replies that are there already."""
        replies = []
        while True:
            while (reply := self._framer.next_reply()) is not None:
                replies.append(reply)
            if not select.select([self._socket], [], [], 0)[0]:
                return replies
            self._framer.feed(self._socket.recv(1 << 18) or b"-ERR closed\r\n")

    def call(self, *args):
        self.send(*args)
        return self.read()

    def value(self, *args):
        """Like call, but the decoded reply; an error reply is raised."""
        value = decode(self.call(*args))
        if isinstance(value, ReplyError):
            raise value
        return value

    def pipeline(self, commands, splits=()):
        self.send_bytes(b"".join(map(encode, commands)), splits)
        return [self.read() for _ in commands]

    def read_to_end(self):
        """All bytes until the server closes the connection."""
        received = bytearray(self._framer.pending())
        while chunk := self._receive_or_reset():
            received += chunk
        return bytes(received)

    def finish_sending(self):
        self._socket.shutdown(socket.SHUT_WR)

    def set_timeout(self, seconds):
        self._socket.settimeout(seconds)

    def _receive_or_reset(self):
        try:
            return self._socket.recv(1 << 18)
        except ConnectionResetError:
            return b""


def connect(address, timeout):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(address)
        if family == socket.AF_INET:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        connection.close()
        raise
    return connection


def wait_until(condition, seconds, what):
    """Polls until `condition()` is true; its last value is returned."""
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.005)
