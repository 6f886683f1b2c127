"""Grant roles for a time, and end that. Nobody grants one to themselves."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest, Now
from django.utils import timezone

from audit.actors import Person
from audit.acts import act
from audit.models import Account
from audit.trail import record
from models_registry.access import (
    accounts_of,
    administers,
    find_environment,
    find_model,
    find_organisation,
    permission_of,
    roles_on,
)
from models_registry.errors import Forbidden, Hidden, Invalid, RoleHeld, WrongState
from models_registry.models import (
    Environment,
    EnvironmentGroupGrant,
    EnvironmentUserGrant,
    Organisation,
    OrganisationGroupGrant,
    OrganisationUserGrant,
    RegisteredModel,
    RegisteredModelGroupGrant,
    RegisteredModelUserGrant,
)
from models_registry.roles import DUTIES, Role

Thing = RegisteredModel | Environment | Organisation
KINDS: dict[str, tuple[type[Thing], Any, Any]] = {
    "model": (RegisteredModel, RegisteredModelUserGrant, RegisteredModelGroupGrant),
    "environment": (Environment, EnvironmentUserGrant, EnvironmentGroupGrant),
    "organisation": (Organisation, OrganisationUserGrant, OrganisationGroupGrant),
}


@act
def grant(
    *,
    actor: Person,
    role: str,
    holder: str,
    model: str = "",
    environment: str = "",
    organisation: str = "",
    starts: date | None = None,
    ends: date | None = None,
) -> Any:
    """Let an account, or a group written as 'group:name', hold a role, and return the grant.

    It is held on one model, one environment, or on all environments of an organisation; from now or the first moment of
    the day `starts`, until further notice or with `ends` as the last day. Raises Hidden, Forbidden, Invalid, or
    RoleHeld where the same holder has the same role on one of these days already.
    """
    kind, thing = _thing(actor, model=model, environment=environment, organisation=organisation)
    wanted = _role(role, kind)
    who = _holder(holder)
    _check_right(actor, thing)
    if _is_of(who, actor.user):
        raise Forbidden(
            "Nobody grants a role to themselves.",
            code="self_grant",
            todo="Ask another administrator to grant it to you.",
        )
    period = _period(starts, ends)
    held = {"permission": permission_of(wanted, KINDS[kind][0]), "content_object": thing, **_as(who)}
    try:
        with transaction.atomic():
            row = _rows(kind, who)._default_manager.create(**held, **period)
    except IntegrityError as error:
        raise RoleHeld(
            f"{holder} holds the role {wanted.label} here already on one of these days.",
            todo="End that first, or choose days on which they do not hold it.",
        ) from error
    days = {name: day.isoformat() for name, day in (("starts", starts), ("ends", ends)) if day}
    _record("role.granted", actor, thing, kind, {"role": wanted, "holder": _named(who), **days})
    return row


@act
def revoke(
    *,
    actor: Person,
    role: str,
    holder: str,
    model: str = "",
    environment: str = "",
    organisation: str = "",
    ends: date | None = None,
) -> Thing:
    """Take a role away at once, or with `ends` as its last day; what was to start later never does.

    Nobody holds one longer by this: what ends before that day already ends then. What was signed in it before stops
    counting then, for entitlement is judged when deciding. Raises Hidden, Forbidden, Invalid, or WrongState where they
    do not hold it, or not beyond that day.
    """
    kind, thing = _thing(actor, model=model, environment=environment, organisation=organisation)
    wanted = _role(role, kind)
    who = _holder(holder, active=False)
    _check_right(actor, thing)
    last = _period(None, ends).get("ends_at")
    rows = _rows(kind, who)._default_manager.filter(
        Q(ends_at=None) | Q(ends_at__gt=Greatest(Now(), F("starts_at"))),
        permission=permission_of(wanted, KINDS[kind][0]),
        content_object=thing,
        **_as(who),
    )
    moment = last or Now()
    later = rows.filter(starts_at__gt=moment).update(ends_at=F("starts_at"))
    if not rows.filter(Q(ends_at=None) | Q(ends_at__gt=moment)).update(ends_at=moment) + later:
        words = f" after {ends.isoformat()}" if ends else ""
        raise WrongState(f"{holder} does not hold this role{words}.", code="role_not_held_by_them")
    days = {"ends": ends.isoformat()} if ends else {}
    _record("role.revoked", actor, thing, kind, {"role": wanted, "holder": _named(who), **days})
    return thing


def _thing(actor: Person, **named: str) -> tuple[str, Thing]:
    """Return the one thing that is named, locked, and its kind."""
    chosen = [(kind, slug) for kind, slug in named.items() if slug]
    if len(chosen) != 1:
        raise Invalid(
            "Name a model, an environment or an organisation.",
            fields={"model": "or one of the other two, and only one"},
        )
    ((kind, slug),) = chosen
    table = KINDS[kind][0]
    if not actor.user.is_staff:
        {"model": find_model, "environment": find_environment, "organisation": find_organisation}[kind](actor, slug)
    found = table._default_manager.select_for_update().filter(slug=slug).first()
    if found is None:
        raise Hidden("There is no such thing.")
    return kind, found


def _role(role: str, kind: str) -> Role:
    if role not in Role.values:
        raise Invalid("The role is not known.", fields={"role": "must be one of " + ", ".join(Role.values)})
    wanted = Role(role)
    held_on = DUTIES[wanted].held_on
    if kind not in (held_on, "organisation" if held_on == "environment" else "") and wanted != Role.ADMINISTRATOR:
        raise Invalid(f"{wanted.label} is held on {held_on}s.", fields={"role": f"is not held on a {kind}"})
    return wanted


def _holder(holder: str, *, active: bool = True) -> Account | Group:
    found: Account | Group | None
    if holder.startswith("group:"):
        found = Group.objects.filter(name=holder.removeprefix("group:")).first()
    else:
        accounts = Account.objects.filter(username=holder)
        found = (accounts.filter(is_active=True) if active else accounts).first()
    if found is None:
        raise Invalid("The holder is not an active account or a group.", fields={"holder": "is not known"})
    return found


def _named(who: Account | Group) -> str:
    """Return a holder as the trail tells it: a person by a mark."""
    return who.mark if isinstance(who, Account) else f"group:{who.name}"


def _rows(kind: str, who: Account | Group) -> Any:
    """Return the table in which a holder's grants on a kind of thing stand."""
    return KINDS[kind][1 if isinstance(who, Account) else 2]


def _as(who: Account | Group) -> dict[str, Account | Group]:
    return {"user" if isinstance(who, Account) else "group": who}


def _period(starts: date | None, ends: date | None) -> dict[str, datetime]:
    """Return the times between which a role is held, from days of the site's own time zone."""
    today = timezone.localdate()
    wrong = {name: "is past" for name, day in (("starts", starts), ("ends", ends)) if day is not None and day < today}
    if starts and ends and ends < starts:
        wrong["ends"] = "is before the first day"
    if wrong:
        raise Invalid("A role is held from today or later, until its first day or later.", fields=dict(wrong))
    found = {"ends_at": _midnight(ends + timedelta(days=1))} if ends else {}
    return found | ({"starts_at": _midnight(starts)} if starts and starts > today else {})


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=timezone.get_current_timezone())


def _is_of(holder: Account | Group, person: Account) -> bool:
    """Tell whether what a holder gets would be a person's own: by name, by a service account, or by a group."""
    if isinstance(holder, Group):
        return accounts_of(person).filter(groups=holder).exists()
    return holder.natural_person_id == person.natural_person_id


def _check_right(actor: Person, thing: Thing) -> None:
    if not actor.user.is_staff and not _administers(actor.user, thing):
        raise Forbidden("Only an administrator grants roles here.", code="administrator_required")


def _administers(account: Account, thing: Thing) -> bool:
    if isinstance(thing, Organisation):
        return administers(account, thing)
    on_model = isinstance(thing, RegisteredModel)
    held = roles_on(account, model=thing) if on_model else roles_on(account, environment=thing)  # type: ignore[arg-type]
    return Role.ADMINISTRATOR in held


def _record(action: str, actor: Person, thing: Thing, kind: str, data: dict[str, Any]) -> None:
    chain = "site" if kind == "organisation" else f"{kind}:{thing.pk}"
    record(action, actor=actor, on=thing, chain=chain, data=data)
