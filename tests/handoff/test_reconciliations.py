"""What engines serve against what the records say: found, told to who may know, never repaired."""

import socket
import time
from dataclasses import asdict, replace
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from audit.actors import Worker
from audit.models import Account, AuditEvent
from handoff import tasks
from handoff.executors.http import Engine as Client
from handoff.executors.reconciliations import Question, ask, ask_all
from handoff.leases import next_order
from handoff.models import Deployment, Finding, Handoff, Reconciliation
from handoff.plans import EngineAnswer, Running, Served
from handoff.rules.reconciliations import Difference, Wanted, compare, counted, lasting
from handoff.services import findings, reconciliations
from tests.handoff import building, walking
from tests.handoff.building import Place
from tests.handoff.test_deployments_live import work
from tests.handoff.walking import by, client_of
from tests.processes import TOKEN, Engine
from tests.queries import counting

PAGE, API, TABLE = "/reconciliation/", "/api/v1/reconciliation/", "/api/v1/reconciliation/table/"
WANTED = Wanted("d1", "h1", "tumours", "2", "a" * 64, 20)
SERVED = Served("tumours", "2", "a" * 64, 20, True)
ROBOT = Worker("reconciliation")


def run(name: str, bound: str = "") -> Running:
    return Running("tumours", name, "running", bound)


@pytest.mark.parametrize(
    ("wanted", "answer", "codes"),
    [
        (WANTED, EngineAnswer((SERVED,)), []),
        (WANTED, EngineAnswer(), ["nothing"]),
        (WANTED, EngineAnswer((replace(SERVED, ready=False, reason="it is damaged"),)), ["nothing"]),
        (WANTED, EngineAnswer((replace(SERVED, digest="b" * 64),)), ["another"]),
        (WANTED, EngineAnswer((replace(SERVED, order=19),)), ["older"]),
        (WANTED, EngineAnswer((replace(SERVED, order=21),)), []),  # put back by a later order, the very bytes
        (replace(WANTED, also=("b" * 64,)), EngineAnswer((replace(SERVED, digest="b" * 64, order=1),)), []),
        (WANTED, EngineAnswer((SERVED, replace(SERVED, model="odd"))), ["stranger"]),
        (WANTED, EngineAnswer((SERVED, replace(SERVED, model="beside"))), []),
        (replace(WANTED, bound="c"), EngineAnswer((SERVED,)), ["no_run"]),
        (replace(WANTED, bound="c"), EngineAnswer((SERVED,), (run("d1", "c"),)), []),
        (replace(WANTED, bound="c"), EngineAnswer((SERVED,), (run("d1", "x"),)), ["other_streams"]),
        (replace(WANTED, batches=("night",)), EngineAnswer((SERVED,), (run("night"),)), []),
        (WANTED, EngineAnswer((SERVED,), (run("gone"),)), ["stray_run"]),
        (replace(WANTED, suspended=True), EngineAnswer((replace(SERVED, ready=False, reason="suspended"),)), []),
        (replace(WANTED, suspended=True), EngineAnswer((SERVED,)), ["unstopped"]),
        (replace(WANTED, suspended=True), EngineAnswer((replace(SERVED, digest="b" * 64),)), ["another"]),
        (replace(WANTED, suspended=True), EngineAnswer((), (run("d1"),)), ["stray_run"]),
        (WANTED, EngineAnswer((replace(SERVED, ready=False, reason="suspended"),)), ["nothing"]),
    ],
)
def test_each_difference_has_a_code(wanted: Wanted, answer: EngineAnswer, codes: list[str]) -> None:
    assert [one.code for one in compare([wanted], answer, {"beside"})] == codes


def test_a_difference_lasts_once_it_was_seen_twice_in_a_row_and_silence_proves_nothing() -> None:
    nothing, silent = Difference("nothing", "tumours", "x", "d1"), Difference("silent", "tumours", "y", "d1")
    once = counted([nothing], [], answered=True)
    assert lasting(once) == []
    twice = counted([nothing], map(asdict, once), answered=True)
    assert [one.looks for one in lasting(twice)] == [2]
    quiet = counted([silent], map(asdict, twice), answered=False)
    assert {(one.code, one.looks) for one in quiet} == {("silent", 1), ("nothing", 2)}
    assert counted([], map(asdict, quiet), answered=True) == []


@pytest.fixture
def site(place: Place) -> Place:
    """Return a place with the light policy."""
    return walking.a_site(place)


@pytest.fixture
def live(site: Place) -> Deployment:
    """Return what is live, though no engine serves it."""
    handoff = building.tested(counting.signed(site, building.a_version(site)))
    counting.approve(handoff, site.otto, "release")
    return counting.deployed(handoff)


def as_served(live: Deployment, **change: Any) -> Served:
    return replace(Served(live.model.slug, str(live.version.number), live.digest, live.order, True), **change)


def looked(place: Place, answer: EngineAnswer) -> list[Finding]:
    """Keep an answer as the task does, and bring the findings in step."""
    reconciliations.keep(actor=ROBOT, environment_id=place.target.pk, answer=answer, asked_at=timezone.now())
    ids = list(reconciliations.watched().values_list("pk", flat=True))
    return [one for pk in ids for one in reconciliations.look(actor=ROBOT, handoff_id=pk)]


def api_of(account: Account) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {AuthToken.objects.create(user=account)[1]}"})


def acts(place: Place) -> list[str]:
    found = AuditEvent.objects.filter(chain=f"environment:{place.target.pk}", action__startswith="engine.")
    return list(found.order_by("seq").values_list("action", flat=True))


@pytest.mark.django_db
def test_a_lasting_difference_is_a_finding_until_the_engine_is_put_right(site: Place, live: Deployment) -> None:
    wrong, right = EngineAnswer((as_served(live, digest="b" * 64),)), EngineAnswer((as_served(live),))
    assert looked(site, wrong) == []
    [finding] = looked(site, wrong)
    assert (finding.handoff_id, finding.severity, finding.owner) == (live.handoff_id, "high", site.otto)
    assert not finding.suspends
    assert "serves another digest" in str(finding)
    assert looked(site, wrong) == []
    served = Reconciliation.objects.get().told["served"][0]["digest"]
    assert served == "b" * 64
    assert looked(site, right) == []
    finding.refresh_from_db()
    assert (finding.closing, finding.closed_by) == ("resolved", None)
    assert acts(site) == ["engine.differs", "engine.agrees"]
    live.refresh_from_db()
    assert (live.state, live.handoff.jobs.filter(state="queued").count()) == ("live", 0)  # nothing was repaired


@pytest.mark.django_db
def test_evidence_does_not_outvote_the_engine(site: Place, live: Deployment) -> None:
    looked(site, EngineAnswer())
    [finding] = looked(site, EngineAnswer())
    told = {"kind": "link", "label": "Ticket", "link": "https://tickets.example.org/1"}
    findings.close(actor=by(site.otto), handoff_id=live.handoff_id, finding_id=finding.pk, evidence=told)
    [again] = looked(site, EngineAnswer())
    assert again.pk != finding.pk
    assert looked(site, EngineAnswer((as_served(live),))) == []
    assert not Finding.objects.filter(closed_at=None).exists()


@pytest.mark.django_db
def test_an_engine_that_is_silent_is_told_since_when(site: Place, live: Deployment) -> None:
    right, down = EngineAnswer((as_served(live),)), EngineAnswer(error="It is down.")
    looked(site, right)
    assert looked(site, down) == []
    since = Reconciliation.objects.get().silent_since
    [finding] = looked(site, down)
    assert Reconciliation.objects.get().silent_since == since
    assert (finding.severity, "is not reachable since" in str(finding)) == ("medium", True)
    page = " ".join(client_of(site.otto).get(PAGE).content.decode().split())
    assert "engine not reachable" in page
    assert "not reachable since" in page
    looked(site, right)
    assert not Finding.objects.filter(closed_at=None).exists()


@pytest.mark.django_db
def test_a_late_look_does_not_undo_a_newer_one(site: Place, live: Deployment) -> None:
    early = timezone.now()
    looked(site, EngineAnswer((as_served(live),)))
    before = Reconciliation.objects.values().get()
    late = reconciliations.keep(actor=ROBOT, environment_id=site.target.pk, answer=EngineAnswer(), asked_at=early)
    assert late is None
    attacks = [{"asked_at": early}, {"silent_since": early}, {"error": "x"}]
    for attack in attacks:
        with pytest.raises(DatabaseError), transaction.atomic():
            Reconciliation.objects.update(**attack)
    with pytest.raises(DatabaseError), transaction.atomic():
        Reconciliation.objects.all().delete()
    assert Reconciliation.objects.values().get() == before


@pytest.mark.django_db
def test_what_nobody_approved_is_told_to_those_who_work_in_the_environment(site: Place, live: Deployment) -> None:
    odd = as_served(live, model="odd", version="=1+1", digest="c" * 64)
    looked(site, EngineAnswer((as_served(live), odd)))
    [finding] = looked(site, EngineAnswer((as_served(live), odd)))
    assert (finding.handoff_id, finding.severity) == (live.handoff_id, "high")
    assert {one["model"]: one["verdict"] for one in api_of(site.otto).get(API).json()} == {
        "tumours": "agrees", "odd": "differs",
    }  # fmt: skip
    assert [one["model"] for one in api_of(site.dana).get(API).json()] == ["tumours"]
    assert api_of(site.mallory).get(API).json() == []
    page = client_of(site.mallory).get(PAGE).content.decode()
    assert "Nothing to compare" in page
    assert "tumours" not in page.lower()
    for client, where in ((client_of(site.otto), f"{PAGE}?download=1"), (api_of(site.otto), TABLE)):
        table = b"".join(client.get(where)).decode()
        assert '"\'=1+1"' in table  # no spreadsheet computes it
    assert b"".join(api_of(site.mallory).get(TABLE)).decode().count("\n") == 1


@pytest.mark.django_db
def test_a_version_that_went_live_since_the_look_was_not_asked_about(site: Place, live: Deployment) -> None:
    assert [one["verdict"] for one in api_of(site.otto).get(API).json()] == ["not asked yet"]
    before = live.live_at
    assert before is not None
    reconciliations.keep(
        actor=ROBOT, environment_id=site.target.pk, answer=EngineAnswer((as_served(live),)), asked_at=before
    )
    assert [one["verdict"] for one in api_of(site.otto).get(API).json()] == ["not asked yet"]
    looked(site, EngineAnswer((as_served(live),)))
    assert [one["verdict"] for one in api_of(site.otto).get(API).json()] == ["agrees"]
    assert "agrees" in client_of(site.otto).get(PAGE).content.decode()


@pytest.mark.django_db
def test_the_command_ends_with_a_code_where_something_differs(site: Place, live: Deployment, settings: Any) -> None:
    settings.ENGINE_URLS = {}
    with pytest.raises(CommandError, match="1 of 1 engines"):
        call_command("reconcile", stdout=StringIO())
    looked(site, EngineAnswer((as_served(live),)))
    told = StringIO()
    call_command("reconcile", "--last", stdout=told)
    assert "serve what is approved, and nothing else" in told.getvalue()


@pytest.mark.django_db(transaction=True)
@pytest.mark.processes
def test_a_real_engine_is_asked_and_one_that_hangs_holds_up_nobody(
    engine: Engine, released: Any, place: Place, settings: Any
) -> None:
    live = work(released()).deployments.get()
    tasks.reconcile()
    kept = Reconciliation.objects.get(environment=place.target)
    assert (kept.differences, kept.error, kept.told["served"][0]["digest"]) == ([], "", live.digest)
    client, model = Client(engine.url, TOKEN), live.model.slug
    client.order(model, "unload", {"order": next_order(), "version": str(live.version.number)})
    tasks.reconcile()
    tasks.reconcile()
    assert "serves nothing" in str(Finding.objects.get(kind=Finding.Kind.SERVED))
    assert Handoff.objects.get(pk=live.handoff_id).state == "live"
    assert engine.serves(model) == ""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        hanging = Question("other", f"http://127.0.0.1:{deaf.getsockname()[1]}", ())
        asked = Question("here", engine.url, (model,))
        began = time.monotonic()
        answers = ask_all([hanging, asked], token=TOKEN, seconds=1.0)
        assert time.monotonic() - began < 5
    assert "did not answer in time" in answers["other"].error
    assert answers["here"] == EngineAnswer()
    assert "has no address" in ask(Question("nowhere", "", ()), token=TOKEN).error
