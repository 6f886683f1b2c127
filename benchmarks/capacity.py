"""Loads a whole site as a working day does, and then beyond what it can do: `make load MINUTES=10`.

PostgreSQL, Valkey and every process of the Procfile run on this machine, over 100,000 models and 1,000,000 events
(`capacity_site.py`). A crowd in a process of its own (`crowd.py`) reads, searches, answers, registers and signs, each
with time to think; automation lists, reads, polls and creates. Then a few ask without a pause, which shows what the
site can do at most, and then a crowd asks for four times as much. At the end every act that was answered well must be
on record, once and with its event, every act that was turned away must have left nothing, and the trail must be whole.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.serving import free_port
from benchmarks.stack import from_procfile, servers
from benchmarks.startup import family, memory_mb
from benchmarks.table import Row, printed

GOAL_MS = 200.0
BEYOND = 4  # times of what the site can do at most
THINK, POLL = 30.0, 5.0  # seconds between two things that a person does, and between two of automation
EVERY = 5.0  # seconds between two looks at memory and connections
FLAT = 1.10  # memory of the last minute beside the first
PROCESSES = {"web": "Started worker-2", "relay": "listening", "worker-tests": "ready.", "worker-deployments": "ready."}
SHARES = "PostgreSQL"  # its processes share one large piece, which fills as it is used
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
ACCEPTED = (200, 201, 302, 303)
Requests = list[tuple[str, float, float, int]]


@dataclass
class Watch:
    """Looks at the memory of each process and at the connections, every few seconds while a load goes on."""

    pids: dict[str, int]
    memory: dict[str, list[float]] = field(default_factory=dict)
    connections: list[int] = field(default_factory=list)
    worked: dict[str, float] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        """Begin."""
        self.worked = {name: -processor_seconds(pid) for name, pid in self.pids.items()}
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self.worked = {name: sum_ + processor_seconds(self.pids[name]) for name, sum_ in self.worked.items()}
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        from django.db import connection

        while not self._over.wait(EVERY):
            for name, pid in self.pids.items():
                pss, rss = memory_mb(pid)
                self.memory.setdefault(name, []).append(pss if name == SHARES else rss)
            with connection.cursor() as cursor:
                cursor.execute(CONNECTIONS)
                self.connections.append(cursor.fetchone()[0])
        connection.close()

    def first_and_last(self, of: Sequence[float]) -> tuple[float, float]:
        """Return the means of the first and of the last minute, or of a third each where it is shorter."""
        part = max(1, min(round(60 / EVERY), len(of) // 3))
        return sum(of[:part]) / part, sum(of[-part:]) / part


@dataclass
class Load:
    """One load: who works and how long, what was answered, and what the processes needed meanwhile."""

    name: str
    seconds: float
    requests: Requests
    acts: list[dict[str, Any]]
    watch: Watch

    @property
    def rate(self) -> float:
        """Return how many requests a second were sent."""
        return len(self.requests) / self.seconds

    def took(self, kind: str = "", *, served: bool = True) -> list[float]:
        """Return the sorted milliseconds of the answers of a kind, or of all: what was served, or what was shed."""
        return sorted(ms for k, _, ms, status in self.requests if (not kind or k == kind) and (status != 503) == served)

    @property
    def errors(self) -> Counter[str]:
        """Return what went wrong: no answer at all, an error of ours, or a refusal of what nobody should refuse."""
        wrong = ((kind, status) for kind, _, _, status in self.requests if status not in (*ACCEPTED, 503))
        return Counter(f"{kind}: {status or 'no answer'}" for kind, status in wrong)


@contextmanager
def site(folder: Path, asked: argparse.Namespace) -> Iterator[tuple[int, list[dict[str, Any]], dict[str, int]]]:
    """Start everything and fill it; give the port, who works, and the processes by name."""
    with ExitStack() as ends:
        port, engine = free_port(), free_port()
        # The engine belongs to no environment here: it would report what it runs on, which drifts from what was signed.
        settings = {"SITE_URL": f"http://127.0.0.1:{port}", "ENGINE_URLS": f"idle=http://127.0.0.1:{engine}"}
        ends.enter_context(servers(folder, MALLOC_ARENA_MAX="2", MDLC_ENGINE_TOKEN="for-the-load", **settings))
        from benchmarks import capacity_site  # after Django is set up

        _say(f"filling {asked.models:,} models and {asked.events:,} events")
        who = capacity_site.fill(capacity_site.Size(asked.models, asked.events, asked.people, asked.clients))
        _say("sealing the trail")
        _seal()
        _say("starting every process")
        told = {"PORT": str(port), "ENGINE_PORT": str(engine), "ENGINE_HOME": str(folder / "engine")}
        pids = {}
        for name, said in {**PROCESSES, "engine": "", "beat": "beat: Starting"}.items():
            process = ends.enter_context(
                from_procfile(name, folder, said, LOG_LEVEL="ERROR" if name == "web" else "INFO", **told)
            )
            pids[name] = process.popen.pid
        (postmaster,) = folder.rglob("postmaster.pid")
        pids[SHARES] = int(postmaster.read_text().split()[0])
        yield port, who, pids


def processor_seconds(root: int) -> float:
    """Return the processor's seconds that a process and its descendants have used, those that have ended among them."""
    ticks = 0
    for pid in family(root):
        with suppress(FileNotFoundError, ProcessLookupError):
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _seal() -> None:
    from audit.sealing import seal_all

    seal_all()


def loaded(name: str, folder: Path, plan: dict[str, Any], pids: dict[str, int]) -> Load:
    """Send one crowd to work, watch the processes meanwhile, and return what was answered."""
    _say(f"{name}: {len(plan['who']) * plan['times']} at work for {plan['seconds']:.0f} s")
    file, answers = folder / "plan.json", folder / "answers.json"
    file.write_text(json.dumps({**plan, "run": name}))
    with Watch(pids) as watch:
        subprocess.run([sys.executable, Path(__file__).parent / "crowd.py", file, answers], check=True)
    told = json.loads(answers.read_text())
    return Load(name, plan["seconds"], [tuple(one) for one in told["requests"]], told["acts"], watch)


def loads(folder: Path, asked: argparse.Namespace) -> tuple[list[Load], dict[str, int], list[Row]]:
    """Run the working day, the most that the site can do, and more; return them, what is amiss, and what it weighs."""
    with site(folder, asked) as (port, who, pids):
        common = {"port": port, "who": who, "times": 1, "seed": asked.seed}
        day = {"seconds": asked.minutes * 60, "think": asked.think, "poll": asked.poll}
        found = [loaded("a working day", folder, common | day, pids)]
        if asked.overload:
            _take_away(who, found[-1].acts)
            few = [one for n, one in enumerate(who) if n % max(1, len(who) // 24) == 0]
            pace = {"seconds": asked.overload, "think": 0, "poll": 0}
            most = loaded("the most it can do", folder, common | pace | {"who": few}, pids)
            _take_away(who, most.acts)
            think = len(who) * 3 / (BEYOND * most.rate)
            beyond = {"times": 3, "think": think, "poll": think}
            found += [most, loaded("more than it can do", folder, common | pace | beyond, pids)]
        _say("looking for every act that was accepted")
        wrong = amiss([act for one in found for act in one.acts])
        _say("weighing rows and acts")
        _take_away(who, found[-1].acts)
        print(printed(rows(found, wrong), "So far"), file=sys.stderr, flush=True)
        return found, wrong, _costs(who)


def _costs(who: list[dict[str, Any]]) -> list[Row]:
    from benchmarks import capacity_costs  # after Django is set up

    return list(capacity_costs.rows(who))


def _take_away(who: list[dict[str, Any]], acts: list[dict[str, Any]]) -> None:
    """Take from everybody what they have signed."""
    signed = {act["key"] for act in acts if act["act"] == "sign"}
    for one in who:
        one["sign"] = [handoff for handoff in one["sign"] if handoff not in signed]


def amiss(acts: list[dict[str, Any]]) -> dict[str, int]:
    """Return how many accepted acts are not on record once and with their event, and how many others left something."""
    from audit.verification import verify
    from handoff.models import Evidence, SignOff
    from models_registry.models import RegisteredModel

    def on_record(act: dict[str, Any]) -> list[str]:
        """Return the chains of the records that an act has left."""
        key, name = act["key"], act["who"]
        if act["act"] == "sign":
            found = SignOff.objects.filter(handoff=key, signer__username=name, requirement="validation")
            return [f"handoff:{one.handoff_id}" for one in found]
        if act["act"] == "answer":
            link = f"https://wiki.example.org/{key}"
            return [
                f"handoff:{one.answer.handoff_id}"
                for one in Evidence.objects.filter(link=link).select_related("answer")
            ]
        return [f"model:{one.pk}" for one in RegisteredModel.objects.filter(slug=key)]

    found = Counter[str](accepted=0, lost=0, twice=0, untold=0, left=0)
    for act in acts:
        chains, accepted = on_record(act), act["status"] in ACCEPTED
        found["accepted"] += accepted
        found["lost"] += accepted and not chains
        found["twice"] += len(chains) > 1
        found["untold"] += bool(chains) and not _told(chains[0], act)
        found["left"] += bool(chains) and not act["doubtful"] and not accepted
    return dict(found) | {"breaks of the trail": len(verify().broken)}


def _told(chain: str, act: dict[str, Any]) -> bool:
    """Tell whether the trail says that an act was done."""
    from audit.models import AuditEvent

    action = {"sign": "signoff.given", "answer": "answer.given", "model": "model.registered"}[act["act"]]
    return AuditEvent.objects.filter(chain=chain, action=action, actor__username=act["who"]).exists()


def rows(found: list[Load], wrong: dict[str, int]) -> Iterator[Row]:
    """Tell what was measured."""
    day = found[0]
    took = day.took()
    p95 = _at(took, 95)
    yield Row(
        "a working day, all requests",
        _told_in_words(day.rate, took),
        f"p95 {GOAL_MS:.0f} ms",
        p95 / GOAL_MS,
        "p95 < 200 ms",
        p95 < GOAL_MS,
    )
    for kind in sorted({kind for kind, *_ in day.requests}):
        one = day.took(kind)
        yield Row(f"  {kind}", _told_in_words(len(one) / day.seconds, one), "", None)
    shed = len(day.took(served=False))
    errors = sum(day.errors.values())
    yield Row("  errors, and turned away", f"{errors} and {shed}", "", None, "0", errors + shed == 0)
    worked = {name: 1000 * seconds / max(1, len(day.requests)) for name, seconds in day.watch.worked.items()}
    told = ", ".join(f"{name} {ms:.0f}" for name, ms in worked.items() if ms >= 0.5)
    yield Row("  processor's time for each request, ms", told, "", None)
    for name, memory in day.watch.memory.items():
        first, last = day.watch.first_and_last(memory)
        told = f"{first:.0f} MB in the first minute, {last:.0f} MB in the last"
        if name == SHARES:
            yield Row(f"  memory of {name}, PSS", told, "", last / first)
        else:
            yield Row(f"  memory of {name}, RSS", told, "", last / first, f"≤ {FLAT:.2f}", last / first <= FLAT)
    first, last = day.watch.first_and_last(day.watch.connections)
    yield Row(
        "  connections of PostgreSQL", f"{first:.0f} in the first minute, {last:.0f} in the last", "", last / first
    )
    for one in found[1:]:
        yield from _beyond(one)
    lost = sum(wrong[name] for name in ("lost", "twice", "untold", "left", "breaks of the trail"))
    told = ", ".join(f"{name} {count}" for name, count in wrong.items())
    yield Row("acts that were accepted, against the records", told, "", None, "0 lost", lost == 0)


def _beyond(one: Load) -> Iterator[Row]:
    """Tell of a load that the site was not made for."""
    served, shed = one.took(), one.took(served=False)
    yield Row(f"{one.name}: sent", f"{one.rate:,.0f}/s", "", None)
    yield Row("  served", _told_in_words(len(served) / one.seconds, served), "", None)
    if shed:
        yield Row("  turned away", _told_in_words(len(shed) / one.seconds, shed), "", None)
    yield Row("  errors", str(sum(one.errors.values())), "", None, "0", not one.errors)


def _told_in_words(rate: float, took: list[float]) -> str:
    return f"{rate:,.1f}/s p50 {_at(took, 50):,.0f} p95 {_at(took, 95):,.0f} p99 {_at(took, 99):,.0f} ms"


def _at(took: list[float], percent: int) -> float:
    return took[min(len(took) - 1, len(took) * percent // 100)] if took else 0.0


def _say(words: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {words}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> None:
    """Run the loads and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--models", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--think", type=float, default=THINK)
    parser.add_argument("--poll", type=float, default=POLL)
    parser.add_argument("--overload", type=float, default=60, help="seconds of each load beyond; 0 leaves them out")
    parser.add_argument("--seed", type=int, default=2026)
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything it has started is stopped
    with tempfile.TemporaryDirectory(prefix="mdlc-load-") as name:
        found, wrong, weighed = loads(Path(name), asked)
    title = f"{asked.people} people and {asked.clients} clients, {asked.models:,} models, {asked.minutes:g} minutes"
    print(printed([*rows(found, wrong), *weighed], title))
    for one in found:
        print(f"{one.name}, errors: {dict(one.errors.most_common(12))}")


if __name__ == "__main__":
    main(sys.argv[1:])
