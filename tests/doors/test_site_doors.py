"""Every page and every operation of the API, asked by everybody, against the table that a reviewer can read."""

import json
import re
from collections.abc import Iterator

import pytest
import yaml
from django.conf import settings

from tests.doors import tables
from tests.doors.asking import Asking, Told
from tests.doors.listing import API, METHODS, Door, site_doors
from tests.doors.standing import ROLES

pytestmark = pytest.mark.django_db
TABLE = "site.csv"
STRANGERS = ("mallory", "nina")  # who holds nothing, and who holds everything elsewhere
# Where nothing but being signed in counts: asked as the first two.
ONCE_IN = ("/account/", f"{API}schema/", f"{API}docs/", "/healthz/", "/.well-known/")
# What everybody may read: the rules that people work under, the public keys, and who one is.
FOR_ALL = {
    "api:policies", "api:policy-schema", "api:checklist-templates", "api:organisations", "api:me", "api:keys",
    "api:duties", "api:raci", "api:changes", "api:lead-times", "api:reconciliation-table", "api:schema", "api:docs",
}  # fmt: skip
BYTES = ("api:version-manifest", "api:changes", "api:reconciliation-table")  # hashed as they are, whoever asks
SILENT = {  # what is nothing yet: the act that uses it is told
    ("POST   /api/v1/reauthentications/", "handoff_reauthentication"),
    ("POST   /api/v1/handoffs/<handoff_id>/evidence/", "models_registry_blob"),
}
KEPT = {"handoff_reauthentication"}  # that somebody confirmed who they are, before they were told no


class Swept:
    """What everybody was told at every door, and what strangers were told of what is not there."""

    def __init__(self, asking: Asking) -> None:
        """Ask them all."""
        sam = asking.client("sam")
        self.doors = list(site_doors(lambda route: sam.generic("NONE", asking.path(Door("GET", route)))))
        self.told: dict[Door, dict[str, Told]] = {}
        self.hidden: list[tuple[str, str, Told, Told]] = []
        for door in self.doors:
            path = asking.path(door)
            if door.route.path.startswith(ONCE_IN):
                told = {who: asking.ask(who, door, path) for who in ROLES[:2]}
                self.told[door] = dict.fromkeys(ROLES, told["mallory"]) | told
                continue
            self.told[door] = {who: asking.ask(who, door, path) for who in ROLES}
            for who in STRANGERS:
                seen = who == "nina" and "environment" in door.route.parts  # she sees where others deploy to
                if door.route.parts and self.told[door][who].word == "404" and not seen:
                    self.hidden += self._compared(asking, door, who)

    def _compared(self, asking: Asking, door: Door, who: str) -> Iterator[tuple[str, str, Told, Told]]:
        """Ask for what is hidden and for what is not there, with what is wanted and without a word."""
        there, nowhere = asking.path(door), asking.path(door, real=False)
        for body in (None, {}) if door.method != "GET" else (None,):
            hidden, absent = (asking.ask(who, door, path, body).without(path) for path in (there, nowhere))
            yield door.title, who, hidden, absent


@pytest.fixture(scope="module")
def swept(asking: Asking) -> Swept:
    """Ask every door as everybody, once."""
    return Swept(asking)


def test_every_door_answers_every_role_as_the_table_says(swept: Swept, writing: bool) -> None:
    told = {door.title: {who: one.word for who, one in answers.items()} for door, answers in swept.told.items()}
    if writing:
        tables.write(TABLE, told, ROLES)
    assert tables.differences(told, tables.read(TABLE)) == []


def test_nothing_breaks(swept: Swept) -> None:
    assert [(door.title, who) for door, who, one in each(swept) if one.word.startswith("5")] == []


def test_whoever_is_refused_leaves_nothing_behind(swept: Swept) -> None:
    left = [(d.title, who, one.word, one.written) for d, who, one in each(swept) if one.refused and one.written]
    assert [one for one in left if not set(one[3]) <= KEPT] == []


def test_whatever_is_done_is_on_the_trail(swept: Swept) -> None:
    silent = {
        (door.title, *one.written)
        for door, _, one in each(swept)
        if one.word == "ok" and one.written and "audit_auditevent" not in one.written
    }
    assert silent == SILENT


def test_a_stranger_cannot_tell_what_is_there_from_what_is_not(swept: Swept) -> None:
    assert len(swept.hidden) > 200
    assert [one for one in swept.hidden if one[2] != one[3]] == []


def test_no_name_of_what_is_hidden_is_told_to_strangers(swept: Swept, asking: Asking) -> None:
    leaks = [(door.title, who, name) for door, who, one in each(swept) for name in leaked(asking, door, who, one)]
    assert leaks == []


def test_every_operation_that_is_described_is_a_door_and_every_door_described(swept: Swept) -> None:
    paths = yaml.safe_load((settings.BASE_DIR / "docs/openapi.yaml").read_text())["paths"]
    described = {
        (method.upper(), path.replace("{", "<").replace("}", ">"))
        for path, methods in paths.items()
        for method in methods
    }
    doors = {(door.method, door.route.path) for door in swept.doors if door.is_api}
    assert doors == described | {("GET", f"{API}docs/"), ("GET", f"{API}schema/")}


def test_a_method_that_is_not_a_door_is_not_allowed(swept: Swept, asking: Asking) -> None:
    doors = {(door.method, door.route.path) for door in swept.doors}
    for route in {door.route.path: door.route for door in swept.doors}.values():
        for method in METHODS:
            door = Door(method, route)
            if (method, route.path) not in doors and not route.path.startswith("/account/"):
                assert asking.ask("dana", door, asking.path(door), {}).word == "405", door.title


def test_who_is_signed_out_is_told_so_by_the_api(swept: Swept) -> None:
    for door, told in swept.told.items():
        if door.is_api and told["nobody"].word == "login":
            assert json.loads(told["nobody"].text)["code"] == "not_signed_in", door.title


def test_a_stranger_finds_every_list_empty(swept: Swept) -> None:
    for door, told in swept.told.items():
        listing = door.is_api and door.method == "GET" and not door.route.parts and door.route.name not in FOR_ALL
        if listing and told["mallory"].word == "ok":
            rows = json.loads(told["mallory"].text)
            assert (rows if isinstance(rows, list) else rows["results"]) == [], door.title


def test_everything_that_is_read_over_the_api_has_a_page_to_browse(swept: Swept, asking: Asking) -> None:
    for door, told in swept.told.items():
        readers = [who for who, one in told.items() if one.word == "ok" and who not in ("nobody", "robot")]
        if not door.is_api or door.method != "GET" or not readers or door.route.name in ("api:schema", "api:docs"):
            continue
        page = asking.client(readers[-1]).get(asking.path(door), HTTP_ACCEPT="text/html")
        assert page.status_code == 200, door.title
        if door.route.name not in BYTES:
            text = page.content.decode()
            data = text.count('<script type="application/json"')
            assert not re.search("<style| style=", text), door.title
            assert text.count("<script") == text.count("<script src=") + data, door.title


def each(swept: Swept) -> Iterator[tuple[Door, str, Told]]:
    """Give everything that was told."""
    for door, answers in swept.told.items():
        for who, one in answers.items():
            yield door, who, one


def leaked(asking: Asking, door: Door, who: str, told: Told) -> list[str]:
    """Return the names of what is hidden from somebody that they were told; what they said themselves is no news."""
    said = f"{asking.path(door)} {asking.body(door)}".lower()
    if door.route.path.startswith(ONCE_IN):
        return []  # the description of the API has examples
    found = set(re.findall(r"[\w-]+", told.text.lower()))
    return [name for name in hidden_from(asking, who) if name in found and name not in said]


def hidden_from(asking: Asking, who: str) -> list[str]:
    """Return names of the handoffs and people of one party that others must not read anywhere."""
    if who not in ("nobody", *STRANGERS, "sam"):
        return []
    handoffs = [str(one.pk) for one in asking.site.handoffs.values()]
    digests = [str(one.version.digest) for one in asking.site.handoffs.values()]
    model = [] if who == "sam" else ["tumours"]  # an administrator of the site keeps who holds which role on what
    people = ["vera", "dana", "edda", "rita"] if who in ("nobody", "mallory") else []
    return handoffs + digests + model + people
