"""Starting, refusing to start, limits of clients, and stopping."""

import os
import pathlib
import re
import resource
import signal
import stat
import subprocess
import time

from resilience_test import await_sent
from support.lab import on_backends
from support.process import free_port
from support.resp import Client, wait_until
from support.servers import clean_environment, toml_text


def larder_says(lab, *options, env=None, expect):
    """What Larder writes when it ends by itself with exit code `expect`."""
    if lab.stand_in:
        lab.skip("about Larder's own command line")
    done = subprocess.run([lab.binary, *map(str, options)], env={**clean_environment(), **(env or {})},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
    assert done.returncode == expect, f"exit code {done.returncode}: {done.stdout}"
    return done.stdout


def written(lab, text):
    path = lab.path("larder.toml")
    path.write_text(text)
    return path


def test_port_in_use_is_one_clear_sentence(lab):
    first = lab.larder()
    said = larder_says(lab, "--backend", "memory", "--port", first.port, expect=1)
    assert str(first.port) in said and "in use" in said and "--port" in said, said
    assert len(said.strip().splitlines()) <= 3, said


def test_version(lab):
    assert re.match(r"larder \d+\.\d+\.\d+", larder_says(lab, "--version", expect=0).lower())


def test_ready_line_names_the_port(lab):
    if lab.stand_in:
        lab.skip("about Larder's log")
    larder = lab.larder()
    assert f"ready to accept connections on 127.0.0.1:{larder.port}" in larder.process.log()


@on_backends()
def test_sigterm_answers_what_was_asked(lab, backend):
    larder = lab.larder(backend)
    with larder.connect() as client, larder.connect() as idle:
        idle.call("PING")
        client.send_bytes(b"INCR n\r\n" * 400)  # one segment: all of it was read when the first reply is there
        assert client.read() == b":1\r\n"
        larder.process.send_signal(signal.SIGTERM)
        assert [client.read() for _ in range(399)] == [b":%d\r\n" % n for n in range(2, 401)]
        assert client.read_to_end() == b"" and idle.read_to_end() == b""
    assert larder.process.wait(15) == 0


def test_sigterm_waits_for_the_backend(lab):
    behind = lab.redis()
    larder = lab.larder("redis", behind)
    with larder.connect() as client:
        assert client.call("GET", "k") == b"$-1\r\n"  # there is a connection
        number = client.value("CLIENT", "ID")
        behind.process.freeze()
        client.send_bytes(b"SET k v\r\nGET k\r\n")
        await_sent(larder, number)
        larder.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "stopping: " in larder.process.log(), 10, "the signal to be heard")
        time.sleep(0.2)  # for a mistake to show itself
        behind.process.thaw()
        assert [client.read(), client.read()] == [b"+OK\r\n", b"$1\r\nv\r\n"]
    assert larder.process.wait(15) == 0


def test_unix_socket(lab):
    path = str(lab.path("larder.sock"))
    larder = lab.larder(options=("--unixsocket", path))
    with Client(path) as client:
        assert client.call("SET", "k", "v") == b"+OK\r\n"
    with larder.connect() as client:
        assert client.call("GET", "k") == b"$1\r\nv\r\n"
    if not lab.stand_in:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    larder.stop()
    assert not os.path.exists(path)


def test_unix_socket_left_by_a_crash_is_replaced(lab):
    path = str(lab.path("larder.sock"))
    larder = lab.larder(options=("--unixsocket", path))
    larder.crash()
    larder.start()
    with Client(path) as client:
        assert client.call("PING") == b"+PONG\r\n"


def test_listening_elsewhere_needs_a_password(lab):
    said = larder_says(lab, "--backend", "memory", "--port", free_port(), "--bind", "0.0.0.0", expect=1)
    assert "requirepass" in said and "allow_unprotected" in said, said
    for settings in ({"server.requirepass": "secret"}, {"server.allow_unprotected": True}):
        path = written(lab, toml_text(settings))
        larder_says(lab, "--backend", "memory", "--bind", "0.0.0.0", "--config", path, "--check-config", expect=0)


def test_maxclients(lab):
    larder = lab.larder(config={"server.maxclients": 5})
    clients = [wait_until(lambda: accepted(larder), 5, "a connection") for _ in range(5)]
    with larder.connect() as refused:
        assert refused.read_to_end() == b"-ERR max number of clients reached\r\n"
    clients.pop().close()
    clients.append(wait_until(lambda: accepted(larder), 5, "the place of the one that left"))
    for client in clients:
        assert client.call("PING") == b"+PONG\r\n"
        client.close()


@on_backends()
def test_few_descriptors_are_few_clients(lab, backend):
    """`ulimit -n`: maxclients is what it allows, and who is one too many hears so."""
    if lab.stand_in:
        lab.skip("about Larder's own descriptors")
    larder = lab.larder(backend)
    larder.stop()
    script = lab.path("with-few-descriptors")
    script.write_text(f'#!/bin/sh\nulimit -n 100\nexec {larder.binary} "$@"\n')
    script.chmod(0o755)
    larder.binary = script
    larder.start()
    with larder.connect() as client:
        most = int(client.value("CONFIG", "GET", "maxclients")[1])
        assert 10 < most < 90 and f"maxclients is {most}" in larder.process.log()
        assert client.call("CONFIG", "SET", "maxclients", most + 1) == (
            b"-ERR CONFIG SET failed (possibly related to argument 'maxclients') - The operating system is not able to "
            b"handle the specified number of clients, try with %d\r\n" % most)
        assert client.call("CONFIG", "SET", "maxclients", most) == b"+OK\r\n"
        others = [lab.closing(wait_until(lambda: accepted(larder), 5, "a connection")) for _ in range(most - 1)]
        with larder.connect() as refused:
            assert refused.read_to_end() == b"-ERR max number of clients reached\r\n"
        for other in others:
            assert other.call("SET", "k", "v") == b"+OK\r\n"


def test_nobody_hangs_without_descriptors(lab):
    """Though there are fewer than at the start: the limit is lowered while Larder runs."""
    if lab.stand_in:
        lab.skip("about Larder's own descriptors")
    larder = lab.larder()
    clients = [lab.closing(wait_until(lambda: accepted(larder), 5, "a connection")) for _ in range(3)]
    used = {int(path.name) for path in pathlib.Path(f"/proc/{larder.process.pid}/fd").iterdir()}
    limits = resource.prlimit(larder.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(larder.process.pid, resource.RLIMIT_NOFILE, (max(used) + 1, limits[1]))
    clients += [lab.closing(wait_until(lambda: accepted(larder), 5, "a connection")) for _ in range(max(used) + 1 - len(used))]
    for _ in range(20):
        with larder.connect() as refused:
            assert refused.read_to_end() == b"-ERR max number of clients reached\r\n"
    for client in clients:
        assert client.call("PING") == b"+PONG\r\n"
    assert larder.process.log().count("cannot accept a connection") == 1
    resource.prlimit(larder.process.pid, resource.RLIMIT_NOFILE, limits)
    wait_until(lambda: accepted(larder), 5, "a connection").close()


def accepted(server):
    client = server.connect()
    if client.call("PING") == b"+PONG\r\n":
        return client
    client.close()
    return None


def test_idle_clients_are_closed(lab):
    larder = lab.larder(config={"server.timeout": "1s"})
    with larder.connect() as idle, larder.connect() as busy:
        idle.call("PING")
        started = time.monotonic()
        while time.monotonic() - started < 2.0:
            assert busy.call("PING") == b"+PONG\r\n"
            time.sleep(0.1)
        idle.set_timeout(3.0)
        assert idle.read_to_end() == b""


def test_config_errors_name_file_line_and_key(lab):
    cases = (
        ("[server]\nprot = 1\n", ":2", "server.prot"), ('[server]\ntimeout = "5 parsecs"\n', ":2", "server.timeout"),
        ("[server]\n\nport = 70000\n", ":3", "server.port"), ("[server\nport = 1\n", ":1", ""),
        ('backend = "oracle"\n', ":1", "backend"), ('[l1]\nmemory = "12 apples"\n', ":2", "l1.memory"),
        ('backend = "redis"\n', "", "redis.url"), ('[l1]\neviction = "noeviction"\n', ":2", "l1.eviction"),
    )
    for text, line, key in cases:
        path = written(lab, text)
        options = ("--database-url", "postgres://u@h/d") if "eviction" in text else ()
        said = larder_says(lab, "--config", path, "--check-config", *options, expect=1)
        assert f"{path.name}{line}" in said or not line, f"{text!r} is answered {said!r}"
        assert key in said, f"{text!r} is answered {said!r}"
        assert len(said.strip().splitlines()) <= 3, said
    assert "--nosuch" in larder_says(lab, "--nosuch", expect=1)
    assert "nosuch.toml" in larder_says(lab, "--config", "nosuch.toml", expect=1)


def test_check_config_masks_secrets(lab):
    path = written(lab, toml_text({"server.requirepass": "sesame1"}))
    for env in ({"REDIS_URL": "redis://user:sesame2@h:1/0"}, {"DATABASE_URL": "postgres://user:sesame3@h/d"},
                {"DATABASE_URL": "host=h dbname=d password=sesame4"}):
        said = larder_says(lab, "--config", path, "--check-config", env=env, expect=0)
        assert "sesame" not in said and "***" in said, said


def test_environment_chooses_the_backend(lab):
    redis, database = {"REDIS_URL": "redis://h:1"}, {"DATABASE_URL": "postgres://u@h/d"}
    for env, kind in (
        (redis | database, "postgres"), (redis | database | {"NODE_ENV": "development"}, "postgres"),
        (redis | database | {"NODE_ENV": "production"}, "redis"), (database | {"NODE_ENV": "production"}, "postgres"),
        (redis | database | {"NODE_ENV": "test"}, "postgres"),
        (redis | database | {"NODE_ENV": "production", "APP_ENV": "test"}, "postgres"),
        (redis | database | {"APP_ENV": "test", "LARDER_ENV": "production"}, "redis"),
        (redis | database | {"CACHE_ADAPTER": "redis"}, "redis"),
        (redis | database | {"CACHE_ADAPTER": "memory"}, "memory"),
        (redis | {"NODE_ENV": "production", "CACHE_ADAPTER": "database"} | database, "postgres"),
    ):
        said = larder_says(lab, "--check-config", env=env, expect=0)
        assert f"The backend is {kind}" in said, f"{env} chose another: {said}"
    assert "REDIS_URL" in larder_says(lab, "--check-config", env={"CACHE_ADAPTER": "redis"}, expect=1)


def on_private_postgres(lab, data):
    if lab.stand_in:
        lab.skip("redis-server has no PostgreSQL")
    return lab.larder("postgres", behind=Nothing, config={"postgres.data_dir": str(data)})


def test_private_postgres(lab):
    """Nothing is configured: Larder starts its own PostgreSQL, as root under another user, and stops it at its end."""
    data = lab.path("data")
    larder = on_private_postgres(lab, data)
    with larder.connect() as client:
        assert client.call("SET", "k", "kept") == b"+OK\r\n"
    assert processes_in(data)
    larder.stop()
    assert not processes_in(data), "PostgreSQL still runs"
    larder.start()
    with larder.connect() as client:
        assert client.call("GET", "k") == b"$4\r\nkept\r\n"


def await_write(client):
    """Until SET works; meanwhile each one is an error."""
    def written():
        reply = client.call("SET", "k", "v")
        assert reply == b"+OK\r\n" or reply.startswith(b"-ERR the database is unreachable: "), reply
        return reply == b"+OK\r\n"
    wait_until(written, 60, "SET to work again")


def test_private_postgres_that_dies_is_started_again(lab):
    data = lab.path("data")
    larder = on_private_postgres(lab, data)
    with larder.connect() as client:
        assert client.call("SET", "k", "v") == b"+OK\r\n"
        [server] = processes_in(data)
        os.kill(server, signal.SIGKILL)
        wait_until(lambda: not pathlib.Path(f"/proc/{server}").exists(), 30, "the dead server to be reaped")
        await_write(client)
        [server] = processes_in(data)
        # When another of its processes crashes it starts them all anew by itself.
        os.kill(child_of(server, b"checkpointer"), signal.SIGKILL)
        wait_until(lambda: "terminated by signal 9" in (data / "log").read_text(), 30, "PostgreSQL to notice")
        wait_until(lambda: larder.info("tiers")["postgres_coherence"] == "listening", 60, "the L1 to be used again")
        await_write(client)
        assert processes_in(data) == [server]
    log = larder.process.log()
    assert log.count("was ended by signal 9: it is started again") == 1, log
    assert log.count("the L1 is off") <= 2 and log.count("no connection") <= 4, log


def test_private_postgres_of_two(lab):
    """The second Larder on the directory uses the first one's server, and starts its own when that one stops."""
    if lab.stand_in:
        lab.skip("redis-server has no PostgreSQL")
    data = lab.path("data")
    first, second = (lab.larder("postgres", behind=Nothing, config={"postgres.data_dir": str(data)}) for _ in range(2))
    assert "it is used and left running" in second.process.log()
    [server] = processes_in(data)
    with second.connect() as client:
        assert client.call("SET", "k", "v") == b"+OK\r\n"
        first.stop()
        wait_until(lambda: processes_in(data) not in ([], [server]), 30, "the second to start a server")
        await_write(client)
    second.stop()
    assert not processes_in(data), "PostgreSQL still runs"


def child_of(pid, title):
    """The child whose process title has the word."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return next(int(child) for child in children if title in pathlib.Path(f"/proc/{child}/cmdline").read_bytes())


class Nothing:
    """No server behind, where Larder is to find one by itself."""

    url = None


def processes_in(directory):
    """Pids of processes whose command line names the directory."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(directory).encode() in path.read_bytes() and b"postgres" in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def test_environment_test_has_a_schema_of_its_own(lab):
    """Two Larders on one database do not see each other, and leave nothing behind."""
    behind = lab.postgres()
    larders = [lab.larder("postgres", behind, env={"NODE_ENV": "test"}) for _ in range(2)]
    schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'larder%'"
    with larders[0].connect() as first, larders[1].connect() as second:
        first.call("SET", "k", "mine")
        assert second.call("GET", "k") == b"$-1\r\n"
        assert int(behind.psql(schemas).stdout) == 2
    for larder in larders:
        larder.stop()
    assert int(behind.psql(schemas).stdout) == 0


def hang_up(larder):
    """SIGHUP; returns the lines that it makes Larder log."""
    before = larder.process.log().count("SIGHUP: ")
    larder.process.send_signal(signal.SIGHUP)
    wait_until(lambda: larder.process.log().count("SIGHUP: ") > before, 5, "the file to be read again")
    time.sleep(0.05)  # a second line may follow
    return [line for line in larder.process.log().splitlines() if "SIGHUP: " in line][before:]


def test_sighup_reads_the_file_again(lab):
    """What can change does, the rest is named; flags go before the file, and CONFIG SET holds where the file is silent."""
    larder = lab.larder("memory", config={"server.maxclients": 100, "server.timeout": 0}, options=["--l1-memory", "32mb"])
    path = larder.directory / "larder.toml"
    with larder.connect() as client:
        client.value("CONFIG", "SET", "slowlog-max-len", 7)
        path.write_text('log_level = "debug"\n' + toml_text({"server.maxclients": 50, "server.timeout": "1m", "server.requirepass": "new",
                                   "server.databases": 3, "l1.memory": "64mb",
                                   "server.slowlog_log_slower_than": "off", "l1.eviction": "noeviction"}))
        said = hang_up(larder)
        assert len(said) == 2, said
        in_force, others = said[0].split("in force now: ")[1].split(", "), said[1].split("in force: ")[1].split(", ")
        assert set(in_force) == {"server.maxclients", "server.timeout", "server.requirepass", "log_level",
                                 "server.slowlog_log_slower_than", "l1.eviction"}, said
        assert others == ["server.databases"], said
        got = {name: client.value("CONFIG", "GET", name)[1] for name in
               ("maxclients", "timeout", "slowlog-max-len", "slowlog-log-slower-than", "databases", "maxmemory-policy",
                "maxmemory")}
        assert got == {"maxclients": b"50", "timeout": b"60", "slowlog-max-len": b"7", "slowlog-log-slower-than": b"-1",
                       "databases": b"16", "maxmemory-policy": b"noeviction", "maxmemory": b"33554432"}, got
        with larder.connect() as other:
            assert other.call("GET", "k").startswith(b"-NOAUTH") and other.call("AUTH", "new") == b"+OK\r\n"
        assert client.call("SET", "k", "v") == b"+OK\r\n"
    said = hang_up(larder)
    assert "in force now: nothing else than before" in said[0] and "server.databases" in said[1], said


def test_sighup_with_a_file_that_is_wrong_changes_nothing(lab):
    larder = lab.larder("memory", config={"server.maxclients": 100})
    path = larder.directory / "larder.toml"
    for text, what in (("[server]\nmaxclients = 50\nprot = 1\n", f"{path}:3: unknown key server.prot"),
                       ("[server]\nmaxclients = 50\ntimeout = \"soon\"\n", f"server.timeout ({path}:3) is \"soon\""),
                       ("[server]\nmaxclients = \n", f"{path}:2: ")):
        path.write_text(text)
        (said,) = hang_up(larder)
        assert "nothing was changed: " in said and what in said, said
        with larder.connect() as client:
            assert client.value("CONFIG", "GET", "maxclients")[1] == b"100"
    path.unlink()
    assert "nothing was changed: cannot read" in hang_up(larder)[0]


def test_sighup_without_a_file(lab):
    larder = lab.larder("memory")
    assert "without --config" in hang_up(larder)[0]
    with larder.connect() as client:
        assert client.call("PING") == b"+PONG\r\n"
