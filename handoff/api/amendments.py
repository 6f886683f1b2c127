"""Amendments over the API: propose, read exactly what a signature covers, sign or refuse, withdraw."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import Person, actor_at
from audit.http import known_parameters, once
from audit.paging import page_of
from handoff.api.serializers import PersonOut, ReasonIn
from handoff.models import Amendment, AmendmentSignOff
from handoff.queries.amendments import listed, sheet_for
from handoff.queries.deployments import fetch
from handoff.rules.amendments import ACTS
from handoff.services import amendments


class SinkIn(serializers.Serializer[Any]):
    stream = serializers.SlugField(max_length=50)
    fields = serializers.ListField(child=serializers.CharField(max_length=200), max_length=500, required=False)  # type: ignore[assignment]


class ConsumerActIn(serializers.Serializer[Any]):
    act = serializers.ChoiceField(choices=ACTS)
    stream = serializers.SlugField(max_length=50)
    consumer = serializers.CharField(required=False, max_length=120, help_text="Its name, to change or retire it.")
    values = serializers.DictField(
        required=False, help_text="Name, kind, owner, purpose, fields, criticality and effect; or those that change."
    )


class AmendmentIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=5000)
    source = serializers.SlugField(required=False, max_length=50, help_text="Another source.")  # type: ignore[assignment]
    sinks = SinkIn(many=True, required=False, help_text="All sinks as they are to be; left out, they stay.")
    consumers = ConsumerActIn(many=True, required=False)


class AmendmentSignIn(serializers.Serializer[Any]):
    requirement = serializers.SlugField()
    decision = serializers.ChoiceField(choices=AmendmentSignOff.Decision.choices)
    meaning = serializers.CharField(max_length=40)
    comment = serializers.CharField(required=False, allow_blank=True, max_length=5000, default="")
    seen = serializers.RegexField(r"^[0-9a-f]{64}$", help_text="The digest of what was shown.")
    reauthentication = serializers.UUIDField(help_text="From POST /reauthentications/, good for one signature.")


class AmendmentSignOffOut(serializers.ModelSerializer[AmendmentSignOff]):
    signer = serializers.CharField(source="signer.username")
    envelope = serializers.DictField(help_text="The statement as a DSSE envelope, signed by the site's key.")

    class Meta:
        model = AmendmentSignOff
        fields = (
            "id", "requirement", "role", "signer", "printed_name", "decision", "meaning", "comment", "scope",
            "scope_digest", "statement", "statement_digest", "envelope", "signed_at",
        )  # fmt: skip


class AmendmentChangeOut(serializers.Serializer[Any]):
    kind = serializers.CharField()
    part = serializers.CharField(help_text="outputs or source; the policy names who signs for it")
    what = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()


class AmendmentOut(serializers.ModelSerializer[Amendment]):
    deployment = serializers.UUIDField(source="deployment_id")
    model = serializers.CharField(source="deployment.model.slug")
    environment = serializers.CharField(source="deployment.environment.slug")
    changes = AmendmentChangeOut(many=True, source="told_changes")
    before = serializers.DictField()
    bindings = serializers.DictField()
    consumers = serializers.ListField(child=serializers.DictField(), source="told_consumers")
    log = serializers.ListField(child=serializers.DictField())
    proposed_by = PersonOut()

    class Meta:
        model = Amendment
        fields = (
            "id", "deployment", "model", "environment", "number", "state", "reason", "changes", "before", "bindings",
            "consumers", "proposed_by", "proposed_at", "expires_at", "because", "log", "ended_at",
        )  # fmt: skip


class WantedOut(serializers.Serializer[Any]):
    key = serializers.CharField()
    role = serializers.CharField()
    meaning = serializers.CharField()
    by = serializers.CharField(help_text="Who has signed.")
    who = serializers.ListField(child=serializers.CharField(), help_text="Who can sign.")


class AmendmentSheetOut(serializers.Serializer[Any]):
    """One amendment whole, with what a signature would cover now."""

    amendment = AmendmentOut()
    requirements = WantedOut(many=True, source="wanted")
    signoffs = AmendmentSignOffOut(many=True, source="amendment.signoffs")
    parts = serializers.SerializerMethodField()
    seen = serializers.CharField(help_text="Send this back with the signature.")
    barred = serializers.CharField(help_text="Why you may not sign; empty if you may.")

    def get_parts(self, sheet: Any) -> list[dict[str, str]]:
        """Return what is covered, each with its words and its digest."""
        return [{"name": name, "words": words, "digest": digest} for name, words, digest in sheet.parts]


class AmendmentsOf(APIView):
    """The amendments of one deployment."""

    @extend_schema(
        responses=AmendmentOut(many=True),
        parameters=[OpenApiParameter("cursor", str)],
        operation_id="deployment_amendments_list",
    )
    def get(self, request: Request, deployment_id: UUID) -> Response:
        known_parameters(request, ())
        user = actor_at(request, "api").user
        found = listed(user, deployment=fetch(user, deployment_id))
        return page_of(request, found, AmendmentOut, ordering="-proposed_at")

    @extend_schema(request=AmendmentIn, responses={201: AmendmentOut}, operation_id="amendment_propose")
    def post(self, request: Request, deployment_id: UUID) -> Response:
        fetch(actor_at(request, "api").user, deployment_id)  # a stranger learns nothing from what is wrong with a body
        body = AmendmentIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            actor = actor_at(request, "api")
            made = amendments.propose(actor=actor, deployment_id=deployment_id, **body.validated_data)
            return Response(AmendmentOut(listed(actor.user).get(pk=made.pk)).data, status=201)

        return once(request, create)


class Amendments(APIView):
    """The amendments that the asker may know of."""

    @extend_schema(
        responses=AmendmentOut(many=True),
        parameters=[OpenApiParameter(name, str) for name in ("state", "model", "cursor")],
        operation_id="amendments_list",
    )
    def get(self, request: Request) -> Response:
        filters = known_parameters(request, ("state", "model"))
        found = listed(actor_at(request, "api").user, **filters)
        return page_of(request, found, AmendmentOut, ordering="-proposed_at")


class OneAmendment(APIView):
    """One amendment with what a signature would cover now."""

    @extend_schema(responses=AmendmentSheetOut, operation_id="amendment_read")
    def get(self, request: Request, amendment_id: UUID) -> Response:
        return Response(AmendmentSheetOut(sheet_for(actor_at(request, "api").user, amendment_id)).data)


class SignAmendment(APIView):
    """Sign or refuse."""

    @extend_schema(request=AmendmentSignIn, responses={201: AmendmentSignOffOut}, operation_id="amendment_sign")
    def post(self, request: Request, amendment_id: UUID) -> Response:
        body = AmendmentSignIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            actor = Person.at(request, "api")
            signed = amendments.sign(actor=actor, amendment_id=amendment_id, **body.validated_data)
            return Response(AmendmentSignOffOut(signed).data, status=201)

        return once(request, create)


class WithdrawAmendment(APIView):
    """Withdraw one's own proposal."""

    @extend_schema(request=ReasonIn, responses=AmendmentOut, operation_id="amendment_withdraw")
    def post(self, request: Request, amendment_id: UUID) -> Response:
        body = ReasonIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            actor = actor_at(request, "api")
            amendments.withdraw(actor=actor, amendment_id=amendment_id, **body.validated_data)
            return Response(AmendmentOut(listed(actor.user).get(pk=amendment_id)).data)

        return once(request, create)
