"""Promotion tests: what a worker found out about a sealed version in the target's conditions."""

import pgtrigger
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from engine.sandbox.levels import LEVELS, MADE_OF, NONE
from handoff.models.handoffs import Handoff
from handoff.models.jobs import Job

# The levels are named so that their order is that of the letters; a test compares.
IN_THE_SANDBOX_OF_THE_POLICY = """
    IF NEW.sandbox < COALESCE(
        (SELECT h.policy #>> '{sandbox,least}' FROM handoff_handoff h WHERE h.id = NEW.handoff_id), 'L0') THEN
        RAISE EXCEPTION 'a test ran in a lower sandbox than the policy asks for'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'test_in_the_sandbox_of_the_policy';
    END IF;
    RETURN NEW;
"""


class PromotionTest(models.Model):
    """The result of one test. Written once, by the holder of the job's newest fencing number."""

    class Verdict(models.TextChoices):
        PASSED = "passed", "passed"
        FAILED = "failed", "failed"
        ERROR = "error", "error"

    job = models.OneToOneField(Job, models.PROTECT, related_name="result")
    handoff = models.ForeignKey(Handoff, models.PROTECT, related_name="tests")
    kind = models.SlugField()
    verdict = models.CharField(max_length=6, choices=Verdict)
    summary = models.TextField()
    figures = models.JSONField()
    thresholds = models.JSONField()
    log = models.TextField(blank=True)
    seconds = models.FloatField()
    fence = models.BigIntegerField()
    version_digest = models.CharField(max_length=64)
    worker = models.CharField(max_length=120)
    sandbox = models.CharField(
        max_length=2,
        choices=list(MADE_OF.items()),
        default=NONE,
        db_default=NONE,
        help_text="The level of the sandbox in which the model's process ran.",
    )
    finished_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["handoff", "kind"], name="test_result_once_a_kind"),
            models.CheckConstraint(condition=Q(verdict__in=["passed", "failed", "error"]), name="test_verdict_known"),
            models.CheckConstraint(condition=Q(sandbox__in=LEVELS), name="sandbox_known"),
            models.CheckConstraint(condition=Q(seconds__gte=0), name="test_seconds_not_negative"),
        ]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="in_the_sandbox_of_the_policy",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                func=IN_THE_SANDBOX_OF_THE_POLICY,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.verdict}"
