"""Capture what an environment is made of, on the spot: `python -m engine.capture`, or `capture()` in a notebook.

It reports interpreter, packages with licences, platform, hardware, data files by their hashes, and whether secrets are
there; never a secret's value, never a line of data.
"""

import argparse
import hashlib
import json
import os
import platform
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from engine.errors import EngineError
from engine.streams import secrets

CHUNK = 1 << 20
LONGEST_LICENCE = 80
MOST_FILES = 1000
TIMEOUT_S = 30


class CaptureError(EngineError):
    """Something cannot be captured or sent."""


def capture(files: Iterable[str | Path] = (), named_secrets: Iterable[str] = ()) -> dict[str, Any]:
    """Return the profile of this environment.

    `files` are data files to name with size and SHA-256. Raises CaptureError `file_unreadable` or `too_many_files`.
    """
    return {
        "profile": 1,
        "captured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "interpreter": {"implementation": platform.python_implementation(), "version": platform.python_version()},
        "platform": {"system": platform.system(), "release": platform.release(), "machine": platform.machine()},
        "hardware": {"cpus": os.cpu_count() or 1, "memory_mb": _memory_mb()},
        **_packages(),
        "files": _files([Path(one) for one in files]),
        "secrets": {name: secrets.present(name) for name in sorted(named_secrets)},
    }


def send(profile: dict[str, Any], *, site: str, environment: str, token: str) -> dict[str, Any]:
    """Report a profile to MDLC Handoff, and return its answer: the record, and what the import policies say.

    Raises CaptureError `site_refuses` or `site_unreachable`.
    """
    url = f"{site.rstrip('/')}/api/v1/environments/{environment}/profiles/"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    if not url.startswith(("https://", "http://")):
        raise CaptureError("site_unreachable", f"{site} is not an address with http or https.", field="site")
    request = urllib.request.Request(url, json.dumps(profile).encode(), headers)  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        words = error.read(2000).decode(errors="replace")
        raise CaptureError("site_refuses", f"The site answers {error.code}: {words}") from error
    except (OSError, ValueError) as error:
        raise CaptureError("site_unreachable", f"The site does not answer: {error}.", field="site") from error


def main(given: Sequence[str] | None = None) -> int:
    """Print the profile, or report it with --site; return 0, or 1 when something is prohibited, or 2 for an error."""
    parser = argparse.ArgumentParser(prog="python -m engine.capture", description="Report what this environment is.")
    parser.add_argument("files", nargs="*", help="data files to name with their hashes")
    parser.add_argument("--secret", action="append", default=[], help="a secret whose presence is told")
    parser.add_argument("--site", help="address of MDLC Handoff; without it the profile is printed")
    parser.add_argument("--environment", help="the environment's short name")
    options = parser.parse_args(given)
    try:
        profile = capture(options.files, options.secret)
        if not options.site:
            print(json.dumps(profile, indent=2))
            return 0
        token = os.environ.get("MDLC_TOKEN", "")
        answer = send(profile, site=options.site, environment=options.environment or "", token=token)
    except EngineError as error:
        print(error.message, file=sys.stderr)
        return 2
    return _tell(answer, options.site)


def _tell(answer: dict[str, Any], site: str) -> int:
    """Print what the policies say, the worst first; return 1 when something is prohibited and not let in."""
    verdicts = answer.get("verdicts", [])
    print(f"Recorded as profile {answer.get('number', '?')}; {len(verdicts)} libraries need a look.")
    for one in verdicts:
        nearest = f" Nearest allowed: {one['nearest']}." if one.get("nearest") else ""
        where = f" in {one['environment']}" if one.get("environment") else ""
        print(f"{one['answer']:9} {one['library']} {one['version']}{where}: {one['reason']}{nearest}{_excepted(one)}")
    barred = [one for one in verdicts if one["answer"] == "prohibit" and not one.get("let_in_until")]
    for place in sorted({str(one.get("environment", "")) for one in barred if not one.get("asked_for")} - {""}):
        url = f"{site.rstrip('/')}/api/v1/environments/{place}/exceptions/"
        print(f"Ask IT for an exception: POST {url} with library, version and reason.")
    return int(bool(barred))


def _excepted(verdict: dict[str, Any]) -> str:
    """Return what became of an exception for a library, if somebody asked for one."""
    if until := verdict.get("let_in_until"):
        return f" Let in until {until}."
    return " An exception is asked for." if verdict.get("asked_for") else ""


def _packages() -> dict[str, dict[str, str]]:
    """Return versions and licences of what is installed, by canonical name."""
    versions, licences = {}, {}
    for one in metadata.distributions():
        name = canonicalize_name(one.metadata["Name"] or "")
        if not name or name in versions:  # the first on the path is the one that is imported
            continue
        versions[name] = one.version
        if licence := _licence(one.metadata):
            licences[name] = licence
    return {"packages": dict(sorted(versions.items())), "licences": dict(sorted(licences.items()))}


def _licence(told: Any) -> str:
    """Return a distribution's licence: its expression, else its classifier, else its short licence field."""
    if expression := told.get("License-Expression"):
        return str(expression)[:LONGEST_LICENCE]
    classified = [
        one.rpartition(" :: ")[2] for one in told.get_all("Classifier") or [] if one.startswith("License :: ")
    ]
    if classified:
        return str(classified[0])[:LONGEST_LICENCE]
    plain = str(told.get("License") or "")
    return plain if len(plain) <= LONGEST_LICENCE and "\n" not in plain else ""


def _files(paths: list[Path]) -> list[dict[str, Any]]:
    if len(paths) > MOST_FILES:
        raise CaptureError("too_many_files", f"Name at most {MOST_FILES} files.", field="files")
    found = []
    for path in paths:
        digest, size = hashlib.sha256(), 0
        try:
            with path.open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
        except OSError as error:
            raise CaptureError("file_unreadable", f"{path} cannot be read: {error.strerror}.", field="files") from error
        found.append({"name": path.name, "size": size, "sha256": digest.hexdigest()})
    return found


def _memory_mb() -> int:
    """Return the machine's memory in megabytes (10^6 bytes)."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000


if __name__ == "__main__":
    sys.exit(main())
