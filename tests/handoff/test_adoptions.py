"""An open handoff adopts other policies by an explicit, signed act of somebody who may, and by nothing else."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, transaction
from django.urls import reverse
from rest_framework.test import APIClient

from audit.actors import ServiceAccount, Worker
from audit.errors import Refused
from audit.models import Account, AuditEvent
from handoff.facts import rules_of
from handoff.models import Adoption, Handoff, SignOff
from handoff.queries.adoptions import adoption_sheet
from handoff.queries.signatures import verify
from handoff.services import adoptions, policies
from models_registry.models import RegisteredModelUserGrant
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.test_signoffs_doors import proof
from tests.handoff.test_signoffs_signatures import as_owner
from tests.handoff.walking import PASSWORD, by, client_of

pytestmark = pytest.mark.django_db
LIGHT = (settings.BASE_DIR / "handoff/policies/light.yaml").read_text()
RISK = "      - {key: risk, role: risk_compliance, meaning: approval}\n"
STRICTER = LIGHT.replace("  release:\n", RISK + "  release:\n").replace("days: 30", "days: 20")


@pytest.fixture
def site(db: None, store: Any) -> Place:
    return walking.a_site()


@pytest.fixture
def handoff(site: Place) -> Handoff:
    """Return a handoff in review with one signature, and a stricter revision that was published since."""
    found = walking.answered(site)
    walking.sign(found, site.otto, "acceptance")
    policies.publish(actor=by(site.ada), source=STRICTER)
    return found


def by_service(handoff: Handoff, who: Account, seen: str) -> int:
    try:
        adoptions.adopt(
            actor=by(who), handoff_id=handoff.pk, seen=seen, reason="A new rule.", reauthentication=proof(who)
        )
    except Refused as refusal:
        return refusal.status
    return 201


def by_api(handoff: Handoff, who: Account, seen: str) -> int:
    client = APIClient()
    client.force_authenticate(who)
    body = {"seen": seen, "reason": "A new rule.", "reauthentication": proof(who)}
    return int(client.post(reverse("api:handoff-adoption", args=[handoff.pk]), body).status_code)


def by_page(handoff: Handoff, who: Account, seen: str) -> int:
    body = {"seen": seen, "reason": "A new rule.", "password": PASSWORD}
    status = client_of(who).post(reverse("handoff-adopt", args=[handoff.pk]), body).status_code
    return 201 if status == 303 else int(status)


DOORS = pytest.mark.parametrize("door", [by_service, by_api, by_page])
Door = Callable[[Handoff, Account, str], int]


def seen_of(handoff: Handoff, who: Account) -> str:
    return adoption_sheet(who, handoff.pk).seen


@DOORS
def test_a_validator_lets_it_adopt_and_what_that_touches_is_voided(door: Door, site: Place, handoff: Handoff) -> None:
    before = Handoff.objects.get(pk=handoff.pk)
    assert door(handoff, site.vera, seen_of(handoff, site.vera)) == 201
    handoff.refresh_from_db()
    adoption = Adoption.objects.get()
    assert (adoption.from_digest, adoption.to_digest) == (before.policy_digest, handoff.policy_digest)
    assert adoption.before == {"policy": before.policy, "report": before.report}
    assert (adoption.role, adoption.printed_name) == ("validator", "Vera")
    assert "risk" in {rule.key for rule in rules_of(handoff).gate("review").signoffs}
    assert handoff.expires_at != before.expires_at
    voided = SignOff.objects.get()
    assert voided.voided_because == "the policy revision changed after it was given"
    assert handoff.answers.count() == before.answers.count()
    event = AuditEvent.objects.get(action="policy.adopted")
    assert (event.chain, "light r2" in event.body) == (f"handoff:{handoff.pk}", True)
    for who, key in ((site.vera, "validation"), (site.otto, "acceptance"), (site.rita, "risk")):
        walking.sign(handoff, who, key)
    assert handoff.state == "testing"


@DOORS
@pytest.mark.parametrize(
    ("case", "who", "status"),
    [
        ("who built and offered it may not", "dana", 403),
        ("operations may not", "otto", 403),
        ("a stranger cannot tell that it exists", "mallory", 404),
        ("an administrator without a role cannot either", "ada", 404),
    ],
)
def test_others_let_it_adopt_nothing(
    case: str, who: str, status: int, door: Door, site: Place, handoff: Handoff
) -> None:
    before = Handoff.objects.get(pk=handoff.pk).policy_digest
    assert door(handoff, site.people[who], seen_of(handoff, site.vera)) == status, case
    assert (Adoption.objects.count(), SignOff.objects.filter(voided_at=None).count()) == (0, 1)
    assert Handoff.objects.get(pk=handoff.pk).policy_digest == before


@DOORS
def test_owners_of_the_model_builders_and_administrators_may_not_whatever_else_they_hold(
    door: Door, site: Place, handoff: Handoff
) -> None:
    seen = seen_of(handoff, site.vera)
    building._grant(RegisteredModelUserGrant, site.vera, "model_owner", site.model)
    building._grant(RegisteredModelUserGrant, site.dana, "validator", site.model)
    building._grant(RegisteredModelUserGrant, site.ada, "validator", site.model)
    for who in (site.vera, site.dana, site.ada):
        assert door(handoff, who, seen) == 403
    assert Adoption.objects.count() == 0


@DOORS
def test_what_changed_since_it_was_shown_is_refused(door: Door, site: Place, handoff: Handoff) -> None:
    seen = seen_of(handoff, site.vera)
    policies.publish(actor=by(site.ada), source=STRICTER.replace("days: 20", "days: 10"))
    assert door(handoff, site.vera, seen) == 409
    assert Adoption.objects.count() == 0


def test_a_handoff_past_its_review_adopts_nothing(site: Place) -> None:
    handoff = walking.ready(site)
    policies.publish(actor=by(site.ada), source=STRICTER)
    assert by_service(handoff, site.vera, "0" * 64) == 409
    assert by_page(handoff, site.vera, "0" * 64) == 409
    assert adoption_sheet(site.vera, handoff.pk).idle == "A handoff that is ready adopts no policy."
    assert Adoption.objects.count() == 0


def test_nothing_is_adopted_that_the_version_does_not_satisfy(site: Place, handoff: Handoff) -> None:
    lax = "thresholds: {latency_p99_ms: 0.5}\n"
    policies.publish(actor=by(site.ada), source=STRICTER + lax)
    assert by_service(handoff, site.vera, seen_of(handoff, site.vera)) == 422
    html = client_of(site.vera).get(reverse("handoff-adopt", args=[handoff.pk])).content.decode()
    assert "at most 0.5" in html
    assert Adoption.objects.count() == 0


def test_the_same_policy_is_not_adopted_twice(site: Place, handoff: Handoff) -> None:
    seen = seen_of(handoff, site.vera)
    assert by_service(handoff, site.vera, seen) == 201
    assert by_service(handoff, site.vera, seen) == 409
    assert by_page(handoff, site.vera, seen) == 409
    assert adoption_sheet(site.vera, handoff.pk).idle
    assert Adoption.objects.count() == 1


def test_a_wrong_password_adopts_nothing_and_keeps_the_reason(site: Place, handoff: Handoff) -> None:
    body = {"seen": seen_of(handoff, site.vera), "reason": "A <new> rule.", "password": "wrong"}
    answer = client_of(site.vera).post(reverse("handoff-adopt", args=[handoff.pk]), body)
    assert answer.status_code == 403
    assert "A &lt;new&gt; rule." in answer.content.decode()
    assert Adoption.objects.count() == 0


def test_the_page_says_what_would_be_different(site: Place, handoff: Handoff) -> None:
    html = client_of(site.vera).get(reverse("handoff-adopt", args=[handoff.pk])).content.decode()
    assert "the sign-off risk by Risk compliance: approval" in html
    assert "Otto: acceptance" in html
    assert (
        reverse("handoff-adopt", args=[handoff.pk])
        in client_of(site.vera).get(reverse("handoff", args=[handoff.pk])).content.decode()
    )
    barred = client_of(site.dana).get(reverse("handoff-adopt", args=[handoff.pk])).content.decode()
    assert "Why you may not sign this" in barred


def test_the_database_lets_no_policy_change_without_an_adoption(site: Place, handoff: Handoff) -> None:
    changes: list[dict[str, Any]] = [
        {"policy": {}}, {"policy_digest": "0" * 64}, {"report": {}}, {"report_digest": "0" * 64},
    ]  # fmt: skip
    for change in changes:
        with pytest.raises(DatabaseError), transaction.atomic():
            Handoff.objects.filter(pk=handoff.pk).update(**change)
    assert by_service(handoff, site.vera, seen_of(handoff, site.vera)) == 201
    with pytest.raises(DatabaseError), transaction.atomic():
        Adoption.objects.update(reason="Another.")
    with pytest.raises(DatabaseError), transaction.atomic():
        Adoption.objects.all().delete()


def test_a_signed_adoption_is_proven_and_whoever_changes_it_is_found(site: Place, handoff: Handoff) -> None:
    assert by_service(handoff, site.vera, seen_of(handoff, site.vera)) == 201
    assert verify().wrong == []
    for statement, rule in (
        ("UPDATE handoff_adoption SET reason = 'Another.'", "columns"),
        ("UPDATE handoff_adoption SET signature = 'AAAA' || substr(signature, 5)", "signature"),
        ("DELETE FROM handoff_adoption", "missing"),
    ):
        with transaction.atomic():
            as_owner(statement)
            assert rule in {one.rule for one in verify().wrong}, statement
            transaction.set_rollback(True)


def refused(**told: Any) -> tuple[str, str, str, dict[str, Any]]:
    """Return the code, the words, what to do and the fields of a refusal to adopt."""
    with pytest.raises(Refused) as refusal:
        adoptions.adopt(**told)
    one = refusal.value
    return one.code, one.message, one.todo, one.fields


def test_an_adoption_is_returned_as_it_is_read_and_told(site: Place, handoff: Handoff) -> None:
    before = Handoff.objects.get(pk=handoff.pk)
    confirmed, seen = proof(site.vera), seen_of(handoff, site.vera)
    told = {"actor": by(site.vera), "handoff_id": handoff.pk, "seen": seen, "reauthentication": confirmed}
    done = adoptions.adopt(reason=" A new rule. ", **told)
    after = Handoff.objects.get(pk=handoff.pk)
    assert (done.printed_name, done.reason, done.role, done.adopted_by) == (
        "Vera", "A new rule.", "validator", site.vera,
    )  # fmt: skip
    assert done.before == {"policy": before.policy, "report": before.report}
    assert (done.from_digest, done.to_digest) == (before.policy_digest, after.policy_digest)
    event = AuditEvent.objects.get(action="policy.adopted")
    assert (event.chain, event.subject, event.told["reason"]) == (
        f"handoff:{handoff.pk}", f"adoption:{done.pk}", "A new rule.",
    )  # fmt: skip
    assert event.told["data"] == {
        "policy": "light r2",
        "from": before.policy_digest,
        "to": after.policy_digest,
        "statement": done.statement_digest,
        "key": done.key_id,
    }
    assert after.policy_revision != before.policy_revision
    assert after.offered_at is not None
    assert after.expires_at == after.offered_at + timedelta(days=20)


def test_a_refusal_says_who_may_and_what_to_do(site: Place, handoff: Handoff) -> None:
    seen, robot = (
        seen_of(handoff, site.vera),
        Account.objects.create(username="robot", kind="service", responsible=site.vera),
    )
    told = {"actor": by(site.vera), "handoff_id": handoff.pk, "seen": seen, "reason": "A rule.", "reauthentication": ""}
    for actor in (by(robot), Worker("robot"), ServiceAccount(robot, "api")):
        assert refused(**(told | {"actor": actor}))[:2] == ("person_required", "Only a natural person signs.")
    assert refused(**(told | {"actor": by(site.otto)})) == (
        "role_not_held",
        "Only a validator, or risk and compliance, lets a handoff adopt a policy.",
        "Those who hold the roles: Vera, Rita.",
        {},
    )
    assert refused(**(told | {"reason": " "})) == ("invalid", "Say why it adopts them.", "", {"reason": "is empty"})
    stale = refused(**(told | {"seen": "0" * 64}))
    assert stale[0] == "changed_since_shown"
    Handoff.objects.filter(pk=handoff.pk).update(state="withdrawn")
    assert refused(**told)[:3] == (
        "not_in_review", "A handoff that is withdrawn adopts no policy.", "Withdraw it, and offer the version again.",
    )  # fmt: skip
    assert not Adoption.objects.exists()


def test_risk_and_compliance_adopts_under_its_own_role(site: Place, handoff: Handoff) -> None:
    seen = seen_of(handoff, site.rita)
    told = {"seen": seen, "reason": "A rule.", "reauthentication": proof(site.rita)}
    assert adoptions.adopt(actor=by(site.rita), handoff_id=handoff.pk, **told).role == "risk_compliance"
