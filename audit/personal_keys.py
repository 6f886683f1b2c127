"""Personal keys: register one, retire it, and ask it to sign. The private half never leaves the person's device.

Registration follows https://www.w3.org/TR/webauthn-3/#sctn-registering-a-new-credential. The make of the device is not
asked for (attestation "none"): that a key is somebody's is shown by who was signed in and confirmed it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_bytes
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core import signing
from django.db.models import QuerySet
from django.db.models.functions import Now
from fido2.cose import CoseKey
from fido2.server import Fido2Server
from fido2.webauthn import (
    AuthenticatorData,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialParameters,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from audit.actors import Person
from audit.acts import act
from audit.assertions import Assertion, AssertionBroken, base64url, prove
from audit.errors import Forbidden, Hidden, Invalid, WrongState
from audit.models import Account, PersonalKey
from audit.trail import record

ES256, EDDSA, RS256 = -7, -8, -257  # https://www.iana.org/assignments/cose
MOST = 20
GOOD_FOR = 300  # seconds from the question to the answer
SALT = "audit.personal_keys"


@dataclass(frozen=True, slots=True)
class Question:
    """What is put to an authenticator: the options for the browser, and what must come back with the answer."""

    options: dict[str, Any]
    token: str


def usable(user: Account, origin: str = "") -> QuerySet[PersonalKey]:
    """Return the keys that a person may sign with, on the site with this origin where one is told."""
    keys = PersonalKey.objects.filter(account=user, retired_at=None)
    return keys.filter(site=_host(origin)) if origin else keys


def ask_for_new(user: Account, origin: str) -> Question:
    """Return what a browser asks an authenticator for a new key. Raises Invalid where the site has no name."""
    server = _server(origin)
    known = PersonalKey.objects.filter(account=user).values_list("credential", flat=True)
    challenge = token_bytes(32)
    options, _ = server.register_begin(
        PublicKeyCredentialUserEntity(
            id=sha256(b"account %d" % user.pk).digest(), name=user.username, display_name=user.printed_name
        ),
        credentials=[_descriptor(bytes(one)) for one in known],
        resident_key_requirement=ResidentKeyRequirement.DISCOURAGED,
        user_verification=UserVerificationRequirement.REQUIRED,
        challenge=challenge,
    )
    told = {"account": user.pk, "challenge": base64url(challenge)}
    return Question(dict(options)["publicKey"], signing.dumps(told, salt=SALT))


@act
def register(*, actor: Person, name: str, origin: str, token: str, answer: Mapping[str, str]) -> PersonalKey:
    """Keep the public half of a key that an authenticator has just made for a person.

    `answer` holds `client_data` and `attestation`, base64url. Raises Forbidden, Invalid or WrongState.
    """
    if not actor.user.is_person:
        raise Forbidden("Only a natural person has personal keys.", code="person_required")
    name = name.strip()
    if not 0 < len(name) <= 60:
        raise Invalid("Give the key a name by which you know it.", fields={"name": "must be 1 to 60 characters"})
    Account.objects.select_for_update(of=("self",)).get(pk=actor.user_id)
    keys = PersonalKey.objects.filter(account=actor.user, retired_at=None)
    if keys.filter(name=name).exists():
        raise Invalid("You have a key of that name.", fields={"name": "is taken"})
    if keys.count() >= MOST:
        raise WrongState(f"You have {MOST} keys.", code="too_many_keys", todo="Retire one that you use no more.")
    data = _registered(actor.user, origin, token, answer)
    credential = data.credential_data
    if credential is None:
        raise _unreadable()
    public_key = _der(credential.public_key)
    key_id = sha256(public_key).hexdigest()
    if PersonalKey.objects.filter(pk=key_id).exists():
        raise WrongState("That key is registered already.", code="key_known")
    key = PersonalKey.objects.create(
        pk=key_id,
        account=actor.user,
        name=name,
        site=_host(origin),
        credential=credential.credential_id,
        public_key=public_key,
        counter=data.counter,
    )
    told = {"key": key_id, "account": actor.user_id, "site": key.site, "public_key": public_key.hex()}
    record("personal_key.registered", actor=actor, on=key, chain=f"account:{actor.user_id}", data=told)
    return key


@act
def retire(*, actor: Person, key_id: str, reason: str) -> PersonalKey:
    """Let a key confirm nothing any more; what it signed stays provable. Its holder may, and an administrator.

    Raises Hidden, Invalid or WrongState.
    """
    mine = PersonalKey.objects.all() if actor.user.is_staff else PersonalKey.objects.filter(account=actor.user)
    key = mine.select_for_update().filter(pk=key_id).first()
    if key is None:
        raise Hidden("There is no such key.")
    if not reason.strip():
        raise Invalid("Say why the key is retired.", fields={"reason": "is empty"})
    if key.retired_at is not None:
        raise WrongState("The key was retired before.", code="already_retired")
    PersonalKey.objects.filter(pk=key.pk).update(retired_at=Now(), retired_because=reason.strip())
    chain = f"account:{key.account_id}"
    record("personal_key.retired", actor=actor, on=key, chain=chain, data={"key": key.pk}, reason=reason.strip())
    key.refresh_from_db()
    return key


def ask_to_sign(keys: Iterable[PersonalKey], origin: str, challenge: bytes) -> dict[str, Any]:
    """Return the options by which a browser asks one of some keys to sign a challenge. Raises Invalid."""
    options, _ = _server(origin).authenticate_begin(
        [_descriptor(bytes(key.credential)) for key in keys], UserVerificationRequirement.REQUIRED, challenge
    )
    found: dict[str, Any] = dict(options)["publicKey"]
    return found


def use(user: Account, answer: Mapping[str, Any], origin: str, challenge: bytes) -> Assertion:
    """Return what a key of a person signed, once it is proven, and count it; call it inside an act.

    `answer` names the key by its `credential`, and holds `authenticator_data`, `client_data` and `signature`, all as
    base64url. Raises AssertionBroken, also for a key that counts backwards, which has been copied.
    """
    keys = {base64url(bytes(key.credential)): key for key in usable(user, origin).select_for_update()}
    key = keys.get(str(answer.get("credential", "")))
    if key is None:
        raise AssertionBroken("it is no key of yours that is in use here")
    assertion = Assertion.of({**answer, "key": key.pk})
    prove(assertion, public_key=bytes(key.public_key), site=key.site, challenge=challenge)
    if key.counter and assertion.counter <= key.counter:
        raise AssertionBroken("the key counts backwards, so somebody may have copied it: retire it")
    PersonalKey.objects.filter(pk=key.pk).update(counter=assertion.counter)
    return assertion


def _registered(user: Account, origin: str, token: str, answer: Mapping[str, str]) -> AuthenticatorData:
    try:
        told = signing.loads(token, salt=SALT, max_age=GOOD_FOR)
    except signing.BadSignature:
        told = {}
    if told.get("account") != user.pk:
        raise Invalid("The key came too late.", code="key_too_late", todo="Try again; you have five minutes.")
    state = {"challenge": told["challenge"], "user_verification": UserVerificationRequirement.REQUIRED}
    response = {
        "rawId": "",
        "type": "public-key",
        "response": {
            "clientDataJSON": answer.get("client_data", ""),
            "attestationObject": answer.get("attestation", ""),
        },
    }
    try:
        return _server(origin).register_complete(state, response)
    except Invalid:
        raise
    except Exception:  # whatever a parser raises at what a browser sends
        raise _unreadable() from None


def _unreadable() -> Invalid:
    return Invalid(
        "The key did not answer as it should, so it was not registered.",
        code="key_unreadable",
        todo="Try again, on the site itself, and let the key ask for your PIN or finger.",
    )


def _server(origin: str) -> Fido2Server:
    host = _host(origin)
    server = Fido2Server(
        PublicKeyCredentialRpEntity(name="MDLC Handoff", id=host), verify_origin=lambda told: told == origin
    )
    server.allowed_algorithms = [
        PublicKeyCredentialParameters(type=PublicKeyCredentialType.PUBLIC_KEY, alg=alg) for alg in (ES256, EDDSA, RS256)
    ]
    return server


def _host(origin: str) -> str:
    """Return the name of the site. Raises Invalid for one that browsers know only by a number."""
    host = urlsplit(origin).hostname or ""
    if not host or ":" in host or host.replace(".", "").isdigit():
        raise Invalid(
            "Personal keys need a site with a name.",
            code="site_without_a_name",
            todo="Open this site by its name, over https (or as localhost), not by a number.",
        )
    return host


def _descriptor(credential: bytes) -> PublicKeyCredentialDescriptor:
    return PublicKeyCredentialDescriptor(type=PublicKeyCredentialType.PUBLIC_KEY, id=credential)


def _der(key: CoseKey) -> bytes:
    """Return a COSE key (RFC 9053) as SubjectPublicKeyInfo. Raises Invalid for one of another kind."""
    try:
        return _public(key).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (KeyError, ValueError, TypeError):
        raise _unreadable() from None


def _public(key: CoseKey) -> Any:
    if key[3] == ES256:
        x, y = int.from_bytes(key[-2], "big"), int.from_bytes(key[-3], "big")
        return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
    if key[3] == EDDSA:
        return Ed25519PublicKey.from_public_bytes(key[-2])
    if key[3] == RS256:
        return RSAPublicNumbers(int.from_bytes(key[-2], "big"), int.from_bytes(key[-1], "big")).public_key()
    raise ValueError
