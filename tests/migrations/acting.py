"""One act on a handoff, by the code of whatever tree this is run in: python -c THIS act [handoff]."""

import sys

import django

django.setup()

from django.core.management import call_command  # noqa: E402 - Django comes first

from handoff.models import Handoff  # noqa: E402
from handoff.services import handoffs  # noqa: E402
from models_registry.models import Environment, RegisteredModel  # noqa: E402
from tests.handoff import building, walking  # noqa: E402

PEOPLE = ("dana", "vera", "otto", "iris", "rita", "mallory", "edda", "ada")
PAGES = ("/", "/handoffs/", "/models/tumours/", "/api/v1/handoffs/", "/audit/")


def there() -> building.Place:
    """Find what an act before has made."""
    model = RegisteredModel.objects.get(slug="tumours")
    source, target = (Environment.objects.get(slug=slug) for slug in ("workbench", "production"))
    return building.Place(model, source, target, {name: building.person(name) for name in PEOPLE})


def read(handoff: Handoff) -> None:
    """Open pages and lists, as operations and as whoever audits."""
    for who in (there().otto, there().rita):
        for path in (*PAGES, f"/handoffs/{handoff.pk}/", f"/api/v1/handoffs/{handoff.pk}/"):
            answer = walking.client_of(who).get(path)
            assert answer.status_code == 200, (path, answer.status_code)


def main(act: str, *of: str) -> None:
    """Carry out one act, and print the handoff that it is about."""
    if act == "offer":
        print(walking.offered(walking.a_site()).pk)
        return
    handoff = Handoff.objects.get(pk=of[0])
    if act == "review":
        walking.answered(there(), handoff)
        walking.sign(handoff, there().vera, "validation")
        walking.sign(handoff, there().otto, "acceptance")
        building.tested(handoff)
    elif act == "draft":
        walking.drafted(there(), handoff.version)
    elif act == "withdraw":
        handoffs.withdraw(actor=walking.by(there().dana), handoff_id=str(handoff.pk), reason="the end of this walk")
    elif act == "prove":
        call_command("verify_audit")
        call_command("verify_signatures")
        call_command("check_invariants")
    read(handoff)
    handoff.refresh_from_db()
    print(handoff.state)


if __name__ == "__main__":
    main(*sys.argv[1:])
