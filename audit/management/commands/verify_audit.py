"""Prove the trail."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from audit import anchors, verification


class Command(BaseCommand):
    help = "Prove that the trail is whole, and name the first broken event if it is not."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--anchors", help="the file of anchors; by default MDLC_ANCHORS if it is there")
        parser.add_argument("--chain", help="prove this chain only, such as handoff:<id>")

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["anchors"] or settings.ANCHORS)
        if options["anchors"] and not path.exists():
            raise CommandError(f"There is no file {path}.")
        broken = []
        if path.exists():  # before the proof: what an anchor names was committed before the proof's instant
            broken += self._compared(path, options["chain"])
        else:
            self.stdout.write("No anchors: a tail that was cut off, or a chain written anew, would not be found.")
        broken = self._proven(options["chain"]) + broken
        if broken:
            raise CommandError("\n".join(["The trail is broken.", *map(str, broken)]))
        self.stdout.write(self.style.SUCCESS("The trail is whole."))

    def _proven(self, chain: str | None) -> list[verification.Broken]:
        found = verification.verify(chain)
        if chain and not found.chains:
            raise CommandError(f"There is no chain {chain}.")
        rate = found.events / found.seconds if found.seconds else 0
        self.stdout.write(
            f"{found.events:,} events in {found.chains:,} chains, {found.seconds:.2f} s, {rate:,.0f} events/s"
        )
        return found.broken

    def _compared(self, path: Path, chain: str | None) -> list[verification.Broken]:
        found = anchors.compare(path, chain)
        self.stdout.write(
            f"{found.heads:,} anchored events in {found.lines:,} lines, the last of {found.latest or '?'}"
        )
        for note in found.notes:
            self.stdout.write(f"Note: {path} {note}.")
        return found.broken
