"""A change that is small by the policy's own words goes live with fewer signatures; whether it is one is computed."""

from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pgtrigger
import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from audit import signing
from audit.actors import Person
from audit.models import AuditEvent, TreeHead
from audit.sealing import seal_all
from handoff.errors import GateShut, Hidden, Invalid
from handoff.facts import known_of, rules_of
from handoff.models import (
    BreakGlass,
    Deployment,
    Handoff,
    Reauthentication,
    SignOff,
    StandardChange,
    Suspension,
)
from handoff.queries.packs import contents, events_of
from handoff.queries.signatures import verify
from handoff.rules.gates import evaluate
from handoff.rules.standard_changes import united
from handoff.rules.standard_signoffs import kind_of
from handoff.rules.subjects import Subject
from handoff.rules.unions import union
from handoff.services import signoffs
from handoff.states import DeploymentState, State
from tests.handoff import building, standing, walking
from tests.handoff.building import Place
from tests.handoff.standing import deployed, in_full, measured, offered, ready, signed, small

pytestmark = pytest.mark.django_db


@pytest.fixture
def place(db: None, store: Path) -> Place:
    """Return a model, its environments and its people."""
    return building.a_place()


def a_site(place: Place) -> None:
    """Let the people of a place sign in; its target has nothing that would differ from the report."""
    walking.a_site(place)
    place.target.hardware = ""
    place.target.save(update_fields=["hardware"])


def kind(handoff: Handoff) -> tuple[str, str]:
    """Return of which kind the change is now, and why."""
    judged = kind_of(rules_of(handoff), known_of(handoff).facts)
    return judged.kind, "; ".join(judged.reasons)


def missing(handoff: Handoff, gate: str) -> list[str]:
    """Return the sign-offs that a gate waits for."""
    result = evaluate(gate, rules_of(handoff), known_of(handoff).facts)
    return [one.key for one in result.missing if one.kind == "signoff"]


def test_a_small_change_goes_live_with_the_signatures_that_the_policy_names(place: Place) -> None:
    first = in_full(place)
    assert not StandardChange.objects.exists()
    second = offered(place, 2, "other")
    assert (kind(second)[0], missing(second, "review"), missing(second, "release")) == (
        "standard", ["acceptance"], ["release"],
    )  # fmt: skip
    signed(second, place.otto, "acceptance")
    assert second.state == State.TESTING
    measured(second, roc_auc=0.89)
    signed(second, place.otto, "release")
    assert deployed(second).state == State.LIVE
    row = StandardChange.objects.get()
    assert (row.handoff, row.number, row.compared_with.handoff, row.reviewed.handoff) == (second, 1, first, first)
    assert kind(second) == ("standard", "it went live as a standard change")
    assert [missing(second, gate) for gate in ("review", "release", "confirm")] == [[], [], []]
    told = AuditEvent.objects.filter(action="handoff.classified", chain=f"handoff:{second.pk}")
    assert ['"kind":"standard"' in one.body for one in told] == [True]
    assert SignOff.objects.filter(handoff=second, voided_at=None).count() == 2


def test_whoever_is_not_waited_for_may_refuse_still(place: Place) -> None:
    in_full(place)
    second = offered(place, 2, "other")
    signed(second, place.vera, "validation")
    assert second.state == State.IN_REVIEW
    building.sign(second, "review", place.vera, decision="changes", comment="Not so fast.")
    signed(second, place.otto, "acceptance")
    assert second.state == State.IN_REVIEW, "who asks for changes is heard"


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        ({"roc_auc": 0.8899}, "roc_auc is worse by 0.0101 than that of the live version 1, and may be by 0.01"),
        ({"accuracy": 0.99}, "roc_auc was not measured"),
        ({"roc_auc": "0.9"}, "roc_auc was not measured"),
        ({"roc_auc": True}, "roc_auc was not measured"),
    ],
)
def test_a_metric_that_moved_too_far_or_is_missing_asks_for_all_signatures(
    figures: dict[str, Any], why: str, place: Place
) -> None:
    in_full(place)
    second = offered(place, 2, "other")
    first = signed(second, place.otto, "acceptance")
    measured(second, **figures)
    assert kind(second) == ("full", why)
    assert missing(second, "review") == ["validation", "acceptance"]
    with pytest.raises(GateShut):
        signed(second, place.otto, "release")
    assert second.state == State.READY
    signed(second, place.vera, "validation")
    signed(second, place.otto, "acceptance")
    first.refresh_from_db()
    assert (first.voided_as, first.voided_because) == (
        "changed", "the kind of the change, and what it is compared with changed after it was given",
    )  # fmt: skip
    signed(second, place.otto, "release")
    assert second.state == State.READY, "risk has not signed"
    signed(second, place.rita, "risk")
    assert deployed(second).state == State.LIVE
    assert not StandardChange.objects.exists()


def test_a_metric_that_is_worse_by_exactly_the_limit_is_within_it(place: Place) -> None:
    in_full(place)
    assert kind(ready(place, roc_auc=0.89))[0] == "standard"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"outputs": [{"name": "label", "type": "long"}]}, "the output schema is not that of the live version"),
        ({"latency_p99_ms": 150}, "the thresholds is not that of the live version"),
        ({"packages": {"numpy": ">=2"}}, "the runtime is not that of the live version"),
    ],
)
def test_what_is_part_of_the_contract_makes_it_a_full_one(more: dict[str, Any], why: str, place: Place) -> None:
    in_full(place)
    second = offered(place, 2, "other", **more)
    assert kind(second)[0] == "full"
    assert why in kind(second)[1]
    assert missing(second, "review") == ["validation", "acceptance"]


def test_other_bindings_another_report_or_policy_make_it_a_full_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_full(place)
    second = offered(place, 2, "other")
    assert kind(second)[0] == "standard"
    second.bindings = {"slot": "main", "mode": "request"}
    Handoff.objects.filter(pk=second.pk).update(bindings=second.bindings)
    assert kind(second) == ("full", "the bindings are not those of the live version")
    other = offered(place, 3, "other", policy=standing.published(drift="report"))
    assert "another policy" in kind(other)[1]
    item = {"key": "tools.hardware", "aspect": "tools.hardware", "name": "Hardware", "source": "", "target": "GPU"}
    report = {"items": [item | {"classed": "undeclared", "holds": True}], "undeclared": []}
    monkeypatch.setattr(building, "REPORT", report)
    third = building.offered(place, building.a_version(place, 4, "other"), standing.published())
    assert kind(third) == ("full", "Hardware differs from what was signed for the live version (tools.hardware)")


def test_small_steps_do_not_add_up(place: Place) -> None:
    in_full(place, roc_auc=0.90)
    small(place, 2, 0.895)
    third = ready(place, 3, 0.889)
    assert kind(third)[0] == "full"
    assert "worse by 0.011 than that of version 1, the last that was fully reviewed" in kind(third)[1]


def test_so_many_in_a_row_and_so_long_after_the_review_and_no_more(place: Place) -> None:
    first = in_full(place)
    small(place, 2)
    small(place, 3)
    assert list(StandardChange.objects.order_by("number").values_list("number", "reviewed__handoff")) == [
        (1, first.pk), (2, first.pk),
    ]  # fmt: skip
    fourth = offered(place, 4, "other")
    assert kind(fourth) == ("full", "2 changes in a row went live with fewer signatures, and the policy allows 2")
    in_full(place, 5)
    sixth = offered(place, 6, "other")
    assert kind(sixth)[0] == "standard", "after a full review it begins anew"
    Deployment.objects.filter(handoff__version__number=5).update(live_at=timezone.now() - timedelta(days=91))
    assert kind(sixth) == ("full", "the last full review is 91 days ago, and the policy allows 90")


def test_where_nothing_is_live_all_sign(place: Place) -> None:
    first = offered(place, 1)
    assert kind(first) == ("full", "nothing is live in the target that it could be compared with")
    assert missing(first, "review") == ["validation", "acceptance"]


def test_what_was_signed_among_few_does_not_count_once_another_version_is_live(place: Place) -> None:
    in_full(place)
    second = ready(place)
    third = in_full(place, 3)
    assert StandardChange.objects.get().complete, "all signed, though fewer were enough"
    assert kind(second)[0] == "standard"
    assert missing(second, "review") == ["acceptance"], "it was signed over another version"
    with pytest.raises(GateShut):
        signed(second, place.otto, "release")
    assert (second.state, third.standard_change.number) == (State.READY, 1)


def test_the_worker_refuses_what_is_no_standard_change_any_more(place: Place) -> None:
    in_full(place)
    second = ready(place)
    signed(second, place.otto, "release")
    assert second.state == State.DEPLOYING
    Deployment.objects.filter(state="live").update(state=DeploymentState.ROLLED_BACK)
    assert deployed(second).state == State.READY
    assert second.jobs.latest("queued_at").error.startswith("the release gate is shut")
    assert not second.deployments.exists()
    assert missing(second, "release") == ["risk", "release"]


def test_the_database_keeps_the_row_true(place: Place) -> None:
    first = in_full(place)
    small(place)
    row = StandardChange.objects.get()
    for change in ({"number": 2}, {"reasons": ["No."]}):
        with pytest.raises(DatabaseError), transaction.atomic():
            StandardChange.objects.update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        row.delete()
    third = ready(place, 3)
    signed(third, place.otto, "release")
    order = Deployment.objects.create(
        handoff=third, model=place.model, version=third.version, environment=place.target, order=10**9,
        digest=third.version.digest, ordered_by="nobody",
    )  # fmt: skip
    live, reviewed = row.deployment, first.deployments.get()
    good = {"handoff": third, "deployment": order, "kind": "standard", "reasons": ["Why."], "complete": False}
    for odd in (
        {"compared_with": reviewed, "reviewed": reviewed, "number": 1},
        {"compared_with": live, "reviewed": live, "number": 1},
        {"compared_with": live, "reviewed": reviewed, "number": 1},
    ):
        with pytest.raises(IntegrityError, match="a standard change follows what is live"), transaction.atomic():
            StandardChange.objects.create(**good, **odd)
    assert StandardChange.objects.count() == 1
    StandardChange.objects.create(**good, compared_with=live, reviewed=reviewed, number=2)


@pytest.mark.parametrize(
    ("change", "place_", "why"),
    [
        ({"signer": {}}, "standard_change.signer", "did you mean signers?"),
        ({"signers": {"review": ["it_operation"]}}, "standard_change.signers.review", "did you mean it_operations?"),
        ({"signers": {"review": ["data_scientist"]}}, "standard_change.signers.review", "signs nothing at that gate"),
        ({"signers": {"confirm": ["it_operations"]}}, "standard_change.signers.confirm", "is not known"),
        ({"signers": {}}, "standard_change.signers", "names no gate"),
        ({"metrics": {}}, "standard_change.metrics", "names no metric"),
        ({"metrics": {"roc": {"worse_by": 1}}}, "standard_change.metrics.roc", "did you mean roc_auc?"),
        ({"metrics": {"f1": {"minimum": 1}}}, "standard_change.metrics.f1", "must say how much worse it may be"),
        ({"metrics": {"f1": {"worse_by": -1}}}, "standard_change.metrics.f1.worse_by", "from 0 to"),
        ({"metrics": {"f1": {"worse_by": 1, "least": 2}}}, "standard_change.metrics.f1.least", "is not known"),
        ({"metrics": {"f1": {"worse_by": 1, "minimum": "x"}}}, "standard_change.metrics.f1.minimum", "number"),
        ({"elements": ["input_schema"]}, "standard_change.elements", "golden, runtime"),
        ({"at_most": 0}, "standard_change.at_most", "from 1 to 20"),
    ],
)
def test_what_a_policy_says_wrongly_is_told_by_its_place(change: Any, place_: str, why: str) -> None:
    with pytest.raises(Invalid) as refused:
        standing.parse(standing.content(standing.STANDARD | change))
    assert why in refused.value.fields[place_]


def test_a_policy_without_the_test_that_measures_cannot_have_it() -> None:
    with pytest.raises(Invalid, match="needs the promotion test performance"):
        standing.parse(standing.content(tests=["integrity"]))


def test_a_signature_that_is_not_asked_for_at_all_is_refused_as_ever(place: Place) -> None:
    second = offered(place, 1)
    with pytest.raises((Hidden, KeyError)):
        signed(second, place.otto, "release")
    assert not SignOff.objects.exists()


@pytest.mark.parametrize("case", ["suspended", "glass", "revoked", "damaged"])
def test_what_is_live_and_does_not_stand_is_no_ground(case: str, place: Place) -> None:
    first = in_full(place)
    second = offered(place, 2, "other")
    assert kind(second)[0] == "standard"
    live = first.deployments.get()
    if case == "suspended":
        Suspension.objects.create(deployment=live, order=1, suspended_by=place.otto, reason="It is wrong.")
        why = "the live version is suspended"
    elif case == "glass":
        a_break_glass(first, place)
        why = "the live version came by break-glass, and the signatures never came"
    elif case == "revoked":
        given = SignOff.objects.get(handoff=first, requirement="risk")
        signoffs.revoke(
            actor=Person(place.rita, "test"), handoff_id=str(first.pk), signoff_id=str(given.pk), reason="Wrong."
        )
        why = "an approval of the live version does not stand any more"
    else:
        first.findings.create(kind="evidence", items={"a": "b"}, severity="high", suspends=True, due_at=timezone.now())
        why = "a finding is open against the live version"
    assert kind(second) == ("full", why)
    assert missing(second, "review") == ["validation", "acceptance"]


def a_break_glass(handoff: Handoff, place: Place) -> None:
    """Write a confirmed break-glass past the services."""
    now = timezone.now()
    proof = Reauthentication.objects.create(person=place.rita, method="password", expires_at=now)
    key = signing.sign("text/plain", b"")[1]
    with pgtrigger.ignore(*(f"handoff.BreakGlass:{one.name}" for one in BreakGlass._meta.triggers)):
        BreakGlass.objects.create(
            handoff=handoff, gate="release", state="confirmed", reason="x", incident="INC-1", asked_by=place.iris,
            confirm_by=now, role="risk_compliance", confirmed_by=place.rita, printed_name="Rita", confirmed_at=now,
            until=now + timedelta(hours=1), reauthentication=proof, key=key, signature="x", statement="x",
            statement_digest="0" * 64,
            scope={"a": "b"}, missing=[{"gate": "release"}],
        )  # fmt: skip


def test_the_page_and_the_api_say_which_kind_it_is_and_take_no_word_for_it(place: Place) -> None:
    a_site(place)
    in_full(place)
    version = building.a_version(place, 2, "other", packages={"numpy": ">=2"})
    second = building.offered(place, version, standing.published())
    forged = {
        "kind": "standard",
        "standard": True,
        "change": {"kind": "standard"},
        "standard_change": True,
        "note": "x",
    }
    client = APIClient()
    client.force_authenticate(place.dana)
    address = reverse("api:handoff", args=[second.pk])
    answer = client.get(address)
    assert (answer.data["change"]["kind"], answer.data["change"]["to_be_measured"]) == ("full", False)
    client.patch(address, forged, format="json", HTTP_IF_MATCH=answer["ETag"])
    client.post(reverse("api:handoff-offer", args=[second.pk]), forged, format="json")
    walking.client_of(place.dana).post(reverse("handoff-change", args=[second.pk]), forged)
    assert client.get(address).data["change"] == answer.data["change"]
    assert not StandardChange.objects.exists()
    page = walking.client_of(place.vera).get(reverse("handoff", args=[second.pk])).content.decode()
    assert "A full handoff: all sign" in page
    assert "The runtime is not that of the live version." in page
    third = offered(place, 3, "other")
    page = walking.client_of(place.otto).get(reverse("handoff", args=[third.pk])).content.decode()
    assert "Standard change so far: fewer signatures" in page
    sheet = walking.client_of(place.otto).get(reverse("handoff-sign", args=[third.pk, "acceptance"]))
    assert b"Standard change so far: fewer signatures" in sheet.content
    assert client.get(reverse("api:handoff", args=[third.pk])).data["change"]["to_be_measured"]


def test_a_handoff_whose_policy_knows_but_one_kind_shows_none(place: Place) -> None:
    a_site(place)
    first = in_full(place, policy=standing.published(None))
    client = APIClient()
    client.force_authenticate(place.dana)
    assert client.get(reverse("api:handoff", args=[first.pk])).data["change"] is None
    page = walking.client_of(place.dana).get(reverse("handoff", args=[first.pk])).content.decode()
    assert 'id="change"' not in page
    assert not AuditEvent.objects.filter(action="handoff.classified").exists()


def test_a_pack_and_the_admin_tell_why_fewer_signed(place: Place) -> None:
    in_full(place)
    second = small(place)
    seal_all()
    files = contents(second, events_of(second), TreeHead.objects.latest("size")).files
    about = orjson.loads(files["handoff.json"])
    assert (about["change"]["kind"], about["change"]["compared_with"]["number"]) == ("standard", 1)
    signoff = SignOff.objects.get(handoff=second, requirement="release")
    assert sha256(files["parts/change.json"]).hexdigest() == signoff.scope["change"]
    assert b"standard</b> change" in files["index.html"]
    assert not verify().wrong


def test_of_two_policies_both_must_allow_it_and_the_stricter_counts(place: Place) -> None:
    other = {
        "signers": {"review": ["validator"]}, "metrics": {"roc_auc": {"worse_by": 0.02, "minimum": 0.8}},
        "elements": [], "at_most": 5, "within_days": 10,
    }  # fmt: skip
    assert united(standing.STANDARD, other) == {
        "signers": {"review": ["validator", "it_operations"]},
        "metrics": {"roc_auc": {"worse_by": 0.01, "minimum": 0.8}},
        "elements": [], "aspects": [], "at_most": 2, "within_days": 10,
    }  # fmt: skip
    assert united(standing.STANDARD, None) is None
    both = union([(standing.content(), 1), (standing.content(other, policy="b"), 1)], Subject("production", "low"))
    assert standing.parse(both).standard_change.signers == {"review": ("validator", "it_operations")}
