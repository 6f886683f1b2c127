"""Answer and acknowledge in the browser: evidence of every kind, and nothing lost over a refusal."""

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from handoff.models import Acknowledgement, Answer, Evidence
from models_registry.models import Blob
from tests.handoff import walking
from tests.handoff.building import Place
from tests.handoff.walking import client_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(db: None, store: Any) -> Place:
    return walking.a_site()


def a_file(content: bytes = b"Call Otto.") -> SimpleUploadedFile:
    return SimpleUploadedFile("runbook.txt", content)


def test_a_file_is_evidence_and_comes_back_as_a_download(site: Place) -> None:
    handoff = walking.offered(site)
    client = client_of(site.edda)
    url = reverse("handoff-answer", args=[handoff.pk, "runbook"])
    answer = client.post(url, {"choice": "yes", "file": a_file()})
    assert (answer.status_code, answer["Location"].partition("#")[2]) == (303, "item-runbook")
    evidence = Evidence.objects.get()
    assert (evidence.kind, evidence.label) == ("file", "runbook.txt")
    address = reverse("handoff-evidence", args=[handoff.pk, evidence.pk])
    sent = client.get(address)
    assert b"".join(sent.streaming_content) == b"Call Otto."
    assert sent["Content-Disposition"] == 'attachment; filename="runbook.txt"'
    assert sent["Content-Type"] == "application/octet-stream"
    assert client_of(site.mallory).get(address).status_code == 404


@pytest.mark.parametrize(
    ("item", "who", "typed", "kind"),
    [
        ("purpose", "dana", {"link": "https://wiki.example.org/card", "label": "Card"}, "link"),
        ("capacity", "edda", {"figure": "40,5"}, "figure"),
    ],
)
def test_links_and_figures_are_evidence(site: Place, item: str, who: str, typed: dict[str, str], kind: str) -> None:
    handoff = walking.offered(site)
    url = reverse("handoff-answer", args=[handoff.pk, item])
    assert client_of(site.people[who]).post(url, {"choice": "yes", **typed}).status_code == 303
    assert Evidence.objects.get().kind == kind


@pytest.mark.parametrize(
    ("_case", "typed", "status", "told"),
    [
        ("a yes without evidence", {"choice": "yes", "reason": "Trust <me>"}, 422, "Add a file or link"),
        ("a no without a reason", {"choice": "no"}, 422, "Is empty"),
        ("a link that is none", {"choice": "yes", "link": "javascript:alert(1)"}, 422, "Is not a link"),
        ("no choice at all", {"reason": "Trust <me>"}, 422, "Answer yes, no or not_applicable."),
    ],
)
def test_a_refused_answer_keeps_what_was_typed(
    site: Place, _case: str, typed: dict[str, str], status: int, told: str
) -> None:
    handoff = walking.offered(site)
    answer = client_of(site.dana).post(reverse("handoff-answer", args=[handoff.pk, "purpose"]), typed)
    html = answer.content.decode()
    assert answer.status_code == status
    assert told in html
    for value in typed.values():
        assert value.replace("<", "&lt;").replace(">", "&gt;") in html
    assert not Answer.objects.exists()


def test_a_file_need_not_be_sent_twice(site: Place) -> None:
    handoff = walking.offered(site)
    url = reverse("handoff-answer", args=[handoff.pk, "purpose"])
    refused = client_of(site.dana).post(url, {"choice": "no", "file": a_file()})
    token = re.search(r'name="kept"\s+value="([^"]+)"', refused.content.decode())
    assert refused.status_code == 422
    assert token
    assert client_of(site.edda).post(url, {"choice": "yes", "kept": token[1]}).status_code == 403  # not her role
    again = client_of(site.dana).post(url, {"choice": "yes", "kept": [token[1], "made up"]})
    assert again.status_code == 303
    assert [one.label for one in Evidence.objects.all()] == ["runbook.txt"]


def test_somebody_elses_kept_file_is_no_evidence(site: Place) -> None:
    handoff = walking.offered(site)
    url = reverse("handoff-answer", args=[handoff.pk, "purpose"])
    refused = client_of(site.dana).post(url, {"choice": "no", "file": a_file()})
    token = re.search(r'name="kept"\s+value="([^"]+)"', refused.content.decode())
    assert token
    hers = reverse("handoff-answer", args=[handoff.pk, "runbook"])
    assert client_of(site.edda).post(hers, {"choice": "yes", "kept": token[1]}).status_code == 422


def test_a_strangers_file_is_not_even_stored(site: Place) -> None:
    handoff = walking.offered(site)
    before = Blob.objects.count()
    url = reverse("handoff-answer", args=[handoff.pk, "purpose"])
    assert client_of(site.mallory).post(url, {"choice": "yes", "file": a_file(b"odd")}).status_code == 404
    assert Blob.objects.count() == before


def test_a_file_over_the_limit_is_refused_with_its_form(site: Place, settings: Any) -> None:
    handoff = walking.offered(site)
    settings.UPLOAD_LIMIT = 5
    url = reverse("handoff-answer", args=[handoff.pk, "purpose"])
    answer = client_of(site.dana).post(url, {"choice": "yes", "reason": "See it", "file": a_file()})
    assert answer.status_code == 413
    assert "See it" in answer.content.decode()


def test_differences_are_acknowledged_and_ticks_are_kept(site: Place) -> None:
    handoff = walking.offered(site)
    url = reverse("handoff-acknowledge", args=[handoff.pk])
    client = client_of(site.otto)
    nothing = client.post(url, {"comment": "Fine by me"})
    assert nothing.status_code == 422
    assert "Fine by me" in nothing.content.decode()
    assert handoff.report is not None
    odd = client.post(url, {"comment": "", "difference": [*handoff.report["undeclared"], "made.up"]})
    assert odd.status_code == 422
    assert re.search(r'value="tools.hardware"\s+checked', odd.content.decode())
    assert client.post(url, {"difference": handoff.report["undeclared"]}).status_code == 303
    assert Acknowledgement.objects.get().difference == "tools.hardware"


def test_only_who_answers_sees_the_form(site: Place) -> None:
    handoff = walking.offered(site)
    page = reverse("handoff", args=[handoff.pk])
    form = reverse("handoff-answer", args=[handoff.pk, "runbook"])
    assert form in client_of(site.edda).get(page).content.decode()
    assert form not in client_of(site.vera).get(page).content.decode()
