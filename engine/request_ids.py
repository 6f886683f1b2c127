"""One id for a request: it leads from the log of the site through that of a worker to that of an engine."""

import logging
import re
from contextvars import ContextVar

HEADER = "X-Request-Id"
PLAIN = re.compile(r"[A-Za-z0-9_-]{8,64}")
CURRENT: ContextVar[str] = ContextVar("request", default="")


def plain(text: str | None) -> str:
    """Return an id that somebody sent, if it is one that a log may hold: 8 to 64 letters, digits, - and _; else ""."""
    return text if text and PLAIN.fullmatch(text) else ""


class Named(logging.Filter):
    """Put the id of the request under way into each line of a log, as `request`; - where there is none."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line pass, with the id."""
        record.request = CURRENT.get() or "-"
        return True
