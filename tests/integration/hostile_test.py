"""Clients that mean ill: Larder's memory stays within its limits, and others are answered all the while."""

import contextlib
import os
import random
import resource
import socket
import threading
import time

from support.lab import demanding, on_backends
from support.resp import connect, encode, wait_until

MB = 1 << 20
SLOWEST_PING_S = 1.5
IDLE_CONNECTIONS = 10_000
IDLE_CONNECTION_BYTES = 8 << 10


class Bystander:
    """Pings a server all the time on a few connections, and notes its memory.

    Life: between `with` and its end; then `check` says whether anybody was harmed.
    """

    def __init__(self, lab, server, connections=4):
        self._lab, self._server = lab, server
        self._clients = [server.connect(timeout=30) for _ in range(connections)]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._ping, daemon=True)
        self.slowest_s, self.pings, self.failure = 0.0, 0, None
        self.before_bytes = self.most_bytes = server.process.resident_bytes()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join()
        for client in self._clients:
            client.close()

    def _ping(self):
        try:
            while not self._stopping.wait(0.005):
                for client in self._clients:
                    started = time.monotonic()
                    assert client.call("PING") == b"+PONG\r\n"
                    self.slowest_s = max(self.slowest_s, time.monotonic() - started)
                    self.pings += 1
                self.most_bytes = max(self.most_bytes, self._server.process.resident_bytes())
        except Exception as failure:  # raised again by check()
            self.failure = failure

    def check(self, most_growth_bytes):
        if self.failure:
            raise self.failure
        growth = self.most_bytes - self.before_bytes
        self._lab.note(f"{self.pings} pings, the slowest {self.slowest_s * 1000:.1f} ms; "
                       f"memory grew by {growth / MB:.1f} MB")
        assert self.pings > 0 and self.slowest_s < SLOWEST_PING_S, f"a PING took {self.slowest_s:.2f} s"
        assert self._lab.sanitized or growth <= most_growth_bytes, f"memory grew by {growth / MB:.1f} MB"


@demanding
def test_a_gigabyte_of_garbage(lab):
    larder = lab.larder()
    noise = random.Random(lab.arguments.seed).randbytes(MB)
    lines = b"".join(b"%b\r\n" % noise[n : n + 499].hex().encode() for n in range(0, MB // 2, 499))
    with Bystander(lab, larder) as bystander:
        for garbage in (noise, lines, b"\0" * MB, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$99999\r\n" + noise):
            pour(larder, garbage, 256 * MB)
    bystander.check(most_growth_bytes=64 * MB)


def pour(server, garbage, total_bytes):
    """Sends it until the total is taken, on a new connection whenever the server closes one, and reads what comes."""
    garbage, sent = memoryview(garbage), 0
    while sent < total_bytes:
        with connect(server.address, timeout=30) as connection:
            reader = threading.Thread(target=discard, args=(connection,), daemon=True)
            reader.start()
            try:
                while sent < total_bytes:
                    position = 0
                    while position < len(garbage):
                        position += (taken := connection.send(garbage[position:]))
                        sent += taken
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            reader.join()


def discard(connection):
    try:
        while connection.recv(1 << 20):
            pass
    except OSError:
        pass


@demanding
def test_announcements_cost_nothing(lab):
    """Arrays of a million elements and bulks of 512 MB, announced by many who then send nothing, or little."""
    larder = lab.larder()
    big_set = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n"
    announcements = (b"*1000000\r\n", b"*1000000\r\n$3\r\nDEL\r\n$1\r\na\r\n", big_set, big_set + b"v" * 1000)
    with Bystander(lab, larder) as bystander:
        connections = [connect(larder.address, timeout=30) for _ in range(200)]
        for number, connection in enumerate(connections):
            connection.sendall(announcements[number % len(announcements)])
        for _ in range(3):
            time.sleep(0.2)
            for connection in connections[3::4]:
                connection.sendall(b"v" * 100)
        for connection in connections:
            connection.close()
    bystander.check(most_growth_bytes=24 * MB)


@demanding
def test_a_request_longer_than_the_query_buffer_may_be_ends_its_connection(lab):
    """At once, not when somebody looks at the limits next."""
    larder = lab.larder(config={"server.client_query_buffer_limit": "1mb"})
    argument = b"$1000000\r\n" + b"v" * 1_000_000 + b"\r\n"
    with Bystander(lab, larder) as bystander:
        for beginning in (b"*1000000\r\n", b"*2\r\n$4\r\nECHO\r\n$300000000\r\n"):
            with connect(larder.address, timeout=30) as connection, contextlib.suppress(ConnectionError):
                connection.sendall(beginning)
                for _ in range(300):
                    connection.sendall(argument)
                assert connection.recv(1) == b""
        with larder.connect() as client:
            assert client.call("SET", "k", "v" * 1_000_000) == b"+OK\r\n"
    bystander.check(most_growth_bytes=8 * MB)


@on_backends()
def test_a_million_arguments_are_taken(lab, backend):
    larder = lab.larder(backend)
    with larder.connect(timeout=60) as client:
        client.call("SET", "a", "1")
        assert client.call("EXISTS", *["a"] * 999_999) == b":999999\r\n"
        assert client.call("PING") == b"+PONG\r\n"


@demanding
def test_half_a_command_and_then_silence(lab):
    larder = lab.larder()
    request = encode(("SET", "key", "v" * 500))
    with Bystander(lab, larder) as bystander:
        clients = [larder.connect() for _ in range(300)]
        cuts = [number % (len(request) - 1) + 1 for number in range(len(clients))]
        for client, cut in zip(clients, cuts):
            client.send_bytes(request[:cut])
        time.sleep(0.5)
        for client, cut in zip(clients, cuts):
            client.send_bytes(request[cut:])
            assert client.read() == b"+OK\r\n"
            client.close()
    bystander.check(most_growth_bytes=16 * MB)


@on_backends()
@demanding
def test_a_client_that_never_reads(lab, backend):
    """It asks for gigabytes. Larder stops reading from it; when it reads at last, nothing is missing."""
    if lab.stand_in:
        lab.skip("redis-server takes the memory")
    larder = lab.larder(backend)
    value = os.urandom(MB)
    expected = b"$%d\r\n%b\r\n" % (MB, value)
    with larder.connect(timeout=60) as client:
        client.call("SET", "big", value)
        with Bystander(lab, larder) as bystander:
            sent = send_until_blocked(client, encode(("GET", "big")), 200_000)
            assert sent > 100, "hardly anything was sent"
            for number in range(min(sent, 300)):
                assert client.read() == expected, f"reply {number} is another"
        bystander.check(most_growth_bytes=96 * MB)


def send_until_blocked(client, request, limit):
    """Sends requests until the server takes no more for a second; returns how many went out whole."""
    client.set_timeout(1.0)
    sent, batch = 0, request * 100
    try:
        while sent < limit:
            client.send_bytes(batch)
            sent += 100
    except TimeoutError:
        pass
    client.set_timeout(60)
    return sent


@demanding
def test_ten_thousand_idle_connections(lab):
    """Each has been used once. The limit is of resident memory, so that it holds on any machine."""
    if lab.sanitized or lab.stand_in:
        lab.skip("memory per connection says nothing about this program")
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files < IDLE_CONNECTIONS + 500:
        lab.skip(f"only {files} open files are allowed")
    larder = lab.larder(config={"server.maxclients": IDLE_CONNECTIONS + 100})
    before = larder.process.resident_bytes()
    connections = [connect(larder.address, timeout=30) for _ in range(IDLE_CONNECTIONS)]
    try:
        for connection in connections:
            connection.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n")
        for connection in connections:
            assert connection.recv(100) == b"+OK\r\n"
        each = (larder.process.resident_bytes() - before) / IDLE_CONNECTIONS
        lab.note(f"{each:.0f} bytes of resident memory each")
        assert each <= IDLE_CONNECTION_BYTES
        with larder.connect() as client:
            assert client.call("PING") == b"+PONG\r\n"
    finally:
        for connection in connections:
            connection.close()
    wait_until(lambda: larder.info("clients")["connected_clients"] == "1", 10, "the connections to be gone")


@on_backends()
def test_senders_of_single_bytes(lab, backend):
    larder = lab.larder(backend)
    requests = [encode(("SET", f"slow{n}", f"value{n}")) + encode(("GET", f"slow{n}")) for n in range(30)]
    clients = [larder.connect() for _ in requests]
    with Bystander(lab, larder) as bystander:
        for position in range(max(map(len, requests))):
            for client, request in zip(clients, requests):
                client.send_bytes(request[position : position + 1])
        for number, client in enumerate(clients):
            text = b"value%d" % number
            assert [client.read(), client.read()] == [b"+OK\r\n", b"$%d\r\n%b\r\n" % (len(text), text)]
            client.close()
    bystander.check(most_growth_bytes=16 * MB)
