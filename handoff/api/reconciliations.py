"""What is live by the records beside what engines serve, over the API: as JSON and as CSV."""

from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import actor_at
from audit.http import known_parameters
from handoff.api.changes import as_table
from handoff.queries.reconciliations import lines_of, rows_for
from handoff.rules.tables import lines


class ServedNowOut(serializers.Serializer[Any]):
    """What an engine said last that it serves of a model."""

    version = serializers.CharField()
    digest = serializers.CharField()
    order = serializers.IntegerField()
    ready = serializers.BooleanField()


class ReconciledOut(serializers.Serializer[Any]):
    """A live deployment, or a model that nobody approved, beside what its engine said of it."""

    environment = serializers.CharField(source="environment.slug")
    model = serializers.CharField()
    deployment = serializers.UUIDField(source="deployment.pk", default=None, allow_null=True)
    slot = serializers.CharField(source="deployment.slot", default="")
    version = serializers.IntegerField(source="deployment.version.number", default=None, allow_null=True)
    digest = serializers.CharField(source="deployment.digest", default="")
    order = serializers.IntegerField(source="deployment.order", default=None, allow_null=True)
    bindings = serializers.CharField(source="mode")
    verdict = serializers.ChoiceField(choices=["agrees", "differs", "not asked yet"])
    differences = serializers.ListField(child=serializers.CharField())
    served = serializers.SerializerMethodField()
    run = serializers.CharField()
    asked_at = serializers.DateTimeField(source="kept.asked_at", default=None, allow_null=True)
    answered_at = serializers.DateTimeField(source="kept.answered_at", default=None, allow_null=True)
    silent_since = serializers.DateTimeField(source="kept.silent_since", default=None, allow_null=True)
    finding = serializers.CharField(help_text="The open finding of what belongs to no handoff; else empty.")

    @extend_schema_field(ServedNowOut(allow_null=True))
    def get_served(self, row: Any) -> dict[str, Any] | None:
        """Return what was served, or nothing."""
        return dict(ServedNowOut(row.served).data) if row.served else None


class Reconciliations(APIView):
    """What is live by the records beside what the engines said last, as far as the asker may know."""

    @extend_schema(responses=ReconciledOut(many=True), operation_id="reconciliation_list")
    def get(self, request: Request) -> Response:
        known_parameters(request, ())
        return Response(ReconciledOut(rows_for(actor_at(request, "api").user), many=True).data)


class ReconciliationTable(APIView):
    """The same as a table."""

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR}, operation_id="reconciliation_export")
    def get(self, request: Request) -> HttpResponseBase:
        known_parameters(request, ())
        return as_table(lines(lines_of(rows_for(actor_at(request, "api").user))), "reconciliation.csv")
