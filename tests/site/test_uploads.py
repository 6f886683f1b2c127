"""Send large files to a real web process: they go to disk as they come, and are never whole in its memory."""

import http.client
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from audit.models import AuditEvent
from models_registry.models import Blob, ModelVersion
from tests import processes
from tests.handoff import building
from tests.processes import Process, eventually
from tests.site.conftest import bearer

MB = 1 << 20
LIMIT = 160 * MB
SENT = 240 * MB
BOUNDARY = "a-boundary-of-our-own"
pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


@dataclass
class Web:
    """A real web process, its folder for files on their way, and somebody's token."""

    process: Process
    port: int
    folder: Path
    token: str

    def pids(self) -> list[int]:
        """Return the server and its workers."""
        assert self.process.popen is not None
        top = self.process.popen.pid
        children = Path(f"/proc/{top}/task/{top}/children").read_text().split()
        return [top, *map(int, children)]

    def memory_mb(self) -> float:
        """Return the most memory that any of its processes has had at once so far."""
        lines = [line for pid in self.pids() for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
        return max(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024

    def on_disk_mb(self) -> float:
        """Return how much lies in its folder for files on their way."""
        sizes = [path.stat().st_size for path in self.folder.rglob("*") if path.is_file()]
        return sum(sizes) / MB

    def send(self, size: int) -> tuple[int, dict[str, Any], float]:
        """Send a file of so many bytes as a model, and return the answer, and the most that lay on the disk in MB."""
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="model"; filename="model.onnx"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        tail = f"\r\n--{BOUNDARY}--\r\n".encode()
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        line.putrequest("POST", "/api/v1/models/tumours/versions/")
        line.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
        line.putheader("Content-Length", str(len(head) + size + len(tail)))
        line.putheader("Authorization", self.token)
        line.endheaders(head)
        most, chunk = 0.0, b"no model at all " * (MB // 16)
        for _ in range(size // MB):
            line.send(chunk)
            most = max(most, self.on_disk_mb())
        line.send(tail)
        answer = line.getresponse()
        told = json.loads(answer.read())
        line.close()
        return answer.status, told, most


@pytest.fixture
def web(transactional_db: None, tmp_path: Path) -> Iterator[Web]:
    """Start the web server as an installation does."""
    place = building.a_place()
    port, folder = processes.free_port(), tmp_path / "on their way"
    folder.mkdir()
    env = processes.environment(
        TMPDIR=str(folder), MDLC_STORE=str(tmp_path / "store"), MDLC_UPLOAD_LIMIT=str(LIMIT), ALLOWED_HOSTS="127.0.0.1"
    )
    args = [
        "-m",
        "granian",
        "--interface",
        "wsgi",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--blocking-threads",
        "4",
    ]
    process = Process("web", [sys.executable, *args, "mdlc_site.wsgi:application"], tmp_path / "web.log", env).start()
    ready = f"http://127.0.0.1:{port}/healthz/ready"
    try:
        eventually(lambda: processes.answers(ready), "the site answers", 60, process)
        yield Web(process, port, folder, bearer(place.dana))
    finally:
        process.kill()


def nothing_kept(web: Web) -> bool:
    """Tell whether nothing is left of an upload, in the database or on the disk."""
    eventually(lambda: web.on_disk_mb() == 0, "the temporary file is gone", 10, web.process)
    return not (ModelVersion.objects.exists() or Blob.objects.exists() or AuditEvent.objects.exists())


def test_a_large_file_is_never_whole_in_memory(web: Web) -> None:
    status, told, _ = web.send(MB)
    assert (status, told["code"]) == (422, "format_unknown")
    before = web.memory_mb()
    status, told, on_disk = web.send(LIMIT - MB)
    assert (status, told["code"]) == (422, "format_unknown")
    assert on_disk > (LIMIT - MB) / MB / 2, "it comes to disk while it comes in"
    assert web.memory_mb() - before < 32
    assert nothing_kept(web)


def test_of_a_file_over_the_limit_no_more_than_the_limit_touches_the_disk(web: Web) -> None:
    assert web.send(MB)[0] == 422
    before = web.memory_mb()
    status, told, on_disk = web.send(SENT)
    assert (status, told["code"]) == (413, "file_too_large")
    assert on_disk <= (LIMIT + 1) / MB
    assert web.memory_mb() - before < 32
    assert nothing_kept(web)
