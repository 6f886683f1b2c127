"""`make demo`: everything on this machine, one complete handoff, and a site to look at."""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from mdlc_site.local.installation import ROOT, commands, environment, ports, secrets_of
from mdlc_site.local.processes import Processes
from mdlc_site.local.servers import Servers
from mdlc_site.local.trouble import Trouble, check_port

HOME = Path(os.environ.get("MDLC_HOME", ROOT / "var"))
PATIENCE = 60.0


def demo(*, serve: bool) -> int:
    """Start everything, drive one handoff from a file to a live endpoint, and serve until Ctrl-C; return an exit code."""
    began = time.monotonic()
    at = ports()
    check_port(at.site, "site")
    check_port(at.engine, "engine")
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    servers = Servers(HOME)
    processes = Processes(HOME / "log", ROOT)
    try:
        _say(began, "Starting PostgreSQL and Valkey")
        settings = environment(HOME, servers.start(), at)
        _say(began, "Preparing the database and the sample organisation")
        _manage(settings, "migrate", "--verbosity", "0")
        _manage(settings, "load_sample", "--home", str(HOME))
        _say(began, "Starting web server, relay, workers for tests and for deployments, beat and scoring engine")
        token = {"MDLC_ENGINE_TOKEN": secrets_of(HOME)["MDLC_ENGINE_TOKEN"]}
        for name, (command, trusted) in commands(HOME, at).items():
            processes.start(name, command, settings | (token if trusted else {}))
        _wait(f"http://127.0.0.1:{at.engine}/v2/health/ready", processes, stop)
        _wait(f"http://127.0.0.1:{at.site}/healthz/ready", processes, stop)
        processes.watch()
        _say(began, "Everything is up; one handoff follows, over the public REST API\n")
        site, engine = f"http://127.0.0.1:{at.site}", f"http://127.0.0.1:{at.engine}"
        code = _manage(settings, "demo_handoff", "--site", site, "--engine", engine, "--home", str(HOME), may_fail=True)
        if code == 0 and serve and not stop.is_set():
            print(f"\nThe site is at {site}/ until you press Ctrl-C.", flush=True)
            stop.wait()
            print("\nStopping every process ...", flush=True)
        return code
    finally:
        processes.stop()
        servers.stop()


def _say(began: float, words: str) -> None:
    print(f"{time.monotonic() - began:6.1f} s  {words}", flush=True)


def _manage(settings: dict[str, str], *arguments: str, may_fail: bool = False) -> int:
    done = subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, env=settings, check=False)
    if done.returncode and not may_fail:
        raise Trouble(f"The step '{arguments[0]}' failed; what it said stands above.")
    return done.returncode


def _wait(url: str, processes: Processes, stop: threading.Event) -> None:
    deadline = time.monotonic() + PATIENCE
    while not stop.is_set():
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - an address of ours
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        processes.check()
        if time.monotonic() > deadline:
            raise Trouble(f"{url} did not answer within {PATIENCE:.0f} seconds; the logs are in {processes.logs}.")
        time.sleep(0.05)
    raise Trouble("Stopped before everything was up.")
