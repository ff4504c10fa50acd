"""Random command sequences over the string and key commands of Redis 7.0.

What a reply says must not depend on how fast the sequence runs, or two correct servers would differ:
- a key lives for at least minutes, or it is gone after a pause that follows the command at once;
- no two times to live of a sequence are equal, so that GT and LT have one answer;
- DBSIZE, MEMORY USAGE and SCAN TYPE none see expired keys until a server sweeps them: the first two are not asked once
  a key was left to expire, the third never.
"""

import random

KEYS = [b"a", b"b", b"key:1", b"key:2", b"", b"bin\x00\xff\r\n", b"gl[o]b*?\\", b"long" * 60, b"missing"]
PATTERNS = [b"*", b"key:*", b"?", b"[ab]", b"[^a]", b"gl\\[o\\]b\\*\\?\\\\", b"*\x00*", b"key:[0-9]", b"", b"[z-a]",
            b"a*b", b"[", b"\\", b"**", b"long*"]
INTEGERS = [b"0", b"1", b"-1", b"10", b"123456", b"-987", b"9223372036854775807", b"-9223372036854775808"]
NOT_INTEGERS = [b"", b" 1", b"1 ", b"+1", b"-0", b"01", b"1.0", b"abc", b"9223372036854775808", b"-9223372036854775809",
                b"1\x00", b"0x10", b"1e3", b"--1", b"99999999999999999999999999"]
FLOATS = [b"0", b"1.5", b"-2.25", b"3.0e3", b"1e-5", b"0.1", b"10", b"5e-324", b"1e308", b"-0", b"1e17", b"0x1p3",
          b"123456789.123456789", b".5", b"5."]
NOT_FLOATS = [b"", b" 1.5", b"1.5 ", b"nan", b"inf", b"-inf", b"abc", b"1.5.5", b"1e5000", b"1,5", b"+inf", b"infinity"]
TEXTS = [b"", b"x", b"hello world", b"bin\r\n\x00\xff", b"ohmytext", b"mynewtext", b"ab" * 22, b"ab" * 23, b"y" * 1000]
OPTION_NOISE = [b"NX", b"XX", b"GET", b"KEEPTTL", b"EX", b"PX", b"GT", b"LT", b"PERSIST", b"REPLACE", b"DB", b"IDX",
                b"LEN", b"nonsense", b"", b"0", b"-1", b"\x00"]
DATABASES = [b"0", b"0", b"1", b"2", b"15", b"16", b"-1", b"x", b"99999999999"]
SEE_EXPIRED_KEYS = (b"DBSIZE", b"MEMORY")
FAR_FUTURE_SECONDS = 4102444800  # 2100-01-01
SHORT_LIFE_MS = 5
SHORT_PAUSE_S = 0.016


class Step:
    """One command on one of the connections, and how long to wait after its reply."""

    def __init__(self, args, connection, pause_s=0.0):
        self.args = args
        self.connection = connection
        self.pause_s = pause_s
        self.name = args[0].upper().decode("latin-1")

    def __str__(self):
        pause = f"   (then wait {self.pause_s * 1000:.0f} ms)" if self.pause_s else ""
        return f"[{self.connection}] {' '.join(map(readable, self.args))}{pause}"


def readable(text, limit=120):
    """Bytes as a Python literal, the middle of long ones left out."""
    if len(text) <= limit:
        return repr(text)[1:]
    return f"{text[:limit // 2]!r}...{len(text)} bytes...{text[-20:]!r}"


class Generator:
    def __init__(self, seed, connections):
        self._random = random.Random(seed)
        self._connections = connections
        self._keys = self._random.sample(KEYS, 5)
        self._lives = iter(self._random.sample(range(200, 900_000), 2000))
        self._left_to_expire = False

    def sequence(self, length):
        return [self._step() for _ in range(length)]

    def _step(self):
        connection = self._random.randrange(self._connections)
        if self._random.random() < 0.03:
            self._left_to_expire = True
            return Step(self._short_lived(), connection, SHORT_PAUSE_S)
        args = self._random.choices(COMMANDS, WEIGHTS)[0](self)
        if args[0] in SEE_EXPIRED_KEYS and self._left_to_expire:
            args = [b"PING"]
        if self._random.random() < 0.06:
            args = self._spoil(args)
        if self._random.random() < 0.1:
            args = [args[0].lower(), *args[1:]]
        return Step(args, connection)

    def _short_lived(self):
        key, life = self.key(), b"%d" % SHORT_LIFE_MS
        return self.choice([
            [b"SET", key, self.value(), b"PX", life], [b"PSETEX", key, life, self.value()], [b"PEXPIRE", key, life],
            [b"GETEX", key, b"PX", life], [b"SET", key, self.value(), b"px", life, b"GET"],
        ])

    def _spoil(self, args):
        """A command that somebody got wrong: an argument too few, too many, or another one."""
        args = list(args)
        way = self._random.randrange(4)
        if way == 0:
            del args[max(1, len(args) - self._random.randint(1, 2)):]
        elif way == 1:
            args.append(self.choice(OPTION_NOISE))
        elif way == 2 and len(args) > 1:
            args[self._random.randrange(1, len(args))] = self.choice(OPTION_NOISE + NOT_INTEGERS)
        elif len(args) > 1:
            args.insert(self._random.randrange(1, len(args)), self.choice(OPTION_NOISE))
        return args

    # What the commands below are made of.

    def choice(self, options):
        return self._random.choice(options)

    def chance(self, probability):
        return self._random.random() < probability

    def key(self):
        return self.choice(self._keys) if self.chance(0.97) else b"missing"

    def keys(self):
        return [self.key() for _ in range(self._random.choice([1, 1, 2, 3, 6]))]

    def value(self):
        kind = self._random.random()
        if kind < 0.35:
            return self.integer()
        if kind < 0.5:
            return self.floating()
        if kind < 0.97:
            return self.choice(TEXTS)
        return self._random.randbytes(4) * self._random.choice([100, 5000, 30000])

    def integer(self):
        return self.choice(INTEGERS if self.chance(0.85) else NOT_INTEGERS)

    def floating(self):
        return self.choice(FLOATS if self.chance(0.85) else NOT_FLOATS)

    def offset(self):
        if self.chance(0.8):
            return b"%d" % self._random.randint(-30, 30)
        return self.choice([b"2000", b"70000", b"-70000", b"4294967296", *INTEGERS[5:], *NOT_INTEGERS])

    def write_offset(self):
        """Small, or beyond what a value may have: nothing between, it would be allocated."""
        if self.chance(0.85):
            return b"%d" % self._random.choice([0, 1, 5, 30, 300, 17000])
        return self.choice([b"536870912", b"-1", b"9223372036854775807", *NOT_INTEGERS])

    def lifetime(self):
        """(unit option of SET, number): never the same twice, never one that ends during the sequence."""
        life = next(self._lives)
        unit, number = self.choice([(b"EX", life), (b"PX", life * 1000), (b"EXAT", FAR_FUTURE_SECONDS + life),
                                    (b"PXAT", (FAR_FUTURE_SECONDS + life) * 1000)])
        if self.chance(0.85):
            return [unit, b"%d" % number]
        return [unit, self.choice([b"0", b"-1", b"-100", b"9223372036854775807", b"9223372036854775",
                                   b"-9223372036854775808", *NOT_INTEGERS])]

    def some(self, options, probability=0.3):
        """Some of the options, in any order."""
        chosen = [option for option in options if self.chance(probability)]
        self._random.shuffle(chosen)
        return chosen

    def database(self):
        return self.choice(DATABASES)


def set_command(g):
    options = [[option] for option in g.some([b"NX", b"XX", b"GET", b"KEEPTTL"], 0.15)]
    if g.chance(0.3):
        options.append(g.lifetime())
    options.sort(key=lambda _: g.chance(0.5))
    words = [word if g.chance(0.8) else word.lower() for option in options for word in option]
    return [b"SET", g.key(), g.value(), *words]


def getex(g):
    return [b"GETEX", g.key(), *g.choice([[], [b"PERSIST"], g.lifetime(), g.lifetime()])]


def setex(g):
    unit, number = g.lifetime()
    return [b"SETEX" if unit.startswith(b"E") else b"PSETEX", g.key(), number, g.value()]


def expire(g):
    unit, number = g.lifetime()
    name = {b"EX": b"EXPIRE", b"PX": b"PEXPIRE", b"EXAT": b"EXPIREAT", b"PXAT": b"PEXPIREAT"}[unit]
    return [name, g.key(), number, *g.some([b"NX", b"XX", b"GT", b"LT", b"gt"], 0.15)]


def pairs(g):
    return [word for key in g.keys() for word in (key, g.value())]


def copy(g):
    options = g.some([[b"DB", g.database()], [b"REPLACE"]])
    return [b"COPY", g.key(), g.key(), *(word for option in options for word in option)]


def scan(g):
    cursor = b"0" if g.chance(0.9) else g.choice([b"abc", b"", b" 0", b"-", b"0x0", b"18446744073709551616"])
    options = g.some([[b"MATCH", g.choice(PATTERNS)], [b"COUNT", g.choice([b"1", b"3", b"1000", b"0", b"-1", b"x"])],
                      [b"TYPE", g.choice([b"string", b"STRING", b"list", b"hash", b""])]])
    return [b"SCAN", cursor, *(word for option in options for word in option)]


def lcs(g):
    options = g.some([[b"LEN"], [b"IDX"], [b"WITHMATCHLEN"], [b"MINMATCHLEN", g.integer()]])
    return [b"LCS", g.key(), g.key(), *(word for option in options for word in option)]


def one_key(*names):
    return lambda g: [g.choice(names), g.key()]


def many_keys(*names):
    return lambda g: [g.choice(names), *g.keys()]


def flush(g):
    return [g.choice([b"FLUSHDB", b"FLUSHDB", b"FLUSHALL"]), *g.some([b"ASYNC", b"SYNC", b"async", b"now"], 0.15)]


WEIGHTED = [
    (12, set_command), (8, one_key(b"GET")), (3, getex), (3, setex), (6, expire),
    (4, lambda g: [g.choice([b"SETNX", b"GETSET"]), g.key(), g.value()]), (2, one_key(b"GETDEL")),
    (4, many_keys(b"MGET")), (3, lambda g: [b"MSET", *pairs(g)]), (2, lambda g: [b"MSETNX", *pairs(g)]),
    (3, lambda g: [b"APPEND", g.key(), g.value()]), (2, one_key(b"STRLEN")),
    (3, lambda g: [g.choice([b"GETRANGE", b"SUBSTR"]), g.key(), g.offset(), g.offset()]),
    (3, lambda g: [b"SETRANGE", g.key(), g.write_offset(), g.choice(TEXTS)]),
    (3, one_key(b"INCR", b"DECR")), (3, lambda g: [g.choice([b"INCRBY", b"DECRBY"]), g.key(), g.integer()]),
    (3, lambda g: [b"INCRBYFLOAT", g.key(), g.floating()]), (2, lcs),
    (3, many_keys(b"DEL", b"UNLINK")), (3, many_keys(b"EXISTS", b"TOUCH")), (2, one_key(b"TYPE")),
    (6, one_key(b"TTL", b"PTTL", b"EXPIRETIME", b"PEXPIRETIME")), (2, one_key(b"PERSIST")),
    (3, lambda g: [g.choice([b"RENAME", b"RENAMENX"]), g.key(), g.key()]), (3, copy),
    (2, lambda g: [b"MOVE", g.key(), g.database()]), (1, lambda g: [b"SWAPDB", g.database(), g.database()]),
    (2, lambda g: [b"SELECT", g.database()]), (2, lambda g: [b"KEYS", g.choice(PATTERNS)]), (3, scan),
    (1, lambda g: [b"RANDOMKEY"]), (2, lambda g: [b"DBSIZE"]), (1, flush),
    (1, lambda g: [g.choice([b"PING", b"ECHO"]), g.choice(TEXTS)]), (1, lambda g: [b"MEMORY", b"USAGE", g.key()]),
    (1, lambda g: [b"OBJECT", b"ENCODING", g.key()]), (1, lambda g: [b"NOSUCHCOMMAND", *g.keys()]),
]
WEIGHTS, COMMANDS = zip(*WEIGHTED)


class Transactions(Generator):
    """MULTI … EXEC between other commands, sometimes DISCARD, sometimes behind WATCH; other connections write meanwhile.

    In EXEC's array nothing is forgiven, so no clocks and no orders of tables are queued. Where keys are watched there is one
    database: on memory a change in another one counts.
    """

    NEVER_QUEUED = (b"TTL", b"PTTL", b"EXPIRETIME", b"PEXPIRETIME", b"KEYS", b"SCAN", b"RANDOMKEY", b"MEMORY", b"OBJECT")
    OF_OTHER_DATABASES = (b"SELECT", b"MOVE", b"COPY", b"SWAPDB", b"FLUSHDB", b"FLUSHALL")

    def __init__(self, seed, connections):
        super().__init__(seed, connections)
        self._queuing = [False] * connections
        self._watching = self.chance(0.5)

    def _step(self):
        step = super()._step()
        if self._watching and step.name.encode() in self.OF_OTHER_DATABASES:
            step = Step([b"PING"], step.connection)
        queuing, dice = self._queuing[step.connection], self._random.random()
        if dice < 0.18:
            step = Step([self.choice([b"EXEC"] * 5 + [b"DISCARD"]) if queuing else b"MULTI"], step.connection)
        elif dice < 0.24 and self._watching:
            step = Step(self.choice([*self._watches(), [b"UNWATCH"], [b"WATCH"]]), step.connection)
        elif queuing and (step.pause_s or step.name.encode() in self.NEVER_QUEUED):
            step = Step([b"GET", self.key()], step.connection)
        if step.name in ("MULTI", "EXEC", "DISCARD"):
            self._queuing[step.connection] = step.name == "MULTI"
        return step

    def _watches(self):
        return [[b"WATCH", *self.keys()], [b"WATCH", self.key()]]


class TransactionsOfRows(Transactions):
    """Watched are keys that are never deleted: of a key that comes and goes PostgreSQL sees no change."""

    LASTING = [b"one", b"two"]

    def sequence(self, length):
        return [Step([b"MSET", b"one", b"1", b"two", b"2"], 0), *super().sequence(length)]

    def _step(self):
        step = super()._step()
        if self.chance(0.1) and step.name not in ("MULTI", "EXEC", "DISCARD"):
            key = self.choice(self.LASTING)
            step = Step(self.choice([[b"INCR", key], [b"APPEND", key, b"1"], [b"GET", key], [b"SET", key, b"0", b"XX", b"GET"],
                                     [b"SET", key, b"0"], [b"GETEX", key, b"PERSIST"]]), step.connection)
        return step

    def _watches(self):
        return [[b"WATCH", self.choice(self.LASTING)], [b"WATCH", *self.LASTING]]
