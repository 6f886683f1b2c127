"""The command line of a scoring engine."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from engine import fault_points, tracing
from engine.errors import EngineError
from engine.request_ids import Named
from engine.server import Application
from engine.streams.addresses import Reach
from engine.streams.supervisor import Supervisor
from engine.versions import Versions

BACKLOG = 1024


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m engine", description="Scores records with sealed model versions.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8600)
    parser.add_argument("--home", type=Path, required=True, help="folder for blobs and orders; one engine each")
    parser.add_argument("--registry", default="", help="URL below which blobs are fetched, and from nowhere else")
    parser.add_argument("--largest-body", type=int, default=32 << 20, help="bytes of an inference request")
    parser.add_argument("--largest-blob", type=int, default=2 << 30, help="bytes of an element of a version")
    parser.add_argument("--folders", default="", help="folders that streams may use, separated by colons")
    parser.add_argument(
        "--private", action="store_true", help="let streams reach private addresses, if an order says so"
    )
    parser.add_argument(
        "--scheduler", default="", help="tcp://HOST:8786 of a Dask cluster for batch runs over files; shares --home"
    )
    return parser.parse_args(given)


def check_port(host: str, port: int) -> None:
    """Raise an error when something listens there already."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


async def serve(options: argparse.Namespace) -> None:
    """Serve until told to stop: one process, one event loop, so that a swap is one assignment."""
    versions = Versions(options.home, options.registry, options.largest_blob)
    reach = Reach(options.private, tuple(filter(None, options.folders.split(":"))))
    runs = Supervisor(options.home / "runs", options.home / "blobs", reach, options.scheduler)
    server = Server(
        Application(versions, runs, os.environ.get("MDLC_ENGINE_TOKEN", ""), options.largest_body),
        address=options.host,
        port=options.port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=60_000),
        websockets=False,
        backlog=BACKLOG,
        backpressure=BACKLOG,
        runtime_blocking_threads=4,
        log_level=LogLevels.error,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    logging.getLogger("engine").info("listening at http://%s:%s", options.host, options.port)
    await server.serve()


def main() -> int:
    """Run the engine; a wrong setting is told in one sentence."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(request)s %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(Named())
    options = arguments()
    tracing.start("mdlc-engine")
    if fault_points.armed() and options.host != "127.0.0.1":
        print(f"engine: {fault_points.VARIABLE} is for tests on this machine alone; unset it", file=sys.stderr)
        return 2
    try:
        check_port(options.host, options.port)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(options))
    except EngineError as error:
        print(f"engine: {error.message}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"engine: cannot serve at {options.host}:{options.port}: {error.strerror}", file=sys.stderr)
        return 2
    return 0
