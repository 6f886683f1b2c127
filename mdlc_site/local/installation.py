"""The settings and processes of an installation on one machine."""

import json
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the site and the engine listen, on this machine only."""

    site: int
    engine: int


def ports() -> Ports:
    """Return the ports that the environment asks for, or 8000 and 8600."""
    return Ports(int(os.environ.get("MDLC_PORT", "8000")), int(os.environ.get("MDLC_ENGINE_PORT", "8600")))


def secrets_of(home: Path) -> dict[str, str]:
    """Return this installation's own secrets; the first time they are drawn, and kept for their owner's eyes only."""
    path = home / "secrets.json"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        drawn = {"SECRET_KEY": secrets.token_urlsafe(48), "MDLC_ENGINE_TOKEN": secrets.token_urlsafe(32)}
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as stream:
            json.dump(drawn, stream)
    return dict(json.loads(path.read_text()))


def environment(home: Path, servers: dict[str, str], at: Ports) -> dict[str, str]:
    """Return the environment of all processes, without the engine's token, which only two of them get."""
    keep = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LOG_LEVEL")
    found = {name: os.environ[name] for name in keep if name in os.environ}
    return found | {
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


def commands(home: Path, at: Ports) -> dict[str, tuple[list[str], bool]]:
    """Return each process by name: its command, and whether it gets the engine's token."""
    python = sys.executable
    celery = [python, "-m", "celery", "-A", "mdlc_site"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"]

    def worker(queue: str, threads: int) -> list[str]:
        name = f"{queue}@%h"
        return [*celery, "worker", "-Q", queue, "-n", name, "--pool", "threads", "-c", str(threads), *quiet]

    site = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(at.site), "--blocking-threads", "4"]
    engine = ["--host", "127.0.0.1", "--port", str(at.engine), "--home", str(home / "engine")]
    return {
        "engine": ([python, "-m", "engine", *engine, "--registry", f"http://127.0.0.1:{at.site}/"], True),
        "web": ([python, "-m", "granian", *site, "mdlc_site.wsgi:application"], False),
        "relay": ([python, "manage.py", "relay"], False),
        "worker-tests": (worker("tests", 4), False),
        "worker-deployments": (worker("deployments", 2), True),
        "beat": ([*celery, "beat", "--loglevel", "INFO", "--pidfile="], False),
    }
