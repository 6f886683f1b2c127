"""Re-attestation: what is live is approved anew at intervals and when something happens; until then it is asked for."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.urls import reverse

from audit.actors import Person, Worker
from audit.models import AuditEvent
from handoff.facts import known_of, rules_of
from handoff.models import Finding, Handoff, Policy, PolicyRevision, SignOff
from handoff.rules.gate_facts import SignOffFact
from handoff.rules.gates import evaluate
from handoff.rules.lapses import asked_again, lapse
from handoff.rules.policies import digest_of, parse
from handoff.rules.policy_changes import changes, demands
from handoff.rules.policy_terms import ReattestationRules
from handoff.rules.reattestation import TRIGGERS, TriggerFact, asked_anew, united
from handoff.services import approvals, suspensions
from handoff.states import SignOffState
from models_registry.services import environments, registered_models
from tests.handoff import building
from tests.handoff.test_signoffs_doors import APPROVE, counts
from tests.handoff.test_signoffs_signatures import as_owner
from tests.handoff.test_signoffs_states import RELEASE, code_of, live, place, signed, tasks
from tests.handoff.walking import client_of

__all__ = ["place"]
EVERY_YEAR = {"every_days": 365, "gates": ["review"], "within_days": 30}
WHEN = {"triggers": sorted(TRIGGERS), "gates": ["review"], "within_days": 14}
START = datetime(2026, 1, 1, tzinfo=UTC)


def of(handoff: Handoff) -> Finding | None:
    return handoff.findings.filter(kind="attest", closed_at=None).first()


def look(handoff: Handoff) -> Finding | None:
    """Look as the worker does, and return what it asks to be approved anew."""
    approvals.look(actor=Worker("drift"), handoff_id=handoff.pk)
    return of(handoff)


def attested(place: building.Place, reattestation: dict[str, Any]) -> Handoff:
    """Return a live handoff whose policy asks for re-attestation."""
    content = building.a_policy(("integrity",)).content | {"policy": "anew", "reattestation": reattestation}
    policy = Policy.objects.create(slug="anew", title="Anew").revisions.create(
        number=1, source="{}", content=content, digest=digest_of(content)
    )
    return live(building.offered(place, building.a_version(place), policy), place)


def later(days: int, gate: str = "review") -> None:
    """Let days go by since the approvals of a gate were given."""
    as_owner(f"UPDATE handoff_signoff SET signed_at = signed_at - interval '{days} days' WHERE gate = '{gate}'")


def an_approval(gate: str = "release", decision: str = "approve") -> SignOffFact:
    return SignOffFact(
        "1",
        gate,
        "go",
        "it_operations",
        1,
        "Otto",
        decision,
        "approval",
        {},
        entitled=True,
        signed_at=START.isoformat(),
    )


# The rule


def test_an_interval_asks_before_it_ends_and_a_trigger_from_when_it_happened() -> None:
    rules = ReattestationRules(every_days=100, triggers=("owner",), within_days=10)
    moved = TriggerFact("owner", (START + timedelta(days=20)).isoformat())
    for happened, asked, due in (([], 90, 100), ([moved], 20, 30), ([TriggerFact("drift", moved.at)], 90, 100)):
        (one,) = asked_anew(rules, [an_approval()], happened)
        for days, told in ((asked - 1, False), (asked, True), (due, True)):
            assert bool(asked_again(one, START + timedelta(days=days))) is told
        assert not lapse(one, 0, START + timedelta(days=due) - timedelta(seconds=1))
        assert lapse(one, 0, START + timedelta(days=due)).startswith("ran out on")
    assert "another person answers for its target on 21 January 2026" in lapse(
        asked_anew(rules, [an_approval()], [moved])[0], 0, None
    )


def test_what_happened_before_an_approval_asks_nothing_of_it_nor_of_another_gate_or_answer() -> None:
    rules = ReattestationRules(triggers=tuple(TRIGGERS), gates=("release",))
    before = TriggerFact("drift", (START - timedelta(seconds=1)).isoformat())
    since = TriggerFact("drift", (START + timedelta(seconds=1)).isoformat())
    assert asked_anew(rules, [an_approval()], [before])[0].again is None
    for other in (an_approval("review"), an_approval(decision="refuse")):
        assert asked_anew(rules, [other], [since])[0].again is None
    assert asked_anew(ReattestationRules(), [an_approval()], [since])[0].again is None


def test_the_days_of_the_rule_hold_beside_it() -> None:
    (one,) = asked_anew(ReattestationRules(every_days=100, within_days=10), [an_approval()], [])
    assert lapse(one, 50, START + timedelta(days=50)) == "ran out on 20 February 2026"
    assert lapse(one, 500, START + timedelta(days=99)) == ""


# The policy

WRONG: dict[str, tuple[Any, str, str]] = {
    "says nothing": ({}, "reattestation", "must say every_days, triggers, or both"),
    "unknown key": ({"every_day": 3}, "reattestation.every_day", "did you mean every_days"),
    "unknown trigger": ({"triggers": ["drfit"]}, "reattestation.triggers", "did you mean drift"),
    "no trigger": ({"triggers": []}, "reattestation.triggers", ""),
    "unknown gate": ({"every_days": 90, "gates": ["relese"]}, "reattestation.gates", "did you mean release"),
    "a notice as long as the interval": ({"every_days": 30}, "reattestation.within_days", "less than the 30 days"),
    "negative": ({"every_days": -1}, "reattestation.every_days", ""),
    "a list": ([], "reattestation", ""),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.django_db
def test_odd_re_attestation_is_refused_with_its_place(case: str) -> None:
    raw, where, told = WRONG[case]
    with pytest.raises(Exception, match="cannot be published") as refusal:
        parse(building.a_policy(("integrity",)).content | {"reattestation": raw})
    assert told in str(refusal.value.fields[where])  # type: ignore[attr-defined]


@pytest.mark.django_db
def test_it_stands_in_words_in_a_comparison_of_policies() -> None:
    plain = building.a_policy(("integrity",)).content
    found = changes(demands(parse(plain)), demands(parse(plain | {"reattestation": WHEN | {"every_days": 90}})))
    (told,) = found.gained
    assert told.startswith("approvals at review given anew within 14 days: every 90 days, when it was amended, when ")


def test_two_policies_ask_together_for_the_sooner_and_for_all() -> None:
    one = {"every_days": 365, "triggers": ["drift"]}
    other = {"every_days": 20, "triggers": ["owner"], "gates": ["review"], "within_days": 60}
    both = {"every_days": 20, "triggers": ["drift", "owner"], "gates": ["review", "release"], "within_days": 19}
    assert united(one, other) == united(other, one) == both
    longer, sooner = ({"triggers": ["risk"], "within_days": days} for days in (60, 40))
    assert united(longer, sooner) == sooner | {"gates": ["release"]}
    assert united(None, None) is None
    assert united(None, {"triggers": ["risk"]}) == {"triggers": ["risk"], "gates": ["release"], "within_days": 30}


# What is live


@pytest.mark.django_db
def test_a_live_version_is_approved_anew_at_its_interval(place: building.Place) -> None:
    handoff = attested(place, EVERY_YEAR)
    later(334)
    assert look(handoff) is None
    assert code_of(lambda: signed(handoff, place.vera, APPROVE)) == "wrong_state"
    later(2)
    finding = look(handoff)
    assert finding is not None
    assert (finding.suspends, finding.severity) == (False, "medium")
    assert "to be given anew, for it is asked for every 365 days" in str(finding)
    assert "to be approved anew" in tasks(place.vera)["sign"]
    assert not tasks(place.otto).get("sign"), "the release was not asked for"
    assert look(handoff) == finding, "it is told once"
    first = SignOff.objects.get(gate="review")
    signed(handoff, place.vera, APPROVE)
    first.refresh_from_db()
    finding.refresh_from_db()
    assert (first.voided_as, finding.closing, of(handoff)) == ("anew", "resolved", None)
    assert "it is asked for every 365 days" in first.voided_because
    assert not tasks(place.vera).get("sign")
    assert not handoff.findings.filter(closed_at=None).exists()


@pytest.mark.django_db
def test_another_holder_of_the_role_may_give_it_anew(place: building.Place) -> None:
    handoff = attested(place, EVERY_YEAR)
    later(340)
    assert look(handoff) is not None
    signed(handoff, place.noah, APPROVE)
    assert look(handoff) is None
    later(20)
    assert not handoff.findings.filter(closed_at=None).exists(), "what noah signed holds when vera's runs out"


@pytest.mark.django_db
def test_what_is_not_given_anew_in_time_runs_out_and_suspends(place: building.Place) -> None:
    handoff = attested(place, EVERY_YEAR)
    later(340)
    asked = look(handoff)
    later(26)
    assert look(handoff) is None
    assert asked is not None
    asked.refresh_from_db()
    (fallen,) = handoff.findings.filter(closed_at=None)
    assert (asked.closing, fallen.kind, fallen.suspends) == ("resolved", "approval", True)
    assert "ran out on" in str(fallen)
    assert "for it is asked for every 365 days" in str(fallen)
    assert SignOff.objects.get(gate="review").state == SignOffState.EXPIRED
    result = evaluate("release", rules_of(handoff), known_of(handoff).facts)
    assert not result.open


def to_another_owner(handoff: Handoff, place: building.Place) -> None:
    ada = building.person("ada")
    ada.is_staff = True
    ada.save(update_fields=["is_staff"])
    environments.change(actor=Person(ada, "test"), slug=handoff.target.slug, owner="iris")


def to_more_risk(handoff: Handoff, place: building.Place) -> None:
    registered_models.change(actor=Person(place.dana, "test"), slug=handoff.model.slug, risk_tier="high")


def to_another_policy(handoff: Handoff, place: building.Place) -> None:
    first = PolicyRevision.objects.get(policy__slug="anew")
    content = dict(first.content) | {"title": "Other"}
    PolicyRevision.objects.create(
        policy=first.policy, number=2, source="{}", content=content, digest=digest_of(content)
    )


def to_a_finding(handoff: Handoff, place: building.Place) -> None:
    handoff.findings.create(
        kind="issue", items={"x": "It answers oddly."}, severity="low", suspends=False, owner=place.otto,
        raised_by=place.otto, due_at=START,
    )  # fmt: skip


def to_a_drift(handoff: Handoff, place: building.Place) -> None:
    handoff.findings.create(kind="drift", items={"x": "Moved."}, severity="low", suspends=False, due_at=START)


HAPPENS: dict[str, Callable[[Handoff, building.Place], None]] = {
    "owner": to_another_owner,
    "risk": to_more_risk,
    "policy": to_another_policy,
    "finding": to_a_finding,
    "drift": to_a_drift,
}


@pytest.mark.parametrize("kind", HAPPENS)
@pytest.mark.django_db
def test_what_happens_asks_for_it_where_the_policy_says_so(kind: str, place: building.Place) -> None:
    handoff = attested(place, {"triggers": [kind], "gates": ["review", "release"], "within_days": 14})
    HAPPENS[kind](handoff, place)
    look(handoff)
    found = handoff.findings.filter(kind="attest", closed_at=None)
    assert {one.subject for one in found} == {"attest:validation", "attest:release"}
    assert all(TRIGGERS[kind] in str(one) for one in found)
    assert [(one.due_at - one.raised_at).days for one in found] == [13, 13]


@pytest.mark.parametrize("kind", HAPPENS)
@pytest.mark.django_db
def test_what_the_policy_does_not_name_asks_for_nothing(kind: str, place: building.Place) -> None:
    handoff = attested(place, {"triggers": [one for one in TRIGGERS if one != kind], "gates": ["review"]})
    before = AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}").count()
    HAPPENS[kind](handoff, place)
    if kind != "drift":
        assert look(handoff) is None
        assert AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}").count() == before


@pytest.mark.django_db
def test_the_gate_the_page_and_the_api_say_who_signs_anew_by_when(place: building.Place) -> None:
    handoff = attested(place, {"triggers": ["risk"], "gates": ["release"], "within_days": 14})
    to_more_risk(handoff, place)
    look(handoff)
    client = client_of(place.otto)
    page = client.get(reverse("handoff", args=[handoff.pk])).content.decode()
    assert "Otto signs anew by" in page
    rules = client.get(reverse("policy-revision", args=["anew", 1])).content.decode()
    assert "Approvals at release given anew within 14 days: when the model&#x27;s risk tier was changed." in rules
    gates = client.get(f"/api/v1/handoffs/{handoff.pk}/").json()["gates"]
    (told,) = [r for gate in gates for r in gate["requirements"] if r["key"] == "release" and r["kind"] == "signoff"]
    assert told["met"]
    assert "for the model's risk tier was changed on" in told["again"]
    signed(handoff, place.otto, RELEASE, "release")
    assert of(handoff) is None


@pytest.mark.django_db
def test_nobody_closes_it_by_other_means_nor_signs_in_a_role_they_lack(place: building.Place) -> None:
    handoff = attested(place, EVERY_YEAR)
    later(340)
    finding = look(handoff)
    assert finding is not None
    before = counts()
    client = client_of(place.otto)
    proof = {"kind": "link", "label": "x", "link": "https://wiki.example.org/x"}
    body = {"comment": "Done.", "evidence": proof}
    where = f"/api/v1/handoffs/{handoff.pk}/findings/{finding.pk}/"
    for act in ("close", "accept"):
        answer = client.post(f"{where}{act}/", body, content_type="application/json")
        assert answer.status_code in (403, 409, 422), (act, answer.content)
    for who in (place.otto, place.dana, place.rita):
        assert code_of(lambda who=who: signed(handoff, who, APPROVE)) in ("role_not_held", "conflict")
    assert counts() == before
    assert look(handoff) == finding


@pytest.mark.django_db
def test_a_suspension_asks_for_it_and_a_version_that_is_not_live_is_left_alone(place: building.Place) -> None:
    handoff = attested(place, {"triggers": ["suspension"], "gates": ["review"]})
    deployment = handoff.deployments.get(state="live")
    suspensions.suspend(actor=Person(place.otto, "test"), deployment_id=deployment.pk, reason="It answers oddly.")
    assert look(handoff) is not None
    offered = building.offered(place, building.a_version(place, 2), PolicyRevision.objects.get(policy__slug="anew"))
    assert look(offered) is None
