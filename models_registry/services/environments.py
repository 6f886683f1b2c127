"""Keep environments: create them, and change what may change."""

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from packaging.version import InvalidVersion, Version

from audit.actors import Person
from audit.acts import act
from audit.errors import StaleView
from audit.trail import record
from models_registry.access import find_environment, find_person, roles_on
from models_registry.errors import Forbidden, Hidden, Invalid, SlugTaken
from models_registry.models import Environment, EnvironmentOwner, Organisation
from models_registry.roles import Role
from models_registry.rules import import_policies

# Later than the last change of owner even if the clock was set back: a period never ends before it began.
INSTANT = """
    SELECT GREATEST(clock_timestamp(), max(lower(period)) + interval '1 microsecond')
      FROM models_registry_environmentowner WHERE environment_id = %s
"""
FREE = ("name", "purpose", "python", "packages", "hardware", "systems", "requirements", "import_policy", "engine")


def chain_of(environment: Environment) -> str:
    """Return the name of the chain that tells an environment's story."""
    return f"environment:{environment.pk}"


@act
def create(
    *, actor: Person, slug: str, name: str, kind: str, organisation: str, owner: str, python: str, **free: Any
) -> Environment:
    """Create an environment of an organisation, with the person who answers for it. Only an administrator may."""
    if not actor.user.is_staff:
        raise Forbidden("Only an administrator may create an environment.", code="administrator_required")
    if kind not in Environment.Kind.values:
        raise Invalid("The kind is not known.", fields={"kind": "must be one of " + ", ".join(Environment.Kind.values)})
    party = Organisation.objects.filter(slug=organisation).first()
    if party is None:
        raise Hidden("There is no such organisation.", fields={"organisation": "is not known"})
    person = find_person(owner)
    _check({"python": python, **free})
    try:
        with transaction.atomic():
            environment = Environment.objects.create(
                slug=slug, name=name, kind=kind, organisation=party, owner=person, python=python, **free
            )
    except IntegrityError as error:
        raise SlugTaken(f"The short name {slug} is in use.", fields={"slug": "is in use"}) from error
    _let_answer(environment)
    record(
        "environment.created",
        actor=actor,
        on=environment,
        chain=chain_of(environment),
        data={"slug": slug, "name": name, "kind": kind, "organisation": organisation, "owner": person.mark},
    )
    return environment


@act
def change(*, actor: Person, slug: str, revision: int | None = None, **changes: Any) -> Environment:
    """Change what is flexible about an environment. Its administrators, or those of the site, may.

    Open handoffs keep the difference report they were offered with.
    """
    found = find_environment(actor, slug)
    environment = Environment.objects.select_for_update().get(pk=found.pk)
    if not actor.user.is_staff and Role.ADMINISTRATOR not in roles_on(actor.user, environment=environment):
        raise Forbidden("Only an administrator of this environment may change it.", code="role_not_held")
    if revision is not None and revision != environment.revision:
        raise StaleView("The environment changed after you read it.", todo="Read it again, then repeat your change.")
    odd = sorted(set(changes) - {*FREE, "owner"})
    if odd:
        raise Invalid("This cannot change.", fields=dict.fromkeys(odd, "is fixed"))
    _check(changes)
    before = {field: getattr(environment, field) for field in changes if field != "owner"}
    if "owner" in changes:
        before["owner"] = environment.owner.mark
        environment.owner = find_person(changes["owner"])
    for field in FREE:
        if field in changes:
            setattr(environment, field, changes[field])
    environment.revision += 1
    environment.save(update_fields=[*changes, "revision"])
    after = changes | ({"owner": environment.owner.mark} if "owner" in changes else {})
    if before.get("owner") != after.get("owner"):
        _let_answer(environment)
    record(
        "environment.changed",
        actor=actor,
        on=environment,
        chain=chain_of(environment),
        data={"before": before, "after": after},
    )
    return environment


def _let_answer(environment: Environment) -> None:
    """End the time of who answered for an environment, and begin that of its owner, at one instant."""
    with connection.cursor() as cursor:
        cursor.execute(INSTANT, [environment.pk])
        at = cursor.fetchone()[0]
    before = environment.owners.filter(period__upper_inf=True).first()
    if before is not None:
        before.period = DateTimeTZRange(before.period.lower, at, "[)")
        before.save(update_fields=["period"])
    EnvironmentOwner.objects.create(
        environment=environment, person=environment.owner, period=DateTimeTZRange(at, None, "[)")
    )


def _check(values: Mapping[str, Any]) -> None:
    """Refuse versions, packages and import policies that nothing could be compared with."""
    try:
        Version(values.get("python", "3"))
    except (InvalidVersion, TypeError) as error:
        raise Invalid("Write a version such as 3.11.7.", fields={"python": "is not a version"}) from error
    packages = values.get("packages", {})
    if not isinstance(packages, Mapping):
        raise Invalid("Packages map names to versions.", fields={"packages": "is not a mapping"})
    for name, version in packages.items():
        try:
            Version(version)
        except (InvalidVersion, TypeError) as error:
            raise Invalid("A package has a version.", fields={f"packages.{name}": "is not a version"}) from error
    import_policies.check(values.get("import_policy", {}))
