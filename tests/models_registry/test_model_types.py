"""The type of a model: said once, held to what its thresholds measure, and no way to a lighter policy."""

from collections.abc import Callable

import orjson
import pytest
from django.db import DatabaseError, transaction
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from audit.actors import Person
from audit.errors import Refused
from audit.models import AuditEvent
from handoff.rules.policy_terms import MODEL_TYPES
from models_registry.models import ModelVersion, RegisteredModel, RegisteredModelUserGrant
from models_registry.rules.model_types import MEASURED_BY, contradicted
from models_registry.services import registered_models
from tests.handoff import building
from tests.models_registry.conftest import files


def say(place: building.Place, model_type: str) -> RegisteredModel:
    return registered_models.change(actor=Person(place.dana, "test"), slug="tumours", model_type=model_type)


def kept() -> tuple[str, int, int]:
    model = RegisteredModel.objects.get(slug="tumours")
    return model.model_type, model.revision, AuditEvent.objects.count()


def test_policies_and_models_name_the_same_types() -> None:
    assert tuple(RegisteredModel.ModelType.values) == MODEL_TYPES
    assert set(MEASURED_BY) <= set(MODEL_TYPES)


@pytest.mark.parametrize(
    ("model_type", "metrics", "told"),
    [
        ("classification", ["accuracy", "mae"], ""),
        ("classification", ["mae"], "the thresholds name mae"),
        ("regression", ["roc_auc"], "a regression model is measured by mae, r2, rmse"),
        ("forecasting", [], "the thresholds name nothing"),
        ("ranking", ["accuracy"], ""),
        ("", ["accuracy"], ""),
    ],
)
def test_metrics_go_with_the_type_or_contradict_it(model_type: str, metrics: list[str], told: str) -> None:
    found = contradicted(model_type, metrics)
    assert told in found if told else not found


@pytest.mark.django_db
def test_the_type_of_one_model_hangs_on_its_own_versions(place: building.Place) -> None:
    building.a_version(place)  # measured by accuracy
    prices = RegisteredModel.objects.create(slug="prices", name="Prices", created_by=place.dana)
    building._grant(RegisteredModelUserGrant, place.dana, "data_scientist", prices)
    told = registered_models.change(actor=Person(place.dana, "test"), slug="prices", model_type="regression")
    assert told.model_type == "regression"


@pytest.mark.django_db
def test_the_type_is_said_at_any_time_and_stays_once_a_version_is_nominated(place: building.Place) -> None:
    assert say(place, "regression").model_type == "regression"
    assert say(place, "").model_type == ""
    building.a_version(place)
    before = kept()
    with pytest.raises(Refused) as odd:
        say(place, "clasification")
    with pytest.raises(Refused) as contradiction:
        say(place, "regression")  # what was sealed is measured by accuracy
    assert (odd.value.code, contradiction.value.code) == ("invalid", "type_contradicted")
    assert kept() == before
    assert say(place, "classification").model_type == "classification"
    before = kept()
    for other in ("", "other"):
        with pytest.raises(Refused) as fixed:
            say(place, other)
        assert fixed.value.code == "type_fixed"
    assert kept() == before


@pytest.mark.django_db
@pytest.mark.parametrize("changes", [{"model_type": "other"}, {"model_type": ""}], ids=str)
def test_the_database_lets_nobody_change_the_type_of_a_nominated_model(
    place: building.Place, changes: dict[str, str]
) -> None:
    RegisteredModel.objects.update(model_type="classification")
    building.a_version(place)
    before = list(RegisteredModel.objects.values())
    with pytest.raises(DatabaseError, match="the type of a nominated model"), transaction.atomic():
        RegisteredModel.objects.update(**changes)
    with pytest.raises(DatabaseError, match="model_type_known"), transaction.atomic():
        RegisteredModel.objects.create(slug="x", name="x", model_type="oracle", created_by=place.dana)
    assert list(RegisteredModel.objects.values()) == before


@pytest.mark.django_db
def test_a_version_that_is_measured_as_another_type_is_not_sealed(
    place: building.Place, api: Callable[[str], APIClient], elements: dict[str, bytes]
) -> None:
    dana = api("dana")
    assert dana.post("/api/v1/models/tumours/versions/", files(elements), format="multipart").status_code == 201
    say(place, "forecasting")
    before = kept()
    tag = dana.get("/api/v1/models/tumours/versions/1/").headers["ETag"]
    answer = dana.post("/api/v1/models/tumours/versions/1/nominate/", headers={"If-Match": tag})
    assert (answer.status_code, answer.json()["code"]) == (422, "type_contradicted")
    assert "thresholds" in answer.json()["fields"]
    assert (ModelVersion.objects.get().state, kept()) == ("draft", before)


@pytest.mark.django_db
def test_the_type_is_said_on_a_page_and_over_the_api(place: building.Place, client: Client) -> None:
    client.force_login(place.dana)
    page = reverse("model-change", args=["tumours"])
    assert "not said yet" in client.get(page).content.decode()
    model = place.model
    told = {"name": "Tumours", "purpose": model.purpose, "owner_team": model.owner_team, "risk_tier": "medium"}
    sent = {**told, "model_type": "ranking", "seen": model.revision}
    assert client.post(page, sent).status_code == 302
    assert kept()[0] == "ranking"
    stale = client.post(page, {**sent, "model_type": "other"})
    assert (stale.status_code, kept()[0]) == (409, "ranking")
    found = client.get("/api/v1/models/?model_type=ranking").json()["results"]
    assert [(one["slug"], one["model_type"]) for one in found] == [("tumours", "ranking")]
    tag = client.get("/api/v1/models/tumours/").headers["ETag"]
    answer = client.patch(
        "/api/v1/models/tumours/",
        orjson.dumps({"model_type": "anomaly_detection"}),
        "application/json",
        headers={"If-Match": tag},
    )
    assert (answer.status_code, answer.json()["model_type"]) == (200, "anomaly_detection")
    assert "anomaly detection" in client.get(reverse("model", args=["tumours"])).content.decode()


@pytest.mark.django_db
def test_who_does_not_build_a_model_changes_nothing_about_it(place: building.Place, client: Client) -> None:
    before = kept()
    told = {"name": "x", "purpose": "x", "owner_team": "x", "risk_tier": "low", "model_type": "other", "seen": 1}
    for who, status in (("vera", 403), ("mallory", 404)):
        client.force_login(place.people[who])
        assert client.post(reverse("model-change", args=["tumours"]), told).status_code == status
    assert kept() == before
