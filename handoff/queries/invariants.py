"""What is always true of the records: each sentence with the query that finds what breaks it, from `invariants/`.

A file begins with the sentence as a comment, then names the guard that refuses in words, the nets in the database
(constraints by name, triggers as app.Model:name) and the tests that attack it. Its query gives a row for each
violation: the handoff that it is about or nothing, the subject as the trail calls it, and words.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from django.db import connection
from django.utils import timezone

from audit.errors import Invalid
from audit.models import Account
from audit.queries import require_auditor
from handoff.models import InvariantCheck
from handoff.states import MOVES, OPEN, UNDER_OFFER, State, pairs

FOLDER = Path(__file__).parent.parent / "invariants"
MOST = 1000  # of the violations of one invariant; more help nobody
KNOWN = {
    "open": [str(one) for one in OPEN],
    "going": [str(one) for one in (*UNDER_OFFER, State.LIVE)],
    "moves": [f"{came}>{to}" for came, to in pairs(MOVES)],
}


@dataclass(frozen=True, slots=True)
class Invariant:
    """One sentence that always holds, what enforces it, and the query that finds what breaks it."""

    id: str
    sentence: str
    guard: str
    nets: tuple[str, ...]
    attacks: tuple[str, ...]
    sql: str


class Violation(NamedTuple):
    """Something that breaks an invariant; `handoff` is empty where it is about none."""

    invariant: str
    handoff: str
    subject: str
    words: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.subject}: {self.words}"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check has found: which invariants were looked at, when, and for how many seconds."""

    began_at: datetime
    seconds: float
    invariants: tuple[str, ...]
    violations: tuple[Violation, ...]


@cache
def invariants() -> tuple[Invariant, ...]:
    """Return all invariants in the order of their numbers."""
    return tuple(_read(path) for path in sorted(FOLDER.glob("I*.sql")))


def _read(path: Path) -> Invariant:
    head = [line.removeprefix("-- ") for line in path.read_text().splitlines() if line.startswith("-- ")]
    told = {
        name: rest for name, _, rest in (line.partition(": ") for line in head) if name in ("guard", "net", "attack")
    }
    sentence = " ".join(line for line in head if line.partition(": ")[0] not in told)
    nets, attacks = (tuple(told[name].split(", ")) for name in ("net", "attack"))
    return Invariant(path.stem.partition("_")[0], sentence, told["guard"], nets, attacks, path.read_text())


def last_check_for(user: Account) -> tuple[InvariantCheck | None, dict[str, list[dict[str, Any]]]]:
    """Return the last check, and what broke each invariant that it looked at, for who audits. Raises Hidden."""
    require_auditor(user)
    last = InvariantCheck.objects.first()
    return last, last.by_invariant if last else {}


def check(only: Iterable[str] = ()) -> Checked:
    """Look for what breaks the invariants, or some of them by their ids. Each query sees one moment.

    Raises Invalid for an id that is not known.
    """
    wanted = set(only)
    if unknown := wanted - {one.id for one in invariants()}:
        raise Invalid(
            f"There is no invariant {', '.join(sorted(unknown))}.",
            todo=f"Name some of {', '.join(one.id for one in invariants())}.",
            fields={"only": "is not known"},
        )
    began_at, found = timezone.now(), []
    chosen = [one for one in invariants() if not wanted or one.id in wanted]
    for one in chosen:
        found += [Violation(one.id, *row) for row in _rows(one.sql)]
    seconds = (timezone.now() - began_at).total_seconds()
    return Checked(began_at, seconds, tuple(one.id for one in chosen), tuple(found))


def _rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, KNOWN)
        return [(handoff or "", subject, words) for handoff, subject, words in cursor.fetchmany(MOST)]
