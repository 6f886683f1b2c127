"""Registered models: the business assets."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from models_registry.models.environments import Environment
from models_registry.roles import ROLE_PERMISSIONS

TIER_ONLY_RISES = """
    IF array_position(ARRAY['low', 'medium', 'high'], NEW.risk_tier::text)
       < array_position(ARRAY['low', 'medium', 'high'], OLD.risk_tier::text)
       AND EXISTS (SELECT FROM models_registry_modelversion v WHERE v.model_id = NEW.id AND v.state = 'nominated') THEN
        RAISE EXCEPTION 'the risk tier of a nominated model only rises'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'model_tier_only_rises';
    END IF;
    RETURN NEW;
"""
TYPE_FIXED = """
    IF OLD.model_type <> '' AND NEW.model_type <> OLD.model_type
       AND EXISTS (SELECT FROM models_registry_modelversion v WHERE v.model_id = NEW.id AND v.state = 'nominated') THEN
        RAISE EXCEPTION 'the type of a nominated model does not change'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'model_type_fixed';
    END IF;
    RETURN NEW;
"""


class RegisteredModel(models.Model):
    """The business asset: what it is for, whose it is, of which type, and how risky."""

    class RiskTier(models.TextChoices):
        LOW = "low", "low"
        MEDIUM = "medium", "medium"
        HIGH = "high", "high"

    class ModelType(models.TextChoices):
        """What a model answers with."""

        CLASSIFICATION = "classification", "classification"
        REGRESSION = "regression", "regression"
        FORECASTING = "forecasting", "forecasting"
        RANKING = "ranking", "ranking"
        CLUSTERING = "clustering", "clustering"
        ANOMALY_DETECTION = "anomaly_detection", "anomaly detection"
        OTHER = "other", "other"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(unique=True, help_text="The short name in addresses and on the engine.")
    name = models.CharField(max_length=120)
    purpose = models.TextField(help_text="What decision or work it supports, and for whom.")
    owner_team = models.CharField(max_length=120)
    risk_tier = models.CharField(max_length=6, choices=RiskTier, default=RiskTier.MEDIUM)
    risk_tier_since = models.DateTimeField(db_default=Now(), editable=False)
    model_type = models.CharField(
        "type",
        max_length=20,
        choices=ModelType,
        blank=True,
        default="",
        help_text="What it answers with; policies may speak for some types only. Empty: nobody has said.",
    )
    destinations = models.ManyToManyField(
        Environment,
        blank=True,
        related_name="expected_models",
        help_text="Environments it is handed to; people with a role there may read it.",
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    revision = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering = ["name"]
        permissions = ROLE_PERMISSIONS
        constraints = [
            models.CheckConstraint(condition=Q(risk_tier__in=["low", "medium", "high"]), name="model_risk_tier_known"),
            models.CheckConstraint(
                condition=Q(
                    model_type__in=[
                        "",
                        "classification",
                        "regression",
                        "forecasting",
                        "ranking",
                        "clustering",
                        "anomaly_detection",
                        "other",
                    ]
                ),
                name="model_type_known",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="tier_only_rises",
                operation=pgtrigger.UpdateOf("risk_tier"),
                when=pgtrigger.Before,
                func=TIER_ONLY_RISES,
            ),
            pgtrigger.Trigger(
                name="type_fixed",
                operation=pgtrigger.UpdateOf("model_type"),
                when=pgtrigger.Before,
                func=TYPE_FIXED,
            ),
        ]

    def __str__(self) -> str:
        return self.name
