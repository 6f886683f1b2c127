"""A Dask cluster of this machine's own: a scheduler and workers, each a process that can be killed."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq

from engine.streams.orders import RunOrder
from engine.streams.rows import KEY
from tests import processes
from tests.engine.conftest import NAMES, input_schema
from tests.processes import Process, eventually
from tests.streams.places import EVERYWHERE

FILES, EACH = 6, 400
SUFFIXES = {"csv": "csv", "json_lines": "jsonl", "parquet": "parquet", "avro": "avro"}
Write = Callable[[str], list[str]]
Blobs = tuple[Path, str]

# A worker ends with what it was doing: no nanny starts it again, as when a machine is lost.
WORKER = ["--nthreads", "1", "--no-nanny", "--death-timeout", "60"]


class Cluster:
    """A scheduler, and the workers that were started beside it. Warnings end each of them."""

    def __init__(self, folder: Path, **environment: str) -> None:
        """Start the scheduler, and wait until it says where it listens."""
        self.folder = folder
        told = folder / "scheduler.json"
        command = ["--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(told)]
        self.scheduler = self._start("scheduler", command, environment)
        # The file is there before what it says.
        eventually(lambda: told.exists() and told.stat().st_size > 0, "the scheduler listens", 60, self.scheduler)
        self.address: str = json.loads(told.read_bytes())["address"]
        self.workers: list[Process] = []

    def worker(self, **environment: str) -> Process:
        """Start one more worker, and wait until it has joined."""
        name = f"worker-{len(self.workers)}"
        options = [self.address, *WORKER, "--name", name, "--local-directory", str(self.folder)]
        worker = self._start(name, options, environment)
        self.workers.append(worker)
        return worker.until("Registered to:", 60)

    def stop(self) -> None:
        """End all of it."""
        for one in (*self.workers, self.scheduler):
            one.kill()

    def _start(self, name: str, options: list[str], environment: dict[str, str]) -> Process:
        module = "distributed.cli.dask_worker" if name.startswith("worker") else "distributed.cli.dask_scheduler"
        command = [sys.executable, "-W", "error", "-m", module, "--dashboard-address", "127.0.0.1:0", *options]
        env = processes.environment(**environment)
        return Process(name, command, self.folder / f"{name}.log", env).start()


class Ordered:
    """An order over the files of a folder into files and a table, carried out in a process of its own."""

    def __init__(self, tmp_path: Path, blobs: tuple[Path, str], encoding: str, name: str = "run") -> None:
        self.blobs, self.folder, self.place = blobs, tmp_path / name, tmp_path / f"{name}-out"
        self.folder.mkdir()
        self.place.mkdir()
        with closing(sqlite3.connect(self.place / "scores.db")) as database:
            database.execute("pragma journal_mode = wal")
            database.execute("create table scores (record_key text primary key, label bigint)")
        url, batch = f"file://{tmp_path}/in", {"records": 50}
        self.source = {"transport": "file", "encoding": encoding, "location": {"url": url}, "batch": batch}
        table = {"url": f"sqlite://{self.place}/scores.db", "table": "scores"}
        self.sinks: dict[str, Any] = {
            "files": {"transport": "file", "encoding": "parquet", "location": {"url": f"file://{self.place}/scores"}},
            "table": {"transport": "sql", "location": table, "fields": ["label"]},
        }
        self.write()

    def write(self, **changed: Any) -> None:
        content = {"source": self.source, "sinks": self.sinks, "reach": EVERYWHERE, **changed}
        RunOrder("1", self.blobs[1], **content).write(self.folder / "order.json")

    def start(self, *options: str) -> Process:
        command = [sys.executable, "-W", "error", "-m", "engine.streams", str(self.folder), str(self.blobs[0])]
        return Process("run", [*command, *options], self.folder / "log", processes.environment()).start()

    def carry_out(self, *options: str) -> int:
        """Carry it out to its end, and return how it ended."""
        run = self.start(*options)
        run.wait(120)
        assert run.popen is not None
        return int(run.popen.returncode)

    @property
    def state(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "state.json").read_bytes()))

    @property
    def table(self) -> list[tuple[str, int]]:
        with closing(sqlite3.connect(self.place / "scores.db")) as database:
            return sorted(database.execute("select record_key, label from scores"))

    @property
    def files(self) -> dict[str, bytes]:
        return {one.name: one.read_bytes() for one in (self.place / "scores").glob("*.parquet")}

    @property
    def outputs(self) -> list[dict[str, Any]]:
        """Return the records in the files, in the order of their keys."""
        found = [row for one in (self.place / "scores").glob("*.parquet") for row in pq.read_table(one).to_pylist()]
        return sorted(found, key=lambda one: str(one[KEY]))

    @property
    def letters(self) -> list[dict[str, Any]]:
        """Return the run's own dead letters, without their time."""
        lines = [line for one in (self.folder / "letters").glob("*.jsonl") for line in one.read_text().splitlines()]
        found = [{key: value for key, value in json.loads(line).items() if key != "at"} for line in lines]
        return sorted(found, key=lambda one: str(one[KEY]))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the table's database, so that no part can come to its end, though each may begin."""
        with closing(sqlite3.connect(self.place / "scores.db", isolation_level=None)) as database:
            database.execute("begin exclusive")
            yield
            database.execute("rollback")

    def begun(self) -> set[str]:
        """Return the source's files whose records came to the sink of files."""
        return {str(one[KEY]).partition("/")[0] for one in self.outputs}


def write_file(path: Path, encoding: str, rows: list[list[float]]) -> None:
    """Write records as others would."""
    records = [dict(zip(NAMES, row, strict=True)) for row in rows]
    if encoding == "csv":
        path.write_text("\n".join([",".join(NAMES), *(",".join(map(str, row)) for row in rows)]) + "\n")
    elif encoding == "json_lines":
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    elif encoding == "parquet":
        pq.write_table(pa.Table.from_pylist(records), path, row_group_size=100)
    else:
        with path.open("wb") as file:
            fastavro.writer(file, fastavro.parse_schema(input_schema()), records)
