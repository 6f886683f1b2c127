"""Answer checklist items with evidence, and acknowledge differences. An earlier answer stays; the latest counts."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction

from audit.actors import Person, ServiceAccount
from audit.acts import act
from audit.trail import record
from handoff.access import lock_handoff, require_role
from handoff.errors import Invalid, WrongState
from handoff.facts import Known, known_of, rules_of
from handoff.models import Acknowledgement, Answer, Evidence, Handoff, Replay
from handoff.moves import chain_of
from handoff.receipts import must_be_link, must_have_sent
from handoff.replayed import moved_since
from handoff.rules.answers import choices_of
from handoff.rules.checklists import ChecklistItem, visible
from handoff.rules.figures import meets
from handoff.rules.reports import read
from handoff.states import GATE_OF, State
from handoff.voiding import void_touched


@act
def answer(
    *,
    actor: Person | ServiceAccount,
    handoff_id: str,
    item: str,
    choice: str,
    reason: str = "",
    evidence: Sequence[Mapping[str, Any]] = (),
) -> Answer:
    """Answer one item of the gate under way.

    Evidence rows are {"kind", "label", and "receipt", "link", "figure", "replay" (its number), "test" (its kind) or
    "item" (another item's key)}. A receipt proves that the actor sent the file: knowing a digest gives nobody the bytes
    under it. A changed answer voids exactly the sign-offs that covered the answers. Raises Invalid for a yes without
    the evidence that the item asks for, and for a no or not applicable without a reason; WrongState for an item that
    nobody is asked now.
    """
    handoff, known = lock_handoff(actor, handoff_id)
    gate, asked = _item(handoff, known, item)
    require_role(actor, known, asked.role, f"answer '{asked.question}'")
    rows = [_evidence(actor, handoff, known, index, row) for index, row in enumerate(evidence)]
    _check(asked, choice, reason, rows)
    given = Answer.objects.create(
        handoff=handoff, item=item, choice=choice, reason=reason.strip(), answered_by=actor.user
    )
    for row in rows:
        row.answer = given
    Evidence.objects.bulk_create(rows)
    record(
        "answer.given",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={"gate": gate, "item": item, "choice": choice, "evidence": [_told(row) for row in rows]},
        reason=reason,
    )
    void_touched(handoff, known_of(handoff), actor=actor)
    return given


def _item(handoff: Handoff, known: Known, key: str) -> tuple[str, ChecklistItem]:
    gate = GATE_OF.get(State(handoff.state), "")
    if not gate:
        raise WrongState(f"A handoff that is {State(handoff.state).label} takes no answers.")
    rules = rules_of(handoff)
    asked = next((item for item in rules.gate(gate).checklist if item.key == key), None)
    if asked is None:
        words = f"{key} is not an item of the {gate} gate"
        raise Invalid("The gate under way has no such item.", fields={"item": words})
    if asked.fact:
        raise WrongState(
            f"Nobody answers '{asked.question}': it is computed.",
            code="item_computed",
            todo="Its page says what is missing; see to that.",
        )
    items = [item for one in rules.gates.values() for item in one.checklist]
    if key not in visible(items, choices_of(known.facts.answers)):
        on = ", ".join(other for other, _ in asked.visible_if)
        raise WrongState(
            f"'{asked.question}' is not asked, by the answers so far.",
            code="item_not_asked",
            todo=f"It depends on the answers to {on}.",
        )
    return gate, asked


def _check(asked: ChecklistItem, choice: str, reason: str, rows: Sequence[Evidence]) -> None:
    if choice not in Answer.Choice.values:
        raise Invalid("Answer yes, no or not_applicable.", fields={"choice": "must be yes, no or not_applicable"})
    if choice != Answer.Choice.YES and not reason.strip():
        raise Invalid("An answer other than yes needs a reason.", fields={"reason": "is empty"})
    if choice == Answer.Choice.YES and asked.evidence and not {row.kind for row in rows} & set(asked.evidence):
        wanted = " or ".join(asked.evidence)
        raise Invalid(
            f"A yes needs evidence: {wanted}.", code="evidence_missing", fields={"evidence": f"add a {wanted}"}
        )
    figures = [row.figure for row in rows if row.kind == Evidence.Kind.FIGURE and row.figure is not None]
    if choice == Answer.Choice.YES and asked.figure and not any(meets(asked.figure, one) for one in figures):
        raise Invalid(
            f"A yes needs a figure that is {asked.figure}.",
            code="figure_outside_rule",
            todo="Answer no with the reason, or ask for a waiver.",
            fields={"figure": f"must be {asked.figure}"},
        )


def _evidence(
    actor: Person | ServiceAccount, handoff: Handoff, known: Known, index: int, row: Mapping[str, Any]
) -> Evidence:
    """Return one unsaved row of evidence. Raises Invalid that names the field."""
    place = f"evidence[{index}]"
    kind, label = row.get("kind"), str(row.get("label", "")).strip()[:200]
    if kind == Evidence.Kind.FILE:
        file = must_have_sent(actor, str(row.get("receipt", "")), f"{place}.receipt")
        return Evidence(kind=kind, label=label or file.name, blob_id=file.sha256)
    if kind == Evidence.Kind.LINK:
        link = must_be_link(str(row.get("link", "")), f"{place}.link")
        return Evidence(kind=kind, label=label or link[:200], link=link)
    if kind == Evidence.Kind.FIGURE:
        figure = row.get("figure")
        if isinstance(figure, bool) or not isinstance(figure, int | float) or figure != figure or abs(figure) > 1e300:
            raise Invalid("A figure is a finite number.", fields={f"{place}.figure": "is not a finite number"})
        return Evidence(kind=kind, label=label or "figure", figure=float(figure))
    if kind == Evidence.Kind.REPLAY:
        return _replayed(handoff, f"{place}.replay", row.get("replay"), label)
    if kind == Evidence.Kind.TEST:
        return _tested(handoff, f"{place}.test", str(row.get("test", "")), label)
    if kind == Evidence.Kind.ITEM:
        return _answered(handoff, known, f"{place}.item", str(row.get("item", "")), label)
    words = "must be file, link, figure, replay, test or item"
    raise Invalid(f"Evidence {words}.", fields={f"{place}.kind": words})


def _tested(handoff: Handoff, place: str, kind: str, label: str) -> Evidence:
    """Return a passed promotion test of this version as evidence. Raises Invalid."""
    test = handoff.tests.filter(kind=kind, verdict="passed", version_digest=handoff.version.digest).first()
    if test is None:
        raise Invalid("No such test of this version has passed.", fields={place: "must be a test that passed"})
    return Evidence(kind=Evidence.Kind.TEST, label=label or f"{kind}: {test.summary}"[:200], test=test)


def _answered(handoff: Handoff, known: Known, place: str, key: str, label: str) -> Evidence:
    """Return the yes to another item, which counts now, as evidence. Raises Invalid."""
    fact = known.facts.answers.get(key)
    if fact is None or fact.choice != Answer.Choice.YES or fact.reopened:
        raise Invalid("Only a yes that counts proves something.", fields={place: "must be an item answered yes"})
    other = handoff.answers.filter(item=key).order_by("pk").last()
    return Evidence(kind=Evidence.Kind.ITEM, label=label or f"The answer to {key}", other=other)


def _replayed(handoff: Handoff, place: str, number: Any, label: str) -> Evidence:
    """Return an equal replay of this handoff as evidence, as long as neither source changed since. Raises Invalid."""
    replay = handoff.replays.filter(number=number).first() if type(number) is int and 0 < number < 1 << 31 else None
    if replay is None:
        raise Invalid("This handoff has no such replay.", fields={place: "must be the number of a replay"})
    if replay.outcome != Replay.Outcome.EQUAL or replay.version_digest != handoff.version.digest:
        words = f"replay {number} is {replay.get_outcome_display() or 'under way'}"
        raise Invalid("Only a replay whose sides were equal proves something.", fields={place: words})
    if moved := moved_since(handoff, [replay])[replay.number]:
        words = f"{', '.join(moved)} changed since; order another replay"
        raise Invalid("The replay is out of date.", code="replay_outdated", fields={place: words})
    compared = (replay.report or {}).get("compared", 0)
    words = label or f"Replay {number}: {compared} records equal, {replay.compared}"[:200]
    return Evidence(kind=Evidence.Kind.REPLAY, label=words, figure=float(replay.number), replay=replay)


def _told(row: Evidence) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "label": row.label,
        "sha256": row.blob_id or "",
        "link": row.link,
        "figure": row.figure,
    } | ({"test": row.test.kind} if row.test else {"item": row.other.item} if row.other else {})


@act
def acknowledge(
    *, actor: Person, handoff_id: str, differences: Sequence[str], comment: str = "", mitigation: str = ""
) -> list[Acknowledgement]:
    """Acknowledge differences by their keys, as the role that must answer for each, perhaps with what was done.

    Undeclared ones must be acknowledged; others may be. Raises WrongRole for whoever must not answer for one of them.
    """
    handoff, known = lock_handoff(actor, handoff_id)
    if handoff.state != State.IN_REVIEW:
        raise WrongState(f"A handoff that is {State(handoff.state).label} takes no acknowledgements.")
    usual = rules_of(handoff).gate("review").acknowledge
    items = {item.key: item for item in read(handoff.report) if not item.equal}
    answering = {key: items[key].role or usual if key in items else usual for key in differences} or {"": usual}
    if not any(answering.values()):
        raise WrongState("The policy asks for no acknowledgement.", code="nothing_to_acknowledge")
    for role in sorted({role for role in answering.values() if role}):
        require_role(actor, known, role, "acknowledge this difference")
    odd = [key for key in differences if key not in items or not answering[key]]
    if odd or not differences:
        raise Invalid("Name differences of the report.", fields={"differences": ", ".join(odd) or "is empty"})
    rows = _acknowledged(handoff, actor, list(dict.fromkeys(differences)), comment.strip(), mitigation.strip())
    record(
        "difference.acknowledged",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={"differences": list(differences)} | ({"mitigation": mitigation} if mitigation.strip() else {}),
        reason=comment,
    )
    void_touched(handoff, known_of(handoff), actor=actor)
    return rows


def _acknowledged(
    handoff: Handoff, actor: Person, keys: Sequence[str], comment: str, mitigation: str
) -> list[Acknowledgement]:
    """Write the rows. Raises WrongState if somebody was first with one of them."""
    rows = [
        Acknowledgement(
            handoff=handoff, difference=key, comment=comment, mitigation=mitigation, acknowledged_by=actor.user
        )
        for key in keys
    ]
    try:
        with transaction.atomic():
            return Acknowledgement.objects.bulk_create(rows)
    except IntegrityError as error:
        raise WrongState("One of these is acknowledged already.", code="acknowledged_already") from error
