"""What could be offered: nominated versions, places to hand them to, and what would stand in the way."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Prefetch

from audit.models import Account
from handoff.facts import Known
from handoff.models import Handoff
from handoff.readiness import Offer, offer_of
from handoff.rules.duties import Chain
from handoff.rules.gates import Facts
from models_registry.access import environments_visible_to, holders, models_visible_to
from models_registry.models import Environment, ModelVersion, RegisteredModel
from models_registry.roles import DUTIES, Role
from models_registry.states import VersionState

NEWEST = 200


@dataclass(frozen=True, slots=True)
class Choices:
    """What a new handoff is made from."""

    versions: list[ModelVersion]
    sources: list[Environment]
    targets: list[Environment]


def choices_for(user: Account, model: str = "") -> Choices:
    """Return nominated versions that an account may read, newest first, and where from and to they can go."""
    models = models_visible_to(user)
    versions = ModelVersion.objects.filter(model__in=models, state=VersionState.NOMINATED).select_related("model")
    if model:
        versions = versions.filter(model__slug=model)
    places = list(environments_visible_to(user).select_related("organisation").order_by("name"))
    return Choices(
        versions=list(versions.order_by("model__name", "-number")[:NEWEST]),
        sources=sorted(places, key=lambda e: e.kind != Environment.Kind.CREATION),
        targets=sorted(
            (e for e in places if e.kind != Environment.Kind.CREATION),
            key=lambda e: e.kind != Environment.Kind.PRODUCTION,
        ),
    )


def preview(
    user: Account, *, version: ModelVersion, source: Environment, target: Environment, bindings: dict[str, Any]
) -> Offer:
    """Return what an offer of a version would freeze, and what stands in its way, before a draft is started."""
    found = (
        ModelVersion.objects.select_related("model", "created_by__responsible", "nominated_by__responsible")
        .prefetch_related(Prefetch("elements"), "elements__set_by__responsible")
        .get(pk=version.pk)
    )
    handoff = Handoff(model=found.model, version=found, source=source, target=target, bindings=bindings)
    return offer_of(handoff, _known(user, found, target))


def _known(user: Account, version: ModelVersion, target: Environment) -> Known:
    """Return the facts as they would be the moment this account had drafted the handoff."""
    acts: dict[int, dict[str, None]] = {}
    for account, sentence in (
        (version.created_by, "created this version"),
        (version.nominated_by, "nominated this version"),
        *((element.set_by, "supplied elements of this version") for element in version.elements.all()),
        (user, "offered this handoff"),
    ):
        if account is not None:
            acts.setdefault(account.natural_person_id, {})[sentence] = None
    chain = Chain({person: tuple(found) for person, found in acts.items()})
    held = _holders(version.model, target)
    facts = Facts(version=version.digest, parts={}, holders=held, chain=chain, tier=version.model.risk_tier)
    return Known(facts, {}, "")


def _holders(model: RegisteredModel, target: Environment) -> dict[str, dict[int, str]]:
    found: dict[str, dict[int, str]] = {}
    for role, duty in DUTIES.items():
        on = {"model": model} if duty.held_on == "model" else {"environment": target}
        people = {person.pk: person.printed_name for person in holders(Role(role), **on)}
        if people:
            found[str(role)] = people
    return found
