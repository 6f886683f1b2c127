"""Streams in the browser: an environment's list, one stream with what it feeds, and the forms."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audit.actions import ACTIONS
from audit.actors import Person
from audit.errors import Hidden, Refused
from audit.models import Account, AuditEvent
from models_registry import queries
from models_registry.access import find_environment, roles_on
from models_registry.consumers import bound_by
from models_registry.models import Environment, Stream
from models_registry.roles import Role
from models_registry.rules.streams import in_order
from models_registry.rules.strict_yaml import text_of
from models_registry.services import streams
from models_registry.web.forms import tell
from models_registry.web.stream_forms import StreamForm


def keeps_streams(user: Account, environment: Environment) -> bool:
    """Tell whether to show somebody the forms of an environment's streams; the services judge by themselves."""
    return bool(roles_on(user, environment=environment) & set(streams.KEEPERS))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest, environment: str) -> HttpResponse:
    """Declare a stream."""
    actor = Person.at(request, "web")
    where = find_environment(actor, environment)
    form = StreamForm(request.POST or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        values = {name: value for name, value in form.cleaned_data.items() if name != "seen"}
        try:
            made = streams.declare(actor=actor, environment=environment, **values)
        except Hidden:
            raise
        except Refused as refusal:
            tell(form, refusal)
            status = refusal.status
        else:
            messages.success(request, f"{made.slug} is declared.")
            return redirect("stream", environment, made.slug)
    status = 422 if form.errors and status == 200 else status
    return render(request, "models_registry/streams/new.html", {"environment": where, "form": form}, status=status)


@login_required
@require_safe
def detail(request: HttpRequest, environment: str, stream: str) -> HttpResponse:
    """Show a stream: where records come from or go to, what it feeds, and whether it fits a version."""
    return _page(request, environment, stream)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, environment: str, stream: str) -> HttpResponse:
    """Change what is flexible about a stream."""
    actor = Person.at(request, "web")
    found = queries.stream(actor, environment, stream)
    form = StreamForm(request.POST or None, stream=found)
    status = 200
    if request.method == "POST" and not form.has_changed():
        return redirect("stream", environment, stream)
    if request.method == "POST" and form.is_valid():
        values = {name: form.cleaned_data[name] for name in form.changed_data if name != "seen"}
        revision = form.cleaned_data["seen"]
        try:
            streams.change(actor=actor, environment=environment, stream=stream, revision=revision, **values)
        except Hidden:
            raise
        except Refused as refusal:
            tell(form, refusal)
            status = refusal.status
        else:
            messages.success(request, f"{stream} is changed.")
            return redirect("stream", environment, stream)
    status = 422 if form.errors and status == 200 else status
    context = {"environment": found.environment, "stream": found, "form": form}
    return render(request, "models_registry/streams/change.html", context, status=status)


@login_required
@require_POST
def retire(request: HttpRequest, environment: str, stream: str) -> HttpResponse:
    """Retire a stream."""
    actor, reason = Person.at(request, "web"), request.POST.get("reason", "").replace("\0", "")
    try:
        streams.retire(actor=actor, environment=environment, stream=stream, reason=reason)
    except Hidden:
        raise
    except Refused as refusal:
        return _page(request, environment, stream, refusal)
    messages.success(request, f"{stream} is retired.")
    return redirect("stream", environment, stream)


def _page(request: HttpRequest, environment: str, slug: str, problem: Refused | None = None) -> HttpResponse:
    actor = Person.at(request, "web")
    found = queries.stream(actor, environment, slug)
    roles = roles_on(actor.user, environment=found.environment)
    there = found.retired_at is None
    bound = bound_by(found) if there and found.direction == "sink" else []
    context = {
        "environment": found.environment,
        "stream": found,
        "text": text_of(in_order(found.descriptor)),
        "may_keep": there and bool(roles & set(streams.KEEPERS)),
        "bound": bound,
        "may_connect": there and found.direction == "sink" and Role.INTEGRATION_OWNER in roles and not bound,
        "story": [_told(event) for event in queries.story_of(found)],
        "problem": problem,
        **_comparison(request, found),
    }
    status = problem.status if problem else 200
    return render(request, "models_registry/streams/detail.html", context, status=status)


def _comparison(request: HttpRequest, found: Stream) -> dict[str, Any]:
    """Return the versions that the stream may be compared with, and how it fits the chosen one."""
    actor = Person.at(request, "web")
    chosen = request.GET.get("version", "")
    versions = [(f"{one.model.slug}/{one.number}", str(one)) for one in queries.versions_to_compare(actor.user)]
    context: dict[str, Any] = {"versions": versions, "chosen": chosen}
    model, _, number = chosen.rpartition("/")
    if model and number.isdecimal() and len(number) < 10:
        context["fit"] = queries.fit_of(actor, found, model, int(number))
    return context


def _told(event: AuditEvent) -> dict[str, Any]:
    return {"at": event.at, "who": event.actor_label, "sentence": ACTIONS[event.action]}
