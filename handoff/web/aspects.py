"""The lock policy as pages show it: a matrix of aspects by kind of target and risk tier."""

from collections.abc import Sequence
from dataclasses import dataclass

from handoff.rules.aspects import MEANS, USUAL, Declared
from handoff.rules.policies import KINDS, TIERS, PolicyRules
from models_registry.roles import Role


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One aspect of the lock policy: per column its freedom and the values that are allowed, and the roles."""

    facet: str
    title: str
    cells: list[tuple[str, str, tuple[str, ...]]]
    answers: str
    changes: str
    by_version: bool


@dataclass(frozen=True, slots=True)
class Matrix:
    """The lock policy: aspects down, kinds of target and risk tiers across; equal columns are one."""

    columns: list[str]
    rows: list[MatrixRow]
    means: list[tuple[str, str]]


def matrix_of(rules: PolicyRules | None, kind: str = "", tier: str = "") -> Matrix | None:
    """Return the lock policy of some rules as a matrix: of one place, or of all that the rules speak for."""
    if rules is None:
        return None
    places = [(k, t) for k in KINDS if k in rules.target_kinds for t in TIERS if t in rules.risk_tiers]
    if kind:
        places = [(kind, tier)]
    columns = _merged([(place, rules.held(*place)) for place in places])
    return Matrix(
        [title for title, _ in columns],
        [_matrix_row(name, [(title, held[name]) for title, held in columns]) for name in USUAL],
        list(MEANS.items()),
    )


def _merged(
    columns: Sequence[tuple[tuple[str, str], dict[str, Declared]]],
) -> list[tuple[str, dict[str, Declared]]]:
    """Put places in which the same holds into one column, with the names of all of them."""
    found: list[tuple[list[tuple[str, str]], dict[str, Declared]]] = []
    for place, held in columns:
        same = next((places for places, other in found if other == held), None)
        if same is None:
            found.append(([place], held))
        else:
            same.append(place)
    everywhere = len(found) == 1 and len(columns) > 1
    return [("everywhere" if everywhere else _titled(places), held) for places, held in found]


def _titled(places: Sequence[tuple[str, str]]) -> str:
    tiers: dict[str, list[str]] = {}
    for kind, tier in places:
        tiers.setdefault(kind, []).append(tier)
    return "; ".join(f"{kind}, {' or '.join(mine)} risk" for kind, mine in tiers.items())


def _matrix_row(name: str, cells: Sequence[tuple[str, Declared]]) -> MatrixRow:
    usual, first = USUAL[name], cells[0][1]
    return MatrixRow(
        usual.facet,
        usual.title,
        [(column, cell.freedom, cell.allowed) for column, cell in cells],
        str(Role(first.answered_by).label) if first.answered_by else "",
        str(Role(first.changed_by).label),
        usual.by_version,
    )
