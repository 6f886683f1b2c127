"""The broker is down when the last sign-off is recorded: a real web process, and a real broker that comes back."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from audit.models import AuditEvent
from handoff.models import SignOff
from handoff.states import JobState, State
from mdlc_site.sample.client import Api
from tests import processes
from tests.handoff import building, walking
from tests.processes import Process, eventually

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


def test_the_signature_is_kept_and_work_starts_when_the_broker_is_back(
    env: dict[str, str],
    broker: tuple[Process, str],
    place: building.Place,
    tmp_path: Path,
    started: Callable[[Process], Process],
) -> None:
    place.vera.set_password(walking.PASSWORD)
    place.vera.save(update_fields=["password"])
    handoff = building.offered(place, building.a_version(place), building.a_policy(("integrity", "golden")))
    port = processes.free_port()
    args = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    web = started(Process("web", [*args, "mdlc_site.wsgi:application"], tmp_path / "web.log", env).start())
    eventually(lambda: processes.answers(f"http://127.0.0.1:{port}/healthz/live"), "the site answers", 60, web)
    relay = started(processes.relay(tmp_path, env)).until("listening")
    broker[0].kill()
    vera = Api(f"http://127.0.0.1:{port}").sign_in("vera", walking.PASSWORD)
    here = f"/api/v1/handoffs/{handoff.pk}"
    sheet = vera.get(f"{here}/sheets/validation/")
    proof = vera.post("/api/v1/reauthentications/", {"password": walking.PASSWORD})
    body = {"requirement": "validation", "decision": "approve", "meaning": "review", "seen": sheet["seen"]}
    begun = time.monotonic()
    vera.post(f"{here}/signoffs/", {**body, "reauthentication": proof["id"]})
    assert time.monotonic() - begun < 2, "whoever signs does not wait for the broker"
    relay.until("the broker does not answer")
    handoff.refresh_from_db()
    assert handoff.state == State.TESTING
    assert SignOff.objects.filter(handoff=handoff, voided_at=None).count() == 1
    assert list(handoff.jobs.values_list("state", "attempts")) == [(JobState.QUEUED, 0)] * 2
    assert AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}", action="signoff.given").count() == 1
    broker[0].start()
    worker = started(processes.worker(tmp_path, env))

    def ready() -> bool:
        handoff.refresh_from_db()
        return bool(handoff.state == State.READY)

    eventually(ready, "the work runs when the broker is back", 60, relay, worker)
    assert set(handoff.jobs.values_list("state", "attempts")) == {(JobState.DONE, 1)}
