"""Keep several processes running: log what they say, start again what dies, and leave none behind."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mdlc_site.local.servers import die_with_parent
from mdlc_site.local.trouble import Trouble

BACK_OFF = (0.5, 1.0, 2.0, 5.0)
GRACE = 10.0
STEADY = 30.0


@dataclass
class Child:
    """One process to keep running."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0


@dataclass
class Processes:
    """All children. Nothing that they start outlives us: each dies with its parent, and each group is killed at the end."""

    logs: Path
    cwd: Path
    children: list[Child] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _watch: threading.Thread | None = None

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Start a process, and keep it running."""
        self.logs.mkdir(parents=True, exist_ok=True)
        child = Child(name, command, environment)
        self._spawn(child)
        self.children.append(child)
        return child

    def watch(self) -> None:
        """Start again, from another thread's view, whatever dies from now on."""
        self._watch = threading.Thread(target=self._keep, name="processes", daemon=True)
        self._watch.start()

    def check(self) -> None:
        """Raise Trouble for a process that has died; used while starting, when a death is not a hiccup."""
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                log = self.logs / f"{child.name}.log"
                last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it says nothing"]
                raise Trouble(f"The {child.name} process ended at once: {last[0][:400]} (see {log}).")

    def stop(self) -> None:
        """Ask all to end, the newest first, and kill what does not within ten seconds."""
        self._stopping.set()
        if self._watch is not None:
            self._watch.join()
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

    def _keep(self) -> None:
        while not self._stopping.wait(0.2):
            for child in self.children:
                if child.process is not None and child.process.poll() is not None:
                    steady = time.monotonic() - child.started > STEADY
                    child.failures = 1 if steady else child.failures + 1
                    _kill_group(child.process)
                    if self._stopping.wait(BACK_OFF[min(child.failures, len(BACK_OFF)) - 1]):
                        return
                    self._spawn(child)

    def _spawn(self, child: Child) -> None:
        with (self.logs / f"{child.name}.log").open("ab") as log:
            child.process = subprocess.Popen(
                list(child.command),
                cwd=self.cwd,
                env=dict(child.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        child.started = time.monotonic()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill whatever a process has left behind in its session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
