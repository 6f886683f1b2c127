"""The only list of legal moves of handoffs, jobs, deployments, runs, amendments and break-glass."""

from django.db import models


class State(models.TextChoices):
    """Where a handoff is in its life."""

    DRAFT = "draft", "draft"
    IN_REVIEW = "in_review", "in review"
    TESTING = "testing", "testing"
    READY = "ready", "ready"
    DEPLOYING = "deploying", "deploying"
    CONFIRMING = "confirming", "confirming"
    LIVE = "live", "live"
    SUPERSEDED = "superseded", "superseded"
    ROLLED_BACK = "rolled_back", "rolled back"
    RETIRED = "retired", "retired"
    RETURNED = "returned", "returned"
    WITHDRAWN = "withdrawn", "withdrawn"
    EXPIRED = "expired", "expired"


S = State
MOVES: dict[State, frozenset[State]] = {
    S.DRAFT: frozenset({S.IN_REVIEW, S.WITHDRAWN}),
    S.IN_REVIEW: frozenset({S.TESTING, S.RETURNED, S.WITHDRAWN, S.EXPIRED}),
    S.TESTING: frozenset({S.READY, S.RETURNED, S.WITHDRAWN, S.EXPIRED}),
    S.READY: frozenset({S.DEPLOYING, S.RETURNED, S.WITHDRAWN, S.EXPIRED}),
    S.DEPLOYING: frozenset({S.CONFIRMING, S.READY, S.RETURNED}),
    S.CONFIRMING: frozenset({S.LIVE, S.RETURNED}),
    S.LIVE: frozenset({S.SUPERSEDED, S.ROLLED_BACK, S.RETIRED}),
    S.SUPERSEDED: frozenset({S.LIVE}),  # a rollback brings the previous version back
    S.ROLLED_BACK: frozenset(),
    S.RETIRED: frozenset(),
    S.RETURNED: frozenset(),
    S.WITHDRAWN: frozenset(),
    S.EXPIRED: frozenset(),
}
OPEN = (S.DRAFT, S.IN_REVIEW, S.TESTING, S.READY, S.DEPLOYING, S.CONFIRMING)
UNDER_OFFER = (S.IN_REVIEW, S.TESTING, S.READY, S.DEPLOYING, S.CONFIRMING)

# Until when each gate is behind a handoff: what it opened is under way, or done.
AFTER_RELEASE = (S.DEPLOYING, S.CONFIRMING, S.LIVE, S.SUPERSEDED, S.ROLLED_BACK, S.RETIRED)
PASSED: dict[str, tuple[State, ...]] = {
    "review": (S.TESTING, S.READY, *AFTER_RELEASE),
    "release": AFTER_RELEASE,
    "confirm": AFTER_RELEASE[2:],
}
GATE_OF = {S.IN_REVIEW: "review", S.READY: "release", S.CONFIRMING: "confirm"}


class SignOffState(models.TextChoices):
    """What became of a sign-off. It is not stored: it follows from the requirement, the decision and its end."""

    REQUESTED = "requested", "requested"
    GIVEN = "given", "given"
    GIVEN_WITH_CONDITIONS = "given_with_conditions", "given with conditions"
    CHANGES_REQUESTED = "changes_requested", "changes requested"
    REFUSED = "refused", "refused"
    WITHDRAWN = "withdrawn", "withdrawn"
    VOIDED = "voided", "voided"
    EXPIRED = "expired", "expired"
    REVOKED = "revoked", "revoked"


class JobState(models.TextChoices):
    """Where a piece of background work is."""

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    DONE = "done", "done"
    REFUSED = "refused", "refused"  # the gate was shut when the worker looked again
    CANCELLED = "cancelled", "cancelled"
    DEAD = "dead", "dead"  # out of attempts


J = JobState
JOB_MOVES: dict[JobState, frozenset[JobState]] = {
    J.QUEUED: frozenset({J.RUNNING, J.CANCELLED}),
    J.RUNNING: frozenset({J.QUEUED, J.DONE, J.REFUSED, J.CANCELLED, J.DEAD}),
    J.DONE: frozenset(),
    J.REFUSED: frozenset(),
    J.CANCELLED: frozenset(),
    J.DEAD: frozenset({J.QUEUED}),  # a test that somebody lets try once more
}


class DeploymentState(models.TextChoices):
    """What became of the order to run a version in an environment."""

    ORDERED = "ordered", "ordered"
    CONFIRMING = "confirming", "confirming"
    LIVE = "live", "live"
    SUPERSEDED = "superseded", "superseded"
    ROLLED_BACK = "rolled_back", "rolled back"
    RETIRED = "retired", "retired"
    FAILED = "failed", "failed"


D = DeploymentState
DEPLOYMENT_MOVES: dict[DeploymentState, frozenset[DeploymentState]] = {
    D.ORDERED: frozenset({D.CONFIRMING, D.LIVE, D.FAILED}),
    D.CONFIRMING: frozenset({D.LIVE, D.FAILED, D.ROLLED_BACK}),
    D.LIVE: frozenset({D.SUPERSEDED, D.ROLLED_BACK, D.RETIRED}),
    D.SUPERSEDED: frozenset(),
    D.ROLLED_BACK: frozenset(),
    D.RETIRED: frozenset(),
    D.FAILED: frozenset(),
}


class RunState(models.TextChoices):
    """Where the run of a batch is."""

    ORDERED = "ordered", "ordered"
    RUNNING = "running", "running"
    FINISHED = "finished", "finished"
    FAILED = "failed", "failed"
    STOPPED = "stopped", "stopped"
    SKIPPED = "skipped", "skipped"


R = RunState
RUN_MOVES: dict[RunState, frozenset[RunState]] = {
    R.ORDERED: frozenset({R.RUNNING, R.FINISHED, R.FAILED, R.STOPPED, R.SKIPPED}),
    R.RUNNING: frozenset({R.FINISHED, R.FAILED, R.STOPPED}),
    R.FINISHED: frozenset(),
    R.FAILED: frozenset(),
    R.STOPPED: frozenset(),
    R.SKIPPED: frozenset(),
}


class AmendmentState(models.TextChoices):
    """Where the amendment of a live deployment is."""

    PROPOSED = "proposed", "proposed"
    APPLYING = "applying", "being applied"
    APPLIED = "applied", "applied"
    REFUSED = "refused", "refused"
    WITHDRAWN = "withdrawn", "withdrawn"
    EXPIRED = "expired", "expired"
    FAILED = "failed", "failed"


A = AmendmentState
AMENDMENT_MOVES: dict[AmendmentState, frozenset[AmendmentState]] = {
    A.PROPOSED: frozenset({A.APPLYING, A.REFUSED, A.WITHDRAWN, A.EXPIRED}),
    A.APPLYING: frozenset({A.APPLIED, A.FAILED}),
    A.APPLIED: frozenset(),
    A.REFUSED: frozenset(),
    A.WITHDRAWN: frozenset(),
    A.EXPIRED: frozenset(),
    A.FAILED: frozenset(),
}


class BreakGlassState(models.TextChoices):
    """Where a break-glass is: a deployment before all have signed, that two people answer for."""

    ASKED = "asked", "asked for"
    CONFIRMED = "confirmed", "in force"
    REGULARISED = "regularised", "regularised"
    OVERDUE = "overdue", "overdue"
    ROLLED_BACK = "rolled_back", "rolled back"
    ENDED = "ended", "ended"
    WITHDRAWN = "withdrawn", "withdrawn"
    LAPSED = "lapsed", "lapsed"


B = BreakGlassState
BREAK_GLASS_MOVES: dict[BreakGlassState, frozenset[BreakGlassState]] = {
    B.ASKED: frozenset({B.CONFIRMED, B.WITHDRAWN, B.LAPSED}),
    B.CONFIRMED: frozenset({B.REGULARISED, B.OVERDUE, B.ENDED}),
    B.OVERDUE: frozenset({B.ROLLED_BACK, B.ENDED}),
    B.REGULARISED: frozenset(),
    B.ROLLED_BACK: frozenset(),
    B.ENDED: frozenset(),
    B.WITHDRAWN: frozenset(),
    B.LAPSED: frozenset(),
}


def pairs(moves: dict) -> list[tuple[str, str]]:
    """Return the moves as pairs, as the database's trigger takes them."""
    return [(came.value, to.value) for came, targets in moves.items() for to in sorted(targets)]
