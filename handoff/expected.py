"""What engines are expected to serve: decided here, and nowhere else."""

from collections import defaultdict
from typing import Any

from django.db.models import QuerySet

from handoff.connections import changed_since, connected
from handoff.executors.reconciliations import bound_by
from handoff.in_force import with_bindings, with_suspension
from handoff.models import Amendment, Deployment, Run
from handoff.models.runs import UNDER_WAY
from handoff.rules.bindings import BATCH, RUNNING
from handoff.rules.reconciliations import Wanted
from handoff.states import AmendmentState, DeploymentState
from models_registry.models import Environment

RELATED = ("model", "version", "environment", "handoff__target")


def expected() -> QuerySet[Any]:
    """Return the deployments that engines are expected to serve: what is live, with bindings and suspension."""
    live = Deployment.objects.filter(state=DeploymentState.LIVE)
    return with_suspension(with_bindings(live)).select_related(*RELATED)


def under_way() -> QuerySet[Deployment]:
    """Return the orders that an engine may have carried out already, though they are not live by the records."""
    states = (DeploymentState.ORDERED, DeploymentState.CONFIRMING)
    return Deployment.objects.filter(state__in=states).select_related("model")


def wanted_in(environment: Environment) -> list[Wanted]:
    """Return what the engine of an environment is expected to serve, by model."""
    also = defaultdict(list)
    for one in under_way().filter(environment=environment):
        also[one.model_id].append(one.digest)
    batches = defaultdict(list)
    going = Run.objects.filter(deployment__environment=environment, state__in=UNDER_WAY)
    for run, deployment in going.values_list("pk", "deployment"):
        batches[deployment].append(str(run))
    return [
        Wanted(
            deployment=str(one.pk),
            handoff=str(one.handoff_id),
            model=one.model.slug,
            version=str(one.version.number),
            digest=one.digest,
            order=one.order,
            also=tuple(also[one.model_id]),
            bound="" if also[one.model_id] or one.suspended_at else _bound(one),
            batches=tuple(batches[one.pk]),
            suspended=one.suspended_at is not None,
        )
        for one in expected().filter(environment=environment).order_by("model__slug", "pk")
    ]


def accounted_elsewhere(environment: Environment) -> set[str]:
    """Return the models and runs at an environment's engine that others account for.

    Those are other environments with the same engine, and orders that are under way.
    """
    names = set(under_way().filter(environment__engine=environment.engine).values_list("model__slug", flat=True))
    others = expected().filter(environment__engine=environment.engine).exclude(environment=environment)
    for one in others:
        names |= {one.model.slug, str(one.pk)}
    runs = Run.objects.filter(deployment__environment__engine=environment.engine, state__in=UNDER_WAY)
    return names | {str(run) for run in runs.values_list("pk", flat=True)}


def _bound(live: Any) -> str:
    """Return the hash of what a run that goes without end should be bound to; nothing where none should go by now."""
    mode = live.bindings.get("mode")
    if mode not in RUNNING or mode == BATCH or changed_since(live.handoff, live.bindings):
        return ""
    if Amendment.objects.filter(deployment=live, state=AmendmentState.APPLYING).exists():
        return ""
    streams = connected(live.handoff, live.bindings)
    return bound_by(live.digest, streams.as_plan()) if streams else ""
