"""Faults at random times on whole processes; only `make faults STACK=` asks for it, for each fault takes seconds."""

import random
from pathlib import Path
from typing import Any

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from handoff.tasks import PROBE
from tests import processes, stack
from tests.faults.conftest import restarting
from tests.faults.whole import Site, figures, run
from tests.processes import TOKEN, Engine


def test_whole_processes_lose_and_double_nothing(
    transactional_db: None, live_server: Any, settings: Any, faults_folder: Path, request: pytest.FixtureRequest
) -> None:
    faults, draw = request.config.getoption("--stack"), request.config.getoption("--draw")
    if not faults:
        pytest.skip("make faults STACK=100 asks for so many")
    settings.SITE_URL, settings.ENGINE_TOKEN = live_server.url, TOKEN
    for name in ("broker", "whole"):
        (faults_folder / name).mkdir()
    broker, url = processes.broker(faults_folder / "broker")
    engine = Engine(faults_folder / "whole", live_server.url)
    settings.ENGINE_URLS = {"production": engine.url}
    env = processes.environment(
        REDIS_URL=url,
        SITE_URL=live_server.url,
        ENGINE_URLS=f"production={engine.url}",
        MDLC_JOB_LEASE="30",
        LOG_LEVEL="WARNING",
    )
    seed = draw or random.SystemRandom().randrange(10**6)
    site = Site(faults_folder, env, broker, url, engine, restarting(stack.servers), seed)
    ask_nothing_of_the_engine()
    site.start()
    try:
        wrong = run(site, faults)
        print(f"--draw {seed}\n{figures(site)}")
    finally:
        site.stop()
        engine.kill()
        broker.kill()
    assert wrong == []


def ask_nothing_of_the_engine() -> None:
    """Leave the probe out: what it tells of this machine is not in the reports that the tests' people sign."""
    minutely, _ = IntervalSchedule.objects.get_or_create(every=60, period=IntervalSchedule.SECONDS)
    told = {"task": PROBE, "interval": minutely, "enabled": False}
    PeriodicTask.objects.update_or_create(name="probe engines", defaults=told)
