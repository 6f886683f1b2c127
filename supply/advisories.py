"""Ask the package index, or OSV, whether what is locked is known to be weak. Silence is never taken for health."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from supply.locks import DEVELOPMENT, ENGINE, INSTALLER, ROOT, SITE, Locked

SERVICES = ("pypi", "osv")
LISTS = (SITE, ENGINE, INSTALLER, DEVELOPMENT)
SECONDS = 600

Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What was found, and what nobody answered."""

    weak: list[str]
    silent: list[str]

    @property
    def code(self) -> int:
        """0: all were asked, and none is weak. 1: some are. 2: some could not be asked."""
        return 1 if self.weak else 2 if self.silent else 0


def ask(service: str) -> Answer:
    """Run pip-audit over the locks, and return its answer; nothing where the service does not answer."""
    lists = [part for name in LISTS for part in ("-r", name)]
    options = ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json", "-s", service]
    command = [sys.executable, "-m", "pip_audit", *options, *lists]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
        answer: Answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return {}
    return answer


def outcome(locked: Mapping[str, Locked], ask: Callable[[str], Answer] = ask) -> Outcome:
    """Ask one service after the other until one knows every locked package.

    pip-audit leaves out, and ends well, where the index does not know a package: that counts as silence here.
    """
    weak: set[str] = set()
    silent = set(locked)
    for service in SERVICES:
        for told in ask(service).get("dependencies", ()):
            if "skip_reason" not in told:
                silent.discard(told["name"])
                weak |= {f"{told['name']} {told['version']}: {_words(one)}" for one in told["vulns"]}
        if not silent:
            break
    return Outcome(sorted(weak), sorted(silent))


def _words(weakness: Mapping[str, Any]) -> str:
    fixed = ", ".join(weakness.get("fix_versions") or ()) or "nothing yet"
    return f"{weakness['id']}, mended by {fixed}"
