"""Files that survive a power cut: written aside, synced, and renamed into place."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import LoadError
from engine.fault_points import fault_point

FULL = {errno.ENOSPC, errno.EDQUOT}


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def telling_full_disk() -> Iterator[None]:
    """Turn 'no space left' into a sentence with a code."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise LoadError("disk_full", "This engine's disk is full; free some space and try again.") from error
        raise


def publish(part: Path, target: Path) -> None:
    """Rename a fully written and synced file to its final name, durably."""
    os.replace(part, target)
    sync_folder(target.parent)


def write(target: Path, content: bytes) -> None:
    """Replace a file's content in one step: afterwards it holds the old bytes or the new ones, never a mixture."""
    part = target.with_name(f".part-{target.name}-{os.getpid()}")
    try:
        with telling_full_disk(), part.open("wb") as stream:
            stream.write(content)
            fault_point("engine.writing")
            stream.flush()
            os.fsync(stream.fileno())
        publish(part, target)
    except (OSError, LoadError):
        part.unlink(missing_ok=True)
        raise
