"""Consumers of a sink over the API."""

from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person, actor_at
from audit.http import etag, known_parameters, once, require_match
from audit.paging import page_of
from models_registry import queries
from models_registry.api.stream_serializers import ConsumerChangeIn, ConsumerIn, ConsumerOut, RetireIn
from models_registry.services import consumers


class Consumers(APIView):
    """What a sink feeds."""

    @extend_schema(
        responses=ConsumerOut(many=True),
        parameters=[OpenApiParameter("cursor", str)],
        operation_id="consumers_list",
    )
    def get(self, request: Request, environment: str, stream: str) -> Response:
        known_parameters(request, ())
        found = queries.stream(actor_at(request, "api"), environment, stream)
        return page_of(request, queries.consumers_of(found), ConsumerOut, ordering="name")

    @extend_schema(request=ConsumerIn, responses={201: ConsumerOut}, operation_id="consumer_add")
    def post(self, request: Request, environment: str, stream: str) -> Response:
        body = ConsumerIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            actor = Person.at(request, "api")
            made = consumers.add(actor=actor, environment=environment, stream=stream, **body.validated_data)
            return Response(ConsumerOut(made).data, status=201, headers={"ETag": etag(made.revision)})

        return once(request, create)


class OneConsumer(APIView):
    """One consumer."""

    @extend_schema(responses=ConsumerOut, operation_id="consumer_read")
    def get(self, request: Request, environment: str, stream: str, consumer_id: UUID) -> Response:
        found = queries.consumer(actor_at(request, "api"), environment, stream, consumer_id)
        return Response(ConsumerOut(found).data, headers={"ETag": etag(found.revision)})

    @extend_schema(request=ConsumerChangeIn, responses=ConsumerOut, operation_id="consumer_change")
    def patch(self, request: Request, environment: str, stream: str, consumer_id: UUID) -> Response:
        body = ConsumerChangeIn(data=request.data)
        body.is_valid(raise_exception=True)
        actor = Person.at(request, "api")
        found = queries.consumer(actor, environment, stream, consumer_id)
        require_match(request, found.revision)
        changed = consumers.change(
            actor=actor,
            environment=environment,
            stream=stream,
            consumer_id=str(consumer_id),
            revision=found.revision,
            **body.validated_data,
        )
        return Response(ConsumerOut(changed).data, headers={"ETag": etag(changed.revision)})


class Retire(APIView):
    """Retire a consumer."""

    @extend_schema(request=RetireIn, responses=ConsumerOut, operation_id="consumer_retire")
    def post(self, request: Request, environment: str, stream: str, consumer_id: UUID) -> Response:
        body = RetireIn(data=request.data)
        body.is_valid(raise_exception=True)
        retired = consumers.retire(
            actor=Person.at(request, "api"),
            environment=environment,
            stream=stream,
            consumer_id=str(consumer_id),
            **body.validated_data,
        )
        return Response(ConsumerOut(retired).data, headers={"ETag": etag(retired.revision)})
