"""The stations of a handoff from left to right: which are behind, which is now, and where it stopped."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from audit.models import AuditEvent
from handoff.models import Handoff
from handoff.queries.gates import GateView
from handoff.states import State
from handoff.web.promotion_tests import TestRow

AT = {
    State.DRAFT: "offer",
    State.IN_REVIEW: "review",
    State.TESTING: "tests",
    State.READY: "release",
    State.DEPLOYING: "deployment",
    State.CONFIRMING: "confirm",
    State.LIVE: "live",
    State.SUPERSEDED: "live",
    State.ROLLED_BACK: "live",
    State.RETIRED: "live",
}
TITLES = {
    "offer": "Offer",
    "review": "Review gate",
    "tests": "Promotion tests",
    "release": "Release gate",
    "deployment": "Deployment",
    "confirm": "Confirm gate",
    "live": "Live",
}
ENDED = {State.RETURNED: "returned", State.WITHDRAWN: "withdrawn", State.EXPIRED: "expired"}


@dataclass(frozen=True, slots=True)
class Station:
    """One station. `status` is done, now, ahead or stopped."""

    key: str
    title: str
    status: str
    caption: str
    anchor: str


def stations(
    handoff: Handoff, gates: Sequence[GateView], tests: Sequence[TestRow], events: Sequence[AuditEvent]
) -> list[Station]:
    """Return the stations; the confirm gate is one only where the policy has it."""
    by_gate = {gate.name: gate for gate in gates}
    keys = [key for key in TITLES if key != "confirm" or "confirm" in by_gate]
    state = State(handoff.state)
    here = _here(state, events)
    here = here if here in keys else "deployment"
    at = keys.index(here)
    found = []
    for place, key in enumerate(keys):
        status = "done" if place < at else ("now" if place == at else "ahead")
        if place == at and state in ENDED:
            status = "stopped"
        elif place == at and state == State.LIVE:
            status = "done"
        caption = ENDED[state] if status == "stopped" else _caption(key, status, handoff, by_gate, tests)
        found.append(Station(key, TITLES[key], status, caption, _anchor(key)))
    return found


def _here(state: State, events: Sequence[AuditEvent]) -> str:
    """Return the station of a state; of one that ended early, the station it came from."""
    if state not in ENDED:
        return AT[state]
    moved = next((e for e in events if e.action == "handoff.moved"), None)
    came_from = orjson.loads(moved.body)["data"]["from"] if moved else State.DRAFT
    return AT[State(came_from)]


def _caption(key: str, status: str, handoff: Handoff, gates: dict[str, GateView], tests: Sequence[TestRow]) -> str:
    if key == "offer":
        return "drafted" if handoff.offered_at is None else f"by {handoff.offered_by.printed_name}"  # type: ignore[union-attr]
    if key in gates:
        requirements = [r for r in gates[key].result.requirements if r.needed and r.kind not in {"gate", "test"}]
        met = sum(r.met for r in requirements)
        return "passed" if status == "done" else f"{met} of {len(requirements)} met"
    if key == "tests" and tests:
        passed = sum(row.status == "passed" for row in tests)
        return f"{passed} of {len(tests)} passed"
    if key == "live" and status != "ahead":
        return State(handoff.state).label
    return {"now": "under way", "done": "done"}.get(status, "")


def _anchor(key: str) -> str:
    return {"offer": "about", "tests": "tests", "deployment": "deployment", "live": "deployment"}.get(
        key, f"gate-{key}"
    )
