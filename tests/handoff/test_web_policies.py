"""Policies in the browser: read by everybody who is signed in, published by administrators."""

from typing import Any

import pytest
from django.urls import reverse

from handoff.models import PolicyRevision
from tests.handoff import walking
from tests.handoff.building import Place
from tests.handoff.walking import client_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(db: None, store: Any) -> Place:
    return walking.a_site()


def test_everybody_who_is_signed_in_reads_the_rules(site: Place) -> None:
    client = client_of(site.mallory)
    assert "Light handoff" in client.get(reverse("policies")).content.decode()
    html = client.get(reverse("policy-revision", args=["light", 1])).content.decode()
    assert "Does a runbook say what to do" in html
    assert "expires_after_days: 30" in html
    assert client.get(reverse("policy-revision", args=["light", 2])).status_code == 404
    assert client_of(None).get(reverse("policies")).status_code == 302


def test_administrators_publish_a_revision(site: Place) -> None:
    client = client_of(site.ada)
    source = client.get(reverse("policy-publish"), {"from": "light"}).context["source"]
    body = {"source": source.replace("30", "20").replace("\n", "\r\n")}
    body["seen"] = client.post(reverse("policy-publish"), body).context["seen"]
    answer = client.post(reverse("policy-publish"), body)
    assert (answer.status_code, answer["Location"]) == (303, reverse("policy-revision", args=["light", 2]))
    assert "\r" not in PolicyRevision.objects.get(number=2).source


def test_mistakes_are_listed_by_place_and_the_text_is_kept(site: Place) -> None:
    answer = client_of(site.ada).post(reverse("policy-publish"), {"source": "policy: light\ntests: [magic]\n# <mine>"})
    html = answer.content.decode()
    assert answer.status_code == 422
    assert "<code>tests</code>" in html
    assert "# &lt;mine&gt;" in html


def test_others_publish_nothing(site: Place) -> None:
    client = client_of(site.dana)
    assert client.get(reverse("policy-publish")).status_code == 403
    assert client.post(reverse("policy-publish"), {"source": "policy: mine"}).status_code == 403
    assert PolicyRevision.objects.count() == 1
