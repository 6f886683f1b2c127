"""Adopting the newest policies over the API: what would be adopted, and the signed act."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person, actor_at
from audit.http import once
from handoff.api.serializers import ChangesOut
from handoff.queries.adoptions import AdoptionSheet, adoption_sheet
from handoff.services import adoptions


class AdoptionSheetOut(serializers.Serializer[Any]):
    policies = serializers.SerializerMethodField()
    changes = ChangesOut(help_text="What would be asked anew, no more and otherwise.")
    missing = serializers.DictField(child=serializers.CharField(), help_text="What stands in the way.")
    voids = serializers.SerializerMethodField()
    expires_at = serializers.DateTimeField(allow_null=True)
    idle = serializers.CharField(help_text="Why there is nothing to adopt; empty if there is.")
    barred = serializers.ListField(child=serializers.CharField(), help_text="Why you may not; empty if you may.")
    seen = serializers.CharField(help_text="Send this back with the act.")

    def get_policies(self, sheet: AdoptionSheet) -> list[str]:
        """Return the policies with their revisions."""
        return [f"{one.policy.slug} r{one.number}" for one in sheet.revisions]

    def get_voids(self, sheet: AdoptionSheet) -> list[str]:
        """Return whose sign-offs would be voided."""
        return [f"{signoff.name}: {signoff.requirement}" for signoff in sheet.voids]


class AdoptionIn(serializers.Serializer[Any]):
    seen = serializers.RegexField(r"^[0-9a-f]{64}$", help_text="The digest of what was shown.")
    reason = serializers.CharField(max_length=5000)
    reauthentication = serializers.UUIDField(help_text="From POST /reauthentications/, good for one signature.")


class AdoptionOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    handoff = serializers.UUIDField(source="handoff_id")
    from_digest = serializers.CharField()
    to_digest = serializers.CharField()
    role = serializers.CharField()
    adopted_by = serializers.CharField(source="adopted_by.username")
    printed_name = serializers.CharField()
    reason = serializers.CharField()
    statement = serializers.CharField(help_text="The canonical bytes of the signed statement.")
    envelope = serializers.JSONField(help_text="The statement with the site's signature.")


class Adoption(APIView):
    """The policies that a handoff in review could adopt, and the act."""

    @extend_schema(responses=AdoptionSheetOut, operation_id="adoption_sheet")
    def get(self, request: Request, handoff_id: UUID) -> Response:
        return Response(AdoptionSheetOut(adoption_sheet(actor_at(request, "api").user, handoff_id)).data)

    @extend_schema(request=AdoptionIn, responses={201: AdoptionOut}, operation_id="adopt")
    def post(self, request: Request, handoff_id: UUID) -> Response:
        body = AdoptionIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            actor = Person.at(request, "api")
            done = adoptions.adopt(actor=actor, handoff_id=handoff_id, **body.validated_data)
            return Response(AdoptionOut(done).data, status=201)

        return once(request, create)
