"""Deployments in the browser: what is live, a record tried on the real endpoint, rolling back."""

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse

from handoff import tasks
from handoff.executors.scoring import fields_of, record_of, score
from handoff.models import Handoff, Job
from handoff.states import JobState
from tests import processes
from tests.handoff import building
from tests.handoff.building import Place
from tests.handoff.walking import client_of

SCHEMA = """{"type": "record", "name": "r", "fields": [
    {"name": "age", "type": "int", "minimum": 0, "maximum": 130, "unit": "years"},
    {"name": "weight", "type": ["null", "double"], "minimum": 1},
    {"name": "sex", "type": {"type": "enum", "name": "s", "symbols": ["f", "m"]}},
    {"name": "known", "type": "boolean"},
    {"name": "code", "type": "string", "pattern": "[A-Z]+"},
    {"name": "series", "type": {"type": "array", "items": "double"}, "size": 2}]}"""


def test_a_schema_becomes_a_form_and_what_is_typed_a_record() -> None:
    fields = fields_of(SCHEMA)
    assert [(one.name, one.kind, one.rule, one.optional) for one in fields] == [
        ("age", "int", "int, 0 to 130", False),
        ("weight", "double", "double, at least 1, may be empty", True),
        ("sex", "enum", "enum", False),
        ("known", "boolean", "boolean", False),
        ("code", "string", "string, like [A-Z]+", False),
        ("series", "array", "2 values of double", False),
    ]
    assert fields[2].allowed == ("f", "m")
    typed = {"age": "12", "weight": "3", "sex": "f", "known": "true", "code": "12", "series": "[1, 2.5]"}
    assert record_of(fields, typed) == {
        "age": 12,
        "weight": 3.0,
        "sex": "f",
        "known": True,
        "code": "12",
        "series": [1, 2.5],
    }
    assert record_of(fields, {"age": "twelve", "weight": "NaN", "known": "maybe"}) == {
        "age": "twelve",
        "weight": "NaN",
        "sex": None,
        "known": "maybe",
        "code": None,
        "series": None,
    }


def test_an_engine_that_is_down_is_told_in_a_sentence() -> None:
    tried = score("http://127.0.0.1:9", "tumours", {"radius": 1.0})
    assert tried.output is None
    assert "cannot be reached" in tried.error


def work(handoff: Handoff) -> None:
    """Do what is queued, as a worker does."""
    for job in Job.objects.filter(handoff=handoff, state=JobState.QUEUED):
        (tasks.roll_back if job.purpose.startswith("rollback") else tasks.deploy)(str(job.pk))
    handoff.refresh_from_db()


@pytest.mark.processes
def test_a_live_deployment_is_shown_tried_and_rolled_back(
    engine: processes.Engine, place: Place, released: Callable[..., Handoff]
) -> None:
    first = released(1)
    work(first)
    client = client_of(place.otto)
    deployment = first.deployments.get()
    page = reverse("deployment", args=[deployment.pk])
    html = client.get(page).content.decode()
    assert "What happened" in html
    assert 'name="field.radius"' in html
    assert "Otto" in client.get(reverse("deployments")).content.decode()
    _try_records(client, deployment.pk)
    answer = client.post(reverse("deployment-roll-back", args=[deployment.pk]), {"reason": "Odd answers"})
    assert answer.status_code == 409
    assert "nothing to go back to" in answer.content.decode()
    assert "Odd answers" in answer.content.decode()
    second = released(2, "other")
    work(second)
    current = second.deployments.get()
    roll_back = reverse("deployment-roll-back", args=[current.pk])
    assert client_of(place.vera).post(roll_back, {"reason": "x"}).status_code == 403
    assert client_of(place.mallory).post(roll_back, {"reason": "x"}).status_code == 404
    assert client.post(roll_back, {"reason": " "}).status_code == 422
    assert client.post(roll_back, {"reason": "Odd answers"}).status_code == 303
    assert "every 2s" in client.get(reverse("deployment", args=[current.pk])).content.decode()
    work(second)
    progress = client.get(reverse("deployment-progress", args=[current.pk]), {"shown": "live"})
    assert progress["HX-Refresh"] == "true"
    assert "rolled back" in client.get(reverse("deployment", args=[current.pk])).content.decode()
    first.refresh_from_db()
    assert first.state == "live"


def _try_records(client: Any, deployment: Any) -> None:
    url = reverse("deployment-try", args=[deployment])
    good = {f"field.{name}": "1.5" for name in building.artifacts.NAMES}
    answered = client.post(url, good, headers={"HX-Request": "true"})
    assert "The endpoint answers" in answered.content.decode()
    refused = client.post(url, {**good, "field.radius": "-4", "field.area": ""}).content.decode()
    assert "the record breaks the schema" in refused
    assert 'value="-4"' in refused
    assert "(minimum)" in refused
