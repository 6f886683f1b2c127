"""Streams: who declares, changes and retires them, by every door, and what a descriptor must not be."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.db import DatabaseError, transaction
from django.urls import reverse
from rest_framework.test import APIClient

from audit.actors import Person
from audit.errors import Refused
from audit.models import Account, AuditEvent
from engine.schemas import Schema
from models_registry.models import Stream
from models_registry.rules.streams import digest_of, fit
from models_registry.rules.strict_yaml import text_of
from models_registry.services import streams
from tests.handoff import artifacts, building
from tests.handoff.building import Place
from tests.handoff.walking import client_of

Door = Callable[..., int]
SOURCE = {
    "transport": "valkey",
    "encoding": "json",
    "location": {"url": "redis://broker.example:6379/0", "stream": "patients", "group": "tumours"},
    "secret": "BROKER_PASSWORD",
}
TABLE = {"transport": "sql", "location": {"url": "postgresql://db.example/scores", "table": "scores"}}
FORM = {"direction": "source", "purpose": "Patients as they arrive.", "owner": "otto"}


def by(who: str) -> Person:
    return Person(Account.objects.get(username=who), "test")


def counts() -> tuple[int, int]:
    """Return how many streams and events there are."""
    return Stream.objects.count(), AuditEvent.objects.exclude(chain__startswith="account:").count()


def declared(place: Place, slug: str = "patients", descriptor: Any = None, **more: Any) -> Stream:
    """Return a stream of the target that otto answers for."""
    values = {**FORM, "slug": slug, "descriptor": SOURCE if descriptor is None else descriptor, **more}
    return streams.declare(actor=by("otto"), environment="production", **values)


def by_service(who: str, act: str, values: dict[str, Any]) -> int:
    function = {"declare": streams.declare, "change": streams.change, "retire": streams.retire}[act]
    more = {} if act == "declare" else {"stream": "patients"}
    try:
        function(actor=by(who), environment="production", **values, **more)
    except Refused as refusal:
        return refusal.status
    return 200


def by_api(who: str, act: str, values: dict[str, Any]) -> int:
    client = APIClient()
    client.force_authenticate(Account.objects.get(username=who))
    one = "/api/v1/environments/production/streams/patients/"
    if act == "declare":
        answer = client.post("/api/v1/environments/production/streams/", values, format="json")
    elif act == "change":
        answer = client.patch(one, values, format="json", HTTP_IF_MATCH='"1"')
    else:
        answer = client.post(f"{one}retire/", values, format="json")
    return 200 if answer.status_code == 201 else int(answer.status_code)


def by_page(who: str, act: str, values: dict[str, Any]) -> int:
    client = client_of(Account.objects.get(username=who))
    one = "/environments/production/streams/patients/"
    where = {"declare": "/environments/production/streams/new/", "change": f"{one}change/", "retire": f"{one}retire/"}
    typed = {**values, "seen": 1}
    if act == "change":
        typed = {**FORM, "purpose": "", **typed}
    if "descriptor" in values or act == "change":
        typed["descriptor"] = text_of(values.get("descriptor", SOURCE))
    status = client.post(where[act], typed).status_code
    return 200 if status == 302 else int(status)


DOORS = pytest.mark.parametrize("door", [by_service, by_api, by_page])
PEOPLE = pytest.mark.parametrize(("who", "expected"), [("otto", 200), ("iris", 200), ("dana", 403), ("mallory", 404)])


@DOORS
@PEOPLE
def test_whoever_keeps_streams_declares_one(place: Place, door: Door, who: str, expected: int) -> None:
    assert door(who, "declare", {**FORM, "slug": "patients", "descriptor": SOURCE}) == expected
    assert counts() == ((1, 1) if expected == 200 else (0, 0))
    if expected == 200:
        made = Stream.objects.get()
        assert (made.descriptor, made.digest, made.owner.username) == (SOURCE, digest_of(SOURCE), "otto")
        event = orjson.loads(AuditEvent.objects.get().body)
        assert (event["action"], event["chain"]) == ("stream.declared", f"environment:{place.target.pk}")
        assert event["data"]["descriptor"] == SOURCE


@DOORS
@PEOPLE
def test_whoever_keeps_streams_changes_one(place: Place, door: Door, who: str, expected: int) -> None:
    before = declared(place, purpose="")
    other = {**SOURCE, "location": {**SOURCE["location"], "stream": "everybody"}}  # type: ignore[dict-item]
    assert door(who, "change", {"descriptor": other}) == expected
    now = Stream.objects.get()
    if expected == 200:
        assert (now.descriptor, now.digest, now.revision) == (other, digest_of(other), 2)
        told = orjson.loads(AuditEvent.objects.get(action="stream.changed").body)["data"]
        assert told["before"] == {"descriptor": SOURCE, "digest": before.digest}
        assert told["after"] == {"descriptor": other, "digest": now.digest}
    else:
        assert (now.descriptor, now.revision, counts()) == (SOURCE, 1, (1, 1))


@DOORS
@PEOPLE
def test_whoever_keeps_streams_retires_one_for_good(place: Place, door: Door, who: str, expected: int) -> None:
    declared(place)
    assert door(who, "retire", {"reason": "The broker goes."}) == expected
    assert (Stream.objects.get().retired_at is not None) == (expected == 200)
    if expected == 200:
        assert orjson.loads(AuditEvent.objects.get(action="stream.retired").body)["reason"] == "The broker goes."
        kept = counts()
        assert door(who, "retire", {"reason": "Again."}) == 409
        assert door(who, "change", {"purpose": "other"}) in (409, 412)
        assert door(who, "declare", {**FORM, "slug": "patients", "descriptor": SOURCE}) == 409
        assert counts() == kept


BROKEN: dict[str, tuple[Any, str, str]] = {
    "a password in the URL": (
        {**SOURCE, "location": {**SOURCE["location"], "url": "redis://:pw@broker.example"}},  # type: ignore[dict-item]
        "credentials_inline", "descriptor.location.url",
    ),
    "a table with an encoding": ({**TABLE, "encoding": "csv"}, "encoding_not_taken", "descriptor.encoding"),
    "a transport that nobody knows": ({"transport": "pigeon"}, "transport_unknown", "descriptor.transport"),
    "a secret's value": ({**SOURCE, "secret": "hunter2"}, "secret_not_a_name", "descriptor.secret"),
    "a group without a stream": (
        {"transport": "valkey", "encoding": "json", "location": {"url": "redis://broker.example"}},
        "location_missing", "descriptor.location.stream",
    ),
    "numbers that JSON does not keep": (
        {"transport": "inline", "location": {"records": [{"x": 2**60}]}}, "descriptor_malformed", "descriptor",
    ),
    "a null character": (
        {"transport": "inline", "location": {"records": [{"x": "\0"}]}}, "text_hidden",
        "descriptor.location.records.0.x",
    ),
    "a schema that is not one": ({**SOURCE, "schema": {"type": "int"}}, "schema_not_avro", "descriptor.schema"),
}  # fmt: skip


@DOORS
@pytest.mark.parametrize(("descriptor", "code", "field"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_not_coherent_is_not_kept(place: Place, door: Door, descriptor: Any, code: str, field: str) -> None:
    direction = "sink" if descriptor["transport"] == "sql" else "source"
    values = {**FORM, "slug": "patients", "descriptor": descriptor, "direction": direction}
    assert door("otto", "declare", values) in (400, 422)  # 400: the site takes no null character at all
    assert counts() == (0, 0)
    with pytest.raises(Refused) as refusal:
        streams.declare(actor=by("otto"), environment="production", **values)
    assert (refusal.value.code, next(iter(refusal.value.fields))) == (code, field)
    declared(place)
    before = counts()
    if direction == "source":
        assert door("otto", "change", {"descriptor": descriptor}) in (400, 422)
        assert (Stream.objects.get().descriptor, counts()) == (SOURCE, before)


def test_the_page_says_what_is_wrong_at_the_field_and_keeps_the_text(place: Place) -> None:
    text = text_of({**SOURCE, "encoding": "csv", "secret": "hunter2"})
    client, where = client_of(place.otto), "/environments/production/streams/new/"
    answer = client.post(where, {**FORM, "slug": "patients", "descriptor": text})
    wrong = " ".join(answer.context["form"].errors["descriptor"])
    assert "encoding: valkey does not carry csv" in wrong
    assert "secret: A secret is given by its name" in wrong
    assert "stream: patients" in answer.content.decode()
    for odd, words in (("a: [1", "not YAML"), ("a: &x 1\nb: *x", "aliases"), ("a: 1\na: 2", "stands twice")):
        answer = client.post(where, {**FORM, "slug": "patients", "descriptor": odd})
        assert answer.status_code == 422
        assert words in " ".join(answer.context["form"].errors["descriptor"])
    assert counts() == (0, 0)


def test_a_change_that_was_made_against_an_older_one_is_refused(place: Place) -> None:
    declared(place)
    streams.change(actor=by("iris"), environment="production", stream="patients", purpose="Newer.")
    before = counts()
    assert by_page("otto", "change", {"purpose": "Mine."}) == 409
    assert by_api("otto", "change", {"purpose": "Mine."}) == 412
    assert (Stream.objects.get().purpose, counts()) == ("Newer.", before)


def test_the_list_tells_transport_place_owner_and_what_it_feeds(place: Place) -> None:
    declared(place)
    declared(place, "scores", TABLE, direction="sink")
    page = " ".join(client_of(place.dana).get("/environments/production/").content.decode().split())
    for words in ("source: valkey, json", "redis://broker.example:6379/0 patients", "Otto", "nothing yet"):
        assert words in page
    assert "Declare" not in page
    client = APIClient()
    client.force_authenticate(place.dana)
    rows = client.get("/api/v1/environments/production/streams/?direction=sink").json()["results"]
    assert [(row["slug"], row["descriptor"]) for row in rows] == [("scores", TABLE)]


def test_a_stream_is_compared_with_a_version(place: Place) -> None:
    building.a_version(place)
    given = orjson.loads(artifacts.elements("good")["input_schema"])
    renamed = {**given, "fields": [{**given["fields"][0], "name": "renamed"}, *given["fields"][1:]]}
    declared(place)
    declared(place, "narrow", {**SOURCE, "schema": given})
    declared(place, "broken", {**SOURCE, "schema": renamed})
    client = APIClient()
    client.force_authenticate(place.dana)

    def told(slug: str) -> dict[str, Any]:
        answer = client.get(f"/api/v1/environments/production/streams/{slug}/fit/?model=tumours&version=1")
        assert answer.status_code == 200, answer.content
        return answer.json()

    assert told("patients") == {"kind": "inherited", "changes": [], "misfits": []}
    assert (told("narrow")["kind"], told("narrow")["misfits"]) == ("identical", [])
    assert told("broken")["kind"] == "breaking"
    assert [one["code"] for one in told("broken")["misfits"]] == ["schema_not_narrower"]
    assert given["fields"][0]["name"] in str(told("broken")["changes"])
    page = client_of(place.dana).get("/environments/production/streams/broken/?version=tumours/1").content.decode()
    assert "does not fit" in page
    assert client.get("/api/v1/environments/production/streams/narrow/fit/?model=tumours").status_code == 422
    missing = "/api/v1/environments/production/streams/narrow/fit/?model=tumours&version=99"
    assert client.get(missing).status_code == 404


def test_a_sink_selects_fields_that_the_model_gives() -> None:
    schema = Schema.parse({"type": "record", "name": "o", "fields": [{"name": "score", "type": "double"}]})
    assert fit({**TABLE, "fields": ["score"]}, "sink", schema).misfits == ()
    (misfit,) = fit({**TABLE, "fields": ["scores"]}, "sink", schema).misfits
    assert (misfit.code, misfit.field) == ("field_unknown", "fields")


@pytest.mark.parametrize("change", [{"slug": "x"}, {"direction": "sink"}, {"digest": "x"}])
def test_the_database_keeps_what_is_fixed(place: Place, change: dict[str, str]) -> None:
    declared(place)
    with pytest.raises(DatabaseError), transaction.atomic():
        Stream.objects.update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        Stream.objects.all().delete()
    assert Stream.objects.get().slug == "patients"


def test_a_stream_is_kept_in_the_admin_by_whoever_keeps_streams(place: Place, transactional_db: None) -> None:
    for who in (place.otto, place.dana):
        who.is_staff = True
        who.save(update_fields=["is_staff"])
    add = reverse("admin:models_registry_stream_add")
    typed = {
        "environment": place.target.pk, "slug": "patients", "direction": "source", "purpose": "",
        "owner": place.otto.pk, "descriptor": orjson.dumps(SOURCE).decode(),
    }  # fmt: skip
    refused = client_of(place.dana).post(add, typed)
    assert "needs the role" in refused.content.decode()
    odd = client_of(place.otto).post(add, {**typed, "descriptor": '{"transport": "pigeon"}'})
    assert "transport" in " ".join(odd.context["adminform"].form.errors["descriptor"])
    told = orjson.dumps(BROKEN["a password in the URL"][0]).decode()
    inline = client_of(place.otto).post(add, {**typed, "descriptor": told}).content.decode()
    assert "holds credentials" in inline
    assert counts() == (0, 0)
    assert client_of(place.otto).post(add, typed).status_code == 302
    made = Stream.objects.get()
    change = reverse("admin:models_registry_stream_change", args=[made.pk])
    assert client_of(place.otto).post(change, {**typed, "purpose": "Patients.", "seen": 1}).status_code == 302
    listed = reverse("admin:models_registry_stream_changelist")
    act = {"action": "retire", "_selected_action": [str(made.pk)], "confirmed": "yes", "reason": "Over."}
    client_of(place.dana).post(listed, act)
    made.refresh_from_db()
    assert (made.purpose, made.retired_at) == ("Patients.", None)
    client_of(place.otto).post(listed, act)
    made.refresh_from_db()
    assert made.retired_at is not None
    assert client_of(place.otto).get(change).status_code == 200
    assert AuditEvent.objects.filter(chain=f"environment:{place.target.pk}").count() == 3
