"""Grant roles and take them away. Nobody grants one to themselves."""

from django.contrib.auth.models import Group
from django.db.models import Q
from guardian.shortcuts import assign_perm, remove_perm

from audit.actors import Person
from audit.acts import act
from audit.models import Account
from audit.trail import record
from models_registry.access import PREFIX, find_environment, find_model, roles_on
from models_registry.errors import Forbidden, Hidden, Invalid, WrongState
from models_registry.models import Environment, RegisteredModel
from models_registry.roles import DUTIES, Role

Thing = RegisteredModel | Environment


@act
def grant(*, actor: Person, role: str, holder: str, model: str = "", environment: str = "") -> Thing:
    """Let an account, or a group written as 'group:name', hold a role on a model or an environment."""
    thing, kind = _thing(actor, model, environment)
    wanted = _role(role, kind)
    who = _holder(holder)
    _check_right(actor, thing)
    if _is_of(who, actor.user):
        raise Forbidden(
            "Nobody grants a role to themselves.",
            code="self_grant",
            todo="Ask another administrator to grant it to you.",
        )
    assign_perm(f"{PREFIX}{wanted}", who, thing)
    _record("role.granted", actor, thing, kind, wanted, holder)
    return thing


@act
def revoke(*, actor: Person, role: str, holder: str, model: str = "", environment: str = "") -> Thing:
    """Take a role away. What was signed in it before stops counting, for entitlement is judged when deciding."""
    thing, kind = _thing(actor, model, environment)
    wanted = _role(role, kind)
    who = _holder(holder)
    _check_right(actor, thing)
    if isinstance(who, Account) and wanted not in _held(who, thing):
        raise WrongState(f"{holder} does not hold this role.", code="role_not_held_by_them")
    remove_perm(f"{PREFIX}{wanted}", who, thing)
    _record("role.revoked", actor, thing, kind, wanted, holder)
    return thing


def _thing(actor: Person, model: str, environment: str) -> tuple[Thing, str]:
    if bool(model) == bool(environment):
        raise Invalid("Name a model or an environment.", fields={"model": "or environment, one of them"})
    if actor.user.is_staff:
        kind = RegisteredModel if model else Environment
        found = kind.objects.filter(slug=model or environment).first()
        if found is None:
            raise Hidden("There is no such thing.")
    else:
        found = find_model(actor, model) if model else find_environment(actor, environment)
    return found, "model" if model else "environment"


def _role(role: str, kind: str) -> Role:
    if role not in Role.values:
        raise Invalid("The role is not known.", fields={"role": "must be one of " + ", ".join(Role.values)})
    wanted = Role(role)
    if DUTIES[wanted].held_on != kind and wanted != Role.ADMINISTRATOR:
        raise Invalid(
            f"{wanted.label} is held on {DUTIES[wanted].held_on}s.", fields={"role": f"is not held on a {kind}"}
        )
    return wanted


def _holder(holder: str) -> Account | Group:
    found: Account | Group | None
    if holder.startswith("group:"):
        found = Group.objects.filter(name=holder.removeprefix("group:")).first()
    else:
        found = Account.objects.filter(username=holder, is_active=True).first()
    if found is None:
        raise Invalid("The holder is not an active account or a group.", fields={"holder": "is not known"})
    return found


def _is_of(holder: Account | Group, person: Account) -> bool:
    """Tell whether what a holder gets would be a person's own: by name, by a service account, or by a group."""
    if isinstance(holder, Group):
        return Account.objects.filter(Q(pk=person.pk) | Q(responsible=person), groups=holder).exists()
    return holder.natural_person_id == person.pk


def _check_right(actor: Person, thing: Thing) -> None:
    if not actor.user.is_staff and Role.ADMINISTRATOR not in _held(actor.user, thing):
        raise Forbidden("Only an administrator grants roles here.", code="administrator_required")


def _held(account: Account, thing: Thing) -> set[Role]:
    if isinstance(thing, RegisteredModel):
        return roles_on(account, model=thing)
    return roles_on(account, environment=thing)


def _record(action: str, actor: Person, thing: Thing, kind: str, role: Role, holder: str) -> None:
    record(action, actor=actor, on=thing, chain=f"{kind}:{thing.pk}", data={"role": role, "holder": holder})
