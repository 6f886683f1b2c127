"""Runs of batches: what caused each, how far it came, and what it counted."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from handoff.models.deployments import Deployment
from handoff.models.jobs import Job
from handoff.states import RUN_MOVES, RunState, pairs

UNDER_WAY = (RunState.ORDERED, RunState.RUNNING)
ENDED = [state for state in RunState.values if state not in UNDER_WAY]


class Run(models.Model):
    """One run of a batch deployment. Engines know it by its key, and its records by the deployment's order and number.

    Once it has ended it never changes.
    """

    class Cause(models.TextChoices):
        WENT_LIVE = "went_live", "went live"
        SCHEDULE = "schedule", "schedule"
        DEMAND = "demand", "on demand"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    deployment = models.ForeignKey(Deployment, models.PROTECT, related_name="runs")
    number = models.PositiveIntegerField(help_text="Counts the runs of a deployment.")
    cause = models.CharField(max_length=9, choices=Cause)
    due_at = models.DateTimeField(null=True, help_text="When the schedule wanted it.")
    missed = models.PositiveIntegerField(default=0, help_text="Earlier due times that passed during an outage.")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    reason = models.TextField(blank=True, help_text="Why somebody asked for it.")
    ordered_at = models.DateTimeField(db_default=Now(), editable=False)
    state = models.CharField(max_length=8, choices=RunState, default=RunState.ORDERED)
    job = models.OneToOneField(
        Job, models.PROTECT, null=True, related_name="run", help_text="The newest order to start it."
    )
    stop_job = models.OneToOneField(
        Job, models.PROTECT, null=True, related_name="stopped_run", help_text="The newest order to stop it."
    )
    order = models.BigIntegerField(null=True, help_text="The fencing number of the newest order.")
    again = models.PositiveIntegerField(
        default=0, help_text="How often it was ordered again, after the engine was out of reach or had lost it."
    )
    stopped_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    counts = models.JSONField(default=dict, help_text="Read, scored, rejected by cause, delivered and dead by sink.")
    why = models.TextField(blank=True, help_text="Why it failed, was stopped or was skipped.")
    began_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["deployment", "number"], name="run_number_once"),
            models.UniqueConstraint(fields=["deployment", "due_at"], name="run_once_per_due_time"),
            models.UniqueConstraint(
                fields=["deployment"], condition=Q(state__in=list(UNDER_WAY)), name="run_one_under_way"
            ),
            models.CheckConstraint(condition=Q(state__in=RunState.values), name="run_state_known"),
            models.CheckConstraint(
                condition=Q(cause="went_live", due_at=None, asked_by=None, missed=0)
                | Q(cause="schedule", due_at__isnull=False, asked_by=None)
                | Q(cause="demand", due_at=None, asked_by__isnull=False, missed=0) & ~Q(reason=""),
                name="run_tells_its_cause",
            ),
            models.CheckConstraint(
                condition=Q(state__in=list(UNDER_WAY), ended_at=None) | Q(state__in=ENDED, ended_at__isnull=False),
                name="run_ended_has_a_time",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["failed", "stopped", "skipped"]) | ~Q(why=""), name="run_says_why"
            ),
        ]
        triggers = [
            pgtrigger.FSM(name="legal_moves", field="state", transitions=pairs(RUN_MOVES)),
            pgtrigger.Protect(
                name="cause_is_fixed",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(
                    "deployment", "number", "cause", "due_at", "missed", "asked_by", "reason", "ordered_at"
                ),
            ),
            pgtrigger.Protect(
                name="ended_stays", operation=pgtrigger.Update, condition=pgtrigger.Q(old__ended_at__isnull=False)
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"run {self.number} of {self.deployment} ({self.get_state_display()})"

    @property
    def is_under_way(self) -> bool:
        """Tell whether it has not ended."""
        return self.state in UNDER_WAY
