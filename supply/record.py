"""Keep what is known of each locked package beside the locks: its licence, and the day on which it was published."""

import csv
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from supply.errors import Wrong
from supply.licences import Terms, licence_of
from supply.locks import DEVELOPMENT, INSTALLER, ROOT, Locked

TABLE = Path(__file__).with_name("packages.csv")


@dataclass(frozen=True)
class Known:
    """What is known of one package."""

    name: str
    version: str
    released: str
    licence: str


def known(path: Path = TABLE) -> dict[str, Known]:
    """Return the recorded packages, by name."""
    with path.open(newline="") as lines:
        return {row["name"]: Known(**row) for row in csv.DictReader(lines)}


def write(locked: Mapping[str, Locked], terms: Terms, path: Path = TABLE) -> None:
    """Record every locked package anew: the licence as it is installed here, the day as the package index tells it."""
    found = known(path)
    kept = {name: one for name, one in found.items() if name in locked and one.version == locked[name].version}
    days = {name: one.released for name, one in kept.items() if one.released}
    if locked.keys() - days.keys():
        days |= released()
    with path.open("w", newline="") as lines:
        table = csv.writer(lines, lineterminator="\n")
        table.writerow(field.name for field in fields(Known))
        for one in locked.values():
            licence = licence_of(one.name, terms.read)
            table.writerow(astuple(Known(one.name, one.version, days.get(one.name, ""), licence)))


def released() -> dict[str, str]:
    """Ask the package index, by uv, on which day the first file of each locked package was published."""
    quiet = ["uv", "pip", "compile", "-q", "--no-deps", "--generate-hashes", "--python-version", "3.11", "--universal"]
    days: dict[str, str] = {}
    with TemporaryDirectory() as folder:
        lock = Path(folder, "pylock.toml")
        for name in (DEVELOPMENT, INSTALLER):
            lock.unlink(missing_ok=True)
            subprocess.run([*quiet, name, "--format", "pylock.toml", "-o", str(lock)], cwd=ROOT, check=True)
            days |= _days(lock)
    return days


def _days(lock: Path) -> dict[str, str]:
    """Read the days in a lock file of PEP 751."""
    days = {}
    for one in tomllib.loads(lock.read_text())["packages"]:
        files = [*one.get("wheels", ()), *([one["sdist"]] if "sdist" in one else ())]
        times: list[datetime] = [file["upload-time"] for file in files if "upload-time" in file]
        days[one["name"]] = min(times).date().isoformat() if times else ""
    return days


def gaps(locked: Mapping[str, Locked], found: Mapping[str, Known]) -> list[str]:
    """Say where the record and the locks differ."""
    told = {name: one.version for name, one in found.items()}
    wanted = {name: one.version for name, one in locked.items()}
    odd = sorted(name for name in told.keys() | wanted.keys() if told.get(name) != wanted.get(name))
    undated = sorted(name for name, one in found.items() if not one.released)
    return [f"{name}: supply/packages.csv does not tell of what is locked; run `make bill`." for name in odd] + [
        f"{name}: nothing tells when it was published; run `make bill` where the package index answers."
        for name in undated
    ]


def of(name: str, found: Mapping[str, Known]) -> Known:
    """Return what is known of a package. Raises Wrong where nothing is."""
    if name not in found:
        raise Wrong(f"{name}: supply/packages.csv does not tell of what is locked; run `make bill`.")
    return found[name]
