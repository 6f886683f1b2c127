"""Reconciliations: what each engine said last that it serves, and how that differs from what is approved."""

import pgtrigger
from django.db import models
from django.db.models import Q

from models_registry.models import Environment


class Reconciliation(models.Model):
    """The last look at the engine of one environment. It is written anew with each look; changes are in the trail."""

    environment = models.OneToOneField(
        Environment, models.PROTECT, primary_key=True, related_name="reconciliation", editable=False
    )
    asked_at = models.DateTimeField(help_text="When its engine was asked last.")
    answered_at = models.DateTimeField(null=True, help_text="When its engine answered last.")
    silent_since = models.DateTimeField(null=True, help_text="Since when its engine does not answer.")
    error = models.CharField(max_length=500, blank=True)
    told = models.JSONField(default=dict, help_text="What it said last: what it serves, and which runs go.")
    differences = models.JSONField(default=list, help_text="How that differs, and how often each was seen in a row.")

    class Meta:
        ordering = ["environment__name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(silent_since=None, error="", answered_at__isnull=False)
                | Q(silent_since__isnull=False) & ~Q(error=""),
                name="reconciliation_answered_or_says_why",
            )
        ]
        triggers = [
            pgtrigger.Protect(
                name="no_older_look",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(new__asked_at__lt=pgtrigger.F("old__asked_at")),
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.environment_id}: {len(self.differences)} differences"
