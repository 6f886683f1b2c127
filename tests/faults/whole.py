"""The whole stack under random faults: Celery workers, beat, relay, broker, database, engine, by their usual times."""

import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import redis
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import QuerySet

from audit.actors import Person
from audit.errors import Refused
from audit.models import Account, AuditEvent
from handoff.models import Deployment, Handoff, Job, SignOff
from handoff.queries.invariants import check
from handoff.services import deployments
from handoff.states import State
from tests.faults.flows import WAITING, offered
from tests.handoff import building
from tests.processes import Engine, Process

BETWEEN = 4.0
MODELS = 4
PAUSES = (3.0, 35.0)  # seconds; the longer one outlasts a lease
PATIENCE = 240.0


def worker(folder: Path, env: dict[str, str], queues: str, threads: int) -> Process:
    """Return a worker as the Procfile has it."""
    celery = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "mdlc_site", "--skip-checks"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
    name = queues.split(",")[0]
    args = [*celery, "worker", "-Q", queues, "-n", f"{name}@%h", "--pool", "threads", "-c", str(threads), *quiet]
    return Process(f"worker-{name}", args, folder / f"worker-{name}.log", env)


@dataclass
class Site:
    """The processes of an installation, the models whose versions go live on it, and what happened to them."""

    folder: Path
    env: dict[str, str]
    broker: Process
    url: str
    engine: Engine
    restart_database: Callable[[], None]
    seed: int
    happened: Counter[str] = field(default_factory=Counter)
    lines: list["Line"] = field(default_factory=list)
    parts: dict[str, Process] = field(default_factory=dict)
    _due: list[tuple[float, Callable[[], Any]]] = field(default_factory=list)

    def start(self) -> None:
        """Start everything."""
        celery = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "mdlc_site", "--skip-checks"]
        beat = [*celery, "beat", "--loglevel", "WARNING", "--pidfile="]
        relay = [sys.executable, "-W", "ignore", "manage.py", "relay"]
        self.parts = {
            "relay": Process("relay", relay, self.folder / "relay.log", self.env),
            "worker-tests": worker(self.folder, self.env, "tests", 4),
            "worker-deployments": worker(self.folder, self.env, "deployments,stops", 2),
            "beat": Process("beat", beat, self.folder / "beat.log", self.env),
        }
        for part in self.parts.values():
            part.start()

    def stop(self) -> None:
        """End everything."""
        for part in self.parts.values():
            part.signal(signal.SIGCONT)
            part.kill()

    # One fault

    def break_something(self, drawn: random.Random) -> None:
        """Let one thing happen, and have it put right in a second or when its pause is over."""
        faults: dict[str, Callable[[], None]] = {f"kill {name}": lambda n=name: self._kill(n) for name in self.parts}
        for name in ("relay", "worker-tests", "worker-deployments"):
            faults[f"pause {name}"] = lambda n=name: self._pause(n, drawn.choice(PAUSES))
        faults["kill the engine"] = self._kill_engine
        faults["empty the broker"] = self._empty
        faults["kill the broker"] = self._kill_broker
        faults["restart the database"] = self.restart_database
        kinds = [*faults, "kill worker-tests", "kill worker-deployments", "kill worker-deployments"]
        kind = drawn.choice(kinds)
        faults[kind]()
        self.happened[kind] += 1

    def _kill(self, name: str) -> None:
        self.parts[name].signal(signal.SIGCONT)
        self.parts[name].kill()
        self._due.append((time.monotonic() + 1, self.parts[name].start))

    def _pause(self, name: str, seconds: float) -> None:
        part = self.parts[name]
        part.signal(signal.SIGSTOP)
        self._due.append((time.monotonic() + seconds, lambda: part.signal(signal.SIGCONT)))

    def _kill_engine(self) -> None:
        self.engine.kill()
        self._due.append((time.monotonic() + 1, self.engine.start))

    def _empty(self) -> None:
        redis.Redis(unix_socket_path=self.url.removeprefix("unix://")).flushall()

    def _kill_broker(self) -> None:
        self.broker.kill()
        self.broker.start()

    def repair(self, *, all_of_it: bool = False) -> None:
        """Put right what is due; in the end everything."""
        now = time.monotonic()
        due = [one for one in self._due if all_of_it or one[0] <= now]
        self._due = [one for one in self._due if one not in due]
        for _, act in due:
            act()

    # What goes on

    def step(self) -> None:
        """Let the people of every model do what is to be done next."""
        for line in self.lines:
            try:
                line.step()
            except (DatabaseError, InterfaceError):
                connection.close()  # it restarts just now; they try again, as people do
            except Refused:
                continue  # work is under way, or a deployment waits for another
        self.repair()

    def wait(self, seconds: float) -> None:
        """Go on for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step()
            time.sleep(0.2)

    def quieten(self) -> str:
        """Put everything right, and wait until all that was begun has ended. Returns what has not."""
        self.repair(all_of_it=True)
        for line in self.lines:
            line.last = True
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.step()
            if all(line.over for line in self.lines) and not waiting().exists():
                return ""
            time.sleep(0.2)
        return f"lost: after {PATIENCE:g} s there is still {', '.join(map(str, waiting())) or 'a version on its way'}"

    def wrong(self) -> list[str]:
        """Return what is not as it must be."""
        found = [str(one) for one in check().violations]
        promised = {one for line in self.lines for one in line.promised}
        kept = {str(pk) for pk in SignOff.objects.filter(pk__in=promised).values_list("pk", flat=True)}
        found += [f"lost: the signature {one}" for one in promised - kept]
        told = Counter(AuditEvent.objects.filter(action="deployment.live").values_list("subject", flat=True))
        found += [f"doubled: {subject} went live {times} times" for subject, times in told.items() if times > 1]
        for line in self.lines:
            slug = line.place.model.slug
            live = list(
                Deployment.objects.filter(model=line.place.model, state="live").values_list("digest", flat=True)
            )
            serves = self.engine.serves(slug)
            if serves != "".join(live):
                found.append(f"{slug}: the engine serves {serves[:12]}, on record is {live}")
        return found


@dataclass
class Line:
    """One model, whose versions are offered, signed, tested and made live, one after the other."""

    site: Site
    place: building.Place
    promised: list[str] = field(default_factory=list)
    live: int = 0
    last: bool = False
    over: bool = False
    handoff: Handoff | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def step(self) -> None:
        """Do what is to be done next, if anything is."""
        if self.handoff is None:
            self.over = self.last
            if not self.over:
                self.handoff = offered(self.place, next(self._numbers), "integrity")
            return
        self.handoff.refresh_from_db()
        state = State(self.handoff.state)
        if state == State.IN_REVIEW:
            self._sign("review", self.place.vera)
        elif state == State.READY and not self.handoff.jobs.filter(state__in=WAITING).exists():
            self._release(self.handoff)
        elif state in (State.LIVE, State.RETURNED):
            self.live += state == State.LIVE
            self.handoff = None

    def _release(self, handoff: Handoff) -> None:
        if handoff.signoffs.filter(gate="release", voided_at=None).exists():
            deployments.retry(actor=Person(self.place.otto, "test"), handoff_id=handoff.pk)
        else:
            self._sign("release", self.place.otto)

    def _sign(self, gate: str, who: Account) -> None:
        assert self.handoff is not None
        self.promised.append(str(building.sign(self.handoff, gate, who).pk))


def waiting() -> QuerySet[Job]:
    """Return the work that has not ended."""
    return Job.objects.filter(state__in=WAITING)


def figures(site: Site) -> str:
    """Return what came of it, in a few lines."""
    ended = list(Job.objects.exclude(ended_at=None).values_list("queued_at", "ended_at", "attempts", "state"))
    seconds = sorted((end - begun).total_seconds() for begun, end, _, _ in ended)
    hit = sorted((end - begun).total_seconds() for begun, end, attempts, _ in ended if attempts > 1)
    faults = ", ".join(f"{what} {times}" for what, times in sorted(site.happened.items()))
    states = Counter(state for *_, state in ended)
    return "\n".join(
        [
            f"{sum(site.happened.values())} faults ({faults})",
            f"{sum(line.live for line in site.lines)} versions went live; jobs: {dict(states)}",
            f"from commit to end: {spread(seconds)}; of the {len(hit)} that were begun more than once: {spread(hit)}",
        ]
    )


def spread(seconds: list[float]) -> str:
    """Return median, 95th percentile and maximum of sorted seconds."""
    if not seconds:
        return "none"
    at = [seconds[min(int(part * len(seconds)), len(seconds) - 1)] for part in (0.5, 0.95)]
    return f"p50 {at[0]:.1f} s, p95 {at[1]:.1f} s, longest {seconds[-1]:.1f} s"


def run(site: Site, faults: int) -> list[str]:
    """Let so many things happen while versions go live, and return what is wrong afterwards."""
    drawn = random.Random(site.seed)
    site.lines = [Line(site, building.a_place(f"line-{number}")) for number in range(MODELS)]
    site.wait(2 * BETWEEN)
    for _ in range(faults):
        site.break_something(drawn)
        site.wait(BETWEEN)
    late = site.quieten()
    return [*([late] if late else []), *site.wrong()]
