"""Plays one sequence on two servers and finds the first reply in which they differ."""

import random
import time

from sequences import Generator, readable
from support.resp import decode, encode

TTL_TOLERANCE = {"TTL": 1, "EXPIRETIME": 1, "PTTL": 600, "PEXPIRETIME": 600}
ANSWERED_ALONE = {"SCAN", "RANDOMKEY"}  # their comparison asks the server more
LONGEST_PIPELINE = 40
MINIMISE_SECONDS = 15.0


class Mode:
    """How a sequence is sent."""

    def __init__(self, protocol, pipelined, connections):
        self.protocol, self.pipelined, self.connections = protocol, pipelined, connections

    def __str__(self):
        sending = "pipelined" if self.pipelined else "one by one"
        return f"RESP{self.protocol}, {sending}, {self.connections} connection(s)"


MODES = [Mode(protocol, pipelined, connections)
         for protocol in (2, 3) for pipelined, connections in ((False, 1), (True, 1), (False, 3))]


class Mismatch:
    def __init__(self, index, step, expected, got):
        self.index, self.step, self.expected, self.got = index, step, expected, got

    def __str__(self):
        return f"{self.step}\n    expected {readable(self.expected, 400)}\n    got      {readable(self.got, 400)}"


def play(steps, mode, oracle, subject, seed=0):
    """The first mismatch, or None. Both servers are emptied before."""
    rng = random.Random(seed)
    pairs = [(oracle.connect(mode.protocol), subject.connect(mode.protocol)) for _ in range(mode.connections)]
    try:
        for client in pairs[0]:
            assert client.call("FLUSHALL") == b"+OK\r\n"
        for start, batch in batches(steps, mode, rng):
            if mismatch := play_batch(start, batch, pairs[batch[0].connection], rng):
                return mismatch
    finally:
        for pair in pairs:
            for client in pair:
                client.close()


def batches(steps, mode, rng):
    """(index of the first step, steps sent at once)"""
    start = 0
    while start < len(steps):
        limit = rng.randint(1, LONGEST_PIPELINE) if mode.pipelined else 1
        end = start + 1
        while end < len(steps) and end - start < limit and may_follow(steps[end - 1], steps[end]):
            end += 1
        yield start, steps[start:end]
        start = end


def may_follow(previous, step):
    return (not previous.pause_s and previous.connection == step.connection
            and not ANSWERED_ALONE & {previous.name, step.name})


def play_batch(start, batch, clients, rng):
    stream = b"".join(encode(step.args) for step in batch)
    splits = sorted(rng.randrange(len(stream)) for _ in range(rng.choice([0, 0, 0, 1, 3])))
    for client in clients:
        client.send_bytes(stream, splits)
    # Every reply is read before any is judged: a judgement may ask more on the same connection.
    replies = [[read_or_describe(client) for client in clients] for _ in batch]
    for index, (step, (expected, got)) in enumerate(zip(batch, replies)):
        if not agree(step, expected, got, clients):
            return Mismatch(start + index, step, expected, got)
    time.sleep(batch[-1].pause_s)


def read_or_describe(client):
    """The reply, or what came instead of one, so that it is compared too."""
    try:
        return client.read()
    except (OSError, ValueError) as problem:
        return f"({type(problem).__name__}: {problem})".encode()


def agree(step, expected, got, clients):
    if expected == got and step.name not in ANSWERED_ALONE:
        return True
    if expected[:1] != got[:1] or expected.startswith(b"-"):
        return expected == got
    if judge := JUDGES.get(step.name):
        return judge(step, expected, got, clients)
    return False


def near(step, expected, got, _clients):
    expected, got = decode(expected), decode(got)
    if expected < 0 or got < 0:
        return expected == got
    return abs(expected - got) <= TTL_TOLERANCE[step.name]


def same_members(_step, expected, got, _clients):
    return sorted(decode(expected)) == sorted(decode(got))


def same_set_scan(_step, expected, got, _clients):
    """Of a set that is small enough for one reply."""
    (cursor, members), (other_cursor, others) = decode(expected), decode(got)
    return cursor == other_cursor == b"0" and sorted(members) == sorted(others)


def same_length(_step, expected, got, _clients):
    """DUMP: a set is written in the order of its table, which is random."""
    return len(expected) == len(got)


def same_scan(step, expected, got, clients):
    if step.args[1] != b"0":  # a cursor of the other server means nothing to this one
        return True
    return scanned(step, expected, clients[0]) == scanned(step, got, clients[1])


def scanned(step, reply, client):
    """Every key of a whole iteration that began with `reply`; the same key may come twice."""
    seen = set()
    for _ in range(1000):
        cursor, keys = decode(reply)
        seen.update(keys)
        if cursor == b"0":
            return seen
        reply = client.call(step.args[0], cursor, *step.args[2:])
    raise AssertionError("SCAN does not come to an end")


def a_key(_step, expected, got, clients):
    """RANDOMKEY: none on both, or one that exists."""
    expected, got = decode(expected), decode(got)
    if expected is None or got is None:
        return expected is got
    return clients[0].call("EXISTS", got) == b":1\r\n"


def both_positive(_step, expected, got, _clients):
    return decode(expected) > 0 and decode(got) > 0


def a_string_encoding(_step, expected, got, _clients):
    """Redis says "raw" of a string that once was changed in place: history, not content, so any of them will do."""
    return {expected, got} <= {b"$3\r\nint\r\n", b"$3\r\nraw\r\n", b"$6\r\nembstr\r\n"}


JUDGES = {**dict.fromkeys(TTL_TOLERANCE, near), "KEYS": same_members, "SCAN": same_scan, "RANDOMKEY": a_key,
          "MEMORY": both_positive, "OBJECT": a_string_encoding, "SSCAN": same_set_scan, "DUMP": same_length,
          **dict.fromkeys(("SMEMBERS", "SINTER", "SUNION", "SDIFF", "SPOP", "SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER",
                           "SORT", "SORT_RO"), same_members)}


def minimise(steps, mismatch, replay):
    """The shortest sequence found that still ends in a mismatch, and that mismatch; None when it never comes again."""
    deadline = time.monotonic() + MINIMISE_SECONDS
    steps, mismatch = steps[: mismatch.index + 1], None
    if not (mismatch := replay(steps)):
        return None
    chunk = len(steps) // 2
    while chunk and time.monotonic() < deadline:
        start = 0
        while start < len(steps) - 1 and time.monotonic() < deadline:
            shorter = steps[:start] + steps[start + chunk :]
            if shorter and (found := replay(shorter)):
                steps, mismatch = shorter[: found.index + 1], found
            else:
                start += chunk
        chunk //= 2
    return steps, mismatch


def compare(oracle, subject, seeds, length, modes=MODES, generator=Generator):
    """Plays a sequence per seed and mode. Returns (commands played, reports of the first mismatches)."""
    played, reports = 0, []
    for seed in seeds:
        for mode in modes:
            steps = generator(f"{seed}/{mode}", mode.connections).sequence(length)
            played += len(steps)
            if mismatch := play(steps, mode, oracle, subject, seed):
                replay = lambda some: play(some, mode, oracle, subject, seed)  # noqa: E731
                reports.append(report(steps, mismatch, mode, seed, replay))
            if len(reports) == 3:
                return played, reports
    return played, reports


def report(steps, mismatch, mode, seed, replay):
    header = f"seed {seed}, {mode}"
    if not (smaller := minimise(steps, mismatch, replay)):
        before = "\n".join(map(str, steps[max(0, mismatch.index - 10) : mismatch.index]))
        return f"{header}: seen once, not when played again; the steps before:\n{before}\n{mismatch}"
    steps, mismatch = smaller
    return "\n".join([f"{header}: {len(steps)} step(s) are enough", *map(str, steps[:-1]), str(mismatch)])
