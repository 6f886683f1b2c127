"""What a scoring engine remembers of each model over a restart: the highest order, what is live, what is staged."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
class State:
    """What is remembered of one model."""

    order: int = 0
    live: Place | None = None
    previous: Place | None = None
    staged: tuple[Place, ...] = ()

    def place(self, version: str) -> Place | None:
        """Return the place of a version that is live or staged."""
        return next((place for place in self.places() if place.version == version), None)

    def places(self) -> tuple[Place, ...]:
        """Return every version that is kept, the live one first."""
        return ((self.live,) if self.live else ()) + self.staged

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
            )
        except (ValueError, KeyError, TypeError) as error:
            raise LoadError(
                "state_unreadable",
                f"{path} is damaged, so this engine cannot know which orders are stale. "
                "Restore the file from a backup, or start with an empty home folder and deploy again.",
            ) from error
