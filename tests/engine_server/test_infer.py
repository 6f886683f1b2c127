"""Scoring over HTTP: right answers, and a plain refusal for every record that breaks the schema."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import onnxruntime
import orjson
import pytest

from benchmarks.serving import Engine, Registry, Sample, Sealed, packed, seal

URL = "/v2/models/sample/infer"


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """A file server that hands out blobs."""
    registry = Registry()
    yield registry
    registry.close()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[Engine]:
    """One engine for all of these tests, for none changes it."""
    engine = Engine(tmp_path_factory.mktemp("infer") / "engine", registry.url)
    yield engine
    engine.kill()


@pytest.fixture(scope="module")
def live(engine: Engine, registry: Registry, sample: Sample) -> Sealed:
    """Version 1 of the sample, live."""
    sealed = seal("sample", 1, sample.elements())
    assert engine.load(registry, sealed, 1)[0] == 200
    assert engine.activate(sealed, 1)[0] == 200
    return sealed


def expected(sample: Sample, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what onnxruntime itself says."""
    session = onnxruntime.InferenceSession(sample.onnx, providers=["CPUExecutionProvider"])
    label, probabilities = session.run(None, {session.get_inputs()[0].name: rows.astype("f4")})
    return label, probabilities


def columns(answer: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return an answer's outputs as arrays."""
    return {one["name"]: np.array(one["data"]).reshape(one["shape"]) for one in answer["outputs"]}


def by_field(sample: Sample, rows: np.ndarray, names: list[str] | None = None) -> dict[str, Any]:
    """Return a request with one tensor a field."""
    inputs = [
        {"name": name, "datatype": "FP64", "shape": [len(rows), 1], "data": [[v] for v in rows[:, at].tolist()]}
        for at, name in enumerate(sample.names)
        if names is None or name in names
    ]
    return {"inputs": inputs}


@pytest.mark.parametrize("count", [1, 2, 1000])
@pytest.mark.parametrize("way", ["flat", "nested", "by field", "by field in another order"])
def test_answers_equal_onnxruntime(engine: Engine, live: Sealed, sample: Sample, count: int, way: str) -> None:
    rows = np.vstack([sample.records, sample.records])[:count]
    request = packed(rows.tolist()) if way in {"flat", "nested"} else by_field(sample, rows)
    if way == "nested":
        request["inputs"][0]["data"] = rows.tolist()
    if way == "by field in another order":
        request["inputs"].reverse()
    status, answer = engine.ask("POST", URL, request | {"id": "my-1"})
    label, probabilities = expected(sample, rows)
    assert status == 200, answer
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("sample", "1", "my-1")
    assert columns(answer)["label"].tolist() == label.tolist()
    np.testing.assert_allclose(columns(answer)["probabilities"], probabilities, atol=1e-6)


@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
def test_binary_tensors_in_and_out(engine: Engine, live: Sealed, sample: Sample, datatype: str) -> None:
    rows = sample.records[:100].astype("<f4" if datatype == "FP32" else "<f8")
    tensor = {"name": "records", "datatype": datatype, "shape": [100, 30]}
    tensor["parameters"] = {"binary_data_size": rows.nbytes}  # type: ignore[assignment]
    head = orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    with closing(http.client.HTTPConnection("127.0.0.1", engine.port)) as connection:
        connection.request("POST", URL, head + rows.tobytes(), {"Inference-Header-Content-Length": str(len(head))})
        answer = connection.getresponse()
        body, split = answer.read(), int(answer.headers["Inference-Header-Content-Length"])
    told = orjson.loads(body[:split])
    sizes = [one["parameters"]["binary_data_size"] for one in told["outputs"]]
    assert [one["name"] for one in told["outputs"]] == ["label", "probabilities"]
    label = np.frombuffer(body[split : split + sizes[0]], "<i8")
    probabilities = np.frombuffer(body[split + sizes[0] :], "<f4").reshape(100, 2)
    want = expected(sample, rows)
    assert label.tolist() == want[0].tolist()
    np.testing.assert_allclose(probabilities, want[1], atol=1e-6)


def broken(sample: Sample, at: int, place: int, value: Any) -> dict[str, Any]:
    """Return three good records with one value replaced."""
    rows = sample.records[:3].tolist()
    rows[at][place] = value
    return packed(rows)


@pytest.mark.parametrize("rows", ["packed", "by field"])
@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (None, "null"),
        (-0.5, "minimum"),
        (1e9, "maximum"),
        ("1.5", "type"),
        (True, "type"),
        (False, "type"),
        ([1.0], "type"),
    ],
)
def test_a_bad_value_is_refused_by_name(
    engine: Engine, live: Sealed, sample: Sample, value: Any, rule: str, rows: str
) -> None:
    request = broken(sample, 2, 4, value)
    if rows == "by field":
        request = by_field(sample, sample.records[:3])
        request["inputs"][4]["data"] = [[0.1], [0.1], [value]]
    status, answer = engine.ask("POST", URL, request)
    assert (status, answer["code"]) == (400, "schema_violation")
    (violation,) = answer["violations"]
    assert (violation["record"], violation["field"], violation["rule"]) == (2, "mean_smoothness", rule)
    assert violation["value"] == (str(value) if isinstance(value, list) else value)


@pytest.mark.parametrize(("value", "told"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
@pytest.mark.parametrize("count", [1, 50])
def test_not_finite_values_are_refused(
    engine: Engine, live: Sealed, sample: Sample, value: float, told: str, count: int
) -> None:
    rows = sample.records[:count].astype("<f8")
    rows[count - 1, 7] = value
    tensor = {
        "name": "records",
        "datatype": "FP64",
        "shape": [count, 30],
        "parameters": {"binary_data_size": rows.nbytes},
    }
    head = orjson.dumps({"inputs": [tensor]})
    headers = {"Inference-Header-Content-Length": str(len(head))}
    status, answer = engine.ask("POST", URL, head + rows.tobytes(), headers)
    assert status == 400
    assert [(v["record"], v["rule"], v["value"]) for v in answer["violations"]] == [(count - 1, "not_finite", told)]
    assert (
        engine.ask("POST", URL, b'{"inputs":[{"name":"records","datatype":"FP64","shape":[1,1],"data":[NaN]}]}')[0]
        == 400
    )


def test_missing_and_extra_fields_are_refused(engine: Engine, live: Sealed, sample: Sample) -> None:
    status, answer = engine.ask("POST", URL, by_field(sample, sample.records[:1], sample.names[1:]))
    assert (status, answer["violations"][0]["rule"], answer["violations"][0]["field"]) == (
        400,
        "missing",
        sample.names[0],
    )
    request = by_field(sample, sample.records[:1])
    request["inputs"].append({"name": "shoe_size", "datatype": "FP64", "shape": [1], "data": [44]})
    status, answer = engine.ask("POST", URL, request)
    assert (status, answer["violations"][0]["rule"], answer["violations"][0]["field"]) == (
        400,
        "unknown_field",
        "shoe_size",
    )


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'{"inputs":{}}', b'{"inputs":[]}', b'{"inputs":[1]}', b'{"inputs":[{}]}',
        b'{"inputs":[{"name":"records","shape":[1,30],"datatype":"FP64"}]}',
        b'{"inputs":[{"name":"records","shape":[0,30],"datatype":"FP64","data":[]}]}',
        b'{"inputs":[{"name":"records","shape":[-1,30],"datatype":"FP64","data":[]}]}',
        b'{"inputs":[{"name":"records","shape":[1,29],"datatype":"FP64","data":[1]}]}',
        b'{"inputs":[{"name":"records","shape":[1,1],"datatype":"FP65","data":[1]}]}',
        b'{"inputs":[{"name":"records","shape":[1.0,1],"datatype":"FP64","data":[1]}]}',
        b'{"inputs":[{"name":["a"],"shape":[1],"datatype":"FP64","data":[1]}]}',
        b'{"inputs":[{"name":"a","shape":[1],"datatype":"FP64","data":[1]},{"name":"a","shape":[1],"datatype":"FP64","data":[1]}]}',
        b'{"inputs":[{"name":"a","shape":[1],"datatype":"FP64","data":"x"}]}',
        b'{"inputs":[{"name":"a","shape":[2],"datatype":"FP64","data":[[1],[2,3]]}],"id":7}',
        b'{"inputs":[{"name":"records","shape":[1,30],"datatype":"FP64","data":[' + b"[" * 2000 + b"]}]}",
    ],
)  # fmt: skip
def test_malformed_requests_get_a_sentence(engine: Engine, live: Sealed, body: bytes) -> None:
    status, answer = engine.ask("POST", URL, body)
    assert status == 400
    assert answer["error"]
    assert answer["code"]
    assert engine.ask("GET", "/v2/health/ready")[0] == 200


def test_odd_values_do_not_pass_for_numbers(engine: Engine, live: Sealed, sample: Sample) -> None:
    """A fraction in an integer tensor is refused, not cut off; an unknown output is named."""
    row = sample.records[0].tolist()
    status, answer = engine.ask("POST", URL, packed([row], "INT64"))
    assert (status, answer["code"]) == (400, "datatype")
    status, answer = engine.ask("POST", URL, packed([row]) | {"outputs": [{"name": "secret"}]})
    assert (status, answer["code"]) == (400, "unknown_output")
    status, answer = engine.ask("POST", URL, packed([row]) | {"outputs": [{"name": "label"}]})
    assert [one["name"] for one in answer["outputs"]] == ["label"]


def test_a_long_list_of_violations_is_cut(engine: Engine, live: Sealed) -> None:
    status, answer = engine.ask("POST", URL, packed([[-1.0] * 30] * 500))
    assert status == 400
    assert len(answer["violations"]) == 100


@pytest.mark.parametrize("count", [1, 40])
def test_a_value_beyond_the_models_numbers_is_refused(
    engine: Engine, registry: Registry, sample: Sample, count: int
) -> None:
    """A double without limits may hold 1e300; the graph's 32-bit numbers cannot, and infinity is no record."""
    fields = [{"name": name, "type": "double"} for name in sample.names]
    wide = orjson.dumps({"type": "record", "name": "Wide", "fields": fields})
    sealed = seal("wide", 1, sample.elements() | {"input_schema": wide})
    assert engine.load(registry, sealed, 1)[0] == 200
    rows = sample.records[:count].tolist()
    rows[-1][3] = 1e300
    for request in (packed(rows), by_field(sample, np.array(rows))):
        status, answer = engine.ask("POST", "/v2/models/wide/versions/1/infer", request)
        told = [(v["record"], v["field"], v["rule"], v["value"]) for v in answer["violations"]]
        assert (status, told) == (400, [(count - 1, "mean_area", "type", 1e300)])
