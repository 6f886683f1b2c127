"""Every kind of field over the wire, with real models of both formats: text, truth, null, lists, JSON and binary."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
import skops.io
from onnx import TensorProto

from benchmarks.serving import Engine, Registry, Sealed, packed, seal
from engine.columns import DATATYPES
from engine.schemas import Schema
from tests.engine.conftest import CLASSES, NAMES, Trained, input_schema
from tests.engine.test_formats_onnx import hands_through, listed, record
from tests.engine.test_formats_skops import PEOPLE, RISK, labels, people, pipeline

TYPES = {"b": "boolean", "i": "int", "l": "long", "f": "float", "d": "double", "t": "string"}
CODES = {
    "b": TensorProto.BOOL, "i": TensorProto.INT32, "l": TensorProto.INT64, "f": TensorProto.FLOAT,
    "d": TensorProto.DOUBLE, "t": TensorProto.STRING,
}  # fmt: skip
VALUES: dict[str, list[Any]] = {
    "b": [True, False, True, True],
    "i": [1, -(2**31), 2**31 - 1, 0],
    "l": [2**63 - 1, -(2**63), 0, 5],
    "f": [0.5, -1.25, 65536.0, 0.0],
    "d": [0.1, 1e300, -5e-324, 0.0],
    "t": ["ä", "", "a\nb", "x" * 5000],
}
ALL = record("all", *TYPES.items(), *(listed(f"{name}s", kind, 2) for name, kind in TYPES.items()))


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """A file server that hands out blobs."""
    registry = Registry()
    yield registry
    registry.close()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[Engine]:
    """One engine for all of these tests, for none changes it."""
    engine = Engine(tmp_path_factory.mktemp("kinds") / "engine", registry.url)
    yield engine
    engine.kill()


def serve(engine: Engine, registry: Registry, name: str, path: Path, fmt: str, *schemas: Schema) -> Sealed:
    """Make a model live."""
    inputs, outputs = (orjson.dumps(schema.to_dict()) for schema in schemas)
    elements = {"model": path.read_bytes(), "input_schema": inputs, "output_schema": outputs}
    sealed = seal(name, 1, elements, fmt)
    status, answer = engine.load(registry, sealed, 1)
    assert status == 200, answer
    assert engine.activate(sealed, 1)[0] == 200
    return sealed


@pytest.fixture(scope="module")
def people_model(engine: Engine, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A pipeline over text, truth and null, trained on a DataFrame, live; returned as scikit-learn has it."""
    rows = people()
    fitted = pipeline(PEOPLE.names).fit(pd.DataFrame(rows), labels(rows))
    path = tmp_path_factory.mktemp("people") / "model.skops"
    skops.io.dump(fitted, path)
    serve(engine, registry, "people", path, "skops", PEOPLE, RISK)
    return fitted


@pytest.fixture(scope="module")
def through(engine: Engine, registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A graph that hands every type through, alone and in lists, live."""
    inputs = {name: (code, ["N"]) for name, code in CODES.items()}
    inputs |= {f"{name}s": (code, ["N", 2]) for name, code in CODES.items()}
    path = hands_through(tmp_path_factory.mktemp("all") / "model.onnx", **inputs)
    fields = [(f"out_{name}", kind) for name, kind in TYPES.items()]
    lists = [listed(f"out_{name}s", kind, 2) for name, kind in TYPES.items()]
    serve(engine, registry, "through", path, "onnx", ALL, record("out", *fields, *lists))
    return "/v2/models/through/infer"


def tensors(schema: Schema, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return records as one JSON tensor a field."""
    return [
        {
            "name": one.name,
            "datatype": DATATYPES[one.kind],
            "shape": [len(records), one.size] if one.type == "array" else [len(records)],
            "data": [record[one.name] for record in records],
        }
        for one in schema.fields
    ]


def in_binary(schema: Schema, records: list[dict[str, Any]], **more: Any) -> tuple[bytes, dict[str, str]]:
    """Return records as a body of binary tensors, and its headers."""
    inputs, tail = tensors(schema, records), b""
    for one in inputs:
        flat = np.array(one.pop("data"), "O").ravel().tolist()
        raw = (
            b"".join(map(texted, flat))
            if one["datatype"] == "BYTES"
            else np.array(flat, NUMPY[one["datatype"]]).tobytes()
        )
        one["parameters"] = {"binary_data_size": len(raw)}
        tail += raw
    head = orjson.dumps({"inputs": inputs, **more})
    return head + tail, {"Inference-Header-Content-Length": str(len(head))}


NUMPY = {"BOOL": "?", "INT32": "<i4", "INT64": "<i8", "FP32": "<f4", "FP64": "<f8"}


def texted(text: str) -> bytes:
    return struct.pack("<I", len(text.encode())) + text.encode()


def everything() -> list[dict[str, Any]]:
    """Return four records with every type, alone and in lists."""
    return [
        {name: some[at] for name, some in VALUES.items()} | {f"{name}s": some[:2] for name, some in VALUES.items()}
        for at in range(4)
    ]


def returned(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a JSON answer as records."""
    count = answer["outputs"][0]["shape"][0]
    found: list[dict[str, Any]] = [{} for _ in range(count)]
    for one in answer["outputs"]:
        width = one["shape"][1] if len(one["shape"]) > 1 else 0
        for at, row in enumerate(found):
            row[one["name"]] = one["data"][at * width : (at + 1) * width] if width else one["data"][at]
    return found


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("count", [1, 4, 400])
def test_every_type_goes_through_unchanged(engine: Engine, through: str, binary: bool, count: int) -> None:
    records = (everything() * 100)[:count]
    body, headers = in_binary(ALL, records) if binary else ({"inputs": tensors(ALL, records)}, {})
    status, answer = engine.ask("POST", through, body, headers)
    assert status == 200, answer
    assert returned(answer) == [{f"out_{name}": value for name, value in record.items()} for record in records]


def test_text_and_truth_come_back_in_binary(engine: Engine, through: str) -> None:
    body, headers = in_binary(ALL, everything(), parameters={"binary_data_output": True})
    status, answer = engine.ask("POST", through, body, headers)
    assert status == 200
    head, end = orjson.loads(answer[: answer.index(b"}]}") + 3]), answer.index(b"}]}") + 3
    for one in head["outputs"]:
        size = one["parameters"]["binary_data_size"]
        raw, end = answer[end : end + size], end + size
        values = [record[one["name"].removeprefix("out_")] for record in everything()]
        flat = np.array(values, "O").ravel().tolist()
        if one["datatype"] == "BYTES":
            assert raw == b"".join(map(texted, flat))
        else:
            assert np.frombuffer(raw, NUMPY[one["datatype"]]).tolist() == flat
    assert end == len(answer)


def test_answers_are_of_the_types_that_the_metadata_promise(
    engine: Engine, through: str, people_model: Any, classifier: Trained, registry: Registry
) -> None:
    serve(engine, registry, "numbers", classifier.onnx, "onnx", Schema.parse(input_schema()), Schema.parse(CLASSES))
    for name, schema, records in (
        ("through", ALL, everything()),
        ("people", PEOPLE, people(4)),
        ("numbers", Schema.parse(input_schema()), classifier.records(4)),
    ):
        told = engine.ask("GET", f"/v2/models/{name}")[1]
        answer = engine.ask("POST", f"/v2/models/{name}/infer", {"inputs": tensors(schema, records)})[1]
        assert [(one["name"], one["datatype"]) for one in told["inputs"]] == [
            (one["name"], one["datatype"]) for one in tensors(schema, records)
        ]
        for promised, given in zip(told["outputs"], answer["outputs"], strict=True):
            assert (given["name"], given["datatype"]) == (promised["name"], promised["datatype"])
            assert given["shape"] == [4, *promised["shape"][1:]]


@pytest.mark.parametrize("count", [1, 120])
def test_a_pipeline_over_text_truth_and_null(engine: Engine, people_model: Any, count: int) -> None:
    rows = people()[:count]
    status, answer = engine.ask("POST", "/v2/models/people/infer", {"inputs": tensors(PEOPLE, rows)})
    assert status == 200, answer
    frame = pd.DataFrame(rows).astype({"income": float})
    assert [one["risk"] for one in returned(answer)] == people_model.predict(frame).tolist()
    assert [one["p"] for one in returned(answer)] == people_model.predict_proba(frame).tolist()


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("age", None, "null"), ("age", 41.5, "type"), ("age", "41", "type"), ("age", 2**31, "type"),
        ("city", None, "null"), ("city", 7, "type"), ("city", "x" * 10_001, "size"), ("member", 1, "type"),
        ("member", "true", "type"), ("income", "9", "type"), ("income", True, "type"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused_by_name(
    engine: Engine, people_model: Any, field: str, value: Any, rule: str
) -> None:
    rows = [*people(2), people(1)[0] | {field: value}]
    status, answer = engine.ask("POST", "/v2/models/people/infer", {"inputs": tensors(PEOPLE, rows)})
    assert (status, answer["code"]) == (400, "schema_violation")
    assert [(one["record"], one["field"], one["rule"]) for one in answer["violations"]] == [(2, field, rule)]


def test_a_packed_tensor_is_for_numbers_only(engine: Engine, people_model: Any) -> None:
    status, answer = engine.ask("POST", "/v2/models/people/infer", packed([[1.0, 2.0, 3.0, 4.0]]))
    assert (status, answer["code"]) == (400, "not_packable")


@pytest.mark.parametrize("fmt", ["onnx", "skops"])
@pytest.mark.parametrize("count", [1, 300])
def test_packed_and_named_give_the_same_in_both_formats(
    engine: Engine, registry: Registry, classifier: Trained, fmt: str, count: int
) -> None:
    schema = Schema.parse(input_schema())
    serve(engine, registry, f"classifier-{fmt}", getattr(classifier, fmt), fmt, schema, Schema.parse(CLASSES))
    url = f"/v2/models/classifier-{fmt}/infer"
    records = classifier.records(count)
    named = engine.ask("POST", url, {"inputs": tensors(schema, records)})
    matrix = engine.ask("POST", url, packed([list(record.values()) for record in records]))
    body, headers = in_binary(schema, records)
    assert named == matrix == engine.ask("POST", url, body, headers)
    assert named[0] == 200
    labels = classifier.estimator.predict(classifier.x[:count]).tolist()
    assert [one["label"] for one in returned(named[1])] == labels
    shares = classifier.estimator.predict_proba(classifier.x[:count])
    np.testing.assert_allclose([one["probabilities"] for one in returned(named[1])], shares, atol=1e-5)


def shaped(**change: Any) -> dict[str, Any]:
    """Return a request of two records with one tensor changed."""
    inputs = tensors(ALL, everything()[:2])
    for one in inputs:
        one |= change.get(one["name"], {})
    return {"inputs": inputs}


@pytest.mark.parametrize(
    "request_",
    [
        shaped(f={"shape": [2, 2]}), shaped(f={"shape": [2, 2], "data": [[1.0, 2.0]] * 2}), shaped(f={"shape": [3]}),
        shaped(f={"shape": [3], "data": [1.0] * 3}), shaped(f={"shape": [1], "data": [1.0]}),
        shaped(fs={"shape": [2, 3], "data": [[1.0, 2.0, 3.0]] * 2}), shaped(fs={"shape": [2], "data": [1.0, 2.0]}),
        shaped(fs={"shape": [2, 2], "data": [[1.0, 2.0], [1.0]]}), shaped(fs={"shape": [2, 2], "data": [[1.0], [2.0]]}),
        shaped(ts={"shape": [2, 2], "data": [["a", "b"], "cd"]}), shaped(f={"shape": []}), shaped(f={"shape": [2.0]}),
        shaped(f={"shape": [2, 10**6, 10**6]}), shaped(f={"shape": [True, 2]}),
    ],
)  # fmt: skip
def test_a_tensor_of_another_shape_is_refused(engine: Engine, through: str, request_: dict[str, Any]) -> None:
    status, answer = engine.ask("POST", through, request_)
    assert status == 400
    assert answer["code"] in {"shape", "schema_violation", "bad_request"}
    assert "outputs" not in answer


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("t", b"\x05\0\0\0abc"), ("t", b"\xff\xff\xff\xffa"), ("t", b"\1\0\0\0\xff\1\0\0\0a"), ("t", b"\0\0"),
        ("b", b"\2\0"), ("f", b"\0" * 7), ("d", np.array([np.nan, 1]).tobytes()),
        ("d", np.array([np.inf, 1]).tobytes()), ("f", np.array([-np.inf, 1], "<f4").tobytes()),
    ],
)  # fmt: skip
def test_bytes_that_are_no_values_are_refused(engine: Engine, through: str, name: str, raw: bytes) -> None:
    inputs = tensors(ALL, everything()[:2])
    for one in inputs:
        if one["name"] == name:
            del one["data"]
            one["parameters"] = {"binary_data_size": len(raw)}
    head = orjson.dumps({"inputs": inputs})
    headers = {"Inference-Header-Content-Length": str(len(head))}
    status, answer = engine.ask("POST", through, head + raw, headers)
    assert status == 400
    assert answer["code"] in {"shape", "bad_request", "schema_violation"}
    for body, odd in (
        (head + raw + b"x", headers),
        (head, headers),
        (head + raw, {}),
        (head + raw, {"Inference-Header-Content-Length": "-1"}),
    ):
        assert engine.ask("POST", through, body, odd)[0] == 400


def test_a_category_that_training_never_saw_is_told_as_a_failure(
    engine: Engine, registry: Registry, tmp_path: Path
) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    x = np.array([["a"], ["b"]] * 9, dtype=object)
    skops.io.dump(make_pipeline(OneHotEncoder(), LogisticRegression()).fit(x, [0, 1] * 9), tmp_path / "m.skops")
    schema, outputs = record("i", ("kind", "string")), record("o", ("label", "long"))
    serve(engine, registry, "narrow", tmp_path / "m.skops", "skops", schema, outputs)
    good = engine.ask("POST", "/v2/models/narrow/infer", {"inputs": tensors(schema, [{"kind": "b"}])})
    assert (good[0], returned(good[1])) == (200, [{"label": 1}])
    status, answer = engine.ask("POST", "/v2/models/narrow/infer", {"inputs": tensors(schema, [{"kind": "c"}])})
    assert (status, answer["code"]) == (500, "prediction_failed")
    assert "Traceback" not in str(answer)


def test_a_skops_version_comes_back_after_a_kill(registry: Registry, classifier: Trained, tmp_path: Path) -> None:
    schema = Schema.parse(input_schema())
    first = Engine(tmp_path / "engine", registry.url)
    serve(first, registry, "classifier", classifier.skops, "skops", schema, Schema.parse(CLASSES))
    rows = {"inputs": tensors(schema, classifier.records(5))}
    before = first.ask("POST", "/v2/models/classifier/infer", rows)
    first.kill()
    again = Engine(tmp_path / "engine", registry.url)
    try:
        assert again.ask("POST", "/v2/models/classifier/infer", rows) == before
        assert again.ask("GET", "/v2/models/classifier")[1]["platform"] == "skops"
        assert before[0] == 200
        assert schema.names == NAMES
    finally:
        again.kill()
