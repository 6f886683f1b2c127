"""Findings of handoffs and of environments over the API."""

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
from handoff.models import Finding
from handoff.queries.findings import ROWS, findings_in, findings_of, open_findings
from handoff.services import findings
from models_registry.access import held_by

FILTERS = ("mine", "overdue", "blocks", "severity")


class FindingOut(serializers.ModelSerializer[Finding]):
    kind = serializers.CharField(help_text="drift: found by workers; issue: raised by somebody.")
    environment = serializers.CharField(
        source="environment.slug",
        default=None,
        allow_null=True,
        read_only=True,
        help_text="Where something belongs to no handoff; then `handoff` is null.",
    )
    severity = serializers.CharField(help_text="low, medium or high")
    title = serializers.CharField(source="__str__")
    differences = serializers.SerializerMethodField(help_text="What came in the way, by its key, of a drift.")
    blocks = serializers.BooleanField(source="suspends", help_text="No gate opens before it is closed.")
    owner = serializers.CharField(source="owner.username", default="", read_only=True)
    raised_by = serializers.CharField(source="raised_by.username", default="", read_only=True)
    closed_by = serializers.CharField(source="closed_by.username", default="", read_only=True)
    proof_sha256 = serializers.CharField(source="proof_blob_id", allow_null=True)

    class Meta:
        model = Finding
        fields = (
            "id", "handoff", "environment", "kind", "title", "details", "severity", "suspends", "blocks", "differences",
            "owner", "raised_by", "raised_at", "due_at", "another_closes", "inherited_from", "closed_at", "closing",
            "closed_by", "comment", "proof_kind", "proof_label", "proof_link", "proof_sha256",
        )  # fmt: skip

    def get_differences(self, finding: Finding) -> dict[str, str]:
        """Return the differences of a drift, or the approvals that do not stand any more."""
        return dict(finding.items) if finding.kind in (Finding.Kind.DRIFT, Finding.Kind.APPROVAL) else {}


class AcceptIn(serializers.Serializer[Any]):
    comment = serializers.CharField(max_length=5000, help_text="Why it may go on as it is.")


class FindingIn(serializers.Serializer[Any]):
    title = serializers.CharField(max_length=300, help_text="What was found, in a sentence.")
    details = serializers.CharField(required=False, allow_blank=True, max_length=5000, default="")
    severity = serializers.CharField(max_length=6, help_text="low, medium or high")
    owner = serializers.CharField(max_length=150, help_text="The user name of somebody who holds a role here.")
    due = serializers.DateField(
        required=False, allow_null=True, default=None, help_text="Without it, as its severity asks: 90, 30 or 7 days."
    )
    blocks = serializers.BooleanField(required=False, default=False)


class ProofIn(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=Finding.Proof.choices)
    label = serializers.CharField(required=False, allow_blank=True, max_length=200)  # type: ignore[assignment]
    receipt = serializers.CharField(required=False, max_length=300, help_text="What POST evidence/ answered.")
    link = serializers.CharField(required=False, max_length=500)
    item = serializers.SlugField(required=False, help_text="A checklist item that was answered yes since.")


class CloseIn(serializers.Serializer[Any]):
    evidence = ProofIn()
    comment = serializers.CharField(required=False, allow_blank=True, max_length=5000, default="")


class OpenFindings(APIView):
    """What is open on handoffs under offer and on live models that the asker may know of, the soonest due first."""

    @extend_schema(
        responses=FindingOut(many=True),
        parameters=[OpenApiParameter(name, str) for name in (*FILTERS, "cursor")],
        operation_id="findings_open",
    )
    def get(self, request: Request) -> Response:
        filters = known_parameters(request, FILTERS)
        user = actor_at(request, "api").user
        found = open_findings(user, held_by(user), **filters)
        return page_of(request, found, FindingOut, ordering="due_at", shown=ROWS)


class Findings(APIView):
    """What was found on a handoff after it was offered, by workers and by people."""

    @extend_schema(responses=FindingOut(many=True), operation_id="findings_list")
    def get(self, request: Request, handoff_id: UUID) -> Response:
        known_parameters(request, ())
        found = findings_of(actor_at(request, "api").user, handoff_id)
        return page_of(request, found, FindingOut, ordering="-raised_at")

    @extend_schema(request=FindingIn, responses={201: FindingOut}, operation_id="finding_raise")
    def post(self, request: Request, handoff_id: UUID) -> Response:
        body = FindingIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            raised = findings.raise_finding(
                actor=Person.at(request, "api"), handoff_id=handoff_id, **body.validated_data
            )
            return Response(FindingOut(raised).data, status=201)

        return once(request, create)


class AcceptFinding(APIView):
    """Let a live version go on although its environment drifted, as IT operations."""

    @extend_schema(request=AcceptIn, responses=FindingOut, operation_id="finding_accept")
    def post(self, request: Request, handoff_id: UUID, finding_id: UUID) -> Response:
        body = AcceptIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            accepted = findings.accept(
                actor=Person.at(request, "api"), handoff_id=handoff_id, finding_id=finding_id, **body.validated_data
            )
            return Response(FindingOut(accepted).data)

        return once(request, create)


class CloseFinding(APIView):
    """Close an issue with what shows that it is settled."""

    @extend_schema(request=CloseIn, responses=FindingOut, operation_id="finding_close")
    def post(self, request: Request, handoff_id: UUID, finding_id: UUID) -> Response:
        body = CloseIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            closed = findings.close(
                actor=Person.at(request, "api"), handoff_id=handoff_id, finding_id=finding_id, **body.validated_data
            )
            return Response(FindingOut(closed).data)

        return once(request, create)


class EnvironmentFindings(APIView):
    """What an engine serves or runs in an environment that belongs to no handoff, found by workers."""

    @extend_schema(responses=FindingOut(many=True), operation_id="environment_findings_list")
    def get(self, request: Request, environment: str) -> Response:
        known_parameters(request, ())
        found = findings_in(actor_at(request, "api").user, environment)
        return page_of(request, found, FindingOut, ordering="-raised_at")


class CloseEnvironmentFinding(APIView):
    """Close a finding of an environment with a file or a link that shows that it is settled."""

    @extend_schema(request=CloseIn, responses=FindingOut, operation_id="environment_finding_close")
    def post(self, request: Request, environment: str, finding_id: UUID) -> Response:
        body = CloseIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            closed = findings.close_in(
                actor=Person.at(request, "api"), environment=environment, finding_id=finding_id, **body.validated_data
            )
            return Response(FindingOut(closed).data)

        return once(request, create)
