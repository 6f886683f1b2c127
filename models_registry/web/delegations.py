"""Delegations in the browser: those I made or was given, the form for another one, and their end."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from audit.actors import Person
from audit.errors import Hidden, Refused
from models_registry.access import delegations_visible_to, own_holdings
from models_registry.roles import Role
from models_registry.services import delegations
from models_registry.web.forms import tell

SHOWN = 100
DAY = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class DelegationForm(forms.Form):
    """Name a delegate for a role that one holds."""

    what = forms.ChoiceField(label="Role", help_text="What you hold yourself, and on what.")
    to = forms.CharField(label="Delegate", max_length=150, help_text="Their username.")
    starts = forms.DateField(required=False, label="First day", help_text="Empty: from now.", widget=DAY)
    ends = forms.DateField(label="Last day", help_text="It ends by itself then, within a year.", widget=DAY)
    reason = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), max_length=2000)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """Show my delegations, and name a delegate."""
    actor = Person.at(request, "web")
    held = {f"{one.role} {kind} {thing.slug}": one for one in own_holdings(actor.user) for kind, thing in (one.on,)}
    form = DelegationForm(request.POST or None)
    form.fields["what"].choices = [(key, f"{Role(one.role).label} on {one.on[1]}") for key, one in held.items()]  # type: ignore[attr-defined]
    status = 200
    if request.method == "POST" and form.is_valid():
        role, kind, slug = form.cleaned_data.pop("what").split(" ")
        try:
            delegations.delegate(actor=actor, role=role, **{kind: slug}, **form.cleaned_data)
        except Hidden:
            raise
        except Refused as refusal:
            tell(form, refusal)
            status = refusal.status
        else:
            messages.success(request, "Delegated. What they sign for you shows your name, too.")
            return redirect("delegations")
    status = 422 if form.errors and status == 200 else status
    context = {"form": form, "held": held, "rows": delegations_visible_to(actor.user)[:SHOWN], "me": actor.user}
    return render(request, "models_registry/delegations/index.html", context, status=status)


@login_required
@require_POST
def end(request: HttpRequest, delegation_id: UUID) -> HttpResponse:
    """End a delegation at once."""
    try:
        delegations.end(actor=Person.at(request, "web"), delegation_id=delegation_id)
    except Hidden:
        raise
    except Refused as refusal:
        messages.error(request, f"{refusal.message} {refusal.todo}".strip())
    else:
        messages.success(request, "The delegation is over.")
    return redirect("delegations")
