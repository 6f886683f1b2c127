"""Versions in the admin: candidates to read, and drafts to nominate or to discard."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from audit.actors import Person
from audit.admin_acts import Act
from audit.admin_columns import digest, folded, person, seen, state, text
from audit.admin_doors import Records, Rows
from audit.models import Account
from models_registry.access import holds_anywhere, models_visible_to, roles_on
from models_registry.models import Element, ModelVersion
from models_registry.roles import Role
from models_registry.services import versions
from models_registry.states import VersionState


def _builds(user: Account, version: ModelVersion | None) -> bool:
    """Tell whether an account is a data scientist of a version that is still a draft, or of anything."""
    if version is not None:
        draft = version.state == VersionState.DRAFT
        return draft and Role.DATA_SCIENTIST in roles_on(user, model=version.model)
    return holds_anywhere(user, Role.DATA_SCIENTIST)


def _nominate(actor: Person, version: ModelVersion, reason: str) -> object:
    return versions.nominate(actor=actor, model=version.model.slug, number=version.number)


def _discard(actor: Person, version: ModelVersion, reason: str) -> object:
    return versions.discard(actor=actor, model=version.model.slug, number=version.number, reason=reason)


NOMINATE = Act(
    name="nominate",
    title="Nominate the draft",
    does="Nomination seals a draft under the digest of its manifest. It never changes again.",
    run=_nominate,
    offered=_builds,
    reason=False,
)
DISCARD = Act(
    name="discard",
    title="Discard the draft",
    does="A discarded draft stays on record, and its number is not used again.",
    run=_discard,
    offered=_builds,
)


class Elements(Rows):
    """What a version is made of."""

    model = Element
    fields = readonly_fields = (
        "name",
        "filename",
        digest("blob_id", "SHA-256", whole=True),
        person("set_by"),
        "set_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Element]:
        """Return the elements with whoever supplied them."""
        return super().get_queryset(request).select_related("set_by")


@admin.register(ModelVersion)
class ModelVersionAdmin(Records):
    """Candidates, drafts and sealed ones."""

    acts = (NOMINATE, DISCARD)
    list_display = (
        "__str__", state("state"), "format", digest("digest"), person("created_by"), "created_at", "nominated_at"
    )  # fmt: skip
    list_filter = ("state", "format", seen("model"))
    list_select_related = ("model", "created_by")
    search_fields = ("model__name", "model__slug", "digest", "notes")
    date_hierarchy = "created_at"
    ordering = ("-created_at", "pk")
    inlines = (Elements,)
    fieldsets = (
        (None, {"fields": ("model", "number", state("state"), "format", text("notes"))}),
        ("Seal", {"fields": (digest("digest", whole=True), folded("manifest"))}),
        ("People", {"fields": (person("created_by"), "created_at", person("nominated_by"), "nominated_at")}),
    )

    def visible_to(self, user: Account) -> QuerySet[ModelVersion]:
        """Return the versions of the models that an account may read."""
        return ModelVersion.objects.filter(model__in=models_visible_to(user))

    def chain_of(self, record: ModelVersion) -> str:
        """Return the chain of its model."""
        return f"model:{record.model_id}"

    def links(self, request: HttpRequest, record: ModelVersion) -> list[tuple[str, str]]:
        """Return its page."""
        return [("Open its page", reverse("version", args=[record.model.slug, record.number]))]


@admin.register(Element)
class ElementAdmin(Records):
    """What versions are made of; the bytes are fetched on the version's page."""

    list_display = ("name", "version", "filename", digest("blob_id", "SHA-256"), person("set_by"), "set_at")
    list_filter = ("name", seen("version__model"))
    list_select_related = ("version__model", "set_by")
    search_fields = ("filename", "blob__sha256", "version__model__name", "version__model__slug")
    date_hierarchy = "set_at"
    ordering = ("-set_at", "pk")
    fieldsets = (
        (None, {"fields": ("version", "name", "filename", digest("blob_id", "SHA-256", whole=True))}),
        ("Content", {"fields": (folded("text", "Text"),)}),
        ("People", {"fields": (person("set_by"), "set_at")}),
    )

    def visible_to(self, user: Account) -> QuerySet[Element]:
        """Return the elements of the versions that an account may read."""
        return Element.objects.filter(version__model__in=models_visible_to(user))

    def chain_of(self, record: Element) -> str:
        """Return the chain of its model."""
        return f"model:{record.version.model_id}"

    def links(self, request: HttpRequest, record: Element) -> list[tuple[str, str]]:
        """Return its version's page."""
        return [
            ("Open its version's page", reverse("version", args=[record.version.model.slug, record.version.number]))
        ]
