"""An exception to the import policy lets a handoff through, in its very version; its end suspends the approval."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pgtrigger
import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from audit.actors import Person
from audit.models import AuditEvent
from handoff import tasks
from handoff.errors import NotReady
from handoff.facts import known_of, rules_of
from handoff.models import Finding, Handoff
from handoff.queries.inbox import count_of
from handoff.rules.gates import evaluate
from models_registry.models import Environment, ImportException
from models_registry.services import import_exceptions
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.queries import counting

pytestmark = pytest.mark.django_db
WHY = "It loads pickles."
POLICY = {"default": "allow", "rules": {"torch": {"answer": "prohibit", "reason": WHY}}}
V1 = "/api/v1/environments/production/exceptions/"


@pytest.fixture
def site(db: None, store: Any) -> Place:
    """Return a site whose versions need torch, which production has and prohibits."""
    site = walking.a_site()
    Environment.objects.update(packages={"torch": "2.5.0"})
    Environment.objects.filter(slug="production").update(import_policy=POLICY)
    return site


def a_version(site: Place) -> Any:
    return building.a_version(site, packages={"torch": ">=2,<3"})


def asked(site: Place, version: str = "2.5.0") -> ImportException:
    return import_exceptions.ask(
        actor=Person(site.dana, "test"), environment="production", library="torch", version=version, reason="Weights."
    )


def granted(site: Place, version: str = "2.5.0", days: int = 30) -> ImportException:
    return import_exceptions.answer(
        actor=Person(site.otto, "test"),
        environment="production",
        exception_id=asked(site, version).pk,
        answer="granted",
        until=timezone.localdate() + timedelta(days=days),
    )


def end(made: ImportException) -> None:
    """Let an exception be one that was granted earlier, and whose last day was yesterday."""
    with pgtrigger.ignore("models_registry.ImportException:answered_once"):
        ImportException.objects.filter(pk=made.pk).update(until=timezone.localdate() - timedelta(days=1))


def revoke(site: Place, made: ImportException) -> None:
    actor = Person(site.otto, "test")
    import_exceptions.revoke(actor=actor, environment="production", exception_id=made.pk, reason="A hole was found.")


def live(site: Place) -> Handoff:
    """Return a handoff whose version is live."""
    handoff = building.tested(counting.signed(site, a_version(site)))
    counting.approve(handoff, site.otto, "release")
    counting.deployed(handoff)
    return handoff


def item_of(site: Place, handoff: Handoff) -> dict[str, Any]:
    """Return the item of torch in the difference report, as the API tells it."""
    api = APIClient()
    api.force_authenticate(site.dana)
    found = api.get(f"/api/v1/handoffs/{handoff.pk}/differences/").json()
    items = found["items"] if isinstance(found, dict) and "items" in found else found
    return next(one for one in items if one["key"] == "packages.torch")


@pytest.mark.parametrize("version", ["", "2.4.1", "2.5.1"])
def test_what_no_exception_lets_in_is_not_offered(site: Place, version: str) -> None:
    if version:
        granted(site, version)
    asked(site)  # to ask alone lets nothing in
    before = Handoff.objects.count()
    with pytest.raises(NotReady) as refusal:
        walking.offered(site, a_version(site))
    assert WHY.rstrip(".") in str(refusal.value.fields["packages.torch"])
    assert Handoff.objects.exclude(state="draft").count() == before


def test_an_exception_lets_a_handoff_through_to_its_deployment(site: Place) -> None:
    made = granted(site)
    handoff = live(site)
    item = item_of(site, handoff)
    until = made.until.isoformat() if made.until else ""
    assert (item["state"], item["waived_until"], item["holds"]) == ("waived", until, True)
    assert f"an exception lets it in until {until}" in item["rule"]
    tasks.look_for_drift()
    assert not Finding.objects.exists()


ENDS: list[Callable[[Place, ImportException], None]] = [lambda site, made: end(made), revoke]


def suspended(site: Place, handoff: Handoff) -> None:
    """Fail unless the look for drift has suspended the approval because of torch."""
    finding = Finding.objects.get(handoff=handoff, closed_at=None)
    assert list(finding.items) == ["packages.torch"]
    assert (finding.suspends, finding.severity) == (True, "high")
    assert "is over" in str(finding)
    assert AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}").order_by("seq").last().action == "handoff.suspended"  # type: ignore[union-attr]
    assert known_of(handoff).facts.moved
    assert item_of(site, handoff)["state"] != "waived"


def test_an_exception_that_ends_suspends_the_approval(site: Place) -> None:
    made = granted(site, days=0)
    handoff = live(site)
    tasks.look_for_drift()
    assert not Finding.objects.exists()  # it still is its last day
    end(made)
    tasks.look_for_drift()
    suspended(site, handoff)
    granted(site)  # asked for and granted anew, the approval stands again
    tasks.look_for_drift()
    assert Finding.objects.get().closing == "resolved"


def test_an_exception_that_is_revoked_suspends_the_approval(site: Place) -> None:
    made = granted(site)
    handoff = live(site)
    revoke(site, made)
    tasks.look_for_drift()
    suspended(site, handoff)
    assert [entry.task.kind for entry in walking.inbox(site.otto)] == ["clear"]


@pytest.mark.parametrize("over", ENDS, ids=["ended", "revoked"])
@pytest.mark.parametrize("gate", ["review", "release"])
def test_no_gate_opens_once_the_exception_is_over(
    site: Place, gate: str, over: Callable[[Place, ImportException], None]
) -> None:
    made = granted(site)
    version = a_version(site)
    if gate == "review":
        handoff = walking.answered(site, walking.offered(site, version))
    else:
        handoff = building.tested(counting.signed(site, version))
    over(site, made)
    tasks.look_for_drift()
    result = evaluate(gate, rules_of(handoff), known_of(handoff).facts)
    assert any("torch breaks its rule" in missing.why for missing in result.missing)
    assert not result.open


def test_open_requests_wait_for_it_operations_and_nobody_else(site: Place) -> None:
    made = asked(site)
    for who, count in (("otto", 1), ("dana", 0), ("iris", 0), ("vera", 0), ("mallory", 0)):
        assert count_of(site.people[who]) == (count, False)
        page = walking.client_of(site.people[who]).get("/").content.decode()
        assert (f"/environments/production/exceptions/{made.pk}/" in page) == bool(count)
    import_exceptions.withdraw(actor=Person(site.dana, "test"), environment="production", exception_id=made.pk)
    assert count_of(site.otto) == (0, False)
    import_exceptions.ask(
        actor=Person(site.otto, "test"), environment="production", library="torch", version="2.4.1", reason="Mine."
    )
    assert count_of(site.otto) == (0, False)  # nobody is asked to answer their own
