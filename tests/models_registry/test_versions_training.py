"""What a version says of its training: optional, sealed with it, and read strictly."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from audit.models import Account
from models_registry.models import ModelVersion, RegisteredModelUserGrant
from tests.handoff import building
from tests.models_registry.conftest import counts
from tests.models_registry.test_versions_register import URL, post

Api = Callable[[str], APIClient]
PIPELINE = "a" * 64


def told(**more: Any) -> bytes:
    return json.dumps({"pipeline": PIPELINE, **more}).encode()


def test_a_service_account_registers_a_retrain_over_the_api(
    place: building.Place, api: Api, elements: dict[str, bytes], store: Path
) -> None:
    robot = Account.objects.create(username="trainer", kind=Account.Kind.SERVICE, responsible=place.otto)
    building._grant(RegisteredModelUserGrant, robot, "data_scientist", place.model)
    assert post(api("dana"), elements).status_code == 201
    assert api("dana").post(f"{URL}1/nominate/").status_code == 200, "it may be left out"
    assert "training" not in ModelVersion.objects.get(number=1).manifest
    assert post(api("trainer"), elements | {"training": told(retrained_from=1)}).status_code == 201
    assert api("trainer").post(f"{URL}2/nominate/").status_code == 200
    sealed = ModelVersion.objects.get(number=2)
    assert '"name":"training"' in sealed.manifest
    assert json.loads(sealed.elements.get(name="training").text or "") == {"pipeline": PIPELINE, "retrained_from": 1}


@pytest.mark.parametrize(
    "training",
    [
        b"{}", b"[]", b"no", told(more=1), told(retrained_from=0), told(retrained_from="1"), told(retrained_from=True),
        b'{"pipeline": "A"}', b'{"pipeline": 1}', b'{"retrained_from": 1}',
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_without_a_trace(
    training: bytes, api: Api, elements: dict[str, bytes], store: Path
) -> None:
    before = counts(store)
    answer = post(api("dana"), {"training": training})
    assert (answer.status_code, answer.json()["code"]) == (422, "training_invalid")
    assert counts(store) == before


@pytest.mark.parametrize("number", [1, 2, 9])
def test_a_retrain_of_what_is_not_sealed_before_it_is_not_nominated(
    number: int, api: Api, elements: dict[str, bytes], store: Path
) -> None:
    assert post(api("dana"), elements).status_code == 201
    assert post(api("dana"), elements | {"training": told(retrained_from=number)}).status_code == 201
    answer = api("dana").post(f"{URL}2/nominate/")
    assert (answer.status_code, answer.json()["code"]) == (422, "training_invalid")
    assert ModelVersion.objects.get(number=2).state == "draft"
