"""Consumers: the integration owner keeps them, by every door, and nobody takes away what they use."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.db import DatabaseError, transaction
from django.urls import reverse
from django.utils import timezone
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


def added(stream: str = "scores", **more: Any) -> Consumer:
    return consumers.add(actor=by("iris"), environment="production", stream=stream, **{**WARD, **more})


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


# What the acts look for, return and tell


def told(action: str) -> tuple[str, int, str, str, Any]:
    """Return the chain, the actor, the subject, the reason and the data of the only act of its kind."""
    body = orjson.loads(AuditEvent.objects.get(action=action).body)
    return body["chain"], body["actor"]["id"], body["subject"], body["reason"], body["data"]


def refused(act: Callable[[], object]) -> Refused:
    """Expect a refusal that changes nothing."""
    before = (list(Consumer.objects.order_by("pk").values()), counts())
    with pytest.raises(Refused) as refusal:
        act()
    assert (list(Consumer.objects.order_by("pk").values()), counts()) == before
    return refusal.value


def on(one: Consumer, act: str, stream: str = "scores", **values: Any) -> Consumer:
    """Change or retire a consumer, as the integration owner does."""
    place = {"environment": "production", "stream": stream, "consumer_id": str(one.pk)}
    found: Consumer = getattr(consumers, act)(actor=by("iris"), **place, **values)
    return found


def another(slug: str, environment: Any, **more: Any) -> Stream:
    """Return one more sink, perhaps of another environment."""
    told_of_it = {"direction": "sink", "descriptor": TABLE, "digest": "a" * 64, **more}
    return Stream.objects.create(environment=environment, slug=slug, owner=environment.owner, **told_of_it)


@pytest.mark.parametrize(
    ("stream", "code", "message"),
    [
        ("nowhere", "not_found", "Production has no stream nowhere."),
        ("bench", "not_found", "Production has no stream bench."),
        ("old", "already_retired", "The stream was retired."),
    ],
)
def test_only_a_sink_of_this_environment_that_stands_has_consumers(
    place: Place, sink: Stream, stream: str, code: str, message: str
) -> None:
    another("bench", place.source)
    another("old", place.target, retired_at=timezone.now())
    found = refused(lambda: added(stream=stream))
    assert (found.code, found.message) == (code, message)


def test_a_consumer_is_of_the_sink_that_is_named(place: Place, sink: Stream) -> None:
    archive, bench = another("archive", place.target), another("scores", place.source)
    assert added().stream == sink
    assert added(stream="archive").stream == archive
    assert not Consumer.objects.filter(stream=bench).exists()


def test_a_consumer_of_another_sink_or_none_is_not_found(place: Place, sink: Stream) -> None:
    archive = another("archive", place.target)
    added()
    there = added(stream="archive")
    for one in (there, Consumer()):
        for act, more in (("change", {"effect": "None."}), ("retire", {"reason": "Over."})):
            found = refused(lambda one=one, act=act, more=more: on(one, act, **more))
            assert (found.code, found.message) == ("not_found", "scores has no such consumer.")
    assert Consumer.objects.get(stream=archive) == there


def test_of_two_consumers_only_the_one_that_is_named_changes(sink: Stream, place: Place) -> None:
    names = ("Board", "Week")
    rows = {name: added(name=name) for name in names}
    for name in names:
        one = on(rows[name], "change", revision=1, effect=f"{name} stops.", owner="vera", fields=[])
        assert (one.pk, one.revision, one.effect, one.owner, one.fields) == (
            rows[name].pk, 2, f"{name} stops.", place.vera, []
        )  # fmt: skip
    assert dict(Consumer.objects.values_list("name", "effect")) == {name: f"{name} stops." for name in names}
    gone = on(rows["Week"], "retire", revision=2, reason="Replaced.")
    assert (gone.pk, gone.revision, gone.retired_at is None) == (rows["Week"].pk, 3, False)
    assert told("consumer.retired") == (
        f"environment:{place.target.pk}", place.iris.pk, f"consumer:{gone.pk}", "Replaced.",
        {"stream": "scores", "consumer": "Week", "name": "Week"},
    )  # fmt: skip
    assert Consumer.objects.get(retired_at=None).name == "Board"


def test_what_changed_meanwhile_is_fixed_or_over_is_not_changed(sink: Stream) -> None:
    one = added()
    on(one, "change", effect="They wait.")
    for act, more in (("change", {"effect": "x"}), ("retire", {"reason": "x"})):
        found = refused(lambda act=act, more=more: on(one, act, revision=1, **more))
        assert found.code == "changed_since_shown"
    fixed = refused(lambda: on(one, "change", retired_at="now", number=3, effect="x"))
    assert (fixed.code, fixed.fields) == ("invalid", {"number": "is fixed", "retired_at": "is fixed"})
    assert refused(lambda: on(one, "change", owner="nobody")).fields == {"owner": "is not an active person"}
    assert refused(lambda: on(one, "retire", reason=" ")).fields == {"reason": "is empty"}
    on(one, "retire", reason="Over.")
    for act, more in (("change", {"effect": "x"}), ("retire", {"reason": "x"})):
        found = refused(lambda act=act, more=more: on(one, act, **more))
        assert (found.code, found.message) == ("already_retired", "The consumer was retired.")


def test_a_consumer_that_names_no_fields_uses_all(sink: Stream) -> None:
    assert added(fields=None).fields == []


def test_an_act_returns_the_consumer_with_its_sink_and_environment(
    sink: Stream, django_assert_num_queries: Any
) -> None:
    one = added()
    for found in (one, on(one, "change", effect="They wait."), on(one, "retire", reason="Over.")):
        with django_assert_num_queries(0):
            assert (found.stream.slug, found.stream.environment.slug) == ("scores", "production")
