"""Jobs: work as rows, committed with the act that caused it. A message to a worker is only a bell."""

import uuid

import pgtrigger
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from handoff.models.handoffs import Handoff
from handoff.states import JOB_MOVES, JobState, pairs


class Job(models.Model):
    """One piece of background work. Who holds its lease and newest fencing number may report on it, nobody else."""

    class Queue(models.TextChoices):
        TESTS = "tests", "tests"
        DEPLOYMENTS = "deployments", "deployments"
        STOPS = "stops", "stops"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    handoff = models.ForeignKey(Handoff, models.PROTECT, related_name="jobs")
    gate = models.CharField(max_length=8)
    purpose = models.CharField(max_length=40, help_text="Such as test:golden, deploy or rollback:<deployment>.")
    request = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="The request it is from."
    )
    trace = models.CharField(
        max_length=55, blank=True, default="", db_default="", help_text="The traceparent of that request."
    )
    queue = models.CharField(max_length=12, choices=Queue)
    task = models.CharField(max_length=40)
    state = models.CharField(max_length=9, choices=JobState, default=JobState.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    fence = models.BigIntegerField(default=0)
    worker = models.CharField(max_length=120, blank=True)
    lease_until = models.DateTimeField(null=True)
    progress = models.CharField(max_length=200, blank=True)
    error = models.TextField(blank=True)
    queued_at = models.DateTimeField(db_default=Now())
    claimed_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["queued_at"]
        indexes = [
            models.Index(
                fields=["lease_until"], condition=Q(state__in=["queued", "running"]), name="job_waiting_or_leased"
            )
        ]
        constraints = [
            models.UniqueConstraint(fields=["handoff", "gate", "purpose"], name="job_once_per_gate_and_purpose"),
            models.CheckConstraint(condition=Q(state__in=JobState.values), name="job_state_known"),
            models.CheckConstraint(
                condition=~Q(state="running") | Q(lease_until__isnull=False), name="job_running_has_a_lease"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running"]) | Q(ended_at__isnull=False), name="job_ended_has_a_time"
            ),
        ]
        triggers = [
            pgtrigger.FSM(name="legal_moves", field="state", transitions=pairs(JOB_MOVES)),
            pgtrigger.Trigger(
                name="bell",
                operation=pgtrigger.Insert,
                when=pgtrigger.After,
                func="PERFORM pg_notify('job', NEW.id::text || ' ' || NEW.queue || ' ' || NEW.task); RETURN NULL;",
            ),
            pgtrigger.Protect(
                name="only_tests_are_tried_again",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__state="dead", new__state__df=pgtrigger.F("old__state"))
                & ~pgtrigger.Q(new__task="handoff.run_test"),
            ),
            pgtrigger.Protect(
                name="attempts_only_rise",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(new__attempts__lt=pgtrigger.F("old__attempts"))
                | pgtrigger.Q(new__fence__lt=pgtrigger.F("old__fence")),
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} ({self.state})"
