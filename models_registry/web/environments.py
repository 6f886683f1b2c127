"""Environments in the browser."""

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from audit.actors import actor_at
from models_registry import queries
from models_registry.access import may_ask
from models_registry.models import Environment
from models_registry.rules.import_policies import rows_of
from models_registry.web.streams import keeps_streams


@login_required
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Show the environments that I may read."""
    kind = request.GET.get("kind", "")
    kind = kind if kind in Environment.Kind.values else ""
    found = queries.environments_listed(actor_at(request, "web").user, kind=kind)
    context = {"environments": found, "kind": kind, "kinds": Environment.Kind.choices}
    return render(request, "models_registry/environments/index.html", context)


@login_required
@require_safe
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show an environment: what runs there, under which rules, and who answers for it."""
    actor = actor_at(request, "web")
    found = queries.environment(actor, slug)
    policy = found.import_policy or {}
    holding = list(queries.exceptions_holding([found]))
    context = {
        "environment": found,
        "streams": queries.streams_of(found),
        "may_keep_streams": keeps_streams(actor.user, found),
        "newest": queries.newest_profile(found),
        "site_url": settings.SITE_URL,
        "holdings": queries.holdings(found),
        "packages": sorted(found.packages.items()),
        "rules": rows_of(policy),
        "let_in": [one for one in holding if one.answer],
        "open_requests": [one for one in holding if not one.answer],
        "owned_since": queries.owned_since(found),
        "may_ask": may_ask(actor.user, found),
        "default": policy.get("default", "warn"),
        "licences": policy.get("licences", []),
    }
    return render(request, "models_registry/environments/detail.html", context)
