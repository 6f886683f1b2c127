"""Runs on a Dask cluster of real processes: the same outputs as on one machine, whoever is killed in between."""

import json
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.streams import partitions
from engine.streams.orders import RunOrder
from engine.streams.parts import LEAST_ROWS
from engine.streams.rows import KEY
from engine.streams.supervisor import Supervisor
from tests import processes
from tests.engine.conftest import NAMES, Trained
from tests.processes import eventually
from tests.streams.clusters import EACH, FILES, SUFFIXES, Blobs, Cluster, Ordered, Write, write_file
from tests.streams.places import EVERYWHERE, unique

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start a scheduler with two workers, whom nobody kills."""
    found = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        found.worker(MDLC_SECRET_BUCKET="ours:ours")
        found.worker(MDLC_SECRET_BUCKET="ours:ours")
        yield found
    finally:
        found.stop()


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Start a scheduler with two workers for one test, which may kill them."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    found = Cluster(folder)
    try:
        found.worker()
        found.worker()
        yield found
    finally:
        found.stop()


@pytest.mark.parametrize("encoding", list(SUFFIXES))
def test_a_cluster_gives_what_one_machine_gives(
    tmp_path: Path, blobs: Blobs, cluster: Cluster, write_source: Write, encoding: str
) -> None:
    keys = write_source(encoding)
    broken = [[1.0, -5.0, 3.0], [1.0, 2.0, 3.0]]  # a value that the schema forbids, and a record that is fine
    write_file(tmp_path / "in" / f"odd.{SUFFIXES[encoding]}", encoding, broken)
    alone, apart = (Ordered(tmp_path, blobs, encoding, name) for name in ("alone", "apart"))
    assert alone.carry_out() == 0
    assert apart.carry_out("--scheduler", cluster.address) == 0
    assert [key for key, _ in apart.table] == sorted([*keys, f"odd.{SUFFIXES[encoding]}/1"])
    assert apart.table == alone.table
    assert apart.files == alone.files
    assert apart.outputs
    assert [(one["cause"], one["field"]) for one in apart.letters] == [("constraint", NAMES[1])]
    assert apart.letters == alone.letters
    assert apart.state["state"] == alone.state["state"] == "finished"
    assert apart.state["counts"] == alone.state["counts"]
    assert apart.state["counts"]["rejected"] == {"constraint": 1}
    fault = {"cause": "constraint", "rule": "minimum", "field": NAMES[1], "count": 1}
    assert apart.state["letters"]["faults"] == alone.state["letters"]["faults"] == [fault]
    assert apart.state["parts"] == {"all": FILES + 1, "done": FILES + 1, "failed": 0}


def test_a_parquet_file_is_divided_by_its_row_groups(tmp_path: Path, blobs: Blobs, cluster: Cluster) -> None:
    count = 2 * LEAST_ROWS + 50_000
    (tmp_path / "in").mkdir()
    rows = np.random.default_rng(1).uniform(1, 30, (count, len(NAMES)))
    table = pa.table({name: rows[:, at] for at, name in enumerate(NAMES)})
    pq.write_table(table, tmp_path / "in" / "all.parquet", row_group_size=30_000)
    runs = [Ordered(tmp_path, blobs, "parquet", name) for name in ("alone", "apart")]
    for one in runs:
        one.source["batch"] = {"records": 7_000}  # so that no batch ends where a row group does
        del one.sinks["table"]
        one.write()
    assert runs[0].carry_out() == 0
    assert runs[1].carry_out("--scheduler", cluster.address) == 0
    assert runs[1].state["parts"]["all"] == 3
    assert runs[1].state["counts"] == runs[0].state["counts"]
    assert len(runs[1].outputs) == count
    assert runs[1].outputs == runs[0].outputs


def test_a_worker_that_is_killed_half_way_loses_and_doubles_nothing(
    tmp_path: Path, blobs: Blobs, own_cluster: Cluster, write_source: Write
) -> None:
    keys, order = write_source("csv"), Ordered(tmp_path, blobs, "csv")
    with order.locked():
        run = order.start("--scheduler", own_cluster.address)
        eventually(lambda: len(order.begun()) == 2, "both workers are half way", 60, run, *own_cluster.workers)
        assert order.table == []
        own_cluster.workers[0].kill()
    run.wait(120)
    assert run.popen is not None
    assert run.popen.returncode == 0, run.log.read_text()
    assert [key for key, _ in order.table] == keys
    assert [one[KEY] for one in order.outputs] == keys
    assert order.letters == []
    assert order.state["counts"]["delivered"] == {"files": len(keys), "table": len(keys)}
    assert "Lost all workers" not in own_cluster.scheduler.log.read_text()


def test_a_run_that_is_killed_goes_on_where_it_was(
    tmp_path: Path, blobs: Blobs, own_cluster: Cluster, write_source: Write
) -> None:
    keys, order = write_source("json_lines"), Ordered(tmp_path, blobs, "json_lines")
    with order.locked():
        run = order.start("--scheduler", own_cluster.address)
        eventually(lambda: len(order.begun()) == 2, "both workers are half way", 60, run, *own_cluster.workers)
        run.kill()
    assert order.state["state"] == "running"
    own_cluster.worker()  # a third one comes later
    assert order.carry_out("--scheduler", own_cluster.address) == 0
    assert [key for key, _ in order.table] == keys
    assert [one[KEY] for one in order.outputs] == keys
    assert order.state["state"] == "finished"
    assert order.state["counts"]["read"] == len(keys)


def test_a_run_that_is_stopped_stops_its_workers_and_goes_on_later(
    tmp_path: Path, blobs: Blobs, own_cluster: Cluster, write_source: Write
) -> None:
    keys, order = write_source("csv"), Ordered(tmp_path, blobs, "csv")
    order.source["batch"] = {"records": 5}  # more batches than wait for a sink, so that no part is near its end
    order.write()
    with order.locked():
        run = order.start("--scheduler", own_cluster.address)
        eventually(lambda: len(order.begun()) == 2, "both workers are half way", 60, run, *own_cluster.workers)
        run.signal(signal.SIGTERM)
        recalls = order.folder / "recalls"
        eventually(lambda: recalls.is_dir() and any(recalls.iterdir()), "the parts are recalled", 60, run)
        time.sleep(8 * partitions.LOOK_EVERY_S)  # while the table takes nothing, they only learn of it
    run.wait(60)
    assert order.state["state"] == "stopped"
    assert order.state["parts"] == {"all": FILES, "done": 0, "failed": 0}
    half = order.table
    assert 0 < len(half) < 2 * EACH
    assert not list(order.folder.glob("parts/*/*"))
    assert order.carry_out("--scheduler", own_cluster.address) == 0
    assert set(half) < set(order.table)
    assert [key for key, _ in order.table] == keys
    assert [one[KEY] for one in order.outputs] == keys
    assert order.state["counts"]["read"] == len(keys)


def test_a_file_that_cannot_be_read_costs_itself_and_the_rest_is_not_scored_again(
    tmp_path: Path, blobs: Blobs, cluster: Cluster, write_source: Write
) -> None:
    keys, order = write_source("avro"), Ordered(tmp_path, blobs, "avro")
    damaged = tmp_path / "in" / "day-2.avro"
    whole = damaged.read_bytes()
    damaged.write_bytes(b"not Avro at all")
    assert order.carry_out("--scheduler", cluster.address) == 1
    assert order.state["state"] == "failed"
    assert order.state["error"]["code"] == "encoding_broken"
    assert order.state["parts"] == {"all": FILES, "done": FILES - 1, "failed": 1}
    assert [key for key, _ in order.table] == [key for key in keys if not key.startswith("day-2")]
    with closing(sqlite3.connect(order.place / "scores.db")) as database, database:
        database.execute("delete from scores")
    damaged.write_bytes(whole)
    assert order.carry_out("--scheduler", cluster.address) == 0
    assert [key for key, _ in order.table] == [key for key in keys if key.startswith("day-2")]
    assert order.state["counts"]["read"] == len(keys)


def test_another_order_in_the_same_folder_begins_anew(
    tmp_path: Path, blobs: Blobs, cluster: Cluster, write_source: Write
) -> None:
    keys, order = write_source("csv"), Ordered(tmp_path, blobs, "csv")
    assert order.carry_out("--scheduler", cluster.address) == 0
    with closing(sqlite3.connect(order.place / "scores.db")) as database, database:
        database.execute("delete from scores")
    assert order.carry_out("--scheduler", cluster.address) == 0
    assert order.table == []
    order.sinks["more"] = {"transport": "discard"}
    order.write()
    assert order.carry_out("--scheduler", cluster.address) == 0
    assert [key for key, _ in order.table] == keys


def test_a_model_that_was_tampered_with_scores_nothing(
    tmp_path: Path, blobs: Blobs, cluster: Cluster, write_source: Write
) -> None:
    write_source("csv")
    order = Ordered(tmp_path, blobs, "csv")
    model = max((one for one in blobs[0].iterdir()), key=lambda one: one.stat().st_size)
    model.write_bytes(model.read_bytes() + b"\0")
    assert order.carry_out("--scheduler", cluster.address) == 1
    assert order.state["error"]["code"] == "blob_mismatch"
    assert order.table == []
    assert order.outputs == []


def test_a_supervisor_gives_to_the_cluster_what_can_be_divided(
    tmp_path: Path, blobs: Blobs, cluster: Cluster, write_source: Write
) -> None:
    keys, order = write_source("csv"), Ordered(tmp_path, blobs, "csv")
    inline = {"transport": "inline", "location": {"records": [dict.fromkeys(NAMES, 1.0)]}}
    runs = Supervisor(tmp_path / "runs", blobs[0], EVERYWHERE, cluster.address)
    try:
        runs.start("tumours", 1, RunOrder.read(order.folder / "order.json"))
        runs.start("tumours", 2, RunOrder("2", blobs[1], inline, order.sinks, reach=EVERYWHERE))
        eventually(lambda: [one["state"] for one in runs.states()] == ["finished"] * 2, "both end", 60)
        assert runs.state("1")["parts"]["done"] == FILES
        assert "parts" not in runs.state("2")
        assert sum(one["count"] for one in runs.state("1")["scores"]["intervals"]) == len(keys)
        assert [key for key, _ in order.table] == [*keys, "inline/0"]
    finally:
        runs.close()


def test_a_part_whose_workers_are_lost_again_and_again_is_given_up_and_told(
    tmp_path: Path, blobs: Blobs, write_source: Write
) -> None:
    keys, order = write_source("csv"), Ordered(tmp_path, blobs, "csv")
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(tmp_path / "cluster", DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
    try:
        cluster.worker()
        with order.locked():
            run = order.start("--scheduler", cluster.address)
            eventually(lambda: order.begun(), "the worker is half way", 60, run, *cluster.workers)
            [lost] = order.begun()
            cluster.workers[0].kill()
        cluster.worker()
        run.wait(120)
        assert order.state["state"] == "failed"
        assert order.state["error"]["code"] == "part_lost"
        missing = {key.partition("/")[0] for key in set(keys) - {key for key, _ in order.table}}
        assert lost in missing  # and perhaps what the worker had been given to do next
        assert order.state["parts"] == {"all": FILES, "done": FILES - len(missing), "failed": len(missing)}
        assert order.carry_out("--scheduler", cluster.address) == 0
        assert [key for key, _ in order.table] == keys
        assert [one[KEY] for one in order.outputs] == keys
    finally:
        cluster.stop()


def test_a_scheduler_that_is_lost_ends_the_run_and_another_one_takes_it_up(
    tmp_path: Path, blobs: Blobs, own_cluster: Cluster, cluster: Cluster, write_source: Write
) -> None:
    keys, order = write_source("csv"), Ordered(tmp_path, blobs, "csv")
    with order.locked():
        run = order.start("--scheduler", own_cluster.address)
        eventually(lambda: len(order.begun()) == 2, "both workers are half way", 60, run, *own_cluster.workers)
        own_cluster.scheduler.kill()
        run.wait(120)
    assert order.state["state"] == "failed"
    assert order.state["error"]["code"] == "scheduler_lost"
    assert order.carry_out("--scheduler", cluster.address) == 0
    assert [key for key, _ in order.table] == keys
    assert [one[KEY] for one in order.outputs] == keys


def s3(server: str, bucket: str, path: str, encoding: str) -> dict[str, Any]:
    url = f"s3://{bucket}/{path}?region=us-east-1&endpoint={server}"
    return {"transport": "file", "encoding": encoding, "location": {"url": url}}


def test_workers_resolve_secrets_and_the_run_knows_none(
    tmp_path: Path, blobs: Blobs, cluster: Cluster, server: str, classifier: Trained
) -> None:
    bucket, order = unique("b").replace("_", "-"), Ordered(tmp_path, blobs, "csv")
    known = {"aws_access_key_id": "ours", "aws_secret_access_key": "ours", "region_name": "us-east-1"}
    with closing(boto3.session.Session().client("s3", endpoint_url=server, **known)) as client:
        client.create_bucket(Bucket=bucket)
        for day in range(3):
            lines = "".join(json.dumps(record) + "\n" for record in classifier.records(EACH)).encode()
            client.put_object(Bucket=bucket, Key=f"in/day-{day}.jsonl", Body=lines)
        order.source = {**s3(server, bucket, "in", "json_lines"), "secret": "UNHEARD_OF"}
        order.sinks["files"] = {**s3(server, bucket, "out", "parquet"), "secret": "BUCKET"}
        order.write()
        assert order.carry_out("--scheduler", cluster.address) == 1
        assert order.state["error"]["code"] == "secret_missing"
        order.source["secret"] = "BUCKET"
        order.write()
        assert "MDLC_SECRET_BUCKET" not in processes.environment()
        assert order.carry_out("--scheduler", cluster.address) == 0
        assert [key for key, _ in order.table] == sorted(
            f"day-{day}.jsonl/{at}" for day in range(3) for at in range(EACH)
        )
        made = [one for one in client.list_objects_v2(Bucket=bucket, Prefix="out/")["Contents"] if one["Size"]]
        assert len(made) == 3
