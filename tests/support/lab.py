"""What a test function is given: it starts servers, and whatever it started is gone when the test ends."""

import contextlib
import functools
import pathlib
import shutil
import tempfile

from support.certificates import Certificates
from support.companion import Gate
from support.servers import Crash, LarderServer, PostgresServer, RedisCluster, RedisSentinels, RedisServer, StandInServer

BACKENDS = ("memory", "postgres", "redis")


class Skip(Exception):
    """Raised by a test that cannot run here; the text says what is missing."""


def on_backends(*backends):
    """Makes one test per backend out of `test(lab, backend)`."""

    def mark(test):
        test.backends = backends or BACKENDS
        return test

    return mark


def demanding(test):
    """The test measures memory, loads the machine or waits for Sentinels: two at a time run, when the others have ended."""
    test.demanding = True
    return test


class Lab:
    """Servers and files of one test.

    Invariant: close() stops the servers in the reverse order of their start and removes their directories, whatever
    the test did.
    """

    def __init__(self, binary, template, arguments, temporary_root):
        self.binary = pathlib.Path(binary)
        self.arguments = arguments
        self.notes = []
        self.servers = []
        self._template = template
        self._directory = pathlib.Path(tempfile.mkdtemp(dir=temporary_root))
        self._directory.chmod(0o755)  # PostgreSQL's user must be able to pass
        self._stack = contextlib.ExitStack()

    def redis(self, *options, **tls):
        return self._adopt(RedisServer(self.path("redis"), *options, **tls))

    def certificates(self):
        return Certificates(self.path("certificates"))

    def redis_cluster(self, *options, **shape):
        """Now and then a node closes a connection meanwhile and says nothing of it."""
        return self._made_at_second_try(RedisCluster, "cluster", options, shape)

    def redis_sentinels(self, *options, **shape):
        """On a busy machine they may fail the master over before they have all met."""
        return self._made_at_second_try(RedisSentinels, "sentinels", options, shape)

    def _made_at_second_try(self, kind, name, options, shape):
        try:
            servers = kind(self.path(name), *options, **shape)
        except RuntimeError as fault:
            self.note(f"made anew: {str(fault).splitlines()[0]}")
            servers = kind(self.path(name), *options, **shape)
        return self._adopt(servers)

    def postgres(self):
        return self._adopt(PostgresServer(self.path("postgres"), self._template))

    def gate(self, server, **options):
        """A way to `server` that can be cut."""
        return self.closing(Gate(self.program("gate"), server, **options))

    def program(self, name):
        """A program of the tests' own, of the same build as Larder."""
        if self.stand_in:
            self.skip("the tests' own programs are beside Larder")
        return self.binary.parent / "tests" / name / name

    def behind(self, backend):
        """A fresh server for that backend; None for memory, which needs none."""
        return {"memory": lambda: None, "postgres": self.postgres, "redis": self.redis,
                "cluster": lambda: self.redis_cluster(replicas=False)}[backend]()

    def larder(self, backend="memory", behind=None, **settings):
        """Larder on `backend`, or on redis for "cluster"; starts what it needs behind it unless `behind` is given."""
        if behind and self.stand_in:
            self.skip("redis-server cannot stand in for a Larder that shares its backend")
        behind = behind or self.behind(backend)
        backend = "redis" if backend == "cluster" else backend
        server_type = StandInServer if self.stand_in else LarderServer
        return self._adopt(server_type(self.binary, self.path("larder"), backend, behind, **settings))

    @property
    def stand_in(self):
        return self.binary.name == "redis-server"

    @functools.cached_property
    def sanitized(self):
        """Built with a sanitizer: memory and speed say nothing then."""
        program = self.binary.read_bytes()
        return b"__asan_init" in program or b"__tsan_init" in program

    def path(self, name):
        """A path in the test's own directory that no one uses yet."""
        number = 1
        while (candidate := self._directory / f"{name}{number}").exists():
            number += 1
        return candidate

    def closing(self, resource):
        """Closes `resource` at the end of the test."""
        self._stack.callback(resource.close)
        return resource

    def note(self, text):
        """A line printed below the test's own."""
        self.notes.append(text)

    def skip(self, reason):
        raise Skip(reason)

    def logs(self):
        """What the servers said last."""
        return "".join(f"--- log of {server.name} (pid {server.process.pid}):\n{last_lines(server.process.log())}"
                       for server in self.servers)

    def stop_servers(self):
        """Ends the servers and raises what the first of them did wrong at its end."""
        self._stack.close()

    def close(self):
        shutil.rmtree(self._directory, ignore_errors=True)

    def _adopt(self, server):
        self.servers.append(server)
        self._stack.callback(stop_if_running, server)
        return server


def last_lines(text, limit=25):
    return "".join(text.splitlines(keepends=True)[-limit:])


def stop_if_running(server):
    if server.process.running():
        server.stop()
    elif isinstance(server, LarderServer) and server.process.wait(0) not in (0, -9):
        raise Crash(f"larder ended by itself with exit code {server.process.wait(0)}")
