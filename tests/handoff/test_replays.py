"""Contract replays of handoffs: a real engine reads a real CSV file and a real Valkey stream; the record is proof."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import DatabaseError, transaction

from audit.errors import Refused
from audit.models import AuditEvent
from handoff import tasks
from handoff.errors import Hidden
from handoff.facts import known_of
from handoff.models import Evidence, Handoff, Replay
from handoff.services import checklists, replays
from handoff.states import JobState
from models_registry.models import EnvironmentUserGrant, Stream
from models_registry.services import streams
from tests import processes
from tests.handoff import artifacts, building, walking
from tests.handoff.building import Place
from tests.handoff.walking import by, client_of
from tests.processes import Engine, Process
from tests.streams.places import unique, valkey_url

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]
COUNT = 12


@pytest.fixture
def engine(
    live_server: Any, settings: Any, tmp_path: Path, started: Callable[[Process], Process], site: Place
) -> Engine:
    """Start a real engine whose streams may reach this machine."""
    settings.SITE_URL, settings.ENGINE_TOKEN = live_server.url, processes.TOKEN
    found = Engine(tmp_path, live_server.url, "--private", "--folders", "/")
    settings.ENGINE_URLS = {"production": found.url}
    started(found.process)
    return found


@pytest.fixture
def site(place: Place) -> Place:
    """Return a place with the light policy, where otto may declare streams on both sides."""
    site = walking.a_site(place)
    building._grant(EnvironmentUserGrant, site.otto, "it_operations", site.source)
    return site


class Sources:
    """A CSV file in creation and a Valkey stream in production, with the same golden records."""

    def __init__(self, site: Place, folder: Path) -> None:
        lines = artifacts.elements("good")["golden"].decode().splitlines()
        self.records = [json.loads(line)["input"] for line in lines[:COUNT]]
        self.csv, self.name = folder / "golden.csv", unique("patients")
        self.client = redis.Redis.from_url(valkey_url())
        self.write(self.records)
        for record in self.records:
            self.client.xadd(self.name, {"record": json.dumps(record)})
        file = {"transport": "file", "encoding": "csv", "location": {"url": f"file://{self.csv}"}}
        location = {"url": valkey_url(), "stream": self.name, "group": "tumours"}
        stream = {"transport": "valkey", "encoding": "json", "location": location}
        http = {"transport": "http", "encoding": "json"}
        for where, slug, descriptor in (
            ("workbench", "measurements", file),
            ("production", "patients", stream),
            ("production", "endpoint", http),
        ):
            told = {"slug": slug, "direction": "source", "descriptor": descriptor, "owner": "otto"}
            streams.declare(actor=by(site.otto), environment=where, **told)

    def write(self, records: list[dict[str, Any]]) -> None:
        """Write the file anew."""
        names = list(self.records[0])
        rows = [",".join(names), *(",".join(str(record[name]) for name in names) for record in records)]
        self.csv.write_text("\n".join(rows) + "\n")

    def close(self) -> None:
        self.client.delete(self.name)
        self.client.close()


@pytest.fixture
def sources(site: Place, tmp_path: Path) -> Iterator[Sources]:
    found = Sources(site, tmp_path)
    yield found
    found.close()


@pytest.fixture
def handoff(site: Place, sources: Sources) -> Handoff:
    return walking.drafted(site, building.a_version(site))


def ordered(handoff: Handoff, site: Place, **more: Any) -> Replay:
    return replays.order(actor=by(site.otto), handoff_id=handoff.pk, production="patients", **more)


def carried_out(replay: Replay) -> Replay:
    tasks.replay(str(replay.job_id))
    replay.refresh_from_db()
    return replay


def test_equal_records_are_equal_and_nothing_is_taken(
    engine: Engine, handoff: Handoff, site: Place, sources: Sources
) -> None:
    client = client_of(site.otto)
    answer = client.post(
        f"/api/v1/handoffs/{handoff.pk}/replays/", json.dumps({"production": "patients"}), "application/json"
    )
    assert (answer.status_code, answer.json()["work"]) == (202, "queued"), answer.content
    replay = carried_out(handoff.replays.get())
    assert (replay.outcome, replay.error) == ("equal", "")
    assert replay.report is not None
    assert (replay.report["compared"], replay.report["predictions"]["compared"]) == (COUNT, COUNT)
    assert replay.version_digest == handoff.version.digest
    assert replay.output_tolerances  # as sealed with the version
    assert sources.client.xinfo_groups(sources.name) == []
    assert sources.client.xlen(sources.name) == COUNT
    assert engine.serves("tumours") == ""
    shown = client_of(site.vera).get(f"/api/v1/handoffs/{handoff.pk}/replays/{replay.number}/").json()
    assert (shown["outcome"], shown["report"]["equal"]) == ("equal", True)
    page = client_of(site.dana).get(f"/handoffs/{handoff.pk}/replays/").content.decode()
    assert f"equal: {COUNT} records compared" in page
    assert "Order the replay" not in page
    assert f"{COUNT} records" in page
    told = AuditEvent.objects.filter(chain=f"handoff:{handoff.pk}").values_list("action", flat=True)
    assert [one for one in told if one.startswith("replay.")] == ["replay.ordered", "replay.ended"]


def test_what_differs_is_told_by_field_with_an_example(
    engine: Engine, handoff: Handoff, site: Place, sources: Sources
) -> None:
    name = next(iter(sources.records[0]))
    moved = [dict(record) for record in sources.records]
    moved[3][name] += 1.5
    sources.write(moved)
    form = {"creation": "measurements", "production": "patients", "keys": "", "tolerances": ""}
    client = client_of(site.otto)
    assert client.post(f"/handoffs/{handoff.pk}/replays/order/", form).status_code == 303
    replay = carried_out(handoff.replays.get())
    assert replay.outcome == "not_equal"
    page = client.get(f"/handoffs/{handoff.pk}/replays/").content.decode()
    assert "not equal" in page
    assert f"<b>{name}</b>" in page
    assert str(moved[3][name]) in page
    again = carried_out(ordered(handoff, site, tolerances={name: [2.0, 0.0]}, output_tolerances={"label": [9.0, 0.0]}))
    assert again.report is not None
    assert not any(one["differing"] for one in again.report["fields"])


def test_a_source_that_is_gone_is_no_proof_of_anything(
    engine: Engine, handoff: Handoff, site: Place, sources: Sources
) -> None:
    sources.csv.unlink()
    replay = carried_out(ordered(handoff, site))
    assert (replay.outcome, replay.report, replay.job.state) == ("failed", None, JobState.DONE)
    assert replay.error.startswith("target_missing: ")
    assert "There is no file" in client_of(site.vera).get(f"/handoffs/{handoff.pk}/replays/").content.decode()


def test_an_engine_without_an_address_and_one_that_is_down(handoff: Handoff, site: Place, settings: Any) -> None:
    settings.ENGINE_URLS = {}
    assert "no engine that we know the address of" in carried_out(ordered(handoff, site)).error
    settings.ENGINE_URLS = {"production": "http://127.0.0.1:9"}
    replay = ordered(handoff, site)
    for state in (JobState.QUEUED, JobState.QUEUED, JobState.DEAD):
        carried_out(replay)
        replay.job.refresh_from_db()
        assert replay.job.state == state
    page = client_of(site.vera).get(f"/handoffs/{handoff.pk}/replays/").content.decode()
    assert "never carried out" in page
    assert "cannot be reached" in page


@pytest.mark.parametrize("name", ["dana", "vera", "iris", "rita"])
def test_only_those_who_answer_for_the_target_s_data_order(name: str, handoff: Handoff, site: Place) -> None:
    with pytest.raises(Refused, match="IT operations or an analytic engineer"):
        replays.order(actor=by(getattr(site, name)), handoff_id=handoff.pk, production="patients")
    answer = client_of(getattr(site, name)).post(f"/handoffs/{handoff.pk}/replays/order/", {"production": "patients"})
    assert answer.status_code == 403
    assert not Replay.objects.exists()
    assert replays.order(actor=by(site.edda), handoff_id=handoff.pk, production="patients").number == 1


def test_a_stranger_learns_nothing(handoff: Handoff, site: Place) -> None:
    ordered(handoff, site)
    with pytest.raises(Hidden):
        replays.order(actor=by(site.mallory), handoff_id=handoff.pk, production="patients")
    client = client_of(site.mallory)
    for path in ("/handoffs/{}/replays/", "/api/v1/handoffs/{}/replays/", "/api/v1/handoffs/{}/replays/1/"):
        assert client.get(path.format(handoff.pk)).status_code == 404
    assert client_of(site.otto).get(f"/api/v1/handoffs/{handoff.pk}/replays/9/").status_code == 404
    assert Replay.objects.count() == 1


def test_a_tolerance_that_cannot_be_read_stays_in_the_form(handoff: Handoff, site: Place) -> None:
    form = {"creation": "measurements", "production": "patients", "tolerances": "radius=wide"}
    page = client_of(site.otto).post(f"/handoffs/{handoff.pk}/replays/order/", form)
    assert page.status_code == 422
    assert "annot be read: radius=wide" in page.content.decode()
    assert ">radius=wide</textarea>" in page.content.decode()
    assert not Replay.objects.exists()


def test_what_ended_never_changes(engine: Engine, handoff: Handoff, site: Place) -> None:
    replay = carried_out(ordered(handoff, site))
    for change in ({"outcome": "not_equal"}, {"report": {"equal": True}}, {"version_digest": "0" * 64}):
        with pytest.raises(DatabaseError), transaction.atomic():
            Replay.objects.filter(pk=replay.pk).update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        replay.delete()
    other = ordered(handoff, site)
    with pytest.raises(DatabaseError, match="replay_ended_with_an_outcome"), transaction.atomic():
        Replay.objects.filter(pk=other.pk).update(outcome="equal")


@pytest.fixture
def in_review(site: Place, sources: Sources) -> Handoff:
    """Return a handoff under the light policy, whose review asks questions."""
    return walking.offered(site)


def answered(handoff: Handoff, site: Place, number: Any) -> Evidence:
    item = walking.rules_of(handoff).gate("review").checklist[0]
    given = checklists.answer(
        actor=by(site.dana if item.role == "data_scientist" else site.edda),
        handoff_id=str(handoff.pk),
        item=item.key,
        choice="yes",
        evidence=[{"kind": "replay", "replay": number}, walking.LINK, walking.FIGURE],
    )
    return given.evidence.get(kind="replay")


def kinds(handoff: Handoff) -> set[str]:
    return {kind for answer in known_of(handoff).facts.answers.values() for kind in answer.evidence}


def test_an_equal_replay_is_evidence_until_a_source_changes(
    engine: Engine, in_review: Handoff, site: Place, sources: Sources
) -> None:
    replay = carried_out(ordered(in_review, site))
    evidence = answered(in_review, site, replay.number)
    assert evidence.replay == replay
    assert f"{COUNT} records equal" in evidence.label
    assert "replay" in kinds(in_review)
    source = Stream.objects.get(slug="measurements")
    moved = {**source.descriptor, "batch": {"records": 7}}
    streams.change(actor=by(site.otto), environment="workbench", stream="measurements", descriptor=moved)
    assert "replay" not in kinds(in_review)
    assert "out of date" in client_of(site.vera).get(f"/handoffs/{in_review.pk}/replays/").content.decode()
    with pytest.raises(Refused) as refusal:
        answered(in_review, site, replay.number)
    assert refusal.value.code == "replay_outdated"


def test_what_proves_nothing_is_no_evidence(engine: Engine, in_review: Handoff, site: Place, sources: Sources) -> None:
    sources.write(sources.records[1:])
    unequal = carried_out(ordered(in_review, site))
    sources.write(sources.records)
    elsewhere = walking.drafted(site, building.a_version(site, 2))
    assert [carried_out(ordered(elsewhere, site)).outcome for _ in range(2)] == ["equal", "equal"]
    for number in (unequal.number, 2, "2", True, None):
        with pytest.raises(Refused) as refusal:
            answered(in_review, site, number)
        assert list(refusal.value.fields) == ["evidence[0].replay"]
    assert not Evidence.objects.exists()
