"""What a cluster is not given, and what a run says when the cluster, Dask itself, or a folder is missing."""

import shutil
import subprocess
import sys
import textwrap
import threading
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from engine.errors import StreamError
from engine.sameness import engine_digest
from engine.streams import distributed_runs, partitions
from engine.streams.distributed_runs import DistributedRun
from engine.streams.division import refusal
from engine.streams.orders import RunOrder
from engine.streams.partitions import Start
from tests import processes
from tests.streams.clusters import EACH, FILES, Blobs, Cluster, Ordered, Write

pytestmark = pytest.mark.processes


@pytest.mark.parametrize(
    ("change", "code", "where"),
    [
        ({"source": {"transport": "valkey"}}, "source_indivisible", "source.transport"),
        ({"source": {"transport": "kafka"}}, "source_indivisible", "source.transport"),
        ({"source": {"transport": "sql"}}, "source_indivisible", "source.transport"),
        ({"source": {"transport": "inline"}}, "source_indivisible", "source.transport"),
        ({"source": {}}, "source_indivisible", "source.transport"),
        ({"source": {"transport": "file", "loop": True}}, "source_indivisible", "source.loop"),
        ({"sinks": {"a": {"transport": "sql"}, "b": {"transport": "http"}}}, "sink_unrepeatable", "sinks.b.transport"),
        ({"sinks": {"a": {"transport": "valkey"}}}, "sink_unrepeatable", "sinks.a.transport"),
        ({"sinks": {"a": {"transport": "kafka"}}}, "sink_unrepeatable", "sinks.a.transport"),
        ({"letters": {"transport": "kafka"}}, "sink_unrepeatable", "letters.transport"),
    ],
)
def test_what_cannot_be_divided_is_refused(
    tmp_path: Path, blobs: Blobs, change: dict[str, Any], code: str, where: str
) -> None:
    order = Ordered(tmp_path, blobs, "csv")
    assert refusal(RunOrder.read(order.folder / "order.json")) is None
    order.write(**change)
    with pytest.raises(StreamError) as told:
        DistributedRun(order.folder, blobs[0], "tcp://127.0.0.1:9").carry_out(threading.Event())
    assert (told.value.code, told.value.field) == (code, where)
    assert order.state["state"] == "failed"
    assert order.state["error"]["code"] == code
    assert order.table == []


def test_a_cluster_that_is_not_there_is_told(
    tmp_path: Path, blobs: Blobs, monkeypatch: pytest.MonkeyPatch, write_source: Write
) -> None:
    write_source("csv")
    order = Ordered(tmp_path, blobs, "csv")
    monkeypatch.setattr(distributed_runs, "ANSWER_S", 2)

    def code(address: str) -> str:
        with pytest.raises(StreamError) as told:
            DistributedRun(order.folder, blobs[0], address).carry_out(threading.Event())
        assert order.state["error"]["code"] == told.value.code
        return told.value.code

    assert code(f"tcp://127.0.0.1:{processes.free_port()}") == "scheduler_unreachable"
    assert code("nonsense://there") == "scheduler_unreachable"
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(tmp_path / "cluster")
    try:
        assert code(cluster.address) == "workers_missing"
    finally:
        cluster.stop()
    assert order.table == []


WITHOUT_DASK = """
    import importlib.abc, runpy, sys

    class Missing(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in ("dask", "distributed"):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, Missing())
    sys.argv = ["engine.streams", *sys.argv[1:]]
    runpy.run_module("engine.streams", run_name="__main__")
"""


def test_without_dask_a_run_says_what_to_install_and_goes_on_one_machine(
    tmp_path: Path, blobs: Blobs, write_source: Write
) -> None:
    keys, order = write_source("csv"), Ordered(tmp_path, blobs, "csv")
    program = [sys.executable, "-c", textwrap.dedent(WITHOUT_DASK), str(order.folder), str(blobs[0])]

    def carried_out(*options: str) -> int:
        command, env = [*program, *options], processes.environment()
        return subprocess.run(command, cwd=processes.ROOT, env=env, capture_output=True, timeout=120).returncode

    assert carried_out("--scheduler", "tcp://127.0.0.1:9") == 1
    assert order.state["error"]["code"] == "dask_missing"
    assert "engine/requirements-dask.txt" in order.state["error"]["message"]
    assert order.table == []
    assert carried_out() == 0
    assert [key for key, _ in order.table] == keys


def given(ordered: Ordered, /, **changed: str) -> dict[str, str]:
    """Return a start of a run as its tasks carry it."""
    fingerprint = RunOrder.read(ordered.folder / "order.json").fingerprint
    start = Start(str(ordered.folder), str(ordered.blobs[0]), fingerprint, engine_digest(), "first")
    return {**asdict(start), **changed}


def test_a_worker_that_lacks_the_folders_or_the_engine_scores_nothing(
    tmp_path: Path, blobs: Blobs, write_source: Write
) -> None:
    write_source("csv")
    order = Ordered(tmp_path, blobs, "csv")
    parts = partitions.plan(given(order))["parts"]
    assert len(parts) == FILES

    def code(**changed: str) -> str:
        start = given(order, **changed)
        answers = [partitions.plan(start), partitions.score(start, parts[0])]
        [one] = {answer["error"]["code"] for answer in answers}
        return str(one)

    assert code(folder=str(tmp_path)) == "folder_not_shared"
    assert code(order="0" * 64) == "folder_not_shared"
    assert code(blobs=str(tmp_path)) == "version_missing"
    assert code(engine="0" * 64) == "engine_differs"
    assert order.table == []
    assert order.outputs == []


def test_a_part_is_read_as_it_was_divided_or_not_at_all(tmp_path: Path, blobs: Blobs, write_source: Write) -> None:
    write_source("csv")
    order = Ordered(tmp_path, blobs, "csv")
    first, second, third, *_ = partitions.plan(given(order))["parts"]
    Path(first["path"]).write_text("another\n")
    Path(second["path"]).unlink()
    (tmp_path / "day-2.csv").write_bytes(Path(third["path"]).read_bytes())
    third["path"] = str(tmp_path / "day-2.csv")
    told = [partitions.score(given(order), part)["error"]["code"] for part in (first, second, third)]
    assert told == ["source_changed", "target_missing", "path_forbidden"]
    assert order.table == []
    assert order.outputs == []


def test_a_part_of_a_start_that_was_recalled_is_not_begun(tmp_path: Path, blobs: Blobs, write_source: Write) -> None:
    write_source("csv")
    order = Ordered(tmp_path, blobs, "csv")
    first, *_ = partitions.plan(given(order))["parts"]
    recall = Start(**given(order)).recall
    recall.parent.mkdir()
    recall.touch()
    assert partitions.score(given(order), first) == {"stopped": True}
    assert order.table == []
    assert order.outputs == []
    assert "counts" in partitions.score(given(order, name="second"), first)
    assert len(order.table) == EACH


def test_another_source_or_library_is_another_engine(tmp_path: Path) -> None:
    """The engine is copied, and told apart in a process of its own."""
    program = "from engine.sameness import engine_digest; print(engine_digest())"

    def digest() -> str:
        command = [sys.executable, "-c", program]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, check=True, text=True, timeout=60
        ).stdout.strip()

    shutil.copytree(processes.ROOT / "engine", tmp_path / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    assert digest() == engine_digest()
    changed = tmp_path / "engine" / "streams" / "scoring.py"
    changed.write_text(changed.read_text() + "\n")
    assert digest() != engine_digest()


@pytest.fixture
def certified(tmp_path: Path) -> dict[str, str]:
    """Return settings of Dask for which nobody connects without a certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cluster")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    signed = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(key, hashes.SHA256())
    pem = tmp_path / "cluster.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(signed.public_bytes(Encoding.PEM) + secret)
    places = ("CA_FILE", "SCHEDULER__CERT", "WORKER__CERT", "CLIENT__CERT")
    settings = {f"DASK_DISTRIBUTED__COMM__TLS__{place}": str(pem) for place in places}
    scheme = {"DASK_DISTRIBUTED__COMM__DEFAULT_SCHEME": "tls"}
    return {**settings, **scheme, "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True"}


def test_a_cluster_with_certificates_scores_for_those_who_have_one(
    tmp_path: Path, blobs: Blobs, certified: dict[str, str], monkeypatch: pytest.MonkeyPatch, write_source: Write
) -> None:
    keys, order = write_source("csv"), Ordered(tmp_path, blobs, "csv")
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(tmp_path / "cluster", **certified)
    try:
        cluster.worker(**certified)
        assert cluster.address.startswith("tls://")
        monkeypatch.setattr(distributed_runs, "ANSWER_S", 3)
        for address in (cluster.address, cluster.address.replace("tls://", "tcp://")):
            with pytest.raises(StreamError) as told:
                DistributedRun(order.folder, blobs[0], address).carry_out(threading.Event())
            assert told.value.code == "scheduler_unreachable"
        assert order.table == []
        for setting, value in certified.items():
            monkeypatch.setenv(setting, value)
        assert order.carry_out("--scheduler", cluster.address) == 0
        assert [key for key, _ in order.table] == keys
    finally:
        cluster.stop()
