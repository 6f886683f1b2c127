"""Findings: what came in the way of an approval after it was given."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from handoff.models.handoffs import Handoff


class Finding(models.Model):
    """A drift: differences that block now and did not when the report was signed. It is closed, never changed."""

    class Severity(models.TextChoices):
        LOW = "low", "low"
        MEDIUM = "medium", "medium"
        HIGH = "high", "high"

    class Closing(models.TextChoices):
        RESOLVED = "resolved", "resolved"
        ACCEPTED = "accepted", "accepted"
        REPLACED = "replaced", "replaced"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    handoff = models.ForeignKey(Handoff, models.PROTECT, related_name="findings")
    items = models.JSONField(help_text="Key of each difference that came in the way, and a sentence.")
    severity = models.CharField(max_length=6, choices=Severity)
    suspends = models.BooleanField(help_text="Whether the policy suspends the approval until this is closed.")
    raised_at = models.DateTimeField(db_default=Now(), editable=False)
    due_at = models.DateTimeField(help_text="When somebody should have answered for it.")
    closed_at = models.DateTimeField(null=True)
    closing = models.CharField(max_length=8, choices=Closing, blank=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", help_text="Empty: a worker."
    )
    comment = models.TextField(blank=True)

    class Meta:
        ordering = ["-raised_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["handoff"], condition=Q(closed_at=None), name="finding_one_open_per_handoff"
            ),
            models.CheckConstraint(condition=~Q(items={}), name="finding_of_something"),
            models.CheckConstraint(
                condition=Q(closed_at=None, closing="", closed_by=None)
                | Q(closed_at__isnull=False, closing__in=["resolved", "replaced"], closed_by=None)
                | Q(closed_at__isnull=False, closing="accepted", closed_by__isnull=False) & ~Q(comment=""),
                name="finding_closed_with_a_cause",
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="only_closing",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(exclude=["closed_at", "closing", "closed_by", "comment"]),
            ),
            pgtrigger.Protect(
                name="closed_once", operation=pgtrigger.Update, condition=pgtrigger.Q(old__closed_at__isnull=False)
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return "; ".join(self.items.values())
