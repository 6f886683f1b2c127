"""Claims, leases and sweeps: one holder at a time, by the database's clock."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Event
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from audit.models import AuditEvent
from engine import fault_points
from handoff import queue
from handoff.errors import LeaseLost
from handoff.in_hand import held
from handoff.leases import cancel_waiting, end, hold, next_order
from handoff.models import Handoff, Job
from handoff.services import jobs, promotion_tests
from handoff.states import JobState, State
from tests.handoff import building

pytestmark = pytest.mark.django_db
COMMITTED = pytest.mark.django_db(transaction=True)  # several sessions, or one that breaks


@pytest.fixture
def place(db: None, store: Path) -> building.Place:
    """Return a model, its environments and its people."""
    return building.a_place()


@pytest.fixture
def handoff(place: building.Place) -> Handoff:
    version = building.a_version(place)
    return building.open_review(place, building.offered(place, version, building.a_policy(("golden", "schema"))))


@pytest.fixture
def job(handoff: Handoff) -> Job:
    return handoff.jobs.get(purpose="test:golden")


def run_out(job: Job, *, attempts: int | None = None) -> None:
    """Let a lease run out, as if the worker had been silent for long."""
    changes: dict[str, Any] = {"lease_until": timezone.now() - timedelta(seconds=1)}
    Job.objects.filter(pk=job.pk).update(**changes | ({} if attempts is None else {"attempts": attempts}))


@contextmanager
def threads(number: int) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(number) as pool:
        yield pool


def closing(function: Any) -> Any:
    """Wrap what runs in a thread, so that the thread's connection is given back."""

    def one(index: int) -> Any:
        try:
            return function(index)
        finally:
            connection.close()

    return one


def at_once(number: int, function: Any) -> list[Any]:
    """Run a function in many threads that start at the same instant, each with a connection of its own."""
    barrier = Barrier(number)

    def one(index: int) -> Any:
        barrier.wait()
        return function(index)

    with threads(number) as pool:
        return list(pool.map(closing(one), range(number)))


@COMMITTED
def test_of_many_workers_exactly_one_claims(job: Job) -> None:
    for _ in range(20):
        claimed = [c for c in at_once(6, lambda i: jobs.claim(job.pk, f"w{i}", task=queue.RUN_TEST)) if c]
        assert len(claimed) == 1
        job.refresh_from_db()
        assert (job.state, job.worker, job.fence) == (JobState.RUNNING, claimed[0].worker, claimed[0].fence)
        Job.objects.filter(pk=job.pk).update(state=JobState.QUEUED)


def test_each_claim_has_a_higher_fence_and_counts_an_attempt(job: Job) -> None:
    fences = []
    for attempt in (1, 2, 3):
        claimed = jobs.claim(job.pk, "w", task=queue.RUN_TEST)
        assert claimed is not None
        assert claimed.attempts == attempt
        fences += [claimed.fence, next_order()]
        run_out(job)
        jobs.sweep()
    assert fences == sorted(set(fences))


@pytest.mark.parametrize("job_id", ["", "no id", "1; DROP TABLE handoff_job", str(UUID(int=7, version=4))])
def test_a_forged_message_claims_nothing(job: Job, job_id: str) -> None:
    assert jobs.claim(job_id, "w", task=queue.RUN_TEST) is None


def test_a_message_for_another_task_claims_nothing(job: Job) -> None:
    assert jobs.claim(job.pk, "w", task=queue.DEPLOY) is None


def test_a_beat_extends_only_the_lease_of_its_own_fence(job: Job) -> None:
    claimed = jobs.claim(job.pk, "w", task=queue.RUN_TEST)
    assert claimed is not None
    assert not jobs.beat(job.pk, claimed.fence - 1)
    before = Job.objects.get(pk=job.pk).lease_until
    assert jobs.beat(job.pk, claimed.fence, "half way")
    job.refresh_from_db()
    assert before is not None
    assert job.lease_until is not None
    assert job.lease_until > before
    assert job.progress == "half way"


def test_a_lease_that_ran_out_is_not_revived(job: Job) -> None:
    claimed = jobs.claim(job.pk, "w", task=queue.RUN_TEST)
    assert claimed is not None
    run_out(job)
    assert not jobs.beat(job.pk, claimed.fence)
    with transaction.atomic(), pytest.raises(LeaseLost):
        hold(job.pk, claimed.fence)
    with pytest.raises(LeaseLost):
        end(claimed, JobState.DONE)
    job.refresh_from_db()
    assert job.state == JobState.RUNNING


def test_a_late_holder_may_not_end_what_another_runs(job: Job) -> None:
    first = jobs.claim(job.pk, "first", task=queue.RUN_TEST)
    assert first is not None
    run_out(job)
    jobs.sweep()
    second = jobs.claim(job.pk, "second", task=queue.RUN_TEST)
    assert second is not None
    with pytest.raises(LeaseLost):
        end(first, JobState.DONE)
    end(second, JobState.DONE)


@COMMITTED
def test_several_sweepers_put_a_job_back_once(job: Job) -> None:
    jobs.claim(job.pk, "w", task=queue.RUN_TEST)
    run_out(job)
    bells = at_once(4, lambda _: jobs.sweep())
    assert any(str(job.pk) == bell.job_id for found in bells for bell in found)
    job.refresh_from_db()
    assert (job.state, job.attempts) == (JobState.QUEUED, 1)
    assert "w fell silent" in job.error


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_running_job_is_left_alone(attempts: int, job: Job) -> None:
    jobs.claim(job.pk, "w", task=queue.RUN_TEST)
    Job.objects.filter(pk=job.pk).update(attempts=attempts)
    assert str(job.pk) not in {bell.job_id for bell in jobs.sweep()}
    job.refresh_from_db()
    assert job.state == JobState.RUNNING


@COMMITTED
def test_after_three_attempts_a_job_is_dead_and_the_handoff_returned(handoff: Handoff, job: Job) -> None:
    handoff.jobs.exclude(pk=job.pk).update(state=JobState.CANCELLED, ended_at=timezone.now())
    jobs.claim(job.pk, "w", task=queue.RUN_TEST)
    run_out(job, attempts=3)
    at_once(3, lambda _: jobs.sweep())
    job.refresh_from_db()
    handoff.refresh_from_db()
    assert (job.state, handoff.state) == (JobState.DEAD, State.RETURNED)
    assert handoff.return_note.reasons == ["operability"]
    assert "golden never ended" in handoff.return_note.comment
    assert AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}", action="job.died").count() == 1


def test_a_failure_of_ours_gives_the_job_back_until_attempts_are_used_up(job: Job) -> None:
    for attempt in (1, 2, 3):
        claimed = jobs.claim(job.pk, "w", task=queue.RUN_TEST)
        assert claimed is not None
        jobs.release(job.pk, claimed.fence, f"failure {attempt}")
    job.refresh_from_db()
    assert (job.state, job.error) == (JobState.DEAD, "failure 3")


def test_what_is_given_back_waits_without_a_lease_and_what_has_ended_is_not_given_back(job: Job) -> None:
    """Names and errors are cut to what is kept."""
    claimed = jobs.claim(job.pk, "w" * 200, task=queue.RUN_TEST)
    assert claimed is not None
    assert claimed.worker == "w" * 120
    jobs.release(job.pk, claimed.fence, "e" * 3000)
    job.refresh_from_db()
    assert (job.state, job.error, job.lease_until) == (JobState.QUEUED, "e" * 2000, None)
    again = jobs.claim(job.pk, "w", task=queue.RUN_TEST)
    assert again is not None
    assert jobs.beat(job.pk, again.fence, "p" * 300)
    job.refresh_from_db()
    assert job.progress == "p" * 200
    Job.objects.filter(pk=job.pk).update(attempts=3)  # the last one: it would be buried
    end(again, JobState.DONE)
    jobs.release(job.pk, again.fence, "too late")
    job.refresh_from_db()
    assert (job.state, job.error) == (JobState.DONE, "")


@COMMITTED
def test_a_worker_whose_connection_broke_gives_its_job_back_at_once(job: Job) -> None:
    with held(str(job.pk), queue.RUN_TEST) as holder, connection.cursor() as cursor:
        assert holder is not None
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    job.refresh_from_db()
    assert job.state == JobState.QUEUED
    assert "terminating connection" in job.error


def test_only_the_holder_gives_a_job_back(job: Job) -> None:
    claimed = jobs.claim(job.pk, "w", task=queue.RUN_TEST)
    assert claimed is not None
    jobs.release(job.pk, claimed.fence - 1, "not mine")
    job.refresh_from_db()
    assert job.state == JobState.RUNNING


def test_a_fencing_number_is_good_for_its_own_job_and_only_while_that_runs(handoff: Handoff, job: Job) -> None:
    """Also at the last attempt, at which what is given back would be buried."""
    mine = jobs.claim(job.pk, "w", task=queue.RUN_TEST)
    other = jobs.claim(handoff.jobs.get(purpose="test:schema").pk, "w", task=queue.RUN_TEST)
    assert mine is not None
    assert other is not None

    def nothing_is_done(job_id: UUID, fence: int) -> None:
        before = list(Job.objects.order_by("pk").values())
        assert not jobs.beat(job_id, fence, "half way")
        assert not jobs.hand_back(job_id, fence)
        jobs.release(job_id, fence, "not mine")
        with pytest.raises(LeaseLost):
            end(Job(pk=job_id, fence=fence), JobState.DONE)
        with transaction.atomic(), pytest.raises(LeaseLost):
            hold(job_id, fence)
        assert list(Job.objects.order_by("pk").values()) == before

    nothing_is_done(other.pk, mine.fence)
    nothing_is_done(mine.pk, mine.fence - 1)
    end(other, JobState.DONE)
    nothing_is_done(other.pk, other.fence)
    Job.objects.filter(pk=mine.pk).update(attempts=3)
    nothing_is_done(other.pk, mine.fence)
    nothing_is_done(mine.pk, mine.fence - 1)
    end(mine, JobState.REFUSED, error="e" * 3000)
    job.refresh_from_db()
    assert (job.state, job.error) == (mine.state, mine.error) == (JobState.REFUSED, "e" * 2000)
    assert job.ended_at is not None
    nothing_is_done(mine.pk, mine.fence)


def test_a_lease_that_runs_out_while_the_sweeper_is_at_work_is_not_taken_for_the_last(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.claim(job.pk, "w", task=queue.RUN_TEST)
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() + timedelta(seconds=0.3))
    (tmp_path / "faults").write_text("sweep.requeued sleep=0.4")
    monkeypatch.setattr(fault_points, "_plan", tmp_path / "faults")
    jobs.sweep()
    job.refresh_from_db()
    assert (job.state == JobState.DEAD, job.attempts) == (False, 1)
    assert str(job.pk) in {bell.job_id for bell in jobs.sweep()}


def test_a_job_tells_the_trace_that_it_was_queued_under(handoff: Handoff, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(trace="00-of-this-one-01")
    others = [handoff.jobs.get(purpose="test:schema").pk, UUID(int=7, version=4)]
    assert [jobs.trace_of(one) for one in (job.pk, *others)] == ["00-of-this-one-01", "", ""]


def test_what_died_or_was_given_up_says_why_and_since_when(handoff: Handoff, job: Job) -> None:
    claimed = jobs.claim(job.pk, "w", task=queue.RUN_TEST)
    assert claimed is not None
    Job.objects.filter(pk=job.pk).update(attempts=3)
    jobs.release(job.pk, claimed.fence, "e" * 3000)
    job.refresh_from_db()
    assert (job.state, job.error) == (JobState.DEAD, "e" * 2000)
    with transaction.atomic():
        assert cancel_waiting(handoff) == 1
    other = handoff.jobs.get(purpose="test:schema")
    assert (other.state, other.error) == (JobState.CANCELLED, "nobody needs it any more")
    for one in (job, other):
        assert one.ended_at is not None


@COMMITTED
def test_a_worker_that_is_paused_in_a_transaction_loses_its_locks_in_time(handoff: Handoff, job: Job) -> None:
    first = jobs.claim(job.pk, "w", task=queue.RUN_TEST)
    second = jobs.claim(handoff.jobs.get(purpose="test:schema").pk, "w", task=queue.RUN_TEST)
    assert first is not None
    assert second is not None
    holds = Event()

    def paused(_: int) -> None:
        with pytest.raises(DatabaseError):  # noqa: PT012, SIM117 - the pause in the middle is what is tested
            with transaction.atomic():
                hold(first.pk, first.fence)
                holds.set()
                time.sleep(8)
                first.save(update_fields=["progress"])

    def waiting(_: int) -> float:
        holds.wait()
        begun = time.monotonic()
        assert promotion_tests.begin(second.pk, second.fence) is not None
        return time.monotonic() - begun

    with threads(2) as pool:
        late = pool.submit(closing(paused), 0)
        assert 3 < pool.submit(closing(waiting), 0).result() < 9
        late.result()
