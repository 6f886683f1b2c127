"""How long handoffs take, step by step, and what sends them back: figures over a period, from moves on record."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import NamedTuple

from handoff.states import State

# The step that a state is, in words; the draft is before the offer.
STEPS: dict[str, str] = {
    State.DRAFT: "Draft",
    State.IN_REVIEW: "Review gate",
    State.TESTING: "Promotion tests",
    State.READY: "Release gate",
    State.DEPLOYING: "Deployment",
    State.CONFIRMING: "Confirm gate",
}


@dataclass(frozen=True, slots=True)
class Move:
    """One move of a handoff on record."""

    at: datetime
    came_from: str
    to: str


@dataclass(frozen=True, slots=True)
class Told:
    """One offered handoff: whose it is, its moves in order, and why it was returned, if it was."""

    team: str
    model: str
    drafted_at: datetime
    moves: Sequence[Move]
    reasons: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Time:
    """How long something took: how often it was done with, the median and the ninth decile, in seconds."""

    name: str
    label: str
    count: int
    median: float | None
    ninth: float | None


@dataclass(frozen=True, slots=True)
class Team:
    """What became of the offers of one team, and how long the way from offer to live took, in seconds."""

    name: str
    offered: int
    live: int
    returned: int
    median: float | None


class Count(NamedTuple):
    """How often something came."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class LeadTimes:
    """The figures of a period. `bounced` counts returns by model, the most first, where there was one at all."""

    offered: int
    live: int
    returned: int
    whole: Time
    steps: tuple[Time, ...]
    teams: tuple[Team, ...]
    reasons: tuple[Count, ...]
    returned_from: tuple[Count, ...]
    bounced: tuple[Count, ...]


def summary(handoffs: Iterable[Told]) -> LeadTimes:
    """Return the figures of some offered handoffs. A step that still goes on, or was not begun, counts nowhere.

    Median and ninth decile are by nearest rank: values that were measured, never between two of them.
    """
    found = list(handoffs)
    stays: dict[str, list[float]] = {step: [] for step in STEPS}
    for one in found:
        for step, took in _stays(one):
            stays[step].append(took)
    live = [seconds for one in found if (seconds := _to_live(one)) is not None]
    sent_back = [one for one in found if _returned_from(one)]
    return LeadTimes(
        offered=len(found),
        live=len(live),
        returned=len(sent_back),
        whole=_time("whole", "From offer to live", live),
        steps=tuple(_time(step, label, stays[step]) for step, label in STEPS.items()),
        teams=tuple(
            _team(name, [one for one in found if one.team == name]) for name in sorted({t.team for t in found})
        ),
        reasons=_counted(reason for one in sent_back for reason in one.reasons),
        returned_from=_counted(_returned_from(one) for one in sent_back),
        bounced=_counted(one.model for one in sent_back),
    )


def nearest_rank(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that at least a share of all values does not exceed; None where there are none.

    The nearest-rank method: the value at place ceil(share * n) of the sorted values.
    """
    return sorted(values)[max(ceil(share * len(values)), 1) - 1] if values else None


def in_words(seconds: float | None) -> str:
    """Return a length of time as people say it, in its two largest units."""
    if seconds is None:
        return "–"
    left, parts = round(seconds), []
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if left >= unit:
            parts.append(f"{left // unit} {name}")
            left %= unit
    return " ".join(parts[:2]) or "under 1 s"


def _stays(one: Told) -> Iterable[tuple[str, float]]:
    """Give each step that a handoff is done with, and how long it took."""
    since = one.drafted_at
    for move in one.moves:
        if move.came_from in STEPS:
            yield move.came_from, max((move.at - since).total_seconds(), 0.0)
        since = move.at


def _to_live(one: Told) -> float | None:
    """Return how long a handoff took from its offer until it was live the first time; None if it never was."""
    offered = next((move.at for move in one.moves if move.came_from == State.DRAFT), None)
    live = next((move.at for move in one.moves if move.to == State.LIVE), None)
    return max((live - offered).total_seconds(), 0.0) if offered and live else None


def _returned_from(one: Told) -> str:
    """Return the step from which a handoff was returned; nothing if it was not."""
    return next((move.came_from for move in one.moves if move.to == State.RETURNED), "")


def _time(name: str, label: str, values: Sequence[float]) -> Time:
    return Time(name, label, len(values), nearest_rank(values, 0.5), nearest_rank(values, 0.9))


def _team(name: str, own: Sequence[Told]) -> Team:
    live = [seconds for one in own if (seconds := _to_live(one)) is not None]
    returned = sum(1 for one in own if _returned_from(one))
    return Team(name, len(own), len(live), returned, nearest_rank(live, 0.5))


def _counted(names: Iterable[str]) -> tuple[Count, ...]:
    """Return how often each name came, the most frequent first, and equally frequent ones by name."""
    counts = (Count(name, number) for name, number in Counter(names).items())
    return tuple(sorted(counts, key=lambda one: (-one.number, one.name)))
