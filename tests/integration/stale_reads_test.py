"""No read is staler than the bound, whatever happens to the connections and servers behind two Larders."""

import time

from coherence import BUSY_MS
from stale_reads import Chaos, OneRedis, SixNodes, Trio
from support.lab import demanding

CALM_S = 1.5
CHAOS_S = 12.0


@demanding
def test_no_stale_read_over_one_redis(lab):
    """Cut, silent, slow and refused connections; a Redis that is frozen; flushes."""
    verdict = check_chaos(lab, OneRedis(lab, lab.arguments.seed))
    assert not verdict.lost_writes, "P5: an answered write was lost though Redis lived"


@demanding
def test_no_stale_read_over_a_cluster(lab):
    """Masters killed, frozen and replaced; slots that move."""
    check_chaos(lab, SixNodes(lab, lab.arguments.seed))


@demanding
def test_no_stale_read_behind_sentinels(lab):
    """A master that is handed over and goes on for seconds. The long form kills and freezes it too."""
    chaos = Trio(lab, lab.arguments.seed)
    chaos.harms = ("fail_over", "kill_connections", "flush")
    check_chaos(lab, chaos)


def check_chaos(lab, chaos: Chaos):
    """Calm, then chaos; afterwards what Larder holds is what it held before."""
    calm = chaos.run_calmly(CALM_S, lab.arguments.seed)
    calm.check()
    assert calm.reads > 1000 and not calm.errors and not calm.lost_writes, str(calm)
    checker = chaos.start(lab.arguments.seed)
    over = time.monotonic() + CHAOS_S * lab.arguments.rounds
    chaos.run(lambda: time.monotonic() > over)
    chaos.settle()
    verdict = checker.finish()
    lab.note(f"{verdict}\n{chaos.done}")
    if chaos.first_writes_ms:
        lab.note(f"first write after a promotion: {[round(ms) for ms in chaos.first_writes_ms]} ms")
    verdict.check()
    assert verdict.reads > 10_000 and verdict.judged > 20, "hardly anything was read"
    lab.note(chaos.check_restored())
    assert all(ms < BUSY_MS for ms in chaos.first_writes_ms)
    return verdict


@demanding
def test_checker_catches_lost_invalidations(lab):
    """The fault put in on purpose: pushes of Redis do not reach the Larders."""
    chaos = OneRedis(lab, lab.arguments.seed, drops_pushes=True)
    verdict = chaos.run_calmly(3.0, lab.arguments.seed)
    lab.note(str(verdict))
    assert verdict.violated > 100 and any("P3" in violation for violation in verdict.violations), str(verdict)
    assert any("nothing going on" in violation for violation in verdict.violations), "settle() sees nothing"
