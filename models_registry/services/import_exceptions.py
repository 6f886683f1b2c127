"""Ask for exceptions to an import policy, answer them, withdraw and revoke them."""

from datetime import date
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from audit.actors import Actor, Person, ServiceAccount
from audit.acts import act
from audit.trail import record
from models_registry.access import find_environment, lock_environment, lock_to_ask
from models_registry.errors import ExceptionOpen, ExceptionOver, Forbidden, Hidden, Invalid
from models_registry.models import Environment, ImportException
from models_registry.models.import_exceptions import LONGEST
from models_registry.roles import Role
from models_registry.rules.import_exceptions import exactly
from models_registry.rules.import_policies import verdict_on

Answer = ImportException.Answer
LONGEST_TEXT = 5000
SHORT = {"library": 200, "version": 100, "licence": 200}


@act
def ask(
    *,
    actor: Person | ServiceAccount,
    environment: str,
    library: str,
    version: str,
    reason: str,
    measure: str = "",
    licence: str = "",
) -> ImportException:
    """Ask IT to let a prohibited library in, in exactly one version.

    `licence` is the library's, where that is why it is prohibited. Raises Hidden, Forbidden, Invalid (also where the
    import policy does not prohibit it), or ExceptionOpen.
    """
    place = lock_to_ask(actor, environment)
    name, version, licence = _named(library), _version(version), licence.strip()
    values = {
        "library": name,
        "version": version,
        "licence": licence,
        "reason": reason.strip(),
        "measure": measure.strip(),
    }
    if not values["reason"]:
        raise Invalid("Say what it is needed for.", fields={"reason": "is empty"})
    _fits(values)
    _needed(place, name, version, licence)
    _not_asked(place, name, version)
    try:
        with transaction.atomic():
            made = ImportException.objects.create(environment=place, asked_by=actor.user, **values)
    except IntegrityError as error:
        raise _open(place, name, version) from error
    _record("exception.asked", actor, made, values)
    return made


@act
def answer(
    *,
    actor: Person,
    environment: str,
    exception_id: UUID | str,
    answer: str,
    until: date | None = None,
    comment: str = "",
) -> ImportException:
    """Grant an open request until a day, or refuse it with a comment; once, and by somebody else than who asked.

    Only IT operations of the environment may. Raises Hidden, Forbidden, ExceptionOver or Invalid.
    """
    found = _lock_to_answer(actor, environment, exception_id)
    _still_open(found)
    if actor.user.natural_person_id == found.asked_by.natural_person_id:
        raise Forbidden(
            "You asked for this exception yourself, or a service account of yours did.",
            code="duty_conflict",
            todo="Somebody else of IT operations must answer. You may withdraw the request.",
        )
    comment = comment.strip()
    if answer == Answer.GRANTED:
        _ends_in_time(until)
    elif answer != Answer.REFUSED:
        raise Invalid("A request is granted or refused.", fields={"answer": "must be granted or refused"})
    elif until is not None:
        raise Invalid("A refusal has no end.", fields={"until": "belongs to what is granted"})
    elif not comment:
        raise Invalid("Say why it is refused.", fields={"comment": "is empty"})
    _fits({"comment": comment})
    _answered(found, actor, Answer(answer), comment, until)
    told = {"until": until.isoformat()} if until else {}
    _record(f"exception.{answer}", actor, found, told, comment)
    return found


@act
def withdraw(*, actor: Person, environment: str, exception_id: UUID | str, reason: str = "") -> ImportException:
    """Take an open request back. Only the person who asked may, or who answers for the service account that did."""
    _is_person(actor)
    place = _locked(find_environment(actor, environment))
    found = _lock(place, exception_id)
    if actor.user.natural_person_id != found.asked_by.natural_person_id:
        raise Forbidden(
            "Only who asked for an exception withdraws the request.",
            code="not_the_asker",
            todo=f"{found.asked_by.printed_name} asked.",
        )
    _still_open(found)
    _fits({"reason": reason})
    _answered(found, actor, Answer.WITHDRAWN, reason.strip(), None)
    _record("exception.withdrawn", actor, found, {}, reason.strip())
    return found


@act
def revoke(*, actor: Person, environment: str, exception_id: UUID | str, reason: str) -> ImportException:
    """End a granted exception before its day. Whoever holds IT operations may; what was approved with it drifts."""
    found = _lock_to_answer(actor, environment, exception_id)
    if found.state != Answer.GRANTED:
        raise ExceptionOver(f"An exception that is {found.state} cannot be revoked.")
    if not reason.strip():
        raise Invalid("Say why it is revoked.", fields={"reason": "is empty"})
    _fits({"reason": reason})
    found.revoked_by, found.revoked_at, found.revocation = actor.user, timezone.now(), reason.strip()
    found.save(update_fields=["revoked_by", "revoked_at", "revocation"])
    _record("exception.revoked", actor, found, {}, found.revocation)
    return found


def _locked(place: Environment) -> Environment:
    return Environment.objects.select_for_update().get(pk=place.pk)


def _is_person(actor: Person) -> None:
    if not actor.user.is_person:
        raise Forbidden("Only a natural person answers for an exception.", code="person_required")


def _lock_to_answer(actor: Person, environment: str, exception_id: UUID | str) -> ImportException:
    _is_person(actor)
    return _lock(lock_environment(actor, environment, Role.IT_OPERATIONS), exception_id)


def _lock(place: Environment, exception_id: UUID | str) -> ImportException:
    """Lock an exception behind its environment, which is locked already."""
    rows = ImportException.objects.select_for_update(of=("self",)).select_related("asked_by__responsible")
    found = rows.filter(environment=place, pk=exception_id).first()
    if found is None:
        raise Hidden(f"{place.name} has no such exception.")
    found.environment = place
    return found


def _still_open(found: ImportException) -> None:
    if found.answer:
        raise ExceptionOver(
            f"The request for {found} was {found.get_answer_display()} already.",
            todo="An answer is given once; ask anew for another one.",
        )


def _answered(
    found: ImportException, actor: Person, given: ImportException.Answer, comment: str, until: date | None
) -> None:
    found.answer, found.comment, found.until = given, comment, until
    found.answered_by, found.answered_at = actor.user, timezone.now()
    found.save(update_fields=["answer", "comment", "until", "answered_by", "answered_at"])


def _named(library: str) -> str:
    try:
        return canonicalize_name(library.strip(), validate=True)
    except InvalidName as error:
        raise Invalid("Name a library as it is installed.", fields={"library": "is not a library's name"}) from error


def _version(version: str) -> str:
    try:
        return str(Version(version.strip()))
    except InvalidVersion as error:
        raise Invalid(
            "An exception is for exactly one version.", fields={"version": "is not a version such as 2.4.6"}
        ) from error


def _needed(place: Environment, library: str, version: str, licence: str) -> None:
    """Refuse to ask for what the import policy lets in anyway."""
    said = verdict_on(place.import_policy, library, version, licence)
    if said.answer != "prohibit":
        words = "lets it in" if said.answer == "allow" else "warns about it, and lets it in"
        raise Invalid(
            f"The import policy of {place.name} does not prohibit {library} {version}: it {words}.",
            code="exception_not_needed",
            todo="Use it. Where its licence is why it was prohibited, name the licence.",
            fields={"library": "is not prohibited in this version"},
        )


def _not_asked(place: Environment, library: str, version: str) -> None:
    asked = ImportException.objects.filter(environment=place, library=library, answer="")
    if any(exactly(library, one.version) == exactly(library, version) for one in asked):
        raise _open(place, library, version)


def _open(place: Environment, library: str, version: str) -> ExceptionOpen:
    return ExceptionOpen(
        f"Somebody asks to let {library} {version} into {place.name} already.",
        todo="Wait for the answer of IT operations.",
    )


def _ends_in_time(until: date | None) -> None:
    today = timezone.localdate()
    if until is None:
        wrong = "is missing; an exception has an end"
    elif until < today:
        wrong = "is past"
    elif until > today + LONGEST:
        wrong = f"must be {(today + LONGEST).isoformat()} at the latest"
    else:
        return
    raise Invalid("An exception ends on a day within a year.", fields={"until": wrong})


def _fits(texts: dict[str, str]) -> None:
    longest = {name: SHORT.get(name, LONGEST_TEXT) for name in texts}
    long = {
        name: f"is longer than {longest[name]} characters" for name, text in texts.items() if len(text) > longest[name]
    }
    if long:
        raise Invalid("This is too long.", fields=long)


def _record(action: str, actor: Actor, found: ImportException, data: dict[str, Any], reason: str = "") -> None:
    told = {"exception": str(found.pk), "library": found.library, "version": found.version, **data}
    record(action, actor=actor, on=found, chain=f"environment:{found.environment_id}", data=told, reason=reason)
