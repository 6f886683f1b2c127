"""The conditions of an approval, as a signer writes them down: what, until when, and who sees to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.utils import timezone

from audit.actors import Person
from audit.models import Account
from handoff.errors import Invalid
from handoff.facts import Known
from handoff.models import Condition, SignOff

MOST = 20
LONGEST = 2000
LATEST = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Promised:
    """One condition. The owner has until the end of the day, in UTC."""

    text: str
    due: date
    owner: Account

    def told(self) -> dict[str, str]:
        """Return it as the statement says it."""
        return {"text": self.text, "due": self.due.isoformat(), "owner": self.owner.mark}

    def of(self, signoff: SignOff, number: int) -> Condition:
        """Return its row, which is not written yet."""
        due = datetime.combine(self.due + timedelta(days=1), time(), UTC)
        return Condition(signoff=signoff, number=number, text=self.text, due_at=due, owner=self.owner)


def promises(actor: Person, known: Known, decision: str, told: Sequence[Mapping[str, Any]]) -> list[Promised]:
    """Return the conditions of a decision, which only a conditional approval has. Raises Invalid."""
    if decision != SignOff.Decision.CONDITIONAL:
        if told:
            raise Invalid(
                "Only an approval with conditions has some.", fields={"conditions": "belong to another decision"}
            )
        return []
    if not 1 <= len(told) <= MOST:
        raise Invalid("Name the conditions.", fields={"conditions": f"must be 1 to {MOST}"})
    owners = {one.username: one for one in Account.objects.filter(username__in=[_owner(row) for row in told])}
    return [_promise(known, owners, f"conditions[{index}]", row) for index, row in enumerate(told)]


def _owner(row: Mapping[str, Any]) -> str:
    return str(row.get("owner", "")).strip()


def _promise(known: Known, owners: Mapping[str, Account], place: str, row: Mapping[str, Any]) -> Promised:
    text, owner = str(row.get("text", "")).strip(), owners.get(_owner(row))
    if not 0 < len(text) <= LONGEST:
        raise Invalid("Say what must be done.", fields={f"{place}.text": f"must be 1 to {LONGEST} characters"})
    if owner is None or not owner.is_person or not owner.is_active or not known.sees(owner.pk):
        words = "must be the user name of a person with a role here"
        raise Invalid("Name who sees to it.", fields={f"{place}.owner": words})
    due, today = _day(row.get("due")), timezone.localdate()
    if due is None or not today <= due <= today + LATEST:
        words = "must be a day from today on, within a year, such as 2026-12-24"
        raise Invalid("Say until when.", fields={f"{place}.due": words})
    return Promised(text, due, owner)


def _day(told: Any) -> date | None:
    if isinstance(told, date):
        return told
    try:
        return date.fromisoformat(str(told))
    except ValueError:
        return None
