"""Capture what an environment is made of, on the spot: `mdlc capture`, or `report("lab")` in a notebook.

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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
FEW = 6


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

    Raises CaptureError `token_missing`, `site_refuses` or `site_unreachable`.
    """
    if not token:
        where = f"{site.rstrip('/')}/api/v1/tokens/"
        raise CaptureError("token_missing", f"Put a token into MDLC_TOKEN; {where} gives one.", field="token")
    url = f"{site.rstrip('/')}/api/v1/environments/{environment}/profiles/"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    if not url.startswith(("https://", "http://")):
        words = f"{site} is not an address" if site else "Name the site with --site or MDLC_SITE, an address"
        raise CaptureError("site_unreachable", f"{words} with http or https.", field="site")
    request = urllib.request.Request(url, json.dumps(profile).encode(), headers)  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        raise CaptureError("site_refuses", _refusal(error.code, error.read(20_000))) from error
    except (OSError, ValueError) as error:
        raise CaptureError("site_unreachable", f"The site does not answer: {error}.", field="site") from error


@dataclass(frozen=True, slots=True)
class Answer:
    """What MDLC Handoff said to a profile: its number, and what import policies say other than yes, the worst first.

    Shown as text, also by a notebook.
    """

    site: str
    number: int
    verdicts: tuple[Mapping[str, Any], ...]

    @property
    def barred(self) -> tuple[Mapping[str, Any], ...]:
        """Return the libraries that are prohibited somewhere, and that no exception lets in."""
        return tuple(one for one in self.verdicts if one["answer"] == "prohibit" and not one.get("let_in_until"))

    def __str__(self) -> str:
        """Return the answer in lines: what is the same for many libraries takes one."""
        count = len({(one["library"], one["version"]) for one in self.verdicts})
        lines = [f"Recorded as profile {self.number}; {count} libraries need a look.", *_lines(self.verdicts)]
        places = {str(one.get("environment", "")) for one in self.barred if not one.get("asked_for")} - {""}
        for place in sorted(places):
            url = f"{self.site.rstrip('/')}/api/v1/environments/{place}/exceptions/"
            lines.append(f"Ask IT for an exception: POST {url} with library, version and reason.")
        return "\n".join(lines)

    __repr__ = __str__


def report(
    environment: str,
    *,
    site: str = "",
    token: str = "",
    files: Iterable[str | Path] = (),
    named_secrets: Iterable[str] = (),
) -> Answer:
    """Capture this environment, report it under its short name, and return IT's answer: one line in a notebook.

    Site and token are those in MDLC_SITE and MDLC_TOKEN where they are left out. Raises CaptureError.
    """
    site = site or os.environ.get("MDLC_SITE", "")
    token = token or os.environ.get("MDLC_TOKEN", "")
    told = send(capture(files, named_secrets), site=site, environment=environment, token=token)
    return Answer(site, int(told.get("number", 0)), tuple(told.get("verdicts", ())))


def main(given: Sequence[str] | None = None, *, name: str = "python -m engine.capture") -> int:
    """Print the profile, or report it with --site; return 0, or 1 when something is prohibited, or 2 for an error."""
    parser = argparse.ArgumentParser(prog=name, description="Report what this environment is.")
    parser.add_argument("files", nargs="*", help="data files to name with their hashes")
    parser.add_argument("--secret", action="append", default=[], help="a secret whose presence is told")
    parser.add_argument(
        "--site", default=os.environ.get("MDLC_SITE", ""), help="address of MDLC Handoff, else that in MDLC_SITE"
    )
    parser.add_argument("--environment", help="the environment's short name; without it the profile is only printed")
    options = parser.parse_args(given)
    try:
        if not options.environment:
            print(json.dumps(capture(options.files, options.secret), indent=2))
            return 0
        answer = report(options.environment, site=options.site, files=options.files, named_secrets=options.secret)
    except EngineError as error:
        print(error.message, file=sys.stderr)
        return 2
    print(answer)
    return int(bool(answer.barred))


def _lines(verdicts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what policies say in lines, in their order; more than a few libraries of which the same is said share one.

    What is prohibited has a line for each library and version, for each is a case of its own.
    """
    places: dict[tuple[str, ...], list[str]] = {}
    for one in verdicts:
        nearest = f" Nearest allowed: {one['nearest']}." if one.get("nearest") else ""
        said = (str(one["answer"]), f"{one['reason']}{nearest}{_excepted(one)}", f"{one['library']} {one['version']}")
        places.setdefault(said, []).append(str(one.get("environment", "")))
    libraries: dict[tuple[str, str, str], list[str]] = {}
    for (answer, words, library), where in places.items():
        libraries.setdefault((answer, words, ", ".join(filter(None, where))), []).append(library)
    lines = []
    for (answer, words, joined), named in libraries.items():
        place = f" in {joined}" if joined else ""
        if answer == "prohibit" or len(named) <= FEW:
            lines += [f"{answer:9} {library}{place}: {words}" for library in named]
        else:
            first = ", ".join(named[:FEW])
            lines.append(f"{answer:9} {len(named)} libraries{place}: {words} {first}, and {len(named) - FEW} more.")
    return lines


def _excepted(verdict: Mapping[str, Any]) -> str:
    """Return what became of an exception for a library, if somebody asked for one."""
    if until := verdict.get("let_in_until"):
        return f" Let in until {until}."
    return " An exception is asked for." if verdict.get("asked_for") else ""


def _refusal(status: int, content: bytes) -> str:
    """Return in words what a site answered instead of taking a profile."""
    try:
        told = json.loads(content)
        words = [told["message"], told.get("todo", "")]
        words += [f"{field}: {' '.join(why)}" for field, why in told.get("fields", {}).items()]
        return " ".join(word for word in words if word)
    except (ValueError, KeyError, TypeError, AttributeError):  # whatever stands between us and the site
        return f"The site answers {status}: {content[:200].decode(errors='replace')}"


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
