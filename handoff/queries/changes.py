"""Every change in a period as one table: the population from which an auditor draws a sample."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Prefetch, QuerySet

from audit.models import Account
from handoff.access import handoffs_visible_to
from handoff.errors import Invalid
from handoff.models import Deployment, Handoff, SignOff
from handoff.rules.tables import Row

RELATED = ("model", "version", "source", "target", "drafted_by", "offered_by", "policy_revision__policy", "return_note")
HEADINGS = (
    "handoff", "model", "number", "version", "digest", "source", "target", "risk_tier", "model_type", "state",
    "policy", "drafted_by", "drafted_at", "offered_by", "offered_at", "sign_offs", "ended_sign_offs", "tests",
    "first_live_at", "deployments", "returned_because",
)  # fmt: skip
A_TIME = 500


def changes(user: Account, since: datetime, until: datetime) -> QuerySet[Handoff]:
    """Return the handoffs that were offered from one instant up to another, as far as an account may know of them.

    Raises Invalid for a period that ends before it begins.
    """
    if since >= until:
        raise Invalid("The period ends before it begins.", fields={"until": "is not after since"})
    found = handoffs_visible_to(user).filter(offered_at__gte=since, offered_at__lt=until)
    return found.select_related(*RELATED).order_by("offered_at", "pk")


def rows(found: QuerySet[Handoff]) -> Iterator[Row]:
    """Give the table line by line, its headings first; five hundred handoffs in memory, four queries for them."""
    yield HEADINGS
    parts = found.prefetch_related(
        Prefetch("signoffs", SignOff.objects.order_by("signed_at")),
        "tests",
        Prefetch("deployments", Deployment.objects.select_related("environment").order_by("ordered_at")),
    )
    for handoff in parts.iterator(A_TIME):
        yield _row(handoff)


def _row(handoff: Handoff) -> Row:
    signoffs, deployments = list(handoff.signoffs.all()), list(handoff.deployments.all())
    returned: Any = getattr(handoff, "return_note", None)
    live = [one.live_at for one in deployments if one.live_at]
    return (
        str(handoff.pk),
        handoff.model.slug,
        handoff.number,
        handoff.version.number,
        handoff.version.digest,
        handoff.source.slug,
        handoff.target.slug,
        handoff.model.risk_tier,
        handoff.model.model_type,
        handoff.state,
        handoff.under,
        handoff.drafted_by.printed_name,
        handoff.drafted_at.isoformat(),
        handoff.offered_by.printed_name if handoff.offered_by else "",
        handoff.offered_at.isoformat() if handoff.offered_at else "",
        "; ".join(_signed(one) for one in signoffs if one.voided_at is None),
        "; ".join(f"{_signed(one)} ({one.voided_because})" for one in signoffs if one.voided_at is not None),
        "; ".join(f"{one.kind} {one.verdict}" for one in handoff.tests.all()),
        min(live).isoformat() if live else "",
        "; ".join(f"{one.environment.slug} {one.state}" for one in deployments),
        ", ".join(returned.reasons) if returned else "",
    )


def _signed(one: SignOff) -> str:
    return f"{one.role} {one.printed_name} {one.decision} {one.signed_at.isoformat(timespec='seconds')}"
