"""Consumers whose owners are asked, in the admin: to read. Their owners sign on the sheet of the handoff."""

from django.contrib import admin

from audit.admin_columns import person, seen, state
from handoff.admin.records import OfHandoff
from handoff.models import AskedConsumer


@admin.register(AskedConsumer)
class AskedConsumerAdmin(OfHandoff):
    """What a handoff changes for each consumer of the outputs, as its owner was asked."""

    list_display = ("consumer", "handoff", "number", person("owner"), state("compatibility"), "asked_at")
    list_filter = ("compatibility", seen("handoff__model"))
    list_select_related = ("handoff__model", "consumer", "owner", "live__model")
    search_fields = (*OfHandoff.search_fields, "consumer__name")
    date_hierarchy = "asked_at"
    ordering = ("-asked_at", "-pk")
    fieldsets = (
        (None, {"fields": ("handoff", "consumer", "number", person("owner"), "asked_at")}),
        ("What changes for it", {"fields": ("live", "fields", state("compatibility"), "changes")}),
    )
