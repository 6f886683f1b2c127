"""One trial: bring everything to where it can begin, let it break at one point, go on, and look what became of it."""

import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.faults.breaking import BREAKS, another_hour, flip, go_on
from tests.faults.cells import Cell
from tests.faults.flows import FLOWS, Flow
from tests.faults.stand import Child, Stand, settle
from tests.faults.zygote import LEASE


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one fault: what is wrong, and how long it took until all that was begun had ended."""

    cell: Cell
    number: int
    wrong: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        point, action, _ = self.cell.turn(self.number)
        return f"{self.cell.id} ({point} {action}): " + "; ".join(self.wrong[:3])


@dataclass
class Report:
    """What came of all trials."""

    trials: list[Trial] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """Return each trial in which something was wrong."""
        return [str(one) for one in self.trials if one.wrong]

    def figures(self) -> str:
        """Return the figures in a few lines."""
        kinds = Counter(what.partition(":")[0] for one in self.trials for what in one.wrong)
        seconds = sorted(one.seconds for one in self.trials) or [0.0]

        def share(part: float) -> float:
            return seconds[min(int(part * len(seconds)), len(seconds) - 1)]

        cells = len({one.cell.id for one in self.trials})
        lines = [
            f"{cells} cells, {len(self.trials)} trials, {len(self.wrong)} wrong: "
            f"{kinds['lost']} lost, {kinds['doubled']} doubled",
            f"until all had ended, leases of {LEASE} s: p50 {share(0.5):.1f} s, p95 {share(0.95):.1f} s, "
            f"longest {seconds[-1]:.1f} s",
        ]
        return "\n".join([*lines, *self.wrong])


def run(stand: Stand, cells: Iterable[Cell], trials: int, *, first: int = 0, told: bool = False) -> Report:
    """Try every cell so many times; the model is a new one after each trial in which something was wrong."""
    report = Report()
    for number in range(first, first + trials):
        for cell in cells:
            trial = attempt(stand, cell, number)
            report.trials.append(trial)
            if told:
                print(
                    f"{cell.id:8} {trial.seconds:6.1f} s  {'; '.join(trial.wrong[:3]) or 'as it should be'}", flush=True
                )
            if trial.wrong:
                stand.renew()
    return report


def attempt(stand: Stand, cell: Cell, number: int) -> Trial:
    """Let one thing break once."""
    point, action, expected = cell.turn(number)
    flow = FLOWS[cell.flow](stand)
    wrong: list[str] = []
    began = time.monotonic()
    try:
        flow.prepare()
        with another_hour(stand, cell.fault == "F11", number):
            began, wrong = _break(stand, cell, flow, point, action, expected)
    except Exception as error:  # whatever keeps a trial from its end is told with the others
        wrong.append(f"lost: {type(error).__name__}: {error}")
    finally:
        stand.disarm()
        seconds = time.monotonic() - began
        for child in stand.children:
            go_on(child)
    return Trial(cell, number, tuple(wrong), seconds)


def _break(stand: Stand, cell: Cell, flow: Flow, point: str, action: str, expected: str) -> tuple[float, list[str]]:
    if cell.flow == "tick":
        _silence_a_worker(stand, flow)
    stand.arm(point, action)
    if cell.flow != "tick":
        flow.go()
    stand.until(f"{point} fires", lambda: reached(stand, cell, flow), 40)
    began = time.monotonic()
    child = stand.victim()
    assert child is not None
    if action == "stop":
        _until_it_stands(stand, child)
        BREAKS[cell.fault](stand, flow, child)
    wrong = []
    outcomes: list[str] = []

    def ended() -> bool:
        outcomes[:] = [flow.outcome()]
        return bool(outcomes[0])

    stand.until(f"it is {expected}", ended)
    ended_at = time.monotonic() - began
    settle(stand)
    if cell.fault == "F12" and cell.flow != "upload":
        for digest in flow.blobs():
            flip(digest)
    if outcomes[0] != expected:
        wrong.append(f"it is {outcomes[0]}, and should be {expected}")
    wrong += stand.wrong() + flow.wrong()
    return time.monotonic() - ended_at, wrong


def reached(stand: Stand, cell: Cell, flow: Flow) -> Child | None:
    """Return who has come to the point. By a clock that is behind nobody may come there: then people do it again."""
    child = stand.victim()
    if child is None and cell.fault == "F11":
        flow.outcome()
    return child


def _silence_a_worker(stand: Stand, flow: Flow) -> None:
    """Let a worker die with a job in its hands, so that a sweep has something to find."""
    stand.arm("job.claimed", "kill")
    flow.go()
    stand.until("a worker has died", stand.victim, 40)


def _until_it_stands(stand: Stand, child: Child) -> None:
    end = time.monotonic() + 10
    while child.state != "T":
        assert time.monotonic() < end, f"it does not stand still, it is {child.state or 'gone'}"
        time.sleep(0.005)


def drawn(cells: list[Cell], many: int, seed: int) -> list[Cell]:
    """Return some cells by chance, in their order."""
    chosen = random.Random(seed).sample(range(len(cells)), min(many, len(cells)))
    return [cells[at] for at in sorted(chosen)]
