"""Publish what a role answers for and the RACI matrix, and acknowledge a duty."""

from django.db import IntegrityError, transaction
from django.db.models import Max

from audit.actors import Person
from audit.acts import act
from audit.errors import StaleView
from audit.trail import record
from models_registry.access import holds_anywhere
from models_registry.duties import current_duties
from models_registry.errors import DutyAcknowledged, Forbidden, Hidden, Invalid
from models_registry.models import DutyAcknowledgement, DutyRevision, RaciEntry, RaciRevision
from models_registry.roles import Role, digest_of_duty
from models_registry.rules.raci import LIMIT, read
from models_registry.rules.strict_yaml import plain_from

LONGEST = 5000
MOST_LINES = 30


@act
def publish(*, actor: Person, role: str, text: str, reason: str) -> DutyRevision:
    """Publish what a role answers for, one responsibility a line; whoever holds it must acknowledge it again.

    Only an administrator of the site may. Raises Forbidden or Invalid.
    """
    _administrator(actor, "what a role answers for")
    if role not in Role.values:
        raise Invalid("The role is not known.", fields={"role": "must be one of " + ", ".join(Role.values)})
    lines = [line.strip() for line in text.replace("\r\n", "\n").split("\n") if line.strip()]
    cleaned = "\n".join(lines)
    if not lines or len(cleaned) > LONGEST or len(lines) > MOST_LINES:
        raise Invalid(
            "Say what the role answers for.", fields={"text": f"must be 1 to {MOST_LINES} lines, {LONGEST} characters"}
        )
    reason = _reason(reason)
    digest = digest_of_duty(role, cleaned)
    if digest == current_duties()[Role(role)].digest:
        raise Invalid("This is the duty already.", code="duty_unchanged", fields={"text": "is the current text"})
    newest = DutyRevision.objects.filter(role=role).aggregate(last=Max("number"))["last"] or 0
    made = DutyRevision.objects.create(
        role=role, number=newest + 1, text=cleaned, digest=digest, reason=reason, published_by=actor.user
    )
    told = {"role": role, "number": made.number, "digest": digest}
    record("duty.published", actor=actor, on=made, chain="site", data=told, reason=reason)
    return made


@act
def acknowledge(*, actor: Person, role: str, seen: str) -> DutyAcknowledgement:
    """Take on what a role answers for, as it was shown: `seen` is the digest of the text.

    Only a person who holds the role on something may. Raises Hidden, StaleView, or DutyAcknowledged.
    """
    if role not in Role.values or not holds_anywhere(actor.user, Role(role)):
        raise Hidden("You hold no such role.")
    duty = current_duties()[Role(role)]
    if seen != duty.digest:
        raise StaleView("The duty changed after it was shown to you.", todo="Read it again, then acknowledge it.")
    try:
        with transaction.atomic():
            made = DutyAcknowledgement.objects.create(
                person=actor.user, role=role, number=duty.number, digest=duty.digest
            )
    except IntegrityError as error:
        raise DutyAcknowledged("You have acknowledged this already.") from error
    told = {"role": role, "number": duty.number, "digest": duty.digest}
    record("duty.acknowledged", actor=actor, on=made, chain="site", data=told)
    return made


@act
def publish_raci(*, actor: Person, source: str, reason: str) -> RaciRevision:
    """Publish the RACI matrix, as YAML. Only an administrator of the site may. Raises Forbidden or Invalid."""
    _administrator(actor, "the RACI matrix")
    reason = _reason(reason)
    if len(source) > LIMIT:
        raise Invalid("The matrix is longer than 64 KiB.", fields={"source": "is too long"})
    try:
        content = plain_from(source)
    except ValueError as error:
        raise Invalid(
            f"The matrix cannot be read: {error}", code="raci_invalid", fields={"source": str(error)}
        ) from error
    entries = read(content)
    newest = RaciRevision.objects.aggregate(last=Max("number"))["last"] or 0
    made = RaciRevision.objects.create(number=newest + 1, source=source, reason=reason, published_by=actor.user)
    RaciEntry.objects.bulk_create(
        RaciEntry(revision=made, activity=one.activity, kind=one.kind, role=one.role, letter=one.letter)
        for one in entries
    )
    record("raci.published", actor=actor, on=made, chain="site", data={"number": made.number}, reason=reason)
    return made


def _administrator(actor: Person, what: str) -> None:
    if not actor.user.is_staff:
        raise Forbidden(f"Only an administrator publishes {what}.", code="administrator_required")


def _reason(reason: str) -> str:
    if not reason.strip() or len(reason) > LONGEST:
        raise Invalid("Say what changed, and why.", fields={"reason": f"must be 1 to {LONGEST} characters"})
    return reason.strip()
