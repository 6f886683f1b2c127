"""Measures the first start of the demo: `python -m benchmarks.startup`.

Runs the demo as it is, from nothing but installed requirements (those of an installation, without the tools for
development, in an environment of the benchmark's own) and an empty data folder, on ports of its own, until it serves.
Told are the seconds from the first process to the first live model, the seconds until the scoring engine is ready,
and the memory of all processes, the servers' and workers' included, once everything the demo shows has happened: as
PSS, in which memory that processes share counts once, and as RSS, in which it counts for each of them.
"""

from __future__ import annotations

import hashlib
import os
import queue
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving import ROOT, Engine, Registry, Sample, free_port, seal
from benchmarks.table import Row, printed

SITE = ROOT / "var" / "bench-site"
ROUNDS = 3
PATIENCE = 240
LIVE_WITHIN, READY_WITHIN, MEMORY_MB = 30.0, 1.0, 700.0


@dataclass(frozen=True, slots=True)
class Start:
    """What one start of the demo took: seconds, and megabytes at the first live model and at the end."""

    live: float
    served: float
    pss_live: float
    pss: float
    rss: float


def install_site() -> Path:
    """Make an environment with the requirements of an installation unless it is there; return its Python."""
    wanted = hashlib.sha256((ROOT / "requirements.txt").read_bytes()).hexdigest()
    stamp, python = SITE / "installed", SITE / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
        subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, SITE], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", python, "-r", ROOT / "requirements.txt"], check=True)
        stamp.write_text(wanted)
    return python


def run_demo(python: Path, home: Path) -> Start:
    """Run the demo until it serves, look at it, and stop it."""
    ports = {"MDLC_PORT": str(free_port()), "MDLC_ENGINE_PORT": str(free_port())}
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "MDLC_HOME": str(home), **ports}
    began = time.perf_counter()
    demo = subprocess.Popen(
        [python, "-m", "mdlc_site.local", "demo"], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True
    )
    said: list[str] = []
    live = pss_live = 0.0
    try:
        for line in _lines(demo):
            said.append(line)
            if "LIVE" in line and not live:
                live = time.perf_counter() - began
                pss_live = memory_mb(demo.pid)[0]
            if "until you press Ctrl-C" in line:
                served = time.perf_counter() - began
                time.sleep(1)
                return Start(live, served, pss_live, *memory_mb(demo.pid))
        raise RuntimeError("the demo ended before it served:\n" + "".join(said[-20:]))
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.wait(60)


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """Yield what a process says, as it says it. Raises RuntimeError when it is silent for too long."""
    heard: queue.Queue[str] = queue.Queue()
    stream = process.stdout
    assert stream is not None

    def listen() -> None:
        for line in stream:
            heard.put(line)
        heard.put("")

    threading.Thread(target=listen, daemon=True).start()
    try:
        while line := heard.get(timeout=PATIENCE):
            yield line
    except queue.Empty:
        raise RuntimeError(f"the demo has said nothing for {PATIENCE} s") from None


def memory_mb(root: int) -> tuple[float, float]:
    """Return the PSS and the RSS of a process and all its descendants."""
    pss = rss = 0
    for pid in family(root):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        except (FileNotFoundError, ProcessLookupError):
            continue  # a child that has just ended
        figures = dict(line.split(":", 1) for line in lines)
        pss += int(figures["Pss"].split()[0])
        rss += int(figures["Rss"].split()[0])
    return pss / 1024, rss / 1024


def family(pid: int) -> Iterator[int]:
    """Give a process and all that it has started, by their numbers."""
    yield pid
    try:
        children = [thread.joinpath("children").read_text().split() for thread in Path(f"/proc/{pid}/task").iterdir()]
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in (number for numbers in children for number in numbers):
        yield from family(int(child))


def engine_seconds(folder: Path) -> float:
    """Return the seconds from the start of an engine that serves a model to its being ready."""
    registry = Registry()
    sealed = seal("sample", 1, Sample.train().elements())
    try:
        first = Engine(folder / "engine", registry.url)
        first.load(registry, sealed, 1)
        first.activate(sealed, 1)
        first.stop()
        return statistics.median(_started(folder, registry) for _ in range(5))
    finally:
        registry.close()


def _started(folder: Path, registry: Registry) -> float:
    engine = Engine(folder / "engine", registry.url)
    engine.stop()
    return engine.seconds


def rows() -> list[Row]:
    """Run the whole benchmark."""
    python = install_site()
    with tempfile.TemporaryDirectory(prefix="mdlc-bench-") as name:
        starts = [run_demo(python, Path(name) / f"demo-{number}") for number in range(ROUNDS)]
        ready = engine_seconds(Path(name))
    live, served, at_live, pss, rss = (
        statistics.median(getattr(one, part) for one in starts) for part in Start.__dataclass_fields__
    )
    return [
        _row("start to a live model", f"{live:.1f} s", live, LIVE_WITHIN, "s"),
        Row("start to the end of the demo's story", f"{served:.1f} s", "", None),
        _row("engine, start to ready with its model", f"{ready:.2f} s", ready, READY_WITHIN, "s"),
        _row("all processes at the first live model, PSS", f"{at_live:.0f} MB", at_live, MEMORY_MB, "MB"),
        _row("all processes at the end, PSS", f"{pss:.0f} MB", pss, MEMORY_MB, "MB"),
        Row("all processes at the end, RSS", f"{rss:.0f} MB", "", None),
    ]


def _row(name: str, told: str, figure: float, goal: float, unit: str) -> Row:
    return Row(name, told, f"{goal:g} {unit}", figure / goal, f"under {goal:g} {unit}", figure < goal)


def main(*_: Any) -> None:
    """Print the table."""
    print(printed(rows(), f"Start of the demo (medians of {ROUNDS} starts from an empty folder)"))


if __name__ == "__main__":
    main()
