"""Whose names go when, holding one, and letting one go, over the API."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person, actor_at
from audit.http import known_parameters, once
from audit.models import NameHold
from handoff.queries.leavers import going
from handoff.services import leavers


class PseudonymiseIn(serializers.Serializer[Any]):
    person = serializers.CharField(max_length=150, help_text="The user name of any account of theirs.")
    confirm = serializers.CharField(max_length=150, help_text="The same once more: nothing brings the name back.")
    reason = serializers.CharField(max_length=leavers.LONGEST, help_text="Without the name; it stays on the trail.")


class TracesOut(serializers.Serializer[Any]):
    events = serializers.IntegerField()
    signatures = serializers.IntegerField()


class PseudonymisedOut(serializers.Serializer[Any]):
    account = serializers.CharField(help_text="The user name that they have from now on.")
    name = serializers.CharField()
    traces = TracesOut(help_text="What was written before there were marks, and holds the name as long as it is kept.")


class HoldIn(serializers.Serializer[Any]):
    person = serializers.CharField(max_length=150, help_text="The user name of any account of theirs.")
    reason = serializers.CharField(max_length=leavers.LONGEST, help_text="Without the name; it stays on the trail.")


class NameHoldOut(serializers.ModelSerializer[NameHold]):
    account = serializers.CharField(source="account.username")
    held_by = serializers.CharField(source="held_by.username")
    lifted_by = serializers.CharField(source="lifted_by.username", default="", read_only=True)

    class Meta:
        model = NameHold
        fields = ("account", "reason", "held_by", "held_at", "lifted_by", "lifted_at", "lifted_because")


class LeaverOut(serializers.Serializer[Any]):
    account = serializers.CharField(source="account.username")
    name = serializers.CharField(source="account.printed_name")
    left_at = serializers.DateTimeField(allow_null=True)
    goes_at = serializers.DateTimeField(allow_null=True, help_text="When the name goes by itself; null: only by hand.")
    announced = serializers.BooleanField(help_text="Whether administrators were told of that day.")
    held = serializers.CharField(
        source="hold.reason", default="", help_text="Why it stays for now; empty: it does not."
    )
    held_by = serializers.CharField(source="hold.held_by.username", default="")


class Leavers(APIView):
    """Who has left and has their name still, and when it goes; for administrators of the site."""

    @extend_schema(responses=LeaverOut(many=True), operation_id="leavers_list")
    def get(self, request: Request) -> Response:
        known_parameters(request, ())
        return Response(LeaverOut(going(actor_at(request, "api").user), many=True).data)


class HoldName(APIView):
    """Keep the name of somebody who has left until that is lifted."""

    @extend_schema(request=HoldIn, responses={201: NameHoldOut}, operation_id="leaver_hold")
    def post(self, request: Request) -> Response:
        body = HoldIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            held = leavers.hold(actor=Person.at(request, "api"), **body.validated_data)
            return Response(NameHoldOut(held).data, status=201)

        return once(request, create)


class LiftHold(APIView):
    """Let the time of a held name go on."""

    @extend_schema(request=HoldIn, responses=NameHoldOut, operation_id="leaver_lift")
    def post(self, request: Request) -> Response:
        body = HoldIn(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(NameHoldOut(leavers.lift(actor=Person.at(request, "api"), **body.validated_data)).data)


class Pseudonymise(APIView):
    """Put a pseudonym in the place of the name of somebody who has left, for good."""

    @extend_schema(request=PseudonymiseIn, responses=PseudonymisedOut, operation_id="accounts_pseudonymise")
    def post(self, request: Request) -> Response:
        body = PseudonymiseIn(data=request.data)
        body.is_valid(raise_exception=True)
        found = leavers.pseudonymise(actor=Person.at(request, "api"), **body.validated_data)
        return Response(PseudonymisedOut(found).data)
