"""Keep several processes running: log what they say, start again what dies, and leave none behind."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mdlc_site.local.kernel import ends_with_parent
from mdlc_site.local.trouble import Trouble

BACK_OFF = (0.5, 1.0, 2.0, 5.0, 10.0)
GRACE = 10.0
STEADY = 30.0
LARGEST_LOG = 10 * 2**20


@dataclass
class Child:
    """One process to keep running."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    due: float | None = None  # when to start it again


@dataclass
class Processes:
    """All children. Nothing they start outlives us: each ends with its parent, and each group is killed at the end."""

    logs: Path
    cwd: Path
    children: list[Child] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _watch: threading.Thread | None = None

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Start a process whose words go to its own log."""
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.log_of(name)
        if log.exists() and log.stat().st_size > LARGEST_LOG:
            log.replace(log.with_suffix(".log.1"))
        child = Child(name, command, environment)
        self.children.append(child)
        self._spawn(child)
        return child

    def log_of(self, name: str) -> Path:
        """Return where a process's words go."""
        return self.logs / f"{name}.log"

    def watch(self) -> None:
        """From now on, start again whatever dies."""
        self._watch = threading.Thread(target=self._keep, name="processes", daemon=True)
        self._watch.start()

    def check(self) -> None:
        """Raise Trouble for a process that has died; used while starting, when a death is no hiccup."""
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                log = self.log_of(child.name)
                last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it says nothing"]
                raise Trouble(f"The process {child.name} has ended: {last[0][:400]} (see {log})")

    def stop(self) -> None:
        """Ask all to end, the newest first, and kill what has not within ten seconds."""
        self._stopping.set()
        if self._watch is not None:
            self._watch.join()  # what it started again is asked to end by the kernel, and by us below
            self._watch = None
        alive = [c.process for c in reversed(self.children) if c.process is not None and c.process.poll() is None]
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + GRACE
        for process in alive:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
        for child in self.children:
            if child.process is not None:
                _kill_group(child.process)
        self.children.clear()
        self._stopping.clear()

    def _keep(self) -> None:
        while not self._stopping.wait(0.1):
            for child in self.children:
                if child.due is not None:
                    if time.monotonic() >= child.due:
                        self._spawn(child)
                elif child.process is not None and child.process.poll() is not None:
                    self._plan_restart(child, child.process)

    def _plan_restart(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        """Clear away what a dead process left, and wait the longer the more often it died."""
        _kill_group(process)
        steady = time.monotonic() - child.started > STEADY
        child.failures = 1 if steady else child.failures + 1
        pause = BACK_OFF[min(child.failures, len(BACK_OFF)) - 1]
        child.due = time.monotonic() + pause
        print(
            f"{child.name} {_how_it_ended(process.returncode)}; it starts again in {pause:g} s "
            f"(see {self.log_of(child.name)}).",
            file=sys.stderr,
            flush=True,
        )

    def _spawn(self, child: Child) -> None:
        with self.log_of(child.name).open("ab") as log:
            log.write(f"--- {child.name} starts at {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n".encode())
            log.flush()
            child.process = subprocess.Popen(
                list(child.command),
                cwd=self.cwd,
                env=dict(child.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=ends_with_parent(),
            )
        child.started, child.due = time.monotonic(), None


def _how_it_ended(code: int) -> str:
    return f"was ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill whatever a process has left behind in its session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
