"""Break-glass over the API: ask, read what is to be confirmed, confirm, withdraw."""

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
from handoff.queries import break_glass as queries
from handoff.services import break_glass
from handoff.states import BreakGlassState


class BreakGlassIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=5000, help_text="Why nobody can wait for the signatures.")
    incident = serializers.CharField(max_length=200, help_text="The incident, as others find it.")


class BreakGlassConfirmIn(serializers.Serializer[Any]):
    seen = serializers.RegexField(r"^[0-9a-f]{64}$", help_text="The digest of the sheet that was shown.")
    reauthentication = serializers.UUIDField(help_text="From POST /reauthentications/, good for one confirmation.")


class SteppedOverOut(serializers.Serializer[Any]):
    gate = serializers.CharField()
    kind = serializers.CharField()
    key = serializers.CharField()
    title = serializers.CharField()


class BreakGlassOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    handoff = serializers.UUIDField(source="handoff_id")
    gate = serializers.CharField(help_text="The gate that it opens first.")
    state = serializers.ChoiceField(choices=BreakGlassState.choices)
    reason = serializers.CharField()
    incident = serializers.CharField()
    asked_by = serializers.CharField(source="asked_by.username")
    asked_at = serializers.DateTimeField()
    confirm_by = serializers.DateTimeField(help_text="Until when somebody else may confirm it.")
    role = serializers.CharField(help_text="The role in which it was confirmed.")
    confirmed_by = serializers.CharField(source="confirmed_by.username", default=None, allow_null=True)
    printed_name = serializers.CharField()
    confirmed_at = serializers.DateTimeField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True, help_text="When it is rolled back unless all have signed.")
    missing = SteppedOverOut(many=True, help_text="What it stepped over.")
    statement_digest = serializers.CharField()
    envelope = serializers.JSONField(help_text="The confirmation in a DSSE envelope.")
    overdue_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    because = serializers.CharField(help_text="How it ended.")


class BreakGlassSheetOut(serializers.Serializer[Any]):
    break_glass = BreakGlassOut(source="row")
    role = serializers.CharField(help_text="The role in which you would confirm.")
    lasts_hours = serializers.IntegerField(source="rules.lasts_hours")
    missing = serializers.ListField(child=serializers.CharField(), help_text="What is missing now, in words.")
    parts = serializers.SerializerMethodField()
    seen = serializers.CharField(help_text="Send this back with the confirmation.")
    barred = serializers.ListField(child=serializers.CharField(), help_text="Why you may not; empty if you may.")

    def get_parts(self, sheet: Any) -> list[dict[str, str]]:
        """Return what is covered, each with its words and its digest."""
        return [{"name": name, "words": words, "digest": digest} for name, words, digest in sheet.parts]


class BreakGlasses(APIView):
    """Break-glass of a handoff, the newest first."""

    @extend_schema(responses=BreakGlassOut(many=True), operation_id="break_glass_list")
    def get(self, request: Request, handoff_id: UUID) -> Response:
        known_parameters(request, ())
        found = queries.listed(actor_at(request, "api").user, handoff_id)
        return page_of(request, found, BreakGlassOut, ordering="-asked_at")

    @extend_schema(request=BreakGlassIn, responses={201: BreakGlassOut}, operation_id="break_glass_ask")
    def post(self, request: Request, handoff_id: UUID) -> Response:
        body = BreakGlassIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            actor = Person.at(request, "api")
            made = break_glass.ask(actor=actor, handoff_id=handoff_id, **body.validated_data)
            return Response(BreakGlassOut(made).data, status=201)

        return once(request, create)


class OneBreakGlass(APIView):
    """One break-glass, with exactly what a confirmation would cover now."""

    @extend_schema(responses=BreakGlassSheetOut, operation_id="break_glass_read")
    def get(self, request: Request, handoff_id: UUID, break_glass_id: UUID) -> Response:
        sheet = queries.sheet_for(actor_at(request, "api").user, handoff_id, break_glass_id)
        return Response(BreakGlassSheetOut(sheet).data)


class ConfirmBreakGlass(APIView):
    """Confirm, as another person than who asked, in a role that the policy names."""

    @extend_schema(request=BreakGlassConfirmIn, responses=BreakGlassOut, operation_id="break_glass_confirm")
    def post(self, request: Request, handoff_id: UUID, break_glass_id: UUID) -> Response:
        body = BreakGlassConfirmIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            done = break_glass.confirm(
                actor=Person.at(request, "api"),
                handoff_id=handoff_id,
                break_glass_id=break_glass_id,
                seen=body.validated_data["seen"],
                reauthentication=str(body.validated_data["reauthentication"]),
            )
            return Response(BreakGlassOut(done).data)

        return once(request, create)


class WithdrawBreakGlass(APIView):
    """Take a request back before it is confirmed, as who asked."""

    @extend_schema(request=None, responses=BreakGlassOut, operation_id="break_glass_withdraw")
    def post(self, request: Request, handoff_id: UUID, break_glass_id: UUID) -> Response:
        def create() -> Response:
            actor = Person.at(request, "api")
            done = break_glass.withdraw(actor=actor, handoff_id=handoff_id, break_glass_id=break_glass_id)
            return Response(BreakGlassOut(done).data)

        return once(request, create)
