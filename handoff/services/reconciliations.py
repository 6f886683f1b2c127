"""Keep what engines say that they serve, and raise findings where that is not what was approved.

Nothing is repaired here: people deploy again, or roll back.
"""

from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from audit.actors import Actor
from audit.acts import act
from audit.trail import record
from handoff.executors.reconciliations import Question
from handoff.expected import accounted_elsewhere, expected, wanted_in
from handoff.models import Finding, Handoff, Reconciliation
from handoff.plans import EngineAnswer
from handoff.raising import Wrong, reconcile, standing
from handoff.rules.reconciliations import Difference, compare, counted, lasting, read, silent, subject_of
from handoff.states import State
from models_registry.models import Environment

KIND = Finding.Kind.SERVED


def questions() -> list[Question]:
    """Return what to ask: every engine of an environment, about the models that it should serve."""
    models: dict[Any, list[str]] = {}
    for one in expected():
        models.setdefault(one.environment_id, []).append(one.model.slug)
    places = Environment.objects.exclude(engine="").order_by("slug")
    return [
        Question(str(one.pk), str(settings.ENGINE_URLS.get(one.engine, "")), tuple(models.get(one.pk, ())))
        for one in places
    ]


@act
def keep(
    *, actor: Actor, environment_id: UUID | str, answer: EngineAnswer, asked_at: datetime
) -> Reconciliation | None:
    """Keep what an engine answered, or that it did not; None if a later look was kept already.

    What began or ended since the look before is an event in the environment's chain.
    """
    environment = Environment.objects.select_for_update().get(pk=environment_id)
    before = Reconciliation.objects.filter(environment=environment).first()
    if before is not None and before.asked_at > asked_at:
        return None
    found = _differences(environment, answer, before)
    kept, _ = Reconciliation.objects.update_or_create(
        environment=environment,
        defaults={
            "asked_at": asked_at,
            "answered_at": (before.answered_at if before else None) if answer.error else timezone.now(),
            "silent_since": ((before.silent_since if before else None) or asked_at) if answer.error else None,
            "error": answer.error[:500],
            "told": (before.told if before else {}) if answer.error else answer.as_json(),
            "differences": [asdict(one) for one in found],
        },
    )
    _record(environment, before, found, actor)
    return kept


def watched() -> QuerySet[Handoff]:
    """Return the handoffs about which a lasting difference is, or was when it was found."""
    told = Reconciliation.objects.exclude(differences=[]).values_list("differences", flat=True)
    about = {one.handoff for rows in told for one in map(read, rows) if one.handoff}
    open_ = Finding.objects.filter(kind=KIND, closed_at=None).values("handoff")
    return Handoff.objects.filter(Q(pk__in=about) | Q(pk__in=open_)).order_by("pk")


def places_watched() -> QuerySet[Environment]:
    """Return the environments in which something lasting belongs to no handoff, or did when it was found."""
    kept = Reconciliation.objects.exclude(differences=[]).values_list("environment", "differences")
    about = {pk for pk, rows in kept for one in map(read, rows) if not one.handoff}
    open_ = Finding.objects.filter(kind=KIND, closed_at=None).values("environment")
    return Environment.objects.filter(Q(pk__in=about) | Q(pk__in=open_)).order_by("pk")


def look_at_place(*, actor: Actor, environment_id: UUID | str) -> list[Finding]:
    """Bring the findings of an environment itself in step with the last look at its engine; return those raised.

    These are of what belongs to no handoff: a strange model, or a run of one. Most looks lock nothing.
    """
    place = places_watched().select_related("owner").filter(pk=environment_id).first()
    if place is None or _wrong(place).keys() == standing(place, KIND).keys():
        return []
    return _settle_place(actor=actor, environment_id=environment_id)


@act
def _settle_place(*, actor: Actor, environment_id: UUID | str) -> list[Finding]:
    locked = Environment.objects.select_for_update(of=("self",)).select_related("owner")
    place = locked.get(pk=environment_id)
    return reconcile(place, KIND, _wrong(place), actor=actor)


def look(*, actor: Actor, handoff_id: UUID | str) -> list[Finding]:
    """Bring the findings of a watched handoff in step with the last look at its engine; return those raised.

    What is gone is resolved. Most looks find nothing new, and lock nothing.
    """
    handoff = watched().select_related("target__owner").filter(pk=handoff_id).first()
    if handoff is None or _wrong(handoff).keys() == standing(handoff, KIND).keys():
        return []
    return _settle(actor=actor, handoff_id=handoff_id)


@act
def _settle(*, actor: Actor, handoff_id: UUID | str) -> list[Finding]:
    locked = Handoff.objects.select_for_update(of=("self",)).select_related("target__owner")
    handoff = locked.get(pk=handoff_id)
    return reconcile(handoff, KIND, _wrong(handoff), actor=actor)


def _wrong(on: Handoff | Environment) -> dict[str, Wrong]:
    """Return the lasting differences about a handoff, or about no handoff, with whoever answers for the environment."""
    place, about = (on.target, str(on.pk)) if isinstance(on, Handoff) else (on, "")
    kept = Reconciliation.objects.filter(environment=place).first()
    owner = place.owner if place.owner.is_active else None
    since = kept.silent_since if kept else None
    found = {}
    for one in lasting(map(read, kept.differences)) if kept else ():
        if one.handoff == about:
            sentence = f"The engine of {place.name} {one.words}."
            if one.code == "silent" and since is not None:
                sentence = f"The engine of {place.name} is not reachable since {_at(since)}."
            told = {"environment": place.slug, "model": one.model, "difference": one.code}
            found[subject_of(one)] = Wrong(sentence, one.severity, owner, False, told)
    return found


def _differences(environment: Environment, answer: EngineAnswer, before: Reconciliation | None) -> list[Difference]:
    wanted = wanted_in(environment)
    found = silent(wanted, answer.error) if answer.error else compare(wanted, answer, accounted_elsewhere(environment))
    found = [one if one.handoff else replace(one, handoff=_handoff_about(environment, one.model)) for one in found]
    known = {one.deployment for one in wanted}
    rows = [
        row for row in (before.differences if before else []) if not row["deployment"] or row["deployment"] in known
    ]
    return counted(found, rows, answered=not answer.error)


def _handoff_about(environment: Environment, model: str) -> str:
    """Return the handoff at which people hear of a stranger: the newest one of the model, or of what is live beside."""
    here = Handoff.objects.filter(target=environment).exclude(state=State.DRAFT).order_by("-offered_at", "pk")
    found = here.filter(model__slug=model).first() or here.filter(state=State.LIVE).first()
    return str(found.pk) if found else ""


def _record(environment: Environment, before: Reconciliation | None, found: Iterable[Difference], actor: Actor) -> None:
    old = {one.about: one for one in map(read, before.differences if before else [])}
    new = {one.about: one for one in found}
    for action, rows in (
        ("engine.differs", [new[key] for key in sorted(new.keys() - old.keys())]),
        ("engine.agrees", [old[key] for key in sorted(old.keys() - new.keys())]),
    ):
        if rows:
            told = [{"model": one.model, "difference": one.code, "words": one.words} for one in rows]
            chain, data = f"environment:{environment.pk}", {"differences": told}
            record(action, actor=actor, on=environment, chain=chain, data=data)


def _at(instant: datetime) -> str:
    return f"{instant:%-d %b %Y, %H:%M:%S} UTC"
