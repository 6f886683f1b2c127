"""What a personal key signed, and whether that holds: a WebAuthn assertion, proven with nothing but its public key.

https://www.w3.org/TR/webauthn-3/#sctn-verifying-assertion, steps 11 to 21. The challenge is no random number here: it
is the hash of what the person meant to do, so the key's own signature covers that.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self
from urllib.parse import urlsplit

import rfc8785
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

PRESENT, VERIFIED = 0x01, 0x04  # flags of the authenticator: somebody was there, and proved who they are
COUNTER = slice(33, 37)
LONGEST = 4096


class AssertionBroken(Exception):
    """It does not hold; the message says what."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """What an authenticator answered: which key (by the SHA-256 of its DER form), two signed parts, the signature."""

    key: str
    authenticator_data: bytes
    client_data: bytes
    signature: bytes

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """Return what was told as text, the bytes as base64url without padding. Raises AssertionBroken."""
        try:
            parts = [_bytes(told[name]) for name in ("authenticator_data", "client_data", "signature")]
            return cls(str(told["key"]), *parts)
        except (KeyError, TypeError, ValueError, NotBase64):
            raise AssertionBroken("it is not of the form that an authenticator answers") from None

    def told(self) -> dict[str, str]:
        """Return it as text."""
        return {
            "key": self.key,
            "authenticator_data": base64url(self.authenticator_data),
            "client_data": base64url(self.client_data),
            "signature": base64url(self.signature),
        }

    @property
    def counter(self) -> int:
        """Return how often the key has signed, as it says; always 0 for keys that do not count."""
        return int.from_bytes(self.authenticator_data[COUNTER], "big")


def base64url(raw: bytes) -> str:
    """Return bytes as base64url without padding (RFC 4648, section 5)."""
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: Any) -> bytes:
    if len(text) > LONGEST:
        raise ValueError
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64url(raw) != text:  # one way to write it, so that a statement can be compared
        raise ValueError
    return raw


def challenge_of(intent: Mapping[str, Any]) -> bytes:
    """Return the 32 bytes that a key has to sign for an intent: the SHA-256 of its canonical JSON (RFC 8785)."""
    return sha256(rfc8785.dumps(dict(intent))).digest()


def prove(assertion: Assertion, *, public_key: bytes, site: str, challenge: bytes) -> None:
    """Let an assertion pass that a key made for a challenge on a site, its holder present and verified.

    `public_key` is the key's SubjectPublicKeyInfo as DER, `site` the host name that it was made for. Raises
    AssertionBroken.
    """
    _prove_client(assertion.client_data, site, challenge)
    data = assertion.authenticator_data
    if len(data) < COUNTER.stop or data[:32] != sha256(site.encode()).digest():
        raise AssertionBroken("the key was asked by another site")
    if not data[32] & PRESENT or not data[32] & VERIFIED:
        raise AssertionBroken("the key did not verify who used it, by PIN or by finger")
    _prove_signature(public_key, assertion.signature, data + sha256(assertion.client_data).digest())


def _prove_client(client_data: bytes, site: str, challenge: bytes) -> None:
    try:
        told = json.loads(client_data)
        kind, asked, host = told["type"], told["challenge"], urlsplit(told["origin"]).hostname or ""
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise AssertionBroken("what the browser says of it cannot be read") from None
    if kind != "webauthn.get":
        raise AssertionBroken("it was made for another purpose")
    if asked != base64url(challenge):
        raise AssertionBroken("the key signed something else")
    if host != site and not host.endswith(f".{site}"):
        raise AssertionBroken("the browser was on another site")


def _prove_signature(public_key: bytes, signature: bytes, signed: bytes) -> None:
    try:
        key = load_der_public_key(public_key)
        if isinstance(key, EllipticCurvePublicKey):
            key.verify(signature, signed, ECDSA(SHA256()))
        elif isinstance(key, Ed25519PublicKey):
            key.verify(signature, signed)
        elif isinstance(key, RSAPublicKey):
            key.verify(signature, signed, PKCS1v15(), SHA256())
        else:
            raise AssertionBroken("the key is of an unknown kind")
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        raise AssertionBroken("its signature does not hold") from None
