"""A retrain by the locked pipeline goes live among few while what comes out stays inside the bounds of the policy."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from handoff.errors import Conflict, GateShut, Invalid
from handoff.models import Deployment, Handoff, SignOff, StandardChange
from handoff.queries.invariants import check
from handoff.states import State
from models_registry.models import EnvironmentUserGrant
from tests.handoff import building, standing, walking
from tests.handoff.building import Place
from tests.handoff.standing import deployed, in_full, measured, offered, ready, signed
from tests.handoff.test_standard_changes import kind, missing

pytestmark = pytest.mark.django_db
PIPELINE = "a" * 64
RETRAIN = {
    "signers": {"review": ["it_operations"], "release": ["it_operations"]},
    "metrics": {"roc_auc": {"worse_by": 0.01, "minimum": 0.85}},
}


@pytest.fixture
def place(db: None, store: Path) -> Place:
    """Return a model, its environments and its people."""
    return building.a_place()


def policy(retrain: Any = RETRAIN, **more: Any) -> Any:
    return standing.published(None, retrain=retrain, **more)


def origin(pipeline: str = PIPELINE, retrained_from: int | None = 1) -> dict[str, Any]:
    return {"training": {"pipeline": pipeline, **({"retrained_from": retrained_from} if retrained_from else {})}}


def test_a_retrain_inside_the_bounds_goes_live_with_operations_alone(place: Place) -> None:
    first = in_full(place, policy=policy(), **origin(retrained_from=None))
    second = offered(place, 2, "other", policy=policy(), **origin())
    assert kind(second)[0] == "retrain"
    signed(second, place.otto, "acceptance")
    measured(second, roc_auc=0.89)
    signed(second, place.otto, "release")
    assert deployed(second).state == State.LIVE
    row = StandardChange.objects.get()
    assert (row.kind, row.number, row.reviewed.handoff, kind(second)) == (
        "retrain", 1, first, ("retrain", "it went live as a retrain"),
    )  # fmt: skip
    third = offered(place, 3, "other", policy=policy(), **origin(retrained_from=2))
    assert kind(third)[0] == "retrain", "from the live one as well as from the reviewed one"


def unexplained() -> list[str]:
    """Return what went live with fewer signatures than the records account for."""
    return [str(one) for one in check(["I23"]).violations]


def retrained(place: Place) -> Handoff:
    """Return a handoff that went live as a retrain of version 1."""
    in_full(place, policy=policy(), **origin(retrained_from=None))
    second = ready(place, policy=policy(), **origin())
    signed(second, place.otto, "release")
    assert deployed(second).state == State.LIVE
    return second


def test_the_invariant_finds_a_row_that_is_gone_or_untrue(place: Place) -> None:
    second = retrained(place)
    assert unexplained() == []
    for change in (
        "DELETE FROM handoff_standardchange",
        "UPDATE handoff_standardchange SET kind = 'standard'",
        "UPDATE handoff_standardchange SET number = 9",
        "UPDATE handoff_standardchange SET reviewed_id = deployment_id",
        "UPDATE models_registry_element SET text = replace(text, 'aaaa', 'bbbb') WHERE name = 'training'"
        f" AND version_id = '{second.version_id}'",
        "UPDATE handoff_decision SET facts = jsonb_set(facts, '{version}', '\"0\"') WHERE gate = 'confirm'",
    ):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute("ALTER TABLE models_registry_element DROP CONSTRAINT element_text_is_its_blob")
            cursor.execute("ALTER TABLE handoff_standardchange DROP CONSTRAINT standard_change_against_another")
            cursor.execute(change)
            assert cursor.rowcount > 0
            assert unexplained(), change
            transaction.set_rollback(True)


def test_the_database_takes_no_row_of_a_kind_that_is_not_true(place: Place) -> None:
    """Of a policy without the kind, of another pipeline, or of a word that nobody knows."""
    in_full(place, policy=policy(), **origin(retrained_from=None))
    live = Deployment.objects.get()
    for number, (more, told, why) in enumerate(
        (
            ({"policy": policy(), **origin()}, "standard", "kind_of_its_policy"),
            ({"policy": standing.published()}, "retrain", "kind_of_its_policy"),
            ({"policy": policy(), **origin("b" * 64)}, "retrain", "kind_of_its_policy"),
            ({"policy": policy()}, "retrain", "kind_of_its_policy"),
            ({"policy": policy(), **origin()}, "small", "it is of a kind"),
        ),
        start=2,
    ):
        handoff = offered(place, number, "other", **more)
        with pytest.raises(IntegrityError, match=why), transaction.atomic():
            a_row(handoff, live, told)
    assert not StandardChange.objects.exists()


def a_row(handoff: Handoff, live: Deployment, told: str) -> StandardChange:
    """Write past the services that a handoff goes live as a change of a kind."""
    order = Deployment.objects.create(
        handoff=handoff, model=handoff.model, version=handoff.version, environment=handoff.target, order=10**9,
        digest=handoff.version.digest, ordered_by="nobody",
    )  # fmt: skip
    return StandardChange.objects.create(
        handoff=handoff, deployment=order, kind=told, compared_with=live, reviewed=live, number=1, complete=False,
        reasons=["Why."],
    )  # fmt: skip


def test_a_policy_that_says_nothing_of_retrains_knows_none(place: Place) -> None:
    plain = standing.published(None)
    in_full(place, policy=plain, **origin(retrained_from=None))
    second = offered(place, 2, "other", policy=plain, **origin())
    assert kind(second) == ("full", "the policy knows no standard change")
    assert missing(second, "review") == ["validation", "acceptance"]
    third = offered(place, 3, "other", policy=policy(), **origin())
    assert "the live version was reviewed under another policy" in kind(third)[1], "nor is the key laid over it later"
    with pytest.raises(GateShut, match="not your turn"):
        signed(third, place.otto, "acceptance")
    assert (third.state, third.signoffs.count()) == (State.IN_REVIEW, 0)
    assert not StandardChange.objects.exists()


def test_the_worker_refuses_what_is_no_retrain_any_more(place: Place) -> None:
    in_full(place, policy=policy(), **origin(retrained_from=None))
    second = ready(place, policy=policy(), **origin())
    signed(second, place.otto, "release")
    assert second.state == State.DEPLOYING
    Deployment.objects.filter(state="live").update(live_at=timezone.now() - timedelta(days=91))
    assert deployed(second).state == State.READY
    assert second.jobs.latest("queued_at").error.startswith("the release gate is shut")
    assert (second.deployments.count(), StandardChange.objects.count()) == (0, 0)
    assert missing(second, "release") == ["risk", "release"]


def test_the_page_the_api_and_the_admin_say_that_it_is_a_retrain_and_take_no_word_for_it(place: Place) -> None:
    walking.a_site(place)
    place.target.hardware = ""
    place.target.save(update_fields=["hardware"])
    in_full(place, policy=policy(), **origin(retrained_from=None))
    second = offered(place, 2, "other", policy=policy(), **origin("b" * 64))
    otto, dana = walking.client_of(place.otto), APIClient()
    dana.force_authenticate(place.dana)
    address = reverse("api:handoff", args=[second.pk])
    answer = dana.get(address)
    assert answer.data["change"]["kind"] == "full"
    forged = {"kind": "retrain", "change": {"kind": "retrain"}, "retrain": True, "pipeline": PIPELINE, "note": "x"}
    dana.patch(address, forged, format="json", HTTP_IF_MATCH=answer["ETag"])
    dana.post(reverse("api:handoff-offer", args=[second.pk]), forged, format="json")
    walking.client_of(place.dana).post(reverse("handoff-change", args=[second.pk]), forged)
    assert dana.get(address).data["change"] == answer.data["change"]
    page = otto.get(reverse("handoff", args=[second.pk])).content.decode()
    assert "A full handoff: all sign" in page
    assert "The pipeline that trained it is not that of the live version." in page
    third = ready(place, 3, policy=policy(), **origin())
    for name, args in (("handoff", [third.pk]), ("handoff-sign", [third.pk, "release"])):
        page = otto.get(reverse(name, args=args)).content.decode()
        assert "Retrain: fewer signatures" in page
        assert "It retrains version 1 by the same pipeline, aaaaaaaaaaaa." in page
        assert "Roc_auc was 0.9 and is 0.895, within" in page
    signed(third, place.otto, "release")
    deployed(third)
    assert dana.get(reverse("api:handoff", args=[third.pk])).data["change"]["kind"] == "retrain"
    place.ada.is_staff = place.ada.is_superuser = True
    place.ada.save(update_fields=["is_staff", "is_superuser"])
    listed = walking.client_of(place.ada).get(reverse("admin:handoff_standardchange_changelist"))
    assert "retrain" in listed.content.decode()


def test_the_command_compares_and_tries_a_draft_that_knows_no_retrain_or_a_narrower_one(
    place: Place, tmp_path: Path
) -> None:
    second = retrained(place)
    file = tmp_path / "row.yaml"

    def told(do: str, retrain: Any) -> str:
        out = StringIO()
        file.write_text(json.dumps(standing.content(None, **({"retrain": retrain} if retrain else {}))))
        call_command("policy", do, str(file), stdout=out)
        return out.getvalue()

    assert "0 handoffs would have been stopped" in told("simulate", RETRAIN)
    for narrower in (None, RETRAIN | {"metrics": {"roc_auc": {"worse_by": 0.01, "minimum": 0.897}}}):
        assert str(second) in told("simulate", narrower), narrower
    assert "a retrain is light if signed" in told("diff", RETRAIN)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({}, "the pipeline that trained it is not that of the live version"),
        (origin("b" * 64), "the pipeline that trained it is not that of the live version"),
        (origin(retrained_from=None), "the version does not say that it retrains another one"),
        (origin(retrained_from=7), "it retrains version 7, which is neither live here nor the last that was reviewed"),
        (origin() | {"latency_p99_ms": 150}, "the thresholds is not that of the live version"),
        (origin() | {"outputs": [{"name": "label", "type": "long"}]}, "the output schema is not"),
    ],
)
def test_what_is_no_retrain_of_what_is_live_is_a_full_handoff(more: dict[str, Any], why: str, place: Place) -> None:
    in_full(place, policy=policy(), **origin(retrained_from=None))
    second = offered(place, 2, "other", policy=policy(), **more)
    assert kind(second)[0] == "full"
    assert why in kind(second)[1]
    assert missing(second, "review") == ["validation", "acceptance"]
    with pytest.raises(GateShut):
        signed(second, place.otto, "acceptance")
    assert (second.state, second.signoffs.count(), second.jobs.count()) == (State.IN_REVIEW, 0, 0)
    assert not StandardChange.objects.exists()


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [(0.855, 0.849, "must be at least 0.85"), (0.9, 0.8899, "worse by 0.0101"), (0.9, None, "was not measured")],
)
def test_what_falls_out_of_the_bounds_asks_for_all(before: float, after: float | None, why: str, place: Place) -> None:
    in_full(place, policy=policy(), roc_auc=before, **origin(retrained_from=None))
    second = offered(place, 2, "other", policy=policy(), **origin())
    signed(second, place.otto, "acceptance")
    measured(second, roc_auc=after)
    assert kind(second)[0] == "full"
    assert why in kind(second)[1]
    assert (second.state, missing(second, "release")) == (State.READY, ["risk", "release"])
    assert not StandardChange.objects.exists()


def test_without_a_pipeline_on_both_sides_nothing_is_a_retrain(place: Place) -> None:
    in_full(place, policy=policy())
    assert "does not say by which pipeline" in kind(offered(place, 2, "other", policy=policy()))[1]


def test_another_pipeline_makes_no_standard_change_either(place: Place) -> None:
    in_full(place, **origin(retrained_from=None))
    assert kind(offered(place, 2, "other", **origin("b" * 64)))[0] == "full"
    assert kind(offered(place, 3, "other", **origin()))[0] == "standard"


def test_who_trained_it_does_not_sign_for_it(place: Place) -> None:
    in_full(place, policy=policy(), **origin(retrained_from=None))
    building._grant(EnvironmentUserGrant, place.dana, "it_operations", place.target)
    second = offered(place, 2, "other", policy=policy(), **origin())
    with pytest.raises(Conflict):
        signed(second, place.dana, "acceptance")
    assert (second.state, SignOff.objects.filter(handoff=second).count()) == (State.IN_REVIEW, 0)


def test_a_policy_names_bounds_for_retrains() -> None:
    with pytest.raises(Invalid) as refused:
        policy(RETRAIN | {"metrics": {"roc_auc": {"worse_by": 0.01, "maximum": 1}, "rmse": {"worse_by": 1}}})
    assert {"retrain.metrics.roc_auc.minimum", "retrain.metrics.rmse.maximum"} == set(refused.value.fields)
