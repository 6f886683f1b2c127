"""Check the contents of elements: each by itself when it arrives, and all together before they are sealed."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import rfc8785
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from engine import strict_json
from engine.errors import EngineError
from engine.exchange.languages import Side, read_schema
from engine.formats import detect
from engine.inspection import inspect
from engine.records import read_golden, read_validation
from engine.runner import Limits, Runner
from engine.sandbox import ladder
from engine.scanning import scan_apart
from engine.schemas import Schema, infer_schema
from engine.thresholds import Thresholds
from models_registry.errors import BadElement

SIDES: dict[str, Side] = {"input_schema": "inputs", "output_schema": "outputs"}
LIBRARY = {"onnx": "onnxruntime", "skops": "scikit-learn"}
UNREAD = {"scan_failed", "model_not_loadable"}  # what a scan says of a file that it cannot read
SHOWN = 5
PIPELINE = re.compile(r"[0-9a-f]{64}")


def limits_here() -> Limits:
    """Return what a process may use that looks into an upload; it is on the highest rung that this machine has."""
    return Limits(seconds=60, memory_mb=4096, level=ladder.found().level)


class Refusal(EngineError):
    """An element is not what it should be."""


def check_model(path: Path, declared: str) -> str:
    """Return the format of a model file that was scanned and loaded. Raises BadElement with the engine's code.

    What a scan refuses is never loaded. Where it could not read the file, loading tells better what is wrong.
    """
    try:
        found = detect(path)
        if declared and declared != found:
            raise Refusal("format_mismatch", f"The file is {found}, not {declared}; declare it as what it is.")
        limits = limits_here()
        report = scan_apart(path, found, limits)
        if {finding.code for finding in report.findings} <= UNREAD:
            inspect(path, found, limits=limits)
    except EngineError as error:
        raise bad("model", error) from error
    if not report.ok:
        first = report.findings[0]
        raise BadElement(
            f"The scan refuses the file: {first.message}" + (f" ({first.where})" if first.where else ""),
            code=first.code,
            todo="Export the model again without what was found, then upload it.",
            fields={"model": [f"{f.code}: {f.message} {f.where}".strip() for f in report.findings[:SHOWN]]},
        )
    return found


def canonical_text(name: str, content: bytes, filename: str = "") -> tuple[str, list[str]]:
    """Return the canonical text of a small element: a schema, runtime, thresholds or training. Raises BadElement.

    A schema may come in any language that the engine reads; the notes say what it says differently here.
    """
    try:
        if side := SIDES.get(name):
            schema, notes = read_schema(content, side, filename)
            return schema.canonical().decode(), notes
        if name == "thresholds":
            return Thresholds.parse(content).canonical().decode(), []
        read = read_training if name == "training" else read_runtime
        return rfc8785.dumps(read(content)).decode(), []
    except EngineError as error:
        raise bad(name, error) from error


def check_records(name: str, path: Path) -> None:
    """Read a file of golden records or a validation set to its end. Raises BadElement naming the line."""
    read = read_golden if name == "golden" else read_validation
    try:
        with path.open("rb") as stream:
            for _ in read(stream):
                pass
    except EngineError as error:
        raise bad(name, error) from error


def read_runtime(content: bytes) -> dict[str, Any]:
    """Return {"python": PEP 440 range, "packages": {name: range}}. Raises Refusal naming the field."""
    try:
        raw = strict_json.loads(content)
    except ValueError as error:
        raise Refusal("runtime_invalid", f"The runtime is not JSON: {error}.") from error
    if not isinstance(raw, dict) or set(raw) != {"python", "packages"} or not isinstance(raw["packages"], dict):
        raise Refusal("runtime_invalid", "A runtime has exactly python and packages.")
    try:
        SpecifierSet(raw["python"])
    except (InvalidSpecifier, TypeError, AttributeError) as error:
        raise Refusal("runtime_invalid", "Write a range such as >=3.11,<3.15.", field="python") from error
    for name, specifier in raw["packages"].items():
        try:
            requirement = Requirement(f"{name}{specifier}")
        except (InvalidRequirement, TypeError) as error:
            raise Refusal(
                "runtime_invalid", f"{name}{specifier} is not a requirement.", field=f"packages.{name}"
            ) from error
        if requirement.url or requirement.extras or requirement.marker or not requirement.specifier:
            raise Refusal("runtime_invalid", "A package has a version range, nothing else.", field=f"packages.{name}")
    return {"python": raw["python"], "packages": raw["packages"]}


def read_training(content: bytes) -> dict[str, Any]:
    """Return {"pipeline": SHA-256, "retrained_from": number of a version, if any}. Raises Refusal naming the field."""
    try:
        raw = strict_json.loads(content)
    except ValueError as error:
        raise Refusal("training_invalid", f"The training is not JSON: {error}.") from error
    if not isinstance(raw, dict) or not {"pipeline"} <= set(raw) <= {"pipeline", "retrained_from"}:
        raise Refusal("training_invalid", "A training has a pipeline, and retrained_from where it is a retrain.")
    if not isinstance(raw["pipeline"], str) or not PIPELINE.fullmatch(raw["pipeline"]):
        raise Refusal("training_invalid", "Write the SHA-256 of the pipeline, 64 hex digits.", field="pipeline")
    number = raw.get("retrained_from", 1)
    if type(number) is not int or not 0 < number < 2**31:
        raise Refusal("training_invalid", "Write the number of a version of this model.", field="retrained_from")
    return dict(raw)


def infer_schemas(paths: Mapping[str, Path]) -> tuple[Schema, Schema, list[str]]:
    """Return input and output schemas from the golden records, checked against what the model shows, and notes.

    The records give the names and types, the model's graph the sizes it insists on. Without golden records the graph
    alone speaks. Raises BadElement when neither tells.
    """
    try:
        notes: list[str] = []
        if "golden" in paths:
            with paths["golden"].open("rb") as stream:
                golden = [pair for pair, _ in zip(read_golden(stream), range(10_000), strict=False)]
            inputs, seen = infer_schema([pair["input"] for pair in golden], "inputs")
            outputs, given = infer_schema([pair["output"] for pair in golden], "outputs")
            return _as_numbers(inputs), outputs, seen + given
        found = inspect(paths["model"], limits=limits_here())
        notes += found.notes
    except EngineError as error:
        raise bad("input_schema", error) from error
    if found.input_schema is None or found.output_schema is None:
        raise BadElement(
            "The model does not tell its fields.",
            code="schema_not_inferable",
            todo="Give both schemas, or golden records from which they can be inferred.",
            fields={"input_schema": "is missing", "output_schema": "is missing"},
        )
    return found.input_schema, found.output_schema, notes


def _as_numbers(schema: Schema) -> Schema:
    """Read whole numbers of a sample as double: five records with a whole value say little about the sixth."""
    content = schema.to_dict()
    for row in content["fields"]:
        if row["type"] == "long":
            row["type"] = "double"
        elif row["type"] == ["null", "long"]:
            row["type"] = ["null", "double"]
    return Schema.parse(content)


def check_together(paths: Mapping[str, Path], format: str, texts: Mapping[str, str]) -> None:
    """Check all elements of a version against each other, before they are sealed. Raises BadElement.

    The schemas must fit the model; every golden record must meet both schemas, every validation record the input
    schema; the thresholds must speak of outputs that exist; the runtime must ask for the library that runs the format.
    """
    runtime = orjson.loads(texts["runtime"])
    if LIBRARY[format] not in runtime["packages"]:
        raise BadElement(
            f"The runtime does not ask for {LIBRARY[format]}, which runs {format} models.",
            code="runtime_incomplete",
            fields={"runtime": f"packages.{LIBRARY[format]} is missing"},
        )
    try:
        with Runner(paths, format, limits_here()) as runner:
            runner.load()
    except EngineError as error:
        raise bad("input_schema" if error.code == "schema_mismatch" else "model", error) from error
    inputs, outputs = (Schema.parse(texts[name]) for name in ("input_schema", "output_schema"))
    with paths["golden"].open("rb") as stream:
        _check_rows("golden", ((pair["input"], inputs, pair["output"]) for pair in read_golden(stream)), outputs)
    with paths["validation"].open("rb") as stream:
        _check_rows("validation", ((pair["input"], inputs, None) for pair in read_validation(stream)), outputs)
    thresholds = Thresholds.parse(texts["thresholds"])
    for metric in thresholds.metrics:
        if metric.output not in outputs.names:
            raise BadElement(
                f"The threshold of {metric.name} speaks of {metric.output}, which is no output.",
                code="thresholds_invalid",
                fields={"thresholds": f"{metric.output} is not among {', '.join(outputs.names)}"},
            )


def _check_rows(name: str, rows: Any, outputs: Schema) -> None:
    found: list[str] = []
    for number, (record, inputs, output) in enumerate(rows, start=1):
        wrong = inputs.check(record) + (outputs.check(output) if output is not None else [])
        found += [f"record {number}: {v.message} ({v.rule})" for v in wrong]
        if len(found) >= SHOWN:
            break
    if found:
        raise BadElement(
            f"The {name} records break the schema: {found[0]}.",
            code="records_break_schema",
            todo="Correct the records, or the schema if it is wrong.",
            fields={name: found[:SHOWN]},
        )


def bad(name: str, error: EngineError) -> BadElement:
    """Return a refusal of an element with the engine's own code and place."""
    place = f"{name}.{error.field}" if error.field else name
    return BadElement(
        error.message, code=error.code, todo="Correct it, then send it again.", fields={place: error.message}
    )
