"""A schema in whatever language a file brings it, and out again in the language that somebody asks for."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Literal

from engine import strict_json
from engine.errors import SchemaError
from engine.exchange.avro import from_avro, to_avro
from engine.exchange.json_schema import from_json_schema, to_json_schema
from engine.exchange.mlflow import from_mlflow_signature, to_mlflow_signature
from engine.records import read_sample
from engine.schemas import Schema, infer_schema

Side = Literal["inputs", "outputs"]
Language = Literal["avro", "json_schema", "mlflow"]
LANGUAGES: tuple[Language, ...] = ("avro", "json_schema", "mlflow")


def read_schema(content: bytes, side: Side, filename: str = "") -> tuple[Schema, list[str]]:
    """Return the schema that a file brings, and notes on what it says differently here.

    Taken are Avro, JSON Schema, an MLflow signature (its inputs or its outputs), a Parquet or Arrow file (its columns),
    and a sample of records: CSV if the file is named so, or JSON lines. Raises SchemaError or RecordError.
    """
    if content.startswith(b"PAR1"):
        from engine.exchange.arrow import from_parquet  # pyarrow is large, and nothing else here needs it

        return from_parquet(io.BytesIO(content), side)
    if content.startswith(b"ARROW1"):
        return _of_arrow(content, side)
    if filename.lower().endswith((".csv", ".jsonl", ".ndjson")):
        return infer_schema(read_sample(io.BytesIO(content), filename), side)
    try:
        document = strict_json.loads(content)
    except ValueError:
        return Schema.parse(content), []  # which says what is wrong with it
    if isinstance(document, Mapping) and {"signature", "inputs", "outputs"} & document.keys():
        return _of_signature(document, side)
    if isinstance(document, Mapping) and {"$schema", "properties", "$ref"} & document.keys():
        return from_json_schema(document, side)
    return from_avro(document) if isinstance(document, Mapping) else (Schema.parse(content), [])


def write_schema(
    language: Language, inputs: Schema | None = None, outputs: Schema | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Return one schema in Avro or JSON Schema, or up to both as an MLflow signature, and notes on what is not said.

    Raises ValueError when a language that describes one side is asked for both or neither.
    """
    if language == "mlflow":
        return to_mlflow_signature(inputs, outputs)
    given = [one for one in (inputs, outputs) if one is not None]
    if len(given) != 1:
        raise ValueError(f"{language} describes one side")
    return (to_avro(given[0]), []) if language == "avro" else to_json_schema(given[0])


def _of_signature(document: Mapping[str, Any], side: Side) -> tuple[Schema, list[str]]:
    signature = from_mlflow_signature(document)
    schema = signature.inputs if side == "inputs" else signature.outputs
    if schema is None:
        raise SchemaError("signature_invalid", f"The signature has no {side}; log the model with both.", field=side)
    return schema, list(signature.notes)


def _of_arrow(content: bytes, side: Side) -> tuple[Schema, list[str]]:
    import pyarrow as pa

    from engine.exchange.arrow import from_arrow

    try:
        with pa.ipc.open_file(io.BytesIO(content)) as file:
            return from_arrow(file.schema, side)
    except (pa.ArrowException, OSError) as error:
        words = f"The file cannot be read as Arrow: {str(error)[:200]}; write it again."
        raise SchemaError("arrow_unreadable", words) from error
