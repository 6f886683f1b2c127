"""Work that people try once more, or cancel: IT operations only, where it is safe, and on record."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from audit.actors import Person
from audit.errors import Refused
from audit.models import Account, AuditEvent
from handoff import queue
from handoff.errors import LeaseLost
from handoff.leases import hold
from handoff.models import Handoff, Job
from handoff.services import deployments, jobs, promotion_tests
from handoff.states import JobState, State
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.test_admin_acts import done, offered_on, released, told
from tests.handoff.test_jobs_claims import run_out
from tests.handoff.walking import by, client_of

pytestmark = pytest.mark.django_db
WHY = "The test data are wrong."


@pytest.fixture
def place(db: None, store: Path) -> Place:
    """Return a model, its environments and its people."""
    return building.a_place()


@pytest.fixture
def site(place: Place) -> Place:
    """Return a place where everybody is staff: rights come from roles alone."""
    found = walking.a_site(place)
    Account.objects.update(is_staff=True)
    for account in found.people.values():
        account.refresh_from_db()
    return found


@pytest.fixture
def testing(site: Place) -> Handoff:
    """Return a handoff whose tests are queued."""
    version = building.a_version(site)
    handoff = building.offered(site, version, building.a_policy(("golden", "schema")))
    return building.open_review(site, handoff)


def job_of(handoff: Handoff, purpose: str = "test:golden") -> Job:
    return handoff.jobs.get(purpose=purpose)


def die(job: Job) -> Job:
    """Let a worker fail as often as it may."""
    assert jobs.claim(job.pk, "worker", task=job.task)
    run_out(job, attempts=3)
    jobs.sweep()
    job.refresh_from_db()
    assert job.state == JobState.DEAD
    return job


def by_service(who: Account, job: Job, act: str) -> str:
    try:
        if act == "retry":
            assert jobs.retry(actor=Person(who, "test"), job_id=job.pk).state == JobState.QUEUED
        else:
            jobs.cancel(actor=Person(who, "test"), job_id=job.pk, reason=WHY)
    except Refused as refusal:
        return refusal.code
    return "done"


def by_api(who: Account, job: Job, act: str) -> str:
    client = APIClient(headers={"Authorization": f"Bearer {AuthToken.objects.create(user=who)[1]}"})
    answer = client.post(f"/api/v1/jobs/{job.pk}/{act}/", {} if act == "retry" else {"reason": WHY}, format="json")
    return "done" if answer.status_code in (200, 202) else str(answer.json()["code"])


DOORS = [by_service, by_api]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("act", ["retry", "cancel"])
def test_it_operations_only(door: Any, act: str, site: Place, testing: Handoff) -> None:
    job = die(job_of(testing)) if act == "retry" else job_of(testing)
    before, events = Job.objects.values().get(pk=job.pk), AuditEvent.objects.count()
    assert door(site.mallory, job, act) == door(site.otto, Job(pk=uuid4()), act) == "not_found"
    for who in (site.dana, site.vera, site.rita):
        assert door(who, job, act) == "role_not_held"
    Account.objects.filter(pk=site.rita.pk).update(is_superuser=True)
    site.rita.refresh_from_db()
    assert door(site.rita, job, act) == "role_not_held"
    assert (Job.objects.values().get(pk=job.pk), AuditEvent.objects.count()) == (before, events)
    assert door(site.otto, job, act) == "done"


@pytest.mark.parametrize("door", DOORS)
def test_a_dead_test_gets_one_more_attempt_and_no_more(door: Any, site: Place, testing: Handoff) -> None:
    job = die(job_of(testing))
    assert jobs.claim(job_of(testing, "test:schema").pk, "another", task=queue.RUN_TEST)
    assert door(site.otto, job, "retry") == "done"
    job.refresh_from_db()
    assert (job.state, job.attempts, job.ended_at, job.lease_until) == (JobState.QUEUED, 3, None, None)
    assert job_of(testing, "test:schema").state == JobState.RUNNING
    assert door(site.otto, job, "retry") == "job_not_dead"
    fence = job.fence
    claimed = jobs.claim(job.pk, "worker", task=queue.RUN_TEST)
    assert claimed is not None
    assert (claimed.attempts, claimed.fence > fence) == (4, True)
    jobs.release(job.pk, claimed.fence, "it failed again")
    job.refresh_from_db()
    assert job.state == JobState.DEAD
    event = AuditEvent.objects.get(action="job.retried")
    assert event.actor_label == "Otto"


def test_a_test_of_a_handoff_that_was_returned_is_not_tried_again(site: Place, testing: Handoff) -> None:
    first, second = (die(job_of(testing, purpose)) for purpose in ("test:golden", "test:schema"))
    testing.refresh_from_db()
    assert testing.state == State.RETURNED
    for job in (first, second):
        assert by_service(site.otto, job, "retry") == "job_over"
        job.refresh_from_db()
        assert job.state == JobState.DEAD


@pytest.mark.parametrize("door", DOORS)
def test_a_dead_deployment_is_ordered_anew_after_its_gate_was_judged(door: Any, site: Place) -> None:
    handoff = released(site)
    job = die(job_of(handoff, "deploy:1"))
    handoff.refresh_from_db()
    assert handoff.state == State.READY
    assert door(site.otto, job, "retry") == "done"
    handoff.refresh_from_db()
    assert (handoff.state, job_of(handoff, "deploy:2").state) == (State.DEPLOYING, JobState.QUEUED)
    assert door(site.otto, job, "retry") in ("wrong_state", "under_way")
    job.refresh_from_db()
    assert job.state == JobState.DEAD  # only tests keep their row


def test_a_deployment_whose_gate_shut_is_not_ordered_anew(site: Place) -> None:
    handoff = released(site)
    job = die(job_of(handoff, "deploy:1"))
    handoff.signoffs.filter(gate="release").update(voided_at=timezone.now(), voided_because="a test")
    events = AuditEvent.objects.count()
    assert by_service(site.otto, job, "retry") == "gate_shut"
    handoff.refresh_from_db()
    assert (handoff.state, AuditEvent.objects.count()) == (State.READY, events)


@pytest.mark.parametrize("door", DOORS)
def test_queued_work_is_cancelled_and_the_handoff_moves_on(door: Any, site: Place) -> None:
    handoff = released(site)
    job = job_of(handoff, "deploy:1")
    assert door(site.otto, job, "cancel") == "done"
    handoff.refresh_from_db()
    job.refresh_from_db()
    assert (handoff.state, job.state) == (State.READY, JobState.CANCELLED)
    assert WHY in job.error
    assert not handoff.jobs.filter(purpose__startswith="restore").exists()  # no engine was told anything
    assert jobs.claim(job.pk, "worker", task=queue.DEPLOY) is None
    assert door(site.otto, job, "cancel") == "job_over"
    assert AuditEvent.objects.filter(action="job.cancelled").count() == 1


def test_a_worker_that_has_it_in_hand_loses_its_lease_and_the_engine_is_put_right(site: Place) -> None:
    handoff = released(site)
    claimed = jobs.claim(job_of(handoff, "deploy:1").pk, "worker", task=queue.DEPLOY)
    assert claimed is not None
    assert deployments.begin(claimed.pk, claimed.fence) is not None
    assert by_service(site.otto, claimed, "cancel") == "done"
    with pytest.raises(LeaseLost), transaction.atomic():
        hold(claimed.pk, claimed.fence)
    assert not jobs.beat(claimed.pk, claimed.fence)
    handoff.refresh_from_db()
    assert handoff.state == State.READY
    order = handoff.deployments.get().order
    assert job_of(handoff, f"restore:{order}").state == JobState.QUEUED


def test_a_cancelled_test_returns_the_handoff_once_the_others_have_ended(site: Place, testing: Handoff) -> None:
    assert by_service(site.otto, job_of(testing), "cancel") == "done"
    testing.refresh_from_db()
    assert testing.state == State.TESTING
    other = jobs.claim(job_of(testing, "test:schema").pk, "worker", task=queue.RUN_TEST)
    assert other is not None
    report = building.TestReport("passed", "Well.", {}, {}, "", 0.1)
    promotion_tests.finish(other.pk, other.fence, report, actor=building.Worker("worker"))
    testing.refresh_from_db()
    assert testing.state == State.RETURNED
    assert WHY in testing.return_note.comment


def test_what_puts_an_engine_right_is_not_cancelled(site: Place) -> None:
    handoff = released(site)
    for task, purpose in ((queue.ROLL_BACK, "restore:1"), (queue.RUN_STREAMS, "streams:1"), (queue.REPLAY, "replay:1")):
        [job] = queue.enqueue(handoff, gate="live", task=task, purposes=[purpose])
        before = AuditEvent.objects.count()
        assert by_service(site.otto, job, "cancel") == "job_not_cancelled"
        die(job)
        before = AuditEvent.objects.count()
        assert by_service(site.otto, job, "retry") == "job_not_repeated"
        assert AuditEvent.objects.count() == before


def test_who_cancels_waits_for_a_worker_that_claims_and_long_reasons_are_cut(site: Place, testing: Handoff) -> None:
    with CaptureQueriesContext(connection) as seen:
        cancelled = jobs.cancel(actor=by(site.otto), job_id=job_of(testing).pk, reason="r" * 3000)
    locked = [one["sql"] for one in seen.captured_queries if "FOR UPDATE" in str(one["sql"])]
    assert ['FROM "handoff_job"' in one for one in locked] == [False, True], "the handoff, then the job"
    kept = job_of(testing)
    assert kept.error == cancelled.error == f"was cancelled: {'r' * 1985}"
    assert kept.ended_at is not None
    assert AuditEvent.objects.get(action="job.cancelled").told["reason"] == "r" * 3000


def test_cancelling_wants_a_reason(site: Place, testing: Handoff) -> None:
    with pytest.raises(Refused) as refusal:
        jobs.cancel(actor=by(site.otto), job_id=job_of(testing).pk, reason=" ")
    assert refusal.value.fields == {"reason": "is empty"}
    assert job_of(testing).state == JobState.QUEUED


@pytest.mark.parametrize(
    "attack",
    [
        {"state": "queued", "ended_at": None},
        {"state": "running", "lease_until": timezone.now()},
        {"state": "done"},
        {"attempts": 0},
        {"fence": 0},
    ],
)
def test_the_database_revives_nothing_but_tests_and_lowers_no_number(attack: dict[str, Any], site: Place) -> None:
    job = die(job_of(released(site), "deploy:1"))
    before = Job.objects.values().get(pk=job.pk)
    with pytest.raises(DatabaseError), transaction.atomic():
        Job.objects.filter(pk=job.pk).update(**attack)
    assert Job.objects.values().get(pk=job.pk) == before


def test_the_admin_offers_both_and_asks_first(site: Place, testing: Handoff) -> None:
    otto = client_of(site.otto)
    dead, waiting = die(job_of(testing)), job_of(testing, "test:schema")
    assert (offered_on(otto, dead), offered_on(otto, waiting)) == (["retry"], ["cancel"])
    assert "done" in done(otto, "retry", dead)
    assert told("job.retried") == ("Otto", "admin", "")
    assert "done" in done(otto, "cancel", waiting, reason=WHY)
    assert told("job.cancelled") == ("Otto", "admin", WHY)
    assert offered_on(client_of(site.vera), dead) == []
