"""Faults at named points, on real processes: a few cells by chance here, every cell many times by `make faults`."""

import random

import pytest

from tests.faults.cells import Cell, cells
from tests.faults.stand import Stand
from tests.faults.trials import drawn, run

pytestmark = [pytest.mark.processes]
FEW = 8
SLOW = ("F5", "F6", "F10")


def test_nothing_is_lost_doubled_or_let_through(stand: Stand, request: pytest.FixtureRequest) -> None:
    trials, only, draw = (request.config.getoption(name) for name in ("--trials", "--cells", "--draw"))
    seed = draw or random.SystemRandom().randrange(10**6)
    chosen = (
        named(only) if only else cells() if trials else drawn([c for c in cells() if c.fault not in SLOW], FEW, seed)
    )
    if not trials:
        print(f"--draw {seed} draws {', '.join(one.id for one in chosen)}")
    report = run(stand, chosen, trials or 1, first=0 if trials else seed, told=bool(trials))
    print(report.figures())
    assert report.wrong == []


def named(only: str) -> list[Cell]:
    """Return the cells, or whole rows and columns, that are named."""
    wanted = set(only.split(","))
    return [one for one in cells() if wanted & {one.id, one.fault, one.moment}]
