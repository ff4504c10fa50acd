"""The servers of the tests: redis-server, a private PostgreSQL, and Larder on each backend."""

import binascii
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import time

from support.process import Process, free_port, user_group
from support.resp import Client, ReplyError, decode, to_bytes, wait_until

READY_SECONDS = 60.0


class Crash(AssertionError):
    """Larder has ended by itself, or not with exit code 0."""


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
        with server.connect(timeout=2) as client:
            return client.call("PING").startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False


class RedisServer:
    """redis-server 7.0 without persistence; it can be stopped and started again on the same port.

    With `certificates` its port speaks TLS; `shown` is what its clients then show it.
    """

    name = "redis-server"

    def __init__(self, directory, *options, certificates=None, shown=None, wait=True):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        self.unix_path = str(self.directory / "redis.sock")
        self._tls = certificates.client_context(shown) if certificates else None
        self._options = options
        self.move()
        self.start(wait)

    def move(self):
        """The next start is on another port."""
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        self.url = f"{'rediss' if self._tls else 'redis'}://127.0.0.1:{self.port}"
        self._port_options = ("--port", 0, "--tls-port", self.port) if self._tls else ("--port", self.port)

    def start(self, wait=True):
        self.process = Process(
            ["redis-server", *self._port_options, "--unixsocket", self.unix_path, "--dir", self.directory, "--save",
             "", "--appendonly", "no", "--loglevel", "warning", "--enable-debug-command", "yes",
             *self._options],
            self.directory / "log",
            env=clean_environment(),
        )
        if wait:
            self.wait_ready()

    def wait_ready(self):
        wait_ready(self, answers_ping)

    def connect(self, protocol=2, **options):
        return Client(self.address, protocol, tls=self._tls, **options)

    def stop(self):
        self.process.stop()

    def crash(self):
        self.process.kill()


class RedisCluster:
    """A Redis Cluster of three masters (nodes 0 to 2) and a replica of each (nodes 3 to 5)."""

    name = "redis-cluster"
    SLOTS = 16384

    def __init__(self, directory, *options, masters=3, replicas=True, certificates=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        count = masters * (2 if replicas else 1)
        self._node_options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000",
                              "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0",
                              "--repl-ping-replica-period", "1", *options]
        # Redis' own choice of a port for the bus, port + 10000, may be one of an outgoing connection.
        self._bus_ports = [free_port() for _ in range(count)]
        if certificates:
            self._node_options += [*certificates.redis_options(), "--tls-cluster", "yes", "--tls-replication", "yes"]
        self._scheme = "rediss-cluster" if certificates else "redis-cluster"
        self.nodes = [RedisServer(self.directory / f"node{n}", *self._node_options, "--cluster-port", bus_port,
                                  certificates=certificates, wait=False)
                      for n, bus_port in enumerate(self._bus_ports)]
        for node in self.nodes:
            node.wait_ready()
        try:
            self._join(masters)
        except Exception as fault:
            logs = "".join(f"--- port {node.port}, running: {node.process.running()}\n{node.process.log()}" for node in self.nodes)
            self.stop()
            raise RuntimeError(f"the nodes do not make a cluster: {fault}\n{logs}") from fault

    def _join(self, masters):
        clients = [node.connect() for node in self.nodes]
        try:
            share = -(-self.SLOTS // masters)
            for n, client in enumerate(clients[:masters]):
                client.value("CLUSTER", "ADDSLOTSRANGE", n * share, min((n + 1) * share, self.SLOTS) - 1)
            for n, client in enumerate(clients):
                client.value("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
            for client in clients[1:]:
                client.value("CLUSTER", "MEET", *self.nodes[0].address, self._bus_ports[0])
            wait_until(lambda: all(client.value("CLUSTER", "INFO").count(b"cluster_known_nodes:%d\r" % len(clients))
                                   for client in clients), READY_SECONDS, "the nodes to meet")
            ids = [client.value("CLUSTER", "MYID") for client in clients]
            for n, client in enumerate(clients[masters:]):
                client.value("CLUSTER", "REPLICATE", ids[n])
            wait_until(lambda: all(self._is_ready(client, len(clients) - masters) for client in clients), READY_SECONDS,
                       "the cluster")
        finally:
            for client in clients:
                client.close()

    def add_node(self):
        """A master without slots, known to all."""
        node = RedisServer(self.directory / f"node{len(self.nodes)}", *self._node_options, "--cluster-port",
                           port := free_port())
        self.nodes.append(node)
        self._bus_ports.append(port)
        with node.connect() as client:
            client.value("CLUSTER", "SET-CONFIG-EPOCH", len(self.nodes))
            client.value("CLUSTER", "MEET", *self.nodes[0].address, self._bus_ports[0])
            known = b"cluster_known_nodes:%d\r" % len(self.nodes)
            for other in self.nodes:
                with other.connect() as its_client:
                    wait_until(lambda its_client=its_client: known in its_client.value("CLUSTER", "INFO"), READY_SECONDS,
                               "the nodes to meet")
            wait_until(lambda: b"cluster_state:ok" in client.value("CLUSTER", "INFO"), READY_SECONDS, "the new node")
        return node

    @staticmethod
    def _is_ready(client, replicas):
        if b"cluster_state:ok" not in client.value("CLUSTER", "INFO"):
            return False
        if sum(len(entry) - 3 for entry in client.value("CLUSTER", "SLOTS")) != replicas:
            return False
        text = client.value("INFO", "replication")
        return b"role:master" in text or b"master_link_status:up" in text

    @property
    def url(self):
        return f"{self._scheme}://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    @property
    def process(self):
        return self.nodes[0].process

    def owner(self, key):
        """The node that serves the key's slot now, by what the other nodes say."""
        slot = key if isinstance(key, int) else key_slot(key)
        for node in self.nodes:
            if not node.process.running():
                continue
            with node.connect() as client:
                for first, last, master, *_ in client.value("CLUSTER", "SLOTS"):
                    if first <= slot <= last:
                        return self.node_at(master[1])
        raise LookupError(f"nobody serves slot {slot}")

    def agrees_on(self, slot, owner):
        """Whether every node says that `owner` serves the slot, and has heard of that from it.

        A node that was told of a move and has not heard of its epoch takes none of its own when it is given the slot
        back, and the others do not believe it.
        """
        epochs = set()

        def says_so(node):
            with node.connect() as client:
                epochs.add(re.search(rb"cluster_current_epoch:(\d+)", client.value("CLUSTER", "INFO"))[1])
                return any(first <= slot <= last and master[1] == owner.port
                           for first, last, master, *_ in client.value("CLUSTER", "SLOTS"))
        return all(says_so(node) for node in self.nodes if node.process.running()) and len(epochs) == 1

    def node_at(self, port):
        return next(node for node in self.nodes if node.port == port)

    def replica_of(self, master):
        return self.nodes[self.nodes.index(master) + len(self.nodes) // 2]

    def connect(self, protocol=2, **options):
        """A client that follows redirects."""
        return ClusterClient(self, protocol, **options)

    def stop(self):
        for node in self.nodes:
            if node.process.running():
                node.process.kill()  # there is nothing to save

    def crash(self):
        self.stop()


class ClusterClient:
    """Straight to a cluster: a connection to each node, redirects followed. One command at a time."""

    def __init__(self, cluster, protocol=2, **options):
        self._cluster, self._protocol, self._options = cluster, protocol, options
        self._clients = {}
        self._owners = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def call(self, *args):
        """The second word is taken for the key."""
        slot = key_slot(to_bytes(args[1]))
        port = self._owners.get(slot) or self._cluster.owner(slot).port
        for _ in range(100):
            reply = self._client(port).call(*args)
            if reply.startswith((b"-TRYAGAIN", b"-CLUSTERDOWN")):
                time.sleep(0.01)
            elif reply.startswith(b"-MOVED"):
                port = self._owners[slot] = int(reply.strip().rsplit(b":", 1)[1])
            elif reply.startswith(b"-ASK"):
                client = self._client(int(reply.strip().rsplit(b":", 1)[1]))
                reply = client.pipeline([("ASKING",), args])[1]
                if not reply.startswith(b"-TRYAGAIN"):
                    return reply
            else:
                return reply
        return reply

    def value(self, *args):
        value = decode(self.call(*args))
        if isinstance(value, ReplyError):
            raise value
        return value

    def pipeline(self, commands):
        return [self.call(*command) for command in commands]

    def _client(self, port):
        if port not in self._clients:
            self._clients[port] = self._cluster.node_at(port).connect(self._protocol, **self._options)
        return self._clients[port]


class Sentinel:
    """One Sentinel that watches a master which is there already."""

    name = "redis-sentinel"

    def __init__(self, directory, master_name, master, *lines, certificates=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        self._tls = certificates.client_context() if certificates else None
        ports = ["port 0", f"tls-port {self.port}", "tls-replication yes"] if certificates else [f"port {self.port}"]
        self._file = self.directory / "sentinel.conf"
        # Until they are all there nothing that is slow is to be found down.
        settings = [*ports, "bind 127.0.0.1", f"dir {self.directory}", "loglevel warning",
                    f"sentinel monitor {master_name} 127.0.0.1 {master.port} 2",
                    f"sentinel down-after-milliseconds {master_name} 60000",
                    f"sentinel failover-timeout {master_name} 3000", *lines]
        self._file.write_text("\n".join(settings) + "\n")
        self.start()

    def start(self):
        self.process = Process(["redis-server", self._file, "--sentinel"], self.directory / "log",
                               env=clean_environment())

    def connect(self, password=None, **options):
        client = Client(self.address, tls=self._tls, **options)
        if password:
            client.value("AUTH", password)
        return client


class RedisSentinels:
    """A master (node 0), two replicas of it and three Sentinels; `password` is what the Sentinels ask for."""

    name = "redis-sentinels"
    MASTER_NAME = "mymaster"

    def __init__(self, directory, *options, password=None, certificates=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        self.password = password
        tls_options = certificates.redis_options() if certificates else ()
        self._scheme = "rediss-sentinel" if certificates else "redis-sentinel"
        node_options = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1", *tls_options,
                        *(["--tls-replication", "yes"] if certificates else []), *options]
        self.nodes = [RedisServer(self.directory / "node0", *node_options, certificates=certificates)]
        for n in (1, 2):
            self.nodes.append(RedisServer(self.directory / f"node{n}", *node_options, "--replicaof", "127.0.0.1",
                                          self.nodes[0].port, certificates=certificates))
        wait_until(lambda: all(map(is_linked, self.nodes[1:])), READY_SECONDS, "the replicas")
        lines = [f"requirepass {password}"] if password else []
        lines += [f"{name.removeprefix('--')} {value}" for name, value in zip(tls_options[::2], tls_options[1::2])]
        self.sentinels = [Sentinel(self.directory / f"sentinel{n}", self.MASTER_NAME, self.nodes[0], *lines,
                                   certificates=certificates) for n in range(3)]
        try:
            for sentinel in self.sentinels:
                wait_ready(sentinel, lambda sentinel: self._is_ready(sentinel))
        except RuntimeError:
            self.stop()
            raise
        for sentinel in self.sentinels:
            with sentinel.connect(self.password) as client:
                client.value("SENTINEL", "SET", self.MASTER_NAME, "down-after-milliseconds", 1500)

    def _is_ready(self, sentinel):
        """It knows the other two and both replicas."""
        try:
            with sentinel.connect(self.password) as client:
                fields = client.value("SENTINEL", "MASTER", self.MASTER_NAME)
        except OSError:
            return False
        known = dict(zip(fields[::2], fields[1::2]))
        return (known[b"num-slaves"], known[b"num-other-sentinels"], known[b"flags"]) == (b"2", b"2", b"master")

    @property
    def url(self):
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"{self._scheme}://{hosts}/{self.MASTER_NAME}"

    @property
    def process(self):
        return self.nodes[0].process

    def masters(self):
        """The nodes that a Sentinel of those that run says are the master: two during a failover."""
        named = set()
        for sentinel in self.sentinels:
            if sentinel.process.running():
                with sentinel.connect(self.password) as client:
                    _, port = client.value("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.MASTER_NAME)
                    named.add(int(port))
        return [node for node in self.nodes if node.port in named]

    def master(self):
        """The node that all Sentinels say is the master."""
        return wait_until(lambda: masters[0] if len(masters := self.masters()) == 1 else None, READY_SECONDS,
                          "the Sentinels to agree")

    def is_whole(self):
        """All Sentinels agree on one master and see two good replicas, which have all that it has."""
        masters = self.masters()
        return (len(masters) == 1 and all(map(self._is_ready, self.sentinels))
                and all(is_linked(node) for node in self.nodes if node not in masters))

    def fail_over(self):
        with self.sentinels[0].connect(self.password) as client:
            client.value("SENTINEL", "FAILOVER", self.MASTER_NAME)

    def connect(self, protocol=2, **options):
        return self.master().connect(protocol, **options)

    def stop(self):
        for server in (*self.sentinels, *self.nodes):
            if server.process.running():
                server.process.kill()  # there is nothing to save

    def crash(self):
        self.stop()


def is_linked(node):
    """Whether a replica has all that its master has."""
    return b"master_link_status:up" in replication_of(node)


def replication_of(node):
    """Empty when the connection was cut, as Sentinels do with those of a node that they make a replica."""
    try:
        with node.connect() as client:
            return client.value("INFO", "replication")
    except ConnectionError:
        return b""


def key_slot(key):
    """CRC16 (XMODEM) of the key or its {tag}, as in the specification of Redis Cluster."""
    key = to_bytes(key)
    start = key.find(b"{")
    end = key.find(b"}", start + 1)
    if start >= 0 and end > start + 1:
        key = key[start + 1 : end]
    return binascii.crc_hqx(key, 0) % RedisCluster.SLOTS


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

    def kill(self):
        """SIGKILL for all of its processes: none can do anything any more."""
        self.process.kill_family()


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

    `config` are settings that have no flag, by their key ("server.timeout"); values as in TOML. With `certificates` its
    only port speaks TLS; `shown` is what its clients then show it.
    """

    name = "larder"

    def __init__(self, binary, directory, backend, behind=None, options=(), config=None, env=None, workers=2,
                 certificates=None, shown=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        self.binary = binary
        self.backend = backend
        self.behind = behind
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        self.config = config or {}
        self._tls = certificates.client_context(shown) if certificates else None
        ports = ["--port", self.port]
        if certificates:
            ports = ["--port", "off", "--tls-port", self.port, "--tls-cert-file", certificates.server_cert,
                     "--tls-key-file", certificates.server_key]
        self.options = [*ports, "--backend", backend, "--workers", workers,
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
        return Client(self.address, protocol, tls=self._tls, **options)

    def stop(self):
        """SIGTERM must end it with exit code 0; a sanitizer's report makes another one."""
        code = self.process.stop()
        if code != 0:
            raise Crash(f"larder ended with exit code {code}")

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
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
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
