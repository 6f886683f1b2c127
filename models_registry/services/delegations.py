"""Name a delegate for a role and a time, and end that."""

from datetime import date, datetime, time, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Greatest, Now
from django.utils import timezone

from audit.actors import Person
from audit.acts import act
from audit.models import Account
from audit.trail import record
from models_registry.access import find_environment, find_model, roles_on
from models_registry.errors import DelegationRefused, Forbidden, Hidden, Invalid, WrongState
from models_registry.models import Delegation, Environment, Holding, RegisteredModel
from models_registry.roles import DUTIES, Role

LONGEST = timedelta(days=366)
LONGEST_TEXT = 2000


@act
def delegate(
    *,
    actor: Person,
    role: str,
    to: str,
    reason: str,
    ends: date,
    starts: date | None = None,
    model: str = "",
    environment: str = "",
) -> Delegation:
    """Let another person act in a role that the actor holds, from a day (or now) with `ends` as the last day.

    Each sign-off of the delegate shows for whom it was given, and both are judged: who may not approve cannot have it
    done. Raises Hidden, Forbidden, Invalid, or DelegationRefused where it would pass on what was delegated.
    """
    thing = _thing(actor, model, environment)
    wanted = _role(actor, role, thing)
    who = _delegate(actor, to, wanted, thing)
    period = _period(starts, ends)
    if not reason.strip() or len(reason) > LONGEST_TEXT:
        raise Invalid("Say why.", fields={"reason": f"must be 1 to {LONGEST_TEXT} characters"})
    try:
        with transaction.atomic():
            made = Delegation.objects.create(
                role=wanted, delegator=actor.user, delegate=who, reason=reason.strip(), **_on(thing), **period
            )
    except IntegrityError as error:
        raise DelegationRefused(
            "You have delegated this role here already on one of these days.",
            code="delegated_already",
            todo="End that first, or choose other days.",
        ) from error
    days = {"ends": ends.isoformat()} | ({"starts": starts.isoformat()} if starts else {})
    told = {"role": wanted, "to": who.mark, **days}
    record("role.delegated", actor=actor, on=made, chain=made.chain, data=told, reason=made.reason)
    return made


@act
def end(*, actor: Person, delegation_id: UUID | str) -> Delegation:
    """End a delegation at once; what was to start later never does. The delegator may, the delegate, an administrator.

    What was signed under it stays, and counts as long as the delegator holds the role. Raises Hidden or WrongState.
    """
    rows = Delegation.objects.select_for_update(of=("self",)).select_related("model", "environment")
    found = rows.filter(pk=delegation_id).first()
    if found is None or not _may_end(actor.user, found):
        raise Hidden("There is no such delegation.")
    open_ = Delegation.objects.filter(pk=found.pk, ends_at__gt=Greatest(Now(), F("starts_at")))
    if not open_.update(ends_at=Greatest(Now(), F("starts_at"))):
        raise WrongState("The delegation is over already.", code="delegation_over")
    record("delegation.ended", actor=actor, on=found, chain=found.chain, data={"role": found.role})
    found.refresh_from_db()
    return found


def _may_end(user: Account, found: Delegation) -> bool:
    if user.is_staff or user.pk in (found.delegator_id, found.delegate_id):
        return True
    return Role.ADMINISTRATOR in roles_on(user, model=found.model, environment=found.environment)


def _thing(actor: Person, model: str, environment: str) -> RegisteredModel | Environment:
    if not actor.user.is_person:
        raise Forbidden("Only a natural person delegates a role.", code="person_required")
    if bool(model) == bool(environment):
        raise Invalid("Name a model or an environment.", fields={"model": "or environment, one of them"})
    return find_model(actor, model) if model else find_environment(actor, environment)


def _on(thing: RegisteredModel | Environment) -> dict[str, RegisteredModel | Environment]:
    return {"model" if isinstance(thing, RegisteredModel) else "environment": thing}


def _role(actor: Person, role: str, thing: RegisteredModel | Environment) -> Role:
    """Return a role that the actor holds by a grant. What was delegated is not passed on, so there are no loops."""
    if role not in Role.values or role == Role.ADMINISTRATOR:
        known = ", ".join(one for one in Role.values if one != Role.ADMINISTRATOR)
        raise Invalid("This role is not delegated.", fields={"role": f"must be one of {known}"})
    wanted = Role(role)
    held = Holding.objects.filter(account=actor.user, role=wanted, **_on(thing))
    if held.filter(behalf=None).exists():
        return wanted
    if held.exists():
        raise DelegationRefused(
            f"You hold {wanted.label} here as a delegate, and a delegation is not passed on.",
            todo="Whoever delegated it to you may end that, and name somebody else.",
        )
    raise Forbidden(
        f"You do not hold the role {wanted.label} here.",
        code="role_not_held",
        todo=f"It is held on a {DUTIES[wanted].held_on}. Delegate what you hold yourself.",
    )


def _delegate(actor: Person, to: str, role: Role, thing: RegisteredModel | Environment) -> Account:
    who = Account.objects.filter(username=to, is_active=True).first()
    if who is None:
        raise Invalid("The delegate is not an active person.", fields={"to": "is not known"})
    if not who.is_person:
        raise Invalid(
            "A service account acts for nobody.", code="person_required", fields={"to": "is a service account"}
        )
    if who.natural_person_id == actor.user.natural_person_id:
        raise Invalid("Nobody is their own delegate.", code="self_grant", fields={"to": "is yourself"})
    if Holding.objects.filter(account=who, role=role, behalf=None, **_on(thing)).exists():
        raise Invalid("They hold the role themselves.", code="role_held_already", fields={"to": "holds the role"})
    return who


def _period(starts: date | None, ends: date) -> dict[str, datetime]:
    today = timezone.localdate()
    wrong = {name: "is past" for name, day in (("starts", starts), ("ends", ends)) if day is not None and day < today}
    if starts and ends < starts:
        wrong["ends"] = "is before the first day"
    elif ends > today + LONGEST:
        wrong["ends"] = f"must be {(today + LONGEST).isoformat()} at the latest"
    if wrong:
        raise Invalid("A delegation has a last day within a year.", fields=dict(wrong))
    found = {"ends_at": _midnight(ends + timedelta(days=1))}
    return found | ({"starts_at": _midnight(starts)} if starts and starts > today else {})


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=timezone.get_current_timezone())
