"""At the same instant, over the API with real connections: exactly one gate opens, and exactly one of everything."""

from collections.abc import Callable
from threading import Barrier, Event, Thread
from typing import Any

import pytest
from django.db import connections, transaction
from django.urls import reverse
from rest_framework.test import APIClient

from audit.actors import Person
from audit.models import Account, AuditEvent
from audit.verification import verify
from handoff.errors import WrongState
from handoff.models import Decision, Handoff, Job, SignOff
from handoff.services import persons
from models_registry.models import RegisteredModelUserGrant
from tests.handoff import building, walking
from tests.queries.counting import signature

pytestmark = pytest.mark.django_db(transaction=True)
TESTS = 7


@pytest.fixture
def site(transactional_db: None, store: Any) -> building.Place:
    """Return a place under the light policy, whose review needs two signatures."""
    return walking.a_site()


def at_once(*requests: Callable[[], int]) -> list[int]:
    """Send requests at the same instant, each over a connection of its own, and return their answers in order."""
    barrier, answers = Barrier(len(requests)), [0] * len(requests)

    def run(place: int, send: Callable[[], int]) -> None:
        barrier.wait()
        try:
            answers[place] = send()
        finally:
            connections.close_all()

    threads = [Thread(target=run, args=pair) for pair in enumerate(requests)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def signing(handoff: Handoff, who: Account, requirement: str) -> Callable[[], int]:
    """Return a request that signs what is there now."""
    body = signature(handoff, who, requirement)
    client = APIClient()
    client.force_authenticate(who)
    url = reverse("api:handoff-signoffs", args=[handoff.pk])
    return lambda: int(client.post(url, body).status_code)


def opened_once(handoff: Handoff) -> None:
    """Fail unless the review gate has opened exactly once, with exactly one set of tests."""
    handoff.refresh_from_db()
    assert handoff.state == "testing"
    purposes = list(Job.objects.filter(handoff=handoff).values_list("purpose", flat=True))
    assert len(purposes) == len(set(purposes)) == TESTS
    assert Decision.objects.filter(handoff=handoff, gate="review", opened=True).count() == 1
    story = list(AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}").values_list("action", "body"))
    assert sum(1 for action, body in story if action == "handoff.moved" and '"to":"testing"' in body) == 1
    assert sum(1 for action, _ in story if action == "signoff.given") == 2


def test_the_two_last_signatures_at_the_same_instant_open_the_gate_once(site: building.Place) -> None:
    for number in range(1, 7):
        handoff = walking.answered(site, walking.offered(site, building.a_version(site, number, latency_p99_ms=number)))
        requests = [signing(handoff, site.vera, "validation"), signing(handoff, site.otto, "acceptance")]
        assert at_once(*requests) == [201, 201]
        opened_once(handoff)
    assert verify().whole


def test_one_person_in_two_tabs_signs_once(site: building.Place) -> None:
    for number in range(1, 5):
        handoff = walking.answered(site, walking.offered(site, building.a_version(site, number, latency_p99_ms=number)))
        walking.sign(handoff, site.otto, "acceptance")
        tabs = [signing(handoff, site.vera, "validation") for _ in range(3)]
        assert sorted(at_once(*tabs)) == [201, 409, 409]
        assert SignOff.objects.filter(handoff=handoff).count() == 2
        opened_once(handoff)


def test_merging_waits_for_who_signs_at_this_moment_and_never_leaves_what_it_would_void(site: building.Place) -> None:
    second, ada = building.person("dana2"), building.person("ada")
    ada.is_staff = True
    second.password = site.vera.password
    second.save(update_fields=["password"])
    building._grant(RegisteredModelUserGrant, second, "validator", site.model)
    handoff = walking.answered(site, walking.offered(site, building.a_version(site)))
    merged = {"actor": Person(ada, "test"), "account": "dana2", "same_as": "dana", "reason": "The same passport."}
    signed, seen, found = Event(), Event(), list[str]()

    def sign() -> None:
        own = transaction.atomic()
        own._from_testcase = True  # the act insists on a transaction that it ends; this one ends when it is told to
        with own:
            walking.sign(handoff, second, "validation")
            signed.set()
            seen.wait(10)
        connections.close_all()

    def merge() -> None:
        try:
            persons.merge(**merged)
        except WrongState as refusal:
            found.append(refusal.code)
        connections.close_all()

    threads = [Thread(target=sign), Thread(target=merge)]
    threads[0].start()
    assert signed.wait(10)
    threads[1].start()
    threads[1].join(0.5)
    assert threads[1].is_alive()  # it waits
    seen.set()
    for thread in threads:
        thread.join()
    assert found == ["under_way"]
    assert not Account.objects.filter(same_person__isnull=False).exists()
    persons.merge(**merged)
    assert "created this version" in SignOff.objects.get().voided_because


def test_a_change_and_the_last_signature_at_the_same_instant_never_both_count(site: building.Place) -> None:
    """Whichever is first: a signature over old answers is refused or voided, and the gate opens only over new ones."""
    for number in range(1, 5):
        handoff = walking.answered(site, walking.offered(site, building.a_version(site, number, latency_p99_ms=number)))
        walking.sign(handoff, site.otto, "acceptance")
        dana, url = APIClient(), reverse("api:handoff-answers", args=[handoff.pk])
        dana.force_authenticate(site.dana)
        body = {"item": "purpose", "choice": "yes", "evidence": [walking.LINK | {"label": "another"}]}

        def change(dana: APIClient = dana, url: str = url, body: dict[str, Any] = body) -> int:
            return int(dana.post(url, body, format="json").status_code)

        signed, changed = at_once(signing(handoff, site.vera, "validation"), change)
        handoff.refresh_from_db()
        assert (signed, changed) in ((201, 409), (409, 201))
        if changed == 409:
            opened_once(handoff)
        else:
            assert handoff.state == "in_review"
            assert not handoff.jobs.exists()
            assert not SignOff.objects.filter(handoff=handoff, voided_at=None).exists()


def test_the_same_version_offered_twice_at_the_same_instant_is_drafted_once(site: building.Place) -> None:
    body = {"model": "tumours", "source": "workbench", "target": "production"}
    dana = APIClient()
    dana.force_authenticate(site.dana)
    for number in range(1, 5):
        building.a_version(site, number, latency_p99_ms=number)
        events = AuditEvent.objects.count()

        def draft(number: int = number) -> int:
            client = APIClient()
            client.force_authenticate(site.dana)
            return int(client.post(reverse("api:handoffs"), {**body, "version": number}, format="json").status_code)

        assert sorted(at_once(draft, draft, draft)) == [201, 409, 409]
        handoff = Handoff.objects.get(version__number=number)
        assert AuditEvent.objects.count() == events + 1
        offer = reverse("api:handoff-offer", args=[handoff.pk])
        assert sorted(at_once(*[lambda offer=offer: int(dana.post(offer).status_code)] * 2)) == [200, 409]
        moved = AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}", action="handoff.offered")
        assert moved.count() == 1
