"""Releases wait for their window: at the gate, in the worker, and until the clock opens it."""

from datetime import timedelta
from typing import Any

import pgtrigger
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.actors import Person, Worker
from handoff import queue, tasks
from handoff.errors import GateShut
from handoff.models import Decision, Deployment, Handoff, PolicyRevision
from handoff.rules.policies import digest_of
from handoff.services import deployments, handoffs, jobs, windows
from handoff.states import State
from tests.handoff import building
from tests.handoff.test_signoffs_doors import place

__all__ = ["place"]
pytestmark = pytest.mark.django_db
ALWAYS = {"zone": "UTC", "open": [{"from": "00:00", "to": "24:00"}]}


def closed() -> dict[str, Any]:
    """Return a window that opens in two days."""
    day = (timezone.now() + timedelta(days=2)).strftime("%a").lower()
    return {"zone": "UTC", "open": [{"days": [day], "from": "00:00", "to": "24:00"}]}


def a_policy(window: dict[str, Any]) -> PolicyRevision:
    """Return a published policy with a deployment window."""
    before = building.a_policy(("integrity",))
    content = before.content | {"windows": [window]}
    return PolicyRevision.objects.create(
        policy=before.policy, number=2, source="{}", content=content, digest=digest_of(content)
    )


def ready(place: building.Place, window: dict[str, Any]) -> Handoff:
    """Return a handoff whose tests have passed."""
    handoff = building.offered(place, building.a_version(place), a_policy(window))
    return building.tested(building.open_review(place, handoff))


def let_time_pass(handoff: Handoff, window: dict[str, Any]) -> None:
    """Stand in for the clock, which no test can turn: the frozen window becomes another one under the same digest."""
    with pgtrigger.ignore("handoff.Handoff:policy_is_fixed"):
        Handoff.objects.filter(pk=handoff.pk).update(policy=handoff.policy | {"windows": [window]})
    handoff.refresh_from_db()


def test_people_sign_outside_the_window_and_the_release_goes_on_when_it_opens(place: building.Place) -> None:
    handoff = ready(place, closed())
    building.sign(handoff, "release", place.otto)
    assert handoff.state == State.READY
    assert not Decision.objects.filter(gate="release").get().opened
    client = Client()
    client.force_login(place.otto, backend="django.contrib.auth.backends.ModelBackend")
    html = client.get(reverse("handoff", args=[handoff.pk])).content.decode()
    assert "it is closed; the next opening is" in html
    assert "Deploy again" not in html
    tasks.open_windows()
    handoff.refresh_from_db()
    assert (handoff.state, handoff.jobs.filter(task=queue.DEPLOY).count()) == (State.READY, 0)
    let_time_pass(handoff, ALWAYS)
    tasks.open_windows()
    tasks.open_windows()
    handoff.refresh_from_db()
    assert handoff.state == State.DEPLOYING
    assert [job.purpose for job in handoff.jobs.filter(task=queue.DEPLOY)] == ["deploy:1"]
    assert Decision.objects.filter(gate="release", opened=True).count() == 1


def test_a_worker_whose_window_closed_waits_and_says_until_when(place: building.Place) -> None:
    handoff = building.open_release(place, ready(place, ALWAYS))
    let_time_pass(handoff, closed())
    job = jobs.claim(handoff.jobs.get(task=queue.DEPLOY).pk, "worker", task=queue.DEPLOY)
    assert job is not None
    assert deployments.begin(job.pk, job.fence) is None
    job.refresh_from_db()
    handoff.refresh_from_db()
    assert (job.state, handoff.state, Deployment.objects.count()) == ("refused", State.READY, 0)
    assert "The deployment window is open: it is closed; the next opening is" in job.error
    tasks.open_windows()
    assert handoff.jobs.filter(task=queue.DEPLOY).count() == 1
    let_time_pass(handoff, ALWAYS)
    tasks.open_windows()
    handoff.refresh_from_db()
    assert handoff.state == State.DEPLOYING
    assert sorted(job.purpose for job in handoff.jobs.filter(task=queue.DEPLOY)) == ["deploy:1", "deploy:2"]


def test_nobody_deploys_again_while_the_window_is_closed(place: building.Place) -> None:
    handoff = ready(place, closed())
    building.sign(handoff, "release", place.otto)
    with pytest.raises(GateShut, match="the next opening is"):
        deployments.retry(actor=Person(place.otto, "test"), handoff_id=str(handoff.pk))
    handoff.refresh_from_db()
    assert (handoff.state, handoff.jobs.filter(task=queue.DEPLOY).count()) == (State.READY, 0)


def test_nothing_goes_on_by_itself_that_lacks_more_than_time(place: building.Place) -> None:
    """Attack: a window opens while a signature is missing, was withdrawn, or the offer has run out."""
    handoff = ready(place, closed())
    let_time_pass(handoff, ALWAYS)
    tasks.open_windows()  # nobody has signed
    handoff.refresh_from_db()
    assert handoff.state == State.READY
    let_time_pass(handoff, closed())
    signoff = building.sign(handoff, "release", place.otto)
    type(signoff).objects.filter(pk=signoff.pk).update(voided_at=timezone.now(), voided_because="withdrawn")
    let_time_pass(handoff, ALWAYS)
    tasks.open_windows()
    handoff.refresh_from_db()
    assert handoff.state == State.READY
    Handoff.objects.filter(pk=handoff.pk).update(expires_at=timezone.now())
    tasks.open_windows()
    handoff.refresh_from_db()
    assert handoff.state == State.READY
    handoffs.withdraw(actor=Person(place.dana, "test"), handoff_id=str(handoff.pk), reason="Enough.")


def test_what_failed_for_another_reason_waits_for_operations(place: building.Place) -> None:
    handoff = building.open_release(place, ready(place, ALWAYS))
    job = jobs.claim(handoff.jobs.get(task=queue.DEPLOY).pk, "worker", task=queue.DEPLOY)
    assert job is not None
    type(job).objects.filter(pk=job.pk).update(state="dead", ended_at=timezone.now())
    Handoff.objects.filter(pk=handoff.pk).update(state=State.READY)
    tasks.open_windows()
    handoff.refresh_from_db()
    assert (handoff.state, handoff.jobs.filter(task=queue.DEPLOY).count()) == (State.READY, 1)


# Of several, and what the last decision has to say


def let_open(handoff: Handoff) -> Handoff:
    """Let a handoff wait for nothing but its window, and the window open."""
    building.sign(handoff, "release", handoff.target.owner)
    let_time_pass(handoff, ALWAYS)
    return handoff


def go_on(handoff: Handoff) -> Handoff | None:
    return windows.go_on(actor=Worker("clock"), handoff_id=handoff.pk)


def test_what_waits_is_ready_in_time_and_has_a_window_or_a_freeze(place: building.Place) -> None:
    timed = ready(place, closed())
    policy = building.a_policy(("integrity",))
    others = [building.offered(place, building.a_version(place, number), policy) for number in (2, 3)]
    frozen, plain = (building.tested(building.open_review(place, one)) for one in others)
    with pgtrigger.ignore("handoff.Handoff:policy_is_fixed"):
        Handoff.objects.filter(pk=frozen.pk).update(policy=frozen.policy | {"freezes": []})
    building.offered(place, building.a_version(place, 4), timed.policy_revision)
    late = building.offered(place, building.a_version(place, 5), timed.policy_revision)
    building.tested(building.open_review(place, late))
    Handoff.objects.filter(pk=late.pk).update(expires_at=timezone.now())
    assert set(windows.waiting()) == {timed, frozen}
    assert (plain.state, go_on(plain)) == (State.READY, None)


def test_one_goes_on_while_another_waits(place: building.Place) -> None:
    first = ready(place, closed())
    second = building.offered(place, building.a_version(place, 2), first.policy_revision)
    let_open(building.tested(building.open_review(place, second)))
    let_open(first)
    queue.enqueue(first, gate="live", task=queue.REPLAY, purposes=["replay:1"])  # work of another kind
    found = go_on(first)
    assert found is not None
    assert (found.pk, found.state) == (first.pk, State.DEPLOYING)
    second.refresh_from_db()
    assert (second.state, second.jobs.filter(task=queue.DEPLOY).exists()) == (State.READY, False)


def test_what_drifted_while_it_waited_does_not_go_on(place: building.Place) -> None:
    handoff = let_open(ready(place, closed()))
    place.target.python = "3.9.1"
    place.target.save(update_fields=["python"])
    assert go_on(handoff) is None
    assert not handoff.jobs.filter(task=queue.DEPLOY).exists()


def test_what_a_worker_has_in_hand_is_not_ordered_again(place: building.Place) -> None:
    handoff = let_open(ready(place, closed()))
    queue.enqueue(handoff, gate="release", task=queue.DEPLOY, purposes=["deploy:7"])
    assert (go_on(handoff), handoff.jobs.filter(task=queue.DEPLOY).count()) == (None, 1)


def asked(kind: str, *, met: bool = False, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "met": met, **more}


@pytest.mark.parametrize(
    ("told", "goes_on"),
    [
        ({"requirements": [asked("window", needed=True), asked("signoff", met=True, needed=True)]}, True),
        ({"requirements": [asked("freeze", needed=True)]}, True),
        ({"requirements": [asked("signoff", needed=False), asked("window", needed=True)]}, True),
        ({"requirements": [asked("signoff", needed=True), asked("window", needed=True)]}, False),
        ({"requirements": [asked("signoff")]}, False),
        ({"requirements": [asked("canary", needed=True)]}, False),
        ({"requirements": [asked("window", needed=True)], "refused": True}, False),
        ({"requirements": [asked("window", needed=True)], "opened": True}, False),
        ({"requirements": [asked("signoff", needed=True)], "gate": "confirm", "opened": True}, True),
    ],
)
def test_only_what_the_clock_alone_held_up_goes_on_by_itself(
    told: dict[str, Any], goes_on: bool, place: building.Place
) -> None:
    handoff = let_open(ready(place, closed()))
    result = {"refused": told.get("refused", False), "requirements": told["requirements"]}
    Decision.objects.create(
        handoff=handoff, gate=told.get("gate", "release"), taken_by="Otto", opened=told.get("opened", False), facts={},
        result=result,
    )  # fmt: skip
    assert (go_on(handoff) is not None) is goes_on
