"""Decide on a gate: judge it on the facts, and keep what was known, by which rules, and what followed."""

from dataclasses import asdict
from typing import Any

import orjson

from audit.actors import Actor
from handoff.facts import Known, known_of, rules_of
from handoff.models import Decision, Handoff
from handoff.rules.gates import Facts, GateResult, evaluate


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
    """Store a decision with its facts and its result."""
    return Decision.objects.create(
        handoff=handoff,
        gate=result.gate,
        taken_by=actor.mark,
        opened=result.open,
        facts=plain(facts),
        result=result.as_dict(),
    )


def plain(facts: Facts) -> dict[str, Any]:
    """Return facts as plain data; evaluating them again gives the same result."""
    return dict(orjson.loads(orjson.dumps(asdict(facts), option=orjson.OPT_NON_STR_KEYS)))
