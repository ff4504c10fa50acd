"""TLS on the way to Redis and on the way to clients."""

import pathlib
import re
import socket
import ssl
import subprocess
import time

from clients_test import CLIENTS, DEBIAN_PYTHON, node, run
from coherence_test import KEYS, direct_path, finish, start_load
from lifecycle_test import hang_up, larder_says, written
from support.lab import demanding
from support.resp import Client, wait_until
from support.servers import toml_text

LARGE = 100 << 20


# --- on the way to Redis ---


def test_redis_over_tls(lab):
    """Everything is verified, L1 answers and hears of changes, and Redis may come and go."""
    certificates = lab.certificates()
    behind = lab.redis(*certificates.redis_options(), certificates=certificates)
    larder = lab.larder("redis", behind, config=certificates.upstream())
    with larder.connect() as client, behind.connect() as direct:
        assert client.call("SET", "k", "v") == b"+OK\r\n" and direct.value("GET", "k") == b"v"
        assert client.call("GET", "k") == b"$1\r\nv\r\n"
        hits = int(larder.info("tiers")["l1_hits"])
        assert client.call("GET", "k") == b"$1\r\nv\r\n" and int(larder.info("tiers")["l1_hits"]) == hits + 1
        direct.value("SET", "k", "w")
        wait_until(lambda: client.value("GET", "k") == b"w", 2, "the change to be seen")
        commands = [command for n in range(500) for command in (("SET", f"key{n}", n), ("GET", f"key{n}"))]
        assert client.pipeline(commands) == [reply for n in range(500)
                                             for reply in (b"+OK\r\n", b"$%d\r\n%d\r\n" % (len(str(n)), n))]
        behind.crash()
        wait_until(lambda: client.call("GET", "k").startswith(b"-ERR Redis at"), 10, "the loss to be seen")
        behind.start()
        wait_until(lambda: client.call("GET", "k") == b"$-1\r\n", 10, "Redis to be back")
    assert larder.info("tiers")["backend_address"] == f"rediss://127.0.0.1:{behind.port}/0"


def test_redis_that_cannot_be_verified_is_refused(lab):
    ours, others = lab.certificates(), lab.certificates()
    behind = lab.redis(*others.redis_options(), certificates=others)
    check_refused(lab, behind, ours.upstream(), "TLS: certificate verify failed: self-signed certificate in certificate chain")
    check_refused(lab, behind, {}, "TLS: certificate verify failed: self-signed certificate in certificate chain")
    check_served(lab, behind, ours.upstream(verify="none"))

    elsewhere = ours.make("elsewhere", "DNS:elsewhere.test")
    ours.server_cert, ours.server_key = elsewhere
    ours_for_clients = ours.client_context
    ours.client_context = lambda shown=None: without_names(ours_for_clients(shown))
    behind = lab.redis(*ours.redis_options(), certificates=ours)
    check_refused(lab, behind, ours.upstream(), "TLS: certificate verify failed: IP address mismatch")
    check_served(lab, behind, ours.upstream(verify="ca"))
    check_served(lab, behind, ours.upstream(server_name="elsewhere.test"))


def without_names(context):
    context.check_hostname = False
    return context


def check_refused(lab, behind, settings, problem):
    larder = lab.larder("redis", behind, config=settings)
    with larder.connect() as client:
        error = f"-ERR Redis at 127.0.0.1:{behind.port} cannot be reached: {problem}\r\n".encode()
        wait_until(lambda: client.call("GET", "k") == error, 10, error)
        assert client.call("SET", "k", "v") == error
    line = f"redis: no connection to 127.0.0.1:{behind.port}: {problem}\n"
    assert larder.process.log().count(line) == 1, larder.process.log()
    larder.stop()


def check_served(lab, behind, settings):
    larder = lab.larder("redis", behind, config=settings)
    with larder.connect() as client:
        assert client.call("SET", "k", "v") == b"+OK\r\n" and client.call("GET", "k") == b"$1\r\nv\r\n"
    larder.stop()


def test_redis_wants_a_certificate(lab):
    certificates = lab.certificates()
    behind = lab.redis(*certificates.redis_options("yes"), certificates=certificates, shown=certificates.client_pair)
    check_refused(lab, behind, certificates.upstream(), "TLS: tlsv13 alert certificate required")
    check_served(lab, behind, certificates.upstream(cert_file=certificates.client_cert, key_file=certificates.client_key))


def test_redis_with_an_old_version_is_refused(lab):
    certificates = lab.certificates()
    behind = lab.redis(*certificates.redis_options(), "--tls-protocols", "TLSv1.2", certificates=certificates)
    check_served(lab, behind, certificates.upstream(min_version="1.2"))
    check_refused(lab, behind, certificates.upstream(min_version="1.3"), "TLS: tlsv1 alert protocol version")


def test_redis_without_tls_at_a_tls_address(lab):
    behind = lab.redis()
    behind.url = behind.url.replace("redis://", "rediss://")
    larder = lab.larder("redis", behind, config={"redis.connect_timeout": "500ms"})
    with larder.connect() as client:
        wait_until(lambda: client.call("GET", "k").startswith(b"-ERR Redis at 127.0.0.1:"), 10, "an error")
        said = client.call("GET", "k")
        assert b"TLS" in said, said


def test_a_cluster_over_tls(lab):
    certificates = lab.certificates()
    cluster = lab.redis_cluster(certificates=certificates)
    larder = lab.larder("redis", cluster, config=certificates.upstream(), certificates=certificates)
    with larder.connect() as client:
        pairs = [word for n in range(200) for word in (f"key{n}", n)]
        assert client.value("MSET", *pairs) == b"OK"
        assert client.value("MGET", *pairs[::2]) == [b"%d" % n for n in range(200)]
        assert client.value("DBSIZE") == 200
        victim = cluster.owner("key0")
        victim.crash()
        wait_until(lambda: client.call("SET", "key0", "new") == b"+OK\r\n", 15, "the replica to take over")
        assert client.value("GET", "key0") == b"new"
    info = larder.info("tiers")
    assert info["cluster_masters"] == "3" and info["backend_address"].startswith("rediss-cluster://"), info


@demanding
def test_coherence_over_tls(lab):
    """P2 and P3 with TLS on both sides, while Redis is killed."""
    certificates = lab.certificates()
    behind = lab.redis(*certificates.redis_options(), certificates=certificates)
    larders = {name: lab.larder("redis", behind, config=certificates.upstream(), certificates=certificates)
               for name in "AB"}
    load = start_load(lab, larders, behind)
    time.sleep(2.5)
    behind.crash()
    load.history.lose_all(time.monotonic())
    behind.start()
    with larders["A"].connect() as client:
        wait_until(lambda: client.call("GET", KEYS[0]).startswith(b"$"), 10, "Larder to be back")
    time.sleep(2.5)
    finish(lab, load, larders, direct_path(behind))
    assert not [problem for path, problem in load.broken if path != "direct"], load.broken[:3]


@demanding
def test_large_values_over_tls(lab):
    """From a client to Redis and back, every byte of them, with TLS on both sides."""
    certificates = lab.certificates()
    behind = lab.redis(*certificates.redis_options(), certificates=certificates)
    larder = lab.larder("redis", behind, config=certificates.upstream(), certificates=certificates)
    value = bytes(range(251)) * (LARGE // 251)
    with larder.connect(timeout=60) as client, behind.connect(timeout=60) as direct:
        started = time.monotonic()
        assert client.call("SET", "large", value) == b"+OK\r\n"
        stored = time.monotonic()
        assert client.value("GET", "large") == value
        lab.note(f"SET {stored - started:.2f} s, GET {time.monotonic() - stored:.2f} s of {LARGE >> 20} MB")
        assert direct.value("GET", "large") == value


# --- on the way to clients ---


def test_clients_over_tls(lab):
    """Both ports at once, 1000 requests at once, and a client that leaves in the middle."""
    certificates = lab.certificates()
    larder = lab.larder(config=certificates.listener(0))
    port = tls_port_of(larder)
    assert port != larder.port
    tls = certificates.client_context()
    for protocol in (2, 3):
        with client_of(port, tls, protocol) as client, larder.connect() as plain:
            commands = [("APPEND", f"key{protocol}", "x" * 100) for _ in range(1000)]
            assert client.pipeline(commands) == [b":%d\r\n" % (100 * n) for n in range(1, 1001)]
            assert plain.value("STRLEN", f"key{protocol}") == 100_000
            assert f"laddr=127.0.0.1:{port}" in plain.value("CLIENT", "LIST").decode()
            client.send("GET", f"key{protocol}")
    with larder.connect() as plain:
        wait_until(lambda: plain.value("CLIENT", "LIST").count(b"\n") == 1, 5, "the others to be gone")
        assert plain.value("CONFIG", "GET", "tls-port") == [b"tls-port", b"%d" % port]


def client_of(port, tls, protocol=2, **options):
    return Client(("127.0.0.1", port), protocol, tls=tls, **options)


def tls_port_of(larder):
    """From the line that says what it listens on."""
    ready = next(line for line in larder.process.log().splitlines() if "ready to accept connections" in line)
    place = next(part for part in ready.split(", ") if part.endswith("(TLS)"))
    return int(place.removesuffix(" (TLS)").rsplit(":", 1)[1])


def test_programs_over_tls(lab):
    certificates = lab.certificates()
    larder = lab.larder("redis", certificates=certificates)
    options = ("-p", larder.port, "--tls", "--cacert", certificates.ca)
    assert run(["redis-cli", *options, "SET", "k", "v"]) == "OK\n"
    assert "# Server" in run(["redis-cli", *options, "INFO"])
    for depth in (1, 16):
        said = run(["redis-benchmark", *options, "-t", "set,get,mset", "-n", 20_000, "-P", depth, "-c", 50, "-q"])
        assert said.count("requests per second") == 3 and "rror" not in said, said
    if not subprocess.run([DEBIAN_PYTHON, "-c", "import redis"], capture_output=True).returncode:
        assert run([DEBIAN_PYTHON, CLIENTS / "python_redis_app.py", larder.port, certificates.ca]) == "done\n"
    assert node(lab, "ioredis_app.mjs", larder, certificates.ca) == "done\n"


def test_clients_with_certificates(lab):
    certificates, others = lab.certificates(), lab.certificates()
    nobody, known = certificates.client_context(), certificates.client_context(certificates.client_pair)
    stranger = certificates.client_context(others.client_pair)
    for asked, served in (("yes", (known,)), ("optional", (known, nobody)), ("no", (known, nobody, stranger)),
                          (None, (known,))):
        settings = certificates.listener(0, ca_cert_file=certificates.ca)
        larder = lab.larder(config=settings | ({"tls.auth_clients": asked} if asked else {}))
        for tls in (nobody, known, stranger):
            assert is_served(tls_port_of(larder), tls) == (tls in served), (asked, tls is known, tls is nobody)
        for problem, client in (("peer did not return a certificate", nobody), ("certificate verify failed: ", stranger)):
            if client in served:
                assert problem not in larder.process.log(), larder.process.log()
            else:
                wait_until(lambda: problem in larder.process.log(), 10, problem)
        larder.stop()


def is_served(port, tls):
    """TLS 1.3 tells a client only after its handshake that it is not welcome."""
    try:
        with client_of(port, tls) as client:
            return client.call("PING") == b"+PONG\r\n"
    except (ssl.SSLError, ConnectionError):
        return False


def test_clients_with_an_old_version_are_refused(lab):
    certificates = lab.certificates()
    old, new = (certificates.client_context(newest=version) for version in (ssl.TLSVersion.TLSv1_2, None))
    for oldest, served in (("1.2", (old, new)), ("1.3", (new,))):
        larder = lab.larder(config=certificates.listener(0, min_version=oldest))
        for tls in (old, new):
            assert is_served(tls_port_of(larder), tls) == (tls in served), oldest
        assert ("unsupported protocol" in larder.process.log()) == (oldest == "1.3"), larder.process.log()
        larder.stop()


def test_clients_without_tls_are_told_off(lab):
    certificates = lab.certificates()
    larder = lab.larder(config=certificates.listener(0, handshake_timeout="1s"))
    address = ("127.0.0.1", tls_port_of(larder))
    for greeting in (b"*1\r\n$4\r\nPING\r\n", b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 100, b"PING\r\n"):
        with socket.create_connection(address, timeout=5) as plain:
            plain.sendall(greeting)
            assert b"+PONG" not in everything(plain)
            expected = f"client 127.0.0.1:{plain.getsockname()[1]} closed in its handshake: TLS: "
            assert expected in larder.process.log(), larder.process.log()
    with socket.create_connection(address, timeout=5) as silent:
        started = time.monotonic()
        assert everything(silent) == b"" and 0.5 < time.monotonic() - started < 4
    assert "its TLS handshake takes too long" in larder.process.log()


def test_failed_handshakes_do_not_fill_the_log(lab):
    larder = lab.larder(config=lab.certificates().listener(0))
    address = ("127.0.0.1", tls_port_of(larder))
    for _ in range(200):
        with socket.create_connection(address, timeout=5) as plain:
            plain.sendall(b"PING\r\n")
            everything(plain)
    lines = larder.process.log().count("closed in its handshake")
    assert 5 <= lines < 100, lines
    time.sleep(1.1)
    with socket.create_connection(address, timeout=5) as plain:
        plain.sendall(b"PING\r\n")
        everything(plain)
    assert re.search(r"closed in its handshake: TLS: .* \(\d+ more before this one\)", larder.process.log())


def everything(connection):
    received = b""
    try:
        while chunk := connection.recv(4096):
            received += chunk
    except ConnectionResetError:
        pass
    return received


@demanding
def test_unfinished_handshakes_hold_nobody_up(lab):
    """Hundreds of clients that have sent half of a greeting: others are served, and memory comes back."""
    certificates = lab.certificates()
    larder = lab.larder(config=certificates.listener(0, handshake_timeout="2s"), workers=1)
    port = tls_port_of(larder)
    half = half_a_greeting()
    for attempt in range(3):
        if attempt == 1:  # what the first ones took may stay with the process, but no more of it
            before = larder.process.resident_bytes()
        waiting = [socket.create_connection(("127.0.0.1", port)) for _ in range(300)]
        for connection in waiting:
            connection.sendall(half)
        with client_of(port, certificates.client_context()) as client:
            started = time.monotonic()
            assert client.pipeline([("PING",)] * 100) == [b"+PONG\r\n"] * 100
            assert time.monotonic() - started < 1
        with larder.connect() as plain:
            wait_until(lambda: plain.value("CLIENT", "LIST").count(b"\n") == 1, 8, "the others to be cut off")
        for connection in waiting:
            connection.close()
    grown = larder.process.resident_bytes() - before
    lab.note(f"grown by {grown >> 10} KB")
    assert lab.sanitized or grown < 8 << 20


def half_a_greeting():
    """The first bytes of a ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    greeter = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        greeter.do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = outgoing.read()
    return hello[: len(hello) // 2]


def test_wrong_tls_settings_are_one_clear_sentence(lab):
    certificates, others = lab.certificates(), lab.certificates()
    good = certificates.listener(0)
    missing = str(lab.path("missing.pem"))
    cases = (
        ("tls.cert_file", missing, "No such file"), ("tls.key_file", missing, "No such file"),
        ("tls.key_file", others.server_key, "not the key of the certificate"),
        ("tls.ca_cert_file", missing, "No such file"), ("tls.ca_cert_dir", missing, "must be a directory"),
        ("tls.key_file", certificates.encrypted_key("sesame"), "key_file_pass"), ("tls.ciphers", "x", "OpenSSL"),
        ("tls.min_version", "1.1", '"1.2" or "1.3"'), ("tls.auth_clients", "maybe", '"optional"'),
        ("tls.port", "x", 'from 0 to 65535 or "off"'),
    )
    for key, value, words in cases:
        check_refusal(lab, good | {key: value}, key, words)
    for key, value, words in ((("redis.tls.ca_cert_file", missing, "No such file"), ("redis.tls.verify", "x", '"full"'))):
        check_refusal(lab, {key: value}, key, words, "--redis-url", "rediss://localhost")
    shown = lab.larder(config=certificates.listener(0, key_file=certificates.encrypted_key("sesame"),
                                                    key_file_pass="sesame"))
    assert is_served(tls_port_of(shown), certificates.client_context())


def check_refusal(lab, settings, key, words, *options):
    text = toml_text(settings)
    path = written(lab, text)
    line = next(n for n, entry in enumerate(text.splitlines(), 1) if entry.startswith(f"{key.rsplit('.', 1)[1]} = "))
    for more in (("--check-config",), ()):
        said = larder_says(lab, "--config", path, *(options or ("--backend", "memory")), *more, expect=1)
        assert f"{key} ({path}:{line})" in said and words in said, said
        assert all(" info " in line for line in said.strip().splitlines()[:-1]), said


def test_check_config_hides_the_password_of_a_key(lab):
    certificates = lab.certificates()
    path = written(lab, toml_text(certificates.listener(7000, key_file=certificates.encrypted_key("sesame1"),
                                                        key_file_pass="sesame1")))
    said = larder_says(lab, "--config", path, "--backend", "memory", "--check-config", expect=0)
    assert "sesame1" not in said and 'key_file_pass = "***"' in said and "port = 7000" in said, said
    assert pathlib.Path(certificates.server_cert).name in said


def test_sighup_reads_certificates_again(lab):
    """For connections to come; files that are wrong change nothing."""
    certificates = lab.certificates()
    larder = lab.larder("memory", config=certificates.listener(0))
    address = ("127.0.0.1", tls_port_of(larder))

    def shown():
        with socket.create_connection(address, 5) as raw:
            with certificates.client_context().wrap_socket(raw, server_hostname="localhost") as tls:
                return tls.getpeercert()["serialNumber"]

    first = shown()
    certificates.make("server", "DNS:localhost,IP:127.0.0.1")
    assert shown() == first
    assert "was read again" in hang_up(larder)[0]
    second = shown()
    assert second != first
    pathlib.Path(certificates.server_cert).write_text("nothing")
    assert "nothing was changed" in hang_up(larder)[0]
    assert shown() == second
