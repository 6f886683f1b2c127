"""SIGTERM: what is under way is finished, or its row is given back at once. Real processes, and no lease that helps."""

import http.client
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings as django_settings
from django.db import connection, transaction

from handoff.errors import LeaseLost
from handoff.models import PromotionTest
from handoff.services import jobs, promotion_tests
from handoff.states import JobState, State
from mdlc_site.local.installation import ROOT
from tests import processes
from tests.handoff import building
from tests.processes import Process, eventually

pytestmark = pytest.mark.django_db(transaction=True)
Remember = Callable[[Process], Process]
LONG_LEASE = "600"


def slow_at(point: str, seconds: int, folder: Path) -> dict[str, str]:
    """Return what makes the first process that comes to a point of its work wait there."""
    plan = folder / "faults"
    plan.write_text(f"{point} sleep={seconds}")
    return {"MDLC_FAULTS": str(plan), "MDLC_JOB_LEASE": LONG_LEASE}


def ended_well(process: Process, within: float) -> None:
    """Ask a process to end, and see that it does."""
    process.signal(signal.SIGTERM)
    process.wait(within)
    assert process.popen is not None
    assert process.popen.returncode == 0, process.log.read_text()[-2000:]


def test_a_worker_ends_what_is_under_way_and_begins_nothing_more(
    under_test: Any, env: dict[str, str], tmp_path: Path, started: Remember
) -> None:
    relay = started(processes.relay(tmp_path, env)).until("listening")
    slow = env | slow_at("test.computed", 2, tmp_path)
    worker = started(processes.worker(tmp_path, slow, concurrency=1)).until("ready.")
    handoff = under_test()
    eventually((tmp_path / "faults.fired").exists, "a test is nearly done", 30, relay, worker)
    ended_well(worker, 20)
    assert sorted(handoff.jobs.values_list("state", "attempts")) == [(JobState.DONE, 1), (JobState.QUEUED, 0)]
    assert PromotionTest.objects.filter(handoff=handoff).count() == 1


def test_a_worker_that_cannot_end_its_work_gives_it_back_at_once(
    under_test: Any, env: dict[str, str], tmp_path: Path, started: Remember
) -> None:
    relay = started(processes.relay(tmp_path, env)).until("listening")
    slow = env | slow_at("test.computed", 300, tmp_path) | {"MDLC_STOP_SECONDS": "1"}
    first = started(processes.worker(tmp_path, slow, "first")).until("ready.")
    handoff = under_test(policy=building.a_policy(("integrity",)))
    eventually((tmp_path / "faults.fired").exists, "a test is nearly done", 30, relay, first)
    ended_well(first, 10)
    job = handoff.jobs.get()
    assert (job.state, job.attempts, job.lease_until) == (JobState.QUEUED, 1, None)
    assert "was stopped" in job.error
    second = started(processes.worker(tmp_path, env, "second")).until("ready.")
    eventually(lambda: handoff.tests.exists(), "another worker takes over", 20, relay, second)
    handoff.refresh_from_db()
    assert handoff.state == State.READY
    assert handoff.jobs.get().attempts == 2


def test_who_gave_a_job_back_reports_nothing_and_no_stop_buries_it(under_test: Any) -> None:
    handoff = under_test(policy=building.a_policy(("integrity",)))
    job = handoff.jobs.get()
    for attempt in range(1, django_settings.JOB_ATTEMPTS + 2):
        held = jobs.claim(job.pk, "one that ends", task=job.task)
        assert held is not None
        assert not jobs.hand_back(job.pk, held.fence - 1), "only its holder gives it back"
        assert jobs.hand_back(job.pk, held.fence)
        assert not jobs.hand_back(job.pk, held.fence), "once"
        assert not jobs.beat(job.pk, held.fence)
        with pytest.raises(LeaseLost):
            promotion_tests.begin(str(job.pk), held.fence, sandbox="L1")
        job.refresh_from_db()
        assert (job.state, job.attempts) == (JobState.QUEUED, attempt)
    assert not handoff.tests.exists()


def test_the_web_server_answers_what_it_has_begun(env: dict[str, str], tmp_path: Path, started: Remember) -> None:
    port = processes.free_port()
    args = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    web = Process("web", [*args, "--blocking-threads", "2", "mdlc_site.wsgi:application"], tmp_path / "web.log", env)
    started(web.start())
    eventually(lambda: processes.answers(f"http://127.0.0.1:{port}/healthz/live"), "the site answers", 60, web)

    def sign_in() -> int:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        body = '{"username": "nobody", "password": "a long password"}'
        line.request("POST", "/api/v1/tokens/", body, {"Content-Type": "application/json"})
        return line.getresponse().status

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE audit_account IN ACCESS EXCLUSIVE MODE")
            asked = pool.submit(sign_in)
            eventually(lambda: waits_for_a_lock(cursor), "the request is under way", 20, web)
            web.signal(signal.SIGTERM)
            time.sleep(0.5)
        assert asked.result(20) in (400, 401)
    web.wait(20)
    assert web.popen is not None
    assert web.popen.returncode == 0


def waits_for_a_lock(cursor: Any) -> bool:
    """Tell whether a process of the product waits for what this test has locked."""
    cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
    return bool(cursor.fetchone()[0])


def test_beat_ends_when_it_is_told_to(env: dict[str, str], tmp_path: Path, started: Remember) -> None:
    command = ["-m", "celery", "-A", "mdlc_site", "--skip-checks", "beat", "--loglevel", "INFO", "--pidfile="]
    beat = started(Process("beat", [sys.executable, *command], tmp_path / "beat.log", env).start())
    ended_well(beat.until("Sending due task"), 20)  # before that it is still being set up


def test_whoever_stops_a_worker_waits_longer_than_it_takes() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for name in ("web", "relay", "worker-tests", "worker-deployments", "beat", "engine"):
        assert int(services[name]["stop_grace_period"].removesuffix("s")) >= django_settings.STOP_SECONDS + 10
