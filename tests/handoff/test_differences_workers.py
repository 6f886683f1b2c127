"""Before each gate a worker computes the difference report anew, and refuses what nobody has signed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit.actors import Person
from audit.models import AuditEvent
from handoff import queue, tasks
from handoff.decisions import plain
from handoff.errors import GateShut
from handoff.facts import known_of, rules_of
from handoff.models import Decision, Deployment, Handoff, Job, PromotionTest, Return
from handoff.readiness import looked_again, report_of
from handoff.rules.gates import evaluate
from handoff.rules.reports import as_content
from handoff.rules.scopes import digest
from handoff.services import deployments, handoffs, jobs
from handoff.states import JobState, State
from models_registry.models import Environment
from tests import processes
from tests.handoff import building
from tests.processes import Engine, Process, eventually

pytestmark = pytest.mark.django_db(transaction=True)
RUN = {queue.RUN_TEST: tasks.run_test, queue.DEPLOY: tasks.deploy, queue.CONFIRM: tasks.confirm}
MOVES: dict[str, tuple[dict[str, Any], str]] = {
    "an interpreter outside its range": (
        {"python": "3.9.1"},
        "Python breaks its rule: 3.9.1 in the target, was 3.11.7",
    ),
    "hardware that nobody has read": ({"hardware": "1 CPU"}, "Hardware differs, and nobody has answered for it: 1 CPU"),
}
HARMLESS: dict[str, dict[str, Any]] = {
    "another purpose, declared free": {"purpose": "Something else"},
    "another interpreter inside its range": {"python": "3.12.1"},
    "a library that the version does not ask for": {"packages": {"polars": "2.1.0"}},
}


def offered(place: building.Place, *, confirm: bool = False) -> Handoff:
    """Return a handoff that was offered with its true report, which one signature a gate opens."""
    building.a_policy(("integrity",), confirm=confirm)
    version = building.a_version(place)
    person = Person(place.dana, "test")
    draft = handoffs.draft(
        actor=person, model=place.model.slug, version=version.number, source="workbench", target="production"
    )
    return handoffs.offer(actor=person, handoff_id=str(draft.pk))


def move(**changes: Any) -> None:
    """Change the target by hand, as whoever runs it might."""
    Environment.objects.filter(slug="production").update(**changes)


def work(handoff: Handoff) -> Handoff:
    """Do what is queued, as the workers do: they claim the row, and look again."""
    while (job := handoff.jobs.filter(state=JobState.QUEUED, task__in=RUN).order_by("queued_at").first()) is not None:
        RUN[job.task](str(job.pk))
    handoff.refresh_from_db()
    return handoff


def anew(handoff: Handoff) -> Handoff:
    """Read a handoff anew, as the next process would."""
    return Handoff.objects.get(pk=handoff.pk)


@pytest.mark.parametrize("case", MOVES)
def test_no_test_runs_when_the_target_moved_after_the_signatures(case: str, place: building.Place) -> None:
    handoff = building.open_review(place, offered(place))
    changes, words = MOVES[case]
    move(**changes)
    handoff = work(handoff)
    assert handoff.state == State.RETURNED
    assert not PromotionTest.objects.exists()
    job = handoff.jobs.get()
    assert job.state == JobState.REFUSED
    assert words in job.error
    note = Return.objects.get()
    assert (note.reasons, words in note.comment) == (["operability"], True)
    decision = Decision.objects.filter(handoff=handoff).latest("pk")
    assert (decision.opened, decision.taken_by) == (False, job.worker)
    assert any(words in told for told in decision.facts["moved"].values())
    assert [r["key"] for r in decision.result["requirements"] if not r["met"]] == ["report"]
    assert handoff.report_digest == digest(handoff.report), "what was signed stays what it was"


@pytest.mark.parametrize("case", HARMLESS)
def test_a_change_inside_the_rules_stops_nobody(case: str, place: building.Place) -> None:
    handoff = building.open_review(place, offered(place))
    move(**HARMLESS[case])
    assert work(handoff).state == State.READY
    assert PromotionTest.objects.get().verdict == "passed"


def test_the_target_put_right_again_lets_the_worker_on(place: building.Place) -> None:
    handoff = building.open_review(place, offered(place))
    move(python="3.9.1")
    move(python="3.11.7")
    assert work(handoff).state == State.READY


def test_nothing_is_deployed_while_the_target_differs_from_what_was_signed(
    engine: Engine, place: building.Place
) -> None:
    handoff = building.open_release(place, work(building.open_review(place, offered(place))))
    move(python="3.9.1")
    handoff = work(handoff)
    assert handoff.state == State.READY, "nothing is wrong with the version: it waits for the target"
    assert not Deployment.objects.exists()
    job = handoff.jobs.get(task=queue.DEPLOY)
    assert (job.state, "Python breaks its rule" in job.error) == (JobState.REFUSED, True)
    events = AuditEvent.objects.count()
    with pytest.raises(GateShut, match="Python breaks its rule"):
        deployments.retry(actor=Person(place.otto, "test"), handoff_id=str(handoff.pk))
    assert (handoff.jobs.count(), AuditEvent.objects.count()) == (2, events)
    move(python="3.11.7")
    deployments.retry(actor=Person(place.otto, "test"), handoff_id=str(handoff.pk))
    assert work(handoff).state == State.LIVE, "nobody had to sign again"
    assert engine.serves("tumours") == handoff.version.digest


def test_a_canary_is_not_confirmed_while_the_target_differs_from_what_was_signed(
    engine: Engine, place: building.Place
) -> None:
    handoff = building.open_review(place, offered(place, confirm=True))
    handoff = work(building.open_release(place, work(handoff)))
    assert handoff.state == State.CONFIRMING
    building.sign(handoff, "confirm", place.iris)
    move(hardware="1 CPU")
    handoff = work(handoff)
    assert handoff.state == State.CONFIRMING
    assert not Deployment.objects.filter(state="live").exists()
    job = handoff.jobs.get(task=queue.CONFIRM)
    assert (job.state, "Hardware differs" in job.error) == (JobState.REFUSED, True)
    move(hardware="")
    deployments.retry(actor=Person(place.otto, "test"), handoff_id=str(handoff.pk))
    assert work(handoff).state == State.LIVE


def test_what_was_acknowledged_is_so_only_in_the_value_that_was_read(place: building.Place) -> None:
    move(hardware="4 CPU")  # and the source says nothing of its own
    handoff = offered(place)
    handoff = building.open_review(place, handoff)
    assert looked_again(anew(handoff)).facts.moved == {}
    move(hardware="2 CPU")
    assert list(looked_again(anew(handoff)).facts.moved) == ["tools.hardware"]


def test_the_report_is_computed_under_the_policy_that_was_frozen(place: building.Place) -> None:
    handoff = offered(place)
    revision = handoff.policy_revision
    assert revision is not None
    stricter = revision.content | {"aspects": {"purpose.kind": "locked"}}
    revision.policy.revisions.create(number=2, source="", content=stricter, digest=building.digest_of(stricter))
    assert looked_again(anew(handoff)).facts.moved == {}
    assert as_content(report_of(anew(handoff), rules_of(handoff))) == handoff.report


def test_a_decision_can_be_judged_again_from_what_it_kept(place: building.Place) -> None:
    handoff = building.open_review(place, offered(place))
    move(python="3.9.1")
    known = looked_again(anew(handoff), known_of(handoff))
    result = evaluate("review", rules_of(handoff), known.facts)
    assert plain(known.facts)["moved"] == known.facts.moved
    assert [r.kind for r in result.missing] == ["report"]
    later = evaluate("release", rules_of(handoff), known.facts)
    assert sum(r.kind == "report" for r in later.missing) == 1, "it is told once, not again for each gate before"


def test_a_lost_claim_decides_nothing(place: building.Place) -> None:
    handoff = building.open_review(place, offered(place))
    job = handoff.jobs.get()
    claimed = jobs.claim(job.pk, "first", task=queue.RUN_TEST)
    assert claimed is not None
    move(python="3.9.1")
    tasks.run_test(str(job.pk))
    assert Job.objects.get().state == JobState.RUNNING
    handoff.refresh_from_db()
    assert handoff.state == State.TESTING


@pytest.mark.processes
def test_a_real_worker_refuses(
    env: dict[str, str], place: building.Place, tmp_path: Path, started: Callable[[Process], Process]
) -> None:
    handoff = building.open_review(place, offered(place))
    move(python="3.9.1")
    worker = started(processes.worker(tmp_path, env)).until("ready.")
    relay = started(processes.relay(tmp_path, env))
    refused = handoff.jobs.filter(state=JobState.REFUSED)
    eventually(refused.exists, "the worker looks again and refuses", 60, worker, relay)
    handoff.refresh_from_db()
    assert handoff.state == State.RETURNED
    assert "Python breaks its rule" in refused.get().error
    assert not PromotionTest.objects.exists()
