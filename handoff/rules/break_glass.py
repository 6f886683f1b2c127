"""Break-glass as a policy allows it: who confirms it, how long it lasts, and which signatures it steps over."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from handoff.rules.duties import conflicts
from handoff.rules.gate_facts import EmergencyFact, Facts, Requirement
from handoff.rules.reading import ROLES, Reader
from handoff.rules.scopes import digest, scope_for

KEYS = ("roles", "lasts_hours", "confirm_minutes", "any_time")
ROLLBACK = "rollback"  # stands where a break-glass opens no gate, but the way back to what was live
LONGEST_HOURS = 168
LONGEST_MINUTES = 1440
USUAL_HOURS = 24
USUAL_MINUTES = 60


@dataclass(frozen=True, slots=True)
class BreakGlassRules:
    """What a policy says of break-glass. Without `roles` it allows none.

    A holder of one of the `roles` confirms within `confirm_minutes` what somebody else asked for. It lasts
    `lasts_hours`; `any_time` steps over windows and freezes, too.
    """

    roles: tuple[str, ...] = ()
    lasts_hours: int = USUAL_HOURS
    confirm_minutes: int = USUAL_MINUTES
    any_time: bool = False


@dataclass(frozen=True, slots=True)
class BreakGlassFact:
    """A break-glass on record: where it stands, until when it holds or may be confirmed, and who is behind it."""

    state: str
    id: str
    until: str | None
    incident: str
    confirmed_by: str
    asked_by: str
    confirmer: int | None
    behalf: int | None
    role: str
    asker: int
    confirm_by: str

    @property
    def emergency(self) -> EmergencyFact | None:
        """Return what a decision may rest on while it is in force; nothing before and after."""
        if self.state != "confirmed" or self.until is None:
            return None
        people = (self.asker, self.confirmer, self.behalf)
        return EmergencyFact(self.id, self.until, self.asked_by, self.confirmed_by, self.incident, *people)


def read_break_glass(reader: Reader, raw: Any) -> BreakGlassRules:
    """Read `break_glass` of a policy; without it there is none."""
    if raw is None:
        return BreakGlassRules()
    place = "break_glass"
    row = reader.mapping(place, raw)
    reader.unknown(place, row, KEYS)
    return BreakGlassRules(
        roles=reader.subset(f"{place}.roles", row.get("roles"), ROLES),
        lasts_hours=reader.whole(
            f"{place}.lasts_hours", row.get("lasts_hours", USUAL_HOURS), 1, LONGEST_HOURS, of="of hours "
        ),
        confirm_minutes=reader.whole(
            f"{place}.confirm_minutes", row.get("confirm_minutes", USUAL_MINUTES), 1, LONGEST_MINUTES, of="of minutes "
        ),
        any_time=reader.flag(f"{place}.any_time", row.get("any_time", False)),
    )


def united(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return which break-glass two policies both allow: by roles that both name, shorter, at any time if both say so.

    None where one of them allows none, or no role may confirm under both.
    """
    if not one or not other:
        return None
    roles = [role for role in ROLES if role in one["roles"] and role in other["roles"]]
    if not roles:
        return None
    return {
        "roles": roles,
        "lasts_hours": min(part.get("lasts_hours", USUAL_HOURS) for part in (one, other)),
        "confirm_minutes": min(part.get("confirm_minutes", USUAL_MINUTES) for part in (one, other)),
        "any_time": all(part.get("any_time", False) for part in (one, other)),
    }


def stands(emergency: EmergencyFact, now: datetime | None) -> bool:
    """Tell whether a break-glass is in force at an instant; where nobody knows the time, none is."""
    return now is not None and now < datetime.fromisoformat(emergency.until)


def stepped(found: Iterable[Requirement], rules: BreakGlassRules, facts: Facts) -> list[Requirement]:
    """Return requirements with the missing signatures as met while a break-glass is in force, and told with it.

    Nothing else is stepped over but, where the policy says so, windows and freezes. Whoever has said no is not stepped
    over: the gate asks apart whether a refusal stands.
    """
    emergency = facts.emergency
    if emergency is None or not rules.roles or not stands(emergency, facts.now):
        return list(found)
    kinds = kinds_of(rules)
    told = f"stepped over by break-glass until {emergency.until[:16].replace('T', ' ')} UTC, confirmed by "
    told += f"{emergency.confirmed_by}: {emergency.incident}"
    return [replace(one, met=True, who=(), waived=told) if one.open and one.kind in kinds else one for one in found]


def kinds_of(rules: BreakGlassRules) -> tuple[str, ...]:
    """Return the kinds of requirements that break-glass steps over."""
    return ("signoff", "window", "freeze") if rules.any_time else ("signoff",)


def given_by(facts: Facts, deadline: datetime) -> Facts:
    """Return the facts with those signatures only that were given up to a deadline, and without the break-glass."""
    early = tuple(s for s in facts.signoffs if datetime.fromisoformat(s.signed_at) <= deadline)
    return replace(facts, signoffs=early, emergency=None)


def role_for(facts: Facts, rules: BreakGlassRules, person: int) -> str:
    """Return the role in which somebody may confirm: one that they hold without a conflict; '' if there is none."""
    held = [role for role in rules.roles if person in facts.holders.get(role, {})]
    return next((role for role in held if not conflicts(facts.chain, person=person, role=role)), "")


def same_people(facts: Facts, roles: Sequence[str], asker: int, confirmer: int) -> Collection[int]:
    """Return the natural persons that two accounts both stand for, themselves or in one of some roles."""
    asks = frozenset[int]().union(*(facts.chain.seat(role, asker) for role in roles)) | facts.chain.people(asker)
    confirms = frozenset[int]().union(*(facts.chain.seat(role, confirmer) for role in roles))
    return asks & (confirms | facts.chain.people(confirmer))


def scope_of(
    gate: str,
    parts: Mapping[str, str],
    asked: Mapping[str, Any],
    missing: Sequence[Mapping[str, str]],
    rules: BreakGlassRules,
) -> dict[str, str]:
    """Return what a confirmation covers by digests: all that a signature at the gate does, and what is stepped over."""
    told = {**asked, "missing": [dict(one) for one in missing], "lasts_hours": rules.lasts_hours}
    covered = scope_for("release" if gate == ROLLBACK else gate, parts)
    return {**covered, "break_glass": digest(told)}
