"""Ask engines what they serve: each in a thread of its own, within a short time, so that none waits for another."""

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from engine.streams.orders import RunOrder
from handoff.executors.errors import ExecutorError
from handoff.executors.http import Engine
from handoff.plans import EngineAnswer, Running, Served

SECONDS = 5.0
AT_ONCE = 32
MOST_MODELS = 500


@dataclass(frozen=True, slots=True)
class Question:
    """Which engine is asked, and which models it should serve."""

    environment: str
    url: str
    models: tuple[str, ...]


def ask_all(questions: Iterable[Question], *, token: str, seconds: float = SECONDS) -> dict[str, EngineAnswer]:
    """Return what each engine answered, by environment. Whatever goes wrong at one is its answer, and no other's."""
    asked = list(questions)
    with ThreadPoolExecutor(max(1, min(AT_ONCE, len(asked))), "reconcile") as pool:
        answers = list(pool.map(lambda one: ask(one, token=token, seconds=seconds), asked))
    return {one.environment: answer for one, answer in zip(asked, answers, strict=True)}


def ask(question: Question, *, token: str, seconds: float = SECONDS) -> EngineAnswer:
    """Return what one engine serves, and which runs of its models go; all of it within a time."""
    if not question.url:
        return EngineAnswer(error="it has no address in ENGINE_URLS here")
    until = time.monotonic() + seconds
    try:
        served = tuple(_served(_engine(question, token, until).rows("/v2/repository/index", {})))
        models = sorted({*question.models, *(one.model for one in served)})[:MOST_MODELS]
        return EngineAnswer(
            served, tuple(run for model in models for run in _runs(_engine(question, token, until), model))
        )
    except ExecutorError as error:
        return EngineAnswer(error=error.message)
    except (KeyError, TypeError, ValueError):
        return EngineAnswer(error=f"The engine at {question.url} tells nothing that can be read.")


def bound_by(digest: str, streams: Mapping[str, Any]) -> str:
    """Return the hash by which an engine tells the version and the streams that a run was ordered with."""
    return RunOrder("", digest, streams["source"], streams["sinks"], streams["letters"]).bound


def _engine(question: Question, token: str, until: float) -> Engine:
    """Return the engine for one more exchange in the time that is left. Raises ExecutorError."""
    left = until - time.monotonic()
    if left <= 0:
        raise ExecutorError(f"The engine at {question.url} did not answer in time.", permanent=False)
    return Engine(question.url, token, seconds=left)


def _served(rows: Iterable[Any]) -> Iterable[Served]:
    """Give what is live; what is staged beside it answers nobody who does not ask for it by its number."""
    for row in rows:
        place = row["parameters"]
        if place["live"] is True:
            yield Served(
                model=str(row["name"]),
                version=str(place["version"]),
                digest=str(place["digest"]),
                order=int(place["order"]),
                ready=row["state"] == "READY",
                reason=str(row.get("reason", "")),
            )


def _runs(engine: Engine, model: str) -> Iterable[Running]:
    for row in engine.rows(f"/v2/repository/models/{model}/runs", {"parameters": {}}):
        if row["ended"] is not True:
            yield Running(model, str(row["run"]), str(row["state"]), str(row.get("bound", "")))
