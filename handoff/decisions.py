"""Decide on a gate: judge it on the facts, and keep what was known, by which rules, and what followed."""

from dataclasses import asdict
from typing import Any

import orjson
from django.db.models import Q
from django.db.models.functions import Coalesce

from audit.actors import Actor
from audit.models import PrintedName
from handoff.facts import Known, known_of, rules_of
from handoff.models import Decision, Handoff
from handoff.rules.gates import Facts, GateResult, evaluate
from handoff.rules.marked import Mark, marked


def judge(handoff: Handoff, gate: str, known: Known | None = None) -> GateResult:
    """Judge a gate without acting on it; nothing is stored."""
    return evaluate(gate, rules_of(handoff), (known or known_of(handoff)).hurried)


def decide(handoff: Handoff, gate: str, *, actor: Actor, known: Known | None = None) -> GateResult:
    """Judge a gate of a locked handoff in order to act on it, and store the decision."""
    known = known or known_of(handoff)
    result = evaluate(gate, rules_of(handoff), known.hurried)
    keep(handoff, result, known.hurried, actor=actor)
    return result


def keep(handoff: Handoff, result: GateResult, facts: Facts, *, actor: Actor) -> Decision:
    """Store a decision with its facts and its result, both with marks in the place of names."""
    told = marked(facts, _marks_for(facts))
    return Decision.objects.create(
        handoff=handoff,
        gate=result.gate,
        taken_by=actor.mark,
        opened=result.open,
        facts=plain(told),
        result=evaluate(result.gate, rules_of(handoff), told).as_dict(),
    )


def _marks_for(facts: Facts) -> Mark:
    """Return what gives the mark of each name in some facts; one that has none, as of who has left, stays."""
    people: set[int] = set()  # whose names stand in the facts, as `marked` asks for each

    def seen(account: int, name: str) -> str:
        people.add(account)
        return name

    marked(facts, seen)
    person = Coalesce("account__same_person", "account")
    rows = PrintedName.objects.annotate(person=person).filter(Q(account__in=people) | Q(person__in=people))
    marks: dict[tuple[int, str], str] = {}
    for mark, account, of, name in rows.exclude(salt="").values_list("pk", "account", "person", "name"):
        marks |= {(account, name): mark, (of, name): marks.get((of, name), mark)}
    return lambda account, name: marks.get((account, name), name)


def plain(facts: Facts) -> dict[str, Any]:
    """Return facts as plain data; evaluating them again gives the same result."""
    return dict(orjson.loads(orjson.dumps(asdict(facts), option=orjson.OPT_NON_STR_KEYS)))
