"""Measures the kill switch: `python -m benchmarks.stopping`.

From the commit of a suspension to the first request that the engine refuses, asked all the time; and the same for the
lift, to the first request that it answers again. PostgreSQL, Valkey, relay and the deployments' worker run as the
Procfile has them, with a real engine that fetched its version from a real web server. Meanwhile each thread of the
worker is at a deployment whose engine takes the order to load and never answers.
"""

import http.client
import http.server
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.serving import free_port
from benchmarks.stack import from_procfile, servers
from benchmarks.table import Row, printed
from benchmarks.work import _commits

TRIALS = 25
BUSY = 2  # as many deployments as the worker has threads
GOAL_S = 1.0
LONGEST_S = 30.0


class _Endless(http.server.BaseHTTPRequestHandler):
    """An engine that is well, and never done with loading."""

    def do_GET(self) -> None:
        """Say that it lives."""
        content = json.dumps({"live": True}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        """Take the order, and never answer."""
        time.sleep(3600)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _endless() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Endless)
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


@contextmanager
def stack(folder: Path) -> Iterator[tuple[Any, Any]]:
    """Start everything; give the place and the engine."""
    with ExitStack() as ends:
        site, slow = free_port(), ends.enter_context(_endless())
        ends.enter_context(servers(folder, SITE_URL=f"http://127.0.0.1:{site}", MDLC_DB_POOL="16"))
        from tests import processes  # after Django is set up
        from tests.handoff import building

        ends.enter_context(from_procfile("web", folder, "Started worker-2", PORT=str(site)))
        engine = processes.Engine(folder, f"http://127.0.0.1:{site}/")
        ends.callback(engine.kill)
        place = building.a_place()
        told = {"ENGINE_URLS": f"production={engine.url},slow={slow}", "MDLC_ENGINE_TOKEN": processes.TOKEN}
        ends.enter_context(from_procfile("relay", folder, "listening"))
        ends.enter_context(from_procfile("worker-deployments", folder, "ready.", **told))
        yield place, engine


def live(place: Any) -> Any:
    """Let the worker make a version live, and return its deployment."""
    handoff = _released(place, place.target, 1)
    until(lambda: handoff.deployments.filter(state="live").exists())
    return handoff.deployments.get()


def busy(place: Any) -> list[Any]:
    """Give each thread of the worker a deployment without end, and wait until all have taken one."""
    from handoff.models import Job
    from models_registry.models import Environment, EnvironmentUserGrant
    from tests.handoff import building

    for number in range(BUSY):
        told = {"organisation": place.target.organisation, "owner": place.otto, "python": "3.11.7"}
        slow = Environment.objects.create(
            slug=f"slow-{number}", kind="production", name=f"Slow {number}", engine="slow", **told
        )
        building._grant(EnvironmentUserGrant, place.otto, "it_operations", slow)
        _released(replace(place, target=slow), slow, 1)
    jobs = Job.objects.filter(handoff__target__engine="slow", task="handoff.deploy", state="running")
    until(lambda: jobs.filter(progress__startswith="loading").count() == BUSY)
    return list(jobs)


def _released(place: Any, target: Any, number: int) -> Any:
    from models_registry.models import ModelVersion
    from tests.handoff import building

    version = ModelVersion.objects.filter(model=place.model, number=number).first()
    version = version or building.a_version(place, number)
    handoff = building.offered(place, version, building.a_policy(("integrity",)))
    return building.open_release(place, building.tested(building.open_review(place, handoff)))


def until(done: Any) -> None:
    """Wait until something holds."""
    ends = time.monotonic() + LONGEST_S
    while not done():
        if time.monotonic() > ends:
            raise SystemExit("It took too long; the benchmark could not run.")
        time.sleep(0.02)


def seconds_to(engine: Any, status: int, act: Any) -> float:
    """Do something, and return the seconds from its commit to the first answer of the engine with a status."""
    host, _, port = engine.url.removeprefix("http://").partition(":")
    first: list[float] = []

    def ask() -> None:
        asked = http.client.HTTPConnection(host, int(port), timeout=5)
        while not first:
            asked.request("GET", "/v2/models/tumours/ready")
            answer = asked.getresponse()
            answer.read()
            if answer.status == status:
                first.append(time.time())
            time.sleep(0.001)

    with _commits() as commits:
        asking = threading.Thread(target=ask)
        asking.start()
        act()
        asking.join(LONGEST_S)
    return first[0] - commits[-1]


def rows() -> list[Row]:
    """Run the whole benchmark."""
    with tempfile.TemporaryDirectory() as name, stack(Path(name)) as (place, engine):
        from handoff.models import Suspension
        from tests.handoff import stopping

        deployment = live(place)
        under_way = busy(place)
        stops, lifts = [], []
        for _ in range(TRIALS):
            stops.append(seconds_to(engine, 503, lambda: stopping.suspended(deployment, place.otto)))
            until(lambda: Suspension.objects.filter(ended_at=None, stopped_at__isnull=False).exists())
            lifts.append(seconds_to(engine, 200, lambda: stopping.lifted(deployment, place.otto)))
            until(lambda: not Suspension.objects.filter(ending="lifted", resumed_at=None).exists())
        for job in under_way:
            job.refresh_from_db()
            assert job.state == "running", "the worker was busy all the time"
        return [
            _row(f"suspended to refused, {BUSY} of {BUSY} threads busy", stops, GOAL_S),
            _row("lifted to answered", lifts, None),
        ]


def _row(name: str, seconds: list[float], goal: float | None) -> Row:
    found = sorted(1000 * one for one in seconds)
    middle, late = statistics.median(found), found[int(0.95 * len(found))]
    told = f"p50 {middle:.1f} ms, p95 {late:.1f} ms, most {found[-1]:.1f} ms of {len(found)}"
    met = None if goal is None else found[-1] <= 1000 * goal
    return Row(name, told, "", None if goal is None else found[-1] / (1000 * goal), "≤ 1 s" if goal else "", met)


def main() -> None:
    """Print the table."""
    print(printed(rows(), f"The kill switch ({TRIALS} trials on {os.cpu_count()} cores)"))


if __name__ == "__main__":
    main()
