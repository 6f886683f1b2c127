"""Schemas over the API: in other languages, and against those of another version."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import actor_at
from audit.http import known_parameters
from models_registry import queries
from models_registry.errors import Hidden, Invalid
from models_registry.schemas import compared, schemas_in, written


class WrittenOut(serializers.Serializer[Any]):
    """Both schemas in one language; the sides of an MLflow signature are texts."""

    language = serializers.CharField()
    inputs = serializers.JSONField()
    outputs = serializers.JSONField()
    params = serializers.JSONField(required=False, allow_null=True, help_text="Of an MLflow signature alone.")
    notes = serializers.ListField(child=serializers.CharField(), help_text="What the language cannot say.")


class ChangeOut(serializers.Serializer[Any]):
    field = serializers.CharField()
    kind = serializers.CharField()
    reason = serializers.CharField()


class CompatibilityOut(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=["identical", "widening", "narrowing", "breaking"])
    changes = ChangeOut(many=True)


class ComparedOut(serializers.Serializer[Any]):
    """What became of the schemas of an older version."""

    version = serializers.IntegerField(help_text="The version that this one is compared with.")
    inputs = CompatibilityOut(required=False)
    outputs = CompatibilityOut(required=False)


class SchemasIn(APIView):
    """The schemas of a version in another language."""

    @extend_schema(responses=WrittenOut, operation_id="version_schemas")
    def get(self, request: Request, model: str, number: int, language: str) -> Response:
        version = queries.version(actor_at(request, "api"), model, number)
        return Response(written(schemas_in(list(version.elements.all())), language))


class Compatibility(APIView):
    """The schemas of a version against those of another."""

    @extend_schema(
        responses=ComparedOut,
        parameters=[OpenApiParameter("with", int, description="A version; else the newest nominated one before.")],
        operation_id="version_compatibility",
    )
    def get(self, request: Request, model: str, number: int) -> Response:
        actor = actor_at(request, "api")
        version = queries.version(actor, model, number)
        asked = known_parameters(request, ("with",)).get("with", "")
        if asked and not asked.isdecimal():
            raise Invalid("A version is named by its number.", fields={"with": "is not a number"})
        if asked:
            older, elements = int(asked), list(queries.version(actor, model, int(asked)).elements.all())
        else:
            older, elements = queries.nominated_before(version)
        if not older:
            raise Hidden("No version was nominated before this one.", todo="Name another one: ?with=NUMBER.")
        found = compared(schemas_in(elements), schemas_in(list(version.elements.all())))
        return Response(ComparedOut({"version": older, **found}).data)
