"""Amendments beside others: what is refused in which words, and what a worker still looks at before it applies one."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pgtrigger
import pytest
from django.utils import timezone

from audit.actors import Person, ServiceAccount, Worker
from audit.errors import Refused
from audit.models import Account, AuditEvent
from handoff import queue
from handoff.in_force import bindings_of
from handoff.leases import next_order
from handoff.models import Amendment, AmendmentSignOff, Deployment, Finding, Handoff, Job
from handoff.plans import AmendPlan, AmendReport
from handoff.services import amendments, applying, jobs
from handoff.states import JobState
from models_registry.models import Consumer, Environment, EnvironmentUserGrant, Stream
from tests.handoff import amending, building
from tests.handoff.amending import BOARD, live, proof, proposed, sign, signature, streamed, work
from tests.handoff.building import Place

pytestmark = pytest.mark.django_db
WORKER = Worker("worker")
STEPS = ({"step": "start", "ok": True},)
REPORT = {**BOARD, "name": "Week in figures", "kind": "report", "fields": ["label"]}
THREE = [
    {"key": one.replace("_", "-"), "role": one, "meaning": "approval"}
    for one in ("analytic_engineer", "it_operations", "integration_owner")
]


@pytest.fixture
def place(db: None, store: Any, settings: Any) -> Place:
    """Return a place with streams, whose people have passwords; noah and ada hold no role."""
    settings.ENGINE_URLS = {"production": "http://engine.example"}
    place = building.a_place()
    place.people |= {name: building.person(name) for name in ("noah", "ada")}
    return streamed(place)


@pytest.fixture
def deployment(place: Place) -> Deployment:
    """Return what is live over patients, into scores."""
    return live(place)


@pytest.fixture
def other(deployment: Deployment) -> Deployment:
    """Return what is live of another model in the same environment, since later."""
    return live(building.a_place("beside"))


def refused(code: str, act: Callable[[], object]) -> Refused:
    """Expect a refusal by its code, and that no amendment, signature or event was written."""
    tables = (Amendment, AmendmentSignOff, AuditEvent, Job)
    before = [table._default_manager.count() for table in tables]
    with pytest.raises(Refused) as refusal:
        act()
    assert (refusal.value.code, [table._default_manager.count() for table in tables]) == (code, before)
    return refusal.value


def story(on: Any, action: str) -> dict[str, Any]:
    """Return what the trail tells last of an act."""
    told = AuditEvent.objects.filter(subject=f"{on._meta.model_name}:{on.pk}", action=action).latest("seq")
    found: dict[str, Any] = json.loads(told.body)
    return found


def by_hand(like: Amendment, number: int, **more: Any) -> Amendment:
    """Write another amendment of the same deployment."""
    kept = ("deployment", "reason", "before", "bindings", "changes", "requirements", "proposed_by", "expires_at")
    return Amendment.objects.create(number=number, **{name: getattr(like, name) for name in kept} | more)


def applied(like: Amendment) -> Amendment:
    """Write an amendment that was applied, which another one knows nothing of."""
    job = queue.enqueue(like.deployment.handoff, gate="live", task=queue.AMEND, purposes=["amend:0:9"])[0]
    return by_hand(like, 9, state="applied", job=job, order=next_order(), ended_at=timezone.now())


def late(amendment: Amendment) -> None:
    with pgtrigger.ignore("handoff.Amendment:proposal_is_fixed"):  # only the clock makes it late
        Amendment.objects.filter(pk=amendment.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


# Proposing


def test_a_proposal_is_counted_and_told_for_its_own_deployment(
    place: Place, deployment: Deployment, other: Deployment
) -> None:
    proposed(other, place.iris)
    first, second = proposed(deployment, place.iris), proposed(deployment, place.otto)
    assert [(one.deployment, one.number, one.state) for one in (first, second)] == [
        (deployment, 1, "proposed"), (deployment, 2, "proposed"),
    ]  # fmt: skip
    left = second.expires_at - timezone.now()
    assert timedelta(days=29) < left < timedelta(days=31)
    event = story(second, "amendment.proposed")
    assert (event["data"], event["reason"]) == ({"number": 2, "changes": second.changes}, "The archive wants them.")


def test_what_is_not_there_and_what_is_hidden_are_told_alike(
    place: Place, deployment: Deployment, other: Deployment
) -> None:
    amendment = proposed(deployment, place.iris)
    for who, wanted in ((place.iris, uuid4()), (place.iris, deployment.handoff_id), (place.mallory, deployment.pk)):
        told: dict[str, Any] = {"actor": Person(who, "test"), "deployment_id": wanted, "reason": "Why not."}
        assert refused("not_found", lambda told=told: amendments.propose(**told)).message == (  # type: ignore[misc]
            "There is no such deployment."
        )
    for who, wanted in ((place.iris, uuid4()), (place.iris, deployment.pk), (place.mallory, amendment.pk)):
        told = {"actor": Person(who, "test"), "amendment_id": wanted, "reason": "Why not."}
        assert refused("not_found", lambda told=told: amendments.withdraw(**told)).message == (  # type: ignore[misc]
            "There is no such amendment."
        )


def test_what_is_not_live_or_not_explained_is_not_amended(place: Place, deployment: Deployment) -> None:
    told: dict[str, Any] = {"actor": Person(place.iris, "test"), "deployment_id": deployment.pk}
    sinks = [{"stream": "archive"}]
    empty = refused("invalid", lambda: amendments.propose(**told, reason=" ", sinks=sinks))
    assert empty.fields == {"reason": "is empty"}
    live(place, 2)
    over = refused("not_live", lambda: proposed(deployment, place.iris))
    assert over.message == "A deployment that is superseded is not amended."


# Signing


def test_only_a_natural_person_signs(place: Place, deployment: Deployment) -> None:
    amendment = proposed(deployment, place.iris)
    robot = Account.objects.create(username="robot", kind="service", responsible=place.iris)
    body = {"amendment_id": amendment.pk, "reauthentication": proof(place.iris), **signature(amendment, place.iris)}
    for actor in (Worker("robot"), ServiceAccount(robot, "api"), Person(robot, "api")):
        refused("person_required", lambda actor=actor: amendments.sign(actor=actor, **body))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"decision": "perhaps"}, {"decision": "must be approve or refuse"}),
        ({"meaning": "review"}, {"meaning": "must be approval"}),
        ({"decision": "refuse", "comment": " "}, {"comment": "is empty"}),
    ],
)
def test_a_signature_says_what_it_means(
    place: Place, deployment: Deployment, change: dict[str, Any], fields: dict[str, str]
) -> None:
    amendment = proposed(deployment, place.iris)
    assert refused("invalid", lambda: sign(amendment, place.iris, **change)).fields == fields


def test_what_was_signed_is_told_and_returned_with_the_name(
    place: Place, deployment: Deployment, other: Deployment
) -> None:
    theirs, amendment = proposed(other, place.iris), proposed(deployment, place.iris)
    proposed(other, place.iris)
    signoff = sign(amendment, place.iris, comment="Good.")
    assert (signoff.printed_name, signoff.amendment, signoff.decision) == ("Iris", amendment, "approve")
    event = story(amendment, "amendment.signed")
    told = {"role": "integration_owner", "meaning": "approval", "decision": "approve", "key": signoff.key_id}
    told |= {"scope": signoff.scope_digest, "statement": signoff.statement_digest, "number": 1}
    assert event["data"].items() >= told.items()
    assert event["reason"] == "Good."
    amendment.refresh_from_db()
    theirs.refresh_from_db()
    assert amendment.job is not None
    assert story(amendment.job, "job.queued")["data"] == {"purpose": f"amend:{deployment.order}:1"}
    assert (theirs.state, amendment.job.handoff) == ("proposed", deployment.handoff)


def test_who_may_not_sign_is_told_who_may(place: Place, deployment: Deployment) -> None:
    of_iris, of_two = proposed(deployment, place.iris), proposed(deployment, place.iris, source="others")
    assert refused("role_not_held", lambda: sign(of_iris, place.otto)).todo == "Those who hold the role: Iris."
    building.ended(EnvironmentUserGrant, user=place.edda)
    body = signature(of_two, place.otto) | {"requirement": "analytic-engineer", "reauthentication": proof(place.otto)}
    told = {"actor": Person(place.otto, "test"), "amendment_id": of_two.pk, **body}
    assert refused("role_not_held", lambda: amendments.sign(**told)).todo == "Those who hold the role: nobody yet."


def test_of_a_role_one_person_signs_though_others_have_signed_in_theirs(place: Place, deployment: Deployment) -> None:
    noah = place.people["noah"]
    building._grant(EnvironmentUserGrant, noah, "analytic_engineer", place.target)
    amendment = by_hand(proposed(deployment, place.iris), 2, requirements=THREE)
    sign(amendment, place.otto)
    sign(amendment, place.edda)
    body = signature(amendment, place.iris) | {"requirement": "analytic-engineer", "reauthentication": proof(noah)}
    told = {"actor": Person(noah, "test"), "amendment_id": amendment.pk, **body}
    twice = refused("already_signed", lambda: amendments.sign(**told))
    assert twice.message == "Somebody has signed in this role already."
    assert not Job.objects.filter(task=queue.AMEND).exists()


def test_what_was_proposed_from_other_bindings_is_not_signed(place: Place, deployment: Deployment) -> None:
    amendment = proposed(deployment, place.iris)
    applied(proposed(deployment, place.iris, sinks=[{"stream": "lake"}]))
    refused("amendment_outdated", lambda: sign(amendment, place.iris))


# Withdrawn, and over


def test_a_proposal_of_automation_is_withdrawn_by_it_or_by_whoever_answers_for_it(
    place: Place, deployment: Deployment
) -> None:
    robots = [
        Account.objects.create(username=name, kind="service", responsible=place.iris) for name in ("robot", "twin")
    ]
    for one in robots:
        building._grant(EnvironmentUserGrant, one, "integration_owner", place.target)
    told = {"deployment_id": deployment.pk, "reason": "Nightly.", "sinks": [{"stream": "archive"}]}
    first, second = (amendments.propose(actor=ServiceAccount(robots[0], "api"), **told) for _ in range(2))  # type: ignore[arg-type]
    of_a_person = proposed(deployment, place.iris)
    twin, reason = ServiceAccount(robots[1], "api"), {"reason": " Too early. "}
    for one in (first, of_a_person):
        refused("not_the_proposer", lambda one=one: amendments.withdraw(actor=twin, amendment_id=one.pk, **reason))  # type: ignore[misc]
    done = amendments.withdraw(actor=ServiceAccount(robots[0], "api"), amendment_id=first.pk, **reason)
    assert (done.pk, done.state, done.because) == (first.pk, "withdrawn", "Too early.")
    amendments.withdraw(actor=Person(place.iris, "test"), amendment_id=second.pk, **reason)
    of_a_person.refresh_from_db()
    assert of_a_person.state == "proposed"


def test_what_is_withdrawn_is_open_and_says_why(place: Place, deployment: Deployment) -> None:
    amendment = proposed(deployment, place.iris)
    told: dict[str, Any] = {"actor": Person(place.iris, "test"), "amendment_id": amendment.pk}
    assert refused("invalid", lambda: amendments.withdraw(**told, reason=" ")).fields == {"reason": "is empty"}
    late(amendment)
    refused("offer_expired", lambda: amendments.withdraw(**told, reason="Late."))
    assert amendments.expire(actor=WORKER, amendment_id=amendment.pk) is not None
    refused("amendment_over", lambda: amendments.withdraw(**told, reason="Late."))


def test_only_proposals_whose_time_ran_out_or_whose_deployment_ended_are_over(
    place: Place, deployment: Deployment, other: Deployment
) -> None:
    overdue, open_ = proposed(deployment, place.iris), proposed(deployment, place.otto)
    withdrawn, theirs = proposed(deployment, place.iris), proposed(other, place.iris)
    for one in (overdue, withdrawn):
        late(one)
    with pgtrigger.ignore("handoff.Amendment:legal_moves"):
        Amendment.objects.filter(pk=withdrawn.pk).update(state="withdrawn", ended_at=timezone.now())
    assert amendments.over() == [overdue.pk]
    for one in (open_, withdrawn, theirs):
        assert amendments.expire(actor=WORKER, amendment_id=one.pk) is None
    done = amendments.expire(actor=WORKER, amendment_id=overdue.pk)
    assert done is not None
    assert (done.pk, done.state, done.because) == (overdue.pk, "expired", "nobody finished it in time")
    live(place, 2)
    assert amendments.over() == [open_.pk]
    gone = amendments.expire(actor=WORKER, amendment_id=open_.pk)
    assert gone is not None
    assert gone.because == "the deployment is superseded"
    assert amendments.over() == []
    theirs.refresh_from_db()
    assert theirs.state == "proposed"


# The worker looks again


def taken(amendment: Amendment) -> Job:
    amendment.refresh_from_db()
    job = jobs.claim(amendment.job_id or "", "worker", task=queue.AMEND)
    assert job is not None
    return job


def signed(deployment: Deployment, place: Place, **more: Any) -> Amendment:
    """Return an amendment that a worker may take."""
    amendment = proposed(deployment, place.iris, **more)
    sign(amendment, place.iris)
    return amendment


def test_the_order_is_by_the_new_bindings_and_beside_it_the_way_back(
    place: Place, deployment: Deployment, other: Deployment
) -> None:
    theirs = signed(other, place)
    open_, aside = proposed(deployment, place.otto), proposed(deployment, place.otto)
    amendments.withdraw(actor=Person(place.otto, "test"), amendment_id=aside.pk, reason="No.")
    amendment = signed(deployment, place)
    job = taken(amendment)
    plan = applying.begin(job.pk, job.fence)
    assert isinstance(plan, AmendPlan)
    assert (sorted(plan.wanted.sinks), sorted(plan.before.sinks)) == (["archive", "scores"], ["scores"])
    assert (plan.wanted.fence, plan.before.fence > job.fence) == (job.fence, True)
    assert (plan.wanted.run, plan.before.run, plan.wanted.model) == (str(deployment.pk), str(deployment.pk), "tumours")
    assert story(job, "job.claimed")["data"] == {"purpose": job.purpose, "attempt": 1, "fence": job.fence}
    before = bindings_of(Handoff.objects.get(pk=deployment.handoff_id))
    done = applying.finish(job.pk, job.fence, AmendReport(True, False, STEPS, {}), actor=WORKER)
    assert (done.pk, done.state, done.order, done.log) == (amendment.pk, "applied", job.fence, list(STEPS))
    for one in (job, amendment, open_, aside, theirs):
        one.refresh_from_db()
    assert (job.state, job.error, amendment.log, amendment.order) == (JobState.DONE, "", list(STEPS), job.fence)
    assert (open_.state, aside.state, theirs.state) == ("expired", "withdrawn", "applying")
    assert {one["aspect"] for one in amendment.report["items"]} == {"outputs.transport", "outputs.consumers"}
    assert bindings_of(Handoff.objects.get(pk=deployment.handoff_id)) == amendment.bindings != before


def test_the_report_of_an_amendment_holds_what_it_touches_alone(place: Place, deployment: Deployment) -> None:
    work(signed(deployment, place))
    second = proposed(deployment, place.iris, source="others")
    sign(second, place.edda)
    sign(second, place.otto)
    assert work(second).state == "applied"
    assert {one["aspect"] for one in second.report["items"]} <= {"data.transport", "data.fields"}


def test_what_changes_consumers_alone_needs_no_engine_and_ends_no_other_proposal(
    place: Place, deployment: Deployment, settings: Any
) -> None:
    Consumer.objects.create(stream=Stream.objects.get(slug="lake"), **{**REPORT, "owner": place.otto, "name": "Lake"})
    far = Environment.objects.create(
        slug="elsewhere", name="Elsewhere", kind="production", organisation=place.target.organisation,
        owner=place.otto, python="3.11.7", packages={},
    )  # fmt: skip
    told = {"direction": "sink", "descriptor": {"transport": "discard"}, "digest": "0" * 64, "owner": place.otto}
    Stream.objects.create(environment=far, slug="scores", **told)  # of the same name
    change = {"act": "change", "stream": "scores", "consumer": "Ward board", "values": {"purpose": "Who waits."}}
    add = {"act": "add", "stream": "scores", "values": REPORT}
    open_ = proposed(deployment, place.otto)
    amendment = signed(deployment, place, consumers=[change, add])
    settings.ENGINE_URLS = {}
    job = taken(amendment)
    assert applying.begin(job.pk, job.fence) is None
    for one in (job, amendment, open_):
        one.refresh_from_db()
    assert (job.state, amendment.state, amendment.order, open_.state) == (
        JobState.DONE, "applied", job.fence, "proposed",
    )  # fmt: skip
    places = ("name", "purpose", "owner__username", "stream__slug", "stream__environment__slug")
    assert sorted(Consumer.objects.values_list(*places)) == [
        ("Lake", "Who is seen first.", "otto", "lake", "production"),
        ("Ward board", "Who waits.", "otto", "scores", "production"),
        ("Week in figures", "Who is seen first.", "otto", "scores", "production"),
    ]
    because = f"amendment 1 of {deployment}: The archive wants them."
    assert story(Consumer.objects.get(name="Week in figures"), "consumer.added")["reason"] == because.replace(
        "amendment 1", f"amendment {amendment.number}"
    )


def finding(deployment: Deployment, kind: str, place: Place, **more: Any) -> Finding:
    people = {"owner": place.otto, "raised_by": place.otto} if kind == "issue" else {}
    told = {"items": {"one": "Something is wrong."}, "severity": "high", "suspends": True, **people}
    return Finding.objects.create(handoff=deployment.handoff, kind=kind, due_at=timezone.now(), **told | more)


def closed_finding(deployment: Deployment, place: Place) -> None:
    one = finding(deployment, "approval", place)
    Finding.objects.filter(pk=one.pk).update(closed_at=timezone.now(), closing="resolved")


def unsigned(amendment: Amendment, **change: Any) -> None:
    """Change a signature past the services."""
    with pgtrigger.ignore("handoff.AmendmentSignOff:append_only"):
        amendment.signoffs.update(**change)


HAPPENS: dict[str, tuple[Callable[[Place, Deployment, Amendment], object], str]] = {
    "an approval that does not stand": (
        lambda place, live, _: finding(live, "approval", place), "the approval is suspended: Something is wrong.",
    ),
    "an issue that blocks": (
        lambda place, live, _: finding(live, "issue", place), "an open finding blocks: Something is wrong.",
    ),
    "an approval that stands again": (lambda place, live, _: closed_finding(live, place), ""),
    "an approval that lacks little": (lambda place, live, _: finding(live, "approval", place, suspends=False), ""),
    "an issue that blocks nothing": (lambda place, live, _: finding(live, "issue", place, suspends=False), ""),
    "other bindings": (
        lambda place, live, one: applied(one), "another amendment was applied since this one was proposed",
    ),
    "a signature over something else": (
        lambda place, live, one: unsigned(one, scope_digest="0" * 64),
        "integration owner did not sign what would be applied",
    ),
    "a refusal": (
        lambda place, live, one: unsigned(one, decision="refuse", comment="No."),
        "integration owner did not sign what would be applied",
    ),
    "a consumer that changed": (
        lambda place, live, one: Consumer.objects.update(revision=7),
        "the consumer Ward board changed since it was proposed",
    ),
    "a consumer that was retired": (
        lambda place, live, one: Consumer.objects.update(retired_at=timezone.now()),
        "the consumer Ward board changed since it was proposed",
    ),
    "an owner who left": (
        lambda place, live, one: Account.objects.filter(username="ada").update(is_active=False),
        "The owner must be an active person.",
    ),
    "a signer who left": (
        lambda place, live, one: Account.objects.filter(username="iris").update(is_active=False),
        "whoever signed as integration owner does not hold the role any more",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", HAPPENS)
def test_the_worker_applies_only_what_still_holds(place: Place, deployment: Deployment, what: str) -> None:
    happens, because = HAPPENS[what]
    change = {"act": "change", "stream": "scores", "consumer": "Ward board", "values": {"owner": "ada"}}
    amendment = signed(deployment, place, sinks=[{"stream": "scores"}, {"stream": "lake"}], consumers=[change])
    happens(place, deployment, amendment)
    work(amendment)
    assert (amendment.state, amendment.because) == (("failed", because) if because else ("applied", ""))


def test_a_forged_signature_applies_nothing(place: Place, deployment: Deployment) -> None:
    amendment = signed(deployment, place)
    unsigned(amendment, signature="0")
    work(amendment)
    assert amendment.state == "failed"
    assert bindings_of(Handoff.objects.get(pk=deployment.handoff_id)) == amendment.before


@pytest.mark.parametrize(("drift", "state"), [("suspend", "failed"), ("report", "applied")])
def test_what_drifted_holds_an_amendment_up_where_the_policy_says_so(place: Place, drift: str, state: str) -> None:
    deployment = live(place)
    with pgtrigger.ignore("handoff.Handoff:policy_is_fixed"):
        policy = (deployment.handoff.policy or {}) | {"drift": drift}
        Handoff.objects.filter(pk=deployment.handoff_id).update(policy=policy)
    amendment = signed(deployment, place)
    place.target.python = "3.9.1"
    place.target.save(update_fields=["python"])
    work(amendment)
    assert (amendment.state, "Python" in amendment.because) == (state, state == "failed"), amendment.because


@pytest.mark.parametrize(
    ("report", "because", "runs"),
    [
        (AmendReport(False, True, STEPS, {}, "It refuses."), "It refuses. So it runs again as it did before.", 1),
        (AmendReport(False, False, STEPS, {}, "It hangs."), "It hangs. It is ordered again as it was before.", 2),
    ],
)  # fmt: skip
def test_what_was_not_applied_is_kept_with_its_steps(
    place: Place, deployment: Deployment, other: Deployment, report: AmendReport, because: str, runs: int
) -> None:
    amendment = signed(deployment, place)
    job = taken(amendment)
    assert applying.begin(job.pk, job.fence) is not None
    done = applying.finish(job.pk, job.fence, report, actor=WORKER)
    job.refresh_from_db()
    amendment.refresh_from_db()
    assert (done.pk, amendment.state, amendment.because, amendment.log) == (
        amendment.pk, "failed", because, list(STEPS),
    )  # fmt: skip
    assert (job.state, job.error) == (JobState.DONE, report.error)
    assert deployment.handoff.jobs.filter(task=queue.RUN_STREAMS).count() == runs
    assert amending.proposed(deployment, place.otto).number == 2
