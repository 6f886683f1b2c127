"""Exceptions to an import policy in the browser: the requests of an environment, the form, and one with its answer."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audit.actors import Person, actor_at
from audit.errors import Hidden, Refused
from audit.models import Account
from models_registry import queries
from models_registry.access import find_environment, may_ask, roles_on
from models_registry.models import Environment, ImportException
from models_registry.models.import_exceptions import LONGEST
from models_registry.roles import Role
from models_registry.rules.import_policies import verdict_on
from models_registry.services import import_exceptions
from models_registry.web.forms import ReasonForm, tell

SHOWN = 200
LONGEST_TEXT = 5000


class ExceptionForm(forms.Form):
    """Ask for an exception."""

    library = forms.CharField(max_length=200, help_text="As it is installed, such as torch.")
    version = forms.CharField(max_length=100, help_text="Exactly this one is let in; another needs another exception.")
    licence = forms.CharField(
        required=False, max_length=200, help_text="The library's own, where that is why it is prohibited."
    )
    reason = forms.CharField(
        max_length=LONGEST_TEXT,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What it is needed for, and why nothing that is allowed will do.",
    )
    measure = forms.CharField(
        max_length=LONGEST_TEXT,
        widget=forms.Textarea(attrs={"rows": 3}),
        required=False,
        label="Meanwhile",
        help_text="What is done to make up for the risk, such as a check of what it loads.",
    )


class AnswerForm(forms.Form):
    """Grant a request until a day, or refuse it."""

    answer = forms.ChoiceField(choices=[("granted", "Let it in"), ("refused", "Refuse")], widget=forms.RadioSelect)
    until = forms.DateField(
        required=False,
        label="Last day",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="It ends by itself then, within a year. What was approved with it is suspended the day after.",
    )
    comment = forms.CharField(
        max_length=LONGEST_TEXT,
        widget=forms.Textarea(attrs={"rows": 3}),
        required=False,
        help_text="A refusal needs one.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        today = timezone.localdate()
        self.fields["until"].widget.attrs |= {"min": today.isoformat(), "max": (today + LONGEST).isoformat()}


class WithdrawalForm(forms.Form):
    """Take a request back."""

    reason = forms.CharField(max_length=LONGEST_TEXT, widget=forms.Textarea(attrs={"rows": 3}), required=False)


def answers(user: Account, environment: Environment) -> bool:
    """Tell whether somebody may answer requests of an environment; the services judge by themselves."""
    return Role.IT_OPERATIONS in roles_on(user, environment=environment)


@login_required
@require_safe
def index(request: HttpRequest, environment: str) -> HttpResponse:
    """Show what was asked to be let in, the open requests first."""
    actor = actor_at(request, "web")
    where = find_environment(actor, environment)
    rows = list(queries.exceptions_listed(where)[:SHOWN])
    today = timezone.localdate()
    told = [(one, one.state_on(today)) for one in rows]
    context = {
        "environment": where,
        "open": [one for one, state in told if state == "open"],
        "closed": [(one, state) for one, state in told if state != "open"],
        "may_ask": may_ask(actor.user, where),
        "may_answer": answers(actor.user, where),
        "shown": SHOWN,
        "more": len(rows) == SHOWN,
    }
    return render(request, "models_registry/exceptions/index.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest, environment: str) -> HttpResponse:
    """Ask for an exception; a link from a verdict brings library and version along."""
    actor = Person.at(request, "web")
    where = find_environment(actor, environment)
    brought = {name: request.GET.get(name, "")[:200] for name in ("library", "version")}
    form = ExceptionForm(request.POST or None, initial=brought)
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            made = import_exceptions.ask(actor=actor, environment=environment, **form.cleaned_data)
        except Hidden:
            raise
        except Refused as refusal:
            tell(form, refusal)
            status = refusal.status
        else:
            messages.success(request, "Asked. IT operations find it in their inbox.")
            return redirect("exception", environment, made.pk)
    status = 422 if form.errors and status == 200 else status
    context = {"environment": where, "form": form, "may_ask": may_ask(actor.user, where)}
    return render(request, "models_registry/exceptions/new.html", context, status=status)


@login_required
@require_safe
def detail(request: HttpRequest, environment: str, exception_id: UUID) -> HttpResponse:
    """Show one exception, with what may be done about it."""
    return _page(request, environment, exception_id)


@login_required
@require_POST
def answer(request: HttpRequest, environment: str, exception_id: UUID) -> HttpResponse:
    """Grant a request until a day, or refuse it."""
    return _carry_out(request, environment, exception_id, AnswerForm(request.POST), import_exceptions.answer)


@login_required
@require_POST
def withdraw(request: HttpRequest, environment: str, exception_id: UUID) -> HttpResponse:
    """Take an open request back."""
    return _carry_out(request, environment, exception_id, WithdrawalForm(request.POST), import_exceptions.withdraw)


@login_required
@require_POST
def revoke(request: HttpRequest, environment: str, exception_id: UUID) -> HttpResponse:
    """End a granted exception before its day."""
    return _carry_out(request, environment, exception_id, ReasonForm(request.POST), import_exceptions.revoke)


def _carry_out(
    request: HttpRequest, environment: str, exception_id: UUID, form: forms.Form, act: Callable[..., ImportException]
) -> HttpResponse:
    if not form.is_valid():
        return _page(request, environment, exception_id, form)
    actor = Person.at(request, "web")
    try:
        told = act(actor=actor, environment=environment, exception_id=exception_id, **form.cleaned_data)
    except Hidden:
        raise
    except Refused as refusal:
        tell(form, refusal)
        return _page(request, environment, exception_id, form, refusal)
    messages.success(request, f"The request for {told} is {told.state}." if told.revoked_at is None else "Revoked.")
    return redirect("exception", environment, exception_id)


def _page(
    request: HttpRequest,
    environment: str,
    exception_id: UUID,
    form: forms.Form | None = None,
    refusal: Refused | None = None,
) -> HttpResponse:
    """Show an exception. A form that was refused stands as it was typed, or the refusal where it is offered no more."""
    actor = Person.at(request, "web")
    found = queries.import_exception(actor, environment, exception_id)
    offered = _offered(actor.user, found)
    if form is not None:
        offered = {name: form if type(form) is type(fresh) else fresh for name, fresh in offered.items()}
    context = {
        "exception": found,
        "environment": found.environment,
        "state": found.state,
        "forms": offered,
        "problem": refusal if form not in offered.values() else None,
        "verdict": verdict_on(found.environment.import_policy, found.library, found.version, found.licence),
    }
    status = 200 if form is None else refusal.status if refusal else 422
    return render(request, "models_registry/exceptions/detail.html", context, status=status)


def _offered(user: Account, found: ImportException) -> dict[str, forms.Form]:
    """Return the forms of what somebody may do about an exception as it stands."""
    if found.state == "granted" and answers(user, found.environment):
        return {"revoke": ReasonForm()}
    if found.state != "open":
        return {}
    if found.asked_by.natural_person_id == user.natural_person_id:
        return {"withdraw": WithdrawalForm()}
    return {"answer": AnswerForm()} if answers(user, found.environment) else {}
