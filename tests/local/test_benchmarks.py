"""The report of the benchmarks: a part that cannot run is told, and is not taken for a missed goal."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the benchmarks."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | more, capture_output=True, text=True, check=False)


def test_a_part_that_does_not_exist_is_refused_by_name() -> None:
    done = run("speed")
    assert done.returncode == 2
    assert "there is no part speed" in done.stderr


def test_a_part_that_cannot_run_fails_the_report(tmp_path: Path) -> None:
    done = run("audit", "--json", str(tmp_path / "figures.json"), MDLC_PG_BIN=str(tmp_path))
    assert done.returncode == 1
    assert "audit could not run" in done.stdout
    assert "MDLC_PG_BIN" in done.stderr
    assert (tmp_path / "figures.json").read_text() == "{}\n"
