"""Profiles: what an environment was made of when somebody looked. Dated, numbered, never changed."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from models_registry.models.environments import Environment

SHA256 = r"^[0-9a-f]{64}$"


class EnvironmentProfile(models.Model):
    """One look at an environment: interpreter, packages, hardware, data files, and whether secrets are there."""

    environment = models.ForeignKey(Environment, models.PROTECT, related_name="profiles")
    number = models.PositiveIntegerField()
    captured_at = models.DateTimeField()
    received_at = models.DateTimeField(db_default=Now())
    reported_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", help_text="Empty: a worker's probe."
    )
    content = models.JSONField()
    digest = models.CharField(max_length=64)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["environment", "number"], name="profile_number_once"),
            models.CheckConstraint(condition=Q(digest__regex=SHA256), name="profile_digest_is_sha256"),
            models.CheckConstraint(condition=Q(number__gt=0), name="profile_number_positive"),
        ]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"Profile {self.number}"
