"""What a worker of a cluster does for a run: plan it, and score one part of its source. Called by name, far away.

Only names and places travel: the order, the letters and the record of each part that is done lie in the run's folder,
the version in the blobs' folder, both shared by all machines; secrets are what the worker itself resolves.
"""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine import durable
from engine.errors import EngineError, StreamError
from engine.sameness import engine_digest
from engine.schemas import Schema
from engine.streams.assembly import Blob, assemble
from engine.streams.descriptors import Stream
from engine.streams.opening import divide, open_part
from engine.streams.orders import RunOrder
from engine.streams.parts import Part
from engine.streams.plain import NoSource
from engine.streams.rows import Rows
from engine.streams.runs import counts_to_keep
from engine.streams.scores import Scores
from engine.streams.transports import Source

Answer = dict[str, Any]
LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a run: its folders, the fingerprint of its order, the engine that leads it, and its own name."""

    folder: str
    blobs: str
    order: str
    engine: str
    name: str

    @property
    def recall(self) -> Path:
        """Return the file that says that all parts which this start gave out are to stop."""
        return Path(self.folder) / "recalls" / self.name

    def record(self, part: Part) -> Path:
        """Return the file that says that a part is done; for another order, or a file that changed, it is another."""
        return Path(self.folder) / "parts" / self.order[:32] / f"{part.name}.json"


def plan(given: dict[str, str]) -> Answer:
    """Open everything that a run needs but its records, close it, and return the parts, or the error."""
    start = Start(**given)

    def planned() -> Answer:
        parts: list[Part] = []
        order = _order(start)

        def divided(stream: Stream, schema: Schema) -> Source:
            parts.extend(divide(stream, reach=order.reach))
            return NoSource()

        assemble(order, Path(start.folder), _hashed(Path(start.blobs)), divided).close()
        return {"parts": [asdict(one) for one in parts]}

    return _answer(planned)


def score(given: dict[str, str], which: dict[str, Any]) -> Answer:
    """Score one part unless that is done, keep a record of it, and return its counts and scores, or the error.

    When this start of the run is recalled, finish what is under way, keep no record, and return that it was stopped.
    """
    start, part = Start(**given), Part(**which)

    def scored() -> Answer:
        order, kept = _order(start), start.record(part)
        if kept.exists():  # by a worker that was lost before it could say so
            return {"counts": json.loads(kept.read_bytes())["counts"]}
        lately: list[Scores] = []

        def opened(stream: Stream, schema: Schema) -> Source:
            return open_part(stream, schema, part, reach=order.reach)

        def followed(outputs: Schema) -> Callable[[Rows], None]:
            lately.append(Scores(outputs))
            return lately[0].add

        with _watched(start.recall) as stop:
            pipeline = assemble(order, Path(start.folder), _hashed(Path(start.blobs)), opened, followed=followed)
            counts = pipeline.run(stop)
            if stop.is_set():
                return {"stopped": True}
        content = {"part": which, "counts": counts_to_keep(counts), "worker": socket.gethostname()}
        kept.parent.mkdir(parents=True, exist_ok=True)
        durable.write(kept, json.dumps(content | {"engine": start.engine}).encode())
        return {"counts": content["counts"], "scores": lately[0].told()}

    return _answer(scored)


@contextmanager
def _watched(path: Path) -> Iterator[threading.Event]:
    """Look for a file from time to time, and set what is returned when it is there."""
    stop, ended = threading.Event(), threading.Event()
    if path.exists():
        stop.set()

    def watch() -> None:
        while not ended.wait(LOOK_EVERY_S):
            if path.exists():
                stop.set()

    watcher = threading.Thread(target=watch, name="recall", daemon=True)
    watcher.start()
    try:
        yield stop
    finally:
        ended.set()
        watcher.join()


def _order(start: Start) -> RunOrder:
    """Return the run's order. Raises StreamError `engine_differs` or `folder_not_shared`, for this machine."""
    if start.engine != engine_digest():
        raise StreamError(
            "engine_differs",
            f"The machine {socket.gethostname()} has another engine, Python or library than the run that leads; install"
            " the same on all machines of the cluster.",
        )
    path = Path(start.folder) / "order.json"
    order = RunOrder.read(path) if path.is_file() else None
    if order is None or order.fingerprint != start.order:
        raise StreamError(
            "folder_not_shared",
            f"The machine {socket.gethostname()} does not find the run's order in {path.parent}; share this folder, and"
            " that of the blobs, with all machines of the cluster, under the same paths.",
        )
    return order


def _hashed(blobs: Path) -> Blob:
    """Return what finds elements in a folder, and hashes them again on this machine."""

    def blob(sha256: str) -> Path:
        path = blobs / sha256
        if not path.is_file():
            raise StreamError("version_missing", f"The machine {socket.gethostname()} lacks {path}; share that folder.")
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != sha256:
            raise StreamError("blob_mismatch", f"The file {path} hashes to {found}; deploy the version again.")
        return path

    return blob


def _answer(do: Callable[[], Answer]) -> Answer:
    """Return an answer as plain values: the errors of ours do not survive the way as exceptions."""
    try:
        return do()
    except EngineError as error:
        return {"error": {"code": error.code, "message": error.message, "field": error.field}}
