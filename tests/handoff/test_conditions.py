"""Meeting the conditions of approvals beside others: which one it is, what is said, and what counts as evidence."""

import json
from typing import Any

import pytest
from django.utils import timezone

from audit.actors import Person
from audit.errors import Refused
from audit.models import Account, AuditEvent
from handoff.models import Condition, ConditionStep, Handoff, SignOff
from handoff.services import conditions
from handoff.states import State
from models_registry.models import RegisteredModelUserGrant
from tests.handoff import building
from tests.handoff.building import Place
from tests.handoff.test_signoffs_states import (
    APPROVE,
    CONDITIONAL,
    LINK,
    PROMISE,
    by_policy,
    handoff,
    overdue,
    place,
    signed,
)

__all__ = ["handoff", "place"]
pytestmark = pytest.mark.django_db
TWO = {**CONDITIONAL, "conditions": [PROMISE, {**PROMISE, "text": "Name who is on call."}]}


def about(condition: Condition, of: Handoff | None = None) -> dict[str, Any]:
    return {"handoff_id": str((of or condition.signoff.handoff).pk), "condition_id": condition.pk}


def reported(who: Account, condition: Condition, **more: Any) -> ConditionStep:
    told = {"comment": "Done.", "link": LINK} | more
    return conditions.report(actor=Person(who, "t"), **about(condition), **told)


def refused(act: Any, who: Account, condition: Condition, **more: Any) -> Refused:
    """Expect a refusal, and that no step was taken."""
    before = list(ConditionStep.objects.values())
    told = {"comment": "Because.", **about(condition)} | more
    with pytest.raises(Refused) as refusal:
        act(actor=Person(who, "t"), **told)
    assert list(ConditionStep.objects.values()) == before
    return refusal.value


def story(on: Handoff, action: str) -> dict[str, Any]:
    """Return what the trail tells last of an act."""
    told = AuditEvent.objects.filter(chain=f"handoff:{on.pk}", action=action).latest("seq")
    found: dict[str, Any] = json.loads(told.body)
    return found


def test_each_step_is_of_one_condition_and_on_the_trail(place: Place, handoff: Handoff) -> None:
    signoff = signed(handoff, place.vera, TWO)
    first, second = Condition.objects.order_by("number")
    told = reported(place.otto, first, comment=" Done twice. ")
    assert (told.condition, told.kind, told.comment, told.link, told.taken_by) == (
        first, "reported", "Done twice.", LINK, place.otto,
    )  # fmt: skip
    assert refused(conditions.accept, place.vera, second).code == "condition_open"
    no = conditions.reject(actor=Person(place.noah, "t"), **about(first), comment=" On which engine? ")
    assert (no.condition, no.kind, no.comment, no.link) == (first, "rejected", "On which engine?", "")
    for act in (conditions.accept, conditions.reject):
        assert refused(act, place.noah, first).code == "condition_open", "nothing new was shown"
    reported(place.otto, first, link="http://wiki.example.org/rollback")
    yes = conditions.accept(actor=Person(place.vera, "t"), **about(first), comment="Seen.")
    assert (yes.condition, yes.kind, yes.pk > no.pk) == (first, "accepted", True)
    assert refused(conditions.report, place.otto, first, link=LINK).code == "condition_closed"
    assert reported(place.vera, second).taken_by == place.vera, "the signer's side may show it, too"
    events = [story(handoff, f"condition.{one}") for one in ("rejected", "accepted", "reported")]
    assert [(one["reason"], one["data"]) for one in events] == [
        (reason, {"signoff": str(signoff.pk), "condition": number, "text": text, "link": link})
        for reason, number, text, link in (
            ("On which engine?", 1, "Rehearse the rollback.", ""),
            ("Seen.", 1, "Rehearse the rollback.", ""),
            ("Done.", 2, "Name who is on call.", LINK),
        )
    ]


def test_a_condition_is_found_at_its_own_handoff_alone(place: Place, handoff: Handoff) -> None:
    signed(handoff, place.vera, CONDITIONAL)
    other = building.offered(place, building.a_version(place, 2), building.a_policy(("integrity",)))
    condition = Condition.objects.get()
    for more in (about(condition, other), {"condition_id": condition.pk + 1000}):
        hidden = refused(conditions.report, place.otto, condition, link=LINK, **more)
        assert (hidden.code, hidden.message) == ("not_found", "There is no such condition.")


def test_of_an_approval_that_was_taken_back_nothing_is_to_be_met(place: Place, handoff: Handoff) -> None:
    signoff = signed(handoff, place.vera, CONDITIONAL)
    condition = Condition.objects.get()
    reported(place.otto, condition)
    SignOff.objects.filter(pk=signoff.pk).update(voided_at=timezone.now(), voided_because="withdrawn")
    assert refused(conditions.accept, place.noah, condition).code == "condition_closed"
    assert refused(conditions.report, place.otto, condition, link=LINK).code == "condition_closed"


@pytest.mark.parametrize("act", [conditions.report, conditions.accept, conditions.reject])
def test_every_step_says_something(act: Any, place: Place, handoff: Handoff) -> None:
    signed(handoff, place.vera, CONDITIONAL)
    condition = Condition.objects.get()
    reported(place.otto, condition)
    more = {"link": LINK} if act is conditions.report else {}
    assert refused(act, place.noah, condition, comment=" ", **more).fields == {"comment": "is empty"}


@pytest.mark.parametrize(
    ("link", "good"),
    [
        ("https://wiki.example.org/" + "x" * 475, True),
        ("https://wiki.example.org/" + "x" * 476, False),
        ("http://wiki.example.org", True),
        ("ftp://wiki.example.org/log", False),
        ("the log", False),
        ("", False),
    ],
)
def test_evidence_is_a_link_of_at_most_five_hundred_characters(
    link: str, good: bool, place: Place, handoff: Handoff
) -> None:
    signed(handoff, place.vera, CONDITIONAL)
    condition = Condition.objects.get()
    if good:
        assert reported(place.otto, condition, link=link).link == link
        return
    wrong = refused(conditions.report, place.otto, condition, link=link)
    assert (wrong.code, list(wrong.fields)) == ("evidence_missing", ["link"])


def test_who_made_the_model_judges_no_evidence(place: Place, handoff: Handoff) -> None:
    building._grant(RegisteredModelUserGrant, place.dana, "validator", place.model)
    signed(handoff, place.vera, CONDITIONAL)
    condition = Condition.objects.get()
    reported(place.otto, condition)
    assert "You may not judge here" in refused(conditions.accept, place.dana, condition).message
    assert (
        refused(conditions.report, place.dana, condition, link=LINK).code
        == refused(conditions.reject, place.dana, condition).code
    )
    told = refused(conditions.accept, place.otto, condition).todo
    assert all(name in told for name in ("Dana", "Noah", "Vera"))
    for who in (place.dana, place.noah, place.vera):
        building.ended(RegisteredModelUserGrant, user=who, permission__codename="hold_validator")
    assert refused(conditions.accept, place.otto, condition).todo == "Those who hold the role: nobody yet."


def test_meeting_the_last_condition_opens_the_gate_that_all_have_signed(place: Place) -> None:
    more = {"key": "acceptance", "role": "it_operations", "meaning": "responsibility"}
    both = by_policy(place, lambda gates: gates["review"]["signoffs"].append(more))
    signed(both, place.vera, CONDITIONAL)
    condition = Condition.objects.get()
    overdue()
    signed(both, place.otto, {**APPROVE, "requirement": "acceptance", "meaning": "responsibility"})
    both.refresh_from_db()
    assert both.state == State.IN_REVIEW
    reported(place.otto, condition)
    conditions.accept(actor=Person(place.noah, "t"), **about(condition), comment="Seen.")
    both.refresh_from_db()
    assert both.state == State.TESTING
