"""Retirements over the API: plan one, cancel it, and say that one was told."""

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
from handoff.models import Retirement, RetirementNotice
from handoff.queries import retirements as queries
from handoff.services import retirements


class RetirementIn(ReasonIn):
    day = serializers.DateField(required=False, allow_null=True, default=None, help_text="In UTC; without it, at once.")
    reauthentication = serializers.UUIDField(help_text="From POST /reauthentications/, good for one act.")


class NoticeOut(serializers.ModelSerializer[RetirementNotice]):
    consumer = serializers.CharField(source="consumer.name")
    owner = PersonOut()
    retirement = serializers.UUIDField(source="retirement_id")
    deployment = serializers.UUIDField(source="retirement.deployment_id")
    due_at = serializers.DateTimeField(source="retirement.due_at")

    class Meta:
        model = RetirementNotice
        fields = ("id", "retirement", "deployment", "due_at", "consumer", "owner", "acknowledged_at")


class RetirementOut(serializers.ModelSerializer[Retirement]):
    deployment = serializers.UUIDField(source="deployment_id")
    planned_by = PersonOut()
    notices = NoticeOut(many=True)

    class Meta:
        model = Retirement
        fields = (
            "id", "deployment", "planned_by", "reason", "planned_at", "due_at", "ending", "ended_at", "ended_by",
            "because", "notices",
        )  # fmt: skip


class Retirements(APIView):
    """The plans to retire a deployment."""

    @extend_schema(responses=RetirementOut(many=True), operation_id="deployment_retirements_list")
    def get(self, request: Request, deployment_id: UUID) -> Response:
        known_parameters(request, ())
        found = queries.listed(actor_at(request, "api").user, deployment_id)
        return page_of(request, found, RetirementOut, ordering="-planned_at")

    @extend_schema(request=RetirementIn, responses={201: RetirementOut}, operation_id="deployment_retire")
    def post(self, request: Request, deployment_id: UUID) -> Response:
        body = RetirementIn(data=request.data)
        body.is_valid(raise_exception=True)
        return once(request, lambda: self._plan(request, deployment_id, dict(body.validated_data)))

    def _plan(self, request: Request, deployment_id: UUID, told: dict[str, Any]) -> Response:
        told["reauthentication"] = str(told["reauthentication"])
        made = retirements.plan(actor=Person.at(request, "api"), deployment_id=deployment_id, **told)
        return Response(RetirementOut(made).data, status=201)


class CancelRetirement(APIView):
    """Let what was to be retired stay."""

    @extend_schema(request=ReasonIn, responses=RetirementOut, operation_id="deployment_retirement_cancel")
    def post(self, request: Request, deployment_id: UUID) -> Response:
        body = ReasonIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            actor = Person.at(request, "api")
            return Response(
                RetirementOut(retirements.cancel(actor=actor, deployment_id=deployment_id, **body.validated_data)).data
            )

        return once(request, create)


class Notices(APIView):
    """What the asker was told of retirements that stand."""

    @extend_schema(responses=NoticeOut(many=True), operation_id="retirement_notices_list")
    def get(self, request: Request) -> Response:
        known_parameters(request, ())
        found = queries.notices_for(actor_at(request, "api").user).select_related("owner")
        return page_of(request, found, NoticeOut, ordering="pk")


class AcknowledgeNotice(APIView):
    """Say that one has read it."""

    @extend_schema(request=None, responses=NoticeOut, operation_id="retirement_notice_acknowledge")
    def post(self, request: Request, notice_id: int) -> Response:
        def create() -> Response:
            actor = Person.at(request, "api")
            return Response(NoticeOut(retirements.acknowledge(actor=actor, notice_id=notice_id)).data)

        return once(request, create)
