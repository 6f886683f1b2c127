"""Runs of live deployments on a real engine: from Valkey into PostgreSQL and Parquet, taken over, and given back."""

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pyarrow.parquet as pq
import pytest
import redis
from django.utils import timezone

from audit.actors import Person
from handoff import queue, tasks
from handoff.connections import pinned
from handoff.models import Deployment, Handoff, Job, Reconciliation
from handoff.rules.bindings import read_bindings
from handoff.services import deployments, jobs, runs
from handoff.states import JobState, State
from models_registry.models import Stream
from models_registry.services import streams
from tests import processes
from tests.handoff import amending, artifacts, building
from tests.handoff.building import Place
from tests.handoff.walking import client_of
from tests.processes import Engine, Process, eventually
from tests.queries import counting
from tests.streams.clusters import Cluster
from tests.streams.places import postgres_url, unique, valkey_url

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]
RUN = {
    queue.DEPLOY: tasks.deploy,
    queue.CONFIRM: tasks.confirm,
    queue.ROLL_BACK: tasks.roll_back,
    queue.RUN_STREAMS: tasks.run_streams,
    queue.RUN_BATCH: tasks.run_batch,
    queue.AMEND: tasks.amend,
}


@pytest.fixture
def engine(
    live_server: Any, settings: Any, tmp_path: Path, started: Callable[[Process], Process], place: Place
) -> Engine:
    """Start a real engine whose streams may reach this machine."""
    settings.SITE_URL, settings.ENGINE_TOKEN = live_server.url, processes.TOKEN
    found = Engine(tmp_path, live_server.url, "--private", "--folders", "/")
    settings.ENGINE_URLS = {"production": found.url}
    started(found.process)
    return found


class Streams:
    """A Valkey stream of patients, a table of scores and a folder of Parquet files, declared in production."""

    def __init__(self, place: Place, folder: Path) -> None:
        """Make the places, and declare them."""
        self.place, self.folder, self.table, self.stream = (
            place,
            folder / "scores",
            unique("scores"),
            unique("patients"),
        )
        self.pg = psycopg.connect(host=postgres_url().partition("host=")[2], dbname="postgres", autocommit=True)
        self.pg.execute(f"create table {self.table} (record_key text primary key, label bigint)")
        self.client = redis.Redis.from_url(valkey_url())
        source = {"url": valkey_url(), "stream": self.stream, "group": "tumours"}
        told = {"transport": "valkey", "encoding": "json", "location": source, "batch": {"records": 50, "seconds": 0.1}}
        self._declare("patients", "source", told)
        sql = {"transport": "sql", "location": {"url": postgres_url(), "table": self.table}, "fields": ["label"]}
        self._declare("table", "sink", sql)
        parquet = {"transport": "file", "encoding": "parquet", "location": {"url": f"file://{self.folder}"}}
        self._declare("files", "sink", parquet)

    def _declare(self, slug: str, direction: str, descriptor: dict[str, Any]) -> None:
        who = Person(self.place.otto, "test")
        streams.declare(
            actor=who, environment="production", slug=slug, direction=direction, descriptor=descriptor, owner="otto"
        )

    def declare_letters(self) -> None:
        """Declare a folder that keeps what was not scored."""
        place = {"transport": "file", "encoding": "json_lines", "location": {"url": f"file://{self.folder}-rejects"}}
        self._declare("rejects", "sink", place)

    def letters(self) -> list[dict[str, Any]]:
        """Return the letters that are kept."""
        paths = sorted(Path(f"{self.folder}-rejects").glob("*"))
        return [json.loads(line) for path in paths for line in path.read_text().splitlines()]

    def keep_secret(self, name: str) -> None:
        """Let the source name a secret."""
        who, source = Person(self.place.otto, "test"), Stream.objects.get(slug="patients")
        descriptor = {**source.descriptor, "secret": name}
        streams.change(actor=who, environment="production", stream="patients", descriptor=descriptor)

    def close(self) -> None:
        self.pg.execute(f"drop table {self.table}")
        self.pg.close()
        self.client.delete(self.stream)
        self.client.close()

    def arrive(self, records: list[dict[str, Any]]) -> None:
        for one in records:
            self.client.xadd(self.stream, {"record": json.dumps(one)})

    def hand_in(self, folder: Path, files: list[list[dict[str, Any]]], **more: Any) -> None:
        """Declare a folder as a source, with some files of records in it."""
        folder.mkdir()
        for number, lines in enumerate(files):
            (folder / f"{number}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
        place = {"transport": "file", "encoding": "json_lines", "location": {"url": f"file://{folder}"}}
        self._declare("days", "source", place | more)

    def in_table(self) -> int:
        row = self.pg.execute(f"select count(*) from {self.table}").fetchone()
        return int(row[0]) if row else 0

    def in_files(self) -> int:
        return sum(pq.read_metadata(path).num_rows for path in self.folder.glob("*.parquet"))


@pytest.fixture
def connected(place: Place, tmp_path: Path) -> Any:
    """Return the declared streams."""
    found = Streams(place, tmp_path)
    yield found
    found.close()


def released(
    place: Place, number: int, quality: str = "good", mode: str = "stream", source: str = "patients", **more: Any
) -> Handoff:
    """Return a handoff over the streams whose deployment is queued."""
    raw: dict[str, Any] = {}
    if mode != "request_reply":
        raw = {"mode": mode, "input": {"stream": source}, "outputs": [{"stream": "table"}, {"stream": "files"}], **more}
    bindings = pinned(read_bindings(raw), place.target)
    version, policy = building.a_version(place, number, quality), building.a_policy(("integrity",))
    handoff = building.open_review(place, building.offered(place, version, policy, bindings))
    return building.open_release(place, building.tested(handoff))


def work(handoff: Handoff) -> Handoff:
    """Do what is queued for a handoff, as the deployment workers do."""
    while (job := handoff.jobs.filter(state=JobState.QUEUED, task__in=RUN).first()) is not None:
        RUN[job.task](str(job.pk))
    handoff.refresh_from_db()
    return handoff


def records(count: int) -> list[dict[str, Any]]:
    """Return records that the model takes."""
    lines = artifacts.elements("good")["golden"].splitlines()
    return [json.loads(lines[at % len(lines)])["input"] for at in range(count)]


def told(deployment: Deployment) -> dict[str, Any]:
    """Return how a run goes, as the watch has it after asking the engine."""
    tasks.watch_runs()
    deployment.refresh_from_db()
    found: dict[str, Any] = deployment.run
    return found


def test_no_run_is_ordered_before_the_release_gate_and_no_worker_gets_a_secret(
    place: Place, connected: Streams, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """The order of a run is queued at going live, and names a secret that only the engine resolves."""
    settings.ENGINE_URLS = {"production": "http://127.0.0.1:9"}
    monkeypatch.setenv("MDLC_SECRET_BROKER", "hunter2")
    connected.keep_secret("BROKER")
    version, policy = building.a_version(place, 1), building.a_policy(("integrity",))
    raw = {"mode": "stream", "input": {"stream": "patients"}, "outputs": [{"stream": "table"}]}
    handoff = building.offered(place, version, policy, pinned(read_bindings(raw), place.target))
    ordered = handoff.jobs.filter(task=queue.RUN_STREAMS)
    for step in (lambda one: building.open_review(place, one), building.tested):
        assert not ordered.exists()
        handoff = step(handoff)
    assert (handoff.state, ordered.count()) == (State.READY, 0)
    handoff = building.open_release(place, handoff)
    assert (handoff.state, ordered.count()) == (State.DEPLOYING, 0)
    counting.deployed(handoff)
    job = jobs.claim(ordered.get().pk, "worker", task=queue.RUN_STREAMS)
    assert job is not None
    plan = runs.begin(job.pk, job.fence)
    assert plan is not None
    assert plan.source["secret"] == "BROKER"
    assert "hunter2" not in repr(plan)
    for table in (Deployment, Handoff, Job):
        assert "hunter2" not in repr(list(table.objects.values()))


def test_what_is_live_runs_over_its_streams(engine: Engine, place: Place, connected: Streams) -> None:
    connected.arrive([*records(120), {"radius": "wide"}])
    handoff = work(released(place, 1))
    deployment = handoff.deployments.get()
    assert (handoff.state, deployment.state) == (State.LIVE, "live"), deployment.log
    eventually(lambda: connected.in_table() == 120 and connected.in_files() == 120, "all are scored", 60)
    eventually(lambda: told(deployment).get("counts", {}).get("scored") == 120, "the engine tells it", 30)
    assert deployment.run["state"] == "running"
    assert deployment.run["counts"]["read"] == 121
    assert sum(deployment.run["counts"]["rejected"].values()) == 1
    letters = deployment.run["letters"]
    assert letters["faults"] == [{"cause": "schema", "rule": "type", "field": "radius", "count": 1}]
    folder = Path(urlsplit(letters["location"]["url"]).path)
    [letter] = [json.loads(line) for path in folder.iterdir() for line in path.read_text().splitlines()]
    assert json.loads(letter["record"]) == {"radius": "wide"}
    assert "wide" not in json.dumps(deployment.run)  # records stay where they are
    assert deployment.log[-1]["step"] == "run_start"
    tasks.reconcile()
    assert Reconciliation.objects.get().differences == []  # its streams are those that were ordered
    page = client_of(place.otto).get(f"/deployments/{deployment.pk}/").content.decode()
    for words in (
        "Run over streams",
        "running",
        "Rejected:",
        "Dead letters",
        str(folder),
        "Delivered: table",
        ">120<",
        "Arriving scores",
        "120 records",
    ):
        assert words.replace(">", "").replace("<", "") in page


def test_dead_letters_go_to_the_sink_that_the_bindings_name(engine: Engine, place: Place, connected: Streams) -> None:
    connected.declare_letters()
    connected.arrive([*records(20), {"radius": "wide"}])
    handoff = work(released(place, 1, letters={"stream": "rejects"}))
    deployment = handoff.deployments.get()
    eventually(lambda: len(connected.letters()) == 1, "the reject is kept", 60)
    [letter] = connected.letters()
    assert json.loads(letter["record"]) == {"radius": "wide"}
    assert (letter["cause"], letter["rule"], letter["field"]) == ("schema", "type", "radius")
    assert "Dead letters into" in client_of(place.otto).get(f"/deployments/{deployment.pk}/").content.decode()


def test_a_batch_that_goes_live_runs_on_the_cluster_of_its_engine(
    live_server: Any,
    settings: Any,
    tmp_path: Path,
    started: Callable[[Process], Process],
    place: Place,
    connected: Streams,
) -> None:
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(tmp_path / "cluster")
    try:
        settings.SITE_URL, settings.ENGINE_TOKEN = live_server.url, processes.TOKEN
        engine = Engine(tmp_path, live_server.url, "--private", "--folders", "/", "--scheduler", cluster.address)
        settings.ENGINE_URLS = {"production": engine.url}
        started(engine.process)
        started(cluster.worker())
        connected.hand_in(tmp_path / "days", [records(40), [*records(50), {"radius": "wide"}], records(30)])
        deployment = work(released(place, 1, mode="batch", source="days")).deployments.get()
        eventually(lambda: told(deployment).get("state") == "finished", "the batch ends", 60, engine.process)
    finally:
        cluster.stop()
    run = deployment.runs.get()
    assert (run.state, run.counts["parts"]) == ("finished", {"all": 3, "done": 3, "failed": 0})
    assert deployment.run["parts"] == {"all": 3, "done": 3, "failed": 0}
    assert (deployment.run["counts"]["read"], deployment.run["counts"]["scored"]) == (121, 120)
    assert (connected.in_table(), connected.in_files()) == (120, 120)
    client = client_of(place.otto)
    page = client.get(f"/deployments/{deployment.pk}/").content.decode()
    page += client.get(f"/deployments/{deployment.pk}/runs/1/").content.decode()
    for words in ("Parts on the cluster", "3 of 3 done", "finished", "120 records"):
        assert words in page


def test_the_next_version_takes_the_stream_over_and_a_rollback_gives_it_back(
    engine: Engine, place: Place, connected: Streams
) -> None:
    first, second = work(released(place, 1)), work(released(place, 2, "other"))
    one, two = first.deployments.get(), second.deployments.get()
    assert (told(two)["state"], one.state) != ("", "live")
    one.refresh_from_db()
    assert one.run["state"] == "stopped"
    connected.arrive(records(30))
    eventually(lambda: connected.in_table() == 30, "the new one scores", 60)
    deployments.roll_back(actor=Person(place.otto, "test"), deployment_id=two.pk, reason="Odd scores.")
    work(second), work(first)
    back = first.deployments.order_by("-order")[0]
    two.refresh_from_db()
    assert (back.state, two.state, two.run["state"]) == ("live", "rolled_back", "stopped")
    connected.arrive(records(30))
    eventually(lambda: connected.in_table() == 60, "the old one scores again", 60)
    eventually(lambda: told(back).get("counts", {}).get("scored") == 30, "only what came since", 30)


def test_a_version_that_only_answers_requests_stops_the_run(engine: Engine, place: Place, connected: Streams) -> None:
    first = work(released(place, 1))
    work(released(place, 2, "other", mode="request_reply"))
    one = first.deployments.get()
    assert (one.state, one.run["state"]) == ("superseded", "stopped")
    connected.arrive(records(5))
    state = tasks.runner.look(engine.url, "tumours", str(one.pk), token=processes.TOKEN)
    assert state["state"] == "stopped"
    assert connected.in_table() == 0


def test_a_stream_that_changed_since_it_was_signed_shuts_the_gate(
    engine: Engine, place: Place, connected: Streams
) -> None:
    handoff = released(place, 1)
    otto = Person(place.otto, "test")
    streams.change(actor=otto, environment="production", stream="table", descriptor={"transport": "discard"})
    handoff = work(handoff)
    assert handoff.state == State.READY
    job = handoff.jobs.get(task=queue.DEPLOY)
    assert "descriptor of the stream table changed" in job.error
    assert engine.serves("tumours") == ""
    assert not handoff.deployments.exists()


def test_a_run_that_could_not_be_ordered_is_ordered_again(
    engine: Engine, place: Place, connected: Streams, settings: Any
) -> None:
    handoff = released(place, 1)
    while (job := handoff.jobs.filter(state=JobState.QUEUED).exclude(task=queue.RUN_STREAMS).first()) is not None:
        RUN[job.task](str(job.pk))
    engine.kill()
    job = handoff.jobs.get(task=queue.RUN_STREAMS)
    for _ in range(settings.JOB_ATTEMPTS):
        tasks.run_streams(str(job.pk))
    job.refresh_from_db()
    assert job.state == JobState.DEAD
    tasks.watch_runs()  # too early
    assert handoff.jobs.filter(task=queue.RUN_STREAMS).count() == 1
    Job.objects.filter(pk=job.pk).update(ended_at=timezone.now() - timedelta(minutes=2))
    engine.start()
    tasks.watch_runs()
    tasks.watch_runs()
    assert handoff.jobs.filter(task=queue.RUN_STREAMS).count() == 2
    connected.arrive(records(10))
    work(handoff)
    eventually(lambda: connected.in_table() == 10, "the run was started after all", 60)


def test_a_run_that_the_engine_lost_is_ordered_again(
    engine: Engine, place: Place, connected: Streams, tmp_path: Path
) -> None:
    handoff = work(released(place, 1))
    deployment = handoff.deployments.get()
    engine.kill()
    shutil.rmtree(tmp_path / "home" / "runs")
    engine.start()
    tasks.watch_runs()
    tasks.watch_runs()
    assert handoff.jobs.filter(task=queue.RUN_STREAMS).count() == 2
    work(handoff)
    assert told(deployment)["state"] in ("starting", "running")


def test_an_added_sink_gets_records_from_then_on_and_the_others_lose_none(
    engine: Engine, place: Place, connected: Streams
) -> None:
    handoff = work(released(place, 1))
    deployment = handoff.deployments.get()
    connected.arrive(records(40))
    eventually(lambda: connected.in_table() == 40, "the first are scored", 60)
    later = unique("later")
    told_later = {"transport": "valkey", "encoding": "json", "location": {"url": valkey_url(), "stream": later}}
    connected._declare("later", "sink", told_later)
    sinks = [{"stream": "table"}, {"stream": "files"}, {"stream": "later", "fields": ["label"]}]
    amendment = amending.proposed(deployment, place.iris, sinks=sinks)
    amending.sign(amendment, place.iris)
    connected.arrive(records(40))  # while it is being applied
    work(handoff)
    amendment.refresh_from_db()
    assert (amendment.state, amendment.because) == ("applied", ""), amendment.log
    connected.arrive(records(40))
    eventually(lambda: connected.in_table() == connected.in_files() == 120, "all are scored", 60)
    eventually(lambda: 40 <= connected.client.xlen(later) <= 80, "the new sink gets them from then on", 30)
    assert told(deployment)["state"] == "running"
    connected.client.delete(later)
    broken = {**told_later, "location": {"url": "redis://127.0.0.1:9", "stream": later}}
    connected._declare("broken", "sink", broken)
    worse = amending.proposed(deployment, place.iris, sinks=[*sinks, {"stream": "broken"}])
    amending.sign(worse, place.iris)
    work(handoff)
    worse.refresh_from_db()
    assert worse.state == "failed"
    assert worse.because.endswith("So it runs again as it did before.")
    connected.arrive(records(10))
    eventually(lambda: connected.in_table() == 130, "it runs as it did before", 60)
    assert sorted(told(deployment)["counts"]["delivered"]) == ["files", "later", "table"]
