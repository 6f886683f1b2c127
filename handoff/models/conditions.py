"""Conditions of an approval: what must be done until when, the evidence that it was, and who accepted that."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from handoff.models.answers import APPEND_ONLY
from handoff.models.signoffs import SignOff


class Condition(models.Model):
    """One condition of one sign-off. It is part of what was signed, so it never changes."""

    signoff = models.ForeignKey(SignOff, models.PROTECT, related_name="conditions")
    number = models.PositiveSmallIntegerField()
    text = models.TextField()
    due_at = models.DateTimeField(help_text="From then on the approval does not count until it is accepted as met.")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")

    class Meta:
        ordering = ["signoff", "number"]
        constraints = [
            models.UniqueConstraint(fields=["signoff", "number"], name="condition_number_once"),
            models.CheckConstraint(condition=~Q(text=""), name="condition_says_what"),
        ]
        triggers = [APPEND_ONLY]

    def __str__(self) -> str:
        return self.text


class ConditionStep(models.Model):
    """Evidence that a condition is met, or the answer to it. Steps are added and never changed; the last one counts."""

    class Kind(models.TextChoices):
        REPORTED = "reported", "reported as met"
        REJECTED = "rejected", "not accepted"
        ACCEPTED = "accepted", "accepted as met"

    condition = models.ForeignKey(Condition, models.PROTECT, related_name="steps")
    kind = models.CharField(max_length=8, choices=Kind)
    comment = models.TextField()
    link = models.URLField(max_length=500, blank=True, help_text="The evidence.")
    taken_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    taken_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["condition"], condition=Q(kind="accepted"), name="condition_accepted_once"),
            models.CheckConstraint(
                condition=Q(kind="reported") & ~Q(link="") | Q(kind__in=["rejected", "accepted"], link=""),
                name="condition_met_by_evidence",
            ),
            models.CheckConstraint(condition=~Q(comment=""), name="condition_step_says_why"),
        ]
        triggers = [APPEND_ONLY]

    def __str__(self) -> str:
        return f"{self.kind}: {self.comment}"
