"""scikit-learn models from skops files: answers are the library's own, and only types of the list are ever built."""

import importlib
import inspect
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingRegressor,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
    VotingRegressor,
)  # fmt: skip
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge, SGDClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from engine.columns import Columns
from engine.errors import FormatError
from engine.formats import open_model
from engine.formats.skops import infer_schemas, load
from engine.formats.skops_types import NODES, TYPES
from engine.scan import scan
from engine.schemas import Schema
from tests.engine.conftest import CLASSES, NAMES, NUMBER, Trained, input_schema
from tests.engine.test_formats_onnx import listed, predicted, record

INPUTS = Schema.parse(input_schema())
Save = Callable[[Any], Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """A function that writes an estimator to a skops file."""

    def to_file(estimator: Any) -> Path:
        path = tmp_path / "model.skops"
        skops.io.dump(estimator, path)
        return path

    return to_file


def refused(path: Path, inputs: Schema, outputs: Schema) -> FormatError:
    with pytest.raises(FormatError) as refusal:
        open_model(path, "skops", inputs, outputs)
    return refusal.value


# What data scientists hand over, the estimators of every family on the list among it.
CLASSIFIERS: dict[str, Any] = {
    "logistic": LogisticRegression(max_iter=5000),
    "boosted": GradientBoostingClassifier(n_estimators=5),
    "boosted histograms": HistGradientBoostingClassifier(max_iter=5),
    "forest": RandomForestClassifier(5, random_state=0),
    "tree": DecisionTreeClassifier(max_depth=3),
    "ada": AdaBoostClassifier(n_estimators=5),
    "bayes": GaussianNB(),
    "neighbours": KNeighborsClassifier(),
    "discriminant": LinearDiscriminantAnalysis(),
    "support vectors": CalibratedClassifierCV(SVC(), cv=2),
    "linear support vectors": CalibratedClassifierCV(LinearSVC(), cv=2),
    "descent": make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)),
    "perceptron": make_pipeline(
        StandardScaler(), MLPClassifier(hidden_layer_sizes=(4,), max_iter=300, solver="lbfgs", random_state=0)
    ),
    "stacked": StackingClassifier([("n", GaussianNB()), ("t", DecisionTreeClassifier(max_depth=2))], cv=2),
    "components": make_pipeline(make_union(PCA(2), StandardScaler()), LogisticRegression()),
}
REGRESSORS: dict[str, Any] = {
    "ridge": Ridge(),
    "linear": LinearRegression(),
    "poisson": PoissonRegressor(),
    "boosted": GradientBoostingRegressor(n_estimators=5),
    "boosted histograms": HistGradientBoostingRegressor(max_iter=5),
    "extra trees": ExtraTreesRegressor(5, random_state=0),
    "tree": DecisionTreeRegressor(max_depth=3),
    "bagged": BaggingRegressor(n_estimators=3, random_state=0),
    "neighbours": KNeighborsRegressor(),
    "support vectors": SVR(),
    "gaussian process": GaussianProcessRegressor(optimizer=None),
    "perceptron": make_pipeline(
        StandardScaler(), MLPRegressor(hidden_layer_sizes=(4,), max_iter=900, solver="lbfgs", random_state=0)
    ),
    "voting": VotingRegressor([("r", Ridge()), ("t", DecisionTreeRegressor(max_depth=2))]),
    "target": TransformedTargetRegressor(Ridge(), transformer=StandardScaler()),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_says_what_scikit_learn_says(name: str, save: Save) -> None:
    x, y = load_breast_cancer(return_X_y=True)
    x = x[:, :3]
    fitted = CLASSIFIERS[name].fit(x[::2], y[::2])
    path = save(fitted)
    assert scan(path, "skops").ok
    model = open_model(path, "skops", INPUTS, Schema.parse(CLASSES))
    rows = [dict(zip(NAMES, map(float, row), strict=True)) for row in x]
    for got in (predicted(model, INPUTS, rows), model.predict_packed(x)):
        assert got["label"].dtype == "i8"
        assert got["label"].tolist() == fitted.predict(x).tolist()
        assert got["probabilities"].tolist() == fitted.predict_proba(x).tolist()


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_regressor_says_what_scikit_learn_says(name: str, save: Save) -> None:
    x, y = load_diabetes(return_X_y=True)
    x = x[:, :3]
    fitted = REGRESSORS[name].fit(x[::2], y[::2])
    path = save(fitted)
    assert scan(path, "skops").ok
    model = open_model(path, "skops", INPUTS, Schema.parse(NUMBER))
    rows = [dict(zip(NAMES, map(float, row), strict=True)) for row in x]
    for got in (predicted(model, INPUTS, rows), model.predict_packed(x)):
        assert got["prediction"].tolist() == fitted.predict(x).tolist()


# Text and nulls: the same records as an array without names and as a table with names.

PEOPLE = record("i", ("age", "int"), ("city", "string"), ("income", ["null", "double"]), ("member", "boolean"))
RISK = record("o", ("risk", {"type": "enum", "name": "risks", "symbols": ["high", "low"]}), listed("p", "double", 2))


def people(count: int = 120) -> list[dict[str, Any]]:
    """Return records of text, numbers, truth values and nulls."""
    rng = np.random.default_rng(5)
    return [
        {
            "age": int(rng.integers(18, 90)),
            "city": str(rng.choice(["oslo", "rome", "lima"])),
            "income": None if rng.random() < 0.2 else float(rng.normal(50, 9)),
            "member": bool(rng.random() < 0.5),
        }
        for _ in range(count)
    ]


def pipeline(names: Any) -> Any:
    """Return a pipeline over columns of every kind, chosen by place or by name."""
    age, city, income, member = names
    steps = [
        ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), [age, income]),
        ("city", OneHotEncoder(handle_unknown="ignore"), [city]),
        ("member", "passthrough", [member]),
    ]
    return make_pipeline(ColumnTransformer(steps), LogisticRegression())


def labels(rows: list[dict[str, Any]]) -> list[str]:
    return ["high" if (row["age"] > 60) != (row["city"] == "rome") else "low" for row in rows]


def test_a_pipeline_with_text_nulls_and_truth_by_place(save: Save) -> None:
    rows = people()
    table = np.array([list(row.values()) for row in rows], dtype=object)
    table[table[:, 2] == None, 2] = np.nan  # noqa: E711 - element by element
    fitted = pipeline([0, 1, 2, 3]).fit(table, labels(rows))
    path = save(fitted)
    assert scan(path, "skops").ok
    got = predicted(open_model(path, "skops", PEOPLE, RISK), PEOPLE, rows)
    assert got["risk"].tolist() == fitted.predict(table).tolist()
    assert got["p"].tolist() == fitted.predict_proba(table).tolist()


@pytest.mark.parametrize("order", [["age", "city", "income", "member"], ["member", "income", "city", "age"]])
def test_a_pipeline_trained_on_a_frame_gets_its_columns_by_name(save: Save, order: list[str]) -> None:
    rows = people()
    fitted = pipeline(PEOPLE.names).fit(pd.DataFrame(rows), labels(rows))
    path = save(fitted)
    assert scan(path, "skops").ok
    fields = {one["name"]: one for one in PEOPLE.to_dict()["fields"]}
    schema = record("i", *(fields[name] for name in order))
    model = open_model(path, "skops", schema, RISK)
    for some in (rows, rows[:1], [row for row in rows if row["income"] is None]):
        got = predicted(model, schema, some)
        frame = pd.DataFrame(some).astype({"income": float})
        assert got["risk"].tolist() == fitted.predict(frame).tolist()
        assert got["p"].tolist() == fitted.predict_proba(frame).tolist()
        assert not [wrong for one in Columns(RISK).to_records(got, len(some)) for wrong in RISK.check(one)]


def test_a_missing_text_is_what_read_csv_makes_of_it(save: Save) -> None:
    frame = pd.read_csv(io.StringIO("city,size\n" + "oslo,1\n,2\nrome,3\n,4\n" * 9))
    imputed = make_pipeline(SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder(handle_unknown="ignore"))
    for step in (OneHotEncoder(handle_unknown="ignore"), imputed):
        encoded = ColumnTransformer([("city", step, ["city"])], remainder="passthrough")
        fitted = make_pipeline(encoded, Ridge()).fit(frame, [1.0, 5.0, 2.0, 9.0] * 9)
        schema = record("i", ("size", "int"), ("city", ["null", "string"]))
        rows = [{"size": 2, "city": None}, {"size": 1, "city": "oslo"}, {"size": 1, "city": "paris"}]
        got = predicted(open_model(save(fitted), "skops", schema, Schema.parse(NUMBER)), schema, rows)
        want = fitted.predict(pd.DataFrame({"city": [np.nan, "oslo", "paris"], "size": [2, 1, 1]}))
        assert got["prediction"].tolist() == want.tolist()
        assert len(set(got["prediction"])) == 3


def test_names_of_a_frame_are_matched_and_never_swapped(save: Save) -> None:
    x, y = load_diabetes(return_X_y=True)
    x = x[:, :3]
    path = save(Ridge().fit(pd.DataFrame(x, columns=["mean radius", "texture", "perimeter"]), y))
    want = Ridge().fit(x, y).predict(x)
    named = record("i", ("perimeter", "double"), ("mean_radius", "double"), ("texture", "double"))
    model = open_model(path, "skops", named, Schema.parse(NUMBER))
    np.testing.assert_allclose(model.predict_packed(x[:, [2, 0, 1]])["prediction"], want)
    other = open_model(path, "skops", INPUTS, Schema.parse(NUMBER))
    np.testing.assert_allclose(other.predict_packed(x)["prediction"], want)
    doubtful = record("i", ("texture", "double"), ("b", "double"), ("c", "double"))
    assert refused(path, doubtful, Schema.parse(NUMBER)).field == "texture"


def test_a_category_that_training_never_saw_is_no_answer_in_silence(save: Save) -> None:
    x = np.array([["a"], ["b"]] * 9, dtype=object)
    fitted = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(x, [0, 1] * 9)
    schema, outputs = record("i", ("kind", "string")), record("o", ("label", "long"))
    model = open_model(save(fitted), "skops", schema, outputs)
    assert predicted(model, schema, [{"kind": "b"}])["label"].tolist() == [1]
    with pytest.raises(ValueError, match="unknown categories"):
        predicted(model, schema, [{"kind": "c"}])


def test_nulls_are_what_the_model_takes_for_missing(save: Save) -> None:
    x, y = load_diabetes(return_X_y=True)
    x = x[:, :3].copy()
    x[::7, 1] = np.nan
    fields = [("radius", "double"), ("texture", ["null", "double"]), ("perimeter", "double")]
    schema = record("i", *fields)
    rows = [dict(zip(NAMES, [None if v != v else float(v) for v in row], strict=True)) for row in x]
    for estimator in (HistGradientBoostingRegressor(max_iter=5), make_pipeline(KNNImputer(), Ridge())):
        fitted = estimator.fit(x, y)
        got = predicted(open_model(save(fitted), "skops", schema, Schema.parse(NUMBER)), schema, rows)
        assert got["prediction"].tolist() == fitted.predict(x).tolist()
    model = open_model(save(Ridge().fit(np.nan_to_num(x), y)), "skops", schema, Schema.parse(NUMBER))
    with pytest.raises(ValueError, match="NaN"):
        predicted(model, schema, rows)


# What does not fit is refused when the model is opened.


@pytest.mark.parametrize(
    ("labels", "field", "fits"),
    [
        ([0, 1], ("label", "long"), True), ([0, 1], ("label", "int"), True), ([0, 1], ("label", "boolean"), True),
        ([False, True], ("label", "boolean"), True), ([0.0, 1.0], ("label", "long"), True),
        ([1, 2], ("label", "boolean"), False), ([0, 1], listed("label", "boolean", 2), False),
        ([0, 1], ("label", "string"), False), (["0", "1"], ("label", "long"), False),
        (["a", "b"], ("label", "string"), True), (["a", "b"], ("label", "boolean"), False),
        ([0, 2**40], ("label", "int"), False), ([0, 2**40], ("label", "long"), True),
        ([0, 1], listed("label", "double", 2), True), ([0, 1], listed("label", "double"), True),
        ([0, 1], listed("label", "double", 3), False), ([0, 1], listed("label", "long", 2), False),
        ([0, 1], listed("label", "string", 2), False),
    ],
)  # fmt: skip
def test_a_field_must_hold_every_class(labels: list[Any], field: Any, fits: bool, save: Save) -> None:
    outputs = record("o", field)
    path = save(GaussianNB().fit(np.array([[0, 1, 2.0], [5, 6, 7.0]] * 2), labels * 2))
    if not fits:
        refusal = refused(path, INPUTS, outputs)
        assert (refusal.code, refusal.field) == ("schema_mismatch", "label")
        return
    rows = [{"radius": 0.0, "texture": 1.0, "perimeter": 2.0}, {"radius": 5.0, "texture": 6.0, "perimeter": 7.0}]
    got = Columns(outputs).to_records(predicted(open_model(path, "skops", INPUTS, outputs), INPUTS, rows), 2)
    assert not [wrong for one in got for wrong in outputs.check(one)]
    if not isinstance(field, dict):
        assert [one["label"] for one in got] == labels


@pytest.mark.parametrize("kind", ["long", "int", "boolean", "string"])
def test_a_prediction_with_fractions_is_never_cut_off(regressor: Trained, kind: str) -> None:
    refusal = refused(regressor.skops, INPUTS, record("o", ("prediction", kind)))
    assert (refusal.code, refusal.field) == ("schema_mismatch", "prediction")
    narrow = record("o", ("prediction", "float"))
    got = predicted(open_model(regressor.skops, "skops", INPUTS, narrow), INPUTS, regressor.records(9))
    assert got["prediction"].tolist() == regressor.estimator.predict(regressor.x[:9]).astype("f4").tolist()


def test_clusters_and_outliers_are_whole_numbers(save: Save) -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    outputs = record("o", ("found", "long"))
    for fitted in (KMeans(2, n_init=1, random_state=0).fit(x), IsolationForest(n_estimators=5, random_state=0).fit(x)):
        model = open_model(save(fitted), "skops", INPUTS, outputs)
        assert model.predict_packed(x)["found"].tolist() == fitted.predict(x).tolist()
        assert refused(save(fitted), INPUTS, RISK).code == "schema_mismatch"


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        (record("i", ("a", "double"), ("b", "double")), ""),
        (record("i", listed("a", "double", 3)), "a"),
        (record("i", ("a", "double"), ("b", "double"), listed("c", "double", 1)), "c"),
    ],
)
def test_a_schema_of_another_width_or_with_lists_is_refused(classifier: Trained, inputs: Schema, field: str) -> None:
    refusal = refused(classifier.skops, inputs, Schema.parse(CLASSES))
    assert (refusal.code, refusal.field) == ("schema_mismatch", field)


def test_a_model_without_probabilities_gives_none(regressor: Trained, save: Save) -> None:
    for path in (regressor.skops, save(SVC().fit([[0, 1, 2], [3, 4, 5]], [0, 1]))):
        refusal = refused(path, INPUTS, record("o", listed("probabilities", "double", 2)))
        assert (refusal.code, refusal.field) == ("schema_mismatch", "probabilities")


def test_several_things_at_once_are_refused_and_never_mixed_up(save: Save) -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    y = (x[:, :2] > 0).astype(int)
    for fitted in (DecisionTreeClassifier().fit(x, y), KNeighborsClassifier().fit(x, y)):
        assert refused(save(fitted), INPUTS, Schema.parse(CLASSES)).code == "output_unsupported"
    assert refused(save(MultiOutputClassifier(GaussianNB()).fit(x, y)), INPUTS, RISK).code == "type_not_allowed"
    outputs = Schema.parse(NUMBER)
    model = open_model(save(Ridge().fit(x, x[:, :2])), "skops", INPUTS, outputs)
    for count in (1, 2, 5):
        for one in Columns(outputs).to_records(model.predict_packed(x[:count]), count):
            assert outputs.check(one)


# The file itself.


def test_a_type_off_the_list_is_refused_before_it_is_built(save: Save) -> None:
    built = []

    class Own(LogisticRegression):
        def __setstate__(self, state: Any) -> None:
            built.append(state)

    Own.__module__, Own.__qualname__ = __name__, "Own"
    globals()["Own"] = Own
    path = save(Own().fit([[0], [1]], [0, 1]))
    refusal = refused(path, record("i", ("a", "double")), record("o", ("label", "long")))
    assert refusal.code == "type_not_allowed"
    assert not built
    assert not scan(path, "skops").ok


@pytest.mark.parametrize("functions", [{"func": np.log1p}, {"inverse_func": np.expm1}, {"func": dict}])
def test_a_transformer_with_a_function_is_refused(save: Save, functions: dict[str, Any]) -> None:
    steps = [("f", FunctionTransformer(check_inverse=False, **functions), [0])]
    path = save(make_pipeline(ColumnTransformer(steps), Ridge()))
    assert refused(path, record("i", ("a", "double")), Schema.parse(NUMBER)).code.endswith("_not_allowed")
    assert not scan(path, "skops").ok


def test_what_is_no_model_is_refused(save: Save) -> None:
    for thing in ({"weights": [1, 2]}, StandardScaler().fit([[1.0]]), [1, 2, 3]):
        with pytest.raises(FormatError, match="no estimator") as refusal:
            load(save(thing))
        assert refusal.value.code == "model_not_loadable"


def test_no_schema_is_inferred_but_the_model_is_loaded(classifier: Trained, tmp_path: Path) -> None:
    assert infer_schemas(classifier.skops)[:2] == (None, None)
    cut = tmp_path / "m.skops"
    cut.write_bytes(classifier.skops.read_bytes()[:-200])
    with pytest.raises(FormatError) as refusal:
        infer_schemas(cut)
    assert refusal.value.code == "model_not_loadable"


CALLABLE_TYPES = {"builtins", "numpy", "scipy", "sklearn"}


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_type_on_the_list_exists_and_is_a_plain_type(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    found = getattr(importlib.import_module(module), attribute)
    assert isinstance(found, type), "a function on the list would be code that a file can call"
    assert module.split(".")[0] in CALLABLE_TYPES
    if issubclass(found, BaseEstimator):
        taken = inspect.signature(found.__init__).parameters.keys()
        assert not {"preprocessor", "tokenizer", "analyzer", "score_func"} & taken
        assert ("func" in taken) == (found in (FunctionTransformer, TransformedTargetRegressor))


def test_nothing_that_names_code_is_on_the_lists() -> None:
    for module, name in (
        ("builtins", "eval"),
        ("builtins", "getattr"), ("builtins", "type"), ("builtins", "object"), ("functools", "partial"),
        ("operator", "methodcaller"), ("numpy", "load"), ("numpy", "memmap"), ("numpy", "vectorize"),
    ):  # fmt: skip
        assert f"{module}.{name}" not in TYPES
    assert not {"FunctionNode", "MethodNode", "OperatorFuncNode", "PartialNode", "ReduceNode"} & NODES


def test_every_node_on_the_list_is_one_that_skops_knows() -> None:
    from skops.io._audit import NODE_TYPE_MAPPING

    assert {name for name, _ in NODE_TYPE_MAPPING} >= NODES
