"""Deployments over the API: what is live, what was, roll back, deploy again."""

from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person, actor_at
from audit.http import known_parameters, once
from audit.paging import page_of
from handoff.api.serializers import DeploymentOut, HandoffOut, JobOut, ReasonIn, WayBackOut
from handoff.queries import deployments as queries
from handoff.queries import rollbacks
from handoff.services import deployments
from models_registry.access import held_by


class Deployments(APIView):
    """The deployments that the asker may know of."""

    @extend_schema(
        responses=DeploymentOut(many=True),
        parameters=[OpenApiParameter(name, str) for name in ("state", "model", "environment", "cursor")],
        operation_id="deployments_list",
    )
    def get(self, request: Request) -> Response:
        filters = known_parameters(request, ("state", "model", "environment"))
        user = actor_at(request, "api").user
        found = queries.listed(user, held_by(user), **filters)
        return page_of(request, found, DeploymentOut, ordering="-ordered_at", shown=queries.ROWS)


class OneDeployment(APIView):
    """One deployment with its steps."""

    @extend_schema(responses=DeploymentOut, operation_id="deployment_read")
    def get(self, request: Request, deployment_id: UUID) -> Response:
        return Response(DeploymentOut(queries.fetch(actor_at(request, "api").user, deployment_id)).data)


class RollBack(APIView):
    """Read whether the previous live version stands approved, and bring it back."""

    @extend_schema(responses=WayBackOut, operation_id="deployment_way_back")
    def get(self, request: Request, deployment_id: UUID) -> Response:
        found = rollbacks.fetched(actor_at(request, "api").user, deployment_id)
        return Response(WayBackOut(found).data)

    @extend_schema(request=ReasonIn, responses={202: JobOut}, operation_id="deployment_roll_back")
    def post(self, request: Request, deployment_id: UUID) -> Response:
        body = ReasonIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            job = deployments.roll_back(
                actor=Person.at(request, "api"), deployment_id=str(deployment_id), **body.validated_data
            )
            return Response(JobOut(job).data, status=202)

        return once(request, create)


class DeployAgain(APIView):
    """Order the deployment again, after the engine was out of reach."""

    @extend_schema(request=None, responses={202: HandoffOut}, operation_id="handoff_deploy_again")
    def post(self, request: Request, handoff_id: UUID) -> Response:
        def create() -> Response:
            handoff = deployments.retry(actor=Person.at(request, "api"), handoff_id=str(handoff_id))
            return Response(HandoffOut(handoff).data, status=202)

        return once(request, create)
