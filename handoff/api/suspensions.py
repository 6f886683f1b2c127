"""Suspensions over the API: what was stopped, stop what is live, lift that."""

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
from handoff.api.serializers import PersonOut, ReasonIn
from handoff.models import Suspension
from handoff.queries import suspensions as queries
from handoff.services import suspensions


class LiftIn(ReasonIn):
    reauthentication = serializers.UUIDField(help_text="From POST /reauthentications/, good for one act.")


class SuspensionOut(serializers.ModelSerializer[Suspension]):
    deployment = serializers.UUIDField(source="deployment_id")
    suspended_by = PersonOut(allow_null=True)
    finding = serializers.UUIDField(source="finding_id", allow_null=True)
    lifted_by = PersonOut(allow_null=True)
    confirmed = serializers.BooleanField(help_text="Whether the engine has carried out what was ordered last.")

    class Meta:
        model = Suspension
        fields = (
            "id",
            "deployment",
            "suspended_by",
            "finding",
            "reason",
            "suspended_at",
            "order",
            "stopped_at",
            "error",
            "confirmed",
            "ending",
            "ended_at",
            "lifted_by",
            "lift_reason",
            "resumed_at",
        )


class Suspensions(APIView):
    """The suspensions of a deployment."""

    @extend_schema(responses=SuspensionOut(many=True), operation_id="deployment_suspensions_list")
    def get(self, request: Request, deployment_id: UUID) -> Response:
        known_parameters(request, ())
        found = queries.listed(actor_at(request, "api").user, deployment_id)
        return page_of(request, found, SuspensionOut, ordering="-suspended_at")

    @extend_schema(request=ReasonIn, responses={202: SuspensionOut}, operation_id="deployment_suspend")
    def post(self, request: Request, deployment_id: UUID) -> Response:
        body = ReasonIn(data=request.data)
        body.is_valid(raise_exception=True)
        return once(request, lambda: self._suspend(request, deployment_id, body.validated_data))

    def _suspend(self, request: Request, deployment_id: UUID, told: dict[str, Any]) -> Response:
        made = suspensions.suspend(actor=Person.at(request, "api"), deployment_id=deployment_id, **told)
        return Response(SuspensionOut(made).data, status=202)


class LiftSuspension(APIView):
    """Let a suspended version score again."""

    @extend_schema(request=LiftIn, responses={202: SuspensionOut}, operation_id="deployment_suspension_lift")
    def post(self, request: Request, deployment_id: UUID) -> Response:
        body = LiftIn(data=request.data)
        body.is_valid(raise_exception=True)
        told = {**body.validated_data, "reauthentication": str(body.validated_data["reauthentication"])}
        made = suspensions.lift(actor=Person.at(request, "api"), deployment_id=deployment_id, **told)
        return Response(SuspensionOut(made).data, status=202)
