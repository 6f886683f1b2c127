"""Checklist items: what is asked, who answers, and what must back the answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handoff.rules.reading import ROLES, Reader

EVIDENCE = ("file", "link", "figure", "replay")


@dataclass(frozen=True, slots=True)
class ChecklistItem:
    """A question, who answers it, and which kinds of evidence back a yes (none listed: none needed)."""

    key: str
    question: str
    role: str
    help: str = ""
    evidence: tuple[str, ...] = ()


def read_item(reader: Reader, place: str, row: Mapping[str, Any]) -> ChecklistItem:
    """Read one item; mistakes are kept by the reader."""
    reader.unknown(place, row, {"key", "question", "help", "role", "evidence"})
    return ChecklistItem(
        key=reader.key(place, row.get("key")),
        question=reader.text(f"{place}.question", row.get("question")),
        role=reader.one_of(f"{place}.role", row.get("role"), ROLES),
        help=str(row.get("help", "")),
        evidence=reader.subset(f"{place}.evidence", row.get("evidence", []), EVIDENCE, empty=True),
    )
