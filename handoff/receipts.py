"""Receipts for files that somebody sent: with one, that person may offer the file as evidence, and nobody else."""

from typing import NamedTuple

from django.core import signing

from audit.actors import Person, ServiceAccount

SALT = "evidence"
GOOD_FOR_S = 24 * 3600


class Received(NamedTuple):
    """A file that was sent: the SHA-256 it is kept under, and the name it came with."""

    sha256: str
    name: str


def receipt(actor: Person | ServiceAccount, sha256: str, name: str) -> str:
    """Return the receipt of a file that an actor has just sent."""
    return signing.dumps([sha256, name[:200], actor.user_id], salt=SALT)


def received(actor: Person | ServiceAccount, given: str) -> Received | None:
    """Return the file that an actor has a receipt for; None, if it is no receipt of theirs or older than a day."""
    try:
        sha256, name, person = signing.loads(given, salt=SALT, max_age=GOOD_FOR_S)
    except (signing.BadSignature, ValueError):
        return None
    return Received(sha256, name) if person == actor.user_id else None
