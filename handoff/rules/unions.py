"""The union of the policies that apply to one handoff: what any of them demands, and the stricter of two alike.

The union is the content of a policy again, so that it is frozen, digested, shown and judged like any other.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from engine.thresholds import LOWER_IS_BETTER
from handoff.errors import Conflicting, Invalid
from handoff.rules.amendments import USUAL as SIGNED_PARTS
from handoff.rules.aspects import USUAL
from handoff.rules.break_glass import united as break_glass_of
from handoff.rules.canaries import united as strategy_of
from handoff.rules.monitoring import united as monitoring_of
from handoff.rules.policies import UNION_OF, digest_of, parse
from handoff.rules.policy_terms import DRIFTS, ELEMENTS, GATES, LAPSES, TESTS, TIERS, USUAL_ELEMENTS, PolicyRules
from handoff.rules.reading import LONGEST_TEXT
from handoff.rules.reattestation import united as reattestation_of
from handoff.rules.retention import years_in
from handoff.rules.retirement import notice_in
from handoff.rules.sandboxes import higher
from handoff.rules.standard_changes import united as standard_change_of
from handoff.rules.subjects import Subject
from handoff.rules.waivers import WaiverRules

UNITED = {
    *("policy", "title", "applies_to", "elements", "tests", "gates", "expires_after_days", "drift", "thresholds"),
    *("windows", "freezes", "reminders_before_days", "aspects", "findings"),
    *("acknowledged_duties", "waivers", "amendments", "lapses", "retention", "retirement", "break_glass"),
    *("standard_change", "retrain", "strategy", "monitoring", "sandbox", "reattestation"),
}
UNITED_IN_SIGNOFFS = {"count", "quorum", "after", "advisory", "required_above", "help", "valid_days"}
UNITED_IN_ITEMS = {"evidence", "help"}
# Where a sign-off is waited for: everywhere, above a tier, nowhere.
WAITED: tuple[dict[str, Any], ...] = ({}, *({"required_above": tier} for tier in TIERS), {"advisory": True})
STRICTEST_FIRST = ("locked", "constrained", "undeclared", "free")


def union(revisions: Sequence[tuple[Mapping[str, Any], int]], subject: Subject) -> dict[str, Any]:
    """Return the union of policies for what is handed over; of one, that one's content as it is.

    Each comes as its content and the number of its revision.

    They are taken in the order of their names. Raises Conflicting where they cannot hold together.
    """
    numbered = sorted(revisions, key=lambda one: str(one[0]["policy"]))
    ordered = [content for content, _ in numbered]
    if len(ordered) == 1:
        return dict(ordered[0])
    found = deepcopy(dict(ordered[0]))
    for other in ordered[1:]:
        _add(found, other)
    found[UNION_OF] = [
        {"policy": one["policy"], "revision": number, "digest": digest_of(one)} for one, number in numbered
    ]
    found["title"] = " + ".join(str(one["title"]) for one in ordered)[:LONGEST_TEXT]
    found["applies_to"] = {"risk_tiers": [subject.tier], "target_kinds": [subject.kind]}
    if subject.model_type and any("model_types" in one["applies_to"] for one in ordered):
        found["applies_to"]["model_types"] = [subject.model_type]
    found["aspects"] = _aspects([parse(one) for one in ordered], subject)
    try:
        parse(found)
    except Invalid as refusal:
        raise Conflicting(
            f"The policies {' and '.join(str(one['policy']) for one in ordered)} cannot hold together: "
            + "; ".join(f"{place}: {told}" for place, told in refusal.fields.items()),
            todo="Change one of them, or let one apply elsewhere.",
        ) from refusal
    return found


def applied_in(policy: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the names of the policies in what a handoff has frozen; nothing for a draft."""
    if policy is None:
        return ()
    return tuple(str(one["policy"]) for one in policy.get(UNION_OF, (policy,)))


def _add(found: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Add what another policy demands. What only the one before says stays, unless saying nothing is stricter."""
    for key, words, usual in (("elements", ELEMENTS, USUAL_ELEMENTS), ("tests", TESTS, TESTS)):
        both = {*found.get(key, usual), *other.get(key, usual)}
        found[key] = [word for word in words if word in both]
    found["expires_after_days"] = min(one.get("expires_after_days", 30) for one in (found, other))
    found["drift"] = min((one.get("drift", DRIFTS[0]) for one in (found, other)), key=DRIFTS.index)
    if "lapses" in other:
        found["lapses"] = min((one.get("lapses", LAPSES[-1]) for one in (found, other)), key=LAPSES.index)
    if any(one.get("acknowledged_duties") for one in (found, other)):
        found["acknowledged_duties"] = True
    if any(one.get("findings", {}).get("another_closes") for one in (found, other)):
        found["findings"] = {"another_closes": True}
    if "retention" in found or "retention" in other:
        found["retention"] = {"years": max(years_in(found), years_in(other))}
    if "retirement" in other:
        found["retirement"] = {"notice_days": max(notice_in(found), notice_in(other))}
    if "sandbox" in other:
        found["sandbox"] = higher(found.get("sandbox", {}), other["sandbox"])
    if "waivers" in found or "waivers" in other:
        found["waivers"] = _waivers(found.get("waivers"), other.get("waivers"))
    if "break_glass" in found or "break_glass" in other:
        found["break_glass"] = break_glass_of(found.get("break_glass"), other.get("break_glass"))
    if anew := reattestation_of(found.get("reattestation"), other.get("reattestation")):
        found["reattestation"] = anew
    for key in ("standard_change", "retrain"):
        if key in found or key in other:
            found[key] = standard_change_of(found.get(key), other.get(key))
    for key, stricter in (("strategy", strategy_of), ("monitoring", monitoring_of)):
        if key in found or key in other:
            found[key] = stricter(found.get(key), other.get(key))
    if "thresholds" in other:
        found["thresholds"] = _thresholds(found.get("thresholds", {}), other["thresholds"])
    if "amendments" in found or "amendments" in other:
        found["amendments"] = _amendments(found.get("amendments", {}), other.get("amendments", {}))
    for key in ("windows", "freezes", "reminders_before_days"):
        both_ = [*found.get(key, ()), *(one for one in other.get(key, ()) if one not in found.get(key, ()))]
        if both_:
            found[key] = both_
    _add_gates(found, _renamed(found, other))
    for key in (found.keys() | other.keys()) - UNITED:
        _must_be_alike(key, found.get(key), other.get(key))


def _must_be_alike(place: str, one: Any, other: Any) -> None:
    """Refuse what does not say how it unites and is not the same in both: which of them is stricter, nobody knows."""
    if one != other:
        raise Conflicting(
            f"Two policies that apply together say different things under {place}.",
            todo="Say the same in both, or let one of them apply elsewhere.",
        )


def _waivers(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return which waivers both allow: none where one allows none, else shorter ones that are told of earlier."""
    if not one or not other:
        return None
    _must_be_alike("waivers.approver", one["approver"], other["approver"])
    usual = WaiverRules()
    return {
        "approver": one["approver"],
        "max_days": min(part.get("max_days", usual.max_days) for part in (one, other)),
        "warn_days": max(part.get("warn_days", usual.warn_days) for part in (one, other)),
    }


def _amendments(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return who signs for each part: all that one of both asks for, and the usual ones where one says nothing."""
    named = [part for part in SIGNED_PARTS if part in one or part in other]
    return {part: sorted({*one.get(part, SIGNED_PARTS[part]), *other.get(part, SIGNED_PARTS[part])}) for part in named}


def _thresholds(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    metrics = {**other.get("metrics", {}), **one.get("metrics", {})}
    for name in metrics:
        limits = [part["metrics"][name] for part in (one, other) if name in part.get("metrics", {})]
        found.setdefault("metrics", {})[name] = min(limits) if name in LOWER_IS_BETTER else max(limits)
    for name in ("latency_p99_ms", "peak_memory_mb"):
        limits = [part[name] for part in (one, other) if name in part]
        if limits:
            found[name] = min(limits)
    return found


def _add_gates(found: dict[str, Any], gates: Mapping[str, Any]) -> None:
    for name in GATES:
        if name not in gates:
            continue
        gate, more = found["gates"].setdefault(name, {}), gates[name]
        if "checklist" in more:
            gate["checklist"] = _checklist(gate, more, f"gates.{name}.checklist")
        if "signoffs" in more:
            gate["signoffs"] = _rows(gate.get("signoffs", []), more["signoffs"], _signoff)
        for key in (gate.keys() | more.keys()) - {"checklist", "signoffs", "acknowledge"}:
            _must_be_alike(f"gates.{name}.{key}", gate.get(key), more.get(key))
        acknowledge = {one for one in (gate.get("acknowledge"), more.get("acknowledge")) if one}
        if len(acknowledge) > 1:
            raise Conflicting(
                f"At the {name} gate differences are acknowledged by {' and by '.join(sorted(acknowledge))}.",
                todo="Name the same role in both, or let one of them apply elsewhere.",
            )
        if acknowledge:
            gate["acknowledge"] = acknowledge.pop()


def _checklist(gate: Mapping[str, Any], more: Mapping[str, Any], place: str) -> Any:
    """Return the items of both, and the templates that they include; of one template both have the same copy."""
    items = _rows(_items_of(gate), _items_of(more), _item)
    included = {one["template"]: dict(one) for one in _included_in(gate)}
    for one in _included_in(more):
        there = included.setdefault(one["template"], dict(one))
        _must_be_alike(f"{place}.included.{one['template']}", there["digest"], one["digest"])
        if least := max(part.get("least", 0) for part in (there, one)):
            there["least"] = least
    return {"items": items, "included": list(included.values())} if included else items


def _items_of(gate: Mapping[str, Any]) -> list[Any]:
    checklist = gate.get("checklist", [])
    return list(checklist.get("items", ()) if isinstance(checklist, Mapping) else checklist)


def _included_in(gate: Mapping[str, Any]) -> list[Any]:
    checklist = gate.get("checklist", [])
    return list(checklist.get("included", ())) if isinstance(checklist, Mapping) else []


def _rows(
    own: Sequence[Mapping[str, Any]],
    others: Sequence[Mapping[str, Any]],
    merged: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]],
) -> list[dict[str, Any]]:
    by_key = {row["key"]: dict(row) for row in own}
    for row in others:
        by_key[row["key"]] = merged(by_key[row["key"]], row) if row["key"] in by_key else dict(row)
    return list(by_key.values())


def _item(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return one item for two that are alike but for the evidence: only what both accept is accepted."""
    accepted = [kind for kind in one.get("evidence", ()) if kind in other.get("evidence", ())]
    evidence = accepted or other.get("evidence")
    return {**one, "evidence": evidence} if evidence else dict(one)


def _signoff(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return one sign-off for two by the same roles with the same meaning: more people, later, and waited for."""
    found = {key: value for key, value in one.items() if key not in ("advisory", "required_above")}
    if "quorum" in one:
        found["quorum"] = {**one["quorum"], "count": max(part["quorum"]["count"] for part in (one, other))}
    else:
        found["count"] = max(part.get("count", 1) for part in (one, other))
    days = [part["valid_days"] for part in (one, other) if part.get("valid_days")]
    if days:
        found["valid_days"] = min(days)
    after = list(dict.fromkeys([*one.get("after", ()), *other.get("after", ())]))
    if after:
        found["after"] = after
    return found | min((_waited(one), _waited(other)), key=WAITED.index)


def _waited(rule: Mapping[str, Any]) -> dict[str, Any]:
    if rule.get("required_above"):
        return {"required_above": rule["required_above"]}
    return {"advisory": True} if rule.get("advisory") else {}


def _renamed(found: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the gates of another policy, with keys of their own where the same key asks for something else."""
    taken = {row["key"]: (gate, part, row) for gate, part, row in _all_rows(found["gates"])}
    names = {}
    for gate, part, row in _all_rows(other["gates"]):
        there = taken.get(row["key"])
        if there is not None and (there[:2] != (gate, part) or not _alike(part, there[2], row)):
            names[row["key"]] = f"{other['policy']}-{row['key']}"[:50]
    gates = deepcopy(dict(other["gates"]))
    for _, _, row in _all_rows(gates):
        row["key"] = names.get(row["key"], row["key"])
        if "after" in row:
            row["after"] = [names.get(key, key) for key in row["after"]]
        if isinstance(row.get("visible_if"), dict):
            row["visible_if"] = {names.get(key, key): value for key, value in row["visible_if"].items()}
    return gates


def _all_rows(gates: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    return [
        (name, part, row)
        for name, gate in gates.items()
        for part, rows in (("checklist", _items_of(gate)), ("signoffs", gate.get("signoffs", ())))
        for row in rows
    ]


def _alike(part: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two rows under one key ask for the same, so that the stricter one stands for both."""
    apart = UNITED_IN_SIGNOFFS if part == "signoffs" else UNITED_IN_ITEMS
    if {k: v for k, v in one.items() if k not in apart} != {k: v for k, v in other.items() if k not in apart}:
        return False
    if part == "signoffs":
        return bool(one.get("quorum", {}).get("of") == other.get("quorum", {}).get("of"))
    kinds = [set(row.get("evidence", ())) for row in (one, other)]
    return not all(kinds) or bool(kinds[0] & kinds[1])


def _aspects(read: Sequence[PolicyRules], subject: Subject) -> dict[str, Any]:
    """Return what is declared about each aspect: the least free of all, and only what all of them allow.

    Whom one of them names answers for it, before whoever acknowledges differences in general.
    """
    found, held = {}, [rules.held(subject.kind, subject.tier) for rules in read]
    for name, usual in USUAL.items():
        said = [rules.aspects[name] for rules in read if name in rules.aspects]
        if not said:
            continue
        each = [one[name] for one in held]
        freedom = min((one.freedom for one in each), key=STRICTEST_FIRST.index)
        lists = [set(one.allowed) for one in each if one.allowed] if freedom == "constrained" else []
        allowed = sorted(set.intersection(*lists)) if lists else []
        if lists and not allowed:
            freedom = "locked"  # nothing is allowed by both
        named = [one.answered_by for one in said if one.answered_by]
        for other in named[1:]:
            _must_be_alike(f"aspects.{name}.answered_by", named[0], other)
        answers = next((role for role in (*named, *(one.answered_by for one in each)) if role), "")
        changes = next((one.changed_by for one in each if one.changed_by != usual.changed_by), usual.changed_by)
        row: dict[str, Any] = {"freedom": freedom, "changed_by": changes}
        found[name] = row | ({"allowed": allowed} if allowed else {}) | ({"answered_by": answers} if answers else {})
    return found
