"""Prove the signatures."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.keeping import done
from audit.models import Keeping
from handoff.queries.signatures import verify


class Command(BaseCommand):
    help = "Prove that every sign-off states what its columns say, by its key and by the trail; name those that do not."

    def handle(self, *args: Any, **options: Any) -> None:
        found = verify()
        wrong = f"{len(found.wrong)} are not what they should be" if found.wrong else ""
        done(Keeping.Kind.SIGNATURES, whole=not found.wrong, words=wrong)
        self.stdout.write(f"{found.signatures:,} signatures, {found.keys:,} keys")
        if found.unsigned:
            self.stdout.write(f"{found.unsigned:,} were given before the site signed with a key")
        if found.compromised:
            self.stdout.write(f"{found.compromised:,} were signed after their key had been compromised")
        if found.wrong:
            raise CommandError("\n".join(["Signatures are not what they should be.", *map(str, found.wrong)]))
        self.stdout.write(self.style.SUCCESS("Every signature holds."))
