"""Envelopes in the form of DSSE 1.0: a payload, what kind of thing it is, and Ed25519 signatures over both.

https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md. The kind is signed with the payload, so a signature
under one kind of thing never passes for one under another.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


class EnvelopeBroken(Exception):
    """An envelope that cannot be read, or whose signature does not hold."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What an envelope held, and the key whose signature was proven."""

    payload: bytes
    key_id: str


def key_id_of(public_key: bytes) -> str:
    """Return a key's name: the SHA-256 of its 32 raw bytes, 64 hex digits."""
    return sha256(public_key).hexdigest()


def signed_bytes(kind: str, payload: bytes) -> bytes:
    """Return the bytes that are signed, which DSSE calls pre-authentication encoding."""
    return b"DSSEv1 %d %b %d %b" % (len(kind.encode()), kind.encode(), len(payload), payload)


def seal(kind: str, payload: bytes, key: Ed25519PrivateKey) -> str:
    """Return the envelope of a payload, signed with a key, as canonical JSON."""
    signature = key.sign(signed_bytes(kind, payload))
    name = key_id_of(key.public_key().public_bytes_raw())
    content: dict[str, Any] = {
        "payload": b64encode(payload).decode(),
        "payloadType": kind,
        "signatures": [{"keyid": name, "sig": b64encode(signature).decode()}],
    }
    return rfc8785.dumps(content).decode()


def open_envelope(text: str, kind: str, keys: Mapping[str, bytes]) -> Opened:
    """Return what an envelope of a kind holds, once a signature by one of the keys is proven.

    `keys` are the raw public keys under their names. Raises EnvelopeBroken for another kind, for a key that is not
    among them, for a key that is not called by its own hash, and for a signature that does not hold.
    """
    try:
        told: Any = orjson.loads(text)
        payload = b64decode(told["payload"], validate=True)
        signatures = [(str(one["keyid"]), b64decode(one["sig"], validate=True)) for one in told["signatures"]]
        named = told["payloadType"]
    except (ValueError, KeyError, TypeError) as error:
        raise EnvelopeBroken("it is no envelope that can be read") from error
    if named != kind:
        raise EnvelopeBroken(f"it is signed as {named}, not as {kind}")
    for name, signature in signatures:
        public = keys.get(name)
        if public is not None and key_id_of(public) == name:
            _prove(public, signature, signed_bytes(kind, payload))
            return Opened(payload, name)
    raise EnvelopeBroken("no known key has signed it")


def _prove(public: bytes, signature: bytes, content: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, content)
    except (InvalidSignature, ValueError) as error:
        raise EnvelopeBroken("its signature does not hold") from error
