"""Run the benchmarks and print one table: `python -m benchmarks [--json FILE] [NAME ...]`.

Each part runs in a process of its own, one after the other. A missed goal is told, and is no failure: the exit code
says only whether every part could run. What a part has started ends with it, also when it is interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.table import Row, printed

ROOT = Path(__file__).parent.parent
PARTS = {
    "signing": "Signing: the request beside a bare view and beside plain SQL",
    "work": "Background work: beside plain Celery over the same Valkey",
    "stopping": "The kill switch: from a suspension to the engine's refusal",
    "engine": "Scoring engine: beside mlserver 1.7.1 and onnxruntime alone",
    "startup": "Start and memory of the demo",
    "differences": "Difference report: 500 packages and 200 fields",
    "policies": "Gates of 200 requirements, and a policy on 10,000 past handoffs",
    "inbox": "The inbox among 1,000,000 handoffs and 100,000 people",
    "audit": "Audit trail: written and proven",
    "schemas": "Check of whole tables: beside polars, pandera and jsonschema-rs",
    "streams": "Scoring over Valkey Streams: beside the transport alone",
    "distributed": "A batch of files on a Dask cluster: beside the same run on one machine",
    "replay": "Contract replay of a file and a stream",
}
LONGEST = 600


def main(arguments: Sequence[str]) -> int:
    """Run the parts that are named, or all; return 1 if one could not run."""
    asked = _asked(arguments)
    if asked.only:
        return _run_here(asked.only, Path(asked.json))
    found: dict[str, list[Row]] = {}
    failed: list[str] = []
    for name in asked.names or PARTS:
        print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
        began = time.monotonic()
        rows = _run_apart(name)
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        if rows is None:
            failed.append(name)
        else:
            found[name] = rows
    _tell(found, failed, asked.json)
    return 1 if failed else 0


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which parts to run: {', '.join(PARTS)}")
    parser.add_argument("--json", metavar="FILE", default="", help="write the figures there too")
    parser.add_argument("--only", choices=PARTS, help=argparse.SUPPRESS)  # what a part's own process is told
    asked = parser.parse_args(arguments)
    odd = [name for name in asked.names if name not in PARTS]
    if odd:
        parser.error(f"there is no part {', '.join(odd)}; there are {', '.join(PARTS)}")
    return asked


def _run_here(name: str, answer: Path) -> int:
    """Run one part in this process, and write its rows down."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything it has started is stopped
    rows = importlib.import_module(f"benchmarks.{name}").rows()
    answer.write_text(json.dumps([asdict(row) for row in rows]))
    return 0


def _run_apart(name: str) -> list[Row] | None:
    """Run one part in a process of its own; None if it could not run, or took too long."""
    with tempfile.TemporaryDirectory(prefix="mdlc-bench-") as folder:
        answer, log = Path(folder) / "rows.json", Path(folder) / "log"
        command = [sys.executable, "-m", "benchmarks", "--only", name, "--json", str(answer)]
        with log.open("wb") as stream:
            part = subprocess.Popen(
                command, cwd=ROOT, stdout=stream, stderr=stream, env={**os.environ, "TMPDIR": folder}
            )
        try:
            code = part.wait(LONGEST)
        except subprocess.TimeoutExpired:
            code = -1
        finally:
            if part.poll() is None:
                part.terminate()
                part.wait(60)
        if code or not answer.exists():
            print(f"could not run:\n{log.read_text(errors='replace')[-3000:]}", file=sys.stderr)
            return None
        return [Row(**row) for row in json.loads(answer.read_text())]


def _tell(found: dict[str, list[Row]], failed: list[str], file: str) -> None:
    """Print all rows as one table, and write them down where that is asked for."""
    rows = [row for part in found.values() for row in part]
    missed = sum(row.met is False for row in rows)
    met = sum(row.met is True for row in rows)
    if rows:
        print(printed(rows, f"{', '.join(found)}: {met} goals met, {missed} missed"))
    for name in failed:
        print(f"{name} could not run.")
    if file:
        content = {name: [asdict(row) for row in part] for name, part in found.items()}
        Path(file).write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
