"""What each role answers for, and the RACI matrix, over the API: read, publish, acknowledge."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person, actor_at
from audit.http import known_parameters, once
from models_registry import duties as reads
from models_registry.roles import Role
from models_registry.rules.raci import LETTERS, LIMIT
from models_registry.services import duties


class DutyIn(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=Role.choices)
    text = serializers.CharField(max_length=5000, help_text="One responsibility a line.")
    reason = serializers.CharField(max_length=5000, help_text="What changed, and why.")


class DutySeenIn(serializers.Serializer[Any]):
    seen = serializers.CharField(
        max_length=64, required=False, allow_blank=True, default="", help_text="The digest of the text that was shown."
    )


class DutyOut(serializers.Serializer[Any]):
    role = serializers.CharField()
    title = serializers.CharField(source="role.label")
    number = serializers.IntegerField(source="duty.number", help_text="0: the text that comes with the product.")
    digest = serializers.CharField(source="duty.digest")
    text = serializers.CharField(source="duty.text")
    reason = serializers.CharField(source="duty.reason")
    published_at = serializers.DateTimeField(source="duty.published_at", allow_null=True)
    acknowledged = serializers.ListField(child=serializers.CharField())
    missing = serializers.ListField(child=serializers.CharField(), help_text="Holders who have not acknowledged it.")
    accountable = serializers.ListField(child=serializers.CharField())
    enforced = serializers.ListField(child=serializers.CharField())
    gaps = serializers.ListField(child=serializers.CharField())
    mine = serializers.BooleanField(help_text="Whether the asker holds the role on something.")
    asked = serializers.BooleanField(help_text="Whether the asker is to acknowledge it.")


class DutyAcknowledgementOut(serializers.Serializer[Any]):
    role = serializers.CharField()
    number = serializers.IntegerField()
    digest = serializers.CharField()
    acknowledged_at = serializers.DateTimeField()


class DutyRevisionOut(serializers.Serializer[Any]):
    role = serializers.CharField()
    number = serializers.IntegerField()
    digest = serializers.CharField()
    text = serializers.CharField()
    reason = serializers.CharField()
    published_at = serializers.DateTimeField()


class RaciIn(serializers.Serializer[Any]):
    source = serializers.CharField(  # type: ignore[assignment]
        max_length=LIMIT, trim_whitespace=False, help_text="The matrix, as YAML."
    )
    reason = serializers.CharField(max_length=5000, help_text="What changed, and why.")


class RaciEntryOut(serializers.Serializer[Any]):
    activity = serializers.CharField()
    kind = serializers.CharField()
    role = serializers.CharField()
    letter = serializers.ChoiceField(choices=LETTERS)


class RaciOut(serializers.Serializer[Any]):
    number = serializers.IntegerField(help_text="0: the matrix that comes with the product.")
    reason = serializers.CharField()
    published_at = serializers.DateTimeField(allow_null=True)
    entries = RaciEntryOut(many=True)


class LeftOut(serializers.Serializer[Any]):
    kind = serializers.CharField(help_text="What it is held on, or what it belongs to: a model or an environment.")
    slug = serializers.CharField()
    what = serializers.CharField()
    who = serializers.CharField(help_text="Who has left.")
    due = serializers.DateField()
    late = serializers.BooleanField()


class Reassignments(APIView):
    """What people who have left still answer for, each with the day by which it is to be somebody else's."""

    @extend_schema(responses=LeftOut(many=True), operation_id="reassignments_list")
    def get(self, request: Request) -> Response:
        known_parameters(request, ())
        return Response(LeftOut(reads.to_reassign(actor_at(request, "api").user), many=True).data)


class Duties(APIView):
    """Each role: what it answers for, who has acknowledged that, and what the product enforces of it."""

    @extend_schema(responses=DutyOut(many=True), operation_id="duties_list")
    def get(self, request: Request) -> Response:
        known_parameters(request, ())
        return Response(DutyOut(reads.duties_for(actor_at(request, "api").user), many=True).data)

    @extend_schema(request=DutyIn, responses={201: DutyRevisionOut}, operation_id="duty_publish")
    def post(self, request: Request) -> Response:
        body = DutyIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            made = duties.publish(actor=Person.at(request, "api"), **body.validated_data)
            return Response(DutyRevisionOut(made).data, status=201)

        return once(request, create)


class DutyAcknowledgements(APIView):
    """The acknowledgement of one role's duty by the asker."""

    @extend_schema(request=DutySeenIn, responses={201: DutyAcknowledgementOut}, operation_id="duty_acknowledge")
    def post(self, request: Request, role: str) -> Response:
        body = DutySeenIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            made = duties.acknowledge(actor=Person.at(request, "api"), role=role, **body.validated_data)
            return Response(DutyAcknowledgementOut(made).data, status=201)

        return once(request, create)


class Raci(APIView):
    """Who is responsible, accountable, consulted and informed."""

    @extend_schema(responses=RaciOut, operation_id="raci_read")
    def get(self, request: Request) -> Response:
        known_parameters(request, ())
        return Response(_out(reads.matrix()))

    @extend_schema(request=RaciIn, responses={201: RaciOut}, operation_id="raci_publish")
    def post(self, request: Request) -> Response:
        body = RaciIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            duties.publish_raci(actor=Person.at(request, "api"), **body.validated_data)
            return Response(_out(reads.matrix()), status=201)

        return once(request, create)


def _out(found: reads.Matrix) -> Any:
    entries = [asdict(one) for one in found.entries]
    told = {"number": found.number, "reason": found.reason, "published_at": found.published_at}
    return RaciOut({**told, "entries": entries}).data
