"""ONNX models: fields are bound to inputs and outputs of the graph, and answers are what onnxruntime itself says."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from engine.columns import Columns
from engine.errors import FormatError
from engine.formats import Model, open_model
from engine.formats.onnx import infer_schemas
from engine.schemas import Schema
from tests.engine.conftest import CLASSES, NAMES, NUMBER, Trained, input_schema

FLOAT, DOUBLE, INT32, INT64, TEXT, BOOL = (
    TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT32, TensorProto.INT64, TensorProto.STRING, TensorProto.BOOL,
)  # fmt: skip


def record(name: str, *fields: tuple[str, Any] | dict[str, Any]) -> Schema:
    """Return a schema from pairs of name and type, or whole fields."""
    rows = [one if isinstance(one, dict) else {"name": one[0], "type": one[1]} for one in fields]
    return Schema.parse({"type": "record", "name": name, "fields": rows})


def listed(name: str, items: str, size: int | None = None) -> dict[str, Any]:
    """Return a field of lists."""
    return {"name": name, "type": {"type": "array", "items": items}} | ({"size": size} if size else {})


def hands_through(path: Path, **inputs: tuple[int, list[Any]]) -> Path:
    """Write a graph that gives each of its inputs, of some type and shape, as an output named `out_…`."""
    nodes = [helper.make_node("Identity", [name], [f"out_{name}"]) for name in inputs]
    given = [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()]
    told = [helper.make_tensor_value_info(f"out_{name}", *kind) for name, kind in inputs.items()]
    opset = [helper.make_opsetid("", 17)]
    graph = helper.make_graph(nodes, "g", given, told)
    path.write_bytes(helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString())
    return path


def predicted(model: Model, schema: Schema, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return output columns for records that meet their schema."""
    assert not [wrong for record in records for wrong in schema.check(record)]
    with np.errstate(over="raise"):
        return model.predict(Columns(schema).from_records(records))


def refused(path: Path, inputs: Schema, outputs: Schema) -> FormatError:
    with pytest.raises(FormatError) as refusal:
        open_model(path, "onnx", inputs, outputs)
    return refusal.value


def test_a_classifier_says_what_onnxruntime_says(classifier: Trained) -> None:
    schema, rows = Schema.parse(input_schema()), classifier.x[:200]
    model = open_model(classifier.onnx, "onnx", schema, Schema.parse(CLASSES))
    label, probabilities = ort.InferenceSession(classifier.onnx).run(None, {"X": rows.astype("f4")})
    for got in (predicted(model, schema, classifier.records(200)), model.predict_packed(rows)):
        assert got["label"].tolist() == label.tolist()
        assert got["probabilities"].tolist() == probabilities.tolist()
    assert got["label"].tolist() == classifier.estimator.predict(rows).tolist()
    np.testing.assert_allclose(got["probabilities"], classifier.estimator.predict_proba(rows), atol=1e-5)


def test_a_regressors_column_of_one_becomes_single_values(regressor: Trained) -> None:
    schema = Schema.parse(input_schema())
    got = predicted(open_model(regressor.onnx, "onnx", schema, Schema.parse(NUMBER)), schema, regressor.records(50))
    assert got["prediction"].shape == (50,)
    np.testing.assert_allclose(got["prediction"], regressor.estimator.predict(regressor.x[:50]), rtol=1e-4)


def test_named_inputs_of_text_and_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    ages, cities = rng.integers(18, 90, 120), rng.choice(["oslo", "rome", "lima"], 120)
    table = np.column_stack([ages.astype(object), cities.astype(object)])
    steps = [("age", StandardScaler(), [0]), ("city", OneHotEncoder(sparse_output=False), [1])]
    fitted = make_pipeline(ColumnTransformer(steps), LogisticRegression()).fit(
        table, ages + 9 * (cities == "rome") > 50
    )
    kinds = [("age", Int64TensorType([None, 1])), ("city", StringTensorType([None, 1]))]
    path = tmp_path / "m.onnx"
    path.write_bytes(to_onnx(fitted, initial_types=kinds, options={"zipmap": False}).SerializeToString())
    schema = record("i", ("city", "string"), ("age", "int"))  # in another order than the graph
    outputs = record("o", ("label", "boolean"), listed("probabilities", "double", 2))
    records = [{"age": int(age), "city": str(city)} for age, city in zip(ages, cities, strict=True)]
    with pytest.raises(FormatError, match="label is boolean; the graph gives tensor"):
        open_model(path, "onnx", schema, outputs)
    outputs = record("o", ("label", "long"), listed("probabilities", "double", 2))
    got = predicted(open_model(path, "onnx", schema, outputs), schema, records)
    assert got["label"].tolist() == fitted.predict(table).astype(int).tolist()
    np.testing.assert_allclose(got["probabilities"], fitted.predict_proba(table), atol=1e-5)


def test_every_type_alone_and_in_lists_goes_through_unchanged(tmp_path: Path) -> None:
    types: dict[str, tuple[int, str, list[Any]]] = {
        "f": (FLOAT, "float", [0.5, -3.4028234663852886e38]),
        "d": (DOUBLE, "double", [0.1, 1e300]),
        "i": (INT32, "int", [2**31 - 1, -(2**31)]),
        "l": (INT64, "long", [2**63 - 1, -(2**63)]),
        "t": (TEXT, "string", ["ä\n", ""]),
        "b": (BOOL, "boolean", [True, False]),
    }
    inputs = {n: (code, ["N"]) for n, (code, _, _) in types.items()}
    inputs |= {f"{n}s": (code, ["N", 2]) for n, (code, _, _) in types.items()}
    path = hands_through(tmp_path / "m.onnx", **inputs)
    fields = [(n, kind) for n, (_, kind, _) in types.items()]
    schema = record("i", *fields, *(listed(f"{n}s", kind, 2) for n, kind in fields))
    outputs = record("o", *((f"out_{n}", k) for n, k in fields), *(listed(f"out_{n}s", k, 2) for n, k in fields))
    records = [
        {n: v[at] for n, (_, _, v) in types.items()} | {f"{n}s": v for n, (_, _, v) in types.items()} for at in (0, 1)
    ]
    got = predicted(open_model(path, "onnx", schema, outputs), schema, records)
    back = Columns(outputs).to_records(got, 2)
    assert back == [{f"out_{name}": value for name, value in one.items()} for one in records]
    assert not [wrong for one in back for wrong in outputs.check(one)]


def test_answers_have_the_type_that_the_schema_promises(tmp_path: Path) -> None:
    path = hands_through(tmp_path / "m.onnx", f=(FLOAT, ["N"]), d=(DOUBLE, ["N"]), i=(INT32, ["N"]), l=(INT64, ["N"]))
    schema = record("i", ("f", "float"), ("d", "double"), ("i", "int"), ("l", "long"))
    outputs = record("o", ("out_f", "double"), ("out_d", "float"), ("out_i", "long"), ("out_l", "int"))
    model = open_model(path, "onnx", schema, outputs)
    got = predicted(model, schema, [{"f": 0.5, "d": 0.1, "i": 7, "l": -(2**31)}])
    kinds = {name: column.dtype.str for name, column in got.items()}
    assert kinds == {"out_f": "<f8", "out_d": "<f4", "out_i": "<i8", "out_l": "<i4"}
    assert [column.tolist() for column in got.values()] == [[0.5], [float(np.float32(0.1))], [7], [-(2**31)]]
    with pytest.raises(FloatingPointError):
        predicted(model, schema, [{"f": 0.5, "d": 0.1, "i": 7, "l": 2**31}])
    with pytest.raises(FloatingPointError):
        predicted(model, schema, [{"f": 0.5, "d": 1e39, "i": 7, "l": 1}])


def test_fractions_for_whole_numbers_are_left_for_the_schema_to_refuse(tmp_path: Path) -> None:
    path = hands_through(tmp_path / "m.onnx", x=(FLOAT, ["N"]))
    outputs = record("o", ("out_x", "long"))
    schema = record("i", ("x", "float"))
    got = predicted(open_model(path, "onnx", schema, outputs), schema, [{"x": 2.5}])
    assert [wrong.rule for wrong in outputs.check(Columns(outputs).to_records(got, 1)[0])] == ["type"]


@pytest.mark.parametrize(("value", "fits"), [(2**31 - 1, True), (2**31, False), (-(2**31), True), (-(2**63), False)])
def test_a_whole_number_never_wraps_around(tmp_path: Path, value: int, fits: bool) -> None:
    outputs = record("o", ("out_x", "int"))
    for shape, schema in ((["N"], record("i", ("x", "long"))), (["N", 1], record("i", ("number", "long")))):
        path = hands_through(tmp_path / "m.onnx", x=(INT32, shape))
        model = open_model(path, "onnx", schema, outputs)
        if fits:
            assert predicted(model, schema, [{schema.names[0]: value}])["out_x"].tolist() == [value]
        else:
            with pytest.raises(FloatingPointError):
                predicted(model, schema, [{schema.names[0]: value}])


def test_a_double_beyond_32_bits_is_no_infinity(classifier: Trained) -> None:
    schema = Schema.parse(input_schema())
    model = open_model(classifier.onnx, "onnx", schema, Schema.parse(CLASSES))
    with pytest.raises(FloatingPointError):
        predicted(model, schema, [classifier.records(1)[0] | {"radius": 1e39}])


def test_lists_of_any_length_must_agree_within_a_request(tmp_path: Path) -> None:
    path = hands_through(tmp_path / "m.onnx", x=(FLOAT, ["N", "K"]))
    schema, outputs = record("i", listed("x", "float")), record("o", listed("out_x", "float"))
    model = open_model(path, "onnx", schema, outputs)
    assert predicted(model, schema, [{"x": [1.0, 2.0]}, {"x": [3.0, 4.0]}])["out_x"].tolist() == [[1, 2], [3, 4]]
    with pytest.raises(Exception, match="differ in length") as refusal:
        predicted(model, schema, [{"x": [1.0]}, {"x": [3.0, 4.0]}])
    assert getattr(refusal.value, "code", "") == "shape"


X3 = {"x": (FLOAT, ["N", 3])}
OUT3 = record("o", listed("out_x", "float", 3))


@pytest.mark.parametrize(
    ("inputs", "schema", "field"),
    [
        (X3, record("i", ("a", "float"), ("b", "float")), ""),
        (X3, record("i", ("a", "float"), ("b", "float"), ("c", "string")), "c"),
        (X3, record("i", ("a", "float"), ("b", "float"), ("c", ["null", "float"])), "c"),
        (X3, record("i", ("a", "float"), ("b", "float"), listed("c", "float", 1)), "c"),
        (X3, record("i", listed("x", "float", 2)), "x"),
        (X3, record("i", listed("x", "float")), "x"),
        (X3, record("i", listed("x", "string", 3)), "x"),
        ({"x": (INT64, ["N", 3])}, record("i", ("a", "long"), ("b", "long"), ("c", "double")), "c"),
        ({"x": (FLOAT, ["N", 2, 2])}, record("i", listed("x", "float", 4)), "x"),
    ],
)  # fmt: skip
def test_a_schema_that_does_not_fit_the_graph_is_refused(
    tmp_path: Path, inputs: dict[str, Any], schema: Schema, field: str
) -> None:
    refusal = refused(hands_through(tmp_path / "m.onnx", **inputs), schema, OUT3)
    assert (refusal.code, refusal.field) == ("schema_mismatch", field)


NAMED = {"a": (FLOAT, ["N", 1]), "b": (INT64, ["N"])}


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        (record("i", ("a", "float")), "b"),
        (record("i", ("a", "float"), ("b", "long"), ("c", "long")), "c"),
        (record("i", ("a", "float"), ("b", "double")), "b"),
        (record("i", ("a", ["null", "float"]), ("b", "long")), "a"),
        (record("i", listed("a", "float", 1), ("b", "long")), None),
        (record("i", listed("a", "float", 2), ("b", "long")), "a"),
        (record("i", ("a", "float"), listed("b", "long", 1)), "b"),
        (record("i", ("a", "string"), ("b", "long")), "a"),
    ],
)  # fmt: skip
def test_named_inputs_take_their_own_kind_only(tmp_path: Path, schema: Schema, field: str | None) -> None:
    path = hands_through(tmp_path / "m.onnx", **NAMED)
    outputs = record("o", ("out_a", "float"), ("out_b", "long"))
    if field is None:
        assert open_model(path, "onnx", schema, outputs)
        return
    refusal = refused(path, schema, outputs)
    assert (refusal.code, refusal.field) == ("schema_mismatch", field)


@pytest.mark.parametrize(
    ("outputs", "field"),
    [
        (record("o", ("label", "long")), ""),
        (record("o", ("label", "string"), listed("probabilities", "double", 2)), "label"),
        (record("o", ("label", "long"), ("probabilities", "double")), "probabilities"),
        (record("o", listed("probabilities", "double", 2), ("somehow", "long")), "probabilities"),
    ],
)
def test_outputs_are_bound_in_order_or_by_name(classifier: Trained, outputs: Schema, field: str) -> None:
    refusal = refused(classifier.onnx, Schema.parse(input_schema()), outputs)
    assert (refusal.code, refusal.field) == ("schema_mismatch", field)


def test_outputs_named_as_in_the_graph_may_stand_in_any_order(tmp_path: Path) -> None:
    path = hands_through(tmp_path / "m.onnx", a=(FLOAT, ["N"]), b=(FLOAT, ["N"]))
    schema, outputs = record("i", ("b", "float"), ("a", "float")), record("o", ("out_b", "float"), ("out_a", "float"))
    got = predicted(open_model(path, "onnx", schema, outputs), schema, [{"a": 1.0, "b": 2.0}])
    assert {name: column.tolist() for name, column in got.items()} == {"out_a": [1.0], "out_b": [2.0]}
    half = record("o", ("first", "float"), ("out_a", "float"))
    assert refused(path, schema, half).field == "out_a"


def test_several_outputs_at_once_are_right(tmp_path: Path) -> None:
    x = np.random.default_rng(2).normal(size=(90, 3))
    fitted = Ridge().fit(x, np.column_stack([x @ [1, 2, 3], x @ [3, 2, 1]]))
    path = tmp_path / "m.onnx"
    path.write_bytes(to_onnx(fitted, initial_types=[("X", FloatTensorType([None, 3]))]).SerializeToString())
    schema = Schema.parse(input_schema())
    model = open_model(path, "onnx", schema, record("o", listed("both", "double", 2)))
    np.testing.assert_allclose(model.predict_packed(x)["both"], fitted.predict(x), rtol=1e-3, atol=1e-4)
    assert refused(path, schema, Schema.parse(NUMBER)).field == "prediction"


@pytest.mark.parametrize("shape", [[1, 3], [8, 3], [3]])
def test_a_graph_for_a_fixed_number_of_records_is_refused(tmp_path: Path, shape: list[Any]) -> None:
    path = hands_through(tmp_path / "m.onnx", x=(FLOAT, shape))
    for call in (lambda: infer_schemas(path), lambda: open_model(path, "onnx", Schema.parse(input_schema()), OUT3)):
        with pytest.raises(FormatError, match="free first axis") as refusal:
            call()
        assert refusal.value.code == "model_not_loadable"


def test_a_type_without_an_avro_type_is_refused(tmp_path: Path) -> None:
    path = hands_through(tmp_path / "m.onnx", x=(TensorProto.UINT8, ["N", 3]))
    assert refused(path, Schema.parse(input_schema("int")), OUT3).code == "output_unsupported"
    with pytest.raises(FormatError, match="uint8") as refusal:
        infer_schemas(path)
    assert refusal.value.code == "schema_mismatch"


def test_a_map_of_probabilities_is_refused(classifier: Trained, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(to_onnx(classifier.estimator, classifier.x[:1].astype("f4")).SerializeToString())
    assert refused(path, Schema.parse(input_schema()), Schema.parse(CLASSES)).code == "output_unsupported"
    with pytest.raises(FormatError, match="zipmap off"):
        infer_schemas(path)


def test_schemas_are_inferred_from_the_graph(tmp_path: Path, classifier: Trained) -> None:
    inputs, outputs, notes = infer_schemas(classifier.onnx)
    assert [(one.name, one.type) for one in inputs.fields] == [(f"feature_{at}", "float") for at in range(3)]
    assert [(one.name, one.type, one.size) for one in outputs.fields] == [
        ("label", "long", None), ("probabilities", "array", 2),
    ]  # fmt: skip
    assert "3 values without names" in notes[0]
    inputs, outputs, _ = infer_schemas(hands_through(tmp_path / "m.onnx", **NAMED, **{"c:0": (TEXT, ["N", 4])}))
    assert [(one.name, one.kind, one.size) for one in inputs.fields] == [
        ("a", "float", None), ("b", "long", None), ("c_0", "string", 4),
    ]  # fmt: skip
    assert open_model(tmp_path / "m.onnx", "onnx", inputs, outputs)
    assert Schema.parse(inputs.to_dict()).to_dict() == inputs.to_dict()


def test_inferred_schemas_open_the_model_they_come_from(classifier: Trained, regressor: Trained) -> None:
    for trained in (classifier, regressor):
        inputs, outputs, _ = infer_schemas(trained.onnx)
        model = open_model(trained.onnx, "onnx", inputs, outputs)
        assert len(next(iter(model.predict_packed(trained.x[:7]).values()))) == 7


def test_names_of_the_graph_that_are_no_fields_are_refused_when_they_clash(tmp_path: Path) -> None:
    path = hands_through(tmp_path / "m.onnx", **{"a:0": (FLOAT, ["N"]), "a_0": (FLOAT, ["N"])})
    outputs = record("o", ("p", "float"), ("q", "float"))
    assert refused(path, record("i", ("a_0", "float")), outputs).message.startswith("Two inputs of the graph")


def test_a_graph_that_onnxruntime_does_not_load_is_refused(tmp_path: Path) -> None:
    path = hands_through(tmp_path / "m.onnx", x=(FLOAT, ["N", 3]))
    model = onnx.load(path)
    model.graph.node[0].op_type = "Relu6"
    path.write_bytes(model.SerializeToString())
    refusal = refused(path, Schema.parse(input_schema()), OUT3)
    assert refusal.code == "model_not_loadable"
    assert "Relu6" in refusal.message


def test_the_schemas_names_give_the_order_of_a_matrix(classifier: Trained) -> None:
    other = Schema.parse(input_schema(names=NAMES[::-1]))
    model = open_model(classifier.onnx, "onnx", other, Schema.parse(CLASSES))
    right = open_model(classifier.onnx, "onnx", Schema.parse(input_schema()), Schema.parse(CLASSES))
    rows = classifier.records(20)
    swapped = [dict(zip(NAMES, (r["perimeter"], r["texture"], r["radius"]), strict=True)) for r in rows]
    got = predicted(model, other, swapped)["probabilities"]
    assert (
        got.tolist() == predicted(right, right_schema := Schema.parse(input_schema()), rows)["probabilities"].tolist()
    )
    assert right_schema.names == NAMES
