"""The tree over the trail in the browser: signed heads, the keys that signed them, and the proof of one event."""

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from audit import proofs, queries
from audit.actors import actor_at
from audit.models import HeadAnchor, SigningKey


@login_required
@require_safe
def heads(request: HttpRequest) -> HttpResponse:
    """Show the signed heads, the newest first, and the site's public keys."""
    found = queries.heads(actor_at(request, "web").user).order_by("-size").defer("envelope", "peaks")
    found = found.prefetch_related(Prefetch("anchors", HeadAnchor.objects.defer("stamp")))
    page = Paginator(found, 50).get_page(request.GET.get("page"))
    shown = [(head, bytes(head.root).hex()) for head in page.object_list]
    keys = [(key, bytes(key.public_key).hex()) for key in SigningKey.objects.order_by("-registered_at")]
    return render(request, "audit/heads.html", {"page": page, "heads": shown, "keys": keys})


@login_required
@require_safe
def proof(request: HttpRequest) -> HttpResponse:
    """Show what proves that an event is in the tree."""
    number = request.GET.get("seq", "")
    seq = int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0
    chain = request.GET.get("chain", "").replace("\0", "")
    event = queries.event(actor_at(request, "web").user, chain, seq)
    found = proofs.inclusion(event)
    context = {
        "event": event,
        "leaf": found.leaf,
        "head": found.head,
        "root": bytes(found.head.root).hex(),
        "hash": bytes(found.leaf.hash).hex(),
        "path": [one.hex() for one in found.path],
    }
    return render(request, "audit/proof.html", context)
