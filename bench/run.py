#!/usr/bin/env python3
"""Measures Larder beside redis-server, nutcracker and pgbench: `run.py [rows...] [--larder PATH] [--quick]`.

Everything is started here, on free loopback ports and with data directories of its own, and ended by pid. What the
rows mean and how to read them: docs/performance.md.
"""

import argparse
import pathlib
import shutil
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE)]

from bed import Bed  # noqa: E402
from measure import table  # noqa: E402
from rows import ROWS  # noqa: E402
from traces import find_trace  # noqa: E402

NEEDED_PROGRAMS = ("redis-server", "redis-benchmark", "nutcracker", "pgbench")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="row", help=f"measure only these: {', '.join(ROWS)}")
    parser.add_argument("--larder", default=str(HERE.parent / "build" / "larder"), help="the binary to measure")
    parser.add_argument("--quick", action="store_true", help="two minutes in place of ten, and rougher figures")
    arguments = parser.parse_args()
    unknown = set(arguments.rows) - set(ROWS)
    if unknown:
        parser.error(f"no row is called {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    for program in (arguments.larder, *NEEDED_PROGRAMS):
        if not shutil.which(program):
            parser.error(f"{program} is not here: ./dev build makes Larder, ./dev bench installs the others")
    arguments.larder = str(pathlib.Path(shutil.which(arguments.larder)).absolute())
    return arguments


def measure(bed, names):
    """Lines of all rows; a row that fails is told of and the others go on."""
    lines, failed = [], []
    for name in names:
        started = time.monotonic()
        try:
            with bed.row():
                for line in ROWS[name](bed):
                    lines.append(line)
                    print("  ".join(cell for cell in line.cells() if cell), flush=True)
        except Exception as error:
            failed.append(name)
            print(f"{name} failed: {error}", flush=True)
        print(f"{name} took {time.monotonic() - started:.0f} s\n", flush=True)
    return lines, failed


def main():
    arguments = parse_arguments()
    if find_trace() is None:
        print("No trace in ../shared/traces: the hit ratio is that of a made-up Zipf trace.\n")
    with Bed.make(arguments.larder, arguments.quick) as bed:
        lines, failed = measure(bed, arguments.rows or list(ROWS))
    missed = sum(line.verdict() == "MISSED" for line in lines)
    marked = sum(line.mark is not None for line in lines)
    print(table(lines))
    print(f"\n{marked - missed} of {marked} marks reached"
          + (f"; rows that failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
