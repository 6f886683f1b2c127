"""Findings over the API."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person, actor_at
from audit.http import known_parameters, once
from audit.paging import page_of
from handoff.models import Finding
from handoff.queries.findings import findings_of
from handoff.services import findings


class FindingOut(serializers.ModelSerializer[Finding]):
    severity = serializers.CharField(help_text="low, medium or high")
    differences = serializers.DictField(source="items", child=serializers.CharField())
    closed_by = serializers.CharField(source="closed_by.username", default="", read_only=True)

    class Meta:
        model = Finding
        fields = (
            "id", "severity", "suspends", "differences", "raised_at", "due_at", "closed_at", "closing", "closed_by",
            "comment",
        )  # fmt: skip


class AcceptIn(serializers.Serializer[Any]):
    comment = serializers.CharField(max_length=5000, help_text="Why it may go on as it is.")


class Findings(APIView):
    """What came in the way of a handoff after it was signed."""

    @extend_schema(responses=FindingOut(many=True), operation_id="findings_list")
    def get(self, request: Request, handoff_id: UUID) -> Response:
        known_parameters(request, ())
        found = findings_of(actor_at(request, "api").user, handoff_id)
        return page_of(request, found, FindingOut, ordering="-raised_at")


class AcceptFinding(APIView):
    """Let a live version go on although its environment drifted, as IT operations."""

    @extend_schema(request=AcceptIn, responses=FindingOut, operation_id="finding_accept")
    def post(self, request: Request, handoff_id: UUID, finding_id: UUID) -> Response:
        body = AcceptIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            accepted = findings.accept(
                actor=Person.at(request, "api"), handoff_id=handoff_id, finding_id=finding_id, **body.validated_data
            )
            return Response(FindingOut(accepted).data)

        return once(request, create)
