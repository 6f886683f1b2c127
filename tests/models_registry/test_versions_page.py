"""The page of a version, as a person reads it."""

import json
from typing import Any

from django.test import Client

from audit.actors import Person
from models_registry.models import Environment
from models_registry.services import versions
from tests.handoff import building

LITTLE = {
    "metrics": [{"name": "rmse", "output": "y", "maximum": 1}],
    "tolerance": {"absolute": 0, "relative": 0},
}


def page_of(place: building.Place, thresholds: dict[str, object], runtime: dict[str, object]) -> str:
    """Return the page of a draft that has these two elements."""
    dana = Person(place.dana, "test")
    versions.draft(actor=dana, model="tumours")
    for name, content in (("thresholds", thresholds), ("runtime", runtime)):
        given = [json.dumps(content).encode()]
        versions.set_element(actor=dana, model="tumours", number=1, name=name, chunks=given)
    browser = Client()
    browser.force_login(place.dana, backend="django.contrib.auth.backends.ModelBackend")
    return " ".join(browser.get("/models/tumours/versions/1/").content.decode().split())


def test_requirements_and_thresholds_are_told_in_words(place: building.Place) -> None:
    thresholds = {
        "metrics": [
            {"name": "rmse", "output": "prediction", "maximum": 70.0},
            {"name": "r2", "output": "prediction", "minimum": 0.2, "maximum": 1},
        ],
        "tolerance": {"absolute": 1e-6, "relative": 0.001},
        "latency_p99_ms": 50,
        "peak_memory_mb": 600,
        "against_live": {"metric": "rmse", "margin": 0.5},
    }
    page = page_of(place, thresholds, {"python": ">=3.11", "packages": {"numpy": ">=2,<3"}})
    for asked, how_much in (
        ("rmse of prediction", "at most 70"),
        ("r2 of prediction", "at least 0.2, at most 1"),
        ("Golden records are reproduced", "within 1e-06 plus 0.001 of the value"),
        ("Latency of 99 in 100 requests", "at most 50 ms"),
        ("Peak memory", "at most 600 MB"),
        ("rmse beside the live version", "worse by 0.5 at most"),
        ("numpy", "&gt;=2,&lt;3"),
    ):
        assert f"<dt>{asked}</dt><dd>{how_much}</dd>" in page, asked


def test_what_a_version_does_not_promise_is_not_told(place: building.Place) -> None:
    page = page_of(place, LITTLE, {"python": ">=3.11", "packages": {}})
    assert "<dt>Python</dt><dd>&gt;=3.11</dd>" in page
    assert "Peak memory" not in page
    assert "Latency of" not in page
    assert "beside the live version" not in page


def test_production_answers_on_the_first_day(place: building.Place, api: Any) -> None:
    rules = {
        "onnxruntime": {"answer": "allow", "versions": "<2"},
        "torch": {"answer": "prohibit", "versions": "<3", "reason": "It loads pickles."},
        "scipy": {"answer": "warn", "reason": "Talk to us."},
    }
    policy = {"default": "allow", "rules": rules, "install": {"polars": "1.36.0"}}
    Environment.objects.filter(slug="production").update(import_policy=policy, packages={"onnxruntime": "1.32.0"})
    asked = {"onnxruntime": ">=1.30,<2", "torch": ">=2,<3", "scipy": ">=1.17,<2", "polars": ">=1.30,<2"}
    page = page_of(place, LITTLE, {"python": ">=3.11", "packages": asked})
    found = api("dana").get("/api/v1/models/tumours/versions/1/verdicts/").json()
    assert [one["environment"] for one in found] == ["production"]
    verdicts = found[0]["verdicts"]
    assert [(one["library"], one["answer"], one["installed"], one["nearest"]) for one in verdicts] == [
        ("torch", "prohibit", "", ""),
        ("scipy", "warn", "", ""),
        ("onnxruntime", "allow", "1.32.0", "1.32.0"),
        ("polars", "allow", "", "1.36.0"),
    ]
    assert verdicts[0]["reason"] == "It loads pickles."
    for told in (
        'It loads pickles. <a href="/environments/production/exceptions/new/?library=torch&amp;version=" >Ask for',
        "1.36.0 is installed on request.",
        "Talk to us. Not installed there.",
    ):
        assert told in page, told


def test_a_draft_without_a_runtime_asks_for_nothing_yet(place: building.Place, api: Any) -> None:
    versions.draft(actor=Person(place.dana, "test"), model="tumours")
    address = "/api/v1/models/tumours/versions/1/verdicts/"
    assert api("dana").get(address).json() == []
    assert api("mallory").get(address).status_code == 404
