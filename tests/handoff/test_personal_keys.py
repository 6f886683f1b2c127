"""Personal keys: a person's own key signs the very decision, through every door, and nothing else than that."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.cache import cache
from django.db import DatabaseError, transaction
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from audit import personal_keys
from audit.actors import Person
from audit.errors import Refused
from audit.models import Account, AuditEvent, PersonalKey
from handoff.models import AmendmentSignOff, Handoff, Reauthentication, SignOff
from handoff.queries import signing_by_key
from handoff.queries.amendments import sheet_for as amendment_sheet
from handoff.queries.signatures import verify
from handoff.services import amendments, packs, reauthentications, signoffs
from tests.handoff import amending, building
from tests.handoff.authenticator import ORIGIN, Token, registered, token
from tests.handoff.test_packs import verified
from tests.handoff.test_signoffs_doors import PASSWORD, counts, seen_of
from tests.handoff.test_signoffs_signatures import as_owner
from tests.handoff.walking import by, client_of

pytestmark = pytest.mark.django_db
APPROVE = {"requirement": "validation", "decision": "approve", "meaning": "review", "comment": "Read."}


@pytest.fixture
def place(db: None, store: Any, settings: Any) -> building.Place:
    """Return a model and its people, who have passwords."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()
    place = building.a_place()
    for account in place.people.values():
        account.set_password(PASSWORD)
        account.save(update_fields=["password"])
    return place


@pytest.fixture
def handoff(place: building.Place) -> Handoff:
    """Return a handoff in review; Vera's signature opens the gate."""
    return building.offered(place, building.a_version(place), building.a_policy(("integrity",)))


def api(who: Account) -> APIClient:
    """Return somebody's client."""
    client = APIClient()
    client.force_authenticate(who)
    return client


def by_service(handoff: Handoff, who: Account, own: Token, asked: dict[str, Any], sent: dict[str, Any]) -> int:
    """Ask for one decision, have the key sign it, and send another or the same; by the services."""
    actor = Person(who, "test")
    try:
        question = signing_by_key.ask(actor, handoff.pk, origin=ORIGIN, **asked)
        confirmed = reauthentications.confirm_by_key(
            actor=actor, origin=ORIGIN, token=question.token, answer=own.signed(question.options)
        )
        signoffs.sign(actor=actor, handoff_id=str(handoff.pk), reauthentication=str(confirmed.pk), **sent)
    except Refused as refusal:
        return refusal.status
    return 200


def by_api(handoff: Handoff, who: Account, own: Token, asked: dict[str, Any], sent: dict[str, Any]) -> int:
    """Do the same over the API."""
    client, told = api(who), dict(asked)
    question = client.post(reverse("api:handoff-sheet-key", args=[handoff.pk, told.pop("requirement")]), told)
    if question.status_code != 200:
        return int(question.status_code)
    body = own.signed(question.json()["options"]) | {"token": question.json()["token"]}
    confirmed = client.post(reverse("api:reauthentications-by-key"), body)
    if confirmed.status_code != 201:
        return int(confirmed.status_code)
    answer = client.post(
        reverse("api:handoff-signoffs", args=[handoff.pk]), {**sent, "reauthentication": confirmed.json()["id"]}
    )
    return 200 if answer.status_code == 201 else int(answer.status_code)


def by_page(handoff: Handoff, who: Account, own: Token, asked: dict[str, Any], sent: dict[str, Any]) -> int:
    """Do the same with the page's form, as its script does."""
    client, told, sent = client_of(who), dict(asked), dict(sent)
    question = client.post(reverse("handoff-sign-key", args=[handoff.pk, told.pop("requirement")]), told)
    if question.status_code != 200:
        return int(question.status_code)
    answer = {f"key_{name}": value for name, value in own.signed(question.json()["options"]).items()}
    url = reverse("handoff-sign", args=[handoff.pk, sent.pop("requirement")])
    status = client.post(url, {**sent, **answer, "key_token": question.json()["token"]}).status_code
    return 200 if status == 303 else int(status)


DOORS = pytest.mark.parametrize("door", [by_service, by_api, by_page])
Way = Callable[..., int]


@DOORS
@pytest.mark.parametrize("kind", ["es256", "eddsa", "rs256"])
def test_a_person_signs_with_a_key_of_their_own(door: Way, kind: str, handoff: Handoff, place: building.Place) -> None:
    own, key = registered(place.vera, kind)
    told = {**APPROVE, "seen": seen_of(handoff)}
    assert door(handoff, place.vera, own, told, told) == 200
    signoff = SignOff.objects.get()
    assert signoff.reauthentication.method == "personal key"
    assert (verify().signatures, verify().keys, verify().wrong) == (1, 2, [])
    page = client_of(place.otto).get(reverse("handoff-signoff", args=[handoff.pk, signoff.pk])).content.decode()
    for words in ("Verified with the key", "confirmed by personal key", key.pk):
        assert words in page


OTHERWISE = {
    "another decision": {"decision": "changes"},
    "another comment": {"comment": "I have not read it."},
    "conditions that were not asked about": {
        "decision": "conditional",
        "conditions": [{"text": "Mend it", "due": timezone.localdate().isoformat(), "owner": "otto"}],
    },
}


@DOORS
@pytest.mark.parametrize("case", OTHERWISE)
def test_a_key_that_was_asked_one_thing_signs_no_other(
    case: str, door: Way, handoff: Handoff, place: building.Place
) -> None:
    own, _ = registered(place.vera)
    asked = {**APPROVE, "seen": seen_of(handoff)}
    sent = asked | OTHERWISE[case]
    if door is by_page and "conditions" in sent:
        row = dict(sent.pop("conditions")[0])  # type: ignore[call-overload]
        sent |= {f"condition_{name}": value for name, value in row.items()}
    before = counts()
    assert door(handoff, place.vera, own, asked, sent) == 403
    assert counts() == before
    assert not Reauthentication.objects.filter(used_at__isnull=False).exists(), "it is good for what was asked"


def test_what_one_handoff_s_question_confirmed_signs_no_other_handoff_and_no_amendment(place: building.Place) -> None:
    amending.streamed(place)
    deployment = amending.live(place)
    amendment = amending.proposed(deployment, place.otto)
    own, _ = registered(place.iris)
    sheet = amendment_sheet(place.iris, amendment.pk)
    told = {"requirement": "integration-owner", "decision": "approve", "meaning": "approval", "seen": sheet.seen}
    actor = by(place.iris)

    def confirmed(decision: str) -> str:
        question = signing_by_key.ask_about_amendment(
            actor, amendment.pk, origin=ORIGIN, **{**told, "decision": decision}
        )
        answer = own.signed(question.options)
        return str(reauthentications.confirm_by_key(actor=actor, origin=ORIGIN, token=question.token, answer=answer).pk)

    with pytest.raises(Refused, match="confirmed something else") as refused:
        amendments.sign(actor=actor, amendment_id=amendment.pk, reauthentication=confirmed("refuse"), **told)
    assert refused.value.code == "key_signed_otherwise"
    assert not AmendmentSignOff.objects.exists()
    amendments.sign(actor=actor, amendment_id=amendment.pk, reauthentication=confirmed("approve"), **told)
    assert AmendmentSignOff.objects.get().reauthentication.method == "personal key"
    assert verify().wrong == []


def copied(own: Token, place: building.Place) -> Token:
    """Return a token that has the same name, and another key."""
    return own.but(private=token().private)


WRONG: dict[str, tuple[Callable[[Token, building.Place], Token], str]] = {
    "another key under its name": (copied, "signature does not hold"),
    "somebody else's key": (lambda own, place: registered(place.rita)[0], "no key of yours"),
    "nobody there": (lambda own, place: own.but(flags=4), "did not verify"),
    "nobody verified": (lambda own, place: own.but(flags=1), "did not verify"),
    "the browser on another site": (
        lambda own, place: own.but(origin="https://x.evil.example"),
        "another site",
    ),
    "the key asked by another site": (lambda own, place: own.but(site="evil.example"), "another site"),
    "counted backwards": (lambda own, place: own.but(counter=3), "counts backwards"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_answer_that_proves_nothing_confirms_nothing(case: str, handoff: Handoff, place: building.Place) -> None:
    own, key = registered(place.vera)
    PersonalKey.objects.filter(pk=key.pk).update(counter=7 if case == "counted backwards" else 0)
    change, words = WRONG[case]
    odd = change(own, place)
    told = {**APPROVE, "seen": seen_of(handoff)}
    before = counts()
    for door in (by_service, by_api, by_page):
        assert door(handoff, place.vera, odd, told, told) == 403
    assert counts() == before
    assert not Reauthentication.objects.exists()
    actor, question = by(place.vera), signing_by_key.ask(by(place.vera), handoff.pk, origin=ORIGIN, **told)
    with pytest.raises(Refused, match=words) as refused:
        reauthentications.confirm_by_key(
            actor=actor, origin=ORIGIN, token=question.token, answer=odd.signed(question.options)
        )
    assert refused.value.code == "key_not_confirmed"
    failures = AuditEvent.objects.filter(action="account.confirmation_failed", chain=f"account:{place.vera.pk}")
    assert failures.count() == 4
    with pytest.raises(Refused):
        reauthentications.confirm_by_key(actor=actor, origin=ORIGIN, token=question.token, answer={})
    with pytest.raises(Refused) as locked:
        reauthentications.confirm_by_key(
            actor=actor, origin=ORIGIN, token=question.token, answer=own.signed(question.options)
        )
    assert locked.value.code == "signing_locked"


def test_a_question_is_answered_once_in_time_and_by_whom_it_was_put_to(
    handoff: Handoff, place: building.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, key = registered(place.vera)
    told = {**APPROVE, "seen": seen_of(handoff)}
    question = signing_by_key.ask(by(place.vera), handoff.pk, origin=ORIGIN, **told)
    answer = {"origin": ORIGIN, "token": question.token, "answer": own.signed(question.options)}
    with pytest.raises(Refused) as other:
        reauthentications.confirm_by_key(actor=by(place.otto), **answer)
    assert other.value.code == "key_too_late"
    reauthentications.confirm_by_key(actor=by(place.vera), **answer)
    with pytest.raises(Refused) as again:
        reauthentications.confirm_by_key(actor=by(place.vera), **answer)
    assert again.value.code == "key_answered"
    with pytest.raises(Refused) as forged:
        reauthentications.confirm_by_key(actor=by(place.vera), **answer | {"token": question.token + "x"})
    assert forged.value.code == "key_too_late"
    late = signing_by_key.ask(by(place.vera), handoff.pk, origin=ORIGIN, **told)
    monkeypatch.setattr(signing_by_key, "GOOD_FOR", -1)
    with pytest.raises(Refused) as slow:
        reauthentications.confirm_by_key(actor=by(place.vera), **answer | {"token": late.token})
    assert slow.value.code == "key_too_late"
    monkeypatch.undo()
    personal_keys.retire(actor=by(place.vera), key_id=key.pk, reason="lost")
    with pytest.raises(Refused) as retired:
        signing_by_key.ask(by(place.vera), handoff.pk, origin=ORIGIN, **told)
    assert retired.value.code == "no_personal_key"
    assert Reauthentication.objects.count() == 1


def test_a_stranger_and_a_stale_sheet_get_no_question(handoff: Handoff, place: building.Place) -> None:
    registered(place.vera)
    told = {**APPROVE, "seen": "0" * 64}
    for who, status in ((place.mallory, 404), (place.vera, 409)):
        body, about = {name: value for name, value in told.items() if name != "requirement"}, [handoff.pk, "validation"]
        assert api(who).post(reverse("api:handoff-sheet-key", args=about), body).status_code == status
        page = client_of(who).post(reverse("handoff-sign-key", args=about), body)
        assert (page.status_code, page["Content-Type"]) == (status, "application/json")


def test_a_key_is_registered_with_the_password_over_page_and_api(place: building.Place) -> None:
    one, two = token(), token("eddsa")
    question = api(place.vera).post(reverse("api:personal-key-question")).json()
    body = {"name": "Laptop", "token": question["token"], **one.made(question["options"])}
    url = reverse("api:personal-keys")
    assert api(place.vera).post(url, body | {"password": "no"}).status_code == 403
    assert not PersonalKey.objects.exists()
    assert api(place.vera).post(url, body | {"password": PASSWORD}).status_code == 201
    asked = client_of(place.vera).post(reverse("personal-key-new")).json()
    assert [row["type"] for row in asked["options"]["excludeCredentials"]] == ["public-key"]
    form = {f"key_{name}": value for name, value in two.made(asked["options"]).items()}
    form |= {"name": "Phone", "key_token": asked["token"], "password": PASSWORD}
    assert client_of(place.vera).post(reverse("personal-key-register"), form | {"password": "no"}).status_code == 403
    assert client_of(place.vera).post(reverse("personal-key-register"), form).status_code == 303
    told = api(place.vera).get(url).json()["results"]
    assert [(row["name"], row["site"]) for row in told] == [("Phone", "testserver"), ("Laptop", "testserver")]
    assert api(place.otto).get(url).json()["results"] == []
    assert b"Laptop" in client_of(place.vera).get(reverse("personal-keys")).content
    assert b"Laptop" not in client_of(place.otto).get(reverse("personal-keys")).content


def _robot(place: building.Place) -> Account:
    return Account.objects.create(username="robot", kind="service", responsible=place.dana)


ODD: dict[str, tuple[Callable[[building.Place, dict[str, Any]], object], str]] = {
    "no name": (lambda place, told: told.update(name=" "), "invalid"),
    "a name that is taken": (lambda place, told: told.update(name="First"), "invalid"),
    "somebody else's question": (lambda place, told: told.update(actor=by(place.otto)), "key_too_late"),
    "a forged question": (lambda place, told: told.update(token="x"), "key_too_late"),
    "no answer": (lambda place, told: told.update(answer={}), "key_unreadable"),
    "nonsense": (lambda place, told: told["answer"].update(attestation="AAAA"), "key_unreadable"),
    "another site": (lambda place, told: told.update(origin="https://evil.example"), "key_unreadable"),
    "a site by number": (lambda place, told: told.update(origin="http://127.0.0.1:8000"), "site_without_a_name"),
    "a site without a name": (lambda place, told: told.update(origin="https://"), "site_without_a_name"),
    "no natural person": (lambda place, told: told.update(actor=by(_robot(place))), "person_required"),
}


@pytest.mark.parametrize("case", ODD)
def test_what_is_no_key_of_the_person_is_not_registered(case: str, place: building.Place) -> None:
    registered(place.vera, name="First")
    question = personal_keys.ask_for_new(place.vera, ORIGIN)
    told: dict[str, Any] = {
        "actor": by(place.vera), "name": "Second", "origin": ORIGIN, "token": question.token,
        "answer": token().made(question.options),
    }  # fmt: skip
    change, code = ODD[case]
    change(place, told)
    with pytest.raises(Refused) as refused:
        personal_keys.register(**told)
    assert refused.value.code == code
    assert PersonalKey.objects.count() == 1


def test_the_same_key_is_registered_once(place: building.Place) -> None:
    own, _ = registered(place.vera)
    for who, name in ((place.vera, "Again"), (place.rita, "Mine")):
        question = personal_keys.ask_for_new(who, ORIGIN)
        with pytest.raises(Refused) as refused:
            personal_keys.register(
                actor=by(who), name=name, origin=ORIGIN, token=question.token, answer=own.made(question.options)
            )
        assert refused.value.code == "key_known"


def test_a_key_is_retired_by_its_holder_or_an_administrator_and_what_it_signed_holds(
    handoff: Handoff, place: building.Place
) -> None:
    own, key = registered(place.vera)
    told = {**APPROVE, "seen": seen_of(handoff)}
    assert by_service(handoff, place.vera, own, told, told) == 200
    for client, url in (
        (client_of(place.otto), reverse("personal-key-retire", args=[key.pk])),
        (api(place.otto), reverse("api:personal-key-retire", args=[key.pk])),
    ):
        assert client.post(url, {"reason": "I take it"}).status_code == 404
    assert client_of(place.vera).post(reverse("personal-key-retire", args=[key.pk]), {"reason": ""}).status_code == 422
    ada = building.person("ada")
    Account.objects.filter(pk=ada.pk).update(is_staff=True, is_superuser=True)
    changelist = reverse("admin:audit_personalkey_changelist")
    act = {"action": "retire", "_selected_action": [key.pk], "confirmed": "1", "reason": "A lost token."}
    client_of(ada).post(changelist, act)
    key.refresh_from_db()
    assert key.retired_because == "A lost token."
    assert AuditEvent.objects.filter(action="personal_key.retired", actor=ada).exists()
    assert api(place.vera).post(reverse("api:personal-key-retire", args=[key.pk]), {"reason": "x"}).status_code == 409
    assert verify().wrong == []


@pytest.mark.parametrize(
    "change",
    [
        {"public_key": b"x"}, {"account_id": 1}, {"site": "evil.example"}, {"credential": b"x"}, {"counter": -1},
        {"retired_at": None, "retired_because": ""}, {"name": "x"},
    ],
)  # fmt: skip
def test_the_database_keeps_the_record_of_a_key(change: dict[str, Any], place: building.Place) -> None:
    _, key = registered(place.vera)
    if "retired_at" in change:
        personal_keys.retire(actor=by(place.vera), key_id=key.pk, reason="lost")
    before = PersonalKey.objects.values().get()
    with pytest.raises(DatabaseError), transaction.atomic():
        PersonalKey.objects.filter(pk=key.pk).update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        PersonalKey.objects.filter(pk=key.pk).delete()
    assert PersonalKey.objects.values().get() == before


FORGED = {
    "another key under its name": (
        "UPDATE audit_personalkey SET public_key = %s, id = encode(sha256(%s), 'hex')",
        {"personal key", "trail"},
    ),
    "given to somebody else": ("UPDATE audit_personalkey SET account_id = %s", {"personal key", "trail"}),
    "confirmed by password, as is said now": (
        "UPDATE handoff_reauthentication SET assertion = NULL, challenge = ''",
        {"personal key"},
    ),
}


@pytest.mark.parametrize("case", FORGED)
def test_whoever_changes_a_key_or_what_it_confirmed_is_found(
    case: str, handoff: Handoff, place: building.Place
) -> None:
    own, _ = registered(place.vera)
    told = {**APPROVE, "seen": seen_of(handoff)}
    by_service(handoff, place.vera, own, told, told)
    statement, rules = FORGED[case]
    other = token().private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    values = {2: [other, other], 1: [place.rita.pk], 0: []}[statement.count("%s")]
    as_owner(statement, values)
    assert {one.rule for one in verify().wrong} == rules


def test_signatures_of_amendments_are_proven_too(place: building.Place) -> None:
    amending.streamed(place)
    amendment = amending.proposed(amending.live(place), place.otto)
    amending.sign(amendment, place.iris)
    found = verify()
    assert (found.wrong, found.signatures) == ([], SignOff.objects.count() + 1)
    for statement, rule in (
        ("UPDATE handoff_amendmentsignoff SET comment = 'Other words.'", "columns"),
        ("UPDATE handoff_amendmentsignoff SET signature = 'AAAA' || substr(signature, 5)", "signature"),
        (
            "UPDATE handoff_amendmentsignoff SET statement = '{}', statement_digest = encode(sha256('{}'), 'hex')",
            "trail",
        ),
        ("DELETE FROM handoff_amendmentsignoff", "missing"),
    ):
        with transaction.atomic():
            as_owner(statement)
            assert rule in {one.rule for one in verify().wrong}, statement
            transaction.set_rollback(True)
    assert verify().wrong == []


def test_a_pack_proves_the_signer_s_own_key_without_the_site(
    handoff: Handoff, place: building.Place, tmp_path: Path
) -> None:
    for kind, who, gate in (("es256", place.vera, "review"), ("rs256", place.otto, "release")):
        own, _ = registered(who, kind)
        told = {**APPROVE, "seen": seen_of(handoff, gate)}
        if gate == "release":
            building.tested(handoff)
            handoff.refresh_from_db()
            told |= {"requirement": "release", "meaning": "approval", "seen": seen_of(handoff, gate)}
        assert by_service(handoff, who, own, told, told) == 200
        handoff.refresh_from_db()
    with packs.make(actor=by(place.dana), handoff_id=str(handoff.pk)).archive as archive:
        pack = archive.read()
    code, told_words = verified(pack, tmp_path)
    assert (code, told_words.count("the signer's own key signed that")) == (0, 2), told_words
