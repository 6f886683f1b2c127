"""Find a Chromium for the browser tests: Debian's where it is or can be installed, otherwise Playwright's own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MISSING = (
    "The browser tests need Chromium, which is not here and cannot be installed by itself: "
    "run `sudo apt-get install chromium` (or `.venv/bin/playwright install chromium`), then start again. "
    "MDLC_CHROMIUM may name another program."
)
PATIENCE = 600


class NoChromium(Exception):
    """Say what to install: no browser is here and none can be had."""


def chromium(own: str = "") -> str:
    """Return the path of a Chromium, installing one if need be; `own` is where Playwright keeps its own.

    Raises NoChromium, whose words say what to install.
    """
    named = os.environ.get("MDLC_CHROMIUM", "")
    if named and not shutil.which(named):
        raise NoChromium(f"MDLC_CHROMIUM names {named}, which is no program on this machine.")
    for found in (named, *NAMES):
        if found and (path := shutil.which(found)):
            return path
    if _is_program(own):
        return own
    if _installed_by_apt() and (path := shutil.which("chromium")):
        return path
    if _installed_by_playwright() and _is_program(own):
        return own
    raise NoChromium(MISSING)


def _is_program(path: str) -> bool:
    return bool(path) and Path(path).is_file() and os.access(path, os.X_OK)


def _installed_by_apt() -> bool:
    """Try Debian's package; only root can."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    sys.stderr.write("Installing Debian's chromium for the browser tests ...\n")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return _done(["apt-get", "update", "-q"], environment) and _done(
        ["apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"], environment
    )


def _installed_by_playwright() -> bool:
    sys.stderr.write("Installing Playwright's chromium for the browser tests ...\n")
    return _done([sys.executable, "-m", "playwright", "install", "chromium"], dict(os.environ))


def _done(command: list[str], environment: dict[str, str]) -> bool:
    """Run an installer quietly, and tell whether it succeeded in time."""
    try:
        done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def main() -> int:
    """Print where Chromium is, after installing it if need be."""
    try:
        print(chromium())
    except NoChromium as missing:
        print(missing, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
