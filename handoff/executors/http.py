"""Speak JSON over HTTP to an engine, with a limit on the time and the size of every exchange."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any
from urllib.parse import urlsplit

from audit.request_ids import current_request
from engine import tracing
from engine.request_ids import HEADER
from handoff.executors.errors import ExecutorError

LARGEST_ANSWER = 64 << 20
# What an engine's refusal means for the handoff, by its code; the rest goes by the status.
MEANS = {
    "stale_order": "stale_order",
    "digest_mismatch": "security",
    "manifest_mismatch": "security",
    "blob_mismatch": "security",
    "format_unsafe": "security",
    "output_breach": "contract_breach",
    "unknown_model": "unknown_model",
    "suspended": "suspended",
    "run_unknown": "run_unknown",
}


class Engine:
    """One scoring engine, as its clients see it."""

    def __init__(self, url: str, token: str, *, seconds: float = 15.0) -> None:
        """Take the address, the token that orders need, and how long an exchange may last."""
        self.url = url
        self.seconds = seconds
        self._token = token
        self._parts = urlsplit(url)

    def get(self, path: str) -> dict[str, Any]:
        """Return the answer to a GET."""
        return self._ask("GET", path, None, self.seconds)

    def post(self, path: str, body: dict[str, Any], *, seconds: float | None = None) -> dict[str, Any]:
        """Return the answer to a POST."""
        return self._ask("POST", path, body, seconds or self.seconds)

    def rows(self, path: str, body: dict[str, Any]) -> list[Any]:
        """Return the answer to a POST that is answered with a list."""
        status, raw = self._asked("POST", path, body, self.seconds)
        if status >= 300:
            self._read(status, raw, f"POST {path}")
        found = _json(raw)
        if not isinstance(found, list) or len(raw) > LARGEST_ANSWER:
            raise ExecutorError(f"The engine's answer to POST {path} is no JSON list.", permanent=True)
        return found

    def order(
        self, model: str, act: str, parameters: dict[str, Any], *, seconds: float | None = None
    ) -> dict[str, Any]:
        """Give an order about a model: load, activate or unload."""
        return self.post(f"/v2/repository/models/{model}/{act}", {"parameters": parameters}, seconds=seconds)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None, seconds: float) -> dict[str, Any]:
        return self._read(*self._asked(method, path, body, seconds), f"{method} {path}")

    def _asked(self, method: str, path: str, body: dict[str, Any] | None, seconds: float) -> tuple[int, bytes]:
        try:
            with self._connection(seconds) as connection:
                data = None if body is None else json.dumps(body).encode()
                headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
                headers |= {HEADER: asked_by} if (asked_by := current_request()) else {}
                headers |= {tracing.HEADER: under_way} if (under_way := tracing.current()) else {}
                connection.request(method, self._parts.path.rstrip("/") + path, data, headers)
                answer = connection.getresponse()
                return answer.status, answer.read(LARGEST_ANSWER + 1)
        except (OSError, http.client.HTTPException) as error:
            what = "did not answer in time" if isinstance(error, TimeoutError) else f"cannot be reached: {error}"
            raise ExecutorError(f"The engine at {self.url} {what} ({method} {path}).", permanent=False) from error

    @contextmanager
    def _connection(self, seconds: float) -> Iterator[http.client.HTTPConnection]:
        secure = self._parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=seconds)
        late: list[bool] = []
        # The socket's own time-out starts anew with every byte; the timer ends an engine that drips.
        timer = Timer(seconds, _cut, [connection, late])
        timer.daemon = True
        timer.start()
        try:
            yield connection
        except (OSError, http.client.HTTPException) as error:
            if late:
                raise TimeoutError("too slow") from error
            raise
        finally:
            timer.cancel()
            connection.close()

    def _read(self, status: int, raw: bytes, what: str) -> dict[str, Any]:
        answer = _json(raw) if raw else {}
        if not isinstance(answer, dict) or len(raw) > LARGEST_ANSWER:
            raise ExecutorError(f"The engine's answer to {what} is no JSON object.", permanent=status < 500)
        if status < 300:
            return answer
        code, told = str(answer.get("code", "")), str(answer.get("error", "")) or f"status {status}"
        transient = status in (401, 403, 408, 429, 502, 503, 504, 507) and code != "suspended"
        meaning = MEANS.get(code) or ("" if status >= 500 or transient else "contract_breach")
        raise ExecutorError(f"The engine refused {what}: {told}", permanent=not transient, code=meaning)


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _cut(connection: http.client.HTTPConnection, late: list[bool]) -> None:
    late.append(True)
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it ended by itself meanwhile
