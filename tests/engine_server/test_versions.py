"""Staging, going live, going back, and coming back after kill -9."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from benchmarks.serving import Engine, Registry, Sample, Sealed, packed

URL = "/v2/models/sample/infer"
Make = Callable[..., Sealed]


def served(engine: Engine, sample: Sample) -> str:
    """Return the version that answers."""
    status, answer = engine.ask("POST", URL, packed([sample.records[0].tolist()]))
    assert status == 200, answer
    version: str = answer["model_version"]
    return version


def test_a_staged_version_serves_only_by_its_number(
    engine: Engine, registry: Registry, version: Make, sample: Sample
) -> None:
    one = version(1)
    status, answer = engine.load(registry, one, 5)
    assert (status, answer) == (200, {"name": "sample", "version": "1", "digest": one.digest, "state": "staged"})
    row = packed([sample.records[0].tolist()])
    assert engine.ask("POST", URL, row)[0] == 404
    assert engine.ask("POST", "/v2/models/sample/versions/1/infer", row)[0] == 200
    assert engine.activate(one, 5) == (
        200, {"name": "sample", "version": "1", "digest": one.digest, "state": "live", "previous": None},
    )  # fmt: skip
    assert served(engine, sample) == "1"
    status, told = engine.ask("GET", "/v2/models/sample")
    assert told["parameters"] == {"version": "1", "digest": one.digest, "order": 5}
    assert told["inputs"][0] == {"name": "mean_radius", "datatype": "FP32", "shape": [-1]}
    assert told["outputs"][1] == {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]}


def test_swap_and_roll_back(engine: Engine, registry: Registry, version: Make, live: Sealed, sample: Sample) -> None:
    two = version(2)
    assert engine.load(registry, two, 2)[0] == 200
    assert served(engine, sample) == "1"
    status, answer = engine.activate(two, 2)
    assert answer["previous"] == {"version": "1", "digest": live.digest}
    assert served(engine, sample) == "2"
    registry.blobs.clear()  # going back needs no registry
    status, answer = engine.activate(live, 3)
    assert (status, answer["previous"]["version"]) == (200, "2")
    assert served(engine, sample) == "1"


def test_orders_are_fenced(engine: Engine, registry: Registry, version: Make, live: Sealed, sample: Sample) -> None:
    two = version(2)
    assert engine.load(registry, two, 20)[0] == 200
    for status, answer in (
        engine.load(registry, version(3), 19),
        engine.activate(two, 19),
        engine.activate(live, 1),
        engine.order("sample", "unload", order=19, version="1"),
    ):
        assert (status, answer["code"]) == (409, "stale_order")
    assert engine.activate(two, 20) == engine.activate(two, 20)
    assert served(engine, sample) == "2"
    engine.kill()
    again = Engine(engine.home, registry.url)
    try:
        assert again.activate(live, 19)[1]["code"] == "stale_order"
        assert served(again, sample) == "2"
    finally:
        again.kill()


def test_the_same_load_twice_fetches_once(engine: Engine, registry: Registry, version: Make) -> None:
    one = version(1)
    first = engine.load(registry, one, 1)
    asked = len(registry.asked)
    assert engine.load(registry, one, 1) == first
    assert engine.load(registry, one, 2) == first
    assert len(registry.asked) == asked == 4


def test_concurrent_loads_of_one_version_fetch_once(engine: Engine, registry: Registry, version: Make) -> None:
    one, answers = version(1), []
    registry.delay = 0.1
    threads = [threading.Thread(target=lambda: answers.append(engine.load(registry, one, 1))) for _ in range(6)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    assert engine.ask("GET", "/v2/health/live")[0] == 200
    assert time.monotonic() - began < 0.3
    for thread in threads:
        thread.join()
    assert {status for status, _ in answers} == {200}
    assert len(registry.asked) == 4


def test_kill_at_any_time_keeps_a_live_version(
    engine: Engine, registry: Registry, version: Make, sample: Sample
) -> None:
    """Kill -9 while versions are loaded and swapped; what was answered as live is live again, or the next one is."""
    order, live_at_least, current = 0, 0, engine
    for round_ in range(6):
        stop = threading.Event()
        state = {"answered": live_at_least, "tried": live_at_least}

        def deploy(state: dict[str, int] = state, stop: threading.Event = stop, engine: Engine = current) -> None:
            number = state["answered"]
            while not stop.is_set():
                number += 1
                sealed = version(number)
                state["tried"] = number
                try:
                    ok = engine.load(registry, sealed, number)[0] == engine.activate(sealed, number)[0] == 200
                except OSError:
                    return
                state["answered"] = number if ok else state["answered"]

        thread = threading.Thread(target=deploy)
        thread.start()
        while state["answered"] == live_at_least and thread.is_alive():
            time.sleep(0.01)
        time.sleep(0.037 * round_)
        current.kill()
        stop.set()
        thread.join()
        assert state["answered"] > live_at_least
        current = Engine(engine.home, registry.url)
        try:
            back = int(served(current, sample))
            assert state["answered"] <= back <= state["tried"]
            assert not list((engine.home / "blobs").glob(".part-*"))
        except BaseException:
            current.kill()
            raise
        live_at_least = back
    order = live_at_least
    assert current.ask("GET", "/v2/models/sample")[1]["parameters"]["order"] == order
    current.kill()


def test_a_damaged_blob_is_not_served(engine: Engine, registry: Registry, live: Sealed, sample: Sample) -> None:
    engine.kill()
    model = engine.home / "blobs" / hashlib.sha256(sample.onnx).hexdigest()
    model.write_bytes(model.read_bytes()[:-1] + b"X")
    with pytest.raises(RuntimeError, match="not ready within"):
        Engine(engine.home, registry.url, ready_within=3)


def test_unload(engine: Engine, registry: Registry, version: Make, live: Sealed, sample: Sample) -> None:
    assert engine.order("sample", "unload", order=2, version="1")[0] == 200
    assert engine.order("sample", "unload", order=2, version="1")[0] == 200
    assert engine.ask("POST", URL, packed([sample.records[0].tolist()]))[0] == 404
    assert not list((engine.home / "blobs").iterdir())
    assert engine.ask("POST", "/v2/repository/index", {}) == (200, [])


def test_other_versions_are_kept_out_of_memory(engine: Engine, registry: Registry, version: Make) -> None:
    """After four deployments only the live version and the one to go back to are kept."""
    for number in (1, 2, 3, 4):
        sealed = version(number)
        engine.load(registry, sealed, number)
        assert engine.activate(sealed, number)[0] == 200
    index = engine.ask("POST", "/v2/repository/index", {"ready": True})[1]
    assert [(one["version"], one["parameters"]["live"]) for one in index] == [("4", True), ("3", False)]


def test_one_engine_a_home(engine: Engine, registry: Registry) -> None:
    with pytest.raises(RuntimeError, match="ended with 2"):
        Engine(engine.home, registry.url)
    assert b"Another engine runs on" in Path(f"{engine.home}.log").read_bytes()


def altered(sealed: Sealed, registry: Registry, how: str) -> None:
    """Let the registry hand out other bytes for the model."""
    sha256, content = max(sealed.blobs.items(), key=lambda item: len(item[1]))
    registry.blobs[sha256] = {
        "flipped": content[:-1] + bytes([content[-1] ^ 1]),
        "truncated": content[:-1],
        "longer": content + b"x",
        "empty": b"",
    }[how]


@pytest.mark.parametrize("how", ["flipped", "truncated", "longer", "empty"])
def test_altered_blobs_are_refused(engine: Engine, registry: Registry, version: Make, how: str) -> None:
    one = version(1)
    blobs = registry.hold(one)
    altered(one, registry, how)
    parameters: dict[str, Any] = {
        "order": 1,
        "version": "1",
        "digest": one.digest,
        "manifest": one.manifest,
        "blobs": blobs,
    }
    status, answer = engine.order("sample", "load", **parameters)
    assert (status, answer["code"]) == (422, "blob_mismatch")
    assert engine.load(registry, one, 1)[0] == 200


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/blobs/x", "http://localhost:{port}/blobs/x", "https://127.0.0.1:{port}/blobs/x",
        "http://127.0.0.1:{port}/secrets/x", "http://127.0.0.1:{port}/blobs/../secrets/x", "file:///etc/passwd",
        "http://127.0.0.1:{port}/blobs/%2e%2e/x", "http://127.0.0.1:{port}/blobs/..%2fx", "http://a@127.0.0.1:{port}/blobs/x",
        "http://127.0.0.1:{port}/blobsx", "http://127.0.0.1:{port}/blobs/x\r\nHost: y", "http://[::1/blobs/x", "",
        "http://127.0.0.1:{port}\\@evil/blobs/x", "http://169.254.169.254/blobs/x", "//127.0.0.1:{port}/blobs/x",
    ],
)  # fmt: skip
def test_only_the_registry_is_asked(engine: Engine, registry: Registry, version: Make, url: str) -> None:
    one = version(1)
    blobs = dict.fromkeys(registry.hold(one), url.replace("{port}", str(registry.server.server_port)))
    status, answer = engine.load(registry, one, 1, blobs=blobs)
    assert (status, answer["code"]) == (400, "url_not_allowed")
    assert registry.asked == []


def test_redirects_and_absent_blobs_are_refused(engine: Engine, registry: Registry, version: Make) -> None:
    one = version(1)
    blobs = {sha256: f"{registry.url}redirect/{sha256}" for sha256 in registry.hold(one)}
    assert engine.load(registry, one, 1, blobs=blobs)[1]["code"] == "registry_refused"
    registry.blobs.clear()
    blobs = dict.fromkeys(one.blobs, registry.url + "gone")
    assert engine.load(registry, one, 1, blobs=blobs)[0] == 502


def bad_orders(one: Sealed) -> dict[str, dict[str, Any]]:
    """Return parameters that make an order wrong, and what it is refused with."""
    other = one.manifest.replace('"version":1', '"version":2')
    return {
        "bad_request": {"version": 1},
        "digest_mismatch": {"digest": "0" * 64},
        "manifest_malformed": {"manifest": "{}"},
        "manifest_not_canonical": {"manifest": one.manifest.replace(",", ", ", 1)},
        "manifest_mismatch": {"manifest": other, "digest": hashlib.sha256(other.encode()).hexdigest()},
        "blob_missing": {"blobs": {}},
    }


@pytest.mark.parametrize("code", list(bad_orders(Sealed("", 0, {}, "")).keys()))
def test_wrong_orders_are_refused(engine: Engine, registry: Registry, version: Make, code: str) -> None:
    one = version(1)
    status, answer = engine.load(registry, one, 1, **bad_orders(one)[code])
    assert (status in {400, 409}, answer["code"]) == (True, code)


def test_a_version_never_changes(engine: Engine, registry: Registry, version: Make, live: Sealed) -> None:
    other = version(1, runtime=b"{}")
    status, answer = engine.load(registry, other, 2)
    assert (status, answer["code"]) == (409, "digest_mismatch")
    assert engine.activate(other, 2)[1]["code"] == "digest_mismatch"


def test_a_model_that_does_not_load_changes_nothing(
    engine: Engine, registry: Registry, version: Make, live: Sealed, sample: Sample
) -> None:
    status, answer = engine.load(registry, version(2, model=b"this is no model"), 2)
    assert 400 <= status < 500, answer
    assert "Traceback" not in str(answer)
    assert served(engine, sample) == "1"


def test_golden_records_warm_up_and_must_be_whole(
    engine: Engine, registry: Registry, version: Make, sample: Sample
) -> None:
    record = dict(zip(sample.names, sample.records[0].tolist(), strict=True))
    golden = orjson.dumps({"input": record, "output": {"label": 0, "probabilities": [1.0, 0.0]}})
    assert engine.load(registry, version(1, golden=golden), 1)[0] == 200
    bad = orjson.dumps({"input": record | {"mean_radius": -1}, "output": {"label": 0, "probabilities": [1.0, 0.0]}})
    assert engine.load(registry, version(2, golden=bad), 2)[0] == 400


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_told_plainly(tmp_path: Path, registry: Registry, version: Make) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.system(f"mount -t tmpfs -o size=200k tmpfs {disk} 2>/dev/null"):
        pytest.skip("no right to mount a small disk here")
    try:
        engine = Engine(disk / "home", registry.url)
        status, answer = engine.load(registry, version(1, validation=os.urandom(400_000)), 1)
        engine.kill()
        assert (status, answer["code"]) == (507, "disk_full")
        assert not list((disk / "home" / "blobs").glob(".part-*"))
    finally:
        os.system(f"umount {disk}")
