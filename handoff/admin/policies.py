"""Policies in the admin: a text is published as the next revision, and never changes from then on."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from audit.admin_columns import digest, folded, person, seen, text
from audit.admin_doors import ActForm, Configuration, Records, Rows
from audit.errors import StaleView
from audit.models import Account
from handoff.access import require_administrator
from handoff.models import Policy, PolicyRevision
from handoff.queries.checklist_templates import policy_in
from handoff.queries.policies import Difference, difference_of, newest_source
from handoff.rules.policies import PolicyRules, digest_of
from handoff.services import policies


class PolicyRevisionForm(ActForm):
    """Publish a revision of a policy, as YAML."""

    source = forms.CharField(
        strip=False,
        label="Policy, as YAML",
        widget=forms.Textarea(attrs={"rows": 30, "cols": 100, "spellcheck": "false", "class": "m-code"}),
        help_text="Handoffs under way keep the revision they were offered under.",
    )
    seen = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)
    found: Difference | None = None
    rules: PolicyRules

    class Meta:
        model = PolicyRevision
        fields = ()

    def act(self, values: dict[str, Any]) -> Model:
        """Publish what was shown; show what another text would change, and raise StaleView."""
        source = values["source"].replace("\r\n", "\n")
        require_administrator(self.actor.user, "publish a policy")
        content, self.rules = policy_in(source)
        if values["seen"] != digest_of(content):
            self.found = difference_of(content, self.rules, self.actor.user)
            self.data = {"source": values["source"], "seen": digest_of(content)}
            raise StaleView("Nothing is published yet.", todo="Read what it would change, then save again.")
        return policies.publish(actor=self.actor, source=source)


@admin.register(PolicyRevision)
class PolicyRevisionAdmin(Configuration):
    """Revisions of policies. A published one never changes; a correction is the next revision."""

    form = PolicyRevisionForm
    add_form_template = "admin/publish_policy.html"
    list_display = ("__str__", "policy", "number", digest("digest"), person("published_by"), "published_at")
    list_filter = (seen("policy"),)
    list_select_related = ("policy", "published_by")
    search_fields = ("policy__title", "policy__slug", "digest")
    date_hierarchy = "published_at"
    ordering = ("-published_at", "pk")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the text to write, or what was published."""
        if obj is None:
            return [(None, {"fields": ("source",)}), (None, {"fields": ("seen",), "classes": ("m-hidden",)})]
        return [
            (None, {"fields": ("policy", "number", person("published_by"), "published_at")}),
            ("What was published", {"fields": (digest("digest", whole=True), text("source", "YAML", code=True))}),
        ]

    def get_changeform_initial_data(self, request: HttpRequest) -> Any:
        """Start from the newest text of the policy that is named."""
        return {"source": newest_source(request.GET.get("policy", "").replace("\0", ""))}

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show what a text would change; that it is not published yet is no mistake of whoever wrote it."""
        form = context["adminform"].form
        if isinstance(form, PolicyRevisionForm) and form.found is not None:
            context |= {"errors": None, "found": form.found, "rules": form.rules}
        return super().render_change_form(request, context, *args, **kwargs)

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
