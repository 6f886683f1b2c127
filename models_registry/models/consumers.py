"""Consumers: what the business feeds from a sink, and who answers for it."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from models_registry.models.streams import Stream


class Consumer(models.Model):
    """An application, report or dashboard that a sink feeds."""

    class Kind(models.TextChoices):
        APPLICATION = "application", "application"
        REPORT = "report", "report"
        DASHBOARD = "dashboard", "dashboard"

    class Criticality(models.TextChoices):
        LOW = "low", "low criticality"
        MEDIUM = "medium", "medium criticality"
        HIGH = "high", "high criticality"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    stream = models.ForeignKey(Stream, models.PROTECT, related_name="consumers")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=11, choices=Kind)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    purpose = models.TextField()
    fields = models.JSONField(default=list, help_text="The names of the fields that it uses; none listed means all.")
    criticality = models.CharField(max_length=6, choices=Criticality)
    effect = models.TextField(help_text="What happens to the business when it gets wrong scores, or none.")
    revision = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    retired_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["stream", "name"], condition=Q(retired_at=None), name="consumer_name_once"),
            models.CheckConstraint(
                condition=Q(kind__in=["application", "report", "dashboard"]), name="consumer_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(criticality__in=["low", "medium", "high"]), name="consumer_criticality_known"
            ),
        ]
        triggers = [
            pgtrigger.ReadOnly(name="fixed", fields=["stream"]),
            pgtrigger.Protect(
                name="retired_stays", operation=pgtrigger.Update, condition=pgtrigger.Q(old__retired_at__isnull=False)
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return self.name
