"""The relay and the workers as real processes over a real broker: nothing is lost, nothing is done twice."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from handoff import queue
from handoff.management.commands.relay import Ringer, bell_of
from handoff.models import Handoff, Job, PromotionTest
from handoff.services.jobs import Bell
from handoff.states import JobState, State
from tests import processes
from tests.handoff import building
from tests.processes import Process, eventually

pytestmark = pytest.mark.django_db(transaction=True)
Remember = Callable[[Process], Process]


def state_of(handoff: Handoff) -> str:
    handoff.refresh_from_db()
    return handoff.state


def ready(handoff: Handoff) -> Callable[[], bool]:
    return lambda: state_of(handoff) == State.READY


def test_a_bell_is_rung_again_only_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr("celery.current_app.send_task", lambda name, **kw: sent.append((name, kw)))
    ringer, bell = Ringer(), Bell("j1", "tests", queue.RUN_TEST)
    assert ringer.ring([bell], fresh=False) == 1
    assert ringer.ring([bell], fresh=False) == 0
    ringer._rung["j1"] -= 60
    assert ringer.ring([bell], fresh=False) == 1
    assert {name for name, _ in sent} == {queue.RUN_TEST}
    assert sent[0][1]["args"] == ["j1"]
    assert (sent[0][1]["queue"], sent[0][1]["expires"]) == ("tests", 60)


def test_a_note_of_the_trigger_is_read() -> None:
    assert bell_of("7d tests handoff.run_test") == Bell("7d", "tests", "handoff.run_test")


def test_tests_run_and_the_handoff_becomes_ready(
    under_test: Any, env: dict[str, str], tmp_path: Path, started: Remember
) -> None:
    relay = started(processes.relay(tmp_path, env)).until("listening")
    worker = started(processes.worker(tmp_path, env)).until("ready.")
    handoff = under_test()
    eventually(ready(handoff), "both tests passed", 60, relay, worker)
    assert set(handoff.jobs.values_list("state", "attempts")) == {(JobState.DONE, 1)}
    assert {t.verdict for t in handoff.tests.all()} == {"passed"}


def test_jobs_that_were_there_before_the_relay_are_rung(
    under_test: Any, env: dict[str, str], tmp_path: Path, started: Remember
) -> None:
    handoff = under_test()
    worker = started(processes.worker(tmp_path, env)).until("ready.")
    relay = started(processes.relay(tmp_path, env))
    eventually(ready(handoff), "both tests passed", 60, relay, worker)


def test_the_broker_is_down_when_the_work_is_written(
    under_test: Any, env: dict[str, str], broker: tuple[Process, str], tmp_path: Path, started: Remember
) -> None:
    relay = started(processes.relay(tmp_path, env)).until("listening")
    broker[0].kill()
    begun = time.monotonic()
    handoff = under_test()
    assert time.monotonic() - begun < 5, "the one who signs does not wait for the broker"
    relay.until("the broker does not answer")
    assert state_of(handoff) == State.TESTING
    assert set(handoff.jobs.values_list("state", flat=True)) == {JobState.QUEUED}
    broker[0].start()
    worker = started(processes.worker(tmp_path, env))
    eventually(ready(handoff), "the work runs when the broker is back", 60, relay, worker)


def test_a_worker_that_is_killed_is_replaced_and_one_result_is_kept(
    under_test: Any, env: dict[str, str], tmp_path: Path, started: Remember
) -> None:
    relay = started(processes.relay(tmp_path, env)).until("listening")
    first = started(processes.worker(tmp_path, env, "first")).until("ready.")
    handoff = under_test()
    running = handoff.jobs.filter(state=JobState.RUNNING)
    eventually(running.exists, "a test runs", 30, relay, first)
    first.kill()
    left = handoff.jobs.exclude(state=JobState.DONE).count()
    second = started(processes.worker(tmp_path, env, "second")).until("ready.")
    eventually(ready(handoff), "another worker takes over", 60, relay, first, second)
    assert left, "the first worker was killed too late to prove anything"
    assert PromotionTest.objects.filter(handoff=handoff).count() == 2
    assert max(handoff.jobs.values_list("attempts", flat=True)) == 2


def test_a_worker_that_is_paused_past_its_lease_writes_nothing(
    under_test: Any, env: dict[str, str], tmp_path: Path, started: Remember
) -> None:
    relay = started(processes.relay(tmp_path, env)).until("listening")
    first = started(processes.worker(tmp_path, env, "first")).until("ready.")
    handoff = under_test(policy=building.a_policy(("golden", "latency")))
    in_the_model = handoff.jobs.filter(state=JobState.RUNNING, progress__startswith="running")
    eventually(in_the_model.exists, "a test runs", 30, relay, first)
    first.signal(signal.SIGSTOP)
    paused = set(in_the_model.values_list("pk", flat=True))
    second = started(processes.worker(tmp_path, env, "second")).until("ready.")
    eventually(ready(handoff), "another worker takes over", 60, relay, second)
    first.signal(signal.SIGCONT)
    first.until("was taken over", 30)
    for job in Job.objects.filter(pk__in=paused):
        assert job.result.fence == job.fence
    assert PromotionTest.objects.filter(handoff=handoff).count() == 2


def test_several_relays_ring_and_each_job_runs_once(
    under_test: Any, env: dict[str, str], tmp_path: Path, started: Remember
) -> None:
    relays = [started(processes.relay(tmp_path, env, f"relay{i}")).until("listening") for i in range(3)]
    worker = started(processes.worker(tmp_path, env)).until("ready.")
    handoff = under_test()
    eventually(ready(handoff), "both tests passed", 60, *relays, worker)
    assert set(handoff.jobs.values_list("attempts", flat=True)) == {1}


def test_the_relay_survives_the_loss_of_its_connections(
    under_test: Any, env: dict[str, str], tmp_path: Path, started: Remember
) -> None:
    relay = started(processes.relay(tmp_path, env)).until("listening")
    worker = started(processes.worker(tmp_path, env)).until("ready.")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'background'"
        )
    relay.until("the database does not answer")
    handoff = under_test()
    eventually(ready(handoff), "both tests passed", 60, relay, worker)


def test_a_forged_message_does_nothing(
    under_test: Any, env: dict[str, str], broker: tuple[Process, str], tmp_path: Path, started: Remember
) -> None:
    from celery import Celery

    worker = started(processes.worker(tmp_path, env)).until("ready.")
    handoff = under_test()
    job = handoff.jobs.first()
    assert job is not None
    forger = Celery(broker=broker[1].replace("unix://", "redis+socket://"))
    forger.send_task(queue.DEPLOY, args=[str(job.pk)], queue="deployments")
    forger.send_task(queue.RUN_TEST, args=["../../etc/passwd"], queue="tests")
    forger.send_task("os.system", args=["true"], queue="tests")
    worker.until("Received unregistered task")
    eventually(lambda: worker.log.read_text().count("succeeded") >= 2, "both came to nothing", 20, worker)
    assert set(handoff.jobs.values_list("state", flat=True)) == {JobState.QUEUED}


def test_the_relay_ends_when_it_is_told_to(env: dict[str, str], tmp_path: Path) -> None:
    relay = processes.relay(tmp_path, env).until("listening")
    assert relay.popen is not None
    os.kill(relay.popen.pid, signal.SIGTERM)
    relay.wait(10)
    assert relay.popen.returncode == 0


def test_a_deployment_whose_worker_is_killed_is_carried_out_once(
    engine: processes.Engine, released: Any, env: dict[str, str], tmp_path: Path, started: Remember, settings: Any
) -> None:
    env |= {"SITE_URL": settings.SITE_URL, "ENGINE_URLS": f"production={engine.url}"}
    relay = started(processes.relay(tmp_path, env)).until("listening")
    first = started(processes.worker(tmp_path, env, "first")).until("ready.")
    engine.process.signal(signal.SIGSTOP)
    handoff = released()
    eventually(handoff.jobs.filter(state=JobState.RUNNING).exists, "the order is under way", 30, relay, first)
    first.kill()
    engine.process.signal(signal.SIGCONT)
    second = started(processes.worker(tmp_path, env, "second")).until("ready.")
    eventually(lambda: state_of(handoff) == State.LIVE, "another worker takes over", 60, relay, second)
    assert engine.serves("tumours") == handoff.version.digest
    assert handoff.deployments.count() == 1
    job = handoff.jobs.get(task=queue.DEPLOY)
    assert (job.attempts, job.fence) == (2, handoff.deployments.get().order)


def test_a_worker_of_the_tests_takes_no_orders(
    released: Any, env: dict[str, str], tmp_path: Path, started: Remember
) -> None:
    started(processes.relay(tmp_path, env)).until("listening")
    worker = started(processes.worker(tmp_path, env, queues="tests")).until("ready.")
    handoff = released()
    time.sleep(2)
    assert handoff.jobs.get(task=queue.DEPLOY).state == JobState.QUEUED
    assert "handoff.deploy[" not in worker.log.read_text()
