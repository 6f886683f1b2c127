"""Handoffs over the API: list, draft, read, change, offer, withdraw."""

from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import actor_at
from audit.http import etag, known_parameters, once, require_match
from audit.paging import page_of
from handoff.api.serializers import (
    DecisionOut,
    HandoffChangeIn,
    HandoffDetailOut,
    HandoffIn,
    HandoffOut,
    HandoffRowOut,
    InboxOut,
    InboxQuery,
    ReasonIn,
)
from handoff.queries import handoffs as queries
from handoff.queries.inbox import inbox_of
from handoff.services import handoffs
from models_registry.access import held_by


class Inbox(APIView):
    """What waits for whoever asks."""

    @extend_schema(responses=InboxOut, parameters=[OpenApiParameter("after", UUID)], operation_id="inbox")
    def get(self, request: Request) -> Response:
        query = InboxQuery(data=known_parameters(request, ("after",)))
        query.is_valid(raise_exception=True)
        user = actor_at(request, "api").user
        waits = inbox_of(user, held_by(user), query.validated_data.get("after"))
        there = request.build_absolute_uri(f"?after={waits.after}") if waits.after else None
        return Response(InboxOut({"next": there, "results": waits.entries}).data)


class Handoffs(APIView):
    """The handoffs that the asker may know of."""

    @extend_schema(
        responses=HandoffRowOut(many=True),
        parameters=[OpenApiParameter(name, str) for name in ("state", "model", "target", "open", "text", "cursor")],
        operation_id="handoffs_list",
    )
    def get(self, request: Request) -> Response:
        filters = known_parameters(request, ("state", "model", "target", "open", "text"))
        user = actor_at(request, "api").user
        found = queries.listed(user, held_by(user), **filters)
        return page_of(request, found, HandoffRowOut, ordering="-drafted_at", shown=queries.ROWS)

    @extend_schema(request=HandoffIn, responses={201: HandoffOut}, operation_id="handoff_draft")
    def post(self, request: Request) -> Response:
        body = HandoffIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            made = handoffs.draft(actor=actor_at(request, "api"), **body.validated_data)
            return Response(HandoffOut(made).data, status=201, headers={"ETag": etag(made.revision)})

        return once(request, create)


class OneHandoff(APIView):
    """One handoff, whole."""

    @extend_schema(responses=HandoffDetailOut, operation_id="handoff_read")
    def get(self, request: Request, handoff_id: UUID) -> Response:
        view = queries.view_of(actor_at(request, "api").user, handoff_id)
        view.handoff.view = view  # type: ignore[attr-defined]
        return Response(HandoffDetailOut(view.handoff).data, headers={"ETag": etag(view.handoff.revision)})

    @extend_schema(request=HandoffChangeIn, responses=HandoffOut, operation_id="handoff_change")
    def patch(self, request: Request, handoff_id: UUID) -> Response:
        body = HandoffChangeIn(data=request.data)
        body.is_valid(raise_exception=True)
        actor = actor_at(request, "api")
        revision = queries.fetch(actor.user, handoff_id).revision
        require_match(request, revision)
        changed = handoffs.change(actor=actor, handoff_id=str(handoff_id), revision=revision, **body.validated_data)
        return Response(HandoffOut(changed).data, headers={"ETag": etag(changed.revision)})


class Offer(APIView):
    """Offer a draft."""

    @extend_schema(request=None, responses=HandoffOut, operation_id="handoff_offer")
    def post(self, request: Request, handoff_id: UUID) -> Response:
        return once(
            request,
            lambda: Response(
                HandoffOut(handoffs.offer(actor=actor_at(request, "api"), handoff_id=str(handoff_id))).data
            ),
        )


class Withdraw(APIView):
    """Take an offer back."""

    @extend_schema(request=ReasonIn, responses=HandoffOut, operation_id="handoff_withdraw")
    def post(self, request: Request, handoff_id: UUID) -> Response:
        body = ReasonIn(data=request.data)
        body.is_valid(raise_exception=True)
        done = handoffs.withdraw(actor=actor_at(request, "api"), handoff_id=str(handoff_id), **body.validated_data)
        return Response(HandoffOut(done).data)


class Decisions(APIView):
    """The decisions that were acted on, with the facts they were taken on."""

    @extend_schema(responses=DecisionOut(many=True), operation_id="handoff_decisions")
    def get(self, request: Request, handoff_id: UUID) -> Response:
        handoff = queries.fetch(actor_at(request, "api").user, handoff_id)
        return Response(DecisionOut(handoff.decisions.all(), many=True).data)
