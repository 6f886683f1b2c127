"""Rows of measured figures beside their goals, and how they are printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: what was measured, beside what, their ratio, and whether the goal is met (None: no goal)."""

    name: str
    value: str
    floor_or_peer: str
    ratio: float | None
    goal: str = ""
    met: bool | None = None


def printed(rows: Iterable[Row], title: str) -> str:
    """Return rows as a table in plain text."""
    words = {True: "met", False: "MISSED", None: ""}
    lines = [("", "measured", "compared with", "ratio", "goal", "")]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        lines.append((row.name, row.value, row.floor_or_peer, ratio, row.goal, words[row.met]))
    widths = [max(len(line[at]) for line in lines) for at in range(6)]
    drawn = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([title, "", drawn[0], "  ".join("-" * width for width in widths), *drawn[1:], ""])
