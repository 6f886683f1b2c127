"""Write an anchor now."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from audit import anchors, head_anchors


class Command(BaseCommand):
    help = "Write down where every chain stands that changed since the last anchor."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--anchors", default=settings.ANCHORS, help="the file, by default MDLC_ANCHORS")
        parser.add_argument("--full", action="store_true", help="write every chain, changed or not")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            anchor = anchors.write(Path(options["anchors"]), full=options["full"])
        except anchors.FileBroken as error:
            raise CommandError(f"{options['anchors']} was changed: {error}. Nothing was written to it.") from error
        except OSError as error:
            raise CommandError(f"{options['anchors']} cannot be written: {error.strerror}.") from error
        self.stdout.write(f"{anchor.at} {len(anchor.chains)} chains written to {options['anchors']}")
        outside = head_anchors.anchor_outside()
        for place in outside.places:
            self.stdout.write(f"{place} has the head of {outside.size:,} leaves")
        if outside.failed:
            raise CommandError("\n".join(f"{place}: {why}." for place, why in outside.failed.items()))
