"""Lead times and returns over the API."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import actor_at
from audit.http import known_parameters
from audit.queries import moment
from handoff.errors import Invalid
from handoff.queries.lead_times import lead_times
from handoff.rules.lead_times import Count, LeadTimes, Team, Time


class TimeOut(serializers.Serializer[Time]):
    """How long something took, in seconds; nearest rank."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    count = serializers.IntegerField()
    median = serializers.FloatField(allow_null=True)
    ninth = serializers.FloatField(allow_null=True, help_text="Nine in ten took no longer.")


class TeamOut(serializers.Serializer[Team]):
    """The offers of one team."""

    name = serializers.CharField()
    offered = serializers.IntegerField()
    live = serializers.IntegerField()
    returned = serializers.IntegerField()
    median = serializers.FloatField(allow_null=True, help_text="From offer to live, in seconds.")


class CountOut(serializers.Serializer[Count]):
    """How often something came."""

    name = serializers.CharField()
    number = serializers.IntegerField()


class LeadTimesOut(serializers.Serializer[LeadTimes]):
    """The figures of the handoffs that were offered in a period."""

    offered = serializers.IntegerField()
    live = serializers.IntegerField()
    returned = serializers.IntegerField()
    whole = TimeOut()
    steps = TimeOut(many=True)
    teams = TeamOut(many=True)
    reasons = CountOut(many=True)
    returned_from = CountOut(many=True)
    bounced = CountOut(many=True, help_text="Returns by model.")


class LeadTimesOf(APIView):
    """How long handoffs took, step by step, and what sent them back."""

    @extend_schema(
        responses=LeadTimesOut,
        parameters=[
            OpenApiParameter("since", str, required=True, description="Offered from this date or time on."),
            OpenApiParameter("until", str, required=True, description="Offered before this date or time."),
        ],
        operation_id="lead_times_read",
    )
    def get(self, request: Request) -> Response:
        given = known_parameters(request, ("since", "until"))
        missing = {name: "is missing" for name in ("since", "until") if not given.get(name)}
        if missing:
            raise Invalid("Name the period.", todo="Send since and until, such as 2026-11-01.", fields=missing)
        since, until = moment("since", given["since"]), moment("until", given["until"])
        return Response(LeadTimesOut(lead_times(actor_at(request, "api").user, since, until)).data)
