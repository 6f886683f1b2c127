"""Refusals of the registry, by name."""

from audit.errors import Forbidden, Hidden, Invalid, WrongState

__all__ = [
    "BadElement",
    "DelegationRefused",
    "DutyAcknowledged",
    "ExceptionOpen",
    "ExceptionOver",
    "Forbidden",
    "Hidden",
    "InUse",
    "Invalid",
    "MissingElement",
    "Retired",
    "RoleHeld",
    "Sealed",
    "SinkBound",
    "SlugTaken",
    "TooLarge",
    "WrongState",
]


class Sealed(WrongState):
    """The version was nominated; it never changes again."""

    code = "version_sealed"


class MissingElement(Invalid):
    """A version lacks something that every nominated version has."""

    code = "element_missing"


class BadElement(Invalid):
    """An element's bytes break a rule. The engine's own code says which."""

    code = "element_invalid"


class TooLarge(Invalid):
    """A file is over the limit."""

    status = 413
    code = "file_too_large"


class Retired(WrongState):
    """The thing was retired; it stays on record, and never changes again."""

    code = "already_retired"


class InUse(WrongState):
    """A consumer depends on what would go away."""

    code = "consumer_depends"


class SinkBound(WrongState):
    """A live deployment writes into the sink, so its consumers change by an amendment of that deployment."""

    code = "sink_bound"


class ExceptionOpen(WrongState):
    """Somebody asks for the same exception already."""

    code = "exception_open"


class ExceptionOver(WrongState):
    """The request was answered, or the exception is over; a correction is a new request."""

    code = "exception_over"


class SlugTaken(WrongState):
    """The short name is in use."""

    code = "name_taken"


class RoleHeld(WrongState):
    """The holder has this role on one of these days already."""

    code = "role_held_already"


class DutyAcknowledged(WrongState):
    """The person has acknowledged this duty already."""

    code = "duty_acknowledged"


class DelegationRefused(WrongState):
    """A role cannot be delegated so: it was delegated already, or is not the actor's own."""

    code = "delegation_passed_on"
