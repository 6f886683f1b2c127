"""Measures background work beside plain Celery over the same Valkey: `python -m benchmarks.work`.

From the commit of the last sign-off, as it comes back to the signer, to the start of the first test: through the job's
row, the relay and the claim; beside an empty Celery task, from sending it to its first line. Joining: the last of all
tests reports, the report is written down with its events, the rows are counted and the handoff is ready; beside a chord
on Redis, from the end of its last header task to the start of its body. Then all reports at once, beside the whole
chord. Workers have a pool of two threads. There are seven kinds of tests, so seven are joined, not ten.
"""

import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

from benchmarks.stack import servers
from benchmarks.table import Row, printed

ROUNDS = 60
WARM_UP = 5


@contextmanager
def stack(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Start PostgreSQL, Valkey, a relay and two workers; give the file that empty tasks write to, and the relay."""
    told = folder / "told"
    told.touch()
    with ExitStack() as ends:
        ends.enter_context(servers(folder, BENCH_TOLD=str(told), MDLC_DB_POOL="16"))
        from tests import processes  # after Django is set up

        env = processes.environment()
        empty = [
            "-m",
            "celery",
            "-A",
            "benchmarks.empty",
            "worker",
            "-P",
            "threads",
            "-c",
            "2",
            "-n",
            "empty",
            "-l",
            "INFO",
        ]
        running = [
            processes.relay(folder, env, every=2.0),
            processes.worker(folder, env, queues="tests"),
            processes.Process("empty", [sys.executable, *empty], folder / "empty.log", env).start(),
        ]
        for process in running:
            ends.callback(process.kill)
        for process, words in zip(running, ("listening", "ready.", "ready."), strict=True):
            process.until(words)
        yield told, running[0]


def seconds_to_first_test(place: Any, version: Any) -> float:
    """Sign last, and return the seconds from the commit to the claim of the test; then wait until all is quiet."""
    from handoff.states import State
    from tests.handoff import building

    handoff = building.offered(place, version, building.a_policy(("integrity",)))
    with _commits() as commits:
        building.sign(handoff, "review", place.vera)
    while handoff.state == State.TESTING:
        time.sleep(0.02)
        handoff.refresh_from_db()
    begun = handoff.jobs.get().claimed_at
    assert begun is not None
    _over(handoff)
    return float(begun.timestamp() - commits[-1])


@contextmanager
def _commits() -> Iterator[list[float]]:
    """Note when each commit came back to the one who waits for it."""
    from django.db import connection

    seen: list[float] = []
    real = connection._commit

    def commit() -> None:
        real()
        seen.append(time.time())

    connection._commit = commit
    try:
        yield seen
    finally:
        connection._commit = real


def _over(handoff: Any) -> None:
    from audit.actors import Worker
    from handoff.models import Handoff
    from handoff.services import handoffs

    Handoff.objects.filter(pk=handoff.pk).update(expires_at=handoff.offered_at)
    handoffs.expire(actor=Worker("benchmark"), handoff_id=str(handoff.pk))


def seconds_to_join(place: Any, version: Any) -> tuple[float, float]:
    """Let every test end; return the seconds of the last report to ready, and of all reports at once."""
    from handoff.states import State
    from tests.handoff import building

    alone = all_at_once = 0.0
    for together in (False, True):
        handoff = building.offered(place, version, building.a_policy(building.TESTS))
        building.open_review(place, handoff)
        reports = [_held(job) for job in handoff.jobs.all()]
        if together:
            all_at_once = _timed_together(reports)
        else:
            for report in reports[:-1]:
                report()
            begun = time.perf_counter()
            reports[-1]()
            alone = time.perf_counter() - begun
        handoff.refresh_from_db()
        assert handoff.state == State.READY
        _over(handoff)
    return alone, all_at_once


@contextmanager
def _deaf(relay: Any) -> Iterator[None]:
    """Pause the relay, so that we report on the tests ourselves; afterwards let it and the worker come to rest."""
    relay.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        relay.signal(signal.SIGCONT)
        time.sleep(0.2)


def _held(job: Any) -> Callable[[], object]:
    """Claim and begin a test, and return the function that reports on it."""
    from audit.actors import Worker
    from handoff.plans import TestReport
    from handoff.services import jobs, promotion_tests

    claimed = jobs.claim(job.pk, "benchmark", task=job.task)
    assert claimed is not None
    promotion_tests.begin(claimed.pk, claimed.fence)
    report = TestReport("passed", "It went well.", {"n": 1}, {}, "a line", 0.1)
    return lambda: promotion_tests.finish(claimed.pk, claimed.fence, report, actor=Worker("benchmark"))


def _timed_together(reports: list[Callable[[], object]]) -> float:
    from django.db import connection

    barrier = Barrier(len(reports) + 1)

    def one(report: Callable[[], object]) -> None:
        barrier.wait()
        report()
        connection.close()

    threads = [Thread(target=one, args=(report,)) for report in reports]
    for thread in threads:
        thread.start()
    barrier.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun


def seconds_of_empty(told: Path) -> float:
    """Send an empty task, and return the seconds to its first line."""
    from benchmarks import empty

    return _told(told, lambda: empty.begin.apply_async(args=[time.time()], ignore_result=True))[0]


def seconds_of_chord(told: Path, count: int) -> tuple[float, float]:
    """Send a chord of empty tasks, and return the seconds from the last end, and from the sending, to its body."""
    from celery import chord

    from benchmarks import empty

    tasks = [empty.end.si() for _ in range(count)]
    alone, in_all = _told(told, lambda: chord(tasks)(empty.join.s(time.time())))
    return alone, in_all


def _told(told: Path, send: Callable[[], object]) -> list[float]:
    before = len(told.read_text().splitlines())
    send()
    while len(lines := told.read_text().splitlines()) <= before:
        time.sleep(0.005)
    return [float(number) for number in lines[-1].split()[1:]]


def rows() -> list[Row]:
    """Run the whole benchmark."""
    with tempfile.TemporaryDirectory() as name, stack(Path(name)) as (told, relay):
        from tests.handoff import building

        place = building.a_place()
        version = building.a_version(place)
        count = len(building.TESTS)
        starts, empties, joins, chords = [], [], [], []
        for _ in range(ROUNDS + WARM_UP):
            empties.append(seconds_of_empty(told))
            starts.append(seconds_to_first_test(place, version))
            chords.append(seconds_of_chord(told, count))
            with _deaf(relay):
                joins.append(seconds_to_join(place, version))
        return [
            _row("last sign-off to first test", starts, empties, "empty Celery task", 2.0),
            _row(f"join {count} tests: last report to ready", _at(joins, 0), _at(chords, 0), "chord on Redis", 1.5),
            _row(f"{count} reports at once to ready", _at(joins, 1), _at(chords, 1), "chord, sent to body", None),
        ]


def _at(pairs: list[tuple[float, float]], index: int) -> list[float]:
    return [pair[index] for pair in pairs]


def _row(name: str, ours: list[float], theirs: list[float], peer: str, goal: float | None) -> Row:
    mine, other = _figures(ours), _figures(theirs)
    ratio = mine[0] / other[0]
    told = f"p50 {mine[0]:.2f} ms, p95 {mine[1]:.2f} ms"
    beside = f"{peer}: p50 {other[0]:.2f} ms, p95 {other[1]:.2f} ms"
    return Row(name, told, beside, ratio, f"≤ {goal:g}" if goal else "", None if goal is None else ratio <= goal)


def _figures(seconds: list[float]) -> tuple[float, float]:
    found = sorted(1000 * one for one in seconds[WARM_UP:])
    return statistics.median(found), found[int(0.95 * len(found))]


def main() -> None:
    """Print the table."""
    print(printed(rows(), f"Background work (medians of {ROUNDS} rounds in turns)"))


if __name__ == "__main__":
    main()
