"""Streams: who declares, changes and retires them, by every door, and what a descriptor must not be."""

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
from engine.schemas import Schema
from models_registry.models import Consumer, Environment, Stream
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


# What the acts look for, return and tell


def told(action: str) -> tuple[str, int, str, str, Any]:
    """Return the chain, the actor, the subject, the reason and the data of the only act of its kind."""
    body = orjson.loads(AuditEvent.objects.get(action=action).body)
    return body["chain"], body["actor"]["id"], body["subject"], body["reason"], body["data"]


def refused(act: Callable[[], object]) -> Refused:
    """Expect a refusal that changes nothing."""
    before = (list(Stream.objects.order_by("pk").values()), counts())
    with pytest.raises(Refused) as refusal:
        act()
    assert (list(Stream.objects.order_by("pk").values()), counts()) == before
    return refusal.value


def on(act: str, slug: str = "patients", **values: Any) -> Stream:
    """Change or retire a stream of production, as otto does."""
    found: Stream = getattr(streams, act)(actor=by("otto"), environment="production", stream=slug, **values)
    return found


def there(place: Place, slug: str, **more: Any) -> Stream:
    """Return a stream of the workbench."""
    told_of_it = {"direction": "source", "descriptor": SOURCE, "digest": digest_of(SOURCE), **more}
    return Stream.objects.create(environment=place.source, slug=slug, owner=place.dana, **told_of_it)


def test_what_is_declared_is_kept_and_told_whole(place: Place) -> None:
    made = declared(place, "scores", TABLE, direction="sink", owner="rita")
    whole = {"direction": "sink", "descriptor": TABLE, "digest": digest_of(TABLE), "purpose": FORM["purpose"]}
    assert Stream.objects.filter(pk=made.pk).values(*whole).get() == whole
    assert (made.environment, made.slug, made.owner) == (place.target, "scores", place.rita)
    assert told("stream.declared") == (
        f"environment:{place.target.pk}", place.otto.pk, f"stream:{made.pk}", "",
        {"stream": "scores", **whole, "owner": place.rita.mark},
    )  # fmt: skip
    for change, code, field in (
        ({"direction": "sideways"}, "invalid", "direction"),
        ({"owner": "nobody"}, "invalid", "owner"),
        ({"slug": "scores"}, "name_taken", "slug"),
    ):
        found = refused(lambda change=change: declared(place, **{"slug": "patients", **change}))
        assert (found.code, list(found.fields)) == (code, [field])


def test_a_name_is_free_again_in_another_environment(place: Place) -> None:
    there(place, "patients")
    assert declared(place).environment == place.target


def test_only_what_is_named_changes_and_is_told(place: Place) -> None:
    declared(place)
    declared(place, "others")
    there(place, "patients")
    before = list(Stream.objects.exclude(environment=place.target, slug="patients").order_by("pk").values())
    changed = on("change", revision=1, purpose="All patients.", owner="iris")
    now = Stream.objects.get(environment=place.target, slug="patients")
    for one in (changed, now):
        assert (one.pk, one.revision, one.purpose, one.owner, one.descriptor, one.digest) == (
            now.pk, 2, "All patients.", place.iris, SOURCE, digest_of(SOURCE)
        )  # fmt: skip
    assert told("stream.changed") == (
        f"environment:{place.target.pk}", place.otto.pk, f"stream:{now.pk}", "",
        {
            "stream": "patients",
            "before": {"purpose": FORM["purpose"], "owner": place.otto.mark},
            "after": {"purpose": "All patients.", "owner": place.iris.mark},
        },
    )  # fmt: skip
    gone = on("retire", revision=2, reason="Over.")
    assert (gone.pk, gone.revision, gone.retired_at is None) == (now.pk, 3, False)
    assert told("stream.retired") == (
        f"environment:{place.target.pk}", place.otto.pk, f"stream:{now.pk}", "Over.",
        {"stream": "patients", "digest": now.digest},
    )  # fmt: skip
    rest = Stream.objects.exclude(environment=place.target, slug="patients")
    assert list(rest.order_by("pk").values()) == before


def test_a_change_that_cannot_be_changes_nothing(place: Place) -> None:
    declared(place)
    there(place, "bench")
    for slug in ("nowhere", "bench"):
        for act, more in (("change", {"purpose": "x"}), ("retire", {"reason": "x"})):
            found = refused(lambda act=act, slug=slug, more=more: on(act, slug, **more))
            assert (found.code, found.message) == ("not_found", f"Production has no stream {slug}.")
    for act, more in (("change", {"purpose": "x"}), ("retire", {"reason": "x"})):
        found = refused(lambda act=act, more=more: on(act, revision=2, **more))
        assert found.code == "changed_since_shown"
    fixed = refused(lambda: on("change", direction="sink", digest="x", purpose="x"))
    assert fixed.fields == {"digest": "is fixed", "direction": "is fixed"}
    assert refused(lambda: on("change", owner="nobody")).fields == {"owner": "is not an active person"}
    assert refused(lambda: on("retire", reason=" ")).fields == {"reason": "is empty"}
    on("retire", reason="Over.")
    for act, more in (("change", {"purpose": "x"}), ("retire", {"reason": "x"})):
        found = refused(lambda act=act, more=more: on(act, **more))
        assert (found.code, found.message) == ("already_retired", "The stream was retired.")


def test_an_act_returns_the_stream_with_its_environment(place: Place, django_assert_num_queries: Any) -> None:
    for found in (declared(place), on("change", purpose="x"), on("retire", reason="x")):
        with django_assert_num_queries(0):
            assert found.environment.slug == "production"


def a_consumer(stream: Stream, name: str, fields: list[str], **more: Any) -> Consumer:
    told_of_it = {"kind": "report", "purpose": "x", "criticality": "low", "effect": "x", "owner": stream.owner}
    return Consumer.objects.create(stream=stream, name=name, fields=fields, **told_of_it, **more)


def test_only_what_its_own_consumers_use_is_kept(place: Place) -> None:
    sink = declared(place, "scores", {**TABLE, "fields": ["score", "band", "why"]}, direction="sink")
    other = declared(place, "archive", TABLE, direction="sink")
    a_consumer(other, "Archive", ["why"])
    a_consumer(sink, "Old board", ["why"], retired_at=timezone.now())
    a_consumer(sink, "Week", ["band"])
    a_consumer(sink, "Ward board", ["score", "band"])
    found = refused(lambda: on("change", "scores", descriptor={**TABLE, "fields": ["band", "why"]}))
    assert (found.code, found.fields) == ("consumer_depends", {"descriptor.fields": "must keep score"})
    assert found.message == "Ward board uses score, which this descriptor would take away."
    assert on("change", "scores", descriptor={**TABLE, "fields": ["score", "band"]}).revision == 2
    assert on("change", "scores", descriptor=TABLE).revision == 3  # which fields it carries only the model tells
    assert refused(lambda: on("retire", "scores", reason="x")).message == "scores still feeds Ward board, Week."
    Consumer.objects.filter(stream=sink, retired_at=None).update(retired_at=timezone.now())
    assert on("retire", "scores", reason="x").retired_at is not None


# Whether streams answer, as an engine says


def an_engine(place: Place) -> Environment:
    """Return one more environment with an engine."""
    told_of_it = {"slug": "annex", "name": "The annex", "kind": "test", "organisation": place.target.organisation}
    return Environment.objects.create(**told_of_it, owner=place.otto, python="3.11.7", engine="annex")


def test_engines_are_asked_for_the_streams_of_their_environment_that_stand(place: Place) -> None:
    annex = an_engine(place)
    a_table = {"direction": "sink", "descriptor": TABLE, "digest": digest_of(TABLE)}
    Stream.objects.create(environment=annex, slug="alerts", owner=place.otto, **a_table)
    there(place, "bench")  # which has no engine
    declared(place)
    declared(place, "scores", TABLE, direction="sink")
    declared(place, "old")
    on("retire", "old", reason="Over.")
    a_source = {"direction": "source", "descriptor": SOURCE, "digest": digest_of(SOURCE)}
    assert streams.to_ask() == [
        (annex, {"alerts": a_table}),
        (place.target, {"patients": a_source, "scores": a_table}),
    ]


def faults() -> dict[tuple[str, str], tuple[Any, str, str]]:
    """Return by environment and stream since when it does not answer, and why."""
    rows = Stream.objects.values_list("environment__slug", "slug", "failing_since", "fault_code", "fault")
    return {(place, slug): (since, code, words) for place, slug, since, code, words in rows}


NO_FAULT = (None, "", "")


def test_a_stream_that_does_not_answer_is_told_once_and_since_when(place: Place) -> None:
    there(place, "patients")
    for slug in ("patients", "others"):
        declared(place, slug)
    events = AuditEvent.objects.count()
    told_of_it = {"patients": {"digest": digest_of(SOURCE)}}
    bad = {"patients": {"code": "target_missing", "message": "There is no file."}, "others": {"code": "x"}}
    assert not streams.asked(place.target, told_of_it, {})  # it answers, as before
    begun = timezone.now()
    assert streams.asked(place.target, told_of_it, bad)
    since, *why = faults()["production", "patients"]
    assert (begun <= since <= timezone.now(), why) == (True, ["target_missing", "There is no file."])
    assert not streams.asked(place.target, told_of_it, bad)
    for change in ({"code": "access_denied"}, {"message": "Not you."}):
        bad["patients"] |= change
        assert streams.asked(place.target, told_of_it, bad)
        assert not streams.asked(place.target, told_of_it, bad)
        assert faults()["production", "patients"] == (since, bad["patients"]["code"], bad["patients"]["message"])
    assert faults()["production", "others"] == faults()["workbench", "patients"] == NO_FAULT
    assert streams.asked(place.target, told_of_it, {"patients": {}})
    assert faults()["production", "patients"] == NO_FAULT
    assert not streams.asked(place.target, told_of_it, {"patients": None})
    assert AuditEvent.objects.count() == events


def test_a_stream_that_answers_again_heals_no_other(place: Place) -> None:
    there(place, "patients")
    for slug in ("patients", "others"):
        declared(place, slug)
    since = timezone.now()
    Stream.objects.update(failing_since=since, fault_code="unreachable", fault="No.")
    assert streams.asked(place.target, {"patients": {"digest": digest_of(SOURCE)}}, {})
    still = (since, "unreachable", "No.")
    assert faults() == {
        ("production", "patients"): NO_FAULT, ("production", "others"): still, ("workbench", "patients"): still
    }  # fmt: skip


def test_of_many_streams_one_piece_of_news_is_news(place: Place) -> None:
    for slug in ("alerts", "patients", "others"):
        declared(place, slug)
    told_of_it = {slug: {"digest": digest_of(SOURCE)} for slug in ("alerts", "patients", "others")}
    assert streams.asked(place.target, told_of_it, {"patients": {"code": "unreachable"}})
    assert streams.asked(place.target, told_of_it, {"alerts": {"code": "unreachable"}})
    assert [slug for (_, slug), (since, *_) in faults().items() if since] == ["alerts"]
    assert streams.asked(place.target, told_of_it, {})


def test_what_was_asked_and_is_not_there_any_more_is_not_told(place: Place) -> None:
    declared(place)
    declared(place, "old")
    on("retire", "old", reason="Over.")
    told_of_it = {"patients": {"digest": "b" * 64}, "old": {"digest": digest_of(SOURCE)}}
    bad = {slug: {"code": "unreachable"} for slug in told_of_it}
    assert not streams.asked(place.target, told_of_it, bad)
    assert set(faults().values()) == {NO_FAULT}


def test_a_fault_without_words_is_kept_and_a_long_one_cut(place: Place) -> None:
    declared(place)
    told_of_it = {"patients": {"digest": digest_of(SOURCE)}}
    for fault, kept in (
        ({"message": "No."}, ("unreachable", "No.")),
        ({"code": "lost"}, ("lost", "")),
        ({"code": "c" * 51, "message": "m" * 301}, ("c" * 50, "m" * 300)),
    ):
        assert streams.asked(place.target, told_of_it, {"patients": fault})
        assert faults()["production", "patients"][1:] == kept


def test_a_fault_goes_with_the_place_that_it_was_of(place: Place) -> None:
    declared(place)
    streams.asked(place.target, {"patients": {"digest": digest_of(SOURCE)}}, {"patients": {"code": "unreachable"}})
    on("change", purpose="Newer.")
    assert faults()["production", "patients"][1] == "unreachable"
    changed = on("change", descriptor={**SOURCE, "secret": "OTHER"})
    assert (changed.failing_since, changed.fault_code, changed.fault) == NO_FAULT
    assert faults()["production", "patients"] == NO_FAULT
