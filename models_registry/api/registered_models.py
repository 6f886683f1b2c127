"""Registered models over the API."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import actor_at
from audit.http import etag, known_parameters, once, require_match
from audit.paging import page_of
from models_registry import queries
from models_registry.access import find_model
from models_registry.api.serializers import ModelChangeIn, ModelIn, ModelOut
from models_registry.services import registered_models


class Models(APIView):
    """The models that the asker may read."""

    @extend_schema(
        responses=ModelOut(many=True),
        parameters=[OpenApiParameter(name, str) for name in ("risk_tier", "model_type", "text", "cursor")],
        operation_id="models_list",
    )
    def get(self, request: Request) -> Response:
        filters = known_parameters(request, ("risk_tier", "model_type", "text"))
        found = queries.models_listed(actor_at(request, "api").user, **filters).select_related("created_by")
        return page_of(request, found, ModelOut, ordering="name")

    @extend_schema(request=ModelIn, responses={201: ModelOut}, operation_id="model_register")
    def post(self, request: Request) -> Response:
        body = ModelIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            made = registered_models.register(actor=actor_at(request, "api"), **body.validated_data)
            return Response(ModelOut(made).data, status=201, headers={"ETag": etag(made.revision)})

        return once(request, create)


class OneModel(APIView):
    """One model."""

    @extend_schema(responses=ModelOut, operation_id="model_read")
    def get(self, request: Request, model: str) -> Response:
        found = find_model(actor_at(request, "api"), model)
        return Response(ModelOut(found).data, headers={"ETag": etag(found.revision)})

    @extend_schema(request=ModelChangeIn, responses=ModelOut, operation_id="model_change")
    def patch(self, request: Request, model: str) -> Response:
        body = ModelChangeIn(data=request.data)
        body.is_valid(raise_exception=True)
        actor = actor_at(request, "api")
        found = find_model(actor, model)
        require_match(request, found.revision)
        changed = registered_models.change(actor=actor, slug=model, revision=found.revision, **body.validated_data)
        return Response(ModelOut(changed).data, headers={"ETag": etag(changed.revision)})
