"""Background work in the admin: to read, to try once more where that is safe, and to cancel."""

from functools import partial

from django.contrib import admin

from audit.actors import Person
from audit.admin_acts import Act
from audit.admin_columns import digest, folded, seen, state, text
from audit.models import Account
from handoff import queue
from handoff.admin.records import OfHandoff, deploy_again, holds
from handoff.models import Job, PromotionTest
from handoff.services import jobs
from handoff.states import JobState, State
from models_registry.roles import Role

ENDED = frozenset({JobState.DONE, JobState.REFUSED, JobState.CANCELLED, JobState.DEAD})
AGAIN = frozenset({State.READY, State.CONFIRMING})


def _offered(role: Role, user: Account, job: Job | None) -> bool:
    if job is None:
        return holds(user, role, None)
    failed = job.state in ENDED and job.task != queue.RUN_TEST and job.handoff.state in AGAIN
    return failed and holds(user, role, job.handoff)


def _retry(actor: Person, job: Job, reason: str) -> object:
    return jobs.retry(actor=actor, job_id=job.pk)


def _cancel(actor: Person, job: Job, reason: str) -> object:
    return jobs.cancel(actor=actor, job_id=job.pk, reason=reason)


def _in_state(states: frozenset[JobState], user: Account, job: Job | None) -> bool:
    right = holds(user, Role.IT_OPERATIONS, job.handoff if job else None)
    return right and (job is None or job.state in states)


RETRY = Act(
    name="retry",
    title="Try it once more",
    does="A dead test runs once more. A dead deployment is ordered anew, and its gate judged again.",
    run=_retry,
    offered=partial(_in_state, frozenset({JobState.DEAD})),
    reason=False,
)
CANCEL = Act(
    name="cancel",
    title="Cancel",
    does="What waits is never begun, and a worker that has it in hand loses its lease: what it reports is not kept. "
    "What follows is what follows when work dies.",
    run=_cancel,
    offered=partial(_in_state, frozenset({JobState.QUEUED, JobState.RUNNING})),
)
DEPLOY_AGAIN = Act(
    name="deploy_again",
    title="Deploy its handoff again",
    does="The gate is judged again, and a worker deploys the version if it is still open. Nobody needs to sign again.",
    run=deploy_again,
    offered=partial(_offered, Role.IT_OPERATIONS),
    reason=False,
)


@admin.register(Job)
class JobAdmin(OfHandoff):
    """Work of the workers. Dead work is tried once more where that is safe; what waits or runs can be cancelled."""

    acts = (RETRY, CANCEL, DEPLOY_AGAIN)
    list_display = (
        "purpose", "handoff", "gate", state("state"), "attempts", "worker", "queued_at", "claimed_at", "ended_at"
    )  # fmt: skip
    list_filter = ("state", "queue", "task", seen("handoff__model"))
    search_fields = (*OfHandoff.search_fields, "purpose", "worker", "error")
    date_hierarchy = "queued_at"
    ordering = ("-queued_at", "pk")
    fieldsets = (
        (None, {"fields": (state("state"), "handoff", "gate", "purpose", "queue", "task", text("error"))}),
        ("Worker", {"fields": ("worker", "attempts", "fence", "progress", "lease_until")}),
        ("Times", {"fields": ("queued_at", "claimed_at", "ended_at")}),
    )


@admin.register(PromotionTest)
class PromotionTestAdmin(OfHandoff):
    """Results of promotion tests, with their figures and thresholds."""

    list_display = ("kind", "handoff", state("verdict"), "summary", "took", "finished_at")
    list_filter = ("verdict", "kind", "sandbox", seen("handoff__model"))
    search_fields = (*OfHandoff.search_fields, "kind", "summary")
    date_hierarchy = "finished_at"
    ordering = ("-finished_at", "-pk")
    fieldsets = (
        (None, {"fields": ("handoff", "kind", state("verdict"), text("summary"))}),
        ("Figures", {"fields": (folded("figures"), folded("thresholds"), folded("log"))}),
        (
            "Run",
            {"fields": ("took", "worker", "sandbox", "fence", digest("version_digest", whole=True), "finished_at")},
        ),
    )

    @admin.display(description="Took", ordering="seconds")
    def took(self, test: PromotionTest) -> str:
        """Return how long it ran."""
        return f"{test.seconds:.3g} s"
