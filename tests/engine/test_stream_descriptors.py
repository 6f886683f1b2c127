"""Stream descriptors: each coherence rule refuses with its own code and field; whole ones come back as they were."""

import re
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StreamError
from engine.fields import Field
from engine.schemas import Schema
from engine.streams import descriptors
from engine.streams.descriptors import SHAPES, parse_stream, problems

INPUTS = Schema("In", [Field("age", "long", minimum=0, maximum=120), Field("code", "string")])
OUTPUTS = Schema("Out", [Field("label", "string"), Field("scores", "array", items="double", size=2)])
VALKEY = {
    "transport": "valkey",
    "encoding": "json",
    "location": {"url": "redis://streams.example:6379/0", "stream": "arrivals", "group": "scoring"},
    "batch": {"records": 500, "seconds": 0.2},
    "secret": "STREAMS_PASSWORD",
}
TABLE = {"transport": "sql", "location": {"url": "postgresql://scoring@db.example/clinic", "table": "clinic.results"}}
HOOK = {"transport": "http", "encoding": "json", "location": {"url": "https://app.example/scores"}, "fields": ["label"]}
FILE = {"transport": "file", "encoding": "csv", "location": {"url": "file:///data/records.csv"}}


def changed(base: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**base, **changes}


def placed(base: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**base, "location": {**base["location"], **changes}}


NARROW = Schema("In", [Field("age", "long", minimum=18, maximum=90), Field("code", "string")]).to_dict()
WIDE = Schema("In", [Field("age", "long", minimum=0, maximum=200), Field("code", "string")]).to_dict()
ARRAYS = Schema("In", [Field("age", "array", items="double")])


@pytest.mark.parametrize(
    ("content", "direction"),
    [
        (VALKEY, "in"),
        (changed(VALKEY, schema=NARROW), "in"),
        (changed(VALKEY, encoding="avro_binary"), "in"),
        (TABLE, "out"),
        (placed(TABLE, url="sqlite:///data/scores.db", table="scores"), "out"),
        (HOOK, "out"),
        (changed(FILE, loop=True), "in"),
        (placed(changed(FILE, encoding="parquet"), url="s3://bucket/folder?region=eu-central-1"), "in"),
        ({"transport": "kafka", "encoding": "json", "location": {"servers": ["k:9092"], "topic": "t"}}, "out"),
        ({"transport": "inline", "location": {"records": [{"age": 3, "code": "007"}]}}, "in"),
        ({"transport": "http", "encoding": "json"}, "in"),
        ({"transport": "discard"}, "out"),
    ],
)
def test_coherent_descriptors_are_taken(content: dict[str, Any], direction: Any) -> None:
    stream = parse_stream(content, direction, INPUTS if direction == "in" else OUTPUTS)
    assert (stream.transport, stream.encoding) == (content["transport"], content.get("encoding", ""))
    assert stream.location == content.get("location", {})
    assert stream.secret == content.get("secret", "")
    assert (stream.transport, direction) in SHAPES


CASES: list[tuple[Any, Any, str, str]] = [
    ("valkey", "in", "descriptor_malformed", ""),
    (changed(VALKEY, enconding="json"), "in", "descriptor_unknown_key", "enconding"),
    (changed(VALKEY, transport="pigeon"), "in", "transport_unknown", "transport"),
    (changed(VALKEY, transport="discard"), "in", "direction_unsupported", "transport"),
    ({"transport": "inline", "location": {"records": [{}]}}, "out", "direction_unsupported", "transport"),
    (changed(VALKEY, encoding=None), "in", "encoding_missing", "encoding"),
    (changed(VALKEY, encoding="xml"), "in", "encoding_unknown", "encoding"),
    (changed(VALKEY, encoding="csv"), "in", "encoding_unfit", "encoding"),
    (changed(TABLE, encoding="json"), "out", "encoding_not_taken", "encoding"),
    (changed(FILE, encoding="csv"), "out", "encoding_too_flat", "encoding"),
    (changed(VALKEY, location=["x"]), "in", "location_malformed", "location"),
    (placed(VALKEY, port=6379), "in", "location_unknown_key", "location.port"),
    (placed(VALKEY, group=""), "in", "location_missing", "location.group"),
    (placed(VALKEY, stream="a b"), "in", "name_malformed", "location.stream"),
    (placed(TABLE, table="results; drop table x"), "out", "name_malformed", "location.table"),
    (placed(VALKEY, url="not a url"), "in", "url_malformed", "location.url"),
    (placed(VALKEY, url="redis://host:99999999/0"), "in", "url_malformed", "location.url"),
    (placed(VALKEY, url="gopher://host"), "in", "url_scheme", "location.url"),
    (placed(VALKEY, url="redis://:hunter2@host/0"), "in", "credentials_inline", "location.url"),
    (placed(HOOK, url="https://me@app.example/"), "out", "credentials_inline", "location.url"),
    (placed(HOOK, url="https://app.example/?api_key=hunter2"), "out", "credentials_inline", "location.url"),
    (placed(FILE, url="file:///data/../etc/passwd"), "in", "url_path", "location.url"),
    (placed(FILE, url="file://host/data"), "in", "url_path", "location.url"),
    (placed(VALKEY, url="redis:///0"), "in", "url_host", "location.url"),
    (placed(TABLE, order_by="id", query="select 1"), "in", "table_or_query", "location.table"),
    (placed(TABLE, order_by="id", table=""), "in", "table_or_query", "location.table"),
    (placed(TABLE, order_by="id", table="", query="delete from x"), "in", "query_not_select", "location.query"),
    (placed(TABLE, order_by="id", table="", query="select 1; drop table x"), "in", "query_not_select",
     "location.query"),
    (placed({"transport": "kafka", "encoding": "json", "location": {}}, servers=["k"], topic="t"), "out",
     "servers_malformed", "location.servers"),
    ({"transport": "inline", "location": {"records": [1]}}, "in", "records_malformed", "location.records"),
    (placed(VALKEY, group=None, longest=0), "out", "location_unknown_key", "location.group"),
    (placed(VALKEY, longest=-1), "out", "number_malformed", "location.longest"),
    (changed(VALKEY, schema={"type": "array"}), "in", "schema_not_avro", "schema"),
    (changed(VALKEY, schema=WIDE), "in", "schema_not_narrower", "schema.age"),
    (changed(HOOK, schema=NARROW), "out", "schema_differs", "schema.label"),
    (changed(VALKEY, batch={"size": 3}), "in", "batch_malformed", "batch"),
    (changed(VALKEY, batch={"records": 0}), "in", "batch_records", "batch.records"),
    (changed(VALKEY, batch={"seconds": -1}), "in", "batch_seconds", "batch.seconds"),
    (changed(VALKEY, fields=["age"]), "in", "fields_on_source", "fields"),
    (changed(HOOK, fields=["labels"]), "out", "field_unknown", "fields"),
    (changed(HOOK, fields=["label", "label"]), "out", "fields_malformed", "fields"),
    (changed(VALKEY, loop=True), "in", "loop_not_seekable", "loop"),
    (changed(FILE, loop="yes"), "in", "loop_malformed", "loop"),
    (changed(VALKEY, secret="hunter2"), "in", "secret_not_a_name", "secret"),
    ({"transport": "discard", "secret": "NAME"}, "out", "secret_not_taken", "secret"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "direction", "code", "where"), CASES)
def test_each_rule_refuses_by_its_code(content: Any, direction: Any, code: str, where: str) -> None:
    schema = INPUTS if direction == "in" else OUTPUTS
    with pytest.raises(StreamError) as refusal:
        parse_stream(content, direction, schema)
    assert (code, where) in {(one.code, one.field) for one in problems(content, direction, schema)}
    assert refusal.value.details["problems"]
    assert all(one.message.endswith((".", "?")) for one in problems(content, direction, schema))


def test_no_rule_is_without_a_test_of_its_own() -> None:
    refused = {code for _, _, code, _ in CASES} | {"schema_needed"}
    source = Path(descriptors.__file__).read_text()
    told = set(re.findall(r'(?:StreamError\(\s*|code=)"([a-z_]+)"', source))
    assert len(told) > 25
    assert told <= refused
    assert refused - told <= {"schema_not_avro"}  # the schema's own code


def test_avro_without_a_schema_cannot_be_read() -> None:
    bare = changed(VALKEY, encoding="avro_binary")
    assert [one.code for one in problems(bare, "in")] == ["schema_needed"]
    assert not list(problems(changed(bare, schema=NARROW), "in"))


def test_a_refusal_names_what_was_probably_meant() -> None:
    with pytest.raises(StreamError, match="did you mean valkey"):
        parse_stream(changed(VALKEY, transport="valkye"), "in", INPUTS)


def test_no_refusal_repeats_a_password() -> None:
    for url in ("redis://:hunter2@host/0", "redis://u:hunter2@host/0"):
        told = list(problems(placed(VALKEY, url=url), "in", INPUTS))
        assert told
        assert "hunter2" not in "".join(one.message for one in told)
