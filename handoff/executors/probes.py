"""Ask an engine what it is made of, and whether the streams around it answer."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from handoff.executors.http import Engine

ASKING_SECONDS = 45.0


def ask(url: str, streams: Mapping[str, Mapping[str, Any]], *, token: str) -> dict[str, Any]:
    """Return what keeps an engine from each stream, by name; empty for those that answer. Raises ExecutorError."""
    asked = {name: {key: one[key] for key in ("direction", "descriptor")} for name, one in streams.items()}
    parameters = {"streams": asked, "private": True}
    body = {"parameters": parameters}
    answer = Engine(url, token).post("/v2/repository/streams/ask", body, seconds=ASKING_SECONDS).get("streams")
    return answer if isinstance(answer, dict) else {}


def look(url: str, secrets: Iterable[str], *, token: str) -> dict[str, Any]:
    """Return an engine's profile, with whether it knows the named secrets, never their values. Raises ExecutorError."""
    return Engine(url, token).get(f"/v2/profile?{urlencode([('secret', name) for name in sorted(set(secrets))])}")
