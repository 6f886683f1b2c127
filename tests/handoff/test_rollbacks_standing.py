"""A rollback goes to a version that stands approved; where its approval has ended, two people answer for it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.urls import reverse
from rest_framework.test import APIClient

from audit.actors import Person
from audit.models import AuditEvent
from handoff import queue, tasks
from handoff.errors import ApprovalLapsed, GateShut, WrongState
from handoff.models import Deployment, Finding, Handoff, Job
from handoff.plans import DeployReport
from handoff.queries.rollbacks import way_back
from handoff.rules.answers import AnswerFact
from handoff.rules.checklists import ChecklistItem
from handoff.rules.gate_facts import Facts, WaiverFact
from handoff.rules.policies import Gate
from handoff.rules.standing import Standing, judge_standing
from handoff.services import deployments, jobs, rollbacks, signoffs
from handoff.standing import standing_of
from handoff.states import State
from tests.handoff import building, walking
from tests.handoff import test_gates_rules as gates
from tests.handoff.building import Place
from tests.handoff.test_break_glass import (
    GLASS,
    a_policy,
    asked,
    broken,
    carried_out,
    confirmed,
    let_its_time_pass,
    taken_back,
    with_passwords,
)
from tests.handoff.test_signoffs_signatures import as_owner
from tests.handoff.walking import client_of

pytestmark = pytest.mark.django_db
WHY = "It scores everybody as ill."
OLD = (
    "UPDATE handoff_signoff SET signed_at = signed_at - interval '91 days' WHERE gate = 'release' AND handoff_id = '{}'"
)


@pytest.fixture
def place(db: None, store: Path, settings: Any) -> Place:
    """Return a model, its environments and its people; no test here calls the engine."""
    settings.ENGINE_URLS = {"production": "http://engine.example"}
    return building.a_place()


def lasting(days: int = 90, glass: Any = GLASS, **more: Any) -> Any:
    """Return a policy whose release sign-off is good for some days."""
    gates = building.a_policy(("integrity",)).content["gates"]
    gates["release"]["signoffs"][0]["valid_days"] = days
    return a_policy(glass, gates=gates, **more)


def live(place: Place, number: int, policy: Any) -> Handoff:
    version = building.a_version(place, number, latency_p99_ms=100 + number)
    handoff = building.open_review(place, building.offered(place, version, policy))
    return carried_out(building.open_release(place, building.tested(handoff)))


def two(place: Place, **policy: Any) -> tuple[Handoff, Handoff]:
    """Return a handoff whose version was live, and the one that took its place."""
    rules = lasting(**policy)
    first, second = live(place, 1, rules), live(place, 2, rules)
    first.refresh_from_db()
    return first, second


def ran_out(handoff: Handoff) -> None:
    as_owner(OLD.format(handoff.pk))


def roll_back(place: Place, handoff: Handoff) -> Job:
    return deployments.roll_back(actor=Person(place.otto, "test"), deployment_id=serving(handoff).pk, reason=WHY)


def serving(handoff: Handoff) -> Deployment:
    return handoff.deployments.get(state="live")


def in_hand(handoff: Handoff) -> Job:
    """Return the newest way back of a handoff, taken by a worker."""
    job = jobs.claim(handoff.jobs.filter(task=queue.ROLL_BACK).latest("queued_at").pk, "worker", task=queue.ROLL_BACK)
    assert job is not None
    return job


def untouched(handoff: Handoff) -> None:
    """Assert that nothing was ordered."""
    assert not Deployment.objects.filter(rollback_of__isnull=False).exists()
    assert not handoff.jobs.filter(task=queue.ROLL_BACK).exists()


def test_without_an_end_an_approval_stands_for_ever_and_nothing_is_asked(place: Place) -> None:
    first, second = two(place, days=0)
    as_owner("UPDATE handoff_signoff SET signed_at = signed_at - interval '20 years'")
    assert standing_of(first) == Standing()
    roll_back(place, second)
    assert Deployment.objects.get(rollback_of__handoff=second).rests_on == "approval"
    taken_back(second)
    first.refresh_from_db()
    assert first.state == State.LIVE


def test_it_is_told_until_when_it_stands_and_what_ends_first(place: Place) -> None:
    first, second = two(place)
    found = way_back(serving(second))
    assert found is not None
    assert found.open
    signed = first.signoffs.get(gate="release").signed_at
    assert found.standing.until == signed + timedelta(days=90)
    assert found.standing.ends_first == f"the approval of {place.otto.printed_name} at the release gate"


def test_nobody_goes_back_to_what_does_not_stand_any_more_and_is_told_who_renews_it(place: Place) -> None:
    first, second = two(place)
    ran_out(first)
    with pytest.raises(ApprovalLapsed, match=r"Version 1 does not stand approved any more.*ran out on") as refused:
        roll_back(place, second)
    assert refused.value.code == "approval_lapsed"
    assert place.otto.printed_name in refused.value.todo
    assert "break-glass" in refused.value.todo
    assert list(refused.value.fields) == ["release"]
    untouched(second)


def test_the_page_and_the_api_tell_and_refuse_alike(place: Place) -> None:
    with_passwords(place)
    first, second = two(place)
    page, api = client_of(place.otto), APIClient()
    api.force_authenticate(place.otto)
    url = reverse("deployment", args=[serving(second).pk])
    back = reverse("api:deployment-roll-back", args=[serving(second).pk])
    assert "stands approved until" in page.get(url).content.decode()
    assert (api.get(back).json()["stands"], api.get(back).json()["version"]) == (True, 1)
    ran_out(first)
    shown = page.get(url).content.decode()
    assert "no longer stands approved" in shown
    assert "ran out on" in shown
    assert "break-glass" in shown
    told = api.get(back).json()
    assert (told["stands"], [one["key"] for one in told["missing"]]) == (False, ["release"])
    assert (told["break_glass_allowed"], told["break_glass_until"]) == (True, None)
    refused = api.post(back, {"reason": WHY})
    assert (refused.status_code, refused.json()["code"]) == (409, "approval_lapsed")
    assert page.post(reverse("deployment-roll-back", args=[serving(second).pk]), {"reason": WHY}).status_code == 409
    untouched(second)
    stranger = APIClient()
    stranger.force_authenticate(place.mallory)
    assert stranger.get(back).status_code == 404
    nothing = api.get(reverse("api:deployment-roll-back", args=[first.deployments.get().pk]))
    assert (nothing.status_code, nothing.json()["deployment"], nothing.json()["stands"]) == (200, None, False)


def test_a_signature_given_again_makes_it_stand_again(place: Place) -> None:
    first, second = two(place)
    ran_out(first)
    building.sign(first, "release", place.otto)
    assert standing_of(first).stands
    assert not Finding.objects.filter(handoff=first).exists()
    roll_back(place, second)


def test_who_signed_may_take_it_back_and_break_glass_does_not_step_over_that(place: Place) -> None:
    first, second = two(place)
    given = first.signoffs.get(gate="release")
    signoffs.revoke(
        actor=Person(place.otto, "test"), handoff_id=str(first.pk), signoff_id=str(given.pk), reason="Wrong."
    )
    with pytest.raises(ApprovalLapsed, match="was revoked: Wrong"):
        roll_back(place, second)
    with pytest.raises(GateShut) as refused:
        asked(first, place.iris)
    assert refused.value.code == "more_than_signatures"
    untouched(second)


def test_the_worker_judges_it_again(place: Place) -> None:
    first, second = two(place)
    roll_back(place, second)
    ran_out(first)
    job = in_hand(second)
    assert rollbacks.begin(job.pk, job.fence) is None
    job.refresh_from_db()
    assert job.state == "refused"
    assert "does not stand approved any more" in job.error
    assert serving(second).version == second.version


def test_two_people_go_back_all_the_same_and_all_sign_in_time(place: Place) -> None:
    first, second = two(place)
    ran_out(first)
    glass = asked(first, place.iris)
    assert glass.gate == "rollback"
    assert [one.task.kind for one in walking.inbox(place.rita) if one.task.handoff == first] == ["glass"]
    confirmed(glass, place.rita)
    order = Deployment.objects.get(rollback_of__handoff=second)
    assert (order.rests_on, order.reason) == ("break_glass", "INC-7: The live version scores everybody as ill.")
    taken_back(second)
    first.refresh_from_db()
    assert (first.state, second.state) == (State.LIVE, State.ROLLED_BACK)
    tasks.watch_break_glass()
    glass.refresh_from_db()
    assert glass.state == "confirmed"
    assert "ran out on" in glass.missing[0]["title"]
    assert "ran out on" in str(Finding.objects.get(handoff=first, kind="glass"))
    building.sign(first, "release", place.otto)
    glass.refresh_from_db()
    assert glass.state == "regularised"


def test_a_rollback_by_break_glass_ends_at_its_deadline(place: Place) -> None:
    first, second = two(place)
    ran_out(first)
    glass = broken(place, first)
    taken_back(second)
    let_its_time_pass(glass)
    tasks.watch_break_glass()
    glass.refresh_from_db()
    assert glass.state == "overdue"
    first.refresh_from_db()
    taken_back(first)
    glass.refresh_from_db()
    assert (glass.state, first.state) == ("rolled_back", State.ROLLED_BACK)


def test_a_rollback_that_failed_is_ordered_again_while_two_people_answer_for_it(place: Place) -> None:
    first, second = two(place)
    ran_out(first)
    glass = broken(place, first)
    taken_back(second, DeployReport(False, "out of reach", (), "unreachable"))
    tasks.watch_break_glass()
    glass.refresh_from_db()
    assert glass.state == "confirmed"
    roll_back(place, second)
    let_its_time_pass(glass)
    job = in_hand(second)
    assert rollbacks.begin(job.pk, job.fence) is None, "its time is over"
    tasks.watch_break_glass()
    glass.refresh_from_db()
    assert glass.state == "ended"
    with pytest.raises(ApprovalLapsed):
        roll_back(place, second)


def test_break_glass_is_for_the_version_before_and_only_where_its_approval_lacks_something(place: Place) -> None:
    first, _second = two(place)
    with pytest.raises(WrongState) as refused:
        asked(first, place.iris)
    assert refused.value.code == "nothing_missing"
    third = live(place, 3, lasting())
    ran_out(first)
    with pytest.raises(WrongState) as refused:
        asked(first, place.iris)
    assert refused.value.code == "nothing_to_roll_back_to"
    untouched(third)


def test_a_policy_without_break_glass_leaves_renewal_and_the_kill_switch(place: Place) -> None:
    first, second = two(place, glass=None)
    ran_out(first)
    with pytest.raises(ApprovalLapsed) as refused:
        roll_back(place, second)
    assert "break-glass" not in refused.value.todo
    untouched(second)


def test_workers_go_back_whatever_has_run_out_and_the_trail_says_so(place: Place) -> None:
    first = live(place, 1, lasting())
    version = building.a_version(place, 2, latency_p99_ms=102)
    second = building.tested(building.open_review(place, building.offered(place, version, lasting())))
    glass = broken(place, second)
    carried_out(second)
    ran_out(first)
    let_its_time_pass(glass)
    tasks.watch_break_glass()
    order = Deployment.objects.get(rollback_of__handoff=second)
    assert order.rests_on == "way_back"
    event = AuditEvent.objects.filter(chain=f"handoff:{second.pk}", action="deployment.ordered").latest("seq")
    assert '"rests_on":"way_back"' in event.body
    assert "ran out on" in event.body
    taken_back(second)
    first.refresh_from_db()
    assert first.state == State.LIVE


@pytest.mark.parametrize(
    ("rests_on", "name"),
    [("break_glass", "two people|break-glass"), ("", "deployment_rollback_rests_on_something")],
)
def test_the_database_takes_no_rollback_that_rests_on_nothing(place: Place, rests_on: str, name: str) -> None:
    first, second = two(place)
    of = serving(second)
    with pytest.raises(DatabaseError, match=name), transaction.atomic():
        Deployment.objects.create(
            handoff=first, model=of.model, version=first.version, environment=of.environment, order=of.order + 9,
            digest=first.version.digest, rollback_of=of, rests_on=rests_on, ordered_by="otto",
        )  # fmt: skip
    untouched(second)


ITEM = ChecklistItem("purpose", "Written down?", "data_scientist", valid_days=30)
RULES = replace(
    gates.RULES, tests=(), gates={"review": Gate("review", checklist=(ITEM,), signoffs=gates.REVIEW.signoffs)}
)
NOW = datetime(2026, 11, 1, tzinfo=UTC)
KEPT = replace(gates.FULL, differences=(), now=NOW, answers={"purpose": AnswerFact("yes", gates.DANA)})
ENDS = {"purpose": NOW + timedelta(days=9)}
NO = {"purpose": AnswerFact("no", gates.DANA)}


def waiver(until: str, counts: bool) -> dict[str, WaiverFact]:
    return {"item:purpose": WaiverFact("w", until, "Rita", gates.DANA, "Looked at by hand", counts)}


@pytest.mark.parametrize(
    ("case", "facts", "until", "lacks"),
    [
        ("an answer that ages", KEPT, ENDS["purpose"], ""),
        ("too old", replace(KEPT, answers={"purpose": replace(KEPT.answers["purpose"], reopened="too old")}), None,
         "Written down?: too old"),
        ("a waiver", replace(KEPT, answers=NO, waivers=waiver("2026-11-03", True)), datetime(2026, 11, 4, tzinfo=UTC),
         ""),
        ("a waiver that ended", replace(KEPT, answers=NO, waivers=waiver("2026-10-03", False)), None,
         "Written down?: its waiver ended on 2026-10-03"),
        ("a drift of today", replace(KEPT, moved={"x": "Python changed"}), ENDS["purpose"], ""),
        ("a role lost since", replace(KEPT, signoffs=tuple(replace(s, entitled=False) for s in KEPT.signoffs)),
         ENDS["purpose"], ""),
    ],
)  # fmt: skip
def test_evidence_and_waivers_end_an_approval_and_the_environment_of_today_does_not(
    case: str, facts: Facts, until: datetime | None, lacks: str
) -> None:
    found = judge_standing(RULES, facts, (), ENDS)
    assert (found.why, found.until) == (lacks, until), case
    assert found.stands == (not lacks)
