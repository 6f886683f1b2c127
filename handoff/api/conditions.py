"""Conditions of approvals over the API: show that they are met, and judge the evidence."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person
from audit.http import once
from handoff.api.serializers import ConditionReportIn, ConditionStepIn, ConditionStepOut
from handoff.services import conditions


class ReportCondition(APIView):
    """Show that a condition is met, as its owner."""

    @extend_schema(request=ConditionReportIn, responses={201: ConditionStepOut}, operation_id="condition_report")
    def post(self, request: Request, handoff_id: UUID, condition_id: int) -> Response:
        return once(
            request, _step(request, handoff_id, condition_id, ConditionReportIn(data=request.data), conditions.report)
        )


class AcceptCondition(APIView):
    """Accept that a condition is met, as the signer or in their role."""

    @extend_schema(request=ConditionStepIn, responses={201: ConditionStepOut}, operation_id="condition_accept")
    def post(self, request: Request, handoff_id: UUID, condition_id: int) -> Response:
        return once(
            request, _step(request, handoff_id, condition_id, ConditionStepIn(data=request.data), conditions.accept)
        )


class RejectCondition(APIView):
    """Say why the evidence is not enough, as the signer or in their role."""

    @extend_schema(request=ConditionStepIn, responses={201: ConditionStepOut}, operation_id="condition_reject")
    def post(self, request: Request, handoff_id: UUID, condition_id: int) -> Response:
        return once(
            request, _step(request, handoff_id, condition_id, ConditionStepIn(data=request.data), conditions.reject)
        )


def _step(
    request: Request, handoff_id: UUID, condition_id: int, body: ConditionStepIn, act: Callable[..., Any]
) -> Callable[[], Response]:
    """Return what takes the step, once."""
    body.is_valid(raise_exception=True)

    def create() -> Response:
        about = {"handoff_id": str(handoff_id), "condition_id": condition_id}
        step = act(actor=Person.at(request, "api"), **about, **body.validated_data)
        return Response(ConditionStepOut(step).data, status=201)

    return create
