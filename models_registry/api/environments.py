"""Organisations and environments over the API."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person, actor_at
from audit.http import etag, known_parameters, once, require_match
from audit.paging import page_of
from models_registry import queries
from models_registry.api.serializers import (
    EnvironmentChangeIn,
    EnvironmentIn,
    EnvironmentOut,
    OrganisationIn,
    OrganisationOut,
)
from models_registry.models import Organisation
from models_registry.services import environments, organisations


class Organisations(APIView):
    """The organisations that answer for environments."""

    @extend_schema(responses=OrganisationOut(many=True), operation_id="organisations_list")
    def get(self, request: Request) -> Response:
        known_parameters(request, ())
        return page_of(request, Organisation.objects.all(), OrganisationOut, ordering="name")

    @extend_schema(request=OrganisationIn, responses={201: OrganisationOut}, operation_id="organisation_create")
    def post(self, request: Request) -> Response:
        body = OrganisationIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            made = organisations.create(actor=Person.at(request, "api"), **body.validated_data)
            return Response(OrganisationOut(made).data, status=201)

        return once(request, create)


class Environments(APIView):
    """The environments that the asker may read."""

    @extend_schema(
        responses=EnvironmentOut(many=True),
        parameters=[OpenApiParameter(name, str) for name in ("kind", "cursor")],
        operation_id="environments_list",
    )
    def get(self, request: Request) -> Response:
        filters = known_parameters(request, ("kind",))
        found = queries.environments_listed(actor_at(request, "api").user, **filters)
        return page_of(request, found, EnvironmentOut, ordering="name")

    @extend_schema(request=EnvironmentIn, responses={201: EnvironmentOut}, operation_id="environment_create")
    def post(self, request: Request) -> Response:
        body = EnvironmentIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            made = environments.create(actor=Person.at(request, "api"), **body.validated_data)
            return Response(EnvironmentOut(made).data, status=201, headers={"ETag": etag(made.revision)})

        return once(request, create)


class OneEnvironment(APIView):
    """One environment."""

    @extend_schema(responses=EnvironmentOut, operation_id="environment_read")
    def get(self, request: Request, environment: str) -> Response:
        found = queries.environment(actor_at(request, "api"), environment)
        return Response(EnvironmentOut(found).data, headers={"ETag": etag(found.revision)})

    @extend_schema(request=EnvironmentChangeIn, responses=EnvironmentOut, operation_id="environment_change")
    def patch(self, request: Request, environment: str) -> Response:
        body = EnvironmentChangeIn(data=request.data)
        body.is_valid(raise_exception=True)
        actor = Person.at(request, "api")
        found = queries.environment(actor, environment)
        require_match(request, found.revision)
        changed = environments.change(actor=actor, slug=environment, revision=found.revision, **body.validated_data)
        return Response(EnvironmentOut(changed).data, headers={"ETag": etag(changed.revision)})
