"""Who holds which role, over the API: list, grant, take away."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person, actor_at
from audit.http import known_parameters, once
from models_registry import queries
from models_registry.access import find_environment, find_model, find_organisation
from models_registry.api.serializers import HoldingEndIn, HoldingIn, HoldingOut
from models_registry.services import roles

LISTED: dict[str, Any] = {
    "responses": HoldingOut(many=True),
    "parameters": [OpenApiParameter("ended", bool, description="Whether to list those that are over, too.")],
}


class _Roles(APIView):
    """The holders of roles on one thing."""

    thing = ""
    find: Any = None

    def _list(self, request: Request, slug: str) -> Response:
        ended = known_parameters(request, ("ended",)).get("ended") == "true"
        found = type(self).find(actor_at(request, "api"), slug)
        return Response(HoldingOut(queries.holdings(found, ended=ended), many=True).data)

    def _on(self, slug: str) -> dict[str, Any]:
        return {self.thing: slug}

    def _grant(self, request: Request, slug: str) -> Response:
        body = HoldingIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            roles.grant(actor=Person.at(request, "api"), **self._on(slug), **body.validated_data)
            return Response(body.data, status=201)

        return once(request, create)

    def _revoke(self, request: Request, slug: str) -> Response:
        body = HoldingEndIn(data=request.data)
        body.is_valid(raise_exception=True)
        roles.revoke(actor=Person.at(request, "api"), **self._on(slug), **body.validated_data)
        return Response(status=204)


class ModelRoles(_Roles):
    """The holders of roles on a model."""

    thing = "model"
    find = find_model

    @extend_schema(**LISTED, operation_id="model_roles_list")
    def get(self, request: Request, model: str) -> Response:
        return self._list(request, model)

    @extend_schema(request=HoldingIn, responses={201: HoldingIn}, operation_id="model_role_grant")
    def post(self, request: Request, model: str) -> Response:
        return self._grant(request, model)

    @extend_schema(request=HoldingEndIn, responses={204: None}, operation_id="model_role_revoke")
    def delete(self, request: Request, model: str) -> Response:
        return self._revoke(request, model)


class EnvironmentRoles(_Roles):
    """The holders of roles on an environment, those of its organisation among them."""

    thing = "environment"
    find = find_environment

    @extend_schema(**LISTED, operation_id="environment_roles_list")
    def get(self, request: Request, environment: str) -> Response:
        return self._list(request, environment)

    @extend_schema(request=HoldingIn, responses={201: HoldingIn}, operation_id="environment_role_grant")
    def post(self, request: Request, environment: str) -> Response:
        return self._grant(request, environment)

    @extend_schema(request=HoldingEndIn, responses={204: None}, operation_id="environment_role_revoke")
    def delete(self, request: Request, environment: str) -> Response:
        return self._revoke(request, environment)


class OrganisationRoles(_Roles):
    """The holders of roles on all environments of an organisation."""

    thing = "organisation"
    find = find_organisation

    @extend_schema(**LISTED, operation_id="organisation_roles_list")
    def get(self, request: Request, organisation: str) -> Response:
        return self._list(request, organisation)

    @extend_schema(request=HoldingIn, responses={201: HoldingIn}, operation_id="organisation_role_grant")
    def post(self, request: Request, organisation: str) -> Response:
        return self._grant(request, organisation)

    @extend_schema(request=HoldingEndIn, responses={204: None}, operation_id="organisation_role_revoke")
    def delete(self, request: Request, organisation: str) -> Response:
        return self._revoke(request, organisation)
