"""The only way to fetch what is governed here: visible to this account, permitted, and locked where it will change.

Grants are django-guardian's, with real foreign keys, and are read fresh each time: a right that was taken away is gone
at once. A superuser sees what they hold a role on, like everybody.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet
from guardian.shortcuts import get_objects_for_user

from audit.actors import Actor
from audit.models import Account
from models_registry.errors import Forbidden, Hidden, Invalid
from models_registry.models import (
    Environment,
    EnvironmentGroupGrant,
    EnvironmentUserGrant,
    ModelVersion,
    RegisteredModel,
    RegisteredModelGroupGrant,
    RegisteredModelUserGrant,
)
from models_registry.roles import DUTIES, Role

T = TypeVar("T", bound=Model)

PREFIX = "hold_"
REPORTERS = {Role.IT_OPERATIONS, Role.ANALYTIC_ENGINEER, Role.ADMINISTRATOR}
ALL_ROLES = [f"{PREFIX}{role}" for role in Role]


def models_held_by(user: Account) -> QuerySet[RegisteredModel]:
    """Return the models on which an account holds a role itself, or through a group."""
    return _held(user, RegisteredModel.objects.all())


def environments_held_by(user: Account) -> QuerySet[Environment]:
    """Return the environments on which an account holds a role itself, or through a group."""
    return _held(user, Environment.objects.all())


def _held(user: Account, things: QuerySet[T], roles: Sequence[str] = ALL_ROLES) -> QuerySet[T]:
    if not user.is_authenticated or not user.is_active:
        return things.none()
    held: QuerySet[T] = get_objects_for_user(
        user, list(roles), klass=things, any_perm=True, with_superuser=False, accept_global_perms=False
    )
    return held


def is_site_administrator(user: Account) -> bool:
    """Tell whether an account keeps what the site is made of: environments, organisations, roles."""
    return user.is_authenticated and user.is_active and user.is_staff


def models_visible_to(user: Account) -> QuerySet[RegisteredModel]:
    """Return the models an account may read: those it holds a role on, and those meant for an environment it has."""
    held = Q(pk__in=models_held_by(user).values("pk"))
    meant = Q(
        pk__in=RegisteredModel.destinations.through.objects.filter(
            environment__in=environments_held_by(user).values("pk")
        ).values("registeredmodel")
    )
    return RegisteredModel.objects.filter(held | meant)


def environments_visible_to(user: Account) -> QuerySet[Environment]:
    """Return the environments an account may read.

    Those it owns or holds a role on, and all for whoever holds a role on some model, for whoever offers must be able to
    choose where to; and for administrators of the site, who keep them.
    """
    if is_site_administrator(user) or models_held_by(user).exists():
        return Environment.objects.all()
    if not user.is_authenticated or not user.is_active:
        return Environment.objects.none()
    return Environment.objects.filter(Q(owner=user) | Q(pk__in=environments_held_by(user).values("pk")))


def roles_on(
    user: Account, *, model: RegisteredModel | None = None, environment: Environment | None = None
) -> set[Role]:
    """Return the roles an account holds on a model, an environment, or either of both: one query a thing."""
    if not user.is_authenticated or not user.is_active:
        return set()
    codenames: set[str] = set()
    for thing, direct, grouped in _grants(model, environment):
        own = direct.objects.filter(content_object=thing, user=user).values_list("permission__codename", flat=True)
        shared = grouped.objects.filter(content_object=thing, group__user=user)
        codenames |= set(own.union(shared.values_list("permission__codename", flat=True)))
    return {Role(name.removeprefix(PREFIX)) for name in codenames if name.startswith(PREFIX)}


def _grants(model: RegisteredModel | None, environment: Environment | None) -> list[tuple[Any, Any, Any]]:
    """Return each thing that is given with its tables of grants to people and to groups."""
    pairs: list[tuple[Any, Any, Any]] = []
    if model is not None:
        pairs.append((model, RegisteredModelUserGrant, RegisteredModelGroupGrant))
    if environment is not None:
        pairs.append((environment, EnvironmentUserGrant, EnvironmentGroupGrant))
    return pairs


def holders(
    role: Role, *, model: RegisteredModel | None = None, environment: Environment | None = None
) -> QuerySet[Account]:
    """Return the active natural persons who hold a role on what the role is held on."""
    codename = f"{PREFIX}{role}"
    on_model = DUTIES[role].held_on == "model"
    ((thing, direct, grouped),) = _grants(model if on_model else None, None if on_model else environment)
    own = direct.objects.filter(content_object=thing, permission__codename=codename).values("user")
    shared = grouped.objects.filter(content_object=thing, permission__codename=codename).values("group")
    people = Account.objects.filter(is_active=True, kind=Account.Kind.PERSON)
    return people.filter(Q(pk__in=own) | Q(groups__in=shared)).distinct()


def find_model(actor: Actor, slug: str) -> RegisteredModel:
    """Return a model the actor may read. Raises Hidden."""
    found = models_visible_to(actor.user).filter(slug=slug).first() if actor.user else None
    if found is None:
        raise Hidden("There is no such model.")
    return found


def find_environment(actor: Actor, slug: str) -> Environment:
    """Return an environment the actor may read. Raises Hidden."""
    found = environments_visible_to(actor.user).filter(slug=slug).first() if actor.user else None
    if found is None:
        raise Hidden("There is no such environment.")
    return found


def builds_models(user: Account) -> bool:
    """Tell whether an account is a data scientist of some model."""
    return _held(user, RegisteredModel.objects.all(), [f"{PREFIX}{Role.DATA_SCIENTIST}"]).exists()


def may_report(user: Account, environment: Environment) -> bool:
    """Tell whether an account may say what an environment is made of: those who run it, and who build in it."""
    if environment.owner_id == user.pk or REPORTERS & roles_on(user, environment=environment):
        return True
    return environment.kind == Environment.Kind.CREATION and builds_models(user)


def require_reporter(actor: Actor, environment: Environment) -> None:
    """Let whoever may report an environment's profile pass. Raises Forbidden that names who may."""
    if actor.user is None or not may_report(actor.user, environment):
        raise Forbidden(
            f"You may not say what {environment.name} is made of.",
            code="role_not_held",
            todo="Its owner, its IT operations, analytic engineers and administrators report its profile; for a "
            "creation environment data scientists, too.",
        )


def may_ask(user: Account, environment: Environment) -> bool:
    """Tell whether an account may ask for an exception in an environment: who builds models, and who works there."""
    return builds_models(user) or environment.owner_id == user.pk or bool(roles_on(user, environment=environment))


def lock_to_ask(actor: Actor, slug: str) -> Environment:
    """Lock an environment in which the actor may ask for an exception. Raises Hidden or Forbidden."""
    found = find_environment(actor, slug)
    if actor.user is None or not may_ask(actor.user, found):
        raise Forbidden(
            f"You may not ask for an exception in {found.name}.",
            code="role_not_held",
            todo="Data scientists ask, and whoever holds a role on the environment.",
        )
    return Environment.objects.select_for_update().get(pk=found.pk)


def environments_run_by(user: Account) -> QuerySet[Environment]:
    """Return the environments on which an account holds IT operations itself, or through a group."""
    return _held(user, Environment.objects.all(), [f"{PREFIX}{Role.IT_OPERATIONS}"])


def lock_model(actor: Actor, slug: str, role: Role) -> RegisteredModel:
    """Lock a model on which the actor holds a role. Raises Hidden, or Forbidden that names who holds it."""
    found = find_model(actor, slug)
    model = RegisteredModel.objects.select_for_update().get(pk=found.pk)
    require_role(actor, model, role)
    return model


def require_role(actor: Actor, model: RegisteredModel, role: Role) -> None:
    """Let a holder of a role pass. Raises Forbidden that names who holds it."""
    if actor.user is None or role not in roles_on(actor.user, model=model):
        who = ", ".join(person.printed_name for person in holders(role, model=model)) or "nobody yet"
        raise Forbidden(
            f"This needs the role {role.label} on {model.name}.",
            code="role_not_held",
            todo=f"Those who hold it: {who}. Ask one of them, or ask an administrator for the role.",
        )


def lock_version(actor: Actor, slug: str, number: int, role: Role) -> ModelVersion:
    """Lock a version of a model on which the actor holds a role. Raises Hidden or Forbidden."""
    model = lock_model(actor, slug, role)
    version = ModelVersion.objects.select_for_update().filter(model=model, number=number).first()
    if version is None:
        raise Hidden(f"{model.name} has no version {number}.")
    version.model = model
    return version


def find_person(username: str) -> Account:
    """Return an active natural person who is to answer for something. Raises Invalid."""
    person = Account.objects.filter(username=username, kind=Account.Kind.PERSON, is_active=True).first()
    if person is None:
        raise Invalid("The owner must be an active person.", fields={"owner": "is not an active person"})
    return person


def lock_environment(actor: Actor, slug: str, *roles: Role) -> Environment:
    """Lock an environment on which the actor holds one of some roles. Raises Hidden or Forbidden."""
    found = find_environment(actor, slug)
    environment = Environment.objects.select_for_update().get(pk=found.pk)
    if actor.user is None or not roles_on(actor.user, environment=environment) & set(roles):
        people = {person.printed_name for role in roles for person in holders(role, environment=environment)}
        raise Forbidden(
            f"This needs the role {' or '.join(role.label for role in roles)} on {environment.name}.",
            code="role_not_held",
            todo=f"Those who hold it: {', '.join(sorted(people)) or 'nobody yet'}. Ask one of them.",
        )
    return environment
