"""The figures of a watch, as rules and pages read them."""

from handoff.models import Watch
from handoff.rules.monitoring import Figures
from handoff.rules.watches import of_the_hour, read_counts, read_mark


def figures_of(watch: Watch) -> Figures:
    """Return what is known of a deployment; its last hour is that before it was last seen."""
    at = watch.seen_at or watch.asked_at
    since, hour = of_the_hour([read_mark(one) for one in watch.marks], at, read_counts(watch.counts()))
    return Figures(watch.began_at, watch.seen_at, watch.last_at, since, hour, watch.error)
