"""Register versions over the API: the good way whole, and every bad input refused with a code and without a trace."""

import io
import json
import os
import pickle
import re
import stat
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import onnx
import pytest
import skops.io
from onnx import TensorProto, helper
from rest_framework.test import APIClient
from sklearn.linear_model import LinearRegression

from audit.models import AuditEvent
from engine.manifests import Manifest
from models_registry import store as storage
from models_registry.models import Element, ModelVersion
from tests.models_registry.conftest import counts, files

URL = "/api/v1/models/tumours/versions/"
Api = Callable[[str], APIClient]


def post(client: APIClient, elements: dict[str, bytes], **more: Any) -> Any:
    """Send a whole version in one request."""
    return client.post(URL, {**files(elements), **more}, format="multipart")


def test_a_whole_version_comes_in_one_request_and_is_sealed(api: Api, elements: dict[str, bytes], store: Path) -> None:
    answer = post(api("dana"), elements, notes="first")
    assert answer.status_code == 201, answer.json()
    assert answer.json()["format"] == "onnx"
    assert {e["name"] for e in answer.json()["elements"]} == set(elements)
    sealed = api("dana").post(f"{URL}1/nominate/")
    assert sealed.status_code == 200, sealed.json()
    text = api("dana").get(f"{URL}1/manifest/").content
    assert sha256(text).hexdigest() == sealed.json()["digest"]
    manifest = Manifest.parse(text)
    for element in manifest.elements:
        assert sha256((store / storage.path_of(element.sha256)).read_bytes()).hexdigest() == element.sha256
    actions = list(AuditEvent.objects.filter(subject__startswith="modelversion:").values_list("action", flat=True))
    assert actions.count("version.nominated") == 1
    assert actions.count("version.element_set") == len(elements)


def zip_of(*members: tuple[str, bytes], mode: int = 0o644, level: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip with odd members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", level) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = level
            archive.writestr(info, content)
    return out.getvalue()


def with_member(name: str, content: bytes = b"x", **more: Any) -> bytes:
    """Return a good skops file with one more member."""
    good = zipfile.ZipFile(io.BytesIO(skops.io.dumps(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]))))
    members = [(n, good.read(n)) for n in good.namelist()]
    return zip_of(*members, (name, content), **more)


def onnx_with(**changes: Any) -> bytes:
    """Return an ONNX file with something that must not be."""
    node = helper.make_node(changes.get("op", "Identity"), ["x"], ["y"], domain=changes.get("domain", ""))
    shape = [None, 5]
    weights = []
    if "external" in changes:
        tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="../../etc/passwd")
        weights = [tensor]
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        weights,
    )
    opsets = [helper.make_opsetid("", 18)] + ([helper.make_opsetid("evil", 1)] if "domain" in changes else [])
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


class Evil:
    """Run a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


OFF_THE_LIST = {"__class__": "system", "__module__": "os", "__loader__": "ObjectNode"}
BAD_MODELS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "truncated": (lambda good: good[:-150], "model_not_loadable"),
    "altered": (lambda good: good[:40] + b"\xff" * 60 + good[100:], "model_not_loadable"),
    "does not load": (lambda good: onnx_with(op="Add"), "model_not_loadable"),
    "an operator that nobody knows": (lambda good: onnx_with(op="NoSuchOperator"), "operator_unknown"),
    "empty": (lambda good: b"", "invalid"),
    "words": (lambda good: b"this is no model", "format_unknown"),
    "pickle": (lambda good: pickle.dumps(Evil()), "format_unsafe"),
    "old pickle": (lambda good: pickle.dumps(Evil(), protocol=0), "format_unsafe"),
    "torch": (lambda good: zip_of(("archive/data.pkl", pickle.dumps(Evil()))), "format_unsafe"),
    "a path that leaves": (lambda good: with_member("../evil.npy"), "archive_path"),
    "an absolute path": (lambda good: with_member("/etc/evil.npy"), "archive_path"),
    "a path of another system": (lambda good: with_member("..\\evil.npy"), "archive_path"),
    "two of one name": (lambda good: with_member("Schema.JSON"), "archive_twins"),
    "a link": (lambda good: with_member("a.npy", mode=stat.S_IFLNK | 0o777), "archive_link"),
    "a bomb": (lambda good: with_member("a.npy", b"\0" * 200_000_000, level=zipfile.ZIP_DEFLATED), "archive_bomb"),
    "a type off the list": (
        lambda good: zip_of(("schema.json", json.dumps(OFF_THE_LIST).encode())),
        "type_not_allowed",
    ),
    "an unknown domain": (lambda good: onnx_with(domain="evil"), "domain_not_allowed"),
    "external data": (lambda good: onnx_with(external=True), "external_data"),
}


@pytest.mark.parametrize("case", BAD_MODELS)
def test_a_bad_model_file_is_refused_and_leaves_nothing(
    case: str, api: Api, elements: dict[str, bytes], store: Path
) -> None:
    make, code = BAD_MODELS[case]
    before = counts(store)
    events = AuditEvent.objects.count()
    answer = post(api("dana"), {"model": make(elements["model"])})
    assert answer.status_code == 422, answer.json()
    assert answer.json()["code"] == code, answer.json()
    assert answer.json()["message"]
    assert counts(store) == before
    assert AuditEvent.objects.count() == events


def test_the_wrong_declared_format_is_refused(api: Api, elements: dict[str, bytes], store: Path) -> None:
    upload = {**files({"model": elements["model"]}), "format": "skops"}
    answer = api("dana").post(URL, upload, format="multipart")
    assert (answer.status_code, answer.json()["code"]) == (422, "format_mismatch")
    assert counts(store) == (0, 0, 0, 0)
    assert not AuditEvent.objects.exists()


BAD_TEXTS: dict[str, tuple[str, bytes, str]] = {
    "not JSON": ("input_schema", b"{", "schema_not_json"),
    "not Avro": ("input_schema", b'{"type": "object"}', "schema_not_avro"),
    "an unknown type": (
        "input_schema",
        b'{"type":"record","name":"r","fields":[{"name":"a","type":"decimalish"}]}',
        "schema_not_avro",
    ),
    "a pattern that explodes": (
        "input_schema",
        b'{"type":"record","name":"r","fields":[{"name":"a","type":"string","pattern":"(a+)+b"}]}',
        "pattern_unsafe",
    ),
    "a minimum on text": (
        "input_schema",
        b'{"type":"record","name":"r","fields":[{"name":"a","type":"string","minimum":1}]}',
        "schema_constraint",
    ),
    "NaN in golden": ("golden", b'{"input": {"a": NaN}, "output": {}}\n', "records_malformed"),
    "infinity in validation": ("validation", b'{"input": {"a": Infinity}, "label": 1}\n', "records_malformed"),
    "a key twice": ("golden", b'{"input": {"a": 1, "a": 2}, "output": {}}\n', "records_malformed"),
    "golden without output": ("golden", b'{"input": {}}\n', "records_malformed"),
    "an empty file": ("validation", b"", "invalid"),
    "an empty line": ("validation", b"\n", "records_empty"),
    "thresholds without metric": ("thresholds", b'{"tolerance": {"absolute": 0, "relative": 0}}', "thresholds_invalid"),
    "a runtime without range": ("runtime", b'{"python": "latest", "packages": {}}', "runtime_invalid"),
}


@pytest.mark.parametrize("case", BAD_TEXTS)
def test_a_bad_element_is_refused_and_leaves_nothing(case: str, api: Api, store: Path) -> None:
    name, content, code = BAD_TEXTS[case]
    before = counts(store)
    answer = post(api("dana"), {name: content})
    assert answer.status_code == 422
    assert answer.json()["code"] == code, answer.json()
    assert any(place.startswith(name) for place in answer.json()["fields"])
    assert counts(store) == before


def test_a_file_over_the_limit_is_refused_while_it_streams(
    api: Api, elements: dict[str, bytes], store: Path, settings: Any
) -> None:
    settings.UPLOAD_LIMIT = 500
    before = counts(store)
    answer = post(api("dana"), {"model": elements["model"]})
    assert answer.status_code == 413
    assert answer.json()["code"] == "file_too_large"
    assert counts(store) == before


def test_a_full_disk_is_told_and_leaves_nothing(
    api: Api, elements: dict[str, bytes], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    before = counts(store)
    monkeypatch.setattr(storage.os, "fsync", full)  # the disk is the outside world
    answer = post(api("dana"), {"model": elements["model"]})
    assert answer.status_code == 503
    assert answer.json()["code"] == "disk_full"
    assert counts(store) == before


def nominate_without(api: Api, elements: dict[str, bytes], **changes: bytes | None) -> Any:
    """Try to nominate a version in which some elements are changed or missing."""
    sent = {name: changes.get(name, content) for name, content in elements.items()}
    assert post(api("dana"), {n: c for n, c in sent.items() if c is not None}).status_code == 201
    return api("dana").post(f"{URL}1/nominate/")


@pytest.mark.parametrize(
    "name", ["model", "input_schema", "output_schema", "runtime", "golden", "validation", "thresholds"]
)
def test_nothing_is_sealed_without_a_required_element(name: str, api: Api, elements: dict[str, bytes]) -> None:
    answer = nominate_without(api, elements, **{name: None})
    assert answer.status_code == 422
    assert answer.json()["code"] == "element_missing"
    assert list(answer.json()["fields"]) == [name]
    assert ModelVersion.objects.get().state == "draft"


def test_a_schema_that_does_not_match_the_graph_is_not_sealed(api: Api, elements: dict[str, bytes]) -> None:
    schema = json.loads(elements["input_schema"])
    schema["fields"] = schema["fields"][:-1]
    answer = nominate_without(api, elements, input_schema=json.dumps(schema).encode())
    assert (answer.status_code, answer.json()["code"]) == (422, "schema_mismatch")


def test_golden_records_that_break_the_schema_are_not_sealed(api: Api, elements: dict[str, bytes]) -> None:
    lines = elements["golden"].decode().splitlines()
    row = json.loads(lines[3])
    row["input"]["radius"] = -5.0
    lines[3] = json.dumps(row)
    answer = nominate_without(api, elements, golden="\n".join(lines).encode())
    assert (answer.status_code, answer.json()["code"]) == (422, "records_break_schema")
    assert "record 4" in str(answer.json()["fields"]["golden"])
    assert "minimum" in str(answer.json()["fields"]["golden"])


@pytest.mark.parametrize("value", ["1e999", "-1e999"])
def test_a_number_that_is_read_as_infinity_is_not_sealed(value: str, api: Api, elements: dict[str, bytes]) -> None:
    lines = elements["validation"].splitlines()
    lines[1] = re.sub(rb'"radius": [^,]+', f'"radius": {value}'.encode(), lines[1])
    answer = nominate_without(api, elements, validation=b"\n".join(lines))
    assert (answer.status_code, answer.json()["code"]) == (422, "records_break_schema")
    assert "not_finite" in str(answer.json()["fields"]["validation"])


def test_thresholds_speak_of_outputs_that_exist(api: Api, elements: dict[str, bytes]) -> None:
    limits = json.loads(elements["thresholds"])
    limits["metrics"][0]["output"] = "nowhere"
    answer = nominate_without(api, elements, thresholds=json.dumps(limits).encode())
    assert (answer.status_code, answer.json()["code"]) == (422, "thresholds_invalid")


def test_damaged_bytes_in_the_store_are_not_sealed(api: Api, elements: dict[str, bytes], store: Path) -> None:
    assert post(api("dana"), elements).status_code == 201
    digest = Element.objects.get(name="golden").blob_id
    path = store / storage.path_of(digest)
    path.chmod(0o644)
    path.write_bytes(b"other bytes")
    answer = api("dana").post(f"{URL}1/nominate/")
    assert (answer.status_code, answer.json()["code"]) == (422, "blob_damaged")


def test_damaged_bytes_are_mended_by_the_same_file_sent_again(
    api: Api, elements: dict[str, bytes], store: Path
) -> None:
    assert post(api("dana"), elements).status_code == 201
    digest = Element.objects.get(name="golden").blob_id
    path = store / storage.path_of(digest)
    path.chmod(0o644)
    path.write_bytes(b"other bytes")
    assert post(api("dana"), elements).status_code == 201
    assert storage.verify(digest)
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert [api("dana").post(f"{URL}{number}/nominate/").status_code for number in (1, 2)] == [200, 200]


def test_missing_schemas_are_inferred_for_correction(api: Api, elements: dict[str, bytes]) -> None:
    rest = {n: c for n, c in elements.items() if not n.endswith("_schema")}
    assert post(api("dana"), rest).status_code == 201
    answer = api("dana").post(f"{URL}1/infer-schemas/")
    assert answer.status_code == 200, answer.json()
    assert answer.json()["schema_notes"]
    schema = next(e["content"] for e in answer.json()["elements"] if e["name"] == "input_schema")
    assert [f["name"] for f in schema["fields"]] == ["radius", "texture", "perimeter", "area", "smoothness"]
    assert api("dana").post(f"{URL}1/nominate/").status_code == 200


@pytest.mark.parametrize(("who", "status"), [("mallory", 404), ("vera", 403), ("dana", 201)])
def test_only_data_scientists_of_the_model_register(
    who: str, status: int, api: Api, elements: dict[str, bytes]
) -> None:
    answer = post(api(who), {"runtime": elements["runtime"]})
    assert answer.status_code == status
    assert ModelVersion.objects.count() == (1 if status == 201 else 0)


def test_file_names_are_labels_and_never_paths(api: Api, elements: dict[str, bytes], store: Path) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    upload = SimpleUploadedFile("x", elements["runtime"])
    upload.name = "../../../etc/cron.d/evil<script>.json"
    assert api("dana").post(URL, {"runtime": upload}, format="multipart").status_code == 201
    element = Element.objects.get()
    assert "/" not in element.filename
    assert "<" not in element.filename
    assert all(path.parent.parent == store or path.parent == store for path in store.rglob("*") if path.is_file())


def test_the_same_bytes_are_kept_once(api: Api, elements: dict[str, bytes], store: Path) -> None:
    assert post(api("dana"), elements).status_code == 201
    kept = counts(store)[2:]
    assert post(api("dana"), elements).status_code == 201
    assert counts(store)[2:] == kept


def test_onnx_of_the_newest_kind_is_what_the_tests_use(elements: dict[str, bytes]) -> None:
    onnx.checker.check_model(onnx.load_model_from_string(elements["model"]))
