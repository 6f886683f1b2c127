"""Delegations over the API: list, make, end."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person, actor_at
from audit.http import known_parameters, once
from audit.paging import page_of
from models_registry.access import delegations_visible_to
from models_registry.models import Delegation
from models_registry.roles import Role
from models_registry.services import delegations


class DelegationIn(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=Role.choices)
    model = serializers.SlugField(required=False, help_text="Or an environment.")
    environment = serializers.SlugField(required=False)
    to = serializers.CharField(max_length=150, help_text="The delegate's username.")
    reason = serializers.CharField(max_length=2000)
    starts = serializers.DateField(required=False, help_text="The first day; without it, now.")
    ends = serializers.DateField(help_text="The last day, within a year.")


class DelegationOut(serializers.ModelSerializer[Delegation]):
    model = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True, allow_null=True)
    environment = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True, allow_null=True)
    delegator = serializers.CharField(source="delegator.username")
    delegate = serializers.CharField(source="delegate.username")
    state = serializers.ChoiceField(choices=["now", "planned", "ended"])

    class Meta:
        model = Delegation
        fields = (
            "id", "role", "model", "environment", "delegator", "delegate", "reason", "starts_at", "ends_at", "state",
            "made_at",
        )  # fmt: skip


class Delegations(APIView):
    """The delegations that the asker made or was given, and those on what they administer."""

    @extend_schema(responses=DelegationOut(many=True), operation_id="delegations_list")
    def get(self, request: Request) -> Response:
        known_parameters(request, ())
        found = delegations_visible_to(actor_at(request, "api").user)
        return page_of(request, found, DelegationOut, ordering="-made_at")

    @extend_schema(request=DelegationIn, responses={201: DelegationOut}, operation_id="delegation_make")
    def post(self, request: Request) -> Response:
        body = DelegationIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            made = delegations.delegate(actor=Person.at(request, "api"), **body.validated_data)
            return Response(DelegationOut(made).data, status=201)

        return once(request, create)


class EndDelegation(APIView):
    """The end of one delegation."""

    @extend_schema(request=None, responses=DelegationOut, operation_id="delegation_end")
    def post(self, request: Request, delegation_id: UUID) -> Response:
        ended = delegations.end(actor=Person.at(request, "api"), delegation_id=delegation_id)
        return Response(DelegationOut(ended).data)
