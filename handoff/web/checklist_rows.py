"""Checklist items as a page shows them: the question, the answer with its evidence, and the form to answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from handoff.models import Answer, Evidence
from handoff.rules.answers import AnswerFact, choices_of
from handoff.rules.checklists import EVIDENCE, ChecklistItem, visible
from handoff.rules.gates import GateResult, Requirement
from handoff.rules.policies import PolicyRules
from handoff.web.doors import Choice, Form
from models_registry.roles import Role


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One item. `open` says that its gate is under way and the reader holds the role that answers.

    `why` says why it is not met; of an item that two people answer, `others` are the latest answers of all of them.
    """

    item: ChecklistItem
    gate: str
    role: str
    who: tuple[str, ...]
    answer: Answer | None
    evidence: list[Evidence]
    open: bool
    wants: tuple[str, ...]
    choices: list[Choice]
    form: Form | None
    why: str = ""
    waived: str = ""
    others: tuple[tuple[str, str], ...] = ()


def item_rows(
    rules: PolicyRules | None,
    gate_now: str,
    answers: Mapping[str, Answer],
    holders: Mapping[str, Mapping[int, str]],
    roles: frozenset[str],
    form: Form | None,
    gates: Sequence[GateResult] = (),
    facts: Mapping[str, AnswerFact] | None = None,
) -> list[ItemRow]:
    """Return the items of all gates, in their order, without those that are not asked by the answers so far."""
    if rules is None:
        return []
    facts = facts or {}
    items = [(name, item) for name, gate in rules.gates.items() for item in gate.checklist]
    asked = visible([item for _, item in items], choices_of(facts))
    judged = {r.key: r for result in gates for r in result.requirements if r.kind in ("answer", "fact")}
    rows = [
        _row(item, name, name == gate_now and item.role in roles, answers.get(item.key), holders, form)
        for name, item in items
        if item.key in asked
    ]
    return [_judged(row, judged.get(row.item.key), facts) for row in rows]


def _judged(row: ItemRow, found: Requirement | None, facts: Mapping[str, AnswerFact]) -> ItemRow:
    """Return an item with what its gate says of it."""
    others = _others(row.item, facts)
    return replace(row, why=found.why, waived=found.waived, others=others) if found else replace(row, others=others)


def _others(item: ChecklistItem, facts: Mapping[str, AnswerFact]) -> tuple[tuple[str, str], ...]:
    """Return who answered an item for two people, and what."""
    fact = facts.get(item.key)
    if fact is None or not item.two_people:
        return ()
    return tuple((name, choice.replace("_", " ")) for _, name, choice in fact.people)


def _row(
    item: ChecklistItem,
    gate: str,
    open_: bool,
    answer: Answer | None,
    holders: Mapping[str, Mapping[int, str]],
    form: Form | None,
) -> ItemRow:
    mine = form if form and form.name == "answer" and form.about == item.key else None
    chosen = str(mine.typed.get("choice", "")) if mine else (answer.choice if answer else "")
    return ItemRow(
        item=item,
        gate=gate,
        role=str(Role(item.role).label) if item.role else "",
        who=tuple(holders.get(item.role, {}).values()),
        answer=answer,
        evidence=list(answer.evidence.all()) if answer else [],
        open=open_,
        wants=item.evidence or EVIDENCE,
        choices=[Choice(v, str(t).capitalize(), v == chosen) for v, t in Answer.Choice.choices],
        form=mine,
    )
