"""Contract replays: whether the same records come out of the creation source and out of the production source."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from handoff.models.handoffs import Handoff
from handoff.models.jobs import Job
from models_registry.models.versions import SHA256


class Replay(models.Model):
    """One replay: ordered once, carried out once by the target's engine, and never changed after that."""

    class Outcome(models.TextChoices):
        EQUAL = "equal", "equal"
        NOT_EQUAL = "not_equal", "not equal"
        FAILED = "failed", "could not compare"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    handoff = models.ForeignKey(Handoff, models.PROTECT, related_name="replays")
    number = models.PositiveIntegerField(help_text="Counts the replays of a handoff.")
    job = models.OneToOneField(Job, models.PROTECT, related_name="replay")
    version_digest = models.CharField(max_length=64)
    creation = models.JSONField(help_text="Environment, stream, digest and descriptor of the source in creation.")
    production = models.JSONField(help_text="The same of the source in production.")
    keys = models.JSONField(default=list, help_text="Fields that tell records apart; none: their order does.")
    tolerances = models.JSONField(default=dict, help_text="By field of the inputs: absolute and relative.")
    output_tolerances = models.JSONField(default=dict, help_text="By field of the outputs: absolute and relative.")
    ordered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    ordered_at = models.DateTimeField(db_default=Now(), editable=False)
    outcome = models.CharField(max_length=9, choices=Outcome, blank=True)
    report = models.JSONField(null=True, help_text="What the engine told, field by field.")
    error = models.TextField(blank=True, help_text="Why nothing could be compared.")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["handoff", "number"], name="replay_number_once"),
            models.CheckConstraint(condition=Q(version_digest__regex=SHA256), name="replay_of_a_digest"),
            models.CheckConstraint(
                condition=Q(outcome="", report=None, error="", ended_at=None)
                | Q(outcome__in=["equal", "not_equal"], report__isnull=False, error="", ended_at__isnull=False)
                | Q(outcome="failed", report=None, ended_at__isnull=False) & ~Q(error=""),
                name="replay_ended_with_an_outcome",
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="only_ending",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(exclude=["outcome", "report", "error", "ended_at"]),
            ),
            pgtrigger.Protect(
                name="ended_stays", operation=pgtrigger.Update, condition=pgtrigger.Q(old__ended_at__isnull=False)
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"replay {self.number}: {self.get_outcome_display() or 'under way'}"

    @property
    def compared(self) -> str:
        """Return both sources in words."""
        return f"{self.creation['stream']} of {self.creation['environment']} and {self.production['stream']}"
