"""Decisions to act: what was known, by which rules, and what followed."""

import pgtrigger
from django.db import models
from django.db.models.functions import Now

from audit.models.names import NameJSON, NameText
from handoff.models.handoffs import Handoff


class Decision(models.Model):
    """One evaluation of a gate on which something was done, or refused."""

    handoff = models.ForeignKey(Handoff, models.PROTECT, related_name="decisions")
    gate = models.CharField(max_length=8)
    taken_by = NameText(max_length=200)
    opened = models.BooleanField()
    facts = NameJSON()
    result = NameJSON()
    decided_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["pk"]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.gate} {'open' if self.opened else 'shut'}"
