"""Watches: what the engine has counted of a deployment since it was first looked at, one row for each."""

from typing import Any

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from handoff.models.deployments import Deployment
from handoff.rules.watches import NOTHING

FEWER = (
    pgtrigger.Q(new__scored__lt=pgtrigger.F("old__scored"))
    | pgtrigger.Q(new__failed__lt=pgtrigger.F("old__failed"))
    | pgtrigger.Q(new__refused__lt=pgtrigger.F("old__refused"))
    | pgtrigger.Q(new__records__lt=pgtrigger.F("old__records"))
)


def nothing() -> list[int]:
    """Return buckets in which nothing is."""
    return list(NOTHING)


class Watch(models.Model):
    """The looks at one deployment, added up. It is written anew with each look, and never longer than this.

    Counts only rise, whatever the engine forgets when it starts anew. `marks` are what they were every five minutes of
    the last hour; `told` is what the engine said last, from which the next look goes on.
    """

    deployment = models.OneToOneField(
        Deployment, models.PROTECT, primary_key=True, related_name="watch", editable=False
    )
    began_at = models.DateTimeField(help_text="Since when its engine tells what it counts of it.")
    asked_at = models.DateTimeField(help_text="When its engine was asked last.")
    seen_at = models.DateTimeField(null=True, help_text="When its engine was asked last, and told.")
    last_at = models.DateTimeField(null=True, help_text="When a look last found requests, or records of a run.")
    error = models.CharField(max_length=500, blank=True, help_text="Why the last look saw nothing.")
    scored = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0, help_text="Answered with 5xx, breaches of the output schema too.")
    refused = models.BigIntegerField(default=0, help_text="Answered with 4xx: what the client sent was wrong.")
    records = models.BigIntegerField(default=0)
    buckets = ArrayField(models.BigIntegerField(), default=nothing, help_text="Scored requests by latency.")
    streamed = models.BigIntegerField(default=0, help_text="Records that its run had read at the last look.")
    told = models.JSONField(default=dict)
    marks = models.JSONField(default=list)

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "watches"
        constraints = [
            models.CheckConstraint(
                condition=Q(scored__gte=0, failed__gte=0, refused__gte=0, records__gte=0), name="watch_counts_something"
            ),
            models.CheckConstraint(
                condition=Q(seen_at=None, scored=0, failed=0) & ~Q(error="")
                | Q(seen_at__lte=F("asked_at"), began_at__lte=F("seen_at")),
                name="watch_seen_or_says_why",
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="counts_only_rise",
                operation=pgtrigger.Update,
                condition=FEWER | pgtrigger.Q(new__asked_at__lt=pgtrigger.F("old__asked_at")),
            ),
            pgtrigger.Protect(
                name="begins_once",
                operation=pgtrigger.Update,
                condition=~pgtrigger.Q(new__deployment=pgtrigger.F("old__deployment"))
                | pgtrigger.Q(old__seen_at__isnull=False) & ~pgtrigger.Q(new__began_at=pgtrigger.F("old__began_at")),
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.deployment_id}: {self.scored} scored, {self.failed} failed"

    def counts(self) -> list[Any]:
        """Return the counts as plain data, in the order of the rules."""
        return [self.scored, self.failed, self.refused, self.records, list(self.buckets)]
