"""The name of somebody who has left goes for good, through every door, and all that they did stays provable."""

import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.apps import apps
from django.conf import settings as site_settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, models, transaction
from django.urls import reverse
from knox.models import AuthToken
from rest_framework.test import APIClient

from audit.models import Account, AuditEvent, PersonalKey, PrintedName, RequestKey
from audit.verification import verify as verify_audit
from handoff import queue
from handoff.errors import Refused
from handoff.models import FormerPerson, Handoff, SignOff
from handoff.queries.forgeries import forged_in
from handoff.queries.signatures import verify as verify_signatures
from handoff.services import jobs, leavers, promotion_tests, signoffs
from handoff.states import State
from models_registry.models import EnvironmentUserGrant, Stream
from models_registry.services import roles
from tests.handoff import amending, building, walking
from tests.handoff.authenticator import registered
from tests.handoff.building import Place
from tests.handoff.test_packs import made, verified
from tests.handoff.test_personal_keys import by_service
from tests.handoff.test_signoffs_doors import seen_of
from tests.handoff.walking import by, client_of
from tests.queries.counting import approve, deployed

pytestmark = pytest.mark.django_db
NAMES = ("Ottilius", "Vexwright", "otto-vex", "ottilius@example.org", "Ottilius's token")
WHY = "The years are over."
PAPER = site_settings.BASE_DIR / "docs/personal-data.md"


def called_otherwise(place: Place) -> Place:
    """Give Otto a name that stands nowhere else."""
    Account.objects.filter(pk=place.otto.pk).update(
        username="otto-vex", first_name="Ottilius", last_name="Vexwright", email="ottilius@example.org", title="IT"
    )
    place.otto.refresh_from_db()
    return place


@pytest.fixture
def place(store: Any) -> Place:
    """Return a site on which IT's Otto has a name that stands nowhere else."""
    place = called_otherwise(building.a_place())
    walking.a_site(place)
    place.target.owner = place.edda
    place.target.save(update_fields=["owner"])
    return place


@pytest.fixture
def handoff(place: Place) -> Handoff:
    """Return a live handoff that Otto signed by password and by a key of his own."""
    offered = walking.answered(place, walking.offered(place, building.a_version(place, 1)))
    approve(offered, place.vera, "validation")
    own, _ = registered(place.otto, "es256", "Ottilius's token")
    told = {"requirement": "acceptance", "decision": "approve", "meaning": "responsibility", "comment": "Taken over."}
    told |= {"seen": seen_of(offered)}
    assert by_service(offered, place.otto, own, told, told) == 200
    offered.refresh_from_db()
    found = building.tested(offered)
    approve(found, place.otto, "release")
    deployed(found)
    return found


def left(place: Place) -> None:
    """Let Otto leave, and everything of his be somebody else's."""
    Stream.objects.filter(owner=place.otto).update(owner=place.edda)
    for grant in EnvironmentUserGrant.objects.filter(user=place.otto):
        role = grant.permission.codename.removeprefix("hold_")
        roles.revoke(actor=by(place.ada), role=role, holder="otto-vex", environment=place.target.slug)
    place.otto.is_active = False
    place.otto.save(update_fields=["is_active"])


def by_the_service(place: Place, who: Account, **told: str) -> int:
    """Let the name go by the service."""
    try:
        leavers.pseudonymise(actor=by(who), **told)
    except Refused as refusal:
        return refusal.status
    return 200


def by_the_api(place: Place, who: Account, **told: str) -> int:
    """Let the name go over the API."""
    client = APIClient()
    client.force_authenticate(who)
    return int(client.post(reverse("api:accounts-pseudonymise"), told).status_code)


def by_the_admin(place: Place, who: Account, **told: str) -> int:
    """Let the name go by the admin's form."""
    answer = client_of(who).post(reverse("admin:handoff_formerperson_add"), told)
    return {302: 200, 200: 409}[answer.status_code] if who.is_staff else 403


def by_the_command(place: Place, who: Account, *, person: str, **told: str) -> int:
    """Let the name go from the command line."""
    try:
        call_command("pseudonymise", person, by=who.username, stdout=StringIO(), **told)
    except CommandError as error:
        return 403 if "administrator" in str(error) else 409
    return 200


DOORS = pytest.mark.parametrize("door", [by_the_service, by_the_api, by_the_admin, by_the_command])
TOLD = {"person": "otto-vex", "confirm": "otto-vex", "reason": WHY}


def holding(word: str) -> set[str]:
    """Return every column of ours in which a word stands."""
    found = set()
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            for field in model._meta.concrete_fields if not model._meta.proxy else ():
                if not isinstance(field, models.CharField | models.TextField | models.JSONField):
                    continue
                table, column = model._meta.db_table, field.column
                cursor.execute(f'SELECT count(*) FROM "{table}" WHERE "{column}"::text ILIKE %s', [f"%{word}%"])
                if cursor.fetchone()[0]:
                    found.add(f"{table}.{column}")
    return found


def listed(heading: str) -> set[str]:
    """Return the columns that the paper lists under a heading."""
    part = PAPER.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([a-z0-9_]+\.[a-z_]+)`", part, re.MULTILINE))


def pages(place: Place, handoff: Handoff, who: Account) -> str:
    """Return what the doors show of a handoff."""
    browser, api = client_of(who), APIClient()
    api.force_authenticate(who)
    signed = handoff.signoffs.get(requirement="acceptance")
    addresses = [reverse("handoff", args=[handoff.pk]), reverse("handoff-signoff", args=[handoff.pk, signed.pk])]
    addresses += [reverse("audit"), reverse("owners-of-record"), reverse("handoff-signers", args=[handoff.pk])]
    endpoints = [
        reverse("api:handoff-signoff", args=[handoff.pk, signed.pk]),
        reverse("api:events"),
        reverse("api:handoffs"),
    ]
    answers = [browser.get(one) for one in addresses] + [api.get(one) for one in endpoints]
    assert {one.status_code for one in answers} == {200}
    return "".join(one.content.decode() for one in answers)


def test_the_name_is_in_no_byte_that_is_hashed_or_signed(place: Place, handoff: Handoff) -> None:
    for word in NAMES:
        assert not holding(word) & {"audit_auditevent.body", "audit_auditevent.actor_label"}
        assert not [column for column in holding(word) if column.endswith((".statement", ".printed_name"))]
    assert holding("Vexwright") <= listed("What goes with the name")
    assert "Ottilius Vexwright" in pages(place, handoff, place.rita)
    assert SignOff.objects.get(requirement="acceptance").printed_name == "Ottilius Vexwright"


@DOORS
def test_everything_of_a_leaver_shows_a_pseudonym_and_stays_provable(
    door: Callable[..., int], place: Place, handoff: Handoff, tmp_path: Path
) -> None:
    before = made(handoff, place)
    left(place)
    assert door(place, place.ada, **TOLD) == 200
    gone = Account.objects.get(pk=place.otto.pk)
    assert re.fullmatch(r"Person [0-9a-f]{8} \(left\)", gone.printed_name)
    assert (gone.email, gone.title, gone.name_salt, gone.has_usable_password()) == ("", "", "", False)
    for word in NAMES:
        assert holding(word) == set(), word
    shown = pages(place, handoff, place.rita)
    assert gone.printed_name in shown
    assert not [word for word in NAMES if word in shown]
    signoff, *others = SignOff.objects.filter(signer=gone)
    assert {one.printed_name for one in (signoff, *others)} == {gone.printed_name}
    told = client_of(place.rita).get(f"/api/v1/handoffs/{handoff.pk}/signoffs/{signoff.pk}/").json()["names"]
    assert [(one["name"], one["salt"]) for one in told] == [(gone.printed_name, "")]
    assert verify_audit().whole
    assert verify_signatures().wrong == []
    code, words = verified(made(handoff, place), tmp_path)
    assert (code, gone.printed_name in words, "Vexwright" in words) == (0, True, False), words
    code, words = verified(before, tmp_path)
    assert (code, "Ottilius Vexwright" in words) == (0, True), "what left the building before keeps the name"
    event = AuditEvent.objects.get(action="account.pseudonymised")
    assert (event.told["reason"], event.told["data"]) == (WHY, {"accounts": 1, "events": 0, "signatures": 0})


def test_what_people_signed_of_an_owner_holds_marks_and_shows_names_until_they_go(place: Place) -> None:
    place.target.owner = place.otto
    place.target.save(update_fields=["owner"])
    handoff = walking.answered(place, walking.offered(place, building.a_version(place, 1)))
    approve(handoff, place.vera, "validation")
    approve(handoff, place.otto, "acceptance")
    handoff.refresh_from_db()
    kept = handoff.decisions.get(gate="review")
    assert "Ottilius Vexwright" in str(kept.facts)
    assert "Ottilius Vexwright" in str(kept.result)
    for table in ("handoff_handoff", "handoff_decision"):
        assert not [one for one in holding("Vexwright") if one.startswith(table)]
    assert forged_in(handoff) == []
    for page in shown_reports(place, handoff):
        assert "Ottilius Vexwright" in page
        assert place.otto.mark not in page
    place.target.owner = place.edda
    place.target.save(update_fields=["owner"])
    left(place)
    done = leavers.pseudonymise(actor=by(place.ada), **TOLD)
    assert holding("Vexwright") == set()
    for page in shown_reports(place, handoff):
        assert done.name in page
        assert "Vexwright" not in page
    handoff.refresh_from_db()
    assert forged_in(handoff) == []
    assert done.name in str(handoff.decisions.get(gate="review").result)


def shown_reports(place: Place, handoff: Handoff) -> list[str]:
    """Return what each door shows of the difference report of a handoff."""
    Account.objects.filter(pk=place.rita.pk).update(is_staff=True)
    browser, api = client_of(place.rita), APIClient()
    api.force_authenticate(place.rita)
    paths = [
        reverse(name, args=[handoff.pk]) for name in ("handoff", "handoff-differences", "handoff-differences-print")
    ]
    answers = [browser.get(path) for path in paths]
    answers += [api.get(f"/api/v1/handoffs/{handoff.pk}/{end}/") for end in ("differences", "decisions")]
    answers += [browser.get(reverse("admin:handoff_handoff_change", args=[handoff.pk]))]
    assert {one.request["PATH_INFO"]: one.status_code for one in answers if one.status_code != 200} == {}
    whole = api.get(f"/api/v1/handoffs/{handoff.pk}/").json()  # its statements have marks, with the names beside them
    return [*(one.content.decode() for one in answers), str(whole["report"])]


def test_what_workers_find_and_refuse_is_told_without_a_name(place: Place, handoff: Handoff) -> None:
    signed = handoff.signoffs.get(requirement="acceptance")
    signoffs.revoke(actor=by(place.otto), handoff_id=str(handoff.pk), signoff_id=str(signed.pk), reason="A mistake.")
    finding = handoff.findings.get(closed_at=None)
    assert list(finding.items.values()) == ["The approval as IT operations at the review gate was revoked: A mistake."]
    second = walking.answered(place, walking.offered(place, building.a_version(place, 2)))
    approve(second, place.vera, "validation")
    approve(second, place.otto, "acceptance")
    roles.revoke(actor=by(place.ada), role="it_operations", holder="otto-vex", environment=place.target.slug)
    job = jobs.claim(second.jobs.earliest("queued_at").pk, "worker", task=queue.RUN_TEST)
    assert job is not None
    assert promotion_tests.begin(job.pk, job.fence) is None
    second.refresh_from_db()
    assert second.state == State.RETURNED
    for word in NAMES:
        assert not [one for one in holding(word) if one.startswith(("handoff_", "audit_auditevent"))]


def test_an_amendment_names_the_owners_of_consumers_by_marks(store: Any) -> None:
    place = called_otherwise(amending.streamed(building.a_place()))
    deployment = amending.live(place)
    change = {"act": "change", "stream": "scores", "consumer": "Ward board", "values": {"owner": "edda"}}
    amendment = amending.proposed(deployment, place.iris, consumers=[change])
    amending.sign(amendment, place.iris)
    amending.work(amendment)
    api = APIClient()
    api.force_authenticate(place.rita)
    ways = (client_of(place.rita).get(f"/amendments/{amendment.pk}/"), api.get(f"/api/v1/amendments/{amendment.pk}/"))
    assert all("Ottilius Vexwright" in one.content.decode() for one in ways)
    for word in NAMES:
        assert not [one for one in holding(word) if one.startswith(("handoff_", "audit_auditevent"))]


REFUSED: dict[str, tuple[str, dict[str, str], int]] = {
    "no administrator": ("vera", {}, 403),
    "written otherwise": ("ada", {"confirm": "otto"}, 422),
    "nobody": ("ada", {"person": "nobody", "confirm": "nobody"}, 422),
    "named in the reason": ("ada", {"reason": "Mr vexwright asked for it."}, 422),
    "no reason": ("ada", {"reason": " "}, 422),
    "not left": ("ada", {"person": "vera", "confirm": "vera"}, 409),
    "oneself": ("ada", {"person": "ada", "confirm": "ada"}, 409),
}


@DOORS
@pytest.mark.parametrize("case", REFUSED)
def test_a_name_is_not_let_go_lightly(door: Callable[..., int], case: str, place: Place) -> None:
    left(place)
    who, told, status = REFUSED[case]
    count = AuditEvent.objects.count()
    expected = status if door in (by_the_service, by_the_api) or status == 403 else 409
    got = door(place, place.people[who], **{**TOLD, **told})
    assert got in (expected, 400 if case == "no reason" else expected)
    assert Account.objects.get(pk=place.otto.pk).printed_name == "Ottilius Vexwright"
    assert (AuditEvent.objects.count(), FormerPerson.objects.exclude(pseudonymised_at=None).count()) == (count, 0)


def test_who_still_answers_for_something_keeps_their_name(place: Place) -> None:
    place.target.owner = place.otto
    place.target.save(update_fields=["owner"])
    place.otto.is_active = False
    place.otto.save(update_fields=["is_active"])
    with pytest.raises(Refused) as refused:
        leavers.pseudonymise(actor=by(place.ada), **TOLD)
    assert refused.value.code == "still_answers"
    assert "the environment production" in refused.value.message
    assert PrintedName.objects.filter(account=place.otto).exclude(salt="").exists()


def test_a_second_time_is_refused_and_all_accounts_of_a_person_go_together(place: Place) -> None:
    other = Account.objects.create(username="otto-vex2", first_name="Ottilius", same_person=place.otto, is_active=False)
    left(place)
    done = leavers.pseudonymise(actor=by(place.ada), **TOLD)
    other.refresh_from_db()
    assert (other.printed_name, other.username) == (done.name, f"{done.account}-2")
    with pytest.raises(Refused) as refused:
        leavers.pseudonymise(actor=by(place.ada), person=done.account, confirm=done.account, reason=WHY)
    assert refused.value.code == "pseudonymised_already"


def test_a_dry_run_says_what_it_would_do_and_does_nothing(place: Place) -> None:
    left(place)
    out = StringIO()
    call_command("pseudonymise", "otto-vex", by="ada", dry_run=True, stdout=out)
    assert "1 accounts would lose" in out.getvalue()
    assert Account.objects.filter(username="otto-vex", pseudonymised_at=None).exists()


ATTACKS: dict[str, tuple[type[models.Model], dict[str, Any]]] = {
    "another name": (PrintedName, {"name": "Mallory"}),
    "no salt": (PrintedName, {"salt": ""}),
    "a pseudonym that is not theirs": (PrintedName, {"salt": "", "name": "Person 00000000 (left)"}),
    "another person's": (PrintedName, {"account": 1}),
    "a key's label": (PersonalKey, {"name": "another"}),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_names_are_never_edited(attack: str, place: Place) -> None:
    registered(place.otto)
    table, change = ATTACKS[attack]
    before = list(PrintedName.objects.values_list().order_by("pk"))
    with pytest.raises(DatabaseError), transaction.atomic():
        table._default_manager.update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        PrintedName.objects.all().delete()
    assert list(PrintedName.objects.values_list().order_by("pk")) == before


@pytest.mark.parametrize(
    "change", [{"is_active": True}, {"first_name": "Otto"}, {"username": "otto"}, {"email": "a@b.c"}]
)
def test_nothing_brings_a_name_back(change: dict[str, Any], place: Place) -> None:
    left(place)
    leavers.pseudonymise(actor=by(place.ada), **TOLD)
    with pytest.raises(DatabaseError), transaction.atomic():
        Account.objects.filter(pk=place.otto.pk).update(**change)


def test_an_event_with_a_name_in_it_is_refused_by_the_database(place: Place) -> None:
    with pytest.raises(DatabaseError, match="names a person by a mark"), transaction.atomic():
        AuditEvent.objects.create(
            chain="site", action="answer.given", actor_kind="person", actor=place.otto, actor_label="Ottilius",
            subject="site", body="{}", previous=b"", hash=b"", at="2026-01-01T00:00:00Z",
        )  # fmt: skip


def test_a_name_of_before_a_renaming_stays_with_what_was_signed_under_it(place: Place, handoff: Handoff) -> None:
    Account.objects.filter(pk=place.otto.pk).update(last_name="Married")
    assert SignOff.objects.get(requirement="acceptance").printed_name == "Ottilius Vexwright"
    assert verify_signatures().wrong == []
    Account.objects.filter(pk=place.otto.pk).update(is_active=False)
    names = set(PrintedName.objects.filter(account=place.otto).values_list("name", flat=True))
    assert names == {"Ottilius Vexwright", "Ottilius Married"} | (names & {"Otto", "otto", "otto-vex"})


def test_what_was_written_before_there_were_marks_shows_the_pseudonym_and_is_counted(place: Place) -> None:
    """An event of an earlier release has the name in its bytes, which nothing changes."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE audit_auditevent DISABLE TRIGGER USER")
        cursor.execute(
            "INSERT INTO audit_auditevent (chain, seq, at, action, actor_kind, actor_id, actor_label, subject, body,"
            " previous, hash) VALUES ('old', 1, now(), 'answer.given', 'person', %s, 'Ottilius Vexwright', 'x',"
            """ '{"data":{},"reason":""}', '', '')""",
            [place.otto.pk],
        )
        cursor.execute("ALTER TABLE audit_auditevent ENABLE TRIGGER USER")
    left(place)
    done = leavers.pseudonymise(actor=by(place.ada), **TOLD)
    assert (done.traces.events, AuditEvent.objects.get(chain="old").actor_label) == (1, done.name)
    page = client_of(place.ada).get(reverse("admin:handoff_formerperson_change", args=[place.otto.pk]))
    assert "1 events and 0 signatures" in page.content.decode()


def refused(act: Callable[..., Any], **told: Any) -> tuple[str, str, str, dict[str, Any]]:
    """Return the code, the words, what to do and the fields of a refusal."""
    with pytest.raises(Refused) as refusal:
        act(**told)
    one = refusal.value
    return one.code, one.message, one.todo, one.fields


def test_each_refusal_says_what_to_do(place: Place) -> None:
    told = {"actor": by(place.ada), **TOLD}
    assert refused(leavers.pseudonymise, **told) == (
        "not_left", "They have not left.", "Make each of their accounts inactive first, in the admin.", {},
    )  # fmt: skip
    left(place)
    count = AuditEvent.objects.count()
    nobody = {"person": "is not a person's account"}
    robot = Account.objects.create(username="robot", kind="service", responsible=place.edda, is_active=False)
    why = {"reason": "must be 1 to 2000 characters"}
    named = {"reason": "has a part of the name in it"}
    for more, expected in (
        ({"actor": by(place.vera)}, ("administrator_required", "Only an administrator lets a name go.", "", {})),
        ({"person": robot.username}, ("invalid", "There is no such person.", "", nobody)),
        ({"confirm": "otto"}, ("invalid", "Write the user name once more: nothing brings the name back.", "",
                               {"confirm": "is not the user name of who has left"})),
        ({"reason": "x" * 2001}, ("invalid", "Say why.", "", why)),
        ({"reason": " "}, ("invalid", "Say why.", "", why)),
        ({"reason": "Ottilius asked."}, ("invalid", "The reason stays for ever, so it must not name them.", "", named)),
        ({"reason": "OTTO-VEX asked."}, ("invalid", "The reason stays for ever, so it must not name them.", "", named)),
        ({"reason": "ottilius@example.org"},
         ("invalid", "The reason stays for ever, so it must not name them.", "", named)),
    ):  # fmt: skip
        assert refused(leavers.pseudonymise, **(told | more)) == expected
    Account.objects.filter(pk=place.ada.pk).update(is_active=False)
    assert refused(leavers.pseudonymise, **(told | {"person": "ada", "confirm": "ada"}))[:3] == (
        "self_grant", "Nobody lets their own name go.", "Ask another administrator.",
    )  # fmt: skip
    assert AuditEvent.objects.count() == count


def test_a_short_part_of_a_name_may_stand_in_a_reason_and_so_may_a_long_one(place: Place) -> None:
    Account.objects.filter(pk=place.otto.pk).update(first_name="Al", last_name="Bo", email="")
    left(place)
    reason = f"All is over, about this. {'x' * 1975}"
    done = leavers.pseudonymise(actor=by(place.ada), **(TOLD | {"reason": f" {reason} "}))
    event = AuditEvent.objects.get(action="account.pseudonymised")
    assert (event.chain, event.subject) == (f"account:{place.otto.pk}",) * 2
    assert event.told["reason"] == reason
    gone = Account.objects.get(pk=place.otto.pk)
    assert (done.account, done.name) == (gone.username, gone.printed_name)


def test_more_than_five_duties_are_counted(place: Place) -> None:
    streams = [f"stream-{n}" for n in range(6)]
    for slug in streams:
        Stream.objects.create(
            environment=place.target, slug=slug, direction="sink", owner=place.otto, digest="0" * 64,
            descriptor={"transport": "discard"},
        )  # fmt: skip
    for grant in EnvironmentUserGrant.objects.filter(user=place.otto):
        role = grant.permission.codename.removeprefix("hold_")
        roles.revoke(actor=by(place.ada), role=role, holder="otto-vex", environment=place.target.slug)
    Account.objects.filter(pk=place.otto.pk).update(is_active=False)
    told = {"actor": by(place.ada), **TOLD}
    words = ", ".join(f"the stream {slug}" for slug in streams[:5])
    assert refused(leavers.pseudonymise, **told)[:3] == (
        "still_answers", f"They still answer for {words} and 1 more.", "Give each to somebody else, or end it.",
    )  # fmt: skip
    Stream.objects.filter(slug="stream-5").update(retired_at="2026-01-01T00:00Z")
    assert refused(leavers.pseudonymise, **told)[1] == f"They still answer for {words}."


def test_only_who_left_is_emptied_and_all_that_let_them_in_goes(place: Place) -> None:
    """Somebody else has one of everything, too, and keeps it."""
    group = Group.objects.create(name="Operators")
    for who in (place.otto, place.vera):
        who.groups.add(group)
        who.user_permissions.add(Permission.objects.earliest("pk"))
        registered(who, "es256", f"{who.username}'s token")
        registered(who, "es256", "an old one")
        old = PersonalKey.objects.get(account=who, name="an old one")
        PersonalKey.objects.filter(pk=old.pk).update(retired_at="2026-11-01T00:00Z", retired_because="it was lost")
        AuthToken.objects.create(user=who)
        Authenticator.objects.create(user=who, type="totp", data={})
        EmailAddress.objects.create(user=who, email=f"{who.username}@example.org")
        AccessAttempt.objects.create(username=who.username, failures_since_start=1)
        AccessLog.objects.create(username=who.username)
        AccessFailureLog.objects.create(username=who.username)
        RequestKey.objects.create(account=who, key="one", fingerprint="0" * 64, status=201, answer={})
        LogEntry.objects.create(user=place.ada, object_repr=f"role of {who.username}", action_flag=1, object_id="9")
    Account.objects.filter(pk=place.otto.pk).update(is_staff=True, is_superuser=True, last_login="2026-01-01T00:00Z")
    left(place)
    leavers.pseudonymise(actor=by(place.ada), **TOLD)
    gone = Account.objects.get(pk=place.otto.pk)
    assert (gone.is_staff, gone.is_superuser, gone.last_login) == (False, False, None)

    def kept(who: Account) -> list[int]:
        of = [
            who.groups, who.user_permissions, AuthToken.objects.filter(user=who),
            Authenticator.objects.filter(user=who), EmailAddress.objects.filter(user=who),
            RequestKey.objects.filter(account=who),
            *(log.objects.filter(username=who.username) for log in (AccessAttempt, AccessLog, AccessFailureLog)),
            LogEntry.objects.filter(object_repr=f"role of {who.username}"),
        ]  # fmt: skip
        return [one.count() for one in of]

    assert kept(place.otto) == [0] * 10
    assert kept(place.vera) == [1] * 10
    keys = PersonalKey.objects.filter(account=gone)
    assert set(keys.values_list("retired_because", flat=True)) == {"it was lost", "its holder has left"}
    assert set(PersonalKey.objects.filter(account=place.vera, retired_at=None).values_list("name", flat=True)) == {
        "vera's token"
    }
    assert AuditEvent.objects.filter(action="personal_key.retired").count() == 1
    assert PrintedName.objects.filter(account=place.vera).exclude(salt="").exists()
    assert LogEntry.objects.filter(object_repr=gone.printed_name).exists()
