"""Read the locked lists of packages, strictly: what is not pinned and hashed is refused."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from supply.errors import Wrong

ROOT = Path(__file__).resolve().parent.parent
SITE, ENGINE, CLUSTER, INSTALLER = (
    "requirements.txt",
    "engine/requirements.txt",
    "engine/requirements-dask.txt",
    "requirements-uv.txt",
)
DEVELOPMENT = "requirements-dev.txt"
RUNNING = (SITE, ENGINE, CLUSTER, INSTALLER)
PIN = re.compile(r"(?P<name>[a-z0-9][a-z0-9-]*)(?:\[[a-z0-9,-]+\])?==(?P<version>[A-Za-z0-9.+!-]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass
class Locked:
    """One package at one version, in all lists that name it."""

    name: str
    version: str
    hashes: set[str] = field(default_factory=set)
    asked_by: set[str] = field(default_factory=set)
    lists: set[str] = field(default_factory=set)


def read(root: Path = ROOT, lists: tuple[str, ...] = (*RUNNING, DEVELOPMENT)) -> dict[str, Locked]:
    """Return the packages that some lists lock, by name.

    Raises Wrong for a line without a pin or a hash, and for a package that two lists lock at different versions.
    """
    found: dict[str, Locked] = {}
    for name in lists:
        for locked in _of(name, (root / name).read_text()):
            one = found.setdefault(locked.name, locked)
            if one.version != locked.version:
                raise Wrong(f"{name} locks {one.name} at {locked.version}, another list at {one.version}: `make lock`.")
            one.hashes |= locked.hashes
            one.asked_by |= locked.asked_by
            one.lists.add(name)
    return dict(sorted(found.items()))


def _of(name: str, text: str) -> Iterator[Locked]:
    """Give what one list locks. `# via` below a package names who asks for it, a package or a list (`-r`)."""
    current: Locked | None = None
    for line in text.splitlines():
        if line[:1] not in ("", " ", "#"):
            pin = PIN.match(line)
            if pin is None:
                raise Wrong(f"{name}: {line.strip()} is not pinned to a version.")
            if current is not None:
                yield _whole(name, current)
            current = Locked(pin["name"], pin["version"])
        elif current is not None and (digest := HASH.search(line)):
            current.hashes.add(digest[1])
        elif current is not None and (asking := line.strip().removeprefix("#").strip().removeprefix("via").strip()):
            current.asked_by.add(asking)
    if current is not None:
        yield _whole(name, current)


def _whole(name: str, locked: Locked) -> Locked:
    if not locked.hashes:
        raise Wrong(f"{name}: {locked.name} has no hash.")
    return locked
