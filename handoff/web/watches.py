"""What the page of a deployment shows of its traffic: the last hour, and all since it is watched."""

from dataclasses import dataclass

from handoff.facts import rules_of
from handoff.models import Deployment, Watch
from handoff.rules.monitoring import Figures
from handoff.rules.watches import ENOUGH, Counts, read_counts
from handoff.services.watches import SERVES
from handoff.states import DeploymentState
from handoff.watching import figures_of


@dataclass(frozen=True, slots=True)
class Traffic:
    """The figures of a deployment, and what its policy holds them to; `error` is why the last look saw nothing."""

    figures: Figures | None
    total: Counts
    error: str
    limits: str
    enough: int = ENOUGH


def traffic_of(deployment: Deployment) -> Traffic | None:
    """Return what is shown of a deployment; None of one that never served."""
    watch: Watch | None = getattr(deployment, "watch", None)
    if watch is None and deployment.state not in SERVES:
        return None
    rules = rules_of(deployment.handoff)
    strategy = rules.strategy.words() if rules.strategy.canary else ""
    monitoring = rules.monitoring.words() if rules.monitoring else ""
    return Traffic(
        figures=figures_of(watch) if watch and watch.seen_at else None,
        total=read_counts(watch.counts()) if watch else Counts(),
        error=watch.error if watch else "",
        limits=strategy if deployment.state == DeploymentState.CONFIRMING else monitoring,
    )
