"""Events of the trail as sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit.actions import ACTIONS
from audit.actors import Worker
from audit.models import AuditEvent
from handoff.rules.consumers import is_owner, label_of
from handoff.states import State
from models_registry.roles import Role

ICONS = {
    "handoff.drafted": "file-pen",
    "handoff.offered": "send",
    "handoff.returned": "undo-2",
    "handoff.withdrawn": "x",
    "handoff.moved": "arrow-right",
    "handoff.classified": "git-compare",
    "answer.given": "list-checks",
    "difference.acknowledged": "git-compare",
    "signoff.given": "pen-line",
    "signoff.refused": "octagon-x",
    "signoff.voided": "eraser",
    "signoff.withdrawn": "eraser",
    "gate.decided": "door-open",
    "test.finished": "flask-conical",
    "deployment.ordered": "rocket",
    "deployment.live": "radio",
    "deployment.failed": "octagon-x",
    "deployment.rolled_back": "undo-2",
    "deployment.retired": "archive",
    "retirement.planned": "archive",
    "owner.moved": "user-check",
    "handoff.suspended": "octagon-x",
    "finding.raised": "octagon-x",
    "finding.inherited": "octagon-x",
    "waiver.asked": "door-open",
    "waiver.approved": "door-open",
    "waiver.refused": "octagon-x",
    "waiver.revoked": "eraser",
    "finding.closed": "list-checks",
    "break_glass.asked": "siren",
    "break_glass.confirmed": "siren",
    "break_glass.overdue": "undo-2",
    "break_glass.rolled_back": "undo-2",
    "break_glass.regularised": "list-checks",
}
QUIET = frozenset({"job.queued", "job.claimed", "job.finished", "gate.decided"})


@dataclass(frozen=True, slots=True)
class Told:
    """One event, told. `quiet` ones are work behind the scenes; `worker` names the process, for whoever reads logs."""

    seq: int
    at: datetime
    who: str
    worker: str
    sentence: str
    detail: str
    reason: str
    icon: str
    quiet: bool
    hash: str


def told(events: Sequence[AuditEvent], names: Mapping[str, str] | None = None) -> list[Told]:
    """Return events as sentences, in the order in which they come; `names` gives the words for keys and slugs."""
    return [_told(event, names or {}) for event in events]


def _told(event: AuditEvent, names: Mapping[str, str]) -> Told:
    body = event.told
    is_worker = event.actor_kind == Worker.kind
    return Told(
        seq=event.seq,
        at=event.at,
        who="A worker" if is_worker else event.actor_label,
        worker=event.actor_label if is_worker else "",
        sentence=ACTIONS.get(event.action, event.action),
        detail=_detail(event.action, body["data"], names),
        reason=body["reason"],
        icon=ICONS.get(event.action, "dot"),
        quiet=event.action in QUIET,
        hash=bytes(event.hash).hex(),
    )


def _detail(action: str, data: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Return the fact that a reader wants beside the sentence."""
    match action:
        case "handoff.moved":
            return f"{State(data['from']).label} → {State(data['to']).label}"
        case "handoff.drafted":
            return f"version {data['version']}, {_name(names, data['source'])} → {_name(names, data['target'])}"
        case "handoff.offered":
            return f"under {data['policy']}"
        case "handoff.classified":
            return f"{data['kind']}: {'; '.join(data['reasons'])}"
        case "handoff.returned":
            return ", ".join(str(reason).replace("_", " ") for reason in data["reasons"])
        case "answer.given":
            return f"{_name(names, data['item'])} {str(data['choice']).replace('_', ' ')}"
        case "difference.acknowledged":
            return ", ".join(_name(names, one) for one in data["differences"])
        case "signoff.given" | "signoff.refused":
            return f"as {_role(data['role'])}, at the {data['gate']} gate, meaning {data['meaning']}"
        case "signoff.voided" | "signoff.withdrawn":
            return f"of {data['signer']} as {_role(data['role'])}"
        case "gate.decided":
            return f"the {data['gate']} gate is {'open' if data['open'] else 'shut'}"
        case "test.finished":
            return f"{_name(names, data['kind'])}, {data['verdict']}"
        case "job.queued" | "job.claimed" | "job.finished" | "job.died":
            return str(data.get("purpose", ""))
        case "deployment.ordered" | "deployment.live" | "deployment.failed":
            return f"version {data['version']}"
        case "deployment.superseded" | "deployment.rolled_back":
            return f"version {data['version']}" + (f", by version {data['by']}" if "by" in data else "")
        case str() if action.startswith("break_glass."):
            return f"for {data['incident']}" + (f", until {data['until'][:16]}" if "until" in data else "")
        case "owner.moved":
            return f"to {data['organisation']}"
        case _:
            return ""


def _name(names: Mapping[str, str], key: str) -> str:
    return names.get(key, key)


def _role(name: str) -> str:
    return label_of(name) if name in Role.values or is_owner(name) else name
