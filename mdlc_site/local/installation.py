"""The settings and processes of an installation on one machine."""

import json
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mdlc_site.local.trouble import Trouble

ROOT = Path(__file__).resolve().parent.parent.parent
TOKEN = "MDLC_ENGINE_TOKEN"  # noqa: S105 - the variable's name
SIGNING_KEY = "MDLC_SIGNING_KEY"
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LOG_LEVEL", "SSL_CERT_FILE")
DRAWN: Mapping[str, Callable[[], str]] = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(48),
    TOKEN: lambda: secrets.token_urlsafe(32),
    SIGNING_KEY: lambda: secrets.token_hex(32),
}


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the site, the engine and the sample clinic's own systems listen, on this machine only."""

    site: int
    engine: int
    clinic: int = 8601


@dataclass(frozen=True, slots=True)
class Process:
    """How a process is started, whether it is given the engine's token, and what it alone is told."""

    name: str
    command: list[str]
    trusted: bool = False
    told: Mapping[str, str] = field(default_factory=dict)


def ports() -> Ports:
    """Return the ports that the environment asks for, or 8000, 8600, and the next one for the clinic."""
    engine = _port("MDLC_ENGINE_PORT", "8600")
    return Ports(_port("MDLC_PORT", "8000"), engine, _port("MDLC_CLINIC_PORT", str(engine % 65535 + 1)))


def _port(variable: str, default: str) -> int:
    text = os.environ.get(variable, default)
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise Trouble(f"{variable} must be a port number from 1 to 65535, not {text!r}.")
    return int(text)


def secrets_of(home: Path) -> dict[str, str]:
    """Return this installation's own secrets; the first time they are drawn, and kept for their owner's eyes only."""
    path = home / "secrets.json"
    try:
        kept = dict(json.loads(path.read_text())) if path.exists() else {}
    except ValueError:
        raise Trouble(f"{path} cannot be read as JSON; restore it, or remove all data with `make clean`.") from None
    if missing := {name: draw() for name, draw in DRAWN.items() if name not in kept}:
        home.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".new")
        half.unlink(missing_ok=True)
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            json.dump(kept | missing, stream)
        half.rename(path)
    return kept | missing


def environment(home: Path, servers: dict[str, str], at: Ports) -> dict[str, str]:
    """Return the environment of all processes, without the engine's token and the signing key, which few get."""
    apart = (TOKEN, SIGNING_KEY)
    passed = {k: v for k, v in os.environ.items() if k in KEPT or (k.startswith("MDLC_") and k not in apart)}
    return passed | {
        **servers,
        "SECRET_KEY": secrets_of(home)["SECRET_KEY"],
        "DJANGO_SETTINGS_MODULE": "mdlc_site.settings",
        "DEBUG": "false",
        "SITE_URL": f"http://127.0.0.1:{at.site}",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "ENGINE_URLS": f"production=http://127.0.0.1:{at.engine}",
        "MDLC_STORE": str(home / "store"),
        "MDLC_ANCHORS": str(home / "anchors.jsonl"),
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",
    }


def processes(home: Path, at: Ports) -> list[Process]:
    """Return every process of the installation; the Procfile lists the same for machines of their own."""
    python = sys.executable
    celery = [python, "-m", "celery", "-A", "mdlc_site", "--skip-checks"]  # checks load every page: 27 MB a process
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"]

    def worker(queues: str, threads: int) -> list[str]:
        name = f"{queues.split(',')[0]}@%h"
        return [*celery, "worker", "-Q", queues, "-n", name, "--pool", "threads", "-c", str(threads), *quiet]

    web = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(at.site), "--blocking-threads", "32"]
    engine = ["--host", "127.0.0.1", "--port", str(at.engine), "--home", str(home / "engine")]
    engine += ["--registry", f"http://127.0.0.1:{at.site}/"]
    engine += ["--private", "--folders", f"{home / 'servers'}:{home / 'sample'}"]  # all that it reaches is here
    signs = {SIGNING_KEY: secrets_of(home)[SIGNING_KEY]}
    secrets_dir = {"MDLC_SECRETS_DIR": str(home / "engine-secrets")}
    return [
        Process("engine", [python, "-m", "engine", *engine], True, secrets_dir),
        Process("web", [python, "-m", "granian", *web, "mdlc_site.wsgi:application"], told=signs),
        Process("relay", [python, "manage.py", "relay"], told=signs),
        Process("worker-tests", worker("tests", 4)),
        Process("worker-deployments", worker("deployments,stops", 2), True),
        Process("beat", [*celery, "beat", "--loglevel", "INFO", "--pidfile="]),
    ]
