"""The checklists of the product and of the site, for whoever writes policies or answers them, and publishing one."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from audit.actors import Person
from handoff.access import require_administrator
from handoff.errors import Refused
from handoff.queries.checklist_templates import beside, newest_source, own_templates, template_of
from handoff.rules.checklist_templates import EXAMPLE
from handoff.services import checklist_templates
from handoff.web.doors import Form, go, page
from models_registry.roles import Role


@page("GET")
def index(request: HttpRequest) -> HttpResponse:
    """Show all templates."""
    own = own_templates()
    context = {"templates": list(beside(own).values()), "own": own}
    return render(request, "handoff/checklist_templates/index.html", context)


@page("GET")
def detail(request: HttpRequest, template: str) -> HttpResponse:
    """Show the items of a template, each with its reference, and from when on it applies."""
    (one, revisions), today = template_of(template), timezone.localdate()
    rows = [
        (item, one.level_of(item.key) if one.levels else 0, str(Role(item.role).label) if item.role else "")
        for item in one.items
    ]
    applies = [(told, told.on(today)) for told in one.applies]
    context = {"template": one, "revisions": revisions, "rows": rows, "applies": applies}
    return render(request, "handoff/checklist_templates/detail.html", context)


@page("GET", "POST")
def publish(request: HttpRequest) -> HttpResponse:
    """Show the form to publish a checklist of the site's own, and publish it."""
    actor = Person.at(request, "web")
    form = None
    if request.method != "POST":
        require_administrator(actor.user, "publish a checklist")
        source = newest_source(request.GET.get("from", "").replace("\0", "")) or EXAMPLE
    else:
        source = request.POST.get("source", "").replace("\r\n", "\n")
        try:
            published = checklist_templates.publish(actor=actor, source=source)
        except Refused as refusal:
            form = Form("publish", request.POST, refusal)
        else:
            messages.success(request, f"{published} is published. Policies that you publish next may include it.")
            return go("checklist-template", published.key)
    # As pairs: in a template the mistake at the place “items” would be what `others.items` finds.
    context = {"source": source, "form": form, "mistakes": list(form.others.items()) if form else []}
    status = form.problem.status if form else 200
    return render(request, "handoff/checklist_templates/publish.html", context, status=status)
