"""Exceptions to an import policy over the API: list them, ask, answer, withdraw and revoke."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person, actor_at
from audit.http import known_parameters, once
from audit.paging import page_of
from models_registry import queries
from models_registry.access import find_environment
from models_registry.models import ImportException
from models_registry.models.import_exceptions import STATES
from models_registry.services import import_exceptions

FILTERS = ("state", "library")


class ExceptionIn(serializers.Serializer[Any]):
    library = serializers.CharField(max_length=200)
    version = serializers.CharField(max_length=100, help_text="Exactly this one is let in.")
    reason = serializers.CharField(max_length=5000, help_text="What it is needed for.")
    measure = serializers.CharField(
        required=False, allow_blank=True, max_length=5000, help_text="What is done to make up for the risk meanwhile."
    )
    licence = serializers.CharField(
        required=False, allow_blank=True, max_length=200, help_text="Where the licence is why it is prohibited."
    )


class ExceptionAnswerIn(serializers.Serializer[Any]):
    answer = serializers.ChoiceField(choices=[("granted", "granted"), ("refused", "refused")])
    until = serializers.DateField(required=False, allow_null=True, help_text="The last day, within a year.")
    comment = serializers.CharField(required=False, allow_blank=True, max_length=5000, help_text="A refusal needs one.")


class WithdrawalIn(serializers.Serializer[Any]):
    reason = serializers.CharField(required=False, allow_blank=True, max_length=5000)


class RevocationIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=5000)


class ExceptionOut(serializers.ModelSerializer[ImportException]):
    environment = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)
    state = serializers.CharField(help_text="Where it stands today: " + ", ".join(STATES) + ".")
    asked_by = serializers.CharField(source="asked_by.username")
    answered_by = serializers.CharField(source="answered_by.username", default="")
    revoked_by = serializers.CharField(source="revoked_by.username", default="")

    class Meta:
        model = ImportException
        fields = (
            "id", "environment", "library", "version", "licence", "reason", "measure", "state", "asked_by", "asked_at",
            "answer", "answered_by", "answered_at", "comment", "until", "revoked_by", "revoked_at", "revocation",
        )  # fmt: skip


class Exceptions(APIView):
    """Exceptions to the import policy of an environment, the newest first."""

    @extend_schema(
        responses=ExceptionOut(many=True),
        parameters=[OpenApiParameter(name, str) for name in (*FILTERS, "cursor")],
        operation_id="exceptions_list",
    )
    def get(self, request: Request, environment: str) -> Response:
        filters = known_parameters(request, FILTERS)
        found = queries.exceptions_listed(find_environment(actor_at(request, "api"), environment), **filters)
        return page_of(request, found, ExceptionOut, ordering="-asked_at")

    @extend_schema(request=ExceptionIn, responses={201: ExceptionOut}, operation_id="exception_ask")
    def post(self, request: Request, environment: str) -> Response:
        body = ExceptionIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            actor = actor_at(request, "api")
            made = import_exceptions.ask(actor=actor, environment=environment, **body.validated_data)
            return Response(ExceptionOut(made).data, status=201)

        return once(request, create)


class OneException(APIView):
    """One exception, open or answered."""

    @extend_schema(responses=ExceptionOut, operation_id="exception_read")
    def get(self, request: Request, environment: str, exception_id: UUID) -> Response:
        found = queries.import_exception(actor_at(request, "api"), environment, exception_id)
        return Response(ExceptionOut(found).data)


class AnswerException(APIView):
    """Grant an exception until a day, or refuse it, as IT operations; once."""

    @extend_schema(request=ExceptionAnswerIn, responses=ExceptionOut, operation_id="exception_answer")
    def post(self, request: Request, environment: str, exception_id: UUID) -> Response:
        body = ExceptionAnswerIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            given = body.validated_data
            actor = Person.at(request, "api")
            told = import_exceptions.answer(actor=actor, environment=environment, exception_id=exception_id, **given)
            return Response(ExceptionOut(told).data)

        return once(request, create)


class WithdrawException(APIView):
    """Take an open request back, as who asked."""

    @extend_schema(request=WithdrawalIn, responses=ExceptionOut, operation_id="exception_withdraw")
    def post(self, request: Request, environment: str, exception_id: UUID) -> Response:
        body = WithdrawalIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            given = body.validated_data
            actor = Person.at(request, "api")
            told = import_exceptions.withdraw(actor=actor, environment=environment, exception_id=exception_id, **given)
            return Response(ExceptionOut(told).data)

        return once(request, create)


class RevokeException(APIView):
    """End a granted exception before its day, as IT operations."""

    @extend_schema(request=RevocationIn, responses=ExceptionOut, operation_id="exception_revoke")
    def post(self, request: Request, environment: str, exception_id: UUID) -> Response:
        body = RevocationIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            given = body.validated_data
            actor = Person.at(request, "api")
            told = import_exceptions.revoke(actor=actor, environment=environment, exception_id=exception_id, **given)
            return Response(ExceptionOut(told).data)

        return once(request, create)
