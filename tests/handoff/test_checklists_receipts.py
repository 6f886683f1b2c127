"""A file is evidence only for whoever sent it: a digest, or somebody else's receipt, opens no bytes."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from rest_framework.test import APIClient

from audit.models import Account, AuditEvent
from handoff.models import Answer, Handoff
from models_registry.models import Blob
from tests.handoff import walking
from tests.handoff.building import Place


@pytest.fixture
def site(db: None, store: Any) -> Place:
    return walking.a_site()


@pytest.fixture
def handoff(site: Place) -> Handoff:
    return walking.offered(site)


def at(account: Account) -> APIClient:
    client = APIClient()
    client.force_authenticate(account)
    return client


def sent(handoff: Handoff, account: Account) -> dict[str, Any]:
    file = SimpleUploadedFile("purpose.pdf", b"%PDF what it is for")
    answer = at(account).post(reverse("api:handoff-evidence", args=[handoff.pk]), {"file": file}, format="multipart")
    assert answer.status_code == 201
    found: dict[str, Any] = answer.json()
    return found


def answer(handoff: Handoff, account: Account, **evidence: Any) -> Any:
    body = {"item": "purpose", "choice": "yes", "evidence": [{"kind": "file", **evidence}]}
    return at(account).post(reverse("api:handoff-answers", args=[handoff.pk]), body, format="json")


def test_whoever_sent_a_file_may_offer_it(handoff: Handoff, site: Place) -> None:
    file = sent(handoff, site.dana)
    given = answer(handoff, site.dana, receipt=file["receipt"])
    assert given.status_code == 201
    [row] = given.json()["evidence"]
    assert (row["label"], row["sha256"]) == ("purpose.pdf", file["sha256"])


def test_a_digest_or_somebody_elses_receipt_is_no_evidence(handoff: Handoff, site: Place) -> None:
    theirs = sent(handoff, site.otto)["receipt"]
    element = Blob.objects.exclude(pk=None).first()
    assert element is not None
    events = AuditEvent.objects.count()
    for evidence in ({"receipt": theirs}, {"sha256": element.pk}, {"receipt": element.pk}, {"receipt": theirs + "x"}):
        refused = answer(handoff, site.dana, **evidence)
        assert refused.status_code == 422
        assert "evidence[0].receipt" in refused.json()["fields"]
    assert not Answer.objects.exists()
    assert AuditEvent.objects.count() == events
