"""Take the name of somebody who has left out of everything that may be changed. Chain and signatures stay provable."""

import re
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import make_password
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from knox.models import AuthToken

from audit.actors import Actor, Person, Worker
from audit.acts import act
from audit.models import Account, NameHold, NameNotice, PersonalKey, PrintedName, RequestKey
from audit.models.personal_keys import NO_LABEL
from audit.trail import record
from handoff.errors import Forbidden, Invalid, WrongState
from handoff.queries.leavers import Traces, due, rules, still_answers_for, to_announce, traces_of

LONGEST = 2000
TIME_OVER = "The time for which names are kept is over."
TOLD = 5


@dataclass(frozen=True, slots=True)
class Pseudonymised:
    """Whose name has gone, by the pseudonym, and how much from earlier days still holds it where nothing changes."""

    account: str
    name: str
    traces: Traces


@act
def pseudonymise(*, actor: Person, person: str, confirm: str, reason: str) -> Pseudonymised:
    """Put a pseudonym in the place of the name of somebody who has left, on all their accounts, for good.

    Names go with the salts of their marks, so that no mark tells them any more; user name, address, title, password,
    factors, tokens, groups and rights go, too, and personal keys are retired. Events and statements keep their bytes.
    `confirm` is the user name once more, for nothing brings the name back. Only an administrator of the site may, and
    not for themselves. Raises Forbidden, Invalid, or WrongState for who has not left, still answers for something, is
    held, or has a pseudonym already.
    """
    _is_administrator(actor, "lets a name go")
    found = leaver(person)
    if found[0].natural_person_id == actor.user.natural_person_id:
        raise Forbidden("Nobody lets their own name go.", code="self_grant", todo="Ask another administrator.")
    if confirm != person:
        raise Invalid(
            "Write the user name once more: nothing brings the name back.",
            fields={"confirm": "is not the user name of who has left"},
        )
    return _let_go(found, actor=actor, reason=_reason(reason, found))


@act
def announce(*, actor: Worker, account_id: int) -> NameNotice | None:
    """Give notice of the day on which the name of somebody who has left goes; None if that is not to be told now."""
    Account.objects.select_for_update(of=("self",)).get(pk=account_id)
    one = to_announce().filter(pk=account_id).first()
    if one is None or one.gone_at is None:
        return None
    goes_at = rules().announced(one.gone_at, timezone.now())
    given = NameNotice.objects.create(account_id=one.pk, left_at=one.gone_at, goes_at=goes_at)
    _record("account.name_announced", actor, one, {"goes": goes_at.isoformat()})
    return given


@act
def let_go_due(*, actor: Worker, account_id: int) -> Pseudonymised | None:
    """Do what `pseudonymise` does to somebody whose time is over and of whom notice was given; None if it is not.

    Raises WrongState for who still answers for something: their name stays until somebody else does.
    """
    found = _accounts_of(account_id)
    if not due().filter(pk=account_id).exists():
        return None
    _may_go(found)
    return _let_go(found, actor=actor, reason=TIME_OVER)


@act
def hold(*, actor: Person, person: str, reason: str) -> NameHold:
    """Keep the name of somebody who has left until that is lifted, say for a lawsuit: nobody lets it go meanwhile.

    Raises Forbidden, Invalid, or WrongState for who has not left, is held, or has no name any more.
    """
    _is_administrator(actor, "holds a name")
    found = _named(person)
    _left_with_a_name(found)
    if _hold_of(found) is not None:
        raise WrongState("The name is held already.", code="name_held", todo="Lift that first, to say another reason.")
    reason = _reason(reason, found)
    made = NameHold.objects.create(account=found[0], reason=reason, held_by=actor.user)
    _record("account.name_held", actor, found[0], {}, reason)
    return made


@act
def lift(*, actor: Person, person: str, reason: str) -> NameHold:
    """Let the time of a held name go on. What was announced stands. Raises Forbidden, Invalid or WrongState."""
    _is_administrator(actor, "lifts the hold on a name")
    found = _named(person)
    held = _hold_of(found)
    if held is None:
        raise WrongState("The name is not held.", code="name_not_held")
    reason = _reason(reason, found)
    NameHold.objects.filter(pk=held.pk).update(lifted_at=Now(), lifted_by=actor.user, lifted_because=reason)
    _record("account.name_released", actor, found[0], {}, reason)
    held.refresh_from_db()
    return held


def _let_go(found: list[Account], *, actor: Person | Worker, reason: str) -> Pseudonymised:
    """Take the names of the accounts of one person, the main one first."""
    traces = traces_of(found)
    code = token_hex(4)
    for number, account in enumerate(found):
        _retire_keys(account, actor)
        _empty(account, code, f"-{number + 1}" if number else "")
    told = {"accounts": len(found), "events": traces.events, "signatures": traces.signatures}
    _record("account.pseudonymised", actor, found[0], told, reason)
    found[0].refresh_from_db()
    return Pseudonymised(found[0].username, found[0].printed_name, traces)


def leaver(person: str) -> list[Account]:
    """Lock and return all accounts of somebody who may get a pseudonym, the main one first. Raises as the act does."""
    found = _named(person)
    _may_go(found)
    return found


def _named(person: str) -> list[Account]:
    """Lock and return all accounts of somebody by the user name of any, the main one first."""
    rows = Account.objects.select_for_update(of=("self",)).filter(kind=Account.Kind.PERSON)
    named = rows.filter(username=person).first()
    if named is None:
        raise Invalid("There is no such person.", fields={"person": "is not a person's account"})
    return _accounts_of(named.natural_person_id)


def _accounts_of(main: int) -> list[Account]:
    rows = Account.objects.select_for_update(of=("self",)).filter(kind=Account.Kind.PERSON)
    return sorted(rows.filter(Q(pk=main) | Q(same_person=main)), key=lambda one: (one.pk != main, one.pk))


def _hold_of(found: list[Account]) -> NameHold | None:
    return NameHold.objects.filter(account__in=found, lifted_at=None).first()


def _left_with_a_name(found: list[Account]) -> None:
    if any(one.pseudonymised_at for one in found):
        raise WrongState("The name has gone already.", code="pseudonymised_already")
    if any(one.is_active for one in found):
        raise WrongState(
            "They have not left.", code="not_left", todo="Make each of their accounts inactive first, in the admin."
        )


def _may_go(found: list[Account]) -> None:
    """Refuse where some accounts have no name any more, are in use, are held, or answer for something still."""
    _left_with_a_name(found)
    if held := _hold_of(found):
        raise WrongState(f"The name is held: {held.reason}", code="name_held", todo="Lift the hold first.")
    if owed := still_answers_for(found):
        more = f" and {len(owed) - TOLD} more" if len(owed) > TOLD else ""
        raise WrongState(
            f"They still answer for {', '.join(owed[:TOLD])}{more}.",
            code="still_answers",
            todo="Give each to somebody else, or end it.",
        )


def _is_administrator(actor: Person, act: str) -> None:
    if not actor.user.is_staff:
        raise Forbidden(f"Only an administrator {act}.", code="administrator_required")


def _record(action: str, actor: Actor, account: Account, told: dict[str, Any], reason: str = "") -> None:
    chain = f"account:{account.pk}"
    record(action, actor=actor, on=chain, chain=chain, data=told, reason=reason)


def _reason(reason: str, found: list[Account]) -> str:
    """Return the reason, which stays on the trail, so it must not have the name in it."""
    reason = reason.strip()
    if not 0 < len(reason) <= LONGEST:
        raise Invalid("Say why.", fields={"reason": f"must be 1 to {LONGEST} characters"})
    names = {part for one in found for part in (one.username, one.email, *one.printed_name.split()) if len(part) > 2}
    if any(name.casefold() in reason.casefold() for name in names):
        raise Invalid(
            "The reason stays for ever, so it must not name them.", fields={"reason": "has a part of the name in it"}
        )
    return reason


def _retire_keys(account: Account, actor: Actor) -> None:
    """Retire the personal keys of an account and take their labels; what they signed stays provable."""
    keys, because = PersonalKey.objects.filter(account=account), "its holder has left"
    for key in keys.filter(retired_at=None):
        keys.filter(pk=key.pk).update(retired_at=Now(), retired_because=because)
        chain = f"account:{account.pk}"
        record("personal_key.retired", actor=actor, on=key, chain=chain, data={"key": key.pk}, reason=because)


def _empty(account: Account, code: str, nth: str) -> None:
    """Empty an account and its printed names, and delete what only served to let it in."""
    before, pseudonym = account.username, f"Person {code} (left)"
    account.groups.clear()
    account.user_permissions.clear()
    for table in (AuthToken, Authenticator, EmailAddress, UserSession):
        table.objects.filter(user=account).delete()
    RequestKey.objects.filter(account=account).delete()
    for log in (AccessAttempt, AccessFailureLog, AccessLog):
        log.objects.filter(username=before).delete()
    LogEntry.objects.filter(_about(account, before)).update(object_repr=pseudonym)
    Account.objects.filter(pk=account.pk).update(
        first_name="Person",
        last_name=f"{code} (left)",
        username=f"left-{code}{nth}",
        email="",
        title="",
        password=make_password(None),
        last_login=None,
        is_staff=False,
        is_superuser=False,
        name_salt="",
        pseudonymised_at=Now(),
    )
    PrintedName.objects.filter(account=account).exclude(salt="").update(name=pseudonym, salt="")
    PersonalKey.objects.filter(account=account).update(name=NO_LABEL)


def _about(account: Account, username: str) -> Q:
    """Return which lines of the admin's own log are about an account, or name it."""
    own = Q(content_type=ContentType.objects.get_for_model(Account), object_id=str(account.pk))
    named = rf"\m{re.escape(username)}\M"
    return own | Q(object_repr__iregex=named) | Q(object_repr__icontains=account.printed_name)
