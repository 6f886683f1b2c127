"""Who answers for which activity of the life cycle: responsible, accountable, consulted, informed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from models_registry.errors import Invalid
from models_registry.roles import Role

KINDS = ("creation", "test", "staging", "production")
LETTERS = ("accountable", "responsible", "consulted", "informed")
LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Activity:
    """Something that is done in the life of a model. `held` says which rule of the product holds people to it.

    `by` are the roles that the product lets do it; none: the handoff's policy names them. `enforced` is false where
    nothing in the product asks who does it.
    """

    title: str
    held: str
    by: frozenset[Role] = frozenset()
    enforced: bool = True


SCIENTIST, OWNER, VALIDATOR = Role.DATA_SCIENTIST, Role.MODEL_OWNER, Role.VALIDATOR
ENGINEER, IT, INTEGRATION = Role.ANALYTIC_ENGINEER, Role.IT_OPERATIONS, Role.INTEGRATION_OWNER
RISK, ADMINISTRATOR = Role.RISK_COMPLIANCE, Role.ADMINISTRATOR

ACTIVITIES: dict[str, Activity] = {
    "nominate": Activity("Nominate a version", "Only the model's data scientists seal one.", frozenset({SCIENTIST})),
    "offer": Activity("Offer it", "Only data scientists of the model offer a handoff.", frozenset({SCIENTIST})),
    "answer": Activity("Answer checklists", "The policy names the role that answers each item; nobody else can."),
    "review": Activity("Review it", "The review gate stays shut until those whom the policy names have signed."),
    "test": Activity("Test it in the target's conditions", "Workers run the policy's tests; no role can skip one."),
    "release": Activity("Release it", "The release gate stays shut until those whom the policy names have signed."),
    "deploy": Activity("Deploy it", "The release gate orders it; only IT operations order it again.", frozenset({IT})),
    "confirm": Activity("Confirm that it works", "The confirm gate, where the policy has one, names who signs."),
    "monitor": Activity("Watch it", "Findings go to IT operations, and only they accept one.", frozenset({IT})),
    "roll_back": Activity("Roll it back", "Only IT operations of the target roll back.", frozenset({IT})),
    "amend": Activity(
        "Change streams and consumers", "IT operations and analytic engineers keep streams, integration owners "
        "consumers; what was signed over them is void.", frozenset({IT, ENGINEER, INTEGRATION}),
    ),
    "retire": Activity("Retire it", "Nothing in the product asks who decides this.", enforced=False),
    "configure": Activity(
        "Grant roles, keep environments, publish policies", "Only administrators do, and grant themselves nothing.",
        frozenset({ADMINISTRATOR}),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """A role has a letter for an activity in environments of a kind."""

    activity: str
    kind: str
    role: str
    letter: str


def _usual() -> list[dict[str, Any]]:
    """Return the matrix that holds until another one is published."""

    def row(activity: str, accountable: Role, responsible: Iterable[Role], **others: list[Role]) -> dict[str, Any]:
        told = {letter: [str(role) for role in roles] for letter, roles in others.items()}
        return {
            "activity": activity,
            "accountable": str(accountable),
            "responsible": [str(role) for role in responsible],
            **told,
        }

    return [
        row("nominate", SCIENTIST, [SCIENTIST], consulted=[OWNER], informed=[VALIDATOR]),
        row("offer", SCIENTIST, [SCIENTIST], consulted=[OWNER], informed=[IT, VALIDATOR]),
        row("answer", SCIENTIST, [SCIENTIST, ENGINEER], consulted=[IT]),
        row("review", VALIDATOR, [VALIDATOR, IT], consulted=[RISK], informed=[SCIENTIST, OWNER]),
        row("test", ENGINEER, [ENGINEER], consulted=[SCIENTIST], informed=[VALIDATOR, IT]),
        row("release", IT, [IT], consulted=[RISK, ENGINEER], informed=[SCIENTIST, OWNER, INTEGRATION]),
        row("deploy", IT, [IT, ENGINEER], informed=[SCIENTIST, INTEGRATION]),
        row("confirm", IT, [INTEGRATION], consulted=[ENGINEER], informed=[SCIENTIST, OWNER]),
        row("monitor", IT, [ENGINEER], informed=[SCIENTIST, OWNER]),
        row("roll_back", IT, [IT], consulted=[ENGINEER], informed=[SCIENTIST, OWNER, INTEGRATION]),
        row("amend", IT, [ENGINEER, INTEGRATION], informed=[SCIENTIST]),
        row("retire", OWNER, [IT], consulted=[INTEGRATION, RISK], informed=[SCIENTIST]),
        row("configure", ADMINISTRATOR, [ADMINISTRATOR], informed=[RISK]),
    ]


USUAL = _usual()


def read(content: Any) -> tuple[Entry, ...]:
    """Return the entries of a matrix. Raises Invalid that names each mistake by its place.

    The content is a list of rows: an activity, the kinds of environment (none: those that no other row of the activity
    names), exactly one accountable role, and lists of roles for the other letters. Each activity stands for each kind.
    """
    mistakes: dict[str, str | list[str]] = {}
    rows = content if isinstance(content, list) and all(isinstance(row, Mapping) for row in content) else []
    if not rows:
        mistakes["rows"] = "must be a list of mappings, each with an activity and who is accountable"
    found: dict[tuple[str, str], list[Entry]] = {}
    named = {(row.get("activity"), kind) for row in rows for kind in _list(row.get("kinds"))}
    for number, row in enumerate(rows):
        place = f"rows[{number}]"
        told = _mistakes_in(place, row)
        mistakes |= told
        if told:
            continue
        activity = row["activity"]
        for kind in _list(row.get("kinds")) or [kind for kind in KINDS if (activity, kind) not in named]:
            if (activity, kind) in found:
                mistakes[place] = f"{activity} in {kind} environments stands in another row, too"
            found[activity, kind] = _entries(activity, kind, row)
    if not mistakes:
        lost = [f"{activity} ({kind})" for activity in ACTIVITIES for kind in KINDS if (activity, kind) not in found]
        mistakes |= {"rows": "nobody is accountable for " + ", ".join(lost)} if lost else {}
    if mistakes:
        raise Invalid(
            "The matrix cannot be published: " + "; ".join(f"{k}: {v}" for k, v in mistakes.items()),
            code="raci_invalid",
            todo="Exactly one role is accountable for each activity in each kind of environment.",
            fields=mistakes,
        )
    return tuple(entry for entries in found.values() for entry in entries)


def _mistakes_in(place: str, row: Mapping[str, Any]) -> dict[str, str | list[str]]:
    found: dict[str, str | list[str]] = {
        f"{place}.{key}": "is not known" for key in row if key not in {"activity", "kinds", *LETTERS}
    }
    if row.get("activity") not in ACTIVITIES:
        found[f"{place}.activity"] = "must be one of " + ", ".join(ACTIVITIES)
    if row.get("accountable") not in Role.values:
        found[f"{place}.accountable"] = "must be exactly one of " + ", ".join(Role.values)
    for key, known in (("kinds", KINDS), *((letter, Role.values) for letter in LETTERS[1:])):
        values = row.get(key, [])
        if not isinstance(values, list) or any(one not in known for one in values) or len(set(values)) < len(values):
            found[f"{place}.{key}"] = "must be a list, nothing twice, of " + ", ".join(known)
    return found


def _list(raw: Any) -> list[Any]:
    return [one for one in raw if isinstance(one, str)] if isinstance(raw, list) else []


def _entries(activity: str, kind: str, row: Mapping[str, Any]) -> list[Entry]:
    accountable = Entry(activity, kind, row["accountable"], "accountable")
    others = [Entry(activity, kind, role, letter) for letter in LETTERS[1:] for role in row.get(letter, [])]
    return [accountable, *others]


def gap_of(activity: str, accountable: str) -> str:
    """Return what is wrong between who is accountable and what the product holds people to; empty where nothing is."""
    known = ACTIVITIES[activity]
    if not known.enforced:
        return known.held
    if known.by and accountable not in known.by:
        able = ", ".join(sorted(str(role.label) for role in known.by))
        return f"{Role(accountable).label} is accountable, and the product lets only others do it: {able}."
    return ""
