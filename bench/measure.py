"""What a measurement is: samples of Larder and of its peer, taken in turns, and the line of the table they make."""

import dataclasses
import pathlib
import statistics


def cpu_seconds(pid):
    """Time on a CPU of all threads of a process; the scheduler counts it in nanoseconds, /proc/PID/stat in ticks."""
    threads = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def cpu_seconds_of_family(pid):
    """The same with all children that run now: PostgreSQL's work is done by them."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu_seconds(pid) + sum(map(cpu_seconds, children))


def in_turns(rounds, contenders):
    """Samples by name of contender: every round asks each of them once.

    A machine that is slow for a while is then slow for all of them.
    """
    samples = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, take_sample in contenders.items():
            samples[name].append(take_sample())
    return samples


@dataclasses.dataclass(frozen=True)
class Mark:
    """What a line must reach: a bound for its ratio, its difference or Larder's own figure."""

    at_most: float | None = None
    at_least: float | None = None
    of: str = "ratio"  # or "difference", "figure"

    def reached_by(self, line):
        value = getattr(line, self.of)
        return value <= self.at_most if self.at_most is not None else value >= self.at_least

    def __str__(self):
        sign, bound = ("<=", self.at_most) if self.at_most is not None else (">=", self.at_least)
        return f"{self.of} {sign} {bound:g}"


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the closing table.

    Units: `unit` is that of `larder` and `peer`.
    """

    what: str
    unit: str
    larder: float
    peer: float
    peer_name: str
    ratio: float
    mark: Mark | None = None

    @property
    def difference(self):
        return self.larder - self.peer

    @property
    def figure(self):
        return self.larder

    def verdict(self):
        if self.mark is None:
            return ""
        return "reached" if self.mark.reached_by(self) else "MISSED"

    def cells(self):
        mark = "" if self.mark is None else str(self.mark)
        return (self.what, self.unit, digits(self.larder), digits(self.peer), self.peer_name, f"{self.ratio:.2f}", mark,
                self.verdict())


def compare(what, unit, larder_samples, peer_samples, peer_name, mark=None):
    """The medians of both, and the median of the ratios of the rounds (it forgives a machine that drifts)."""
    ratios = [ours / theirs for ours, theirs in zip(larder_samples, peer_samples)]
    return Line(what, unit, statistics.median(larder_samples), statistics.median(peer_samples), peer_name,
                statistics.median(ratios), mark)


def digits(number):
    """Those that matter."""
    if abs(number) >= 1000:
        return f"{number:,.0f}"
    return f"{number:.1f}" if abs(number) >= 100 else f"{number:.2f}"


HEADINGS = ("row", "unit", "Larder", "peer", "which", "ratio", "mark", "verdict")


def table(lines):
    """A Markdown table whose columns line up."""
    rows = [HEADINGS, *(line.cells() for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    rows.insert(1, tuple("-" * width for width in widths))
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows)
