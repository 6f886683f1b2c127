"""Canaries and what is live, watched: counts of a real engine, limits, findings, and nobody who confirms early."""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.db import DatabaseError, transaction
from django.urls import reverse
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from audit.actors import Person, Worker
from audit.models import Account, AuditEvent
from handoff import queue, tasks
from handoff.errors import GateShut
from handoff.executors.counting import Told, ask
from handoff.executors.scoring import score
from handoff.facts import known_of
from handoff.models import Decision, Deployment, Finding, Handoff, Return, Watch
from handoff.plans import Counted
from handoff.rules.watches import NOTHING
from handoff.services import canaries, deployments, monitoring, watches
from handoff.states import State
from models_registry.store import open_blob
from tests.handoff import building, standing, walking
from tests.handoff.building import Place
from tests.handoff.test_deployments_live import latest, work
from tests.processes import TOKEN, Engine

CANARY = {"kind": "canary", "least_minutes": 5, "least_requests": 100}
ROBOT = Worker("canary")


def released(place: Place, number: int = 1, **more: Any) -> Handoff:
    """Return a handoff whose deployment is queued, under a policy with a confirm gate and more keys."""
    policy = building.a_policy(("integrity",), confirm=True, **more)
    version = building.a_version(place, number)
    handoff = building.open_review(place, building.offered(place, version, policy))
    return building.open_release(place, building.tested(handoff))


def counted(statuses: dict[int, int], *, began: float = 1.0, number: int = 1, bucket: int = 0) -> Told:
    """Return what an engine would tell of a version."""
    scored = statuses.get(200, 0)
    buckets = tuple(scored if at == bucket else 0 for at in range(len(NOTHING)))
    return Told({("tumours", str(number)): Counted(began, statuses, scored, buckets)})


def looked(deployment: Deployment, told: Told, *, ago: timedelta = timedelta()) -> None:
    """Keep what an engine told some time ago, and let the workers act on it."""
    deployment.refresh_from_db()
    watches.keep(deployment, told, asked_at=timezone.now() - ago)
    canaries.look(actor=ROBOT, handoff_id=deployment.handoff_id)
    monitoring.look(actor=ROBOT, handoff_id=deployment.handoff_id)


def api(account: Account) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {AuthToken.objects.create(user=account)[1]}"})


def state_of(handoff: Handoff) -> tuple[Any, ...]:
    """Return all that an attempt must not change."""
    return (
        list(Handoff.objects.filter(pk=handoff.pk).values()),
        list(handoff.jobs.order_by("pk").values()),
        list(Deployment.objects.filter(handoff=handoff).values()),
        list(Watch.objects.values()),
        Decision.objects.filter(handoff=handoff, gate="confirm", opened=True).count(),
    )


@pytest.fixture
def canary(place: Place) -> Deployment:
    """Return a canary that no worker has looked at yet."""
    handoff = standing.deployed(released(place, strategy=CANARY, monitoring={"most_silent_hours": 24}))
    assert handoff.state == State.CONFIRMING
    return latest(handoff)


@pytest.fixture
def live(place: Place) -> Deployment:
    """Return what is live under a policy that monitors."""
    limits = {"most_p99_ms": 250, "most_silent_hours": 24, "most_unseen_minutes": 1440}
    handoff = standing.deployed(released(place, monitoring=limits))
    building.sign(handoff, "confirm", place.iris)
    job = handoff.jobs.get(task=queue.CONFIRM)
    standing.carried_out(job)
    handoff.refresh_from_db()
    assert handoff.state == State.LIVE
    return latest(handoff)


@pytest.mark.django_db(transaction=True)
def test_a_canary_on_a_real_engine_goes_live_after_its_requests(engine: Engine, place: Place) -> None:
    handoff = work(released(place, strategy={**CANARY, "least_minutes": 1, "least_requests": 8}))
    deployment = latest(handoff)
    building.sign(handoff, "confirm", place.iris)
    assert (handoff.state, handoff.jobs.filter(task=queue.CONFIRM).count()) == (State.CONFIRMING, 0)
    began = timezone.now() - timedelta(minutes=2)
    Watch.objects.create(deployment=deployment, began_at=began, asked_at=began, seen_at=began)
    tasks.watch_counts()
    assert Watch.objects.get().scored == 0, "the golden records were replayed before"
    with open_blob(handoff.version.elements.get(name="golden").blob_id) as golden:
        record = orjson.loads(golden.readline())["input"]
    assert [score(engine.url, "tumours", record).error for _ in range(5)] == [""] * 5
    assert score(engine.url, "tumours", {}).error
    tasks.watch_counts()
    engine.kill()
    engine.start()
    tasks.watch_counts()
    assert [score(engine.url, "tumours", record).error for _ in range(3)] == [""] * 3
    assert canaries.watched().count() == 1
    tasks.watch_counts()
    watch = Watch.objects.get()
    assert (watch.scored, watch.failed, watch.refused, sum(watch.buckets), watch.error) == (8, 0, 1, 8, "")
    assert handoff.jobs.filter(task=queue.CONFIRM).count() == 1, "a worker orders it, once nothing is missing"
    assert work(handoff).state == State.LIVE


@pytest.mark.django_db(transaction=True)
def test_nobody_confirms_a_canary_early(canary: Deployment, place: Place) -> None:
    handoff = canary.handoff
    building.sign(handoff, "confirm", place.iris)
    looked(canary, counted({200: 3}))
    before = state_of(handoff)
    with pytest.raises(GateShut, match="The canary has run for 5 minutes: 0 of 5 minutes so far"):
        deployments.retry(actor=Person(place.otto, "test"), handoff_id=handoff.pk)
    browser = walking.client_of(place.otto)
    answer = browser.post(reverse("handoff-deploy-again", args=[handoff.pk]))
    assert (answer.status_code, b"0 of 5 minutes so far" in answer.content) == (409, True)
    answer = api(place.otto).post(reverse("api:handoff-deploy-again", args=[handoff.pk]))
    assert (answer.status_code, answer.json()["code"]) == (409, "gate_shut")
    Account.objects.filter(pk=place.otto.pk).update(is_staff=True)
    admin = {"action": "deploy_again", "_selected_action": [str(handoff.pk)], "confirmed": "yes", "reason": "Now."}
    shown = browser.post(reverse("admin:handoff_handoff_changelist"), admin, follow=True).content
    assert b"0 of 5 minutes so far" in shown
    assert canaries.look(actor=ROBOT, handoff_id=handoff.pk) is None
    for told in (
        {"state": "live", "live_at": timezone.now()},
        {"state": "live", "live_at": timezone.now(), "order": 9},
    ):
        with pytest.raises(DatabaseError, match="a canary goes live after its time"), transaction.atomic():
            Deployment.objects.filter(pk=canary.pk).update(**told)
    assert state_of(handoff) == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "forged", [{"began_at": timezone.now() - timedelta(days=1)}, {"scored": 0}, {"failed": -1}, {"asked_at": None}]
)
def test_what_was_counted_is_not_rewritten(canary: Deployment, forged: dict[str, Any]) -> None:
    looked(canary, counted({200: 3}))
    looked(canary, counted({200: 300}))
    before = list(Watch.objects.values())
    with pytest.raises(DatabaseError), transaction.atomic():
        Watch.objects.filter(pk=canary.pk).update(**forged)
    with pytest.raises(DatabaseError), transaction.atomic():
        Watch.objects.filter(pk=canary.pk)._raw_delete("default")
    assert list(Watch.objects.values()) == before


@pytest.mark.django_db(transaction=True)
def test_a_canary_that_breaks_a_limit_is_taken_back_with_the_figures(canary: Deployment, place: Place) -> None:
    handoff = canary.handoff
    looked(canary, counted({200: 20}))
    looked(canary, counted({200: 30, 400: 500, 500: 1}))
    assert not Return.objects.filter(handoff=handoff).exists(), "one failure among so few says nothing"
    looked(canary, counted({200: 40, 400: 500, 500: 1, 503: 1}))
    returned = Return.objects.get(handoff=handoff)
    assert (returned.reasons, returned.returned_by) == (["performance"], None)
    assert returned.comment == "The canary is not within its limits: 9.09 % failed, 2 of 22; at most 1 % may."
    event = AuditEvent.objects.get(chain=f"handoff:{handoff.pk}", action="handoff.returned")
    assert (event.told["data"]["reasons"], event.told["data"]["canary"]["failed"]) == (["performance"], 2)
    job = handoff.jobs.get(task=queue.ROLL_BACK)
    looked(canary, counted({200: 40, 500: 9}))
    assert handoff.jobs.get(task=queue.ROLL_BACK) == job, "once is enough"
    page = walking.client_of(place.otto).get(reverse("handoff", args=[handoff.pk])).content.decode()
    assert "9.09 % failed, 2 of 22" in page


@pytest.mark.django_db(transaction=True)
def test_a_canary_that_fails_after_it_was_ordered_does_not_go_live(canary: Deployment, place: Place) -> None:
    handoff = canary.handoff
    looked(canary, counted({200: 0}), ago=timedelta(minutes=6))
    looked(canary, counted({200: 100}))
    assert not handoff.jobs.filter(task=queue.CONFIRM).exists(), "the signature is missing"
    building.sign(handoff, "confirm", place.iris)
    job = handoff.jobs.get(task=queue.CONFIRM)
    watches.keep(canary, counted({200: 100, 500: 5}), asked_at=timezone.now())
    standing.carried_out(job)
    handoff.refresh_from_db()
    assert (handoff.state, handoff.jobs.get(pk=job.pk).state) == (State.CONFIRMING, "refused")
    assert canaries.look(actor=ROBOT, handoff_id=handoff.pk) is not None
    assert Return.objects.get(handoff=handoff).reasons == ["performance"]


@pytest.mark.django_db(transaction=True)
def test_a_canary_that_is_due_is_confirmed_once(canary: Deployment, place: Place) -> None:
    handoff = canary.handoff
    building.sign(handoff, "confirm", place.iris)
    looked(canary, counted({200: 0}), ago=timedelta(minutes=6))
    looked(canary, Told(error="It is down."), ago=timedelta(seconds=1))
    assert not handoff.jobs.filter(task=queue.CONFIRM).exists(), "nobody knows what became of it"
    looked(canary, counted({200: 100}))
    looked(canary, counted({200: 120}))
    job = handoff.jobs.get(task=queue.CONFIRM)
    decision = Decision.objects.filter(handoff=handoff, gate="confirm").latest("pk")
    assert (decision.opened, decision.facts["canary"]["scored"]) == (True, 100)
    standing.carried_out(job)
    handoff.refresh_from_db()
    assert handoff.state == State.LIVE
    assert known_of(handoff).facts.canary is None


@pytest.mark.django_db(transaction=True)
def test_looks_that_come_late_or_twice_count_once(canary: Deployment) -> None:
    at = timezone.now()
    for told, asked_at in (
        (counted({200: 10}), at - timedelta(minutes=3)),
        (counted({200: 30}), at - timedelta(minutes=1)),
        (counted({200: 20}), at - timedelta(minutes=2)),  # asked before the last, answered after it
        (counted({200: 30}), at - timedelta(minutes=1)),
        (counted({200: 99}), at - timedelta(minutes=1)),  # the same look, told twice
        (counted({200: 5}, began=2.0), at),  # it started anew
    ):
        watches.keep(canary, told, asked_at=asked_at)
    watch = Watch.objects.get()
    assert (watch.scored, watch.began_at, watch.seen_at) == (25, at - timedelta(minutes=3), at)


@pytest.mark.django_db(transaction=True)
def test_a_limit_that_is_broken_is_a_finding_until_it_holds_again(live: Deployment, place: Place) -> None:
    looked(live, counted({200: 0}), ago=timedelta(hours=3))
    looked(live, counted({200: 200}), ago=timedelta(hours=2))
    assert not Finding.objects.exists()
    looked(live, counted({200: 400}, bucket=9), ago=timedelta(minutes=70))
    finding = Finding.objects.get()
    assert (finding.kind, finding.severity, finding.owner, finding.suspends) == ("watch", "medium", place.otto, False)
    assert "the latency was" in str(finding)
    assert "250 ms are allowed" in str(finding)
    looked(live, counted({200: 400}, bucket=9))
    finding.refresh_from_db()
    assert (finding.closing, finding.closed_by) == ("resolved", None)
    looked(live, Told(error="It is down."))
    assert not Finding.objects.filter(closed_at=None).exists()
    assert Watch.objects.get().error == "It is down."


@pytest.mark.django_db(transaction=True)
def test_the_page_and_the_api_tell_the_traffic(live: Deployment, place: Place) -> None:
    browser, client = walking.client_of(place.otto), api(place.otto)
    page, address = reverse("deployment", args=[live.pk]), reverse("api:deployment", args=[live.pk])
    assert "No worker has asked its engine yet" in browser.get(page).content.decode()
    assert client.get(address).json()["watch"] is None
    looked(live, counted({200: 0}), ago=timedelta(minutes=90))
    looked(live, counted({200: 300, 422: 4}, bucket=9), ago=timedelta(minutes=80))
    looked(live, counted({200: 400, 422: 9, 500: 1}, bucket=9))
    watch = client.get(address).json()["watch"]
    assert (watch["total"]["scored"], watch["total"]["p99_ms"], watch["error"]) == (400, 497.5, "")
    hour = {"scored": 100, "failed": 1, "refused": 5, "records": 100, "failed_percent": 0.99, "p99_ms": 497.5}
    assert watch["hour"] == hour
    text = " ".join(browser.get(page).content.decode().split())
    for told in (
        "101 requests",
        "of 401 since",
        "0.99 % of the hour",
        "497.5 ms",
        "at most 24 hours without a request",
    ):
        assert told in text
    looked(live, Told(error="It cannot be reached."))
    assert "It cannot be reached. Last seen" in " ".join(browser.get(page).content.decode().split())


@pytest.mark.django_db(transaction=True)
def test_an_engine_that_nobody_can_ask_is_a_finding(live: Deployment) -> None:
    watches.keep(live, counted({200: 1}), asked_at=timezone.now() - timedelta(hours=25))
    looked(live, Told(error="It cannot be reached."))
    finding = Finding.objects.get()
    assert (finding.subject, finding.severity) == ("monitoring:unseen", "medium")
    assert "It cannot be reached." in str(finding)
    Deployment.objects.filter(pk=live.pk).update(state="superseded", ended_at=timezone.now())
    monitoring.look(actor=ROBOT, handoff_id=live.handoff_id)
    finding.refresh_from_db()
    assert finding.closing == "resolved", "what is live no more is held to nothing"


def test_an_engine_that_tells_what_cannot_be_read_tells_nothing() -> None:
    assert ask("", token=TOKEN).error == "The engine has no address in ENGINE_URLS here."
    assert "cannot be reached" in ask("http://127.0.0.1:9", token=TOKEN).error
