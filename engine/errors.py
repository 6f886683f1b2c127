"""Every way in which the engine says no: a stable code, a sentence, and where."""

from collections.abc import Mapping
from typing import Any


class EngineError(Exception):
    """Refuse something. `code` is stable, `message` says what is wrong and what to do, `field` names the place."""

    def __init__(self, code: str, message: str, *, field: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.details = dict(details or {})


class SchemaError(EngineError):
    """A schema is not one."""


class ManifestError(EngineError):
    """A manifest is not one, or not in its canonical form."""


class ThresholdError(EngineError):
    """Thresholds are not readable."""


class RecordError(EngineError):
    """A record, or a file of records, is not what it should be."""


class FormatError(EngineError):
    """A model file is not in a format that is accepted."""


class LoadError(EngineError):
    """A version cannot be fetched, verified or loaded."""


class OrderError(EngineError):
    """An order to the engine is older than one that it accepted."""


class StreamError(EngineError):
    """A stream is not coherent, or its source or target does not do what it should."""


class RunnerError(EngineError):
    """The process that runs a model ended, hung, or answered nonsense."""
