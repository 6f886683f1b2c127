"""Ask an engine what it is made of."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from handoff.executors.http import Engine


def look(url: str, secrets: Iterable[str], *, token: str) -> dict[str, Any]:
    """Return an engine's profile, with whether it knows the named secrets, never their values. Raises ExecutorError."""
    return Engine(url, token).get(f"/v2/profile?{urlencode([('secret', name) for name in sorted(set(secrets))])}")
