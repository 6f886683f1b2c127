"""A real engine asks its streams whether they answer; one that does not suspends the approval until it does."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from audit.errors import Refused
from audit.models import AuditEvent
from handoff import tasks
from handoff.connections import pinned
from handoff.models import Finding, Handoff
from handoff.rules.bindings import read_bindings
from handoff.services import findings
from models_registry.models import Stream
from models_registry.services import streams
from tests import processes
from tests.handoff import building
from tests.handoff.building import Place
from tests.handoff.walking import by, client_of
from tests.processes import Engine, Process
from tests.queries import counting
from tests.streams.places import Receiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]


@pytest.fixture
def engine(settings: Any, tmp_path: Path, started: Callable[[Process], Process], place: Place) -> Engine:
    """Start a real engine whose streams may reach this machine."""
    settings.ENGINE_TOKEN = processes.TOKEN
    found = Engine(tmp_path, "http://127.0.0.1:9", "--private", "--folders", "/")
    settings.ENGINE_URLS = {"production": found.url}
    started(found.process)
    return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.stop()


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    """Return a file that a stream reads."""
    path = tmp_path / "patients.csv"
    path.write_text("radius\n1.0\n")
    return path


@pytest.fixture
def approved(place: Place, csv: Path, receiver: Receiver) -> Handoff:
    """Return a handoff that runs over a file into a webhook, and waits for its release gate."""
    for slug, direction, descriptor in (
        ("patients", "source", {"transport": "file", "encoding": "csv", "location": {"url": f"file://{csv}"}}),
        ("alerts", "sink", {"transport": "http", "encoding": "json", "location": {"url": receiver.url}}),
        ("unused", "sink", {"transport": "http", "encoding": "json", "location": {"url": "http://127.0.0.1:9/"}}),
    ):
        streams.declare(
            actor=by(place.otto),
            environment="production",
            slug=slug,
            direction=direction,
            descriptor=descriptor,
            owner="otto",
        )
    raw = {"mode": "batch", "input": {"stream": "patients"}, "outputs": [{"stream": "alerts"}]}
    bindings = pinned(read_bindings(raw), place.target)
    policy = building.a_policy(("integrity",))
    handoff = building.open_review(place, building.offered(place, building.a_version(place), policy, bindings))
    return building.tested(handoff)


def of(slug: str) -> Stream:
    return Stream.objects.get(slug=slug)


def test_a_source_that_is_gone_suspends_the_approval_until_it_is_back(
    engine: Engine, approved: Handoff, place: Place, csv: Path
) -> None:
    csv.rename(csv.with_suffix(".away"))
    tasks.ask_streams()
    finding = Finding.objects.get()
    source = of("patients")
    assert (finding.handoff_id, finding.suspends, list(finding.items)) == (approved.pk, True, ["reach.patients"])
    assert "the source patients does not answer since" in str(finding)
    assert (source.fault_code, "There is no file" in source.fault) == ("target_missing", True)
    with pytest.raises(Refused, match="does not answer"):
        counting.approve(approved, place.otto, "release")
    for page in ("/environments/production/", "/environments/production/streams/patients/"):
        assert "oes not answer" in client_of(place.otto).get(page).content.decode()
    shown = client_of(place.otto).get("/api/v1/environments/production/streams/patients/").json()
    assert shown["fault_code"] == "target_missing"
    since = source.failing_since
    tasks.ask_streams()
    assert (of("patients").failing_since, Finding.objects.count()) == (since, 1)
    csv.with_suffix(".away").rename(csv)
    tasks.ask_streams()
    finding.refresh_from_db()
    assert finding.closing == Finding.Closing.RESOLVED
    assert (of("patients").failing_since, of("patients").fault) == (None, "")
    assert (
        "oes not answer" not in client_of(place.otto).get("/environments/production/streams/patients/").content.decode()
    )


def test_only_what_the_bindings_name_touches_a_handoff(engine: Engine, approved: Handoff, receiver: Receiver) -> None:
    tasks.ask_streams()
    assert of("unused").fault_code == "unreachable"
    assert not Finding.objects.exists()
    receiver.stop()
    before = AuditEvent.objects.count()
    tasks.ask_streams()
    assert list(Finding.objects.get().items) == ["reach.alerts"]
    assert AuditEvent.objects.count() == before + 1
    assert not receiver.got


def test_an_engine_that_does_not_answer_says_nothing_of_streams(approved: Handoff, settings: Any) -> None:
    for urls in ({}, {"production": "http://127.0.0.1:9"}):
        settings.ENGINE_URLS = urls
        tasks.ask_streams()
    assert not Stream.objects.exclude(failing_since=None).exists()


def test_another_descriptor_is_asked_anew(approved: Handoff, place: Place) -> None:
    (told,) = [told for where, told in streams.to_ask() if where == place.target]
    faults = {"patients": {"code": "unreachable", "message": "no"}, "elsewhere": {"code": "x"}}
    assert streams.asked(place.target, told, faults)
    assert not streams.asked(place.target, told, faults)
    moved = {**of("patients").descriptor, "batch": {"records": 7}}
    streams.change(actor=by(place.otto), environment="production", stream="patients", descriptor=moved)
    assert of("patients").failing_since is None
    assert not streams.asked(place.target, told, faults)  # what was asked is not what is there now
    assert of("patients").failing_since is None


def test_a_fault_without_a_begin_is_no_fault(approved: Handoff) -> None:
    with pytest.raises(IntegrityError, match="stream_fault_has_a_begin"), transaction.atomic():
        Stream.objects.filter(slug="patients").update(fault_code="unreachable")
    assert findings.watched().count() == 1
