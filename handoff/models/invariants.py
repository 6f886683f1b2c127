"""Checks of the invariants: when somebody or the clock looked, and what broke one. Written once each."""

from typing import Any

import pgtrigger
from django.db import models


class InvariantCheck(models.Model):
    """One look at all invariants."""

    began_at = models.DateTimeField()
    seconds = models.FloatField()
    invariants = models.JSONField(help_text="The ids of those that were looked at.")
    violations = models.JSONField(help_text="What broke one: invariant, handoff, subject and words.")

    class Meta:
        ordering = ["-began_at"]
        verbose_name = "check of the invariants"
        verbose_name_plural = "checks of the invariants"
        indexes = [models.Index(fields=["-began_at"], name="invariant_check_newest")]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{len(self.violations)} violations of {len(self.invariants)} invariants"

    @property
    def by_invariant(self) -> dict[str, list[dict[str, Any]]]:
        """Return what broke each invariant; one that holds has an empty list."""
        found: dict[str, list[dict[str, Any]]] = {one: [] for one in self.invariants}
        for row in self.violations:
            found[row["invariant"]].append(row)
        return found
