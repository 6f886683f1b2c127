"""Bindings that name streams: what a draft takes, what an offer needs, by every door."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from rest_framework.test import APIClient

from audit.actors import Person
from audit.errors import Refused
from handoff.connections import changed_since, connected, misfits, pinned
from handoff.models import Handoff
from handoff.readiness import moved_since, report_of
from handoff.rules.bindings import read_bindings
from handoff.services import handoffs
from models_registry.models import EnvironmentUserGrant
from models_registry.services import consumers, streams
from tests.handoff import artifacts, building, walking
from tests.handoff.building import Place
from tests.handoff.walking import client_of

SOURCE = {
    "transport": "valkey",
    "encoding": "json",
    "location": {"url": "redis://broker.example:6379/0", "stream": "patients", "group": "tumours"},
}
TABLE = {"transport": "sql", "location": {"url": "postgresql://db.example/scores", "table": "scores"}}
INLINE = {"transport": "inline", "location": {"records": [{"radius": 1.0}]}}
LETTERS = {"transport": "file", "encoding": "json_lines", "location": {"url": "file:///data/letters"}}
GOOD = {"mode": "stream", "input": {"stream": "patients"}, "outputs": [{"stream": "scores", "fields": ["label"]}]}


@pytest.fixture
def place(db: None, store: Any) -> Place:
    """Return a place with a version, and streams in production."""
    found = walking.a_site()
    building.a_version(found)
    declare(found, "patients", "source", SOURCE)
    declare(found, "once", "source", INLINE)
    declare(found, "scores", "sink", TABLE)
    return found


def declare(place: Place, slug: str, direction: str, descriptor: Any) -> None:
    who = Person(place.otto, "test")
    streams.declare(
        actor=who, environment="production", slug=slug, direction=direction, descriptor=descriptor, owner="otto"
    )


def by_service(place: Place, bindings: dict[str, Any]) -> int:
    try:
        walking.drafted(place, place.model.versions.get(), bindings=bindings)
    except Refused as refusal:
        return refusal.status
    return 200


def by_api(place: Place, bindings: dict[str, Any]) -> int:
    client = APIClient()
    client.force_authenticate(place.dana)
    body = {"model": "tumours", "version": 1, "source": "workbench", "target": "production", "bindings": bindings}
    answer = client.post("/api/v1/handoffs/", body, format="json")
    return 200 if answer.status_code == 201 else int(answer.status_code)


def by_page(place: Place, bindings: dict[str, Any]) -> int:
    letters = bindings.get("letters", {}).get("stream", "")
    sinks = [f"{one['stream']}: {', '.join(one.get('fields', []))}" for one in bindings.get("outputs", [])]
    typed = {
        "do": "draft", "version": "tumours@1", "source": "workbench", "target": "production", "mode": bindings["mode"],
        "input_stream": bindings["input"]["stream"], "output_streams": "\n".join(sinks),
        "letters_stream": letters,
    }  # fmt: skip
    answer = client_of(place.dana).post("/handoffs/new/", typed)
    return 200 if answer.status_code in (302, 303) else int(answer.status_code)


DOORS = pytest.mark.parametrize("door", [by_service, by_api, by_page])
Door = Callable[[Place, dict[str, Any]], int]


@DOORS
def test_a_draft_pins_the_streams_that_it_names(place: Place, door: Door) -> None:
    assert door(place, GOOD) == 200
    bindings = Handoff.objects.get().bindings
    digests = {one.slug: one.digest for one in place.target.streams.all()}
    assert bindings["input"] == {
        "stream": "patients", "transport": "valkey", "encoding": "json", "digest": digests["patients"],
    }  # fmt: skip
    assert [(one["stream"], one["fields"], one["digest"]) for one in bindings["outputs"]] == [
        ("scores", ["label"], digests["scores"])
    ]


@DOORS
def test_a_draft_pins_the_sink_of_its_dead_letters(place: Place, door: Door) -> None:
    declare(place, "letters", "sink", LETTERS)
    assert door(place, {**GOOD, "letters": {"stream": "letters"}}) == 200
    handoff = Handoff.objects.get()
    digest = place.target.streams.get(slug="letters").digest
    assert handoff.bindings["letters"] == {
        "stream": "letters", "transport": "file", "encoding": "json_lines", "digest": digest,
    }  # fmt: skip
    run = connected(handoff)
    assert run is not None
    assert run.letters == LETTERS
    assert list(run.sinks) == ["scores"]
    assert "letters" in client_of(place.dana).get(f"/handoffs/{handoff.pk}/").content.decode()


def test_letters_fit_the_sink_that_keeps_them(place: Place) -> None:
    declare(place, "letters", "sink", {**LETTERS, "fields": ["cause", "girth"]})
    bindings = {**GOOD, "letters": {"stream": "letters"}}
    told = misfits(pinned(read_bindings(bindings), place.target), place.target, place.model.versions.get())
    assert list(told) == ["bindings.letters"]
    assert "girth" in told["bindings.letters"]


def test_letters_that_changed_since_they_were_signed_shut_the_gate(place: Place) -> None:
    declare(place, "letters", "sink", LETTERS)
    bindings = {**GOOD, "letters": {"stream": "letters"}}
    handoff = walking.drafted(place, place.model.versions.get(), bindings=bindings)
    elsewhere = {**LETTERS, "location": {"url": "file:///elsewhere"}}
    actor = Person(place.otto, "test")
    streams.change(actor=actor, environment="production", stream="letters", descriptor=elsewhere)
    assert list(changed_since(handoff)) == ["stream.letters"]


ODD: dict[str, dict[str, Any]] = {
    "no such stream": {"input": {"stream": "nowhere"}},
    "a sink to read from": {"input": {"stream": "scores"}},
    "a source to write to": {"outputs": [{"stream": "once"}]},
    "nothing to write to": {"outputs": []},
    "a sink twice": {"outputs": [{"stream": "scores"}, {"stream": "scores"}]},
    "a batch without end": {"mode": "batch"},
    "a stream that ends": {"input": {"stream": "once"}},
    "an odd mode": {"mode": "sometimes"},
    "letters among the outputs": {"letters": {"stream": "scores"}},
    "letters into a source": {"letters": {"stream": "patients"}},
    "letters to nowhere": {"letters": {"stream": "nowhere"}},
}


@DOORS
@pytest.mark.parametrize("change", ODD.values(), ids=ODD.keys())
def test_a_draft_takes_no_stream_that_cannot_be_used(place: Place, door: Door, change: dict[str, Any]) -> None:
    assert door(place, {**GOOD, **change}) == 422
    assert not Handoff.objects.exists()


def test_an_offer_lists_streams_that_do_not_fit(place: Place) -> None:
    given = orjson.loads(artifacts.elements("good")["input_schema"])
    renamed = {**given, "fields": [{**given["fields"][0], "name": "girth"}, *given["fields"][1:]]}
    declare(place, "renamed", "source", {**SOURCE, "schema": renamed})
    bindings = {**GOOD, "input": {"stream": "renamed"}, "outputs": [{"stream": "scores", "fields": ["risk"]}]}
    handoff = walking.drafted(place, place.model.versions.get(), bindings=bindings)
    with pytest.raises(Refused) as refusal:
        handoffs.offer(actor=walking.by(place.dana), handoff_id=str(handoff.pk))
    assert refusal.value.code == "handoff_incomplete" or refusal.value.status == 422
    told = {place: str(words) for place, words in refusal.value.fields.items()}
    assert "girth" in told["bindings.input"] or "radius" in told["bindings.input"]
    assert "risk" in told["bindings.outputs[0]"]
    handoff.refresh_from_db()
    assert handoff.state == "draft"


def test_an_offer_is_signed_over_the_streams_as_they_are_then(place: Place) -> None:
    handoff = walking.drafted(place, place.model.versions.get(), bindings=GOOD)
    otto = Person(place.otto, "test")
    other = {**TABLE, "fields": ["label"]}
    streams.change(actor=otto, environment="production", stream="scores", descriptor=other)
    handoffs.offer(actor=walking.by(place.dana), handoff_id=str(handoff.pk))
    handoff.refresh_from_db()
    assert handoff.bindings["outputs"][0]["digest"] == place.target.streams.get(slug="scores").digest
    assert moved_since(handoff) == {}
    streams.change(actor=otto, environment="production", stream="scores", purpose="Still the same place.")
    assert moved_since(handoff) == {}
    streams.change(actor=otto, environment="production", stream="scores", descriptor=TABLE)
    assert list(moved_since(handoff)) == ["stream.scores"]
    streams.change(actor=otto, environment="production", stream="scores", descriptor=other)
    assert moved_since(handoff) == {}
    streams.retire(actor=otto, environment="production", stream="scores", reason="Gone.")
    assert "was retired" in moved_since(handoff)["stream.scores"]


def test_the_report_tells_how_records_come_and_go_on_both_sides_and_who_is_fed(place: Place) -> None:
    building._grant(EnvironmentUserGrant, place.dana, "it_operations", place.source)
    told = {"owner": "dana", "direction": "source"}
    csv = {"transport": "file", "encoding": "csv", "location": {"url": "file:///data/patients.csv"}}
    streams.declare(actor=Person(place.dana, "test"), environment="workbench", slug="input", descriptor=csv, **told)
    fed = {"name": "Ward board", "kind": "dashboard", "owner": "rita", "purpose": "Whom to see first."}
    consumers.add(
        actor=Person(place.iris, "test"),
        environment="production",
        stream="scores",
        criticality="high",
        effect="Wait.",
        **fed,
    )
    handoff = walking.drafted(place, place.model.versions.get(), bindings=GOOD)
    items = {item.key: item for item in report_of(handoff, None)}
    arrive, go = items["data.transport"], items["outputs.transport"]
    assert (arrive.source, arrive.target, arrive.reason) == ("file, csv", "valkey, json", "from a file to a stream")
    assert (go.source, go.target) == ("files and plots", "sql, scores")
    board = items["outputs.consumer.scores.Ward board"]
    assert (board.source, board.target, board.severity) == ("not fed", "Whom to see first., Rita", "medium")
    assert items["data.field.radius"].equal


def test_one_source_tells_its_fields_and_several_none(place: Place) -> None:
    building._grant(EnvironmentUserGrant, place.dana, "it_operations", place.source)
    schema = {"type": "record", "name": "patient", "fields": [{"name": "radius", "type": "int"}]}
    csv = {"transport": "file", "encoding": "csv", "location": {"url": "file:///data/p.csv"}, "schema": schema}
    handoff = walking.drafted(place, place.model.versions.get(), bindings=GOOD)
    told = {"environment": "workbench", "direction": "source", "owner": "dana"}
    streams.declare(actor=Person(place.dana, "test"), slug="input", descriptor=csv, **told)
    items = {item.key: item for item in report_of(handoff, None)}
    assert (items["data.field.radius"].source, items["data.field.radius"].equal) == ("int", False)
    streams.declare(actor=Person(place.dana, "test"), slug="spare", descriptor=INLINE, **told)
    items = {item.key: item for item in report_of(handoff, None)}
    assert (items["data.transport"].source, items["data.field.radius"].equal) == ("file, csv; inline", True)
