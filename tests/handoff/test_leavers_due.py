"""Names of those who have left go by themselves where an installation says so: announced, and held if need be."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from audit.models import Account, AuditEvent, NameHold, NameNotice
from audit.verification import verify as verify_audit
from handoff import tasks
from handoff.errors import Refused
from handoff.queries.leavers import announced_to, leavers, to_announce
from handoff.rules.leavers import NameRules
from handoff.services.leavers import hold, lift, pseudonymise
from mdlc_site.condition import Part, parts
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import by, client_of

pytestmark = pytest.mark.django_db
WHY = "A lawsuit."
DAY = timedelta(days=1)


@pytest.fixture
def site(store: Any, settings: Any) -> Place:
    """Return a site that keeps names for a year, and from which Ottilius left eleven months ago."""
    settings.NAMES_GO_AFTER, settings.NAMES_NOTICE = 365 * DAY, 30 * DAY
    place = building.a_place()
    walking.a_site(place)
    gone = Account.objects.create(username="ottilius", first_name="Ottilius", last_name="Vexwright")
    Account.objects.filter(pk=gone.pk).update(is_active=False)
    left(340)
    return place


def left(days: int) -> None:
    """Let so many days pass since Ottilius left."""
    Account.objects.filter(username="ottilius").update(left_at=timezone.now() - days * DAY)


def told(goes_in: int) -> None:
    """Write the notice that was given of Ottilius, with a day that is so far away."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE audit_namenotice DISABLE TRIGGER USER")
        at = timezone.now()
        NameNotice.objects.update(told_at=at - 60 * DAY, goes_at=at + goes_in * DAY, left_at=ottilius().left_at)
        cursor.execute("ALTER TABLE audit_namenotice ENABLE TRIGGER USER")


def ottilius() -> Account:
    return Account.objects.get(last_name__contains="Vexwright")


def part_named(name: str) -> Part:
    return next(one for one in parts() if one.name == name)


def over() -> None:
    """Let the year and the days of notice pass."""
    tasks.let_names_go()
    left(370)
    told(-1)


def test_nothing_goes_by_itself_where_nobody_said_so(site: Place, settings: Any) -> None:
    settings.NAMES_GO_AFTER = timedelta()
    left(4000)
    count = AuditEvent.objects.count()
    tasks.let_names_go()
    assert (AuditEvent.objects.count(), NameNotice.objects.count()) == (count, 0)
    assert ottilius().pseudonymised_at is None
    assert "names of leavers" not in {one.name for one in parts()}


def test_administrators_are_told_before_once_and_nobody_else_is(site: Place) -> None:
    tasks.let_names_go()
    tasks.let_names_go()
    notice = NameNotice.objects.get()
    assert notice.goes_at - notice.told_at >= 30 * DAY - timedelta(seconds=5)
    event = AuditEvent.objects.get(action="account.name_announced")
    assert "Vexwright" not in event.body
    assert "Ottilius Vexwright" in client_of(site.ada).get(reverse("inbox")).content.decode()
    assert "Vexwright" not in client_of(site.otto).get(reverse("inbox")).content.decode()
    assert [one.account.pk for one in announced_to(site.ada)] == [ottilius().pk]
    assert ottilius().pseudonymised_at is None


def test_a_name_goes_when_the_time_and_the_notice_are_over(site: Place) -> None:
    over()
    tasks.let_names_go()
    gone = Account.objects.get(username__startswith="left-")
    event = AuditEvent.objects.get(action="account.pseudonymised")
    assert (event.actor_kind, event.actor_label, event.chain) == ("worker", "names", f"account:{gone.pk}")
    assert verify_audit().whole
    assert not leavers().filter(pk=gone.pk).exists()


@pytest.mark.parametrize(("days", "goes_in"), [(370, 1), (364, -1)])
def test_neither_the_time_nor_the_notice_alone_is_enough(days: int, goes_in: int, site: Place) -> None:
    tasks.let_names_go()
    left(days)
    told(goes_in)
    tasks.let_names_go()
    assert ottilius().pseudonymised_at is None


def test_who_came_back_is_told_of_anew_when_they_leave_again(site: Place) -> None:
    over()
    Account.objects.filter(username="ottilius").update(is_active=True)
    tasks.let_names_go()
    Account.objects.filter(username="ottilius").update(is_active=False)
    tasks.let_names_go()
    assert (ottilius().pseudonymised_at, NameNotice.objects.count()) == (None, 1)
    left(370)
    tasks.let_names_go()
    assert (ottilius().pseudonymised_at, NameNotice.objects.count()) == (None, 2)


def test_who_still_has_another_account_has_not_left(site: Place) -> None:
    other = Account.objects.create(username="vex2", same_person=ottilius())
    assert not to_announce().exists()
    Account.objects.filter(pk=other.pk).update(is_active=False)
    assert not to_announce().exists(), "they left when the last account was made inactive"
    assert leavers().get().gone_at == Account.objects.get(pk=other.pk).left_at


def test_who_still_answers_for_something_keeps_the_name_and_the_health_page_says_so(site: Place) -> None:
    over()
    told(-2)
    site.target.owner = ottilius()
    site.target.save(update_fields=["owner"])
    tasks.let_names_go()
    assert ottilius().pseudonymised_at is None
    part = part_named("names of leavers")
    assert (part.verdict, part.figures) == ("late", {"overdue": 1})
    shown = client_of(site.ada).get(reverse("admin:handoff_leaver_change", args=[ottilius().pk])).content.decode()
    assert "the environment production" in shown
    site.target.owner = site.edda
    site.target.save(update_fields=["owner"])
    tasks.let_names_go()
    assert part_named("names of leavers").verdict == "good"
    assert Account.objects.get(username__startswith="left-").pseudonymised_at


Door = Callable[[Place, Account, str], int]


def by_the_service(place: Place, who: Account, act: str) -> int:
    try:
        {"hold": hold, "lift": lift}[act](actor=by(who), person="ottilius", reason=WHY)
    except Refused as refusal:
        return refusal.status
    return 200


def by_the_api(place: Place, who: Account, act: str) -> int:
    client = APIClient()
    client.force_authenticate(who)
    answer = client.post(reverse(f"api:leaver-{act}"), {"person": "ottilius", "reason": WHY})
    return 200 if answer.status_code == 201 else int(answer.status_code)


def by_the_admin(place: Place, who: Account, act: str) -> int:
    count = AuditEvent.objects.count()
    data = {"action": act, "_selected_action": [ottilius().pk], "confirmed": "1", "reason": WHY}
    answer = client_of(who).post(reverse("admin:handoff_leaver_changelist"), data)
    done = AuditEvent.objects.count() > count
    return 200 if done else 403 if not who.is_staff else answer.status_code + 107  # it says so on the page: 302


@pytest.mark.parametrize("door", [by_the_service, by_the_api, by_the_admin])
def test_a_held_name_stays_until_that_is_lifted(door: Door, site: Place) -> None:
    over()
    assert door(site, site.vera, "hold") == 403
    assert door(site, site.ada, "lift") == 409
    assert not NameHold.objects.exists()
    assert door(site, site.ada, "hold") == 200
    assert door(site, site.ada, "hold") == 409
    tasks.let_names_go()
    with pytest.raises(Refused) as refused:
        pseudonymise(actor=by(site.ada), person="ottilius", confirm="ottilius", reason="Over.")
    assert refused.value.code == "name_held"
    assert ottilius().pseudonymised_at is None
    assert announced_to(site.ada) == []
    assert door(site, site.vera, "lift") == 403
    assert door(site, site.ada, "lift") == 200
    tasks.let_names_go()
    assert Account.objects.get(username__startswith="left-").pseudonymised_at
    assert [one.action for one in AuditEvent.objects.filter(chain__startswith="account:").order_by("pk")][-3:] == [
        "account.name_held", "account.name_released", "account.pseudonymised",
    ]  # fmt: skip


def test_a_reason_to_hold_names_nobody_and_who_is_here_is_not_held(site: Place) -> None:
    for person, reason, code in (
        ("ottilius", "Vexwright sued us.", "invalid"),
        ("vera", WHY, "not_left"),
        ("nobody", WHY, "invalid"),
        ("ottilius", " ", "invalid"),
    ):
        with pytest.raises(Refused) as refused:
            hold(actor=by(site.ada), person=person, reason=reason)
        assert refused.value.code == code
    assert not NameHold.objects.exists()


def test_the_list_of_leavers_is_for_administrators(site: Place) -> None:
    tasks.let_names_go()
    hold(actor=by(site.ada), person="ottilius", reason=WHY)
    client = APIClient()
    client.force_authenticate(site.ada)
    (row,) = client.get(reverse("api:leavers")).json()
    assert (row["account"], row["announced"], row["held"], row["held_by"]) == ("ottilius", True, WHY, "ada")
    assert row["goes_at"][:10] == NameNotice.objects.get().goes_at.date().isoformat()
    page = client_of(site.ada).get(reverse("admin:handoff_leaver_changelist")).content.decode()
    assert "but is held" in page
    client.force_authenticate(site.vera)
    assert client.get(reverse("api:leavers")).status_code == 404


def test_the_command_does_what_the_day_does(site: Place) -> None:
    out = StringIO()
    call_command("pseudonymise", due=True, dry_run=True, stdout=out)
    assert ("1 to announce, 0 due" in out.getvalue(), NameNotice.objects.count()) == (True, 0)
    call_command("pseudonymise", due=True, stdout=out)
    left(370)
    told(-1)
    call_command("pseudonymise", due=True, stdout=out)
    assert "0 to announce, 1 due" in out.getvalue()
    assert Account.objects.get(username__startswith="left-").pseudonymised_at
    with pytest.raises(CommandError, match="write --due"):
        call_command("pseudonymise", stdout=out)


def test_the_database_keeps_a_held_name_also_of_a_merged_account(site: Place) -> None:
    main = ottilius()
    other = Account.objects.create(username="vex2", same_person=main, is_active=False)
    hold(actor=by(site.ada), person="vex2", reason=WHY)
    emptied = {"first_name": "Person", "last_name": "00000000 (left)", "name_salt": "", "email": ""}
    for account in (main, other):
        with pytest.raises(IntegrityError, match="held does not go"), transaction.atomic():
            Account.objects.filter(pk=account.pk).update(pseudonymised_at=timezone.now(), **emptied)
    assert Account.objects.filter(pseudonymised_at=None, pk__in=[main.pk, other.pk]).count() == 2


@pytest.mark.parametrize("table", [NameHold, NameNotice])
@pytest.mark.parametrize("change", [{"account": 1}, {"reason": "another"}, {"lifted_at": "2026-01-01T00:00:00Z"}])
def test_notices_and_holds_are_not_edited(table: Any, change: dict[str, Any], site: Place) -> None:
    tasks.let_names_go()
    hold(actor=by(site.ada), person="ottilius", reason=WHY)
    before = list(table.objects.values_list())
    change = change if table is NameHold else {"goes_at": "2126-01-01T00:00:00Z"}
    with pytest.raises(DatabaseError), transaction.atomic():
        table.objects.update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        table.objects.all().delete()
    assert list(table.objects.values_list()) == before


@pytest.mark.parametrize(
    ("after", "announced", "expected"),
    [(0, None, None), (0, 9, None), (100, None, 100), (100, 130, 130), (100, 90, 100)],
)
def test_the_day_is_never_before_the_one_that_was_announced(
    after: int, announced: int | None, expected: int | None
) -> None:
    start = timezone.now()
    rules = NameRules(after * DAY, 30 * DAY)
    goes = rules.goes_at(start, start + announced * DAY if announced else None)
    assert goes == (start + expected * DAY if expected else None)
