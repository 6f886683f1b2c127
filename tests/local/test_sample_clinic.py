"""The sample clinic's own systems, really running: patients arrive in a stream, and alerts are taken once."""

import json
import os
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from engine.errors import StreamError
from engine.fields import Field
from engine.schemas import Schema
from engine.streams.opening import open_sink
from engine.streams.rows import Rows
from mdlc_site.sample import clinic
from tests.processes import Process, eventually, free_port
from tests.streams.places import EVERYWHERE, stream

pytestmark = pytest.mark.processes
ANSWER = Schema("Answer", [Field("label", "long")])
RECORD = {"mean_radius": 12.5, "mean_area": 400.0}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a data folder with a key, records to feed, and the way to the suite's servers."""
    (tmp_path / "engine-secrets").mkdir()
    (tmp_path / clinic.KEY_FILE).write_text("a key of the test")
    model = tmp_path / "sample" / "screening-1"
    model.mkdir(parents=True)
    (model / "validation.jsonl").write_text(json.dumps({"input": RECORD, "label": 1}) + "\n")
    (model / "thresholds.json").write_text("{}")
    (tmp_path / "servers").symlink_to(Path(urlsplit(os.environ["REDIS_URL"]).path).parent)
    return tmp_path


@pytest.fixture
def port(home: Path) -> Iterator[int]:
    """Start the systems; return where alerts are received."""
    found = free_port()
    args = [sys.executable, "-m", "mdlc_site.sample.clinic", "--home", str(home), "--port", str(found)]
    process = Process("clinic", args, home / "clinic.log", dict(os.environ))
    process.start()
    eventually(lambda: alerts(found) is not None, "the clinic answers", 20, process)
    yield found
    process.kill()
    client_of(home).delete(clinic.PATIENTS)


def client_of(home: Path) -> Any:
    return redis.Redis(unix_socket_path=str((home / "servers" / "valkey").resolve()), db=clinic.ARRIVALS)


def alerts(port: int) -> dict[str, int] | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/alerts", timeout=5) as answer:
            return dict(json.load(answer))
    except OSError:
        return None


def send(port: int, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliver two rows as an engine does that knows a key by its name."""
    monkeypatch.setenv("MDLC_SECRET_ALERTS_KEY", secret)
    told = {"transport": "http", "encoding": "json", "location": {"url": f"http://127.0.0.1:{port}/alerts"}}
    sink = open_sink(stream({**told, "secret": "ALERTS_KEY"}, "out", ANSWER), ANSWER, reach=EVERYWHERE)
    sink.write(Rows(ANSWER, ["a", "b"], records=[{"label": 0}, {"label": 1}]))
    sink.close()


def test_patients_arrive_and_a_few_of_them_broken(home: Path, port: int) -> None:
    client = client_of(home)
    eventually(lambda: client.xlen(clinic.PATIENTS) > 60, "60 patients are in the stream", 20)
    messages = [fields[b"record"] for _, fields in client.xrange(clinic.PATIENTS, count=60)]
    assert [at for at, one in enumerate(messages, start=1) if one != json.dumps(RECORD).encode()] == [20, 40, 60]
    assert json.loads(messages[19])["mean_radius"] == "wide"
    assert json.loads(messages[39])["mean_area"] < 0
    with pytest.raises(json.JSONDecodeError):
        json.loads(messages[59])


def test_an_alert_counts_once_and_one_that_is_signed_by_a_stranger_never(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        send(port, "a key of the test", monkeypatch)
    assert alerts(port) == {"received": 2, "refused": 0}
    with pytest.raises(StreamError, match="refuses access"):
        send(port, "another key", monkeypatch)
    assert alerts(port) == {"received": 2, "refused": 1}
