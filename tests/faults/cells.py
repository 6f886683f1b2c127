"""The fault matrix as data: what is broken at which moment, where in the code that is, and what must come of it."""

import csv
from dataclasses import dataclass
from pathlib import Path

MATRIX = Path(__file__).with_name("matrix.csv")
FAULTS = {
    "F1": "the process is killed with all it started",
    "F2": "the one task dies of an error, or the child in which a model runs is killed",
    "F3": "the process is paused past its lease, and goes on",
    "F4": "the broker is killed, and comes back empty",
    "F5": "the broker is frozen for a while",
    "F6": "the database restarts without ending anything in good order",
    "F7": "the connection to the database is ended, or a statement fails",
    "F8": "a second worker gets the same job",
    "F9": "the disk is full",
    "F10": "the target refuses, hangs, or acts and does not answer",
    "F11": "the clock of one machine is an hour off",
    "F12": "what is stored changes under our feet",
}
MOMENTS = {
    "M1": "signed, before the commit",
    "M2": "committed, before the bell",
    "M3": "the bell is sent, and not noted",
    "M4": "the message is received, and nothing claimed",
    "M5": "claimed, the gate not judged again",
    "M6": "the gate is judged, nothing done",
    "M7": "inside of the sandboxed test",
    "M8": "the result is there, not committed",
    "M9": "the bytes are staged, not swapped",
    "M10": "swapped, not recorded",
    "M11": "recorded, the worker not done",
    "M12": "golden records are replayed",
    "M13": "the swap of a rollback",
    "M14": "an artifact is uploaded",
    "M15": "a tick of the sweep",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One fault at one moment. Trials take turns with the points, and with the actions and what they lead to."""

    fault: str
    moment: str
    flow: str
    points: tuple[str, ...]
    actions: tuple[str, ...]
    outcomes: tuple[str, ...]

    @property
    def id(self) -> str:
        """Return how the cell is called."""
        return f"{self.fault}-{self.moment}"

    def turn(self, number: int) -> tuple[str, str, str]:
        """Return the point and the action of a trial, and what must come of it."""
        action = number // len(self.points) % len(self.actions)
        return self.points[number % len(self.points)], self.actions[action], self.outcomes[action % len(self.outcomes)]


def cells() -> list[Cell]:
    """Return the matrix, row by row."""
    with MATRIX.open() as rows:
        return [
            Cell(
                row["fault"],
                row["moment"],
                row["flow"],
                tuple(row["points"].split("|")),
                tuple(row["actions"].split("|")),
                tuple(row["outcomes"].split("|")),
            )
            for row in csv.DictReader(rows)
        ]
