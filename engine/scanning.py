"""Scan a model file in a process of its own: reading a file is work for an attacker too, and takes a lot of memory."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from engine.errors import RunnerError
from engine.limits import Limits, confine
from engine.scan import Finding, ScanReport, scan

ROOT = Path(__file__).resolve().parent.parent


def scan_apart(path: Path, format: str, limits: Limits) -> ScanReport:
    """Return what a child process found in a model file. Raises RunnerError when it ends early or takes too long."""
    figures = [str(limits.memory_mb), str(limits.seconds), str(os.getpid())]
    try:
        done = subprocess.run(
            [sys.executable, "-s", "-E", "-B", "-m", "engine.scanning", str(path.resolve()), format, *figures],
            cwd=ROOT,
            env={},
            capture_output=True,
            timeout=limits.seconds,
            check=True,
            start_new_session=True,
        )
        told = json.loads(done.stdout)
        findings = tuple(Finding(**found) for found in told["findings"])
        return ScanReport(told["ok"] is True, findings, tuple(told["scanned_by"]), told["log"])
    except subprocess.TimeoutExpired as error:
        raise RunnerError("scan_failed", f"The scan did not end within {limits.seconds} seconds.") from error
    except (subprocess.CalledProcessError, ValueError, KeyError, TypeError) as error:
        raise RunnerError("scan_failed", f"The scan ended without an answer: {error}.") from error


if __name__ == "__main__":
    path, format, memory_mb, seconds, parent = sys.argv[1:6]
    confine(int(memory_mb), int(seconds), int(parent))
    print(json.dumps(asdict(scan(Path(path), format))))
