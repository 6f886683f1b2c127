"""Whether an approval still holds though nothing that it covers has changed: it may run out, or hang on a condition."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class ConditionFact:
    """A condition of an approval that nobody has accepted as met yet. `due` is an instant in ISO 8601."""

    id: str
    text: str
    due: str
    owner: int
    owner_name: str
    reported: bool = False


@dataclass(frozen=True, slots=True)
class EndedFact:
    """A sign-off that was voided by a change, ran out, or was revoked, and why."""

    id: str
    gate: str
    requirement: str
    role: str
    person: int
    name: str
    ending: str
    because: str


def runs_out(signed_at: str, valid_days: int) -> datetime | None:
    """Return when an approval runs out; nothing where the policy sets no limit."""
    return datetime.fromisoformat(signed_at) + timedelta(days=valid_days) if valid_days else None


def lapse(signed_at: str, valid_days: int, conditions: Iterable[ConditionFact], now: datetime | None) -> str:
    """Return why an approval does not hold at an instant, in words that follow the signer; empty if it holds.

    Where the instant is not known, whatever could have lapsed has.
    """
    ends = runs_out(signed_at, valid_days)
    if ends is not None and (now is None or now >= ends):
        return f"ran out on {ends:%-d %B %Y}"
    for one in conditions:
        due = datetime.fromisoformat(one.due)
        if now is None or now >= due:
            return f"hangs on a condition that was due on {due:%-d %B %Y}: {one.text}"
    return ""
