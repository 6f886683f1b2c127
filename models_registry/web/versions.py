"""Versions in the browser: draft, fill, correct inferred schemas, nominate, read what was sealed."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audit.actors import actor_at
from audit.errors import Hidden, Refused
from engine.compatibility import Compatibility
from models_registry import queries
from models_registry.access import find_model, roles_on
from models_registry.models import Element, ModelVersion
from models_registry.roles import Role
from models_registry.schemas import compared, schemas_in
from models_registry.services import versions
from models_registry.states import ELEMENTS, OPTIONAL, SCHEMAS, TEXT_ELEMENTS, VersionState
from models_registry.web.forms import DraftForm, ElementForm, tell

SHOWN_NOTES = 8
TITLES = {
    "model": "Model",
    "input_schema": "Input schema",
    "output_schema": "Output schema",
    "runtime": "Runtime requirements",
    "golden": "Golden records",
    "validation": "Validation set",
    "thresholds": "Thresholds",
    "training": "Training",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One element as it is shown: there or missing, with its content if it is small.

    A schema comes as its fields, another small element as lines of what is asked and how much of it.
    """

    name: str
    title: str
    element: Element | None
    pretty: str
    fields: list[dict[str, Any]]
    lines: list[tuple[str, str]]

    @property
    def optional(self) -> bool:
        """Tell whether a version is complete without it."""
        return self.name in OPTIONAL


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest, slug: str) -> HttpResponse:
    """Start a version, with as many of its elements as one has at hand."""
    actor = actor_at(request, "web")
    model = find_model(actor, slug)
    form = DraftForm(request.POST or None, request.FILES or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        files = {name: upload for name in ELEMENTS if (upload := request.FILES.get(name)) is not None}
        try:
            made, notes = versions.draft_with(
                actor=actor,
                model=slug,
                notes=form.cleaned_data["notes"],
                files={name: (upload.chunks(), upload.name or "") for name, upload in files.items()},
            )
        except Hidden:
            raise
        except Refused as refusal:
            tell(form, refusal)
            status = refusal.status
        else:
            messages.success(request, f"Version {made.number} is a draft. Complete it, then nominate it.")
            _tell_notes(request, notes)
            return redirect("version", slug, made.number)
    status = 422 if form.errors and status == 200 else status
    return render(request, "models_registry/versions/new.html", {"model": model, "form": form}, status=status)


@login_required
@require_safe
def detail(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Show a version: its elements, its schemas, its manifest, and what is missing."""
    return _page(request, slug, number)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def element(request: HttpRequest, slug: str, number: int, name: str) -> HttpResponse:
    """Put one element into a draft, or correct it."""
    actor = actor_at(request, "web")
    version = queries.version(actor, slug, number)
    if name not in ELEMENTS:
        raise Hidden("There is no such element.")
    row = next(r for r in _rows(version) if r.name == name)
    textual = name in TEXT_ELEMENTS
    initial = {"text": row.pretty} if textual else {}
    form = ElementForm(request.POST or None, request.FILES or None, textual=textual, initial=initial)
    status = 200
    if request.method == "POST" and form.is_valid():
        upload = request.FILES.get("file")
        chunks = upload.chunks() if upload else iter([form.cleaned_data.get("text", "").encode()])
        filename = (upload.name or "") if upload else ""
        try:
            _, notes = versions.set_element(
                actor=actor, model=slug, number=number, name=name, chunks=chunks, filename=filename
            )
        except Hidden:
            raise
        except Refused as refusal:
            tell(form, refusal)
            status = refusal.status
        else:
            messages.success(request, f"{TITLES[name]}: kept.")
            _tell_notes(request, notes)
            return redirect("version", slug, number)
    context = {"version": version, "model": version.model, "row": row, "form": form}
    status = 422 if form.errors and status == 200 else status
    return render(request, "models_registry/versions/element.html", context, status=status)


@login_required
@require_POST
def remove(request: HttpRequest, slug: str, number: int, name: str) -> HttpResponse:
    """Take an element out of a draft."""
    actor = actor_at(request, "web")
    return _act(
        request,
        slug,
        number,
        lambda: versions.remove_element(actor=actor, model=slug, number=number, name=name),
        f"{TITLES.get(name, name)}: removed.",
    )


@login_required
@require_POST
def infer(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Infer the schemas that are missing, and tell what to correct."""
    actor = actor_at(request, "web")
    return _act(
        request,
        slug,
        number,
        lambda: versions.infer_schemas(actor=actor, model=slug, number=number),
        "The schemas were inferred. A sample is not the world: correct names, limits and units before you nominate.",
    )


@login_required
@require_POST
def nominate(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Seal a draft."""
    actor = actor_at(request, "web")
    return _act(
        request,
        slug,
        number,
        lambda: versions.nominate(actor=actor, model=slug, number=number),
        f"Version {number} is nominated and sealed. Offer it to an environment next.",
    )


@login_required
@require_POST
def discard(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Give a draft up."""
    actor = actor_at(request, "web")
    return _act(
        request,
        slug,
        number,
        lambda: versions.discard(actor=actor, model=slug, number=number),
        f"Version {number} is discarded; its number is not used again.",
    )


def _tell_notes(request: HttpRequest, notes: list[str]) -> None:
    """Tell what a schema says differently here than in the language it came in."""
    for note in notes[:SHOWN_NOTES]:
        messages.info(request, note)
    if len(notes) > SHOWN_NOTES:
        messages.info(request, f"And {len(notes) - SHOWN_NOTES} more notes; the audit trail has them all.")


def _act(request: HttpRequest, slug: str, number: int, do: Callable[[], object], told: str) -> HttpResponse:
    """Do one thing; show the page with the refusal if it was refused."""
    try:
        do()
    except Hidden:
        raise
    except Refused as refusal:
        return _page(request, slug, number, problem=refusal)
    messages.success(request, told)
    return redirect("version", slug, number)


def _page(request: HttpRequest, slug: str, number: int, problem: Refused | None = None) -> HttpResponse:
    actor = actor_at(request, "web")
    version = queries.version(actor, slug, number)
    rows = _rows(version)
    older, elements = queries.nominated_before(version)
    builder = Role.DATA_SCIENTIST in roles_on(actor.user, model=version.model)
    context = {
        "version": version,
        "model": version.model,
        "rows": rows,
        "missing": [row for row in rows if row.element is None and not row.optional],
        "may_change": builder and version.state == VersionState.DRAFT,
        "may_offer": builder and version.state == VersionState.NOMINATED,
        "manifest": json.dumps(json.loads(version.manifest), indent=2) if version.manifest else "",
        "problem": problem,
        "older": older,
        "has_schemas": any(row.element for row in rows if row.name in SCHEMAS),
        "compared": _compared(elements, version),
        "asked": queries.verdicts_on_version(actor, version),
    }
    status = problem.status if problem else 200
    return render(request, "models_registry/versions/detail.html", context, status=status)


def _compared(elements: list[Element], version: ModelVersion) -> list[tuple[str, Compatibility]]:
    """Return what became of the older schemas, under their titles."""
    found = compared(schemas_in(elements), schemas_in(list(version.elements.all())))
    return [(TITLES[f"{side.removesuffix('s')}_schema"], one) for side, one in found.items()]


def _rows(version: ModelVersion) -> list[Row]:
    elements = {one.name: one for one in version.elements.all()}
    return [_row(name, elements.get(name)) for name in ELEMENTS]


def _row(name: str, element: Element | None) -> Row:
    content = json.loads(element.text) if element is not None and element.text else None
    fields = content["fields"] if content and name.endswith("_schema") else []
    pretty = json.dumps(content, indent=2, ensure_ascii=False) if content is not None else ""
    lines = LINES[name](content) if content and name in LINES else []
    return Row(name, TITLES[name], element, pretty, [_field(field) for field in fields], lines)


def _runtime_lines(content: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what a version asks of the place where it runs."""
    return [("Python", content["python"]), *sorted(content["packages"].items())]


def _threshold_lines(content: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what a version must reach, in words."""
    lines = [
        (f"{m['name']} of {m['output']}", _between(m.get("minimum"), m.get("maximum"))) for m in content["metrics"]
    ]
    tolerance = content["tolerance"]
    within = f"within {tolerance['absolute']:g} plus {tolerance['relative']:g} of the value"
    lines.append(("Golden records are reproduced", within))
    if "latency_p99_ms" in content:
        lines.append(("Latency of 99 in 100 requests", f"at most {content['latency_p99_ms']:g} ms"))
    if "peak_memory_mb" in content:
        lines.append(("Peak memory", f"at most {content['peak_memory_mb']:g} MB"))
    if live := content.get("against_live"):
        lines.append((f"{live['metric']} beside the live version", f"worse by {live['margin']:g} at most"))
    return lines


def _training_lines(content: dict[str, Any]) -> list[tuple[str, str]]:
    """Return by what a version was trained, and from which one it was trained anew."""
    origin = [("Retrained from version", str(content["retrained_from"]))] if "retrained_from" in content else []
    return [("SHA-256 of the pipeline", content["pipeline"]), *origin]


def _between(low: float | None, high: float | None) -> str:
    words = [f"at least {low:g}" if low is not None else "", f"at most {high:g}" if high is not None else ""]
    return ", ".join(word for word in words if word)


LINES: dict[str, Callable[[dict[str, Any]], list[tuple[str, str]]]] = {
    "runtime": _runtime_lines,
    "thresholds": _threshold_lines,
    "training": _training_lines,
}


def _field(field: dict[str, Any]) -> dict[str, Any]:
    """Return a schema's field as a person reads it."""
    kind = field["type"]
    nullable = isinstance(kind, list)
    kind = next(k for k in kind if k != "null") if nullable else kind
    if isinstance(kind, dict):
        inner = kind.get("items", "enum")
        kind = f"list of {field.get('size', '')} {inner}".replace("  ", " ") if kind["type"] == "array" else "enum"
    low, high = field.get("minimum"), field.get("maximum")
    limits = (
        f"{'' if low is None else f'{low:g}'} … {'' if high is None else f'{high:g}'}"
        if (low, high) != (None, None)
        else ""
    )
    allowed = ", ".join(map(str, field.get("allowed", [])[:8]))
    return {
        "name": field["name"],
        "kind": f"{kind}{' or null' if nullable else ''}",
        "limits": limits or allowed or field.get("pattern", ""),
        "unit": field.get("unit", ""),
        "doc": field.get("doc", ""),
    }
