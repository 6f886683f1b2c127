"""Checklists of the site's own, which policies include beside those of the product."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class ChecklistTemplateRevision(models.Model):
    """One published text of a checklist. It never changes; a policy copies its items when it is published itself."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.SlugField(help_text="What policies include it by.")
    number = models.PositiveIntegerField()
    title = models.CharField(max_length=200)
    source = models.TextField(help_text="YAML, as it was published.")
    digest = models.CharField(max_length=64)
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    published_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name = "checklist template"
        ordering = ["key", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["key", "number"], name="checklist_template_number_once"),
            models.CheckConstraint(condition=Q(digest__regex=r"^[0-9a-f]{64}$"), name="checklist_template_digest_form"),
        ]
        triggers = [pgtrigger.Protect(name="immutable", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.title} r{self.number}"
