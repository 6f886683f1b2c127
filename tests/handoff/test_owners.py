"""Who answered for a model or an environment on a day: on the page and over the API."""

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from audit.models import Account
from handoff.models import OwnerOfRecord
from models_registry.services import environments
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.test_findings import live
from tests.handoff.walking import by, client_of

pytestmark = pytest.mark.django_db
API = "/api/v1/owners-of-record/"


@pytest.fixture
def site(db: None, store: Any) -> Place:
    """Return a place where version 1 went live, then the environment's owner changed, then version 2 went live."""
    place = walking.a_site()
    live(place)
    environments.change(actor=by(place.ada), slug="production", owner="edda")
    place.target.refresh_from_db()
    live(place, number=2)
    return place


def page(who: Account | None, **asked: str) -> str:
    answer = client_of(who).get(reverse("owners-of-record"), asked)
    assert answer.status_code == 200
    return " ".join(unescape(answer.content.decode()).split())


def ask(who: Account, **asked: str) -> tuple[int, Any]:
    client = APIClient()
    client.force_authenticate(who)
    answer = client.get(API, asked)
    return answer.status_code, answer.json()


def test_a_day_tells_each_owner_with_the_version_that_was_live(site: Place) -> None:
    text = page(site.otto, day=timezone.now().date().isoformat(), model="tumours")
    first, second = OwnerOfRecord.objects.order_by("period")
    assert first.period.upper == second.period.lower
    for one, version in ((first, "v1"), (second, "v2")):
        row = text[text.index(f'/deployments/{one.deployment_id}/">{version}') - 400 :][:600]
        assert one.person.printed_name in row
        assert one.organisation.name in row
    assert [first.person, second.person] == [site.otto, site.edda]


def test_an_environment_tells_its_owner_too(site: Place) -> None:
    text = page(site.otto, environment="production")
    assert "Environments on" in text
    assert text.rindex(site.edda.printed_name) > text.index("Environments on")
    assert "Who answered on a day" in client_of(site.otto).get("/environments/production/").content.decode()


def test_before_it_was_live_nobody_answered(site: Place) -> None:
    text = page(site.otto, day=(timezone.now() - timedelta(days=2)).date().isoformat())
    assert "No model that you may know of was live then" in text
    assert "Environments on" not in text


def test_what_is_no_day_is_told(place: Place) -> None:
    for day in ("yesterday", "2026-02-30", "2026-13-01"):
        answer = client_of(place.otto).get(reverse("owners-of-record"), {"day": day})
        assert answer.status_code == 422
        assert f"{day} is not a day." in " ".join(answer.content.decode().split())


def test_the_api_answers_for_an_instant(site: Place) -> None:
    first, second = OwnerOfRecord.objects.order_by("period")
    at = (second.period.lower - timedelta(microseconds=1)).isoformat()
    for moment, owner, version in ((at, "otto", 1), (second.period.lower.isoformat(), "edda", 2)):
        status, told = ask(site.otto, model="tumours", environment="production", at=moment)
        assert status == 200
        assert (told["person"]["username"], told["version"], told["model"]) == (owner, version, "tumours")
    status, told = ask(site.otto, environment="production")
    assert status == 200
    assert (told["person"]["username"], told["organisation"], told["model"]) == ("edda", "plant", None)
    assert ask(site.otto, environment="production", at="2020-01-01T00:00:00Z")[0] == 404
    assert ask(site.otto)[0] == 404
    assert ask(site.otto, environment="production", at="2026-11-28")[1]["fields"] == {
        "at": ["is not a moment with a zone"]
    }
    assert first.deployment_id != second.deployment_id


def test_a_stranger_learns_nothing(site: Place) -> None:
    stranger = building.person("mallory")
    text = page(stranger)
    assert "Tumours" not in text
    assert "Production" not in text
    assert ask(stranger, model="tumours", environment="production")[0] == 404
    assert ask(stranger, environment="production")[0] == 404
