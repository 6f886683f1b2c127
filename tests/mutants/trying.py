"""A pytest plug-in that collects the tests, and instead of running them tries changes: a forked child for each."""

import ctypes
import gc
import json
import os
import random
import signal
import sys
import time
import tomllib
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import psycopg
import pytest
from django.conf import settings
from django.db import connections
from psycopg import sql

from tests.mutants.changes import Change, changes
from tests.mutants.placing import Functions, modules
from tests.mutants.reached import KEPT, Marks, Reached, digest

HERE = Path(__file__).parent
# Tests that need processes of their own would need them anew for each change.
PROCESSES = {"live_server", "engine", "broker", "started", "env", "page", "moto_server"}
PR_SET_PDEATHSIG = 1
PATIENCE = (5, 30)  # seconds, without and with the database, beside ten times what a test took
SLOWEST = 10.0  # seconds; what a slower test alone would notice counts as not noticed
KILLED, TIMED_OUT, EQUIVALENT = "killed", "timed out", "equivalent"
SURVIVED, UNREACHED, BROKEN = "survived", "unreached", "broken"
TOLD_APART = (TIMED_OUT, SURVIVED, UNREACHED, BROKEN, EQUIVALENT)
EVERY = 100.0


@dataclass(frozen=True)
class Wanted:
    """Which changes are to be tried."""

    areas: Path = HERE / "areas.toml"
    kept: Path = KEPT
    only: tuple[str, ...] = ()
    count: int = 0
    draw: int = 2026
    seconds: float = 40.0  # of tests for one change
    again: bool = False  # only what nobody noticed the last time


class Between:
    """A test that comes next and shares nothing but the session with the one before."""

    def __init__(self, session: pytest.Session) -> None:
        """Remember the session."""
        self.session = session

    def listchain(self) -> list[pytest.Session]:
        """Return what is not torn down."""
        return [self.session]


class Trying:
    """Try changes on the tests that pytest has collected, and tell which of them nobody noticed."""

    def __init__(self, wanted: Wanted) -> None:
        """Read what is to be changed."""
        self.areas = areas_in(wanted.areas)
        self.equal = equivalents()
        self.wanted, self.failed = wanted, False
        self.killers: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by function, and by module
        self.sound: dict[str, bool] = {}
        self.verdicts: list[tuple[Change, str]] = []

    def pytest_configure(self) -> None:
        """Draw the same examples each time, and do not look for the smallest: that one fails is enough."""
        phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
        hypothesis.settings.register_profile(
            "mutants", database=None, derandomize=True, deadline=None, phases=phases, max_examples=30
        )
        hypothesis.settings.load_profile("mutants")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember that a test has failed."""
        self.failed |= report.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Find what each test reaches, then try the changes."""
        if session.testsfailed:
            raise session.Interrupted("the tests cannot be collected")
        self.next: Any = Between(session)
        self.live = Functions(modules(self.areas["packages"]))
        alone = [
            one for one in session.items if isinstance(one, pytest.Function) and not PROCESSES & set(one.fixturenames)
        ]
        self.items = {one.nodeid: one for one in sorted(alone, key=lambda one: (_dirties(one), _has_database(one)))}
        self.reached = Reached.kept(self.wanted.kept)
        self._warm()
        self._map()
        known = self.reached.tests
        usable = [one for one in self.items if one in known and known[one][1] <= SLOWEST]
        self.by_statement = self.reached.by_statement(usable)
        try:
            self._try(chosen(self.live, self.wanted, self.areas))
        finally:
            print(summary(self.verdicts, self.areas), flush=True)
        return True

    def goals_met(self) -> bool:
        """Tell whether all that is critical was noticed, and elsewhere as many as there should be."""
        sure, rest = Counter[str](), Counter[str]()
        for change, verdict in self.verdicts:
            (sure if area_of(change.module, self.areas) in self.areas["critical"] else rest)[verdict] += 1
        return score(sure) == EVERY and score(rest) >= self.areas["goal"]["elsewhere"]

    def _warm(self) -> None:
        """Make the test's database, which then stays as long as the session, and a copy to come back to.

        One test of each file is run here, so that no child has to import and prepare what they all need; where all of
        them commit for real, only the first.
        """
        with_database = [one for one in self.items.values() if _has_database(one)]
        plain = [one for one in with_database if not _dirties(one)] or with_database[:1]
        self.has_database = bool(plain)
        for item in {one.path: one for one in reversed(plain)}.values():
            with _quiet():
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=self.next)
        if plain:
            self._copy(back=False)

    def _map(self) -> None:
        unknown = [one for name, one in self.items.items() if not self.reached.knows(name, one.path)]
        if not unknown:
            return
        print(f"\nWhat {len(unknown)} tests reach is found first.", flush=True)
        marks = Marks(self.live, self.reached)
        for at, item in enumerate(unknown, 1):
            self.live.forget()
            marks.take()
            _tidy()
            self.failed, began = False, time.perf_counter()
            with _quiet():
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=self.next)
            seconds, seen = time.perf_counter() - began, marks.take()
            self.reached.tests.pop(item.nodeid, None)
            if not self.failed:
                self.reached.tests[item.nodeid] = (digest(item.path), seconds, seen)
            if at % 200 == 0:
                self.reached.keep(self.wanted.kept)
                print(f"{at} of {len(unknown)}", flush=True)
        marks.remove()
        self.reached.keep(self.wanted.kept)
        if self.has_database:
            self._copy(back=True)

    def _try(self, tried: Sequence[Change]) -> None:
        print(f"\n{len(tried)} changes are tried.", flush=True)
        gc.collect()
        gc.freeze()
        began = time.monotonic()
        kept = self.wanted.kept.with_name("verdicts.json")
        known: dict[str, str] = json.loads(kept.read_text()) if kept.exists() else {}
        for at, change in enumerate(tried):
            name = " | ".join(map(str, change.key))
            if change.key in self.equal:
                verdict = EQUIVALENT
            elif self.wanted.again and known.get(name) in (KILLED, TIMED_OUT):
                verdict = known[name]
            else:
                verdict = known[name] = self._verdict(change)
            self.verdicts.append((change, verdict))
            if verdict not in (KILLED, EQUIVALENT):
                print(f"{verdict:9} {told(change, self.live.files[change.module])}", flush=True)
            if at % 100 == 99:
                print(f"{at + 1} of {len(tried)} after {time.monotonic() - began:.0f} s", flush=True)
                print(summary(self.verdicts, self.areas), flush=True)
                kept.write_text(json.dumps(known))
        kept.write_text(json.dumps(known))

    def _verdict(self, change: Change) -> str:
        reaching = self.by_statement.get(change.statement, [])
        # A statement that was written since is in no kept map; those who reach its function may reach it, too.
        tests = reaching or self.by_statement.get(_place(change), [])
        if not tests:
            return UNREACHED
        while True:
            status, by = self._child(self._ordered(tests, change), change)
            if by is None or self._is_sound(by):
                break
            tests = [one for one in tests if one != by]
        if by is not None:
            self.killers[_place(change)][by] += 1
            self.killers[change.module][by] += 1
        return UNREACHED if status == SURVIVED and not reaching else status

    def _ordered(self, tests: Iterable[str], change: Change) -> list[str]:
        """Return tests, first those that have noticed other changes of the function, then of the module.

        Then come those whose file has the subject's name, and then those that reach little else. What commits for real
        comes later than its like, for the database is put back after it.
        """
        of_function, of_module = self.killers[_place(change)], self.killers[change.module]
        subject = change.module.rpartition(".")[2].rstrip("s")

        def cost(test: str) -> tuple[int, int, bool, int]:
            _, _, reached = self.reached.tests[test]
            named = subject in test.partition("::")[0].rpartition("/")[2]
            wide = len(reached) * (3 if _dirties(self.items[test]) else 1)
            return (-of_function[test], -of_module[test], not named, wide)

        return sorted(tests, key=cost)

    def _is_sound(self, test: str) -> bool:
        """Tell whether a test passes in a child in which nothing is changed."""
        if test not in self.sound:
            self.sound[test] = self._child([test], None)[0] == SURVIVED
            if not self.sound[test]:
                print(f"unsound   {test}", flush=True)
        return self.sound[test]

    def _child(self, tests: Sequence[str], change: Change | None) -> tuple[str, str | None]:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            self._run(tests, change, writing)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            said = pipe.read().split("\n")[:-1]
        status = os.waitpid(pid, 0)[1]
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        if any(_dirties(self.items[test]) for test in said):
            self._copy(back=True)
        if os.WIFSIGNALED(status):
            return TIMED_OUT, said[-1]
        code = os.WEXITSTATUS(status)
        return (SURVIVED, BROKEN)[code > 1] if code != 1 else KILLED, said[-1] if code == 1 else None

    def _run(self, tests: Sequence[str], change: Change | None, writing: int) -> NoReturn:
        """Run tests until one fails: 1; none does: 0. A test that takes far too long ends the process."""
        try:
            os.setsid()
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            _say_nothing()
            if change is not None and not self.live.change(change):
                os._exit(2)
            until = time.monotonic() + self.wanted.seconds
            for test in tests:
                os.write(writing, f"{test}\n".encode())
                signal.alarm(int(PATIENCE[_has_database(self.items[test])] + 10 * self.reached.tests[test][1]))
                self.failed = False
                item = self.items[test]
                _tidy()
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=self.next)
                signal.alarm(0)
                if self.failed:
                    os._exit(1)
                if time.monotonic() > until:
                    break
            os._exit(0)
        except BaseException:  # the child must never go on as if it were the parent
            self.wanted.kept.with_name("trouble.txt").write_text(traceback.format_exc())
            os._exit(3)

    def _copy(self, *, back: bool) -> None:
        """Keep a copy of the test's database, or put it back where a test has left real rows."""
        _leave_database()
        told_ = connections["default"].settings_dict
        place = {
            "host": told_["HOST"],
            "user": told_["USER"] or os.environ.get("PGUSER"),
            "port": told_["PORT"] or None,
        }
        name, copy = str(told_["NAME"]), f"{told_['NAME']}_copy"
        new, old = (name, copy) if back else (copy, name)
        with psycopg.connect(dbname="postgres", autocommit=True, **place) as server:
            for words in ("DROP DATABASE IF EXISTS {} WITH (FORCE)", "CREATE DATABASE {} TEMPLATE {}"):
                named = [sql.Identifier(one) for one in (new, old)][: words.count("{}")]
                server.execute(sql.SQL(words).format(*named))


def _place(change: Change) -> str:
    """Return what a changed function is called in the map of what tests reach."""
    return f"{change.module}:{change.function}:"


def _tidy() -> None:
    """Remove what tests leave outside of the database and of their own folders."""
    Path(settings.ANCHORS).unlink(missing_ok=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Let what a test prints go nowhere."""
    streams = [(stream, os.dup(stream)) for stream in (1, 2)]
    _say_nothing()
    try:
        yield
    finally:
        sys.stdout.flush()
        for stream, kept in streams:
            os.dup2(kept, stream)
            os.close(kept)


def _say_nothing() -> None:
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _dirties(item: pytest.Function) -> bool:
    """Tell whether a test commits for real."""
    marker = item.get_closest_marker("django_db")
    return "transactional_db" in item.fixturenames or bool(marker and marker.kwargs.get("transaction"))


def _has_database(item: pytest.Function) -> bool:
    """Tell whether a test needs the database."""
    return "db" in item.fixturenames or item.get_closest_marker("django_db") is not None


def _leave_database() -> None:
    """Close all sessions, so that a child begins with its own."""
    for one in connections.all(initialized_only=True):
        one.close()
        one.close_pool()


def areas_in(path: Path) -> dict[str, Any]:
    """Return what is changed, and what must come of it."""
    return tomllib.loads(path.read_text())


def equivalents() -> dict[tuple[str, str, str, str, int], str]:
    """Return the changes that change nothing, by what they are known by, each with the reason."""
    rows = tomllib.loads((HERE / "equivalent.toml").read_text()).get("change", [])
    return {(r["module"], r["function"], r["text"], r["change"], r.get("nth", 1)): r["why"] for r in rows}


def chosen(live: Functions, wanted: Wanted, areas: dict[str, Any]) -> list[Change]:
    """Return the changes of the modules that were asked for, or so many of them, in the order in which they are drawn.

    So whoever ends it early has tried some by chance of them all.
    """
    asked = [
        change
        for module, source in live.sources.items()
        if not wanted.only or any(_is_of(module, one, areas["critical"]) for one in wanted.only)
        for change in changes(module, source)
    ]
    if not wanted.count or wanted.count >= len(asked):
        return asked
    return random.Random(wanted.draw).sample(asked, wanted.count)


def _is_of(module: str, asked: str, critical: dict[str, list[str]]) -> bool:
    """Tell whether a module is of an area, a package or the module that was asked for."""
    sure = {name for listed in critical.values() for name in listed}
    if asked in ("critical", "elsewhere"):
        return (module in sure) == (asked == "critical")
    return any(module == one or module.startswith(f"{one}.") for one in critical.get(asked, [asked]))


def told(change: Change, path: Path) -> str:
    """Return a change as one line."""
    nth = f" (no. {change.nth})" if change.nth > 1 else ""
    return (
        f"{path.relative_to(HERE.parents[1])}:{change.line}: {change.change}{nth} in {change.function}: {change.text}"
    )


def summary(verdicts: Sequence[tuple[Change, str]], areas: dict[str, Any]) -> str:
    """Return the score of each area: the noticed changes among those that change anything."""
    by_area: dict[str, Counter[str]] = {}
    for change, verdict in verdicts:
        by_area.setdefault(area_of(change.module, areas), Counter())[verdict] += 1
    lines = [_line(area, count) for area, count in sorted(by_area.items())]
    return "\n".join(["", *lines, _line("all", sum(by_area.values(), Counter()))])


def area_of(module: str, areas: dict[str, Any]) -> str:
    """Return the critical area of a module, or its package."""
    for name, listed in areas["critical"].items():
        if module in listed:
            return str(name)
    return next(one for one in areas["packages"] if module == one or module.startswith(f"{one}."))


def score(count: Counter[str]) -> float:
    """Return how many of a hundred changes that change anything were noticed."""
    meaning = sum(count.values()) - count[EQUIVALENT]
    return 100 * (count[KILLED] + count[TIMED_OUT]) / meaning if meaning else EVERY


def _line(area: str, count: Counter[str]) -> str:
    meaning = sum(count.values()) - count[EQUIVALENT]
    noticed = count[KILLED] + count[TIMED_OUT]
    more = ", ".join(
        f"{count[one]} {one}" for one in (TIMED_OUT, SURVIVED, UNREACHED, BROKEN, EQUIVALENT) if count[one]
    )
    return f"{area:26} {score(count):5.1f} %  {noticed} of {meaning} noticed{'; ' if more else ''}{more}"
