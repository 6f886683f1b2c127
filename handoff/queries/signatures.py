"""Prove signatures: each by itself, and all of them against the trail."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db import connection
from django.db.models import Min

from audit.envelopes import EnvelopeBroken, key_id_of, open_envelope
from audit.models import Account, AuditEvent, SigningKey
from handoff.access import handoffs_visible_to
from handoff.errors import Hidden
from handoff.models import SignOff
from handoff.rules.statements import KIND, PLACES, differing, told_in

GIVEN = ("signoff.given", "signoff.changes_requested", "signoff.refused")
ENDED = {
    "signoff.voided": ("changed", "anew", "merged"),
    "signoff.withdrawn": ("withdrawn",),
    "signoff.expired": ("expired",),
    "signoff.revoked": ("revoked",),
}
BATCH = 500
# An event that tells of a sign-off which is not there.
GONE = """
    SELECT e.subject FROM audit_auditevent e
     WHERE e.action = ANY(%s) AND NOT EXISTS (SELECT FROM handoff_signoff s WHERE 'signoff:' || s.id = e.subject)
     ORDER BY e.id
"""


class Wrong(NamedTuple):
    """Something about a signature or a key that is not as it should be. `rule` is short and stable."""

    subject: str
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.rule}: {self.message}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a signature proves by itself. `state` is verified, compromised, unsigned or wrong."""

    state: str
    words: str
    wrong: tuple[Wrong, ...] = ()


@dataclass(slots=True)
class Verification:
    """What was found about all signatures."""

    signatures: int = 0
    keys: int = 0
    unsigned: int = 0
    compromised: int = 0
    wrong: list[Wrong] = field(default_factory=list)


def signoff_of(user: Account, handoff_id: UUID, signoff_id: UUID) -> SignOff:
    """Return one sign-off of a handoff that an account may know of, with its key. Raises Hidden."""
    found = (
        SignOff.objects.select_related("signer", "reauthentication", "key", "handoff__model", "handoff__version")
        .select_related("handoff__target")
        .prefetch_related("conditions__owner", "conditions__steps__taken_by")
        .filter(pk=signoff_id, handoff=handoff_id, handoff__in=handoffs_visible_to(user))
        .first()
    )
    if found is None:
        raise Hidden("There is no such sign-off.")
    return found


def verdict_of(signoff: SignOff) -> Verdict:
    """Return what a sign-off, fetched with its key, proves without the trail."""
    wrong = tuple(_wrong_with(signoff))
    if wrong:
        return Verdict("wrong", "; ".join(one.message for one in wrong), wrong)
    key = signoff.key
    if key is None:
        return Verdict("unsigned", "given before the site signed with a key; the trail proves it")
    if key.compromised_since is not None and signoff.signed_at >= key.compromised_since:
        return Verdict("compromised", f"signed after the key {key} had been compromised, so it proves nothing")
    return Verdict("verified", f"verified with the key {key}")


def _wrong_with(signoff: SignOff) -> Iterator[Wrong]:
    subject = f"signoff:{signoff.pk}"
    body = signoff.statement.encode()
    if sha256(body).hexdigest() != signoff.statement_digest:
        yield Wrong(subject, "digest", "the statement does not hash to its digest")
    told = told_in(signoff.statement)
    if told is None:
        yield Wrong(subject, "statement", "the statement is not one of ours in canonical form")
    elif columns := differing(_columns(signoff), told, by_key=signoff.key_id is not None):
        yield Wrong(subject, "columns", f"{', '.join(columns)}: not what the statement says")
    elif _promised(signoff) != told.get("conditions", []):
        yield Wrong(subject, "conditions", "its conditions are not what the statement says")
    if signoff.key is not None:
        yield from _wrong_with_key(subject, signoff, signoff.key, body)


def _wrong_with_key(subject: str, signoff: SignOff, key: SigningKey, body: bytes) -> Iterator[Wrong]:
    try:
        open_envelope(orjson.dumps(signoff.envelope).decode(), KIND, {key.pk: bytes(key.public_key)})
    except EnvelopeBroken as error:
        yield Wrong(subject, "signature", str(error))
    if key.retired_at is not None and signoff.signed_at > key.retired_at:
        yield Wrong(subject, "time", f"signed after the key {key} had been retired")


def _columns(signoff: SignOff) -> dict[str, Any]:
    """Return the columns as the statement writes them."""
    found = {name: getattr(signoff, name) for name in PLACES}
    return {name: _plain(value) for name, value in found.items()}


def _promised(signoff: SignOff) -> list[dict[str, str]]:
    """Return the conditions as the statement writes them; the last day ends at midnight."""
    rows = sorted(signoff.conditions.all(), key=lambda one: one.number)
    return [
        {
            "text": one.text,
            "due": (one.due_at.astimezone(UTC) - timedelta(days=1)).date().isoformat(),
            "owner": one.owner.username,
        }
        for one in rows
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value


def verify() -> Verification:
    """Prove every key and every signature: by itself, and by what the trail says was signed and taken back.

    The trail is believed here; `verify_audit` proves it.
    """
    found = Verification()
    began = _verify_keys(found)
    rows = SignOff.objects.select_related("key").prefetch_related("conditions__owner").order_by("pk")
    batch: list[SignOff] = []
    for signoff in rows.iterator(chunk_size=BATCH):
        batch.append(signoff)
        if len(batch) == BATCH:
            _verify_batch(batch, found, began)
            batch = []
    _verify_batch(batch, found, began)
    with connection.cursor() as cursor:
        cursor.execute(GONE, [list(GIVEN)])
        found.wrong += [Wrong(subject, "missing", "the trail tells of it, and it is gone") for (subject,) in cursor]
    return found


def _verify_batch(batch: Sequence[SignOff], found: Verification, began: datetime | None) -> None:
    events = _events([f"signoff:{signoff.pk}" for signoff in batch])
    for signoff in batch:
        subject = f"signoff:{signoff.pk}"
        found.signatures += 1
        verdict = verdict_of(signoff)
        found.wrong += verdict.wrong
        found.compromised += verdict.state == "compromised"
        if signoff.key_id is None:
            found.unsigned += 1
            if began is not None and signoff.signed_at >= began:
                found.wrong.append(Wrong(subject, "unsigned", "given when there was a key, without one"))
        found.wrong += _against_the_trail(signoff, events[subject])


def _events(subjects: Sequence[str]) -> defaultdict[str, list[tuple[str, Mapping[str, Any]]]]:
    """Return what the trail says of some subjects: the actions with their bodies, in order."""
    found: defaultdict[str, list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
    rows = AuditEvent.objects.filter(subject__in=subjects).order_by("pk").values_list("subject", "action", "body")
    for subject, action, body in rows:
        found[subject].append((action, orjson.loads(body)))
    return found


def _against_the_trail(signoff: SignOff, events: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[Wrong]:
    subject = f"signoff:{signoff.pk}"
    given = [body["data"]["statement"] for action, body in events if action in GIVEN]
    if given != [signoff.statement_digest]:
        yield Wrong(subject, "trail", "the trail tells of another statement, or of none")
    ended = [(action, body) for action, body in events if action in ENDED]
    if bool(ended) != (signoff.voided_at is not None):
        yield Wrong(subject, "voiding", "the trail says otherwise whether it was voided")
    elif ended:
        action, body = ended[0]
        at = _plain(signoff.voided_at)
        if len(ended) > 1 or body["reason"] != signoff.voided_because or body["data"].get("at", at) != at:
            yield Wrong(subject, "voiding", "the trail tells another cause or time of its voiding")
        if signoff.voided_as and signoff.voided_as not in ENDED[action]:
            yield Wrong(subject, "voiding", "the trail says otherwise how it ended")


def _verify_keys(found: Verification) -> datetime | None:
    """Prove the records of the keys by the trail, and return when the first of them signed for a person."""
    keys = list(SigningKey.objects.all())
    found.keys = len(keys)
    events = _events([f"signingkey:{key.pk}" for key in keys])
    for key in keys:
        subject = f"signingkey:{key.pk}"
        if key_id_of(bytes(key.public_key)) != key.pk:
            found.wrong.append(Wrong(subject, "key", "its public half is another one than its name says"))
        if _key_told(events[subject]) != _key_columns(key):
            found.wrong.append(Wrong(subject, "trail", "its record is not what the trail says"))
    return SignOff.objects.exclude(key=None).aggregate(began=Min("signed_at"))["began"]


def _key_told(events: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, str]:
    """Return how a key's story ended: the reasons, and since when it was compromised."""
    told = {"registered": "", "retired": "", "compromised": "", "since": ""}
    for action, body in events:
        told[action.removeprefix("key.")] = body["reason"] or "yes"
        told["since"] = body["data"].get("since", told["since"])
    return told | {"retired": told["retired"] or told["compromised"]}


def _key_columns(key: SigningKey) -> dict[str, str]:
    since = key.compromised_since.isoformat() if key.compromised_since else ""
    return {
        "registered": "yes",
        "retired": key.retired_because,
        "compromised": key.compromised_because,
        "since": since,
    }
