"""A real scoring engine process and a real registry for each test that asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from benchmarks.serving import Engine, Registry, Sample, Sealed, seal
from tests.engine.conftest import classifier

__all__ = ["classifier"]


@pytest.fixture(scope="session")
def sample() -> Sample:
    """A classifier with few trees."""
    return Sample.train(trees=5)


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A file server that hands out blobs."""
    registry = Registry()
    yield registry
    registry.close()


@pytest.fixture
def engine(tmp_path: Path, registry: Registry) -> Iterator[Engine]:
    """An engine with nothing loaded."""
    engine = Engine(tmp_path / "engine", registry.url)
    yield engine
    if engine.process.poll() is None:
        engine.kill()


@pytest.fixture
def version(sample: Sample) -> Callable[..., Sealed]:
    """A function that seals a version of the sample; other elements may be given."""

    def make(number: int = 1, **elements: Any) -> Sealed:
        runtime = orjson.dumps({"python": ">=3.11", "packages": {}, "number": number})
        return seal("sample", number, sample.elements() | {"runtime": runtime} | elements)

    return make


@pytest.fixture
def live(engine: Engine, registry: Registry, version: Callable[..., Sealed]) -> Sealed:
    """Version 1 of the sample, live in the engine by order 1."""
    sealed = version(1)
    assert engine.load(registry, sealed, 1)[0] == 200
    assert engine.activate(sealed, 1)[0] == 200
    return sealed
