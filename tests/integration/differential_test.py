"""Random command sequences: Larder's replies are redis-server's, byte by byte."""

from differential import compare
from support.lab import on_backends

SEQUENCES = 25
LENGTH = 80


@on_backends()
def test_strings_and_keys_answer_like_redis(lab, backend):
    seeds = range(lab.arguments.seed, lab.arguments.seed + SEQUENCES * lab.arguments.rounds)
    played, reports = compare(lab.redis(), lab.larder(backend), seeds, LENGTH)
    lab.note(f"{played} commands, seeds {seeds.start} to {seeds.stop - 1}")
    assert not reports, "\n\n".join(["replies differ", *reports])
