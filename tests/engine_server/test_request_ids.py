"""The id of a request reaches the log of the engine that it orders something of."""

import pytest
from structlog.contextvars import clear_contextvars

from audit.request_ids import of_request
from benchmarks.serving import TOKEN, Engine
from handoff.executors import http
from handoff.executors.errors import ExecutorError

NAME = "0123-abcd_EFGH"


@pytest.fixture(autouse=True)
def _nobody_asks() -> None:
    clear_contextvars()


def test_a_line_of_the_engine_names_the_request_that_ordered_it(engine: Engine, live: object) -> None:
    client = http.Engine(f"http://127.0.0.1:{engine.port}", TOKEN)
    order = {"version": "1", "order": 2, "digest": live.digest}  # type: ignore[attr-defined]
    with of_request(NAME):
        client.order("sample", "suspend", order)
    client.order("sample", "resume", order | {"order": 3})
    told = [line for line in engine.log.read_text().splitlines() if "suspended" in line or "resumed" in line]
    assert [f" {NAME} " in line for line in told] == [True, False]
    assert " - resumed" in told[1]


def test_an_id_that_no_log_may_hold_is_left_out(engine: Engine) -> None:
    client = http.Engine(f"http://127.0.0.1:{engine.port}", TOKEN)
    with of_request("x y z x y z"), pytest.raises(ExecutorError):
        client.order("sample", "suspend", {"version": "1", "order": 2})
    assert "x y z" not in engine.log.read_text()
