"""Let the name of somebody who has left go, from the command line."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from audit.actors import Person
from audit.models import Account
from handoff.errors import Refused
from handoff.queries.leavers import traces_of
from handoff.services import leavers


class Command(BaseCommand):
    """Put a pseudonym in the place of a name, for good, or say what that would do."""

    help = "Put a pseudonym in the place of the name of somebody who has left, for good."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whose name goes, who does it, and why."""
        parser.add_argument("person", help="the user name of somebody who has left")
        parser.add_argument("--by", required=True, help="the user name of an administrator")
        parser.add_argument("--reason", default="", help="stays on the trail; without the name")
        parser.add_argument("--confirm", default="", help="the user name of who has left, once more")
        parser.add_argument("--dry-run", action="store_true", help="say what it would do, and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, and say under which pseudonym."""
        person = options["person"]
        account = Account.objects.filter(username=options["by"], kind=Account.Kind.PERSON, is_active=True).first()
        if account is None:
            raise CommandError(f"There is no active person {options['by']}.")
        try:
            if options["dry_run"]:
                self._tell(person)
                return
            told = {"confirm": options["confirm"], "reason": options["reason"]}
            found = leavers.pseudonymise(actor=Person(account, "command"), person=person, **told)
        except Refused as refusal:
            raise CommandError(f"{refusal.message} {refusal.todo}".strip()) from refusal
        self.stdout.write(f"{person} is {found.name} from now on; the account is called {found.account}.")
        self._kept(found.traces.events, found.traces.signatures)

    def _tell(self, person: str) -> None:
        with transaction.atomic():
            people = leavers.leaver(person)
            traces = traces_of(people)
        self.stdout.write(f"{len(people)} accounts would lose name, address, password, keys and rights.")
        self._kept(traces.events, traces.signatures)

    def _kept(self, events: int, signatures: int) -> None:
        self.stdout.write(
            f"{events} events and {signatures} signatures from before names stood outside of them keep the name."
        )
