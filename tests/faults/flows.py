"""What is going on while something breaks, and what a person does who finds it undone: press the same button again."""

from dataclasses import dataclass, field
from hashlib import sha256

from django.db import transaction

from audit.actors import Person
from audit.models import AuditEvent
from audit.trail import record
from handoff import queue
from handoff.going_live import previous_of
from handoff.models import Deployment, Handoff, Job, PromotionTest
from handoff.moves import chain_of
from handoff.services import deployments
from handoff.states import JobState, State
from models_registry import store
from models_registry.models import Element
from models_registry.services import versions
from tests.faults.stand import Child, Stand
from tests.handoff import building

WAITING = [JobState.QUEUED, JobState.RUNNING]


@dataclass
class Flow:
    """One act and the work that follows from it."""

    stand: Stand
    presses: int = 0
    handoff: Handoff = field(init=False)

    def prepare(self) -> None:
        """Bring everything to where the act can begin."""

    def go(self) -> None:
        """Begin."""

    def outcome(self) -> str:
        """Return what has come of it; nothing while something is still to be done."""
        raise NotImplementedError

    def blobs(self) -> list[str]:
        """Return the digests of what may be damaged in the store."""
        return [self.handoff.version.elements.get(name="thresholds").blob_id]

    def jobs(self) -> list[Job]:
        """Return the work of this flow."""
        return list(self.handoff.jobs.all())

    def wrong(self) -> list[str]:
        """Return what was done twice, or not to its end."""
        found = [f"lost: {job} is still {job.state}" for job in self.jobs() if job.state in WAITING]
        for job in self.jobs():
            if job.state == JobState.DONE and job.task == queue.RUN_TEST:
                results = PromotionTest.objects.filter(job=job).count()
                found += [f"doubled: {job} has {results} results"] if results != 1 else []
        went_live = AuditEvent.objects.filter(
            action="deployment.live", subject__in=[f"deployment:{d.pk}" for d in self.handoff.deployments.all()]
        )
        subjects = list(went_live.values_list("subject", flat=True))
        found += [f"doubled: {one} went live twice" for one in set(subjects) if subjects.count(one) > 1]
        return found

    def busy(self) -> bool:
        """Tell whether work is waiting or going on."""
        return Job.objects.filter(handoff__model=self.stand.place.model, state__in=WAITING).exists()


def offered(place: building.Place, number: int, test: str) -> Handoff:
    """Return a handoff of a new version in review, and on the trail how it came there; its policy asks one test."""
    # One element that no other version has, so that the engine has something to fetch.
    version = building.a_version(place, number, ("good", "other")[number % 2], latency_p99_ms=100 + number)
    handoff = building.offered(place, version, building.a_policy((test,)))
    with transaction.atomic():
        data = {"from": State.DRAFT, "to": State.IN_REVIEW}
        actor = Person(place.dana, "test")
        record("handoff.moved", actor=actor, on=handoff, chain=chain_of(handoff), data=data)
    return handoff


class Deploy(Flow):
    """The last signature of the release is given, and a worker makes the version live."""

    def prepare(self) -> None:
        self.handoff = handoff = offered(self.stand.place, self.stand.number(), "integrity")
        self.stand.ringing = True
        self._sign("review", "vera")
        handoff.refresh_from_db()
        for job in handoff.jobs.filter(state=JobState.QUEUED):
            self.stand.until("the test is taken", lambda job=job: not _waits(job))
        handoff.refresh_from_db()
        assert handoff.state == State.READY, handoff.state

    def _sign(self, gate: str, who: str) -> None:
        signoff = building.sign(self.handoff, gate, self.stand.place.people[who])
        self.stand.promised.append(str(signoff.pk))

    def go(self) -> None:
        self._sign("release", "otto")

    def outcome(self) -> str:
        if self.busy():
            return ""
        self.handoff.refresh_from_db()
        if self.handoff.state == State.READY:
            self._press()
            return ""
        return {State.LIVE: "live", State.RETURNED: "returned"}.get(State(self.handoff.state), "")

    def _press(self) -> None:
        """Deploy again, as IT operations; whoever finds the gate shut is told what is missing."""
        self.presses += 1
        self.stand.clock = 0  # whoever looks into it sets the clock right
        assert self.presses < 4, "somebody presses again and again, and nothing comes of it"
        deployments.retry(actor=Person(self.stand.place.otto, "test"), handoff_id=self.handoff.pk)


def _waits(job: Job) -> bool:
    job.refresh_from_db()
    return job.state in WAITING


class Sign(Deploy):
    """The signature is given by a web process that breaks; the person signs again if they were not told that it is."""

    signing: Child

    def go(self) -> None:
        self.signing = self._signing(self.stand.clock)

    def _signing(self, clock: int) -> Child:
        return self.stand.run("sign", str(self.handoff.pk), "release", "otto", clock=clock)

    def outcome(self) -> str:
        if self.signing.state:
            return ""
        told = self.signing.told
        if "signoff" in told and told["signoff"] not in self.stand.promised:
            self.stand.promised.append(told["signoff"])
        if not self.handoff.signoffs.filter(gate="release", voided_at=None).exists():
            self.presses += 1
            self.stand.clock = 0
            assert self.presses < 4, "somebody signs again and again, and nothing comes of it"
            self.signing = self._signing(0)
            return ""
        return super().outcome()


class Test(Deploy):
    """The last signature of the review is given, and a worker runs the tests."""

    def prepare(self) -> None:
        self.handoff = offered(self.stand.place, self.stand.number(), "golden")

    def go(self) -> None:
        self._sign("review", "vera")

    def outcome(self) -> str:
        if self.busy():
            return ""
        self.handoff.refresh_from_db()
        states = {State.READY: "ready", State.RETURNED: "returned"}
        return states.get(State(self.handoff.state), "")


class Rollback(Deploy):
    """What is live is rolled back to the version before."""

    before: Deployment
    live: Deployment

    def prepare(self) -> None:
        while previous_of(self._live()) is None:
            self._one_more()
        self._one_more()
        self.live = self._live()
        before = previous_of(self.live)
        assert before is not None
        self.before, self.handoff = before, self.live.handoff

    def _one_more(self) -> None:
        Deploy.prepare(self)
        Deploy.go(self)
        self.stand.until("a version is live", lambda: Deploy.outcome(self) == "live")

    def _live(self) -> Deployment:
        """Return what is live; what was never written where nothing is, so that there is nothing before it."""
        place = self.stand.place
        live = Deployment.objects.filter(model=place.model, state="live").first()
        return live or Deployment(model=place.model, environment=place.target, slot="main")

    def go(self) -> None:
        self._press()

    def _press(self) -> None:
        self.presses += 1
        assert self.presses < 5, "somebody rolls back again and again, and nothing comes of it"
        deployments.roll_back(actor=Person(self.stand.place.otto, "test"), deployment_id=self.live.pk, reason="a trial")

    def outcome(self) -> str:
        if self.busy():
            return ""
        self.live.refresh_from_db()
        if self.live.state == "live":
            self._press()
            return ""
        now = self._live()
        return "back" if now.version_id == self.before.version_id else str(self.live.state)

    def blobs(self) -> list[str]:
        return [self.before.version.elements.get(name="thresholds").blob_id]


class Upload(Flow):
    """An artifact is uploaded into a draft; whoever was not told that it is there sends it again."""

    uploading: Child

    def prepare(self) -> None:
        number = self.stand.number()
        actor = Person(self.stand.place.dana, "test")
        self.version = versions.draft(actor=actor, model=self.stand.place.model.slug)
        unlike = f"{self.stand.place.model.pk}-{number}"  # no other trial has the same bytes
        lines = [f'{{"input": {{"x": "{unlike}"}}, "output": {{"y": {i}}}}}' for i in range(60)]
        self.content = "\n".join(lines) + "\n"
        self.digest = sha256(self.content.encode()).hexdigest()

    def go(self) -> None:
        told = (self.stand.place.model.slug, self.version.number, "golden", self.content)
        self.uploading = self.stand.run("upload", *told)

    def outcome(self) -> str:
        if self.uploading.state:
            return ""
        element = Element.objects.filter(version=self.version, name="golden").first()
        whole = element is not None and store.verify(element.blob_id)
        if "element" not in self.uploading.told or not whole:
            self.presses += 1
            assert self.presses < 4, "somebody uploads again and again, and nothing comes of it"
            self.go()
            return ""
        return "kept"

    def blobs(self) -> list[str]:
        return [self.digest]

    def jobs(self) -> list[Job]:
        return []

    def wrong(self) -> list[str]:
        found = [] if store.verify(self.digest) else ["lost: what was uploaded is not what is stored"]
        events = AuditEvent.objects.filter(chain=f"model:{self.version.model_id}", action="version.element_set")
        if not any(one.told["data"]["sha256"] == self.digest for one in events):
            found.append("lost: the upload is not on the trail")
        return found


FLOWS: dict[str, type[Flow]] = {
    "deploy": Deploy,
    "sign": Sign,
    "test": Test,
    "rollback": Rollback,
    "upload": Upload,
    "tick": Deploy,
}
