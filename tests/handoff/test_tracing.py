"""One trace leads from a request over the relay and a worker to an engine, and tells of no person. Real processes."""

import json
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import Request, urlopen

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from engine import tracing
from handoff.models import Job
from handoff.states import State
from mdlc_site.sample.client import Api
from tests import processes
from tests.handoff import building, walking
from tests.processes import Process, eventually

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ASKED = f"00-{TRACE}-00f067aa0ba902b7-01"
# All that a span may tell.
TOLD = {
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "error.type",
    "mdlc.request",
    "mdlc.job",
    "mdlc.fence",
    "mdlc.attempt",
}


class Collector:
    """Whoever takes traces: OTLP over HTTP, kept in memory."""

    def __init__(self) -> None:
        """Listen on a port of this machine."""
        self.bodies: list[bytes] = []
        kept = self.bodies

        class Taker(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                kept.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self, trace: str) -> dict[str, list[Any]]:
        """Return the spans of a trace, by the service that sent them."""
        found: dict[str, list[Any]] = {}
        for body in list(self.bodies):
            for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = {one.key: one.value.string_value for one in sent.resource.attributes}["service.name"]
                told = [span for scope in sent.scope_spans for span in scope.spans if span.trace_id.hex() == trace]
                found.setdefault(service, []).extend(told)
        return {service: told for service, told in found.items() if told}


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Take what is sent."""
    one = Collector()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.mark.django_db(transaction=True)
def test_one_trace_leads_from_a_request_to_an_engine_and_tells_of_nobody(
    collector: Collector,
    env: dict[str, str],
    place: building.Place,
    tmp_path: Path,
    started: Callable[[Process], Process],
    settings: Any,
) -> None:
    port = processes.free_port()
    site = settings.SITE_URL = f"http://127.0.0.1:{port}"
    traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    engine = processes.Engine(tmp_path, site, **traced)
    started(engine.process)
    env |= {**traced, "SITE_URL": site, "ENGINE_URLS": f"production={engine.url}"}
    args = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    web = started(Process("web", [*args, "mdlc_site.wsgi:application"], tmp_path / "web.log", env).start())
    relay = started(processes.relay(tmp_path, env))
    worker = started(processes.worker(tmp_path, env))
    place.otto.set_password(walking.PASSWORD)
    place.otto.save(update_fields=["password"])
    offered = building.offered(place, building.a_version(place), building.a_policy(("integrity",)))
    handoff = building.tested(building.open_review(place, offered))
    eventually(lambda: processes.answers(f"{site}/healthz/live"), "the site answers", 60, web)
    eventually(lambda: "ready." in worker.log.read_text(), "the worker is ready", 60, worker)
    otto = Api(site).sign_in("otto", walking.PASSWORD)
    here = f"/api/v1/handoffs/{handoff.pk}"
    sheet = otto.get(f"{here}/sheets/release/")
    proof = otto.post("/api/v1/reauthentications/", {"password": walking.PASSWORD})
    body = {"requirement": "release", "decision": "approve", "meaning": sheet["meaning"], "seen": sheet["seen"]}
    sent = {**body, "reauthentication": proof["id"], "comment": "a word in confidence"}
    headers = {"Authorization": f"Bearer {otto.token}", "Content-Type": "application/json", "traceparent": ASKED}
    with urlopen(Request(f"{site}{here}/signoffs/", json.dumps(sent).encode(), headers), timeout=30) as answer:
        assert answer.status == 201

    def live() -> bool:
        handoff.refresh_from_db()
        return bool(handoff.state == State.LIVE)

    eventually(live, "it is live", 60, relay, worker, engine.process)
    services = {"mdlc-web", "mdlc-relay", "mdlc-worker", "mdlc-engine"}
    eventually(lambda: collector.spans(TRACE).keys() == services, "all four tell of it", 20, web, relay, worker)
    found = collector.spans(TRACE)
    (asked,) = [span for span in found["mdlc-web"] if span.name.startswith("POST /api/v1/handoffs/")]
    assert asked.parent_span_id.hex() == "00f067aa0ba902b7"
    (job,) = [span for span in found["mdlc-worker"] if span.name == "handoff.deploy"]
    assert {job.parent_span_id, found["mdlc-relay"][0].parent_span_id} == {asked.span_id}
    assert {span.name for span in found["mdlc-engine"]} >= {"order load", "order activate"}
    assert {span.parent_span_id for span in found["mdlc-engine"]} == {job.span_id}
    row = Job.objects.get(handoff=handoff, task="handoff.deploy")
    assert {(one.key, one.value.string_value) for one in job.attributes} >= {("mdlc.job", str(row.pk))}
    assert row.trace.startswith(f"00-{TRACE}-")
    tells_of_nobody(collector, otto.token, handoff)


def tells_of_nobody(collector: Collector, token: str, handoff: Any) -> None:
    """Look for persons, secrets and what they wrote in all that was sent, spans of other requests too."""
    everything = b"".join(collector.bodies)
    for word in ("otto", "vera", "dana", "in confidence", walking.PASSWORD, token, processes.TOKEN, str(handoff.pk)):
        assert word.encode() not in everything, word
    for body in collector.bodies:
        for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
            for span in (span for scope in sent.scope_spans for span in scope.spans):
                assert {one.key for one in span.attributes} <= TOLD
                assert not span.events, "an exception's words may hold anything"


def test_nobody_is_sent_anything_unless_told_where(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tracing.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert not tracing.on()
    tracing.start("nobody")
    with tracing.span("work", mdlc__job="1") as span:
        assert not span.is_recording()
        assert tracing.current() == ""


@pytest.mark.parametrize("sent", ["", "00-0-0-0", "x" * 55, f"00-{'0' * 32}-{'0' * 16}-01", f"{ASKED}\nmore"])
def test_a_traceparent_that_is_none_begins_no_trace(sent: str) -> None:
    with tracing.span("work", parent=sent):
        assert tracing.current() == ""
    with tracing.span("work", parent=ASKED):
        assert tracing.current() == ASKED
