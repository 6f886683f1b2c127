"""Read the last reconciliation: what is live by the records, beside what its engine says."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from audit.models import Account
from handoff.access import handoffs_visible_to
from handoff.expected import expected
from handoff.models import Deployment, Reconciliation
from handoff.queries.findings import of_environments
from handoff.rules.reconciliations import read, subject_of
from handoff.rules.tables import Row as Line
from models_registry.access import environments_answered_for
from models_registry.models import Environment

HEADINGS = (
    "environment", "model", "slot", "version", "digest", "order", "bindings", "deployment", "verdict", "differences",
    "served_version", "served_digest", "served_order", "run", "asked_at", "answered_at", "silent_since", "finding",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One live deployment, or one model that nobody approved, beside what its engine said of it."""

    environment: Environment
    model: str
    deployment: Deployment | None
    kept: Reconciliation | None
    served: Mapping[str, Any] = field(default_factory=dict)
    run: str = ""
    differences: tuple[str, ...] = ()
    finding: str = ""

    @property
    def looked_at(self) -> bool:
        """Tell whether an engine was asked about it since it is live."""
        if self.kept is None:
            return False
        return self.deployment is None or bool(self.deployment.live_at and self.deployment.live_at < self.kept.asked_at)

    @property
    def verdict(self) -> str:
        """Return 'agrees', 'differs', or 'not asked yet'."""
        if self.differences:
            return "differs"
        return "agrees" if self.looked_at else "not asked yet"

    @property
    def mode(self) -> str:
        """Return how it answers by its bindings."""
        return str(self.deployment.__dict__.get("bindings", {}).get("mode", "")) if self.deployment else ""


def rows_for(user: Account) -> list[Row]:
    """Return what an account may know of, by environment: live deployments as on their page, by three queries.

    What nobody approved is told to those who hold a role on the environment, and to who answers for it.
    """
    live = list(expected().filter(handoff__in=handoffs_visible_to(user)).order_by("environment__name", "model__name"))
    mine = set(environments_answered_for(user).values_list("pk", flat=True))
    places = mine | {one.environment_id for one in live}
    kept = {
        one.environment_id: one
        for one in Reconciliation.objects.filter(environment__in=places).select_related("environment")
    }
    rows = [_of(one, kept.get(one.environment_id)) for one in live]
    about = {(one.environment_id, one.subject): str(one.pk) for one in of_environments(user)}
    rows += [row for place in mine for row in _strangers(kept.get(place), about)]
    return sorted(rows, key=lambda row: (row.environment.name, row.model, row.deployment is None))


def all_kept() -> list[Reconciliation]:
    """Return the last look at every environment, for whoever runs the site."""
    return list(Reconciliation.objects.select_related("environment").order_by("environment__slug"))


def lines_of(rows: Iterable[Row]) -> Iterator[Line]:
    """Give the table line by line, its headings first."""
    yield HEADINGS
    for row in rows:
        one, kept, served = row.deployment, row.kept, row.served
        yield (
            row.environment.slug,
            row.model,
            one.slot if one else "",
            one.version.number if one else "",
            one.digest if one else "",
            one.order if one else "",
            row.mode,
            str(one.pk) if one else "",
            row.verdict,
            "; ".join(row.differences),
            str(served.get("version", "")),
            str(served.get("digest", "")),
            int(served["order"]) if "order" in served else "",
            row.run,
            _instant(kept.asked_at if kept else None),
            _instant(kept.answered_at if kept else None),
            _instant(kept.silent_since if kept else None),
            row.finding,
        )


def _of(live: Deployment, kept: Reconciliation | None) -> Row:
    if kept is None or live.live_at is None or live.live_at >= kept.asked_at:
        return Row(live.environment, live.model.slug, live, kept)
    served = _served(kept, live.model.slug)
    run = next((one["state"] for one in kept.told.get("runs", []) if one["run"] == str(live.pk)), "")
    words = tuple(one.words for one in map(read, kept.differences) if one.deployment == str(live.pk))
    return Row(live.environment, live.model.slug, live, kept, served, run, words)


def _strangers(kept: Reconciliation | None, about: Mapping[tuple[Any, str], str]) -> Iterator[Row]:
    if kept is None:
        return
    for one in map(read, kept.differences):
        if not one.deployment:
            finding = about.get((kept.environment_id, subject_of(one)), "")
            yield Row(kept.environment, one.model, None, kept, _served(kept, one.model), "", (one.words,), finding)


def _served(kept: Reconciliation, model: str) -> dict[str, Any]:
    found = (dict(one) for one in kept.told.get("served", []) if one["model"] == model)
    return next(found, {})


def _instant(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds") if at else ""
