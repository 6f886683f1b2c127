"""Checklists of the site's own in the admin: a text is published as the next revision, and never changes then."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse

from audit.admin_columns import digest, person, text
from audit.admin_doors import ActForm, Configuration
from audit.models import Account
from handoff.models import ChecklistTemplateRevision
from handoff.queries.checklist_templates import newest_source
from handoff.rules.checklist_templates import EXAMPLE
from handoff.services import checklist_templates


class ChecklistTemplateForm(ActForm):
    """Publish a revision of a checklist, as YAML."""

    source = forms.CharField(
        strip=False,
        label="Checklist, as YAML",
        widget=forms.Textarea(attrs={"rows": 30, "cols": 100, "spellcheck": "false", "class": "m-code"}),
        help_text="Policies that are published already keep the items that they have.",
    )

    class Meta:
        model = ChecklistTemplateRevision
        fields = ()

    def act(self, values: dict[str, Any]) -> Model:
        """Publish it."""
        return checklist_templates.publish(actor=self.actor, source=values["source"].replace("\r\n", "\n"))


@admin.register(ChecklistTemplateRevision)
class ChecklistTemplateAdmin(Configuration):
    """Checklists that policies include beside those of the product. A correction is the next revision."""

    form = ChecklistTemplateForm
    list_display = ("__str__", "key", "number", digest("digest"), person("published_by"), "published_at")
    list_filter = ("key",)
    list_select_related = ("published_by",)
    search_fields = ("title", "key", "digest")
    date_hierarchy = "published_at"
    ordering = ("-published_at", "pk")

    def visible_to(self, user: Account) -> QuerySet[ChecklistTemplateRevision]:
        """Return every one: whoever is signed in may read the rules."""
        return ChecklistTemplateRevision.objects.all()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the text to write, or what was published."""
        if obj is None:
            return [(None, {"fields": ("source",)})]
        return [
            (None, {"fields": ("title", "key", "number", person("published_by"), "published_at")}),
            ("What was published", {"fields": (digest("digest", whole=True), text("source", "YAML", code=True))}),
        ]

    def get_changeform_initial_data(self, request: HttpRequest) -> Any:
        """Start from the newest text of the checklist that is named."""
        return {"source": newest_source(request.GET.get("key", "").replace("\0", "")) or EXAMPLE}

    def links(self, request: HttpRequest, record: ChecklistTemplateRevision) -> list[tuple[str, str]]:
        """Return where it is read in words, and where the next one is written."""
        add = reverse("admin:handoff_checklisttemplaterevision_add")
        return [
            ("Publish the next revision", f"{add}?{urlencode({'key': record.key})}"),
            ("Open its page", reverse("checklist-template", args=[record.key])),
        ]
