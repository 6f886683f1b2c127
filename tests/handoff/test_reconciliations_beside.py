"""Looks at several engines: what each was asked and said is kept for its environment, and told at its own handoffs."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit.actors import Worker
from audit.models import Account, AuditEvent
from handoff.executors.reconciliations import Question
from handoff.models import Deployment, Finding, Handoff, Reconciliation
from handoff.plans import EngineAnswer, Served
from handoff.services import reconciliations
from models_registry.models import Environment
from tests.handoff import building
from tests.handoff.building import Place
from tests.queries.counting import deployed

pytestmark = pytest.mark.django_db
ROBOT = Worker("reconciliation")
ODD = Served("odd", "1", "c" * 64, 3, True)
DOWN = EngineAnswer(error="It is down.")


@pytest.fixture
def place(db: None, store: Any, settings: Any) -> Place:
    """Return a model, its environments and its people; no test here calls an engine."""
    settings.ENGINE_URLS = {"production": "http://engine.example"}
    return building.a_place()


def released(place: Place, number: int = 1) -> Handoff:
    policy = building.a_policy(("integrity",))
    version = building.a_version(place, number, latency_p99_ms=100 + number)
    handoff = building.open_review(place, building.offered(place, version, policy))
    return building.open_release(place, building.tested(handoff))


def live(place: Place, number: int = 1) -> Deployment:
    """Return what is live, though no engine serves it."""
    return deployed(released(place, number))


def elsewhere(place: Place, slug: str = "elsewhere") -> Environment:
    return Environment.objects.create(
        slug=slug, name=slug.capitalize(), kind="production", organisation=place.target.organisation,
        owner=place.iris, engine="far", python="3.11.7", packages={},
    )  # fmt: skip


def served(one: Deployment, **more: Any) -> Served:
    told = {"model": one.model.slug, "version": str(one.version.number), "digest": one.digest, "order": one.order}
    return Served(**{**told, "ready": True} | more)


def keep(place: Environment, answer: EngineAnswer, at: datetime | None = None) -> Reconciliation | None:
    return reconciliations.keep(actor=ROBOT, environment_id=place.pk, answer=answer, asked_at=at or timezone.now())


def twice(place: Environment, answer: EngineAnswer) -> None:
    for _ in range(2):
        assert keep(place, answer) is not None


def look(handoff: Handoff) -> list[Finding]:
    return reconciliations.look(actor=ROBOT, handoff_id=handoff.pk)


def look_at(place: Environment) -> list[Finding]:
    return reconciliations.look_at_place(actor=ROBOT, environment_id=place.pk)


def acts(place: Environment) -> list[tuple[str, Any]]:
    """Return what the trail of an environment tells of its engine."""
    found = AuditEvent.objects.filter(chain=f"environment:{place.pk}", action__startswith="engine.").order_by("seq")
    told = [(one.action, json.loads(one.body)["data"]["differences"]) for one in found]
    return [(action, [(row["model"], row["difference"]) for row in rows]) for action, rows in told]


def test_every_engine_is_asked_about_the_models_that_it_should_serve(place: Place) -> None:
    live(place)
    live(place, 2)
    live(building.a_place("beside"))
    far = elsewhere(place)
    first, second = reconciliations.questions()
    assert first == Question(str(far.pk), "", ())
    assert (second.environment, second.url, sorted(second.models)) == (
        str(place.target.pk), "http://engine.example", ["beside", "tumours"],
    )  # fmt: skip


def test_what_an_engine_said_last_stays_while_it_is_silent(place: Place) -> None:
    one, far, now = live(place), elsewhere(place), timezone.now()
    keep(far, EngineAnswer((ODD,)), now + timedelta(hours=1))
    theirs = Reconciliation.objects.values().get(environment=far)
    times = [now - timedelta(minutes=minutes) for minutes in (9, 8, 7, 6)]
    first = keep(place.target, DOWN, times[0])
    assert first is not None
    assert (first.asked_at, first.answered_at, first.silent_since, first.error, first.told) == (
        times[0], None, times[0], "It is down.", {},
    )  # fmt: skip
    second = keep(place.target, DOWN, times[1])
    assert second is not None
    assert (second.asked_at, second.silent_since) == (times[1], times[0])
    third = keep(place.target, EngineAnswer((served(one),)), times[2])
    assert third is not None
    assert (third.silent_since, third.error, len(third.told["served"]), third.differences) == (None, "", 1, [])
    assert third.answered_at is not None
    fourth = keep(place.target, DOWN, times[3])
    assert fourth is not None
    assert (fourth.silent_since, fourth.told, fourth.answered_at) == (times[3], third.told, third.answered_at)
    assert keep(place.target, DOWN, times[3]) is not None
    assert keep(place.target, DOWN, times[2]) is None
    assert Reconciliation.objects.values().get(environment=far) == theirs
    assert acts(place.target) == [
        ("engine.differs", [("tumours", "silent")]),
        ("engine.agrees", [("tumours", "silent")]),
        ("engine.differs", [("tumours", "silent")]),
    ]
    assert acts(far) == [("engine.differs", [("odd", "stranger")])]


def test_a_long_error_is_kept_as_far_as_there_is_room(place: Place) -> None:
    kept = keep(place.target, EngineAnswer(error="x" * 501))
    assert kept is not None
    assert kept.error == "x" * 500


def test_a_finding_is_of_the_handoff_that_a_difference_is_about(place: Place) -> None:
    one, other = live(place), live(building.a_place("beside"))
    aside = live(building.a_place("third"))
    about = {"severity": "low", "suspends": False, "due_at": timezone.now(), "items": {"a": "x"}}
    Finding.objects.create(handoff=aside.handoff, kind="evidence", **about)
    closed = Finding.objects.create(handoff=aside.handoff, kind="served", subject="served:x", **about)
    Finding.objects.filter(pk=closed.pk).update(closed_at=timezone.now(), closing="resolved")
    twice(elsewhere(place), EngineAnswer())
    twice(place.target, EngineAnswer((served(other, digest="b" * 64), served(aside))))
    assert list(reconciliations.watched().values_list("pk", flat=True)) == sorted([one.handoff_id, other.handoff_id])
    assert list(reconciliations.places_watched()) == []
    (finding,) = look(one.handoff)
    assert (finding.handoff, finding.subject, finding.owner, finding.severity) == (
        one.handoff, "served:nothing:tumours", place.otto, "high",
    )  # fmt: skip
    told = json.loads(AuditEvent.objects.get(action="finding.raised").body)["data"]
    assert (told["environment"], told["model"], told["difference"]) == ("production", "tumours", "nothing")
    assert look(one.handoff) == look(aside.handoff) == []
    (theirs,) = look(other.handoff)
    assert (theirs.handoff, theirs.subject) == (other.handoff, "served:another:beside")


def test_an_engine_that_is_silent_is_told_with_the_time_and_to_nobody_who_has_left(place: Place) -> None:
    one = live(place)
    since = timezone.now() - timedelta(minutes=9)
    keep(place.target, DOWN, since)
    keep(place.target, DOWN)
    Account.objects.filter(pk=place.otto.pk).update(is_active=False)
    (finding,) = look(one.handoff)
    words = f"The engine of Production is not reachable since {since:%-d %b %Y, %H:%M:%S} UTC."
    assert (str(finding), finding.owner, finding.severity) == (words, None, "medium")


def test_what_was_seen_before_it_fell_silent_is_told_beside_that(place: Place) -> None:
    one = live(place)
    twice(place.target, EngineAnswer())
    twice(place.target, DOWN)
    assert [found.subject for found in look(one.handoff)] == ["served:nothing:tumours", "served:silent:tumours"]
    words = str(Finding.objects.get(subject="served:nothing:tumours"))
    assert words == "The engine of Production serves nothing; version 1 is live by the records."


def test_what_is_live_no_more_is_forgotten_with_the_next_look(place: Place) -> None:
    one, other = live(place), live(building.a_place("beside"))
    twice(place.target, EngineAnswer((ODD,)))
    Deployment.objects.filter(pk=one.pk).update(state="retired", ended_at=timezone.now())
    kept = keep(place.target, DOWN)
    assert kept is not None
    found = sorted((row["code"], row["model"], row["deployment"]) for row in kept.differences)
    assert found == [("nothing", "beside", str(other.pk)), ("silent", "beside", str(other.pk)), ("stranger", "odd", "")]


def test_a_stranger_is_told_at_the_newest_handoff_of_its_model_here_or_at_what_is_live(place: Place) -> None:
    target = place.target
    keep(target, EngineAnswer((ODD,)))
    assert about(target) == "", "nothing was ever handed over here"
    beside = building.a_place("beside")
    beside.target = elsewhere(place)
    building.offered(beside, building.a_version(beside), policy())
    keep(target, EngineAnswer((ODD,)))
    assert about(target) == "", "nothing is live here"
    first, third = live(place), building.a_place("third")
    building.offered(third, building.a_version(third), policy())  # newer, and not live
    keep(target, EngineAnswer((served(first), ODD)))
    assert about(target) == str(first.handoff_id)
    odd = building.a_place("odd")
    offered = [building.offered(odd, building.a_version(odd, number), policy()) for number in (1, 2)]
    Handoff.objects.create(
        number=9, model=odd.model, version=building.a_version(odd, 3), source=odd.source, target=target,
        drafted_by=odd.dana, bindings={},
    )  # fmt: skip
    keep(target, EngineAnswer((served(first), ODD)))
    assert about(target) == str(offered[1].pk)


def policy() -> Any:
    return building.a_policy(("integrity",))


def about(place: Environment) -> str:
    """Return at which handoff people hear of the stranger."""
    (found,) = Reconciliation.objects.get(environment=place).differences
    return str(found["handoff"])


def test_what_belongs_to_no_handoff_is_a_finding_of_its_environment_alone(place: Place) -> None:
    far, third = elsewhere(place), elsewhere(place, "third")
    twice(far, EngineAnswer((ODD,)))
    twice(third, EngineAnswer((Served("other", "1", "c" * 64, 3, True),)))
    twice(place.target, EngineAnswer())
    due = {"severity": "low", "suspends": False, "due_at": timezone.now(), "items": {"a": "x"}}
    closed = Finding.objects.create(environment=place.target, kind="served", subject="served:x", **due)
    Finding.objects.filter(pk=closed.pk).update(closed_at=timezone.now(), closing="resolved")
    assert set(reconciliations.places_watched()) == {far, third}
    assert look_at(place.target) == []
    (finding,) = look_at(far)
    assert (finding.environment, finding.subject, finding.owner) == (far, "served:stranger:odd", place.iris)
    assert look_at(far) == []
    (other,) = look_at(third)
    assert (other.environment, other.subject) == (third, "served:stranger:other")
    twice(far, EngineAnswer())
    assert look_at(far) == []
    finding.refresh_from_db()
    other.refresh_from_db()
    assert (finding.closing, other.closing) == ("resolved", "")
    assert set(reconciliations.places_watched()) == {third}
