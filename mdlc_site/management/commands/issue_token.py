"""Issue an access token for a service account."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.actors import Worker
from audit.errors import Refused
from audit.models import Account
from mdlc_site import tokens


class Command(BaseCommand):
    help = "Print a new access token for a service account. It is shown once; the database holds only its hash."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the service account's user name")
        parser.add_argument("--days", type=int, default=30, help=f"how long it lasts, at most {tokens.LONGEST.days}")

    def handle(self, *args: Any, **options: Any) -> None:
        account = Account.objects.filter(username=options["name"]).first()
        if account is None:
            raise CommandError(f"There is no account {options['name']}.")
        try:
            token, text = tokens.issue(actor=Worker("issue_token"), account=account, days=options["days"])
        except Refused as refusal:
            raise CommandError(f"{refusal.message} {refusal.todo}".strip()) from refusal
        self.stderr.write(f"For {account.username}, until {token.expiry:%Y-%m-%d %H:%M} UTC:")
        self.stdout.write(text)
