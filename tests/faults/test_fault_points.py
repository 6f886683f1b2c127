"""Fault points do nothing unless a test's own environment says so, fire once, and are refused where people work."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.checks import run_checks

from engine import fault_points
from engine.fault_points import fault_point, fired

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Arm this process."""
    monkeypatch.setattr(fault_points, "_plan", tmp_path / "plan")
    return tmp_path / "plan"


def test_they_are_off() -> None:
    assert not fault_points.armed()
    fault_point("job.claimed")


def test_one_fires_once_where_it_was_wanted_and_says_so(plan: Path) -> None:
    plan.write_text("job.claimed full")
    fault_point("job.received")
    with pytest.raises(OSError, match="No space left"):
        fault_point("job.claimed")
    fault_point("job.claimed")
    assert fired(plan).read_text() == f"job.claimed full {os.getpid()}\n"


def test_an_error_is_raised_by_its_name_and_an_unknown_action_is_an_error(plan: Path) -> None:
    plan.write_text("job.claimed raise=django.db:OperationalError")
    with pytest.raises(Exception, match="a test wants it") as raised:
        fault_point("job.claimed")
    assert type(raised.value).__name__ == "OperationalError"
    plan.write_text("job.claimed explode")
    with pytest.raises(ValueError, match="explode"):
        fault_point("job.claimed")


def test_a_process_kills_itself_with_all_it_started(tmp_path: Path) -> None:
    (tmp_path / "plan").write_text("here kill")
    words = "from engine.fault_points import fault_point; fault_point('here'); print('went on')"
    env = {**os.environ, fault_points.VARIABLE: str(tmp_path / "plan")}
    done = subprocess.run(
        [sys.executable, "-c", words], cwd=ROOT, env=env, capture_output=True, start_new_session=True, check=False
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")


def test_a_site_that_people_use_does_not_start_with_them(tmp_path: Path) -> None:
    env = {**os.environ, fault_points.VARIABLE: str(tmp_path / "plan"), "SITE_URL": "https://handoff.example"}
    words = "import django; django.setup()"
    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, env=env, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"MDLC_FAULTS lets tests break this process; unset it where people work." in done.stderr


def test_an_engine_that_others_reach_does_not_start_with_them(tmp_path: Path) -> None:
    env = {**os.environ, fault_points.VARIABLE: str(tmp_path / "plan")}
    args = [sys.executable, "-m", "engine", "--host", "0.0.0.0", "--home", str(tmp_path / "home")]
    done = subprocess.run(args, cwd=ROOT, env=env, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"MDLC_FAULTS is for tests on this machine alone" in done.stderr
    assert not (tmp_path / "home").exists()


def test_the_checks_of_a_deployment_tell_of_them(plan: Path) -> None:
    assert "mdlc_site.E001" in {one.id for one in run_checks(include_deployment_checks=True)}
