"""Deliver rows to many sinks at once, each at its own pace: one that is slow or dead does not hold up the others."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import EngineError
from engine.streams.dead_letters import DeadLetters
from engine.streams.rows import Reject, Rows
from engine.streams.transports import Sink

log = logging.getLogger("engine.streams")

Done = Callable[[str, str, int, str], None]
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
# A sink whose buffer is full may hold up the others by so many seconds at once, and by this share of the time for good.
HOLD_S, HOLD_SHARE = 0.5, 0.05


@dataclass(frozen=True, slots=True)
class Patience:
    """How many batches wait for a sink, and for how many seconds it is tried before its rows become dead letters."""

    batches: int = 16
    seconds: float = 30.0


class Delivery(threading.Thread):
    """One sink's thread. Each batch ends delivered or dead, as letters; then `done` is told sink, count and why not."""

    def __init__(
        self, name: str, sink: Sink, fields: tuple[str, ...], letters: DeadLetters, patience: Patience
    ) -> None:
        """Take a sink, the fields that it gets, and where its dead letters go."""
        super().__init__(name=f"sink-{name}", daemon=True)
        self.failure: BaseException | None = None
        self._sink_name, self._sink, self._fields = name, sink, fields
        self._letters, self._patience = letters, patience
        self._waiting: queue.Queue[tuple[Rows, Done] | None] = queue.Queue(patience.batches)
        self._down_until = 0.0
        self._hold, self._offered = HOLD_S, time.monotonic()
        self._abandoned = threading.Event()

    @property
    def is_full(self) -> bool:
        """Tell whether the buffer has no room."""
        return self._waiting.full()

    def offer(self, rows: Rows, done: Done) -> None:
        """Take rows: when the buffer is full, and stays so while it may be waited for, they become dead letters."""
        now = time.monotonic()
        self._hold = min(HOLD_S, self._hold + (now - self._offered) * HOLD_SHARE)
        self._offered = now
        try:
            self._waiting.put((rows, done), timeout=max(self._hold, 0.0))
            self._hold -= time.monotonic() - now
        except queue.Full:
            self._hold = 0.0
            rows = rows.selected(self._fields)
            self._bury(rows, done, "buffer_full", "The sink did not keep up, and its buffer is full.")

    def finish(self) -> None:
        """Deliver what waits, and end."""
        while self.is_alive():
            try:
                self._waiting.put(None, timeout=0.1)
            except queue.Full:
                continue
            break
        self.join()

    def abandon(self) -> None:
        """End soon, without delivering what waits; it was not acknowledged and will be read again."""
        self._abandoned.set()

    def run(self) -> None:
        """Deliver until told to end."""
        try:
            while (work := self._waiting.get()) is not None:
                if self._abandoned.is_set():
                    return
                self._deliver(*work)
        except BaseException as error:
            self.failure = error
            log.exception("%s: gave up", self.name)

    def _deliver(self, rows: Rows, done: Done) -> None:
        """Write rows, again and again while patience lasts, then bury them."""
        rows = rows.selected(self._fields)
        ends = time.monotonic() + (0 if self._is_down() else self._patience.seconds)
        pause = FIRST_PAUSE
        while not self._abandoned.is_set():
            try:
                self._sink.write(rows)
            except EngineError as error:
                if time.monotonic() + pause < ends:
                    self._abandoned.wait(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
                    continue
                self._down_until = time.monotonic() + LONGEST_PAUSE
                self._bury(rows, done, error.code, error.message)
            else:
                done("delivered", self._sink_name, len(rows), "")
            return

    def _bury(self, rows: Rows, done: Done, code: str, words: str) -> None:
        pairs = zip(rows.keys, rows.records, strict=True)
        letters = [Reject(key, "delivery", code, "", words, record) for key, record in pairs]
        self._letters.keep(letters, sink=self._sink_name)
        done("dead", self._sink_name, len(rows), code)

    def _is_down(self) -> bool:
        """Tell whether the sink failed a moment ago, so that nobody waits for it again and again."""
        return time.monotonic() < self._down_until
