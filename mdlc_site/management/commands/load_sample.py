"""Load the sample organisation, and train its models."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from mdlc_site.sample import flows, organisation
from mdlc_site.sample.training import train


class Command(BaseCommand):
    help = "Load the sample organisation and train its models; what is there already stays."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--home", type=Path, required=True, help="The folder for trained models and the password.")
        parser.add_argument("--clinic", type=int, required=True, help="The port of the clinic's own systems.")

    def handle(self, *args: Any, home: Path, clinic: int, **options: Any) -> None:
        organisation.load(home)
        flows.load(home, clinic)
        train(home / "sample")
        organisation.capture_all(home)
