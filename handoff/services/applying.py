"""Let a worker apply an amendment that all have signed: look again, order the run anew, and keep what came of it."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from audit.actors import Actor, Worker
from audit.acts import act
from audit.trail import record
from handoff.amended import given, owner_of, scope_now
from handoff.asking import ask_those_open
from handoff.connections import changed_since, connected, misfits, unreachable
from handoff.deploy_plans import run_plan
from handoff.errors import Unavailable
from handoff.facts import known_of, rules_of
from handoff.in_force import bindings_of, suspension_of
from handoff.in_force import report_of as signed_report_of
from handoff.leases import end, hold, next_order
from handoff.models import Amendment, AmendmentSignOff, Deployment, Finding, Handoff, Job
from handoff.moves import chain_of
from handoff.outcomes import end_amendment, give_up
from handoff.plans import AmendPlan, AmendReport
from handoff.queries.forgeries import forged_for
from handoff.readiness import report_of, unanswered
from handoff.rules.amendments import parts_of, signed_twice
from handoff.rules.bindings import BATCH
from handoff.rules.consumers import spoken
from handoff.rules.reports import as_content
from handoff.rules.scopes import digest
from handoff.states import AmendmentState, DeploymentState, JobState
from models_registry import consumers
from models_registry.errors import Invalid
from models_registry.models import Consumer, Stream

RELATED = ("deployment__model", "deployment__version", "deployment__environment")


@act
def begin(job_id: UUID | str, fence: int) -> AmendPlan | None:
    """Return the order for the engine; None, with the job ended, if the amendment is refused now or needs no engine.

    Raises LeaseLost.
    """
    handoff, job = hold(job_id, fence)
    actor = Worker(job.worker)
    amendment = Amendment.objects.select_related(*RELATED).get(job=job)
    data = {"purpose": job.purpose, "attempt": job.attempts, "fence": fence}
    record("job.claimed", actor=actor, on=job, chain=chain_of(handoff), data=data)
    why, plan = _why_not(handoff, amendment), None
    if not why and amendment.bindings != amendment.before:
        try:
            plan = _plan(handoff, amendment, job)
        except Unavailable as error:
            why = f"{error.message} {error.todo}"
    if why:
        end(job, JobState.REFUSED, error=why)
        end_amendment(amendment, handoff, AmendmentState.FAILED, why, actor=actor)
    elif plan is None:
        end(job, JobState.DONE)
        _apply(amendment, handoff, fence, actor)
    return plan


def _why_not(handoff: Handoff, amendment: Amendment) -> str:
    """Judge an amendment again, now, in the worker, and return why it may not be applied; or nothing."""
    if amendment.deployment.state != DeploymentState.LIVE:
        return f"the deployment is {amendment.deployment.get_state_display()} now"
    if suspension_of(amendment.deployment) is not None:
        return "the deployment is suspended now"
    if digest(bindings_of(handoff)) != digest(amendment.before):
        return "another amendment was applied since this one was proposed"
    if unsigned := _unsigned(handoff, amendment):
        return unsigned
    known = known_of(handoff)
    for signoff in amendment.signoffs.select_related("signer"):
        if not (signoff.signer.is_active and known.holds(signoff.behalf_of_id or signoff.signer_id, signoff.role)):
            return f"whoever signed as {spoken(signoff.role)} does not hold the role any more"
    if twice := signed_twice(given(amendment), known.facts.chain):
        return twice
    moved = unanswered(handoff) if rules_of(handoff).drift == "suspend" else {}
    blocking = {one.id: f"an open finding blocks: {one.title}" for one in known.facts.findings if one.blocks}
    found = _suspended(handoff) | blocking | dict(known.facts.moved) | moved
    found |= changed_since(handoff, amendment.bindings)
    found |= unreachable(handoff, amendment.bindings) | misfits(amendment.bindings, handoff.target, handoff.version)
    return "; ".join(dict.fromkeys(found.values())) or _stale_consumers(amendment.consumers)


def _unsigned(handoff: Handoff, amendment: Amendment) -> str:
    """Say what an amendment lacks of the signatures that it asks for, over what would be applied; or nothing."""
    scope = digest(scope_now(amendment, handoff))
    given = amendment.signoffs.filter(decision=AmendmentSignOff.Decision.APPROVE, scope_digest=scope)
    missing = {one["key"]: one["role"] for one in amendment.requirements}
    for key in given.values_list("requirement", flat=True):
        missing.pop(key, None)
    if missing:
        return f"{', '.join(map(spoken, missing.values()))} did not sign what would be applied"
    return "; ".join(forged_for(amendment))


def _suspended(handoff: Handoff) -> dict[str, str]:
    """Return why the approval does not stand any more, where that suspends it."""
    fallen = handoff.findings.filter(kind=Finding.Kind.APPROVAL, closed_at=None, suspends=True)
    return {str(finding.pk): f"the approval is suspended: {finding}" for finding in fallen}


def _stale_consumers(rows: Iterable[dict[str, Any]]) -> str:
    """Say which consumer is not what it was when the amendment was proposed; nothing where all are."""
    for row in rows:
        if "owner" in row["values"]:
            try:
                owner_of(row["values"])
            except Invalid as error:
                return error.message
        if row["consumer"]:
            now = Consumer.objects.filter(pk=str(row["consumer"]), retired_at=None).first()
            if now is None or now.revision != row["revision"]:
                return f"the consumer {row['before']['name']} changed since it was proposed"
    return ""


def _plan(handoff: Handoff, amendment: Amendment, job: Job) -> AmendPlan | None:
    """Return the order by the new bindings and the order by the old ones, which has a higher number.

    None for a batch: the run that is under way ends as it began, and the next one goes by the new bindings.
    """
    live = amendment.deployment
    if amendment.bindings["mode"] == BATCH:
        return None
    new, old = connected(handoff, amendment.bindings), connected(handoff, amendment.before)
    if new is None or old is None:
        return None
    wanted = run_plan(live, new, job_id=str(job.pk), fence=job.fence)
    return AmendPlan(wanted, run_plan(live, old, job_id=str(job.pk), fence=next_order()))


@act
def finish(job_id: UUID | str, fence: int, report: AmendReport, *, actor: Actor) -> Amendment:
    """Keep what became of an amendment. Raises LeaseLost for a late holder.

    The deployment's own row is left alone: who makes another version live holds it, and waits for the handoff.
    """
    handoff, job = hold(job_id, fence)
    amendment = Amendment.objects.select_related(*RELATED).get(job=job)
    amendment.log = list(report.steps)
    end(job, JobState.DONE, error=report.error)
    ended = Deployment.objects.get(pk=amendment.deployment_id).state != DeploymentState.LIVE
    if report.applied and not ended:
        _apply(amendment, handoff, fence, actor)
    elif report.applied:
        because = "the deployment ended while it was being applied"
        end_amendment(amendment, handoff, AmendmentState.FAILED, because, actor=actor)
    elif report.restored:
        because = f"{report.error} So it runs again as it did before."
        end_amendment(amendment, handoff, AmendmentState.FAILED, because, actor=actor)
    else:
        give_up(amendment, handoff, f"{report.error} It is ordered again as it was before.", actor=actor)
    return amendment


def _apply(amendment: Amendment, handoff: Handoff, fence: int, actor: Actor) -> None:
    """Put an amendment in force: its bindings, its consumers, and its items of the report."""
    for row in amendment.consumers:
        _keep(amendment, row, actor)
    amendment.order = fence
    touched = parts_of(amendment.changes)
    items = [one for one in report_of(handoff, rules_of(handoff), bindings=amendment.bindings) if one.aspect in touched]
    earlier = signed_report_of(handoff).get("items", [])
    kept = [one for one in earlier if one.get("aspect") in touched]
    amendment.report = {"items": [*kept, *as_content(tuple(items))["items"]]}
    end_amendment(amendment, handoff, AmendmentState.APPLIED, actor=actor)
    ask_those_open(handoff, actor=actor)
    if amendment.bindings != amendment.before:
        others = amendment.deployment.amendments.filter(state=AmendmentState.PROPOSED).exclude(pk=amendment.pk)
        for other in others.select_related("deployment"):
            because = f"amendment {amendment.number} was applied first; propose it anew"
            end_amendment(other, handoff, AmendmentState.EXPIRED, because, actor=actor)


def _keep(amendment: Amendment, row: dict[str, Any], actor: Actor) -> None:
    """Add, change or retire a consumer as it was signed."""
    because = f"amendment {amendment.number} of {amendment.deployment}: {amendment.reason}"
    sink = Stream.objects.select_related("environment").get(
        environment=amendment.deployment.environment_id, slug=row["stream"]
    )
    values = dict(row["values"])
    owner = owner_of(values) if "owner" in values else None
    values.pop("owner", None)
    if row["act"] == "add" and owner is not None:
        consumers.add(sink, owner, values, actor=actor, because=because)
        return
    found = Consumer.objects.select_for_update().get(pk=row["consumer"])
    found.stream = sink
    if row["act"] == "retire":
        consumers.retire(found, actor=actor, because=because)
    else:
        consumers.change(found, values | ({"owner": owner} if owner else {}), actor=actor, because=because)
