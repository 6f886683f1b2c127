"""The site's key: where it comes from, what it signs, and that what it signed stays provable."""

import subprocess
from base64 import b64decode
from datetime import timedelta
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit import signing
from audit.actors import Worker
from audit.envelopes import EnvelopeBroken, open_envelope, seal, signed_bytes
from audit.errors import Refused
from audit.models import AuditEvent, SigningKey

KIND = "application/vnd.mdlc.test+json"
SEED = "17" * 32
OTHER = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
pytestmark = pytest.mark.django_db


def test_what_the_site_signs_can_be_opened_and_its_key_is_on_the_trail_once() -> None:
    envelope, key = signing.sign(KIND, b"{}")
    registered = AuditEvent.objects.filter(action="key.registered")
    assert registered.get().subject == f"signingkey:{key.pk}"
    signing.sign(KIND, b"[]")
    assert signing.open_signed(KIND, envelope).payload == b"{}"
    assert key.pk == sha256(bytes(key.public_key)).hexdigest()
    assert registered.count() == SigningKey.objects.count() == 1


FORGERIES = [
    *("payload", "kind", "kind in words", "signature", "key", "another key under its name", "no envelope"),
    *("payload in loose digits", "signature in loose digits"),
]


@pytest.mark.parametrize("how", FORGERIES)
def test_a_forged_envelope_is_not_opened(how: str) -> None:
    envelope, key = signing.sign(KIND, b"{}")
    told, keys, kind = orjson.loads(envelope), signing.public_keys(), KIND
    if how == "payload":
        told["payload"] = "W10="
    elif how == "kind":
        kind = told["payloadType"] = "application/other"
    elif how == "kind in words":
        told["payloadType"] = "application/other"
    elif how == "payload in loose digits":
        told["payload"] += "\n"
    elif how == "signature in loose digits":
        told["signatures"][0]["sig"] += "\n"
    elif how == "signature":
        told["signatures"][0]["sig"] = "A" + told["signatures"][0]["sig"][1:]
        told["signatures"][0]["sig"] = "B" + told["signatures"][0]["sig"][1:]
    elif how == "key":
        told = orjson.loads(seal(KIND, b"{}", OTHER))
    elif how == "another key under its name":
        told["signatures"][0]["sig"] = orjson.loads(seal(KIND, b"{}", OTHER))["signatures"][0]["sig"]
        keys = {key.pk: OTHER.public_key().public_bytes_raw()}
    text = "[]" if how == "no envelope" else orjson.dumps(told).decode()
    with pytest.raises(EnvelopeBroken):
        open_envelope(text, kind, keys)


def test_the_key_comes_as_digits_as_a_file_as_pem_or_from_the_secret(tmp_path: Path) -> None:
    pem = tmp_path / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", pem], check=True, capture_output=True)
    digits = tmp_path / "digits"
    digits.write_text(SEED + "\n")
    by_digits = signing.private_key(SEED, "s").private_bytes_raw()
    assert by_digits == signing.private_key(str(digits), "s").private_bytes_raw() == bytes.fromhex(SEED)
    drawn = {signing.private_key(told, secret).private_bytes_raw() for told in ("", str(pem)) for secret in ("a", "b")}
    assert len(drawn) == 3


def test_a_path_is_taken_for_digits_neither_for_its_length_nor_for_its_letters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("k" * 60 + "cafe", "cafe"):
        Path(name).write_text(SEED)
        assert signing.private_key(name, "s").private_bytes_raw() == bytes.fromhex(SEED)


def test_for_people_signs_only_a_key_that_is_set_on_record_and_in_use(settings: Any) -> None:
    for settings.SIGNING_KEY in ("", "no such file"):
        with pytest.raises(signing.KeyMissing):
            signing.own_key()
    settings.SIGNING_KEY = SEED
    key = signing.own_key()
    key.private.public_key().verify(b64decode(key.sign(KIND, b"{}")), signed_bytes(KIND, b"{}"))
    signing.require_signing(key, True)
    assert not SigningKey.objects.exists(), "whoever says that it is on record has looked"
    signing.require_signing(key, None)
    assert SigningKey.objects.get().pk == key.id
    with pytest.raises(signing.KeyRetired):
        signing.require_signing(key, False)
    signing.retire(actor=Worker("clerk"), key_id=key.id, reason="lost")
    with pytest.raises(signing.KeyRetired):
        signing.require_signing(key, None)


@pytest.mark.parametrize("content", ["", "not a key", "rsa"])
def test_a_file_without_such_a_key_is_refused_and_not_repeated(content: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    if content == "rsa":
        subprocess.run(["openssl", "genrsa", "-out", path, "2048"], check=True, capture_output=True)
    with pytest.raises(ImproperlyConfigured, match="MDLC_SIGNING_KEY must") as told:
        signing.private_key(str(path), "s")
    assert not content or content not in str(told.value)


def test_after_a_rotation_both_keys_prove_what_they_signed(settings: Any) -> None:
    first = settings.SIGNING_KEY
    before, old = signing.sign(KIND, b"1")
    settings.SIGNING_KEY = SEED
    after, new = signing.sign(KIND, b"2")
    call_command("signing_keys", retire=old.pk, reason="a year is over", stdout=(out := StringIO()))
    assert (old.pk in out.getvalue(), new.pk in out.getvalue(), "a year is over" in out.getvalue()) == (True,) * 3
    assert signing.open_signed(KIND, before).key_id == old.pk
    assert signing.open_signed(KIND, after).key_id == new.pk
    settings.SIGNING_KEY = first
    with pytest.raises(signing.KeyRetired):
        signing.sign(KIND, b"3")


def test_a_key_is_retired_once_and_with_a_reason() -> None:
    _, key = signing.sign(KIND, b"1")
    for wrong in ({"key_id": "0" * 64, "reason": "x"}, {"key_id": key.pk, "reason": " "}):
        with pytest.raises(Refused):
            signing.retire(actor=Worker("clerk"), **wrong)
    key.refresh_from_db()
    assert key.retired_at is None
    signing.retire(actor=Worker("clerk"), key_id=key.pk, reason="lost")
    with pytest.raises(CommandError, match="before"):
        call_command("signing_keys", retire=key.pk, reason="again", stdout=StringIO())
    assert AuditEvent.objects.filter(action="key.retired").count() == 1


def test_only_the_key_that_is_named_is_retired_or_marked_while_nobody_signs_with_it(settings: Any) -> None:
    _, first = signing.sign(KIND, b"1")
    settings.SIGNING_KEY = SEED
    _, second = signing.sign(KIND, b"2")
    clerk, since = Worker("clerk"), timezone.now() - timedelta(days=1)
    with CaptureQueriesContext(connection) as seen:
        retired = signing.retire(actor=clerk, key_id=second.pk, reason=" lost ")
        marked = signing.mark_compromised(actor=clerk, key_id=first.pk, since=since, reason=" stolen ")
    assert sum("FOR UPDATE" in str(one["sql"]) for one in seen.captured_queries) == 2
    kept = SigningKey.objects.in_bulk()
    assert (retired, marked) == (kept[second.pk], kept[first.pk])
    for one, because in ((retired, "lost"), (marked, "stolen")):
        assert (one.retired_at, one.retired_because) == (kept[one.pk].retired_at, because)
        assert one.retired_at is not None
    assert (marked.compromised_since, marked.compromised_because) == (since, "stolen")
    assert kept[second.pk].compromised_since is None
    again = signing.mark_compromised(actor=clerk, key_id=second.pk, since=since, reason="stolen, too")
    assert (again.retired_because, again.retired_at) == ("lost", retired.retired_at)
    told = AuditEvent.objects.filter(action__in=["key.retired", "key.compromised"]).order_by("seq")
    assert [(one.action, one.told["data"]["key"], one.told["reason"]) for one in told] == [
        ("key.retired", second.pk, "lost"),
        ("key.compromised", first.pk, "stolen"),
        ("key.compromised", second.pk, "stolen, too"),
    ]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"key_id": "0" * 64}, "not_found"),
        ({"reason": " "}, "invalid"),
        ({"since": timezone.now() + timedelta(days=1)}, "invalid"),
        ({}, "already_compromised"),
    ],
)
def test_what_is_no_compromise_changes_nothing(change: dict[str, Any], code: str) -> None:
    _, key = signing.sign(KIND, b"1")
    told: dict[str, Any] = {"key_id": key.pk, "since": timezone.now(), "reason": "stolen", "actor": Worker("clerk")}
    if not change:
        signing.mark_compromised(**told)
    before = list(SigningKey.objects.values())
    with pytest.raises(Refused) as refusal:
        signing.mark_compromised(**told | change)
    assert (refusal.value.code, list(SigningKey.objects.values())) == (code, before)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_signingkey SET public_key = '\\x00'",
        "UPDATE audit_signingkey SET registered_at = now() - interval '1 year'",
        "UPDATE audit_signingkey SET retired_at = now()",
        "DELETE FROM audit_signingkey",
        "INSERT INTO audit_signingkey (id, public_key, retired_because) VALUES (repeat('0', 64), '\\x00', '')",
    ],
)
def test_the_database_keeps_keys_as_they_were(statement: str) -> None:
    signing.sign(KIND, b"1")
    kept = list(SigningKey.objects.values())
    with pytest.raises((DatabaseError, IntegrityError)), transaction.atomic():
        connection.cursor().execute(statement)
    assert list(SigningKey.objects.values()) == kept


def test_a_retired_key_stays_retired() -> None:
    _, key = signing.sign(KIND, b"1")
    signing.retire(actor=Worker("clerk"), key_id=key.pk, reason="lost")
    with pytest.raises(DatabaseError), transaction.atomic():
        SigningKey.objects.filter(pk=key.pk).update(retired_at=None, retired_because="")
    key.refresh_from_db()
    assert key.retired_because == "lost"
