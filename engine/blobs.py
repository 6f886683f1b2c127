"""Content-addressed files of a scoring engine: fetched from one registry only, hashed while they stream to disk."""

from __future__ import annotations

import hashlib
import http.client
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, unquote, urlsplit

from engine import durable
from engine.errors import LoadError
from engine.fault_points import fault_point

CHUNK = 1 << 18
SOCKET_TIMEOUT_S = 15.0
FETCH_TIMEOUT_S = 600.0


class Registry:
    """The one place that blobs may come from: a URL prefix."""

    def __init__(self, prefix: str) -> None:
        """Take the prefix, for example `https://mdlc.example.org/blobs/`. Raises `registry_url` for an odd one."""
        self.prefix = urlsplit(prefix)
        if self.prefix.scheme not in {"http", "https"} or not self.prefix.hostname or self.prefix.query:
            raise LoadError("registry_url", f"{prefix!r} is not an http or https address to fetch models below.")
        self.folder = self.prefix.path.rstrip("/") + "/"
        self.origin = _origin(self.prefix)

    def allow(self, url: str) -> SplitResult:
        """Return a URL's parts when it lies below the prefix. Raises `url_not_allowed` otherwise."""
        try:
            parts = urlsplit(url)
            same = _origin(parts) == self.origin and not parts.username and not parts.password and not parts.fragment
        except ValueError:
            same = False
        plain = unquote(parts.path) if same else ""
        odd = any(c <= " " or c == "\\" or c > "~" for c in url) or ".." in plain.split("/")
        if not same or odd or not plain.startswith(self.folder) or not parts.path.startswith(self.folder):
            raise LoadError(
                "url_not_allowed",
                f"{url!r} is not below this engine's registry {self.prefix.geturl()!r}.",
                field="blobs",
            )
        return parts

    @contextmanager
    def open(self, url: str) -> Iterator[http.client.HTTPResponse]:
        """Open a URL below the prefix for reading; redirects are refused, not followed."""
        parts = self.allow(url)
        secure = parts.scheme == "https"
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = connect(parts.hostname or "", parts.port, timeout=SOCKET_TIMEOUT_S)
        try:
            connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""))
            answer = connection.getresponse()
            if answer.status != 200:
                raise LoadError("registry_refused", f"The registry answered {answer.status} for {parts.path}, not 200.")
            yield answer
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in durable.FULL:
                raise
            raise LoadError(
                "registry_unreachable", f"The registry at {parts.netloc} failed: {error or type(error).__name__}."
            ) from error
        finally:
            connection.close()


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    """Return scheme, host and port, the port filled in."""
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


class BlobStore:
    """The folder of blobs, each named by its SHA-256."""

    def __init__(self, folder: Path, largest: int) -> None:
        """Open the folder, create it when missing, and clear what an interrupted fetch left."""
        self.folder = folder
        self.largest = largest
        self._pins: Counter[str] = Counter()
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        for part in folder.glob(".part-*"):
            part.unlink()

    def path(self, sha256: str) -> Path:
        """Return where a blob lies."""
        return self.folder / sha256

    @contextmanager
    def pinned(self, names: Iterable[str]) -> Iterator[None]:
        """Keep blobs from being swept while they are fetched and loaded."""
        held = list(names)
        with self._lock:
            self._pins.update(held)
        try:
            yield
        finally:
            with self._lock:
                self._pins.subtract(held)

    def sweep(self, wanted: set[str]) -> None:
        """Delete every blob that is neither wanted nor being fetched."""
        with self._lock:
            for path in self.folder.iterdir():
                if path.name not in wanted and self._pins[path.name] <= 0 and not path.name.startswith("."):
                    path.unlink(missing_ok=True)

    def intact(self, sha256: str) -> bool:
        """Say whether a blob is there and its bytes still hash to its name."""
        try:
            with self.path(sha256).open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest() == sha256
        except FileNotFoundError:
            return False

    def keep(self, sha256: str, content: bytes) -> None:
        """Store bytes that are at hand already."""
        durable.write(self.path(sha256), content)

    def fetch(self, registry: Registry, url: str, sha256: str, size: int) -> None:
        """Bring a blob here unless it is here, intact. Raises `blob_mismatch` when it is not what was promised."""
        registry.allow(url)
        if size > self.largest:
            raise LoadError("blob_too_large", f"A blob of {size} bytes is over this engine's limit of {self.largest}.")
        if self.intact(sha256):
            return
        part = self.folder / f".part-{sha256}-{threading.get_ident()}"
        try:
            with durable.telling_full_disk(), registry.open(url) as answer, part.open("wb") as out:
                _copy(answer, out, sha256, size)
                fault_point("engine.fetching")
                out.flush()
                os.fsync(out.fileno())
            durable.publish(part, self.path(sha256))
        finally:
            part.unlink(missing_ok=True)


def _copy(answer: http.client.HTTPResponse, out: BinaryIO, sha256: str, size: int) -> None:
    """Stream an answer to a file, and refuse it at the first sign that it is not the blob."""
    if answer.length is not None and answer.length != size:
        raise _mismatch(sha256, f"the registry offers {answer.length} bytes, the manifest says {size}")
    digest, seen, end = hashlib.sha256(), 0, time.monotonic() + FETCH_TIMEOUT_S
    while chunk := answer.read(CHUNK):
        seen += len(chunk)
        if seen > size:
            raise _mismatch(sha256, f"the registry sends more than the manifest's {size} bytes")
        if time.monotonic() > end:
            raise LoadError("registry_slow", f"The registry did not send blob {sha256} within {FETCH_TIMEOUT_S:.0f} s.")
        digest.update(chunk)
        out.write(chunk)
    if seen != size:
        raise LoadError("registry_cut", f"The registry ended blob {sha256} after {seen} of {size} bytes; try again.")
    if digest.hexdigest() != sha256:
        raise _mismatch(sha256, f"its bytes hash to {digest.hexdigest()}")


def _mismatch(sha256: str, why: str) -> LoadError:
    return LoadError("blob_mismatch", f"Blob {sha256} is not what the manifest promises: {why}.", field="blobs")
