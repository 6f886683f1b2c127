"""Acts on drafts: what each looks at before a byte is read, keeps, returns and tells, and what it leaves alone."""

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from audit.actors import Person
from audit.errors import Refused
from audit.models import Account, AuditEvent
from models_registry.models import Element, ModelVersion
from models_registry.services import versions
from tests.handoff import building
from tests.handoff.building import Place

RUNTIME = b'{"packages":{},"python":">=3.11"}'
OTHER = b'{"packages":{},"python":">=3.12"}'
GOLDEN = b'{"input": {"a": 1.0}, "output": {"b": 2.0}}\n'


def by(who: str) -> Person:
    return Person(Account.objects.get(username=who), "test")


@pytest.fixture
def draft(place: Place) -> ModelVersion:
    """Return dana's first draft, which is empty."""
    return versions.draft(actor=by("dana"), model="tumours")


def put(name: str, content: bytes, number: int = 1, **more: Any) -> Element:
    """Put an element into a draft, and return it."""
    told: dict[str, Any] = {"actor": by("dana"), "model": "tumours", "number": number, "name": name, **more}
    return versions.set_element(chunks=[content], **told)[0]


def fill(elements: dict[str, bytes], number: int = 1) -> None:
    """Put all elements into a draft."""
    for name, content in elements.items():
        put(name, content, number)


def kept() -> tuple[Any, ...]:
    """Return all that these acts write."""
    tables = (ModelVersion, Element)
    return (*(list(table.objects.order_by("pk").values()) for table in tables), AuditEvent.objects.count())


def refused(act: Callable[[], object]) -> Refused:
    """Expect a refusal that changes nothing."""
    before = kept()
    with pytest.raises(Refused) as refusal:
        act()
    assert kept() == before
    return refusal.value


def told(action: str) -> tuple[str, int, str, str, Any]:
    """Return the chain, the actor, the subject, the reason and the data of the newest act of its kind."""
    body = orjson.loads(AuditEvent.objects.filter(action=action).latest("seq").body)
    return body["chain"], body["actor"]["id"], body["subject"], body["reason"], body["data"]


def about(version: ModelVersion, reason: str = "", **more: Any) -> tuple[Any, ...]:
    """Return what the trail has to tell of what dana did to a version."""
    dana = Account.objects.get(username="dana")
    data = {"version": version.number, **more}
    return f"model:{version.model_id}", dana.pk, f"modelversion:{version.pk}", reason, data


def unread() -> Iterator[bytes]:
    """Return chunks that fail as soon as one is asked for."""
    return (pytest.fail("a byte was read") for _ in range(1))


# Drafts


def test_a_draft_has_the_next_number_of_its_model(place: Place) -> None:
    building.a_version(building.a_place("prices"), 7)
    first = versions.draft(actor=by("dana"), model="tumours", notes="The first.")
    assert (first.number, first.state, first.notes, first.created_by, first.revision) == (
        1, "draft", "The first.", place.dana, 1
    )  # fmt: skip
    assert told("version.drafted") == about(first, number=1, notes="The first.")
    versions.discard(actor=by("dana"), model="tumours", number=1)
    assert versions.draft(actor=by("dana"), model="tumours").number == 2
    assert versions.draft(actor=by("dana"), model="prices").number == 8


def test_a_draft_that_is_given_up_stays_on_record(draft: ModelVersion) -> None:
    other = versions.draft(actor=by("dana"), model="tumours")
    gone = versions.discard(actor=by("dana"), model="tumours", number=1, reason="A mistake.")
    draft.refresh_from_db()
    for one in (gone, draft):
        assert (one.pk, one.state, one.revision) == (draft.pk, "discarded", 2)
    assert told("version.discarded") == about(draft, "A mistake.", number=1)
    assert ModelVersion.objects.get(pk=other.pk).state == "draft"
    for act in (versions.discard, versions.nominate, versions.infer_schemas):
        found = refused(lambda act=act: act(actor=by("dana"), model="tumours", number=1))
        assert (found.code, found.message) == ("version_sealed", "Version 1 is discarded; it never changes.")


def test_a_whole_draft_comes_with_its_notes_and_elements(place: Place, elements: dict[str, bytes]) -> None:
    files = {name: ([elements[name]], f"{name}.sent") for name in ("runtime", "model", "golden")}
    made, notes = versions.draft_with(actor=by("dana"), model="tumours", notes="All.", format="onnx", files=files)
    made.refresh_from_db()
    assert (made.number, made.notes, made.format, made.revision, notes) == (1, "All.", "onnx", 4, [])
    assert dict(made.elements.values_list("name", "filename")) == {
        "model": "model.sent", "runtime": "runtime.json", "golden": "golden.sent"
    }  # fmt: skip
    signature = orjson.dumps(
        {
            "inputs": '[{"type": "double", "name": "dose", "required": false}]',
            "outputs": '[{"type": "double", "name": "score", "required": true}]',
        }
    )
    _, notes = versions.draft_with(
        actor=by("dana"), model="tumours", files={"input_schema": ([signature], "s.json"), "runtime": ([RUNTIME], "")}
    )
    assert notes == ["dose: it may be left out there; here it has to come, and may be null."]
    odd = {"runtime": ([RUNTIME], ""), "brain": ([b"x"], "")}
    found = refused(lambda: versions.draft_with(actor=by("dana"), model="tumours", files=odd))
    assert (found.code, list(found.fields)) == ("invalid", ["name"])


# Elements


def test_nothing_is_read_for_a_version_that_takes_nothing(place: Place, draft: ModelVersion) -> None:
    prices = building.a_place("prices")
    versions.draft(actor=by("dana"), model="prices")
    versions.draft(actor=by("dana"), model="prices")
    building.a_version(place, 3)
    building.a_version(prices, 4)

    def send(who: str = "dana", number: int = 1, name: str = "runtime", model: str = "tumours") -> Refused:
        told_of_it = {"actor": by(who), "model": model, "number": number, "name": name}
        return refused(lambda: versions.set_element(chunks=unread(), **told_of_it))

    assert send(name="brain").fields == {
        "name": "must be one of model, input_schema, output_schema, runtime, golden, validation, thresholds, training"
    }
    for number in (2, 4, 9):  # the first two are of the other model
        assert (send(number=number).code, send(number=number).message) == (
            "not_found",
            f"There is no version {number}.",
        )
    assert send("vera").code == "role_not_held"
    assert send("mallory").code == "not_found"
    found = send(number=3)
    assert (found.code, found.message) == ("version_sealed", "Version 3 is nominated; it never changes.")


def test_an_element_is_kept_and_told_and_put_again_it_takes_the_place(draft: ModelVersion, place: Place) -> None:
    first = put("runtime", b' {"python": ">=3.11", "packages": {}}', filename="ours.json", revision=1)
    assert (first.version, first.name, first.text, first.filename, first.set_by) == (
        draft, "runtime", RUNTIME.decode(), "ours.json", place.dana
    )  # fmt: skip
    data = {"element": "runtime", "sha256": first.blob_id, "size": len(RUNTIME), "inferred": False}
    assert told("version.element_set") == about(draft, **data)
    second = put("runtime", OTHER, revision=2)
    assert (second.pk, second.text, second.filename) == (first.pk, OTHER.decode(), "runtime.json")
    assert second.set_at > first.set_at
    draft.refresh_from_db()
    assert (draft.revision, draft.format) == (3, "")
    stale = {"actor": by("dana"), "model": "tumours", "number": 1, "name": "runtime", "revision": 2}
    assert refused(lambda: put("runtime", RUNTIME, revision=2)).code == "changed_since_shown"
    assert refused(lambda: versions.remove_element(**stale)).code == "changed_since_shown"


def test_a_model_keeps_its_format_whatever_comes_after_it(draft: ModelVersion, elements: dict[str, bytes]) -> None:
    model = put("model", elements["model"], format="onnx")
    put("runtime", RUNTIME)
    draft.refresh_from_db()
    assert (draft.format, model.filename, model.text) == ("onnx", "model.onnx", None)
    assert put("model", elements["model"], filename="tumours.onnx").filename == "tumours.onnx"
    assert refused(lambda: put("model", elements["model"], format="skops")).code == "format_mismatch"


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("", "golden.jsonl"),
        ("rows.jsonl", "rows.jsonl"),
        ("a/b/rows.jsonl", "rows.jsonl"),
        ("C:\\data\\rows.jsonl", "rows.jsonl"),
        ("..", "golden.jsonl"),
        (' <r>:"o|w?s* .', "rows"),
        ("ro\u202ews\n", "rows"),
        ("x" * 121, "x" * 120),
    ],
    ids=lambda one: one[:20],
)
def test_the_name_of_a_file_is_a_label(draft: ModelVersion, sent: str, name: str) -> None:
    assert put("golden", GOLDEN, filename=sent).filename == name


@pytest.mark.parametrize(("sent", "name"), [("a.JSON", "a.JSON"), ("a.avsc", "a.avsc"), ("a.txt", "runtime.json")])
def test_a_small_element_is_named_as_what_it_is_kept_as(draft: ModelVersion, sent: str, name: str) -> None:
    assert put("runtime", RUNTIME, filename=sent).filename == name


def test_a_small_element_has_at_most_a_megabyte(draft: ModelVersion) -> None:
    just = RUNTIME + b" " * (1_000_000 - len(RUNTIME))
    found = refused(lambda: put("runtime", just + b" "))
    assert (found.code, found.fields) == ("file_too_large", {"runtime": "is too large"})
    assert put("runtime", just).text == RUNTIME.decode()
    assert put("golden", GOLDEN * 30_000).blob.size > 1_000_000


def test_of_two_drafts_one_loses_one_element(draft: ModelVersion) -> None:
    other = versions.draft(actor=by("dana"), model="tumours")
    for number in (1, 2):
        for name, content in (("runtime", RUNTIME), ("golden", GOLDEN)):
            put(name, content, number)
    act: dict[str, Any] = {"actor": by("dana"), "model": "tumours", "number": 1, "name": "runtime"}
    left = versions.remove_element(**act, revision=3)
    draft.refresh_from_db()
    assert (left.pk, left.revision, draft.revision) == (draft.pk, 4, 4)
    assert list(draft.elements.values_list("name", flat=True)) == ["golden"]
    assert sorted(other.elements.values_list("name", flat=True)) == ["golden", "runtime"]
    assert ModelVersion.objects.get(pk=other.pk).revision == 3
    assert told("version.element_removed") == about(draft, element="runtime")
    found = refused(lambda: versions.remove_element(**act))
    assert (found.code, found.message) == ("not_found", "The draft has no element runtime.")
    versions.discard(actor=by("dana"), model="tumours", number=2)
    assert refused(lambda: versions.remove_element(**act | {"number": 2})).code == "version_sealed"


# Schemas that are inferred


def test_there_is_something_to_infer_from(draft: ModelVersion) -> None:
    act: dict[str, Any] = {"actor": by("dana"), "model": "tumours", "number": 1}
    put("runtime", RUNTIME)
    found = refused(lambda: versions.infer_schemas(**act))
    assert (found.code, found.fields) == ("element_missing", {"golden": "is missing"})


@pytest.mark.parametrize("given", [["golden"], ["model"], ["golden", "model", "input_schema"]])
def test_only_the_schemas_that_are_missing_are_inferred(
    draft: ModelVersion, elements: dict[str, bytes], given: list[str]
) -> None:
    for name in given:
        put(name, elements[name])
    before = dict(draft.elements.values_list("name", "blob_id"))
    version, notes = versions.infer_schemas(actor=by("dana"), model="tumours", number=1)
    found = {one.name: one for one in draft.elements.all()}
    assert set(found) == {*given, "input_schema", "output_schema"}
    assert {name: found[name].blob_id for name in before} == before
    draft.refresh_from_db()
    assert (version.pk, version.revision, draft.revision) == (draft.pk, 1 + len(found), 1 + len(found))
    assert all(isinstance(one, str) for one in notes)
    made = found["output_schema"]
    data = {"element": "output_schema", "sha256": made.blob_id, "size": made.blob.size, "inferred": True}
    assert (told("version.element_set"), made.filename) == (about(draft, **data), "output_schema.avsc")


# Nominations


def test_what_is_sealed_says_who_sealed_it_when_and_under_which_digest(
    draft: ModelVersion, place: Place, elements: dict[str, bytes]
) -> None:
    fill(elements)
    sealed = versions.nominate(actor=by("dana"), model="tumours", number=1)
    draft.refresh_from_db()
    for one in (sealed, draft):
        assert (one.pk, one.state, one.nominated_by, one.revision) == (draft.pk, "nominated", place.dana, 9)
        assert one.nominated_at is not None
        assert one.nominated_at > draft.created_at
    manifest = orjson.loads(draft.manifest)
    assert [one["name"] for one in manifest["elements"]] == sorted(elements)
    assert told("version.nominated") == about(draft, number=1, digest=draft.digest)
    assert refused(lambda: versions.nominate(actor=by("dana"), model="tumours", number=1)).code == "version_sealed"


def test_a_retrain_is_of_a_sealed_version_of_the_same_model_before_it(
    draft: ModelVersion, place: Place, elements: dict[str, bytes]
) -> None:
    def told_of_it(number: int) -> bytes:
        return orjson.dumps({"pipeline": "a" * 64, "retrained_from": number})

    building.a_version(building.a_place("prices"), 1)  # number 1 of tumours is a draft
    for number in (2, 3):
        versions.draft(actor=by("dana"), model="tumours")
        fill(elements, number)
    versions.nominate(actor=by("dana"), model="tumours", number=2)
    fill(elements)
    for number, origin in ((1, 2), (3, 1), (3, 3)):
        put("training", told_of_it(origin), number)
        found = refused(lambda number=number: versions.nominate(actor=by("dana"), model="tumours", number=number))
        assert (found.code, list(found.fields)) == ("training_invalid", ["training"])
    put("training", told_of_it(2), 3)
    assert versions.nominate(actor=by("dana"), model="tumours", number=3).state == "nominated"


def test_all_that_is_missing_is_told_at_once(draft: ModelVersion, elements: dict[str, bytes]) -> None:
    fill({name: content for name, content in elements.items() if name not in ("runtime", "model")})
    found = refused(lambda: versions.nominate(actor=by("dana"), model="tumours", number=1))
    assert (found.code, list(found.fields)) == ("element_missing", ["model", "runtime"])
    assert found.message == "The version is not complete: model, runtime missing."
