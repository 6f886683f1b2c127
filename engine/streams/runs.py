"""A run: one version over one source into its sinks, in a process of its own, with a folder that outlives it.

`order.json` says what to run, `position.json` how far it came, `state.json` how it goes, `scores.json` what it scored
lately. A run that is started again goes on where it was: behind its position, or where its consumer group stands.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from engine import durable
from engine.errors import EngineError, StreamError
from engine.formats import open_model
from engine.manifests import Manifest
from engine.schemas import Schema
from engine.streams.addresses import Reach
from engine.streams.dead_letters import LETTER, DeadLetters
from engine.streams.descriptors import parse_stream
from engine.streams.opening import open_sink, open_source
from engine.streams.orders import RunOrder
from engine.streams.pipeline import Counts, Outlet, Pipeline
from engine.streams.scores import Scores
from engine.streams.scoring import BatchScorer

log = logging.getLogger("engine.streams")

TELL_EVERY_S = 0.5


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
            self._position = kept["position"]
            self._before = Counter({(how, which): n for how, which, n in kept["counts"]})

    def carry_out(self, stop: threading.Event) -> None:
        """Run to the end or until told to stop, and leave in `state.json` what became of it. Raises EngineError."""
        self._tell("running", self._before)
        ended = threading.Event()
        teller = threading.Thread(target=self._tell_at_times, args=[ended], name="teller", daemon=True)
        teller.start()
        try:
            counts = self._pipeline().run(stop)
        except EngineError as error:
            _end(teller, ended)
            self._tell("failed", self._before, error=error)
            raise
        _end(teller, ended)
        self._tell("stopped" if stop.is_set() else "finished", self._before + counts)

    def _pipeline(self) -> Pipeline:
        """Open the version, its streams and the letters; whatever is wrong with a stream is known before it starts."""
        manifest = Manifest.parse(self._blob(self.order.digest).read_bytes())
        shas = {one.name: one.sha256 for one in manifest.elements}
        inputs, outputs = (
            Schema.parse(self._blob(shas[name]).read_bytes()) for name in ("input_schema", "output_schema")
        )
        source = parse_stream(self.order.source, "in", inputs)
        sinks = {name: parse_stream(one, "out", outputs) for name, one in self.order.sinks.items()}
        reach = self.order.reach
        local = {"transport": "file", "encoding": "json_lines", "location": {"url": f"file://{self._folder}/letters"}}
        own = open_sink(parse_stream(local, "out", LETTER), LETTER, reach=Reach(folders=(str(self._folder),)))
        chosen = self.order.letters and open_sink(parse_stream(self.order.letters, "out", LETTER), LETTER, reach=reach)
        self._scores = Scores(outputs)
        if (self._folder / "scores.json").exists():
            self._scores.take_up(json.loads((self._folder / "scores.json").read_bytes()))
        opened = open_model(self._blob(shas["model"]), manifest.format, inputs, outputs)
        return Pipeline(
            open_source(source, inputs, reach=reach, position=self._position),
            BatchScorer(opened, source.schema or inputs, outputs),
            {name: Outlet(open_sink(one, outputs, reach=reach), one.fields) for name, one in sinks.items()},
            DeadLetters(own, chosen or None),
            saved=self._save,
            scored=self._scores.add,
        )

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
        rows = [[how, which, n] for (how, which), n in counts.items()]
        durable.write(self._folder / "position.json", json.dumps({"position": position, "counts": rows}).encode())

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
        content = {"run": self.order.run, "state": state, "began": self._began, "told": time.time()}
        content |= {"counts": counts_told(counts)}
        if self._scores is not None:
            durable.write(self._folder / "scores.json", json.dumps(self._scores.told()).encode())
        if error is not None:
            content["error"] = {"code": error.code, "message": error.message, "field": error.field}
        durable.write(self._folder / "state.json", json.dumps(content).encode())


def _end(teller: threading.Thread, ended: threading.Event) -> None:
    """Let a teller tell the rest, and wait for it."""
    ended.set()
    teller.join()


def counts_told(counts: Counts) -> dict[str, Any]:
    """Return counts as JSON: read and scored, and what was rejected, delivered or dead by cause or sink."""
    told: dict[str, Any] = {"read": counts["read", ""], "scored": counts["scored", ""]}
    for kind in ("rejected", "delivered", "dead"):
        told[kind] = {which: n for (how, which), n in sorted(counts.items()) if how == kind and n}
    return told
