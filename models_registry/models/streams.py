"""Streams: where records come from and go to in one environment."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from models_registry.models.environments import Environment
from models_registry.models.versions import SHA256


class Stream(models.Model):
    """A descriptor under a name in one environment. It changes in place; the trail keeps each form it had."""

    class Direction(models.TextChoices):
        SOURCE = "source", "source"
        SINK = "sink", "sink"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey(Environment, models.PROTECT, related_name="streams")
    slug = models.SlugField()
    direction = models.CharField(max_length=6, choices=Direction)
    purpose = models.TextField(blank=True)
    descriptor = models.JSONField(help_text="Transport, encoding, location and so on; a secret only by its name.")
    digest = models.CharField(max_length=64, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    revision = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    retired_at = models.DateTimeField(null=True, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False, help_text="Since when its place does not answer.")
    fault_code = models.CharField(max_length=50, blank=True, editable=False)
    fault = models.CharField(max_length=300, blank=True, editable=False)

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.UniqueConstraint(fields=["environment", "slug"], name="stream_slug_once"),
            models.CheckConstraint(condition=Q(direction__in=["source", "sink"]), name="stream_direction_known"),
            models.CheckConstraint(condition=Q(digest__regex=SHA256), name="stream_digest_is_one"),
            models.CheckConstraint(
                condition=Q(failing_since__isnull=True, fault_code="", fault="")
                | (Q(failing_since__isnull=False) & ~Q(fault_code="")),
                name="stream_fault_has_a_begin",
            ),
        ]
        triggers = [
            pgtrigger.ReadOnly(name="fixed", fields=["environment", "slug", "direction"]),
            pgtrigger.Protect(
                name="retired_stays", operation=pgtrigger.Update, condition=pgtrigger.Q(old__retired_at__isnull=False)
            ),
            pgtrigger.Protect(name="kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return self.slug

    @property
    def place(self) -> str:
        """Return where it leads, in one line."""
        location = self.descriptor.get("location") or {}
        servers = ", ".join(location.get("servers", []))
        told = (servers, *(location.get(key, "") for key in ("url", "table", "stream", "topic")))
        return " ".join(one for one in told if one)
