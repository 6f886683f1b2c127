"""Let the name of somebody who has left go, or all that are due, from the command line."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from audit.actors import Person
from audit.models import Account
from handoff.errors import Refused
from handoff.queries.leavers import due, rules, to_announce, traces_of
from handoff.services import leavers
from handoff.tasks import let_names_go


class Command(BaseCommand):
    """Put a pseudonym in the place of a name, for good, or say what that would do."""

    help = "Put a pseudonym in the place of the name of somebody who has left, for good."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whose name goes, who does it, and why."""
        parser.add_argument("person", nargs="?", default="", help="the user name of somebody who has left")
        parser.add_argument("--due", action="store_true", help="announce and let go what is due, as is done once a day")
        parser.add_argument("--by", default="", help="the user name of an administrator")
        parser.add_argument("--reason", default="", help="stays on the trail; without the name")
        parser.add_argument("--confirm", default="", help="the user name of who has left, once more")
        parser.add_argument("--dry-run", action="store_true", help="say what it would do, and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, and say under which pseudonym."""
        person = options["person"]
        if options["due"] == bool(person):
            raise CommandError("Name somebody who has left, or write --due.")
        if options["due"]:
            self._due(dry=options["dry_run"])
            return
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

    def _due(self, *, dry: bool) -> None:
        news, over = list(to_announce()), list(due())
        for one in news:
            goes_at = rules().announced(one.gone_at or timezone.now(), timezone.now())
            self.stdout.write(f"{one.username}: the name goes on {goes_at:%-d %B %Y}.")
        for one in over:
            self.stdout.write(f"{one.username}: the name is due.")
        self.stdout.write(f"{len(news)} to announce, {len(over)} due.")
        if not dry:
            let_names_go()

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
