"""Random sequences over all data types of Redis, scripts included, in templates.

A word of a template stands for something random if it is one of KINDS (a key) or PLACES, for a script if it is one of
SCRIPTS, else for itself; after `=` in any case for itself. All keys have one hash tag, so that a cluster takes commands
with several of them; with `crossing` some get a key of another slot and must be refused.

What depends on chance or time is not asked: random members (but all of them at once), idle times, ids made from the
clock. Collections stay small: Redis then keeps most of them in the order of insertion, which two servers share.
"""

import hashlib
import random

from sequences import FLOATS, INTEGERS, NOT_FLOATS, NOT_INTEGERS, Step

TAG = b"{t}"
ELSEWHERE = b"{u}other"
SURPLUS = b"{t}surplus"  # a key, to some commands
KINDS = {"T": b"string", "H": b"hash", "L": b"list", "S": b"set", "Z": b"zset", "X": b"stream", "B": b"bits",
         "P": b"hll", "G": b"geo"}
MEMBERS = [b"a", b"b", b"c", b"", b"12", b"-3", b"x\r\n\xff", b"missing", b"y" * 60]
PLACES = {
    "m": MEMBERS,
    "i": INTEGERS[:6] * 4 + INTEGERS + NOT_INTEGERS,
    "f": [number for number in FLOATS if number != b"1e308"] * 4 + NOT_FLOATS,  # so many digits make a hash large
    "n": [b"0", b"1", b"-1", b"2", b"-2", b"5", b"-9", b"100"] * 4 + [b"x", b"1.5"],
    "c": [b"1", b"2", b"3", b"100"] * 5 + [b"0", b"-1", b"x"],
    "s": [b"0", b"1", b"-2.5", b"1e17", b"3.14159265358979", b"inf", b"-inf", b"0.1"] * 4 + [b"nan", b"x"],
    "b": [b"-inf", b"+inf", b"0", b"(1", b"1e17", b"(0.1"] * 4 + [b"x"],
    "l": [b"-", b"+", b"[a", b"(b", b"[x\r"] * 4 + [b"x"],
    "e": [b"1-1", b"1-2", b"2", b"3-0", b"5-5", b"7-1", b"9-*", b"12-3", b"0", b"x"],
    "r": [b"-", b"+", b"1", b"(1-1", b"5", b"9-9", b"x"],
    "o": [b"0", b"1", b"7", b"8", b"100", b"4001"] * 4 + [b"-1", b"x"],
    "q": [b"0", b"1"] * 6 + [b"2"],
    "d": [b"13.361389", b"15.087269", b"-122.4", b"0", b"2.35"] * 4 + [b"190", b"x"],
    "a": [b"38.115556", b"37.502669", b"48.85", b"0"] * 4 + [b"90", b"x"],
    "u": [b"m", b"km", b"mi", b"ft", b"M"] * 3 + [b"parsec"],
    "t": [b"u8", b"i5", b"u63", b"i64"] * 3 + [b"u64", b"x1"],
    "g": [b"group1", b"group2"],
    "k": [b"consumer1", b"consumer2"],
    "W": [b"LEFT", b"RIGHT", b"left"] * 3 + [b"UP"],
    "A": [b"SUM", b"MIN", b"MAX", b"max"] * 3 + [b"AVG"],
    "O": [b"AND", b"OR", b"XOR"],
}

TEMPLATES = """
HSET H m m|HSET H m m m m|HMSET H m m m m|HSETNX H m m|HINCRBY H m i|HINCRBYFLOAT H m f|HDEL H m m|HGET H m
HGETALL H|HMGET H m m|HLEN H|HKEYS H|HVALS H|HEXISTS H m|HSTRLEN H m|HRANDFIELD H 100
HRANDFIELD H 100 WITHVALUES|HSCAN H 0 COUNT 1000|HSCAN H 0 MATCH =a*|HGETALL H|HGET H m|HMGET H m m m
RPUSH L m m|LPUSH L m m m|RPUSHX L m|LPUSHX L m|LPOP L|RPOP L|LPOP L c|RPOP L c|LRANGE L n n|LLEN L|LINDEX L n
LSET L n m|LINSERT L BEFORE m m|LINSERT L AFTER m m|LREM L n m|LTRIM L n n|LPOS L m|LPOS L m RANK n COUNT c
LMOVE L L W W|RPOPLPUSH L L|LMPOP 1 L W|LMPOP 2 L L W COUNT c|LRANGE L 0 -1|RPUSH L 3 1 2|SORT L
SORT L ALPHA DESC|SORT L ALPHA LIMIT 0 2 STORE L|SORT_RO L ALPHA|SORT L BY nosort GET =#|SADD S m m|SADD S 1 2 3
SREM S m|SMEMBERS S|SISMEMBER S m|SMISMEMBER S m m|SCARD S|SMOVE S S m|SINTER S S|SUNION S S|SDIFF S S
SINTERSTORE S S S|SUNIONSTORE S S S|SDIFFSTORE S S S|SINTERCARD 2 S S|SINTERCARD 2 S S LIMIT c|SRANDMEMBER S 100
SPOP S 100|SSCAN S 0 COUNT 1000|ZADD Z s m|ZADD Z s m s m|ZADD Z NX s m|ZADD Z XX CH s m|ZADD Z GT s m
ZADD Z LT CH s m|ZADD Z INCR s m|ZADD Z NX GT s m|ZINCRBY Z s m|ZREM Z m m|ZSCORE Z m|ZMSCORE Z m m|ZCARD Z
ZRANK Z m|ZREVRANK Z m|ZRANGE Z n n|ZRANGE Z n n WITHSCORES|ZRANGE Z n n REV|ZRANGE Z b b BYSCORE WITHSCORES
ZRANGE Z b b BYSCORE LIMIT n n|ZRANGE Z l l BYLEX|ZRANGE Z l l BYLEX REV LIMIT 0 2|ZREVRANGE Z n n WITHSCORES
ZRANGEBYSCORE Z b b WITHSCORES LIMIT 0 3|ZREVRANGEBYSCORE Z b b|ZRANGEBYLEX Z l l|ZREVRANGEBYLEX Z l l
ZCOUNT Z b b|ZLEXCOUNT Z l l|ZPOPMIN Z|ZPOPMAX Z c|ZMPOP 1 Z MIN|ZMPOP 2 Z Z MAX COUNT c|ZREMRANGEBYRANK Z n n
ZREMRANGEBYSCORE Z b b|ZREMRANGEBYLEX Z l l|ZUNION 2 Z Z|ZINTER 2 Z Z WITHSCORES|ZDIFF 2 Z Z WITHSCORES
ZUNION 2 Z Z WEIGHTS f f AGGREGATE A WITHSCORES|ZUNIONSTORE Z 2 Z Z|ZINTERSTORE Z 2 Z S AGGREGATE A
ZDIFFSTORE Z 2 Z Z|ZINTERCARD 2 Z Z|ZRANGESTORE Z Z n n|ZRANGESTORE Z Z b b BYSCORE|ZRANDMEMBER Z 100 WITHSCORES
ZRANDMEMBER Z 100|ZSCAN Z 0 COUNT 1000|XADD X e m m|XADD X MAXLEN c e m m|XADD X MINID = e m m
XADD X NOMKSTREAM e m m|XLEN X|XRANGE X r r|XRANGE X r r COUNT c|XREVRANGE X r r|XREAD COUNT 2 STREAMS X 0
XREAD STREAMS X X 0 e|XDEL X e|XTRIM X MAXLEN c|XTRIM X MINID ~ e|XSETID X e|XGROUP CREATE X g 0 MKSTREAM
XGROUP CREATE X g $|XGROUP DESTROY X g|XGROUP SETID X g 0|XGROUP CREATECONSUMER X g k|XGROUP DELCONSUMER X g k
XREADGROUP GROUP g k COUNT 2 STREAMS X >|XREADGROUP GROUP g k NOACK STREAMS X >|XREADGROUP GROUP g k STREAMS X 0
XACK X g e|XPENDING X g|XCLAIM X g k 0 e JUSTID|XAUTOCLAIM X g k 0 0 JUSTID|XINFO STREAM X|XINFO GROUPS X
XADD X e m m|XADD X e m m|SETBIT B o q|GETBIT B o|BITCOUNT B|BITCOUNT B n n|BITCOUNT B n n BIT|BITPOS B q
BITPOS B q n|BITPOS B q n n BIT|BITOP O B B B|BITOP NOT B B|BITFIELD B GET t o|BITFIELD B SET t o i GET t o
BITFIELD B OVERFLOW SAT INCRBY t o i|BITFIELD_RO B GET t o|PFADD P m m|PFADD P|PFCOUNT P|PFCOUNT P P
PFMERGE P P P|GEOADD G d a m|GEOADD G NX CH d a m d a m|GEOPOS G m m|GEODIST G m m u|GEOHASH G m m
GEOSEARCH G FROMMEMBER m BYRADIUS 500 u ASC
GEOSEARCH G FROMLONLAT d a BYBOX 900 900 u ASC COUNT c WITHCOORD WITHDIST WITHHASH
GEORADIUS G d a 900 u WITHDIST ASC|GEOSEARCHSTORE G G FROMMEMBER m BYRADIUS 900 u
GEORADIUSBYMEMBER_RO G m 500 u ASC|GEOSEARCHSTORE G G FROMMEMBER m BYRADIUS 1 u STOREDIST|SET T m|SET T i GET
GET T|APPEND T m|INCRBY T i|GETRANGE T n n|SETRANGE T o m|STRLEN T|GETDEL T|MGET T T H|MSET T m T m
MSETNX T m T m|LCS T T|GETEX T|INCRBYFLOAT T f|MGET T T|EXISTS T H L|TYPE Z|DEL H|UNLINK L S|TOUCH X Z
RENAME T H|RENAMENX Z T|COPY L L REPLACE|COPY H H|OBJECT ENCODING L|DUMP Z|PERSIST X|EXPIRE G 5000|TTL G
RESTORE T 0 m|TYPE X|EXISTS Z|EVAL GETSCRIPT 1 T|EVAL GETSCRIPT 1 H|EVAL SETSCRIPT 2 T L m|EVAL NESTED 0
EVAL FAILS 1 H|EVAL SYNTAX 0|EVAL PCALL 1 Z|EVAL RESP3 1 H|EVAL_RO GETSCRIPT 1 T|EVAL_RO SETSCRIPT 2 T L m
EVALSHA GETSHA 1 T|EVALSHA SETSHA 2 T L m|EVALSHA NOSHA 1 T|EVALSHA_RO GETSHA 1 S|SCRIPT LOAD GETSCRIPT
SCRIPT EXISTS GETSHA SETSHA NOSHA|SCRIPT FLUSH|EVAL STATUS 0|EVAL DOUBLE 1 T m|EVAL STATUS i T
FUNCTION LOAD REPLACE LIBRARY|FCALL put 1 T m|FCALL_RO get 1 T|FCALL_RO put 1 T m|FCALL nosuch 1 T
FCALL fails 1 T|FUNCTION DELETE lib
"""

SCRIPTS = {
    "GETSCRIPT": b"return redis.call('GET', KEYS[1])",
    "SETSCRIPT": b"redis.call('SET', KEYS[1], ARGV[1]) return redis.call('RPUSH', KEYS[2], ARGV[1])",
    "NESTED": b"return {1, 'two', {3, {4.9}}, true, false, 'after nil'}",
    "FAILS": b"return redis.call('LPUSH', KEYS[1], 'x')",
    "SYNTAX": b"return (",
    "PCALL": b"local r = redis.pcall('INCR', KEYS[1]) return type(r) == 'table' and r.err or r",
    "RESP3": b"redis.setresp(3) local r = redis.call('HGETALL', KEYS[1]) return r.map and 'map' or 'none'",
    "STATUS": b"return redis.status_reply('FINE')",
    "DOUBLE": b"redis.call('SET', KEYS[1], ARGV[1]) return {double = 3.25}",
    "LIBRARY": b"""#!lua name=lib
redis.register_function('put', function(keys, args) return redis.call('SET', keys[1], args[1]) end)
redis.register_function{function_name='get', callback=function(keys) return redis.call('GET', keys[1]) end,
                        flags={'no-writes'}}
redis.register_function('fails', function(keys) return redis.error_reply('MINE it is') end)""",
}
SCRIPTS |= {name: hashlib.sha1(SCRIPTS[script]).hexdigest().encode()
            for name, script in (("GETSHA", "GETSCRIPT"), ("SETSHA", "SETSCRIPT"))}
SCRIPTS["NOSHA"] = b"f" * 40
# These are always whole: without a count one of the members is taken at random.
NEVER_SPOILT = {"SPOP", "SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER"}
# Larder splits these between the slots of a cluster instead of refusing them.
SPLIT = {b"MGET", b"MSET", b"DEL", b"UNLINK", b"EXISTS", b"TOUCH"}
# Families are equally likely, whatever the number of their commands.
FAMILIES = {}
for line in TEMPLATES.strip().splitlines():
    for template in line.split("|"):
        words = template.split()
        family = next((word for word in words[1:] if word in KINDS), "script")
        FAMILIES.setdefault("script" if words[0].startswith(("EVAL", "FCALL")) else family, []).append(words)


class EveryType:
    crossing = False

    def __init__(self, seed, connections):
        self._random = random.Random(seed)
        self._connections = connections

    def sequence(self, length):
        return [Step(self._command(), self._random.randrange(self._connections)) for _ in range(length)]

    def _command(self):
        template = self._random.choice(FAMILIES[self._random.choice(list(FAMILIES))])
        words = [self._word(word, template[0]) for word in template]
        if self._random.random() < 0.04 and template[0] not in NEVER_SPOILT:
            words = words[:-1] if self._random.random() < 0.5 else [*words, SURPLUS]
        return [words[0].lower(), *words[1:]] if self._random.random() < 0.1 else words

    def _word(self, word, command):
        if word in KINDS:
            return self._key(word, command)
        if word in SCRIPTS:
            return SCRIPTS[word]
        if word in PLACES:
            return self._random.choice(PLACES[word])
        return word.removeprefix("=").encode() or b"="

    def _key(self, kind, command):
        if self.crossing and self._random.random() < 0.05 and command.encode() not in SPLIT:
            return ELSEWHERE
        if self._random.random() < 0.05:  # of a type that the command is not for
            kind = self._random.choice(list(KINDS))
        return b"%b%b:%d" % (TAG, KINDS[kind], self._random.randrange(2))


def loads():
    return [Step([b"SCRIPT", b"LOAD", SCRIPTS[name]], 0) for name in ("GETSCRIPT", "SETSCRIPT")]


def without_flush(make_command):
    """Of the commands about scripts only those that load."""
    while (words := make_command())[0].upper() == b"SCRIPT" and words[1:2] != [b"LOAD"]:
        pass
    return words


class EveryTypeInCluster(EveryType):
    """Scripts are kept per node: one that ran elsewhere is not known here, unless it was loaded, that is everywhere."""

    crossing = True

    def sequence(self, length):
        return loads() + super().sequence(length)

    def _command(self):
        return without_flush(super()._command)


# Within EXEC's reply nothing is forgiven: left out is what comes in the order of a table or depends on the clock.
NEVER_QUEUED = NEVER_SPOILT | {"SMEMBERS", "SINTER", "SUNION", "SDIFF", "SORT", "SORT_RO", "SSCAN", "DUMP", "OBJECT", "TTL"}


class Transactions(EveryType):
    """MULTI … EXEC between other commands, sometimes DISCARD, sometimes behind WATCH; other connections write meanwhile.

    The scripts are loaded first and stay: Larder knows one from an EVAL that was only queued, Redis does not.
    """

    def __init__(self, seed, connections):
        super().__init__(seed, connections)
        self._queuing = [False] * connections

    def sequence(self, length):
        steps = loads()
        for _ in range(length):
            connection = self._random.randrange(self._connections)
            steps.append(Step(self._next(connection), connection))
        return steps

    def _next(self, connection):
        queuing = self._queuing[connection]
        dice = self._random.random()
        if dice < 0.18:
            words = [self._random.choice([b"EXEC"] * 5 + [b"DISCARD"]) if queuing else b"MULTI"]
        elif dice < 0.22:
            words = self._random.choice([[b"WATCH", self._key("T", "WATCH"), self._key("H", "WATCH")], [b"UNWATCH"],
                                         [b"MULTI"], [b"EXEC"], [b"PING"], [b"WATCH"]])
        else:
            words = self._queueable() if queuing else self._command()
        self._queuing[connection] = words[0] == b"MULTI" or queuing and words[0] not in (b"EXEC", b"DISCARD")
        return words

    def _command(self):
        return without_flush(super()._command)

    def _queueable(self):
        while (words := self._command())[0].decode().upper() in NEVER_QUEUED:
            pass
        return words


class TransactionsInCluster(Transactions):
    """Sometimes of two slots, but not behind WATCH: what was not queued because a watched key has changed Redis forgets.

    transactions_test.py has commands that would reach one node only and are refused when they are queued.
    """

    def __init__(self, seed, connections):
        super().__init__(seed, connections)
        self._watching = [False] * connections

    def _next(self, connection):
        self.crossing = not self._watching[connection]
        words = super()._next(connection)
        if words[0] in (b"WATCH", b"UNWATCH", b"EXEC", b"DISCARD"):
            self._watching[connection] = words[0] == b"WATCH" or words[0] == b"UNWATCH" and self._watching[connection]
        return words

    def _command(self):
        while (words := super()._command())[0].upper() in (b"SCRIPT", b"FUNCTION"):
            pass
        return words
