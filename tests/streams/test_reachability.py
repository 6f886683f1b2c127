"""Places are asked whether they answer: with the real thing behind each transport, and nothing taken or made there."""

import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import redis

from engine.errors import StreamError
from engine.streams import kafka as kafka_streams
from engine.streams import reachability
from engine.streams.addresses import Reach
from engine.streams.reachability import ask, ask_all
from tests.processes import free_port
from tests.streams.places import EVERYWHERE, Kafka, Receiver, postgres_url, stream, unique, valkey_url

Described = dict[str, Any]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachability, "PAUSE_S", 0)


def a_valkey(url: str, **more: Any) -> Described:
    return {"transport": "valkey", "encoding": "json", "location": {"url": url, "stream": unique("s"), **more}}


def fault(described: Described, direction: str = "source", reach: Reach = EVERYWHERE) -> str:
    return ask_all({"it": {"direction": direction, "descriptor": described}}, reach=reach)["it"].get("code", "")


def test_a_valkey_answers_and_no_group_is_made() -> None:
    described = a_valkey(valkey_url(), group="ours")
    assert fault(described) == ""
    assert not redis.Redis.from_url(valkey_url()).exists(described["location"]["stream"])
    assert fault(a_valkey(f"redis://127.0.0.1:{free_port()}/0", group="ours")) == "unreachable"


def test_a_wrong_password_is_told_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    user = unique("user")
    redis.Redis.from_url(valkey_url()).acl_setuser(user, enabled=True, passwords=["+right"], commands=["+@all"])
    described = {**a_valkey(valkey_url().replace("unix://", f"unix://{user}@"), group="g"), "secret": "VALKEY"}
    monkeypatch.setenv("MDLC_SECRET_VALKEY", "hunter2")
    answer = ask_all({"it": {"direction": "source", "descriptor": described}}, reach=EVERYWHERE)["it"]
    assert answer["code"] == "access_denied"
    assert "hunter2" not in answer["message"]
    monkeypatch.delenv("MDLC_SECRET_VALKEY")
    assert fault(described) == "secret_missing"
    monkeypatch.setenv("MDLC_SECRET_VALKEY", "right")
    assert fault(described) == ""


def test_tables_are_looked_for(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("create table scores (record_key text unique)")
    here = {"transport": "sql", "location": {"url": f"sqlite://{tmp_path}/x.db", "table": "scores"}}
    assert fault(here, "sink") == ""
    assert fault({**here, "location": {**here["location"], "table": "other"}}, "sink") == "target_missing"
    query = {"url": postgres_url(), "query": "select 1 as code", "order_by": "code"}
    assert fault({"transport": "sql", "location": query}) == ""
    nobody = {"url": f"postgresql://u@127.0.0.1:{free_port()}/d", "table": "t"}
    assert fault({"transport": "sql", "location": nobody}, "sink") == "unreachable"


def test_files_are_looked_for_and_no_folder_is_made(tmp_path: Path) -> None:
    described = {"transport": "file", "encoding": "csv", "location": {"url": f"file://{tmp_path}/in.csv"}}
    assert fault(described) == "target_missing"
    (tmp_path / "in.csv").write_text("code\n")
    assert fault(described) == ""
    sink = {**described, "location": {"url": f"file://{tmp_path}/out"}}
    assert fault(sink, "sink") == ""
    assert not (tmp_path / "out").exists()


def test_brokers_are_asked_for_a_topic(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    def at(server: str, topic: str, **more: str) -> Described:
        location = {"servers": [server], "topic": topic, **more}
        return {"transport": "kafka", "encoding": "json", "location": location}

    assert fault(at(kafka.server, kafka.topic(), group="g")) == ""
    assert fault(at(kafka.server, unique("none"), group="g")) == "target_missing"
    assert fault(at(kafka.server, unique("made_by_the_first")), "sink") == ""
    monkeypatch.setattr(kafka_streams, "TIMEOUT", 0.5)
    assert fault(at(f"127.0.0.1:{free_port()}", "t", group="g")) == "unreachable"


def test_a_receiver_is_connected_to_and_told_nothing(receiver: Receiver) -> None:
    described = {"transport": "http", "encoding": "json", "location": {"url": receiver.url}}
    assert fault(described, "sink") == ""
    assert not receiver.got
    assert fault({**described, "location": {"url": f"http://127.0.0.1:{free_port()}/"}}, "sink") == "unreachable"


def test_what_is_here_already_answers() -> None:
    assert fault({"transport": "inline", "location": {"records": [{"code": "007"}]}}) == ""
    assert fault({"transport": "discard"}, "sink") == ""
    assert fault({"transport": "http", "encoding": "json"}) == ""


def test_nothing_is_asked_beyond_the_reach(receiver: Receiver, tmp_path: Path) -> None:
    hook = {"transport": "http", "encoding": "json", "location": {"url": receiver.url}}
    assert fault(hook, "sink", Reach()) == "address_forbidden"
    metadata = {**hook, "location": {"url": "http://169.254.169.254/latest"}}
    assert fault(metadata, "sink") == "address_forbidden"
    file = {"transport": "file", "encoding": "csv", "location": {"url": f"file://{tmp_path}/x"}}
    assert fault(file, reach=Reach()) == "path_forbidden"


def test_a_short_cut_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described = {"transport": "file", "encoding": "csv", "location": {"url": f"file://{tmp_path}/in.csv"}}
    monkeypatch.setattr(reachability.time, "sleep", lambda _: (tmp_path / "in.csv").write_text("code\n"))
    assert fault(described) == ""


def test_what_hangs_is_told_in_time_and_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hanging: str
) -> None:
    monkeypatch.setattr(reachability, "PATIENCE_S", 0.5)
    (tmp_path / "in.csv").write_text("code\n")
    well = {"transport": "file", "encoding": "csv", "location": {"url": f"file://{tmp_path}/in.csv"}}
    told = {
        "well": {"direction": "source", "descriptor": well},
        "hangs": {"direction": "source", "descriptor": a_valkey(hanging, group="g")},
    }
    answer = ask_all(told, reach=EVERYWHERE)
    assert answer["well"] == {}
    assert answer["hangs"]["code"] == "unreachable"


@pytest.fixture
def hanging() -> Any:
    """Return the URL of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.mark.parametrize("told", [None, [], {"a": None}, {"a": {}}, {"a": {"direction": "in", "descriptor": {}}}])
def test_an_odd_request_is_refused(told: Any) -> None:
    with pytest.raises(StreamError) as refusal:
        ask_all(told, reach=EVERYWHERE)
    assert (refusal.value.code, refusal.value.field) == ("order_malformed", "streams")


def test_an_incoherent_descriptor_is_told() -> None:
    assert fault({"transport": "pigeon"}) == "transport_unknown"


def test_asking_one_raises_what_is_wrong(tmp_path: Path) -> None:
    place = {"transport": "file", "encoding": "csv", "location": {"url": f"file://{tmp_path}/none.csv"}}
    with pytest.raises(StreamError, match="There is no file"):
        ask(stream(place, "in"), reach=EVERYWHERE)
