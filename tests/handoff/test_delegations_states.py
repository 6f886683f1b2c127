"""What becomes of a sign-off that a delegate gave: conditions, changes, expiry, revocation; and of two accounts."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from audit import verify_pack
from audit.actors import Person
from audit.models import Account, AuditEvent
from handoff.facts import contents_of, known_of
from handoff.models import Condition, ConditionStep, Finding, Handoff, SignOff, Waiver
from handoff.queries.signatures import verify
from handoff.queries.signers import signers_of
from handoff.rules.scopes import digest
from handoff.services import conditions, packs, persons, signoffs, waivers
from handoff.states import SignOffState, State
from models_registry.models import Delegation, RegisteredModelUserGrant
from models_registry.services import delegations
from tests.handoff import building, walking
from tests.handoff import test_signoffs_states as states
from tests.handoff import test_waivers as waiving
from tests.handoff.test_signoffs_doors import APPROVE
from tests.handoff.test_signoffs_signatures import as_owner
from tests.handoff.test_signoffs_states import CHANGES, CONDITIONAL, LINK, code_of, ready, signed, tasks, why_shut
from tests.handoff.walking import client_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def place(db: None, store: Any, settings: Any) -> building.Place:
    """Return a model and its people; noah holds no role, and olga validates, too."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    place = building.a_place()
    place.people |= {name: building.person(name) for name in ("noah", "olga", "ada")}
    building._grant(RegisteredModelUserGrant, place.olga, "validator", place.model)
    for account in place.people.values():
        account.set_password(states.PASSWORD)
        account.is_staff = account.username == "ada"
        account.save(update_fields=["password", "is_staff"])
    return place


@pytest.fixture
def handoff(place: building.Place) -> Handoff:
    """Return a handoff in review; a validator's signature opens the gate."""
    return building.offered(place, building.a_version(place), building.a_policy(("integrity",)))


def delegated(place: building.Place, role: str = "validator", who: str = "vera") -> Delegation:
    """Let noah act for somebody."""
    ends = timezone.localdate() + timedelta(days=1)
    told: dict[str, Any] = {"role": role, "to": "noah", "model": "tumours", "ends": ends, "reason": "On leave."}
    return delegations.delegate(actor=Person(place.people[who], "test"), **told)


def taken_back(handoff: Handoff, who: Account, signoff: SignOff, act: str = "revoke") -> str:
    """Withdraw or revoke a sign-off; return the code of the refusal."""
    told: dict[str, Any] = {"handoff_id": str(handoff.pk), "signoff_id": str(signoff.pk), "reason": "A mistake."}
    return code_of(lambda: getattr(signoffs, act)(actor=Person(who, "test"), **told))


def now(handoff: Handoff) -> str:
    """Return the state of a handoff."""
    handoff.refresh_from_db()
    return str(handoff.state)


# Changes requested


def test_the_delegator_answers_anew_once_the_delegation_is_over(place: building.Place, handoff: Handoff) -> None:
    made = delegated(place)
    asked = signed(handoff, place.noah, CHANGES)
    delegations.end(actor=Person(place.vera, "test"), delegation_id=made.pk)
    signed(handoff, place.olga, APPROVE)
    assert now(handoff) == State.IN_REVIEW, "another validator clears nothing"
    assert why_shut(handoff, "review") == "Validator asks for changes"
    assert code_of(lambda: signed(handoff, place.noah, APPROVE)) in ("role_not_held", "not_found")
    assert tasks(place.vera).keys() == {"sign"}
    _, seats, acts = signers_of(place.vera, handoff.pk)
    assert {one.name for seat in seats if seat.requirement == "validation" for one in seat.signers if one.may} == {
        "Vera"
    }
    assert ("Noah for Vera", "asked for changes as validator (review)") in {(row.person, row.act) for row in acts}
    signed(handoff, place.vera, APPROVE)
    asked.refresh_from_db()
    assert (now(handoff), asked.voided_because) == (State.TESTING, "answered anew by another in the same seat")
    assert verify().wrong == []


def test_a_delegate_answers_anew_for_the_delegator(place: building.Place, handoff: Handoff) -> None:
    asked = signed(handoff, place.vera, CHANGES)
    delegated(place)
    assert "sign" in tasks(place.noah)
    answer = signed(handoff, place.noah, APPROVE)
    asked.refresh_from_db()
    assert (now(handoff), asked.voided_because, answer.behalf_of) == (
        State.TESTING,
        "answered anew by another in the same seat",
        place.vera,
    )


# Given with conditions


def test_a_delegate_approves_on_conditions_and_both_say_so(place: building.Place, handoff: Handoff) -> None:
    delegated(place)
    signoff = signed(handoff, place.noah, CONDITIONAL)
    assert signoff.printed_name == "Noah for Vera"
    assert '"conditions":[{' in signoff.statement
    assert '"for":{"account":' in signoff.statement
    assert code_of(lambda: signed(handoff, place.vera, CONDITIONAL)) in ("already_signed", "wrong_state")
    assert verify().wrong == []
    as_owner(f"UPDATE handoff_signoff SET behalf_of_id = {place.olga.pk}")
    assert {one.rule for one in verify().wrong} == {"columns"}


def test_nobody_has_their_own_evidence_accepted_by_a_delegate(place: building.Place, handoff: Handoff) -> None:
    delegated(place)
    signed(handoff, place.vera, CONDITIONAL)
    about: dict[str, Any] = {"handoff_id": str(handoff.pk), "condition_id": Condition.objects.get().pk}
    conditions.report(actor=Person(place.vera, "t"), **about, comment="Done.", link=LINK)
    standing_in = Person(place.noah, "t")
    for act in (conditions.accept, conditions.reject):
        assert code_of(partial(act, actor=standing_in, **about, comment="Seen.")) == "own_evidence"
    page = client_of(place.noah).get(reverse("handoff", args=[handoff.pk])).content.decode()
    assert "It is not enough" not in page
    assert ConditionStep.objects.count() == 1
    shown = conditions.report(actor=Person(place.otto, "t"), **about, comment="Done, and here is the log.", link=LINK)
    accepted = conditions.accept(actor=Person(place.noah, "t"), **about, comment="Seen.")
    assert [shown.kind, accepted.kind] == ["reported", "accepted"]
    assert [one.kind for one in ConditionStep.objects.all()] == ["reported", "reported", "accepted"]


# Expired, withdrawn and revoked


def test_an_approval_of_a_delegate_runs_out_and_the_delegator_gives_it_again(place: building.Place) -> None:
    delegated(place)
    handoff = states.lasting(place, 90)
    signed(handoff, place.noah, APPROVE)
    handoff.refresh_from_db()
    building.tested(handoff)
    as_owner("UPDATE handoff_signoff SET signed_at = signed_at - interval '91 days' WHERE gate = 'review'")
    assert "the approval as Validator ran out on" in why_shut(handoff, "review")
    signed(handoff, place.vera, APPROVE)
    first, second = SignOff.objects.order_by("signed_at")
    assert (first.state, second.state, second.signer) == (SignOffState.EXPIRED, SignOffState.GIVEN, place.vera)


@pytest.mark.parametrize("door", ["service", "page", "api"])
def test_the_delegator_takes_back_what_a_delegate_signed_for_them(
    door: str, place: building.Place, handoff: Handoff
) -> None:
    delegated(place)
    signed(handoff, place.noah, APPROVE)
    handoff.refresh_from_db()
    building.tested(handoff)
    signoff = SignOff.objects.get()
    assert taken_back(handoff, place.olga, signoff) == "not_the_signer"
    assert signoff.voided_at is None
    revoke = {
        "service": lambda: taken_back(handoff, place.vera, signoff),
        "page": lambda: states.by_page_revoke(handoff, place.vera, signoff, "A mistake."),
        "api": lambda: states.by_api_revoke(handoff, place.vera, signoff, "A mistake."),
    }
    if door == "page":
        page = client_of(place.vera).get(reverse("handoff", args=[handoff.pk])).content.decode()
        assert "Revoke my approval" in page
    assert revoke[door]() == ""
    signoff.refresh_from_db()
    assert (signoff.state, Finding.objects.get().kind) == (SignOffState.REVOKED, "approval")
    assert AuditEvent.objects.get(action="signoff.revoked").actor_label == "Vera"


def test_a_delegate_takes_back_nothing_that_the_delegator_signed(place: building.Place, handoff: Handoff) -> None:
    delegated(place)
    signoff = signed(handoff, place.vera, CHANGES)
    assert taken_back(handoff, place.noah, signoff, "withdraw") == "not_the_signer"
    ready(handoff, place)
    signoff = SignOff.objects.get(voided_at=None)
    assert taken_back(handoff, place.noah, signoff) == "not_the_signer"
    signoff.refresh_from_db()
    assert signoff.voided_at is None


# Two accounts of one person


def second_of(place: building.Place, name: str, role: str = "validator") -> Account:
    """Give somebody a second account with a role, which nobody knows to be theirs."""
    other = building.person(f"{name}2")
    other.set_password(states.PASSWORD)
    other.save(update_fields=["password"])
    building._grant(RegisteredModelUserGrant, other, role, place.model)
    return other


def merge(place: building.Place, name: str) -> None:
    """Record that somebody's second account is theirs."""
    told = {"account": f"{name}2", "same_as": name, "reason": "The same passport."}
    persons.merge(actor=Person(place.ada, "test"), **told)


def test_of_two_accounts_only_the_last_answer_counts(place: building.Place, handoff: Handoff) -> None:
    other = second_of(place, "vera")
    asked = signed(handoff, other, CHANGES)
    approval = signed(handoff, place.vera, APPROVE)
    assert now(handoff) == State.IN_REVIEW
    merge(place, "vera")
    asked.refresh_from_db()
    approval.refresh_from_db()
    assert (asked.state, approval.state) == (SignOffState.VOIDED, SignOffState.GIVEN)
    assert now(handoff) == State.TESTING, "nothing is missing any more"
    assert verify().wrong == []


def test_a_later_request_for_changes_is_not_lost_by_merging(place: building.Place, handoff: Handoff) -> None:
    other = second_of(place, "vera")
    content = building.a_policy(("integrity",)).content | {"policy": "two"}
    content["gates"]["review"]["signoffs"][0]["count"] = 2
    policy = building.Policy.objects.create(slug="two", title="Two").revisions.create(
        number=1, source="{}", content=content, digest=building.digest_of(content)
    )
    handoff = building.offered(place, building.a_version(place, 2), policy)
    first = signed(handoff, place.vera, APPROVE)
    asked = signed(handoff, other, CHANGES)
    merge(place, "vera")
    first.refresh_from_db()
    asked.refresh_from_db()
    assert (first.state, asked.state) == (SignOffState.VOIDED, SignOffState.CHANGES_REQUESTED)
    assert "Validator asks for changes" in why_shut(handoff, "review")
    signed(handoff, place.vera, APPROVE)
    asked.refresh_from_db()
    assert asked.voided_because == "answered anew by another in the same seat"


def test_merging_changes_nothing_that_was_signed(place: building.Place) -> None:
    site = walking.a_site(place)
    handoff = walking.answered(site)
    before = known_of(handoff).facts.parts
    Account.objects.filter(username="edda").update(same_person=site.iris)
    assert known_of(handoff).facts.parts == before
    told = contents_of(handoff)
    assert {name: digest(content) for name, content in told.items()}.items() <= before.items()


def test_nobody_answers_their_own_waiver_with_another_account_or_by_a_delegate(place: building.Place) -> None:
    site = walking.a_site(place)
    waiving.publish(site, {"approver": "risk_compliance", "max_days": 90, "warn_days": 14})
    handoff = walking.offered(site)
    waiver = waiving.asked(site, handoff)
    building._grant(RegisteredModelUserGrant, site.edda, "risk_compliance", site.model)
    other = second_of(site, "edda", "risk_compliance")
    delegated(site, "risk_compliance", "edda")
    merge(site, "edda")
    told = {"handoff_id": handoff.pk, "waiver_id": waiver.pk, "answer": "approved"}
    other.refresh_from_db()
    for who in (other, site.noah):
        assert code_of(partial(waivers.answer, actor=Person(who, "t"), **told)) == "duty_conflict"
        assert "waiver" not in tasks(who)
    about = {"answer": "approved", "answered_by": other, "answered_at": timezone.now()}
    with pytest.raises(IntegrityError, match="other than the one who asked"), transaction.atomic():
        Waiver.objects.filter(pk=waiver.pk).update(**about)
    waivers.withdraw(actor=Person(other, "t"), handoff_id=handoff.pk, waiver_id=waiver.pk)
    waiver.refresh_from_db()
    assert waiver.answer == "withdrawn"


# Told to the verifier


def test_a_pack_tells_for_whom_a_delegate_signed(place: building.Place, handoff: Handoff, tmp_path: Any) -> None:
    delegated(place)
    signed(handoff, place.noah, CONDITIONAL)
    with packs.make(actor=Person(place.dana, "api"), handoff_id=str(handoff.pk)).archive as archive:
        raw = archive.read()
    (tmp_path / "pack.zip").write_bytes(raw)
    verdict = verify_pack.verify(str(tmp_path / "pack.zip"), [])
    assert verdict.whole, verdict.lines
    assert any("Noah for Vera" in line for _, line in verdict.lines)
