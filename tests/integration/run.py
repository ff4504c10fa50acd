#!/usr/bin/env python3
"""Runs the integration tests: `run.py [names...] [--larder PATH]`.

A test is a function `test_*(lab)` of a module `*_test.py` in this folder; a name selects the tests that contain it.
With `--larder redis-server` a redis-server stands in for Larder: what fails then is a fault of the tests.
"""

import argparse
import collections
import concurrent.futures
import importlib
import multiprocessing
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from support.lab import Lab, Skip  # noqa: E402
from support.servers import Crash, PostgresServer  # noqa: E402

TEST_SECONDS = 240
AGAIN = 3  # failures at most that may be the machine's


class Case:
    """One test function, on one backend when it is written for several."""

    def __init__(self, module, function, backend):
        self.module = module
        self.function = function.__name__
        self.backend = backend
        self.demanding = getattr(function, "demanding", False)
        suffix = f"[{backend}]" if backend else ""
        self.name = f"{module.removesuffix('_test')}.{self.function.removeprefix('test_')}{suffix}"

    def call(self, lab):
        function = getattr(importlib.import_module(self.module), self.function)
        function(lab, self.backend) if self.backend else function(lab)


class Outcome:
    """`reason` is one line, `details` the whole story; `crash` says that Larder did not end as it should."""

    def __init__(self, case, status, seconds, notes, reason, details, crash):
        self.case, self.status, self.seconds, self.notes = case, status, seconds, notes
        self.reason, self.details, self.crash = reason, details, crash

    def print(self):
        print(f"{self.status:7} {self.seconds:7.2f} s  {self.case.name}", flush=True)
        for note in self.notes:
            print(f"{'':19}{note}", flush=True)
        if self.status == "skipped":
            print(self.details, flush=True)


def discover():
    for path in sorted(HERE.glob("*_test.py")):
        module = importlib.import_module(path.stem)
        functions = [value for name, value in vars(module).items()
                     if name.startswith("test_") and value.__module__ == path.stem]
        for function in functions:
            for backend in getattr(function, "backends", (None,)):
                yield Case(path.stem, function, backend)


def run_case(case, arguments, template, temporary_root):
    """Runs in a worker process; never raises."""
    started = time.monotonic()
    lab = Lab(arguments.larder, template, arguments, temporary_root)
    signal.signal(signal.SIGALRM, raise_timeout)
    signal.alarm(TEST_SECONDS)
    status, reason, details, crash = "passed", "", "", False
    for part in (lambda: case.call(lab), lab.stop_servers):
        try:
            part()
        except Skip as skip:
            status, details = "skipped", f"{'':19}{skip}"
        except Exception as fault:  # whatever it was, the test has failed and the others go on
            status, details = "failed", details + traceback.format_exc()
            reason = reason or f"{type(fault).__name__}: {fault}".splitlines()[0]
            crash = crash or isinstance(fault, Crash)
    signal.alarm(0)
    if status == "failed":
        details += lab.logs()
    lab.close()
    return Outcome(case, status, time.monotonic() - started, lab.notes, reason, details, crash)


def raise_timeout(*_):
    raise TimeoutError(f"the test took more than {TEST_SECONDS} s")


def run_all(cases, arguments, template, temporary_root):
    """Outcomes as they come: first the tests that may share the machine, then the others, two at a time."""
    for demanding, jobs in ((False, arguments.jobs), (True, min(arguments.jobs, 2))):
        chosen = [case for case in cases if case.demanding == demanding]
        yield from run_together(jobs, chosen, arguments, template, temporary_root)


def run_together(jobs, cases, arguments, template, temporary_root):
    with concurrent.futures.ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
        running = [pool.submit(run_case, case, arguments, template, temporary_root) for case in cases]
        for future in concurrent.futures.as_completed(running):
            yield future.result()


def report(heading, failures):
    """Last, so that whoever sees only the end of a long log sees why: the stories, then one line each."""
    for failure in failures:
        print(f"\n=== {heading} {failure.case.name}\n{failure.details}")
    for failure in failures:
        print(f"{heading}  {failure.case.name}: {failure.reason}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="run only tests whose name contains one of these")
    parser.add_argument("--larder", default=str(HERE.parent.parent / "build" / "larder"), help="the binary to test")
    parser.add_argument("--seed", type=int, default=1, help="of the random tests")
    parser.add_argument("--rounds", type=int, default=1, help="random tests run this many times as much")
    parser.add_argument("--jobs", type=int, default=3, help="tests that run at the same time")
    parser.add_argument("--once", action="store_true", help="no second try for a few failed tests")
    parser.add_argument("--list", action="store_true", help="only print the names")
    arguments = parser.parse_args()
    found = shutil.which(arguments.larder)
    if not found:
        parser.error(f"no program at {arguments.larder}: build it first, or name it with --larder")
    arguments.larder = str(pathlib.Path(found).absolute())
    return arguments


def main():
    arguments = parse_arguments()
    cases = [case for case in discover() if not arguments.names or any(name in case.name for name in arguments.names)]
    if arguments.list:
        print("\n".join(case.name for case in cases))
        return 0
    temporary_root = tempfile.mkdtemp(prefix="larder-test-")
    pathlib.Path(temporary_root).chmod(0o755)
    try:
        outcomes, unsteady = judge(cases, arguments, temporary_root)
    finally:
        shutil.rmtree(temporary_root, ignore_errors=True)
    failures = [outcome for outcome in outcomes if outcome.status == "failed"]
    report("unsteady", unsteady)
    report("failed", failures)
    counts = collections.Counter(outcome.status for outcome in outcomes)
    print(", ".join(f"{counts[status]} {status}" for status in ("passed", "failed", "skipped")))
    return 1 if failures or not cases else 0


def judge(cases, arguments, temporary_root):
    """One outcome of each case, and the failures of those that have passed when they ran again.

    A few failures get a second try, alone on the machine: others may have kept a server from an answer for seconds. They
    are told all the same, for not every race is the machine's; and no crash is.
    """
    template = PostgresServer.make_template(temporary_root)
    outcomes, failures = [], []
    for outcome in run_all(cases, arguments, template, temporary_root):
        outcome.print()
        (failures if outcome.status == "failed" else outcomes).append(outcome)
    if arguments.once or len(failures) > AGAIN or any(failure.crash for failure in failures):
        return outcomes + failures, []
    first = {failure.case.name: failure for failure in failures}
    unsteady = []
    for outcome in run_together(1, [failure.case for failure in failures], arguments, template, temporary_root):
        outcome.print()
        outcomes.append(outcome)
        if outcome.status != "failed":
            unsteady.append(first[outcome.case.name])
    return outcomes, unsteady


if __name__ == "__main__":
    sys.exit(main())
