"""The promises P1, P2, P3 and P5 of docs/design.md: many clients, two Larders on one backend, and a direct writer."""

import random
import signal
import threading
import time

from coherence import BOUND_S, History, Load, Read, RespPath, check_settled
from support.lab import alone, on_backends
from support.resp import wait_until

KEYS = [b"key%d" % n for n in range(16)]
LOAD_S = 5.0
WRITERS = 4
IMPATIENT = {"redis.command_timeout": "1s", "redis.ping_interval": "200ms", "redis.ping_timeout": "400ms"}


def invented(*reads):
    """A history of one key written twice through A, at 1 and 2 s, and these reads (value, path, started)."""
    history = History([b"k"])
    for value, known in ((b"old", 1.0), (b"new", 2.0)):
        state, _ = history.begin_write(b"k", value, "A")
        state.sent, state.known, state.certain = known - 0.5, known, True
    history.reads = [Read(b"k", value, path, started, started + 0.001) for value, path, started in reads]
    return history.judge().violations


def test_checker_finds_stale_reads(_lab):
    assert not invented((None, "A", 0.4), (b"old", "A", 1.9), (b"new", "A", 1.9), (b"new", "A", 9.0))
    assert not invented((b"old", "B", 2.0 + BOUND_S / 2))
    assert "P2" in invented((b"old", "A", 2.01))[0]
    assert "P3" in invented((b"old", "B", 2.01 + BOUND_S))[0]
    assert "P3" in invented((b"new", "B", 1.6), (b"old", "B", 1.7 + BOUND_S))[0]
    assert "P2" in invented((None, "A", 2.5))[0]
    assert "never written" in invented((b"new", "A", 1.0))[0]
    assert "never written" in invented((b"other", "A", 3.0))[0]


@on_backends()
def test_replies_come_in_the_order_of_the_requests(lab, backend):
    """P1: hits, misses, writes and plain answers in one pipeline."""
    larder = lab.larder(backend)
    with larder.connect() as client:
        client.pipeline([("SET", f"shared{n}", f"value{n}") for n in range(500)])
    failures = []
    threads = [threading.Thread(target=check_order, args=(larder, number, failures)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]


def check_order(larder, number, failures):
    rng = random.Random(number)
    with larder.connect(protocol=2 + number % 2) as client:
        for round_number in range(40):
            commands, expected = zip(*(numbered_request(rng, f"{number}:{round_number}:{n}") for n in range(100)))
            replies = client.pipeline(commands)
            if replies != list(expected):
                at = next(n for n, pair in enumerate(zip(replies, expected)) if pair[0] != pair[1])
                failures.append(f"{commands[at]} was answered {replies[at]!r}")
                return


def numbered_request(rng, unique):
    """(a request, the only right reply): no two requests of a pipeline are likely to have the same one."""
    shared = rng.randrange(500)
    bulk = lambda text: b"$%d\r\n%b\r\n" % (len(text), text.encode())  # noqa: E731
    return rng.choice([
        (("ECHO", unique), bulk(unique)),
        (("GET", f"shared{shared}"), bulk(f"value{shared}")),
        (("MGET", f"shared{shared}", f"shared{shared}"), b"*2\r\n" + 2 * bulk(f"value{shared}")),
        (("APPEND", f"own:{unique}", unique), b":%d\r\n" % len(unique)),
        (("SET", f"shared{shared}", f"value{shared}"), b"+OK\r\n"),
        (("GETRANGE", f"shared{shared}", "0", "-1"), bulk(f"value{shared}")),
    ])


@on_backends()
@alone
def test_read_your_writes_through_one_larder(lab, backend):
    """P2, on every connection of the Larder."""
    larder = lab.larder(backend)
    load = Load(KEYS, lab.arguments.seed)
    add_clients(load, {"A": larder}, direct=None)
    time.sleep(LOAD_S)
    load.stop()
    judge(lab, load)
    check_settled(load.history, truth_of(larder), [RespPath(larder, "A", 3)])


@on_backends("redis")
@alone
def test_two_larders_and_a_direct_writer(lab, backend):
    """P2 and P3."""
    behind = lab.behind(backend)
    larders = {"A": lab.larder(backend, behind), "B": lab.larder(backend, behind)}
    load = Load(KEYS, lab.arguments.seed)
    add_clients(load, larders, direct=behind)
    time.sleep(LOAD_S)
    load.stop()
    judge(lab, load)
    assert not load.errors and not load.broken, (load.errors, load.broken[:3])
    check_settled(load.history, truth_of(behind), [RespPath(larder, name) for name, larder in larders.items()])


@on_backends("redis")
@alone
def test_backend_killed_and_restarted_under_load(lab, backend):
    """P5 and P3: what the backend lost is not read from memory, and nobody waits for ever."""
    behind = lab.behind(backend)
    larders = {"A": lab.larder(backend, behind, config=IMPATIENT), "B": lab.larder(backend, behind, config=IMPATIENT)}
    load = Load(KEYS, lab.arguments.seed)
    add_clients(load, larders, direct=behind)
    for _ in range(3):
        time.sleep(1.0)
        behind.crash()
        load.history.lose_all(time.monotonic())
        time.sleep(0.5)
        check_alive(larders)
        behind.start()
        wait_until(lambda: all(answers_well(larder) for larder in larders.values()), 10, "the Larders to be back")
    time.sleep(1.0)
    load.stop()
    judge(lab, load)
    check_errors(lab, load)
    check_settled(load.history, truth_of(behind), [RespPath(larder, name) for name, larder in larders.items()])


@on_backends("redis")
@alone
def test_backend_stopped_for_a_while_under_load(lab, backend):
    """P5: a backend that says nothing any more (SIGSTOP) and comes back."""
    behind = lab.behind(backend)
    larders = {"A": lab.larder(backend, behind, config=IMPATIENT)}
    load = Load(KEYS, lab.arguments.seed)
    add_clients(load, larders, direct=None)
    for _ in range(2):
        time.sleep(1.0)
        behind.process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        check_alive(larders)
        behind.process.send_signal(signal.SIGCONT)
        wait_until(lambda: all(answers_well(larder) for larder in larders.values()), 10, "the Larders to be back")
    time.sleep(1.0)
    load.stop()
    judge(lab, load)
    check_errors(lab, load)
    check_settled(load.history, truth_of(behind), [RespPath(larder, name) for name, larder in larders.items()])


@on_backends("redis")
def test_expiry_and_flush_behind_larders_back_are_seen(lab, backend):
    """P3 for changes that name no key, and for a time to live that Larder did not set."""
    behind = lab.behind(backend)
    larder = lab.larder(backend, behind)
    direct, client = lab.closing(behind.connect()), lab.closing(larder.connect())
    for empty_all in (("FLUSHALL",), ("FLUSHDB",), ("SWAPDB", "0", "5")):
        direct.call("SET", "k", "v")
        assert all(client.call("GET", "k") == b"$1\r\nv\r\n" for _ in range(3))
        assert direct.call(*empty_all) == b"+OK\r\n"
        wait_until(lambda: client.call("GET", "k") == b"$-1\r\n", BOUND_S, f"{empty_all[0]} to be seen")
    direct.call("SET", "k", "v", "PX", "60")
    deadline = time.monotonic() + 0.06
    while client.call("GET", "k") != b"$-1\r\n":
        assert time.monotonic() < deadline + 0.02, "an expired value is read"


def add_clients(load, larders, direct):
    """Per Larder three readers; writers that go through any Larder, and past them where there is a way."""
    for number in range(WRITERS):
        paths = [RespPath(larder, name, 2 + number % 2) for name, larder in larders.items()]
        load.add_writer(KEYS[number::WRITERS], paths + ([RespPath(direct, "direct")] if direct else []))
    for name, larder in larders.items():
        for protocol in (2, 3, 2):
            load.add_reader(RespPath(larder, name, protocol))


def judge(lab, load):
    verdict = load.history.judge()
    lab.note(str(verdict))
    assert verdict.checked > 1000, "hardly anything was read"
    assert not verdict.violations, "\n".join([f"{len(verdict.violations)} violations", *verdict.violations[:5]])


def check_errors(lab, load):
    """Errors went to the clients as replies: no Larder closed a connection, nothing took too long."""
    lab.note(f"errors {dict(load.errors.most_common(4))}; slowest answer {load.slowest_s * 1000:.0f} ms")
    closed = [broken for broken in load.broken if broken[0] != "direct"]
    assert not closed, closed[:3]


def check_alive(larders):
    """While the backend is away Larder itself answers."""
    for larder in larders.values():
        with larder.connect(timeout=2) as client:
            assert client.call("PING") == b"+PONG\r\n"
            assert client.call("INFO").startswith(b"$")


def answers_well(larder):
    with larder.connect(timeout=5) as client:
        return client.call("SET", "probe", "1") == b"+OK\r\n"


def truth_of(server):
    """What the backend itself has for a key."""
    path = RespPath(server, "backend")
    return lambda key: path.pipeline([("GET", key)])[0]
