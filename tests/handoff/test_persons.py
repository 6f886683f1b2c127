"""Accounts of one natural person count as one; and who may sign, and why not, is answered for everybody."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from audit.errors import Refused
from audit.models import Account, AuditEvent
from handoff.facts import known_of, rules_of
from handoff.models import Handoff, SignOff
from handoff.queries.signers import acts_in_all, signers_of
from handoff.rules.gates import evaluate
from handoff.services import persons
from models_registry.models import RegisteredModelUserGrant
from models_registry.services import roles
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import by, client_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(place: Place) -> Place:
    """Return a place with the light policy, where danas second account validates, too."""
    site = walking.a_site(place)
    second = building.person("dana2")
    second.password = site.vera.password
    second.save(update_fields=["password"])
    building._grant(RegisteredModelUserGrant, second, "validator", site.model)
    site.people["dana2"] = second
    return site


def merge(site: Place, account: str = "dana2", same_as: str = "dana", who: str = "ada") -> Account:
    """Record that two accounts are one person's."""
    return persons.merge(actor=by(site.people[who]), account=account, same_as=same_as, reason="The same passport.")


def refused(code: str, act: Callable[[], object]) -> Refused:
    """Expect a refusal by its code, and that nothing was merged or signed."""
    before = (Account.objects.filter(same_person__isnull=False).count(), SignOff.objects.count())
    with pytest.raises(Refused) as refusal:
        act()
    after = (Account.objects.filter(same_person__isnull=False).count(), SignOff.objects.count())
    assert (refusal.value.code, after) == (code, before)
    return refusal.value


def validation(handoff: Handoff) -> Any:
    """Return the requirement that a validator signs."""
    result = evaluate("review", rules_of(handoff), known_of(handoff).facts)
    return next(one for one in result.requirements if one.key == "validation")


def test_two_accounts_of_one_person_are_barred_alike(site: Place) -> None:
    handoff = walking.answered(site)
    merge(site)
    refusal = refused("duty_conflict", lambda: walking.sign(handoff, site.dana2, "validation"))
    assert "created this version" in refusal.message
    assert validation(handoff).who == ("Vera",)


def test_merging_between_signatures_voids_what_no_longer_holds_and_says_why(site: Place) -> None:
    handoff = walking.answered(site)
    signed = walking.sign(handoff, site.dana2, "validation")
    assert validation(handoff).met
    merge(site)
    signed.refresh_from_db()
    assert signed.voided_because.startswith("two accounts are one person's, who created this version")
    assert not validation(handoff).met
    told = AuditEvent.objects.filter(action="signoff.voided", chain=f"handoff:{handoff.pk}").get()
    assert told.actor_label == "Ada"


def test_merging_keeps_what_holds(site: Place) -> None:
    handoff = walking.answered(site)
    signed = walking.sign(handoff, site.vera, "validation")
    merge(site)
    merge(site, "rita", "vera")
    signed.refresh_from_db()
    assert signed.voided_at is None


def test_one_person_signs_once_at_a_gate_with_whichever_account(site: Place) -> None:
    handoff = walking.answered(site)
    vera2 = building.person("vera2")
    vera2.password = site.vera.password
    vera2.save(update_fields=["password"])
    building._grant(RegisteredModelUserGrant, vera2, "validator", site.model)
    merge(site, "vera2", "vera")
    first = walking.sign(handoff, site.vera, "validation")
    refusal = refused("already_signed", lambda: walking.sign(handoff, vera2, "validation"))
    assert "Vera has signed at this gate" in refusal.message
    first.pk, first.statement_digest, first.signer = None, "0" * 64, vera2
    proof = building.Reauthentication.objects.create(person=vera2, method="password", expires_at=timezone.now())
    first.reauthentication = proof
    with pytest.raises(IntegrityError, match="one natural person signs once"), transaction.atomic():
        first.save(force_insert=True)


def test_nobody_grants_a_role_to_their_other_account(site: Place) -> None:
    other = building.person("ada2")
    Account.objects.filter(pk=other.pk).update(same_person=site.ada)
    act = {"actor": by(site.ada), "role": "validator", "holder": "ada2", "model": "tumours"}
    refused("self_grant", lambda: roles.grant(**act))


def test_who_may_merge_and_what(site: Place) -> None:
    refused("administrator_required", lambda: merge(site, who="otto"))
    refused("self_grant", lambda: merge(site, "dana2", "ada"))
    refused("invalid", lambda: merge(site, "nobody"))
    robot = Account.objects.create(username="robot", kind="service", responsible=site.dana)
    refused("invalid", lambda: merge(site, robot.username))
    assert merge(site).natural_person_id == site.dana.pk
    refused("merged_already", lambda: merge(site))
    assert merge(site, "dana", "otto").natural_person_id == site.otto.pk  # and with it the second account
    site.dana2.refresh_from_db()
    assert site.dana2.natural_person_id == site.otto.pk
    persons.part(actor=by(site.ada), account="dana2", reason="A mistake.")
    refused("not_merged", lambda: persons.part(actor=by(site.ada), account="dana2", reason="Again."))
    with pytest.raises(IntegrityError, match="main account"), transaction.atomic():
        Account.objects.filter(username="dana2").update(same_person=site.dana)  # who is merged already


def test_why_and_who_is_answered_for_every_holder(site: Place) -> None:
    building._grant(RegisteredModelUserGrant, site.dana, "validator", site.model)
    handoff = walking.answered(site)
    _, seats, acts = signers_of(site.dana, handoff.pk)
    (one,) = [seat for seat in seats if seat.requirement == "validation"]
    told = {signer.name: (signer.may, signer.signed) for signer in one.signers}
    assert told == {"Dana": (False, False), "Dana2": (True, False), "Vera": (True, False)}
    assert any("created this version" in why for signer in one.signers if signer.mine for why in signer.why)
    assert ("Edda", "answered checklist items of this handoff") in {(row.person, row.act) for row in acts}
    walking.sign(handoff, site.vera, "validation")
    _, seats, acts = signers_of(site.dana, handoff.pk)
    assert ("Vera", "signed as validator (review)") in {(row.person, row.act) for row in acts}
    refused("not_found", lambda: signers_of(site.mallory, handoff.pk))


def test_signers_and_acts_go_over_the_page_the_api_and_as_a_table(site: Place) -> None:
    Account.objects.filter(username="edda").update(first_name="=HYPERLINK(1)")
    handoff = walking.answered(site)
    page = client_of(site.dana)
    text = page.get(f"/handoffs/{handoff.pk}/signers/").content.decode()
    assert "Who may sign, and why not" in text
    table = page.get(f"/handoffs/{handoff.pk}/duties.csv").content.decode()
    assert "'=HYPERLINK(1)" in table
    assert '"=HYPERLINK' not in table
    assert page.get("/handoffs/duties.csv").content.decode() == table  # there is no other handoff
    assert list(acts_in_all(site.mallory)) == []
    api = APIClient(headers={"Authorization": f"Bearer {AuthToken.objects.create(user=site.vera)[1]}"})
    told = api.get(f"/api/v1/handoffs/{handoff.pk}/signers/").json()
    (one,) = [seat for seat in told["requirements"] if seat["requirement"] == "validation"]
    assert {signer["name"] for signer in one["signers"] if signer["may"]} == {"Dana2", "Vera"}
    assert [signer["mine"] for signer in one["signers"] if signer["name"] == "Vera"] == [True]


def test_accounts_are_merged_over_the_api_and_in_the_admin(site: Place) -> None:
    ada = APIClient(headers={"Authorization": f"Bearer {AuthToken.objects.create(user=site.ada)[1]}"})
    body = {"account": "dana2", "same_as": "dana", "reason": "The same passport."}
    assert ada.post("/api/v1/accounts/merge/", body).json() == {"account": "dana2", "same_as": "dana"}
    assert ada.post("/api/v1/accounts/part/", {"account": "dana2", "reason": "No."}).json()["same_as"] == ""
    admin = client_of(site.ada)
    assert admin.post("/admin/handoff/mergedaccount/add/", body).status_code == 302
    assert "one person already" in admin.post("/admin/handoff/mergedaccount/add/", body).content.decode()
    second = Account.objects.get(username="dana2")
    act = {"action": "part", "_selected_action": [str(second.pk)], "confirmed": "yes", "reason": "No."}
    assert admin.post("/admin/handoff/mergedaccount/", act).status_code == 302
    assert Account.objects.get(username="dana2").same_person is None


def told(action: str) -> tuple[str, str, Any, str]:
    """Return the chain and the subject of the newest act of a name, what it tells, and why."""
    event = AuditEvent.objects.filter(action=action).latest("pk")
    return event.chain, event.subject, event.told["data"], event.told["reason"]


def test_both_acts_are_returned_and_told_and_touch_nobody_else(site: Place) -> None:
    site.people["dana3"] = building.person("dana3")
    merge(site, "dana3", "vera")
    chain = f"account:{site.dana2.pk}"
    done = persons.merge(actor=by(site.ada), account="dana2", same_as="dana", reason=" The same passport. ")
    assert (done.pk, done.same_person) == (site.dana2.pk, site.dana)
    about = {"account": "Dana2", "same_as": "Dana"}
    assert told("account.merged") == (chain, chain, about, "The same passport.")
    apart = persons.part(actor=by(site.ada), account="dana2", reason=" A mistake. ")
    assert (apart.pk, apart.same_person) == (site.dana2.pk, None)
    assert told("account.parted") == (
        chain, chain, {"account": "Dana2", "other": "Dana"}, "A mistake.",
    )  # fmt: skip
    site.dana3.refresh_from_db()
    assert site.dana3.same_person == site.vera


def test_a_refusal_names_the_field_and_what_to_do(site: Place) -> None:
    why = {"reason": "must be 1 to 2000 characters"}
    for act, more in ((persons.merge, {"same_as": "dana"}), (persons.part, {})):
        account = "dana2" if act is persons.merge else "otto"
        for reason in (" ", "x" * 2001):
            if act is persons.part:
                Account.objects.filter(username="otto").update(same_person=site.rita)
            of = {"actor": by(site.ada), "account": account, "reason": reason, **more}
            assert refused("invalid", lambda act=act, of=of: act(**of)).fields == why
    robot = Account.objects.create(username="robot", kind="service", responsible=site.dana)
    for name in (robot.username, "nobody"):
        both = {"account": name, "same_as": "dana"}, {"account": "dana", "same_as": name}
        for place, names in zip(("account", "same_as"), both, strict=True):
            fields = refused("invalid", lambda names=names: merge(site, **names)).fields
            assert fields == {place: "is not a person's account"}
    own = refused("self_grant", lambda: merge(site, "ada", "dana"))
    assert (own.message, own.todo) == ("Nobody decides whose their own accounts are.", "Ask another administrator.")
    refused("self_grant", lambda: persons.part(actor=by(site.ada), account="ada", reason="No."))
    refused("administrator_required", lambda: persons.part(actor=by(site.otto), account="dana2", reason="No."))
    done = persons.merge(actor=by(site.ada), account="dana2", same_as="dana", reason="x" * 2000)
    assert done.same_person == site.dana


def test_of_one_person_the_later_signature_at_a_gate_counts_and_those_of_others_stay(site: Place) -> None:
    """Who signed as validator and takes over with another account: the earlier falls, at this handoff alone."""
    otto2 = building.person("otto2")
    otto2.password = site.otto.password
    otto2.save(update_fields=["password"])
    building._grant(RegisteredModelUserGrant, otto2, "validator", site.model)
    first, second = walking.answered(site), walking.answered(site, walking.offered(site, building.a_version(site, 2)))
    early = walking.sign(first, otto2, "validation")
    other = walking.sign(second, site.vera, "validation")
    gone = walking.sign(walking.answered(site, walking.offered(site, building.a_version(site, 3))), otto2, "validation")
    Handoff.objects.filter(pk=gone.handoff_id).update(state="withdrawn")
    late = walking.sign(second, site.otto, "acceptance")
    assert Handoff.objects.get(pk=second.pk).state == "testing"
    third = walking.answered(site, walking.offered(site, building.a_version(site, 4)))
    mine, yours = walking.sign(third, otto2, "validation"), walking.sign(third, site.otto, "acceptance")
    merge(site, "otto2", "otto")
    for signed in (early, other, gone, late, mine, yours):
        signed.refresh_from_db()
    fell = {one: one.voided_because for one in (early, other, gone, late, mine, yours) if one.voided_at}
    assert list(fell) == [mine], fell
    assert "two accounts are one person's, who" in mine.voided_because
