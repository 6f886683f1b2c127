"""Attacks by way of who somebody is: renamed, merged, gone, delegated in a circle, replayed; through each door."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import DatabaseError, transaction
from django.db.models import ProtectedError
from django.urls import reverse
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from audit.actors import Person, Worker
from audit.errors import Refused
from audit.models import Account
from handoff import queue
from handoff.facts import known_of, rules_of
from handoff.models import Finding, Handoff, SignOff
from handoff.plans import DeployReport
from handoff.queries.signatures import verify
from handoff.rules.gates import evaluate
from handoff.services import deployments, jobs, persons
from models_registry.models import Delegation, RegisteredModelUserGrant
from models_registry.roles import Role
from models_registry.services import delegations
from tests.handoff import building
from tests.handoff.test_signoffs_doors import APPROVE, DOORS, PASSWORD, counts, proof, seen_of
from tests.handoff.walking import client_of

pytestmark = pytest.mark.django_db
Sign = Callable[..., int]
SECONDS = ("dana2", "vera2")


@pytest.fixture
def place(db: None, store: Any, settings: Any) -> building.Place:
    """Return a model and its people with passwords; dana2, vera2 and olga validate, too, and ada administers."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    place = building.a_place()
    place.people |= {name: building.person(name) for name in (*SECONDS, "olga", "ada")}
    for name in (*SECONDS, "olga"):
        building._grant(RegisteredModelUserGrant, place.people[name], "validator", place.model)
    for account in place.people.values():
        account.set_password(PASSWORD)
        account.is_staff = account.is_superuser = account.username == "ada"
        account.save(update_fields=["password", "is_staff", "is_superuser"])
    return place


@pytest.fixture
def handoff(place: building.Place) -> Handoff:
    """Return a handoff in review that two validators approve."""
    content = building.a_policy(("integrity",)).content | {"policy": "two"}
    content["gates"]["review"]["signoffs"][0]["count"] = 2
    policy = building.Policy.objects.create(slug="two", title="Two").revisions.create(
        number=1, source="{}", content=content, digest=building.digest_of(content)
    )
    return building.offered(place, building.a_version(place), policy)


def bearer(who: Account) -> APIClient:
    """Return a client with a token of somebody."""
    return APIClient(headers={"Authorization": f"Bearer {AuthToken.objects.create(user=who)[1]}"})


def validation(handoff: Handoff) -> Any:
    """Return the requirement that validators sign."""
    result = evaluate("review", rules_of(handoff), known_of(handoff).facts)
    return next(one for one in result.requirements if one.key == "validation")


# One person with two accounts, or merged between signatures


def merge_by_service(place: building.Place, body: dict[str, str]) -> int:
    try:
        persons.merge(actor=Person(place.ada, "test"), **body)
    except Refused as refusal:
        return refusal.status
    return 200


def merge_by_api(place: building.Place, body: dict[str, str]) -> int:
    return int(bearer(place.ada).post("/api/v1/accounts/merge/", body).status_code)


def merge_by_admin(place: building.Place, body: dict[str, str]) -> int:
    status = client_of(place.ada).post("/admin/handoff/mergedaccount/add/", body).status_code
    return {302: 200, 200: 422}[int(status)]


MERGING = pytest.mark.parametrize("merging", [merge_by_service, merge_by_api, merge_by_admin])


def told(account: str, same_as: str) -> dict[str, str]:
    return {"account": account, "same_as": same_as, "reason": "The same passport."}


@MERGING
def test_merging_between_signatures_voids_through_each_door(
    merging: Callable[..., int], place: building.Place, handoff: Handoff
) -> None:
    signed = building.sign(handoff, "review", place.dana2)
    assert merging(place, told("dana2", "dana")) == 200
    signed.refresh_from_db()
    assert "two accounts are one person's, who created this version" in signed.voided_because
    assert validation(handoff).by == ()
    assert verify().wrong == []


def test_merging_after_the_gates_shuts_the_next_one_and_is_a_finding_on_what_is_live(place: building.Place) -> None:
    policy = building.a_policy(("integrity",))
    behind, live = (building.offered(place, building.a_version(place, at), policy) for at in (1, 2))
    for one in (behind, live):
        building.sign(one, "review", place.dana2)
        building.tested(one)
        one.refresh_from_db()
    job = building.open_release(place, live).jobs.get(task=queue.DEPLOY)
    claimed = jobs.claim(job.pk, "worker", task=queue.DEPLOY)
    assert claimed is not None
    assert deployments.begin(claimed.pk, claimed.fence) is not None
    deployments.finish(claimed.pk, claimed.fence, DeployReport(True, "it is live", ()), actor=Worker("worker"))
    assert merge_by_service(place, told("dana2", "dana")) == 200
    with pytest.raises(Refused) as refused:
        building.sign(behind, "release", place.otto)
    assert refused.value.code == "answers_open"
    for one in (behind, live):
        (finding,) = one.findings.filter(kind=Finding.Kind.APPROVAL, closed_at=None)
        (sentence,) = finding.items.values()
        assert sentence.startswith(
            "The approval as Validator at the review gate was voided: two accounts are one person's"
        )
        building.sign(one, "review", place.olga)
        assert not one.findings.filter(closed_at=None).exists(), "somebody else has approved anew"
    assert verify().wrong == []


@MERGING
def test_what_cannot_be_merged_changes_nothing_through_each_door(
    merging: Callable[..., int], place: building.Place, handoff: Handoff
) -> None:
    robot = Account.objects.create(username="robot", kind="service", responsible=place.dana)
    signed = building.sign(handoff, "review", place.dana2)
    before = counts()
    for body in (
        told("dana2", "nobody"),
        told("dana2", "ada"),  # nobody decides about their own
        told("dana2", "dana2"),
        told(robot.username, "dana"),
        told("dana2", "dana") | {"reason": " "},
    ):
        assert merging(place, body) >= 400, body
    assert not Account.objects.filter(same_person__isnull=False).exists()
    signed.refresh_from_db()
    assert (signed.voided_at, counts()) == (None, before)


@DOORS
def test_a_second_account_approves_nothing_that_the_first_built(
    door: Sign, place: building.Place, handoff: Handoff
) -> None:
    assert merge_by_service(place, told("dana2", "dana")) == 200
    before = counts()
    assert door(handoff, Account.objects.get(username="dana2"), seen=seen_of(handoff), **APPROVE) == 403
    assert counts() == before


@DOORS
def test_two_accounts_of_one_person_are_not_two_signatures(door: Sign, place: building.Place, handoff: Handoff) -> None:
    assert merge_by_service(place, told("vera2", "vera")) == 200
    building.sign(handoff, "review", place.vera)
    before = counts()
    assert door(handoff, Account.objects.get(username="vera2"), seen=seen_of(handoff), **APPROVE) == 409
    assert counts() == before
    assert door(handoff, place.olga, seen=seen_of(handoff), **APPROVE) == 200
    handoff.refresh_from_db()
    assert handoff.state == "testing"


# Renamed between signatures


@DOORS
def test_another_name_makes_nobody_another_person(door: Sign, place: building.Place, handoff: Handoff) -> None:
    signed = building.sign(handoff, "review", place.vera)
    building._grant(RegisteredModelUserGrant, place.dana, "validator", place.model)
    for account, name in ((place.vera, "Wera"), (place.dana, "Anna")):
        page = reverse("admin:audit_account_change", args=[account.pk])
        form = {"username": name.lower(), "first_name": name, "kind": "person", "is_active": "on"}
        assert client_of(place.ada).post(page, form).status_code == 302
        account.refresh_from_db()
        assert account.printed_name == name
    before = counts()
    assert door(handoff, place.dana, seen=seen_of(handoff), **APPROVE) == 403
    assert door(handoff, place.vera, seen=seen_of(handoff), **APPROVE) == 409
    assert counts() == before
    signed.refresh_from_db()
    assert (signed.printed_name, validation(handoff).by, verify().wrong) == ("Vera", ("Vera",), [])


# Gone


def by_open_page(handoff: Handoff, who: Account) -> Callable[[], int]:
    """Return a request from a browser in which somebody is signed in already."""
    client = client_of(who)
    body = {**APPROVE, "seen": seen_of(handoff), "password": PASSWORD}
    return lambda: int(client.post(reverse("handoff-sign", args=[handoff.pk, "validation"]), body).status_code)


def by_old_token(handoff: Handoff, who: Account) -> Callable[[], int]:
    """Return a request with a token, and a confirmation, that somebody has already."""
    client, body = bearer(who), {**APPROVE, "seen": seen_of(handoff), "reauthentication": proof(who)}
    return lambda: int(client.post(reverse("api:handoff-signoffs", args=[handoff.pk]), body).status_code)


@pytest.mark.parametrize("opened", [by_open_page, by_old_token])
@pytest.mark.parametrize("how", ["left", "lost the role"])
def test_who_has_left_signs_no_more_with_what_is_still_open(
    opened: Callable[..., Callable[[], int]], how: str, place: building.Place, handoff: Handoff
) -> None:
    send = opened(handoff, place.vera)
    if how == "left":
        Account.objects.filter(username="vera").update(is_active=False)
    else:
        building.ended(RegisteredModelUserGrant, user=place.vera)
    before = counts()
    assert send() in (302, 401, 403, 404)
    assert counts() == before


@DOORS
def test_who_has_left_is_nobody_at_any_door(door: Sign, place: building.Place, handoff: Handoff) -> None:
    seen = seen_of(handoff)
    Account.objects.filter(username="vera").update(is_active=False)
    before = counts()
    assert door(handoff, Account.objects.get(username="vera"), seen=seen, **APPROVE) in (302, 403, 404)
    assert counts() == before


def test_what_somebody_signed_who_left_opens_no_gate_later(place: building.Place, handoff: Handoff) -> None:
    building.sign(handoff, "review", place.vera)
    Account.objects.filter(username="vera").update(is_active=False)
    building.sign(handoff, "review", place.olga)
    assert (handoff.state, validation(handoff).by) == ("in_review", ("Olga",))


# Replayed


def test_a_request_to_sign_that_is_sent_again_signs_nothing(place: building.Place, handoff: Handoff) -> None:
    url = reverse("api:handoff-signoffs", args=[handoff.pk])
    body = {**APPROVE, "seen": seen_of(handoff), "reauthentication": proof(place.vera)}
    first = bearer(place.vera).post(url, body, headers={"Idempotency-Key": "k-1"})
    assert first.status_code == 201
    before = counts()
    again = bearer(place.vera).post(url, body, headers={"Idempotency-Key": "k-1"})
    assert (again.status_code, again.json(), again["Idempotent-Replay"]) == (201, first.json(), "true")
    assert bearer(place.vera).post(url, body).status_code == 409
    for other, key in ((place.olga, "k-1"), (place.olga, "k-2"), (place.vera2, "k-1")):
        stolen = bearer(other).post(url, body, headers={"Idempotency-Key": key})
        assert (stolen.status_code, stolen.json()["code"]) == (403, "not_confirmed")
    assert counts() == before

    address = reverse("api:signoff-withdraw", args=[handoff.pk, first.json()["id"]])
    assert bearer(place.vera).post(address, {"reason": "Too early."}).status_code in (200, 201)
    before = counts()
    late = bearer(place.vera).post(url, body)
    assert (late.status_code, late.json()["code"], counts()) == (403, "not_confirmed", before)


def test_a_form_that_was_sent_by_another_signs_nothing(place: building.Place, handoff: Handoff) -> None:
    form = {**APPROVE, "seen": seen_of(handoff), "password": PASSWORD}
    place.olga.set_password("another secret of hers")
    place.olga.save(update_fields=["password"])
    url, before = reverse("handoff-sign", args=[handoff.pk, "validation"]), counts()
    assert client_of(place.olga).post(url, form).status_code == 403
    assert client_of(place.mallory).post(url, form).status_code == 404
    assert counts() == before


# Delegated in a circle, and of others


def delegate_by_service(who: Account, body: dict[str, Any]) -> int:
    try:
        delegations.delegate(actor=Person(who, "test"), **{**body, "ends": timezone.localdate() + timedelta(days=1)})
    except Refused as refusal:
        return refusal.status
    return 200


def delegate_by_api(who: Account, body: dict[str, Any]) -> int:
    status = bearer(who).post("/api/v1/delegations/", body, format="json").status_code
    return 200 if status == 201 else int(status)


def delegate_by_page(who: Account, body: dict[str, Any]) -> int:
    form = {**body, "what": f"{body['role']} model {body['model']}"}
    status = client_of(who).post("/delegations/", form).status_code
    return 200 if status == 302 else int(status)


DELEGATING = pytest.mark.parametrize("delegating", [delegate_by_service, delegate_by_api, delegate_by_page])


def lent(to: str) -> dict[str, Any]:
    ends = (timezone.localdate() + timedelta(days=1)).isoformat()
    return {"role": "validator", "model": "tumours", "to": to, "ends": ends, "reason": "On leave."}


@DELEGATING
def test_no_circle_of_delegations_through_any_door(
    delegating: Callable[..., int], place: building.Place, handoff: Handoff
) -> None:
    otto, vera, rita = place.otto, place.vera, place.rita
    assert delegating(vera, lent("otto")) == 200
    before = Delegation.objects.count()
    for who, to in (
        (otto, "vera"),
        (otto, "rita"),
        (otto, "otto"),
        (vera, "vera"),
        (rita, "vera"),
        (place.mallory, "vera"),
    ):
        assert delegating(who, lent(to)) >= 400, (who, to)
    assert Delegation.objects.count() == before
    assert set(known_of(handoff).facts.holders[Role.VALIDATOR]) == {
        one.pk for one in (vera, otto, place.olga, place.dana2, place.vera2)
    }


@DOORS
def test_the_end_of_a_delegation_ends_what_an_open_sheet_allows(
    door: Sign, place: building.Place, handoff: Handoff
) -> None:
    made = delegations.delegate(
        actor=Person(place.vera, "test"), **{**lent("mallory"), "ends": timezone.localdate() + timedelta(days=1)}
    )
    seen = seen_of(handoff)
    delegations.end(actor=Person(place.vera, "test"), delegation_id=made.pk)
    before = counts()
    assert door(handoff, place.mallory, seen=seen, **APPROVE) == 404
    assert counts() == before


# A role in use


def test_a_role_in_use_cannot_be_deleted_and_an_empty_one_keeps_the_gate_shut(
    place: building.Place, handoff: Handoff
) -> None:
    hold = Permission.objects.get(codename="hold_validator", content_type__model="registeredmodel")
    for delete in (hold.delete, place.vera.delete, RegisteredModelUserGrant.objects.all().delete):
        with pytest.raises((DatabaseError, ProtectedError)), transaction.atomic():
            delete()
    assert Permission.objects.filter(pk=hold.pk).exists()
    building.ended(RegisteredModelUserGrant, permission=hold)
    left = validation(handoff)
    assert (left.met, left.who, left.needed) == (False, (), True)
    assert "nobody who holds the role is free of conflicts" in left.why


def test_a_group_in_use_cannot_be_deleted(place: building.Place) -> None:
    group = Group.objects.create(name="validators")
    hold = Permission.objects.get(codename="hold_validator", content_type__model="registeredmodel")
    table = place.model.group_grants.model
    table.objects.create(group=group, permission=hold, content_object=place.model)
    with pytest.raises((DatabaseError, ProtectedError)), transaction.atomic():
        group.delete()
    assert (
        client_of(place.ada).post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"}).status_code
        == 403
    )
    assert table.objects.filter(group=group).exists()


# Of others


def test_the_keys_of_another_handoff_open_nothing_in_ones_own(place: building.Place, handoff: Handoff) -> None:
    foreign = building.a_place("churn")
    rows = RegisteredModelUserGrant.objects.filter(content_object=foreign.model)
    rows.update(ends_at=timezone.now())
    zoe = building.person("zoe")
    building._grant(RegisteredModelUserGrant, zoe, "validator", foreign.model)
    version = building.a_version(foreign, 1, "other")
    theirs = building.offered(foreign, version, handoff.policy_revision or building.a_policy())
    signed = building.sign(theirs, "review", zoe)
    vera, before = bearer(place.vera), counts()
    for act in ("withdraw", "revoke"):
        for at in (handoff.pk, theirs.pk):
            url = reverse(f"api:signoff-{act}", args=[at, signed.pk])
            assert vera.post(url, {"reason": "No."}).status_code == 404
            page = client_of(place.vera).post(
                reverse(f"handoff-signoff-{act}", args=[at, signed.pk]), {"reason": "No."}
            )
            assert page.status_code == 404
    for address in (f"signoffs/{signed.pk}/", "signers/"):
        assert client_of(place.vera).get(f"/handoffs/{theirs.pk}/{address}").status_code == 404
        assert vera.get(f"/api/v1/handoffs/{theirs.pk}/{address}").status_code == 404
    assert client_of(place.vera).get(f"/handoffs/{theirs.pk}/duties.csv").status_code == 404
    assert "Churn" not in client_of(place.vera).get("/handoffs/duties.csv").content.decode()
    assert delegate_by_api(place.vera, lent("olga") | {"model": "churn"}) == 404
    assert counts() == before
    assert SignOff.objects.get(pk=signed.pk).voided_at is None
