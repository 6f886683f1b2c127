"""`make demo`: everything on this machine, one complete handoff, and a site to look at."""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from mdlc_site.local.installation import ROOT, TOKEN, Ports, environment, ports, processes, secrets_of
from mdlc_site.local.kernel import ends_with_parent
from mdlc_site.local.processes import Processes
from mdlc_site.local.servers import Servers
from mdlc_site.local.trouble import Trouble, check_port

HOME = Path(os.environ.get("MDLC_HOME", ROOT / "var")).resolve()
PATIENCE = 60.0

# What runs before the processes start, while they start, and once they answer; {…} is filled in from below.
BEFORE = [["migrate", "--verbosity", "0"]]
MEANWHILE = [["load_sample", "--home", "{home}", "--clinic", "{clinic}"]]
AFTER = [["demo_handoff", "--site", "{site}", "--engine", "{engine}", "--clinic", "{clinic}", "--home", "{home}"]]
CLINIC = ["-m", "mdlc_site.sample.clinic", "--home", "{home}", "--port", "{clinic}"]


class Stopped(Exception):
    """Say that a person or the system asked for an end."""


def demo(*, serve: bool) -> int:
    """Start everything, drive one handoff from a file to a live endpoint, serve until Ctrl-C; return an exit code."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    one = Demo(ports(), Servers(HOME), Processes(HOME / "log", ROOT), stop)
    try:
        code = one.run()
        if code == 0 and serve and not stop.is_set():
            print(f"\nThe site is at {one.site}/ until you press Ctrl-C; logs are in {HOME / 'log'}.", flush=True)
            stop.wait()
        if stop.is_set():
            print("\nStopping every process ...", flush=True)
        return code
    except Stopped:
        print("\nStopping every process ...", flush=True)
        return 130
    finally:
        one.processes.stop()
        one.servers.stop()


@dataclass
class Demo:
    """One run of the demo, and what it needs to stop at any moment."""

    ports: Ports
    servers: Servers
    processes: Processes
    stop: threading.Event
    settings: dict[str, str] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    @property
    def site(self) -> str:
        """Return the site's address."""
        return f"http://127.0.0.1:{self.ports.site}"

    @property
    def engine(self) -> str:
        """Return the engine's address."""
        return f"http://127.0.0.1:{self.ports.engine}"

    def run(self) -> int:
        """Start all, and return the exit code of the handoff. Raises Trouble or Stopped."""
        check_port(self.ports.site, "site", "MDLC_PORT")
        check_port(self.ports.engine, "engine", "MDLC_ENGINE_PORT")
        check_port(self.ports.clinic, "sample clinic", "MDLC_CLINIC_PORT")
        self.say("Starting PostgreSQL and Valkey")
        self.settings = environment(HOME, self.servers.start(), self.ports)
        self.say("Preparing the database")
        self.manage_all(BEFORE)
        self.say("Starting web server, relay, workers for tests and for deployments, beat and scoring engine")
        self.start_processes()
        self.say("Training the sample models, and introducing the people of the sample organisation")
        self.manage_all(MEANWHILE)
        self.wait_for(f"{self.engine}/v2/health/ready")
        self.wait_for(f"{self.site}/healthz/ready")
        self.processes.watch()
        self.say("Everything is up; one handoff follows, over the public REST API\n")
        return next((code for code in map(self.manage, AFTER) if code), 0)

    def start_processes(self) -> None:
        """Start them all, and give the engine's token to those that need it."""
        token = {TOKEN: secrets_of(HOME)[TOKEN]}
        for one in processes(HOME, self.ports):
            self.processes.start(one.name, one.command, self.settings | (token if one.trusted else {}) | dict(one.told))
        self.processes.start("clinic", [sys.executable, *self.filled(CLINIC)], self.settings)

    def say(self, words: str) -> None:
        """Tell what begins, and when."""
        print(f"{time.monotonic() - self.began:6.1f} s  {words}", flush=True)

    def manage_all(self, commands: list[list[str]]) -> None:
        """Run Django commands that must succeed. Raises Trouble."""
        for command in commands:
            if self.manage(command):
                raise Trouble(f"The step `{command[0]}` failed; what it said stands above.")

    def manage(self, command: list[str]) -> int:
        """Run a Django command beside the servers; return its exit code. Raises Stopped."""
        process = subprocess.Popen(
            [sys.executable, "manage.py", *self.filled(command)],
            cwd=ROOT,
            env={"LOG_LEVEL": "WARNING"} | self.settings,
            start_new_session=True,  # Ctrl-C is for us to pass on
            preexec_fn=ends_with_parent(),
        )
        while process.poll() is None:
            if self.stop.wait(0.05):
                process.terminate()
                process.wait(10)
                raise Stopped
        return process.returncode

    def filled(self, command: list[str]) -> list[str]:
        """Return a command with this run's places filled in."""
        places = {"home": HOME, "site": self.site, "engine": self.engine, "clinic": self.ports.clinic}
        return [part.format(**places) for part in command]

    def wait_for(self, url: str) -> None:
        """Wait until an address answers well. Raises Trouble when a process dies first, or none answers in time."""
        deadline = time.monotonic() + PATIENCE
        while not _answers(url):
            self.processes.check()
            if time.monotonic() > deadline:
                raise Trouble(f"{url} has not answered for {PATIENCE:.0f} s; the logs are in {self.processes.logs}.")
            if self.stop.wait(0.05):
                raise Stopped


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - an address of ours
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
