"""Values of hundreds of megabytes: a time-out does not run while their bytes move, however slowly."""

import contextlib
import socket
import threading
import time

from support.lab import demanding
from support.resp import encode

MB = 1 << 20


class SlowWay:
    """A port that leads to `server`, a megabyte at a time with a pause."""

    def __init__(self, server, pause_s):
        self._server, self._pause_s = server, pause_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        # Inherited by connections: what is on its way without moving is little, or the end of a value takes its time.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MB // 4)
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                far = socket.create_connection(self._server.address)
                far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MB // 4)
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source, target):
        with contextlib.suppress(OSError):
            while chunk := source.recv(MB):
                target.sendall(chunk)
                if len(chunk) > MB // 8:
                    time.sleep(self._pause_s * len(chunk) / MB)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._listener.close()


def exactly(client, size):
    received = bytearray(size)
    position = 0
    with memoryview(received) as room:
        while position < size and (count := client.recv_into(room[position:])):
            position += count
            if received.startswith(b"-"):
                raise AssertionError(bytes(received[:200]))
    return received


def check(lab, larder, size, slowest_s=0):
    """It is stored and read, longer than a command may take, while others are served."""
    value = bytes(range(256)) * (size // 256)
    with (socket.create_connection(larder.address, timeout=60) as client, larder.connect(timeout=60) as other):
        assert other.value("SET", "small", "v") == b"OK"
        for request, expected in ((encode(["SET", "large", value]), b"+OK\r\n"),
                                  (encode(["GET", "large"]), b"$%d\r\n%b\r\n" % (size, value))):
            started = time.monotonic()
            client.sendall(request)
            other.send("GET", "small")
            assert exactly(client, len(expected)) == expected
            took_s = time.monotonic() - started
            assert other.read() == b"$1\r\nv\r\n"
            lab.note(f"{request[:12]!r}: {took_s:.1f} s")
            assert took_s > slowest_s


@demanding
def test_a_value_takes_longer_than_a_command_may(lab):
    way = lab.closing(SlowWay(lab.redis(), pause_s=0.05))
    larder = lab.larder("redis", way, config={"redis.command_timeout": "2s", "redis.ping_timeout": "2s"})
    check(lab, larder, 64 * MB, slowest_s=2.4)
    tiers = larder.info("tiers")
    assert (tiers["backend_timeouts"], tiers["backend_reconnects"]) == ("0", "0"), tiers


@demanding
def test_300_megabytes_on_redis(lab):
    """With the time-outs that are the default."""
    larder = lab.larder("redis")
    with larder.connect(timeout=60) as client:
        assert client.call("SET", "large", bytes(MB) * 299 + b"x" * MB) == b"+OK\r\n"
        assert client.value("STRLEN", "large") == 300 * MB
        assert client.value("GETRANGE", "large", 299 * MB - 1, 299 * MB) == b"\0x"
    assert larder.info("tiers")["backend_timeouts"] == "0"


@demanding
def test_64_megabytes_on_postgres(lab):
    larder = lab.larder("postgres")
    check(lab, larder, 64 * MB)
    assert larder.info("tiers")["postgres_lost_connections"] == "0"
