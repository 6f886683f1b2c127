"""Refusals of the handoff, by name."""

from audit.errors import Forbidden, Hidden, Invalid, Refused, StaleView, Unavailable, WrongState

__all__ = [
    "AlreadySigned",
    "ApprovalLapsed",
    "BreakGlassNotAllowed",
    "Conflict",
    "Conflicting",
    "Forbidden",
    "GateShut",
    "Hidden",
    "Invalid",
    "LeaseLost",
    "NotConfirmed",
    "NotReady",
    "OpenAlready",
    "Refused",
    "SandboxTooLow",
    "StaleView",
    "Unavailable",
    "WrongRole",
    "WrongState",
]


class AlreadySigned(WrongState):
    """The person has a sign-off that counts at this gate."""

    code = "already_signed"


class ApprovalLapsed(WrongState):
    """What the approval of an earlier version rested on has run out or was taken back, so nobody goes back to it."""

    code = "approval_lapsed"


class BreakGlassNotAllowed(WrongState):
    """The policy of the handoff knows no break-glass."""

    code = "break_glass_not_allowed"


class Conflict(Forbidden):
    """Separation of duties: the person did something earlier in this chain."""

    code = "duty_conflict"


class SandboxTooLow(Unavailable):
    """The worker runs models in a lower sandbox than the policy of the handoff asks for."""

    code = "sandbox_too_low"


class WrongRole(Forbidden):
    """The person does not hold the role that the requirement names."""

    code = "role_not_held"


class NotConfirmed(Forbidden):
    """The person did not confirm who they are, or the confirmation is used up or too old."""

    code = "not_confirmed"


class GateShut(WrongState):
    """A requirement of the gate is not met."""

    code = "gate_shut"


class NotReady(Invalid):
    """Something that the policy requires is missing; `fields` lists what, and who must supply it."""

    code = "not_ready"


class OpenAlready(WrongState):
    """An open handoff of this version to this environment exists."""

    code = "already_open"


class Conflicting(WrongState):
    """Two policies that apply together cannot both hold."""

    code = "policies_conflict"


class LeaseLost(WrongState):
    """The worker that reports no longer holds the job."""

    code = "lease_lost"
