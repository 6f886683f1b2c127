"""Personal keys by themselves: what a device is asked, what is kept of its answer, and whose keys are looked at."""

import json
import threading
from base64 import urlsafe_b64decode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core import signing
from django.db import connection
from fido2 import cbor

from audit import personal_keys
from audit.actors import Person
from audit.acts import one_transaction
from audit.assertions import AssertionBroken, base64url
from audit.errors import Refused
from audit.models import Account, AuditEvent, PersonalKey
from audit.personal_keys import ask_for_new, ask_to_sign, register, retire, usable, use
from tests.handoff.authenticator import MADE, ORIGIN, SITE, Token, registered, token

OTHER = {"origin": "https://other.example", "site": "other.example"}
MEANT = sha256(b"what was meant").digest()


@pytest.fixture
def vera(db: None) -> Account:
    """Return somebody beside otto, who has had a key for longer."""
    registered(Account.objects.create(username="otto", first_name="Otto"), name="Laptop")
    return Account.objects.create(username="vera", first_name="Vera", last_name="Lang")


def by(account: Account) -> Person:
    """Return somebody as whoever acts."""
    return Person(account, "test")


def kept(account: Account, own: Token, name: str = "Key") -> PersonalKey:
    """Register a key on the site that the browser is on."""
    question = ask_for_new(account, own.origin)
    answer = own.made(question.options)
    return register(actor=by(account), name=name, origin=own.origin, token=question.token, answer=answer)


def refusal(call: Callable[[], object]) -> tuple[int, str, str, str, dict[str, Any]]:
    """Return how something is refused: status, code, message, what to do, and the fields."""
    with pytest.raises(Refused) as refused:
        call()
    one = refused.value
    return one.status, one.code, one.message, one.todo, dict(one.fields)


UNREADABLE = (
    422, "key_unreadable", "The key did not answer as it should, so it was not registered.",
    "Try again, on the site itself, and let the key ask for your PIN or finger.", {},
)  # fmt: skip
TOO_LATE = (422, "key_too_late", "The key came too late.", "Try again; you have five minutes.", {})
NAMELESS = (
    422, "site_without_a_name", "Personal keys need a site with a name.",
    "Open this site by its name, over https (or as localhost), not by a number.", {},
)  # fmt: skip


def test_a_device_is_asked_for_a_new_key_that_verifies_its_holder(vera: Account) -> None:
    first, second = token(), token("eddsa")
    retire(actor=by(vera), key_id=kept(vera, first, "Old").pk, reason="lost")
    kept(vera, second.but(**OTHER), "Elsewhere")
    question = ask_for_new(vera, "https://handoff.example:8443")
    told = dict(question.options)
    challenge = urlsafe_b64decode(told.pop("challenge") + "=")
    assert len(challenge) == 32
    assert ask_for_new(vera, ORIGIN).options["challenge"] != base64url(challenge)
    excluded = [{"type": "public-key", "id": base64url(one.credential)} for one in (first, second)]
    assert sorted(told.pop("excludeCredentials"), key=str) == sorted(excluded, key=str)
    assert told == {
        "rp": {"name": "MDLC Handoff", "id": "handoff.example"},
        "user": {
            "name": "vera", "displayName": vera.printed_name,
            "id": base64url(sha256(b"account %d" % vera.pk).digest()),
        },
        "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in (-7, -8, -257)],
        "authenticatorSelection": {
            "residentKey": "discouraged", "userVerification": "required", "requireResidentKey": False,
        },
    }  # fmt: skip
    asked = signing.loads(question.token, salt="audit.personal_keys")
    assert asked == {"account": vera.pk, "challenge": base64url(challenge)}


def test_a_device_is_asked_to_sign_with_one_of_some_keys() -> None:
    keys = [PersonalKey(credential=b"one"), PersonalKey(credential=b"two")]
    assert ask_to_sign(keys, "https://handoff.example", MEANT) == {
        "challenge": base64url(MEANT),
        "rpId": "handoff.example",
        "allowCredentials": [{"type": "public-key", "id": base64url(raw)} for raw in (b"one", b"two")],
        "userVerification": "required",
    }


@pytest.mark.parametrize(
    ("origin", "site"),
    [
        ("https://handoff.example", "handoff.example"), ("http://localhost:8000", "localhost"),
        ("https://10.example", "10.example"), ("https://HANDOFF.example", "handoff.example"),
    ],
)  # fmt: skip
def test_a_site_with_a_name_asks(origin: str, site: str) -> None:
    assert ask_to_sign([], origin, MEANT)["rpId"] == site


@pytest.mark.parametrize(
    "origin", ["", "https://", "null", "http://127.0.0.1:8000", "https://[::1]", "http://2130706433"]
)
def test_a_site_that_is_known_by_a_number_only_asks_nothing(origin: str) -> None:
    assert refusal(lambda: ask_to_sign([], origin, MEANT)) == NAMELESS


@pytest.mark.parametrize("kind", MADE)
def test_the_public_half_is_kept_and_recorded(kind: str, vera: Account) -> None:
    own = token(kind).but(counter=41)
    key = kept(vera, own, "  My key ")
    raw = own.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    row = PersonalKey.objects.get(account=vera)
    assert (row.pk, row.name, row.site, row.counter) == (sha256(raw).hexdigest(), "My key", SITE, 41)
    assert (bytes(row.credential), bytes(row.public_key), row.retired_at) == (own.credential, raw, None)
    assert key == row
    event = AuditEvent.objects.get(chain=f"account:{vera.pk}")
    assert (event.action, event.actor, event.subject) == ("personal_key.registered", vera, f"personalkey:{row.pk}")
    assert json.loads(event.body)["data"] == {
        "key": row.pk, "account": vera.pk, "site": SITE, "public_key": raw.hex(),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kept_as"), [("", None), (" ", None), ("x" * 61, None), ("x" * 60, "x" * 60), ("x", "x")]
)
def test_a_key_has_a_name_of_at_most_60_characters(name: str, kept_as: str | None, vera: Account) -> None:
    if kept_as:
        assert kept(vera, token(), name).name == kept_as
        return
    assert refusal(lambda: kept(vera, token(), name)) == (
        422, "invalid", "Give the key a name by which you know it.", "", {"name": "must be 1 to 60 characters"},
    )  # fmt: skip
    assert not PersonalKey.objects.filter(account=vera).exists()


def test_a_name_is_given_once_among_the_keys_that_somebody_uses(vera: Account) -> None:
    """Otto has a key of that name, and vera had one."""
    first = kept(vera, token(), "Laptop")
    assert refusal(lambda: kept(vera, token(), "Laptop")) == (
        422, "invalid", "You have a key of that name.", "", {"name": "is taken"},
    )  # fmt: skip
    retire(actor=by(vera), key_id=first.pk, reason="lost")
    assert kept(vera, token(), "Laptop").retired_at is None


def test_somebody_has_twenty_keys_in_use_and_no_more(vera: Account) -> None:
    """Those of others and those that were retired are not among them."""
    retire(actor=by(vera), key_id=kept(vera, token(), "Old").pk, reason="lost")
    rows = [
        PersonalKey(
            pk=sha256(raw).hexdigest(), account=vera, name=raw.decode(), site=SITE, credential=raw, public_key=raw
        )
        for raw in (b"key %d" % number for number in range(19))
    ]
    PersonalKey.objects.bulk_create(rows)
    kept(vera, token(), "The twentieth")
    assert refusal(lambda: kept(vera, token(), "One more")) == (
        409, "too_many_keys", "You have 20 keys.", "Retire one that you use no more.", {},
    )  # fmt: skip
    assert usable(vera).count() == 20


def test_a_key_that_is_registered_is_not_registered_again(vera: Account) -> None:
    own = token()
    kept(vera, own)
    known = (409, "key_known", "That key is registered already.", "", {})
    assert refusal(lambda: kept(vera, own.but(credential=b"another name"), "Again")) == known
    assert refusal(lambda: kept(Account.objects.get(username="otto"), own, "Mine")) == known


def test_a_service_account_has_no_keys(vera: Account) -> None:
    robot = Account.objects.create(username="robot", kind="service", responsible=vera)
    assert refusal(lambda: kept(robot, token())) == (
        403, "person_required", "Only a natural person has personal keys.", "", {},
    )  # fmt: skip


@pytest.mark.parametrize(
    "odd",
    [
        {"site": "evil.example"}, {"origin": "https://evil.example"}, {"flags": 1}, {"flags": 4},
    ],
)  # fmt: skip
def test_a_key_that_was_made_elsewhere_or_for_nobody_is_not_registered(odd: dict[str, Any], vera: Account) -> None:
    question = ask_for_new(vera, ORIGIN)
    told = {"actor": by(vera), "name": "Key", "origin": ORIGIN, "token": question.token}
    assert refusal(lambda: register(**told, answer=token().but(**odd).made(question.options))) == UNREADABLE
    other = {"challenge": base64url(bytes(32))}
    assert refusal(lambda: register(**told, answer=token().made(other))) == UNREADABLE
    assert refusal(lambda: register(**told, answer={})) == UNREADABLE
    assert refusal(lambda: register(**told | {"origin": "http://127.0.0.1"}, answer={})) == NAMELESS
    assert not PersonalKey.objects.filter(account=vera).exists()


def test_a_question_is_answered_by_whom_it_was_put_to_and_in_time(
    vera: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    question, own = ask_for_new(vera, ORIGIN), token()
    told = {"name": "Key", "origin": ORIGIN, "token": question.token, "answer": own.made(question.options)}
    otto = Account.objects.get(username="otto")
    assert refusal(lambda: register(actor=by(otto), **told)) == TOO_LATE
    assert refusal(lambda: register(actor=by(vera), **told | {"token": f"{question.token}x"})) == TOO_LATE
    with monkeypatch.context() as late:
        late.setattr(personal_keys, "GOOD_FOR", -1)
        assert refusal(lambda: register(actor=by(vera), **told)) == TOO_LATE
    assert register(actor=by(vera), **told).account == vera


def off_the_curve(cose: dict[int, Any]) -> dict[int, Any]:
    """Return a key that lies on no curve."""
    return cose | {-2: bytes(32), -3: b"\x07" * 32}


def of_another_curve(cose: dict[int, Any]) -> dict[int, Any]:
    """Return a key for ECDSA with SHA-384, which nobody was asked for."""
    numbers = ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers()
    return {1: 2, 3: -35, -1: 2, -2: numbers.x.to_bytes(48, "big"), -3: numbers.y.to_bytes(48, "big")}


@pytest.mark.parametrize("change", [off_the_curve, of_another_curve, lambda cose: {1: 2, 3: -7}])
def test_a_public_half_that_is_none_is_not_kept(
    change: Callable[[dict[int, Any]], dict[int, Any]], vera: Account
) -> None:
    question, own = ask_for_new(vera, ORIGIN), token()
    cose = change(dict(MADE["es256"][1].from_cryptography_key(own.private.public_key())))
    extra = bytes(16) + len(own.credential).to_bytes(2, "big") + own.credential + cbor.encode(cose)
    attestation = {"fmt": "none", "attStmt": {}, "authData": own.data(extra, 0x40)}
    answer = {
        "client_data": base64url(own.client("create", question.options["challenge"])),
        "attestation": base64url(cbor.encode(attestation)),
    }
    told = {"actor": by(vera), "name": "Key", "origin": ORIGIN, "token": question.token, "answer": answer}
    assert refusal(lambda: register(**told)) == UNREADABLE


def test_keys_are_those_of_a_person_that_are_in_use_and_on_one_site_where_it_is_told(vera: Account) -> None:
    here, elsewhere = kept(vera, token(), "Here"), kept(vera, token().but(**OTHER), "Elsewhere")
    retire(actor=by(vera), key_id=kept(vera, token(), "Lost").pk, reason="lost")
    assert set(usable(vera)) == {here, elsewhere}
    assert list(usable(vera, f"{ORIGIN}:8000")) == [here]
    assert list(usable(vera, OTHER["origin"])) == [elsewhere]


def test_a_key_is_retired_once_with_a_reason_by_its_holder_or_an_administrator(vera: Account) -> None:
    otto = Account.objects.get(username="otto")
    key, other = kept(vera, token(), "Key"), kept(vera, token(), "Other")
    unknown = (404, "not_found", "There is no such key.", "", {})
    assert refusal(lambda: retire(actor=by(otto), key_id=key.pk, reason="mine")) == unknown
    assert refusal(lambda: retire(actor=by(vera), key_id="0" * 64, reason="lost")) == unknown
    empty = (422, "invalid", "Say why the key is retired.", "", {"reason": "is empty"})
    assert refusal(lambda: retire(actor=by(vera), key_id=key.pk, reason=" ")) == empty
    found = retire(actor=by(vera), key_id=key.pk, reason=" lost ")
    assert (found.pk, found.retired_because) == (key.pk, "lost")
    assert found.retired_at is not None
    again = (409, "already_retired", "The key was retired before.", "", {})
    assert refusal(lambda: retire(actor=by(vera), key_id=key.pk, reason="lost")) == again
    event = AuditEvent.objects.get(action="personal_key.retired")
    assert (event.chain, event.subject) == (f"account:{vera.pk}", f"personalkey:{key.pk}")
    body = json.loads(event.body)
    assert (body["data"], body["reason"]) == ({"key": key.pk}, "lost")
    assert set(PersonalKey.objects.filter(retired_at=None)) == {other, PersonalKey.objects.get(account=otto)}
    ada = Account.objects.create(username="ada", is_staff=True)
    assert retire(actor=by(ada), key_id=other.pk, reason="left").retired_because == "left"
    assert AuditEvent.objects.filter(action="personal_key.retired", chain=f"account:{vera.pk}", actor=ada).exists()


def signed(own: Token, meant: bytes = MEANT) -> dict[str, str]:
    """Return what a token answers to what was meant."""
    return own.signed({"challenge": base64url(meant)})


@pytest.mark.parametrize(
    ("was", "counts", "holds"),
    [(0, 0, True), (0, 3, True), (3, 4, True), (3, 3, False), (3, 2, False), (3, 0, False)],
)
def test_a_key_that_counts_counts_on(was: int, counts: int, holds: bool, vera: Account) -> None:
    own, other = token(), kept(vera, token(), "Other")
    key = kept(vera, own.but(counter=was), "Key")
    answer = signed(own.but(counter=counts))
    if holds:
        found = use(vera, answer, ORIGIN, MEANT)
        assert (found.key, found.counter) == (key.pk, counts)
    else:
        words = r"^the key counts backwards, so somebody may have copied it: retire it$"
        with pytest.raises(AssertionBroken, match=words):
            use(vera, answer, ORIGIN, MEANT)
    key.refresh_from_db()
    other.refresh_from_db()
    assert (key.counter, other.counter) == (counts if holds else was, 0)


def test_a_key_signs_for_its_holder_on_its_site_what_was_meant(vera: Account) -> None:
    own, otto = token("eddsa"), Account.objects.get(username="otto")
    key = kept(vera, own)
    assert use(vera, signed(own), ORIGIN, MEANT).key == key.pk
    none = r"^it is no key of yours that is in use here$"
    for who, answer, origin in (
        (otto, signed(own), ORIGIN),
        (vera, signed(own), OTHER["origin"]),
        (vera, {}, ORIGIN),
        (vera, signed(token()), ORIGIN),
    ):
        with pytest.raises(AssertionBroken, match=none):
            use(who, answer, origin, MEANT)
    with pytest.raises(AssertionBroken, match="signed something else"):
        use(vera, signed(own, bytes(32)), ORIGIN, MEANT)
    with pytest.raises(AssertionBroken, match="another site"):
        use(vera, signed(own.but(site="evil.example")), ORIGIN, MEANT)
    retire(actor=by(vera), key_id=key.pk, reason="lost")
    with pytest.raises(AssertionBroken, match=none):
        use(vera, signed(own), ORIGIN, MEANT)


def one_behind_the_other(first: Callable[[], object], second: Callable[[], object]) -> None:
    """Do one thing, and begin with the other before it has ended; then end it."""
    done, further = threading.Event(), threading.Event()

    def run() -> None:
        with one_transaction():
            first()
            done.set()
            further.wait(20)
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    done.wait(20)
    threading.Timer(0.3, further.set).start()
    try:
        second()
    finally:
        further.set()
        thread.join()


def test_at_the_same_time_a_name_is_given_once_and_a_key_retired_and_used_once(
    transactional_db: None, vera: Account
) -> None:
    one_behind_the_other(
        lambda: kept(vera, token(), "Phone"),
        lambda: refusal(lambda: kept(vera, token(), "Phone")),
    )
    [key] = usable(vera)
    one_behind_the_other(
        lambda: retire(actor=by(vera), key_id=key.pk, reason="lost"),
        lambda: refusal(lambda: retire(actor=by(vera), key_id=key.pk, reason="lost")),
    )
    assert AuditEvent.objects.filter(action="personal_key.retired").count() == 1
    own = token()
    kept(vera, own, "Copied")

    def again() -> None:
        with one_transaction(), pytest.raises(AssertionBroken, match="counts backwards"):
            use(vera, signed(own.but(counter=1)), ORIGIN, MEANT)

    one_behind_the_other(lambda: use(vera, signed(own.but(counter=1)), ORIGIN, MEANT), again)
