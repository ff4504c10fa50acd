"""A server process that belongs to a test: started, watched and stopped by its pid."""

import contextlib
import ctypes
import itertools
import os
import pathlib
import random
import signal
import socket
import subprocess

PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None)


def die_with_parent():
    """Runs in the child: a test runner that is killed leaves no servers behind."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


# Below the range from which the kernel takes ports for outgoing connections: from inside that range another test's
# client could take the port before the server has bound it.
FIRST_PORT, LAST_PORT, BLOCK_PORTS = 15000, 32000, 100

_blocks = {}


def free_port():
    """A port nobody listens on, and that no other process of any test run is given as long as this one lives.

    All of a block are given before one is again, as what was given may not be listened on yet: those whose old
    connections linger too, or a cluster that is started when many do is given one twice.
    """
    if os.getpid() not in _blocks:
        _blocks[os.getpid()] = _take_block()
    _, ports = _blocks[os.getpid()]
    while True:
        port = next(ports)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def _take_block():
    """(what reserves it, its ports in turn). An abstract socket is a lock that ends with the process."""
    firsts = list(range(FIRST_PORT, LAST_PORT, BLOCK_PORTS))
    random.SystemRandom().shuffle(firsts)
    for first in firsts:
        lock = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError):
            lock.bind(f"\0larder-test-ports-{first}")
            return lock, itertools.cycle(range(first, first + BLOCK_PORTS))
        lock.close()
    raise RuntimeError("all ports for tests are taken")


class Process:
    """Invariant: once stop() has returned the process is gone and has been waited for."""

    def __init__(self, command, log_path, env=None, user=None, cwd=None):
        self.command = [str(word) for word in command]
        self.log_path = pathlib.Path(log_path)
        with open(self.log_path, "ab") as log:
            self._popen = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                user=user,
                group=user_group(user),
                extra_groups=[] if user else None,
                cwd=cwd,
                preexec_fn=die_with_parent,
            )

    @property
    def pid(self):
        return self._popen.pid

    def running(self):
        return self._popen.poll() is None

    def send_signal(self, number):
        self._popen.send_signal(number)

    def wait(self, seconds):
        """Exit code; TimeoutError when it still runs."""
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.command[0]} (pid {self.pid}) still runs after {seconds} s") from None

    def stop(self, number=signal.SIGTERM, seconds=20):
        """Asks it to end and returns the exit code; kills it when it does not listen."""
        if self.running():
            self.thaw()
            self.send_signal(number)
        try:
            return self.wait(seconds)
        except TimeoutError:
            self.kill()
            raise

    def kill(self):
        self._popen.kill()
        return self._popen.wait()

    def kill_family(self):
        """Kills it and its children, none of which sees another one's end before its own."""
        self.freeze()
        self._signal_family(signal.SIGKILL)
        self._popen.wait()

    def freeze(self):
        """Stops it and its children where they are, with their connections open."""
        self._signal_family(signal.SIGSTOP)

    def thaw(self):
        self._signal_family(signal.SIGCONT)

    def _signal_family(self, number):
        """A child may end between being listed and being asked: a backend of PostgreSQL whose client has just gone."""
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        self.send_signal(number)
        for child in map(int, children.split()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def resident_bytes(self):
        with open(f"/proc/{self.pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def user_group(user):
    import pwd

    return pwd.getpwnam(user).pw_gid if user else None
