"""A small client of the public REST API, as automation of a user's own would be."""

import http.client
import json
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class ApiError(Exception):
    """The API refused; `body` holds the code, the message and what to do."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class Api:
    """One person's conversation with the API."""

    def __init__(self, site: str) -> None:
        self.parts = urlsplit(site)
        self.token = ""

    def sign_in(self, username: str, password: str) -> "Api":
        """Get a token for a person."""
        self.token = self.post("/api/v1/tokens/", {"username": username, "password": password})["token"]
        return self

    def get(self, path: str) -> Any:
        """Read something."""
        return self.send("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        """Create or do something, once however often it is sent."""
        return self.send("POST", path, json.dumps(body if body is not None else {}).encode(), "application/json")

    def upload(self, path: str, fields: dict[str, str], files: dict[str, Path]) -> Any:
        """Send fields and files as one multipart request."""
        edge = uuid.uuid4().hex
        parts = [
            f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ]
        for name, file in files.items():
            head = f'--{edge}\r\nContent-Disposition: form-data; name="{name}"; filename="{file.name}"\r\n\r\n'
            parts.append(head.encode() + file.read_bytes() + b"\r\n")
        body = b"".join([*parts, f"--{edge}--\r\n".encode()])
        return self.send("POST", path, body, f"multipart/form-data; boundary={edge}")

    def send(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> Any:
        """Return the answer's JSON. Raises ApiError."""
        headers = {"Accept": "application/json"}
        if body is not None:
            headers |= {"Content-Type": kind, "Idempotency-Key": str(uuid.uuid4())}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        link = http.client.HTTPConnection(self.parts.hostname or "", self.parts.port, timeout=60)
        try:
            link.request(method, path, body, headers)
            answer = link.getresponse()
            text = answer.read()
        finally:
            link.close()
        content = json.loads(text) if text else None
        if answer.status >= 400:
            raise ApiError(answer.status, content)
        return content


def wait_for(read: Any, done: Any, *, seconds: float = 120.0, every: float = 0.1) -> Any:
    """Return what `read` gives as soon as `done` accepts it. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while True:
        seen = read()
        if done(seen):
            return seen
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen in time")
        time.sleep(every)
