"""Register models, and change how they are described."""

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.actors import Person, ServiceAccount
from audit.acts import act
from audit.errors import StaleView
from audit.trail import record
from engine.thresholds import Thresholds
from models_registry.access import lock_model, permission_of
from models_registry.errors import Invalid, SlugTaken, WrongState
from models_registry.models import Element, RegisteredModel, RegisteredModelUserGrant
from models_registry.roles import Role
from models_registry.rules.model_types import contradicted
from models_registry.states import VersionState

FREE = ("name", "purpose", "owner_team")


def chain_of(model: RegisteredModel) -> str:
    """Return the name of the chain that tells a model's story."""
    return f"model:{model.pk}"


@act
def register(
    *,
    actor: Person | ServiceAccount,
    slug: str,
    name: str,
    purpose: str,
    owner_team: str,
    risk_tier: str = "medium",
    model_type: str = "",
) -> RegisteredModel:
    """Register a model; whoever does becomes its data scientist, and nothing else. Its type may be said later."""
    if risk_tier not in RegisteredModel.RiskTier.values:
        raise Invalid("The risk tier is low, medium or high.", fields={"risk_tier": "must be low, medium or high"})
    _check_known_type(model_type)
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
                model_type=model_type,
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
        data={
            "slug": slug,
            "name": name,
            "purpose": purpose,
            "owner_team": owner_team,
            "risk_tier": risk_tier,
            "model_type": model_type,
        },
    )
    return model


@act
def change(
    *, actor: Person | ServiceAccount, slug: str, revision: int | None = None, **changes: Any
) -> RegisteredModel:
    """Change a model's name, purpose or team; its risk tier only upwards, or while nothing was nominated.

    Its type can be said at any time, and be said otherwise while nothing was nominated. Raises Invalid, WrongState,
    StaleView.
    """
    model = lock_model(actor, slug, Role.DATA_SCIENTIST)
    if revision is not None and revision != model.revision:
        raise StaleView("The model changed after you read it.", todo="Read it again, then repeat your change.")
    odd = sorted(set(changes) - {*FREE, "risk_tier", "model_type"})
    if odd:
        raise Invalid("This cannot change.", fields=dict.fromkeys(odd, "is fixed"))
    if "risk_tier" in changes:
        _check_tier(model, changes["risk_tier"])
    if "model_type" in changes:
        _check_type(model, changes["model_type"])
    before = {field: getattr(model, field) for field in changes}
    for field, value in changes.items():
        setattr(model, field, value)
    if changes.get("risk_tier", model.risk_tier) != before.get("risk_tier", model.risk_tier):
        model.risk_tier_since = timezone.now()
    model.revision += 1
    model.save(update_fields=[*changes, "risk_tier_since", "revision"])
    record("model.changed", actor=actor, on=model, chain=chain_of(model), data={"before": before, "after": changes})
    return model


def _check_tier(model: RegisteredModel, tier: str) -> None:
    """Refuse to lower the tier of a model that has been nominated: a lighter policy would be a way round the other."""
    tiers = RegisteredModel.RiskTier.values
    if tier not in tiers:
        raise Invalid("The risk tier is low, medium or high.", fields={"risk_tier": "must be low, medium or high"})
    lower = tiers.index(tier) < tiers.index(model.risk_tier)
    if lower and _nominated(model):
        raise WrongState("The risk tier of a nominated model is not lowered.", code="tier_not_lowered")


def _check_type(model: RegisteredModel, model_type: str) -> None:
    """Refuse another type once a version was nominated: its thresholds and its policy are for this one."""
    _check_known_type(model_type)
    if model.model_type and model_type != model.model_type and _nominated(model):
        raise WrongState(
            "The type of a nominated model does not change.",
            code="type_fixed",
            todo="Register another model for what answers otherwise.",
        )
    sealed = Element.objects.filter(
        version__model=model, version__state=VersionState.NOMINATED, name="thresholds"
    ).values_list("version__number", "text")
    for number, text in sealed:
        metrics = [metric.name for metric in Thresholds.parse(text or "{}").metrics]
        if why := contradicted(model_type, metrics):
            raise Invalid(
                f"Version {number} is not of that type: {why}.",
                code="type_contradicted",
                todo="Choose the type that its thresholds measure.",
                fields={"model_type": f"version {number}: {why}"},
            )


def _check_known_type(model_type: str) -> None:
    if model_type and model_type not in RegisteredModel.ModelType.values:
        words = "must be " + ", ".join(RegisteredModel.ModelType.values) + ", or left empty"
        raise Invalid("The type of the model is not known.", fields={"model_type": words})


def _nominated(model: RegisteredModel) -> bool:
    return model.versions.filter(state=VersionState.NOMINATED).exists()
