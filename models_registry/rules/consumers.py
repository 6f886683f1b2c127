"""What a consumer must say of itself, and which fields it may use."""

from collections.abc import Mapping, Sequence
from typing import Any

from models_registry.errors import Invalid

KINDS = ("application", "report", "dashboard")
CRITICALITIES = ("low", "medium", "high")
FREE = ("name", "kind", "owner", "purpose", "fields", "criticality", "effect")


def check_consumer(values: Mapping[str, Any], carried: Sequence[str] | None) -> None:
    """Refuse a consumer that says nothing of itself, or that uses what the sink does not carry.

    `carried` are the fields of the sink; None where only the model tells. Raises Invalid with every odd place.
    """
    wrong: dict[str, str | list[str]] = {}
    for name, choices in (("kind", KINDS), ("criticality", CRITICALITIES)):
        if name in values and values[name] not in choices:
            wrong[name] = f"must be one of {', '.join(choices)}"
    wrong |= {
        name: "is empty" for name in ("name", "purpose", "effect") if name in values and not str(values[name]).strip()
    }
    used = values.get("fields", [])
    if not isinstance(used, list) or not all(isinstance(one, str) and 0 < len(one) <= 200 for one in used):
        wrong["fields"] = "must be a list of names"
    elif len(set(used)) != len(used):
        wrong["fields"] = "names a field twice"
    else:
        unknown = sorted(set(used) - set(carried)) if carried is not None else []
        if unknown:
            wrong["fields"] = f"{', '.join(unknown)}: the sink carries {', '.join(carried or ())} only"
    if wrong:
        raise Invalid("Say what the consumer is, what it uses, and what hangs on it.", fields=wrong)
