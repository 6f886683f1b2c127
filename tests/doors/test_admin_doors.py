"""Every page, form and act of the admin, asked by everybody, against the table that a reviewer can read."""

from typing import Any

import pytest

from tests.doors import tables
from tests.doors.asking import Asking, Told
from tests.doors.listing import Door, admin_doors
from tests.doors.standing import IN_ADMIN

pytestmark = pytest.mark.django_db
TABLE = "admin.csv"
Swept = dict[Door, dict[str, Told]]


@pytest.fixture(scope="module")
def swept(asking: Asking) -> Swept:
    """Ask every door as everybody, once."""
    return {door: {who: asking.ask(who, door, asking.path(door)) for who in IN_ADMIN} for door in admin_doors()}


def test_every_door_answers_every_role_as_the_table_says(swept: Swept, writing: bool) -> None:
    told = {door.title: {who: one.word for who, one in answers.items()} for door, answers in swept.items()}
    if writing:
        tables.write(TABLE, told, IN_ADMIN)
    assert tables.differences(told, tables.read(TABLE)) == []


def test_nothing_breaks(swept: Swept) -> None:
    assert [door.title for door, told in swept.items() for one in told.values() if one.word.startswith("5")] == []


def test_whoever_is_refused_leaves_nothing_behind(swept: Swept) -> None:
    left: list[Any] = [
        (door.title, who, one.word, one.written)
        for door, told in swept.items()
        for who, one in told.items()
        if one.refused and one.written
    ]
    assert left == []


def test_only_staff_comes_in(swept: Swept) -> None:
    for door, told in swept.items():
        if not door.title.endswith(("/admin/login/", "/admin/logout/")):
            assert {told[who].word for who in IN_ADMIN[:3]} == {"login"}, door.title


def test_being_a_superuser_shows_no_handoff(swept: Swept, asking: Asking) -> None:
    hidden = [str(one.pk) for one in asking.site.handoffs.values()]
    hidden += [str(one.version.digest) for one in asking.site.handoffs.values()]
    assert [d.title for d, told in swept.items() for name in hidden if name in told["sam"].text] == []
