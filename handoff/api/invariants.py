"""What is always true of the records, and how the last check went, over the API."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import actor_at
from audit.http import known_parameters
from handoff.queries.invariants import invariants, last_check_for


class ViolationOut(serializers.Serializer[Any]):
    handoff = serializers.CharField(help_text="Empty where it is about none.")
    subject = serializers.CharField()
    words = serializers.CharField()


class InvariantOut(serializers.Serializer[Any]):
    """One sentence that always holds, what enforces it, and what broke it at the last check."""

    id = serializers.CharField()
    sentence = serializers.CharField()
    guard = serializers.CharField(help_text="What refuses in words.")
    nets = serializers.ListField(child=serializers.CharField(), help_text="Constraints and triggers of the database.")
    attacks = serializers.ListField(child=serializers.CharField(), help_text="The tests that try to break it.")
    checked_at = serializers.DateTimeField(allow_null=True, help_text="Null: it was never checked.")
    violations = ViolationOut(many=True)


class Invariants(APIView):
    """The invariants with the last check, for those who audit."""

    @extend_schema(responses=InvariantOut(many=True), operation_id="invariant_list")
    def get(self, request: Request) -> Response:
        known_parameters(request, ())
        last, found = last_check_for(actor_at(request, "api").user)
        rows = [
            {
                "id": one.id,
                "sentence": one.sentence,
                "guard": one.guard,
                "nets": one.nets,
                "attacks": one.attacks,
                "checked_at": last.began_at if last and one.id in found else None,
                "violations": found.get(one.id, []),
            }
            for one in invariants()
        ]
        return Response(InvariantOut(rows, many=True).data)
