"""Run a version over a stream: source, check, model, check, sinks. At least once, and no record lost.

A batch is acknowledged, or its position saved, after every sink has it or has it among its dead letters, and its
rejects are kept. What a dead engine had not acknowledged is read again; the key of each record lets targets see twins.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.errors import StreamError
from engine.streams.dead_letters import DeadLetters
from engine.streams.deliveries import Delivery, Patience
from engine.streams.rows import Rows
from engine.streams.scoring import BatchScorer
from engine.streams.transports import Batch, Sink, Source

PAUSE = 0.001


# How many records were read, scored, rejected (by cause), delivered (by sink) and dead (by sink); and why each of the
# rejected and dead was so, as `fault_of` says.
Counts = Counter[tuple[str, str]]


FAULT = "fault"


def fault_of(cause: str, rule: str, field: str) -> str:
    """Return the name under which a fault is counted. A field that only the record knows is left out: it may be any."""
    return json.dumps([cause, rule, "" if rule == "unknown_field" else field])


@dataclass(slots=True)
class Ticket:
    """A batch on its way, what became of it, and how many sinks still have it before them."""

    batch: Batch
    waiting: int
    counts: Counts
    lock: threading.Lock = field(default_factory=threading.Lock)

    def done(self, how: str, sink: str, records: int, why: str = "") -> None:
        """Note that one more sink is through with the batch."""
        with self.lock:
            self.counts[how, sink] += records
            if why:
                self.counts[FAULT, fault_of("delivery", why, sink)] += records
            self.waiting -= 1


@dataclass(frozen=True, slots=True)
class Outlet:
    """A sink and the fields that it gets; none means all."""

    sink: Sink
    fields: tuple[str, ...] = ()


class Pipeline:
    """One run of a version over one source into many sinks."""

    def __init__(
        self,
        source: Source,
        scorer: BatchScorer,
        outlets: Mapping[str, Outlet],
        letters: DeadLetters,
        *,
        patience: Patience | None = None,
        saved: Callable[[Any, Counts], None] = lambda position, counts: None,
        scored: Callable[[Rows], None] = lambda rows: None,
    ) -> None:
        """Put the parts together.

        `saved` is called with each position behind which all is done, and what was done; `scored` with all outputs.
        """
        self._source, self._scorer, self._letters = source, scorer, letters
        self._saved, self._scored = saved, scored
        patience = patience or Patience()
        self._deliveries = {
            name: Delivery(name, one.sink, one.fields, letters, patience) for name, one in outlets.items()
        }
        self._tickets: deque[Ticket] = deque()
        self._outlets = outlets
        self.counts: Counts = Counter()

    def run(self, stop: threading.Event) -> Counts:
        """Score until the source ends or `stop` is set, then finish what is under way; return what became of it.

        Raises StreamError when the source fails or nobody takes dead letters; then nothing unfinished is acknowledged.
        """
        for one in self._deliveries.values():
            one.start()
        try:
            while not stop.is_set():
                batch = self._source.read()
                if batch is None:
                    break
                self._advance(batch)
            for one in self._deliveries.values():
                one.finish()
            self._settle()
        except BaseException:
            for one in self._deliveries.values():
                one.abandon()
            raise
        finally:
            self.close()
        return self.counts

    def close(self) -> None:
        """Close the source, the sinks and the dead letters."""
        self._source.close()
        for one in self._outlets.values():
            one.sink.close()
        self._letters.close()

    def _advance(self, batch: Batch) -> None:
        """Score a batch and send it on its way."""
        if len(batch):
            rows, rejects = self._scorer.score(batch)
            self._letters.keep(rejects)
            self._scored(rows)
            counts: Counts = Counter(("rejected", one.cause) for one in rejects)
            counts += Counter((FAULT, fault_of(one.cause, one.rule, one.field)) for one in rejects)
            counts += Counter({("read", ""): len(batch), ("scored", ""): len(rows)})
            ticket = Ticket(batch, len(self._deliveries) if len(rows) else 0, counts)
            self._tickets.append(ticket)
            self._wait()
            for one in self._deliveries.values() if len(rows) else ():
                one.offer(rows, ticket.done)
        self._settle()

    def _wait(self) -> None:
        """Wait for room: with every sink where records end some day, with the quickest one where they never end.

        So a slow sink holds up an endless stream no further than its own buffer, and a finite one loses nothing.
        """
        behind = all if self._source.endless else any
        while self._deliveries and behind(one.is_full for one in self._deliveries.values()):
            time.sleep(PAUSE)
            self._settle()

    def _settle(self) -> None:
        """Acknowledge, in their order, the batches that every sink is through with."""
        for one in self._deliveries.values():
            if one.failure is not None:
                raise StreamError("letters_lost", f"{one.name} cannot even keep dead letters.") from one.failure
        while self._tickets and self._tickets[0].waiting == 0:
            ticket = self._tickets.popleft()
            self._source.acknowledge(ticket.batch)
            self.counts += ticket.counts
            self._saved(ticket.batch.position, self.counts)
