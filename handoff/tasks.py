"""What workers run: claim the row, do the work outside any transaction, report under the fencing number."""

import logging

from celery import shared_task
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from audit import keeping
from audit.actors import Worker
from audit.errors import Refused
from audit.models import Keeping
from engine.fault_points import fault_point
from handoff import queue, surroundings
from handoff.executors import amendments as amending
from handoff.executors import counting, engine, probes, testing
from handoff.executors import reconciliations as asking
from handoff.executors import replays as replaying
from handoff.executors import runs as runner
from handoff.executors import stops as stopper
from handoff.executors.errors import ExecutorError
from handoff.in_hand import held
from handoff.models import Handoff
from handoff.plans import RestorePlan
from handoff.queries.invariants import check
from handoff.queries.leavers import due, to_announce
from handoff.services import (
    amendments,
    applying,
    approvals,
    batches,
    break_glass,
    canaries,
    deployments,
    evidence,
    findings,
    handoffs,
    invariants,
    leavers,
    monitoring,
    promotion_tests,
    reconciliations,
    replays,
    retirements,
    rollbacks,
    runs,
    suspensions,
    waivers,
    watches,
    windows,
)
from handoff.states import State
from models_registry.services import profiles, streams

log = logging.getLogger(__name__)
EXPIRE = "handoff.expire"
OPEN_WINDOWS = "handoff.open_windows"
WATCH_RUNS = "handoff.watch_runs"
WATCH_COUNTS = "handoff.watch_counts"
RUN_DUE = "handoff.run_due"
RESTORE_AGAIN = "handoff.restore_again"
LOOK_FOR_DRIFT = "handoff.look_for_drift"
PROBE = "handoff.probe"
REHASH_EVIDENCE = "handoff.rehash_evidence"
WATCH_EVIDENCE = "handoff.watch_evidence"
WATCH_WAIVERS = "handoff.watch_waivers"
ASK_STREAMS = "handoff.ask_streams"
RECONCILE = "handoff.reconcile"
STOP_LAPSED = "handoff.stop_lapsed"
WATCH_BREAK_GLASS = "handoff.watch_break_glass"
RETIRE_DUE = "handoff.retire_due"
CHECK_INVARIANTS = "handoff.check_invariants"
LET_NAMES_GO = "handoff.let_names_go"


@shared_task(name=queue.RUN_TEST, ignore_result=True)
def run_test(job_id: str) -> None:
    """Run one promotion test. A second delivery finds the row claimed and returns."""
    with held(job_id, queue.RUN_TEST) as holder:
        if holder is None:
            return
        level = testing.level_in_force(apart=settings.RUNNER_HOST_APART)
        if plan := promotion_tests.begin(job_id, holder.fence, sandbox=level):
            holder.say(f"running the {plan.kind} test")
            report = testing.run(plan, **settings.TEST_LIMITS, level=level)
            fault_point("test.computed")
            promotion_tests.finish(job_id, holder.fence, report, actor=holder.actor)


@shared_task(name=queue.DEPLOY, ignore_result=True)
def deploy(job_id: str) -> None:
    """Carry out one deployment."""
    _deploy(job_id, queue.DEPLOY)


@shared_task(name=queue.CONFIRM, ignore_result=True)
def confirm(job_id: str) -> None:
    """End a canary well: prove again that the engine serves the version, then make it live."""
    _deploy(job_id, queue.CONFIRM)


def _deploy(job_id: str, task: str) -> None:
    with held(job_id, task) as holder:
        if holder and (plan := deployments.begin(job_id, holder.fence)):
            report = engine.deploy(plan, token=settings.ENGINE_TOKEN, say=holder.say)
            deployments.finish(job_id, holder.fence, report, actor=holder.actor)


@shared_task(name=queue.ROLL_BACK, ignore_result=True)
def roll_back(job_id: str) -> None:
    """Go back to the version that was live before, or put back what the records say is live."""
    with held(job_id, queue.ROLL_BACK) as holder:
        if holder and (plan := rollbacks.begin(job_id, holder.fence)):
            if isinstance(plan, RestorePlan):
                report = engine.restore(plan, token=settings.ENGINE_TOKEN, say=holder.say)
            else:
                report = engine.deploy(plan, token=settings.ENGINE_TOKEN, say=holder.say)
            fault_point("rollback.swapped")
            rollbacks.finish(job_id, holder.fence, report, actor=holder.actor)


@shared_task(name=queue.RUN_STREAMS, ignore_result=True)
def run_streams(job_id: str) -> None:
    """Start the run of what is live over its streams, and stop those of what was."""
    with held(job_id, queue.RUN_STREAMS) as holder:
        if holder and (plan := runs.begin(job_id, holder.fence)):
            report = runner.order(plan, token=settings.ENGINE_TOKEN, say=holder.say)
            runs.finish(job_id, holder.fence, plan, report, actor=holder.actor)


@shared_task(name=queue.RUN_BATCH, ignore_result=True)
def run_batch(job_id: str) -> None:
    """Start a run of a batch, or stop it."""
    with held(job_id, queue.RUN_BATCH) as holder:
        if holder and (plan := batches.begin(job_id, holder.fence)):
            report = runner.order(plan, token=settings.ENGINE_TOKEN, say=holder.say)
            batches.finish(job_id, holder.fence, plan, report, actor=holder.actor)


@shared_task(name=RUN_DUE, ignore_result=True)
def run_due() -> None:
    """Order the runs that schedules want now."""
    for deployment_id in batches.due_now():
        batches.run_due(actor=Worker("schedule"), deployment_id=deployment_id)


@shared_task(name=queue.AMEND, ignore_result=True)
def amend(job_id: str) -> None:
    """Apply an amendment that everybody has signed, or go back to what was."""
    with held(job_id, queue.AMEND) as holder:
        if holder and (plan := applying.begin(job_id, holder.fence)):
            report = amending.carry_out(plan, token=settings.ENGINE_TOKEN, say=holder.say)
            amendment = applying.finish(job_id, holder.fence, report, actor=holder.actor)
            if report.state:
                runs.keep(amendment.deployment_id, report.state)


@shared_task(name=queue.STOP, ignore_result=True)
def stop(job_id: str) -> None:
    """Tell an engine that a version scores no more, or again. A failure is tried again until the engine confirms."""
    with held(job_id, queue.STOP) as holder:
        if holder and (plan := suspensions.begin(job_id, holder.fence)):
            report = stopper.carry_out(plan, token=settings.ENGINE_TOKEN)
            suspensions.finish(job_id, holder.fence, plan, report, actor=holder.actor)


def tell_again() -> None:
    """Queue the orders anew that an engine has not confirmed."""
    for suspension_id in suspensions.unconfirmed():
        suspensions.order_again(actor=Worker("stopper"), suspension_id=suspension_id)


@shared_task(name=STOP_LAPSED, ignore_result=True)
def stop_lapsed() -> None:
    """Stop what is live under a waiver that ended or a condition that is overdue, where the policy says so."""
    for handoff_id in list(suspensions.lapsed().values_list("pk", flat=True)):
        suspensions.stop_lapsed(actor=Worker("policy"), handoff_id=handoff_id)
    tell_again()


@shared_task(name=queue.REPLAY, ignore_result=True)
def replay(job_id: str) -> None:
    """Have the target's engine compare the records of two sources."""
    with held(job_id, queue.REPLAY) as holder:
        if holder and (plan := replays.begin(job_id, holder.fence)):
            holder.say("the engine reads both sources")
            report = replaying.carry_out(plan, token=settings.ENGINE_TOKEN)
            replays.finish(job_id, holder.fence, report, actor=holder.actor)


@shared_task(name=WATCH_RUNS, ignore_result=True)
def watch_runs() -> None:
    """Ask engines how the runs of what is live go, and keep it for the pages; order anew what was lost."""
    for deployment_id in runs.dead():
        runs.order_again(actor=Worker("watch"), deployment_id=deployment_id)
    for one in runs.going():
        url = settings.ENGINE_URLS.get(one.environment.engine, "")
        try:
            told = runner.look(url, one.model.slug, str(one.pk), token=settings.ENGINE_TOKEN) if url else {}
        except ExecutorError as error:
            log.warning("how the run %s goes is not known: %s", one.pk, error.message)
            if error.code == "run_unknown" and one.run.get("state") not in (None, "failed", "not started"):
                runs.order_again(actor=Worker("watch"), deployment_id=one.pk, lost=True)
            continue
        if told:
            runs.keep(one.pk, told)
    _watch_batches()


def _watch_batches() -> None:
    for run_id in batches.unordered():
        batches.order_again(actor=Worker("watch"), run_id=run_id)
    for run in batches.going():
        url = settings.ENGINE_URLS.get(run.deployment.environment.engine, "")
        try:
            told = runner.look(url, run.deployment.model.slug, str(run.pk), token=settings.ENGINE_TOKEN) if url else {}
        except ExecutorError as error:
            log.warning("how the run %s goes is not known: %s", run.pk, error.message)
            if error.code == "run_unknown":
                batches.order_again(actor=Worker("watch"), run_id=run.pk, lost=True)
            continue
        if told:
            runs.keep(run.deployment_id, told)
            batches.follow(run.pk, told, actor=Worker("watch"))


@shared_task(name=WATCH_COUNTS, ignore_result=True)
def watch_counts() -> None:
    """Ask every engine what it has counted, and keep it; then see to the canaries, and to what is live."""
    asked_at = timezone.now()
    urls, serving = watches.engines(), list(watches.watched())
    connection.close()  # no engine is waited for with a connection in hand
    answers = counting.ask_all(urls, token=settings.ENGINE_TOKEN)
    for name, answer in answers.items():
        if answer.error:
            log.warning("the engine %s does not tell what it has counted: %s", name, answer.error)
    for one in serving:
        watches.keep(one, answers.get(one.environment.engine, counting.Told()), asked_at=asked_at)
    for handoff_id in list(canaries.watched().values_list("pk", flat=True)):
        canaries.look(actor=Worker("canary"), handoff_id=handoff_id)
    for handoff_id in list(monitoring.watched().values_list("pk", flat=True)):
        monitoring.look(actor=Worker("monitoring"), handoff_id=handoff_id)


@shared_task(name=OPEN_WINDOWS, ignore_result=True)
def open_windows() -> None:
    """Go on with the releases whose deployment window has opened."""
    for handoff_id in windows.waiting().values_list("pk", flat=True):
        windows.go_on(actor=Worker("windows"), handoff_id=handoff_id)


@shared_task(name=EXPIRE, ignore_result=True)
def expire() -> None:
    """End the offers and the proposed amendments whose time ran out."""
    late = Handoff.objects.filter(
        state__in=[State.IN_REVIEW, State.TESTING, State.READY], expires_at__lte=Now()
    ).values_list("pk", flat=True)
    for handoff_id in list(late):
        handoffs.expire(actor=Worker("expiry"), handoff_id=str(handoff_id))
    for amendment_id in amendments.over():
        amendments.expire(actor=Worker("expiry"), amendment_id=amendment_id)


@shared_task(name=RESTORE_AGAIN, ignore_result=True)
def restore_again() -> None:
    """Try again to put engines right that could not be reached after an order had failed."""
    for handoff_id in rollbacks.restores_due():
        rollbacks.restore_again(actor=Worker("restorer"), handoff_id=handoff_id)


@shared_task(name=LOOK_FOR_DRIFT, ignore_result=True)
def look_for_drift() -> None:
    """Compare what was approved with its target where either changed, and let approvals run out."""
    for handoff_id in surroundings.changed():
        findings.look(actor=Worker("drift"), handoff_id=handoff_id)
        approvals.look(actor=Worker("drift"), handoff_id=handoff_id)
    for handoff_id in list(approvals.running().values_list("pk", flat=True)):
        approvals.look(actor=Worker("drift"), handoff_id=handoff_id)


@shared_task(name=REHASH_EVIDENCE, ignore_result=True)
def rehash_evidence() -> None:
    """Hash every file that backs an answer again, and raise findings for those that are damaged."""
    news = [digest for digest in evidence.stored() if evidence.rehash(actor=Worker("evidence"), digest=digest)]
    if news:
        log.warning("stored evidence is not what it was, or is again: %s", ", ".join(news))
    damaged = evidence.damaged()
    keeping.done(Keeping.Kind.STORE, whole=not damaged, words=f"{damaged} files are damaged" if damaged else "")
    watch_evidence()


@shared_task(name=WATCH_EVIDENCE, ignore_result=True)
def watch_evidence() -> None:
    """Raise findings for answers of live models that became too old, and close those that were settled."""
    for handoff_id in list(evidence.watched().values_list("pk", flat=True)):
        evidence.look(actor=Worker("evidence"), handoff_id=handoff_id)


@shared_task(name=WATCH_WAIVERS, ignore_result=True)
def watch_waivers() -> None:
    """Suspend live approvals whose waivers ended, and end that where they were renewed."""
    for handoff_id in list(waivers.watched().values_list("pk", flat=True)):
        waivers.look(actor=Worker("waivers"), handoff_id=handoff_id)


@shared_task(name=WATCH_BREAK_GLASS, ignore_result=True)
def watch_break_glass() -> None:
    """End each break-glass with the last signature or at its deadline, and follow the way back until it is done."""
    for break_glass_id in break_glass.watched():
        break_glass.look(actor=Worker("break-glass"), break_glass_id=break_glass_id)


@shared_task(name=RETIRE_DUE, ignore_result=True)
def retire_due() -> None:
    """Order what is due to be retired, and again until the engine has done it."""
    for retirement_id in retirements.due():
        retirements.order_due(actor=Worker("retirement"), retirement_id=retirement_id)


@shared_task(name=PROBE, ignore_result=True)
def probe() -> None:
    """Ask every engine what it is made of, and record what moved; then compare it with what was approved."""
    moved = False
    for place, names in profiles.to_probe():
        url = settings.ENGINE_URLS.get(place.engine)
        try:
            if not url:
                raise ExecutorError(f"The engine {place.engine} has no address here.", permanent=True)
            content = probes.look(url, names, token=settings.ENGINE_TOKEN)
            found = profiles.probed(actor=Worker("probe"), environment_id=place.pk, content=content)
            moved = moved or found is not None
        except (ExecutorError, Refused) as error:
            log.warning("the engine of %s tells nothing of itself: %s", place.slug, error.message)
            profiles.not_probed(place.pk, error.message)
    if moved:
        look_for_drift()


@shared_task(name=ASK_STREAMS, ignore_result=True)
def ask_streams() -> None:
    """Let every engine ask whether the streams of its environment answer; then compare with what was approved."""
    moved = False
    for place, told in streams.to_ask():
        url = settings.ENGINE_URLS.get(place.engine)
        try:
            faults = probes.ask(url, told, token=settings.ENGINE_TOKEN) if url else None
        except ExecutorError as error:
            log.warning("the engine of %s asks no streams: %s", place.slug, error.message)
            continue
        if faults is not None:
            moved |= streams.asked(place, told, faults)
    if moved:
        look_for_drift()


@shared_task(name=CHECK_INVARIANTS, ignore_result=True)
def check_invariants() -> None:
    """Look for what breaks an invariant, keep what was found, and raise findings."""
    kept = invariants.keep(actor=Worker("check_invariants"), checked=check())
    for row in kept.violations:
        log.error("an invariant is broken: %(invariant)s: %(subject)s: %(words)s", row)


@shared_task(name=LET_NAMES_GO, ignore_result=True)
def let_names_go() -> None:
    """Announce whose names go, and let those go whose day has come; one who still answers for something keeps it."""
    for account_id in list(to_announce().values_list("pk", flat=True)):
        leavers.announce(actor=Worker("names"), account_id=account_id)
    for account_id in list(due().values_list("pk", flat=True)):
        try:
            leavers.let_go_due(actor=Worker("names"), account_id=account_id)
        except Refused as refusal:
            log.warning("the name of account %s is due, and stays: %s", account_id, refusal.message)


@shared_task(name=RECONCILE, ignore_result=True)
def reconcile() -> None:
    """Ask every engine what it serves, all at once, and keep how that differs from what is approved."""
    asked_at = timezone.now()
    asked = reconciliations.questions()
    connection.close()  # no engine is waited for with a connection in hand
    answers = asking.ask_all(asked, token=settings.ENGINE_TOKEN)
    for environment_id, answer in answers.items():
        if answer.error:
            log.warning("an engine does not tell what it serves: %s", answer.error)
        reconciliations.keep(
            actor=Worker("reconciliation"), environment_id=environment_id, answer=answer, asked_at=asked_at
        )
    for handoff_id in list(reconciliations.watched().values_list("pk", flat=True)):
        reconciliations.look(actor=Worker("reconciliation"), handoff_id=handoff_id)
    for place in list(reconciliations.places_watched().values_list("pk", flat=True)):
        reconciliations.look_at_place(actor=Worker("reconciliation"), environment_id=place)
