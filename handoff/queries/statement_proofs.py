"""What a signature proves by itself: that its statement says what its columns say, and that the keys signed it."""

from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from audit.assertions import Assertion, AssertionBroken, challenge_of, prove
from audit.envelopes import EnvelopeBroken, open_envelope
from audit.marks import LEFT, mark_of, marks_in
from audit.models import AuditEvent, PersonalKey, PrintedName, SigningKey
from handoff.rules.statements import KIND, PERSONAL, PREDICATE, differing, intent_of, told_in

Told = Sequence[tuple[str, Mapping[str, Any]]]  # actions with the bodies of their events, in order
Signed = Any  # a row with statement, digest, signature, key, reauthentication and signed_at


class Wrong(NamedTuple):
    """Something about a signature or a key that is not as it should be. `rule` is short and stable."""

    subject: str
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.rule}: {self.message}"


def wrong_statement(
    subject: str,
    signed: Signed,
    places: Mapping[str, tuple[str, ...]],
    names: Mapping[str, str],
    kind: str = PREDICATE,
) -> Generator[Wrong, None, dict[str, Any] | None]:
    """Tell what is wrong with the statement and the keys of a signature; return what it says where its columns agree.

    `places` says where the statement has each column, `names` what its marks stand for (`names_of`).
    Fetch the signature with its key and its confirmation.
    """
    body = signed.statement.encode()
    if sha256(body).hexdigest() != signed.statement_digest:
        yield Wrong(subject, "digest", "the statement does not hash to its digest")
    told, agreed = told_in(signed.statement, kind), False
    if told is None:
        yield Wrong(subject, "statement", "the statement is not one of ours in canonical form")
    elif columns := differing({name: plain(getattr(signed, name)) for name in places}, told, places, names):
        yield Wrong(subject, "columns", f"{', '.join(columns)}: not what the statement says")
    else:
        agreed = True
        yield from _wrong_personal_key(subject, signed, told)
    if signed.key is not None:
        yield from _wrong_key(subject, signed, signed.key)
    return told if agreed else None


def names_of(signed: Sequence[Signed]) -> dict[str, str]:
    """Return the names that the marks in some statements stand for, each proven anew by its salt.

    The name of somebody who has left has no salt any more. Then only a pseudonym may stand there.
    """
    rows = PrintedName.objects.filter(pk__in=marks_in(*(one.statement for one in signed)))
    proven = (row for row in rows if (mark_of(row.salt, row.name) == row.pk if row.salt else LEFT.fullmatch(row.name)))
    return {row.pk: row.name for row in proven}


def names_behind(*texts: str) -> list[dict[str, Any]]:
    """Return the names that the marks in events or statements stand for, each with the salt that proves it.

    Who has left has lost both: a pseudonym stands there, and no salt.
    """
    rows = PrintedName.objects.filter(pk__in=marks_in(*texts)).order_by("pk")
    return [{"mark": row.pk, "account": row.account_id, "name": row.name, "salt": row.salt} for row in rows]


def _wrong_key(subject: str, signed: Signed, key: SigningKey) -> Iterator[Wrong]:
    try:
        open_envelope(orjson.dumps(signed.envelope).decode(), KIND, {key.pk: bytes(key.public_key)})
    except EnvelopeBroken as error:
        yield Wrong(subject, "signature", str(error))
    if key.retired_at is not None and signed.signed_at > key.retired_at:
        yield Wrong(subject, "time", f"signed after the key {key} had been retired")


def _wrong_personal_key(subject: str, signed: Signed, told: Mapping[str, Any]) -> Iterator[Wrong]:
    """Prove what the signer's own key signed: the same decision, on the same scope."""
    by_key = told["confirmed"]["method"] == PERSONAL
    if not by_key == ("personal_key" in told) == bool(signed.reauthentication.assertion):
        yield Wrong(subject, "personal key", "the statement says otherwise how its signer was confirmed")
    elif by_key:
        try:
            _prove_personal_key(signed, told)
        except AssertionBroken as broken:
            yield Wrong(subject, "personal key", f"the signer's own key does not prove it: {broken}")


def _prove_personal_key(signed: Signed, told: Mapping[str, Any]) -> None:
    assertion = Assertion.of(told["personal_key"])
    key = PersonalKey.objects.filter(pk=assertion.key, account=told["person"]["account"]).first()
    if key is None:
        raise AssertionBroken("the signer has no such key")
    if key.retired_at is not None and signed.signed_at > key.retired_at:
        raise AssertionBroken("the key had been retired")
    prove(assertion, public_key=bytes(key.public_key), site=key.site, challenge=challenge_of(intent_of(told)))


def events_of(subjects: Sequence[str]) -> defaultdict[str, list[tuple[str, Mapping[str, Any]]]]:
    """Return what the trail says of some subjects."""
    found: defaultdict[str, list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
    rows = AuditEvent.objects.filter(subject__in=subjects).order_by("pk").values_list("subject", "action", "body")
    for subject, action, body in rows:
        found[subject].append((action, orjson.loads(body)))
    return found


def plain(value: Any) -> Any:
    """Return a column's value as the statement writes it."""
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value
