"""A security token in software, by the letter of WebAuthn, for want of one. Chromium's is in tests/browser."""

import json
from dataclasses import dataclass, field, replace
from hashlib import sha256
from secrets import token_bytes
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor
from fido2.cose import ES256, RS256, EdDSA

from audit import personal_keys
from audit.actors import Person
from audit.assertions import base64url
from audit.models import Account, PersonalKey

ORIGIN, SITE = "http://testserver", "testserver"
MADE: dict[str, Any] = {
    "es256": (lambda: ec.generate_private_key(ec.SECP256R1()), ES256),
    "eddsa": (ed25519.Ed25519PrivateKey.generate, EdDSA),
    "rs256": (lambda: rsa.generate_private_key(65537, 2048), RS256),
}


@dataclass(frozen=True)
class Token:
    """One token with one key. `flags` 5: its holder is present, and verified."""

    kind: str = "es256"
    private: Any = None
    credential: bytes = field(default_factory=lambda: token_bytes(32))
    origin: str = ORIGIN
    site: str = SITE
    flags: int = 5
    counter: int = 0

    def but(self, **more: Any) -> "Token":
        """Return it otherwise."""
        return replace(self, **more)

    def data(self, extra: bytes = b"", flags: int = 0) -> bytes:
        """Return what it says of itself."""
        head = sha256(self.site.encode()).digest() + bytes([self.flags | flags])
        return head + self.counter.to_bytes(4, "big") + extra

    def client(self, kind: str, challenge: str) -> bytes:
        """Return what the browser says."""
        return json.dumps({"type": f"webauthn.{kind}", "challenge": challenge, "origin": self.origin}).encode()

    def made(self, options: dict[str, Any]) -> dict[str, str]:
        """Return the answer to a question for a new key."""
        cose = MADE[self.kind][1].from_cryptography_key(self.private.public_key())
        extra = bytes(16) + len(self.credential).to_bytes(2, "big") + self.credential + cbor.encode(dict(cose))
        attestation = {"fmt": "none", "attStmt": {}, "authData": self.data(extra, 0x40)}
        client = self.client("create", options["challenge"])
        return {"client_data": base64url(client), "attestation": base64url(cbor.encode(attestation))}

    def signed(self, options: dict[str, Any]) -> dict[str, str]:
        """Return the answer to a question to sign."""
        client, data = self.client("get", options["challenge"]), self.data()
        return {
            "credential": base64url(self.credential),
            "authenticator_data": base64url(data),
            "client_data": base64url(client),
            "signature": base64url(self._sign(data + sha256(client).digest())),
        }

    def _sign(self, message: bytes) -> bytes:
        if self.kind == "es256":
            return bytes(self.private.sign(message, ec.ECDSA(SHA256())))
        if self.kind == "rs256":
            return bytes(self.private.sign(message, padding.PKCS1v15(), SHA256()))
        return bytes(self.private.sign(message))


def token(kind: str = "es256") -> Token:
    """Return a new token."""
    return Token(kind, MADE[kind][0]())


def registered(
    who: Account,
    kind: str = "es256",
    name: str = "Token",
) -> tuple[Token, PersonalKey]:
    """Return a token of somebody, and its record."""
    one = token(kind)
    question = personal_keys.ask_for_new(who, ORIGIN)
    key = personal_keys.register(
        actor=Person(who, "test"), name=name, origin=ORIGIN, token=question.token, answer=one.made(question.options)
    )
    return one, key
