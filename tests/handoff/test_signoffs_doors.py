"""Signing, through every door: who may, what a signature holds for, and that a refusal changes nothing."""

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from audit import signing
from audit.actors import Person, ServiceAccount, Worker
from audit.errors import Refused
from audit.models import Account, AuditEvent
from handoff.facts import known_of
from handoff.models import Decision, Handoff, Job, Reauthentication, Return, SignOff
from handoff.queries.signing import sheet_for
from handoff.rules.scopes import digest, scope_for
from handoff.services import checklists, handoffs, signoffs
from handoff.states import State
from models_registry.models import EnvironmentUserGrant, RegisteredModelUserGrant
from tests.handoff import building

PASSWORD = "correct horse battery staple"
pytestmark = pytest.mark.django_db


@pytest.fixture
def place(db: None, store: Any, settings: Any) -> building.Place:
    """Return a model and its people, who have passwords."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    place = building.a_place()
    for account in place.people.values():
        account.set_password(PASSWORD)
        account.save(update_fields=["password"])
    return place


@pytest.fixture
def handoff(place: building.Place) -> Handoff:
    """Return a handoff in review; Vera's signature opens the gate."""
    return building.offered(place, building.a_version(place), building.a_policy(("integrity",)))


def seen_of(handoff: Handoff, gate: str = "review") -> str:
    """Return the digest of what is there to sign now."""
    return digest(scope_for(gate, known_of(handoff).facts.parts))


def proof(who: Account) -> str:
    """Return a fresh confirmation of who somebody is."""
    expires = timezone.now() + timedelta(minutes=5)
    return str(Reauthentication.objects.create(person=who, method="password", expires_at=expires).pk)


def by_service(handoff: Handoff, who: Account, **body: Any) -> int:
    """Sign by the service."""
    try:
        signoffs.sign(actor=Person(who, "test"), handoff_id=str(handoff.pk), reauthentication=proof(who), **body)
    except Refused as refusal:
        return refusal.status
    return 200


def by_api(handoff: Handoff, who: Account, **body: Any) -> int:
    """Sign over the API."""
    client = APIClient()
    client.force_authenticate(who)
    url = reverse("api:handoff-signoffs", args=[handoff.pk])
    status = client.post(url, {**body, "reauthentication": proof(who)}).status_code
    return 200 if status == 201 else int(status)


def by_page(handoff: Handoff, who: Account, **body: Any) -> int:
    """Sign in the browser's form."""
    client = Client()
    client.force_login(who, backend="django.contrib.auth.backends.ModelBackend")
    url = reverse("handoff-sign", args=[handoff.pk, body.pop("requirement")])
    status = client.post(url, {**body, "password": PASSWORD}).status_code
    return 200 if status == 303 else int(status)


def counts() -> tuple[int, ...]:
    """Return how many rows there are of everything that signing writes, but for sign-ins."""
    events = AuditEvent.objects.exclude(chain__startswith="account:").exclude(chain="sign-ins")
    return (SignOff.objects.count(), Job.objects.count(), Decision.objects.count(), events.count())


DOORS = pytest.mark.parametrize("door", [by_service, by_api, by_page])
APPROVE = {"requirement": "validation", "decision": "approve", "meaning": "review", "comment": ""}


@DOORS
def test_the_last_signature_opens_the_gate_and_queues_the_work(door: Callable[..., int], handoff: Handoff) -> None:
    vera = Account.objects.get(username="vera")
    assert door(handoff, vera, seen=seen_of(handoff), **APPROVE) == 200
    handoff.refresh_from_db()
    signoff = SignOff.objects.get()
    assert handoff.state == State.TESTING
    assert [job.purpose for job in handoff.jobs.all()] == ["test:integrity"]
    assert Decision.objects.get().opened
    assert (signoff.printed_name, signoff.role, signoff.meaning) == ("Vera", "validator", "review")
    actions = set(AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}").values_list("action", flat=True))
    assert {"signoff.given", "gate.decided", "handoff.moved"} <= actions


@DOORS
@pytest.mark.parametrize(
    ("case", "who", "change", "status"),
    [
        ("a stranger cannot tell that it exists", "mallory", {}, 404),
        ("a member without the role may not", "otto", {}, 403),
        ("who built it may not", "dana", {}, 403),
        ("a stale sheet is refused", "vera", {"seen": "0" * 64}, 409),
        ("another meaning is refused", "vera", {"meaning": "approval"}, 422),
        ("a refusal needs words", "vera", {"decision": "refuse", "comment": ""}, 422),
    ],
)
def test_what_is_refused_changes_nothing(
    case: str, who: str, change: dict[str, str], status: int, door: Callable[..., int], handoff: Handoff
) -> None:
    account = Account.objects.get(username=who)
    before = counts()
    assert door(handoff, account, **{**APPROVE, "seen": seen_of(handoff), **change}) == status, case
    assert counts() == before
    handoff.refresh_from_db()
    assert handoff.state == State.IN_REVIEW


@DOORS
def test_an_offer_whose_time_ran_out_takes_no_signature(
    door: Callable[..., int], handoff: Handoff, place: building.Place
) -> None:
    """The clock that ends offers may be late; the signature does not wait for it."""
    Handoff.objects.filter(pk=handoff.pk).update(expires_at=timezone.now())
    before = counts()
    assert door(handoff, place.vera, **{**APPROVE, "seen": seen_of(handoff)}) == 409
    assert counts() == before
    handoff.refresh_from_db()
    assert handoff.state == State.IN_REVIEW
    Handoff.objects.filter(pk=handoff.pk).update(expires_at=timezone.now() + timedelta(minutes=1))
    assert door(handoff, place.vera, **{**APPROVE, "seen": seen_of(handoff)}) == 200


@DOORS
def test_who_built_it_may_not_sign_whatever_roles_they_hold(
    door: Callable[..., int], place: building.Place, handoff: Handoff
) -> None:
    place.dana.is_superuser = place.dana.is_staff = True
    place.dana.save(update_fields=["is_superuser", "is_staff"])
    building._grant(RegisteredModelUserGrant, place.dana, "validator", place.model)
    before = counts()
    assert door(handoff, place.dana, seen=seen_of(handoff), **APPROVE) == 403
    assert counts() == before


def test_the_human_behind_a_service_account_is_in_the_chain(place: building.Place) -> None:
    robot = Account.objects.create(username="ci", kind="service", responsible=place.vera)
    version = building.a_version(place)
    handoff = building.offered(place, version, building.a_policy(("integrity",)))
    Handoff.objects.filter(pk=handoff.pk)  # offered by Dana; the robot supplied nothing yet
    assert by_service(handoff, place.vera, seen=seen_of(handoff), **APPROVE) == 200
    other = building.a_version(place, 2, "other")
    second = Handoff.objects.create(
        number=2,
        model=place.model,
        version=other,
        source=place.source,
        target=place.target,
        drafted_by=robot,
        bindings={},
    )
    assert "offered this handoff" in known_of(second).facts.chain.acts[place.vera.pk]


def test_a_service_account_never_signs(place: building.Place, handoff: Handoff) -> None:
    robot = Account.objects.create(username="ci", kind="service", responsible=place.iris)
    building._grant(RegisteredModelUserGrant, robot, "validator", place.model)
    before = counts()
    actors: list[Any] = [ServiceAccount(robot, "api"), Worker("tests"), Person(robot, "api")]
    for actor in actors:  # of which the type checker refuses the first two
        with pytest.raises(Refused) as refusal:
            signoffs.sign(
                actor=actor,
                handoff_id=str(handoff.pk),
                seen=seen_of(handoff),
                reauthentication=proof(robot),
                **APPROVE,
            )
        assert refusal.value.code == "person_required"
    assert by_api(handoff, robot, seen=seen_of(handoff), **APPROVE) == 403
    assert counts() == before


def test_signed_out_in_another_tab_nothing_happens_and_it_says_so(handoff: Handoff) -> None:
    before = counts()
    url = reverse("handoff-sign", args=[handoff.pk, "validation"])
    response = Client().post(url, {**APPROVE, "seen": seen_of(handoff), "password": PASSWORD})
    assert response.status_code == 403
    assert "signed out" in response.content.decode()
    assert counts() == before


def test_the_wrong_password_is_refused_and_five_lock_signing(place: building.Place, handoff: Handoff) -> None:
    client = APIClient()
    client.force_authenticate(place.vera)
    url = reverse("api:reauthentications")
    codes = [client.post(url, {"password": "wrong"}).json()["code"] for _ in range(5)]
    assert codes == ["not_confirmed"] * 5
    assert client.post(url, {"password": PASSWORD}).json()["code"] == "signing_locked"
    assert client.get(reverse("api:handoff", args=[handoff.pk])).status_code == 200
    assert Reauthentication.objects.count() == 0


def test_confirmations_are_throttled(place: building.Place) -> None:
    cache.clear()
    client = APIClient()
    client.force_authenticate(place.vera)
    url = reverse("api:reauthentications")
    statuses = [client.post(url, {"password": PASSWORD}).status_code for _ in range(21)]
    assert statuses == [201] * 20 + [429]
    cache.clear()


def test_a_confirmation_is_good_once_for_its_person_and_for_minutes(place: building.Place, handoff: Handoff) -> None:
    def attempt(key: str) -> str:
        try:
            signoffs.sign(
                actor=Person(place.vera, "test"),
                handoff_id=str(handoff.pk),
                seen=seen_of(handoff),
                reauthentication=key,
                **APPROVE,
            )
        except Refused as refusal:
            return refusal.code
        return "signed"

    old = Reauthentication.objects.create(person=place.vera, method="password", expires_at=timezone.now())
    assert attempt(proof(place.otto)) == "not_confirmed"
    assert attempt(str(old.pk)) == "not_confirmed"
    mine = proof(place.vera)
    assert attempt(mine) == "signed"
    used = Reauthentication.objects.get(pk=mine)
    assert used.used_at is not None
    with pytest.raises(Exception, match="Cannot update"):
        Reauthentication.objects.filter(pk=mine).update(used_at=None)


@DOORS
def test_a_refusal_returns_it_with_reasons(door: Callable[..., int], handoff: Handoff) -> None:
    vera = Account.objects.get(username="vera")
    body = {**APPROVE, "decision": "refuse", "comment": "No description of the data.", "reasons": ["documentation"]}
    assert door(handoff, vera, seen=seen_of(handoff), **body) == 200
    handoff.refresh_from_db()
    note = Return.objects.get()
    assert handoff.state == State.RETURNED
    assert (note.reasons, note.comment) == (["documentation"], "No description of the data.")
    assert not handoff.jobs.exists()


def test_signing_twice_is_refused(place: building.Place) -> None:
    two = building.a_policy(("integrity",)).content | {"policy": "two"}
    two["gates"]["review"]["signoffs"][0]["count"] = 2
    policy = building.Policy.objects.create(slug="two", title="Two").revisions.create(
        number=1, source="{}", content=two, digest=building.digest_of(two)
    )
    handoff = building.offered(place, building.a_version(place), policy)
    assert by_service(handoff, place.vera, seen=seen_of(handoff), **APPROVE) == 200
    before = counts()
    assert by_service(handoff, place.vera, seen=seen_of(handoff), **APPROVE) == 409
    assert counts() == before
    signoff = SignOff.objects.get()
    signoffs.withdraw(
        actor=Person(place.vera, "test"), handoff_id=str(handoff.pk), signoff_id=str(signoff.pk), reason="Too early."
    )
    assert by_service(handoff, place.vera, seen=seen_of(handoff), **APPROVE) == 200
    assert SignOff.objects.filter(voided_at=None).count() == 1


def test_a_changed_answer_voids_what_covered_it_and_says_why(place: building.Place) -> None:
    content = building.a_policy(("integrity",)).content | {"policy": "asks"}
    content["gates"]["review"]["signoffs"].append(
        {"key": "accept", "role": "it_operations", "meaning": "responsibility"}
    )
    content["gates"]["review"]["checklist"] = [
        {"key": "runbook", "question": "A runbook?", "role": "integration_owner"}
    ]
    policy = building.Policy.objects.create(slug="asks", title="Asks").revisions.create(
        number=1, source="{}", content=content, digest=building.digest_of(content)
    )
    handoff = building.offered(place, building.a_version(place), policy)
    assert by_service(handoff, place.vera, seen=seen_of(handoff), **APPROVE) == 409  # questions first
    iris = Person(place.iris, "test")
    checklists.answer(actor=iris, handoff_id=str(handoff.pk), item="runbook", choice="yes")
    assert by_service(handoff, place.vera, seen=seen_of(handoff), **APPROVE) == 200
    checklists.answer(actor=iris, handoff_id=str(handoff.pk), item="runbook", choice="no", reason="It is out of date.")
    signoff = SignOff.objects.get()
    assert signoff.voided_at is not None
    assert "answers" in signoff.voided_because
    sheet = sheet_for(place.vera, handoff.pk, "validation")
    assert sheet.changed == ("answers",)


def test_a_statement_proves_what_was_signed(place: building.Place, handoff: Handoff) -> None:
    from hashlib import sha256

    signoff = building.sign(handoff, "review", place.vera)
    assert sha256(signoff.statement.encode()).hexdigest() == signoff.statement_digest
    for word in (str(handoff.pk), handoff.version.digest, str(place.target.pk), "validator", "review", place.vera.mark):
        assert word in signoff.statement


@pytest.mark.parametrize(
    "change",
    [{"decision": "refuse"}, {"comment": "x"}, {"printed_name": "Mallory"}, {"scope": {}}, {"role": "it_operations"}],
)
def test_a_signature_never_changes_in_the_database(
    change: dict[str, Any], place: building.Place, handoff: Handoff
) -> None:
    building.sign(handoff, "review", place.vera)
    with pytest.raises(Exception, match="Cannot update"):
        SignOff.objects.update(**change)


def test_a_voided_signature_never_counts_again(place: building.Place, handoff: Handoff) -> None:
    building.sign(handoff, "review", place.vera)
    SignOff.objects.update(voided_at=timezone.now(), voided_because="a test")
    with pytest.raises(Exception, match="Cannot update"):
        SignOff.objects.update(voided_at=None, voided_because="")


def test_no_state_is_reached_by_a_move_that_is_not_listed(handoff: Handoff) -> None:
    with pytest.raises(Exception, match="Invalid transition"):
        Handoff.objects.filter(pk=handoff.pk).update(state=State.LIVE)


@pytest.mark.parametrize("field", ["policy", "policy_digest", "target", "report"])
def test_what_was_offered_is_fixed_in_the_database(field: str, place: building.Place, handoff: Handoff) -> None:
    change = {"policy": {}, "policy_digest": "0" * 64, "target": place.source, "report": {"items": []}}[field]
    with pytest.raises(Exception, match="Cannot update"):
        Handoff.objects.filter(pk=handoff.pk).update(**{field: change})


def test_the_number_of_queries_is_fixed(
    place: building.Place, handoff: Handoff, django_assert_num_queries: Callable[[int], Any]
) -> None:
    body = {**APPROVE, "seen": seen_of(handoff), "reauthentication": proof(place.vera)}
    signing.sign("text/plain", b"")  # the very first signature of all registers the key, too
    # savepoint, lock, facts, use up, signature, event, consumers, marks, decision, event, jobs, move, event, release
    with django_assert_num_queries(14):
        signoffs.sign(actor=Person(place.vera, "test"), handoff_id=str(handoff.pk), **body)


@pytest.mark.django_db(transaction=True)
def test_two_people_who_sign_last_at_the_same_instant_open_the_gate_once(store: Any) -> None:
    place = building.a_place()
    noah = building.person("noah")
    building._grant(RegisteredModelUserGrant, noah, "validator", place.model)
    for attempt in range(5):
        version = building.a_version(place, attempt + 1, "good", latency_p99_ms=100 + attempt)
        handoff = building.offered(place, version, building.a_policy(("integrity",)))
        seen, barrier = seen_of(handoff), Barrier(2)
        proofs = {who: proof(who) for who in (place.vera, noah)}
        answers: list[int] = []

        def sign(
            who: Account,
            handoff: Handoff = handoff,
            seen: str = seen,
            barrier: Barrier = barrier,
            proofs: dict[Account, str] = proofs,
            answers: list[int] = answers,
        ) -> None:
            barrier.wait()
            try:
                signoffs.sign(
                    actor=Person(who, "test"),
                    handoff_id=str(handoff.pk),
                    seen=seen,
                    reauthentication=proofs[who],
                    **APPROVE,
                )
                answers.append(200)
            except Refused as refusal:
                answers.append(refusal.status)
            finally:
                connections.close_all()

        threads = [Thread(target=sign, args=[who]) for who in proofs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [200, 409]
        assert handoff.jobs.count() == 1
        assert Decision.objects.filter(handoff=handoff).count() == 1
        handoffs.withdraw(actor=Person(place.dana, "test"), handoff_id=str(handoff.pk), reason="next")


def test_a_role_taken_away_stops_a_signature_from_counting(place: building.Place, handoff: Handoff) -> None:
    building.sign(handoff, "review", place.vera)
    building.ended(RegisteredModelUserGrant, user=place.vera)
    known = known_of(handoff)
    assert not known.facts.signoffs[0].entitled
    building.ended(EnvironmentUserGrant, user=place.otto)
    assert not known_of(handoff).sees(place.otto.pk)
