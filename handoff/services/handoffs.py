"""Draft, offer and withdraw handoffs."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from audit.actors import Actor, Person, ServiceAccount, Worker
from audit.acts import act
from audit.trail import record
from handoff.access import lock_handoff, require_role
from handoff.asking import ask
from handoff.classifying import tell_kind
from handoff.connections import pinned
from handoff.errors import Hidden, NotReady, OpenAlready, StaleView, WrongState
from handoff.inheritance import inherit_findings
from handoff.models import Handoff
from handoff.moves import chain_of, move
from handoff.readiness import Offer, offer_of
from handoff.rules.bindings import read_bindings
from handoff.rules.policies import digest_of, parse
from handoff.states import OPEN, UNDER_OFFER, State
from models_registry.access import environments_visible_to, models_visible_to, roles_on
from models_registry.errors import Forbidden
from models_registry.models import Environment, ModelVersion, RegisteredModel
from models_registry.roles import Role
from models_registry.states import VersionState


@act
def draft(
    *,
    actor: Person | ServiceAccount,
    model: str,
    version: int,
    source: str,
    target: str,
    note: str = "",
    bindings: Mapping[str, Any] | None = None,
) -> Handoff:
    """Start a handoff of a nominated version from a source to a target, named by their short names.

    Raises Hidden for what the actor may not know of, Forbidden without the data scientist's role on the model,
    WrongState for a version that is not nominated, and OpenAlready when the same offer is open.
    """
    registered = models_visible_to(actor.user).filter(slug=model).first()
    if registered is None:
        raise Hidden("There is no such model.")
    RegisteredModel.objects.select_for_update().get(pk=registered.pk)
    if Role.DATA_SCIENTIST not in roles_on(actor.user, model=registered):
        raise Forbidden("Only a data scientist of this model may offer it.", code="role_not_held")
    candidate = ModelVersion.objects.filter(model=registered, number=version).first()
    if candidate is None:
        raise Hidden(f"{registered.name} has no version {version}.")
    if candidate.state != VersionState.NOMINATED:
        raise WrongState(
            "Only a nominated version can be handed over.",
            code="version_not_nominated",
            todo="Nominate the version first; that seals it.",
        )
    places = {e.slug: e for e in Environment.objects.filter(slug__in=[source, target])}
    _check_places(actor, places, source, target)
    registered.destinations.add(places[target])
    planned = pinned(read_bindings(bindings or {}), places[target])
    handoff = _create(registered, candidate, places[source], places[target], actor, note, planned)
    record(
        "handoff.drafted",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={"version": candidate.number, "digest": candidate.digest, "source": source, "target": target},
    )
    return handoff


def _check_places(actor: Person | ServiceAccount, places: Mapping[str, Environment], source: str, target: str) -> None:
    visible = set(environments_visible_to(actor.user).values_list("slug", flat=True))
    for field, slug in (("source", source), ("target", target)):
        if slug not in places or slug not in visible:
            raise Hidden("There is no such environment.", fields={field: f"There is no environment {slug}."})
    if source == target:
        raise NotReady("A handoff goes from one environment to another.", fields={"target": "is also the source"})
    if places[target].kind == Environment.Kind.CREATION:
        raise NotReady("A creation environment receives no handoffs.", fields={"target": "is a creation environment"})


def _create(
    model: RegisteredModel,
    version: ModelVersion,
    source: Environment,
    target: Environment,
    actor: Person | ServiceAccount,
    note: str,
    bindings: dict[str, Any],
) -> Handoff:
    last = Handoff.objects.filter(model=model).aggregate(last=Max("number"))["last"] or 0
    try:
        with transaction.atomic():
            return Handoff.objects.create(
                model=model,
                number=last + 1,
                version=version,
                source=source,
                target=target,
                note=note,
                bindings=bindings,
                drafted_by=actor.user,
            )
    except IntegrityError as error:
        if "handoff_one_open_per_version_and_target" not in str(error):
            raise
        raise OpenAlready(
            f"Version {version.number} is already offered to {target.name}.",
            todo="Go on with the open handoff, or withdraw it first.",
        ) from error


@act
def change(
    *,
    actor: Person | ServiceAccount,
    handoff_id: str,
    note: str | None = None,
    bindings: Mapping[str, Any] | None = None,
    revision: int | None = None,
) -> Handoff:
    """Change the note or the planned bindings of a draft. Raises WrongState once it is offered."""
    handoff, known = lock_handoff(actor, handoff_id)
    require_role(actor, known, Role.DATA_SCIENTIST, "change the draft")
    if handoff.state != State.DRAFT:
        raise WrongState("An offered handoff does not change; withdraw it and draft a new one.")
    if revision is not None and revision != handoff.revision:
        raise StaleView("The draft changed after you opened it.", todo="Read it again, then repeat your change.")
    if note is not None:
        handoff.note = note
    if bindings is not None:
        handoff.bindings = pinned(read_bindings(bindings), handoff.target)
    handoff.revision += 1
    handoff.save(update_fields=["note", "bindings", "revision"])
    record(
        "handoff.bindings_changed",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={"note": handoff.note, "bindings": handoff.bindings},
    )
    return handoff


@act
def offer(*, actor: Person | ServiceAccount, handoff_id: str) -> Handoff:
    """Offer a draft: freeze the policy and the difference report in it, and open the review.

    Where its output schema is not that of what is live, the owners of consumers that this concerns are asked, too.

    Raises NotReady whose fields list everything that is missing and who must supply it.
    """
    handoff, known = lock_handoff(actor, handoff_id)
    require_role(actor, known, Role.DATA_SCIENTIST, "offer a handoff")
    if handoff.state != State.DRAFT:
        raise WrongState(f"A handoff that is {State(handoff.state).label} cannot be offered.")
    handoff.bindings = pinned(handoff.bindings, handoff.target)  # as the streams are now; this is what is signed
    offered = offer_of(handoff, known)
    if offered.missing or offered.policy is None:
        raise NotReady(
            "The handoff is not ready to be offered: " + "; ".join(offered.missing.values()),
            todo="Supply what is listed, then offer again.",
            fields=offered.missing,
        )
    _freeze(handoff, offered, offered.policy, actor)
    ask(handoff, known, actor=actor, questions=offered.questions)
    inherit_findings(handoff, actor=actor)
    record(
        "handoff.offered",
        actor=actor,
        on=handoff,
        chain=chain_of(handoff),
        data={
            "digest": handoff.version.digest,
            "policy": " + ".join(f"{one.policy.slug} r{one.number}" for one in offered.revisions),
            "policy_digest": handoff.policy_digest,
            "report_digest": handoff.report_digest,
        },
    )
    tell_kind(handoff, actor=actor)
    move(handoff, State.IN_REVIEW, actor=actor)
    return handoff


def _freeze(handoff: Handoff, offered: Offer, policy: dict[str, Any], actor: Person | ServiceAccount) -> None:
    handoff.policy_revision = offered.revisions[0]
    handoff.policy, handoff.policy_digest = policy, digest_of(policy)
    handoff.report, handoff.report_digest = offered.report, offered.report_digest
    handoff.offered_by, handoff.offered_at = actor.user, timezone.now()
    handoff.expires_at = handoff.offered_at + timedelta(days=parse(policy).expires_after_days)
    # One statement with the move, so that no reader sees an offer without its policy.
    handoff.save(
        update_fields=[
            "bindings",
            "policy_revision",
            "policy",
            "policy_digest",
            "report",
            "report_digest",
            "offered_by",
            "offered_at",
            "expires_at",
        ]
    )


@act
def withdraw(*, actor: Person | ServiceAccount, handoff_id: str, reason: str) -> Handoff:
    """Take an offer back before it is deployed. Raises WrongState afterwards."""
    handoff, known = lock_handoff(actor, handoff_id)
    require_role(actor, known, Role.DATA_SCIENTIST, "withdraw a handoff")
    if handoff.state not in OPEN or handoff.state in (State.DEPLOYING, State.CONFIRMING):
        raise WrongState(f"A handoff that is {State(handoff.state).label} cannot be withdrawn.")
    if not reason.strip():
        raise NotReady("Say why the handoff is withdrawn.", fields={"reason": "is empty"})
    _cancel_jobs(handoff, actor)
    record("handoff.withdrawn", actor=actor, on=handoff, chain=chain_of(handoff), reason=reason)
    move(handoff, State.WITHDRAWN, actor=actor, because=reason)
    return handoff


@act
def expire(*, actor: Worker, handoff_id: str) -> Handoff | None:
    """End an offer whose time ran out: silence never approves. Returns None if there was nothing to end."""
    handoff = Handoff.objects.select_for_update(of=("self",)).filter(pk=handoff_id).first()
    if (
        handoff is None
        or handoff.state not in UNDER_OFFER[:3]
        or (handoff.expires_at or timezone.now()) > timezone.now()
    ):
        return None
    _cancel_jobs(handoff, actor)
    record("handoff.expired", actor=actor, on=handoff, chain=chain_of(handoff))
    move(handoff, State.EXPIRED, actor=actor, because="nobody finished it in time")
    return handoff


def _cancel_jobs(handoff: Handoff, actor: Actor) -> None:
    handoff.jobs.filter(state__in=["queued", "running"]).update(state="cancelled", ended_at=timezone.now())
