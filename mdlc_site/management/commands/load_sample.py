"""Load the sample organisation, and train its models."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from mdlc_site.sample import organisation
from mdlc_site.sample.training import train


class Command(BaseCommand):
    help = "Load the sample organisation and train its models; what is there already stays."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--home", type=Path, required=True, help="The folder for trained models and the password.")

    def handle(self, *args: Any, home: Path, **options: Any) -> None:
        organisation.load(home)
        train(home / "sample")
