"""One id leads from the browser's answer through the log of the site, and the row of the work that it asked for."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from django.test import Client, RequestFactory
from structlog.contextvars import clear_contextvars

from audit.request_ids import current_request, of_request
from handoff import queue, tasks
from handoff.in_hand import held
from handoff.models import Job
from mdlc_site.errors import unexpected
from tests.handoff import walking

NAME = "0123-abcd_EFGH"


@pytest.fixture(autouse=True)
def _nobody_asks() -> None:
    clear_contextvars()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Return what the process writes to its log meanwhile."""
    (console,) = [one for one in logging.getLogger().handlers if type(one) is logging.StreamHandler]
    said = io.StringIO()
    before = console.setStream(said)
    yield said
    if before is not None:
        console.setStream(before)


def lines(log: io.StringIO) -> list[dict[str, str]]:
    """Return the lines that were logged."""
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_the_answer_and_the_log_tell_the_id_that_was_sent(client: Client, log: io.StringIO) -> None:
    answer = client.get("/nowhere/", headers={"X-Request-Id": NAME})
    assert answer["X-Request-Id"] == NAME
    assert [line["request"] for line in lines(log)] == [NAME]


@pytest.mark.parametrize("odd", ["", "short", "x" * 65, 'a"b":"c', "a b c d e f", "12345678\n{}", "ä" * 9])
def test_an_id_that_no_log_may_hold_is_replaced(client: Client, odd: str) -> None:
    first, second = (client.get("/healthz/live", headers={"X-Request-Id": odd})["X-Request-Id"] for _ in range(2))
    assert odd not in (first, second)
    assert first != second
    assert len(first) == 32


def test_whoever_meets_a_mistake_is_told_its_id() -> None:
    with of_request(NAME):
        assert NAME in unexpected(RequestFactory().get("/")).content.decode()


@pytest.mark.django_db
def test_work_carries_the_request_that_asked_for_it_into_the_log_of_its_worker(log: io.StringIO) -> None:
    with of_request(NAME):
        handoff = walking.under_test(walking.a_site())
    jobs = Job.objects.filter(handoff=handoff)
    assert jobs.exists()
    assert set(jobs.values_list("request", flat=True)) == {NAME}
    job = jobs[0]
    with held(str(job.pk), queue.RUN_TEST) as holder:
        assert holder is not None
        assert current_request() == NAME
        tasks.log.warning("at it")
    said = next(line for line in lines(log) if line["event"] == "at it")
    assert (said["request"], said["job"]) == (NAME, str(job.pk))
    assert current_request() == ""


@pytest.mark.django_db
def test_work_that_nobody_asked_for_belongs_to_no_request() -> None:
    place = walking.a_site()
    walking.under_test(place)
    assert set(Job.objects.filter(handoff__model=place.model).values_list("request", flat=True)) == {""}
