"""What each role answers for, in the browser: understood, documented, enforced; and the RACI matrix."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from audit.actors import Person, actor_at
from audit.errors import Hidden, Refused
from models_registry import duties as reads
from models_registry.roles import Role
from models_registry.services import duties


@login_required
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Show every role in three columns, with gaps, and who answers for which activity."""
    return _page(request)


@login_required
@require_POST
def acknowledge(request: HttpRequest, role: str) -> HttpResponse:
    """Take on what a role answers for, as the page showed it."""
    try:
        duties.acknowledge(actor=Person.at(request, "web"), role=role, seen=request.POST.get("seen", ""))
    except Hidden:
        raise
    except Refused as refusal:
        return _page(request, refusal)
    messages.success(request, f"You have acknowledged what {Role(role).label} answers for.")
    return redirect("duties")


def _page(request: HttpRequest, problem: Refused | None = None) -> HttpResponse:
    user = actor_at(request, "web").user
    raci = reads.matrix()
    context = {
        "duties": reads.duties_for(user),
        "raci": raci,
        "rows": reads.rows_of(raci),
        "roles": [role.label for role in Role],
        "left": reads.to_reassign(user),
        "problem": problem,
    }
    return render(request, "models_registry/duties/index.html", context, status=problem.status if problem else 200)
