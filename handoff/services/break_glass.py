"""Break-glass: one person asks, another confirms, it is deployed, and ends with all signatures or on the way back."""

from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from audit.actors import Person, Worker
from audit.acts import act
from handoff.access import lock_handoff
from handoff.confirmations import Proof, use_up
from handoff.emergencies import (
    end_break_glass,
    raise_break_glass,
    record_break_glass,
    regularise,
    stepped_over,
    unsigned,
)
from handoff.errors import (
    BreakGlassNotAllowed,
    Conflict,
    Forbidden,
    GateShut,
    Hidden,
    Invalid,
    StaleView,
    WrongRole,
    WrongState,
)
from handoff.facts import Known, known_of, rules_of
from handoff.going_back import come_back, end_in_arrears, lock_what_gives_way, may_come_back, take_back
from handoff.models import BreakGlass, Handoff
from handoff.opening import open_in_emergency
from handoff.readiness import looked_again
from handoff.rules.break_glass import ROLLBACK, BreakGlassRules, role_for, same_people, scope_of
from handoff.rules.duties import conflicts
from handoff.rules.gate_facts import EmergencyFact
from handoff.rules.gates import GateResult, evaluate, waits_for_its_time
from handoff.rules.scopes import digest
from handoff.rules.seats import title_of
from handoff.rules.statements import KIND, OF_BREAK_GLASS, stated
from handoff.statements import signer_of, told_for
from handoff.states import GATE_OF, OPEN, BreakGlassState, State

B = BreakGlassState
ASKED_IN = (State.IN_REVIEW, State.READY, State.SUPERSEDED)
LONGEST = {"reason": 5000, "incident": 200}


@act
def ask(*, actor: Person, handoff_id: UUID | str, reason: str, incident: str) -> BreakGlass:
    """Ask to deploy before all have signed, for a reason and an incident. Nothing happens before another confirms.

    In review, or once the tests have passed, where nothing but signatures is missing; and for the version that was live
    before, whose approval has run out, in order to go back to it. Raises Hidden, Forbidden,
    BreakGlassNotAllowed, WrongState, GateShut or Invalid.
    """
    _is_person(actor, "ask for break-glass")
    handoff, known = lock_handoff(actor, handoff_id)
    rules = _allowed(handoff)
    told = {"reason": reason.strip(), "incident": incident.strip()}
    wrong = {
        field: "is empty" if not text else f"has more than {LONGEST[field]} characters"
        for field, text in told.items()
        if not text or len(text) > LONGEST[field]
    }
    if wrong:
        raise Invalid("Say why nobody can wait for the signatures, and name the incident.", fields=wrong)
    gate = _gate(handoff)
    if gate == ROLLBACK:
        may_come_back(handoff, known)
    else:
        _lets_through(handoff, gate, looked_again(handoff, known))
    confirm_by = timezone.now() + timedelta(minutes=rules.confirm_minutes)
    try:
        with transaction.atomic():
            row = BreakGlass.objects.create(
                handoff=handoff, gate=gate, asked_by=actor.user, confirm_by=confirm_by, **told
            )
    except IntegrityError as error:
        if "break_glass_one_open" not in str(error):
            raise
        raise WrongState(
            "A break-glass is asked for already, or in force.",
            code="break_glass_open",
            todo="Have it confirmed, or see how it ends.",
        ) from error
    data = {"gate": gate, "confirm_by": confirm_by.isoformat()}
    record_break_glass(row, handoff, "asked", actor=actor, reason=row.reason, data=data)
    return row


@act
def withdraw(*, actor: Person, handoff_id: UUID | str, break_glass_id: UUID | str) -> BreakGlass:
    """Take a request back before it is confirmed, as who asked. Raises Hidden, Forbidden or WrongState."""
    handoff, _ = lock_handoff(actor, handoff_id)
    row = _of(handoff, break_glass_id)
    if actor.user.natural_person_id != row.asked_by.natural_person_id:
        raise Forbidden("Only who asked takes a request back.", code="not_the_asker")
    _still_asked(row)
    end_break_glass(row, handoff, B.WITHDRAWN, "withdrawn by who asked", actor=actor)
    return row


@act
def confirm(
    *, actor: Person, handoff_id: UUID | str, break_glass_id: UUID | str, seen: str, reauthentication: str
) -> BreakGlass:
    """Confirm what somebody else asked for: the gate opens without the missing signatures, and a deadline is set.

    `seen` is the digest of what was shown, `reauthentication` the key of an unused confirmation of identity. Everything
    but signatures must hold, as at any gate; the workers judge it again. A finding names what is missing until when.
    What was superseded is ordered back instead.
    Raises Hidden, Forbidden, WrongRole, Conflict, WrongState, StaleView, GateShut or NotConfirmed.
    """
    _is_person(actor, "confirm a break-glass")
    lock_what_gives_way(handoff_id, break_glass_id)
    handoff, known = lock_handoff(actor, handoff_id)
    row = _of(handoff, break_glass_id)
    rules = rules_of(handoff).break_glass if handoff.policy else BreakGlassRules()
    role = _role(actor, known, rules, row)
    _still_asked(row)
    if known.facts.now is None or known.facts.now >= row.confirm_by:
        raise WrongState(
            "Nobody confirmed it in time.", code="break_glass_lapsed", todo="Ask anew, if it is still needed."
        )
    gate = _gate(handoff)
    missing = stepped_over(handoff, known)
    if gate == ROLLBACK:
        live = may_come_back(handoff, known)
    else:
        _lets_through(handoff, gate, known)
    scope = scope_of(gate, known.facts.parts, row.asked(), missing, rules)
    if digest(scope) != seen:
        raise StaleView(
            "What you are about to confirm changed after it was shown to you.",
            todo="Read it again, then confirm what is there now.",
        )
    _write(row, known, role, missing, scope, rules, use_up(reauthentication, actor), actor)
    if gate == ROLLBACK:
        come_back(live, f"{row.incident}: {row.reason}", actor=actor)
    else:
        _open(handoff, actor)
    raise_break_glass(row, handoff, unsigned(row, handoff, known_of(handoff)), actor=actor)
    return row


def watched() -> list[UUID]:
    """Return the break-glass that the clock may end, or whose way back is to be followed."""
    late = Q(state=B.ASKED, confirm_by__lte=timezone.now())
    rows = BreakGlass.objects.filter(late | Q(state__in=[B.CONFIRMED, B.OVERDUE])).order_by("asked_at")
    return list(rows.values_list("pk", flat=True))


@act
def look(*, actor: Worker, break_glass_id: UUID | str) -> BreakGlass:
    """Let a request lapse; end a break-glass well or with its handoff; at the deadline order the way back, until it is.

    While the work of an earlier order is under way, nothing is ordered. Signatures that come after the deadline change
    nothing any more.
    """
    handoff_id = BreakGlass.objects.values_list("handoff_id", flat=True).get(pk=break_glass_id)
    handoff = Handoff.objects.select_for_update(of=("self",)).select_related("model", "version").get(pk=handoff_id)
    row = _of(handoff, break_glass_id)
    known = known_of(handoff)
    now = known.facts.now or timezone.now()
    if row.state == B.ASKED and now >= row.confirm_by:
        end_break_glass(row, handoff, B.LAPSED, "nobody confirmed it in time", actor=actor)
    elif row.state in (B.CONFIRMED, B.OVERDUE) and _is_over(row, handoff):
        because = f"the handoff is {State(handoff.state).label}"
        end_break_glass(row, handoff, B.ENDED, because, actor=actor)
    elif row.state == B.CONFIRMED and not regularise(handoff, known, actor=actor):
        _at_the_deadline(row, handoff, known, now, actor)
    elif row.state == B.OVERDUE:
        take_back(handoff, _over(row, handoff, known), actor=actor)
    return row


def _at_the_deadline(row: BreakGlass, handoff: Handoff, known: Known, now: datetime, actor: Worker) -> None:
    if row.until is None or now < row.until or handoff.state == State.DEPLOYING:
        return  # a worker that deploys judges the gate first, and finds it shut; else what it made live is taken back
    end_in_arrears(row, handoff, _over(row, handoff, known), actor=actor)


def _over(row: BreakGlass, handoff: Handoff, known: Known) -> str:
    if row.fallen:
        return f"both halves of the break-glass for {row.incident} were one person's"
    missing = "; ".join(unsigned(row, handoff, known)) or "signatures came too late"
    return f"the time of the break-glass for {row.incident} is over, and not all had signed: {missing}"


def _is_over(row: BreakGlass, handoff: Handoff) -> bool:
    """Tell whether a handoff has ended under its break-glass; one that is to come back may do so until its time."""
    if handoff.state in (*OPEN, State.LIVE):
        return False
    came_back = handoff.deployments.filter(ordered_at__gte=row.confirmed_at, live_at__isnull=False)
    return row.gate != ROLLBACK or handoff.state != State.SUPERSEDED or came_back.exists()


def _open(handoff: Handoff, actor: Person) -> None:
    result = open_in_emergency(handoff, actor=actor)
    if not (result.open or waits_for_its_time(result)):
        raise _shut(result)


def _is_person(actor: Person, act: str) -> None:
    if not isinstance(actor, Person) or not actor.user.is_person:
        raise Forbidden(f"Only a natural person may {act}.", code="person_required")


def _allowed(handoff: Handoff) -> BreakGlassRules:
    rules = rules_of(handoff).break_glass if handoff.policy else BreakGlassRules()
    if not rules.roles:
        raise BreakGlassNotAllowed(
            "The policy of this handoff knows no break-glass.",
            todo="Have the missing signatures given. An administrator may publish a policy with break_glass for later.",
        )
    return rules


def _of(handoff: Handoff, break_glass_id: UUID | str) -> BreakGlass:
    rows = BreakGlass.objects.select_for_update(of=("self",)).select_related("asked_by")
    row = rows.filter(handoff=handoff, pk=break_glass_id).first()
    if row is None:
        raise Hidden("There is no such break-glass.")
    return row


def _still_asked(row: BreakGlass) -> None:
    if row.state != B.ASKED:
        raise WrongState(
            f"The break-glass is {row.get_state_display()}; it can neither be confirmed nor withdrawn.",
            code="break_glass_over",
            todo="See on the handoff's page where it stands.",
        )


def _gate(handoff: Handoff) -> str:
    state = State(handoff.state)
    if state == State.SUPERSEDED:
        return ROLLBACK
    if state not in ASKED_IN:
        testing = "Wait until the tests have ended, then ask." if state == State.TESTING else "See where it stands."
        raise WrongState(
            f"The glass cannot be broken for a handoff that is {state.label}; only in review, when "
            "it is ready, or to go back to it.",
            todo=testing,
        )
    if handoff.expires_at is not None and handoff.expires_at <= timezone.now():
        raise WrongState(
            "The time of this offer has run out.", code="offer_expired", todo="Draft a new handoff of the same version."
        )
    return GATE_OF[state]


def _lets_through(handoff: Handoff, gate: str, known: Known) -> None:
    """Let a handoff pass that signatures alone hold up. Raises WrongState where nothing is missing, else GateShut."""
    rules = rules_of(handoff)
    if evaluate(gate, rules, known.facts).open:
        raise WrongState(
            f"Nothing is missing at the {gate} gate.",
            code="nothing_missing",
            todo="IT operations can deploy it without break-glass.",
        )
    now = known.facts.now or timezone.now()
    supposed = EmergencyFact("", (now + timedelta(hours=1)).isoformat(), "", "", "")
    result = evaluate(gate, rules, replace(known.facts, emergency=supposed))
    if not (result.open or waits_for_its_time(result)):
        raise _shut(result)


def _shut(result: GateResult) -> GateShut:
    told = "; ".join(f"{one.title}: {one.why}" for one in result.missing) or "somebody refused or asks for changes"
    who = ", ".join(dict.fromkeys(name for one in result.missing for name in one.who))
    return GateShut(
        f"More than signatures is missing, and break-glass steps over nothing else: {told}.",
        code="more_than_signatures",
        todo=f"Those named can clear it: {who}." if who else "Have it answered first.",
        fields={one.key: one.why for one in result.missing},
    )


def _role(actor: Person, known: Known, rules: BreakGlassRules, row: BreakGlass) -> str:
    """Return the role in which the actor confirms. Raises WrongRole or Conflict."""
    held = [role for role in rules.roles if known.holds(actor.user_id, role)]
    if not rules.roles:
        raise WrongRole("The policy of this handoff names no role that confirms a break-glass.")
    if not held:
        words = " or ".join(title_of(role) for role in rules.roles)
        names = [name for role in rules.roles for name in known.facts.holders.get(role, {}).values()]
        who = ", ".join(dict.fromkeys(names)) or "nobody yet"
        raise WrongRole(f"Only {words} may confirm a break-glass here.", todo=f"Those who hold the role: {who}.")
    if same_people(known.facts, rules.roles, row.asked_by_id, actor.user_id):
        raise Conflict(
            "You asked for this break-glass yourself, or one of you stands in for the other; it takes two people.",
            code="own_break_glass",
            todo="Somebody else who holds the role confirms it.",
        )
    free = role_for(known.facts, rules, actor.user_id)
    if not free:
        found = conflicts(known.facts.chain, person=actor.user_id, role=held[0])
        raise Conflict(
            "You may not confirm here: you " + ", and ".join(found) + ".",
            todo="Somebody else who holds the role must. Rank makes no exception.",
        )
    return free


def _write(
    row: BreakGlass,
    known: Known,
    role: str,
    missing: list[dict[str, str]],
    scope: dict[str, str],
    rules: BreakGlassRules,
    proof: Proof,
    actor: Person,
) -> None:
    """Write the confirmation with its statement, signed by the site's key."""
    signer = signer_of(actor, role, known)
    until = proof.at + timedelta(hours=rules.lasts_hours)
    body = stated(
        row.asked()
        | {
            "handoff": str(row.handoff_id),
            "gate": row.gate,
            "role": role,
            "missing": missing,
            "scope": scope,
            "person": signer.person,
            "confirmed": {"method": proof.method, "id": proof.reauthentication},
            "confirmed_at": proof.at.isoformat(),
            "until": until.isoformat(),
            "previous_event": known.head,
            **signer.standing_in,
        },
        version=known.facts.version,
        kind=OF_BREAK_GLASS,
    )
    row.state, row.role, row.confirmed_by, row.behalf_of_id, row.printed_name = (
        B.CONFIRMED,
        role,
        actor.user,
        signer.behalf,
        signer.person["printed_name"],
    )
    row.confirmed_at, row.until, row.missing, row.scope = proof.at, until, missing, scope
    row.statement, row.statement_digest = body.decode(), sha256(body).hexdigest()
    row.key_id, row.signature = proof.key.id, proof.key.sign(KIND, body)
    row.reauthentication_id = proof.reauthentication
    row.save(
        update_fields=[
            "state", "role", "confirmed_by", "behalf_of", "printed_name", "confirmed_at", "until", "missing", "scope",
            "statement", "statement_digest", "key", "signature", "reauthentication",
        ]
    )  # fmt: skip
    row.printed_name = signer.printed_name  # as it is read
    data = {
        "role": role,
        "asked_by": row.asked_by.mark,
        "until": until.isoformat(),
        "missing": missing,
        "statement": row.statement_digest,
        "key": row.key_id,
        **told_for(row.statement),
    }
    record_break_glass(row, row.handoff, "confirmed", actor=actor, reason=row.reason, data=data)
