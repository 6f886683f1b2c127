"""Consumers of a sink in the browser."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from audit.actors import Person
from audit.errors import Hidden, Refused
from models_registry import queries
from models_registry.services import consumers
from models_registry.web.forms import ReasonForm, tell
from models_registry.web.stream_forms import ConsumerForm


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest, environment: str, stream: str) -> HttpResponse:
    """Add a consumer to a sink."""
    actor = Person.at(request, "web")
    sink = queries.stream(actor, environment, stream)
    form = ConsumerForm(request.POST or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        values = {name: value for name, value in form.cleaned_data.items() if name != "seen"}
        try:
            made = consumers.add(actor=actor, environment=environment, stream=stream, **values)
        except Hidden:
            raise
        except Refused as refusal:
            tell(form, refusal)
            status = refusal.status
        else:
            messages.success(request, f"{made.name} is added. The data scientists see it on the stream's page.")
            return redirect("stream", environment, stream)
    status = 422 if form.errors and status == 200 else status
    context = {"environment": sink.environment, "stream": sink, "form": form}
    return render(request, "models_registry/consumers/new.html", context, status=status)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, environment: str, stream: str, consumer_id: UUID) -> HttpResponse:
    """Change what is known of a consumer."""
    actor = Person.at(request, "web")
    found = queries.consumer(actor, environment, stream, consumer_id)
    form = ConsumerForm(request.POST or None, consumer=found)
    status = 200
    if request.method == "POST" and not form.has_changed():
        return redirect("stream", environment, stream)
    if request.method == "POST" and form.is_valid():
        try:
            consumers.change(
                actor=actor,
                environment=environment,
                stream=stream,
                consumer_id=str(consumer_id),
                revision=form.cleaned_data["seen"],
                **{name: form.cleaned_data[name] for name in form.changed_data if name != "seen"},
            )
        except Hidden:
            raise
        except Refused as refusal:
            tell(form, refusal)
            status = refusal.status
        else:
            messages.success(request, f"{form.cleaned_data['name']} is changed.")
            return redirect("stream", environment, stream)
    status = 422 if form.errors and status == 200 else status
    context = {"stream": found.stream, "environment": environment, "consumer": found, "form": form}
    return render(request, "models_registry/consumers/change.html", context, status=status)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def retire(request: HttpRequest, environment: str, stream: str, consumer_id: UUID) -> HttpResponse:
    """Ask for the reason, then retire a consumer."""
    actor = Person.at(request, "web")
    found = queries.consumer(actor, environment, stream, consumer_id)
    form = ReasonForm(request.POST or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            consumers.retire(
                actor=actor,
                environment=environment,
                stream=stream,
                consumer_id=str(consumer_id),
                reason=form.cleaned_data["reason"],
            )
        except Hidden:
            raise
        except Refused as refusal:
            tell(form, refusal)
            status = refusal.status
        else:
            messages.success(request, f"{found.name} is retired.")
            return redirect("stream", environment, stream)
    status = 422 if form.errors and status == 200 else status
    context = {"stream": found.stream, "environment": environment, "consumer": found, "form": form}
    return render(request, "models_registry/consumers/retire.html", context, status=status)
