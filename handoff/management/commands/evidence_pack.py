"""Write the evidence pack of a handoff to a file."""

import shutil
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.actors import actor_of
from audit.errors import Refused
from audit.models import Account
from handoff.services import packs


class Command(BaseCommand):
    help = "Write the evidence pack of a handoff: one signed archive that proves itself without the site."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("handoff", help="the handoff's id")
        parser.add_argument("--as", dest="who", required=True, help="the user name of whoever asks and may see it")
        parser.add_argument("--to", default=".", help="the folder to write to")

    def handle(self, *args: Any, **options: Any) -> None:
        account = Account.objects.filter(username=options["who"], is_active=True).first()
        if account is None:
            raise CommandError(f"There is no active account {options['who']}.")
        try:
            made = packs.make(actor=actor_of(account, "command"), handoff_id=options["handoff"])
        except Refused as refusal:
            raise CommandError(f"{refusal.message} {refusal.todo}".strip()) from refusal
        path = Path(options["to"]) / made.filename
        with made.archive, path.open("wb") as file:
            shutil.copyfileobj(made.archive, file)
        self.stdout.write(str(path))
