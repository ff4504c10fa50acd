"""The load generators: redis-benchmark and pgbench, and a plain client that fills a server with keys."""

import csv
import dataclasses
import subprocess

from measure import cpu_seconds, cpu_seconds_of_family
from support.resp import encode

CLIENTS = 50
VALUE = b"x" * 100


@dataclasses.dataclass(frozen=True)
class Sample:
    rate: float  # requests per second
    cpu_us: float  # of the server, per request


def benchmark_key(number):
    """The keys redis-benchmark asks for with -r."""
    return b"key:%012d" % number


def redis_benchmark(server, command, pipeline, requests, keys):
    """Asks `server` for random ones of the first `keys` keys."""
    return run_redis_benchmark(server, ["-r", keys, "-d", len(VALUE), "-t", command], pipeline, requests)


def run_redis_benchmark(server, arguments, pipeline, requests):
    before = cpu_seconds(server.process.pid)
    printed = subprocess.run(
        ["redis-benchmark", "-p", str(server.port), "-c", str(CLIENTS), "-P", str(pipeline), "-n", str(requests),
         "--csv", *map(str, arguments)],
        check=True, capture_output=True, text=True,
    ).stdout
    cpu = cpu_seconds(server.process.pid) - before
    rate = float(next(csv.reader(printed.strip().splitlines()[-1:]))[1])
    return Sample(rate, cpu / requests * 1e6)


class SetLoad:
    """SETs at pipeline 16, of all keys of a range once, plain or with two tags that are always the same for a key."""

    def __init__(self, program, server, behind, with_tags):
        self._program, self._server, self._behind = program, server, behind
        self._with = "tags" if with_tags else "plain"

    def sample(self, first, count):
        """µs of CPU per request, of the server and what is behind it."""
        before = self._cpu_seconds()
        subprocess.run(list(map(str, (self._program, self._server.port, CLIENTS, 16, first, count, self._with))),
                       check=True, capture_output=True)
        return (self._cpu_seconds() - before) / count * 1e6

    def _cpu_seconds(self):
        behind = cpu_seconds_of_family(self._behind.process.pid) if self._behind else 0
        return cpu_seconds(self._server.process.pid) + behind


@dataclasses.dataclass(frozen=True)
class MixedSample:
    rate: float  # requests per second
    p50_us: float
    p99_us: float


class MixedLoad:
    """GETs at pipeline 1, most of hot keys; every cold key is asked for once in all the runs, so that it is a miss."""

    def __init__(self, program, hot_keys, cold_share):
        self._program, self._hot_keys, self._cold_share = program, hot_keys, cold_share
        self._next_cold = 0

    def sample(self, server, seconds):
        printed = subprocess.run(
            list(map(str, (self._program, server.port, seconds, CLIENTS, self._hot_keys, self._cold_share,
                           self._next_cold))), check=True, capture_output=True, text=True).stdout
        rate, p50_us, p99_us, cold_asked = map(float, printed.split())
        self._next_cold += int(cold_asked)
        return MixedSample(rate, p50_us, p99_us)


def cold_key(number):
    """As bench/mixed_load.cpp makes them."""
    return b"cold:%011d" % number


def pgbench(server, script, seconds):
    """Transactions per second of 8 clients that run `script`, prepared."""
    printed = subprocess.run(
        ["pgbench", "-n", "-M", "prepared", "-c", "8", "-j", "2", "-T", str(seconds), "-f", str(script), server.url],
        check=True, capture_output=True, text=True,
    ).stdout
    line = next(line for line in printed.splitlines() if line.startswith("tps = "))
    return float(line.split()[2])


def fill(server, keys, make_key=benchmark_key, value=VALUE):
    """Stores `keys` keys, a few hundred with every request."""
    with server.connect(timeout=60) as client:
        for start in range(0, keys, 500):
            pairs = [word for number in range(start, min(start + 500, keys)) for word in (make_key(number), value)]
            reply = client.call("MSET", *pairs)
            if reply != b"+OK\r\n":
                raise RuntimeError(f"{server.name} answered MSET with {reply!r}")


def read_all(server, keys, batch=500):
    """Reads every key once, so that an L1 holds it afterwards."""
    with server.connect(timeout=60) as client:
        for start in range(0, keys, batch):
            numbers = range(start, min(start + batch, keys))
            client.send_bytes(b"".join(encode(["GET", benchmark_key(number)]) for number in numbers))
            for _ in numbers:
                client.read()
