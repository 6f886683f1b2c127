"""What is live now, who answers for it, and what it takes."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from audit.models import Account
from audit.planning import RowsByKey
from handoff.facts import known_of
from handoff.models import Deployment, Job, OwnerOfRecord
from handoff.queries.deployments import fetch, listed, shown
from handoff.states import DeploymentState, JobState
from models_registry.access import Held
from models_registry.models import ModelVersion
from models_registry.store import open_blob

LONGEST_LINE = 1 << 20
ROWS = RowsByKey(lambda: shown(Deployment.objects.select_related("environment__organisation")), "uuid")


@dataclass(frozen=True, slots=True)
class Live:
    """One live deployment, with who answers for it now."""

    deployment: Deployment
    owner: OwnerOfRecord | None


def live_now(user: Account, held: Held | None = None) -> list[Live]:
    """Return what is live, by environment and model, with its owner of record."""
    found = listed(user, held, state=DeploymentState.LIVE).order_by("environment__name", "model__name")
    keys = list(found.values_list("pk", flat=True))
    rows = ROWS(keys)
    owners = OwnerOfRecord.objects.filter(
        model__in=[row.model_id for row in rows],
        environment__in=[row.environment_id for row in rows],
        period__upper_inf=True,
    ).select_related("person", "organisation")
    by_place = {(owner.model_id, owner.environment_id): owner for owner in owners}
    return [Live(row, by_place.get((row.model_id, row.environment_id))) for row in rows]


def owners_of(deployment: Deployment) -> list[OwnerOfRecord]:
    """Return who answered for a deployment's model in its environment, the newest first."""
    return list(
        OwnerOfRecord.objects.filter(model=deployment.model_id, environment=deployment.environment_id)
        .select_related("person", "organisation", "deployment__version")
        .order_by("-pk")[:20]
    )


def rights_on(user: Account, deployment: Deployment) -> frozenset[str]:
    """Return the roles that an account holds on a deployment's handoff."""
    return known_of(deployment.handoff).roles.get(user.pk, frozenset())


def followed(user: Account, deployment_id: UUID) -> tuple[Deployment, list[Job]]:
    """Return a deployment with the work on it that has not ended: its own order, or the rollback of it. Raises Hidden.

    The work is read first, as `jobs_of` says why.
    """
    waiting = Job.objects.filter(handoff__deployments=deployment_id, state__in=(JobState.QUEUED, JobState.RUNNING))
    jobs = list(waiting.exclude(purpose__startswith="test:"))
    deployment = fetch(user, deployment_id)
    goes_on = deployment.state in (DeploymentState.ORDERED, DeploymentState.CONFIRMING, DeploymentState.LIVE)
    return deployment, jobs if goes_on else []


def input_of(version: ModelVersion) -> tuple[str, dict[str, Any]]:
    """Return a version's input schema, and its first golden record as an example; empty where there is none."""
    elements = {element.name: element for element in version.elements.filter(name__in=("input_schema", "golden"))}
    schema = (elements["input_schema"].text or "") if "input_schema" in elements else ""
    if "golden" not in elements:
        return schema, {}
    try:
        with open_blob(elements["golden"].blob_id) as stream:
            example = orjson.loads(stream.readline(LONGEST_LINE))["input"]
    except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError):
        return schema, {}
    return schema, example if isinstance(example, dict) else {}
