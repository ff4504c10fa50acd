"""The test bed: starts Larder and its peers on free ports with data of their own, and ends them by pid."""

import contextlib
import dataclasses
import functools
import pathlib
import shutil
import tempfile

from support.companion import Gate
from support.process import Process, free_port
from support.resp import Client
from support.servers import (LarderServer, PostgresServer, RedisServer, StandInServer, answers_ping, clean_environment,
                             wait_ready)


class Nutcracker:
    """nutcracker in front of one redis-server."""

    name = "nutcracker"

    def __init__(self, directory, behind):
        directory.mkdir(parents=True)
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        settings = directory / "nutcracker.yml"
        settings.write_text(f"pool:\n  listen: 127.0.0.1:{self.port}\n  redis: true\n  preconnect: true\n"
                            f"  servers:\n   - 127.0.0.1:{behind.port}:1\n")
        self.process = Process(
            ["nutcracker", "-c", settings, "-o", directory / "log", "-p", directory / "pid", "-a", "127.0.0.1",
             "-s", free_port()],
            directory / "output", env=clean_environment())
        wait_ready(self, answers_ping)

    def connect(self, **options):
        return Client(self.address, **options)

    def stop(self):
        self.process.stop()


@dataclasses.dataclass
class Bed:
    """What a row is given. Servers started in a row end with it: see `row()`."""

    binary: pathlib.Path
    quick: bool
    directory: pathlib.Path
    _servers: contextlib.ExitStack = dataclasses.field(default_factory=contextlib.ExitStack)
    _started: int = 0

    @classmethod
    @contextlib.contextmanager
    def make(cls, binary, quick):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="larder-bench-"))
        directory.chmod(0o755)  # PostgreSQL's user must be able to pass
        try:
            yield cls(pathlib.Path(binary), quick, directory)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    @contextlib.contextmanager
    def row(self):
        """Ends, when left, the servers that were started inside."""
        with self._servers:
            yield self

    @property
    def rounds(self):
        return 3 if self.quick else 5

    def scaled(self, requests):
        return requests // 3 if self.quick else requests

    def redis(self, *options):
        return self._adopt(RedisServer(self._path("redis"), *options))

    def nutcracker(self, behind):
        return self._adopt(Nutcracker(self._path("nutcracker"), behind))

    def gate(self, server):
        """A way to `server` that can be made longer."""
        gate = Gate(self.program("tests/gate/gate"), server)
        self._servers.callback(gate.stop)
        return gate

    def program(self, path):
        """One of the same build as Larder."""
        return self.binary.parent / path

    def postgres(self):
        return self._adopt(PostgresServer(self._path("postgres"), self._cluster))

    def larder(self, backend="memory", behind=None, *options):
        """One worker, so that CPU per request is that of one event loop."""
        kind = StandInServer if self.binary.name == "redis-server" else LarderServer
        return self._adopt(kind(self.binary, self._path("larder"), backend, behind, options, workers=1))

    @functools.cached_property
    def _cluster(self):
        return PostgresServer.make_template(self.directory)

    def _adopt(self, server):
        self._servers.callback(lambda: server.process.running() and server.stop())
        return server

    def _path(self, name):
        self._started += 1
        return self.directory / f"{name}{self._started}"
