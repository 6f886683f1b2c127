"""Fixtures of the stream tests: a broker for the session, a receiver a test."""

from collections.abc import Iterator

import pytest

from tests.engine.conftest import classifier as classifier
from tests.streams.places import Kafka, Receiver


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    broker = Kafka(tmp_path_factory.mktemp("kafka"))
    yield broker
    broker.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.stop()
