"""The servers of the tests: redis-server, a private PostgreSQL, and Larder on each backend."""

import os
import pathlib
import pwd
import shutil
import signal
import subprocess

from support.process import Process, free_port, user_group
from support.resp import Client, wait_until

READY_SECONDS = 20.0


def wait_ready(server, ready):
    """Polls until `ready(server)`; a server that does not come up is killed and its log is the error."""
    try:
        wait_until(lambda: still_running(server) and ready(server), READY_SECONDS, server.name)
    except TimeoutError:
        server.process.kill()
        raise RuntimeError(f"{server.name} is not ready after {READY_SECONDS} s:\n{server.process.log()}") from None


def still_running(server):
    if server.process.running():
        return True
    raise RuntimeError(f"{server.name} ended at its start:\n{server.process.log()}")


def answers_ping(server):
    """True once the server answers at all: an error such as NOAUTH is an answer too."""
    try:
        with Client(server.address, timeout=2) as client:
            return client.call("PING").startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False


class RedisServer:
    """redis-server 7.0 without persistence; it can be stopped and started again on the same port."""

    name = "redis-server"

    def __init__(self, directory, *options):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        self.unix_path = str(self.directory / "redis.sock")
        self.url = f"redis://127.0.0.1:{self.port}"
        self._options = options
        self.start()

    def start(self):
        self.process = Process(
            ["redis-server", "--port", self.port, "--unixsocket", self.unix_path, "--dir", self.directory,
             "--save", "", "--appendonly", "no", "--loglevel", "warning", "--enable-debug-command", "yes",
             *self._options],
            self.directory / "log",
            env=clean_environment(),
        )
        wait_ready(self, answers_ping)

    def connect(self, protocol=2, **options):
        return Client(self.address, protocol, **options)

    def stop(self):
        self.process.stop()

    def crash(self):
        self.process.kill()


class PostgresServer:
    """A private PostgreSQL on a Unix socket, copied from a cluster that is initialised once per run."""

    name = "postgres"

    def __init__(self, directory, template):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        self._cluster = self.directory / "cluster"
        self._user = unprivileged_user()
        shutil.copytree(template, self._cluster, symlinks=True)
        give_to(self._user, self.directory)
        self.url = f"postgresql://larder@/postgres?host={self.directory}"
        self.start()

    @staticmethod
    def make_template(directory):
        """Runs initdb into `directory`/template and returns that path."""
        template = pathlib.Path(directory) / "template"
        template.mkdir(parents=True)
        user = unprivileged_user()
        give_to(user, template)
        subprocess.run(
            [postgres_program("initdb"), "-D", template, "-U", "larder", "--auth=trust", "--no-sync",
             "--encoding=UTF8", "--locale=C"],
            check=True, capture_output=True, user=user, group=user_group(user), extra_groups=[] if user else None,
            cwd=template,
        )
        return template

    def start(self):
        self.process = Process(
            [postgres_program("postgres"), "-D", self._cluster, "-k", self.directory, "-c", "listen_addresses=",
             "-c", "fsync=off", "-c", "max_connections=60", "-c", "shared_buffers=32MB"],
            self.directory / "log", env=clean_environment(), user=self._user, cwd=self.directory,
        )
        wait_ready(self, lambda server: server.psql("SELECT 1", check=False).returncode == 0)

    def psql(self, sql, check=True):
        """Runs SQL as another program would; the result's stdout has bare values, one row a line."""
        command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.url, "-c", sql]
        return subprocess.run(command, check=check, capture_output=True, text=True, env=clean_environment())

    def stop(self):
        """Ends as an operator's restart does: sessions are cut, data is kept."""
        self.process.stop(signal.SIGINT)

    def crash(self):
        """Ends at once without a checkpoint; UNLOGGED tables come back empty."""
        self.process.stop(signal.SIGQUIT)


class PsqlSession:
    """A psql that stays connected: another program that changes Larder's tables."""

    def __init__(self, server):
        self._popen = subprocess.Popen(
            ["stdbuf", "-oL", "psql", "-X", "-q", "-A", "-t", server.url], env=clean_environment(), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def execute(self, sql):
        """(SQLSTATE of the statement, lines of its result); ConnectionError when the server is gone.

        The state is empty when the server went away during the statement.
        """
        try:
            self._popen.stdin.write(f"{sql};\n\\echo state :SQLSTATE\n")
            self._popen.stdin.flush()
        except OSError as problem:
            raise ConnectionError(str(problem)) from problem
        lines = []
        for line in self._popen.stdout:
            if line.startswith("state "):
                return line.removeprefix("state ").strip(), lines
            lines.append(line.rstrip("\n"))
        raise ConnectionError("psql has lost its server")

    def close(self):
        self._popen.kill()
        self._popen.communicate()


class LarderServer:
    """Larder under test. `backend` is "memory", "postgres" or "redis"; `behind` is the server behind it.

    `config` are settings that have no flag, by their key ("server.timeout"); values as in TOML.
    """

    name = "larder"

    def __init__(self, binary, directory, backend, behind=None, options=(), config=None, env=None, workers=2):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        self.binary = binary
        self.backend = backend
        self.behind = behind
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        self.config = config or {}
        self.options = ["--port", self.port, "--backend", backend, "--workers", workers,
                        *self._backend_options(), *self._config_options(), *options]
        self.env = {**clean_environment(), **(env or {})}
        self.start()

    def _backend_options(self):
        flag = {"memory": None, "redis": "--redis-url", "postgres": "--database-url"}[self.backend]
        return [flag, self.behind.url] if flag and self.behind.url else []

    def _config_options(self):
        if not self.config:
            return []
        path = self.directory / "larder.toml"
        path.write_text(toml_text(self.config))
        return ["--config", path]

    def start(self):
        self.process = Process([self.binary, *self.options], self.directory / "log", env=self.env)
        wait_ready(self, answers_ping)

    def connect(self, protocol=2, **options):
        return Client(self.address, protocol, **options)

    def stop(self):
        """SIGTERM must end it with exit code 0; a sanitizer's report makes another one."""
        code = self.process.stop()
        if code != 0:
            raise AssertionError(f"larder ended with exit code {code}")

    def crash(self):
        self.process.kill()

    def info(self, section=""):
        """Fields of INFO."""
        with self.connect() as client:
            text = client.value("INFO", *([section] if section else [])).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


class StandInServer(LarderServer):
    """redis-server in Larder's place: what fails then is a fault of the tests."""

    def start(self):
        command = ["redis-server", "--port", self.port, "--save", "", "--dir", self.directory, "--loglevel", "warning",
                   "--enable-debug-command", "yes"]
        given = dict(zip(self.options[::2], self.options[1::2])) | self.config
        for name in ("unixsocket", "bind", "requirepass", "timeout", "maxclients"):
            if (value := given.get(f"--{name}", given.get(f"server.{name}"))) is not None:
                command += [f"--{name}", str(value).removesuffix("s")]
        self.process = Process(command, self.directory / "log", env=self.env)
        wait_ready(self, answers_ping)


def toml_text(settings):
    """{"server.timeout": "1s"} as a TOML file with its tables."""
    tables = {}
    for key, value in settings.items():
        table, name = key.rsplit(".", 1)
        tables.setdefault(table, []).append(f"{name} = {toml_value(value)}")
    return "".join(f"[{table}]\n" + "\n".join(entries) + "\n" for table, entries in tables.items())


def toml_value(value):
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else f'"{value}"'


def clean_environment():
    """The environment without anything that chooses a backend."""
    prefixes = ("PG", "CACHE_", "REDIS_", "LARDER_", "DATABASE_URL", "APP_ENV", "NODE_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}


def unprivileged_user():
    """PostgreSQL refuses to run as root: the user it runs as then; None when we are not root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def give_to(user, directory):
    """Makes `user` the owner of everything below `directory`."""
    if user is None:
        return
    owner = pwd.getpwnam(user)
    for root, _, files in os.walk(directory):
        for path in (root, *(os.path.join(root, name) for name in files)):
            os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)


def postgres_program(name):
    """Debian keeps PostgreSQL's server programs out of PATH, by major version."""
    versions = pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = max(versions, key=lambda path: int(path.parts[4]), default=None)
    found = str(newest) if newest else shutil.which(name)
    if not found:
        raise RuntimeError(f"{name} is not installed")
    return found
