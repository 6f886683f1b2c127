"""Anchor the newest signed head outside: at webhooks, and by time stamps of authorities (RFC 3161).

A webhook keeps what it was sent where nobody here can change it. A time stamp proves to anybody, later, that the head
was there at that time, signed by somebody whom the site does not control. Both cover the bytes of the head's envelope.
"""

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any

import rfc3161_client
from cryptography import x509
from django.conf import settings
from django.db import IntegrityError, transaction

from audit.models import HeadAnchor, TreeHead
from audit.verification import Broken

WEBHOOK, TIME_STAMP = HeadAnchor.Kind.WEBHOOK, HeadAnchor.Kind.TIME_STAMP
SECONDS = 10.0
LARGEST_ANSWER = 64 * 1024
STAMP_TYPES = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}


class NotAnchored(Exception):
    """A place outside did not take the head, or what it answered proves nothing."""


@dataclass(slots=True)
class Anchored:
    """What came of anchoring: where the head is known now, and which places failed, with the reason."""

    size: int = 0
    places: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def anchor_outside() -> Anchored:
    """Tell the newest head to each place of the settings that does not have it yet.

    One place that fails does not keep the others from it; it is asked again with the head that is newest then.
    """
    head = TreeHead.objects.order_by("-size").first()
    if head is None:
        return Anchored()
    found = Anchored(head.size)
    there = set(head.anchors.values_list("kind", "place"))
    for kind, place, ask in _places():
        if (kind, place) not in there:
            try:
                _keep(head, kind, place, *ask(place, head.envelope.encode()))
            except NotAnchored as error:
                found.failed[place] = str(error)
                continue
        found.places.append(place)
    return found


def verify_anchors() -> tuple[int, list[Broken]]:
    """Prove the kept time stamps against their heads and the certificates of the settings.

    Returns how many there are, and what does not hold. A stamp without certificates to prove it by does not.
    """
    stamps = HeadAnchor.objects.filter(kind=TIME_STAMP).select_related("head").order_by("pk")
    count, broken = 0, []
    for anchor in stamps.iterator(500):
        count += 1
        try:
            stamped_at = _proven(bytes(anchor.stamp), anchor.head.envelope.encode())
        except NotAnchored as error:
            broken.append(
                Broken("the tree", anchor.head_id, "time_stamp", f"the time stamp of {anchor.place}: {error}")
            )
            continue
        if stamped_at != anchor.stamped_at:
            words = f"the time stamp of {anchor.place} tells {stamped_at.isoformat()}, the record {anchor.stamped_at}"
            broken.append(Broken("the tree", anchor.head_id, "time_stamp", words))
    return count, broken


def _places() -> Iterator[tuple[str, str, Callable[[str, bytes], tuple[datetime | None, bytes]]]]:
    for place in settings.ANCHOR_WEBHOOKS:
        yield WEBHOOK, place, _tell
    for place in settings.TIME_STAMPS:
        yield TIME_STAMP, place, _stamp


def _tell(place: str, envelope: bytes) -> tuple[None, bytes]:
    """Post the signed head; whoever answers with success has it."""
    _post(place, envelope, {"Content-Type": "application/vnd.dsse.envelope.v1+json"})
    return None, b""


def _stamp(place: str, envelope: bytes) -> tuple[datetime, bytes]:
    """Have the head stamped, and prove the stamp before it is kept."""
    builder = rfc3161_client.TimestampRequestBuilder().data(envelope)
    request = builder.hash_algorithm(rfc3161_client.HashAlgorithm.SHA256).build()
    answer = _post(place, request.as_bytes(), STAMP_TYPES)
    return _proven(answer, envelope, request.nonce), answer


def _proven(answer: bytes, envelope: bytes, nonce: int | None = None) -> datetime:
    """Return the time that a stamp proves. Raises NotAnchored with the reason why it proves none."""
    roots = _roots()
    try:
        stamp = rfc3161_client.decode_timestamp_response(answer)
        verifier = rfc3161_client.VerifierBuilder(roots=roots, nonce=nonce).build()
        verifier.verify_message(stamp, envelope)
        return stamp.tst_info.gen_time
    except (ValueError, rfc3161_client.VerificationError) as error:
        raise NotAnchored(f"it proves nothing: {error}") from error


def _roots() -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(Path(settings.TIME_STAMP_ROOTS).read_bytes())
    except (OSError, ValueError) as error:
        raise NotAnchored(f"MDLC_TIME_STAMP_ROOTS cannot be read: {error}") from error


def _keep(head: TreeHead, kind: str, place: str, stamped_at: datetime | None, stamp: bytes) -> None:
    """Keep that a place has the head; another process may have told it at the same time."""
    try:
        with transaction.atomic():
            HeadAnchor.objects.create(head=head, kind=kind, place=place, stamped_at=stamped_at, stamp=stamp)
    except IntegrityError:
        if not head.anchors.filter(kind=kind, place=place).exists():
            raise


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: the head goes where the settings say, and nowhere else."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Any:
        """Return nothing, so that the answer is the error it is."""
        return None


def _post(place: str, body: bytes, headers: dict[str, str]) -> bytes:
    opener = urllib.request.build_opener(_Straight)
    request = urllib.request.Request(place, body, headers, method="POST")  # noqa: S310 - the settings take http(s) only
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            content: bytes = answer.read(LARGEST_ANSWER + 1)
    except urllib.error.HTTPError as error:
        raise NotAnchored(f"it answered {error.code}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise NotAnchored(f"it cannot be reached: {error}") from error
    if len(content) > LARGEST_ANSWER:
        raise NotAnchored(f"its answer is larger than {LARGEST_ANSWER} bytes")
    return content
