"""The trace for the hit ratio: a real one where it lies beside the checkout, else a made-up one."""

import bisect
import gzip
import itertools
import pathlib
import random

TRACE = "shared/traces/web07.txt.gz"
ZIPF_KEYS = 20_000
ZIPF_REQUESTS = 80_000
ZIPF_EXPONENT = 0.9


def find_trace():
    """Looks beside the checkout and beside each folder above it; None when it is nowhere."""
    places = (parent / TRACE for parent in pathlib.Path(__file__).resolve().parents[2:])
    return next((place for place in places if place.exists()), None)


def load_trace():
    """A name and the key of every request."""
    path = find_trace()
    if path is None:
        return "made-up Zipf trace", zipf()
    with gzip.open(path, "rt") as lines:
        return path.name.split(".")[0], [line.strip().encode() for line in lines]


def zipf():
    """Popularity falls with the rank; the seed is fixed, so that runs can be compared."""
    chance = random.Random(1)
    weights = itertools.accumulate(1 / rank**ZIPF_EXPONENT for rank in range(1, ZIPF_KEYS + 1))
    cumulated = list(weights)
    return [b"%d" % bisect.bisect(cumulated, chance.random() * cumulated[-1]) for _ in range(ZIPF_REQUESTS)]
