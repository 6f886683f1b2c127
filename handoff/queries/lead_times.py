"""Read how long handoffs took and why they were returned, from the moves in the audit trail."""

from collections import defaultdict
from datetime import datetime

import orjson

from audit.models import Account, AuditEvent
from audit.planning import planned_once
from handoff.access import handoffs_visible_to
from handoff.errors import Invalid
from handoff.rules.lead_times import LeadTimes, Move, Told, summary

COLUMNS = ("pk", "model__owner_team", "model__name", "drafted_at", "return_note__reasons")
A_TIME = 5_000


def lead_times(user: Account, since: datetime, until: datetime) -> LeadTimes:
    """Return the figures of the handoffs that were offered in a period, as far as an account may know of them.

    Two queries. Raises Invalid for a period that ends before it begins.
    """
    if since >= until:
        raise Invalid("The period ends before it begins.", fields={"until": "is not after since"})
    offered = handoffs_visible_to(user).filter(offered_at__gte=since, offered_at__lt=until)
    with planned_once():
        rows = list(offered.order_by("pk").values_list(*COLUMNS))
    moves = _moves([f"handoff:{row[0]}" for row in rows])
    return summary(
        Told(team, model, drafted_at, moves[f"handoff:{pk}"], reasons or ())
        for pk, team, model, drafted_at, reasons in rows
    )


def _moves(chains: list[str]) -> dict[str, list[Move]]:
    """Return the moves of handoffs by their chains, each in order."""
    found: dict[str, list[Move]] = defaultdict(list)
    events = AuditEvent.objects.filter(chain__in=chains, action="handoff.moved").order_by("chain", "seq")
    for chain, at, body in events.values_list("chain", "at", "body").iterator(A_TIME):
        told = orjson.loads(body)["data"]
        found[chain].append(Move(at, told["from"], told["to"]))
    return found
