"""Deployments over the API: what is live, what was, who answered for it, roll back, deploy again."""

from datetime import datetime
from uuid import UUID

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person, actor_at
from audit.http import known_parameters, once
from audit.paging import page_of
from handoff.api.serializers import DeploymentOut, HandoffOut, JobOut, OwnerOut, ReasonIn
from handoff.errors import Hidden, Invalid
from handoff.queries import deployments as queries
from handoff.services import deployments


class Deployments(APIView):
    """The deployments that the asker may know of."""

    @extend_schema(
        responses=DeploymentOut(many=True),
        parameters=[OpenApiParameter(name, str) for name in ("state", "model", "environment", "cursor")],
        operation_id="deployments_list",
    )
    def get(self, request: Request) -> Response:
        filters = known_parameters(request, ("state", "model", "environment"))
        found = queries.listed(actor_at(request, "api").user, **filters)
        return page_of(request, found, DeploymentOut, ordering="-ordered_at")


class OneDeployment(APIView):
    """One deployment with its steps."""

    @extend_schema(responses=DeploymentOut, operation_id="deployment_read")
    def get(self, request: Request, deployment_id: UUID) -> Response:
        return Response(DeploymentOut(queries.fetch(actor_at(request, "api").user, deployment_id)).data)


class RollBack(APIView):
    """Bring the previous live version back."""

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


class OwnerOn(APIView):
    """Who answered for a model in an environment at a moment."""

    @extend_schema(
        responses=OwnerOut,
        parameters=[OpenApiParameter(name, str) for name in ("model", "environment", "at")],
        operation_id="owner_of_record_read",
    )
    def get(self, request: Request) -> Response:
        asked = known_parameters(request, ("model", "environment", "at"))
        moment = _moment(asked["at"]) if "at" in asked else timezone.now()
        user = actor_at(request, "api").user
        owner = queries.owner_on(user, asked.get("model", ""), asked.get("environment", ""), moment)
        if owner is None:
            raise Hidden("Nobody answered for that then, or you may not know.")
        return Response(OwnerOut(owner).data)


def _moment(text: str) -> datetime:
    """Return a moment from ISO 8601 with a time zone. Raises Invalid."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Invalid("A moment is written like 2026-11-23T10:00:00Z.", fields={"at": "is not a moment with a zone"})
    return moment
