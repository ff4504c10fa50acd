"""Random command sequences: Larder's replies are redis-server's, byte by byte."""

from differential import compare
from every_type import EveryType, EveryTypeInCluster, Transactions, TransactionsInCluster
from sequences import Transactions as TransactionsOfStrings
from sequences import TransactionsOfRows
from support.lab import on_backends
from type_sequences import TypeGenerator

SEQUENCES = 25
LENGTH = 80
EVERY_TYPE_LENGTH = 200
TRANSACTION_SEQUENCES = 8


@on_backends()
def test_strings_and_keys_answer_like_redis(lab, backend):
    seeds = range(lab.arguments.seed, lab.arguments.seed + SEQUENCES * lab.arguments.rounds)
    played, reports = compare(lab.redis(), lab.larder(backend), seeds, LENGTH)
    lab.note(f"{played} commands, seeds {seeds.start} to {seeds.stop - 1}")
    assert not reports, "\n\n".join(["replies differ", *reports])


@on_backends()
def test_transactions_of_strings_answer_like_redis(lab, backend):
    seeds = range(lab.arguments.seed, lab.arguments.seed + SEQUENCES * lab.arguments.rounds)
    generator = TransactionsOfRows if backend == "postgres" else TransactionsOfStrings
    played, reports = compare(lab.redis(), lab.larder(backend), seeds, LENGTH, generator=generator)
    lab.note(f"{played} commands, seeds {seeds.start} to {seeds.stop - 1}")
    assert not reports, "\n\n".join(["replies differ", *reports])


def test_other_types_answer_like_redis(lab):
    """Through L1, which keeps what reads of them brought."""
    larder = lab.larder("redis")
    seeds = range(lab.arguments.seed, lab.arguments.seed + SEQUENCES * lab.arguments.rounds)
    played, reports = compare(lab.redis(), larder, seeds, LENGTH, generator=TypeGenerator)
    hits = int(larder.info("tiers").get("l1_hits", played))  # a stand-in has no tiers
    lab.note(f"{played} commands, {hits} of them answered by L1, seeds {seeds.start} to {seeds.stop - 1}")
    assert not reports, "\n\n".join(["replies differ", *reports])
    assert hits > played / 20


def test_every_type_answers_like_redis(lab):
    """Streams, bitmaps, HyperLogLogs, places and scripts too: most of it is only passed on."""
    check_every_type(lab, lab.redis(), lab.larder("redis"), EveryType)


def test_every_type_answers_like_redis_cluster(lab):
    """Six nodes against one that has all slots: keys of several slots are refused alike."""
    oracle, cluster = lab.redis_cluster(masters=1, replicas=False), lab.redis_cluster()
    check_every_type(lab, oracle.nodes[0], lab.larder("redis", cluster), EveryTypeInCluster)


def test_transactions_of_every_type_answer_like_redis(lab):
    check_every_type(lab, lab.redis(), lab.larder("redis"), Transactions, TRANSACTION_SEQUENCES)


def test_transactions_of_every_type_answer_like_redis_cluster(lab):
    oracle, cluster = lab.redis_cluster(masters=1, replicas=False), lab.redis_cluster()
    check_every_type(lab, oracle.nodes[0], lab.larder("redis", cluster), TransactionsInCluster, TRANSACTION_SEQUENCES)


def check_every_type(lab, oracle, larder, generator, sequences=SEQUENCES):
    seeds = range(lab.arguments.seed, lab.arguments.seed + sequences * lab.arguments.rounds)
    played, reports = compare(oracle, larder, seeds, EVERY_TYPE_LENGTH, generator=generator)
    lab.note(f"{played} commands, seeds {seeds.start} to {seeds.stop - 1}")
    assert not reports, "\n\n".join(["replies differ", *reports])
