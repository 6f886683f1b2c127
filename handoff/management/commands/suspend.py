"""Stop what is live from the command line, for when no page can be reached."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.actors import Person
from audit.models import Account
from handoff.errors import Refused
from handoff.models import Deployment
from handoff.services import suspensions
from handoff.states import DeploymentState


class Command(BaseCommand):
    """Suspend what is live of a model in an environment."""

    help = "Stop a live version at once, for a reason. It is lifted on its page or over the API, with the password."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to stop, who stops it, and why."""
        parser.add_argument("model", help="the model's short name")
        parser.add_argument("environment", help="the environment's short name")
        parser.add_argument("--by", required=True, help="the log-in of whoever stops it; they must have the right to")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--slot", default="main")

    def handle(self, *args: Any, **options: Any) -> None:
        """Stop it, and say that a worker tells the engine."""
        account = Account.objects.filter(username=options["by"], kind=Account.Kind.PERSON, is_active=True).first()
        if account is None:
            raise CommandError(f"There is no active person {options['by']}.")
        place = {"model__slug": options["model"], "environment__slug": options["environment"]}
        live = Deployment.objects.filter(**place, slot=options["slot"], state=DeploymentState.LIVE).first()
        if live is None:
            raise CommandError(f"Nothing of {options['model']} is live in {options['environment']}.")
        try:
            actor = Person(account, "command")
            suspensions.suspend(actor=actor, deployment_id=live.pk, reason=options["reason"])
        except Refused as refusal:
            raise CommandError(f"{refusal.message} {refusal.todo}".strip()) from refusal
        self.stdout.write(f"{live} is suspended; a worker tells the engine, and the deployment's page says when it did")
