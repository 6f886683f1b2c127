"""Tell in the trail of which kind a change is, and keep it of what goes live with fewer signatures."""

from dataclasses import replace

from audit.actors import Actor
from audit.trail import record
from handoff.facts import Known, known_of, rules_of
from handoff.models import Deployment, Handoff, StandardChange
from handoff.moves import chain_of
from handoff.rules.gates import evaluate
from handoff.rules.standard_changes import StandardRules
from handoff.rules.standard_signoffs import kind_of


def tell_kind(handoff: Handoff, *, actor: Actor) -> None:
    """Record of which kind the change of a locked handoff is now, where its policy knows more than one kind."""
    rules = rules_of(handoff)
    if not rules.lighter:
        return
    facts = known_of(handoff).facts
    judged, change = kind_of(rules, facts), facts.change
    told = {"kind": judged.kind, "reasons": list(judged.reasons), "digest": facts.version}
    if change is not None and change.live is not None and change.reviewed is not None:
        told |= {"live": change.live.digest, "reviewed": change.reviewed.digest}
    record("handoff.classified", actor=actor, on=handoff, chain=chain_of(handoff), data=told)


def keep_kind(deployment: Deployment, known: Known) -> StandardChange | None:
    """Keep of which kind a change is that goes live with fewer signatures, before what it is compared with ends.

    Later changes count from it. Returns None where all had to sign.
    """
    rules, change = rules_of(deployment.handoff), known.facts.change
    judged = kind_of(rules, known.facts)
    if not judged.lighter or change is None or change.live is None or change.reviewed is None:
        return None
    return StandardChange.objects.create(
        handoff=deployment.handoff,
        deployment=deployment,
        kind=judged.kind,
        compared_with_id=change.live.deployment,
        reviewed_id=change.reviewed.deployment,
        number=change.number + 1,
        complete=evaluate(
            "confirm", replace(rules, standard_change=StandardRules(), retrain=StandardRules()), known.facts
        ).open,
        reasons=list(judged.reasons),
    )
