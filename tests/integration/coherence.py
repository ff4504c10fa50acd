"""What was written and what was read, with times, and the judgement whether any read was older than promised.

Every key has one writer that waits for each answer, so the states of a key have one order, whatever way they were
written: through one Larder, through another, or past both. A state is *certain* when its write was answered OK; after
an error or a time-out nobody knows whether, or when, it takes effect, and reads of it are not judged.
"""

import collections
import random
import threading
import time

from support.resp import ReplyError, decode, wait_until
from support.servers import PsqlSession

BOUND_S = 1.0  # the invalidation delay that is accepted on a loaded machine
BUSY_MS = 2000  # for the first write after a promotion: the mark is 200, but others use the machine too
ANSWER_S = 8.0  # an answer that takes longer is a hang
PIPELINE = 8


class State:
    __slots__ = ("value", "path", "sent", "answered", "known", "certain")

    def __init__(self, value, path, sent):
        self.value, self.path, self.sent = value, path, sent
        self.answered = None
        self.known = None  # since when it is certain to be in effect: answered, or seen by a reader before
        self.certain = False


Read = collections.namedtuple("Read", "key value path started ended")


class Verdict:
    def __init__(self):
        self.checked = 0
        self.uncertain = 0
        self.staleness_s = collections.defaultdict(float)  # by path, the most seen
        self.violations = []

    def __str__(self):
        stale = ", ".join(f"{path} {seconds * 1000:.1f} ms" for path, seconds in sorted(self.staleness_s.items()))
        return (f"{self.checked} reads checked, {self.uncertain} of uncertain writes; "
                f"staleness at most: {stale or 'none'}")


class History:
    """Thread: a key's states are added by its writer (and lose_all), reads by any thread; judge when all are done."""

    def __init__(self, keys):
        self.states = {key: [certain_state(None, "start", 0.0)] for key in keys}
        self.reads = []
        self.losses = 0

    def begin_write(self, key, value, path):
        state = State(value, path, time.monotonic())
        self.states[key].append(state)
        return state, self.losses

    def end_write(self, begun, succeeded):
        state, losses = begun
        # Answered across a loss of all data: before or after it, nobody can tell.
        if succeeded and losses == self.losses:
            state.answered = state.known = time.monotonic()
            state.certain = True

    def lose_all(self, since):
        """The backend has lost everything since that time: each key is now absent."""
        self.losses += 1
        for states in self.states.values():
            states.append(certain_state(None, "loss", since))

    def doubt(self, since, until):
        """Writes answered between these times may have been lost: a failover does not wait for replication."""
        for states in self.states.values():
            for state in states[1:]:
                if state.certain and since <= state.answered <= until:
                    state.certain = False

    def judge(self, bound_s=BOUND_S):
        verdict = Verdict()
        reads_of = collections.defaultdict(list)
        for read in self.reads:
            reads_of[read.key].append(read)
        for key, reads in reads_of.items():
            judge_key(self.states[key], sorted(reads, key=lambda read: read.ended), bound_s, verdict)
        return verdict

    def may_be_last(self, key, value):
        """Whether `value` can be what is left when all writers have stopped."""
        states = self.states[key]
        last_certain = max(n for n, state in enumerate(states) if state.certain)
        return any(state.value == value for state in states[last_certain:]) or any(
            state.value == value and not state.certain for state in states)


def certain_state(value, path, known):
    state = State(value, path, known)
    state.answered = state.known = known
    state.certain = True
    return state


def judge_key(states, reads, bound_s, verdict):
    positions = collections.defaultdict(list)
    for position, state in enumerate(states):
        positions[state.value].append(position)
    notice_first_sight(states, positions, reads)
    for read in reads:
        verdict.checked += 1
        if not (possible := [n for n in positions.get(read.value, ()) if states[n].sent <= read.ended]):
            verdict.violations.append(f"never written: {read}")
        elif any(not states[n].certain for n in possible):
            verdict.uncertain += 1
        else:
            judge_age(states, possible[-1], read, bound_s, verdict)


def notice_first_sight(states, positions, reads):
    """A state that a read has shown is in effect from then on, even before its writer had the answer."""
    for read in reads:
        seen_at = positions.get(read.value, ())
        if len(seen_at) == 1 and states[seen_at[0]].certain:
            state = states[seen_at[0]]
            state.known = min(state.known, read.ended)


def judge_age(states, position, read, bound_s, verdict):
    newer = (state for state in states[position + 1 :] if state.certain)
    for state in newer:
        age = read.started - state.known
        if age <= 0:
            break
        verdict.staleness_s[read.path] = max(verdict.staleness_s[read.path], age)
        own_write = state.path == read.path and read.started > state.answered
        if own_write or age > bound_s:
            promise = "P2, read your writes" if own_write else f"P3, more than {bound_s} s late"
            verdict.violations.append(f"{promise}: {read} although {state.value} was there {age * 1000:.1f} ms before")
            return


class RespPath:
    """A way to the data: through a Larder, or straight to its Redis."""

    def __init__(self, server, name, protocol=2):
        self._server, self.name, self._protocol = server, name, protocol
        self._client = None

    def pipeline(self, commands):
        """Replies; a lost connection is made anew by the next call and raises ConnectionError in this one."""
        try:
            if self._client is None:
                self._client = self._server.connect(self._protocol, timeout=ANSWER_S)
            return [decode(reply) for reply in self._client.pipeline(commands)]
        except OSError as problem:
            self.close()
            if isinstance(problem, TimeoutError):
                raise TimeoutError(f"no answer from {self.name} in {ANSWER_S} s") from problem
            raise ConnectionError(f"{self.name}: {problem}") from problem

    def write(self, rng, key, value):
        """True when the write, done in one of many ways, was answered well."""
        ways = DELETIONS if value is None else WRITES
        replies = self.pipeline(rng.choice(ways)(key, value))
        return not any(isinstance(reply, ReplyError) for reply in replies)

    def read(self, key):
        return self.pipeline([("GET", key)])[0]

    def close(self):
        if self._client is not None:
            self._client.close()
            self._client = None


class SqlPath:
    """Straight to the tables of a Larder in database 0, by SQL."""

    name = "direct"

    def __init__(self, server):
        self._server, self._session = server, None

    def write(self, rng, key, value):
        state, _ = self._execute(rng.choice(SQL_DELETIONS if value is None else SQL_WRITES).format(
            key=literal(key), value=literal(value or b"")))
        return state == "00000"

    def read(self, key):
        _, rows = self._execute(f"SELECT encode(v, 'hex') FROM larder.kv WHERE db = 0 AND k = {literal(key)}")
        return bytes.fromhex(rows[0]) if rows else None

    def close(self):
        if self._session is not None:
            self._session.close()
            self._session = None

    def _execute(self, sql):
        if self._session is None:
            self._session = PsqlSession(self._server)
        try:
            return self._session.execute(sql)
        except ConnectionError:
            self.close()
            raise


def literal(text):
    return f"'\\x{text.hex()}'::bytea"


UPSERT = ("INSERT INTO larder.kv (db, k, v) VALUES (0, {key}, {value}) "
          "ON CONFLICT (db, k) DO UPDATE SET v = {value}, exp = NULL")
REPLACE = "DO $do$ BEGIN DELETE FROM larder.kv WHERE db = 0 AND k = {key}; " + UPSERT + "; END $do$"
SQL_WRITES = [UPSERT, REPLACE]
SQL_DELETIONS = ["DELETE FROM larder.kv WHERE db = 0 AND k = {key}"]


WRITES = [
    lambda key, value: [("SET", key, value)],
    lambda key, value: [("SET", key, value, "PX", "100000000")],
    lambda key, value: [("GETSET", key, value)],
    lambda key, value: [("MSET", key, value, key + b":other", value)],
    lambda key, value: [("SETRANGE", key, "0", value)],
    lambda key, value: [("SET", key + b":new", value), ("RENAME", key + b":new", key)],
    lambda key, value: [("SET", key + b":new", value), ("COPY", key + b":new", key, "REPLACE")],
]
READS = [
    lambda key: ("GET", key),
    lambda key: ("GET", key),
    lambda key: ("MGET", key),
    lambda key: ("GETRANGE", key, "0", "-1"),  # of a key that does not exist: an empty one, which no writer writes
]
DELETIONS = [
    lambda key, _: [("DEL", key)],
    lambda key, _: [("UNLINK", key + b":other", key)],
    lambda key, _: [("GETDEL", key)],
    lambda key, _: [("PEXPIRE", key, "-1")],
]


class Load:
    """Writers and readers in threads until stop(); what they see is in `history`, what goes wrong in `errors`."""

    def __init__(self, keys, seed):
        self.history = History(keys)
        self.errors = collections.Counter()  # error replies by their first words
        self.broken = []  # connections that Larder closed
        self.slowest_s = 0.0
        self._keys, self._seed = keys, seed
        self._stopping = threading.Event()
        self._failures = []
        self._threads = []

    def add_writer(self, keys, paths):
        """The one writer of `keys`; each write takes one of `paths`."""
        self._start(self._write, keys, paths)

    def add_reader(self, path):
        self._start(self._read, path)

    def stop(self):
        self._stopping.set()
        for thread in self._threads:
            thread.join(2 * ANSWER_S)
            assert not thread.is_alive(), "a client hangs"
        if self._failures:
            raise self._failures[0]

    def _start(self, work, *args):
        rng = random.Random(f"{self._seed}/{len(self._threads)}")
        thread = threading.Thread(target=self._guarded, args=(work, rng, *args), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _guarded(self, work, *args):
        try:
            work(*args)
        except Exception as failure:  # raised again by stop(), in the test's own thread
            self._failures.append(failure)
            self._stopping.set()

    def _write(self, rng, keys, paths):
        for version in range(1, 1 << 40):
            if self._stopping.is_set():
                break
            key, path = rng.choice(keys), rng.choice(paths)
            value = None if rng.random() < 0.1 else b"%b=%010d" % (key, version)
            begun = self.history.begin_write(key, value, path.name)
            self.history.end_write(begun, self._timed(path, lambda: path.write(rng, key, value)))
            time.sleep(rng.random() * 0.002)
        for path in paths:
            path.close()

    def _read(self, rng, path):
        while not self._stopping.is_set():
            keys = [rng.choice(self._keys) for _ in range(PIPELINE)]
            commands = [rng.choice(READS)(key) for key in keys]
            started = time.monotonic()
            replies = self._timed(path, lambda: path.pipeline(commands))
            ended = time.monotonic()
            for key, reply in zip(keys, replies or ()):
                if isinstance(reply, ReplyError):
                    self.errors[b" ".join(reply.args[0].split()[:4]).decode()] += 1
                else:
                    value = reply[0] if isinstance(reply, list) else reply or None
                    self.history.reads.append(Read(key, value, path.name, started, ended))
        path.close()

    def _timed(self, path, call):
        """What `call` returns; False when its connection broke."""
        started = time.monotonic()
        try:
            return call()
        except ConnectionError as problem:
            self.broken.append((path.name, str(problem)))
            time.sleep(0.01)
            return False
        finally:
            self.slowest_s = max(self.slowest_s, time.monotonic() - started)


def check_settled(history, truth, paths):
    """Some time after the last write every path shows what the backend has, and no answered write is missing."""
    for key in history.states:
        value = truth.read(key)
        assert history.may_be_last(key, value), f"lost: {key!r} has {value!r} in the backend"
        for path in paths:
            wait_until(lambda: path.read(key) == value, BOUND_S, f"{path.name} to show {value!r} for {key!r}")
    for path in (truth, *paths):
        path.close()
