"""Record that two accounts are one natural person's, and void what that person should not have signed."""

from django.db import connection
from django.db.models import Q, QuerySet

from audit.actors import Person
from audit.acts import act
from audit.models import Account
from audit.models.accounts import SAME_PERSONS
from audit.trail import record
from handoff.amended import given
from handoff.errors import Forbidden, Invalid, WrongState
from handoff.facts import Known, known_of
from handoff.going_back import end_in_arrears
from handoff.models import Amendment, AmendmentSignOff, BreakGlass, Handoff, SignOff
from handoff.opening import open_if_met
from handoff.outcomes import end_amendment
from handoff.rules.amendments import signed_twice
from handoff.rules.duties import conflicts
from handoff.states import UNDER_OFFER, AmendmentState, BreakGlassState, State
from handoff.suspending import settle_approvals
from handoff.voiding import void


@act
def merge(*, actor: Person, account: str, same_as: str, reason: str) -> Account:
    """Record that an account belongs to the person behind another one, which stays or becomes their main account.

    From now on both count as one everywhere: for conflicts, distinct persons and seats. Sign-offs of what is under way
    or live that do not hold any more are voided, with the cause; behind a gate that has opened that is a finding. A
    proposed amendment that they signed twice ends, and what a break-glass deployed of which they are both halves is
    taken back at once. Only an administrator of the site may, and not about their own accounts. Raises Forbidden,
    Invalid or WrongState, also while one of them signs.
    """
    found, main = _person(actor, "account", account), _person(actor, "same_as", same_as)
    main = main.same_person or main
    if main.natural_person_id == found.natural_person_id:
        raise WrongState("They count as one person already.", code="merged_already")
    reason, touched = _reason(reason), list(_concerned(found, main).select_for_update())
    Account.objects.filter(same_person=found).update(same_person=main)
    Account.objects.filter(pk=found.pk).update(same_person=main)
    told = {"account": found.mark, "same_as": main.mark}
    _record("account.merged", actor, found, told, reason)
    cause = "two accounts are one person's"
    for handoff in touched:
        _void_what_fell(handoff, known_of(handoff), cause, actor)
        _end_what_fell(handoff, known_of(handoff), cause, actor)
        _take_back_what_fell(handoff, known_of(handoff), cause, actor)
    _nobody_signs_meanwhile(touched, found, main)
    found.refresh_from_db()
    return found


@act
def part(*, actor: Person, account: str, reason: str) -> Account:
    """Record that an account was merged by mistake. What was voided stays voided. Raises as merge does."""
    found = _person(actor, "account", account)
    if found.same_person_id is None:
        raise WrongState("This account was not merged.", code="not_merged")
    reason = _reason(reason)
    Account.objects.filter(pk=found.pk).update(same_person=None)
    told = {"account": found.mark, "other": found.same_person.mark if found.same_person else ""}
    _record("account.parted", actor, found, told, reason)
    found.refresh_from_db()
    return found


def _record(action: str, actor: Person, found: Account, data: dict[str, str], reason: str) -> None:
    chain = f"account:{found.pk}"
    record(action, actor=actor, on=chain, chain=chain, data=data, reason=reason)


def _person(actor: Person, place: str, username: str) -> Account:
    if not actor.user.is_staff:
        raise Forbidden("Only an administrator says whose accounts these are.", code="administrator_required")
    # Other rows may go on to refer to these accounts meanwhile, or a signature and this would wait for each other.
    rows = Account.objects.select_for_update(of=("self",), no_key=True).select_related("same_person")
    found = rows.filter(username=username, kind=Account.Kind.PERSON).first()
    if found is None:
        raise Invalid("There is no such person.", fields={place: "is not a person's account"})
    if found.natural_person_id == actor.user.natural_person_id:
        raise Forbidden(
            "Nobody decides whose their own accounts are.",
            code="self_grant",
            todo="Ask another administrator.",
        )
    return found


def _reason(reason: str) -> str:
    if not reason.strip() or len(reason) > 2000:
        raise Invalid("Say how this is known.", fields={"reason": "must be 1 to 2000 characters"})
    return reason.strip()


def _concerned(*people: Account) -> QuerySet[Handoff]:
    """Return the handoffs in which one of these people has signed what stands, or is behind a break-glass.

    Sign-offs of what is under way or live, and of proposed amendments. A break-glass that is asked for counts, too, for
    it may be confirmed at this moment.
    """
    accounts = Account.objects.filter(Q(pk__in=[one.pk for one in people]) | Q(same_person__in=people))
    mine = Q(signoffs__signer__in=accounts) | Q(signoffs__behalf_of__in=accounts)
    keys = Handoff.objects.filter(mine, signoffs__voided_at=None, state__in=(*UNDER_OFFER, State.LIVE)).values("pk")
    signed = AmendmentSignOff.objects.filter(Q(signer__in=accounts) | Q(behalf_of__in=accounts))
    open_ = signed.filter(amendment__state=AmendmentState.PROPOSED)
    live = Q(pk__in=open_.values("amendment__deployment__handoff"))
    asked = BreakGlass.objects.filter(state__in=[BreakGlassState.ASKED, BreakGlassState.CONFIRMED])
    behind = asked.filter(Q(asked_by__in=accounts) | Q(confirmed_by__in=accounts) | Q(behalf_of__in=accounts))
    return Handoff.objects.filter(Q(pk__in=keys) | live | Q(pk__in=behind.values("handoff"))).order_by("pk")


def _nobody_signs_meanwhile(touched: list[Handoff], *people: Account) -> None:
    """Wait for whoever signs at this moment, and refuse what that would leave unjudged. Raises WrongState.

    Taken last, so that whoever waits for it holds nothing that is needed here. Whoever signs afterwards is judged as
    merged. To lock what was signed meanwhile would be to wait for somebody who waits for this.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_xact_lock({SAME_PERSONS})")
    known = {handoff.pk for handoff in touched}
    if not known.issuperset(_concerned(*people).values_list("pk", flat=True)):
        raise WrongState("One of these people signs at this moment.", code="under_way", todo="Do it again.")


def _void_what_fell(handoff: Handoff, known: Known, cause: str, actor: Person) -> None:
    """Void the sign-offs of a locked handoff that this merging bars: by a conflict, or as one person's earlier one.

    Of one person only the last answer counts, also where they gave the earlier one with another account. Without it
    the gate under way may have nothing missing any more; then it opens. Behind a gate that has opened it is a finding.
    """
    chain = known.facts.chain
    seen: dict[str, frozenset[int]] = {}
    fell = []
    for signoff in reversed(known.facts.signoffs):
        people = chain.people(signoff.person, signoff.behalf)
        why = list(conflicts(chain, person=signoff.person, role=signoff.role, behalf=signoff.behalf))
        if people & seen.get(signoff.gate, frozenset()):
            why.append("answered anew at this gate")
        seen[signoff.gate] = seen.get(signoff.gate, frozenset()) | people
        if why:
            fell.append((signoff, why))
    for signoff, why in reversed(fell):
        void(handoff, signoff, f"{cause}, who {' and '.join(why)}", SignOff.Ending.MERGED, actor=actor)
    if fell:
        settle_approvals(handoff, known_of(handoff), actor=actor)
        open_if_met(handoff, known_of(handoff), actor=actor)


def _end_what_fell(handoff: Handoff, known: Known, cause: str, actor: Person) -> None:
    """End the proposed amendments of a locked handoff that this person has signed twice; their signatures stay."""
    for one in Amendment.objects.filter(pk__in=[one.key for one in known.amendments]).prefetch_related("signoffs"):
        if signed_twice(given(one), known.facts.chain):
            because = f"{cause}, who signed it twice; propose it anew"
            end_amendment(one, handoff, AmendmentState.EXPIRED, because, actor=actor)


def _take_back_what_fell(handoff: Handoff, known: Known, cause: str, actor: Person) -> None:
    """End the break-glass of a locked handoff which this person both asked for and confirmed, or may not confirm."""
    chain = known.facts.chain
    for row in handoff.break_glass.filter(state=BreakGlassState.CONFIRMED, confirmed_by__isnull=False):
        confirmer = int(row.confirmed_by_id or 0)
        both = chain.people(row.asked_by_id) & chain.people(confirmer, row.behalf_of_id)
        if both or conflicts(chain, person=confirmer, role=row.role, behalf=row.behalf_of_id):
            because = f"{cause}, who may not be behind both halves of the break-glass for {row.incident}"
            end_in_arrears(row, handoff, because, actor=actor, fallen=True)
