"""Deployments on a real engine: going live, taking over, being refused, and the owner of record."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from audit.actors import Person, Worker
from audit.models import AuditEvent
from handoff import queue, tasks
from handoff.errors import GateShut, Hidden, LeaseLost, WrongRole, WrongState
from handoff.models import Deployment, Handoff, Job, OwnerOfRecord
from handoff.plans import DeployReport
from handoff.services import deployments, jobs
from handoff.states import JobState, State
from models_registry.store import path_of
from tests.handoff import building
from tests.handoff.test_jobs_claims import at_once, run_out
from tests.processes import TOKEN, Engine

pytestmark = pytest.mark.django_db(transaction=True)
RUN = {
    queue.DEPLOY: tasks.deploy,
    queue.CONFIRM: tasks.confirm,
    queue.ROLL_BACK: tasks.roll_back,
}


def work(handoff: Handoff) -> Handoff:
    """Do what is queued for a handoff, as the deployment workers do."""
    while (job := handoff.jobs.filter(state=JobState.QUEUED, task__in=RUN).first()) is not None:
        RUN[job.task](str(job.pk))
    handoff.refresh_from_db()
    return handoff


def latest(handoff: Handoff) -> Deployment:
    return handoff.deployments.order_by("-order")[0]


def check_invariants(model_id: Any, engine: Engine | None = None) -> None:
    """Check what always holds: one live deployment at most, owners without gap or overlap, the engine as recorded."""
    live = Deployment.objects.filter(model=model_id, state="live")
    assert live.count() <= 1
    owners = list(OwnerOfRecord.objects.filter(model=model_id).order_by("period"))
    for before, after in pairwise(owners):
        assert before.period.upper == after.period.lower
    assert all(o.period.lower_inc and not o.period.upper_inc for o in owners)
    if owners:
        assert owners[-1].period.upper is None
    for row in live:
        assert row.handoff.state == State.LIVE
        assert owners[-1].deployment_id == row.pk
        if engine is not None:
            assert engine.serves(row.model.slug) == row.digest


def test_a_version_goes_live(engine: Engine, released: Any, place: building.Place) -> None:
    handoff = work(released())
    deployment = latest(handoff)
    assert (handoff.state, deployment.state) == (State.LIVE, "live"), deployment.log
    assert engine.serves("tumours") == handoff.version.digest
    steps = [step["step"] for step in deployment.log]
    assert steps == ["reach", "load", "ready", "golden_staged", "activate", "golden_live"]
    assert all(step["ok"] and step["seconds"] >= 0 for step in deployment.log)
    owner = OwnerOfRecord.objects.get(model=place.model)
    assert (owner.organisation.slug, owner.person) == ("plant", place.otto)
    assert owner.period.lower == deployment.live_at
    actions = list(AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}").values_list("action", flat=True))
    assert {"deployment.ordered", "deployment.live", "owner.moved"} <= set(actions)
    check_invariants(place.model.pk, engine)


def test_the_next_version_takes_over_at_one_instant(engine: Engine, released: Any, place: building.Place) -> None:
    first = work(released(1))
    second = work(released(2, "other"))
    first.refresh_from_db()
    assert (first.state, second.state) == (State.SUPERSEDED, State.LIVE)
    ended, live = latest(first), latest(second)
    assert ended.state == "superseded"
    assert ended.ended_at == live.live_at
    assert live.order > ended.order
    assert OwnerOfRecord.objects.filter(model=place.model).count() == 2
    check_invariants(place.model.pk, engine)


def test_a_version_that_answers_otherwise_stays_out(engine: Engine, released: Any, place: building.Place) -> None:
    first = work(released(1))
    second = work(released(2, "other", wrong_golden=True))
    first.refresh_from_db()
    assert (first.state, second.state) == (State.LIVE, State.RETURNED)
    assert second.return_note.reasons == ["contract_breach"]
    assert "answers the golden records otherwise" in second.return_note.comment
    assert latest(second).state == "failed"
    check_invariants(place.model.pk, engine)


def test_an_engine_that_is_down_leaves_the_handoff_ready_to_deploy_again(
    engine: Engine, released: Any, place: building.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handoff.executors.engine.PATIENCE_SECONDS", 0.2)
    engine.kill()
    handoff = work(released())
    assert handoff.state == State.READY
    assert latest(handoff).state == "failed"
    assert "cannot be reached" in latest(handoff).reason
    with pytest.raises(WrongRole):
        deployments.retry(actor=Person(place.vera, "test"), handoff_id=handoff.pk)
    with pytest.raises(Hidden):
        deployments.retry(actor=Person(place.mallory, "test"), handoff_id=handoff.pk)
    engine.start()
    deployments.retry(actor=Person(place.otto, "test"), handoff_id=handoff.pk)
    with pytest.raises(WrongState):
        deployments.retry(actor=Person(place.otto, "test"), handoff_id=handoff.pk)
    assert work(handoff).state == State.LIVE
    check_invariants(place.model.pk, engine)


def test_damaged_bytes_are_never_deployed(engine: Engine, released: Any, store: Path) -> None:
    handoff = released()
    path = store / path_of(handoff.version.elements.get(name="model").blob_id)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    handoff = work(handoff)
    assert handoff.state == State.RETURNED
    assert handoff.return_note.reasons == ["security"]
    assert not handoff.deployments.exists()
    assert engine.serves("tumours") == ""


def test_an_order_is_refused_when_the_gate_is_shut(engine: Engine, released: Any, place: building.Place) -> None:
    handoff = released()
    place.otto.is_active = False
    place.otto.save(update_fields=["is_active"])
    handoff = work(handoff)
    job = handoff.jobs.get(task=queue.DEPLOY)
    assert (job.state, handoff.state) == (JobState.REFUSED, State.READY)
    assert "release gate is shut" in job.error
    assert not handoff.deployments.exists()
    assert engine.serves("tumours") == ""


def test_deploying_again_needs_an_open_gate(engine: Engine, released: Any, place: building.Place) -> None:
    handoff = released()
    handoff.signoffs.filter(gate="release").update(voided_at=timezone.now(), voided_because="a test")
    handoff = work(handoff)
    with pytest.raises(GateShut):
        deployments.retry(actor=Person(place.otto, "test"), handoff_id=handoff.pk)


def test_an_engine_without_address_is_told(engine: Engine, released: Any, settings: Any) -> None:
    settings.ENGINE_URLS = {}
    handoff = work(released())
    assert handoff.state == State.READY
    assert "ENGINE_URLS" in handoff.jobs.get(task=queue.DEPLOY).error


def test_an_engine_that_refuses_our_token_is_told(engine: Engine, released: Any, settings: Any) -> None:
    settings.ENGINE_TOKEN = "another token"
    handoff = work(released())
    assert handoff.state == State.READY
    assert "token" in latest(handoff).reason


def test_a_late_holder_of_an_order_is_refused_by_us_and_by_the_engine(
    engine: Engine, released: Any, place: building.Place
) -> None:
    from handoff.executors import engine as executor

    handoff = released()
    row = handoff.jobs.get(task=queue.DEPLOY)
    late = jobs.claim(row.pk, "late", task=queue.DEPLOY)
    assert late is not None
    plan = deployments.begin(late.pk, late.fence)
    assert plan is not None
    run_out(row)
    jobs.sweep()
    assert work(handoff).state == State.LIVE
    report = executor.deploy(plan, token=TOKEN)
    assert (report.live, report.reason_code) == (False, "stale_order")
    with pytest.raises(LeaseLost):
        deployments.finish(late.pk, late.fence, DeployReport(True, "", ()), actor=Worker("late"))
    check_invariants(place.model.pk, engine)


def test_an_older_order_never_undoes_a_newer_one(engine: Engine, released: Any, place: building.Place) -> None:
    from handoff.executors import engine as executor

    first = released(1)
    row = first.jobs.get(task=queue.DEPLOY)
    claimed = jobs.claim(row.pk, "w", task=queue.DEPLOY)
    assert claimed is not None
    plan = deployments.begin(claimed.pk, claimed.fence)
    assert plan is not None
    report = executor.deploy(plan, token=TOKEN)
    deployments.finish(row.pk, claimed.fence, report, actor=Worker("w"))
    second = work(released(2, "other"))
    assert not executor.deploy(plan, token=TOKEN).live
    assert engine.serves("tumours") == second.version.digest
    check_invariants(place.model.pk, engine)


def test_two_versions_at_once_one_waits(engine: Engine, released: Any, place: building.Place) -> None:
    both = [released(1), released(2, "other")]
    at_once(2, lambda i: work(both[i]))
    for handoff in both:
        work(handoff)
    states = sorted(h.state for h in both)
    assert states in (["live", "ready"], ["live", "superseded"])
    for handoff in both:
        if handoff.state == State.READY:
            deployments.retry(actor=Person(place.otto, "test"), handoff_id=handoff.pk)
            assert work(handoff).state == State.LIVE
    check_invariants(place.model.pk, engine)


def test_an_order_that_was_tried_too_often_is_dead_and_the_engine_put_right(
    engine: Engine, released: Any, place: building.Place
) -> None:
    from handoff.executors import engine as executor

    first = work(released(1))
    second = released(2, "other")
    row = second.jobs.get(task=queue.DEPLOY)
    claimed = jobs.claim(row.pk, "w", task=queue.DEPLOY)
    assert claimed is not None
    plan = deployments.begin(claimed.pk, claimed.fence)
    assert plan is not None
    assert executor.deploy(plan, token=TOKEN).live, "it acted, and died before it could tell"
    run_out(row, attempts=3)
    jobs.sweep()
    second.refresh_from_db()
    assert (second.state, latest(second).state) == (State.READY, "failed")
    assert engine.serves("tumours") == second.version.digest
    work(second)
    assert engine.serves("tumours") == first.version.digest
    check_invariants(place.model.pk, engine)


def test_the_engine_comes_back_with_what_was_live(engine: Engine, released: Any, place: building.Place) -> None:
    work(released())
    engine.kill()
    engine.start()
    check_invariants(place.model.pk, engine)


def test_owners_outlive_a_clock_that_is_set_back(engine: Engine, released: Any, place: building.Place) -> None:
    from datetime import timedelta

    from django.db.backends.postgresql.psycopg_any import DateTimeTZRange

    work(released(1))
    later = timezone.now() + timedelta(hours=1)
    OwnerOfRecord.objects.filter(model=place.model).update(period=DateTimeTZRange(later, None, "[)"))
    assert work(released(2, "other")).state == State.LIVE
    owners = list(OwnerOfRecord.objects.filter(model=place.model).order_by("period"))
    assert owners[0].period.upper == owners[1].period.lower > later


def test_jobs_of_the_tests_never_touch_the_engine(released: Any) -> None:
    handoff = released()
    job = Job.objects.get(handoff=handoff, task=queue.DEPLOY)
    tasks.run_test(str(job.pk))
    job.refresh_from_db()
    assert job.state == JobState.QUEUED
