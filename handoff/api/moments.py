"""What was true in an environment at an instant, over the API."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import actor_at
from audit.http import known_parameters
from audit.queries import moment
from handoff.queries.moments import Moment, environment_at


class ApprovalOut(serializers.Serializer[Any]):
    """A sign-off that counted then."""

    id = serializers.UUIDField()
    printed_name = serializers.CharField()
    role = serializers.CharField()
    gate = serializers.CharField()
    decision = serializers.CharField()
    meaning = serializers.CharField()
    signed_at = serializers.DateTimeField()
    statement_digest = serializers.CharField()


class BrokenOut(serializers.Serializer[Any]):
    """The break-glass by which a version was deployed before all had signed, as it stands today."""

    id = serializers.UUIDField()
    incident = serializers.CharField()
    reason = serializers.CharField()
    confirmed_by = serializers.CharField(source="printed_name")
    confirmed_at = serializers.DateTimeField()
    until = serializers.DateTimeField()
    state = serializers.CharField()
    ended_at = serializers.DateTimeField(allow_null=True)


class ServedOut(serializers.Serializer[Any]):
    """A version that answered then."""

    model = serializers.CharField(source="deployment.model.slug")
    version = serializers.IntegerField(source="deployment.version.number")
    digest = serializers.CharField(source="deployment.digest")
    slot = serializers.CharField(source="deployment.slot")
    live_since = serializers.DateTimeField(source="deployment.live_at")
    deployment = serializers.UUIDField(source="deployment.pk")
    handoff = serializers.UUIDField(source="deployment.handoff_id")
    policy = serializers.SerializerMethodField()
    policy_digest = serializers.CharField(source="deployment.handoff.policy_digest")
    owner = serializers.CharField(source="owner.person.printed_name", default=None, allow_null=True)
    owner_organisation = serializers.CharField(source="owner.organisation.slug", default=None, allow_null=True)
    approvals = ApprovalOut(many=True)
    suspended_at = serializers.DateTimeField(source="suspension.suspended_at", default=None, allow_null=True)
    suspended_because = serializers.CharField(source="suspension.reason", default="")
    break_glass = BrokenOut(allow_null=True)

    def get_policy(self, served: Any) -> str:
        """Return the policy's revision, as people call it."""
        return str(served.deployment.handoff.under)


class WaiverOut(serializers.Serializer[Any]):
    """An exception to the import policy that was in force."""

    id = serializers.UUIDField()
    library = serializers.CharField()
    version = serializers.CharField()
    granted_by = serializers.CharField(source="answered_by.printed_name")
    granted_at = serializers.DateTimeField(source="answered_at")
    until = serializers.DateField()


class MomentOut(serializers.Serializer[Moment]):
    """An environment as it was."""

    environment = serializers.CharField(source="environment.slug")
    at = serializers.DateTimeField()
    owner = serializers.CharField(source="owner.person.printed_name", default=None, allow_null=True)
    served = ServedOut(many=True)
    waivers = WaiverOut(many=True)
    turns = serializers.ListField(child=serializers.DateTimeField())


class EnvironmentAt(APIView):
    """An environment as it was at an instant: versions, owners, approvals, policies and waivers."""

    @extend_schema(
        responses=MomentOut,
        parameters=[
            OpenApiParameter("at", str, description="An instant, such as 2026-11-23T08:00:00Z; now without it.")
        ],
        operation_id="environment_moment_read",
    )
    def get(self, request: Request, environment: str) -> Response:
        given = known_parameters(request, ("at",))
        at = moment("at", given["at"]) if "at" in given else timezone.now()
        return Response(MomentOut(environment_at(actor_at(request, "api").user, environment, at)).data)
