"""What a signature states, as the canonical bytes of an in-toto statement, and whether columns say the same.

Statements:
https://github.com/in-toto/attestation/blob/v1.0/spec/v1.0/statement.md; envelopes: audit/envelopes.py.
Earlier releases stated what is now the predicate by itself (`statement: 1`), and had no key to sign it.
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import rfc8785

from audit.marks import shows

KIND = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:mdlc-handoff:sign-off:2"
INTENT = "urn:mdlc-handoff:intent-to-sign-off:1"
OF_ADOPTION = "urn:mdlc-handoff:adoption:1"
OF_AMENDMENT = "urn:mdlc-handoff:amendment-sign-off:1"
OF_BREAK_GLASS = "urn:mdlc-handoff:break-glass:1"
PERSONAL = "personal key"
INTENDED = ("handoff", "requirement", "scope_digest", "decision", "meaning", "comment")
# Where the statement says what a column of the sign-off holds.
PLACES: dict[str, tuple[str, ...]] = {
    "id": ("signoff",),
    "handoff_id": ("handoff",),
    "gate": ("gate",),
    "requirement": ("requirement",),
    "role": ("role",),
    "signer_id": ("person", "account"),
    "printed_name": ("person", "printed_name"),
    "behalf_of_id": ("for", "account"),
    "decision": ("decision",),
    "meaning": ("meaning",),
    "comment": ("comment",),
    "scope": ("scope",),
    "scope_digest": ("scope_digest",),
    "reauthentication_id": ("confirmed", "id"),
    "signed_at": ("signed_at",),
}
PLACES_OF_BREAK_GLASS: dict[str, tuple[str, ...]] = {
    "id": ("break_glass",),
    "handoff_id": ("handoff",),
    "gate": ("gate",),
    "reason": ("reason",),
    "incident": ("incident",),
    "asked_by_id": ("asked_by",),
    "role": ("role",),
    "confirmed_by_id": ("person", "account"),
    "printed_name": ("person", "printed_name"),
    "behalf_of_id": ("for", "account"),
    "missing": ("missing",),
    "scope": ("scope",),
    "confirmed_at": ("confirmed_at",),
    "until": ("until",),
    "reauthentication_id": ("confirmed", "id"),
}
PLACES_OF_ADOPTION: dict[str, tuple[str, ...]] = {
    "id": ("adoption",),
    "handoff_id": ("handoff",),
    "from_digest": ("from", "policy"),
    "to_digest": ("to", "policy"),
    "role": ("role",),
    "adopted_by_id": ("person", "account"),
    "printed_name": ("person", "printed_name"),
    "reason": ("reason",),
    "reauthentication_id": ("confirmed", "id"),
}
SINCE_KEYS = ("id",)  # what earlier statements lack
PLACES_OF_AMENDMENT = {name: place for name, place in PLACES.items() if name not in ("handoff_id", "gate")} | {
    "amendment_id": ("amendment",)
}


def stated(predicate: Mapping[str, Any], *, version: str, kind: str = PREDICATE) -> bytes:
    """Return the canonical bytes (RFC 8785) of the statement about the version with a digest."""
    return rfc8785.dumps(
        {
            "_type": STATEMENT,
            "subject": [{"name": "model version", "digest": {"sha256": version}}],
            "predicateType": kind,
            "predicate": dict(predicate),
        }
    )


def intent_of(predicate: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a personal key signs by the hash of its canonical form: who decides what, on which scope.

    All of it stands in the predicate, so whoever has the statement can prove the key's signature by itself.
    """
    return {
        "intent": INTENT,
        "confirmation": predicate["confirmed"]["id"],
        "account": predicate["person"]["account"],
        **{name: predicate[name] for name in INTENDED},
        "conditions": predicate.get("conditions", []),
    }


def signer_in(statement: str) -> str:
    """Return the signer of a statement by name, or by the mark that stands for it."""
    told = json.loads(statement)
    return str(told.get("predicate", told).get("person", {}).get("printed_name", ""))


def envelope_of(statement: str, key_id: str, signature: str) -> dict[str, Any]:
    """Return a statement with the signature of a key over it, in an envelope that proves itself."""
    return {
        "payload": b64encode(statement.encode()).decode(),
        "payloadType": KIND,
        "signatures": [{"keyid": key_id, "sig": signature}],
    }


def told_in(statement: str, kind: str = PREDICATE) -> dict[str, Any] | None:
    """Return what a statement says of a sign-off, or nothing where its bytes are not those of a statement of ours."""
    try:
        told = json.loads(statement)
        if rfc8785.dumps(told) != statement.encode():
            return None
    except (ValueError, RecursionError, rfc8785.CanonicalizationError):
        return None
    if not isinstance(told, dict):
        return None
    if told.get("_type") == STATEMENT and told.get("predicateType") == kind:
        predicate = told.get("predicate")
        return predicate if isinstance(predicate, dict) else None
    return told if told.get("statement") == 1 and kind == PREDICATE else None


def differing(
    columns: Mapping[str, Any],
    told: Mapping[str, Any],
    places: Mapping[str, tuple[str, ...]],
    names: Mapping[str, str],
) -> list[str]:
    """Return the columns of a signature that hold something else than its statement says, which has them in places.

    `names` says which name each mark in the statement stands for; they are proven before.
    """
    return [name for name, place in places.items() if not _alike(name, columns[name], _at(told, place), names)]


def _alike(column: str, here: Any, said: Any, names: Mapping[str, str]) -> bool:
    if column == "printed_name" and isinstance(said, str):
        return shows(here, said, names)
    return bool(here == said)


def _at(told: Any, place: tuple[str, ...]) -> Any:
    for name in place:
        told = told.get(name) if isinstance(told, Mapping) else None
    return told
