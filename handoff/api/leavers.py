"""Let the name of somebody who has left go, over the API."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person
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


class Pseudonymise(APIView):
    """Put a pseudonym in the place of the name of somebody who has left, for good."""

    @extend_schema(request=PseudonymiseIn, responses=PseudonymisedOut, operation_id="accounts_pseudonymise")
    def post(self, request: Request) -> Response:
        body = PseudonymiseIn(data=request.data)
        body.is_valid(raise_exception=True)
        found = leavers.pseudonymise(actor=Person.at(request, "api"), **body.validated_data)
        return Response(PseudonymisedOut(found).data)
