"""The only way to fetch what is governed here: visible to this account, permitted, and locked where it will change.

Grants are django-guardian's, with real foreign keys, and are read fresh each time: a right that was taken away is gone
at once. A superuser sees what they hold a role on, like everybody.
"""

from django.db.models import Q, QuerySet
from guardian.shortcuts import get_objects_for_user

from audit.actors import Actor
from audit.models import Account
from models_registry.errors import Forbidden, Hidden
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

PREFIX = "hold_"
ALL_ROLES = [f"{PREFIX}{role}" for role in Role]


def models_held_by(user: Account) -> QuerySet[RegisteredModel]:
    """Return the models on which an account holds a role itself, or through a group."""
    return _held(user, RegisteredModel)


def environments_held_by(user: Account) -> QuerySet[Environment]:
    """Return the environments on which an account holds a role itself, or through a group."""
    return _held(user, Environment)


def _held(user: Account, kind: type) -> QuerySet:
    if not user.is_authenticated or not user.is_active:
        return kind.objects.none()
    return get_objects_for_user(
        user, ALL_ROLES, klass=kind, any_perm=True, with_superuser=False, accept_global_perms=False
    )


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

    Those it holds a role on, those its models are meant for, and, for whoever holds a role on some model, every
    environment's name card: whoever offers must be able to choose where to.
    """
    if models_held_by(user).exists():
        return Environment.objects.all()
    return environments_held_by(user)


def roles_on(
    user: Account, *, model: RegisteredModel | None = None, environment: Environment | None = None
) -> set[Role]:
    """Return the roles an account holds on a model, an environment, or either of both, by one query."""
    if not user.is_authenticated or not user.is_active:
        return set()
    found: QuerySet | None = None
    for thing, direct, grouped in (
        (model, RegisteredModelUserGrant, RegisteredModelGroupGrant),
        (environment, EnvironmentUserGrant, EnvironmentGroupGrant),
    ):
        if thing is None:
            continue
        own = direct.objects.filter(content_object=thing, user=user).values_list("permission__codename")
        shared = grouped.objects.filter(content_object=thing, group__user=user).values_list("permission__codename")
        found = own.union(shared) if found is None else found.union(own, shared)
    rows = found or []
    return {Role(codename.removeprefix(PREFIX)) for (codename,) in rows if codename.startswith(PREFIX)}


def holders(
    role: Role, *, model: RegisteredModel | None = None, environment: Environment | None = None
) -> QuerySet[Account]:
    """Return the active natural persons who hold a role on what the role is held on."""
    codename = f"{PREFIX}{role}"
    if DUTIES[role].held_on == "model":
        direct, grouped, thing = RegisteredModelUserGrant, RegisteredModelGroupGrant, model
    else:
        direct, grouped, thing = EnvironmentUserGrant, EnvironmentGroupGrant, environment
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


def lock_model(actor: Actor, slug: str, role: Role) -> RegisteredModel:
    """Lock a model on which the actor holds a role. Raises Hidden, or Forbidden that names who holds it."""
    found = find_model(actor, slug)
    model = RegisteredModel.objects.select_for_update().get(pk=found.pk)
    if actor.user is None or role not in roles_on(actor.user, model=model):
        who = ", ".join(person.printed_name for person in holders(role, model=model)) or "nobody yet"
        raise Forbidden(
            f"This needs the role {role.label} on {model.name}.",
            code="role_not_held",
            todo=f"Those who hold it: {who}. Ask one of them, or ask an administrator for the role.",
        )
    return model


def lock_version(actor: Actor, slug: str, number: int, role: Role) -> ModelVersion:
    """Lock a version of a model on which the actor holds a role. Raises Hidden or Forbidden."""
    model = lock_model(actor, slug, role)
    version = ModelVersion.objects.select_for_update().filter(model=model, number=number).first()
    if version is None:
        raise Hidden(f"{model.name} has no version {number}.")
    version.model = model
    return version
