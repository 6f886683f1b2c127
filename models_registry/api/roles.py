"""Who holds which role, over the API: list, grant, take away."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person, actor_at
from audit.http import once
from models_registry import queries
from models_registry.access import find_environment, find_model
from models_registry.api.serializers import HoldingIn, HoldingOut
from models_registry.models import Environment, RegisteredModel
from models_registry.services import roles


class _Roles(APIView):
    """The holders of roles on one thing."""

    thing = ""

    def _find(self, request: Request, slug: str) -> RegisteredModel | Environment:
        actor = actor_at(request, "api")
        return find_model(actor, slug) if self.thing == "model" else find_environment(actor, slug)

    def _list(self, request: Request, slug: str) -> Response:
        return Response(HoldingOut(queries.holdings(self._find(request, slug)), many=True).data)

    def _grant(self, request: Request, slug: str) -> Response:
        body = HoldingIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            roles.grant(actor=Person.at(request, "api"), **{self.thing: slug}, **body.validated_data)
            return Response(body.validated_data, status=201)

        return once(request, create)

    def _revoke(self, request: Request, slug: str) -> Response:
        body = HoldingIn(data=request.data)
        body.is_valid(raise_exception=True)
        roles.revoke(actor=Person.at(request, "api"), **{self.thing: slug}, **body.validated_data)
        return Response(status=204)


class ModelRoles(_Roles):
    """The holders of roles on a model."""

    thing = "model"

    @extend_schema(responses=HoldingOut(many=True), operation_id="model_roles_list")
    def get(self, request: Request, model: str) -> Response:
        return self._list(request, model)

    @extend_schema(request=HoldingIn, responses={201: HoldingIn}, operation_id="model_role_grant")
    def post(self, request: Request, model: str) -> Response:
        return self._grant(request, model)

    @extend_schema(request=HoldingIn, responses={204: None}, operation_id="model_role_revoke")
    def delete(self, request: Request, model: str) -> Response:
        return self._revoke(request, model)


class EnvironmentRoles(_Roles):
    """The holders of roles on an environment."""

    thing = "environment"

    @extend_schema(responses=HoldingOut(many=True), operation_id="environment_roles_list")
    def get(self, request: Request, environment: str) -> Response:
        return self._list(request, environment)

    @extend_schema(request=HoldingIn, responses={201: HoldingIn}, operation_id="environment_role_grant")
    def post(self, request: Request, environment: str) -> Response:
        return self._grant(request, environment)

    @extend_schema(request=HoldingIn, responses={204: None}, operation_id="environment_role_revoke")
    def delete(self, request: Request, environment: str) -> Response:
        return self._revoke(request, environment)
