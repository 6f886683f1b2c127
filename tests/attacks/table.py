"""The table of attacks as it is read, by the tests and by `make attacks`, which has no Django."""

import tomllib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
TESTS = FOLDER.parent
DOORS = ("browser", "api", "admin", "command", "worker")
ATTACKS: dict[str, dict[str, Any]] = tomllib.loads((FOLDER / "attacks.toml").read_text())


def named_in(row: dict[str, Any]) -> list[str]:
    """Return the tests that a row names, at all doors."""
    return [name for door in (*DOORS, "database") if isinstance(row.get(door), list) for name in row[door]]
