"""Count the SQL queries of requests, on a site where something of everything has happened."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from audit.actors import Worker
from audit.models import Account, TreeHead
from audit.sealing import seal_all
from handoff import queue
from handoff.models import (
    Amendment,
    BreakGlass,
    Deployment,
    Handoff,
    Job,
    PolicyRevision,
    Reauthentication,
    Replay,
    Run,
    SignOff,
)
from handoff.plans import DeployReport
from handoff.queries.signing import sheet_for
from handoff.services import deployments, handoffs, jobs, policies, signoffs
from models_registry.links import blob_url
from models_registry.models import (
    Consumer,
    Environment,
    EnvironmentUserGrant,
    ImportException,
    ModelVersion,
    Organisation,
    RegisteredModel,
    RegisteredModelUserGrant,
)
from models_registry.services import consumers, profiles, streams
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import by


@dataclass
class Site:
    """A place, one handoff in each state that differs, and the clients of its people."""

    place: Place
    handoffs: dict[str, Handoff] = field(default_factory=dict)
    draft_version: ModelVersion | None = None
    deployment: Deployment | None = None
    batch: Deployment | None = None
    signed_in: dict[str, Client] = field(default_factory=dict)

    def browser(self, who: str) -> Client:
        """Return the browser in which somebody is signed in."""
        return self.signed_in.setdefault(f"web {who}", walking.client_of(self.place.people[who]))

    def api(self, who: str) -> Client:
        """Return somebody's client of the API, with a real token."""
        if f"api {who}" not in self.signed_in:
            token = AuthToken.objects.create(user=self.place.people[who])[1]
            self.signed_in[f"api {who}"] = APIClient(headers={"Authorization": f"Bearer {token}"})
        return self.signed_in[f"api {who}"]

    def names(self) -> dict[str, Any]:
        """Return what addresses are filled in with."""
        found = {state: str(handoff.pk) for state, handoff in self.handoffs.items()}
        live = self.handoffs["live"]
        link = blob_url(live.version.elements.get(name="golden").blob_id, seconds=3600).partition(settings.SITE_URL)[2]
        consumer = Consumer.objects.get(name="Ward board", stream__slug="scores").pk
        exception = ImportException.objects.get(version="2.5.0").pk
        return {
            **found,
            "signoff": str(live.signoffs.first().pk),
            "glass": str(BreakGlass.objects.get().pk),
            "consumer": str(consumer),
            "exception": str(exception),
            "amendment": str(Amendment.objects.filter(deployment=self.deployment).latest("number").pk),
            "deployment": str(self.deployment and self.deployment.pk),
            "batch": str(self.batch and self.batch.pk),
            "link": link,
            "sealed": str(TreeHead.objects.latest("size").size),
        }


def a_site() -> Site:
    """Walk handoffs of one model up to every state whose page differs, the first of them live."""
    place = walking.a_site()
    for _ in range(2):
        profiles.report(actor=by(place.otto), environment="production", content=building.a_profile())
    versions = iter([building.a_version(place, number, latency_p99_ms=100 + number) for number in range(1, 8)])
    first = building.tested(signed(place, next(versions)))
    approve(first, place.otto, "release")
    deployment = deployed(first)
    site = Site(place, {"live": first}, deployment=deployment)
    site.handoffs["draft"] = walking.drafted(place, next(versions))
    site.handoffs["offered"] = walking.offered(place, next(versions))
    site.handoffs["answered"] = walking.answered(place, walking.offered(place, next(versions)))
    site.handoffs["testing"] = signed(place, next(versions))
    site.handoffs["ready"] = building.tested(signed(place, next(versions)))
    a_sink(place)
    an_exception(place, "2.5.0")
    a_replay(first, place)
    site.batch = a_batch(place)
    for one in (site.batch, deployment):
        a_run(one, place)
    an_amendment(deployment, place)
    site.draft_version = ModelVersion.objects.create(
        model=place.model, number=20, format="onnx", created_by=place.dana, notes="a draft"
    )
    BreakGlass.objects.create(
        handoff=site.handoffs["offered"], gate="review", reason="It is down.", incident="INC-7",
        asked_by=place.edda, confirm_by=timezone.now() + timedelta(hours=1),
    )  # fmt: skip
    seal_all()
    return site


def a_sink(place: Place, slug: str = "scores", environment: str = "production") -> Consumer:
    """Declare a sink that feeds a consumer."""
    table = {"transport": "sql", "location": {"url": "postgresql://db.example/scores", "table": "scores"}}
    told = {"slug": slug, "direction": "sink", "owner": "otto", "purpose": "Scores."}
    streams.declare(actor=by(place.otto), environment=environment, descriptor=table, **told)
    return a_consumer(place, "Ward board", slug, environment)


def an_exception(place: Place, version: str, **answer: Any) -> ImportException:
    """Write that dana asked for an exception, and perhaps what was answered."""
    asked = {"library": "torch", "version": version, "reason": "The weights need it.", "asked_by": place.dana}
    return ImportException.objects.create(environment=place.target, **asked, **answer)


def an_amendment(deployment: Deployment, place: Place, number: int = 1) -> Amendment:
    """Write that iris proposed to feed an archive, too."""
    bindings = deployment.handoff.bindings
    change = {"kind": "sink_added", "part": "outputs", "what": "archive", "before": "nothing", "after": "all fields"}
    signs = {"key": "integration-owner", "role": "integration_owner", "meaning": "approval"}
    return Amendment.objects.create(
        deployment=deployment, number=number, reason="The archive wants them.", before=bindings, bindings=bindings,
        changes=[change], requirements=[signs],
        proposed_by=place.iris, expires_at=timezone.now() + timedelta(days=30),
    )  # fmt: skip


def a_replay(handoff: Handoff, place: Place, number: int = 1) -> Replay:
    """Keep a replay that found one field to differ."""
    ended = {"state": "done", "ended_at": timezone.now()}
    job = Job.objects.create(
        handoff=handoff, purpose=f"replay:{number}", queue="deployments", task=queue.REPLAY, **ended
    )
    side = {"stream": "patients", "environment": "production", "digest": "0" * 64, "descriptor": {}}
    examples = [{"creation": 1, "production": 2, "kind": "value", "cause": ""}]
    differs = {"field": "radius", "differing": 1, "kinds": {"value": 1}, "examples": examples}
    read = {"records": 1, "rejects": {}, "missing": 0, "twins": 0}
    report = {"equal": False, "compared": 1, "fields": [differs], "creation": read, "production": read}
    return Replay.objects.create(
        handoff=handoff, number=number, job=job, version_digest=handoff.version.digest, creation=side, production=side,
        ordered_by=place.otto, outcome="not_equal", report=report, ended_at=timezone.now(),
    )  # fmt: skip


def a_batch(place: Place) -> Deployment:
    """Walk a batch with a schedule up to where it is live."""
    other = RegisteredModel.objects.create(
        slug="nightly", name="Nightly", purpose="Tests", owner_team="Lab", created_by=place.dana
    )
    for who, role in (("dana", "data_scientist"), ("vera", "validator"), ("rita", "risk_compliance")):
        building._grant(RegisteredModelUserGrant, place.people[who], role, other)
    more = Place(other, place.source, place.target, place.people)
    bindings = building.batch_streams(place) | {"schedule": {"cron": "0 2 * * *", "zone": "Europe/Berlin"}}
    draft = walking.drafted(more, building.a_version(more), bindings=bindings)
    handoff = walking.answered(more, handoffs.offer(actor=by(place.dana), handoff_id=str(draft.pk)))
    approve(handoff, place.vera, "validation")
    approve(handoff, place.otto, "acceptance")
    approve(building.tested(handoff), place.otto, "release")
    return deployed(handoff)


def a_run(deployment: Deployment, place: Place, number: int = 1) -> Run:
    """Keep a run that somebody asked for and that has ended."""
    now = timezone.now()
    told = {"cause": "demand", "asked_by": place.otto, "reason": "The ward asks.", "state": "finished"}
    return Run.objects.create(deployment=deployment, number=number, began_at=now, ended_at=now, **told)


def a_consumer(place: Place, name: str, stream: str, environment: str = "production") -> Consumer:
    """Add a consumer to a sink."""
    told = {"kind": "dashboard", "purpose": "Who is seen first.", "criticality": "high", "effect": "Patients wait."}
    where = {"environment": environment, "stream": stream}
    return consumers.add(actor=by(place.iris), name=name, owner="otto", fields=["score"], **told, **where)


def signed(place: Place, version: ModelVersion) -> Handoff:
    """Return a handoff whose review gate has opened."""
    handoff = walking.answered(place, walking.offered(place, version))
    approve(handoff, place.vera, "validation")
    approve(handoff, place.otto, "acceptance")
    return handoff


def proof_of(who: Account) -> str:
    """Return a fresh confirmation of who somebody is, without the slow hash of a password."""
    expires = timezone.now() + timedelta(minutes=5)
    return str(Reauthentication.objects.create(person=who, method="password", expires_at=expires).pk)


def signature(handoff: Handoff, who: Account, requirement: str) -> dict[str, Any]:
    """Return the body that approves what is there now."""
    sheet = sheet_for(who, handoff.pk, requirement)
    said = {"requirement": requirement, "decision": "approve", "meaning": sheet.rule.meaning, "seen": sheet.seen}
    return {**said, "reauthentication": proof_of(who)}


def approve(handoff: Handoff, who: Account, requirement: str) -> SignOff:
    """Approve what is there now."""
    done = signoffs.sign(actor=by(who), handoff_id=str(handoff.pk), **signature(handoff, who, requirement))
    handoff.refresh_from_db()
    return done


def deployed(handoff: Handoff) -> Deployment:
    """Report a deployment as a worker does whose engine serves the version."""
    job = handoff.jobs.get(task=queue.DEPLOY)
    claimed = jobs.claim(job.pk, "worker", task=queue.DEPLOY)
    assert claimed is not None
    assert deployments.begin(claimed.pk, claimed.fence) is not None
    report = DeployReport(True, "it is live", ({"step": "swap", "ok": True},))
    deployments.finish(claimed.pk, claimed.fence, report, actor=Worker("worker"))
    handoff.refresh_from_db()
    assert handoff.state == "live"
    return handoff.deployments.get()


def add_more(site: Site, number: int) -> None:
    """Add one more of everything that lists show: a model with its version, an environment, a handoff, a policy."""
    place = site.place
    kept = {"purpose": "Tests", "owner_team": "Lab", "created_by": place.dana}
    other = RegisteredModel.objects.create(slug=f"model-{number}", name=f"Model {number}", **kept)
    grants = (("dana", "data_scientist"), ("vera", "validator"), ("rita", "risk_compliance"))
    for who, role in grants:
        building._grant(RegisteredModelUserGrant, place.people[who], role, other)
    lab = Organisation.objects.create(slug=f"lab-{number}", name=f"Lab {number}")
    where = Environment.objects.create(
        slug=f"place-{number}", name=f"Place {number}", kind="test", organisation=lab, owner=place.otto, python="3.11.7"
    )
    building._grant(EnvironmentUserGrant, place.otto, "it_operations", where)
    more = Place(other, place.source, place.target, place.people)
    handoff = building.tested(signed(more, building.a_version(more, 1, latency_p99_ms=200 + number)))
    approve(handoff, place.otto, "release")
    deployed(handoff)
    walking.offered(more, building.a_version(more, 2, latency_p99_ms=400 + number))
    building.a_version(place, 100 + number, latency_p99_ms=600 + number)
    a_policy(place, number)
    a_replay(site.handoffs["live"], place, number + 1)
    assert site.batch is not None
    a_run(site.batch, place, number + 1)
    a_sink(place, f"scores-{number}")
    a_consumer(place, f"Ward {number}", "scores")
    an_exception(place, f"1.{number}")
    told = {"answer": "granted", "answered_by": place.otto, "answered_at": timezone.now()}
    an_exception(place, f"2.{number}.1", until=timezone.localdate(), **told)
    holder = building.person(f"holder-{number}")
    building._grant(RegisteredModelUserGrant, holder, "validator", place.model)
    building._grant(EnvironmentUserGrant, holder, "integration_owner", place.target)


def a_policy(place: Place, number: int) -> PolicyRevision:
    """Publish another revision of a policy for staging."""
    source = (
        f"policy: more\ntitle: Policy {number}\n"
        "applies_to: {risk_tiers: [high], target_kinds: [staging]}\ntests: [integrity]\n"
        "gates:\n  review: {signoffs: [{key: validation, role: validator, meaning: review}]}\n"
        "  release: {signoffs: [{key: release, role: it_operations, meaning: approval}]}\n"
    )
    return policies.publish(actor=by(place.ada), source=source)


def sql_of(client: Client, method: str, path: str, body: Any = None, status: int = 200, **more: Any) -> list[str]:
    """Return the SQL of one request that must be answered as it should."""
    send = getattr(client, method)
    with CaptureQueriesContext(connection) as captured:
        answer = send(path, body, **more) if body is not None else send(path, **more)
        if answer.streaming:
            list(answer)
    assert answer.status_code == status, (path, answer.status_code, getattr(answer, "content", b"")[:600])
    return [query["sql"] for query in captured.captured_queries]
