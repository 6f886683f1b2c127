"""Answers, their evidence, and acknowledged differences in the admin: to read."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from audit.admin_columns import digest, person, seen, state, text
from audit.admin_doors import Rows
from handoff.admin.records import OfHandoff
from handoff.models import Acknowledgement, Answer, Evidence


def _content(evidence: Evidence) -> SafeString | str:
    """Return a link to a file or elsewhere, or the figure."""
    if evidence.kind == Evidence.Kind.FIGURE:
        return f"{evidence.figure:g}"
    if evidence.kind in (Evidence.Kind.TEST, Evidence.Kind.ITEM):
        return evidence.label
    href = evidence.link
    if evidence.kind == Evidence.Kind.REPLAY:
        href = reverse("handoff-replays", args=[evidence.answer.handoff_id])
    if evidence.kind == Evidence.Kind.FILE:
        href = reverse("handoff-evidence", args=[evidence.answer.handoff_id, evidence.pk])
    return format_html('<a href="{}" rel="noopener noreferrer">{}</a>', href, evidence.label)


content: Any = admin.display(description="What it shows")(_content)


class EvidenceOfAnswer(Rows):
    """What backs one answer."""

    model = Evidence
    fk_name = "answer"
    fields = (state("kind"), "label", content, digest("blob_id", "SHA-256", whole=True))
    readonly_fields = fields
    verbose_name_plural = "evidence"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Evidence]:
        """Return the evidence with its answer."""
        return super().get_queryset(request).select_related("answer")


@admin.register(Answer)
class AnswerAdmin(OfHandoff):
    """Answers to checklists; the latest of an item counts."""

    list_display = ("item", "handoff", state("choice"), person("answered_by"), "answered_at")
    list_filter = ("choice", "item", seen("handoff__model"))
    list_select_related = ("handoff__model", "answered_by")
    search_fields = (*OfHandoff.search_fields, "item", "reason")
    date_hierarchy = "answered_at"
    ordering = ("-answered_at", "-pk")
    inlines = (EvidenceOfAnswer,)
    fieldsets = (
        (None, {"fields": ("handoff", "item", state("choice"), text("reason"))}),
        ("People", {"fields": (person("answered_by"), "answered_at")}),
    )


@admin.register(Evidence)
class EvidenceAdmin(OfHandoff):
    """What backs an answer."""

    handoff = "answer__handoff"
    list_display = ("label", state("kind"), "answer", "of", content)
    list_filter = ("kind", seen("answer__handoff__model"))
    list_select_related = ("answer__handoff__model",)
    search_fields = ("label", "link", "answer__item", "answer__handoff__model__name")
    ordering = ("-pk",)
    fieldsets = ((None, {"fields": ("answer", "of", state("kind"), "label", content, digest("blob_id", whole=True))}),)

    @admin.display(description="Handoff", ordering="answer__handoff__model__name")
    def of(self, evidence: Evidence) -> str:
        """Return the handoff's name."""
        return str(evidence.answer.handoff)


@admin.register(Acknowledgement)
class AcknowledgementAdmin(OfHandoff):
    """Differences that somebody has acknowledged."""

    list_display = ("difference", "handoff", person("acknowledged_by"), "acknowledged_at")
    list_select_related = ("handoff__model", "acknowledged_by")
    search_fields = (*OfHandoff.search_fields, "difference", "comment")
    date_hierarchy = "acknowledged_at"
    ordering = ("-acknowledged_at", "-pk")
    fieldsets = (
        (None, {"fields": ("handoff", "difference", text("comment"), text("mitigation"))}),
        ("People", {"fields": (person("acknowledged_by"), "acknowledged_at")}),
    )
