"""Ask the owners of consumers for whom a handoff changes something, and ask anew where that is not what it was."""

from collections.abc import Sequence

from audit.actors import Actor
from audit.trail import record
from handoff.asked import Question, questions_of
from handoff.facts import Known, known_of
from handoff.models import AskedConsumer, Handoff, SignOff
from handoff.moves import chain_of
from handoff.rules.consumers import is_owner
from handoff.rules.scopes import in_words, touched
from handoff.states import UNDER_OFFER
from handoff.voiding import void


def ask(handoff: Handoff, known: Known, *, actor: Actor, questions: Sequence[Question] | None = None) -> bool:
    """Write what a locked handoff asks the owners of consumers, where the last rows do not say so; tell whether any.

    A consumer for which nothing changes any more gets a row that says so: what was live is not live now, or it does not
    use the field any more.
    """
    questions = questions_of(handoff) if questions is None else questions
    if not questions and not known.facts.consumers:
        return False
    last: dict[object, AskedConsumer] = {}
    for row in handoff.asked_consumers.select_related("consumer__stream", "consumer__owner").order_by("number"):
        last[row.consumer_id] = row
    wanted = {one.consumer.pk: one for one in questions}
    rows = [_row(handoff, one, last.get(key)) for key, one in wanted.items() if not one.is_asked(last.get(key))]
    over = [row for key, row in last.items() if key not in wanted and row.changes and row.consumer.retired_at is None]
    rows += [_over(handoff, row) for row in over]
    for row in rows:
        row.save(force_insert=True)
        _record(row, actor)
    return bool(rows)


def asked_anew(handoff: Handoff, *, actor: Actor) -> Known:
    """Ask again where something moved since, void what owners signed over something else, and return the facts."""
    known = known_of(handoff)
    if ask(handoff, known, actor=actor):
        known = known_of(handoff)
    voided = False
    for signoff in known.facts.signoffs:
        theirs = {name: value for name, value in signoff.scope.items() if is_owner(name)}
        changed = touched(theirs, known.facts.parts)
        if changed:
            because = f"{in_words(changed)} changed after it was given"
            void(handoff, signoff, because, SignOff.Ending.CHANGED, actor=actor)
            voided = True
    return known_of(handoff) if voided else known


def ask_those_open(live: Handoff, *, actor: Actor) -> None:
    """Ask anew in what is offered to take the place of a live version, after what that feeds has changed.

    One that somebody else has locked is passed over, for they may wait for this one. Its gate asks again itself.
    """
    others = Handoff.objects.filter(model=live.model_id, target=live.target_id, state__in=UNDER_OFFER)
    for other in others.select_for_update(of=("self",), skip_locked=True).exclude(pk=live.pk).order_by("pk"):
        asked_anew(other, actor=actor)


def _row(handoff: Handoff, question: Question, before: AskedConsumer | None) -> AskedConsumer:
    return AskedConsumer(
        handoff=handoff,
        consumer=question.consumer,
        number=(before.number if before else 0) + 1,
        owner=question.consumer.owner,
        fields=question.consumer.fields,
        live=question.live,
        compatibility=question.compatibility,
        changes=question.changes,
    )


def _over(handoff: Handoff, before: AskedConsumer) -> AskedConsumer:
    return AskedConsumer(
        handoff=handoff,
        consumer=before.consumer,
        number=before.number + 1,
        owner=before.consumer.owner,
        fields=before.consumer.fields,
        live=before.live,
        compatibility=AskedConsumer.Compatibility.IDENTICAL,
        changes=[],
    )


def _record(row: AskedConsumer, actor: Actor) -> None:
    record(
        "consumer.asked" if row.changes else "consumer.not_asked",
        actor=actor,
        on=row,
        chain=chain_of(row.handoff),
        data={
            "consumer": row.consumer.name,
            "stream": row.consumer.stream.slug,
            "owner": row.owner.mark,
            "compatibility": row.compatibility,
            "changes": row.changes,
        },
    )
