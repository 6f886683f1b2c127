"""Consumers whose owners are asked because the outputs that feed them change."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from handoff.models.handoffs import Handoff
from models_registry.models import Consumer, ModelVersion

OF_THE_TARGET = """
    IF NOT EXISTS (SELECT FROM models_registry_consumer c JOIN models_registry_stream s ON s.id = c.stream_id
        JOIN handoff_handoff h ON h.id = NEW.handoff_id WHERE c.id = NEW.consumer_id AND s.environment_id = h.target_id)
    THEN
        RAISE EXCEPTION 'Consumers of the target are asked.' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
"""


class AskedConsumer(models.Model):
    """What one handoff changes for one consumer, as its owner was asked. The last row of a consumer counts.

    A row without changes says that its owner is asked no more.
    """

    class Compatibility(models.TextChoices):
        IDENTICAL = "identical", "identical"
        WIDENING = "widening", "widening"
        NARROWING = "narrowing", "narrowing"
        BREAKING = "breaking", "breaking"

    handoff = models.ForeignKey(Handoff, models.PROTECT, related_name="asked_consumers")
    consumer = models.ForeignKey(Consumer, models.PROTECT, related_name="+")
    number = models.PositiveIntegerField(help_text="Counts how often this handoff asked about the consumer.")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="+",
        help_text="The owner then; the one of now is asked.",
    )
    fields = models.JSONField(help_text="The names of the fields that it used then; none means all.")
    live = models.ForeignKey(ModelVersion, models.PROTECT, related_name="+", help_text="The version that fed it then.")
    compatibility = models.CharField(max_length=9, choices=Compatibility)
    changes = models.JSONField(help_text="What changes for it: field, kind and reason.")
    asked_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["handoff", "consumer", "number"]
        constraints = [
            models.UniqueConstraint(fields=["handoff", "consumer", "number"], name="asked_consumer_once"),
            models.CheckConstraint(
                condition=Q(compatibility__in=["identical", "widening", "narrowing", "breaking"]),
                name="asked_consumer_compatibility_known",
            ),
            models.CheckConstraint(
                condition=Q(compatibility="identical", changes=[]) | ~Q(compatibility="identical") & ~Q(changes=[]),
                name="asked_consumer_about_a_change",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="of_the_target", operation=pgtrigger.Insert, when=pgtrigger.Before, func=OF_THE_TARGET
            ),
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.consumer} in {self.handoff}"
