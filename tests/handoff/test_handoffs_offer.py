"""Draft, offer, withdraw, expire: through every door, and that what is refused changes nothing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from audit.actors import Person, Worker
from audit.errors import Refused
from audit.models import Account, AuditEvent
from handoff import queue
from handoff.models import Handoff, PolicyRevision
from handoff.plans import TestReport
from handoff.queries.handoffs import view_of
from handoff.rules.differences import broken, report
from handoff.rules.sides import Cargo, Owner, Side
from handoff.services import checklists, handoffs, jobs, policies, promotion_tests
from handoff.states import State
from models_registry.models import (
    Environment,
    EnvironmentUserGrant,
    ModelVersion,
    Organisation,
    RegisteredModel,
    RegisteredModelUserGrant,
)
from tests.handoff import building, walking

pytestmark = pytest.mark.django_db


@pytest.fixture
def place(db: None, store: Any) -> building.Place:
    """Return a model, its environments and its people; the target has what the model asks for."""
    place = building.a_place()
    Environment.objects.update(packages={"onnxruntime": "1.32.0"}, import_policy={"default": "allow"})
    building.a_policy(("integrity",))
    return place


@pytest.fixture
def version(place: building.Place) -> ModelVersion:
    """Return a nominated version."""
    return building.a_version(place)


BODY = {"model": "tumours", "version": 1, "source": "workbench", "target": "production"}


def by_service(who: Account, body: dict[str, Any]) -> int:
    """Draft by the service."""
    try:
        handoffs.draft(actor=Person(who, "test"), **body)
    except Refused as refusal:
        return refusal.status
    return 201


def by_api(who: Account, body: dict[str, Any]) -> int:
    """Draft over the API."""
    client = APIClient()
    client.force_authenticate(who)
    return int(client.post(reverse("api:handoffs"), body).status_code)


def by_page(who: Account, body: dict[str, Any]) -> int:
    """Draft in the browser's form."""
    client = Client()
    client.force_login(who, backend="django.contrib.auth.backends.ModelBackend")
    form = {**body, "do": "draft", "version": f"{body['model']}@{body['version']}"}
    status = client.post(reverse("handoff-new"), form).status_code
    return 201 if status == 303 else int(status)


DOORS = pytest.mark.parametrize("door", [by_service, by_api, by_page])


@DOORS
@pytest.mark.parametrize(
    ("case", "who", "change", "status"),
    [
        ("a data scientist drafts", "dana", {}, 201),
        ("a member without the role may not", "vera", {}, 403),
        ("a stranger cannot tell that the model exists", "mallory", {}, 404),
        ("an unknown version", "dana", {"version": 9}, 404),
        ("an unknown target", "dana", {"target": "nowhere"}, 404),
        ("to where it comes from", "dana", {"target": "workbench"}, 422),
        ("from and to production", "dana", {"source": "production"}, 422),
    ],
)
def test_drafting(case: str, who: str, change: dict[str, Any], status: int, door: Any, version: ModelVersion) -> None:
    events = AuditEvent.objects.count()
    assert door(Account.objects.get(username=who), {**BODY, **change}) == status, case
    assert Handoff.objects.count() == (1 if status == 201 else 0)
    assert AuditEvent.objects.count() == events + (1 if status == 201 else 0)
    if status != 201:
        assert not RegisteredModel.objects.get().destinations.exists()


@pytest.mark.parametrize("slot", ["blue", "", 7, None, ["main"]])
def test_there_is_one_slot(slot: Any, place: building.Place, version: ModelVersion) -> None:
    events, client = AuditEvent.objects.count(), APIClient()
    client.force_authenticate(place.dana)
    answer = client.post(reverse("api:handoffs"), {**BODY, "bindings": {"slot": slot}}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (422, "slot_unknown")
    assert list(answer.json()["fields"]) == ["bindings.slot"]
    assert not Handoff.objects.exists()
    assert AuditEvent.objects.count() == events


@DOORS
def test_the_same_version_is_not_offered_twice(door: Any, place: building.Place, version: ModelVersion) -> None:
    assert door(place.dana, BODY) == 201
    events = AuditEvent.objects.count()
    assert door(place.dana, BODY) == 409
    assert Handoff.objects.count() == 1
    assert AuditEvent.objects.count() == events
    first = Handoff.objects.get()
    handoffs.withdraw(actor=Person(place.dana, "test"), handoff_id=str(first.pk), reason="Another one.")
    assert door(place.dana, BODY) == 201


def test_the_database_holds_one_open_handoff_per_version_and_target(
    place: building.Place, version: ModelVersion
) -> None:
    policy = building.a_policy(("integrity",))
    building.offered(place, version, policy)
    with pytest.raises(DatabaseError, match="handoff_one_open_per_version_and_target"), transaction.atomic():
        building.offered(place, version, policy)


def test_a_draft_version_is_not_handed_over(place: building.Place) -> None:
    ModelVersion.objects.create(model=place.model, number=1, created_by=place.dana)
    with pytest.raises(Refused) as refusal:
        handoffs.draft(actor=Person(place.dana, "test"), **BODY)
    assert refusal.value.code == "version_not_nominated"


def draft(place: building.Place) -> Handoff:
    """Return a draft."""
    return handoffs.draft(actor=Person(place.dana, "test"), **BODY)


def test_an_offer_freezes_policy_and_report(place: building.Place, version: ModelVersion) -> None:
    handoff = draft(place)
    assert view_of(place.dana, handoff.pk).offer.missing == {}
    handoffs.offer(actor=Person(place.dana, "test"), handoff_id=str(handoff.pk))
    handoff.refresh_from_db()
    assert handoff.state == State.IN_REVIEW
    assert handoff.policy == PolicyRevision.objects.get().content
    assert {i["classed"] for i in handoff.report["items"]} >= {"locked", "constrained", "expected"}
    assert handoff.expires_at == handoff.offered_at + timedelta(days=30)
    assert [e.task.kind for e in walking.inbox(place.vera)] == ["sign"]
    assert walking.inbox(place.dana) == []


MISSING: dict[str, tuple[Callable[[building.Place], Any], str]] = {
    "nobody validates": (lambda p: building.ended(RegisteredModelUserGrant, user=p.vera), "roles.validator"),
    "the validator left": (
        lambda p: Account.objects.filter(username="vera").update(is_active=False),
        "roles.validator",
    ),
    "nobody operates": (lambda p: building.ended(EnvironmentUserGrant, user=p.otto), "roles.it_operations"),
    "only who built it validates": (
        lambda p: (
            building.ended(RegisteredModelUserGrant, user=p.vera),
            building._grant(RegisteredModelUserGrant, p.dana, "validator", p.model),
        ),
        "roles.validator",
    ),
    "another Python": (lambda p: Environment.objects.filter(slug="production").update(python="3.9.1"), "tools.python"),
    "no policy speaks": (lambda p: RegisteredModel.objects.filter().update(risk_tier="high"), "policy"),
}


@pytest.mark.parametrize("case", MISSING)
def test_what_is_missing_is_listed_and_nothing_is_offered(
    case: str, place: building.Place, version: ModelVersion
) -> None:
    handoff = draft(place)
    if case == "no policy speaks":
        content = PolicyRevision.objects.get().content | {
            "applies_to": {"risk_tiers": ["low"], "target_kinds": ["test"]}
        }
        PolicyRevision.objects.get().policy.revisions.create(number=2, source="", content=content, digest="1" * 64)
    MISSING[case][0](place)
    events = AuditEvent.objects.count()
    client = APIClient()
    client.force_authenticate(place.dana)
    answer = client.post(reverse("api:handoff-offer", args=[handoff.pk]))
    assert (answer.status_code, answer.json()["code"]) == (422, "not_ready")
    assert MISSING[case][1] in answer.json()["fields"]
    handoff.refresh_from_db()
    assert handoff.state == State.DRAFT
    assert handoff.policy is None
    assert AuditEvent.objects.count() == events


def test_a_missing_library_stands_in_the_way() -> None:
    side = Side(
        "s",
        "production",
        "o",
        Owner("p"),
        "",
        "3.11.2",
        {"onnxruntime": "1.32.0"},
        "",
        {"default": "allow"},
    )
    cargo = Cargo("v", "a", "b", ">=3.11", {"onnxruntime": ">=1.30,<2", "lightgbm": ">=4"})
    assert [d.key for d in broken(report(cargo, side, side, {}))] == ["packages.lightgbm"]


def test_a_prohibited_library_says_why_and_what_is_nearest() -> None:
    policy = {"rules": {"onnxruntime": {"answer": "allow", "versions": "<1.30"}}, "install": {"onnxruntime": "1.29.1"}}
    side = Side("s", "production", "o", Owner("p"), "", "3.11.2", {"onnxruntime": "1.32.0"}, "", policy)
    cargo = Cargo("v", "a", "b", ">=3.11", {"onnxruntime": ">=1.29,<2"})
    (one,) = broken(report(cargo, side, side, {}))
    assert one.key == "packages.onnxruntime"
    assert "prohibits it: Only <1.30 is let in" in one.rule
    assert "the nearest allowed version is 1.29.1" in one.rule


def test_an_open_handoff_keeps_its_policy(place: building.Place, version: ModelVersion) -> None:
    handoff = draft(place)
    handoffs.offer(actor=Person(place.dana, "test"), handoff_id=str(handoff.pk))
    before = Handoff.objects.get().policy_digest
    lighter = PolicyRevision.objects.get().content | {"tests": ["golden"]}
    PolicyRevision.objects.get().policy.revisions.create(number=2, source="", content=lighter, digest="2" * 64)
    assert Handoff.objects.get().policy_digest == before
    assert building.rules_of(Handoff.objects.get()).tests == ("integrity",)


def test_withdrawing_needs_words_and_cancels_the_work(place: building.Place, version: ModelVersion) -> None:
    handoff = building.open_review(place, building.offered(place, version, building.a_policy(("integrity",))))
    actor = Person(place.dana, "test")
    with pytest.raises(Refused):
        handoffs.withdraw(actor=actor, handoff_id=str(handoff.pk), reason=" ")
    with pytest.raises(Refused) as refusal:
        handoffs.withdraw(actor=Person(place.vera, "test"), handoff_id=str(handoff.pk), reason="No.")
    assert refusal.value.status == 403
    handoffs.withdraw(actor=actor, handoff_id=str(handoff.pk), reason="A better one comes.")
    handoff.refresh_from_db()
    assert handoff.state == State.WITHDRAWN
    assert [job.state for job in handoff.jobs.all()] == ["cancelled"]
    with pytest.raises(Refused):
        handoffs.withdraw(actor=actor, handoff_id=str(handoff.pk), reason="Again.")


def test_silence_expires_and_never_approves(place: building.Place, version: ModelVersion) -> None:
    handoff = building.offered(place, version, building.a_policy(("integrity",)))
    assert handoffs.expire(actor=Worker("beat"), handoff_id=str(handoff.pk)) is None
    Handoff.objects.filter(pk=handoff.pk).update(expires_at=timezone.now())
    assert handoffs.expire(actor=Worker("beat"), handoff_id=str(handoff.pk)) is not None
    handoff.refresh_from_db()
    assert handoff.state == State.EXPIRED


LIGHT = """
policy: {key}
title: T
applies_to: {{risk_tiers: [{tier}], target_kinds: [production]}}
tests: [golden]
gates:
  review: {{signoffs: [{{key: a, role: validator, meaning: review}}]}}
  release: {{signoffs: [{{key: b, role: it_operations, meaning: approval}}]}}
"""


def test_publishing_a_policy(place: building.Place) -> None:
    ada = Account.objects.create(username="ada", is_staff=True)
    PolicyRevision.objects.get()
    with pytest.raises(Refused) as refusal:
        policies.publish(actor=Person(place.otto, "test"), source=LIGHT.format(key="x", tier="low"))
    assert refusal.value.status == 403
    revision = policies.publish(actor=Person(ada, "test"), source=LIGHT.format(key="short", tier="low"))
    assert revision.number == 2
    with pytest.raises(Refused) as refusal:
        policies.publish(actor=Person(ada, "test"), source=LIGHT.format(key="short", tier="low"))
    assert refusal.value.code == "policy_unchanged"
    for change in ({"content": {}}, {"source": "x"}, {"digest": "0" * 64}):
        with pytest.raises(DatabaseError), transaction.atomic():
            PolicyRevision.objects.filter(pk=revision.pk).update(**change)


@pytest.mark.parametrize(
    ("source", "code", "place_"),
    [
        ("- a list", "policy_not_yaml", ""),
        ("policy: x\npolicy: y", "policy_not_yaml", ""),
        ("a: &a [1]\nb: *a", "policy_not_yaml", ""),
        ("!!python/object/apply:os.system ['true']", "policy_not_yaml", ""),
        ("policy: x\ntitle: t", "policy_invalid", "gates.review.signoffs"),
        ("policy: x\nextra: 1", "policy_invalid", "extra"),
        (LIGHT.format(key="x", tier="none"), "policy_invalid", "applies_to.risk_tiers"),
        (
            LIGHT.format(key="x", tier="low").replace("validator", "administrator"),
            "policy_invalid",
            "gates.review.signoffs[0].role",
        ),
        ("x" * 300_000, "policy_too_long", ""),
        ("[" * 5000, "policy_not_yaml", ""),
    ],
)
def test_a_policy_that_is_not_one_is_refused_with_its_place(source: str, code: str, place_: str, db: None) -> None:
    ada = Account.objects.create(username="ada", is_staff=True)
    client = APIClient()
    client.force_authenticate(ada)
    answer = client.post(reverse("api:policies"), {"source": source})
    assert answer.status_code == 422
    assert answer.json()["code"] in {code, "invalid"}
    if place_:
        assert place_ in answer.json()["fields"]
    assert not PolicyRevision.objects.exists()


ANSWERS: list[tuple[dict[str, Any], str]] = [
    ({"item": "nothing", "choice": "yes"}, "invalid"),
    ({"item": "runbook", "choice": "maybe"}, "invalid"),
    ({"item": "runbook", "choice": "no"}, "invalid"),
    ({"item": "runbook", "choice": "yes"}, "evidence_missing"),
    ({"item": "runbook", "choice": "yes", "evidence": [{"kind": "figure", "figure": 1}]}, "evidence_missing"),
    ({"item": "runbook", "choice": "yes", "evidence": [{"kind": "link", "link": "javascript:alert(1)"}]}, "invalid"),
    ({"item": "runbook", "choice": "yes", "evidence": [{"kind": "file", "receipt": "0" * 64}]}, "invalid"),
    ({"item": "runbook", "choice": "yes", "evidence": [{"kind": "figure", "figure": float("inf")}]}, "invalid"),
]


@pytest.fixture
def asking(place: building.Place, version: ModelVersion) -> Handoff:
    """Return a handoff whose policy asks one question."""
    content = building.a_policy(("integrity",)).content | {"policy": "asks"}
    question = {"key": "runbook", "question": "A runbook?", "role": "integration_owner", "evidence": ["link", "file"]}
    content["gates"]["review"] |= {"checklist": [question], "acknowledge": "it_operations"}
    revision = building.Policy.objects.create(slug="asks", title="Asks").revisions.create(
        number=1, source="", content=content, digest=building.digest_of(content)
    )
    return building.offered(place, version, revision)


@pytest.mark.parametrize(("body", "code"), ANSWERS)
def test_a_bad_answer_is_refused(body: dict[str, Any], code: str, asking: Handoff, place: building.Place) -> None:
    with pytest.raises(Refused) as refusal:
        checklists.answer(actor=Person(place.iris, "test"), handoff_id=str(asking.pk), **body)
    assert refusal.value.code == code
    assert not asking.answers.exists()


def test_only_the_role_answers(asking: Handoff, place: building.Place) -> None:
    body: dict[str, Any] = {
        "item": "runbook",
        "choice": "yes",
        "evidence": [{"kind": "link", "link": "https://a.example"}],
    }
    for who, status in ((place.vera, 403), (place.mallory, 404)):
        with pytest.raises(Refused) as refusal:
            checklists.answer(actor=Person(who, "test"), handoff_id=str(asking.pk), **body)
        assert refusal.value.status == status
    checklists.answer(actor=Person(place.iris, "test"), handoff_id=str(asking.pk), **body)
    answer = asking.answers.get()
    with pytest.raises(DatabaseError), transaction.atomic():
        asking.answers.update(choice="no", reason="x")
    with pytest.raises(DatabaseError), transaction.atomic():
        answer.evidence.all().delete()


def test_who_answered_may_not_sign(asking: Handoff, place: building.Place) -> None:
    building._grant(building.RegisteredModelUserGrant, place.iris, "validator", place.model)
    body: dict[str, Any] = {
        "item": "runbook",
        "choice": "yes",
        "evidence": [{"kind": "link", "link": "https://a.example"}],
    }
    checklists.answer(actor=Person(place.iris, "test"), handoff_id=str(asking.pk), **body)
    with pytest.raises(Refused) as refusal:
        building.sign(asking, "review", place.iris)
    assert refusal.value.code == "duty_conflict"
    assert "answered" in refusal.value.message


def refused(act: Callable[..., Any], **told: Any) -> tuple[str, str, dict[str, Any]]:
    """Return the code, the words and the fields of a refusal."""
    with pytest.raises(Refused) as refusal:
        act(**told)
    return refusal.value.code, refusal.value.message, refusal.value.fields


def told(handoff: Handoff, action: str) -> tuple[Any, str]:
    """Return what the trail tells of the only act of a name on a handoff, and why."""
    event = AuditEvent.objects.get(chain=f"handoff:{handoff.pk}", subject=f"handoff:{handoff.pk}", action=action)
    return event.told["data"], event.told["reason"]


def test_a_draft_is_numbered_by_its_model_and_told(place: building.Place, version: ModelVersion) -> None:
    other = building.a_place("lungs")
    building.offered(other, building.a_version(other), building.a_policy(("integrity",)))
    found = handoffs.draft(actor=Person(place.dana, "test"), note="For May.", **BODY)
    assert (found.number, found.note, found.version, found.drafted_by) == (1, "For May.", version, place.dana)
    assert (found.source, found.target, found.bindings["slot"]) == (place.source, place.target, "main")
    data = {"version": 1, "digest": version.digest, "source": "workbench", "target": "production"}
    assert told(found, "handoff.drafted") == (data, "")
    assert [one.slug for one in place.model.destinations.all()] == ["production"]
    handoffs.withdraw(actor=Person(place.dana, "test"), handoff_id=str(found.pk), reason="Again.")
    assert draft(place).number == 2


def test_why_nothing_is_drafted_is_said_with_its_field(place: building.Place, version: ModelVersion) -> None:
    building.a_version(building.a_place("lungs"), 7)
    shop = {"kind": "creation", "organisation": place.source.organisation, "owner": place.dana}
    Environment.objects.create(slug="shop", name="Shop", **shop)
    afar = shop | {"kind": "production", "organisation": Organisation.objects.create(slug="afar", name="Afar")}
    Environment.objects.create(slug="afar", name="Afar", **(afar | {"owner": place.mallory}))
    there_is_none = "There is no such environment."
    for change, expected in (
        ({"model": "livers"}, ("not_found", "There is no such model.", {})),
        ({"version": 7}, ("not_found", "Tumours has no version 7.", {})),
        ({"source": "nowhere"}, ("not_found", there_is_none, {"source": "There is no environment nowhere."})),
        ({"target": "nowhere"}, ("not_found", there_is_none, {"target": "There is no environment nowhere."})),
        ({"target": "workbench"}, ("not_ready", "A handoff goes from one environment to another.",
                                   {"target": "is also the source"})),
        ({"target": "shop"}, ("not_ready", "A creation environment receives no handoffs.",
                              {"target": "is a creation environment"})),
    ):  # fmt: skip
        assert refused(handoffs.draft, actor=Person(place.dana, "test"), **(BODY | change)) == expected
    first = draft(place)
    again = refused(handoffs.draft, actor=Person(place.dana, "test"), **BODY)
    assert again[:2] == ("already_open", "Version 1 is already offered to Production.")
    assert list(Handoff.objects.filter(model=place.model)) == [first]


def test_a_draft_changes_in_what_is_said_and_after_the_offer_not_at_all(
    place: building.Place, version: ModelVersion
) -> None:
    building.batch_streams(place)
    handoff = draft(place)
    of = {"actor": Person(place.dana, "test"), "handoff_id": str(handoff.pk)}
    before = handoff.bindings
    noted = handoffs.change(note="For May.", **of)
    assert (noted.note, noted.bindings, noted.revision) == ("For May.", before, handoff.revision + 1)
    bindings = {"mode": "batch", "input": {"stream": "days"}, "outputs": [{"stream": "gone"}]}
    bound = handoffs.change(bindings=bindings, revision=noted.revision, **of)
    assert (bound.note, bound.bindings["input"]["stream"], bound.revision) == ("For May.", "days", noted.revision + 1)
    assert bound.bindings["input"]["digest"], "it is pinned as it is now"
    events = AuditEvent.objects.filter(action="handoff.bindings_changed", chain=f"handoff:{handoff.pk}").order_by("pk")
    assert [one.told["data"] for one in events] == [
        {"note": "For May.", "bindings": before}, {"note": "For May.", "bindings": bound.bindings},
    ]  # fmt: skip
    handoff.refresh_from_db()
    assert (handoff.note, handoff.bindings, handoff.revision) == (bound.note, bound.bindings, bound.revision)
    assert refused(handoffs.change, note="Late.", revision=noted.revision, **of)[0] == "changed_since_shown"
    assert refused(handoffs.change, note="Mine.", **(of | {"actor": Person(place.vera, "test")}))[0] == "role_not_held"
    handoffs.change(bindings={}, **of)
    handoffs.offer(**of)
    for act, more, words in (
        (handoffs.change, {"note": "Now?"}, "An offered handoff does not change; withdraw it and draft a new one."),
        (handoffs.offer, {}, "A handoff that is in review cannot be offered."),
    ):
        assert refused(act, **of, **more)[:2] == ("wrong_state", words)
    assert refused(handoffs.offer, **(of | {"actor": Person(place.vera, "test")}))[0] == "role_not_held"
    handoff.refresh_from_db()
    assert handoff.note == "For May."


def test_an_offer_is_returned_and_told_with_the_digests_of_what_it_froze(
    place: building.Place, version: ModelVersion
) -> None:
    found = handoffs.offer(actor=Person(place.dana, "test"), handoff_id=str(draft(place).pk))
    assert (found.state, found.offered_by) == (State.IN_REVIEW, place.dana)
    assert told(found, "handoff.offered")[0] == {
        "digest": version.digest,
        "policy": "short r1",
        "policy_digest": found.policy_digest,
        "report_digest": found.report_digest,
    }
    assert Handoff.objects.get(pk=found.pk).policy_revision == PolicyRevision.objects.get()


@pytest.mark.parametrize(
    ("state", "may"),
    [("draft", True), ("in_review", True), ("testing", True), ("ready", True), ("deploying", False), ("live", False)],
)
def test_it_is_withdrawn_until_it_is_deployed(state: str, may: bool, place: building.Place) -> None:
    policy = building.a_policy(("integrity", "golden"))
    beside = building.open_review(place, building.offered(place, building.a_version(place, 2), policy))
    version = building.a_version(place)
    handoff = draft(place) if state == "draft" else building.offered(place, version, policy)
    if state not in ("draft", "in_review"):
        building.open_review(place, handoff)
        job = jobs.claim(handoff.jobs.get(purpose="test:golden").pk, "tester", task=queue.RUN_TEST)
        assert job is not None
        promotion_tests.begin(job.pk, job.fence)
        passed_it = TestReport("passed", "It went well.", {}, {}, "", 0.0)
        promotion_tests.finish(job.pk, job.fence, passed_it, actor=Worker("tester"))
        for passed in ("ready", "deploying", "confirming", "live"):
            if handoff.state != state:
                Handoff.objects.filter(pk=handoff.pk).update(state=passed)
                handoff.refresh_from_db()
    of = {"actor": Person(place.dana, "test"), "handoff_id": str(handoff.pk)}
    if not may:
        words = f"A handoff that is {State(state).label} cannot be withdrawn."
        assert refused(handoffs.withdraw, reason="No.", **of)[:2] == ("wrong_state", words)
        return
    assert refused(handoffs.withdraw, reason=" ", **of)[2] == {"reason": "is empty"}
    assert handoffs.withdraw(reason="A better one comes.", **of).state == State.WITHDRAWN
    assert told(handoff, "handoff.withdrawn")[1] == "A better one comes."
    moved = AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}", action="handoff.moved").latest("pk").told
    assert (moved["data"], moved["reason"]) == ({"from": state, "to": "withdrawn"}, "A better one comes.")
    states = dict(handoff.jobs.values_list("purpose", "state"))
    assert states in ({}, {"test:integrity": "cancelled", "test:golden": "done"})
    assert set(beside.jobs.values_list("state", flat=True)) == {"queued"}


def test_what_runs_out_is_ended_once_and_its_work_with_it(place: building.Place) -> None:
    policy = building.a_policy(("integrity",))
    late, early = (
        building.open_review(place, building.offered(place, building.a_version(place, number), policy))
        for number in (1, 2)
    )
    told_ = {"actor": Worker("beat")}
    assert handoffs.expire(handoff_id="00000000-0000-0000-0000-000000000000", **told_) is None
    Handoff.objects.filter(pk=late.pk).update(expires_at=timezone.now())
    done = handoffs.expire(handoff_id=str(late.pk), **told_)
    assert done is not None
    assert (done.pk, done.state) == (late.pk, State.EXPIRED)
    assert handoffs.expire(handoff_id=str(late.pk), **told_) is None
    assert told(late, "handoff.expired") == ({}, "")
    moved = AuditEvent.objects.filter(chain=f"handoff:{late.pk}", action="handoff.moved").latest("pk")
    assert moved.told["reason"] == "nobody finished it in time"
    assert [one.state for one in late.jobs.all()] == ["cancelled"]
    assert [one.state for one in early.jobs.all()] == ["queued"]
    Handoff.objects.filter(pk=early.pk).update(expires_at=timezone.now(), state="ready")
    Handoff.objects.filter(pk=early.pk).update(state="deploying")
    assert handoffs.expire(handoff_id=str(early.pk), **told_) is None, "what is being deployed is not cut off"
