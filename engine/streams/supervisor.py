"""The runs of one engine: each a process that is started, watched, started again after a crash, and stopped.

A run's folder says what is wanted of it, so an engine that was killed takes its runs up again.
"""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from engine import durable
from engine.errors import StreamError
from engine.streams.addresses import Reach
from engine.streams.division import refusal
from engine.streams.orders import NAME, RunOrder

log = logging.getLogger("engine.streams")

GRACE_S = 20.0
HALT_S = 0.4  # what a run is given that has to stop at once
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
STEADY_S = 60.0


class Supervisor:
    """Starts, watches and stops runs. `wanted.json` in a run's folder holds its model, its order and what to do.

    What to do is `run`, `stop`, or `fail` once it was tried as often as its order says.
    """

    def __init__(self, home: Path, blobs: Path, limits: Reach, scheduler: str = "") -> None:
        """Take the folder of the runs, that of the versions' elements, and how far streams may reach at most.

        With the scheduler of a Dask cluster, which shares both folders, runs that can be divided go there.
        """
        self.limits = limits
        self._scheduler = scheduler
        self._home, self._blobs = home, blobs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._again: dict[str, tuple[float, float]] = {}  # when to start it again, and the pause before that
        self._stuck: dict[str, tuple[Any, int]] = {}  # the counts where it ended, and how often in a row it did there
        self._lock = threading.RLock()

    def restore(self) -> None:
        """Start everything that is wanted and did not end by itself."""
        for folder in sorted(self._home.glob("*/wanted.json")) if self._home.exists() else ():
            run = folder.parent.name
            if self._wanted(run)["do"] == "run" and self.state(run)["state"] != "finished":
                self._start(run)

    def start(self, model: str, number: int, order: RunOrder, *, tries: int = 0) -> dict[str, Any]:
        """Start a run; one that was started by the same order number answers how it goes.

        A run that goes already finishes what is under way, and goes on from there by the newer order. One that ends too
        early is started again; with `tries`, until it did so that often in a row without getting any further. Raises
        StreamError `stale_order`.
        """
        run, wanted = order.run, {"do": "run", "model": model, "order": number, "tries": tries}
        with self._lock:
            if not self._fresh(run, number):
                return self.state(run)
            folder = self._home / run
            folder.mkdir(parents=True, exist_ok=True)
            order.write(folder / "order.json")
            self._want(run, wanted)
            before = self._processes.pop(run, None)
            self._again.pop(run, None)
            self._stuck.pop(run, None)
        if before is not None:
            _end(before)
        with self._lock:
            if self._wanted(run) == wanted and run not in self._processes:  # nobody ordered anything meanwhile
                (folder / "state.json").unlink(missing_ok=True)
                self._start(run)
            return self.state(run)

    def stop(self, run: str, number: int, model: str = "") -> dict[str, Any]:
        """Stop a run, and wait for what is under way. Raises StreamError `run_unknown` or `stale_order`.

        With its model, a run that is not known is remembered as stopped: an older order to start it comes too late.
        """
        with self._lock:
            if model and NAME.fullmatch(run) and not (self._home / run / "wanted.json").exists():
                (self._home / run).mkdir(parents=True, exist_ok=True)
                self._want(run, {"do": "stop", "model": model, "order": number})
            wanted = self._wanted(run)
            if self._fresh(run, number) and wanted["do"] != "fail":
                self._want(run, {**wanted, "do": "stop", "order": number})
            process = self._processes.pop(run, None)
            self._again.pop(run, None)
        if process is not None:
            _end(process)
        return self.state(run)

    def halt(self, model: str, digest: str) -> dict[str, dict[str, Any]]:
        """Stop all runs of a version at once, and return how each ended; they wait for a newer order to start.

        What a run had under way is done again by the next one, as after a crash.
        """
        with self._lock:
            found = [run for run in self._runs_of(model) if self._is_of(run, digest)]
            for run in found:
                self._want(run, {**self._wanted(run), "do": "stop"})
                self._again.pop(run, None)
            processes = [one for one in (self._processes.pop(run, None) for run in found) if one is not None]
        for process in processes:
            process.terminate()
        until = time.monotonic() + HALT_S
        for process in processes:
            _end(process, grace=max(0.0, until - time.monotonic()))
        return {run: self.state(run) for run in found}

    def _runs_of(self, model: str) -> list[str]:
        """Return the runs of a model that are wanted."""
        runs = [path.parent.name for path in self._home.glob("*/wanted.json")]
        return [run for run in runs if (told := self._wanted(run))["model"] == model and told["do"] == "run"]

    def _is_of(self, run: str, digest: str) -> bool:
        """Tell whether a run scores by the version of a digest."""
        path = self._home / run / "order.json"
        return path.exists() and RunOrder.read(path).digest == digest

    def state(self, run: str) -> dict[str, Any]:
        """Return how a run goes, with what it scored lately once it did. Raises StreamError `run_unknown`.

        `bound` is the hash of the version and the streams that it was ordered with. `ended` tells whether it stays so:
        one that failed may be tried again, and one that an engine took down goes on.
        """
        wanted = self._wanted(run)
        path = self._home / run / "state.json"
        told = json.loads(path.read_bytes()) if path.exists() else {"run": run, "state": "starting", "counts": {}}
        if told["state"] != "finished" and wanted["do"] == "stop" and run not in self._processes:
            told["state"] = "stopped"
        elif wanted["do"] == "run" and told["state"] == "stopped":
            told["state"] = "starting"  # what the process before told, when it was taken down
        ended = told["state"] == "finished" or (wanted["do"] != "run" and run not in self._processes)
        scores = self._home / run / "scores.json"
        if scores.exists():
            told["scores"] = json.loads(scores.read_bytes())
        order = self._home / run / "order.json"
        bound = RunOrder.read(order).bound if order.exists() else ""
        return {**told, "ended": ended, "model": wanted["model"], "order": wanted["order"], "bound": bound}

    def states(self, model: str = "") -> list[dict[str, Any]]:
        """Return how all runs go, or those of one model."""
        runs = sorted(path.parent.name for path in self._home.glob("*/wanted.json"))
        return [state for state in map(self.state, runs) if model in ("", state["model"])]

    def forget(self, run: str) -> None:
        """Delete the folder of a run that has ended. Raises StreamError `run_unknown` or `run_going`."""
        with self._lock:
            if not self.state(run)["ended"]:
                raise StreamError("run_going", f"The run {run} has not ended; stop it first.", field="run")
            shutil.rmtree(self._home / run)

    def look(self) -> None:
        """Start again, after a pause that grows, what ended without having finished; call it every second or so."""
        with self._lock:
            for run, process in list(self._processes.items()):
                if process.poll() is None:
                    continue
                del self._processes[run]
                if self.state(run)["state"] == "finished":
                    continue
                if self._is_hopeless(run):
                    self._give_up(run, process.returncode)
                    continue
                _, pause = self._again.get(run, (0.0, FIRST_PAUSE_S / 2))
                lived = time.time() - self.state(run).get("began", time.time())
                pause = FIRST_PAUSE_S if lived > STEADY_S else min(2 * pause, LONGEST_PAUSE_S)
                self._again[run] = (time.monotonic() + pause, pause)
                log.warning("run %s ended with %s; starting again in %s s", run, process.returncode, pause)
            for run, (when, _) in list(self._again.items()):
                if run not in self._processes and time.monotonic() >= when:
                    self._start(run)

    def _is_hopeless(self, run: str) -> bool:
        """Tell whether a run ended too early as often as it may without getting any further."""
        counts, tries = self.state(run)["counts"], self._wanted(run).get("tries", 0)
        before, times = self._stuck.get(run, (None, 0))
        times = times + 1 if counts == before else 1
        self._stuck[run] = (counts, times)
        return bool(tries) and times >= tries

    def _give_up(self, run: str, code: int) -> None:
        """Start a run no more, and leave in its state why."""
        self._again.pop(run, None)
        told = self.state(run)
        if told["state"] != "failed":
            lost = StreamError("run_lost", f"Its process ended with {code} again and again; see the log in its folder.")
            error = {"code": lost.code, "message": lost.message, "field": ""}
            content = {"run": run, "counts": told["counts"], "told": time.time(), "state": "failed", "error": error}
            durable.write(self._home / run / "state.json", json.dumps(content).encode())
        self._want(run, {**self._wanted(run), "do": "fail"})
        log.error("run %s ended with %s, and is given up", run, code)

    def close(self) -> None:
        """Stop all processes; what is wanted of them stays on disk."""
        with self._lock:
            processes = list(self._processes.values())
            self._processes.clear()
            self._again.clear()
        for process in processes:
            process.terminate()
        for process in processes:
            _end(process)

    def _start(self, run: str) -> None:
        folder = self._home / run
        with (folder / "log").open("ab") as output:
            command = [sys.executable, "-m", "engine.streams", str(folder), str(self._blobs)]
            if self._scheduler and refusal(RunOrder.read(folder / "order.json")) is None:
                command += ["--scheduler", self._scheduler]
            self._processes[run] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def _fresh(self, run: str, number: int) -> bool:
        """Tell whether an order is new; the same one again is not. Raises StreamError `stale_order`."""
        if not (self._home / run / "wanted.json").exists():
            return True
        seen = self._wanted(run)["order"]
        if number < seen:
            raise StreamError("stale_order", f"The run {run} has seen order {seen}; {number} is older.", field="order")
        return number > seen

    def _wanted(self, run: str) -> dict[str, Any]:
        path = self._home / run / "wanted.json"
        if not NAME.fullmatch(run) or not path.exists():
            raise StreamError("run_unknown", f"There is no run {run[:64]!r} in this engine.", field="run")
        wanted: dict[str, Any] = json.loads(path.read_bytes())
        return wanted

    def _want(self, run: str, wanted: dict[str, Any]) -> None:
        durable.write(self._home / run / "wanted.json", json.dumps(wanted).encode())


def _end(process: subprocess.Popen[bytes], *, grace: float = GRACE_S) -> None:
    """Ask a process to finish what is under way, and end it when it does not."""
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
