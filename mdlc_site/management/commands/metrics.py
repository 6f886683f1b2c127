"""Tell the condition of the installation as Prometheus reads it."""

from typing import Any

from django.core.management.base import BaseCommand

from mdlc_site.condition import parts
from mdlc_site.metrics import exposition


class Command(BaseCommand):
    """Print metrics."""

    help = "Print the condition of every part for Prometheus, as its textfile collector takes it."
    requires_system_checks: list[str] = []  # they would load every page

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask every part once."""
        self.stdout.write(exposition(parts()), ending="")
