"""Checklist items as a page shows them: the question, the answer with its evidence, and the form to answer."""

from collections.abc import Mapping
from dataclasses import dataclass

from handoff.models import Answer, Evidence
from handoff.rules.checklists import EVIDENCE, ChecklistItem
from handoff.rules.policies import PolicyRules
from handoff.web.doors import Choice, Form
from models_registry.roles import Role


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One item. `open` says that its gate is under way and the reader holds the role that answers."""

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


def item_rows(
    rules: PolicyRules | None,
    gate_now: str,
    answers: Mapping[str, Answer],
    holders: Mapping[str, Mapping[int, str]],
    roles: frozenset[str],
    form: Form | None,
) -> list[ItemRow]:
    """Return the items of all gates, in their order."""
    if rules is None:
        return []
    return [
        _row(item, name, name == gate_now and item.role in roles, answers.get(item.key), holders, form)
        for name, gate in rules.gates.items()
        for item in gate.checklist
    ]


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
        role=str(Role(item.role).label),
        who=tuple(holders.get(item.role, {}).values()),
        answer=answer,
        evidence=list(answer.evidence.all()) if answer else [],
        open=open_,
        wants=item.evidence or EVIDENCE,
        choices=[Choice(v, str(t).capitalize(), v == chosen) for v, t in Answer.Choice.choices],
        form=mine,
    )
