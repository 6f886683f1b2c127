"""Registered models in the browser."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from audit.actors import actor_at
from audit.errors import Hidden, Refused
from audit.planning import planned_once
from models_registry import queries
from models_registry.access import find_model, roles_on
from models_registry.models import RegisteredModel
from models_registry.roles import Role
from models_registry.services import registered_models
from models_registry.web.forms import ModelChangeForm, ModelForm, tell

PER_PAGE = 50


@login_required
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Show the models that I may read."""
    filters = {
        name: request.GET.get(name, "").replace("\0", "").strip() for name in ("text", "risk_tier", "model_type")
    }
    found = queries.models_listed(actor_at(request, "web").user, **filters)
    with planned_once():
        page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
        first = PER_PAGE * (page.number - 1)
        keys = list(found[first : first + PER_PAGE].values_list("pk", flat=True))  # a short page in a full one's words
    page.object_list = queries.ROWS(keys)
    context = {
        "page": page,
        "filters": filters,
        "filtered": any(filters.values()),
        "tiers": RegisteredModel.RiskTier.choices,
        "types": RegisteredModel.ModelType.choices,
    }
    return render(request, "models_registry/registered_models/index.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Register a model."""
    form = ModelForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            model = registered_models.register(actor=actor_at(request, "web"), **form.cleaned_data)
        except Refused as refusal:
            tell(form, refusal)
        else:
            messages.success(request, f"{model.name} is registered. You are its data scientist; start a version next.")
            return redirect("model", model.slug)
    status = 422 if form.errors else 200
    return render(request, "models_registry/registered_models/new.html", {"form": form}, status=status)


@login_required
@require_safe
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a model: what it is for, who answers for it, and its versions."""
    actor = actor_at(request, "web")
    model = find_model(actor, slug)
    context = {
        "model": model,
        "versions": queries.versions_listed(actor, slug),
        "holdings": queries.holdings(model),
        "may_build": Role.DATA_SCIENTIST in roles_on(actor.user, model=model),
    }
    return render(request, "models_registry/registered_models/detail.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, slug: str) -> HttpResponse:
    """Change how a model is described, say of which type it is, or raise its risk tier."""
    actor = actor_at(request, "web")
    model = find_model(actor, slug)
    form = ModelChangeForm(request.POST or None, model=model)
    status = 200
    if request.method == "POST" and form.is_valid():
        values = {name: form.cleaned_data[name] for name in form.changed_data if name != "seen"}
        try:
            if values:
                registered_models.change(actor=actor, slug=slug, revision=form.cleaned_data["seen"], **values)
        except Hidden:
            raise
        except Refused as refusal:
            tell(form, refusal)
            status = refusal.status
        else:
            messages.success(request, f"{values.get('name', model.name)} is described as you say.")
            return redirect("model", slug)
    status = 422 if form.errors and status == 200 else status
    context = {"model": model, "form": form}
    return render(request, "models_registry/registered_models/change.html", context, status=status)
