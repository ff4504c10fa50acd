"""The load generators: redis-benchmark and pgbench, and a plain client that fills a server with keys."""

import csv
import dataclasses
import subprocess

from measure import cpu_seconds
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
    before = cpu_seconds(server.process.pid)
    printed = subprocess.run(
        ["redis-benchmark", "-p", str(server.port), "-t", command, "-c", str(CLIENTS), "-P", str(pipeline),
         "-n", str(requests), "-r", str(keys), "-d", str(len(VALUE)), "--csv"],
        check=True, capture_output=True, text=True,
    ).stdout
    cpu = cpu_seconds(server.process.pid) - before
    rate = float(next(csv.reader(printed.strip().splitlines()[-1:]))[1])
    return Sample(rate, cpu / requests * 1e6)


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
