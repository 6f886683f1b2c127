"""Delegates: who acts in a role for whom and how long, judged as both, and never passed on."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from audit.errors import Refused
from audit.models import Account, AuditEvent
from handoff.facts import known_of, rules_of
from handoff.models import Handoff, SignOff
from handoff.rules.duties import Chain, conflicts
from handoff.rules.gates import evaluate
from models_registry.access import roles_on
from models_registry.models import Delegation, EnvironmentUserGrant, RegisteredModelUserGrant
from models_registry.roles import Role
from models_registry.services import delegations
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import by, client_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(place: Place) -> Place:
    """Return a place with the light policy, and noah, who holds nothing."""
    site = walking.a_site(place)
    noah = building.person("noah")
    noah.password = site.vera.password
    noah.save(update_fields=["password"])
    site.people["noah"] = noah
    return site


def day(days: int = 0) -> date:
    """Return a day from today on."""
    return timezone.localdate() + timedelta(days=days)


def delegated(who: Account, to: str = "noah", **more: Any) -> Delegation:
    """Let somebody act as validator until tomorrow."""
    usual = {"role": "validator", "model": "tumours", "ends": day(1), "reason": "On leave."}
    return delegations.delegate(actor=by(who), to=to, **usual | more)


def counted() -> tuple[int, ...]:
    """Return how much there is of what these acts write; a confirmation that was not used up is no act."""
    events = AuditEvent.objects.exclude(chain__startswith="account:")
    return Delegation.objects.count(), SignOff.objects.count(), events.count()


def refused(code: str, act: Callable[[], object]) -> Refused:
    """Expect a refusal by its code, and that nothing was written."""
    before = (
        Delegation.objects.count(),
        SignOff.objects.count(),
        AuditEvent.objects.exclude(chain__startswith="acc").count(),
    )
    with pytest.raises(Refused) as refusal:
        act()
    after = (
        Delegation.objects.count(),
        SignOff.objects.count(),
        AuditEvent.objects.exclude(chain__startswith="acc").count(),
    )
    assert (refusal.value.code, after) == (code, before)
    return refusal.value


def review(handoff: Handoff) -> Any:
    """Return the review gate as it stands."""
    return evaluate("review", rules_of(handoff), known_of(handoff).facts)


def test_a_delegate_signs_for_the_delegator_and_both_names_show(site: Place) -> None:
    made = delegated(site.vera)
    handoff = walking.answered(site)
    signed = walking.sign(handoff, site.noah, "validation")
    assert (signed.printed_name, signed.signer, signed.behalf_of) == ("Noah for Vera", site.noah, site.vera)
    assert '"for":{"account":' in signed.statement
    refusal = refused("already_signed", lambda: walking.sign(handoff, site.vera, "validation"))
    assert "Noah for Vera" in refusal.message
    delegations.end(actor=by(site.vera), delegation_id=made.pk)
    (validation,) = [one for one in review(handoff).requirements if one.key == "validation"]
    assert (validation.met, validation.by) == (True, ("Noah for Vera",))  # it was given in its time
    building.ended(RegisteredModelUserGrant, user=site.vera)
    (validation,) = [one for one in review(handoff).requirements if one.key == "validation"]
    assert not validation.met  # and lasts no longer than the role of whoever delegated it


def test_the_delegator_who_signed_leaves_nothing_to_the_delegate(site: Place) -> None:
    delegated(site.vera)
    handoff = walking.answered(site)
    walking.sign(handoff, site.vera, "validation")
    refused("already_signed", lambda: walking.sign(handoff, site.noah, "validation"))


def test_who_may_not_approve_cannot_have_it_done(site: Place) -> None:
    building._grant(RegisteredModelUserGrant, site.dana, "validator", site.model)
    delegated(site.dana)
    handoff = walking.answered(site)
    refusal = refused("duty_conflict", lambda: walking.sign(handoff, site.noah, "validation"))
    assert "stand in for somebody who created this version" in refusal.message
    delegated(site.vera, to="edda")  # she answered items of this handoff
    refusal = refused("duty_conflict", lambda: walking.sign(handoff, site.edda, "validation"))
    assert "answered checklist items" in refusal.message


def test_a_delegation_begins_and_ends_by_itself_or_at_once(site: Place) -> None:
    planned = delegated(site.vera, starts=day(1), ends=day(2))
    assert (planned.state, roles_on(site.noah, model=site.model)) == ("planned", set())
    delegations.end(actor=by(site.noah), delegation_id=planned.pk)
    made = delegated(site.vera)
    assert roles_on(site.noah, model=site.model) == {Role.VALIDATOR}
    refused("delegated_already", lambda: delegated(site.vera, to="edda"))
    refused("not_found", lambda: delegations.end(actor=by(site.mallory), delegation_id=made.pk))
    assert delegations.end(actor=by(site.vera), delegation_id=made.pk).state == "ended"
    assert roles_on(site.noah, model=site.model) == set()
    refused("delegation_over", lambda: delegations.end(actor=by(site.vera), delegation_id=made.pk))


def test_a_delegation_falls_with_the_delegator(site: Place) -> None:
    delegated(site.vera)
    Account.objects.filter(pk=site.vera.pk).update(is_active=False)
    assert roles_on(site.noah, model=site.model) == set()


def _robot(site: Place) -> str:
    return Account.objects.create(username="robot", kind="service", responsible=site.rita).username


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "what one does not hold": ("rita", {}, "role_not_held"),
    "to oneself": ("vera", {"to": "vera"}, "self_grant"),
    "to a robot": ("vera", {"to": "robot"}, "person_required"),
    "to nobody": ("vera", {"to": "nobody"}, "invalid"),
    "to who holds it": ("vera", {"to": "olga"}, "role_held_already"),
    "for ever": ("vera", {"ends": timezone.localdate() + timedelta(days=400)}, "invalid"),
    "for yesterday": ("vera", {"ends": timezone.localdate() - timedelta(days=2)}, "invalid"),
    "without a reason": ("vera", {"reason": " "}, "invalid"),
    "an administrator's role": ("vera", {"role": "administrator"}, "invalid"),
    "what a stranger cannot see": ("mallory", {}, "not_found"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_delegated_is_refused(case: str, site: Place) -> None:
    who, more, code = REFUSED[case]
    _robot(site)
    building._grant(RegisteredModelUserGrant, building.person("olga"), "validator", site.model)
    refused(code, lambda: delegated(site.people[who], **more))


def test_a_delegation_is_not_passed_on_and_makes_no_loop(site: Place) -> None:
    delegated(site.vera)
    refused("delegation_passed_on", lambda: delegated(site.noah, to="edda"))
    refused("delegation_passed_on", lambda: delegated(site.noah, to="vera"))
    same = {"role": "validator", "model": site.model, "reason": "x", "ends_at": timezone.now() + timedelta(days=1)}
    Delegation.objects.create(delegator=site.noah, delegate=site.edda, **same)  # past the guard
    assert roles_on(site.edda, model=site.model) == set()


def test_the_database_keeps_delegations_between_two_people_as_they_were(site: Place) -> None:
    made = delegated(site.vera)
    same = {"role": "validator", "model": site.model, "reason": "x", "ends_at": timezone.now() + timedelta(days=1)}
    robot = Account.objects.get(username=_robot(site))
    for more in ({"delegate": robot}, {"delegate": site.otto}, {"delegate": site.vera}):
        with pytest.raises(IntegrityError, match=r"person to another|delegation_once"), transaction.atomic():
            Delegation.objects.create(delegator=site.vera, **same, **more)
    rows = Delegation.objects.filter(pk=made.pk)
    for forge in (lambda: rows.delete(), lambda: rows.update(delegate=site.otto)):
        with pytest.raises(DatabaseError), transaction.atomic():
            forge()
    assert rows.get().delegate == site.noah


def test_the_rule_judges_a_delegate_as_both() -> None:
    chain = Chain({1: ("created this version",)}, {2: "it_operations"}, stands_for={"validator": {3: (1, "Dana")}})
    assert conflicts(chain, person=3, role="validator") == ("stand in for somebody who created this version",)
    assert conflicts(chain, person=3, role="risk_compliance") == ()
    assert conflicts(chain, person=4, role="validator", behalf=2)
    assert conflicts(chain, person=4, role="it_operations", behalf=2) == ()


def test_delegations_go_through_the_page_the_api_and_the_admin(site: Place) -> None:
    building._grant(EnvironmentUserGrant, site.ada, "administrator", site.target)
    page = client_of(site.vera)
    body = {"what": "validator model tumours", "to": "noah", "ends": day(1).isoformat(), "reason": "On leave."}
    assert page.post("/delegations/", body | {"to": "nobody"}).status_code == 422
    assert page.post("/delegations/", body).status_code == 302
    assert "Noah" in page.get("/delegations/").content.decode()
    made = Delegation.objects.get()
    stranger = client_of(site.mallory)
    assert stranger.post(f"/delegations/{made.pk}/end/").status_code == 404
    api = APIClient(headers={"Authorization": f"Bearer {AuthToken.objects.create(user=site.vera)[1]}"})
    (listed,) = api.get("/api/v1/delegations/").json()["results"]
    assert (listed["delegator"], listed["delegate"], listed["state"]) == ("vera", "noah", "now")
    told = {"role": "validator", "model": "tumours", "to": "noah", "ends": day(1).isoformat(), "reason": "On leave."}
    assert api.post("/api/v1/delegations/", told).json()["code"] == "delegated_already"
    assert api.post(f"/api/v1/delegations/{made.pk}/end/").json()["state"] == "ended"
    assert page.post(f"/delegations/{made.pk}/end/").status_code == 302  # says that it is over
    assert api.post("/api/v1/delegations/", told).status_code == 201
    newest = Delegation.objects.order_by("-made_at")[0]
    act = {"action": "end_delegation", "_selected_action": [str(newest.pk)], "confirmed": "yes"}
    assert client_of(site.ada).post("/admin/models_registry/delegation/", act).status_code == 302
    newest.refresh_from_db()
    assert newest.state == "ended"
    events = AuditEvent.objects.filter(chain=f"model:{site.model.pk}", action__contains="delegat")
    assert events.count() == 4
