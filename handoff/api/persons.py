"""Who may sign and why not, who did what, and whose accounts are one person's, over the API."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person, actor_at
from audit.http import known_parameters
from handoff.queries.signers import signers_of
from handoff.services import persons


class SignerOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    mine = serializers.BooleanField(help_text="Whether that is the asker.")
    may = serializers.BooleanField()
    signed = serializers.BooleanField()
    why = serializers.ListField(child=serializers.CharField(), help_text="What bars them, in words.")


class SeatsOut(serializers.Serializer[Any]):
    gate = serializers.CharField()
    requirement = serializers.CharField()
    roles = serializers.ListField(child=serializers.CharField(), help_text="Several: of a quorum, each once.")
    meaning = serializers.CharField()
    count = serializers.IntegerField()
    now = serializers.BooleanField(help_text="Whether its gate is under way.")
    signers = SignerOut(many=True)


class ActOut(serializers.Serializer[Any]):
    person = serializers.CharField()
    act = serializers.CharField()
    bars = serializers.BooleanField(help_text="Whether it bars them from approving here.")


class SignersOut(serializers.Serializer[Any]):
    requirements = SeatsOut(many=True)
    acts = ActOut(many=True)


class MergeIn(serializers.Serializer[Any]):
    account = serializers.CharField(max_length=150)
    same_as = serializers.CharField(max_length=150, help_text="An account of the same natural person.")
    reason = serializers.CharField(max_length=2000)


class PartIn(serializers.Serializer[Any]):
    account = serializers.CharField(max_length=150)
    reason = serializers.CharField(max_length=2000)


class MergedOut(serializers.Serializer[Any]):
    account = serializers.CharField(source="username")
    same_as = serializers.CharField(source="same_person.username", default="")


class Signers(APIView):
    """For each signature that a handoff needs: everybody who holds its role, and whether they may sign, and why not."""

    @extend_schema(responses=SignersOut, operation_id="signers_read")
    def get(self, request: Request, handoff_id: UUID) -> Response:
        known_parameters(request, ())
        _, seats, acts = signers_of(actor_at(request, "api").user, handoff_id)
        return Response(SignersOut({"requirements": seats, "acts": acts}).data)


class MergeAccounts(APIView):
    """Record that two accounts are one natural person's."""

    @extend_schema(request=MergeIn, responses=MergedOut, operation_id="accounts_merge")
    def post(self, request: Request) -> Response:
        body = MergeIn(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(MergedOut(persons.merge(actor=Person.at(request, "api"), **body.validated_data)).data)


class PartAccounts(APIView):
    """Record that an account was merged by mistake."""

    @extend_schema(request=PartIn, responses=MergedOut, operation_id="accounts_part")
    def post(self, request: Request) -> Response:
        body = PartIn(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(MergedOut(persons.part(actor=Person.at(request, "api"), **body.validated_data)).data)
