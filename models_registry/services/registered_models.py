"""Register models, and change how they are described."""

from typing import Any

from django.db import IntegrityError, transaction

from audit.actors import Person, ServiceAccount
from audit.acts import act
from audit.errors import StaleView
from audit.trail import record
from models_registry.access import lock_model, permission_of
from models_registry.errors import Invalid, SlugTaken, WrongState
from models_registry.models import RegisteredModel, RegisteredModelUserGrant
from models_registry.roles import Role
from models_registry.states import VersionState

FREE = ("name", "purpose", "owner_team")


def chain_of(model: RegisteredModel) -> str:
    """Return the name of the chain that tells a model's story."""
    return f"model:{model.pk}"


@act
def register(
    *, actor: Person | ServiceAccount, slug: str, name: str, purpose: str, owner_team: str, risk_tier: str = "medium"
) -> RegisteredModel:
    """Register a model; whoever does becomes its data scientist, and nothing else."""
    if risk_tier not in RegisteredModel.RiskTier.values:
        raise Invalid("The risk tier is low, medium or high.", fields={"risk_tier": "must be low, medium or high"})
    empty = {
        k: "is empty" for k, v in {"name": name, "purpose": purpose, "owner_team": owner_team}.items() if not v.strip()
    }
    if empty:
        raise Invalid("Say what the model is, what it is for, and whose it is.", fields=empty)
    try:
        with transaction.atomic():
            model = RegisteredModel.objects.create(
                slug=slug,
                name=name,
                purpose=purpose,
                owner_team=owner_team,
                risk_tier=risk_tier,
                created_by=actor.user,
            )
    except IntegrityError as error:
        raise SlugTaken(f"The short name {slug} is in use.", fields={"slug": "is in use"}) from error
    hold = permission_of(Role.DATA_SCIENTIST, RegisteredModel)
    RegisteredModelUserGrant.objects.create(user=actor.user, permission=hold, content_object=model)
    record(
        "model.registered",
        actor=actor,
        on=model,
        chain=chain_of(model),
        data={"slug": slug, "name": name, "purpose": purpose, "owner_team": owner_team, "risk_tier": risk_tier},
    )
    return model


@act
def change(
    *, actor: Person | ServiceAccount, slug: str, revision: int | None = None, **changes: Any
) -> RegisteredModel:
    """Change a model's name, purpose or team; its risk tier only upwards, or while nothing was nominated."""
    model = lock_model(actor, slug, Role.DATA_SCIENTIST)
    if revision is not None and revision != model.revision:
        raise StaleView("The model changed after you read it.", todo="Read it again, then repeat your change.")
    odd = sorted(set(changes) - {*FREE, "risk_tier"})
    if odd:
        raise Invalid("This cannot change.", fields=dict.fromkeys(odd, "is fixed"))
    if "risk_tier" in changes:
        _check_tier(model, changes["risk_tier"])
    before = {field: getattr(model, field) for field in changes}
    for field, value in changes.items():
        setattr(model, field, value)
    model.revision += 1
    model.save(update_fields=[*changes, "revision"])
    record("model.changed", actor=actor, on=model, chain=chain_of(model), data={"before": before, "after": changes})
    return model


def _check_tier(model: RegisteredModel, tier: str) -> None:
    """Refuse to lower the tier of a model that has been nominated: a lighter policy would be a way round the other."""
    tiers = RegisteredModel.RiskTier.values
    if tier not in tiers:
        raise Invalid("The risk tier is low, medium or high.", fields={"risk_tier": "must be low, medium or high"})
    lower = tiers.index(tier) < tiers.index(model.risk_tier)
    if lower and model.versions.filter(state=VersionState.NOMINATED).exists():
        raise WrongState("The risk tier of a nominated model is not lowered.", code="tier_not_lowered")
