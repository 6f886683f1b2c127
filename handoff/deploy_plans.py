"""Write the plans that go to the deployment workers, from what is sealed and stored."""

from hashlib import sha256

import orjson
from django.conf import settings

from handoff.connections import Connected
from handoff.errors import Unavailable
from handoff.in_force import suspension_of
from handoff.models import Deployment
from handoff.plans import DeployPlan, PreviousVersion, RestorePlan, RunPlan
from models_registry.links import blob_url
from models_registry.models import Environment, ModelVersion
from models_registry.store import open_blob, verify

LINK_SECONDS = 900


def damage_in(version: ModelVersion) -> list[str]:
    """Hash everything a version is made of again, and return a sentence for each part that is not what was sealed."""
    found = []
    if sha256(version.manifest.encode()).hexdigest() != version.digest:
        found.append(f"the manifest does not hash to {version.digest}")
    sealed = {e["name"]: e["sha256"] for e in orjson.loads(version.manifest or "{}").get("elements", [])}
    for name, digest in sorted(sealed.items()):
        if not verify(digest):
            found.append(f"the element {name} in the store does not hash to {digest}, or is gone")
    if {e.name: e.blob_id for e in version.elements.all()} != sealed:
        found.append("the elements on record are not those of the manifest")
    return found


def engine_url(environment: Environment) -> str:
    """Return the address of an environment's engine. Raises Unavailable that says what to configure."""
    url = settings.ENGINE_URLS.get(environment.engine, "")
    if not url:
        raise Unavailable(
            f"{environment.name} has no engine that we know the address of.",
            code="engine_unknown",
            todo=f"Add {environment.engine or 'its engine'}=http://… to ENGINE_URLS of the deployment workers.",
        )
    return str(url)


def links_to(version: ModelVersion) -> dict[str, str]:
    """Return by digest the links to a version's elements, good for a quarter of an hour."""
    return {one.blob_id: blob_url(one.blob_id, seconds=LINK_SECONDS) for one in version.elements.all()}


def deploy_plan(deployment: Deployment, *, job_id: str, fence: int, previous: Deployment | None) -> DeployPlan:
    """Return the order to run a deployment's version, with links that are good for a quarter of an hour.

    It says whether the version, or the one to go back to, is suspended: then it is put there, and does not score.
    """
    version = deployment.version
    elements = {e.name: e for e in version.elements.all()}
    thresholds = orjson.loads(elements["thresholds"].text or "{}") if "thresholds" in elements else {}
    golden: list[dict[str, object]] = []
    if "golden" in elements:
        with open_blob(elements["golden"].blob_id) as stream:
            golden = [orjson.loads(line) for line in stream if line.strip()]
    return DeployPlan(
        job_id=job_id,
        fence=fence,
        engine_url=engine_url(deployment.environment),
        model=deployment.model.slug,
        version=str(version.number),
        digest=version.digest,
        manifest=version.manifest,
        blobs=links_to(version),
        golden=tuple(golden),
        tolerance=dict(thresholds.get("tolerance", {})),
        previous=_previous(previous) if previous else None,
        suspended=suspension_of(deployment) is not None,
    )


def _previous(live: Deployment) -> PreviousVersion:
    return PreviousVersion(str(live.version.number), live.digest, suspension_of(live) is not None)


def restore_plan(unwanted: Deployment, wanted: Deployment | None, *, job_id: str, fence: int) -> RestorePlan:
    """Return the order to serve what the records say is live, or nothing, instead of an order that failed."""
    return RestorePlan(
        job_id=job_id,
        fence=fence,
        engine_url=engine_url(unwanted.environment),
        model=unwanted.model.slug,
        unwanted=str(unwanted.version.number),
        wanted=deploy_plan(wanted, job_id=job_id, fence=fence, previous=None) if wanted else None,
    )


def run_plan(live: Deployment, streams: Connected, *, job_id: str, fence: int) -> RunPlan:
    """Return the order to run what is live over some streams."""
    return RunPlan(
        job_id=job_id,
        fence=fence,
        engine_url=engine_url(live.environment),
        model=live.model.slug,
        run=str(live.pk),
        version=str(live.version.number),
        digest=live.digest,
        **streams.as_plan(),
    )
