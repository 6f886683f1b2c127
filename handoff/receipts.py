"""What people attach: files by the receipt of whoever sent them, and links that are links."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from django.conf import settings
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator

from audit.actors import Person, ServiceAccount
from handoff.errors import Invalid
from models_registry.errors import TooLarge
from models_registry.models import Blob
from models_registry.store import keep

SALT = "evidence"
FIRST_BYTES = {
    "pdf": b"%PDF",
    "png": b"\x89PNG",
    "jpg": b"\xff\xd8",
    "jpeg": b"\xff\xd8",
    "parquet": b"PAR1",
    **dict.fromkeys(("zip", "docx", "xlsx", "pptx", "odt", "ods"), b"PK"),
}
GOOD_FOR_S = 24 * 3600


class Received(NamedTuple):
    """A file that was sent: the SHA-256 it is kept under, and the name it came with."""

    sha256: str
    name: str


def take(actor: Person | ServiceAccount, name: str, chunks: Iterable[bytes]) -> tuple[Blob, str]:
    """Store a file that may back an answer, and return it with its receipt.

    Raises Invalid for a type that is not let in, or bytes of another type than the name says, and TooLarge over the
    limit of evidence; then nothing is kept.
    """
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    if ending not in settings.EVIDENCE_TYPES:
        raise Invalid(
            f"A file of the type {ending or 'unknown'} is no evidence here.",
            code="file_type_refused",
            todo="Send it as one of " + ", ".join(settings.EVIDENCE_TYPES) + ".",
            fields={"file": "is of no type that is let in"},
        )
    blob = keep(_checked(chunks, ending))
    return blob, receipt(actor, blob.pk, name)


def _checked(chunks: Iterable[bytes], ending: str) -> Iterator[bytes]:
    size, first = 0, True
    for chunk in chunks:
        if first and not chunk.startswith(FIRST_BYTES.get(ending, b"")):
            raise Invalid(
                f"The file is named .{ending}, and is not that.",
                code="file_type_refused",
                fields={"file": "is of another type than its name says"},
            )
        size, first = size + len(chunk), False
        if size > settings.EVIDENCE_LIMIT:
            raise TooLarge(
                f"Evidence has at most {settings.EVIDENCE_LIMIT} bytes; nothing was kept.",
                todo="Send a part of it, or link to where it lies.",
            )
        yield chunk


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


def must_have_sent(actor: Person | ServiceAccount, given: str, place: str) -> Received:
    """Return the file that an actor has a receipt for: knowing a digest gives nobody the bytes. Raises Invalid."""
    file = received(actor, given)
    if file is None:
        raise Invalid(
            "You did not send that file; send it, and give the receipt that comes back.",
            fields={place: "is not a receipt of yours, or is older than a day"},
        )
    return file


def must_be_link(given: str, place: str) -> str:
    """Return a link as it was given. Raises Invalid for what a browser could not follow safely."""
    try:
        URLValidator(schemes=["http", "https"])(given)
    except ValidationError as error:
        raise Invalid("A link starts with http or https.", fields={place: "is not a link"}) from error
    return given
