"""The same records through two sources: equal where they are, and each thing that goes wrong told by field and kind."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from confluent_kafka import Producer

from engine.errors import EngineError, RecordError, StreamError
from engine.fields import Field
from engine.formats import open_model
from engine.schemas import Schema
from engine.streams.opening import open_sink, open_source
from engine.streams.replay.differences import Tolerance
from engine.streams.replay.replaying import Scored, Terms, replay
from engine.streams.replay.reports import Report
from tests.engine.conftest import CLASSES, Trained, input_schema
from tests.streams.places import EVERYWHERE, READINGS, Kafka, postgres_url, rows, stream, unique, valkey_url

HEADER = "code,count,level,urgent,ward"
GOLDEN: list[dict[str, Any]] = [
    {"code": "007", "count": 3, "level": 1.5, "urgent": True, "ward": "north"},
    {"code": "100", "count": 2**60, "level": None, "urgent": False, "ward": "south"},
    {"code": "042", "count": 0, "level": -0.0078125, "urgent": False, "ward": "north"},
    {"code": "311", "count": 12, "level": 0.1, "urgent": True, "ward": "south"},
]
BY_CODE = Terms(keys=("code",))


def a_csv(folder: Path, records: list[dict[str, Any]] = GOLDEN) -> dict[str, Any]:
    def cell(value: Any) -> str:
        return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    lines = [HEADER, *(",".join(cell(record[name]) for name in READINGS.names) for record in records)]
    return csv_of(folder, "\n".join(lines).encode() + b"\n")


def csv_of(folder: Path, content: bytes, name: str = "golden.csv") -> dict[str, Any]:
    (folder / name).write_bytes(content)
    return {"transport": "file", "encoding": "csv", "location": {"url": f"file://{folder}/{name}"}}


def a_stream(records: list[Any]) -> dict[str, Any]:
    """Return a stream of the suite's Valkey with messages as they are, or of records as JSON."""
    name = unique("arrivals")
    client = redis.Redis.from_url(valkey_url())
    for record in records:
        client.xadd(name, {"record": record if isinstance(record, bytes) else json.dumps(record)})
    client.close()
    location = {"url": valkey_url(), "stream": name, "group": "scoring"}
    return {"transport": "valkey", "encoding": "json", "location": location}


def replayed(creation: dict[str, Any], production: dict[str, Any], terms: Terms = BY_CODE) -> Report:
    found = replay(stream(creation, "in"), stream(production, "in"), READINGS, terms, reach=EVERYWHERE)
    json.dumps(found.to_dict(), allow_nan=False)
    assert found.equal == found.to_text().startswith("EQUAL")
    return found


def told(report: Report) -> list[tuple[str, str, str, Any, Any]]:
    """Return field, kind, cause and values of every example."""
    return [
        (one.field, example.kind, example.cause, example.creation, example.production)
        for one in report.fields
        for example in one.examples
    ]


def changed(at: int, **values: Any) -> list[dict[str, Any]]:
    records = [dict(record) for record in GOLDEN]
    records[at] |= values
    return records


def lacking(at: int, name: str) -> list[dict[str, Any]]:
    records = [dict(record) for record in GOLDEN]
    del records[at][name]
    return records


@pytest.mark.parametrize("terms", [BY_CODE, Terms(), Terms(keys=("ward", "code"))])
def test_a_file_and_a_stream_of_the_same_records_are_equal(tmp_path: Path, terms: Terms) -> None:
    report = replayed(a_csv(tmp_path), a_stream(GOLDEN), terms)
    assert report.equal
    assert report.compared == report.creation.records == report.production.records == 4
    assert [one.field for one in report.fields] == list(READINGS.names)


def via_files(encoding: str) -> Callable[[Path, Kafka], dict[str, Any]]:
    def put(folder: Path, kafka: Kafka) -> dict[str, Any]:
        return sunk({"transport": "file", "encoding": encoding, "location": {"url": f"file://{folder}/out"}})

    return put


def via_sql(folder: Path, kafka: Kafka) -> dict[str, Any]:
    columns = "(code text, count bigint, level double precision, urgent boolean, ward text)"
    table = unique("golden")
    with psycopg.connect(postgres_url()) as connection:
        connection.execute(f"create table {table} {columns}")
        for record in GOLDEN:
            connection.execute(f"insert into {table} values (%s, %s, %s, %s, %s)", list(record.values()))
    return {"transport": "sql", "location": {"url": postgres_url(), "table": table, "order_by": "code"}}


def via_kafka(folder: Path, kafka: Kafka) -> dict[str, Any]:
    location = {"servers": [kafka.server], "topic": kafka.topic()}
    sunk({"transport": "kafka", "encoding": "avro_binary", "location": location})
    return {"transport": "kafka", "encoding": "avro_binary", "location": {**location, "group": "scoring"}}


def via_inline(folder: Path, kafka: Kafka) -> dict[str, Any]:
    return {"transport": "inline", "location": {"records": GOLDEN}}


def sunk(content: dict[str, Any]) -> dict[str, Any]:
    sink = open_sink(stream(content, "out"), READINGS, reach=EVERYWHERE)
    sink.write(rows(GOLDEN))
    sink.close()
    return content


@pytest.mark.parametrize(
    "put",
    [via_files("csv"), via_files("parquet"), via_files("avro"), via_sql, via_kafka, via_inline],
    ids=["csv", "parquet", "avro", "sql", "kafka", "inline"],
)
def test_every_transport_can_be_replayed(tmp_path: Path, kafka: Kafka, put: Any) -> None:
    report = replayed(a_csv(tmp_path), put(tmp_path, kafka))
    assert report.equal, report.to_text()
    assert report.compared == 4


def test_json_lines_with_the_key_of_a_sink_are_refused_as_a_run_would(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"record_key": "1", **record}) + "\n" for record in GOLDEN)
    (tmp_path / "golden.jsonl").write_text(lines)
    place = {"transport": "file", "encoding": "json_lines", "location": {"url": f"file://{tmp_path}/golden.jsonl"}}
    report = replayed(a_csv(tmp_path), place)
    assert not report.equal
    assert report.production.rejects == {"schema": 4}
    assert not any(one.differing for one in report.fields)


@pytest.mark.parametrize(
    ("production", "field", "kind", "cause"),
    [
        (changed(0, count="3"), "count", "type", "number_as_text"),
        (changed(0, count=3.0), "count", "type", "fraction"),
        (changed(0, count=True), "count", "type", ""),
        (changed(1, count=2**60 + 1), "count", "value", "rounded"),
        (changed(1, count=2**64), "count", "type", ""),
        (changed(0, count=3000), "count", "value", "scale"),
        (changed(0, level="1,5"), "level", "type", "decimal_comma"),
        (changed(0, level="1.5"), "level", "type", "number_as_text"),
        (changed(0, level=1.25), "level", "value", ""),
        (changed(3, level=0.10000000149011612), "level", "value", "single_precision"),
        (changed(1, level=0.0), "level", "default", "zero_for_null"),
        (changed(1, level=""), "level", "default", "empty_for_null"),
        (changed(0, level=None), "level", "null", ""),
        (changed(0, urgent=None), "urgent", "null", ""),
        (changed(0, urgent=1), "urgent", "type", ""),
        (changed(0, urgent=False), "urgent", "value", ""),
        (changed(0, ward="North"), "ward", "value", "letter_case"),
        (changed(0, ward=" north"), "ward", "value", "spaces"),
        (changed(0, ward="\ufeffnorth"), "ward", "value", "byte_order_mark"),
        (lacking(0, "level"), "level", "missing", ""),
        (lacking(1, "level"), "level", "missing", ""),
        (lacking(2, "count"), "count", "default", "zero_for_null"),
    ],
)
def test_what_goes_wrong_is_told_by_field_and_kind(
    tmp_path: Path, production: list[dict[str, Any]], field: str, kind: str, cause: str
) -> None:
    report = replayed(a_csv(tmp_path), a_stream(production))
    assert [one[:3] for one in told(report)] == [(field, kind, cause)]
    assert not report.equal
    assert report.compared == 4
    [differing] = [one for one in report.fields if one.differing]
    assert differing.kinds == {kind: 1}
    back = replayed(a_stream(production), a_csv(tmp_path))
    assert [one[:3] for one in told(back)] == [(field, kind, cause)]
    assert told(back)[0][3:] == told(report)[0][:2:-1]


def test_zeros_that_were_lost_are_told_when_records_go_by_their_order(tmp_path: Path) -> None:
    report = replayed(a_csv(tmp_path), a_stream(changed(0, code="7")), Terms())
    assert told(report) == [("code", "value", "leading_zeros", "007", "7")]
    assert report.production.rejects == {"constraint": 1}
    report = replayed(a_csv(tmp_path), a_stream(changed(0, code=7)), Terms())
    assert told(report) == [("code", "type", "leading_zeros", "007", 7)]
    assert report.production.rejects == {"schema": 1}
    report = replayed(a_csv(tmp_path), a_stream(changed(0, code="7")))
    assert (report.creation.missing, report.production.missing) == (1, 1)
    assert (report.creation.alone, report.production.alone) == ((("007",),), (("7",),))


TIMES = Schema("Times", [Field("text", "string"), Field("seconds", "long"), Field("millis", "long")])


@pytest.mark.parametrize(
    ("field", "production", "cause"),
    [
        ("text", "2026-11-23T07:00:00Z", "time_zone"),
        ("text", "2026-11-23T09:00:00+01:00", "time_zone"),
        ("text", "2026-11-23T08:00:00", "zone_missing"),
        ("text", "2026-11-23T08:00:01+01:00", ""),
        ("seconds", 1_700_003_600, "time_zone"),
        ("seconds", 1_700_000_001, ""),
        ("seconds", 1_700_000_000_000, "scale"),
        ("millis", 1_699_998_200_000, "time_zone"),
    ],
)
def test_times_in_another_zone_are_told(field: str, production: Any, cause: str) -> None:
    record = {"text": "2026-11-23T08:00:00+01:00", "seconds": 1_700_000_000, "millis": 1_700_000_000_000}
    sides = [
        stream({"transport": "inline", "location": {"records": [one]}}, "in", TIMES)
        for one in (record, {**record, field: production})
    ]
    report = replay(*sides, TIMES, Terms(), reach=EVERYWHERE)
    assert [one[:3] for one in told(report)] == [(field, "value", cause)]


def test_cells_that_cannot_be_read_are_compared_too(tmp_path: Path) -> None:
    lines = [
        b"\xef\xbb\xbf" + HEADER.encode(),
        b'007,3,"1,5",true,north',
        b"100,1152921504606846976,,false,south",
        b"042,0",
        b"042,0,-0.0078125,false,nord\xff",
        b"311,,0.1,true,south",
    ]
    report = replayed(a_csv(tmp_path), csv_of(tmp_path, b"\n".join(lines) + b"\n", "production.csv"))
    assert told(report) == [
        ("count", "type", "", 12, ""),
        ("level", "type", "decimal_comma", 1.5, "1,5"),
        ("ward", "type", "", "north", "nord\\xff"),
    ]
    assert report.production.rejects == {"encoding": 4}
    assert [one.rule for one in report.production.unreadable] == ["row_misshapen"]
    by_order = replayed(a_csv(tmp_path), csv_of(tmp_path, b"\n".join(lines) + b"\n", "production.csv"), Terms())
    assert by_order.creation.alone == (2,)
    assert by_order.production.alone == (4,)


def test_a_column_that_a_file_lacks_is_missing_in_every_record(tmp_path: Path) -> None:
    content = b"code,count,level,urgent\n007,3,1.5,true\n100,0,,false\n"
    report = replayed(a_csv(tmp_path), csv_of(tmp_path, content, "production.csv"))
    [ward] = [one for one in report.fields if one.field == "ward"]
    assert ward.kinds == {"missing": 2}
    assert report.production.rejects == {"schema": 2}
    assert report.creation.missing == 2


def test_broken_messages_keep_the_places_of_the_others(tmp_path: Path) -> None:
    messages = [GOLDEN[0], b"\xef\xbb\xbf{}", GOLDEN[2], b"[1]"]
    report = replayed(a_csv(tmp_path), a_stream(messages), Terms())
    assert report.compared == 2
    assert not any(one.differing for one in report.fields)
    assert report.creation.alone == (1, 3)
    assert report.production.rejects == {"encoding": 2}
    assert [one.rule for one in report.production.unreadable] == ["encoding_broken", "encoding_broken"]


def test_records_in_another_order_twice_or_lacking_are_found_by_their_key(tmp_path: Path) -> None:
    shuffled = [GOLDEN[3], GOLDEN[0], GOLDEN[2], GOLDEN[1]]
    assert replayed(a_csv(tmp_path), a_stream(shuffled)).equal
    assert not replayed(a_csv(tmp_path), a_stream(shuffled), Terms()).equal
    twice = replayed(a_csv(tmp_path), a_stream([*shuffled, GOLDEN[0]]))
    assert (twice.production.twins, twice.production.missing, twice.equal) == (1, 0, False)
    unkeyed = replayed(a_csv(tmp_path), a_stream([*shuffled[:3], {**GOLDEN[1], "code": None}]))
    assert (unkeyed.creation.missing, unkeyed.production.missing, unkeyed.compared) == (1, 1, 3)
    assert unkeyed.production.alone == ((None,),)


def test_a_tolerance_is_of_its_field_only(tmp_path: Path) -> None:
    production = a_stream(changed(0, level=1.5000001, count=4))
    report = replayed(a_csv(tmp_path), production, Terms(("code",), {"level": Tolerance(absolute=1e-6)}))
    assert [one[:2] for one in told(report)] == [("count", "value")]
    [level] = [one for one in report.fields if one.field == "level"]
    assert level.worst == pytest.approx(1e-7)
    both = {"level": Tolerance(relative=1e-6), "count": Tolerance(absolute=1)}
    assert replayed(a_csv(tmp_path), production, Terms(("code",), both)).equal
    assert not replayed(a_csv(tmp_path), production, Terms(("code",), {"level": Tolerance(1e-8)})).equal


def test_nothing_replayed_proves_nothing(tmp_path: Path) -> None:
    report = replayed(a_csv(tmp_path, []), a_csv(tmp_path, []))
    assert (report.compared, report.equal) == (0, False)


def test_a_replay_changes_nothing_in_production(tmp_path: Path) -> None:
    production = a_stream(GOLDEN)
    name = production["location"]["stream"]
    client = redis.Redis.from_url(valkey_url())
    replayed(a_csv(tmp_path), production)
    assert client.xinfo_groups(name) == []
    client.xgroup_create(name, "scoring", id="0")
    client.xreadgroup("scoring", "engine", {name: ">"}, count=1)
    before = client.xinfo_stream(name, full=True)["groups"]
    replayed(a_csv(tmp_path), production)
    assert client.xinfo_stream(name, full=True)["groups"] == before
    assert client.xlen(name) == 4
    client.close()


def test_a_replay_takes_nothing_from_a_group_of_kafka(tmp_path: Path, kafka: Kafka) -> None:
    location = {"servers": [kafka.server], "topic": kafka.topic()}
    producer = Producer({"bootstrap.servers": kafka.server})
    for record in (*GOLDEN, b"{"):
        producer.produce(location["topic"], record if isinstance(record, bytes) else json.dumps(record))
    assert producer.flush(10) == 0
    place = {"transport": "kafka", "encoding": "json", "location": {**location, "group": "scoring"}}
    for _ in range(2):
        report = replayed(a_csv(tmp_path), place)
        assert (report.compared, report.production.rejects) == (4, {"encoding": 1})


@pytest.mark.parametrize(
    ("change", "terms", "code"),
    [
        ({}, Terms(keys=("kode",)), "replay_key"),
        ({}, Terms(most=3), "records_too_many"),
        ({"location": {"url": valkey_url, "stream": "nowhere", "group": "scoring"}}, BY_CODE, "target_missing"),
        ({"transport": "http", "location": {}}, BY_CODE, "direction_unsupported"),
    ],
)
def test_what_cannot_be_replayed_is_refused(tmp_path: Path, change: dict[str, Any], terms: Terms, code: str) -> None:
    production = {**a_stream(GOLDEN), **change}
    production["location"] = {k: v() if callable(v) else v for k, v in production["location"].items()}
    with pytest.raises((StreamError, RecordError)) as refusal:
        replayed(a_csv(tmp_path), production, terms)
    assert isinstance(refusal.value, EngineError)
    assert refusal.value.code == code
    assert redis.Redis.from_url(valkey_url()).exists("nowhere") == 0


LISTS = Schema(
    "Lists",
    [Field("id", "int"), Field("v", "array", items="double"), Field("w", "array", items="enum", allowed=("a",))],
)


def test_lists_are_compared_value_by_value() -> None:
    creation = [{"id": at, "v": [1.0, 2.0], "w": ["a"]} for at in range(6)]
    production = [dict(one) for one in creation]
    production[1]["v"] = [1.0, 2.5]
    production[2]["v"] = [1.0]
    production[3]["w"] = ["b"]
    production[4]["v"] = [1.0, None]
    production[5]["w"] = None
    sides = [
        stream({"transport": "inline", "location": {"records": one}}, "in", LISTS) for one in (creation, production)
    ]
    report = replay(*sides, LISTS, Terms(("id",)), reach=EVERYWHERE)
    assert [one.kinds for one in report.fields] == [{}, {"value": 3}, {"value": 1, "null": 1}]
    assert [example.row for example in report.fields[1].examples] == [1, 2, 4]
    assert report.production.rejects == {"constraint": 1, "schema": 2}
    loose = replay(*sides, LISTS, Terms(("id",), {"v": Tolerance(0.5)}), reach=EVERYWHERE)
    assert [example.row for example in loose.fields[1].examples] == [2, 4]


def test_predictions_are_compared_through_the_model(classifier: Trained) -> None:
    inputs, outputs = Schema.parse(input_schema(minimum=0.0)), Schema.parse(CLASSES)
    scored = Scored(open_model(classifier.onnx, "onnx", inputs, outputs), outputs)
    creation = classifier.records(50)
    production: list[dict[str, Any]] = [dict(one) for one in creation]
    production[3]["radius"] *= 3
    production[7]["radius"] = -1.0

    def found(records: list[dict[str, Any]], **tolerance: Tolerance) -> Report:
        sides = [
            stream({"transport": "inline", "location": {"records": one}}, "in", inputs) for one in (creation, records)
        ]
        loose = {"radius": Tolerance(absolute=100)}
        return replay(*sides, inputs, Terms((), loose, tolerance), reach=EVERYWHERE, scored=scored)

    assert found(creation).equal
    report = found(production)
    assert not any(one.differing for one in report.fields)
    assert report.predictions is not None
    assert (report.predictions.compared, report.predictions.creation_only) == (49, 1)
    label, probabilities = report.predictions.fields
    assert (label.field, probabilities.differing) == ("label", 1)
    assert probabilities.worst > 1e-3
    slight = [dict(one) for one in creation]
    slight[3]["radius"] += 1e-3
    assert not found(slight).equal
    assert found(slight, probabilities=Tolerance(0.01)).equal


def test_the_command_tells_and_ends_accordingly(tmp_path: Path) -> None:
    paths = {}
    for name, content in (
        ("creation", a_csv(tmp_path)),
        ("production", a_stream(changed(3, level=0.2))),
        ("schema", READINGS.to_dict()),
    ):
        paths[name] = tmp_path / f"{name}.json"
        paths[name].write_text(json.dumps(content))
    command = [sys.executable, "-m", "engine.streams.replay", "--key", "code", "--folder", "/"]
    command += [part for name, path in paths.items() for part in (f"--{name}", str(path))]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *more], capture_output=True, text=True, check=False)

    differs = run()
    assert (differs.returncode, differs.stderr) == (1, "")
    assert "level: 1 differ (value 1)\n  0.1 became 0.2: value" in differs.stdout
    equal = run("--tolerance", "level=0.11", "--json")
    assert equal.returncode == 0
    assert json.loads(equal.stdout)["compared"] == 4
    refused = run("--key", "kode")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("replay_key: kode")


def test_misshapen_lines_are_all_kept_also_behind_the_last_good_one(tmp_path: Path) -> None:
    place = csv_of(tmp_path, (HEADER + "\n1,2\n" + "007,3,1.5,true,north\n" * 3 + "3,4\n").encode())
    source = open_source(stream({**place, "batch": {"records": 1}}, "in"), READINGS, reach=EVERYWHERE)
    keys = []
    while (batch := source.read()) is not None:
        keys += [one.key for one in batch.rejects]
    assert keys == ["golden.csv/line-2", "golden.csv/line-6"]
    only = csv_of(tmp_path, (HEADER + "\n1,2\n").encode(), "only.csv")
    batch = open_source(stream(only, "in"), READINGS, reach=EVERYWHERE).read()
    assert batch is not None
    assert [one.key for one in batch.rejects] == ["only.csv/line-2"]
