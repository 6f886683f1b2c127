"""Keep the organisations that answer for environments."""

from django.db import IntegrityError, transaction

from audit.actors import Person
from audit.acts import act
from audit.trail import record
from models_registry.errors import Forbidden, SlugTaken
from models_registry.models import Organisation


@act
def create(*, actor: Person, slug: str, name: str) -> Organisation:
    """Create an organisation. Only an administrator may."""
    if not actor.user.is_staff:
        raise Forbidden("Only an administrator may create an organisation.", code="administrator_required")
    try:
        with transaction.atomic():
            organisation = Organisation.objects.create(slug=slug, name=name)
    except IntegrityError as error:
        raise SlugTaken(f"The short name {slug} is in use.", fields={"slug": "is in use"}) from error
    record("organisation.created", actor=actor, on=organisation, chain="site", data={"slug": slug, "name": name})
    return organisation
