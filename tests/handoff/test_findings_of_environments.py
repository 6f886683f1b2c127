"""What an engine serves and no handoff knows of is a finding of its environment: told, closed with evidence, hidden."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from audit.actors import Worker
from audit.models import Account, AuditEvent
from handoff import tasks
from handoff.errors import Refused
from handoff.models import Finding
from handoff.plans import EngineAnswer, Served
from handoff.queries.inbox import count_of
from handoff.rules.reconciliations import Difference, subject_of
from handoff.services import findings, reconciliations
from models_registry.models import Environment
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import by, client_of
from tests.queries import counting

pytestmark = pytest.mark.django_db
ROBOT = Worker("reconciliation")
ODD = Served("odd", "1", "c" * 64, 3, True)
LINK = {"kind": "link", "link": "https://tickets.example.org/1"}


@pytest.fixture
def site(place: Place) -> Place:
    """Return a place in which nothing was ever handed over."""
    return walking.a_site(place)


def looked(place: Place, *served: Served) -> list[Finding]:
    """Keep that an engine serves something, and bring all findings in step."""
    answer = EngineAnswer(served)
    reconciliations.keep(actor=ROBOT, environment_id=place.target.pk, answer=answer, asked_at=timezone.now())
    found = [one for pk in reconciliations.watched().values_list("pk", flat=True) for one in _of(handoff_id=pk)]
    return found + [
        one for pk in reconciliations.places_watched().values_list("pk", flat=True) for one in _of(environment_id=pk)
    ]


def _of(**about: Any) -> list[Finding]:
    if "handoff_id" in about:
        return reconciliations.look(actor=ROBOT, **about)
    return reconciliations.look_at_place(actor=ROBOT, **about)


def strange(place: Place) -> Finding:
    """Return the finding of a strange model that its engine serves."""
    assert looked(place, ODD) == []
    (finding,) = looked(place, ODD)
    return finding


def api_of(account: Account) -> APIClient:
    client = APIClient()
    client.force_authenticate(account)
    return client


def test_a_strange_model_is_one_finding_of_its_environment_until_it_is_gone(site: Place) -> None:
    finding = strange(site)
    assert (finding.handoff_id, finding.environment_id, finding.owner) == (None, site.target.pk, site.otto)
    assert (finding.severity, finding.suspends, finding.kind) == ("high", False, "served")
    assert 6 <= (finding.due_at - timezone.now()).days <= 7
    assert "The engine of Production serves what nobody approved: odd version 1" in str(finding)
    assert looked(site, ODD) == []
    assert looked(site, Served("odd", "2", "d" * 64, 4, True)) == [], "another version of it is the same stranger"
    assert looked(site) == []
    finding.refresh_from_db()
    assert (finding.closing, finding.closed_by) == ("resolved", None)
    told = AuditEvent.objects.filter(chain=f"environment:{site.target.pk}", action__startswith="finding.")
    assert list(told.order_by("seq").values_list("action", flat=True)) == ["finding.raised", "finding.closed"]


def test_the_task_raises_it(site: Place, settings: Any) -> None:
    for _ in range(2):
        answer = EngineAnswer((ODD,))
        reconciliations.keep(actor=ROBOT, environment_id=site.target.pk, answer=answer, asked_at=timezone.now())
    settings.ENGINE_URLS = {}
    tasks.reconcile()
    assert Finding.objects.get().environment == site.target


def test_once_a_handoff_knows_of_it_the_finding_is_the_handoffs(site: Place) -> None:
    finding = strange(site)
    handoff = counting.signed(site, building.a_version(site))
    served = Served("tumours", "1", "c" * 64, 3, True)
    looked(site, served)
    (other,) = looked(site, served)
    assert (other.handoff, other.environment) == (handoff, None)
    finding.refresh_from_db()
    assert finding.closing == "resolved"


def test_two_long_names_that_begin_alike_have_a_finding_each() -> None:
    one, other = (subject_of(Difference("stranger", "m" * 90 + end, "x")) for end in "ab")
    assert one != other
    assert max(len(one), len(other)) <= 60
    assert subject_of(Difference("stranger", "odd", "x")) == "served:stranger:odd"


Door = Callable[[Place, Account, Finding, dict[str, str]], int]


def by_service(site: Place, who: Account, finding: Finding, evidence: dict[str, str]) -> int:
    try:
        findings.close_in(actor=by(who), environment="production", finding_id=finding.pk, evidence=evidence)
    except Refused as refusal:
        return refusal.status
    return 200


def by_page(site: Place, who: Account, finding: Finding, evidence: dict[str, str]) -> int:
    to = reverse("environment-finding-close", args=["production", finding.pk])
    status = client_of(who).post(to, {"link": evidence.get("link", "")}).status_code
    return 200 if status == 303 else int(status)


def by_api(site: Place, who: Account, finding: Finding, evidence: dict[str, str]) -> int:
    to = reverse("api:environment-finding-close", args=["production", finding.pk])
    told = {"evidence": evidence or {"kind": "link"}}
    return int(api_of(who).post(to, told, headers={"Idempotency-Key": str(uuid4())}).status_code)


@pytest.mark.parametrize("door", [by_service, by_page, by_api])
def test_it_is_closed_with_evidence_by_who_answers_for_it(door: Door, site: Place) -> None:
    finding = strange(site)
    for who, evidence, status in (
        (site.mallory, LINK, 404),
        (site.dana, LINK, 404),
        (site.ada, LINK, 404),
        (site.edda, LINK, 403),
        (site.otto, {}, 422),
    ):
        assert door(site, who, finding, evidence) == status, who
        finding.refresh_from_db()
        assert finding.closed_at is None
    assert door(site, site.otto, finding, LINK) == 200
    finding.refresh_from_db()
    assert (finding.closing, finding.closed_by, finding.proof_link) == ("fixed", site.otto, LINK["link"])
    assert door(site, site.otto, finding, LINK) == 409
    (again,) = looked(site, ODD)
    assert again.pk != finding.pk, "evidence does not outvote the engine"


def test_nobody_else_learns_of_it(site: Place) -> None:
    finding = strange(site)
    for who in (site.mallory, site.dana, site.vera):
        for address in (reverse("findings"), reverse("reconciliation"), reverse("inbox")):
            assert "odd version" not in client_of(who).get(address).content.decode(), (who, address)
        assert api_of(who).get(reverse("api:findings")).json()["results"] == []
        assert api_of(who).get(reverse("api:environment-findings", args=["production"])).status_code == 404
        assert api_of(who).get(reverse("api:reconciliation")).json() == []
    listed = reverse("admin:handoff_finding_changelist"), reverse("admin:handoff_finding_change", args=[finding.pk])
    assert "odd version" not in client_of(site.ada).get(listed[0]).content.decode()
    assert client_of(site.ada).get(listed[1]).status_code == 302
    client = client_of(site.mallory)
    to = reverse("environment-finding-close", args=["production", finding.pk])
    assert client.post(to, {"file": SimpleUploadedFile("log.txt", b"seen")}).status_code == 404


def test_it_is_closed_in_its_own_environment_only(site: Place) -> None:
    finding = strange(site)
    other = Environment.objects.create(
        slug="zurich", name="Zurich", kind="production", organisation=site.target.organisation, owner=site.otto
    )
    with pytest.raises(Refused) as refused:
        findings.close_in(actor=by(site.otto), environment=other.slug, finding_id=finding.pk, evidence=LINK)
    assert refused.value.message == "There is no such finding."
    finding.refresh_from_db()
    assert finding.closed_at is None


def test_those_who_work_there_see_it_at_every_door(site: Place) -> None:
    finding = strange(site)
    for who in (site.otto, site.edda):
        for address in (reverse("findings"), reverse("reconciliation")):
            assert "odd version" in client_of(who).get(address).content.decode(), (who, address)
        for address in (reverse("api:findings"), reverse("api:environment-findings", args=["production"])):
            (row,) = api_of(who).get(address).json()["results"]
            assert (row["id"], row["handoff"], row["environment"]) == (str(finding.pk), None, "production")
        assert [one["finding"] for one in api_of(who).get(reverse("api:reconciliation")).json()] == [str(finding.pk)]
        table = b"".join(api_of(who).get(reverse("api:reconciliation-table"))).decode()
        assert str(finding.pk) in table
    assert "Close it" in client_of(site.otto).get(reverse("reconciliation")).content.decode()
    assert "Close it" not in client_of(site.edda).get(reverse("reconciliation")).content.decode()
    assert "odd version" in client_of(site.otto).get(reverse("inbox")).content.decode()
    assert (count_of(site.otto), count_of(site.edda)) == ((1, False), (0, False))
    assert "odd version" not in client_of(site.edda).get(reverse("inbox")).content.decode()
    site.edda.is_staff = True
    site.edda.save(update_fields=["is_staff"])
    shown = client_of(site.edda).get(reverse("admin:handoff_finding_change", args=[finding.pk])).content.decode()
    assert "odd version" in shown
    assert f"{reverse('reconciliation')}#finding-{finding.pk}" in shown


def test_who_owns_the_environment_is_told_without_a_role(site: Place) -> None:
    site.target.owner = site.vera
    site.target.save(update_fields=["owner"])
    finding = strange(site)
    assert finding.owner == site.vera
    assert "odd version" in client_of(site.vera).get(reverse("reconciliation")).content.decode()
    assert by_service(site, site.vera, finding, LINK) == 200


def test_a_file_that_closed_it_is_a_download_for_those_who_may_know(site: Place) -> None:
    finding = strange(site)
    to = reverse("environment-finding-close", args=["production", finding.pk])
    client = client_of(site.otto)
    assert client.post(to, {"file": SimpleUploadedFile("log.txt", b"it is unloaded")}).status_code == 303
    file = reverse("environment-finding-file", args=["production", finding.pk])
    assert file in client.get(reverse("reconciliation")).content.decode()
    assert b"".join(client.get(file)) == b"it is unloaded"  # type: ignore[arg-type]
    assert client_of(site.dana).get(file).status_code == 404


WRONG: dict[str, dict[str, Any]] = {
    "of nothing": {"environment": None},
    "an issue": {"kind": "issue"},
    "a blocking one": {"suspends": True},
    "about nothing": {"subject": ""},
    "a second one": {},
}


@pytest.mark.parametrize("case", WRONG)
def test_the_database_takes_no_other_finding_of_an_environment(case: str, site: Place) -> None:
    finding = strange(site)
    told = {
        **{
            name: getattr(finding, name) for name in ("environment", "kind", "subject", "suspends", "items", "severity")
        },
        **{name: getattr(finding, name) for name in ("owner", "due_at")},
        "raised_by": site.otto,
    }
    with pytest.raises(IntegrityError), transaction.atomic():
        Finding.objects.create(**told | WRONG[case])
    assert Finding.objects.count() == 1


def test_a_finding_is_of_a_handoff_or_of_an_environment_and_never_both(site: Place) -> None:
    finding = strange(site)
    handoff = counting.signed(site, building.a_version(site))
    told = {"kind": "served", "subject": "x", "suspends": False, "items": {"x": "y"}, "severity": "high"}
    with pytest.raises(IntegrityError, match="finding_of_a_handoff_or_an_environment"), transaction.atomic():
        Finding.objects.create(handoff=handoff, environment=site.target, due_at=finding.due_at, **told)
    assert Finding.objects.count() == 1
