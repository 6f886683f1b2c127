"""Each signature proves itself by the site's key; whatever is changed about one in the database is found and named."""

import json
from base64 import b64decode
from hashlib import sha256
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from audit import checks, signing
from audit.actors import Worker
from audit.envelopes import open_envelope
from audit.models import SigningKey
from handoff.facts import known_of
from handoff.models import Handoff, Reauthentication, SignOff
from handoff.queries.signatures import signoff_of, verdict_of, verify
from handoff.rules.statements import KIND, told_in
from handoff.voiding import void
from tests.handoff import building
from tests.handoff.test_signoffs_doors import APPROVE, by_api, by_page, by_service, counts, proof, seen_of
from tests.handoff.walking import client_of

pytestmark = pytest.mark.django_db
OTHER_KEY = "7a" * 32
TABLES = (
    "handoff_signoff", "handoff_condition", "audit_signingkey", "audit_personalkey", "handoff_reauthentication",
    "handoff_amendmentsignoff", "handoff_adoption", "handoff_breakglass",
)  # fmt: skip


@pytest.fixture
def place(db: None, store: Any) -> building.Place:
    """Return a model and its people."""
    return building.a_place()


@pytest.fixture
def handoff(place: building.Place) -> Handoff:
    """Return a handoff in review; Vera's signature opens the gate."""
    return building.offered(place, building.a_version(place), building.a_policy(("integrity",)))


@pytest.fixture
def signed(place: building.Place, handoff: Handoff) -> SignOff:
    """Return Vera's signature."""
    return building.sign(handoff, "review", place.vera)


def as_owner(statement: str, values: Any = ()) -> None:
    """Change the table as somebody who can switch its triggers off, and put them on again."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(statement, values)
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def verdict(signoff: SignOff, reader: Any) -> str:
    """Return what a signature proves by itself."""
    return verdict_of(signoff_of(reader, signoff.handoff_id, signoff.pk)).state


def test_a_signature_is_proven_by_its_envelope_and_the_public_key_alone(signed: SignOff, place: building.Place) -> None:
    client = APIClient()
    client.force_authenticate(place.otto)
    keys = {one["id"]: bytes.fromhex(one["public_key"]) for one in client.get(reverse("api:keys")).json()["results"]}
    told = client.get(reverse("api:handoff-signoff", args=[signed.handoff_id, signed.pk])).json()
    opened = open_envelope(json.dumps(told["envelope"]), KIND, keys)
    statement = json.loads(opened.payload)
    assert (told["verified"], opened.key_id) == ("verified", signed.key_id)
    assert sha256(opened.payload).hexdigest() == told["statement_digest"]
    assert statement["subject"] == [{"name": "model version", "digest": {"sha256": signed.handoff.version.digest}}]
    said = statement["predicate"]
    assert (said["signoff"], said["person"]["printed_name"], said["meaning"]) == (
        str(signed.pk),
        place.vera.mark,
        "review",
    )
    (name,) = told["names"]
    assert (name["name"], name["account"]) == (place.vera.printed_name, place.vera.pk)
    assert name["mark"] == place.vera.mark == "name:" + sha256((name["salt"] + name["name"]).encode()).hexdigest()


def test_the_page_of_a_signature_says_that_it_is_verified(signed: SignOff, place: building.Place) -> None:
    page = client_of(place.otto).get(reverse("handoff-signoff", args=[signed.handoff_id, signed.pk]))
    html = page.content.decode()
    for word in ("Verified with the key", signed.key_id, "Vera, as ", "I have reviewed this.", "Approve"):
        assert str(word) in html
    assert client_of(place.mallory).get(page.request["PATH_INFO"]).status_code == 404


@pytest.mark.parametrize("door", [by_service, by_api, by_page])
@pytest.mark.parametrize(("case", "status"), [("none", 503), ("retired", 503)])
def test_without_a_key_nobody_signs_through_any_door(
    door: Any, case: str, status: int, handoff: Handoff, place: building.Place, settings: Any
) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    place.vera.set_password("correct horse battery staple")
    place.vera.save(update_fields=["password"])
    if case == "none":
        settings.SIGNING_KEY = ""
    else:
        signing.sign(KIND, b"{}")
        signing.retire(actor=Worker("t"), key_id=signing.own_key().id, reason="a year is over")
    before, used = counts(), Reauthentication.objects.filter(used_at__isnull=False).count()
    assert door(handoff, place.vera, seen=seen_of(handoff), **APPROVE) == status
    assert counts() == before
    assert Reauthentication.objects.filter(used_at__isnull=False).count() == used, "it can be used again"


def test_the_database_takes_no_sign_off_without_a_key_in_use(signed: SignOff, place: building.Place) -> None:
    SignOff.objects.filter(pk=signed.pk).update(voided_at=timezone.now(), voided_because="a test")
    row = {name: value for name, value in SignOff.objects.values().get().items() if name != "id"}
    signing.retire(actor=Worker("t"), key_id=signed.key_id or "", reason="a year is over")
    fresh = {"reauthentication_id": proof(place.vera), "statement_digest": "1" * 64}
    for by in ({"key_id": None, "signature": ""}, {"key_id": signed.key_id}):
        with pytest.raises(DatabaseError, match="signed by a key that is in use"), transaction.atomic():
            SignOff.objects.create(**{**row, **fresh, **by})
    assert SignOff.objects.count() == 1


def test_after_a_rotation_old_and_new_signatures_hold(
    place: building.Place, handoff: Handoff, settings: Any, capsys: Any
) -> None:
    first = building.sign(handoff, "review", place.vera)
    settings.SIGNING_KEY = OTHER_KEY
    signing.retire(actor=Worker("t"), key_id=first.key_id or "", reason="a year is over")
    second = building.sign(building.tested(handoff), "release", place.otto)
    assert first.key_id != second.key_id
    assert {verdict(one, place.otto) for one in (first, second)} == {"verified"}
    call_command("verify_signatures")
    assert "2 signatures, 2 keys" in capsys.readouterr().out


def test_what_a_compromised_key_signed_from_then_on_is_shown_so(
    place: building.Place, handoff: Handoff, capsys: Any
) -> None:
    first = building.sign(handoff, "review", place.vera)
    since = timezone.now().isoformat()
    second = building.sign(building.tested(handoff), "release", place.otto)
    call_command("signing_keys", compromised=first.key_id, since=since, reason="a stolen laptop")
    assert (verdict(first, place.otto), verdict(second, place.otto)) == ("verified", "compromised")
    call_command("verify_signatures")
    assert "1 were signed after their key had been compromised" in capsys.readouterr().out
    html = client_of(place.otto).get(reverse("handoff-signoff", args=[handoff.pk, second.pk])).content.decode()
    assert "so it proves nothing" in html
    for odd in ({"since": "2026-01-01"}, {"since": "2999-01-01T00:00:00Z"}, {}):
        with pytest.raises(CommandError):
            call_command("signing_keys", compromised=first.key_id, reason="again", **odd)


CHANGES: dict[str, str] = {
    "id": "gen_random_uuid()",
    "handoff_id": "(SELECT id FROM handoff_handoff h WHERE h.id <> handoff_id LIMIT 1)",
    "gate": "'release'",
    "requirement": "'acceptance'",
    "role": "'it_operations'",
    "signer_id": "(SELECT id FROM audit_account a WHERE a.username = 'mallory')",
    "behalf_of_id": "(SELECT id FROM audit_account a WHERE a.username = 'mallory')",
    "printed_name": "'Mallory'",
    "decision": "'refuse'",
    "meaning": "'approval'",
    "comment": "'I have not read it.'",
    "scope": "'{}'",
    "scope_digest": "repeat('0', 64)",
    "statement": "replace(statement, 'I have read it.', 'I have not.')",
    "statement_digest": "repeat('0', 64)",
    "key_id": "(SELECT id FROM audit_signingkey k WHERE k.id <> key_id LIMIT 1)",
    "signature": "'AAAA' || substr(signature, 5)",
    "reauthentication_id": "(SELECT id FROM handoff_reauthentication r WHERE r.used_at IS NULL LIMIT 1)",
    "signed_at": "signed_at - interval '1 day'",
    "voided_at": "voided_at - interval '1 second'",
    "voided_as": "'revoked'",
    "voided_because": "'It was an accident.'",
}


def test_every_column_is_thought_about() -> None:
    assert {field.column for field in SignOff._meta.concrete_fields} == set(CHANGES)


@pytest.mark.parametrize("column", CHANGES)
def test_a_change_of_any_column_is_found(column: str, place: building.Place, handoff: Handoff, settings: Any) -> None:
    building.offered(place, building.a_version(place, 2, latency_p99_ms=7), building.a_policy(("integrity",)))
    signed = building.sign(handoff, "review", place.vera, comment="I have read it.")
    proof(place.vera)
    settings.SIGNING_KEY = OTHER_KEY
    building.sign(building.tested(handoff), "release", place.otto)
    if column.startswith("voided"):
        fact = known_of(handoff).facts.signoffs[0]
        void(handoff, fact, "the answers changed", SignOff.Ending.CHANGED, actor=Worker("t"))
    assert verify().wrong == []
    as_owner(f"UPDATE handoff_signoff SET {column} = {CHANGES[column]} WHERE id = %s", [signed.pk])
    found = verify().wrong
    assert found, column
    with pytest.raises(CommandError, match="not what they should be"):
        call_command("verify_signatures")


def test_whoever_takes_the_key_away_or_the_row_or_brings_a_voided_one_back_is_found(
    place: building.Place, signed: SignOff
) -> None:
    for statement, rule in (
        ("UPDATE handoff_signoff SET voided_at = now(), voided_because = 'gone'", "voiding"),
        ("UPDATE handoff_signoff SET statement_digest = encode(sha256('{}'), 'hex'), statement = '{}'", "trail"),
        ("DELETE FROM handoff_signoff", "missing"),
    ):
        with transaction.atomic():
            as_owner(statement)
            assert rule in {one.rule for one in verify().wrong}, statement
            transaction.set_rollback(True)
    assert verify().wrong == []


def test_a_record_of_a_key_that_was_changed_is_found(signed: SignOff) -> None:
    kept = SigningKey.objects.get()
    signing.mark_compromised(actor=Worker("t"), key_id=kept.pk, since=timezone.now(), reason="a laptop")
    assert verify().wrong == []
    as_owner("UPDATE audit_signingkey SET compromised_since = NULL, compromised_because = ''")
    assert {one.rule for one in verify().wrong} == {"trail"}


def test_a_signature_from_before_there_were_keys_is_told_apart(
    place: building.Place, signed: SignOff, capsys: Any
) -> None:
    """As an upgrade finds them: no key, and the statement that the first release wrote."""
    old: dict[str, Any] = {**(told_in(signed.statement) or {}), "statement": 1}
    body = orjson.dumps(old, option=orjson.OPT_SORT_KEYS)
    change = "UPDATE handoff_signoff SET key_id = NULL, signature = '', statement = %s, statement_digest = %s"
    as_owner(change, [body.decode(), sha256(body).hexdigest()])
    assert verdict(signed, place.otto) == "unsigned"
    assert {one.rule for one in verify().wrong} == {"trail"}, "the trail tells of the one that was signed"


@pytest.mark.parametrize(("value", "found"), [("", "audit.W001"), ("/nowhere/key.pem", "audit.W002"), ("5e" * 32, "")])
def test_the_check_of_an_installation_tells_of_the_key(value: str, found: str, settings: Any) -> None:
    settings.SIGNING_KEY = value
    assert [one.id for one in checks.signing_key()] == ([found] if found else [])


def test_the_check_tells_of_a_key_that_others_may_read(settings: Any, tmp_path: Any) -> None:
    path = tmp_path / "key"
    path.write_text("5e" * 32)
    settings.SIGNING_KEY = str(path)
    path.chmod(0o640)
    assert [one.id for one in checks.signing_key()] == ["audit.W003"]
    path.chmod(0o600)
    assert checks.signing_key() == []


def test_the_envelope_holds_the_very_bytes_that_were_stored(signed: SignOff) -> None:
    assert b64decode((signed.envelope or {})["payload"]).decode() == signed.statement
