"""Policies from the command line: validate, diff, simulate and publish a text."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.actors import Person
from audit.models import Account
from handoff.errors import Refused
from handoff.queries.checklist_templates import policy_in
from handoff.queries.policies import Difference, Simulated, difference_of, simulated
from handoff.rules.policy_schema import schema
from handoff.services import policies

MOST_TOLD = 20


class Command(BaseCommand):
    """Validate, compare, try and publish policies."""

    help = "Validate a policy, compare it with what is published, try it on past handoffs, or publish it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to do, and the file."""
        acts = parser.add_subparsers(dest="act", required=True, parser_class=ArgumentParser)
        told = {
            "validate": "tell every mistake with its line",
            "diff": "tell what differs from the newest revision, and what open handoffs would gain or lose",
            "simulate": "tell which gates that opened would have stayed shut, and why",
            "schema": "write the JSON Schema of policies",
            "publish": "publish it as the next revision, the difference shown first",
        }
        for name, words in told.items():
            one = acts.add_parser(name, help=words, description=words)
            if name == "schema":
                continue
            one.add_argument("file", help="the policy as YAML; - reads what is piped in")
            if name == "publish":
                one.add_argument("--by", required=True, help="the log-in of the administrator who publishes it")
                one.add_argument("--yes", action="store_true", help="ask nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it. Whatever is wrong ends with a code of its own."""
        if options["act"] == "schema":
            self.stdout.write(json.dumps(schema(), indent=2))
            return
        file = options["file"]
        try:
            source = sys.stdin.read() if file == "-" else Path(file).read_text()
            content, rules = policy_in(source)
            if options["act"] == "validate":
                self.stdout.write(f"{file}: the policy {rules.key} is one")
            elif options["act"] == "simulate":
                self._tell_simulation(simulated(rules))
            else:
                self._tell_difference(difference_of(content, rules))
            if options["act"] == "publish":
                self._publish(source, options["by"], asks=not options["yes"])
        except OSError as error:
            raise CommandError(f"{file}: it cannot be read: {error}") from error
        except UnicodeDecodeError as error:
            raise CommandError(f"{file}: it is no text in UTF-8") from error
        except Refused as refusal:
            told = [f"{file}: {place}: {why}" for place, why in refusal.fields.items()] or [refusal.message]
            raise CommandError("\n".join(told)) from refusal

    def _tell_difference(self, found: Difference) -> None:
        self.stdout.write(f"against {found.against or 'nothing: it is the first revision'}")
        for sign, lines in (("+", found.changes.gained), ("-", found.changes.lost), ("~", found.changes.changed)):
            for line in lines:
                self.stdout.write(f"  {sign} {line}")
        if not found.changes:
            self.stdout.write("  nothing is different")
        self.stdout.write(f"{len(found.open)} open handoffs would be asked otherwise; they keep what they have")
        for one in found.open[:MOST_TOLD]:
            self.stdout.write(f"  {one.handoff}")
            for sign, lines in (("+", one.changes.gained), ("-", one.changes.lost), ("~", one.changes.changed)):
                for line in lines:
                    self.stdout.write(f"    {sign} {line}")

    def _tell_simulation(self, simulated_: Simulated) -> None:
        found = simulated_.found
        self.stdout.write(
            f"{found.gates} gates of {len(found.handoffs)} handoffs opened; "
            f"{len(found.stopped)} handoffs would have been stopped"
        )
        for title, count in found.missing.most_common(MOST_TOLD):
            self.stdout.write(f"  {count} × {title}")
        for handoff, gate, lacking in simulated_.rows[:MOST_TOLD]:
            self.stdout.write(f"  {handoff} at {gate}: {'; '.join(lacking)}")

    def _publish(self, source: str, name: str, *, asks: bool) -> None:
        account = Account.objects.filter(username=name, is_active=True).first()
        if account is None or not account.is_person:
            raise CommandError(f"There is nobody with the log-in {name}.")
        if asks and input("Publish it? [y/N] ").strip().lower() not in {"y", "yes"}:
            raise CommandError("Nothing is published.")
        revision = policies.publish(actor=Person(account, "command"), source=source)
        self.stdout.write(f"{revision.policy.slug} r{revision.number} is published, {revision.digest}")
