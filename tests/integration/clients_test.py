"""Programs that people use with Redis: redis-cli, redis-benchmark, redis-py, ioredis and node-redis."""

import fcntl
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import time

from support.lab import on_backends
from support.resp import encode, wait_until

CLIENTS = pathlib.Path(__file__).resolve().parent / "clients"
DEBIAN_PYTHON = "/usr/bin/python3"  # the one that has python3-redis


def run(command, seconds=60, **options):
    """Output of a program that must end well."""
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds,
                          **options)
    output = done.stdout.decode(errors="replace")
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{output}"
    return output


def cli(server, *args, **options):
    return run(["redis-cli", "-p", server.port, *args], **options)


@on_backends()
def test_redis_cli_commands(lab, backend):
    larder = lab.larder(backend)
    assert cli(larder, input=b'SET k "a b"\nGET k\nINCR k\n\nNOSUCH\n').splitlines() == [
        "OK", "a b", "ERR value is not an integer or out of range", "",
        "ERR unknown command 'NOSUCH', with args beginning with: ", ""]
    assert cli(larder, "-r", "3", "INCR", "n").split() == ["1", "2", "3"]
    assert cli(larder, "-n", "5", "-x", "SET", "bin", input=b"\x00\xff\r\n") == "OK\n"
    assert cli(larder, "-n", "5", "STRLEN", "bin") == "4\n"
    assert "proto 3" in cli(larder, "-3", "HELLO")
    assert cli(larder, "--no-raw", "-3", "CONFIG", "GET", "no-such") == "(empty hash)\n"
    assert cli(larder, "-u", f"redis://127.0.0.1:{larder.port}/5", "EXISTS", "bin") == "1\n"


@on_backends()
def test_redis_cli_mass_insertion(lab, backend):
    larder = lab.larder(backend)
    requests = b"".join(encode(("SET", f"key:{n}", n)) for n in range(20_000))
    assert "errors: 0, replies: 20000" in cli(larder, "--pipe", input=requests)
    assert cli(larder, "DBSIZE") == "20000\n"
    assert len(set(cli(larder, "--scan", "--pattern", "key:1*").split())) == 11_111


@on_backends()
def test_redis_cli_reports(lab, backend):
    larder = lab.larder(backend)
    cli(larder, input=b"\n".join(b"SET key:%d %b" % (n, b"x" * n) for n in range(1, 300)))
    report = cli(larder, "--bigkeys")
    assert "Biggest string found '\"key:299\"' has 299 bytes" in report, report
    assert "299 keys" in cli(larder, "--memkeys")
    minimum, maximum, _average, samples = map(float, cli(larder, "--latency", "--raw").split())
    assert minimum <= maximum and samples > 10


def test_redis_cli_interactive(lab):
    """On a terminal redis-cli asks for COMMAND DOCS first and then shows hints."""
    larder = lab.larder()
    try:
        terminal, other_end = pty.openpty()
    except OSError as problem:
        lab.skip(f"no terminal to be had: {problem}")
    shell = subprocess.Popen(["redis-cli", "-p", str(larder.port)], stdin=other_end, stdout=other_end, stderr=other_end,
                             env={**os.environ, "TERM": "dumb", "HOME": str(lab.path("home"))})
    os.close(other_end)
    try:
        for line, answer in ((b"SET k hello\n", b"OK"), (b"GET k\n", b'"hello"'), (b"help @string\n", b"APPEND"),
                             (b"quit\n", b"")):
            os.write(terminal, line)
            read_terminal(terminal, answer)
        assert shell.wait(10) == 0
    finally:
        shell.kill()
        shell.wait()
        os.close(terminal)


def read_terminal(terminal, expected):
    seen, deadline = b"", time.monotonic() + 10
    while expected not in seen:
        assert time.monotonic() < deadline and select.select([terminal], [], [], 10)[0], seen
        seen += os.read(terminal, 65536)


def test_redis_cli_statistics(lab):
    larder = lab.larder()
    report = Output(["redis-cli", "-p", str(larder.port), "--stat", "-i", "0.02"])
    try:
        line = rb"^\d+ .* \d+ \(\+\d+\)"
        wait_until(lambda: len(re.findall(line, report.text(), re.M)) >= 3, 10, "three lines of --stat")
    finally:
        report.stop()


@on_backends()
def test_monitor_shows_commands(lab, backend):
    larder = lab.larder(backend)
    monitor = Output(["redis-cli", "-p", str(larder.port), "MONITOR"])
    try:
        wait_until(lambda: b"OK" in monitor.text(), 10, "MONITOR to start")
        cli(larder, "-n", "3", "SET", "k", 'a "b"')
        line = rb'^\d+\.\d{6} \[3 127\.0\.0\.1:\d+\] "SET" "k" "a \\"b\\""$'
        wait_until(lambda: re.search(line, monitor.text(), re.M), 10, "the command to be shown")
    finally:
        monitor.stop()


class Output:
    """A program that runs until stopped, and what it has written so far."""

    def __init__(self, command):
        self._popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        fcntl.fcntl(self._popen.stdout, fcntl.F_SETFL, os.O_NONBLOCK)
        self._text = b""

    def text(self):
        self._text += self._popen.stdout.read() or b""
        return self._text

    def stop(self):
        self._popen.kill()
        self._popen.wait()
        self._popen.stdout.close()


@on_backends()
def test_redis_benchmark(lab, backend):
    larder = lab.larder(backend)
    for depth, requests in ((1, 10_000), (16, 50_000)):
        output = run(["redis-benchmark", "-p", larder.port, "-t", "ping,set,get,incr,mset", "-P", depth, "-c", 50,
                      "-n", requests, "-r", 1000, "-q"], seconds=100)
        speeds = re.findall(r"^(.*): ([\d.]+) requests per second", output.replace("\r", "\n"), re.M)
        assert len(speeds) == 6 and "WARN" not in output and "rror" not in output, output
        lab.note(f"-P {depth}: " + ", ".join(f"{name} {float(speed):.0f}/s" for name, speed in speeds))


@on_backends()
def test_redis_py(lab, backend):
    assert python(lab, "python_redis_app.py", lab.larder(backend)) == "done\n"


def test_redis_py_cluster(lab):
    """It takes Larder for a cluster of one node, with all commands that Redis has."""
    assert python(lab, "python_redis_cluster.py", lab.larder("cluster")) == "done\n"


def python(lab, program, server):
    """Output of a program that uses redis-py."""
    if subprocess.run([DEBIAN_PYTHON, "-c", "import redis"], capture_output=True).returncode:
        lab.skip("python3-redis is not installed")
    return run([DEBIAN_PYTHON, CLIENTS / program, server.port])


@on_backends()
def test_ioredis(lab, backend):
    assert node(lab, "ioredis_app.mjs", lab.larder(backend)) == "done\n"


@on_backends()
def test_node_redis(lab, backend):
    assert node(lab, "node_redis_app.mjs", lab.larder(backend)) == "done\n"


def node(lab, program, server, *more):
    """Output of a Node.js program; what it needs is installed first, once, whoever comes first."""
    if not shutil.which("npm"):
        lab.skip("npm is not installed")
    with open(CLIENTS / "package-lock.json") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed():
            run(["npm", "ci", "--no-progress"], cwd=CLIENTS, seconds=120)
    return run(["node", CLIENTS / program, server.port, *more])


def installed():
    marker = CLIENTS / "node_modules" / ".package-lock.json"
    return marker.exists() and marker.stat().st_mtime >= (CLIENTS / "package-lock.json").stat().st_mtime
