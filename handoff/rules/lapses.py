"""Whether an approval still holds though nothing that it covers has changed: it may run out, or hang on a condition."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


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
class AgainFact:
    """Why an approval is to be given anew, since when that is asked, and when it is due: instants in ISO 8601."""

    because: str
    asked: str
    due: str


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


class Approval(Protocol):
    """What is known of a sign-off."""

    @property
    def signed_at(self) -> str:
        """Return the instant in ISO 8601."""

    @property
    def conditions(self) -> Sequence[ConditionFact]:
        """Return what it hangs on."""

    @property
    def again(self) -> AgainFact | None:
        """Return why and when it is asked for anew, if ever."""


def runs_out(approval: Approval, valid_days: int) -> datetime | None:
    """Return when an approval runs out: after the days of its rule, or when it is due anew; None if it never does."""
    ends = [datetime.fromisoformat(approval.again.due)] if approval.again else []
    if valid_days:
        ends.append(datetime.fromisoformat(approval.signed_at) + timedelta(days=valid_days))
    return min(ends, default=None)


def ran_out(approval: Approval, valid_days: int, now: datetime | None) -> str:
    """Return that an approval has run out by an instant, in words that follow the signer; empty if it has not.

    Where the instant is not known, whatever could have run out has.
    """
    ends = runs_out(approval, valid_days)
    if ends is None or (now is not None and now < ends):
        return ""
    again = approval.again
    because = f", for {again.because}" if again and datetime.fromisoformat(again.due) == ends else ""
    return f"ran out on {ends:%-d %B %Y}{because}"


def lapse(approval: Approval, valid_days: int, now: datetime | None) -> str:
    """Return why an approval does not hold at an instant, in words that follow the signer; empty if it holds."""
    if words := ran_out(approval, valid_days, now):
        return words
    for one in approval.conditions:
        due = datetime.fromisoformat(one.due)
        if now is None or now >= due:
            return f"hangs on a condition that was due on {due:%-d %B %Y}: {one.text}"
    return ""


def asked_again(approval: Approval, now: datetime | None) -> AgainFact | None:
    """Return why and until when an approval that still holds is to be given anew, if that is asked by an instant."""
    again = approval.again
    asked = again is not None and now is not None and now >= datetime.fromisoformat(again.asked)
    return again if asked else None
