"""Encodings of single records as messages: JSON, and Avro's binary form without a container."""

import io
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import fastavro
import orjson

from engine.errors import RecordError
from engine.schemas import Schema


class Codec(NamedTuple):
    """How a record becomes bytes, and bytes a record. `decode` raises RecordError `encoding_broken`."""

    encode: Callable[[Mapping[str, Any]], bytes]
    decode: Callable[[bytes], dict[str, Any]]


def codec(encoding: str, schema: Schema) -> Codec:
    """Return the codec of an encoding for records of a schema."""
    return Codec(orjson.dumps, _read_json) if encoding == "json" else _avro(schema)


def _read_json(message: bytes) -> dict[str, Any]:
    """Return a message's record. NaN, infinity and anything but an object are refused."""
    try:
        record = orjson.loads(message)
    except orjson.JSONDecodeError as error:
        raise RecordError("encoding_broken", f"The message is not JSON: {error}.") from error
    if type(record) is not dict:
        raise RecordError("encoding_broken", "The message is not an object.")
    return record


def _avro(schema: Schema) -> Codec:
    """Return the codec of Avro's binary form: https://avro.apache.org/docs/1.12.0/specification/#binary-encoding."""
    parsed = fastavro.parse_schema(json.loads(json.dumps(schema.to_dict())), named_schemas={})

    def encode(record: Mapping[str, Any]) -> bytes:
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, parsed, record)
        return stream.getvalue()

    def decode(message: bytes) -> dict[str, Any]:
        stream = io.BytesIO(message)
        try:
            record: Any = fastavro.schemaless_reader(stream, parsed, None)
        except Exception as error:  # fastavro raises whatever the bytes provoke
            raise RecordError("encoding_broken", f"The message is not Avro of this schema: {error!r:.200}.") from error
        if stream.tell() != len(message):
            raise RecordError("encoding_broken", "Bytes follow the record; it was written with another schema.")
        return dict(record)

    return Codec(encode, decode)
