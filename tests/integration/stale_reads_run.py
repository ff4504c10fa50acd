#!/usr/bin/env python3
"""The long form of stale_reads_test.py: until so many reads are checked. See docs/stale_reads.md."""

import argparse
import pathlib
import shutil
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from stale_reads import OneRedis, SixNodes, Trio  # noqa: E402
from support.lab import Lab  # noqa: E402

SCENARIOS = {"redis": OneRedis, "cluster": SixNodes, "sentinel": Trio}
PART_READS = 1_000_000  # then the load ends, is judged, and begins anew on the same servers


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--larder", default=str(HERE.parent.parent / "build" / "larder"), help="the binary to test")
    parser.add_argument("--reads", type=int, default=10_000_000, help="checked reads, over all scenarios")
    parser.add_argument("--seconds", type=float, default=60, help="each scenario goes on for so long at least")
    parser.add_argument("--scenario", choices=SCENARIOS, action="append", help="only this one")
    parser.add_argument("--fault", choices=["drop-invalidations"], help="put in on purpose; only with one redis")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def run_scenario(lab, name, reads, arguments):
    """(reads, violations)"""
    options = {"drops_pushes": True} if arguments.fault else {}
    chaos = SCENARIOS[name](lab, arguments.seed, **options)
    calm = chaos.run_calmly(2.0, arguments.seed)
    print(f"{name}, without harm: {calm}", *calm.violations, sep="\n", flush=True)
    done, violated, part = 0, calm.violated, 0
    first_start = time.monotonic()
    while done < reads or time.monotonic() < first_start + arguments.seconds:
        started = time.monotonic()
        checker = chaos.start(arguments.seed + part)
        chaos.run(lambda: checker.reads() >= PART_READS)
        chaos.settle()
        verdict = checker.finish()
        done, violated, part = done + verdict.reads, violated + verdict.violated, part + 1
        print(f"{name}, {time.monotonic() - started:.0f} s: {verdict}", *verdict.violations, sep="\n", flush=True)
    print(f"{name}: harms {chaos.done}; {chaos.check_restored()}")
    if chaos.first_writes_ms:
        print(f"{name}: first write after a promotion: {sorted(round(ms) for ms in chaos.first_writes_ms)} ms")
    return done, violated


def main():
    arguments = parse_arguments()
    scenarios = arguments.scenario or (["redis"] if arguments.fault else ["redis", "cluster"])
    root = tempfile.mkdtemp(prefix="larder-stale-")
    reads = violated = 0
    lab = Lab(shutil.which(arguments.larder), None, arguments, root)
    try:
        for name in scenarios:
            more_reads, more_violated = run_scenario(lab, name, arguments.reads // len(scenarios), arguments)
            reads, violated = reads + more_reads, violated + more_violated
    finally:
        lab.stop_servers()
        shutil.rmtree(root, ignore_errors=True)
    print(f"{reads} reads checked, {violated} violations")
    return 1 if violated else 0


if __name__ == "__main__":
    sys.exit(main())
