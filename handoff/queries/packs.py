"""Everything that an evidence pack holds of one handoff, as files; its evidence files by their hashes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import rfc8785
from django.conf import settings
from django.db import connection
from django.template.loader import render_to_string

from audit import proofs, verify_pack
from audit.marks import told
from audit.models import PersonalKey, SigningKey, TreeHead
from handoff.facts import contents_of
from handoff.models import Adoption, AmendmentSignOff, BreakGlass, Handoff, PolicyRevision, SignOff, StandardChange
from handoff.moves import chain_of
from handoff.queries.statement_proofs import names_behind
from handoff.rules.packs import CONTROLS, Described, bill_of_materials, model_card

EVENTS = """
    SELECT event.seq, (extract(epoch FROM event.at) * 1000000)::bigint, event.body, encode(event.previous, 'hex'),
        encode(event.hash, 'hex'), leaf.place
    FROM audit_auditevent AS event LEFT JOIN audit_treeleaf AS leaf ON leaf.event_id = event.id
    WHERE event.chain = %s ORDER BY event.seq
"""
NEAT = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
README = """An evidence pack of one handoff.

index.html says in words what is here. To prove it, without the site and without its software:

    pip install cryptography
    python3 verify_pack.py PACK.zip --key NAME

NAME is the name of the site's key. Ask for it by another way than you got this pack. verify_pack.py is one file of
Python that you can read first; better still, take it from somewhere else than from this pack.
"""


@dataclass(frozen=True, slots=True)
class Contents:
    """The files of a pack, and the blobs that lie beside them: path and SHA-256."""

    files: dict[str, bytes]
    blobs: tuple[tuple[str, str], ...]
    sizes: Mapping[str, int]


def events_of(handoff: Handoff) -> list[dict[str, Any]]:
    """Return the events of a handoff's chain in order, each with its place in the tree; None where it has none yet."""
    with connection.cursor() as cursor:
        cursor.execute(EVENTS, [chain_of(handoff)])
        names = ("seq", "at", "body", "previous", "hash", "leaf")
        return [dict(zip(names, row, strict=True)) for row in cursor]


def contents(handoff: Handoff, events: list[dict[str, Any]], head: TreeHead) -> Contents:
    """Return what goes into the pack of an offered handoff, with its events proven under a head."""
    paths = proofs.paths([event["leaf"] for event in events], head.size)
    lines = [event | {"path": [one.hex() for one in path]} for event, path in zip(events, paths, strict=True)]
    answers, blobs = _answers(handoff)
    signoffs = list(handoff.signoffs.select_related("signer", "reauthentication"))
    tests = [_test(test) for test in handoff.tests.all()]
    parts = contents_of(handoff)
    about = _about(handoff, parts)
    described = _described(handoff, tests, head)
    broken = [_glass(one) for one in handoff.break_glass.select_related("asked_by").order_by("confirmed_at")]
    others = _others(handoff)
    statements = [one for _, one in others]
    signed = [
        *(one.statement for one in signoffs + statements),
        *(rfc8785.dumps(one).decode() for one in parts.values()),
    ]
    names = names_behind(*(event["body"] for event in events), *signed)
    files: dict[str, Any] = {
        "handoff.json": about,
        "answers.json": answers,
        "tests.json": tests,
        "signoffs/index.json": [_signoff(one) for one in signoffs],
        "decisions.json": [_decision(one) for one in handoff.decisions.all()],
        "deployments.json": [_deployment(one) for one in handoff.deployments.select_related("version", "environment")],
        "findings.json": [_finding(one) for one in handoff.findings.select_related("closed_by")],
        "break_glass.json": broken,
        "statements/index.json": [{"kind": kind, "id": str(one.pk)} for kind, one in others],
        "controls.json": [{"control": a, "asks": b, "files": list(c)} for a, b, c in CONTROLS],
        "bom.cdx.json": bill_of_materials(described),
        "keys.json": _keys(),
        "personal_keys.json": _personal_keys([*signoffs, *statements]),
        "names.json": names,
        "head.dsse.json": orjson.loads(head.envelope),
    }
    raw = {path: orjson.dumps(content, option=NEAT) + b"\n" for path, content in files.items()}
    raw |= {f"parts/{name}.json": rfc8785.dumps(content) for name, content in parts.items()}
    raw |= {f"signoffs/{one.pk}.json": one.statement.encode() for one in signoffs}
    raw |= {f"signoffs/{one.pk}.dsse.json": orjson.dumps(one.envelope) for one in signoffs if one.envelope}
    raw |= {f"statements/{one.pk}.json": one.statement.encode() for _, one in others}
    raw |= {f"statements/{one.pk}.dsse.json": orjson.dumps(one.envelope) for _, one in others}
    raw |= {f"version/elements/{e.name}": e.text.encode() for e in handoff.version.elements.all() if e.text is not None}
    raw |= {
        "version/manifest.json": handoff.version.manifest.encode(),
        "policy.yaml": policy_texts(handoff).encode(),
        "events.jsonl": b"".join(rfc8785.dumps(line) + b"\n" for line in lines),
        "model-card.md": model_card(described).encode(),
        "README.txt": README.encode(),
        "verify_pack.py": Path(verify_pack.__file__).read_bytes(),
    }
    page = {"about": about, "answers": answers, "tests": tests, "signoffs": files["signoffs/index.json"]}
    page |= {"broken": [one for one in broken if one["confirmed_at"]], "others": _told_on_the_page(others)}
    page |= {"described": described, "controls": CONTROLS, "head": head, "root": bytes(head.root).hex()}
    spoken = {one["mark"]: one["name"] for one in names}
    page |= {"events": [event | {"told": told(orjson.loads(event["body"]), spoken)} for event in events]}
    raw["index.html"] = render_to_string("handoff/packs/index.html", page).encode()
    return Contents(raw, tuple((f"evidence/{digest}", digest) for digest in blobs), blobs)


def _about(handoff: Handoff, parts: Mapping[str, Any]) -> dict[str, Any]:
    version = handoff.version
    return {
        "id": str(handoff.pk),
        "number": handoff.number,
        "state": handoff.state,
        "model": {"slug": handoff.model.slug, "name": handoff.model.name, "purpose": handoff.model.purpose},
        "version": {"number": version.number, "digest": version.digest},
        "source": {"id": str(handoff.source_id), "name": handoff.source.name},
        "target": {"id": str(handoff.target_id), "name": handoff.target.name},
        "policy": handoff.under,
        "offered_by": handoff.offered_by.printed_name if handoff.offered_by else "",
        "offered_at": handoff.offered_at,
        "deployments": [str(key) for key in handoff.deployments.order_by("ordered_at").values_list("pk", flat=True)],
        "parts": sorted(parts),
        "change": _change(handoff),
        "site": settings.SITE_URL,
    }


def _change(handoff: Handoff) -> dict[str, Any] | None:
    """Return as which kind of change it went live with fewer signatures, and what it was compared with."""
    one = (
        StandardChange.objects.select_related("compared_with__version", "reviewed__version")
        .filter(handoff=handoff)
        .first()
    )
    if one is None:
        return None
    names = ("kind", "number", "complete", "reasons", "kept_at")
    versions = {name: getattr(one, name).version for name in ("compared_with", "reviewed")}
    told = {name: {"number": version.number, "digest": version.digest} for name, version in versions.items()}
    return {name: getattr(one, name) for name in names} | told


def policy_texts(handoff: Handoff) -> str:
    """Return the text of the policy as it was published; of several that applied together, each as a document."""
    if handoff.policy_revision is None or len(handoff.policies) < 2:
        return handoff.policy_revision.source if handoff.policy_revision else ""
    names = [one["policy"] for one in handoff.policies]
    texts = PolicyRevision.objects.filter(policy__slug__in=names).values_list("policy__slug", "number", "source")
    sources = {(slug, number): source for slug, number, source in texts}
    numbered = [(one["policy"], one["revision"]) for one in handoff.policies]
    return "".join(f"--- # {slug} r{number}\n{sources[slug, number].rstrip()}\n" for slug, number in numbered)


def _described(handoff: Handoff, tests: list[dict[str, Any]], head: TreeHead) -> Described:
    model, version = handoff.model, handoff.version
    texts = {e.name: orjson.loads(e.text) for e in version.elements.all() if e.text is not None}
    return Described(
        name=model.name,
        slug=model.slug,
        purpose=model.purpose,
        owner_team=model.owner_team,
        risk_tier=model.risk_tier,
        model_type=model.model_type,
        number=version.number,
        digest=version.digest,
        format=version.get_format_display(),
        notes=version.notes,
        elements=orjson.loads(version.manifest)["elements"],
        runtime=texts.get("runtime", {}),
        schemas={name: texts[name] for name in ("input_schema", "output_schema") if name in texts},
        thresholds=texts.get("thresholds", {}),
        tests=tests,
        source=handoff.source.name,
        target=handoff.target.name,
        at=head.at.isoformat(timespec="seconds"),
    )


def _answers(handoff: Handoff) -> tuple[dict[str, Any], dict[str, int]]:
    """Return all answers with their evidence and all acknowledgements, and the sizes of the files by their hashes."""
    rows, blobs = [], {}
    for answer in handoff.answers.select_related("answered_by").prefetch_related("evidence__blob"):
        evidence = []
        for one in answer.evidence.all():
            if one.blob:
                blobs[one.blob.sha256] = one.blob.size
            told = {"kind": one.kind, "label": one.label, "link": one.link, "figure": one.figure}
            evidence.append(told | {"sha256": one.blob_id or ""})
        given: dict[str, Any] = {
            "item": answer.item,
            "choice": answer.choice,
            "reason": answer.reason,
            "evidence": evidence,
        }
        rows.append(given | {"answered_by": answer.answered_by.printed_name, "answered_at": answer.answered_at})
    acknowledged = [
        {
            "difference": one.difference,
            "comment": one.comment,
            "mitigation": one.mitigation,
            "acknowledged_by": one.acknowledged_by.printed_name,
            "acknowledged_at": one.acknowledged_at,
        }
        for one in handoff.acknowledgements.select_related("acknowledged_by").order_by("pk")
    ]
    return {"answers": rows, "acknowledgements": acknowledged}, blobs


def _signoff(one: SignOff) -> dict[str, Any]:
    names = ("gate", "requirement", "role", "printed_name", "decision", "meaning", "comment", "scope", "scope_digest")
    told = {name: getattr(one, name) for name in (*names, "statement_digest", "voided_because")}
    voided_at = one.voided_at.isoformat() if one.voided_at else ""
    return told | {
        "id": str(one.pk),
        "signed_at": one.signed_at.isoformat(),
        "voided_at": voided_at,
        "envelope": one.envelope is not None,
        "for": one.behalf_of_id,
    }


def _test(test: Any) -> dict[str, Any]:
    names = (
        "kind",
        "verdict",
        "summary",
        "figures",
        "thresholds",
        "log",
        "seconds",
        "version_digest",
        "finished_at",
        "sandbox",
    )
    return {name: getattr(test, name) for name in names}


def _decision(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ("gate", "taken_by", "opened", "facts", "result", "decided_at")}


def _deployment(one: Any) -> dict[str, Any]:
    names = ("digest", "state", "order", "ordered_by", "reason", "log", "ordered_at", "live_at", "ended_at")
    told = {name: getattr(one, name) for name in names}
    return told | {"id": str(one.pk), "version": one.version.number, "environment": one.environment.slug}


def _finding(one: Any) -> dict[str, Any]:
    names = ("items", "severity", "suspends", "raised_at", "due_at", "closed_at", "closing", "comment")
    told = {name: getattr(one, name) for name in names}
    return told | {"id": str(one.pk), "closed_by": one.closed_by.printed_name if one.closed_by else ""}


def _glass(one: BreakGlass) -> dict[str, Any]:
    names = (
        "gate", "state", "reason", "incident", "asked_at", "confirm_by", "role", "printed_name", "missing", "scope",
        "statement_digest", "overdue_at", "ended_at", "because",
    )  # fmt: skip
    told = {name: getattr(one, name) for name in names}
    told |= {name: at.isoformat() if (at := getattr(one, name)) else "" for name in ("confirmed_at", "until")}
    return told | {"id": str(one.pk), "asked_by": one.asked_by.printed_name}


def _others(handoff: Handoff) -> list[tuple[str, Adoption | AmendmentSignOff | BreakGlass]]:
    """Return what was signed beside sign-offs, each kind in the order of time."""
    confirmation = "reauthentication"
    signed = AmendmentSignOff.objects.filter(amendment__deployment__handoff=handoff).select_related(confirmation)
    glass = handoff.break_glass.exclude(confirmed_at=None).order_by("confirmed_at").select_related(confirmation)
    return [
        *(("adoption", one) for one in handoff.adoptions.select_related(confirmation)),
        *(("amendment", one) for one in signed),
        *(("break-glass", one) for one in glass),
    ]


def _told_on_the_page(others: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "kind": kind,
            "name": one.printed_name,
            "role": one.role,
            "at": one.signed_at,
            "words": getattr(one, "reason", "") or one.comment,
        }
        for kind, one in others
    ]


def _keys() -> list[dict[str, Any]]:
    return [
        {
            "id": key.pk,
            "public_key": bytes(key.public_key).hex(),
            "registered_at": key.registered_at,
            "retired_at": key.retired_at,
            "retired_because": key.retired_because,
        }
        for key in SigningKey.objects.all()
    ]


def _personal_keys(signed: list[Any]) -> list[dict[str, Any]]:
    """Return the public halves of the signers' own keys that confirmed some of what was signed."""
    used = {one.reauthentication.assertion["key"] for one in signed if one.reauthentication.assertion}
    return [
        {"id": key.pk, "account": key.account_id, "site": key.site, "public_key": bytes(key.public_key).hex()}
        for key in PersonalKey.objects.filter(pk__in=used)
    ]
