"""Waivers over the API."""

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
from handoff.models import Waiver
from handoff.models.waivers import STATES
from handoff.queries.waivers import waivers_of
from handoff.services import waivers

ANSWERS = [("approved", "approved"), ("refused", "refused")]


class WaiverIn(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=Waiver.Kind.choices)
    requirement = serializers.SlugField(help_text="The key of an item of the gate under way, or the kind of a test.")
    reason = serializers.CharField(max_length=5000)
    control = serializers.CharField(max_length=5000, help_text="What makes up for it meanwhile.")
    until = serializers.DateField(help_text="The last day on which it counts.")


class WaiverAnswerIn(serializers.Serializer[Any]):
    answer = serializers.ChoiceField(choices=ANSWERS)
    comment = serializers.CharField(required=False, allow_blank=True, max_length=5000, default="")


class WaiverEndIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=5000)


class WaiverWithdrawIn(serializers.Serializer[Any]):
    reason = serializers.CharField(required=False, allow_blank=True, max_length=5000, default="")


class HandoffWaiverOut(serializers.ModelSerializer[Waiver]):
    state = serializers.CharField(help_text="Where it stands today: " + ", ".join(STATES) + ".")
    asked_by = serializers.CharField(source="asked_by.username")
    answered_by = serializers.CharField(source="answered_by.username", default="")
    revoked_by = serializers.CharField(source="revoked_by.username", default="")

    class Meta:
        model = Waiver
        fields = (
            "id", "handoff", "kind", "requirement", "reason", "control", "until", "state", "asked_by", "asked_at",
            "answer", "answered_by", "answered_at", "comment", "revoked_by", "revoked_at", "revocation",
        )  # fmt: skip


class Waivers(APIView):
    """Waivers of a handoff, the newest first."""

    @extend_schema(responses=HandoffWaiverOut(many=True), operation_id="waivers_list")
    def get(self, request: Request, handoff_id: UUID) -> Response:
        known_parameters(request, ())
        found = waivers_of(actor_at(request, "api").user, handoff_id)
        return page_of(request, found, HandoffWaiverOut, ordering="-asked_at")

    @extend_schema(request=WaiverIn, responses={201: HandoffWaiverOut}, operation_id="waiver_ask")
    def post(self, request: Request, handoff_id: UUID) -> Response:
        body = WaiverIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            made = waivers.ask(actor=actor_at(request, "api"), handoff_id=handoff_id, **body.validated_data)
            return Response(HandoffWaiverOut(made).data, status=201)

        return once(request, create)


class AnswerWaiver(APIView):
    """Approve a request, or refuse it, in the role that the policy names; once."""

    @extend_schema(request=WaiverAnswerIn, responses=HandoffWaiverOut, operation_id="waiver_answer")
    def post(self, request: Request, handoff_id: UUID, waiver_id: UUID) -> Response:
        body = WaiverAnswerIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            actor = Person.at(request, "api")
            told = waivers.answer(actor=actor, handoff_id=handoff_id, waiver_id=waiver_id, **body.validated_data)
            return Response(HandoffWaiverOut(told).data)

        return once(request, create)


class WithdrawWaiver(APIView):
    """Take an open request back, as who asked."""

    @extend_schema(request=WaiverWithdrawIn, responses=HandoffWaiverOut, operation_id="waiver_withdraw")
    def post(self, request: Request, handoff_id: UUID, waiver_id: UUID) -> Response:
        body = WaiverWithdrawIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            actor = Person.at(request, "api")
            told = waivers.withdraw(actor=actor, handoff_id=handoff_id, waiver_id=waiver_id, **body.validated_data)
            return Response(HandoffWaiverOut(told).data)

        return once(request, create)


class RevokeWaiver(APIView):
    """End an approved waiver before its day, in the role that approves."""

    @extend_schema(request=WaiverEndIn, responses=HandoffWaiverOut, operation_id="waiver_revoke")
    def post(self, request: Request, handoff_id: UUID, waiver_id: UUID) -> Response:
        body = WaiverEndIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            actor = Person.at(request, "api")
            told = waivers.revoke(actor=actor, handoff_id=handoff_id, waiver_id=waiver_id, **body.validated_data)
            return Response(HandoffWaiverOut(told).data)

        return once(request, create)
