"""Begin and finish of promotion tests: the gate is judged again, late holders are refused, rows are counted."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit.actors import Worker
from audit.models import Account, AuditEvent
from handoff import queue
from handoff.errors import LeaseLost
from handoff.models import Decision, Handoff, Job, PromotionTest
from handoff.plans import TestReport
from handoff.services import jobs, promotion_tests
from handoff.states import JobState, State
from models_registry.models import Environment
from models_registry.store import local_paths
from tests.handoff import building
from tests.handoff.test_jobs_claims import at_once, run_out
from tests.handoff.test_signoffs_signatures import as_owner
from tests.queries import counting

pytestmark = pytest.mark.django_db(transaction=True)
ACTOR = Worker("w")


def report(verdict: str = "passed", summary: str = "All 3 went well.") -> TestReport:
    return TestReport(verdict, summary, {"n": 3}, {}, "a line", 0.1)


def claimed(handoff: Handoff, kind: str) -> Job:
    job = jobs.claim(handoff.jobs.get(purpose=f"test:{kind}").pk, "w", task=queue.RUN_TEST)
    assert job is not None
    return job


def finished(handoff: Handoff, kind: str, verdict: str = "passed") -> PromotionTest:
    job = claimed(handoff, kind)
    assert promotion_tests.begin(job.pk, job.fence) is not None
    return promotion_tests.finish(job.pk, job.fence, report(verdict), actor=ACTOR)


def state_of(handoff: Handoff) -> str:
    handoff.refresh_from_db()
    return handoff.state


def test_the_plan_holds_all_that_a_test_needs(under_test: Any) -> None:
    handoff = under_test()
    job = claimed(handoff, "golden")
    plan = promotion_tests.begin(job.pk, job.fence)
    assert plan is not None
    assert (plan.kind, plan.format, plan.digest) == ("golden", "onnx", handoff.version.digest)
    assert plan.elements.keys() >= {"model", "golden", "validation", "thresholds"}
    assert all(path.exists() for path in plan.elements.values())
    assert plan.thresholds["metrics"]
    assert not plan.live_elements
    decision = Decision.objects.filter(handoff=handoff, gate="review").last()
    assert decision is not None
    assert decision.opened


def test_when_the_last_test_passed_the_handoff_is_ready(under_test: Any) -> None:
    handoff = under_test()
    finished(handoff, "golden")
    assert state_of(handoff) == State.TESTING
    finished(handoff, "integrity")
    assert state_of(handoff) == State.READY
    assert AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}", action="test.finished").count() == 2


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("safety", "security"),
        ("performance", "performance"),
        ("schema", "contract_breach"),
        ("golden", "contract_breach"),
        ("robustness", "contract_breach"),
        ("integrity", "security"),
        ("latency", "operability"),
    ],
)
@pytest.mark.parametrize("verdict", ["failed", "error"])
def test_a_test_that_did_not_pass_returns_the_handoff(place: Any, kind: str, reason: str, verdict: str) -> None:
    other = "golden" if kind != "golden" else "schema"
    policy = building.a_policy((other, kind))
    handoff = building.open_review(place, building.offered(place, building.a_version(place), policy))
    finished(handoff, kind, verdict)
    assert state_of(handoff) == State.TESTING, "the other test still tells data science what it finds"
    finished(handoff, other)
    assert state_of(handoff) == State.RETURNED
    note = handoff.return_note
    assert (note.reasons, note.retests, note.returned_by) == ([reason], [kind], None)
    assert "All 3 went well" in note.comment


def told(handoff: Handoff, action: str) -> tuple[str, Any, str]:
    """Return who did the newest act of a name on a handoff, what the trail tells of it, and why."""
    event = AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}", action=action).latest("pk")
    return event.actor_label, event.told["data"], event.told["reason"]


def test_a_version_is_compared_with_what_is_live_of_its_model_in_its_target(place: Any) -> None:
    """Not with another model that is live there, nor with what was live before."""
    other = building.a_place("lungs")
    policy = building.a_policy(("integrity",))
    for where, number, quality in ((other, 1, "worse"), (place, 1, "worse"), (place, 2, "good")):
        handoff = building.offered(where, building.a_version(where, number, quality), policy)
        counting.deployed(building.open_release(where, building.tested(building.open_review(where, handoff))))
    third = building.open_review(place, building.offered(place, building.a_version(place, 3, "other"), policy))
    job = claimed(third, "integrity")
    plan = promotion_tests.begin(job.pk, job.fence)
    assert plan is not None
    live = place.model.versions.get(number=2)
    assert (plan.live_digest, plan.live_format) == (live.digest, "onnx")
    assert plan.live_elements == local_paths(live)
    assert (plan.job_id, plan.fence, plan.manifest) == (str(job.pk), job.fence, third.version.manifest)
    assert plan.packages == place.target.packages
    data = {"purpose": "test:integrity", "attempt": 1, "fence": job.fence, "gate_open": True}
    assert told(third, "job.claimed") == (job.worker, data, "")


def test_what_was_found_is_returned_kept_and_told(under_test: Any) -> None:
    handoff = under_test()
    job = claimed(handoff, "golden")
    promotion_tests.begin(job.pk, job.fence)
    found = TestReport("passed", "All went well.", {"share": 0.5}, {"least": 0.4}, "a line", 1.5)
    test = promotion_tests.finish(job.pk, job.fence, found, actor=ACTOR)
    assert test == handoff.tests.get()
    assert (test.kind, test.verdict, test.summary, test.figures, test.thresholds, test.log, test.seconds) == (
        "golden", "passed", "All went well.", {"share": 0.5}, {"least": 0.4}, "a line", 1.5,
    )  # fmt: skip
    assert (test.job, test.fence, test.version_digest, test.worker) == (
        job, job.fence, handoff.version.digest, job.worker,
    )  # fmt: skip
    data = {"kind": "golden", "verdict": "passed", "attempt": 1, "fence": job.fence, "sandbox": test.sandbox}
    assert told(handoff, "test.finished") == (ACTOR.label, data, "All went well.")
    job.refresh_from_db()
    assert (job.state, job.error) == (JobState.DONE, "")


@pytest.mark.parametrize("case", ["nobody validates any more", "the target has moved", "it was forged"])
def test_a_handoff_goes_back_for_the_reason_that_is_found(case: str, under_test: Any, place: Any) -> None:
    handoff = under_test()
    if case == "nobody validates any more":
        Account.objects.filter(pk=place.vera.pk).update(is_active=False)
        reason, words = "documentation", "The review gate was open, and is shut now that the tests should run: "
    elif case == "the target has moved":
        Environment.objects.filter(pk=place.target.pk).update(python="3.9.1")
        reason, words = "operability", "The review gate was open, and is shut now that the tests should run: "
    else:
        as_owner("UPDATE handoff_signoff SET signature = 'AAAA' || substr(signature, 5)")
        reason, words = "security", "What is stored is not what was approved: "
    job = claimed(handoff, "golden")
    assert promotion_tests.begin(job.pk, job.fence) is None
    job.refresh_from_db()
    assert (job.state, state_of(handoff)) == (JobState.REFUSED, State.RETURNED)
    note = handoff.return_note
    assert (note.reasons, note.comment.startswith(words)) == ([reason], True), note.comment
    assert job.error.removeprefix("the review gate is shut: ") == note.comment.removeprefix(
        "The review gate was open, and is shut now that the tests should run: "
    )
    assert told(handoff, "handoff.moved")[2] == note.comment


def test_all_ends_at_once_and_exactly_one_moves_the_handoff(place: Any) -> None:
    policy = building.a_policy(building.TESTS)
    handoff = building.open_review(place, building.offered(place, building.a_version(place), policy))
    held = [claimed(handoff, kind) for kind in building.TESTS]
    for job in held:
        promotion_tests.begin(job.pk, job.fence)
    at_once(7, lambda i: promotion_tests.finish(held[i].pk, held[i].fence, report(), actor=ACTOR))
    assert state_of(handoff) == State.READY
    moves = AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}", action="handoff.moved")
    assert sum('"to":"ready"' in move.body for move in moves) == 1


def test_a_late_holder_writes_nothing(under_test: Any) -> None:
    handoff = under_test()
    job = claimed(handoff, "golden")
    promotion_tests.begin(job.pk, job.fence)
    run_out(job)
    with pytest.raises(LeaseLost):
        promotion_tests.finish(job.pk, job.fence, report(), actor=ACTOR)
    jobs.sweep()
    again = claimed(handoff, "golden")
    with pytest.raises(LeaseLost):
        promotion_tests.finish(job.pk, job.fence, report("failed"), actor=ACTOR)
    promotion_tests.begin(again.pk, again.fence)
    promotion_tests.finish(again.pk, again.fence, report(), actor=ACTOR)
    assert [(t.verdict, t.fence) for t in handoff.tests.all()] == [("passed", again.fence)]


def test_two_holders_report_at_once_and_one_result_is_kept(under_test: Any) -> None:
    handoff = under_test()
    old = claimed(handoff, "golden")
    run_out(old)
    jobs.sweep()
    new = claimed(handoff, "golden")
    promotion_tests.begin(new.pk, new.fence)

    def finish(index: int) -> str:
        holder = (old, new, old, new)[index]
        try:
            promotion_tests.finish(holder.pk, holder.fence, report(), actor=ACTOR)
        except LeaseLost:
            return "refused"
        return "kept"

    assert sorted(at_once(4, finish)) == ["kept", "refused", "refused", "refused"]
    assert handoff.tests.get().fence == new.fence


def test_a_job_is_refused_when_the_gate_is_shut_by_then(under_test: Any, place: Any) -> None:
    handoff = under_test()
    place.vera.is_active = False
    place.vera.save(update_fields=["is_active"])
    job = claimed(handoff, "golden")
    assert promotion_tests.begin(job.pk, job.fence) is None
    job.refresh_from_db()
    assert (job.state, state_of(handoff)) == (JobState.REFUSED, State.RETURNED)
    assert "review gate is shut" in job.error
    decision = Decision.objects.filter(handoff=handoff, gate="review").last()
    assert decision is not None
    assert not decision.opened
    assert set(handoff.jobs.values_list("state", flat=True)) == {JobState.REFUSED, JobState.CANCELLED}


def test_a_voided_sign_off_shuts_the_gate(under_test: Any) -> None:
    handoff = under_test()
    handoff.signoffs.update(voided_at=timezone.now(), voided_because="a test")
    job = claimed(handoff, "golden")
    assert promotion_tests.begin(job.pk, job.fence) is None


@pytest.mark.parametrize("state", [State.WITHDRAWN, State.EXPIRED])
def test_work_for_a_handoff_that_is_over_is_cancelled(under_test: Any, state: State) -> None:
    handoff = under_test()
    job = claimed(handoff, "golden")
    Handoff.objects.filter(pk=handoff.pk).update(state=state)
    assert promotion_tests.begin(job.pk, job.fence) is None
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED


def test_a_job_that_was_cancelled_meanwhile_keeps_no_result(under_test: Any) -> None:
    handoff = under_test()
    job = claimed(handoff, "golden")
    promotion_tests.begin(job.pk, job.fence)
    handoff.jobs.update(state=JobState.CANCELLED, ended_at=timezone.now())
    with pytest.raises(LeaseLost):
        promotion_tests.finish(job.pk, job.fence, report(), actor=ACTOR)
    assert not handoff.tests.exists()


def test_every_queue_name_is_a_registered_task() -> None:
    from mdlc_site.celery import app

    app.loader.import_default_modules()
    assert set(queue.QUEUES) <= set(app.tasks)
    for entry in app.conf.beat_schedule.values():
        if entry["task"].startswith("handoff."):
            assert entry["task"] in app.tasks


def test_offers_that_are_late_expire(place: Any) -> None:
    from handoff.tasks import expire

    handoff = building.offered(place, building.a_version(place), building.a_policy())
    Handoff.objects.filter(pk=handoff.pk).update(expires_at=timezone.now() - timedelta(minutes=1))
    expire()
    assert state_of(handoff) == State.EXPIRED
