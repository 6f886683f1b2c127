"""Who signs an amendment is judged by the person: by whichever account, and for whomever."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.actors import Person
from audit.errors import Refused
from audit.models import Account, AuditEvent
from handoff.models import Amendment, AmendmentSignOff, Deployment
from handoff.queries.amendments import sheet_for
from handoff.rules.amendments import Given, Proposed, signed_already, signed_twice
from handoff.rules.duties import Chain
from handoff.services import amendments, persons
from models_registry.models import Delegation, EnvironmentUserGrant
from models_registry.services import delegations
from tests.handoff import building, walking
from tests.handoff.amending import live, proof, proposed, sign, signature, streamed, work
from tests.handoff.building import Place
from tests.handoff.test_amendments import SIGNING, Sign, api, counts

pytestmark = pytest.mark.django_db


@pytest.fixture
def place(db: None, store: Any, settings: Any) -> Place:
    """Return a place with streams; noah holds no role, otto has a second account that is an engineer, ada decides."""
    settings.ENGINE_URLS = {"production": "http://engine.example"}
    place = building.a_place()
    place.people |= {name: building.person(name) for name in ("noah", "otto2", "ada")}
    Account.objects.filter(username="ada").update(is_staff=True)
    place = streamed(place)
    building._grant(EnvironmentUserGrant, place.people["otto2"], "analytic_engineer", place.target)
    place.people = {name: Account.objects.get(username=name) for name in place.people}
    return place


@pytest.fixture
def deployment(place: Place) -> Deployment:
    """Return what is live over patients, into scores."""
    return live(place)


def delegated(place: Place, role: str, who: str, to: str = "noah") -> Delegation:
    """Let somebody act for the holder of a role in production."""
    ends = timezone.localdate() + timedelta(days=1)
    told: dict[str, Any] = {"environment": "production", "ends": ends, "reason": "On leave."}
    return delegations.delegate(actor=Person(place.people[who], "test"), role=role, to=to, **told)


def merge(place: Place, account: str = "otto2", same_as: str = "otto") -> None:
    """Record that two accounts are one person's."""
    told = {"account": account, "same_as": same_as, "reason": "The same passport."}
    persons.merge(actor=Person(place.people["ada"], "test"), **told)
    place.people = {name: Account.objects.get(username=name) for name in place.people}


def refused(code: str, act: Callable[[], object]) -> Refused:
    """Expect a refusal by its code, and that nothing was written."""
    before = counts()
    with pytest.raises(Refused) as refusal:
        act()
    assert (refusal.value.code, counts()) == (code, before)
    return refusal.value


@SIGNING
def test_a_delegate_signs_for_the_delegator_and_both_names_show(
    place: Place, deployment: Deployment, door: Sign
) -> None:
    delegated(place, "integration_owner", "iris")
    amendment, noah = proposed(deployment, place.iris), place.people["noah"]
    assert [one.task.kind for one in walking.inbox(noah)] == ["amend"]
    shown = walking.client_of(noah).get(f"/amendments/{amendment.pk}/").content.decode()
    assert "Signed as Noah for Iris" in shown
    assert door(amendment, noah, **signature(amendment, noah)) == 200
    signoff = AmendmentSignOff.objects.get()
    assert (signoff.printed_name, signoff.signer, signoff.behalf_of) == ("Noah for Iris", noah, place.iris)
    assert f'"for":{{"account":{place.iris.pk},"printed_name":"{place.iris.mark}"}}' in signoff.statement
    assert f'"for":"{place.iris.mark}"' in AuditEvent.objects.get(action="amendment.signed").body
    assert work(amendment).state == "applied"


@SIGNING
def test_who_stands_in_for_a_signer_signs_for_themselves_beside_them(
    place: Place, deployment: Deployment, door: Sign
) -> None:
    delegated(place, "it_operations", "otto", to="edda")  # who is the analytic engineer, too
    amendment = proposed(deployment, place.iris, source="others")
    sign(amendment, place.otto)
    merged = signature(amendment, place.edda)
    assert merged["requirement"] == "analytic-engineer"
    assert door(amendment, place.edda, **merged) == 200


def test_for_two_roles_two_people_sign_also_where_one_stands_in(place: Place, deployment: Deployment) -> None:
    delegated(place, "it_operations", "otto", to="edda")
    amendment = proposed(deployment, place.iris, source="others")
    sign(amendment, place.edda)  # as the analytic engineer that she is
    seen = sheet_for(place.edda, amendment.pk)
    assert "You have signed this amendment already" in seen.barred
    body = signature(amendment, place.otto) | {"reauthentication": proof(place.edda)}
    told = {"actor": Person(place.edda, "test"), "amendment_id": amendment.pk, **body}
    refused("already_signed", lambda: amendments.sign(**told))
    assert [one.task.kind for one in walking.inbox(place.edda)] == []
    sign(amendment, place.otto)
    assert work(amendment).state == "applied"


@SIGNING
def test_a_second_account_is_no_second_person(place: Place, deployment: Deployment, door: Sign) -> None:
    merge(place)
    amendment, second = proposed(deployment, place.iris, source="others"), place.people["otto2"]
    sign(amendment, place.otto)
    body = {"requirement": "analytic-engineer", "decision": "approve", "meaning": "approval"}
    seen = sheet_for(second, amendment.pk)
    assert seen.barred == "Otto has signed this amendment, and that is one person's signature with yours."
    before = counts()
    assert door(amendment, second, **body, seen=seen.seen) == 409
    assert counts() == before
    assert [one.task.kind for one in walking.inbox(second)] == []
    row = amendment.signoffs.get()
    row.pk, row.statement_digest, row.signer, row.requirement = None, "0" * 64, second, "analytic-engineer"
    row.reauthentication_id = proof(second)
    with pytest.raises(IntegrityError, match="signs an amendment once"), transaction.atomic():
        row.save(force_insert=True)
    sign(amendment, place.edda)
    assert work(amendment).state == "applied"


def test_two_who_turn_out_to_be_one_person_apply_nothing(place: Place, deployment: Deployment) -> None:
    amendment = proposed(deployment, place.iris, source="others")
    sign(amendment, place.otto)
    sign(amendment, place.people["otto2"])
    merge(place)
    work(amendment)
    assert (amendment.state, amendment.because) == (
        "failed", "two of its signatures are one person's, who signs for one role"
    )  # fmt: skip


def test_merging_ends_a_proposal_that_one_person_signed_twice_and_no_other(
    place: Place, deployment: Deployment
) -> None:
    other = proposed(deployment, place.iris, source="others")
    roles = ("analytic_engineer", "it_operations", "integration_owner")
    three = [{"key": one.replace("_", "-"), "role": one, "meaning": "approval"} for one in roles]
    told = {"number": 2, "requirements": three, "pk": None}
    kept = ("reason", "before", "bindings", "changes", "proposed_by", "expires_at")
    amendment = Amendment.objects.create(deployment=deployment, **told, **{name: getattr(other, name) for name in kept})
    for one in (amendment, other):
        sign(one, place.otto)
    sign(amendment, place.people["otto2"])
    merge(place)
    other.refresh_from_db()
    amendment.refresh_from_db()
    assert (amendment.state, other.state) == ("expired", "proposed")
    assert amendment.because == "two accounts are one person's, who signed it twice; propose it anew"
    assert AuditEvent.objects.get(action="amendment.expired").actor_label == "Ada"


def test_a_signature_lasts_as_long_as_the_role_of_the_delegator(place: Place, deployment: Deployment) -> None:
    made = delegated(place, "integration_owner", "iris")
    amendment = proposed(deployment, place.otto)
    sign(amendment, place.people["noah"])
    delegations.end(actor=Person(place.iris, "test"), delegation_id=made.pk)
    assert work(amendment).state == "applied", "it was given in its time"
    delegated(place, "integration_owner", "iris")
    second = proposed(deployment, place.otto, sinks=[{"stream": "scores"}])
    sign(second, place.people["noah"])
    building.ended(EnvironmentUserGrant, user=place.iris)
    work(second)
    assert (second.state, second.because) == (
        "failed", "whoever signed as integration owner does not hold the role any more"
    )  # fmt: skip


def test_a_signer_who_has_left_signs_nothing_that_is_applied_later(place: Place, deployment: Deployment) -> None:
    delegated(place, "integration_owner", "iris")
    amendment = proposed(deployment, place.otto)
    sign(amendment, place.people["noah"])
    Account.objects.filter(username="noah").update(is_active=False)
    work(amendment)
    assert amendment.state == "failed"


def test_one_withdraws_a_proposal_with_another_account_of_ones_own(place: Place, deployment: Deployment) -> None:
    amendment = proposed(deployment, place.otto)
    merge(place)
    assert sheet_for(place.people["otto2"], amendment.pk).may_withdraw
    answer = api(place.people["otto2"]).post(f"/api/v1/amendments/{amendment.pk}/withdraw/", {"reason": "No."})
    assert (answer.status_code, answer.json()["state"]) == (200, "withdrawn")


def test_the_rule_judges_signatures_by_the_person() -> None:
    chain = Chain(persons={4: 1}, stands_for={"it_operations": {3: (1, "Otto")}})
    by_otto = (Given("it-operations", 1, None, "Otto"),)
    assert "You have signed" in signed_already(by_otto, chain, "analytic_engineer", 1)
    assert "Otto has signed" in signed_already(by_otto, chain, "analytic_engineer", 4)
    assert "Otto has signed" in signed_already(by_otto, chain, "it_operations", 3)
    assert signed_already(by_otto, chain, "analytic_engineer", 3) == ""
    assert "Otto" in signed_already((Given("x", 3, 1, "Noah for Otto"),), chain, "analytic_engineer", 4)
    assert signed_twice((*by_otto, Given("analytic-engineer", 2, None, "Edda")), chain) == ""
    assert "one person's" in signed_twice((*by_otto, Given("analytic-engineer", 4, None, "Otto2")), chain)
    waiting = Proposed(
        "1", 1, "", {"it-operations": "it_operations", "analytic-engineer": "analytic_engineer"}, by_otto
    )
    assert waiting.waits_for(2, frozenset({"analytic_engineer"}), chain)
    assert not waiting.waits_for(4, frozenset({"analytic_engineer"}), chain)
    assert not waiting.waits_for(2, frozenset({"it_operations"}), chain)
