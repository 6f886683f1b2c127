"""The difference report of one handoff: as it was frozen, as it would be now, and who has answered for what."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils import timezone

from audit.models import Account
from audit.names import named
from handoff.facts import Known, known_of, rules_of
from handoff.models import Acknowledgement, Handoff
from handoff.queries.handoffs import fetch
from handoff.queries.page import acknowledgements_of
from handoff.readiness import offer_of, report_of
from handoff.rules.aspects import Declared, declared
from handoff.rules.differences import Difference
from handoff.rules.policies import PolicyRules, parse
from handoff.rules.reports import Answered, moved, read, state_of
from handoff.states import UNDER_OFFER, State


@dataclass(frozen=True, slots=True)
class Item:
    """A difference with where it stands. `changed` says what the target has now, where that is something else."""

    difference: Difference
    state: str
    answer: Acknowledgement | None
    changed: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The report of one handoff. `moved` says what came in the way since it was frozen, by key."""

    handoff: Handoff
    known: Known
    rules: PolicyRules | None
    held: dict[str, Declared]
    digest: str
    frozen: bool
    items: list[Item]
    moved: dict[str, str]


def report_for(user: Account, handoff_id: object) -> Report:
    """Return the report of a handoff that an account may know of, compared with now while it is under way."""
    handoff = fetch(user, str(handoff_id))
    known = known_of(handoff)
    kind, tier = handoff.target.kind, handoff.model.risk_tier
    if handoff.policy is None:
        offer = offer_of(handoff, known)
        rules = parse(offer.policy) if offer.policy else None
        frozen, now, digest = read(named(offer.report)), None, offer.report_digest
    else:
        rules = rules_of(handoff)
        frozen, digest = read(named(handoff.report)), handoff.report_digest
        excepted = handoff.state == State.LIVE and any(item.waived_until for item in frozen)  # it may be revoked by now
        now = report_of(handoff, rules) if handoff.state in UNDER_OFFER or excepted else None
    return Report(
        handoff,
        known,
        rules,
        rules.held(kind, tier) if rules else declared({}, kind=kind, tier=tier),
        digest,
        handoff.policy is not None,
        items_of(frozen, acknowledgements_of(handoff), now),
        moved(frozen, now) if now is not None and handoff.state in UNDER_OFFER else {},
    )


def items_of(
    items: tuple[Difference, ...], answers: list[Acknowledgement], now: tuple[Difference, ...] | None = None
) -> list[Item]:
    """Return items with their states; `now` is the report recomputed, where that is known."""
    by = {one.difference: one for one in answers}
    after = {item.key: item for item in now or ()}
    today = timezone.localdate().isoformat()
    found = []
    for item in items:
        answer, current = by.get(item.key), after.get(item.key)
        answered = Answered(str(answer.acknowledged_by_id), answer.comment, answer.mitigation) if answer else None
        changed = current.target or "nothing" if current is not None and current.target != item.target else ""
        found.append(Item(item, state_of(item, answered, now=current, today=today), answer, changed))
    return found


def may_answer(handoff: Handoff, roles: frozenset[str], item: Item, usual: str) -> bool:
    """Tell whether somebody with these roles may acknowledge an item now; `usual` answers where no role is named."""
    open_ = handoff.state == State.IN_REVIEW and not item.difference.equal and item.answer is None
    return open_ and (item.difference.role or usual) in roles


def picks(item: Item, filters: Mapping[str, str]) -> bool:
    """Tell whether an item is one of those asked for."""
    has = {"state": item.state, **{name: getattr(item.difference, name) for name in ("facet", "severity", "classed")}}
    return all(has[name] == value for name, value in filters.items())
