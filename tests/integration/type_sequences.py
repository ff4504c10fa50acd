"""Random sequences over hashes, lists, sets and sorted sets: many reads of few keys, so that L1 has something to answer.

Collections stay small and their members short: Redis then keeps them in the order of insertion, which two servers
share. Sets of strings have no such order; their comparison sorts.
"""

import random

from sequences import Step

KEYS = {kind: [b"%b:%d" % (kind, n) for n in range(2)] for kind in (b"hash", b"list", b"set", b"zset", b"string")}
MEMBERS = [b"a", b"b", b"c", b"", b"12", b"x\r\n\xff", b"missing"]
SCORES = [b"0", b"1", b"-2.5", b"1e17", b"3.14159265358979", b"inf", b"-inf", b"0.1"]
INDEXES = [b"0", b"1", b"-1", b"-2", b"5", b"-9"]
SCORE_BOUNDS = [b"-inf", b"+inf", b"0", b"(1", b"1e17", b"x"]
LEX_BOUNDS = [b"-", b"+", b"[a", b"(b", b"x"]


class TypeGenerator:
    def __init__(self, seed, connections):
        self._random = random.Random(seed)
        self._connections = connections

    def sequence(self, length):
        return [Step(self._words(), self._random.randrange(self._connections)) for _ in range(length)]

    def _words(self):
        kind = self._random.choice(list(KEYS))
        # Now and then a key of another type, and words that are wrong.
        key = self._random.choice(KEYS[kind if self._random.random() > 0.06 else self._random.choice(list(KEYS))])
        make = self._random.choice(WRITES[kind] if self._random.random() < 0.25 else READS[kind] + READS_OF_ALL)
        words = make(self._random.choice, key)
        if self._random.random() < 0.04:
            words = words[:-1] if self._random.random() < 0.5 else [*words, b"surplus"]
        return [words[0].lower(), *words[1:]] if self._random.random() < 0.1 else words


READS_OF_ALL = [
    lambda pick, key: [b"TYPE", key],
    lambda pick, key: [b"EXISTS", key],
    lambda pick, key: [b"GET", key],
    lambda pick, key: [b"STRLEN", key],
]
READS = {
    b"hash": [
        lambda pick, key: [b"HGET", key, pick(MEMBERS)],
        lambda pick, key: [b"HGETALL", key],
        lambda pick, key: [b"HGETALL", key],
        lambda pick, key: [b"HMGET", key, pick(MEMBERS), pick(MEMBERS)],
        lambda pick, key: [b"HLEN", key],
        lambda pick, key: [b"HKEYS", key],
        lambda pick, key: [b"HVALS", key],
        lambda pick, key: [b"HEXISTS", key, pick(MEMBERS)],
        lambda pick, key: [b"HSTRLEN", key, pick(MEMBERS)],
    ],
    b"list": [
        lambda pick, key: [b"LRANGE", key, pick(INDEXES), pick(INDEXES)],
        lambda pick, key: [b"LLEN", key],
        lambda pick, key: [b"LINDEX", key, pick(INDEXES)],
    ],
    b"set": [
        lambda pick, key: [b"SMEMBERS", key],
        lambda pick, key: [b"SISMEMBER", key, pick(MEMBERS)],
        lambda pick, key: [b"SMISMEMBER", key, pick(MEMBERS), pick(MEMBERS)],
        lambda pick, key: [b"SCARD", key],
    ],
    b"zset": [
        lambda pick, key: [b"ZSCORE", key, pick(MEMBERS)],
        lambda pick, key: [b"ZMSCORE", key, pick(MEMBERS), pick(MEMBERS)],
        lambda pick, key: [b"ZCARD", key],
        lambda pick, key: [b"ZRANK", key, pick(MEMBERS)],
        lambda pick, key: [b"ZREVRANK", key, pick(MEMBERS)],
        lambda pick, key: [b"ZRANGE", key, pick(INDEXES), pick(INDEXES)],
        lambda pick, key: [b"ZRANGE", key, pick(INDEXES), pick(INDEXES), b"WITHSCORES"],
        lambda pick, key: [b"ZRANGE", key, pick(SCORE_BOUNDS), pick(SCORE_BOUNDS), b"BYSCORE", b"WITHSCORES"],
        lambda pick, key: [b"ZRANGE", key, pick(LEX_BOUNDS), pick(LEX_BOUNDS), b"BYLEX", b"LIMIT", b"0", b"2"],
        lambda pick, key: [b"ZREVRANGE", key, pick(INDEXES), pick(INDEXES), b"withscores"],
        lambda pick, key: [b"ZRANGEBYSCORE", key, pick(SCORE_BOUNDS), pick(SCORE_BOUNDS), b"WITHSCORES"],
        lambda pick, key: [b"ZREVRANGEBYSCORE", key, pick(SCORE_BOUNDS), pick(SCORE_BOUNDS)],
        lambda pick, key: [b"ZRANGEBYLEX", key, pick(LEX_BOUNDS), pick(LEX_BOUNDS)],
        lambda pick, key: [b"ZCOUNT", key, pick(SCORE_BOUNDS), pick(SCORE_BOUNDS)],
        lambda pick, key: [b"ZLEXCOUNT", key, pick(LEX_BOUNDS), pick(LEX_BOUNDS)],
    ],
    b"string": [
        lambda pick, key: [b"GET", key],
        lambda pick, key: [b"GETRANGE", key, pick(INDEXES), pick(INDEXES)],
        lambda pick, key: [b"SUBSTR", key, pick(INDEXES), pick(INDEXES)],
        lambda pick, key: [b"GETBIT", key, pick(INDEXES)],
        lambda pick, key: [b"BITCOUNT", key],
        lambda pick, key: [b"BITPOS", key, b"1"],
    ],
}
WRITES = {
    b"hash": [
        lambda pick, key: [b"HSET", key, pick(MEMBERS), pick(MEMBERS)],
        lambda pick, key: [b"HDEL", key, pick(MEMBERS)],
        lambda pick, key: [b"HINCRBY", key, b"12", b"1"],
        lambda pick, key: [b"DEL", key],
    ],
    b"list": [
        lambda pick, key: [b"RPUSH", key, pick(MEMBERS), pick(MEMBERS)],
        lambda pick, key: [b"LPOP", key],
        lambda pick, key: [b"LTRIM", key, b"0", b"3"],
        lambda pick, key: [b"LMOVE", key, pick(KEYS[b"list"]), b"LEFT", b"RIGHT"],
    ],
    b"set": [
        lambda pick, key: [b"SADD", key, pick(MEMBERS), pick(MEMBERS)],
        lambda pick, key: [b"SREM", key, pick(MEMBERS)],
        lambda pick, key: [b"SINTERSTORE", key, *KEYS[b"set"]],
    ],
    b"zset": [
        lambda pick, key: [b"ZADD", key, pick(SCORES), pick(MEMBERS)],
        lambda pick, key: [b"ZINCRBY", key, pick([b"1", b"0.5"]), pick(MEMBERS)],
        lambda pick, key: [b"ZREM", key, pick(MEMBERS)],
        lambda pick, key: [b"ZUNIONSTORE", key, b"2", *KEYS[b"zset"]],
    ],
    b"string": [
        lambda pick, key: [b"SET", key, pick(MEMBERS)],
        lambda pick, key: [b"APPEND", key, pick(MEMBERS)],
        lambda pick, key: [b"SETBIT", key, b"7", b"1"],
        lambda pick, key: [b"RENAME", key, pick(KEYS[b"string"])],
        lambda pick, key: [b"EVAL", b"return redis.call('del', KEYS[1])", b"1", key],
    ],
}
