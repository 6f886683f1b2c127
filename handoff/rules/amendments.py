"""What an amendment may change, what is different in it, and who signs for that."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from handoff.rules.bindings import streams_in
from handoff.rules.duties import Chain
from handoff.rules.scopes import digest

# Who signs for a part where the policy says nothing else.
USUAL: dict[str, tuple[str, ...]] = {
    "outputs": ("integration_owner",),
    "source": ("analytic_engineer", "it_operations"),
}
MEANING = "approval"
ACTS = ("add", "change", "retire")
# The aspects of the difference report that a signature for a part answers for.
ASPECTS = {"outputs": ("outputs.transport", "outputs.consumers"), "source": ("data.transport", "data.fields")}
COVERED = {
    "deployment": "the deployment",
    "version": "the model version",
    "before": "the bindings in force",
    "bindings": "the proposed bindings",
    "consumers": "the consumers that it adds, changes or retires",
    "changes": "what is different",
    "requirements": "who must sign",
    "reason": "the reason",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: which part it is of, what it is about, and both sides in words."""

    kind: str
    part: str
    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Requirement:
    """A role that must sign, under a key of its own."""

    key: str
    role: str
    meaning: str = MEANING


@dataclass(frozen=True, slots=True)
class Given:
    """A signature that was given for an amendment: by which account, for whom (None: for itself), under which name."""

    requirement: str
    signer: int
    behalf: int | None
    name: str


def signed_already(given: Iterable[Given], chain: Chain, role: str, account: int) -> str:
    """Say why an account may not sign in a role beside what was given; nothing if it may.

    One person counts for one role, by whichever account, and so do a delegate and whom they stand in for.
    """
    for one in given:
        if one.signer == account:
            return "You have signed this amendment already, and one person counts for one role."
        if chain.people(one.signer, one.behalf) & chain.seat(role, account):
            return f"{one.name} has signed this amendment, and that is one person's signature with yours."
    return ""


def signed_twice(given: Sequence[Given], chain: Chain) -> str:
    """Say that two signatures turned out to be one person's; nothing if each is another's."""
    for at, one in enumerate(given):
        for other in given[:at]:
            if chain.people(one.signer, one.behalf) & chain.people(other.signer, other.behalf):
                return "two of its signatures are one person's, who signs for one role"
    return ""


@dataclass(frozen=True, slots=True)
class Proposed:
    """An amendment that waits for signatures: of which roles, and those that were given."""

    key: str
    number: int
    reason: str
    roles: Mapping[str, str]
    given: tuple[Given, ...]

    def waits_for(self, account: int, held: frozenset[str], chain: Chain) -> bool:
        """Tell whether somebody who holds some roles can give a signature that is missing."""
        signed = {one.requirement for one in self.given}
        missing = {role for key, role in self.roles.items() if key not in signed}
        return any(not signed_already(self.given, chain, role, account) for role in missing & held)


def proposed(
    before: Mapping[str, Any], source: str = "", sinks: Sequence[Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Return bindings as they would be: what is not named stays, and what stays keeps the digest that was signed."""
    kept = {told["stream"]: told for _, _, told in streams_in(before)}
    after = dict(before)
    if source and source != before["input"]["stream"]:
        after["input"] = {"stream": source}
    if sinks is not None:
        after["outputs"] = [{**kept.get(str(one.get("stream")), {}), **one} for one in sinks]
    return after


def changes(
    before: Mapping[str, Any], after: Mapping[str, Any], consumers: Iterable[Mapping[str, Any]] = ()
) -> tuple[Change, ...]:
    """Return what is different between two bindings of a run, and in consumers, as people read it."""
    found = []
    if before["input"]["stream"] != after["input"]["stream"]:
        sides = (before["input"]["stream"], after["input"]["stream"])
        found.append(Change("source_changed", "source", sides[1], *sides))
    old, new = ({one["stream"]: one for one in side["outputs"]} for side in (before, after))
    for slug in [*new, *(slug for slug in old if slug not in new)]:
        here, there = _carried(old.get(slug)), _carried(new.get(slug))
        if here != there:
            kind = "sink_added" if slug not in old else "sink_removed" if slug not in new else "sink_fields_changed"
            found.append(Change(kind, "outputs", slug, here, there))
    found += [_of_consumer(one) for one in consumers]
    return tuple(found)


def _carried(sink: Mapping[str, Any] | None) -> str:
    """Return which fields a sink gets, in words."""
    if sink is None:
        return "nothing"
    return ", ".join(sink.get("fields") or ()) or "all fields"


def _of_consumer(row: Mapping[str, Any]) -> Change:
    kind = {"add": "consumer_added", "change": "consumer_changed", "retire": "consumer_retired"}[row["act"]]
    before = "not fed" if row["act"] == "add" else _fed(row["before"])
    after = "fed no more" if row["act"] == "retire" else _fed({**row.get("before", {}), **row["values"]})
    name = row["values"].get("name") or row["before"]["name"]
    return Change(kind, "outputs", f"{row['stream']}: {name}", before, after)


def _fed(values: Mapping[str, Any]) -> str:
    """Return a consumer in words."""
    fields = ", ".join(values.get("fields") or ()) or "all fields"
    said = (f"{values['kind']} of {values['owner']}", f"uses {fields}", f"criticality {values['criticality']}")
    return "; ".join((values["name"], *said, values["purpose"], values["effect"]))


def requirements(found: Iterable[Change], table: Mapping[str, Sequence[str]] | None = None) -> tuple[Requirement, ...]:
    """Return who must sign for some changes: each role once, by the policy's table or the usual one."""
    roles: dict[str, None] = {}
    for one in found:
        roles.update(dict.fromkeys({**USUAL, **(table or {})}[one.part]))
    return tuple(Requirement(role.replace("_", "-"), role) for role in roles)


def parts_of(amended: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the aspects of the report that kept changes touch."""
    return {aspect for one in amended for aspect in ASPECTS[one["part"]]}


def scope_of(
    *,
    deployment: str,
    version: str,
    in_force: Mapping[str, Any],
    bindings: Mapping[str, Any],
    consumers: Sequence[Any],
    found: Sequence[Any],
    required: Sequence[Any],
    reason: str,
) -> dict[str, str]:
    """Return all that a signature covers, each by its digest or key.

    `in_force` are the bindings as they are now: where another amendment was applied first, nobody signs unawares.
    """
    return {
        "deployment": deployment,
        "version": version,
        "before": digest(in_force),
        "bindings": digest(bindings),
        "consumers": digest(list(consumers)),
        "changes": digest(list(found)),
        "requirements": digest(list(required)),
        "reason": digest(reason),
    }


def as_plain(rows: Iterable[Change | Requirement]) -> list[dict[str, Any]]:
    """Return plain data, to be kept with the amendment."""
    return [asdict(one) for one in rows]


def lost(used: Sequence[str], before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Return the fields that a consumer uses and would get no more; one that lists none uses all that there are."""
    return sorted(set(used or before) - set(after))
