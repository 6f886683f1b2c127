"""The handoff in the admin: policies are published, all else is a record. Signing has no action: it needs its sheet."""

from handoff.admin import (
    amendments,
    break_glass,
    checklists,
    consumers,
    deployments,
    findings,
    handoffs,
    jobs,
    persons,
    policies,
    reconciliations,
    replays,
    runs,
    signoffs,
    suspensions,
    waivers,
)

__all__ = [
    "amendments",
    "break_glass",
    "checklists",
    "consumers",
    "deployments",
    "findings",
    "handoffs",
    "jobs",
    "persons",
    "policies",
    "reconciliations",
    "replays",
    "runs",
    "signoffs",
    "suspensions",
    "waivers",
]
