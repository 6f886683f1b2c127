"""Which live deployments write into a sink, so that its consumers change by their amendments."""

from django.urls import reverse

from handoff.in_force import bound_to
from models_registry.consumers import Binding
from models_registry.models import Stream


def bound_by(sink: Stream) -> list[Binding]:
    """Return what is live and writes into a sink, by name and page."""
    found = bound_to(sink).select_related("model", "version").order_by("model__name")
    return [Binding(f"{one.model.name} v{one.version.number}", reverse("deployment", args=[one.pk])) for one in found]
