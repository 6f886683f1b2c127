"""Make evidence packs: everything about one handoff in one signed archive, which proves itself without the site."""

import time
from dataclasses import dataclass
from hashlib import sha256
from typing import IO, Any

import rfc8785
from django.conf import settings
from django.db import transaction

from audit.actors import Person, ServiceAccount
from audit.acts import act
from audit.errors import Unavailable
from audit.models import TreeHead
from audit.sealing import TreeBroken, seal
from audit.signing import sign
from audit.trail import record
from handoff.access import lock_handoff
from handoff.errors import WrongState
from handoff.models import Handoff
from handoff.moves import chain_of
from handoff.packing import packed
from handoff.queries import packs

KIND = "application/vnd.mdlc.evidence-pack+json"
TRIES = 40
PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class Packed:
    """An archive, open at its beginning, and the name under which it is kept."""

    archive: IO[bytes]
    filename: str


def make(*, actor: Person | ServiceAccount, handoff_id: str) -> Packed:
    """Return the evidence pack of an offered handoff, with all its events under a signed tree head.

    That it was made is an event, which is in the pack, too. Raises Hidden, WrongState for a handoff that was never
    offered, and Unavailable while the trail cannot be sealed or the store has lost a file.
    """
    handoff = _ask(actor=actor, handoff_id=handoff_id)
    found = _sealed(handoff)
    try:
        archive = packed(found.files, found.blobs)
    except OSError as error:
        raise Unavailable(
            "A file of the evidence cannot be read, so there is no pack.",
            code="evidence_lost",
            todo="Whoever runs the site looks at the store.",
        ) from error
    return Packed(archive, f"{handoff.model.slug}-handoff-{handoff.number}.zip")


@act
def _ask(*, actor: Person | ServiceAccount, handoff_id: str) -> Handoff:
    """Record that somebody makes the pack, before they have it."""
    handoff, _ = lock_handoff(actor, handoff_id)
    if handoff.offered_at is None:
        raise WrongState("Only what was offered has evidence.", todo="Offer the handoff first.")
    record("pack.made", actor=actor, on=handoff, chain=chain_of(handoff), data={"digest": handoff.version.digest})
    return handoff


def _sealed(handoff: Handoff) -> packs.Contents:
    """Read all there is at one instant, as soon as every event of it is sealed."""
    for _ in range(TRIES):
        try:
            seal()
        except TreeBroken as error:
            raise Unavailable(
                "The audit trail was tampered with, so nothing can be proven.",
                code="trail_broken",
                todo="Whoever runs the site runs verify_audit.",
            ) from error
        if found := _read(handoff):
            return found
        time.sleep(PAUSE)
    raise Unavailable(
        "The audit trail is not sealed at the moment.", code="trail_not_sealed", todo="Try again in a minute."
    )


def _read(handoff: Handoff) -> packs.Contents | None:
    """Read under the handoff's lock, which every act on it takes; None while an event is not sealed yet."""
    with transaction.atomic():
        Handoff.objects.select_for_update(of=("self",)).get(pk=handoff.pk)
        events, head = packs.events_of(handoff), TreeHead.objects.order_by("-size").first()
        # A leaf is written in one transaction with a head over it, and heads are read after leaves.
        if head is None or any(event["leaf"] is None for event in events):
            return None
        related = ("model", "version", "source", "target", "offered_by", "policy_revision__policy")
        found = packs.contents(Handoff.objects.select_related(*related).get(pk=handoff.pk), events, head)
        manifest = rfc8785.dumps(_manifest(handoff, found, head))
        found.files["manifest.json"] = manifest
        found.files["manifest.dsse.json"] = sign(KIND, manifest)[0].encode()
    return found


def _manifest(handoff: Handoff, found: packs.Contents, head: TreeHead) -> dict[str, Any]:
    rows = [{"path": path, "sha256": sha256(raw).hexdigest(), "size": len(raw)} for path, raw in found.files.items()]
    rows += [{"path": path, "sha256": digest, "size": found.sizes[digest]} for path, digest in found.blobs]
    return {
        "pack": 1,
        "site": settings.SITE_URL,
        "handoff": str(handoff.pk),
        "head": {"size": head.size, "root": bytes(head.root).hex()},
        "files": sorted(rows, key=lambda row: str(row["path"])),
    }
