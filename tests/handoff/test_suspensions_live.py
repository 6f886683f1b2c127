"""Suspensions on a real engine: it refuses, stays so over a restart, and no late order brings the version back."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit.actors import Person
from handoff import queue, tasks
from handoff.errors import WrongState
from handoff.executors import engine as executor
from handoff.models import Deployment, Handoff, Suspension
from handoff.plans import DeployReport
from handoff.services import deployments, jobs, suspensions
from handoff.states import State
from tests import processes
from tests.handoff import stopping
from tests.handoff.building import Place
from tests.handoff.stopping import lifted, suspended
from tests.handoff.test_deployments_live import latest, work
from tests.handoff.test_jobs_claims import at_once
from tests.processes import TOKEN, Engine, Process, eventually
from tests.queries import counting

pytestmark = pytest.mark.django_db(transaction=True)
LIVE = "/v2/models/tumours"


def told(engine: Engine, path: str = LIVE) -> tuple[int, str]:
    """Return the status of a question to the engine, and the digest that answers or the code of the refusal."""
    try:
        with urllib.request.urlopen(engine.url + path, timeout=5) as answer:
            return int(answer.status), str(json.load(answer)["parameters"]["digest"])
    except urllib.error.HTTPError as refusal:
        return refusal.code, str(json.load(refusal)["code"])


def rolled_back(deployment: Deployment, place: Place) -> None:
    deployments.roll_back(actor=Person(place.otto, "test"), deployment_id=deployment.pk, reason="It is wrong.")


def test_what_is_suspended_refuses_until_it_is_lifted_also_after_a_restart(
    engine: Engine, released: Any, place: Place
) -> None:
    handoff = work(released())
    suspension = suspended(latest(handoff), place.rita)
    assert told(engine)[0] == 200, "the act is not the engine's word for it"
    stopping.work()
    suspension.refresh_from_db()
    assert suspension.stopped_at is not None
    assert told(engine) == (503, "suspended")
    engine.kill()
    engine.start()
    assert told(engine) == (503, "suspended")
    lifted(latest(handoff), place.otto)
    stopping.work()
    assert told(engine) == (200, handoff.version.digest)
    suspension.refresh_from_db()
    assert suspension.resumed_at is not None


def test_an_engine_that_is_away_is_told_again_until_it_confirms(engine: Engine, released: Any, place: Place) -> None:
    handoff = work(released())
    engine.kill()
    suspension = suspended(latest(handoff), place.otto)
    stopping.work()
    suspension.refresh_from_db()
    assert (suspension.stopped_at, suspension.tries) == (None, 1)
    assert "cannot be reached" in suspension.error
    assert suspensions.unconfirmed() == [], "not before its pause is over"
    engine.start()
    eventually(suspensions.unconfirmed, "its pause is over", 5)
    tasks.tell_again()
    stopping.work()
    suspension.refresh_from_db()
    assert (suspension.confirmed, suspension.error) == (True, "")
    assert told(engine) == (503, "suspended")


def test_an_order_from_before_does_not_revive_it(engine: Engine, released: Any, place: Place) -> None:
    first = released()
    row = jobs.claim(first.jobs.get(task=queue.DEPLOY).pk, "w", task=queue.DEPLOY)
    assert row is not None
    plan = deployments.begin(row.pk, row.fence)
    assert plan is not None
    deployments.finish(row.pk, row.fence, executor.deploy(plan, token=TOKEN), actor=stopping.STOPPER)
    suspended(latest(first), place.otto)
    stopping.work()
    report = executor.deploy(plan, token=TOKEN)
    assert (report.live, report.reason_code) == (False, "suspended")
    assert told(engine) == (503, "suspended")


def test_putting_the_engine_right_puts_a_suspended_version_back_as_suspended(
    engine: Engine, released: Any, place: Place
) -> None:
    first = work(released(1))
    second = released(2, "other")
    row = jobs.claim(second.jobs.get(task=queue.DEPLOY).pk, "w", task=queue.DEPLOY)
    assert row is not None
    plan = deployments.begin(row.pk, row.fence)
    assert plan is not None
    assert executor.deploy(plan, token=TOKEN).live, "it acted, and died before it could tell"
    suspended(latest(first), place.otto)
    stopping.work()
    assert told(engine) == (200, second.version.digest), "what is being deployed goes on"
    jobs.release(row.pk, row.fence, "died")
    for _ in range(2):
        again = jobs.claim(row.pk, "w", task=queue.DEPLOY)
        assert again is not None
        jobs.release(row.pk, again.fence, "died")
    second.refresh_from_db()
    assert second.state == State.READY
    work(second)  # the worker puts back what the records say is live
    assert told(engine) == (503, "suspended")
    assert told(engine, f"{LIVE}/versions/1") == (503, "suspended")
    lifted(latest(first), place.otto)
    stopping.work()
    assert told(engine) == (200, first.version.digest)


def test_a_failed_deployment_goes_back_to_what_is_suspended(engine: Engine, released: Any, place: Place) -> None:
    first = work(released(1))
    suspended(latest(first), place.otto)
    stopping.work()
    second = work(released(2, "other", wrong_golden=True))
    assert second.state == State.RETURNED
    assert told(engine) == (503, "suspended")


def test_another_version_that_goes_live_ends_the_suspension(engine: Engine, released: Any, place: Place) -> None:
    first = work(released(1))
    suspension = suspended(latest(first), place.otto)
    stopping.work()
    second = work(released(2, "other"))
    suspension.refresh_from_db()
    assert (suspension.ending, suspension.lifted_by) == ("superseded", None)
    assert told(engine) == (200, second.version.digest)
    assert told(engine, f"{LIVE}/versions/1") == (503, "suspended"), "what was stopped answers nobody by its number"


def test_a_rollback_ends_the_suspension_and_what_was_stopped_never_comes_back_by_one(
    engine: Engine, released: Any, place: Place
) -> None:
    first, second = work(released(1)), work(released(2, "other"))
    suspension = suspended(latest(second), place.rita)
    stopping.work()
    rolled_back(latest(second), place)
    work(second)
    suspension.refresh_from_db()
    assert suspension.ending == "superseded"
    assert told(engine) == (200, first.version.digest)
    again = Deployment.objects.get(state="live")
    suspended(again, place.otto)
    stopping.work()
    third = work(released(3, "good", latency_p99_ms=900))
    with pytest.raises(WrongState) as refusal:
        rolled_back(latest(third), place)
    assert refusal.value.code == "nothing_to_roll_back_to"
    assert told(engine) == (200, third.version.digest)


def test_a_stop_in_the_middle_of_a_rollback_does_not_hold_it_up(engine: Engine, released: Any, place: Place) -> None:
    first, second = work(released(1)), work(released(2, "other"))
    rolled_back(latest(second), place)
    suspension = suspended(latest(second), place.otto)
    stopping.work()
    assert told(engine) == (503, "suspended")
    work(second)
    suspension.refresh_from_db()
    assert suspension.ending == "superseded"
    assert told(engine) == (200, first.version.digest)


def test_the_deployments_worker_stops_within_a_second_though_it_is_busy_and_the_broker_away(
    engine: Engine, released: Any, place: Place, env: dict[str, str], broker: Any,
    started: Callable[[Process], Process], tmp_path: Path, settings: Any,
) -> None:  # fmt: skip
    handoff: Handoff = work(released())
    env = {**env, "ENGINE_URLS": f"production={engine.url}", "SITE_URL": settings.SITE_URL}
    worker = started(processes.worker(tmp_path, env, queues="deployments,stops"))
    worker.until("ready.")
    broker[0].kill()
    suspension = suspended(latest(handoff), place.otto)
    eventually(lambda: told(engine) == (503, "suspended"), "the engine refuses", 5, worker)
    eventually(lambda: Suspension.objects.get(pk=suspension.pk).stopped_at, "it is on record", 5, worker)
    suspension.refresh_from_db()
    assert suspension.stopped_at is not None
    assert (suspension.stopped_at - suspension.suspended_at).total_seconds() < 1


def test_a_stop_and_a_go_live_at_the_same_instant_agree(place: Place, released: Any, settings: Any) -> None:
    settings.ENGINE_URLS = {"production": "http://127.0.0.1:9"}
    live = counting.deployed(released(1))
    for number in (2, 3):
        waiting = released(number, latency_p99_ms=900 + number).jobs.get(task=queue.DEPLOY)
        row = jobs.claim(waiting.pk, "w", task=queue.DEPLOY)
        assert row is not None
        assert deployments.begin(row.pk, row.fence) is not None
        at_once(2, lambda i, row=row, before=live: _either(i, row, before, place))
        suspension = live.suspensions.first()
        assert suspension is None or suspension.ending == "superseded"
        live = Deployment.objects.get(state="live")
        assert not Suspension.objects.filter(ended_at=None).exists()
    assert live.version.number == 3


def _either(index: int, row: Any, before: Deployment, place: Place) -> None:
    """Let the one make the next version live, and the other stop the one before, if it still is live."""
    if index:
        deployments.finish(row.pk, row.fence, DeployReport(True, "it is live", ()), actor=stopping.STOPPER)
        return
    try:
        suspended(before, place.otto)
    except WrongState as refusal:
        if refusal.code != "not_live":
            raise
