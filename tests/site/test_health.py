"""In what condition the installation is: told to its administrators, and to nobody else."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from knox.models import AuthToken
from rest_framework.test import APIClient

from audit.anchors import FileBroken
from audit.models import Account, AuditEvent, Keeping
from audit.sealing import seal_all
from audit.tasks import anchor
from handoff import queue, tasks
from handoff.models import Damage, Job, Reconciliation
from mdlc_site.condition import Part, parts, worst
from models_registry.store import keep_bytes
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.walking import client_of

pytestmark = pytest.mark.django_db
PAGE, API = "/admin/health/", "/api/v1/health/"


@pytest.fixture
def site(db: None, store: Any) -> Place:
    """Return a place whose administrator is ada."""
    return walking.a_site()


@pytest.fixture
def store(settings: Any, tmp_path: Any) -> Any:
    """Keep blobs in a folder of the test's own."""
    settings.STORE = str(tmp_path / "store")
    backend = "django.core.files.storage.FileSystemStorage"
    told = {"BACKEND": backend, "OPTIONS": {"location": settings.STORE}}
    settings.STORAGES = {**settings.STORAGES, "default": told}


def part(name: str) -> Part:
    return next(one for one in parts() if one.name == name)


def api_of(account: Account) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {AuthToken.objects.create(user=account)[1]}"})


def test_administrators_read_it_and_nobody_else(site: Place) -> None:
    assert client_of(site.ada).get(PAGE).status_code == 200
    told = api_of(site.ada).get(API).json()
    assert {one["name"] for one in told["parts"]} >= {"database", "clocks", "migrations", "relay", "queue tests"}
    site.mallory.is_superuser = True
    site.mallory.save(update_fields=["is_superuser"])
    for who in (site.otto, site.mallory):
        assert client_of(who).get(PAGE).status_code == 302
        assert api_of(who).get(API).status_code == 404
    assert client_of(None).get(PAGE).status_code == 302
    assert client_of(site.ada).post(PAGE).status_code == 405


def test_what_can_be_asked_is_told_and_what_cannot_is_bad(site: Place, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    found = {one.name: one for one in parts()}
    assert found["database"].verdict == "good"
    assert abs(found["clocks"].figures["seconds"]) < 2
    assert found["migrations"].figures == {"pending": []}
    assert found["broker"].verdict == "bad"
    assert "127.0.0.1" not in found["broker"].words
    assert worst(list(found.values())) == "bad"
    assert worst([found["database"]]) == "good"


def test_queues_tell_what_waits_and_what_died(site: Place) -> None:
    assert part("queue tests").verdict == "good"
    walking.under_test(site)
    assert part("queue tests").figures["waiting"] == 7
    Job.objects.filter(purpose="test:golden").update(queued_at=timezone.now() - timedelta(minutes=2))
    assert part("queue tests").verdict == "late"
    Job.objects.update(state="running", lease_until=timezone.now() - timedelta(minutes=1))
    assert part("queue tests").figures["leases_out"] == 7
    Job.objects.update(state="dead", ended_at=timezone.now())
    assert part("queue tests").figures["dead"] == 7
    assert part("queue deployments").verdict == "good"


def test_a_task_that_beat_forgot_is_overdue(site: Place) -> None:
    assert part("beat").words == "it has never run"
    every = IntervalSchedule.objects.create(every=60, period="seconds")
    task = PeriodicTask.objects.create(name="expire", task="handoff.expire", interval=every)
    assert part("beat: expire").words == "never asked for"
    for age, verdict in ((2, "good"), (30, "late")):
        PeriodicTask.objects.filter(pk=task.pk).update(last_run_at=timezone.now() - timedelta(minutes=age))
        assert part("beat: expire").verdict == verdict


def test_engines_tell_the_last_look(site: Place) -> None:
    name, now = "engine of production", timezone.now()
    assert part(name).verdict == "late"
    kept = Reconciliation.objects.create(environment=site.target, asked_at=now, answered_at=now)
    assert part(name).verdict == "good"
    Reconciliation.objects.update(differences=[{"code": "nothing", "model": "tumours", "words": "serves nothing"}])
    assert part(name).words == "does not serve what is approved"
    Reconciliation.objects.filter(pk=kept.pk).update(silent_since=now, error="It is down.")
    assert part(name).verdict == "bad"


def test_the_trail_and_what_keeps_it_are_told(site: Place, tmp_path: Any, settings: Any) -> None:
    settings.ANCHORS = str(tmp_path / "anchors.jsonl")
    assert part("sealing").figures["size"] == 0
    seal_all()
    assert part("sealing").words == "every event is sealed"
    assert part("sealing").figures["size"] == AuditEvent.objects.count()
    assert part("proof of the trail").words == "was never done"
    call_command("verify_audit", verbosity=0)
    assert part("proof of the trail").verdict == "good"
    Keeping.objects.update(at=timezone.now() - timedelta(days=3))
    assert part("proof of the trail").verdict == "late"
    call_command("verify_signatures")
    assert part("proof of the signatures").verdict == "good"
    assert "days old, to be rotated on" in part("signing key").words


def test_the_age_of_the_anchors_is_told_and_why_none_is_written(site: Place, tmp_path: Any, settings: Any) -> None:
    settings.ANCHORS = str(tmp_path / "anchors.jsonl")
    assert part("file of anchors").words == "was never done"
    anchor()
    assert part("file of anchors").verdict == "good"
    Keeping.objects.update(at=timezone.now() - timedelta(minutes=30))
    assert part("file of anchors").verdict == "late"
    assert "too long ago" in part("file of anchors").words
    (tmp_path / "anchors.jsonl").write_text("{}\n")
    with pytest.raises(FileBroken):
        anchor()
    assert (part("file of anchors").verdict, part("file of anchors").words[:15]) == ("bad", "it was changed:")
    settings.ANCHORS = str(tmp_path)
    with pytest.raises(OSError, match="directory"):
        anchor()
    assert part("file of anchors").words == "it cannot be written"


def test_the_store_tells_when_it_was_hashed_and_what_is_damaged(site: Place) -> None:
    tasks.rehash_evidence()
    assert part("hashing of stored evidence").verdict == "good"
    Damage.objects.create(blob=keep_bytes(b"x"))
    tasks.rehash_evidence()
    assert part("stored evidence").verdict == "bad"
    assert part("hashing of stored evidence").words == "1 files are damaged"


def test_no_periodic_task_is_written_in_the_admin(site: Place) -> None:
    site.ada.is_superuser = True
    site.ada.save(update_fields=["is_superuser"])
    ada = client_of(site.ada)
    assert ada.get("/admin/django_celery_beat/periodictask/").status_code == 200
    told = {"name": "mine", "task": queue.DEPLOY, "args": "[]", "enabled": "on"}
    assert ada.post("/admin/django_celery_beat/periodictask/add/", told).status_code == 403
    assert not PeriodicTask.objects.filter(task=queue.DEPLOY).exists()
    assert ada.get("/admin/django_celery_beat/intervalschedule/").status_code == 404
    building.person("nobody")
    assert client_of(site.otto).get("/admin/django_celery_beat/periodictask/").status_code == 302
