"""Handoffs under a policy that knows standard changes: reviewed in full, and small ones after it."""

from copy import deepcopy
from datetime import timedelta
from typing import Any

from django.utils import timezone

from audit.actors import Person, Worker
from audit.models import Account
from handoff import queue
from handoff.facts import known_of, rules_of
from handoff.models import Handoff, Job, PolicyRevision, Reauthentication, SignOff
from handoff.plans import DeployReport, TestReport
from handoff.rules.approvals import taken_now
from handoff.rules.policies import digest_of, parse
from handoff.rules.scopes import digest, scope_for
from handoff.services import deployments, jobs, promotion_tests, signoffs
from handoff.states import GATE_OF, State
from handoff.suspending import passed_by
from tests.handoff import building
from tests.handoff.building import Place

DONE = DeployReport(True, "it is live", ())
STANDARD = {
    "signers": {"review": ["it_operations"], "release": ["it_operations"]},
    "metrics": {"roc_auc": {"worse_by": 0.01}},
    "at_most": 2,
}
GATES = {
    "review": {
        "signoffs": [
            {"key": "validation", "role": "validator", "meaning": "review"},
            {"key": "acceptance", "role": "it_operations", "meaning": "responsibility", "after": ["validation"]},
        ]
    },
    "release": {
        "signoffs": [
            {"key": "risk", "role": "risk_compliance", "meaning": "approval"},
            {"key": "release", "role": "it_operations", "meaning": "approval"},
        ]
    },
}


def content(standard: Any = STANDARD, **more: Any) -> dict[str, Any]:
    """Return the content of a policy; without standard changes for None."""
    found = {
        "policy": "row",
        "title": "In a row",
        "applies_to": {"risk_tiers": ["low", "medium", "high"], "target_kinds": ["production"]},
        "tests": ["performance"],
        "gates": deepcopy(GATES),
        **more,
    }
    return found | ({"standard_change": deepcopy(standard)} if standard else {})


def published(standard: Any = STANDARD, **more: Any) -> PolicyRevision:
    """Return a published revision with this content, the one that is there if it is."""
    told = content(standard, **more)
    parse(told)
    found = PolicyRevision.objects.filter(digest=digest_of(told)).first()
    if found is not None:
        return found
    policy = building.a_policy(("performance",)).policy
    number = policy.revisions.count() + 1
    return PolicyRevision.objects.create(
        policy=policy, number=number, source="{}", content=told, digest=digest_of(told)
    )


def offered(place: Place, number: int, quality: str = "good", *, policy: Any = None, **more: Any) -> Handoff:
    """Return a handoff in review; `more` goes into the elements of its version."""
    version = building.a_version(place, number, quality, **more)
    return building.offered(place, version, policy or published())


def signed(handoff: Handoff, who: Account, requirement: str) -> SignOff:
    """Approve what is there now, wherever the requirement is taken now."""
    facts = known_of(handoff).facts
    gate = GATE_OF.get(State(handoff.state), "")
    at, rule = taken_now(rules_of(handoff), facts, gate, passed_by(handoff))[requirement]
    proof = Reauthentication.objects.create(
        person=who, method="password", expires_at=timezone.now() + timedelta(minutes=5)
    )
    given = signoffs.sign(
        actor=Person(who, "test"),
        handoff_id=str(handoff.pk),
        requirement=requirement,
        decision="approve",
        meaning=rule.meaning,
        seen=digest(scope_for(at, facts.parts, rule.role)),
        reauthentication=str(proof.pk),
    )
    handoff.refresh_from_db()
    return given


def measured(handoff: Handoff, **figures: Any) -> Handoff:
    """Let the performance test of a handoff pass with some figures."""
    job = handoff.jobs.get(task=queue.RUN_TEST)
    claimed = jobs.claim(job.pk, "tester", task=queue.RUN_TEST)
    assert claimed is not None
    assert promotion_tests.begin(claimed.pk, claimed.fence) is not None
    report = TestReport("passed", "It went well.", figures, {}, "", 0.0)
    promotion_tests.finish(claimed.pk, claimed.fence, report, actor=Worker("tester"))
    handoff.refresh_from_db()
    return handoff


def deployed(handoff: Handoff) -> Handoff:
    """Let a worker carry the order out, or refuse it."""
    carried_out(handoff.jobs.filter(task=queue.DEPLOY).latest("queued_at"))
    handoff.refresh_from_db()
    return handoff


def carried_out(job: Job) -> None:
    """Let a worker carry an order out as if the engine did, or refuse it."""
    claimed = jobs.claim(job.pk, "deployer", task=job.task)
    assert claimed is not None
    if deployments.begin(claimed.pk, claimed.fence) is not None:
        deployments.finish(claimed.pk, claimed.fence, DONE, actor=Worker("deployer"))


def in_full(place: Place, number: int = 1, roc_auc: float = 0.9, **more: Any) -> Handoff:
    """Return a handoff that all have signed, and that is live."""
    handoff = offered(place, number, **more)
    signed(handoff, place.vera, "validation")
    signed(handoff, place.otto, "acceptance")
    measured(handoff, roc_auc=roc_auc)
    signed(handoff, place.rita, "risk")
    signed(handoff, place.otto, "release")
    assert deployed(handoff).state == State.LIVE
    return handoff


def ready(place: Place, number: int = 2, roc_auc: float = 0.895, **more: Any) -> Handoff:
    """Return a handoff whose tests have passed, with the signature of operations alone."""
    handoff = offered(place, number, "other", **more)
    signed(handoff, place.otto, "acceptance")
    return measured(handoff, roc_auc=roc_auc)


def small(place: Place, number: int = 2, roc_auc: float = 0.895) -> Handoff:
    """Return a handoff that went live as a standard change."""
    handoff = ready(place, number, roc_auc)
    signed(handoff, place.otto, "release")
    assert deployed(handoff).state == State.LIVE
    return handoff
