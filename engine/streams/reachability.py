"""Whether what streams describe answers: asked from where they run, with their secrets, and without taking anything.

No group is joined, no record read, none written. A webhook is only connected to, for any request could have an effect.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from importlib import import_module
from typing import Any

from engine.errors import StreamError
from engine.streams import secrets
from engine.streams.addresses import Reach
from engine.streams.descriptors import Direction, Stream, parse_stream

PATIENCE_S = 30
PAUSE_S = 3  # before what did not answer is asked once more: a short cut of the line is no fault
AT_ONCE = 8
MOST_STREAMS = 200
ASKED = {
    "file": "files:ask",
    "sql": "sql:ask",
    "valkey": "valkey:ask",
    "kafka": "kafka:ask",
    "http": "webhook:ask",
}
DIRECTIONS: dict[str, Direction] = {"source": "in", "sink": "out"}


def ask(stream: Stream, *, reach: Reach) -> None:
    """Ask what a stream describes whether it is there. Raises StreamError with what is wrong."""
    secret = secrets.resolve(stream.secret) if stream.secret else ""
    if stream.transport not in ASKED or (stream.transport == "http" and stream.direction == "in"):
        return  # it is here already
    module, _, name = ASKED[stream.transport].partition(":")
    getattr(import_module(f"engine.streams.{module}"), name)(stream, secret=secret, reach=reach)


def ask_all(told: Any, *, reach: Reach) -> dict[str, dict[str, str]]:
    """Return what is wrong with each stream of a request, by name: its code and a message; empty where it answers.

    `told` has, by name, a `direction` (source or sink) and a `descriptor`. Raises StreamError `order_malformed`.
    """
    if not isinstance(told, Mapping) or len(told) > MOST_STREAMS or not all(map(_well_formed, told.values())):
        raise StreamError(
            "order_malformed",
            f"The parameter streams has at most {MOST_STREAMS} directions (source or sink) and descriptors by name.",
            field="streams",
        )
    pool = ThreadPoolExecutor(AT_ONCE, "reach")
    try:
        asked = {name: pool.submit(_wrong, one, reach) for name, one in told.items()}
        wait(asked.values(), PATIENCE_S)
        late = {"code": "unreachable", "message": f"It did not answer within {PATIENCE_S} seconds."}
        return {name: one.result() if one.done() else late for name, one in asked.items()}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _well_formed(one: Any) -> bool:
    return isinstance(one, Mapping) and one.get("direction") in DIRECTIONS and "descriptor" in one


def _wrong(told: Mapping[str, Any], reach: Reach) -> dict[str, str]:
    if _fault(told, reach):
        time.sleep(PAUSE_S)
        return _fault(told, reach)
    return {}


def _fault(told: Mapping[str, Any], reach: Reach) -> dict[str, str]:
    try:
        ask(parse_stream(told["descriptor"], DIRECTIONS[told["direction"]], None), reach=reach)
    except StreamError as error:
        return {"code": error.code, "message": error.message}
    except Exception as error:  # a library's own words for a place that is not as it should be
        return {"code": "unreachable", "message": f"{type(error).__name__}: {error!s:.200}"}
    return {}
