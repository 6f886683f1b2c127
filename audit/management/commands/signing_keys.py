"""Look at the keys that the site signs with, and retire one."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive

from audit import signing
from audit.actors import Worker
from audit.errors import Refused
from audit.models import SigningKey


class Command(BaseCommand):
    help = "List the site's public keys, the oldest first; retire one, or mark it as compromised."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--retire", metavar="KEY", help="let this key sign no more")
        parser.add_argument("--compromised", metavar="KEY", help="say that somebody else may have had this key")
        parser.add_argument("--since", help="since when, with the zone, such as 2026-11-28T08:00:00Z")
        parser.add_argument("--reason", default="", help="why; it goes into the trail")

    def handle(self, *args: Any, **options: Any) -> None:
        actor, reason = Worker("signing_keys"), options["reason"]
        try:
            if options["retire"]:
                signing.retire(actor=actor, key_id=options["retire"], reason=reason)
            if options["compromised"]:
                since = _instant(options["since"] or "")
                signing.mark_compromised(actor=actor, key_id=options["compromised"], since=since, reason=reason)
        except Refused as refusal:
            raise CommandError(f"{refusal.message} {refusal.todo}".strip()) from refusal
        for key in SigningKey.objects.all():
            until = f", retired {key.retired_at:%Y-%m-%d}: {key.retired_because}" if key.retired_at else ""
            if key.compromised_since:
                until += f", compromised since {key.compromised_since:%Y-%m-%d %H:%M} UTC: {key.compromised_because}"
            self.stdout.write(
                f"{key.pk} {bytes(key.public_key).hex()} since {key.registered_at:%Y-%m-%d %H:%M} UTC{until}"
            )


def _instant(text: str) -> datetime:
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None or is_naive(found):
        raise CommandError("Give --since as an instant with its zone, such as 2026-11-28T08:00:00Z.")
    return found
