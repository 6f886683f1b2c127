"""What an installation is told of its signing key before it runs."""

from pathlib import Path
from typing import Any

import pytest

from audit.checks import HINT, signing_key

SEED = "5e" * 32


def told() -> list[tuple[str | None, str, str | None]]:
    """Return what is told: which warning, in which words, with which hint."""
    return [(one.id, one.msg, one.hint) for one in signing_key()]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", [("audit.W001", "There is no signing key.", HINT)]),
        ("/nowhere/key.pem", [("audit.W002", "The signing key cannot be read.", HINT)]),
        (SEED, []),
    ],
)
def test_a_key_that_is_not_there_is_told(value: str, expected: list[Any], settings: Any) -> None:
    settings.SIGNING_KEY = value
    assert told() == expected


@pytest.mark.parametrize(("rights", "safe"), [(0o600, True), (0o700, True), (0o640, False), (0o604, False)])
def test_a_file_that_others_may_read_is_told(rights: int, safe: bool, settings: Any, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(SEED)
    path.chmod(rights)
    settings.SIGNING_KEY = str(path)
    hint = f"chmod 600 {path}; if others could have read it, mark the key as compromised."
    assert told() == ([] if safe else [("audit.W003", "Others may read the signing key.", hint)])
