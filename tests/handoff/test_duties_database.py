"""The net under the rules about duties: the database takes no sign-off of who is barred, also past every service."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from audit.models import Account
from handoff.facts import known_of
from handoff.models import Handoff, Reauthentication, SignOff
from handoff.rules.duties import conflicts
from tests.handoff import building, walking
from tests.handoff.building import Place

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(place: Place) -> Place:
    """Return a place with the light policy, where robots and second accounts act, too."""
    site = walking.a_site(place)
    for name in ("noah", "rita2", "olga", "dana2"):
        site.people[name] = building.person(name)
    for name, whose in (("danabot", "dana"), ("noahbot", "noah"), ("ritabot", "rita2")):
        site.people[name] = Account.objects.create(username=name, kind="service", responsible=site.people[whose])
    for name in ("rita2", "dana2"):
        Account.objects.filter(username=name).update(same_person=site.people[name[:-1]])
    return site


def written(handoff: Handoff, like: SignOff, number: int, **more: Any) -> None:
    """Write a sign-off by SQL, as somebody would who has the application's role, and take it back."""
    proof = Reauthentication.objects.create(person_id=more["signer_id"], method="password", expires_at=timezone.now())
    row = SignOff.objects.filter(pk=like.pk).values().get()
    fresh = {"gate": "confirm", "statement_digest": f"{number:064}", "reauthentication_id": proof.pk}
    row |= {"voided_at": None, "voided_as": "", "voided_because": "", "behalf_of_id": None, **fresh, **more}
    del row["id"]
    row["scope"] = "{}"
    columns = ", ".join(f'"{SignOff._meta.get_field(name).column}"' for name in row)
    values = ", ".join(["%s"] * len(row))
    with transaction.atomic():
        at = transaction.savepoint()
        with connection.cursor() as cursor:
            statement = f"INSERT INTO handoff_signoff (id, {columns}) VALUES (gen_random_uuid(), {values})"
            cursor.execute(statement, list(row.values()))
        transaction.savepoint_rollback(at)


def barred(handoff: Handoff, like: SignOff, number: int, **more: Any) -> bool:
    """Tell whether the database refuses a sign-off for want of an unbarred person."""
    try:
        written(handoff, like, number, **more)
    except IntegrityError as error:
        if "does not sign, and one person signs in one role" not in str(error):
            raise
        return True
    return False


def one_signed(site: Place, handoff: Handoff) -> SignOff:
    """Return a sign-off that vera gave and withdrew, whose columns others use."""
    signed = walking.sign(handoff, site.vera, "validation")
    SignOff.objects.filter(pk=signed.pk).update(voided_at=timezone.now(), voided_because="a test")
    return signed


@pytest.mark.parametrize("act", ["created", "nominated", "supplied", "drafted", "offered", "answered"])
@pytest.mark.parametrize("through", ["oneself", "a robot", "a second account", "a robot of a second account"])
def test_whoever_acted_in_a_chain_is_taken_for_no_signer(site: Place, act: str, through: str) -> None:
    signer, actor = {
        "oneself": ("noah", "noah"),
        "a robot": ("noah", "noahbot"),
        "a second account": ("rita", "rita2"),
        "a robot of a second account": ("rita", "ritabot"),
    }[through]
    version = building.a_version(site)
    handoff = walking.answered(site, walking.offered(site, version))
    signed = one_signed(site, handoff)
    who = site.people[signer]
    assert not barred(handoff, signed, 1, signer_id=who.pk)
    _act(act, handoff, site.people[actor])
    assert barred(handoff, signed, 2, signer_id=who.pk)
    assert barred(handoff, signed, 3, signer_id=site.olga.pk, behalf_of_id=who.pk), "nor by a delegate"
    assert barred(handoff, signed, 4, signer_id=who.pk, behalf_of_id=site.olga.pk), "nor as a delegate"
    assert not barred(handoff, signed, 5, signer_id=site.olga.pk)
    assert bool(conflicts(known_of(handoff).facts.chain, person=who.pk, role="validator")), "as the rule says"


def _act(act: str, handoff: Handoff, who: Account) -> None:
    """Let somebody have done a thing in a chain, as the owner of the tables could write it."""
    table, column, key = {
        "created": ("models_registry_modelversion", "created_by_id", handoff.version_id),
        "nominated": ("models_registry_modelversion", "nominated_by_id", handoff.version_id),
        "supplied": ("models_registry_element", "set_by_id", handoff.version.elements.order_by("name")[0].pk),
        "drafted": ("handoff_handoff", "drafted_by_id", handoff.pk),
        "offered": ("handoff_handoff", "offered_by_id", handoff.pk),
        "answered": ("handoff_answer", "answered_by_id", handoff.answers.order_by("pk")[0].pk),
    }[act]
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", [who.pk, key])
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def test_who_signed_in_another_role_is_taken_for_no_signer(site: Place) -> None:
    handoff = walking.under_test(site)
    signed = handoff.signoffs.get(signer=site.vera)
    assert barred(handoff, signed, 1, signer_id=site.vera.pk, role="it_operations")
    assert barred(handoff, signed, 2, signer_id=site.olga.pk, behalf_of_id=site.vera.pk, role="it_operations")
    assert not barred(handoff, signed, 3, signer_id=site.vera.pk), "the same role at another gate"


def test_the_database_bars_whom_the_rule_bars_and_nobody_else(site: Place) -> None:
    handoff = walking.under_test(site)
    signed, chain = handoff.signoffs.get(signer=site.vera), known_of(handoff).facts.chain
    people = [who for who in site.people.values() if who.is_person]
    told = {
        (who.username, role): (
            bool(conflicts(chain, person=who.pk, role=role)),
            barred(handoff, signed, at, signer_id=who.pk, role=role),
        )
        for at, (who, role) in enumerate((one, role) for one in people for role in ("validator", "risk_compliance"))
    }
    assert {key: rule for key, (rule, _) in told.items()} == {key: net for key, (_, net) in told.items()}
    assert {rule for rule, _ in told.values()} == {True, False}


def test_a_person_signs_and_for_another_person_only(site: Place) -> None:
    handoff = walking.answered(site)
    signed = one_signed(site, handoff)
    for more in (
        {"signer_id": site.noahbot.pk},
        {"signer_id": site.olga.pk, "behalf_of_id": site.noahbot.pk},
        {"signer_id": site.rita.pk, "behalf_of_id": site.rita2.pk},
    ):
        with pytest.raises(IntegrityError, match="a natural person signs, for themselves or for another one"):
            written(handoff, signed, 1, **more)
