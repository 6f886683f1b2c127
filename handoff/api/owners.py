"""Owners of record over the API: who answered for what, and when."""

from datetime import datetime

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import actor_at
from audit.http import known_parameters
from handoff.api.serializers import OwnerOut
from handoff.errors import Hidden, Invalid
from handoff.models import OwnerOfRecord
from handoff.queries import owners as queries
from models_registry.models import EnvironmentOwner


class OwnerOn(APIView):
    """Who answered at a moment for a model in an environment, or, without a model, for the environment itself."""

    @extend_schema(
        responses=OwnerOut,
        parameters=[OpenApiParameter(name, str) for name in ("model", "environment", "at")],
        operation_id="owner_of_record_read",
    )
    def get(self, request: Request) -> Response:
        asked = known_parameters(request, ("model", "environment", "at"))
        moment = _moment(asked["at"]) if "at" in asked else timezone.now()
        user = actor_at(request, "api").user
        environment, model = asked.get("environment", ""), asked.get("model", "")
        owner: OwnerOfRecord | EnvironmentOwner | None = (
            queries.owner_on(user, model, environment, moment)
            if model
            else queries.environment_owner_on(user, environment, moment)
        )
        if owner is None:
            raise Hidden("Nobody answered for that then, or you may not know.")
        return Response(OwnerOut(owner).data)


def _moment(text: str) -> datetime:
    """Return a moment from ISO 8601 with a time zone. Raises Invalid."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Invalid("A moment is written like 2026-11-23T10:00:00Z.", fields={"at": "is not a moment with a zone"})
    return moment
