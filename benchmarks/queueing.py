"""Simulates how long work waits for a pool of workers, at the size of today, at ten and a thousand times it:
`python -m benchmarks.queueing [--gates-an-hour 20] [--waits 60]`.

A gate that opens queues seven tests at once, and one that opens later an order for an engine. Gates open by chance
(Poisson), twice as often in the busiest two of eight hours. How long a piece of work takes is drawn from a log-normal
distribution: many take about the median, a few take much longer, none longer than the limit after which it is ended.
Work is taken in its order by the first thread that is free, as the claims of jobs do. The threads of a pool are the
fewest of which the simulation says that nineteen of twenty pieces wait no longer than asked for, which is when the
page of the site's condition tells of them (`mdlc_site/condition.py`).

What it leaves out: threads that share too few processors (a test takes one, so a pool needs as many cores as threads),
work that is tried again, and the relay, which took 4 ms from commit to claim (docs/benchmarks.md).
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SIZES = (1, 10, 1_000)
HOURS, BUSIEST = 8, (1, 2)  # of a working day
ENOUGH = 40_000  # pieces of work in one simulation, at least


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of work: how many pieces a gate asks for at once, and how long one takes."""

    name: str
    pieces: int
    median: float
    spread: float  # of the logarithm: 1.0 makes one in twenty five times as long as the median
    limit: float

    def seconds(self, draw: random.Random) -> float:
        """Draw how long one piece takes."""
        return min(self.limit, draw.lognormvariate(math.log(self.median), self.spread))


KINDS = (
    Work("promotion tests of small models", 7, 2.0, 1.0, 120),
    Work("promotion tests of large models", 7, 30.0, 0.8, 120),
    Work("orders to engines", 1, 10.0, 1.0, 600),
)


def openings(an_hour: float, days: int, draw: random.Random) -> Iterator[float]:
    """Give the seconds at which gates open, over so many working days."""
    for hour in range(days * HOURS):
        rate = an_hour * (2 if hour % HOURS in BUSIEST else 1) / 3600
        at = draw.expovariate(rate)
        while at < 3600:
            yield hour * 3600 + at
            at += draw.expovariate(rate)


def waits(work: Work, an_hour: float, threads: int, seed: int = 7) -> tuple[list[float], float]:
    """Return how long each piece waited, sorted, and which part of their time the threads worked."""
    draw = random.Random(seed)
    days = max(1, math.ceil(ENOUGH / (an_hour * work.pieces * (HOURS + len(BUSIEST)))))
    free = [0.0] * threads
    found, busy = [], 0.0
    for at in openings(an_hour, days, draw):
        for _ in range(work.pieces):
            begins = max(at, free[0])
            takes = work.seconds(draw)
            heapq.heapreplace(free, begins + takes)
            found.append(begins - at)
            busy += takes
    return sorted(found), busy / (threads * days * HOURS * 3600)


def fewest(work: Work, an_hour: float, longest: float) -> int:
    """Return the fewest threads with which nineteen of twenty pieces wait no longer than that."""

    def enough(threads: int) -> bool:
        found, _ = waits(work, an_hour, threads)
        return found[len(found) * 95 // 100] <= longest

    high = 1
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > max(1, high // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def lines(gates: float, longest: float) -> Iterator[str]:
    """Give the table, line by line, as the paper has it."""
    yield "| work | size | gates an hour | threads | at work | waits p50 | p95 | p99 |"
    yield "|---|---|---|---|---|---|---|---|"
    for work in KINDS:
        for size in SIZES:
            an_hour = gates * size
            threads = fewest(work, an_hour, longest)
            found, busy = waits(work, an_hour, threads)
            at = [found[len(found) * percent // 100] for percent in (50, 95, 99)]
            told = " | ".join(f"{seconds:.0f} s" for seconds in at)
            yield f"| {work.name} | {size:,}× | {an_hour:,.0f} | {threads:,} | {busy:.0%} | {told} |"


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queueing", description=__doc__)
    parser.add_argument("--gates-an-hour", type=float, default=20.0)
    parser.add_argument("--waits", type=float, default=60.0, help="the longest wait of nineteen in twenty, in seconds")
    asked = parser.parse_args(arguments)
    for line in lines(asked.gates_an_hour, asked.waits):
        print(line)


if __name__ == "__main__":
    main(sys.argv[1:])
