"""Secrets by name: from the environment, or from files that are mounted. Their values are never stored or shown."""

import os
import re
from pathlib import Path

from engine.errors import StreamError

PREFIX = "MDLC_SECRET_"
LONGEST = 10_000
NAME = re.compile(r"[A-Z][A-Z0-9_]{0,99}")  # so no name leads out of the folder


def resolve(name: str) -> str:
    """Return the value of a secret: MDLC_SECRET_<NAME>, or the file of that name below MDLC_SECRETS_DIR.

    Raises StreamError `secret_missing` or `secret_unreadable`; neither tells a value.
    """
    known = NAME.fullmatch(name) is not None
    value = os.environ.get(PREFIX + name) if known else None
    folder = os.environ.get("MDLC_SECRETS_DIR") if known else None
    if value is None and folder:
        value = _read(Path(folder) / name)
    if not value:
        raise StreamError(
            "secret_missing",
            f"The secret {name} is not known here; set {PREFIX}{name} or mount a file {name}.",
            field="secret",
        )
    return value


def present(name: str) -> bool:
    """Tell whether a secret is known here, without its value."""
    try:
        resolve(name)
    except StreamError:
        return False
    return True


def _read(path: Path) -> str | None:
    if not path.is_file():
        return None
    try:
        with path.open() as file:
            value = file.read(LONGEST + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise StreamError("secret_unreadable", f"The secret {path.name} cannot be read.", field="secret") from error
    if len(value) > LONGEST:
        raise StreamError("secret_unreadable", f"The secret {path.name} is longer than {LONGEST}.", field="secret")
    return value.rstrip("\n")
