"""Consumers in the admin: added, changed and retired through the services, by the integration owner."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse

from audit.actors import Person
from audit.admin_acts import Act
from audit.admin_columns import person, state
from audit.admin_doors import SEEN, ActForm, Configuration, is_administrator
from audit.models import Account
from models_registry import queries
from models_registry.access import roles_on
from models_registry.admin.environments import PersonField
from models_registry.models import Consumer, Stream
from models_registry.roles import Role
from models_registry.services import consumers

ROWS = {"rows": 3, "cols": 60}


def _connects(user: Account, consumer: Consumer | None) -> bool:
    """Tell whether an account owns the integration of an environment, where one is given."""
    if consumer is None:
        return True
    owns = Role.INTEGRATION_OWNER in roles_on(user, environment=consumer.stream.environment)
    return consumer.retired_at is None and owns


def _retire(actor: Person, consumer: Consumer, reason: str) -> object:
    sink = consumer.stream
    return consumers.retire(
        actor=actor, environment=sink.environment.slug, stream=sink.slug, consumer_id=str(consumer.pk), reason=reason
    )


def _place(stream: Stream) -> dict[str, str]:
    return {"environment": stream.environment.slug, "stream": stream.slug}


RETIRE = Act(
    name="retire",
    title="Retire the consumer",
    does="A retired consumer stays on record; the sink feeds it no more.",
    run=_retire,
    offered=_connects,
)


class SinkField(forms.ModelChoiceField):
    """A choice of sinks, by environment and name."""

    def label_from_instance(self, stream: Any) -> str:
        """Return a name that tells two environments' sinks apart."""
        return f"{stream.environment.name}: {stream.slug}"


class ConsumerForm(ActForm):
    """Add a consumer, or change what is known of it."""

    stream = SinkField(
        Stream.objects.filter(direction="sink", retired_at=None).select_related("environment"), label="Sink"
    )
    owner = PersonField(queries.people(), help_text="The person who answers for it.")
    fields: Any = forms.JSONField(required=False, help_text='Names: ["score"]; an empty list means all.')
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Consumer
        fields = ("name", "kind", "purpose", "criticality", "effect")
        widgets = {"purpose": forms.Textarea(attrs=ROWS), "effect": forms.Textarea(attrs=ROWS)}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial[SEEN] = self.instance.revision

    def act(self, values: dict[str, Any]) -> Model:
        """Add it, or change it if nobody else has meanwhile."""
        given = {**values, "owner": values["owner"].username, "fields": values["fields"] or []}
        revision = given.pop(SEEN, None)
        if self.instance._state.adding:
            return consumers.add(actor=self.actor, **{**given, **_place(given["stream"])})
        changes = {name: given[name] for name in self.changed_data if name in given}
        if not changes:
            return self.instance
        return consumers.change(
            actor=self.actor,
            consumer_id=str(self.instance.pk),
            revision=revision,
            **_place(self.instance.stream),
            **changes,
        )


@admin.register(Consumer)
class ConsumerAdmin(Configuration):
    """What the business feeds from sinks."""

    form = ConsumerForm
    acts = (RETIRE,)
    list_display = (
        "name",
        state("kind"),
        "stream",
        person("owner"),
        state("criticality"),
        "retired_at",
    )
    list_filter = ("stream__environment", "kind", "criticality")
    list_select_related = ("stream__environment", "owner")
    search_fields = ("name", "purpose", "stream__slug")
    fieldsets = ((None, {"fields": ("stream", "name", "kind", "owner", "purpose", "fields", "criticality", "effect")}),)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let administrators open the form; the service asks for the role. What is retired is only read."""
        return is_administrator(request) and (not isinstance(obj, Consumer) or obj.retired_at is None)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what is fixed once a consumer is there."""
        return ("stream",) if obj else ()

    def chain_of(self, record: Consumer) -> str:
        """Return the chain of its environment."""
        return f"environment:{record.stream.environment_id}"

    def links(self, request: HttpRequest, record: Consumer) -> list[tuple[str, str]]:
        """Return its stream's page."""
        return [("Open its stream", reverse("stream", args=[record.stream.environment.slug, record.stream.slug]))]
