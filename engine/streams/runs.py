"""A run: one version over one source into its sinks, in a process of its own, with a folder that outlives it.

`order.json` says what to run, `position.json` how far it came, `state.json` how it goes, `scores.json` what it scored
lately. A run that is started again goes on where it was: behind its position, or where its consumer group stands. A
position is good for the source that it was reached in; another source is read from its start.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine import durable
from engine.errors import EngineError, StreamError
from engine.schemas import Schema
from engine.streams.assembly import assemble, local_letters
from engine.streams.descriptors import Stream
from engine.streams.opening import open_source
from engine.streams.orders import RunOrder
from engine.streams.pipeline import FAULT, Counts, Pipeline
from engine.streams.rows import Rows
from engine.streams.scores import Scores
from engine.streams.transports import Source

log = logging.getLogger("engine.streams")

TELL_EVERY_S = 0.5
MOST_FAULTS = 50


class Run:
    """One run in this process."""

    def __init__(self, folder: Path, blobs: Path) -> None:
        """Read what to run from a folder; the version's elements lie under their hashes in `blobs`."""
        self.order = RunOrder.read(folder / "order.json")
        self._folder, self._blobs = folder, blobs
        self._before: Counts = Counter()
        self._position: Any = None
        self._saved: tuple[Any, Counts] | None = None  # what is not told yet
        self._telling = threading.Lock()
        self._began = time.time()
        self._scores: Scores | None = None
        if (folder / "position.json").exists():
            kept = json.loads((folder / "position.json").read_bytes())
            if kept.get("source", self._place()) == self._place():
                self._position = kept["position"]
            self._before = counts_kept(kept["counts"])

    def carry_out(self, stop: threading.Event) -> None:
        """Run to the end or until told to stop, and leave in `state.json` what became of it. Raises EngineError.

        It is running once its source and its sinks are open.
        """
        try:
            pipeline = self._pipeline()
        except EngineError as error:
            self._tell("failed", self._before, error=error)
            raise
        self._tell("running", self._before)
        ended = threading.Event()
        teller = threading.Thread(target=self._tell_at_times, args=[ended], name="teller", daemon=True)
        teller.start()
        try:
            counts = pipeline.run(stop)
        except EngineError as error:
            _end(teller, ended)
            self._tell("failed", self._before, error=error)
            raise
        _end(teller, ended)
        self._tell("stopped" if stop.is_set() else "finished", self._before + counts)

    def _pipeline(self) -> Pipeline:
        """Put the run together, behind the position that it had reached."""

        def opened(stream: Stream, schema: Schema) -> Source:
            return open_source(stream, schema, reach=self.order.reach, position=self._position)

        def followed(outputs: Schema) -> Callable[[Rows], None]:
            self._scores = Scores(outputs)
            if (self._folder / "scores.json").exists():
                self._scores.take_up(json.loads((self._folder / "scores.json").read_bytes()))
            return self._scores.add

        return assemble(self.order, self._folder, self._blob, opened, saved=self._save, followed=followed)

    def _place(self) -> dict[str, Any]:
        """Return where the records come from, however they are read."""
        return {key: self.order.source.get(key) for key in ("transport", "location")}

    def _blob(self, sha256: str) -> Path:
        path = self._blobs / sha256
        if not path.is_file():
            raise StreamError("version_missing", "The version's files are not in this engine; deploy it first.")
        return path

    def _save(self, position: Any, counts: Counts) -> None:
        """Keep how far the run came; where the source itself knows that, the counts are kept from time to time."""
        with self._telling:
            self._saved = (position, self._before + counts)
            if position is not None:
                self._keep(*self._saved)

    def _keep(self, position: Any, counts: Counts) -> None:
        content = {"position": position, "counts": counts_to_keep(counts), "source": self._place()}
        durable.write(self._folder / "position.json", json.dumps(content).encode())

    def _tell_at_times(self, ended: threading.Event) -> None:
        """Tell what was saved since, from time to time; also when nothing comes any more, so that the last is told."""
        last = False
        while not last:
            last = ended.wait(TELL_EVERY_S)
            with self._telling:
                saved, self._saved = self._saved, None
                if saved is not None:
                    position, counts = saved
                    if position is None:
                        self._keep(None, counts)
                    self._tell("running", counts)

    def _tell(self, state: str, counts: Counts, *, error: EngineError | None = None) -> None:
        if self._scores is not None:
            durable.write(self._folder / "scores.json", json.dumps(self._scores.told()).encode())
        tell(self._folder, self.order, {"state": state, "began": self._began}, counts, error=error)


def tell(
    folder: Path, order: RunOrder, about: dict[str, Any], counts: Counts, *, error: EngineError | None = None
) -> None:
    """Write a run's `state.json`: what is told about it, its counts, its dead letters, and why it failed."""
    content = {"run": order.run, **about, "told": time.time(), "counts": counts_told(counts)}
    content["letters"] = letters_told(order, folder, counts)
    if error is not None:
        content["error"] = {"code": error.code, "message": error.message, "field": error.field}
    durable.write(folder / "state.json", json.dumps(content).encode())


def _end(teller: threading.Thread, ended: threading.Event) -> None:
    """Let a teller tell the rest, and wait for it."""
    ended.set()
    teller.join()


def counts_to_keep(counts: Counts) -> list[list[Any]]:
    """Return counts as JSON that `counts_kept` reads."""
    return [[how, which, n] for (how, which), n in counts.items()]


def counts_kept(rows: list[list[Any]]) -> Counts:
    """Return the counts that `counts_to_keep` wrote."""
    return Counter({(how, which): n for how, which, n in rows})


def counts_told(counts: Counts) -> dict[str, Any]:
    """Return counts as JSON: read and scored, and what was rejected, delivered or dead by cause or sink."""
    told: dict[str, Any] = {"read": counts["read", ""], "scored": counts["scored", ""]}
    for kind in ("rejected", "delivered", "dead"):
        told[kind] = {which: n for (how, which), n in sorted(counts.items()) if how == kind and n}
    return told


def letters_told(order: RunOrder, folder: Path, counts: Counts) -> dict[str, Any]:
    """Return where the dead letters of a run are, and of what faults they tell, the most frequent first.

    No record and no value is told: those stay where they are kept.
    """
    kept = order.letters or local_letters(folder)
    most = sorted(((n, name) for (how, name), n in counts.items() if how == FAULT), key=lambda one: (-one[0], one[1]))
    faults = [dict(zip(("cause", "rule", "field"), json.loads(name), strict=True), count=n) for n, name in most]
    return {
        "transport": kept["transport"],
        "location": dict(kept.get("location", {})),
        "faults": faults[:MOST_FAULTS],
        "more": max(0, len(faults) - MOST_FAULTS),
    }
