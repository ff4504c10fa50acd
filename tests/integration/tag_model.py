"""Keys with tags as they should be, in plain Python, and random commands to compare a server with."""

TAGS = ["a", "a:1", "a:10", "a:1:x", "b", "b:1", "c:1:2:3"]
KEYS = [f"k{n}" for n in range(12)]
CROSSSLOT = "CROSSSLOT Keys in request don't hash to the same slot"


def keys_in(slots):
    """The keys in so many slots of a cluster."""
    return [f"{{{n % slots}}}{key}" for n, key in enumerate(KEYS)]


def covers(path, tag, exact=False):
    return tag == path or (not exact and tag.startswith(path + ":"))


class Model:
    """What the keys are: name to (value, tags)."""

    def __init__(self):
        self.keys = {}

    def set(self, key, value, tags=None, condition=None):
        if condition and (condition == "XX") != (key in self.keys):
            return None
        old_tags = self.keys.get(key, ("", set()))[1]
        self.keys[key] = (value, old_tags if tags is None else set(tags))
        return "OK"

    def append(self, key, tail):
        value, tags = self.keys.get(key, ("", set()))
        self.keys[key] = (value + tail, tags)
        return len(value + tail)

    def tagadd(self, key, tags):
        if key not in self.keys:
            return 0
        own = self.keys[key][1]
        added = len(set(tags) - own)
        own.update(tags)
        return added

    def tagrem(self, key, tags):
        own = self.keys.get(key, ("", set()))[1]
        removed = len(set(tags) & own)
        own.difference_update(tags)
        return removed

    def delete(self, key):
        return 1 if self.keys.pop(key, None) else 0

    def copy(self, source, target):
        value, tags = self.keys[source]
        self.keys[target] = (value, set(tags))

    def meant(self, tags, exact, need=any):
        return [key for key, (_, own) in self.keys.items()
                if need(any(covers(tag, mine, exact) for mine in own) for tag in tags)]


class Commands:
    """Makes random commands, each with the reply that the model gives."""

    def __init__(self, rng, keys=KEYS):
        self.rng, self.keys, self.model = rng, keys, Model()
        self.makers = [self.make_set, self.make_set, self.make_set, self.make_plain, self.make_append, self.make_tagadd,
                       self.make_tagrem, self.make_end, self.make_rename, self.make_copy, self.make_get,
                       self.make_taglist, *self.keyless()]

    def keyless(self):
        return [self.make_count, self.make_tagkeys, self.make_invalidate]

    def next(self):
        return self.rng.choice(self.makers)()

    def next_keyless(self):
        return self.rng.choice(self.keyless())()

    def key(self):
        return self.rng.choice(self.keys)

    @staticmethod
    def are_apart(key, other):
        """They hash to different slots."""
        return key.startswith("{") and key.split("}")[0] != other.split("}")[0]

    def tags(self, least=0):
        return self.rng.sample(TAGS, self.rng.randint(least, 3))

    def make_set(self):
        key, value, tags = self.key(), f"v{self.rng.randrange(1000)}", self.tags()
        condition = self.rng.choice([None, None, None, "NX", "XX"])
        options = [["TAGS", len(tags), *tags], ["EX", 1000], [condition] if condition else []]
        self.rng.shuffle(options)
        words = [word for option in options for word in option]
        return ["SET", key, value, *words], self.model.set(key, value, tags, condition)

    def make_plain(self):
        key, value = self.key(), f"w{self.rng.randrange(1000)}"
        words = self.rng.choice([["SET", key, value], ["MSET", key, value], ["SET", key, value, "PX", 100_000]])
        return words, self.model.set(key, value)

    def make_append(self):
        key = self.key()
        return ["APPEND", key, "+"], self.model.append(key, "+")

    def make_tagadd(self):
        key, tags = self.key(), self.tags(least=1)
        return ["TAGADD", key, *tags], self.model.tagadd(key, tags)

    def make_tagrem(self):
        key, tags = self.key(), self.tags(least=1)
        return ["TAGREM", key, *tags], self.model.tagrem(key, tags)

    def make_end(self):
        key = self.key()
        words = self.rng.choice([["DEL", key], ["UNLINK", key], ["PEXPIRE", key, 0]])
        return words, self.model.delete(key)

    def make_rename(self):
        source, target = self.key(), self.key()
        if self.are_apart(source, target):
            return ["RENAME", source, target], CROSSSLOT
        if source not in self.model.keys:
            return ["RENAME", source, target], "ERR no such key"
        if source != target:
            self.model.copy(source, target)
            self.model.delete(source)
        return ["RENAME", source, target], "OK"

    def make_copy(self):
        source, target = self.rng.sample(self.keys, 2)
        replace = self.rng.choice([[], ["REPLACE"]])
        if self.are_apart(source, target):
            return ["COPY", source, target, *replace], CROSSSLOT
        if source not in self.model.keys or (target in self.model.keys and not replace):
            return ["COPY", source, target, *replace], 0
        self.model.copy(source, target)
        return ["COPY", source, target, *replace], 1

    def make_get(self):
        key = self.key()
        return ["GET", key], self.model.keys.get(key, (None,))[0]

    def make_taglist(self):
        key = self.key()
        return ["TAGLIST", key], sorted(self.model.keys.get(key, ("", set()))[1])

    def make_count(self):
        tag, exact = self.rng.choice(TAGS), self.rng.choice([[], ["EXACT"]])
        return ["TAGCOUNT", tag, *exact], len(self.model.meant([tag], bool(exact)))

    def make_tagkeys(self):
        tag, exact = self.rng.choice(TAGS), self.rng.choice([[], ["EXACT"]])
        return ["TAGKEYS", tag, *exact], ["0", sorted(self.model.meant([tag], bool(exact)))]

    def make_invalidate(self):
        tags, exact = self.tags(least=1), self.rng.choice([[], ["EXACT"]])
        need = self.rng.choice([[], ["ALL"]])
        dropped = self.model.meant(tags, bool(exact), all if need else any)
        for key in dropped:
            self.model.delete(key)
        return ["TAGINVALIDATE", *tags, *need, *exact], len(dropped)
