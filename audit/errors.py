"""Refusals: every way of saying no, each with a rule's stable code, a reason, and what to do next."""

from collections.abc import Mapping


class Refused(Exception):
    """Say no to an act; nothing has changed."""

    status = 400
    code = "refused"

    def __init__(
        self, message: str, *, code: str = "", todo: str = "", fields: Mapping[str, str | list[str]] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.todo = todo
        self.fields = dict(fields or {})

    def as_dict(self) -> dict[str, object]:
        """Return the body of an answer that tells the refusal."""
        return {"code": self.code, "message": self.message, "todo": self.todo, "fields": self.fields}


class Hidden(Refused):
    """The asker may not know whether the thing exists."""

    status = 404
    code = "not_found"


class Forbidden(Refused):
    """The asker sees the thing and may not do this to it."""

    status = 403
    code = "forbidden"


class WrongState(Refused):
    """The act does not fit the state in which the thing is."""

    status = 409
    code = "wrong_state"


class StaleView(Refused):
    """The thing changed after the asker looked at it."""

    status = 409
    code = "changed_since_shown"


class Invalid(Refused):
    """What was sent breaks a rule for its content."""

    status = 422
    code = "invalid"


class Precondition(Refused):
    """The request lacks the version it was made against (428), or names an old one (412)."""

    status = 412
    code = "stale_version"


class Unavailable(Refused):
    """Something outside does not answer now; try again later."""

    status = 503
    code = "unavailable"
