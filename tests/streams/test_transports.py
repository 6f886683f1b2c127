"""Each transport in both directions, against the real thing: what goes out comes in again as it was."""

import base64
import hashlib
import hmac
import json
import os
import resource
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from engine.errors import StreamError
from engine.streams.addresses import Reach
from engine.streams.opening import open_sink, open_source
from engine.streams.transports import Source
from tests import processes
from tests.streams.places import (
    EVERYWHERE,
    READINGS,
    RECORDS,
    Kafka,
    Receiver,
    postgres_url,
    rows,
    stream,
    unique,
    valkey_url,
)

TABLE = "(record_key text primary key, code text, count bigint, level double precision, urgent boolean, ward text)"


def drain(source: Source, least: int = 0) -> tuple[list[str], list[dict[str, Any]]]:
    """Read to the end, or until `least` records came; acknowledge all; return keys and records."""
    keys: list[str] = []
    records: list[dict[str, Any]] = []
    for _ in range(200):
        batch = source.read()
        if batch is None:
            break
        keys += batch.keys
        records += batch.records if batch.records is not None else batch.table.to_pylist() if batch.table else []
        source.acknowledge(batch)
        if source.endless and len(records) >= least:
            break
    source.close()
    return keys, records


def known(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return records without the keys that sinks add."""
    return [{name: record[name] for name in READINGS.names} for record in records]


@pytest.fixture(params=["csv", "json_lines", "parquet", "avro"])
def encoding(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_files_carry_every_value(tmp_path: Path, encoding: str) -> None:
    place = {"transport": "file", "encoding": encoding, "location": {"url": f"file://{tmp_path}/out"}}
    sink = open_sink(stream(place, "out"), READINGS, reach=EVERYWHERE)
    sink.write(rows(RECORDS))
    sink.write(rows(RECORDS[:1], start=5))
    sink.write(rows(RECORDS))  # the same keys again: the same file again
    sink.close()
    assert len(list((tmp_path / "out").iterdir())) == 2
    _, records = drain(open_source(stream(place, "in"), READINGS, reach=EVERYWHERE))
    assert sorted(known(records), key=str) == sorted([*RECORDS, RECORDS[0]], key=str)


def test_a_file_is_read_on_from_its_position(tmp_path: Path, encoding: str) -> None:
    place = {
        "transport": "file",
        "encoding": encoding,
        "location": {"url": f"file://{tmp_path}"},
        "batch": {"records": 2},
    }
    sink = open_sink(stream(place, "out"), READINGS, reach=EVERYWHERE)
    sink.write(rows(RECORDS))
    source = open_source(stream(place, "in"), READINGS, reach=EVERYWHERE)
    first = source.read()
    assert first is not None
    assert len(first.keys) == 2
    source.close()
    again = open_source(stream(place, "in"), READINGS, reach=EVERYWHERE, position=first.position)
    keys, records = drain(again)
    assert known(records) == RECORDS[2:]
    assert not set(keys) & set(first.keys)
    looped = open_source(stream({**place, "loop": True}, "in"), READINGS, reach=EVERYWHERE)
    counts = [len(batch.keys) for batch in (looped.read() for _ in range(4)) if batch]
    assert counts == [2, 1, 2, 1]


def test_csv_keeps_zeros_and_costs_a_bad_cell_its_row_only(tmp_path: Path) -> None:
    path = tmp_path / "records.csv"
    lines = [
        b"\xef\xbb\xbfcode,count,level,urgent,ward",
        b"007,3,1.5,true,north",
        b'008,3,"1,5",true,north',  # a comma as the decimal sign
        b"009,9223372036854775808,1.5,true,north",  # beyond 64 bits
        b"010,3,,false,south",
        b"011,3,1.5",  # too few values
        b"\xff12,3,1.5,true,north",  # another encoding
        b"013,3.0,1.5,yes,north",
        b"014,4,2,false,south",
    ]
    path.write_bytes(b"\n".join(lines) + b"\n")
    place = {"transport": "file", "encoding": "csv", "location": {"url": f"file://{path}"}}
    source = open_source(stream(place, "in"), READINGS, reach=EVERYWHERE)
    batch = source.read()
    assert batch is not None
    assert [record["code"] for record in batch.table.to_pylist()] == ["007", "010", "014"]
    assert batch.table.to_pylist()[1]["level"] is None
    told = sorted((one.cause, one.rule, one.field) for one in batch.rejects)
    assert told == [
        ("encoding", "cell_unreadable", "code"),
        ("encoding", "cell_unreadable", "count"),
        ("encoding", "cell_unreadable", "count"),
        ("encoding", "cell_unreadable", "level"),
        ("encoding", "row_misshapen", ""),
    ]
    assert source.read() is None


@pytest.mark.parametrize("encoding", ["json", "avro_binary"])
def test_valkey_streams_carry_every_value(encoding: str) -> None:
    name = unique("stream")
    place = {"transport": "valkey", "encoding": encoding, "location": {"url": valkey_url(), "stream": name}}
    sink = open_sink(stream(place, "out"), READINGS, reach=EVERYWHERE)
    sink.write(rows(RECORDS))
    arrivals = {**place, "location": {**place["location"], "group": "scoring"}}  # type: ignore[dict-item]
    keys, records = drain(open_source(stream(arrivals, "in"), READINGS, reach=EVERYWHERE), 3)
    assert records == RECORDS
    assert len(set(keys)) == 3
    again = open_source(stream(arrivals, "in"), READINGS, reach=EVERYWHERE)
    batch = again.read()
    assert batch is not None
    assert not len(batch)


def test_what_a_dead_reader_had_is_taken_over() -> None:
    from engine.streams.valkey import ValkeySource

    name = unique("stream")
    place = {"transport": "valkey", "encoding": "json", "location": {"url": valkey_url(), "stream": name, "group": "g"}}
    descriptor = stream(place, "in")
    dead = ValkeySource(descriptor, READINGS, secret="", reach=EVERYWHERE)
    client = redis.Redis.from_url(valkey_url())
    for record in RECORDS:
        client.xadd(name, {"record": json.dumps(record)})
    client.xadd(name, {"other": "no record"})
    client.xadd(name, {"record": b"\xff{"})
    taken = dead.read()
    assert len(taken.keys) == 3
    assert [one.rule for one in taken.rejects] == ["entry_odd", "encoding_broken"]
    dead.close()
    heir = ValkeySource(descriptor, READINGS, secret="", reach=EVERYWHERE, take_over_ms=0)
    heir._consumer = "another"
    batch = heir.read()
    assert (batch.keys, batch.records) == (taken.keys, taken.records)
    heir.acknowledge(batch)
    assert client.xpending(name, "g")["pending"] == 0


def test_a_revoked_group_is_told() -> None:
    name = unique("stream")
    place = {"transport": "valkey", "encoding": "json", "location": {"url": valkey_url(), "stream": name, "group": "g"}}
    source = open_source(stream(place, "in"), READINGS, reach=EVERYWHERE)
    redis.Redis.from_url(valkey_url()).xgroup_destroy(name, "g")
    with pytest.raises(StreamError) as refusal:
        source.read()
    assert refusal.value.code == "group_missing"


@pytest.mark.processes
def test_kafka_carries_every_value(kafka: Kafka) -> None:
    encoding = "avro_binary"  # joining a group takes long here; JSON is shown over Valkey, by the same codec
    location = {"servers": [kafka.server], "topic": kafka.topic()}
    place = {"transport": "kafka", "encoding": encoding, "location": location}
    sink = open_sink(stream(place, "out"), READINGS, reach=EVERYWHERE)
    sink.write(rows(RECORDS))
    sink.close()
    arrivals = {**place, "location": {**location, "group": unique("group")}}
    source = open_source(stream(arrivals, "in"), READINGS, reach=EVERYWHERE)
    keys, records = drain(source, 3)
    assert records == RECORDS
    assert len(set(keys)) == 3


@pytest.fixture(params=["postgresql", "sqlite"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Return the location of a fresh table."""
    name = unique("scores")
    if request.param == "sqlite":
        path = tmp_path / "scores.db"
        with sqlite3.connect(path) as connection:
            connection.execute(f"create table {name} {TABLE}")
        return {"url": f"sqlite://{path}", "table": name}
    folder = postgres_url().partition("host=")[2]
    with psycopg.connect(host=folder, dbname="postgres", autocommit=True) as pg:
        pg.execute(f"create table {name} {TABLE}")
    return {"url": postgres_url(), "table": name}


def test_tables_carry_every_value_once(table: dict[str, str]) -> None:
    sink = open_sink(stream({"transport": "sql", "location": table}, "out"), READINGS, reach=EVERYWHERE)
    sink.write(rows(RECORDS))
    sink.write(rows(RECORDS))  # read and scored again after a crash
    sink.close()
    location = {**table, "order_by": "record_key"}
    place = {"transport": "sql", "location": location, "batch": {"records": 2}}
    source = open_source(stream(place, "in"), READINGS, reach=EVERYWHERE)
    first = source.read()
    source.close()
    assert first is not None
    _, rest = drain(open_source(stream(place, "in"), READINGS, reach=EVERYWHERE, position=first.position))
    records = [*(first.records or []), *rest]
    assert [{**record, "urgent": bool(record["urgent"])} for record in records] == RECORDS
    query = {"url": table["url"], "order_by": "count", "query": f"select * from {table['table']} where count < 5;"}
    _, few = drain(open_source(stream({"transport": "sql", "location": query}, "in"), READINGS, reach=EVERYWHERE))
    assert [record["count"] for record in few] == [0, 3]


def test_inline_and_discard() -> None:
    place = {"transport": "inline", "location": {"records": RECORDS}, "batch": {"records": 2}}
    assert drain(open_source(stream(place, "in"), READINGS, reach=Reach()))[1] == RECORDS
    assert drain(open_source(stream(place, "in"), READINGS, reach=Reach(), position=2))[1] == RECORDS[2:]
    open_sink(stream({"transport": "discard"}, "out"), READINGS, reach=Reach()).write(rows(RECORDS))


def test_webhooks_are_signed_and_named(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDLC_SECRET_HOOK", "hunter2")
    place = {"transport": "http", "encoding": "json", "location": {"url": receiver.url}, "secret": "HOOK"}
    sink = open_sink(stream({**place, "fields": ["code"]}, "out"), READINGS, reach=EVERYWHERE)
    sink.write(rows(RECORDS).selected(["code"]))
    sink.write(rows(RECORDS).selected(["code"]))
    (head, body), (again, _) = receiver.got
    assert receiver.records[:3] == [{"record_key": f"r/{at}", "code": one["code"]} for at, one in enumerate(RECORDS)]
    content = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + body
    signature = base64.b64encode(hmac.new(b"hunter2", content, hashlib.sha256).digest()).decode()
    assert head["webhook-signature"] == f"v1,{signature}"
    assert head["idempotency-key"] == again["idempotency-key"]
    assert head["host"] == receiver.url.split("/")[2]


BAD_PLACES: list[tuple[str, dict[str, Any], str, str]] = [
    ("nobody listens", {"transport": "valkey", "encoding": "json",
     "location": {"url": "redis://127.0.0.1:9/0", "stream": "s"}}, "unreachable", "location.url"),
    ("no database", {"transport": "sql", "location": {"url": "postgresql://u@127.0.0.1:9/d", "table": "t"}},
     "unreachable", "location.url"),
    ("no such user", {"transport": "sql", "location": {
        "url": postgres_url().replace("//", "//nobody_", 1), "table": "t"}}, "access_denied", "secret"),
    ("no table there", {"transport": "sql", "location": {"url": postgres_url(), "table": "none_of_that_name"}},
     "target_missing", "location.table"),
    ("no table", {"transport": "sql", "location": {"url": "sqlite:///tmp/none.db", "table": "t"}},
     "target_missing", "location.table"),
]  # fmt: skip


@pytest.mark.parametrize(("_case", "place", "code", "where"), BAD_PLACES)
def test_a_bad_place_is_told(_case: str, place: dict[str, Any], code: str, where: str) -> None:
    with pytest.raises(StreamError) as refusal:
        open_sink(stream(place, "out"), READINGS, reach=EVERYWHERE)
    assert (refusal.value.code, refusal.value.field) == (code, where)


@pytest.mark.parametrize(("answer", "code"), [(500, "target_refuses"), (401, "access_denied"), (302, "target_refuses")])
def test_a_webhook_that_refuses_is_told(receiver: Receiver, answer: int, code: str) -> None:
    receiver.answer = answer
    place = {"transport": "http", "encoding": "json", "location": {"url": receiver.url}}
    sink = open_sink(stream(place, "out"), READINGS, reach=EVERYWHERE)
    with pytest.raises(StreamError) as refusal:
        sink.write(rows(RECORDS))
    assert refusal.value.code == code
    assert not receiver.got


def refused(sink: Any, records: list[dict[str, Any]], code: str) -> None:
    """Write what a sink has no room for."""
    with pytest.raises(StreamError) as refusal:
        sink.write(rows(records))
    assert refusal.value.code == code


def test_a_full_disk_takes_no_half_file(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/out"
    sink = open_sink(
        stream({"transport": "file", "encoding": "json_lines", "location": {"url": url}}, "out"),
        READINGS,
        reach=EVERYWHERE,
    )
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        refused(sink, RECORDS * 100, "target_full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list((tmp_path / "out").iterdir())
    sink.write(rows(RECORDS * 100))
    assert len(list((tmp_path / "out").glob("*.jsonl"))) == 1


def test_a_full_table_takes_none_of_a_batch() -> None:
    name, folder = unique("full"), postgres_url().partition("host=")[2]
    with psycopg.connect(host=folder, dbname="postgres", autocommit=True) as pg:
        pg.execute(f"create table {name} {TABLE}")
        pg.execute(
            f"create function {name}() returns trigger language plpgsql as $$ begin if new.code = '042' then "
            "raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; "
            "end if; return new; end $$"
        )
        pg.execute(f"create trigger full_disk before insert on {name} for each row execute function {name}()")
        place = {"transport": "sql", "location": {"url": postgres_url(), "table": name}}
        sink = open_sink(stream(place, "out"), READINGS, reach=EVERYWHERE)
        refused(sink, RECORDS, "target_full")
        assert pg.execute(f"select count(*) from {name}").fetchone() == (0,)
        sink.close()
        pg.execute(f"drop table {name}; drop function {name}()")


def test_a_full_valkey_takes_none_of_a_batch(tmp_path_factory: pytest.TempPathFactory) -> None:
    process, url = processes.broker(tmp_path_factory.mktemp("v"))
    try:
        client = redis.Redis.from_url(url)
        client.config_set("maxmemory", "1")
        socket = f"unix://{urlsplit(url).path}"
        place = {"transport": "valkey", "encoding": "json", "location": {"url": socket, "stream": "full"}}
        sink = open_sink(stream(place, "out"), READINGS, reach=EVERYWHERE)
        refused(sink, RECORDS, "target_full")
        client.config_set("maxmemory", "0")
        assert not client.exists("full")
        sink.write(rows(RECORDS))
        assert client.xlen("full") == len(RECORDS)
        sink.close()
        client.close()
    finally:
        process.kill()


def test_a_table_without_the_key_takes_nothing(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("create table scores (code text)")
    place = {"transport": "sql", "location": {"url": f"sqlite://{tmp_path}/x.db", "table": "scores"}}
    with pytest.raises(StreamError, match="record_key") as refusal:
        open_sink(stream(place, "out"), READINGS, reach=EVERYWHERE)
    assert refusal.value.code == "column_missing"


def test_what_is_out_of_reach_is_not_touched(tmp_path: Path, receiver: Receiver) -> None:
    hook = {"transport": "http", "encoding": "json", "location": {"url": receiver.url}}
    file = {"transport": "file", "encoding": "csv", "location": {"url": f"file://{tmp_path}/new"}}
    for place, code in ((hook, "address_forbidden"), (file, "path_forbidden")):
        with pytest.raises(StreamError) as refusal:
            open_sink(stream(place, "out"), READINGS, reach=Reach())
        assert refusal.value.code == code
    assert not (tmp_path / "new").exists()


def test_a_wrong_password_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    user, name = unique("user"), unique("stream")
    redis.Redis.from_url(valkey_url()).acl_setuser(
        user, enabled=True, passwords=["+right"], keys=["*"], commands=["+@all"]
    )
    url = valkey_url().replace("unix://", f"unix://{user}@")
    place = {"transport": "valkey", "encoding": "json", "location": {"url": url, "stream": name}, "secret": "VALKEY"}
    monkeypatch.setenv("MDLC_SECRET_VALKEY", "hunter2")
    with pytest.raises(StreamError) as refusal:
        open_sink(stream(place, "out"), READINGS, reach=EVERYWHERE)
    assert refusal.value.code == "access_denied"
    assert "hunter2" not in refusal.value.message
    monkeypatch.setenv("MDLC_SECRET_VALKEY", "right")
    open_sink(stream(place, "out"), READINGS, reach=EVERYWHERE).write(rows(RECORDS))


@pytest.fixture
def guarded() -> Iterator[str]:
    """Return a role of the suite's PostgreSQL that needs its password, `right`; all others go on without."""
    role = unique("role")
    with psycopg.connect(host=postgres_url().partition("host=")[2], dbname="postgres", autocommit=True) as admin:
        admin.execute(f"create role {role} login password 'right'")
        row = admin.execute("show hba_file").fetchone()
        assert row is not None
        hba = Path(row[0])
        before = hba.read_text()
        hba.write_text(f"local all {role} scram-sha-256\n{before}")
        admin.execute("select pg_reload_conf()")
        try:
            yield role
        finally:
            hba.write_text(before)
            admin.execute("select pg_reload_conf()")
            admin.execute(f"drop role {role}")


def test_a_wrong_password_at_postgresql_is_told(guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    query = "select '007' as code, 3 as count, 1.5::float8 as level, true as urgent, 'north' as ward"
    url = postgres_url().replace(f"//{os.environ['PGUSER']}@", f"//{guarded}@")
    place = {"transport": "sql", "location": {"url": url, "query": query, "order_by": "code"}, "secret": "TABLES"}

    def answer() -> str:
        source = open_source(stream(place, "in"), READINGS, reach=EVERYWHERE)
        try:
            batch = source.read()
        except StreamError as refusal:
            return f"{refusal.code} {refusal.field}" + ", and tells it" * ("hunter2" in refusal.message)
        finally:
            source.close()
        assert batch is not None
        return ", ".join(batch.keys)

    monkeypatch.setenv("MDLC_SECRET_TABLES", "hunter2")
    # PostgreSQL reads its file of rules a moment after it is told to.
    processes.eventually(lambda: answer() == "access_denied secret", "PostgreSQL asks for the password", 10)
    monkeypatch.setenv("MDLC_SECRET_TABLES", "right")
    assert answer() == "query/007"


def test_a_valkey_that_refuses_scripts_gets_the_same_entries() -> None:
    name, user = unique("stream"), unique("user")
    client = redis.Redis.from_url(valkey_url())
    client.acl_setuser(user, enabled=True, nopass=True, keys=["*"], commands=["+@all", "-@scripting"])
    url = valkey_url().replace("unix://", f"unix://{user}@")
    place = {"transport": "valkey", "encoding": "json", "location": {"url": url, "stream": name, "longest": 1000}}
    sink = open_sink(stream(place, "out"), READINGS, reach=EVERYWHERE)
    sink.write(rows(RECORDS[:2]))
    sink.write(rows(RECORDS[2:], start=2))
    sink.close()
    assert {one["username"] for one in client.acl_log() if one["object"] == "eval"} >= {user}
    own = {"transport": "valkey", "encoding": "json", "location": {"url": valkey_url(), "stream": name}}
    sink = open_sink(stream(own, "out"), READINGS, reach=EVERYWHERE)
    sink.write(rows(RECORDS, start=3))
    sink.write(rows([]))
    entries = [fields for _, fields in client.xrange(name)]
    assert [one[b"record_key"] for one in entries] == [f"r/{at}".encode() for at in range(6)]
    assert [json.loads(one[b"record"]) for one in entries] == RECORDS * 2
    client.acl_deluser(user)
    client.close()


def test_a_valkey_sink_keeps_about_as_many_entries_as_it_is_told() -> None:
    name = unique("stream")
    place = {
        "transport": "valkey",
        "encoding": "json",
        "location": {"url": valkey_url(), "stream": name, "longest": 50},
    }
    sink = open_sink(stream(place, "out"), READINGS, reach=EVERYWHERE)
    for start in range(0, 900, 300):
        sink.write(rows(RECORDS * 100, start=start))
    client = redis.Redis.from_url(valkey_url())
    assert 50 <= client.xlen(name) < 300
    client.close()
