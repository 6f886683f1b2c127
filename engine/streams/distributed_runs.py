"""A run over so much data that one machine is not enough: its source is divided, and a Dask cluster scores the parts.

Each part goes through the very pipeline of a run on one machine. What a lost worker had begun is begun again elsewhere,
under the same names and keys; a run that is started again skips the parts that are done.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

from engine import durable
from engine.errors import EngineError, StreamError
from engine.sameness import engine_digest
from engine.streams import partitions
from engine.streams.division import refusal
from engine.streams.joined_scores import Told, joined
from engine.streams.orders import RunOrder
from engine.streams.partitions import Start
from engine.streams.parts import Part
from engine.streams.pipeline import Counts
from engine.streams.runs import TELL_EVERY_S, counts_kept, tell

log = logging.getLogger("engine.streams")

RECALL_S = 15  # for workers to finish what is under way; an engine waits a little longer for its runs
ANSWER_S = 20  # for a scheduler to answer, and then for its first worker to come
# What is wrong with one file; the others are scored, and the run fails at its end. All else ends a run at once.
OF_ONE_FILE = frozenset({"encoding_broken", "column_missing", "source_changed", "target_missing", "part_lost"})


class DistributedRun:
    """One run, led from this process."""

    def __init__(self, folder: Path, blobs: Path, scheduler: str) -> None:
        """Read what to run from a folder. It and `blobs` are shared with all workers, under the same paths."""
        self.order = RunOrder.read(folder / "order.json")
        self._folder, self._scheduler, self._began = folder.resolve(), scheduler, time.time()
        self._start = Start(
            str(self._folder), str(blobs.resolve()), self.order.fingerprint, engine_digest(), uuid4().hex
        )
        self._counts: Counts = Counter()
        self._parts: Counter[str] = Counter()
        self._told = (0.0, self._parts.copy())  # when, and what
        self._failure: StreamError | None = None
        known = self._folder / "scores.json"
        self._scores: Told | None = json.loads(known.read_bytes()) if known.exists() else None

    def carry_out(self, stop: threading.Event) -> None:
        """Run to the end or until told to stop, and leave in `state.json` what became of it. Raises EngineError."""
        self._tell("running")
        try:
            odd = refusal(self.order)
            if odd is not None:
                raise odd
            with _client(self._scheduler, self.order.run) as client:
                self._lead(client, stop)
            if self._failure is not None and not stop.is_set():
                raise self._failure
        except EngineError as error:
            self._tell("failed", error=error)
            raise
        self._tell("stopped" if stop.is_set() else "finished")

    def _lead(self, client: Any, stop: threading.Event) -> None:
        """Have the source divided, and every part scored that is not done."""
        done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        planned = list(self._answers({self._submit(client, done, partitions.plan): None}, done, stop))
        parts = [Part(**one) for answer in planned for one in answer["parts"]]
        self._parts["all"] = len(parts)
        waiting: dict[Any, Part | None] = {}
        for part in parts:
            if not self._is_done(part):
                waiting[self._submit(client, done, partitions.score, asdict(part))] = part
        try:
            for answer in self._answers(waiting, done, stop):
                self._take(answer)
        finally:
            self._recall(waiting, done)

    def _recall(self, waiting: dict[Any, Part | None], done: queue.SimpleQueue[Any]) -> None:
        """Have the workers stop what is not done yet, and wait for them a while."""
        if not waiting:
            return
        self._start.recall.parent.mkdir(exist_ok=True)
        durable.write(self._start.recall, b"")
        ends = time.monotonic() + RECALL_S
        with suppress(queue.Empty):
            while waiting:
                future = done.get(timeout=max(0.0, ends - time.monotonic()))
                waiting.pop(future, None)
                with suppress(StreamError):
                    self._take(_answer(future))

    def _take(self, answer: partitions.Answer) -> None:
        """Take an answer about a part: one that was stopped has no counts, one that had ended before no scores."""
        if "counts" in answer:
            self._add(answer["counts"])
        if "scores" in answer:
            self._scores = joined(self._scores, answer["scores"])

    def _is_done(self, part: Part) -> bool:
        """Tell whether a part has been scored before; then its counts are added."""
        kept = self._start.record(part)
        if kept.exists():
            self._add(json.loads(kept.read_bytes())["counts"])
        return kept.exists()

    def _add(self, rows: list[list[Any]]) -> None:
        self._parts["done"] += 1
        self._counts += counts_kept(rows)

    def _submit(self, client: Any, done: queue.SimpleQueue[Any], do: Callable[..., Any], *more: Any) -> Any:
        """Hand a task to the cluster; nothing but names and places goes with it."""
        key = f"mdlc-{self.order.run}-{do.__name__}-{uuid4().hex}"
        future = client.submit(do, asdict(self._start), *more, key=key, pure=False)
        future.add_done_callback(done.put)
        return future

    def _answers(
        self, waiting: dict[Any, Part | None], done: queue.SimpleQueue[Any], stop: threading.Event
    ) -> Iterator[partitions.Answer]:
        """Yield answers as they come, until none is missing or the run is to stop. Raises StreamError."""
        while waiting and not stop.is_set():
            self._tell_at_times()
            try:
                future = done.get(timeout=TELL_EVERY_S)
            except queue.Empty:
                continue
            part = waiting.pop(future)
            try:
                yield _answer(future)
            except StreamError as error:
                self._note(part, error)
            finally:
                future.release()

    def _note(self, part: Part | None, error: StreamError) -> None:
        """Go on when one file is to blame; the run fails at its end. Raises StreamError otherwise."""
        if part is None or error.code not in OF_ONE_FILE:
            raise error
        log.error("%s: %s: %s", part.words, error.code, error.message)
        self._parts["failed"] += 1
        self._failure = self._failure or error

    def _tell_at_times(self) -> None:
        """Tell how the run goes when parts came to an end since, and not too often."""
        if self._told[1] != self._parts and time.monotonic() > self._told[0] + TELL_EVERY_S:
            self._tell("running")

    def _tell(self, state: str, error: EngineError | None = None) -> None:
        parts = {name: self._parts[name] for name in ("all", "done", "failed")}
        about = {"state": state, "began": self._began, "parts": parts}
        if self._scores is not None:
            durable.write(self._folder / "scores.json", json.dumps(self._scores).encode())
        tell(self._folder, self.order, about, self._counts, error=error)
        self._told = (time.monotonic(), self._parts.copy())


def _answer(future: Any) -> partitions.Answer:
    """Return what a worker answered. Raises StreamError with its refusal, or with how it ended without an answer."""
    from distributed import KilledWorker

    try:
        answer: partitions.Answer = future.result()
    except KilledWorker as error:
        words = f"Its workers were lost again and again, the last one at {error.last_worker.address}; see their logs."
        raise StreamError("part_lost", words) from error
    except CancelledError as error:
        raise StreamError("scheduler_lost", "The scheduler is gone; start the run again when it is back.") from error
    except Exception as error:  # an error of ours, or of the machine's: whatever it is, a person has to look
        words = f"A worker failed: {type(error).__name__}: {error!s:.300}; see its log."
        raise StreamError("part_failed", words) from error
    if "error" in answer:
        raise StreamError(**answer["error"])
    return answer


@contextmanager
def _client(address: str, run: str) -> Iterator[Any]:
    """Connect to a scheduler that has workers. Raises StreamError."""
    try:
        from distributed import Client, Security
    except ImportError as error:
        raise StreamError(
            "dask_missing", "Dask is not installed here; install the list engine/requirements-dask.txt."
        ) from error
    try:
        security = Security()  # from Dask's own configuration
        if address.startswith("tls://") and security.get_connection_args("client")["ssl_context"] is None:
            raise ValueError("Dask's configuration names no certificates")
        client = Client(address, timeout=ANSWER_S, security=security, set_as_default=False, name=f"mdlc-{run}")
    except (OSError, TimeoutError, ValueError) as error:
        words = f"No scheduler lets us in at {address}; start it, and look at its log and TLS settings: {error!s:.200}."
        raise StreamError("scheduler_unreachable", words) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=ANSWER_S)
        except TimeoutError as error:
            raise StreamError("workers_missing", f"The scheduler at {address} has no workers; start some.") from error
        yield client
