"""Checklists of the site's own from the command line: validate and publish a text."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.actors import Person
from audit.models import Account
from handoff.errors import Refused
from handoff.rules.checklist_templates import read_template
from handoff.services import checklist_templates


class Command(BaseCommand):
    """Validate and publish checklists."""

    help = "Validate a checklist that policies may include, or publish it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to do, and the file."""
        acts = parser.add_subparsers(dest="act", required=True, parser_class=ArgumentParser)
        for name, words in (
            ("validate", "tell every mistake with its line"),
            ("publish", "publish it as the next revision"),
        ):
            one = acts.add_parser(name, help=words, description=words)
            one.add_argument("file", help="the checklist as YAML; - reads what is piped in")
            if name == "publish":
                one.add_argument("--by", required=True, help="the log-in of the administrator who publishes it")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it. Whatever is wrong ends with a code of its own."""
        file = options["file"]
        try:
            source = sys.stdin.read() if file == "-" else Path(file).read_text()
            if options["act"] == "validate":
                self.stdout.write(f"{file}: the checklist {read_template(source).key} is one")
            else:
                self._publish(source, options["by"])
        except OSError as error:
            raise CommandError(f"{file}: it cannot be read: {error}") from error
        except UnicodeDecodeError as error:
            raise CommandError(f"{file}: it is no text in UTF-8") from error
        except Refused as refusal:
            told = [f"{file}: {place}: {why}" for place, why in refusal.fields.items()] or [refusal.message]
            raise CommandError("\n".join(told)) from refusal

    def _publish(self, source: str, by: str) -> None:
        account = Account.objects.filter(username=by, is_active=True).first()
        if account is None or not account.is_person:
            raise CommandError(f"There is nobody with the log-in {by}.")
        published = checklist_templates.publish(actor=Person(account, "command"), source=source)
        self.stdout.write(f"{published} is published, {published.digest}")
