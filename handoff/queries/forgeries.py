"""What was written past the services under a handoff's gates, so that a worker does not act on it."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Min

from audit.models import SigningKey
from handoff.models import Amendment, AmendmentSignOff, Handoff, SignOff
from handoff.queries.signatures import GIVEN, OTHERS, Verification, verify_others, verify_signoffs
from handoff.rules.consumers import spoken
from handoff.rules.policies import digest_of
from handoff.rules.scopes import digest

# A sign-off that the handoff's own chain tells of, and that is not there: a refusal, perhaps.
GONE = """
    SELECT e.subject FROM audit_auditevent e
     WHERE e.chain = %s AND e.action = ANY(%s)
       AND NOT EXISTS (SELECT FROM handoff_signoff s WHERE 'signoff:' || s.id = e.subject)
     ORDER BY e.id
"""

OF_AMENDMENTS = next(kind for kind in OTHERS if kind.table is AmendmentSignOff)


def forged_in(handoff: Handoff) -> list[str]:
    """Return in words what does not prove itself of all that a handoff's gates rest on; nothing where all of it does.

    Each signature is held against its statement, the site's key and the trail (`verify` does so for the whole site);
    the frozen policy and report against the digests that were signed.
    """
    return [*_frozen(handoff), *_signed(handoff)]


def forged_for(amendment: Amendment) -> list[str]:
    """Return in words what does not prove itself of an amendment's signatures; nothing where all of them do."""
    found = Verification()
    rows = AmendmentSignOff.objects.filter(amendment=amendment).select_related("key", "reauthentication")
    verify_others(list(rows.order_by("pk")), found, OF_AMENDMENTS)
    unsigned = [f"the signature as {spoken(one.role)} has no key" for one in rows if one.key_id is None]
    return [*map(str, found.wrong), *unsigned]


def _frozen(handoff: Handoff) -> Iterator[str]:
    if handoff.policy and digest_of(handoff.policy) != handoff.policy_digest:
        yield "the policy is not the one whose digest was signed"
    if handoff.report and digest(handoff.report) != handoff.report_digest:
        yield "the difference report is not the one whose digest was signed"


def _signed(handoff: Handoff) -> list[str]:
    found = Verification()
    rows = SignOff.objects.filter(handoff=handoff).select_related("key", "reauthentication")
    verify_signoffs(list(rows.prefetch_related("conditions__owner").order_by("pk")), found, _since())
    for kind in OTHERS:
        if "handoff_id" in kind.places:
            signed = kind.table._default_manager.filter(handoff=handoff).exclude(key=None)
            verify_others(list(signed.select_related("key", "reauthentication")), found, kind)
    with connection.cursor() as cursor:
        cursor.execute(GONE, [f"handoff:{handoff.pk}", list(GIVEN)])
        gone = [f"{subject}: the trail tells of it, and it is gone" for (subject,) in cursor]
    return [*map(str, found.wrong), *gone]


def _since() -> datetime | None:
    """Return since when the site has a key, so that nothing is signed without one.

    The first signature of all is a moment older than the record of its key, which is written with it.
    """
    began = SigningKey.objects.aggregate(began=Min("registered_at"))["began"]
    return began and began - timedelta(minutes=1)
