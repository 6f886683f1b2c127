"""When nobody knows what an engine serves and it is out of reach, it is tried again until it is put right."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from audit.actors import Person, Worker
from audit.models import AuditEvent
from handoff import queue, tasks
from handoff.executors import engine as executor
from handoff.models import Handoff, Job
from handoff.services import deployments, jobs, rollbacks
from handoff.states import JobState, State
from tests.handoff import building
from tests.handoff.test_deployments_live import check_invariants, latest, work
from tests.handoff.test_jobs_claims import run_out
from tests.processes import TOKEN, Engine

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def unknown(engine: Engine, released: Any, monkeypatch: pytest.MonkeyPatch) -> Handoff:
    """Return a handoff whose worker made its version live, and died before it could tell; then the engine went away."""
    monkeypatch.setattr("handoff.executors.engine.PATIENCE_SECONDS", 0.2)
    work(released(1))
    second: Handoff = released(2, "other")
    row = second.jobs.get(task=queue.DEPLOY)
    claimed = jobs.claim(row.pk, "w", task=queue.DEPLOY)
    assert claimed is not None
    plan = deployments.begin(claimed.pk, claimed.fence)
    assert plan is not None
    assert executor.deploy(plan, token=TOKEN).live
    run_out(row, attempts=3)
    jobs.sweep()
    engine.kill()
    work(second)
    assert restores(second) == [("restore", JobState.DONE)]
    return second


def restores(handoff: Handoff) -> list[tuple[str, str]]:
    """Return the attempts to put the engine right, in order."""
    found = handoff.jobs.filter(purpose__startswith="restore:").order_by("queued_at")
    return [(job.purpose.split(":")[0] + ":".join(["", *job.purpose.split(":")[2:]]), job.state) for job in found]


def let_pass(minutes: int) -> None:
    """Let time pass since every attempt so far."""
    Job.objects.filter(ended_at__isnull=False).update(ended_at=F("ended_at") - timedelta(minutes=minutes))


def test_it_is_tried_again_until_the_engine_is_back(unknown: Handoff, engine: Engine, place: building.Place) -> None:
    tasks.restore_again()
    assert len(restores(unknown)) == 1, "not before its time"
    let_pass(2)
    tasks.restore_again()
    tasks.restore_again()
    assert restores(unknown)[1:] == [("restore:2", JobState.QUEUED)], "one at a time"
    work(unknown)
    assert restores(unknown)[1:] == [("restore:2", JobState.DONE)]
    engine.start()
    assert engine.serves("tumours") == unknown.version.digest, "it still serves what was never proven to us"
    let_pass(1)
    tasks.restore_again()
    assert len(restores(unknown)) == 2, "the pauses grow"
    let_pass(3)
    tasks.restore_again()
    work(unknown)
    assert restores(unknown)[2:] == [("restore:3", JobState.DONE)]
    check_invariants(place.model.pk, engine)
    story = AuditEvent.objects.filter(chain=f"handoff:{unknown.pk}", action="job.queued", actor_label="restorer")
    assert story.count() == 2
    let_pass(600)
    tasks.restore_again()
    assert len(restores(unknown)) == 3, "it is right now"


def test_what_was_ordered_later_ends_the_attempts(unknown: Handoff, engine: Engine, place: building.Place) -> None:
    engine.start()
    deployments.retry(actor=Person(place.otto, "test"), handoff_id=unknown.pk)
    order = claim(unknown.jobs.get(task=queue.DEPLOY, state=JobState.QUEUED))
    plan = deployments.begin(order.pk, order.fence)
    assert plan is not None
    let_pass(600)
    tasks.restore_again()
    again = claim(unknown.jobs.get(task=queue.ROLL_BACK, state=JobState.QUEUED))
    assert rollbacks.begin(again.pk, again.fence) is None
    assert restores(unknown)[1:] == [("restore:2", JobState.CANCELLED)]
    deployments.finish(order.pk, order.fence, executor.deploy(plan, token=TOKEN), actor=Worker("w"))
    unknown.refresh_from_db()
    assert (unknown.state, latest(unknown).state) == (State.LIVE, "live")
    let_pass(600)
    tasks.restore_again()
    assert len(restores(unknown)) == 2
    check_invariants(place.model.pk, engine)


def claim(job: Job) -> Job:
    """Take a job as a worker."""
    claimed = jobs.claim(job.pk, "w", task=job.task)
    assert claimed is not None
    return claimed
