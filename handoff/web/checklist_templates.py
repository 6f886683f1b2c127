"""The checklists that come with the product, for whoever writes policies or answers them."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from handoff.errors import Hidden
from handoff.rules.checklist_templates import Template, templates
from handoff.web.doors import page
from models_registry.roles import Role


def found(key: str) -> Template:
    """Return a template by its key. Raises Hidden."""
    template = templates().get(key)
    if template is None:
        raise Hidden("There is no such checklist.")
    return template


@page("GET")
def index(request: HttpRequest) -> HttpResponse:
    """Show all templates."""
    return render(request, "handoff/checklist_templates/index.html", {"templates": list(templates().values())})


@page("GET")
def detail(request: HttpRequest, template: str) -> HttpResponse:
    """Show the items of a template, each with its reference, and from when on it applies."""
    one, today = found(template), timezone.localdate()
    rows = [
        (item, one.level_of(item.key) if one.levels else 0, str(Role(item.role).label) if item.role else "")
        for item in one.items
    ]
    context = {"template": one, "rows": rows, "applies": [(told, told.on(today)) for told in one.applies]}
    return render(request, "handoff/checklist_templates/detail.html", context)
