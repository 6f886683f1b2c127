"""The handoff in the admin: policies are published, all else is a record. Signing has no action: it needs its sheet."""

import json
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db import models
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from audit.actors import Person
from audit.admin_doors import ActForm, Configuration, Records, act_on_each, opened
from audit.models import Account
from handoff.access import handoffs_visible_to
from handoff.models import (
    Acknowledgement,
    Answer,
    Decision,
    Deployment,
    Evidence,
    Handoff,
    Job,
    OwnerOfRecord,
    Policy,
    PolicyRevision,
    PromotionTest,
    Return,
    SignOff,
)
from handoff.services import deployments, handoffs, policies
from models_registry.access import environments_held_by, models_held_by


def shown(value: Any) -> SafeString:
    """Return JSON as a text that can be read."""
    return format_html('<pre class="m-json">{}</pre>', json.dumps(value, indent=2, ensure_ascii=False))


class PolicyRevisionForm(ActForm):
    """Publish a revision of a policy, as YAML."""

    class Meta:
        model = PolicyRevision
        fields = ("source",)
        widgets = {"source": forms.Textarea(attrs={"rows": 30, "cols": 100, "spellcheck": "false"})}

    def act(self, values: dict[str, Any]) -> Model:
        """Publish it."""
        return policies.publish(actor=self.actor, source=values["source"])


@admin.register(PolicyRevision)
class PolicyRevisionAdmin(Configuration):
    """Revisions of policies. A published one never changes; a correction is the next revision."""

    form = PolicyRevisionForm
    list_display = ("policy", "number", "short_digest", "published_by", "published_at", "page")
    list_filter = ("policy",)
    list_select_related = ("policy", "published_by")
    date_hierarchy = "published_at"
    exclude = ("content",)

    @admin.display(description="Digest")
    def short_digest(self, revision: PolicyRevision) -> str:
        """Return the digest's beginning."""
        return revision.digest[:12]

    @admin.display(description="Page")
    def page(self, revision: PolicyRevision) -> SafeString:
        """Link to the revision's page on the site."""
        return opened(reverse("policy-revision", args=[revision.policy.slug, revision.number]))


@admin.register(Policy)
class PolicyAdmin(Configuration):
    """Policies by name; they come into being with their first revision."""

    form = forms.ModelForm
    list_display = ("title", "slug")
    search_fields = ("title", "slug")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say no: publish a revision instead."""
        return False

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Return a form that is only read."""
        return super(Configuration, self).get_form(request, obj, change, **kwargs)


@admin.register(Handoff)
class HandoffAdmin(Records):
    """Offers of versions. Whoever may withdraw one, or deploy again, may do it here."""

    list_display = ("__str__", "state", "source", "target", "drafted_by", "offered_at", "expires_at", "page")
    list_filter = ("state", "target", "model")
    list_select_related = ("model", "version", "source", "target", "drafted_by")
    search_fields = ("model__name", "model__slug", "note")
    date_hierarchy = "drafted_at"
    readonly_fields = ("policy_text", "report_text")
    exclude = ("policy", "report")
    actions = ("withdraw", "deploy_again")

    def visible_to(self, user: Account) -> QuerySet[Handoff]:
        """Return the handoffs that an account may read."""
        return handoffs_visible_to(user)

    @admin.display(description="Policy, as copied")
    def policy_text(self, handoff: Handoff) -> SafeString:
        """Return the policy that this handoff keeps."""
        return shown(handoff.policy)

    @admin.display(description="Difference report")
    def report_text(self, handoff: Handoff) -> SafeString:
        """Return the report as it was offered."""
        return shown(handoff.report)

    @admin.display(description="Page")
    def page(self, handoff: Handoff) -> SafeString:
        """Link to the handoff's page on the site, where it is answered and signed."""
        return opened(reverse("handoff", args=[handoff.pk]))

    @admin.action(description="Withdraw")
    def withdraw(self, request: HttpRequest, chosen: QuerySet[Handoff]) -> HttpResponse | None:
        """Withdraw handoffs, each on record."""
        return act_on_each(
            self, request, chosen, action="withdraw", title="Withdraw handoffs", verb="Withdraw", act=_withdraw
        )

    @admin.action(description="Deploy again after the engine could not be reached")
    def deploy_again(self, request: HttpRequest, chosen: QuerySet[Handoff]) -> HttpResponse | None:
        """Deploy again; the gate is judged anew."""
        return act_on_each(
            self, request, chosen, action="deploy_again", title="Deploy again", verb="Deploy again", act=_deploy_again
        )


def _withdraw(actor: Person, handoff: Handoff, reason: str) -> object:
    return handoffs.withdraw(actor=actor, handoff_id=str(handoff.pk), reason=reason)


def _deploy_again(actor: Person, handoff: Handoff, reason: str) -> object:
    return deployments.retry(actor=actor, handoff_id=handoff.pk)


@admin.register(Deployment)
class DeploymentAdmin(Records):
    """What was ordered of engines, and what became of it."""

    list_display = ("__str__", "state", "order", "ordered_at", "live_at", "ended_at", "page")
    list_filter = ("state", "environment", "model")
    list_select_related = ("model", "version", "environment", "handoff")
    search_fields = ("model__name", "model__slug", "digest")
    date_hierarchy = "ordered_at"
    readonly_fields = ("log_text",)
    exclude = ("log",)
    actions = ("roll_back",)

    def visible_to(self, user: Account) -> QuerySet[Deployment]:
        """Return the deployments of the handoffs that an account may read."""
        return Deployment.objects.filter(handoff__in=handoffs_visible_to(user))

    @admin.display(description="Steps")
    def log_text(self, deployment: Deployment) -> SafeString:
        """Return the steps as they happened."""
        return shown(deployment.log)

    @admin.display(description="Page")
    def page(self, deployment: Deployment) -> SafeString:
        """Link to the deployment's page on the site."""
        return opened(reverse("deployment", args=[deployment.pk]))

    @admin.action(description="Roll back to the version before")
    def roll_back(self, request: HttpRequest, chosen: QuerySet[Deployment]) -> HttpResponse | None:
        """Roll live deployments back, each on record."""
        return act_on_each(
            self, request, chosen, action="roll_back", title="Roll back", verb="Roll back", act=_roll_back
        )


def _roll_back(actor: Person, deployment: Deployment, reason: str) -> object:
    return deployments.roll_back(actor=actor, deployment_id=deployment.pk, reason=reason)


@admin.register(OwnerOfRecord)
class OwnerOfRecordAdmin(Records):
    """Who answered for what, from when to when."""

    list_display = ("model", "environment", "person", "organisation", "period")
    list_filter = ("environment", "organisation")
    list_select_related = ("model", "environment", "person", "organisation")

    def visible_to(self, user: Account) -> QuerySet[OwnerOfRecord]:
        """Return the owners of what an account holds a role on."""
        return OwnerOfRecord.objects.filter(model__in=models_held_by(user)) | OwnerOfRecord.objects.filter(
            environment__in=environments_held_by(user)
        )


class OfHandoff(Records):
    """Records that belong to one handoff."""

    list_select_related: ClassVar[tuple[str, ...]] = ("handoff__model", "handoff__version", "handoff__target")
    list_filter: ClassVar[tuple[str, ...]] = ("handoff__model",)

    def visible_to(self, user: Account) -> QuerySet[Any]:
        """Return those of the handoffs that an account may read."""
        return self.model._default_manager.filter(handoff__in=handoffs_visible_to(user))


@admin.register(SignOff)
class SignOffAdmin(OfHandoff):
    """Signatures. They are given, and withdrawn, on the handoff's page by whoever signs."""

    list_display = ("handoff", "gate", "printed_name", "role", "decision", "meaning", "signed_at", "voided_at")
    list_filter = ("decision", "gate", "role", "handoff__model")
    search_fields = ("printed_name", "statement_digest")
    date_hierarchy = "signed_at"
    exclude = ("reauthentication",)


@admin.register(Answer)
class AnswerAdmin(OfHandoff):
    """Answers to checklists; the latest of an item counts."""

    list_display = ("handoff", "item", "choice", "answered_by", "answered_at")
    list_filter = ("choice", "handoff__model")
    list_select_related = (*OfHandoff.list_select_related, "answered_by")
    date_hierarchy = "answered_at"


@admin.register(Evidence)
class EvidenceAdmin(Records):
    """What backs an answer. Files are fetched on the handoff's page."""

    list_display = ("answer", "kind", "label", "link", "figure")
    list_filter = ("kind",)
    list_select_related = ("answer__handoff__model", "answer__handoff__version", "answer__handoff__target")
    search_fields = ("label", "link")
    formfield_overrides: ClassVar[dict[Any, Any]] = {models.URLField: {"assume_scheme": "https"}}

    def visible_to(self, user: Account) -> QuerySet[Evidence]:
        """Return the evidence of the handoffs that an account may read."""
        return Evidence.objects.filter(answer__handoff__in=handoffs_visible_to(user))


@admin.register(Acknowledgement)
class AcknowledgementAdmin(OfHandoff):
    """Differences that somebody has acknowledged."""

    list_display = ("handoff", "difference", "acknowledged_by", "acknowledged_at")
    list_select_related = (*OfHandoff.list_select_related, "acknowledged_by")
    date_hierarchy = "acknowledged_at"


@admin.register(Decision)
class DecisionAdmin(OfHandoff):
    """Every judgement of a gate that was acted on, with its facts and its result."""

    list_display = ("handoff", "gate", "opened", "taken_by", "decided_at")
    list_filter = ("gate", "opened", "handoff__model")
    date_hierarchy = "decided_at"
    readonly_fields = ("facts_text", "result_text")
    exclude = ("facts", "result")

    @admin.display(description="Facts")
    def facts_text(self, decision: Decision) -> SafeString:
        """Return what was known."""
        return shown(decision.facts)

    @admin.display(description="Result")
    def result_text(self, decision: Decision) -> SafeString:
        """Return what followed."""
        return shown(decision.result)


@admin.register(Job)
class JobAdmin(OfHandoff):
    """Work of the workers. A job that failed is not run again by hand: deploy the handoff again."""

    list_display = ("handoff", "purpose", "state", "attempts", "worker", "queued_at", "ended_at")
    list_filter = ("state", "queue", "handoff__model")
    search_fields = ("purpose", "worker", "error")
    date_hierarchy = "queued_at"


@admin.register(PromotionTest)
class PromotionTestAdmin(OfHandoff):
    """Results of promotion tests, with their figures and thresholds."""

    list_display = ("handoff", "kind", "verdict", "summary", "seconds", "finished_at")
    list_filter = ("verdict", "kind", "handoff__model")
    date_hierarchy = "finished_at"


@admin.register(Return)
class ReturnAdmin(OfHandoff):
    """Handoffs that went back to data science, with the reasons."""

    list_display = ("handoff", "reasons", "returned_by", "returned_at")
    list_select_related = (*OfHandoff.list_select_related, "returned_by")
    date_hierarchy = "returned_at"
