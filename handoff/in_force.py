"""What is in force: bindings, as signed or as the newest amendment left them; and the suspension of what is live."""

from collections.abc import Mapping
from typing import Any

from django.db.models import F, JSONField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from handoff.models import Amendment, Deployment, Handoff, Suspension
from handoff.rules.reports import as_signed
from handoff.states import OPEN, AmendmentState, DeploymentState
from models_registry.models import Stream


def _applied() -> QuerySet[Amendment]:
    """Return the amendments that were applied, the newest first; the numbers of orders only rise."""
    return Amendment.objects.filter(state=AmendmentState.APPLIED).order_by("-order")


def bindings_of(handoff: Handoff) -> dict[str, Any]:
    """Return the bindings of a handoff that are in force now.

    Nothing is amended before it was live. After a rollback the version comes back with the bindings that it had last.
    """
    if handoff.state in OPEN:
        return dict(handoff.bindings)
    amended = _applied().filter(deployment__handoff=handoff).values_list("bindings", flat=True).first()
    return dict(handoff.bindings if amended is None else amended)


def report_of(handoff: Handoff) -> dict[str, Any]:
    """Return the report of a handoff as people have signed it: with what amendments put into the place of its items."""
    report: Mapping[str, Any] = handoff.report or {}
    if handoff.state in OPEN:
        return dict(report)
    amended = _applied().filter(deployment__handoff=handoff).values_list("report", flat=True).first()
    return as_signed(report, amended or {})


def with_bindings(deployments: QuerySet[Deployment]) -> QuerySet[Any]:
    """Return deployments that know, as `bindings`, those that are or were in force for them."""
    of_its_handoff = _applied().filter(
        deployment__handoff=OuterRef("handoff"), deployment__order__lte=OuterRef("order")
    )
    newest = Subquery(of_its_handoff.values("bindings")[:1])
    return deployments.annotate(bindings=Coalesce(newest, F("handoff__bindings"), output_field=JSONField()))


def suspension_of(deployment: Deployment) -> Suspension | None:
    """Return the suspension under which a deployment is now, with who suspended it and for which finding."""
    open_ = Suspension.objects.filter(deployment=deployment.pk, ended_at=None)
    return open_.select_related("suspended_by", "finding").first()


def with_suspension(deployments: QuerySet[Any]) -> QuerySet[Any]:
    """Return deployments that know, as `suspended_at`, since when they are suspended; nothing where they are not."""
    open_ = Suspension.objects.filter(deployment=OuterRef("pk"), ended_at=None)
    return deployments.annotate(suspended_at=Subquery(open_.values("suspended_at")[:1]))


def bindings_for(deployment: Deployment) -> dict[str, Any]:
    """Return the bindings that are in force for a deployment; one that was fetched with them costs no query."""
    known = deployment.__dict__.get("bindings")
    return bindings_of(deployment.handoff) if known is None else dict(known)


def bound_to(stream: Stream) -> QuerySet[Any]:
    """Return the live deployments that write into a sink."""
    live = Deployment.objects.filter(environment=stream.environment_id, state=DeploymentState.LIVE)
    return with_bindings(live).filter(bindings__outputs__contains=[{"stream": stream.slug}])
