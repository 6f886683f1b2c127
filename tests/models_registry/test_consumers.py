"""Consumers: the integration owner keeps them, by every door, and nobody takes away what they use."""

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
from models_registry.models import Consumer, Stream
from models_registry.services import consumers, streams
from tests.handoff.building import Place
from tests.handoff.walking import client_of

Door = Callable[..., int]
TABLE = {
    "transport": "sql",
    "location": {"url": "postgresql://db.example/scores", "table": "scores"},
    "fields": ["score", "band"],
}
WARD = {
    "name": "Ward board",
    "kind": "dashboard",
    "owner": "rita",
    "purpose": "Shows who is seen first.",
    "fields": ["score"],
    "criticality": "high",
    "effect": "Patients wait longer.",
}
ONE = "/api/v1/environments/production/streams/scores/consumers/"


@pytest.fixture
def sink(place: Place) -> Stream:
    """Return a sink of the target."""
    return streams.declare(
        actor=by("otto"), environment="production", slug="scores", direction="sink", descriptor=TABLE, owner="otto"
    )


def by(who: str) -> Person:
    return Person(Account.objects.get(username=who), "test")


def counts() -> tuple[int, int]:
    """Return how many consumers there are, and events of them."""
    return Consumer.objects.count(), AuditEvent.objects.filter(action__startswith="consumer.").count()


def added(**more: Any) -> Consumer:
    return consumers.add(actor=by("iris"), environment="production", stream="scores", **{**WARD, **more})


def retired(one: Consumer) -> Consumer:
    act = {"environment": "production", "stream": "scores", "consumer_id": str(one.pk), "reason": "Over."}
    return consumers.retire(actor=by("iris"), **act)


def by_service(who: str, act: str, values: dict[str, Any], pk: Any = None) -> int:
    function = {"add": consumers.add, "change": consumers.change, "retire": consumers.retire}[act]
    more = {} if act == "add" else {"consumer_id": str(pk)}
    try:
        function(actor=by(who), environment="production", stream="scores", **values, **more)
    except Refused as refusal:
        return refusal.status
    return 200


def by_api(who: str, act: str, values: dict[str, Any], pk: Any = None) -> int:
    client = APIClient()
    client.force_authenticate(Account.objects.get(username=who))
    if act == "add":
        answer = client.post(ONE, values, format="json")
    elif act == "change":
        answer = client.patch(f"{ONE}{pk}/", values, format="json", HTTP_IF_MATCH='"1"')
    else:
        answer = client.post(f"{ONE}{pk}/retire/", values, format="json")
    return 200 if answer.status_code == 201 else int(answer.status_code)


def by_page(who: str, act: str, values: dict[str, Any], pk: Any = None) -> int:
    client = client_of(Account.objects.get(username=who))
    typed = values if act == "retire" else {**WARD, **values, "seen": 1}
    if "fields" in typed:
        typed["fields"] = ", ".join(typed["fields"])
    place = "new/" if act == "add" else f"{pk}/{act}/"
    status = client.post(f"/environments/production/streams/scores/consumers/{place}", typed).status_code
    return 200 if status == 302 else int(status)


DOORS = pytest.mark.parametrize("door", [by_service, by_api, by_page])
PEOPLE = pytest.mark.parametrize(("who", "expected"), [("iris", 200), ("otto", 403), ("dana", 403), ("mallory", 404)])


@DOORS
@PEOPLE
def test_only_the_integration_owner_adds_one(sink: Stream, door: Door, who: str, expected: int) -> None:
    assert door(who, "add", dict(WARD)) == expected
    assert counts() == ((1, 1) if expected == 200 else (0, 0))
    if expected == 200:
        made = Consumer.objects.get()
        assert {name: getattr(made, name) for name in WARD} | {"owner": made.owner.username} == WARD
        event = orjson.loads(AuditEvent.objects.get(action="consumer.added").body)
        assert event["data"] == {**WARD, "owner": made.owner.mark, "stream": "scores", "consumer": "Ward board"}


@DOORS
@PEOPLE
def test_only_the_integration_owner_changes_one(sink: Stream, door: Door, who: str, expected: int) -> None:
    one = added()
    assert door(who, "change", {"criticality": "low"}, one.pk) == expected
    one.refresh_from_db()
    if expected == 200:
        assert (one.criticality, one.revision) == ("low", 2)
        told = orjson.loads(AuditEvent.objects.get(action="consumer.changed").body)["data"]
        assert (told["before"], told["after"]) == ({"criticality": "high"}, {"criticality": "low"})
    else:
        assert (one.criticality, one.revision, counts()) == ("high", 1, (1, 1))


@DOORS
@PEOPLE
def test_only_the_integration_owner_retires_one(sink: Stream, door: Door, who: str, expected: int) -> None:
    one = added()
    assert door(who, "retire", {"reason": "Replaced."}, one.pk) == expected
    one.refresh_from_db()
    assert (one.retired_at is not None) == (expected == 200)
    if expected == 200:
        kept = counts()
        assert door(who, "retire", {"reason": "Again."}, one.pk) == 409
        assert counts() == kept
        assert added().pk != one.pk  # its name is free again
    else:
        assert counts() == (1, 1)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a field that the sink does not carry": ({"fields": ["salary"]}, "fields"),
    "a field twice": ({"fields": ["score", "score"]}, "fields"),
    "an odd kind": ({"kind": "toaster"}, "kind"),
    "an odd criticality": ({"criticality": "extreme"}, "criticality"),
    "nobody answers for it": ({"owner": "nobody"}, "owner"),
    "no purpose": ({"purpose": " "}, "purpose"),
    "no effect": ({"effect": ""}, "effect"),
}


@DOORS
@pytest.mark.parametrize(("change", "field"), WRONG.values(), ids=WRONG.keys())
def test_a_consumer_that_says_too_little_is_not_kept(
    sink: Stream, door: Door, change: dict[str, Any], field: str
) -> None:
    assert door("iris", "add", {**WARD, **change}) == 422
    assert counts() == (0, 0)
    with pytest.raises(Refused) as refusal:
        added(**change)
    assert list(refusal.value.fields) == [field]
    one = added()
    assert door("iris", "change", change, one.pk) == 422
    one.refresh_from_db()
    assert (one.revision, counts()) == (1, (1, 1))


@DOORS
def test_two_consumers_of_a_sink_have_two_names(sink: Stream, door: Door) -> None:
    added()
    other = added(name="Monthly report")
    assert door("iris", "add", dict(WARD)) == 409
    assert door("iris", "change", {"name": "Ward board"}, other.pk) == 409
    other.refresh_from_db()
    assert (other.name, counts()) == ("Monthly report", (2, 2))


def test_a_source_has_no_consumers(place: Place) -> None:
    source = {"transport": "inline", "location": {"records": [{"x": 1}]}}
    streams.declare(
        actor=by("otto"), environment="production", slug="in", direction="source", descriptor=source, owner="otto"
    )
    with pytest.raises(Refused) as refusal:
        consumers.add(actor=by("iris"), environment="production", stream="in", **WARD)
    assert (refusal.value.code, counts()) == ("consumer_of_source", (0, 0))


def test_what_a_consumer_uses_is_not_taken_away(sink: Stream) -> None:
    one = added()
    act = {"actor": by("otto"), "environment": "production", "stream": "scores"}
    with pytest.raises(Refused) as refusal:
        streams.change(**act, descriptor={**TABLE, "fields": ["band"]})
    assert refusal.value.code == "consumer_depends"
    assert "Rita" in refusal.value.todo
    with pytest.raises(Refused) as refusal:
        streams.retire(**act, reason="Over.")
    assert refusal.value.code == "consumer_depends"
    sink.refresh_from_db()
    assert (sink.descriptor, sink.retired_at, sink.revision) == (TABLE, None, 1)
    streams.change(**act, descriptor={**TABLE, "fields": ["score"]})
    retired(one)
    streams.change(**act, descriptor={**TABLE, "fields": ["band"]})
    streams.retire(**act, reason="Over.")


def test_data_scientists_read_of_it_and_are_not_asked(place: Place, sink: Stream) -> None:
    added()
    page = client_of(place.dana).get("/environments/production/streams/scores/").content.decode()
    for words in ("Ward board", "high criticality", "Rita", "Patients wait longer.", "added a consumer"):
        assert words in page
    assert "Add a consumer" not in page
    assert "Ward board" in client_of(place.dana).get("/environments/production/").content.decode()
    client = APIClient()
    client.force_authenticate(place.dana)
    (row,) = client.get(ONE).json()["results"]
    assert {name: row[name] for name in WARD} == WARD
    assert client.get(f"{ONE}{row['id']}/")["ETag"] == '"1"'


def test_the_database_keeps_what_is_retired(sink: Stream) -> None:
    one = added()
    retired(one)
    for attack in (lambda: Consumer.objects.update(retired_at=None), lambda: Consumer.objects.all().delete()):
        with pytest.raises(DatabaseError), transaction.atomic():
            attack()
    assert Consumer.objects.get().retired_at is not None


def test_a_consumer_is_kept_in_the_admin_by_the_integration_owner(
    place: Place, sink: Stream, transactional_db: None
) -> None:
    for who in (place.iris, place.otto):
        who.is_staff = True
        who.save(update_fields=["is_staff"])
    add = reverse("admin:models_registry_consumer_add")
    typed = {**WARD, "stream": sink.pk, "owner": place.rita.pk, "fields": '["score"]'}
    assert "needs the role" in client_of(place.otto).post(add, typed).content.decode()
    odd = client_of(place.iris).post(add, {**typed, "fields": '["salary"]'})
    assert "salary" in " ".join(odd.context["adminform"].form.errors["fields"])
    assert counts() == (0, 0)
    assert client_of(place.iris).post(add, typed).status_code == 302
    one = Consumer.objects.get()
    change = reverse("admin:models_registry_consumer_change", args=[one.pk])
    assert client_of(place.iris).post(change, {**typed, "criticality": "low", "seen": 1}).status_code == 302
    listed = reverse("admin:models_registry_consumer_changelist")
    act = {"action": "retire", "_selected_action": [str(one.pk)], "confirmed": "yes", "reason": "Over."}
    client_of(place.otto).post(listed, act)
    one.refresh_from_db()
    assert (one.criticality, one.retired_at) == ("low", None)
    client_of(place.iris).post(listed, act)
    one.refresh_from_db()
    assert one.retired_at is not None
    assert counts() == (1, 3)
