"""Batches on a real engine: on demand, on a schedule, resumed after the engine was killed, stopped and lost."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.actors import Person
from handoff import queue, tasks
from handoff.models import Deployment, Run
from handoff.services import batches
from handoff.states import JobState
from tests.handoff import batching
from tests.handoff.batching import DAILY
from tests.handoff.building import Place
from tests.handoff.test_runs_live import Streams, engine, records, released, work
from tests.processes import Engine, eventually

__all__ = ["engine"]  # a fixture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]
MANY = 1500


@pytest.fixture
def connected(place: Place, tmp_path: Path) -> Iterator[Streams]:
    """Return the declared streams, with one source that ends and takes a while: its batches are small."""
    found = Streams(place, tmp_path)
    found.hand_in(tmp_path / "days", [[*records(MANY), {"radius": "wide"}]], batch={"records": 5})
    yield found
    found.close()


def followed(deployment: Deployment, number: int) -> Run:
    """Return a run as the record has it after the engine was asked."""
    tasks.watch_runs()
    return deployment.runs.get(number=number)


def carried_out(run: Run) -> Run:
    """Let a worker do what is queued for a run."""
    for job in run.deployment.handoff.jobs.filter(task=queue.RUN_BATCH, state=JobState.QUEUED):
        tasks.run_batch(str(job.pk))
    run.refresh_from_db()
    return run


def test_a_batch_runs_on_its_schedule_goes_on_after_the_engine_was_killed_and_runs_again_on_demand(
    engine: Engine, place: Place, connected: Streams
) -> None:
    handoff = work(released(place, 1, mode="batch", source="days", schedule=DAILY))
    deployment = handoff.deployments.get()
    batching.live_since(deployment, days=1)
    tasks.run_due()
    run = carried_out(deployment.runs.get())
    assert (run.cause, run.state) == ("schedule", "running")
    eventually(lambda: connected.in_table() > 50, "it is on its way", 60, engine.process)
    engine.kill()
    before = connected.in_table()
    assert before < MANY
    tasks.watch_runs()  # nobody answers, and nothing is taken for granted
    assert deployment.runs.get().state == "running"
    engine.start()
    eventually(lambda: followed(deployment, 1).state == "finished", "it went on to its end", 90, engine.process)
    assert (connected.in_table(), connected.in_files()) == (MANY, MANY)
    run.refresh_from_db()
    assert (run.counts["read"], run.counts["scored"], run.counts["rejected"]) == (MANY + 1, MANY, {"schema": 1})
    assert (run.again, deployment.runs.count()) == (0, 1)
    assert keys(connected) == {f"{deployment.order}-1"}
    otto = Person(place.otto, "test")
    second = batches.run_now(actor=otto, deployment_id=deployment.pk, reason="The ward asks.")
    carried_out(second)
    eventually(lambda: followed(deployment, 2).counts.get("scored", 0) > 0, "it runs again", 60, engine.process)
    batches.stop(actor=otto, deployment_id=deployment.pk, number=2, reason="That is enough.")
    stopped = carried_out(second)
    assert (stopped.state, stopped.why) == ("stopped", "That is enough.")
    assert 0 < stopped.counts["delivered"]["table"] < MANY
    assert connected.in_table() == MANY + stopped.counts["delivered"]["table"]
    assert keys(connected) == {f"{deployment.order}-1", f"{deployment.order}-2"}


def test_a_run_that_the_engine_lost_is_resumed_and_not_doubled(
    engine: Engine, place: Place, connected: Streams, tmp_path: Path
) -> None:
    deployment = work(released(place, 1, mode="batch", source="days")).deployments.get()
    eventually(lambda: connected.in_table() > 20, "it is on its way", 60, engine.process)
    engine.kill()
    eventually(lambda: removed(tmp_path / "home" / "runs"), "its run has written its last, too", 20)
    engine.start()
    run = followed(deployment, 1)
    assert (run.again, run.state) == (1, "running")
    carried_out(run)
    eventually(lambda: followed(deployment, 1).state == "finished", "it went on to its end", 90, engine.process)
    run.refresh_from_db()
    assert (run.counts["scored"], connected.in_table(), connected.in_files()) == (MANY, MANY, MANY)
    assert deployment.runs.count() == 1


def removed(folder: Path) -> bool:
    """Remove a folder into which somebody may still write; tell whether it is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


def keys(connected: Streams) -> set[str]:
    """Return what stands before the keys in the table."""
    return {row[0].split("/")[0] for row in connected.pg.execute(f"select record_key from {connected.table}")}
