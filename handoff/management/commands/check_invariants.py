"""Check what is always true of the records."""

from argparse import ArgumentParser
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError

from audit.actors import Worker
from audit.errors import Refused
from handoff.queries.invariants import Checked, check, invariants
from handoff.services.invariants import keep


class Command(BaseCommand):
    help = "Look for what breaks an invariant, name it, and end with 1 where something does."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--only", nargs="+", default=[], help="these invariants, by their ids; nothing is kept then"
        )
        parser.add_argument("--list", action="store_true", help="tell the invariants, and look at nothing")
        parser.add_argument("--json", action="store_true", help="tell what was found as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            self._list()
            return
        try:
            found = check(options["only"])
        except Refused as refused:
            raise CommandError(f"{refused.message} {refused.todo}") from None
        if not options["only"]:
            keep(actor=Worker("check_invariants"), checked=found)
        self._tell(found, as_json=options["json"])

    def _list(self) -> None:
        for one in invariants():
            self.stdout.write(f"{one.id}  {one.sentence}")
            self.stdout.write(
                f"     guard {one.guard}; nets {', '.join(one.nets)}; attacked by {', '.join(one.attacks)}"
            )

    def _tell(self, found: Checked, *, as_json: bool) -> None:
        if as_json:
            rows = [one._asdict() for one in found.violations]
            told = {"began_at": found.began_at, "seconds": found.seconds, "invariants": found.invariants}
            self.stdout.write(orjson.dumps(told | {"violations": rows}, option=orjson.OPT_INDENT_2).decode())
        else:
            self.stdout.write(f"{len(found.invariants)} invariants, {found.seconds:.2f} s")
        if found.violations:
            lines = [] if as_json else [str(one) for one in found.violations]
            raise CommandError("\n".join([f"{len(found.violations)} violations.", *lines]))
        if not as_json:
            self.stdout.write(self.style.SUCCESS("All of them hold."))
