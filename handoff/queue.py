"""Queue work: a row beside the act that caused it, once per handoff, gate and purpose."""

from collections.abc import Iterable

from audit.request_ids import current_request
from engine import tracing
from handoff.models import Handoff, Job

RUN_TEST = "handoff.run_test"
DEPLOY = "handoff.deploy"
CONFIRM = "handoff.confirm"
ROLL_BACK = "handoff.roll_back"
RUN_STREAMS = "handoff.run_streams"
RUN_BATCH = "handoff.run_batch"
REPLAY = "handoff.replay"
AMEND = "handoff.amend"
STOP = "handoff.stop"
QUEUES = {
    RUN_TEST: Job.Queue.TESTS,
    DEPLOY: Job.Queue.DEPLOYMENTS,
    CONFIRM: Job.Queue.DEPLOYMENTS,
    ROLL_BACK: Job.Queue.DEPLOYMENTS,
    RUN_STREAMS: Job.Queue.DEPLOYMENTS,
    RUN_BATCH: Job.Queue.DEPLOYMENTS,
    REPLAY: Job.Queue.DEPLOYMENTS,
    AMEND: Job.Queue.DEPLOYMENTS,
    STOP: Job.Queue.STOPS,
}


def enqueue(handoff: Handoff, *, gate: str, task: str, purposes: Iterable[str]) -> list[Job]:
    """Write one job a purpose, in the caller's transaction. A trigger rings the relay when it commits."""
    asked = {"request": current_request(), "trace": tracing.current()}
    told = {"handoff": handoff, "gate": gate, "queue": QUEUES[task], "task": task, **asked}
    return Job.objects.bulk_create([Job(purpose=purpose, **told) for purpose in purposes])
