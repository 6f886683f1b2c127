"""The trail over the API, for those who audit."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actions import ACTIONS
from audit.actors import actor_at
from audit.http import known_parameters
from audit.models import AuditEvent
from audit.paging import page_of
from audit.queries import listed

FILTERS = {
    "chain": "One chain (handoff:<id>), or all of a kind (handoff:).",
    "action": "One action (signoff.given), or a group of them (signoff.).",
    "actor": "A user name, or a worker's name.",
    "since": "From this date or time on.",
    "until": "Before this date or time.",
}


class ActorOut(serializers.Serializer[Any]):
    """Who acted."""

    kind = serializers.CharField(source="actor_kind")
    id = serializers.IntegerField(source="actor_id", allow_null=True)
    label = serializers.CharField(source="actor_label")  # type: ignore[assignment]


class EventOut(serializers.Serializer[AuditEvent]):
    """One act. `body` and the hashes are what a proof needs; `data` is the part of the body that is the act's own."""

    chain = serializers.CharField()
    seq = serializers.IntegerField()
    at = serializers.DateTimeField()
    action = serializers.CharField()
    sentence = serializers.SerializerMethodField()
    actor = ActorOut(source="*")
    subject = serializers.CharField()
    reason = serializers.SerializerMethodField()
    data = serializers.SerializerMethodField()  # type: ignore[assignment]
    body = serializers.CharField(help_text="The canonical JSON that was hashed.")
    previous = serializers.SerializerMethodField()
    hash = serializers.SerializerMethodField()

    def get_sentence(self, event: AuditEvent) -> str:
        """Return what happened, in words that follow the actor's name."""
        return ACTIONS.get(event.action, event.action)

    def get_reason(self, event: AuditEvent) -> str:
        """Return why it was done, as far as somebody said so."""
        return str(event.told["reason"])

    def get_data(self, event: AuditEvent) -> dict[str, Any]:
        """Return before and after, and what else belongs to the act."""
        data: dict[str, Any] = event.told["data"]
        return data

    def get_previous(self, event: AuditEvent) -> str:
        """Return the hash of the event before, in hexadecimal."""
        return bytes(event.previous).hex()

    def get_hash(self, event: AuditEvent) -> str:
        """Return the event's hash, in hexadecimal."""
        return bytes(event.hash).hex()


class Events(APIView):
    """The trail of everything the asker audits, newest first."""

    @extend_schema(
        responses=EventOut(many=True),
        parameters=[OpenApiParameter(name, str, description=told) for name, told in FILTERS.items()],
        operation_id="events_list",
    )
    def get(self, request: Request) -> Response:
        filters = known_parameters(request, FILTERS)
        found = listed(actor_at(request, "api").user, **filters)
        return page_of(request, found, EventOut, ordering="-at")
