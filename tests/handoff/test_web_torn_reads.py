"""Pages that follow work: whenever it ends while they are read, they show what it did, or go on to ask."""

from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from audit.actors import Worker
from handoff import queue
from handoff.models import Deployment, Job
from handoff.plans import DeployReport
from handoff.services import deployments, jobs, rollbacks
from handoff.states import State
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import by, client_of
from tests.queries import counting

pytestmark = pytest.mark.django_db
ASKS_AGAIN = "every 2s"


@pytest.fixture
def rolling_back(store: Any) -> tuple[Place, Deployment]:
    """Return a site, and a live deployment whose rollback waits for a worker."""
    site = walking.a_site()
    for number in (1, 2):
        handoff = building.tested(counting.signed(site, building.a_version(site, number, latency_p99_ms=100 + number)))
        counting.approve(handoff, site.otto, "release")
        current = counting.deployed(handoff)
    deployments.roll_back(actor=by(site.otto), deployment_id=str(current.pk), reason="Odd scores.")
    return site, current


def carry_out() -> None:
    """End the rollback, as a worker does whose engine serves the version before."""
    job = Job.objects.get(task=queue.ROLL_BACK)
    claimed = jobs.claim(job.pk, "worker", task=queue.ROLL_BACK)
    assert claimed is not None
    assert rollbacks.begin(claimed.pk, claimed.fence) is not None
    rollbacks.finish(claimed.pk, claimed.fence, DeployReport(True, "it is live again", ()), actor=Worker("worker"))


def read_while_it_ends(client: Client, path: str, after: int) -> tuple[str, bool]:
    """Return a page before whose query of a number the rollback ended, and whether there was such a query."""
    seen = 0

    def ending(execute: Any, *call: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == after:
            carry_out()
        return execute(*call)

    before = transaction.savepoint()
    with connection.execute_wrapper(ending):
        page = client.get(path).content.decode()
    transaction.savepoint_rollback(before)
    return page, seen >= after


def test_a_rollback_is_followed_to_its_end(rolling_back: tuple[Place, Deployment]) -> None:
    site, current = rolling_back
    client = client_of(site.otto)
    state = f'data-state="{State.ROLLED_BACK}"'
    told = f'class="ho-page" {state}'
    page = reverse("handoff", args=[current.handoff_id])
    fragment = f"{reverse('handoff-progress', args=[current.handoff_id])}?shown={State.LIVE}"
    deployment = reverse("deployment", args=[current.pk])
    for path, words in ((page, told), (fragment, told), (deployment, state)):
        assert ASKS_AGAIN in client.get(path).content.decode()
        after, there = 1, True
        while there:
            text, there = read_while_it_ends(client, path, after)
            assert words in text or ASKS_AGAIN in text, (path, after)
            after += 1
        assert after > 4
