"""What a personal key signed: how it is written down, and what each part of it has to say to prove anything."""

import json
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from audit.assertions import Assertion, AssertionBroken, base64url, challenge_of, prove
from tests.handoff.authenticator import MADE, SITE, Token, token

OWN = {kind: token(kind) for kind in MADE}
CHALLENGE = sha256(b"what was meant").digest()
UNFORMED = "it is not of the form that an authenticator answers"
ELSEWHERE, UNVERIFIED = "the key was asked by another site", "the key did not verify who used it, by PIN or by finger"
UNREADABLE, WRONG = "what the browser says of it cannot be read", "its signature does not hold"


def public(own: Token) -> bytes:
    """Return the public half of a token's key."""
    return bytes(own.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def signed(own: Token, client: bytes | None = None, data: bytes | None = None) -> Assertion:
    """Return what a token signs, whatever the browser and the token say."""
    client = client or own.client("get", base64url(CHALLENGE))
    data = own.data() if data is None else data
    return Assertion("the-key", data, client, own._sign(data + sha256(client).digest()))


def proven(assertion: Assertion, own: Token, challenge: bytes = CHALLENGE) -> str:
    """Return why an assertion does not hold for a token's key, or nothing where it does."""
    try:
        prove(assertion, public_key=public(own), site=SITE, challenge=challenge)
    except AssertionBroken as error:
        return str(error)
    return ""


@pytest.mark.parametrize("length", range(70))
def test_what_was_signed_is_written_down_in_one_way(length: int) -> None:
    told = {"key": "k"} | {
        name: base64url(bytes(range(length)))
        for name in ("authenticator_data", "client_data", "signature")
    }  # fmt: skip
    found = Assertion.of(told)
    assert (found.authenticator_data, found.client_data, found.signature) == (bytes(range(length)),) * 3
    assert found.told() == told
    assert "=" not in found.told()["signature"]


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("authenticator_data", "AB"),  # whose last bits are not all zero
        ("client_data", "AA=="),
        ("signature", "A!A"),
        ("signature", "A"),
        ("client_data", 7),
        ("client_data", b"AA"),
        ("client_data", None),
        ("authenticator_data", "A" * 4100),
    ],
)
def test_what_is_written_in_another_way_is_not_read(part: str, value: Any) -> None:
    told: dict[str, Any] = {"key": "k", "authenticator_data": "AA", "client_data": "AA", "signature": "AA"}
    assert Assertion.of(told).told() == told
    with pytest.raises(AssertionBroken, match=f"^{UNFORMED}$"):
        Assertion.of(told | {part: value})
    for name in told:
        with pytest.raises(AssertionBroken, match=f"^{UNFORMED}$"):
            Assertion.of({one: text for one, text in told.items() if one != name})


def test_a_part_is_as_long_as_is_read_and_no_longer() -> None:
    told = {"key": "k", "authenticator_data": "AA", "client_data": "A" * 4096, "signature": "AA"}
    assert Assertion.of(told).client_data == bytes(3072)


def test_a_counter_is_the_four_bytes_behind_the_flags() -> None:
    assert signed(OWN["es256"].but(counter=0x01020304)).counter == 0x01020304
    assert signed(OWN["es256"].but(flags=0xFF), data=OWN["es256"].data() + b"\xff").counter == 0


def test_what_is_meant_is_signed_by_the_hash_of_its_canonical_form() -> None:
    assert challenge_of({"b": "ü", "a": [1]}) == sha256('{"a":[1],"b":"ü"}'.encode()).digest()


@pytest.mark.parametrize("kind", MADE)
def test_a_key_of_each_kind_proves_what_it_signed_and_nothing_else(kind: str) -> None:
    own = OWN[kind]
    assert proven(signed(own), own) == ""
    assert proven(signed(own), own, sha256(b"something else").digest()) == "the key signed something else"
    forged = Assertion("the-key", own.data(), signed(own).client_data, own._sign(b"something else"))
    assert proven(forged, own) == WRONG
    assert proven(signed(own), own.but(private=token(kind).private)) == WRONG
    assert proven(Assertion("the-key", own.data(), signed(own).client_data, b""), own) == WRONG


@pytest.mark.parametrize("origin", ["http://testserver", "https://testserver:8443", "https://sub.testserver"])
def test_the_site_and_what_lies_below_it_is_the_key_s(origin: str) -> None:
    assert proven(signed(OWN["eddsa"].but(origin=origin)), OWN["eddsa"]) == ""


@pytest.mark.parametrize("origin", ["https://xtestserver", "https://testserver.evil.example", "null", ""])
def test_a_browser_on_another_site_proves_nothing(origin: str) -> None:
    assert proven(signed(OWN["eddsa"].but(origin=origin)), OWN["eddsa"]) == "the browser was on another site"


@pytest.mark.parametrize(
    "client",
    [
        b"x", b"\xff", b"[]", b"7", b"[" * 100_000,
        b'{"type":"webauthn.get","challenge":"x"}',
        b'{"type":"webauthn.get","origin":"http://testserver"}',
        b'{"challenge":"x","origin":"http://testserver"}',
        b'{"type":"webauthn.get","challenge":"x","origin":7}',
    ],
)  # fmt: skip
def test_a_browser_that_says_nothing_that_can_be_read_proves_nothing(client: bytes) -> None:
    assert proven(signed(OWN["eddsa"], client), OWN["eddsa"]) == UNREADABLE


def test_a_key_that_was_asked_for_another_purpose_proves_nothing() -> None:
    client = OWN["eddsa"].client("create", base64url(CHALLENGE))
    assert proven(signed(OWN["eddsa"], client), OWN["eddsa"]) == "it was made for another purpose"
    assert json.loads(client)["type"] == "webauthn.create"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (OWN["eddsa"].data(), ""),
        (OWN["eddsa"].data() + b"more", ""),
        (OWN["eddsa"].but(flags=0xFF).data(), ""),
        (OWN["eddsa"].data()[:36], ELSEWHERE),
        (b"", ELSEWHERE),
        (OWN["eddsa"].but(site="evil.example").data(), ELSEWHERE),
        (OWN["eddsa"].but(flags=1).data(), UNVERIFIED),
        (OWN["eddsa"].but(flags=4).data(), UNVERIFIED),
        (OWN["eddsa"].but(flags=0xFA).data(), UNVERIFIED),
        (OWN["eddsa"].but(flags=0, counter=5 << 24).data(), UNVERIFIED),
    ],
)
def test_a_key_says_by_which_site_it_was_asked_and_that_its_holder_was_there(data: bytes, why: str) -> None:
    assert proven(signed(OWN["eddsa"], data=data), OWN["eddsa"]) == why


def test_a_key_that_signs_nothing_or_that_is_none_proves_nothing() -> None:
    other = X25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    unknown = bytes.fromhex("300b300506032a030403020001")  # a key of an algorithm 1.2.3.4
    for raw, why in ((other, "the key is of an unknown kind"), (b"x", WRONG), (unknown, WRONG)):
        with pytest.raises(AssertionBroken, match=f"^{why}$"):
            prove(signed(OWN["eddsa"]), public_key=raw, site=SITE, challenge=CHALLENGE)
