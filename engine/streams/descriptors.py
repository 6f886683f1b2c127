"""Stream descriptors: transport, encoding, location, schema, batching; and the rules that make one coherent.

A descriptor is a plain JSON object. It says nothing secret: `secret` is a name, which the engine or worker resolves.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal
from urllib.parse import SplitResult, parse_qs, urlsplit

from engine.compatibility import fits
from engine.errors import SchemaError, StreamError
from engine.schemas import Schema
from engine.streams import secrets

Direction = Literal["in", "out"]

FILES = ("csv", "json_lines", "parquet", "avro")
MESSAGES = ("json", "avro_binary")
KEYS = ("transport", "encoding", "location", "schema", "batch", "fields", "loop", "secret")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}(\.[A-Za-z_][A-Za-z0-9_]{0,62})?")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
SERVER = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]{1,253}):[0-9]{1,5}")
LONGEST_QUERY = 20_000
MOST_INLINE = 10_000
MOST_RECORDS, MOST_SECONDS = 100_000, 3600.0


@dataclass(frozen=True, slots=True)
class Shape:
    """What a transport can do in one direction: encodings (none: it has own types), places and URL schemes."""

    encodings: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    seekable: bool = False


SQL_SCHEMES = ("postgresql", "sqlite")
FILE_SCHEMES = ("file", "s3")
SHAPES: dict[tuple[str, str], Shape] = {
    ("file", "in"): Shape(FILES, ("url",), schemes=FILE_SCHEMES, seekable=True),
    ("file", "out"): Shape(FILES, ("url",), schemes=FILE_SCHEMES),
    ("sql", "in"): Shape((), ("url", "order_by"), ("table", "query"), SQL_SCHEMES, seekable=True),
    ("sql", "out"): Shape((), ("url", "table"), (), SQL_SCHEMES),
    ("valkey", "in"): Shape(MESSAGES, ("url", "stream", "group"), (), ("redis", "rediss", "unix")),
    ("valkey", "out"): Shape(MESSAGES, ("url", "stream"), ("longest",), ("redis", "rediss", "unix")),
    ("kafka", "in"): Shape(MESSAGES, ("servers", "topic", "group")),
    ("kafka", "out"): Shape(MESSAGES, ("servers", "topic")),
    ("http", "in"): Shape(("json",)),
    ("http", "out"): Shape(("json",), ("url",), (), ("https", "http")),
    ("inline", "in"): Shape((), ("records",), seekable=True),
    ("discard", "out"): Shape(),
}
TRANSPORTS = tuple(dict.fromkeys(transport for transport, _ in SHAPES))


@dataclass(frozen=True, slots=True)
class Batching:
    """How many records go together: at most so many, and at most so many seconds after the first."""

    records: int = 1000
    seconds: float = 0.5


@dataclass(frozen=True, slots=True)
class Stream:
    """A coherent descriptor. `schema` is its own, or the model's it stands beside; `fields` is what a sink gets."""

    direction: Direction
    transport: str
    encoding: str
    location: Mapping[str, Any]
    schema: Schema | None
    batch: Batching = field(default_factory=Batching)
    fields: tuple[str, ...] = ()
    loop: bool = False
    secret: str = ""


def parse_stream(content: Any, direction: Direction, schema: Schema | None = None) -> Stream:
    """Return the stream that a descriptor describes.

    `schema` is the model's, for records in or out, where the model is known. Raises StreamError with the code of the
    first rule that is broken; its details list them all, as `problems` does.
    """
    found = list(problems(content, direction, schema))
    if found:
        first = found[0]
        details = {"problems": [{"code": one.code, "field": one.field, "message": one.message} for one in found]}
        raise StreamError(first.code, first.message, field=first.field, details=details)
    batch = content.get("batch") or {}
    return Stream(
        direction=direction,
        transport=content["transport"],
        encoding=content.get("encoding") or "",
        location=dict(content.get("location") or {}),
        schema=Schema.parse(content["schema"]) if content.get("schema") else schema,
        batch=Batching(batch.get("records", 1000), float(batch.get("seconds", 0.5))),
        fields=tuple(content.get("fields") or ()),
        loop=content.get("loop", False),
        secret=content.get("secret") or "",
    )


def problems(content: Any, direction: Direction, schema: Schema | None = None) -> Iterator[StreamError]:
    """Yield each coherence rule that a descriptor breaks, in the order in which a person would mend them."""
    if not isinstance(content, Mapping):
        yield StreamError("descriptor_malformed", "A stream is an object with a transport; write it as JSON.")
        return
    for key in content:
        if key not in KEYS:
            yield _unknown(str(key), KEYS, str(key), code="descriptor_unknown_key")
    transport = content.get("transport")
    if transport not in TRANSPORTS:
        yield _unknown(str(transport), TRANSPORTS, "transport", code="transport_unknown")
        return
    shape = SHAPES.get((transport, direction))
    if shape is None:
        other = "records out" if direction == "in" else "records in"
        yield StreamError("direction_unsupported", f"{transport} carries {other} only.", field="transport")
        return
    yield from _encoding(content, transport, shape, schema)
    yield from _location(content.get("location"), transport, direction, shape)
    yield from _schema(content.get("schema"), direction, schema)
    yield from _batch(content.get("batch"))
    yield from _selection(content.get("fields"), direction, schema)
    yield from _loop(content.get("loop"), direction, shape, transport)
    yield from _secret(content.get("secret"), transport)


def _encoding(content: Any, transport: str, shape: Shape, schema: Schema | None) -> Iterator[StreamError]:
    encoding = content.get("encoding")
    if not shape.encodings:
        if encoding:
            yield StreamError(
                "encoding_not_taken", f"{transport} has types of its own; leave the encoding out.", field="encoding"
            )
        return
    if not encoding:
        choice = ", ".join(shape.encodings)
        yield StreamError("encoding_missing", f"{transport} carries bytes; choose {choice}.", field="encoding")
    elif encoding not in (*FILES, *MESSAGES):
        yield _unknown(str(encoding), shape.encodings, "encoding", code="encoding_unknown")
    elif encoding not in shape.encodings:
        choice = ", ".join(shape.encodings)
        yield StreamError(
            "encoding_unfit", f"{transport} does not carry {encoding}; choose {choice}.", field="encoding"
        )
    elif encoding == "avro_binary" and schema is None and not content.get("schema"):
        yield StreamError(
            "schema_needed", "Avro's binary form cannot be read without a schema; give the stream one.", field="schema"
        )
    elif encoding == "csv" and schema is not None and any(one.type == "array" for one in schema.fields):
        yield StreamError(
            "encoding_too_flat",
            "CSV has no place for a list of values; choose json_lines or parquet.",
            field="encoding",
        )


def _location(location: Any, transport: str, direction: str, shape: Shape) -> Iterator[StreamError]:
    if not isinstance(location or {}, Mapping):
        yield StreamError("location_malformed", "A location is an object.", field="location")
        return
    location = location or {}
    known = (*shape.needs, *shape.may)
    for key in location:
        if key not in known:
            yield _unknown(str(key), known, f"location.{key}", code="location_unknown_key")
    for key in shape.needs:
        if location.get(key) in (None, "", [], {}):
            yield StreamError("location_missing", f"{transport} needs {key}.", field=f"location.{key}")
    for key in known:
        value = location.get(key)
        if value not in (None, "", [], {}):
            yield from PLACES[key](value, f"location.{key}", shape)
    if transport == "sql" and direction == "in" and bool(location.get("table")) == bool(location.get("query")):
        yield StreamError("table_or_query", "Give either a table or a query to read.", field="location.table")


def _url(value: Any, where: str, shape: Shape) -> Iterator[StreamError]:
    try:
        url = urlsplit(value) if isinstance(value, str) else None
        if url is not None:
            _ = url.port  # reading it checks it
    except ValueError:
        url = None
    if url is None or len(value) > 2000 or any(character <= " " for character in value):
        yield StreamError("url_malformed", "That is not a URL.", field=where)
        return
    if url.scheme not in shape.schemes:
        choice = " or ".join(f"{one}://" for one in shape.schemes)
        yield StreamError("url_scheme", f"The URL begins with {choice}.", field=where)
        return
    if url.password is not None or ("@" in url.netloc and url.scheme in ("http", "https", "s3")) or _tells(url):
        yield StreamError(
            "credentials_inline",
            "The URL holds credentials; take them out, and name a secret that the engine will resolve.",
            field=where,
        )
    if url.scheme in ("file", "sqlite", "unix"):
        if url.hostname or not url.path.startswith("/") or ".." in url.path.split("/"):
            yield StreamError("url_path", f"The URL is {url.scheme}:/// and a whole path without '..'.", field=where)
    elif not url.hostname and not (url.scheme == "postgresql" and socket_folder(url.query)):
        yield StreamError("url_host", "The URL names no host.", field=where)


def socket_folder(query: str) -> str:
    """Return the folder of a PostgreSQL socket that a URL's query names as host=/folder, or nothing."""
    found = parse_qs(query).get("host", [""])[0]
    return found if found.startswith("/") and ".." not in found.split("/") else ""


def _tells(url: SplitResult) -> bool:
    """Tell whether a query carries what looks like a credential."""
    return bool(re.search(r"(?i)(passw|secret|token|api_?key|credential|signature)[^=&]*=", url.query))


def _sql_name(value: Any, where: str, shape: Shape) -> Iterator[StreamError]:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        yield StreamError(
            "name_malformed", "A name has letters, digits and _, perhaps after a schema and a dot.", field=where
        )


def _query(value: Any, where: str, shape: Shape) -> Iterator[StreamError]:
    if not isinstance(value, str) or len(value) > LONGEST_QUERY or not re.match(r"(?is)\s*(select|with)\b", value):
        yield StreamError("query_not_select", "A query is one SELECT.", field=where)
    elif ";" in value.rstrip().rstrip(";"):
        yield StreamError("query_not_select", "A query is one statement, without a semicolon inside.", field=where)


def _word(value: Any, where: str, shape: Shape) -> Iterator[StreamError]:
    if not isinstance(value, str) or not WORD.fullmatch(value):
        yield StreamError("name_malformed", "A name has letters, digits, and . _ : or - after the first.", field=where)


def _servers(value: Any, where: str, shape: Shape) -> Iterator[StreamError]:
    if not isinstance(value, list) or not all(isinstance(one, str) and SERVER.fullmatch(one) for one in value):
        yield StreamError("servers_malformed", "Servers are a list of host:port.", field=where)


def _records(value: Any, where: str, shape: Shape) -> Iterator[StreamError]:
    fits = isinstance(value, list) and len(value) <= MOST_INLINE and all(isinstance(one, Mapping) for one in value)
    if not fits:
        yield StreamError("records_malformed", f"Records are a list of at most {MOST_INLINE} objects.", field=where)


def _count(value: Any, where: str, shape: Shape) -> Iterator[StreamError]:
    if type(value) is not int or not 0 < value <= 10**9:
        yield StreamError("number_malformed", "That is a whole number above 0.", field=where)


PLACES = {
    "url": _url,
    "table": _sql_name,
    "order_by": _sql_name,
    "query": _query,
    "stream": _word,
    "group": _word,
    "topic": _word,
    "servers": _servers,
    "records": _records,
    "longest": _count,
}


def _schema(own: Any, direction: Direction, schema: Schema | None) -> Iterator[StreamError]:
    """A stream in may promise more than the model asks, and never less; a stream out tells what the model gives."""
    if not own:
        return
    try:
        parsed = Schema.parse(own)
    except SchemaError as error:
        yield StreamError(error.code, error.message, field=f"schema.{error.field}".rstrip("."))
        return
    if schema is None:
        return
    verdict = fits(parsed, schema)
    change = next((one for one in verdict.changes if one.kind == verdict.kind), None)
    if change is None or verdict.kind == "identical":
        return
    where = f"schema.{change.field}"
    if direction == "out":
        words = f"{change.field}: {change.reason} A stream out has the model's schema; leave it out."
        yield StreamError("schema_differs", words, field=where)
    elif verdict.kind != "narrowing":
        words = f"{change.field}: {change.reason} The stream's schema must lie within the model's."
        yield StreamError("schema_not_narrower", words, field=where)


def _batch(batch: Any) -> Iterator[StreamError]:
    if batch is None:
        return
    if not isinstance(batch, Mapping) or batch.keys() - {"records", "seconds"}:
        yield StreamError("batch_malformed", "A batch has records and seconds.", field="batch")
        return
    records, seconds = batch.get("records", 1), batch.get("seconds", 0)
    if type(records) is not int or not 1 <= records <= MOST_RECORDS:
        yield StreamError("batch_records", f"A batch has 1 to {MOST_RECORDS} records.", field="batch.records")
    if type(seconds) not in (int, float) or not 0 <= seconds <= MOST_SECONDS:
        yield StreamError("batch_seconds", f"A batch waits 0 to {MOST_SECONDS:g} seconds.", field="batch.seconds")


def _selection(fields: Any, direction: Direction, schema: Schema | None) -> Iterator[StreamError]:
    if not fields:
        return
    if direction == "in":
        yield StreamError("fields_on_source", "Only a stream out selects fields; a source gives all.", field="fields")
        return
    if not isinstance(fields, list) or not all(isinstance(one, str) for one in fields):
        yield StreamError("fields_malformed", "Fields are a list of names.", field="fields")
        return
    known = schema.names if schema else tuple(fields)
    for name in fields:
        if name not in known:
            yield _unknown(name, known, "fields", code="field_unknown")
    if len(set(fields)) != len(fields):
        yield StreamError("fields_malformed", "A field is selected twice.", field="fields")


def _loop(loop: Any, direction: Direction, shape: Shape, transport: str) -> Iterator[StreamError]:
    if loop in (None, False):
        return
    if loop is not True:
        yield StreamError("loop_malformed", "loop is true or false.", field="loop")
    elif direction == "out" or not shape.seekable:
        yield StreamError(
            "loop_not_seekable", f"{transport} cannot be read again from its start; leave loop out.", field="loop"
        )


def _secret(secret: Any, transport: str) -> Iterator[StreamError]:
    if not secret:
        return
    if not isinstance(secret, str) or not secrets.NAME.fullmatch(secret):
        yield StreamError(
            "secret_not_a_name",
            "A secret is given by its name, in capitals, digits and _; its value never stands here.",
            field="secret",
        )
    elif transport in ("inline", "discard"):
        yield StreamError("secret_not_taken", f"{transport} reaches nothing that asks for a secret.", field="secret")


def _unknown(value: str, known: tuple[str, ...], where: str, *, code: str) -> StreamError:
    near = get_close_matches(value, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "choose " + (", ".join(known[:20]) or "none here") + "."
    return StreamError(code, f"{value[:100]!r} is not known here; {hint}", field=where)
