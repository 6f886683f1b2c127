"""Runs of batch deployments over the API."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person, actor_at
from audit.http import known_parameters, once
from audit.paging import page_of
from handoff.api.serializers import ReasonIn
from handoff.models import Run
from handoff.queries.deployments import fetch
from handoff.queries.runs import run_of, runs_of
from handoff.services import batches


class RunOut(serializers.ModelSerializer[Run]):
    asked_by = serializers.CharField(source="asked_by.username", default=None, allow_null=True)
    stopped_by = serializers.CharField(source="stopped_by.username", default=None, allow_null=True)

    class Meta:
        model = Run
        fields = (
            "id", "number", "state", "cause", "due_at", "missed", "asked_by", "reason", "ordered_at", "order", "again",
            "began_at", "ended_at", "counts", "stopped_by", "why",
        )  # fmt: skip


class Runs(APIView):
    """The runs of a batch, the newest first; and one more, now."""

    @extend_schema(responses=RunOut(many=True), operation_id="runs_list")
    def get(self, request: Request, deployment_id: UUID) -> Response:
        known_parameters(request, ())
        deployment = fetch(actor_at(request, "api").user, deployment_id)
        return page_of(request, runs_of(deployment), RunOut, ordering="-number")

    @extend_schema(request=ReasonIn, responses={202: RunOut}, operation_id="run_now")
    def post(self, request: Request, deployment_id: UUID) -> Response:
        body = ReasonIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            run = batches.run_now(
                actor=Person.at(request, "api"), deployment_id=str(deployment_id), **body.validated_data
            )
            return Response(RunOut(run).data, status=202)

        return once(request, create)


class OneRun(APIView):
    """One run of a batch."""

    @extend_schema(responses=RunOut, operation_id="run_read")
    def get(self, request: Request, deployment_id: UUID, number: int) -> Response:
        return Response(RunOut(run_of(actor_at(request, "api").user, deployment_id, number)).data)


class StopRun(APIView):
    """Stop a run; what it has delivered stays."""

    @extend_schema(request=ReasonIn, responses={202: RunOut}, operation_id="run_stop")
    def post(self, request: Request, deployment_id: UUID, number: int) -> Response:
        body = ReasonIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            run = batches.stop(
                actor=Person.at(request, "api"),
                deployment_id=str(deployment_id),
                number=number,
                **body.validated_data,
            )
            return Response(RunOut(run).data, status=202)

        return once(request, create)
