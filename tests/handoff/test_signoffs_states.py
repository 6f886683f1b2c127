"""What becomes of a sign-off: given with conditions, changes requested, expired, revoked, and what follows."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from audit.actors import Person, Worker
from audit.errors import Refused
from audit.models import Account, AuditEvent
from handoff.errors import AlreadySigned, Invalid
from handoff.facts import known_of, rules_of
from handoff.models import Condition, ConditionStep, Finding, Handoff, SignOff
from handoff.queries.signatures import verify
from handoff.rules.gates import evaluate
from handoff.rules.policies import parse
from handoff.services import approvals, conditions, findings, signoffs
from handoff.states import SignOffState, State
from models_registry.models import RegisteredModelUserGrant
from tests.handoff import building, walking
from tests.handoff.test_signoffs_doors import APPROVE, DOORS, by_service, counts, proof, seen_of
from tests.handoff.test_signoffs_signatures import as_owner
from tests.handoff.walking import BACKEND, client_of
from tests.queries.counting import deployed

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
CHANGES = {**APPROVE, "decision": "changes", "comment": "Name the owner of the data."}
LINK = "https://wiki.example.org/rollback"
DUE = (timezone.localdate() + timedelta(days=7)).isoformat()
PROMISE = {"text": "Rehearse the rollback.", "due": DUE, "owner": "otto"}
CONDITIONAL = {**APPROVE, "decision": "conditional", "conditions": [PROMISE]}
RELEASE = {"requirement": "release", "decision": "approve", "meaning": "approval", "comment": ""}


@pytest.fixture
def place(db: None, store: Any, settings: Any) -> building.Place:
    """Return a model and its people, who have passwords; noah is a validator, too."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    place = building.a_place()
    place.people["noah"] = building.person("noah")
    building._grant(RegisteredModelUserGrant, place.noah, "validator", place.model)
    for account in place.people.values():
        account.set_password(PASSWORD)
        account.save(update_fields=["password"])
    return place


@pytest.fixture
def handoff(place: building.Place) -> Handoff:
    """Return a handoff in review; a validator's signature opens the gate."""
    return building.offered(place, building.a_version(place), building.a_policy(("integrity",)))


def signed(handoff: Handoff, who: Account, body: dict[str, Any], gate: str = "review") -> SignOff:
    """Sign by the service."""
    return signoffs.sign(
        actor=Person(who, "test"),
        handoff_id=str(handoff.pk),
        seen=seen_of(handoff, gate),
        reauthentication=proof(who),
        **body,
    )


def ready(handoff: Handoff, place: building.Place, body: dict[str, Any] = APPROVE) -> Handoff:
    """Open the review with a signature, and let the tests pass."""
    signed(handoff, place.vera, body)
    handoff.refresh_from_db()
    return building.tested(handoff)


def live(handoff: Handoff, place: building.Place, body: dict[str, Any] = APPROVE) -> Handoff:
    """Bring a handoff to where it is live."""
    building.open_release(place, ready(handoff, place, body))
    deployed(handoff)
    return handoff


def code_of(act: Callable[[], object]) -> str:
    """Return the code of the refusal, or nothing."""
    try:
        act()
    except Refused as refusal:
        return refusal.code
    return ""


def overdue() -> None:
    """Let the time of every condition pass."""
    as_owner("UPDATE handoff_condition SET due_at = now() - interval '1 day'")


def look(handoff: Handoff) -> Finding | None:
    """Look as the worker does every minute."""
    return approvals.look(actor=Worker("drift"), handoff_id=handoff.pk)


def why_shut(handoff: Handoff, gate: str = "release") -> str:
    """Return why a gate is shut."""
    return "; ".join(r.why for r in evaluate(gate, rules_of(handoff), known_of(handoff).facts).missing)


def tasks(who: Account) -> dict[str, str]:
    """Return what waits for somebody: kinds with notes."""
    return {entry.task.kind: entry.task.note for entry in walking.inbox(who)}


def by_policy(place: building.Place, change: Callable[[dict[str, Any]], object]) -> Handoff:
    """Return a handoff in review under the short policy with a change."""
    content = building.a_policy(("integrity",)).content | {"policy": "other"}
    change(content["gates"])
    policy = building.Policy.objects.create(slug="other", title="Other").revisions.create(
        number=1, source="{}", content=content, digest=building.digest_of(content)
    )
    return building.offered(place, building.a_version(place), policy)


# Asked for, or not


def test_what_is_not_asked_for_now_takes_no_signature(place: building.Place, handoff: Handoff) -> None:
    drafted = Handoff.objects.create(
        number=2,
        model=place.model,
        version=building.a_version(place, 2, "other"),
        source=place.source,
        target=place.target,
        drafted_by=place.dana,
        bindings={},
    )
    before = counts()
    about: dict[str, Any] = {"actor": Person(place.vera, "t"), "seen": "0" * 64, "reauthentication": proof(place.vera)}
    assert code_of(lambda: signoffs.sign(handoff_id=str(drafted.pk), **about, **APPROVE)) == "wrong_state"
    assert code_of(lambda: signed(handoff, place.vera, {**APPROVE, "requirement": "x"})) == "requirement_unknown"
    assert counts() == before
    given = signed(handoff, place.vera, APPROVE)
    assert given.printed_name == "Vera"
    before = counts()
    assert code_of(lambda: signed(handoff, place.noah, APPROVE)) == "wrong_state"
    assert counts() == before


def test_a_signature_at_one_gate_stands_when_its_signer_signs_at_another(place: building.Place) -> None:
    handoff = by_policy(place, lambda gates: gates["release"]["signoffs"][0].update(role="validator"))
    ready(handoff, place)
    signed(handoff, place.vera, RELEASE, "release")
    assert [one.state for one in SignOff.objects.all()] == [SignOffState.GIVEN] * 2


@pytest.mark.parametrize(
    ("who", "change", "field", "words"),
    [
        ("vera", {"decision": "perhaps", "comment": "x"}, "decision", "Approve or refuse."),
        ("vera", {"decision": "refuse", "comment": "x"}, "reasons", "at least one reason"),
        ("vera", {"decision": "refuse", "comment": "x", "reasons": ["cost", "x"]}, "reasons", "at least one reason"),
        ("vera", {"decision": "refuse", "reasons": ["cost"]}, "comment", "Say why you refuse."),
        ("vera", {"decision": "changes"}, "comment", "Say why you ask for changes."),
        ("otto", {}, "", "Those who hold the role: Vera, Noah."),
    ],
)
def test_a_decision_that_is_none_is_refused_with_words(
    who: str, change: dict[str, Any], field: str, words: str, place: building.Place, handoff: Handoff
) -> None:
    before = counts()
    with pytest.raises(Refused) as refusal:
        signed(handoff, place.people[who], {**APPROVE, **change})
    told = f"{refusal.value} {refusal.value.todo}"
    assert words in told
    assert list(refusal.value.fields) == [field] * bool(field)
    assert counts() == before


def test_where_nobody_holds_the_role_it_says_so(place: building.Place) -> None:
    handoff = by_policy(place, lambda gates: gates["review"]["signoffs"][0].update(role="risk_compliance"))
    building.ended(RegisteredModelUserGrant, user=place.rita)
    with pytest.raises(Refused) as refusal:
        signed(handoff, place.vera, APPROVE)
    assert refusal.value.todo == "Those who hold the role: nobody yet."


def asks_first(gates: dict[str, Any]) -> None:
    """Let a question and another signature come before the validator's."""
    gates["review"]["checklist"] = [{"key": "runbook", "question": "A runbook?", "role": "integration_owner"}]
    accept = {"key": "accept", "role": "it_operations", "meaning": "responsibility"}
    gates["review"]["signoffs"] = [accept, {**gates["review"]["signoffs"][0], "after": ["accept"]}]


def test_before_questions_are_answered_nobody_approves_and_anybody_who_signs_refuses(place: building.Place) -> None:
    handoff = by_policy(place, asks_first)
    before = counts()
    assert code_of(lambda: signed(handoff, place.vera, APPROVE)) == "answers_open", "not only whose turn it is"
    assert counts() == before
    signed(handoff, place.vera, {**APPROVE, "decision": "refuse", "comment": "No.", "reasons": ["cost"]})
    handoff.refresh_from_db()
    assert handoff.state == State.RETURNED


def test_only_what_was_given_and_still_counts_is_taken_back_with_a_reason(place: building.Place) -> None:
    handoff = by_policy(place, lambda gates: gates["review"]["signoffs"][0].update(count=2))
    first, told = signed(handoff, place.vera, CHANGES), {"actor": Person(place.vera, "t"), "handoff_id": handoff.pk}
    second = signed(handoff, place.noah, APPROVE)
    before = counts()
    for take_back in (signoffs.withdraw, signoffs.revoke):
        assert code_of(lambda: take_back(**told, signoff_id=handoff.pk, reason="x")) == "not_found"  # noqa: B023
        assert code_of(lambda: take_back(**told, signoff_id=second.pk, reason="x")) == "not_the_signer"  # noqa: B023
    assert code_of(lambda: signoffs.withdraw(**told, signoff_id=first.pk, reason=" ")) == "invalid"
    assert counts() == before
    taken = signoffs.withdraw(**told, signoff_id=first.pk, reason="Too early.")
    assert (taken.pk, taken.state) == (first.pk, SignOffState.WITHDRAWN)
    assert taken.voided_because == "withdrawn by the signer: Too early."
    second.refresh_from_db()
    assert second.voided_at is None


# Changes requested


@DOORS
def test_asking_for_changes_keeps_the_gate_shut_until_the_same_person_answers(
    door: Callable[..., int], place: building.Place, handoff: Handoff
) -> None:
    assert door(handoff, place.vera, seen=seen_of(handoff), **CHANGES) == 200
    assert by_service(handoff, place.noah, seen=seen_of(handoff), **APPROVE) == 200
    handoff.refresh_from_db()
    assert handoff.state == State.IN_REVIEW, "it is not returned, and another's approval does not clear it"
    assert why_shut(handoff, "review") == "Validator asks for changes"
    assert tasks(place.vera).keys() == {"sign"}
    assert door(handoff, place.vera, seen=seen_of(handoff), **APPROVE) == 200
    handoff.refresh_from_db()
    assert handoff.state == State.TESTING
    states = [one.state for one in SignOff.objects.order_by("signed_at")]
    assert states == [SignOffState.VOIDED, SignOffState.GIVEN, SignOffState.GIVEN]
    assert SignOff.objects.get(decision="changes").voided_because == "answered anew by the signer"
    assert verify().wrong == []


@DOORS
def test_asking_for_changes_needs_words(door: Callable[..., int], place: building.Place, handoff: Handoff) -> None:
    before = counts()
    assert door(handoff, place.vera, seen=seen_of(handoff), **{**CHANGES, "comment": " "}) == 422
    assert counts() == before


def test_a_refusal_after_an_approval_is_the_last_answer_and_returns_it(place: building.Place) -> None:
    content = building.a_policy(("integrity",)).content | {"policy": "two"}
    content["gates"]["review"]["signoffs"][0]["count"] = 2
    policy = building.Policy.objects.create(slug="two", title="Two").revisions.create(
        number=1, source="{}", content=content, digest=building.digest_of(content)
    )
    handoff = building.offered(place, building.a_version(place), policy)
    first = signed(handoff, place.vera, APPROVE)
    for again in (APPROVE, CONDITIONAL):
        with pytest.raises(AlreadySigned, match="You have signed at this gate already"):
            signed(handoff, place.vera, again)
    signed(handoff, place.vera, {**APPROVE, "decision": "refuse", "comment": "No.", "reasons": ["cost"]})
    handoff.refresh_from_db()
    first.refresh_from_db()
    assert (handoff.state, first.state) == (State.RETURNED, SignOffState.VOIDED)


# Given with conditions


def by_form(handoff: Handoff, who: Account, **body: Any) -> int:
    """Sign in the browser, with the rows of conditions as the form has them."""
    client = Client()
    client.force_login(who, backend=BACKEND)
    rows = body.pop("conditions")
    typed = {f"condition_{name}": [row.get(name, "") for row in rows] for name in ("text", "due", "owner")}
    url = reverse("handoff-sign", args=[handoff.pk, body.pop("requirement")])
    return int(client.post(url, {**body, **typed, "password": PASSWORD}).status_code)


def by_json(handoff: Handoff, who: Account, **body: Any) -> int:
    """Sign over the API."""
    client = APIClient()
    client.force_authenticate(who)
    url = reverse("api:handoff-signoffs", args=[handoff.pk])
    return int(client.post(url, {**body, "reauthentication": proof(who)}, format="json").status_code)


@pytest.mark.parametrize(("door", "done"), [(by_service, 200), (by_json, 201), (by_form, 303)])
def test_an_approval_with_conditions_counts_and_they_are_part_of_what_is_signed(
    door: Callable[..., int], done: int, place: building.Place, handoff: Handoff
) -> None:
    assert door(handoff, place.vera, seen=seen_of(handoff), **CONDITIONAL) == done
    handoff.refresh_from_db()
    signoff, condition = SignOff.objects.get(), Condition.objects.get()
    assert (handoff.state, signoff.state) == (State.TESTING, SignOffState.GIVEN_WITH_CONDITIONS)
    assert (condition.number, condition.text, condition.owner) == (1, "Rehearse the rollback.", place.otto)
    assert f'"due":"{DUE}"' in signoff.statement
    assert "condition" in tasks(place.otto)
    page = client_of(place.otto).get(reverse("handoff", args=[handoff.pk])).content.decode()
    assert "given with conditions" in page
    assert "Rehearse the rollback." in page
    assert verify().wrong == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"conditions": []}, "conditions"),
        ({"decision": "approve"}, "conditions"),
        ({"conditions": [{**PROMISE, "owner": "mallory"}]}, "conditions[0].owner"),
        ({"conditions": [{**PROMISE, "due": "2020-01-01"}]}, "conditions[0].due"),
        ({"conditions": [{**PROMISE, "due": "2999-01-01"}]}, "conditions[0].due"),
        ({"conditions": [{**PROMISE, "text": " "}]}, "conditions[0].text"),
        ({"conditions": [PROMISE] * 21}, "conditions"),
    ],
)
def test_conditions_that_are_none_are_refused_and_nothing_is_signed(
    change: dict[str, Any], field: str, place: building.Place, handoff: Handoff
) -> None:
    before = counts()
    with pytest.raises(Invalid) as refusal:
        signed(handoff, place.vera, {**CONDITIONAL, **change})
    assert list(refusal.value.fields) == [field]
    assert (counts(), Condition.objects.count()) == (before, 0)


def test_an_overdue_condition_suspends_until_its_evidence_is_accepted(place: building.Place, handoff: Handoff) -> None:
    live(handoff, place, CONDITIONAL)
    assert look(handoff) is None
    overdue()
    finding = look(handoff)
    assert finding is not None
    assert (finding.kind, finding.suspends, look(handoff)) == ("approval", True, None)
    assert "hangs on a condition" in str(finding)
    assert "condition" in tasks(place.otto)
    condition = Condition.objects.get()
    about: dict[str, Any] = {"handoff_id": str(handoff.pk), "condition_id": condition.pk}
    conditions.report(actor=Person(place.otto, "t"), **about, comment="Done twice.", link=LINK)
    assert "judge" in tasks(place.noah)
    conditions.reject(actor=Person(place.noah, "t"), **about, comment="On which engine?")
    conditions.report(actor=Person(place.otto, "t"), **about, comment="On the one in production.", link=LINK)
    conditions.accept(actor=Person(place.vera, "t"), **about, comment="I have seen the log.")
    finding.refresh_from_db()
    assert (finding.closing, look(handoff)) == ("resolved", None)
    assert [step.kind for step in condition.steps.all()] == ["reported", "rejected", "reported", "accepted"]
    assert code_of(lambda: conditions.accept(actor=Person(place.vera, "t"), **about, comment="x")) == "condition_closed"


def test_an_overdue_condition_shuts_the_next_gate_and_meeting_it_opens_that(
    place: building.Place, handoff: Handoff
) -> None:
    ready(handoff, place, CONDITIONAL)
    overdue()
    assert "hangs on a condition" in why_shut(handoff)
    assert code_of(lambda: signed(handoff, place.otto, RELEASE, "release")) == "answers_open"
    condition = Condition.objects.get()
    about: dict[str, Any] = {"handoff_id": str(handoff.pk), "condition_id": condition.pk}
    conditions.report(actor=Person(place.otto, "t"), **about, comment="Done.", link=LINK)
    conditions.accept(actor=Person(place.noah, "t"), **about, comment="Good.")
    signed(handoff, place.otto, RELEASE, "release")
    handoff.refresh_from_db()
    assert handoff.state == State.DEPLOYING


@pytest.mark.parametrize(
    ("_case", "act", "who", "more", "code"),
    [
        ("a stranger", "report", "mallory", {"link": LINK}, "not_found"),
        ("neither its owner nor on the signer's side", "report", "iris", {"link": LINK}, "role_not_held"),
        ("no evidence", "report", "otto", {"link": "ftp://x"}, "evidence_missing"),
        ("no words", "report", "otto", {"link": LINK, "comment": " "}, "invalid"),
        ("the owner does not judge", "accept", "otto", {}, "role_not_held"),
        ("nothing was shown", "accept", "vera", {}, "condition_open"),
        ("nothing was shown", "reject", "vera", {}, "condition_open"),
        ("their own evidence", "accept", "noah", {}, "own_evidence"),
    ],
)
@pytest.mark.parametrize("door", ["service", "api", "page"])
def test_who_may_not_meet_a_condition_changes_nothing(
    door: str, _case: str, act: str, who: str, more: dict[str, str], code: str, place: building.Place, handoff: Handoff
) -> None:
    signed(handoff, place.vera, CONDITIONAL)
    condition = Condition.objects.get()
    about: dict[str, Any] = {"handoff_id": str(handoff.pk), "condition_id": condition.pk}
    if code == "own_evidence":
        conditions.report(actor=Person(place.noah, "t"), **about, comment="Done.", link=LINK)
    before = (ConditionStep.objects.count(), AuditEvent.objects.filter(action__startswith="condition.").count())
    body = {"comment": "Because.", **more}
    if door == "service":
        actor = Person(place.people[who], "t")
        assert code_of(lambda: getattr(conditions, act)(actor=actor, **about, **body)) == code
    elif door == "api":
        client = APIClient()
        client.force_authenticate(place.people[who])
        answer = client.post(reverse(f"api:condition-{act}", kwargs=about), body, format="json")
        assert answer.json()["code"] == (code if body["comment"].strip() else "malformed") or answer.status_code == 422
    else:
        name = "report" if act == "report" else "judge"
        typed = {**body, "answer": act}
        answer = client_of(place.people[who]).post(reverse(f"handoff-condition-{name}", kwargs=about), typed)
        assert answer.status_code in (403, 404, 409, 422)
    after = (ConditionStep.objects.count(), AuditEvent.objects.filter(action__startswith="condition.").count())
    assert after == before


@pytest.mark.parametrize("door", ["api", "page"])
def test_a_condition_is_met_through_each_door(door: str, place: building.Place, handoff: Handoff) -> None:
    signed(handoff, place.vera, CONDITIONAL)
    about: dict[str, Any] = {"handoff_id": handoff.pk, "condition_id": Condition.objects.get().pk}
    steps = [("otto", "report", {"comment": "Done.", "link": LINK}), ("vera", "reject", {"comment": "Not yet."})]
    steps += [("otto", "report", {"comment": "Done now.", "link": LINK}), ("noah", "accept", {"comment": "Good."})]
    for who, act, body in steps:
        if door == "api":
            client = APIClient()
            client.force_authenticate(place.people[who])
            assert client.post(reverse(f"api:condition-{act}", kwargs=about), body, format="json").status_code == 201
        else:
            name = "report" if act == "report" else "judge"
            url = reverse(f"handoff-condition-{name}", kwargs=about)
            assert client_of(place.people[who]).post(url, {**body, "answer": act}).status_code == 303
    assert [step.kind for step in ConditionStep.objects.all()] == ["reported", "rejected", "reported", "accepted"]
    page = client_of(place.vera).get(reverse("handoff", args=[handoff.pk])).content.decode()
    assert LINK in page


@pytest.mark.parametrize("change", ["text = 'Nothing.'", "due_at = now()", "owner_id = signoff.signer_id"])
def test_a_condition_that_was_changed_as_owner_is_found(change: str, place: building.Place, handoff: Handoff) -> None:
    signed(handoff, place.vera, CONDITIONAL)
    assert verify().wrong == []
    as_owner(f"UPDATE handoff_condition SET {change} FROM handoff_signoff signoff WHERE signoff.id = signoff_id")
    assert {one.rule for one in verify().wrong} == {"conditions"}


# Revoked


def by_service_revoke(handoff: Handoff, who: Account, signoff: SignOff, reason: str) -> str:
    """Revoke by the service; return the code of the refusal."""
    told: dict[str, Any] = {"handoff_id": str(handoff.pk), "signoff_id": str(signoff.pk), "reason": reason}

    def act() -> None:
        assert signoffs.revoke(actor=Person(who, "t"), **told).pk == signoff.pk

    return code_of(act)


def by_api_revoke(handoff: Handoff, who: Account, signoff: SignOff, reason: str) -> str:
    """Revoke over the API."""
    client = APIClient()
    client.force_authenticate(who)
    answer = client.post(reverse("api:signoff-revoke", args=[handoff.pk, signoff.pk]), {"reason": reason})
    return "" if answer.status_code == 200 else str(answer.json()["code"])


def by_page_revoke(handoff: Handoff, who: Account, signoff: SignOff, reason: str) -> str:
    """Revoke in the browser."""
    answer = client_of(who).post(reverse("handoff-signoff-revoke", args=[handoff.pk, signoff.pk]), {"reason": reason})
    if answer.status_code == 303:
        return ""
    return "not_found" if answer.status_code == 404 else str(answer.context["forms"]["revoke_signoff"].problem.code)


REVOKES = pytest.mark.parametrize("door", [by_service_revoke, by_api_revoke, by_page_revoke])


@REVOKES
def test_an_approval_is_revoked_after_its_effect_and_somebody_approves_anew(
    door: Callable[..., str], place: building.Place, handoff: Handoff
) -> None:
    live(handoff, place)
    signoff = SignOff.objects.get(gate="review")
    assert door(handoff, place.vera, signoff, "The holdout was contaminated.") == ""
    signoff.refresh_from_db()
    finding = Finding.objects.get()
    assert (signoff.state, finding.kind, finding.suspends) == (SignOffState.REVOKED, "approval", True)
    assert "was revoked: The holdout was contaminated." in str(finding)
    handoff.refresh_from_db()
    assert handoff.state == State.LIVE, "nothing is undone"
    told = {"handoff_id": handoff.pk, "finding_id": finding.pk, "comment": "Never mind."}
    assert code_of(lambda: findings.accept(actor=Person(place.otto, "t"), **told)) == "approval_missing"
    assert tasks(place.noah).keys() == {"sign"}
    Handoff.objects.filter(pk=handoff.pk).update(expires_at=timezone.now())  # the offer's, which is over now
    signed(handoff, place.noah, APPROVE)
    finding.refresh_from_db()
    assert (finding.closing, look(handoff)) == ("resolved", None)
    assert verify().wrong == []


@REVOKES
def test_what_cannot_be_revoked(door: Callable[..., str], place: building.Place, handoff: Handoff) -> None:
    ready(handoff, place)
    signoff = SignOff.objects.get()
    before = counts()
    assert door(handoff, place.noah, signoff, "x") == "not_the_signer" or door is by_page_revoke
    assert door(handoff, place.mallory, signoff, "x") == "not_found"
    assert door(handoff, place.vera, signoff, " ") in ("invalid", "malformed")
    assert counts() == before
    withdrawn = {"handoff_id": str(handoff.pk), "signoff_id": str(signoff.pk), "reason": "x"}
    assert code_of(lambda: signoffs.withdraw(actor=Person(place.vera, "t"), **withdrawn)) == "gate_open"
    assert counts() == before
    signoff.refresh_from_db()
    assert signoff.state == SignOffState.GIVEN


def test_before_the_gate_opens_there_is_nothing_to_revoke(place: building.Place, handoff: Handoff) -> None:
    signoff = signed(handoff, place.vera, CHANGES)
    assert by_service_revoke(handoff, place.vera, signoff, "x") == "nothing_to_revoke"
    signoff.refresh_from_db()
    assert signoff.voided_at is None


def test_a_revoked_approval_shuts_the_gates_that_follow_until_it_is_given_again(
    place: building.Place, handoff: Handoff
) -> None:
    ready(handoff, place)
    assert by_service_revoke(handoff, place.vera, SignOff.objects.get(), "I was wrong.") == ""
    assert "Validator has not signed" in why_shut(handoff)
    assert code_of(lambda: signed(handoff, place.otto, RELEASE, "release")) == "answers_open"
    refused = {**APPROVE, "decision": "refuse", "comment": "No.", "reasons": ["cost"]}
    assert code_of(lambda: signed(handoff, place.noah, refused)) == "gate_open"
    signed(handoff, place.vera, APPROVE)
    signed(handoff, place.otto, RELEASE, "release")
    handoff.refresh_from_db()
    assert handoff.state == State.DEPLOYING


def test_a_policy_that_only_reports_does_not_suspend_for_a_revoked_approval(place: building.Place) -> None:
    content = building.a_policy(("integrity",)).content | {"policy": "reports", "drift": "report"}
    policy = building.Policy.objects.create(slug="reports", title="Reports").revisions.create(
        number=1, source="{}", content=content, digest=building.digest_of(content)
    )
    handoff = live(building.offered(place, building.a_version(place), policy), place)
    assert by_service_revoke(handoff, place.vera, SignOff.objects.get(gate="review"), "x") == ""
    assert not Finding.objects.get().suspends


# Expired


def lasting(place: building.Place, days: int) -> Handoff:
    """Return a handoff whose validators' approvals are good for some days."""
    content = building.a_policy(("integrity",)).content | {"policy": "lasting"}
    content["gates"]["review"]["signoffs"][0]["valid_days"] = days
    policy = building.Policy.objects.create(slug="lasting", title="Lasting").revisions.create(
        number=1, source="{}", content=content, digest=building.digest_of(content)
    )
    return building.offered(place, building.a_version(place), policy)


def test_an_approval_runs_out_after_the_days_of_the_policy_and_is_given_again(place: building.Place) -> None:
    handoff = live(lasting(place, 90), place)
    assert look(handoff) is None
    as_owner("UPDATE handoff_signoff SET signed_at = signed_at - interval '91 days' WHERE gate = 'review'")
    assert "ran out on" in why_shut(handoff), "the gate knows before the worker looks"
    finding = look(handoff)
    assert finding is not None
    signoff = SignOff.objects.get(gate="review")
    assert (signoff.state, finding.kind) == (SignOffState.EXPIRED, "approval")
    assert "ran out on" in tasks(place.vera)["sign"]
    signed(handoff, place.vera, APPROVE)
    finding.refresh_from_db()
    assert (finding.closing, look(handoff)) == ("resolved", None)


def test_an_approval_that_ran_out_is_given_again_before_any_worker_looks(place: building.Place) -> None:
    handoff = ready(lasting(place, 90), place)
    as_owner("UPDATE handoff_signoff SET signed_at = signed_at - interval '91 days'")
    signed(handoff, place.vera, APPROVE)
    old, new = SignOff.objects.order_by("signed_at")
    assert (old.state, new.state) == (SignOffState.EXPIRED, SignOffState.GIVEN)
    assert old.voided_because.startswith("ran out on")


def test_an_approval_without_a_limit_never_runs_out(place: building.Place, handoff: Handoff) -> None:
    ready(handoff, place)
    as_owner("UPDATE handoff_signoff SET signed_at = signed_at - interval '20 years'")
    assert look(handoff) is None
    assert why_shut(handoff) == "IT operations has not signed"


@pytest.mark.parametrize("days", [-1, "90", 3651, True])
def test_a_policy_with_odd_days_is_refused(days: Any, db: None) -> None:
    content = building.a_policy(("integrity",)).content
    content["gates"]["review"]["signoffs"][0]["valid_days"] = days
    with pytest.raises(Invalid) as refusal:
        parse(content)
    assert list(refusal.value.fields) == ["gates.review.signoffs[0].valid_days"]


# Replayed


def test_a_signing_request_that_is_sent_again_signs_nothing(place: building.Place, handoff: Handoff) -> None:
    client = APIClient()
    client.force_authenticate(place.vera)
    url = reverse("api:handoff-signoffs", args=[handoff.pk])
    body = {**CHANGES, "seen": seen_of(handoff), "reauthentication": proof(place.vera)}
    assert client.post(url, body).status_code == 201
    before = counts()
    assert client.post(url, body).json()["code"] == "not_confirmed"
    assert counts() == before
    assert SignOff.objects.get().voided_at is None, "nor does it end the one that was given"
