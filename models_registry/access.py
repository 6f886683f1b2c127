"""The only way to fetch what is governed here: visible to this account, permitted, and locked where it will change.

Who holds which role now is said by one view (`Holding`), read fresh each time: a right that was taken away, or whose
last day is over, is gone at once. A superuser sees what they hold a role on, like everybody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Permission
from django.db.models import Model, Q, QuerySet

from audit.actors import Actor
from audit.models import Account
from audit.planning import Prepared
from models_registry.errors import Forbidden, Hidden, Invalid
from models_registry.models import (
    Delegation,
    Environment,
    Holding,
    ModelVersion,
    Organisation,
    RegisteredModel,
)
from models_registry.roles import DUTIES, Role

PREFIX = "hold_"
REPORTERS = {Role.IT_OPERATIONS, Role.ANALYTIC_ENGINEER, Role.ADMINISTRATOR}


@dataclass(frozen=True, slots=True)
class Held:
    """What an account holds at one moment, read once for all that a page asks: the keys of models and environments."""

    models: Mapping[str, frozenset[UUID]]
    environments: Mapping[str, frozenset[UUID]]

    def all_models(self) -> frozenset[UUID]:
        """Return the models on which any role is held."""
        return frozenset().union(*self.models.values())

    def all_environments(self) -> frozenset[UUID]:
        """Return the environments on which any role is held."""
        return frozenset().union(*self.environments.values())


def models_held_by(user: Account, *roles: Role) -> QuerySet[RegisteredModel]:
    """Return the models on which an account holds a role, or one of some, itself, or through a group."""
    return RegisteredModel.objects.filter(pk__in=holdings_of(user, *roles).exclude(model=None).values("model"))


def environments_held_by(user: Account, *roles: Role) -> QuerySet[Environment]:
    """Return the environments on which an account holds a role, or one of some, itself, by group or organisation."""
    held = holdings_of(user, *roles).exclude(environment=None)
    return Environment.objects.filter(pk__in=held.values("environment"))


def environments_answered_for(user: Account, held: Held | None = None) -> QuerySet[Environment]:
    """Return the environments that an account owns or holds a role on: those it is told of what goes on in."""
    if not user.is_authenticated or not user.is_active:
        return Environment.objects.none()
    found = environments_held_by(user).values("pk") if held is None else held.all_environments()
    return Environment.objects.filter(Q(owner=user) | Q(pk__in=found))


def holds_anywhere(user: Account, *roles: Role) -> bool:
    """Tell whether an account holds one of some roles on anything."""
    return holdings_of(user, *roles).exists()


def holdings_of(user: Account, *roles: Role) -> QuerySet[Holding]:
    """Return what an account holds now, in every role or in some."""
    if not user.is_authenticated or not user.is_active:
        return Holding.objects.none()
    found = Holding.objects.filter(account=user)
    return found.filter(role__in=roles) if roles else found


HELD = Prepared(lambda user: Holding.objects.filter(account=user).values_list("role", "model", "environment"), "bigint")
HELD_ON = Prepared(
    lambda user, model, environment: Holding.objects.filter(
        Q(model=model) | Q(environment=environment), account=user
    ).values_list("role", flat=True),
    "bigint",
    "uuid",
    "uuid",
)


def held_by(user: Account) -> Held:
    """Return what an account holds now, by one query. It is not kept: a right that is taken away is gone at once."""
    models: dict[str, set[UUID]] = {}
    environments: dict[str, set[UUID]] = {}
    for role, model, environment in HELD(user.pk) if user.is_authenticated and user.is_active else ():
        found, key = (models, model) if model else (environments, environment)
        found.setdefault(role, set()).add(key)
    return Held(
        {role: frozenset(keys) for role, keys in models.items()},
        {role: frozenset(keys) for role, keys in environments.items()},
    )


def is_site_administrator(user: Account) -> bool:
    """Tell whether an account keeps what the site is made of: environments, organisations, roles."""
    return user.is_authenticated and user.is_active and user.is_staff


def models_visible_to(user: Account, held: Held | None = None) -> QuerySet[RegisteredModel]:
    """Return the models an account may read: those it holds a role on, and those meant for an environment it has.

    `held` is what the account holds, where that was read already.
    """
    if held is None:
        return _models_by(holdings_of(user))
    own = RegisteredModel.objects.filter(pk__in=held.all_models()).order_by().values("pk")
    return _either_way(own, held.all_environments())


def _models_by(held: QuerySet[Holding]) -> QuerySet[RegisteredModel]:
    """Return the models that may be read by some holdings."""
    places = held.exclude(environment=None).values("environment")
    return _either_way(held.exclude(model=None).values("model"), places)


def _either_way(own: QuerySet[Any, Any], places: Any) -> QuerySet[RegisteredModel]:
    """Return some models, and those meant for some environments.

    Each way by itself, for with OR between them the database would look at every model there is.
    """
    meant = RegisteredModel.destinations.through.objects.filter(environment__in=places).values("registeredmodel")
    return RegisteredModel.objects.filter(pk__in=own.union(meant))


FIND = Prepared(lambda user, slug: _models_by(Holding.objects.filter(account=user)).filter(slug=slug), "bigint", "text")


def environments_visible_to(user: Account, held: Held | None = None) -> QuerySet[Environment]:
    """Return the environments an account may read.

    Those it owns or holds a role on, and all for whoever holds a role on some model, for whoever offers must be able to
    choose where to; and for administrators of the site, who keep them.
    """
    if is_site_administrator(user) or (models_held_by(user).exists() if held is None else held.models):
        return Environment.objects.all()
    return environments_answered_for(user, held)


def roles_on(
    user: Account, *, model: RegisteredModel | None = None, environment: Environment | None = None
) -> set[Role]:
    """Return the roles an account holds now on a model, an environment, or either of both, by one query."""
    if not user.is_authenticated or not user.is_active or (model is None and environment is None):
        return set()
    found = HELD_ON(user.pk, model and model.pk, environment and environment.pk)
    return {Role(role) for role in found}


def permission_of(role: Role, kind: type[Model]) -> Permission:
    """Return the permission that stands for a role on a kind of thing."""
    of = {"content_type__app_label": kind._meta.app_label, "content_type__model": kind._meta.model_name}
    return Permission.objects.get(codename=f"{PREFIX}{role}", **of)


def accounts_of(user: Account) -> QuerySet[Account]:
    """Return every account of the natural person behind one, service accounts that they answer for among them."""
    return accounts_behind(user.natural_person_id)


def accounts_behind(person: Any) -> QuerySet[Account]:
    """Return every account of a natural person, by the key of the main one."""
    own = Q(pk=person) | Q(same_person=person)
    return Account.objects.filter(own | Q(responsible=person) | Q(responsible__same_person=person))


def administers(user: Account, organisation: Organisation) -> bool:
    """Tell whether an account is an administrator of an organisation, that is of each of its environments."""
    held = Q(permission__codename=f"{PREFIX}{Role.ADMINISTRATOR}")
    own = organisation.user_grants(manager="objects").filter(held, user=user)
    shared = organisation.group_grants(manager="objects").filter(held, group__user=user)
    return user.is_active and (own.exists() or shared.exists())


def holders(
    role: Role, *, model: RegisteredModel | None = None, environment: Environment | None = None
) -> QuerySet[Account]:
    """Return the active natural persons who hold a role now on what the role is held on."""
    on = {"model": model} if DUTIES[role].held_on == "model" else {"environment": environment}
    held = Holding.objects.filter(role=role, **on).values("account")
    return Account.objects.filter(pk__in=held, is_active=True, kind=Account.Kind.PERSON)


def inactive_holders(*, model: RegisteredModel, environment: Environment) -> dict[str, list[str]]:
    """Return, by role, the names of people who would hold it here if their accounts were active."""
    held = Holding.objects.filter(Q(model=model) | Q(environment=environment), account__is_active=False)
    found: dict[str, list[str]] = {}
    for one in held.filter(account__kind=Account.Kind.PERSON).select_related("account").order_by("account__username"):
        found.setdefault(one.role, []).append(one.account.printed_name)
    return found


def administrators_of(model: RegisteredModel, environment: Environment) -> str:
    """Return the names of those who grant roles on a model and an environment; the site's where there are no others."""
    held = Holding.objects.filter(Q(model=model) | Q(environment=environment), role=Role.ADMINISTRATOR)
    people = Account.objects.filter(is_active=True, kind=Account.Kind.PERSON)
    found = people.filter(pk__in=held.values("account")).order_by("username")[:5]
    return ", ".join(account.printed_name for account in found) or "one of the site"


def own_holdings(user: Account) -> list[Holding]:
    """Return what an account holds by a grant and could delegate, with the thing it is held on, by one query."""
    found = (
        holdings_of(user).filter(behalf=None).exclude(role=Role.ADMINISTRATOR).select_related("model", "environment")
    )
    return sorted(found, key=lambda one: (one.role, one.on[1].slug))


def delegations_visible_to(user: Account) -> QuerySet[Delegation]:
    """Return the delegations an account made or was given, and those on what it administers, the newest first."""
    own = Q(delegator=user) | Q(delegate=user)
    kept = Q(model__in=models_held_by(user, Role.ADMINISTRATOR)) | Q(
        environment__in=environments_held_by(user, Role.ADMINISTRATOR)
    )
    found = Delegation.objects.select_related("model", "environment", "delegator", "delegate")
    if not is_site_administrator(user):
        found = found.filter(own | kept)
    return found.order_by("-made_at", "pk")


def find_model(actor: Actor, slug: str) -> RegisteredModel:
    """Return a model the actor may read. Raises Hidden."""
    found = FIND.first(actor.user.pk, slug) if actor.user and actor.user.is_active else None
    if found is None:
        raise Hidden("There is no such model.")
    return found


def find_environment(actor: Actor, slug: str) -> Environment:
    """Return an environment the actor may read. Raises Hidden."""
    found = environments_visible_to(actor.user).filter(slug=slug).first() if actor.user else None
    if found is None:
        raise Hidden("There is no such environment.")
    return found


def organisations_visible_to(user: Account) -> QuerySet[Organisation]:
    """Return the organisations an account may read: all for the site's administrators, else those of its places."""
    if is_site_administrator(user):
        return Organisation.objects.all()
    return Organisation.objects.filter(pk__in=environments_visible_to(user).values("organisation"))


def find_organisation(actor: Actor, slug: str) -> Organisation:
    """Return an organisation of which the actor may read an environment. Raises Hidden."""
    found = organisations_visible_to(actor.user).filter(slug=slug).first() if actor.user else None
    if found is None:
        raise Hidden("There is no such organisation.")
    return found


def builds_models(user: Account) -> bool:
    """Tell whether an account is a data scientist of some model."""
    return holds_anywhere(user, Role.DATA_SCIENTIST)


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
