"""Streams of an environment over the API."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person, actor_at
from audit.errors import Invalid
from audit.http import etag, known_parameters, once, require_match
from audit.paging import page_of
from models_registry import queries
from models_registry.access import find_environment
from models_registry.api.stream_serializers import FitOut, RetireIn, StreamChangeIn, StreamIn, StreamOut
from models_registry.services import streams


class Streams(APIView):
    """The streams of an environment."""

    @extend_schema(
        responses=StreamOut(many=True),
        parameters=[OpenApiParameter(name, str) for name in ("direction", "cursor")],
        operation_id="streams_list",
    )
    def get(self, request: Request, environment: str) -> Response:
        filters = known_parameters(request, ("direction",))
        where = find_environment(actor_at(request, "api"), environment)
        found = queries.streams_of(where, direction=filters.get("direction", ""))
        return page_of(request, found, StreamOut, ordering="slug")

    @extend_schema(request=StreamIn, responses={201: StreamOut}, operation_id="stream_declare")
    def post(self, request: Request, environment: str) -> Response:
        body = StreamIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            actor = Person.at(request, "api")
            made = streams.declare(actor=actor, environment=environment, **body.validated_data)
            return Response(StreamOut(made).data, status=201, headers={"ETag": etag(made.revision)})

        return once(request, create)


class OneStream(APIView):
    """One stream."""

    @extend_schema(responses=StreamOut, operation_id="stream_read")
    def get(self, request: Request, environment: str, stream: str) -> Response:
        found = queries.stream(actor_at(request, "api"), environment, stream)
        return Response(StreamOut(found).data, headers={"ETag": etag(found.revision)})

    @extend_schema(request=StreamChangeIn, responses=StreamOut, operation_id="stream_change")
    def patch(self, request: Request, environment: str, stream: str) -> Response:
        body = StreamChangeIn(data=request.data)
        body.is_valid(raise_exception=True)
        actor = Person.at(request, "api")
        found = queries.stream(actor, environment, stream)
        require_match(request, found.revision)
        changed = streams.change(
            actor=actor, environment=environment, stream=stream, revision=found.revision, **body.validated_data
        )
        return Response(StreamOut(changed).data, headers={"ETag": etag(changed.revision)})


class Retire(APIView):
    """Retire a stream."""

    @extend_schema(request=RetireIn, responses=StreamOut, operation_id="stream_retire")
    def post(self, request: Request, environment: str, stream: str) -> Response:
        body = RetireIn(data=request.data)
        body.is_valid(raise_exception=True)
        actor = Person.at(request, "api")
        retired = streams.retire(actor=actor, environment=environment, stream=stream, **body.validated_data)
        return Response(StreamOut(retired).data, headers={"ETag": etag(retired.revision)})


class Fits(APIView):
    """How a stream fits a version's schema: identical, narrowing, widening or breaking, field by field."""

    @extend_schema(
        responses=FitOut,
        parameters=[
            OpenApiParameter("model", str, required=True),
            OpenApiParameter("version", int, required=True),
        ],
        operation_id="stream_fit",
    )
    def get(self, request: Request, environment: str, stream: str) -> Response:
        actor = actor_at(request, "api")
        found = queries.stream(actor, environment, stream)
        given = known_parameters(request, ("model", "version"))
        number = given.get("version", "")
        if not given.get("model") or not number.isdecimal() or len(number) > 9:
            raise Invalid(
                "Name a version to compare with.", fields={"version": "name a model by its short name, and a number"}
            )
        return Response(FitOut(queries.fit_of(actor, found, given["model"], int(number))).data)
