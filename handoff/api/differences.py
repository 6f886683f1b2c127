"""The difference report over the API."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import actor_at
from audit.http import known_parameters
from handoff.api.serializers import PersonOut
from handoff.queries.differences import picks, report_for
from handoff.rules.aspects import FREEDOMS, as_plain
from handoff.rules.reports import CLASSES, FILTERS, STATES, read_filters
from handoff.rules.severities import SEVERITIES


class AcknowledgementOut(serializers.Serializer[Any]):
    comment = serializers.CharField()
    mitigation = serializers.CharField()
    acknowledged_by = PersonOut()
    acknowledged_at = serializers.DateTimeField()


class DifferenceOut(serializers.Serializer[Any]):
    key = serializers.CharField(source="difference.key")
    aspect = serializers.CharField(source="difference.aspect")
    facet = serializers.CharField(source="difference.facet")
    name = serializers.CharField(source="difference.name")
    source = serializers.CharField(source="difference.source")  # type: ignore[assignment]
    target = serializers.CharField(source="difference.target")
    classed = serializers.ChoiceField(choices=CLASSES, source="difference.classed")
    equal = serializers.BooleanField(source="difference.equal")
    holds = serializers.BooleanField(source="difference.holds", help_text="Whether it is inside its rule.")
    severity = serializers.ChoiceField(choices=SEVERITIES, source="difference.severity")
    reason = serializers.CharField(source="difference.reason", help_text="Why it is so severe.")
    rule = serializers.CharField(source="difference.rule")
    role = serializers.CharField(source="difference.role", help_text="Who must answer for it.")
    waived_until = serializers.CharField(source="difference.waived_until", help_text="A date, or nothing.")
    state = serializers.ChoiceField(choices=STATES, allow_blank=True, help_text="Empty for what never differed.")
    changed = serializers.CharField(help_text="What the target has now, where that is something else.")
    acknowledgement = AcknowledgementOut(source="answer", allow_null=True)


class DeclaredOut(serializers.Serializer[Any]):
    freedom = serializers.ChoiceField(choices=FREEDOMS)
    answered_by = serializers.CharField()
    changed_by = serializers.CharField()
    allowed = serializers.ListField(child=serializers.CharField())


class ReportOut(serializers.Serializer[Any]):
    digest = serializers.CharField(help_text="SHA-256 of the whole report, unfiltered.")
    frozen = serializers.BooleanField(help_text="False while the handoff is a draft: the report is as it is now.")
    total = serializers.IntegerField()
    moved = serializers.DictField(
        child=serializers.CharField(), help_text="What came in the way since the report was frozen, in words."
    )
    aspects = serializers.DictField(child=DeclaredOut(), help_text="The lock policy in this target.")
    items = DifferenceOut(many=True)


class Differences(APIView):
    """What differs between source and target, item by item, and where each item stands."""

    @extend_schema(
        responses=ReportOut,
        parameters=[OpenApiParameter(name, str, enum=values) for name, values in FILTERS.items()],
        operation_id="differences_list",
    )
    def get(self, request: Request, handoff_id: UUID) -> Response:
        filters = read_filters(known_parameters(request, FILTERS))
        report = report_for(actor_at(request, "api").user, handoff_id)
        told = {
            "digest": report.digest,
            "frozen": report.frozen,
            "total": len(report.items),
            "moved": report.moved,
            "aspects": as_plain(report.held),
            "items": [item for item in report.items if picks(item, filters)],
        }
        return Response(ReportOut(told).data)
