"""The site's own signature: an Ed25519 key whose private part comes from the environment, and its public part a record.

`MDLC_SIGNING_KEY` is 64 hexadecimal digits (the seed), or the path of a file with them or with a PEM key, as made by
`openssl genpkey -algorithm ed25519`. Where it is empty the key is derived from SECRET_KEY, so nothing has to be set up.
A key is registered when it first signs; another one in the environment is a rotation, and the old one stays on record.
"""

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models.functions import Now
from django.utils import timezone

from audit.actors import Actor, Worker
from audit.acts import act
from audit.envelopes import Opened, key_id_of, open_envelope, seal, signed_bytes
from audit.errors import Hidden, Invalid, Refused, WrongState
from audit.models import SigningKey
from audit.trail import record

CHAIN = "site"
PURPOSE = b"mdlc signing key 1"


class KeyRetired(Refused):
    """The key in the environment was retired, so nothing may be signed with it."""

    status = 503
    code = "signing_key_retired"


class KeyMissing(Refused):
    """No key was set for this process, so it signs nothing for a person."""

    status = 503
    code = "signing_key_missing"


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key that was set for this process."""

    id: str
    private: Ed25519PrivateKey

    def sign(self, kind: str, payload: bytes) -> str:
        """Return the bare signature of a payload of a kind, in base64."""
        return b64encode(self.private.sign(signed_bytes(kind, payload))).decode()


def own_key() -> OwnKey:
    """Return the key that was set for this process. Raises KeyMissing where none was.

    What follows from SECRET_KEY is held by every process, those that run models among them, and says for nobody that
    they signed.
    """
    try:
        if not settings.SIGNING_KEY:
            raise ImproperlyConfigured("MDLC_SIGNING_KEY is empty.")
        key = private_key(settings.SIGNING_KEY, settings.SECRET_KEY)
    except ImproperlyConfigured:
        raise KeyMissing(
            "The site has no signing key, so nobody can sign. Nothing was signed.",
            todo="Whoever runs the site sets MDLC_SIGNING_KEY for the web process; docs/operations.md says how.",
        ) from None
    return OwnKey(key_id_of(key.public_key().public_bytes_raw()), key)


def require_signing(key: OwnKey, signs: bool | None) -> None:
    """Let a key pass that is on record and not retired; None says that it is new, and it is registered then.

    Raises KeyRetired.
    """
    kept = _registered(key.private.public_key().public_bytes_raw()) if signs is None else None
    if signs is False or (kept is not None and kept.retired_at is not None):
        raise _retired()


def _retired() -> KeyRetired:
    return KeyRetired(
        "The site's signing key was retired, so nothing can be signed.",
        todo="Whoever runs the site sets MDLC_SIGNING_KEY to a new key.",
    )


def sign(kind: str, payload: bytes) -> tuple[str, SigningKey]:
    """Sign a payload of a kind, inside the caller's transaction; return the envelope and the key's record.

    Raises KeyRetired when the key in the environment was retired.
    """
    key = private_key(settings.SIGNING_KEY, settings.SECRET_KEY)
    kept = _registered(key.public_key().public_bytes_raw())
    if kept.retired_at is not None:
        raise _retired()
    return seal(kind, payload, key), kept


def open_signed(kind: str, envelope: str) -> Opened:
    """Return what an envelope of the site holds. Raises EnvelopeBroken when no key on record has signed it so."""
    return open_envelope(envelope, kind, public_keys())


def public_keys() -> dict[str, bytes]:
    """Return all public keys on record, retired ones too, under their names."""
    return {key_id: bytes(raw) for key_id, raw in SigningKey.objects.values_list("pk", "public_key")}


@act
def retire(*, actor: Actor, key_id: str, reason: str) -> SigningKey:
    """Let a key sign no more. What it signed before stays provable. Raises Hidden, Invalid or WrongState."""
    key = SigningKey.objects.select_for_update().filter(pk=key_id).first()
    if key is None:
        raise Hidden("There is no such signing key.")
    if not reason.strip():
        raise Invalid("Say why the key is retired.", fields={"reason": "is empty"})
    if key.retired_at is not None:
        raise WrongState("The key was retired before.", code="already_retired")
    SigningKey.objects.filter(pk=key.pk).update(retired_at=Now(), retired_because=reason.strip())
    record("key.retired", actor=actor, on=key, chain=CHAIN, data={"key": key.pk}, reason=reason.strip())
    key.refresh_from_db()
    return key


@act
def mark_compromised(*, actor: Actor, key_id: str, since: datetime, reason: str) -> SigningKey:
    """Say that somebody else may have had a key since an instant: what it signed from then on proves nothing.

    It is retired with that, if it was not. Raises Hidden, Invalid or WrongState.
    """
    key = SigningKey.objects.select_for_update().filter(pk=key_id).first()
    if key is None:
        raise Hidden("There is no such signing key.")
    if not reason.strip():
        raise Invalid("Say what happened.", fields={"reason": "is empty"})
    if key.compromised_since is not None:
        raise WrongState("The key is marked as compromised already.", code="already_compromised")
    now = timezone.now()
    if since > now:
        raise Invalid("Nobody knows what will be.", fields={"since": "is later than now"})
    because = reason.strip()
    change: dict[str, Any] = {"compromised_since": since, "compromised_because": because}
    if key.retired_at is None:
        change |= {"retired_at": now, "retired_because": because}
    SigningKey.objects.filter(pk=key.pk).update(**change)
    data = {"key": key.pk, "since": since.isoformat()}
    record("key.compromised", actor=actor, on=key, chain=CHAIN, data=data, reason=because)
    key.refresh_from_db()
    return key


@lru_cache(maxsize=4)
def private_key(told: str, secret: str) -> Ed25519PrivateKey:
    """Return the private key that a setting tells, or the one that follows from the secret.

    Raises ImproperlyConfigured, which never repeats the key.
    """
    if not told:
        derived = HKDF(SHA256(), 32, salt=None, info=PURPOSE).derive(secret.encode())
        return Ed25519PrivateKey.from_private_bytes(derived)
    try:
        return _read(told if _is_seed(told) else Path(told).read_text().strip())
    except (OSError, ValueError, TypeError) as error:
        raise ImproperlyConfigured(
            "MDLC_SIGNING_KEY must be 64 hexadecimal digits, or the path of a file with them or with an Ed25519 key as"
            f" PEM ({type(error).__name__})."
        ) from None


def _read(text: str) -> Ed25519PrivateKey:
    if _is_seed(text):
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(text))
    key = load_pem_private_key(text.encode(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError("not Ed25519")
    return key


def _is_seed(text: str) -> bool:
    return len(text) == 64 and all(character in "0123456789abcdefABCDEF" for character in text)


def _registered(public: bytes) -> SigningKey:
    """Return the record of a key, which is made, and told in the trail, the first time it signs."""
    kept, made = SigningKey.objects.get_or_create(pk=key_id_of(public), defaults={"public_key": public})
    if made:
        record("key.registered", actor=Worker("signing"), on=kept, chain=CHAIN, data={"key": kept.pk})
    return kept
