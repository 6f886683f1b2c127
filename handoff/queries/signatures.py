"""Prove signatures: each by itself, and all of them against the trail."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Min, Model, QuerySet

from audit.envelopes import key_id_of
from audit.marks import MARK
from audit.models import Account, PersonalKey, PrintedName, SigningKey
from handoff.access import handoffs_visible_to
from handoff.errors import Hidden
from handoff.models import Adoption, AmendmentSignOff, BreakGlass, SignOff
from handoff.queries.statement_proofs import Told, Wrong, events_of, names_of, plain, wrong_statement
from handoff.rules.statements import (
    OF_ADOPTION,
    OF_AMENDMENT,
    OF_BREAK_GLASS,
    PLACES,
    PLACES_OF_ADOPTION,
    PLACES_OF_AMENDMENT,
    PLACES_OF_BREAK_GLASS,
    SINCE_KEYS,
)

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
# The same of the other signatures, which the trail names by their statements.
OTHERS_GONE = """
    SELECT e.subject FROM audit_auditevent e
     WHERE e.action IN ('amendment.signed', 'policy.adopted', 'break_glass.confirmed') AND NOT EXISTS (
           SELECT FROM (SELECT statement_digest FROM handoff_amendmentsignoff
                         UNION ALL SELECT statement_digest FROM handoff_adoption
                         UNION ALL SELECT statement_digest FROM handoff_breakglass) s
            WHERE s.statement_digest = e.body::jsonb -> 'data' ->> 'statement')
     ORDER BY e.id
"""


class Other(NamedTuple):
    """A table of signatures beside sign-offs: how the trail tells of them, and where their statements say what."""

    table: type[Model]
    action: str
    about: str
    field: str
    places: Mapping[str, tuple[str, ...]]
    predicate: str


OTHERS = (
    Other(AmendmentSignOff, "amendment.signed", "amendment", "amendment_id", PLACES_OF_AMENDMENT, OF_AMENDMENT),
    Other(Adoption, "policy.adopted", "adoption", "pk", PLACES_OF_ADOPTION, OF_ADOPTION),
    Other(BreakGlass, "break_glass.confirmed", "handoff", "handoff_id", PLACES_OF_BREAK_GLASS, OF_BREAK_GLASS),
)


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


def own_key_of(signoff: SignOff) -> PersonalKey | None:
    """Return the signer's own key where one confirmed the sign-off."""
    assertion = signoff.reauthentication.assertion
    return PersonalKey.objects.filter(pk=assertion["key"]).first() if assertion else None


def verdict_of(signoff: SignOff, names: Mapping[str, str] | None = None) -> Verdict:
    """Return what a sign-off, fetched with its key, proves without the trail; of many, fetch the names before."""
    wrong = tuple(_wrong_with(signoff, names_of([signoff]) if names is None else names))
    if wrong:
        return Verdict("wrong", "; ".join(one.message for one in wrong), wrong)
    key = signoff.key
    if key is None:
        return Verdict("unsigned", "given before the site signed with a key; the trail proves it")
    if _compromised(key, signoff.signed_at):
        return Verdict("compromised", f"signed after the key {key} had been compromised, so it proves nothing")
    return Verdict("verified", f"verified with the key {key}")


def _compromised(key: SigningKey, signed_at: datetime) -> bool:
    return key.compromised_since is not None and signed_at >= key.compromised_since


def _wrong_with(signoff: SignOff, names: Mapping[str, str]) -> Iterator[Wrong]:
    by_key = signoff.key_id is not None
    places = {name: place for name, place in PLACES.items() if by_key or name not in SINCE_KEYS}
    told = yield from wrong_statement(f"signoff:{signoff.pk}", signoff, places, names)
    if told is not None and not _promised(signoff, told.get("conditions", []), names):
        yield Wrong(f"signoff:{signoff.pk}", "conditions", "its conditions are not what the statement says")


def _promised(signoff: SignOff, told: Sequence[Mapping[str, str]], names: Mapping[str, str]) -> bool:
    """Tell whether the conditions are what the statement says; the last day ends at midnight."""
    rows = sorted(signoff.conditions.all(), key=lambda one: one.number)
    return len(rows) == len(told) and all(
        (one.text, (one.due_at.astimezone(UTC) - timedelta(days=1)).date().isoformat()) == (said["text"], said["due"])
        and _is_owner(one.owner, said["owner"], names)
        for one, said in zip(rows, told, strict=True)
    )


def _is_owner(owner: Account, said: str, names: Mapping[str, str]) -> bool:
    """Tell whether a statement names an account: by a mark, or as earlier ones did by a user name that may be gone."""
    if MARK.fullmatch(said):
        return said in names and PrintedName.objects.filter(pk=said, account=owner).exists()
    return said == owner.username or owner.pseudonymised_at is not None


def verify() -> Verification:
    """Prove every key and every signature: by itself, and by what the trail says was signed and taken back.

    The trail is believed here; `verify_audit` proves it.
    """
    found = Verification()
    began = _verify_keys(found)
    rows = SignOff.objects.select_related("key", "reauthentication").prefetch_related("conditions__owner")
    for batch in _batches(rows.order_by("pk")):
        verify_signoffs(batch, found, began)
    for kind in OTHERS:
        signed = kind.table._default_manager.exclude(key=None).select_related("key", "reauthentication")
        for others in _batches(signed.order_by("pk")):
            verify_others(others, found, kind)
    with connection.cursor() as cursor:
        for gone, values in ((GONE, [list(GIVEN)]), (OTHERS_GONE, [])):
            cursor.execute(gone, values)
            found.wrong += [Wrong(subject, "missing", "the trail tells of it, and it is gone") for (subject,) in cursor]
    return found


def _batches(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for row in rows.iterator(chunk_size=BATCH):
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def verify_signoffs(batch: Sequence[SignOff], found: Verification, began: datetime | None) -> None:
    events, names = events_of([f"signoff:{signoff.pk}" for signoff in batch]), names_of(batch)
    for signoff in batch:
        subject = f"signoff:{signoff.pk}"
        found.signatures += 1
        verdict = verdict_of(signoff, names)
        found.wrong += verdict.wrong
        found.compromised += verdict.state == "compromised"
        if signoff.key_id is None:
            found.unsigned += 1
            if began is not None and signoff.signed_at >= began:
                found.wrong.append(Wrong(subject, "unsigned", "given when there was a key, without one"))
        found.wrong += _against_the_trail(signoff, events[subject])


def verify_others(batch: Sequence[Any], found: Verification, kind: Other) -> None:
    """Prove signatures that never end; the trail tells of each on what it is about, by the statement."""
    events, names = events_of([f"{kind.about}:{getattr(one, kind.field)}" for one in batch]), names_of(batch)
    for signed in batch:
        subject = f"{signed._meta.model_name}:{signed.pk}"
        found.signatures += 1
        wrong = list(wrong_statement(subject, signed, kind.places, names, kind.predicate))
        told = events[f"{kind.about}:{getattr(signed, kind.field)}"]
        given = [body["data"]["statement"] for action, body in told if action == kind.action]
        if given.count(signed.statement_digest) != 1:
            wrong.append(Wrong(subject, "trail", "the trail tells of another statement, or of none"))
        found.wrong += wrong
        found.compromised += not wrong and _compromised(signed.key, signed.signed_at)


def _against_the_trail(signoff: SignOff, events: Told) -> Iterator[Wrong]:
    subject = f"signoff:{signoff.pk}"
    given = [body["data"]["statement"] for action, body in events if action in GIVEN]
    if given != [signoff.statement_digest]:
        yield Wrong(subject, "trail", "the trail tells of another statement, or of none")
    ended = [(action, body) for action, body in events if action in ENDED]
    if bool(ended) != (signoff.voided_at is not None):
        yield Wrong(subject, "voiding", "the trail says otherwise whether it was voided")
    elif ended:
        action, body = ended[0]
        at = plain(signoff.voided_at)
        if len(ended) > 1 or body["reason"] != signoff.voided_because or body["data"].get("at", at) != at:
            yield Wrong(subject, "voiding", "the trail tells another cause or time of its voiding")
        if signoff.voided_as and signoff.voided_as not in ENDED[action]:
            yield Wrong(subject, "voiding", "the trail says otherwise how it ended")


def _verify_keys(found: Verification) -> datetime | None:
    """Prove the records of the keys by the trail, and return when the first of them signed for a person."""
    keys = list(SigningKey.objects.all())
    found.keys = len(keys)
    events = events_of([f"signingkey:{key.pk}" for key in keys])
    for key in keys:
        subject = f"signingkey:{key.pk}"
        if key_id_of(bytes(key.public_key)) != key.pk:
            found.wrong.append(Wrong(subject, "key", "its public half is another one than its name says"))
        if _key_told(events[subject]) != _key_columns(key):
            found.wrong.append(Wrong(subject, "trail", "its record is not what the trail says"))
    _verify_personal_keys(found)
    return SignOff.objects.exclude(key=None).aggregate(began=Min("signed_at"))["began"]


def _key_told(events: Told) -> dict[str, str]:
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


def _verify_personal_keys(found: Verification) -> None:
    """Prove the records of people's own keys: a key that was put under another one is not the one in the trail."""
    keys = list(PersonalKey.objects.all())
    found.keys += len(keys)
    events = events_of([f"personalkey:{key.pk}" for key in keys])
    for key in keys:
        subject = f"personalkey:{key.pk}"
        told = [body["data"] for action, body in events[subject] if action == "personal_key.registered"]
        ended = [body["reason"] for action, body in events[subject] if action == "personal_key.retired"]
        public = bytes(key.public_key).hex()
        columns = {"key": key.pk, "account": key.account_id, "site": key.site, "public_key": public}
        if told != [columns] or ended != ([key.retired_because] if key.retired_at else []):
            found.wrong.append(Wrong(subject, "trail", "its record is not what the trail says"))
