"""Policies in the admin: a text is published as the next revision, and never changes from then on."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse

from audit.admin_columns import digest, folded, person, seen, text
from audit.admin_doors import ActForm, Configuration, Records, Rows
from audit.models import Account
from handoff.models import Policy, PolicyRevision
from handoff.queries.policies import newest_source
from handoff.services import policies


class PolicyRevisionForm(ActForm):
    """Publish a revision of a policy, as YAML."""

    source = forms.CharField(
        strip=False,
        label="Policy, as YAML",
        widget=forms.Textarea(attrs={"rows": 30, "cols": 100, "spellcheck": "false", "class": "m-code"}),
        help_text="Handoffs under way keep the revision they were offered under.",
    )

    class Meta:
        model = PolicyRevision
        fields = ()

    def act(self, values: dict[str, Any]) -> Model:
        """Publish it."""
        return policies.publish(actor=self.actor, source=values["source"].replace("\r\n", "\n"))


@admin.register(PolicyRevision)
class PolicyRevisionAdmin(Configuration):
    """Revisions of policies. A published one never changes; a correction is the next revision."""

    form = PolicyRevisionForm
    list_display = ("__str__", "policy", "number", digest("digest"), person("published_by"), "published_at")
    list_filter = (seen("policy"),)
    list_select_related = ("policy", "published_by")
    search_fields = ("policy__title", "policy__slug", "digest")
    date_hierarchy = "published_at"
    ordering = ("-published_at", "pk")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the text to write, or what was published."""
        if obj is None:
            return [(None, {"fields": ("source",)})]
        return [
            (None, {"fields": ("policy", "number", person("published_by"), "published_at")}),
            ("What was published", {"fields": (digest("digest", whole=True), text("source", "YAML", code=True))}),
        ]

    def get_changeform_initial_data(self, request: HttpRequest) -> Any:
        """Start from the newest text of the policy that is named."""
        return {"source": newest_source(request.GET.get("policy", "").replace("\0", ""))}

    def links(self, request: HttpRequest, record: PolicyRevision) -> list[tuple[str, str]]:
        """Return where it is read in words, and where the next one is written."""
        return [
            ("Publish the next revision", _next(record.policy)),
            ("Open its page", reverse("policy-revision", args=[record.policy.slug, record.number])),
        ]


class Revisions(Rows):
    """What was published under a policy's name."""

    model = PolicyRevision
    fields = ("number", digest("digest"), person("published_by"), "published_at", folded("source", "YAML"))
    readonly_fields = fields
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[PolicyRevision]:
        """Return the revisions with whoever published them."""
        return super().get_queryset(request).select_related("policy", "published_by")


@admin.register(Policy)
class PolicyAdmin(Records):
    """Policies by name; they come into being with their first revision."""

    list_display = ("title", "slug")
    search_fields = ("title", "slug")
    inlines = (Revisions,)

    def visible_to(self, user: Account) -> QuerySet[Policy]:
        """Return every policy: whoever is signed in may read the rules."""
        return Policy.objects.all()

    def links(self, request: HttpRequest, record: Policy) -> list[tuple[str, str]]:
        """Return where the next revision is written."""
        return [("Publish the next revision", _next(record))]


def _next(policy: Policy) -> str:
    return f"{reverse('admin:handoff_policyrevision_add')}?{urlencode({'policy': policy.slug})}"
