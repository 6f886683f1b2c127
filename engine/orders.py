"""What a scoring engine remembers of each model over a restart: orders, what is live, staged and suspended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from engine import durable
from engine.errors import LoadError, OrderError


@dataclass(frozen=True, slots=True)
class Place:
    """One version of a model in this engine, and the order that put it there."""

    version: str
    digest: str
    order: int

    def told(self) -> dict[str, Any]:
        """Return the place as JSON values."""
        return {"version": self.version, "digest": self.digest, "order": self.order}


@dataclass(frozen=True, slots=True)
class Stop:
    """The newest order about whether a version may score. One that was lifted stays: an older order comes too late."""

    order: int
    on: bool

    def told(self) -> dict[str, Any]:
        """Return the stop as JSON values."""
        return {"order": self.order, "on": self.on}


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered of one model. `stops` are by version, and outlive the version's place."""

    order: int = 0
    live: Place | None = None
    previous: Place | None = None
    staged: tuple[Place, ...] = ()
    stops: Mapping[str, Stop] = field(default_factory=dict)

    def place(self, version: str) -> Place | None:
        """Return the place of a version that is live or staged."""
        return next((place for place in self.places() if place.version == version), None)

    def places(self) -> tuple[Place, ...]:
        """Return every version that is kept, the live one first."""
        return ((self.live,) if self.live else ()) + self.staged

    def stopped(self, version: str) -> bool:
        """Tell whether a version is suspended."""
        return version in self.stops and self.stops[version].on

    def with_stop(self, version: str, order: int, on: bool) -> State:
        """Return the state after an order to suspend a version, or to let it score again.

        Raises `stale_order` when a higher number has ordered otherwise: a version that was loaded later is not stopped
        by an earlier order, and one that was stopped later does not come back by one.
        """
        seen, place = self.stops.get(version, Stop(0, on=False)), self.place(version)
        highest = max(seen.order, place.order if place else 0)
        if order < highest and seen.on is not on:
            raise OrderError(
                "stale_order",
                f"Order {order} is older than order {highest}, which this engine has seen of version {version}.",
                details={"order": order, "seen": highest},
            )
        return replace(self, stops={**self.stops, version: Stop(max(order, seen.order), on)})

    def placed(self, version: str, order: int, suspended: bool) -> State:
        """Return the state after a version was put here by an order, suspended or not; a later stop stays."""
        seen = self.stops.get(version)
        if (seen is None and not suspended) or (seen is not None and seen.order > order):
            return self
        return replace(self, stops={**self.stops, version: Stop(order, suspended)})

    def under(self, order: int) -> State:
        """Return the state after an order was seen. Raises `stale_order` when a higher one came before."""
        if order < self.order:
            raise OrderError(
                "stale_order",
                f"Order {order} is older than order {self.order}, which this engine has seen; ask for a new one.",
                details={"order": order, "seen": self.order},
            )
        return replace(self, order=order)

    def with_staged(self, place: Place) -> State:
        """Return the state with one more staged version, instead of any other of the same number."""
        return replace(self, staged=(*(p for p in self.staged if p.version != place.version), place))

    def with_live(self, place: Place) -> State:
        """Return the state with a staged version made live and the live one kept for going back."""
        if self.live is not None and self.live.digest == place.digest:
            return replace(self.without(place.version), live=place, previous=self.previous)
        kept = [p for p in self.staged if p.digest != place.digest and p.order >= place.order]
        if self.live is not None:
            kept = [*(p for p in kept if p.version != self.live.version), self.live]
        return replace(self, live=place, previous=self.live, staged=tuple(kept))

    def without(self, version: str) -> State:
        """Return the state without a version, live or staged."""
        return replace(
            self,
            live=None if self.live and self.live.version == version else self.live,
            previous=None if self.previous and self.previous.version == version else self.previous,
            staged=tuple(p for p in self.staged if p.version != version),
        )


class OrderBook:
    """The states of all models, one file each in a folder, replaced in one durable step."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, and create it when it is missing."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for part in folder.glob(".part-*"):
            part.unlink()

    def read_all(self) -> dict[str, State]:
        """Return every model's state. Raises `state_unreadable` when a file is damaged."""
        return {path.stem: self._read(path) for path in sorted(self.folder.glob("*.json"))}

    def write(self, model: str, state: State) -> None:
        """Replace a model's state on disk."""
        told = {
            "order": state.order,
            "live": state.live and state.live.told(),
            "previous": state.previous and state.previous.told(),
            "staged": [place.told() for place in state.staged],
            "stops": {version: stop.told() for version, stop in state.stops.items()},
        }
        durable.write(self.folder / f"{model}.json", orjson.dumps(told, option=orjson.OPT_INDENT_2))

    def _read(self, path: Path) -> State:
        try:
            told = orjson.loads(path.read_bytes())
            return State(
                order=int(told["order"]),
                live=Place(**told["live"]) if told["live"] else None,
                previous=Place(**told["previous"]) if told["previous"] else None,
                staged=tuple(Place(**place) for place in told["staged"]),
                stops={version: Stop(**stop) for version, stop in told.get("stops", {}).items()},
            )
        except (ValueError, KeyError, TypeError) as error:
            raise LoadError(
                "state_unreadable",
                f"{path} is damaged, so this engine cannot know which orders are stale. "
                "Restore the file from a backup, or start with an empty home folder and deploy again.",
            ) from error
