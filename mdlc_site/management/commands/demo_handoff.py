"""Drive handoffs of the sample models over the public REST API, as the people involved."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from mdlc_site.sample.client import ApiError
from mdlc_site.sample.organisation import PEOPLE, password_of
from mdlc_site.sample.story import Story


class Command(BaseCommand):
    help = "Hand the sample models over, step by step, over the public API; exit 0 when they are where they belong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--site", required=True)
        parser.add_argument("--engine", required=True)
        parser.add_argument("--clinic", type=int, required=True)
        parser.add_argument("--home", type=Path, required=True)

    def handle(self, *args: Any, site: str, engine: str, clinic: int, home: Path, **options: Any) -> None:
        password = password_of(home)
        try:
            good = Story(site, engine, clinic, home, password).tell()
        except ApiError as refusal:
            told = refusal.body if isinstance(refusal.body, dict) else {"message": refusal.body}
            print(f"The site refused ({refusal.status}): {told.get('message')} {told.get('todo', '')}", flush=True)
            sys.exit(1)
        except TimeoutError as error:
            print(f"Something did not finish: {error}. The logs are in {home / 'log'}.", flush=True)
            sys.exit(1)
        if not good:
            sys.exit(1)
        print("\nSample log-ins, all with the password", password)
        for username, (first, last, title) in PEOPLE.items():
            print(f"  {username:<8} {first} {last}, {title}")
