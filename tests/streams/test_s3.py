"""Files in S3, in both directions, over the real protocol: a server of its own that keeps objects in its memory.

It does not look at keys and passwords, so what a real service says to wrong ones is not shown here.
"""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from engine.errors import StreamError
from engine.streams.addresses import Reach
from engine.streams.opening import open_sink, open_source
from engine.streams.replay.replaying import Terms, replay
from tests.streams.places import EVERYWHERE, READINGS, RECORDS, rows, stream, unique

KNOWN = {"aws_access_key_id": "ours", "aws_secret_access_key": "ours", "region_name": "us-east-1"}


@pytest.fixture
def client(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a client of another make, to look at what came."""
    monkeypatch.setenv("MDLC_SECRET_BUCKET", "ours:ours")
    found = boto3.session.Session().client("s3", endpoint_url=server, **KNOWN)
    yield found
    found.close()


def place(server: str, bucket: str, encoding: str, path: str = "scores/today") -> dict[str, Any]:
    url = f"s3://{bucket}/{path}?region=us-east-1&endpoint={server}"
    return {"transport": "file", "encoding": encoding, "location": {"url": url}, "secret": "BUCKET"}


@pytest.fixture
def bucket(client: Any) -> str:
    name = unique("b").replace("_", "-")
    client.create_bucket(Bucket=name)
    return name


@pytest.mark.parametrize("encoding", ["csv", "json_lines", "parquet", "avro"])
def test_a_bucket_carries_every_value(server: str, client: Any, bucket: str, encoding: str) -> None:
    content = {**place(server, bucket, encoding), "batch": {"records": 2}}
    sink = open_sink(stream(content, "out"), READINGS, reach=EVERYWHERE)
    sink.write(rows(RECORDS))
    sink.write(rows(RECORDS[:1], start=5))
    sink.write(rows(RECORDS))  # the same keys again: the same object again
    sink.close()
    found = [one["Key"] for one in client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert len([key for key in found if not key.endswith("/")]) == 2
    source = open_source(stream(content, "in"), READINGS, reach=EVERYWHERE)
    first = source.read()
    assert first is not None
    source.close()
    source = open_source(stream(content, "in"), READINGS, reach=EVERYWHERE, position=first.position)
    batches = [first]
    while (batch := source.read()) is not None:
        batches.append(batch)
    source.close()
    records = [record for one in batches for record in (one.records or one.table.to_pylist())]
    told = [{name: record[name] for name in READINGS.names} for record in records]
    assert sorted(told, key=str) == sorted([*RECORDS, RECORDS[0]], key=str)


def test_what_others_put_there_is_read_and_replayed(server: str, client: Any, bucket: str) -> None:
    lines = "".join(json.dumps(record) + "\n" for record in RECORDS).encode()
    client.put_object(Bucket=bucket, Key="golden/records.jsonl", Body=lines)
    client.put_object(Bucket=bucket, Key="golden/notes.txt", Body=b"not for engines")
    creation = {"transport": "inline", "location": {"records": RECORDS}}
    for path in ("golden", "golden/records.jsonl"):
        production = place(server, bucket, "json_lines", path)
        sides = (stream(creation, "in"), stream(production, "in"))
        report = replay(*sides, READINGS, Terms(("code",)), reach=EVERYWHERE)
        assert report.equal, report.to_text()
        assert report.compared == len(RECORDS)


def test_what_is_not_there_or_out_of_reach_is_told(server: str, client: Any, bucket: str) -> None:
    def code(content: dict[str, Any], reach: Reach = EVERYWHERE) -> str:
        with pytest.raises(StreamError) as refusal:
            open_source(stream(content, "in"), READINGS, reach=reach)
        return refusal.value.code

    assert code(place(server, bucket, "csv", "nowhere")) == "target_missing"
    assert code(place(server, "nobodys-bucket", "csv")) == "target_missing"
    assert code(place(server, bucket, "csv"), Reach(folders=("/",))) == "address_forbidden"
    assert code({**place(server, bucket, "csv"), "secret": "UNKNOWN"}) == "secret_missing"
    with pytest.raises(StreamError) as refusal:
        open_sink(stream(place(server, "nobodys-bucket", "csv"), "out"), READINGS, reach=EVERYWHERE)
    assert refusal.value.code in ("target_missing", "access_denied", "unreachable")
    assert "nobodys-bucket" not in [one["Name"] for one in client.list_buckets()["Buckets"]]
