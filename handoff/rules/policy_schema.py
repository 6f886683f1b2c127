"""The JSON Schema of policies, made from the words that their reader knows."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.sandbox.levels import LEVELS
from engine.thresholds import METRICS
from handoff.rules import policy_windows as windows
from handoff.rules import reattestation
from handoff.rules.amendments import USUAL as SIGNED_PARTS
from handoff.rules.aspects import FREEDOMS, USUAL
from handoff.rules.automatic import KNOWN
from handoff.rules.break_glass import LONGEST_HOURS, LONGEST_MINUTES
from handoff.rules.canaries import LONGEST_MINUTES as LONGEST_CANARY
from handoff.rules.canaries import MOST_REQUESTS, STRATEGIES
from handoff.rules.checklists import CHOICES, EVIDENCE, LONGEST_LIFE
from handoff.rules.least_thresholds import MOST
from handoff.rules.monitoring import LONGEST_SILENCE, LONGEST_UNSEEN, SHORTEST_UNSEEN
from handoff.rules.policy_reader import MOST_REMINDERS
from handoff.rules.policy_terms import (
    DRIFTS,
    ELEMENTS,
    GATES,
    KINDS,
    LAPSES,
    MEANINGS,
    MODEL_TYPES,
    MOST_SIGNERS,
    TESTS,
    TIERS,
)
from handoff.rules.reading import LONGEST_LIST, LONGEST_TEXT, ROLES, SLUG
from handoff.rules.retention import LONGEST_YEARS
from handoff.rules.retirement import LONGEST_NOTICE
from handoff.rules.standard_changes import (
    BOUNDS,
    LONGEST_ROW,
    MAY_DIFFER,
    MAY_DIFFER_RETRAINED,
    MOST_IN_A_ROW,
    MOVES,
    bound_of,
)
from handoff.rules.waivers import LONGEST_DAYS, LONGEST_WARNING
from handoff.rules.watches import MOST_MS, MOST_PERCENT
from handoff.rules.windows import DAYS

ADDRESS = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """Return the schema. What holds between places (keys that stand once, orders, quorums) only the reader checks."""
    return {
        "$schema": ADDRESS,
        "title": "Handoff policy",
        **_mapping(
            {
                "policy": _slug(),
                "title": _text(),
                "applies_to": _mapping(
                    {
                        "risk_tiers": _some(TIERS),
                        "target_kinds": _some(KINDS),
                        "model_types": _some(MODEL_TYPES),
                    },
                    needs=("risk_tiers", "target_kinds"),
                ),
                "elements": _some(ELEMENTS),
                "tests": _some(TESTS),
                "gates": _mapping({name: _gate() for name in GATES}, needs=("review", "release")),
                "expires_after_days": _whole(1, 3650),
                "reminders_before_days": {"type": "array", "maxItems": MOST_REMINDERS, "items": _whole(1, 365)},
                "aspects": _mapping({name: _aspect() for name in USUAL}),
                "drift": {"enum": list(DRIFTS)},
                "lapses": {"enum": list(LAPSES)},
                "thresholds": _thresholds(),
                "windows": _rows(_window()),
                "freezes": _rows(_freeze()),
                "acknowledged_duties": {"type": "boolean"},
                "findings": _mapping({"another_closes": {"type": "boolean"}}),
                "waivers": {"anyOf": [{"type": "null"}, _waivers()]},
                "amendments": _mapping({part: _some(ROLES) for part in SIGNED_PARTS}),
                "retention": _mapping({"years": _whole(1, LONGEST_YEARS)}),
                "sandbox": _mapping({"least": {"enum": list(LEVELS)}}),
                "retirement": _mapping({"notice_days": _whole(0, LONGEST_NOTICE)}),
                "break_glass": {"anyOf": [{"type": "null"}, _break_glass()]},
                "standard_change": {"anyOf": [{"type": "null"}, _standard_change(MAY_DIFFER)]},
                "strategy": {"anyOf": [{"type": "null"}, *_strategies()]},
                "monitoring": {"anyOf": [{"type": "null"}, _monitoring()]},
                "reattestation": {"anyOf": [{"type": "null"}, _reattestation()]},
                "retrain": {"anyOf": [{"type": "null"}, _standard_change(MAY_DIFFER_RETRAINED, bounded=True)]},
            },
            needs=("policy", "title", "applies_to", "tests", "gates"),
        ),
    }


def _mapping(properties: Mapping[str, Any], *, needs: Sequence[str] = ()) -> dict[str, Any]:
    found = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return found | ({"required": list(needs)} if needs else {})


def _rows(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "maxItems": LONGEST_LIST, "items": dict(items)}


def _some(words: Sequence[str], *, empty: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "array", "items": {"enum": list(words)}}
    return found if empty else found | {"minItems": 1}


def _slug() -> dict[str, Any]:
    return {"type": "string", "pattern": f"^{SLUG.pattern}$"}


def _text() -> dict[str, Any]:
    return {"type": "string", "pattern": r"\S", "maxLength": LONGEST_TEXT}


def _texts() -> dict[str, Any]:
    return {"type": "array", "maxItems": 100, "items": {"type": "string", "minLength": 1, "maxLength": 200}}


def _whole(least: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


def _gate() -> dict[str, Any]:
    acknowledge = {"enum": ["", None, *ROLES]}
    return _mapping({"checklist": _checklist(), "acknowledge": acknowledge, "signoffs": _rows(_signoff())})


def _checklist() -> dict[str, Any]:
    """Return a list of items, or items beside the templates that are included."""
    return {"anyOf": [_rows(_item()), _mapping({"items": _rows(_item()), "include": {}, "included": {}})]}


def _item() -> dict[str, Any]:
    words, choices = {"type": "string", "maxLength": LONGEST_TEXT}, {"enum": [*CHOICES, True, False]}
    found = _mapping(
        {
            "key": _slug(),
            "question": _text(),
            "help": words,
            "role": {"enum": list(ROLES)},
            "evidence": _some(EVIDENCE, empty=True),
            "figure": {"type": "string"},
            "fact": {"enum": list(KNOWN)},
            "visible_if": {
                "type": "object",
                "additionalProperties": {"anyOf": [choices, {"type": "array", "minItems": 1, "items": choices}]},
            },
            "two_people": {"type": "boolean"},
            "valid_days": _whole(1, LONGEST_LIFE),
            "reference": words,
            "section": words,
            "scored": {"type": "boolean"},
            "template": words,
        },
        needs=("key", "question"),
    )
    return found | {"anyOf": [{"required": ["role"]}, {"required": ["fact"]}]}


def _signoff() -> dict[str, Any]:
    quorum = _mapping({"of": _some(ROLES), "count": _whole(1, MOST_SIGNERS)}, needs=("of", "count"))
    found = _mapping(
        {
            "key": _slug(),
            "role": {"enum": list(ROLES)},
            "quorum": quorum,
            "meaning": {"enum": list(MEANINGS)},
            "count": _whole(1, MOST_SIGNERS),
            "after": _texts(),
            "advisory": {"type": "boolean"},
            "required_above": {"enum": list(TIERS[:-1])},
            "help": {},
            "valid_days": _whole(0, 3650),
        },
        needs=("key", "meaning"),
    )
    either = [{"required": ["role"]}, {"required": ["quorum"], "not": {"required": ["count"]}}]
    return found | {"oneOf": either, "not": {"required": ["advisory", "required_above"]}}


def _aspect() -> dict[str, Any]:
    case = {
        "freedom": {"enum": list(FREEDOMS)},
        "target_kinds": _some(KINDS, empty=True),
        "risk_tiers": _some(TIERS, empty=True),
        "allowed": _texts(),
    }
    whole = _mapping(
        {
            "freedom": {"enum": list(FREEDOMS)},
            "answered_by": {"enum": list(ROLES)},
            "changed_by": {"enum": list(ROLES)},
            "allowed": _texts(),
            "cases": _rows(_mapping(case, needs=("freedom",))),
        }
    )
    return {"anyOf": [{"enum": list(FREEDOMS)}, whole]}


def _thresholds() -> dict[str, Any]:
    limit = {"type": "number", "minimum": 0.001, "maximum": MOST}
    metric = {"type": "number", "minimum": -MOST, "maximum": MOST}
    return _mapping(
        {"metrics": _mapping(dict.fromkeys(METRICS, metric)), "latency_p99_ms": limit, "peak_memory_mb": limit}
    )


def _waivers() -> dict[str, Any]:
    return _mapping(
        {
            "approver": {"enum": list(ROLES)},
            "max_days": _whole(1, LONGEST_DAYS),
            "warn_days": _whole(1, LONGEST_WARNING),
        },
        needs=("approver",),
    )


def _break_glass() -> dict[str, Any]:
    return _mapping(
        {
            "roles": _some(ROLES),
            "lasts_hours": _whole(1, LONGEST_HOURS),
            "confirm_minutes": _whole(1, LONGEST_MINUTES),
            "any_time": {"type": "boolean"},
        },
        needs=("roles",),
    )


def _strategies() -> list[dict[str, Any]]:
    """Return that of what goes live at once, which says nothing more, and that of a canary."""
    direct, canary = STRATEGIES
    limits = {
        "kind": {"const": canary},
        "least_minutes": _whole(1, LONGEST_CANARY),
        "least_requests": _whole(0, MOST_REQUESTS),
        "most_failed_percent": {"type": "number", "minimum": 0, "maximum": MOST_PERCENT},
        "most_p99_ms": _whole(1, MOST_MS),
    }
    return [_mapping({"kind": {"const": direct}}, needs=("kind",)), _mapping(limits, needs=("kind",))]


def _monitoring() -> dict[str, Any]:
    return _mapping(
        {
            "most_failed_percent": {"type": "number", "minimum": 0, "maximum": MOST_PERCENT},
            "most_p99_ms": _whole(1, MOST_MS),
            "most_silent_hours": _whole(1, LONGEST_SILENCE),
            "most_unseen_minutes": _whole(SHORTEST_UNSEEN, LONGEST_UNSEEN),
        }
    )


def _reattestation() -> dict[str, Any]:
    found = _mapping(
        {
            "every_days": _whole(0, reattestation.LONGEST_DAYS),
            "triggers": _some(tuple(reattestation.TRIGGERS)),
            "gates": _some(GATES),
            "within_days": _whole(1, reattestation.LONGEST_DAYS),
        }
    )
    return found | {"anyOf": [{"required": ["every_days"]}, {"required": ["triggers"]}]}


def _standard_change(elements: Sequence[str], *, bounded: bool = False) -> dict[str, Any]:
    limits = {name: _limits((bound_of(name),) if bounded else ()) for name in METRICS}
    return _mapping(
        {
            "signers": _mapping({name: _some(ROLES) for name in GATES}) | {"minProperties": 1},
            "metrics": _mapping(limits) | {"minProperties": 1},
            "elements": _some(elements, empty=True),
            "aspects": _some(tuple(USUAL), empty=True),
            "at_most": _whole(1, MOST_IN_A_ROW),
            "within_days": _whole(1, LONGEST_ROW),
        },
        needs=("signers", "metrics"),
    )


def _limits(needs: Sequence[str]) -> dict[str, Any]:
    least = {"type": "number", "minimum": 0, "maximum": MOST}
    bound = {"type": "number", "minimum": -MOST, "maximum": MOST}
    either = {"anyOf": [{"required": ["worse_by"]}, {"required": ["worse_by_percent"]}]}
    return _mapping(dict.fromkeys(MOVES, least) | dict.fromkeys(BOUNDS, bound), needs=needs) | either


def _window() -> dict[str, Any]:
    clock = {"type": "string", "pattern": f"^({windows.CLOCK.pattern})$"}
    until = {"type": "string", "pattern": f"^({windows.CLOCK.pattern}|24:00)$"}
    opening = _mapping({"days": _some(DAYS), "from": clock, "to": until}, needs=("from", "to"))
    openings = _rows(opening) | {"minItems": 1}
    return _mapping({"zone": {"type": "string"}, "open": openings}, needs=windows.WINDOW_KEYS)


def _freeze() -> dict[str, Any]:
    day = {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
    found = {"name": _text(), "zone": {"type": "string"}, "from": day, "to": day}
    return _mapping(found, needs=windows.FREEZE_KEYS)
