"""Delegations as they are made and ended: of what, to whom, from when until when, and what the trail tells."""

from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.utils import timezone

from audit.actors import Person
from audit.errors import Refused
from audit.models import Account, AuditEvent
from models_registry.access import roles_on
from models_registry.models import Delegation, EnvironmentUserGrant, RegisteredModelUserGrant
from models_registry.roles import Role
from models_registry.services import delegations
from tests.handoff import building
from tests.handoff.building import Place

KNOWN = (
    "must be one of data_scientist, model_owner, validator, analytic_engineer, it_operations, integration_owner, "
    "risk_compliance"
)


@pytest.fixture(autouse=True)
def people(place: Place) -> None:
    """Add noah, who holds nothing, olga, who validates too, and ada, who administers the site."""
    place.people |= {name: building.person(name) for name in ("noah", "olga", "ada")}
    building._grant(RegisteredModelUserGrant, place.olga, "validator", place.model)
    place.ada.is_staff = True
    place.ada.save(update_fields=["is_staff"])


def by(who: str) -> Person:
    return Person(Account.objects.get(username=who), "test")


def day(days: int = 0) -> date:
    """Return a day from today on."""
    return timezone.localdate() + timedelta(days=days)


def midnight(day: date) -> datetime:
    """Return the first moment of a day of the site."""
    return datetime.combine(day, time.min, tzinfo=timezone.get_current_timezone())


def delegated(who: str = "vera", **more: Any) -> Delegation:
    """Let noah act as validator until tomorrow."""
    usual = {"role": "validator", "model": "tumours", "to": "noah", "ends": day(1), "reason": "On leave."}
    return delegations.delegate(actor=by(who), **usual | more)


def ended(who: str, made: Delegation) -> Delegation:
    return delegations.end(actor=by(who), delegation_id=made.pk)


def told(action: str) -> dict[str, Any]:
    """Return what the trail tells of the only act of its kind."""
    body = orjson.loads(AuditEvent.objects.get(action=action).body)
    return {name: body[name] for name in ("chain", "subject", "reason", "data")} | {"actor": body["actor"]["id"]}


def kept() -> tuple[Any, ...]:
    return list(Delegation.objects.order_by("pk").values()), AuditEvent.objects.count()


def refused(act: Any) -> Refused:
    """Expect a refusal that changes nothing."""
    before = kept()
    with pytest.raises(Refused) as refusal:
        act()
    assert kept() == before
    return refusal.value


def test_what_is_delegated_is_kept_and_told_with_its_days(place: Place) -> None:
    made = delegated(reason="  On leave.\n", starts=day(2), ends=day(3))
    assert (made.role, made.delegator, made.delegate, made.model, made.environment, made.reason) == (
        "validator", place.vera, place.noah, place.model, None, "On leave."
    )  # fmt: skip
    assert (made.starts_at, made.ends_at) == (midnight(day(2)), midnight(day(4)))  # the last day is a whole one
    assert Delegation.objects.get() == made
    days = {"starts": day(2).isoformat(), "ends": day(3).isoformat()}
    assert told("role.delegated") == {
        "chain": f"model:{place.model.pk}",
        "subject": f"delegation:{made.pk}",
        "reason": "On leave.",
        "data": {"role": "validator", "to": place.noah.mark, **days},
        "actor": place.vera.pk,
    }


def test_a_role_on_an_environment_is_delegated_there_alone(place: Place) -> None:
    building._grant(EnvironmentUserGrant, place.otto, "it_operations", place.source)
    made = delegated("otto", role="it_operations", model="", environment="production")
    assert (made.model, made.environment) == (None, place.target)
    assert told("role.delegated")["chain"] == f"environment:{place.target.pk}"
    assert told("role.delegated")["data"] == {
        "role": "it_operations", "to": place.noah.mark, "ends": day(1).isoformat()
    }  # fmt: skip
    assert roles_on(place.noah, environment=place.target) == {Role.IT_OPERATIONS}
    assert roles_on(place.noah, environment=place.source) == set()


@pytest.mark.parametrize(
    ("starts", "ends", "fields"),
    [
        (None, 0, {}),
        (None, -1, {"ends": "is past"}),
        (0, 0, {}),
        (-1, 0, {"starts": "is past"}),
        (2, 2, {}),
        (2, 1, {"ends": "is before the first day"}),
        (None, 366, {}),
        (366, 366, {}),
        (None, 367, {"ends": "late"}),
        (367, 367, {"ends": "late"}),
        (-2, -1, {"starts": "is past", "ends": "is past"}),
    ],
)
def test_a_delegation_has_days_within_a_year(place: Place, starts: int | None, ends: int, fields: Any) -> None:
    def act() -> Delegation:
        return delegated(starts=None if starts is None else day(starts), ends=day(ends))

    if fields:
        late = f"must be {day(366).isoformat()} at the latest"
        assert refused(act).fields == {name: late if why == "late" else why for name, why in fields.items()}
        return
    made = act()
    assert made.ends_at == midnight(day(ends + 1))
    if starts:
        assert (made.starts_at, made.state) == (midnight(day(starts)), "planned")
    else:
        assert made.state == "now"
        assert timezone.now() - timedelta(minutes=5) < made.starts_at <= timezone.now()


@pytest.mark.parametrize(("reason", "good"), [("x" * 2000, True), ("x" * 2001, False), (" ", False)])
def test_the_reason_says_something_in_2000_characters(place: Place, reason: str, good: bool) -> None:
    if good:
        assert delegated(reason=reason).reason == reason
    else:
        assert refused(lambda: delegated(reason=reason)).fields == {"reason": "must be 1 to 2000 characters"}


NOT_DELEGATED: dict[str, tuple[str, dict[str, Any], str, dict[str, str]]] = {
    "on nothing": ("vera", {"model": ""}, "invalid", {"model": "or environment, one of them"}),
    "on two things": ("vera", {"environment": "production"}, "invalid", {"model": "or environment, one of them"}),
    "on a model that is not there": ("vera", {"model": "nowhere"}, "not_found", {}),
    "on a hidden environment": ("mallory", {"model": "", "environment": "production"}, "not_found", {}),
    "a role that is not known": ("vera", {"role": "emperor"}, "invalid", {"role": KNOWN}),
    "an administrator's": ("vera", {"role": "administrator"}, "invalid", {"role": KNOWN}),
    "what others hold here": ("rita", {}, "role_not_held", {}),
    "what one holds elsewhere": ("vera", {"model": "prices"}, "role_not_held", {}),
    "to nobody": ("vera", {"to": "nobody"}, "invalid", {"to": "is not known"}),
    "to who has left": ("vera", {"to": "gone"}, "invalid", {"to": "is not known"}),
    "to a robot": ("vera", {"to": "robot"}, "person_required", {"to": "is a service account"}),
    "to oneself": ("vera", {"to": "vera"}, "self_grant", {"to": "is yourself"}),
    "to an account of oneself": ("vera", {"to": "vera2"}, "self_grant", {"to": "is yourself"}),
    "to who holds it": ("vera", {"to": "olga"}, "role_held_already", {"to": "holds the role"}),
}


@pytest.mark.parametrize("case", NOT_DELEGATED)
def test_what_cannot_be_delegated_changes_nothing(place: Place, case: str) -> None:
    prices = building.a_place("prices").model
    building.ended(RegisteredModelUserGrant, user=place.vera, content_object=prices)
    building._grant(RegisteredModelUserGrant, place.vera, "model_owner", prices)
    Account.objects.create(username="robot", kind="service", responsible=place.rita)
    Account.objects.create(username="vera2", same_person=place.vera)
    Account.objects.create(username="gone", is_active=False)
    who, more, code, fields = NOT_DELEGATED[case]
    found = refused(lambda: delegated(who, **more))
    assert (found.code, found.fields) == (code, fields)


def test_a_service_account_delegates_nothing(place: Place) -> None:
    robot = Account.objects.create(username="robot", kind="service", responsible=place.rita)
    building._grant(RegisteredModelUserGrant, robot, "validator", place.model)
    assert refused(lambda: delegated("robot")).code == "person_required"


def test_who_holds_other_roles_or_stands_in_for_another_may_be_a_delegate(place: Place) -> None:
    prices = building.a_place("prices").model
    building._grant(RegisteredModelUserGrant, place.noah, "validator", prices)  # the same role elsewhere
    delegated("olga", to="noah")
    delegated("vera", to="noah")
    assert roles_on(place.noah, model=place.model) == {Role.VALIDATOR}
    delegated("vera", starts=day(2), ends=day(2), to="rita")
    assert [one.delegate for one in Delegation.objects.filter(delegator=place.vera).order_by("starts_at")] == [
        place.noah, place.rita
    ]  # fmt: skip


def test_what_was_delegated_is_not_passed_on_but_what_is_ones_own_is(place: Place) -> None:
    delegated("vera", to="noah")
    found = refused(lambda: delegated("noah", to="iris"))
    assert (found.code, found.message) == (
        "delegation_passed_on", "You hold Validator here as a delegate, and a delegation is not passed on."
    )  # fmt: skip
    building._grant(RegisteredModelUserGrant, place.noah, "validator", place.model)
    assert delegated("noah", to="iris").delegate == place.iris


def test_a_role_is_delegated_once_on_a_day(place: Place) -> None:
    delegated(ends=day(3))
    assert refused(lambda: delegated(to="iris", starts=day(3), ends=day(4))).code == "delegated_already"
    assert delegated(to="iris", starts=day(4), ends=day(4)).state == "planned"


@pytest.mark.parametrize("who", ["vera", "noah", "ada", "iris"])
def test_both_of_them_and_administrators_end_a_delegation_and_no_other(place: Place, who: str) -> None:
    building._grant(RegisteredModelUserGrant, place.iris, "administrator", place.model)
    other = delegated("olga", to="rita")
    planned = delegated(starts=day(2), ends=day(3))
    made = delegated()
    for one in (made, planned):
        over = ended(who, one)
        one.refresh_from_db()
        assert (over.pk, over.ends_at, over.state) == (one.pk, one.ends_at, "ended")
        assert refused(lambda one=one: ended(who, one)).code == "delegation_over"
    assert (planned.ends_at, made.ends_at <= timezone.now()) == (planned.starts_at, True)
    assert Delegation.objects.get(pk=other.pk).ends_at == other.ends_at
    assert AuditEvent.objects.filter(action="delegation.ended").count() == 2


def test_the_end_is_told_where_the_role_is_held(place: Place) -> None:
    building._grant(EnvironmentUserGrant, place.rita, "administrator", place.target)
    made = delegated("otto", role="it_operations", model="", environment="production")
    ended("rita", made)
    assert told("delegation.ended") == {
        "chain": f"environment:{place.target.pk}",
        "subject": f"delegation:{made.pk}",
        "reason": "",
        "data": {"role": "it_operations"},
        "actor": place.rita.pk,
    }


def test_what_is_not_there_and_what_is_not_theirs_is_not_found(place: Place) -> None:
    building._grant(EnvironmentUserGrant, place.iris, "administrator", place.target)  # not of the model
    made = delegated()
    for who in ("mallory", "iris", "rita", "olga"):
        found = refused(lambda who=who: ended(who, made))
        assert (found.code, found.message) == ("not_found", "There is no such delegation.")
    gone = refused(lambda: delegations.end(actor=by("vera"), delegation_id=uuid4()))
    assert (gone.code, gone.message) == ("not_found", "There is no such delegation.")
