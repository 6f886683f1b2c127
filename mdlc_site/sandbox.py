"""The part of a worker that finds out, before it takes work, what sandbox this machine has for models."""

import logging
from typing import Any

from celery import bootsteps

from engine.sandbox import ladder

log = logging.getLogger(__name__)


class Step(bootsteps.Step):
    """Try the ladder at the start of a worker that runs tests, and write down what holds."""

    def include_if(self, parent: Any) -> bool:
        """Tell whether this worker runs tests."""
        return "tests" in parent.app.amqp.queues.consume_from

    def create(self, parent: Any) -> None:
        """Find the level, once for all tests of this process."""
        log.info("models run in %s", ladder.found().told())
