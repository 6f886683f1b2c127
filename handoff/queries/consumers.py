"""The consumers whose owners a handoff asks: what changes for each, and whether the owner agrees."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handoff.asked import Question
from handoff.facts import Known, rules_of
from handoff.models import AskedConsumer, Handoff
from handoff.rules.consumers import GATE, role_of
from handoff.rules.gates import Requirement, evaluate
from models_registry.models import Consumer, ModelVersion

WORDS = {
    "agreed": "agreed",
    "waiting": "not answered",
    "changes": "asks for changes",
    "refuse": "refused",
    "barred": "cannot sign",
    "draft": "to be asked",
}


@dataclass(frozen=True, slots=True)
class AskedRow:
    """A consumer with what changes for it. `state` is how far its owner is, `why` what is in the way."""

    consumer: Consumer
    role: str
    requirement: str
    live: ModelVersion
    fields: Sequence[str]
    compatibility: str
    changes: Sequence[Mapping[str, str]]
    state: str
    why: str = ""

    @property
    def words(self) -> str:
        """Return the state as people read it."""
        return WORDS[self.state]


def asked_of(handoff: Handoff, known: Known) -> list[AskedRow]:
    """Return whom an offered handoff asks, by consumer; one query, and none where nobody is asked."""
    if not known.facts.consumers:
        return []
    judged = {one.role: one for one in evaluate(GATE, rules_of(handoff), known.facts).requirements}
    rows = AskedConsumer.objects.filter(handoff=handoff, consumer__in=[one.id for one in known.facts.consumers])
    rows = rows.select_related("consumer__stream", "consumer__owner", "live").order_by("consumer_id", "-number")
    found = [_row(one, judged, known) for one in rows.distinct("consumer_id")]
    return sorted(found, key=lambda row: (row.consumer.stream.slug, row.consumer.name))


def to_be_asked(questions: Iterable[Question]) -> list[AskedRow]:
    """Return whom the offer of a draft would ask."""
    return [
        AskedRow(
            one.consumer,
            role_of(one.consumer.owner_id),
            role_of(one.consumer.owner_id),
            one.live,
            one.consumer.fields,
            one.compatibility,
            one.changes,
            "draft",
        )
        for one in questions
    ]


def _row(asked: AskedConsumer, judged: Mapping[str, Requirement], known: Known) -> AskedRow:
    role = role_of(asked.consumer.owner_id)
    state, why = _state(judged[role], role, known)
    told: dict[str, Any] = {"fields": asked.fields, "compatibility": asked.compatibility, "changes": asked.changes}
    return AskedRow(asked.consumer, role, judged[role].key, asked.live, **told, state=state, why=why)


def _state(requirement: Requirement, role: str, known: Known) -> tuple[str, str]:
    """Return how far the owner is, and what is in the way."""
    if requirement.met:
        return "agreed", ""
    given = next((one.decision for one in known.facts.signoffs if one.role == role), "")
    if given in ("changes", "refuse"):
        return given, ""
    return ("waiting" if requirement.who else "barred"), requirement.why
