"""Content-addressed storage: bytes under the SHA-256 of what they are, streamed, and never overwritten by others."""

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO

from django.conf import settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage, default_storage

from audit.errors import Unavailable
from engine.fault_points import fault_point
from models_registry.errors import TooLarge
from models_registry.models import Blob, ModelVersion

CHUNK = 1 << 20


def path_of(digest: str) -> str:
    """Return the name under which a blob lies in the storage."""
    return f"{digest[:2]}/{digest}"


@contextmanager
def received(chunks: Iterable[bytes]) -> Iterator[tuple[Path, str, int]]:
    """Write chunks to a temporary file, and give its path, SHA-256 and size in bytes. It is gone afterwards.

    Raises TooLarge over the upload limit, and Unavailable when the disk is full.
    """
    handle, name = tempfile.mkstemp(prefix="upload-", dir=_folder())
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            digest, size = _write(chunks, stream)
            stream.flush()
            os.fsync(stream.fileno())
        yield path, digest, size
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Unavailable(
            "There is no room left to store the file; nothing was kept.",
            code="disk_full",
            todo="Ask an administrator to make room, then send it again.",
        ) from error
    finally:
        path.unlink(missing_ok=True)


def keep_file(path: Path, digest: str, size: int) -> Blob:
    """Put a received file into the store under its digest, and return its row. Twice the same bytes are kept once."""
    name = path_of(digest)
    if isinstance(default_storage, FileSystemStorage):
        _link(path, Path(default_storage.path(name)))
    else:
        _send(path, name)
    fault_point("store.kept")
    blob, _ = Blob.objects.get_or_create(sha256=digest, defaults={"size": size})
    return blob


def keep(chunks: Iterable[bytes]) -> Blob:
    """Store bytes that come in chunks. Raises TooLarge or Unavailable; then nothing is kept."""
    with received(chunks) as (path, digest, size):
        return keep_file(path, digest, size)


def keep_bytes(content: bytes) -> Blob:
    """Store a few bytes that are in memory already, such as a canonical schema."""
    return keep([content])


@contextmanager
def open_blob(digest: str) -> Iterator[IO[bytes]]:
    """Open a blob for reading. Raises FileNotFoundError when it is gone."""
    with default_storage.open(path_of(digest), "rb") as stream:
        yield stream


def verify(digest: str) -> bool:
    """Hash a blob's bytes again, and tell whether they are what its name says."""
    seen = sha256()
    try:
        with open_blob(digest) as stream:
            while chunk := stream.read(CHUNK):
                seen.update(chunk)
    except FileNotFoundError:
        return False
    return seen.hexdigest() == digest


def local_path(digest: str) -> Path:
    """Return a path of a blob's bytes on this machine; from object storage they are copied here once, and verified.

    Raises FileNotFoundError when the blob is gone, or its bytes are not what its name says.
    """
    try:
        return Path(default_storage.path(path_of(digest)))
    except NotImplementedError:
        pass
    cached = _folder() / "cache" / digest
    if not cached.exists():
        cached.parent.mkdir(exist_ok=True)
        _copy_here(digest, cached)
    return cached


def _copy_here(digest: str, target: Path) -> None:
    """Copy a blob from object storage; it gets its name only after its bytes were proven."""
    handle, name = tempfile.mkstemp(prefix="copy-", dir=target.parent)
    seen = sha256()
    try:
        with os.fdopen(handle, "wb") as copy, open_blob(digest) as stream:
            while chunk := stream.read(CHUNK):
                seen.update(chunk)
                copy.write(chunk)
        if seen.hexdigest() != digest:
            raise FileNotFoundError(f"The stored bytes of {digest} hash to {seen.hexdigest()}.")
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)


def local_paths(version: ModelVersion) -> dict[str, Path]:
    """Return the elements of a version as files on this machine, by name."""
    return {element.name: local_path(element.blob_id) for element in version.elements.all()}


def _folder() -> Path:
    """Return the folder for files on their way: in the store's own file system, so that they move in one step."""
    folder = Path(settings.STORE if "://" not in settings.STORE else tempfile.gettempdir()) / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write(chunks: Iterable[bytes], stream: IO[bytes]) -> tuple[str, int]:
    seen, size = sha256(), 0
    for chunk in chunks:
        size += len(chunk)
        if size > settings.UPLOAD_LIMIT:
            raise TooLarge(
                f"The file is larger than {settings.UPLOAD_LIMIT} bytes; nothing was kept.",
                todo="Make it smaller, or ask an administrator for a higher limit.",
            )
        seen.update(chunk)
        stream.write(chunk)
        fault_point("store.half")
    return seen.hexdigest(), size


def _send(path: Path, name: str) -> None:
    """Put a complete file into object storage, unless it is there, whole. Raises Unavailable without an answer."""
    from botocore.exceptions import BotoCoreError, ClientError  # 20 MB, and needed for object storage only

    try:
        if not default_storage.exists(name) or not verify(Path(name).name):
            with path.open("rb") as stream:
                default_storage.save(name, File(stream))
    except (BotoCoreError, ClientError) as error:
        raise Unavailable(
            "The store does not take the file now; nothing was kept.",
            code="store_unavailable",
            todo="Send it again in a while; if that does not help, tell an administrator.",
        ) from error


def _link(path: Path, target: Path) -> None:
    """Give a complete file its name in one step, also instead of a damaged one; make sure it outlives a power cut."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, target)
    except FileExistsError:
        if verify(target.name):
            return
        os.replace(path, target)  # what lay there was damaged, and these are the bytes that belong there
    os.chmod(target, 0o444)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
