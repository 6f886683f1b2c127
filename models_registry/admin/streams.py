"""Streams in the admin: declared, changed and retired through the services, by whoever keeps them."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse

from audit.actors import Person
from audit.admin_acts import Act
from audit.admin_columns import digest, person, state
from audit.admin_doors import SEEN, ActForm, Configuration, is_administrator
from audit.models import Account
from models_registry import queries
from models_registry.access import roles_on
from models_registry.admin.environments import JSON, PersonField, ReadableJSON
from models_registry.models import Stream
from models_registry.services import streams


def _keeps(user: Account, stream: Stream | None) -> bool:
    """Tell whether an account keeps the streams of an environment, where one is given."""
    if stream is None:
        return True
    return stream.retired_at is None and bool(roles_on(user, environment=stream.environment) & set(streams.KEEPERS))


def _retire(actor: Person, stream: Stream, reason: str) -> object:
    return streams.retire(actor=actor, environment=stream.environment.slug, stream=stream.slug, reason=reason)


RETIRE = Act(
    name="retire",
    title="Retire the stream",
    does="A retired stream stays on record, and its name is not used again.",
    run=_retire,
    offered=_keeps,
)


class StreamForm(ActForm):
    """Declare a stream, or change what is flexible about it."""

    owner = PersonField(queries.people(), help_text="The person who answers for it.")
    descriptor = ReadableJSON(
        widget=forms.Textarea(attrs={**JSON, "rows": 16}),
        help_text='{"transport": "file", "encoding": "csv", "location": {"url": "file:///data/in.csv"}}',
    )
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Stream
        fields = ("environment", "slug", "direction", "purpose")
        labels = {"slug": "Short name"}
        help_texts = {"slug": "In bindings and in the API; it never changes."}
        widgets = {"purpose": forms.Textarea(attrs={"rows": 3, "cols": 60})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial[SEEN] = self.instance.revision

    def act(self, values: dict[str, Any]) -> Model:
        """Declare it, or change it if nobody else has meanwhile."""
        given = {**values, "owner": values["owner"].username}
        revision = given.pop(SEEN, None)
        if self.instance._state.adding:
            return streams.declare(actor=self.actor, **{**given, "environment": given["environment"].slug})
        changes = {name: given[name] for name in self.changed_data if name in given}
        if not changes:
            return self.instance
        where = self.instance.environment.slug
        return streams.change(
            actor=self.actor, environment=where, stream=self.instance.slug, revision=revision, **changes
        )


@admin.register(Stream)
class StreamAdmin(Configuration):
    """Where records come from and go to."""

    form = StreamForm
    acts = (RETIRE,)
    list_display = (
        "slug",
        "environment",
        state("direction"),
        "place",
        person("owner"),
        digest("digest"),
        "retired_at",
    )
    list_filter = ("environment", "direction")
    list_select_related = ("environment", "owner")
    search_fields = ("slug", "purpose", "environment__slug")
    fieldsets = ((None, {"fields": ("environment", "slug", "direction", "purpose", "owner", "descriptor")}),)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let administrators open the form; the service asks for the role. What is retired is only read."""
        return is_administrator(request) and (not isinstance(obj, Stream) or obj.retired_at is None)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what is fixed once a stream is there."""
        return ("environment", "slug", "direction") if obj else ()

    def chain_of(self, record: Stream) -> str:
        """Return the chain of its environment."""
        return f"environment:{record.environment_id}"

    def links(self, request: HttpRequest, record: Stream) -> list[tuple[str, str]]:
        """Return its page."""
        return [("Open its page", reverse("stream", args=[record.environment.slug, record.slug]))]
