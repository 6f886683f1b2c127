"""Put a run together: a sealed version and the streams of its order become a pipeline."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.formats import open_model
from engine.manifests import Manifest
from engine.schemas import Schema
from engine.streams.addresses import Reach
from engine.streams.dead_letters import LETTER, DeadLetters
from engine.streams.descriptors import Stream, parse_stream
from engine.streams.keyed import KeyedSource
from engine.streams.opening import open_sink
from engine.streams.orders import RunOrder
from engine.streams.pipeline import Counts, Outlet, Pipeline
from engine.streams.rows import Rows
from engine.streams.scoring import BatchScorer
from engine.streams.transports import Source

Blob = Callable[[str], Path]  # the file of an element, by its SHA-256
Opener = Callable[[Stream, Schema], Source]


def assemble(
    order: RunOrder,
    folder: Path,
    blob: Blob,
    opener: Opener,
    *,
    saved: Callable[[Any, Counts], None] = lambda position, counts: None,
    followed: Callable[[Schema], Callable[[Rows], None]] = lambda outputs: lambda rows: None,
) -> Pipeline:
    """Open the version, its streams and the letters; whatever is wrong with a stream is known before it starts.

    `folder` is the run's, for letters that nobody else takes; `followed` is told the schema of the outputs, and what it
    returns is told all outputs. Raises EngineError.
    """
    manifest = Manifest.parse(blob(order.digest).read_bytes())
    shas = {one.name: one.sha256 for one in manifest.elements}
    inputs, outputs = (Schema.parse(blob(shas[name]).read_bytes()) for name in ("input_schema", "output_schema"))
    source = parse_stream(order.source, "in", inputs)
    sinks = {name: parse_stream(one, "out", outputs) for name, one in order.sinks.items()}
    with contextlib.ExitStack() as opened:
        letters = _letters(order, folder)
        opened.callback(letters.close)
        model = open_model(blob(shas["model"]), manifest.format, inputs, outputs)
        records = opener(source, inputs)
        opened.callback(records.close)
        outlets = {}
        for name, one in sinks.items():
            outlets[name] = Outlet(open_sink(one, outputs, reach=order.reach), one.fields)
            opened.callback(outlets[name].sink.close)
        opened.pop_all()  # from here on, the pipeline closes them
    scorer = BatchScorer(model, source.schema or inputs, outputs)
    records = KeyedSource(records, order.keys) if order.keys else records
    return Pipeline(records, scorer, outlets, letters, saved=saved, scored=followed(outputs))


def local_letters(folder: Path) -> dict[str, Any]:
    """Return the descriptor of the letters that a run keeps in its own folder."""
    return {
        "transport": "file",
        "encoding": "json_lines",
        "location": {"url": f"file://{folder.resolve()}/letters"},
    }


def _letters(order: RunOrder, folder: Path) -> DeadLetters:
    """Open the sink of the letters that the order chose, if it did, and the run's own."""
    folder, local = folder.resolve(), local_letters(folder)
    own = open_sink(parse_stream(local, "out", LETTER), LETTER, reach=Reach(folders=(str(folder),)))
    if not order.letters:
        return DeadLetters(own)
    return DeadLetters(own, open_sink(parse_stream(order.letters, "out", LETTER), LETTER, reach=order.reach))
