"""What the benchmarks run on: PostgreSQL and Valkey of their own, and processes as the Procfile has them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "mdlc_site.settings",
    "SECRET_KEY": "only-for-benchmarks-only-for-benchmarks-only",
    "MDLC_SIGNING_KEY": "5e" * 32,
    "LOG_LEVEL": "WARNING",
}


@contextmanager
def servers(folder: Path, **settings: str) -> Iterator[None]:
    """Start both servers with everything that keeps data safe, lead Django to them, and make the tables."""
    from mdlc_site.local.servers import Servers  # after the benchmark has decided to run

    both = Servers(folder / "servers")
    try:
        places = {"MDLC_STORE": str(folder / "store"), "MDLC_ANCHORS": str(folder / "anchors.jsonl")}
        os.environ |= both.start() | SETTINGS | places | settings
        (folder / "static").mkdir(exist_ok=True)
        os.environ["STATIC_ROOT"] = str(folder / "static")
        _migrate()
        yield
    finally:
        both.stop()


def _migrate() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


@contextmanager
def from_procfile(name: str, folder: Path, said: str, **more: str) -> Iterator[Any]:
    """Run one process with the very command that the Procfile gives it, until it has said that it is ready."""
    from tests import processes  # after Django is set up

    lines = (ROOT / "Procfile").read_text().splitlines()
    command = next(line.partition(": ")[2] for line in lines if line.startswith(f"{name}: "))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "LOG_LEVEL": "INFO", **more}
    log = folder / f"{name}-{len(list(folder.glob('*.log')))}.log"
    process = processes.Process(name, ["sh", "-c", f"exec {command}"], log, env).start()
    try:
        yield process.until(said)
    finally:
        process.stop()
