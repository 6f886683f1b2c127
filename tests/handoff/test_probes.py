"""A real engine is asked what it is made of; what moved there suspends what was approved."""

from pathlib import Path
from typing import Any

import pytest

from audit.errors import Refused
from audit.models import AuditEvent
from engine.capture import capture
from handoff import tasks
from handoff.models import Finding
from models_registry.models import Environment, EnvironmentProfile
from models_registry.services import profiles, streams
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import by, client_of
from tests.processes import Engine
from tests.queries import counting

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]


def production() -> Environment:
    return Environment.objects.get(slug="production")


@pytest.fixture
def site_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that an engine started from here on finds libraries in first."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


def in_the_trail(place: Environment) -> list[str]:
    return list(AuditEvent.objects.filter(chain=f"environment:{place.pk}").values_list("action", flat=True))


def test_an_engine_tells_what_it_is_made_of(place: Place, engine: Engine) -> None:
    table = {"transport": "sql", "location": {"url": "postgresql://db.example/scores", "table": "scores"}}
    told = {"slug": "scores", "direction": "sink", "owner": "otto", "purpose": "Scores."}
    streams.declare(actor=by(place.otto), environment="production", descriptor={**table, "secret": "DB"}, **told)
    tasks.probe()
    profile = EnvironmentProfile.objects.get()
    here = capture()
    assert profile.reported_by is None
    assert (profile.content["packages"], profile.content["hardware"]) == (here["packages"], here["hardware"])
    assert profile.content["secrets"] == {"DB": False}
    assert production().packages == here["packages"]
    assert production().probed_at is not None
    assert in_the_trail(place.target)[-1] == "profile.reported"
    page = client_of(place.otto).get("/environments/production/").content.decode()
    assert "found by a\n        probe of the engine" in page
    shown = client_of(place.otto).get("/api/v1/environments/production/profiles/").json()["results"]
    assert [one["reported_by"] for one in shown] == [""]


def test_asking_again_says_nothing_new_and_sets_right_what_was_typed_over(place: Place, engine: Engine) -> None:
    tasks.probe()
    before = AuditEvent.objects.count()
    tasks.probe()
    assert (EnvironmentProfile.objects.count(), AuditEvent.objects.count()) == (1, before)
    Environment.objects.filter(slug="production").update(python="2.7.18")
    tasks.probe()
    assert (EnvironmentProfile.objects.count(), production().python) == (2, capture()["interpreter"]["version"])


def test_an_engine_that_does_not_answer_is_told_and_moves_nothing(place: Place, settings: Any) -> None:
    before = Environment.objects.values("python", "packages", "hardware", "revision").get(slug="production")
    for urls, why in (({}, "has no address here"), ({"production": "http://127.0.0.1:9"}, "cannot be reached")):
        settings.ENGINE_URLS = urls
        tasks.probe()
        assert why in production().probe_error
        assert why in client_of(place.otto).get("/environments/production/").content.decode()
    assert Environment.objects.values("python", "packages", "hardware", "revision").get(slug="production") == before
    assert not EnvironmentProfile.objects.exists()


def test_a_package_that_somebody_moves_in_the_engine_suspends_the_approval(
    place: Place, site_packages: Path, engine: Engine
) -> None:
    site = walking.a_site(place)
    tasks.probe()
    numpy = production().packages["numpy"]
    Environment.objects.filter(slug="workbench").update(packages={"numpy": numpy})
    handoff = building.tested(counting.signed(site, building.a_version(site, packages={"numpy": ">=2,<3"})))
    tasks.probe()
    assert not Finding.objects.exists()
    moved = site_packages / "numpy-3.0.0.dist-info"
    moved.mkdir()
    (moved / "METADATA").write_text("Metadata-Version: 2.4\nName: numpy\nVersion: 3.0.0\n")
    tasks.probe()
    finding = Finding.objects.get(handoff=handoff)
    assert finding.suspends
    assert f"3.0.0 in the target, was {numpy}" in str(finding)
    with pytest.raises(Refused, match="numpy breaks its rule"):
        counting.approve(handoff, site.otto, "release")
    (moved / "METADATA").unlink()
    moved.rmdir()
    tasks.probe()
    finding.refresh_from_db()
    assert finding.closing == Finding.Closing.RESOLVED


def test_what_no_profile_is_changes_nothing(place: Place, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.ENGINE_URLS = {"production": "http://127.0.0.1:9"}
    monkeypatch.setattr("handoff.executors.probes.look", lambda *_, **__: {"profile": 2})
    tasks.probe()
    assert "cannot be read" in production().probe_error
    assert not EnvironmentProfile.objects.exists()
    assert profiles.to_probe() == [(production(), [])]
