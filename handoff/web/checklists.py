"""Answer checklist items with evidence, acknowledge differences, and fetch evidence that is a file."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from audit.actors import Person, ServiceAccount, actor_at
from handoff.errors import Hidden, Refused
from handoff.queries.handoffs import fetch
from handoff.queries.page import evidence_file
from handoff.receipts import received, take
from handoff.services import checklists
from handoff.web.acting import done, refused
from handoff.web.doors import Form, account_of, page
from models_registry.store import CHUNK, open_blob


@page("POST")
def answer(request: HttpRequest, handoff_id: UUID, item: str) -> HttpResponse:
    """Answer one item. A file that was received is kept over a refusal, so that nobody sends it twice."""
    actor = actor_at(request, "web")
    kept: tuple[dict[str, Any], ...] = ()
    try:
        fetch(actor.user, handoff_id)  # a stranger's file is not even received
        kept = (*_kept_before(request, actor), *({"kind": "file", "receipt": r} for r in receipts_of(request, actor)))
        checklists.answer(
            actor=actor,
            handoff_id=str(handoff_id),
            item=item,
            choice=request.POST.get("choice", ""),
            reason=request.POST.get("reason", ""),
            evidence=[*kept, *_typed(request)],
        )
    except Hidden:
        raise
    except Refused as refusal:
        files = tuple({"label": _name(actor, row["receipt"]), "token": row["receipt"]} for row in kept)
        return refused(request, handoff_id, Form("answer", request.POST, refusal, about=item, kept=files))
    return done(request, handoff_id, "Your answer is on record.", at=f"item-{item}")


@page("POST")
def acknowledge(request: HttpRequest, handoff_id: UUID) -> HttpResponse:
    """Acknowledge the differences that are ticked."""
    try:
        checklists.acknowledge(
            actor=Person.at(request, "web"),
            handoff_id=str(handoff_id),
            differences=request.POST.getlist("difference"),
            comment=request.POST.get("comment", ""),
            mitigation=request.POST.get("mitigation", ""),
        )
    except Hidden:
        raise
    except Refused as refusal:
        return refused(request, handoff_id, Form("acknowledge", request.POST, refusal))
    return done(request, handoff_id, "Acknowledged, under your name.", at="differences")


@page("GET")
def evidence(request: HttpRequest, handoff_id: UUID, evidence_id: int) -> StreamingHttpResponse:
    """Send a file that backs an answer: always as a download, never shown in the site's own name."""
    found = evidence_file(account_of(request), handoff_id, evidence_id)
    return attachment(str(found.blob_id), found.label)


def attachment(digest: str, label: str) -> StreamingHttpResponse:
    """Send a stored file as a download under a harmless name."""
    response = StreamingHttpResponse(_chunks(digest), content_type="application/octet-stream")
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_. ") else "_" for c in label)
    response["Content-Disposition"] = f'attachment; filename="{name or "evidence"}"'
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def _chunks(digest: str) -> Iterator[bytes]:
    with open_blob(digest) as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def receipts_of(request: HttpRequest, actor: Person | ServiceAccount) -> list[str]:
    """Stream uploaded files into the store, and return their receipts."""
    found = []
    for file in request.FILES.getlist("file"):
        assert isinstance(file, UploadedFile)
        found.append(take(actor, file.name or "file", file.chunks(CHUNK))[1])
    return found


def _kept_before(request: HttpRequest, actor: Person | ServiceAccount) -> list[dict[str, Any]]:
    """Return the files that this person sent with an earlier, refused try of the form."""
    return [{"kind": "file", "receipt": kept} for kept in request.POST.getlist("kept") if received(actor, kept)]


def _name(actor: Person | ServiceAccount, given: str) -> str:
    file = received(actor, given)
    return file.name if file else ""


def _typed(request: HttpRequest) -> list[dict[str, Any]]:
    """Return what was typed beside files; a figure that is no number goes to the service as it is."""
    found: list[dict[str, Any]] = []
    label = request.POST.get("label", "")
    if link := request.POST.get("link", "").strip():
        found.append({"kind": "link", "label": label, "link": link})
    if figure := request.POST.get("figure", "").strip():
        found.append({"kind": "figure", "label": label or request.POST.get("unit", ""), "figure": _number(figure)})
    if replay := request.POST.get("replay", "").strip():
        found.append({"kind": "replay", "replay": int(replay) if replay.isdecimal() else replay})
    named = {kind: request.POST.get(kind, "").strip() for kind in ("test", "item")}
    return found + [{"kind": kind, kind: name} for kind, name in named.items() if name]


def _number(text: str) -> float | str:
    try:
        return float(text.replace(" ", "").replace(",", "."))
    except ValueError:
        return text
