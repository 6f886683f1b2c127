"""Measures gates and simulations: `python -m benchmarks.policies`.

A gate of 200 requirements (100 items, 100 sign-offs in a chain of turns) is judged at the release, the review before it
judged again. A draft policy is tried on 10,000 past handoffs whose two gates had opened, from the rows as they lie in
PostgreSQL; the floor is reading and parsing the same rows.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.stack import servers
from benchmarks.table import Row, printed

HANDOFFS = 10_000
ITEMS, SIGNERS = 100, 100
ROUNDS = 41
GOAL_MS, GOAL_SECONDS = 5.0, 10.0


def milliseconds(work: Callable[[], object]) -> float:
    """Return the median of several rounds, in processor time: what is measured reads and writes nothing."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        taken.append((time.process_time() - began) * 1000)
    return statistics.median(taken)


def judged() -> float:
    """Return how long a gate of 200 requirements takes."""
    from handoff.rules.checklists import ChecklistItem
    from handoff.rules.gates import AnswerFact, Facts, SignOffFact, TestFact, evaluate
    from handoff.rules.policies import Gate, PolicyRules, SignOffRule
    from handoff.rules.scopes import COVERS, scope_for

    parts = {name: f"digest of {name}" for name in COVERS["confirm"]}
    people = {person: f"Person {person}" for person in range(SIGNERS)}
    items = tuple(ChecklistItem(f"item-{at}", f"Question {at}?", "data_scientist") for at in range(ITEMS))
    asked = tuple(
        SignOffRule(f"sign-{at}", "validator", "approval", after=(f"sign-{at - 1}",) if at else ())
        for at in range(SIGNERS)
    )
    release = (SignOffRule("release", "it_operations", "approval"),)
    gates = {"review": Gate("review", items, "it_operations", asked), "release": Gate("release", signoffs=release)}
    rules = PolicyRules("p", "P", ("high",), ("production",), (), ("golden",), gates)
    signed = [
        SignOffFact(
            rule.key, "review", rule.key, "validator", at, people[at], "approve", "approval",
            scope_for("review", parts), True,
        )
        for at, rule in enumerate(asked)
    ]  # fmt: skip
    signed.append(
        SignOffFact("r", "release", "release", "it_operations", 999, "Otto", "approve", "approval",
                    scope_for("release", parts), True)
    )  # fmt: skip
    facts = Facts(
        version="v",
        parts=parts,
        answers={item.key: AnswerFact("yes", 500) for item in items},
        signoffs=tuple(signed),
        tests={"golden": TestFact("passed", "v")},
        holders={"validator": people, "it_operations": {999: "Otto"}, "data_scientist": {500: "Dana"}},
        tier="high",
    )
    if not evaluate("release", rules, facts).open:
        raise RuntimeError("the gate is not the one that should be measured")
    return milliseconds(lambda: evaluate("release", rules, facts))


def fill() -> None:
    """Walk one handoff up to its deployment, and write it down ten thousand times as past."""
    from django.utils import timezone

    from handoff.models import Decision, Handoff
    from handoff.states import State
    from tests.handoff import building

    place = building.a_place()
    policy = building.a_policy(("integrity",))
    first = building.offered(place, building.a_version(place), policy)
    building.open_release(place, building.tested(building.open_review(place, first)))
    kept = {one.gate: one for one in Decision.objects.filter(handoff=first, opened=True)}
    plain: dict[str, Any] = {
        field.attname: getattr(first, field.attname) for field in Handoff._meta.fields if field.name != "id"
    }
    plain |= {"state": State.RETURNED, "offered_at": timezone.now()}
    past = [Handoff(**plain | {"number": number}) for number in range(2, HANDOFFS + 1)]
    Handoff.objects.bulk_create(past, batch_size=1000)
    Decision.objects.bulk_create(
        [
            Decision(handoff=one, gate=gate, taken_by="bench", opened=True, facts=was.facts, result=was.result)
            for one in past
            for gate, was in kept.items()
        ],
        batch_size=2000,
    )


def simulation() -> tuple[float, float]:
    """Return how many seconds a simulation takes, and reading and parsing the same rows alone."""
    import orjson
    from django.db import connection

    from handoff.models import PolicyRevision
    from handoff.queries.policies import simulated
    from handoff.rules.policies import parse

    content = PolicyRevision.objects.get().content
    more = {"key": "risk", "role": "risk_compliance", "meaning": "approval"}
    content["gates"]["review"]["signoffs"].append(more)
    rules = parse(content)
    began = time.perf_counter()
    found = simulated(rules).found
    took = time.perf_counter() - began
    if len(found.handoffs) != HANDOFFS or len(found.stopped) != HANDOFFS:
        raise RuntimeError("the simulation is not the one that should be measured")
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SELECT facts::text FROM handoff_decision WHERE opened")
        for (text,) in cursor.fetchall():
            orjson.loads(text)
    return took, time.perf_counter() - began


def rows() -> list[Row]:
    """Return the figures."""
    with tempfile.TemporaryDirectory() as name, servers(Path(name)):
        gate = judged()
        fill()
        took, floor = simulation()
    goals = (f"under {GOAL_MS:.0f} ms", f"under {GOAL_SECONDS:.0f} s")
    return [
        Row(f"a gate of {ITEMS + SIGNERS} requirements", f"{gate:.2f} ms", "", None, goals[0], gate < GOAL_MS),
        Row(
            f"a draft policy on {HANDOFFS:,} past handoffs",
            f"{took:.2f} s",
            f"reading their facts {floor:.2f} s",
            took / floor,
            goals[1],
            took < GOAL_SECONDS,
        ),
    ]


if __name__ == "__main__":
    print(printed(rows(), f"Policies: {ITEMS + SIGNERS} requirements, {HANDOFFS:,} handoffs"))
