"""Amendments in the admin: to read. They are proposed and signed on their own pages, with the password again."""

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

from audit.admin_columns import digest, folded, person, seen, state, text
from handoff.admin.records import OfHandoff
from handoff.models import Amendment, AmendmentSignOff
from models_registry.roles import Role


@admin.register(Amendment)
class AmendmentAdmin(OfHandoff):
    """What was changed in how a live version is connected."""

    handoff = "deployment__handoff"
    list_display = ("deployment", "number", state("state"), person("proposed_by"), "proposed_at", "ended_at")
    list_filter = ("state", seen("deployment__model"))
    list_select_related = (
        "deployment__handoff__model", "deployment__version__model", "deployment__environment", "proposed_by",
    )  # fmt: skip
    search_fields = ("deployment__model__name", "deployment__model__slug", "reason")
    date_hierarchy = "proposed_at"
    ordering = ("-proposed_at", "-pk")
    fieldsets = (
        (None, {"fields": ("deployment", "number", state("state"), text("reason"), text("because"))}),
        ("What changes", {"fields": (folded("changes"), folded("before"), folded("bindings"), folded("consumers"))}),
        ("Who signs", {"fields": ("requirements",)}),
        ("Times", {"fields": (person("proposed_by"), "proposed_at", "expires_at", "ended_at")}),
        ("What happened", {"fields": ("order", "job", folded("log", "steps"))}),
    )

    def links(self, request: HttpRequest, record: Amendment) -> list[tuple[str, str]]:
        """Return its page."""
        return [("Open its page", reverse("amendment", args=[record.pk]))]


@admin.register(AmendmentSignOff)
class AmendmentSignOffAdmin(OfHandoff):
    """Signatures for amendments, each with the digests of exactly what was signed."""

    handoff = "amendment__deployment__handoff"
    list_display = ("printed_name", "held", "amendment", state("decision"), "meaning", "signed_at")
    list_filter = ("decision", "role", seen("amendment__deployment__model"))
    list_select_related = (
        "amendment__deployment__handoff__model", "amendment__deployment__version__model",
        "amendment__deployment__environment",
    )  # fmt: skip
    search_fields = ("amendment__deployment__model__name", "printed_name", "statement_digest")
    date_hierarchy = "signed_at"
    ordering = ("-signed_at", "-pk")
    fieldsets = (
        (None, {"fields": ("amendment", "requirement", state("decision"), "meaning", text("comment"))}),
        ("Signer", {"fields": ("printed_name", "held", "signed_at", "confirmed")}),
        (
            "What was signed",
            {
                "fields": (
                    folded("scope"), digest("scope_digest", whole=True), folded("statement"),
                    digest("statement_digest", whole=True),
                )
            },
        ),
    )  # fmt: skip

    @admin.display(description="Role", ordering="role")
    def held(self, signoff: AmendmentSignOff) -> str:
        """Return the role's name."""
        return str(Role(signoff.role).label)

    @admin.display(description="Identity confirmed by")
    def confirmed(self, signoff: AmendmentSignOff) -> str:
        """Return how the signer was confirmed."""
        return signoff.reauthentication.method
