"""Measures a batch of files on one machine and on a Dask cluster: `python -m benchmarks.distributed`.

One and five million records lie in Parquet files of 100,000. A run checks, scores and checks them, and writes Parquet
files: once in a process of its own, as an engine starts it, and once led from such a process on a cluster of two
workers of one thread each, on the same cores. Both are timed from the start of the run's process to its end; scheduler
and workers are there already, as they are in a cluster.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet

from benchmarks.serving import ROOT
from benchmarks.streams import REACH, Work, until
from benchmarks.table import Row, printed
from engine.streams.orders import RunOrder

EACH = 100_000
SIZES = (1_000_000, 5_000_000)
BATCH = 10_000
ROUNDS = 3
WORKERS = 2
QUIET = {**os.environ, "LOG_LEVEL": "ERROR", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def fill(folder: Path, work: Work, size: int) -> None:
    """Write so many records."""
    folder.mkdir()
    records = [orjson.loads(message) for message in work.messages]
    table = pa.Table.from_pylist([records[at % len(records)] for at in range(EACH)])
    for number in range(size // EACH):
        pa.parquet.write_table(table, folder / f"{number:03}.parquet")


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """Start a scheduler and its workers, and return its address."""
    told = folder / "scheduler.json"
    apart = ["--dashboard-address", "127.0.0.1:0"]
    scheduler = ["-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", *apart]
    worker = ["-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", *apart]
    processes = [_started(folder, *scheduler, "--scheduler-file", str(told))]
    try:
        until(told.exists, 60)
        address = json.loads(told.read_bytes())["address"]
        processes += [_started(folder, *worker, "--local-directory", str(folder), address) for _ in range(WORKERS)]
        until(lambda: (folder / "log").read_text().count("Registered to:") == WORKERS, 60)
        yield address
    finally:
        for one in processes:
            one.kill()
            one.wait(30)


def _started(folder: Path, *command: str) -> subprocess.Popen[bytes]:
    with (folder / "log").open("ab") as log:
        return subprocess.Popen([sys.executable, *command], cwd=ROOT, env=QUIET, stdout=log, stderr=log)


def timed(folder: Path, work: Work, size: int, *options: str) -> float:
    """Return the records per second of one run over so many."""
    run = Path(tempfile.mkdtemp(dir=folder))
    source = {"transport": "file", "encoding": "parquet", "batch": {"records": BATCH}}
    source["location"] = {"url": f"file://{folder}/{size}"}
    sink = {"transport": "file", "encoding": "parquet", "location": {"url": f"file://{run}/out"}}
    RunOrder("1", work.digest, source, {"scores": sink}, reach=REACH).write(run / "order.json")
    command = [sys.executable, "-m", "engine.streams", str(run), str(work.blobs), *options]
    begun = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=QUIET, check=True, timeout=300)
    took = time.perf_counter() - begun
    delivered = json.loads((run / "state.json").read_bytes())["counts"]["delivered"]
    if delivered != {"scores": size}:
        raise RuntimeError(f"{delivered} were delivered, not all {size}")
    return size / took


def rows() -> list[Row]:
    """Run the whole benchmark."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        work = Work(5, folder)
        with cluster(folder) as address:
            for size in SIZES:
                fill(folder / str(size), work, size)
                timed(folder, work, size, "--scheduler", address)  # the workers import what they need
                pairs = [
                    (timed(folder, work, size), timed(folder, work, size, "--scheduler", address))
                    for _ in range(ROUNDS)
                ]
                alone, apart = (statistics.median(rates) for rates in zip(*pairs, strict=True))
                title = f"batch of {size:,} records, Dask with {WORKERS} workers"
                found.append(Row(title, f"{apart:,.0f}/s", f"the engine's own run {alone:,.0f}/s", apart / alone))
    return found


if __name__ == "__main__":
    print(printed(rows(), f"Records of five fields from Parquet files into others, in batches of {BATCH:,}"))
