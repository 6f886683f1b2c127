"""Contract replays over the API."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actors import actor_at
from audit.http import known_parameters, once
from audit.paging import page_of
from handoff.models import Replay
from handoff.queries.replays import replay_of, replays_of
from handoff.services import replays


class Pair(serializers.ListField):
    """A tolerance: absolute and relative."""

    def __init__(self, **options: Any) -> None:
        """Take two numbers from 0."""
        super().__init__(child=serializers.FloatField(min_value=0), min_length=2, max_length=2, **options)


class ReplayIn(serializers.Serializer[Any]):
    creation = serializers.SlugField(required=False, help_text="A source of the creation environment.")
    production = serializers.SlugField(required=False, help_text="A source of the target.")
    keys = serializers.ListField(
        child=serializers.CharField(max_length=200), required=False, max_length=50, help_text="Tell records apart."
    )
    tolerances = serializers.DictField(child=Pair(), required=False, help_text="By input: absolute and relative.")
    output_tolerances = serializers.DictField(child=Pair(), required=False, help_text="By output; else as sealed.")


class ReplayRow(serializers.ModelSerializer[Replay]):
    ordered_by = serializers.CharField(source="ordered_by.username")
    outcome = serializers.CharField(help_text="equal, not_equal, failed, or empty until it ended")
    work = serializers.CharField(source="job.state", help_text="Where the work on it is.")

    class Meta:
        model = Replay
        fields = (
            "number", "creation", "production", "version_digest", "keys", "tolerances", "output_tolerances",
            "ordered_by", "ordered_at", "work", "outcome", "error", "ended_at",
        )  # fmt: skip


class ReplayOut(ReplayRow):
    report = serializers.DictField(allow_null=True, help_text="Counts, and by field what differed, with examples.")

    class Meta(ReplayRow.Meta):
        fields = (*ReplayRow.Meta.fields, "report")  # type: ignore[assignment]


class Replays(APIView):
    """Whether creation and production deliver the same records."""

    @extend_schema(responses=ReplayRow(many=True), operation_id="replays_list")
    def get(self, request: Request, handoff_id: UUID) -> Response:
        known_parameters(request, ())
        found = replays_of(actor_at(request, "api").user, handoff_id)
        return page_of(request, found, ReplayRow, ordering="-number")

    @extend_schema(request=ReplayIn, responses={202: ReplayOut}, operation_id="replay_order")
    def post(self, request: Request, handoff_id: UUID) -> Response:
        body = ReplayIn(data=request.data)
        body.is_valid(raise_exception=True)

        def create() -> Response:
            made = replays.order(actor=actor_at(request, "api"), handoff_id=handoff_id, **body.validated_data)
            return Response(ReplayOut(made).data, status=202)

        return once(request, create)


class OneReplay(APIView):
    """One replay with its report."""

    @extend_schema(responses=ReplayOut, operation_id="replay_read")
    def get(self, request: Request, handoff_id: UUID, number: int) -> Response:
        return Response(ReplayOut(replay_of(actor_at(request, "api").user, handoff_id, number)).data)
