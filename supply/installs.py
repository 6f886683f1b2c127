"""Find places where packages are installed without a lock."""

import re
from pathlib import Path

from supply.locks import ROOT

# What installs for us, or tells others how to; the engine's client alone may be installed unlocked, into notebooks.
PLACES = ("Makefile", "Dockerfile", "README.md", "CONTRIBUTING.md", ".ci/run", "docs/operations.md", "compose.yaml")
INSTALL = re.compile(r"\b(?:pip3?|uv pip) install\b[^\n`]*|\b(?:uv tool|uvx|pipx|npx)\b[^\n`]*|\buv run --with[^\n`]*")


def unlocked(root: Path = ROOT, places: tuple[str, ...] = PLACES) -> list[str]:
    """Return each command that installs something whose hash nobody wrote down."""
    found = []
    for place in places:
        for number, line in enumerate((root / place).read_text().splitlines(), 1):
            found += [
                f"{place}:{number}: `{command[0].strip()}` installs without --require-hashes."
                for command in INSTALL.finditer(line)
                if "--require-hashes" not in command[0]
            ]
    return found
