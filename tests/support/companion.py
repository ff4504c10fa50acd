"""Programs of the tests' own, built by Meson: commanded by lines on stdin, each answered with a line on stdout."""

import signal
import subprocess

from support.process import die_with_parent, free_port
from support.resp import Client, wait_until


class Companion:
    """Invariant: stop() ends it; its stdin ends with the tests in any case, and so does it."""

    def __init__(self, program, *arguments):
        self._popen = subprocess.Popen(list(map(str, (program, *arguments))), stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True, bufsize=1, preexec_fn=die_with_parent)

    @property
    def pid(self):
        return self._popen.pid

    def ask(self, command):
        """Its answer to a line."""
        self._popen.stdin.write(f"{command}\n")
        self._popen.stdin.flush()
        answer = self._popen.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self._popen.args[0]} has ended with exit code {self._popen.wait(10)}")
        return answer.rstrip("\n")

    def freeze(self):
        self._popen.send_signal(signal.SIGSTOP)

    def thaw(self):
        self._popen.send_signal(signal.SIGCONT)

    def stop(self):
        self.thaw()
        self._popen.stdin.close()
        try:
            self._popen.wait(10)
        finally:
            self._popen.kill()
            self._popen.stdout.close()

    close = stop


class Gate(Companion):
    """A way to `server` that can be slowed down and cut; frozen, it is a network that has gone silent.

    With `drops_pushes` no push of the server gets through: nobody behind it hears of changes.
    """

    name = "gate"

    def __init__(self, program, server, drops_pushes=False):
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        self.url = f"redis://127.0.0.1:{self.port}"
        super().__init__(program, self.port, server.port, *(["drop-pushes"] if drops_pushes else []))
        wait_until(lambda: self.ask("count"), 5, "the gate")

    @property
    def connections(self):
        return int(self.ask("count"))

    def cut(self):
        """Resets all connections."""
        self.ask("cut")

    def refuse(self):
        """Resets all connections and new ones too, until accept()."""
        self.ask("refuse")

    def accept(self):
        self.ask("accept")

    def delay(self, seconds):
        """What passes from now on takes so much longer, in each direction."""
        self.ask(f"delay {round(seconds * 1e6)}")

    def connect(self, protocol=2, **options):
        return Client(self.address, protocol, **options)
