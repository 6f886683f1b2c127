"""Compare what engines serve with what is approved."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from handoff import tasks
from handoff.models import Reconciliation
from handoff.queries.reconciliations import all_kept
from handoff.rules.reconciliations import read


class Command(BaseCommand):
    help = "Ask every engine what it serves, compare that with what is approved, and end with 1 where they differ."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--last", action="store_true", help="tell the last look, and ask nobody")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["last"]:
            tasks.reconcile()
        kept = all_kept()
        for one in kept:
            self.stdout.write(f"{one.environment.slug}: {_told(one)}")
            for row in map(read, one.differences):
                self.stdout.write(f"  {row.model}: {row.words} (seen {row.looks} in a row)")
        differing = sum(bool(one.differences or one.error) for one in kept)
        if differing:
            raise CommandError(f"{differing} of {len(kept)} engines do not serve what is approved, or do not answer.")
        self.stdout.write(self.style.SUCCESS(f"{len(kept)} engines serve what is approved, and nothing else."))


def _told(one: Reconciliation) -> str:
    if one.silent_since is not None:
        return f"not reachable since {one.silent_since:%Y-%m-%d %H:%M:%S} UTC: {one.error}"
    return f"answered at {one.asked_at:%Y-%m-%d %H:%M:%S} UTC"
