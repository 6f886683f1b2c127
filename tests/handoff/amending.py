"""A version that is live over streams, without an engine; and its amendments, proposed and signed."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from audit.actors import Person, Worker
from audit.models import Account
from handoff import queue
from handoff.connections import pinned
from handoff.models import Amendment, AmendmentSignOff, Deployment, Handoff, Reauthentication
from handoff.plans import AmendReport, DeployReport
from handoff.queries.amendments import sheet_for
from handoff.rules.bindings import read_bindings
from handoff.services import amendments, applying, deployments, jobs
from models_registry.models import EnvironmentUserGrant
from models_registry.services import consumers, streams
from tests.handoff import building, walking
from tests.handoff.building import Place

PATIENTS = {
    "transport": "valkey",
    "encoding": "json",
    "location": {"url": "redis://broker.example:6379/0", "stream": "patients", "group": "tumours"},
}
OTHERS = {**PATIENTS, "location": {**PATIENTS["location"], "stream": "others"}}  # type: ignore[dict-item]
TABLE = {"transport": "sql", "location": {"url": "postgresql://db.example/scores", "table": "scores"}}
DISCARD = {"transport": "discard"}
BINDINGS = {"mode": "stream", "input": {"stream": "patients"}, "outputs": [{"stream": "scores"}]}
BOARD = {
    "name": "Ward board", "kind": "dashboard", "owner": "otto", "purpose": "Who is seen first.", "criticality": "high",
    "effect": "Patients wait.",
}  # fmt: skip


def streamed(place: Place) -> Place:
    """Declare two sources and three sinks in production, with a consumer of the first sink; edda is the engineer."""
    place.people |= {"edda": building.person("edda")}
    building._grant(EnvironmentUserGrant, place.edda, "analytic_engineer", place.target)
    for account in place.people.values():
        account.password = walking._hashed(settings.PASSWORD_HASHERS[0])
        account.save(update_fields=["password"])
    declared = [("patients", "source", PATIENTS), ("others", "source", OTHERS), ("scores", "sink", TABLE)]
    for slug, direction, descriptor in [*declared, ("archive", "sink", DISCARD), ("lake", "sink", DISCARD)]:
        streams.declare(
            actor=Person(place.otto, "test"), environment="production", slug=slug, direction=direction,
            descriptor=descriptor, owner="otto",
        )  # fmt: skip
    consumers.add(
        actor=Person(place.iris, "test"), environment="production", stream="scores", fields=["label"], **BOARD
    )
    return place


def released(place: Place, number: int = 1, quality: str = "good", bindings: Any = None) -> Handoff:
    """Return a handoff over the streams whose deployment is queued."""
    pins = pinned(read_bindings(bindings or BINDINGS), place.target)
    version, policy = building.a_version(place, number, quality), building.a_policy(("integrity",))
    handoff = building.open_review(place, building.offered(place, version, policy, pins))
    return building.open_release(place, building.tested(handoff))


def live(place: Place, number: int = 1, quality: str = "good", bindings: Any = None) -> Deployment:
    """Return a deployment that went live, as far as the records say."""
    job = released(place, number, quality, bindings).jobs.get(task=queue.DEPLOY)
    claimed = jobs.claim(job.pk, "worker", task=queue.DEPLOY)
    assert claimed is not None
    assert deployments.begin(claimed.pk, claimed.fence) is not None
    done = DeployReport(True, "it is live", ())
    return deployments.finish(claimed.pk, claimed.fence, done, actor=Worker("worker"))


def proposed(deployment: Deployment, who: Account, **more: Any) -> Amendment:
    """Propose to write into the archive, too, or something else."""
    told = more or {"sinks": [{"stream": "scores"}, {"stream": "archive"}]}
    return amendments.propose(
        actor=Person(who, "test"), deployment_id=deployment.pk, reason="The archive wants them.", **told
    )


def proof(who: Account) -> str:
    """Return a fresh confirmation of who somebody is."""
    expires = timezone.now() + timedelta(minutes=5)
    return str(Reauthentication.objects.create(person=who, method="password", expires_at=expires).pk)


def signature(amendment: Amendment, who: Account, **more: Any) -> dict[str, Any]:
    """Return what somebody sends to approve what is there now."""
    sheet = sheet_for(who, amendment.pk)
    key = next((one.key for one in sheet.wanted if one.mine), sheet.wanted[0].key)
    return {"requirement": key, "decision": "approve", "meaning": "approval", "seen": sheet.seen, **more}


def sign(amendment: Amendment, who: Account, **more: Any) -> AmendmentSignOff:
    """Approve what is there now, or decide otherwise."""
    body = {"reauthentication": proof(who), **signature(amendment, who, **more)}
    return amendments.sign(actor=Person(who, "test"), amendment_id=amendment.pk, **body)


def work(amendment: Amendment, report: AmendReport | None = None) -> Amendment:
    """Let a worker apply an amendment that is signed, with an engine that does what it is told, or tells otherwise."""
    amendment.refresh_from_db()
    assert amendment.job is not None
    claimed = jobs.claim(amendment.job.pk, "worker", task=queue.AMEND)
    assert claimed is not None
    if applying.begin(claimed.pk, claimed.fence) is not None:
        done = report or AmendReport(applied=True, restored=False, steps=(), state={"state": "running"})
        applying.finish(claimed.pk, claimed.fence, done, actor=Worker("worker"))
    amendment.refresh_from_db()
    return amendment
