"""Raise a finding when a target drifts or when somebody has found something, and close it with what settles it."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from audit.actors import Actor, Person, Worker
from audit.acts import act
from audit.models import Account
from audit.trail import record
from handoff.access import lock_handoff, require_role
from handoff.closing import close_finding, may_close, must_be_open, must_be_person, proof_of
from handoff.errors import Hidden, Invalid, WrongState
from handoff.facts import Known, rules_of
from handoff.models import Finding, Handoff
from handoff.moves import chain_of
from handoff.readiness import report_of, unanswered
from handoff.rules.findings import SEVERITIES, due_within
from handoff.states import UNDER_OFFER, State
from models_registry.access import environments_answered_for, roles_on
from models_registry.models import Environment
from models_registry.roles import Role

ANSWERED_WITHIN = timedelta(days=7)
LATEST = timedelta(days=731)
LONGEST = {"title": 300, "details": 5000, "comment": 5000}


def watched() -> QuerySet[Handoff]:
    """Return the handoffs whose approval a change of their target can touch: those under offer, and the live ones."""
    return Handoff.objects.filter(state__in=[*UNDER_OFFER, State.LIVE]).order_by("pk")


def look(*, actor: Worker, handoff_id: UUID | str) -> Finding | None:
    """Compare a watched handoff with its target as it is now; return the finding that was raised, if one was.

    What was accepted for a live version stays accepted, in the very words. Most looks find nothing new, and lock
    nothing.
    """
    handoff = watched().select_related("model", "version").filter(pk=handoff_id).first()
    if handoff is None or unanswered(handoff) == _standing(handoff):
        return None
    return _judge(actor=actor, handoff_id=handoff_id)


@act
def _judge(*, actor: Worker, handoff_id: UUID | str) -> Finding | None:
    handoff = Handoff.objects.select_for_update(of=("self",)).select_related("model", "version").get(pk=handoff_id)
    found, standing = unanswered(handoff), _standing(handoff)
    if found == standing:
        return None
    if standing:
        close_finding(
            _drifts(handoff).get(), Finding.Closing.REPLACED if found else Finding.Closing.RESOLVED, actor=actor
        )
    return _raise(handoff, found, actor=actor) if found else None


@act
def accept(*, actor: Person, handoff_id: UUID | str, finding_id: UUID | str, comment: str) -> Finding:
    """Answer for a drift of a live version's environment: it goes on as it is. IT operations may, with a reason.

    Before a version is live there is nothing to accept: the sign-offs cover the report, so the target is put right, or
    the version offered anew. Raises Hidden, WrongRole, WrongState or Invalid.
    """
    handoff, known = lock_handoff(actor, handoff_id)
    finding = _of(handoff, finding_id)
    require_role(actor, known, Role.IT_OPERATIONS, "accept a finding")
    must_be_open(finding)
    _of_no_approval(finding)
    if finding.kind != Finding.Kind.DRIFT:
        raise WrongState(
            "Only a drift is accepted as it is.",
            code="finding_needs_evidence",
            todo="Close it with a file, a link or an answer that shows that it is settled.",
        )
    if handoff.state != State.LIVE:
        raise WrongState(
            "What came in the way before a version is live is not accepted; the sign-offs cover another report.",
            code="finding_blocks",
            todo="Put the target right, or withdraw the handoff and offer it anew.",
        )
    if not comment.strip():
        raise Invalid("Say why it may go on.", fields={"comment": "is empty"})
    return close_finding(finding, Finding.Closing.ACCEPTED, actor=actor, comment=comment.strip())


@act
def raise_finding(
    *,
    actor: Person,
    handoff_id: UUID | str,
    title: str,
    severity: str,
    owner: str,
    details: str = "",
    due: date | None = None,
    blocks: bool = False,
) -> Finding:
    """Put an issue on record, with somebody on this handoff who owns it. While one that blocks is open, no gate opens.

    Without `due` it is wanted as soon as its severity asks. Whoever holds a role on a handoff under offer or on a live
    model may. Raises Hidden, Forbidden, WrongState or Invalid.
    """
    must_be_person(actor, "raise a finding")
    handoff, known = lock_handoff(actor, handoff_id)
    if handoff.state not in (*UNDER_OFFER, State.LIVE):
        raise WrongState(f"A handoff that is {State(handoff.state).label} takes no findings.")
    title, details = _fits("title", title), _fits("details", details)
    if not title:
        raise Invalid("Say in a sentence what was found.", fields={"title": "is empty"})
    if severity not in SEVERITIES:
        raise Invalid("Say how severe it is.", fields={"severity": f"must be one of {', '.join(SEVERITIES)}"})
    person = _owner(known, owner)
    finding = Finding.objects.create(
        handoff=handoff,
        kind=Finding.Kind.ISSUE,
        items={"issue": title},
        details=details,
        severity=severity,
        suspends=blocks,
        another_closes=rules_of(handoff).findings.another_closes,
        raised_by=actor.user,
        owner=person,
        due_at=_due(due, severity),
    )
    _recorded(finding, handoff, actor=actor, told={"owner": person.mark, "due": finding.due_at.isoformat()})
    return finding


@act
def close(
    *, actor: Person, handoff_id: UUID | str, finding_id: UUID | str, evidence: Mapping[str, Any], comment: str = ""
) -> Finding:
    """Close an issue with what shows that it is settled: a file, a link, or an answer that was given since.

    `evidence` is {"kind", "label", and "receipt", "link" or "item"}. A drift closes when the target is put right, or is
    accepted. Raises Hidden, Forbidden, Conflict where the policy wants somebody else, WrongState or Invalid.
    """
    must_be_person(actor, "close a finding")
    handoff, known = lock_handoff(actor, handoff_id)
    finding = _of(handoff, finding_id)
    must_be_open(finding)
    _of_no_approval(finding)
    may_close(actor, known.roles.get(actor.user_id, frozenset()), finding)
    if finding.kind == Finding.Kind.DRIFT:
        raise WrongState(
            "A drift is not closed by evidence.",
            code="finding_is_drift",
            todo="Put the target right; then it closes by itself. On a live version IT operations may accept it.",
        )
    proof = proof_of(actor, finding, evidence)
    return close_finding(finding, Finding.Closing.FIXED, actor=actor, comment=_fits("comment", comment), proof=proof)


@act
def close_in(
    *, actor: Person, environment: str, finding_id: UUID | str, evidence: Mapping[str, Any], comment: str = ""
) -> Finding:
    """Close a finding of an environment with a file or a link that shows that it is settled.

    Its owner may, and IT operations, validation, and risk and compliance of that environment. While the engine says
    otherwise the next looks raise it again. Raises Hidden, Forbidden, WrongState or Invalid.
    """
    must_be_person(actor, "close a finding")
    place = environments_answered_for(actor.user).filter(slug=environment).first()
    if place is None:
        raise Hidden("There is no such environment.")
    Environment.objects.select_for_update().get(pk=place.pk)
    finding = Finding.objects.select_related("owner", "environment").filter(pk=finding_id, environment=place).first()
    if finding is None:
        raise Hidden("There is no such finding.")
    must_be_open(finding)
    may_close(actor, frozenset(roles_on(actor.user, environment=place)), finding)
    proof = proof_of(actor, finding, evidence)
    return close_finding(finding, Finding.Closing.FIXED, actor=actor, comment=_fits("comment", comment), proof=proof)


def _of(handoff: Handoff, finding_id: UUID | str) -> Finding:
    finding = Finding.objects.select_related("owner").filter(pk=finding_id, handoff=handoff).first()
    if finding is None:
        raise Hidden("There is no such finding.")
    finding.handoff = handoff
    return finding


def _of_no_approval(finding: Finding) -> None:
    if finding.kind == Finding.Kind.APPROVAL:
        raise WrongState(
            "An approval that does not stand any more is neither accepted nor closed by evidence.",
            code="approval_missing",
            todo="Somebody who holds the role signs again, or the condition is met.",
        )
    if finding.kind == Finding.Kind.BREAK_GLASS:
        raise WrongState(
            "What was deployed by break-glass is signed, and not closed by evidence.",
            code="approval_missing",
            todo="Those whose signatures are missing sign; then it closes by itself.",
        )
    if finding.kind == Finding.Kind.REATTESTATION:
        raise WrongState(
            "What is to be approved anew is neither accepted nor closed by evidence.",
            code="approval_missing",
            todo="Those who are asked sign anew; then it closes by itself.",
        )
    if finding.kind == Finding.Kind.INVARIANT:
        raise WrongState(
            "That something breaks what always holds is neither accepted nor closed by evidence.",
            code="invariant_broken",
            todo="Whoever runs the site looks into it; the finding closes by itself at the check after it is mended.",
        )


def _fits(field: str, text: str) -> str:
    text = text.strip()
    if len(text) > LONGEST[field]:
        raise Invalid(f"The {field} is too long.", fields={field: f"has more than {LONGEST[field]} characters"})
    return text


def _owner(known: Known, username: str) -> Account:
    owner = Account.objects.filter(username=username, kind=Account.Kind.PERSON, is_active=True).first()
    if owner is None or not known.sees(owner.pk):
        raise Invalid(
            "A finding is owned by somebody who holds a role on this handoff.",
            todo="Name a person by their user name.",
            fields={"owner": "is nobody who holds a role here"},
        )
    return owner


def _due(due: date | None, severity: str) -> datetime:
    """Return the end of the day by which it is wanted. Raises Invalid for a day that has gone, or is years ahead."""
    today = timezone.localdate()
    due = due or today + timedelta(days=due_within(severity))
    if not today <= due <= today + LATEST:
        raise Invalid("Name a day from today on, within two years.", fields={"due": "is not within two years"})
    return timezone.make_aware(datetime.combine(due, time(23, 59, 59)))


def _standing(handoff: Handoff) -> dict[str, str]:
    return dict(_drifts(handoff).values_list("items", flat=True).first() or {})


def _drifts(handoff: Handoff) -> QuerySet[Finding]:
    return Finding.objects.filter(handoff=handoff, closed_at=None, kind=Finding.Kind.DRIFT)


def _raise(handoff: Handoff, items: Mapping[str, str], *, actor: Actor) -> Finding:
    rules = rules_of(handoff)
    severities = {item.severity for item in report_of(handoff, rules) if item.key in items}
    worst = next((one for one in ("high", "medium", "low") if one in severities), "high")  # high: it is gone
    suspends = rules.drift == "suspend"
    finding = Finding.objects.create(
        handoff=handoff,
        items=dict(items),
        severity=worst,
        suspends=suspends,
        due_at=timezone.now() + ANSWERED_WITHIN,
    )
    _recorded(finding, handoff, actor=actor, told={"differences": dict(items)})
    return finding


def _recorded(finding: Finding, handoff: Handoff, *, actor: Actor, told: Mapping[str, Any]) -> None:
    """Record a new finding of a handoff. One that blocks suspends what was approved."""
    live = handoff.state == State.LIVE or finding.kind == Finding.Kind.DRIFT
    record(
        "handoff.suspended" if finding.suspends and live else "finding.raised",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={"finding": str(finding.pk), "severity": finding.severity, **told},
        reason=str(finding),
    )
