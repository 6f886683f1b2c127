"""Look at the keys that the site signs with, and retire one."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit import signing
from audit.actors import Worker
from audit.errors import Refused
from audit.models import SigningKey


class Command(BaseCommand):
    help = "List the site's public keys, the oldest first, or retire one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--retire", metavar="KEY", help="let this key sign no more")
        parser.add_argument("--reason", default="", help="why it is retired; it goes into the trail")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["retire"]:
            try:
                signing.retire(actor=Worker("signing_keys"), key_id=options["retire"], reason=options["reason"])
            except Refused as refusal:
                raise CommandError(f"{refusal.message} {refusal.todo}".strip()) from refusal
        for key in SigningKey.objects.all():
            until = f", retired {key.retired_at:%Y-%m-%d}: {key.retired_because}" if key.retired_at else ""
            self.stdout.write(
                f"{key.pk} {bytes(key.public_key).hex()} since {key.registered_at:%Y-%m-%d %H:%M} UTC{until}"
            )
